// order.test.js -- an order as its customer and its store see it: every way it can go, and the live streams.
'use strict';
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { engines } = require('./lib/engines.js');
const { randomUUID } = require('node:crypto');
const { after, before, describe, test } = require('node:test');
const j = require('./lib/jumun.js');

let world, owner, otherOwner, shop, minji, other;

before(async () => {
  world = await j.start();
  [owner, otherOwner, minji, other] = await Promise.all([
    j.person(world, 'owner'), j.person(world, 'owner'), j.person(world), j.person(world)]);
  shop = await j.store(world, owner, { items: [
    { name: '후라이드치킨', priceWon: 18000 },
    { name: '한정 치킨', priceWon: 20000, stock: 3 },
  ] });
});
after(async () => {
  if (!world) return;
  await j.sleep(1000); // what was under way gets to its end
  assert.deepEqual(await world.end(), { code: 0, signal: null }, world.log);
  const audit = spawnSync(j.binary(), ['doctor', '--audit', '--data', world.dir], { encoding: 'utf8', env: { PATH: process.env.PATH, ...engines(world.dir) } });
  await world.stop();
  assert.equal(audit.status, 0, audit.stdout + audit.stderr);
});

const act = (placed, verb, body = {}, who = owner, key = undefined) =>
  world.call('POST', `${shop.orders}/${placed.orderId}/${verb}`, { token: who.token, body, key });
const acts = async (placed, verb, body, key) => {
  const reply = await act(placed, verb, body, owner, key);
  assert.equal(reply.status, 200, `${verb}: ${reply.text}`);
  return reply.body;
};
const cancel = (placed, who = minji, options = {}) =>
  world.call('POST', `/v1/orders/${placed.orderId}/cancel`, { token: who.token, body: { reason: '마음이 바뀌었어요' }, ...options });
const refused = (reply, status, code) => {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.body.code, code);
};
const left = async (item) => (await j.want(world, 200, 'GET',
  `${shop.own}/menu-items/${item.menuItemId}/stock`, { token: owner.token }));

describe('the way of an order', () => {
  test('from the cart to the door', async () => {
    const placed = await j.order(world, minji, shop, { quantity: 2 });
    assert.equal(placed.status, 'AWAITING_PAYMENT');
    assert.equal(placed.paymentStatus, 'READY');
    assert.deepEqual([placed.itemsWon, placed.deliveryFeeWon, placed.totalWon, placed.refundedWon], [36000, 3000, 39000, 0]);
    assert.equal(placed.storeId, shop.storeId);
    assert.equal(placed.address.address1, '서울 강남구 테헤란로 2');
    assert.equal(placed.items.length, 1);
    const { lineId, ...line } = placed.items[0];
    assert.match(lineId, /^[0-9a-f-]{36}$/);
    assert.deepEqual(line, { menuItemId: shop.items[0].menuItemId, name: '후라이드치킨', options: [], quantity: 2, unitPriceWon: 18000, lineTotalWon: 36000 });
    assert.ok(Date.parse(placed.expiresAt) - Date.parse(placed.createdAt) === 9 * 60000);
    assert.deepEqual(placed.history.map((h) => [h.status, h.by]), [['STOCK_PENDING', 'customer'], ['AWAITING_PAYMENT', 'system']]);

    const reply = await j.confirm(world, minji, placed, await j.authorize(world, placed));
    assert.equal(reply.status, 200, reply.text);
    const paid = await j.reaches(world, minji, placed.orderId, 'PAID');
    assert.equal(paid.paymentStatus, 'CAPTURED');
    assert.ok(Date.parse(paid.acceptBy) > Date.now());
    const cart = await j.want(world, 200, 'GET', '/v1/cart', { token: minji.token });
    assert.deepEqual(cart.items, []);

    const accepting = randomUUID();
    const accepted = await acts(placed, 'accept', { minutes: 35 }, accepting);
    assert.deepEqual(await acts(placed, 'accept', { minutes: 35 }, accepting), accepted, 'the answer was lost and is given again');
    refused(await act(placed, 'accept', { minutes: 35 }), 409, 'ORDER_STATE');
    assert.equal(accepted.status, 'ACCEPTED');
    const eta = Date.parse(accepted.etaAt);
    assert.ok(Math.abs(eta - Date.now() - 35 * 60000) < 60000);
    const key = randomUUID();
    for (let times = 0; times < 3; times++) // the same request asked again delays once
      assert.equal(Date.parse((await act(placed, 'delay', { minutes: 10 }, owner, key)).body.etaAt) - eta, 10 * 60000);
    refused(await act(placed, 'delay', { minutes: 10 }, owner, null), 400, 'IDEMPOTENCY_KEY_MISSING');
    for (const [verb, status] of [['cook', 'COOKING'], ['ready', 'READY'], ['deliver', 'DELIVERING'], ['complete', 'COMPLETED']]) {
      assert.equal((await acts(placed, verb)).status, status);
    }
    const done = await j.orderOf(world, minji, placed.orderId);
    assert.deepEqual(done.history.map((h) => h.status), ['STOCK_PENDING', 'AWAITING_PAYMENT', 'CONFIRMING', 'PAID',
      'ACCEPTED', 'ACCEPTED', 'COOKING', 'READY', 'DELIVERING', 'COMPLETED']);
    assert.equal(done.history.at(-1).by, 'owner');
  });

  test('what is put in between order and payment stays, also of a dish that was ordered', async () => {
    const [first] = shop.items;
    const placed = await j.order(world, minji, shop, { item: first, quantity: 1 });
    await j.want(world, 201, 'POST', '/v1/cart/items', { token: minji.token, body: { menuItemId: first.menuItemId, quantity: 2 } });
    assert.equal((await j.confirm(world, minji, placed, await j.authorize(world, placed))).status, 200);
    await j.reaches(world, minji, placed.orderId, 'PAID');
    const cart = await j.want(world, 200, 'GET', '/v1/cart', { token: minji.token });
    assert.deepEqual(cart.items.map((i) => [i.menuItemId, i.quantity]), [[first.menuItemId, 3]]);
    const [line] = cart.items;
    const again = await j.want(world, 201, 'POST', '/v1/orders', { token: minji.token, headers: { prefer: 'wait=5' }, body: { addressId: minji.addressId } });
    await j.want(world, 200, 'PATCH', `/v1/cart/items/${line.cartItemId}`, { token: minji.token, body: { quantity: 1 } });
    assert.equal((await j.confirm(world, minji, again, await j.authorize(world, again))).status, 200);
    await j.reaches(world, minji, again.orderId, 'PAID');
    assert.deepEqual((await j.want(world, 200, 'GET', '/v1/cart', { token: minji.token })).items.map((i) => i.quantity), [1]);
    await j.want(world, 204, 'DELETE', '/v1/cart', { token: minji.token });
  });

  test('the owner refuses: the money and the stock come back', async () => {
    const item = shop.items[1];
    const placed = await j.paid(world, minji, shop, { item, quantity: 2 });
    await j.until(async () => (await left(item)).sold === 2, 'two to be sold');
    assert.equal((await left(item)).available, 1);
    const reply = await act(placed, 'refuse', { reason: '재료가 떨어졌어요' });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body.status, 'CANCELLING');
    const end = await j.reaches(world, minji, placed.orderId, 'CANCELLED');
    assert.equal(end.refundedWon, end.totalWon);
    assert.equal(end.paymentStatus, 'REFUNDED');
    assert.ok(end.history.some((h) => h.reason === '재료가 떨어졌어요' && h.by === 'owner'));
    const stock = await left(item);
    assert.deepEqual([stock.available, stock.reserved, stock.sold], [3, 0, 0]);
  });

  test('the owner cancels after accepting', async () => {
    const placed = await j.paid(world, minji, shop);
    await acts(placed, 'accept', { minutes: 20 });
    refused(await cancel(placed), 409, 'ORDER_STATE'); // the customer cannot any more
    assert.equal((await acts(placed, 'cancel', { reason: '오토바이 고장' })).status, 'CANCELLING');
    assert.equal((await j.reaches(world, minji, placed.orderId, 'CANCELLED')).refundedWon, placed.totalWon);
  });

  test('more than there is: rejected', async () => {
    const placed = await j.order(world, minji, shop, { item: shop.items[1], quantity: 4 });
    assert.equal(placed.status, 'REJECTED');
    assert.equal(placed.history.at(-1).reason, 'STOCK_SHORT');
    refused(await cancel(placed), 409, 'ORDER_STATE');
    assert.equal((await left(shop.items[1])).available, 3);
  });

  test('a declined payment leaves it payable', async () => {
    const placed = await j.order(world, minji, shop);
    await j.want(world, 200, 'PUT', '/simulator/faults', { at: 'toss', body: { declineRate: 100 } });
    const paymentKey = await j.authorize(world, placed);
    const reply = await j.confirm(world, minji, placed, paymentKey);
    await j.want(world, 200, 'PUT', '/simulator/faults', { at: 'toss', body: { declineRate: 0 } });
    refused(reply, 402, 'PAYMENT_DECLINED');
    const again = await j.reaches(world, minji, placed.orderId, 'AWAITING_PAYMENT');
    assert.ok(again.history.some((h) => h.status === 'CONFIRMING'));
    const second = await j.confirm(world, minji, placed, await j.authorize(world, placed));
    assert.equal(second.status, 200, second.text);
    await j.reaches(world, minji, placed.orderId, 'PAID');
  });

  test('no action but the legal ones', async () => {
    const placed = await j.order(world, minji, shop);
    const bodies = { accept: { minutes: 30 }, refuse: { reason: 'x' }, delay: { minutes: 5 }, cancel: { reason: 'x' } };
    const verbs = ['accept', 'refuse', 'delay', 'cook', 'ready', 'deliver', 'complete', 'cancel'];
    const none = async (but) => {
      for (const verb of verbs.filter((v) => !but.includes(v))) {
        refused(await act(placed, verb, bodies[verb]), 409, 'ORDER_STATE');
      }
    };
    await none([]);
    await j.confirm(world, minji, placed, await j.authorize(world, placed));
    await j.reaches(world, minji, placed.orderId, 'PAID');
    await none(['accept', 'refuse']);
    await acts(placed, 'accept', { minutes: 30 });
    await none(['delay', 'cook', 'cancel']);
    await acts(placed, 'cook');
    await none(['delay', 'ready']);
    refused(await act(placed, 'accept', { minutes: 0 }), 400, 'INVALID');
    refused(await act(placed, 'refuse', {}), 400, 'INVALID');
  });
});

describe('cancel', () => {
  test('before payment: done at once, and the stock is back', async () => {
    const item = shop.items[1];
    const placed = await j.order(world, minji, shop, { item });
    assert.equal((await left(item)).reserved, 1);
    const reply = await cancel(placed);
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body.status, 'CANCELLED');
    await j.until(async () => (await left(item)).available === 3, 'the stock to be back');
    refused(await cancel(placed), 409, 'ORDER_STATE');
    refused(await j.confirm(world, minji, placed, await j.authorize(world, placed)), 409, 'ORDER_STATE');
  });

  test('after payment: 202, then the money is back', async () => {
    const placed = await j.paid(world, minji, shop);
    const reply = await cancel(placed);
    assert.equal(reply.status, 202, reply.text);
    const end = await j.reaches(world, minji, placed.orderId, 'CANCELLED');
    assert.equal(end.refundedWon, end.totalWon);
  });

  test('the same key has one effect and one answer', async () => {
    const placed = await j.order(world, minji, shop);
    const [a, b] = [await cancel(placed, minji, { key: 'once-1' }), await cancel(placed, minji, { key: 'once-1' })];
    assert.deepEqual([a.status, b.status], [200, 200]);
    assert.deepEqual(a.body, b.body);
    const { history } = await j.orderOf(world, minji, placed.orderId);
    assert.equal(history.filter((h) => h.event === 'CANCEL_ASKED').length, 1);
    refused(await cancel(placed, minji, { key: null }), 400, 'IDEMPOTENCY_KEY_MISSING');
  });

  // Whoever wins, what was taken goes back and nobody is charged for a cancelled order.
  test('racing the confirm', async () => {
    for (let round = 0; round < 8; round++) {
      const placed = await j.order(world, minji, shop);
      const paymentKey = await j.authorize(world, placed);
      const [confirmed, cancelled] = await Promise.all([
        j.confirm(world, minji, placed, paymentKey),
        j.sleep(round).then(() => cancel(placed)),
      ]);
      assert.ok([200, 202, 402, 409].includes(confirmed.status), confirmed.text);
      assert.ok([200, 202].includes(cancelled.status), cancelled.text);
      const end = await j.reaches(world, minji, placed.orderId, 'CANCELLED', 'PAYMENT_FAILED');
      if (confirmed.status === 200) assert.equal(end.refundedWon, end.totalWon);
      else assert.ok(end.refundedWon === 0 || end.refundedWon === end.totalWon);
    }
  });
});

describe('nobody else', () => {
  test('sees or moves an order', async () => {
    const placed = await j.paid(world, minji, shop);
    const mine = `/v1/orders/${placed.orderId}`;
    for (const where of [mine, `${mine}/events`]) {
      refused(await world.call('GET', where, { token: other.token }), 404, 'NOT_FOUND');
      refused(await world.call('GET', where), 401, 'UNAUTHENTICATED');
      refused(await world.call('GET', where, { token: owner.token }), 403, 'FORBIDDEN');
    }
    refused(await cancel(placed, other), 404, 'NOT_FOUND');
    for (const who of [otherOwner]) {
      refused(await act(placed, 'accept', { minutes: 30 }, who), 404, 'NOT_FOUND');
      refused(await world.call('GET', shop.orders, { token: who.token }), 404, 'NOT_FOUND');
      refused(await world.call('GET', `${shop.orders}/events`, { token: who.token }), 404, 'NOT_FOUND');
      refused(await world.call('GET', `${shop.orders}/${placed.orderId}`, { token: who.token }), 404, 'NOT_FOUND');
    }
    refused(await act(placed, 'accept', { minutes: 30 }, minji), 403, 'FORBIDDEN');
    // An owner's own store does not open another store's order.
    const elsewhere = await j.store(world, otherOwner);
    await j.until(async () => (await world.call('GET', elsewhere.orders, { token: otherOwner.token })).status === 200, 'the new store');
    refused(await world.call('POST', `${elsewhere.orders}/${placed.orderId}/accept`,
      { token: otherOwner.token, body: { minutes: 30 } }), 404, 'NOT_FOUND');
    assert.equal((await j.orderOf(world, minji, placed.orderId)).status, 'PAID');
    const list = await j.want(world, 200, 'GET', '/v1/orders', { token: other.token });
    assert.deepEqual(list.items, []);
  });

  test('reaches the internal and the operators\' routes', async () => {
    const placed = await j.order(world, minji, shop);
    const pin = { customerId: minji.userId, amountWon: placed.totalWon, paymentId: placed.orderId };
    refused(await world.call('POST', `/internal/v1/orders/${placed.orderId}/pin`, { token: minji.token, body: pin }), 404, 'NOT_FOUND');
    refused(await world.call('POST', `/internal/v1/orders/${placed.orderId}/pin`, { at: 'internal', body: pin }), 401, 'UNAUTHENTICATED');
    refused(await world.call('POST', `/internal/v1/orders/${placed.orderId}/pin`, { at: 'internal', token: minji.token, body: pin }), 403, 'FORBIDDEN');
    for (const token of [minji.token, owner.token]) {
      refused(await world.call('GET', `/v1/admin/orders/${placed.orderId}/story`, { token }), 403, 'FORBIDDEN');
      refused(await world.call('POST', `/v1/admin/orders/${placed.orderId}/resolve`, { token, body: { to: 'PAID', reason: 'x' } }), 403, 'FORBIDDEN');
      refused(await world.call('GET', '/v1/admin/dead-letters', { token }), 403, 'FORBIDDEN');
    }
  });
});

describe('lists', () => {
  test('of a customer come in pages, newest first', async () => {
    const buyer = await j.person(world);
    const ids = [];
    for (let i = 0; i < 5; i++) ids.unshift((await j.order(world, buyer, shop)).orderId);
    const seen = [];
    let where = '/v1/orders?limit=2', pages = 0;
    while (where) {
      const page = await j.want(world, 200, 'GET', where, { token: buyer.token });
      seen.push(...page.items.map((o) => o.orderId));
      where = page.nextCursor ? `/v1/orders?limit=2&cursor=${page.nextCursor}` : null;
      pages++;
    }
    assert.deepEqual(seen, ids);
    assert.equal(pages, 3);
    const none = await j.want(world, 200, 'GET', '/v1/orders?status=COMPLETED', { token: buyer.token });
    assert.deepEqual(none, { items: [], nextCursor: null });
    refused(await world.call('GET', '/v1/orders?cursor=nonsense', { token: buyer.token }), 400, 'INVALID');
    refused(await world.call('GET', '/v1/orders?limit=101', { token: buyer.token }), 400, 'INVALID');
    refused(await world.call('GET', '/v1/orders?status=LOST', { token: buyer.token }), 400, 'INVALID');
  });

  test('of a store hold what was paid', async () => {
    const placed = await j.order(world, minji, shop);
    const ids = async (query) => (await j.want(world, 200, 'GET', shop.orders + query, { token: owner.token })).items.map((o) => o.orderId);
    assert.ok(!(await ids('')).includes(placed.orderId));
    assert.ok((await ids('?status=AWAITING_PAYMENT')).includes(placed.orderId));
    await j.confirm(world, minji, placed, await j.authorize(world, placed));
    await j.reaches(world, minji, placed.orderId, 'PAID');
    assert.equal((await ids(''))[0], placed.orderId);
    assert.ok((await ids('?active=true')).includes(placed.orderId));
    await acts(placed, 'refuse', { reason: 'x' });
    assert.ok(!(await ids('?active=true')).includes(placed.orderId));
  });
});

describe('afterwards', () => {
  test('a receipt holds what was paid, and the tax in it', async () => {
    const placed = await j.order(world, minji, shop, { quantity: 2 });
    refused(await world.call('GET', `/v1/orders/${placed.orderId}/receipt`, { token: minji.token }), 409, 'ORDER_STATE');
    await j.confirm(world, minji, placed, await j.authorize(world, placed));
    await j.reaches(world, minji, placed.orderId, 'PAID');
    const receipt = await j.want(world, 200, 'GET', `/v1/orders/${placed.orderId}/receipt`, { token: minji.token });
    assert.deepEqual([receipt.totalWon, receipt.paidWon, receipt.refundedWon], [39000, 39000, 0]);
    assert.deepEqual([receipt.supplyWon, receipt.vatWon], [35455, 3545]);
    assert.equal(receipt.items[0].quantity, 2);
    await cancel(placed);
    await j.reaches(world, minji, placed.orderId, 'CANCELLED');
    const after = await j.want(world, 200, 'GET', `/v1/orders/${placed.orderId}/receipt`, { token: minji.token });
    assert.deepEqual([after.paidWon, after.refundedWon, after.vatWon], [0, 39000, 0]);
    refused(await world.call('GET', `/v1/orders/${placed.orderId}/receipt`, { token: other.token }), 404, 'NOT_FOUND');
  });

  test('the same once more', async () => {
    const placed = await j.order(world, minji, shop, { quantity: 3 });
    await j.fill(world, minji, shop.items[1].menuItemId, 1);
    refused(await world.call('POST', `/v1/orders/${placed.orderId}/reorder`, { token: other.token }), 404, 'NOT_FOUND');
    const cart = await j.want(world, 200, 'POST', `/v1/orders/${placed.orderId}/reorder`, { token: minji.token });
    assert.deepEqual(cart.items.map((i) => [i.menuItemId, i.quantity]), [[shop.items[0].menuItemId, 3]]);
    assert.equal(cart.totalWon, placed.totalWon);
    const again = await j.want(world, 201, 'POST', '/v1/orders', { token: minji.token, body: { addressId: minji.addressId, expectedTotalWon: cart.totalWon } });
    assert.notEqual(again.orderId, placed.orderId);
  });

  test('the ticket is handed out once', async () => {
    const placed = await j.paid(world, minji, shop);
    const keys = [1, 2, 3].map(() => randomUUID());
    const replies = await Promise.all(keys.map((key) => act(placed, 'print', {}, owner, key)));
    assert.deepEqual(replies.map((r) => r.status).sort(), [200, 409, 409]);
    const printer = replies.findIndex((r) => r.status === 200); // the printer whose answer was lost gets it again
    assert.equal((await act(placed, 'print', {}, owner, keys[printer])).text, replies[printer].text);
    refused(await act(await j.order(world, minji, shop), 'print'), 409, 'ORDER_STATE');
  });

  test('a day in numbers', async () => {
    const seller = await j.person(world, 'owner');
    const at = await j.store(world, seller, { items: [{ name: '가', priceWon: 10000 }, { name: '나', priceWon: 5000 }] });
    await j.order(world, minji, at); // unpaid: does not count
    await j.paid(world, minji, at, { item: at.items[0], quantity: 1 });
    await j.paid(world, minji, at, { item: at.items[1], quantity: 3 });
    const gone = await j.paid(world, minji, at, { item: at.items[0], quantity: 5 });
    await cancel(gone);
    await j.reaches(world, minji, gone.orderId, 'CANCELLED');
    const { items } = await j.want(world, 200, 'GET', `${at.own}/figures`, { token: seller.token });
    const today = new Date(Date.now() + 9 * 3600000).toISOString().slice(0, 10);
    assert.deepEqual(items, [{ date: today, orders: 3, cancelled: 1, revenueWon: 13000 + 18000 + 53000, refundsWon: 53000, topItems: [
      { menuItemId: at.items[1].menuItemId, name: '나', quantity: 3, revenueWon: 15000 },
      { menuItemId: at.items[0].menuItemId, name: '가', quantity: 1, revenueWon: 10000 }] }]);
    const past = await j.want(world, 200, 'GET', `${at.own}/figures?from=2026-01-01&to=2026-01-31`, { token: seller.token });
    assert.deepEqual(past.items, []);
    for (const query of ['from=2026-02-01&to=2026-01-01', 'from=2025-01-01&to=2026-01-01', 'from=2026-02-30']) {
      refused(await world.call('GET', `${at.own}/figures?${query}`, { token: seller.token }), 400, 'INVALID');
    }
    refused(await world.call('GET', `${at.own}/figures`, { token: owner.token }), 404, 'NOT_FOUND');
  });
});

describe('live', () => {
  const ids = (stream) => stream.events.map((e) => Number(e.id));

  test('a customer follows an order, is cut and goes on without loss or doubles', async () => {
    const placed = await j.paid(world, minji, shop);
    const where = `/v1/orders/${placed.orderId}/events`;
    const first = await j.follow(world, where, { token: minji.token });
    assert.equal(first.status, 200);
    assert.match(first.headers['content-type'], /^text\/event-stream/);
    await first.until((e) => e.data.status === 'PAID', 'the replay');
    assert.deepEqual(ids(first), [1, 2, 3, 4]);
    assert.deepEqual(first.events[0].data.status, 'STOCK_PENDING');
    await acts(placed, 'accept', { minutes: 30 });
    await first.until((e) => e.data.status === 'ACCEPTED', 'the live event');
    first.close();
    await acts(placed, 'cook'); // while nobody listens
    const second = await j.follow(world, where, { token: minji.token, lastId: first.lastId });
    await acts(placed, 'ready');
    await second.until((e) => e.data.status === 'READY', 'the rest');
    assert.deepEqual(ids(second), [6, 7]);
    assert.equal(second.events[0].data.status, 'COOKING');
    assert.equal(second.events[0].event, 'status');
    // An id from the future is not believed.
    const third = await j.follow(world, where, { token: minji.token, lastId: 1000 });
    await acts(placed, 'deliver');
    await third.until((e) => e.data.status === 'DELIVERING', 'the next event');
    assert.deepEqual(ids(third), [8]);
    const json = await j.want(world, 200, 'GET', where, { token: minji.token, headers: { 'last-event-id': '5' } });
    assert.deepEqual(json.items.map((e) => e.status), ['COOKING', 'READY', 'DELIVERING']);
    for (const stream of [second, third]) stream.close();
  });

  test('opening while things happen: every event once and in order', async () => {
    for (let round = 0; round < 6; round++) {
      const placed = await j.order(world, minji, shop);
      const where = `/v1/orders/${placed.orderId}/events`;
      const paymentKey = await j.authorize(world, placed);
      const streams = [];
      const opening = (async () => {
        for (let i = 0; i < 12; i++) {
          streams.push(await j.follow(world, where, { token: minji.token }));
          await j.sleep(round);
        }
      })();
      await Promise.all([opening, j.confirm(world, minji, placed, paymentKey)]);
      await j.reaches(world, minji, placed.orderId, 'PAID');
      for (const stream of streams) {
        await stream.until((e) => e.data.status === 'PAID', 'the end');
        assert.deepEqual(ids(stream), [1, 2, 3, 4]);
        stream.close();
      }
    }
  });

  // A store's orders come through several partitions of a broker, in any order.
  test('a board hears each step of many orders at once, in the order of the board', async () => {
    const seller = await j.person(world, 'owner');
    const at = await j.store(world, seller);
    const stream = await j.until(async () => { // the order service may hear of a new store only a moment later
      const opened = await j.follow(world, `${at.orders}/events`, { token: seller.token });
      return opened.status === 200 && opened;
    }, 'the board');
    const crowd = await Promise.all(Array.from({ length: 8 }, () => j.person(world)));
    const orders = (await Promise.all(crowd.map(async (who) => {
      const theirs = [];
      for (let i = 0; i < 4; i++) theirs.push(await j.paid(world, who, at));
      return theirs;
    }))).flat();
    await j.until(() => orders.every((o) => stream.events.some((e) => e.data.orderId === o.orderId)), 'all orders on the board');
    assert.deepEqual(ids(stream), orders.map((_, i) => i + 1));
    assert.ok(!stream.closed);
    stream.close();
  });

  test('the board rings for what is paid, and goes on after a cut', async () => {
    const board = `${shop.orders}/events`;
    const first = await j.follow(world, board, { token: owner.token });
    assert.equal(first.status, 200);
    const placed = await j.paid(world, minji, shop);
    const ring = await first.until((e) => e.data.orderId === placed.orderId, 'the ring');
    assert.equal(ring.data.status, 'PAID');
    assert.equal(ring.data.totalWon, placed.totalWon);
    assert.ok(!('customerId' in ring.data));
    assert.equal(first.events.length, 1); // nothing from before, nothing unpaid
    first.close();
    await acts(placed, 'accept', { minutes: 30 });
    const next = await j.paid(world, other, shop);
    const second = await j.follow(world, board, { token: owner.token, lastId: first.lastId });
    await acts(placed, 'cook');
    await second.until((e) => e.data.status === 'COOKING', 'the live event');
    assert.deepEqual(second.events.map((e) => [e.data.orderId, e.data.status]),
      [[placed.orderId, 'ACCEPTED'], [next.orderId, 'PAID'], [placed.orderId, 'COOKING']]);
    const positions = [Number(ring.id), ...ids(second)];
    assert.deepEqual(positions, positions.map((_, i) => positions[0] + i)); // no gap
    second.close();
    // A position that was never given: the board is told to read its list again.
    const lost = await j.follow(world, board, { token: owner.token, lastId: 999999 });
    await lost.until((e) => e.event === 'reload', 'the word to read the list again');
    assert.equal(Number(lost.lastId), positions.at(-1));
    lost.close();
    const json = await j.want(world, 200, 'GET', board, { token: owner.token, headers: { 'last-event-id': ring.id } });
    assert.equal(json.items.length, 3);
  });
});

// Last: it ends the process hard and looks at what is left.
test('what was answered is there after a crash', async () => {
  const placed = await j.paid(world, minji, shop);
  await acts(placed, 'accept', { minutes: 30 });
  const cancelling = await j.paid(world, minji, shop);
  assert.equal((await cancel(cancelling)).status, 202);
  await world.kill();
  world = await world.again();
  assert.equal((await j.orderOf(world, minji, placed.orderId)).status, 'ACCEPTED');
  const end = await j.reaches(world, minji, cancelling.orderId, 'CANCELLED');
  assert.equal(end.refundedWon, end.totalWon);
  const stream = await j.follow(world, `/v1/orders/${placed.orderId}/events`, { token: minji.token, lastId: 4 });
  await acts(placed, 'cook');
  await stream.until((e) => e.data.status === 'COOKING', 'the next event');
  assert.deepEqual(stream.events.map((e) => Number(e.id)), [5, 6]);
  stream.close();
});
