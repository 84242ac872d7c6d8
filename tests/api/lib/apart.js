// apart.js -- every service in a process of its own, and the gateway in front.
'use strict';
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { binary, until } = require('./jumun.js');
const { engines, dropDatabases } = require('./engines.js');
const { startGateway } = require('./gateway.js');

const NAMES = ['auth', 'user', 'store', 'order', 'payment', 'toss'];

// Ports that nothing listens on, below those that the kernel gives to clients.
async function freePorts(n) {
  const ports = [];
  for (let port = 20000 + Math.floor(Math.random() * 10000); ports.length < n; port++) {
    const free = await new Promise((done) => {
      const server = net.createServer().once('error', () => done(false));
      server.listen(port, '127.0.0.1', () => server.close(() => done(true)));
    });
    if (free) ports.push(port);
  }
  return ports;
}

class Service {
  constructor(world, name, [listen, internal, toss]) {
    Object.assign(this, { world, name, log: '' });
    this.public = `http://127.0.0.1:${listen}`;
    this.internal = `http://127.0.0.1:${internal}`;
    this.toss = `http://127.0.0.1:${toss}`;
  }

  // Resolves when it says that it is ready.
  start() {
    const { dir, keys, peers, tossUrl } = this.world;
    const at = (url) => url.slice('http://'.length);
    this.child = spawn(binary(), ['serve', this.name, '--data', dir, '--listen', at(this.public), '--internal-listen',
      at(this.internal), '--toss-listen', at(this.toss), '--peers', peers, '--service-keys', keys, '--toss-url', tossUrl,
      '--issuer', 'http://jumun.test', '--rate-limit', '0', ...(this.args || [])],
    { env: { ...process.env, JUMUN_BIN: undefined, ...engines(dir), ...(this.env || {}) }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stderr.on('data', (bytes) => { this.log = (this.log + bytes).slice(-100000); });
    this.gone = new Promise((done) => this.child.on('exit', (code, signal) => done({ code, signal })));
    const ready = new Promise((done) => {
      let out = '';
      this.child.stdout.on('data', (bytes) => { out += bytes; if (/^ready /m.test(out)) done(true); });
    });
    return Promise.race([ready, this.gone]).then((ok) => {
      if (ok !== true) throw new Error(`${this.name} did not start: ${JSON.stringify(ok)}\n${this.log}`);
    });
  }

  async kill() { this.child.kill('SIGKILL'); await this.gone; }

  async end() {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 15000);
    const exit = await this.gone;
    clearTimeout(timer);
    return exit;
  }
}

// Starts all, in the given order, each without waiting for the others; args: {auth: [further flags], ...}. world.public is the gateway.
async function startApart({ order = NAMES, args = {} } = {}) {
  const world = { dir: fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-apart-')), services: {} };
  const ports = await freePorts(3 * NAMES.length);
  for (const name of NAMES) world.services[name] = Object.assign(new Service(world, name, ports.splice(0, 3)), { args: args[name] });
  const all = Object.values(world.services);
  world.keys = path.join(world.dir, 'service-keys');
  // One of the two addresses is dead: every call must get past it.
  world.peers = all.map((s) => `${s.name}=http://127.0.0.1:1|${s.internal}`).join(',');
  world.toss = world.tossUrl = world.services.toss.toss;
  const made = spawnSync(binary(), ['service-keys', world.keys], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  world.stop = async () => {
    if (world.gateway) await world.gateway.stop();
    const exits = await Promise.all(all.filter((s) => s.child).map((s) => s.end()));
    fs.rmSync(world.dir, { recursive: true, force: true });
    dropDatabases(world.dir);
    return exits;
  };
  try {
    const upstreams = all.filter((s) => s.name !== 'toss').map((s) => `${s.name}=http://127.0.0.1:1|${s.public}`).join(',');
    const started = order.map((name) => world.services[name].start());
    world.gateway = await startGateway(upstreams, { args: ['--issuer', 'http://jumun.test', ...(args.gateway || [])] });
    await Promise.all(started);
  } catch (e) {
    await world.stop();
    throw e;
  }
  world.public = world.gateway.public;
  return world;
}

module.exports = { startApart, NAMES, until, Service, freePorts };
