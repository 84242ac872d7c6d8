/* payments.c -- the provider's side of a payment: authorised in the window, confirmed by the shop,
 * looked up. */
#include "toss/toss.h"

#include "base/fault.h"
#include "data/json.h"
#include "security/base64.h"

#define MINIMUM_WON 100
#define BASIC_MAX 512
#define LOST_ANSWER_MS 300
#define HANG_MS 10000 /* our own clients give up after 5 and 9 s */

const char *const outcome_names[] = {"approve",       "decline",      "timeout_before",
                                     "timeout_after", "error",        "late",
                                     "hang",          "wrong_amount", NULL};

/* clang-format off */
static const struct field paid_row_fields[] = {
    F_UUID(struct paid, payment_id, "paymentId", 0, ""),
    F_STR(struct paid, payment_key, "paymentKey", 0, 0, 200, ""),
    F_STR(struct paid, order_id, "orderId", 0, 0, 64, ""),
    F_STR(struct paid, order_name, "orderName", 0, 0, 100, ""),
    F_STR(struct paid, status, "status", 0, 0, 30, ""),
    F_STR(struct paid, code, "code", 0, 0, 100, ""),
    F_STR(struct paid, message, "message", 0, 0, 500, ""),
    F_INT(struct paid, amount, "amount", 0, 0, INT64_MAX, ""),
    F_INT(struct paid, balance, "balance", 0, 0, INT64_MAX, ""),
    F_TIME(struct paid, approved_at, "approvedAt", 0, ""),
    F_TIME(struct paid, created_at, "createdAt", 0, ""),
    F_TIME(struct paid, late_at, "lateAt", 0, ""),
    F_ENUM(struct paid, outcome, "outcome", 0, outcome_names, ""),
    F_END(struct paid),
};
static const struct field cancelled_fields[] = {
    F_STR(struct cancelled, transaction_key, "transactionKey", 0, 0, 64, "the cancel"),
    F_STR(struct cancelled, reason, "cancelReason", 0, 0, 200, "why"),
    F_INT(struct cancelled, amount, "cancelAmount", 0, 0, INT64_MAX, "how much"),
    F_TIME(struct cancelled, canceled_at, "canceledAt", 0, "when"),
    F_END(struct cancelled),
};

struct card {
    struct str issuer, company, number;
    int64_t installments;
};
static const struct field card_fields[] = {
    F_STR(struct card, issuer, "issuerCode", 0, 0, 10, "issuer"),
    F_STR(struct card, company, "company", 0, 0, 30, "company"),
    F_STR(struct card, number, "number", 0, 0, 30, "masked"),
    F_INT(struct card, installments, "installmentPlanMonths", 0, 0, 60, "months"),
    F_END(struct card),
};
struct receipt {
    struct str url;
};
static const struct field receipt_fields[] = {
    F_STR(struct receipt, url, "url", 0, 0, 300, "receipt"),
    F_END(struct receipt),
};

struct wire { /* a payment as Toss shows it */
    struct paid p;
    struct str version, method, currency, type, m_id;
    struct card card;
    struct receipt receipt;
};
static const struct field wire_fields[] = {
    F_STR(struct wire, version, "version", 0, 0, 20, "of the API"),
    F_STR(struct wire, p.payment_key, "paymentKey", 0, 0, 200, "payment"),
    F_STR(struct wire, type, "type", 0, 0, 20, "NORMAL"),
    F_STR(struct wire, p.order_id, "orderId", 0, 0, 64, "the shop's order"),
    F_STR(struct wire, p.order_name, "orderName", 0, 0, 100, "name of the order"),
    F_STR(struct wire, m_id, "mId", 0, 0, 20, "shop"),
    F_STR(struct wire, currency, "currency", 0, 0, 3, "KRW"),
    F_STR(struct wire, method, "method", 0, 0, 20, "how it was paid"),
    F_INT(struct wire, p.amount, "totalAmount", 0, 0, INT64_MAX, "amount"),
    F_INT(struct wire, p.balance, "balanceAmount", 0, 0, INT64_MAX, "not cancelled"),
    F_STR(struct wire, p.status, "status", 0, 0, 30, "status"),
    F_TIME(struct wire, p.created_at, "requestedAt", 0, "authorised"),
    F_TIME(struct wire, p.approved_at, "approvedAt", NULLABLE, "captured"),
    F_OBJECT(struct wire, card, "card", 0, card_fields, "card"),
    F_OBJECT(struct wire, receipt, "receipt", 0, receipt_fields, "receipt"),
    F_LIST(struct wire, p.cancels, "cancels", 0, 0, 1000, cancelled_fields, "what went back"),
    F_END(struct wire),
};

struct refusal {
    struct str code, message;
};
static const struct field refusal_fields[] = {
    F_STR(struct refusal, code, "code", 0, 0, 100, "code"),
    F_STR(struct refusal, message, "message", 0, 0, 500, "message"),
    F_END(struct refusal),
};
/* clang-format on */

enum err reply_refusal(struct ctx *cx, struct reply *rp, int status, const char *code,
                       const char *message)
{
    const struct refusal r = {str_from(code), str_from(message)};

    return reply_data(cx, rp, status, refusal_fields, &r);
}

enum err reply_nothing(struct ctx *cx, struct reply *rp)
{
    linger(cx, LOST_ANSWER_MS);
    return reply_bytes(cx, rp, 504, STR("text/plain"), STR("the answer was lost"));
}

enum err reply_hanging(struct ctx *cx, struct reply *rp)
{
    linger(cx, HANG_MS);
    return reply_bytes(cx, rp, 504, STR("text/plain"), STR("nobody waits any more"));
}

enum err reply_paid(struct ctx *cx, struct reply *rp, const struct paid *p)
{
    const struct wire w = {
        .p = *p,
        .version = STR("2022-11-16"),
        .type = STR("NORMAL"),
        .m_id = STR("tosspayments"),
        .currency = STR("KRW"),
        .method = STR("카드"),
        .card = {STR("61"), STR("현대"), STR("43301234****123*"), 0},
        .receipt = {STR("https://dashboard.tosspayments.com/receipt/simulated")}};

    return reply_data(cx, rp, 200, wire_fields, &w);
}

#define PAID_COLUMNS                                                                               \
    "payment_id, payment_key, order_id, order_name, status, code, message, amount, balance,"       \
    " approved_at, created_at, late_at, outcome"

static enum err load_cancels(struct ctx *cx, struct paid *p)
{
    return db_all(
        cx, cancelled_fields, &p->cancels,
        "select transaction_key, reason, amount, canceled_at from cancels where payment_id = $1"
        " order by canceled_at, transaction_key",
        ARGS(db_uuid(p->payment_id)));
}

enum err paid_load(struct ctx *cx, struct str payment_key, struct paid *ret)
{
    struct db_args of = ARGS(db_str(payment_key));
    struct db_read reads[] = {
        {.fields = paid_row_fields,
         .one = ret,
         .sql = "select " PAID_COLUMNS " from payments where payment_key = $1",
         .args = of},
        {.fields = cancelled_fields,
         .all = &ret->cancels,
         .sql = "select c.transaction_key, c.reason, c.amount, c.canceled_at from cancels c"
                " join payments p on p.payment_id = c.payment_id where p.payment_key = $1"
                " order by c.canceled_at, c.transaction_key",
         .args = of},
    };

    *ret = (struct paid){0};
    TRY(db_read(cx, reads, COUNT_OF(reads)));
    return reads[0].rows ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no such payment");
}

#define KEY_MAX 300 /* characters of an Idempotency-Key, as Toss documents it */

enum err check_request(struct ctx *cx, const struct request *rq, struct reply *rp, bool *ret)
{
    struct str wanted = platform_options(svc_platform(cx->svc))->toss_secret_key;
    struct str given = http_field(rq->head, STR("Authorization"));
    char text[BASIC_MAX];
    size_t n = 0;

    *ret = true;
    if (str_starts(given, STR("Basic ")) && given.n - 6 < BASIC_MAX &&
        base64_decode((struct str){given.p + 6, given.n - 6}, text, sizeof text, &n) &&
        n == wanted.n + 1 && text[n - 1] == ':' &&
        str_eq_secret((struct str){text, n - 1}, wanted)) {
        if (http_field(rq->head, STR("Idempotency-Key")).n <= KEY_MAX)
            return ERR_OK;
        *ret = false;
        return reply_refusal(cx, rp, 400, "INVALID_IDEMPOTENCY_KEY",
                             "멱등키는 300자 이하여야 합니다.");
    }
    *ret = false;
    return reply_refusal(cx, rp, 401, "UNAUTHORIZED_KEY",
                         "인증되지 않은 시크릿 키 혹은 클라이언트 키 입니다.");
}

struct str scope_of(struct ctx *cx, const struct request *rq)
{
    struct str key = http_field(rq->head, STR("Idempotency-Key"));

    if (!key.n)
        return STR_NONE;
    return arena_printf(cx->arena, "%s %.*s %.*s", http_method_names[rq->head->method],
                        STR_ARG(rq->head->path), STR_ARG(key));
}

struct kept {
    int64_t status;
    struct str body;
};
static const struct field kept_fields[] = {
    F_INT(struct kept, status, "status", 0, 0, 999, ""),
    F_STR(struct kept, body, "body", 0, 0, 1000000, ""),
    F_END(struct kept),
};

enum err kept_answer(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct str scope = scope_of(cx, rq);
    struct kept k = {0};

    if (!scope.n)
        return ERR_NOT_FOUND;
    TRY(db_one(cx, kept_fields, &k,
               "select status, body from keys where scope = $1 and created_at > $2",
               ARGS(db_str(scope), db_int(ctx_now(cx) - KEY_KEEP_US))));
    return reply_json(cx, rp, (int)k.status, k.body);
}

enum err keep_answer(struct ctx *cx, const struct request *rq, const struct reply *rp)
{
    return keep_under(cx, scope_of(cx, rq), rp);
}

enum err keep_under(struct ctx *cx, struct str scope, const struct reply *rp)
{
    if (!scope.n)
        return ERR_OK;
    return db_exec(
        cx,
        "insert into keys (scope, status, body, created_at) values ($1, $2, $3, $4)"
        " on conflict (scope) do update set status = excluded.status, body = excluded.body,"
        " created_at = excluded.created_at",
        ARGS(db_str(scope), db_int(rp->status), db_str(buf_str(&rp->body)), db_int(ctx_now(cx))));
}

enum err toss_sweep(struct ctx *cx)
{
    TRY(db_begin(cx));
    TRY(db_exec(
        cx,
        "update payments set status = 'EXPIRED' where status = 'IN_PROGRESS' and created_at < $1"
        " and late_at is null",
        ARGS(db_int(ctx_now(cx) - SESSION_US))));
    return db_commit(cx);
}

enum err may_look_up(struct ctx *cx, const struct request *rq, struct reply *rp, bool *ret)
{
    struct faults f;
    bool fails;

    TRY(check_request(cx, rq, rp, ret));
    if (!*ret)
        return ERR_OK;
    TRY(faults_load(cx, &f));
    linger(cx, f.delay_ms);
    TRY(spend_count(cx, "failLookUps", f.fail_look_ups, &fails));
    *ret = !fails && !chance(cx, f.error_rate);
    if (*ret)
        return ERR_OK;
    if (fails && f.fail_as == AS_HANG)
        return reply_hanging(cx, rp);
    if (fails && f.fail_as != AS_ERROR)
        return reply_nothing(cx, rp);
    return reply_refusal(cx, rp, 500, "FAILED_INTERNAL_SYSTEM_PROCESSING",
                         "내부 시스템 처리 작업이 실패했습니다.");
}

enum err toss_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    bool may;
    struct paid p;

    TRY(may_look_up(cx, rq, rp, &may));
    if (!may)
        return ERR_OK;
    enum err e = paid_load(cx, rq->param[0], &p);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && p.late_at))
        return reply_refusal(cx, rp, 404, "NOT_FOUND_PAYMENT", "존재하지 않는 결제 정보 입니다.");
    TRY(e);
    return reply_paid(cx, rp, &p);
}

enum err toss_get_by_order(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    bool may;
    struct paid p = {0};

    TRY(may_look_up(cx, rq, rp, &may));
    if (!may)
        return ERR_OK;
    enum err e = db_one(cx, paid_row_fields, &p,
                        "select " PAID_COLUMNS " from payments where order_id = $1"
                        " order by created_at desc, payment_id desc limit 1",
                        ARGS(db_str(rq->param[0])));
    if (e == ERR_NOT_FOUND || (e == ERR_OK && p.late_at))
        return reply_refusal(cx, rp, 404, "NOT_FOUND_PAYMENT", "존재하지 않는 결제 정보 입니다.");
    TRY(e);
    TRY(load_cancels(cx, &p));
    return reply_paid(cx, rp, &p);
}

struct authorize {
    struct str order_id, order_name;
    int64_t amount;
    int outcome;
};
const struct field authorize_fields[] = {
    F_STR(struct authorize, order_id, "orderId", REQUIRED | ONE_LINE, 6, 64, "the shop's order"),
    F_STR(struct authorize, order_name, "orderName", ONE_LINE, 0, 100, "name of the order"),
    F_INT(struct authorize, amount, "amount", REQUIRED, 1, 1000000000, "won"),
    F_ENUM(struct authorize, outcome, "outcome", 0, outcome_names, "what is to happen to it"),
    F_END(struct authorize),
};
const struct field authorized_fields[] = {
    F_STR(struct paid, payment_key, "paymentKey", REQUIRED, 1, 200, "for the shop to confirm"),
    F_STR(struct paid, order_id, "orderId", REQUIRED, 1, 64, "the shop's order"),
    F_INT(struct paid, amount, "amount", REQUIRED, 1, INT64_MAX, "won"),
    F_END(struct paid),
};

/* What the customer does in the window: nothing is captured by it. */
enum err toss_authorize(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct authorize *in = rq->body;
    struct uuid id = ctx_uuid(cx), order_uuid = UUID_NIL;
    struct paid p = {.payment_id = id, .order_id = in->order_id, .amount = in->amount};

    (void)uuid_parse(in->order_id, &order_uuid);
    p.payment_key = arena_printf(cx->arena, "tviva%s", ctx_uuid_text(cx, id));
    TRY(db_begin(cx));
    TRY(db_exec(
        cx,
        "insert into payments (payment_id, payment_key, order_id, order_uuid, order_name, amount, "
        "balance, status, outcome,"
        " created_at) values ($1, $2, $3, $8, $4, $5, $5, 'IN_PROGRESS', $6, $7)",
        ARGS(db_uuid(id), db_str(p.payment_key), db_str(in->order_id),
             db_str(in->order_name.n ? in->order_name : STR("주문")), db_int(in->amount),
             db_str(str_from(outcome_names[in->outcome])), db_int(ctx_now(cx)),
             db_uuid(order_uuid))));
    TRY(db_commit(cx));
    return reply_data(cx, rp, 200, authorized_fields, &p);
}
