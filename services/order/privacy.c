/* privacy.c -- who withdraws is forgotten: carts go, orders stay without the person in them. */
#include "order/order.h"

struct account_gone {
    struct uuid user_id;
};
const struct field account_gone_order_fields[] = {
    F_UUID(struct account_gone, user_id, "userId", REQUIRED, "who has withdrawn"),
    F_END(struct account_gone),
};

/* For longer than a request runs, or a session lives that has not heard of it: until then there may
 * be a new order, or a new cart. */
#define STILL_COMES_US US_PER_HOUR

#define ENDED "('COMPLETED', 'CANCELLED', 'EXPIRED', 'REJECTED', 'PAYMENT_FAILED')"

/* The kitchen and the rider need the address until the order has ended; then nobody does. */
static enum err forget(struct ctx *cx, struct uuid customer_id)
{
    int64_t live = 0;

    TRY(db_exec(cx,
                "delete from cart_items where cart_id in"
                " (select cart_id from carts where customer_id = $1)",
                ARGS(db_uuid(customer_id))));
    TRY(db_exec(cx, "delete from carts where customer_id = $1", ARGS(db_uuid(customer_id))));
    TRY(db_exec(cx,
                "update orders set address = '{}', request_message = null where customer_id = $1"
                " and status in " ENDED " and address <> '{}'",
                ARGS(db_uuid(customer_id))));
    TRY(db_int_of(cx, &live,
                  "select count(*) from orders where customer_id = $1 and status not in " ENDED,
                  ARGS(db_uuid(customer_id))));
    if (live > 0)
        return ERR_OK;
    return db_exec(cx, "delete from withdrawn where customer_id = $1 and at <= $2",
                   ARGS(db_uuid(customer_id), db_int(ctx_now(cx) - STILL_COMES_US)));
}

enum err on_account_withdrawn(struct ctx *cx, const struct event *e, const void *data)
{
    const struct account_gone *in = data;

    (void)e;
    TRY(db_exec(cx,
                "insert into withdrawn (customer_id, at) values ($1, $2)"
                " on conflict (customer_id) do nothing",
                ARGS(db_uuid(in->user_id), db_int(ctx_now(cx)))));
    return forget(cx, in->user_id);
}

#define PAGE 1000

struct waiting {
    struct uuid customer_id;
    int64_t at;
};
static const struct field waiting_fields[] = {
    F_UUID(struct waiting, customer_id, "customerId", 0, ""),
    F_TIME(struct waiting, at, "at", 0, ""),
    F_END(struct waiting),
};

/* Job: those who have withdrawn a short while ago, or whose last order was still under way. */
enum err withdrawn_sweep(struct ctx *cx)
{
    struct waiting last = {.at = INT64_MIN};
    struct list all = {NULL, PAGE};

    while (all.n == PAGE) {
        TRY(db_all(cx, waiting_fields, &all,
                   "select customer_id, at from withdrawn where (at, customer_id) > ($1, $2)"
                   " order by at, customer_id limit $3",
                   ARGS(db_int(last.at), db_uuid(last.customer_id), db_int(PAGE))));
        for (size_t i = 0; i < all.n; i++) {
            last = *LIST_AT(struct waiting, all, i);
            TRY(db_begin(cx));
            TRY(forget(cx, last.customer_id));
            TRY(db_commit(cx));
        }
    }
    return ERR_OK;
}
