// client.js -- HTTP for the load: connections that stay open, and as little work per request as Node allows.
'use strict';
const http = require('node:http');

// Sockets that were used last are used first, so that few are idle long enough for the other end to close them.
const agent = new http.Agent({ keepAlive: true, maxSockets: 512, scheduling: 'lifo' });

// -> {status, body}; body is parsed when it is JSON. Rejects with an error that has a code.
function once(method, url, { body, headers = {}, patienceMs }) {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const h = payload === undefined ? headers : { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method, headers: h, agent }, (answer) => {
      const parts = [];
      answer.on('data', (bytes) => parts.push(bytes));
      answer.on('error', fail);
      answer.on('end', () => {
        clearTimeout(timer);
        const text = Buffer.concat(parts).toString();
        try {
          resolve({ status: answer.statusCode, body: /json/.test(answer.headers['content-type'] || '') ? JSON.parse(text) : text });
        } catch (e) {
          reject(Object.assign(e, { code: 'BAD_JSON' }));
        }
      });
    });
    const timer = setTimeout(() => request.destroy(Object.assign(new Error(`no answer in ${patienceMs} ms`), { code: 'NO_ANSWER' })), patienceMs);
    function fail(e) {
      clearTimeout(timer);
      reject(e);
    }
    request.on('error', fail);
    request.end(payload);
  });
}

module.exports = { once };
