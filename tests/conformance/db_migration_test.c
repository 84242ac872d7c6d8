/* db_migration_test.c -- migrations on a server in use: once, without holding up who works there.
 */
#include "db_work.h"

#include "flow/migrate.h"

static const struct migration steps[] = {
    {"one", "create table once (id bigint primary key); insert into once (id) values (1)"},
    {"two", "create table twice (id bigint primary key); insert into once (id) values (2)"},
    {"three", MIGRATION_ONLINE "once\ncreate unique index if not exists once_id on once (id)"},
    {NULL, NULL},
};

static int64_t valid_indexes(struct work *w, const char *name)
{
    int64_t n = -1;
    CHECK_INT(db_int_of(&w->cx, &n,
                        "select count(*) from pg_index i join pg_class c on c.oid = i.indexrelid"
                        " where i.indisvalid and c.relname = $1",
                        ARGS(db_str(str_from(name)))),
              ERR_OK);
    return n;
}

static void *starter(void *arg)
{
    struct work w;
    struct db *db = open_db("replicas");
    work_init(&w, db);
    *(enum err *)arg = migrate(&w.cx, steps, false, NULL);
    if (*(enum err *)arg != ERR_OK)
        printf("# migrate: %s\n", w.cx.story.detail);
    work_release(&w);
    db_close(db);
    return NULL;
}

static void ten_start_together(void)
{
    pthread_t threads[10];
    enum err results[10];
    struct work w;
    int64_t n = 0;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        CHECK_INT(pthread_create(&threads[i], NULL, starter, &results[i]), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(results[i], ERR_OK);
    }
    struct db *db = open_db("replicas");
    work_init(&w, db);
    CHECK_INT(db_int_of(&w.cx, &n, "select count(*) from once", NO_ARGS), ERR_OK);
    CHECK_INT(n, 2);
    CHECK_INT(valid_indexes(&w, "once_id"), 1);
    CHECK_INT(db_int_of(&w.cx, &n, "select count(*) from migrations where name = 'three'", NO_ARGS),
              ERR_OK);
    CHECK_INT(n, 1);
    work_release(&w);
    db_close(db);
}

#define ONLINE_SQL "create unique index if not exists grown_n on grown (n)"

static void *online_main(void *arg)
{
    struct work w;

    work_init(&w, arg);
    enum err e = db_online(&w.cx, ONLINE_SQL);
    work_release(&w);
    return e == ERR_OK ? NULL : arg;
}

static enum err grow(struct work *w, int64_t n)
{
    TRY(db_begin(&w->cx));
    TRY(db_exec(&w->cx, "insert into grown (n) values ($1)", ARGS(db_int(n))));
    return db_commit(&w->cx);
}

/* An index is built while others write, also while somebody who wrote has not ended; what an
 * earlier try has left is taken away first. */
static void index_beside_writers(void)
{
    struct db *db = open_db("grown");
    struct work holder, other;
    pthread_t thread;
    void *failed = NULL;

    work_init(&holder, db);
    work_init(&other, db);
    CHECK_INT(script(&holder.cx, "create table grown (n bigint not null)"), ERR_OK);
    CHECK_INT(grow(&other, 1), ERR_OK);
    CHECK_INT(grow(&other, 1), ERR_OK);
    CHECK_INT(db_online(&other.cx, ONLINE_SQL), ERR_DUPLICATE);
    CHECK_INT(valid_indexes(&other, "grown_n"), 0);
    CHECK_INT(script(&other.cx, "delete from grown"), ERR_OK);
    CHECK_INT(db_online(&other.cx, "drop table grown"), ERR_INVALID);

    CHECK_INT(db_begin(&holder.cx), ERR_OK);
    CHECK_INT(db_change(&holder.cx, &(int64_t){0}, "insert into grown (n) values (7)", NO_ARGS),
              ERR_OK);
    CHECK_INT(pthread_create(&thread, NULL, online_main, db), 0);
    usleep(300000);
    CHECK_INT(valid_indexes(&other, "grown_n"), 0); /* it waits for the holder */
    other.cx.deadline_us = clock_monotonic_us() + US_PER_S;
    CHECK_INT(grow(&other, 8), ERR_OK); /* and nobody for it */
    other.cx.deadline_us = 0;
    CHECK_INT(db_commit(&holder.cx), ERR_OK);
    pthread_join(thread, &failed);
    CHECK(!failed);
    CHECK_INT(valid_indexes(&other, "grown_n"), 1);
    work_release(&other);
    work_release(&holder);
    db_close(db);
}

static const struct migration longer[] = {
    {"one", "create table busy (n bigint not null)"},
    {"two", "alter table busy add column m bigint"},
    {NULL, NULL},
};

static void *migrate_main(void *arg)
{
    struct work w;

    work_init(&w, arg);
    enum err e = migrate(&w.cx, longer, false, NULL);
    if (e != ERR_OK)
        printf("# migrate: %s\n", w.cx.story.detail);
    work_release(&w);
    return e == ERR_OK ? NULL : arg;
}

/* Somebody is busy with a table for longer: the migration stands back, so that nobody waits long
 * behind it. */
static void migration_stands_back(void)
{
    const struct migration first[] = {longer[0], {NULL, NULL}};
    struct db *db = open_db("busy");
    struct work holder, other;
    pthread_t thread;
    void *failed = NULL;
    int64_t n, slowest_us = 0;

    work_init(&holder, db);
    work_init(&other, db);
    CHECK_INT(migrate(&other.cx, first, false, NULL), ERR_OK);
    CHECK_INT(db_begin(&holder.cx), ERR_OK);
    CHECK_INT(db_int_of(&holder.cx, &n, "select count(*) from busy", NO_ARGS), ERR_OK);
    CHECK_INT(pthread_create(&thread, NULL, migrate_main, db), 0);
    for (int64_t end_us = clock_monotonic_us() + 4 * US_PER_S; clock_monotonic_us() < end_us;) {
        int64_t began_us = clock_monotonic_us();
        CHECK_INT(db_int_of(&other.cx, &n, "select count(*) from busy", NO_ARGS), ERR_OK);
        int64_t took_us = clock_monotonic_us() - began_us;
        slowest_us = took_us > slowest_us ? took_us : slowest_us;
        usleep(10000);
    }
    CHECK_INT(db_commit(&holder.cx), ERR_OK);
    pthread_join(thread, &failed);
    CHECK(!failed);
    CHECK_INT(db_int_of(&other.cx, &n, "select count(m) from busy", NO_ARGS), ERR_OK);
    printf("# behind a migration that waits: at most %lld ms\n", (long long)slowest_us / 1000);
    CHECK(slowest_us > 300 * US_PER_MS && slowest_us < 2 * US_PER_S);
    work_release(&other);
    work_release(&holder);
    db_close(db);
}

int main(void)
{
    if (!server_named())
        return 0;
    RUN(ten_start_together);
    RUN(index_beside_writers);
    RUN(migration_stands_back);
    return test_end();
}
