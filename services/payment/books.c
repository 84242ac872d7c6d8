/* books.c -- captures and refunds of a time, as the provider lists them and as we have them. */
#include "payment/reconcile.h"

#define PAGE 500
#define PAGES_MAX 8 /* that are looked at together */

static const struct field entry_fields[] = {
    F_STR(struct book_entry, payment_key, "paymentKey", 0, 0, 200, ""),
    F_STR(struct book_entry, transaction_key, "transactionKey", 0, 0, 100, ""),
    F_UUID(struct book_entry, order_uuid, "orderId", 0, ""),
    F_INT(struct book_entry, amount_won, "amountWon", 0, INT64_MIN, INT64_MAX, ""),
    F_END(struct book_entry),
};

/* ---- their side */

/* Captures and cancels of one page; what else is listed there moved no money. */
static size_t take_page(struct list page, struct book_entry *out)
{
    size_t n = 0;

    for (size_t i = 0; i < page.n; i++) {
        const struct toss_transaction *t = LIST_AT(struct toss_transaction, page, i);
        bool cancel = provider_gave_back(t->status);
        if (!cancel && !str_eq(t->status, STR("DONE")))
            continue;
        out[n++] =
            (struct book_entry){.payment_key = t->payment_key,
                                .transaction_key = cancel ? t->transaction_key : STR(""),
                                .order_id = t->order_id,
                                .amount_won = t->amount_won < 0 ? -t->amount_won : t->amount_won};
    }
    return n;
}

enum err books_theirs(struct ctx *cx, int64_t from, int64_t to, struct list *ret)
{
    struct list pages[PAGES_MAX], rows = {NULL, 0};
    struct str after = STR_NONE;
    size_t n_pages = 0, total = 0;

    do {
        if (svc_is_stopping(cx->svc))
            return fail(cx, ERR_UNAVAILABLE, "the process ends");
        if (n_pages == PAGES_MAX)
            return fail(cx, ERR_TOO_LARGE, "more than %d transactions", PAGES_MAX * PAGE);
        TRY(provider_transactions(cx, from, to, after, PAGE, &rows));
        pages[n_pages++] = rows;
        total += rows.n;
        if (rows.n)
            after = LIST_AT(struct toss_transaction, rows, rows.n - 1)->transaction_key;
    } while (rows.n == PAGE);
    struct book_entry *out = arena_array(cx->arena, total + 1, sizeof *out);
    ret->items = out;
    ret->n = 0;
    for (size_t i = 0; i < n_pages; i++)
        ret->n += take_page(pages[i], out + ret->n);
    return ERR_OK;
}

/* ---- our side */

/* Ids of that birth and later are not below it: see uuid_v7. */
static struct uuid born(int64_t us)
{
    struct uuid u = UUID_NIL;
    uint64_t ms = us > 0 ? (uint64_t)us / 1000 : 0;

    for (int i = 0; i < 6; i++)
        u.b[i] = (unsigned char)(ms >> (40 - 8 * i));
    return u;
}

enum err books_ours(struct ctx *cx, int64_t from, int64_t to, struct list *ret)
{
    struct list captures = {NULL, 0}, refunds = {NULL, 0};
    struct db_read reads[] = {
        {.fields = entry_fields,
         .all = &captures,
         .sql = "select payment_key, '' as transaction_key, order_id as order_uuid, amount_won"
                " from payments where payment_id >= $1 and payment_id < $4 and approved_at >= $2"
                " and approved_at < $3 and status in ('CAPTURED', 'REFUNDING', 'REFUNDED', "
                "'PARTIALLY_REFUNDED')",
         .args = ARGS(db_uuid(born(from - US_PER_DAY)), db_int(from), db_int(to),
                      db_uuid(born(to + US_PER_DAY)))},
        {.fields = entry_fields,
         .all = &refunds,
         .sql =
             "select p.payment_key, r.transaction_key, r.order_id as order_uuid, r.amount_won"
             " from refunds r join payments p on p.payment_id = r.payment_id"
             " where r.refund_id >= $1 and r.refund_id < $4 and r.done_at >= $2 and r.done_at < $3"
             " and r.transaction_key is not null",
         .args = ARGS(db_uuid(born(from - 7 * US_PER_DAY)), db_int(from), db_int(to),
                      db_uuid(born(to + US_PER_DAY)))},
    };

    TRY(db_read(cx, reads, COUNT_OF(reads)));
    struct book_entry *out = arena_array(cx->arena, captures.n + refunds.n + 1, sizeof *out);
    if (captures.n)
        memcpy(out, captures.items, captures.n * sizeof *out);
    if (refunds.n)
        memcpy(out + captures.n, refunds.items, refunds.n * sizeof *out);
    *ret = (struct list){out, captures.n + refunds.n};
    return ERR_OK;
}
