/* db_server_test.c -- what a database on a server must live through: restarts, cut connections,
 * held locks, full servers. */
#include "db_work.h"

static enum err increment(struct ctx *cx)
{
    int64_t n = 0;
    TRY(db_begin(cx));
    TRY(db_int_of(cx, &n, "select value from counters where name = 'n'", NO_ARGS));
    TRY(db_exec(cx, "update counters set value = $1 where name = 'n'", ARGS(db_int(n + 1))));
    return db_commit(cx);
}

struct load {
    struct db *db;
    atomic_bool over;
    atomic_llong acknowledged, unanswered; /* unanswered: may or may not have happened */
    atomic_llong strange;
};

static void *load_main(void *arg)
{
    struct load *l = arg;
    struct work w;
    const struct timespec pause = {.tv_nsec = 5000000};
    work_init(&w, l->db);
    while (!l->over) {
        w.cx.deadline_us = clock_monotonic_us() + 2 * US_PER_S;
        enum err e = increment(&w.cx);
        db_rollback(&w.cx);
        if (e == ERR_OK)
            l->acknowledged++;
        else if (e == ERR_UNAVAILABLE || e == ERR_DEADLINE)
            l->unanswered++;
        else if (e != ERR_CONFLICT && e != ERR_BUSY)
            l->strange++;
        if (e == ERR_INTERNAL)
            printf("# %s\n", w.cx.story.detail);
        if (e == ERR_UNAVAILABLE)
            nanosleep(&pause, NULL);
        arena_reset(&w.arena);
    }
    work_release(&w);
    return NULL;
}

#define LOADERS 4
/* Runs `harm` beside a load; afterwards what was acknowledged is there, and nothing else. */
static void under_load(const char *name, void (*harm)(void))
{
    struct load l = {.db = open_db(name)};
    struct work w;
    pthread_t threads[LOADERS];
    int64_t n = 0;

    work_init(&w, l.db);
    CHECK_INT(script(&w.cx, "create table counters (name text primary key, value bigint not null);"
                            "insert into counters (name, value) values ('n', 0)"),
              ERR_OK);
    for (int i = 0; i < LOADERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, load_main, &l), 0);
    usleep(200000);
    long long before = l.acknowledged;
    harm();
    long long after = l.acknowledged;
    usleep(700000);
    CHECK(l.acknowledged > after); /* it goes on by itself */
    l.over = true;
    for (int i = 0; i < LOADERS; i++)
        pthread_join(threads[i], NULL);
    w.cx.deadline_us = 0;
    CHECK_INT(db_int_of(&w.cx, &n, "select value from counters where name = 'n'", NO_ARGS), ERR_OK);
    CHECK(before > 0);
    CHECK(n >= l.acknowledged && n <= l.acknowledged + l.unanswered);
    CHECK_INT(l.strange, 0);
    printf("# %s: %lld acknowledged, %lld without an answer, %lld there\n", name,
           (long long)l.acknowledged, (long long)l.unanswered, (long long)n);
    work_release(&w);
    db_close(l.db);
}

static void cut_connections(void)
{
    char command[400];
    snprintf(command, sizeof(command),
             "psql -qXtA '%s' -c \"select pg_terminate_backend(pid) from pg_stat_activity"
             " where application_name = 'jumun-cut'\" | grep -q t",
             url);
    for (int i = 0; i < 10; i++) {
        CHECK_INT(system(command), 0); /* NOLINT(cert-env33-c): our own server's */
        usleep(100000);
    }
}

static void restart(void)
{
    control("stop");
    control("start");
}

static void crash(void)
{
    control("kill");
    control("start");
}

static void harms(void)
{
    under_load("cut", cut_connections);
    under_load("restarted", restart);
    under_load("crashed", crash);
}

/* Somebody holds a row for longer than others can wait: they fail in time, and nobody else waits.
 */
static void held_lock(void)
{
    struct db *db = open_db("held");
    struct work holder, other;
    int64_t n = 0;
    work_init(&holder, db);
    work_init(&other, db);
    CHECK_INT(script(&holder.cx, "create table rows (id bigint primary key, n bigint not null);"
                                 "insert into rows (id, n) values (1, 0), (2, 0)"),
              ERR_OK);
    CHECK_INT(db_begin(&holder.cx), ERR_OK);
    CHECK_INT(db_change(&holder.cx, &n, "update rows set n = 1 where id = 1", NO_ARGS), ERR_OK);

    int64_t began_us = clock_monotonic_us();
    other.cx.deadline_us = began_us + 300 * US_PER_MS;
    CHECK_INT(db_begin(&other.cx), ERR_OK);
    CHECK_INT(db_change(&other.cx, &n, "update rows set n = 2 where id = 1", NO_ARGS),
              ERR_DEADLINE);
    CHECK(clock_monotonic_us() - began_us < 2 * US_PER_S);
    db_rollback(&other.cx);
    other.cx.deadline_us = 0;
    CHECK_INT(db_begin(&other.cx), ERR_OK);
    CHECK_INT(db_exec(&other.cx, "update rows set n = 2 where id = 2", NO_ARGS), ERR_OK);
    CHECK_INT(db_commit(&other.cx), ERR_OK);
    CHECK_INT(db_commit(&holder.cx), ERR_OK);
    work_release(&other);
    work_release(&holder);
    db_close(db);
}

/* Each service has a role and a schema of its own and no rights on another's. */
static void strangers(void)
{
    struct db *mine = open_db("mine"), *theirs = open_db("theirs");
    struct work w;
    int64_t n = 0;
    work_init(&w, mine);
    CHECK_INT(script(&w.cx, "create table secrets (id bigint primary key)"), ERR_OK);
    CHECK_INT(db_int_of(&w.cx, &n, "select count(*) from mine.secrets", NO_ARGS), ERR_OK);
    w.cx.db = theirs;
    CHECK_INT(db_int_of(&w.cx, &n, "select count(*) from mine.secrets", NO_ARGS), ERR_INTERNAL);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_change(&w.cx, &n, "delete from mine.secrets", NO_ARGS), ERR_INTERNAL);
    work_release(&w);
    db_close(mine);
    db_close(theirs);
}

static int64_t pledges(struct work *w)
{
    int64_t n = -1;
    CHECK_INT(db_int_of(&w->cx, &n, "select count(*) from pledges", NO_ARGS), ERR_OK);
    return n;
}

/* A transaction that never waited for an answer is whole or nothing, also when the server finds its
 * fault in the middle or at the very end. */
static void whole_or_nothing(void)
{
    static const char *const sql = "insert into pledges (id, twin) values ($1, $2)";
    struct db *db = open_db("pledges");
    struct work w;
    work_init(&w, db);
    CHECK_INT(script(&w.cx, "create table pledges (id bigint primary key, twin bigint,"
                            " constraint twins unique (twin) deferrable initially deferred)"),
              ERR_OK);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, ARGS(db_int(1), db_int(1))), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, ARGS(db_int(2), db_int(2))), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(pledges(&w), 2);

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, ARGS(db_int(3), db_int(3))), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, ARGS(db_int(1), db_int(4))), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, ARGS(db_int(5), db_int(5))), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_DUPLICATE);
    CHECK_INT(pledges(&w), 2);

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, ARGS(db_int(6), db_int(6))), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, ARGS(db_int(7), db_int(6))), ERR_OK);
    CHECK(db_commit(&w.cx) != ERR_OK);
    CHECK_INT(pledges(&w), 2);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, ARGS(db_int(8), db_int(8))), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(pledges(&w), 3);
    work_release(&w);
    db_close(db);
}

#define RUSH_THREADS 12
#define RUSH_ROUNDS 60

struct rusher {
    struct db *db;
    int most_tries;
};

/* Reads the one row that all want, thinks, and writes it. */
static enum err add_one(struct work *w)
{
    int64_t n = 0;
    TRY(db_begin(&w->cx));
    TRY(db_int_of(&w->cx, &n, "select n from rush", NO_ARGS));
    TRY(db_change(&w->cx, &(int64_t){0}, "update rush set n = $1", ARGS(db_int(n + 1))));
    return db_commit(&w->cx);
}

static void *rush_main(void *arg)
{
    struct rusher *r = arg;
    struct work w;
    work_init(&w, r->db);
    for (int i = 0; i < RUSH_ROUNDS; i++) {
        int tries = 1;
        enum err e;
        while ((e = add_one(&w)) == ERR_CONFLICT) {
            db_rollback(&w.cx);
            tries++;
        }
        CHECK_INT(e, ERR_OK);
        r->most_tries = tries > r->most_tries ? tries : r->most_tries;
    }
    work_release(&w);
    return NULL;
}

/* Everybody writes the same row without a pause, from two processes' pools: nobody tries for long.
 */
static void rush(void)
{
    struct db *db[2] = {open_db("rush"), open_db("rush")};
    struct rusher rushers[RUSH_THREADS] = {{0}};
    pthread_t threads[RUSH_THREADS];
    struct work w;
    int64_t n = 0;
    int most = 0;
    work_init(&w, db[0]);
    CHECK_INT(script(&w.cx, "create table rush (n bigint); insert into rush values (0)"), ERR_OK);
    for (int i = 0; i < RUSH_THREADS; i++) {
        rushers[i].db = db[i % 2];
        CHECK_INT(pthread_create(&threads[i], NULL, rush_main, &rushers[i]), 0);
    }
    for (int i = 0; i < RUSH_THREADS; i++) {
        CHECK_INT(pthread_join(threads[i], NULL), 0);
        most = rushers[i].most_tries > most ? rushers[i].most_tries : most;
    }
    CHECK_INT(db_int_of(&w.cx, &n, "select n from rush", NO_ARGS), ERR_OK);
    CHECK_INT(n, RUSH_THREADS * RUSH_ROUNDS);
    printf("# at most %d tries of one\n", most);
    CHECK(most <= 8); /* so often is a request run again: src/service/dispatch.c */
    work_release(&w);
    db_close(db[0]);
    db_close(db[1]);
}

static void server_limit(const char *how)
{
    char command[400];
    snprintf(command, sizeof(command), "psql -qXtA '%s' -c 'alter system %s'", url, how);
    CHECK_INT(system(command), 0); /* NOLINT(cert-env33-c): our own server's */
    restart();
}

#define FULL_THREADS 24
#define FULL_ROUNDS 30

struct full_worker {
    struct db *db;
    int number, done;
    enum err e;
    int64_t slowest_us;
};

static void *full_main(void *arg)
{
    struct full_worker *f = arg;
    struct work w;
    work_init(&w, f->db);
    for (int i = 0; i < FULL_ROUNDS && f->e == ERR_OK; i++) {
        int64_t began_us = clock_monotonic_us();
        w.cx.deadline_us = began_us + 20 * US_PER_S;
        f->e = db_begin(&w.cx);
        if (f->e == ERR_OK)
            f->e = db_exec(&w.cx, "insert into done (worker, n) values ($1, $2)",
                           ARGS(db_int(f->number), db_int(i)));
        if (f->e == ERR_OK)
            f->e = db_commit(&w.cx);
        if (f->e != ERR_OK)
            printf("# worker %d: %s\n", f->number, w.cx.story.detail);
        int64_t took_us = clock_monotonic_us() - began_us;
        f->slowest_us = took_us > f->slowest_us ? took_us : f->slowest_us;
        f->done += f->e == ERR_OK;
        db_rollback(&w.cx);
        arena_reset(&w.arena);
    }
    work_release(&w);
    return NULL;
}

/* Two services want more connections than the server has: all of their work is done. */
static void many_over_few(void)
{
    struct db *dbs[2] = {open_db("full_a"), open_db("full_b")};
    struct full_worker f[FULL_THREADS];
    pthread_t threads[FULL_THREADS];
    struct work w;
    int64_t n = 0, slowest_us = 0;

    for (int i = 0; i < 2; i++) {
        work_init(&w, dbs[i]);
        CHECK_INT(script(&w.cx, "create table done (worker bigint not null, n bigint not null,"
                                " primary key (worker, n))"),
                  ERR_OK);
        work_release(&w);
    }
    for (int i = 0; i < FULL_THREADS; i++) {
        f[i] = (struct full_worker){.db = dbs[i % 2], .number = i};
        CHECK_INT(pthread_create(&threads[i], NULL, full_main, &f[i]), 0);
    }
    for (int i = 0; i < FULL_THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(f[i].e, ERR_OK);
        slowest_us = f[i].slowest_us > slowest_us ? f[i].slowest_us : slowest_us;
    }
    for (int i = 0; i < 2; i++) {
        work_init(&w, dbs[i]);
        CHECK_INT(db_int_of(&w.cx, &n, "select count(*) from done", NO_ARGS), ERR_OK);
        CHECK_INT(n, FULL_THREADS / 2 * FULL_ROUNDS);
        work_release(&w);
        db_close(dbs[i]);
    }
    printf("# the slowest took %lld ms\n", (long long)slowest_us / 1000);
}

/* Nothing to share: it is said at the deadline, and over when somebody has one to spare. */
static void none_at_all(void)
{
    struct db *greedy = open_db("greedy"), *poor = open_db("poor");
    struct work holders[8], w;
    int64_t n = 0, held = 0;

    for (size_t i = 0; i < COUNT_OF(holders); i++) {
        work_init(&holders[i], greedy);
        holders[i].cx.deadline_us = clock_monotonic_us() + 400 * US_PER_MS;
        if (db_begin(&holders[i].cx) == ERR_OK &&
            db_int_of(&holders[i].cx, &n, "select 1", NO_ARGS) == ERR_OK)
            held++;
    }
    CHECK(held >= 5);
    work_init(&w, poor);
    int64_t began_us = clock_monotonic_us();
    w.cx.deadline_us = began_us + 600 * US_PER_MS;
    CHECK_INT(db_int_of(&w.cx, &n, "select 7", NO_ARGS), ERR_UNAVAILABLE);
    int64_t took_us = clock_monotonic_us() - began_us;
    CHECK(took_us >= 550 * US_PER_MS && took_us < 1500 * US_PER_MS);
    for (size_t i = 0; i < COUNT_OF(holders); i++)
        work_release(&holders[i]);
    w.cx.deadline_us = clock_monotonic_us() + 3 * US_PER_S;
    CHECK_INT(db_int_of(&w.cx, &n, "select 7", NO_ARGS), ERR_OK);
    CHECK_INT(n, 7);
    work_release(&w);
    db_close(poor);
    db_close(greedy);
}

static void few_connections(void)
{
    server_limit("set max_connections = 6");
    many_over_few();
    none_at_all();
    server_limit("reset max_connections");
}

/* Whether the server's log has something that is not on its disk yet. */
static bool has_unflushed(struct ctx *cx)
{
    int64_t n = 0;

    CHECK_INT(db_int_of(cx, &n,
                        "select case when pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()"
                        " then 1 else 0 end",
                        NO_ARGS),
              ERR_OK);
    return n == 1;
}

/* Its writer comes by every 200 ms: of some tries nearly all are faster. */
static int found_unflushed(struct ctx *cx, bool soon, bool once)
{
    static const char sql[] = "update counters set value = value + 1 where name = 'n'";
    int found = 0;
    int64_t n = 0;

    for (int i = 0; i < 20; i++) {
        if (once) {
            CHECK_INT((soon ? db_once_soon : db_once)(cx, &n, sql, NO_ARGS), ERR_OK);
        } else {
            CHECK_INT(db_begin(cx), ERR_OK);
            CHECK_INT(db_exec(cx, sql, NO_ARGS), ERR_OK);
            if (soon)
                db_soon(cx);
            CHECK_INT(db_commit(cx), ERR_OK);
        }
        found += has_unflushed(cx);
    }
    return found;
}

static void cut_once(const char *name)
{
    char command[400];

    snprintf(command, sizeof command,
             "psql -qXtA '%s' -c \"select pg_terminate_backend(pid) from pg_stat_activity"
             " where application_name = 'jumun-%s'\" | grep -q t",
             url, name);
    CHECK_INT(system(command), 0); /* NOLINT(cert-env33-c): our own server's */
    usleep(200000);                /* its last words arrive */
}

/* A connection that was told good-bye while it was idle is not what a commit goes out on. */
static void good_bye(void)
{
    static const char sql[] = "update counters set value = value + 1 where name = 'n'";
    struct work w;
    struct db *db = open_db("goodbye");
    int64_t n = 0;

    work_init(&w, db);
    CHECK_INT(script(&w.cx, "create table counters (name text primary key, value bigint not null);"
                            "insert into counters (name, value) values ('n', 0)"),
              ERR_OK);
    for (int round = 0; round < 3; round++) {
        CHECK_INT(db_once(&w.cx, &n, sql, NO_ARGS), ERR_OK);
        cut_once("goodbye");
        CHECK_INT(db_once(&w.cx, &n, sql, NO_ARGS), ERR_OK);
        cut_once("goodbye");
        CHECK_INT(db_begin(&w.cx), ERR_OK);
        CHECK_INT(db_exec(&w.cx, sql, NO_ARGS), ERR_OK);
        CHECK_INT(db_commit(&w.cx), ERR_OK);
    }
    CHECK_INT(db_int_of(&w.cx, &n, "select value from counters where name = 'n'", NO_ARGS), ERR_OK);
    CHECK_INT(n, 9);
    work_release(&w);
    db_close(db);
}

struct wide {
    struct str text;
};
static const struct field wide_fields[] = {
    F_STR(struct wide, text, "text", 0, 0, 100000, "of more than the server sends at once"),
    F_END(struct wide),
};

/* The deadline passes when some answers of an exchange have come: what it prepared is known. */
static void cancelled_in_the_middle(void)
{
    struct work holder, w;
    struct db *db = open_db("middle"), *others = open_db("middle");
    struct list rows = {NULL, 0};
    int64_t value = 0;

    work_init(&holder, db);
    CHECK_INT(script(&holder.cx,
                     "create table counters (name text primary key, value bigint not null);"
                     "insert into counters (name, value) values ('n', 7)"),
              ERR_OK);
    CHECK_INT(db_begin(&holder.cx), ERR_OK);
    CHECK_INT(db_change(&holder.cx, &value, "update counters set value = 8", NO_ARGS), ERR_OK);
    work_init(&w, others);
    for (int i = 0; i < 2; i++) {
        struct db_read reads[] = {
            {.fields = wide_fields, .all = &rows, .sql = "select repeat('x', 20000) as text"},
            {.number = &value, .sql = "select value from counters where name = 'n' for update"},
        };
        w.cx.deadline_us = clock_monotonic_us() + (i ? 5 * US_PER_S : 300 * US_PER_MS);
        CHECK_INT(db_read(&w.cx, reads, 2), i ? ERR_OK : ERR_DEADLINE);
        db_rollback(&w.cx);
        db_rollback(&holder.cx);
    }
    CHECK_INT(value, 7);
    work_release(&w);
    work_release(&holder);
    db_close(others);
    db_close(db);
}

/* Only what may wait does not wait for the disk, and what follows on the same connection does. */
static void soon(void)
{
    struct work w;
    struct db *db = open_db("soon");

    work_init(&w, db);
    CHECK_INT(script(&w.cx, "create table counters (name text primary key, value bigint not null);"
                            "insert into counters (name, value) values ('n', 0)"),
              ERR_OK);
    for (int once = 0; once < 2; once++) {
        CHECK(found_unflushed(&w.cx, true, once) > 10);
        CHECK(found_unflushed(&w.cx, false, once) < 10); /* others may write beside it */
    }
    work_release(&w);
    db_close(db);
}

/* For doctor: a server whose clock is not ours. */
static void clocks_apart(void)
{
    static const char *const names[] = {"order", NULL};
    struct clock ours = {.is_virtual = true, .virtual_us = clock_now(&clock_system)};
    struct str is = STR_NONE;
    struct work w;

    work_init(&w, NULL);
    w.cx.clock = &ours;
    CHECK_INT(db_probe(&w.cx, url, names, &is), ERR_OK);
    CHECK(str_starts(is, STR("PostgreSQL ")));
    ours.virtual_us += 90 * US_PER_S;
    CHECK_INT(db_probe(&w.cx, url, names, &is), ERR_UNAVAILABLE);
    CHECK(strstr(w.cx.story.detail, "s behind this machine's"));
    ours.virtual_us -= 180 * US_PER_S;
    CHECK_INT(db_probe(&w.cx, url, names, &is), ERR_UNAVAILABLE);
    CHECK(strstr(w.cx.story.detail, "s ahead of this machine's"));
    work_release(&w);
}

int main(void)
{
    if (!server_named())
        return 0;
    RUN(strangers);
    RUN(whole_or_nothing);
    RUN(soon);
    RUN(good_bye);
    RUN(cancelled_in_the_middle);
    RUN(rush);
    RUN(held_lock);
    RUN(clocks_apart);
    RUN(few_connections);
    RUN(harms);
    return test_end();
}
