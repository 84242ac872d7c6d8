// away.test.js -- PostgreSQL lets nobody in: what needs no database is answered as ever, the rest is refused at once. Run by tools/test-servers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { Platform, sleep, until } = require('../api/lib/platform.js');

const CTL = process.env.TEST_POSTGRES_CTL;
const options = { skip: !CTL && 'needs TEST_POSTGRES (tests/servers/postgres)', timeout: 120000 };
const CUT = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'jumun-%';\n";
const LEARNS_MS = 4000; // work waits for a restart for 3 s, all together

const control = (...words) => assert.equal(spawnSync(CTL, words, { encoding: 'utf8' }).status, 0, words.join(' '));

async function timed(url) {
  const began = process.hrtime.bigint();
  const r = await fetch(url);
  await r.arrayBuffer();
  return { status: r.status, after: r.headers.get('retry-after'), ms: Number(process.hrtime.bigint() - began) / 1e6 };
}

const worst = (answers) => answers.map((a) => a.ms).sort((a, b) => a - b)[Math.floor(answers.length * 0.95)];

// Eight who want stores, one after the other, and somebody who wants what needs no database.
async function visit(p, forMs) {
  const end = Date.now() + forMs, stores = [], keys = [];
  const again = async (url, into) => { while (Date.now() < end) { into.push(await timed(url)); await sleep(5); } };
  await Promise.all([...Array.from({ length: 8 }, () => again(`${p.public}/v1/stores`, stores)),
    again(`${p.public}/.well-known/openid-configuration`, keys), again(`${p.internal}/livez`, keys)]);
  return { stores, keys };
}

const faults = {
  'says nothing': { harm(admin) { control('freeze'); admin.stdin.write(CUT); }, mend() { control('thaw'); } },
  'is starting for long': { harm() { control('refuse'); }, mend() { control('admit'); } },
};
for (const [name, { harm, mend }] of Object.entries(faults)) {
  test(`a server that ${name}`, options, async () => {
    // One after the other on the same databases: they share the signing keys.
    const env = { JUMUN_DATABASE: process.env.TEST_POSTGRES, JUMUN_KEYS_SECRET: 'k'.repeat(40) };
    const p = await Platform.start({ env, args: ['--threads', '2'] });
    const admin = spawn('psql', ['-qXAt', process.env.TEST_POSTGRES], { stdio: ['pipe', 'ignore', 'ignore'] });
    let harmed = false;
    try {
      const before = await visit(p, 1000);
      assert.ok(before.stores.every((a) => a.status === 200), 'stores are there at first');
      harmed = true;
      harm(admin);
      await visit(p, LEARNS_MS);
      const { stores, keys } = await visit(p, 4000);
      assert.ok(keys.every((a) => a.status === 200), 'what needs no database is there');
      assert.ok(stores.every((a) => a.status === 503 && Number(a.after) >= 1), 'what needs one is refused, with Retry-After');
      // One at a time may try whether the server is back, for up to two seconds.
      console.log(`# ${name}: without database p95 ${worst(keys).toFixed(0)} ms (${keys.length}), refused p95 ${worst(stores).toFixed(0)} ms (${stores.length})`);
      assert.ok(worst(keys) < 250, `without database: p95 ${worst(keys)} ms`);
      assert.ok(worst(stores) < 250, `refused: p95 ${worst(stores)} ms`);
      mend();
      harmed = false;
      await until('stores', async () => (await timed(`${p.public}/v1/stores`)).status === 200, 15000);
    } finally {
      if (harmed) mend();
      admin.kill();
      await p.stop();
    }
  });
}
