// auth.test.js -- accounts, logins, rotating refresh tokens, lockout and bans, as seen from outside.
'use strict';

const { test, before, after, describe } = require('node:test');
const assert = require('node:assert/strict');
const { start, randomUUID, demoId, PASSWORD } = require('./lib/demo.js');
const { alone } = require('./lib/one_process.js');

let j;
before(async () => (j = await start()));
after(() => j?.stop());

const LONG = `${randomUUID()}${randomUUID()}${randomUUID()}${randomUUID()}`.slice(0, 128);
const unique = () => `u${randomUUID().replaceAll('-', '').slice(0, 15)}`;
function person(more = {}) {
  const username = unique();
  return { username, password: 'correct-horse-7', name: '홍길동', email: `${username}@test.example`, role: 'customer', ...more };
}
const signup = (body, options) => j.post('/v1/auth/signup', body, options);
const login = (username, password, options) => j.post('/v1/auth/login', { username, password }, options);
const refresh = (refreshToken) => j.post('/v1/auth/refresh', { refreshToken });
const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

describe('signup', () => {
  test('opens an account that can log in', async () => {
    const p = person({ birthDate: '1990-02-28' });
    const rp = await signup(p);
    assert.equal(rp.status, 201);
    assert.equal(rp.header('location'), '/v1/me');
    assert.deepEqual({ ...rp.json, userId: undefined }, { userId: undefined, username: p.username, role: 'customer' });
    assert.match(rp.json.userId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.equal((await login(p.username, p.password)).status, 200);
    assert.equal((await login(p.email.toUpperCase(), p.password)).status, 200);
  });
  test('names every bad field with its code', async () => {
    const rp = await signup({ username: 'A b', password: 'short', name: '', email: 'nobody', role: 'admin', birthDate: '2001-02-29', age: 3 });
    assert.equal(rp.status, 400);
    assert.equal(rp.code, 'INVALID');
    assert.deepEqual(Object.keys(rp.fields).sort(), ['age', 'birthDate', 'email', 'name', 'password', 'role', 'username']);
    assert.equal(rp.fields.age, 'UNKNOWN');
    assert.equal(rp.fields.password, 'LENGTH_OR_FORMAT');
    assert.ok(!rp.text.includes('"short"'), 'a secret is not repeated');
  });
  test('names what is missing', async () => {
    const rp = await signup({});
    assert.deepEqual(rp.fields, { username: 'REQUIRED', password: 'REQUIRED', name: 'REQUIRED', email: 'REQUIRED', role: 'REQUIRED' });
  });
  for (const [field, good, bad] of [
    ['username', 'abcd', 'abc'],
    ['username', 'a'.repeat(20), 'a'.repeat(21)],
    ['password', 'q8-Kmw2.zT', 'q8-Kmw2.z'],
    ['password', LONG, `${LONG}x`],
    ['name', '가'.repeat(30), '가'.repeat(31)],
  ])
    test(`the limit of ${field} is exact: ${good.length} and ${bad.length}`, async () => {
      const fit = field === 'username' ? (good + unique().slice(1)).slice(-good.length) : good;
      const ok = await signup(person({ [field]: fit }));
      assert.equal(ok.status, 201, ok.text);
      const no = await signup(person({ [field]: bad }));
      assert.deepEqual(no.fields, { [field]: 'LENGTH_OR_FORMAT' });
    });
  test('a username or an address is given once', async () => {
    const p = person();
    assert.equal((await signup(p)).status, 201);
    const same = await signup({ ...person(), username: p.username });
    assert.deepEqual([same.status, same.code], [409, 'USERNAME_TAKEN']);
    const mail = await signup({ ...person(), email: p.email.toUpperCase() });
    assert.deepEqual([mail.status, mail.code], [409, 'EMAIL_TAKEN']);
  });
  test('of ten at once one wins', async () => {
    const p = person();
    const all = await Promise.all(Array.from({ length: 10 }, () => signup(p)));
    assert.deepEqual(all.map((r) => r.status).sort(), [201, ...Array(9).fill(409)]);
  });
  test('common passwords and unborn people are refused', async () => {
    const common = await signup(person({ password: 'password123' }));
    assert.deepEqual([common.status, common.code, common.fields], [400, 'PASSWORD_COMMON', { password: 'COMMON' }]);
    const unborn = await signup(person({ birthDate: '2199-01-01' }));
    assert.deepEqual([unborn.code, unborn.fields], ['INVALID', { birthDate: 'RANGE' }]);
  });
  test('the role of a stranger is never staff or admin', async () => {
    for (const role of ['admin', 'staff', 'service', 'guest']) {
      const rp = await signup(person({ role }));
      assert.deepEqual([rp.status, Object.keys(rp.fields)], [400, ['role']], role);
      assert.match(rp.text, /customer, owner/, 'it says which there are');
    }
  });
});

describe('bodies', () => {
  test('not JSON, no JSON, wrong type', async () => {
    const broken = await j.post('/v1/auth/login', '{"username":');
    assert.deepEqual([broken.status, broken.code], [400, 'MALFORMED']);
    const none = await j.post('/v1/auth/login');
    assert.deepEqual([none.status, none.code], [400, 'MALFORMED']);
    const tooMuch = await (await j.as('minji')).post('/v1/auth/logout', { all: true });
    assert.deepEqual([tooMuch.code, tooMuch.json.detail], ['MALFORMED', '본문 없이 요청해야 합니다.']);
    const form = await j.post('/v1/auth/login', 'username=minji', { headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    assert.deepEqual([form.status, form.code], [415, 'MEDIA_TYPE']);
    const twice = await j.post('/v1/auth/login', '{"username":"minji","username":"admin1","password":"x"}');
    assert.deepEqual([twice.code, twice.fields.username], ['INVALID', 'DUPLICATE']);
    const typed = await j.post('/v1/auth/login', { username: 7, password: ['x'] });
    assert.deepEqual(typed.fields, { username: 'TYPE', password: 'TYPE' });
  });
  test('a problem says where, and in whose language', async () => {
    const ko = await j.post('/v1/auth/login', {});
    assert.equal(ko.header('content-type'), 'application/problem+json');
    assert.equal(ko.json.title, '입력값을 확인해 주세요.');
    assert.equal(ko.json.instance, '/v1/auth/login');
    assert.match(ko.json.traceId, /^[0-9a-f]{32}$/);
    const en = await j.post('/v1/auth/login', {}, { headers: { 'Accept-Language': 'en' } });
    assert.equal(en.json.title, 'Some fields are not valid.');
  });
  test('another method, another path', async () => {
    const method = await j.get('/v1/auth/login');
    assert.deepEqual([method.status, method.code, method.header('allow')], [405, 'METHOD', 'POST']);
    const nothing = await j.get('/v1/auth/nothing');
    assert.deepEqual([nothing.status, nothing.code], [404, 'NOT_FOUND']);
  });
});

describe('login', () => {
  test('gives tokens to the people of the demo world', async () => {
    for (const [username, role, id] of [
      ['minji', 'customer', demoId('customer', 1)],
      ['owner1', 'owner', demoId('owner', 1)],
      ['staff1', 'staff', demoId('staff', 1)],
      ['admin1', 'admin', demoId('admin', 1)],
    ]) {
      const rp = await login(username, PASSWORD);
      assert.equal(rp.status, 200, rp.text);
      assert.equal(rp.header('cache-control'), 'no-store');
      const { user, tokenType, expiresIn, accessToken, refreshToken } = rp.json;
      assert.deepEqual([user.userId, user.username, user.role], [id, username, role]);
      assert.equal(tokenType, 'Bearer');
      assert.match(refreshToken, /^[\w-]{43}$/);
      const c = claims(accessToken);
      assert.deepEqual([c.sub, c.role, c.exp - c.iat], [id, role, expiresIn]);
    }
  });
  test('of one account are limited, those of others go on', { timeout: 60000 }, async () => {
    const [eager, other] = [person(), person()];
    for (const p of [eager, other]) assert.equal((await signup(p)).status, 201);
    let last, good = 0;
    for (; good < 150 && (last = await login(eager.username, eager.password)).status === 200; good++);
    assert.deepEqual([last.status, last.code], [429, 'RATE_LIMITED']);
    assert.ok(good >= 60, `${good} logins`);
    assert.equal(last.header('retry-after'), '1');
    assert.equal((await login(other.username, other.password)).status, 200);
  });
  test('a wrong name and a wrong password look the same', async () => {
    const name = await login(unique(), 'whatever-it-is');
    const word = await login('customer2', 'whatever-it-is');
    const strip = (rp) => ({ ...rp.json, traceId: 0 });
    assert.deepEqual([name.status, name.code], [401, 'CREDENTIALS']);
    assert.deepEqual(strip(name), strip(word));
    assert.equal(name.header('www-authenticate'), 'Bearer');
  });
  test('ten wrong guesses lock this account for this address, not for the right one of others', async () => {
    const p = person();
    await signup(p);
    for (let i = 0; i < 10; i++) assert.equal((await login(p.username, `wrong-${i}`)).code, 'CREDENTIALS');
    const locked = await login(p.username, p.password);
    assert.deepEqual([locked.status, locked.code], [429, 'LOCKED']);
    assert.ok(Number(locked.header('retry-after')) > 60, 'as long as it is locked');
    assert.equal((await login('minji', PASSWORD)).status, 200);
  });
  test('a right guess forgets the wrong ones before it', async () => {
    const p = person();
    await signup(p);
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 6; i++) await login(p.username, 'wrong');
      assert.equal((await login(p.username, p.password)).status, 200);
    }
  });
});

describe('access tokens', () => {
  test('none, garbage, another scheme, a changed role', async () => {
    const none = await j.get('/v1/me');
    assert.deepEqual([none.status, none.code], [401, 'UNAUTHENTICATED']);
    const [head, body, signature] = (await j.as('minji')).token.split('.');
    const forged = Buffer.from(JSON.stringify({ ...claims(`x.${body}.x`), role: 'admin' })).toString('base64url');
    const unsigned = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
    const other = (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1); // always another one, whatever it was
    for (const token of ['garbage', 'a.b.c', `${head}.${forged}.${signature}`, `${unsigned}.${body}.`, `${head}.${body}.${other}`]) {
      const rp = await j.get('/v1/me', { token });
      assert.deepEqual([rp.status, rp.code], [401, 'UNAUTHENTICATED'], token.slice(0, 30));
    }
    const basic = await j.get('/v1/me', { headers: { Authorization: 'Basic bWluamk6eA==' } });
    assert.equal(basic.status, 401);
  });
  test('a bad token is refused even where none is needed', async () => {
    assert.equal((await j.get('/v1/categories', { token: 'garbage' })).status, 401);
  });
  test('the key set verifies them', async () => {
    const config = await j.get('/.well-known/openid-configuration');
    assert.equal(config.status, 200);
    const keys = (await j.get('/.well-known/jwks.json')).json.keys;
    const { token } = await j.as('minji');
    const [head, body, signature] = token.split('.');
    const kid = JSON.parse(Buffer.from(head, 'base64url')).kid;
    const { createPublicKey, verify } = require('node:crypto');
    const key = createPublicKey({ key: keys.find((k) => k.kid === kid), format: 'jwk' });
    assert.ok(verify('RSA-SHA256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url')));
    for (const k of keys) assert.equal(k.d, undefined, 'no private part');
    assert.equal(config.json.issuer, claims(token).iss);
  });
});

describe('refresh', () => {
  test('rotates, and the new tokens work', async () => {
    const first = await j.session('customer3');
    const rp = await refresh(first.refreshToken);
    assert.equal(rp.status, 200);
    assert.notEqual(rp.json.refreshToken, first.refreshToken);
    assert.equal(rp.json.user.userId, first.user.userId);
    assert.equal((await j.get('/v1/me', { token: rp.json.accessToken })).status, 200);
    assert.equal((await refresh(rp.json.refreshToken)).status, 200);
  });
  test('a token used again after its successor ends the whole family, and only it', { skip: alone('a token used again after its successor ends the whole family, and only it') }, async () => {
    const other = await j.session('customer4');
    const first = await j.session('customer4');
    const second = (await refresh(first.refreshToken)).json;
    const third = (await refresh(second.refreshToken)).json;
    const reused = await refresh(first.refreshToken);
    assert.deepEqual([reused.status, reused.code], [401, 'TOKEN_REUSED']);
    assert.equal((await refresh(third.refreshToken)).status, 401, 'the newest one is dead too');
    for (const token of [first.accessToken, second.accessToken, third.accessToken])
      assert.equal((await j.get('/v1/me', { token })).code, 'UNAUTHENTICATED', 'and so are its access tokens');
    assert.equal((await j.get('/v1/me', { token: other.accessToken })).status, 200);
    assert.equal((await refresh(other.refreshToken)).status, 200);
  });
  test('ten at once get the same new token, and it works', async () => {
    const s = await j.session('customer5');
    const all = await Promise.all(Array.from({ length: 10 }, () => refresh(s.refreshToken)));
    assert.deepEqual(all.map((r) => r.status), Array(10).fill(200));
    const tokens = new Set(all.map((r) => r.json.refreshToken));
    assert.equal(tokens.size, 1);
    assert.ok(!tokens.has(s.refreshToken));
    for (const r of all) assert.equal((await j.get('/v1/me', { token: r.json.accessToken })).status, 200);
    assert.equal((await refresh(all[9].json.refreshToken)).status, 200);
  });
  test('unknown and misshapen ones', async () => {
    const unknown = await refresh('A'.repeat(43));
    assert.deepEqual([unknown.status, unknown.code], [401, 'UNAUTHENTICATED']);
    assert.equal((await refresh('!'.repeat(43))).status, 401);
    assert.deepEqual((await refresh('short')).fields, { refreshToken: 'LENGTH_OR_FORMAT' });
  });
});

describe('the end of sessions', () => {
  test('logout ends this one', { skip: alone('logout ends this one') }, async () => {
    const [a, b] = [await j.session('customer6'), await j.session('customer6')];
    const out = await j.post('/v1/auth/logout', undefined, { token: a.accessToken });
    assert.equal(out.status, 204);
    assert.equal((await j.get('/v1/me', { token: a.accessToken })).status, 401);
    assert.equal((await refresh(a.refreshToken)).status, 401);
    assert.equal((await j.get('/v1/me', { token: b.accessToken })).status, 200);
  });
  test('logout-all ends all', { skip: alone('logout-all ends all') }, async () => {
    const all = [await j.session('customer7'), await j.session('customer7')];
    assert.equal((await j.post('/v1/auth/logout-all', undefined, { token: all[0].accessToken })).status, 204);
    for (const s of all) {
      assert.equal((await j.get('/v1/me', { token: s.accessToken })).status, 401);
      assert.equal((await refresh(s.refreshToken)).status, 401);
    }
  });
  test('guesses at the current password are limited', async () => {
    const p = await j.newcomer();
    const put = (currentPassword) => p.put('/v1/auth/password', { currentPassword, newPassword: 'another-good-1' });
    for (let i = 0; i < 10; i++) assert.equal((await put(`wrong-${i}`)).code, 'CREDENTIALS');
    const locked = await put(p.password);
    assert.deepEqual([locked.status, locked.code], [429, 'LOCKED']);
    assert.ok(Number(locked.header('retry-after')) > 0);
    assert.equal((await login(p.username, p.password)).status, 200, 'a login is counted apart');
  });
  test('a new password ends the others and replaces the old one', { skip: alone('a new password ends the others and replaces the old one') }, async () => {
    const p = await j.newcomer();
    const other = await j.session(p.username, p.password);
    const put = (currentPassword, newPassword) => p.put('/v1/auth/password', { currentPassword, newPassword });
    assert.equal((await put('not-it-at-all', 'another-good-1')).code, 'CREDENTIALS');
    assert.deepEqual((await put(p.password, 'password123')).fields, { newPassword: 'COMMON' });
    assert.deepEqual((await put(p.password, 'short')).fields, { newPassword: 'LENGTH_OR_FORMAT' });
    assert.equal((await put(p.password, 'another-good-1')).status, 204);
    assert.equal((await p.get('/v1/me')).status, 200, 'this session goes on');
    assert.equal((await j.get('/v1/me', { token: other.accessToken })).status, 401);
    assert.equal((await login(p.username, p.password)).status, 401);
    assert.equal((await login(p.username, 'another-good-1')).status, 200);
  });
  test('a session survives a restart, an ended one stays ended', { skip: alone('a session survives a restart, an ended one stays ended') }, async () => {
    const kept = await j.session('customer8'), ended = await j.session('customer8');
    await j.post('/v1/auth/logout', undefined, { token: ended.accessToken });
    await j.restart();
    assert.equal((await j.get('/v1/me', { token: kept.accessToken })).status, 200);
    assert.equal((await j.get('/v1/me', { token: ended.accessToken })).status, 401);
  });
});

describe('operators', () => {
  test('list accounts page by page', async () => {
    const admin = await j.as('admin1');
    const seen = [];
    let target = '/v1/admin/users?limit=10';
    while (target) {
      const rp = await admin.get(target);
      assert.equal(rp.status, 200);
      seen.push(...rp.json.items.map((a) => a.userId));
      target = rp.json.nextCursor && `/v1/admin/users?limit=10&cursor=${rp.json.nextCursor}`;
    }
    assert.equal(new Set(seen).size, seen.length);
    assert.ok(seen.length >= 25);
    const one = await admin.get('/v1/admin/users?username=minji');
    assert.deepEqual(one.json.items.map((a) => a.userId), [demoId('customer', 1)]);
    assert.ok(!one.text.includes('assword'));
  });
  test('bad pages', async () => {
    const admin = await j.as('admin1');
    assert.deepEqual((await admin.get('/v1/admin/users?cursor=x')).fields, { cursor: 'FORMAT' });
    for (const [limit, code] of [['0', 'RANGE'], ['101', 'RANGE'], ['9'.repeat(30), 'RANGE'], ['ten', 'FORMAT'], ['1.5', 'FORMAT']])
      assert.deepEqual((await admin.get(`/v1/admin/users?limit=${limit}`)).fields, { limit: code });
    assert.deepEqual((await admin.get('/v1/admin/users?colour=red')).fields, { colour: 'UNKNOWN' });
    assert.deepEqual((await admin.get('/v1/admin/users?limit=1&limit=2')).fields, { limit: 'DUPLICATE' });
  });
  test('others may not', async () => {
    assert.equal((await j.get('/v1/admin/users')).status, 401);
    for (const who of ['minji', 'owner1', 'staff1']) {
      const rp = await (await j.as(who)).get('/v1/admin/users');
      assert.deepEqual([rp.status, rp.code], [403, 'FORBIDDEN'], who);
    }
  });
  test('a ban ends everything at once, and can be taken back', { skip: alone('a ban ends everything at once, and can be taken back') }, async () => {
    const admin = await j.as('admin1'), p = await j.newcomer();
    const ban = (what, body) => admin.post(`/v1/admin/users/${p.userId}/${what}`, body);
    assert.deepEqual((await ban('ban', {})).fields, { reason: 'REQUIRED' });
    assert.equal((await ban('ban', { reason: '사기 신고' })).status, 204);
    assert.equal((await p.get('/v1/me')).status, 401);
    assert.equal((await refresh(p.refreshToken)).status, 401);
    const rp = await login(p.username, p.password);
    assert.deepEqual([rp.status, rp.code], [403, 'FORBIDDEN']);
    assert.equal((await login(p.username, 'not-the-password')).code, 'CREDENTIALS', 'strangers do not learn of it');
    assert.equal((await ban('unban', { reason: '오해였음' })).status, 204);
    assert.equal((await login(p.username, p.password)).status, 200);
  });
  test('nobody bans an operator or a nobody', async () => {
    const admin = await j.as('admin1');
    const self = await admin.post(`/v1/admin/users/${demoId('admin', 1)}/ban`, { reason: 'x' });
    assert.deepEqual([self.status, self.code], [403, 'FORBIDDEN']);
    assert.equal((await admin.post(`/v1/admin/users/${randomUUID()}/ban`, { reason: 'x' })).status, 404);
    assert.deepEqual((await admin.post('/v1/admin/users/7/ban', { reason: 'x' })).fields, { userId: 'FORMAT' });
  });
  test('internal routes are not outside', async () => {
    const admin = await j.as('admin1');
    const target = `/internal/v1/accounts/${demoId('customer', 1)}`;
    assert.equal((await admin.get(target)).status, 404);
    assert.equal((await j.get(target, { at: 'internal' })).status, 401);
    assert.equal((await admin.get(target, { at: 'internal' })).status, 403);
  });
  test('withdrawal reaches the other services', async () => {
    const p = await j.newcomer();
    assert.equal((await p.delete('/v1/me')).status, 204);
    assert.equal((await login(p.username, p.password)).code, 'CREDENTIALS');
    assert.equal((await p.get('/v1/me')).status, 401);
    const again = await signup(person({ username: p.username, email: `${p.username}@example.com` }));
    assert.equal(again.status, 201, 'name and address are free again');
  });
});
