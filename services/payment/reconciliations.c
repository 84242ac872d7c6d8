/* reconciliations.c -- comparisons of books: when they are made, what is kept of them, and who may
 * ask for one. */
#include "payment/reconcile.h"

#include "obs/metrics.h"

#define CATCH_UP_US (31 * US_PER_DAY) /* the most that is looked at again after a long stop */

static struct metric *until_gauge(void)
{
    return metric_get(METRIC_GAUGE, "jumun_reconciled_until_seconds",
                      "Until when our books were compared with the provider's, in Unix time; alert "
                      "when it is three hours ago.",
                      NULL, NULL, NULL, NULL);
}

const struct field reconciliation_fields[] = {
    F_UUID(struct reconciliation, reconciliation_id, "reconciliationId", REQUIRED,
           "this comparison"),
    F_TIME(struct reconciliation, from_at, "from", REQUIRED, "begin of the time looked at"),
    F_TIME(struct reconciliation, to_at, "to", REQUIRED, "its end"),
    F_TIME(struct reconciliation, at, "at", REQUIRED, "when it was done"),
    F_UUID(struct reconciliation, by_id, "byId", NULLABLE, "operator; null: by itself"),
    F_INT(struct reconciliation, captures, "captures", REQUIRED, 0, INT64_MAX, "of the provider"),
    F_INT(struct reconciliation, refunds, "refunds", REQUIRED, 0, INT64_MAX, "of the provider"),
    F_INT(struct reconciliation, difference_count, "differenceCount", REQUIRED, 0, INT64_MAX,
          "rows that do not agree"),
    F_INT(struct reconciliation, unasked, "unasked", REQUIRED, 0, INT64_MAX,
          "rows that only we have and that the provider could not be asked about"),
    F_RAW(struct reconciliation, differences, "differences", REQUIRED,
          "the first hundred: kind, paymentKey, transactionKey, orderId, ourWon, theirWon"),
    F_END(struct reconciliation),
};

static enum err keep(struct ctx *cx, const struct reconciliation *run)
{
    int64_t kept = 0;

    return db_once(cx, &kept,
                   "insert into reconciliations (reconciliation_id, from_at, to_at, at, by_id,"
                   " captures, refunds, difference_count, unasked, differences)"
                   " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                   ARGS(db_uuid(run->reconciliation_id), db_int(run->from_at), db_int(run->to_at),
                        db_int(run->at), db_uuid(run->by_id), db_int(run->captures),
                        db_int(run->refunds), db_int(run->difference_count), db_int(run->unasked),
                        db_str(run->differences)));
}

static enum err compare(struct ctx *cx, int64_t from, int64_t to, struct uuid by_id,
                        struct reconciliation *ret)
{
    TRY(reconcile(cx, from, to, ret));
    ret->by_id = by_id;
    return keep(cx, ret);
}

/* ---- by itself */

/* 0: never yet. */
static enum err reconciled_until(struct ctx *cx, int64_t *ret)
{
    return db_int_of(cx, ret, "select max(to_at) from reconciliations where by_id is null",
                     NO_ARGS);
}

/*
 * An hour at a time, so that other timers of the process do not wait for long: the hour behind what
 * was looked at last with the one before it, and, since the provider may list some things late, the
 * same of the day before once more.
 */
static enum err reconcile_hour(struct ctx *cx, int64_t from, int64_t to)
{
    struct reconciliation run;

    TRY(compare(cx, from - US_PER_HOUR, to, UUID_NIL, &run));
    return compare(cx, from - US_PER_DAY, to - US_PER_DAY, UUID_NIL, &run);
}

enum err reconcile_sweep(struct ctx *cx)
{
    int64_t last = 0, now = ctx_now(cx), settled = now - SETTLED_US;

    TRY(reconciled_until(cx, &last));
    int64_t from = last > now - CATCH_UP_US ? last : now - US_PER_HOUR;
    int64_t to = from + US_PER_HOUR < settled ? from + US_PER_HOUR : settled;
    if (to <= from)
        return ERR_OK; /* a moment ago; or the clock went back */
    TRY(reconcile_hour(cx, from, to));
    return settled - to > US_PER_HOUR ? ERR_BUSY : ERR_OK; /* the rest soon, in a run of its own */
}

enum err count_reconciled(struct ctx *cx)
{
    int64_t until = 0;

    TRY(reconciled_until(cx, &until));
    metric_set(until_gauge(), until / US_PER_S);
    return ERR_OK;
}

/* ---- for operators */

struct range {
    int64_t from, to;
};
const struct field reconcile_fields[] = {
    F_TIME(struct range, from, "from", 0, "begin; default: a day before `to`"),
    F_TIME(struct range, to, "to", 0, "end; default: now. At most a day"),
    F_END(struct range),
};

enum err reconcile_run(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct range *in = rq->body;
    int64_t to = in->to ? in->to : ctx_now(cx), from = in->from ? in->from : to - US_PER_DAY;
    struct reconciliation run;

    if (from >= to || to - from > US_PER_DAY) {
        ctx_field_error(cx, STR("from"), STR("RANGE"), "expected at most a day before \"to\"");
        return fail(cx, ERR_INVALID, "range");
    }
    TRY(compare(cx, from, to, cx->caller.user_id, &run));
    return reply_data(cx, rp, 200, reconciliation_fields, &run);
}

struct list_query {
    struct page page;
};
const struct field reconciliations_query_fields[] = {
    PAGE_FIELDS(struct list_query, page),
    F_END(struct list_query),
};

enum err reconcile_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct list_query *q = rq->query;
    int64_t limit = page_limit(&q->page), at = INT64_MAX;
    struct list rows = {NULL, 0};
    struct str next = STR_NONE;
    struct uuid id = UUID_NIL;

    TRY(page_after(cx, &q->page, &at, &id));
    TRY(db_all(cx, reconciliation_fields, &rows,
               "select reconciliation_id, from_at, to_at, at, by_id, captures, refunds,"
               " difference_count, unasked, differences from reconciliations"
               " where (at, reconciliation_id) < ($1, $2)"
               " order by at desc, reconciliation_id desc limit $3",
               ARGS(db_int(at), db_uuid(id), db_int(limit + 1))));
    if (rows.n > (size_t)limit) {
        rows.n = (size_t)limit;
        const struct reconciliation *last = LIST_AT(struct reconciliation, rows, rows.n - 1);
        next = page_cursor(cx, last->at, last->reconciliation_id);
    }
    return reply_list(cx, rq, rp, reconciliation_fields, rows, next);
}
