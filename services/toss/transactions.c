/* transactions.c -- captures and cancels of a time, as Toss lists them for who compares books
 * (docs.tosspayments.com, transactions). */
#include "toss/toss.h"

#include "data/json.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 5000
#define ANSWER_MAX (4u << 20)

struct transaction {
    struct str m_id, transaction_key, payment_key, order_id, method, status, currency;
    int64_t amount, at;
};
static const struct field transaction_fields[] = {
    F_STR(struct transaction, m_id, "mId", 0, 0, 20, "shop"),
    F_STR(struct transaction, transaction_key, "transactionKey", 0, 0, 100, "this one"),
    F_STR(struct transaction, payment_key, "paymentKey", 0, 0, 200, "payment"),
    F_STR(struct transaction, order_id, "orderId", 0, 0, 64, "the shop's order"),
    F_STR(struct transaction, method, "method", 0, 0, 20, "how it was paid"),
    F_STR(struct transaction, status, "status", 0, 0, 30, "DONE, CANCELED, PARTIAL_CANCELED"),
    F_STR(struct transaction, currency, "currency", 0, 0, 3, "KRW"),
    F_INT(struct transaction, amount, "amount", 0, 0, INT64_MAX, "won"),
    F_TIME(struct transaction, at, "transactionAt", 0, "when"),
    F_END(struct transaction),
};

struct query {
    struct str start_date, end_date, starting_after;
    int64_t limit;
};
const struct field transactions_query_fields[] = {
    F_STR(struct query, start_date, "startDate", REQUIRED, 1, 40, "2026-01-01T00:00:00, in Seoul"),
    F_STR(struct query, end_date, "endDate", REQUIRED, 1, 40, "the last second of it"),
    F_STR(struct query, starting_after, "startingAfter", 0, 1, 100,
          "transactionKey of the last one seen"),
    F_INT(struct query, limit, "limit", 0, 1, LIMIT_MAX, "default 100"),
    F_END(struct query),
};

/* A capture has no key of its own in our books: it is made of the payment's. */
#define ALL                                                                                        \
    "select 'txp' || payment_key as transaction_key, payment_key, order_id, 'DONE' as status,"     \
    " amount, approved_at as at from payments where approved_at is not null and late_at is null"   \
    " union all select c.transaction_key, p.payment_key, p.order_id, case when c.amount ="         \
    " p.amount then 'CANCELED' else 'PARTIAL_CANCELED' end as status, c.amount, c.canceled_at as"  \
    " at from cancels c join payments p on p.payment_id = c.payment_id"

static bool in_seoul(struct ctx *cx, struct str date, int64_t *ret_us)
{
    return time_parse(arena_printf(cx->arena, "%.*s+09:00", STR_ARG(date)), ret_us);
}

enum err toss_transactions(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct query *q = rq->query;
    int64_t from = 0, to = 0, after = INT64_MIN;
    struct list rows = {NULL, 0};
    struct buf b;
    bool may;

    TRY(may_look_up(cx, rq, rp, &may));
    if (!may)
        return ERR_OK;
    if (!in_seoul(cx, q->start_date, &from) || !in_seoul(cx, q->end_date, &to) || from > to)
        return reply_refusal(cx, rp, 400, "INVALID_DATE", "날짜 데이터가 잘못 되었습니다.");
    if (q->starting_after.n) {
        TRY(db_int_of(cx, &after, "select max(at) from (" ALL ") t where transaction_key = $1",
                      ARGS(db_str(q->starting_after))));
        if (after == 0)
            return reply_refusal(cx, rp, 400, "INVALID_TRANSACTION_KEY",
                                 "잘못된 페이징 키 입니다.");
    }
    TRY(db_all(cx, transaction_fields, &rows,
               "select 'tosspayments' as m_id, '카드' as method, 'KRW' as currency, t.* from (" ALL
               ") t where at >= $1 and at < $2 and (at, transaction_key) > ($3, $4)"
               " order by at, transaction_key limit $5",
               ARGS(db_int(from), db_int(to + US_PER_S), db_int(after), db_str(q->starting_after),
                    db_int(q->limit ? q->limit : LIMIT_DEFAULT))));
    buf_init_arena(&b, cx->arena, ANSWER_MAX);
    json_encode_list(&b, transaction_fields, rows);
    return reply_json(cx, rp, 200, buf_str(&b));
}
