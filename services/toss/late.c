/* late.c -- captures that become visible later by themselves: the answer is lost, nobody sees the
 * payment, and then it is done. */
#include "toss/toss.h"

#define LATE_US (2 * US_PER_S)

enum err capture_later(struct ctx *cx, const struct request *rq, const struct paid *p)
{
    struct str scope = scope_of(cx, rq);
    struct faults f;

    TRY(faults_load(cx, &f));
    TRY(db_exec(cx,
                "update payments set outcome = 'approve', late_at = $2, late_scope = $3"
                " where payment_id = $1",
                ARGS(db_uuid(p->payment_id), db_int(ctx_now(cx)), db_str(scope))));
    int64_t after_us = f.has_late_capture_ms ? f.late_capture_ms * US_PER_MS : LATE_US;
    return timer_set(cx, "toss.capture", p->payment_id, ctx_now(cx) + after_us);
}

struct late_row {
    struct str payment_key, late_scope;
};
static const struct field late_row_fields[] = {
    F_STR(struct late_row, payment_key, "paymentKey", 0, 0, 200, ""),
    F_STR(struct late_row, late_scope, "lateScope", 0, 0, 1000, ""),
    F_END(struct late_row),
};

/* The request that was never answered is done now; under its key, its answer is kept. */
enum err when_capture_is_due(struct ctx *cx, struct uuid payment_id, int64_t attempt)
{
    struct late_row row = {0};
    struct reply rp = {0};
    struct paid p;

    (void)attempt;
    TRY(db_one(cx, late_row_fields, &row,
               "select payment_key, late_scope from payments where payment_id = $1",
               ARGS(db_uuid(payment_id))));
    TRY(paid_load(cx, row.payment_key, &p));
    if (!p.late_at)
        return ERR_OK;
    TRY(capture(cx, &p, 0));
    TRY(reply_paid(cx, &rp, &p));
    return keep_under(cx, row.late_scope, &rp);
}
