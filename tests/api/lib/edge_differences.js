// edge_differences.js -- where a proxy and jumun are known to disagree about a request, and why that is harmless.
'use strict';

// how: 'refuses' -- jumun would serve it, the proxy does not. 'repairs' -- jumun would refuse it, the proxy makes a
// request of it that jumun serves. 'splits' -- jumun would refuse it and close; the proxy takes what is left for a
// request of its own, which is refused. 'ends' -- both serve it, the proxy closes. 'waits' -- the proxy gives up
// waiting for jumun, which waits for a client that promised more than it sent.
// names: of cases of that group, in full or as a pattern.
const differences = [];

const nginx = ['nginx', 'nginx, unbuffered'];
const haproxy = ['haproxy'];
const both = [...nginx, ...haproxy];
const differ = (by, how, group, names, why) => differences.push({ by, how, group, names, why });

differ(nginx, 'refuses', 'target', ['"/v1/none%"', /^parameter "%(4|zz|00)?"$/],
  'nginx decodes the path to find its location, and answers escapes that it cannot decode itself');
differ(haproxy, 'refuses', 'target', [/^"\/v1\/\xea\xb9\x80"$/, 'parameter "\xff"'], 'haproxy wants bytes above ASCII escaped');
differ(nginx, 'repairs', 'target', ['"http://a/v1/none"', '"https://a"'], 'the absolute form is for proxies; nginx passes on the origin form');

differ(both, 'repairs', 'version', ['HTTP/1.2', 'HTTP/1.9'], 'a proxy speaks its own version: 1.1');
differ(haproxy, 'repairs', 'version', ['HTTP/2.0', 'HTTP/3.0', 'HTTP/9.9'], 'so does haproxy after any version');
differ(both, 'repairs', 'version', ['" HTTP/1.1"'], 'two spaces are read as one; one is passed on');
differ(nginx, 'repairs', 'version', ['"HTTP/1.1 "', '"HTTP/1.10"'], 'nginx is lenient behind the version and passes on its own');
differ(both, 'repairs', 'line', ['a bare LF first'], 'an empty line in front is dropped, however it ends');
differ(nginx, 'repairs', 'line', ['a bare CR first'], 'a CR in front is dropped');
differ(haproxy, 'repairs', 'line', ['tab for space'], 'haproxy takes a tab for a space and passes on a space');

differ(both, 'repairs', 'line end', [/^LF after /], 'both take a bare LF for a line end and pass on CRLF');
differ(nginx, 'repairs', 'line end', [/^CRCRLF after (Host|the last field)$/], 'nginx cuts every CR off a value\'s end');
differ(both, 'splits', 'line end', ['LF for the empty line', 'LFCR for the empty line'],
  'the head ends at the bare LF for both; what is behind it is no request');

differ(nginx, 'repairs', 'field name', [/^with 0x/, 'no colon', 'CL with _', 'TE with _'],
  'nginx drops a field whose name it does not like (ignore_invalid_headers, underscores_in_headers): nobody sees it');
differ(haproxy, 'repairs', 'field name', [/^fold /], 'haproxy unfolds a value and passes on one line');
differ(nginx, 'repairs', 'field value', ['with 0x0a'], 'a bare LF ends the line; the rest is a line without a colon, and is dropped');
differ(haproxy, 'repairs', 'host', ['twice', 'twice in 1.0'], 'haproxy passes on one of two equal Host fields');

differ(nginx, 'refuses', 'length', [/content-LENGTH:\\t5/], 'nginx does not strip a tab in front of a value');
differ(nginx, 'refuses', 'coding', ['"\\tchunked\\t"'], 'nginx does not strip a tab in front of a value');
differ(nginx, 'repairs', 'length', ['"05"'], 'nginx passes on the length as a number of its own');
differ(haproxy, 'repairs', 'length', ['"5,5"', '"5, 5"', '"5" and "5"'], 'haproxy passes on one of several equal lengths (RFC 9110, 8.6)');
differ(both, 'splits', 'length', ['"00"'], 'for the proxies no body: what jumun would have called one is a request of its own to them');
differ(haproxy, 'splits', 'length', ['"18446744073709551616"'],
  'haproxy 2.6 counts 2^64 as 0 and passes the digits on: jumun refuses them and closes, so nothing is smuggled');
differ(haproxy, 'repairs', 'both', [/^"(0|5|15|99999999)", "chunked"$/, /^"chunked", "(0|5|15|99999999)"$/],
  'haproxy drops the length, passes on the chunks and closes (RFC 9112, 6.1)');

differ(both, 'repairs', 'chunk', [/^"5\\nhello/, /^"5\\r\\nhello\\n0/, /^"5\\r\\nhell\\r\\n0/, /^"5( |\\t)\\r/, /^"5 ;a/, /^"0(\\r)?\\n\\n"$/, '"0\\n\\r\\n"', /^"0\\r\\nA: b\\n/],
  'both take a bare LF, and blanks behind a size, for the end of a line of chunks; they write chunks of their own');
differ(nginx, 'repairs', 'chunk', [/^"0\\r\\n( |\\t|: b|A\\r|A :|A: \\u0000|GET)/, 'trailers without end'], 'nginx skips trailers without reading them and passes on none');
differ(haproxy, 'waits', 'chunk', [/^of (100001|7fffffff|ffffffff|100000000)$/], 'haproxy passes on the bytes that came as a chunk of their own size');

differ(nginx, 'ends', 'connection', ['"closed"', '"close;"'], 'nginx looks for "close" anywhere in the value');
differ(nginx, 'repairs', 'expect', [/^"(100|continue|200-ok|100-continue, x)?"$/], 'nginx does not pass on Expect');
differ(haproxy, 'refuses', 'limit', ['a head of 16384 bytes'], 'haproxy\'s buffer has the same size, and some of it is its own (tune.maxrewrite)');

module.exports = { differences };
