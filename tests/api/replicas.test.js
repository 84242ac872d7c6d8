// replicas.test.js -- three platforms on the same servers: one order through all of them, streams anywhere, one dies.
//
// Needs engines that processes can share: JUMUN_DATABASE=postgres://... and JUMUN_BUS=kafka://... (make test-servers).
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { Platform, demoId, until, sleep, BINARY } = require('./lib/platform.js');
const { engines, dropDatabases } = require('./lib/engines.js');

const shared = /^postgres/.test(process.env.JUMUN_DATABASE || '') && /^kafka/.test(process.env.JUMUN_BUS || '');
const options = { skip: shared ? false : 'needs a PostgreSQL and a Kafka server', timeout: 120000 };

let world, home;
const replicas = [];
test.before(async () => {
  if (!shared) return;
  world = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-replicas-'));
  home = path.join(world, path.basename(world));
  for (let i = 0; i < 3; i++) {
    const dir = path.join(world, `replica${i}`);
    fs.mkdirSync(path.join(dir, 'data'), { recursive: true });
    // Signing keys are the platform's, not a replica's.
    replicas.push(await Platform.start({ dir, args: ['--issuer', 'http://jumun.test'], env: { ...engines(home), JUMUN_KEYS_SECRET: 'r'.repeat(40) } }));
  }
});
test.after(async () => {
  for (const p of replicas) if (p.child.exitCode === null && p.child.signalCode === null) assert.deepEqual(await p.stop(), { code: 0, signal: null }, p.log);
  if (!world) return;
  fs.rmSync(world, { recursive: true, force: true });
  dropDatabases(home);
});

// Follows a stream until stop(); frames as {id, event, data}.
async function follow(p, url, as, headers = {}) {
  const cut = new AbortController();
  const r = await fetch(p.public + url, { headers: { accept: 'text/event-stream', authorization: `Bearer ${as.token}`, ...headers }, signal: cut.signal });
  assert.equal(r.status, 200);
  const frames = [];
  const reading = (async () => {
    let text = '';
    for await (const bytes of r.body) {
      text += Buffer.from(bytes).toString();
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
        const fields = Object.fromEntries(text.slice(0, end).split('\n').map((l) => [l.slice(0, l.indexOf(':')), l.slice(l.indexOf(':') + 2)]));
        if (fields.data) frames.push({ id: Number(fields.id), event: fields.event, data: JSON.parse(fields.data) });
      }
    }
  })().catch(() => {});
  return { frames, stop: () => { cut.abort(); return reading; } };
}

async function paid(p, q) {
  const minji = await p.login('minji');
  assert.equal((await q.addToCart(minji, 1, 1, 1, { replace: true })).status, 201);
  const placed = await p.place(minji, 1);
  assert.equal(placed.status, 201, JSON.stringify(placed.body));
  assert.equal(placed.body.status, 'AWAITING_PAYMENT');
  const confirmed = await q.confirm(minji, placed.body, await p.authorize(placed.body));
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
  return { minji, order: placed.body };
}

test('an order goes through all of them, and its streams are anywhere', options, async () => {
  const [a, b, c] = replicas;
  const { minji, order } = await paid(a, b);
  const streams = await Promise.all([a, b, c].map((p) => follow(p, `/v1/orders/${order.orderId}/events`, minji)));
  const owner = await c.login('owner1');
  const board = `/v1/owner/stores/${demoId('store', 1)}/orders`;
  await c.reaches(minji, order.orderId, 'PAID');
  const steps = [['accept', { minutes: 30 }], ['cook'], ['ready'], ['deliver'], ['complete']];
  for (let i = 0; i < steps.length; i++) {
    const r = await replicas[i % 3].post(`${board}/${order.orderId}/${steps[i][0]}`, steps[i][1], { as: owner });
    assert.equal(r.status, 200, JSON.stringify(r.body));
  }
  for (const s of streams) {
    await until('the stream to tell the end', async () => s.frames.some((f) => f.data.status === 'COMPLETED'), 10000);
    const ids = s.frames.map((f) => f.id);
    assert.deepEqual(ids, [...new Set(ids)].sort((x, y) => x - y), 'each step once, in order');
    await s.stop();
  }
});

test('a double click on two replicas is one order', options, async () => {
  const [a, b] = replicas;
  const suho = await a.login('customer2');
  assert.equal((await a.addToCart(suho, 6, 1, 1, { replace: true })).status, 201);
  const key = require('node:crypto').randomUUID();
  const both = await Promise.all([a.place(suho, 2, { key }), b.place(suho, 2, { key })]);
  for (const r of both) assert.ok(r.status === 201 || (r.status === 409 && r.body.code === 'IDEMPOTENCY_KEY_IN_USE'), JSON.stringify(r.body));
  assert.ok(both.some((r) => r.status === 201));
  const again = await b.place(suho, 2, { key });
  assert.equal(again.status, 201, JSON.stringify(again.body));
  const mine = await b.get('/v1/orders', { as: suho });
  assert.equal(mine.body.items.length, 1);
});

test('a session that one of them ends is over in all', options, async () => {
  const [a, b, c] = replicas;
  const gone = await b.login('customer9'), stays = await b.login('customer9');
  for (const p of replicas) assert.equal((await p.get('/v1/me', { as: gone })).status, 200);
  assert.equal((await a.post('/v1/auth/logout', undefined, { as: gone })).status, 204);
  assert.equal((await a.get('/v1/me', { as: gone })).status, 401, 'at once where it ended');
  for (const p of [b, c]) await until('a replica to hear of it', async () => (await p.get('/v1/me', { as: gone })).status === 401, 2000);
  for (const p of replicas) assert.equal((await p.get('/v1/me', { as: stays })).status, 200);
});

// Each order is pushed on by several processes at the same moment: who comes second finds it done, and says so in no log.
test('that they meet is no error', options, async () => {
  const ordering = async (n) => {
    const p = replicas[n % 3], q = replicas[(n + 1) % 3], as = await p.login(`customer${n}`);
    for (let i = 0; i < 12; i++) {
      await p.delete('/v1/cart', { as }); // the last order may not have heard that it is paid, and a line has a limit
      const added = await p.addToCart(as, 1 + 5 * (n % 5), 6, 9, { replace: true });
      assert.equal(added.status, 201, JSON.stringify(added.body));
      const placed = await p.place(as, n);
      assert.equal(placed.status, 201, JSON.stringify(placed.body));
      const confirmed = await q.confirm(as, placed.body, await p.authorize(placed.body));
      assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
    }
  };
  await Promise.all([10, 11, 12, 13, 14, 15, 16, 17].map(ordering));
  for (const p of replicas) assert.deepEqual(p.log.split('\n').filter((l) => /"level":"error"|Z error /.test(l)), []);
});

test('one is killed under load, the others go on, nothing is lost or doubled', options, async () => {
  const [a, b, c] = replicas;
  let over = false;
  const captured = [];
  const customer = async (n) => {
    const as = await b.login(`customer${n}`);
    while (!over) {
      if ((await b.addToCart(as, 1 + 5 * (n % 8), 3, 1, { replace: true })).status !== 201) continue;
      const placed = await c.place(as, n);
      if (placed.status !== 201 || placed.body.status !== 'AWAITING_PAYMENT') continue;
      const done = await b.confirm(as, placed.body, await c.authorize(placed.body));
      if (done.status === 200) captured.push(placed.body.orderId);
    }
  };
  const people = [3, 4, 5, 6, 7, 8].map(customer);
  await until('orders to be captured', async () => captured.length >= 3, 30000);
  await a.kill();
  const atDeath = captured.length;
  await sleep(3000);
  await until('more of them to be captured by the others', async () => captured.length >= atDeath + 3, 30000);
  over = true;
  await Promise.all(people);
  assert.ok(atDeath > 0 && captured.length > atDeath, `${atDeath} captured before, ${captured.length} in all`);
  const admin = await b.login('admin1');
  for (const orderId of captured)
    await until(`order ${orderId} to be paid`, async () => (await b.get(`/v1/admin/orders/${orderId}/story`, { as: admin })).body.order.status === 'PAID', 30000);
  let audit;
  for (let i = 0; i < 60; i++) {
    audit = spawnSync(BINARY, ['doctor', '--audit', '--data', path.join(b.dir, 'data')],
      { encoding: 'utf8', env: { PATH: process.env.PATH, ...b.options.env } });
    if (audit.status === 0) break;
    await sleep(500);
  }
  assert.equal(audit.status, 0, audit.stdout + audit.stderr);
});
