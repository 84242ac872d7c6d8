/* pin.c -- what the payment service asks of an order: its amount, its status, and to hold still. */
#include "order/saga.h"

#include "base/fault.h"

struct pin_body {
    struct uuid customer_id, payment_id;
    int64_t amount_won;
};
const struct field pin_fields[] = {
    F_UUID(struct pin_body, customer_id, "customerId", REQUIRED, "who pays"),
    F_WON(struct pin_body, amount_won, "amountWon", REQUIRED, "what is about to be captured"),
    F_UUID(struct pin_body, payment_id, "paymentId", REQUIRED, "the payment that pins it"),
    F_END(struct pin_body),
};

const struct field order_status_fields[] = {
    F_UUID(struct order, order_id, "orderId", REQUIRED, "order"),
    F_UUID(struct order, store_id, "storeId", REQUIRED, "store"),
    F_ENUM(struct order, status, "status", REQUIRED, status_names, "status"),
    F_END(struct order),
};

enum err order_knows_payment(struct ctx *cx, const struct order *o, struct uuid payment_id,
                             bool *ret)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n,
                  "select count(*) from order_history where order_id = $1 and by_id = $2"
                  " and event in ('PINNED', 'PAYMENT_OVER')",
                  ARGS(db_uuid(o->order_id), db_uuid(payment_id))));
    *ret = n > 0;
    return ERR_OK;
}

/*
 * The payment service has at most one live payment per order, so a second pin by another payment
 * means that the first was declined and its event is still on the way: the new payment takes the
 * pin over, and what comes for the old one changes nothing.
 *
 * One that is known already gets the answer of before. Above all it does not pin (again) when it is
 * over: that was told already, so nothing would end such a pin but the day of order.unknown. Such a
 * pin may have been on its way for so long that another payment has come and gone.
 */
static enum err pin(struct ctx *cx, const struct pin_body *in, struct order *o)
{
    struct saga_input step = {.step = PINNED, .by = in->payment_id};
    bool before = uuid_eq(o->payment_id, in->payment_id);

    if (!uuid_eq(o->customer_id, in->customer_id))
        return fail(cx, ERR_NOT_FOUND, "not the order of this customer");
    if (o->total_won != in->amount_won)
        return fail(cx, ERR_PAYMENT_AMOUNT, "order of %" PRId64 " won, not %" PRId64, o->total_won,
                    in->amount_won);
    if (before && o->status == CONFIRMING)
        return ERR_OK;
    if (!before && !uuid_is_nil(o->payment_id)) /* another's came later */
        TRY(order_knows_payment(cx, o, in->payment_id, &before));
    if (before)
        return fail(cx, ERR_ORDER_STATE, "a payment that is known already, now %s",
                    status_names[o->status]);
    if (MUTANT(MUTANT_NOT_PINNED))
        return ERR_OK;
    o->payment_id = in->payment_id;
    return order_step(cx, o, &step);
}

enum err order_pin(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct order o;

    TRY(db_begin(cx));
    TRY(order_load(cx, rq->id[0], &o));
    TRY(pin(cx, rq->body, &o));
    if (FAULT("order.pin.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: order.pin.commit");
    TRY(db_commit(cx));
    return reply_data(cx, rp, 200, order_status_fields, &o);
}

enum err order_status(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct order o;

    TRY(order_load(cx, rq->id[0], &o));
    return reply_data(cx, rp, 200, order_status_fields, &o);
}

struct checkout_query {
    struct uuid customer_id;
};
const struct field checkout_query_fields[] = {
    F_UUID(struct checkout_query, customer_id, "customerId", REQUIRED, "who is about to pay"),
    F_END(struct checkout_query),
};

struct checkout {
    struct uuid order_id, customer_id, store_id;
    int status;
    int64_t amount_won, expires_at;
    struct str order_name;
};
const struct field order_checkout_fields[] = {
    F_UUID(struct checkout, order_id, "orderId", REQUIRED, "order"),
    F_UUID(struct checkout, customer_id, "customerId", REQUIRED, "customer"),
    F_UUID(struct checkout, store_id, "storeId", REQUIRED, "store"),
    F_ENUM(struct checkout, status, "status", REQUIRED, status_names, "status"),
    F_WON(struct checkout, amount_won, "amountWon", REQUIRED, "to pay"),
    F_STR(struct checkout, order_name, "orderName", REQUIRED, 1, 100, "what the window shows"),
    F_TIME(struct checkout, expires_at, "expiresAt", REQUIRED, "to be paid until"),
    F_END(struct checkout),
};

/* "후라이드치킨 외 2건", as Korean receipts say it; Toss takes at most 100 characters. */
static struct str order_name(struct ctx *cx, const struct order *o)
{
    const struct order_line *first = LIST_AT(struct order_line, o->lines, 0);

    if (o->lines.n == 1)
        return first->name;
    return arena_printf(cx->arena, "%.*s 외 %zu건", STR_ARG(first->name), o->lines.n - 1);
}

enum err order_checkout(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct checkout_query *q = rq->query;
    struct order o;

    TRY(order_load_with_lines(cx, rq->id[0], &o));
    if (!uuid_eq(o.customer_id, q->customer_id))
        return fail(cx, ERR_NOT_FOUND, "not the order of this customer");
    const struct checkout c = {.order_id = o.order_id,
                               .customer_id = o.customer_id,
                               .store_id = o.store_id,
                               .status = o.status,
                               .amount_won = o.total_won,
                               .expires_at = o.expires_at,
                               .order_name = order_name(cx, &o)};
    return reply_data(cx, rp, 200, order_checkout_fields, &c);
}
