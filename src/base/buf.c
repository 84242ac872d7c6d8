/* buf.c -- growing bytes with a hard maximum. */
#include "base/buf.h"

#include <stdarg.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_init_arena(struct buf *b, struct arena *a, size_t max)
{
    *b = (struct buf){.max = max, .arena = a};
}

void buf_release(struct buf *b)
{
    if (!b->arena)
        free(b->p);
    *b = (struct buf){.max = b->max, .arena = b->arena};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->overflow = false;
}

static bool grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 256;

    while (cap < need)
        cap *= 2;
    if (cap > b->max)
        cap = b->max;
    char *p = b->arena ? arena_alloc(b->arena, cap) : realloc(b->p, cap);
    if (!p)
        abort();
    if (b->arena && b->n)
        memcpy(p, b->p, b->n);
    b->p = p;
    b->cap = cap;
    return true;
}

bool buf_reserve(struct buf *b, size_t more)
{
    if (b->overflow || more > b->max - b->n) {
        b->overflow = true;
        return false;
    }
    return b->n + more <= b->cap || grow(b, b->n + more);
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0 || !buf_reserve(b, n))
        return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void buf_str_add(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.n);
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_i64(struct buf *b, int64_t v)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        digits[--at] = '-';
    buf_add(b, digits + at, sizeof digits - at);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    char small[256];

    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    assert(n >= 0);
    if ((size_t)n < sizeof small) {
        buf_add(b, small, (size_t)n);
        return;
    }
    if (!buf_reserve(b, (size_t)n + 1))
        return;
    va_start(args, format);
    vsnprintf(b->p + b->n, (size_t)n + 1, format, args);
    va_end(args);
    b->n += (size_t)n;
}

void buf_drop(struct buf *b, size_t n)
{
    assert(n <= b->n);
    b->n -= n;
    if (b->n)
        memmove(b->p, b->p + n, b->n);
}

struct str buf_str(const struct buf *b)
{
    return (struct str){b->p ? b->p : "", b->n};
}
