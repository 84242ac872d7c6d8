// settle.test.js -- an idempotency key that could not be settled is free soon, not when its lease runs out.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Platform, until, randomUUID } = require('./lib/platform.js');

test('the database is away just when an answer is to be kept', { timeout: 60000 }, async () => {
  const p = await Platform.start({ env: { JUMUN_FAULT: [1, 2, 3, 4].map((n) => `idempotency.settle:${n}:fail`).join(',') } });
  try {
    const minji = await p.login('minji');
    assert.equal((await p.addToCart(minji, 1, 1)).status, 201);
    const key = randomUUID();
    const first = await p.place(minji, 1, { key, wait: 0 });
    assert.equal(first.status, 201, JSON.stringify(first.body));
    const began = Date.now();
    const again = await until('the same answer', async () => {
      const r = await p.place(minji, 1, { key, wait: 0 });
      if (r.status === 409 && r.body.code === 'IDEMPOTENCY_KEY_IN_USE') return null;
      return r;
    }, 20000);
    assert.equal(again.status, 201, JSON.stringify(again.body));
    assert.equal(again.body.orderId, first.body.orderId);
    assert.ok(Date.now() - began < 10000, 'long before the lease of a minute');
    assert.match(p.log, /idempotency key not settled/);
  } finally {
    await p.stop();
  }
});
