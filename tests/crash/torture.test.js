// torture.test.js -- kill -9 at random moments under load: everything answered is there, nothing is there twice.
//
// TORTURE=N kills (default 40). Clients behave as the contract asks: without an answer they ask again with the same key.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { engines } = require('../api/lib/engines.js');
const { Platform, demoId, sleep, randomUUID, BINARY } = require('../api/lib/platform.js');

const KILLS = Number(process.env.TORTURE || 40);
const CUSTOMERS = 20;

let p;
let over = false;
let up = Promise.resolve();
const orders = new Map(); // Idempotency-Key -> orderId
const captured = new Set(); // orderIds whose confirm was answered CAPTURED
let placed = 0;

// Until somebody answers. 5xx and a broken connection are no answer.
async function insist(ask) {
  for (;;) {
    await up;
    try {
      const r = await ask();
      if (r.status < 500 && !(r.status === 409 && r.body.code === 'IDEMPOTENCY_KEY_IN_USE')) return r;
    } catch (e) {
      if (over && Date.now() > over + 60000) throw e;
    }
    await sleep(30);
  }
}

async function customer(n) {
  const as = { token: (await insist(() => p.login(n === 1 ? 'minji' : `customer${n}`).then((x) => ({ status: 200, body: x })))).body.token };
  const store = 1 + 5 * (n % 8);
  while (!over) {
    const added = await insist(() => p.addToCart(as, store, 3 + (n % 2), 2, { replace: true }));
    assert.equal(added.status, 201, JSON.stringify(added.body));
    const key = randomUUID();
    const order = await insist(() => p.place(as, n, { key, wait: 2 }));
    if (order.status === 401) throw new Error('the token died');
    if (order.status !== 201) continue;
    placed++;
    if (orders.has(key)) assert.equal(orders.get(key), order.body.orderId);
    orders.set(key, order.body.orderId);
    if (Math.random() < 0.3) { // the same request once more
      const again = await insist(() => p.place(as, n, { key, wait: 0 }));
      assert.equal(again.status, 201, JSON.stringify(again.body));
      assert.equal(again.body.orderId, order.body.orderId, 'one key, one order');
    }
    const shown = await insist(() => p.order(as, order.body.orderId));
    assert.equal(shown.status, 200, 'an order that was answered 201 is there');
    const auth = await insist(() => p.post('/simulator/authorize', { orderId: order.body.orderId, amount: order.body.totalWon }, { base: p.toss }));
    const confirmKey = randomUUID();
    const c = await insist(() => p.confirm(as, order.body, auth.body.paymentKey, { key: confirmKey }));
    if (c.status === 200 && c.body.status === 'CAPTURED') captured.add(order.body.orderId);
  }
}

function doctor() {
  return new Promise((resolve) => execFile(BINARY, ['doctor', '--audit', '--data', path.join(p.dir, 'data')], { env: { ...process.env, ...engines(p.dir) } },
    (error, stdout, stderr) => resolve({ ok: !error, text: stdout + stderr })));
}

test(`${KILLS} kills under load`, { timeout: 60000 + KILLS * 6000 }, async () => {
  p = await Platform.start();
  try {
    const people = Array.from({ length: CUSTOMERS }, (_, i) => customer(i + 1));
    const failed = Promise.all(people).catch((e) => e);
    for (let i = 0; i < KILLS; i++) {
      await sleep(150 + Math.random() * 700);
      let running;
      up = new Promise((resolve) => { running = resolve; });
      await p.kill();
      await p.run();
      running();
    }
    await sleep(500);
    over = Date.now();
    const problem = await failed;
    if (problem instanceof Error) throw problem;

    let health;
    for (let i = 0; i < 60; i++) {
      health = await doctor();
      if (health.ok) break;
      await sleep(1000);
    }
    assert.ok(health.ok, health.text);

    const admin = await p.login('admin1');
    for (const id of orders.values()) {
      const story = await p.get(`/v1/admin/orders/${id}/story`, { as: admin });
      assert.equal(story.status, 200, `order ${id} is gone`);
      if (captured.has(id)) assert.equal(story.body.capturedWon, story.body.order.totalWon, `order ${id} was answered CAPTURED`);
    }
    const known = new Set(orders.values());
    const inTheList = new Set();
    for (let cursor = ''; cursor !== null;) {
      const page = (await p.get(`/v1/admin/orders?limit=100${cursor && `&cursor=${cursor}`}`, { as: admin })).body;
      for (const o of page.items) inTheList.add(o.orderId);
      cursor = page.nextCursor || null;
    }
    assert.deepEqual([...inTheList].filter((id) => !known.has(id)), [], 'every order is the answer to some key');
    const books = (await p.get('/simulator/books', { base: p.toss })).body;
    const times = new Map();
    for (const row of books.captured) times.set(row.orderId, (times.get(row.orderId) || 0) + 1);
    for (const [id, n] of times) assert.equal(n, 1, `order ${id} was captured ${n} times`);
    if (books.captured.length < 1000)
      for (const id of captured) assert.ok(times.has(id), `order ${id} was answered CAPTURED, but is not in the provider's books`);
    console.log(`# ${KILLS} kills, ${placed} orders placed, ${captured.size} answered CAPTURED, ${books.payments} in the books`);
    assert.ok(orders.size > KILLS / 2 && captured.size > 0, 'there was load');
  } finally {
    over = over || Date.now();
    await p.stop();
  }
});
