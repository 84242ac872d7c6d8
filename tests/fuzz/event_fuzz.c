/* event_fuzz.c -- events from hostile bytes through every consumer's table; bytes before the first
 * line end are the trace's parent, the rest is the data. */
#include "data/json.h"
#include "flow/inbox.h"
#include "obs/trace.h"
#include "order/order.h"
#include "store/stock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever came, the work has a trace that the next peer will take. */
static void check_trace(struct ctx *cx, struct str traceparent)
{
    char first[TRACEPARENT_SIZE], second[33], third[33];
    bool taken = trace_continue(cx, traceparent);
    struct trace before = cx->trace;
    struct str text = trace_format(&before, first);

    if (taken)
        assert(memcmp(traceparent.p + 3, text.p + 3, 32) == 0);
    bool again = trace_continue(cx, text);
    assert(again && text.n == TRACEPARENT_SIZE - 1);
    assert(str_eq(trace_id_text(&before, second), trace_id_text(&cx->trace, third)));
    assert(before.sampled == cx->trace.sampled);
}

/* What one consumer takes it takes again from what we would publish of it. */
static void check_data(struct ctx *cx, const struct consumer *c, struct str data)
{
    char *first = arena_zalloc(cx->arena, fields_size(c->data));
    char *second = arena_zalloc(cx->arena, fields_size(c->data));
    struct buf once, twice;

    enum err e = json_decode_lenient(cx, c->data, first, data);
    assert(e == ERR_OK || e == ERR_INVALID || e == ERR_MALFORMED);
    assert(e == ERR_MALFORMED || json_is_valid(data));
    if (e != ERR_OK)
        return;
    buf_init_arena(&once, cx->arena, 8 << 20);
    buf_init_arena(&twice, cx->arena, 8 << 20);
    json_encode(&once, c->data, first);
    assert(json_is_valid(buf_str(&once)));
    if (json_decode_lenient(cx, c->data, second, buf_str(&once)) != ERR_OK)
        return; /* what was absent may be written as a value below its least */
    json_encode(&twice, c->data, second);
    assert(str_eq(buf_str(&once), buf_str(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct consumer *const tables[] = {order_consumers, store_consumers};
    struct str input = {size > 0 ? (const char *)data : "", size}, traceparent, payload;
    struct arena arena;
    struct rng rng;

    arena_init(&arena, 256u << 20);
    rng_seed(&rng, 1);
    str_cut(input, '\n', &traceparent, &payload);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    check_trace(&cx, traceparent);
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        for (const struct consumer *c = tables[i]; c->type; c++)
            if (c->data)
                check_data(&cx, c, payload);
    arena_release(&arena);
    return 0;
}
