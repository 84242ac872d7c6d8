// one_host.test.js -- the proxy of docs/operations/one-host.md as it is written there, but for TLS: browsers write, streams flow.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Platform, ROOT, until } = require('./lib/platform.js');
const { proxy, installed, nginx_around } = require('./lib/proxies.js');

const options = { skip: !installed('nginx') && 'needs nginx', timeout: 60000 };

// The documented block on another port, before another address, in plain HTTP.
function asWritten({ port, back, dir }) {
  const doc = fs.readFileSync(path.join(ROOT, 'docs/operations/one-host.md'), 'utf8');
  let block = doc.split('```nginx\n')[1].split('```')[0].replace(/^ *ssl_.*\n/gm, '');
  for (const [is, other] of [['127.0.0.1:8080', back], ['443 ssl', `127.0.0.1:${port}`]]) {
    assert.ok(block.includes(is), `${is} is in the block`);
    block = block.replace(is, other);
  }
  return nginx_around(dir, block);
}

test('behind the documented nginx', options, async (t) => {
  const p = await Platform.start({ args: ['--proxies', '1'] });
  let gate;
  t.after(async () => {
    if (gate) await gate.stop();
    await p.stop();
  });
  gate = await proxy('nginx', p.public, asWritten);
  p.public = gate.url;
  const minji = await p.login('minji');

  const write = (origin) => p.post('/v1/auth/login', { username: 'minji', password: 'jumun-demo-1' }, { headers: { origin } });
  assert.equal((await write('https://127.0.0.1')).status, 200, 'a page of the host itself');
  assert.equal((await write('https://elsewhere.example')).body.code, 'ORIGIN');

  await p.addToCart(minji, 1, 1);
  const { body: order } = await p.place(minji, 1);
  const stream = await fetch(`${gate.url}/v1/orders/${order.orderId}/events`, { headers: { authorization: `Bearer ${minji.token}`, accept: 'text/event-stream' } });
  assert.equal(stream.status, 200);
  const reader = stream.body.getReader();
  let said = '';
  await until('the stream\'s first event', async () => {
    said += Buffer.from((await reader.read()).value).toString();
    return /^event: /m.test(said);
  }, 5000);
  await reader.cancel();
});
