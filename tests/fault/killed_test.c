/* killed_test.c -- processes that publish and consume are killed in every place: no event is lost,
 * none counts twice, each key keeps its order, and a key that is parked stays whole. */
#include "test.h"

#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "flow/inbox.h"
#include "flow/outbox.h"
#include "service/platform.h"

#define KEYS 12
#define PER_ROUND 8   /* events of each key in a round */
#define PER_MOMENT 80 /* long enough to die in the middle of it */
#define POISONED 0    /* the key of which one event is refused for good */
#define POISON 5
#define ROUND_S 90

struct tick {
    int64_t k, n;
};
static const struct field tick_fields[] = {
    F_INT(struct tick, k, "k", REQUIRED, 0, KEYS, "key"),
    F_INT(struct tick, n, "n", REQUIRED, 1, INT64_MAX, "1, 2, 3 ... of the key"),
    F_END(struct tick),
};

static enum err on_tick(struct ctx *cx, const struct event *e, const void *data)
{
    const struct tick *in = data;
    int64_t cured = 0;

    (void)e;
    if (in->k == POISONED && in->n == POISON) {
        TRY(db_int_of(cx, &cured, "select count(*) from cured", NO_ARGS));
        if (!cured)
            return fail(cx, ERR_CONSTRAINT, "a poisoned event");
    }
    return db_exec(cx,
                   "update effects set times = times + 1,"
                   " doubled = doubled + case when $2 <= n then 1 else 0 end,"
                   " gaps = gaps + case when $2 > n + 1 then 1 else 0 end,"
                   " n = case when $2 > n then $2 else n end where k = $1",
                   ARGS(db_int(in->k), db_int(in->n)));
}

#define ROWS "(0),(1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11)"
static const struct migration tables[] = {
    {"0001_ticks",
     "create table said (k bigint primary key, n bigint not null default 0);"
     "create table effects (k bigint primary key, n bigint not null default 0, times bigint not"
     " null default 0, doubled bigint not null default 0, gaps bigint not null default 0);"
     "create table cured (yes bigint primary key);"
     "insert into said (k) values " ROWS ";"
     "insert into effects (k) values " ROWS ";"},
    {NULL, NULL},
};
static const char *const own_topic[] = {"probe", NULL};
static const struct route no_routes[] = {{0}};
static const struct consumer consumers[] = {{"probe.ticked", on_tick, tick_fields, "", NULL}, {0}};
static const struct service probe = {.name = "probe",
                                     .routes = no_routes,
                                     .topics = own_topic,
                                     .consumers = consumers,
                                     .migrations = tables};
static const struct service *const services[] = {&probe, NULL};

/* What the processes of one tale share. */
struct tale {
    char dir[64], bus[200], database[200]; /* "": files */
    int members;
};

struct work {
    struct arena arena;
    struct rng rng;
    struct platform *p;
};

static struct str named(const char *url)
{
    return url[0] ? str_from(url) : STR_NONE;
}

static void open_member(struct work *w, const struct tale *s, int member)
{
    char dir[100];
    struct ctx cx = {.arena = &w->arena, .clock = &clock_system, .rng = &w->rng};

    arena_init(&w->arena, 64u << 20);
    rng_init(&w->rng);
    snprintf(dir, sizeof dir, "%s/%d", s->dir, member);
    (void)mkdir(dir, 0700);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(dir),
                                             .database_url = named(s->database),
                                             .bus_url = named(s->bus),
                                             .threads = 2,
                                             .slow_threads = 1,
                                             .clock = &clock_system,
                                             .issuer = STR("http://localhost")};
    if (platform_start(&cx, &options, &w->p) != ERR_OK) {
        printf("Bail out! %s\n", cx.story.detail);
        fflush(stdout);
        _exit(3);
    }
}

static void close_member(struct work *w)
{
    platform_stop(w->p, 2000);
    arena_release(&w->arena);
}

static int64_t ask(struct work *w, const char *sql, int64_t arg)
{
    struct arena arena;
    struct ctx cx;
    int64_t n = -1;

    arena_init(&arena, 1 << 20);
    platform_ctx(w->p, platform_service(w->p, "probe"), &arena, &cx);
    if (db_int_of(&cx, &n, sql, ARGS(db_int(arg))) != ERR_OK)
        n = -1;
    arena_release(&arena);
    return n;
}

static struct uuid key_of(int64_t k)
{
    return (struct uuid){{[0] = 1, [15] = (unsigned char)k}};
}

/* The key's next event with the number that it has, in one commit. */
static enum err say(struct ctx *cx, int64_t k, int64_t limit)
{
    struct tick t = {.k = k};

    TRY(db_begin(cx));
    TRY(db_int_of(cx, &t.n, "update said set n = n + 1 where k = $1 and n < $2 returning n",
                  ARGS(db_int(k), db_int(limit))));
    TRY(outbox_append(cx, "probe.ticked", key_of(k), tick_fields, &t));
    TRY(db_commit(cx));
    return db_durable(cx);
}

static void say_one(struct work *w, int64_t limit)
{
    struct arena arena;
    struct ctx cx;

    arena_init(&arena, 1 << 20);
    platform_ctx(w->p, platform_service(w->p, "probe"), &arena, &cx);
    /* Said up to the limit, in conflict with the other member, or the database is away: later. */
    (void)say(&cx, (int64_t)rng_below(&w->rng, KEYS), limit);
    db_rollback(&cx);
    arena_release(&arena);
}

/* Whether all that was said up to the limit has its effect, or is parked. */
static bool is_done(struct work *w, int64_t limit)
{
    return ask(w, "select count(*) from said where n < $1", limit) == 0 &&
           ask(w,
               "select coalesce(sum(times), 0) + (select count(*) from parked) from effects"
               " where k >= $1",
               0) >= KEYS * limit;
}

static int child(const struct tale *s, int member, int64_t limit)
{
    struct work w;

    open_member(&w, s, member);
    while (!is_done(&w, limit)) {
        say_one(&w, limit);
        usleep(1000);
    }
    close_member(&w);
    return 0;
}

static pid_t start(const struct tale *s, int member, int64_t limit, const char *fault)
{
    char self[] = "/proc/self/exe", flag[] = "--child", numbers[3][24];
    pid_t pid;

    snprintf(numbers[0], sizeof numbers[0], "%d", member);
    snprintf(numbers[1], sizeof numbers[1], "%d", s->members);
    snprintf(numbers[2], sizeof numbers[2], "%lld", (long long)limit);
    char *argv[] = {self,
                    flag,
                    (char *)(uintptr_t)s->dir,
                    (char *)(uintptr_t)s->bus,
                    (char *)(uintptr_t)s->database,
                    numbers[0],
                    numbers[1],
                    numbers[2],
                    NULL};
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (fault)
            setenv("JUMUN_FAULT", fault, 1);
        execv(self, argv);
        _exit(4);
    }
    CHECK(pid > 0);
    return pid;
}

/* True when it was killed. */
static bool was_killed(pid_t pid)
{
    int status = 0;

    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
          (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    return WIFSIGNALED(status);
}

/* One member dies at that point, or at some moment; then it comes back and all is finished. True
 * when it died: beside another one it may have finished before it got there. */
static bool round_of(const struct tale *s, int64_t limit, const char *fault)
{
    pid_t members[2] = {0};
    bool killed;

    alarm(ROUND_S); /* a round that never ends is a failure, and a loud one */
    members[0] = start(s, 0, limit, fault);
    if (s->members > 1)
        members[1] = start(s, 1, limit, NULL);
    if (!fault) {
        usleep(s->members > 1 ? 1200000 : 300000);
        kill(members[0], SIGKILL);
    }
    killed = was_killed(members[0]);
    printf("# %s: %s\n", fault ? fault : "at some moment", killed ? "killed" : "not reached");
    CHECK(killed || s->members > 1);
    if (killed)
        CHECK(!was_killed(start(s, 0, limit, NULL)));
    if (s->members > 1)
        CHECK(!was_killed(members[1]));
    alarm(0);
    return killed;
}

/* The parked key: cured, and applied in its order by one retry. */
static void check_all(const struct tale *s, int64_t limit)
{
    struct work w;
    struct arena arena;
    struct ctx cx;

    open_member(&w, s, 0);
    CHECK_INT(ask(&w, "select count(*) from parked where id >= $1", 0), limit - POISON + 1);
    CHECK_INT(ask(&w, "select n from effects where k = $1", POISONED), POISON - 1);
    CHECK_INT(ask(&w, "select count(*) from effects where n = $1", limit), KEYS - 1);
    arena_init(&arena, 64u << 20);
    platform_ctx(w.p, platform_service(w.p, "probe"), &arena, &cx);
    CHECK_INT(db_begin(&cx), ERR_OK);
    CHECK_INT(db_exec(&cx, "insert into cured (yes) values ($1)", ARGS(db_int(1))), ERR_OK);
    CHECK_INT(db_commit(&cx), ERR_OK);
    CHECK_INT(db_durable(&cx), ERR_OK);
    CHECK_INT(
        parked_retry(&cx, consumers, ask(&w, "select min(id) from parked where part >= $1", 0)),
        ERR_OK);
    arena_release(&arena);
    CHECK_INT(ask(&w, "select count(*) from parked where id >= $1", 0), 0);
    CHECK_INT(ask(&w, "select count(*) from effects where n = $1 and times = $1", limit), KEYS);
    CHECK_INT(ask(&w, "select sum(doubled) + sum(gaps) from effects where k >= $1", 0), 0);
    CHECK_INT(ask(&w, "select count(*) from outbox where published_at is null and seq >= $1", 0),
              0);
    close_member(&w);
}

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void tell(struct tale *s, const char *const *points, int moments)
{
    int64_t limit = 0;
    int rounds = 0, deaths = 0;

    snprintf(s->dir, sizeof s->dir, "/tmp/killed_test.XXXXXX");
    CHECK(mkdtemp(s->dir) != NULL);
#ifndef JUMUN_FAULTS
    (void)points; /* nothing dies there: moments only */
#else
    for (; *points; points++, rounds++)
        deaths += round_of(s, limit += PER_ROUND, *points);
#endif
    for (int i = 0; i < moments; i++, rounds++)
        deaths += round_of(s, limit += PER_MOMENT, NULL);
    CHECK(deaths > rounds / 2);
    check_all(s, limit);
    nftw(s->dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
}

/* Before and after each thing that makes something known elsewhere, not only at the first time. */
static void in_every_place(void)
{
    static const char *const points[] = {"relay.publish.before:1:die",
                                         "relay.publish.before:4:die",
                                         "bus.publish.before:2:die",
                                         "bus.publish.after:1:die",
                                         "bus.publish.after:3:die",
                                         "relay.mark.before:1:die",
                                         "relay.mark.before:3:die",
                                         "consume.effect.before:2:die",
                                         "consume.effect.before:9:die",
                                         "consume.commit.before:1:die",
                                         "consume.commit.before:3:die",
                                         "db.commit.before:20:die",
                                         NULL};
    struct tale s = {.members = 1};

    tell(&s, points, 6);
}

/* Two members beside each other when there is a database for both: each death is a rebalance, which
 * begins when the broker has missed the dead one for ten seconds. */
static void in_every_place_on_kafka(void)
{
    static const char *const points[] = {"bus.publish.after:1:die", "relay.mark.before:1:die",
                                         "consume.effect.before:3:die",
                                         "consume.commit.before:1:die", NULL};
    struct tale s = {.members = getenv("TEST_POSTGRES") ? 2 : 1};

    snprintf(s.bus, sizeof s.bus, "kafka://%s?partitions=4&prefix=killed%d.", getenv("TEST_KAFKA"),
             (int)getpid());
    if (s.members > 1)
        snprintf(s.database, sizeof s.database, "%s", getenv("TEST_POSTGRES"));
    tell(&s, points, 2);
}

int main(int argc, char **argv)
{
    if (argc == 8 && strcmp(argv[1], "--child") == 0) {
        struct tale s = {.members = argv[6][0] - '0'};
        snprintf(s.dir, sizeof s.dir, "%s", argv[2]);
        snprintf(s.bus, sizeof s.bus, "%s", argv[3]);
        snprintf(s.database, sizeof s.database, "%s", argv[4]);
        return child(&s, argv[5][0] - '0', strtoll(argv[7], NULL, 10));
    }
    RUN(in_every_place);
    if (getenv("TEST_KAFKA"))
        RUN(in_every_place_on_kafka);
    else
        printf("# no TEST_KAFKA: killed beside the embedded bus only\n");
    return test_end();
}
