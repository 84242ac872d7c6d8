// doctor.test.js -- `jumun doctor` names what is wrong and what to do, where nobody listens and with files that others may read.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { binary } = require('./lib/jumun.js');
const { freePorts } = require('./lib/ports.js');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
test.after(() => fs.rmSync(dir, { recursive: true }));

const doctor = (args, env = {}) => spawnSync(binary(), ['doctor', '--data', dir, ...args],
  { encoding: 'utf8', timeout: 60000, env: { PATH: process.env.PATH, ...env } });
const line = (r, what) => r.stdout.split('\n').find((l) => l.slice(6).startsWith(what)) || '';

test('a directory without trouble is fine, one that is not there is not', () => {
  const fine = doctor([]);
  assert.equal(fine.status, 0, fine.stdout + fine.stderr);
  assert.match(line(fine, 'data directory'), /^ok /);
  assert.match(line(fine, 'disk'), /MiB left/);
  const gone = doctor(['--data', path.join(dir, 'gone')]);
  assert.equal(gone.status, 1);
  assert.match(line(gone, 'data directory'), /^FAIL .*jumun up --data/);
});

test('where nobody listens it says so for each, and what to do', async () => {
  const [port] = await freePorts(1);
  const at = `127.0.0.1:${port}`;
  const r = doctor(['--database', `postgres://x:secret@${at}/x`, '--bus', `kafka://${at}`, '--cache', `redis://:secret@${at}`,
    '--blobs', `s3://${at}/photos?scheme=http`, '--blobs-access-key', 'key', '--peers', `order=http://${at},*=http://${at}`,
    '--upstreams', `store=http://${at}`, '--discovery', `http://${at}/eureka`], { JUMUN_BLOBS_SECRET_KEY: 'secretsecret' });
  assert.equal(r.status, 1, r.stdout + r.stderr);
  for (const [what, said] of [['database server', /nobody answers there: start the server.*--database/], ['bus', /nobody answers at .*--bus/],
    ['cache', /nobody answers at .*start Redis/], ['blobs', /nobody answers at .*--blobs/], ['peer order', /nobody answers.*--peers/],
    ['peer payment', /nobody answers.*--peers/], ['upstream store', /nobody answers.*--upstreams/], ['discovery', /nobody answers.*--discovery/]]) {
    assert.match(line(r, what), /^FAIL /, `${what}\n${r.stdout}`);
    assert.match(line(r, what), said);
  }
  assert.doesNotMatch(r.stdout + r.stderr, /secret/);
});

test('settings that cannot be read are one line like the rest', () => {
  const r = doctor(['--bus', 'kafka://x:1?partitions=many', '--cache', 'redis://', '--blobs', 's3://h/b']);
  assert.equal(r.status, 1);
  assert.match(line(r, 'bus'), /^FAIL .*partitions=1\.\.1000/);
  assert.match(line(r, 'cache'), /^FAIL .*HOST/);
  assert.match(line(r, 'blobs'), /^FAIL .*access key/);
});

test('a private key that others may read is told, with the command that mends it', () => {
  const keys = path.join(dir, 'keys');
  fs.mkdirSync(keys, { mode: 0o700 });
  fs.writeFileSync(path.join(keys, 'one'), 'x', { mode: 0o600 });
  assert.equal(doctor([]).status, 0);
  fs.chmodSync(path.join(keys, 'one'), 0o644);
  const r = doctor([]);
  assert.equal(r.status, 1);
  assert.match(line(r, 'keys'), /^FAIL .*mode 644.*chmod 600/);
  fs.chmodSync(path.join(keys, 'one'), 0o600);
});

test('a damaged file is told, the others are still looked at, and nobody starts on it again and again', () => {
  const garbage = 'this is no database '.repeat(500);
  for (const [name, spoil] of [['order', (file) => fs.writeFileSync(file, garbage)],
    ['store', (file) => { const f = fs.openSync(file, 'r+'); fs.writeSync(f, garbage.repeat(4), 4096); fs.closeSync(f); }]]) {
    const data = path.join(dir, `damaged-${name}`);
    const run = (...args) => spawnSync(binary(), [...args, '--data', data], { encoding: 'utf8', timeout: 30000, env: { PATH: process.env.PATH } });
    assert.equal(run('migrate').status, 0);
    assert.equal(run('doctor').status, 0);
    spoil(path.join(data, `${name}.db`));
    const r = run('doctor', '--audit');
    assert.equal(r.status, 1, r.stdout + r.stderr);
    assert.match(line(r, `database ${name}`), /^FAIL .*damaged.*jumun restore/);
    for (const other of ['auth', 'payment', 'toss']) assert.match(line(r, `database ${other}`), /^ok /);
    const up = run('up', '--listen', '127.0.0.1:0', '--internal-listen', '127.0.0.1:0', '--toss-listen', '127.0.0.1:0');
    assert.equal(up.status, 2, up.stderr);
    assert.match(up.stderr, new RegExp(`${name}.db.*damaged`));
  }
  const data = path.join(dir, 'damaged-bus');
  fs.mkdirSync(data, { mode: 0o700 });
  fs.writeFileSync(path.join(data, 'bus.db'), garbage);
  assert.match(line(doctor(['--data', data]), 'bus'), /^FAIL .*damaged/);
});

test('an option of the database that there is not ends at once', async () => {
  const at = `127.0.0.1:${(await freePorts(1))[0]}`;
  const up = (url, ...args) => spawnSync(binary(), ['up', '--data', dir, '--database', url, ...args], { encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH } });
  for (const [url, said] of [[`postgres://${at}/x?sslmode=foo`, /sslmode in the PostgreSQL URL: expected one of disable, .*verify-full/],
    [`postgres://${at}/x?target_session_attrs=any-thing`, /target_session_attrs .*expected one of any, read-write/],
    [`postgres://${at}/x?ssl_min_protocol_version=TLSv9`, /an option has a value that there is not.*ssl_min_protocol_version/],
    ['postgres://127.0.0.1:99999/x', /port in the PostgreSQL URL: expected a number from 1 to 65535/], [`postgres://${at}/x?nonsense=1`, /not a PostgreSQL URL/]]) {
    const r = up(url);
    assert.equal(r.status, 2, `${url}: ${r.stderr}`);
    assert.match(r.stderr, said);
  }
  const away = up(`postgres://${at}/x?sslmode=require&target_session_attrs=read-write`, '--start-wait', '0');
  assert.equal(away.status, 75, away.stderr);
  assert.match(away.stderr, /nobody answers there/);
});
