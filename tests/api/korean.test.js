// korean.test.js -- every sentence of a problem is there in Korean; whoever wants English gets that.
'use strict';
const { after, before, test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { start } = require('./lib/demo.js');

const ROOT = path.join(__dirname, '..', '..');
const files = (dir) => fs.readdirSync(path.join(ROOT, dir), { withFileTypes: true }).flatMap((e) =>
  e.isDirectory() ? files(path.join(dir, e.name)) : e.name.endsWith('.c') ? [path.join(dir, e.name)] : []);
const text = (file) => fs.readFileSync(path.join(ROOT, file), 'utf8').replace(/"\s*\n\s*"/g, '');
const literal = '"((?:[^"\\\\]|\\\\.)*)"';

// Where sentences for people arise: the text of a call, or of a `return`, a reason for the caller to tell.
function sentences() {
  const found = new Map();
  const add = (file, s) => { if (!/^%s(: %\.\*s)?$/.test(s) && /[a-z]/.test(s)) found.set(s.replace(/%" ?PRId64 ?"?|%\.\*s|%[a-z]+/g, '*'), file); };
  // The Eureka registry speaks to machines, the simulator as Toss does.
  for (const file of [...files('services'), ...files('src/service'), ...files('src/data')].filter((f) => !f.startsWith('services/discovery'))) {
    const source = text(file).replace(/%" PRId64 "/g, '*');
    for (const [call] of source.matchAll(/\bctx_field_error\([^;]*;/g)) {
      const strings = [...call.matchAll(new RegExp(literal, 'g'))].map((m) => m[1]).filter((s) => / /.test(s) || /^[a-z-]+$/.test(s) === false);
      if (strings.length && / /.test(strings.at(-1))) add(file, strings.at(-1));
    }
    for (const m of source.matchAll(new RegExp(`public_detail = STR\\(${literal}\\)`, 'g'))) add(file, m[1]);
    for (const m of source.matchAll(new RegExp(`json_problem\\([^,]*, ${literal}\\)`, 'g'))) add(file, m[1]);
    for (const m of source.matchAll(new RegExp(`hours_bad\\(cx, i, "\\w+", ${literal}\\)`, 'g'))) add(file, m[1]);
    for (const m of source.matchAll(new RegExp(`wrong_options\\(cx, "\\w+", ${literal}`, 'g'))) add(file, `${m[1]}: *`);
    if (/data\/(field|json_decode)\.c$/.test(file))
      for (const m of source.matchAll(new RegExp(`(?:return|[?:]|wrong\\(d,|bad\\(d, "\\w+",|bad_query\\(.*,) ${literal}`, 'g'))) if (/ /.test(m[1])) add(file, m[1]);
    if (file.endsWith('admit.c')) for (const m of source.matchAll(new RegExp(`bad_query\\([^;]*${literal}\\);`, 'g'))) add(file, m[1]);
  }
  return found;
}

let j;
before(async () => { j = await start(); });
after(() => j?.stop());

test('each sentence has a row', () => {
  const table = new Set([...text('src/service/korean.c').matchAll(new RegExp(`\\{${literal},`, 'g'))].map((m) => m[1]));
  const all = sentences();
  assert.ok(all.size > 60, `${all.size} found`);
  assert.deepEqual([...all].filter(([s]) => !table.has(s)), []);
});

test('a Korean reader finds no English', async () => {
  const minji = await j.as('minji');
  const calls = (language) => {
    const headers = language ? { 'accept-language': language } : {};
    return Promise.all([
      j.post('/v1/auth/signup', { username: 'A', password: 'x', name: '', email: 'x@', birthDate: '1', role: 'king', more: 1 }, { headers }),
      j.post('/v1/auth/login', '{"username":', { headers }),
      j.post('/v1/auth/login', '[1', { headers }),
      j.post('/v1/auth/login', undefined, { headers }),
      j.get('/v1/stores?limit=0&near=x&cursor=&open=maybe&none=1&limit=2', { headers }),
      j.get('/v1/stores?cursor=zz', { headers }),
      j.get('/v1/stores/x', { headers }),
      minji.post('/v1/cart/items', { menuItemId: 7, quantity: 100, optionIds: 'x' }, { headers }),
      minji.post('/v1/auth/logout', { all: true }, { headers }),
      j.call('GET', '/v1/me', { headers: { ...headers, authorization: 'Bearer x' } }),
    ]);
  };
  for (const r of await calls('ko')) {
    const said = [...r.json.errors.map((e) => e.message), r.json.title, ...(r.json.detail ? [r.json.detail] : [])];
    assert.ok(said.length > 1, r.text);
    for (const s of said) assert.match(s, /[가-힣]/, `${r.status} ${s}`);
  }
  for (const r of await calls('en')) assert.doesNotMatch(r.text.replace(/"instance":"[^"]*"/, ''), /[가-힣]/);
  const number = (await calls('ko'))[7].json.errors.find((e) => e.field === 'quantity');
  assert.equal(number.message, '1 이상 99 이하의 숫자여야 합니다');
  const lengths = async (language) => Object.fromEntries((await j.post('/v1/auth/signup', { username: 'abc', password: 'x'.repeat(129), name: '김'.repeat(31), email: 'a@b.kr', role: 'owner' },
    { headers: { 'accept-language': language } })).json.errors.map((e) => [e.field, e.message]));
  assert.deepEqual(await lengths('ko'), { username: '4자 이상 20자 이하여야 합니다', password: '10자 이상 128자 이하여야 합니다', name: '30자 이하여야 합니다' });
  assert.deepEqual(await lengths('en'), { username: 'must be 4 to 20 characters long', password: 'must be 10 to 128 characters long', name: 'must be at most 30 characters long' });
  assert.equal((await calls('ko'))[1].json.detail, '12번째 바이트에서 JSON 형식에 맞지 않습니다: 값이 와야 함.');
});
