// toss.test.js -- the simulator of Toss Payments as a shop meets it: refusals, kept answers, books, and every way it misbehaves.
'use strict';
const { after, afterEach, before, describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { randomUUID, sleep } = require('./lib/platform.js');
const { Till } = require('./lib/till.js');

let till;
before(async () => { till = await Till.start(); });
after(() => till.stop());
afterEach(() => till.faults({}));

// A payment authorised in the window, of an order that is nobody's: our platform knows nothing of it.
async function authorised(amount = 10000, outcome) {
  const orderId = randomUUID();
  return { orderId, amount, paymentKey: await till.authorize({ orderId, totalWon: amount }, outcome) };
}
const confirm = (p, headers) => till.provider('POST', '/v1/payments/confirm', p, headers);
const cancel = (p, body, headers) => till.provider('POST', `/v1/payments/${p.paymentKey}/cancel`, { cancelReason: '고객 변심', ...body }, headers);
const look = (p) => till.provider('GET', `/v1/payments/${p.paymentKey}`);
const refused = (r, status, code) => {
  assert.deepEqual([r.status, r.body && r.body.code], [status, code], JSON.stringify(r.body));
  assert.match(r.body.message, /[가-힣]/);
};
const bookOf = async (p) => (await till.books()).captured.find((b) => b.orderId === p.orderId);

describe('confirm', () => {
  test('captures once, and says the same under the same key', async () => {
    const p = await authorised(), headers = { 'idempotency-key': randomUUID() };
    const first = await confirm(p, headers), again = await confirm(p, headers);
    assert.equal(first.status, 200, JSON.stringify(first.body));
    assert.deepEqual([first.body.status, first.body.totalAmount, first.body.balanceAmount, first.body.currency], ['DONE', 10000, 10000, 'KRW']);
    assert.deepEqual(again.body, first.body);
    refused(await confirm(p, { 'idempotency-key': randomUUID() }), 400, 'ALREADY_PROCESSED_PAYMENT');
    assert.deepEqual([(await look(p)).body.status, (await bookOf(p)).amount], ['DONE', 10000]);
  });
  test('refuses what does not fit', async () => {
    const p = await authorised();
    refused(await confirm({ ...p, amount: 9999 }), 400, 'INVALID_REQUEST');
    refused(await confirm({ ...p, orderId: randomUUID() }), 400, 'INVALID_REQUEST');
    refused(await confirm({ ...p, paymentKey: 'tviva-unknown' }), 404, 'NOT_FOUND_PAYMENT');
    refused(await confirm({ ...p, paymentKey: undefined }), 400, 'INVALID_REQUEST');
    refused(await confirm(await authorised(99)), 400, 'BELOW_MINIMUM_AMOUNT');
    refused(await confirm(p, { 'idempotency-key': 'k'.repeat(301) }), 400, 'INVALID_IDEMPOTENCY_KEY');
    refused(await confirm(p, { authorization: `Basic ${Buffer.from('test_sk_other:').toString('base64')}` }), 401, 'UNAUTHORIZED_KEY');
    assert.equal(await bookOf(p), undefined);
    assert.equal((await confirm(p, { 'idempotency-key': 'k'.repeat(300) })).status, 200);
  });
  test('of a card that is declined stays declined', async () => {
    const p = await authorised(5000, 'decline');
    for (let i = 0; i < 2; i++) refused(await confirm(p), 403, 'REJECT_CARD_PAYMENT');
    assert.equal((await look(p)).body.status, 'ABORTED');
    assert.equal(await bookOf(p), undefined);
  });
});

describe('cancel', () => {
  test('in parts, never more than was captured, and once per key', async () => {
    const p = await authorised();
    refused(await cancel(p), 403, 'NOT_CANCELABLE_PAYMENT');
    await confirm(p);
    const headers = { 'idempotency-key': randomUUID() };
    const part = await cancel(p, { cancelAmount: 4000 }, headers);
    assert.deepEqual([part.status, part.body.status, part.body.balanceAmount], [200, 'PARTIAL_CANCELED', 6000], JSON.stringify(part.body));
    assert.deepEqual((await cancel(p, { cancelAmount: 4000 }, headers)).body, part.body);
    refused(await cancel(p, { cancelAmount: 1 }), 409, 'IDEMPOTENT_REQUEST_PROCESSING'); // within a second
    await sleep(1100);
    refused(await cancel(p, { cancelAmount: 6001 }), 403, 'NOT_CANCELABLE_AMOUNT');
    const rest = await cancel(p);
    assert.deepEqual([rest.body.status, rest.body.balanceAmount, rest.body.cancels.length], ['CANCELED', 0, 2]);
    refused(await cancel(p), 400, 'ALREADY_CANCELED_PAYMENT');
    assert.deepEqual([(await bookOf(p)).amount, (await bookOf(p)).balance], [10000, 0]);
    refused(await cancel({ paymentKey: 'tviva-unknown' }), 404, 'NOT_FOUND_PAYMENT');
    refused(await cancel(p, { cancelAmount: 0 }), 400, 'INVALID_REQUEST');
  });
});

describe('it misbehaves', () => {
  test('as its settings say, and refuses settings that are none', async () => {
    const put = (body) => till.p.put('/simulator/faults', body, { base: till.p.toss });
    assert.equal((await put({ declineRate: 30, delayMs: 5 })).body.declineRate, 30);
    assert.equal((await put({ delayMs: 0 })).body.declineRate, 30, 'what is not sent stays');
    for (const bad of [{ declineRate: 101 }, { declineRate: -1 }, { declineRate: 'often' }, { declinRate: 1 }]) {
      const r = await put(bad);
      assert.equal(r.status, 400, JSON.stringify([bad, r.body]));
      assert.equal(r.body.errors[0].field, Object.keys(bad)[0]);
    }
  });
  test('answers that are lost: before the deed nothing is captured, after it everything', async () => {
    await till.faults({ timeoutBeforeRate: 100 });
    const before = await authorised();
    assert.equal((await confirm(before)).status, 504);
    assert.equal(await bookOf(before), undefined);
    await till.faults({ timeoutAfterRate: 100 });
    const afterwards = await authorised();
    assert.equal((await confirm(afterwards)).status, 504);
    assert.equal((await bookOf(afterwards)).amount, 10000);
    await till.faults({ errorRate: 100 });
    const broken = await authorised();
    refused(await confirm(broken), 500, 'FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING');
    assert.equal(await bookOf(broken), undefined);
  });
  test('an answer with another amount is not believed, and the order is paid all the same', async () => {
    const order = await till.order();
    await till.faults({ wrongAmountRate: 100 });
    const r = await till.confirm(order, await till.authorize(order));
    assert.deepEqual([r.status, r.body.status], [202, 'CONFIRMING'], JSON.stringify(r.body));
    await till.reaches(order, 'PAID'); // by asking again
    assert.deepEqual((await till.paymentsOf(order)).map((p) => [p.status, p.amountWon]), [['CAPTURED', order.totalWon]]);
    assert.deepEqual((await till.booksOf(order)).map((b) => [b.amount, b.balance]), [[order.totalWon, order.totalWon]]);
  });
  test('webhooks that are lost, doubled or contradict the capture change nothing', async () => {
    for (const faults of [{ lostWebhookRate: 100 }, { duplicateWebhookRate: 100 }, { contradictoryWebhookRate: 100 }]) {
      await till.faults(faults);
      const order = await till.paid();
      await sleep(400);
      assert.equal((await till.state(order)).status, 'PAID', JSON.stringify(faults));
      assert.deepEqual((await till.paymentsOf(order)).map((p) => p.status), ['CAPTURED']);
      assert.equal((await till.booksOf(order)).length, 1);
    }
  });
  test('a delay is waited for', async () => {
    await till.faults({ delayMs: 300 });
    const p = await authorised(), began = Date.now();
    assert.equal((await confirm(p)).status, 200);
    assert.ok(Date.now() - began >= 300);
  });
});
