// engines.js -- the engines that the tests are run on, named from outside (JUMUN_DATABASE and others), and what each platform gets of them.
'use strict';
const path = require('node:path');
const { spawnSync } = require('node:child_process');

const NAMED = Object.fromEntries(['JUMUN_CACHE', 'JUMUN_DATABASE', 'JUMUN_BUS', 'JUMUN_BLOBS',
  'JUMUN_BLOBS_ACCESS_KEY', 'JUMUN_BLOBS_SECRET_KEY']
  .filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
const SERVER = /^postgres/.test(NAMED.JUMUN_DATABASE || '') && NAMED.JUMUN_DATABASE;
const BROKER = /^kafka/.test(NAMED.JUMUN_BUS || '') && NAMED.JUMUN_BUS;
const made = new Set();

const nameOf = (dir) => `t_${path.basename(dir).toLowerCase().replace(/[^a-z0-9]/g, '_')}`;

function psql(sql) {
  const r = spawnSync('psql', ['-qX', '-v', 'ON_ERROR_STOP=1', SERVER, '-c', sql], { encoding: 'utf8' });
  if (r.status !== 0) throw new Error(`psql: ${r.stderr || r.error}`);
}

// The environment of whatever works on the data of `dir`: on a PostgreSQL server that is a database of its own, on a Kafka
// broker topics of its own.
function engines(dir) {
  const env = { ...NAMED };
  const name = nameOf(dir);
  if (BROKER) env.JUMUN_BUS = `${BROKER}?partitions=3&replicas=${BROKER.split(',').length}&prefix=${name}.`;
  if (!SERVER) return env;
  if (!made.has(name)) psql(`create database ${name}`);
  made.add(name);
  return { ...env, JUMUN_DATABASE: SERVER.replace(/\/[^/]*$/, `/${name}`) };
}

// On a broker it takes a moment until consumers have their partitions, and processes hear of each other a moment later: until everything said
// at start has been applied. `something` surely is said to the order service, by the demo world.
async function settled(internal, something = false) {
  if (!BROKER && process.env.TEST_THROUGH !== 'apart') return;
  const patience = something ? 400 : BROKER ? 60 : 3;
  for (let quiet = 0, before = -1, i = 0; quiet < 3 && i < 500; i++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const text = await (await fetch(`${internal}/metrics`)).text();
    const sum = (word) => [...text.matchAll(new RegExp(`^${word}\\{[^}]*\\} (\\d+)`, 'gm'))].reduce((n, m) => n + Number(m[1]), 0);
    const applied = sum('jumun_events_applied_total');
    const orders = Number((/^jumun_events_applied_total\{service="order"\} (\d+)/m.exec(text) || [0, 0])[1]);
    quiet = ((something ? orders : applied) > 0 || i > patience) && applied === before && sum('jumun_outbox_rows') + sum('jumun_consumer_lag_events') === 0 ? quiet + 1 : 0;
    before = applied;
  }
}

// What the databases of `from` hold, for `to` (files are the caller's to copy). Nothing may run on either.
function copyDatabases(from, to) {
  if (!SERVER) return;
  psql(`create database ${nameOf(to)} template ${nameOf(from)}`);
  made.add(nameOf(to));
}

function dropDatabases(dir) {
  if (SERVER && made.delete(nameOf(dir))) psql(`drop database ${nameOf(dir)} with (force)`);
}

module.exports = { engines, settled, copyDatabases, dropDatabases };
