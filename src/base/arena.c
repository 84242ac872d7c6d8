/* arena.c -- blocks that double, freed all at once; one malloc per allocation under ASan. */
#include "base/arena.h"

#include <stdarg.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONING 1
#endif
#endif
#ifdef POISONING
#include <sanitizer/asan_interface.h>
#ifndef __clang__
/* Poisoning takes a pointer to const: gcc believes that it reads the fresh memory. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define BLOCK_FIRST 4096
#define BLOCK_LARGEST (256 * 1024)
#define ALIGNMENT 16

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ALIGNMENT) char bytes[];
};

static _Noreturn void die(const char *why)
{
    fprintf(stderr, "jumun: arena: %s\n", why);
    abort();
}

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max = max_bytes};
}

static struct arena_block *block_new(struct arena *a, size_t size)
{
    struct arena_block *b = malloc(sizeof *b + size);

    if (!b)
        die("out of memory");
    *b = (struct arena_block){.size = size};
    POISON(b->bytes, size);
    if (a->current)
        a->current->next = b;
    else
        a->first = b;
    a->current = b;
    return b;
}

static void blocks_free(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;
        UNPOISON(b->bytes, b->size);
        free(b);
        b = next;
    }
}

void arena_reset(struct arena *a)
{
    a->used = 0;
#ifdef JUMUN_ARENA_MALLOC
    blocks_free(a->first);
    a->first = a->current = NULL;
#else
    if (!a->first)
        return;
    blocks_free(a->first->next);
    a->first->next = NULL;
    a->first->used = 0;
    a->current = a->first;
    POISON(a->first->bytes, a->first->size);
#endif
}

void arena_release(struct arena *a)
{
    blocks_free(a->first);
    *a = (struct arena){.max = a->max};
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->max)
        die("allocation over the maximum");
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct arena_block *b = a->current;

    a->used += rounded;
    if (a->used > a->max)
        die("over its maximum");
#ifdef JUMUN_ARENA_MALLOC
    b = block_new(a, size);
    UNPOISON(b->bytes, size);
    b->used = size;
    return b->bytes;
#endif
    if (!b || b->size - b->used < rounded) {
        size_t next = !b ? BLOCK_FIRST : b->size < BLOCK_LARGEST ? b->size * 2 : BLOCK_LARGEST;
        b = block_new(a, next > rounded ? next : rounded);
    }
    void *p = b->bytes + b->used;
    b->used += rounded;
    UNPOISON(p, size);
    return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    return memset(arena_alloc(a, size), 0, size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        die("array size overflow");
    return arena_zalloc(a, total);
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

struct str arena_copy(struct arena *a, struct str s)
{
    return s.p ? (struct str){arena_cstr(a, s), s.n} : STR_NONE;
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        die("bad format");
    char *p = arena_alloc(a, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return (struct str){p, (size_t)n};
}
