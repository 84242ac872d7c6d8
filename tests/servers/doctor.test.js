// doctor.test.js -- `jumun doctor` beside real servers: wrong passwords, rights, names, settings and clocks. Run by tools/test-servers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { spawn, spawnSync } = require('node:child_process');
const { binary } = require('../api/lib/jumun.js');
const { Platform, until } = require('../api/lib/platform.js');

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
test.after(() => fs.rmSync(dir, { recursive: true }));
const { TEST_POSTGRES, TEST_REDIS, TEST_KAFKA, TEST_S3, TEST_S3_ACCESS_KEY, TEST_S3_SECRET_KEY } = process.env;

function doctor(args, env = {}) {
  return spawnSync(binary(), ['doctor', '--data', dir, ...args], { encoding: 'utf8', timeout: 60000, env: { PATH: process.env.PATH, ...env } });
}
function run(program, ...args) {
  const r = spawnSync(program, args, { encoding: 'utf8', timeout: 30000, env: { ...process.env } });
  assert.equal(r.status, 0, `${program}: ${r.stdout}${r.stderr}`);
  return r.stdout.trim();
}
function fails(r, what, said) {
  const line = r.stdout.split('\n').find((l) => l.slice(6).startsWith(what)) || '';
  assert.match(line, /^FAIL /, r.stdout + r.stderr);
  assert.match(line, said);
  assert.equal(r.status, 1);
}
function fine(r, what) {
  assert.match(r.stdout, new RegExp(`^ok +${what}`, 'm'), r.stdout + r.stderr);
  assert.equal(r.status, 0, r.stdout + r.stderr);
}

test('PostgreSQL', { skip: !TEST_POSTGRES }, () => {
  const sql = (text, url = TEST_POSTGRES) => run('psql', '-qXtA', url, '-c', text);
  const as = (user, database = 'postgres') => {
    const u = new URL(TEST_POSTGRES);
    return `postgres://${user}@${u.host}/${database}`;
  };
  const look = (url) => doctor(['--database', url]);
  fine(look(TEST_POSTGRES), 'database server: PostgreSQL');
  sql("create role knocker login password 'right'");
  const hba = sql('show hba_file');
  fs.writeFileSync(hba, `host all knocker 127.0.0.1/32 scram-sha-256\n${fs.readFileSync(hba)}`);
  sql('select pg_reload_conf()');
  fails(look(as('knocker:wrong')), 'database server', /the password is wrong.*28P01/);
  fails(look(as('knocker')), 'database server', /wants a password/);
  fails(look(as('knocker:right')), 'database server', /no schema.*may not make it.*grant create on database/);
  sql('grant create on database postgres to knocker');
  fine(look(as('knocker:right')), 'database server: PostgreSQL');
  sql('create schema "order"');
  fails(look(as('knocker:right')), 'database server', /no rights on schema "order"/);
  fails(look(as('nobody_known')), 'database server', /create the role.*28000/);
  fails(look(as('postgres', 'nowhere')), 'database server', /no such database.*3D000/);
  sql("create database latin encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0");
  fails(look(as('postgres', 'latin')), 'database server', /encoding is not UTF8/);
  sql('alter role knocker connection limit 0');
  fails(look(as('knocker:right')), 'database server', /no connection left.*max_connections/);
});

test('replicas of PostgreSQL', { skip: !process.env.TEST_STANDBY }, async () => {
  const replica = process.env.TEST_STANDBY;
  const sql = (text, url = TEST_POSTGRES) => run('psql', '-qXtA', url, '-c', text);
  sql('drop schema if exists "order" cascade');
  const look = (url, primary = TEST_POSTGRES) => doctor(['--database', primary, '--database-replica-lag', '2', '--database-replicas', url]);
  const r = look(`${replica},${replica}`);
  fine(r, 'database replica 1: standby at');
  fine(r, 'database replica 2: standby at');
  fails(look(`${replica},${TEST_POSTGRES}`), 'database replica 2', /not a standby/);
  fails(look('postgres://127.0.0.1:1/x'), 'database replica 1', /nobody answers/);
  fails(look(replica.replace('postgres@', 'nobody_known@')), 'database replica 1', /create the role.*28000/);
  fails(doctor(['--database-replicas', replica]), 'database replica 1', /only a PostgreSQL --database/);
  sql('select pg_wal_replay_pause()', replica);
  sql('create table news (n int)');
  fails(look(replica), 'database replica 1', /paused.*pg_wal_replay_resume/);
  sql('select pg_wal_replay_resume()', replica);
  sql("alter system set recovery_min_apply_delay = '1h'", replica);
  sql('select pg_reload_conf()', replica);
  sql('create table later (n int)');
  fails(look(replica), 'database replica 1', /too far behind.*--database-replica-lag/);
  sql('alter system reset recovery_min_apply_delay', replica);
  sql('select pg_reload_conf()', replica);
  fine(look(replica), 'database replica 1: standby at');
  const other = spawn(path.join(__dirname, 'postgres'), { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [url] = await once(other.stdout, 'data');
    fails(look(replica, String(url).trim()), 'database replica 1', /standby of another server/);
  } finally {
    other.kill();
    await once(other, 'exit');
  }
});

test('Redis', { skip: !TEST_REDIS }, () => {
  const u = new URL(TEST_REDIS);
  const redis = (...words) => run('redis-cli', '--no-auth-warning', '-h', u.hostname, '-p', u.port, '-a', u.password, ...words);
  const look = (url = TEST_REDIS) => doctor(['--cache', url]);
  fine(look(), 'cache: Redis');
  fails(look(TEST_REDIS.replace(u.password, 'wrong')), 'cache', /password are wrong/);
  fails(look(`redis://${u.host}`), 'cache', /wants a password/);
  fails(look(TEST_REDIS.replace(/1$/, '99999')), 'cache', /no database of that number/);
  redis('config', 'set', 'maxmemory-policy', 'noeviction');
  fails(look(), 'cache', /refuses instead of evicting.*allkeys-lru/);
  redis('config', 'set', 'maxmemory-policy', 'allkeys-lru');
  redis('acl', 'setuser', 'reader', 'on', '>p', '~*', '+@read', '+info', '+select', '+auth');
  fails(look(`redis://reader:p@${u.host}`), 'cache', /may not do that.*NOPERM/);
  redis('replicaof', '127.0.0.1', '9');
  fails(look(), 'cache', /read-only replica/);
  redis('replicaof', 'no', 'one');
  fine(look(), 'cache: Redis');
});

test('S3', { skip: !TEST_S3 }, () => {
  const look = (url, key = TEST_S3_ACCESS_KEY, secret = TEST_S3_SECRET_KEY) =>
    doctor(['--blobs', url, '--blobs-access-key', key], { JUMUN_BLOBS_SECRET_KEY: secret });
  fine(look(TEST_S3), 'blobs: S3 bucket');
  fails(look(TEST_S3, 'nobody'), 'blobs', /does not know the access key.*--blobs-access-key/);
  fails(look(TEST_S3, TEST_S3_ACCESS_KEY, 'wrongsecret'), 'blobs', /secret key is not.*--blobs-secret-key/);
  fails(look(TEST_S3.replace('jumun-test', 'no-such-bucket')), 'blobs', /bucket does not exist: make it/);
  fails(look(TEST_S3.replace('us-east-1', 'eu-west-9')), 'blobs', /region is wrong.*\?region=/);
});

// A platform on topics of `prefix`, while `work` is done. `options` of its address.
async function besidePlatform(prefix, options, work) {
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  const nowhere = ['--listen', '--internal-listen', '--toss-listen'].flatMap((flag) => [flag, '127.0.0.1:0']);
  const platform = spawn(binary(), ['up', '--demo', '--data', home, ...nowhere, '--bus', `kafka://${TEST_KAFKA}?prefix=${prefix}&${options}`],
    { stdio: 'ignore', env: { PATH: process.env.PATH } });
  try {
    const end = Date.now() + 30000;
    const seen = () => doctor(['--bus', `kafka://${TEST_KAFKA}?prefix=${prefix}&${options}`]).stdout;
    while (!/[1-9]\d* topics/.test(seen()) && Date.now() < end) await new Promise((resolve) => { setTimeout(resolve, 300); });
    assert.match(seen(), /[1-9]\d* topics/);
    await work();
  } finally {
    const ended = new Promise((resolve) => { platform.once('exit', resolve); });
    platform.kill();
    await ended;
    fs.rmSync(home, { recursive: true });
  }
}

const lone = Boolean(TEST_KAFKA) && !TEST_KAFKA.includes(',');
const kafka = (who, at, options) => doctor(['--bus', `kafka://${who}${at}?partitions=2&${options}`]);

test('Kafka', { skip: !lone }, async () => {
  const look = (options) => doctor(['--bus', `kafka://${TEST_KAFKA}?prefix=doctor.&${options}`]);
  fine(look('partitions=3'), 'bus: Kafka.* 6 to be made');
  fails(look('replicas=3'), 'bus', /1 brokers for 3 replicas.*replicas=/);
  fails(doctor(['--bus', `kafka://${TEST_KAFKA}?prefix=no space.`]), 'bus', /topic no space\.auth: .*Invalid topic/);
  fails(doctor(['--bus', 'kafka://127.0.0.1:9']), 'bus', /nobody answers at 127\.0\.0\.1:9: start the brokers/);
  await besidePlatform('doctor.', 'partitions=2', () => {
    fails(look('partitions=5'), 'bus', /has 2 partitions, --bus says 5: write \?partitions=2/);
    fine(look('partitions=2'), 'bus: Kafka');
  });
});

test('Kafka with users', { skip: !lone }, async () => {
  const { TEST_KAFKA_SASL, TEST_KAFKA_TLS, TEST_KAFKA_CA, TEST_KAFKA_CTL } = process.env;
  const plain = (who) => kafka(who, TEST_KAFKA_SASL, 'prefix=users.&security=sasl_plaintext');
  const allow = (...words) => run(TEST_KAFKA_CTL, 'acls', '--add', '--allow-principal', 'User:chef', ...words, '--resource-pattern-type', 'prefixed');
  const rights = (...names) => names.flatMap((name) => ['--operation', name]);
  fails(plain('chef:wrong@'), 'bus', /the brokers refuse user chef: correct USER:PASSWORD.*Authentication failed/i);
  fails(plain('chef@'), 'bus', /before @ stands USER:PASSWORD/);
  fails(kafka('', TEST_KAFKA_SASL, 'prefix=users.'), 'bus', /nobody answers.*security= \(plaintext\).*verify that security.protocol/);
  fails(plain('chef:chef-secret@'), 'bus', /may not be made.*allow chef Create|no rights on topic users\.\w+: allow chef Read, Write and Create/);
  await besidePlatform('users.', 'partitions=2', () => {
    fails(plain('chef:chef-secret@'), 'bus', /no rights on topic users\.\w+: allow chef Read, Write and Create/);
    allow(...rights('Write', 'Create'), '--topic', 'users.');
    fails(plain('chef:chef-secret@'), 'bus', /no rights on group users\.\w+: allow chef Read/);
    allow(...rights('Read'), '--group', 'users.');
    fails(plain('chef:chef-secret@'), 'bus', /no right to read topic users\.\w+: allow chef Read/);
    allow(...rights('Read'), '--topic', 'users.');
    fine(plain('chef:chef-secret@'), 'bus: Kafka');
    fine(plain('chef:%63hef-secret@'), 'bus: Kafka'); // %XX is a byte
  });
  // As it is run: who we are from a file, topics that this user makes, events that it publishes and reads.
  allow(...rights('Read', 'Write', 'Create'), '--topic', 'crew.');
  allow(...rights('Read'), '--group', 'crew.');
  const secret = path.join(dir, 'bus');
  fs.writeFileSync(secret, `kafka://chef:chef-secret@${TEST_KAFKA_TLS}?partitions=2&prefix=crew.&ca=${TEST_KAFKA_CA}\n`, { mode: 0o600 });
  const platform = await Platform.start({ env: { JUMUN_BUS_FILE: secret } });
  try {
    await until('the order service to apply events', async () =>
      /^jumun_events_applied_total\{service="order"\} [1-9]/m.test(await (await fetch(`${platform.internal}/metrics`)).text()), 30000);
    const config = spawnSync(binary(), ['config', 'print'], { encoding: 'utf8', env: { PATH: process.env.PATH, JUMUN_BUS_FILE: secret } });
    assert.match(config.stdout, /^bus/m);
    assert.ok(!config.stdout.includes('chef-secret'), 'the password is not shown');
  } finally {
    await platform.stop();
  }
  const tls = (options) => kafka('chef:chef-secret@', TEST_KAFKA_TLS, `prefix=users.${options}`); // with a user, TLS goes without saying
  fine(tls(`&ca=${TEST_KAFKA_CA}`), 'bus: Kafka');
  fails(tls(''), 'bus', /no TLS with the brokers: correct ca=.*certificate verify failed/i);
  fails(tls('&security=sasl_plaintext'), 'bus', /nobody answers.*security= \(sasl_plaintext\)/);
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512']) {
    fine(tls(`&ca=${TEST_KAFKA_CA}&mechanism=${mechanism}`), 'bus: Kafka');
    fails(kafka('chef:wrong@', TEST_KAFKA_TLS, `ca=${TEST_KAFKA_CA}&mechanism=${mechanism}`), 'bus', /the brokers refuse user chef: correct USER:PASSWORD or mechanism=/);
  }
});

test('Kafka with certificates', { skip: !lone }, async () => {
  const { TEST_KAFKA_CERTS, TEST_KAFKA_CA, TEST_KAFKA_CERT, TEST_KAFKA_KEY, TEST_KAFKA_CTL } = process.env;
  const ours = `cert=${TEST_KAFKA_CERT}&key=${TEST_KAFKA_KEY}`;
  const allow = (...words) => run(TEST_KAFKA_CTL, 'acls', '--add', '--allow-principal', 'User:CN=baker', ...words, '--resource-pattern-type', 'prefixed');
  const look = (options) => kafka('', TEST_KAFKA_CERTS, `prefix=bakery.&ca=${TEST_KAFKA_CA}&${options}`);
  const foreign = { cert: path.join(dir, 'foreign.pem'), key: path.join(dir, 'foreign.key') };
  run('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=baker', '-keyout', foreign.key, '-out', foreign.cert);
  fails(look('security=ssl'), 'bus', /the brokers want a certificate of ours: write cert= and key=/);
  fails(look(`cert=${foreign.cert}&key=${foreign.key}`), 'bus', /the brokers do not take the certificate of cert=/);
  fails(look(`cert=${TEST_KAFKA_CA}&key=${TEST_KAFKA_KEY}`), 'bus', /ssl\.key\.location|key values mismatch/);
  fails(look(`cert=${TEST_KAFKA_CERT}&key=/dev/null/key`), 'bus', /ssl\.key\.location/);
  fails(look(ours), 'bus', /allow the certificate's name \(User:CN=/);
  allow('--operation', 'Read', '--operation', 'Write', '--operation', 'Create', '--topic', 'bakery.');
  allow('--operation', 'Read', '--group', 'bakery.');
  fine(look(ours), 'bus: Kafka');
  const platform = await Platform.start({ args: ['--bus', `kafka://${TEST_KAFKA_CERTS}?partitions=2&prefix=bakery.&ca=${TEST_KAFKA_CA}&${ours}`] });
  try {
    await until('the order service to apply events', async () =>
      /^jumun_events_applied_total\{service="order"\} [1-9]/m.test(await (await fetch(`${platform.internal}/metrics`)).text()), 30000);
  } finally {
    await platform.stop();
  }
});

test('an address of Kafka that contradicts itself is refused', { skip: !lone }, () => {
  for (const [who, options, said] of [
    ['', 'security=sasl_ssl', /security=sasl_ssl needs USER:PASSWORD@/],
    ['a:b@', 'security=ssl', /a user needs security=sasl_ssl/],
    ['', 'ca=/etc/ca.pem', /ca= is for security=ssl/],
    ['', 'cert=/etc/c.pem&key=/etc/k.pem&security=plaintext', /cert= is for security=ssl/],
    ['', 'cert=/etc/c.pem', /cert= and key= belong together/],
    ['', 'mechanism=PLAIN', /mechanism= is for security=sasl_/],
    ['a:b@', 'mechanism=GSSAPI', /not "mechanism=GSSAPI"/],
    ['', 'security=tls', /not "security=tls"/],
    ['a:%zz@', '', /before @ stands USER:PASSWORD, with %XX/],
    [':b@', '', /before @ stands USER:PASSWORD/],
  ]) fails(kafka(who, TEST_KAFKA, options), 'bus', said);
});

test('Kafka with a broker down', { skip: !TEST_KAFKA || lone }, async () => {
  const { TEST_KAFKA_CTL } = process.env;
  const look = () => kafka('', TEST_KAFKA, 'replicas=3&prefix=three.');
  fine(look(), 'bus: Kafka.* 3 brokers, 0 topics');
  await besidePlatform('three.', 'partitions=2&replicas=3', async () => {
    fine(look(), 'bus: Kafka.* 3 brokers');
    run(TEST_KAFKA_CTL, 'stop', '3');
    fails(look(), 'bus', /there are 2 brokers for 3 replicas|2 of 3 replicas are in sync: is a broker down\?/);
    fails(kafka('', TEST_KAFKA, 'replicas=2&prefix=three.'), 'bus', /partition \d+: 2 of 3 replicas are in sync: is a broker down\?/);
    run(TEST_KAFKA_CTL, 'start', '3');
    for (let i = 0; look().status !== 0 && i < 100; i++) await new Promise((resolve) => { setTimeout(resolve, 300); }); // until it has caught up
    fine(look(), 'bus: Kafka.* 3 brokers');
  });
});
