// rolling.test.js -- two replicas are restarted in turn under load, and nobody notices.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Site, SHORT, missing, sleep } = require('./site.js');
const { Apart, NAMES } = require('./apart_site.js');
const { Balancer } = require('./balancer.js');

const options = { skip: missing(), timeout: 240000 };

test('two platforms are restarted in turn', options, async () => {
  const site = await Site.start({ replicas: 2 });
  const front = await Balancer.start(() => site.platforms.map((p) => p.public));
  const toss = await Balancer.start(() => site.platforms.map((p) => p.toss));
  site.balancers.push(front, toss);
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
    await site.stop();
  }
});

test('two of each service, and two gateways, are restarted in turn', options, async () => {
  const site = await Apart.start({ replicas: 2, gateways: 2 });
  try {
    const { load } = await site.through('rolling restart of every service', async () => {
      for (const name of NAMES) {
        for (const s of site.services[name]) {
          assert.deepEqual(await s.end(), { code: 0, signal: null }, s.log);
          await s.start();
          await sleep(SHORT ? 200 : 1000);
        }
      }
      for (let i = 0; i < site.gateways.length; i++) {
        assert.deepEqual(await site.gateways[i].stop(), { code: 0, signal: null }, site.gateways[i].log);
        await sleep(500);
        await site.gateway(i);
      }
    });
    assert.ok(site.webFront.passedOver > 0, 'a replica was away');
    assert.deepEqual([...load.failed], [], 'nobody noticed');
  } finally {
    await site.stop();
  }
});
