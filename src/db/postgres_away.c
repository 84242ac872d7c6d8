/*
 * postgres_away.c -- a server that lets nobody in: how long work waits for it, and who tries again.
 *
 * A restart is short, and work waits it out: for RESTART_US from the first sign on, all together.
 * Whoever comes later is told at once that the server is away, so that the threads stay free for
 * what needs no database. From then on one at a time tries again. A server that refuses costs that
 * one nothing and is asked ten times a second. One that is silent holds it up: it waits for a
 * moment, longer after each time in vain, and nobody tries for three times as long. What one pool
 * learns counts for all that this process has on the same server.
 */
#include "db/postgres_server.h"

#define RESTART_US (3 * US_PER_S)
#define REFUSED_PAUSE_US (100 * US_PER_MS)
#define SILENT_LEAST_US (250 * US_PER_MS)
#define SILENT_MOST_US (2 * US_PER_S)
#define SILENT_SIGN_US                                                                             \
    US_PER_S /* the deadline of the work may have been nearer than any answer                      \
              */

struct pg_server {
    char name[256];
    int users;
    struct pg_server *next;

    pthread_mutex_t mutex;
    int tries;                /* under way */
    int64_t pending_since_us; /* the oldest of them */
    int64_t since_us;         /* the first sign that it is away; 0: it is there */
    int64_t next_us;          /* not before then again */
    int64_t patience_us;      /* while it is silent: for how long the next try waits */
    char refusal[200];        /* empty: it was silent */
    _Atomic int64_t silent_at_us;
};

static pthread_mutex_t servers_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct pg_server *servers;

struct pg_server *pg_server_find(const char *name)
{
    pthread_mutex_lock(&servers_mutex);
    struct pg_server *s = servers;
    while (s && strncmp(s->name, name, sizeof(s->name) - 1) != 0)
        s = s->next;
    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s)
            abort();
        snprintf(s->name, sizeof(s->name), "%s", name);
        pthread_mutex_init(&s->mutex, NULL);
        s->next = servers;
        servers = s;
    }
    s->users++;
    pthread_mutex_unlock(&servers_mutex);
    return s;
}

void pg_server_leave(struct pg_server *s)
{
    struct pg_server **at = &servers;

    pthread_mutex_lock(&servers_mutex);
    if (--s->users == 0) {
        while (*at != s)
            at = &(*at)->next;
        *at = s->next;
        pthread_mutex_destroy(&s->mutex);
        free(s);
    }
    pthread_mutex_unlock(&servers_mutex);
}

/* With the mutex held. Tries overlap when many need a connection at once. */
static int64_t since(const struct pg_server *s, int64_t now)
{
    return s->since_us ? s->since_us : s->tries > 0 ? s->pending_since_us : now;
}

enum pg_try pg_server_try(struct pg_server *s, int64_t *ret_until_us, char refusal[200])
{
    int64_t now = clock_monotonic_us();
    enum pg_try t = PG_TRY_AGAIN;

    pthread_mutex_lock(&s->mutex);
    int64_t restarted_us = since(s, now) + RESTART_US;
    if (now >= restarted_us)
        t = s->tries > 0 || now < s->next_us ? PG_TRY_NOT : PG_TRY_ONCE;
    if (t == PG_TRY_NOT)
        snprintf(refusal, 200, "%s", s->refusal);
    else if (s->tries++ == 0)
        s->pending_since_us = now;
    int64_t patience_us = s->patience_us ? s->patience_us : SILENT_LEAST_US;
    *ret_until_us = t == PG_TRY_AGAIN ? restarted_us : now + patience_us;
    pthread_mutex_unlock(&s->mutex);
    return t;
}

/* With the mutex held. */
static void note_refused(struct pg_server *s, int64_t began_us, const char *refusal)
{
    int64_t now = clock_monotonic_us();
    bool silent = refusal[0] == '\0';

    if (silent && !s->since_us && now - began_us < SILENT_SIGN_US)
        return;
    if (!s->since_us)
        s->since_us = began_us;
    snprintf(s->refusal, sizeof(s->refusal), "%s", refusal);
    if (!silent) {
        s->patience_us = SILENT_LEAST_US;
        s->next_us = now + REFUSED_PAUSE_US;
        return;
    }
    s->next_us = now + 3 * s->patience_us;
    s->patience_us = s->patience_us ? 2 * s->patience_us : SILENT_LEAST_US;
    if (s->patience_us > SILENT_MOST_US)
        s->patience_us = SILENT_MOST_US;
}

void pg_server_tried(struct pg_server *s, int64_t began_us, const char *refusal)
{
    pthread_mutex_lock(&s->mutex);
    s->tries--;
    if (refusal) {
        note_refused(s, began_us, refusal);
    } else { /* who is still under way will be let in as well */
        s->since_us = s->next_us = s->patience_us = 0;
        s->pending_since_us = clock_monotonic_us();
    }
    pthread_mutex_unlock(&s->mutex);
}

void pg_server_silent(struct pg_server *s)
{
    int64_t now = clock_monotonic_us();

    pthread_mutex_lock(&s->mutex);
    if (!s->since_us)
        s->since_us = now - RESTART_US;
    s->refusal[0] = '\0';
    pthread_mutex_unlock(&s->mutex);
    atomic_store(&s->silent_at_us, now);
}

int64_t pg_server_silent_at(struct pg_server *s)
{
    return atomic_load(&s->silent_at_us);
}
