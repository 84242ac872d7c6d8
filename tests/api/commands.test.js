// commands.test.js -- the command line tells wrong use (2) from trouble (1), and explains itself.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { binary } = require('./lib/jumun.js');

const run = (args, env = {}) => spawnSync(binary(), args, { encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH, ...env } });

test('wrong use ends with 2 and says what is wrong', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  for (const [args, said, env] of [
    [['upp'], /did you mean "up"/], [['up', '--lisen', 'x'], /did you mean "--listen"/], [['up', '--threads', '0'], /expected a number from 1 to 64/],
    [['up', '--data', dir, '--listen', '999'], /"999" is not HOST:PORT/], [['serve', 'ordr'], /did you mean "order"/],
    [['replay', 'x'], /id of an order/], [['version', 'x'], /unexpected "x"/], [['up'], /did you mean "JUMUN_LISTEN"/, { JUMUN_LISTN: 'x' }],
  ]) {
    const r = run(args, env);
    assert.equal(r.status, 2, `${args}: ${r.stderr}`);
    assert.match(r.stderr, said, args.join(' '));
    assert.equal(r.stdout, '');
  }
  fs.rmSync(dir, { recursive: true });
});

test('--help behind a command explains it, as help does', () => {
  const names = [...run(['help']).stdout.matchAll(/^  ([a-z][a-z-]*) /gm)].map((m) => m[1]);
  assert.ok(names.length > 10, names.join());
  for (const name of names) {
    const explained = run(['help', name]);
    assert.equal(explained.status, 0, name);
    assert.match(explained.stdout, /Example/i, name);
    for (const flag of ['--help', '-h']) {
      const r = run([name, flag]);
      assert.deepEqual([r.status, r.stdout, r.stderr], [0, explained.stdout, ''], `${name} ${flag}`);
    }
  }
});
