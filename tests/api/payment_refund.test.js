// payment_refund.test.js -- money on its way back: cancels, refusals, operators' refunds, answers that get lost.
'use strict';
const { after, afterEach, before, describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { randomUUID, until } = require('./lib/platform.js');
const { Till } = require('./lib/till.js');

let till;
before(async () => { till = await Till.start(); });
after(() => till.stop());
afterEach(async () => { await till.faults({}); await till.balanced(); });

const refused = (r, status, code) => {
  assert.equal(r.status, status, JSON.stringify(r.body));
  assert.equal(r.body.code, code, JSON.stringify(r.body));
};
const refund = (payment, amountWon, { as = till.admin, key = true, body = {} } = {}) =>
  till.p.post(`/v1/admin/payments/${payment.paymentId}/refunds`, { amountWon, reason: '음식이 식었어요', payer: 'platform', ...body }, { as, key });
const paymentOf = async (order) => (await till.paymentsOf(order)).find((p) => p.status !== 'FAILED');
const given = (order, won) => until(`${won} won of ${order.orderId} to be back`, async () => {
  const p = await paymentOf(order);
  return p.refundedWon === won && p.status !== 'REFUNDING' && p;
}, 30000);
// How often the provider gave something back for this order.
async function cancelsOf(order) {
  const [book] = await till.booksOf(order);
  return (await till.provider('GET', `/v1/payments/${book.paymentKey}`)).body.cancels || [];
}

describe('all of it goes back', () => {
  test('when the customer cancels a paid order', async () => {
    const order = await till.paid(2);
    const asked = await till.cancel(order);
    assert.equal(asked.status, 202, JSON.stringify(asked.body));
    assert.equal(asked.body.status, 'CANCELLING');
    const done = await till.reaches(order, 'CANCELLED');
    assert.equal(done.refundedWon, order.totalWon);
    const payment = await paymentOf(order);
    assert.deepEqual([payment.status, payment.refundedWon, payment.refunds.length], ['REFUNDED', order.totalWon, 1]);
    assert.ok(payment.refunds[0].doneAt);
    assert.equal((await cancelsOf(order)).length, 1);
    refused(await till.cancel(order), 409, 'ORDER_STATE');
  });

  test('when the owner refuses, and the reason is told', async () => {
    const order = await till.paid();
    const r = await till.act(order, 'refuse', { reason: '재료가 떨어졌어요' });
    assert.equal(r.status, 200, JSON.stringify(r.body));
    const done = await till.reaches(order, 'CANCELLED');
    assert.equal(done.refundedWon, order.totalWon);
    assert.ok(done.history.some((h) => h.reason === '재료가 떨어졌어요'));
  });

  test('when the owner has to cancel what was accepted; a customer then is too late', async () => {
    const order = await till.paid();
    assert.equal((await till.act(order, 'accept', { minutes: 30 })).status, 200);
    refused(await till.cancel(order), 409, 'ORDER_STATE');
    assert.equal((await till.act(order, 'cancel', { reason: '불이 났어요' })).status, 200);
    await till.reaches(order, 'CANCELLED');
    assert.equal((await paymentOf(order)).refundedWon, order.totalWon);
  });

  test('once, when customer and owner end the order at the same time', async () => {
    const order = await till.paid();
    const replies = await Promise.all([till.cancel(order), till.act(order, 'refuse', { reason: '마감' }), till.cancel(order)]);
    assert.ok(replies.every((r) => [200, 202, 409].includes(r.status)), JSON.stringify(replies.map((r) => r.body)));
    await till.reaches(order, 'CANCELLED');
    assert.equal((await cancelsOf(order)).length, 1);
  });
});

describe('the answer to a refund', () => {
  for (const [name, faults] of [['is lost on the way there', { timeoutBeforeRate: 100 }],
    ['is lost on the way back', { timeoutAfterRate: 100 }], ['is a 500', { errorRate: 100 }]]) {
    test(`${name}: the money goes back once`, async () => {
      const order = await till.paid();
      const from = Date.now();
      await till.faults({ ...faults, webhookTo: '' });
      assert.equal((await till.cancel(order)).status, 202);
      // Long enough for a first try to have failed.
      await until('a first try', async () => (await cancelsOf(order)).length === 1 || Date.now() - from > 1000);
      await till.faults({});
      const done = await till.reaches(order, 'CANCELLED');
      assert.equal(done.refundedWon, order.totalWon);
      assert.equal((await cancelsOf(order)).length, 1);
    });
  }
});

describe('an operator gives back', () => {
  test('a part, a second part, and then the customer cancels: the rest', async () => {
    const order = await till.paid(2);
    const payment = await paymentOf(order);
    const first = await refund(payment, 1000);
    assert.equal(first.status, 202, JSON.stringify(first.body));
    assert.deepEqual([first.body.status, first.body.refunds.length], ['REFUNDING', 1]);
    assert.equal((await given(order, 1000)).status, 'PARTIALLY_REFUNDED');
    assert.equal((await refund(payment, 1000)).status, 202, 'the same amount again, on purpose');
    await given(order, 2000);
    assert.equal((await till.state(order)).status, 'PAID');
    await until('the order to hear of it', async () => (await till.state(order)).refundedWon === 2000);
    assert.equal((await till.cancel(order)).status, 202);
    await till.reaches(order, 'CANCELLED');
    const all = await given(order, order.totalWon);
    assert.deepEqual([all.status, all.refunds.length], ['REFUNDED', 3]);
    assert.equal((await cancelsOf(order)).length, 3);
  });

  test('twice with one Idempotency-Key: once', async () => {
    const order = await till.paid();
    const payment = await paymentOf(order);
    const key = randomUUID();
    const [a, b] = [await refund(payment, 700, { key }), await refund(payment, 700, { key })];
    assert.deepEqual([a.status, b.status], [202, 202]);
    assert.deepEqual(b.body, a.body);
    refused(await refund(payment, 701, { key }), 422, 'IDEMPOTENCY_KEY_REUSED');
    refused(await refund(payment, 700, { key: false }), 400, 'IDEMPOTENCY_KEY_MISSING');
    assert.equal((await given(order, 700)).refunds.length, 1);
  });

  test('several parts at the same time: one after the other, each once', async () => {
    const order = await till.paid();
    const payment = await paymentOf(order);
    const replies = await Promise.all([100, 200, 300].map((won) => refund(payment, won)));
    assert.deepEqual(replies.map((r) => r.status), [202, 202, 202]);
    const p = await given(order, 600);
    assert.equal(p.status, 'PARTIALLY_REFUNDED');
    assert.deepEqual((await cancelsOf(order)).map((c) => c.cancelAmount).sort(), [100, 200, 300]);
  });

  test('never more than was captured', async () => {
    const order = await till.paid();
    const payment = await paymentOf(order);
    refused(await refund(payment, order.totalWon + 1), 409, 'REFUND_AMOUNT');
    const replies = await Promise.all([1, 2, 3].map(() => refund(payment, order.totalWon)));
    assert.deepEqual(replies.map((r) => r.status).sort(), [202, 409, 409], JSON.stringify(replies.map((r) => r.body)));
    await given(order, order.totalWon);
    refused(await refund(payment, 1), 409, 'REFUND_AMOUNT');
    await till.reaches(order, 'CANCELLED');
  });

  test('everything before it is cooked: the order ends, its stock is back, nothing goes back twice', async () => {
    for (const accepted of [false, true]) {
      const order = await till.paid();
      if (accepted) assert.equal((await till.act(order, 'accept', { minutes: 20 })).status, 200);
      assert.equal((await refund(await paymentOf(order), order.totalWon)).status, 202);
      const done = await till.reaches(order, 'CANCELLED');
      assert.ok(done.history.some((h) => h.status === 'CANCELLING'), JSON.stringify(done.history));
      refused(await till.act(order, accepted ? 'cook' : 'accept', accepted ? undefined : { minutes: 20 }), 409, 'ORDER_STATE');
      assert.equal((await cancelsOf(order)).length, 1);
    }
  });

  test('everything of what is being cooked: the order goes on, the food is a gift', async () => {
    const order = await till.paid();
    assert.equal((await till.act(order, 'accept', { minutes: 20 })).status, 200);
    assert.equal((await till.act(order, 'cook')).status, 200);
    assert.equal((await refund(await paymentOf(order), order.totalWon)).status, 202);
    await given(order, order.totalWon);
    await until('the order to hear of it', async () => (await till.state(order)).refundedWon === order.totalWon);
    assert.equal((await till.act(order, 'ready')).status, 200);
  });

  test('a part, while the customer cancels: all goes back, nothing twice', async () => {
    for (let i = 0; i < 3; i++) {
      const order = await till.paid();
      const payment = await paymentOf(order);
      const [part, cancel] = await Promise.all([refund(payment, 500), till.cancel(order)]);
      assert.equal(cancel.status, 202, JSON.stringify(cancel.body));
      if (part.status !== 202) refused(part, 409, 'REFUND_AMOUNT');
      await till.reaches(order, 'CANCELLED');
      assert.equal((await given(order, order.totalWon)).status, 'REFUNDED');
    }
  });

  test('nothing of what was not captured, not known, or not a sum', async () => {
    const order = await till.order();
    assert.equal((await till.confirm(order, await till.authorize(order, 'decline'))).status, 402);
    const [failed] = await till.paymentsOf(order);
    refused(await refund(failed, 100), 409, 'PAYMENT_STATE');
    refused(await refund({ paymentId: randomUUID() }, 100), 404, 'NOT_FOUND');
    const paid = await paymentOf(await till.paid());
    for (const won of [0, -1, 1.5, '100', null, 100000001]) refused(await refund(paid, won), 400, 'INVALID');
    for (const body of [{ reason: '' }, { payer: 'customer' }, { reason: undefined }, { status: 'DONE' }])
      refused(await refund(paid, 100, { body }), 400, 'INVALID');
    for (const as of [till.minji, till.owner]) assert.equal((await refund(paid, 100, { as })).status, 403);
    assert.equal((await refund(paid, 100, { as: {} })).status, 401);
  });
});

// Whoever runs the shop's account can give money back without us.
describe("given back in the provider's dashboard", () => {
  async function dashboard(order, won, reason = '고객 요청') {
    const [{ paymentKey }] = await till.booksOf(order);
    const body = { cancelReason: reason, ...(won ? { cancelAmount: won } : {}) };
    let r;
    await until('Toss to take another cancel', async () => {
      r = await till.provider('POST', `/v1/payments/${paymentKey}/cancel`, body);
      return r.status !== 409;
    });
    assert.equal(r.status, 200, JSON.stringify(r.body));
  }
  const heard = (order, won) => until('the order to hear of it', async () => (await till.state(order)).refundedWon === won);

  test('a part, and another: both are in our books, the order goes on', async () => {
    const order = await till.paid();
    await dashboard(order, 1000);
    await given(order, 1000);
    await dashboard(order, 1000, '또 식었어요');
    const payment = await given(order, 2000);
    assert.deepEqual([payment.status, payment.refunds.map((r) => [r.amountWon, r.reason, r.status])],
      ['PARTIALLY_REFUNDED', [[1000, '고객 요청', 'DONE'], [1000, '또 식었어요', 'DONE']]]);
    await heard(order, 2000);
    assert.equal((await till.state(order)).status, 'PAID');
  });

  test('all of it: nobody cooks', async () => {
    const order = await till.paid();
    await dashboard(order);
    await till.reaches(order, 'CANCELLED');
    assert.equal((await paymentOf(order)).status, 'REFUNDED');
  });

  test('a part that we did not hear of, and then the customer cancels: the rest goes back', async () => {
    const order = await till.paid();
    await till.faults({ webhookTo: '' });
    await dashboard(order, 1000);
    assert.equal((await till.cancel(order)).status, 202);
    await till.reaches(order, 'CANCELLED');
    const payment = await given(order, order.totalWon);
    assert.deepEqual([payment.status, payment.refunds.map((r) => r.amountWon)], ['REFUNDED', [1000, order.totalWon - 1000]]);
    assert.deepEqual((await cancelsOf(order)).map((c) => c.cancelAmount), [1000, order.totalWon - 1000]);
  });

  test('all that we did not hear of, in pieces, and then the customer cancels: the order ends', async () => {
    const order = await till.paid();
    await till.faults({ webhookTo: '' });
    await dashboard(order, 1000);
    await dashboard(order);
    assert.equal((await till.cancel(order)).status, 202);
    await till.reaches(order, 'CANCELLED');
    assert.equal((await paymentOf(order)).refunds.length, 2);
    assert.equal((await cancelsOf(order)).length, 2);
  });

  test('while two of ours are on their way: each counts once', async () => {
    const order = await till.paid();
    const payment = await paymentOf(order);
    await till.faults({ failCancels: 1, failAs: 'error' });
    assert.equal((await refund(payment, 500)).status, 202);
    assert.equal((await refund(payment, 600)).status, 202);
    await until('our first try to fail', async () =>
      (await till.p.get('/simulator/faults', { base: till.p.toss })).body.failCancels === 0);
    await dashboard(order, order.totalWon - 700);
    const all = await given(order, order.totalWon);
    assert.equal(all.refunds.reduce((n, r) => n + r.amountWon, 0), order.totalWon);
    assert.equal((await cancelsOf(order)).reduce((n, c) => n + c.cancelAmount, 0), order.totalWon);
    await till.reaches(order, 'CANCELLED');
  });

  test('a hint that is not true changes nothing', async () => {
    const order = await till.paid();
    const [{ paymentKey }] = await till.booksOf(order);
    for (const status of ['CANCELED', 'PARTIAL_CANCELED', 'ABORTED', null]) {
      const r = await till.p.post('/v1/webhooks/toss', { eventType: 'PAYMENT_STATUS_CHANGED', data: { paymentKey, status } });
      assert.equal(r.status, 200, JSON.stringify(r.body));
    }
    await new Promise((done) => setTimeout(done, 500));
    assert.deepEqual([(await till.state(order)).status, (await paymentOf(order)).status], ['PAID', 'CAPTURED']);
  });
});
