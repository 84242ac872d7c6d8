// cart.test.js -- carts of guests and customers: filling, changing, prices of today, limits, and the merge at login.
'use strict';
const assert = require('node:assert/strict');
const { after, before, describe, test } = require('node:test');
const { randomUUID } = require('node:crypto');
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

describe('filling', () => {
  let minji;
  before(async () => { minji = await j.person(world); });

  test('prices come from the menu: options, fee, minimum', async () => {
    const [cheese, sauce] = extras.options;
    const cart = await added(minji, chicken({ quantity: 2, optionIds: [sauce.optionId, size.options[1].optionId, cheese.optionId] }));
    const { cartId, items, ...rest } = cart;
    assert.match(cartId, /^[0-9a-f-]{36}$/);
    assert.deepEqual(rest, { storeId: shop.storeId, storeName: '시험 치킨', itemsWon: 47000, deliveryFeeWon: 3000, totalWon: 50000, minimumOrderWon: 15000, notices: [] });
    const { cartItemId, ...line } = items[0];
    assert.match(cartItemId, /^[0-9a-f-]{36}$/);
    assert.deepEqual(line, { menuItemId: shop.items[0].menuItemId, name: '후라이드치킨', quantity: 2, unitPriceWon: 23500, lineTotalWon: 47000,
      options: [size.options[1], cheese, sauce].map(({ optionId, name, priceWon }) => ({ optionId, name, priceWon })) });
    assert.deepEqual(await cartOf(minji), cart, 'what is answered is what is there');
  });

  test('the same item with the same options adds up, whatever their order', async () => {
    const [cheese, sauce] = extras.options, big = size.options[1];
    const same = await added(minji, chicken({ quantity: 3, optionIds: [cheese, big, sauce].map((o) => o.optionId) }));
    assert.deepEqual(same.items.map((i) => i.quantity), [5]);
    const other = await added(minji, chicken({ optionIds: [big.optionId] }));
    assert.deepEqual(other.items.map((i) => i.quantity), [5, 1]);
    assert.equal(other.totalWon, 5 * 23500 + 21000 + 3000);
  });

  test('changing, taking out, emptying', async () => {
    const [first, last] = (await cartOf(minji)).items.map((i) => `/v1/cart/items/${i.cartItemId}`);
    const changed = await as(minji, 'PATCH', first, { quantity: 99 });
    assert.equal(changed.status, 200, changed.text);
    assert.equal(changed.body.items[0].lineTotalWon, 99 * 23500);
    for (const [body, fields] of [[{}, { quantity: 'REQUIRED' }], [{ quantity: 0 }, { quantity: 'RANGE' }], [{ quantity: 100 }, { quantity: 'RANGE' }],
      [{ quantity: -1 }, { quantity: 'RANGE' }], [{ quantity: '2' }, { quantity: 'TYPE' }], [{ quantity: null }, { quantity: 'NULL_NOT_ALLOWED' }],
      [{ quantity: 2, unitPriceWon: 1 }, { unitPriceWon: 'UNKNOWN' }]]) {
      refused(await as(minji, 'PATCH', first, body), 400, 'INVALID', fields);
    }
    refused(await as(minji, 'PATCH', '/v1/cart/items/1', { quantity: 1 }), 400, 'INVALID', { cartItemId: 'FORMAT' });
    refused(await as(minji, 'PATCH', `/v1/cart/items/${nobody}`, { quantity: 1 }), 404, 'NOT_FOUND');
    assert.equal((await cartOf(minji)).items[0].quantity, 99);
    const less = await as(minji, 'DELETE', first);
    assert.equal(less.status, 200, less.text);
    assert.deepEqual(less.body.items.map((i) => i.quantity), [1]);
    refused(await as(minji, 'DELETE', first), 404, 'NOT_FOUND');
    const { cartId, ...none } = (await as(minji, 'DELETE', last)).body;
    assert.ok(cartId);
    assert.deepEqual(none, emptyCart);
    await added(minji, cola());
    for (let i = 0; i < 2; i++) assert.equal((await as(minji, 'DELETE', '/v1/cart')).status, 204);
    assert.deepEqual((await cartOf(minji)).items, []);
  });

  test('added once per Idempotency-Key, also by a guest', async () => {
    const keyed = (who, body, key) => world.call('POST', '/v1/cart/items',
      { token: who.token, body, key, headers: who.cart ? { 'jumun-cart': who.cart } : {} });
    const key = randomUUID(), guest = {};
    await as(minji, 'DELETE', '/v1/cart');
    const first = await keyed(guest, cola(2), key);
    assert.equal(first.status, 201, first.text);
    guest.cart = first.headers.get('jumun-cart');
    const stranger = await keyed({}, cola(2), key); // guests without a cart share nothing
    assert.notEqual(stranger.headers.get('jumun-cart'), guest.cart);
    assert.equal(stranger.body.items[0].quantity, 2);
    for (const who of [guest, minji]) {
      const before = who === guest ? 2 : 0, again = randomUUID();
      for (let i = 0; i < 3; i++) {
        const reply = await keyed(who, cola(3), again);
        assert.deepEqual([reply.status, reply.body.items[0].quantity, reply.headers.get('idempotent-replayed')],
          [201, before + 3, i ? 'true' : null]);
      }
      assert.equal((await keyed(who, cola(4), again)).body.code, 'IDEMPOTENCY_KEY_REUSED');
      assert.equal((await keyed(who, cola(1), null)).body.items[0].quantity, before + 4, 'without a key each one counts');
    }
    await as(minji, 'DELETE', '/v1/cart');
  });

  test('wrong input, each with its field', async () => {
    for (const [body, fields] of [
      [{}, { menuItemId: 'REQUIRED', quantity: 'REQUIRED' }],
      [cola(0), { quantity: 'RANGE' }], [cola(100), { quantity: 'RANGE' }], [cola(-1), { quantity: 'RANGE' }],
      [cola(1.5), { quantity: 'TYPE' }], [cola('1'), { quantity: 'TYPE' }], [cola(null), { quantity: 'NULL_NOT_ALLOWED' }],
      [{ ...cola(), menuItemId: 'cola' }, { menuItemId: 'FORMAT' }], [{ ...cola(), menuItemId: 5 }, { menuItemId: 'TYPE' }],
      [{ ...cola(), optionIds: 'x' }, { optionIds: 'TYPE' }], [{ ...cola(), optionIds: ['x'] }, { 'optionIds[0]': 'FORMAT' }],
      [{ ...cola(), optionIds: [nobody, nobody] }, { 'optionIds[1]': 'DUPLICATE' }],
      [{ ...cola(), optionIds: Array.from({ length: 51 }, () => randomUUID()) }, { optionIds: 'LENGTH' }],
      [{ ...cola(), replace: 'yes' }, { replace: 'TYPE' }],
      [{ ...cola(), priceWon: 1 }, { priceWon: 'UNKNOWN' }], [{ ...cola(), customerId: nobody }, { customerId: 'UNKNOWN' }],
    ]) {
      refused(await add(minji, body), 400, 'INVALID', fields);
    }
    for (const body of ['', '{', '[]', '"x"']) refused(await add(minji, body), 400, 'MALFORMED');
    refused(await as(minji, 'POST', '/v1/cart/items', JSON.stringify(cola()), { 'content-type': 'text/plain' }), 415, 'MEDIA_TYPE');
    refused(await as(minji, 'POST', '/v1/cart/items', JSON.stringify(cola()), { 'content-type': 'application/json', 'content-encoding': 'gzip' }), 415, 'MEDIA_TYPE');
    refused(await add(minji, { ...cola(), menuItemId: nobody }), 404, 'NOT_FOUND');
    assert.deepEqual((await cartOf(minji)).items, []);
  });

  test('options that do not fit the item', async () => {
    const [small, big] = size.options.map((o) => o.optionId), more = extras.options.map((o) => o.optionId);
    for (const [optionIds, code] of [[[], 'TOO_FEW'], [[more[0]], 'TOO_FEW'], [[small, big], 'TOO_MANY'], [[small, ...more], 'TOO_MANY'],
      [[small, nobody], 'UNKNOWN'], [[small, extras.lunch.options[0].optionId], 'UNKNOWN']]) {
      refused(await add(minji, chicken({ optionIds })), 400, 'OPTION_INVALID', { optionIds: code });
    }
    refused(await add(minji, { ...cola(), optionIds: [small] }), 400, 'OPTION_INVALID', { optionIds: 'UNKNOWN' });
    assert.deepEqual((await cartOf(minji)).items, []);
  });

  test('only guests and customers have one', async () => {
    for (const [method, where, body] of [['GET', '/v1/cart'], ['POST', '/v1/cart/items', cola()], ['PATCH', `/v1/cart/items/${nobody}`, { quantity: 1 }],
      ['DELETE', `/v1/cart/items/${nobody}`], ['DELETE', '/v1/cart']]) {
      refused(await as(owner, method, where, body), 403, 'FORBIDDEN');
      refused(await as({ token: 'wrong' }, method, where, body), 401, 'UNAUTHENTICATED');
    }
    for (const at of ['public', 'internal']) {
      const reply = await world.call('POST', '/internal/v1/carts/merge', { at, token: minji.token, body: { cartToken: 'x', customerId: minji.userId } });
      assert.equal(reply.status, at === 'public' ? 404 : 403, reply.text);
    }
  });
});

describe('limits', () => {
  test('one store at a time, unless the other is to go', async () => {
    const who = {};
    const before = await added(who, cola(2));
    refused(await add(who, tteokbokki()), 409, 'CART_OTHER_STORE');
    refused(await add(who, tteokbokki({ replace: false })), 409, 'CART_OTHER_STORE');
    assert.deepEqual(await cartOf(who), before);
    const after = await added(who, tteokbokki({ replace: true }));
    assert.deepEqual([after.storeId, after.items.map((i) => i.name)], [second.storeId, ['떡볶이']]);
    const kept = await added(who, tteokbokki({ replace: true }));
    assert.deepEqual(kept.items.map((i) => i.quantity), [2], 'replace keeps a cart of the same store');
    await as(who, 'DELETE', `/v1/cart/items/${kept.items[0].cartItemId}`);
    assert.equal((await added(who, cola())).storeId, shop.storeId, 'an empty cart has no store');
  });

  test('99 of a line', async () => {
    const who = {};
    await added(who, cola(98));
    refused(await add(who, cola(2)), 409, 'CART_LIMIT');
    assert.equal((await added(who, cola(1))).items[0].quantity, 99);
    refused(await add(who, cola(1)), 409, 'CART_LIMIT');
    assert.equal((await cartOf(who)).items[0].quantity, 99);
  });

  test('many at the same time are all counted', async () => {
    const who = await j.person(world);
    const replies = await Promise.all(Array.from({ length: 20 }, () => add(who, cola(5))));
    const good = replies.filter((r) => r.status === 201).length;
    assert.equal(good, 19, 'the twentieth would be 100');
    for (const r of replies.filter((r) => r.status !== 201)) refused(r, 409, 'CART_LIMIT');
    assert.deepEqual((await cartOf(who)).items.map((i) => i.quantity), [95]);
  });
});

describe('a cart that got old', () => {
  const problems = (cart) => cart.items.map((i) => i.problem);
  // Until the order service has heard of the owner's change.
  const becomes = (who, test, what) => j.until(async () => {
    const cart = await cartOf(who);
    return test(cart) && cart;
  }, what);

  test('sold out: the line says so and counts nothing', async () => {
    const who = {}, soldOut = (yes) => edit('PUT', `menu-items/${shop.items[1].menuItemId}/sold-out`, { soldOut: yes });
    await added(who, chicken());
    await added(who, cola(2));
    await soldOut(true);
    const cart = await becomes(who, (c) => c.items[1].problem, 'a problem');
    assert.deepEqual(problems(cart), [undefined, 'MENU_SOLD_OUT']);
    assert.deepEqual([cart.items[1].unitPriceWon, cart.items[1].lineTotalWon, cart.itemsWon, cart.totalWon], [0, 0, 18000, 21000]);
    refused(await add(who, cola()), 409, 'MENU_SOLD_OUT');
    await soldOut(false);
    assert.equal((await becomes(who, (c) => !c.items[1].problem, 'no problem')).totalWon, 18000 + 5000 + 3000);
  });

  test('another price, gone options, a dish off the menu', async () => {
    const who = {};
    const dish = await edit('POST', 'menu-items', { sectionId: shop.sectionId, name: '오늘의 메뉴', priceWon: 9000 });
    const side = await edit('POST', 'option-groups', { menuItemId: dish.menuItemId, name: '곁들임', min: 0, max: 1,
      options: [{ name: '밥', priceWon: 1000 }, { name: '면', priceWon: 1500 }] });
    const [rice, noodles] = side.options;
    const one = { menuItemId: dish.menuItemId, quantity: 2, optionIds: [rice.optionId] };
    await j.until(async () => (await add(who, one)).status === 201, 'the dish to be known');
    await edit('PATCH', `menu-items/${dish.menuItemId}`, { priceWon: 9500 });
    const dearer = await becomes(who, (c) => c.items[0].unitPriceWon === 10500, 'the new price');
    assert.deepEqual([dearer.items[0].quantity, dearer.totalWon, problems(dearer)[0]], [2, 24000, undefined]);
    await edit('PATCH', `option-groups/${side.optionGroupId}`, { options: [{ ...rice, soldOut: true }, noodles] });
    const none = await becomes(who, (c) => c.items[0].problem, 'a problem');
    assert.deepEqual([problems(none), none.itemsWon, none.totalWon], [['OPTION_INVALID'], 0, 0]);
    refused(await add(who, one), 400, 'OPTION_INVALID', { optionIds: 'SOLD_OUT' });
    await edit('PATCH', `option-groups/${side.optionGroupId}`, { min: 1, options: [noodles] });
    assert.equal((await becomes(who, (c) => c.items[0].problem, 'a problem')).items[0].problem, 'OPTION_INVALID');
    await edit('DELETE', `menu-items/${dish.menuItemId}`);
    const gone = await becomes(who, (c) => c.items[0].problem === 'MENU_GONE', 'the dish to be gone');
    assert.equal(gone.items[0].name, '오늘의 메뉴', 'it still says what it was');
    refused(await add(who, one), 404, 'NOT_FOUND');
    assert.equal((await as(who, 'DELETE', `/v1/cart/items/${gone.items[0].cartItemId}`)).status, 200, 'it can be taken out');
  });

  test('below the minimum, paused, closed: notices', async () => {
    const who = {};
    assert.deepEqual((await added(who, cola())).notices, ['STORE_MINIMUM']);
    assert.deepEqual((await added(who, chicken())).notices, []);
    await edit('POST', 'pause', { minutes: 30, reason: '주문 폭주' });
    await becomes(who, (c) => c.notices[0] === 'STORE_CLOSED', 'the pause');
    assert.equal((await add(who, cola())).status, 201, 'a closed store\'s cart can be filled');
    await edit('POST', 'resume');
    await becomes(who, (c) => c.notices.length === 0, 'the end of the pause');
    await edit('PUT', 'hours', { hours: [] });
    await becomes(who, (c) => c.notices[0] === 'STORE_CLOSED', 'no hours');
    await edit('PUT', 'hours', { hours: j.everyDay });
    await becomes(who, (c) => c.notices.length === 0, 'its hours');
  });
});

describe('the merge at login', () => {
  // A guest with a filled cart who turns out to be that customer.
  const login = async (person, guest) => {
    const reply = await as(guest, 'POST', '/v1/auth/login', { username: person.username, password: person.password });
    assert.equal(reply.status, 200, reply.text);
    return { ...person, token: reply.body.accessToken };
  };
  const lines = (cart) => cart.items.map((i) => [i.name, i.quantity]).sort();

  test('into no cart', async () => {
    const guest = {}, before = await added(guest, chicken({ quantity: 2 }));
    const who = await login(await j.person(world), guest);
    const cart = await cartOf(who);
    assert.deepEqual([cart.items[0].quantity, cart.items[0].options, cart.totalWon], [2, before.items[0].options, before.totalWon]);
    assert.deepEqual((await cartOf(guest)).items, [], 'the token names nothing any more');
    await login(who, guest);
    assert.deepEqual(lines(await cartOf(who)), [['후라이드치킨', 2]], 'a second login adds nothing');
  });

  test('the same store: quantities add up, to 99 at most', async () => {
    const guest = {}, who = await j.person(world);
    await added(who, chicken({ quantity: 2 }));
    await added(who, cola(60));
    await added(guest, cola(60));
    await added(guest, chicken({ optionIds: [size.options[1].optionId] }));
    await added(guest, chicken({ quantity: 3 }));
    await login(who, guest);
    const cart = await cartOf(who);
    assert.deepEqual(lines(cart), [['콜라', 99], ['후라이드치킨', 1], ['후라이드치킨', 5]]);
    assert.deepEqual(cart.notices, ['CART_MERGED']);
    assert.deepEqual((await cartOf(who)).notices, ['CART_MERGED'], 'looking changes nothing');
    assert.deepEqual((await as(who, 'DELETE', `/v1/cart/items/${cart.items[0].cartItemId}`)).body.notices, [], 'changing does');
  });

  test('another store: the newer cart wins, and it is told', async () => {
    const guest = {}, who = await j.person(world);
    await added(who, chicken());
    await added(guest, tteokbokki({ quantity: 4 }));
    await login(who, guest);
    const cart = await cartOf(who);
    assert.deepEqual([cart.storeId, lines(cart), cart.notices], [second.storeId, [['떡볶이', 4]], ['CART_REPLACED']]);

    const older = {}, other = await j.person(world);
    await added(older, chicken());
    await added(other, tteokbokki());
    await login(other, older);
    const kept = await cartOf(other);
    assert.deepEqual([kept.storeId, lines(kept), kept.notices], [second.storeId, [['떡볶이', 1]], ['CART_REPLACED']]);
    assert.deepEqual((await cartOf(older)).items, []);
  });

  test('never more lines than a cart holds', async () => {
    const guest = {}, who = await j.person(world);
    const optionIds = (n) => extras.lunch.options.filter((_, bit) => n & (1 << bit)).map((o) => o.optionId);
    const lunch = (n) => ({ menuItemId: shop.items[2].menuItemId, quantity: 1, optionIds: optionIds(n) });
    for (let n = 0; n < 50; n++) await added(who, lunch(n));
    refused(await add(who, lunch(50)), 409, 'CART_LIMIT');
    assert.equal((await added(who, lunch(49))).items.at(-1).quantity, 2, 'a line that is there still grows');
    for (let n = 40; n < 64; n++) await added(guest, lunch(n));
    await login(who, guest);
    const cart = await cartOf(who);
    assert.equal(cart.items.length, 50);
    assert.equal(cart.items.reduce((sum, i) => sum + i.quantity, 0), 50 + 1 + 10);
  });

  test('a token of nothing does not keep anybody from logging in', async () => {
    const who = await j.person(world);
    for (const cart of ['x', 'A'.repeat(43), 'A'.repeat(500), '%00', '"']) await login(who, { cart });
    assert.deepEqual((await cartOf(who)).items, []);
  });
});
