/*
 * postgres_cancel.c -- asks the server to end what a connection waits for, and does not wait for
 * one that is silent.
 *
 * PQcancel opens a connection of its own and blocks until the server has closed it again, without a
 * deadline: with a server that hangs, for good. So a thread does it that nobody joins.
 */
#include "base/thread.h"
#include "db/postgres_server.h"

#include <errno.h>

#define CANCELS_MAX 16 /* threads that wait for servers which are silent */

struct cancel {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    PGcancel *request;
    bool heard, over;
    _Atomic int holders; /* the last one frees it */
};

static _Atomic int cancels;

static void leave(struct cancel *k)
{
    if (atomic_fetch_sub(&k->holders, 1) > 1)
        return;
    PQfreeCancel(k->request);
    pthread_cond_destroy(&k->wake);
    pthread_mutex_destroy(&k->mutex);
    free(k);
    atomic_fetch_sub(&cancels, 1);
}

static void *cancel_main(void *arg)
{
    struct cancel *k = arg;
    char message[256];

    thread_name("cancel", "postgres");
    bool heard = PQcancel(k->request, message, sizeof(message));
    pthread_mutex_lock(&k->mutex);
    k->heard = heard;
    k->over = true;
    pthread_cond_signal(&k->wake);
    pthread_mutex_unlock(&k->mutex);
    leave(k);
    return NULL;
}

static struct cancel *cancel_start(PGconn *pg)
{
    struct cancel *k = calloc(1, sizeof(*k));
    pthread_condattr_t clock;
    pthread_attr_t detached;
    pthread_t thread;

    if (!k || !(k->request = PQgetCancel(pg))) {
        free(k);
        atomic_fetch_sub(&cancels, 1);
        return NULL;
    }
    pthread_mutex_init(&k->mutex, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&k->wake, &clock);
    pthread_condattr_destroy(&clock);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    k->holders = 2;
    if (pthread_create(&thread, &detached, cancel_main, k) != 0) {
        k->over = true;
        k->holders = 1;
    }
    pthread_attr_destroy(&detached);
    return k;
}

bool pg_cancel(PGconn *pg, int64_t until_us)
{
    const struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S),
                                   .tv_nsec = (long)(until_us % US_PER_S) * 1000};
    struct cancel *k = NULL;
    int rc = 0;

    if (atomic_fetch_add(&cancels, 1) < CANCELS_MAX)
        k = cancel_start(pg);
    else
        atomic_fetch_sub(&cancels, 1);
    if (!k)
        return false;
    pthread_mutex_lock(&k->mutex);
    while (!k->over && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&k->wake, &k->mutex, &until);
    bool heard = k->heard;
    pthread_mutex_unlock(&k->mutex);
    leave(k);
    return heard;
}
