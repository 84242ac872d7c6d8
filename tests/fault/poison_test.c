/* poison_test.c -- an event that fails again and again under a running consumer: parked after 12
 * tries, with the rest of its key behind it; the others flow, and operators see it. Tries while the
 * database does not answer count against no event. */
#include "test.h"

#include <ftw.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fault.h"
#include "flow/outbox.h"
#include "service/platform.h"

#define POISON 13
#define OTHERS 40
#define OUTAGE 14
#define TRIES_MAX 12

struct tick {
    int64_t n;
};
static const struct field tick_fields[] = {
    F_INT(struct tick, n, "n", REQUIRED, 0, INT64_MAX, "which"),
    F_END(struct tick),
};

static _Atomic int tries, is_cured;
static _Atomic int outage_tries, is_away;

static enum err on_tick(struct ctx *cx, const struct event *e, const void *data)
{
    const struct tick *in = data;

    (void)e;
    if (in->n == POISON && !is_cured) {
        tries++;
        return fail(cx, ERR_UNAVAILABLE, "as if it would pass"); /* it never does */
    }
    if (in->n == OUTAGE && outage_tries++ < 2) {
        is_away = outage_tries == 1;
        return fail(cx, ERR_UNAVAILABLE, "an outage, and the rush after it");
    }
    return db_exec(cx, "insert into ticks (n) values ($1)", ARGS(db_int(in->n)));
}

/* Under a name that the commands know. */
static const struct migration tables[] = {
    {"0001_ticks", "create table ticks (n bigint primary key);"},
    {NULL, NULL},
};
static const char *const own_topic[] = {"store", NULL};
static const struct route no_routes[] = {{0}};
static const struct consumer consumers[] = {{"store.ticked", on_tick, tick_fields, ""}, {0}};
static const struct service probe = {.name = "store",
                                     .routes = no_routes,
                                     .topics = own_topic,
                                     .consumers = consumers,
                                     .migrations = tables};
static const struct service *const services[] = {&probe, NULL};

static struct {
    struct platform *p;
    struct arena arena;
    struct rng rng;
    char dir[64];
} w;

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void setup(void)
{
    struct ctx cx = {.arena = &w.arena, .clock = &clock_system, .rng = &w.rng};

    arena_init(&w.arena, 64u * 1024 * 1024);
    rng_init(&w.rng);
    snprintf(w.dir, sizeof w.dir, "/tmp/poison_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(w.dir),
                                             .internal_listen = STR("127.0.0.1:0"),
                                             .threads = 2,
                                             .slow_threads = 1,
                                             .clock = &clock_system,
                                             .issuer = STR("http://localhost")};
    if (platform_start(&cx, &options, &w.p) != ERR_OK) {
        printf("Bail out! %s\n", cx.story.detail);
        exit(1);
    }
}

static void teardown(void)
{
    platform_stop(w.p, 2000);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    arena_release(&w.arena);
}

static void tick(struct uuid key, int64_t n)
{
    const struct tick t = {n};
    struct ctx cx;

    platform_ctx(w.p, platform_service(w.p, "store"), &w.arena, &cx);
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(outbox_append(&cx, "store.ticked", key, tick_fields, &t) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    CHECK(db_durable(&cx) == ERR_OK);
}

static struct uuid new_key(void)
{
    struct ctx cx;

    platform_ctx(w.p, platform_service(w.p, "store"), &w.arena, &cx);
    return ctx_uuid(&cx);
}

static int64_t count(const char *sql)
{
    struct ctx cx;
    int64_t n = -1;

    platform_ctx(w.p, platform_service(w.p, "store"), &w.arena, &cx);
    CHECK(db_int_of(&cx, &n, sql, NO_ARGS) == ERR_OK);
    return n;
}

static void wait_for(const char *sql, int64_t expected, int seconds)
{
    for (int i = 0; i < seconds * 20 && count(sql) != expected; i++)
        usleep(50000);
    CHECK_INT(count(sql), expected);
}

/* The binary beside our folder, as an operator runs it. False: it is not built. */
static bool dlq(const char *words, struct str *ret_out)
{
    char self[500];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    CHECK(n > 0);
    self[n > 0 ? n : 0] = 0;
    for (int up = 0; up < 2; up++)
        if (strrchr(self, '/'))
            *strrchr(self, '/') = 0;
    struct str binary = arena_printf(&w.arena, "%s/jumun", self);
    if (access(binary.p, X_OK) != 0)
        return false;
    struct str line =
        arena_printf(&w.arena,
                     "timeout 20 %s dlq %s --service store --data %s --issuer http://localhost"
                     " --internal-listen 127.0.0.1:%d",
                     binary.p, words, w.dir, platform_port(w.p, 1));
    FILE *f = popen(line.p, "r");
    char *out = arena_alloc(&w.arena, 10000);
    CHECK(f != NULL);
    *ret_out = (struct str){out, fread(out, 1, 10000, f)};
    CHECK_INT(pclose(f), 0);
    return true;
}

static bool has(struct str s, const char *text)
{
    return str_find(s, str_from(text)) != SIZE_MAX;
}

static void is_parked_after_twelve_tries(void)
{
    struct str said = STR_NONE;

    setup();
    struct uuid poisoned = new_key();
    tick(poisoned, 1);
    tick(poisoned, POISON);
    tick(poisoned, 2);
    for (int64_t i = 0; i < OTHERS; i++)
        tick(new_key(), 100 + i);
    wait_for("select count(*) from parked", 2, 40);
    wait_for("select count(*) from ticks where n >= 100", OTHERS, 10);
    CHECK(tries == 12 || tries == 13); /* one more when it came together with others */
    CHECK_INT(count("select count(*) from ticks where n in (2, 13)"), 0);
    CHECK_INT(count("select count(*) from ticks where n = 1"), 1);
    CHECK_INT(count("select tries from parked order by id limit 1"), 12);
    tick(poisoned, 3); /* waits behind it, without being tried */
    tick(new_key(), 200);
    wait_for("select count(*) from ticks where n = 200", 1, 10);
    wait_for("select count(*) from parked", 3, 10);
    if (dlq("list", &said)) {
        CHECK(has(said, "store.ticked of "));
        CHECK(has(said, "tried 12 times: UNAVAILABLE: failed for too long"));
        CHECK(has(said, "behind a parked event of the same key"));
        CHECK(dlq("show store 1", &said) && has(said, "{\"n\":13}"));
        is_cured = 1;
        CHECK(dlq("retry store 1", &said) && has(said, "store 1: applied"));
        CHECK_INT(count("select count(*) from parked"), 0);
        CHECK_INT(count("select count(*) from ticks where n in (1, 2, 3, 13)"), 4);
        CHECK(dlq("list", &said) && has(said, "no dead letters"));
    }
    teardown();
}

#ifdef JUMUN_FAULTS
static _Atomic int away_passes;

/* For the consumer's thread the database does not answer. */
static bool be_away(void *arg, const char *name)
{
    char thread[17] = "";

    (void)arg;
    if (!is_away || strcmp(name, "db.begin") != 0 || prctl(PR_GET_NAME, thread) != 0 ||
        strcmp(thread, "events store") != 0)
        return false;
    away_passes++;
    return true;
}

static void an_outage_counts_against_nobody(void)
{
    fault_hook_set(be_away, NULL);
    setup();
    tick(new_key(), OUTAGE);
    for (int i = 0; i < 1200 && away_passes < 2 * TRIES_MAX; i++) /* each try asks twice */
        usleep(50000);
    CHECK(away_passes >= 2 * TRIES_MAX);
    is_away = 0;
    wait_for("select count(*) from ticks where n = 14", 1, 20);
    CHECK_INT(count("select count(*) from parked"), 0);
    CHECK_INT(outage_tries, 3);
    teardown();
    fault_hook_set(NULL, NULL);
}
#endif

int main(void)
{
    RUN(is_parked_after_twelve_tries);
#ifdef JUMUN_FAULTS
    RUN(an_outage_counts_against_nobody);
#endif
    return test_end();
}
