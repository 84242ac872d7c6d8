/* freeze.c -- captures that are not what was agreed: believed when the provider keeps saying so,
 * and counted until a person has decided. */
#include "payment/payment.h"

#include "obs/metrics.h"

/*
 * DESIGN
 *
 * One wrong answer may be a mistake on the way: the money is asked about again, and only a provider
 * that names the same wrong amount WRONG_LOOKS times has captured it. Then the books take it as it
 * is, it goes back once, under the key of its refund, and the order waits in MANUAL_REVIEW. A
 * capture under our key for another order is not ours to give back: that order may be rightly paid.
 */

#define WRONG_LOOKS 3

static struct metric *frozen_gauge(void)
{
    return metric_get(
        METRIC_GAUGE, "jumun_payments_frozen",
        "Captures that were not what was agreed and wait for a person; alert above 0.", NULL, NULL,
        NULL, NULL);
}

enum err count_frozen(struct ctx *cx)
{
    int64_t n = 0;

    TRY(db_int_of(
        cx, &n, "select count(*) from payments where frozen_at is not null and reviewed_at is null",
        NO_ARGS));
    metric_set(frozen_gauge(), n);
    return ERR_OK;
}

/* How often in a row look-ups have named this amount, with this one. */
static enum err count_look(struct ctx *cx, const struct payment *p, int64_t wrong_won, int64_t *ret)
{
    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "update payments set wrong_looks = case when wrong_won = $2 then wrong_looks + 1"
                " else 1 end, wrong_won = $2 where payment_id = $1",
                ARGS(db_uuid(p->payment_id), db_int(wrong_won))));
    TRY(db_int_of(cx, ret, "select wrong_looks from payments where payment_id = $1",
                  ARGS(db_uuid(p->payment_id))));
    return db_commit(cx);
}

enum err captured_wrong(struct ctx *cx, const struct payment *p, const struct toss_payment *answer)
{
    bool is_ours = str_eq(answer->payment_key, p->payment_key) &&
                   str_eq_nocase(answer->order_id, str_from(ctx_uuid_text(cx, p->order_id)));
    int64_t captured_won = is_ours ? answer->total_won : 0, looks = 0;

    TRY(count_look(cx, p, captured_won, &looks));
    if (looks < WRONG_LOOKS)
        return fail(cx, ERR_PROVIDER, "captured as %.*s with %" PRId64 " won, asked for %" PRId64,
                    STR_ARG(answer->order_id), answer->total_won, p->amount_won);
    if (p->status == CONFIRMING)
        return settle_wrong(cx, p, answer, captured_won);
    if (captured_won)
        return settle_late(cx, p, answer);
    TRY(db_begin(cx));
    TRY(timer_clear(cx, "payment.resolve", p->payment_id));
    return db_commit(cx);
}

struct order_reviewed {
    struct uuid order_id;
    struct str from, to;
};
const struct field order_reviewed_fields[] = {
    F_UUID(struct order_reviewed, order_id, "orderId", REQUIRED, "order"),
    F_STR(struct order_reviewed, from, "from", REQUIRED, 0, 30, "status before"),
    F_STR(struct order_reviewed, to, "to", REQUIRED, 0, 30, "status now"),
    F_END(struct order_reviewed),
};

/* Out of the review, or at an end without one because it was dead when the capture was found. */
bool is_order_decided(const void *data)
{
    const struct order_reviewed *in = data;
    static const char *const ends[] = {"CANCELLED", "EXPIRED", "REJECTED", "PAYMENT_FAILED"};

    if (str_eq(in->to, STR("MANUAL_REVIEW")))
        return false;
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (str_eq(in->to, str_from(ends[i])))
            return true;
    return str_eq(in->from, STR("MANUAL_REVIEW"));
}

enum err on_order_reviewed(struct ctx *cx, const struct event *e, const void *data)
{
    const struct order_reviewed *in = data;

    (void)e;
    return db_exec(cx,
                   "update payments set reviewed_at = $2 where order_id = $1"
                   " and frozen_at is not null and reviewed_at is null",
                   ARGS(db_uuid(in->order_id), db_int(ctx_now(cx))));
}
