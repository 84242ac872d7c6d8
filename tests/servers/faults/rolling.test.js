// rolling.test.js -- two replicas are restarted in turn under load, and nobody notices.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Site, SHORT, missing, sleep } = require('./site.js');
const { Balancer } = require('./balancer.js');

const options = { skip: missing(), timeout: 240000 };

test('two platforms are restarted in turn', options, async () => {
  const site = await Site.start({ replicas: 2 });
  const front = await Balancer.start(() => site.platforms.map((p) => p.public));
  const toss = await Balancer.start(() => site.platforms.map((p) => p.toss));
  site.front = () => front.url;
  site.toss = () => toss.url;
  try {
    for (const p of site.platforms) p.options.settle = false;
    const { load } = await site.through('rolling restart', async () => {
      for (let i = 0; i < (SHORT ? 2 : 6); i++) {
        const p = site.platforms[i % 2];
        assert.deepEqual(await p.stop(), { code: 0, signal: null }, p.log);
        await p.run();
        await sleep(1000);
      }
    });
    assert.ok(front.passedOver > 0, 'a replica was away');
    assert.deepEqual([...load.failed], [], 'nobody noticed');
  } finally {
    await front.stop();
    await toss.stop();
    await site.stop();
  }
});
