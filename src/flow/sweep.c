/* sweep.c -- deletes what is old from the tables that flow keeps, and from a service's own. */
#include "flow/sweep.h"

#include "base/fault.h"
#include "db/text.h"

#define BATCH DB_TEXT(SWEEP_BATCH)

const struct sweep sweep_inbox = {
    "inbox",       "inbox",
    "event_id",    "select event_id from inbox where applied_at < $1 order by applied_at",
    INBOX_KEEP_US, "events that the bus cannot deliver again",
};
const struct sweep sweep_idempotency = {
    "idempotency",
    "idempotency",
    "(principal, route, key)",
    "select principal, route, key from idempotency where expires_at < $1 order by expires_at",
    0,
    "answers that were kept for their 24 hours",
};

/*
 * The oldest rows as far as they were published long enough ago. A window of rows, not an index of
 * the published ones: that would cost every event a write. What is published later than its
 * neighbours holds up the rows behind the window only until it is old itself.
 */
#define OLD_EVENTS(limit)                                                                          \
    "(select seq from (select seq, published_at from outbox order by seq limit " limit             \
    ") as oldest where published_at < $1)"
#define OLD_BATCH OLD_EVENTS(BATCH)

static enum err commit(struct ctx *cx, int64_t rows)
{
    if (rows == 0) {
        db_rollback(cx); /* nothing to make durable */
        return ERR_OK;
    }
    if (FAULT("flow.sweep.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: flow.sweep.commit");
    return db_commit(cx);
}

static enum err delete_rows(struct ctx *cx, const struct sweep *s, int64_t before_us,
                            int64_t *ret_rows)
{
    struct str sql = arena_printf(cx->arena, "delete from %s where %s in (%s limit " BATCH ")",
                                  s->table, s->key, s->old);

    TRY(db_begin(cx));
    TRY(db_change(cx, ret_rows, sql.p, ARGS(db_int(before_us))));
    return commit(cx, *ret_rows);
}

enum err sweep_rows(struct ctx *cx, const struct sweep *s, int64_t keep_us, int64_t *ret_rows)
{
    struct str look = arena_printf(cx->arena, "select count(*) from (%s limit 1) as old", s->old);
    int64_t before_us = ctx_now(cx) - keep_us, old = 0;

    *ret_rows = 0;
    TRY(db_int_of(cx, &old, look.p, ARGS(db_int(before_us))));
    if (old == 0)
        return ERR_OK;
    enum err e = delete_rows(cx, s, before_us, ret_rows);
    if (e != ERR_OK)
        db_rollback(cx);
    return e;
}

/* The numbers that were given stay behind: an aggregate's next event must not begin at 1 again. */
static enum err delete_events(struct ctx *cx, int64_t before_us, int64_t *ret_rows)
{
    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "insert into outbox_swept (aggregate_id, last_seq)"
                " select aggregate_id, max(aggregate_seq) from outbox where seq in " OLD_BATCH
                " group by aggregate_id on conflict (aggregate_id) do update set"
                " last_seq = excluded.last_seq where outbox_swept.last_seq < excluded.last_seq",
                ARGS(db_int(before_us))));
    TRY(db_change(cx, ret_rows, "delete from outbox where seq in " OLD_BATCH,
                  ARGS(db_int(before_us))));
    return commit(cx, *ret_rows);
}

enum err sweep_outbox(struct ctx *cx, int64_t keep_us, int64_t *ret_rows)
{
    int64_t before_us = ctx_now(cx) - keep_us, old = 0;

    *ret_rows = 0;
    TRY(db_int_of(cx, &old, "select count(*) from " OLD_EVENTS("1") " as old",
                  ARGS(db_int(before_us))));
    if (old == 0)
        return ERR_OK;
    enum err e = delete_events(cx, before_us, ret_rows);
    if (e != ERR_OK)
        db_rollback(cx);
    return e;
}
