/* redis_probe.c -- what is wrong with a Redis server, and what to do about it. */
#include "cache/redis.h"

#define PROBE_S 3
#define VERSION_LEAST 6

/* By the first word of Redis's answer, or a part of it. */
static const struct {
    const char *sign, *advice;
} refusals[] = {
    {"WRONGPASS", "user or password are wrong: correct them in --cache"},
    {"without any password configured", "it has no password: leave it out of --cache"},
    {"NOAUTH", "it wants a password: redis://:PASSWORD@HOST:PORT"},
    {"READONLY", "it is a read-only replica: name the master in --cache"},
    {"NOPERM", "the user may not do that: `acl setuser ... ~jumun:* +@all`"},
    {"OOM", "its memory is full and nothing is evicted: `config set maxmemory-policy allkeys-lru`"},
    {"MISCONF", "it takes no writes, as it cannot save: look into its log, or free its disk"},
    {"LOADING", "it is still loading its data: wait"},
    {"DB index is out of range", "it has no database of that number: correct it in --cache"},
    {"max number of clients", "it has no connection left: raise its maxclients"},
    {"", "it answers with an error"},
};

static enum err refused(struct ctx *cx, struct str said)
{
    size_t i = 0;
    while (str_find(said, str_from(refusals[i].sign)) == SIZE_MAX)
        i++;
    return fail(cx, ERR_UNAVAILABLE, "%s (%.*s)", refusals[i].advice, STR_ARG(said));
}

/* Frees nothing but a reply that is an error; *ret is the caller's to free. */
static enum err answered(struct ctx *cx, const redisContext *redis, redisReply *r, redisReply **ret)
{
    enum err e = ERR_OK;

    if (!r)
        return fail(cx, ERR_UNAVAILABLE,
                    "it stopped answering (%s): is that a Redis, and is it overloaded?",
                    redis->errstr);
    if (r->type == REDIS_REPLY_ERROR)
        e = refused(cx, refusal_of(r));
    if (e == ERR_OK && ret)
        *ret = r;
    else
        freeReplyObject(r);
    return e;
}

/* "maxmemory_policy:noeviction\r\n" of INFO. */
static struct str info(struct ctx *cx, const redisReply *r, const char *name)
{
    struct str all = {r->str, r->len}, line, key, value;

    while (all.n) {
        str_cut(all, '\n', &line, &all);
        if (str_cut(line, ':', &key, &value) && str_eq(key, str_from(name))) {
            if (value.n && value.p[value.n - 1] == '\r')
                value.n--;
            return arena_copy(cx->arena, value);
        }
    }
    return STR("");
}

static enum err probe_info(struct ctx *cx, redisContext *redis, struct str *ret_version)
{
    redisReply *r = NULL;
    struct str major, rest;
    int64_t n = 0;

    TRY(answered(cx, redis, redisCommand(redis, "INFO"), &r));
    struct str version = info(cx, r, "redis_version"), role = info(cx, r, "role");
    struct str policy = info(cx, r, "maxmemory_policy"), most = info(cx, r, "maxmemory");
    struct str read_only = info(cx, r, "slave_read_only");
    freeReplyObject(r);
    str_cut(version, '.', &major, &rest);
    if (str_i64(major, 0, 1000, &n) && n < VERSION_LEAST)
        return fail(cx, ERR_UNAVAILABLE, "it is Redis %.*s, too old: jumun needs %d or later",
                    STR_ARG(version), VERSION_LEAST);
    if (str_eq(role, STR("slave")) && !str_eq(read_only, STR("0")))
        return fail(cx, ERR_UNAVAILABLE, "it is a read-only replica: name the master in --cache");
    if (str_eq(policy, STR("noeviction")) && !str_eq(most, STR("0")))
        return fail(cx, ERR_UNAVAILABLE,
                    "when its memory is full it refuses instead of evicting: `config set "
                    "maxmemory-policy allkeys-lru` (it has maxmemory %.*s, noeviction)",
                    STR_ARG(most));
    *ret_version = version;
    return ERR_OK;
}

static enum err probe_all(struct ctx *cx, const struct redis_cache *c, redisContext *redis,
                          struct str *ret_version)
{
    if (c->password)
        TRY(answered(cx, redis,
                     c->user ? redisCommand(redis, "AUTH %s %s", c->user, c->password)
                             : redisCommand(redis, "AUTH %s", c->password),
                     NULL));
    TRY(answered(cx, redis, redisCommand(redis, "SELECT %d", (int)c->database), NULL));
    TRY(probe_info(cx, redis, ret_version));
    return answered(cx, redis, redisCommand(redis, "SET jumun:probe 1 PX 1000"), NULL);
}

enum err redis_probe(struct ctx *cx, struct cache *base, struct str *ret)
{
    const struct redis_cache *c = redis_of(base);
    const struct timeval patience = {.tv_sec = PROBE_S};
    redisContext *redis = redisConnectWithTimeout(c->host, c->port, patience);
    struct str version = STR_NONE;
    enum err e;

    if (!redis || redis->err || redisSetTimeout(redis, patience) != REDIS_OK)
        e = fail(cx, ERR_UNAVAILABLE,
                 "nobody answers at %s:%d (%s): start Redis, or correct --cache", c->host, c->port,
                 redis ? redis->errstr : "no memory");
    else
        e = probe_all(cx, c, redis, &version);
    if (redis)
        redisFree(redis);
    if (e == ERR_OK)
        *ret = arena_printf(cx->arena, "Redis %.*s at %s:%d", STR_ARG(version), c->host, c->port);
    return e;
}
