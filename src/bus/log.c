/*
 * log.c -- the embedded bus: one table of events in its own database file.
 *
 * Publishers share fsyncs through the database's group commit. Readers read durable events only and
 * know from memory whether a topic has anything new, so an idle bus runs no statements. One process
 * owns the directory, hence what it remembers is all there is; or, opened as "log:DIR?shared", some
 * processes use it, each group in one of them, and each watches the file for what others published.
 */
#include "bus/log.h"

#include <errno.h>
#include <time.h>

#define OPEN_TRIES 100
#define OPEN_PAUSE_MS 50

static const char schema[] =
    "create table if not exists events (position integer primary key autoincrement,"
    " topic text not null, event_id uuid not null, type text not null, event_key uuid not null,"
    " sequence bigint not null, time_us bigint not null, traceparent text, data text not null,"
    " stored_at bigint not null);"
    "create index if not exists events_by_topic on events (topic, position);"
    "create table if not exists positions (group_name text not null, topic text not null,"
    " next_position bigint not null, primary key (group_name, topic));"
    /* see log_sweep.c */
    "create table if not exists sweeps (topic text primary key, compacted_to bigint not null,"
    " dropped_to bigint not null);"
    "create table if not exists snapshots (topic text not null, type text not null,"
    " event_key uuid not null, position bigint not null, primary key (topic, type, event_key));";

struct row {
    int64_t position;
    struct str topic;
    struct uuid event_id;
    struct str type;
    struct uuid event_key;
    int64_t sequence, time_us;
    struct str traceparent, data;
};
static const struct field row_fields[] = {
    F_INT(struct row, position, "position", 0, 0, INT64_MAX, ""),
    F_STR(struct row, topic, "topic", 0, 0, 200, ""),
    F_UUID(struct row, event_id, "eventId", 0, ""),
    F_STR(struct row, type, "type", 0, 0, 200, ""),
    F_UUID(struct row, event_key, "eventKey", 0, ""),
    F_INT(struct row, sequence, "sequence", 0, 0, INT64_MAX, ""),
    F_INT(struct row, time_us, "timeUs", 0, 0, INT64_MAX, ""),
    F_STR(struct row, traceparent, "traceparent", 0, 0, 200, ""),
    F_RAW(struct row, data, "data", 0, ""),
    F_END(struct row),
};

static enum err heads_load(struct ctx *cx, struct log_bus *b)
{
    struct list rows = {NULL, 0};
    TRY(db_all(cx, row_fields, &rows,
               "select topic, max(position) as position from events group by topic", NO_ARGS));
    for (size_t i = 0; i < rows.n; i++) {
        const struct row *row = LIST_AT(struct row, rows, i);
        log_topic(b, row->topic)->head = row->position;
    }
    return ERR_OK;
}

static void log_close(struct bus *bus)
{
    struct log_bus *b = (struct log_bus *)bus;
    if (b->keeper_runs) {
        pthread_mutex_lock(&b->mutex);
        b->stopping = true;
        pthread_cond_broadcast(&b->keeper_wake);
        pthread_mutex_unlock(&b->mutex);
        pthread_join(b->keeper, NULL);
        if (b->watcher_runs)
            pthread_join(b->watcher, NULL);
        log_store_hints(b);
    }
    if (b->db)
        db_close(b->db);
    while (b->groups) {
        struct log_group *g = b->groups;
        b->groups = g->next;
        assert(!g->readers && "a reader is still subscribed");
        while (g->slots) {
            struct log_slot *s = g->slots;
            g->slots = s->following;
            free(s);
        }
        free(g->name);
        free(g);
    }
    while (b->topics) {
        struct log_topic *t = b->topics;
        b->topics = t->next;
        free(t->name);
        free(t);
    }
    pthread_cond_destroy(&b->keeper_wake);
    pthread_mutex_destroy(&b->mutex);
    free(b);
}

static enum err log_prepare(struct log_bus *b)
{
    struct log_work w;

    log_work_init(&w, b);
    enum err e = db_script(&w.cx, schema);
    if (e == ERR_OK)
        e = heads_load(&w.cx, b);
    log_work_release(&w);
    return e;
}

/* Others may be opening, or closing as the last one, at this moment: then SQLite wants the file for
 * itself. */
static enum err open_database(struct ctx *cx, struct log_bus *b, const char *url)
{
    const struct timespec pause = {.tv_nsec = OPEN_PAUSE_MS * 1000000L};
    /* Under a virtual clock there are no threads: commits are durable at once, hints are stored
     * when they are asked for. What other processes see must be durable: SQLite shows a commit
     * after its sync, but a group is ours alone to know. */
    struct db_options options = {.group_commit = !cx->clock->is_virtual && !b->shared,
                                 .clock = &clock_system};

    for (int tries = 1;; tries++) {
        enum err e = db_open(cx, url, "bus", &options, &b->db);
        const char *why = arena_printf(cx->arena, "%s", cx->story.detail).p;
        if (e == ERR_OK) {
            e = log_prepare(b);
            why = err_row(e)->en;
        }
        if (e == ERR_OK)
            return ERR_OK;
        if (b->db)
            db_close(b->db);
        b->db = NULL;
        if (!b->shared || tries == OPEN_TRIES)
            return fail(cx, e, "bus %s cannot be opened: %s", url, why);
        nanosleep(&pause, NULL);
    }
}

static enum err log_threads(struct ctx *cx, struct log_bus *b)
{
    b->keeper_runs = pthread_create(&b->keeper, NULL, log_keeper_main, b) == 0;
    if (b->keeper_runs && b->shared)
        b->watcher_runs = pthread_create(&b->watcher, NULL, log_watcher_main, b) == 0;
    return b->keeper_runs && b->watcher_runs == b->shared
               ? ERR_OK
               : fail(cx, ERR_UNAVAILABLE, "no thread for the bus");
}

static enum err log_open(struct ctx *cx, const char *location, struct bus **ret)
{
    struct str dir, option;
    bool has_option = str_cut(str_from(location), '?', &dir, &option);

    if (has_option && !str_eq(option, STR("shared")))
        return fail(cx, ERR_INVALID, "log:DIR takes no option but ?shared");
    struct log_bus *b = log_must(calloc(1, sizeof(*b)));
    b->base.driver = &bus_log;
    b->shared = has_option && !cx->clock->is_virtual;
    pthread_mutex_init(&b->mutex, NULL);
    log_condition_init(&b->keeper_wake);
    enum err e = open_database(cx, b, arena_printf(cx->arena, "sqlite:%.*s", STR_ARG(dir)).p);
    if (e == ERR_OK && !cx->clock->is_virtual)
        e = log_threads(cx, b);
    if (e != ERR_OK) {
        log_close(&b->base);
        return e;
    }
    *ret = &b->base;
    return ERR_OK;
}

static enum err append(struct ctx *cx, const struct event *events, size_t n, int64_t *positions)
{
    int64_t now = ctx_now(cx);
    TRY(db_begin(cx));
    for (size_t i = 0; i < n; i++) {
        const struct event *e = &events[i];
        TRY(db_int_of(cx, &positions[i],
                      "insert into events (topic, event_id, type, event_key, sequence, time_us,"
                      " traceparent, data, stored_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
                      " returning position",
                      ARGS(db_str(e->source), db_uuid(e->id), db_str(e->type), db_uuid(e->key),
                           db_int(e->sequence), db_int(e->time_us), db_str(e->traceparent),
                           db_str(e->data), db_int(now))));
    }
    TRY(db_commit(cx));
    return db_durable(cx);
}

static enum err log_publish(struct ctx *cx, struct bus *bus, const struct event *events, size_t n)
{
    struct log_bus *b = (struct log_bus *)bus;
    /* The caller's own transaction and ticket belong to another database. */
    struct ctx own = *cx;
    own.db = b->db;
    own.tx = NULL;
    own.ticket = 0;
    int64_t *positions = arena_array(cx->arena, n, sizeof(*positions));
    enum err e = append(&own, events, n, positions);
    if (e != ERR_OK) {
        db_rollback(&own);
        return fail(cx, e, "publish: %s", own.story.detail);
    }
    pthread_mutex_lock(&b->mutex);
    for (size_t i = 0; i < n; i++) {
        struct log_topic *t = log_topic(b, events[i].source);
        if (positions[i] <= t->head)
            continue;
        t->head = positions[i];
        if (i + 1 == n || !str_eq(events[i + 1].source, events[i].source))
            log_notify(b, t);
    }
    pthread_mutex_unlock(&b->mutex);
    return ERR_OK;
}

static enum err log_subscribe(struct bus *bus, const char *group, const char *const *topics,
                              size_t n, bus_start *start, void *arg, struct bus_reader **ret)
{
    struct log_bus *b = (struct log_bus *)bus;
    struct log_reader *r = log_must(calloc(1, sizeof(*r)));
    *r = (struct log_reader){.base.bus = bus, .n = n, .start = start, .arg = arg};
    r->topics = log_must(calloc(n + 1, sizeof(struct log_topic *)));
    log_condition_init(&r->wake);
    pthread_mutex_lock(&b->mutex);
    for (size_t i = 0; i < n; i++)
        r->topics[i] = log_topic(b, str_from(topics[i]));
    log_join(b, r, group);
    pthread_mutex_unlock(&b->mutex);
    *ret = &r->base;
    return ERR_OK;
}

static void log_unsubscribe(struct bus_reader *reader)
{
    struct log_reader *r = (struct log_reader *)reader;
    struct log_bus *b = log_bus_of(r);
    log_store_hints(b);
    pthread_mutex_lock(&b->mutex);
    log_leave(b, r);
    pthread_mutex_unlock(&b->mutex);
    pthread_cond_destroy(&r->wake);
    free(r->topics);
    free(r);
}

/* Asks where to go on in a topic that just became ours. With the mutex held; lets go of it
 * meanwhile. False: that cannot be told now, and it is not ours yet. */
static bool slot_start(struct log_bus *b, struct log_reader *r, struct log_slot *s)
{
    const char *group = r->group->name;
    pthread_mutex_unlock(&b->mutex);
    int64_t next = 0;
    if (r->start)
        next = r->start(r->arg, str_from(s->topic->name), 0);
    else if (group)
        next = log_hint(b, group, s->topic->name);
    pthread_mutex_lock(&b->mutex);
    if (next == BUS_NOT_KNOWN) {
        s->owner = NULL;
        return false;
    }
    s->next = next == BUS_FROM_END ? s->topic->head + 1 : next;
    s->acked = s->next;
    s->dirty = true;
    s->started = true;
    return true;
}

/* Events of one topic from `next` on; the mutex is not held. */
static enum err slot_read(struct log_bus *b, struct arena *a, const char *topic, int64_t next,
                          struct event *out, size_t max, size_t *ret_n)
{
    struct rng none = {.seeded = true}; /* reading needs no randomness */
    struct ctx cx = {.arena = a, .clock = &clock_system, .rng = &none, .db = b->db};
    struct list rows = {NULL, 0};
    TRY(db_all(
        &cx, row_fields, &rows,
        "select position, topic, event_id, type, event_key, sequence, time_us, traceparent, data"
        " from events where topic = $1 and position >= $2 order by position limit $3",
        ARGS(db_str(str_from(topic)), db_int(next), db_int((int64_t)max))));
    for (size_t i = 0; i < rows.n; i++) {
        const struct row *row = LIST_AT(struct row, rows, i);
        out[i] = (struct event){.id = row->event_id,
                                .type = row->type,
                                .source = row->topic,
                                .key = row->event_key,
                                .sequence = row->sequence,
                                .time_us = row->time_us,
                                .traceparent = row->traceparent,
                                .data = row->data,
                                .partition = 0,
                                .position = row->position};
    }
    *ret_n = rows.n;
    return ERR_OK;
}

/* The next of our topics, going round, that has something new. */
static struct log_slot *slot_with_news(struct log_reader *r)
{
    struct log_slot *first = NULL;
    size_t at = 0, first_at = 0;
    for (struct log_slot *s = r->group->slots; s; s = s->following, at++) {
        if (s->owner != r || s->wanted != r || !s->started || s->next > s->topic->head)
            continue;
        if (!first || (first_at < r->turn && at >= r->turn)) {
            first = s;
            first_at = at;
        }
    }
    r->turn = first ? first_at + 1 : 0;
    return first;
}

/* Reads from our topics until `max` or nothing is left. With the mutex held. */
static enum err read_news(struct log_bus *b, struct log_reader *r, struct arena *a,
                          struct event *out, size_t max, size_t *ret_n)
{
    struct log_slot *s;
    while (*ret_n < max && (s = slot_with_news(r))) {
        int64_t next = s->next, head = s->topic->head;
        size_t n = 0, room = max - *ret_n;
        pthread_mutex_unlock(&b->mutex);
        enum err e = slot_read(b, a, s->topic->name, next, out + *ret_n, room, &n);
        pthread_mutex_lock(&b->mutex);
        if (e != ERR_OK)
            return *ret_n ? ERR_OK : e;
        /* Fewer than asked for: there is nothing more up to what was the head before. */
        int64_t last = n ? out[*ret_n + n - 1].position : 0;
        s->next = n < room && last < head ? head + 1 : last + 1;
        *ret_n += n;
    }
    return ERR_OK;
}

static enum err log_poll(struct bus_reader *reader, struct arena *a, int timeout_ms,
                         struct event *out, size_t max, size_t *ret_n)
{
    struct log_reader *r = (struct log_reader *)reader;
    struct log_bus *b = log_bus_of(r);
    int64_t until_us = clock_monotonic_us() + timeout_ms * US_PER_MS;
    struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S),
                             .tv_nsec = (long)(until_us % US_PER_S) * 1000};
    enum err e = ERR_OK;
    struct log_slot *s;
    bool late = timeout_ms <= 0;

    pthread_mutex_lock(&b->mutex);
    for (;;) {
        log_give_up(r);
        do
            s = log_take_over(r);
        while (s && slot_start(b, r, s));
        e = read_news(b, r, a, out, max, ret_n);
        if (e != ERR_OK || *ret_n > 0 || r->woken || late)
            break;
        late = pthread_cond_timedwait(&r->wake, &b->mutex, &until) == ETIMEDOUT;
    }
    r->woken = false;
    pthread_mutex_unlock(&b->mutex);
    return e;
}

static void log_ack(struct bus_reader *reader, const struct event *e)
{
    struct log_reader *r = (struct log_reader *)reader;
    struct log_bus *b = log_bus_of(r);
    pthread_mutex_lock(&b->mutex);
    for (struct log_slot *s = r->group->slots; s; s = s->following) {
        /* A topic that moved on to another member is that member's to acknowledge. */
        if (s->owner == r && e->position >= s->acked &&
            str_eq(str_from(s->topic->name), e->source)) {
            s->acked = e->position + 1;
            s->dirty = true;
        }
    }
    pthread_mutex_unlock(&b->mutex);
}

/* Every topic changes hands, to ourselves: taking it over asks where to go on. */
static void log_rewind(struct bus_reader *reader)
{
    struct log_reader *r = (struct log_reader *)reader;
    struct log_bus *b = log_bus_of(r);
    pthread_mutex_lock(&b->mutex);
    for (struct log_slot *s = r->group->slots; s; s = s->following)
        if (s->owner == r)
            s->owner = NULL;
    pthread_mutex_unlock(&b->mutex);
}

static void log_wake(struct bus_reader *reader)
{
    struct log_reader *r = (struct log_reader *)reader;
    struct log_bus *b = log_bus_of(r);
    pthread_mutex_lock(&b->mutex);
    r->woken = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&b->mutex);
}

static bool log_behind(struct bus_reader *reader, const char *topic, struct bus_behind *ret)
{
    struct log_reader *r = (struct log_reader *)reader;
    struct log_bus *b = log_bus_of(r);
    struct log_work w;
    int64_t from = -1;

    pthread_mutex_lock(&b->mutex);
    for (struct log_slot *s = r->group->slots; s; s = s->following)
        if (s->owner == r && s->started && strcmp(s->topic->name, topic) == 0)
            from = s->acked;
    pthread_mutex_unlock(&b->mutex);
    if (from < 0)
        return true; /* another member's */
    log_work_init(&w, b);
    enum err e = db_int_of(&w.cx, &ret->events,
                           "select count(*) from events where topic = $1 and position >= $2",
                           ARGS(db_str(str_from(topic)), db_int(from)));
    if (e == ERR_OK && ret->events > 0)
        e = db_int_of(&w.cx, &ret->oldest_us,
                      "select time_us from events where topic = $1 and position >= $2"
                      " order by position limit 1",
                      ARGS(db_str(str_from(topic)), db_int(from)));
    log_work_release(&w);
    return e == ERR_OK;
}

static uint64_t log_syncs(struct bus *bus)
{
    return db_stats(((struct log_bus *)bus)->db).groups;
}

const struct bus_driver bus_log = {
    .scheme = "log:",
    .open = log_open,
    .close = log_close,
    .publish = log_publish,
    .subscribe = log_subscribe,
    .unsubscribe = log_unsubscribe,
    .poll = log_poll,
    .ack = log_ack,
    .rewind = log_rewind,
    .wake = log_wake,
    .behind = log_behind,
    .sweep = log_sweep,
    .syncs = log_syncs,
};
