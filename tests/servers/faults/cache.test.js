// cache.test.js -- orders come in while Redis forgets everything, is away, and is slow.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Site, SHORT, control, missing, sleep } = require('./site.js');
const { Wire } = require('./wire.js');

const options = { skip: missing('TEST_REDIS_CTL'), timeout: 240000 };
let site, wire;
test.before(async () => {
  if (options.skip) return;
  const url = new URL(process.env.TEST_REDIS);
  wire = await Wire.start(Number(url.port));
  url.port = wire.port;
  site = await Site.start({ env: { JUMUN_CACHE: url.href } });
});
test.after(async () => {
  if (site) await site.stop();
  if (wire) await wire.stop();
});

test('Redis forgets everything', options, () => site.through('Redis flushed', async () => {
  for (let i = 0; i < (SHORT ? 2 : 5); i++) {
    await control('REDIS', 'flush');
    await sleep(500);
  }
}));

test('Redis is away', options, () => site.through('Redis away', async () => {
  await control('REDIS', 'stop');
  await sleep(SHORT ? 2000 : 10000);
  await control('REDIS', 'start');
}));

test('Redis is slow', options, () => site.through('Redis slower by 200 ms', async () => {
  wire.delayMs = 200;
  await sleep(SHORT ? 2000 : 10000);
  wire.delayMs = 0;
  assert.ok(wire.joined > 0, 'the platform uses Redis');
}));

test('Redis says nothing', options, () => site.through('Redis silent', async () => {
  wire.freeze();
  await sleep(SHORT ? 2000 : 10000);
  wire.thaw();
}));
