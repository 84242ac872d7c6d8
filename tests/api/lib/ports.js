// ports.js -- ports for processes that must know each other's address before any of them listens.
'use strict';
const net = require('node:net');

// Below those of the servers beside the tests (tests/servers/kafka) and those that the kernel gives to clients. Each test process has blocks
// of them to itself: it holds the first port of a block as long as it runs. So nobody else's choice, nor a look at what is free, comes
// between the choice of a port and its server, or between two lives of it.
const FIRST = 10000, BLOCK = 200, BLOCKS = 50;
let next = 0, end = 0;

// The server that listens there, or null if somebody else does.
function hold(port) {
  return new Promise((done) => {
    const server = net.createServer().once('error', () => done(null));
    server.listen(port, '127.0.0.1', () => done(server));
  });
}

async function takeBlock() {
  const start = Math.floor(Math.random() * BLOCKS);
  for (let i = 0; i < BLOCKS; i++) {
    const first = FIRST + (start + i) % BLOCKS * BLOCK;
    const server = await hold(first);
    if (!server) continue;
    server.unref();
    [next, end] = [first + 1, first + BLOCK];
    return;
  }
  throw new Error(`every block of ports from ${FIRST} on is taken`);
}

// `n` ports on which nothing listens, none of them ever given before by this process.
async function freePorts(n) {
  const ports = [];
  while (ports.length < n) {
    if (next === end) await takeBlock();
    const port = next++, server = await hold(port); // what a process that died left behind may listen
    if (!server) continue;
    await new Promise((done) => server.close(done));
    ports.push(port);
  }
  return ports;
}

module.exports = { freePorts };
