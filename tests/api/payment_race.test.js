// payment_race.test.js -- what happens to an order while its money moves: cancels against confirms, captures found late.
'use strict';
const { after, afterEach, before, describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { randomUUID, sleep } = require('./lib/platform.js');
const { Till } = require('./lib/till.js');

let till;
before(async () => { till = await Till.start(); });
after(() => till.stop());
afterEach(async () => { await till.faults({}); await till.balanced(); });

// Whoever wins: the customer is told the truth, and pays nothing in the end.
async function race(order, paymentKey, first, gapMs) {
  const both = first === 'cancel'
    ? [till.cancel(order), sleep(gapMs).then(() => till.confirm(order, paymentKey))]
    : [sleep(gapMs).then(() => till.cancel(order)), till.confirm(order, paymentKey)];
  const [cancel, confirm] = await Promise.all(both);
  assert.ok([200, 202].includes(cancel.status), JSON.stringify(cancel.body));
  if (confirm.status === 409) assert.equal(confirm.body.code, 'ORDER_STATE', JSON.stringify(confirm.body));
  else assert.equal(confirm.status, 200, JSON.stringify(confirm.body));
  await till.reaches(order, 'CANCELLED');
  const payments = await till.paymentsOf(order);
  assert.ok(payments.length <= 1);
  if (confirm.status === 200) assert.deepEqual([payments[0].status, payments[0].refundedWon], ['REFUNDED', order.totalWon]);
  else assert.deepEqual(await till.booksOf(order), []);
  return { confirm, payment: payments[0] };
}

describe('a cancel', () => {
  test('that races the confirm: either nothing is taken, or all comes back', async () => {
    for (const first of ['cancel', 'confirm'])
      for (const gapMs of [0, 0, 1, 2, 4, 8]) {
        const order = await till.order();
        await race(order, await till.authorize(order), first, gapMs);
      }
  });

  test('while the provider thinks about it, and then approves: all comes back', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order);
    await till.faults({ delayMs: 600 });
    const confirm = till.confirm(order, paymentKey);
    await till.reaches(order, 'CONFIRMING');
    const asked = await till.cancel(order);
    assert.equal(asked.status, 202, JSON.stringify(asked.body));
    assert.equal(asked.body.status, 'CONFIRMING');
    assert.equal((await confirm).status, 200);
    await till.faults({});
    await till.reaches(order, 'CANCELLED');
    assert.equal((await till.state(order)).refundedWon, order.totalWon);
  });

  test('while the provider thinks about it, and then declines: the order ends, nothing was taken', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order, 'decline');
    await till.faults({ delayMs: 600 });
    const confirm = till.confirm(order, paymentKey);
    await till.reaches(order, 'CONFIRMING');
    assert.equal((await till.cancel(order)).status, 202);
    const no = await confirm;
    assert.deepEqual([no.status, no.body.code], [402, 'PAYMENT_DECLINED']);
    await till.reaches(order, 'PAYMENT_FAILED');
    assert.equal((await till.confirm(order, await till.authorize(order))).status, 409, 'it cannot be paid any more');
    assert.deepEqual(await till.booksOf(order), []);
  });

  test('eight times at once, during the confirm: the money goes back once', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order);
    await till.faults({ delayMs: 300 });
    const confirm = till.confirm(order, paymentKey);
    const cancels = await Promise.all([...Array(8)].map(() => till.cancel(order)));
    for (const c of cancels) assert.ok([200, 202, 409].includes(c.status), JSON.stringify(c.body));
    await confirm;
    await till.faults({});
    await till.reaches(order, 'CANCELLED');
    for (const book of await till.booksOf(order)) assert.equal(book.balance, 0);
  });
});

describe('a rush', () => {
  test('of ten confirms at the same time: each order has the fate of its own card', async () => {
    const orders = [];
    for (let i = 0; i < 10; i++) orders.push(await till.order());
    const keys = await Promise.all(orders.map((o, i) => till.authorize(o, i % 3 ? undefined : 'decline')));
    const replies = await Promise.all(orders.map((o, i) => till.confirm(o, keys[i])));
    assert.deepEqual(replies.map((r) => r.status), orders.map((_, i) => (i % 3 ? 200 : 402)));
    for (const [i, o] of orders.entries()) await till.reaches(o, i % 3 ? 'PAID' : 'AWAITING_PAYMENT');
  });
});

describe('a capture', () => {
  // The order was cancelled between our look at it and the pin: the payment failed, its window is still open.
  async function deadPayment() {
    for (let i = 0; i < 60; i++) {
      const order = await till.order();
      const paymentKey = await till.authorize(order);
      const { payment } = await race(order, paymentKey, i % 2 ? 'cancel' : 'confirm', i % 4);
      if (payment && payment.status === 'FAILED') return { order, paymentKey, payment };
    }
    return null;
  }

  test('found late, for a dead order, is given back once', async (t) => {
    const dead = await deadPayment();
    if (!dead) return t.skip('no cancel came between look and pin in sixty tries');
    const { order, paymentKey } = dead;
    const r = await till.provider('POST', '/v1/payments/confirm',
      { paymentKey, orderId: order.orderId, amount: order.totalWon }, { 'idempotency-key': randomUUID() });
    assert.equal(r.status, 200, JSON.stringify(r.body));
    for (let i = 0; i < 3; i++)
      await till.p.post('/v1/webhooks/toss', { eventType: 'PAYMENT_STATUS_CHANGED', data: { paymentKey } });
    const back = async () => (await till.paymentsOf(order))[0];
    for (let i = 0; i < 200 && (await back()).status !== 'REFUNDED'; i++) await sleep(50);
    const payment = await back();
    assert.deepEqual([payment.status, payment.refundedWon, payment.refunds.length], ['REFUNDED', order.totalWon, 1]);
    assert.equal((await till.state(order)).status, 'CANCELLED', 'a dead order does not come back');
    assert.deepEqual((await till.booksOf(order)).map((b) => b.balance), [0]);
  });
});
