// cart.test.js -- carts of guests and customers: filling, changing, prices of today, limits, and the merge at login.
'use strict';
const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
const j = require('./lib/jumun.js');

let world, owner, shop, second, size, extras;

before(async () => {
  world = await j.start();
  owner = await j.person(world, 'owner');
  [shop, second] = await Promise.all([
    j.store(world, owner, { minimumOrderWon: 15000, items: [
      { name: '후라이드치킨', priceWon: 18000 }, { name: '콜라', priceWon: 2500 }, { name: '골라 담는 도시락', priceWon: 5000 }] }),
    j.store(world, owner, { name: '시험 분식', items: [{ name: '떡볶이', priceWon: 5000 }] })]);
  const group = (more) => edit('POST', 'option-groups', { menuItemId: shop.items[0].menuItemId, ...more });
  size = await group({ name: '크기', min: 1, max: 1, options: [{ name: '보통', priceWon: 0 }, { name: '대', priceWon: 3000 }] });
  extras = await group({ name: '추가', min: 0, max: 2, options: [
    { name: '치즈', priceWon: 1500 }, { name: '양념소스', priceWon: 1000 }, { name: '머스터드', priceWon: 500 }] });
  extras.lunch = await group({ name: '반찬', menuItemId: shop.items[2].menuItemId, min: 0, max: 6,
    options: ['김', '김치', '계란', '소시지', '멸치', '두부'].map((name) => ({ name, priceWon: 100 })) });
  const visitor = {};
  await known(visitor, { menuItemId: shop.items[2].menuItemId, quantity: 1, optionIds: [extras.lunch.options[5].optionId] });
  await known(visitor, { menuItemId: second.items[0].menuItemId, quantity: 1, replace: true });
});
after(async () => {
  if (world) assert.deepEqual(await world.stop(), { code: 0, signal: null }, world.log);
});

// The owner edits the store.
async function edit(method, what, body, { at = shop, token = owner.token, status } = {}) {
  const reply = await world.call(method, `${at.own}/${what}`, { token, body });
  if (status ? reply.status !== status : reply.status >= 300) throw new Error(`${method} ${what}: ${reply.status} ${reply.text}`);
  return reply.body;
}

// Calls as a person: by token, or by the cart a guest holds, which an answer may name.
async function as(who, method, where, body, headers = {}) {
  const reply = await world.call(method, where, { token: who.token, body, headers: who.cart ? { 'jumun-cart': who.cart, ...headers } : headers });
  reply.token = reply.headers.get('jumun-cart');
  if (reply.token) who.cart = reply.token;
  reply.fields = Object.fromEntries(((reply.body && reply.body.errors) || []).map((e) => [e.field, e.code]));
  return reply;
}
const add = (who, body) => as(who, 'POST', '/v1/cart/items', body);
// Adds what must be possible once the order service has heard of it.
const known = (who, body) => j.until(async () => {
  const reply = await add(who, body);
  return reply.status === 201 && reply.body;
}, 'the menu to be known to the cart');
async function added(who, body) {
  const reply = await add(who, body);
  assert.equal(reply.status, 201, reply.text);
  return reply.body;
}
async function cartOf(who) {
  const reply = await as(who, 'GET', '/v1/cart');
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}
const refused = (reply, status, code, fields = {}) => {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.headers.get('content-type'), 'application/problem+json');
  assert.equal(reply.body.code, code);
  assert.deepEqual(reply.fields, fields);
};
const chicken = (more = {}) => ({ menuItemId: shop.items[0].menuItemId, quantity: 1, optionIds: [size.options[0].optionId], ...more });
const cola = (quantity = 1) => ({ menuItemId: shop.items[1].menuItemId, quantity });
const tteokbokki = (more = {}) => ({ menuItemId: second.items[0].menuItemId, quantity: 1, ...more });
const nobody = '01900000-0000-7000-8000-000000000000';
const emptyCart = { storeId: null, storeName: null, items: [], itemsWon: 0, deliveryFeeWon: 0, totalWon: 0, minimumOrderWon: 0, notices: [] };

describe('a guest', () => {
  test('has an empty cart before the first thing is in it', async () => {
    const reply = await as({}, 'GET', '/v1/cart');
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.body, { cartId: null, ...emptyCart });
    assert.equal(reply.token, null, 'reading makes no cart');
    assert.equal((await as({}, 'DELETE', '/v1/cart')).status, 204);
  });

  test('gets a token with the first thing, and finds the cart by it', async () => {
    const guest = {};
    const reply = await add(guest, chicken({ quantity: 2 }));
    assert.equal(reply.status, 201, reply.text);
    assert.equal(reply.headers.get('location'), '/v1/cart');
    assert.match(reply.token, /^[A-Za-z0-9_-]{32,}$/);
    const again = await add(guest, cola());
    assert.equal(again.token, null, 'only once');
    assert.equal(again.body.cartId, reply.body.cartId);
    assert.deepEqual((await cartOf(guest)).items.map((i) => [i.name, i.quantity]), [['후라이드치킨', 2], ['콜라', 1]]);
  });

  test('cannot choose the token, nor see another cart', async () => {
    const mine = {}, chosen = { cart: 'A'.repeat(43) };
    await added(mine, cola());
    await added(chosen, cola(5));
    assert.notEqual(chosen.cart, 'A'.repeat(43), 'an unknown token is not adopted');
    for (const cart of ['', 'x', '../etc', "' or 1=1 --", 'A'.repeat(43), 'A'.repeat(4000), mine.cart.toLowerCase(), `${mine.cart}x`]) {
      const reply = await as({ cart }, 'GET', '/v1/cart');
      assert.equal(reply.status, 200, cart);
      assert.deepEqual(reply.body.items, [], cart);
    }
    assert.equal((await cartOf(mine)).items[0].quantity, 1);
  });

  test('reaches no line of another cart', async () => {
    const mine = {}, other = {};
    const line = `/v1/cart/items/${(await added(mine, cola(3))).items[0].cartItemId}`;
    await added(other, cola());
    for (const who of [other, {}]) {
      refused(await as(who, 'PATCH', line, { quantity: 1 }), 404, 'NOT_FOUND');
      refused(await as(who, 'DELETE', line), 404, 'NOT_FOUND');
    }
    assert.equal((await as(other, 'DELETE', '/v1/cart')).status, 204);
    assert.equal((await cartOf(mine)).items[0].quantity, 3);
  });
});
