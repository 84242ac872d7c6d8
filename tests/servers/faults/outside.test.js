// outside.test.js -- orders come in while the payment provider and the photos' server say nothing.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Site, SHORT, missing, sleep } = require('./site.js');

const options = { skip: missing(), timeout: 240000 };
const photos = !process.env.TEST_S3 ? {} : { JUMUN_BLOBS: process.env.TEST_S3,
  JUMUN_BLOBS_ACCESS_KEY: process.env.TEST_S3_ACCESS_KEY, JUMUN_BLOBS_SECRET_KEY: process.env.TEST_S3_SECRET_KEY };
let site;
test.before(async () => { if (!options.skip) site = await Site.start({ env: photos }); });
test.after(() => site && site.stop());

async function faults(method, body) {
  const r = await fetch(`${site.toss()}/simulator/faults`, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  assert.ok(r.ok, `faults: ${r.status}`);
}

// What is unknown is asked again after 2, 5, 10, 30 and 60 s.
for (const [name, how] of [['never answers', { hangRate: 100 }], ['does it and loses the answer', { timeoutAfterRate: 100 }],
  ['answers 500', { errorRate: 100 }]])
  test(`the provider ${name}`, options, () => site.through(`provider ${name}`, async () => {
    await faults('PUT', how);
    await sleep(SHORT ? 2000 : 10000);
    await faults('DELETE');
  }));

test('the server of the photos is frozen', { ...options, skip: missing('TEST_S3_PID') }, () => site.through('S3 frozen', async () => {
  process.kill(Number(process.env.TEST_S3_PID), 'SIGSTOP');
  await sleep(SHORT ? 2000 : 10000);
  process.kill(Number(process.env.TEST_S3_PID), 'SIGCONT');
}));
