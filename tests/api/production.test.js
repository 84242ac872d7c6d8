// production.test.js -- JUMUN_ENV=production starts with nothing that is only for trying out: no demo people, no simulator, no made-up keys.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { test } = require('node:test');
const j = require('./lib/jumun.js');

const TOSS = ['--toss-url', 'https://127.0.0.1:9', '--toss-secret-key', 'live_sk_test', '--toss-client-key', 'live_ck_test'];

function refused(args, said, env = {}) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  const r = spawnSync(j.binary(), [...args, '--data', dir, '--listen', '127.0.0.1:0', '--internal-listen', '127.0.0.1:0', '--toss-listen', '127.0.0.1:0'],
    { encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH, JUMUN_ENV: 'production', ...env } });
  fs.rmSync(dir, { recursive: true });
  assert.equal(r.status, 2, `${args}: ${r.stdout}${r.stderr}`);
  assert.match(r.stderr, said, args.join(' '));
}

test('what is only for trying out is refused, each with what to do', () => {
  refused(['up'], /--toss-url https:\/\/api\.tosspayments\.com must say where the money is/);
  refused(['up', '--toss-url', 'http://127.0.0.1:9'], /--toss-url https:/);
  refused(['up', '--toss-url', 'https://127.0.0.1:9'], /--toss-secret-key and --toss-client-key must be those of your account/);
  refused(['up', ...TOSS.slice(0, 4)], /--toss-client-key/);
  refused(['up', ...TOSS, '--demo'], /--demo is refused/);
  refused(['serve', 'payment'], /--toss-url https:/);
  refused(['serve', 'toss'], /the Toss simulator is refused/);
  refused(['up'], /"prod": expected one of development, production/, { JUMUN_ENV: 'prod' });
  refused(['up', '--toss-url', 'api.tosspayments.com'], /--toss-url.*http/, { JUMUN_ENV: 'development' });
});

test('the demo world does not come along into production', async () => {
  const demo = await j.start({ args: ['--demo'] });
  try {
    await demo.end();
    await assert.rejects(j.start({ data: demo.dir, args: TOSS, env: { JUMUN_ENV: 'production' } }), /accounts of the demo world.*begin with an empty --data/);
  } finally {
    await demo.stop();
  }
});

test('a real configuration starts, and there is no simulator', async () => {
  const world = await j.start({ args: TOSS, env: { JUMUN_ENV: 'production' } });
  try {
    assert.equal(world.toss, undefined);
    await j.want(world, 200, 'GET', '/v1/categories');
    const { username, password } = { username: 'admin1', password: 'jumun-demo-1' };
    await j.want(world, 401, 'POST', '/v1/auth/login', { body: { username, password } });
  } finally {
    await world.stop();
  }
});
