/* proxy_fuzz.c -- what the proxy makes of hostile heads and bodies is read by its neighbour as the
 * same. */
#include "net/proxy_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_framing(struct str name)
{
    return str_eq_nocase(name, STR("Content-Length")) ||
           str_eq_nocase(name, STR("Transfer-Encoding"));
}

static void check_request(const struct http_head *h)
{
    static const struct http_field ours[] = {{{"X-User-Id", 9}, {NULL, 0}},
                                             {{"Via", 3}, {"1.1 jumun", 9}}};
    static const struct proxy_verdict verdict = {.fields = ours, .n_fields = COUNT_OF(ours)};
    static struct http_head again;
    static struct block out;

    out.from = out.to = 0;
    if (h->n_fields > HTTP_FIELDS_MAX - 4)
        return;
    head_forward(&out, h, &verdict, h->chunked);
    int status = http_head_parse((struct str){out.bytes, out.to}, &again);
    /* Ours may make a head of the largest size too large for the neighbour. */
    assert(status == 1 || (status == 431 && h->size > HTTP_HEAD_MAX - 200));
    if (status != 1)
        return;
    assert(again.size == out.to && again.method == h->method && str_eq(again.target, h->target));
    assert(again.chunked == h->chunked && again.content_length == h->content_length);
    assert(again.keep_alive && !again.expect_continue && !again.http_1_0);
    assert(!http_field(&again, STR("X-User-Id")).p && !http_field(&again, STR("Connection")).p);
    assert(str_eq(http_field(&again, STR("Via")), STR("1.1 jumun")));
}

static void check_response(struct str input)
{
    static struct http_response r, again;
    static struct conn client;
    static struct block out;
    int parsed = http_response_parse(input, &r);

    assert(parsed >= -1 && parsed <= 1);
    if (parsed != 1)
        return;
    assert(r.size <= input.n && r.content_length >= 0 && !(r.chunked && r.has_length));
    out.from = out.to = 0;
    head_return(&out, &r, r.chunked ? BODY_CHUNKED : BODY_LENGTH, &client);
    if (r.n_fields > HTTP_FIELDS_MAX - 2 || out.to > HTTP_HEAD_MAX)
        return;
    assert(http_response_parse((struct str){out.bytes, out.to}, &again) == 1);
    assert(again.size == out.to && again.status == r.status && again.chunked == r.chunked);
    for (size_t i = 0; i < again.n_fields; i++)
        assert(is_framing(again.fields[i].name) ||
               !str_eq_nocase(again.fields[i].name, STR("Connection")));
}

/* The same bytes in pieces, through small rooms, come out as the same body. */
static void check_body(struct str input, size_t piece)
{
    static struct block in, out;
    struct http_chunked direct = {0}, behind = {0};
    struct body body = {.in = BODY_CHUNKED, .out = BODY_CHUNKED, .max = 100000};
    struct buf expected, got;
    size_t used = 0, at = 0, n;

    buf_init(&expected, 1 << 20);
    buf_init(&got, 1 << 20);
    int wanted = http_chunked_read(&direct, input, 100000, &expected, &used), status = 1, read = 0;
    in.from = in.to = out.from = out.to = 0;
    while (status < 2 && read == 0 && (at < input.n || status == 1)) {
        if (in.from == in.to)
            in.from = in.to = 0;
        n = input.n - at < piece ? input.n - at : piece;
        n = n < block_room(&in) ? n : block_room(&in);
        memcpy(in.bytes + in.to, input.p + at, n);
        in.to += n;
        at += n;
        status = body_move(&body, &in, &out);
        read = http_chunked_read(&behind, (struct str){out.bytes, out.to}, 200000, &got, &n);
        assert(read < 2 && n == out.to);
        out.to = 0;
    }
    assert((wanted == 1) == (read == 1));
    assert((wanted > 1) == (status > 1));
    assert(wanted > 1 || str_eq(buf_str(&expected), buf_str(&got)));
    buf_release(&expected);
    buf_release(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head h;
    struct str input = {size > 0 ? (const char *)data : "", size};

    if (http_head_parse(input, &h) == 1)
        check_request(&h);
    check_response(input);
    check_body(input, size > 0 ? 1 + data[0] % 64u * 16u : 1);
    return 0;
}
