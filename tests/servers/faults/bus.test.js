// bus.test.js -- orders come in while Kafka is away, and while its consumer groups are never at rest.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Site, SHORT, BOUND_S, control, missing, sleep } = require('./site.js');

const AWAY_S = Number(process.env.FAULT_KAFKA_SECONDS || (SHORT ? 6 : 20));
const options = { skip: missing('TEST_KAFKA_CTL'), timeout: 240000 + AWAY_S * 2000 };
let site;
test.before(async () => { if (!options.skip) site = await Site.start(); });
test.after(() => site && site.stop());

// What waits to be published is in the outboxes, and goes when the broker is back.
async function outboxes(load, stop) {
  const seen = { most: 0, empty: null };
  while (!seen.empty && !stop()) {
    await sleep(500);
    const rows = await site.metric('jumun_outbox_rows');
    seen.most = Math.max(seen.most, rows);
    if (rows === 0 && !load.during) seen.empty = Date.now();
  }
  return seen;
}

// Whose stock was not reserved within a minute is told so, and an owner who was silent for ten minutes gives the money back: these are answers too.
const answers = (status) => (AWAY_S > 40 && status === 'REJECTED') || (AWAY_S > 500 && status === 'CANCELLED');
test('Kafka is away', options, async () => {
  let watching, back, ended = false;
  await site.through(`Kafka away for ${AWAY_S} s`, async (load) => {
    watching = outboxes(load, () => ended);
    await control('KAFKA', 'stop');
    await sleep(AWAY_S * 1000);
    await control('KAFKA', 'start');
    back = Date.now();
  }, { allow: answers, boundS: BOUND_S + AWAY_S / 2 }).finally(() => { ended = true; });
  const seen = await watching;
  assert.ok(seen.most > 0, 'events waited in the outboxes');
  assert.ok(seen.empty, `the outboxes are empty in the end (${seen.most} at most)`);
  console.log(`fault: at most ${seen.most} events waited in the outboxes; empty ${((seen.empty - back) / 1000).toFixed(1)} s after Kafka was back`);
});

test('consumer groups are rebalanced again and again', options, () => site.through('groups rebalanced', async () => {
  for (let i = 0; i < (SHORT ? 1 : 3); i++) {
    const other = await site.platform();
    await sleep(SHORT ? 2000 : 5000);
    const end = await other.stop();
    if (end.code !== 0) throw new Error(`the other platform ended with ${JSON.stringify(end)}: ${other.log}`);
    await sleep(SHORT ? 0 : 5000);
  }
}));
