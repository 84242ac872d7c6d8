/*
 * limits.h -- how often each client may ask, counted by one gateway and, where they share a cache,
 * by all of them together.
 *
 * A proxy thread must not wait, so it decides by what this process knows. A thread beside it tells
 * the shared cache what was taken, ten times a second, and learns how much all have used. What a
 * client can get beyond its limit is what the other gateways let through in that tenth of a second.
 * A cache that is away, slow or flushed leaves each gateway with its own count, as if it were
 * alone.
 */
#pragma once

#include "cache/cache.h"

struct limits; /* thread-safe */

/* Lives in the arena. `shared`: borrowed; not told of anything when it is in this process only. */
struct limits *limits_open(struct arena *a, struct cache *shared);
/* Begins to tell the others, when there may be any. */
enum err limits_share(struct ctx *cx, struct limits *l) MUST_USE;
void limits_close(struct limits *l); /* NULL is fine */
/* As cache_take; never waits. */
bool limits_take(struct ctx *cx, struct limits *l, struct str key, int limit, int64_t window_ms,
                 int *ret_left, int64_t *ret_retry_ms);
