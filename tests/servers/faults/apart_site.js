// apart_site.js -- the demo world with every service in processes of its own behind gateways, with wires between some of them.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { freePorts } = require('../../api/lib/ports.js');
const { NAMES, Service, acquaint } = require('../../api/lib/processes.js');
const { engines } = require('../../api/lib/engines.js');
const { startGateway } = require('../../api/lib/gateway.js');
const { BINARY } = require('../../api/lib/platform.js');
const { Site, KEYS_SECRET } = require('./site.js');
const { Balancer } = require('./balancer.js');
const { Wire } = require('./wire.js');

const ISSUER = 'http://jumun.test';
const at = (url) => Number(new URL(url).port);

class Apart extends Site {
  // `wires`: ['payment>order', ...], each a Wire in `site.wires` that calls of the first to the second go through.
  static async start(options) {
    const s = await Apart.prepare(options);
    try {
      await s.begin();
    } catch (e) {
      await s.stop();
      throw e;
    }
    return s;
  }

  // Everything is known, and no process runs yet. `gateways`: a balancer is in front of them.
  static async prepare({ replicas = 1, gateways = 1, wires = [] } = {}) {
    const s = new Apart();
    s.frame();
    s.keys = path.join(s.world, 'service-keys');
    s.services = Object.fromEntries(NAMES.map((name) => [name, []]));
    s.wires = {};
    s.gateways = [];
    s.gatewayPorts = await freePorts(gateways);
    const ports = await freePorts(3 * NAMES.length * replicas);
    for (const name of NAMES)
      for (let i = 0; i < replicas; i++) s.services[name].push(s.service(name, i, ports.splice(0, 3)));
    await s.connect(wires);
    return s;
  }

  service(name, i, ports) {
    // Processes of one name have directories of their own; the last part names the databases.
    const dir = path.join(this.world, `${name}${i}`, path.basename(this.world));
    fs.mkdirSync(dir, { recursive: true });
    const env = { ...process.env, ...engines(dir), JUMUN_KEYS_SECRET: KEYS_SECRET };
    const s = new Service({ binary: BINARY, dir, keys: this.keys, env }, name, ports);
    s.args = ['--demo', '--issuer', ISSUER];
    s.dir = path.dirname(dir);
    fs.mkdirSync(path.join(s.dir, 'data')); // the audit's, which looks at the servers
    this.platforms.push(s);
    return s;
  }

  async connect(wires) {
    this.balancers.push(this.tossFront = await Balancer.start(() => this.services.toss.map((s) => s.toss)));
    this.balancers.push(this.webFront = await Balancer.start(() => this.gatewayPorts.map((port) => `http://127.0.0.1:${port}`)));
    for (const pair of wires) this.wires[pair] = await Wire.start(at(this.services[pair.split('>')[1]][0].internal));
    acquaint(this.platforms[0].world, this.platforms); // makes the keys
    const list = (which) => (to) => `${to}=${this.services[to].map((p) => p[which]).join('|')}`;
    this.upstreams = NAMES.filter((name) => name !== 'toss').map(list('public')).join(',');
    for (const s of this.platforms) {
      s.world.tossUrl = this.tossFront.url;
      s.world.upstreams = this.upstreams;
      s.world.peers = NAMES.map((to) => {
        const wire = this.wires[`${s.name}>${to}`];
        return wire ? `${to}=http://127.0.0.1:${wire.port}` : list('internal')(to);
      }).join(',');
    }
  }

  // The first of each, then the others: the demo world is made by one.
  async begin(between = async () => {}) {
    await Promise.all(NAMES.map((name) => this.services[name][0].start()));
    await between();
    await Promise.all(this.platforms.filter((s) => !s.child).map((s) => s.start()));
    for (let i = 0; i < this.gatewayPorts.length; i++) await this.gateway(i);
  }

  // Starts the gateway of that number, where it always is.
  async gateway(i) {
    this.gateways[i] = await startGateway(this.upstreams, { args: ['--issuer', ISSUER], listen: `127.0.0.1:${this.gatewayPorts[i]}` });
  }

  front() { return this.webFront.url; }
  toss() { return this.tossFront.url; }

  async stop() {
    await Promise.all(this.gateways.map((g) => g.stop()));
    const exits = await Promise.all(this.platforms.filter((s) => s.alive).map((s) => s.end()));
    for (const w of Object.values(this.wires)) await w.stop();
    await super.stop();
    return exits;
  }
}

module.exports = { Apart, NAMES };
