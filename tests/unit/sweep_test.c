/* sweep_test.c -- what is old goes, what is young or needed stays, and a crash in between costs
 * nothing. */
#include "test.h"

#include <ftw.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"
#include "bus/bus.h"
#include "flow/idempotency.h"
#include "flow/inbox.h"
#include "flow/migrate.h"
#include "flow/outbox.h"
#include "flow/sweep.h"

static struct {
    struct arena arena;
    struct clock clock;
    struct rng rng;
    struct ctx cx;
    struct db *db;
    struct bus *bus;
    struct relay relay;
    char dir[64];
} w;

struct note {
    int64_t n;
};
static const struct field note_fields[] = {
    F_INT(struct note, n, "n", REQUIRED, 0, INT64_MAX, "number"),
    F_END(struct note),
};

static const struct migration scripts[] = {
    {"0001_effects", "create table effects (n bigint not null)"},
    {NULL, NULL},
};

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void open_world(void)
{
    struct db_options options = {.group_commit = false, .readers_max = 2, .clock = &w.clock};
    char url[96];

    arena_init(&w.arena, 256u << 20);
    w.cx = (struct ctx){.arena = &w.arena, .clock = &w.clock, .rng = &w.rng};
    snprintf(url, sizeof url, "sqlite:%s", w.dir);
    enum err e = db_open(&w.cx, url, "store", &options, &w.db);
    w.cx.db = w.db;
    snprintf(url, sizeof url, "log:%s", w.dir);
    if (e == ERR_OK)
        e = bus_open(&w.cx, url, &w.bus);
    if (e == ERR_OK)
        e = migrate(&w.cx, scripts, false, NULL);
    if (e != ERR_OK) {
        printf("Bail out! %s\n", w.cx.story.detail);
        exit(1);
    }
}

static void close_world(void)
{
    db_rollback(&w.cx);
    bus_close(w.bus);
    db_close(w.db);
    arena_release(&w.arena);
}

static void setup(void)
{
    memset(&w, 0, sizeof w);
    w.clock = (struct clock){true, INT64_C(1796000000000000)};
    rng_seed(&w.rng, 5);
    snprintf(w.dir, sizeof w.dir, "/tmp/sweep_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    open_world();
}

static void teardown(void)
{
    close_world();
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
}

static void pass(int64_t us)
{
    w.clock.virtual_us += us;
}

static int64_t count(const char *sql)
{
    int64_t n = -1;

    CHECK_INT(db_int_of(&w.cx, &n, sql, NO_ARGS), ERR_OK);
    return n;
}

static struct uuid key_of(int n)
{
    return (struct uuid){{[0] = 1, [14] = (unsigned char)(n >> 8), [15] = (unsigned char)n}};
}

static void append(const char *type, int key, int64_t n)
{
    struct note note = {n};

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(outbox_append(&w.cx, type, key_of(key), note_fields, &note), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
}

static void publish_all(void)
{
    size_t n = 1;

    while (n > 0)
        CHECK_INT(outbox_relay(&w.cx, &w.relay, w.bus, &n, &(bool){false}), ERR_OK);
}

/* All there is to sweep, in batches; how many rows that was. */
static int64_t sweep_all(int64_t keep_us)
{
    int64_t rows = SWEEP_BATCH, all = 0;

    while (rows == SWEEP_BATCH) {
        CHECK_INT(sweep_outbox(&w.cx, keep_us, &rows), ERR_OK);
        CHECK(rows <= SWEEP_BATCH);
        all += rows;
    }
    return all;
}

static void only_old_published_events_leave_the_outbox(void)
{
    setup();
    for (int i = 0; i < 2 * SWEEP_BATCH + 10; i++)
        append("store.changed", i % 7, i);
    publish_all();
    CHECK_INT(sweep_all(US_PER_HOUR), 0); /* young */
    pass(US_PER_HOUR);
    CHECK_INT(sweep_all(US_PER_HOUR), 0); /* an hour old, not older */
    for (int i = 0; i < 5; i++)
        append("store.changed", i, i);
    publish_all();
    append("store.changed", 1, 99);
    pass(1);
    CHECK_INT(sweep_all(US_PER_HOUR), 2 * SWEEP_BATCH + 10);
    CHECK_INT(count("select count(*) from outbox"), 6);
    pass(US_PER_HOUR);
    CHECK_INT(sweep_all(US_PER_HOUR), 5);
    CHECK_INT(count("select count(*) from outbox where published_at is null"), 1);
    teardown();
}

static void what_was_never_published_is_never_deleted(void)
{
    setup();
    for (int i = 0; i < 10; i++)
        append("store.changed", i, i);
    publish_all();
    for (int i = 0; i < 10; i++)
        append("store.changed", i, i);
    pass(1000 * US_PER_DAY);
    CHECK_INT(sweep_all(US_PER_HOUR), 10);
    CHECK_INT(sweep_all(0), 0);
    CHECK_INT(count("select count(*) from outbox where published_at is null"), 10);
    publish_all(); /* and they are still good for it */
    pass(US_PER_HOUR + 1);
    CHECK_INT(sweep_all(US_PER_HOUR), 10);
    CHECK_INT(count("select count(*) from outbox"), 0);
    teardown();
}

static void an_aggregate_never_counts_from_one_again(void)
{
    setup();
    for (int i = 0; i < 3; i++)
        append("store.changed", 1, i);
    publish_all();
    pass(2 * US_PER_HOUR);
    append("store.changed", 1, 3);
    append("store.changed", 2, 4);
    CHECK_INT(sweep_all(US_PER_HOUR), 3);
    CHECK_INT(count("select aggregate_seq from outbox where seq = 4"), 4);
    publish_all();
    pass(2 * US_PER_HOUR);
    CHECK_INT(sweep_all(US_PER_HOUR), 2);
    append("store.changed", 1, 5);
    append("store.changed", 1, 6);
    append("store.changed", 3, 7);
    CHECK_INT(count("select min(aggregate_seq) from outbox"), 1); /* key 3 is new */
    CHECK_INT(count("select max(aggregate_seq) from outbox"), 6);
    CHECK_INT(count("select count(*) from outbox_swept"), 2);
    teardown();
}

static enum err noted(struct ctx *cx, const struct event *e, const void *data)
{
    const struct note *note = data;

    (void)e;
    return db_exec(cx, "insert into effects (n) values ($1)", ARGS(db_int(note->n)));
}
static const struct consumer consumers[] = {
    {"store.changed", noted, note_fields, "keeps the number"},
    {NULL, NULL, NULL, NULL},
};

static void apply(int number)
{
    struct event e = {.id = key_of(number),
                      .type = STR("store.changed"),
                      .source = STR("store"),
                      .key = key_of(1),
                      .sequence = 1,
                      .data = STR("{\"n\":7}"),
                      .position = number};

    CHECK_INT(inbox_apply(&w.cx, consumers, &e, 1), ERR_OK);
}

static void an_event_is_known_for_as_long_as_it_may_come_again(void)
{
    int64_t rows = 0;

    setup();
    apply(1);
    pass(INBOX_KEEP_US);
    apply(2);
    CHECK_INT(sweep_rows(&w.cx, &sweep_inbox, INBOX_KEEP_US, &rows), ERR_OK);
    CHECK_INT(rows, 0);
    apply(1); /* a copy at the last moment */
    CHECK_INT(count("select count(*) from effects"), 2);
    pass(1);
    CHECK_INT(sweep_rows(&w.cx, &sweep_inbox, INBOX_KEEP_US, &rows), ERR_OK);
    CHECK_INT(rows, 1);
    apply(2);
    CHECK_INT(count("select count(*) from effects"), 2);
    CHECK_INT(count("select count(*) from inbox"), 1);
    teardown();
}

static void answers_go_after_a_day(void)
{
    struct idempotent_answer a;
    int64_t rows = 0, all = 0;

    setup();
    for (int i = 0; i < SWEEP_BATCH + 1; i++) {
        char text[16];
        snprintf(text, sizeof text, "key-%d", i);
        struct idempotency k = {STR("anna"), STR("POST /v1/orders"), str_from(text), {7}};
        CHECK_INT(db_begin(&w.cx), ERR_OK);
        CHECK_INT(idempotency_take(&w.cx, &k, &a), ERR_OK);
        CHECK_INT(db_commit(&w.cx), ERR_OK);
    }
    pass(IDEMPOTENCY_KEEP_US);
    CHECK_INT(sweep_rows(&w.cx, &sweep_idempotency, 0, &rows), ERR_OK);
    CHECK_INT(rows, 0);
    pass(1);
    for (rows = SWEEP_BATCH; rows == SWEEP_BATCH; all += rows)
        CHECK_INT(sweep_rows(&w.cx, &sweep_idempotency, 0, &rows), ERR_OK);
    CHECK_INT(all, SWEEP_BATCH + 1);
    teardown();
}

static const char *const snapshot_types[] = {"store.changed", NULL};
static const struct bus_keep keep = {
    .keep_us = 7 * US_PER_DAY, .snapshots = snapshot_types, .snapshot_us = US_PER_HOUR};

static void put(const char *type, int key, int64_t n)
{
    struct event e = {.id = ctx_uuid(&w.cx),
                      .type = str_from(type),
                      .source = STR("store"),
                      .key = key_of(key),
                      .sequence = 1,
                      .time_us = w.clock.virtual_us,
                      .data = arena_printf(&w.arena, "{\"n\":%lld}", (long long)n)};

    CHECK_INT(bus_publish(&w.cx, w.bus, &e, 1), ERR_OK);
}

static int64_t from_start(void *arg, struct str topic, int partition)
{
    (void)arg, (void)topic, (void)partition;
    return BUS_FROM_START;
}

/* What somebody finds who reads the topic from its beginning: "1 2 3". */
static struct str left_on_bus(void)
{
    static const char *const topics[] = {"store"};
    struct bus_reader *r;
    struct event events[16];
    struct buf text;
    size_t n = 1;

    buf_init_arena(&text, &w.arena, 100000);
    CHECK_INT(bus_subscribe(w.bus, NULL, topics, 1, from_start, NULL, &r), ERR_OK);
    while (n > 0) {
        CHECK_INT(bus_poll(r, &w.arena, 0, events, COUNT_OF(events), &n), ERR_OK);
        for (size_t i = 0; i < n; i++) {
            if (text.n)
                buf_char(&text, ' ');
            buf_add(&text, events[i].data.p + 5, events[i].data.n - 6);
        }
    }
    bus_unsubscribe(r);
    return buf_str(&text);
}

static int64_t sweep_bus(const struct bus_keep *what)
{
    struct bus_swept swept = {0, true};
    int64_t all = 0;

    for (; swept.more; all += swept.rows)
        CHECK_INT(bus_sweep(&w.cx, w.bus, "store", what, &swept), ERR_OK);
    return all;
}

static struct bus_reader *join(const char *group)
{
    static const char *const topics[] = {"store"};
    struct bus_reader *r;

    CHECK_INT(bus_subscribe(w.bus, group, topics, 1, from_start, NULL, &r), ERR_OK);
    return r;
}

/* Reads and acknowledges up to `most`. */
static size_t take(struct bus_reader *r, size_t most)
{
    struct event events[64];
    size_t n = 0;

    CHECK_INT(bus_poll(r, &w.arena, 0, events, most, &n), ERR_OK);
    if (n)
        bus_ack(r, &events[n - 1]);
    return n;
}

static void a_topic_without_readers_goes_by_age(void)
{
    setup();
    for (int i = 1; i <= 4; i++)
        put("stock.sold", i, i);
    pass(6 * US_PER_DAY);
    put("stock.sold", 5, 5);
    CHECK_INT(sweep_bus(&keep), 0);
    pass(US_PER_DAY);
    CHECK_INT(sweep_bus(&keep), 4);
    CHECK_STR(left_on_bus(), "5");
    pass(7 * US_PER_DAY);
    CHECK_INT(sweep_bus(&keep), 1);
    put("stock.sold", 6, 6); /* positions go on where they were */
    CHECK_STR(left_on_bus(), "6");
    teardown();
}

static void what_a_group_has_not_read_stays(void)
{
    setup();
    struct bus_reader *slow = join("order"), *fast = join("payment");
    for (int i = 1; i <= 6; i++)
        put("stock.sold", i, i);
    pass(30 * US_PER_DAY);
    CHECK_INT(sweep_bus(&keep), 0); /* nobody has said yet where he begins */
    CHECK_INT(take(fast, 6), 6);
    CHECK_INT(sweep_bus(&keep), 0);
    CHECK_INT(take(slow, 2), 2);
    CHECK_INT(sweep_bus(&keep), 2);
    CHECK_STR(left_on_bus(), "3 4 5 6");
    bus_unsubscribe(slow);
    bus_unsubscribe(fast);
    close_world(); /* a group that is away is not forgotten */
    open_world();
    fast = join("payment");
    CHECK_INT(take(fast, 6), 4); /* its own database says from the start */
    CHECK_INT(sweep_bus(&keep), 0);
    slow = join("order");
    CHECK_INT(take(slow, 3), 3);
    CHECK_INT(sweep_bus(&keep), 3);
    CHECK_STR(left_on_bus(), "6");
    bus_unsubscribe(slow);
    bus_unsubscribe(fast);
    teardown();
}

static void the_newest_snapshot_of_a_key_stays(void)
{
    setup();
    for (int i = 1; i <= 6; i++)
        put("store.changed", i % 2, i); /* the newest are 5 and 6 */
    put("store.changed", 9, 7);
    put("stock.sold", 1, 8);
    CHECK_INT(sweep_bus(&keep), 0);
    pass(US_PER_HOUR);
    CHECK_INT(sweep_bus(&keep), 4);
    CHECK_STR(left_on_bus(), "5 6 7 8");
    pass(100 * US_PER_DAY);
    CHECK_INT(sweep_bus(&keep), 1);
    CHECK_STR(left_on_bus(), "5 6 7"); /* enough for a service that is new */
    put("store.changed", 0, 9);
    CHECK_INT(sweep_bus(&keep), 0); /* not before everybody may have seen the new one */
    pass(US_PER_HOUR);
    CHECK_INT(sweep_bus(&keep), 1);
    CHECK_STR(left_on_bus(), "5 7 9");
    close_world();
    open_world();
    CHECK_INT(sweep_bus(&keep), 0);
    pass(100 * US_PER_DAY);
    CHECK_INT(sweep_bus(&keep), 0);
    CHECK_STR(left_on_bus(), "5 7 9");
    teardown();
}

static void snapshots_that_a_group_needs_are_not_compacted(void)
{
    setup();
    struct bus_reader *r = join("order");
    for (int i = 1; i <= 6; i++)
        put("store.changed", 1, i);
    CHECK_INT(take(r, 3), 3);
    pass(US_PER_DAY);
    CHECK_INT(sweep_bus(&keep), 2);
    CHECK_STR(left_on_bus(), "3 4 5 6");
    CHECK_INT(take(r, 10), 3);
    CHECK_INT(sweep_bus(&keep), 3);
    CHECK_STR(left_on_bus(), "6");
    bus_unsubscribe(r);
    teardown();
}

static void a_large_log_forgets_earlier(void)
{
    struct bus_keep small = keep;
    char *filler = NULL;

    setup();
    struct bus_reader *r = join("order");
    small.max_bytes = 1024 * 1024;
    filler = arena_zalloc(&w.arena, 100001);
    memset(filler, '1', 18);
    memset(filler + 18, ' ', 100000 - 18);
    for (int i = 0; i < 20; i++) {
        struct event e = {.id = ctx_uuid(&w.cx),
                          .type = STR("stock.sold"),
                          .source = STR("store"),
                          .key = key_of(i),
                          .sequence = 1,
                          .time_us = w.clock.virtual_us,
                          .data = {filler, 100000}};
        CHECK_INT(bus_publish(&w.cx, w.bus, &e, 1), ERR_OK);
    }
    pass(2 * US_PER_HOUR);
    CHECK_INT(sweep_bus(&keep), 0);
    CHECK_INT(sweep_bus(&small), 0); /* too large, but not read */
    CHECK_INT(take(r, 15), 15);
    CHECK_INT(sweep_bus(&small), 15);
    CHECK_INT(take(r, 15), 5);
    CHECK_INT(sweep_bus(&small), 0); /* small enough by now */
    bus_unsubscribe(r);
    teardown();
}

#ifdef JUMUN_FAULTS
static int passes_left;

static bool is_sweeps(const char *name)
{
    return strcmp(name, "flow.sweep.commit") == 0 || strcmp(name, "bus.sweep.commit") == 0;
}

static bool die_at(void *arg, const char *name)
{
    (void)arg;
    if (is_sweeps(name) && --passes_left == 0)
        kill(getpid(), SIGKILL);
    return false;
}

static bool fail_at(void *arg, const char *name)
{
    (void)arg;
    return is_sweeps(name) && --passes_left == 0;
}

static void fill(void)
{
    for (int i = 0; i < 2 * SWEEP_BATCH + 50; i++)
        append("store.changed", i % 3, i);
    publish_all();
    pass(2 * US_PER_HOUR);
    append("store.changed", 1, 1000);
    for (int i = 1; i <= 3; i++)
        apply(i);
    pass(INBOX_KEEP_US + 1);
    apply(4);
}

/* Outbox, inbox and topic to the end; the first failure ends it. */
static enum err sweep_everything(void)
{
    struct bus_swept swept = {0, true};
    int64_t rows = SWEEP_BATCH;

    while (rows == SWEEP_BATCH)
        TRY(sweep_outbox(&w.cx, US_PER_HOUR, &rows));
    TRY(sweep_rows(&w.cx, &sweep_inbox, INBOX_KEEP_US, &rows));
    while (swept.more)
        TRY(bus_sweep(&w.cx, w.bus, "store", &keep, &swept));
    return ERR_OK;
}

static void check_swept(void)
{
    CHECK_INT(sweep_everything(), ERR_OK);
    CHECK_INT(count("select count(*) from outbox"), 1);
    CHECK_INT(count("select count(*) from outbox where published_at is null"), 1);
    CHECK_INT(count("select count(*) from inbox"), 1);
    append("store.changed", 1, 1001); /* 150 went before the two of now */
    CHECK_INT(count("select max(aggregate_seq) from outbox"), 152);
    CHECK_STR(left_on_bus(), "447 448 449"); /* of each key the newest that was published */
}

static void a_crash_between_batches_is_harmless(void)
{
    int n = 0;
    bool died = true;

    while (died && n < 50) {
        int status = 0;
        setup();
        fill();
        close_world(); /* nothing open crosses the fork */
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            open_world();
            passes_left = n + 1;
            fault_hook_set(die_at, NULL);
            _exit(sweep_everything() == ERR_OK ? 0 : 1);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child);
        died = WIFSIGNALED(status);
        CHECK(died || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
        n += died;
        open_world();
        check_swept();
        teardown();
    }
    CHECK(n >= 6); /* three of the outbox, one of the inbox, the rest of the bus */
    CHECK(!died);
}

static void a_failed_batch_is_harmless(void)
{
    enum err e = ERR_UNAVAILABLE;

    for (int n = 1; e != ERR_OK && n < 50; n++) {
        setup();
        fill();
        passes_left = n;
        fault_hook_set(fail_at, NULL);
        e = sweep_everything();
        fault_hook_set(NULL, NULL);
        CHECK(!db_in_transaction(&w.cx));
        check_swept();
        teardown();
    }
    CHECK_INT(e, ERR_OK);
}
#endif

int main(void)
{
    RUN(only_old_published_events_leave_the_outbox);
    RUN(what_was_never_published_is_never_deleted);
    RUN(an_aggregate_never_counts_from_one_again);
    RUN(an_event_is_known_for_as_long_as_it_may_come_again);
    RUN(answers_go_after_a_day);
    RUN(a_topic_without_readers_goes_by_age);
    RUN(what_a_group_has_not_read_stays);
    RUN(the_newest_snapshot_of_a_key_stays);
    RUN(snapshots_that_a_group_needs_are_not_compacted);
    RUN(a_large_log_forgets_earlier);
#ifdef JUMUN_FAULTS
    RUN(a_crash_between_batches_is_harmless);
    RUN(a_failed_batch_is_harmless);
#endif
    return test_end();
}
