// load.js -- people of the demo world who order at a steady pace, and who behave as the contract asks: no answer, same request again.
'use strict';
const assert = require('node:assert/strict');
const { demoId, sleep, randomUUID, PASSWORD } = require('../../api/lib/platform.js');

const PEOPLE = 20;
const PATIENCE_MS = 20000; // for one answer

const MOVING = ['STOCK_PENDING', 'AWAITING_PAYMENT', 'CONFIRMING'];

// An answer that asks the client to come again.
const again = (r) => r.status >= 500 || r.status === 429 || (r.status === 409 && r.body.code === 'IDEMPOTENCY_KEY_IN_USE');

class Load {
  // `allow(status of an order)`: an order may end like that besides PAID.
  constructor(site, rate, allow) {
    Object.assign(this, { site, rate, allow, during: false, over: false, sent: 0, started: 0, late: 0 });
    this.failed = new Map(); // "step status" -> how often
    this.failedDuring = 0;
    this.orders = new Map(); // orderId -> {began, ended, status, captured}
    this.attempts = new Set();
    this.problems = [];
    this.turn = 0;
  }

  async start() {
    this.site.people = this.site.people || [];
    this.free = [];
    for (let n = 1; n <= PEOPLE; n++) {
      if (!this.site.people[n]) this.site.people[n] = await this.person(n);
      this.free.push(this.site.people[n]);
    }
    this.began = Date.now();
    this.timer = setInterval(() => this.tick(), 1000 / this.rate);
  }

  async person(n) {
    const store = 1 + 5 * (n % 8);
    const at = this.site.front(0);
    const login = await this.ask('login', 'POST', '/v1/auth/login', { body: { username: n === 1 ? 'minji' : `customer${n}`, password: PASSWORD } });
    assert.equal(login.status, 200, JSON.stringify(login.body));
    const menu = await (await fetch(`${at}/v1/stores/${demoId('store', store)}/menu-items/${demoId('item', store, 3)}`)).json();
    const who = { n, store, token: login.body.accessToken,
      optionIds: (menu.optionGroups || []).filter((g) => g.min > 0).map((g) => g.options[0].optionId) };
    for (let tries = 0; (await this.fill(who)).status !== 201; tries++) { // until the menu has come to the order service
      assert.ok(tries < 300, 'the menu does not come to the order service');
      await sleep(100);
    }
    return who;
  }

  // As many as are due; nobody is there to begin one: it is begun late, and counted.
  tick() {
    const due = Math.floor((Date.now() - this.began) * this.rate / 1000);
    while (this.started + this.late < due) {
      const who = this.free.shift();
      if (!who) { this.late++; continue; }
      this.started++;
      const attempt = { began: Date.now(), ended: 0 };
      this.attempts.add(attempt);
      attempt.running = this.attempt(who, attempt)
        .catch((e) => this.problems.push(e))
        .finally(() => { attempt.ended = Date.now(); });
    }
  }

  stop() {
    clearInterval(this.timer);
    this.stopped = Date.now();
  }

  async once(method, url, { body, token, key, headers = {}, base } = {}) {
    const h = { ...headers };
    if (token) h.authorization = `Bearer ${token}`;
    if (key) h['idempotency-key'] = key;
    if (body) h['content-type'] = 'application/json';
    const r = await fetch((base || this.site.front(this.turn++)) + url, { method, headers: h, body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS) });
    const text = await r.text();
    return { status: r.status, body: /json/.test(r.headers.get('content-type') || '') ? JSON.parse(text) : text };
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
        const code = (e.cause && e.cause.code) || e.name;
        this.note(step, code);
        this.last = `${step}: ${code} ${e.cause || e}`;
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
      body: { addressId: demoId('address', who.n) } });
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
  }

  async look(token, o, goesOn) {
    for (let tries = 0; goesOn(o.status); tries++) {
      const r = await this.ask('look', 'GET', `/v1/orders/${o.id}`, { token });
      assert.equal(r.status, 200, `order ${o.id}, answered 201: ${r.status}`);
      o.status = r.body.status;
      if (!goesOn(o.status)) break;
      if (this.over) throw new Error(`order ${o.id} is still ${o.status}`);
      await sleep(Math.min(1000, 60 * 1.5 ** Math.min(tries, 8)));
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

  // Waits until everybody has what they came for.
  async rest(until) {
    const timer = setTimeout(() => { this.over = true; }, until - Date.now());
    await Promise.all([...this.attempts].map((a) => a.running));
    clearTimeout(timer);
    if (this.problems.length) {
      this.problems[0].message += ` (and ${this.problems.length - 1} more)`;
      throw this.problems[0];
    }
    assert.ok(this.orders.size > 0, 'there was load');
  }

  // When the last of those that began before `end` had what it came for, or the last request failed.
  lastOf(end) {
    return Math.max(this.lastFailure || 0, ...[...this.attempts].filter((a) => a.began <= end).map((a) => a.ended));
  }

  summary() {
    const seconds = ((this.stopped || Date.now()) - this.began) / 1000;
    let n = 0;
    for (const times of this.failed.values()) n += times;
    const each = [...this.failed].sort().map(([name, times]) => `${name}: ${times}`).join(', ');
    return `${(this.orders.size / seconds).toFixed(1)} orders/s of ${this.rate} wished (${this.orders.size}), ` +
      `${n} of ${this.sent} requests failed, ${this.failedDuring} of them during it${n ? ` (${each})` : ''}`;
  }
}

module.exports = { Load };
