// migrate.test.js -- a dry run of migrate tells what it would do and leaves nothing behind.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { BINARY } = require('./lib/platform.js');

const run = (...args) => spawnSync(BINARY, ['migrate', ...args], { encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH } });

test('a dry run makes no directory, no file and no table', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-migrate-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const nowhere = path.join(dir, 'data');
  const planned = run('--dry-run', '--data', nowhere);
  assert.equal(planned.status, 0, planned.stderr);
  for (const name of ['auth', 'user', 'store', 'order', 'payment', 'toss']) assert.match(planned.stdout, new RegExp(`^${name}: 0001_\\w+ is to run$`, 'm'));
  assert.match(planned.stdout, new RegExp(`^order: there is no database yet in ${nowhere}\\norder: flow_1 is to run$`, 'm'));
  assert.equal(fs.existsSync(nowhere), false);

  assert.equal(run('order', '--data', nowhere).status, 0);
  assert.deepEqual(fs.readdirSync(nowhere), ['order.db']);
  const before = fs.readFileSync(path.join(nowhere, 'order.db'));
  const again = run('--dry-run', '--data', nowhere);
  assert.match(again.stdout, /^order: nothing to do$/m);
  assert.doesNotMatch(again.stdout, /^order: there is no database/m);
  assert.match(again.stdout, /^store: flow_1 is to run$/m);
  assert.deepEqual(fs.readdirSync(nowhere), ['order.db']);
  assert.ok(before.equals(fs.readFileSync(path.join(nowhere, 'order.db'))));
});

test('what root makes in a directory of the platform\'s user is that user\'s', { skip: process.getuid() !== 0 && 'needs root' }, (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-migrate-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const owner = (file) => { const s = fs.statSync(path.join(dir, file)); return [s.uid, s.gid, s.mode & 0o777]; };
  assert.equal(run('order', '--data', dir).status, 0);
  assert.deepEqual(owner('order.db'), [0, 0, 0o600]);

  fs.chownSync(dir, 61184, 61185);
  assert.equal(run('--data', dir).status, 0);
  for (const name of ['auth', 'user', 'store', 'payment', 'toss']) assert.deepEqual(owner(`${name}.db`), [61184, 61185, 0o600]);
  assert.deepEqual(owner('order.db'), [0, 0, 0o600], 'one that is there stays as it is');
});
