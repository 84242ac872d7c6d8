/* waiting.c -- places to wait at, shared by the orders that fall on the same one. */
#include "order/waiting.h"

#include <pthread.h>
#include <time.h>

#define PLACES 512 /* two that wait at the same one wake each other */
#define LOOK_US (200 * US_PER_MS)
#define WAITERS_MAX 256                 /* as many threads as there can be */
#define EACH_MAX 4                      /* of one customer: a few windows */
#define DRAIN_LOOK_US (250 * US_PER_MS) /* a process that stops lets nobody wait for longer */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved[PLACES];
    uint64_t turns[PLACES];
    struct uuid waiters[WAITERS_MAX]; /* the customers who wait; the first n_waiters count */
    int64_t n_waiters;
} places = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make(void)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    for (size_t i = 0; i < PLACES; i++)
        pthread_cond_init(&places.moved[i], &attributes);
    pthread_condattr_destroy(&attributes);
}

static size_t place_of(struct uuid order_id)
{
    return (order_id.b[14] * 256u + order_id.b[15]) % PLACES; /* the random end of a UUIDv7 */
}

uint64_t waiting_turn(struct uuid order_id)
{
    (void)pthread_once(&made, make);
    pthread_mutex_lock(&places.lock);
    uint64_t turn = places.turns[place_of(order_id)];
    pthread_mutex_unlock(&places.lock);
    return turn;
}

bool order_is_under_way(const struct order *o)
{
    return o->status == STOCK_PENDING || o->status == CONFIRMING || o->status == CANCELLING;
}

/* Until then (monotonic), until the order moves here, or until the platform stops. */
static void wait_until(const struct svc *svc, struct uuid order_id, uint64_t turn, int64_t until)
{
    size_t at = place_of(order_id);
    int64_t now = clock_monotonic_us();

    pthread_mutex_lock(&places.lock);
    for (; places.turns[at] == turn && now < until && !svc_is_stopping(svc);
         now = clock_monotonic_us()) {
        int64_t look = now + DRAIN_LOOK_US < until ? now + DRAIN_LOOK_US : until;
        const struct timespec t = {.tv_sec = look / US_PER_S, .tv_nsec = look % US_PER_S * 1000};
        pthread_cond_timedwait(&places.moved[at], &places.lock, &t);
    }
    pthread_mutex_unlock(&places.lock);
}

static enum err look_until_moved(struct ctx *cx, uint64_t turn, int seconds, struct order *o)
{
    int64_t began = clock_monotonic_us(), now = began, until = began + seconds * US_PER_S;

    if (cx->deadline_us && until > cx->deadline_us - US_PER_S)
        until = cx->deadline_us - US_PER_S;
    do {
        int64_t pause_us = (now - began) / 4;
        int64_t look = now + (pause_us < LOOK_US ? LOOK_US : pause_us);
        wait_until(cx->svc, o->order_id, turn, look < until ? look : until);
        turn = waiting_turn(o->order_id);
        TRY(order_load_again(cx, o));
        now = clock_monotonic_us();
    } while (order_is_under_way(o) && now < until && !svc_is_stopping(cx->svc));
    return ERR_OK;
}

/*
 * Who waits has a thread that others need to place orders. When nobody answers for the stock all
 * would have one, as long as they said: a quarter stays free, and nobody has more than EACH_MAX.
 */
static bool begin_wait(struct uuid customer_id, int64_t threads)
{
    int64_t of_theirs = 0;

    pthread_mutex_lock(&places.lock);
    for (int64_t i = 0; i < places.n_waiters; i++)
        of_theirs += uuid_eq(places.waiters[i], customer_id);
    bool has_one = of_theirs < EACH_MAX && places.n_waiters < WAITERS_MAX &&
                   places.n_waiters < threads - (threads + 3) / 4;
    if (has_one)
        places.waiters[places.n_waiters++] = customer_id;
    pthread_mutex_unlock(&places.lock);
    return has_one;
}

static void end_wait(struct uuid customer_id)
{
    int64_t i = 0;

    pthread_mutex_lock(&places.lock);
    while (!uuid_eq(places.waiters[i], customer_id))
        i++;
    places.waiters[i] = places.waiters[--places.n_waiters];
    pthread_mutex_unlock(&places.lock);
}

enum err order_wait(struct ctx *cx, uint64_t turn, int seconds, struct order *o)
{
    struct uuid customer_id = o->customer_id;

    if (seconds == 0 || cx->clock->is_virtual) /* without threads nobody would answer */
        return order_load_again(cx, o);
    if (!begin_wait(customer_id, platform_options(svc_platform(cx->svc))->slow_threads))
        return order_load_again(cx, o);
    enum err e = look_until_moved(cx, turn, seconds, o);
    end_wait(customer_id);
    return e;
}

enum err waiting_wake(struct ctx *cx, const struct event *e, const void *data)
{
    size_t at = place_of(e->key);

    (void)cx;
    (void)data;
    (void)pthread_once(&made, make);
    pthread_mutex_lock(&places.lock);
    places.turns[at]++;
    pthread_cond_broadcast(&places.moved[at]);
    pthread_mutex_unlock(&places.lock);
    return ERR_OK;
}
