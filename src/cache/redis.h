/* redis.h -- what the files of the Redis driver share: the opened server. */
#pragma once

#include "cache/driver.h"

#include <hiredis/hiredis.h>
#include <pthread.h>

#define REDIS_IDLE_MAX 16

struct redis_cache {
    struct cache base;
    struct cache *fallback; /* limits while Redis is away */
    char *host, *user, *password;
    int port;
    int64_t database;

    pthread_mutex_t mutex;
    redisContext *free[REDIS_IDLE_MAX];
    size_t free_n;
    int64_t paused_until_us; /* monotonic */
    int64_t away_since_us;   /* monotonic; 0: it answers */
};

static inline struct redis_cache *redis_of(struct cache *c)
{
    return (struct redis_cache *)c;
}

/* For people. A command that Redis does not know it quotes with its words, which are not for them.
 */
static inline struct str refusal_of(const redisReply *r)
{
    struct str said = {r->str, r->len};
    size_t quotes = str_find(said, STR(", with args"));

    return quotes == SIZE_MAX ? said : (struct str){said.p, quotes};
}

/* redis_probe.c: on a connection of its own, with more patience. */
enum err redis_probe(struct ctx *cx, struct cache *c, struct str *ret) MUST_USE;
