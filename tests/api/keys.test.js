// keys.test.js -- signing keys sealed in auth's database: the way there from files, wrong secrets, backup, dead letters, doctor.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { binary, start, person, call, until } = require('./lib/jumun.js');
const { freePorts } = require('./lib/ports.js');
const { Service } = require('./lib/processes.js');
const { engines, dropDatabases } = require('./lib/engines.js');

const SERVER = Boolean(process.env.JUMUN_DATABASE); // there the backup is the server's own
const box = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-keys-'));
const secretFile = path.join(box, 'secret');
fs.writeFileSync(secretFile, `${'k'.repeat(40)}\n`);
const sealed = { JUMUN_KEYS_SECRET_FILE: secretFile };
let world;
test.after(async () => {
  if (world) await world.stop();
  fs.rmSync(box, { recursive: true, force: true });
});

const jumun = (args, env = {}) => spawnSync(binary(), args,
  { encoding: 'utf8', timeout: 30000, env: { PATH: process.env.PATH, ...engines(world.dir), ...env } });
const up = (env) => jumun(['up', '--data', world.dir, '--listen', '127.0.0.1:0', '--internal-listen', '127.0.0.1:0', '--toss-listen', '127.0.0.1:0'], env);
const keyFiles = () => fs.readdirSync(path.join(world.dir, 'keys')).filter((f) => f.endsWith('.pem'));
const me = (token) => call(world, 'GET', '/v1/me', { token });

test('files become sealed rows, and no token is lost on the way', { timeout: 60000 }, async () => {
  const issuer = ['--issuer', 'http://jumun.test'];
  world = await start({ args: issuer });
  const who = await person(world);
  assert.equal(keyFiles().length, 1);
  await world.end();
  world = await start({ data: world.dir, args: issuer, env: sealed });
  assert.match(world.log, /1 signing keys were taken from .*\/keys into auth's database/);
  assert.equal((await me(who.token)).status, 200, 'a token from before');
  assert.equal(keyFiles().length, 0);
  const later = await person(world);
  await world.end();
  world = await start({ data: world.dir, args: issuer, env: sealed });
  for (const token of [who.token, later.token]) assert.equal((await me(token)).status, 200);
  assert.doesNotMatch(world.log, /were taken/);
});

test('an operator needs the secret for what needs a key', { timeout: 30000 }, () => {
  const list = (env) => jumun(['dlq', 'list', '--data', world.dir, '--issuer', 'http://jumun.test', '--internal-listen',
    world.internal.slice('http://'.length)], env);
  assert.equal(list(sealed).stdout, 'no dead letters\n', list(sealed).stderr);
  assert.match(list({ JUMUN_KEYS_SECRET: 'w'.repeat(32) }).stderr, /sealed with another --keys-secret/);
});

test('doctor says whether the secret is the right one', { timeout: 30000 }, () => {
  const doctor = (env) => jumun(['doctor', '--data', world.dir], env);
  assert.match(doctor(sealed).stdout, /^ok +signing keys: 1 in auth's database, which --keys-secret opens$/m);
  assert.match(doctor({ JUMUN_KEYS_SECRET: 'w'.repeat(32) }).stdout, /^FAIL +signing keys: .*sealed with another --keys-secret/m);
  assert.match(doctor({}).stdout, /^FAIL +signing keys: .*give --keys-secret/m);
});

test('who starts with another secret, a short one or none is told so', { timeout: 60000 }, async () => {
  await world.end();
  for (const [env, said] of [[{}, /holds the signing keys, sealed: give the --keys-secret/],
    [{ JUMUN_KEYS_SECRET: 'w'.repeat(32) }, /sealed with another --keys-secret/],
    [{ JUMUN_KEYS_SECRET: 'short' }, /--keys-secret has 5 characters; at least 32 are expected/]]) {
    const r = up(env);
    assert.equal(r.status, 2, r.stderr);
    assert.match(r.stderr, said);
  }
  assert.equal(keyFiles().length, 0, 'nobody made a key of their own');
});

test('a backup of it is whole', { skip: SERVER, timeout: 60000 }, async () => {
  const to = path.join(box, 'backup');
  assert.equal(jumun(['backup', to, '--data', world.dir]).status, 0);
  const data = path.join(box, 'restored');
  assert.equal(jumun(['restore', to, '--data', data]).status, 0);
  const restored = await start({ data, env: sealed, args: ['--issuer', 'http://jumun.test'] });
  try {
    assert.ok((await person(restored)).token);
  } finally {
    await restored.end();
  }
});

const servers = { skip: /^postgres/.test(process.env.JUMUN_DATABASE || '') ? false : 'needs a PostgreSQL server', timeout: 60000 };

test('three auths that start at once on an empty database have one key', servers, async () => {
  const home = path.join(box, path.basename(box));
  const ports = await freePorts(9);
  const env = { ...process.env, JUMUN_BIN: undefined, ...engines(home), JUMUN_KEYS_SECRET: 's'.repeat(32) };
  const auths = [0, 1, 2].map((i) => new Service({ binary: binary(), dir: path.join(box, `auth${i}`), keys: path.join(box, 'service-keys'),
    peers: 'auth=http://127.0.0.1:1', tossUrl: 'http://127.0.0.1:1', env }, 'auth', ports.splice(0, 3)));
  assert.equal(jumun(['service-keys', path.join(box, 'service-keys')]).status, 0);
  try {
    await Promise.all(auths.map((a) => a.start()));
    const sets = await Promise.all(auths.map(async (a) => (await (await fetch(`${a.public}/.well-known/jwks.json`)).json()).keys.map((k) => k.kid)));
    assert.equal(sets[0].length, 1);
    assert.deepEqual(sets[1], sets[0]);
    assert.deepEqual(sets[2], sets[0]);
    // Each believes what another one signed, and forgets what another one ended.
    const who = await person(auths[0]);
    const logout = (a) => fetch(`${a.public}/v1/auth/logout`, { method: 'POST', headers: { authorization: `Bearer ${who.token}` } });
    assert.equal((await logout(auths[1])).status, 204);
    await until(async () => (await logout(auths[2])).status === 401, 'the third to hear of the logout', 2000);
  } finally {
    await Promise.all(auths.filter((a) => a.child).map((a) => a.end()));
    dropDatabases(home);
  }
});

test('with files, a second auth with keys of its own is refused while the first is there', servers, async () => {
  const dirs = ['a', 'b'].map((name) => path.join(box, name, 'files'));
  const env = engines(dirs[0]);
  for (const dir of dirs) fs.mkdirSync(dir, { recursive: true });
  const first = await start({ data: dirs[0], env });
  const second = spawnSync(binary(), ['up', '--data', dirs[1], '--listen', '127.0.0.1:0', '--internal-listen', '127.0.0.1:0', '--toss-listen', '127.0.0.1:0'],
    { encoding: 'utf8', timeout: 30000, env: { PATH: process.env.PATH, ...env } });
  await first.end();
  dropDatabases(dirs[0]);
  assert.equal(second.status, 75, second.stderr);
  assert.match(second.stderr, /another process of auth on this database signs with keys that are not in .*give all of them the same --keys-secret/);
});
