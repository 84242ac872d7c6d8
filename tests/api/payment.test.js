// payment.test.js -- the story of the money, branch by branch; after each test our books are the provider's.
'use strict';
const { after, afterEach, before, describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { randomUUID, sleep } = require('./lib/platform.js');
const { Till } = require('./lib/till.js');

let till;
before(async () => { till = await Till.start(); });
after(() => till.stop());
afterEach(async () => { await till.faults({}); await till.balanced(); });

const refused = (r, status, code) => {
  assert.equal(r.status, status, JSON.stringify(r.body));
  assert.equal(r.body.code, code, JSON.stringify(r.body));
};
const captured = (r) => {
  assert.equal(r.status, 200, JSON.stringify(r.body));
  assert.equal(r.body.status, 'CAPTURED');
};

describe('the card', () => {
  test('is declined, and the order paid with another', async () => {
    const order = await till.order();
    const no = await till.confirm(order, await till.authorize(order, 'decline'));
    refused(no, 402, 'PAYMENT_DECLINED');
    assert.equal(no.body.providerCode, 'REJECT_CARD_PAYMENT');
    assert.match(no.body.detail, /[가-힣]/, 'says why in words');
    await till.reaches(order, 'AWAITING_PAYMENT');
    captured(await till.confirm(order, await till.authorize(order)));
    await till.reaches(order, 'PAID');
    assert.deepEqual((await till.paymentsOf(order)).map((p) => p.status).sort(), ['CAPTURED', 'FAILED']);
  });

  test('is declined, and the next one confirmed before the order has heard of it', async () => {
    const order = await till.order();
    const [bad, good] = [await till.authorize(order, 'decline'), await till.authorize(order)];
    refused(await till.confirm(order, bad), 402, 'PAYMENT_DECLINED');
    captured(await till.confirm(order, good)); // at once
    await till.reaches(order, 'PAID');
  });

  test('that was declined is declined again, with the same key and with a new one', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order, 'decline');
    const key = randomUUID();
    for (const k of [key, key, true]) refused(await till.confirm(order, paymentKey, { key: k }), 402, 'PAYMENT_DECLINED');
    assert.equal((await till.paymentsOf(order)).length, 1);
    await till.reaches(order, 'AWAITING_PAYMENT');
  });

  test('of nobody: a payment key that the provider does not know', async () => {
    const order = await till.order();
    const no = await till.confirm(order, 'tviva-never-authorised');
    refused(no, 402, 'PAYMENT_DECLINED');
    assert.equal(no.body.providerCode, 'NOT_FOUND_PAYMENT');
    refused(await till.confirm(order, 'a/../b'), 400, 'INVALID');
    await till.reaches(order, 'AWAITING_PAYMENT');
  });

  test('is charged once by eight confirms at the same time', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order);
    const key = randomUUID();
    const replies = await Promise.all([...Array(8)].map((_, i) => till.confirm(order, paymentKey, { key: i % 2 ? key : true })));
    for (const r of replies) {
      // 409 only for the same key in flight; everybody else is told how it stands.
      if (r.status === 409) assert.equal(r.body.code, 'IDEMPOTENCY_KEY_IN_USE', JSON.stringify(r.body));
      else assert.ok([200, 202].includes(r.status), `${r.status} ${JSON.stringify(r.body)}`);
    }
    assert.ok(replies.some((r) => r.status !== 409), 'somebody is told');
    await till.reaches(order, 'PAID');
    assert.equal((await till.paymentsOf(order)).length, 1);
    assert.equal((await till.booksOf(order)).length, 1);
    captured(await till.confirm(order, paymentKey));
  });

  test('and another, both confirmed at the same time: one is charged', async () => {
    const order = await till.order();
    const keys = [await till.authorize(order), await till.authorize(order)];
    const replies = await Promise.all(keys.map((k) => till.confirm(order, k)));
    assert.deepEqual(replies.map((r) => r.status).sort(), [200, 409], JSON.stringify(replies.map((r) => r.body)));
    await till.reaches(order, 'PAID');
    assert.equal((await till.booksOf(order)).length, 1);
  });
});

describe('the answer', () => {
  const look = async (order, as = till.minji, wait) => {
    const since = Date.now();
    const { status, body } = await till.p.get(`/v1/orders/${order.orderId}`, { as, headers: wait ? { prefer: `wait=${wait}` } : {} });
    return { status, state: body.status, ms: Date.now() - since };
  };

  test('that the provider takes its time for is waited for by who wants to', async () => {
    const order = await till.order();
    await till.faults({ delayMs: 4000 });
    const confirming = till.confirm(order, await till.authorize(order));
    await till.reaches(order, 'CONFIRMING');
    const now = await look(order);
    assert.equal(now.state, 'CONFIRMING');
    assert.ok(now.ms < 900, 'who does not say so does not wait');
    assert.equal((await look(order, await till.stranger(), 5)).status, 404, 'nor does a stranger');
    const short = await look(order, till.minji, 1);
    assert.equal(short.state, 'CONFIRMING');
    assert.ok(short.ms >= 900, `as long as was said, not ${short.ms} ms`);
    assert.equal((await look(order, till.minji, 10)).state, 'PAID');
    captured(await confirming);
    const settled = await look(order, till.minji, 10);
    assert.ok(settled.state === 'PAID' && settled.ms < 900, 'nothing is under way any more');
  });

  test('is not waited for when the process is told to end', async () => {
    const own = await Till.start();
    const order = await own.paid();
    await own.faults({ errorRate: 100 });
    assert.equal((await own.cancel(order)).status, 202);
    const waiting = own.p.get(`/v1/orders/${order.orderId}`, { as: own.minji, headers: { prefer: 'wait=20' } });
    await sleep(500);
    const since = Date.now();
    const { services } = own.p.child; // apart: the one that lets wait
    (services ? services.order.child : own.p.child).kill('SIGTERM');
    const { status, body } = await waiting;
    assert.deepEqual([status, body.status], [200, 'CANCELLING']);
    assert.ok(Date.now() - since < 5000, `${Date.now() - since} ms`);
    await own.stop();
  });
});

describe('what is asked for', () => {
  test('with one Idempotency-Key and another body is refused', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order);
    const key = randomUUID();
    const first = await till.confirm(order, paymentKey, { key });
    captured(first);
    assert.deepEqual((await till.confirm(order, paymentKey, { key })).body, first.body, 'the same answer again');
    assert.deepEqual((await till.confirm(order, paymentKey)).body, first.body, 'and asked with another key');
    assert.deepEqual(await till.paymentsOf(order), [first.body], 'which is what is kept');
    refused(await till.confirm(order, paymentKey, { key, amount: order.totalWon + 1 }), 422, 'IDEMPOTENCY_KEY_REUSED');
    refused(await till.confirm(order, paymentKey, { key: false }), 400, 'IDEMPOTENCY_KEY_MISSING');
    await till.reaches(order, 'PAID');
  });

  test('with another amount than the order is refused, before the provider is asked', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order);
    for (const amount of [order.totalWon - 1, order.totalWon + 1, 1, 0])
      refused(await till.confirm(order, paymentKey, { amount }), 409, 'PAYMENT_AMOUNT');
    for (const amount of [-order.totalWon, 1.5, '1000'])
      assert.equal((await till.confirm(order, paymentKey, { amount })).status, 400);
    assert.deepEqual(await till.paymentsOf(order), []);
    captured(await till.confirm(order, paymentKey));
    refused(await till.confirm(order, paymentKey, { amount: 1 }), 409, 'PAYMENT_AMOUNT');
    await till.reaches(order, 'PAID');
  });

  test('is another amount than the window authorised', async () => {
    const order = await till.order();
    const no = await till.confirm(order, await till.authorize(order, undefined, 100));
    refused(no, 402, 'PAYMENT_DECLINED');
    assert.equal(no.body.providerCode, 'INVALID_REQUEST');
    await till.reaches(order, 'AWAITING_PAYMENT');
    assert.deepEqual(await till.booksOf(order), []);
  });

  test('is somebody else\'s: neither their order nor their payment key', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order);
    const other = await till.stranger();
    const nobodys = await till.confirm({ ...order, orderId: randomUUID() }, paymentKey, { as: other });
    const same = (r) => { // as an order of nobody's: nothing tells that there is one
      refused(r, 404, 'NOT_FOUND');
      assert.deepEqual({ ...r.body, traceId: '' }, { ...nobodys.body, traceId: '' });
    };
    assert.equal(nobodys.body.detail, '그런 주문이 없습니다.');
    same(await till.confirm(order, paymentKey, { as: other }));
    captured(await till.confirm(order, paymentKey));
    same(await till.confirm(order, paymentKey, { as: other }));
    const mixed = await till.confirm({ ...order, orderId: randomUUID() }, paymentKey);
    refused(mixed, 404, 'NOT_FOUND');
    assert.equal(mixed.body.detail, '다른 주문의 결제입니다.');
    const [mine] = await till.paymentsOf(order);
    assert.equal((await till.p.get(`/v1/payments/${mine.paymentId}`, { as: other })).status, 404);
    await till.reaches(order, 'PAID');
  });

  test('is a second payment of an order that is paid', async () => {
    const order = await till.paid();
    refused(await till.confirm(order, await till.authorize(order)), 409, 'ORDER_STATE');
    assert.equal((await till.booksOf(order)).length, 1);
    refused(await till.p.get(`/v1/orders/${order.orderId}/checkout`, { as: till.minji }), 409, 'ORDER_STATE');
  });
});

describe('the window', () => {
  test('is left without paying, and opened again', async () => {
    const order = await till.order();
    const abandon = (body, as = till.minji) => till.p.post('/v1/payments/abandon', { orderId: order.orderId, ...body }, { as });
    assert.equal((await abandon({ code: 'PAY_PROCESS_CANCELED', message: '사용자가 결제를 취소하였습니다' })).status, 204);
    assert.equal((await abandon({})).status, 204);
    assert.equal((await abandon({}, await till.stranger())).status, 404);
    assert.equal((await till.state(order)).status, 'AWAITING_PAYMENT');
    captured(await till.confirm(order, await till.authorize(order)));
    await till.reaches(order, 'PAID');
  });

  test('is paid in after the order was cancelled: nothing is taken', async () => {
    const order = await till.order();
    const paymentKey = await till.authorize(order);
    assert.ok([200, 202].includes((await till.cancel(order)).status));
    refused(await till.confirm(order, paymentKey), 409, 'ORDER_STATE');
    await till.reaches(order, 'CANCELLED');
    assert.deepEqual(await till.booksOf(order), []);
  });
});

describe('no answer', () => {
  // What the provider did with it, and how the order must end.
  for (const outcome of ['timeout_before', 'timeout_after', 'error']) {
    test(`of the provider (${outcome}) is neither success nor failure, and resolves`, async () => {
      const order = await till.order();
      const paymentKey = await till.authorize(order, outcome);
      const key = randomUUID();
      const reply = await till.confirm(order, paymentKey, { key });
      assert.ok([200, 202].includes(reply.status), JSON.stringify(reply.body));
      if (reply.status === 202) assert.equal(reply.body.status, 'CONFIRMING');
      await till.reaches(order, 'PAID');
      captured(await till.confirm(order, paymentKey));
      assert.equal((await till.booksOf(order)).length, 1);
    });
  }

  for (const [name, faults] of [['lost on the way there', { timeoutBeforeRate: 100 }],
    ['lost on the way back', { timeoutAfterRate: 100 }], ['500', { errorRate: 100 }]]) {
    test(`to several tries (${name}): the order waits, and a cancel waits with it`, async () => {
      const order = await till.order();
      await till.faults({ ...faults, webhookTo: '' });
      const reply = await till.confirm(order, await till.authorize(order));
      assert.ok([200, 202].includes(reply.status), JSON.stringify(reply.body));
      assert.equal((await till.cancel(order)).status, 202, 'asked for, not done');
      await sleep(300);
      assert.ok(['CONFIRMING', 'CANCELLING'].includes((await till.state(order)).status));
      await till.faults({});
      await till.reaches(order, 'CANCELLED');
      const [payment] = await till.paymentsOf(order);
      assert.deepEqual([payment.status, payment.refundedWon], ['REFUNDED', order.totalWon]);
    });
  }
});

describe('a webhook', () => {
  const hook = (data, more = {}) => till.p.post('/v1/webhooks/toss', { eventType: 'PAYMENT_STATUS_CHANGED', data, ...more });

  test('that is forged changes nothing', async () => {
    const open = await till.order();
    const unpaid = await till.authorize(open);
    const declinedKey = await till.authorize(open, 'decline');
    refused(await till.confirm(open, declinedKey), 402, 'PAYMENT_DECLINED');
    await till.reaches(open, 'AWAITING_PAYMENT');
    for (const paymentKey of [unpaid, declinedKey, 'tviva-never-authorised', '', null, "' or 1=1 --"])
      for (const status of ['DONE', 'CANCELED', 'ABORTED']) {
        const r = await hook({ paymentKey, orderId: open.orderId, status, totalAmount: open.totalWon });
        assert.equal(r.status, 200, 'tells nobody what we know');
      }
    for (const body of [{}, { eventType: 'X' }, [], 'x'])
      assert.ok((await till.p.post('/v1/webhooks/toss', body)).status < 500);
    await sleep(500);
    assert.equal((await till.state(open)).status, 'AWAITING_PAYMENT');
    assert.deepEqual((await till.paymentsOf(open)).map((p) => p.status), ['FAILED']);
    captured(await till.confirm(open, unpaid));
    await till.reaches(open, 'PAID');
    assert.equal((await hook({ paymentKey: unpaid, orderId: open.orderId, status: 'CANCELED' })).status, 200);
    await sleep(300);
    assert.equal((await till.state(open)).status, 'PAID');
  });

  test('that comes twice counts once', async () => {
    await till.faults({ duplicateWebhookRate: 100, timeoutAfterRate: 100 });
    const order = await till.order();
    const paymentKey = await till.authorize(order);
    await till.confirm(order, paymentKey);
    await till.reaches(order, 'PAID');
    await Promise.all([...Array(6)].map(() => hook({ paymentKey, orderId: order.orderId, status: 'DONE' })));
    assert.equal((await till.state(order)).status, 'PAID');
    assert.equal((await till.state(order)).history.filter((h) => h.status === 'PAID').length, 1);
    assert.equal((await till.paymentsOf(order)).length, 1);
  });

  test('finds at once what the confirm did not hear', async () => {
    const order = await till.order();
    const from = Date.now();
    await till.confirm(order, await till.authorize(order, 'timeout_after'));
    await till.reaches(order, 'PAID');
    assert.ok(Date.now() - from < 5000, `${Date.now() - from} ms`);
  });
});

