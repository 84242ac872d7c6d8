// restore.test.js -- backup and restore: through a link, into an empty directory, and nothing half-done of what failed.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { binary } = require('./lib/jumun.js');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
const at = (...names) => path.join(dir, ...names);
test.after(() => fs.rmSync(dir, { recursive: true }));

const run = (env, ...args) => (typeof env === 'string' ? run({}, env, ...args)
  : spawnSync(binary(), args, { cwd: dir, encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH, ...env } }));
const done = (...args) => {
  const r = run(...args);
  assert.equal(r.status, 0, `${args.join(' ')}: ${r.stderr}`);
};
const ls = (...names) => fs.readdirSync(at(...names)).sort();

test('a slash at the end changes nothing', () => {
  done('migrate', 'order', '--data', 'data');
  done('backup', 'copy/', '--data', 'data/');
  assert.deepEqual(ls('copy'), ['keys', 'order.db', 'photos']);
  done('restore', 'copy/', '--data', 'plain/');
  assert.deepEqual(ls('plain'), ['keys', 'order.db', 'photos']);
});

test('a data directory that is a link stays one', () => {
  fs.mkdirSync(at('private', 'empty'), { recursive: true });
  for (const [link, target] of [['relative', 'private/missing'], ['absolute', at('private', 'away')], ['twice', 'relative2'],
    ['relative2', 'private/empty']]) fs.symlinkSync(target, at(link));
  for (const [data, place] of [['relative', 'missing'], ['absolute', 'away'], ['twice', 'empty']]) {
    done('restore', 'copy', '--data', data);
    assert.ok(fs.lstatSync(at(data)).isSymbolicLink(), data);
    assert.deepEqual(ls('private', place), ['keys', 'order.db', 'photos'], data);
  }
  assert.deepEqual(ls('private'), ['away', 'empty', 'missing']);
});

test('a directory without a database is no data directory, and no backup', () => {
  fs.mkdirSync(at('none'));
  fs.mkdirSync(at('none-copy', 'keys'), { recursive: true });
  const before = ls();
  for (const args of [['backup', 'never', '--data', 'none'], ['restore', 'none-copy', '--data', 'never']]) {
    const r = run(...args);
    assert.deepEqual([r.status, r.stdout], [2, ''], args.join(' '));
    assert.match(r.stderr, /none(-copy)? holds no service's database: name another directory, or give --database/);
  }
  assert.deepEqual(ls(), before);
  const audit = run('doctor', '--audit', '--data', 'none');
  assert.equal(audit.status, 1);
  assert.match(audit.stdout, /^FAIL  audit: nothing could be checked: the databases are not in none/m);
});

test('both say which databases are in it, so that a missing one is seen', () => {
  done('migrate', 'auth', 'order', '--data', 'two');
  assert.equal(run('backup', 'both', '--data', 'two').stdout, 'backup of two in both: databases of auth, order, keys and photos\n');
  fs.rmSync(at('both', 'order.db'));
  assert.equal(run('restore', 'both', '--data', 'one').stdout, 'restored both to one: databases of auth, keys and photos\n');
});

test('what cannot be restored says why and leaves nothing behind', () => {
  fs.writeFileSync(at('file'), '');
  fs.symlinkSync('nowhere/data', at('lost'));
  fs.symlinkSync('loop', at('loop'));
  fs.cpSync(at('copy'), at('damaged'), { recursive: true });
  fs.writeFileSync(at('damaged', 'order.db'), 'no database '.repeat(500));
  const before = ls();
  for (const [from, data, said] of [['copy', 'plain', /plain is there and not empty/], ['copy', 'relative', /private\/missing is there and not empty/],
    ['copy', 'file', /file: Not a directory/], ['copy', 'loop', /loop: Too many levels of symbolic links/],
    ['copy', 'lost', /cannot make nowhere\/data\.part: No such file or directory/], ['damaged', 'new', /damaged/]]) {
    const r = run('restore', from, '--data', data);
    assert.notEqual(r.status, 0, data);
    assert.match(r.stderr, said);
  }
  assert.deepEqual(ls(), before);
  fs.mkdirSync(at('new.part'));
  const left = run('restore', 'copy', '--data', 'new');
  assert.match(left.stderr, /new\.part is left of a copy that did not end; remove it first/);
  assert.deepEqual(ls('new.part'), []);
});

// Of each the keys, the photos, the copy itself and the directory in which it gets its name.
test('a copy that a power loss could take is none', () => {
  const before = ls();
  for (const args of [['backup', 'kept', '--data', 'data'], ['restore', 'copy', '--data', 'kept']]) {
    for (const n of [1, 2, 3, 4]) {
      const failed = run({ JUMUN_FAULT: `backup.sync:${n}:fail` }, ...args);
      assert.equal(failed.status, 75, `${args[0]}, ${n}: ${failed.stderr}`);
      assert.match(failed.stderr, [/kept\.part\/keys/, /kept\.part\/photos/, /sync kept\.part:/, /sync \.:/][n - 1]);
      assert.deepEqual(ls(), before);
    }
    const made = run({ JUMUN_FAULT: 'backup.sync:5:fail' }, ...args);
    assert.equal(made.status, 0, made.stderr);
    fs.rmSync(at('kept'), { recursive: true });
  }
});
