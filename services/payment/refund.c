/* refund.c -- money back: asked for once per cause, sent with a fixed key, one at a time per
 * payment; and what was given back without us. */
#include "payment/payment.h"

#include "base/fault.h"
#include "obs/log.h"

/*
 * DESIGN
 *
 * A refund goes under its own key for as long as the provider remembers keys: however often it is
 * sent, it is done once, and the answer that is kept there names our cancel. Nothing but that
 * answer makes it DONE, since a cancel of the same amount may be somebody else's.
 *
 * A cancel that no refund of ours has was made in the provider's own dashboard: it goes into the
 * books as a refund that is done, and the order hears of it like of any. It is looked for when the
 * provider hints at it, when the books are compared, and when less is left there than we are about
 * to give back. While one of ours is on its way, a key that we do not know may be that one's.
 */

/* Not yet given back and not yet asked for. */
static enum err refundable(struct ctx *cx, const struct payment *p, int64_t *ret)
{
    int64_t asked = 0;

    TRY(db_int_of(cx, &asked, "select sum(amount_won) from refunds where payment_id = $1",
                  ARGS(db_uuid(p->payment_id))));
    *ret = p->amount_won - asked;
    return ERR_OK;
}

enum err refund_request(struct ctx *cx, const struct payment *p, int64_t amount_won,
                        struct str reason, enum payer payer, struct str cause,
                        struct uuid *ret_refund_id)
{
    int64_t left = 0, inserted = 0;
    struct uuid id = ctx_uuid(cx);

    TRY(refundable(cx, p, &left));
    if (amount_won > left)
        return fail(cx, ERR_REFUND_AMOUNT, "%" PRId64 " asked for, %" PRId64 " left", amount_won,
                    left);
    TRY(db_change(cx, &inserted,
                  "insert into refunds (refund_id, payment_id, order_id, amount_won, reason, "
                  "payer, status, cause,"
                  " created_at) values ($1, $2, $3, $4, $5, $6, 'REQUESTED', $7, $8) on conflict "
                  "(cause) do nothing",
                  ARGS(db_uuid(id), db_uuid(p->payment_id), db_uuid(p->order_id),
                       db_int(amount_won), db_str(reason), db_str(str_from(payer_names[payer])),
                       db_str(cause), db_int(ctx_now(cx)))));
    *ret_refund_id = id;
    if (inserted == 0)
        return ERR_OK;
    TRY(db_exec(cx,
                "update payments set status = 'REFUNDING', changed_at = $2 where payment_id = $1",
                ARGS(db_uuid(p->payment_id), db_int(ctx_now(cx)))));
    return timer_set(cx, "payment.refund", p->payment_id, ctx_now(cx));
}

struct refund_requested {
    struct uuid order_id;
    int64_t amount_won;
    struct str reason;
};
const struct field refund_requested_fields[] = {
    F_UUID(struct refund_requested, order_id, "orderId", REQUIRED, "order"),
    F_WON(struct refund_requested, amount_won, "amountWon", REQUIRED, "how much"),
    F_STR(struct refund_requested, reason, "reason", 0, 0, 200, "why"),
    F_END(struct refund_requested),
};

/* By the order service, with everything it knows to be captured; asked for again it changes
 * nothing. */
enum err on_refund_requested(struct ctx *cx, const struct event *e, const void *data)
{
    const struct refund_requested *in = data;
    struct str cause = arena_printf(cx->arena, "order:%s", ctx_uuid_text(cx, e->id));
    struct payment p = {0};
    struct uuid refund_id;
    int64_t left = 0;

    TRY(db_one(cx, payment_row_fields, &p,
               "select " PAYMENT_COLUMNS " from payments where order_id = $1 and is_late = 0"
               " and status in ('CAPTURED', 'REFUNDING', 'PARTIALLY_REFUNDED', 'REFUNDED')",
               ARGS(db_uuid(in->order_id))));
    TRY(refundable(cx, &p, &left));
    int64_t amount = in->amount_won < left ? in->amount_won : left;
    if (amount <= 0)
        return ERR_OK;
    return refund_request(cx, &p, amount, in->reason.n ? in->reason : STR("cancelled"), PAYER_STORE,
                          cause, &refund_id);
}

/* Toss keeps a key and its answer for 15 days. */
#define KEY_MEMORY_US (14 * US_PER_DAY)

struct refund_done {
    struct uuid order_id, payment_id, refund_id;
    int64_t amount_won;
};
static const struct field refund_done_fields[] = {
    F_UUID(struct refund_done, order_id, "orderId", 0, "order"),
    F_UUID(struct refund_done, payment_id, "paymentId", 0, "payment"),
    F_UUID(struct refund_done, refund_id, "refundId", 0, "refund"),
    F_WON(struct refund_done, amount_won, "amountWon", 0, "given back"),
    F_END(struct refund_done),
};

/* In the books, and told. r: what moved, its status apart. */
static enum err given_back(struct ctx *cx, const struct refund *r)
{
    const struct refund_done event = {r->order_id, r->payment_id, r->refund_id, r->amount_won};

    TRY(db_exec(
        cx,
        "update payments set refunded_won = refunded_won + $2, changed_at = $3, status = case"
        " when refunded_won + $2 = amount_won then 'REFUNDED' else 'PARTIALLY_REFUNDED' end"
        " where payment_id = $1",
        ARGS(db_uuid(r->payment_id), db_int(r->amount_won), db_int(ctx_now(cx)))));
    TRY(ledger_write(cx, r->refund_id, r->order_id, -r->amount_won));
    return outbox_append(cx, "payment.refunded", r->order_id, refund_done_fields, &event);
}

static enum err settle_refund(struct ctx *cx, const struct refund *r, struct str transaction_key)
{
    int64_t changed = 0;

    TRY(db_begin(cx));
    TRY(db_change(cx, &changed,
                  "update refunds set status = 'DONE', transaction_key = $2, done_at = $3"
                  " where refund_id = $1 and status = 'REQUESTED'",
                  ARGS(db_uuid(r->refund_id),
                       db_str(transaction_key.n ? transaction_key : STR_NONE),
                       db_int(ctx_now(cx)))));
    if (changed == 1)
        TRY(given_back(cx, r));
    /* The next one, if any, after the gap that Toss needs between two cancels. */
    TRY(timer_retry(cx, "payment.refund", r->payment_id, ctx_now(cx) + CANCEL_GAP_US, 0));
    if (FAULT("payment.refund.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.refund.commit");
    return db_commit(cx);
}

static enum err is_known(struct ctx *cx, const struct toss_cancel *c, bool *ret)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n, "select count(*) from refunds where transaction_key = $1",
                  ARGS(db_str(c->transaction_key))));
    *ret = n > 0;
    return ERR_OK;
}

/* The cancel that is ours: the one whose transaction no refund of ours has, with our amount. */
static enum err find_cancel(struct ctx *cx, const struct refund *r, const struct toss_payment *a,
                            struct str *ret_key)
{
    *ret_key = STR_NONE;
    for (size_t i = a->cancels.n; i > 0; i--) {
        const struct toss_cancel *c = LIST_AT(struct toss_cancel, a->cancels, i - 1);
        bool known = false;
        if (c->amount_won != r->amount_won || c->transaction_key.n == 0)
            continue;
        TRY(is_known(cx, c, &known));
        if (!known) {
            *ret_key = c->transaction_key;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

static enum err write_foreign(struct ctx *cx, const struct payment *p, const struct toss_cancel *c)
{
    const struct refund r = {.refund_id = ctx_uuid(cx),
                             .payment_id = p->payment_id,
                             .order_id = p->order_id,
                             .amount_won = c->amount_won};
    int64_t at = c->canceled_at && c->canceled_at < ctx_now(cx) ? c->canceled_at : ctx_now(cx);
    struct str cause = arena_printf(cx->arena, "provider:%.*s", STR_ARG(c->transaction_key));

    TRY(db_exec(cx,
                "insert into refunds (refund_id, payment_id, order_id, amount_won, reason, payer,"
                " status, cause, transaction_key, created_at, done_at) values ($1, $2, $3, $4, $5,"
                " 'platform', 'DONE', $6, $7, $8, $9)",
                ARGS(db_uuid(r.refund_id), db_uuid(r.payment_id), db_uuid(r.order_id),
                     db_int(r.amount_won),
                     db_str(c->reason.n ? c->reason : STR("given back by the provider")),
                     db_str(cause), db_str(c->transaction_key), db_int(ctx_now(cx)), db_int(at))));
    log_event(cx, LOG_WARN,
              "payment %s: %" PRId64 " won were given back in the provider's dashboard",
              ctx_uuid_text(cx, p->payment_id), c->amount_won);
    return given_back(cx, &r);
}

/* One on its way may turn out to have made it: whoever sent that finds out first. */
static enum err may_be_ours(struct ctx *cx, const struct payment *p, const struct toss_cancel *c,
                            bool *ret)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n,
                  "select count(*) from refunds where transaction_key = $1 or (payment_id = $2"
                  " and status = 'REQUESTED' and amount_won = $3)",
                  ARGS(db_str(c->transaction_key), db_uuid(p->payment_id), db_int(c->amount_won))));
    *ret = n > 0;
    return ERR_OK;
}

/* Inside a transaction. */
static enum err write_foreign_all(struct ctx *cx, const struct payment *p,
                                  const struct toss_payment *a)
{
    for (size_t i = 0; i < a->cancels.n; i++) {
        const struct toss_cancel *c = LIST_AT(struct toss_cancel, a->cancels, i);
        bool ours = false;
        if (c->transaction_key.n == 0 || c->amount_won == 0)
            continue;
        TRY(may_be_ours(cx, p, c, &ours));
        if (!ours)
            TRY(write_foreign(cx, p, c));
    }
    return ERR_OK;
}

enum err refunds_by_provider(struct ctx *cx, const struct payment *p, const struct toss_payment *a)
{
    int64_t on_their_way = 0;

    TRY(db_begin(cx));
    TRY(db_int_of(cx, &on_their_way,
                  "select count(*) from refunds where payment_id = $1 and status = 'REQUESTED'",
                  ARGS(db_uuid(p->payment_id))));
    if (on_their_way)
        return fail(cx, ERR_UNAVAILABLE, "a refund of ours is on its way");
    TRY(write_foreign_all(cx, p, a));
    if (FAULT("payment.foreign.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.foreign.commit");
    return db_commit(cx);
}

static int64_t smallest(int64_t a, int64_t b, int64_t c)
{
    int64_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/*
 * Less is left there than this refund wants, since somebody gave money back otherwise: it becomes
 * one of what is left, under a key of its own, because the provider answers a key that it knows
 * with what it said before.
 */
static enum err replace(struct ctx *cx, const struct payment *p, const struct refund *r,
                        const struct toss_payment *a)
{
    struct str cause = arena_printf(cx->arena, "rest:%s", ctx_uuid_text(cx, r->refund_id));
    int64_t dropped = 0, left = 0;
    struct uuid rest_id;

    TRY(db_begin(cx));
    TRY(db_change(cx, &dropped, "delete from refunds where refund_id = $1 and status = 'REQUESTED'",
                  ARGS(db_uuid(r->refund_id))));
    if (dropped == 0)
        return fail(cx, ERR_CONFLICT, "somebody else settled it");
    TRY(write_foreign_all(cx, p, a));
    TRY(db_exec(cx,
                "update payments set status = case when refunded_won = amount_won then 'REFUNDED'"
                " when refunded_won > 0 then 'PARTIALLY_REFUNDED' else 'CAPTURED' end"
                " where payment_id = $1",
                ARGS(db_uuid(p->payment_id))));
    TRY(refundable(cx, p, &left));
    int64_t rest = smallest(r->amount_won, a->balance_won, left);
    log_event(cx, LOG_WARN,
              "refund %s of %" PRId64 " won: the provider has less left, and gives %" PRId64,
              ctx_uuid_text(cx, r->refund_id), r->amount_won, rest > 0 ? rest : 0);
    if (rest > 0)
        TRY(refund_request(cx, p, rest, r->reason, (enum payer)r->payer, cause, &rest_id));
    TRY(timer_retry(cx, "payment.refund", r->payment_id, ctx_now(cx) + CANCEL_GAP_US, 0));
    if (FAULT("payment.replace.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.replace.commit");
    return db_commit(cx);
}

static enum err try_later(struct ctx *cx, const struct refund *r, int64_t attempt, struct str code)
{
    static const int seconds[] = {2, 5, 10, 30, 60};
    int64_t wait_us =
        attempt < (int64_t)COUNT_OF(seconds) ? seconds[attempt] * US_PER_S : 5 * US_PER_MIN;

    if (ctx_now(cx) - r->created_at > UNKNOWN_MAX_US) {
        wait_us = US_PER_HOUR;
        log_event(cx, LOG_ERROR, "refund %s is not done for more than a day",
                  ctx_uuid_text(cx, r->refund_id));
    }
    TRY(db_begin(cx));
    if (code.n)
        TRY(db_exec(cx, "update refunds set provider_code = $2 where refund_id = $1",
                    ARGS(db_uuid(r->refund_id), db_str(code))));
    TRY(timer_retry(cx, "payment.refund", r->payment_id, ctx_now(cx) + wait_us, attempt + 1));
    return db_commit(cx);
}

/* It was looked at and not done; 409 and 429 say that it was not looked at. */
static bool is_refusal(int status)
{
    return status >= 400 && status < 500 && status != 409 && status != 429;
}

/* Its cancels account for what is left: then nothing is missing in the list. */
static bool adds_up(const struct toss_payment *a)
{
    int64_t left = a->total_won;

    for (size_t i = 0; i < a->cancels.n; i++) {
        const struct toss_cancel *c = LIST_AT(struct toss_cancel, a->cancels, i);
        if (c->transaction_key.n == 0)
            return false;
        left -= c->amount_won;
    }
    return left == a->balance_won;
}

/* Not done by this answer. Sent again it is done, or was, unless less is left than it wants; or
 * unless its key may be forgotten: then what is on record has to do. */
static enum err not_done(struct ctx *cx, const struct payment *p, const struct refund *r,
                         int64_t attempt, struct str code)
{
    struct toss_payment a = {0};
    struct str key = STR_NONE;

    if (provider_look_up(cx, p, &a) != ANSWER_CAPTURED)
        return try_later(cx, r, attempt, code);
    if (ctx_now(cx) - r->created_at > KEY_MEMORY_US)
        TRY(find_cancel(cx, r, &a, &key));
    if (key.n)
        return settle_refund(cx, r, key);
    return a.balance_won < r->amount_won && adds_up(&a) ? replace(cx, p, r, &a)
                                                        : try_later(cx, r, attempt, code);
}

static enum err send(struct ctx *cx, const struct payment *p, const struct refund *r,
                     int64_t attempt)
{
    struct toss_payment a = {0};
    struct str key = STR_NONE;
    int status = 0;

    provider_cancel(cx, p, r, &status, &a);
    if (is_refusal(status))
        return not_done(cx, p, r, attempt, a.code);
    if (status < 200 || status >= 300)
        return try_later(cx, r, attempt, a.code);
    TRY(find_cancel(cx, r, &a, &key));
    return key.n ? settle_refund(cx, r, key)
                 : try_later(cx, r, attempt, STR("NO_CANCEL_IN_ANSWER"));
}

/* The timer goes, unless one was asked for since we looked: then it is that one's. */
static enum err nothing_due(struct ctx *cx, struct uuid payment_id)
{
    int64_t cleared = 0;

    if (FAULT("payment.refund.none"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.refund.none");
    return db_once(
        cx, &cleared,
        "delete from timers where kind = 'payment.refund' and subject = $1 and not exists"
        " (select 1 from refunds where payment_id = $1 and status = 'REQUESTED')",
        ARGS(db_uuid(payment_id)));
}

enum err when_refund_is_due(struct ctx *cx, struct uuid payment_id, int64_t attempt)
{
    struct payment p;
    struct refund r = {0};

    TRY(payment_load(cx, payment_id, &p));
    enum err e = db_one(cx, refund_row_fields, &r,
                        "select " REFUND_COLUMNS
                        " from refunds where payment_id = $1 and status = 'REQUESTED'"
                        " order by created_at, refund_id limit 1",
                        ARGS(db_uuid(payment_id)));
    if (e == ERR_OK)
        return send(cx, &p, &r, attempt);
    if (e != ERR_NOT_FOUND)
        return e;
    return nothing_due(cx, payment_id);
}

struct admin_refund {
    int64_t amount_won;
    struct str reason;
    int payer;
};
const char *const payer_names[] = {"store", "platform", NULL};
const struct field admin_refund_fields[] = {
    F_INT(struct admin_refund, amount_won, "amountWon", REQUIRED, 1, 100000000, "how much"),
    F_STR(struct admin_refund, reason, "reason", REQUIRED | ONE_LINE, 1, 200,
          "why; the customer sees it"),
    F_ENUM(struct admin_refund, payer, "payer", REQUIRED, payer_names, "who bears it"),
    F_END(struct admin_refund),
};

enum err payment_admin_refund(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct admin_refund *in = rq->body;
    struct payment p;
    struct uuid refund_id;

    TRY(db_begin(cx));
    TRY(payment_load(cx, rq->id[0], &p));
    if (p.status == CONFIRMING || p.status == FAILED)
        return fail(cx, ERR_PAYMENT_STATE, "refund of a payment that is %s",
                    payment_status_names[p.status]);
    struct str cause = arena_printf(cx->arena, "admin:%s", ctx_uuid_text(cx, ctx_uuid(cx)));
    TRY(refund_request(cx, &p, in->amount_won, in->reason, (enum payer)in->payer, cause,
                       &refund_id));
    log_event(cx, LOG_WARN, "refund of %" PRId64 " won asked for by operator %s", in->amount_won,
              ctx_uuid_text(cx, cx->caller.user_id));
    TRY(reply_payment(cx, rp, 202, p.payment_id));
    return db_commit(cx);
}
