// standby.test.js -- a platform with a replica: who reads it, who does not, and nobody notices when it is harmed. Run by tools/test-servers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { Platform, demoId, until, sleep } = require('../api/lib/platform.js');

const { TEST_POSTGRES, TEST_STANDBY, TEST_STANDBY_CTL } = process.env;
const LAG_S = 2;
const options = { skip: !TEST_STANDBY && 'needs TEST_STANDBY (tests/servers/postgres tests/servers/standby)', timeout: 120000 };
const STORE = `/v1/stores/${demoId('store', 1)}`;

const control = (...words) => assert.equal(spawnSync(TEST_STANDBY_CTL, words, { encoding: 'utf8' }).status, 0, words.join(' '));
const tell = (sql) => assert.equal(spawnSync('psql', ['-qXtA', TEST_STANDBY, '-c', sql]).status, 0, sql);
const harms = {
  paused: [() => tell('select pg_wal_replay_pause()'), () => tell('select pg_wal_replay_resume()')],
  stopped: [() => control('stop'), () => control('start')],
  killed: [() => control('kill'), () => control('start')],
  silent: [() => control('freeze', 'all'), () => control('thaw', 'all')],
};

let p, minji, owner;
test.before(async () => {
  if (options.skip) return;
  p = await Platform.start({ env: { JUMUN_DATABASE: TEST_POSTGRES, JUMUN_DATABASE_REPLICAS: TEST_STANDBY }, args: ['--database-replica-lag', String(LAG_S)] });
  minji = await p.login('minji');
  owner = await p.login('owner1');
  await reached('store');
});
test.after(() => p && p.stop());

async function metric(name, service) {
  const text = await (await fetch(`${p.internal}/metrics`)).text();
  return Number(new RegExp(`^${name}\\{service="${service}"\\} (\\d+)`, 'm').exec(text)[1]);
}
const reads = (service) => metric('jumun_db_replica_reads_total', service);
const reached = (service) => until(`the replica of ${service}`, async () => await metric('jumun_db_replicas', service) === 1);

// How many reads the replica answered for this request.
async function through(service, ask) {
  const before = await reads(service);
  const r = await ask();
  assert.equal(r.status, 200, JSON.stringify(r.body));
  return await reads(service) - before;
}

test('customers read stores and menus from it, owners their figures; nobody reads there what they change', options, async () => {
  await reached('order');
  assert.ok(await through('store', () => p.get('/v1/stores')) > 0, 'guest');
  assert.ok(await through('store', () => p.get(STORE, { as: minji })) > 0, 'customer');
  assert.equal(await through('store', () => p.get(STORE, { as: owner })), 0, 'owner');
  assert.equal(await through('store', () => p.get('/v1/owner/stores', { as: owner })), 0, "owner's own");
  assert.ok(await through('order', () => p.get(`/v1/owner${STORE.slice(3)}/figures`, { as: owner })) > 0, 'figures');
  assert.equal(await through('order', () => p.get('/v1/cart', { as: minji })), 0, 'cart');
  assert.equal(await through('order', () => p.get('/v1/orders', { as: minji })), 0, 'orders');
  assert.equal(await through('payment', () => p.get('/v1/payments', { as: minji })), 0, 'payments');
});

test('who wrote reads what they wrote; others a little later, also from the cache', options, async () => {
  const item = `/menu-items/${demoId('item', 1, 3)}`, name = `${Date.now()}`;
  const nameOf = async (as) => (await p.get(STORE + item, { as })).body.name;
  const inMenu = async (as) => (await p.get(`${STORE}/menu`, { as })).body.sections.flatMap((s) => s.items).some((i) => i.name === name);
  harms.paused[0]();
  try {
    const r = await p.patch(`/v1/owner${STORE.slice(3)}${item}`, { name }, { as: owner });
    assert.equal(r.status, 200, JSON.stringify(r.body));
    assert.equal(await nameOf(owner), name);
    assert.ok(await inMenu(owner));
    await inMenu(minji);
    assert.ok(await inMenu(owner), 'what a customer put into the cache is not for the owner');
    await sleep(LAG_S * 1000 + 1200);
    assert.equal(await nameOf(minji), name, 'replay is paused, and the primary answers by now');
    assert.ok(await inMenu(minji));
  } finally {
    harms.paused[1]();
  }
});

for (const [name, [harm, mend]] of Object.entries(harms)) {
  test(`the replica is ${name} under load: no request fails`, options, async () => {
    await reached('store');
    const before = await reads('store');
    let over = false, asked = 0, slowest = 0;
    const failed = [];
    const again = async (ask) => {
      while (!over) {
        const began = Date.now();
        const r = await ask().catch((e) => ({ status: String(e.cause || e) }));
        asked++;
        slowest = Math.max(slowest, Date.now() - began);
        if (r.status !== 200 && r.status !== 201) failed.push(r);
        await sleep(2);
      }
    };
    const all = ['/v1/stores', '/v1/stores?category=chicken', STORE, `${STORE}/menu`].map((url) => again(() => p.get(url, { as: minji })));
    all.push(again(async () => { // so that there is something to be behind of
      const r = await p.delete('/v1/cart', { as: minji });
      return r.status === 204 ? p.addToCart(minji, 1, 3) : r;
    }));
    await sleep(500);
    harm();
    await sleep(LAG_S * 1000 + 1000);
    const gone = await metric('jumun_db_replicas', 'store');
    mend();
    await reached('store');
    over = true;
    await Promise.all(all);
    console.log(`# ${name}: ${asked} requests, ${failed.length} failed, the slowest took ${slowest} ms`);
    assert.equal(gone, 0, 'it was left out');
    assert.deepEqual(failed, []);
    assert.ok(await reads('store') > before);
  });
}
