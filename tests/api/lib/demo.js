// demo.js -- the platform with its demo world, and short ways to call it as one of its people.
'use strict';
const { randomUUID } = require('node:crypto');
const base = require('./jumun.js');

const PASSWORD = 'jumun-demo-1';

// Ids of the demo world are the same in every run: a kind and three numbers in a fixed UUIDv7.
const kinds = ['customer', 'owner', 'staff', 'admin', 'address', 'store', 'section', 'item', 'group', 'option'];
function demoId(kind, a, b = 0, c = 0) {
  const hex = (n, digits) => n.toString(16).padStart(digits, '0');
  return `019b76da-a800-70${hex(kinds.indexOf(kind), 2)}-8000-${hex(a, 4)}${hex(b, 4)}${hex(c, 4)}`;
}

class Reply {
  constructor({ status, headers, text, body }) {
    Object.assign(this, { status, headers, text, json: body });
  }
  header(name) {
    return this.headers.get(name);
  }
  // The machine code of a problem; when it is none, the whole reply in words.
  get code() {
    return this.header('content-type') === 'application/problem+json'
      ? this.json.code
      : `${this.status}, not a problem: ${this.text.slice(0, 200)}`;
  }
  // {field: code} of a problem's errors.
  get fields() {
    return Object.fromEntries((this.json.errors || []).map((e) => [e.field, e.code]));
  }
}

// get/post/put/patch/delete with one token, or none.
function caller(world, token) {
  const call = async (method, where, options) =>
    new Reply(await base.call(world(), method, where, { token, ...options }));
  const withBody = (method) => (where, body, options) => call(method, where, { body, ...options });
  return {
    token,
    call,
    get: (where, options) => call('GET', where, options),
    delete: (where, options) => call('DELETE', where, options),
    post: withBody('POST'),
    put: withBody('PUT'),
    patch: withBody('PATCH'),
  };
}

async function start(options = {}) {
  let world = await base.start({ ...options, args: ['--demo', ...(options.args || [])] });
  const tokens = new Map();
  const j = caller(() => world, undefined);

  j.world = () => world;
  // Tokens of an account, which must be able to log in.
  j.session = async (username, password = PASSWORD) => {
    const reply = await j.post('/v1/auth/login', { username, password });
    if (reply.status !== 200) throw new Error(`login of ${username}: ${reply.status} ${reply.text}`);
    return reply.json;
  };
  // Calls as somebody of the demo world, logged in once.
  j.as = async (username) => {
    if (!tokens.has(username)) tokens.set(username, j.session(username));
    return caller(() => world, (await tokens.get(username)).accessToken);
  };
  // A new account that no other test knows, signed in.
  j.newcomer = async (role) => {
    const p = await base.person(world, role);
    return { ...p, ...caller(() => world, p.token) };
  };
  // Ends the process and starts it on the same data.
  j.restart = async () => {
    const exit = await world.end();
    if (exit.code !== 0) throw new Error(`jumun ended with ${JSON.stringify(exit)}\n${world.log}`);
    world = await world.again();
  };
  // A crash or a sanitizer's report fails the test file.
  j.stop = async () => {
    const exit = await world.stop();
    if (exit.code !== 0) throw new Error(`jumun ended with ${JSON.stringify(exit)}\n${world.log}`);
  };
  return j;
}

module.exports = { start, demoId, randomUUID, PASSWORD, until: base.until };
