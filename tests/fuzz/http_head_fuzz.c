/* http_head_fuzz.c -- request heads, targets and queries from hostile bytes. */
#include "net/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct str whole, struct str part)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/* What a taken head promises to whoever reads it or passes it on. */
static void check_taken(struct str input, const struct http_head *h)
{
    size_t hosts = 0, lengths = 0, codings = 0;

    assert(h->size <= input.n && h->size <= HTTP_HEAD_MAX && h->n_fields <= HTTP_FIELDS_MAX);
    assert(memcmp(input.p + h->size - 4, "\r\n\r\n", 4) == 0);
    assert(inside(input, h->target) && inside(input, h->path) && inside(input, h->query));
    assert(h->path.n > 0 && (h->path.p[0] == '/' || h->method == HTTP_OPTIONS));
    assert(!h->chunked || (!h->has_length && !h->http_1_0));
    assert(h->content_length >= 0);
    for (size_t i = 0; i < h->n_fields; i++) {
        struct http_field f = h->fields[i];
        assert(f.name.n > 0 && inside(input, f.name) && inside(input, f.value));
        assert(!memchr(f.name.p, '_', f.name.n));
        assert(f.value.n == 0 ||
               (!memchr(f.value.p, '\r', f.value.n) && !memchr(f.value.p, '\n', f.value.n) &&
                !memchr(f.value.p, '\0', f.value.n)));
        hosts += str_eq_nocase(f.name, STR("host"));
        lengths += str_eq_nocase(f.name, STR("content-length"));
        codings += str_eq_nocase(f.name, STR("transfer-encoding"));
    }
    assert(hosts == 1 || (hosts == 0 && h->http_1_0));
    assert(lengths + codings <= 1);
}

/* Printed again in the plainest way it must be read as the same. */
static void check_round_trip(struct arena *a, const struct http_head *h, struct http_head *again)
{
    struct buf b;

    buf_init_arena(&b, a, 1 << 20);
    buf_printf(&b, "%s %.*s HTTP/1.%d\r\n", http_method_names[h->method], STR_ARG(h->target),
               h->http_1_0 ? 0 : 1);
    for (size_t i = 0; i < h->n_fields; i++) {
        buf_str_add(&b, h->fields[i].name);
        buf_lit(&b, ":");
        buf_str_add(&b, h->fields[i].value);
        buf_lit(&b, "\r\n");
    }
    buf_lit(&b, "\r\n");
    assert(b.n <= h->size);
    assert(http_head_parse(buf_str(&b), again) == 1);
    assert(again->n_fields == h->n_fields && again->content_length == h->content_length);
    assert(again->chunked == h->chunked && again->keep_alive == h->keep_alive);
    assert(again->expect_continue == h->expect_continue && str_eq(again->path, h->path));
}

static void check_query(struct arena *a, struct str query)
{
    struct str name, value;
    bool bad;

    while (http_query_next(a, &query, &name, &value, &bad))
        if (!bad)
            assert(str_is_utf8(name) && str_is_utf8(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head h, again;
    struct str input = {size > 0 ? (const char *)data : "", size}, decoded;
    struct arena arena;

    arena_init(&arena, 64 << 20);
    int status = http_head_parse(input, &h);
    assert(status == 0 || status == 1 || (status >= 400 && status <= 505));
    if (status == 1) {
        check_taken(input, &h);
        check_round_trip(&arena, &h, &again);
        check_query(&arena, h.query);
        if (http_percent_decode(&arena, h.path, false, &decoded))
            assert(str_is_utf8(decoded) && decoded.n <= h.path.n);
    }
    /* What is decided with less stays decided with more. */
    size_t cut = size > 0 ? data[0] * size / 256 : 0;
    int part = http_head_parse((struct str){input.p, cut}, &again);
    assert(part == 0 || part == status);
    check_query(&arena, input);
    if (http_percent_decode(&arena, input, true, &decoded))
        assert(str_is_utf8(decoded));
    arena_release(&arena);
    return 0;
}
