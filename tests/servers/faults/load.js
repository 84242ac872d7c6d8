// load.js -- people who order at a steady pace, and who behave as the contract asks: no answer, same request again.
//
// An open loop: what is due is begun whatever became of those before it. When nobody is free to begin it, it waits in line; its time counts from
// when it was due, and that it was late is said.
'use strict';
const assert = require('node:assert/strict');
const { demoId, sleep, randomUUID } = require('../../api/lib/platform.js');
const client = require('./client.js');
const { gather } = require('./people.js');

const PATIENCE_MS = 20000; // for one answer
const PEOPLE = 20; // and one more for each order a second: placing one takes a second where the bus is away
const TICK_MS = 10;
const LATE_MS = 100; // begun that long after it was due

const MOVING = ['STOCK_PENDING', 'AWAITING_PAYMENT', 'CONFIRMING'];

// An answer that asks the client to come again.
const again = (r) => r.status >= 500 || r.status === 429 || (r.status === 409 && r.body.code === 'IDEMPOTENCY_KEY_IN_USE');

class Load {
  // `allow(status of an order)`: an order may end like that besides PAID.
  constructor(site, rate, allow) {
    Object.assign(this, { site, rate, allow, during: false, over: false, sent: 0, started: 0, late: 0, latestMs: 0 });
    this.failed = new Map(); // "step status" -> how often
    this.failedDuring = 0;
    this.orders = new Map(); // orderId -> {began, ended, status, captured}
    this.attempts = new Set();
    this.problems = [];
    this.turn = 0;
    this.times = []; // ms from when an order was due to when it was paid
  }

  async start() {
    this.free = await gather(this, this.site.people = this.site.people || [], PEOPLE + Math.ceil(this.rate));
    this.failed.clear();
    this.sent = 0;
    this.cpu = process.cpuUsage();
    this.began = Date.now();
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  // When the next order is due, in milliseconds of Date.now().
  due() { return this.began + (this.started + 1) * 1000 / this.rate; }

  // As many as are due and as there are people for.
  tick() {
    for (let due = this.due(); due <= Math.min(Date.now(), this.stopped || Infinity) && this.free.length; due = this.due()) {
      const behind = Date.now() - due;
      this.started++;
      this.late += behind > LATE_MS;
      this.latestMs = Math.max(this.latestMs, behind);
      const attempt = { began: due, ended: 0 };
      this.attempts.add(attempt);
      attempt.running = this.attempt(this.free.shift(), attempt)
        .catch((e) => this.problems.push(e))
        .finally(() => { attempt.ended = Date.now(); });
    }
  }

  stop() {
    clearInterval(this.timer);
    this.stopped = Date.now();
  }

  once(method, url, { body, token, key, headers = {}, base } = {}) {
    const h = { ...headers };
    if (token) h.authorization = `Bearer ${token}`;
    if (key) h['idempotency-key'] = key;
    return client.once(method, (base || this.site.front(this.turn++)) + url, { body, headers: h, patienceMs: PATIENCE_MS });
  }

  note(step, what) {
    const name = `${step} ${what}`;
    this.failed.set(name, (this.failed.get(name) || 0) + 1);
    if (this.during) this.failedDuring++;
    this.lastFailure = Date.now();
  }

  // Until somebody answers. `gone`: nobody waits for this one any more.
  async ask(step, method, url, options) {
    for (let tries = 0; ; tries++) {
      this.sent++;
      try {
        const r = await this.once(method, url, options);
        if (!again(r)) return r;
        if (r.status === 409) this.sent--; // the first of the two is still at work
        else this.note(step, `${r.status}${r.body.code ? ` ${r.body.code}` : ''}`);
        this.last = `${step}: ${r.status} ${JSON.stringify(r.body)}`;
      } catch (e) {
        this.note(step, e.code || e.name);
        this.last = `${step}: ${e.code} ${e}`;
      }
      if (this.over) throw new Error(`no answer in time; the last: ${this.last}`);
      await sleep(Math.min(1000, 50 * 2 ** Math.min(tries, 5)) * (0.5 + Math.random() / 2));
    }
  }

  fill({ token, store, optionIds }) {
    return this.ask('cart', 'POST', '/v1/cart/items', { token,
      body: { menuItemId: demoId('item', store, 3), quantity: 2, optionIds, replace: true } });
  }

  // The payment of this person's order before empties the cart when it is captured: 409 CART_EMPTY is no fault.
  async place(who) {
    let added = await this.fill(who);
    if (added.status === 409 && added.body.code === 'CART_LIMIT') { // long nobody could pay, and so it was never emptied
      await this.ask('cart', 'DELETE', '/v1/cart', { token: who.token });
      added = await this.fill(who);
    }
    assert.equal(added.status, 201, `cart: ${JSON.stringify(added.body)}`);
    return this.ask('order', 'POST', '/v1/orders', { token: who.token, key: randomUUID(), headers: { prefer: 'wait=1' },
      body: { addressId: who.address } });
  }

  async attempt(who, attempt) {
    const { token } = who;
    let placed;
    try {
      do placed = await this.place(who); while (placed.status === 409 && placed.body.code === 'CART_EMPTY');
      assert.equal(placed.status, 201, `order: ${placed.status} ${JSON.stringify(placed.body)}`);
    } finally {
      this.free.push(who); // the next one need not wait for this one's payment
    }
    const o = attempt.order = { id: placed.body.orderId, totalWon: placed.body.totalWon, status: placed.body.status };
    assert.ok(!this.orders.has(o.id), 'one key, one order');
    this.orders.set(o.id, o);
    await this.look(token, o, (status) => status === 'STOCK_PENDING');
    if (o.status === 'AWAITING_PAYMENT') await this.pay(token, o);
    await this.look(token, o, (status) => MOVING.includes(status));
    assert.ok(o.status === 'PAID' || this.allow(o.status), `order ${o.id} is ${o.status}`);
    if (o.status === 'PAID') this.times.push(Date.now() - attempt.began);
  }

  // At most once a second; who has waited long, every eighth of that.
  async look(token, o, goesOn) {
    const from = Date.now();
    for (let tries = 0; goesOn(o.status); tries++) {
      const r = await this.ask('look', 'GET', `/v1/orders/${o.id}`, { token, headers: { prefer: 'wait=1' } });
      assert.equal(r.status, 200, `order ${o.id}, answered 201: ${r.status}`);
      o.status = r.body.status;
      if (!goesOn(o.status)) break;
      if (this.over) throw new Error(`order ${o.id} is still ${o.status}`);
      await sleep(Math.max(Math.min(1000, 60 * 1.5 ** Math.min(tries, 8)), Math.min(5000, (Date.now() - from) / 8)));
    }
  }

  async pay(token, o) {
    const window = await this.ask('window', 'POST', '/simulator/authorize', { base: this.site.toss(), body: { orderId: o.id, amount: o.totalWon } });
    assert.equal(window.status, 200, JSON.stringify(window.body));
    const r = await this.ask('confirm', 'POST', '/v1/payments/confirm', { token, key: randomUUID(),
      body: { paymentKey: window.body.paymentKey, orderId: o.id, amountWon: o.totalWon } });
    o.captured = r.status === 200;
    assert.ok(r.status === 200 || r.status === 202, `confirm: ${r.status} ${JSON.stringify(r.body)}`);
  }

  // Begins what was due before stop() and still waits in line, and waits until everybody has what they came for.
  async rest(until) {
    const timer = setTimeout(() => { this.over = true; }, until - Date.now());
    for (; this.due() <= this.stopped && !this.over; await sleep(TICK_MS)) this.tick();
    await Promise.all([...this.attempts].map((a) => a.running));
    clearTimeout(timer);
    if (this.problems.length) {
      this.problems[0].message += ` (and ${this.problems.length - 1} more)`;
      throw this.problems[0];
    }
    assert.ok(this.due() > this.stopped, `only ${this.started} of ${Math.floor((this.stopped - this.began) * this.rate / 1000)} orders could be begun`);
    assert.ok(this.orders.size > 0, 'there was load');
  }

  // When the last of those that began before `end` had what it came for, or the last request failed.
  lastOf(end) {
    let last = this.lastFailure || 0;
    for (const a of this.attempts) if (a.began <= end && a.ended > last) last = a.ended;
    return last;
  }

  summary() {
    const ended = [...this.attempts].reduce((latest, a) => Math.max(latest, a.ended), this.stopped || Date.now());
    const seconds = (ended - this.began) / 1000;
    const { user, system } = process.cpuUsage(this.cpu);
    const sorted = this.times.sort((a, b) => a - b);
    const part = (share) => ((sorted[Math.floor(share * (sorted.length - 1))] || 0) / 1000).toFixed(2);
    let n = 0;
    for (const times of this.failed.values()) n += times;
    const each = [...this.failed].sort().map(([name, times]) => `${name}: ${times}`).join(', ');
    return `${(this.orders.size / seconds).toFixed(1)} orders/s of ${this.rate} wished (${this.orders.size} in ${seconds.toFixed(0)} s, ` +
      `${this.late} begun late, at most ${(this.latestMs / 1000).toFixed(1)} s), paid after p50 ${part(0.5)} s p99 ${part(0.99)} s, ` +
      `${n} of ${this.sent} requests failed, ${this.failedDuring} of them during it${n ? ` (${each})` : ''}, ` +
      `load generator ${((user + system) / 1e6 / seconds).toFixed(2)} cores`;
  }
}

module.exports = { Load };
