// overload.test.js -- more orders than can be placed: new ones are refused at once, what was begun is finished.
'use strict';
const { after, before, test } = require('node:test');
const assert = require('node:assert/strict');
const { demoId, sleep, until } = require('./lib/platform.js');
const { Till } = require('./lib/till.js');
const { alone } = require('./lib/one_process.js');

let till;
before(async () => { till = await Till.start({ args: ['--slow-threads', '1'] }); });
after(() => till.stop());

// Orders of somebody else, faster than one thread places them, until end() is called; end() gives their answers.
function flood(as) {
  const answers = [];
  let going = true;
  const sender = (async () => {
    while (going) {
      for (let i = 0; i < 10 && answers.length < 3000; i++) answers.push(till.p.place(as, 2));
      await sleep(10);
    }
  })();
  return { end: async () => { going = false; await sender; return Promise.all(answers); } };
}

function busy(r) {
  assert.equal(r.status, 503, JSON.stringify(r.body));
  assert.equal(r.body.code, 'BUSY');
  assert.match(r.headers.get('retry-after') || 'none', /^[1-9]\d*$/);
}

test('under too many orders payments go through, new orders and carts are refused', async () => {
  const order = await till.order();
  const paymentKey = await till.authorize(order);
  const stranger = await till.stranger();
  assert.equal((await till.p.addToCart(stranger, 1, 2)).status, 201);
  const refused = (what, call) => until(`${what} to be refused`, async () => {
    const r = await call();
    if (r.status === 503) busy(r);
    return r.status === 503;
  });

  const orders = flood(stranger);
  let answers = [];
  try {
    await refused('an order', () => till.p.place(till.minji, 1));
    // Neither token nor body is looked at: either would have been another answer.
    if (!alone('an order of nobody is refused before its token is looked at'))
      await refused('an order of nobody', () => till.p.request('POST', '/v1/orders', { as: { token: 'none' }, raw: '{' }));
    await refused('a cart', () => till.p.post('/v1/cart/items', { menuItemId: demoId('item', 1, 1), quantity: 1 }, { as: till.minji }));

    const paid = await till.confirm(order, paymentKey);
    assert.equal(paid.status, 200, JSON.stringify(paid.body));
    assert.equal(paid.body.status, 'CAPTURED');
    await till.reaches(order, 'PAID');
    assert.equal((await till.act(order, 'accept', { minutes: 30 })).status, 200);
  } finally {
    answers = await orders.end();
  }

  const placed = answers.filter((r) => r.status === 201);
  const shed = answers.filter((r) => r.status !== 201);
  shed.forEach(busy);
  assert.ok(placed.length > 0 && shed.length > 0, `${placed.length} placed, ${shed.length} refused`);
  const counted = /^jumun_http_shed_total (\d+)$/m.exec((await till.p.get('/metrics', { base: till.p.internal })).body);
  assert.ok(Number(counted[1]) >= shed.length, counted[0]);
  // Counted, not told line by line.
  const lines = till.p.log.split('\n').filter((line) => /too much to do/.test(line)).length;
  assert.ok(lines >= 1 && lines < 60, `${lines} lines of the log`);
  assert.doesNotMatch(till.p.log, /POST \/v1\/orders 503/);

  assert.equal((await till.p.addToCart(till.minji, 1, 1)).status, 201, 'ordinary again');
  assert.equal((await till.p.place(till.minji, 1)).status, 201, 'ordinary again');
  await till.balanced();
});
