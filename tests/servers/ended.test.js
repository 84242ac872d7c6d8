// ended.test.js -- two platforms on real servers: a logout at one is heard by the other while Redis and the bus forget, hang and are away.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Site, control, missing } = require('./faults/site.js');
const { Wire } = require('./faults/wire.js');
const { until } = require('../api/lib/platform.js');

const options = { skip: missing('TEST_REDIS_CTL', 'TEST_KAFKA_CTL'), timeout: 240000 };
const SOON_MS = 3000;
let site, wire;
test.before(async () => {
  if (options.skip) return;
  const url = new URL(process.env.TEST_REDIS);
  wire = await Wire.start(Number(url.port));
  url.port = wire.port;
  site = await Site.start({ replicas: 2, env: { JUMUN_CACHE: url.href } });
});
test.after(async () => {
  if (site) await site.stop();
  if (wire) await wire.stop();
});

async function logoutIsHeard(what) {
  const [a, b] = site.platforms;
  const gone = await a.login('customer7'), stays = await a.login('customer7');
  for (const as of [gone, stays]) assert.equal((await b.get('/v1/cart', { as })).status, 200, what);
  assert.equal((await a.post('/v1/auth/logout', undefined, { as: gone })).status, 204, what);
  const from = Date.now();
  await until(`the other platform to hear of a logout, Redis or bus ${what}`, async () => (await b.get('/v1/cart', { as: gone })).status === 401, SOON_MS);
  console.log(`# ${what}: heard after ${Date.now() - from} ms`);
  assert.equal((await b.get('/v1/cart', { as: stays })).status, 200, `${what}: the other session goes on`);
  assert.equal((await b.get('/v1/cart', { as: gone })).status, 401, 'and stays out');
}

test('all is well', options, () => logoutIsHeard('well'));

test('Redis forgets everything, before and after', options, async () => {
  await control('REDIS', 'flush');
  await logoutIsHeard('flushed');
  const [a, b] = site.platforms;
  const gone = await a.login('customer8');
  await a.post('/v1/auth/logout', undefined, { as: gone });
  await until('it to be heard', async () => (await b.get('/v1/cart', { as: gone })).status === 401, SOON_MS);
  await control('REDIS', 'flush');
  for (const p of [a, b]) assert.equal((await p.get('/v1/cart', { as: gone })).status, 401, 'nobody is back');
});

test('Redis is slow', options, async () => {
  wire.delayMs = 200;
  try { await logoutIsHeard('slower by 200 ms'); } finally { wire.delayMs = 0; }
});

test('Redis says nothing', options, async () => {
  wire.freeze();
  try { await logoutIsHeard('silent'); } finally { wire.thaw(); }
});

test('Redis is away', options, async () => {
  await control('REDIS', 'stop');
  try { await logoutIsHeard('away'); } finally { await control('REDIS', 'start'); }
});

test('the bus is away', options, async () => {
  await control('KAFKA', 'freeze');
  try { await logoutIsHeard('with a frozen broker'); } finally { await control('KAFKA', 'thaw'); }
});
