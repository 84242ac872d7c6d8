// authorization.test.js -- every route of the contract, by every kind of caller; made from the route tables themselves.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { createPrivateKey, sign } = require('node:crypto');
const { execFileSync } = require('node:child_process');
const { Platform, demoId, randomUUID, sleep, BINARY } = require('./lib/platform.js');
const { APART } = require('./lib/processes.js');

// Routes whose success would end the caller or the store the other cases need; their own tests let them succeed.
const ENDS = new Set(['DELETE /v1/me', 'POST /v1/auth/logout', 'POST /v1/auth/logout-all', 'DELETE /v1/owner/stores/{storeId}']);

const contract = JSON.parse(execFileSync(BINARY, ['openapi'], { maxBuffer: 1 << 26 }));
const routes = Object.entries(contract.paths).flatMap(([route, methods]) => Object.entries(methods).map(([method, o]) => ({
  route, method: method.toUpperCase(), who: o['x-who'], listener: o['x-listener'], service: o.tags[0], needsBody: Boolean(o.requestBody) })));

let p, order, paymentId;
const callers = {};

// A token as one of our services would sign it, or as somebody who found an old one would use it.
function token(p, claims, { key, kid, alg = 'RS256', typ = 'at+jwt' } = {}) {
  const dir = path.join(p.dir, 'data', 'keys');
  const file = kid || fs.readdirSync(dir).filter((f) => f.endsWith('.pem'))[0];
  const part = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const head = part({ alg, typ, kid: file.replace('.pem', '') });
  const body = part({ iss: 'http://localhost', aud: 'jumun', iat: now, exp: now + 60, jti: randomUUID(), ...claims });
  const pem = key || createPrivateKey(fs.readFileSync(path.join(dir, file)));
  return `${head}.${body}.${alg === 'none' ? '' : sign('RSA-SHA256', Buffer.from(`${head}.${body}`), pem).toString('base64url')}`;
}

test.before(async () => {
  p = await Platform.start();
  callers.guest = {};
  callers.customer = await p.login('minji');
  callers.otherCustomer = await p.login('customer2');
  callers.owner = await p.login('owner1');
  callers.otherOwner = await p.login('owner2');
  callers.staff = await p.login('staff1');
  callers.admin = await p.login('admin1');
  order = await p.paid(callers.customer, 1);
  paymentId = (await p.get('/v1/payments', { as: callers.customer })).body.items[0].paymentId;
  const claims = JSON.parse(Buffer.from(callers.customer.token.split('.')[1], 'base64url'));
  callers.service = { token: token(p, { sub: 'store', role: 'service', jti: '019b76da-a800-7000-8000-000000000001' }) };
  callers.expired = { token: token(p, { ...claims, iat: claims.iat - 7200, exp: claims.exp - 7200 }) };
  callers.unsigned = { token: token(p, { ...claims, role: 'admin' }, { alg: 'none' }) };
  callers.stale = { token: callers.customer.token.slice(0, -6) + 'AAAAAA' };
});
test.after(() => p.stop());

const ROLE = { guest: 'guest', customer: 'customer', otherCustomer: 'customer', owner: 'owner', otherOwner: 'owner',
  staff: 'staff', admin: 'admin', service: 'service' };

function fill(route) {
  const known = { storeId: demoId('store', 1), menuItemId: demoId('item', 1, 1), sectionId: demoId('section', 1, 1),
    orderId: order.orderId, paymentId, addressId: demoId('address', 1), userId: demoId('customer', 19) };
  let missing = false;
  const url = route.replace(/\{(\w+)\}/g, (_, name) => {
    if (!known[name]) missing = true;
    return known[name] || (name.endsWith('Id') ? randomUUID() : '1');
  });
  return { url, missing };
}

// In a process of its own a service signs with a key of its own, for one other.
function serviceOf(r) {
  if (!APART) return callers.service;
  const key = createPrivateKey(fs.readFileSync(path.join(p.dir, 'data', 'service-keys', 'store.key')));
  return { token: token(p, { sub: 'store', iss: 'store', aud: r.service, role: 'service' }, { kid: 'store', key }) };
}

// A key that nobody knows may be a new one of auth's: the answer is 503 until those were fetched again.
async function call(r, who) {
  for (let tries = 0; ; tries++) {
    const answer = await callOnce(r, who);
    if (answer.body.code !== 'UNAVAILABLE' || tries === 50) return answer;
    await sleep(100);
  }
}

async function callOnce(r, who) {
  const { url, missing } = fill(r.route);
  const needsQuery = r.route.endsWith('/checkout') && r.listener === 'internal' ? `?customerId=${demoId('customer', 1)}` : '';
  const answer = await p.request(r.method, url + needsQuery, { as: who === 'service' ? serviceOf(r) : callers[who],
    body: r.needsBody ? { notAFieldOfAnything: true } : undefined,
    headers: { accept: 'application/json' },
    base: r.listener === 'internal' ? p.internal : p.public });
  return { ...answer, missing };
}

test('every route says who may call it', () => {
  assert.ok(routes.length > 60, `only ${routes.length} routes`);
  for (const r of routes) assert.ok(r.who.length > 0, `${r.method} ${r.route}`);
});

test('callers outside the policy are turned away, those inside are not', async () => {
  let cases = 0;
  for (const r of routes) {
    for (const who of Object.keys(ROLE)) {
      const allowed = r.who.includes(ROLE[who]);
      if (allowed && ENDS.has(`${r.method} ${r.route}`)) continue;
      const a = await call(r, who);
      const name = `${who}: ${r.method} ${r.route} -> ${a.status} ${JSON.stringify(a.body).slice(0, 200)}`;
      const stranger = who === 'guest' || (APART && who === 'service' && r.listener === 'public');
      if (!allowed) assert.equal(a.status, stranger ? 401 : 403, name);
      else assert.ok(![401, 403, 405, 500].includes(a.status), name);
      cases++;
    }
  }
  console.log(`# ${cases} cases over ${routes.length} routes`);
});

test('a token that is expired, unsigned or cut is refused everywhere, also where guests are welcome', async () => {
  for (const r of routes)
    for (const who of ['expired', 'unsigned', 'stale'])
      assert.equal((await call(r, who)).status, 401, `${who}: ${r.method} ${r.route}`);
});

test('what belongs to another is not found', async () => {
  for (const r of routes) {
    if (r.listener !== 'public') continue;
    const ofStore = r.route.startsWith('/v1/owner/stores/{storeId}');
    const ofCustomer = /^\/v1\/(orders\/\{orderId\}|payments\/\{paymentId\}|me\/addresses\/\{addressId\})/.test(r.route);
    const name = `${r.method} ${r.route}`;
    if (ofStore && r.who.includes('owner')) {
      const foreign = await call(r, 'otherOwner');
      assert.equal(foreign.status, 404, `otherOwner: ${name} -> ${foreign.status}`);
    }
    if (ofCustomer && r.who.includes('customer')) {
      const foreign = await call(r, 'otherCustomer');
      const seen = foreign.status === 404 || (r.needsBody && foreign.status === 400) || (foreign.status === 400 && foreign.body.code === 'IDEMPOTENCY_KEY_MISSING');
      assert.ok(seen, `otherCustomer: ${name} -> ${foreign.status} ${JSON.stringify(foreign.body).slice(0, 150)}`);
    }
    if (ofStore && r.who.includes('owner') && r.method === 'GET') {
      const own = await call(r, 'owner');
      assert.equal(own.status, 200, `owner: ${name} -> ${own.status}`);
    }
  }
});

test('internal paths do not exist on the public listener', async () => {
  for (const r of routes.filter((x) => x.listener === 'internal')) {
    const { url } = fill(r.route);
    for (const who of ['guest', 'admin', 'service'])
      assert.equal((await p.request(r.method, url, { as: callers[who] })).status, 404, `${who}: ${r.method} ${url}`);
  }
  for (const url of ['/metrics', '/livez', '/readyz', '/actuator/health'])
    assert.equal((await p.get(url)).status, 404, url);
});

test('identity cannot be injected by headers', async () => {
  const r = await p.get('/v1/me', { headers: { 'x-user-id': demoId('customer', 1), 'x-user-role': 'admin', 'x-forwarded-user': 'admin1' } });
  assert.equal(r.status, 401);
});
