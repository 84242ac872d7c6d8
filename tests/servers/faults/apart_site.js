// apart_site.js -- the demo world with every service in processes of its own, behind a balancer, with wires between some of them.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { NAMES, Service, freePorts } = require('../../api/lib/apart.js');
const { BINARY } = require('../../api/lib/platform.js');
const { Site, KEYS_SECRET } = require('./site.js');
const { Balancer } = require('./balancer.js');
const { Wire } = require('./wire.js');

const at = (url) => Number(new URL(url).port);

// Which service answers a path, by the contracts that they print themselves; literal segments win over parameters.
async function routesOf(services) {
  const routes = [];
  for (const s of services) {
    const contract = await (await fetch(`${s.public}/openapi.json`)).json();
    for (const template of Object.keys(contract.paths))
      routes.push({ to: s, params: template.split('{').length,
        regex: new RegExp(`^${template.replace(/\./g, '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`) });
  }
  return routes.sort((a, b) => a.params - b.params);
}

class Apart extends Site {
  // `wires`: ['payment>order', ...], each a Wire in `site.wires` that calls of the first to the second go through.
  static async start({ replicas = 1, wires = [] } = {}) {
    const s = new Apart();
    s.frame();
    s.keys = path.join(s.world, 'service-keys');
    s.services = Object.fromEntries(NAMES.map((name) => [name, []]));
    s.wires = {};
    try {
      const made = spawnSync(BINARY, ['service-keys', s.keys], { encoding: 'utf8' });
      if (made.status !== 0) throw new Error(made.stderr);
      const ports = await freePorts(3 * NAMES.length * replicas);
      for (const name of NAMES)
        for (let i = 0; i < replicas; i++) s.services[name].push(s.service(name, i, ports.splice(0, 3)));
      await s.connect(wires);
      await s.begin();
    } catch (e) {
      await s.stop();
      throw e;
    }
    return s;
  }

  service(name, i, ports) {
    // Processes of one name have directories of their own; the last part names the databases.
    const dir = path.join(this.world, `${name}${i}`, path.basename(this.world));
    fs.mkdirSync(dir, { recursive: true });
    const s = new Service({ dir, keys: this.keys }, name, ports);
    s.args = ['--demo'];
    s.env = { JUMUN_KEYS_SECRET: KEYS_SECRET };
    s.dir = path.dirname(dir);
    fs.mkdirSync(path.join(s.dir, 'data')); // the audit's, which looks at the servers
    this.platforms.push(s);
    return s;
  }

  async connect(wires) {
    this.balancers.push(this.tossFront = await Balancer.start(() => this.services.toss.map((s) => s.toss)));
    this.balancers.push(this.webFront = await Balancer.start((where) => {
      const route = this.routes.find((r) => r.regex.test(where));
      return this.services[route ? route.to.name : 'auth'].map((s) => s.public);
    }));
    for (const pair of wires) this.wires[pair] = await Wire.start(at(this.services[pair.split('>')[1]][0].internal));
    for (const s of this.platforms) {
      s.world.tossUrl = this.tossFront.url;
      s.world.peers = NAMES.map((to) => {
        const wire = this.wires[`${s.name}>${to}`];
        return `${to}=${wire ? `http://127.0.0.1:${wire.port}` : this.services[to].map((p) => p.internal).join('|')}`;
      }).join(',');
    }
  }

  // The first of each, then the others: the demo world is made by one.
  async begin() {
    await Promise.all(NAMES.map((name) => this.services[name][0].start()));
    await Promise.all(this.platforms.filter((s) => !s.child).map((s) => s.start()));
    this.routes = await routesOf(NAMES.map((name) => this.services[name][0]));
    const webhookTo = `${this.webFront.url}/v1/webhooks/toss`;
    const r = await fetch(`${this.toss()}/simulator/faults`, { method: 'PUT', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ webhookTo }) });
    if (!r.ok) throw new Error(`faults: ${r.status} ${await r.text()}`);
  }

  front() { return this.webFront.url; }
  toss() { return this.tossFront.url; }

  async stop() {
    const exits = await Promise.all(this.platforms.filter((s) => s.child && s.child.exitCode === null && s.child.signalCode === null).map((s) => s.end()));
    for (const w of Object.values(this.wires)) await w.stop();
    await super.stop();
    return exits;
  }
}

module.exports = { Apart, NAMES };
