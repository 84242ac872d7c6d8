/* waiting.c -- places to wait at, shared by the orders that fall on the same one. */
#include "order/waiting.h"

#include <pthread.h>
#include <time.h>

#define PLACES 512 /* two that wait at the same one wake each other */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved[PLACES];
    uint64_t turns[PLACES];
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

void waiting_until(struct uuid order_id, uint64_t turn, int64_t until_us)
{
    const struct timespec until = {.tv_sec = until_us / US_PER_S,
                                   .tv_nsec = until_us % US_PER_S * 1000};
    size_t at = place_of(order_id);

    pthread_mutex_lock(&places.lock);
    while (places.turns[at] == turn)
        if (pthread_cond_timedwait(&places.moved[at], &places.lock, &until) != 0)
            break;
    pthread_mutex_unlock(&places.lock);
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
