/* timer_test.c -- timers, jobs, idempotency keys and migrations on a virtual clock. */
#include "test.h"

#include <ftw.h>
#include <unistd.h>

#include "flow/idempotency.h"
#include "flow/migrate.h"
#include "flow/schema.h"
#include "flow/sweep.h"
#include "flow/timer.h"

static struct {
    struct arena arena;
    struct clock clock;
    struct rng rng;
    struct ctx cx;
    char dir[64];
    int fired, ran;
    int64_t attempt;
    enum err answer;
} w;

static const struct migration scripts[] = {
    {"0001_marks", "create table marks (n bigint not null)"},
    {NULL, NULL},
};

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void setup(void)
{
    char url[96];
    struct db_options options = {.group_commit = false, .readers_max = 2, .clock = &w.clock};

    memset(&w, 0, sizeof w);
    w.clock = (struct clock){true, INT64_C(1796000000000000)};
    rng_seed(&w.rng, 3);
    arena_init(&w.arena, 64u << 20);
    w.cx = (struct ctx){
        .arena = &w.arena, .clock = &w.clock, .rng = &w.rng, .instance = {.b = {[15] = 7}}};
    snprintf(w.dir, sizeof w.dir, "/tmp/timer_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    snprintf(url, sizeof url, "sqlite:%s", w.dir);
    if (db_open(&w.cx, url, "order", &options, &w.cx.db) != ERR_OK) {
        printf("Bail out! %s\n", w.cx.story.detail);
        exit(1);
    }
}

static void setup_tables(void)
{
    setup();
    CHECK_INT(migrate(&w.cx, scripts, false, NULL), ERR_OK);
}

static void teardown(void)
{
    db_rollback(&w.cx);
    db_close(w.cx.db);
    arena_release(&w.arena);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
}

static const struct uuid alpha = {{1}}, beta = {{2}};

static int64_t count(const char *sql)
{
    int64_t n = -1;

    CHECK_INT(db_int_of(&w.cx, &n, sql, NO_ARGS), ERR_OK);
    return n;
}

static enum err fire_mark(struct ctx *cx, struct uuid subject, int64_t attempt)
{
    (void)subject;
    w.fired++;
    w.attempt = attempt;
    TRY(db_exec(cx, "insert into marks (n) values ($1)", ARGS(db_int(attempt))));
    return w.answer;
}

static enum err fire_again(struct ctx *cx, struct uuid subject, int64_t attempt)
{
    w.fired++;
    w.attempt = attempt;
    return timer_retry(cx, "again", subject, ctx_now(cx) + US_PER_MIN, attempt + 1);
}

/* Calls out first; the timer goes in the commit of what came of it. */
static enum err fire_outside(struct ctx *cx, struct uuid subject, int64_t attempt)
{
    CHECK(!db_in_transaction(cx));
    w.fired++;
    w.attempt = attempt;
    if (w.answer != ERR_OK)
        return fail(cx, w.answer, "no answer");
    TRY(db_begin(cx));
    TRY(timer_clear(cx, "outside", subject));
    return db_commit(cx);
}

/* Whoever moves it in between knows better when it is due than the failure that follows. */
static enum err fire_moved(struct ctx *cx, struct uuid subject, int64_t attempt)
{
    (void)attempt;
    TRY(db_begin(cx));
    TRY(timer_set(cx, "moved", subject, ctx_now(cx) + US_PER_HOUR));
    TRY(db_commit(cx));
    return fail(cx, ERR_CONFLICT, "somebody was faster");
}

/* So long that its lease is over, and another process runs it. */
static enum err fire_overtaken(struct ctx *cx, struct uuid subject, int64_t attempt)
{
    (void)attempt;
    TRY(db_begin(cx));
    TRY(db_exec(cx, "update timers set lease_holder = $2, lease_until = $3 where subject = $1",
                ARGS(db_uuid(subject), db_uuid(beta), db_int(ctx_now(cx) + US_PER_HOUR))));
    TRY(db_commit(cx));
    return fail(cx, ERR_PROVIDER, "no answer");
}

static const struct timer_row table[] = {
    {"mark", fire_mark, false, "leaves a mark"},
    {"again", fire_again, false, "sets itself"},
    {"outside", fire_outside, true, "calls out"},
    {"moved", fire_moved, true, "is moved, then fails"},
    {"overtaken", fire_overtaken, true, "is another's, then fails"},
    {NULL, NULL, false, NULL},
};

static void set(const char *kind, struct uuid subject, int64_t in_us)
{
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(timer_set(&w.cx, kind, subject, w.clock.virtual_us + in_us), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
}

/* Fires what is due now; answers how long from now the next one is (-1: none). */
static int64_t run_timers(int expected)
{
    size_t fired = 0;
    int64_t next = 0;

    CHECK_INT(timers_run(&w.cx, table, 100, &fired, &next), ERR_OK);
    CHECK_INT(fired, expected);
    return next == INT64_MAX ? -1 : next - w.clock.virtual_us;
}

static void a_timer_fires_once_when_due(void)
{
    setup_tables();
    CHECK_INT(run_timers(0), -1);
    set("mark", alpha, 10 * US_PER_S);
    set("mark", beta, 20 * US_PER_S);
    CHECK_INT(run_timers(0), 10 * US_PER_S);
    w.clock.virtual_us += 10 * US_PER_S - 1;
    CHECK_INT(run_timers(0), 1);
    w.clock.virtual_us += 1;
    CHECK_INT(run_timers(1), 10 * US_PER_S);
    CHECK_INT(run_timers(0), 10 * US_PER_S);
    w.clock.virtual_us += US_PER_HOUR; /* nobody ran for an hour: once all the same */
    CHECK_INT(run_timers(1), -1);
    CHECK_INT(count("select count(*) from marks"), 2);
    teardown();
}

static void a_timer_that_nobody_knows_holds_up_no_other(void)
{
    setup_tables();
    set("dropped", alpha, 0);
    set("mark", beta, 1);
    w.clock.virtual_us += US_PER_S;
    CHECK_INT(run_timers(1), US_PER_S);
    CHECK_INT(count("select count(*) from marks"), 1);
    CHECK_INT(count("select attempt from timers where kind = 'dropped'"), 1);
    teardown();
}

static void a_timer_moves_and_goes(void)
{
    setup_tables();
    set("mark", alpha, US_PER_S);
    set("mark", alpha, US_PER_MIN);
    CHECK_INT(count("select count(*) from timers"), 1);
    CHECK_INT(run_timers(0), US_PER_MIN);
    set("mark", beta, US_PER_MIN);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(timer_clear(&w.cx, "mark", alpha), ERR_OK);
    CHECK_INT(timer_clear(&w.cx, "mark", alpha), ERR_OK); /* gone already is fine */
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(timer_set(&w.cx, "mark", alpha, 1), ERR_OK);
    db_rollback(&w.cx); /* never set */
    w.clock.virtual_us += US_PER_HOUR;
    CHECK_INT(run_timers(1), -1);
    set("again", alpha, 0);
    CHECK_INT(run_timers(1), US_PER_MIN);
    w.clock.virtual_us += US_PER_MIN;
    CHECK_INT(run_timers(1), US_PER_MIN);
    CHECK_INT(w.attempt, 1);
    teardown();
}

static void a_timer_that_fails_stays_for_later(void)
{
    static const int64_t waits_s[] = {1, 2, 4, 8, 16, 32, 64, 64};

    setup_tables();
    set("mark", alpha, 0);
    w.answer = ERR_UNAVAILABLE;
    for (size_t i = 0; i < COUNT_OF(waits_s); i++) {
        CHECK_INT(run_timers(1), waits_s[i] * US_PER_S);
        CHECK_INT(w.attempt, i);
        w.clock.virtual_us += waits_s[i] * US_PER_S;
    }
    CHECK_INT(count("select count(*) from marks"), 0); /* its work was rolled back each time */
    w.answer = ERR_OK;
    CHECK_INT(run_timers(1), -1);
    CHECK_INT(count("select count(*) from marks"), 1);
    teardown();
}

static void a_timer_that_was_moved_meanwhile_stays_there(void)
{
    setup_tables();
    set("moved", alpha, 0);
    CHECK_INT(run_timers(1), US_PER_HOUR);
    CHECK_INT(count("select attempt from timers"), 0);
    teardown();
}

static void a_failure_takes_nobody_elses_lease(void)
{
    setup_tables();
    set("overtaken", alpha, 0);
    CHECK_INT(run_timers(1), US_PER_HOUR);
    CHECK_INT(count("select attempt from timers"), 0);
    teardown();
}

static void a_timer_that_calls_out_is_leased(void)
{
    setup_tables();
    set("outside", alpha, 0);
    w.answer = ERR_PROVIDER;
    CHECK_INT(run_timers(1), US_PER_S);
    w.clock.virtual_us += US_PER_S;
    /* another process holds it, then dies: at the end of the lease it is anybody's again */
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_exec(&w.cx, "update timers set lease_until = $1",
                      ARGS(db_int(w.clock.virtual_us + US_PER_MIN))),
              ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    w.answer = ERR_OK;
    CHECK_INT(run_timers(0), US_PER_MIN);
    w.clock.virtual_us += US_PER_MIN;
    CHECK_INT(run_timers(1), -1);
    CHECK_INT(w.fired, 2);
    CHECK_INT(w.attempt, 1);
    teardown();
}

static enum err run_count(struct ctx *cx)
{
    w.ran++;
    return w.answer == ERR_OK ? ERR_OK : fail(cx, w.answer, "the job failed");
}

static void jobs_run_once_per_period(void)
{
    static const struct job jobs[] = {
        {"count", US_PER_HOUR, run_count, "counts"},
        {NULL, 0, NULL, NULL},
    };
    size_t ran;
    int64_t next;

    setup_tables();
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK_INT(ran, 0);
    CHECK_INT(next - w.clock.virtual_us, US_PER_HOUR);
    w.clock.virtual_us += US_PER_HOUR;
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK_INT(ran, 1);
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK_INT(ran, 0);
    w.clock.virtual_us += US_PER_HOUR;
    w.answer = ERR_UNAVAILABLE; /* a job that failed waits for its next turn */
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK_INT(next - w.clock.virtual_us, US_PER_HOUR);
    w.clock.virtual_us += US_PER_HOUR;
    w.answer = ERR_BUSY; /* some is left: soon, not in an hour */
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK(next > w.clock.virtual_us && next <= w.clock.virtual_us + US_PER_S);
    w.answer = ERR_OK;
    w.clock.virtual_us = next;
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK_INT(ran, 1);
    CHECK_INT(next - w.clock.virtual_us, US_PER_HOUR);
    CHECK_INT(w.ran, 4);
    CHECK_INT(db_begin(&w.cx), ERR_OK); /* the row of a job that is no more is never due */
    CHECK_INT(db_exec(&w.cx, "insert into jobs (name, due_us, lease_until) values ('gone', 1, 0)",
                      NO_ARGS),
              ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK_INT(next - w.clock.virtual_us, US_PER_HOUR);
    w.clock.virtual_us += US_PER_HOUR;
    CHECK_INT(db_begin(&w.cx), ERR_OK); /* another process is at it */
    CHECK_INT(db_exec(&w.cx, "update jobs set lease_until = $1",
                      ARGS(db_int(w.clock.virtual_us + US_PER_MIN))),
              ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK_INT(w.ran, 4);
    CHECK_INT(next - w.clock.virtual_us, US_PER_MIN); /* when its lease would be over */
    teardown();
}

/* It ran for longer than its lease, and another process has begun it since. */
static enum err run_too_long(struct ctx *cx)
{
    TRY(db_begin(cx));
    TRY(db_exec(cx, "update jobs set lease_until = $1, lease_holder = $2",
                ARGS(db_int(ctx_now(cx) + US_PER_MIN), db_uuid(beta))));
    return db_commit(cx);
}

static void a_job_ends_its_own_lease_only(void)
{
    static const struct job jobs[] = {
        {"long", US_PER_HOUR, run_too_long, "takes long"},
        {NULL, 0, NULL, NULL},
    };
    size_t ran;
    int64_t next, due_us;

    setup_tables();
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    w.clock.virtual_us += US_PER_HOUR;
    due_us = w.clock.virtual_us;
    CHECK_INT(jobs_run(&w.cx, jobs, &ran, &next), ERR_OK);
    CHECK_INT(ran, 1);
    CHECK_INT(count("select lease_until from jobs"), due_us + US_PER_MIN);
    CHECK_INT(count("select due_us from jobs"), due_us);
    teardown();
}

static enum err take(struct idempotency k, struct idempotent_answer *answer, bool commit)
{
    enum err e = db_begin(&w.cx);

    if (e == ERR_OK)
        e = idempotency_take(&w.cx, &k, answer);
    if (e == ERR_OK && commit)
        e = db_commit(&w.cx);
    db_rollback(&w.cx);
    return e;
}

static struct idempotency key(const char *principal, const char *text)
{
    return (struct idempotency){str_from(principal), STR("POST /v1/orders"), str_from(text), {7}};
}

static void store(struct idempotency k)
{
    struct idempotent_answer a = {
        false, 201, STR("application/json"), STR("/v1/orders/1"), STR("\"v1\""), STR("{\"a\":1}")};

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(idempotency_store(&w.cx, &k, &a), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
}

static void a_key_goes_through_its_states(void)
{
    struct idempotent_answer a;
    struct idempotency k = key("anna", "k1"), other = k;

    setup_tables();
    other.fingerprint[31] = 1;
    CHECK_INT(take(k, &a, false), ERR_OK); /* rolled back with its work: free again */
    CHECK_INT(take(k, &a, true), ERR_OK);
    CHECK(!a.replayed);
    CHECK_INT(take(k, &a, true), ERR_IDEMPOTENCY_KEY_IN_USE);
    CHECK_INT(take(other, &a, true), ERR_IDEMPOTENCY_KEY_REUSED);
    CHECK_INT(take(key("ben", "k1"), &a, true), ERR_OK); /* keys belong to their principal */
    w.clock.virtual_us += IDEMPOTENCY_LEASE_US;
    CHECK_INT(take(k, &a, true), ERR_OK); /* whoever held it has died */
    CHECK(!a.replayed);
    CHECK_INT(take(k, &a, true), ERR_IDEMPOTENCY_KEY_IN_USE);
    store(k);
    CHECK_INT(take(k, &a, true), ERR_OK);
    CHECK(a.replayed);
    CHECK_INT(a.status, 201);
    CHECK_STR(a.body, "{\"a\":1}");
    CHECK_STR(a.location, "/v1/orders/1");
    CHECK_STR(a.content_type, "application/json");
    CHECK_INT(take(other, &a, true), ERR_IDEMPOTENCY_KEY_REUSED);
    teardown();
}

static void a_key_is_dropped_and_expires(void)
{
    struct idempotent_answer a;
    struct idempotency k = key("anna", "k2");
    int64_t swept = 0;

    setup_tables();
    CHECK_INT(take(k, &a, true), ERR_OK);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(idempotency_drop(&w.cx, &k), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(take(k, &a, true), ERR_OK);
    store(k);
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(idempotency_drop(&w.cx, &k), ERR_OK); /* an answer that was given is never dropped */
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    w.clock.virtual_us += IDEMPOTENCY_KEEP_US;
    CHECK_INT(sweep_rows(&w.cx, &sweep_idempotency, 0, &swept), ERR_OK);
    CHECK_INT(swept, 0);
    CHECK_INT(take(k, &a, true), ERR_OK);
    CHECK(a.replayed);
    w.clock.virtual_us += 1;
    CHECK_INT(take(k, &a, true), ERR_OK);
    CHECK(!a.replayed);
    w.clock.virtual_us += IDEMPOTENCY_KEEP_US + 1;
    CHECK_INT(sweep_rows(&w.cx, &sweep_idempotency, 0, &swept), ERR_OK);
    CHECK_INT(swept, 1);
    CHECK_INT(count("select count(*) from idempotency"), 0);
    teardown();
}

static void migrations_run_once_in_order(void)
{
    static const struct migration more[] = {
        {"0001_marks", "create table marks (n bigint not null)"},
        {"0002_more", "alter table marks add column m bigint; create table extra (x bigint)"},
        {NULL, NULL},
    };
    struct list pending;

    setup();
    /* flow's own come first; the ends of both lists do not count */
    size_t all = COUNT_OF(flow_migrations) - 1 + COUNT_OF(scripts) - 1;
    CHECK_INT(migrate(&w.cx, scripts, true, &pending), ERR_OK);
    CHECK_INT(pending.n, all);
    CHECK_INT(count("select count(*) from sqlite_master"), 0); /* not even the list of scripts */
    CHECK_INT(migrate(&w.cx, scripts, false, &pending), ERR_OK);
    CHECK_INT(pending.n, all);
    CHECK_INT(migrate(&w.cx, scripts, true, &pending), ERR_OK);
    CHECK_INT(pending.n, 0);
    CHECK_INT(migrate(&w.cx, scripts, false, &pending), ERR_OK);
    CHECK_INT(pending.n, 0);
    CHECK_INT(migrate(&w.cx, more, false, &pending), ERR_OK);
    CHECK_INT(pending.n, 1);
    if (pending.n)
        CHECK_STR(*LIST_AT(struct str, pending, 0), "0002_more");
    CHECK_INT(count("select count(*) from extra"), 0);
    teardown();
}

static void bad_migrations_are_refused(void)
{
    static const struct migration changed[] = {
        {"0001_marks", "create table marks (n bigint)"},
        {"0002_never", "create table never (n bigint)"},
        {NULL, NULL},
    };
    static const struct migration broken[] = {
        {"0001_marks", "create table marks (n bigint not null)"},
        {"0002_half", "create table half (n bigint); create table marks (n bigint)"},
        {NULL, NULL},
    };

    setup_tables();
    CHECK_INT(migrate(&w.cx, changed, false, NULL), ERR_CONSTRAINT);
    CHECK(strstr(w.cx.story.detail, "0001_marks") != NULL);
    CHECK_INT(count("select count(*) from sqlite_master where name = 'never'"), 0);
    CHECK(migrate(&w.cx, broken, false, NULL) != ERR_OK);
    CHECK_INT(count("select count(*) from sqlite_master where name = 'half'"), 0);
    CHECK_INT(count("select count(*) from migrations"), COUNT_OF(flow_migrations));
    CHECK_INT(migrate(&w.cx, scripts, false, NULL), ERR_OK);
    teardown();
}

int main(void)
{
    RUN(a_timer_fires_once_when_due);
    RUN(a_timer_that_nobody_knows_holds_up_no_other);
    RUN(a_timer_moves_and_goes);
    RUN(a_timer_that_fails_stays_for_later);
    RUN(a_timer_that_was_moved_meanwhile_stays_there);
    RUN(a_failure_takes_nobody_elses_lease);
    RUN(a_timer_that_calls_out_is_leased);
    RUN(jobs_run_once_per_period);
    RUN(a_job_ends_its_own_lease_only);
    RUN(a_key_goes_through_its_states);
    RUN(a_key_is_dropped_and_expires);
    RUN(migrations_run_once_in_order);
    RUN(bad_migrations_are_refused);
    return test_end();
}
