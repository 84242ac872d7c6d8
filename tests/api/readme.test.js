// readme.test.js -- the README's minute by curl, run as it is written.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { Platform, ROOT } = require('./lib/platform.js');

const ADDRESSES = 'J=http://127.0.0.1:8080 T=http://127.0.0.1:8082';

// The first fenced block under a heading.
function blockUnder(heading) {
  const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const section = readme.split(`\n## ${heading}\n`)[1];
  assert.ok(section, `the README has a section "${heading}"`);
  return section.split('```')[1].replace(/^\w*\n/, '');
}

function bash(script, env) {
  return new Promise((resolve) => execFile('bash', ['-eu', '-o', 'pipefail', '-c', script], { env, timeout: 60000 },
    (error, stdout, stderr) => resolve({ error, stdout, stderr })));
}

test('a minute by curl', async () => {
  const p = await Platform.start();
  try {
    const script = blockUnder('A minute by curl');
    assert.ok(script.includes(ADDRESSES), 'the block begins with the addresses that make run prints');
    const { error, stdout, stderr } = await bash(script.replace(ADDRESSES, `J=${p.public} T=${p.toss}`), { PATH: process.env.PATH });
    // curl ends with 28 when the stream that it follows goes on: the last command of the block.
    assert.ok(!error || error.code === 28, `${error}\n${stdout}\n${stderr}`);
    for (const expected of ['치킨', '"status":"AWAITING_PAYMENT"', '"status":"CAPTURED"', '"status":"PAID"',
      'event: status', '"event":"CAPTURED"', '"event":"OWNER_ACCEPTED"', '"status":"ACCEPTED"', '"status":"COMPLETED"']) assert.ok(stdout.includes(expected), `${expected} is not in\n${stdout}`);
    assert.ok(!stdout.includes('"code":"'), `an error in\n${stdout}`);
  } finally {
    await p.stop();
  }
});

test('what make help lists is what the README names', () => {
  const makefile = fs.readFileSync(path.join(ROOT, 'Makefile'), 'utf8');
  for (const [, word] of fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8').matchAll(/`?make ([a-z]+)`?/g))
    assert.match(makefile, new RegExp(`^${word}:`, 'm'), `make ${word}`);
});
