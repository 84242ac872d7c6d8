// balancer.js -- round robin before several replicas, as simple as can be: who refuses the connection is passed over, nothing else is repeated.
'use strict';
const http = require('node:http');

class Balancer {
  // `replicas()`: their URLs, right now.
  static start(replicas) {
    const b = new Balancer();
    Object.assign(b, { replicas, turn: 0, broken: new Map(), passedOver: 0 });
    b.server = http.createServer((request, reply) => {
      const parts = [];
      request.on('data', (bytes) => parts.push(bytes));
      request.on('end', () => b.pass(request, Buffer.concat(parts), reply, b.turn++));
    });
    return new Promise((resolve) => b.server.listen(0, '127.0.0.1', () => {
      b.url = `http://127.0.0.1:${b.server.address().port}`;
      resolve(b);
    }));
  }

  // A connection of its own for each: none is kept that the other end may be closing just now.
  pass(request, body, reply, first, tries = 0) {
    const all = this.replicas(request.url.split('?')[0]);
    const { hostname, port } = new URL(all[(first + tries) % all.length]);
    const onward = http.request({ hostname, port, path: request.url, method: request.method, agent: false,
      headers: { ...request.headers, connection: 'close', 'content-length': body.length } }, (answer) => {
      reply.writeHead(answer.statusCode, answer.headers);
      answer.pipe(reply);
      answer.on('error', () => reply.destroy());
    });
    onward.on('error', (e) => {
      if (e.code === 'ECONNREFUSED' && tries < 2 * all.length) {
        this.passedOver++;
        this.pass(request, body, reply, first, tries + 1);
        return;
      }
      this.broken.set(e.code, (this.broken.get(e.code) || 0) + 1);
      if (!reply.headersSent) reply.writeHead(502, { 'content-type': 'application/json' });
      reply.end(JSON.stringify({ code: `balancer ${e.code}` }));
    });
    onward.end(body);
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(done));
  }
}

module.exports = { Balancer };
