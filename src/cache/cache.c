/* cache.c -- the front of the cache port: picks the driver, and the arithmetic of rate limits. */
#include "cache/driver.h"

#include "base/fault.h"

static const struct cache_driver *const drivers[] = {&cache_memory, &cache_redis};

enum err cache_open(struct ctx *cx, const char *url, size_t max_bytes, struct cache **ret)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        size_t n = strlen(drivers[i]->scheme);
        if (strncmp(url, drivers[i]->scheme, n) == 0)
            return drivers[i]->open(cx, url + n, max_bytes, ret);
    }
    return fail(cx, ERR_INVALID, "no cache driver for this URL's scheme (memory: or redis:)");
}

enum err cache_probe(struct ctx *cx, const char *url, struct str *ret)
{
    struct cache *c = NULL;

    *ret = STR("in the process");
    TRY(cache_open(cx, url, 1u << 20, &c));
    enum err e = c->driver->probe ? c->driver->probe(cx, c, ret) : ERR_OK;
    cache_close(c);
    return e;
}

void cache_close(struct cache *c)
{
    if (c)
        c->driver->close(c);
}

struct str cache_get(struct ctx *cx, struct cache *c, struct str key)
{
    if (FAULT("cache.get"))
        return STR_NONE;
    return c->driver->get(cx, c, key);
}

void cache_put(struct ctx *cx, struct cache *c, struct str key, struct str value, int64_t ttl_ms)
{
    assert(ttl_ms > 0 && value.p);
    if (FAULT("cache.put"))
        return;
    c->driver->put(cx, c, key, value, ttl_ms);
}

void cache_remove(struct ctx *cx, struct cache *c, struct str key)
{
    c->driver->remove(cx, c, key);
}

bool cache_take(struct ctx *cx, struct cache *c, struct str key, int limit, int64_t window_ms,
                int *ret_left, int64_t *ret_retry_ms)
{
    assert(limit > 0 && window_ms > 0);
    return c->driver->take(cx, c, key, limit, window_ms, ret_left, ret_retry_ms);
}

bool cache_merge(struct ctx *cx, struct cache *c, struct str key, int limit, int64_t window_ms,
                 int taken, int64_t *ahead_us)
{
    assert(limit > 0 && window_ms > 0 && taken >= 0 && *ahead_us >= 0);
    return c->driver->merge && c->driver->merge(cx, c, key, limit, window_ms, taken, ahead_us);
}

bool cache_is_shared(const struct cache *c)
{
    return c->driver->merge != NULL;
}

bool cache_answers(struct cache *c)
{
    return !c->driver->answers || c->driver->answers(c);
}

bool cache_gcra(int64_t *tat_us, int64_t now_us, int limit, int64_t window_ms, int *ret_left,
                int64_t *ret_retry_ms)
{
    int64_t window_us = window_ms * US_PER_MS, each_us = window_us / limit;
    if (each_us == 0)
        each_us = 1;
    int64_t tat = *tat_us > now_us ? *tat_us : now_us;
    /* A clock that was set back must not lock anybody out for longer than a window. */
    if (tat > now_us + window_us)
        tat = now_us + window_us;
    int64_t after = tat + each_us, ahead = after - now_us - window_us;
    *ret_left = 0;
    *ret_retry_ms = 0;
    if (ahead > 0) {
        *ret_retry_ms = (ahead + US_PER_MS - 1) / US_PER_MS;
        return false;
    }
    *tat_us = after;
    *ret_left = (int)(-ahead / each_us);
    return true;
}
