/* resolve.c -- the worker that asks about unknown answers until they are known, and the webhook
 * that hurries it. */
#include "payment/payment.h"

#include "data/json.h"
#include "obs/log.h"

#define TRIES_OF_A_DAY 290 /* see wait_after */

static bool is_unknown_there(const struct toss_payment *a)
{
    return str_eq(a->code, STR("NOT_FOUND_PAYMENT")) ||
           str_eq(a->code, STR("NOT_FOUND_PAYMENT_SESSION"));
}

bool may_be_under_way(const struct ctx *cx, const struct payment *p, const struct toss_payment *a)
{
    return is_unknown_there(a) && ctx_now(cx) - p->created_at < CONFIRM_LIMIT_US;
}

static int64_t wait_after(int64_t attempt)
{
    static const int seconds[] = {2, 5, 10, 30, 60};

    if (attempt < (int64_t)COUNT_OF(seconds))
        return seconds[attempt] * US_PER_S;
    return 5 * US_PER_MIN;
}

static enum err ask_later(struct ctx *cx, const struct payment *p, int64_t attempt)
{
    bool is_open = p->status == CONFIRMING || p->status == FAILED;
    bool too_long =
        is_open ? ctx_now(cx) - p->created_at > UNKNOWN_MAX_US : attempt > TRIES_OF_A_DAY;

    if (too_long && is_open)
        log_event(cx, LOG_ERROR, "payment %s is unknown for more than a day",
                  ctx_uuid_text(cx, p->payment_id));
    TRY(db_begin(cx));
    TRY(timer_retry(cx, "payment.resolve", p->payment_id,
                    ctx_now(cx) + (too_long ? US_PER_HOUR : wait_after(attempt)), attempt + 1));
    return db_commit(cx);
}

/* The timer goes, unless it was moved since we looked: who moved it knows of something later, and
 * shall not wait until our lease of it runs out. */
static enum err done(struct ctx *cx, struct uuid payment_id, int64_t looked_at)
{
    int64_t cleared = 0;

    TRY(db_begin(cx));
    TRY(db_change(
        cx, &cleared,
        "delete from timers where kind = 'payment.resolve' and subject = $1 and due_us <= $2",
        ARGS(db_uuid(payment_id), db_int(looked_at))));
    if (cleared == 0) {
        TRY(db_exec(cx,
                    "update timers set lease_until = 0 where kind = 'payment.resolve'"
                    " and subject = $1",
                    ARGS(db_uuid(payment_id))));
        db_ring_at(cx, ctx_now(cx));
    }
    return db_commit(cx);
}

/* Asks first, so that what is done already is only read; what is open is pursued with the same
 * keys. */
static enum err resolve(struct ctx *cx, struct payment *p)
{
    struct toss_payment a = {0};

    switch (provider_look_up(cx, p, &a)) {
    case ANSWER_CAPTURED:
        return settle_captured(cx, p, &a);
    case ANSWER_DECLINED:
        /* A payment shown as aborted or expired is over. One that is not known is over when no
         * confirm of it can be under way any more; until then our confirm may not have arrived, or
         * not be done: it carries its key, so it may go again. */
        if (a.code.n == 0)
            return settle_failed(cx, p, a.status, a.message);
        if (is_unknown_there(&a) && !may_be_under_way(cx, p, &a))
            return settle_failed(cx, p, a.code, a.message);
        return payment_pursue(cx, p, true);
    case ANSWER_OPEN:
        return payment_pursue(cx, p, true);
    case ANSWER_WRONG:
        return captured_wrong(cx, p, &a);
    case ANSWER_UNKNOWN:
        break;
    }
    return fail(cx, ERR_PROVIDER, "no clear answer");
}

/* A payment we hold for failed: is it, there? */
static enum err look_for_late(struct ctx *cx, const struct payment *p)
{
    int64_t looked_at = ctx_now(cx);
    struct toss_payment a = {0};
    enum answer what = provider_look_up(cx, p, &a);

    if (what == ANSWER_CAPTURED)
        return settle_late(cx, p, &a);
    if (what == ANSWER_WRONG)
        return captured_wrong(cx, p, &a);
    if (what == ANSWER_UNKNOWN)
        return fail(cx, ERR_PROVIDER, "no clear answer");
    return done(cx, p->payment_id, looked_at);
}

/* Captured, as we know: the provider hints that some of it was given back. */
static enum err look_for_cancels(struct ctx *cx, const struct payment *p)
{
    int64_t looked_at = ctx_now(cx);
    struct toss_payment a = {0};

    switch (provider_look_up(cx, p, &a)) {
    case ANSWER_CAPTURED:
        TRY(refunds_by_provider(cx, p, &a));
        return done(cx, p->payment_id, looked_at);
    case ANSWER_DECLINED: /* the comparison of books says so each time until a person has looked */
        log_event(cx, LOG_ERROR, "payment %s is captured, and the provider denies it",
                  ctx_uuid_text(cx, p->payment_id));
        return done(cx, p->payment_id, looked_at);
    default:
        return fail(cx, ERR_PROVIDER, "no clear answer");
    }
}

static enum err look(struct ctx *cx, struct payment *p)
{
    if (p->status == CONFIRMING)
        return resolve(cx, p);
    return p->status == FAILED ? look_for_late(cx, p) : look_for_cancels(cx, p);
}

enum err when_unresolved(struct ctx *cx, struct uuid payment_id, int64_t attempt)
{
    struct payment p;

    TRY(payment_load(cx, payment_id, &p));
    enum err e = look(cx, &p);
    if (e == ERR_OK)
        return ERR_OK;
    db_rollback(cx);
    return ask_later(cx, &p, attempt);
}

struct webhook_data {
    struct str payment_key, status;
};
static const struct field webhook_data_fields[] = {
    F_STR(struct webhook_data, payment_key, "paymentKey", NULLABLE, 0, 200, "payment"),
    F_STR(struct webhook_data, status, "status", NULLABLE, 0, 50, "what the payment is now"),
    F_END(struct webhook_data),
};
struct webhook {
    struct str event_type;
    struct webhook_data *data;
};
const struct field webhook_fields[] = {
    F_STR(struct webhook, event_type, "eventType", REQUIRED, 1, 100, "PAYMENT_STATUS_CHANGED"),
    F_OBJECT_PTR(struct webhook, data, "data", REQUIRED, webhook_data_fields, "the payment"),
    F_END(struct webhook),
};

enum err payment_look_again(struct ctx *cx, struct str payment_key, bool when_captured)
{
    int64_t sooner = 0;

    TRY(db_once(cx, &sooner,
                "insert into timers (kind, subject, due_us, attempt, lease_until)"
                " select 'payment.resolve', payment_id, $2, 0, 0 from payments"
                " where payment_key = $1 and (status in ('CONFIRMING', 'FAILED') or $3 = 1)"
                " on conflict (kind, subject) do update set due_us = excluded.due_us, attempt = 0",
                ARGS(db_str(payment_key), db_int(ctx_now(cx)), db_bool(when_captured))));
    if (!sooner) /* mostly: the answer to our confirm came first */
        return ERR_OK;
    TRY(db_begin(cx));
    db_ring_at(cx, ctx_now(cx));
    return db_commit(cx);
}

/*
 * Toss does not sign it, so anybody can send it: it says only "look again", and we ask Toss
 * ourselves. The answer is the same whether we know the payment or not.
 */
enum err payment_webhook(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct webhook in = {0};

    TRY(json_decode_lenient(cx, webhook_fields, &in, rq->raw_body));
    if (in.data->payment_key.n)
        TRY(payment_look_again(cx, in.data->payment_key, provider_gave_back(in.data->status)));
    return reply_none(cx, rp, 200);
}
