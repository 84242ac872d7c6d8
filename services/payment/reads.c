/* reads.c -- payments as rows and as people see them. */
#include "payment/payment.h"

const char *const payment_status_names[] = {
    "CONFIRMING", "CAPTURED", "FAILED", "REFUNDING", "REFUNDED", "PARTIALLY_REFUNDED", NULL};
static const char *const refund_status_names[] = {"REQUESTED", "DONE", NULL};

#define P struct payment
#define WIDE(T, m, json) F_INT(T, m, json, 0, INT64_MIN, INT64_MAX, "")

const struct field payment_row_fields[] = {
    F_UUID(P, payment_id, "paymentId", 0, ""),
    F_UUID(P, order_id, "orderId", 0, ""),
    F_UUID(P, customer_id, "customerId", 0, ""),
    F_UUID(P, store_id, "storeId", 0, ""),
    F_STR(P, order_name, "orderName", 0, 0, 200, ""),
    F_STR(P, payment_key, "paymentKey", 0, 0, 200, ""),
    F_STR(P, provider_code, "providerCode", 0, 0, 200, ""),
    F_STR(P, provider_message, "providerMessage", 0, 0, 1000, ""),
    F_STR(P, method, "method", 0, 0, 100, ""),
    F_STR(P, card_company, "cardCompany", 0, 0, 100, ""),
    F_STR(P, card_last4, "cardLast4", 0, 0, 4, ""),
    F_STR(P, receipt_url, "receiptUrl", 0, 0, 500, ""),
    WIDE(P, amount_won, "amountWon"),
    WIDE(P, refunded_won, "refundedWon"),
    F_TIME(P, approved_at, "approvedAt", 0, ""),
    F_TIME(P, created_at, "createdAt", 0, ""),
    F_TIME(P, changed_at, "changedAt", 0, ""),
    F_ENUM(P, status, "status", 0, payment_status_names, ""),
    F_BOOL(P, is_late, "isLate", 0, ""),
    F_TIME(P, frozen_at, "frozenAt", 0, ""),
    F_END(P),
};

const struct field refund_row_fields[] = {
    F_UUID(struct refund, refund_id, "refundId", 0, ""),
    F_UUID(struct refund, payment_id, "paymentId", 0, ""),
    F_UUID(struct refund, order_id, "orderId", 0, ""),
    WIDE(struct refund, amount_won, "amountWon"),
    F_TIME(struct refund, created_at, "createdAt", 0, ""),
    F_TIME(struct refund, done_at, "doneAt", 0, ""),
    F_ENUM(struct refund, status, "status", 0, refund_status_names, ""),
    F_ENUM(struct refund, payer, "payer", 0, payer_names, ""),
    F_STR(struct refund, reason, "reason", 0, 0, 500, ""),
    F_STR(struct refund, transaction_key, "transactionKey", 0, 0, 200, ""),
    F_STR(struct refund, provider_code, "providerCode", 0, 0, 200, ""),
    F_END(struct refund),
};

const struct field refund_fields[] = {
    F_UUID(struct refund, refund_id, "refundId", REQUIRED, "refund"),
    F_WON(struct refund, amount_won, "amountWon", REQUIRED, "how much goes back"),
    F_ENUM(struct refund, status, "status", REQUIRED, refund_status_names, "whether it is back"),
    F_STR(struct refund, reason, "reason", REQUIRED, 0, 200, "why"),
    F_TIME(struct refund, created_at, "createdAt", REQUIRED, "asked for"),
    F_TIME(struct refund, done_at, "doneAt", NULLABLE, "done"),
    F_END(struct refund),
};

const struct field payment_fields[] = {
    F_UUID(P, payment_id, "paymentId", REQUIRED, "payment"),
    F_UUID(P, order_id, "orderId", REQUIRED, "order"),
    F_STR(P, order_name, "orderName", REQUIRED, 0, 100, "what was paid for"),
    F_ENUM(P, status, "status", REQUIRED, payment_status_names,
           "CONFIRMING: the provider is being asked"),
    F_WON(P, amount_won, "amountWon", REQUIRED, "amount"),
    F_WON(P, refunded_won, "refundedWon", REQUIRED, "given back"),
    F_STR(P, method, "method", NULLABLE, 0, 50, "how it was paid"),
    F_STR(P, card_company, "cardCompany", NULLABLE, 0, 100, "card company"),
    F_STR(P, card_last4, "cardLast4", NULLABLE, 0, 4, "last four digits"),
    F_STR(P, receipt_url, "receiptUrl", NULLABLE, 0, 500, "the provider's receipt"),
    F_STR(P, provider_code, "providerCode", NULLABLE, 0, 100, "why it was declined"),
    F_TIME(P, approved_at, "approvedAt", NULLABLE, "captured"),
    F_TIME(P, created_at, "createdAt", REQUIRED, "begun"),
    F_TIME(P, frozen_at, "frozenAt", NULLABLE, "captured as something else than was agreed"),
    F_LIST(P, refunds, "refunds", REQUIRED, 0, 1000, refund_fields, "what went back"),
    F_END(P),
};

struct payments_query {
    struct page page;
};
const struct field payments_query_fields[] = {
    PAGE_FIELDS(struct payments_query, page),
    F_END(struct payments_query),
};

#define ROW_SQL "select " PAYMENT_COLUMNS " from payments where payment_id = $1"
#define REFUNDS_SQL                                                                                \
    "select " REFUND_COLUMNS " from refunds where payment_id = $1 order by created_at, refund_id"

enum err payment_load(struct ctx *cx, struct uuid payment_id, struct payment *ret)
{
    *ret = (struct payment){0};
    return db_one(cx, payment_row_fields, ret, ROW_SQL, ARGS(db_uuid(payment_id)));
}

static enum err load_refunds(struct ctx *cx, struct payment *p)
{
    return db_all(cx, refund_row_fields, &p->refunds, REFUNDS_SQL, ARGS(db_uuid(p->payment_id)));
}

enum err payment_load_shown(struct ctx *cx, struct uuid payment_id, struct payment *ret)
{
    struct db_args of = ARGS(db_uuid(payment_id));
    struct db_read reads[] = {
        {.fields = payment_row_fields, .one = ret, .sql = ROW_SQL, .args = of},
        {.fields = refund_row_fields, .all = &ret->refunds, .sql = REFUNDS_SQL, .args = of},
    };

    *ret = (struct payment){0};
    TRY(db_read(cx, reads, COUNT_OF(reads)));
    return reads[0].rows ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no such payment");
}

enum err reply_payment(struct ctx *cx, struct reply *rp, int status, struct uuid payment_id)
{
    struct payment p;

    TRY(payment_load_shown(cx, payment_id, &p));
    return reply_data(cx, rp, status, payment_fields, &p);
}

/* Another's payment is not found. */
enum err payment_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct payment p;

    TRY(payment_load_shown(cx, rq->id[0], &p));
    if (!uuid_eq(p.customer_id, cx->caller.user_id))
        return fail(cx, ERR_NOT_FOUND, "payment of another customer");
    return reply_data(cx, rp, 200, payment_fields, &p);
}

/* `where` names whose: $1. Newest first. */
static enum err list(struct ctx *cx, const struct request *rq, struct reply *rp, const char *sql,
                     struct uuid whose)
{
    const struct payments_query *q = rq->query;
    int64_t limit = page_limit(&q->page), at = INT64_MAX;
    struct list rows = {NULL, 0};
    struct str next = STR_NONE;
    struct uuid id = UUID_NIL;

    TRY(page_after(cx, &q->page, &at, &id));
    TRY(db_all(cx, payment_row_fields, &rows, sql,
               ARGS(db_uuid(whose), db_int(at), db_uuid(id), db_int(limit + 1))));
    if (rows.n > (size_t)limit) {
        rows.n = (size_t)limit;
        const struct payment *last = LIST_AT(struct payment, rows, rows.n - 1);
        next = page_cursor(cx, last->created_at, last->payment_id);
    }
    for (size_t i = 0; i < rows.n; i++)
        TRY(load_refunds(cx, LIST_AT(struct payment, rows, i)));
    return reply_list(cx, rq, rp, payment_fields, rows, next);
}

static enum err list_of(struct ctx *cx, const struct request *rq, struct reply *rp,
                        struct uuid customer_id)
{
    return list(cx, rq, rp,
                "select " PAYMENT_COLUMNS
                " from payments where customer_id = $1 and (created_at, payment_id) < ($2, $3)"
                " order by created_at desc, payment_id desc limit $4",
                customer_id);
}

enum err payment_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return list_of(cx, rq, rp, cx->caller.user_id);
}

enum err payment_list_internal(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return list_of(cx, rq, rp, rq->id[0]);
}

enum err payment_store_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return list(cx, rq, rp,
                "select " PAYMENT_COLUMNS
                " from payments where store_id = $1 and (created_at, payment_id) < ($2, $3)"
                " order by created_at desc, payment_id desc limit $4",
                rq->id[0]);
}
