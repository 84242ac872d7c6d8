/* buf.h -- the only thing that grows: bytes on the heap, or in an arena, with a hard maximum. */
#pragma once

#include "base/arena.h"

/*
 * A buffer that hits its maximum sets `overflow` and ignores everything after, so that a writer
 * checks once at the end. p is never NUL-terminated; use buf_str.
 */
struct buf {
    char *p;
    size_t n, cap, max;
    struct arena *arena; /* NULL: malloc, and buf_release must be called */
    bool overflow;
};

void buf_init(struct buf *b, size_t max);
void buf_init_arena(struct buf *b, struct arena *a, size_t max);
void buf_release(struct buf *b);
void buf_clear(struct buf *b);
bool buf_reserve(struct buf *b, size_t more); /* false: would exceed max; overflow is set */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str_add(struct buf *b, struct str s);
#define buf_lit(b, literal) buf_add((b), "" literal, sizeof(literal) - 1)
void buf_char(struct buf *b, char c);
void buf_i64(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_drop(struct buf *b, size_t n); /* removes the first n bytes */
struct str buf_str(const struct buf *b);
