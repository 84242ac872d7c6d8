// gateway.js -- the gateway in a process of its own, in front of whatever upstreams it is told.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const BINARY = () => process.env.JUMUN || path.join(__dirname, '..', '..', '..', 'build', process.env.PRESET || 'dev', 'jumun');

// -> {public, internal, log, stop(), kill()}; upstreams as --upstreams takes them.
async function startGateway(upstreams, { args = [], listen = '127.0.0.1:0' } = {}) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-gateway-'));
  const g = { log: '', dir };
  g.child = spawn(BINARY(), ['serve', 'gateway', '--data', dir, '--listen', listen, '--internal-listen', '127.0.0.1:0',
    '--upstreams', upstreams, ...(args.includes('--rate-limit') ? [] : ['--rate-limit', '0']), ...args], { env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'pipe'] });
  g.child.stderr.on('data', (bytes) => { g.log = (g.log + bytes).slice(-100000); });
  const gone = new Promise((done) => g.child.on('exit', (code, signal) => done({ code, signal })));
  const ready = new Promise((done) => {
    let out = '';
    g.child.stdout.on('data', (bytes) => {
      out += bytes;
      const m = /ready public=(\S+) internal=(\S+)/.exec(out);
      if (m) done(m);
    });
  });
  const line = await Promise.race([ready, gone.then(() => null)]);
  if (!line) throw new Error(`the gateway did not start: ${g.log}`);
  [, g.public, g.internal] = line;
  g.kill = async () => { g.child.kill('SIGKILL'); return gone; };
  g.stop = async () => {
    g.child.kill('SIGTERM');
    const timer = setTimeout(() => g.child.kill('SIGKILL'), 15000);
    const exit = await gone;
    clearTimeout(timer);
    fs.rmSync(dir, { recursive: true, force: true });
    return exit;
  };
  return g;
}

// With TEST_THROUGH=gateway every test talks to its platform through one.
const THROUGH = process.env.TEST_THROUGH === 'gateway';
async function through(world, args = []) {
  // Who gives limits or proxies of its own asks about the listener itself.
  if (!THROUGH || args.includes('--proxies') || args.includes('--rate-limit')) return;
  const mine = args.includes('--issuer') ? ['--issuer', args[args.indexOf('--issuer') + 1]] : [];
  world.gateway = await startGateway(`*=${world.public}`, { args: mine });
  world.behind = world.public;
  world.public = world.gateway.public;
}

module.exports = { startGateway, through, THROUGH };
