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

describe('refused, and nothing is left of it', () => {
  let who;
  before(async () => {
    who = await customer();
    await j.fill(world, who, chicken);
  });
  after(async () => { // the cart is as good as before
    assert.deepEqual(await ordersOf(who), []);
    assert.equal((await placed(who)).totalWon, 21000);
  });

  test('wrong input, each with its field', async () => {
    const { addressId } = who;
    for (const [body, fields] of [
      [{ addressId: undefined }, { addressId: 'REQUIRED' }], [{ addressId: 'home' }, { addressId: 'FORMAT' }],
      [{ addressId: null }, { addressId: 'NULL_NOT_ALLOWED' }], [{ addressId: 5 }, { addressId: 'TYPE' }],
      [{ requestMessage: '가'.repeat(501) }, { requestMessage: 'LENGTH_OR_FORMAT' }], [{ requestMessage: 'a\u0007b' }, { requestMessage: 'LENGTH_OR_FORMAT' }],
      [{ requestMessage: 5 }, { requestMessage: 'TYPE' }],
      [{ expectedTotalWon: -1 }, { expectedTotalWon: 'RANGE' }], [{ expectedTotalWon: 100000000001 }, { expectedTotalWon: 'RANGE' }],
      [{ expectedTotalWon: '21000' }, { expectedTotalWon: 'TYPE' }], [{ expectedTotalWon: 21000.5 }, { expectedTotalWon: 'TYPE' }],
      [{ totalWon: 1, status: 'PAID', customerId: minji.userId }, { totalWon: 'UNKNOWN', status: 'UNKNOWN', customerId: 'UNKNOWN' }],
      [{ addressId: '', requestMessage: 1, expectedTotalWon: true }, { addressId: 'FORMAT', requestMessage: 'TYPE', expectedTotalWon: 'TYPE' }],
    ]) {
      refused(await place(who, { body }), 400, 'INVALID', fields);
    }
    for (const body of ['', '{', '[]', 'null']) {
      const reply = await world.call('POST', '/v1/orders', { token: who.token, body });
      assert.deepEqual([reply.status, reply.body.code], [400, 'MALFORMED'], reply.text);
    }
    refused(await world.call('POST', '/v1/orders', { token: who.token, body: JSON.stringify({ addressId }), headers: { 'content-type': 'text/plain' } })
      .then((r) => ({ ...r, fields: {} })), 415, 'MEDIA_TYPE');
  });

  test('an address of nobody or of another', async () => {
    for (const addressId of [randomUUID(), minji.addressId, shop.storeId, '00000000-0000-0000-0000-000000000000']) {
      refused(await place(who, { body: { addressId } }), 400, 'INVALID', { addressId: 'UNKNOWN' });
    }
  });

  test('not by guests, owners or strangers', async () => {
    const body = { addressId: who.addressId };
    for (const [token, status, code] of [[undefined, 401, 'UNAUTHENTICATED'], ['wrong', 401, 'UNAUTHENTICATED'], [owner.token, 403, 'FORBIDDEN']]) {
      const reply = await world.call('POST', '/v1/orders', { token, body });
      assert.deepEqual([reply.status, reply.body.code], [status, code], reply.text);
    }
    const guest = await world.call('POST', '/v1/cart/items', { body: { menuItemId: chicken, quantity: 1 } });
    const reply = await world.call('POST', '/v1/orders', { body, headers: { 'jumun-cart': guest.headers.get('jumun-cart') } });
    assert.deepEqual([reply.status, reply.body.code], [401, 'UNAUTHENTICATED'], 'a guest with a cart signs in first');
  });

  test('without a key, or with one that is none', async () => {
    const body = { addressId: who.addressId };
    const none = await world.call('POST', '/v1/orders', { token: who.token, key: null, body });
    assert.deepEqual([none.status, none.body.code], [400, 'IDEMPOTENCY_KEY_MISSING']);
    for (const key of ['a b', 'x'.repeat(256), '\xe9']) {
      const reply = await place(who, { key });
      refused(reply, 400, 'INVALID', { 'Idempotency-Key': 'FORMAT' });
    }
  });

  test('no cart, an empty cart', async () => {
    const other = await customer();
    refused(await place(other), 409, 'CART_EMPTY');
    await j.fill(world, other, chicken);
    await j.want(world, 204, 'DELETE', '/v1/cart', { token: other.token });
    refused(await place(other), 409, 'CART_EMPTY');
  });

  test('another total than the customer saw', async () => {
    for (const expectedTotalWon of [0, 18000, 20999, 21001]) {
      const reply = await place(who, { body: { expectedTotalWon } });
      refused(reply, 409, 'PRICE_CHANGED');
      assert.equal(reply.body.totalWon, 21000, 'it says what it costs now');
    }
    await edit('PATCH', `menu-items/${chicken}`, { priceWon: 18500 });
    await cartBecomes(who, (c) => c.totalWon === 21500, 'the new price');
    const reply = await place(who, { body: { expectedTotalWon: 21000 } });
    refused(reply, 409, 'PRICE_CHANGED');
    assert.equal(reply.body.totalWon, 21500);
    await edit('PATCH', `menu-items/${chicken}`, { priceWon: 18000 });
    await cartBecomes(who, (c) => c.totalWon === 21000, 'the old price');
  });

  test('less than the minimum', async () => {
    const other = await customer();
    await j.fill(world, other, shop.items[3].menuItemId, 5);
    const reply = await place(other);
    refused(reply, 409, 'STORE_MINIMUM');
    assert.equal(reply.body.minimumOrderWon, 15000);
    await add(other, shop.items[3].menuItemId);
    assert.equal((await placed(other)).itemsWon, 15000, 'the minimum itself is enough; the fee does not count');
  });

  test('less than a card can be charged', async () => {
    const other = await customer();
    const kiosk = await j.store(world, await j.person(world, 'owner'), { minimumOrderWon: 0, deliveryFeeWon: 0, items: [
      { name: '물', priceWon: 0 }, { name: '껌', priceWon: 99 }, { name: '사탕', priceWon: 1 }] });
    const [water, gum, sweet] = kiosk.items.map((i) => i.menuItemId);
    for (const item of [water, sweet, gum]) {
      await j.fill(world, other, item);
      const reply = await place(other);
      refused(reply, 409, 'STORE_MINIMUM');
      assert.equal(reply.body.minimumOrderWon, 100);
    }
    await add(other, sweet);
    assert.equal((await placed(other)).totalWon, 100);
  });

  test('outside the zone', async () => {
    const other = await customer();
    const at = async (latitude, longitude) => (await j.want(world, 201, 'POST', '/v1/me/addresses', { token: other.token, body: {
      label: '멀리', recipient: '홍길동', phone: '010-1234-5678', address1: '서울', zipCode: '06236', latitude, longitude } })).addressId;
    await j.fill(world, other, chicken);
    // A thousandth of a degree north is 111.2 m; 37.5 degrees north, one east is 88.2 m.
    for (const [latitude, longitude] of [[37.519, 127.0365], [37.481, 127.0365], [37.5, 127.06], [37.513, 127.0545], [35.1796, 129.0756], [-37.5, 127.0365]]) {
      refused(await place(other, { body: { addressId: await at(latitude, longitude) } }), 409, 'STORE_ZONE');
    }
    for (const [latitude, longitude] of [[37.5179, 127.0365], [37.5, 127.059]]) {
      await placed(other, { body: { addressId: await at(latitude, longitude) } });
    }
  });
});

describe('the store and its menu at that moment', () => {
  test('paused, outside its hours, gone', async () => {
    const who = await customer();
    const other = await j.store(world, owner, { name: '곧 닫는 집' });
    await j.fill(world, who, other.items[0].menuItemId);
    const closed = (yes) => cartBecomes(who, (c) => c.notices.includes('STORE_CLOSED') === yes, `closed: ${yes}`);
    await edit('POST', 'pause', { minutes: 10, reason: '주문 폭주' }, other);
    await closed(true);
    refused(await place(who), 409, 'STORE_CLOSED');
    await edit('POST', 'resume', undefined, other);
    await closed(false);
    // Open all week but today: the day is Seoul's.
    const today = (new Date(Date.now() + 9 * 3600000).getUTCDay() + 6) % 7;
    await edit('PUT', 'hours', { hours: j.everyDay.filter((h) => h.weekday !== today) }, other);
    await closed(true);
    refused(await place(who), 409, 'STORE_CLOSED');
    await edit('PUT', 'hours', { hours: j.everyDay.filter((h) => h.weekday === today) }, other);
    await closed(false);
    assert.equal((await placed(who)).status, 'AWAITING_PAYMENT');
    await j.want(world, 204, 'DELETE', other.own, { token: owner.token });
    await closed(true);
    refused(await place(who), 410, 'GONE');
    assert.equal((await ordersOf(who)).length, 1);
  });

  test('sold out, off the menu, options that are gone', async () => {
    const who = await customer();
    const dish = await edit('POST', 'menu-items', { sectionId: shop.sectionId, name: '오늘의 메뉴', priceWon: 16000 });
    const group = await edit('POST', 'option-groups', { menuItemId: dish.menuItemId, name: '맵기', min: 0, max: 1,
      options: [{ name: '순한맛', priceWon: 0 }, { name: '매운맛', priceWon: 500 }] });
    await j.fill(world, who, dish.menuItemId);
    await j.want(world, 204, 'DELETE', '/v1/cart', { token: who.token });
    await j.until(async () => (await world.call('POST', '/v1/cart/items', { token: who.token,
      body: { menuItemId: dish.menuItemId, quantity: 1, optionIds: [group.options[1].optionId] } })).status === 201, 'the options to be known');
    await add(who, chicken);
    const problem = (code) => cartBecomes(who, (c) => c.items[0].problem === code, String(code));
    await edit('PUT', `menu-items/${dish.menuItemId}/sold-out`, { soldOut: true });
    await problem('MENU_SOLD_OUT');
    refused(await place(who), 409, 'MENU_SOLD_OUT'); // not without it: it is the customer who takes it out
    await edit('PUT', `menu-items/${dish.menuItemId}/sold-out`, { soldOut: false });
    await problem(undefined);
    await edit('PATCH', `option-groups/${group.optionGroupId}`, { options: [group.options[0]] });
    await problem('OPTION_INVALID');
    refused(await place(who), 400, 'OPTION_INVALID', { optionIds: 'UNKNOWN' });
    await edit('DELETE', `menu-items/${dish.menuItemId}`);
    await problem('MENU_GONE');
    refused(await place(who), 409, 'MENU_SOLD_OUT');
    assert.deepEqual(await ordersOf(who), []);
    const [line] = (await cartOf(who)).items;
    await j.want(world, 200, 'DELETE', `/v1/cart/items/${line.cartItemId}`, { token: who.token });
    assert.equal((await placed(who)).itemsWon, 18000);
  });
});

test('Prefer is a list, and its wait is found in it', async () => {
  for (const prefer of ['respond-async, wait=5', 'Wait=5; strict', 'handling=lenient , wait=5', 'wait=5']) {
    const who = await customer();
    await j.fill(world, who, chicken);
    const made = await world.call('POST', '/v1/orders', { token: who.token, headers: { prefer }, body: { addressId: who.addressId } });
    assert.deepEqual([made.status, made.body.status], [201, 'AWAITING_PAYMENT'], prefer);
  }
});

describe('one key, one order', () => {
  test('asked again: the same answer, and no second order', async () => {
    const who = await customer(), key = randomUUID();
    await j.fill(world, who, chicken);
    const first = await place(who, { key, wait: 5 });
    assert.equal(first.status, 201, first.text);
    assert.equal(first.headers.get('idempotent-replayed'), null);
    await j.want(world, 204, 'DELETE', '/v1/cart', { token: who.token });
    for (let i = 0; i < 3; i++) {
      const again = await place(who, { key, wait: 5 });
      assert.deepEqual([again.status, again.text], [201, first.text], 'to the byte, though the cart is empty now');
      assert.ok(first.headers.get('etag'));
      for (const name of ['location', 'etag']) assert.equal(again.headers.get(name), first.headers.get(name), name);
      assert.equal(again.headers.get('idempotent-replayed'), 'true');
    }
    refused(await place(who, { key, body: { requestMessage: '다르게' } }), 422, 'IDEMPOTENCY_KEY_REUSED');
    assert.deepEqual((await ordersOf(who)).map((o) => o.orderId), [first.body.orderId]);
    // A key is its customer's: another one's is not touched by it.
    await j.fill(world, minji, chicken);
    assert.notEqual((await placed(minji, { key })).orderId, first.body.orderId);
  });

  test('a refusal does not use the key up', async () => {
    const who = await customer(), key = randomUUID();
    refused(await place(who, { key }), 409, 'CART_EMPTY');
    await j.fill(world, who, chicken);
    assert.equal((await placed(who, { key })).totalWon, 21000);
  });

  test('a double click', async () => {
    const who = await customer(), key = randomUUID();
    await j.fill(world, who, chicken);
    const replies = await Promise.all(Array.from({ length: 8 }, () => place(who, { key, wait: 5 })));
    const good = replies.filter((r) => r.status === 201);
    assert.ok(good.length > 0);
    assert.equal(new Set(good.map((r) => r.text)).size, 1);
    for (const r of replies.filter((r) => r.status !== 201)) refused(r, 409, 'IDEMPOTENCY_KEY_IN_USE');
    assert.equal((await ordersOf(who)).length, 1);
    assert.equal((await place(who, { key, wait: 5 })).text, good[0].text);
  });

  test('the key outlives a crash', async () => {
    const who = await customer(), key = randomUUID();
    await j.fill(world, who, chicken);
    const first = await place(who, { key, wait: 5 });
    assert.equal(first.status, 201, first.text);
    await world.kill();
    world = await world.again();
    const again = await place(who, { key, wait: 5 });
    assert.deepEqual([again.status, again.text], [201, first.text]);
    assert.equal((await ordersOf(who)).length, 1);
  });
});

describe('the last portion', () => {
  // Everybody orders one of it at the same moment; -> how many of each status. Who comes late may already be told
  // that it is sold out, instead of being rejected after.
  async function rush(item, n) {
    const people = await Promise.all(Array.from({ length: n }, customer));
    await Promise.all(people.map((p) => j.fill(world, p, item.menuItemId)));
    const replies = await Promise.all(people.map((p) => place(p, { wait: 10 })));
    const late = replies.filter((r) => r.status !== 201);
    for (const r of late) assert.deepEqual([r.status, r.body.code], [409, 'MENU_SOLD_OUT'], r.text);
    const orders = replies.filter((r) => r.status === 201).map((r) => r.body);
    for (const o of orders.filter((o) => o.status === 'REJECTED')) assert.equal(o.history.at(-1).reason, 'STOCK_SHORT');
    assert.equal(new Set(orders.map((o) => o.number)).size, orders.length, 'no two have one number');
    const left = await j.want(world, 200, 'GET', `${shop.own}/menu-items/${item.menuItemId}/stock`, { token: owner.token });
    const count = (status) => orders.filter((o) => o.status === status).length;
    return { got: count('AWAITING_PAYMENT'), refused: count('REJECTED') + late.length, available: left.available, reserved: left.reserved };
  }
  test('two want it, one gets it', async () => {
    assert.deepEqual(await rush(shop.items[1], 2), { got: 1, refused: 1, available: 0, reserved: 1 });
  });
  test('ten want three', async () => {
    assert.deepEqual(await rush(shop.items[2], 10), { got: 3, refused: 7, available: 0, reserved: 3 });
  });
});
