// attack.test.js -- what a stranger sends to bring the platform down or to see what is not theirs.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { Platform } = require('./lib/platform');

let p;
test.before(async () => { p = await Platform.start(); });
test.after(() => p.stop());

const alive = async () => assert.strictEqual((await p.get('/v1/categories')).status, 200);

test('a webhook whose object is null is refused', async () => {
  for (const body of [{ eventType: 'PAYMENT_STATUS_CHANGED', data: null }, { eventType: null, data: null }]) {
    const r = await p.post('/v1/webhooks/toss', body);
    assert.strictEqual(r.status, 400);
    await alive();
  }
});

test('a query that cannot be decoded is refused, wherever it stands', async () => {
  for (const query of ['%zz', 'query=%zz', 'category=chicken&query=%zz', 'query=%zz&category=chicken', 'query=%ff']) {
    const r = await p.get(`/v1/stores?${query}`);
    assert.strictEqual(r.status, 400, query);
    assert.ok(r.body.errors.some((e) => e.field === 'query' && e.code === 'FORMAT'), JSON.stringify(r.body.errors));
  }
});

test('thousands of query parameters cost little, and their answer is JSON', async () => {
  const r = await p.get(`/v1/stores?${Array(4000).fill('a').join('&')}`);
  assert.strictEqual(r.status, 400);
  assert.strictEqual(r.body.code, 'INVALID');
  assert.ok(r.body.errors.length <= 100, `${r.body.errors.length} errors`);
});

const strict = (bytes) => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));

test('a refusal is UTF-8 whatever was sent', async () => {
  for (let n = 0; n < 3; n++) {
    const response = await fetch(`${p.public}/v1/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ['a'.repeat(n) + '가'.repeat(100)]: 1 }) });
    assert.strictEqual(strict(await response.arrayBuffer()).code, 'INVALID');
  }
  const { hostname, port } = new URL(p.public);
  const answer = await new Promise((resolve, reject) => {
    const chunks = [];
    const socket = net.connect(Number(port), hostname, () => socket.write(
      Buffer.from('GET /v1/\xff\xfe\xffstores HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', 'latin1')));
    socket.on('data', (d) => chunks.push(d)).on('error', reject).on('close', () => resolve(Buffer.concat(chunks)));
  });
  assert.match(strict(answer.subarray(answer.indexOf('\r\n\r\n') + 4)).instance, /stores$/);
});

test('files of the data directory are for its owner alone, whatever the directory allows', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  fs.mkdirSync(path.join(dir, 'data'), { mode: 0o755 });
  const other = await Platform.start({ dir, demo: false });
  try {
    const names = fs.readdirSync(path.join(dir, 'data'));
    assert.ok(names.includes('keys'), names.join());
    for (const name of names)
      assert.strictEqual(fs.statSync(path.join(dir, 'data', name)).mode & 0o077, 0, name);
  } finally {
    await other.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  }
});

test('an event stream takes the largest Last-Event-ID there is', async () => {
  const owner = await p.login('owner1');
  const stores = await p.get('/v1/owner/stores', { as: owner });
  const r = await p.get(`/v1/owner/stores/${stores.body.items[0].storeId}/orders/events`,
    { as: owner, headers: { 'last-event-id': '9223372036854775807' } });
  assert.strictEqual(r.status, 200);
  await alive();
});

test('a storm of logins does not hold up who pays', async () => {
  const customer = await p.login('minji');
  let pending = 100;
  const storm = Array.from({ length: pending }, (_, i) =>
    p.post('/v1/auth/login', { username: `nobody${i}`, password: 'a wrong password' }).then(() => { pending--; }));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const r = await p.get('/v1/orders/019b76da-a800-7000-8000-000000000000/checkout', { as: customer });
  const left = pending;
  await Promise.all(storm);
  assert.strictEqual(r.status, 404);
  assert.ok(left > 50, `answered when only ${left} logins were left`);
});
