// payment_freeze.test.js -- captures that are not what was agreed, and captures that nobody sees at first.
'use strict';
const { after, afterEach, before, describe, test } = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { until, BINARY } = require('./lib/platform.js');
const { engines } = require('./lib/engines.js');
const { Till } = require('./lib/till.js');

let till;
before(async () => { till = await Till.start(); });
after(() => till.stop());
afterEach(async () => { await till.faults({}); await till.balanced(); });

const level = async () => {
  const r = await till.p.request('GET', '/metrics', { base: till.p.internal });
  const line = /^jumun_payments_frozen (\d+)$/m.exec(r.body);
  return line ? Number(line[1]) : 0;
};
const doctor = () => spawnSync(BINARY, ['doctor', '--audit', '--data', path.join(till.p.dir, 'data')],
  { encoding: 'utf8', env: { PATH: process.env.PATH, ...engines(till.p.dir) } });
const resolve = (order, to) => till.p.post(`/v1/admin/orders/${order.orderId}/resolve`, { to, reason: '은행에 확인함' },
  { as: till.admin, key: true });

describe('another amount is captured than was agreed', () => {
  test('nothing is sold, it goes back once, and a person is called', async () => {
    const order = await till.order();
    const r = await till.confirm(order, await till.authorize(order, 'wrong_amount'));
    assert.deepEqual([r.status, r.body.status, r.body.frozenAt], [202, 'CONFIRMING', null], JSON.stringify(r.body));
    assert.match(await (await fetch(`${till.p.internal}/metrics`)).text(), /^jumun_payments_unknown_total [1-9]/m);
    await till.reaches(order, 'MANUAL_REVIEW');
    await until('the refund', async () => (await till.paymentsOf(order))[0].status === 'REFUNDED', 20000);
    const [payment] = await till.paymentsOf(order);
    assert.deepEqual([payment.amountWon, payment.refundedWon, payment.refunds.length, payment.providerCode],
      [order.totalWon + 1, order.totalWon + 1, 1, 'CAPTURED_ANOTHER_AMOUNT']);
    assert.ok(payment.frozenAt);
    assert.deepEqual((await till.booksOf(order)).map((b) => [b.amount, b.balance]), [[order.totalWon + 1, 0]]);

    const story = (await till.p.get(`/v1/admin/orders/${order.orderId}/story`, { as: till.admin })).body;
    const step = story.history.find((h) => h.event === 'CAPTURED');
    assert.deepEqual([step.status, step.reason], ['MANUAL_REVIEW', 'CAPTURED_ANOTHER_AMOUNT']);
    assert.ok(!story.history.some((h) => h.status === 'PAID'));
    assert.equal(await level(), 1);
    const found = doctor();
    assert.equal(found.status, 1, found.stdout + found.stderr);
    assert.match(found.stdout + found.stderr, new RegExp(`I-6 no frozen capture waits for a person.*${order.orderId}`));
    const line = till.p.log.split('\n').find((l) => l.includes(`payment ${payment.paymentId} is frozen`));
    assert.match(line || till.p.log, /error.*CAPTURED_ANOTHER_AMOUNT/i);

    assert.equal((await resolve(order, 'PAID')).status, 409);
    assert.equal((await resolve(order, 'CANCELLED')).status, 200);
    await till.reaches(order, 'CANCELLED');
    await until('the alarm to end', async () => (await level()) === 0, 10000);
  });
});

describe('a capture that nobody sees at first', () => {
  test('is waited for: not known yet is not dead', async () => {
    const order = await till.order();
    await till.faults({ lateCaptureMs: 9000, webhookTo: '' });
    const r = await till.confirm(order, await till.authorize(order, 'late'));
    assert.deepEqual([r.status, r.body.status], [202, 'CONFIRMING'], JSON.stringify(r.body));
    // It was looked up at 2 and 7 seconds; both times the provider knew nothing of it.
    await new Promise((next) => setTimeout(next, 7800));
    assert.deepEqual([(await till.paymentsOf(order))[0].status, (await till.state(order)).status], ['CONFIRMING', 'CONFIRMING']);
    assert.deepEqual(await till.booksOf(order), []);
    await till.reaches(order, 'PAID');
    assert.deepEqual((await till.booksOf(order)).map((b) => [b.amount, b.balance]), [[order.totalWon, order.totalWon]]);
  });
  test('is found by its webhook, and given back when it was cancelled meanwhile', async () => {
    const order = await till.order();
    await till.faults({ lateCaptureMs: 3000 });
    await till.confirm(order, await till.authorize(order, 'late'));
    assert.equal((await till.cancel(order)).status, 202);
    await till.reaches(order, 'CANCELLED');
    assert.deepEqual((await till.paymentsOf(order)).map((p) => [p.status, p.refundedWon]), [['REFUNDED', order.totalWon]]);
  });
});
