// The discovery service as Eureka's clients see it: both formats, leases, overrides, deltas, servers that tell each other.
'use strict';
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { after, before, describe, test } = require('node:test');
const jumun = require('./lib/jumun.js');
const { freePorts } = require('./lib/ports.js');

let server;
before(async () => { server = await jumun.start({ args: ['--discovery-listen', '127.0.0.1:0'] }); });
after(async () => { assert.equal((await server.stop()).code, 0); });

const JSON_TYPE = { accept: 'application/json', 'content-type': 'application/json' };
const XML_TYPE = { accept: 'application/xml', 'content-type': 'application/xml' };

// What a Spring client sends.
const springInstance = (app, id, more = {}) => ({ instance: {
  instanceId: id, app, appGroupName: null, ipAddr: '127.0.0.1', sid: 'na', homePageUrl: 'http://127.0.0.1:9/',
  statusPageUrl: 'http://127.0.0.1:8080/actuator/info', healthCheckUrl: 'http://127.0.0.1:8080/actuator/health', secureHealthCheckUrl: null,
  vipAddress: app, secureVipAddress: app, countryId: 1,
  dataCenterInfo: { '@class': 'com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo', name: 'MyOwn' },
  hostName: '127.0.0.1', status: 'UP', overriddenStatus: 'UNKNOWN',
  leaseInfo: { renewalIntervalInSecs: 1, durationInSecs: 10, registrationTimestamp: 0, lastRenewalTimestamp: 0, evictionTimestamp: 0, serviceUpTimestamp: 0 },
  isCoordinatingDiscoveryServer: false, lastUpdatedTimestamp: 1795422883529, lastDirtyTimestamp: 1795422883970, actionType: null, asgName: null,
  port: { $: 9, '@enabled': 'true' }, securePort: { $: 443, '@enabled': 'false' },
  metadata: { zone: 'a', 'management.port': '8080', team: '주문' }, ...more } });

async function eureka(method, path, { headers = { accept: 'application/json' }, body, at = server.discovery, base = '/eureka' } = {}) {
  const reply = await fetch(at + base + path, { method, headers, body: body && typeof body !== 'string' ? JSON.stringify(body) : body });
  const text = await reply.text();
  const json = text && /json/.test(reply.headers.get('content-type') || '') ? JSON.parse(text) : undefined;
  return { status: reply.status, headers: reply.headers, text, json };
}
const register = (app, id, more, options = {}) =>
  eureka('POST', `/apps/${app}`, { headers: JSON_TYPE, body: springInstance(app.toUpperCase(), id, more), ...options });
const shown = async (app, id, options) => (await eureka('GET', `/apps/${app}/${id}`, options)).json?.instance;

describe('an instance', () => {
  test('is registered, renewed, found and taken out', async () => {
    const made = await register('life', 'l-1');
    assert.deepEqual([made.status, made.text, made.headers.get('content-type')], [204, '', null]);
    const is = await shown('LIFE', 'l-1');
    assert.deepEqual(Object.keys(is), ['instanceId', 'hostName', 'app', 'ipAddr', 'status', 'overriddenStatus', 'port', 'securePort', 'countryId',
      'dataCenterInfo', 'leaseInfo', 'metadata', 'homePageUrl', 'statusPageUrl', 'healthCheckUrl', 'vipAddress', 'secureVipAddress',
      'isCoordinatingDiscoveryServer', 'lastUpdatedTimestamp', 'lastDirtyTimestamp', 'actionType']);
    assert.deepEqual([is.port, is.countryId, is.isCoordinatingDiscoveryServer, is.lastDirtyTimestamp, is.actionType],
      [{ $: 9, '@enabled': 'true' }, 1, 'false', '1795422883970', 'ADDED']);
    assert.deepEqual(is.metadata, { zone: 'a', 'management.port': '8080', team: '주문' });
    assert.equal(typeof is.leaseInfo.registrationTimestamp, 'number');
    const renew = (query) => eureka('PUT', `/apps/LIFE/l-1?status=UP&lastDirtyTimestamp=${query}`);
    assert.deepEqual([(await renew(1795422883970)).status, (await renew(1)).status, (await renew(1795422883971)).status], [200, 200, 404]);
    // Netflix's client takes any body of this answer for an instance.
    const unknown = await eureka('PUT', '/apps/LIFE/none');
    assert.deepEqual([unknown.status, unknown.text], [404, '']);
    assert.equal((await eureka('DELETE', '/apps/life/l-1')).status, 200);
    assert.equal((await eureka('DELETE', '/apps/life/l-1')).status, 404);
    for (const path of ['/apps/LIFE', '/apps/LIFE/l-1', '/instances/l-1']) assert.equal((await eureka('GET', path)).status, 404, path);
  });

  test('is the same under both bases, with and without a final slash, in any case of letters', async () => {
    await register('Both', 'b:1:9');
    for (const base of ['/eureka', '/eureka/v2']) {
      for (const path of ['/apps/both/b:1:9', '/apps/BOTH/b:1:9/', '/apps/Both/b%3A1%3A9', '/instances/b:1:9', '/instances/b:1:9/']) {
        assert.equal((await eureka('GET', path, { base })).json.instance.app, 'BOTH', base + path);
      }
      const all = await eureka('GET', '/apps/', { base });
      assert.equal(all.json.applications.versions__delta, '1');
      assert.ok(all.json.applications.application.find((a) => a.name === 'BOTH').instance.length === 1);
      assert.deepEqual((await eureka('GET', '/apps', { base })).json, all.json);
    }
  });

  test('speaks XML to whoever does not ask for JSON', async () => {
    const body = '<?xml version="1.0" encoding="UTF-8"?><!-- by hand --><instance><instanceId>x-1</instanceId><hostName>h</hostName><app>Xml</app>'
      + '<ipAddr>10.0.0.1</ipAddr><vipAddress>a&amp;b, other</vipAddress><port enabled="true">8080</port>'
      + '<dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>'
      + '<metadata><management.port>81</management.port><팀>&#xC8FC;문</팀></metadata></instance>';
    assert.equal((await eureka('POST', '/apps/XML', { headers: XML_TYPE, body })).status, 204);
    const is = await shown('XML', 'x-1');
    assert.deepEqual([is.status, is.vipAddress, is.port.$, is.securePort, is.metadata], ['UP', 'a&b, other', 8080,
      { $: 7002, '@enabled': 'false' }, { 'management.port': '81', 팀: '주문' }]);
    for (const accept of ['*/*', 'application/xml', 'text/xml', 'application/xml, text/xml']) {
      const reply = await eureka('GET', '/apps/XML', { headers: { accept } });
      assert.equal(reply.headers.get('content-type'), 'application/xml', accept);
      assert.match(reply.text, /^<application><name>XML<\/name><instance><instanceId>x-1<\/instanceId><hostName>h<\/hostName><app>XML<\/app><ipAddr>10\.0\.0\.1<\/ipAddr><status>UP<\/status><overriddenstatus>UNKNOWN<\/overriddenstatus><port enabled="true">8080<\/port><securePort enabled="false">7002<\/securePort><countryId>1<\/countryId><dataCenterInfo class="com\.netflix\.appinfo\.InstanceInfo\$DefaultDataCenterInfo"><name>MyOwn<\/name><\/dataCenterInfo><leaseInfo><renewalIntervalInSecs>30<\/renewalIntervalInSecs><durationInSecs>90<\/durationInSecs>.*<metadata><management\.port>81<\/management\.port><팀>주문<\/팀><\/metadata><vipAddress>a&amp;b, other<\/vipAddress>.*<actionType>ADDED<\/actionType><\/instance><\/application>$/s);
    }
    const spring = { accept: 'application/json, application/xml, text/xml, application/*+json, application/*+xml' };
    assert.equal((await eureka('GET', '/apps/XML', { headers: spring })).json.application.name, 'XML');
    assert.equal((await eureka('GET', '/apps', { headers: { accept: 'text/html' } })).status, 406);
    const all = await eureka('GET', '/apps/', { headers: XML_TYPE });
    assert.match(all.text, /^<applications><versions__delta>1<\/versions__delta><apps__hashcode>UP_\d+_<\/apps__hashcode><application><name>/);
    const found = (vip) => eureka('GET', `/vips/${encodeURIComponent(vip)}`).then((r) => r.json.applications.application.map((a) => a.name));
    assert.deepEqual([await found('a&b'), await found('OTHER'), await found('none')], [['XML'], ['XML'], []]);
  });

  test('can be asked for in brief', async () => {
    await register('brief', 'c-1');
    const { instance } = (await eureka('GET', '/apps/BRIEF/c-1', { headers: { accept: 'application/json', 'x-eureka-accept': 'compact' } })).json;
    assert.deepEqual(Object.keys(instance), ['instanceId', 'app', 'ipAddr', 'vipAddress', 'secureVipAddress', 'dataCenterInfo', 'hostName', 'status',
      'lastUpdatedTimestamp', 'actionType', 'port', 'securePort']);
    assert.equal(typeof instance.lastUpdatedTimestamp, 'number');
  });

  test('takes numbers as strings, nulls, old spellings and what nobody knows', async () => {
    const odd = { leaseInfo: { durationInSecs: '77', renewalIntervalInSecs: null }, lastDirtyTimestamp: '5', port: { $: '81', '@enabled': true },
      isCoordinatingDiscoveryServer: 'true', overriddenStatus: undefined, overriddenstatus: 'OUT_OF_SERVICE', metadata: null, later: [{ a: 1 }],
      instanceId: undefined, dataCenterInfo: { '@class': 'com.netflix.appinfo.AmazonInfo', name: 'Amazon', metadata: { 'instance-id': 'i-1' } } };
    assert.equal((await register('odd', undefined, odd)).status, 204);
    const is = await shown('ODD', '127.0.0.1');
    assert.deepEqual([is.port, is.leaseInfo.durationInSecs, is.leaseInfo.renewalIntervalInSecs, is.lastDirtyTimestamp, is.metadata, is.status,
      is.overriddenStatus, is.isCoordinatingDiscoveryServer], [{ $: 81, '@enabled': 'true' }, 77, 30, '5', {}, 'OUT_OF_SERVICE', 'OUT_OF_SERVICE', 'true']);
    assert.deepEqual(is.dataCenterInfo, odd.dataCenterInfo);
  });

  test('shows an override until it is taken away', async () => {
    await register('override', 'o-1');
    assert.equal((await eureka('PUT', '/apps/OVERRIDE/o-1/status?value=OUT_OF_SERVICE&lastDirtyTimestamp=1795422883971')).status, 200);
    const both = async () => { const is = await shown('OVERRIDE', 'o-1'); return [is.status, is.overriddenStatus, is.actionType]; };
    assert.deepEqual(await both(), ['OUT_OF_SERVICE', 'OUT_OF_SERVICE', 'MODIFIED']);
    await register('override', 'o-1', { lastDirtyTimestamp: 1795422883972 });
    assert.deepEqual(await both(), ['OUT_OF_SERVICE', 'OUT_OF_SERVICE', 'ADDED']);
    await register('override', 'o-1', { lastDirtyTimestamp: 1795422883973, status: 'DOWN' });
    assert.deepEqual((await both())[0], 'DOWN');
    assert.equal((await eureka('DELETE', '/apps/OVERRIDE/o-1/status?value=UP')).status, 200);
    assert.deepEqual(await both(), ['UP', 'UNKNOWN', 'MODIFIED']);
    assert.equal((await eureka('DELETE', '/apps/OVERRIDE/o-1/status')).status, 200);
    assert.deepEqual(await both(), ['UNKNOWN', 'UNKNOWN', 'MODIFIED']);
    assert.equal((await eureka('PUT', '/apps/OVERRIDE/o-1')).status, 404, 'it has to register again');
    for (const query of ['', '?value=', '?value=SIDEWAYS']) assert.equal((await eureka('PUT', `/apps/OVERRIDE/o-1/status${query}`)).status, 400);
  });

  test('has metadata that can be added to', async () => {
    await register('meta', 'm-1');
    assert.equal((await eureka('PUT', '/apps/META/m-1/metadata?zone=b&%ED%82%A4=%EA%B0%92&empty=')).status, 200);
    assert.deepEqual((await shown('META', 'm-1')).metadata, { zone: 'b', 'management.port': '8080', team: '주문', 키: '값', empty: '' });
    assert.equal((await eureka('PUT', '/apps/META/none/metadata?a=b')).status, 404);
  });
});

describe('what is wrong', () => {
  const refused = async (what, status, error, app = 'BAD', headers = JSON_TYPE) => {
    const reply = await eureka('POST', `/apps/${app}`, { headers, body: what });
    assert.equal(reply.status, status, reply.text);
    if (reply.json) assert.equal(reply.json.error, error, reply.text);
    else assert.ok(reply.text.startsWith(`<error><message>${error}</message>`), reply.text);
    return reply;
  };
  const without = (...names) => springInstance('BAD', 'b-1', Object.fromEntries(names.map((n) => [n, undefined])));
  const unreadable = 'cannot parse request body';

  test('is said', async () => {
    await refused(without('hostName'), 400, 'Missing hostname');
    await refused(without('ipAddr'), 400, 'Missing ip address');
    await refused(without('dataCenterInfo'), 400, 'Missing dataCenterInfo');
    await refused(springInstance('RAW', 'b-1'), 400, 'Mismatched appName, expecting OTHER but was RAW', 'OTHER');
    for (const body of [without('app'), { instance: {} }, {}, '[]', '{', 'nonsense', { instance: { app: 'BAD', port: 'x' } }]) await refused(body, 400, unreadable);
    await refused(springInstance('BAD', 'b-1', { port: { $: 65536 } }), 400, 'port: expected a number from 0 to 65535');
    await refused(springInstance('BAD', 'b-1', { status: 'SIDEWAYS' }), 400, 'status: expected UP, DOWN, STARTING, OUT_OF_SERVICE or UNKNOWN');
    await refused(springInstance('BAD', 'a/b'), 400, 'instanceId: expected no slash');
    await refused(springInstance('BAD', 'b-1', { metadata: { a: {} } }), 400, 'metadata: expected values that are strings of at most 4096 bytes');
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, 'v']));
    await refused(springInstance('BAD', 'b-1', { metadata: many }), 400, 'metadata: expected at most 100 keys');
    const large = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`k${i}`, 'v'.repeat(4000)]));
    await refused(springInstance('BAD', 'b-1', { metadata: large }), 413, 'The instance is larger than 16384 bytes of JSON or XML.');
    await refused('a=b', 415, 'Content-Type: expected application/json or application/xml', 'BAD', { 'content-type': 'text/plain', accept: 'application/json' });
    assert.equal((await eureka('PUT', '/apps/BAD/b-1?lastDirtyTimestamp=abc')).status, 400);
    assert.equal((await eureka('GET', '/apps/BAD')).status, 404);
  });

  test('is said in XML too, and nothing strange is read', async () => {
    const inner = '<app>BAD</app><hostName>h</hostName>';
    for (const [body, why] of [
      ['<instance>', /it ends too early/], [`<instance>${inner}</other>`, /closing tag/], ['', /an element was expected/],
      [`<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><instance>${inner}</instance>`, /neither DTD/],
      [`<instance>${inner}<a>&e;</a></instance>`, /known entities/], [`<instance><![CDATA[a]]></instance>`, /neither DTD, CDATA/],
      [`<instance>${'<a>'.repeat(9)}${'</a>'.repeat(9)}</instance>`, /nested too deeply/], [`<instance>text${inner}</instance>`, /text beside elements/],
      [`<instance>${'<a/>'.repeat(2001)}</instance>`, /too many elements/], ['<instance a=b></instance>', /a quote was expected/],
      [`<?xml version="1.0" encoding="EUC-KR"?><instance>${inner}</instance>`, /another encoding/], [`<instance>${inner}</instance><a/>`, /more after/],
    ]) {
      const reply = await refused(body, 400, unreadable, 'BAD', XML_TYPE);
      assert.match(reply.text, why);
    }
    await refused(`<instance>${inner}</instance>`, 400, 'Missing ip address', 'BAD', XML_TYPE);
  });

  test('has the right status', async () => {
    for (const [method, path, status, allow] of [['PUT', '/apps', 405, 'GET,OPTIONS'], ['POST', '/apps/', 405, 'GET,OPTIONS'],
      ['PATCH', '/apps/A/b', 405, 'GET,PUT,DELETE,OPTIONS'], ['GET', '/none', 404, null], ['GET', '/apps/A/b/c', 404, null], ['GET', '/apps//b', 404, null],
      ['HEAD', '/apps', 200, null], ['GET', '/status', 200, null], ['OPTIONS', '/apps', 200, 'GET,OPTIONS']]) {
      const reply = await eureka(method, path);
      assert.deepEqual([reply.status, reply.headers.get('allow')], [status, allow], `${method} ${path}`);
    }
    const gzipped = await eureka('POST', '/apps/BAD', { headers: { ...JSON_TYPE, 'content-encoding': 'gzip' }, body: springInstance('BAD', 'b') });
    assert.equal(gzipped.status, 400);
    const large = await eureka('POST', '/apps/BAD', { headers: JSON_TYPE, body: ' '.repeat(70000) }).catch(() => ({ status: 413 }));
    assert.equal(large.status, 413);
  });
});

describe('with other processes', () => {
  const names = async (at) => (await eureka('GET', '/apps/', { at })).json.applications.application.map((a) => a.name);
  const has = (at, ...wanted) => jumun.until(async () => { const n = await names(at); return wanted.every((w) => n.includes(w)); }, wanted.join(), 15000);

  test('the platform registers, again after the server has forgotten it, and leaves', async () => {
    const [port] = await freePorts(1); // the server starts there again
    const listen = ['--discovery-listen', `127.0.0.1:${port}`];
    let registry = await jumun.start({ args: listen });
    const member = await jumun.start({ args: ['--discovery', `http://127.0.0.1:1/eureka,http://127.0.0.1:${port}/eureka/`, '--discovery-renew', '1'] });
    assert.doesNotMatch(member.log, /nobody listens there/);
    const at = registry.discovery;
    try {
      await has(at, 'AUTH', 'ORDER', 'PAYMENT', 'STORE', 'USER');
      assert.ok(!(await names(at)).includes('TOSS'));
      const ports = (name) => ['public', 'internal'].map((which) => new URL(member.part(name)[which]).port);
      const [publicPort, internalPort] = ports('order');
      const is = await shown('order', `127.0.0.1:order:${publicPort}`, { at });
      assert.deepEqual([is.port, is.metadata, is.healthCheckUrl, is.leaseInfo.renewalIntervalInSecs, is.leaseInfo.durationInSecs],
        [{ $: Number(publicPort), '@enabled': 'true' }, { internalPort }, `http://127.0.0.1:${internalPort}/readyz`, 1, 3]);
      assert.equal((await fetch(is.healthCheckUrl)).status, 200);
      await jumun.until(() => new RegExp(`discovery: store is at 127\\.0\\.0\\.1:${ports('store')[1]} `).test(member.log), 'the address of the store');
      await registry.kill();
      await jumun.sleep(1500);
      registry = await registry.again();
      await has(at, 'AUTH', 'ORDER', 'PAYMENT', 'STORE', 'USER');
      assert.equal((await member.stop()).code, 0);
      assert.deepEqual(await names(at), []);
    } finally {
      await member.stop();
      await registry.stop();
    }
  });

  test('whoever is registered under a host where it does not listen is told so', async () => {
    const member = await jumun.start({ args: ['--discovery', 'http://127.0.0.1:1/eureka', '--discovery-host', '10.0.0.7'] });
    try {
      for (const flag of ['--listen', '--internal-listen'])
        await jumun.until(() => new RegExp(`told to come to 10\\.0\\.0\\.7, and nobody listens there: ${flag} is 127\\.0\\.0\\.1:`).test(member.log), `a word about ${flag}`);
    } finally {
      await member.stop();
    }
  });

  test('two servers tell each other', async () => {
    const [a, b] = await freePorts(2);
    const run = (own, other) => jumun.start({ args: ['--discovery-listen', `127.0.0.1:${own}`, '--discovery-peers', `http://127.0.0.1:${other}/eureka`] });
    const [one, two] = [await run(a, b), await run(b, a)];
    try {
      await register('shared', 's-1', {}, { at: one.discovery });
      await has(two.discovery, 'SHARED');
      await eureka('PUT', '/apps/SHARED/s-1/status?value=OUT_OF_SERVICE', { at: two.discovery });
      await jumun.until(async () => (await shown('SHARED', 's-1', { at: one.discovery })).status === 'OUT_OF_SERVICE', 'the override to come back');
      await eureka('DELETE', '/apps/SHARED/s-1', { at: one.discovery });
      await jumun.until(async () => (await names(two.discovery)).length === 0, 'the instance to leave');
      const empty = await eureka('POST', '/peerreplication/batch/', { at: one.discovery, headers: JSON_TYPE, body: { replicationList: [] } });
      assert.deepEqual([empty.status, empty.json], [200, { responseList: [] }]);
      const odd = await eureka('POST', '/peerreplication/batch', { at: one.discovery, headers: JSON_TYPE, body: { replicationList: [
        { appName: 'X', id: 'y', action: 'Heartbeat', lastDirtyTimestamp: 5, status: 'UP', overriddenStatus: 'UNKNOWN' },
        { appName: 'X', id: 'y', action: 'Dance' },
        { appName: 'X', id: 'y', action: 'Register', lastDirtyTimestamp: 5, instanceInfo: springInstance('X', 'y').instance },
        { appName: 'X', id: 'y', action: 'Heartbeat', lastDirtyTimestamp: 5 }, { appName: 'X', id: 'y', action: 'Cancel' }] } });
      assert.deepEqual(odd.json.responseList.map((r) => r.statusCode), [404, 400, 200, 409, 200]);
      assert.equal(odd.json.responseList[3].responseEntity.instanceId, 'y');
    } finally {
      await one.stop();
      await two.stop();
    }
  });

  test('with credentials nobody else may register, read or tell', { timeout: 60000 }, async () => {
    const [a, b] = await freePorts(2);
    const user = 'shop', password = 'p@ss:w/rd %';
    const named = (port, word = password) => `http://${user}:${encodeURIComponent(word)}@127.0.0.1:${port}/eureka`;
    const run = (own, other) => jumun.start({ args: ['--discovery-listen', `127.0.0.1:${own}`, '--discovery-peers', named(other)],
      env: { JUMUN_DISCOVERY_CREDENTIALS: `${user}:${password}` } });
    const basic = (u, w) => ({ accept: 'application/json', authorization: `Basic ${Buffer.from(`${u}:${w}`).toString('base64')}` });
    const all = await Promise.all([run(a, b), run(b, a)]);
    const [one, two] = all;
    try {
      for (const [what, headers] of Object.entries({ none: {}, 'another password': basic(user, 'p@ss:w/rd'), 'another user': basic('Shop', password),
        'no user': basic('', password), 'a token': { authorization: 'Bearer x' }, 'odd base64': { authorization: 'Basic !' } })) {
        for (const [method, path] of [['GET', '/apps/'], ['PUT', '/apps/X/y'], ['DELETE', '/apps/X/y'], ['POST', '/peerreplication/batch/'], ['GET', '/no/such/path']]) {
          const reply = await eureka(method, path, { at: one.discovery, headers });
          assert.deepEqual([reply.status, reply.text, reply.headers.get('www-authenticate')], [401, '', 'Basic realm="eureka", charset="UTF-8"'], `${what}: ${method} ${path}`);
        }
        assert.equal((await register('foreign', 'f-1', {}, { at: one.discovery, headers: { ...JSON_TYPE, ...headers } })).status, 401, what);
      }
      // Whoever knows them is let in, the other server tells, and a platform registers.
      const may = { headers: { ...JSON_TYPE, ...basic(user, password) } };
      assert.equal((await register('ours', 'o-1', {}, { at: one.discovery, ...may })).status, 204);
      const seen = async (at) => (await eureka('GET', '/apps/', { at, headers: basic(user, password) })).json.applications.application.map((x) => x.name);
      await jumun.until(async () => (await seen(two.discovery)).includes('OURS'), 'the other server to be told', 15000);
      all.push(await jumun.start({ args: ['--discovery', named(a), '--discovery-renew', '1'] }));
      await jumun.until(async () => (await seen(two.discovery)).includes('ORDER'), 'the platform to be registered', 15000);
      const stranger = await jumun.start({ args: ['--discovery', named(a, 'wrong'), '--discovery-renew', '1'] });
      all.push(stranger);
      await jumun.until(() => /discovery: order is not registered: .*answered 401: wrong user or password/.test(stranger.log), 'the wrong password to be named');
      for (const p of all) assert.doesNotMatch(p.log, /p@ss|p%40ss|:wrong@/, 'a password in a log');
      const doctor = (word) => spawnSync(jumun.binary(), ['doctor', '--data', one.dir, '--discovery', named(a, word)], { encoding: 'utf8', timeout: 20000 }).stdout;
      assert.match(doctor(), new RegExp(`^ok +discovery http://127.0.0.1:${a}/eureka: reached$`, 'm'));
      assert.match(doctor('wrong'), new RegExp(`^FAIL +discovery http://127.0.0.1:${a}/eureka: wrong user or password`, 'm'));
    } finally {
      for (const p of all.reverse()) await p.stop();
    }
  });

  test('credentials that are none are refused at start', async () => {
    for (const odd of ['shopxx', ':password', 'shop:'])
      await assert.rejects(jumun.start({ args: ['--discovery-listen', '127.0.0.1:0'], env: { JUMUN_DISCOVERY_CREDENTIALS: odd } }), /--discovery-credentials must be USER:PASSWORD/, odd);
  });

  test('a client that falls silent is taken out', async () => {
    const registry = await jumun.start({ args: ['--discovery-listen', '127.0.0.1:0', '--discovery-evict', '1', '--discovery-evict-always'] });
    try {
      await register('silent', 's-1', { leaseInfo: { renewalIntervalInSecs: 1, durationInSecs: 1 } }, { at: registry.discovery });
      await has(registry.discovery, 'SILENT');
      await jumun.until(async () => (await names(registry.discovery)).length === 0, 'the lease to end');
      const { applications } = (await eureka('GET', '/apps/delta', { at: registry.discovery })).json;
      assert.deepEqual([applications.apps__hashcode, applications.application[0].instance[0].actionType], ['', 'DELETED']);
    } finally {
      await registry.stop();
    }
  });
});
