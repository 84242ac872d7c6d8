// stories.js -- what people do with the platform, told so that each step survives a lost answer: no answer, same request again.
'use strict';
const assert = require('node:assert/strict');
const { demoId, sleep, randomUUID } = require('../api/lib/platform.js');

// One client in front of a platform that dies and comes back. `up` is a promise while it is down.
class Client {
  constructor(platform, patienceMs = 40000) {
    this.p = platform;
    this.up = Promise.resolve();
    this.patienceMs = patienceMs;
    this.last = 'nothing yet';
    this.lost = 0; // requests without an answer
    this.step = 'start';
  }

  // Until somebody answers. 5xx and a broken connection are no answer.
  async insist(step, ask) {
    this.step = step;
    for (const end = Date.now() + this.patienceMs; Date.now() < end;) {
      await this.up;
      try {
        const r = await ask();
        const wait = r.status >= 500 || r.status === 429 || (r.status === 409 && r.body.code === 'IDEMPOTENCY_KEY_IN_USE');
        if (!wait) return r;
        this.last = `${r.status} ${JSON.stringify(r.body)}`;
      } catch (e) {
        if (e instanceof assert.AssertionError) throw e;
        this.last = String(e.cause || e);
      }
      this.lost++;
      await sleep(25);
    }
    throw new Error(`${step}: no answer in ${this.patienceMs} ms; the last: ${this.last}`);
  }

  async want(step, status, ask) {
    const r = await this.insist(step, ask);
    assert.equal(r.status, status, `${step}: ${r.status} ${JSON.stringify(r.body)}`);
    return r.body;
  }

  async login(username) {
    const r = await this.want(`login of ${username}`, 200, () => this.p.post('/v1/auth/login', { username, password: 'jumun-demo-1' }));
    return { token: r.accessToken };
  }

  // Until the order is what it is to become.
  async reaches(as, orderId, status) {
    for (const end = Date.now() + this.patienceMs; ;) {
      const order = await this.want(`looking for ${status}`, 200, () => this.p.order(as, orderId));
      if (order.status === status) return order;
      this.last = order.status;
      assert.ok(Date.now() < end, `order ${orderId} is ${order.status}, not ${status}`);
      await sleep(40);
    }
  }

  // The cart, then the order; twice with one key, as an impatient browser does.
  async order(as, customer, store, item, quantity = 1) {
    await this.want('filling the cart', 201, async () => {
      const r = await this.p.addToCart(as, store, item, quantity, { replace: true });
      return r.status === 404 ? { ...r, status: 503 } : r; // just started: the order service has not heard of the dish yet
    });
    const key = randomUUID();
    const first = await this.want('placing the order', 201, () => this.p.place(as, customer, { key, wait: 3 }));
    const again = await this.want('placing it again', 201, () => this.p.place(as, customer, { key, wait: 0 }));
    assert.equal(again.orderId, first.orderId, 'one key, one order');
    return first;
  }

  async pay(as, order, outcome) {
    await this.reaches(as, order.orderId, 'AWAITING_PAYMENT');
    const window = await this.want('the payment window', 200, () => this.p.post('/simulator/authorize',
      { orderId: order.orderId, amount: order.totalWon, ...(outcome ? { outcome } : {}) }, { base: this.p.toss }));
    const key = randomUUID();
    const r = await this.insist('confirming the payment', () => this.p.confirm(as, order, window.paymentKey, { key }));
    return { ...r, paymentKey: window.paymentKey };
  }

  // After 202 nobody knows yet: no other card is taken until somebody does. Each question has a key of its own.
  async refusal(as, order, r) {
    for (const end = Date.now() + this.patienceMs; r.status === 202 && Date.now() < end; await sleep(100)) {
      const key = randomUUID();
      r = { paymentKey: r.paymentKey, ...await this.insist('asking for the outcome', () => this.p.confirm(as, order, r.paymentKey, { key })) };
    }
    assert.equal(r.status, 402, `confirm: ${r.status} ${JSON.stringify(r.body)}`);
  }

  async paid(as, customer, store, item, quantity) {
    const order = await this.order(as, customer, store, item, quantity);
    const r = await this.pay(as, order);
    assert.ok(r.status === 200 || r.status === 202, `confirm: ${r.status} ${JSON.stringify(r.body)}`);
    await this.reaches(as, order.orderId, 'PAID');
    return order;
  }

  // By whoever runs the shop's account at the provider, who waits a second between two.
  async givenElsewhere(order, won) {
    const headers = { authorization: `Basic ${Buffer.from('test_sk_jumun:').toString('base64')}`, 'idempotency-key': randomUUID() };
    const { captured } = await this.want('the books', 200, () => this.p.get('/simulator/books', { base: this.p.toss }));
    const { paymentKey } = captured.find((b) => b.orderId === order.orderId);
    await this.want('giving back elsewhere', 200, async () => {
      const r = await this.p.request('POST', `/v1/payments/${paymentKey}/cancel`,
        { base: this.p.toss, body: { cancelReason: '고객 요청', cancelAmount: won }, headers });
      return r.status === 409 ? { ...r, status: 503 } : r;
    });
  }

  // An owner's action has no key: after a lost answer 409 means that it was done.
  async act(owner, store, orderId, action, body, status) {
    const at = `/v1/owner/stores/${demoId('store', store)}/orders/${orderId}`;
    const key = randomUUID();
    const r = await this.insist(action, () => this.p.post(`${at}/${action}`, body, { as: owner, key }));
    if (r.status === 200) return;
    assert.equal(r.status, 409, `${action}: ${r.status} ${JSON.stringify(r.body)}`);
    const order = await this.want(`after ${action}`, 200, () => this.p.get(at, { as: owner }));
    assert.ok(!status || order.status === status, `${action} was refused, and the order is ${order.status}`);
  }
}

const kept = (order, status) => [{ orderId: order.orderId, status, captured: order.totalWon, returned: 0 }];
const returned = (order, status) => [{ orderId: order.orderId, status, captured: order.totalWon, returned: order.totalWon }];
const unpaid = (order, status) => [{ orderId: order.orderId, status, captured: 0, returned: 0 }];

// Each returns what must be true of its orders at the end.
const stories = {
  async happy(c) {
    const guest = {};
    await c.want('a guest fills a cart', 201, () => c.p.addToCart(guest, 1, 1, 1, { replace: true }));
    const minji = await c.login('minji');
    const order = await c.paid(minji, 1, 1, 5, 2);
    const owner = await c.login('owner1');
    for (const [action, body, status] of [['accept', { minutes: 30 }, 'ACCEPTED'], ['print', undefined, null], ['cook', undefined, 'COOKING'],
      ['ready', undefined, 'READY'], ['deliver', undefined, 'DELIVERING'], ['complete', undefined, 'COMPLETED']])
      await c.act(owner, 1, order.orderId, action, body, status);
    return kept(order, 'COMPLETED');
  },

  async 'out of stock'(c) {
    const owner = await c.login('owner1');
    await c.want('one is left', 200, () => c.p.post(`/v1/owner/stores/${demoId('store', 1)}/menu-items/${demoId('item', 1, 5)}/stock/adjustments`,
      { setTo: 1, reason: '재고 조사' }, { as: owner, key: true }));
    const minji = await c.login('minji');
    const order = await c.order(minji, 1, 1, 5, 3);
    await c.reaches(minji, order.orderId, 'REJECTED');
    return unpaid(order, 'REJECTED');
  },

  async declined(c) {
    const minji = await c.login('minji');
    const order = await c.order(minji, 1, 1, 5);
    await c.refusal(minji, order, await c.pay(minji, order, 'decline'));
    await c.reaches(minji, order.orderId, 'AWAITING_PAYMENT');
    const second = await c.pay(minji, order); // another card
    assert.ok(second.status === 200 || second.status === 202, `confirm: ${second.status} ${JSON.stringify(second.body)}`);
    await c.reaches(minji, order.orderId, 'PAID');
    return kept(order, 'PAID');
  },

  async 'unknown answer'(c) {
    const minji = await c.login('minji');
    const order = await c.order(minji, 1, 1, 5);
    const r = await c.pay(minji, order, 'timeout_after');
    assert.ok(r.status === 200 || r.status === 202, `confirm: ${r.status} ${JSON.stringify(r.body)}`);
    await c.reaches(minji, order.orderId, 'PAID');
    return kept(order, 'PAID');
  },

  async 'cancel after payment'(c) {
    const minji = await c.login('minji');
    const order = await c.paid(minji, 1, 1, 5, 2);
    const key = randomUUID();
    const r = await c.insist('cancelling', () => c.p.post(`/v1/orders/${order.orderId}/cancel`, { reason: '마음이 바뀌었어요' }, { as: minji, key }));
    assert.ok(r.status === 200 || r.status === 202, `cancel: ${r.status} ${JSON.stringify(r.body)}`);
    await c.reaches(minji, order.orderId, 'CANCELLED');
    return returned(order, 'CANCELLED');
  },

  // In the provider's dashboard: what we hear of, and what we find out only when we give back ourselves.
  async 'given back elsewhere'(c) {
    const minji = await c.login('minji');
    const order = await c.paid(minji, 1, 1, 5, 2);
    const faults = (set) => c.want('how the provider behaves', 200, () => c.p.put('/simulator/faults', set, { base: c.p.toss }));
    await c.givenElsewhere(order, 1000);
    for (const end = Date.now() + c.patienceMs; (await c.reaches(minji, order.orderId, 'PAID')).refundedWon !== 1000; await sleep(40))
      assert.ok(Date.now() < end, 'the order never heard of it');
    await faults({ webhookTo: '' });
    await c.givenElsewhere(order, 500);
    const key = randomUUID();
    const r = await c.insist('cancelling', () => c.p.post(`/v1/orders/${order.orderId}/cancel`, { reason: '마음이 바뀌었어요' }, { as: minji, key }));
    assert.ok(r.status === 200 || r.status === 202, `cancel: ${r.status} ${JSON.stringify(r.body)}`);
    await c.reaches(minji, order.orderId, 'CANCELLED');
    await c.want('a provider that behaves', 200, () => c.p.delete('/simulator/faults', { base: c.p.toss }));
    return returned(order, 'CANCELLED');
  },

  async 'owner refuses'(c) {
    const minji = await c.login('minji');
    const order = await c.paid(minji, 1, 1, 5, 2);
    const owner = await c.login('owner1');
    const key = randomUUID();
    const r = await c.insist('refusing', () => c.p.post(`/v1/owner/stores/${demoId('store', 1)}/orders/${order.orderId}/refuse`,
      { reason: '재료 소진' }, { as: owner, key }));
    assert.ok(r.status === 200 || r.status === 202, `refuse: ${r.status} ${JSON.stringify(r.body)}`);
    await c.reaches(minji, order.orderId, 'CANCELLED');
    return returned(order, 'CANCELLED');
  },

  async 'cancel before payment'(c) {
    const minji = await c.login('minji');
    const order = await c.order(minji, 1, 1, 5, 2);
    await c.reaches(minji, order.orderId, 'AWAITING_PAYMENT');
    const key = randomUUID();
    await c.insist('cancelling', () => c.p.post(`/v1/orders/${order.orderId}/cancel`, { reason: '' }, { as: minji, key }));
    await c.reaches(minji, order.orderId, 'CANCELLED');
    return unpaid(order, 'CANCELLED');
  },

  // The store changes its hours and menu; an operator touches a dead letter that is not there.
  async 'shop changes'(c) {
    const owner = await c.login('owner1');
    const own = `/v1/owner/stores/${demoId('store', 1)}`;
    const hours = Array.from({ length: 7 }, (_, weekday) => ({ weekday, opens: '00:00', closes: '24:00' }));
    await c.want('hours', 200, () => c.p.put(`${own}/hours`, { hours }, { as: owner }));
    await c.want('a new name', 200, () => c.p.patch(`${own}/menu-items/${demoId('item', 1, 6)}`, { description: '새로 나왔어요' }, { as: owner }));
    const admin = await c.login('admin1');
    const r = await c.insist('a dead letter', () => c.p.post('/v1/admin/dead-letters/store-999999/retry', undefined, { as: admin }));
    assert.equal(r.status, 404, JSON.stringify(r.body));
    return [];
  },
};

module.exports = { Client, stories };
