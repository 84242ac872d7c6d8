/*
 * memory.c -- the in-process cache: sharded hash tables with a bound in bytes, least recently used
 * first out, and a time to live per entry. Rate limits live in the same tables under keys of their
 * own kind.
 */
#include "cache/driver.h"

#include <pthread.h>

#define SHARDS 16
#define SLOTS_MIN 64
#define SLOTS_MAX 65536

enum kind { KIND_VALUE, KIND_LIMIT };

struct entry {
    uint64_t hash;
    enum kind kind;
    int64_t expires_us;
    int64_t tat_us; /* KIND_LIMIT */
    size_t key_n, value_n;
    struct entry *next;          /* in its slot */
    struct entry *older, *newer; /* by use */
    char bytes[];                /* key, then value */
};

struct shard {
    pthread_mutex_t mutex;
    struct entry **slots;
    size_t slots_n; /* power of two */
    struct entry *oldest, *newest;
    size_t used, max;
};

struct memory_cache {
    struct cache base;
    struct shard shards[SHARDS];
};

static uint64_t hash_of(enum kind kind, struct str key)
{
    uint64_t h = str_hash(key) + (uint64_t)kind;
    return (h ^ (h >> 29)) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct shard *shard_of(struct cache *c, uint64_t hash)
{
    return &((struct memory_cache *)c)->shards[hash >> 60];
}

static size_t size_of(const struct entry *e)
{
    return sizeof(*e) + e->key_n + e->value_n;
}

static struct entry **find(struct shard *s, uint64_t hash, enum kind kind, struct str key)
{
    struct entry **at = &s->slots[hash & (s->slots_n - 1)];
    while (*at && ((*at)->hash != hash || (*at)->kind != kind ||
                   !str_eq((struct str){(*at)->bytes, (*at)->key_n}, key)))
        at = &(*at)->next;
    return at;
}

static void use_forget(struct shard *s, struct entry *e)
{
    *(e->older ? &e->older->newer : &s->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &s->newest) = e->older;
    e->older = e->newer = NULL;
}

static void use_note(struct shard *s, struct entry *e)
{
    e->older = s->newest;
    e->newer = NULL;
    *(s->newest ? &s->newest->newer : &s->oldest) = e;
    s->newest = e;
}

static void drop(struct shard *s, struct entry **at)
{
    struct entry *e = *at;
    *at = e->next;
    use_forget(s, e);
    s->used -= size_of(e);
    free(e);
}

static void drop_oldest(struct shard *s)
{
    struct entry *e = s->oldest;
    struct entry **at = &s->slots[e->hash & (s->slots_n - 1)];
    while (*at != e)
        at = &(*at)->next;
    drop(s, at);
}

/* With the shard's mutex held. NULL: it does not fit, or there is no memory: both are a miss later.
 */
static struct entry *insert(struct shard *s, uint64_t hash, enum kind kind, struct str key,
                            struct str value)
{
    struct entry **at = find(s, hash, kind, key);
    size_t size = sizeof(struct entry) + key.n + value.n;
    if (*at)
        drop(s, at);
    if (size > s->max)
        return NULL;
    while (s->used + size > s->max)
        drop_oldest(s);
    struct entry *e = malloc(size);
    if (!e)
        return NULL;
    struct entry **slot = &s->slots[hash & (s->slots_n - 1)];
    *e = (struct entry){
        .hash = hash, .kind = kind, .key_n = key.n, .value_n = value.n, .next = *slot};
    if (key.n)
        memcpy(e->bytes, key.p, key.n);
    if (value.n)
        memcpy(e->bytes + key.n, value.p, value.n);
    *slot = e;
    s->used += size;
    use_note(s, e);
    return e;
}

static void memory_close(struct cache *c)
{
    struct memory_cache *m = (struct memory_cache *)c;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &m->shards[i];
        while (s->oldest)
            drop_oldest(s);
        free(s->slots);
        pthread_mutex_destroy(&s->mutex);
    }
    free(m);
}

static enum err memory_open(struct ctx *cx, const char *location, size_t max_bytes,
                            struct cache **ret)
{
    if (*location)
        return fail(cx, ERR_INVALID, "memory: takes nothing after the colon");
    struct memory_cache *m = calloc(1, sizeof(*m));
    if (!m)
        return fail(cx, ERR_UNAVAILABLE, "no memory for the cache");
    m->base.driver = &cache_memory;
    size_t each = max_bytes / SHARDS, slots = SLOTS_MIN;
    while (slots < SLOTS_MAX && slots * 256 < each)
        slots *= 2;
    bool ok = true;
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &m->shards[i];
        pthread_mutex_init(&s->mutex, NULL);
        s->max = each;
        s->slots_n = slots;
        s->slots = calloc(slots, sizeof(struct entry *));
        ok = ok && s->slots;
    }
    if (!ok) {
        memory_close(&m->base);
        return fail(cx, ERR_UNAVAILABLE, "no memory for the cache");
    }
    *ret = &m->base;
    return ERR_OK;
}

static struct str memory_get(struct ctx *cx, struct cache *c, struct str key)
{
    uint64_t hash = hash_of(KIND_VALUE, key);
    struct shard *s = shard_of(c, hash);
    struct str value = STR_NONE;
    int64_t now = ctx_now(cx);
    pthread_mutex_lock(&s->mutex);
    struct entry **at = find(s, hash, KIND_VALUE, key);
    if (*at && (*at)->expires_us <= now) {
        drop(s, at);
    } else if (*at) {
        struct entry *e = *at;
        use_forget(s, e);
        use_note(s, e);
        value = arena_copy(cx->arena, (struct str){e->bytes + e->key_n, e->value_n});
    }
    pthread_mutex_unlock(&s->mutex);
    return value;
}

static void memory_put(struct ctx *cx, struct cache *c, struct str key, struct str value,
                       int64_t ttl_ms)
{
    uint64_t hash = hash_of(KIND_VALUE, key);
    struct shard *s = shard_of(c, hash);
    int64_t expires_us = ctx_now(cx) + ttl_ms * US_PER_MS;
    pthread_mutex_lock(&s->mutex);
    struct entry *e = insert(s, hash, KIND_VALUE, key, value);
    if (e)
        e->expires_us = expires_us;
    pthread_mutex_unlock(&s->mutex);
}

static void memory_remove(struct ctx *cx, struct cache *c, struct str key)
{
    (void)cx;
    uint64_t hash = hash_of(KIND_VALUE, key);
    struct shard *s = shard_of(c, hash);
    pthread_mutex_lock(&s->mutex);
    struct entry **at = find(s, hash, KIND_VALUE, key);
    if (*at)
        drop(s, at);
    pthread_mutex_unlock(&s->mutex);
}

static bool memory_take(struct ctx *cx, struct cache *c, struct str key, int limit,
                        int64_t window_ms, int *ret_left, int64_t *ret_retry_ms)
{
    uint64_t hash = hash_of(KIND_LIMIT, key);
    struct shard *s = shard_of(c, hash);
    int64_t now = ctx_now(cx);
    pthread_mutex_lock(&s->mutex);
    struct entry *e = *find(s, hash, KIND_LIMIT, key);
    if (e) {
        use_forget(s, e);
        use_note(s, e);
    } else {
        e = insert(s, hash, KIND_LIMIT, key, (struct str){"", 0});
    }
    int64_t none = 0;
    bool taken = cache_gcra(e ? &e->tat_us : &none, now, limit, window_ms, ret_left, ret_retry_ms);
    pthread_mutex_unlock(&s->mutex);
    return taken;
}

const struct cache_driver cache_memory = {
    .scheme = "memory:",
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .put = memory_put,
    .remove = memory_remove,
    .take = memory_take,
};
