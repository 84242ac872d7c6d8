// idle.js URL COUNT TOKEN -- opens so many connections, one request on each, says "open", and keeps them until its input ends.
'use strict';
const net = require('node:net');

const [url, count, token] = process.argv.slice(2);
const { hostname, port, pathname } = new URL(url);
const request = `GET ${pathname} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`;
const open = () => new Promise((done, fail) => {
  const socket = net.connect({ host: hostname, port: Number(port) }, () => socket.write(request));
  socket.once('data', (data) => (/^HTTP\/1\.1 200/.test(data) ? done(socket) : fail(new Error(String(data).slice(0, 200)))));
  socket.on('error', fail);
});

(async () => {
  const all = [];
  while (all.length < Number(count)) all.push(...await Promise.all(Array.from({ length: 50 }, open)));
  console.log('open');
  process.stdin.on('end', () => process.exit(0)).resume();
})().catch((e) => { console.error(e.message); process.exit(1); });
