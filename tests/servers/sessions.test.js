// sessions.test.js -- logins of one account at the same moment, none of which sees the sessions of the others. Run by tools/test-servers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { Platform, until } = require('../api/lib/platform.js');

const { TEST_POSTGRES } = process.env;
const options = { skip: !TEST_POSTGRES && 'needs TEST_POSTGRES (tests/servers/postgres)', timeout: 60000 };
const AT_ONCE = 4; // as many connections has a service at least
const LIMIT = 20;

const waiting = () => Number(spawnSync('psql', ['-qXtA', TEST_POSTGRES, '-c',
  "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"], { encoding: 'utf8' }).stdout);

test('logout-all ends them all, also those beyond the limit', options, async () => {
  const p = await Platform.start({ args: ['--slow-threads', String(AT_ONCE)], env: { JUMUN_DATABASE: TEST_POSTGRES } });
  // Until it ends its transaction nobody begins a session; whose are there everybody sees.
  const holder = spawn('psql', ['-qX', TEST_POSTGRES], { stdio: ['pipe', 'ignore', 'inherit'] });
  try {
    const login = async () => (await p.post('/v1/auth/login', { username: 'customer7', password: 'jumun-demo-1' })).body;
    const sessions = [];
    while (sessions.length < LIMIT - 1) sessions.push(await login());
    holder.stdin.write('begin; lock table auth.sessions in share row exclusive mode;\n');
    await until('the lock', async () => spawnSync('psql', ['-qXtA', TEST_POSTGRES, '-c',
      "select count(*) from pg_locks where mode = 'ShareRowExclusiveLock'"], { encoding: 'utf8' }).stdout.trim() === '1', 5000);
    const begun = Array.from({ length: AT_ONCE }, login);
    await until('them to begin', async () => waiting() === AT_ONCE, 10000);
    holder.stdin.end('commit;\n');
    sessions.push(...await Promise.all(begun));
    assert.equal((await p.post('/v1/auth/logout-all', undefined, { as: { token: sessions.at(-1).accessToken } })).status, 204);
    for (const s of sessions) assert.equal((await p.post('/v1/auth/refresh', { refreshToken: s.refreshToken })).status, 401);
  } finally {
    holder.kill();
    await p.stop();
  }
});
