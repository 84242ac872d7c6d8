/* http_test.c -- the HTTP/1.1 parser: each request alone and cut at every byte, and its lengths. */
#include "net/http.h"

#include "test.h"

#define HOST "Host: a\r\n"

struct head_case {
    int status;
    const char *bytes;
    size_t n; /* 0: up to the NUL */
};

/* clang-format off */
static const struct head_case heads[] = {
    {1, "GET / HTTP/1.1\r\n" HOST "\r\n"},
    {1, "GET / HTTP/1.0\r\n\r\n"},
    {1, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n"},
    {1, "DELETE /a?b HTTP/1.1\r\nhOST: a.b:80\r\n\r\n"},
    {1, "GET /주문?q=김치 HTTP/1.1\r\n" HOST "\r\n"},
    {1, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"},
    {1, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n"},
    {1, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"},
    {1, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n"},
    {1, "GET / HTTP/1.1\r\n" HOST "A:\r\nB: \t \r\nC:x\r\n\r\n"},
    {1, "GET / HTTP/1.1\r\n" HOST "A: \xff\xfe obs-text\r\n\r\n"},
    {1, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"},
    {400, "GET / HTTP/1.1\n" HOST "\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A: bc\n\r\n"},
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n"},
    {400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\nauthorization: y\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: x\r\nContent-Type: x\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: x\r\nIdempotency-Key: y\r\n\r\n"},
    {1, "GET / HTTP/1.1\r\nHost: a\r\nAccept: x\r\nAccept: y\r\nAuthorization: x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
    {400, "GET / HTTP/1.0\r\n" HOST HOST "\r\n"},
    {400, "GET http://a/ HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET * HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET a HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET  / HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /  HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET / HTTP/1.1 \r\n" HOST "\r\n"},
    {400, " GET / HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /\r\n" HOST "\r\n"},
    {400, "GET / http/1.1\r\n" HOST "\r\n"},
    {400, "GET / HTTP/1.11\r\n" HOST "\r\n"},
    {400, "GET / HTTP/+1.1\r\n" HOST "\r\n"},
    {400, "GET /a\x01 HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET /a\\b HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GE(T / HTTP/1.1\r\n" HOST "\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A_B: c\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n A: b\r\n" HOST "\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A: b\r\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "\xc3\xa9: b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n" HOST "A: \0\r\n\r\n", 33},
    {400, "GET /\0 HTTP/1.1\r\n" HOST "\r\n", 28},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1.0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 007\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n"},
    {417, "POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n\r\n"},
    {501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"},
    {501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"},
    {501, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n"},
    {501, "BREW / HTTP/1.1\r\n" HOST "\r\n"},
    {501, "get / HTTP/1.1\r\n" HOST "\r\n"},
    {505, "GET / HTTP/2.0\r\n" HOST "\r\n"},
    {505, "GET / HTTP/1.2\r\n" HOST "\r\n"},
    {505, "GET / HTTP/0.9\r\n" HOST "\r\n"},
};
/* clang-format on */

static void test_heads(void)
{
    static struct http_head h;

    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        const struct head_case *c = &heads[i];
        size_t n = c->n ? c->n : strlen(c->bytes);
        int got = http_head_parse((struct str){c->bytes, n}, &h);
        if (got != c->status)
            printf("# case %zu: %s\n", i, c->bytes);
        CHECK_INT(got, c->status);
        if (got == 1)
            CHECK_INT(h.size, n);
        /* A prefix is undecided, or refused as the whole is; never taken for a request. */
        bool steady = true;
        for (size_t cut = 0; cut < n; cut++) {
            char *copy = malloc(cut + 1); /* exact, so that a read beyond it is seen */
            memcpy(copy, c->bytes, cut);
            int part = http_head_parse((struct str){copy, cut}, &h);
            steady &= part == 0 || (part == c->status && part != 1);
            free(copy);
        }
        CHECK(steady);
    }
}

static void test_fields_of_a_head(void)
{
    static struct http_head h;

    CHECK_INT(http_head_parse(STR("PUT /a/%20b?c=d&e HTTP/1.1\r\nHOST: x\r\nfoo:  bar baz \t\r\n"
                                  "Content-Length: 12\r\nExpect: 100-continue\r\n\r\nrest"),
                              &h),
              1);
    CHECK_INT(h.method, HTTP_PUT);
    CHECK_STR(h.path, "/a/%20b");
    CHECK_STR(h.query, "c=d&e");
    CHECK_STR(h.target, "/a/%20b?c=d&e");
    CHECK_STR(http_field(&h, STR("Foo")), "bar baz");
    CHECK(http_field(&h, STR("Fo")).p == NULL);
    CHECK_INT(h.content_length, 12);
    CHECK(h.has_length && h.keep_alive && h.expect_continue && !h.chunked && !h.http_1_0);
    CHECK_INT(h.n_fields, 4);
}

static void test_connection(void)
{
    static const struct {
        const char *version, *connection;
        bool keep_alive;
    } cases[] = {
        {"1.1", "", true},
        {"1.1", "Connection: close\r\n", false},
        {"1.1", "Connection: x, CLOSE\r\n", false},
        {"1.1", "Connection: x\r\nConnection: ,close,\r\n", false},
        {"1.1", "Connection: closed\r\n", true},
        {"1.0", "", false},
        {"1.0", "Connection: Keep-Alive\r\n", true},
    };
    static struct http_head h;
    char bytes[200];

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        snprintf(bytes, sizeof bytes, "GET / HTTP/%s\r\n" HOST "%s\r\n", cases[i].version,
                 cases[i].connection);
        CHECK_INT(http_head_parse(str_from(bytes), &h), 1);
        CHECK_INT(h.keep_alive, cases[i].keep_alive);
    }
}

/* "GET /aaa... HTTP/1.1" with a target of n bytes, then fields of `field_bytes` each. */
static int sized_head(size_t target, size_t fields, size_t field_bytes)
{
    static struct http_head h;
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_lit(&b, "GET /");
    for (size_t i = 1; i < target; i++)
        buf_char(&b, 'a');
    buf_lit(&b, " HTTP/1.1\r\n");
    for (size_t f = 0; f < fields; f++) {
        buf_add(&b, f ? "A:" : "Host:", f ? 2 : 5);
        for (size_t i = f ? 4 : 7; i < field_bytes; i++)
            buf_char(&b, 'b');
        buf_lit(&b, "\r\n");
    }
    buf_lit(&b, "\r\n");
    int status = http_head_parse(buf_str(&b), &h);
    buf_release(&b);
    return status;
}

static void test_limits_of_heads(void)
{
    CHECK_INT(sized_head(HTTP_TARGET_MAX, 1, 10), 1);
    CHECK_INT(sized_head(HTTP_TARGET_MAX + 1, 1, 10), 414);
    CHECK_INT(sized_head(1, HTTP_FIELDS_MAX, 10), 1);
    CHECK_INT(sized_head(1, HTTP_FIELDS_MAX + 1, 10), 431);
    CHECK_INT(sized_head(1, 1, HTTP_HEAD_MAX - 18), 1);
    CHECK_INT(sized_head(1, 1, HTTP_HEAD_MAX - 17), 431);
    static char endless[HTTP_HEAD_MAX + 1];
    static struct http_head h;
    memset(endless, 'a', sizeof endless);
    memcpy(endless, "GET /", 5);
    CHECK_INT(http_head_parse((struct str){endless, HTTP_TARGET_MAX}, &h), 0);
    CHECK_INT(http_head_parse((struct str){endless, sizeof endless}, &h), 414);
    memcpy(endless, "GET / HTTP/1.1\r\nA:", 18);
    CHECK_INT(http_head_parse((struct str){endless, HTTP_HEAD_MAX}, &h), 0);
    CHECK_INT(http_head_parse((struct str){endless, sizeof endless}, &h), 431);
}

struct chunked_case {
    int status;
    const char *bytes, *payload; /* payload of what is fine */
    size_t rest;                 /* bytes behind the end that must be left alone */
};

/* clang-format off */
static const struct chunked_case chunks[] = {
    {1, "0\r\n\r\n", "", 0},
    {1, "5\r\nhello\r\n0\r\n\r\n", "hello", 0},
    {1, "1\r\na\r\n2\r\nbc\r\n00\r\n\r\nGET", "abc", 3},
    {1, "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0},
    {1, "a;x=y\r\n0123456789\r\n0;z\r\n\r\n", "0123456789", 0},
    {1, "2\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0},
    {1, "0\r\nTrailer: x\r\nB:\r\n\r\n", "", 0},
    {400, "\r\n", "", 0},
    {400, "5 \r\nhello\r\n0\r\n\r\n", "", 0},
    {400, " 5\r\nhello\r\n0\r\n\r\n", "", 0},
    {400, "+5\r\nhello\r\n0\r\n\r\n", "", 0},
    {400, "-1\r\n", "", 0},
    {400, "0x5\r\nhello\r\n0\r\n\r\n", "", 0},
    {400, "5\nhello\r\n0\r\n\r\n", "", 0},
    {400, "5\r\nhello\n0\r\n\r\n", "", 0},
    {400, "5\r\nhelloo\r\n0\r\n\r\n", "", 0},
    {400, "5\r\nhell\r\n0\r\n\r\n", "", 0},
    {400, "5;a\nhello\r\n0\r\n\r\n", "", 0},
    {400, "5;a\rb\r\nhello\r\n0\r\n\r\n", "", 0},
    {400, "5\r\nhelloxx0\r\n\r\n", "", 0},
    {400, "5\r\nhello\rx0\r\n\r\n", "", 0},
    {400, "g\r\n", "", 0},
    {400, "0\r\n\n", "", 0},
    {400, "0\r\n A: b\r\n\r\n", "", 0},
    {400, "0\r\nA\r\n\r\n", "", 0},
    {400, "0\r\nA : b\r\n\r\n", "", 0},
    {400, "0\r\nA: b\n\r\n", "", 0},
    {400, "0\r\n: b\r\n\r\n", "", 0},
    {413, "b\r\n01234567890\r\n0\r\n\r\n", "", 0},
    {413, "6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n", "", 0},
    {413, "ffffffffffffffff\r\n", "", 0},
    {413, "10000000000000000000005\r\nhello\r\n", "", 0},
};
/* clang-format on */

/* Feeds in steps of `step` bytes, as a connection does. */
static int feed(const struct chunked_case *c, size_t first, size_t step, struct buf *out,
                size_t *ret_rest)
{
    struct http_chunked state = {0};
    size_t n = strlen(c->bytes), at = 0;
    int status = 0;

    buf_clear(out);
    while (status == 0 && at < n) {
        size_t part = at == 0 ? first : step, used;
        if (part > n - at)
            part = n - at;
        status = http_chunked_read(&state, (struct str){c->bytes + at, part}, 10, out, &used);
        if (status == 0 && used != part)
            return -1;
        at += used;
    }
    *ret_rest = n - at;
    return status;
}

static void test_chunked(void)
{
    struct buf out;

    buf_init(&out, 100);
    for (size_t i = 0; i < COUNT_OF(chunks); i++) {
        const struct chunked_case *c = &chunks[i];
        size_t n = strlen(c->bytes), rest = 0;
        bool same = true;
        for (size_t cut = 1; cut <= n; cut++) {
            same &= feed(c, cut, n, &out, &rest) == c->status;
            if (c->status == 1)
                same &= str_eq(buf_str(&out), str_from(c->payload)) && rest == c->rest;
        }
        same &= feed(c, 1, 1, &out, &rest) == c->status;
        if (!same)
            printf("# chunked case %zu: %s\n", i, c->bytes);
        CHECK(same);
    }
    buf_release(&out);
}

/* What a hostile client can repeat without end must have one. */
static void test_chunked_is_bounded(void)
{
    static const struct {
        const char *start, *again;
        int status;
    } cases[] = {
        {"0", "0", 400},
        {"1;", "x", 400},
        {"1;a\r\nb\r\n", "1;aaaaaaaaaaaaaaa\r\nb\r\n", 400},
        {"0\r\n", "A: b\r\n", 431},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct http_chunked c = {0};
        size_t used;
        int status = http_chunked_read(&c, str_from(cases[i].start), 1 << 20, NULL, &used);
        for (int n = 0; n < 20000 && status == 0; n++)
            status = http_chunked_read(&c, str_from(cases[i].again), 1 << 20, NULL, &used);
        CHECK_INT(status, cases[i].status);
    }
}

static void test_percent(void)
{
    static const struct {
        const char *in;
        bool query;
        const char *out; /* NULL: refused */
    } cases[] = {
        {"abc", false, "abc"},        {"%41%7a", false, "Az"},
        {"a+b", false, "a+b"},        {"a+b", true, "a b"},
        {"%EA%B9%80", false, "김"},   {"%2541", false, "%41"},
        {"%2f", false, NULL},         {"%5C", false, NULL},
        {"%2f", true, "/"},           {"%00", false, NULL},
        {"%00", true, NULL},          {"%", false, NULL},
        {"%4", false, NULL},          {"%4g", false, NULL},
        {"%zz", false, NULL},         {"%ff", false, NULL},
        {"%c0%af", false, NULL},      {"%ED%A0%80", true, NULL},
        {"%F4%90%80%80", true, NULL}, {"", false, ""},
    };
    struct arena a;
    struct str got;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bool fine = http_percent_decode(&a, str_from(cases[i].in), cases[i].query, &got);
        CHECK_INT(fine, cases[i].out != NULL);
        if (fine && cases[i].out)
            CHECK_STR(got, cases[i].out);
    }
    arena_release(&a);
}

static void test_query(void)
{
    struct str query = STR("&&a=1&b&c=%20+x&&=v&d=e=f&g=%");
    static const char *const expected[][2] = {{"a", "1"}, {"b", ""},    {"c", "  x"},
                                              {"", "v"},  {"d", "e=f"}, {NULL, NULL}};
    struct str name, value;
    struct arena a;
    bool bad;

    arena_init(&a, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        CHECK(http_query_next(&a, &query, &name, &value, &bad));
        CHECK_INT(bad, expected[i][0] == NULL);
        if (expected[i][0]) {
            CHECK_STR(name, expected[i][0]);
            CHECK_STR(value, expected[i][1]);
        }
    }
    CHECK(!http_query_next(&a, &query, &name, &value, &bad) && !bad);
    arena_release(&a);
}

/* What a neighbour answered: 0 more, 1 whole, -1 not to be trusted. */
static void test_responses(void)
{
    static const struct {
        const char *bytes;
        int parsed, status;
        int64_t length; /* -1: none; -2: chunks */
        bool keep_alive;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1, 200, 5, true},
        {"HTTP/1.1 404\r\n\r\n", 1, 404, -1, true},
        {"HTTP/1.1 200 \r\nConnection: a, close\r\n\r\n", 1, 200, -1, false},
        {"HTTP/1.0 200 OK\r\n\r\n", 1, 200, -1, false},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", 1, 200, 0, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", 1, 200, -2, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", 0, 0, 0, false},
        {"HTTP/1.1 20", 0, 0, 0, false},
        {"HTTP/1.1 099 X\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.1 600 X\r\n\r\n", -1, 0, 0, false},
        {"HTTP/2.0 200 X\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.1  200 X\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.1 200 OK\n\n", -1, 0, 0, false},
        {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", -1, 0, 0,
         false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", -1, 0, 0,
         false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", -1, 0, 0, false},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", -1, 0, 0, false},
    };
    static struct http_response r;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int parsed = http_response_parse(str_from(rows[i].bytes), &r);
        if (parsed != rows[i].parsed)
            printf("# %s", rows[i].bytes);
        CHECK_INT(parsed, rows[i].parsed);
        if (parsed != 1)
            continue;
        CHECK_INT(r.status, rows[i].status);
        CHECK_INT(r.chunked ? -2 : r.has_length ? r.content_length : -1, rows[i].length);
        CHECK_INT(r.keep_alive, rows[i].keep_alive);
    }
}

int main(void)
{
    RUN(test_responses);
    RUN(test_heads);
    RUN(test_fields_of_a_head);
    RUN(test_connection);
    RUN(test_limits_of_heads);
    RUN(test_chunked);
    RUN(test_chunked_is_bounded);
    RUN(test_percent);
    RUN(test_query);
    CHECK_STR(str_from(http_reason(404)), "Not Found");
    CHECK_STR(str_from(http_reason(299)), "Unknown");
    return test_end();
}
