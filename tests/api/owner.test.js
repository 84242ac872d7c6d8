// owner.test.js -- owners and staff edit stores, hours, menus, options and stock; and cannot touch others'.
'use strict';

const { test, before, after, describe } = require('node:test');
const assert = require('node:assert/strict');
const { start, randomUUID, demoId, until } = require('./lib/demo.js');

let j, owner, shop, section, item;
const BASE = '/v1/owner/stores';
const fresh = (more = {}) => ({
  name: '새벽 김밥', category: 'bunsik', phone: '02-123-4567', address: '서울 마포구 양화로 1', zipCode: '04066',
  latitude: 37.5563, longitude: 126.9236, ...more,
});
const at = (...parts) => [BASE, shop.storeId, ...parts].join('/');
const menu = async () => (await j.get(`/v1/stores/${shop.storeId}/menu`)).json;
const tagged = (tag) => ({ headers: { 'if-match': tag } });
const status = (rp) => [rp.status, rp.code];

before(async () => {
  j = await start();
  owner = await j.newcomer('owner');
  shop = (await owner.post(BASE, fresh())).json;
  section = (await owner.post(at('sections'), { name: '김밥' })).json;
  item = (await owner.post(at('menu-items'), { sectionId: section.sectionId, name: '원조김밥', priceWon: 3500, stock: 10 })).json;
});
after(() => j?.stop());

describe('a store of one\'s own', () => {
  test('is opened, found, read and listed', async () => {
    const rp = await owner.post(BASE, fresh({ name: '노을 분식', description: '떡볶이', notice: '어서 오세요', origin: '쌀(국내산)', hours: [{ weekday: 0, opens: '09:00', closes: '03:00', breakFrom: '15:00', breakTo: '16:30' }] }));
    assert.equal(rp.status, 201, rp.text);
    assert.equal(rp.header('location'), `${BASE}/${rp.json.storeId}`);
    assert.match(rp.header('etag'), /^"v\d+"$/);
    assert.deepEqual([rp.json.radiusM, rp.json.minimumOrderWon, rp.json.deliveryFeeWon, rp.json.cookMinutes], [3000, 0, 0, 20]);
    assert.deepEqual(rp.json.hours, [{ weekday: 0, opens: '09:00', closes: '03:00', breakFrom: '15:00', breakTo: '16:30' }]);
    assert.deepEqual((await j.get('/v1/stores?query=ㄴㅇㅂㅅ')).json.items.map((s) => s.storeId), [rp.json.storeId]);
    assert.deepEqual((await owner.get(`${BASE}/${rp.json.storeId}`)).json, rp.json);
    const mine = (await owner.get(BASE)).json.items.map((s) => s.storeId);
    assert.deepEqual(mine.slice().sort(), [rp.json.storeId, shop.storeId].sort());
    assert.deepEqual(status(await owner.delete(`${BASE}/${rp.json.storeId}`)).slice(0, 1), [204]);
  });
  test('needs what it needs', async () => {
    const none = await owner.post(BASE, {});
    assert.deepEqual(none.fields, { name: 'REQUIRED', category: 'REQUIRED', phone: 'REQUIRED', address: 'REQUIRED', zipCode: 'REQUIRED', latitude: 'REQUIRED', longitude: 'REQUIRED' });
    for (const [field, value, code] of [
      ['name', '', 'LENGTH_OR_FORMAT'], ['name', '가'.repeat(61), 'LENGTH_OR_FORMAT'], ['category', 'sushi', 'UNKNOWN'],
      ['zipCode', '123', 'LENGTH_OR_FORMAT'], ['name', '   ', 'LENGTH_OR_FORMAT'], ['latitude', 91, 'RANGE'], ['longitude', 'x', 'TYPE'], ['radiusM', 20001, 'RANGE'],
      ['minimumOrderWon', -1, 'RANGE'], ['deliveryFeeWon', 1.5, 'TYPE'], ['cookMinutes', 0, 'RANGE'], ['storeId', randomUUID(), 'UNKNOWN'],
      ['ownerId', demoId('owner', 1), 'UNKNOWN'], ['isBanned', false, 'UNKNOWN'], ['rating', {}, 'UNKNOWN'],
      ['phone', '1234', 'LENGTH_OR_FORMAT'],
    ]) {
      const rp = await owner.post(BASE, fresh({ [field]: value }));
      assert.deepEqual([rp.status, rp.fields], [400, { [field]: code }], `${field}: ${rp.text}`);
    }
  });
  test('is opened once per Idempotency-Key, and so is all that is made in it', async () => {
    const dish = { sectionId: section.sectionId, name: '열쇠김밥', priceWon: 4000, stock: 5 };
    const choice = { menuItemId: item.menuItemId, name: '열쇠', min: 0, max: 1, options: [{ name: '하나', priceWon: 0 }] };
    for (const [where, body, other, id] of [
      [BASE, fresh({ name: '한 번만' }), fresh({ name: '두 번' }), 'storeId'],
      [at('sections'), { name: '한 번만' }, { name: '두 번' }, 'sectionId'],
      [at('menu-items'), dish, { ...dish, name: '두 번' }, 'menuItemId'],
      [at('option-groups'), choice, { ...choice, name: '두 번' }, 'optionGroupId'],
    ]) {
      const key = randomUUID();
      assert.deepEqual(status(await owner.post(where, body, { key: null })), [400, 'IDEMPOTENCY_KEY_MISSING'], where);
      const all = await Promise.all([1, 2, 3].map(() => owner.post(where, body, { key })));
      const made = all.filter((rp) => rp.status === 201);
      assert.ok(made.length >= 1 && all.every((rp) => rp.status === 201 || rp.code === 'IDEMPOTENCY_KEY_IN_USE'), all.map((rp) => rp.text).join());
      const again = await owner.post(where, body, { key });
      assert.deepEqual([again.status, again.header('idempotent-replayed'), again.text], [201, 'true', made[0].text], where);
      assert.equal(again.header('location'), made[0].header('location'));
      assert.ok(again.header('location').endsWith(`/${again.json[id]}`), again.header('location'));
      assert.deepEqual(status(await owner.post(where, other, { key })), [422, 'IDEMPOTENCY_KEY_REUSED'], where);
      const shown = where === BASE ? (await owner.get(BASE)).text : JSON.stringify(await menu());
      assert.equal(shown.split(`"${id}":"${again.json[id]}"`).length, 2, where); /* there, and at once */
      assert.ok(!shown.includes('"name":"두 번"'), where);
      assert.equal((await owner.delete(`${where}/${again.json[id]}`)).status, 204);
    }
  });
  test('an edit that failed leaves its key free', async () => {
    const key = randomUUID(), body = { sectionId: section.sectionId, name: '나중 김밥', priceWon: 100 };
    assert.equal((await owner.post(at('menu-items'), { ...body, sectionId: randomUUID() }, { key })).status, 400);
    const made = await owner.post(at('menu-items'), body, { key });
    assert.deepEqual([made.status, made.json.name], [201, '나중 김밥']);
    assert.equal((await owner.delete(at('menu-items', made.json.menuItemId))).status, 204);
  });
  test('changes what is sent, for the version it was sent for', async () => {
    const before_ = await owner.get(at());
    const rp = await owner.patch(at(), { name: '새벽 김밥집', deliveryFeeWon: 2500 }, tagged(`"v999", ${before_.header('etag')}`));
    assert.deepEqual([rp.status, rp.json.name, rp.json.deliveryFeeWon, rp.json.phone], [200, '새벽 김밥집', 2500, before_.json.phone]);
    assert.deepEqual(status(await owner.patch(at(), { name: '늦은' }, tagged(before_.header('etag')))), [412, 'PRECONDITION']);
    assert.deepEqual(status(await owner.patch(at(), { name: '늦은' }, tagged('"m1"'))), [412, 'PRECONDITION']);
    assert.deepEqual((await owner.patch(at(), { category: 'nothing' })).fields, { category: 'UNKNOWN' });
    assert.deepEqual((await j.get('/v1/stores?query=새벽김밥집')).json.items.map((s) => s.storeId), [shop.storeId], 'the new name is found');
    assert.deepEqual((await j.get('/v1/stores?query=ㅅㅂㄱㅂㅈ')).json.items.map((s) => s.storeId), [shop.storeId]);
  });
  test('closed for good answers 410 everywhere', async () => {
    const gone = (await owner.post(BASE, fresh({ name: '사라질 집' }))).json.storeId;
    assert.equal((await j.get(`/v1/stores/${gone}/menu`)).status, 200);
    assert.equal((await owner.delete(`${BASE}/${gone}`)).status, 204);
    for (const rp of [await j.get(`/v1/stores/${gone}`), await j.get(`/v1/stores/${gone}/menu`), await owner.get(`${BASE}/${gone}`), await owner.delete(`${BASE}/${gone}`)])
      assert.deepEqual(status(rp), [410, 'GONE']);
    assert.deepEqual((await j.get('/v1/stores?query=사라질')).json.items, []);
    assert.ok(!(await owner.get(BASE)).json.items.some((s) => s.storeId === gone));
  });
});

describe('hours and pauses', () => {
  const day = (more) => ({ weekday: 0, opens: '09:00', closes: '18:00', ...more });
  test('are replaced as a whole', async () => {
    const week = [0, 1, 2, 3, 4, 5, 6].map((weekday) => ({ weekday, opens: '00:00', closes: '24:00' }));
    const rp = await owner.put(at('hours'), { hours: week });
    assert.deepEqual([rp.status, rp.json.hours, rp.json.isOpen], [200, week, true]);
    const none = await owner.put(at('hours'), { hours: [] });
    assert.deepEqual([none.json.hours, none.json.isOpen, none.json.opensAt], [[], false, null]);
    assert.equal((await owner.put(at('hours'), { hours: week })).json.isOpen, true);
    assert.equal((await owner.put(at('hours'), { hours: week }, tagged(rp.header('etag')))).status, 412);
    const tag = (await owner.get(at())).header('etag');
    assert.equal((await owner.put(at('hours'), { hours: week }, tagged(`${rp.header('etag')}, ${tag}`))).status, 200);
  });
  for (const [hours, field, code] of [
    [[day({ weekday: 7 })], 'hours[0].weekday', 'RANGE'],
    [[day(), day()], 'hours[1].weekday', 'RANGE'],
    [[day({ opens: '24:00' })], 'hours[0].opens', 'RANGE'],
    [[day({ opens: '9:00' })], 'hours[0].opens', 'FORMAT'],
    [[day({ closes: '25:00' })], 'hours[0].closes', 'FORMAT'],
    [[day({ closes: '09:00' })], 'hours[0].closes', 'RANGE'],
    [[day({ breakFrom: '12:00' })], 'hours[0].breakTo', 'RANGE'],
    [[day({ breakFrom: '13:00', breakTo: '12:00' })], 'hours[0].breakFrom', 'RANGE'],
    [[day({ breakFrom: '17:00', breakTo: '19:00' })], 'hours[0].breakFrom', 'RANGE'],
    [[{ weekday: 1, closes: '10:00' }], 'hours[0].opens', 'REQUIRED'],
    ['always', 'hours', 'TYPE'],
  ])
    test(`refuse ${JSON.stringify(hours)}`, async () => {
      const rp = await owner.put(at('hours'), { hours });
      assert.deepEqual([rp.status, rp.fields], [400, { [field]: code }], rp.text);
    });
  test('is busy for some minutes more, as those see who look for it', async () => {
    const eta = async () => (await j.get(`/v1/stores/${shop.storeId}`)).json.etaMinutes;
    const usual = await eta();
    for (const [addMinutes, code] of [[-1, 'RANGE'], [121, 'RANGE'], ['5', 'TYPE']]) {
      assert.deepEqual((await owner.post(at('busy'), { addMinutes })).fields, { addMinutes: code });
    }
    for (let times = 0; times < 2; times++) { // not so many more each time
      const rp = await owner.post(at('busy'), { addMinutes: 25 });
      assert.deepEqual([rp.status, rp.json.busyMinutes, await eta()], [200, 25, usual + 25], rp.text);
    }
    assert.equal((await owner.post(at('busy'), { addMinutes: 0 })).json.busyMinutes, 0);
    assert.equal(await eta(), usual);
  });
  test('a pause closes the store, and resuming opens it', async () => {
    assert.deepEqual((await owner.post(at('pause'), {})).fields, { minutes: 'REQUIRED', reason: 'REQUIRED' });
    assert.deepEqual((await owner.post(at('pause'), { minutes: 1441, reason: 'x' })).fields, { minutes: 'RANGE' });
    const rp = await owner.post(at('pause'), { minutes: 30, reason: '주문 폭주' });
    assert.deepEqual([rp.status, rp.json.isOpen, rp.json.pauseReason], [200, false, '주문 폭주']);
    const seen = (await j.get(`/v1/stores/${shop.storeId}`)).json;
    assert.deepEqual([seen.isOpen, 'pauseReason' in seen], [false, false]);
    assert.equal(seen.opensAt, seen.pausedUntil, 'it would be open otherwise');
    assert.ok(!(await j.get('/v1/stores?open=true&limit=100')).json.items.some((s) => s.storeId === shop.storeId));
    const on = await owner.post(at('resume'));
    assert.deepEqual([on.status, on.json.isOpen, on.json.pausedUntil, on.json.pauseReason], [200, true, null, null]);
  });
});

describe('sections', () => {
  test('are added, renamed, ordered and removed when empty', async () => {
    const a = await owner.post(at('sections'), { name: '음료' }), b = (await owner.post(at('sections'), { name: '튀김' })).json;
    assert.deepEqual([a.status, a.json.name, a.json.items], [201, '음료', []]);
    assert.equal((await owner.patch(at('sections', b.sectionId), { name: '모둠튀김' })).json.name, '모둠튀김');
    assert.equal((await owner.put(at('sections', 'order'), { ids: [b.sectionId, section.sectionId, a.json.sectionId] })).status, 204);
    assert.deepEqual((await menu()).sections.map((s) => s.name), ['모둠튀김', '김밥', '음료']);
    assert.deepEqual((await owner.put(at('sections', 'order'), { ids: [a.json.sectionId] })).fields, { ids: 'INCOMPLETE' });
    assert.deepEqual((await menu()).sections.map((s) => s.name), ['모둠튀김', '김밥', '음료']);
    const places = [];
    for (const name of ['야채튀김', '새우튀김']) places.push((await owner.post(at('menu-items'), { sectionId: b.sectionId, name, priceWon: 1000 })).json.menuItemId);
    assert.equal((await owner.patch(at('menu-items', item.menuItemId), { sectionId: b.sectionId })).status, 200);
    assert.deepEqual((await menu()).sections[0].items.map((i) => i.name), ['야채튀김', '새우튀김', '원조김밥'], 'who comes stands at the end');
    assert.equal((await owner.patch(at('menu-items', item.menuItemId), { sectionId: section.sectionId })).status, 200);
    for (const id of places) assert.equal((await owner.delete(at('menu-items', id))).status, 204);
    assert.equal((await owner.delete(at('sections', b.sectionId))).status, 204);
    assert.equal((await owner.delete(at('sections', a.json.sectionId))).status, 204);
    assert.deepEqual(status(await owner.delete(at('sections', a.json.sectionId))), [404, 'NOT_FOUND']);
    assert.deepEqual(status(await owner.delete(at('sections', section.sectionId))), [409, 'CONSTRAINT'], 'it still has an item');
    assert.deepEqual((await menu()).sections.map((s) => s.name), ['김밥']);
  });
  test('wrong inputs', async () => {
    assert.deepEqual((await owner.post(at('sections'), {})).fields, { name: 'REQUIRED' });
    assert.deepEqual((await owner.post(at('sections'), { name: 'a\tb' })).fields, { name: 'LENGTH_OR_FORMAT' });
    assert.deepEqual((await owner.put(at('sections', 'order'), { ids: [] })).fields, { ids: 'LENGTH' });
    assert.deepEqual((await owner.put(at('sections', 'order'), { ids: [section.sectionId, section.sectionId] })).fields, { 'ids[1]': 'DUPLICATE' });
    assert.equal((await owner.put(at('sections', 'order'), { ids: [demoId('section', 1, 1)] })).code, 'NOT_FOUND');
    assert.deepEqual((await owner.patch(at('sections', 'x'), { name: 'y' })).fields, { sectionId: 'FORMAT' });
  });
});

describe('categories', () => {
  test('are added, renamed, moved and removed by an operator', async () => {
    const admin = await j.as('admin1'), key = randomUUID(), where = '/v1/admin/categories';
    const codes = async () => (await j.get('/v1/categories')).json.items.map((c) => c.category);
    const before_ = await codes();
    const sushi = { category: 'sushi', name: '초밥', nameEn: 'Sushi' };
    const made = await admin.post(where, sushi, { key });
    assert.deepEqual([made.status, made.json, made.header('location')], [201, sushi, `${where}/sushi`], made.text);
    assert.equal((await admin.post(where, sushi, { key })).text, made.text);
    const twice = await admin.post(where, sushi);
    assert.deepEqual([...status(twice), twice.json.detail], [409, 'CONSTRAINT', '이미 있는 분류 코드입니다.']);
    assert.deepEqual((await admin.post(where, { category: '초밥', position: 0 })).fields, { category: 'LENGTH_OR_FORMAT', name: 'REQUIRED', nameEn: 'REQUIRED', position: 'RANGE' });
    assert.deepEqual(await codes(), [...before_, 'sushi']);
    assert.deepEqual((await admin.patch(`${where}/sushi`, { name: '스시', position: 1 })).json, { ...sushi, name: '스시' });
    assert.ok((await codes()).indexOf('sushi') < 2);
    const store = await owner.post(BASE, fresh({ name: '바다초밥', category: 'sushi' }));
    assert.equal(store.status, 201, store.text);
    const used = await admin.delete(`${where}/sushi`);
    assert.deepEqual([...status(used), used.json.detail], [409, 'CONSTRAINT', '이 분류의 가게가 1곳 있습니다.']);
    assert.equal((await owner.patch(`${BASE}/${store.json.storeId}`, { category: 'japanese' })).status, 200);
    assert.equal((await admin.delete(`${where}/sushi`)).status, 204);
    assert.deepEqual(status(await admin.delete(`${where}/sushi`)), [404, 'NOT_FOUND']);
    assert.deepEqual(status(await admin.patch(`${where}/sushi`, { name: 'x' })), [404, 'NOT_FOUND']);
    assert.deepEqual(status(await owner.post(where, sushi)), [403, 'FORBIDDEN']);
    assert.deepEqual(await codes(), before_);
    assert.equal((await owner.delete(`${BASE}/${store.json.storeId}`)).status, 204);
  });
});

describe('a ban', () => {
  test('takes a store out of sight until it is let in again', async () => {
    const admin = await j.as('admin1');
    const own = (await owner.post(BASE, fresh({ name: '수상한 가게', hours: [0, 1, 2, 3, 4, 5, 6].map((weekday) => ({ weekday, opens: '00:00', closes: '24:00' })) }))).json;
    const { sectionId } = (await owner.post(`${BASE}/${own.storeId}/sections`, { name: '하나' })).json;
    const dish = (await owner.post(`${BASE}/${own.storeId}/menu-items`, { sectionId, name: '국수', priceWon: 5000 })).json;
    const ban = (what, body, id = own.storeId, as = admin) => as.post(`/v1/admin/stores/${id}/${what}`, body);
    const seen = async () => [(await j.get(`/v1/stores/${own.storeId}`)).status, (await j.get(`/v1/stores/${own.storeId}/menu`)).status,
      (await j.get('/v1/stores?query=수상한')).json.items.length];
    const guest = await j.newcomer();
    const add = () => guest.post('/v1/cart/items', { menuItemId: dish.menuItemId, quantity: 1 });
    await until(async () => (await add()).status === 201, 'the dish to be known');
    assert.deepEqual(await seen(), [200, 200, 1]);
    assert.deepEqual((await ban('ban', {})).fields, { reason: 'REQUIRED' });
    assert.equal((await ban('ban', { reason: '신고' }, own.storeId, owner)).status, 403);
    assert.equal((await ban('ban', { reason: '신고' }, randomUUID())).status, 404);
    assert.equal((await ban('ban', { reason: '원산지 허위 표시' })).status, 204);
    assert.deepEqual(await seen(), [404, 404, 0]);
    const shown = (await owner.get(`${BASE}/${own.storeId}`)).json;
    assert.deepEqual([shown.isBanned, shown.banReason], [true, '원산지 허위 표시']);
    const { addressId } = (await guest.post('/v1/me/addresses', { address1: '서울 마포구 양화로 2', zipCode: '04066', latitude: 37.5563, longitude: 126.9236 })).json;
    await until(async () => (await guest.post('/v1/orders', { addressId })).code === 'STORE_CLOSED', 'the order to be refused');
    assert.equal((await ban('unban', { reason: '확인함' })).status, 204);
    assert.deepEqual(await seen(), [200, 200, 1]);
    const again = (await owner.get(`${BASE}/${own.storeId}`)).json;
    assert.deepEqual([again.isBanned, again.banReason], [false, null]);
    assert.equal((await owner.delete(`${BASE}/${own.storeId}`)).status, 204);
    assert.equal((await ban('ban', { reason: '신고' })).status, 410);
  });
});

describe('menu items', () => {
  test('are on the menu the moment they are answered, however many read it meanwhile', async () => {
    let done = false, reads = 0;
    const reader = async () => { while (!done) { await menu(); reads++; } };
    const readers = [1, 2, 3, 4].map(reader);
    for (let i = 0; i < 15; i++) {
      const made = await owner.post(at('menu-items'), { sectionId: section.sectionId, name: `빠른김밥 ${i}`, priceWon: 1000 });
      assert.ok(JSON.stringify(await menu()).includes(made.json.menuItemId), `${i} after ${reads} reads`);
      assert.equal((await owner.delete(at('menu-items', made.json.menuItemId))).status, 204);
      assert.ok(!JSON.stringify(await menu()).includes(made.json.menuItemId), `${i} after ${reads} reads`);
    }
    done = true;
    await Promise.all(readers);
  });
  test('is edited against the version that was read', async () => {
    const read = await j.get(`/v1/stores/${shop.storeId}/menu`);
    const tag = read.header('etag');
    const made = await owner.post(at('sections'), { name: '계절' });
    assert.match(made.header('etag'), /^"m\d+"$/);
    assert.notEqual(made.header('etag'), tag);
    const where = at('sections', made.json.sectionId);
    assert.deepEqual(status(await owner.patch(where, { name: '늦은' }, tagged(tag))), [412, 'PRECONDITION']);
    assert.deepEqual(status(await owner.patch(where, { name: '늦은' }, tagged('"v1"'))), [412, 'PRECONDITION']);
    const named = await owner.patch(where, { name: '겨울' }, tagged(`"m999", ${made.header('etag')}`));
    assert.equal(named.status, 200, named.text);
    const group = await owner.post(at('option-groups'), { menuItemId: item.menuItemId, name: '양', min: 0, max: 1, options: [{ name: '곱빼기', priceWon: 500 }] });
    const groupAt = at('option-groups', group.json.optionGroupId);
    assert.deepEqual(status(await owner.patch(groupAt, { name: '늦은' }, tagged(named.header('etag')))), [412, 'PRECONDITION']);
    assert.deepEqual(status(await owner.delete(groupAt, tagged(named.header('etag')))), [412, 'PRECONDITION']);
    assert.deepEqual(status(await owner.delete(where, tagged(named.header('etag')))), [412, 'PRECONDITION']);
    const ids = (await menu()).sections.map((s) => s.sectionId);
    assert.deepEqual(status(await owner.put(at('sections', 'order'), { ids }, tagged(named.header('etag')))), [412, 'PRECONDITION']);
    assert.ok(!JSON.stringify(await menu()).includes('늦은'));
    const gone = await owner.delete(groupAt, tagged(group.header('etag')));
    assert.equal(gone.status, 204);
    assert.equal((await owner.delete(where, tagged(gone.header('etag')))).status, 204);

    const itemTag = (await j.get(`/v1/stores/${shop.storeId}/menu-items/${item.menuItemId}`)).header('etag');
    assert.equal((await owner.patch(at('menu-items', item.menuItemId), { description: '고소한' }, tagged(`"v999", ${itemTag}`))).status, 200);
    assert.deepEqual(status(await owner.delete(at('menu-items', item.menuItemId), tagged(itemTag))), [412, 'PRECONDITION']);
    assert.deepEqual(status(await owner.put(at('menu-items', item.menuItemId, 'sold-out'), { soldOut: true }, tagged(itemTag))), [412, 'PRECONDITION']);
  });
  test('are added, changed, ordered and taken off, and guests see it at once', async () => {
    const made = await owner.post(at('menu-items'), { sectionId: section.sectionId, name: '참치김밥', description: '마요 듬뿍', priceWon: 4500, allergens: '달걀, 대두', origin: '쌀(국내산)' });
    assert.equal(made.status, 201);
    assert.deepEqual([made.json.priceWon, made.json.soldOut, made.json.optionGroups], [4500, false, []]);
    const id = made.json.menuItemId, tag = (await j.get(`/v1/stores/${shop.storeId}/menu`)).header('etag');
    assert.deepEqual((await j.get(made.header('location'))).json, made.json);
    const changed = await owner.patch(at('menu-items', id), { priceWon: 4800 }, tagged(made.header('etag')));
    assert.deepEqual([changed.status, changed.json.priceWon, changed.json.description], [200, 4800, '마요 듬뿍']);
    assert.deepEqual(status(await owner.patch(at('menu-items', id), { priceWon: 1 }, tagged(made.header('etag')))), [412, 'PRECONDITION']);
    const rp = await j.get(`/v1/stores/${shop.storeId}/menu`, { headers: { 'if-none-match': tag } });
    assert.deepEqual([rp.status, rp.json.sections[0].items.find((i) => i.menuItemId === id).priceWon], [200, 4800], 'the old tag is not good any more');
    assert.equal((await owner.put(at('menu-items', 'order'), { sectionId: section.sectionId, ids: [id, item.menuItemId] })).status, 204);
    assert.deepEqual((await menu()).sections[0].items.map((i) => i.name), ['참치김밥', '원조김밥']);
    assert.deepEqual((await owner.put(at('menu-items', 'order'), { sectionId: section.sectionId, ids: [item.menuItemId] })).fields, { ids: 'INCOMPLETE' });
    assert.equal((await owner.delete(at('menu-items', id))).status, 204);
    assert.equal((await j.get(made.header('location'))).code, 'NOT_FOUND');
    assert.deepEqual(status(await owner.delete(at('menu-items', id))), [404, 'NOT_FOUND']);
    assert.deepEqual(status(await owner.patch(at('menu-items', id), { priceWon: 1 })), [404, 'NOT_FOUND']);
  });
  test('wrong inputs', async () => {
    const good = { sectionId: section.sectionId, name: '쫄면', priceWon: 6000 };
    assert.deepEqual((await owner.post(at('menu-items'), {})).fields, { sectionId: 'REQUIRED', name: 'REQUIRED', priceWon: 'REQUIRED' });
    for (const [field, value, code] of [
      ['priceWon', -1, 'RANGE'], ['priceWon', 10000001, 'RANGE'], ['priceWon', 100.5, 'TYPE'], ['priceWon', '100', 'TYPE'], ['priceWon', 1e30, 'TYPE'],
      ['name', '', 'LENGTH_OR_FORMAT'], ['name', '면'.repeat(61), 'LENGTH_OR_FORMAT'], ['description', '면'.repeat(501), 'LENGTH_OR_FORMAT'],
      ['sectionId', demoId('section', 1, 1), 'UNKNOWN'], ['sectionId', 'x', 'FORMAT'], ['stock', -1, 'RANGE'], ['soldOut', 1, 'TYPE'],
      ['version', 9, 'UNKNOWN'], ['photoUrl', 'http://evil', 'UNKNOWN'],
    ]) {
      const rp = await owner.post(at('menu-items'), { ...good, [field]: value });
      assert.deepEqual([rp.status, rp.fields], [400, { [field]: code }], `${field}=${value}: ${rp.text}`);
    }
  });
  test('the sold-out switch', async () => {
    const put = (soldOut) => owner.put(at('menu-items', item.menuItemId, 'sold-out'), { soldOut });
    assert.equal((await put(true)).json.soldOut, true);
    assert.equal((await menu()).sections[0].items[0].soldOut, true);
    assert.equal((await put(false)).json.soldOut, false);
    assert.equal((await menu()).sections[0].items[0].soldOut, false);
    assert.deepEqual((await put('yes')).fields, { soldOut: 'TYPE' });
    assert.deepEqual((await owner.put(at('menu-items', item.menuItemId, 'sold-out'), {})).fields, { soldOut: 'REQUIRED' });
  });
});

describe('option groups', () => {
  const group = (more) => ({ menuItemId: item.menuItemId, name: '추가', min: 0, max: 2, options: [{ name: '치즈', priceWon: 500 }, { name: '참치', priceWon: 1000 }], ...more });
  test('are added, changed with their ids kept, ordered and removed', async () => {
    const made = await owner.post(at('option-groups'), group());
    assert.equal(made.status, 201, made.text);
    const [cheese] = made.json.options, where = at('option-groups', made.json.optionGroupId);
    const changed = await owner.patch(where, { max: 1, options: [{ ...cheese, priceWon: 700, soldOut: true }, { name: '계란', priceWon: 0 }] });
    assert.equal(changed.status, 200, changed.text);
    assert.deepEqual(changed.json.options.map((o) => [o.name, o.priceWon, o.soldOut]), [['치즈', 700, true], ['계란', 0, false]]);
    assert.equal(changed.json.options[0].optionId, cheese.optionId);
    const second = (await owner.post(at('option-groups'), group({ name: '맵기', min: 1, max: 1 }))).json;
    const order = { menuItemId: item.menuItemId, ids: [second.optionGroupId, made.json.optionGroupId] };
    assert.equal((await owner.put(at('option-groups', 'order'), order)).status, 204);
    assert.deepEqual((await menu()).sections[0].items[0].optionGroups.map((g) => g.name), ['맵기', '추가']);
    assert.deepEqual((await owner.put(at('option-groups', 'order'), { ...order, ids: [made.json.optionGroupId] })).fields, { ids: 'INCOMPLETE' });
    const third = (await owner.post(at('option-groups'), group({ name: '음료' }))).json;
    for (const g of [second, made.json]) assert.equal((await owner.delete(at('option-groups', g.optionGroupId))).status, 204);
    const fourth = (await owner.post(at('option-groups'), group({ name: '포장' }))).json;
    assert.deepEqual((await menu()).sections[0].items[0].optionGroups.map((g) => g.name), ['음료', '포장'], 'a new one is the last one');
    for (const g of [third, fourth]) assert.equal((await owner.delete(at('option-groups', g.optionGroupId))).status, 204);
    assert.deepEqual((await menu()).sections[0].items[0].optionGroups, []);
    assert.deepEqual(status(await owner.delete(where)), [404, 'NOT_FOUND']);
  });
  test('wrong inputs', async () => {
    for (const [more, fields] of [
      [{ min: 3 }, { min: 'RANGE' }], [{ max: 3 }, { max: 'RANGE' }], [{ max: 0 }, { max: 'RANGE' }], [{ options: [] }, { options: 'LENGTH' }],
      [{ options: [{ name: 'x' }] }, { 'options[0].priceWon': 'REQUIRED' }], [{ options: [{ name: '', priceWon: -5 }] }, { 'options[0].name': 'LENGTH_OR_FORMAT', 'options[0].priceWon': 'RANGE' }],
      [{ menuItemId: 7 }, { menuItemId: 'TYPE' }],
    ]) {
      const rp = await owner.post(at('option-groups'), group(more));
      assert.deepEqual([rp.status, rp.fields], [400, fields], rp.text);
    }
    assert.equal((await owner.post(at('option-groups'), group({ menuItemId: demoId('item', 1, 1) }))).code, 'NOT_FOUND');
    const made = (await owner.post(at('option-groups'), group())).json;
    const foreign = await owner.patch(at('option-groups', made.optionGroupId), { max: 1, options: [{ optionId: demoId('option', 1, 1, 101), name: '남의 것', priceWon: 0 }] });
    assert.deepEqual(foreign.fields, { 'options[0].optionId': 'UNKNOWN' });
    assert.equal((await owner.patch(at('option-groups', demoId('group', 1, 1, 1)), { name: '남의 것' })).code, 'NOT_FOUND');
    await owner.delete(at('option-groups', made.optionGroupId));
  });
});

describe('stock', () => {
  const stock = (...more) => at('menu-items', item.menuItemId, 'stock', ...more);
  const counts = ({ json }) => [json.infinite, json.available, json.reserved, json.sold];
  test('is adjusted with a reason, and the ledger tells of it', async () => {
    assert.deepEqual(counts(await owner.get(stock())), [false, 10, 0, 0]);
    const key = randomUUID(), made = { delta: 5, reason: '새로 말았음' };
    assert.equal((await owner.post(stock('adjustments'), made, { key: null })).code, 'IDEMPOTENCY_KEY_MISSING');
    const more = await owner.post(stock('adjustments'), made, { key });
    assert.equal((await owner.post(stock('adjustments'), made, { key })).text, more.text); /* five more, not ten */
    assert.deepEqual([more.status, ...counts(more)], [200, false, 15, 0, 0]);
    assert.deepEqual([more.json.ledger[0].kind, more.json.ledger[0].availableDelta, more.json.ledger[0].reason, more.json.ledger[0].actorId], ['ADJUST', 5, '새로 말았음', owner.userId]);
    assert.deepEqual(counts(await owner.post(stock('adjustments'), { setTo: 7, reason: '다시 셈' })), [false, 7, 0, 0]);
    const ledger = (await owner.get(stock('ledger') + '?limit=2')).json;
    assert.deepEqual(ledger.items.map((m) => m.availableDelta), [-8, 5]);
    const rest = (await owner.get(`${stock('ledger')}?limit=2&cursor=${ledger.nextCursor}`)).json;
    assert.deepEqual([rest.items.map((m) => m.availableDelta), rest.nextCursor], [[10], null]);
  });
  test('is set against the count that was read', async () => {
    const read = await owner.get(stock());
    assert.equal(read.header('etag'), `"v${read.json.version}"`);
    const set = await owner.post(stock('adjustments'), { setTo: 40, reason: '조사' }, tagged(`"v999", ${read.header('etag')}`));
    assert.equal(set.json.available, 40, set.text);
    for (const late of [await owner.post(stock('adjustments'), { setTo: 1, reason: '늦은 조사' }, tagged(read.header('etag'))),
      await owner.put(stock('mode'), { infinite: true }, tagged(read.header('etag')))]) {
      assert.deepEqual(status(late), [412, 'PRECONDITION']);
    }
    const back = await owner.post(stock('adjustments'), { setTo: read.json.available, reason: '되돌림' }, tagged(set.header('etag')));
    assert.equal(back.json.available, read.json.available);
  });
  test('running out ends the sale, coming back begins it', async () => {
    const version = (await menu()).version;
    await owner.post(stock('adjustments'), { setTo: 0, reason: '다 팔림' });
    let now = await menu();
    assert.deepEqual([now.version, now.sections[0].items[0].soldOut], [version + 1, true]);
    await owner.put(stock('mode'), { infinite: true });
    now = await menu();
    assert.deepEqual([now.version, now.sections[0].items[0].soldOut], [version + 2, false]);
    await owner.put(stock('mode'), { infinite: false });
    await owner.post(stock('adjustments'), { delta: 7, reason: '다시' });
    now = await menu();
    assert.deepEqual([now.version, now.sections[0].items[0].soldOut], [version + 4, false]);
  });
  test('wrong inputs', async () => {
    const adjust = (body) => owner.post(stock('adjustments'), body);
    assert.deepEqual((await adjust({ delta: 1 })).fields, { reason: 'REQUIRED' });
    assert.deepEqual((await adjust({ reason: 'x' })).fields, { delta: 'ONE_OF' });
    assert.deepEqual((await adjust({ delta: 1, setTo: 1, reason: 'x' })).fields, { delta: 'ONE_OF' });
    assert.deepEqual((await adjust({ setTo: -1, reason: 'x' })).fields, { setTo: 'RANGE' });
    assert.deepEqual((await adjust({ delta: 1000000, reason: 'x' })).fields, { delta: 'RANGE' });
    assert.deepEqual(status(await adjust({ delta: -8, reason: 'x' })), [409, 'STOCK_SHORT']);
    assert.deepEqual((await owner.put(stock('mode'), {})).fields, { infinite: 'REQUIRED' });
    assert.deepEqual(counts(await owner.get(stock())), [false, 7, 0, 0]);
  });
  test('fifty at once add up', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, i) => owner.post(stock('adjustments'), { delta: i % 2 ? -1 : 1, reason: '한꺼번에' })));
    assert.deepEqual(counts(await owner.get(stock())), [false, 7, 0, 0]);
    const all = (await owner.get(`${stock('ledger')}?limit=100`)).json.items;
    assert.equal(all.reduce((sum, m) => sum + m.availableDelta, 0), 7);
  });
});

describe('who may', () => {
  /* Every call on a store, with a body that would be fine. */
  const calls = (storeId, sectionId, itemId, groupId) => {
    const own = `${BASE}/${storeId}`;
    return [
      ['GET', own], ['PATCH', own, { name: '남의 집' }], ['DELETE', own], ['PUT', `${own}/hours`, { hours: [] }],
      ['POST', `${own}/pause`, { minutes: 5, reason: 'x' }], ['POST', `${own}/resume`], ['POST', `${own}/busy`, { addMinutes: 5 }],
      ['POST', `${own}/sections`, { name: 'x' }], ['PATCH', `${own}/sections/${sectionId}`, { name: 'x' }],
      ['DELETE', `${own}/sections/${sectionId}`], ['PUT', `${own}/sections/order`, { ids: [sectionId] }],
      ['POST', `${own}/menu-items`, { sectionId, name: 'x', priceWon: 1 }], ['PATCH', `${own}/menu-items/${itemId}`, { priceWon: 1 }],
      ['DELETE', `${own}/menu-items/${itemId}`], ['PUT', `${own}/menu-items/order`, { sectionId, ids: [itemId] }],
      ['PUT', `${own}/menu-items/${itemId}/sold-out`, { soldOut: true }],
      ['POST', `${own}/option-groups`, { menuItemId: itemId, name: 'x', min: 0, max: 1, options: [{ name: 'x', priceWon: 1 }] }],
      ['PATCH', `${own}/option-groups/${groupId}`, { name: 'x' }], ['DELETE', `${own}/option-groups/${groupId}`],
      ['PUT', `${own}/option-groups/order`, { menuItemId: itemId, ids: [groupId] }],
      ['GET', `${own}/menu-items/${itemId}/stock`], ['GET', `${own}/menu-items/${itemId}/stock/ledger`],
      ['POST', `${own}/menu-items/${itemId}/stock/adjustments`, { delta: 1, reason: 'x' }],
      ['PUT', `${own}/menu-items/${itemId}/stock/mode`, { infinite: true }],
    ];
  };
  const demo = () => calls(demoId('store', 4), demoId('section', 4, 1), demoId('item', 4, 1), demoId('group', 4, 1, 1));
  test('nobody touches another owner\'s store: it is as if it were not there', async () => {
    const before_ = (await j.get(`/v1/stores/${demoId('store', 4)}/menu`)).text;
    for (const [method, where, body] of demo()) {
      assert.deepEqual(status(await owner.call(method, where, { body })), [404, 'NOT_FOUND'], `${method} ${where}`);
    }
    assert.equal((await j.get(`/v1/stores/${demoId('store', 4)}/menu`)).text, before_);
  });
  test('nor through a store of one\'s own with ids of another', async () => {
    for (const [method, where, body] of calls(shop.storeId, demoId('section', 4, 1), demoId('item', 4, 1), demoId('group', 4, 1, 1)).slice(8)) {
      if (method === 'POST' && where.endsWith('/menu-items')) continue; /* an unknown section is a wrong field there */
      assert.deepEqual(status(await owner.call(method, where, { body })), [404, 'NOT_FOUND'], `${method} ${where}`);
    }
  });
  test('guests, customers and operators may not', async () => {
    const minji = await j.as('minji'), admin = await j.as('admin1');
    for (const [method, where, body] of demo()) {
      assert.deepEqual(status(await j.call(method, where, { body })), [401, 'UNAUTHENTICATED'], where);
      assert.deepEqual(status(await minji.call(method, where, { body })), [403, 'FORBIDDEN'], where);
      assert.deepEqual(status(await admin.call(method, where, { body })), [403, 'FORBIDDEN'], where);
    }
    assert.equal((await minji.post(BASE, fresh())).code, 'FORBIDDEN');
  });
  test('staff edit the menu of stores they work for, and only those', async () => {
    const staff = await j.as('staff1');
    const mine = (await staff.get(BASE)).json.items.map((s) => s.storeId).sort();
    assert.deepEqual(mine, [1, 2, 3].map((n) => demoId('store', n)));
    const where = `${BASE}/${demoId('store', 1)}`;
    assert.equal((await staff.put(`${where}/menu-items/${demoId('item', 1, 2)}/sold-out`, { soldOut: true })).json.soldOut, true);
    assert.equal((await staff.put(`${where}/menu-items/${demoId('item', 1, 2)}/sold-out`, { soldOut: false })).json.soldOut, false);
    assert.equal((await staff.get(`${where}/menu-items/${demoId('item', 1, 5)}/stock`)).status, 200);
    assert.equal((await staff.patch(where, { name: '직원의 집' })).code, 'FORBIDDEN');
    assert.equal((await staff.delete(where)).code, 'FORBIDDEN');
    assert.equal((await staff.get(`${BASE}/${demoId('store', 4)}`)).code, 'NOT_FOUND');
  });
  test('unknown stores', async () => {
    assert.equal((await owner.get(`${BASE}/${randomUUID()}`)).code, 'NOT_FOUND');
    assert.deepEqual((await owner.get(`${BASE}/7`)).fields, { storeId: 'FORMAT' });
  });
});

test('what was edited is there after a restart', async () => {
  const seen = [await menu(), (await j.get(`/v1/stores/${shop.storeId}`)).json.name];
  await j.restart();
  assert.deepEqual([await menu(), (await j.get(`/v1/stores/${shop.storeId}`)).json.name], seen);
});
