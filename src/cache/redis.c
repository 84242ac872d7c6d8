/*
 * redis.c -- the cache on a Redis server that several processes share.
 *
 * Connections are blocking, pooled, and give up after COMMAND_TIMEOUT_MS. After a failure or a
 * refusal nobody asks again for PAUSE_US, and then one does for all: a value is then a miss, and
 * limits are counted in this process alone, as strictly as if it were the only one. So a Redis that
 * is gone, slow or flushed costs latency or a looser limit across processes, never a wrong answer.
 * A refusal ends all connections too, as after a failover they lead to a server that is no longer
 * the master. Nothing else shows it: the log says when it goes and when it is back.
 */
#include "cache/redis.h"

#include "obs/log.h"

#include <errno.h>
#include <sys/socket.h>

#define CONNECT_TIMEOUT_MS 250
#define COMMAND_TIMEOUT_MS 100
#define PAUSE_US US_PER_S
#define FALLBACK_BYTES (1u << 20)

/*
 * The step of cache_gcra in one atomic script, by the server's clock, in microseconds. KEYS: the
 * limit. ARGV: limit, window. Answers {taken, left, retry in ms}.
 */
static const char take_script[] =
    "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2]"
    " local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])"
    " local each = math.max(math.floor(window / limit), 1)"
    " local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)"
    " tat = math.min(tat, now + window)"
    " local after = tat + each local ahead = after - now - window"
    " if ahead > 0 then return {0, 0, math.floor((ahead + 999) / 1000)} end"
    " redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX',"
    " math.floor(window / 1000) + 1)"
    " return {1, math.floor(-ahead / each), 0}";

/*
 * Adds what one process took to what all have, which is never less than that process's own count:
 * so a flush is forgotten soon. ARGV: limit, window, taken, ahead. Answers how far all are ahead.
 */
static const char merge_script[] =
    "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2]"
    " local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])"
    " local each = math.max(math.floor(window / limit), 1)"
    " local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)"
    " tat = math.max(tat + each * tonumber(ARGV[3]), now + tonumber(ARGV[4]))"
    " tat = math.min(tat, now + window)"
    " redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX',"
    " math.floor(window / 1000) + 1)"
    " return tat - now";

static struct timeval timeout_of(int64_t ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static bool is_fine(const redisReply *r)
{
    return r && r->type != REDIS_REPLY_ERROR;
}

static struct str error_of(const redisContext *redis)
{
    return redis ? str_from(redis->errstr) : STR("out of memory");
}

/* Nobody asks for a while. */
static void away(struct redis_cache *c, struct str why)
{
    int64_t now_us = clock_monotonic_us();

    pthread_mutex_lock(&c->mutex);
    bool was_there = !c->away_since_us;
    if (was_there)
        c->away_since_us = now_us;
    c->paused_until_us = now_us + PAUSE_US;
    while (c->free_n)
        redisFree(c->free[--c->free_n]);
    pthread_mutex_unlock(&c->mutex);
    if (was_there)
        log_seldom(NULL, LOG_WARN, c->host,
                   "cache: Redis at %s:%d cannot be asked: %.*s; until it can, each process "
                   "counts by itself",
                   c->host, c->port, STR_ARG(why));
}

/* Said by the one that looked. */
static void there(struct redis_cache *c)
{
    pthread_mutex_lock(&c->mutex);
    int64_t since_us = c->away_since_us;
    c->away_since_us = c->paused_until_us = 0;
    pthread_mutex_unlock(&c->mutex);
    if (since_us)
        log_seldom(NULL, LOG_INFO, c->host,
                   "cache: Redis at %s:%d can be asked again, after %.1f s", c->host, c->port,
                   (double)(clock_monotonic_us() - since_us) / US_PER_S);
}

/* False, with the pause begun. */
static bool is_taken(struct redis_cache *c, const redisContext *redis, redisReply *r)
{
    bool ok = is_fine(r);

    if (!ok)
        away(c, r ? refusal_of(r) : error_of(redis));
    freeReplyObject(r);
    return ok;
}

/* Signs in and picks the database. */
static bool greet(struct redis_cache *c, redisContext *redis)
{
    if (c->password && !is_taken(c, redis,
                                 c->user ? redisCommand(redis, "AUTH %s %s", c->user, c->password)
                                         : redisCommand(redis, "AUTH %s", c->password)))
        return false;
    return !c->database || is_taken(c, redis, redisCommand(redis, "SELECT %d", (int)c->database));
}

/* NULL: away. */
static redisContext *connection_open(struct redis_cache *c)
{
    redisContext *redis = redisConnectWithTimeout(c->host, c->port, timeout_of(CONNECT_TIMEOUT_MS));
    bool ok =
        redis && !redis->err && redisSetTimeout(redis, timeout_of(COMMAND_TIMEOUT_MS)) == REDIS_OK;

    if (!ok)
        away(c, error_of(redis));
    if (ok && greet(c, redis))
        return redis;
    if (redis)
        redisFree(redis);
    return NULL;
}

/* Nothing comes on a connection that nobody uses, unless the server closed it. */
static bool is_quiet(const redisContext *redis)
{
    char byte;

    return recv(redis->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* NULL: away, and not to be asked for a while. *ret_looks: we are the one that looks whether it is
 * back, and the others go on without it. */
static redisContext *connection_take(struct redis_cache *c, bool *ret_looks)
{
    int64_t now_us = clock_monotonic_us();
    redisContext *redis = NULL;

    pthread_mutex_lock(&c->mutex);
    bool paused = now_us < c->paused_until_us;
    *ret_looks = !paused && c->away_since_us;
    if (*ret_looks)
        c->paused_until_us = now_us + PAUSE_US;
    while (!paused && !redis && c->free_n) {
        redis = c->free[--c->free_n];
        if (!is_quiet(redis)) {
            redisFree(redis);
            redis = NULL;
        }
    }
    pthread_mutex_unlock(&c->mutex);
    return redis || paused ? redis : connection_open(c);
}

static void connection_give_back(struct redis_cache *c, redisContext *redis)
{
    pthread_mutex_lock(&c->mutex);
    bool kept = c->free_n < REDIS_IDLE_MAX;
    if (kept)
        c->free[c->free_n++] = redis;
    pthread_mutex_unlock(&c->mutex);
    if (!kept)
        redisFree(redis);
}

/* One command; the caller frees the reply. NULL: no answer, or an error. */
static redisReply *ask(struct redis_cache *c, int n, const char **words, const size_t *sizes)
{
    bool looks;
    redisContext *redis = connection_take(c, &looks);

    if (!redis)
        return NULL;
    redisReply *r = redisCommandArgv(redis, n, words, sizes);
    if (!is_fine(r)) { /* nobody knows what comes next on it, or it leads to the wrong one */
        away(c, r ? refusal_of(r) : error_of(redis));
        freeReplyObject(r);
        redisFree(redis);
        return NULL;
    }
    if (looks)
        there(c);
    connection_give_back(c, redis);
    return r;
}

/* Kinds ("v", "l") keep values and limits apart. Keys may hold any byte. */
static struct str name_of(struct ctx *cx, const char *kind, struct str key)
{
    struct str before = arena_printf(cx->arena, "jumun:%s:", kind);
    char *name = arena_alloc(cx->arena, before.n + key.n);

    memcpy(name, before.p, before.n);
    if (key.n)
        memcpy(name + before.n, key.p, key.n);
    return (struct str){name, before.n + key.n};
}

static struct str redis_get(struct ctx *cx, struct cache *c, struct str key)
{
    struct str name = name_of(cx, "v", key), value = STR_NONE;
    const char *words[] = {"GET", name.p};
    const size_t sizes[] = {3, name.n};
    redisReply *r = ask(redis_of(c), 2, words, sizes);

    if (r && r->type == REDIS_REPLY_STRING)
        value = arena_copy(cx->arena, (struct str){r->str, r->len});
    freeReplyObject(r);
    return value;
}

static void redis_put(struct ctx *cx, struct cache *c, struct str key, struct str value,
                      int64_t ttl_ms)
{
    struct str name = name_of(cx, "v", key), ttl = arena_printf(cx->arena, "%" PRId64, ttl_ms);
    const char *words[] = {"SET", name.p, value.p, "PX", ttl.p};
    const size_t sizes[] = {3, name.n, value.n, 2, ttl.n};

    freeReplyObject(ask(redis_of(c), 5, words, sizes));
}

static void redis_remove(struct ctx *cx, struct cache *c, struct str key)
{
    struct str name = name_of(cx, "v", key);
    const char *words[] = {"DEL", name.p};
    const size_t sizes[] = {3, name.n};

    freeReplyObject(ask(redis_of(c), 2, words, sizes));
}

static bool redis_take(struct ctx *cx, struct cache *c, struct str key, int limit,
                       int64_t window_ms, int *ret_left, int64_t *ret_retry_ms)
{
    struct str name = name_of(cx, "l", key), most = arena_printf(cx->arena, "%d", limit);
    struct str window = arena_printf(cx->arena, "%" PRId64, window_ms * US_PER_MS);
    const char *words[] = {"EVAL", take_script, "1", name.p, most.p, window.p};
    const size_t sizes[] = {4, sizeof take_script - 1, 1, name.n, most.n, window.n};
    redisReply *r = ask(redis_of(c), 6, words, sizes);

    if (!r || r->type != REDIS_REPLY_ARRAY || r->elements != 3) {
        freeReplyObject(r);
        return cache_take(cx, redis_of(c)->fallback, key, limit, window_ms, ret_left, ret_retry_ms);
    }
    bool taken = r->element[0]->integer == 1;
    *ret_left = (int)r->element[1]->integer;
    *ret_retry_ms = r->element[2]->integer;
    freeReplyObject(r);
    return taken;
}

static bool redis_merge(struct ctx *cx, struct cache *c, struct str key, int limit,
                        int64_t window_ms, int taken, int64_t *ahead_us)
{
    struct str name = name_of(cx, "l", key), most = arena_printf(cx->arena, "%d", limit);
    struct str window = arena_printf(cx->arena, "%" PRId64, window_ms * US_PER_MS);
    struct str n = arena_printf(cx->arena, "%d", taken);
    struct str ahead = arena_printf(cx->arena, "%" PRId64, *ahead_us);
    const char *words[] = {"EVAL", merge_script, "1", name.p, most.p, window.p, n.p, ahead.p};
    const size_t sizes[] = {4, sizeof merge_script - 1, 1, name.n, most.n, window.n, n.n, ahead.n};
    redisReply *r = ask(redis_of(c), 8, words, sizes);
    bool told = r && r->type == REDIS_REPLY_INTEGER;

    if (told)
        *ahead_us = r->integer;
    freeReplyObject(r);
    return told;
}

static bool redis_answers(struct cache *c)
{
    redisReply *r = ask(redis_of(c), 1, (const char *[]){"PING"}, (const size_t[]){4});
    bool ok = r != NULL;

    freeReplyObject(r);
    return ok;
}

static void redis_close(struct cache *base)
{
    struct redis_cache *c = redis_of(base);

    while (c->free_n)
        redisFree(c->free[--c->free_n]);
    cache_close(c->fallback);
    pthread_mutex_destroy(&c->mutex);
    free(c->host);
    free(c->user);
    free(c->password);
    free(c);
}

static char *copy(struct str s)
{
    char *text = strndup(s.p ? s.p : "", s.n);

    if (!text)
        abort();
    return text;
}

/* A user or a password: percent-encoded, as in any URL; what is not encoded is itself. */
static char *copy_decoded(struct str s)
{
    char *text = copy(s);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool encoded = s.p[i] == '%' && s.n - i > 2 && str_hex_digit(s.p[i + 1]) >= 0 &&
                       str_hex_digit(s.p[i + 2]) >= 0;
        text[n++] =
            encoded ? (char)(str_hex_digit(s.p[i + 1]) << 4 | str_hex_digit(s.p[i + 2])) : s.p[i];
        i += encoded ? 2 : 0;
    }
    text[n] = '\0';
    return text;
}

/* "//[[user]:password@]host[:port][/database]" */
static bool location_parse(struct redis_cache *c, struct str location)
{
    struct str who = STR_NONE, server = location, place, path = STR_NONE, host, port = STR_NONE;
    struct str user, password;
    int64_t number = 6379;

    if (!str_starts(location, STR("//")))
        return false;
    server = (struct str){location.p + 2, location.n - 2};
    const char *at = memrchr(server.p, '@', server.n); /* a password may hold others */
    if (at) {
        who = (struct str){server.p, (size_t)(at - server.p)};
        server = (struct str){at + 1, server.n - who.n - 1};
        if (!str_cut(who, ':', &user, &password))
            return false;
        c->user = user.n ? copy_decoded(user) : NULL;
        c->password = copy_decoded(password);
    }
    str_cut(server, '/', &place, &path);
    if (path.n && !str_i64(path, 0, 1000000, &c->database))
        return false;
    if (str_cut(place, ':', &host, &port) && !str_i64(port, 1, 65535, &number))
        return false;
    c->port = (int)number;
    c->host = copy(host);
    return host.n > 0;
}

/* It need not be there yet: start order never matters. */
static enum err redis_open(struct ctx *cx, const char *location, size_t max_bytes,
                           struct cache **ret)
{
    struct redis_cache *c = calloc(1, sizeof *c);

    (void)max_bytes; /* how much a server keeps is its own configuration */
    if (!c)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    c->base.driver = &cache_redis;
    pthread_mutex_init(&c->mutex, NULL);
    enum err e = ERR_OK;
    if (!location_parse(c, str_from(location)))
        e = fail(cx, ERR_INVALID,
                 "not an address of Redis: expected redis://HOST[:PORT][/DATABASE], with "
                 "[USER]:PASSWORD@ before HOST");
    else
        e = cache_open(cx, "memory:", FALLBACK_BYTES, &c->fallback);
    if (e != ERR_OK) {
        redis_close(&c->base);
        return e;
    }
    *ret = &c->base;
    return ERR_OK;
}

const struct cache_driver cache_redis = {
    .scheme = "redis:",
    .open = redis_open,
    .close = redis_close,
    .get = redis_get,
    .put = redis_put,
    .remove = redis_remove,
    .take = redis_take,
    .merge = redis_merge,
    .answers = redis_answers,
    .probe = redis_probe,
};
