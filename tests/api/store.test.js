// store.test.js -- what guests see of stores and menus: lists, filters, Korean search, pages, entity tags.
'use strict';

const { test, before, after, describe } = require('node:test');
const assert = require('node:assert/strict');
const { start, randomUUID, demoId } = require('./lib/demo.js');

let j;
before(async () => (j = await start()));
after(() => j?.stop());

const GANGNAM = '37.5,127.0365';
const ids = (rp) => rp.json.items.map((s) => s.storeId);
const names = (rp) => rp.json.items.map((s) => s.name);
const query = (q) => j.get(`/v1/stores?limit=100&${new URLSearchParams(q)}`);
async function pages(where) {
  const seen = [];
  let next = where;
  for (let n = 0; next && n < 100; n++) {
    const rp = await j.get(next);
    assert.equal(rp.status, 200, rp.text);
    seen.push(...rp.json.items);
    const link = /^<([^>]+)>; rel="next"$/.exec(rp.header('link') || '');
    assert.equal(!!link, rp.json.nextCursor !== null, 'Link and nextCursor agree');
    assert.equal(!link || link[1].includes(`cursor=${rp.json.nextCursor}`), true, 'and name the same place');
    next = link && link[1];
  }
  return seen;
}

describe('categories', () => {
  test('are eight, in order, in two languages', async () => {
    const rp = await j.get('/v1/categories');
    assert.deepEqual(rp.json.items.map((c) => c.category), ['chicken', 'pizza', 'korean', 'chinese', 'japanese', 'bunsik', 'burger', 'cafe']);
    assert.deepEqual(rp.json.items[0], { category: 'chicken', name: '치킨', nameEn: 'Chicken' });
    assert.equal(rp.json.nextCursor, null);
  });
});

describe('the list of stores', () => {
  test('is forty cards in pages of twenty', async () => {
    const first = await j.get('/v1/stores');
    assert.equal(first.json.items.length, 20);
    const all = await pages('/v1/stores?limit=7');
    assert.deepEqual([all.length, new Set(all.map((s) => s.storeId)).size], [40, 40]);
    const card = all.find((s) => s.storeId === demoId('store', 1));
    assert.deepEqual(Object.keys(card).sort(), ['category', 'deliveryFeeWon', 'etaMinutes', 'isOpen', 'minimumOrderWon', 'name', 'opensAt', 'photoUrl', 'rating', 'storeId']);
    assert.deepEqual(card.rating, { average: 0, count: 0 });
    assert.deepEqual([card.name, card.isOpen, card.opensAt], ['바삭대장 치킨', true, null]);
  });
  for (const sort of ['rating', 'fee', 'new'])
    test(`by ${sort} is complete and in order over pages`, async () => {
      const all = await pages(`/v1/stores?sort=${sort}&limit=9`);
      assert.equal(new Set(all.map((s) => s.storeId)).size, 40);
      if (sort === 'fee') {
        const fees = all.map((s) => s.deliveryFeeWon);
        assert.deepEqual(fees, [...fees].sort((a, b) => a - b));
      }
    });
  test('near a place is by distance, and only who delivers there', async () => {
    const all = await pages(`/v1/stores?near=${GANGNAM}&limit=6`);
    const metres = all.map((s) => s.distanceM);
    assert.deepEqual(metres, [...metres].sort((a, b) => a - b));
    assert.ok(metres.length >= 10 && metres.at(-1) <= 20000);
    assert.deepEqual(all.map((s) => s.etaMinutes >= 25), all.map(() => true));
    const busan = await query({ near: '35.1796,129.0756' });
    assert.deepEqual(busan.json, { items: [], nextCursor: null });
  });
  test('near combines with every other sort', async () => {
    for (const sort of ['rating', 'fee', 'new', 'distance']) {
      const rp = await query({ near: GANGNAM, sort });
      assert.equal(rp.status, 200);
      assert.ok(rp.json.items.every((s) => Number.isInteger(s.distanceM)), sort);
    }
  });
  test('of one category', async () => {
    const rp = await query({ category: 'cafe' });
    assert.deepEqual([rp.json.items.length, new Set(rp.json.items.map((s) => s.category)).size], [5, 1]);
    assert.deepEqual((await query({ category: 'nothing' })).json.items, []);
  });
  test('that are open now are exactly those that say so', async () => {
    const all = (await query({})).json.items;
    const open = ids(await query({ open: true }));
    assert.deepEqual(open.sort(), all.filter((s) => s.isOpen).map((s) => s.storeId).sort());
    assert.ok(open.length >= 16, 'two of five never close');
    for (const s of all.filter((s2) => !s2.isOpen)) assert.ok(Date.parse(s.opensAt) > Date.now() - 60000, s.opensAt);
  });
  for (const [where, fields] of [
    ['near=here', { near: 'FORMAT' }], ['near=91,127', { near: 'FORMAT' }], ['near=37.5', { near: 'FORMAT' }],
    ['sort=price', { sort: 'FORMAT' }], ['sort=distance', { sort: 'NEAR_MISSING' }], ['open=maybe', { open: 'FORMAT' }],
    ['limit=0', { limit: 'RANGE' }], ['limit=101', { limit: 'RANGE' }], ['cursor=!', { cursor: 'FORMAT' }],
    ['query=', { query: 'FORMAT' }], ['colour=red', { colour: 'UNKNOWN' }], ['query=%ff', { query: 'FORMAT' }],
  ])
    test(`refuses ?${where}`, async () => {
      const rp = await j.get(`/v1/stores?${where}`);
      assert.deepEqual([rp.status, rp.code, rp.fields], [400, 'INVALID', fields]);
    });
});

describe('search', () => {
  for (const [q, wanted] of [
    ['치킨', ['바삭대장 치킨', '치킨과 사람들']],
    ['ㅊㅋ', ['바삭대장 치킨', '치킨과 사람들']],
    ['ㅂㅅㄷㅈ', ['바삭대장 치킨']],
    ['ㅄㄷㅈ', ['바삭대장 치킨']], // what the keys of ㅂㅅㄷㅈ give on most keyboards
    ['바삭대장치킨', ['바삭대장 치킨']],
    ['바 삭 대장', ['바삭대장 치킨']],
    ['ㄸㅂㅇ', ['국대 떡볶이']],
    ['clzls', ['바삭대장 치킨', '치킨과 사람들']],
    ['EjrqhRdl', ['국대 떡볶이']],
    ['피자의', ['피자의 정석']],
    ['없는 가게', []],
    ['%', []],
    ['_', []],
    ["' or 1=1 --", []],
  ])
    test(`finds ${JSON.stringify(q)}`, async () => assert.deepEqual(names(await query({ query: q })).sort(), wanted.sort()));
  test('combines with category and nearness', async () => {
    assert.deepEqual(names(await query({ query: 'ㅍㅈ', category: 'pizza', near: GANGNAM })), ['피자의 정석', '화덕에구운 피자']);
  });
});

describe('a store', () => {
  test('has its hours, origin and notice', async () => {
    const rp = await j.get(`/v1/stores/${demoId('store', 3)}`);
    assert.equal(rp.status, 200);
    assert.equal(rp.json.hours.length, 7);
    assert.deepEqual(rp.json.hours[0], { weekday: 0, opens: '10:00', closes: '02:00' });
    assert.match(rp.json.origin, /국내산/);
    assert.match(rp.json.phone, /^02-/);
    assert.equal(rp.json.radiusM, 20000);
    for (const secret of ['ownerId', 'pauseReason', 'isBanned']) assert.ok(!(secret in rp.json), secret);
    const broken = (await j.get(`/v1/stores/${demoId('store', 5)}`)).json.hours[6];
    assert.deepEqual([broken.breakFrom, broken.breakTo], ['15:00', '17:00']);
  });
  test('that is not there', async () => {
    const rp = await j.get(`/v1/stores/${randomUUID()}`);
    assert.deepEqual([rp.status, rp.code], [404, 'NOT_FOUND']);
    assert.deepEqual((await j.get('/v1/stores/1')).fields, { storeId: 'FORMAT' });
  });
  test('answers HEAD-less reads the same for everybody', async () => {
    const where = `/v1/stores/${demoId('store', 2)}`;
    const guest = await j.get(where);
    for (const who of ['minji', 'owner1', 'admin1']) assert.equal((await (await j.as(who)).get(where)).text, guest.text);
  });
});

describe('a menu', () => {
  const where = `/v1/stores/${demoId('store', 1)}/menu`;
  test('is whole: sections, items, options, allergens, origin', async () => {
    const rp = await j.get(where);
    assert.equal(rp.status, 200);
    const { storeId, sections } = rp.json;
    assert.equal(storeId, demoId('store', 1));
    assert.deepEqual(sections.map((s) => [s.sectionId, s.name, s.items.length]), [
      [demoId('section', 1, 1), '한 마리', 5], [demoId('section', 1, 2), '곁들임', 5]]);
    const item = sections[0].items[0];
    assert.deepEqual([item.menuItemId, item.name, item.soldOut], [demoId('item', 1, 1), '후라이드치킨', false]);
    assert.deepEqual([item.allergens, item.origin], ['밀, 닭고기, 대두', '닭고기(국내산), 쌀(국내산), 배추김치(국내산)']);
    assert.ok(Number.isInteger(item.priceWon) && item.priceWon > 0);
    const group = item.optionGroups[0];
    assert.deepEqual([group.name, group.min, group.max, group.options.length], ['부위 선택', 1, 1, 4]);
    assert.deepEqual(group.options[1], { optionId: demoId('option', 1, 1, 102), name: '순살', priceWon: 2000, soldOut: false });
  });
  test('is sent once: ETag, then 304', async () => {
    const first = await j.get(where);
    const tag = first.header('etag');
    assert.match(tag, /^"m\d+"$/);
    for (const known of [tag, `W/${tag}`, `"x", "m1",${tag}`, `${tag} , "x"`]) {
      const again = await j.get(where, { headers: { 'if-none-match': known } });
      assert.deepEqual([again.status, again.text, again.header('etag')], [304, '', tag]);
    }
    for (const other of ['"m999999"', '"x"', 'm1', '']) {
      const rp = await j.get(where, { headers: { 'if-none-match': other } });
      assert.deepEqual([rp.status, rp.text], [200, first.text], other);
    }
  });
  test('shows one item alone', async () => {
    const menu = (await j.get(where)).json;
    const item = menu.sections[1].items[2];
    const rp = await j.get(`/v1/stores/${menu.storeId}/menu-items/${item.menuItemId}`);
    assert.deepEqual([rp.status, rp.json], [200, item]);
    assert.equal((await j.get(`/v1/stores/${demoId('store', 2)}/menu-items/${item.menuItemId}`)).code, 'NOT_FOUND');
    assert.deepEqual((await j.get(`/v1/stores/${menu.storeId}/menu-items/x`)).fields, { menuItemId: 'FORMAT' });
  });
  test('of no store', async () => {
    assert.deepEqual([(await j.get(`/v1/stores/${randomUUID()}/menu`)).code], ['NOT_FOUND']);
  });
  test('exists for every demo store, with one open round the clock in every quarter', async () => {
    for (let n = 1; n <= 40; n++) {
      const menu = (await j.get(`/v1/stores/${demoId('store', n)}/menu`)).json;
      assert.equal(menu.sections.flatMap((s) => s.items).length, 10);
    }
  });
});
