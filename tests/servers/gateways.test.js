// gateways.test.js -- two gateways with one Redis count a client together, and never wait for it. Run by tools/test-servers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { setTimeout: sleep } = require('node:timers/promises');
const { startGateway } = require('../api/lib/gateway.js');
const { until } = require('../api/lib/jumun.js');
const { Wire } = require('./faults/wire.js');

const { TEST_REDIS, TEST_REDIS_CTL } = process.env;
const options = { skip: TEST_REDIS && TEST_REDIS_CTL ? false : 'needs a Redis server', timeout: 60000 };
const LIMIT = 100;
let wire, gates = [];

test.before(async () => {
  if (options.skip) return;
  const url = new URL(TEST_REDIS);
  wire = await Wire.start(Number(url.port));
  url.port = wire.port;
  for (let i = 0; i < 2; i++) gates.push(await startGateway('auth=http://127.0.0.1:1', { args: ['--proxies', '1', '--rate-limit', String(LIMIT), '--cache', url.href] }));
});
test.after(async () => {
  for (const g of gates) await g.stop();
  if (wire) await wire.stop();
});

// A request that the gateway answers itself: 401, or 429 when the client is over its limit. Milliseconds go to `took`.
async function ask(g, ip, took = []) {
  const from = performance.now();
  const { status } = await fetch(`${g.public}/v1/me`, { headers: { 'x-forwarded-for': ip } });
  took.push(performance.now() - from);
  assert.ok([401, 429].includes(status), String(status));
  return status === 401;
}
// By turns at both, `pause` ms apart; how many got through.
async function through(ip, n, pause, took) {
  let got = 0;
  for (let i = 0; i < n; i++) {
    got += await ask(gates[i % 2], ip, took);
    await sleep(pause);
  }
  return got;
}
const control = (word) => execFileSync(TEST_REDIS_CTL, [word]);

test('what one let through counts at the other', options, async () => {
  // 100 a minute; in the time of the test some tokens come back.
  const from = Date.now();
  const got = await through('10.1.0.1', 180, 5);
  const back = (Date.now() - from) * LIMIT / 60000;
  assert.ok(got >= LIMIT && got <= LIMIT + back + 30, `${got} of 180 with ${back} tokens back; two that count alone let all through`);
  assert.equal(await ask(gates[0], '10.1.0.2'), true, 'another client is not limited');
});

test('a flush is made good by who remembers', options, async () => {
  await through('10.1.0.3', 120, 5);
  control('flush');
  const from = Date.now();
  const got = await through('10.1.0.3', 60, 5);
  assert.ok(got <= (Date.now() - from) * LIMIT / 60000 + 10, `${got} after a flush`);
});

test('while Redis is slow, silent or away nobody waits, and each counts for itself', options, async () => {
  const faults = { 'slower by 200 ms': [() => { wire.delayMs = 200; }, () => { wire.delayMs = 0; }],
    silent: [() => wire.freeze(), () => wire.thaw()], away: [() => control('stop'), () => control('start')] };
  let n = 0;
  for (const [what, [begin, end]] of Object.entries(faults)) {
    begin();
    const took = [], ip = `10.1.1.${++n}`;
    const got = await through(ip, 240, 2, took);
    end();
    took.sort((a, b) => a - b);
    const [p50, p95] = [took[took.length >> 1], took[Math.floor(took.length * 0.95)]];
    console.log(`# Redis ${what}: ${got} of 240 let through, p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms`);
    assert.ok(p50 < 50, `${what}: p50 ${p50} ms`);
    assert.ok(got >= LIMIT && got < 240, `${what}: ${got} let through`);
  }
  await sleep(1500); // after a failure nobody asks for a second
  const got = await through('10.1.2.1', 180, 5);
  assert.ok(got < 180 - 30, `${got}: they count together again`);
});

test('that Redis is away, and back, can be seen', options, async () => {
  const up = async () => Number(/^jumun_cache_up (\d)$/m.exec(await (await fetch(`${gates[0].internal}/metrics`)).text())[1]);
  await until(async () => await up() === 1, 'it to answer');
  control('stop');
  await until(async () => await up() === 0, 'it to be missed');
  control('start');
  await until(async () => await up() === 1, 'it to be back');
  const [gone, back] = gates[0].log.split('\n').filter((line) => line.includes('cache: Redis at')).slice(-2);
  assert.match(gone, /"warn".*Redis at 127\.0\.0\.1:\d+ cannot be asked: .+; until it can, each process counts by itself/);
  assert.match(back, /"info".*can be asked again, after \d+\.\d s/);
});
