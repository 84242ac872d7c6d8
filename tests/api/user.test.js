// user.test.js -- profile, addresses, favourites, export and withdrawal, as seen from outside.
'use strict';

const { test, before, after, describe } = require('node:test');
const assert = require('node:assert/strict');
const { start, randomUUID, demoId, until } = require('./lib/demo.js');

let j;
before(async () => (j = await start()));
after(() => j?.stop());

const place = (more = {}) => ({
  label: '회사', recipient: '홍길동', phone: '010-1234-5678', address1: '서울 강남구 테헤란로 152', address2: '3층',
  zipCode: '06236', latitude: 37.5001234, longitude: 127.0365987, regionCode: '11680', ...more,
});
const match = (version) => ({ headers: { 'if-match': `"v${version}"` } });

describe('me', () => {
  test('is who the token says', async () => {
    const rp = await (await j.as('minji')).get('/v1/me');
    assert.equal(rp.status, 200);
    assert.deepEqual([rp.json.userId, rp.json.username, rp.json.name, rp.json.role], [demoId('customer', 1), 'minji', '김민지', 'customer']);
    assert.equal(rp.header('etag'), `"v${rp.json.version}"`);
    assert.ok(!rp.text.toLowerCase().includes('password'));
  });
  test('is for every role, and for nobody without a token', async () => {
    for (const who of ['owner1', 'staff1', 'admin1']) assert.equal((await (await j.as(who)).get('/v1/me')).status, 200);
    assert.equal((await j.get('/v1/me')).code, 'UNAUTHENTICATED');
  });
  test('changes what is sent, once per version', async () => {
    const p = await j.newcomer();
    const now = (await p.get('/v1/me')).json;
    const rp = await p.patch('/v1/me', { name: '이순신', birthDate: '1985-04-28' }, match(now.version));
    assert.equal(rp.status, 200);
    assert.deepEqual([rp.json.name, rp.json.birthDate, rp.json.email], ['이순신', '1985-04-28', now.email]);
    assert.equal(rp.json.version, now.version + 1);
    const late = await p.patch('/v1/me', { name: '늦은 사람' }, match(now.version));
    assert.deepEqual([late.status, late.code], [412, 'PRECONDITION']);
    assert.equal((await p.patch('/v1/me', { name: '누구' }, { headers: { 'if-match': 'nonsense' } })).status, 412);
    assert.equal((await p.patch('/v1/me', { name: '아무 때나' })).status, 200);
    assert.equal((await p.get('/v1/me')).json.name, '아무 때나');
  });
  test('wrong and server-owned fields', async () => {
    const p = await j.newcomer();
    const rp = await p.patch('/v1/me', { name: '', email: 'nobody', birthDate: '1990-13-01', role: 'admin', userId: randomUUID() });
    assert.deepEqual([rp.status, rp.code], [400, 'INVALID']);
    assert.deepEqual(Object.keys(rp.fields).sort(), ['birthDate', 'email', 'name', 'role', 'userId']);
    assert.equal((await p.get('/v1/me')).json.role, 'customer');
    for (const birthDate of ['2199-01-01', '1899-12-31']) assert.deepEqual((await p.patch('/v1/me', { birthDate })).fields, { birthDate: 'RANGE' });
    const taken = await p.patch('/v1/me', { email: 'minji@demo.jumun.test' });
    assert.deepEqual([taken.status, taken.code], [409, 'EMAIL_TAKEN']);
  });
});

describe('addresses', () => {
  test('one Idempotency-Key adds one, whatever becomes of the answer', async () => {
    const p = await j.newcomer(), key = randomUUID();
    assert.equal((await p.post('/v1/me/addresses', place(), { key: null })).code, 'IDEMPOTENCY_KEY_MISSING');
    const first = await p.post('/v1/me/addresses', place(), { key }), again = await p.post('/v1/me/addresses', place(), { key });
    assert.deepEqual([first.status, again.status, again.text, again.header('location')], [201, 201, first.text, first.header('location')]);
    assert.equal((await p.post('/v1/me/addresses', place({ label: '집' }), { key })).code, 'IDEMPOTENCY_KEY_REUSED');
    assert.equal((await p.get('/v1/me/addresses')).json.items.length, 1);
    /* another's key is another key */
    assert.equal((await (await j.newcomer()).post('/v1/me/addresses', place({ label: '집' }), { key })).status, 201);
  });
  test('the first is the default, and a new default steps before it', async () => {
    const p = await j.newcomer();
    const first = await p.post('/v1/me/addresses', place());
    assert.equal(first.status, 201);
    assert.equal(first.header('location'), `/v1/me/addresses/${first.json.addressId}`);
    assert.equal(first.json.isDefault, true);
    assert.deepEqual([first.json.latitude, first.json.longitude], [37.5001234, 127.0365987]);
    const second = await p.post('/v1/me/addresses', place({ label: '집' }));
    assert.equal(second.json.isDefault, false);
    const third = await p.post('/v1/me/addresses', place({ label: '부모님', isDefault: true }));
    const list = (await p.get('/v1/me/addresses')).json;
    assert.equal(list.nextCursor, null);
    assert.deepEqual(list.items.map((a) => [a.label, a.isDefault]), [['부모님', true], ['집', false], ['회사', false]]);
    const put = await p.put(`/v1/me/addresses/${second.json.addressId}/default`);
    assert.deepEqual([put.status, put.json.isDefault], [200, true]);
    const stale = await p.patch(`/v1/me/addresses/${third.json.addressId}`, { label: '본가' }, { headers: { 'if-match': third.header('etag') } });
    assert.equal(stale.status, 412, 'it is not the default any more, so it is another version');
    assert.equal((await p.delete(`/v1/me/addresses/${second.json.addressId}`)).status, 204);
    const left = (await p.get('/v1/me/addresses')).json.items;
    assert.deepEqual(left.map((a) => [a.addressId, a.isDefault]), [[third.json.addressId, true], [first.json.addressId, false]]);
  });
  test('a place as maps and phones give it, finer than it is kept', async () => {
    const p = await j.newcomer();
    const made = await p.post('/v1/me/addresses', place({ latitude: 37.50012345678901, longitude: 127.03659876543211 }));
    assert.deepEqual([made.status, made.json.latitude, made.json.longitude], [201, 37.5001234, 127.0365987], made.text);
    const near = await j.get('/v1/stores?near=37.50012345678901,127.03659876543211');
    assert.deepEqual([near.status, near.json.items.length > 0], [200, true], near.text);
    assert.equal((await j.get(`/v1/stores?near=${made.json.latitude},${made.json.longitude}`)).text, near.text);
  });
  test('what is missing and wrong has a name', async () => {
    const p = await j.newcomer();
    const none = await p.post('/v1/me/addresses', {});
    assert.deepEqual(none.fields, { address1: 'REQUIRED', zipCode: 'REQUIRED', latitude: 'REQUIRED', longitude: 'REQUIRED' });
    for (const [field, value, code] of [
      ['zipCode', '1234', 'LENGTH_OR_FORMAT'], ['zipCode', '0623a', 'LENGTH_OR_FORMAT'], ['zipCode', 6236, 'TYPE'],
      ['latitude', 90.1, 'RANGE'], ['longitude', -180.1, 'RANGE'], ['latitude', '37', 'TYPE'], ['latitude', null, 'NULL_NOT_ALLOWED'],
      ['phone', '+82 10', 'LENGTH_OR_FORMAT'], ['label', '가'.repeat(21), 'LENGTH_OR_FORMAT'],
      ['address1', '', 'LENGTH_OR_FORMAT'], ['address1', 'a\nb', 'LENGTH_OR_FORMAT'], ['isDefault', 'yes', 'TYPE'],
      ['addressId', randomUUID(), 'UNKNOWN'], ['userId', demoId('customer', 1), 'UNKNOWN'],
    ]) {
      const rp = await p.post('/v1/me/addresses', place({ [field]: value }));
      assert.deepEqual([rp.status, rp.fields], [400, { [field]: code }], `${field}=${value}: ${rp.text}`);
    }
    assert.deepEqual((await p.get('/v1/me/addresses')).json.items, []);
  });
  test('a change needs the version it was made for', async () => {
    const p = await j.newcomer();
    const made = await p.post('/v1/me/addresses', place());
    const where = `/v1/me/addresses/${made.json.addressId}`;
    const tag = made.header('etag');
    const listed = (await p.get('/v1/me/addresses')).json.items.find((a) => where.endsWith(a.addressId));
    assert.equal(`"v${listed.version}"`, tag);
    const rp = await p.patch(where, { address2: '옥상' }, { headers: { 'if-match': tag } });
    assert.deepEqual([rp.status, rp.json.address2, rp.json.address1], [200, '옥상', made.json.address1]);
    assert.notEqual(rp.header('etag'), tag);
    const late = await p.patch(where, { address2: '지하' }, { headers: { 'if-match': tag } });
    assert.deepEqual([late.status, late.code], [412, 'PRECONDITION']);
    const gone = await p.delete(where, { headers: { 'if-match': tag } });
    assert.equal(gone.status, 412);
    const last = await p.patch(where, { isDefault: false });
    assert.deepEqual([last.status, last.fields], [400, { isDefault: 'LAST' }]);
  });
  test('any tag of a list is the version it was made for, and * is each', async () => {
    const p = await j.newcomer();
    const made = await p.post('/v1/me/addresses', place());
    const where = `/v1/me/addresses/${made.json.addressId}`;
    let n = 0;
    const change = (tags) => p.patch(where, { address2: `${++n}층` }, { headers: { 'if-match': tags } });
    let tag = made.header('etag');
    for (const tags of [(t) => `${t}, "v999"`, (t) => `"other,one", ${t}`, (t) => `W/${t},,${t}`, () => '*', (t) => ['"v999"', t]]) {
      for (const wrong of [`W/${tag}`, '"v998", "v999"', `W/${tag}, "v999"`, tag.slice(1), '', '"*"']) {
        const no = await change(wrong);
        assert.deepEqual([no.status, no.code], [412, 'PRECONDITION'], wrong);
      }
      const rp = await change(tags(tag));
      assert.equal(rp.status, 200, `${tags(tag)}: ${rp.text}`);
      tag = rp.header('etag');
    }
    const me = await p.get('/v1/me');
    assert.equal((await p.patch('/v1/me', { name: '누구' }, { headers: { 'if-match': `"v999", ${me.header('etag')}` } })).status, 200);
    assert.equal((await p.patch('/v1/me', { name: '누구' }, { headers: { 'if-match': `"v999", ${me.header('etag')}` } })).status, 412);
    assert.equal((await p.patch('/v1/me', { name: '누구' }, { headers: { 'if-match': '*' } })).status, 200);
  });
  test('twenty are enough, also when they come at once', async () => {
    const p = await j.newcomer();
    const all = await Promise.all(Array.from({ length: 25 }, () => p.post('/v1/me/addresses', place({ isDefault: true }))));
    assert.equal(all.filter((r) => r.status === 201).length, 20);
    for (const r of all.filter((r2) => r2.status !== 201)) assert.deepEqual([r.status, r.code], [409, 'ADDRESS_LIMIT']);
    const items = (await p.get('/v1/me/addresses')).json.items;
    assert.deepEqual([items.length, items.filter((a) => a.isDefault).length], [20, 1]);
  });
  test('somebody else\'s are as unknown as those that never were', async () => {
    const p = await j.newcomer();
    await p.post('/v1/me/addresses', place());
    for (const id of [demoId('address', 1), randomUUID()]) {
      const where = `/v1/me/addresses/${id}`;
      for (const rp of [await p.patch(where, { label: '남' }), await p.delete(where), await p.put(`${where}/default`)])
        assert.deepEqual([rp.status, rp.code], [404, 'NOT_FOUND']);
    }
    assert.deepEqual((await p.patch('/v1/me/addresses/7', {})).fields, { addressId: 'FORMAT' });
    assert.equal((await (await j.as('minji')).get('/v1/me/addresses')).json.items.length, 1);
  });
  test('are a customer\'s only', async () => {
    assert.equal((await (await j.as('owner1')).get('/v1/me/addresses')).code, 'FORBIDDEN');
    assert.equal((await j.get('/v1/me/addresses')).status, 401);
  });
  test('of the demo world are near its stores', async () => {
    const items = (await (await j.as('minji')).get('/v1/me/addresses')).json.items;
    assert.deepEqual([items[0].addressId, items[0].isDefault], [demoId('address', 1), true]);
    const near = `${items[0].latitude},${items[0].longitude}`;
    const stores = (await j.get(`/v1/stores?near=${near}`)).json.items;
    assert.ok(stores.length >= 5 && stores[0].distanceM < 3000, JSON.stringify(stores[0]));
  });
  test('another service may read one, nobody else', async () => {
    const where = `/internal/v1/users/${demoId('customer', 1)}/addresses/${demoId('address', 1)}`;
    const minji = await j.as('minji');
    assert.equal((await minji.get(where)).status, 404);
    assert.equal((await minji.get(where, { at: 'internal' })).status, 403);
    assert.equal((await j.get(where, { at: 'internal' })).status, 401);
  });
});

describe('favourites', () => {
  test('are there once, newest first, page by page', async () => {
    const p = await j.newcomer();
    const ids = Array.from({ length: 5 }, (_, i) => demoId('store', i + 1));
    for (const id of ids) assert.equal((await p.put(`/v1/me/favorites/${id}`)).status, 204);
    assert.equal((await p.put(`/v1/me/favorites/${ids[0]}`)).status, 204);
    const seen = [];
    for (let where = '/v1/me/favorites?limit=2'; where;) {
      const rp = await p.get(where);
      assert.ok(rp.json.items.length <= 2);
      seen.push(...rp.json.items.map((f) => f.storeId));
      where = rp.json.nextCursor && `/v1/me/favorites?limit=2&cursor=${rp.json.nextCursor}`;
      if (where) assert.match(rp.header('link'), /rel="next"/);
    }
    assert.deepEqual(seen, [...ids].reverse());
    assert.equal((await p.delete(`/v1/me/favorites/${ids[0]}`)).status, 204);
    assert.equal((await p.delete(`/v1/me/favorites/${ids[0]}`)).status, 204, 'again is fine');
    assert.equal((await p.get('/v1/me/favorites')).json.items.length, 4);
  });
  test('wrong ids, wrong people', async () => {
    const p = await j.newcomer();
    assert.deepEqual((await p.put('/v1/me/favorites/x')).fields, { storeId: 'FORMAT' });
    assert.equal((await p.put('/v1/me/favorites/019b76da-a800-7005-8000-00ffff000000')).status, 404, 'no such store');
    assert.deepEqual((await p.get('/v1/me/favorites?cursor=AAAA')).fields, { cursor: 'FORMAT' });
    assert.equal((await (await j.as('owner1')).put(`/v1/me/favorites/${demoId('store', 1)}`)).status, 403);
    assert.equal((await j.put(`/v1/me/favorites/${demoId('store', 1)}`)).status, 401);
  });
});

describe('taking along and leaving', () => {
  test('the export holds what we hold', async () => {
    const p = await j.newcomer();
    await p.post('/v1/me/addresses', place());
    await p.put(`/v1/me/favorites/${demoId('store', 3)}`);
    const rp = await p.get('/v1/me/export');
    assert.equal(rp.status, 200);
    assert.equal(rp.header('cache-control'), 'no-store');
    assert.equal(rp.json.profile.userId, p.userId);
    assert.equal(rp.json.addresses[0].address1, '서울 강남구 테헤란로 152');
    assert.equal(rp.json.favorites[0].storeId, demoId('store', 3));
    assert.deepEqual([rp.json.orders, rp.json.payments, rp.json.ordersNextCursor, rp.json.paymentsNextCursor], [[], [], null, null]);
    assert.ok(!rp.text.toLowerCase().includes('password'));
  });
  test('the export holds every order and payment, page by page', async () => {
    const p = await j.newcomer();
    const { addressId } = (await p.post('/v1/me/addresses', place())).json;
    const made = [];
    const added = await p.post('/v1/cart/items', { menuItemId: demoId('item', 1, 1), quantity: 1, optionIds: [demoId('option', 1, 1, 0x65)] });
    assert.equal(added.status, 201, added.text);
    for (let i = 0; i < 23; i++) {
      const order = await p.post('/v1/orders', { addressId }, { headers: { prefer: 'wait=5' } });
      assert.equal(order.status, 201, order.text);
      made.unshift(order.json.orderId);
    }
    const last = (await p.get(`/v1/orders/${made[0]}`)).json;
    const { paymentKey } = (await j.call('POST', '/simulator/authorize', { at: 'toss', body: { orderId: made[0], amount: last.totalWon } })).json;
    const paid = await p.post('/v1/payments/confirm', { paymentKey, orderId: made[0], amountWon: last.totalWon });
    assert.equal(paid.status, 200, paid.text);
    const { orders, payments, ordersNextCursor } = (await p.get('/v1/me/export')).json;
    assert.deepEqual(orders.map((o) => o.orderId), made);
    assert.equal(orders[22].address.address1, '서울 강남구 테헤란로 152');
    assert.deepEqual(payments.map((x) => [x.paymentId, x.amountWon]), [[paid.json.paymentId, last.totalWon]]);
    assert.equal(ordersNextCursor, null);
    assert.deepEqual((await (await j.as('owner1')).get('/v1/me/export')).json.orders, []);
  });
  test('withdrawal ends the session and frees name and address', async () => {
    const p = await j.newcomer();
    await p.post('/v1/me/addresses', place());
    assert.equal((await p.delete('/v1/me')).status, 204);
    assert.equal((await p.get('/v1/me')).status, 401);
    assert.equal((await j.post('/v1/auth/login', { username: p.username, password: p.password })).code, 'CREDENTIALS');
    const accounts = (await (await j.as('admin1')).get('/v1/admin/users?limit=100')).json.items;
    const left = accounts.find((a) => a.userId === p.userId);
    assert.equal(left.name, '');
    assert.ok(left.withdrawnAt && !left.username.includes(p.username), JSON.stringify(left));
  });
  test('an owner who withdraws leaves no store open behind', async () => {
    const owner = await j.newcomer('owner');
    const made = await owner.post('/v1/owner/stores', { name: '떠나는 가게', category: 'cafe', phone: '02-555-1234', address: '서울 강남구 1', zipCode: '06236', latitude: 37.5, longitude: 127.0365 });
    assert.equal(made.status, 201, made.text);
    assert.equal((await owner.delete('/v1/me')).status, 204);
    await until(async () => (await j.get(`/v1/stores/${made.json.storeId}`)).status === 410, 'the store to close');
  });
});
