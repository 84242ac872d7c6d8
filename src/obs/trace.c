/* trace.c -- W3C trace context: reading, making and printing it, and spans. */
#include "obs/trace.h"

#include <stdio.h>

#include "obs/export.h"

static bool is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static void new_id(struct rng *r, unsigned char *p, size_t n)
{
    do
        rng_bytes(r, p, n);
    while (is_zero(p, n)); /* all zero means "none" in the standard */
}

void trace_start(struct ctx *cx)
{
    new_id(cx->rng, cx->trace.trace_id, sizeof cx->trace.trace_id);
    new_id(cx->rng, cx->trace.span_id, sizeof cx->trace.span_id);
    cx->trace.sampled = true;
}

/* Lower-case hex only, as the standard asks. */
static bool read_hex(struct str s, unsigned char *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        unsigned v;
        if (c >= '0' && c <= '9')
            v = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = (unsigned)(c - 'a' + 10);
        else
            return false;
        out[i / 2] = (unsigned char)(i % 2 ? out[i / 2] | v : v << 4);
    }
    return true;
}

/* 00-<32 hex>-<16 hex>-<2 hex>; a higher version may go on after another dash. */
static bool parse(struct str s, struct trace *ret)
{
    unsigned char version, flags;
    struct trace t = {0};

    if (s.n < 55 || s.p[2] != '-' || s.p[35] != '-' || s.p[52] != '-')
        return false;
    if (!read_hex((struct str){s.p, 2}, &version) || version == 0xff)
        return false;
    if (version == 0 ? s.n != 55 : s.n > 55 && s.p[55] != '-')
        return false;
    if (!read_hex((struct str){s.p + 3, 32}, t.trace_id) ||
        !read_hex((struct str){s.p + 36, 16}, t.span_id) ||
        !read_hex((struct str){s.p + 53, 2}, &flags))
        return false;
    if (is_zero(t.trace_id, sizeof t.trace_id) || is_zero(t.span_id, sizeof t.span_id))
        return false;
    t.sampled = flags & 1;
    *ret = t;
    return true;
}

bool trace_continue(struct ctx *cx, struct str traceparent)
{
    struct trace parent;

    if (!parse(traceparent, &parent)) {
        trace_start(cx);
        return false;
    }
    cx->trace = parent;
    new_id(cx->rng, cx->trace.span_id, sizeof cx->trace.span_id);
    return true;
}

static char *put_hex(char *out, const unsigned char *p, size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    return out;
}

struct str trace_format(const struct trace *t, char out[TRACEPARENT_SIZE])
{
    char *p = out;

    memcpy(p, "00-", 3);
    p = put_hex(p + 3, t->trace_id, sizeof t->trace_id);
    *p++ = '-';
    p = put_hex(p, t->span_id, sizeof t->span_id);
    *p++ = '-';
    *p++ = '0';
    *p++ = t->sampled ? '1' : '0';
    *p = '\0';
    return (struct str){out, 55};
}

struct str trace_id_text(const struct trace *t, char out[33])
{
    *put_hex(out, t->trace_id, sizeof t->trace_id) = '\0';
    return (struct str){out, 32};
}

void span_begin(struct ctx *cx, struct span *s, const char *kind, struct str name)
{
    *s = (struct span){
        .parent = cx->trace, .start_us = clock_now(cx->clock), .kind = kind, .name = name};
    new_id(cx->rng, cx->trace.span_id, sizeof cx->trace.span_id);
}

void span_end(struct ctx *cx, struct span *s, enum err e)
{
    if (cx->trace.sampled)
        export_span(&cx->trace, s, clock_now(cx->clock), e);
    cx->trace = s->parent;
}
