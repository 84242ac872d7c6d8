// trace.test.js -- one order is one trace, from the POST to the last consumer, and /metrics counts it.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const http = require('node:http');
const { Platform, until } = require('./lib/platform.js');

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
  const wanted = ['/v1/orders', 'order.stock_requested', 'stock.reserved', 'order.status_changed'];
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

test('metrics name routes by their pattern, count orders, and stay few', async () => {
  const text = await (await fetch(`${p.internal}/metrics`)).text();
  assert.match(text, /jumun_http_requests_total\{route="POST \/v1\/orders",status="2xx"\} [1-9]/);
  assert.match(text, /jumun_http_request_seconds_bucket\{/);
  assert.match(text, /jumun_outbox_rows\{service="order"\} \d+/);
  assert.match(text, /jumun_consumer_lag_events\{service="order"\} \d+/);
  assert.match(text, /jumun_orders_total\{status="AWAITING_PAYMENT"\} [1-9]/);
  const samples = text.split('\n').filter((l) => l && !l.startsWith('#'));
  assert.ok(samples.length < 8000, `${samples.length} samples`);
  for (const line of samples) assert.match(line, /^[a-z_]+(\{.*\})? [0-9.e+-]+$/, line);
});
