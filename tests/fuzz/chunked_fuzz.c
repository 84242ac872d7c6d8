/* chunked_fuzz.c -- chunked bodies from hostile bytes, whole and in pieces. */
#include "net/http.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds pieces of `step` bytes. Consumed bytes in *ret_used. */
static int feed(struct str in, size_t step, struct buf *out, size_t *ret_used)
{
    struct http_chunked c = {0};
    size_t at = 0;
    int status = 0;

    while (status == 0 && at < in.n) {
        size_t n = step < in.n - at ? step : in.n - at, used;
        status = http_chunked_read(&c, (struct str){in.p + at, n}, BODY_MAX, out, &used);
        assert(used <= n && (status != 0 || used == n));
        at += used;
    }
    assert(c.total <= BODY_MAX);
    *ret_used = at;
    return status;
}

/* The payload in one chunk must come back as it was. */
static void check_round_trip(struct arena *a, struct str payload)
{
    struct buf wire, out;
    size_t used;

    buf_init_arena(&wire, a, 1 << 20);
    buf_init_arena(&out, a, 1 << 20);
    if (payload.n)
        buf_printf(&wire, "%zx\r\n", payload.n);
    buf_str_add(&wire, payload);
    if (payload.n)
        buf_lit(&wire, "\r\n");
    buf_lit(&wire, "0\r\n\r\nnext");
    assert(feed(buf_str(&wire), 7, &out, &used) == 1);
    assert(used == wire.n - 4 && str_eq(buf_str(&out), payload));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {size > 0 ? (const char *)data : "", size};
    struct buf whole, pieces;
    struct arena arena;
    size_t used, used_in_pieces;

    arena_init(&arena, 64 << 20);
    buf_init_arena(&whole, &arena, 1 << 20);
    buf_init_arena(&pieces, &arena, 1 << 20);
    int status = feed(in, size + 1, &whole, &used);
    assert(status == 0 || status == 1 || status == 400 || status == 413 || status == 431);
    assert(feed(in, 1 + size % 5, &pieces, &used_in_pieces) == status);
    assert(used == used_in_pieces && str_eq(buf_str(&whole), buf_str(&pieces)));
    if (status == 1)
        check_round_trip(&arena, buf_str(&whole));
    check_round_trip(&arena, (struct str){in.p, in.n < BODY_MAX ? in.n : BODY_MAX});
    arena_release(&arena);
    return 0;
}
