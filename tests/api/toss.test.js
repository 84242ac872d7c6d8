// toss.test.js -- the simulator of Toss Payments as a shop meets it: refusals, kept answers, books, and every way it misbehaves.
'use strict';
const { after, afterEach, before, describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { randomUUID, sleep, until } = require('./lib/platform.js');
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
    const webhookTo = (await till.p.get('/simulator/faults', { base: till.p.toss })).body.webhookTo;
    for (const bad of [{ declineRate: 101 }, { declineRate: -1 }, { declineRate: 'often' }, { declinRate: 1 }, { lateCaptureMs: 3600001 },
      { lateCaptureRate: 101 }, { hangRate: 101 }, { wrongCaptureRate: 1.5 }, { failConfirms: -1 }, { failLookUps: 1001 },
      { failCancels: '1' }, { failAs: 'sometimes' }, { failAs: 1 }]) {
      const r = await put(bad);
      assert.equal(r.status, 400, JSON.stringify([bad, r.body]));
      assert.equal(r.body.errors[0].field, Object.keys(bad)[0]);
    }
    await put({ failConfirms: 2, failAs: 'hang' });
    assert.deepEqual((await till.p.get('/simulator/faults', { base: till.p.toss })).body,
      { declineRate: 30, delayMs: 0, failConfirms: 2, failAs: 'hang', webhookTo }, 'what was refused changed nothing');
    const none = await till.p.delete('/simulator/faults', { base: till.p.toss });
    assert.deepEqual([none.status, none.body], [200, {}]);
    assert.deepEqual((await till.p.get('/simulator/faults', { base: till.p.toss })).body, {});
    const unknown = await till.p.post('/simulator/authorize', { orderId: randomUUID(), amount: 1000, outcome: 'never' }, { base: till.p.toss });
    assert.deepEqual([unknown.status, unknown.body.errors[0].field], [400, 'outcome']);
  });
  test('so many times as told, each kind of request for itself', async () => {
    const p = await authorised(), other = await authorised(7000, 'decline');
    await till.faults({ failConfirms: 2, failLookUps: 1, failCancels: 1 });
    refused(await confirm(p), 500, 'FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING');
    refused(await confirm(other), 500, 'FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING');
    assert.equal((await confirm(p)).status, 200);
    refused(await confirm(other), 403, 'REJECT_CARD_PAYMENT'); // its own fate is not spent by it
    refused(await look(p), 500, 'FAILED_INTERNAL_SYSTEM_PROCESSING');
    assert.equal((await look(p)).body.status, 'DONE');
    refused(await cancel(p), 500, 'FAILED_INTERNAL_SYSTEM_PROCESSING');
    assert.equal((await bookOf(p)).balance, 10000);
    await till.faults({ failCancels: 1, failAs: 'timeout_after' });
    assert.equal((await cancel(p)).status, 504);
    assert.equal((await bookOf(p)).balance, 0);
    refused(await cancel(p), 400, 'ALREADY_CANCELED_PAYMENT');
    assert.equal((await till.p.get('/simulator/faults', { base: till.p.toss })).body.failCancels, 0);
    await till.faults({ failConfirms: 1, failLookUps: 1, failAs: 'timeout_before' });
    const third = await authorised();
    assert.deepEqual([(await confirm(third)).status, (await look(third)).status], [504, 504]);
    assert.deepEqual([(await look(third)).body.status, await bookOf(third)], ['IN_PROGRESS', undefined]);
  });
  test('by capturing later, by itself, and nobody sees it until then', async () => {
    await till.faults({ lateCaptureRate: 100, lateCaptureMs: 1500, webhookTo: '' });
    const p = await authorised(), headers = { 'idempotency-key': randomUUID() };
    assert.equal((await confirm(p, headers)).status, 504);
    refused(await look(p), 404, 'NOT_FOUND_PAYMENT');
    refused(await till.provider('GET', `/v1/payments/orders/${p.orderId}`), 404, 'NOT_FOUND_PAYMENT');
    for (const h of [headers, {}]) refused(await confirm(p, h), 409, 'IDEMPOTENT_REQUEST_PROCESSING');
    refused(await cancel(p), 403, 'NOT_CANCELABLE_PAYMENT');
    assert.equal(await bookOf(p), undefined);
    await until('the capture', async () => (await bookOf(p)) !== undefined, 10000);
    const seen = await look(p);
    assert.deepEqual([seen.status, seen.body.status, seen.body.totalAmount], [200, 'DONE', 10000]);
    assert.deepEqual((await confirm(p, headers)).body, seen.body, 'the answer of the request that was lost');
    refused(await confirm(p), 400, 'ALREADY_PROCESSED_PAYMENT');
  });
  test('by capturing another amount than was agreed', async () => {
    const p = await authorised(10000, 'wrong_amount');
    const r = await confirm(p);
    assert.deepEqual([r.status, r.body.totalAmount, r.body.balanceAmount], [200, 10001, 10001], JSON.stringify(r.body));
    assert.deepEqual([(await look(p)).body.totalAmount, (await bookOf(p)).amount], [10001, 10001]);
    assert.equal((await cancel(p, { cancelAmount: 10001 })).body.balanceAmount, 0);
  });
  test('by never answering: the order is asked about and paid', async () => {
    const order = await till.order(), paymentKey = await till.authorize(order, 'hang'), began = Date.now();
    const hanging = till.confirm(order, paymentKey);
    await sleep(500);
    const p = await authorised();
    assert.equal((await confirm(p)).status, 200, 'others are served meanwhile');
    const r = await hanging;
    assert.deepEqual([r.status, r.body.status], [202, 'CONFIRMING'], JSON.stringify(r.body));
    assert.ok(Date.now() - began >= 8500, `${Date.now() - began} ms`);
    await till.reaches(order, 'PAID');
    assert.deepEqual((await till.booksOf(order)).map((b) => b.amount), [order.totalWon]);
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
