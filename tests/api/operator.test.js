// operator.test.js -- what an operator sees of orders, and that only an operator does.
'use strict';
const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const j = require('./lib/jumun.js');

let world, admin, owner, minji, shop;

before(async () => {
  world = await j.start({ args: ['--demo'] });
  const signedIn = await j.want(world, 200, 'POST', '/v1/auth/login', { body: { username: 'admin1', password: 'jumun-demo-1' } });
  admin = { token: signedIn.accessToken, userId: signedIn.user.userId };
  [owner, minji] = await Promise.all([j.person(world, 'owner'), j.person(world)]);
  shop = await j.store(world, owner);
});
after(async () => {
  if (world) await world.stop();
});

const get = (where, status = 200) => j.want(world, status, 'GET', where, { token: admin.token });

test('the story of an order: every step, what was told to whom, what is due', async () => {
  const placed = await j.paid(world, minji, shop);
  const story = await get(`/v1/admin/orders/${placed.orderId}/story`);
  assert.equal(story.order.orderId, placed.orderId);
  assert.equal(story.customerId, minji.userId);
  assert.equal(story.capturedWon, placed.totalWon);
  assert.deepEqual(story.history.map((h) => [h.n, h.event, h.from, h.status, h.by]), [
    [1, 'PLACED', 'STOCK_PENDING', 'STOCK_PENDING', 'customer'],
    [2, 'STOCK_RESERVED', 'STOCK_PENDING', 'AWAITING_PAYMENT', 'system'],
    [3, 'PINNED', 'AWAITING_PAYMENT', 'CONFIRMING', 'system'],
    [4, 'CAPTURED', 'CONFIRMING', 'PAID', 'system'],
  ]);
  assert.equal(story.history[0].byId, minji.userId);
  for (const step of story.history) assert.match(step.traceId, /^[0-9a-f]{32}$/);
  // One trace from the customer's POST through the store's answer.
  assert.equal(story.history[0].traceId, story.history[1].traceId);
  assert.deepEqual(story.events.map((e) => e.type), ['order.stock_requested', 'order.status_changed',
    'order.status_changed', 'order.status_changed', 'order.paid', 'order.status_changed']);
  assert.deepEqual(story.events.map((e) => e.sequence), [1, 2, 3, 4, 5, 6]);
  assert.equal(story.events[0].data.lines[0].menuItemId, shop.items[0].menuItemId);
  assert.deepEqual(story.timers.map((t) => t.kind), ['order.accept_by']);
  assert.deepEqual(story.deadLetters, []);
  assert.ok(!JSON.stringify(story.events).includes('010-1234-5678'), 'events hold no personal data');
  await get('/v1/admin/orders/019b76da-a800-7000-8000-000000000000/story', 404);
});

test('lists narrow down', async () => {
  const placed = await j.order(world, minji, shop);
  const ids = async (query) => (await get(`/v1/admin/orders?${query}`)).items.map((o) => o.orderId);
  assert.equal((await ids(''))[0], placed.orderId);
  assert.deepEqual(await ids(`number=${placed.number}`), [placed.orderId]);
  assert.deepEqual(await ids(`customerId=${owner.userId}`), []);
  assert.ok((await ids(`storeId=${shop.storeId}&status=AWAITING_PAYMENT`)).includes(placed.orderId));
  assert.ok(!(await ids(`storeId=${shop.storeId}&status=PAID`)).includes(placed.orderId));
  const first = await get('/v1/admin/orders?limit=1');
  assert.equal(first.items.length, 1);
  const next = await get(`/v1/admin/orders?limit=1&cursor=${first.nextCursor}`);
  assert.notEqual(next.items[0].orderId, first.items[0].orderId);
});

test('only an order under review is resolved by hand', async () => {
  const placed = await j.paid(world, minji, shop);
  for (const to of ['PAID', 'CANCELLED', 'PAYMENT_FAILED']) {
    const reply = await world.call('POST', `/v1/admin/orders/${placed.orderId}/resolve`,
      { token: admin.token, body: { to, reason: 'by hand' } });
    assert.equal(reply.status, 409, reply.text);
    assert.equal(reply.body.code, 'ORDER_STATE');
  }
  const nowhere = await world.call('POST', `/v1/admin/orders/${placed.orderId}/resolve`,
    { token: admin.token, body: { to: 'COMPLETED', reason: 'x' } });
  assert.equal(nowhere.status, 400);
  assert.equal((await j.orderOf(world, minji, placed.orderId)).status, 'PAID');
});

test('dead letters: none, and unknown ones are not found', async () => {
  assert.deepEqual(await get('/v1/admin/dead-letters'), { items: [], nextCursor: null });
  for (const verb of ['retry', 'discard']) {
    for (const id of ['order-1', 'store-7', 'nobody-1', 'order', 'order-0', '-1']) {
      const reply = await world.call('POST', `/v1/admin/dead-letters/${id}/${verb}`, { token: admin.token });
      assert.equal(reply.status, 404, `${id}: ${reply.text}`);
    }
  }
});
