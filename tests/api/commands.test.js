// commands.test.js -- the command line tells wrong use (2) from trouble (1), and explains itself.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const crypto = require('node:crypto');
const http = require('node:http');
const { execFile, spawn, spawnSync } = require('node:child_process');
const { binary, start } = require('./lib/jumun.js');

const run = (args, env = {}) => spawnSync(binary(), args, { encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH, ...env } });

test('wrong use ends with 2 and says what is wrong', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  for (const [args, said, env] of [
    [['upp'], /did you mean "up"/], [['up', '--lisen', 'x'], /did you mean "--listen"/], [['up', '--threads', '0'], /expected a number from 1 to 64/],
    [['up', '--data', dir, '--listen', '999'], /--listen is "999": expected HOST:PORT/],
    [['dlq', '--internal-listen', 'h:99999'], /--internal-listen .*expected HOST:PORT with a port from 0 to 65535/], [['up', '--discovery-listen', 'h:65536'], /--discovery-listen .*65535/],
    [['up'], /JUMUN_TOSS_LISTEN .*65535/, { JUMUN_TOSS_LISTEN: 'h:70000' }], [['up', '--data', dir, '--cors-origins', 'http://h:99999'], /cors-origins/],
    [['up', '--otlp-endpoint', 'http://h:99999'], /--otlp-endpoint .*65535/], [['up', '--data', dir, '--bus', 'kafka://a:9092,b:99999'], /ports from 1 to 65535/], [['up'], /"JUMUN_PORT" is not known/, { JUMUN_PORT: '8080' }], [['serve', 'ordr'], /did you mean "order"/],
    [['replay', 'x'], /id of an order/], [['version', 'x'], /unexpected "x"/], [['up'], /did you mean "JUMUN_LISTEN"/, { JUMUN_LISTN: 'x' }],
  ]) {
    const r = run(args, env);
    assert.equal(r.status, 2, `${args}: ${r.stderr}`);
    assert.match(r.stderr, said, args.join(' '));
    assert.equal(r.stdout, '');
  }
  fs.rmSync(dir, { recursive: true });
});

test('a wrong word is named as it was written, and only what is near is suggested', () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-')), 'jumun.conf');
  fs.writeFileSync(file, 'listen = 1\nfoo = 2\n');
  for (const [args, said] of [[['help', 'operater'], /there is no command "operater"; did you mean "operator"\?\nTry `jumun help`\./],
    [['doctor', '--database-connections', '3'], /it takes no --database-connections/], [['up', '--prot', '1'], /flag "--prot" is not known\n/],
    [['up', '--config', file], /jumun\.conf:1: listen is "1": expected HOST:PORT .*jumun\.conf:2: "foo" is not known\n/]]) {
    const r = run(args);
    assert.equal(r.status, 2, `${args}: ${r.stderr}`);
    assert.match(r.stderr, said);
  }
  fs.rmSync(path.dirname(file), { recursive: true });
});

test('help says what each command does, in one column', () => {
  const [, list] = run(['help']).stdout.split('Commands:\n');
  const lines = list.split('\n\n')[0].split('\n');
  assert.ok(lines.length > 10, list);
  for (const [i, line] of lines.entries())
    assert.ok(/^(  [a-z].{31} | {35})\S/.test(line) || / {35}/.test(lines[i + 1]), line);
  assert.doesNotMatch(run(['help', 'up']).stdout, / $/m);
});

test('bash completes commands, their words, their flags and what a flag takes', () => {
  const script = run(['completion', 'bash']).stdout;
  const complete = (...words) => {
    const r = spawnSync('bash', ['-c', `${script}
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jumun; printf '%s\\n' "\${COMPREPLY[@]}"`, 'bash', 'jumun', ...words], { encoding: 'utf8' });
    assert.equal(r.status, 0, r.stderr);
    return r.stdout.trim().split('\n');
  };
  assert.deepEqual(complete('d'), ['doctor', 'dlq', 'demo']);
  assert.deepEqual(complete('serve', 'g'), ['gateway']);
  assert.deepEqual(complete('dlq', 're'), ['retry']);
  assert.deepEqual(complete('operator', 'a'), ['add']);
  assert.deepEqual(complete('help', 'serv'), ['serve', 'service-keys']);
  assert.deepEqual(complete('up', '--lo'), ['--log', '--log-requests']);
  assert.deepEqual(complete('up', '--env', ''), ['development', 'production']);
  assert.deepEqual(complete('up', '--env', '=', 'd'), ['development']);
  assert.deepEqual(complete('up', '--env', '='), ['development', 'production']);
  assert.deepEqual(complete('up', '--data', ''), [''], 'files are what the shell offers by itself');
  assert.equal(run(['completion', 'csh']).status, 2);
});

test('the manual has every command and every setting', () => {
  const page = run(['man']).stdout.replaceAll('\\-', '-');
  assert.match(page, /^\.TH JUMUN 1 /);
  for (const section of ['NAME', 'SYNOPSIS', 'COMMANDS', 'OPTIONS', 'ENVIRONMENT', 'EXIT STATUS']) assert.ok(page.includes(`\n.SH ${section}\n`), section);
  for (const [, name] of run(['help']).stdout.matchAll(/^  ([a-z][a-z-]*)\b/gm)) assert.ok(page.includes(`\\fB${name}\\fR`), name);
  for (const [, flag] of run(['help', 'up']).stdout.matchAll(/^  (--[a-z-]+)/gm)) assert.ok(page.includes(`\\fB${flag}\\fR`), flag);
  assert.doesNotMatch(page, /^'|--fault/m);
});

test('--help behind a command explains it, as help does', () => {
  const names = [...run(['help']).stdout.matchAll(/^  ([a-z][a-z-]*)\b/gm)].map((m) => m[1]);
  assert.ok(names.length > 10, names.join());
  for (const name of names) {
    const explained = run(['help', name]);
    assert.equal(explained.status, 0, name);
    assert.match(explained.stdout, /Example/i, name);
    for (const more of [['--help'], ['-h'], ['word', '--data', 'x', '--help']]) {
      const r = run([name, ...more]);
      assert.deepEqual([r.status, r.stdout, r.stderr], [0, explained.stdout, ''], `${name} ${more}`);
    }
  }
});

test('dlq and replay make nothing where there is no platform, and name what to give', () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  const beside = (...args) => spawnSync(binary(), args, { cwd: dir, encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH } });
  const id = '01a208bc-99b9-748b-9a35-fa4e257ccd15';
  for (const [args, said] of [[['dlq', 'list'], /no signing keys in \.\/jumun-data\/keys: give the platform's --data/],
    [['replay', id], /no order database in \.\/jumun-data: give the platform's --data, or its --database/],
    [['replay', id, '--data', 'elsewhere'], /no order database in elsewhere/]]) {
    const r = beside(...args);
    assert.equal(r.status, 2, r.stderr);
    assert.match(r.stderr, said);
  }
  assert.deepEqual(fs.readdirSync(dir), []);
  assert.equal(beside('migrate', 'order', '--data', 'data').status, 0);
  const unknown = beside('replay', id, '--data', 'data');
  assert.deepEqual([unknown.status, unknown.stderr], [1, `jumun replay: no such order: ${id}\n`]);
  fs.rmSync(dir, { recursive: true });
});

test('who is not believed by the platform hears which settings have to be its own', { timeout: 60000 }, async () => {
  const world = await start({ args: ['--issuer', 'http://jumun.test'] });
  const other = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  const list = (...args) => run(['dlq', 'list', '--internal-listen', world.internal.slice('http://'.length), ...args]);
  try {
    assert.equal(run(['service-keys', other, 'operator']).status, 0);
    assert.equal(list('--data', world.dir, '--issuer', 'http://jumun.test').stdout, 'no dead letters\n');
    for (const [args, said] of [[['--data', world.dir], /--data \(.*\) and --issuer \(http:\/\/127\.0\.0\.1:8080\) have to be its own/],
      [['--service-keys', other], /--service-keys \(.*\) has to hold the operator\.key/]]) {
      const r = list(...args);
      assert.equal(r.status, 2, r.stderr);
      assert.match(r.stderr, said);
      assert.doesNotMatch(r.stderr, /[가-힣]/);
    }
  } finally {
    await world.stop();
    fs.rmSync(other, { recursive: true });
  }
});

test('a process without the service that is asked for is named as the wrong one', { timeout: 60000 }, async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-')), keys = path.join(dir, 'keys');
  assert.equal(run(['service-keys', keys, 'user', 'operator']).status, 0);
  const child = spawn(binary(), ['serve', 'user', '--data', path.join(dir, 'data'), '--listen', '127.0.0.1:0', '--internal-listen', '127.0.0.1:0', '--service-keys', keys],
    { stdio: ['ignore', 'pipe', 'ignore'], env: { PATH: process.env.PATH } });
  try {
    let said = '';
    for await (const part of child.stdout) if (/internal=\S+\n/.test(said += part)) break;
    const at = /internal=http:\/\/(\S+)/.exec(said)[1];
    const ask = (...words) => run([...words, '--internal-listen', at, '--service-keys', keys]);
    assert.equal(ask('dlq', 'list', '--service', 'user').stdout, 'no dead letters\n');
    for (const [words, service] of [[['operator', 'add', 'hana'], 'auth'], [['dlq', 'retry', 'order', '7'], 'order'], [['dlq', 'list', '--service', 'store'], 'store']]) {
      const r = ask(...words);
      assert.deepEqual([r.status, r.stderr], [2, `jumun ${words[0]}: ${service} does not run in the process at ${at}: give the --internal-listen of one that has it\n`]);
    }
    const none = ask('dlq', 'retry', 'user', '7');
    assert.equal(none.status, 1, none.stderr);
    assert.doesNotMatch(none.stderr, /does not run/);
  } finally {
    child.kill();
    await new Promise((done) => child.once('exit', done));
    fs.rmSync(dir, { recursive: true });
  }
});

test('what is kept how long is said in its unit', () => {
  const said = run(['help', 'up']).stdout;
  for (const text of [/--outbox-keep-minutes .*\n +minutes that .*7 days at least; default 60/, /--bus-keep-hours .*\n +hours that/,
    /--inbox-keep-hours .*\n +hours that/, /--discovery-evict-always\n +the discovery service drops silent instances/]) assert.match(said, text);
});

test('what could not be written is not done', { skip: !fs.existsSync('/dev/full') }, () => {
  for (const args of [['errors'], ['config', 'print'], ['openapi'], ['help']]) {
    const full = fs.openSync('/dev/full', 'w');
    const r = spawnSync(binary(), args, { encoding: 'utf8', stdio: ['ignore', full, 'pipe'], env: { PATH: process.env.PATH } });
    fs.closeSync(full);
    assert.equal(r.status, 1, args.join(' '));
    assert.match(r.stderr, /could not be written/);
    assert.equal(run(args).status, 0);
  }
});

/* In the place of a platform that has as many dead letters, and hangs up on who wants one applied. */
async function withLetters(count, work) {
  const letter = (id) => ({ id, eventId: crypto.randomUUID(), key: crypto.randomUUID(), type: 'order.paid', topic: 'order', data: { n: id }, traceparent: '',
    reason: 'test', sequence: 1, position: id, partition: 0, time: '2026-01-01T00:00:00Z', tries: 12, parkedAt: '2026-01-01T00:00:00Z' });
  const server = http.createServer((rq, rs) => {
    const { pathname, searchParams } = new URL(rq.url, 'http://x');
    if (rq.method !== 'GET') return rq.socket.destroy();
    const after = Number(searchParams.get('after') ?? 0), limit = Number(searchParams.get('limit') ?? 20), items = [];
    for (let id = after + 1; id <= count && items.length < limit && pathname.includes('/store/'); id++) items.push(letter(id));
    rs.end(JSON.stringify({ items, nextCursor: null }));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const keys = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-test-'));
  assert.equal(run(['service-keys', keys, 'operator']).status, 0);
  const flags = ['--service-keys', keys, '--internal-listen', `127.0.0.1:${server.address().port}`];
  const dlq = (...words) => new Promise((done) => execFile(binary(), ['dlq', ...words, ...flags], { encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH } },
    (error, stdout, stderr) => done({ status: error ? error.code : 0, stdout, stderr })));
  try {
    await work(dlq);
  } finally {
    server.close();
    fs.rmSync(keys, { recursive: true });
  }
}

test('all dead letters are listed and shown, however many', () => withLetters(250, async (dlq) => {
  const listed = await dlq('list');
  assert.equal(listed.status, 0, listed.stderr);
  assert.deepEqual([...listed.stdout.matchAll(/^store (\d+) /gm)].map((m) => Number(m[1])), Array.from({ length: 250 }, (_, i) => i + 1));
  assert.match((await dlq('show', 'store', '180')).stdout, /^store 180 .*\n\{"n":180\}\n$/);
  const none = await dlq('show', 'store', '251');
  assert.deepEqual([none.status, none.stderr], [1, 'jumun dlq: store has no dead letter 251\n']);
}));

test('a platform that hung up may have done it: nobody hears that there is none', () => withLetters(1, async (dlq) => {
  const r = await dlq('retry', 'store', '1');
  assert.equal(r.status, 1);
  assert.match(r.stderr, /whether it was done, only it can say/);
}));
