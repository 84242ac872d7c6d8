/* reconcile.c -- our books beside the provider's: every capture and every refund of a time, joined
 * from both sides. */
#include "payment/payment.h"

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

#define PAGE 500
#define PAGES_MAX 8 /* of one part */
#define PART_BYTES (32u << 20)
#define SHOWN_MAX 100 /* differences that are kept with their names */
#define ASKED_MAX 100 /* ours that the provider is asked about, in one run */
/* What began lately may be on its way still, at either side. */
#define SETTLED_US (10 * US_PER_MIN)
#define CATCH_UP_US (31 * US_PER_DAY) /* the most that is looked at again after a long stop */
#define SEOUL_US (9 * US_PER_HOUR)

enum kind { MISSING_HERE, MISSING_THERE, OTHER_AMOUNT, OTHER_STATE };
static const char *const kind_names[] = {"MISSING_HERE", "MISSING_THERE", "OTHER_AMOUNT",
                                         "OTHER_STATE", NULL};

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

struct run {
    struct uuid reconciliation_id, by_id;
    int64_t from_at, to_at, at, captures, refunds, difference_count, asked;
    struct buf shown;       /* JSON of the first differences */
    struct str differences; /* the same, whole */
};
const struct field reconciliation_fields[] = {
    F_UUID(struct run, reconciliation_id, "reconciliationId", REQUIRED, "this comparison"),
    F_TIME(struct run, from_at, "from", REQUIRED, "begin of the time looked at"),
    F_TIME(struct run, to_at, "to", REQUIRED, "its end"),
    F_TIME(struct run, at, "at", REQUIRED, "when it was done"),
    F_UUID(struct run, by_id, "byId", NULLABLE, "operator; null: by itself"),
    F_INT(struct run, captures, "captures", REQUIRED, 0, INT64_MAX, "of the provider"),
    F_INT(struct run, refunds, "refunds", REQUIRED, 0, INT64_MAX, "of the provider"),
    F_INT(struct run, difference_count, "differenceCount", REQUIRED, 0, INT64_MAX,
          "rows that do not agree"),
    F_RAW(struct run, differences, "differences", REQUIRED,
          "the first hundred: kind, paymentKey, transactionKey, orderId, ourWon, theirWon"),
    F_END(struct run),
};

static struct metric *differences_gauge(void)
{
    return metric_get(METRIC_GAUGE, "jumun_reconciliation_differences",
                      "Rows in which our books and the provider's did not agree, when this process "
                      "compared them last; alert above 0.",
                      NULL, NULL, NULL, NULL);
}

void reconcile_counts_start(void)
{
    (void)differences_gauge();
}

/* Of their list or of our tables: a capture (transaction key "") or a refund. */
struct entry {
    struct str payment_key, transaction_key, order_id;
    struct uuid order_uuid; /* of ours */
    int64_t amount_won;
};
static const struct field entry_fields[] = {
    F_STR(struct entry, payment_key, "paymentKey", 0, 0, 200, ""),
    F_STR(struct entry, transaction_key, "transactionKey", 0, 0, 100, ""),
    F_UUID(struct entry, order_uuid, "orderId", 0, ""),
    F_INT(struct entry, amount_won, "amountWon", 0, INT64_MIN, INT64_MAX, ""),
    F_END(struct entry),
};

static int by_keys(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = str_cmp(x->payment_key, y->payment_key);

    return order ? order : str_cmp(x->transaction_key, y->transaction_key);
}

static void differ(struct ctx *cx, struct run *run, enum kind kind, const struct entry *e,
                   int64_t our_won, int64_t their_won)
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
    if (run->difference_count++ >= SHOWN_MAX)
        return;
    if (run->shown.n)
        buf_char(&run->shown, ',');
    json_encode(&run->shown, difference_fields, &d);
}

/* ---- their side */

static bool is_cancel(const struct toss_transaction *t)
{
    return str_eq(t->status, STR("CANCELED")) || str_eq(t->status, STR("PARTIAL_CANCELED"));
}

/* Captures and cancels of one page; what else is listed there moved no money. */
static size_t take_page(struct run *run, struct list page, struct entry *out)
{
    size_t n = 0;

    for (size_t i = 0; i < page.n; i++) {
        const struct toss_transaction *t = LIST_AT(struct toss_transaction, page, i);
        bool cancel = is_cancel(t);
        if (!cancel && !str_eq(t->status, STR("DONE")))
            continue;
        run->refunds += cancel;
        run->captures += !cancel;
        out[n++] = (struct entry){.payment_key = t->payment_key,
                                  .transaction_key = cancel ? t->transaction_key : STR(""),
                                  .order_id = t->order_id,
                                  .amount_won = t->amount_won < 0 ? -t->amount_won : t->amount_won};
    }
    return n;
}

static enum err their_entries(struct ctx *cx, struct run *run, int64_t from, int64_t to,
                              struct list *ret)
{
    struct list pages[PAGES_MAX], rows = {NULL, 0};
    struct str after = STR_NONE;
    size_t n_pages = 0, total = 0;

    do {
        if (n_pages == PAGES_MAX)
            return fail(cx, ERR_TOO_LARGE, "more than %d transactions", PAGES_MAX * PAGE);
        TRY(provider_transactions(cx, from, to, after, PAGE, &rows));
        pages[n_pages++] = rows;
        total += rows.n;
        if (rows.n)
            after = LIST_AT(struct toss_transaction, rows, rows.n - 1)->transaction_key;
    } while (rows.n == PAGE);
    struct entry *out = arena_array(cx->arena, total + 1, sizeof *out);
    ret->items = out;
    ret->n = 0;
    for (size_t i = 0; i < n_pages; i++)
        ret->n += take_page(run, pages[i], out + ret->n);
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

static enum err our_entries(struct ctx *cx, int64_t from, int64_t to, struct list *ret)
{
    struct list captures = {NULL, 0}, refunds = {NULL, 0};
    struct db_read reads[] = {
        {.fields = entry_fields,
         .all = &captures,
         .sql = "select payment_key, '' as transaction_key, order_id as order_uuid, amount_won"
                " from payments where payment_id >= $1 and approved_at >= $2 and approved_at < $3"
                " and status in ('CAPTURED', 'REFUNDING', 'REFUNDED', 'PARTIALLY_REFUNDED')",
         .args = ARGS(db_uuid(born(from - US_PER_DAY)), db_int(from), db_int(to))},
        {.fields = entry_fields,
         .all = &refunds,
         .sql = "select p.payment_key, r.transaction_key, r.order_id as order_uuid, r.amount_won"
                " from refunds r join payments p on p.payment_id = r.payment_id"
                " where r.refund_id >= $1 and r.done_at >= $2 and r.done_at < $3"
                " and r.transaction_key is not null",
         .args = ARGS(db_uuid(born(from - 7 * US_PER_DAY)), db_int(from), db_int(to))},
    };

    TRY(db_read(cx, reads, COUNT_OF(reads)));
    struct entry *out = arena_array(cx->arena, captures.n + refunds.n + 1, sizeof *out);
    if (captures.n)
        memcpy(out, captures.items, captures.n * sizeof *out);
    if (refunds.n)
        memcpy(out + captures.n, refunds.items, refunds.n * sizeof *out);
    *ret = (struct list){out, captures.n + refunds.n};
    return ERR_OK;
}

/* ---- rows without a partner */

static enum err payment_by_key(struct ctx *cx, struct str payment_key, struct payment *ret)
{
    *ret = (struct payment){0};
    return db_one(cx, payment_row_fields, ret,
                  "select " PAYMENT_COLUMNS " from payments where payment_key = $1",
                  ARGS(db_str(payment_key)));
}

static enum err their_capture(struct ctx *cx, struct run *run, const struct entry *e,
                              const struct payment *p)
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

static enum err their_refund(struct ctx *cx, struct run *run, const struct entry *e,
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

static enum err only_theirs(struct ctx *cx, struct run *run, const struct entry *e)
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

/* What the provider says of that payment; 0: it knows of no such money. */
static enum err won_there(struct ctx *cx, const struct payment *p, const struct entry *e,
                          int64_t *ret)
{
    struct toss_payment a = {0};

    *ret = 0;
    switch (provider_look_up(cx, p, &a)) {
    case ANSWER_CAPTURED:
        break;
    case ANSWER_UNKNOWN:
        return fail(cx, ERR_PROVIDER, "no clear answer");
    default:
        return ERR_OK;
    }
    if (!e->transaction_key.n)
        *ret = a.total_won;
    for (size_t i = 0; e->transaction_key.n && i < a.cancels.n; i++) {
        const struct toss_cancel *c = LIST_AT(struct toss_cancel, a.cancels, i);
        if (str_eq(c->transaction_key, e->transaction_key))
            *ret = c->amount_won;
    }
    return ERR_OK;
}

static enum err only_ours(struct ctx *cx, struct run *run, const struct entry *e)
{
    struct payment p;
    int64_t won = 0;

    TRY(payment_by_key(cx, e->payment_key, &p));
    if (run->asked++ < ASKED_MAX)
        TRY(won_there(cx, &p, e, &won));
    if (won != e->amount_won)
        differ(cx, run, won ? OTHER_AMOUNT : MISSING_THERE, e, e->amount_won, won);
    return ERR_OK;
}

/* ---- the join */

static enum err join(struct ctx *cx, struct run *run, struct list ours, struct list theirs)
{
    size_t i = 0, j = 0;

    qsort(ours.items, ours.n, sizeof(struct entry), by_keys);
    qsort(theirs.items, theirs.n, sizeof(struct entry), by_keys);
    while (i < ours.n || j < theirs.n) {
        const struct entry *a = i < ours.n ? LIST_AT(struct entry, ours, i) : NULL;
        const struct entry *b = j < theirs.n ? LIST_AT(struct entry, theirs, j) : NULL;
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
static enum err part(struct ctx *cx, struct run *run, int64_t from, int64_t to)
{
    struct list ours = {NULL, 0}, theirs = {NULL, 0};
    struct arena arena, *outer = cx->arena;

    if (svc_is_stopping(cx->svc))
        return fail(cx, ERR_UNAVAILABLE, "the process ends");
    arena_init(&arena, PART_BYTES);
    cx->arena = &arena;
    enum err e = their_entries(cx, run, from, to, &theirs);
    if (e == ERR_OK)
        e = our_entries(cx, from, to, &ours);
    if (e == ERR_OK)
        e = join(cx, run, ours, theirs);
    cx->arena = outer;
    cx->story.field_errors = NULL; /* these are in the memory that goes */
    cx->story.public_detail = STR_NONE;
    arena_release(&arena);
    return e;
}

static enum err parts(struct ctx *cx, struct run *run, int64_t from, int64_t to)
{
    int64_t middle = from + (to - from) / 2 / US_PER_S * US_PER_S;

    enum err e = part(cx, run, from, to);
    if (e != ERR_TOO_LARGE || middle == from)
        return e;
    TRY(parts(cx, run, from, middle));
    return parts(cx, run, middle, to);
}

static enum err keep(struct ctx *cx, struct run *run)
{
    int64_t kept = 0;

    run->at = ctx_now(cx);
    run->differences = arena_printf(cx->arena, "[%.*s]", STR_ARG(buf_str(&run->shown)));
    metric_set(differences_gauge(), run->difference_count);
    return db_once(cx, &kept,
                   "insert into reconciliations (reconciliation_id, from_at, to_at, at, by_id,"
                   " captures, refunds, difference_count, differences)"
                   " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                   ARGS(db_uuid(run->reconciliation_id), db_int(run->from_at), db_int(run->to_at),
                        db_int(run->at), db_uuid(run->by_id), db_int(run->captures),
                        db_int(run->refunds), db_int(run->difference_count),
                        db_str(run->differences)));
}

/* Of whole seconds, as their list has them. */
static enum err reconcile(struct ctx *cx, struct run *run, int64_t from, int64_t to,
                          struct uuid by_id)
{
    from -= from % US_PER_S;
    to -= to % US_PER_S;
    *run = (struct run){
        .reconciliation_id = ctx_uuid(cx), .from_at = from, .to_at = to, .by_id = by_id};
    buf_init_arena(&run->shown, cx->arena, 1024 * 1024);
    TRY(parts(cx, run, from, to));
    return keep(cx, run);
}

/* ---- by itself */

/* From where the last one ended, and a little before. */
static enum err reconcile_recent(struct ctx *cx)
{
    int64_t last = 0, now = ctx_now(cx), to = now - SETTLED_US;
    struct run run;

    TRY(db_int_of(cx, &last, "select max(to_at) from reconciliations where by_id is null",
                  NO_ARGS));
    int64_t from = last ? last - US_PER_HOUR : now - 2 * US_PER_HOUR;
    if (from < now - CATCH_UP_US)
        from = now - CATCH_UP_US;
    return reconcile(cx, &run, from, to, UUID_NIL);
}

/* Yesterday in Seoul, once: the provider may list some things late. */
static enum err reconcile_yesterday(struct ctx *cx)
{
    int64_t to = (ctx_now(cx) + SEOUL_US) / US_PER_DAY * US_PER_DAY - SEOUL_US;
    int64_t from = to - US_PER_DAY, done = 0;
    struct run run;

    TRY(db_int_of(cx, &done,
                  "select count(*) from reconciliations where by_id is null and from_at = $1"
                  " and to_at = $2",
                  ARGS(db_int(from), db_int(to))));
    return done ? ERR_OK : reconcile(cx, &run, from, to, UUID_NIL);
}

enum err reconcile_sweep(struct ctx *cx)
{
    TRY(reconcile_recent(cx));
    return reconcile_yesterday(cx);
}

/* ---- for operators */

struct range {
    int64_t from, to;
};
const struct field reconcile_fields[] = {
    F_TIME(struct range, from, "from", 0, "begin; default: a day before `to`"),
    F_TIME(struct range, to, "to", 0, "end; default: now. At most a day"),
    F_END(struct range),
};

enum err reconcile_run(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct range *in = rq->body;
    int64_t to = in->to ? in->to : ctx_now(cx), from = in->from ? in->from : to - US_PER_DAY;
    struct run run;

    if (from >= to || to - from > US_PER_DAY) {
        ctx_field_error(cx, STR("from"), STR("RANGE"), "expected at most a day before \"to\"");
        return fail(cx, ERR_INVALID, "range");
    }
    TRY(reconcile(cx, &run, from, to, cx->caller.user_id));
    return reply_data(cx, rp, 200, reconciliation_fields, &run);
}

struct list_query {
    struct page page;
};
const struct field reconciliations_query_fields[] = {
    PAGE_FIELDS(struct list_query, page),
    F_END(struct list_query),
};

enum err reconcile_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct list_query *q = rq->query;
    int64_t limit = page_limit(&q->page), at = INT64_MAX;
    struct list rows = {NULL, 0};
    struct str next = STR_NONE;
    struct uuid id = UUID_NIL;

    TRY(page_after(cx, &q->page, &at, &id));
    TRY(db_all(cx, reconciliation_fields, &rows,
               "select reconciliation_id, from_at, to_at, at, by_id, captures, refunds,"
               " difference_count, differences from reconciliations"
               " where (at, reconciliation_id) < ($1, $2)"
               " order by at desc, reconciliation_id desc limit $3",
               ARGS(db_int(at), db_uuid(id), db_int(limit + 1))));
    if (rows.n > (size_t)limit) {
        rows.n = (size_t)limit;
        const struct run *last = LIST_AT(struct run, rows, rows.n - 1);
        next = page_cursor(cx, last->at, last->reconciliation_id);
    }
    return reply_list(cx, rq, rp, reconciliation_fields, rows, next);
}
