// apart.test.js -- every service in its own process: the main job, a crash in the middle, and who believes whom.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');
const { spawnSync } = require('node:child_process');
const { startApart, NAMES } = require('./lib/apart.js');
const { startGateway } = require('./lib/gateway.js');
const { credentials } = require('./lib/processes.js');
const { binary, call, want, person, address, store, fill, order, authorize, confirm, reaches, paid, follow, until } = require('./lib/jumun.js');

const shuffled = [...NAMES].sort(() => Math.random() - 0.5);
let world, owner, minji, shop;

test.before(async () => {
  world = await startApart({ order: shuffled });
  await want(world, 200, 'PUT', '/simulator/faults', { at: 'toss',
    body: { webhookTo: `${world.services.payment.public}/v1/webhooks/toss` } });
}, { timeout: 60000 });
test.after(() => world && world.stop());

test(`from signup to a delivered order, started as ${shuffled.join(', ')}`, { timeout: 60000 }, async () => {
  owner = await person(world, 'owner');
  minji = await person(world);
  // A token that a service cannot check yet waits for the keys; it is never refused as a wrong one.
  for (const where of ['/v1/cart', '/v1/me', '/v1/owner/stores']) {
    await until(async () => {
      const reply = await call(world, 'GET', where, { token: where.includes('owner') ? owner.token : minji.token });
      assert.ok([200, 503].includes(reply.status), `${where}: ${reply.status} ${reply.text}`);
      if (reply.status === 503) assert.ok(reply.headers.get('retry-after'));
      return reply.status === 200;
    }, `${where} to answer`);
  }
  shop = await store(world, owner);
  const placed = await order(world, minji, shop);
  assert.equal(placed.status, 'AWAITING_PAYMENT', JSON.stringify(placed));
  const live = await follow(world, `/v1/orders/${placed.orderId}/events`, { token: minji.token });
  assert.equal(live.status, 200);
  const reply = await confirm(world, minji, placed, await authorize(world, placed));
  assert.equal(reply.status, 200, reply.text);
  await reaches(world, minji, placed.orderId, 'PAID');
  for (const [action, body] of [['accept', { minutes: 30 }], ['cook'], ['ready'], ['deliver'], ['complete']]) {
    await want(world, 200, 'POST', `${shop.orders}/${placed.orderId}/${action}`, { token: owner.token, body });
  }
  await reaches(world, minji, placed.orderId, 'COMPLETED');
  await live.until((e) => e.data.status === 'COMPLETED' || e.data.to === 'COMPLETED', 'the live event of the end');
  live.close();
});

// Each service has been started with its own, see lib/processes.js.
test('whoever is signed in gets through a gateway with the credentials of its unit', { timeout: 30000 }, async () => {
  const gate = await startGateway(world.upstreams, { args: ['--issuer', 'http://jumun.test', '--peers', world.peers,
    '--service-keys', credentials(world.keys, 'gateway')] });
  try {
    await until(async () => (await call({ public: gate.public }, 'GET', '/v1/me', { token: minji.token })).status === 200,
      'the gateway to hear from auth which sessions are over', 5000);
    assert.equal((await call({ public: gate.public }, 'GET', '/v1/me', {})).status, 401);
  } finally {
    await gate.stop();
  }
});

test('a service that is killed in the middle goes on where it was', { timeout: 60000 }, async () => {
  for (const name of ['order', 'payment', 'store', 'auth']) {
    const placed = await order(world, minji, shop);
    const paymentKey = await authorize(world, placed);
    await world.services[name].kill();
    const key = crypto.randomUUID();
    const first = await confirm(world, minji, placed, paymentKey, { key }).catch(() => null);
    if (name === 'payment') assert.ok(!first || first.status >= 500, 'nobody answers for a dead service');
    await world.services[name].start();
    if (name === 'order') { // it is not ready before it can check tokens
      const first = await fetch(`${world.services.order.public}/v1/cart`, { headers: { authorization: `Bearer ${minji.token}` } });
      assert.equal(first.status, 200, await first.text());
    }
    await until(async () => (await confirm(world, minji, placed, paymentKey, { key })).status === 200,
      `the payment to be confirmed after ${name} came back`, 40000);
    await reaches(world, minji, placed.orderId, 'PAID');
  }
  await paid(world, minji, shop);
});

// Nobody answers for the stock, so that whoever waits for it waits as long as they said.
test('while the store service is away orders are taken, and who waits for its answer keeps nobody else from it', { timeout: 60000 }, async () => {
  const crowd = [];
  for (let i = 0; i < 9; i++) {
    const who = await person(world);
    who.addressId = (await address(world, who)).addressId;
    await fill(world, who, shop.items[0].menuItemId);
    crowd.push(who);
  }
  await fill(world, minji, shop.items[0].menuItemId);
  await world.services.store.kill();
  const place = (who, seconds) => {
    const since = Date.now();
    return call(world, 'POST', '/v1/orders', { token: who.token, headers: { prefer: `wait=${seconds}` }, body: { addressId: who.addressId } })
      .then((reply) => ({ ...reply, ms: Date.now() - since }));
  };
  const greedy = Array.from({ length: 10 }, () => place(crowd[0], 8));
  await sleep(500);
  const patient = crowd.slice(1).flatMap((who) => Array.from({ length: 6 }, () => place(who, 8)));
  await sleep(1500);
  const late = [];
  for (let i = 0; i < 20; i++) {
    late.push(await place(minji, 8));
    const cart = await call(world, 'POST', '/v1/cart/items', { token: minji.token, body: { menuItemId: shop.items[0].menuItemId, quantity: 1, optionIds: [] } });
    assert.equal(cart.status, 201, cart.text);
  }
  await world.services.store.start();
  const [ofGreedy, ofOthers] = [await Promise.all(greedy), await Promise.all(patient)];
  for (const reply of [...late, ...ofGreedy, ...ofOthers]) assert.equal(reply.status, 201, reply.text);
  assert.ok(Math.max(...late.map((r) => r.ms)) < 2000, `they wait ${late.map((r) => r.ms)} ms`);
  const waited = (replies) => replies.filter((r) => r.ms > 1000).length;
  assert.equal(waited(ofGreedy), 4, `one customer waits ${ofGreedy.map((r) => r.ms)} ms`);
  assert.equal(waited(ofOthers), 20, `the others wait ${ofOthers.map((r) => r.ms)} ms`);
  for (const { body } of late) await reaches(world, minji, body.orderId, 'AWAITING_PAYMENT');
});

test('a replica that is just starting is passed over', { timeout: 60000 }, async () => {
  let asked = 0;
  const starting = http.createServer((request, reply) => {
    asked++;
    request.resume().on('end', () => reply.writeHead(503, { 'content-type': 'application/problem+json' }).end('{"code":"STARTING","status":503}'));
  });
  await new Promise((done) => starting.listen(0, '127.0.0.1', done));
  const peers = world.peers;
  const again = async () => {
    await world.services.order.end();
    await world.services.order.start();
  };
  world.peers = peers.replace('user=http://127.0.0.1:1|', `user=http://127.0.0.1:${starting.address().port}|`);
  try {
    await again();
    // It asks the user service for the address, and the two in turn with whatever else it asks for.
    for (let i = 0; i < 20 && (i < 4 || asked === 0); i++) await order(world, minji, shop);
    assert.ok(asked > 0, 'it was asked');
    world.peers = peers.replace(/user=[^,]*/, `user=http://127.0.0.1:${starting.address().port}`);
    await again();
    const refused = await order(world, minji, shop).catch((e) => e.message);
    assert.match(String(refused), /503.*STARTING/, 'and nobody else is there');
  } finally {
    world.peers = peers;
    await again();
    starting.close();
  }
});

const base64url = (o) => Buffer.from(typeof o === 'string' ? o : JSON.stringify(o)).toString('base64url');
const nowS = () => Math.floor(Date.now() / 1000);
const privateKey = (name) => fs.readFileSync(path.join(world.keys, `${name}.key`));

// A service's token, made by hand; what is given replaces what would be right.
function serviceToken({ by = 'payment', kid = by, key = privateKey(by), header = {}, claims = {} } = {}) {
  const text = `${base64url({ alg: 'RS256', typ: 'at+jwt', kid, ...header })}.${base64url({ iss: kid, sub: kid, aud: 'order',
    iat: nowS(), exp: nowS() + 60, jti: crypto.randomUUID(), role: 'service', ...claims })}`;
  return `${text}.${crypto.sign('sha256', text, key).toString('base64url')}`;
}

// A key that nobody knows may be a new one of auth's: the first answer is 503, until they were fetched again.
async function internalStatus(token) {
  for (let tries = 0; ; tries++) {
    const reply = await fetch(`${world.services.order.internal}/internal/v1/orders/${crypto.randomUUID()}/status`,
      { headers: token ? { authorization: `Bearer ${token}` } : {} });
    if (reply.status !== 503 || tries === 30) return reply.status;
    await sleep(100);
  }
}

test('the internal listener believes only services that were made known', { timeout: 30000 }, async () => {
  const stranger = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  assert.equal(await internalStatus(serviceToken()), 404, 'a good token is let in: there is no such order');
  assert.equal(await internalStatus(), 401, 'no token');
  for (const [what, token] of Object.entries({
    'another key': serviceToken({ key: stranger }),
    'an unknown service': serviceToken({ kid: 'nobody', key: stranger }),
    'one service in the name of another': serviceToken({ by: 'toss', kid: 'payment', key: privateKey('store') }),
    'a subject that is not the key\'s': serviceToken({ claims: { sub: 'store' } }),
    'an issuer that is not the key\'s': serviceToken({ claims: { iss: 'store' } }),
    'a token for another service': serviceToken({ claims: { aud: 'auth' } }),
    'a token for users': serviceToken({ claims: { aud: 'jumun' } }),
    'an expired one': serviceToken({ claims: { iat: nowS() - 200, exp: nowS() - 140 } }),
    'one that lives too long': serviceToken({ claims: { exp: nowS() + 3600 } }),
    'no algorithm': serviceToken({ header: { alg: 'none' } }),
    'another role': serviceToken({ claims: { role: 'admin' } }),
    'rubbish': 'a.b.c',
  })) assert.equal(await internalStatus(token), 401, what);
});

test('a user is no service, and a service is no user', { timeout: 30000 }, async () => {
  assert.equal(await internalStatus(minji.token), 403, 'internal routes are not for users');
  for (const at of ['/v1/cart', '/v1/orders']) {
    const reply = await call(world, 'GET', at, { token: serviceToken({ claims: { aud: 'jumun', iss: 'http://jumun.test' } }) });
    assert.ok([401, 503].includes(reply.status), `${at}: ${reply.status}`);
  }
});

test('health and metrics need no token', async () => {
  for (const name of NAMES) {
    for (const where of ['/livez', '/readyz', '/metrics']) {
      assert.equal((await fetch(world.services[name].internal + where)).status, 200, `${name} ${where}`);
    }
  }
});

test('an operator has a key as well', () => {
  const run = (...args) => spawnSync(binary(), ['dlq', 'list', '--service', 'order', '--internal-listen',
    world.services.order.internal.slice('http://'.length), ...args], { encoding: 'utf8', timeout: 20000 });
  assert.equal(run('--service-keys', world.keys).stdout, 'no dead letters\n');
  assert.match(run('--data', world.dir).stderr, /401/, 'auth\'s key is not good for that');
});

test('two processes with the same service on one directory: the second one says so', () => {
  const r = spawnSync(binary(), ['serve', 'order', '--data', world.dir, '--listen', '127.0.0.1:0', '--internal-listen',
    '127.0.0.1:0'], { encoding: 'utf8', timeout: 20000 });
  assert.notEqual(r.status, 0);
  assert.match(r.stderr, /service order of data directory .* is in use by process \d+/);
  const up = spawnSync(binary(), ['up', '--data', world.dir, '--listen', '127.0.0.1:0', '--internal-listen',
    '127.0.0.1:0', '--toss-listen', '127.0.0.1:0'], { encoding: 'utf8', timeout: 20000 });
  assert.match(up.stderr, /is in use/);
});

test('what is wrong with peers and keys is named at start', () => {
  const dir = fs.mkdtempSync(path.join(world.dir, 'wrong-'));
  const run = (...args) => spawnSync(binary(), ['serve', 'user', '--data', dir, '--listen', '127.0.0.1:0',
    '--internal-listen', '127.0.0.1:0', ...args], { encoding: 'utf8', timeout: 20000 }).stderr;
  assert.match(run('--peers', 'order'), /"order" is not SERVICE=http/);
  assert.match(run('--peers', 'auth=http://127.0.0.1:1, ordr=http://127.0.0.1:2'), /--peers: there is no service "ordr"; did you mean "order"\?/);
  const front = (...args) => spawnSync(binary(), ['serve', 'gateway', '--data', dir, '--listen', '127.0.0.1:0', '--internal-listen', '127.0.0.1:0',
    '--upstreams', '*=http://127.0.0.1:1,odd=http://127.0.0.1:2', ...args], { encoding: 'utf8', timeout: 20000 });
  assert.equal(front().status, 2);
  assert.match(front().stderr, /--upstreams: there is no service "odd"\n/);
  assert.doesNotMatch(front('--gateway-routes', '/x=odd', '--bus', 'nowhere').stderr, /there is no service/);
  assert.match(run('--service-keys', dir), /user\.key.*service-keys/);
  fs.copyFileSync(path.join(world.keys, 'user.key'), path.join(dir, 'user.key'));
  fs.chmodSync(path.join(dir, 'user.key'), 0o644);
  assert.match(run('--service-keys', dir), /must be a file of mode 0600/);
  // As systemd may hand it over: root's, with an access list that the bits of the group bound. Then the next thing is wrong.
  fs.chmodSync(path.join(dir, 'user.key'), 0o440);
  if (process.getuid() !== 0) return;
  fs.chownSync(path.join(dir, 'user.key'), 0, 0);
  assert.doesNotMatch(run('--service-keys', dir, '--peers', 'order'), /mode 0600/);
  fs.chownSync(path.join(dir, 'user.key'), 0, 1);
  assert.match(run('--service-keys', dir), /must be a file of mode 0600/);
});
