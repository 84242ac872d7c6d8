// engines.js -- the engines that the tests are run on, named from outside (JUMUN_DATABASE and others), and what each platform gets of them.
'use strict';
const path = require('node:path');
const { spawnSync } = require('node:child_process');

const NAMED = Object.fromEntries(['JUMUN_CACHE', 'JUMUN_DATABASE', 'JUMUN_BUS', 'JUMUN_BLOBS',
  'JUMUN_BLOBS_ACCESS_KEY', 'JUMUN_BLOBS_SECRET_KEY']
  .filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
const SERVER = /^postgres/.test(NAMED.JUMUN_DATABASE || '') && NAMED.JUMUN_DATABASE;
const made = new Set();

const nameOf = (dir) => `t_${path.basename(dir).toLowerCase().replace(/[^a-z0-9]/g, '_')}`;

function psql(sql) {
  const r = spawnSync('psql', ['-qX', '-v', 'ON_ERROR_STOP=1', SERVER, '-c', sql], { encoding: 'utf8' });
  if (r.status !== 0) throw new Error(`psql: ${r.stderr || r.error}`);
}

// The environment of whatever works on the data of `dir`: on a PostgreSQL server that is a database of its own.
function engines(dir) {
  if (!SERVER) return NAMED;
  const name = nameOf(dir);
  if (!made.has(name)) psql(`create database ${name}`);
  made.add(name);
  return { ...NAMED, JUMUN_DATABASE: SERVER.replace(/\/[^/]*$/, `/${name}`) };
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

module.exports = { engines, copyDatabases, dropDatabases };
