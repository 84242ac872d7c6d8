// behind_proxy.test.js -- who is one client: the peer, or behind proxies of ours the address that the farthest of them saw.
'use strict';
const assert = require('node:assert');
const { test } = require('node:test');
const { start } = require('./lib/jumun');

// How many of ten requests are served when five a minute are allowed; `forwarded(i)` is the header of the i-th.
async function served(world, forwarded) {
  let n = 0;
  for (let i = 0; i < 10; i++) {
    const list = forwarded(i);
    const reply = await world.call('GET', '/v1/none', { headers: list === undefined ? {} : { 'x-forwarded-for': list } });
    assert.ok([404, 429].includes(reply.status), `${reply.status}`);
    n += reply.status === 404;
  }
  return n;
}

const limited = (...args) => start({ args: ['--rate-limit', '5', ...args] });

test('without proxies nobody is believed', async () => {
  const world = await limited();
  assert.equal(await served(world, (i) => `10.0.0.${i}`), 5);
  await world.stop();
});

test('each answer says what is left, and a refusal when to come back', async () => {
  const world = await limited();
  const left = [];
  let last;
  for (let i = 0; i < 7; i++) {
    last = await fetch(`${world.public}/v1/categories`);
    assert.equal(last.headers.get('ratelimit-policy'), '"client";q=5;w=60');
    const [, r, t] = /^"client";r=(\d+);t=(\d+)$/.exec(last.headers.get('ratelimit'));
    left.push(Number(r));
    assert.ok(t >= 1 && t <= 60, t);
  }
  assert.deepEqual(left, [4, 3, 2, 1, 0, 0, 0]);
  assert.equal(last.status, 429);
  const told = await (await fetch(`${world.public}/v1/categories`, { headers: { 'accept-language': 'ko', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' } })).json();
  assert.deepEqual([told.code, told.title, told.traceId], ['RATE_LIMITED', '요청이 너무 잦습니다.', '4bf92f3577b34da6a3ce929d0e0e4736']);
  const retry = Number(last.headers.get('retry-after'));
  assert.ok(retry > 5 && retry <= 12, `one token in 12 s, not ${retry}`);
  await world.stop();
});

test('behind one proxy its own addition counts, and nothing before it', async () => {
  const world = await limited('--proxies', '1');
  assert.equal(await served(world, (i) => `10.0.1.${i}`), 10, 'ten clients');
  assert.equal(await served(world, (i) => `10.0.2.${i}, 10.0.3.1`), 5, 'one client with ten tales');
  assert.equal(await served(world, (i) => `10.0.4.${i},\t2001:db8::1 `), 5, 'the same by IPv6');
  assert.equal(await served(world, (i) => `not ${i} an address`), 5, 'then it is the peer');
  assert.equal(await served(world, () => undefined), 0, 'who has used up its five');
  await world.stop();
});

test('behind two proxies the addition of the farther one counts', async () => {
  const world = await limited('--proxies', '2');
  assert.equal(await served(world, (i) => `10.9.9.9, 10.0.5.${i}, 10.0.0.1`), 10);
  assert.equal(await served(world, (i) => `10.0.6.${i}, 10.0.7.1, 10.0.0.1`), 5);
  assert.equal(await served(world, () => '10.0.8.1'), 5, 'came past the farther one');
  await world.stop();
});

test('whoever has an IPv6 network of 64 bits is one client, however it is written', async () => {
  const world = await limited('--proxies', '1');
  const hex = (i) => (i * 4919).toString(16);
  assert.equal(await served(world, (i) => `2001:db8:1:1:${hex(i)}::${i}`), 5, 'ten addresses of one network');
  assert.equal(await served(world, () => '2001:0DB8:0001:0001:0000:0000:0000:00ff'), 0, 'the same one, at length');
  assert.equal(await served(world, (i) => `2001:db8:1:${hex(i + 2)}::1`), 10, 'ten networks');
  assert.equal(await served(world, (i) => (i % 2 ? '10.3.0.1' : '::ffff:10.3.0.1')), 5, 'IPv4 in either form');
  assert.equal(await served(world, (i) => `::ffff:10.3.1.${i}`), 10, 'and ten of them are ten');
  await world.stop();
});
