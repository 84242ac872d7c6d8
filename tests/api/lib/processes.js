// processes.js -- what a platform is made of: one process, or (TEST_THROUGH=apart) one for each service and a gateway in front, which
// look from outside like the one.
'use strict';
const { spawn, spawnSync } = require('node:child_process');
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { startGateway } = require('./gateway.js');
const { freePorts } = require('./ports.js');

const NAMES = ['auth', 'user', 'store', 'order', 'payment', 'toss'];
const APART = process.env.TEST_THROUGH === 'apart';

// What deploy/systemd/jumun@.service hands to the service of that name, in a directory: it must do with that. A file that is missing fails
// the start there as well.
const UNIT = path.join(__dirname, '..', '..', '..', 'deploy', 'systemd', 'jumun@.service');
function credentials(keys, name) {
  const dir = path.join(path.dirname(keys), 'credentials', name);
  if (name === 'discovery') return keys; // it has no key, since it calls nobody
  if (fs.existsSync(dir)) return dir;
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const [, file, from] of fs.readFileSync(UNIT, 'utf8').replaceAll('%i', name).matchAll(/^LoadCredential=(.+):\/etc\/jumun\/keys\/(.+)$/gm)) {
    fs.copyFileSync(path.join(keys, from), path.join(dir, file));
    fs.chmodSync(path.join(dir, file), 0o400);
  }
  return dir;
}

const at = (url) => url.slice('http://'.length);

// One service in a process of its own. world: {binary, dir, keys, peers, upstreams, tossUrl, env}; args and env are more of its own.
class Service {
  constructor(world, name, [listen, internal, toss]) {
    Object.assign(this, { world, name, log: '', args: [], env: {} });
    this.public = `http://127.0.0.1:${listen}`;
    this.internal = `http://127.0.0.1:${internal}`;
    this.toss = `http://127.0.0.1:${toss}`;
  }

  // The process, without waiting for it.
  launch() {
    const { binary, dir, keys, peers, upstreams, tossUrl, env } = this.world;
    const args = ['serve', this.name, '--data', dir, '--listen', at(this.public), '--internal-listen', at(this.internal),
      '--toss-listen', at(this.toss), '--peers', peers, '--service-keys', credentials(keys, this.name), '--rate-limit', '0'];
    if (upstreams) args.push('--upstreams', upstreams);
    if (tossUrl) args.push('--toss-url', tossUrl);
    if (!this.args.includes('--issuer')) args.push('--issuer', 'http://localhost');
    this.child = spawn(binary, [...args, ...this.args], { env: { ...env, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stderr.on('data', (bytes) => { this.log = (this.log + bytes).slice(-100000); });
    this.gone = new Promise((done) => this.child.on('exit', (code, signal) => done({ code, signal })));
    this.ready = new Promise((done) => {
      let out = '';
      this.child.stdout.on('data', (bytes) => {
        out += bytes;
        const said = /^ready .*$/m.exec(out);
        if (!said) return;
        this.said = said[0];
        done(true);
      });
    });
    return this;
  }

  // Resolves when it says that it is ready.
  async start() {
    this.launch();
    const ok = await Promise.race([this.ready, this.gone]);
    if (ok !== true) throw new Error(`${this.name} did not start: ${JSON.stringify(ok)}\n${this.log}`);
  }

  get alive() { return Boolean(this.child) && this.child.exitCode === null && this.child.signalCode === null; }

  async kill() { this.child.kill('SIGKILL'); await this.gone; }

  async end() {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 15000);
    const exit = await this.gone;
    clearTimeout(timer);
    return exit;
  }
}

// Making them costs a second: once for all tests beside this binary. Who comes second finds the first one's whole.
function serviceKeys(binary) {
  const kept = path.join(path.dirname(binary), 'test-service-keys');
  if (fs.existsSync(kept)) return kept;
  const made = fs.mkdtempSync(`${kept}-`);
  const r = spawnSync(binary, ['service-keys', made], { encoding: 'utf8', env: { PATH: process.env.PATH } });
  if (r.status !== 0) throw new Error(r.stderr);
  try {
    fs.renameSync(made, kept);
  } catch (e) {
    fs.rmSync(made, { recursive: true });
    if (!fs.existsSync(kept)) throw e;
  }
  return kept;
}

// Keys by which they know each other, addresses of each for the others, and the gateway's.
function acquaint(world, services) {
  if (!fs.existsSync(world.keys)) fs.cpSync(serviceKeys(world.binary), world.keys, { recursive: true });
  // One of the two addresses is dead: every call must get past it.
  world.peers = services.map((s) => `${s.name}=http://127.0.0.1:1|${s.internal}`).join(',');
  world.upstreams = services.filter((s) => s.name !== 'toss').map((s) => `${s.name}=http://127.0.0.1:1|${s.public}`).join(',');
  world.tossUrl = services.find((s) => s.name === 'toss').toss;
}

// Series of several processes as one text: a scraper sees them apart, a test wants the sum.
function sumOf(texts) {
  const sums = new Map();
  for (const line of texts.join('\n').split('\n')) {
    const m = /^([^#\s]\S*(?:\{.*\})?) (-?[\d.e+-]+)$/.exec(line);
    if (m) sums.set(m[1], (sums.get(m[1]) || 0) + Number(m[2]));
  }
  return [...sums].map(([series, n]) => `${series} ${n}\n`).join('');
}

async function ask(service, request, body) {
  const { host, connection, 'content-length': length, ...headers } = request.headers;
  const reply = await fetch(service.internal + request.url, { method: request.method, headers, body: body.length ? body : undefined });
  return { status: reply.status, type: reply.headers.get('content-type') || '', text: await reply.text() };
}

// The internal listeners as one: figures are added up, health is everybody's, a route is asked where it is.
async function internalOf(services) {
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const all = [];
    for (const s of services) all.push(await ask(s, request, body).catch(() => ({ status: 503, type: '', text: '' })));
    const one = request.url === '/metrics' ? { ...all[0], text: sumOf(all.map((r) => r.text)) }
      : /^\/(livez|readyz|startupz)$/.test(request.url) ? all.find((r) => r.status !== 200) || all[0]
        : all.find((r) => r.status !== 404) || all[0];
    response.writeHead(one.status, { 'content-type': one.type, connection: 'close' }).end(one.text);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => { server.closeAllConnections(); server.close(); } };
}

// What each of them gets otherwise than `jumun up` does, and what is for the registry.
const GIVEN = ['--data', '--listen', '--internal-listen', '--toss-listen', '--rate-limit', '--proxies', '--issuer'];

// Stands where the child process of `jumun up ARGS` would: stdout says "ready ...", stderr is everybody's log, kill() reaches all.
// later: the name of a service that somebody starts afterwards. envOf(name): what one of them gets beside env.
class Crowd extends EventEmitter {
  constructor(binary, args, { env = {}, envOf = () => ({}), later } = {}) {
    super();
    Object.assign(this, { later, envOf, exitCode: null, signalCode: null, stdout: new EventEmitter(), stderr: new EventEmitter(), more: [], registry: [] });
    for (let i = 1; i < args.length; i++) {
      if (/^--discovery-(listen|peers|evict)/.test(args[i])) {
        this.registry.push(args[i]);
        if (args[i] !== '--discovery-evict-always') this.registry.push(args[++i]);
      } else if (!GIVEN.includes(args[i])) this.more.push(args[i]);
      else if (args[i++] === '--data') this.dir = args[i];
    }
    const last = (flag, otherwise) => (args.includes(flag) ? args[args.lastIndexOf(flag) + 1] : otherwise);
    this.issuer = ['--issuer', last('--issuer', 'http://localhost')];
    this.limits = ['--rate-limit', last('--rate-limit', '0'), '--proxies', last('--proxies', '0')];
    this.world = { binary, dir: this.dir, keys: path.join(this.dir, 'service-keys'), env };
    this.begin().catch((e) => {
      this.stderr.emit('data', `${e.message}\n`);
      this.failed = { code: 1, signal: null };
      this.kill('SIGKILL');
    });
  }

  async begin() {
    fs.mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    const ports = await freePorts(3 * NAMES.length + 3);
    this.list = NAMES.map((name) => new Service(this.world, name, ports.splice(0, 3)));
    this.services = Object.fromEntries(this.list.map((s) => [s.name, s]));
    acquaint(this.world, this.list);
    const started = this.list.filter((s) => s.name !== this.later).map((s) => this.startService(s, [], this.envOf(s.name)));
    const registry = new Service(this.world, 'discovery', ports);
    if (this.registry.includes('--discovery-listen')) {
      this.list.push(registry);
      started.push(this.startService(registry, this.registry));
    }
    const all = Promise.all(started);
    all.catch(() => {}); // told below, also when it fails before that
    this.gateway = await startGateway(this.world.upstreams, { args: [...this.issuer, ...this.limits] });
    if (this.ended) await this.gateway.kill(); // somebody lost patience meanwhile
    this.gateway.child.stderr.on('data', (bytes) => this.stderr.emit('data', bytes));
    this.internal = await internalOf(Object.values(this.services));
    await all;
    this.stdout.emit('data', `ready public=${this.gateway.public} internal=${this.internal.url} toss=${this.services.toss.toss}${(/ discovery=\S+/.exec(registry.said) || [''])[0]}\n`);
  }

  // env: for this start of it.
  async startService(s, more = [], env = {}) {
    s.env = env;
    s.args = [...this.more, ...more, ...this.issuer, '--proxies', String(Number(this.limits.at(-1)) + 1)];
    const started = s.start();
    s.child.stderr.on('data', (bytes) => this.stderr.emit('data', bytes));
    await started;
  }

  kill(signal) {
    if (!this.ended) this.ended = this.end(signal).then((exit) => {
      this.exitCode = exit.code;
      this.signalCode = exit.signal;
      this.emit('exit', exit.code, exit.signal);
    });
    else for (const s of this.list || []) if (s.child) s.child.kill(signal);
    return true;
  }

  // The gateway first: what it has in flight still needs the others.
  async end(signal) {
    const exits = [];
    const list = (this.list || []).filter((s) => s.child);
    if (signal === 'SIGKILL') for (const s of list) s.child.kill(signal);
    if (this.gateway) exits.push(signal === 'SIGKILL' ? await this.gateway.kill() : await this.gateway.stop());
    for (const s of list) s.child.kill(signal);
    for (const s of list) exits.push(await s.gone);
    if (this.gateway) fs.rmSync(this.gateway.dir, { recursive: true, force: true });
    if (this.internal) this.internal.close();
    return this.failed || exits.find((e) => e.code !== 0 && e.signal !== signal) || exits[0];
  }
}

function launch(binary, args, options) {
  return APART && args[0] === 'up' ? new Crowd(binary, args, options)
    : spawn(binary, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
}

module.exports = { launch, acquaint, credentials, Service, NAMES, APART };
