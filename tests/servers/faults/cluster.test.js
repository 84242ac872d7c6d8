// cluster.test.js -- orders come in while the brokers of a cluster hand partitions to each other, die and come back.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Site, SHORT, missing, run, sleep } = require('./site.js');

const BROKERS = (process.env.TEST_KAFKA || '').split(',').length;
const PARTITIONS = 3;
const options = { skip: missing('TEST_KAFKA_CTL') || (BROKERS < 3 && 'needs three brokers (KAFKA_BROKERS=3 tests/servers/kafka)'), timeout: 300000 };
let site, topic;
test.before(async () => {
  if (options.skip) return;
  site = await Site.start();
  topic = `${new URLSearchParams(site.env.JUMUN_BUS.split('?')[1]).get('prefix')}order`;
});
test.after(() => site && site.stop());

async function ctl(...words) {
  const r = await run(process.env.TEST_KAFKA_CTL, words.map(String));
  assert.ok(r.ok, `kafka ${words.join(' ')}: ${r.text}`);
  return r.out.trim();
}

test('partitions that orders go through get another leader', options, () => site.through('Kafka leaders moved', async () => {
  for (let partition = 0; partition < (SHORT ? 1 : PARTITIONS); partition++) {
    const before = Number(await ctl('leader', topic, partition)), after = before % BROKERS + 1;
    await ctl('lead', topic, partition, after);
    assert.equal(Number(await ctl('leader', topic, partition)), after, 'the leader is another one');
  }
}));

test('the leader of a partition is killed and comes back', options, () => site.through('Kafka leader killed', async () => {
  for (let partition = 0; partition < (SHORT ? 1 : PARTITIONS); partition++) {
    const leader = await ctl('leader', topic, partition);
    await ctl('kill', leader);
    await sleep(SHORT ? 6000 : 10000);
    assert.notEqual(await ctl('leader', topic, partition), leader, 'somebody else leads');
    await ctl('start', leader);
    await sleep(SHORT ? 0 : 5000);
  }
}));

test('all brokers are restarted in turn', { ...options, skip: options.skip || (SHORT && 'left out of the brief form') },
  () => site.through('Kafka rolled', async () => {
    for (let broker = 1; broker <= BROKERS; broker++) {
      await ctl('stop', broker);
      await ctl('start', broker);
      await sleep(5000);
    }
  }));
