// plans.test.js -- what people do every day finds its rows by an index: it costs the same on PostgreSQL when every table that orders fill is
// large. Run by tools/test-servers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const { Platform, demoId, sleep } = require('../api/lib/platform.js');

const { TEST_POSTGRES } = process.env;
const options = { skip: !TEST_POSTGRES && 'needs TEST_POSTGRES (tests/servers/postgres)', timeout: 240000 };
const ROWS = 20000;
const FLUSHED_MS = 11000; // an idle connection tells its figures within ten seconds

function sql(text) {
  const r = spawnSync('psql', ['-qAtX', '-v', 'ON_ERROR_STOP=1', TEST_POSTGRES], { input: text, encoding: 'utf8', timeout: 120000 });
  assert.equal(r.status, 0, r.stderr);
  return r.stdout.trim().split('\n').filter(Boolean);
}

// Every table that the last walk wrote gets copies of its rows: other ids, other keys, timers that are due next year.
const GROW = `
set session_replication_role = replica;
do $$
declare t record; columns text;
begin
  for t in select relid, relid::regclass as name, schemaname, relname, greatest(1, ${ROWS} / greatest(n_live_tup, 1)) as times
    from pg_stat_user_tables where n_tup_ins > 0 and relname not in ('offsets', 'jobs', 'migrations')
  loop
    select string_agg(case
        when a.type = 'uuid'::regtype then 'case when r.' || quote_ident(a.attname) || ' is not null then gen_random_uuid() end'
        when not a.is_key then 'r.' || quote_ident(a.attname) || case when a.attname = 'due_us' then ' + 31536000000000' else '' end
        when a.type = 'text'::regtype and not a.is_shared then 'case when r.' || quote_ident(a.attname) || ' is not null then md5(random()::text) || g end'
        when a.is_shared then 'r.' || quote_ident(a.attname)
        else '-(row_number() over ())' end, ', ' order by a.attnum) into columns
    from (select attname, attnum, atttypid as type,
        exists (select 1 from pg_index i where i.indrelid = t.relid and i.indisunique and attnum = any (i.indkey)) as is_key,
        exists (select 1 from pg_index i, pg_attribute o where i.indrelid = t.relid and i.indisunique and c.attnum = any (i.indkey)
          and o.attrelid = t.relid and o.attnum = any (i.indkey) and o.atttypid = 'uuid'::regtype) as is_shared
      from pg_attribute c where attrelid = t.relid and attnum > 0 and not attisdropped) a;
    execute format('insert into %s select %s from (select * from %s r where %s) r, generate_series(1, %s) g', t.name, columns, t.name,
      case t.relname when 'outbox' then 'published_at is not null' else 'true' end, t.times);
  end loop;
end $$;
vacuum analyze;
select pg_stat_reset();`;

const SCANNED = `select schemaname || '.' || s.relname || ': ' || seq_scan || ' scans of ' || c.reltuples || ' rows'
  from pg_stat_user_tables s join pg_class c on c.oid = s.relid where seq_scan > 0 and c.reltuples > ${ROWS / 4}
  and schemaname <> 'toss' order by 1;`; // the simulator of Toss is for trying things out
const LARGE = `select s.nspname || '.' || relname from pg_class c join pg_namespace s on s.oid = relnamespace
  where relkind = 'r' and s.nspname <> 'pg_catalog' and reltuples > ${ROWS / 4} order by 1;`;

let p;
test.before(async () => { if (!options.skip) p = await Platform.start({ env: { JUMUN_DATABASE: TEST_POSTGRES } }); });
test.after(() => p && p.stop());

async function ok(promise) {
  const r = await promise;
  assert.ok(r.status >= 200 && r.status < 300, JSON.stringify(r.body));
  return r.body;
}

// A day of a customer, an owner and an operator.
async function walk() {
  const guest = {}, minji = await p.login('minji'), owner = await p.login('owner1'), admin = await p.login('admin1');
  const store = demoId('store', 1), board = `/v1/owner/stores/${store}/orders`;
  await ok(p.addToCart(guest, 1, 1));
  await ok(p.get('/v1/cart', { as: guest }));

  const order = await p.paid(minji, 1);
  for (const [verb, body] of [['accept', { minutes: 30 }], ['cook'], ['ready'], ['deliver'], ['complete']])
    await ok(p.post(`${board}/${order.orderId}/${verb}`, body, { as: owner, key: true }));
  const refused = await p.paid(minji, 1);
  await ok(p.post(`${board}/${refused.orderId}/refuse`, { reason: '재료가 없어요' }, { as: owner, key: true }));
  await p.reaches(minji, refused.orderId, 'CANCELLED');
  await p.addToCart(minji, 1, 1);
  const placed = await ok(p.place(minji, 1));
  await ok(p.post(`/v1/orders/${placed.orderId}/cancel`, { reason: '마음이 바뀌었어요' }, { as: minji, key: true }));

  const payments = await ok(p.get('/v1/payments', { as: minji }));
  const list = await ok(p.get('/v1/orders?limit=1', { as: minji }));
  for (const url of [`/v1/orders?limit=1&cursor=${encodeURIComponent(list.nextCursor)}`, '/v1/orders?status=PAID', `/v1/orders/${order.orderId}`,
    `/v1/orders/${order.orderId}/receipt`, `/v1/payments/${payments.items[0].paymentId}`, '/v1/cart', '/v1/me', '/v1/me/addresses', '/v1/me/favorites'])
    await ok(p.get(url, { as: minji }));
  for (const url of [`${board}?active=true`, `${board}?status=COMPLETED`, `${board}/${order.orderId}`, `/v1/owner/stores/${store}/payments`,
    `/v1/owner/stores/${store}/menu-items/${demoId('item', 1, 1)}/stock`, `/v1/owner/stores/${store}/menu-items/${demoId('item', 1, 1)}/stock/ledger`])
    await ok(p.get(url, { as: owner }));
  for (const url of ['/v1/admin/orders', `/v1/admin/orders/${order.orderId}/story`, '/v1/admin/users', '/v1/admin/dead-letters'])
    await ok(p.get(url, { as: admin }));
  await ok(p.post('/v1/auth/refresh', { refreshToken: minji.refresh }));
  await p.paid(minji, 1); // and stays under way
  await ok(p.post('/v1/auth/logout', undefined, { as: owner }));
}

test('nothing on the way of an order reads a large table from end to end', options, async () => {
  await sleep(FLUSHED_MS);
  sql('select pg_stat_reset();'); // what the demo world wrote does not count
  await walk();
  await sleep(FLUSHED_MS);
  sql(GROW);
  const large = sql(LARGE);
  for (const name of ['order.orders', 'order.timers', 'order.outbox', 'payment.payments', 'store.reservations', 'auth.sessions'])
    assert.ok(large.includes(name), `${name} did not grow: ${large}`);
  await walk();
  await sleep(FLUSHED_MS);
  assert.deepEqual(sql(SCANNED), []);
});
