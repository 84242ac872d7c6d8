// one_process.js -- what is not run with every service in a process of its own (TEST_THROUGH=apart), and why. tools/test-api prints it.
//
// `node one_process.js files` names the test files that are run so.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { APART } = require('./processes.js');

const FILES = {
  'apart.test.js': 'starts its services apart by itself',
  'behind_proxy.test.js': 'about who is one client for the listener of a service; the gateway has such tests of its own',
  'commands.test.js': 'about the command line, and one platform in one process',
  'differential.test.js': 'about the parser behind foreign proxies, the same in every process; apart the gateway is before it',
  'doctor.test.js': 'starts no platform',
  'ended.test.js': 'starts its services apart by itself',
  'gateway.test.js': 'starts gateways of its own before back ends of its own',
  'http_edge.test.js': 'about the parser, the same in every process: once through the gateway (TEST_THROUGH=gateway)',
  'keys.test.js': 'about the files and the database of one process',
  'migrate.test.js': 'starts no platform',
  'one_host.test.js': 'about the proxy in front of one process, as its document has it',
  'production.test.js': 'about how one process starts; services apart look at the same settings',
  'readme.test.js': 'runs the commands of the README, which start one process',
  'replicas.test.js': 'whole platforms beside each other; tests/servers/faults has replicas of services apart',
  'restore.test.js': 'starts no platform',
};

const SESSION = 'expects at once what other processes hear within a second: tests/api/ended.test.js is about that';
const TESTS = {
  'a token used again after its successor ends the whole family, and only it': SESSION,
  'logout ends this one': SESSION,
  'logout-all ends all': SESSION,
  'a new password ends the others and replaces the old one': SESSION,
  'a session survives a restart, an ended one stays ended': SESSION,
  'a ban ends everything at once, and can be taken back': SESSION,
  'an order of nobody is refused before its token is looked at': 'apart the gateway looks at the token first: 401',
};

// For the `skip` of a test: false, or apart the reason.
function alone(name) {
  if (!TESTS[name]) throw new Error(`"${name}" is not in the list of one_process.js`);
  return APART && TESTS[name];
}

module.exports = { alone };

if (require.main === module) {
  const all = fs.readdirSync(path.join(__dirname, '..')).filter((f) => f.endsWith('.test.js'));
  const gone = Object.keys(FILES).filter((f) => !all.includes(f));
  if (gone.length) throw new Error(`one_process.js names ${gone.join(', ')}, which are not there`);
  if (process.argv[2] === 'files') console.log(all.filter((f) => !FILES[f]).map((f) => `tests/api/${f}`).join('\n'));
  else for (const [name, why] of Object.entries({ ...FILES, ...TESTS })) console.log(`LEFT OUT apart: ${name}: ${why}`);
}
