/* driver.h -- what a cache driver implements. */
#pragma once

#include "cache/cache.h"

struct cache_driver {
    const char *scheme;
    enum err (*open)(struct ctx *cx, const char *location, size_t max_bytes, struct cache **ret);
    void (*close)(struct cache *c);
    struct str (*get)(struct ctx *cx, struct cache *c, struct str key);
    void (*put)(struct ctx *cx, struct cache *c, struct str key, struct str value, int64_t ttl_ms);
    void (*remove)(struct ctx *cx, struct cache *c, struct str key);
    bool (*take)(struct ctx *cx, struct cache *c, struct str key, int limit, int64_t window_ms,
                 int *ret_left, int64_t *ret_retry_ms);
    /* NULL: no other process has it. */
    bool (*merge)(struct ctx *cx, struct cache *c, struct str key, int limit, int64_t window_ms,
                  int taken, int64_t *ahead_us);
    bool (*answers)(struct cache *c);                                    /* NULL: always */
    enum err (*probe)(struct ctx *cx, struct cache *c, struct str *ret); /* NULL: nothing to see */
};

/* First member of every driver's own struct. */
struct cache {
    const struct cache_driver *driver;
};

extern const struct cache_driver cache_memory, cache_redis;
