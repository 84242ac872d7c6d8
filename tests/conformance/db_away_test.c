/* db_away_test.c -- a server that lets nobody in, or says nothing: threads stay free, and it goes
 * on by itself. */
#include "db_work.h"

#define VISITORS 2

struct visitor {
    struct db *db;
    _Atomic int64_t busy_us, slowest_us;
    atomic_int answered, refused;
    atomic_bool over;
};

/* As a thread that serves requests: one after another, as long as there are any. */
static void *visitor_main(void *arg)
{
    struct visitor *v = arg;
    const struct timespec pause = {.tv_nsec = 10000000};
    struct work w;
    int64_t n;

    work_init(&w, v->db);
    while (!v->over) {
        int64_t began_us = clock_monotonic_us();
        w.cx.deadline_us = began_us + 10 * US_PER_S;
        enum err e = db_int_of(&w.cx, &n, "select 1", NO_ARGS);
        int64_t took_us = clock_monotonic_us() - began_us;
        v->busy_us += took_us;
        v->slowest_us = took_us > v->slowest_us ? took_us : v->slowest_us;
        (*(e == ERR_OK ? &v->answered : &v->refused))++;
        CHECK(e == ERR_OK || e == ERR_UNAVAILABLE || e == ERR_DEADLINE);
        arena_reset(&w.arena);
        nanosleep(&pause, NULL);
    }
    work_release(&w);
    return NULL;
}

/* While nobody is let in, threads are not held up, once it is known; and it goes on by itself. */
static void threads_stay_free(const char *name, const char *harm, const char *mend, int learns_s)
{
    struct visitor v[VISITORS] = {{.db = open_db(name)}, {.db = open_db(name)}};
    pthread_t threads[VISITORS];
    int64_t busy_us = 0;
    int refused = 0;

    control(harm);
    for (size_t i = 0; i < VISITORS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, visitor_main, &v[i]), 0);
    sleep((unsigned)learns_s);
    for (size_t i = 0; i < VISITORS; i++) {
        v[i].busy_us = v[i].slowest_us = 0;
        v[i].refused = v[i].answered = 0;
    }
    sleep(4);
    for (size_t i = 0; i < VISITORS; i++) {
        busy_us += v[i].busy_us;
        refused += v[i].refused;
        CHECK_INT(v[i].answered, 0);
        CHECK(v[i].slowest_us < 3 * US_PER_S);
    }
    printf("# %s: %lld %% of the threads' time held up, %d refused\n", harm,
           (long long)(busy_us * 100 / (VISITORS * 4 * US_PER_S)), refused);
    CHECK(busy_us < VISITORS * 4 * US_PER_S * 2 / 5);
    CHECK(refused > 50);
    control(mend);
    for (int tenths = 0; tenths < 150 && v[0].answered + v[1].answered == 0; tenths++)
        usleep(100000);
    CHECK(v[0].answered + v[1].answered > 0);
    for (size_t i = 0; i < VISITORS; i++) {
        v[i].over = true;
        pthread_join(threads[i], NULL);
        db_close(v[i].db);
    }
}

static void frozen_server(void)
{
    threads_stay_free("frozen", "freeze", "thaw", 4);
}

static void starting_server(void)
{
    threads_stay_free("starting", "refuse", "admit", 4);
}

static void *cancelled_main(void *arg)
{
    struct work w;
    int64_t n;

    work_init(&w, arg);
    w.cx.deadline_us = clock_monotonic_us() + US_PER_S;
    CHECK_INT(db_int_of(&w.cx, &n, "select 1 from pg_sleep(20)", NO_ARGS), ERR_DEADLINE);
    work_release(&w);
    return NULL;
}

/* Connections are open and nobody answers on them, nor to who asks to cancel. */
static void silent_connections(void)
{
    struct db *db = open_db("silent");
    struct work w;
    int64_t n = 0;
    pthread_t thread;

    work_init(&w, db);
    CHECK_INT(pthread_create(&thread, NULL, cancelled_main, db), 0);
    CHECK_INT(db_int_of(&w.cx, &n, "select 1", NO_ARGS), ERR_OK);
    usleep(200000);
    control("freeze all");
    int64_t began_us = clock_monotonic_us();
    pthread_join(thread, NULL);
    CHECK(clock_monotonic_us() - began_us < 3 * US_PER_S);
    began_us = clock_monotonic_us();
    w.cx.deadline_us = began_us + 10 * US_PER_S;
    CHECK_INT(db_int_of(&w.cx, &n, "select 1", NO_ARGS), ERR_UNAVAILABLE);
    CHECK(clock_monotonic_us() - began_us < US_PER_S);
    control("thaw all");
    for (int tries = 0; tries < 100 && db_int_of(&w.cx, &n, "select 1", NO_ARGS); tries++)
        usleep(100000);
    CHECK_INT(n, 1);
    work_release(&w);
    db_close(db);
}

int main(void)
{
    if (!server_named())
        return 0;
    RUN(frozen_server);
    RUN(starting_server);
    RUN(silent_connections);
    return test_end();
}
