// place.test.js -- ordering a cart: what is refused and why, one order per key, prices of the moment, the last portion.
'use strict';
const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { after, before, describe, test } = require('node:test');
const j = require('./lib/jumun.js');

let world, owner, shop, chicken, minji;

before(async () => {
  world = await j.start();
  [owner, minji] = await Promise.all([j.person(world, 'owner'), customer()]);
  shop = await j.store(world, owner, { minimumOrderWon: 15000, radiusM: 2000, items: [
    { name: '후라이드치킨', priceWon: 18000 }, { name: '한정 치킨', priceWon: 20000, stock: 1 },
    { name: '인기 치킨', priceWon: 20000, stock: 3 }, { name: '콜라', priceWon: 2500 }] });
  chicken = shop.items[0].menuItemId;
});
after(async () => {
  if (world) assert.deepEqual(await world.stop(), { code: 0, signal: null }, world.log);
});

// A new customer with an address near the store.
async function customer() {
  const who = await j.person(world);
  who.addressId = (await j.address(world, who)).addressId;
  return who;
}
async function place(who, { body = {}, key, wait } = {}) {
  const reply = await world.call('POST', '/v1/orders', { token: who.token, key,
    headers: wait === undefined ? {} : { prefer: `wait=${wait}` }, body: { addressId: who.addressId, ...body } });
  reply.fields = Object.fromEntries(((reply.body && reply.body.errors) || []).map((e) => [e.field, e.code]));
  return reply;
}
async function placed(who, options) {
  const reply = await place(who, { wait: 5, ...options });
  assert.equal(reply.status, 201, reply.text);
  return reply.body;
}
const refused = (reply, status, code, fields = {}) => {
  assert.equal(reply.status, status, reply.text);
  assert.equal(reply.headers.get('content-type'), 'application/problem+json');
  assert.equal(reply.body.code, code);
  assert.deepEqual(reply.fields, fields);
};
const ordersOf = async (who) => (await j.want(world, 200, 'GET', '/v1/orders?limit=100', { token: who.token })).items;
const cartOf = (who) => j.want(world, 200, 'GET', '/v1/cart', { token: who.token });
const add = (who, menuItemId, quantity = 1, more = {}) =>
  j.want(world, 201, 'POST', '/v1/cart/items', { token: who.token, body: { menuItemId, quantity, ...more } });
const edit = async (method, what, body, at = shop) => {
  const reply = await world.call(method, `${at.own}/${what}`, { token: owner.token, body });
  if (reply.status >= 300) throw new Error(`${method} ${what}: ${reply.status} ${reply.text}`);
  return reply.body;
};
// Until the cart shows what the order service has heard of the owner's change.
const cartBecomes = (who, test, what) => j.until(async () => test(await cartOf(who)), what);

describe('an order', () => {
  test('is what the cart was', async () => {
    const who = await customer();
    await j.fill(world, who, chicken, 2);
    await add(who, shop.items[3].menuItemId, 3);
    const cart = await cartOf(who);
    const reply = await place(who, { wait: 5, body: { requestMessage: '문 앞에 두고\n벨을 눌러 주세요 🙏', expectedTotalWon: cart.totalWon } });
    assert.equal(reply.status, 201, reply.text);
    const o = reply.body;
    assert.equal(reply.headers.get('location'), `/v1/orders/${o.orderId}`);
    assert.match(o.orderId, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const seoul = new Date(Date.parse(o.createdAt) + 9 * 3600000).toISOString();
    assert.match(o.number, /^\d{6}-[0-9A-HJKMNP-TV-Z]{5}$/);
    assert.equal(o.number.slice(0, 6), seoul.slice(2, 10).replaceAll('-', ''));
    assert.deepEqual([o.status, o.storeId, o.storeName, o.itemsWon, o.deliveryFeeWon, o.totalWon, o.refundedWon],
      ['AWAITING_PAYMENT', shop.storeId, '시험 치킨', 43500, 3000, 46500, 0]);
    assert.equal(o.requestMessage, '문 앞에 두고\n벨을 눌러 주세요 🙏');
    assert.deepEqual(o.items.map((i) => [i.name, i.quantity, i.unitPriceWon, i.lineTotalWon]), [['후라이드치킨', 2, 18000, 36000], ['콜라', 3, 2500, 7500]]);
    assert.deepEqual(await j.orderOf(world, who, o.orderId), o);
    assert.deepEqual((await cartOf(who)).items, cart.items, 'the cart stays until the order is paid');
  });

  test('answers at once, or waits for the stock', async () => {
    await j.fill(world, minji, chicken);
    for (const wait of [undefined, '0', 'x', '', '-1', '5, respond-async']) {
      const reply = await place(minji, { wait });
      assert.equal(reply.status, 201, reply.text);
      assert.ok(['STOCK_PENDING', 'AWAITING_PAYMENT'].includes(reply.body.status), reply.text);
      await j.reaches(world, minji, reply.body.orderId, 'AWAITING_PAYMENT');
    }
    for (const wait of ['1', '10', '3600']) {
      const began = Date.now();
      assert.equal((await place(minji, { wait })).body.status, 'AWAITING_PAYMENT');
      assert.ok(Date.now() - began < 1000, 'no longer than it takes');
    }
  });

  test('keeps its prices and its address whatever becomes of them', async () => {
    const who = await customer();
    const dish = await edit('POST', 'menu-items', { sectionId: shop.sectionId, name: '시가 메뉴', priceWon: 30000 });
    await j.fill(world, who, dish.menuItemId);
    const o = await placed(who);
    await edit('PATCH', `menu-items/${dish.menuItemId}`, { priceWon: 1 });
    await j.want(world, 200, 'PATCH', `/v1/me/addresses/${who.addressId}`, { token: who.token, body: { address1: '다른 곳' } });
    await cartBecomes(who, (c) => c.itemsWon === 1, 'the new price');
    const later = await j.orderOf(world, who, o.orderId);
    assert.deepEqual([later.items, later.totalWon, later.address], [o.items, 33000, o.address]);
    assert.equal(later.address.address1, '서울 강남구 테헤란로 2');
  });

  test('takes out of the cart what was ordered once it is paid, and leaves what came later', async () => {
    const who = await customer();
    await j.fill(world, who, chicken);
    const o = await placed(who);
    await add(who, shop.items[3].menuItemId, 2);
    assert.equal((await j.confirm(world, who, o, await j.authorize(world, o))).status, 200);
    await j.reaches(world, who, o.orderId, 'PAID');
    const cart = await cartOf(who);
    assert.deepEqual(cart.items.map((i) => [i.name, i.quantity]), [['콜라', 2]]);
    assert.equal(cart.storeId, shop.storeId);
  });
});
