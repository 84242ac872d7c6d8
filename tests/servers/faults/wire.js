// wire.js -- a TCP proxy on the loopback that can be slow, silent without closing, or cut: the network between two programs.
'use strict';
const net = require('node:net');

class Wire {
  // Resolves when it listens; `port` is where. `to`: the port behind it.
  static start(to, port = 0) {
    const w = new Wire();
    Object.assign(w, { to, delayMs: 0, frozen: false, joined: 0, pairs: new Set(), ways: new Set() });
    w.server = net.createServer({ allowHalfOpen: true }, (near) => w.join(near));
    return new Promise((resolve, reject) => w.server.once('error', reject).listen(port, '127.0.0.1', () => {
      w.port = w.server.address().port;
      resolve(w);
    }));
  }

  join(near) {
    const far = net.connect({ port: this.to, host: '127.0.0.1', allowHalfOpen: true });
    const pair = [near, far];
    this.joined++;
    this.pairs.add(pair);
    for (const [from, to] of [[near, far], [far, near]]) {
      const way = { queue: [] };
      this.ways.add(way);
      from.setNoDelay(true);
      from.on('data', (bytes) => this.pass(way, () => to.write(bytes)));
      from.on('end', () => this.pass(way, () => to.end()));
      from.on('error', () => this.pass(way, () => to.destroy()));
      from.on('close', () => { this.pairs.delete(pair); this.pass(way, () => this.ways.delete(way)); });
    }
  }

  // In order, whatever becomes of the delay meanwhile.
  pass(way, what) {
    way.queue.push({ due: Date.now() + this.delayMs, what });
    this.move(way);
  }

  move(way) {
    clearTimeout(way.timer);
    while (!this.frozen && way.queue.length) {
      const wait = way.queue[0].due - Date.now();
      if (wait > 0) {
        way.timer = setTimeout(() => this.move(way), wait);
        return;
      }
      way.queue.shift().what();
    }
  }

  freeze() { this.frozen = true; }

  thaw() {
    this.frozen = false;
    for (const way of this.ways) this.move(way);
  }

  stop() {
    for (const way of this.ways) clearTimeout(way.timer);
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
    return new Promise((done) => this.server.close(done));
  }
}

module.exports = { Wire };
