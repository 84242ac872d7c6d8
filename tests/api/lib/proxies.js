// proxies.js -- starts nginx or haproxy in front of an address, in a directory of its own, as a site would run it.
'use strict';
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { sleep } = require('./jumun');
const { freePorts } = require('./ports.js');

// What a site's own blocks stand in.
const nginx_around = (dir, blocks) => `
daemon off;
master_process off;
worker_processes 1;
pid ${dir}/pid;
error_log ${dir}/error.log;
events { worker_connections 512; }
http {
  log_format seen '$status $upstream_status';
  access_log ${dir}/access.log seen;
  client_body_temp_path ${dir}/body;
  proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/fastcgi;
  uwsgi_temp_path ${dir}/uwsgi;
  scgi_temp_path ${dir}/scgi;
  client_header_timeout 1s;
  client_body_timeout 1s;
  lingering_timeout 1s;
  keepalive_timeout 1s;
  large_client_header_buffers 4 32k;
${blocks}
}
`;

const nginx = ({ port, back, dir }, buffering) => nginx_around(dir, `
  upstream jumun { server ${back}; keepalive 8; }
  server {
    listen 127.0.0.1:${port};
    server_name shop.example;
    location / {
      proxy_pass http://jumun;
      proxy_http_version 1.1;
      proxy_request_buffering ${buffering};
      proxy_next_upstream off;
      proxy_set_header Host $host;
      proxy_set_header Connection "";
    }
  }`);

const haproxy = ({ port, back }) => `
global
  maxconn 512
  log stdout format raw local0
defaults
  mode http
  log global
  log-format "%ST %s %ts"
  timeout connect 2s
  timeout client 1s
  timeout server 2s
  timeout http-request 1s
  timeout http-keep-alive 1s
  http-reuse always
frontend site
  bind 127.0.0.1:${port}
  default_backend jumun
backend jumun
  retries 0
  server jumun ${back}
`;

// Each line of the proxy's log is a request that it saw; `forwarded` says which of them it passed on, `whole` which
// of those it passed on to the end and had an answer to.
const kinds = {
  nginx: { program: 'nginx', version: ['-v'], write: (at) => nginx(at, 'on'),
    run: (file, dir) => ['-p', dir, '-c', file, '-e', `${dir}/error.log`],
    log: (out, dir) => fs.readFileSync(path.join(dir, 'access.log'), 'utf8'),
    forwarded: (line) => !line.endsWith(' -'), whole: (line) => /^\d+ (?!50[24])\d{3}$/.test(line) },
  haproxy: { program: 'haproxy', version: ['-v'], write: haproxy, run: (file) => ['-db', '-f', file], log: (out) => out,
    forwarded: (line) => !line.includes('<NOSRV>'), whole: (line) => / jumun --$/.test(line) },
};
kinds['nginx, unbuffered'] = { ...kinds.nginx, write: (at) => nginx(at, 'off') };

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const installed = (kind) => spawnSync(kinds[kind].program, kinds[kind].version, { env }).status === 0;

function answers_at(port) {
  return new Promise((done) => {
    const socket = net.connect({ host: '127.0.0.1', port }, () => { socket.destroy(); done(true); });
    socket.on('error', () => done(false));
  });
}

// {url, lines(): the requests in its log, forwarded, whole, stop()}; `write` another configuration than that of its kind.
async function proxy(kind, behind, write = kinds[kind].write) {
  const row = kinds[kind];
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'jumun-proxy-'));
  const file = path.join(dir, 'conf');
  const [port] = await freePorts(1);
  fs.writeFileSync(file, write({ port, back: new URL(behind).host, dir }));
  const child = spawn(row.program, row.run(file, dir), { env, cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let complaints = '';
  let gone = false;
  const over = new Promise((done) => child.on('exit', () => { gone = true; done(); }));
  child.stdout.on('data', (bytes) => { out += bytes; });
  child.stderr.on('data', (bytes) => { complaints += bytes; });
  for (let i = 0; !await answers_at(port); i++) {
    if (gone || i > 250) throw new Error(`${kind} did not start: ${complaints}`);
    await sleep(20);
  }
  return {
    url: `http://127.0.0.1:${port}`,
    forwarded: row.forwarded,
    whole: row.whole,
    lines: () => row.log(out, dir).split('\n').filter((line) => /^-?\d+ /.test(line)),
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
      await over;
      clearTimeout(timer);
      fs.rmSync(dir, { recursive: true, force: true });
    },
  };
}

module.exports = { proxy, installed, nginx_around, kinds: Object.keys(kinds) };
