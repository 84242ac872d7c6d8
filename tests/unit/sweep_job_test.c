/* sweep_job_test.c -- the job of a running platform: what each service sweeps, when it waits, and
 * which settings are refused. */
#include "test.h"

#include <ftw.h>
#include <unistd.h>

#include "flow/outbox.h"
#include "flow/sweep.h"
#include "obs/metrics.h"
#include "service/platform.h"
#include "service/sweep.h"

struct note {
    int64_t n;
};
static const struct field note_fields[] = {
    F_INT(struct note, n, "n", REQUIRED, 0, INT64_MAX, "number"),
    F_END(struct note),
};

static enum err noted(struct ctx *cx, const struct event *e, const void *data)
{
    (void)e, (void)data;
    return db_exec(cx, "insert into effects (n) values (1)", NO_ARGS);
}
static const struct consumer consumers[] = {
    {"maker.changed", noted, note_fields, "counts"},
    {0},
};

static const struct route no_routes[] = {{0}};
static const struct migration maker_scripts[] = {
    {"0001_marks", "create table marks (n bigint primary key, at bigint not null)"},
    {NULL, NULL},
};
static const struct migration reader_scripts[] = {
    {"0001_effects", "create table effects (n bigint not null)"},
    {NULL, NULL},
};
static const struct sweep maker_sweeps[] = {
    {"marks", "marks", "n", "select n from marks where at < $1", US_PER_DAY, "old marks"},
    {0},
};
static const char *const maker_snapshots[] = {"maker.changed", NULL};
static const char *const reader_topics[] = {"maker", NULL};
static const struct service maker = {.name = "maker",
                                     .routes = no_routes,
                                     .migrations = maker_scripts,
                                     .sweeps = maker_sweeps,
                                     .snapshots = maker_snapshots};
static const struct service reader = {.name = "reader",
                                      .routes = no_routes,
                                      .topics = reader_topics,
                                      .consumers = consumers,
                                      .migrations = reader_scripts};
static const struct service *const services[] = {&maker, &reader, NULL};
enum { MAKER, READER };

static struct {
    struct arena arena;
    struct clock clock;
    struct rng rng;
    struct ctx cx;
    struct platform *p;
    char dir[64];
} w;

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static enum err start(struct platform_keep keep)
{
    memset(&w, 0, sizeof w);
    w.clock = (struct clock){true, INT64_C(1796000000000000)};
    arena_init(&w.arena, 64u << 20);
    rng_seed(&w.rng, 9);
    w.cx = (struct ctx){.arena = &w.arena, .clock = &w.clock, .rng = &w.rng};
    snprintf(w.dir, sizeof w.dir, "/tmp/sweep_job_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(w.dir),
                                             .clock = &w.clock,
                                             .seed = 7,
                                             .issuer = STR("http://test"),
                                             .keep = keep};
    return platform_start(&w.cx, &options, &w.p);
}

static void end(void)
{
    if (w.p)
        platform_stop(w.p, 0);
    arena_release(&w.arena);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
}

static struct ctx ctx_of(const char *name)
{
    struct ctx cx;

    platform_ctx(w.p, platform_service(w.p, name), &w.arena, &cx);
    return cx;
}

static int64_t count(const char *service, const char *sql)
{
    struct ctx cx = ctx_of(service);
    int64_t n = -1;

    CHECK_INT(db_int_of(&cx, &n, sql, NO_ARGS), ERR_OK);
    return n;
}

static void change(int key, int n)
{
    struct ctx cx = ctx_of("maker");
    struct note note = {n};

    CHECK_INT(db_begin(&cx), ERR_OK);
    CHECK_INT(db_exec(&cx, "insert into marks (n, at) values ($1, $2)",
                      ARGS(db_int(n), db_int(ctx_now(&cx)))),
              ERR_OK);
    CHECK_INT(outbox_append(&cx, "maker.changed", (struct uuid){{1, (unsigned char)key}},
                            note_fields, &note),
              ERR_OK);
    CHECK_INT(db_commit(&cx), ERR_OK);
}

/* Everything of one kind that one service has to do now. */
static void turn(int service, int kind)
{
    bool did = true;

    for (int i = 0; did && i < 100; i++)
        CHECK_INT(platform_turn(w.p, (size_t)service, kind, &did), ERR_OK);
}

static void sweep_both(int64_t after_us)
{
    w.clock.virtual_us += after_us;
    turn(MAKER, TURN_JOBS);
    turn(READER, TURN_JOBS);
}

static int64_t swept(const char *service, const char *table)
{
    return metric_value(metric_get(METRIC_COUNTER, "jumun_swept_rows_total", "Old rows deleted.",
                                   "service", service, "table", table));
}

static void each_service_sweeps_what_is_its_own(void)
{
    CHECK_INT(start((struct platform_keep){0}), ERR_OK);
    turn(MAKER, TURN_JOBS), turn(READER, TURN_JOBS); /* the first time is in a minute */
    for (int i = 1; i <= 5; i++)
        change(1, i);
    turn(MAKER, TURN_RELAY), turn(READER, TURN_CONSUME);
    sweep_both(US_PER_MIN);
    CHECK_INT(count("maker", "select count(*) from outbox"), 5);
    sweep_both(2 * US_PER_HOUR);
    CHECK_INT(count("maker", "select count(*) from outbox"), 0);
    CHECK_INT(swept("maker", "outbox"), 5);
    CHECK_INT(swept("maker", "bus"), 4); /* the newest snapshot stays */
    CHECK_INT(count("maker", "select count(*) from marks"), 5);
    CHECK_INT(count("reader", "select count(*) from inbox"), 5);
    turn(READER, TURN_CONSUME);
    sweep_both(US_PER_DAY);
    CHECK_INT(count("maker", "select count(*) from marks"), 0);
    CHECK_INT(swept("maker", "marks"), 5);
    w.clock.virtual_us += INBOX_KEEP_US;
    turn(READER, TURN_CONSUME);
    sweep_both(0);
    CHECK_INT(count("reader", "select count(*) from inbox"), 0);
    CHECK_INT(count("reader", "select count(*) from effects"), 5);
    end();
}

static void a_large_backlog_goes_in_several_runs(void)
{
    CHECK_INT(start((struct platform_keep){0}), ERR_OK);
    turn(MAKER, TURN_JOBS);
    for (int i = 1; i <= 11 * SWEEP_BATCH; i++)
        change(i % 5, i);
    turn(MAKER, TURN_RELAY);
    w.clock.virtual_us += 2 * US_PER_HOUR;
    bool did = false;
    CHECK_INT(platform_turn(w.p, MAKER, TURN_JOBS, &did), ERR_OK);
    CHECK_INT(count("maker", "select count(*) from outbox"), SWEEP_BATCH);
    w.clock.virtual_us += US_PER_S; /* not a minute */
    turn(MAKER, TURN_JOBS);
    CHECK_INT(count("maker", "select count(*) from outbox"), 0);
    end();
}

/* The second copy of an event may wait among the unread ones for longer than the inbox remembers.
 */
static void who_is_far_behind_forgets_nothing(void)
{
    CHECK_INT(start((struct platform_keep){0}), ERR_OK);
    turn(READER, TURN_JOBS);
    change(1, 1);
    turn(MAKER, TURN_RELAY), turn(READER, TURN_CONSUME);
    sweep_both(30 * US_PER_DAY);
    CHECK_INT(count("reader", "select count(*) from inbox"), 1);
    turn(READER, TURN_CONSUME);
    sweep_both(US_PER_MIN);
    CHECK_INT(count("reader", "select count(*) from inbox"), 0);
    end();
}

static void an_inbox_that_forgets_too_early_is_refused(void)
{
    static const struct platform_keep wrong[] = {
        {.inbox_us = 7 * US_PER_DAY},
        {.bus_us = 8 * US_PER_DAY, .inbox_us = 8 * US_PER_DAY + 23 * US_PER_HOUR},
    };
    static const struct platform_keep right[] = {
        {.bus_us = 30 * US_PER_DAY},
        {.bus_us = US_PER_DAY, .inbox_us = 2 * US_PER_DAY},
    };

    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        CHECK_INT(start(wrong[i]), ERR_INVALID);
        CHECK(strstr(w.cx.story.detail, "inbox-keep-hours") != NULL);
        end();
    }
    for (size_t i = 0; i < COUNT_OF(right); i++) {
        CHECK_INT(start(right[i]), ERR_OK);
        CHECK(platform_options(w.p)->keep.inbox_us >=
              platform_options(w.p)->keep.bus_us + US_PER_DAY);
        end();
    }
}

/* A broker that keeps events by itself: as long as that, not as our own setting says. */
static void an_inbox_outlasts_the_broker(void)
{
    struct platform_keep by_default = {0}, forgets = {.inbox_us = 8 * US_PER_DAY};
    struct arena arena;

    arena_init(&arena, 1u << 20);
    struct ctx cx = {.arena = &arena, .clock = &clock_system};
    CHECK_INT(keep_settle(&cx, &by_default, 8 * US_PER_DAY), ERR_OK);
    CHECK_INT(by_default.inbox_us, 9 * US_PER_DAY);
    CHECK_INT(keep_settle(&cx, &forgets, 8 * US_PER_DAY), ERR_INVALID);
    CHECK(strstr(cx.story.detail, "keepHours of --bus") != NULL);
    CHECK_INT(keep_settle(&cx, &forgets, 0), ERR_OK);
    arena_release(&arena);
}

int main(void)
{
    RUN(each_service_sweeps_what_is_its_own);
    RUN(a_large_backlog_goes_in_several_runs);
    RUN(who_is_far_behind_forgets_nothing);
    RUN(an_inbox_that_forgets_too_early_is_refused);
    RUN(an_inbox_outlasts_the_broker);
    return test_end();
}
