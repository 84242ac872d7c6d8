/* cache_test.c -- what every cache driver must do, written against cache/cache.h only. */
#include "test.h"

#include "cache/cache.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

/*
 * The drivers under test. TEST_REDIS: URL of a Redis of its own, TEST_REDIS_PID: its
 * process, to be stopped for moments (tests/servers/redis sets both).
 */
static const char *urls[2] = {"memory:"};
static const char *url;

struct work {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
};

static void work_init(struct work *w)
{
    memset(w, 0, sizeof(*w));
    arena_init(&w->arena, 64u << 20);
    rng_init(&w->rng);
    w->cx = (struct ctx){.arena = &w->arena, .clock = &clock_system, .rng = &w->rng};
}

static struct cache *open_cache(struct work *w, size_t max)
{
    struct cache *c = NULL;
    work_init(w);
    if (cache_open(&w->cx, url, max, &c) != ERR_OK) {
        printf("Bail out! cannot open %s: %s\n", url, w->cx.story.detail);
        exit(1);
    }
    return c;
}

static void close_cache(struct work *w, struct cache *c)
{
    cache_close(c);
    arena_release(&w->arena);
}

static void open_refuses(void)
{
    struct work w;
    struct cache *c = NULL;
    work_init(&w);
    CHECK_INT(cache_open(&w.cx, "cash:", 1000, &c), ERR_INVALID);
    CHECK_INT(cache_open(&w.cx, "memory:lots", 1000, &c), ERR_INVALID);
    CHECK_INT(cache_open(&w.cx, "redis:here", 1000, &c), ERR_INVALID);
    CHECK_INT(cache_open(&w.cx, "redis://", 1000, &c), ERR_INVALID);
    CHECK_INT(cache_open(&w.cx, "redis://h:0", 1000, &c), ERR_INVALID);
    CHECK_INT(cache_open(&w.cx, "redis://h/x", 1000, &c), ERR_INVALID);
    CHECK_INT(cache_open(&w.cx, "redis://secret@h", 1000, &c), ERR_INVALID);
    CHECK(c == NULL);
    arena_release(&w.arena);
}

static void round_trip(void)
{
    struct work w;
    struct cache *c = open_cache(&w, 1u << 20);
    CHECK(cache_get(&w.cx, c, STR("absent")).p == NULL);
    cache_put(&w.cx, c, STR("k"), STR("one"), 60000);
    CHECK_STR(cache_get(&w.cx, c, STR("k")), "one");
    cache_put(&w.cx, c, STR("k"), STR("another, longer"), 60000);
    CHECK_STR(cache_get(&w.cx, c, STR("k")), "another, longer");
    cache_put(&w.cx, c, STR("empty"), STR(""), 60000);
    struct str empty = cache_get(&w.cx, c, STR("empty"));
    CHECK(empty.p && empty.n == 0);
    struct str bytes = {"a\0b\n\xff", 5};
    cache_put(&w.cx, c, bytes, bytes, 60000);
    CHECK(str_eq(cache_get(&w.cx, c, bytes), bytes));
    cache_remove(&w.cx, c, STR("k"));
    cache_remove(&w.cx, c, STR("k"));
    CHECK(cache_get(&w.cx, c, STR("k")).p == NULL);
    CHECK(str_eq(cache_get(&w.cx, c, bytes), bytes));
    close_cache(&w, c);
}

static void time_to_live(void)
{
    struct work w;
    struct cache *c = open_cache(&w, 1u << 20);
    cache_put(&w.cx, c, STR("short"), STR("v"), 30);
    cache_put(&w.cx, c, STR("long"), STR("v"), 60000);
    CHECK_STR(cache_get(&w.cx, c, STR("short")), "v");
    usleep(60000);
    CHECK(cache_get(&w.cx, c, STR("short")).p == NULL);
    CHECK_STR(cache_get(&w.cx, c, STR("long")), "v");
    close_cache(&w, c);
}

/* In-process only: how much another server keeps is its own configuration. */
static void bounded(void)
{
    if (strcmp(url, "memory:") != 0)
        return;
    struct work w;
    struct cache *c = open_cache(&w, 256 * 1024);
    char value[1000];
    memset(value, 'v', sizeof(value));
    int kept = 0;
    cache_put(&w.cx, c, STR("used"), STR("often"), 60000);
    for (int i = 0; i < 2000; i++) {
        struct str key = arena_printf(&w.arena, "key%d", i);
        cache_put(&w.cx, c, key, (struct str){value, sizeof(value)}, 60000);
        CHECK(cache_get(&w.cx, c, STR("used")).p != NULL); /* recently used: stays */
    }
    for (int i = 0; i < 2000; i++)
        kept += cache_get(&w.cx, c, arena_printf(&w.arena, "key%d", i)).p != NULL;
    CHECK(kept > 100 && kept <= 256);
    CHECK(cache_get(&w.cx, c, STR("key0")).p == NULL); /* the oldest went first */
    CHECK(cache_get(&w.cx, c, STR("key1999")).p != NULL);
    char *huge = arena_zalloc(&w.arena, 300 * 1024);
    cache_put(&w.cx, c, STR("huge"), (struct str){huge, 300 * 1024}, 60000);
    CHECK(cache_get(&w.cx, c, STR("huge")).p == NULL);
    cache_put(&w.cx, c, STR("used"), (struct str){huge, 300 * 1024}, 60000);
    CHECK(cache_get(&w.cx, c, STR("used")).p == NULL); /* never the value before the last put */
    close_cache(&w, c);
}

static void limits(void)
{
    struct work w;
    struct cache *c = open_cache(&w, 1u << 20);
    int left = -1;
    int64_t retry = -1;
    for (int i = 0; i < 5; i++) {
        CHECK(cache_take(&w.cx, c, STR("ip"), 5, 10000, &left, &retry));
        CHECK_INT(left, 4 - i);
        CHECK_INT(retry, 0);
    }
    CHECK(!cache_take(&w.cx, c, STR("ip"), 5, 10000, &left, &retry));
    CHECK_INT(left, 0);
    CHECK(retry > 0 && retry <= 2000);
    CHECK(cache_take(&w.cx, c, STR("other"), 5, 10000, &left, &retry));
    CHECK(cache_get(&w.cx, c, STR("ip")).p == NULL); /* limits are no values */

    /* One token comes back after a fifth of the window, not all of them after the whole. */
    for (int i = 0; i < 5; i++)
        CHECK(cache_take(&w.cx, c, STR("fast"), 5, 1000, &left, &retry));
    CHECK(!cache_take(&w.cx, c, STR("fast"), 5, 1000, &left, &retry));
    usleep((useconds_t)(retry + 5) * 1000);
    CHECK(cache_take(&w.cx, c, STR("fast"), 5, 1000, &left, &retry));
    CHECK(!cache_take(&w.cx, c, STR("fast"), 5, 1000, &left, &retry));
    CHECK(cache_take(&w.cx, c, STR("one"), 1, 60000, &left, &retry));
    CHECK_INT(left, 0);
    CHECK(!cache_take(&w.cx, c, STR("one"), 1, 60000, &left, &retry));
    CHECK(retry > 59000 && retry <= 60000);
    close_cache(&w, c);
}

/* Processes that count by themselves come to one count. */
static void merged_limits(void)
{
    struct work w;
    struct cache *c = open_cache(&w, 1u << 20);
    const struct str key = arena_printf(&w.arena, "gate%d", (int)getpid());
    const int64_t each_us = 100 * US_PER_MS; /* 100 in 10 s */
    int64_t one = 30 * each_us, two = 0, left;

    if (!cache_is_shared(c)) {
        CHECK(!cache_merge(&w.cx, c, key, 100, 10000, 30, &one));
        CHECK_INT(one, 30 * each_us);
        close_cache(&w, c);
        return;
    }
    CHECK(cache_merge(&w.cx, c, key, 100, 10000, 30, &one));
    CHECK_INT(one, 30 * each_us);
    two = 20 * each_us;
    CHECK(cache_merge(&w.cx, c, key, 100, 10000, 20, &two));
    CHECK(two > 45 * each_us && two <= 50 * each_us); /* some tokens came back meanwhile */
    one = 0;
    CHECK(cache_merge(&w.cx, c, key, 100, 10000, 0, &one));
    CHECK(one > 40 * each_us && one <= two);
    left = 1000 * each_us;
    CHECK(cache_merge(&w.cx, c, key, 100, 10000, 200, &left));
    CHECK_INT(left, 100 * each_us); /* never further than a window */
    /* It is the same count that cache_take knows. */
    int n = 0;
    int64_t retry = 0;
    CHECK(!cache_take(&w.cx, c, key, 100, 10000, &n, &retry));
    close_cache(&w, c);
}

struct crowd {
    struct cache *cache;
    atomic_int taken, wrong;
};

static void *crowd_main(void *arg)
{
    struct crowd *crowd = arg;
    struct work w;
    work_init(&w);
    for (int i = 0; i < 500; i++) {
        int left = 0;
        int64_t retry = 0;
        if (cache_take(&w.cx, crowd->cache, STR("shared"), 100, 3600000, &left, &retry))
            atomic_fetch_add(&crowd->taken, 1);
        struct str key = arena_printf(&w.arena, "k%d", i % 50);
        cache_put(&w.cx, crowd->cache, key, key, 1000);
        struct str got = cache_get(&w.cx, crowd->cache, key);
        if (got.p && !str_eq(got, key))
            atomic_fetch_add(&crowd->wrong, 1);
        if (i % 7 == 0)
            cache_remove(&w.cx, crowd->cache, key);
    }
    arena_release(&w.arena);
    return NULL;
}

static void many_threads(void)
{
    struct work w;
    struct crowd crowd = {.cache = open_cache(&w, 64 * 1024)};
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        if (pthread_create(&threads[i], NULL, crowd_main, &crowd) != 0)
            abort();
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(crowd.taken, 100);
    CHECK_INT(crowd.wrong, 0);
    close_cache(&w, crowd.cache);
}

/* A server that nobody can reach, and one that stops answering: a miss, a limit of our own, soon.
 */
static void outage(void)
{
    const char *pid = getenv("TEST_REDIS_PID");
    struct work w;
    struct cache *c = NULL;
    int left = 0;
    int64_t retry = 0;
    work_init(&w);
    CHECK_INT(cache_open(&w.cx, "redis://127.0.0.1:1", 1000, &c), ERR_OK);
    CHECK(!cache_answers(c));
    cache_put(&w.cx, c, STR("k"), STR("v"), 60000);
    CHECK(cache_get(&w.cx, c, STR("k")).p == NULL);
    CHECK(cache_take(&w.cx, c, STR("ip"), 1, 60000, &left, &retry));
    CHECK(!cache_take(&w.cx, c, STR("ip"), 1, 60000, &left, &retry));
    int64_t ahead_us = 7;
    CHECK(!cache_merge(&w.cx, c, STR("ip"), 1, 60000, 1, &ahead_us));
    CHECK_INT(ahead_us, 7);
    close_cache(&w, c);
    if (!pid || strcmp(url, "memory:") == 0)
        return;
    pid_t server = (pid_t)strtol(pid, NULL, 10);
    c = open_cache(&w, 1000);
    cache_put(&w.cx, c, STR("k"), STR("v"), 60000);
    CHECK_STR(cache_get(&w.cx, c, STR("k")), "v");
    CHECK(cache_answers(c));
    CHECK(kill(server, SIGSTOP) == 0);
    int64_t began = clock_monotonic_us();
    CHECK(cache_get(&w.cx, c, STR("k")).p == NULL);
    for (int i = 0; i < 100; i++) /* nobody waits for it again */
        CHECK(cache_get(&w.cx, c, STR("k")).p == NULL);
    CHECK(cache_take(&w.cx, c, STR("slow"), 1, 60000, &left, &retry));
    CHECK(!cache_take(&w.cx, c, STR("slow"), 1, 60000, &left, &retry));
    CHECK(!cache_answers(c));
    CHECK(clock_monotonic_us() - began < 800 * US_PER_MS);
    CHECK(kill(server, SIGCONT) == 0);
    struct str back = STR_NONE;
    for (int i = 0; i < 50 && !back.p; i++) {
        usleep(100000);
        back = cache_get(&w.cx, c, STR("k"));
    }
    CHECK_STR(back, "v");
    CHECK(cache_answers(c));
    close_cache(&w, c);
}

int main(void)
{
    urls[1] = getenv("TEST_REDIS");
    for (size_t i = 0; i < COUNT_OF(urls) && urls[i]; i++) {
        url = urls[i];
        printf("# driver %.6s\n", url);
        RUN(outage);
        RUN(open_refuses);
        RUN(round_trip);
        RUN(time_to_live);
        RUN(bounded);
        RUN(limits);
        RUN(merged_limits);
        RUN(many_threads);
    }
    return test_end();
}
