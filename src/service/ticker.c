/* ticker.c -- a thread with a bell that only says stop. */
#include "service/ticker.h"

#include "base/thread.h"

#define TURN_ARENA_MAX (128u * 1024 * 1024)

/* False: it is to stop. */
static bool pause_between(struct ticker *t)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += t->every_ms % 1000 * 1000000L;
    until.tv_sec += t->every_ms / 1000 + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&t->lock);
    while (!t->stop && pthread_cond_timedwait(&t->wake, &t->lock, &until) == 0) {
    }
    bool goes_on = !t->stop;
    pthread_mutex_unlock(&t->lock);
    return goes_on;
}

static void *run(void *arg)
{
    struct ticker *t = arg;
    struct arena arena;

    thread_name("tick", t->name);
    arena_init(&arena, TURN_ARENA_MAX);
    do {
        t->turn(t->arg, &arena);
        arena_reset(&arena);
    } while (pause_between(t));
    arena_release(&arena);
    return NULL;
}

enum err ticker_start(struct ctx *cx, struct ticker *t, const char *name, int every_ms,
                      void (*turn)(void *arg, struct arena *a), void *arg)
{
    pthread_condattr_t attributes;

    *t = (struct ticker){.every_ms = every_ms, .turn = turn, .arg = arg, .name = name};
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&t->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed)
        return fail(cx, ERR_UNAVAILABLE, "no condition for %s", name);
    if (pthread_mutex_init(&t->lock, NULL) != 0) {
        pthread_cond_destroy(&t->wake);
        return fail(cx, ERR_UNAVAILABLE, "no mutex for %s", name);
    }
    if (pthread_create(&t->thread, NULL, run, t) != 0) {
        pthread_cond_destroy(&t->wake);
        pthread_mutex_destroy(&t->lock);
        return fail(cx, ERR_UNAVAILABLE, "no thread for %s", name);
    }
    t->runs = true;
    return ERR_OK;
}

void ticker_stop(struct ticker *t)
{
    if (!t->runs)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_broadcast(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    t->runs = false;
}
