// backup.test.js -- the way of docs/operations/backup.md: dump a platform at work, lose the server and the directory, restore on a fresh server.
// Run by tools/test-servers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { spawn, spawnSync } = require('node:child_process');
const { Platform, BINARY, ROOT, until } = require('../api/lib/platform.js');

const { TEST_POSTGRES } = process.env;
const options = { skip: !TEST_POSTGRES && 'needs TEST_POSTGRES (tests/servers/postgres)', timeout: 180000 };
const ISSUER = ['--issuer', 'http://jumun.test'];

// A role that may make roles, and its database, as an administrator makes them: -> its address on that server.
function jumunOn(server) {
  run('psql', ['-qX', '-v', 'ON_ERROR_STOP=1', server], "create role jumun login createrole;\ncreate database jumun owner jumun encoding 'UTF8' template template0;\n");
  return Object.assign(new URL(server), { username: 'jumun', pathname: '/jumun' }).href;
}

// The first block of commands under a heading of docs/operations/backup.md, run as it is written.
function asWritten(heading, { at, data, database }) {
  const doc = fs.readFileSync(path.join(ROOT, 'docs/operations/backup.md'), 'utf8');
  const block = doc.split(`\n${heading}\n`)[1].split('```')[1].replace(/^sh\n/, '');
  const script = block.replaceAll('/var/backups/jumun-files', at('files')).replaceAll('/var/lib/jumun', data).replace(/^jumun /gm, `${BINARY} `);
  assert.ok(script.includes(at('files')) && script.includes(data) && script.includes(BINARY), script);
  const r = spawnSync('bash', ['-eu', '-c', script], { cwd: at(''), encoding: 'utf8', timeout: 60000, env: { PATH: process.env.PATH, DATABASE: database } });
  assert.equal(r.status, 0, `${script}${r.stdout}${r.stderr}`);
  return r.stdout;
}

function run(program, args, input) {
  const r = spawnSync(program, args, { encoding: 'utf8', timeout: 60000, input, env: { PATH: process.env.PATH } });
  assert.equal(r.status, 0, `${program} ${args}: ${r.stdout}${r.stderr}`);
  return r.stdout;
}

test('a platform comes back on a fresh server as it was at the dump', options, async (t) => {
  const world = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-backup-'));
  const at = (name) => path.join(world, name);
  const old = jumunOn(TEST_POSTGRES);
  const env = { JUMUN_DATABASE: old };
  fs.mkdirSync(at('a'));
  let p = await Platform.start({ dir: at('a'), env, args: ISSUER });
  const fresh = spawn(path.join(__dirname, 'postgres'), { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    await p.stop();
    fresh.kill();
    await once(fresh, 'exit');
    fs.rmSync(world, { recursive: true, force: true });
  });
  const minji = await p.login('minji');
  const kept = [(await p.paid(minji, 1)).orderId, (await p.paid(minji, 1)).orderId];

  const said = asWritten('## On PostgreSQL', { at, data: at('a/data'), database: old });
  assert.match(said, /keys and photos.*pg_dump/);
  assert.deepEqual(fs.readdirSync(at('files')).filter((n) => n !== 'photos'), ['keys']);
  const lost = (await p.paid(minji, 1)).orderId;
  await p.kill();

  fs.mkdirSync(at('b'));
  const [line] = await once(fresh.stdout, 'data');
  const database = jumunOn(String(line).trim());
  const empty = spawnSync(BINARY, ['restore', at('files'), '--data', at('b/data'), '--database', database], { encoding: 'utf8' });
  assert.notEqual(empty.status, 0);
  assert.match(empty.stderr, /pg_restore comes first/);
  const back = asWritten('### Back on a fresh server', { at, data: at('b/data'), database });
  const events = Number(/^(\d+) events are to be published again/m.exec(back)[1]);
  assert.ok(events > 0, back);

  p = await Platform.start({ dir: at('b'), env: { JUMUN_DATABASE: database }, args: ISSUER });
  for (const id of kept) assert.equal((await p.get(`/v1/orders/${id}`, { as: minji })).body.status, 'PAID', 'the token is still good, and the order is there');
  assert.equal((await p.get(`/v1/orders/${lost}`, { as: minji })).status, 404, 'what came after the dump is gone');
  await p.paid(minji, 1);
  let r;
  await until('a clean audit', () => {
    r = spawnSync(BINARY, ['doctor', '--audit', '--data', at('b/data'), '--database', database], { encoding: 'utf8' });
    return r.status === 0;
  }, 30000).catch((e) => assert.fail(`${e.message}\n${r.stdout}`));
  const owner = run('psql', ['-qXAt', '-c', "select string_agg(distinct nspowner::regrole::text, ' ') from pg_namespace where nspname in ('order', 'payment')", database]).trim();
  assert.equal(owner, 'jumun_order jumun_payment', 'each service has its role again');
});
