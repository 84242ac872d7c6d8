// site.js -- a platform (or several) on real servers, people who order at a steady pace, a fault in the middle, the reckoning after it.
//
// FAULT_RATE: orders begun per second (default 100; brief: 20). FAULT_SHORT=1: every fault brief.
'use strict';
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { Platform, sleep, randomUUID, BINARY } = require('../../api/lib/platform.js');
const { engines, dropDatabases } = require('../../api/lib/engines.js');
const { Load } = require('./load.js');

const SHORT = Boolean(process.env.FAULT_SHORT);
const RATE = Number(process.env.FAULT_RATE || (SHORT ? 20 : 100));
const BOUND_S = Number(process.env.FAULT_BOUND || 90); // seconds within which everything is well again
const KEYS_SECRET = 'k'.repeat(40); // signing keys are the site's, not a platform's

// What is needed and not there, in words; null: all there.
function missing(...names) {
  const gone = ['TEST_POSTGRES', 'TEST_KAFKA', 'TEST_REDIS', ...names].filter((name) => !process.env[name]);
  return gone.length ? `needs ${gone.join(', ')} (tools/test-faults)` : false;
}

function run(program, args, options = {}) {
  return new Promise((resolve) => execFile(program, args, { timeout: 60000, maxBuffer: 1 << 26, ...options },
    (error, stdout, stderr) => resolve({ ok: !error, text: stdout + stderr, out: stdout })));
}

async function control(server, word) {
  const r = await run(process.env[`TEST_${server}_CTL`], [word]);
  assert.ok(r.ok, `${server} ${word}: ${r.text}`);
}

class Site {
  // options: replicas (default 1), env (of each platform), args
  static async start({ replicas = 1, env = {}, args = [] } = {}) {
    const s = new this();
    s.frame();
    s.env = { ...s.env, ...env };
    s.args = ['--issuer', 'http://jumun.test', ...args];
    try {
      for (let i = 0; i < replicas; i++) s.platforms.push(await s.platform());
    } catch (e) {
      await s.stop();
      throw e;
    }
    return s;
  }

  frame() {
    this.world = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-faults-'));
    this.home = path.join(this.world, path.basename(this.world));
    this.env = { ...engines(this.home), JUMUN_KEYS_SECRET: KEYS_SECRET };
    this.platforms = [];
    this.dirs = []; // of platforms that were made
    this.balancers = [];
    this.known = new Set(); // orders that somebody was told of
  }

  // One more platform on the same servers.
  platform() {
    const dir = path.join(this.world, `${path.basename(this.world)}_${this.dirs.length + 1}`);
    this.dirs.push(dir);
    fs.mkdirSync(path.join(dir, 'data'), { recursive: true });
    return Platform.start({ dir, args: this.args, env: this.env, settle: this.platforms.length === 0 });
  }

  front(n) { return this.platforms[n % this.platforms.length].public; }
  toss() { return this.platforms[0].toss; }
  get database() { return this.env.JUMUN_DATABASE; }

  // A metric of every service of every platform, summed; -1: nobody says.
  async metric(name) {
    let sum = -1;
    for (const p of this.platforms) {
      const text = await fetch(`${p.internal}/metrics`).then((r) => r.text(), () => '');
      for (const [, n] of text.matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\d+)`, 'gm'))) sum = Math.max(sum, 0) + Number(n);
    }
    return sum;
  }

  async rows(sql) {
    const r = await run('psql', ['-qXAt', '-F', ' ', '-v', 'ON_ERROR_STOP=1', this.database, '-c', sql]);
    if (!r.ok) throw new Error(`psql: ${r.text}`);
    return r.out.split('\n').filter(Boolean);
  }

  async stop() {
    for (const p of this.platforms) {
      if (p.child && p.child.exitCode === null && p.child.signalCode === null) await p.stop();
    }
    for (const b of this.balancers) await b.stop();
    fs.rmSync(this.world, { recursive: true, force: true });
    for (const dir of [this.home, ...this.dirs]) dropDatabases(dir);
  }

  // Load before, the fault, load after; then everything must come to rest and be right.
  async through(name, fault, { before = SHORT ? 1 : 4, after = SHORT ? 1 : 6, allow = () => false, boundS = BOUND_S } = {}) {
    const load = new Load(this, RATE, allow);
    await load.start();
    await sleep(before * 1000);
    load.during = true;
    const from = Date.now();
    await fault(load);
    const end = Date.now();
    load.during = false;
    await sleep(after * 1000);
    load.stop();
    const report = { name, load };
    try {
      await load.rest(end + boundS * 1000);
      report.converged = Math.max(0, load.lastOf(end) - end) / 1000;
      await this.right(load);
      const audit = await this.audited(end + boundS * 1000);
      assert.ok(audit.ok, audit.text);
      console.log(`fault: ${name}: ${load.summary()}; fault ${((end - from) / 1000).toFixed(1)} s, ` +
        `all well ${report.converged.toFixed(1)} s after it; books equal, audit clean`);
    } catch (e) {
      for (const id of load.orders.keys()) this.known.add(id.replaceAll('-', ''));
      console.log(`fault: ${name}: FAILED. ${load.summary()}\n${this.platforms.map((p) => p.log.split('\n').slice(-5).join('\n')).join('\n-- \n')}`);
      throw e;
    }
    return report;
  }

  // What was answered is so, money was taken once, and both books say the same.
  async right(load) {
    const plain = (id) => id.replaceAll('-', '');
    const there = new Map((await this.rows('select order_id, status from "order".orders')).map((l) => plain(l).split(' ')));
    for (const o of load.orders.values()) {
      const id = plain(o.id);
      assert.ok(there.has(id), `order ${id} was answered 201 and is not there`);
      if (o.captured && !load.allow(there.get(id))) assert.equal(there.get(id), 'PAID', `order ${id} was answered as captured`);
    }
    for (const id of load.orders.keys()) this.known.add(plain(id));
    assert.deepEqual([...there.keys()].filter((id) => !this.known.has(id)), [], 'every order is the answer to some request');
    const theirs = await this.rows('select order_id, amount, balance from toss.payments where approved_at is not null order by 1');
    const ours = await this.rows(`select order_id, amount_won, amount_won - refunded_won from payment.payments
      where status not in ('FAILED', 'CONFIRMING') order by 1`);
    assert.deepEqual(ours.sort(), theirs.sort(), 'our books are the provider\'s');
    const times = new Map(), balance = new Map(theirs.map((line) => [plain(line).split(' ')[0], Number(line.split(' ')[2])]));
    for (const line of theirs.map(plain)) times.set(line.split(' ')[0], (times.get(line.split(' ')[0]) || 0) + 1);
    for (const [id, status] of there) {
      if (status === 'PAID') assert.equal(times.get(id), 1, `order ${id} is paid: captured once`);
      else if (times.has(id)) assert.equal(times.get(id), 1, `order ${id} was captured ${times.get(id)} times`);
      if (status === 'CANCELLED' && times.has(id)) assert.equal(balance.get(id), 0, `order ${id} is cancelled: the money is back`);
    }
  }

  doctor() {
    return run(BINARY, ['doctor', '--audit', '--data', path.join(this.platforms[0].dir, 'data')],
      { env: { PATH: process.env.PATH, ...this.env } });
  }

  // Events may be on the way still: what is wrong stays wrong.
  async audited(until) {
    for (;;) {
      const r = await this.doctor();
      if (r.ok || Date.now() > until) return r;
      await sleep(500);
    }
  }
}

module.exports = { Site, SHORT, RATE, BOUND_S, control, missing, run, sleep, randomUUID, KEYS_SECRET };
