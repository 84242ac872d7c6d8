// disk.test.js -- orders come in on files (no servers) while their disk is full: a small tmpfs of the platform's own.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');

// Files, whatever servers there are; and the platform in a namespace of its own, where its data directory is that disk.
for (const name of ['JUMUN_DATABASE', 'JUMUN_BUS', 'JUMUN_CACHE']) delete process.env[name];
const { BINARY } = require('../../api/lib/platform.js');
const box = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-disk-'));
const small = path.join(box, 'jumun');
fs.writeFileSync(small, `#!/bin/sh
exec unshare -rm sh -c 'mount -t tmpfs -o size=400m tmpfs "$3" && exec "$0" "$@"' ${path.resolve(BINARY)} "$@"
`, { mode: 0o755 });
const can = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', box]).status === 0 && spawnSync('sqlite3', ['--version']).status === 0;

delete require.cache[require.resolve('../../api/lib/platform.js')];
process.env.JUMUN = small;
const test = require('node:test');
const { Site, SHORT, KEYS_SECRET, run, sleep } = require('./site.js');

class Disk extends Site {
  get data() { return path.join(this.dirs[0], 'data'); }

  // There, where that directory is the small disk.
  inside(...words) {
    return run('nsenter', ['-t', String(this.platforms[0].child.pid), '-U', '-m', '--preserve-credentials', ...words]);
  }

  async rows(sql) {
    const attach = ['order', 'payment', 'toss'].map((name) => `attach 'file:${this.data}/${name}.db?mode=ro' as "${name}";`).join(' ');
    const r = await this.inside('sqlite3', '-separator', ' ', ':memory:', `${attach} ${sql.replace(/order_id/g, "lower(replace(case typeof(order_id) " +
      "when 'blob' then hex(order_id) else order_id end, '-', ''))")}`);
    if (!r.ok) throw new Error(`sqlite3: ${r.text}`);
    return r.out.split('\n').filter(Boolean);
  }

  doctor() { return this.inside('env', `JUMUN_KEYS_SECRET=${KEYS_SECRET}`, path.resolve(BINARY), 'doctor', '--audit', '--data', this.data); }
}

test.after(() => fs.rmSync(box, { recursive: true, force: true }));

test('the disk is full', { skip: can ? false : 'needs a tmpfs in a namespace of its own, and sqlite3', timeout: 240000 }, async () => {
  const site = await Disk.start();
  try {
    await site.through('disk full', async () => {
      const filler = path.join(site.data, 'filler');
      const r = await site.inside('dd', 'if=/dev/zero', `of=${filler}`, 'bs=64k');
      if (!/No space left/.test(r.text)) throw new Error(`the disk did not get full: ${r.text}`);
      await sleep(SHORT ? 2000 : 10000);
      await site.inside('rm', filler);
    });
  } finally {
    await site.stop();
  }
});
