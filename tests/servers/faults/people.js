// people.js -- who orders: the demo world's customers, and as many newcomers as the rate needs.
'use strict';
const assert = require('node:assert/strict');
const { demoId, sleep, randomUUID, PASSWORD } = require('../../api/lib/platform.js');

const DEMO_CUSTOMERS = 20;
const TOGETHER = 8; // signing up or in at the same time
const FRESH_MS = 180000; // a token is good for 15 minutes, and a fault with its load may last 12
const HOME = { label: '집', recipient: '받는 분', phone: '010-0000-0000', address1: '서울 강남구 테헤란로 152', zipCode: '06236',
  latitude: 37.5, longitude: 127.0365 };

async function signIn(load, who) {
  const login = await load.ask('login', 'POST', '/v1/auth/login', { body: { username: who.username, password: who.password } });
  assert.equal(login.status, 200, JSON.stringify(login.body));
  who.token = login.body.accessToken;
  who.signedIn = Date.now();
}

async function newcomer(load, who) {
  who.username = `f${process.pid.toString(36)}_${who.n}`;
  who.password = `good horse ${randomUUID()}`;
  const signup = await load.ask('signup', 'POST', '/v1/auth/signup', { body: { username: who.username, password: who.password, name: '홍길동',
    email: `${who.username}@example.com`, role: 'customer' } });
  // 409: an earlier try was done and its answer lost.
  assert.ok(signup.status === 201 || signup.body.code === 'USERNAME_TAKEN', `signup: ${signup.status} ${JSON.stringify(signup.body)}`);
  await signIn(load, who);
  const added = await load.ask('address', 'POST', '/v1/me/addresses', { token: who.token, key: randomUUID(), body: HOME });
  assert.equal(added.status, 201, JSON.stringify(added.body));
  who.address = added.body.addressId;
}

async function person(load, n) {
  const who = { n, store: 1 + 5 * (n % 8) };
  if (n <= DEMO_CUSTOMERS) {
    Object.assign(who, { username: n === 1 ? 'minji' : `customer${n}`, password: PASSWORD, address: demoId('address', n) });
    await signIn(load, who);
  } else {
    await newcomer(load, who);
  }
  const menu = await load.ask('menu', 'GET', `/v1/stores/${demoId('store', who.store)}/menu-items/${demoId('item', who.store, 3)}`);
  who.optionIds = (menu.body.optionGroups || []).filter((g) => g.min > 0).map((g) => g.options[0].optionId);
  for (let tries = 0; (await load.fill(who)).status !== 201; tries++) { // until the menu has come to the order service
    assert.ok(tries < 300, 'the menu does not come to the order service');
    await sleep(100);
  }
  return who;
}

// `n` people, signed in; those that `known` has already (an array) are kept.
async function gather(load, known, n) {
  let next = 0;
  await Promise.all(Array.from({ length: TOGETHER }, async () => {
    while (next < n) {
      const at = next++;
      if (!known[at]) known[at] = await person(load, at + 1);
      else if (Date.now() - known[at].signedIn > FRESH_MS) await signIn(load, known[at]);
    }
  }));
  return known.slice(0, n);
}

module.exports = { gather };
