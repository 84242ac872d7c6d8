// staff.test.js -- staff work on the boards of the stores that an owner gave them, and on no other.
'use strict';
const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const j = require('./lib/jumun.js');
const { demoId } = require('./lib/demo.js');

const people = {};
let world;

before(async () => {
  world = await j.start({ args: ['--demo'] });
  for (const username of ['staff1', 'minji', 'owner1']) {
    const signedIn = await j.want(world, 200, 'POST', '/v1/auth/login', { body: { username, password: 'jumun-demo-1' } });
    people[username] = { token: signedIn.accessToken, userId: signedIn.user.userId };
  }
});
after(async () => {
  if (world) await world.stop();
});

const board = (store) => `/v1/owner/stores/${demoId('store', store)}/orders`;

test('staff see and move the orders of their stores', async () => {
  const { staff1 } = people;
  await j.until(async () => (await world.call('GET', board(1), { token: staff1.token })).status === 200, 'the grants to arrive');
  for (const store of [1, 2, 3]) await j.want(world, 200, 'GET', board(store), { token: staff1.token });
  const stream = await j.follow(world, `${board(1)}/events`, { token: staff1.token });
  assert.equal(stream.status, 200);
  stream.close();
  for (const store of [4, 5, 40]) {
    const reply = await world.call('GET', board(store), { token: staff1.token });
    assert.equal(reply.status, 404, reply.text);
  }
  const stranger = await j.person(world, 'owner');
  assert.equal((await world.call('GET', board(1), { token: stranger.token })).status, 404);
  assert.equal((await world.call('GET', board(1), { token: people.minji.token })).status, 403);
});

test('a board ends with the session it was opened in', async () => {
  const login = async () => (await j.want(world, 200, 'POST', '/v1/auth/login', { body: { username: 'staff1', password: 'jumun-demo-1' } })).accessToken;
  const [here, there] = [await login(), await login()];
  const streams = await Promise.all([here, there].map((token) => j.follow(world, `${board(1)}/events`, { token })));
  assert.deepEqual(streams.map((s) => s.status), [200, 200]);
  await j.want(world, 204, 'POST', '/v1/auth/logout', { token: there });
  await j.until(() => streams[1].closed, 'the stream of who has logged out to end', 20000);
  assert.equal(streams[0].closed, false, 'another session of the same person goes on');
  streams[0].close();
});

test('what they do is theirs in the history', async () => {
  const { staff1, minji } = people;
  const addressId = (await j.want(world, 200, 'GET', '/v1/me/addresses', { token: minji.token })).items[0].addressId;
  const menu = await j.want(world, 200, 'GET', `/v1/stores/${demoId('store', 1)}/menu`);
  const item = menu.sections.flatMap((section) => section.items).find((i) => !i.soldOut && i.priceWon >= 5000);
  const optionIds = item.optionGroups.flatMap((group) => group.options.slice(0, group.min).map((o) => o.optionId));
  const cart = await j.want(world, 201, 'POST', '/v1/cart/items',
    { token: minji.token, body: { menuItemId: item.menuItemId, quantity: 4, optionIds, replace: true } });
  assert.equal(cart.storeId, demoId('store', 1));
  const reply = await world.call('POST', '/v1/orders', { token: minji.token, headers: { prefer: 'wait=5' }, body: { addressId } });
  if (reply.status === 409 && ['STORE_CLOSED', 'STORE_ZONE'].includes(reply.body.code)) return; // at night
  assert.equal(reply.status, 201, reply.text);
  const placed = reply.body;
  assert.equal((await j.confirm(world, minji, placed, await j.authorize(world, placed))).status, 200);
  await j.reaches(world, minji, placed.orderId, 'PAID');
  const accepted = await j.want(world, 200, 'POST', `${board(1)}/${placed.orderId}/accept`, { token: staff1.token, body: { minutes: 25 } });
  assert.equal(accepted.history.at(-1).by, 'staff');
});
