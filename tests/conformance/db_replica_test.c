/* db_replica_test.c -- reads that may be old come from a standby, are never older than allowed, and
 * do not fail when it does. */
#include "db_work.h"

/* Set by tests/servers/standby. */
static const char *replica;
static int64_t replica_port;

#define LAG_US (2 * US_PER_S)
#define READERS 4

static struct db *open_with(const char *name)
{
    const struct db_options with = {
        .clock = &clock_system, .replicas = replica, .replica_lag_us = LAG_US};
    struct work w;
    struct db *db = NULL;

    work_init(&w, NULL);
    if (db_open(&w.cx, url, name, &with, &db) != ERR_OK) {
        printf("Bail out! cannot open %s: %s\n", name, w.cx.story.detail);
        exit(1);
    }
    work_release(&w);
    return db;
}

static enum err run_script(struct db *db, const char *sql)
{
    struct work w;

    work_init(&w, db);
    enum err e = script(&w.cx, sql);
    if (e != ERR_OK)
        printf("# %s\n", w.cx.story.detail);
    work_release(&w);
    return e;
}

static void tell_replica(const char *sql)
{
    char command[400];

    snprintf(command, sizeof(command), "psql -qXtA '%s' -c \"%s\" >/dev/null", replica, sql);
    CHECK_INT(system(command), 0); /* NOLINT(cert-env33-c): our own server's */
}

/* Which server answers: its port. */
static int64_t answers(struct ctx *cx)
{
    int64_t port = 0;

    CHECK_INT(db_int_of(cx, &port, "select inet_server_port()", NO_ARGS), ERR_OK);
    return port;
}

static bool reaches(struct db *db, bool wanted)
{
    bool is = !wanted;

    for (int tenths = 0; tenths < 200 && is != wanted; tenths++) {
        struct work w;
        work_init(&w, db);
        w.cx.old_ok = true;
        is = answers(&w.cx) == replica_port;
        work_release(&w);
        if (is != wanted)
            usleep(100000);
    }
    return is == wanted;
}

/* Marked reads and no others; and none of who has begun a transaction. */
static void only_marked_reads(void)
{
    struct db *db = open_with("marked");
    struct work w;

    CHECK(reaches(db, true));
    work_init(&w, db);
    CHECK(answers(&w.cx) != replica_port);
    w.cx.old_ok = true;
    CHECK_INT(answers(&w.cx), replica_port);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK(answers(&w.cx) != replica_port);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK(answers(&w.cx) != replica_port);
    CHECK(db_stats(db).replica_reads > 0);
    CHECK_INT(db_stats(db).replicas, 1);
    work_release(&w);
    db_close(db);
}

struct crowd {
    struct db *db;
    atomic_bool over;
    atomic_int reads, failed;
    _Atomic int64_t oldest_us, slowest_us;
    const char *sql;
};

/* Writes what time it is, again and again; the time is known to be written when commit returns. */
static void *clock_main(void *arg)
{
    struct crowd *c = arg;
    struct work w;

    work_init(&w, c->db);
    while (!c->over) {
        CHECK_INT(db_begin(&w.cx), ERR_OK);
        CHECK_INT(db_exec(&w.cx, "update clock set at = $1", ARGS(db_int(clock_monotonic_us()))),
                  ERR_OK);
        CHECK_INT(db_commit(&w.cx), ERR_OK);
        arena_reset(&w.arena);
        usleep(20000);
    }
    work_release(&w);
    return NULL;
}

static void most(_Atomic int64_t *of, int64_t value)
{
    int64_t before = *of;
    while (value > before && !atomic_compare_exchange_weak(of, &before, value))
        ;
}

static void *reader_main(void *arg)
{
    struct crowd *c = arg;
    struct work w;

    work_init(&w, c->db);
    while (!c->over) {
        int64_t began_us = clock_monotonic_us(), first = 0, second = 0;
        w.cx = (struct ctx){.arena = &w.arena, .clock = &clock_system, .rng = &w.rng, .db = c->db};
        w.cx.deadline_us = began_us + 10 * US_PER_S;
        w.cx.old_ok = true;
        enum err e = db_int_of(&w.cx, &first, "select at from clock", NO_ARGS);
        most(&c->oldest_us, began_us - first);
        most(&c->slowest_us, clock_monotonic_us() - began_us);
        if (e == ERR_OK)
            e = db_int_of(&w.cx, &second, "select at from clock", NO_ARGS);
        if (e != ERR_OK)
            printf("# %s\n", w.cx.story.detail);
        c->failed += e != ERR_OK;
        CHECK(e != ERR_OK || second >= first); /* never back in time */
        c->reads++;
        arena_reset(&w.arena);
        usleep(1000);
    }
    work_release(&w);
    return NULL;
}

/* The replica is harmed and mended under load: nothing fails, nothing is older than allowed. */
static void under_load(const char *name, void (*harm)(void), void (*mend)(void))
{
    struct crowd c = {.db = open_with(name)};
    pthread_t threads[READERS + 1];

    CHECK_INT(run_script(c.db, "create table clock (at bigint not null);"
                               "insert into clock (at) values (0)"),
              ERR_OK);
    CHECK_INT(pthread_create(&threads[READERS], NULL, clock_main, &c), 0);
    CHECK(reaches(c.db, true));
    usleep(300000);
    for (int i = 0; i < READERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, reader_main, &c), 0);
    usleep(500000);
    uint64_t before = db_stats(c.db).replica_reads;
    CHECK(before > 0);
    harm();
    usleep(LAG_US + US_PER_S);
    CHECK(reaches(c.db, false));
    uint64_t missed = db_stats(c.db).replica_misses;
    CHECK(missed > 0);
    CHECK_INT(db_stats(c.db).replicas, 0);
    mend();
    CHECK(reaches(c.db, true));
    c.over = true;
    for (int i = 0; i <= READERS; i++)
        pthread_join(threads[i], NULL);
    printf("# %s: %d reads, %d failed, oldest %lld ms, slowest %lld ms, %llu by the replica\n",
           name, c.reads, c.failed, (long long)c.oldest_us / 1000, (long long)c.slowest_us / 1000,
           (unsigned long long)db_stats(c.db).replica_reads);
    CHECK_INT(c.failed, 0);
    CHECK(c.oldest_us <
          LAG_US + 200 * US_PER_MS); /* the clock's own beat, and the machine's load */
    CHECK(c.slowest_us < 4 * US_PER_S);
    db_close(c.db);
}

static void pause_replay(void)
{
    tell_replica("select pg_wal_replay_pause()");
}

static void resume_replay(void)
{
    tell_replica("select pg_wal_replay_resume()");
}

static void stop(void)
{
    control("stop");
}

static void kill_it(void)
{
    control("kill");
}

static void start(void)
{
    control("start");
}

static void freeze(void)
{
    control("freeze all");
}

static void thaw(void)
{
    control("thaw all");
}

static void harms(void)
{
    under_load("paused", pause_replay, resume_replay);
    under_load("stopped", stop, start);
    under_load("killed", kill_it, start);
    under_load("silent", freeze, thaw);
}

static void *slow_reader_main(void *arg)
{
    struct work w;
    int64_t n = 0;

    work_init(&w, arg);
    w.cx.old_ok = true;
    CHECK_INT(db_int_of(&w.cx, &n, "select count(*) from held, pg_sleep(0.6)", NO_ARGS), ERR_OK);
    CHECK_INT(n, 1);
    CHECK(answers(&w.cx) != replica_port); /* and stays with the primary */
    work_release(&w);
    return NULL;
}

/* What the primary did does not go together with what the replica is reading (40001). */
static void recovery_conflict(void)
{
    struct db *db = open_with("conflict");
    pthread_t thread;

    tell_replica("alter system set max_standby_streaming_delay = 0");
    tell_replica("select pg_reload_conf()");
    CHECK_INT(run_script(db, "create table held (n bigint); insert into held (n) values (1)"),
              ERR_OK);
    CHECK(reaches(db, true));
    usleep(500000);
    uint64_t before = db_stats(db).replica_misses;
    CHECK_INT(pthread_create(&thread, NULL, slow_reader_main, db), 0);
    usleep(200000);
    CHECK_INT(run_script(db, "lock table held in access exclusive mode"), ERR_OK);
    pthread_join(thread, NULL);
    CHECK(db_stats(db).replica_misses > before);
    db_close(db);
}

/* A table that the replica does not know yet. */
static void behind_a_migration(void)
{
    struct db *db = open_with("migrated");
    struct work w;
    int64_t n = -1;

    CHECK(reaches(db, true));
    tell_replica("select pg_wal_replay_pause()");
    CHECK_INT(run_script(db, "create table fresh (n bigint)"), ERR_OK);
    work_init(&w, db);
    w.cx.old_ok = true;
    CHECK_INT(db_int_of(&w.cx, &n, "select count(*) from fresh", NO_ARGS), ERR_OK);
    CHECK_INT(n, 0);
    tell_replica("select pg_wal_replay_resume()");
    work_release(&w);
    db_close(db);
}

static void wrong_settings(void)
{
    const struct db_options not_ours = {.replicas = "sqlite:/nowhere", .replica_lag_us = LAG_US};
    const struct db_options on_files = {.replicas = replica, .replica_lag_us = LAG_US};
    struct str list = STR("postgres://a,b/x,postgres://c:1/y,postgresql://d/z"), one;
    struct db *db = NULL;
    struct work w;

    work_init(&w, NULL);
    CHECK_INT(db_open(&w.cx, url, "wrong", &not_ours, &db), ERR_INVALID);
    CHECK_INT(db_open(&w.cx, "sqlite:/tmp", "wrong", &on_files, &db), ERR_INVALID);
    CHECK(strstr(w.cx.story.detail, "no replicas"));
    work_release(&w);
    CHECK(db_replica_next(&list, &one) && str_eq(one, STR("postgres://a,b/x")));
    CHECK(db_replica_next(&list, &one) && str_eq(one, STR("postgres://c:1/y")));
    CHECK(db_replica_next(&list, &one) && str_eq(one, STR("postgresql://d/z")));
    CHECK(!db_replica_next(&list, &one));
}

/* It takes writes of its own from now on: it is no replica any more. Last, it cannot go back. */
static void promoted(void)
{
    struct db *db = open_with("promoted");

    CHECK(reaches(db, true));
    control("promote");
    CHECK(reaches(db, false));
    sleep(1);
    CHECK(reaches(db, false));
    CHECK_INT(db_stats(db).replicas, 0);
    db_close(db);
}

int main(void)
{
    replica = getenv("TEST_STANDBY");
    const char *replica_ctl = getenv("TEST_STANDBY_CTL");
    if (!server_named() || !replica || !replica_ctl) {
        printf("# no TEST_STANDBY: nothing to do here\n");
        return 0;
    }
    ctl = replica_ctl; /* whom to harm */
    const char *port = strrchr(replica, ':');
    replica_port = port ? strtol(port + 1, NULL, 10) : 0;
    RUN(only_marked_reads);
    RUN(wrong_settings);
    RUN(recovery_conflict);
    RUN(behind_a_migration);
    RUN(harms);
    RUN(promoted);
    return test_end();
}
