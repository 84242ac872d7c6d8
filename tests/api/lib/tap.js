// tap.js -- a wire between a proxy and jumun that counts what jumun answered and keeps what the proxy sent it.
'use strict';
const net = require('node:net');

// jumun's bodies are JSON or empty: these stand in no other place than a head.
const marks = /HTTP\/1\.1 (\d{3}) [A-Z]|\r\n(Connection: close)\r\n/g;
const longest = 'Connection: close'.length + 4;
const kept = 20000;

// {url, answered, after_close, sent(), stop()}: `answered` only grows; `after_close`: answers behind one that said
// "Connection: close"; sent() is what came from the proxy since the last sent().
async function tap(url) {
  const { hostname, port } = new URL(url);
  const sockets = new Set();
  const wire = { answered: 0, after_close: 0 };
  let parts = [];

  const server = net.createServer({ noDelay: true }, (front) => {
    const back = net.connect({ host: hostname, port: Number(port), noDelay: true });
    let tail = '';
    let closing = false;
    for (const socket of [front, back]) {
      sockets.add(socket);
      socket.on('error', () => { front.destroy(); back.destroy(); });
      socket.on('close', () => { sockets.delete(socket); front.end(); back.end(); });
    }
    front.on('data', (bytes) => parts.push(bytes.subarray(0, kept)));
    back.on('data', (bytes) => {
      const text = tail + bytes.toString('latin1');
      let seen = 0;
      for (const found of text.matchAll(marks)) {
        seen = found.index + found[0].length;
        if (found[2]) closing = true;
        if (!found[1] || found[1] === '100') continue;
        wire.answered++;
        if (closing) wire.after_close++;
      }
      tail = text.slice(Math.max(seen, text.length - longest + 1));
    });
    front.pipe(back);
    back.pipe(front);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  wire.url = `http://127.0.0.1:${server.address().port}`;
  wire.sent = () => {
    const text = Buffer.concat(parts).toString('latin1').slice(0, kept);
    parts = [];
    return text;
  };
  wire.stop = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((done) => server.close(done));
  };
  return wire;
}

module.exports = { tap };
