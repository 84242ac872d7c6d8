// gateway.test.js -- the gateway in front of back ends that behave oddly: what goes through, what is told, what is tried again.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');
const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const { startGateway } = require('./lib/gateway.js');
const { start } = require('./lib/jumun.js');
const { demoId } = require('./lib/platform.js');

const closers = [];
test.after(async () => { for (const close of closers.reverse()) await close(); });
const kept = async (thing, close) => { closers.push(close); return thing; };

// A back end on a raw socket: `answer(socket, head, n)` for each request head that comes in on it.
async function raw(answer) {
  const seen = [];
  const sockets = new Set();
  const server = net.createServer((socket) => {
    let text = '';
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (data) => {
      text += data.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = text.slice(0, end);
      text = text.slice(end + 4);
      seen.push(head);
      answer(socket, head, seen.length);
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const back = { url: `http://127.0.0.1:${server.address().port}`, seen, sockets,
    stop: () => new Promise((done) => { for (const s of sockets) s.destroy(); server.close(done); }) };
  return kept(back, back.stop);
}

async function backend(handler) {
  const server = http.createServer(handler);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const back = { url: `http://127.0.0.1:${server.address().port}`, server,
    stop: () => new Promise((done) => { server.closeAllConnections(); server.close(done); }) };
  return kept(back, back.stop);
}

async function front(upstreams, options = {}) {
  const args = ['--gateway-routes', '/x=odd', ...(options.args || [])];
  const g = await startGateway(upstreams, { args });
  return kept(g, g.stop);
}

// Bytes in, bytes out, until the connection ends or `enough` says so.
function talk(url, bytes, { enough = () => false, ms = 5000, half = false } = {}) {
  const { port } = new URL(url);
  return new Promise((done, fail) => {
    let text = '';
    const socket = net.connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true }, () => {
      if (half) socket.end(bytes, 'latin1');
      else socket.write(bytes, 'latin1');
    });
    const end = (closed) => { clearTimeout(timer); socket.destroy(); done({ text, closed }); };
    const timer = setTimeout(() => fail(new Error(`no end: ${JSON.stringify(text.slice(0, 300))}`)), ms);
    socket.on('data', (data) => { text += data.toString('latin1'); if (enough(text)) end(false); });
    socket.on('end', () => end(true));
    socket.on('error', () => end(true));
  });
}
const get = (path, more = '') => `GET ${path} HTTP/1.1\r\nHost: shop.example\r\n${more}\r\n`;
const last = 'Connection: close\r\n';
const status = ({ text }) => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
const bodyOf = ({ text }) => text.slice(text.indexOf('\r\n\r\n') + 4);

test('what a request loses and gains on its way', async () => {
  const back = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const g = await front(`odd=${back.url}`);
  await talk(g.public, get('/x/a?b=%20c', `X-User-Id: admin\r\nx-user-role: admin\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9
X-Real-IP: 9.9.9.9\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nSecret: s\r\nProxy-Authorization: Basic x
Jumun-Deadline-Ms: 1\r\nX-HTTP-Method-Override: DELETE\r\nAccept: text/plain\r\nConnection: close, Secret, Host, upgrade\r\n`
    .replace(/\r?\n/g, '\r\n')));
  const head = back.seen[0];
  assert.match(head, /^GET \/x\/a\?b=%20c HTTP\/1\.1\r\n/);
  for (const gone of ['user', '9.9.9.9', 'keep-alive', '\r\nte:', 'upgrade', 'secret', 'proxy-', 'jumun-', 'override', 'connection']) {
    assert.ok(!head.toLowerCase().includes(gone), `${gone} in ${head}`);
  }
  assert.match(head, /\r\nHost: shop\.example\r\n/);
  assert.match(head, /\r\nAccept: text\/plain\r\n/);
  assert.match(head, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Proto: http\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]\r\nVia: 1\.1 jumun$/);
});

test('behind a proxy that is trusted the chain grows', async () => {
  const back = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const g = await front(`odd=${back.url}`, { args: ['--proxies', '1'] });
  const trace = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  await talk(g.public, get('/x', `X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-Proto: https\r\ntraceparent: ${trace}\r\n${last}`));
  assert.match(back.seen[0], /X-Forwarded-For: 9\.9\.9\.9, 8\.8\.8\.8, 127\.0\.0\.1\r\nX-Forwarded-Proto: https\r\ntraceparent: 00-a{32}-/);
});

// What a back end sends, and what a client of HTTP/1.1 gets.
const answers = {
  'a length': ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nhello', 200, 'hello'],
  'chunks with extensions and trailers': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\nT: 1\r\n\r\n', 200, '5\r\nhello\r\n0\r\n\r\n', true],
  'until it closes': ['HTTP/1.1 200 OK\r\n\r\nhello', 200, '5\r\nhello\r\n0\r\n\r\n', true, 'end'],
  'an interim answer first': ['HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n', 204, ''],
  'not modified': ['HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 500\r\n\r\n', 304, ''],
  'HTTP/1.0': ['HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 200, 'ok', false, 'end'],
  'no reason': ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', 200, 'ok'],
  'two lengths': ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello', 502],
  'length and chunks': ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 502],
  'another coding': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 502],
  'a folded field': ['HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n', 502],
  'a bare line feed': ['HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n', 502],
  'a switch of protocols': ['HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n', 502],
  'rubbish': ['SSH-2.0-OpenSSH_9.2\r\n', 502],
  'a head without end': [`HTTP/1.1 200 OK\r\nA: ${'a'.repeat(17000)}`, 502],
  'an end before its head': ['HTTP/1.1 200 OK\r\nContent-Le', 502, undefined, false, 'end'],
  'nothing': ['', 502, undefined, false, 'end'],
};
test('answers of every framing', async () => {
  for (const [what, [bytes, wanted, body, chunked, then]] of Object.entries(answers)) {
    const back = await raw((s) => { s.write(bytes); if (then === 'end') s.end(); });
    const g = await front(`odd=${back.url}`);
    const got = await talk(g.public, get('/x', last));
    assert.equal(status(got), wanted, `${what}: ${got.text}`);
    if (body !== undefined) assert.equal(bodyOf(got), body, what);
    assert.equal(/transfer-encoding: chunked/i.test(got.text), Boolean(chunked), `${what}: ${got.text}`);
    if (wanted === 502) assert.match(got.text, /"code":"UPSTREAM".*"instance":"\/x"/);
    if (what === 'a length') assert.match(got.text, /Set-Cookie: a=1\r\nSet-Cookie: b=2/);
  }
});

test('a part is never taken for the whole', async () => {
  for (const bytes of ['HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n']) {
    const back = await raw((s) => { s.write(bytes); setTimeout(() => s.destroy(), 100); });
    const g = await front(`odd=${back.url}`);
    const got = await talk(g.public, get('/x'));
    assert.ok(got.closed);
    assert.ok(!bodyOf(got).endsWith('0\r\n\r\n'), got.text);
  }
});

test('a reset is not the end of an answer that ends with its connection', async () => {
  const back = await raw((s) => { s.write('HTTP/1.1 200 OK\r\n\r\nhello'); setTimeout(() => s.resetAndDestroy(), 100); });
  const g = await front(`odd=${back.url}`);
  const got = await talk(g.public, get('/x'));
  assert.match(got.text, /hello/);
  assert.ok(!got.text.includes('0\r\n\r\n'), got.text);
});

test('old clients get what they understand', async () => {
  const back = await raw((s) => s.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'));
  const g = await front(`odd=${back.url}`);
  const got = await talk(g.public, 'GET /x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n');
  assert.match(got.text, /^HTTP\/1\.1 200 OK\r\nConnection: close\r\n\r\nhello$/);
});

test('HEAD has the fields and no body, and the connection goes on', async () => {
  const back = await raw((s, head) => s.write(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${head.startsWith('HEAD') ? '' : 'hello'}`));
  const g = await front(`odd=${back.url}`);
  const got = await talk(g.public, `HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n${get('/x', last)}`);
  assert.deepEqual(got.text.match(/Content-Length: \d+|hello/g), ['Content-Length: 5', 'Content-Length: 5', 'hello']);
  assert.equal(back.sockets.size, 1, 'and so does the one behind');
});

test('a body streams both ways, with room for a few blocks only', { timeout: 30000 }, async () => {
  let taken = 0;
  let paused = true;
  const back = await backend((request, reply) => {
    reply.writeHead(200, { 'content-type': 'application/octet-stream' });
    request.on('data', (data) => { taken += data.length; });
    request.pause();
    setTimeout(() => { paused = false; request.pipe(reply); }, 600);
  });
  const g = await front(`odd=${back.url}`);
  const sent = crypto.randomBytes(4_900_000);
  const hash = crypto.createHash('sha256');
  let got = 0;
  const request = http.request(`${g.public}/x`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' } });
  const answer = new Promise((done, fail) => { request.on('response', done); request.on('error', fail); });
  request.end(sent); // chunked
  await sleep(400);
  assert.ok(paused && taken < 2_500_000, `${taken} bytes were taken by somebody who does not read`);
  const reply = await answer;
  for await (const data of reply) { hash.update(data); got += data.length; }
  assert.equal(got, sent.length);
  assert.equal(hash.digest('hex'), crypto.createHash('sha256').update(sent).digest('hex'));
});

test('too large a body is refused, told or not', async () => {
  const back = await raw(() => {});
  const g = await front(`odd=${back.url}`);
  const told = await talk(g.public, 'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 6000000\r\n\r\n');
  assert.equal(status(told), 413);
  assert.match(told.text, /at most \d+ bytes here/);
  const chunk = `10000\r\n${'x'.repeat(65536)}\r\n`;
  const untold = await talk(g.public, `POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(90)}`);
  assert.equal(status(untold), 413);
});

test('whoever waits for 100 gets it', async () => {
  const back = await backend((request, reply) => request.pipe(reply));
  const g = await front(`odd=${back.url}`);
  const { port } = new URL(g.public);
  const socket = net.connect(Number(port), '127.0.0.1');
  let text = '';
  socket.on('data', (data) => {
    text += data;
    if (text === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write('hello');
  });
  socket.write('POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n');
  await new Promise((done) => socket.on('close', done));
  assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[^]*hello/);
});

test('an answer before the request is over ends the connection after it', async () => {
  const back = await raw((s) => s.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno'));
  const g = await front(`odd=${back.url}`);
  const got = await talk(g.public, 'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf');
  assert.equal(status(got), 401);
  assert.match(got.text, /Connection: close/);
});

test('events arrive one by one; who leaves is noticed', async () => {
  let left;
  const gone = new Promise((done) => { left = done; });
  const back = await backend((request, reply) => {
    reply.writeHead(200, { 'content-type': 'text/event-stream' });
    reply.write('data: 1\n\n');
    setTimeout(() => reply.write('data: 2\n\n'), 300);
    reply.on('close', left);
  });
  const g = await front(`odd=${back.url}`);
  const from = Date.now();
  await talk(g.public, get('/x'), { enough: (text) => text.includes('data: 1') });
  assert.ok(Date.now() - from < 250, 'nothing is kept back');
  await talk(g.public, get('/x'), { enough: (text) => text.includes('data: 2') });
  await gone;
});

test('half-closed clients get their answer', async () => {
  const back = await raw((s) => setTimeout(() => s.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'), 100));
  const g = await front(`odd=${back.url}`);
  assert.equal(bodyOf(await talk(g.public, get('/x'), { half: true })), 'hello');
  let taken = 0;
  const slow = await backend((request, reply) => {
    request.on('data', (data) => { taken += data.length; }).on('end', () => reply.end('done')).pause();
    setTimeout(() => request.resume(), 200);
  });
  const h = await front(`odd=${slow.url}`);
  const body = 'x'.repeat(3_000_000);
  const got = await talk(h.public, `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`, { half: true });
  assert.equal(status(got), 200, 'what was sent before it closed its half is all there');
  assert.equal(taken, body.length);
});

test('silence is a 503 in time, and said so', async () => {
  const back = await raw(() => {});
  const g = await front(`odd=${back.url}`, { args: ['--gateway-answer', '300'] });
  const got = await talk(g.public, get('/x', 'Accept-Language: en\r\n' + last));
  assert.equal(status(got), 503);
  assert.match(got.text, /"code":"DEADLINE"/);
});

test('only what is safe is sent again', { timeout: 40000 }, async () => {
  const issuer = ['--issuer', 'http://jumun.test'];
  const world = await start({ args: ['--demo', ...issuer] });
  closers.push(world.stop);
  const login = await world.call('POST', '/v1/auth/login', { body: { username: 'minji', password: 'jumun-demo-1' } });
  const token = `Authorization: Bearer ${login.body.accessToken}\r\n`;
  const cut = async (request) => {
    const bad = await raw((s) => s.destroy());
    const good = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    const g = await front(['odd', 'user', 'order'].map((name) => `${name}=${bad.url}|${good.url}`).join(',') + `,auth=${world.behind || world.public}`,
      { args: issuer });
    for (let i = 0; status(await talk(g.public, get('/v1/admin/orders', token + last))) === 503; i++) {
      assert.ok(i < 100, 'the keys of auth');
      await sleep(50);
    }
    const got = [];
    for (let i = 0; i < 4; i++) got.push(status(await talk(g.public, request)));
    return { got: got.sort(), bad: bad.seen.length, good: good.seen.length };
  };
  const post = (path, more) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n${more}${last}\r\n{}`;
  const key = 'Idempotency-Key: 1\r\n';
  const twice = { got: [200, 200, 200, 200], bad: 2, good: 4 };
  const once = { got: [200, 200, 502, 502], bad: 2, good: 2 };
  assert.deepEqual(await cut(get('/x', last)), twice);
  assert.deepEqual(await cut(post('/v1/me/addresses', token + key)), twice, 'its key makes one of two');
  assert.deepEqual(await cut(post('/v1/cart/items', key)), once, 'a guest has no key that counts');
  assert.deepEqual(await cut(post('/x', key)), once, 'who knows what it means to others');
  assert.deepEqual(await cut(post('/x', '')), once);
});

test('nobody there: the next one, without a word; nobody at all: 503', async () => {
  const good = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const g = await front(`odd=http://127.0.0.1:1|${good.url}`);
  for (let i = 0; i < 10; i++) {
    const got = await talk(g.public, `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n${last}\r\n{}`);
    assert.equal(status(got), 200, 'not sent is not sent twice');
  }
  await good.stop();
  const got = await talk(g.public, get('/x', last));
  assert.equal(status(got), 503);
  assert.match(got.text, /Retry-After: 1\r\n[^]*"code":"UNAVAILABLE"/);
});

test('a kept connection that the back end closed costs nobody a request', async () => {
  const back = await raw((s) => { s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'); setTimeout(() => s.end(), 50); });
  const g = await front(`odd=${back.url}`);
  for (let i = 0; i < 5; i++) {
    assert.equal(status(await talk(g.public, `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n${last}\r\n{}`)), 200);
    await sleep(100);
  }
  assert.equal(back.seen.length, 5);
});

test('who keeps failing is put out for a while', { timeout: 20000 }, async () => {
  let ill = true;
  const bad = await raw((s) => s.write(`HTTP/1.1 ${ill ? 500 : 200} X\r\nContent-Length: 0\r\n\r\n`));
  const good = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const g = await front(`odd=${bad.url}|${good.url}`);
  const ask = async (n) => { const all = []; for (let i = 0; i < n; i++) all.push(status(await talk(g.public, get('/x', last)))); return all; };
  const first = await ask(30);
  assert.equal(first.filter((s) => s === 500).length, 5, `${first}`);
  ill = false;
  await sleep(1100);
  await ask(4);
  const before = bad.seen.length;
  await ask(10);
  assert.equal(bad.seen.length - before, 5, 'it is back');
  const text = await (await fetch(`${g.internal}/metrics`)).text();
  assert.match(text, /jumun_gateway_targets_put_out_total\{service="odd"\} 1/);
});

test('a canary gets its share', async () => {
  const old = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const canary = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const g = await front(`odd=${old.url}*90|${canary.url}*10`);
  for (let i = 0; i < 100; i++) await talk(g.public, get('/x', last));
  assert.equal(canary.seen.length, 10);
});

test('tokens are looked at here; back ends of others are told who it is', { timeout: 40000 }, async () => {
  const world = await start({ args: ['--demo', '--issuer', 'http://jumun.test'] });
  closers.push(world.stop);
  const back = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const g = await front(`odd=${back.url},*=${world.behind || world.public}`, { args: ['--issuer', 'http://jumun.test'] });
  const ask = async (where, token) => (await fetch(g.public + where, { headers: token ? { authorization: `Bearer ${token}` } : {} })).status;
  const login = await fetch(`${g.public}/v1/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'minji', password: 'jumun-demo-1' }) });
  const { accessToken } = await login.json();
  assert.equal(await ask('/v1/me', accessToken), 200);
  assert.equal(await ask('/v1/me'), 401);
  assert.equal(await ask('/v1/me', `${accessToken}x`), 401);
  assert.equal(await ask('/v1/owner/stores', accessToken), 403);
  assert.equal(await ask('/internal/v1/jwks', accessToken), 404, 'nothing internal has a way in');
  assert.equal(await ask('/metrics', accessToken), 404);
  assert.equal(await ask('/x/y', accessToken), 200);
  assert.equal(await ask('/x'), 200, 'without a token it is a guest');
  assert.equal(await ask('/x/y', 'rubbish'), 401);
  assert.match(back.seen[0], /X-User-Id: [0-9a-f-]{36}\r\nX-User-Role: customer/);
  assert.doesNotMatch(back.seen[1], /X-User/);
  assert.equal(await ask('/xyz'), 404);
  for (const where of ['/x/../v1/me', '/x/%2e%2e/v1', '/x//y', '/x/%2F']) {
    const got = await talk(g.public, get(where, last));
    assert.equal(status(got), 404, where);
  }
  const contract = await (await fetch(`${g.public}/openapi.json`)).json();
  for (const path of ['/v1/auth/login', '/v1/me', '/v1/stores', '/v1/orders', '/v1/payments/confirm']) assert.ok(contract.paths[path], path);
});

test('services are found by the registry, and missed when they have left it', { timeout: 60000 }, async () => {
  const registry = await start({ args: ['--discovery-listen', '127.0.0.1:0'] });
  closers.push(registry.stop);
  const discovery = ['--discovery', `${registry.discovery}/eureka`, '--discovery-renew', '1'];
  const world = await start({ args: ['--demo', ...discovery] });
  closers.push(() => world.stop());
  const g = await startGateway('*=http://127.0.0.1:1', { args: discovery });
  closers.push(g.stop);
  const ask = async () => (await fetch(`${g.public}/v1/stores?limit=1`)).status;
  for (let i = 0; await ask() !== 200; i++) {
    assert.ok(i < 150, g.log);
    await sleep(100);
  }
  const text = await (await fetch(`${g.internal}/metrics`)).text();
  assert.match(text, /jumun_gateway_targets\{service="store"\} 1/);
});

test('one client is limited, and for passwords sooner', async () => {
  const back = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const g = await front(`odd=${back.url},auth=${back.url}`, { args: ['--rate-limit', '60', '--proxies', '1'] });
  const many = async (request, n) => {
    const all = [];
    for (let i = 0; i < n; i++) all.push(status(await talk(g.public, request)));
    return all.filter((s) => s === 429).length;
  };
  const from = (ip) => `X-Forwarded-For: ${ip}\r\n${last}`;
  assert.ok(await many(get('/x', from('1.1.1.1')), 80) >= 15);
  assert.equal(await many(get('/x', from('1.1.1.2')), 10), 0, 'another client is not');
  for (let got = {}; status(got) !== 429;) {
    got = await talk(g.public, `POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n${from('1.1.1.4')}\r\n{}`);
    if (status(got) === 429) assert.match(got.text, /\r\nRetry-After: [3-6]\r\n/, 'ten a minute: one in six seconds');
  }
  const login = `POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n${from('1.1.1.3')}\r\n{}`;
  assert.ok(await many(login, 20) >= 8);
});

test('a proxy in front of us is still to be seen behind us', async () => {
  const back = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const g = await front(`odd=${back.url}`);
  await talk(g.public, get('/x', `Via: 1.0 fred, 1.1 p.example\r\nVia: 2 edge\r\n${last}`));
  await talk(g.public, `GET /x HTTP/1.0\r\nHost: a\r\n\r\n`);
  const via = back.seen.map((head) => head.split('\r\n').filter((l) => /^via:/i.test(l)));
  assert.deepEqual(via, [['Via: 1.0 fred, 1.1 p.example, 2 edge, 1.1 jumun'], ['Via: 1.0 jumun']]);
});

test('a 503 that says when to come back is no failure, one that does not is', { timeout: 20000 }, async () => {
  for (const [what, field, out] of [['with Retry-After', 'Retry-After: 1\r\n', 0], ['without', '', 1]]) {
    const back = await raw((s) => s.write(`HTTP/1.1 503 Service Unavailable\r\n${field}Content-Length: 0\r\n\r\n`));
    const g = await front(`odd=${back.url}`);
    for (let i = 0; i < 12; i++) assert.equal(status(await talk(g.public, get('/x', last))), 503);
    assert.equal(back.seen.length, out ? 5 : 12, what);
    const text = await (await fetch(`${g.internal}/metrics`)).text();
    assert.match(text, new RegExp(`jumun_gateway_targets_put_out_total\\{service="odd"\\} ${out}\\b`), what);
  }
});

test('a refusal of our own says how much of the limit is left', async () => {
  const g = await front('odd=http://127.0.0.1:1', { args: ['--rate-limit', '20'] });
  const first = await fetch(`${g.public}/v1/me`);
  assert.equal(first.status, 401);
  assert.equal(first.headers.get('ratelimit-policy'), '"client";q=20;w=60');
  assert.equal(first.headers.get('ratelimit'), '"client";r=19;t=3');
  let reply = first;
  for (let i = 0; i < 40 && reply.status !== 429; i++) reply = await fetch(`${g.public}/v1/me`);
  assert.equal(reply.status, 429);
  assert.match(reply.headers.get('ratelimit'), /^"client";r=0;t=[1-3]$/);
  assert.match(reply.headers.get('retry-after'), /^[1-3]$/);
});

// The same at the gateway and where there is none.
const SHOP = 'https://shop.example', STRANGER = 'https://other.example';
const preflight = (origin, method = 'POST') => ({ method: 'OPTIONS', headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'authorization,content-type' } });
async function pagesOfOtherOrigins(at) {
  const list = (reply, name) => (reply.headers.get(name) || '').split(/, */).filter(Boolean);
  let reply = await fetch(`${at}/v1/auth/login`, preflight(SHOP));
  assert.equal(reply.status, 204);
  assert.equal(reply.headers.get('access-control-allow-origin'), SHOP);
  assert.deepEqual(list(reply, 'access-control-allow-methods'), ['POST']);
  for (const name of ['Authorization', 'Content-Type', 'Idempotency-Key', 'If-Match', 'Jumun-Cart', 'Prefer']) assert.ok(list(reply, 'access-control-allow-headers').includes(name), name);
  assert.equal(reply.headers.get('access-control-max-age'), '600');
  assert.equal(reply.headers.get('access-control-allow-credentials'), null);
  for (const name of ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers']) assert.ok(list(reply, 'vary').includes(name), name);
  for (const [where, init, wanted] of [['/v1/auth/login', preflight(STRANGER), 403], ['/v1/auth/login', preflight(`${SHOP}.evil.example`), 403],
    ['/v1/auth/login', preflight('null'), 403], ['/no/such/path', preflight(SHOP), 404], ['/internal/v1/jwks', preflight(SHOP), 404]]) {
    reply = await fetch(at + where, init);
    assert.equal(reply.status, wanted, `${where} ${init.headers.origin}`);
    assert.equal(reply.headers.get('access-control-allow-origin'), wanted === 404 ? SHOP : null);
  }
  // What is answered after it, well or not, the page may read; another one may not, and what it changes is refused.
  const login = (origin, username = 'minji') => fetch(`${at}/v1/auth/login`, { method: 'POST', headers: { origin, 'content-type': 'application/json' }, body: JSON.stringify({ username, password: 'jumun-demo-1' }) });
  reply = await login(SHOP);
  assert.equal(reply.status, 200, await reply.clone().text());
  assert.equal(reply.headers.get('access-control-allow-origin'), SHOP);
  assert.ok(list(reply, 'access-control-expose-headers').includes('ETag'));
  assert.ok(list(reply, 'vary').includes('Origin'));
  const { accessToken } = await reply.json();
  reply = await fetch(`${at}/v1/me`, { headers: { origin: SHOP, authorization: `Bearer ${accessToken}x` } });
  assert.deepEqual([reply.status, reply.headers.get('access-control-allow-origin')], [401, SHOP]);
  reply = await login(STRANGER);
  assert.deepEqual([reply.status, (await reply.json()).code, reply.headers.get('access-control-allow-origin')], [403, 'ORIGIN', null]);
  for (const headers of [{}, { origin: STRANGER }]) {
    reply = await fetch(`${at}/v1/stores`, { headers });
    assert.deepEqual([reply.status, reply.headers.get('access-control-allow-origin'), list(reply, 'vary').includes('Origin')], [200, null, true]);
  }
  reply = await fetch(`${at}/openapi.json`, { headers: { origin: SHOP } });
  assert.deepEqual([reply.status, reply.headers.get('access-control-allow-origin')], [200, SHOP]);
  const owner = await (await login(SHOP, 'owner1')).json();
  const cut = new AbortController();
  reply = await fetch(`${at}/v1/owner/stores/${demoId('store', 1)}/orders/events`,
    { headers: { origin: SHOP, accept: 'text/event-stream', authorization: `Bearer ${owner.accessToken}` }, signal: cut.signal });
  assert.deepEqual([reply.status, reply.headers.get('content-type'), reply.headers.get('access-control-allow-origin')], [200, 'text/event-stream', SHOP]);
  cut.abort();
}

test('pages of origins that were named may call, and no others', { timeout: 40000 }, async () => {
  const origins = ['--cors-origins', `${SHOP}, http://localhost:5173`];
  const plain = await start({ args: ['--demo', '--issuer', 'http://jumun.test'] });
  closers.push(plain.stop);
  const g = await front(`*=${plain.behind || plain.public}`, { args: ['--issuer', 'http://jumun.test', ...origins] });
  await pagesOfOtherOrigins(g.public);
  const alone = await start({ args: ['--demo', ...origins] });
  closers.push(alone.stop);
  await pagesOfOtherOrigins(alone.behind || alone.public);
  // Where none are named nothing is said.
  const at = plain.behind || plain.public;
  assert.equal((await fetch(`${at}/v1/auth/login`, preflight(SHOP))).status, 403);
  const reply = await fetch(`${at}/v1/stores`, { headers: { origin: SHOP } });
  assert.deepEqual([reply.status, reply.headers.get('access-control-allow-origin'), reply.headers.get('vary')], [200, null, null]);
});

test('a back end\'s own word about origins does not count, and an event stream may be followed', async () => {
  const back = await raw((s) => s.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nAccess-Control-Allow-Origin: *\r\nVary: Accept\r\n\r\ndata: 1\n\n'));
  const g = await front(`odd=${back.url}`, { args: ['--cors-origins', SHOP] });
  const { text } = await talk(g.public, get('/x', `Origin: ${SHOP}\r\n`), { enough: (t) => t.includes('data: 1') });
  assert.deepEqual(text.match(/^(Access-Control-Allow-Origin|Vary): .*$/gm), ['Vary: Accept', 'Vary: Origin', `Access-Control-Allow-Origin: ${SHOP}`]);
  assert.doesNotMatch(back.seen[0], /^Origin:/m, 'the question was answered here');
});

test('SIGTERM: what is in flight ends well, nobody new comes, streams end', { timeout: 20000 }, async () => {
  const back = await raw((s, head) => {
    if (head.includes('/slow')) setTimeout(() => s.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'), 700);
    else s.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n');
  });
  const g = await startGateway(`odd=${back.url}`, { args: ['--gateway-routes', '/x=odd'] });
  const slow = talk(g.public, get('/x/slow'));
  const stream = talk(g.public, get('/x/events'));
  const idle = talk(g.public, '');
  await sleep(200);
  const from = Date.now();
  const exit = g.stop();
  const got = await slow;
  assert.equal(bodyOf(got), 'hello');
  assert.match(got.text, /Connection: close/);
  await stream;
  await idle;
  assert.deepEqual(await exit, { code: 0, signal: null });
  assert.ok(Date.now() - from < 5000);
  assert.equal(status(await talk(g.public, get('/x')).catch(() => ({ text: '' }))) || 0, 0);
});

test('what is wrong with its settings is named', async () => {
  await assert.rejects(startGateway('auth=ftp://a'), /is no address; expected http:\/\/HOST:PORT\[\*WEIGHT\]/);
  for (const odd of ['*', 'https://a.example/', 'a.example', 'https://A.example', 'https://a.example,'])
    await assert.rejects(startGateway('auth=http://a:1', { args: ['--cors-origins', odd] }), /--cors-origins: ".*" is no origin; expected https:/, odd);
  await assert.rejects(startGateway('auth=http://a:1*5000'), /is no address/);
  await assert.rejects(startGateway('odd=http://127.0.0.1:1', { args: ['--gateway-routes', 'x=odd'] }), /"x=odd" is not \/PATH=NAME/);
});
