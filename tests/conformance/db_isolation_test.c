/* db_isolation_test.c -- what two pieces of work see of each other, on both engines: the anomalies
 * that cannot happen, the one that can, and the rule against it (docs/adr/0007). */
#include "test.h"

#include "work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define BESIDE_US 150000 /* in SQLite: long enough for the other one to stand in line */

static const struct db_options options = {.group_commit = true, .clock = &clock_system};
static const char *url;
static bool is_server;

/* Counters x and y, both 1. */
static struct db *fresh(const char *name, struct work *w)
{
    struct db *db = NULL;

    work_init(w, NULL);
    if (db_open(&w->cx, url, name, &options, &db) != ERR_OK) {
        printf("Bail out! cannot open %s: %s\n", name, w->cx.story.detail);
        exit(1);
    }
    w->cx.db = db;
    CHECK_INT(db_script(&w->cx,
                        "create table counters (name text primary key, value bigint not null);"
                        "insert into counters (name, value) values ('x', 1), ('y', 1)"),
              ERR_OK);
    return db;
}

static void finish(struct work *w, struct db *db)
{
    work_release(w);
    db_close(db);
}

/* Where two can be at work at once: until the other one is so far. */
static void wait_for(const atomic_int *steps, int least)
{
    usleep(is_server ? 0 : BESIDE_US);
    for (int ms = 0; is_server && ms < 10000 && *steps < least; ms++)
        usleep(1000);
}

static int64_t number(struct ctx *cx, const char *sql)
{
    int64_t n = -1;
    CHECK_INT(db_int_of(cx, &n, sql, NO_ARGS), ERR_OK);
    return n;
}

#define VALUE_OF_X "select value from counters where name = 'x'"
#define SUM "select sum(value) from counters"

static enum err add_to(struct ctx *cx, const char *name, int64_t n)
{
    int64_t rows;
    return db_change(cx, &rows, "update counters set value = value + $2 where name = $1",
                     ARGS(db_str(str_from(name)), db_int(n)));
}

/* One piece of work beside the test's own, on a thread of its own, until it got through. */
struct beside {
    struct db *db;
    enum err (*body)(struct ctx *cx);
    atomic_int conflicts, done;
    enum err result;
    pthread_t thread;
};

static enum err once(struct ctx *cx, enum err (*body)(struct ctx *cx))
{
    TRY(db_begin(cx));
    TRY(body(cx));
    return db_commit(cx);
}

static void *beside_main(void *arg)
{
    struct beside *b = arg;
    struct work w;

    work_init(&w, b->db);
    while ((b->result = once(&w.cx, b->body)) == ERR_CONFLICT) {
        db_rollback(&w.cx);
        b->conflicts++;
    }
    if (b->result == ERR_OK)
        b->result = db_durable(&w.cx);
    if (b->result != ERR_OK)
        printf("# %s\n", w.cx.story.detail);
    work_release(&w);
    b->done = 1;
    return NULL;
}

static void start(struct beside *b, struct db *db, enum err (*body)(struct ctx *cx))
{
    *b = (struct beside){.db = db, .body = body};
    CHECK_INT(pthread_create(&b->thread, NULL, beside_main, b), 0);
}

static void join(struct beside *b)
{
    pthread_join(b->thread, NULL);
    CHECK_INT(b->result, ERR_OK);
}

static enum err add_and_insert(struct ctx *cx)
{
    TRY(add_to(cx, "x", 10));
    return db_exec(cx, "insert into counters (name, value) values ('z', 100)", NO_ARGS);
}

/* No non-repeatable read, no phantom: a transaction sees one moment. */
static void one_moment(void)
{
    struct work w;
    struct db *db = fresh("one_moment", &w);
    struct beside b;

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(number(&w.cx, VALUE_OF_X), 1);
    start(&b, db, add_and_insert);
    wait_for(&b.done, 1);
    CHECK_INT(number(&w.cx, VALUE_OF_X), 1);
    CHECK_INT(number(&w.cx, "select count(*) from counters"), 2);
    CHECK_INT(number(&w.cx, SUM), 2);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    join(&b);
    CHECK_INT(number(&w.cx, SUM), 112); /* a new one sees what was committed meanwhile */
    finish(&w, db);
}

static enum err add_ten(struct ctx *cx)
{
    return add_to(cx, "x", 10);
}

/* Read, think, write: whoever was overtaken in between is told, and does it again. */
static void no_lost_update(void)
{
    struct work w;
    struct db *db = fresh("lost", &w);
    struct beside b = {.db = NULL};
    int conflicts = 0;

    for (enum err e = ERR_CONFLICT; e == ERR_CONFLICT;) {
        CHECK_INT(db_begin(&w.cx), ERR_OK);
        int64_t x = number(&w.cx, VALUE_OF_X), rows;
        if (!b.db)
            start(&b, db, add_ten);
        wait_for(&b.done, 1);
        e = db_change(&w.cx, &rows, "update counters set value = $1 where name = 'x'",
                      ARGS(db_int(x + 1)));
        if (e == ERR_OK)
            e = db_commit(&w.cx);
        CHECK(e == ERR_OK || e == ERR_CONFLICT);
        conflicts += e == ERR_CONFLICT;
        db_rollback(&w.cx);
    }
    join(&b);
    CHECK_INT(number(&w.cx, VALUE_OF_X), 12);
    CHECK_INT(conflicts, is_server ? 1 : 0);
    finish(&w, db);
}

/* Both read both, each takes its own away. `holds`: they also write what they decide by. */
static enum err both_leave(struct db *db, bool holds)
{
    static const char *const names[] = {"x", "y"};
    struct work w[2];
    enum err e = ERR_OK;

    for (int i = 0; i < 2; i++) {
        work_init(&w[i], db);
        CHECK_INT(db_begin(&w[i].cx), ERR_OK);
        CHECK_INT(number(&w[i].cx, SUM), 2);
    }
    for (int i = 0; i < 2 && e == ERR_OK; i++) {
        int64_t rows;
        if (holds)
            e = db_change(&w[i].cx, &rows, "update counters set value = value", NO_ARGS);
        if (e == ERR_OK)
            e = add_to(&w[i].cx, names[i], -1);
        if (e == ERR_OK)
            e = db_commit(&w[i].cx);
    }
    for (int i = 0; i < 2; i++)
        work_release(&w[i]);
    return e;
}

/* The one that can happen on a server, and what makes it a conflict. (In SQLite two such do not
 * stand beside each other.) */
static void write_skew_and_its_rule(void)
{
    struct work w;
    struct db *db = fresh("skew", &w);

    if (is_server) {
        CHECK_INT(both_leave(db, false), ERR_OK);
        CHECK_INT(number(&w.cx, SUM), 0); /* nobody is left */
        CHECK_INT(once(&w.cx, add_ten), ERR_OK);
        CHECK_INT(db_script(&w.cx, "update counters set value = 1"), ERR_OK);
        CHECK_INT(both_leave(db, true), ERR_CONFLICT);
        CHECK_INT(number(&w.cx, SUM), 1);
    }
    finish(&w, db);
}

static atomic_int hold_one; /* of the two */

static enum err x_then_y(struct ctx *cx)
{
    TRY(add_to(cx, "x", 10));
    hold_one++;
    wait_for(&hold_one, 2);
    return add_to(cx, "y", 10);
}

static enum err y_then_x(struct ctx *cx)
{
    TRY(add_to(cx, "y", 100));
    hold_one++;
    wait_for(&hold_one, 2);
    return add_to(cx, "x", 100);
}

/* Each holds what the other wants (40P01): one of them is told, and does it again. */
static void deadlock(void)
{
    struct work w;
    struct db *db = fresh("deadlock", &w);
    struct beside a, b;

    hold_one = 0;
    start(&a, db, x_then_y);
    start(&b, db, y_then_x);
    join(&a);
    join(&b);
    CHECK_INT(number(&w.cx, SUM), 2 + 20 + 200);
    CHECK(is_server ? a.conflicts + b.conflicts >= 1 : a.conflicts + b.conflicts == 0);
    finish(&w, db);
}

static enum err insert(struct ctx *cx, const char *name)
{
    int64_t rows;
    return db_change(cx, &rows, "insert into counters (name, value) values ($1, 5)",
                     ARGS(db_str(str_from(name))));
}

/* Inside a savepoint a duplicate is one's own to decide by, and the rest goes on. */
static enum err insert_or_other(struct ctx *cx)
{
    TRY(db_savepoint(cx, "try"));
    enum err e = insert(cx, "same");
    if (e == ERR_OK)
        return fail(cx, ERR_INTERNAL, "it was there already");
    db_savepoint_rollback(cx, "try");
    if (e != ERR_DUPLICATE)
        return e;
    return insert(cx, "other");
}

static void duplicates_at_once(void)
{
    struct work w;
    struct db *db = fresh("twice", &w);
    struct beside b;

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(insert(&w.cx, "same"), ERR_OK);
    start(&b, db, insert_or_other); /* waits for what becomes of ours */
    usleep(BESIDE_US);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    join(&b);
    CHECK_INT(number(&w.cx, "select count(*) from counters where name = 'same'"), 1);
    CHECK_INT(number(&w.cx, "select count(*) from counters where name = 'other'"), 1);
    finish(&w, db);
}

static void all(void)
{
    RUN(one_moment);
    RUN(no_lost_update);
    RUN(write_skew_and_its_rule);
    RUN(deadlock);
    RUN(duplicates_at_once);
}

int main(void)
{
    char dir[] = "/tmp/jumun-isolation-XXXXXX", files[64], remove[64];

    if (!mkdtemp(dir))
        return 1;
    snprintf(files, sizeof(files), "sqlite:%s", dir);
    url = files;
    all();
    snprintf(remove, sizeof(remove), "rm -rf %s", dir);
    CHECK_INT(system(remove), 0); /* NOLINT(cert-env33-c): a directory of ours */
    const char *server = getenv("TEST_POSTGRES");
    if (server) {
        printf("# on a server\n");
        url = server;
        is_server = true;
        all();
    }
    return test_end();
}
