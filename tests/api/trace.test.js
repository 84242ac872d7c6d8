// trace.test.js -- one order is one trace, from the POST to the last consumer, and /metrics counts it.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const http = require('node:http');
const { Platform, demoId, until } = require('./lib/platform.js');

let p, collector;
const spans = [];

test.before(async () => {
  collector = http.createServer((req, res) => {
    let body = '';
    req.on('data', (d) => { body += d; });
    req.on('end', () => {
      for (const r of JSON.parse(body).resourceSpans) for (const s of r.scopeSpans) spans.push(...s.spans);
      res.end('{}');
    });
  });
  await new Promise((resolve) => { collector.listen(0, '127.0.0.1', resolve); });
  p = await Platform.start({ args: ['--otlp-endpoint', `http://127.0.0.1:${collector.address().port}`] });
});
test.after(async () => { await p.stop(); collector.close(); });

test('the spans of one POST hang together across services', async () => {
  const minji = await p.login('minji');
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  await p.addToCart(minji, 1, 7, 3);
  const placed = await p.post('/v1/orders', { addressId: '019b76da-a800-7004-8000-000100000000' },
    { as: minji, key: true, headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, prefer: 'wait=5' } });
  assert.equal(placed.status, 201, JSON.stringify(placed.body));
  const wanted = ['/v1/orders', 'order.stock_requested', 'stock.reserved'];
  const ours = await until('all spans of the trace', () => {
    const of = spans.filter((s) => s.traceId === traceId);
    return wanted.every((name) => of.some((s) => s.name === name)) && of;
  });
  const root = ours.find((s) => s.name === '/v1/orders');
  assert.equal(root.kind, 2);
  const ids = new Set(ours.map((s) => s.spanId));
  assert.equal(ids.size, ours.length, 'span ids are unique');
  for (const s of ours) assert.ok(BigInt(s.endTimeUnixNano) >= BigInt(s.startTimeUnixNano));
});

test('a malformed traceparent begins a new trace', async () => {
  const r = await p.get('/v1/stores/not-a-uuid', { headers: { traceparent: '00-zz-zz-01' } });
  assert.equal(r.status, 400);
  assert.match(r.body.traceId, /^[0-9a-f]{32}$/);
});

test('metrics tell what became of orders, payments and stock', async () => {
  const metric = async (name) => {
    const text = await (await fetch(`${p.internal}/metrics`)).text();
    const line = text.split('\n').find((l) => l.startsWith(`${name} `));
    assert.ok(line, `${name} is there before anything happens`);
    return Number(line.split(' ')[1]);
  };
  const names = [...['COMPLETED', 'CANCELLED', 'EXPIRED', 'REJECTED', 'PAYMENT_FAILED', 'MANUAL_REVIEW'].map((s) => `jumun_orders_total{status="${s}"}`),
    ...['captured', 'declined', 'refunded', 'late_captured'].map((r) => `jumun_payments_total{result="${r}"}`),
    ...['STOCK_SHORT', 'MENU_SOLD_OUT', 'OTHER'].map((r) => `jumun_stock_refused_total{reason="${r}"}`),
    'jumun_payments_unknown_total', 'jumun_paid_won_total', 'jumun_captured_won_total', 'jumun_refunded_won_total'];
  for (const name of names) assert.equal(await metric(name), 0, name);

  const minji = await p.login('minji');
  await p.addToCart(minji, 1, 7, 3, { replace: true });
  const refused = await p.place(minji, 1);
  assert.equal((await p.confirm(minji, refused.body, await p.authorize(refused.body, 'decline'))).status, 402);
  const order = await p.paid(minji, 1, 1, 7, 3);
  assert.equal((await p.post(`/v1/orders/${order.orderId}/cancel`, {}, { as: minji, key: true })).status, 202);
  await p.reaches(minji, order.orderId, 'CANCELLED', 20000);
  const owner = await p.login('owner1');
  await p.post(`/v1/owner/stores/${demoId('store', 1)}/menu-items/${demoId('item', 1, 5)}/stock/adjustments`, { setTo: 1, reason: '조사' }, { as: owner, key: true });
  await p.addToCart(minji, 1, 5, 3, { replace: true });
  await p.reaches(minji, (await p.place(minji, 1)).body.orderId, 'REJECTED');
  for (const [name, value] of Object.entries({ 'jumun_orders_total{status="CANCELLED"}': 1, 'jumun_orders_total{status="REJECTED"}': 1,
    'jumun_payments_total{result="captured"}': 1, 'jumun_payments_total{result="declined"}': 1, 'jumun_payments_total{result="refunded"}': 1,
    'jumun_stock_refused_total{reason="STOCK_SHORT"}': 1, jumun_paid_won_total: order.totalWon, jumun_captured_won_total: order.totalWon,
    jumun_refunded_won_total: order.totalWon })) {
    await until(`${name} to be ${value}`, async () => (await metric(name)) === value);
  }
});

test('metrics name routes by their pattern, count orders, and stay few', async () => {
  const text = await (await fetch(`${p.internal}/metrics`)).text();
  assert.match(text, /jumun_http_requests_total\{route="POST \/v1\/orders",status="2xx"\} [1-9]/);
  assert.match(text, /jumun_http_request_seconds_bucket\{/);
  assert.match(text, /jumun_outbox_rows\{service="order"\} \d+/);
  assert.match(text, /jumun_consumer_lag_events\{service="order",topic="store"\} \d+/);
  assert.match(text, /jumun_consumer_age_microseconds\{service="order",topic="store"\} \d+/);
  assert.match(text, /jumun_orders_total\{status="AWAITING_PAYMENT"\} [1-9]/);
  const samples = text.split('\n').filter((l) => l && !l.startsWith('#'));
  assert.ok(samples.length < 8000, `${samples.length} samples`);
  for (const line of samples) assert.match(line, /^[a-z_]+(\{.*\})? [0-9.e+-]+$/, line);
});
