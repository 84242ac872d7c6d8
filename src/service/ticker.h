/* ticker.h -- a thread that does something every so often until it is stopped. */
#pragma once

#include <pthread.h>

#include "base/ctx.h"

struct ticker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int every_ms;
    void (*turn)(void *arg, struct arena *a); /* the arena is empty at each turn */
    void *arg;
    const char *name;
    bool runs, stop;
};

/* Starts with a turn at once. */
enum err ticker_start(struct ctx *cx, struct ticker *t, const char *name, int every_ms,
                      void (*turn)(void *arg, struct arena *a), void *arg) MUST_USE;
/* Waits for the turn under way. One that never ran, or is zeroed, is fine. */
void ticker_stop(struct ticker *t);
