/* postgres_pool.c -- a service's connections: the newest idle one first, then a new one, then a
 * line in which a connection goes straight to whoever waits longest. */
#include "db/postgres_server.h"

#include <errno.h>

#define IDLE_MAX_US (60 * US_PER_S)
#define LINE_MAX_US (30 * US_PER_S)   /* for work without a deadline */
#define FULL_FOR_US (250 * US_PER_MS) /* then the server is asked again */

/* Of one server, as a rule: where one has none left, another may have more than it uses. */
static pthread_mutex_t pools_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct pg_db *pools;

static void line_leave(struct pg_db *p, const struct pg_waiting *w)
{
    struct pg_waiting **at = &p->first;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
}

static void line_join(struct pg_db *p, struct pg_waiting *w)
{
    struct pg_waiting **at = &p->first;
    while (*at && (*at)->since_us <= w->since_us)
        at = &(*at)->next;
    w->next = *at;
    *at = w; /* cppcheck-suppress autoVariables */
}

/* With the mutex held. NULL: nobody gave a connection back by then. */
static struct pg_connection *line_wait(struct pg_db *p, int64_t since_us, int64_t until_us)
{
    struct pg_waiting w = {.since_us = since_us};
    struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S),
                             .tv_nsec = (long)(until_us % US_PER_S) * 1000};
    pthread_condattr_t attr;
    int rc = 0;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w.wake, &attr);
    pthread_condattr_destroy(&attr);
    line_join(p, &w);
    while (!w.gift && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&w.wake, &p->mutex, &until);
    if (!w.gift)
        line_leave(p, &w);
    pthread_cond_destroy(&w.wake);
    return w.gift;
}

/* With the mutex held; false: nobody waits. */
static bool line_grant(struct pg_db *p, struct pg_connection *gift)
{
    struct pg_waiting *w = p->first;
    if (!w)
        return false;
    p->first = w->next;
    w->gift = gift;
    pthread_cond_signal(&w->wake);
    return true;
}

void pg_connection_release(struct pg_connection *c)
{
    pg_disconnect(c);
    pg_statements_drop(c);
}

static void connection_free(struct pg_connection *c)
{
    pg_connection_release(c);
    free(c);
}

/* With the mutex held: one that is open, if there is any. */
static struct pg_connection *free_take(struct pg_db *p)
{
    int64_t silent_at_us = p->server ? pg_server_silent_at(p->server) : 0;
    struct pg_connection **at = &p->free;

    while (*at && (!(*at)->pg || (*at)->idle_since_us < silent_at_us))
        at = &(*at)->next;
    if (!*at)
        at = &p->free;
    struct pg_connection *c = *at;
    if (c)
        *at = c->next;
    if (c && c->idle_since_us < silent_at_us)
        pg_disconnect(c);
    return c;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* With the mutex held. False: not before the deadline. *ret is NULL where a new one may be made. */
static bool take_or_wait(struct pg_db *p, int64_t deadline_us, struct pg_connection **ret)
{
    int64_t since_us = clock_monotonic_us(), now = since_us;

    *ret = free_take(p);
    if (!*ret && (p->connections >= p->connections_max || p->full_until_us > now))
        COUNT(&p->base, waits);
    for (; !*ret; now = clock_monotonic_us()) {
        bool room = p->connections < p->connections_max;
        if (room && (p->connections == 0 || p->full_until_us <= now)) {
            p->connections++;
            return true;
        }
        if (deadline_us <= now)
            return false;
        *ret = line_wait(p, since_us, room ? earlier(p->full_until_us, deadline_us) : deadline_us);
    }
    return true;
}

enum err pg_take(struct ctx *cx, struct pg_db *p, struct pg_connection **ret)
{
    int64_t deadline_us = cx->deadline_us ? cx->deadline_us : clock_monotonic_us() + LINE_MAX_US;
    struct pg_connection *c = NULL;

    pthread_mutex_lock(&p->mutex);
    bool timely = take_or_wait(p, deadline_us, &c);
    pthread_mutex_unlock(&p->mutex);
    if (!timely)
        return fail(cx, ERR_BUSY, "no connection to the database before the deadline");
    if (!c) { /* opened by its first exchange */
        c = calloc(1, sizeof(*c));
        if (!c)
            abort();
    }
    c->n_ahead = 0;
    *ret = c;
    return ERR_OK;
}

bool pg_may_try(struct pg_db *p)
{
    int64_t now = clock_monotonic_us();

    pthread_mutex_lock(&p->mutex);
    bool yes = p->full_until_us <= now;
    if (yes && p->full_until_us)
        p->full_until_us = now + FULL_FOR_US;
    pthread_mutex_unlock(&p->mutex);
    return yes;
}

void pg_full(struct pg_db *p, bool full)
{
    pthread_mutex_lock(&p->mutex);
    p->full_until_us = full ? clock_monotonic_us() + FULL_FOR_US : 0;
    pthread_mutex_unlock(&p->mutex);
}

/* One that idles, from a pool that keeps one, or else from any. */
static struct pg_connection *pools_spare(const struct pg_db *hungry)
{
    struct pg_connection *spare = NULL;

    for (int least = 2; least > 0; least--) {
        for (struct pg_db *p = pools; p && !spare; p = p->next) {
            if (p == hungry)
                continue;
            pthread_mutex_lock(&p->mutex);
            if (p->connections >= least && (spare = free_take(p)))
                p->connections--;
            pthread_mutex_unlock(&p->mutex);
        }
    }
    return spare;
}

/* So that the server has room for one of ours. */
static bool close_elsewhere(const struct pg_db *hungry)
{
    pthread_mutex_lock(&pools_mutex);
    struct pg_connection *spare = pools_spare(hungry);
    pthread_mutex_unlock(&pools_mutex);
    if (spare)
        connection_free(spare);
    return spare;
}

/* In the place of `from`, which is gone afterwards. */
static bool inherit_from(struct pg_connection *from, struct pg_connection *c)
{
    c->pg = from->pg; /* NULL: it was lost meanwhile, and its place is free */
    c->fresh = false;
    c->begun = false;
    /* Other names than those it has prepared, also should it not come to forgetting them. */
    c->names = c->names > from->names ? c->names : from->names;
    for (size_t i = 0; i < PG_STATEMENT_SLOTS; i++)
        for (struct pg_statement *st = c->slots[i]; st; st = st->next)
            pg_rename(c, st);
    from->pg = NULL;
    connection_free(from);
    if (c->pg)
        pg_ahead_fresh(c);
    return c->pg;
}

bool pg_inherit(struct pg_db *p, struct pg_connection *c, int64_t since_us, int64_t until_us)
{
    pthread_mutex_lock(&p->mutex);
    struct pg_connection *from = free_take(p);
    p->hungry++;
    bool alone = !from && p->connections <= p->hungry;
    pthread_mutex_unlock(&p->mutex);
    bool room = alone && close_elsewhere(p);

    pthread_mutex_lock(&p->mutex);
    if (room)
        p->full_until_us = 0;
    else if (!from)
        from = line_wait(p, since_us, until_us);
    p->hungry--;
    if (from)
        p->connections--;
    pthread_mutex_unlock(&p->mutex);
    return from && inherit_from(from, c);
}

/* With the mutex held: takes the one out that has been idle longest, when that is too long. */
static struct pg_connection *stale(struct pg_db *p, int64_t now)
{
    struct pg_connection **at = &p->free;
    if (!*at || !(*at)->next)
        return NULL;
    while ((*at)->next)
        at = &(*at)->next;
    struct pg_connection *c = *at;
    if (now - c->idle_since_us < IDLE_MAX_US)
        return NULL;
    *at = NULL;
    p->connections--;
    return c;
}

/* A lost connection goes the same way: whoever gets it opens it again. */
void pg_give_back(struct pg_db *p, struct pg_connection *c)
{
    int64_t now = clock_monotonic_us();
    struct pg_connection *old = NULL;

    assert(!c->begun);
    pthread_mutex_lock(&p->mutex);
    if (!line_grant(p, c)) {
        c->idle_since_us = now;
        c->next = p->free;
        p->free = c;
        old = stale(p, now);
    }
    pthread_mutex_unlock(&p->mutex);
    if (old)
        connection_free(old);
}

void pg_pool_init(struct pg_db *p)
{
    pthread_mutex_init(&p->mutex, NULL);
}

void pg_pool_open(struct pg_db *p)
{
    pg_pool_init(p);
    pthread_mutex_lock(&pools_mutex);
    p->next = pools;
    pools = p;
    pthread_mutex_unlock(&pools_mutex);
}

void pg_pool_close(struct pg_db *p)
{
    struct pg_db **at = &pools;

    pthread_mutex_lock(&pools_mutex);
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    pthread_mutex_unlock(&pools_mutex);
    pg_pool_release(p);
}

void pg_pool_release(struct pg_db *p)
{
    while (p->free) {
        struct pg_connection *c = p->free;
        p->free = c->next;
        connection_free(c);
    }
    pthread_mutex_destroy(&p->mutex);
}
