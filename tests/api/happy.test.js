// happy.test.js -- the main job, end to end: find a store, fill a cart, order, pay, follow, cook, deliver.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Platform, demoId } = require('./lib/platform.js');

let p;
test.before(async () => { p = await Platform.start(); });
test.after(() => p.stop());

test('a customer orders and pays, the owner cooks and delivers', async () => {
  const guest = {};
  const stores = await p.get('/v1/stores?query=%E3%85%8A%E3%85%8B'); // ㅊㅋ finds 치킨
  assert.equal(stores.status, 200);
  assert.ok(stores.body.items.some((s) => s.name.includes('치킨')), 'initial consonants find stores');

  const added = await p.addToCart(guest, 1, 1, 2);
  assert.equal(added.status, 201, JSON.stringify(added.body));
  assert.ok(guest.cart, 'a guest gets a token for the cart');

  const minji = await p.login('minji', undefined, { 'jumun-cart': guest.cart });
  const cart = await p.get('/v1/cart', { as: { token: minji.token } });
  assert.equal(cart.body.items.length, 1, 'the cart came along');
  assert.equal(cart.body.items[0].quantity, 2);

  const placed = await p.place(minji, 1, { body: { expectedTotalWon: cart.body.totalWon } });
  assert.equal(placed.status, 201, JSON.stringify(placed.body));
  assert.equal(placed.body.status, 'AWAITING_PAYMENT');
  assert.equal(placed.headers.get('location'), `/v1/orders/${placed.body.orderId}`);
  const order = placed.body;

  const checkout = await p.get(`/v1/orders/${order.orderId}/checkout`, { as: minji });
  assert.equal(checkout.status, 200, JSON.stringify(checkout.body));
  assert.equal(checkout.body.amountWon, order.totalWon);

  const confirmed = await p.confirm(minji, order, await p.authorize(order));
  assert.equal(confirmed.status, 200, JSON.stringify(confirmed.body));
  assert.equal(confirmed.body.status, 'CAPTURED');
  assert.equal(confirmed.body.cardLast4, '123*');

  await p.reaches(minji, order.orderId, 'PAID');
  assert.equal((await p.get('/v1/cart', { as: minji })).body.items.length, 0, 'the cart is empty');

  const owner = await p.login('owner1');
  const board = `/v1/owner/stores/${demoId('store', 1)}/orders`;
  const listed = await p.get(board, { as: owner });
  assert.equal(listed.status, 200, JSON.stringify(listed.body));
  assert.ok(listed.body.items.some((o) => o.orderId === order.orderId));
  for (const [action, body, status] of [['accept', { minutes: 30 }, 'ACCEPTED'], ['delay', { minutes: 5 }, 'ACCEPTED'],
    ['cook', undefined, 'COOKING'], ['ready', undefined, 'READY'], ['deliver', undefined, 'DELIVERING'],
    ['complete', undefined, 'COMPLETED']]) {
    const r = await p.post(`${board}/${order.orderId}/${action}`, body, { as: owner, key: true });
    assert.equal(r.status, 200, `${action}: ${JSON.stringify(r.body)}`);
    assert.equal(r.body.status, status);
  }
  const done = await p.order(minji, order.orderId);
  assert.deepEqual(done.body.history.map((h) => h.status).filter((s, i, all) => s !== all[i - 1]),
    ['STOCK_PENDING', 'AWAITING_PAYMENT', 'CONFIRMING', 'PAID', 'ACCEPTED', 'COOKING', 'READY', 'DELIVERING', 'COMPLETED']);
});

test('a problem is told in the language that is wanted most', async () => {
  for (const [wanted, title] of [[null, '찾을 수 없습니다.'], ['ko-KR,ko;q=0.9,en;q=0.8', '찾을 수 없습니다.'], ['en', 'Not found.'],
    ['en-US,ko;q=0.5', 'Not found.'], ['en;q=0.1, ko;q=0.9', '찾을 수 없습니다.'], ['fr, ko;q=0.3', '찾을 수 없습니다.'], ['fr', 'Not found.'],
    ['*', '찾을 수 없습니다.'], ['en, *;q=0.5', 'Not found.'], ['ko;q=0', 'Not found.'], ['ko;q=0.5, en;q=0.75', 'Not found.'], [';;q,=', 'Not found.']]) {
    const { body } = await p.get('/v1/none', { headers: wanted === null ? {} : { 'accept-language': wanted } });
    assert.equal(body.title, title, wanted);
  }
});

test('the contract is served as it is printed', async () => {
  const r = await p.get('/openapi.json');
  assert.equal(r.status, 200);
  assert.equal(r.body.openapi, '3.1.0');
  assert.ok(r.body.paths['/v1/orders'].post);
  assert.equal(r.headers.get('x-content-type-options'), 'nosniff');
  const posted = await p.post('/openapi.json', {});
  assert.deepEqual([posted.status, posted.body.code, posted.headers.get('allow')], [405, 'METHOD', 'GET, HEAD']);
});
