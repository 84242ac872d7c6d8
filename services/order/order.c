/* order.c -- an order as the database holds it and as people see it, and whose it is. */
#include "order/order.h"

#define ONE(T, m, json) F_INT(T, m, json, 0, INT64_MIN, INT64_MAX, "")

const struct field order_row_fields[] = {
    F_UUID(struct order, order_id, "orderId", 0, ""),
    F_UUID(struct order, customer_id, "customerId", 0, ""),
    F_UUID(struct order, store_id, "storeId", 0, ""),
    F_UUID(struct order, owner_id, "ownerId", 0, ""),
    F_UUID(struct order, payment_id, "paymentId", 0, ""),
    F_UUID(struct order, cart_id, "cartId", 0, ""),
    F_STR(struct order, number, "number", 0, 0, 30, ""),
    F_STR(struct order, store_name, "storeName", 0, 0, 200, ""),
    F_STR(struct order, address, "address", 0, 0, 10000, ""),
    F_STR(struct order, request_message, "requestMessage", 0, 0, 500, ""),
    F_ENUM(struct order, status, "status", 0, status_names, ""),
    ONE(struct order, items_won, "itemsWon"),
    ONE(struct order, delivery_fee_won, "deliveryFeeWon"),
    ONE(struct order, total_won, "totalWon"),
    ONE(struct order, captured_won, "capturedWon"),
    ONE(struct order, late_won, "lateWon"),
    ONE(struct order, refunded_won, "refundedWon"),
    F_BOOL(struct order, cancel_requested, "cancelRequested", 0, ""),
    F_BOOL(struct order, stock_back, "stockBack", 0, ""),
    F_TIME(struct order, reserve_by, "reserveBy", 0, ""),
    F_TIME(struct order, expires_at, "expiresAt", 0, ""),
    F_TIME(struct order, accept_by, "acceptBy", 0, ""),
    F_TIME(struct order, eta_at, "etaAt", 0, ""),
    ONE(struct order, history_n, "historyN"),
    F_TIME(struct order, created_at, "createdAt", 0, ""),
    F_TIME(struct order, changed_at, "changedAt", 0, ""),
    F_END(struct order),
};

const struct field chosen_option_fields[] = {
    F_UUID(struct chosen_option, option_id, "optionId", REQUIRED, "option"),
    F_STR(struct chosen_option, name, "name", REQUIRED, 1, 100, "as it was when ordered"),
    F_WON(struct chosen_option, price_won, "priceWon", REQUIRED, "added to the unit price"),
    F_END(struct chosen_option),
};

const struct field order_line_fields[] = {
    F_UUID(struct order_line, line_id, "lineId", REQUIRED, "line"),
    F_UUID(struct order_line, menu_item_id, "menuItemId", REQUIRED, "menu item"),
    F_STR(struct order_line, name, "name", REQUIRED, 1, 100, "as it was when ordered"),
    F_RAW(struct order_line, options, "options", REQUIRED, "list of {optionId, name, priceWon}"),
    F_INT(struct order_line, quantity, "quantity", REQUIRED, 1, 99, "how many"),
    F_WON(struct order_line, unit_price_won, "unitPriceWon", REQUIRED, "one, with its options"),
    F_WON(struct order_line, line_total_won, "lineTotalWon", REQUIRED, "quantity times unit"),
    F_END(struct order_line),
};

const struct field history_row_fields[] = {
    ONE(struct history_row, n, "n"),
    F_STR(struct history_row, event, "event", 0, 0, 40, ""),
    F_STR(struct history_row, from_status, "fromStatus", 0, 0, 40, ""),
    F_STR(struct history_row, status, "status", 0, 0, 40, ""),
    ONE(struct history_row, facts, "facts"),
    ONE(struct history_row, by_role, "byRole"),
    F_UUID(struct history_row, by_id, "byId", 0, ""),
    F_STR(struct history_row, reason, "reason", 0, 0, 500, ""),
    F_STR(struct history_row, trace_id, "traceId", 0, 0, 40, ""),
    F_TIME(struct history_row, at, "at", 0, ""),
    F_END(struct history_row),
};

const struct field history_fields[] = {
    F_INT(struct history_row, n, "n", REQUIRED, 1, INT64_MAX, "number of the step"),
    F_STR(struct history_row, status, "status", REQUIRED, 0, 40, "status after it"),
    F_STR(struct history_row, event, "event", REQUIRED, 0, 40, "what happened"),
    F_TIME(struct history_row, at, "at", REQUIRED, "when"),
    F_STR(struct history_row, by, "by", REQUIRED, 0, 20, "customer, owner, staff, admin, system"),
    F_STR(struct history_row, reason, "reason", NULLABLE, 0, 500, "why"),
    F_END(struct history_row),
};

enum payment_status { READY_TO_PAY, PAYING, PAID_FULL, FAILED, REFUNDING, REFUNDED, REFUNDED_PART };
static const char *const payment_status_names[] = {
    "READY",     "CONFIRMING", "CAPTURED",           "FAILED",
    "REFUNDING", "REFUNDED",   "PARTIALLY_REFUNDED", NULL,
};

const struct field order_fields[] = {
    F_UUID(struct order, order_id, "orderId", REQUIRED, "order"),
    F_STR(struct order, number, "number", REQUIRED, 1, 30, "short, for people"),
    F_UUID(struct order, store_id, "storeId", REQUIRED, "store"),
    F_STR(struct order, store_name, "storeName", REQUIRED, 1, 200, "as it was when ordered"),
    F_ENUM(struct order, status, "status", REQUIRED, status_names, "where the order stands"),
    F_ENUM(struct order, payment_status, "paymentStatus", REQUIRED, payment_status_names,
           "where the money stands"),
    F_LIST(struct order, lines, "items", REQUIRED, 1, 100, order_line_fields, "what was ordered"),
    F_WON(struct order, items_won, "itemsWon", REQUIRED, "sum of the lines"),
    F_WON(struct order, delivery_fee_won, "deliveryFeeWon", REQUIRED, "for the way"),
    F_WON(struct order, total_won, "totalWon", REQUIRED, "to pay"),
    F_WON(struct order, refunded_won, "refundedWon", REQUIRED, "given back so far"),
    F_RAW(struct order, address, "address", REQUIRED, "as it was when ordered"),
    F_STR(struct order, request_message, "requestMessage", NULLABLE, 0, 500, "to the store"),
    F_TIME(struct order, expires_at, "expiresAt", NULLABLE, "an unpaid order ends then"),
    F_TIME(struct order, accept_by, "acceptBy", NULLABLE, "the store answers until then"),
    F_TIME(struct order, eta_at, "etaAt", NULLABLE, "expected at the door"),
    F_TIME(struct order, created_at, "createdAt", REQUIRED, "ordered"),
    F_LIST(struct order, history, "history", REQUIRED, 0, 1000, history_fields, "every step"),
    F_END(struct order),
};

#define ROW_SQL "select " ORDER_COLUMNS " from orders where order_id = $1"

enum err order_load(struct ctx *cx, struct uuid order_id, struct order *ret)
{
    struct order o = {0};

    TRY(db_one(cx, order_row_fields, &o, ROW_SQL, ARGS(db_uuid(order_id))));
    *ret = o;
    return ERR_OK;
}

void order_read_ahead(struct ctx *cx, struct uuid order_id, struct order *o, struct reads *r)
{
    reads_add(
        cx, r,
        (struct db_read){
            .fields = order_row_fields, .one = o, .sql = ROW_SQL, .args = ARGS(db_uuid(order_id))});
}

static struct str role_name(int64_t role)
{
    switch (role) {
    case CUSTOMER:
        return STR("customer");
    case OWNER:
        return STR("owner");
    case STAFF:
        return STR("staff");
    case ADMIN:
        return STR("admin");
    default:
        return STR("system");
    }
}

/* Read off the order: the payment service has the whole truth, this is what the order knows of it.
 */
static enum payment_status payment_status(const struct order *o)
{
    bool is_going_back = o->status == CANCELLING || o->status == CANCELLED ||
                         o->status == EXPIRED || o->status == REJECTED ||
                         o->status == PAYMENT_FAILED;

    int64_t captured = o->captured_won - o->late_won;
    int64_t refunded = o->refunded_won > o->late_won ? o->refunded_won - o->late_won : 0;

    if (captured == 0) {
        if (o->status == PAYMENT_FAILED)
            return FAILED;
        return o->status == CONFIRMING || o->status == MANUAL_REVIEW ? PAYING : READY_TO_PAY;
    }
    if (refunded == captured)
        return REFUNDED;
    if (is_going_back)
        return REFUNDING;
    return refunded > 0 ? REFUNDED_PART : PAID_FULL;
}

#define LINES_SQL                                                                                  \
    "select line_id, menu_item_id, name, options, quantity, unit_price_won, line_total_won"        \
    " from order_lines where order_id = $1 order by line_no"
#define HISTORY_SQL                                                                                \
    "select n, event, from_status, status, facts, by_role, by_id, reason, trace_id, at"            \
    " from order_history where order_id = $1 order by n"

enum err order_load_lines(struct ctx *cx, struct order *o)
{
    return db_all(cx, order_line_fields, &o->lines, LINES_SQL, ARGS(db_uuid(o->order_id)));
}

/* What is not stored. */
static void work_out(struct order *o)
{
    for (size_t i = 0; i < o->history.n; i++) {
        struct history_row *h = LIST_AT(struct history_row, o->history, i);
        h->by = role_name(h->by_role);
    }
    o->payment_status = payment_status(o);
}

enum err order_show_all(struct ctx *cx, struct list orders)
{
    struct reads reads = {0};

    for (size_t i = 0; i < orders.n; i++) {
        struct order *o = LIST_AT(struct order, orders, i);
        struct db_args of = ARGS(db_uuid(o->order_id));
        reads_add(cx, &reads,
                  (struct db_read){
                      .fields = order_line_fields, .all = &o->lines, .sql = LINES_SQL, .args = of});
        reads_add(
            cx, &reads,
            (struct db_read){
                .fields = history_row_fields, .all = &o->history, .sql = HISTORY_SQL, .args = of});
    }
    TRY(reads_make(cx, &reads));
    for (size_t i = 0; i < orders.n; i++)
        work_out(LIST_AT(struct order, orders, i));
    return ERR_OK;
}

enum with { LINES = 1, HISTORY = 2 };

/* The row with these; what it is loaded without is left out. */
static enum err load_with(struct ctx *cx, struct uuid order_id, unsigned with, struct order *ret)
{
    struct db_args of = ARGS(db_uuid(order_id));
    struct order o = {0};
    struct db_read reads[3] = {
        {.fields = order_row_fields, .one = &o, .sql = ROW_SQL, .args = of},
    };
    size_t n = 1;

    if (with & LINES)
        reads[n++] = (struct db_read){
            .fields = order_line_fields, .all = &o.lines, .sql = LINES_SQL, .args = of};
    if (with & HISTORY)
        reads[n++] = (struct db_read){
            .fields = history_row_fields, .all = &o.history, .sql = HISTORY_SQL, .args = of};
    TRY(db_read(cx, reads, n));
    if (reads[0].rows == 0)
        return fail(cx, ERR_NOT_FOUND, "no such order");
    work_out(&o);
    *ret = o;
    return ERR_OK;
}

enum err order_load_shown(struct ctx *cx, struct uuid order_id, struct order *ret)
{
    return load_with(cx, order_id, LINES | HISTORY, ret);
}

enum err order_load_with_lines(struct ctx *cx, struct uuid order_id, struct order *ret)
{
    return load_with(cx, order_id, LINES, ret);
}

enum err order_load_again(struct ctx *cx, struct order *o)
{
    struct list lines = o->lines;

    TRY(load_with(cx, o->order_id, HISTORY, o));
    o->lines = lines;
    return ERR_OK;
}

enum err reply_shown(struct ctx *cx, struct reply *rp, int status, const struct order *o)
{
    reply_version(cx, rp, o->history_n);
    return reply_data(cx, rp, status, order_fields, o);
}

enum err reply_order(struct ctx *cx, struct reply *rp, int status, struct uuid order_id)
{
    struct order o = {0};

    TRY(order_load_shown(cx, order_id, &o));
    return reply_shown(cx, rp, status, &o);
}

enum err guard_customer(struct ctx *cx, const struct request *rq)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n, "select count(*) from orders where order_id = $1 and customer_id = $2",
                  ARGS(db_uuid(rq->id[0]), db_uuid(cx->caller.user_id))));
    return n == 1 ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no order of this customer");
}

#define MAY_ORDERS 1 /* of the permissions that an owner grants */

/* By our own copies: the board works while the store service is away. */
static enum err owns(struct ctx *cx, struct uuid store_id, bool *ret)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n, "select count(*) from store_copies where store_id = $1 and owner_id = $2",
                  ARGS(db_uuid(store_id), db_uuid(cx->caller.user_id))));
    *ret = n == 1;
    return ERR_OK;
}

enum err guard_store_owner(struct ctx *cx, const struct request *rq)
{
    bool is_theirs = false;

    TRY(owns(cx, rq->id[0], &is_theirs));
    return is_theirs ? ERR_OK : fail(cx, ERR_NOT_FOUND, "store of another owner");
}

static enum err check_works_there(struct ctx *cx, struct uuid store_id)
{
    int64_t permissions = 0;
    bool is_theirs = false;

    TRY(owns(cx, store_id, &is_theirs));
    if (is_theirs && cx->caller.role == OWNER)
        return ERR_OK;
    /* Not theirs at all: not found, as any store of others. */
    TRY(db_int_of(cx, &permissions,
                  "select permissions from staff_copies where store_id = $1 and user_id = $2",
                  ARGS(db_uuid(store_id), db_uuid(cx->caller.user_id))));
    return permissions & MAY_ORDERS ? ERR_OK : fail(cx, ERR_FORBIDDEN, "staff without orders");
}

enum err guard_store(struct ctx *cx, const struct request *rq)
{
    int64_t n = 0;

    TRY(check_works_there(cx, rq->id[0]));
    if (uuid_is_nil(rq->id[1]))
        return ERR_OK;
    TRY(db_int_of(cx, &n, "select count(*) from orders where order_id = $1 and store_id = $2",
                  ARGS(db_uuid(rq->id[1]), db_uuid(rq->id[0]))));
    return n == 1 ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no order of this store");
}
