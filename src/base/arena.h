/*
 * arena.h -- memory that lives as long as one request, event or job, and dies all at once.
 *
 * arena_alloc never returns NULL: real exhaustion aborts, and what an outsider can grow is bounded
 * before it gets here (body, head, rows). An arena has a maximum; going over it is our own mistake
 * and aborts too. With JUMUN_ARENA_MALLOC (the asan preset) every allocation is its own malloc, so
 * that overruns and uses after reset are found exactly; otherwise unused space is poisoned.
 */
#pragma once

#include "base/str.h"

struct arena {
    struct arena_block *first, *current;
    size_t used, max;
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_reset(struct arena *a);   /* everything gone; keeps one block for reuse */
void arena_release(struct arena *a); /* gives all memory back */

void *arena_alloc(struct arena *a, size_t size);               /* 16-byte aligned, not zeroed */
void *arena_zalloc(struct arena *a, size_t size);              /* zeroed */
void *arena_array(struct arena *a, size_t count, size_t size); /* zeroed, overflow-checked */
struct str arena_copy(struct arena *a, struct str s);          /* also NUL-terminated behind n */
char *arena_cstr(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3);
#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
