// edge_cases.js -- tables of odd, ambiguous and malformed requests, each with the one right status.
'use strict';

const cases = []; // {group, name, bytes (latin1), status, closes, head}

function add(group, name, bytes, status, more = {}) {
  cases.push({ group, name, bytes, status, closes: false, refused: false, ...more });
}
const refuse = (group, name, bytes, status) => add(group, name, bytes, status, { refused: true, closes: true });

const show = (text) => JSON.stringify(text.length > 40 ? `${text.slice(0, 37)}...` : text);
const code = (n) => `0x${n.toString(16).padStart(2, '0')}`;
const request = ({ method = 'GET', target = '/v1/none', version = 'HTTP/1.1', host = 'Host: a\r\n', fields = '', body = '' } = {}) =>
  `${method} ${target} ${version}\r\n${host}${fields}\r\n${body}`;

// Methods.
for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']) {
  add('method', method, request({ method }), 404, { head: method === 'HEAD' });
}
for (const method of ['get', 'Get', 'TRACE', 'CONNECT', 'PRI', 'PROPFIND', 'GETT', 'GE', 'G', 'X'.repeat(200), "!#$%&'*+-.^`|~"]) {
  refuse('method', method.slice(0, 20), request({ method }), 501);
}
for (const c of '"(),/:;<=>?@[\\]{}_\x01\x0b\x7f\x80\xff\0\t') {
  refuse('method', `with ${code(c.charCodeAt(0))}`, request({ method: `GE${c}T` }), 400);
}
refuse('method', 'none', ` /v1/none HTTP/1.1\r\nHost: a\r\n\r\n`, 400);

// Targets.
for (let c = 0; c <= 0x20; c++) {
  refuse('target', `with ${code(c)}`, request({ target: `/v1/a${String.fromCharCode(c)}b` }), 400);
}
for (const c of '\x7f"<>\\^`{|}#') refuse('target', `with ${show(c)}`, request({ target: `/v1/a${c}b` }), 400);
for (const target of ['', 'v1/none', 'http://a/v1/none', 'https://a', 'a:80', '*', '?a', '.', '//\x00']) {
  refuse('target', show(target), request({ target }), 400);
}
refuse('target', '* with POST', request({ method: 'POST', target: '*' }), 400);
for (const target of ['/v1/none?', '/v1/none?a=b&c', '/v1/none?%', '/v1/none/', '/v1//none', '/v1/none;a=b', '/v1/none:80/@',
  '/v1/%6eone', '/v1/none%', '/v1/none/%2e%2e', '/v1/../v1/none', "/v1/none!$&'()*+,;=", '/v1/none?/?', '/v1/none[1]', '/v1/\xea\xb9\x80']) {
  add('target', show(target), request({ target }), 404);
}
for (const escape of ['%', '%4', '%zz', '%00', '%2f', '%2F', '%5c', '%ff', '%c0%af', '%ed%a0%80', '\xff', '%f5%80%80%80']) {
  add('target', `parameter ${show(escape)}`, request({ target: `/v1/stores/${escape}` }), 400);
}
add('target', 'of 8192 bytes', request({ target: `/${'a'.repeat(8191)}` }), 404);
refuse('target', 'of 8193 bytes', request({ target: `/${'a'.repeat(8192)}` }), 414);
refuse('target', 'of 12000 bytes', request({ target: `/${'a'.repeat(11999)}` }), 414);

// Versions and the shape of the request line.
for (const version of ['HTTP/1.2', 'HTTP/1.9', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/3.0', 'HTTP/9.9', 'HTTP/0.0']) {
  refuse('version', version, request({ version }), 505);
}
for (const version of ['', 'HTTP', 'HTTP/', 'HTTP/1', 'HTTP/1.', 'HTTP/.1', 'HTTP/11', 'HTTP/1.1.1', 'HTTP/1.10', 'HTTP/01.1', 'HTTP/1,1',
  'http/1.1', 'Http/1.1', 'HTTPS/1.1', 'HTTP /1.1', 'HTTP/ 1.1', 'HTTP/1.1 ', ' HTTP/1.1', 'HTTP/1.1\t', 'HTTP/a.b', 'HTTP/-1.1', 'XTTP/1.1', 'HTTP/1.1\0', 'HTTP/1.1 x']) {
  refuse('version', show(version), request({ version }), 400);
}
refuse('line', 'HTTP/0.9', 'GET /v1/none\r\nHost: a\r\n\r\n', 400);
refuse('line', 'tab for space', 'GET\t/v1/none\tHTTP/1.1\r\nHost: a\r\n\r\n', 400);
refuse('line', 'space in front', ' GET /v1/none HTTP/1.1\r\nHost: a\r\n\r\n', 400);
refuse('line', 'TLS hello', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\n', 400);
refuse('line', 'HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400);
refuse('line', 'a bare LF first', '\nGET /v1/none HTTP/1.1\r\nHost: a\r\n\r\n', 400);
refuse('line', 'a bare CR first', '\rGET /v1/none HTTP/1.1\r\nHost: a\r\n\r\n', 400);
for (const n of [1, 2, 4]) add('line', `${n} empty before it`, '\r\n'.repeat(n) + request(), 404);

// Line ends: each place, each wrong end.
for (const [name, end] of [['LF', '\n'], ['CR', '\r'], ['CRCRLF', '\r\r\n'], ['LFCR', '\n\r'], ['NUL CRLF', '\0\r\n']]) {
  refuse('line end', `${name} after the request line`, `GET /v1/none HTTP/1.1${end}Host: a\r\n\r\n`, 400);
  refuse('line end', `${name} after Host`, `GET /v1/none HTTP/1.1\r\nHost: a${end}A: b\r\n\r\n`, 400);
  refuse('line end', `${name} after the last field`, `GET /v1/none HTTP/1.1\r\nHost: a\r\nA: b${end}\r\n`, 400);
  refuse('line end', `${name} for the empty line`, `GET /v1/none HTTP/1.1\r\nHost: a\r\nA: b\r\n${end}x`, 400);
}

// Field names: every byte that is not a token's, and '_'.
for (let c = 0; c < 256; c++) {
  const char = String.fromCharCode(c);
  if (/[A-Za-z0-9!#$%&'*+\-.^`|~:]/.test(char)) continue;
  if (c > 0x80 && c < 0xff && c % 16) continue;
  refuse('field name', `with ${code(c)}`, request({ fields: `X${char}Y: 1\r\n` }), 400);
}
for (const c of "!#$%&'*+-.^`|~09") add('field name', `with ${c}`, request({ fields: `X${c}Y: 1\r\n` }), 404);
for (const [name, line] of [['empty', ': 1\r\n'], ['space before the colon', 'A : 1\r\n'], ['tab before the colon', 'A\t: 1\r\n'],
  ['no colon', 'A\r\n'], ['fold by space', 'A: 1\r\n 2\r\n'], ['fold by tab', 'A: 1\r\n\t2\r\n'], ['fold of nothing', 'A: 1\r\n \r\n'],
  ['space in front', ' A: 1\r\n'], ['CL with a space', 'Content-Length : 5\r\n'], ['TE with a space', 'Transfer-Encoding : chunked\r\n'],
  ['CL with _', 'Content_Length: 5\r\n'], ['TE with _', 'Transfer_Encoding: chunked\r\n'], ['CL with NUL', 'Content-Length\0: 5\r\n']]) {
  refuse('field name', name, request({ fields: line }), 400);
}
refuse('field name', 'fold of the first', 'GET /v1/none HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n', 400);

// Field values.
for (let c = 0; c < 0x20; c++) {
  if (c !== 9) refuse('field value', `with ${code(c)}`, request({ fields: `A: x${String.fromCharCode(c)}y\r\n` }), 400);
}
refuse('field value', 'with 0x7f', request({ fields: 'A: x\x7fy\r\n' }), 400);
for (const value of ['', ' ', '\t \t', 'x\ty', '\x80', '\xff', ':', '::', 'a: b', '"', '\\']) {
  add('field value', show(value), request({ fields: `A:${value}\r\n` }), 404);
}

// Host.
for (const [name, host] of [['missing', ''], ['twice', 'Host: a\r\nHost: a\r\n'], ['twice, other', 'Host: a\r\nHOST: b\r\n'], ['empty', 'Host:\r\n'],
  ['blank', 'Host: \r\n'], ['list', 'Host: a, b\r\n'], ['space', 'Host: a b\r\n'], ['path', 'Host: a/b\r\n'], ['user', 'Host: u@a\r\n'],
  ['query', 'Host: a?b\r\n'], ['fragment', 'Host: a#b\r\n'], ['backslash', 'Host: a\\b\r\n'], ['quote', 'Host: "a"\r\n'], ['angle', 'Host: <a>\r\n'],
  ['8 bit', 'Host: \xe9\r\n'], ['tab', 'Host: a\tb\r\n']]) {
  refuse('host', name, request({ host }), 400);
}
refuse('host', 'twice in 1.0', request({ version: 'HTTP/1.0', host: 'Host: a\r\nHost: a\r\n' }), 400);
for (const host of ['a', 'a:80', 'A.B.C', '127.0.0.1:1', '[::1]', '[::1]:80', 'a-b', 'a_b', 'a.', 'xn--9n2bp8q']) {
  add('host', host, request({ host: `hOsT:${host}\r\n` }), 404);
}
add('host', 'none in 1.0', request({ version: 'HTTP/1.0', host: '' }), 404, { closes: true });

// Length of the body.
const post = (fields, body = '') => request({ method: 'POST', fields, body });
for (const length of ['', ' ', '+5', '-5', '-0', '0x5', '5 5', '5,5', '5, 5', '5,', ',5', '5.0', '5e0', '05', '00', 'five', '5\t5', '"5"', '5;', '٥',
  '9223372036854775808', '18446744073709551616', '99999999999999999999999']) {
  refuse('length', show(length), post(`Content-Length: ${Buffer.from(length).toString('latin1')}\r\n`, 'hello'), 400);
}
for (const length of ['9223372036854775807', '4294967296', '2147483648', '1048577']) {
  refuse('length', length, post(`Content-Length: ${length}\r\n`), 413);
}
for (const [a, b] of [['5', '5'], ['5', '6'], ['0', '5'], ['5', ''], ['', '5']]) {
  refuse('length', `${show(a)} and ${show(b)}`, post(`Content-Length: ${a}\r\nA: b\r\ncontent-length: ${b}\r\n`, 'hello'), 400);
}
for (const [fields, body] of [['Content-Length: 0\r\n', ''], ['Content-Length: 5\r\n', 'hello'], ['content-LENGTH:\t5 \r\n', 'hello'],
  ['Content-Length: 18\r\n', 'GET /x HTTP/1.1\r\n\r']]) {
  add('length', show(fields + body), post(fields, body), 404);
  add('length', `GET ${show(fields + body)}`, request({ fields, body }), 404);
}

// Transfer codings.
const chunked = '5\r\nhello\r\n0\r\n\r\n';
for (const coding of ['', ' ', ',', 'chunked, chunked', 'chunked,chunked', 'chunked, gzip', 'chunked, identity', 'chunked,x,chunked', ' chunked ,chunked']) {
  refuse('coding', show(coding), post(`Transfer-Encoding: ${coding}\r\n`, chunked), 400);
}
for (const coding of ['gzip', 'identity', 'gzip, chunked', 'identity, chunked', 'xchunked', 'chunkedx', 'chunk', 'chunked;q=1', '"chunked"', "'chunked'",
  'chun ked', 'deflate', 'compress', 'x', 'chunked\x80', ',chunked', 'chunked,']) {
  refuse('coding', show(coding), post(`Transfer-Encoding: ${coding}\r\n`, chunked), 501);
}
for (const coding of ['chunked', 'CHUNKED', 'Chunked', '\tchunked\t']) add('coding', show(coding), post(`Transfer-Encoding:${coding}\r\n`, chunked), 404);
for (const [a, b] of [['chunked', 'chunked'], ['chunked', 'identity'], ['identity', 'chunked'], ['gzip', 'chunked'], ['chunked', '']]) {
  refuse('coding', `${a} and ${b}`, post(`Transfer-Encoding: ${a}\r\nTransfer-Encoding: ${b}\r\n`, chunked), 400);
}
refuse('coding', 'in 1.0', request({ method: 'POST', version: 'HTTP/1.0', fields: 'Transfer-Encoding: chunked\r\n', body: chunked }), 400);

// Both: whatever their order and values.
for (const length of ['0', '5', '15', '99999999', 'x', '']) {
  for (const coding of ['chunked', 'identity', 'gzip', 'xchunked', '']) {
    const [l, c] = [`Content-Length: ${length}\r\n`, `Transfer-Encoding: ${coding}\r\n`];
    refuse('both', `${show(length)}, ${show(coding)}`, post(l + c, chunked), 400);
    refuse('both', `${show(coding)}, ${show(length)}`, post(c + l, chunked), 400);
  }
}

// Chunks.
const chunks = (body) => post('Transfer-Encoding: chunked\r\n', body);
for (const body of ['0\r\n\r\n', '00\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n', '05\r\nhello\r\n0\r\n\r\n', 'A\r\n0123456789\r\n0\r\n\r\n', 'a\r\n0123456789\r\n000\r\n\r\n',
  '5;a\r\nhello\r\n0;b=c\r\n\r\n', '5;a="b"\r\nhello\r\n0\r\n\r\n', '2\r\n\r\n\r\n0\r\n\r\n', '0\r\nA: b\r\n\r\n', '0\r\nContent-Length: 5\r\nHost: b\r\n\r\n',
  '0\r\nA:\r\nB: c\r\n\r\n', '1\r\nG\r\n1\r\nE\r\n0\r\n\r\n']) {
  add('chunk', show(body), chunks(body), 404);
}
for (const body of ['\r\n', '5\nhello\r\n0\r\n\r\n', '5\r\nhello\n0\r\n\r\n', '5\rhello\r\n0\r\n\r\n', '5\r\nhello\r0\r\n\r\n', '5\r\nhellox\r\n0\r\n\r\n', '5\r\nhelloxx0\r\n\r\n', '5\r\nhello\r\r0\r\n\r\n', '5\r\nhello\n\n0\r\n\r\n', '5\r\nhell\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n', ' 5\r\nhello\r\n0\r\n\r\n', '5\t\r\nhello\r\n0\r\n\r\n', '5 ;a\r\nhello\r\n0\r\n\r\n', '+5\r\nhello\r\n0\r\n\r\n', '-5\r\nhello\r\n0\r\n\r\n', '-0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n', '5h\r\nhello\r\n0\r\n\r\n', 'x\r\n', '5,\r\nhello\r\n', '5_0\r\n', '\x005\r\n', '5\0\r\n', '5;a\nhello\r\n', '5;a\rb\r\nhello\r\n', '5;\0\r\nhello\r\n',
  '5\r\nhello\r\n\r\n0\r\n\r\n', '0\r\n\n', '0\n\r\n', '0\n\n', '0\r\n\rx', '0\r\n A: b\r\n\r\n', '0\r\n\tA: b\r\n\r\n', '0\r\n: b\r\n\r\n', '0\r\nA\r\n\r\n', '0\r\nA : b\r\n\r\n',
  '0\r\nA: b\n\r\n', '0\r\nA: b\rc\r\n\r\n', '0\r\nA: \0\r\n\r\n', '0\r\nGET / HTTP/1.1\r\n\r\n']) {
  refuse('chunk', show(body), chunks(body), 400);
}
for (const size of ['100001', '7fffffff', 'ffffffff', '100000000', '7fffffffffffffff', 'ffffffffffffffff', '10000000000000005', 'fffffffffffffffffffff']) {
  refuse('chunk', `of ${size}`, chunks(`${size}\r\nhello\r\n`), 413);
}
refuse('chunk', 'zeros without end', chunks('0'.repeat(6000)), 400);
refuse('chunk', 'extension without end', chunks(`1;${'a'.repeat(6000)}`), 400);
refuse('chunk', 'trailers without end', chunks(`0\r\n${'A: b\r\n'.repeat(2000)}`), 431);

// Connection and Expect.
for (const [fields, closes] of [['close', true], ['CLOSE', true], ['x, close', true], [',close,', true], ['x\r\nConnection: close', true], ['closed', false],
  ['keep-alive', false], ['', false], ['close;', false], ['upgrade\r\nUpgrade: h2c', false]]) {
  add('connection', show(fields), request({ fields: `Connection: ${fields}\r\n` }), 404, { closes });
}
for (const [fields, closes] of [['', true], ['Connection: keep-alive\r\n', false], ['Connection: Keep-Alive, close\r\n', true], ['Connection: x\r\n', true]]) {
  add('connection', `1.0 ${show(fields)}`, request({ version: 'HTTP/1.0', fields }), 404, { closes });
}
for (const expect of ['100', 'continue', '200-ok', '100-continue, x', '']) refuse('expect', show(expect), post(`Expect: ${expect}\r\n`), 417);
for (const expect of ['100-continue', '100-CONTINUE']) {
  add('expect', show(expect), post(`Expect: ${expect}\r\nContent-Length: 5\r\n`, 'hello'), 404);
  add('expect', `${show(expect)} without a body`, post(`Expect: ${expect}\r\n`), 404);
}

// Limits.
add('limit', '100 fields', request({ fields: 'A: b\r\n'.repeat(99) }), 404);
refuse('limit', '101 fields', request({ fields: 'A: b\r\n'.repeat(100) }), 431);
const rest = 16384 - request({ fields: 'A: \r\n' }).length;
add('limit', 'a head of 16384 bytes', request({ fields: `A: ${'b'.repeat(rest)}\r\n` }), 404);
refuse('limit', 'a head of 16385 bytes', request({ fields: `A: ${'b'.repeat(rest + 1)}\r\n` }), 431);
refuse('limit', 'a name of 20000 bytes', request({ fields: `${'A'.repeat(20000)}: b\r\n` }), 431);
refuse('limit', 'a value without end', `GET /v1/none HTTP/1.1\r\nHost: a\r\nA: ${'b'.repeat(20000)}`, 431);
add('limit', 'a body of 1 MiB', post(`Content-Length: ${1 << 20}\r\n`, 'x'.repeat(1 << 20)), 404);
add('limit', 'a chunk of 1 MiB', chunks(`100000\r\n${'x'.repeat(1 << 20)}\r\n0\r\n\r\n`), 404);

module.exports = { cases };
