/*
 * postgres_replica.c -- standbys of the primary that answer reads which may be a little old.
 *
 * How old an answer can be is proven, not believed. A thread asks the primary now and then how far
 * its log is (a sample), and each replica how far it has replayed. One that has replayed a sample
 * is as new as the moment before that sample was taken, so it may be read until lag_max_us after
 * that moment; what it replays later makes it newer. No clock but our own is in it. A replica that
 * pauses, has lost its primary, or hangs reaches no further sample, and its time runs out by
 * itself; so it does with all of them when the primary is away.
 *
 * A read that fails on a replica, for whatever reason, is asked again of the primary, and the
 * replica is left out for a while. Within one ctx reads never go back in time: they stay with the
 * replica that answered first, and once the primary has answered they stay with it.
 */
#include "db/postgres_replica.h"

#include "base/thread.h"
#include "obs/log.h"

#define REPLICAS_MAX 8
#define ANSWER_US US_PER_S /* then the primary is asked */
#define POOL_WAIT_US                                                                               \
    (20 * US_PER_MS)           /* its connections are all in use: the primary may have one         \
                                */
#define REST_US (5 * US_PER_S) /* left out after a failure */
#define TICK_LEAST_US (100 * US_PER_MS)
#define CHECK_US (500 * US_PER_MS)
#define SAMPLES 64
#define SAMPLES_PER_LAG 32 /* so that they reach back twice as far as an answer may be old */
#define WATCH_ARENA (1u << 20)

struct pg_replica {
    struct pg_db pool;
    struct pg_connection watch; /* beside the pool, which may be busy */
    _Atomic int64_t fresh_until_us, out_until_us;
    bool said_usable; /* to the log */
};

struct sample {
    int64_t lsn, at_us;
};

struct pg_replicas {
    struct pg_db *primary;
    struct pg_connection watch;
    struct pg_replica one[REPLICAS_MAX];
    int n;
    _Atomic unsigned turn;
    int64_t lag_max_us, cluster;
    struct sample samples[SAMPLES]; /* the newest is number n_samples - 1 */
    uint64_t n_samples;

    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool runs, stop;
};

/* ---- reading */

static bool is_usable(const struct pg_replica *r, int64_t now)
{
    return now < atomic_load(&r->fresh_until_us) && now >= atomic_load(&r->out_until_us);
}

/* Its number in cx->old_from; PRIMARY_ONLY when there is none. */
#define PRIMARY_ONLY (-1)
static struct pg_replica *choose(struct ctx *cx, struct pg_replicas *rs)
{
    int64_t now = clock_monotonic_us();

    if (cx->old_from > 0) {
        struct pg_replica *before = &rs->one[cx->old_from - 1];
        return is_usable(before, now) ? before : NULL;
    }
    unsigned turn = atomic_fetch_add_explicit(&rs->turn, 1, memory_order_relaxed);
    for (unsigned i = 0; i < (unsigned)rs->n && cx->old_from == 0; i++) {
        unsigned at = (turn + i) % (unsigned)rs->n;
        if (is_usable(&rs->one[at], now))
            cx->old_from = (int)at + 1;
    }
    return cx->old_from > 0 ? &rs->one[cx->old_from - 1] : NULL;
}

static enum err ask_once(struct ctx *cx, struct pg_db *pool, struct pg_connection *c,
                         struct db_query *queries, size_t n)
{
    char refusal[200];

    if (!c->pg && !pg_connect_once(pool, c, cx->deadline_us, refusal))
        return fail(cx, ERR_UNAVAILABLE, "postgres: %s",
                    refusal[0] ? refusal : "it does not answer");
    c->fresh = true; /* whether to open another one is not for the exchange to decide */
    return pg_run_on(cx, c, queries, n);
}

/* By a deadline of its own. NULL: on a connection of the pool. */
static enum err ask(struct ctx *cx, struct pg_db *pool, struct pg_connection *c,
                    struct db_query *queries, size_t n, int64_t deadline_us)
{
    const struct ctx before = *cx;
    bool borrows = !c;
    enum err e = ERR_OK;

    cx->db = &pool->base;
    cx->deadline_us = clock_monotonic_us() + POOL_WAIT_US;
    if (borrows)
        e = pg_take(cx, pool, &c);
    cx->deadline_us = deadline_us;
    if (e == ERR_OK) {
        bool was_open = c->pg; /* and may have died with its server */
        e = ask_once(cx, pool, c, queries, n);
        if (e == ERR_UNAVAILABLE && was_open && !c->pg)
            e = ask_once(cx, pool, c, queries, n);
        if (borrows)
            pg_give_back(pool, c);
    }
    cx->deadline_us = before.deadline_us;
    cx->db = before.db;
    return e;
}

bool pg_replicas_run(struct ctx *cx, struct pg_replicas *rs, struct db_query *queries, size_t n)
{
    struct pg_replica *r = choose(cx, rs);
    struct story story = cx->story;
    int64_t now = clock_monotonic_us(), until_us = now + ANSWER_US;
    bool ours = !cx->deadline_us || until_us < cx->deadline_us;
    enum err e = ERR_UNAVAILABLE;

    if (r)
        e = ask(cx, &r->pool, NULL, queries, n, ours ? until_us : cx->deadline_us);
    if (e == ERR_OK) {
        COUNT(cx->db, replica_reads);
        return true;
    }
    /* Neither is the replica's fault. */
    bool innocent = e == ERR_BUSY || e == ERR_TOO_LARGE || (e == ERR_DEADLINE && !ours);
    if (r && !innocent) {
        log_seldom(cx, LOG_WARN, r->pool.base.name, "the primary answers for a replica: %s",
                   cx->story.detail);
        atomic_store(&r->out_until_us, clock_monotonic_us() + REST_US);
    }
    COUNT(cx->db, replica_misses);
    cx->story = story;
    cx->old_from = PRIMARY_ONLY;
    for (size_t i = 0; i < n; i++) {
        queries[i].rows = queries[i].cap = 0;
        if (queries[i].want == WANT_ALL)
            *(struct list *)queries[i].out = (struct list){NULL, 0};
    }
    return false;
}

/* ---- watching */

static enum err ask_int(struct ctx *cx, struct pg_db *pool, struct pg_connection *c,
                        const char *sql, struct db_args args, int64_t *ret)
{
    struct db_query q = {.sql = sql, .args = args, .want = WANT_INT, .out = ret};

    TRY(ask(cx, pool, c, &q, 1, clock_monotonic_us() + CHECK_US));
    return q.rows ? ERR_OK : fail(cx, ERR_INTERNAL, "no row: %s", sql);
}

static enum err sample_take(struct ctx *cx, struct pg_replicas *rs)
{
    const struct sample *newest = &rs->samples[(rs->n_samples - 1) % SAMPLES];
    struct sample s = {.at_us = clock_monotonic_us()};

    if (rs->n_samples > 0 && s.at_us - newest->at_us < rs->lag_max_us / SAMPLES_PER_LAG)
        return ERR_OK;
    if (!rs->cluster)
        TRY(ask_int(cx, rs->primary, &rs->watch, PG_CLUSTER_SQL, NO_ARGS, &rs->cluster));
    TRY(ask_int(cx, rs->primary, &rs->watch, PG_WRITTEN_SQL, NO_ARGS, &s.lsn));
    rs->samples[rs->n_samples++ % SAMPLES] = s;
    return ERR_OK;
}

/* When the newest sample was taken that has been replayed; 0: not one of those we still have. */
static int64_t as_new_as(const struct pg_replicas *rs, int64_t lsn)
{
    uint64_t oldest = rs->n_samples > SAMPLES ? rs->n_samples - SAMPLES : 0;

    for (uint64_t i = rs->n_samples; i > oldest; i--)
        if (rs->samples[(i - 1) % SAMPLES].lsn <= lsn)
            return rs->samples[(i - 1) % SAMPLES].at_us;
    return 0;
}

/* ERR_OK: it may be read for a while. */
static enum err look(struct ctx *cx, struct pg_replicas *rs, struct pg_replica *r,
                     int64_t *ret_age_us)
{
    int64_t lsn = 0, now = clock_monotonic_us();

    if (now < r->out_until_us)
        return fail(cx, ERR_UNAVAILABLE, "a read of it has failed");
    TRY(ask_int(cx, &r->pool, &r->watch, PG_REPLAYED_SQL, ARGS(db_int(rs->cluster)), &lsn));
    if (lsn == PG_NOT_A_STANDBY)
        return fail(cx, ERR_INVALID, "it is no standby");
    if (lsn == PG_OF_ANOTHER_CLUSTER)
        return fail(cx, ERR_INVALID, "it belongs to another cluster");
    int64_t at_us = as_new_as(rs, lsn);
    *ret_age_us = now - at_us;
    if (!at_us || *ret_age_us > rs->lag_max_us)
        return fail(cx, ERR_UNAVAILABLE, "it is more than %lld s behind",
                    (long long)(rs->lag_max_us / US_PER_S));
    atomic_store(&r->fresh_until_us, at_us + rs->lag_max_us);
    return ERR_OK;
}

static void tell(const struct pg_replicas *rs, struct pg_replica *r, bool usable, const char *why)
{
    const char *name = rs->primary->base.name;
    int number = (int)(r - rs->one) + 1;

    if (usable == r->said_usable)
        return;
    r->said_usable = usable;
    if (usable)
        log_event(NULL, LOG_INFO, "%s: database replica %d answers reads", name, number);
    else
        log_event(NULL, LOG_WARN, "%s: database replica %d is left out: %s", name, number, why);
}

static void look_at_all(struct ctx *cx, struct pg_replicas *rs)
{
    struct db_counters *counters = &rs->primary->base.counters;
    enum err primary = sample_take(cx, rs);
    int64_t oldest_us = 0, age_us = 0;
    uint64_t usable = 0;

    for (int i = 0; i < rs->n; i++) {
        struct pg_replica *r = &rs->one[i];
        enum err e = rs->n_samples > 0 ? look(cx, rs, r, &age_us) : primary;
        if (e == ERR_INVALID)
            atomic_store(&r->fresh_until_us, 0);
        tell(rs, r, is_usable(r, clock_monotonic_us()),
             primary == ERR_OK ? cx->story.detail : "the primary does not say how far it is");
        usable += r->said_usable;
        oldest_us = r->said_usable && age_us > oldest_us ? age_us : oldest_us;
    }
    atomic_store(&counters->replicas, usable);
    atomic_store(&counters->replica_age_us, (uint64_t)oldest_us);
}

/* False: to be stopped. */
static bool rest(struct pg_replicas *rs)
{
    int64_t tick_us = rs->lag_max_us / 8;
    tick_us = tick_us < TICK_LEAST_US ? TICK_LEAST_US : tick_us > US_PER_S ? US_PER_S : tick_us;
    int64_t until_us = clock_monotonic_us() + tick_us;
    const struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S),
                                   .tv_nsec = (long)(until_us % US_PER_S) * 1000};
    int rc = 0;

    pthread_mutex_lock(&rs->mutex);
    while (!rs->stop && rc == 0)
        rc = pthread_cond_timedwait(&rs->wake, &rs->mutex, &until);
    bool goes_on = !rs->stop;
    pthread_mutex_unlock(&rs->mutex);
    return goes_on;
}

static void *watch_main(void *arg)
{
    struct pg_replicas *rs = arg;
    struct arena arena;

    thread_name("replicas", rs->primary->base.name);
    arena_init(&arena, WATCH_ARENA);
    do {
        struct ctx cx = {.arena = &arena, .clock = &clock_system, .db = &rs->primary->base};
        look_at_all(&cx, rs);
        arena_reset(&arena);
    } while (rest(rs));
    arena_release(&arena);
    return NULL;
}

/* ---- opening and closing */

static enum err replica_open(struct ctx *cx, struct pg_replicas *rs, const char *url)
{
    struct pg_replica *r = &rs->one[rs->n];
    struct pg_db *primary = rs->primary, *pool = &r->pool;

    if (rs->n == REPLICAS_MAX)
        return fail(cx, ERR_INVALID, "more than %d database replicas", REPLICAS_MAX);
    pool->base.driver = primary->base.driver;
    memcpy(pool->base.name, primary->base.name, sizeof(pool->base.name));
    pool->options = primary->options;
    pool->connections_max = primary->connections_max;
    enum err e = pg_url_read(cx, pool, url);
    if (e != ERR_OK) {
        pg_url_free(pool);
        return e;
    }
    const char *own = pg_url_get(pool, "options");
    pg_url_set(pool, "options",
               arena_printf(cx->arena, "%s -c default_transaction_read_only=on %s",
                            pg_url_get(primary, "options"), own ? own : "")
                   .p);
    pg_pool_init(pool);
    rs->n++;
    return ERR_OK;
}

static enum err watch_start(struct ctx *cx, struct pg_replicas *rs)
{
    pthread_condattr_t clock;

    pthread_mutex_init(&rs->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&rs->wake, &clock);
    pthread_condattr_destroy(&clock);
    rs->runs = pthread_create(&rs->thread, NULL, watch_main, rs) == 0;
    return rs->runs ? ERR_OK : fail(cx, ERR_UNAVAILABLE, "no thread to watch database replicas");
}

enum err pg_replicas_open(struct ctx *cx, struct pg_db *primary, const char *urls,
                          int64_t lag_max_us, struct pg_replicas **ret)
{
    struct pg_replicas *rs = calloc(1, sizeof(*rs));
    enum err e = ERR_OK;

    if (!rs)
        abort();
    rs->primary = primary;
    rs->lag_max_us = lag_max_us;
    for (struct str rest = str_from(urls), url; e == ERR_OK && db_replica_next(&rest, &url);)
        e = replica_open(cx, rs, arena_cstr(cx->arena, url));
    if (e == ERR_OK)
        e = watch_start(cx, rs);
    if (e != ERR_OK) {
        pg_replicas_close(rs);
        return e;
    }
    *ret = rs;
    return ERR_OK;
}

void pg_replicas_close(struct pg_replicas *rs)
{
    if (!rs)
        return;
    if (rs->runs) {
        pthread_mutex_lock(&rs->mutex);
        rs->stop = true;
        pthread_cond_signal(&rs->wake);
        pthread_mutex_unlock(&rs->mutex);
        pthread_join(rs->thread, NULL);
        pthread_cond_destroy(&rs->wake);
        pthread_mutex_destroy(&rs->mutex);
    }
    for (int i = 0; i < rs->n; i++) {
        pg_connection_release(&rs->one[i].watch);
        pg_pool_release(&rs->one[i].pool);
        pg_url_free(&rs->one[i].pool);
    }
    pg_connection_release(&rs->watch);
    free(rs);
}
