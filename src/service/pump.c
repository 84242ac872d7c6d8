/* pump.c -- a service's background work: relay, consumer, timers and jobs, each an ordinary thread.
 */
#include "base/thread.h"
#include "flow/inbox.h"
#include "flow/outbox.h"
#include "flow/timer.h"
#include "obs/log.h"
#include "service/running.h"
#include "service/sweep.h"

#define PUMP_ARENA_MAX (64u * 1024 * 1024)
#define POLL_MS 1000
#define EVENTS_MAX 64
/* Events in one commit; requests of the service wait for the writer as long as they take. */
#define TOGETHER_MAX 16
#define TRIES_MAX 12    /* of one event, some 15 s: then it is parked */
#define PASSED_MAX 1000 /* events without a consumer that a restart may read again */
#define TIMERS_MAX 64
/* Under load timers look at most this often; an early bell waits for it. */
#define TIMER_PAUSE_US (20 * US_PER_MS)
#define IDLE_US US_PER_S
/*
 * On a broker a batch costs requests, answers and commits of every reader, however few events are
 * in it: the more the last one had, the longer the next may fill. The first after a pause waits for
 * nothing, and what one customer does hardly waits.
 */
#define RELAY_PACE_FIRST_US (5 * US_PER_MS)
#define RELAY_PACE_EVENT_US (4 * US_PER_MS) /* for each event of the last batch */
#define RELAY_PACE_LAST_US (60 * US_PER_MS)
#define CONSUME_PAUSE_US (100 * US_PER_MS) /* after a failure */
#define BACK_OFF_FIRST_US (10 * US_PER_MS)
#define BACK_OFF_LAST_US (5 * US_PER_S)

static void bell_init(struct bell *b)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->rung, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void bell_ring(struct bell *b)
{
    pthread_mutex_lock(&b->lock);
    if (!b->ringing) {
        b->ringing = true;
        pthread_cond_signal(&b->rung);
    }
    pthread_mutex_unlock(&b->lock);
}

/* Waits for the bell, at most wait_us. */
static void bell_wait(struct bell *b, int64_t wait_us)
{
    int64_t until = clock_monotonic_us() + wait_us;
    struct timespec at = {.tv_sec = until / US_PER_S, .tv_nsec = until % US_PER_S * 1000};

    pthread_mutex_lock(&b->lock);
    while (!b->ringing)
        if (pthread_cond_timedwait(&b->rung, &b->lock, &at) != 0)
            break;
    b->ringing = false;
    pthread_mutex_unlock(&b->lock);
}

static int64_t back_off(int64_t last_us)
{
    int64_t next = last_us ? last_us * 2 : BACK_OFF_FIRST_US;

    return next < BACK_OFF_LAST_US ? next : BACK_OFF_LAST_US;
}

static void sleep_us(int64_t us)
{
    const struct timespec t = {.tv_sec = us / US_PER_S, .tv_nsec = us % US_PER_S * 1000};

    if (us > 0)
        nanosleep(&t, NULL);
}

/* From the begin of a batch of n events to the begin of the next. */
static int64_t relay_pace(const struct svc *s, size_t n)
{
    int64_t pace_us = (int64_t)n * RELAY_PACE_EVENT_US;

    if (n == 0 || !bus_is_shared(s->platform->bus))
        return 0;
    if (pace_us > RELAY_PACE_LAST_US)
        return RELAY_PACE_LAST_US;
    return pace_us > RELAY_PACE_FIRST_US ? pace_us : RELAY_PACE_FIRST_US;
}

static void *relay_main(void *arg)
{
    struct svc *s = arg;
    struct arena arena;
    int64_t pause_us = 0;

    thread_name("relay", s->service->name);
    arena_init(&arena, PUMP_ARENA_MAX);
    while (!s->stop) {
        struct ctx cx;
        size_t n = 0;
        bool more = false;
        int64_t begun_us = clock_monotonic_us();
        platform_ctx(s->platform, s, &arena, &cx);
        enum err e = outbox_relay(&cx, &s->relay, s->platform->bus, &n, &more);
        db_rollback(&cx);
        if (e != ERR_OK)
            log_work(&cx, "relay", str_from(s->service->name), e, 0, 0);
        pause_us = e == ERR_OK ? 0 : back_off(pause_us);
        arena_reset(&arena);
        if (pause_us) {
            bell_wait(&s->relay_bell, pause_us);
        } else if (!more) {
            sleep_us(begun_us + relay_pace(s, n) - clock_monotonic_us());
            bell_wait(&s->relay_bell, IDLE_US);
        }
    }
    arena_release(&arena);
    return NULL;
}

/* Work beside it was faster: nobody's fault, and over by now. */
static enum err apply_past_conflicts(struct svc *s, struct ctx *cx, const struct event *events,
                                     size_t n)
{
    enum err e = inbox_apply(cx, s->service->consumers, events, n);

    for (int tries = 1; tries < CONFLICT_TRIES && e == ERR_CONFLICT && !s->stop; tries++)
        e = inbox_apply(cx, s->service->consumers, events, n);
    return e;
}

/*
 * Events in one commit, all or none, behind the work that is in the group commit *ticket: when that
 * group was lost, so is the reader's place, and these are not applied either.
 */
static enum err apply_some(struct svc *s, const struct event *events, size_t n, uint64_t *ticket)
{
    struct arena arena;
    struct ctx cx;

    arena_init(&arena, PUMP_ARENA_MAX);
    platform_ctx(s->platform, s, &arena, &cx);
    cx.ticket = *ticket;
    int64_t begun_us = clock_monotonic_us();
    enum err result = apply_past_conflicts(s, &cx, events, n);
    if (result == ERR_OK) {
        metric_add(s->consumed, (int64_t)n);
        *ticket = cx.ticket;
    } else if (n == 1) { /* more than one are tried again, each by itself */
        log_work(&cx, "event", events->type, result, 0, clock_monotonic_us() - begun_us);
    }
    arena_release(&arena);
    return result;
}

/* Waits until what is in the group commit is durable. ERR_UNAVAILABLE: it is gone. */
static enum err wait_durable(struct svc *s, struct arena *arena, uint64_t ticket)
{
    struct ctx cx;

    platform_ctx(s->platform, s, arena, &cx);
    cx.ticket = ticket;
    return db_durable(&cx);
}

/* It failed so often that the service would stand still behind it. When even this fails, the
 * database is what is broken, and waiting is right. */
static enum err give_up(struct svc *s, const struct event *e, enum err last, uint64_t *ticket)
{
    struct arena arena;
    struct ctx cx;

    arena_init(&arena, PUMP_ARENA_MAX);
    platform_ctx(s->platform, s, &arena, &cx);
    enum err result = inbox_park(
        &cx, e, TRIES_MAX, arena_printf(&arena, "%s: failed for too long", err_row(last)->code));
    db_rollback(&cx);
    if (result == ERR_OK)
        *ticket = cx.ticket;
    log_work_each(&cx, "event parked", e->type, result, 0, 0);
    arena_release(&arena);
    return result;
}

/* While it does not, nobody can say whose fault a failure is. */
static bool database_answers(struct svc *s)
{
    struct arena arena;
    struct ctx cx;
    int64_t one = 0;

    arena_init(&arena, PUMP_ARENA_MAX);
    platform_ctx(s->platform, s, &arena, &cx);
    enum err e = db_begin(&cx);
    if (e == ERR_OK)
        e = db_int_of(&cx, &one, "select 1", NO_ARGS);
    db_rollback(&cx);
    arena_release(&arena);
    return e == ERR_OK;
}

/* In order: one that fails stays first until it is applied or parked, or until a group was lost. */
static enum err apply_each(struct svc *s, struct arena *arena, const struct event *events, size_t n,
                           uint64_t *ticket)
{
    for (size_t i = 0; i < n; i++) {
        int64_t pause_us = 0;
        int tries = 0;
        enum err last;
        while ((last = apply_some(s, &events[i], 1, ticket)) != ERR_OK) {
            if (s->stop || !s->has_threads)
                return ERR_UNAVAILABLE;
            TRY(wait_durable(s, arena, *ticket));
            tries = database_answers(s) ? tries + 1 : 0;
            if (tries >= TRIES_MAX && give_up(s, &events[i], last, ticket) == ERR_OK)
                break;
            pause_us = back_off(pause_us);
            sleep_us(pause_us);
        }
    }
    return ERR_OK;
}

/*
 * What this service has a consumer for. The others move the position when the next one is applied,
 * or when there were so many that reading them again would take long.
 */
static size_t wanted(struct svc *s, struct arena *arena, const struct event *events, size_t n,
                     struct event *out)
{
    struct ctx cx;
    size_t kept = 0;

    platform_ctx(s->platform, s, arena, &cx);
    for (size_t i = 0; i < n; i++) {
        bool remember = ++s->passed >= PASSED_MAX;
        if (!remember && !inbox_wants(&cx, s->service->consumers, &events[i]))
            continue;
        s->passed = 0;
        out[kept++] = events[i];
    }
    return kept;
}

static enum err apply_batch(struct svc *s, struct arena *arena, const struct event *events,
                            size_t n)
{
    uint64_t ticket = 0;

    for (size_t i = 0, some; i < n; i += some) {
        some = n - i < TOGETHER_MAX ? n - i : TOGETHER_MAX;
        if (some == 1 || apply_some(s, &events[i], some, &ticket) != ERR_OK)
            TRY(apply_each(s, arena, &events[i], some, &ticket));
        if (s->stop)
            return ERR_UNAVAILABLE;
    }
    return wait_durable(s, arena, ticket);
}

static enum err consume(struct svc *s, struct arena *arena, int wait_ms, size_t *ret_n)
{
    struct event events[EVENTS_MAX];

    *ret_n = 0;
    TRY(bus_poll(s->reader, arena, wait_ms, events, EVENTS_MAX, ret_n));
    struct event ours[EVENTS_MAX];
    enum err e = apply_batch(s, arena, ours, wanted(s, arena, events, *ret_n, ours));
    /* The reader is past what was not applied, and past what a lost group took back with it. */
    if (e != ERR_OK)
        bus_rewind(s->reader);
    TRY(e);
    watch_applied(s, events, *ret_n);
    if (!watch_is_apart(s))
        watch_tell(s, events, *ret_n);
    for (size_t i = 0; i < *ret_n; i++) /* the last of each run of a partition */
        if (i + 1 == *ret_n || events[i + 1].partition != events[i].partition ||
            !str_eq(events[i + 1].source, events[i].source))
            bus_ack(s->reader, &events[i]);
    if (*ret_n < EVENTS_MAX)
        s->caught_up_us = clock_now(s->platform->options.clock);
    return ERR_OK;
}

static void *consume_main(void *arg)
{
    struct svc *s = arg;
    struct arena arena;

    thread_name("events", s->service->name);
    arena_init(&arena, PUMP_ARENA_MAX);
    while (!s->stop) {
        size_t n;
        enum err e = consume(s, &arena, POLL_MS, &n);
        arena_reset(&arena);
        if (e != ERR_OK && !s->stop)
            sleep_us(CONSUME_PAUSE_US);
    }
    arena_release(&arena);
    return NULL;
}

static enum err run_timers(struct svc *s, struct arena *arena, size_t *ret_n, int64_t *ret_next_us)
{
    struct ctx cx;

    unsettled_free(s, arena);
    platform_ctx(s->platform, s, arena, &cx);
    *ret_next_us = INT64_MAX;
    enum err e = s->service->timers
                     ? timers_run(&cx, s->service->timers, TIMERS_MAX, ret_n, ret_next_us)
                     : ERR_OK;
    db_rollback(&cx);
    if (e != ERR_OK)
        log_work(&cx, "timers", str_from(s->service->name), e, 0, 0);
    return e;
}

static enum err run_jobs(struct svc *s, struct arena *arena, size_t *ret_n, int64_t *ret_next_us)
{
    const struct job *const tables[] = {s->service->jobs, common_jobs};
    struct ctx cx;

    *ret_n = 0;
    *ret_next_us = INT64_MAX;
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        size_t ran = 0;
        int64_t next_us = 0;
        platform_ctx(s->platform, s, arena, &cx);
        enum err e = jobs_run(&cx, tables[i], &ran, &next_us);
        db_rollback(&cx);
        if (e != ERR_OK) {
            log_work(&cx, "jobs", str_from(s->service->name), e, 0, 0);
            return e;
        }
        *ret_n += ran;
        *ret_next_us = next_us < *ret_next_us ? next_us : *ret_next_us;
    }
    return ERR_OK;
}

static void *timer_main(void *arg)
{
    struct svc *s = arg;
    struct arena arena;
    int64_t job_us = 0, jobs_seen_us = 0; /* when the next one is due; when we looked, monotonic */

    thread_name("timers", s->service->name);
    arena_init(&arena, PUMP_ARENA_MAX);
    while (!s->stop) {
        size_t fired = 0, ran = 0;
        int64_t timer_us, now;
        s->timer_next_us = INT64_MAX; /* whatever is set from now on may be missed */
        enum err e = run_timers(s, &arena, &fired, &timer_us);
        /* The bell rings for timers; jobs change by themselves, and once a second is often enough.
         */
        if (e == ERR_OK && (clock_now(s->platform->options.clock) >= job_us ||
                            clock_monotonic_us() - jobs_seen_us >= IDLE_US)) {
            jobs_seen_us = clock_monotonic_us();
            e = run_jobs(s, &arena, &ran, &job_us);
        }
        arena_reset(&arena);
        if (!s->stop)
            sleep_us(TIMER_PAUSE_US);
        if (e != ERR_OK) {
            bell_wait(&s->timer_bell, IDLE_US);
            continue;
        }
        now = clock_now(s->platform->options.clock);
        int64_t next = timer_us < job_us ? timer_us : job_us;
        s->timer_next_us = next < now + IDLE_US ? next : now + IDLE_US;
        if (fired == 0 && next > now)
            bell_wait(&s->timer_bell, next - now < IDLE_US ? next - now : IDLE_US);
    }
    arena_release(&arena);
    return NULL;
}

static void on_commit(void *arg, const struct db_rings *rings)
{
    struct svc *s = arg;

    if (rings->now)
        bell_ring(&s->relay_bell);
    if (rings->at_us < s->timer_next_us && s->service->timers)
        bell_ring(&s->timer_bell);
}

void pump_ring(struct svc *s)
{
    bell_ring(&s->relay_bell);
    if (s->service->timers)
        bell_ring(&s->timer_bell);
}

static int64_t start_position(void *arg, struct str topic, int partition)
{
    struct svc *s = arg;
    struct arena arena;
    struct ctx cx;
    int64_t position = BUS_FROM_START;

    arena_init(&arena, PUMP_ARENA_MAX);
    platform_ctx(s->platform, s, &arena, &cx);
    enum err e = inbox_position(&cx, topic, partition, &position);
    if (e != ERR_OK) { /* what everybody knows already would come before what is new */
        position = BUS_NOT_KNOWN;
        log_work(&cx, "position", topic, e, 0, 0);
    }
    arena_release(&arena);
    return position;
}

/* What it consumes; and its own events, for its watchers, unless these read the bus themselves. */
static enum err subscribe(struct svc *s)
{
    const char *topics[TOPICS_MAX];
    size_t n = 0;

    if (!s->service->consumers || !s->service->topics)
        return ERR_OK;
    while (s->service->topics[n]) {
        assert(n + 1 < TOPICS_MAX);
        topics[n] = s->service->topics[n];
        n++;
    }
    if (s->service->watchers && !watch_is_apart(s))
        topics[n++] = s->service->name;
    return bus_subscribe(s->platform->bus, s->service->name, topics, n, start_position, s,
                         &s->reader);
}

enum err pump_start(struct svc *s)
{
    bell_init(&s->relay_bell);
    bell_init(&s->timer_bell);
    if (!s->db)
        return ERR_OK;
    TRY(subscribe(s));
    TRY(watch_start(s));
    if (s->platform->options.threads == 0)
        return ERR_OK;
    db_on_commit(s->db, on_commit, s);
    s->has_threads = true;
    if (pthread_create(&s->relay_thread, NULL, relay_main, s) != 0 ||
        pthread_create(&s->timer_thread, NULL, timer_main, s) != 0)
        abort(); /* without its threads a service would take orders and never move them */
    if (s->reader) {
        s->has_consumer_thread = true;
        if (pthread_create(&s->consume_thread, NULL, consume_main, s) != 0)
            abort();
    }
    return ERR_OK;
}

void pump_stop(struct svc *s)
{
    s->stop = true;
    if (s->has_threads) {
        bell_ring(&s->relay_bell);
        bell_ring(&s->timer_bell);
        if (s->has_consumer_thread) {
            bus_wake(s->reader);
            pthread_join(s->consume_thread, NULL);
        }
        pthread_join(s->timer_thread, NULL);
        pthread_join(s->relay_thread, NULL);
        s->has_threads = false;
    }
    watch_stop(s);
    unsettled_close(s);
    if (s->reader)
        bus_unsubscribe(s->reader);
    s->reader = NULL;
}

enum err pump_turn(struct svc *s, int kind, bool *ret_did)
{
    struct arena arena;
    struct ctx cx;
    size_t n = 0;
    int64_t next;
    enum err e = ERR_OK;

    arena_init(&arena, PUMP_ARENA_MAX);
    platform_ctx(s->platform, s, &arena, &cx);
    if (!s->db)
        n = 0;
    else if (kind == TURN_RELAY)
        e = outbox_relay(&cx, &s->relay, s->platform->bus, &n, &(bool){false});
    else if (kind == TURN_CONSUME)
        e = s->reader ? consume(s, &arena, 0, &n) : ERR_OK;
    else if (kind == TURN_TIMERS)
        e = run_timers(s, &arena, &n, &next);
    else
        e = run_jobs(s, &arena, &n, &next);
    db_rollback(&cx);
    *ret_did = n > 0;
    arena_release(&arena);
    return e;
}
