/* flow_test.c -- outbox, inbox, timers, jobs, idempotency keys and migrations: once, whatever dies
 * when. */
#include "test.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "flow/idempotency.h"
#include "flow/inbox.h"
#include "flow/migrate.h"
#include "flow/outbox.h"
#include "flow/timer.h"

struct note {
    int64_t n;
};
static const struct field note_fields[] = {
    F_INT(struct note, n, "n", REQUIRED, 0, 1000000, "number"),
    F_END(struct note),
};
static const struct migration scripts[] = {
    {"0001_effects", "create table effects (event_id uuid not null, key uuid not null,"
                     " n bigint not null)"},
    {NULL, NULL},
};

static struct {
    struct arena arena;
    struct clock clock;
    struct rng rng;
    struct ctx cx;
    struct db *db;
    struct bus *bus;
    struct relay relay;
    char dir[64];
    /* what the consumers below refuse */
    int64_t refuse, unavailable;
} w;

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void open_world(void)
{
    char url[96];
    struct db_options options = {.group_commit = true, .readers_max = 2, .clock = &w.clock};

    arena_init(&w.arena, 64u << 20);
    w.cx = (struct ctx){.arena = &w.arena, .clock = &w.clock, .rng = &w.rng};
    w.relay = (struct relay){0};
    snprintf(url, sizeof url, "sqlite:%s", w.dir);
    enum err e = db_open(&w.cx, url, "order", &options, &w.db);
    w.cx.db = w.db;
    snprintf(url, sizeof url, "log:%s/bus", w.dir);
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
    char path[80];

    memset(&w, 0, sizeof w);
    w.clock = (struct clock){true, INT64_C(1796000000000000)};
    rng_seed(&w.rng, 42);
    snprintf(w.dir, sizeof w.dir, "/tmp/flow_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    snprintf(path, sizeof path, "%s/bus", w.dir);
    CHECK(mkdir(path, 0700) == 0);
    open_world();
}

static void teardown(void)
{
    close_world();
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
}

static struct uuid key_of(int n)
{
    return (struct uuid){{[0] = 1, [15] = (unsigned char)n}};
}

static int64_t count(const char *sql)
{
    int64_t n = -1;

    CHECK_INT(db_durable(&w.cx), ERR_OK);
    CHECK_INT(db_int_of(&w.cx, &n, sql, NO_ARGS), ERR_OK);
    return n;
}

/* One change with its event, committed. */
static void append(int key, int64_t n)
{
    struct note note = {n};

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(outbox_append(&w.cx, "order.noted", key_of(key), note_fields, &note), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_durable(&w.cx), ERR_OK);
}

static enum err noted(struct ctx *cx, const struct event *e, const void *data)
{
    const struct note *note = data;

    TRY(db_exec(cx, "insert into effects (event_id, key, n) values ($1, $2, $3)",
                ARGS(db_uuid(e->id), db_uuid(e->key), db_int(note->n))));
    if (note->n == w.refuse)
        return fail(cx, ERR_CONSTRAINT, "number %d is refused", (int)note->n);
    if (note->n == w.unavailable)
        return fail(cx, ERR_UNAVAILABLE, "not now");
    return ERR_OK;
}
static const struct consumer consumers[] = {
    {"order.noted", noted, note_fields, "keeps the number"},
    {NULL, NULL, NULL, NULL},
};

static int64_t start_of(void *arg, struct str topic, int partition)
{
    int64_t next = 0;

    (void)arg;
    return inbox_position(&w.cx, topic, partition, &next) == ERR_OK ? next : BUS_FROM_START;
}

/* Publishes what waits, then applies what the bus holds; the first failure ends it. */
static enum err pump(void)
{
    static const char *const topics[] = {"order"};
    struct bus_reader *reader;
    struct event events[64];
    size_t n = 1;
    enum err e = ERR_OK;

    while (n > 0)
        TRY(outbox_relay(&w.cx, &w.relay, w.bus, &n, &(bool){false}));
    TRY(db_durable(&w.cx));
    TRY(bus_subscribe(w.bus, "self", topics, 1, start_of, NULL, &reader));
    for (n = 1; n > 0 && e == ERR_OK;) {
        e = bus_poll(reader, &w.arena, 20, events, COUNT_OF(events), &n);
        for (size_t i = 0; e == ERR_OK && i < n; i++)
            e = inbox_apply(&w.cx, consumers, &events[i], 1);
    }
    bus_unsubscribe(reader);
    return e == ERR_OK ? db_durable(&w.cx) : e;
}

/* More than the relay has memory for, as after an hour without the bus. */
static void a_backlog_of_large_events_is_relayed_in_parts(void)
{
    struct arena relay;
    struct ctx cx;
    size_t n = 1, rounds = 0;

    setup();
    char *data = malloc(BUS_EVENT_MAX);
    memset(data, ' ', BUS_EVENT_MAX);
    memcpy(data, "{\"n\":1", 6);
    data[BUS_EVENT_MAX - 1] = '}';
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    for (int i = 1; i <= 300; i++)
        CHECK_INT(db_exec(&w.cx,
                          "insert into outbox (event_id, type, aggregate_id, aggregate_seq, "
                          "time_us, traceparent, data) values ($1, 'order.noted', $2, $3, 1, '', "
                          "$4)",
                          ARGS(db_uuid(uuid_v7(i * US_PER_S, &w.rng)), db_uuid(key_of(1)),
                               db_int(i), db_str((struct str){data, BUS_EVENT_MAX}))),
                  ERR_OK);
    free(data);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    arena_init(&relay, 64u << 20);
    for (; n > 0 && rounds < 100; rounds++) {
        cx = w.cx;
        cx.arena = &relay;
        n = 0;
        CHECK_INT(outbox_relay(&cx, &w.relay, w.bus, &n, &(bool){false}), ERR_OK);
        arena_reset(&relay);
        w.cx.ticket = cx.ticket;
    }
    CHECK(rounds > 10 && rounds < 100);
    CHECK_INT(count("select count(*) from outbox where published_at is null"), 0);
    arena_release(&relay);
    teardown();
}

/* What the relay published in one round. */
static size_t relayed(void)
{
    size_t n = 0;

    CHECK_INT(outbox_relay(&w.cx, &w.relay, w.bus, &n, &(bool){false}), ERR_OK);
    CHECK_INT(db_durable(&w.cx), ERR_OK);
    return n;
}

/* As if it had been given its number then and been committed only now. */
static void commit_late(int64_t seq, int key, int64_t n, struct uuid writer)
{
    struct uuid id = uuid_v7(w.clock.virtual_us, &w.rng);

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_exec(&w.cx, "delete from outbox where seq = $1", ARGS(db_int(seq))), ERR_OK);
    CHECK_INT(db_exec(&w.cx,
                      "insert into outbox (seq, event_id, type, aggregate_id, aggregate_seq,"
                      " time_us, traceparent, data, writer)"
                      " values ($1, $2, 'order.noted', $3, $4, $5, '', '{\"n\":1}', $6)",
                      ARGS(db_int(seq), db_uuid(id), db_uuid(key_of(key)), db_int(n),
                           db_int(w.clock.virtual_us), db_uuid(writer))),
              ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    CHECK_INT(db_durable(&w.cx), ERR_OK);
}

/* Looks begin at 1 after this: there are four published rows, the newest seen two moves ago. */
static void look_from_behind(void)
{
    setup();
    w.cx.instance = key_of(76);
    for (int i = 1; i <= 4; i++) {
        append(i, 1);
        CHECK_INT(relayed(), 1);
        w.clock.virtual_us += 300 * US_PER_MS;
    }
    append(5, 1);
    CHECK_INT(relayed(), 1);
    CHECK(w.relay.begin >= 1);
}

static void a_row_that_was_committed_late_is_found_within_a_second(void)
{
    look_from_behind();
    commit_late(1, 9, 1, key_of(76));
    w.clock.virtual_us += 100 * US_PER_MS;
    CHECK_INT(relayed(), 0); /* behind where this look begins */
    w.clock.virtual_us += US_PER_S;
    CHECK_INT(relayed(), 1);
    teardown();
}

/* As when everything that was published has been swept away, or the server is a restored one. */
static void numbers_may_begin_anew(void)
{
    look_from_behind();
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_exec(&w.cx, "delete from outbox", NO_ARGS), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    w.clock.virtual_us += US_PER_S;
    CHECK_INT(relayed(), 0); /* an idle look */
    w.clock.virtual_us += 10 * US_PER_MS;
    append(20, 1);
    CHECK_INT(count("select max(seq) from outbox"), 1);
    CHECK_INT(relayed(), 1);
    teardown();
}

/* What another process has left: as much as there is, one batch after another. */
static void a_backlog_behind_is_published_at_once(void)
{
    look_from_behind();
    w.relay.begin = w.relay.next_begin = w.relay.last = 1000;
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    for (int i = 1; i <= 600; i++)
        CHECK_INT(db_exec(&w.cx,
                          "insert into outbox (seq, event_id, type, aggregate_id, aggregate_seq,"
                          " time_us, traceparent, data, writer)"
                          " values ($1, $2, 'order.noted', $3, $4, 1, '', '{\"n\":1}', $5)",
                          ARGS(db_int(100 + i), db_uuid(uuid_v7(i * US_PER_S, &w.rng)),
                               db_uuid(key_of(50)), db_int(i), db_uuid(key_of(77)))),
                  ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
    w.clock.virtual_us += US_PER_S;
    CHECK_INT(relayed(), 256);
    CHECK_INT(relayed(), 256);
    CHECK_INT(relayed(), 88);
    teardown();
}

/* Another process has numbered it and not published it; its follower is ours. */
static void a_row_behind_goes_before_what_follows_it(void)
{
    struct event events[8];
    struct bus_reader *reader;
    size_t n = 0, at = 0;
    static const char *const topics[] = {"order"};

    look_from_behind();
    commit_late(1, 9, 1, key_of(77));
    append(9, 1); /* the second of its aggregate */
    CHECK_INT(relayed(), 2);
    CHECK_INT(bus_subscribe(w.bus, "self", topics, 1, start_of, NULL, &reader), ERR_OK);
    CHECK_INT(bus_poll(reader, &w.arena, 20, events, COUNT_OF(events), &n), ERR_OK);
    for (size_t i = 0; i < n; i++)
        if (uuid_eq(events[i].key, key_of(9)))
            CHECK_INT(events[i].sequence, ++at);
    CHECK_INT(at, 2);
    bus_unsubscribe(reader);
    teardown();
}

static void outbox_numbers_and_publishes(void)
{
    int64_t rows, age;
    bool waits = false;
    struct note note = {1};

    setup();
    for (int i = 1; i <= 3; i++)
        append(1, i);
    append(2, 10);
    CHECK_INT(count("select max(aggregate_seq) from outbox"), 3);
    CHECK_INT(count("select count(*) from outbox where aggregate_seq = 1"), 2);
    w.clock.virtual_us += 5 * US_PER_S;
    CHECK_INT(outbox_lag(&w.cx, &rows, &age), ERR_OK);
    CHECK_INT(rows, 4);
    CHECK_INT(age, 5 * US_PER_S);
    CHECK_INT(outbox_waits(&w.cx, key_of(1), &waits), ERR_OK);
    CHECK(waits);
    CHECK_INT(outbox_waits(&w.cx, key_of(3), &waits), ERR_OK);
    CHECK(!waits); /* nothing was said of this one */

    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(outbox_append(&w.cx, "order.noted", key_of(3), note_fields, &note), ERR_OK);
    db_rollback(&w.cx); /* no change, no event */
    CHECK_INT(pump(), ERR_OK);
    CHECK_INT(count("select count(*) from effects"), 4);
    CHECK_INT(outbox_lag(&w.cx, &rows, &age), ERR_OK);
    CHECK_INT(rows, 0);
    CHECK_INT(age, 0);
    CHECK_INT(outbox_waits(&w.cx, key_of(1), &waits), ERR_OK);
    CHECK(!waits);
    CHECK_INT(pump(), ERR_OK);
    CHECK_INT(count("select count(*) from effects"), 4);
    teardown();
}

#ifdef JUMUN_FAULTS
static int passes_left;

static bool die_at(void *arg, const char *name)
{
    (void)arg, (void)name;
    if (--passes_left == 0)
        kill(getpid(), SIGKILL);
    return false;
}

static bool fail_at(void *arg, const char *name)
{
    (void)arg, (void)name;
    return --passes_left == 0;
}

/* In a child, which dies at the n-th fault point it passes; true when it did. */
static bool dies_at(int n)
{
    int status = 0;

    close_world(); /* no thread and no lock crosses the fork */
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        open_world();
        passes_left = n;
        fault_hook_set(die_at, NULL);
        _exit(pump() == ERR_OK ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    open_world();
    CHECK(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return WIFSIGNALED(status);
}

static void check_all_once(void)
{
    CHECK_INT(pump(), ERR_OK);
    CHECK_INT(count("select count(*) from outbox where published_at is null"), 0);
    CHECK_INT(count("select count(*) from effects"), 6);
    CHECK_INT(count("select count(distinct event_id) from effects"), 6);
    CHECK_INT(count("select count(*) from parked"), 0);
    /* in the order of each key: a later row never holds a smaller number */
    CHECK_INT(count("select count(*) from effects a join effects b on a.key = b.key"
                    " and a.rowid < b.rowid and a.n > b.n"),
              0);
}

static void a_crash_anywhere_loses_and_doubles_nothing(void)
{
    int n = 0;
    bool died = true;

    while (died && n < 200) {
        setup();
        for (int i = 0; i < 6; i++)
            append(i % 2, i + 1);
        died = dies_at(++n);
        check_all_once();
        teardown();
    }
    CHECK(!died);
    CHECK(n > 10); /* there were fault points to die at */
}

static void a_failure_anywhere_loses_and_doubles_nothing(void)
{
    int n = 0, failures = 0;

    for (passes_left = 0; passes_left <= 0 && n < 200;) {
        setup();
        for (int i = 0; i < 6; i++)
            append(i % 2, i + 1);
        passes_left = ++n;
        fault_hook_set(fail_at, NULL);
        failures += pump() != ERR_OK;
        fault_hook_set(NULL, NULL);
        db_rollback(&w.cx);
        w.cx.ticket = 0; /* the work that failed is given up; the next is new */
        check_all_once();
        teardown();
    }
    CHECK(n < 200);
    CHECK(failures > 5);
}
#endif

/* How many effects its key had had, and whether that was read ahead. */
struct counted_note {
    int64_t n, before;
    bool is_ahead;
};
static const struct field counted_note_fields[] = {
    F_INT(struct counted_note, n, "n", REQUIRED, 0, 1000000, "number"),
    F_END(struct counted_note),
};
static struct counted_note applied[8];
static size_t n_applied;

static void count_ahead(struct ctx *cx, void *data, struct reads *r)
{
    struct counted_note *note = data;

    note->is_ahead = true;
    reads_add(cx, r,
              (struct db_read){.number = &note->before,
                               .sql = "select count(*) from effects where key = $1",
                               .args = ARGS(db_uuid(key_of(note->n == 9 ? 2 : 1)))});
}

static enum err count_before(struct ctx *cx, const struct event *e, const void *data)
{
    struct counted_note note = *(const struct counted_note *)data;

    if (!note.is_ahead)
        TRY(db_int_of(cx, &note.before, "select count(*) from effects where key = $1",
                      ARGS(db_uuid(e->key))));
    applied[n_applied++] = note;
    return db_exec(cx, "insert into effects (event_id, key, n) values ($1, $2, $3)",
                   ARGS(db_uuid(e->id), db_uuid(e->key), db_int(note.n)));
}

static struct event noted_event(int id, int key, const char *data)
{
    return (struct event){.id = key_of(id),
                          .type = STR("order.noted"),
                          .source = STR("order"),
                          .key = key_of(key),
                          .sequence = id,
                          .data = str_from(data),
                          .position = id};
}

/* All of a batch read ahead, but for what follows an event of the same key; none when some of it
 * was applied before and each is looked at by itself. */
static void reads_are_made_ahead_once_for_a_key(void)
{
    static const struct consumer ahead[] = {
        {"order.noted", count_before, counted_note_fields, "counts", .ahead = count_ahead},
        {NULL, NULL, NULL, NULL},
    };
    struct event events[] = {noted_event(1, 1, "{\"n\":1}"), noted_event(2, 2, "{\"n\":9}"),
                             noted_event(3, 1, "{\"n\":3}"), noted_event(4, 1, "{\"n\":4}")};

    setup();
    n_applied = 0;
    CHECK_INT(inbox_apply(&w.cx, ahead, events, 3), ERR_OK);
    CHECK_INT(n_applied, 3);
    CHECK(applied[0].is_ahead && applied[1].is_ahead && !applied[2].is_ahead);
    CHECK_INT(applied[0].before, 0);
    CHECK_INT(applied[1].before, 0);
    CHECK_INT(applied[2].before, 1);
    n_applied = 0;
    CHECK_INT(inbox_apply(&w.cx, ahead, events, 4), ERR_OK);
    CHECK_INT(n_applied, 1);
    CHECK(!applied[0].is_ahead);
    CHECK_INT(applied[0].before, 2);
    CHECK_INT(count("select count(*) from effects"), 4);
    teardown();
}

static void an_event_seen_before_is_dropped(void)
{
    struct event e = {.id = key_of(99),
                      .type = STR("order.noted"),
                      .source = STR("order"),
                      .key = key_of(1),
                      .sequence = 1,
                      .data = STR("{\"n\":7,\"added\":\"later\"}"),
                      .position = 4};
    int64_t next;

    setup();
    CHECK_INT(inbox_apply(&w.cx, consumers, &e, 1), ERR_OK);
    CHECK_INT(inbox_apply(&w.cx, consumers, &e, 1), ERR_OK);
    e.position = 2; /* an old copy never moves the position back */
    CHECK_INT(inbox_apply(&w.cx, consumers, &e, 1), ERR_OK);
    CHECK_INT(count("select count(*) from effects"), 1);
    CHECK_INT(inbox_position(&w.cx, STR("order"), 0, &next), ERR_OK);
    CHECK_INT(next, 5);
    CHECK_INT(inbox_position(&w.cx, STR("order"), 1, &next), ERR_OK);
    CHECK_INT(next, BUS_FROM_START);
    e = (struct event){.id = key_of(98),
                       .type = STR("order.unheard_of"),
                       .source = STR("order"),
                       .key = key_of(1),
                       .data = STR("{}"),
                       .position = 5};
    CHECK_INT(inbox_apply(&w.cx, consumers, &e, 1), ERR_OK); /* not for us: only passed */
    CHECK_INT(count("select count(*) from inbox"), 1);
    CHECK_INT(count("select next from offsets"), 6);
    e.type = STR("order.noted");
    e.id = key_of(97);
    e.position = 6;
    e.data = STR("{\"n\":\"seven\"}");
    CHECK_INT(inbox_apply(&w.cx, consumers, &e, 1), ERR_OK);
    CHECK_INT(count("select count(*) from parked"), 1); /* data that is not what the table says */
    CHECK_INT(count("select count(*) from effects"), 1);
    teardown();
}

static int64_t first_parked(void)
{
    return count("select min(id) from parked");
}

static void a_refused_event_parks_its_key_only(void)
{
    struct list parked = {NULL, 0};

    setup();
    w.refuse = 13;
    append(1, 13);
    append(1, 14);
    append(2, 20);
    append(1, 15);
    CHECK_INT(pump(), ERR_OK);
    CHECK_INT(count("select count(*) from effects"), 1);
    CHECK_INT(count("select n from effects"), 20);
    CHECK_INT(parked_list(&w.cx, 0, 10, &parked), ERR_OK);
    CHECK_INT(parked.n, 3);
    if (parked.n == 3) {
        const struct parked *p = LIST_AT(struct parked, parked, 0);
        CHECK_STR(p->reason, "CONSTRAINT: number 13 is refused");
        CHECK_STR(p->data, "{\"n\":13}");
        CHECK_INT(p->tries, 1);
        CHECK_INT(LIST_AT(struct parked, parked, 2)->sequence, 3);
    }
    CHECK_INT(parked_list(&w.cx, first_parked(), 10, &parked), ERR_OK);
    CHECK_INT(parked.n, 2);
    CHECK_INT(parked_retry(&w.cx, consumers, first_parked()), ERR_DEAD_LETTER);
    CHECK_STR(w.cx.story.public_detail, "CONSTRAINT: number 13 is refused");
    CHECK_INT(count("select count(*) from parked"), 3);
    CHECK_INT(count("select tries from parked order by id limit 1"), 2);
    CHECK_INT(parked_retry(&w.cx, consumers, 4711), ERR_NOT_FOUND);
    w.refuse = 0; /* the cause is repaired */
    CHECK_INT(parked_retry(&w.cx, consumers, first_parked()), ERR_OK);
    CHECK_INT(count("select count(*) from parked"), 0);
    CHECK_INT(count("select count(*) from effects"), 4);
    CHECK_INT(count("select n from effects order by rowid desc limit 1"), 15);
    CHECK_INT(pump(), ERR_OK);
    CHECK_INT(count("select count(*) from effects"), 4);
    teardown();
}

struct retrier {
    pthread_barrier_t *together;
    struct rng rng;
    int64_t id;
};

static void *retry_main(void *arg)
{
    struct retrier *r = arg;
    struct arena arena;

    arena_init(&arena, 16u << 20);
    struct ctx cx = {.arena = &arena, .clock = &w.clock, .rng = &r->rng, .db = w.db};
    pthread_barrier_wait(r->together);
    enum err e = parked_retry(&cx, consumers, r->id);
    db_rollback(&cx);
    CHECK(e == ERR_OK || e == ERR_NOT_FOUND); /* the other one was faster */
    arena_release(&arena);
    return NULL;
}

static void two_that_retry_at_once_apply_once(void)
{
    pthread_barrier_t together;

    setup();
    pthread_barrier_init(&together, NULL, 2);
    for (int64_t round = 1; round <= 30; round++) {
        pthread_t threads[2];
        struct retrier retriers[2];
        w.refuse = round;
        append(1, round);
        CHECK_INT(pump(), ERR_OK);
        w.refuse = 0;
        for (int i = 0; i < 2; i++) {
            retriers[i] = (struct retrier){.together = &together, .id = first_parked()};
            rng_seed(&retriers[i].rng, (uint64_t)(2 * round + i));
        }
        for (int i = 0; i < 2; i++)
            CHECK(pthread_create(&threads[i], NULL, retry_main, &retriers[i]) == 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        CHECK_INT(count("select count(*) from parked"), 0);
        CHECK_INT(count("select count(*) from effects"), round);
    }
    pthread_barrier_destroy(&together);
    teardown();
}

static void a_discarded_event_lets_the_rest_go_on(void)
{
    setup();
    w.refuse = 13;
    append(1, 13);
    append(1, 14);
    CHECK_INT(pump(), ERR_OK);
    CHECK_INT(count("select count(*) from parked"), 2);
    CHECK_INT(parked_discard(&w.cx, consumers, first_parked()), ERR_OK);
    CHECK_INT(count("select count(*) from parked"), 0);
    CHECK_INT(count("select n from effects"), 14);
    CHECK_INT(parked_discard(&w.cx, consumers, 1), ERR_NOT_FOUND);
    teardown();
}

static void a_given_up_event_is_parked_and_never_applied_twice(void)
{
    setup();
    const struct event e = {.id = ctx_uuid(&w.cx),
                            .type = STR("order.noted"),
                            .source = STR("probe"),
                            .key = ctx_uuid(&w.cx),
                            .sequence = 1,
                            .time_us = 5,
                            .data = STR("{\"n\":77}"),
                            .position = 9};
    CHECK_INT(inbox_park(&w.cx, &e, 12, STR("failed for too long")), ERR_OK);
    CHECK_INT(inbox_park(&w.cx, &e, 12, STR("failed for too long")), ERR_OK);
    CHECK_INT(count("select count(*) from parked"), 1);
    CHECK_INT(count("select time_us from parked"), 5);
    CHECK_INT(count("select tries from parked"), 12);
    CHECK_INT(count("select next from offsets where topic = 'probe'"), 10);
    CHECK_INT(inbox_apply(&w.cx, consumers, &e, 1), ERR_OK); /* offered again: known */
    CHECK_INT(count("select count(*) from effects"), 0);
    CHECK_INT(parked_retry(&w.cx, consumers, first_parked()), ERR_OK);
    CHECK_INT(count("select n from effects"), 77);
    teardown();
}

static void a_list_of_dead_letters_leaves_large_data_out(void)
{
    struct list parked = {NULL, 0};

    setup();
    char *large = arena_alloc(&w.arena, 200000);
    memset(large, ' ', 200000);
    memcpy(large, "{\"n\":78}", 8);
    struct event e = {.id = ctx_uuid(&w.cx),
                      .type = STR("order.noted"),
                      .source = STR("probe"),
                      .key = ctx_uuid(&w.cx),
                      .sequence = 1,
                      .data = {large, 200000}};
    CHECK_INT(inbox_park(&w.cx, &e, 12, STR("failed for too long")), ERR_OK);
    CHECK_INT(parked_list(&w.cx, 0, 100, &parked), ERR_OK);
    CHECK_INT(parked.n, 1);
    CHECK(parked.n == 1 && LIST_AT(struct parked, parked, 0)->data.n < 100);
    CHECK_INT(parked_list(&w.cx, 0, 1, &parked), ERR_OK);
    CHECK(parked.n == 1 && LIST_AT(struct parked, parked, 0)->data.n == 200000);
    teardown();
}

static void a_failure_that_may_pass_is_offered_again(void)
{
    setup();
    w.unavailable = 5;
    append(1, 5);
    append(1, 6);
    CHECK_INT(pump(), ERR_UNAVAILABLE);
    CHECK_INT(count("select count(*) from effects"), 0);
    CHECK_INT(count("select count(*) from inbox"), 0);
    CHECK_INT(count("select count(*) from parked"), 0);
    w.unavailable = 0;
    CHECK_INT(pump(), ERR_OK);
    CHECK_INT(count("select count(*) from effects"), 2);
    CHECK_INT(count("select n from effects order by rowid limit 1"), 5);
    teardown();
}

int main(void)
{
    RUN(outbox_numbers_and_publishes);
    RUN(a_row_that_was_committed_late_is_found_within_a_second);
    RUN(numbers_may_begin_anew);
    RUN(a_backlog_behind_is_published_at_once);
    RUN(a_row_behind_goes_before_what_follows_it);
    RUN(a_backlog_of_large_events_is_relayed_in_parts);
#ifdef JUMUN_FAULTS
    RUN(a_crash_anywhere_loses_and_doubles_nothing);
    RUN(a_failure_anywhere_loses_and_doubles_nothing);
#endif
    RUN(reads_are_made_ahead_once_for_a_key);
    RUN(an_event_seen_before_is_dropped);
    RUN(a_refused_event_parks_its_key_only);
    RUN(two_that_retry_at_once_apply_once);
    RUN(a_discarded_event_lets_the_rest_go_on);
    RUN(a_given_up_event_is_parked_and_never_applied_twice);
    RUN(a_list_of_dead_letters_leaves_large_data_out);
    RUN(a_failure_that_may_pass_is_offered_again);
    return test_end();
}
