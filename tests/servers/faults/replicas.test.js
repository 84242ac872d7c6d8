// replicas.test.js -- three of each service behind two gateways: what is once is once, and whoever asks may ask any of them.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { missing, run, randomUUID } = require('./site.js');
const { Apart, NAMES } = require('./apart_site.js');
const { demoId, until } = require('../../api/lib/platform.js');
const { follow } = require('../../api/lib/jumun.js');

const options = { skip: missing(), timeout: 240000 };
const REPLICAS = 3;
const KEEPERS = ['auth', 'user', 'store', 'order', 'payment', 'toss'];
let site;

async function ask(at, method, where, { token, body, key, headers = {} } = {}) {
  const h = { ...headers };
  if (token) h.authorization = `Bearer ${token}`;
  if (body) h['content-type'] = 'application/json';
  if (key) h['idempotency-key'] = key;
  const r = await fetch(at + where, { method, headers: h, body: body && JSON.stringify(body), signal: AbortSignal.timeout(30000) });
  const text = await r.text();
  return { status: r.status, body: /json/.test(r.headers.get('content-type') || '') ? JSON.parse(text) : text };
}
const wanted = async (status, ...call) => {
  const r = await ask(...call);
  assert.equal(r.status, status, `${call[1]} ${call[2]}: ${r.status} ${JSON.stringify(r.body)}`);
  return r.body;
};
const login = async (username) => (await wanted(200, site.front(), 'POST', '/v1/auth/login', { body: { username, password: 'jumun-demo-1' } })).accessToken;

// Every time that somebody takes a job is a row; then all jobs are due at once, while the other replicas start.
async function watchJobs() {
  const sql = KEEPERS.map((name) => `create table "${name}".job_log (name text);
    create function "${name}".job_taken() returns trigger language plpgsql security definer as
      $$ begin insert into "${name}".job_log values (new.name); return new; end $$;
    create trigger job_taken after update on "${name}".jobs for each row when (new.lease_until > old.lease_until)
      execute function "${name}".job_taken();
    update "${name}".jobs set due_us = 0;`).join('\n');
  const r = await run('psql', ['-qX', '-v', 'ON_ERROR_STOP=1', site.database, '-c', sql]);
  assert.ok(r.ok, r.text);
}

test.before(async () => {
  if (options.skip) return;
  site = await Apart.prepare({ replicas: REPLICAS, gateways: 2 });
  try {
    await site.begin(watchJobs);
  } catch (e) {
    await site.stop();
    throw e;
  }
});
test.after(() => site && site.stop());

// The site's reckoning at the end is to know it.
const known = (order) => site.known.add(order.orderId.replaceAll('-', ''));

// A cart with one dish, ordered through any gateway.
async function place(token, customer, more = {}) {
  const store = 1 + 5 * (customer % 8);
  const menu = await wanted(200, site.front(), 'GET', `/v1/stores/${demoId('store', store)}/menu-items/${demoId('item', store, 3)}`);
  const optionIds = (menu.optionGroups || []).filter((g) => g.min > 0).map((g) => g.options[0].optionId);
  await until('the dish to be known', async () => (await ask(site.front(), 'POST', '/v1/cart/items', { token,
    body: { menuItemId: demoId('item', store, 3), quantity: 1, optionIds, replace: true } })).status === 201, 30000);
  const body = { addressId: demoId('address', customer) };
  if (more.only === 'cart') return { body };
  const placed = await wanted(201, site.front(), 'POST', '/v1/orders', { token, key: randomUUID(), headers: { prefer: 'wait=5' }, body });
  known(placed);
  return { body, placed };
}

async function reaches(at, token, orderId, status) {
  await until(`${orderId} to be ${status}`, async () => (await wanted(200, at, 'GET', `/v1/orders/${orderId}`, { token })).status === status, 30000);
}

const sumOf = async (services, series) => {
  let n = 0;
  for (const s of services) {
    const text = await (await fetch(`${s.internal}/metrics`)).text();
    for (const line of text.split('\n')) if (line.startsWith(series)) n += Number(line.slice(line.lastIndexOf(' ')));
  }
  return n;
};

test('a stream tells everything once, whichever replica or gateway it comes from; the timer of a webhook fires once', options, async () => {
  const token = await login('minji');
  const { placed } = await place(token, 1);
  const doors = [...site.services.order.map((s) => s.public), ...site.gateways.map((g) => g.public)];
  const streams = await Promise.all(doors.map((door) => follow({ public: door }, `/v1/orders/${placed.orderId}/events`, { token })));
  await reaches(site.front(), token, placed.orderId, 'AWAITING_PAYMENT');
  const hooks = () => sumOf(site.services.payment, 'jumun_http_requests_total{route="POST /v1/webhooks/toss",status="2xx"}');
  const before = await hooks();
  const { paymentKey } = await wanted(200, site.toss(), 'POST', '/simulator/authorize', { body: { orderId: placed.orderId, amount: placed.totalWon } });
  await wanted(200, site.front(), 'POST', '/v1/payments/confirm', { token, key: randomUUID(),
    body: { paymentKey, orderId: placed.orderId, amountWon: placed.totalWon } });
  for (const s of streams) {
    await s.until((e) => e.data.status === 'PAID' || e.data.to === 'PAID', 'PAID', 30000);
    const ids = s.events.map((e) => Number(e.id));
    assert.deepEqual(ids, [...new Set(ids)].sort((a, b) => a - b), 'each step once, in order');
    s.close();
  }
  await until('the webhook', async () => await hooks() > before, 15000);
  await new Promise((done) => setTimeout(done, 1500));
  assert.equal(await hooks() - before, 1, 'webhooks of one payment');
});

test('one key at three replicas at once is one order', options, async () => {
  const token = await login('customer2');
  const { body } = await place(token, 2, { only: 'cart' });
  const key = randomUUID();
  const all = await Promise.all(site.services.order.map((s) => ask(s.public, 'POST', '/v1/orders', { token, key, body })));
  for (const r of all) assert.ok(r.status === 201 || (r.status === 409 && r.body.code === 'IDEMPOTENCY_KEY_IN_USE'), JSON.stringify(r));
  const again = await Promise.all(site.services.order.map((s) => wanted(201, s.public, 'POST', '/v1/orders', { token, key, body })));
  assert.equal(new Set(again.map((o) => o.orderId)).size, 1);
  known(again[0]);
  assert.equal((await wanted(200, site.front(), 'GET', '/v1/orders', { token })).items.length, 1);
});

test('jobs that are due run in one of the replicas', options, async () => {
  const taken = async () => (await site.rows(KEEPERS.map((name) => `select '${name}', name, count(*) from "${name}".job_log group by name`).join(' union all ')));
  const jobs = async () => (await site.rows(KEEPERS.map((name) => `select '${name}', name from "${name}".jobs`).join(' union all ')));
  const all = await jobs();
  assert.ok(all.length >= KEEPERS.length, all.join());
  await until('every job to be taken', async () => (await taken()).length === all.length, 90000);
  assert.deepEqual((await taken()).sort(), all.map((job) => `${job} 1`).sort());
});

test('what a client may do in a minute counts in all replicas together', options, async () => {
  const limited = await Apart.prepare({ replicas: REPLICAS });
  try {
    for (const s of limited.services.user) {
      s.args.push('--rate-limit', '30', '--proxies', '1');
      await s.start();
    }
    let served = 0;
    for (let i = 0; i < 60; i++) {
      const r = await ask(limited.services.user[i % REPLICAS].public, 'GET', '/v1/none', { headers: { 'x-forwarded-for': '198.51.100.7' } });
      assert.ok([404, 429].includes(r.status), `${r.status}`);
      served += r.status === 404;
    }
    assert.ok(served >= 30 && served < 45, `${served} of 60 were served, 30 a minute may be`);
  } finally {
    await limited.stop();
  }
});

test('each has its work, and the books are right', options, () => site.through(`${REPLICAS} of each of ${NAMES.length} services`, async () => {
  for (const s of site.services.order) assert.ok(await sumOf([s], 'jumun_http_requests_total{route="POST /v1/orders",status="2xx"}') > 0, 'everybody takes orders');
}));
