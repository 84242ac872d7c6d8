// till.js -- a platform with a customer who pays: orders, cards, faults of the provider, and both sets of books.
'use strict';
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { engines } = require('./engines.js');
const path = require('node:path');
const { Platform, demoId, until, BINARY } = require('./platform.js');

const MOVING = ['CONFIRMING', 'REFUNDING'];

class Till {
  static async start(options) {
    const t = new Till();
    t.p = await Platform.start(options);
    t.minji = await t.p.login('minji');
    t.owner = await t.p.login('owner1');
    t.admin = await t.p.login('admin1');
    return t;
  }

  async stop() {
    assert.deepEqual(await this.p.stop(), { code: 0, signal: null }, this.p.log);
  }

  async stranger() {
    this.other ||= await this.p.login('customer2');
    return this.other;
  }

  // An order that can be paid.
  async order(quantity = 1) {
    await this.p.delete('/v1/cart', { as: this.minji });
    const added = await this.p.addToCart(this.minji, 1, 1, quantity);
    assert.equal(added.status, 201, JSON.stringify(added.body));
    const placed = await this.p.place(this.minji, 1);
    assert.equal(placed.status, 201, JSON.stringify(placed.body));
    return this.reaches(placed.body, 'AWAITING_PAYMENT');
  }

  async paid(quantity) {
    const order = await this.order(quantity);
    const r = await this.confirm(order, await this.authorize(order));
    assert.equal(r.status, 200, JSON.stringify(r.body));
    await this.reaches(order, 'PAID');
    return order;
  }

  authorize(order, outcome, amount) { return this.p.authorize(order, outcome, amount); }
  confirm(order, paymentKey, { as = this.minji, ...more } = {}) { return this.p.confirm(as, order, paymentKey, more); }
  cancel(order) { return this.p.post(`/v1/orders/${order.orderId}/cancel`, { reason: '마음이 바뀌었어요' }, { as: this.minji, key: true }); }
  act(order, verb, body) {
    return this.p.post(`/v1/owner/stores/${demoId('store', 1)}/orders/${order.orderId}/${verb}`, body, { as: this.owner, key: true });
  }

  async state(order) { return (await this.p.order(this.minji, order.orderId)).body; }
  reaches(order, status) { return this.p.reaches(this.minji, order.orderId, status, 30000); }

  // The provider misbehaves in this way only; {}: not at all.
  async faults(faults) {
    await this.p.delete('/simulator/faults', { base: this.p.toss });
    const r = await this.p.put('/simulator/faults', { webhookTo: `${this.p.public}/v1/webhooks/toss`, ...faults }, { base: this.p.toss });
    assert.equal(r.status, 200, JSON.stringify(r.body));
  }

  // What the provider itself is asked, as by somebody who has our secret key.
  provider(method, where, body, headers = {}) {
    const authorization = `Basic ${Buffer.from('test_sk_jumun:').toString('base64')}`;
    return this.p.request(method, where, { base: this.p.toss, body, headers: { authorization, ...headers } });
  }

  async payments() {
    const all = [];
    for (let next = '/v1/payments?limit=100'; next;) {
      const r = await this.p.get(next, { as: this.minji });
      assert.equal(r.status, 200, JSON.stringify(r.body));
      all.push(...r.body.items);
      next = r.body.nextCursor && `/v1/payments?limit=100&cursor=${encodeURIComponent(r.body.nextCursor)}`;
    }
    return all;
  }

  async paymentsOf(order) { return (await this.payments()).filter((p) => p.orderId === order.orderId); }

  async books() {
    const r = await this.p.get('/simulator/books', { base: this.p.toss });
    assert.equal(r.status, 200, JSON.stringify(r.body));
    return r.body;
  }

  async booksOf(order) { return (await this.books()).captured.filter((b) => b.orderId === order.orderId); }

  // When nothing moves any more: our payments are the provider's, and the audit finds nothing.
  async balanced() {
    await until('all money to come to rest', async () => !(await this.payments()).some((p) => MOVING.includes(p.status)), 40000);
    const row = (orderId, amount, balance) => `${orderId} ${amount} ${balance}`;
    const ours = (await this.payments()).filter((p) => p.status !== 'FAILED');
    const books = await this.books();
    assert.deepEqual(ours.map((p) => row(p.orderId, p.amountWon, p.amountWon - p.refundedWon)).sort(),
      books.captured.map((b) => row(b.orderId, b.amount, b.balance)).sort());
    const sum = (list, name) => list.reduce((n, p) => n + p[name], 0);
    assert.deepEqual([sum(ours, 'amountWon'), sum(ours, 'refundedWon')], [books.capturedWon, books.cancelledWon]);
    this.audit();
  }

  audit() {
    const args = ['doctor', '--audit', '--data', path.join(this.p.dir, 'data')];
    let r;
    // Events may be on the way still: what is wrong stays wrong.
    for (let i = 0; i < 20; i++) {
      r = spawnSync(BINARY, args, { encoding: 'utf8', env: { PATH: process.env.PATH, ...engines(this.p.dir) } });
      if (r.status === 0) return;
      spawnSync('sleep', ['0.3']);
    }
    assert.equal(r.status, 0, r.stdout + r.stderr);
  }
}

module.exports = { Till };
