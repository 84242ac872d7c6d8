// apart.js -- every service in a process of its own, and the gateway in front.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { binary, until } = require('./jumun.js');
const { engines, dropDatabases } = require('./engines.js');
const { startGateway } = require('./gateway.js');
const { freePorts } = require('./ports.js');
const { acquaint, Service, NAMES } = require('./processes.js');

// Starts all, in the given order, each without waiting for the others; args: {auth: [further flags], ...}. world.public is the gateway.
async function startApart({ order = NAMES, args = {} } = {}) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-apart-'));
  const world = { binary: binary(), dir, keys: path.join(dir, 'service-keys'), services: {},
    env: { ...process.env, JUMUN_BIN: undefined, ...engines(dir) } };
  const ports = await freePorts(3 * NAMES.length);
  for (const name of NAMES) world.services[name] = new Service(world, name, ports.splice(0, 3));
  const all = Object.values(world.services), issuer = ['--issuer', 'http://jumun.test'];
  for (const s of all) s.args = [...issuer, ...(args[s.name] || [])];
  acquaint(world, all);
  world.toss = world.tossUrl;
  world.stop = async () => {
    if (world.gateway) await world.gateway.stop();
    const exits = await Promise.all(all.filter((s) => s.child).map((s) => s.end()));
    fs.rmSync(world.dir, { recursive: true, force: true });
    dropDatabases(world.dir);
    return exits;
  };
  try {
    const started = order.map((name) => world.services[name].start());
    world.gateway = await startGateway(world.upstreams, { args: [...issuer, ...(args.gateway || [])] });
    await Promise.all(started);
  } catch (e) {
    await world.stop();
    throw e;
  }
  world.public = world.gateway.public;
  return world;
}

module.exports = { startApart, NAMES, until };
