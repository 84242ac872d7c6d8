/* toss.c -- calls to Toss Payments, and what their answers mean. */
#include "payment/payment.h"

#include "base/fault.h"
#include "data/json.h"
#include "obs/trace.h"
#include "security/base64.h"

/*
 * DESIGN
 *
 * An answer is one of three things: money moved, money surely did not move, or we do not know. The
 * last is the default: a code has to be on the list of final refusals to count as a decline,
 * because taking an unknown for a decline is how paid orders get lost.
 */

#define CONFIRM_TIMEOUT_MS 9000
#define LOOK_TIMEOUT_MS 5000
#define LIST_TIMEOUT_MS 9000
#define ANSWER_MAX (1024 * 1024)

#define T struct toss_payment
struct toss_card {
    struct str company, number;
};
struct toss_receipt {
    struct str url;
};
struct toss_body { /* as on the wire */
    struct toss_payment p;
    struct toss_card *card;
    struct toss_receipt *receipt;
};
static const struct field card_fields[] = {
    F_STR(struct toss_card, company, "company", NULLABLE, 0, 100, "card company"),
    F_STR(struct toss_card, number, "number", NULLABLE, 0, 30, "masked"),
    F_END(struct toss_card),
};
static const struct field receipt_fields[] = {
    F_STR(struct toss_receipt, url, "url", NULLABLE, 0, 500, "receipt"),
    F_END(struct toss_receipt),
};
static const struct field cancel_fields[] = {
    F_STR(struct toss_cancel, transaction_key, "transactionKey", NULLABLE, 0, 100, "the cancel"),
    F_STR(struct toss_cancel, reason, "cancelReason", NULLABLE, 0, 300, "why"),
    F_INT(struct toss_cancel, amount_won, "cancelAmount", 0, 0, INT64_MAX, "how much"),
    F_TIME(struct toss_cancel, canceled_at, "canceledAt", NULLABLE, "when"),
    F_END(struct toss_cancel),
};
static const struct field toss_fields[] = {
    F_STR(struct toss_body, p.payment_key, "paymentKey", NULLABLE, 0, 200, "payment"),
    F_STR(struct toss_body, p.order_id, "orderId", NULLABLE, 0, 64, "order"),
    F_STR(struct toss_body, p.status, "status", NULLABLE, 0, 50, "status"),
    F_STR(struct toss_body, p.method, "method", NULLABLE, 0, 50, "how it was paid"),
    F_INT(struct toss_body, p.total_won, "totalAmount", 0, 0, INT64_MAX, "amount"),
    F_INT(struct toss_body, p.balance_won, "balanceAmount", 0, 0, INT64_MAX, "not cancelled"),
    F_TIME(struct toss_body, p.approved_at, "approvedAt", NULLABLE, "when"),
    F_STR(struct toss_body, p.code, "code", NULLABLE, 0, 100, "of an error"),
    F_STR(struct toss_body, p.message, "message", NULLABLE, 0, 500, "of an error"),
    F_LIST(struct toss_body, p.cancels, "cancels", NULLABLE, 0, 1000, cancel_fields,
           "what went back"),
    F_OBJECT_PTR(struct toss_body, card, "card", NULLABLE, card_fields, "card"),
    F_OBJECT_PTR(struct toss_body, receipt, "receipt", NULLABLE, receipt_fields, "receipt"),
    F_END(struct toss_body),
};

enum err provider_decode(struct ctx *cx, struct str body, struct toss_payment *ret)
{
    struct toss_body wire = {0};

    TRY(json_decode_lenient(cx, toss_fields, &wire, body));
    if (wire.card) {
        wire.p.card_company = wire.card->company;
        wire.p.card_number = wire.card->number;
    }
    if (wire.receipt)
        wire.p.receipt_url = wire.receipt->url;
    *ret = wire.p;
    return ERR_OK;
}

/*
 * Refusals after which no money can have moved (docs.tosspayments.com, error codes of confirm).
 * That our own key is refused is not among them: it was right, perhaps, when the card was charged.
 */
static const char *const final_codes[] = {
    "INVALID_CARD_COMPANY",
    "INVALID_REJECT_CARD",
    "REJECT_CARD_PAYMENT",
    "REJECT_CARD_COMPANY",
    "REJECT_ACCOUNT_PAYMENT",
    "REJECT_TOSSPAY_INVALID_ACCOUNT",
    "EXCEED_MAX_DAILY_PAYMENT_COUNT",
    "EXCEED_MAX_PAYMENT_AMOUNT",
    "EXCEED_MAX_AMOUNT",
    "INVALID_STOPPED_CARD",
    "INVALID_CARD_EXPIRATION",
    "INVALID_CARD_LOST_OR_STOLEN",
    "INVALID_PASSWORD",
    "NOT_AVAILABLE_PAYMENT",
    "NOT_FOUND_PAYMENT",
    "NOT_FOUND_PAYMENT_SESSION",
    "INVALID_REQUEST",
    "NOT_ALLOWED_POINT_USE",
    "BELOW_MINIMUM_AMOUNT",
    "RESTRICTED_TRANSFER_ACCOUNT",
    "NOT_AVAILABLE_BANK",
    "EXCEED_MAX_CARD_INSTALLMENT_PLAN",
    "UNAPPROVED_ORDER_ID",
    "NOT_REGISTERED_BUSINESS",
};

static bool is_final(struct str code)
{
    for (size_t i = 0; i < COUNT_OF(final_codes); i++)
        if (str_eq(code, str_from(final_codes[i])))
            return true;
    return false;
}

static bool is_one_of(struct str s, const char *const *names)
{
    for (; *names; names++)
        if (str_eq(s, str_from(*names)))
            return true;
    return false;
}

bool provider_gave_back(struct str status)
{
    return str_eq(status, STR("CANCELED")) || str_eq(status, STR("PARTIAL_CANCELED"));
}

enum answer provider_meaning(const struct payment *p, int http_status, const struct toss_payment *a,
                             const char *order_id_text)
{
    static const char *const moved[] = {"DONE", "CANCELED", "PARTIAL_CANCELED", NULL};
    static const char *const open[] = {"READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT", NULL};
    static const char *const dead[] = {"ABORTED", "EXPIRED", NULL};

    if (MUTANT(MUTANT_UNKNOWN_DECLINED) && (http_status < 200 || http_status >= 500))
        return ANSWER_DECLINED;
    if (http_status >= 200 && http_status < 300) {
        if (is_one_of(a->status, moved)) {
            bool ours = str_eq(a->payment_key, p->payment_key) && a->total_won == p->amount_won &&
                        str_eq_nocase(a->order_id, str_from(order_id_text));
            return ours ? ANSWER_CAPTURED : ANSWER_WRONG;
        }
        if (is_one_of(a->status, open))
            return ANSWER_OPEN;
        return is_one_of(a->status, dead) ? ANSWER_DECLINED : ANSWER_UNKNOWN;
    }
    /* 5xx, 429, 401, 408, 409 and every code that is not on the list: we do not know. */
    bool may_be_final = http_status == 400 || http_status == 403 || http_status == 404;
    return may_be_final && is_final(a->code) ? ANSWER_DECLINED : ANSWER_UNKNOWN;
}

struct request_parts {
    enum http_method method;
    struct str path, body, key; /* key: Idempotency-Key or none */
    int timeout_ms;
};

/* 0: no answer. */
static int ask(struct ctx *cx, const struct request_parts *r, struct str *ret_body)
{
    const struct platform_options *o = platform_options(svc_platform(cx->svc));
    char traceparent[TRACEPARENT_SIZE];
    struct http_result answer;

    struct str secret = arena_printf(cx->arena, "%.*s:", STR_ARG(o->toss_secret_key));
    char *basic = arena_alloc(cx->arena, BASE64_LENGTH(secret.n) + 1);
    basic[base64_encode(secret.p, secret.n, basic)] = 0;
    const char *headers[] = {
        arena_printf(cx->arena, "Authorization: Basic %s", basic).p,
        arena_printf(cx->arena, "traceparent: %.*s", STR_ARG(trace_format(&cx->trace, traceparent)))
            .p,
        r->key.p ? arena_printf(cx->arena, "Idempotency-Key: %.*s", STR_ARG(r->key)).p : NULL,
        NULL};
    const struct http_call c = {
        .method = r->method,
        .url = arena_printf(cx->arena, "%.*s%.*s", STR_ARG(o->toss_url), STR_ARG(r->path)).p,
        .body = r->body,
        .content_type = r->body.p ? STR("application/json") : STR_NONE,
        .headers = headers,
        .timeout_ms = r->timeout_ms,
        .answer_max = ANSWER_MAX};
    if (FAULT("toss.before_call") || platform_outside(cx, &c, &answer) != ERR_OK ||
        FAULT("toss.after_call"))
        return 0;
    *ret_body = answer.body;
    return answer.status;
}

/* 0: no answer, or one that is not theirs. */
static int call(struct ctx *cx, const struct request_parts *r, struct toss_payment *ret)
{
    struct str body;

    *ret = (struct toss_payment){0};
    int status = ask(cx, r, &body);
    return status && provider_decode(cx, body, ret) == ERR_OK ? status : 0;
}

static struct str escaped(struct ctx *cx, struct str s)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, 4096);
    json_string(&b, s);
    return buf_str(&b);
}

enum answer provider_confirm(struct ctx *cx, const struct payment *p, struct toss_payment *ret)
{
    const char *order_id = ctx_uuid_text(cx, p->order_id);
    struct str key = escaped(cx, p->payment_key);
    const struct request_parts r = {
        .method = HTTP_POST,
        .path = STR("/v1/payments/confirm"),
        .body = arena_printf(cx->arena,
                             "{\"paymentKey\":%.*s,\"orderId\":\"%s\",\"amount\":%" PRId64 "}",
                             STR_ARG(key), order_id, p->amount_won),
        .key = arena_printf(cx->arena, "confirm:%s", ctx_uuid_text(cx, p->payment_id)),
        .timeout_ms = CONFIRM_TIMEOUT_MS};

    int status = call(cx, &r, ret);
    return provider_meaning(p, status, ret, order_id);
}

enum answer provider_look_up(struct ctx *cx, const struct payment *p, struct toss_payment *ret)
{
    const struct request_parts r = {
        .method = HTTP_GET,
        .path = arena_printf(cx->arena, "/v1/payments/%.*s", STR_ARG(p->payment_key)),
        .timeout_ms = LOOK_TIMEOUT_MS};

    int status = call(cx, &r, ret);
    return provider_meaning(p, status, ret, ctx_uuid_text(cx, p->order_id));
}

void provider_cancel(struct ctx *cx, const struct payment *p, const struct refund *refund,
                     int *ret_status, struct toss_payment *ret)
{
    struct str reason = escaped(cx, refund->reason);
    struct request_parts r = {
        .method = HTTP_POST,
        .path = arena_printf(cx->arena, "/v1/payments/%.*s/cancel", STR_ARG(p->payment_key)),
        .body = arena_printf(cx->arena, "{\"cancelReason\":%.*s,\"cancelAmount\":%" PRId64 "}",
                             STR_ARG(reason), refund->amount_won),
        .key = arena_printf(cx->arena, "refund:%s", ctx_uuid_text(cx, refund->refund_id)),
        .timeout_ms = CONFIRM_TIMEOUT_MS};

    if (MUTANT(MUTANT_REFUND_KEY))
        r.key = str_from(ctx_uuid_text(cx, ctx_uuid(cx)));
    *ret_status = call(cx, &r, ret);
}

struct listed {
    struct list items;
};
static const struct field transaction_fields[] = {
    F_STR(struct toss_transaction, transaction_key, "transactionKey", NULLABLE, 0, 100, "this one"),
    F_STR(struct toss_transaction, payment_key, "paymentKey", NULLABLE, 0, 200, "payment"),
    F_STR(struct toss_transaction, order_id, "orderId", NULLABLE, 0, 64, "order"),
    F_STR(struct toss_transaction, status, "status", NULLABLE, 0, 50, "DONE, CANCELED, ..."),
    F_INT(struct toss_transaction, amount_won, "amount", 0, INT64_MIN, INT64_MAX, "won"),
    F_END(struct toss_transaction),
};
static const struct field listed_fields[] = {
    F_LIST(struct listed, items, "items", REQUIRED, 0, 10000, transaction_fields, "a page"),
    F_END(struct listed),
};

/* As they want it: Seoul's time without an offset. */
static struct str seoul_text(struct ctx *cx, int64_t us)
{
    struct seoul_time t = seoul_time(us);

    return arena_printf(cx->arena, "%04d-%02d-%02dT%02d:%02d:%02d", t.year, t.month, t.day,
                        t.minute_of_day / 60, t.minute_of_day % 60, (int)(us / US_PER_S % 60));
}

enum err provider_transactions(struct ctx *cx, int64_t from, int64_t to, struct str after,
                               int64_t limit, struct list *ret)
{
    struct str from_text = seoul_text(cx, from), to_text = seoul_text(cx, to - US_PER_S);
    const struct request_parts r = {
        .method = HTTP_GET,
        .path = arena_printf(cx->arena,
                             "/v1/transactions?startDate=%.*s&endDate=%.*s&limit=%" PRId64 "%s%.*s",
                             STR_ARG(from_text), STR_ARG(to_text), limit,
                             after.n ? "&startingAfter=" : "", STR_ARG(after)),
        .timeout_ms = LIST_TIMEOUT_MS};
    struct listed page = {{NULL, 0}};
    struct str body;

    int status = ask(cx, &r, &body);
    if (status != 200)
        return fail(cx, ERR_PROVIDER, "the provider's list of transactions: status %d", status);
    body = arena_printf(cx->arena, "{\"items\":%.*s}", STR_ARG(body));
    if (json_decode_lenient(cx, listed_fields, &page, body) != ERR_OK) {
        const struct field_error *wrong = cx->story.field_errors;
        return fail(cx, ERR_PROVIDER, "the provider's list of transactions: %.*s %.*s",
                    STR_ARG(wrong ? wrong->field : STR("is no")),
                    STR_ARG(wrong ? wrong->message : STR("JSON")));
    }
    *ret = page.items;
    return ERR_OK;
}
