// database.test.js -- orders come in while PostgreSQL restarts, loses its connections, and holds a lock.
'use strict';
const test = require('node:test');
const { spawn } = require('node:child_process');
const { Site, SHORT, control, missing, sleep } = require('./site.js');

const options = { skip: missing('TEST_POSTGRES_CTL'), timeout: 240000 };
let site;
test.before(async () => { if (!options.skip) site = await Site.start(); });
test.after(() => site && site.stop());

for (const [word, how] of [['stop', 'fast'], ['kill', 'immediate']]) {
  test(`PostgreSQL is restarted (${how})`, options, () => site.through(`PostgreSQL restarted, ${how}`, async () => {
    await control('POSTGRES', word);
    await sleep(SHORT ? 500 : 3000);
    await control('POSTGRES', 'start');
  }));
}

test('connections are killed every second', options, () => site.through('connections killed', async () => {
  for (let i = 0; i < (SHORT ? 2 : 10); i++) {
    await site.rows('select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()');
    await sleep(1000);
  }
}));

test('somebody holds a lock on the orders', options, () => site.through('orders locked', async () => {
  const seconds = SHORT ? 2 : 10;
  const holder = spawn('psql', ['-qX', site.database, '-c',
    `begin; lock table "order".orders in access exclusive mode; select pg_sleep(${seconds}); commit`], { stdio: 'ignore' });
  await new Promise((done) => holder.on('exit', done));
}));
