/* outbox.c -- appends events beside the change they tell of, and the relay that publishes them. */
#include "flow/outbox.h"

#include "base/fault.h"
#include "data/json.h"
#include "db/text.h"
#include "obs/trace.h"

#define RELAY_BATCH 256
#define BATCH DB_TEXT(RELAY_BATCH)
#define RELAY_CHARS                                                                                \
    (4 * 1024 * 1024) /* one more event at most; a full batch may not fit in memory */
#define MARK_MAX 16   /* a power of four */
#define MARK_TRIES 8
#define ORPHAN_US (3 * US_PER_S)
#define WHOLE_US US_PER_S          /* from a look at all rows to the next */
#define BEGIN_US (250 * US_PER_MS) /* what commits faster is not behind where a look begins */

struct outbox_row {
    int64_t seq, aggregate_seq, time_us;
    struct uuid event_id, aggregate_id;
    struct str type, traceparent, data;
    bool is_behind; /* the event before it of its aggregate waits, too, where we did not look */
};

static const struct field outbox_row_fields[] = {
    F_INT(struct outbox_row, seq, "seq", 0, 0, INT64_MAX, "order of insertion"),
    F_INT(struct outbox_row, aggregate_seq, "aggregateSeq", 0, 1, INT64_MAX,
          "order in the aggregate"),
    F_INT(struct outbox_row, time_us, "timeUs", 0, 0, INT64_MAX, "when it happened"),
    F_UUID(struct outbox_row, event_id, "eventId", 0, "event"),
    F_UUID(struct outbox_row, aggregate_id, "aggregateId", 0, "key"),
    F_STR(struct outbox_row, type, "type", 0, 0, 200, "event type"),
    F_STR(struct outbox_row, traceparent, "traceparent", 0, 0, 100, "W3C trace context"),
    F_STR(struct outbox_row, data, "data", 0, 0, BUS_EVENT_MAX, "payload"),
    F_BOOL(struct outbox_row, is_behind, "isBehind", 0, "not the first that waits"),
    F_END(struct outbox_row),
};

enum err outbox_append(struct ctx *cx, const char *type, struct uuid aggregate_id,
                       const struct field *fields, const void *payload)
{
    char traceparent[TRACEPARENT_SIZE];
    struct buf data;

    assert(db_in_transaction(cx));
    buf_init_arena(&data, cx->arena, BUS_EVENT_MAX);
    json_encode(&data, fields, payload);
    if (data.overflow)
        return fail(cx, ERR_TOO_LARGE, "event %s is larger than %d bytes", type, BUS_EVENT_MAX);
    db_ring(cx);
    return db_exec(cx,
                   "insert into outbox (event_id, type, aggregate_id, aggregate_seq, time_us,"
                   " traceparent, data, writer)"
                   " select $1, $2, $3, coalesce(max(aggregate_seq), (select last_seq from"
                   " outbox_swept where aggregate_id = $3), 0) + 1, $4, $5, $6, $7"
                   " from outbox where aggregate_id = $3",
                   ARGS(db_uuid(ctx_uuid(cx)), db_str(str_from(type)), db_uuid(aggregate_id),
                        db_int(ctx_now(cx)), db_str(trace_format(&cx->trace, traceparent)),
                        db_str(buf_str(&data)), db_uuid(cx->instance)));
}

/* A few lengths only, so that few statements are prepared: the last row fills up. */
static enum err mark_some(struct ctx *cx, const struct list *rows, size_t from, size_t n)
{
    struct db_value values[1 + MARK_MAX] = {db_int(ctx_now(cx))};
    size_t length = 1;
    struct buf sql;

    while (length < n)
        length *= 4;
    buf_init_arena(&sql, cx->arena, 1024);
    buf_lit(&sql, "update outbox set published_at = $1 where seq in (");
    for (size_t i = 0; i < length; i++) {
        size_t at = from + (i < n ? i : n - 1);
        values[1 + i] = db_int(LIST_AT(struct outbox_row, *rows, at)->seq);
        buf_printf(&sql, "%s$%zu", i ? ", " : "", 2 + i);
    }
    buf_lit(&sql, ") and published_at is null");
    buf_char(&sql, '\0');
    return db_exec(cx, sql.p, (struct db_args){values, 1 + length});
}

/* By row, not by range: a slower writer may have committed a lower number after we read. */
static enum err mark_all(struct ctx *cx, const struct list *rows)
{
    TRY(db_begin(cx));
    db_soon(cx); /* what is not marked is published again, and the inbox knows it */
    for (size_t i = 0; i < rows->n; i += MARK_MAX)
        TRY(mark_some(cx, rows, i, rows->n - i < MARK_MAX ? rows->n - i : MARK_MAX));
    return db_commit(cx);
}

/* Another relay that published some of them marks them at the same moment: then the rest. */
static enum err mark(struct ctx *cx, const struct list *rows)
{
    enum err e = mark_all(cx, rows);

    for (int tries = 1; tries < MARK_TRIES && e == ERR_CONFLICT; tries++) {
        db_rollback(cx);
        e = mark_all(cx, rows);
    }
    return e;
}

/*
 * What this process wrote, and before it what others wrote of the same aggregates, since their
 * order counts; beside that what nobody has published for a while, because its writer is gone. Two
 * that publish the same event do no harm. From the row after `begin`.
 */
static enum err take(struct ctx *cx, int64_t begin, struct list *ret)
{
    return db_all(
        cx, outbox_row_fields, ret,
        "with mine as (select o.seq, length(o.data) as size from outbox o where o.seq > $4"
        " and published_at is null and (o.writer = $2 or o.writer is null or o.time_us < $3"
        " or exists (select 1 from outbox m where m.aggregate_id = o.aggregate_id"
        " and m.aggregate_seq > o.aggregate_seq and m.published_at is null and m.writer = $2))"
        " order by o.seq limit " BATCH ")"
        " select seq, event_id, type, aggregate_id, aggregate_seq, time_us, traceparent, data,"
        " coalesce((select 1 from outbox b where b.aggregate_id = w.aggregate_id"
        " and b.aggregate_seq = w.aggregate_seq - 1 and b.seq <= $4 and b.published_at is null), 0)"
        " as is_behind"
        " from outbox w where seq in (select seq from (select seq,"
        " sum(size) over (order by seq) - size as before from mine) as sized where before < $1)"
        " order by seq",
        ARGS(db_int(RELAY_CHARS), db_uuid(cx->instance), db_int(ctx_now(cx) - ORPHAN_US),
             db_int(begin)));
}

static bool any_is_behind(const struct list *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        if (LIST_AT(struct outbox_row, *rows, i)->is_behind)
            return true;
    return false;
}

/* Behind where the last looks ended; all there is once a second, and where an order demands it. */
static enum err look(struct ctx *cx, const struct relay *r, struct list *ret, bool *ret_whole)
{
    int64_t now = ctx_now(cx);

    *ret_whole = now < r->whole_us || now - r->whole_us >= WHOLE_US;
    if (!*ret_whole) {
        TRY(take(cx, r->begin, ret));
        if (!any_is_behind(ret))
            return ERR_OK;
        *ret = (struct list){NULL, 0};
        *ret_whole = true;
    }
    return take(cx, 0, ret);
}

/* Everything up to `last` has been seen. Others may commit a lower number a moment later. */
static void move_on(struct relay *r, int64_t now, int64_t last)
{
    if (last > r->last)
        r->last = last;
    if (now >= r->moved_us && now - r->moved_us < BEGIN_US)
        return;
    r->begin = r->next_begin;
    r->next_begin = r->last;
    r->moved_us = now;
}

/* What a look at all rows says of the next one. Nothing behind where looks begin: numbers may have
 * begun anew, when the table was empty or the server is another. */
static void note_whole(struct relay *r, int64_t now, int64_t last, bool more)
{
    if (!more && last <= r->begin)
        r->begin = r->next_begin = r->last = 0;
    r->whole_us = more ? 0 : now;
}

enum err outbox_relay(struct ctx *cx, struct relay *r, struct bus *bus, size_t *ret_n,
                      bool *ret_more)
{
    struct list rows = {NULL, 0};
    int64_t now = ctx_now(cx);
    size_t bytes = 0;
    bool whole;

    *ret_n = 0;
    *ret_more = false;
    TRY(look(cx, r, &rows, &whole));
    if (rows.n == 0) {
        if (whole)
            note_whole(r, now, 0, false);
        return ERR_OK;
    }

    struct event *events = arena_array(cx->arena, rows.n, sizeof *events);
    for (size_t i = 0; i < rows.n; i++) {
        const struct outbox_row *row = LIST_AT(struct outbox_row, rows, i);
        events[i] = (struct event){
            .id = row->event_id,
            .type = row->type,
            .source = str_from(db_name(cx->db)),
            .key = row->aggregate_id,
            .sequence = row->aggregate_seq,
            .time_us = row->time_us,
            .traceparent = row->traceparent,
            .data = row->data,
        };
        bytes += row->data.n; /* at least as many as characters */
    }
    if (MUTANT(MUTANT_MARKED_EARLY))
        TRY(mark(cx, &rows));
    if (FAULT("relay.publish.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault: relay.publish.before");
    TRY(bus_publish(cx, bus, events, rows.n));
    if (FAULT("relay.mark.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault: relay.mark.before");
    TRY(mark(cx, &rows));
    /* The next round reads what is durable: without this it would find, and publish, these again.
     */
    TRY(db_durable(cx));
    *ret_n = rows.n;
    *ret_more = rows.n == RELAY_BATCH || bytes >= RELAY_CHARS;
    int64_t last = LIST_AT(struct outbox_row, rows, rows.n - 1)->seq;
    move_on(r, now, last);
    if (whole)
        note_whole(r, now, last, *ret_more);
    return ERR_OK;
}

enum err outbox_waits(struct ctx *cx, struct uuid aggregate_id, bool *ret)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n,
                  "select count(*) from outbox where aggregate_id = $1 and published_at is null",
                  ARGS(db_uuid(aggregate_id))));
    *ret = n > 0;
    return ERR_OK;
}

struct lag {
    int64_t rows, oldest_us;
};
static const struct field lag_fields[] = {
    F_INT(struct lag, rows, "rows", 0, 0, INT64_MAX, "events that wait"),
    F_INT(struct lag, oldest_us, "oldestUs", 0, 0, INT64_MAX, "when the oldest was written"),
    F_END(struct lag),
};

enum err outbox_lag(struct ctx *cx, int64_t *ret_rows, int64_t *ret_age_us)
{
    struct lag lag = {0};

    TRY(db_one(cx, lag_fields, &lag,
               "select count(*) as rows, min(time_us) as oldest_us from outbox"
               " where published_at is null",
               NO_ARGS));
    *ret_rows = lag.rows;
    *ret_age_us = lag.oldest_us ? ctx_now(cx) - lag.oldest_us : 0;
    return ERR_OK;
}
