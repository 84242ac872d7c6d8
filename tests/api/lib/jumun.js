// jumun.js -- starts the real binary on free ports with a fresh directory and talks to it as people do.
'use strict';
const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');

const { engines, settled, dropDatabases } = require('./engines.js');
const { through } = require('./gateway.js');
const { launch } = require('./processes.js');

const root = path.join(__dirname, '..', '..', '..');

// JUMUN or JUMUN_BIN, or the newest of the usual builds.
function binary() {
  const named = process.env.JUMUN || process.env.JUMUN_BIN;
  if (named) return named;
  const built = ['release', 'dev', 'fault', 'asan']
    .map((preset) => path.join(root, 'build', preset, 'jumun'))
    .filter((file) => fs.existsSync(file))
    .sort((a, b) => fs.statSync(b).mtimeMs - fs.statSync(a).mtimeMs);
  if (!built.length) throw new Error('no jumun binary: build one or set JUMUN');
  return built[0];
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Calls `what` until it gives something true; failing that, says what it was waiting for.
async function until(what, description, ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await what();
    if (got) return got;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${description}`);
    await sleep(20);
  }
}

// Starts the platform. stop() ends it by SIGTERM and removes its directory; kill() is a crash;
// again() starts it on the same directory.
async function start({ args = [], env = {}, data } = {}) {
  const dir = data || fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  const child = launch(binary(), ['up', '--data', dir, '--listen', '127.0.0.1:0',
    '--internal-listen', '127.0.0.1:0', '--toss-listen', '127.0.0.1:0', '--rate-limit', '0', ...args],
  { env: { ...process.env, JUMUN_BIN: undefined, ...engines(dir), ...env } });
  const world = { dir, child, log: '' };
  let ready;

  child.stderr.on('data', (bytes) => { world.log = (world.log + bytes).slice(-100000); });
  const gone = new Promise((done) => child.on('exit', (code, signal) => {
    world.exit = { code, signal };
    done(world.exit);
  }));
  const line = new Promise((done) => {
    let out = '';
    child.stdout.on('data', (bytes) => {
      out += bytes;
      const found = /^ready (.*)$/m.exec(out);
      if (found) done(found[1]);
    });
  });
  ready = await Promise.race([line, gone.then(() => null), new Promise((done) => setTimeout(done, 60000, null).unref())]);
  if (!ready) {
    child.kill('SIGKILL');
    throw new Error(`jumun did not start:\n${world.log}`);
  }
  for (const pair of ready.split(' ')) {
    const [name, url] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    world[name] = url;
  }
  await settled(world.internal, args.includes('--demo'));
  await through(world, args);
  world.part = (name) => (child.services ? child.services[name] : world); // where that service is
  const shut = async () => { if (world.gateway) await world.gateway.stop(); };
  world.kill = async () => { await shut(); child.kill('SIGKILL'); await gone; };
  world.end = async () => {
    await shut();
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 15000);
    await gone;
    clearTimeout(timer);
    return world.exit;
  };
  world.stop = async () => {
    const exit = world.exit || await world.end();
    fs.rmSync(dir, { recursive: true, force: true });
    dropDatabases(dir);
    return exit;
  };
  world.again = () => start({ args, env, data: dir });
  world.call = (method, where, options) => call(world, method, where, options);
  return world;
}

// One request. body: an object (sent as JSON) or a string as it is. POSTs carry a new Idempotency-Key
// unless `key` says another one (null: none). at: 'public', 'internal' or 'toss'.
async function call(world, method, where, { token, body, key, headers = {}, at = 'public' } = {}) {
  const head = { ...headers };
  if (token) head.authorization = `Bearer ${token}`;
  if (body !== undefined && !head['content-type']) head['content-type'] = 'application/json';
  if (method === 'POST' && key !== null && at === 'public') head['idempotency-key'] = key || randomUUID();
  const reply = await fetch(world[at] + where, {
    method,
    headers: head,
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(30000),
  });
  const text = await reply.text();
  let json;
  if (/json/.test(reply.headers.get('content-type') || '')) json = JSON.parse(text);
  return { status: reply.status, headers: reply.headers, text, body: json };
}

// Like call, but any other status than the wanted one is an error that shows the answer.
async function want(world, status, method, where, options) {
  const reply = await call(world, method, where, options);
  if (reply.status !== status) {
    throw new Error(`${method} ${where}: ${reply.status} instead of ${status}: ${reply.text}`);
  }
  return reply.body;
}

let people = 0;

// A new customer or owner, signed in: {userId, username, password, token, refreshToken}.
async function person(world, role = 'customer') {
  const username = `p${Date.now().toString(36)}_${++people}`;
  const password = `good horse ${randomUUID()}`;
  await want(world, 201, 'POST', '/v1/auth/signup',
    { body: { username, password, name: '홍길동', email: `${username}@example.com`, role } });
  const tokens = await want(world, 200, 'POST', '/v1/auth/login', { body: { username, password } });
  return { userId: tokens.user.userId, username, password, token: tokens.accessToken, refreshToken: tokens.refreshToken };
}

const everyDay = [0, 1, 2, 3, 4, 5, 6].map((weekday) => ({ weekday, opens: '00:00', closes: '24:00' }));

// A store that is always open, with one section; items: [{name, priceWon, stock?}] (stock absent: not counted).
async function store(world, owner, { items = [{ name: '후라이드치킨', priceWon: 18000 }], ...more } = {}) {
  const made = await want(world, 201, 'POST', '/v1/owner/stores', { token: owner.token, body: {
    name: '시험 치킨', category: 'chicken', phone: '02-555-1234', address: '서울 강남구 테헤란로 1', zipCode: '06236',
    latitude: 37.5, longitude: 127.0365, radiusM: 3000, minimumOrderWon: 0, deliveryFeeWon: 3000, hours: everyDay, ...more } });
  const own = `/v1/owner/stores/${made.storeId}`;
  const section = await want(world, 201, 'POST', `${own}/sections`, { token: owner.token, body: { name: '치킨' } });
  const menu = [];
  for (const item of items) {
    menu.push(await want(world, 201, 'POST', `${own}/menu-items`,
      { token: owner.token, body: { sectionId: section.sectionId, ...item } }));
  }
  return { ...made, own, orders: `${own}/orders`, sectionId: section.sectionId, items: menu };
}

// An address next to that store.
async function address(world, customer) {
  return want(world, 201, 'POST', '/v1/me/addresses', { token: customer.token, body: {
    label: '집', recipient: '홍길동', phone: '010-1234-5678', address1: '서울 강남구 테헤란로 2', address2: '101호',
    zipCode: '06236', latitude: 37.501, longitude: 127.0366 } });
}

// Puts an item alone into the cart; the order service may hear of a new store only a moment later.
async function fill(world, customer, menuItemId, quantity = 1) {
  await want(world, 204, 'DELETE', '/v1/cart', { token: customer.token });
  return until(async () => {
    const reply = await call(world, 'POST', '/v1/cart/items', { token: customer.token,
      body: { menuItemId, quantity, replace: true } });
    if (reply.status === 201) return reply.body;
    if (reply.status === 404) return null;
    throw new Error(`cart: ${reply.status} ${reply.text}`);
  }, 'the menu item to be known to the cart');
}

// Orders one item; waits until the stock has answered.
async function order(world, customer, at, { item = at.items[0], quantity = 1, addressId } = {}) {
  if (!addressId) {
    customer.addressId = customer.addressId || (await address(world, customer)).addressId;
    addressId = customer.addressId;
  }
  await fill(world, customer, item.menuItemId, quantity);
  return want(world, 201, 'POST', '/v1/orders', { token: customer.token, headers: { prefer: 'wait=5' }, body: { addressId } });
}

// What the customer does in the Toss window. outcome: see the simulator; absent: it will be confirmed.
async function authorize(world, placed, outcome) {
  const body = { orderId: placed.orderId, amount: placed.totalWon };
  if (outcome) body.outcome = outcome;
  return (await want(world, 200, 'POST', '/simulator/authorize', { at: 'toss', body })).paymentKey;
}

async function confirm(world, customer, placed, paymentKey, options = {}) {
  return call(world, 'POST', '/v1/payments/confirm', { token: customer.token,
    body: { paymentKey, orderId: placed.orderId, amountWon: placed.totalWon }, ...options });
}

async function orderOf(world, customer, orderId) {
  return want(world, 200, 'GET', `/v1/orders/${orderId}`, { token: customer.token });
}

async function reaches(world, customer, orderId, ...statuses) {
  let last;
  return until(async () => {
    last = await orderOf(world, customer, orderId);
    return statuses.includes(last.status) ? last : null;
  }, `order ${orderId} to be ${statuses.join(' or ')}`).catch((e) => {
    throw new Error(`${e.message}; it is ${last && last.status}`);
  });
}

// Orders and pays; answers the order when it is PAID.
async function paid(world, customer, at, options) {
  const placed = await order(world, customer, at, options);
  const reply = await confirm(world, customer, placed, await authorize(world, placed));
  if (reply.status !== 200) throw new Error(`confirm: ${reply.status} ${reply.text}`);
  return reaches(world, customer, placed.orderId, 'PAID');
}

// Follows an event stream: {events: [{id, event, data}], lastId, closed, close()}; resolves when it is open.
function follow(world, where, { token, lastId } = {}) {
  const headers = { accept: 'text/event-stream' };
  if (token) headers.authorization = `Bearer ${token}`;
  if (lastId !== undefined) headers['last-event-id'] = String(lastId);
  return new Promise((resolve, reject) => {
    const request = http.get(world.public + where, { headers, agent: false }, (reply) => {
      const stream = { status: reply.statusCode, headers: reply.headers, events: [], lastId, closed: false };
      let rest = '';
      stream.close = () => request.destroy();
      stream.until = (test, what, ms) => until(() => stream.events.find(test), what || 'an event', ms);
      reply.setEncoding('utf8');
      reply.on('data', (text) => {
        rest += text;
        for (let end; (end = rest.indexOf('\n\n')) >= 0; rest = rest.slice(end + 2)) {
          const fields = {};
          for (const line of rest.slice(0, end).split('\n')) {
            const colon = line.indexOf(': ');
            if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 2);
          }
          if (fields.id !== undefined) stream.lastId = fields.id;
          if (fields.data !== undefined) {
            stream.events.push({ id: fields.id, event: fields.event, data: JSON.parse(fields.data) });
          }
        }
      });
      reply.on('close', () => { stream.closed = true; });
      reply.on('error', () => { stream.closed = true; });
      resolve(stream);
    });
    request.on('error', reject);
  });
}

module.exports = {
  start, call, want, until, sleep, person, store, address, fill, order, authorize, confirm, orderOf, reaches, paid,
  follow, binary, everyDay,
};
