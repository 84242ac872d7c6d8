// start.test.js -- every process is there before its servers, waits where everybody can see it, and works when they come.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { control, missing } = require('./site.js');
const { Apart } = require('./apart_site.js');
const { until } = require('../../api/lib/platform.js');

const options = { skip: missing('TEST_POSTGRES_CTL', 'TEST_KAFKA_CTL', 'TEST_REDIS_CTL'), timeout: 240000 };
const SERVERS = ['POSTGRES', 'KAFKA', 'REDIS'];
const shuffled = (list) => list.map((x) => [Math.random(), x]).sort((a, b) => a[0] - b[0]).map((x) => x[1]);

const down = new Set();
async function stop(server) {
  await control(server, 'stop');
  down.add(server);
}
async function start(server) {
  down.delete(server);
  await control(server, 'start');
}
async function look(s, where) {
  const r = await fetch(s.internal + where).catch(() => null);
  return r && { status: r.status, body: await r.json() };
}

// It lives, it is not ready, and it says what it waits for: to who looks, and in the log.
async function waits(s) {
  const startup = await until(`${s.name} to wait for its database`, async () => {
    assert.ok(s.alive, s.log);
    const r = await look(s, '/startupz');
    return r && r.body.waitsFor && r;
  });
  assert.equal(startup.status, 503);
  assert.match(startup.body.waitsFor, /nobody answers there: start the server/);
  assert.deepEqual(await look(s, '/livez'), { status: 200, body: { status: 'UP' } });
  assert.equal((await look(s, '/readyz')).status, 503);
  const early = await look(s, '/internal/v1/jwks');
  assert.deepEqual([early.status, early.body.code], [503, 'STARTING'], 'no route is there before its data');
  assert.match(s.log, /waiting for the database: nobody answers there/);
}

test('the processes are there before PostgreSQL, Kafka and Redis', options, async () => {
  const site = await Apart.prepare();
  try {
    for (const server of SERVERS) await stop(server);
    const order = shuffled(site.platforms);
    const back = shuffled(SERVERS);
    console.log(`# ${order.map((s) => s.name).join(', ')}; then ${back.join(', ').toLowerCase()}`);
    await site.gateway(0); // it keeps nothing, and so waits for nothing
    for (const s of order) s.launch();
    for (const s of order) await waits(s);
    assert.equal((await fetch(`${site.front()}/v1/stores`)).status, 503);
    for (const server of back) await start(server);
    for (const s of order) assert.equal(await Promise.race([s.ready, s.gone]), true, s.log);
    for (const s of order) {
      assert.match(s.log, /the database is there, after/);
      assert.deepEqual(await look(s, '/startupz'), { status: 200, body: { status: 'UP' } });
    }
    await site.through('servers that came after the processes', async () => {});
  } finally {
    for (const server of down) await start(server);
    await site.stop();
  }
});

test('one that is told to end while it waits ends well; one that waited long enough says so', options, async () => {
  const site = await Apart.prepare();
  try {
    await stop('POSTGRES');
    const [user] = site.services.user;
    user.launch();
    await waits(user);
    assert.deepEqual(await user.end(), { code: 0, signal: null }, user.log);
    assert.match(user.log, /stopped while it waited for the database/);
    user.args.push('--start-wait', '1');
    user.launch();
    assert.deepEqual(await user.gone, { code: 75, signal: null }, user.log);
    assert.match(user.log, /the database did not come: nobody answers there/);
  } finally {
    if (down.has('POSTGRES')) await start('POSTGRES');
    await site.stop();
  }
});

test('a database that will never let it in is not waited for', options, async () => {
  const site = await Apart.prepare();
  try {
    const [user] = site.services.user;
    user.env = { JUMUN_DATABASE: site.database.replace(/[^/]*$/, 'nowhere_at_all') };
    user.launch();
    assert.deepEqual(await user.gone, { code: 2, signal: null }, user.log);
    assert.match(user.log, /there is no such database: .*--database/);
  } finally {
    await site.stop();
  }
});
