// crash.test.js -- each story dies at each fault point it passes, dies again while recovering, and must end as if nothing happened.
//
// With TEST_THROUGH=apart only the service dies whose process passes the point, while the others live on.
// CRASH_SECONDS bounds it (default 480). Cases that did not fit are counted at the end, never silently dropped.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFile, spawnSync } = require('node:child_process');
const { Platform, sleep, BINARY, ROOT } = require('../api/lib/platform.js');
const { engines, copyDatabases, dropDatabases } = require('../api/lib/engines.js');
const { APART, NAMES } = require('../api/lib/processes.js');
const { Client, stories } = require('./stories.js');

const BUDGET_MS = Number(process.env.CRASH_SECONDS || 480) * 1000;
const AT_A_TIME = 2;
const PARTS = APART ? NAMES : ['all']; // what may die by itself
const CASE_MS = 60000;
const began = Date.now();

// Points that no story over HTTP passes, with who does.
const ELSEWHERE = {
  'backup.rename': 'passed by `jumun backup`: a test of its own below',
  'backup.sync': 'passed by `jumun backup`: tests/api/restore.test.js',
  'keys.write': 'passed at the very first start: a test of its own below',
  'keys.sync': 'passed at the very first start: a test of its own below',
  'keys.rename': 'passed at the very first start: a test of its own below',
  'blob.put.before': 'no story stores a photo; tests/conformance/blob_test.c',
  'blob.put.after': 'no story stores a photo; tests/conformance/blob_test.c',
  'blob.sync': 'no story stores a photo; tests/conformance/blob_test.c',
  'blob.delete': 'no story removes a photo; tests/conformance/blob_test.c',
  's3.before_call': 'no story stores a photo; tests/conformance/blob_server_test.c',
  's3.answer_lost': 'no story stores a photo; tests/conformance/blob_server_test.c',
  'cache.get': 'a cache holds nothing that a crash could lose; tests/conformance/cache_test.c',
  'cache.put': 'a cache holds nothing that a crash could lose; tests/conformance/cache_test.c',
  'password.memory': 'nothing is changed there that a crash could lose; tests/unit/auth_test.c',
  'order.resolve.commit': 'MANUAL_REVIEW takes days of unknown answers; the simulation',
  'flow.sweep.commit': 'rows are an hour old before they go; the simulation, tests/unit/sweep_test.c',
  'bus.sweep.commit': 'events are an hour old before they go; the simulation, tests/unit/sweep_test.c',
  'timer.fire': 'timers that call nobody are minutes long; the simulation',
  'auth.password.verified': 'no story changes a password; tests/unit/auth_test.c',
  'payment.refund.none': 'a second after the last refund was done: the simulation, tests/unit/payment_story_test.c',
  'payment.late.commit': 'a capture after a refusal; the simulation',
  'payment.wrong.commit': 'a capture of another amount, named three times: tests/unit/payment_freeze_test.c tells the story',
  'signing_keys.commit': 'keys are sealed with --keys-secret only: tests/unit/signing_keys_test.c',
  'signing_keys.discard': 'keys are sealed with --keys-secret only: tests/unit/signing_keys_test.c',
  'service_keys.sync': 'passed by `jumun service-keys`: a test of its own below',
  'payment.captured.apart': 'only with a known mistake switched on; the simulation',
};

function sources(dir) {
  return fs.readdirSync(dir, { withFileTypes: true }).flatMap((e) =>
    e.isDirectory() ? sources(path.join(dir, e.name)) : e.name.endsWith('.c') ? [path.join(dir, e.name)] : []);
}
const points = [...new Set(['src', 'services'].flatMap((d) => sources(path.join(ROOT, d))).flatMap((file) =>
  [...fs.readFileSync(file, 'utf8').matchAll(/\bFAULT\("([^"]+)"\)/g)].map((m) => m[1])))].sort();
const fired = new Map(points.map((name) => [name, 0]));

let world; // the temporary directory of all cases
let baseBooks;

function passes(file) {
  const n = new Map();
  if (!fs.existsSync(file)) return n;
  for (const line of fs.readFileSync(file, 'utf8').split('\n'))
    if (line && !line.startsWith('fired ')) n.set(line, (n.get(line) || 0) + 1);
  return n;
}
function firedIn(file) {
  if (!fs.existsSync(file)) return [];
  return fs.readFileSync(file, 'utf8').split('\n').filter((l) => l.startsWith('fired ')).map((l) => l.slice(6));
}

function copyOfWorld(name) {
  const dir = path.join(world, name);
  fs.mkdirSync(dir);
  fs.cpSync(path.join(world, 'base', 'data'), path.join(dir, 'data'), { recursive: true });
  copyDatabases(path.join(world, 'base'), dir);
  return dir;
}

// Not started yet: run() is for the case to call.
function platformIn(dir) {
  const p = new Platform();
  p.options = { dir, settle: false };
  p.dir = dir;
  return p;
}

// What dies: the platform, or apart one service of it. run(env) starts it, once the others are there.
class Victim {
  constructor(p, part) { Object.assign(this, { p, part }); }

  get service() { return this.p.child && this.p.child.services && this.p.child.services[this.part]; }
  get alive() { return APART ? Boolean(this.service) && this.service.alive : alive(this.p); }
  get exited() { return APART ? this.service.gone : this.p.exited; }

  async run(env) {
    if (!APART) return this.p.run(env);
    if (!alive(this.p)) await this.p.run({}, { later: this.part });
    await this.p.child.startService(this.service, [], env);
    return this.p;
  }

  async kill() { return APART ? this.service.kill() : this.p.kill(); }
}

function doctor(dir) {
  return new Promise((resolve) => execFile(BINARY, ['doctor', '--audit', '--data', path.join(dir, 'data')],
    { timeout: 30000, env: { ...process.env, ...engines(dir) } },
    (error, stdout, stderr) => resolve({ ok: !error, text: stdout + stderr })));
}

async function healthy(dir, timeoutMs) {
  let found;
  for (const end = Date.now() + timeoutMs; ;) {
    found = await doctor(dir);
    if (found.ok || Date.now() > end) return found;
    await sleep(200);
  }
}

const books = (p) => p.get('/simulator/books', { base: p.toss }).then((r) => r.body);
const alive = (p) => p.child && p.child.exitCode === null && p.child.signalCode === null;

// Whatever fails: no process stays behind, or the file would wait for it until its timeout.
async function andEnd(p, work) {
  try {
    return await work();
  } finally {
    if (alive(p)) await p.kill();
  }
}

// Once without faults: how often each point is passed before, and in, a story by each of those that may die.
async function record(name) {
  const dir = copyOfWorld(`record-${name.replace(/ /g, '-')}`);
  const report = (part) => ({ JUMUN_FAULT_REPORT: path.join(dir, `report-${part}`) });
  const passed = () => PARTS.map((part) => passes(report(part).JUMUN_FAULT_REPORT));
  const p = platformIn(dir);
  const [before, after] = await andEnd(p, async () => {
    await (APART ? p.run({}, { envOf: report }) : p.run(report('all')));
    await sleep(100);
    const first = passed();
    const expected = await stories[name](new Client(p));
    const health = await healthy(dir, 15000);
    const last = passed();
    await ends(p, expected);
    await p.stop();
    assert.ok(health.ok, `${name}: ${health.text}`);
    return [first, last];
  });
  fs.rmSync(dir, { recursive: true });
  dropDatabases(dir);
  return PARTS.flatMap((part, i) => [...after[i]].map(([point, last]) =>
    ({ story: name, part, point, first: (before[i].get(point) || 0) + 1, last })).filter((r) => r.last >= r.first));
}

// Every order is what it was to become, and the provider's books say the same of its money.
async function ends(p, expected) {
  const admin = await p.login('admin1');
  const letters = await p.get('/v1/admin/dead-letters', { as: admin });
  assert.equal(letters.status, 200);
  assert.deepEqual(letters.body.items, [], 'dead letters');
  const now = await books(p);
  let captured = baseBooks.capturedWon, cancelled = baseBooks.cancelledWon, payments = baseBooks.payments;
  for (const e of expected) {
    const story = await p.get(`/v1/admin/orders/${e.orderId}/story`, { as: admin });
    assert.equal(story.status, 200, `order ${e.orderId}: ${story.status}`);
    assert.equal(story.body.order.status, e.status);
    assert.equal(story.body.capturedWon, e.captured, 'what the order knows to be captured');
    const rows = now.captured.filter((r) => r.orderId === e.orderId);
    assert.equal(rows.length, e.captured ? 1 : 0, `the provider's payments of ${e.orderId}: ${JSON.stringify(rows)}`);
    captured += e.captured;
    cancelled += e.returned;
    payments += e.captured ? 1 : 0;
  }
  assert.deepEqual({ captured: now.capturedWon, cancelled: now.cancelledWon, payments: now.payments }, { captured, cancelled, payments },
    'the provider\'s books');
}

// The number of orders that exist: a lost answer must not have made a second one.
async function ordersOf(p) {
  const admin = await p.login('admin1');
  const r = await p.get('/v1/admin/orders?limit=100', { as: admin });
  return r.body.items.length;
}

async function until(victim, done, ms) {
  await Promise.race([victim.exited, done, sleep(ms)]);
}

async function runCase(c, n) {
  const dir = copyOfWorld(`case-${n}`);
  const report = path.join(dir, 'report');
  const p = platformIn(dir);
  await andEnd(p, () => dieTwice(c, p, dir, report));
  assert.deepEqual(c.end, { code: 0, signal: null }, 'it stops cleanly');
  const last = await doctor(dir);
  assert.ok(last.ok, last.text);
  const hits = firedIn(report);
  for (const name of hits) fired.set(name, (fired.get(name) || 0) + 1);
  c.hit = hits.includes(c.point);
  fs.rmSync(dir, { recursive: true });
  dropDatabases(dir);
}

async function dieTwice(c, p, dir, report) {
  const client = new Client(p);
  let over = null;
  let running;
  const down = () => { client.up = new Promise((resolve) => { running = resolve; }); };
  const victim = new Victim(p, c.part);

  down();
  const story = stories[c.story](client).then((v) => { over = { expected: v }; }, (e) => { over = { error: e }; });
  const arms = [`${c.point}:${c.at}:die`, `*:${c.second}:die`];
  for (const arm of arms) {
    const came = await victim.run({ JUMUN_FAULT: arm, JUMUN_FAULT_REPORT: report }).then(() => true, () => false);
    if (came) {
      running();
      await until(victim, story, 4000);
      if (over) await until(victim, sleep(300), 300); // what is still under way after the last answer
      if (!APART) down(); // where others live on, they are asked all the time
    }
    if (victim.alive) await victim.kill();
  }
  await victim.run();
  running();
  await Promise.race([story, victim.exited.then((e) => { throw new Error(`it ended by itself: ${JSON.stringify(e)} ${p.log}`); }),
    sleep(CASE_MS).then(() => { throw new Error(`"${client.step}" does not end; the last answer: ${client.last}`); })]);
  if (over.error) throw over.error;
  const health = await healthy(dir, 15000);
  assert.ok(health.ok, health.text);
  await ends(p, over.expected);
  assert.equal(await ordersOf(p), over.expected.length, 'orders');
  c.end = await p.stop();
}

// First every point once, then every pair of point and story, then later passes of the same pairs.
function plan(ranges) {
  const rounds = [[], [], [], []];
  const places = PARTS.flatMap((part) => points.map((point) => ranges.filter((r) => r.part === part && r.point === point)));
  places.forEach((pairs, i) => {
    pairs.forEach((pair, k) => {
      const middle = Math.floor((pair.first + pair.last) / 2);
      rounds[k === i % pairs.length ? 0 : 1].push({ ...pair, at: pair.first });
      if (pair.last > pair.first) rounds[2].push({ ...pair, at: pair.last });
      if (middle > pair.first && middle < pair.last) rounds[3].push({ ...pair, at: middle });
    });
  });
  // Where it dies the second time walks on from the first write of a start to the middle of the work.
  return rounds.flat().map((c, n) => ({ ...c, second: 1 + (n * 7) % 60 }));
}

function report(cases, left, missed) {
  console.log(`# ${'fault point'.padEnd(28)} fired`);
  for (const [name, n] of fired) console.log(`# ${name.padEnd(28)} ${String(n).padStart(5)}${ELSEWHERE[name] ? `  ${ELSEWHERE[name]}` : ''}`);
  console.log(`# ${cases} cases run in ${Math.round((Date.now() - began) / 1000)} s; in ${missed} of them the first death came too late to happen`);
  console.log('# LEFT OUT: the expiry of an unpaid order takes 9 minutes over HTTP; the simulation lets it die at every point');
  if (left) console.log(`# LEFT OUT: ${left} cases did not fit into ${BUDGET_MS / 1000} s; CRASH_SECONDS gives more time`);
}

test.before(async () => {
  world = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-crash-'));
  fs.mkdirSync(path.join(world, 'base'));
  const p = await Platform.start({ dir: path.join(world, 'base') });
  await andEnd(p, async () => {
    await sleep(500); // the stores' events reach the other services
    const health = await healthy(p.dir, 15000);
    assert.ok(health.ok, health.text);
    baseBooks = await books(p);
    await p.stop();
  });
});
test.after(() => {
  if (process.env.CRASH_KEEP) console.log(`# kept: ${world}`);
  else fs.rmSync(world, { recursive: true, force: true });
});

test('a first start that dies while it makes its keys starts again', { timeout: 300000 }, async () => {
  for (const point of ['keys.write', 'keys.sync', 'keys.rename', 'db.commit.before', 'db.commit.after']) {
    for (const at of point.startsWith('db.') ? [1, 5, 23] : [1]) {
      const dir = path.join(world, `first-${point}-${at}`);
      fs.mkdirSync(dir);
      const log = path.join(dir, 'report');
      const p = platformIn(dir);
      const victim = new Victim(p, 'auth');
      await andEnd(p, async () => {
        await victim.run({ JUMUN_FAULT: `${point}:${at}:die`, JUMUN_FAULT_REPORT: log }).catch(() => null);
        await until(victim, sleep(2000), 2000);
        if (victim.alive) await victim.kill();
        for (const name of firedIn(log)) fired.set(name, (fired.get(name) || 0) + 1);
        await victim.run();
        const c = new Client(p);
        await c.paid(await c.login('minji'), 1, 1, 5);
        const health = await healthy(dir, 15000);
        await p.stop();
        assert.ok(health.ok, `${point}:${at}: ${health.text}`);
      });
      fs.rmSync(dir, { recursive: true });
      dropDatabases(dir);
    }
  }
});

test('keys of services that were not written whole are made again', { timeout: 30000 }, async () => {
  const dir = path.join(world, 'service-keys');
  const log = path.join(world, 'service-keys-report');
  const make = (env) => spawnSync(BINARY, ['service-keys', dir, 'order'], { encoding: 'utf8', timeout: 20000, env: { PATH: process.env.PATH, ...env } });
  const died = make({ JUMUN_FAULT: 'service_keys.sync:1:die', JUMUN_FAULT_REPORT: log });
  assert.equal(died.signal, 'SIGKILL', died.stderr);
  for (const name of firedIn(log)) fired.set(name, (fired.get(name) || 0) + 1);
  const again = make({});
  assert.equal(again.status, 0, again.stderr);
  for (const name of ['order.key', 'order.pub']) assert.match(fs.readFileSync(path.join(dir, name), 'utf8'), /^-----BEGIN [^]*-----END [^]*-----\n$/);
});

test('a backup that dies is no backup; the next one is', { timeout: 60000, skip: /^postgres/.test(process.env.JUMUN_DATABASE || '') && 'a server is backed up with its own means' }, async () => {
  const dir = copyOfWorld('backup');
  const log = path.join(dir, 'report');
  const to = path.join(dir, 'copy');
  const backup = (env) => spawnSync(BINARY, ['backup', to, '--data', path.join(dir, 'data')],
    { encoding: 'utf8', timeout: 30000, env: { PATH: process.env.PATH, ...env } });
  const died = backup({ JUMUN_FAULT: 'backup.rename:1:die', JUMUN_FAULT_REPORT: log });
  assert.equal(died.signal, 'SIGKILL', died.stderr);
  for (const name of firedIn(log)) fired.set(name, (fired.get(name) || 0) + 1);
  assert.ok(!fs.existsSync(to), 'half a backup has no name of a whole one');
  const refused = backup({});
  assert.notEqual(refused.status, 0);
  assert.match(refused.stderr, /copy\.part/, 'it says what is in the way');
  fs.rmSync(`${to}.part`, { recursive: true });
  const made = backup({});
  assert.equal(made.status, 0, made.stderr);
  assert.ok(fs.existsSync(path.join(to, 'order.db')));
});

const atATime = (work) => Promise.all(Array.from({ length: AT_A_TIME }, work));

test('every story dies at every fault point', { timeout: 2 * BUDGET_MS + 4 * CASE_MS }, async () => {
  const ranges = [], names = Object.keys(stories);
  await atATime(async () => {
    for (let name; (name = names.shift());) ranges.push(...await record(name));
  });
  // However long that took: the cases have half of the time at least.
  const until = Math.max(began + BUDGET_MS, Date.now() + BUDGET_MS / 2);
  const cases = plan(ranges).filter((c) => !process.env.CRASH_ONLY || `${c.part}/${c.point}/${c.story}`.includes(process.env.CRASH_ONLY));
  const problems = [];
  let next = 0, missed = 0;
  async function worker() {
    while (next < cases.length && Date.now() < until && problems.length < 10) {
      const n = next++;
      const c = cases[n];
      await runCase(c, n).catch((e) => {
        problems.push(`${c.story} dies at ${c.point} of ${c.part}:${c.at}, then at *:${c.second}: ${e.message} (case-${n})`);
        console.log(`# FAILED ${problems[problems.length - 1]}`);
      });
      if (!c.hit) missed++;
    }
  }
  await atATime(worker);
  report(next, cases.length - next, missed);
  assert.deepEqual(problems, []);
  const never = points.filter((name) => fired.get(name) === 0 && !ELSEWHERE[name]);
  if (next < cases.length && never.length) console.log(`# LEFT OUT: for want of time these fault points did not fire: ${never.join(' ')}`);
  else if (!process.env.CRASH_ONLY) assert.deepEqual(never, [], 'fault points that never fired and are not excused');
});
