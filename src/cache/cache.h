/*
 * cache.h -- the cache port: bytes by key with a time to live. Nothing that matters lives here: a
 * flush at any moment costs latency only.
 */
#pragma once

#include "base/ctx.h"

struct cache;

/* "memory:" (bounded, least recently used goes first) or
 * "redis://HOST[:PORT][/DATABASE]", which need not be there yet. */
enum err cache_open(struct ctx *cx, const char *url, size_t max_bytes, struct cache **ret) MUST_USE;
/* For doctor: *ret says what is there; on failure the story says what is wrong and what to do. */
enum err cache_probe(struct ctx *cx, const char *url, struct str *ret) MUST_USE;
void cache_close(struct cache *c);
/* The value in the arena, or STR_NONE. Never fails: an outage is a miss. */
struct str cache_get(struct ctx *cx, struct cache *c, struct str key);
/* ttl_ms > 0; best effort. */
void cache_put(struct ctx *cx, struct cache *c, struct str key, struct str value, int64_t ttl_ms);
void cache_remove(struct ctx *cx, struct cache *c, struct str key);
/*
 * Takes one of `limit` tokens that refill evenly over window_ms (GCRA). True: taken. *ret_left is
 * what remains, *ret_retry_ms when to come back after a refusal. An outage falls back to an
 * in-process limit.
 */
bool cache_take(struct ctx *cx, struct cache *c, struct str key, int limit, int64_t window_ms,
                int *ret_left, int64_t *ret_retry_ms);
/*
 * Some processes count for themselves and tell each other: `taken` tokens were taken here since the
 * last time, and *ahead_us is how far this process's count is ahead of now (of limit and window as
 * in cache_take; the same keys). That of all comes back in it. False, with nothing changed:
 * an outage, or a cache that no other process has.
 */
bool cache_merge(struct ctx *cx, struct cache *c, struct str key, int limit, int64_t window_ms,
                 int taken, int64_t *ahead_us);
bool cache_is_shared(const struct cache *c); /* other processes may have it too */
/* Asks, for a moment at most: false: an outage. What is in the process always answers. */
bool cache_answers(struct cache *c);
/*
 * One step of the generic cell rate algorithm, in this process. *tat_us is the theoretical arrival
 * time kept per key (0: never seen); it moves only when a token is taken.
 */
bool cache_gcra(int64_t *tat_us, int64_t now_us, int limit, int64_t window_ms, int *ret_left,
                int64_t *ret_retry_ms);
