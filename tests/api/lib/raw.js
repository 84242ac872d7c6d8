// raw.js -- bytes on a socket as a hostile client sends them, and what came back.
'use strict';
const net = require('node:net');

// Splits what a server sent into answers: [{status, close, body}]. `heads`: indexes of answers to HEAD.
function answers(bytes, heads = []) {
  const list = [];
  let text = bytes.toString('latin1');
  while (text.length) {
    const end = text.indexOf('\r\n\r\n');
    const first = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n/.exec(text);
    if (end < 0 || !first) throw new Error(`not an HTTP answer: ${JSON.stringify(text.slice(0, 200))}`);
    const head = text.slice(0, end + 2);
    const status = Number(first[1]);
    text = text.slice(end + 4);
    if (status === 100) continue;
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head);
    let body = '';
    if (length && status !== 304 && !heads.includes(list.length)) {
      if (text.length < Number(length[1])) throw new Error(`cut body: ${JSON.stringify(text.slice(0, 200))}`);
      body = text.slice(0, Number(length[1]));
      text = text.slice(Number(length[1]));
    }
    list.push({ status, close: /\r\nconnection: close\r\n/i.test(head), body, head });
  }
  return list;
}

// Sends the pieces one after the other (each in a turn of its own) and reads until the server closes, or
// until `count` answers are there and nothing more comes for a moment. {answers, closed}.
function talk(url, pieces, { count = 1, heads = [], ms = 5000, quiet = 15 } = {}) {
  const { hostname, port } = new URL(url);
  return new Promise((done, fail) => {
    const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
    const parts = [];
    let calm;
    let over = false;
    const finish = (closed, error) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      clearTimeout(calm);
      socket.destroy();
      if (error) return fail(error);
      try {
        done({ answers: answers(Buffer.concat(parts), heads), closed });
      } catch (e) {
        fail(e);
      }
    };
    const timer = setTimeout(() => finish(false, new Error(
      `no end after ${ms} ms: ${JSON.stringify(Buffer.concat(parts).toString('latin1').slice(0, 300))}`)), ms);
    socket.on('error', (e) => (parts.length ? finish(true) : finish(true, e)));
    socket.on('end', () => finish(true));
    socket.on('data', (bytes) => {
      parts.push(bytes);
      clearTimeout(calm);
      calm = setTimeout(() => {
        let n = 0;
        try {
          n = answers(Buffer.concat(parts), heads).length;
        } catch {
          return; // not all there yet
        }
        if (n >= count) finish(false);
      }, quiet);
    });
    const send = (i) => {
      if (over || i >= pieces.length || socket.destroyed) return;
      socket.write(pieces[i], () => setImmediate(send, i + 1));
    };
    socket.on('connect', () => send(0));
  });
}

// Runs `work` on all items, so many at a time.
async function each(items, work, at_once = 24) {
  let next = 0;
  const run = async () => {
    while (next < items.length) await work(items[next++]);
  };
  await Promise.all(Array.from({ length: at_once }, run));
}

module.exports = { talk, each };
