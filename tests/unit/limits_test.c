/* limits_test.c -- the gateway's limits: tokens, bounded memory, many threads. */
#include "test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/limits.h"

#define START INT64_C(1796000000000000)

static struct arena arena, table;
static struct clock now = {true, START};
static struct ctx cx;

static struct limits *opened(struct cache **ret_cache)
{
    arena_reset(&arena);
    cx = (struct ctx){.arena = &arena, .clock = &now};
    CHECK_INT(cache_open(&cx, "memory:", 1u << 20, ret_cache), ERR_OK);
    struct limits *l = limits_open(&table, *ret_cache);
    CHECK_INT(limits_share(&cx, l), ERR_OK); /* with nobody: no thread */
    return l;
}

static bool take(struct limits *l, struct str key, int limit, int *left, int64_t *retry_ms)
{
    return limits_take(&cx, l, key, limit, 60000, left, retry_ms);
}

static void tokens_come_back_evenly(void)
{
    struct cache *cache = NULL;
    struct limits *l = opened(&cache);
    int64_t retry_ms = 0;
    int left = 0;

    for (int i = 0; i < 10; i++) {
        CHECK(take(l, STR("client:10.0.0.1"), 10, &left, &retry_ms));
        CHECK_INT(left, 9 - i);
    }
    CHECK(!take(l, STR("client:10.0.0.1"), 10, &left, &retry_ms));
    CHECK_INT(retry_ms, 6000);
    CHECK(take(l, STR("client:10.0.0.2"), 10, &left, &retry_ms));
    CHECK(take(l, STR("password:10.0.0.1"), 10, &left, &retry_ms));
    now.virtual_us += 6 * US_PER_S;
    CHECK(take(l, STR("client:10.0.0.1"), 10, &left, &retry_ms));
    CHECK(!take(l, STR("client:10.0.0.1"), 10, &left, &retry_ms));
    limits_close(l);
    cache_close(cache);
}

/* Many strangers push out who has used little, and hardly ever who is over the limit. */
static void strangers_do_not_free_who_is_over_the_limit(void)
{
    struct cache *cache = NULL;
    struct limits *l = opened(&cache);
    int64_t retry_ms = 0;
    int left = 0;

    while (take(l, STR("client:10.0.0.1"), 100, &left, &retry_ms)) {
    }
    for (int i = 0; i < 100000; i++) {
        struct str key = arena_printf(&arena, "client:192.168.%d.%d", i / 250, i % 250);
        CHECK(take(l, key, 100, &left, &retry_ms));
        if (i % 1000 == 0)
            arena_reset(&arena);
    }
    CHECK(!take(l, STR("client:10.0.0.1"), 100, &left, &retry_ms));
    limits_close(l);
    cache_close(cache);
}

struct crowd {
    struct limits *limits;
    _Atomic int taken;
};

static void *crowd_main(void *arg)
{
    struct crowd *crowd = arg;
    struct arena own;
    int64_t retry_ms;
    int left;

    arena_init(&own, 1u << 20);
    struct ctx mine = {.arena = &own, .clock = &now};
    for (int i = 0; i < 2000; i++)
        crowd->taken +=
            limits_take(&mine, crowd->limits, STR("client:::/64"), 500, 60000, &left, &retry_ms);
    arena_release(&own);
    return NULL;
}

static void threads_share_one_count(void)
{
    struct cache *cache = NULL;
    struct crowd crowd = {.limits = opened(&cache)};
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        if (pthread_create(&threads[i], NULL, crowd_main, &crowd) != 0)
            abort();
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(crowd.taken, 500);
    limits_close(crowd.limits);
    cache_close(cache);
}

struct slow {
    int listener;
    atomic_int told;
};

/* A Redis that takes 40 ms for each answer. */
static void *slow_main(void *arg)
{
    struct slow *slow = arg;
    char text[4096];

    for (int fd; (fd = accept(slow->listener, NULL, NULL)) >= 0; close(fd))
        while (recv(fd, text, sizeof text, 0) > 0) {
            usleep(40000);
            slow->told++;
            (void)send(fd, ":5\r\n", 4, MSG_NOSIGNAL);
        }
    return NULL;
}

static void the_end_does_not_wait_until_all_are_told(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    struct slow slow = {.listener = socket(AF_INET, SOCK_STREAM, 0)};
    struct cache *cache = NULL;
    pthread_t thread;
    int64_t retry_ms;
    int left;

    arena_reset(&arena);
    cx = (struct ctx){.arena = &arena, .clock = &clock_system};
    CHECK(bind(slow.listener, (struct sockaddr *)&at, sizeof at) == 0 &&
          listen(slow.listener, 4) == 0 &&
          getsockname(slow.listener, (struct sockaddr *)&at, &n) == 0);
    CHECK(pthread_create(&thread, NULL, slow_main, &slow) == 0);
    struct str url = arena_printf(&arena, "redis://127.0.0.1:%d", ntohs(at.sin_port));
    CHECK_INT(cache_open(&cx, url.p, 1000, &cache), ERR_OK);
    struct limits *l = limits_open(&table, cache);
    for (int i = 0; i < 100; i++)
        CHECK(take(l, arena_printf(&arena, "client:%d", i), 10, &left, &retry_ms));
    CHECK_INT(limits_share(&cx, l), ERR_OK);
    while (slow.told < 2)
        usleep(1000);
    int64_t from_us = clock_monotonic_us();
    limits_close(l);
    CHECK(clock_monotonic_us() - from_us < US_PER_S);
    cache_close(cache);
    shutdown(slow.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    close(slow.listener);
}

int main(void)
{
    arena_init(&arena, 64u << 20);
    arena_init(&table, 64u << 20);
    RUN(tokens_come_back_evenly);
    RUN(the_end_does_not_wait_until_all_are_told);
    RUN(strangers_do_not_free_who_is_over_the_limit);
    RUN(threads_share_one_count);
    arena_release(&table);
    arena_release(&arena);
    return test_end();
}
