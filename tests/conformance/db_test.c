/* db_test.c -- what every database driver must do, written against db/db.h only. */
#include "test.h"

#include "base/fault.h"
#include "work.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char dir[64];
/* The drivers under test. TEST_POSTGRES: URL of a server of its own (tests/servers/postgres). */
static const char *urls[3];
static const char *url;
static struct db_options options = {.group_commit = true, .readers_max = 4, .clock = &clock_system};

static struct db *open_db(const char *name)
{
    struct work w;
    struct db *db = NULL;
    work_init(&w, NULL);
    enum err e = db_open(&w.cx, url, name, &options, &db);
    if (e != ERR_OK) {
        printf("Bail out! cannot open %s: %s\n", url, w.cx.story.detail);
        exit(1);
    }
    work_release(&w);
    return db;
}

static const char schema[] =
    "create table things (thing_id uuid primary key, name text not null unique,"
    " color text not null default 'red' check (color in ('red', 'green')), amount bigint,"
    " active integer not null default 1 check (active in (0, 1)), made_at bigint not null default "
    "0);"
    "create table counters (name text primary key, value bigint not null);"
    "create table parts (part_id bigint primary key, thing_id uuid not null references things "
    "(thing_id))";

static const char *const colors[] = {"red", "green", NULL};

struct thing {
    struct uuid thing_id;
    struct str name;
    int color;
    int64_t amount;
    bool has_amount;
    bool active;
    int64_t made_at;
    struct list kept; /* has no column */
};
static const struct field thing_fields[] = {
    F_UUID(struct thing, thing_id, "thingId", 0, ""),
    F_STR(struct thing, name, "name", 0, 0, 100, ""),
    F_ENUM(struct thing, color, "color", 0, colors, ""),
    F_OPT_INT(struct thing, amount, "amount", NULLABLE, 0, 100, ""),
    F_BOOL(struct thing, active, "active", 0, ""),
    F_TIME(struct thing, made_at, "madeAt", 0, ""),
    F_UUIDS(struct thing, kept, "kept", 0, 0, 9, ""),
    F_END(struct thing),
};

static int database_number;
static struct db *fresh(struct work *w)
{
    char name[32];
    snprintf(name, sizeof(name), "t%d", database_number++);
    struct db *db = open_db(name);
    work_init(w, db);
    CHECK_INT(db_script(&w->cx, schema), ERR_OK);
    return db;
}

static enum err add_thing(struct ctx *cx, const char *name)
{
    int64_t n;
    return db_change(cx, &n, "insert into things (thing_id, name) values ($1, $2)",
                     ARGS(db_uuid(ctx_uuid(cx)), db_str(str_from(name))));
}

static int64_t count_things(struct ctx *cx)
{
    int64_t n = -1;
    CHECK_INT(db_int_of(cx, &n, "select count(*) from things", NO_ARGS), ERR_OK);
    return n;
}

static void open_refuses(void)
{
    struct work w;
    struct db *db = NULL;
    work_init(&w, NULL);
    CHECK_INT(db_open(&w.cx, "oracle://x", "a", &options, &db), ERR_INVALID);
    CHECK_INT(db_open(&w.cx, "sqlite:", "a", &options, &db), ERR_INVALID);
    CHECK_INT(db_open(&w.cx, "sqlite:/nonexistent/deep/dir", "a", &options, &db), ERR_UNAVAILABLE);
    CHECK(db == NULL);
    work_release(&w);
}

static void values_round_trip(void)
{
    struct work w;
    struct db *db = fresh(&w);
    struct thing t = {.kept = {NULL, 7}}, got = {.kept = {NULL, 7}};
    struct uuid id = ctx_uuid(&w.cx);

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    /* $2 appears before $1: parameters go by number, not by first appearance. */
    CHECK_INT(db_one(&w.cx, thing_fields, &t,
                     "insert into things (name, thing_id, color, amount, active, made_at)"
                     " values ($2, $1, $3, $4, $5, $6) returning *",
                     ARGS(db_uuid(id), db_str(STR("떡볶이")), db_str(STR("green")), db_int(-5),
                          db_bool(false), db_int(INT64_C(1700000000123456)))),
              ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_durable(&w.cx), ERR_OK);
    CHECK_INT(db_one(&w.cx, thing_fields, &got, "select * from things where thing_id = $1",
                     ARGS(db_uuid(id))),
              ERR_OK);
    CHECK(uuid_eq(got.thing_id, id) && uuid_eq(t.thing_id, id));
    CHECK_STR(got.name, "떡볶이");
    CHECK_INT(got.color, 1);
    CHECK(got.has_amount);
    CHECK_INT(got.amount, -5);
    CHECK(!got.active);
    CHECK_INT(got.made_at, INT64_C(1700000000123456));
    CHECK_INT(got.kept.n, 7);

    int64_t changed = 0, n = 9;
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_change(&w.cx, &changed, "update things set amount = coalesce($1, amount)",
                        ARGS(db_opt_int(false, 3))),
              ERR_OK);
    CHECK_INT(changed, 1);
    CHECK_INT(db_change(&w.cx, &changed, "update things set amount = $1", ARGS(db_null())), ERR_OK);
    CHECK_INT(
        db_change(&w.cx, &changed, "delete from things where name = $1", ARGS(db_str(STR("none")))),
        ERR_OK);
    CHECK_INT(changed, 0);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_one(&w.cx, thing_fields, &got, "select * from things", NO_ARGS), ERR_OK);
    CHECK(!got.has_amount && got.amount == 0);
    CHECK_INT(db_int_of(&w.cx, &n, "select amount from things", NO_ARGS), ERR_OK);
    CHECK_INT(n, 0);
    CHECK_INT(db_int_of(&w.cx, &n, "select amount from things where name = 'x'", NO_ARGS),
              ERR_NOT_FOUND);
    CHECK_INT(db_one(&w.cx, thing_fields, &got, "select * from things where name = 'x'", NO_ARGS),
              ERR_NOT_FOUND);
    work_release(&w);
    db_close(db);
}

/* `rows` rows of one MiB of text each. */
static enum err read_mebibytes(struct ctx *cx, int rows, struct list *ret)
{
    char *text = malloc(1 << 20), sql[200];

    memset(text, 'x', 1 << 20);
    snprintf(sql, sizeof sql,
             "with recursive r(amount) as (select 1 union all select amount + 1 from r"
             " where amount < %d) select amount, cast($1 as text) as name from r",
             rows);
    enum err e = db_all(cx, thing_fields, ret, sql, ARGS(db_str((struct str){text, 1 << 20})));
    free(text);
    return e;
}

static void lists_are_bounded_in_bytes(struct work *w)
{
    struct list l = {NULL, 0};
    struct arena small;
    struct ctx cx = w->cx;
    size_t before = w->arena.used;

    CHECK_INT(read_mebibytes(&cx, 15, &l), ERR_OK);
    CHECK_INT(l.n, 15);
    l.n = 4711;
    CHECK_INT(read_mebibytes(&cx, 17, &l), ERR_TOO_LARGE);
    CHECK(strstr(cx.story.detail, "more than 16 MiB in 1") != NULL);
    CHECK_INT(l.n, 4711);
    CHECK(w->arena.used - before <= 2 * DB_BYTES_MAX + (2u << 20));
    /* An arena that runs over ends the process; a list does not get that far. */
    arena_init(&small, 4u << 20);
    cx.arena = &small;
    CHECK_INT(read_mebibytes(&cx, 3, &l), ERR_OK);
    CHECK_INT(read_mebibytes(&cx, 2, &l), ERR_TOO_LARGE);
    CHECK(strstr(cx.story.detail, "of memory left") != NULL);
    CHECK_INT(
        db_one(&cx, thing_fields, &(struct thing){0}, "select name from things limit 1", NO_ARGS),
        ERR_OK);
    arena_release(&small);
}

static void many_rows(void)
{
    struct work w;
    struct db *db = fresh(&w);
    struct list l = {NULL, 0};
    char name[32];

    CHECK_INT(db_all(&w.cx, thing_fields, &l, "select * from things", NO_ARGS), ERR_OK);
    CHECK_INT(l.n, 0);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "n%03d", i);
        CHECK(add_thing(&w.cx, name) == ERR_OK);
    }
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(
        db_all(&w.cx, thing_fields, &l, "select name, color from things order by name", NO_ARGS),
        ERR_OK);
    CHECK_INT(l.n, 300);
    CHECK_STR(LIST_AT(struct thing, l, 299)->name, "n299");
    CHECK_INT(db_all(&w.cx, thing_fields, &l,
                     "with recursive r(amount) as (select 1 union all select amount + 1 from r"
                     " where amount < 100001) select amount from r",
                     NO_ARGS),
              ERR_TOO_LARGE);
    lists_are_bounded_in_bytes(&w);
    /* More different statements than any cache holds. */
    for (int i = 0; i < 600; i++) {
        int64_t n = 0;
        char sql[64];
        snprintf(sql, sizeof(sql), "select %d + $1", i);
        CHECK(db_int_of(&w.cx, &n, sql, ARGS(db_int(1))) == ERR_OK && n == i + 1);
    }
    work_release(&w);
    db_close(db);
}

static void nesting_and_rollback(void)
{
    struct work w;
    struct db *db = fresh(&w);

    CHECK(!db_in_transaction(&w.cx));
    db_rollback(&w.cx);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK(db_in_transaction(&w.cx));
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK(db_in_transaction(&w.cx));
    CHECK_INT(count_things(&w.cx), 1);
    db_rollback(&w.cx); /* the inner commit was none */
    CHECK(!db_in_transaction(&w.cx));
    CHECK_INT(count_things(&w.cx), 0);

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "b"), ERR_OK);
    db_rollback(&w.cx); /* all levels at once */
    CHECK(!db_in_transaction(&w.cx));
    CHECK_INT(count_things(&w.cx), 0);

    /* A write outside a transaction is our own mistake and does nothing. */
    CHECK_INT(add_thing(&w.cx, "c"), ERR_INTERNAL);
    CHECK_INT(count_things(&w.cx), 0);
    CHECK_INT(db_exec(&w.cx, "select nonsense from nowhere", NO_ARGS), ERR_INTERNAL);
    work_release(&w);
    db_close(db);
}

static void failures_poison(void)
{
    struct work w;
    struct db *db = fresh(&w);
    int64_t n = 0;

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_DUPLICATE);
    CHECK_INT(add_thing(&w.cx, "b"), ERR_INTERNAL); /* as in PostgreSQL: nothing goes any more */
    CHECK_INT(db_int_of(&w.cx, &n, "select 1", NO_ARGS), ERR_INTERNAL);
    CHECK_INT(db_commit(&w.cx), ERR_INTERNAL);
    CHECK(!db_in_transaction(&w.cx));
    CHECK_INT(count_things(&w.cx), 0);

    static const char *const breaks[] = {
        "insert into things (thing_id, name, color) values ($1, 'x', 'blue')",
        "insert into things (thing_id) values ($1)",
        "insert into parts (part_id, thing_id) values (1, $1)",
    };
    for (size_t i = 0; i < COUNT_OF(breaks); i++) {
        CHECK_INT(db_begin(&w.cx), ERR_OK);
        enum err e = db_change(&w.cx, &n, breaks[i], ARGS(db_uuid(ctx_uuid(&w.cx))));
        CHECK_INT(e, ERR_CONSTRAINT);
        db_rollback(&w.cx);
    }
    /* Without a count a failure may show later, but never as a commit that worked. */
    for (size_t i = 0; i < COUNT_OF(breaks); i++) {
        CHECK_INT(db_begin(&w.cx), ERR_OK);
        CHECK_INT(add_thing(&w.cx, "goes with it"), ERR_OK);
        enum err e = db_exec(&w.cx, breaks[i], ARGS(db_uuid(ctx_uuid(&w.cx))));
        if (e == ERR_OK && i == 0)
            e = db_int_of(&w.cx, &n, "select 1", NO_ARGS);
        if (e == ERR_OK)
            e = db_exec(&w.cx, "update things set amount = 1", NO_ARGS);
        if (e == ERR_OK)
            e = db_commit(&w.cx);
        CHECK_INT(e, ERR_CONSTRAINT);
        db_rollback(&w.cx);
        CHECK_INT(count_things(&w.cx), 0);
    }
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_one(&w.cx, thing_fields, &(struct thing){0}, "select name from things", NO_ARGS),
              ERR_NOT_FOUND);
    CHECK_INT(add_thing(&w.cx, "after not found"), ERR_OK); /* finding nothing is no failure */
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(count_things(&w.cx), 1);
    work_release(&w);
    db_close(db);
}

static void savepoints(void)
{
    struct work w;
    struct db *db = fresh(&w);

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_OK);
    CHECK_INT(db_savepoint(&w.cx, "one"), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "b"), ERR_OK);
    CHECK_INT(db_savepoint(&w.cx, "two"), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_DUPLICATE);
    CHECK_INT(add_thing(&w.cx, "c"), ERR_INTERNAL);
    db_savepoint_rollback(&w.cx, "two");
    CHECK_INT(add_thing(&w.cx, "d"), ERR_OK);
    CHECK_INT(db_savepoint_release(&w.cx, "one"), ERR_OK);
    CHECK_INT(db_savepoint(&w.cx, "one"), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "e"), ERR_OK);
    db_savepoint_rollback(&w.cx, "one");
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(count_things(&w.cx), 3);

    /* Other failures are not mended by a savepoint. */
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_savepoint(&w.cx, "one"), ERR_OK);
    CHECK_INT(db_exec(&w.cx, "select nonsense", NO_ARGS), ERR_INTERNAL);
    db_savepoint_rollback(&w.cx, "one");
    CHECK_INT(add_thing(&w.cx, "f"), ERR_INTERNAL);
    db_rollback(&w.cx);

    /* A failure before the savepoint stays a failure. */
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_DUPLICATE);
    CHECK_INT(db_savepoint(&w.cx, "one"), ERR_INTERNAL);
    db_rollback(&w.cx);
    CHECK_INT(count_things(&w.cx), 3);
    work_release(&w);
    db_close(db);
}

/* Each read has its own answer, in its order, and what is not there is told by the count. */
static void several_reads(void)
{
    struct thing first = {0}, none = {.color = 1};
    struct list all = {NULL, 0};
    int64_t number = -1;
    struct db_read reads[] = {
        {.fields = thing_fields,
         .one = &first,
         .sql = "select name, color from things where name = $1",
         .args = ARGS(db_str(STR("b")))},
        {.fields = thing_fields,
         .one = &none,
         .sql = "select name, color from things where name = $1",
         .args = ARGS(db_str(STR("z")))},
        {.fields = thing_fields, .all = &all, .sql = "select name from things order by name desc"},
        {.number = &number, .sql = "select count(*) from things"},
    };
    struct work w;
    struct db *db = fresh(&w);

    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "a") == ERR_OK);
    CHECK_INT(db_exec(&w.cx, "insert into things (thing_id, name) values ($1, 'b')",
                      ARGS(db_uuid(ctx_uuid(&w.cx)))),
              ERR_OK);
    CHECK_INT(db_read(&w.cx, reads, COUNT_OF(reads)), ERR_OK); /* what it wrote itself, too */
    CHECK_STR(first.name, "b");
    CHECK(reads[0].rows == 1 && reads[1].rows == 0 && none.color == 1 && none.name.p == NULL);
    CHECK(reads[2].rows == 2 && all.n == 2 && number == 2);
    CHECK_STR(LIST_AT(struct thing, all, 0)->name, "b");
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_read(&w.cx, reads, COUNT_OF(reads)), ERR_OK); /* and outside a transaction */
    CHECK(all.n == 2 && number == 2);

    /* One that fails is the failure of all; nothing is half there. */
    all = (struct list){NULL, 0};
    reads[3].sql = "select nonsense from things";
    CHECK_INT(db_read(&w.cx, reads, COUNT_OF(reads)), ERR_INTERNAL);
    CHECK(all.n == 0);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_read(&w.cx, reads, COUNT_OF(reads)), ERR_INTERNAL);
    CHECK_INT(add_thing(&w.cx, "c"), ERR_INTERNAL);
    db_rollback(&w.cx);
    reads[3].sql = "delete from things";
    CHECK_INT(db_read(&w.cx, reads, COUNT_OF(reads)), ERR_INTERNAL); /* reads only */
    CHECK_INT(count_things(&w.cx), 2);
    work_release(&w);
    db_close(db);
}

static enum err expect_amount(struct ctx *cx, int64_t rows, const char *name)
{
    return db_expect(cx, rows, "update things set amount = 7 where name = $1",
                     ARGS(db_str(str_from(name))));
}

/* Whether it is told at once or later, a transaction that met something else does not commit. */
static void expectations(void)
{
    struct work w;
    struct db *db = fresh(&w);
    int64_t n = 0;

    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "a") == ERR_OK);
    CHECK_INT(expect_amount(&w.cx, 1, "a"), ERR_OK);
    CHECK_INT(expect_amount(&w.cx, 0, "z"), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_int_of(&w.cx, &n, "select amount from things", NO_ARGS), ERR_OK);
    CHECK_INT(n, 7);
    for (int asks = 0; asks < 2; asks++) {
        CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "b") == ERR_OK);
        enum err e = expect_amount(&w.cx, 1, "z");
        if (e == ERR_OK && asks)
            e = db_int_of(&w.cx, &n, "select 1", NO_ARGS);
        if (e == ERR_OK)
            e = db_commit(&w.cx);
        CHECK_INT(e, ERR_CONFLICT);
        db_rollback(&w.cx);
        CHECK_INT(count_things(&w.cx), 1);
    }
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    enum err e = expect_amount(&w.cx, 1, "z");
    if (e == ERR_OK) /* what comes after it may fail because of it */
        e = add_thing(&w.cx, "a");
    if (e == ERR_OK)
        e = db_commit(&w.cx);
    CHECK_INT(e, ERR_CONFLICT);
    db_rollback(&w.cx);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_savepoint(&w.cx, "one"), ERR_OK);
    CHECK_INT(expect_amount(&w.cx, 2, "a"), ERR_CONFLICT); /* in a savepoint at once */
    db_rollback(&w.cx);
    work_release(&w);
    db_close(db);
}

static void once(void)
{
    struct work w;
    struct db *db = fresh(&w);
    struct uuid id = ctx_uuid(&w.cx);
    int64_t n = -1;

    for (int i = 0; i < 2; i++) {
        CHECK_INT(db_once(&w.cx, &n,
                          "insert into things (thing_id, name) values ($1, 'a')"
                          " on conflict (name) do nothing",
                          ARGS(db_uuid(id))),
                  ERR_OK);
        CHECK_INT(n, i == 0);
        CHECK(!db_in_transaction(&w.cx));
    }
    CHECK_INT(db_durable(&w.cx), ERR_OK);
    CHECK_INT(count_things(&w.cx), 1);
    CHECK_INT(db_once(&w.cx, &n, "insert into things (thing_id, name) values ($1, 'a')",
                      ARGS(db_uuid(ctx_uuid(&w.cx)))),
              ERR_DUPLICATE);
    db_rollback(&w.cx);
    CHECK_INT(db_once(&w.cx, &n, "delete from things", NO_ARGS), ERR_OK);
    CHECK_INT(n, 1);
    CHECK_INT(db_durable(&w.cx), ERR_OK);
    CHECK_INT(count_things(&w.cx), 0);
    work_release(&w);
    db_close(db);
}

/* What only spares others work is there like all else once it is durable, and goes with a rollback.
 */
static void soon(void)
{
    struct work w;
    struct db *db = fresh(&w);
    int64_t n = 0;

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    db_soon(&w.cx);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "b"), ERR_OK);
    CHECK_INT(count_things(&w.cx), 2); /* with an answer before the commit */
    db_soon(&w.cx);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    db_soon(&w.cx);
    CHECK_INT(db_commit(&w.cx), ERR_OK); /* nothing at all */
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "c"), ERR_OK);
    db_soon(&w.cx);
    db_rollback(&w.cx);
    CHECK_INT(db_once_soon(&w.cx, &n, "insert into things (thing_id, name) values ($1, 'd')",
                           ARGS(db_uuid(ctx_uuid(&w.cx)))),
              ERR_OK);
    CHECK_INT(n, 1);
    CHECK_INT(db_once_soon(&w.cx, &n, "insert into things (thing_id, name) values ($1, 'd')",
                           ARGS(db_uuid(ctx_uuid(&w.cx)))),
              ERR_DUPLICATE);
    db_rollback(&w.cx);
    CHECK_INT(db_durable(&w.cx), ERR_OK);
    CHECK_INT(count_things(&w.cx), 3);
    work_release(&w);
    db_close(db);
}

static void no_dirty_reads(void)
{
    struct work w, other;
    struct db *db = fresh(&w);
    work_init(&other, db);

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_OK);
    CHECK_INT(count_things(&w.cx), 1);
    CHECK_INT(count_things(&other.cx), 0);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(count_things(&w.cx), 1); /* reads its own writes, hence after the group */
    CHECK_INT(count_things(&other.cx), 1);
    work_release(&other);
    work_release(&w);
    db_close(db);
}

static void deadlines(void)
{
    struct work w, late;
    struct db *db = fresh(&w);
    int64_t n = 0;
    work_init(&late, db);

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    late.cx.deadline_us = clock_monotonic_us() + 50 * US_PER_MS;
    /* Writers take turns (SQLite), or a deadline is missed later (PostgreSQL): never an endless
     * wait. */
    enum err e = db_begin(&late.cx);
    CHECK(e == ERR_BUSY || e == ERR_OK);
    db_rollback(&late.cx);
    db_rollback(&w.cx);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(add_thing(&w.cx, "a"), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);

    late.cx.deadline_us = clock_monotonic_us() + 50 * US_PER_MS;
    CHECK_INT(db_int_of(&late.cx, &n,
                        "with recursive r(x) as (select 1 union all select x + 1 from r"
                        " where x < 2000000000) select count(*) from r",
                        NO_ARGS),
              ERR_DEADLINE);
    work_release(&late);
    work_release(&w);
    db_close(db);
}

/* Runs `body` in its own transaction until it is no longer in conflict. */
static enum err in_transaction(struct ctx *cx, enum err (*body)(struct ctx *cx, int i), int i)
{
    for (;;) {
        enum err e = db_begin(cx);
        if (e == ERR_OK)
            e = body(cx, i);
        if (e == ERR_OK)
            e = db_commit(cx);
        if (e == ERR_OK)
            return ERR_OK;
        db_rollback(cx);
        if (e != ERR_CONFLICT)
            return e;
    }
}

/* Read, think, write: loses updates wherever isolation is too weak. */
static enum err increment(struct ctx *cx, int i)
{
    int64_t n = 0;
    (void)i;
    TRY(db_int_of(cx, &n, "select value from counters where name = 'n'", NO_ARGS));
    return db_exec(cx, "update counters set value = $1 where name = 'n'", ARGS(db_int(n + 1)));
}

static enum err make_counters(struct ctx *cx, int i)
{
    (void)i;
    return db_exec(cx, "insert into counters (name, value) values ('n', 0), ('x', 1), ('y', 1)",
                   NO_ARGS);
}

/* On call: one of two may leave only while the other stays. What decides is held by writing it. */
static enum err leave(struct ctx *cx, int i)
{
    int64_t n = 0;
    TRY(db_exec(cx, "update counters set value = value where name in ('x', 'y')", NO_ARGS));
    TRY(db_int_of(cx, &n, "select sum(value) from counters where name in ('x', 'y')", NO_ARGS));
    if (n < 2)
        return ERR_OK;
    return db_exec(cx, "update counters set value = 0 where name = $1",
                   ARGS(db_str(i % 2 ? STR("x") : STR("y"))));
}

struct crew {
    struct db *db;
    enum err (*body)(struct ctx *cx, int i);
    int number, rounds;
    atomic_int *failures;
};

static void *crew_main(void *arg)
{
    const struct crew *c = arg;
    struct work w;
    work_init(&w, c->db);
    for (int i = 0; i < c->rounds; i++) {
        if (in_transaction(&w.cx, c->body, c->number) != ERR_OK || db_durable(&w.cx) != ERR_OK)
            atomic_fetch_add(c->failures, 1);
        arena_reset(&w.arena);
    }
    work_release(&w);
    return NULL;
}

#define CREW 16
static int run_crew(struct db *db, enum err (*body)(struct ctx *cx, int i), int rounds)
{
    pthread_t threads[CREW];
    struct crew crews[CREW];
    atomic_int failures = 0;
    for (int i = 0; i < CREW; i++) {
        crews[i] = (struct crew){db, body, i, rounds, &failures};
        if (pthread_create(&threads[i], NULL, crew_main, &crews[i]) != 0)
            abort();
    }
    for (int i = 0; i < CREW; i++)
        pthread_join(threads[i], NULL);
    return failures;
}

static void isolation_under_threads(void)
{
    struct work w;
    struct db *db = fresh(&w);
    int64_t n = 0;

    CHECK_INT(in_transaction(&w.cx, make_counters, 0), ERR_OK);
    CHECK_INT(run_crew(db, increment, 100), 0);
    CHECK_INT(db_int_of(&w.cx, &n, "select value from counters where name = 'n'", NO_ARGS), ERR_OK);
    CHECK_INT(n, CREW * 100);
    CHECK_INT(run_crew(db, leave, 5), 0);
    CHECK_INT(
        db_int_of(&w.cx, &n, "select sum(value) from counters where name in ('x', 'y')", NO_ARGS),
        ERR_OK);
    CHECK_INT(n, 1);
    struct db_stats stats = db_stats(db);
    CHECK(stats.commits >= CREW * 105);
    CHECK(stats.groups > 0 && stats.groups <= stats.commits);
    work_release(&w);
    db_close(db);
    /* Durable: another opening finds the same. */
    char name[32];
    snprintf(name, sizeof(name), "t%d", database_number - 1);
    db = open_db(name);
    work_init(&w, db);
    CHECK_INT(db_int_of(&w.cx, &n, "select value from counters where name = 'n'", NO_ARGS), ERR_OK);
    CHECK_INT(n, CREW * 100);
    work_release(&w);
    db_close(db);
}

struct parked {
    struct db_waiter waiter;
    atomic_int calls;
    atomic_int result;
};

static void parked_done(struct db_waiter *w, enum err e)
{
    struct parked *p = (struct parked *)w;
    atomic_store(&p->result, (int)e);
    atomic_fetch_add(&p->calls, 1);
}

static void wait_for(atomic_int *calls, int least)
{
    for (int i = 0; i < 5000 && atomic_load(calls) < least; i++)
        usleep(1000);
}

/* What the committing thread was told; the test's own thread asserts on it. */
struct wakes {
    atomic_int all;
    atomic_int wrong; /* rang for neither work of now nor the earliest moment of the transaction */
};

static void count_wakes(void *arg, const struct db_rings *rings)
{
    struct wakes *wakes = arg;
    if (!rings->now && rings->at_us != 7)
        atomic_fetch_add(&wakes->wrong, 1);
    atomic_fetch_add(&wakes->all, 1);
}

static void parking(void)
{
    struct work w;
    struct db *db = fresh(&w);
    struct parked parked[50];
    struct wakes wakes = {0};
    char name[16];
    int waiting = 0, called = 0;

    CHECK(!db_park(&(struct ctx){.db = db}, &(struct db_waiter){.done = parked_done}));
    db_on_commit(db, count_wakes, &wakes);
    /* What nobody waits for becomes durable all the same, and soon. */
    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "alone") == ERR_OK);
    db_ring_at(&w.cx, 9);
    db_ring_at(&w.cx, 7);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    wait_for(&wakes.all, 1);
    CHECK(wakes.all >= 1);
    atomic_store(&wakes.all, 0);
    memset(parked, 0, sizeof(parked));
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        parked[i].waiter.done = parked_done;
        CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, name) == ERR_OK);
        if (i == 49)
            db_ring(&w.cx);
        CHECK_INT(db_commit(&w.cx), ERR_OK);
        bool waits = db_park(&w.cx, &parked[i].waiter);
        waiting += waits;
        if (!waits)
            atomic_store(&parked[i].calls, -1);
    }
    CHECK_INT(db_durable(&w.cx), ERR_OK);
    for (int i = 0; i < 50; i++) {
        if (atomic_load(&parked[i].calls) < 0)
            continue;
        wait_for(&parked[i].calls, 1);
        called += atomic_load(&parked[i].calls);
        CHECK_INT(parked[i].result, ERR_OK);
    }
    CHECK_INT(called, waiting);
    wait_for(&wakes.all, 1);
    CHECK_INT(wakes.all, 1); /* only for work that rang */
    /* Closing commits what is pending and answers it. */
    struct parked last = {.waiter.done = parked_done};
    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "last") == ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    bool waits = db_park(&w.cx, &last.waiter);
    arena_release(&w.arena);
    db_close(db);
    CHECK_INT(last.calls, waits ? 1 : 0);
    CHECK_INT(last.result, ERR_OK);
    CHECK_INT(wakes.wrong, 0);
}

#ifdef JUMUN_FAULTS
static bool fail_named(void *arg, const char *name)
{
    return strcmp(name, arg) == 0;
}

static void lost_groups(void)
{
    static char before[] = "db.commit.before", begin[] = "db.begin";
    struct work w;
    struct db *db = fresh(&w);
    struct parked p = {.waiter.done = parked_done};

    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "kept") == ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_durable(&w.cx), ERR_OK);

    fault_hook_set(fail_named, before);
    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "lost") == ERR_OK);
    enum err e = db_commit(&w.cx);
    if (e == ERR_OK) {
        CHECK(db_park(&w.cx, &p.waiter));
        wait_for(&p.calls, 1);
        CHECK_INT(p.calls, 1);
        CHECK_INT(p.result, ERR_UNAVAILABLE);
        CHECK_INT(db_durable(&w.cx), ERR_UNAVAILABLE); /* still, when asked later */
        CHECK_INT(db_begin(&w.cx), ERR_UNAVAILABLE);   /* nothing is built on what is gone */
    } else {
        CHECK_INT(e, ERR_UNAVAILABLE);
    }
    fault_hook_set(NULL, NULL);
    arena_release(&w.arena);

    work_init(&w, db);
    CHECK_INT(count_things(&w.cx), 1);
    fault_hook_set(fail_named, begin);
    CHECK_INT(db_begin(&w.cx), ERR_UNAVAILABLE);
    fault_hook_set(NULL, NULL);
    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "lost") == ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(count_things(&w.cx), 2);
    work_release(&w);
    db_close(db);
}
#endif

struct filler {
    struct db *db;
    enum err result;
    atomic_bool ready;
};

/* Joins the group of whoever holds the turn, then finds the disk full. */
static void *fill_up(void *arg)
{
    struct filler *f = arg;
    struct work w;
    work_init(&w, f->db);
    char *body = arena_zalloc(&w.arena, 1u << 20);
    memset(body, 'x', 1u << 20);
    atomic_store(&f->ready, true);
    f->result = db_begin(&w.cx);
    for (int i = 0; i < 100 && f->result == ERR_OK; i++)
        f->result = db_exec(
            &w.cx, "insert into things (thing_id, name) values ($1, $2)",
            ARGS(db_uuid(ctx_uuid(&w.cx)), db_str((struct str){body, (1u << 20) - (size_t)i})));
    work_release(&w);
    return NULL;
}

/* A full disk may cost a whole group, but never silently, and the next group works again. */
static void full_disk(void)
{
    struct work w;
    struct db *db = fresh(&w);
    if (strcmp(db_engine(db), "sqlite") == 0) {
        struct filler f = {.db = db};
        struct parked p = {.waiter.done = parked_done};
        pthread_t thread;
        CHECK_INT(db_begin(&w.cx), ERR_OK);
        CHECK_INT(db_exec(&w.cx, "pragma max_page_count = 2000", NO_ARGS), ERR_OK);
        CHECK_INT(add_thing(&w.cx, "first of the group"), ERR_OK);
        CHECK_INT(pthread_create(&thread, NULL, fill_up, &f), 0);
        while (!atomic_load(&f.ready))
            usleep(1000);
        usleep(20000);
        CHECK_INT(db_commit(&w.cx), ERR_OK);
        bool waits = db_park(&w.cx, &p.waiter);
        pthread_join(thread, NULL);
        CHECK_INT(f.result, ERR_UNAVAILABLE);
        wait_for(&p.calls, waits ? 1 : 0);
        CHECK_INT(p.calls, waits ? 1 : 0);
        bool lost = p.result != ERR_OK;
        arena_release(&w.arena);
        work_init(&w, db);
        CHECK_INT(count_things(&w.cx), lost ? 0 : 1);
        CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "afterwards") == ERR_OK);
        CHECK_INT(db_commit(&w.cx), ERR_OK);
        CHECK_INT(count_things(&w.cx), lost ? 1 : 2);
    }
    work_release(&w);
    db_close(db);
}

static void backup(void)
{
    struct work w, v;
    struct db *db = fresh(&w);
    char path[128];

    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "a") == ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    if (strcmp(db_engine(db), "sqlite") == 0) {
        snprintf(path, sizeof(path), "%s/copy.db", dir);
        CHECK_INT(db_backup(&w.cx, path), ERR_OK);
        CHECK_INT(db_backup(&w.cx, "/nonexistent/dir/x.db"), ERR_UNAVAILABLE);
        struct db *copy = open_db("copy");
        work_init(&v, copy);
        CHECK_INT(count_things(&v.cx), 1);
        work_release(&v);
        db_close(copy);
    }
    work_release(&w);
    db_close(db);
}

/* The child: writes until it is killed, and says each number only once it is durable. */
static int child(const char *child_url, const char *name)
{
    struct work w;
    url = child_url;
    struct db *db = open_db(name);
    work_init(&w, db);
    for (int i = 0;; i++) {
        if (db_begin(&w.cx) != ERR_OK ||
            db_exec(&w.cx, "insert into counters (name, value) values ($1, $2)",
                    ARGS(db_str(arena_printf(&w.arena, "c%d-%d", getpid(), i)), db_int(i))) !=
                ERR_OK ||
            db_commit(&w.cx) != ERR_OK || db_durable(&w.cx) != ERR_OK)
            return 1;
        if (write(STDOUT_FILENO, ".", 1) != 1)
            return 1;
        arena_reset(&w.arena);
    }
}

static void kill_and_reopen(void)
{
    struct work w;
    int64_t n = 0, acknowledged = 0;
    char name[32];
    db_close(fresh(&w));
    arena_release(&w.arena);
    snprintf(name, sizeof(name), "t%d", database_number - 1);

    for (int round = 0; round < 5; round++) {
        int pipes[2];
        pid_t pid = 0;
        char self[] = "/proc/self/exe", flag[] = "--child", url_copy[128];
        posix_spawn_file_actions_t actions;
        snprintf(url_copy, sizeof(url_copy), "%s", url);
        char *argv[] = {self, flag, url_copy, name, NULL};
        if (pipe(pipes) != 0)
            abort();
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
        CHECK_INT(posix_spawn(&pid, self, &actions, NULL, argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        close(pipes[1]);
        char c = 0;
        for (int i = 0; i < 20 * (round + 1) && read(pipes[0], &c, 1) == 1; i++)
            acknowledged++;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(pipes[0], &c, 1) == 1)
            acknowledged++;
        close(pipes[0]);

        struct db *db = open_db(name);
        work_init(&w, db);
        CHECK_INT(db_int_of(&w.cx, &n, "select count(*) from counters", NO_ARGS), ERR_OK);
        /* All that was acknowledged, and at most one per round more. */
        CHECK(n >= acknowledged && n <= acknowledged + round + 1);
        work_release(&w);
        db_close(db);
    }
    CHECK(acknowledged >= 300);
}

static void synchronous_commits(void)
{
    struct work w;
    options.group_commit = false;
    struct db *db = fresh(&w);
    struct parked p = {.waiter.done = parked_done};
    CHECK(db_begin(&w.cx) == ERR_OK && add_thing(&w.cx, "a") == ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK(!db_park(&w.cx, &p.waiter));
    CHECK_INT(count_things(&w.cx), 1);
    work_release(&w);
    db_close(db);
    RUN(nesting_and_rollback);
    RUN(failures_poison);
    RUN(savepoints);
    RUN(isolation_under_threads);
#ifdef JUMUN_FAULTS
    RUN(lost_groups);
#endif
    options.group_commit = true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        return child(argv[2], argv[3]);
    static char sqlite_url[80];
    snprintf(dir, sizeof(dir), "/tmp/jumun-db-test-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    snprintf(sqlite_url, sizeof(sqlite_url), "sqlite:%s", dir);
    urls[0] = sqlite_url;
    urls[1] = getenv("TEST_POSTGRES");
    if (!urls[1])
        printf("# no TEST_POSTGRES: the PostgreSQL driver is not tested here\n");
    for (size_t i = 0; urls[i]; i++) {
        url = urls[i];
        RUN(open_refuses);
        RUN(values_round_trip);
        RUN(many_rows);
        RUN(nesting_and_rollback);
        RUN(failures_poison);
        RUN(savepoints);
        RUN(several_reads);
        RUN(expectations);
        RUN(once);
        RUN(soon);
        RUN(no_dirty_reads);
        RUN(deadlines);
        RUN(isolation_under_threads);
        RUN(parking);
#ifdef JUMUN_FAULTS
        RUN(lost_groups);
#endif
        RUN(full_disk);
        RUN(backup);
        RUN(kill_and_reopen);
        RUN(synchronous_commits);
    }
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return test_end();
}
