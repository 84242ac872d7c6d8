/* privacy.c -- who withdraws is forgotten: carts go, orders stay without the person in them. */
#include "order/order.h"

struct account_gone {
    struct uuid user_id;
};
const struct field account_gone_order_fields[] = {
    F_UUID(struct account_gone, user_id, "userId", REQUIRED, "who has withdrawn"),
    F_END(struct account_gone),
};

#define ENDED "('COMPLETED', 'CANCELLED', 'EXPIRED', 'REJECTED', 'PAYMENT_FAILED')"

/* The kitchen and the rider need the address until the order has ended; then nobody does. */
static enum err forget_ended(struct ctx *cx, struct uuid customer_id)
{
    int64_t live = 0;

    TRY(db_exec(cx,
                "update orders set address = '{}', request_message = null where customer_id = $1"
                " and status in " ENDED " and address <> '{}'",
                ARGS(db_uuid(customer_id))));
    TRY(db_int_of(cx, &live,
                  "select count(*) from orders where customer_id = $1 and status not in " ENDED,
                  ARGS(db_uuid(customer_id))));
    if (live > 0)
        return ERR_OK;
    return db_exec(cx, "delete from withdrawn where customer_id = $1", ARGS(db_uuid(customer_id)));
}

enum err on_account_withdrawn(struct ctx *cx, const struct event *e, const void *data)
{
    const struct account_gone *in = data;

    (void)e;
    TRY(db_exec(cx,
                "delete from cart_items where cart_id in"
                " (select cart_id from carts where customer_id = $1)",
                ARGS(db_uuid(in->user_id))));
    TRY(db_exec(cx, "delete from carts where customer_id = $1", ARGS(db_uuid(in->user_id))));
    TRY(db_exec(cx,
                "insert into withdrawn (customer_id, at) values ($1, $2)"
                " on conflict (customer_id) do nothing",
                ARGS(db_uuid(in->user_id), db_int(ctx_now(cx)))));
    return forget_ended(cx, in->user_id);
}

struct waiting {
    struct uuid customer_id;
};
static const struct field waiting_fields[] = {
    F_UUID(struct waiting, customer_id, "customerId", 0, ""),
    F_END(struct waiting),
};

/* Job: those whose last order was still under way. */
enum err withdrawn_sweep(struct ctx *cx)
{
    struct list all = {NULL, 0};

    TRY(db_all(cx, waiting_fields, &all, "select customer_id from withdrawn order by at limit 1000",
               NO_ARGS));
    for (size_t i = 0; i < all.n; i++) {
        TRY(db_begin(cx));
        TRY(forget_ended(cx, LIST_AT(struct waiting, all, i)->customer_id));
        TRY(db_commit(cx));
    }
    return ERR_OK;
}
