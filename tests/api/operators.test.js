// operators.test.js -- how an account becomes an operator's: said with the platform's keys, on its internal listener.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { after, before, test } = require('node:test');
const j = require('./lib/jumun.js');

let world;
before(async () => { world = await j.start(); });
after(async () => { if (world) await world.stop(); });

// As whoever looks after the platform calls it.
function operator(verb, username, more = []) {
  const keys = path.join(world.dir, 'service-keys');
  return spawnSync(j.binary(), ['operator', verb, username, '--internal-listen', world.part('auth').internal.replace('http://', ''), '--issuer', 'http://localhost',
    ...(fs.existsSync(keys) ? ['--service-keys', keys] : ['--data', world.dir]), ...more], { encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH } });
}
const users = (who, status) => j.want(world, status, 'GET', '/v1/admin/users', { token: who.token });
const login = (who) => j.want(world, 200, 'POST', '/v1/auth/login', { body: { username: who.username, password: who.password } });

test('a customer becomes an operator, and one again', async () => {
  const hana = await j.person(world);
  await users(hana, 403);
  const made = operator('add', hana.username);
  assert.deepEqual([made.status, made.stderr], [0, ''], made.stdout);
  assert.match(made.stdout, /is an operator, and signs in again/);
  await j.until(async () => (await world.call('GET', '/v1/me', { token: hana.token })).status === 401, 'the token from before to end');
  const again = await login(hana);
  assert.equal(again.user.role, 'admin');
  await users({ token: again.accessToken }, 200);
  assert.equal(operator('add', hana.username).status, 0, 'said twice');

  assert.match(operator('remove', hana.username).stdout, /no operator any more/);
  await j.until(async () => (await world.call('GET', '/v1/admin/users', { token: again.accessToken })).status === 401, 'the operator\'s token to end');
  assert.equal((await login(hana)).user.role, 'customer');
});

test('who cannot be one, and who cannot say so', async () => {
  const owner = await j.person(world, 'owner');
  for (const [args, status, said] of [
    [['add', owner.username], 1, /has stores or works in one: operators have accounts of their own/],
    [['add', 'nobody-of-that-name'], 1, /nobody has signed up as nobody-of-that-name/],
    [['remove', owner.username], 1, /is no operator/],
    [['make', owner.username], 2, /it takes: add USERNAME, or remove USERNAME/],
  ]) {
    const r = operator(...args);
    assert.equal(r.status, status, `${args}: ${r.stdout}${r.stderr}`);
    assert.match(r.stderr, said);
  }
  assert.equal((await login(owner)).user.role, 'owner');
  const body = { username: owner.username, isOperator: true };
  for (const [token, status] of [[undefined, 401], [owner.token, 403]])
    assert.equal((await fetch(`${world.part('auth').internal}/internal/v1/operators`, { method: 'PUT',
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }, body: JSON.stringify(body) })).status, status);
  assert.equal((await world.call('PUT', '/internal/v1/operators', { token: owner.token, body })).status, 404, 'not outside');
});
