// attack.test.js -- what a stranger sends to bring the platform down or to see what is not theirs.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const { Platform } = require('./lib/platform');

let p;
test.before(async () => { p = await Platform.start(); });
test.after(() => p.stop());

const alive = async () => assert.strictEqual((await p.get('/v1/categories')).status, 200);

test('a webhook whose object is null is refused', async () => {
  for (const body of [{ eventType: 'PAYMENT_STATUS_CHANGED', data: null }, { eventType: null, data: null }]) {
    const r = await p.post('/v1/webhooks/toss', body);
    assert.strictEqual(r.status, 400);
    await alive();
  }
});
