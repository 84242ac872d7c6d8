/* postgres_pool.c -- a service's connections: the newest idle one first, then a new one, then a
 * line in which a connection goes straight to whoever waits longest. */
#include "db/postgres.h"

#include <errno.h>

#define IDLE_MAX_US (60 * US_PER_S)
#define LINE_MAX_US (30 * US_PER_S) /* for work without a deadline */

static bool line_wait(struct pg_db *p, int64_t deadline_us, struct pg_connection **ret)
{
    struct pg_waiting w = {.granted = false}, **at = &p->first, *before = NULL;
    struct timespec until = {.tv_sec = (time_t)(deadline_us / US_PER_S),
                             .tv_nsec = (long)(deadline_us % US_PER_S) * 1000};
    pthread_condattr_t attr;
    int rc = 0;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w.wake, &attr);
    pthread_condattr_destroy(&attr);
    if (p->last)
        p->last->next = &w;
    else
        p->first = &w; /* cppcheck-suppress autoVariables */
    p->last = &w;      /* cppcheck-suppress autoVariables */
    while (!w.granted && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&w.wake, &p->mutex, &until);
    if (!w.granted) {
        for (; *at != &w; at = &(*at)->next)
            before = *at;
        *at = w.next;
        if (p->last == &w)
            p->last = before;
    }
    pthread_cond_destroy(&w.wake);
    *ret = w.gift;
    return w.granted;
}

/* With the mutex held; false: nobody waits. */
static bool line_grant(struct pg_db *p, struct pg_connection *gift)
{
    struct pg_waiting *w = p->first;
    if (!w)
        return false;
    p->first = w->next;
    if (!p->first)
        p->last = NULL;
    w->gift = gift;
    w->granted = true;
    pthread_cond_signal(&w->wake);
    return true;
}

static void connection_free(struct pg_connection *c)
{
    pg_disconnect(c);
    pg_statements_drop(c);
    free(c);
}

enum err pg_take(struct ctx *cx, struct pg_db *p, struct pg_connection **ret)
{
    int64_t deadline_us = cx->deadline_us ? cx->deadline_us : clock_monotonic_us() + LINE_MAX_US;
    struct pg_connection *c = NULL;
    bool timely = true;

    pthread_mutex_lock(&p->mutex);
    if (p->free) {
        c = p->free;
        p->free = c->next;
    } else if (p->connections < p->connections_max) {
        p->connections++;
    } else {
        COUNT(&p->base, waits);
        timely = line_wait(p, deadline_us, &c);
    }
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

void pg_pool_close(struct pg_db *p)
{
    while (p->free) {
        struct pg_connection *c = p->free;
        p->free = c->next;
        connection_free(c);
    }
}
