// platform.js -- starts a platform in a directory of its own and talks to it over HTTP, for black-box tests.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { randomUUID } = require('node:crypto');

const { engines, settled, dropDatabases } = require('./engines.js');
const { through } = require('./gateway.js');
const { launch } = require('./processes.js');

const ROOT = path.join(__dirname, '..', '..', '..');
const BINARY = process.env.JUMUN || path.join(ROOT, 'build', process.env.PRESET || 'dev', 'jumun');
const PASSWORD = 'jumun-demo-1';

const hex = (n, digits) => n.toString(16).padStart(digits, '0');
const KINDS = ['customer', 'owner', 'staff', 'admin', 'address', 'store', 'section', 'item', 'group', 'option'];
// The fixed ids of the demo world, as src/service/demo.c makes them.
function demoId(kind, a, b = 0, c = 0) {
  return `019b76da-a800-70${hex(KINDS.indexOf(kind), 2)}-8000-${hex(a, 4)}${hex(b, 4)}${hex(c, 4)}`;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Asks until `ask` gives something true; says what it waited for when it never does.
async function until(what, ask, timeoutMs = 15000) {
  const end = Date.now() + timeoutMs;
  let last;
  while (Date.now() < end) {
    last = await ask();
    if (last) return last;
    await sleep(20);
  }
  throw new Error(`waited ${timeoutMs} ms in vain for ${what}`);
}

class Platform {
  // options: args (further flags), env, dir (kept by the caller), demo (default true), settle (false: ready is enough)
  static async start(options = {}) {
    const p = new Platform();
    p.options = options;
    p.dir = options.dir || fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
    p.ownDir = !options.dir;
    await p.run();
    return p;
  }

  // apart: {later, envOf}, see Crowd in processes.js.
  run(env = {}, apart = {}) {
    const args = ['up', '--data', path.join(this.dir, 'data'), '--listen', '127.0.0.1:0', '--internal-listen',
      '127.0.0.1:0', '--toss-listen', '127.0.0.1:0', '--rate-limit', '0', ...(this.options.args || [])];
    if (this.options.demo !== false) args.push('--demo');
    this.log = '';
    this.child = launch(BINARY, args, { env: { PATH: process.env.PATH, ...engines(this.dir), ...(this.options.env || {}), ...env }, ...apart });
    this.exited = new Promise((resolve) => this.child.on('exit', (code, signal) => resolve({ code, signal })));
    this.child.stderr.on('data', (d) => { this.log = (this.log + d).slice(-100000); });
    return new Promise((resolve, reject) => {
      let out = '';
      const timer = setTimeout(() => {
        this.child.kill('SIGKILL');
        reject(new Error(`not ready in 60 s: ${out}${this.log}`));
      }, 60000);
      this.child.stdout.on('data', (d) => {
        out += d;
        const m = /ready public=(\S+) internal=(\S+) toss=(\S+)/.exec(out);
        if (!m) return;
        clearTimeout(timer);
        [, this.public, this.internal, this.toss] = m;
        (this.options.settle === false ? Promise.resolve() : settled(this.internal, this.options.demo !== false)).then(() => through(this, this.options.args)).then(() => resolve(this), reject);
      });
      this.exited.then((e) => { clearTimeout(timer); reject(new Error(`ended before it was ready: ${JSON.stringify(e)} ${this.log}`)); });
    });
  }

  async kill() { // as a power cut would
    if (this.gateway) await this.gateway.stop();
    this.child.kill('SIGKILL');
    await this.exited;
  }

  async stop() {
    if (this.gateway) await this.gateway.stop();
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 20000);
    const end = await this.exited;
    clearTimeout(timer);
    if (this.ownDir) {
      fs.rmSync(this.dir, { recursive: true, force: true });
      dropDatabases(this.dir);
    }
    return end;
  }

  // -> {status, headers, body}; body is parsed when it is JSON. `as` is a client from login().
  async request(method, url, { body, headers = {}, as, key, raw, base } = {}) {
    const h = { ...headers };
    if (as && as.token) h.authorization = `Bearer ${as.token}`;
    if (as && as.cart) h['jumun-cart'] = as.cart;
    if (key) h['idempotency-key'] = key === true ? randomUUID() : key;
    if (body !== undefined && !h['content-type']) h['content-type'] = 'application/json';
    const response = await fetch((base || this.public) + url, {
      method, headers: h, redirect: 'manual',
      body: raw !== undefined ? raw : body === undefined ? undefined : JSON.stringify(body) });
    const text = await response.text();
    let parsed = text;
    if (/json/.test(response.headers.get('content-type') || '')) parsed = JSON.parse(text);
    if (as && response.headers.get('jumun-cart')) as.cart = response.headers.get('jumun-cart');
    return { status: response.status, headers: response.headers, body: parsed };
  }

  get(url, options) { return this.request('GET', url, options); }
  post(url, body, options = {}) { return this.request('POST', url, { body, ...options }); }
  put(url, body, options = {}) { return this.request('PUT', url, { body, ...options }); }
  patch(url, body, options = {}) { return this.request('PATCH', url, { body, ...options }); }
  delete(url, options) { return this.request('DELETE', url, options); }

  async login(username, password = PASSWORD, headers = {}) {
    const r = await this.post('/v1/auth/login', { username, password }, { headers });
    if (r.status !== 200) throw new Error(`login of ${username}: ${r.status} ${JSON.stringify(r.body)}`);
    return { token: r.body.accessToken, refresh: r.body.refreshToken, user: r.body.user };
  }

  // ---- the story in steps

  // Puts `quantity` of an item with the default (first) option of each obligatory group into the cart.
  async addToCart(as, store, item, quantity = 1, more = {}) {
    const menu = await this.get(`/v1/stores/${demoId('store', store)}/menu-items/${demoId('item', store, item)}`);
    if (menu.status !== 200) return menu; // the store is away: nobody knows what has to be chosen
    const optionIds = (menu.body.optionGroups || []).filter((g) => g.min > 0).map((g) => g.options[0].optionId);
    return this.post('/v1/cart/items', { menuItemId: demoId('item', store, item), quantity, optionIds, ...more }, { as });
  }

  async place(as, customer, { wait = 5, key = true, body = {} } = {}) {
    return this.post('/v1/orders', { addressId: demoId('address', customer), ...body },
      { as, key, headers: wait ? { prefer: `wait=${wait}` } : {} });
  }

  async authorize(order, outcome, amount = order.totalWon) {
    const r = await this.post('/simulator/authorize', { orderId: order.orderId, amount, ...(outcome ? { outcome } : {}) },
      { base: this.toss });
    if (r.status !== 200) throw new Error(`authorize: ${r.status} ${JSON.stringify(r.body)}`);
    return r.body.paymentKey;
  }

  confirm(as, order, paymentKey, { key = true, amount = order.totalWon } = {}) {
    return this.post('/v1/payments/confirm', { paymentKey, orderId: order.orderId, amountWon: amount }, { as, key });
  }

  order(as, orderId) { return this.get(`/v1/orders/${orderId}`, { as }); }

  reaches(as, orderId, status, timeoutMs) {
    return until(`order ${orderId} to be ${status}`, async () => {
      const r = await this.order(as, orderId);
      return r.body.status === status && r.body;
    }, timeoutMs);
  }

  // A paid order, the shortest way.
  async paid(as, customer, store = 1, item = 1, quantity = 1) {
    await this.request('DELETE', '/v1/cart', { as });
    await this.addToCart(as, store, item, quantity);
    const placed = await this.place(as, customer);
    const paymentKey = await this.authorize(placed.body);
    const c = await this.confirm(as, placed.body, paymentKey);
    if (c.status !== 200) throw new Error(`confirm: ${c.status} ${JSON.stringify(c.body)}`);
    return this.reaches(as, placed.body.orderId, 'PAID');
  }
}

module.exports = { Platform, demoId, until, sleep, randomUUID, BINARY, ROOT, PASSWORD };
