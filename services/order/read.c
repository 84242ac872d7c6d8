/* read.c -- orders as lists and one by one: of a customer, of a store; and the cancel. */
#include "order/saga.h"
#include "order/waiting.h"

#include "base/fault.h"

struct list_query {
    int status;
    bool has_status;
    struct page page;
};
const struct field order_list_query_fields[] = {
    {FIELD_ENUM, "status", "status", offsetof(struct list_query, status),
     offsetof(struct list_query, has_status), 0, 0, 0, 0, status_names, NULL, "only this status"},
    PAGE_FIELDS(struct list_query, page),
    F_END(struct list_query),
};

static struct str status_wanted(bool has, int status)
{
    return has ? str_from(status_names[status]) : STR_NONE;
}

/* Rows hold one more than the page when there is a next one; that one is cut off. */
static enum err reply_page(struct ctx *cx, const struct request *rq, struct reply *rp,
                           const struct page *page, struct list rows)
{
    struct str next = STR_NONE;

    if (rows.n > (size_t)page_limit(page)) {
        rows.n = (size_t)page_limit(page);
        const struct order *last = LIST_AT(struct order, rows, rows.n - 1);
        next = page_cursor(cx, last->created_at, last->order_id);
    }
    TRY(order_show_all(cx, rows));
    return reply_list(cx, rq, rp, order_fields, rows, next);
}

static enum err list_of(struct ctx *cx, const struct request *rq, struct reply *rp,
                        struct uuid customer_id)
{
    const struct list_query *q = rq->query;
    struct list rows = {NULL, 0};
    struct uuid after;
    int64_t before;

    TRY(page_after(cx, &q->page, &before, &after));
    TRY(db_all(cx, order_row_fields, &rows,
               "select " ORDER_COLUMNS " from orders where customer_id = $1"
               " and status = coalesce($2, status) and (created_at, order_id) < ($3, $4)"
               " order by created_at desc, order_id desc limit $5",
               ARGS(db_uuid(customer_id), db_str(status_wanted(q->has_status, q->status)),
                    db_int(before), db_uuid(after), db_int(page_limit(&q->page) + 1))));
    return reply_page(cx, rq, rp, &q->page, rows);
}

enum err order_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return list_of(cx, rq, rp, cx->caller.user_id);
}

enum err order_list_internal(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return list_of(cx, rq, rp, rq->id[0]);
}

/* Read most often by far: whose it is comes with the rest, and no guard asks for it before. */
enum err order_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    uint64_t turn = waiting_turn(rq->id[0]);
    struct order o;

    TRY(order_load_shown(cx, rq->id[0], &o));
    if (!uuid_eq(o.customer_id, cx->caller.user_id))
        return fail(cx, ERR_NOT_FOUND, "no order of this customer");
    if (rq->wait_s > 0 && order_is_under_way(&o))
        TRY(order_wait(cx, turn, rq->wait_s, &o));
    return reply_shown(cx, rp, 200, &o);
}

struct cancel {
    struct str reason;
};
const struct field cancel_fields[] = {
    F_STR(struct cancel, reason, "reason", ONE_LINE, 0, 200, "told to the store"),
    F_END(struct cancel),
};

/* Done when nothing moves any more; until then 202: a refund, the stock, or an answer of Toss. */
enum err order_cancel(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct cancel *in = rq->body;
    struct saga_input step = {.step = CANCEL_ASKED, .reason = in->reason};
    struct order o;

    TRY(db_begin(cx));
    TRY(order_load(cx, rq->id[0], &o));
    TRY(order_step(cx, &o, &step));
    TRY(reply_order(cx, rp, o.status == CANCELLED ? 200 : 202, o.order_id));
    if (FAULT("order.cancel.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: order.cancel.commit");
    return db_commit(cx);
}

struct board_query {
    int status;
    bool has_status, active;
    struct page page;
};
const struct field board_query_fields[] = {
    {FIELD_ENUM, "status", "status", offsetof(struct board_query, status),
     offsetof(struct board_query, has_status), 0, 0, 0, 0, status_names, NULL, "only this status"},
    F_BOOL(struct board_query, active, "active", 0, "only those that wait for the store"),
    PAGE_FIELDS(struct board_query, page),
    F_END(struct board_query),
};

/* Orders that were never paid are no business of the kitchen: they show only when asked for by
 * status. */
enum err board_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct board_query *q = rq->query;
    struct list rows = {NULL, 0};
    struct uuid after;
    int64_t before;

    TRY(page_after(cx, &q->page, &before, &after));
    TRY(db_all(cx, order_row_fields, &rows,
               "select " ORDER_COLUMNS " from orders where store_id = $1"
               " and status = coalesce($2, status) and (accept_by is not null or status = $2)"
               " and ($6 = 0 or status in ('PAID', 'ACCEPTED', 'COOKING', 'READY', 'DELIVERING'))"
               " and (created_at, order_id) < ($3, $4)"
               " order by created_at desc, order_id desc limit $5",
               ARGS(db_uuid(rq->id[0]), db_str(status_wanted(q->has_status, q->status)),
                    db_int(before), db_uuid(after), db_int(page_limit(&q->page) + 1),
                    db_bool(q->active))));
    return reply_page(cx, rq, rp, &q->page, rows);
}

enum err board_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return reply_order(cx, rp, 200, rq->id[1]);
}
