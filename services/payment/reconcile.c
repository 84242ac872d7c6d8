/* reconcile.c -- our books beside the provider's: every capture and every refund of a time, joined
 * from both sides. */
#include "payment/reconcile.h"

#include <stdlib.h>

#include "data/json.h"
#include "obs/log.h"
#include "obs/metrics.h"

/*
 * DESIGN
 *
 * The provider lists what it did in a time, in no order that it promises; so the time is halved
 * until a part fits into memory, and each part is joined in full. Both sides name a capture by the
 * payment key and a refund by the transaction key. A row without its partner is asked about once
 * more, since it may stand just beyond the part: theirs in our tables, ours at the provider. What
 * is left is a difference. Nothing is mended here: a payment that we know is put before the worker
 * that asks the provider (resolve.c), which brings the books in step by the rules that hold for any
 * news.
 */

#define PART_BYTES (32u << 20)
#define SHOWN_MAX 100 /* differences that are kept with their names */
#define ASKED_MAX 100 /* ours that the provider is asked about, in one run */

enum kind { MISSING_HERE, MISSING_THERE, OTHER_AMOUNT, OTHER_STATE };
static const char *const kind_names[] = {"MISSING_HERE", "MISSING_THERE", "OTHER_AMOUNT",
                                         "OTHER_STATE", NULL};

static struct metric *counter(enum kind kind)
{
    return metric_get(METRIC_COUNTER, "jumun_reconciliation_differences_total",
                      "Rows in which our books and the provider's did not agree; alert when it "
                      "grows.",
                      "kind", kind_names[kind], NULL, NULL);
}

void reconcile_counts_start(void)
{
    for (size_t kind = 0; kind_names[kind]; kind++)
        metric_add(counter((enum kind)kind), 0);
}

struct difference {
    int kind;
    struct str payment_key, transaction_key, order_id;
    int64_t our_won, their_won;
};
static const struct field difference_fields[] = {
    F_ENUM(struct difference, kind, "kind", REQUIRED, kind_names, "who has it not, or otherwise"),
    F_STR(struct difference, payment_key, "paymentKey", REQUIRED, 0, 200, "the provider's name"),
    F_STR(struct difference, transaction_key, "transactionKey", NULLABLE, 0, 100,
          "of a refund; null: the capture"),
    F_STR(struct difference, order_id, "orderId", NULLABLE, 0, 64, "order"),
    F_WON(struct difference, our_won, "ourWon", REQUIRED, "in our books; 0: nothing"),
    F_WON(struct difference, their_won, "theirWon", REQUIRED, "in the provider's; 0: nothing"),
    F_END(struct difference),
};

static int by_keys(const void *a, const void *b)
{
    const struct book_entry *x = a, *y = b;
    int order = str_cmp(x->payment_key, y->payment_key);

    return order ? order : str_cmp(x->transaction_key, y->transaction_key);
}

static void differ(struct ctx *cx, struct reconciliation *run, enum kind kind,
                   const struct book_entry *e, int64_t our_won, int64_t their_won)
{
    const struct difference d = {
        .kind = kind,
        .payment_key = e->payment_key,
        .transaction_key = e->transaction_key.n ? e->transaction_key : STR_NONE,
        .order_id = e->order_id.n ? e->order_id : str_from(ctx_uuid_text(cx, e->order_uuid)),
        .our_won = our_won,
        .their_won = their_won};

    log_event(cx, LOG_ERROR,
              "books differ: %s: payment %.*s%s%.*s, %" PRId64 " won here, %" PRId64 " there",
              kind_names[kind], STR_ARG(d.payment_key), e->transaction_key.n ? ", refund " : "",
              STR_ARG(e->transaction_key), our_won, their_won);
    metric_add(counter(kind), 1);
    if (run->difference_count++ >= SHOWN_MAX)
        return;
    if (run->shown.n)
        buf_char(&run->shown, ',');
    json_encode(&run->shown, difference_fields, &d);
}

/* ---- rows without a partner */

static enum err payment_by_key(struct ctx *cx, struct str payment_key, struct payment *ret)
{
    *ret = (struct payment){0};
    return db_one(cx, payment_row_fields, ret,
                  "select " PAYMENT_COLUMNS " from payments where payment_key = $1",
                  ARGS(db_str(payment_key)));
}

static enum err their_capture(struct ctx *cx, struct reconciliation *run,
                              const struct book_entry *e, const struct payment *p)
{
    if (p->status != CONFIRMING && p->status != FAILED) {
        if (p->amount_won != e->amount_won)
            differ(cx, run, OTHER_AMOUNT, e, p->amount_won, e->amount_won);
        return ERR_OK;
    }
    if (ctx_now(cx) - p->created_at < SETTLED_US)
        return ERR_OK;
    differ(cx, run, OTHER_STATE, e, 0, e->amount_won);
    return payment_look_again(cx, e->payment_key, true);
}

static enum err their_refund(struct ctx *cx, struct reconciliation *run, const struct book_entry *e,
                             const struct payment *p)
{
    int64_t ours_won = 0, on_their_way = 0;

    TRY(db_int_of(cx, &ours_won, "select sum(amount_won) from refunds where transaction_key = $1",
                  ARGS(db_str(e->transaction_key))));
    TRY(db_int_of(cx, &on_their_way,
                  "select count(*) from refunds where payment_id = $1 and status = 'REQUESTED'",
                  ARGS(db_uuid(p->payment_id))));
    if (ours_won == e->amount_won || (ours_won == 0 && on_their_way))
        return ERR_OK;
    differ(cx, run, ours_won ? OTHER_AMOUNT : MISSING_HERE, e, ours_won, e->amount_won);
    return ours_won ? ERR_OK : payment_look_again(cx, e->payment_key, true);
}

static enum err only_theirs(struct ctx *cx, struct reconciliation *run, const struct book_entry *e)
{
    struct payment p;

    enum err found = payment_by_key(cx, e->payment_key, &p);
    if (found == ERR_NOT_FOUND) {
        differ(cx, run, MISSING_HERE, e, 0, e->amount_won);
        return ERR_OK;
    }
    TRY(found);
    return e->transaction_key.n ? their_refund(cx, run, e, &p) : their_capture(cx, run, e, &p);
}

/* What the provider says of that payment, asked for itself; 0: it knows of no such money. False: it
 * says nothing, now. */
static bool won_there(struct ctx *cx, const struct payment *p, const struct book_entry *e,
                      int64_t *ret)
{
    struct toss_payment a = {0};
    enum answer what = provider_look_up(cx, p, &a);

    *ret = 0;
    if (what != ANSWER_CAPTURED && what != ANSWER_WRONG)
        return what != ANSWER_UNKNOWN;
    if (!e->transaction_key.n)
        *ret = a.total_won;
    for (size_t i = 0; e->transaction_key.n && i < a.cancels.n; i++) {
        const struct toss_cancel *c = LIST_AT(struct toss_cancel, a.cancels, i);
        if (str_eq(c->transaction_key, e->transaction_key))
            *ret = c->amount_won;
    }
    return true;
}

/* One that could not be asked about is no difference: the same time is looked at again later. */
static enum err only_ours(struct ctx *cx, struct reconciliation *run, const struct book_entry *e)
{
    struct payment p;
    int64_t won = 0;

    TRY(payment_by_key(cx, e->payment_key, &p));
    if (svc_is_stopping(cx->svc))
        return fail(cx, ERR_UNAVAILABLE, "the process ends");
    if (run->asked++ >= ASKED_MAX || !won_there(cx, &p, e, &won))
        run->unasked++;
    else if (won != e->amount_won)
        differ(cx, run, won ? OTHER_AMOUNT : MISSING_THERE, e, e->amount_won, won);
    return ERR_OK;
}

/* ---- the join */

static enum err join(struct ctx *cx, struct reconciliation *run, struct list ours,
                     struct list theirs)
{
    size_t i = 0, j = 0;

    for (size_t k = 0; k < theirs.n; k++) {
        bool refund = LIST_AT(struct book_entry, theirs, k)->transaction_key.n > 0;
        run->refunds += refund;
        run->captures += !refund;
    }
    qsort(ours.items, ours.n, sizeof(struct book_entry), by_keys);
    qsort(theirs.items, theirs.n, sizeof(struct book_entry), by_keys);
    while (i < ours.n || j < theirs.n) {
        const struct book_entry *a = i < ours.n ? LIST_AT(struct book_entry, ours, i) : NULL;
        const struct book_entry *b = j < theirs.n ? LIST_AT(struct book_entry, theirs, j) : NULL;
        int order = !a ? 1 : !b ? -1 : by_keys(a, b);
        if (order < 0)
            TRY(only_ours(cx, run, a));
        else if (order > 0)
            TRY(only_theirs(cx, run, b));
        else if (a->amount_won != b->amount_won)
            differ(cx, run, OTHER_AMOUNT, b, a->amount_won, b->amount_won);
        i += order <= 0;
        j += order >= 0;
    }
    return ERR_OK;
}

/* With memory of its own. ERR_TOO_LARGE: it does not fit. */
static enum err part(struct ctx *cx, struct reconciliation *run, int64_t from, int64_t to)
{
    struct list ours = {NULL, 0}, theirs = {NULL, 0};
    struct arena arena, *outer = cx->arena;

    arena_init(&arena, PART_BYTES);
    cx->arena = &arena;
    enum err e = books_theirs(cx, from, to, &theirs);
    if (e == ERR_OK)
        e = books_ours(cx, from, to, &ours);
    if (e == ERR_OK)
        e = join(cx, run, ours, theirs);
    cx->arena = outer;
    cx->story.field_errors = NULL; /* these are in the memory that goes */
    cx->story.public_detail = STR_NONE;
    arena_release(&arena);
    return e;
}

static enum err parts(struct ctx *cx, struct reconciliation *run, int64_t from, int64_t to)
{
    int64_t middle = from + (to - from) / 2 / US_PER_S * US_PER_S;

    enum err e = part(cx, run, from, to);
    if (e != ERR_TOO_LARGE || middle == from)
        return e;
    TRY(parts(cx, run, from, middle));
    return parts(cx, run, middle, to);
}

enum err reconcile(struct ctx *cx, int64_t from, int64_t to, struct reconciliation *ret)
{
    from -= from % US_PER_S; /* as their list has them */
    to -= to % US_PER_S;
    *ret = (struct reconciliation){.reconciliation_id = ctx_uuid(cx), .from_at = from, .to_at = to};
    buf_init_arena(&ret->shown, cx->arena, 1024 * 1024);
    TRY(parts(cx, ret, from, to));
    ret->at = ctx_now(cx);
    ret->differences = arena_printf(cx->arena, "[%.*s]", STR_ARG(buf_str(&ret->shown)));
    return ERR_OK;
}
