// bus.test.js -- orders come in while Kafka is away, and while its consumer groups are never at rest.
'use strict';
const test = require('node:test');
const { Site, SHORT, control, missing, sleep } = require('./site.js');

const AWAY_S = Number(process.env.FAULT_KAFKA_SECONDS || (SHORT ? 6 : 20));
const options = { skip: missing('TEST_KAFKA_CTL'), timeout: 240000 + AWAY_S * 1000 };
let site;
test.before(async () => { if (!options.skip) site = await Site.start(); });
test.after(() => site && site.stop());

// Whose stock was not reserved within a minute is told so: that is an answer too.
test('Kafka is away', options, () => site.through(`Kafka away for ${AWAY_S} s`, async () => {
  await control('KAFKA', 'stop');
  await sleep(AWAY_S * 1000);
  await control('KAFKA', 'start');
}, { allow: (status) => AWAY_S > 40 && status === 'REJECTED' }));

test('consumer groups are rebalanced again and again', options, () => site.through('groups rebalanced', async () => {
  for (let i = 0; i < (SHORT ? 1 : 3); i++) {
    const other = await site.platform();
    await sleep(SHORT ? 2000 : 5000);
    const end = await other.stop();
    if (end.code !== 0) throw new Error(`the other platform ended with ${JSON.stringify(end)}: ${other.log}`);
    await sleep(SHORT ? 0 : 5000);
  }
}));
