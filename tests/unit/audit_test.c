/* audit_test.c -- an audit of more rows than one query may bring finds each that does not agree. */
#include "test.h"

#include <ftw.h>
#include <unistd.h>

#include "service/audit.h"

#define ORDERS "120000" /* more than DB_ROWS_MAX */

static struct {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
    struct db *order, *payment;
    char dir[64];
} w;

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static struct db *database(void *arg, const char *service)
{
    (void)arg;
    return strcmp(service, "order") == 0     ? w.order
           : strcmp(service, "payment") == 0 ? w.payment
                                             : NULL;
}

/* Sixteen digits are a key. */
#define KEY(n) "cast(printf('%016d', " n ") as blob)"

static void run(struct db *db, const char *sql)
{
    w.cx.db = db;
    if (db_begin(&w.cx) != ERR_OK || db_exec(&w.cx, sql, NO_ARGS) != ERR_OK ||
        db_commit(&w.cx) != ERR_OK || db_durable(&w.cx) != ERR_OK) {
        printf("Bail out! %s\n", w.cx.story.detail);
        exit(1);
    }
    w.cx.db = NULL;
}

static struct db *open_with_orders(const char *name)
{
    const struct db_options options = {.readers_max = 1, .clock = &clock_system};
    char url[96];
    struct db *db = NULL;

    snprintf(url, sizeof url, "sqlite:%s", w.dir);
    if (db_open(&w.cx, url, name, &options, &db) != ERR_OK) {
        printf("Bail out! %s\n", w.cx.story.detail);
        exit(1);
    }
    run(db, "create table t (order_id blob primary key, won bigint not null)");
    run(db, "insert into t with recursive c (n) as (values (1) union all select n + 1 from c"
            " where n < " ORDERS ") select " KEY("n") ", 18000 from c");
    return db;
}

/* clang-format off */
static const struct audit_row rows[] = {
    {"I-1", "nothing is dear", {"order", "select order_id as key, won as value from t where won > 18000"}, {NULL, NULL}, false, false},
    {"I-2", "both agree", {"order", "select order_id as key, won as value from t order by order_id"},
     {"payment", "select order_id as key, sum(won) as value from t group by order_id order by order_id"}, false, false},
    {"I-3", "payment may lack some", {"order", "select order_id as key, won as value from t order by order_id"},
     {"payment", "select order_id as key, won as value from t order by order_id"}, false, true},
    {"I-4", "a service that is not here", {"order", "select order_id as key, won as value from t"}, {"store", "select 1"}, false, false},
    {NULL, NULL, {NULL, NULL}, {NULL, NULL}, false, false},
};
/* clang-format on */

static struct list audit(void)
{
    struct list findings = {NULL, 0};
    size_t checked = 0;

    CHECK_INT(audit_run(&w.cx, rows, database, NULL, &findings, &checked), ERR_OK);
    CHECK_INT(checked, 3);
    return findings;
}

/* "I-2 0000000000060000" */
static const char *text(struct list findings, size_t i)
{
    const struct audit_finding *f = LIST_AT(struct audit_finding, findings, i);

    return arena_printf(&w.arena, "%s %.16s", f->row->invariant, (const char *)f->key.b).p;
}

static void what_agrees_is_not_found(void)
{
    CHECK_INT(audit().n, 0);
}

static void what_lies_behind_the_first_pages_is_found(void)
{
    run(w.payment, "update t set won = 17000 where order_id = " KEY("110000"));
    run(w.payment, "delete from t where order_id = " KEY("120000"));
    run(w.order, "delete from t where order_id = " KEY("60000"));
    struct list findings = audit();
    CHECK_INT(findings.n, 5);
    CHECK_STR(str_from(text(findings, 0)), "I-2 0000000000060000");
    CHECK_STR(str_from(text(findings, 1)), "I-2 0000000000110000");
    CHECK_STR(str_from(text(findings, 2)), "I-2 0000000000120000");
    CHECK_STR(str_from(text(findings, 3)), "I-3 0000000000060000");
    CHECK_STR(str_from(text(findings, 4)), "I-3 0000000000110000");
}

static void what_is_wrong_everywhere_hides_nothing_else(void)
{
    run(w.order, "update t set won = 19000");
    struct list findings = audit();
    CHECK_INT(findings.n, 3 * AUDIT_FINDINGS_MAX);
    CHECK_STR(str_from(text(findings, 0)), "I-1 0000000000000001");
    CHECK_STR(str_from(text(findings, AUDIT_FINDINGS_MAX)), "I-2 0000000000000001");
    CHECK_STR(str_from(text(findings, 3 * AUDIT_FINDINGS_MAX - 1)), "I-3 0000000000000100");
}

int main(void)
{
    snprintf(w.dir, sizeof w.dir, "/tmp/jumun-test-XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    arena_init(&w.arena, 64u << 20);
    rng_seed(&w.rng, 1);
    w.cx = (struct ctx){.arena = &w.arena, .clock = &clock_system, .rng = &w.rng};
    w.order = open_with_orders("order");
    w.payment = open_with_orders("payment");
    RUN(what_agrees_is_not_found);
    RUN(what_lies_behind_the_first_pages_is_found);
    RUN(what_is_wrong_everywhere_hides_nothing_else);
    db_close(w.order);
    db_close(w.payment);
    arena_release(&w.arena);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    return test_end();
}
