// migrate.test.js -- `jumun migrate` on PostgreSQL: a dry run changes nothing, ten at once run each script once. Run by tools/test-servers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { BINARY } = require('../api/lib/platform.js');

const SERVER = process.env.TEST_POSTGRES;
const options = { skip: !SERVER && 'needs TEST_POSTGRES (tests/servers/postgres)', timeout: 120000 };
const SERVICES = ['auth', 'user', 'store', 'order', 'payment', 'toss'];

function run(program, args) {
  const r = spawnSync(program, args, { encoding: 'utf8', timeout: 60000, env: { PATH: process.env.PATH } });
  assert.equal(r.status, 0, `${program} ${args}: ${r.stderr}`);
  return r.stdout;
}
const database = (name) => {
  run('psql', ['-qX', SERVER, '-c', `create database ${name}`]);
  return SERVER.replace(/\/[^/]*$/, `/${name}`);
};
const sql = (url, text) => run('psql', ['-qXAt', '-v', 'ON_ERROR_STOP=1', url, '-c', text]).trim();
const migrate = (url, ...args) => run(BINARY, ['migrate', '--database', url, ...args]);
// Everything that a dry run could leave behind: schemas, tables, rows of migrations, roles.
function all(url) {
  const roles = sql(url, "select string_agg(rolname, ' ' order by rolname) from pg_roles");
  return `${roles}\n${run('pg_dump', [url]).replace(/^\\(un)?restrict .*$/gm, '')}`;
}

test('a dry run shows what would run and changes nothing', options, () => {
  const url = database('dry');
  let before = all(url);
  const planned = migrate(url, '--dry-run');
  for (const name of SERVICES) assert.match(planned, new RegExp(`^${name}: 0001_\\w+ is to run$`, 'm'));
  assert.match(planned, /^order: it has no schema on the server yet$/m);
  assert.equal(all(url), before, 'on an empty database');

  sql(url, 'create schema "order"'); // as it is made beforehand for a role that may not
  before = all(url);
  assert.match(migrate(url, '--dry-run', 'order'), /^order: 0001_orders is to run$/m);
  assert.equal(all(url), before, 'in an empty schema');

  migrate(url);
  sql(url, `delete from "order".migrations where name = '0006_operators'; drop table "order".operator_acts`);
  before = all(url);
  assert.equal(migrate(url, '--dry-run', 'order'), 'order: 0006_operators is to run\n');
  assert.equal(all(url), before, 'one version behind');
  assert.equal(migrate(url, 'order'), 'order: 0006_operators done\n');
  assert.notEqual(all(url), before, 'without --dry-run it does it');
  assert.match(migrate(url, '--dry-run'), /^order: nothing to do$/m);
});

test('ten processes that start together run each script once', options, async () => {
  const url = database('ten');
  const ends = await Promise.all(Array.from({ length: 10 }, () => new Promise((resolve) => {
    const child = spawn(BINARY, ['migrate', '--database', url], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH } });
    let said = '';
    child.stderr.on('data', (d) => { said += d; });
    child.on('exit', (code) => resolve(`${code} ${said}`));
  })));
  assert.deepEqual([...new Set(ends)], ['0 ']);
  const alone = database('alone');
  migrate(alone);
  const rows = SERVICES.map((s) => `select '${s}' as service, name, checksum from "${s}".migrations`).join(' union all ');
  assert.equal(sql(url, `${rows} order by 1, 2`), sql(alone, `${rows} order by 1, 2`));
  const schema = (u) => run('pg_dump', ['--schema-only', u]).replace(/^\\(un)?restrict .*$/gm, '');
  assert.equal(schema(url), schema(alone));
  assert.equal(sql(url, 'select count(*) from store.categories'), sql(alone, 'select count(*) from store.categories'));
});
