// apart.test.js -- each service in its own process: the network between two of them is cut, then each is killed again and again.
'use strict';
const test = require('node:test');
const { Apart, NAMES } = require('./apart_site.js');
const { SHORT, missing, sleep } = require('./site.js');

const options = { skip: missing(), timeout: 300000 };
let site;
test.before(async () => { if (!options.skip) site = await Apart.start({ wires: ['payment>order', 'order>user'] }); });
test.after(() => site && site.stop());

for (const pair of ['payment>order', 'order>user'])
  test(`the network ${pair} swallows everything`, options, () => site.through(`network cut, ${pair}`, async () => {
    site.wires[pair].freeze();
    await sleep(SHORT ? 3000 : 15000);
    site.wires[pair].thaw();
  }));

test('each service is killed and comes back', options, () => site.through('kill -9 of each service in turn', async () => {
  for (let round = 0; round < (SHORT ? 1 : 3); round++) {
    for (const name of NAMES) {
      const [s] = site.services[name];
      await s.kill();
      await sleep(SHORT ? 100 : 500);
      await s.start();
      await sleep(SHORT ? 200 : 500);
    }
  }
}));
