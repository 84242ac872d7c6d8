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

struct outbox_row {
    int64_t seq, aggregate_seq, time_us;
    struct uuid event_id, aggregate_id;
    struct str type, traceparent, data;
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
 * that publish the same event do no harm.
 */
static enum err take(struct ctx *cx, struct list *ret)
{
    return db_all(
        cx, outbox_row_fields, ret,
        "with mine as (select o.seq, length(o.data) as size from outbox o where published_at is"
        " null and (o.writer = $2 or o.writer is null or o.time_us < $3"
        " or exists (select 1 from outbox m where m.aggregate_id = o.aggregate_id"
        " and m.aggregate_seq > o.aggregate_seq and m.published_at is null and m.writer = $2))"
        " order by o.seq limit " BATCH ")"
        " select seq, event_id, type, aggregate_id, aggregate_seq, time_us, traceparent, data"
        " from outbox where seq in (select seq from (select seq,"
        " sum(size) over (order by seq) - size as before from mine) as sized where before < $1)"
        " order by seq",
        ARGS(db_int(RELAY_CHARS), db_uuid(cx->instance), db_int(ctx_now(cx) - ORPHAN_US)));
}

enum err outbox_relay(struct ctx *cx, struct bus *bus, size_t *ret_n, bool *ret_more)
{
    struct list rows = {NULL, 0};
    size_t bytes = 0;

    *ret_n = 0;
    *ret_more = false;
    TRY(take(cx, &rows));
    if (rows.n == 0)
        return ERR_OK;

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

enum err outbox_lag(struct ctx *cx, int64_t *ret_rows, int64_t *ret_age_us)
{
    int64_t oldest = 0;

    TRY(db_int_of(cx, ret_rows, "select count(*) from outbox where published_at is null", NO_ARGS));
    TRY(db_int_of(cx, &oldest, "select min(time_us) from outbox where published_at is null",
                  NO_ARGS));
    *ret_age_us = oldest ? ctx_now(cx) - oldest : 0;
    return ERR_OK;
}
