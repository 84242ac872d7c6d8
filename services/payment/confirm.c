/* confirm.c -- checkout and confirm: intent first, then the pin, then the provider, then what is
 * known. */
#include "payment/payment.h"

#include "base/fault.h"
#include "data/json.h"
#include "obs/metrics.h"

/*
 * DESIGN
 *
 * confirm commits CONFIRMING with a timer, so that a crash at any line leaves a payment that
 * somebody pursues. payment_pursue is that somebody: the request itself, and the timer after it.
 * Pin and confirm carry fixed keys and can be sent any number of times. An unknown answer is
 * neither success nor failure: the client gets 202 and the timer goes on asking.
 */

struct checkout { /* as the order service answers */
    struct uuid order_id, customer_id, store_id;
    struct str status, order_name;
    int64_t amount_won;
    /* as we answer */
    struct str client_key, customer_key, success_url, fail_url, script_url;
};
static const struct field asked_order_fields[] = {
    F_UUID(struct checkout, order_id, "orderId", REQUIRED, "order"),
    F_UUID(struct checkout, customer_id, "customerId", REQUIRED, "customer"),
    F_UUID(struct checkout, store_id, "storeId", REQUIRED, "store"),
    F_STR(struct checkout, status, "status", REQUIRED, 1, 30, "status of the order"),
    F_STR(struct checkout, order_name, "orderName", REQUIRED, 1, 100, "for the window"),
    F_WON(struct checkout, amount_won, "amountWon", REQUIRED, "to pay"),
    F_END(struct checkout),
};
const struct field checkout_fields[] = {
    F_STR(struct checkout, client_key, "clientKey", REQUIRED, 1, 200,
          "public key of the Toss account"),
    F_UUID(struct checkout, order_id, "orderId", REQUIRED, "order"),
    F_STR(struct checkout, order_name, "orderName", REQUIRED, 1, 100, "what the window shows"),
    F_WON(struct checkout, amount_won, "amountWon", REQUIRED, "to pay"),
    F_STR(struct checkout, customer_key, "customerKey", REQUIRED, 1, 50, "the customer, for Toss"),
    F_STR(struct checkout, success_url, "successUrl", REQUIRED, 1, 300,
          "where Toss sends the customer"),
    F_STR(struct checkout, fail_url, "failUrl", REQUIRED, 1, 300, "where it sends them otherwise"),
    F_STR(struct checkout, script_url, "scriptUrl", REQUIRED, 1, 300, "the window's script"),
    F_END(struct checkout),
};

/* The same for an order of somebody else's and for one of nobody: a stranger learns nothing. */
static enum err no_such_order(struct ctx *cx, const char *why)
{
    cx->story.public_detail = STR("You have no such order.");
    return fail(cx, ERR_NOT_FOUND, "%s", why);
}

static enum err ask_order(struct ctx *cx, struct uuid order_id, struct checkout *ret)
{
    struct str path =
        arena_printf(cx->arena, "/internal/v1/orders/%s/checkout?customerId=%s",
                     ctx_uuid_text(cx, order_id), ctx_uuid_text(cx, cx->caller.user_id));

    enum err e = call_service(cx, "order", HTTP_GET, path.p, NULL, NULL, asked_order_fields, ret);
    return e == ERR_NOT_FOUND ? no_such_order(cx, "no order of this customer's") : e;
}

enum err payment_checkout(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct platform_options *o = platform_options(svc_platform(cx->svc));
    struct checkout c = {0};

    TRY(ask_order(cx, rq->id[0], &c));
    if (!str_eq(c.status, STR("AWAITING_PAYMENT")))
        return fail(cx, ERR_ORDER_STATE, "checkout of an order that is %.*s", STR_ARG(c.status));
    c.client_key = o->toss_client_key;
    c.customer_key = str_from(ctx_uuid_text(cx, c.customer_id));
    c.success_url = arena_printf(cx->arena, "%.*s/pay/success", STR_ARG(o->issuer));
    c.fail_url = arena_printf(cx->arena, "%.*s/pay/fail", STR_ARG(o->issuer));
    bool simulated = str_starts(o->toss_url, STR("http://"));
    c.script_url = simulated ? arena_printf(cx->arena, "%.*s/window.js", STR_ARG(o->toss_url))
                             : STR("https://js.tosspayments.com/v2/standard");
    return reply_data(cx, rp, 200, checkout_fields, &c);
}

struct confirm {
    struct str payment_key;
    struct uuid order_id;
    int64_t amount_won;
};
const struct field confirm_fields[] = {
    F_STR(struct confirm, payment_key, "paymentKey", REQUIRED | ONE_LINE, 1, 200,
          "what the window gave"),
    F_UUID(struct confirm, order_id, "orderId", REQUIRED, "order"),
    F_WON(struct confirm, amount_won, "amountWon", REQUIRED, "what the customer agreed to"),
    F_END(struct confirm),
};

/* It becomes part of a path: nothing but what Toss makes keys of. */
static enum err check_key(struct ctx *cx, struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '_')
            continue;
        ctx_field_error(cx, STR("paymentKey"), STR("FORMAT"), "has letters, digits, - and _ only");
        return fail(cx, ERR_INVALID, "form of the payment key");
    }
    return ERR_OK;
}

static enum err find_by_key(struct ctx *cx, struct str key, struct payment *ret)
{
    return db_one(cx, payment_row_fields, ret,
                  "select " PAYMENT_COLUMNS " from payments where payment_key = $1",
                  ARGS(db_str(key)));
}

/* Why an order was not pinned; the payment keeps the code of it. */
static const enum err not_pinned[] = {ERR_ORDER_STATE, ERR_NOT_FOUND, ERR_PAYMENT_AMOUNT};

static bool is_not_pinned(enum err e)
{
    for (size_t i = 0; i < COUNT_OF(not_pinned); i++)
        if (e == not_pinned[i])
            return true;
    return false;
}

static enum err declined(struct ctx *cx, const struct payment *p)
{
    struct buf b;

    /* The order said no, the provider was never asked: it is no refusal of the card. */
    for (size_t i = 0; i < COUNT_OF(not_pinned); i++)
        if (str_eq(p->provider_code, str_from(err_row(not_pinned[i])->code)))
            return fail(cx, not_pinned[i], "the order could not be pinned");
    buf_init_arena(&b, cx->arena, 1024);
    buf_lit(&b, "\"providerCode\":");
    json_string(&b, p->provider_code);
    cx->story.public_extra = buf_str(&b);
    cx->story.public_detail = p->provider_message;
    return fail(cx, ERR_PAYMENT_DECLINED, "%.*s", STR_ARG(p->provider_code));
}

/* What is known of the payment by now. */
static enum err answer(struct ctx *cx, struct reply *rp, struct uuid payment_id)
{
    struct payment p;

    TRY(payment_load_shown(cx, payment_id, &p));
    if (p.status == FAILED)
        return declined(cx, &p);
    return reply_data(cx, rp, p.status == CONFIRMING ? 202 : 200, payment_fields, &p);
}

/* The same key again: a double click, a retry, or somebody who tries another's key. */
static enum err answer_again(struct ctx *cx, const struct confirm *in, const struct payment *p,
                             struct reply *rp)
{
    if (!uuid_eq(p->customer_id, cx->caller.user_id))
        return no_such_order(cx, "payment key of another customer");
    if (!uuid_eq(p->order_id, in->order_id)) {
        cx->story.public_detail = STR("That payment is for another order.");
        return fail(cx, ERR_NOT_FOUND, "payment key of another order");
    }
    if (p->amount_won != in->amount_won)
        return fail(cx, ERR_PAYMENT_AMOUNT, "confirmed before with %" PRId64, p->amount_won);
    return answer(cx, rp, p->payment_id);
}

/*
 * It was refused: was the key used before, by a request that was faster or whose answer was lost?
 * Looked up in a transaction, which sees what is committed but not durable yet (a new one: the one
 * that met it may not see it); its commit makes our answer wait until it is.
 */
static enum err answer_refused(struct ctx *cx, const struct confirm *in, enum err refusal,
                               struct reply *rp)
{
    struct story why = cx->story;
    struct payment p = {0};

    cx->story = (struct story){0};
    db_rollback(cx);
    TRY(db_begin(cx));
    enum err e = find_by_key(cx, in->payment_key, &p);
    if (e == ERR_NOT_FOUND) {
        cx->story = why;
        return refusal;
    }
    TRY(e);
    TRY(db_commit(cx));
    return answer_again(cx, in, &p, rp);
}

/* As it is to be paid now. */
static enum err check_order(struct ctx *cx, const struct confirm *in, struct checkout *ret)
{
    TRY(ask_order(cx, in->order_id, ret));
    if (ret->amount_won != in->amount_won)
        return fail(cx, ERR_PAYMENT_AMOUNT, "order of %" PRId64 " won, not %" PRId64,
                    ret->amount_won, in->amount_won);
    if (!str_eq(ret->status, STR("AWAITING_PAYMENT")) && !str_eq(ret->status, STR("CONFIRMING")))
        return fail(cx, ERR_ORDER_STATE, "confirm of an order that is %.*s", STR_ARG(ret->status));
    return ERR_OK;
}

/* ERR_DUPLICATE, at the latest from the commit: the key was used, or the order has a live payment.
 */
static enum err insert(struct ctx *cx, const struct confirm *in, const struct checkout *c,
                       struct payment *ret)
{
    *ret = (struct payment){.payment_id = ctx_uuid(cx),
                            .order_id = in->order_id,
                            .customer_id = cx->caller.user_id,
                            .store_id = c->store_id,
                            .order_name = c->order_name,
                            .payment_key = in->payment_key,
                            .amount_won = in->amount_won,
                            .status = CONFIRMING,
                            .created_at = ctx_now(cx)};
    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "insert into payments (payment_id, order_id, customer_id, store_id, order_name,"
                " payment_key, amount_won, status, created_at, changed_at)"
                " values ($1, $2, $3, $4, $5, $6, $7, 'CONFIRMING', $8, $8)",
                ARGS(db_uuid(ret->payment_id), db_uuid(ret->order_id), db_uuid(ret->customer_id),
                     db_uuid(ret->store_id), db_str(ret->order_name), db_str(ret->payment_key),
                     db_int(ret->amount_won), db_int(ret->created_at))));
    TRY(timer_set(cx, "payment.resolve", ret->payment_id, ctx_now(cx) + FIRST_LOOK_US));
    if (FAULT("payment.intent.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.intent.commit");
    TRY(db_commit(cx));
    return db_durable(cx);
}

struct pin {
    struct uuid customer_id, payment_id;
    int64_t amount_won;
};
static const struct field pin_fields[] = {
    F_UUID(struct pin, customer_id, "customerId", 0, "who pays"),
    F_WON(struct pin, amount_won, "amountWon", 0, "how much"),
    F_UUID(struct pin, payment_id, "paymentId", 0, "this payment"),
    F_END(struct pin),
};

static enum err pin(struct ctx *cx, const struct payment *p)
{
    const struct pin body = {p->customer_id, p->payment_id, p->amount_won};
    struct str path =
        arena_printf(cx->arena, "/internal/v1/orders/%s/pin", ctx_uuid_text(cx, p->order_id));

    return call_service(cx, "order", HTTP_POST, path.p, pin_fields, &body, NULL, NULL);
}

static enum err settle(struct ctx *cx, struct payment *p, enum answer what,
                       const struct toss_payment *a, bool is_repeat)
{
    switch (what) {
    case ANSWER_CAPTURED:
        return settle_captured(cx, p, a);
    case ANSWER_DECLINED:
        if (is_repeat && may_be_under_way(cx, p, a))
            return fail(cx, ERR_PROVIDER, "not known there yet");
        return settle_failed(cx, p, a->code.n ? a->code : a->status, a->message);
    case ANSWER_OPEN:
    case ANSWER_UNKNOWN:
        return fail(cx, ERR_PROVIDER, "no clear answer for %s: %.*s",
                    ctx_uuid_text(cx, p->payment_id), STR_ARG(a->code));
    case ANSWER_WRONG:
        return fail(cx, ERR_PROVIDER, "captured as another order or amount: %.*s %" PRId64,
                    STR_ARG(a->order_id), a->total_won);
    }
    return fail(cx, ERR_INTERNAL, "unknown answer %d", (int)what);
}

enum err payment_pursue(struct ctx *cx, struct payment *p, bool is_repeat)
{
    struct toss_payment a = {0};

    enum err e = pin(cx, p);
    if (is_not_pinned(e)) {
        /* Not pinned means never confirmed by us: nothing can have been captured. */
        return settle_failed(cx, p, str_from(err_row(e)->code), STR_NONE);
    }
    TRY(e);
    return settle(cx, p, provider_confirm(cx, p, &a), &a, is_repeat);
}

static struct metric *unknown(void)
{
    return metric_get(METRIC_COUNTER, "jumun_payments_unknown_total",
                      "Confirmations of which the provider did not say at once what became.", NULL,
                      NULL, NULL, NULL);
}

enum err payment_counts_start(struct ctx *cx)
{
    (void)cx;
    metric_add(unknown(), 0);
    return ERR_OK;
}

enum err payment_confirm(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct confirm *in = rq->body;
    struct checkout c = {0};
    struct payment p = {0};

    TRY(check_key(cx, in->payment_key));
    enum err e = check_order(cx, in, &c);
    if (e == ERR_OK)
        e = insert(cx, in, &c, &p);
    if (e == ERR_DUPLICATE)
        e = fail(cx, ERR_PAYMENT_STATE, "the order has a live payment");
    if (e != ERR_OK)
        return answer_refused(cx, in, e, rp);
    e = payment_pursue(cx, &p, false);
    if (e != ERR_OK) {
        /* We do not know: the answer is 202, and the timer looks at once. */
        metric_add(unknown(), 1);
        db_rollback(cx);
        TRY(db_begin(cx));
        TRY(timer_set(cx, "payment.resolve", p.payment_id, ctx_now(cx) + 2 * US_PER_S));
        TRY(db_commit(cx));
    }
    return p.status == CAPTURED ? reply_data(cx, rp, 200, payment_fields, &p)
                                : answer(cx, rp, p.payment_id);
}
