/* inbox.c -- applies an event once: effect, inbox row and next position are one commit. */
#include "flow/inbox.h"

#include "base/fault.h"
#include "data/json.h"
#include "obs/trace.h"

/*
 * DESIGN
 *
 * inbox_apply runs one transaction for all events, first as if all of them were new and nothing
 * were parked, which costs no look at what is there; when that is not so, it is run again with one.
 * An effect that fails for good is parked in a transaction of its own. A failure that may pass
 * rolls everything back and is returned: the caller waits and offers the same events again.
 */

const struct field parked_fields[] = {
    F_INT(struct parked, id, "id", 0, 0, INT64_MAX, "dead letter number"),
    F_UUID(struct parked, event_id, "eventId", 0, "event"),
    F_UUID(struct parked, key, "key", 0, "aggregate"),
    F_STR(struct parked, type, "type", 0, 0, 200, "event type"),
    F_STR(struct parked, topic, "topic", 0, 0, 200, "producing service"),
    F_RAW(struct parked, data, "data", 0, "payload"),
    F_STR(struct parked, traceparent, "traceparent", 0, 0, 100, "W3C trace context"),
    F_STR(struct parked, reason, "reason", 0, 0, 1000, "why it could not be applied"),
    F_INT(struct parked, sequence, "sequence", 0, 0, INT64_MAX, "order in its aggregate"),
    F_INT(struct parked, position, "position", 0, 0, INT64_MAX, "position in the log"),
    {FIELD_INT, "partition", "part", offsetof(struct parked, partition), 0, 0, 0, INT64_MAX, 0,
     NULL, NULL, "partition"},
    F_TIME(struct parked, time_us, "time", 0, "when it happened"),
    F_INT(struct parked, tries, "tries", 0, 0, INT64_MAX, "how often it was tried"),
    F_TIME(struct parked, parked_at, "parkedAt", 0, "since when"),
    F_END(struct parked),
};

#define PARKED_BUT_DATA                                                                            \
    "id, event_id, key, type, topic, traceparent, reason, sequence, position, part, time_us,"      \
    " tries, parked_at"
/* Lists are built in a request's memory, and an event has up to BUS_EVENT_MAX. */
#define LISTED_DATA_MAX (4 * 1024 * 1024)
#define EVENT_ARENA_MAX (64u * 1024 * 1024)

enum err inbox_position(struct ctx *cx, struct str topic, int partition, int64_t *ret)
{
    enum err e = db_int_of(cx, ret, "select next from offsets where topic = $1 and part = $2",
                           ARGS(db_str(topic), db_int(partition)));

    if (e == ERR_NOT_FOUND) {
        *ret = BUS_FROM_START;
        return ERR_OK;
    }
    return e;
}

static const struct consumer *find(const struct consumer *consumers, struct str type)
{
    for (const struct consumer *c = consumers; c && c->type; c++)
        if (str_eq(str_from(c->type), type))
            return c;
    return NULL;
}

bool inbox_wants(struct ctx *cx, const struct consumer *consumers, const struct event *e)
{
    const struct consumer *c = find(consumers, e->type);

    if (!c || !c->concerns)
        return c != NULL;
    void *data = arena_zalloc(cx->arena, fields_size(c->data));
    /* What cannot be read is parked, like any other. */
    return json_decode_lenient(cx, c->data, data, e->data) != ERR_OK || c->concerns(data);
}

static enum err decode(struct ctx *cx, const struct consumer *c, const struct event *e, void **ret)
{
    *ret = NULL;
    if (!c->data)
        return ERR_OK;
    *ret = arena_zalloc(cx->arena, fields_size(c->data));
    return json_decode_lenient(cx, c->data, *ret, e->data);
}

/* Runs the effect; the caller undoes it when this fails. */
static enum err run(struct ctx *cx, const struct consumer *c, const struct event *e,
                    const void *data)
{
    if (FAULT("consume.effect.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault: consume.effect.before");
    return c->handle(cx, e, data);
}

/* A duplicate that the effect did not expect is of work beside it: the next try sees that. */
static bool may_pass(enum err e)
{
    return e == ERR_DUPLICATE || (e != ERR_INTERNAL && err_row(e)->retry == RETRY_LATER);
}

static enum err park(struct ctx *cx, const struct event *e, int tries, struct str reason)
{
    return db_exec(
        cx,
        "insert into parked (event_id, type, topic, part, position, key, sequence, time_us,"
        " traceparent, data, reason, tries, parked_at)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $13, $12)",
        ARGS(db_uuid(e->id), db_str(e->type), db_str(e->source), db_int(e->partition),
             db_int(e->position), db_uuid(e->key), db_int(e->sequence), db_int(e->time_us),
             db_str(e->traceparent), db_str(e->data), db_str(reason), db_int(ctx_now(cx)),
             db_int(tries)));
}

static struct str reason_of(struct ctx *cx, enum err e)
{
    return arena_printf(cx->arena, "%s: %s", err_row(e)->code, cx->story.detail);
}

struct taken {
    struct uuid event_id;
    int64_t any_parked; /* 1 when an event is parked here, of whatever key */
};
static const struct field taken_fields[] = {
    F_UUID(struct taken, event_id, "eventId", 0, "event"),
    F_INT(struct taken, any_parked, "anyParked", 0, 0, 1, "whether any event is parked"),
    F_END(struct taken),
};

#define TAKE_MAX 16 /* events in one statement: a power of four */

/* A statement that writes inbox rows, and its arguments. */
struct take {
    struct buf sql;
    struct db_value values[1 + TAKE_MAX];
    size_t n_values;
};

/* A few lengths only, so that few statements are prepared: the last event fills up. */
static void take_init(struct ctx *cx, struct take *t, const struct event *const *events, size_t n)
{
    size_t length = 1;

    while (length < n)
        length *= 4;
    buf_init_arena(&t->sql, cx->arena, 1024);
    t->values[0] = db_int(ctx_now(cx));
    buf_lit(&t->sql, "insert into inbox (event_id, applied_at) select * from (values ");
    for (size_t i = 0; i < length; i++) {
        t->values[1 + i] = db_uuid(events[i < n ? i : n - 1]->id);
        buf_printf(&t->sql, "%s($%zu, $1)", i ? ", " : "", 2 + i);
    }
    t->n_values = 1 + length;
}

static struct db_args take_args(const struct take *t)
{
    return (struct db_args){t->values, t->n_values};
}

/* As it nearly always is: all of them are new, and nothing is parked. Otherwise ERR_CONFLICT, told
 * as late as db_expect says. */
static enum err take_all(struct ctx *cx, const struct event *const *events, size_t n)
{
    struct take t;

    take_init(cx, &t, events, n);
    buf_lit(&t.sql, ") as seen where not exists (select 1 from parked) on conflict (event_id)"
                    " do nothing");
    buf_char(&t.sql, '\0');
    return db_expect(cx, (int64_t)n, t.sql.p, take_args(&t));
}

/* *ret are those of these events that nobody has applied yet. */
static enum err take_new(struct ctx *cx, const struct event *const *events, size_t n,
                         struct list *ret)
{
    struct take t;

    take_init(cx, &t, events, n);
    buf_lit(&t.sql, ") as seen where true on conflict (event_id) do nothing returning event_id,"
                    " (select count(*) from (select 1 from parked limit 1) as few) as any_parked");
    buf_char(&t.sql, '\0');
    return db_all(cx, taken_fields, ret, t.sql.p, take_args(&t));
}

/*
 * The effect; or the event parked, when one of its key is. Whoever retries that one meanwhile looks
 * for the next before this one is there: the row that the decision rests on is written, too.
 */
static enum err run_or_park(struct ctx *cx, const struct consumer *c, const struct event *e,
                            const void *data, bool any_parked)
{
    int64_t waiting = 0;

    if (any_parked)
        TRY(db_change(cx, &waiting, "update parked set tries = tries where key = $1",
                      ARGS(db_uuid(e->key))));
    return waiting > 0 ? park(cx, e, 1, STR("behind a parked event of the same key"))
                       : run(cx, c, e, data);
}

/* Whether it is among those taken; once, should the same event be offered twice. */
static bool is_new(struct list *taken, const struct event *e, bool *ret_any_parked)
{
    for (size_t i = 0; i < taken->n; i++) {
        struct taken *t = LIST_AT(struct taken, *taken, i);
        if (!uuid_eq(t->event_id, e->id))
            continue;
        t->event_id = UUID_NIL;
        *ret_any_parked = t->any_parked != 0;
        return true;
    }
    return MUTANT(MUTANT_APPLIED_TWICE);
}

static enum err apply_traced(struct ctx *cx, const struct consumer *c, const struct event *e,
                             const void *data, bool any_parked)
{
    struct span span;

    trace_continue(cx, e->traceparent);
    span_begin(cx, &span, "consumer", e->type);
    enum err result = run_or_park(cx, c, e, data, any_parked);
    span_end(cx, &span, result);
    return result;
}

static bool is_first_of_key(const struct event *const *events, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (uuid_eq(events[i]->key, events[at]->key))
            return false;
    return true;
}

/* Decodes all of them and makes the reads that their effects begin with. */
static enum err prepare(struct ctx *cx, const struct consumer *consumers,
                        const struct event *const *events, size_t n, void **ret)
{
    struct reads reads = {0};

    for (size_t i = 0; i < n; i++) {
        const struct consumer *c = find(consumers, events[i]->type);
        TRY(decode(cx, c, events[i], &ret[i]));
        if (c->ahead && is_first_of_key(events, i))
            c->ahead(cx, ret[i], &reads);
    }
    return reads_make(cx, &reads);
}

/* The known mistake: what is taken would stay taken, whatever becomes of the effect. */
static enum err keep_inbox(struct ctx *cx)
{
    if (!MUTANT(MUTANT_INBOX_FIRST))
        return ERR_OK;
    TRY(db_commit(cx));
    return db_begin(cx);
}

/* At most TAKE_MAX, each with a consumer; all of them are new, as far as anybody knows. */
static enum err apply_together(struct ctx *cx, const struct consumer *consumers,
                               const struct event *const *events, size_t n)
{
    void *data[TAKE_MAX];

    TRY(take_all(cx, events, n));
    TRY(keep_inbox(cx));
    TRY(prepare(cx, consumers, events, n, data));
    for (size_t i = 0; i < n; i++)
        TRY(apply_traced(cx, find(consumers, events[i]->type), events[i], data[i], false));
    return ERR_OK;
}

/* The same of any: those that are new. */
static enum err apply_new(struct ctx *cx, const struct consumer *consumers,
                          const struct event *const *events, size_t n)
{
    struct list taken = {NULL, 0};
    bool any_parked = false;

    TRY(take_new(cx, events, n, &taken));
    TRY(keep_inbox(cx));
    for (size_t i = 0; i < n; i++) {
        const struct consumer *c = find(consumers, events[i]->type);
        void *data = NULL;
        if (!is_new(&taken, events[i], &any_parked))
            continue;
        TRY(decode(cx, c, events[i], &data));
        TRY(apply_traced(cx, c, events[i], data, any_parked));
    }
    return ERR_OK;
}

static bool is_last_of_partition(const struct event *events, size_t n, size_t at)
{
    for (size_t i = at + 1; i < n; i++)
        if (events[i].partition == events[at].partition &&
            str_eq(events[i].source, events[at].source))
            return false;
    return true;
}

static enum err move_positions(struct ctx *cx, const struct event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_last_of_partition(events, n, i))
            TRY(db_exec(cx,
                        "insert into offsets (topic, part, next) values ($1, $2, $3)"
                        " on conflict (topic, part) do update set next = excluded.next"
                        " where offsets.next < excluded.next",
                        ARGS(db_str(events[i].source), db_int(events[i].partition),
                             db_int(events[i].position + 1))));
    return ERR_OK;
}

static enum err apply_in_transaction(struct ctx *cx, const struct consumer *consumers,
                                     const struct event *events, size_t n, bool one_by_one)
{
    const struct event *wanted[TAKE_MAX];
    size_t n_wanted = 0;

    TRY(db_begin(cx));
    for (size_t i = 0; i < n; i++) {
        if (inbox_wants(cx, consumers, &events[i]))
            wanted[n_wanted++] = &events[i];
        if (n_wanted == TAKE_MAX || (n_wanted && i + 1 == n)) {
            TRY(one_by_one ? apply_new(cx, consumers, wanted, n_wanted)
                           : apply_together(cx, consumers, wanted, n_wanted));
            n_wanted = 0;
        }
    }
    TRY(move_positions(cx, events, n));
    if (FAULT("consume.commit.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault: consume.commit.before");
    return db_commit(cx);
}

enum err inbox_park(struct ctx *cx, const struct event *e, int tries, struct str reason)
{
    int64_t inserted = 0;

    TRY(db_begin(cx));
    TRY(db_change(cx, &inserted,
                  "insert into inbox (event_id, applied_at) values ($1, $2)"
                  " on conflict (event_id) do nothing",
                  ARGS(db_uuid(e->id), db_int(ctx_now(cx)))));
    if (inserted == 1)
        TRY(park(cx, e, tries, reason));
    TRY(move_positions(cx, e, 1));
    return db_commit(cx);
}

enum err inbox_apply(struct ctx *cx, const struct consumer *consumers, const struct event *events,
                     size_t n)
{
    enum err e = apply_in_transaction(cx, consumers, events, n, false);

    if (e == ERR_CONFLICT) { /* some were applied, or some are parked: which? */
        db_rollback(cx);
        e = apply_in_transaction(cx, consumers, events, n, true);
    }
    if (e == ERR_OK)
        return e;
    db_rollback(cx);
    if (may_pass(e))
        return e;
    if (n == 1) {
        e = inbox_park(cx, events, 1, reason_of(cx, e));
        db_rollback(cx);
        return e;
    }
    for (size_t i = 0; i < n; i++) /* which one is it? */
        TRY(inbox_apply(cx, consumers, &events[i], 1));
    return ERR_OK;
}

enum err parked_list(struct ctx *cx, int64_t after_id, int64_t limit, struct list *ret)
{
    return db_all(cx, parked_fields, ret,
                  "select " PARKED_BUT_DATA ", case when length(data) <= $3 then data"
                  " else '\"too large for a list\"' end as data"
                  " from parked where id > $1 order by id limit $2",
                  ARGS(db_int(after_id), db_int(limit), db_int(LISTED_DATA_MAX / limit)));
}

static struct event event_of(const struct parked *p)
{
    return (struct event){.id = p->event_id,
                          .type = p->type,
                          .source = p->topic,
                          .key = p->key,
                          .sequence = p->sequence,
                          .time_us = p->time_us,
                          .traceparent = p->traceparent,
                          .data = p->data,
                          .partition = (int)p->partition,
                          .position = p->position};
}

/* It goes first: of two that retry it at once only one finds it. */
static enum err run_parked(struct ctx *cx, const struct consumer *c, const struct parked *p)
{
    struct event e = event_of(p);
    void *data = NULL;
    int64_t there = 0;

    TRY(db_begin(cx));
    TRY(db_change(cx, &there, "delete from parked where id = $1", ARGS(db_int(p->id))));
    if (there && c) {
        TRY(decode(cx, c, &e, &data));
        TRY(run(cx, c, &e, data));
    }
    return db_commit(cx);
}

/* The effect again: applied and gone, perhaps by another, or kept with one more try. */
static enum err apply_parked(struct ctx *cx, const struct consumer *consumers,
                             const struct parked *p)
{
    enum err failed = run_parked(cx, find(consumers, p->type), p);

    if (failed == ERR_OK || failed == ERR_CONFLICT) /* the request is run again */
        return failed;
    struct str reason = reason_of(cx, failed);
    db_rollback(cx);
    TRY(db_begin(cx));
    TRY(db_exec(cx, "update parked set tries = tries + 1, reason = $2 where id = $1",
                ARGS(db_int(p->id), db_str(reason))));
    TRY(db_commit(cx));
    cx->story.public_detail = reason;
    return fail(cx, ERR_DEAD_LETTER, "%.*s", STR_ARG(reason));
}

/* The oldest parked event of the key in memory of its own. ERR_NOT_FOUND: there is none left. */
static enum err retry_first(struct ctx *cx, const struct consumer *consumers, struct uuid key)
{
    struct parked p = {0};
    struct arena arena;
    struct ctx one = *cx;
    struct span span;

    arena_init(&arena, EVENT_ARENA_MAX);
    one.arena = &arena;
    enum err e = db_one(&one, parked_fields, &p,
                        "select " PARKED_BUT_DATA ", data from parked where key = $1"
                        " order by id limit 1",
                        ARGS(db_uuid(key)));
    if (e == ERR_OK) {
        trace_continue(&one, p.traceparent);
        span_begin(&one, &span, "consumer", p.type);
        e = apply_parked(&one, consumers, &p);
        db_rollback(&one);
        span_end(&one, &span, e);
    }
    cx->ticket = one.ticket;
    cx->story = one.story;
    cx->story.public_detail = arena_copy(cx->arena, one.story.public_detail);
    cx->story.field_errors = NULL; /* those of the event, not of the request */
    cx->story.public_extra = STR_NONE;
    arena_release(&arena);
    return e;
}

/* The key's parked events in order, until one fails. */
static enum err retry_key(struct ctx *cx, const struct consumer *consumers, struct uuid key)
{
    enum err e;

    do
        e = retry_first(cx, consumers, key);
    while (e == ERR_OK);
    return e == ERR_NOT_FOUND ? db_durable(cx) : e;
}

struct parked_key {
    struct uuid key;
};
static const struct field parked_key_fields[] = {
    F_UUID(struct parked_key, key, "key", 0, "aggregate"),
    F_END(struct parked_key),
};

static enum err key_of(struct ctx *cx, int64_t id, struct parked_key *ret)
{
    return db_one(cx, parked_key_fields, ret, "select key from parked where id = $1",
                  ARGS(db_int(id)));
}

enum err parked_retry(struct ctx *cx, const struct consumer *consumers, int64_t id)
{
    struct parked_key p = {0};

    TRY(key_of(cx, id, &p));
    return retry_key(cx, consumers, p.key);
}

enum err parked_discard(struct ctx *cx, const struct consumer *consumers, int64_t id)
{
    struct parked_key p = {0};

    TRY(key_of(cx, id, &p));
    TRY(db_begin(cx));
    TRY(db_exec(cx, "delete from parked where id = $1", ARGS(db_int(id))));
    TRY(db_commit(cx));
    enum err e = retry_key(cx, consumers, p.key);
    return e == ERR_DEAD_LETTER ? db_durable(cx) : e; /* it is dropped; the next one is another's */
}
