// http_edge.test.js -- odd requests on a raw socket: the one right status, alone, pipelined and cut at every byte;
// nothing that was refused is ever followed by an answer to what came behind it.
'use strict';
const assert = require('node:assert');
const { test, before, after } = require('node:test');
const { cases } = require('./lib/edge_cases');
const { start } = require('./lib/jumun');
const { talk, each } = require('./lib/raw');

let world;
before(async () => { world = await start(); });
after(async () => { await world.stop(); });

const plain = 'GET /v1/before HTTP/1.1\r\nHost: a\r\n\r\n';
const smuggled = 'GET /v1/behind HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
const latin = (text) => Buffer.from(text, 'latin1');
const groups = [...new Set(cases.map((c) => c.group))];

function say(failures, c, how, expected, got) {
  failures.push(`${c.group}: ${c.name} (${how}): expected ${expected}, got ${got}\n    ${JSON.stringify(c.bytes.slice(0, 120))}`);
}

// One case in one shape; what is wrong goes to `failures`.
async function check(c, how, pieces, { first = [], behind = false }, failures) {
  const expected = [...first, c.status];
  if (behind && !c.closes) expected.push(404);
  const closes = c.closes || behind;
  try {
    const heads = c.head ? [first.length] : [];
    const got = await talk(world.public, pieces.map(latin), { count: closes ? Infinity : expected.length, heads });
    const statuses = got.answers.map((a) => a.status);
    if (statuses.join() !== expected.join()) say(failures, c, how, expected, statuses);
    else if (got.closed !== closes) say(failures, c, how, closes ? 'closed' : 'open', got.closed ? 'closed' : 'open');
    else if (got.answers[first.length].close !== c.closes) say(failures, c, how, `close ${c.closes}`, got.answers[first.length].head);
  } catch (e) {
    say(failures, c, how, expected, e.message);
  }
}

test('there are at least 400 cases', () => assert.ok(cases.length >= 400, `${cases.length}`));

for (const group of groups) {
  const mine = cases.filter((c) => c.group === group);
  const fine = (failures) => assert.equal(failures.length, 0, `${failures.length} wrong:\n${failures.slice(0, 20).join('\n')}`);

  test(`${group}: ${mine.length} alone`, async () => {
    const failures = [];
    await each(mine, (c) => check(c, 'alone', [c.bytes], {}, failures));
    fine(failures);
  });
  test(`${group}: ${mine.length} pipelined`, async () => {
    const failures = [];
    await each(mine, (c) => check(c, 'pipelined', [plain + c.bytes + smuggled], { first: [404], behind: true }, failures));
    fine(failures);
  });
  test(`${group}: byte after byte`, async () => {
    const failures = [];
    const short = mine.filter((c) => c.bytes.length <= 160);
    await each(short, (c) => check(c, 'byte after byte', [...c.bytes], {}, failures));
    fine(failures);
  });
  if (!['coding', 'chunk', 'length', 'line end', 'connection'].includes(group)) continue;
  test(`${group}: cut at every byte`, async () => {
    const failures = [];
    const cuts = mine.filter((c) => c.bytes.length <= 130).flatMap((c) => Array.from({ length: c.bytes.length - 1 }, (_, i) => [c, i + 1]));
    await each(cuts, ([c, at]) => check(c, `cut at ${at}`, [c.bytes.slice(0, at), c.bytes.slice(at) + smuggled], { behind: true }, failures), 48);
    fine(failures);
  });
}

test('it serves on after all that', async () => {
  const reply = await world.call('GET', '/v1/none');
  assert.equal(reply.status, 404);
});
