/* key_watch.c -- keeps a copy of auth's public keys. */
#include "service/key_watch.h"

#include <pthread.h>
#include <time.h>

#include "base/thread.h"
#include "obs/log.h"
#include "security/jwks.h"
#include "service/call.h"
#include "service/peers.h"
#include "service/running.h"

#define FETCH_EVERY_US                                                                             \
    (15 * US_PER_MIN) /* a new key is published for two hours before it signs                      \
                       */
#define RETRY_US (500 * US_PER_MS)
#define ASK_AGAIN_US (5 * US_PER_S) /* forged tokens make us ask no more often than this */
#define FETCH_TIMEOUT_US (3 * US_PER_S)

struct key_watch {
    struct platform *platform;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t rung, first;
    bool wanted, stop;
    int64_t fetched_us; /* monotonic; when the last fetch that succeeded began; 0: none did */
};

/* Where auth's public address is known, no key of ours is needed: what it shows is for everybody.
 */
static enum err fetch_public(struct ctx *cx, struct platform *p)
{
    struct peer_address addresses[PEER_ADDRESSES_MAX];
    size_t n = peers_list(p->upstreams, "auth", addresses, COUNT_OF(addresses));
    enum err e = ERR_UNAVAILABLE;

    for (size_t i = 0; i < n && e != ERR_OK; i++) {
        const struct http_call call = {
            .method = HTTP_GET,
            .url = arena_printf(cx->arena, "%s/.well-known/jwks.json", addresses[i].url).p,
            .timeout_ms = FETCH_TIMEOUT_US / US_PER_MS,
        };
        struct http_result result = {0};
        e = http_call(cx, &call, &result);
        if (e == ERR_OK && result.status != 200)
            e = fail(cx, ERR_UPSTREAM, "%s answered %d", call.url, result.status);
        if (e == ERR_OK)
            e = jwks_read(cx, p->keys, result.body);
    }
    return e;
}

static enum err fetch(struct key_watch *w, struct ctx *cx)
{
    struct platform *p = w->platform;
    struct str body = STR_NONE;

    cx->deadline_us = clock_monotonic_us() + FETCH_TIMEOUT_US;
    if (peers_know(p->upstreams, "auth"))
        return fetch_public(cx, p);
    TRY(call_service_bytes(cx, "auth", HTTP_GET, "/internal/v1/jwks", STR_NONE, &body));
    return jwks_read(cx, p->keys, body);
}

static bool fetch_once(struct key_watch *w, bool was_good)
{
    struct arena arena;
    struct ctx cx;

    arena_init(&arena, 4u << 20);
    platform_ctx(w->platform, &w->platform->services[0], &arena, &cx);
    int64_t began_us = clock_monotonic_us();
    enum err e = fetch(w, &cx);
    if (e == ERR_OK) {
        pthread_mutex_lock(&w->lock);
        w->fetched_us = began_us;
        pthread_cond_broadcast(&w->first);
        pthread_mutex_unlock(&w->lock);
    } else if (was_good) { /* once, not twice a second */
        log_event(&cx, LOG_WARN, "no keys from auth yet, users' tokens wait: %s", cx.story.detail);
    }
    arena_release(&arena);
    return e == ERR_OK;
}

static void *watch_main(void *arg)
{
    struct key_watch *w = arg;
    bool good = true;

    thread_name("keys", "of auth");
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        w->wanted = false;
        pthread_mutex_unlock(&w->lock);
        good = fetch_once(w, good);
        int64_t until_us = clock_monotonic_us() + (good ? FETCH_EVERY_US : RETRY_US);
        struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S),
                                 .tv_nsec = (long)(until_us % US_PER_S) * 1000};
        pthread_mutex_lock(&w->lock);
        /* After a failure the pause is short and bounds how often we ask, whoever wants. */
        while (!w->stop && !(good && w->wanted) && clock_monotonic_us() < until_us)
            pthread_cond_timedwait(&w->rung, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum err key_watch_start(struct ctx *cx, struct platform *p, struct key_watch **ret)
{
    struct key_watch *w = calloc(1, sizeof *w);
    pthread_condattr_t attr;

    if (!w)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    w->platform = p;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->rung, &attr);
    pthread_cond_init(&w->first, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&w->thread, NULL, watch_main, w) != 0) {
        pthread_cond_destroy(&w->rung);
        pthread_cond_destroy(&w->first);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return fail(cx, ERR_UNAVAILABLE, "no thread for the keys of auth");
    }
    *ret = w;
    return ERR_OK;
}

void key_watch_wait(struct key_watch *w, int64_t wait_us)
{
    int64_t until_us = clock_monotonic_us() + wait_us;
    struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S),
                             .tv_nsec = (long)(until_us % US_PER_S) * 1000};

    pthread_mutex_lock(&w->lock);
    while (!w->fetched_us && clock_monotonic_us() < until_us)
        pthread_cond_timedwait(&w->first, &w->lock, &until);
    pthread_mutex_unlock(&w->lock);
}

void key_watch_stop(struct key_watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->rung);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->rung);
    pthread_cond_destroy(&w->first);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

enum err key_watch_ask(struct ctx *cx, struct key_watch *w)
{
    pthread_mutex_lock(&w->lock);
    bool fresh = w->fetched_us && clock_monotonic_us() - w->fetched_us < ASK_AGAIN_US;
    if (!fresh) {
        w->wanted = true;
        pthread_cond_signal(&w->rung);
    }
    pthread_mutex_unlock(&w->lock);
    return fresh ? ERR_OK
                 : fail(cx, ERR_UNAVAILABLE, "auth's keys are being fetched; a token waits");
}
