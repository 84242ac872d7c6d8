/* consumer_test.c -- group commits fail under a running consumer: each event is applied once all
 * the same. */
#include "test.h"

#include <ftw.h>
#include <unistd.h>

#include "base/fault.h"
#include "flow/outbox.h"
#include "service/platform.h"

#define EVENTS 80

struct tick {
    int64_t n;
};
static const struct field tick_fields[] = {
    F_INT(struct tick, n, "n", REQUIRED, 0, INT64_MAX, "which"),
    F_END(struct tick),
};

static enum err on_tick(struct ctx *cx, const struct event *e, const void *data)
{
    const struct tick *in = data;

    (void)e;
    return db_exec(cx,
                   "insert into ticks (n, times) values ($1, 1) on conflict (n) do update"
                   " set times = ticks.times + 1",
                   ARGS(db_int(in->n)));
}

static const struct migration tables[] = {
    {"0001_ticks", "create table ticks (n bigint primary key, times bigint not null);"},
    {NULL, NULL},
};
static const char *const own_topic[] = {"probe", NULL};
static const struct route no_routes[] = {{0}};
static const struct consumer consumers[] = {{"probe.ticked", on_tick, tick_fields, ""}, {0}};
static const struct service probe = {.name = "probe",
                                     .routes = no_routes,
                                     .topics = own_topic,
                                     .consumers = consumers,
                                     .migrations = tables};
static const struct service *const services[] = {&probe, NULL};

static _Atomic bool is_failing;
static _Atomic int fired;
static _Atomic unsigned luck = 1;

static bool commits_fail(void *arg, const char *name)
{
    (void)arg;
    if (!is_failing || strcmp(name, "db.commit.before") != 0)
        return false;
    luck = luck * 1103515245u + 12345u;
    bool fails = (luck >> 16) % 3 == 0;
    fired += fails;
    return fails;
}

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* One event in its own commit, again until the commit is durable. */
static void tick(struct platform *p, struct arena *a, int64_t n)
{
    const struct tick t = {n};
    enum err e = ERR_UNAVAILABLE;

    for (int tries = 0; e != ERR_OK && tries < 1000; tries++) {
        struct ctx cx;
        platform_ctx(p, platform_service(p, "probe"), a, &cx);
        e = db_begin(&cx);
        if (e == ERR_OK)
            e = outbox_append(&cx, "probe.ticked", ctx_uuid(&cx), tick_fields, &t);
        if (e == ERR_OK)
            e = db_commit(&cx);
        if (e == ERR_OK)
            e = db_durable(&cx);
        db_rollback(&cx);
    }
    CHECK(e == ERR_OK);
}

static int64_t count(struct platform *p, struct arena *a, const char *sql)
{
    struct ctx cx;
    int64_t n = -1;

    platform_ctx(p, platform_service(p, "probe"), a, &cx);
    CHECK(db_int_of(&cx, &n, sql, NO_ARGS) == ERR_OK);
    return n;
}

static void lost_groups_lose_no_event(void)
{
    char dir[] = "/tmp/consumer_test.XXXXXX";
    struct platform *p;
    struct arena a;
    struct rng rng;
    struct ctx cx = {.arena = &a, .clock = &clock_system, .rng = &rng};

    arena_init(&a, 64u * 1024 * 1024);
    rng_init(&rng);
    CHECK(mkdtemp(dir) != NULL);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(dir),
                                             .threads = 2,
                                             .slow_threads = 1,
                                             .clock = &clock_system,
                                             .issuer = STR("http://localhost")};
    if (platform_start(&cx, &options, &p) != ERR_OK) {
        printf("Bail out! %s\n", cx.story.detail);
        exit(1);
    }
    fault_hook_set(commits_fail, NULL);
    is_failing = true;
    for (int64_t n = 0; n < EVENTS; n++) {
        tick(p, &a, n);
        usleep(2000); /* so that the consumer shares some of the groups */
    }
    usleep(300000);
    is_failing = false;
    for (int tries = 0; tries < 500 && count(p, &a, "select count(*) from ticks") < EVENTS; tries++)
        usleep(20000);
    CHECK_INT(count(p, &a, "select count(*) from ticks"), EVENTS);
    CHECK_INT(count(p, &a, "select count(*) from ticks where times <> 1"), 0);
#ifdef JUMUN_FAULTS
    CHECK(fired > 20);
#endif
    fault_hook_set(NULL, NULL);
    platform_stop(p, 2000);
    nftw(dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    arena_release(&a);
}

int main(void)
{
    RUN(lost_groups_lose_no_event);
    return test_end();
}
