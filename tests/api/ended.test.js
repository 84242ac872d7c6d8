// ended.test.js -- a session that is over is over in every process: whoever ends it, whoever is away, and for who comes later.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const http = require('node:http');
const { startApart } = require('./lib/apart.js');
const { startGateway } = require('./lib/gateway.js');
const { call, want, person, until } = require('./lib/jumun.js');

const SOON_MS = 2000; // twice a second it is asked; a machine with other work may be slow
let world, back, gate;
const PLACES = { user: '/v1/me', order: '/v1/cart', payment: '/v1/payments' };

test.before(async () => {
  world = await startApart({ args: { auth: ['--demo'] } });
  // A back end that does not look at tokens: what it is told must be true.
  back = http.createServer((rq, rs) => rs.end(rq.headers['x-user-id'] || 'nobody'));
  await new Promise((done) => back.listen(0, '127.0.0.1', done));
  gate = await startGateway(`${world.services.auth.public ? `auth=${world.services.auth.public}` : ''},odd=http://127.0.0.1:${back.address().port}`,
    { args: ['--issuer', 'http://jumun.test', '--gateway-routes', '/x=odd', '--service-keys', world.keys, '--peers', world.peers] });
}, { timeout: 60000 });
test.after(async () => {
  if (gate) await gate.stop();
  if (back) back.close();
  if (world) await world.stop();
});

const login = async (who) => (await want(world, 200, 'POST', '/v1/auth/login', { body: { username: who.username, password: who.password } })).accessToken;
const at = (name, token) => fetch(world.services[name].public + PLACES[name], { headers: { authorization: `Bearer ${token}` } });
const beyond = (token) => fetch(`${gate.public}/x/y`, { headers: { authorization: `Bearer ${token}` } });
// Everywhere the same answer, the gateway with its foreign back end among them.
async function everywhere(token, status, what) {
  for (const name of Object.keys(PLACES))
    await until(async () => (await at(name, token)).status === status, `${name} to answer ${status}: ${what}`, SOON_MS);
  await until(async () => (await beyond(token)).status === status, `the gateway to answer ${status}: ${what}`, SOON_MS);
}

const ways = {
  'logout': (token) => want(world, 204, 'POST', '/v1/auth/logout', { token }),
  'logout everywhere': (token) => want(world, 204, 'POST', '/v1/auth/logout-all', { token }),
  'a new password, set elsewhere': async (token, who) => {
    const other = await login(who);
    await want(world, 204, 'PUT', '/v1/auth/password', { token: other, body: { currentPassword: who.password, newPassword: `${who.password} 2` } });
    who.password += ' 2';
  },
  'a ban': async (token, who) => {
    const admin = await login({ username: 'admin1', password: 'jumun-demo-1' });
    await want(world, 204, 'POST', `/v1/admin/users/${who.userId}/ban`, { token: admin, body: { reason: 'a test' } });
  },
};
for (const [what, end] of Object.entries(ways))
  test(`${what} is heard by every process`, { timeout: 30000 }, async () => {
    const who = await person(world);
    const bystander = await person(world);
    await everywhere(who.token, 200, 'before');
    await end(who.token, who);
    await everywhere(who.token, 401, what);
    for (const name of Object.keys(PLACES)) assert.equal((await at(name, bystander.token)).status, 200, `${name}, somebody else`);
    assert.equal(await (await beyond(bystander.token)).text(), bystander.userId);
  });

test('a process that starts after the logout has heard of it before it answers', { timeout: 30000 }, async () => {
  const who = await person(world);
  const { order } = world.services;
  await order.kill();
  await want(world, 204, 'POST', '/v1/auth/logout', { token: who.token });
  await order.start();
  assert.equal((await at('order', who.token)).status, 401);
});

test('auth dies with the logout\'s answer: heard when it is back', { timeout: 30000 }, async () => {
  const who = await person(world);
  const bystander = await person(world);
  const { auth } = world.services;
  await want(world, 204, 'POST', '/v1/auth/logout', { token: who.token });
  await auth.kill();
  // While auth is away nobody's session ends, and ordering goes on.
  assert.equal((await at('order', bystander.token)).status, 200);
  await auth.start();
  await everywhere(who.token, 401, 'after the crash');
  assert.equal((await at('order', bystander.token)).status, 200);
});

test('with --auth-silence users wait while auth is away', { timeout: 60000 }, async () => {
  const who = await person(world);
  const { auth, order } = world.services;
  await order.end();
  order.args = [...order.args, '--auth-silence', '2'];
  await order.start();
  assert.equal((await at('order', who.token)).status, 200);
  await auth.kill();
  await until(async () => (await at('order', who.token)).status === 503, 'who has not heard for 2 s to believe nobody', 8000);
  assert.ok((await at('order', who.token)).headers.get('retry-after'));
  assert.equal((await fetch(`${world.services.order.internal}/livez`)).status, 200);
  await auth.start();
  await until(async () => (await at('order', who.token)).status === 200, 'it to believe again', 8000);
});

test('who was never told by auth believes nobody, and says so', { timeout: 30000 }, async () => {
  const who = await person(world);
  const { auth, order } = world.services;
  await order.end();
  await auth.kill();
  await order.start();
  const reply = await at('order', who.token);
  assert.equal(reply.status, 503);
  assert.ok(reply.headers.get('retry-after'));
  assert.match(order.log, /auth does not say which sessions have ended/);
  await auth.start();
  await until(async () => (await at('order', who.token)).status === 200, 'order to hear of auth', 8000);
});

test('the list is for services only', async () => {
  const reply = await fetch(`${world.services.auth.internal}/internal/v1/ended-sessions`);
  assert.equal(reply.status, 401);
  assert.equal((await call(world, 'GET', '/internal/v1/ended-sessions')).status, 404);
});
