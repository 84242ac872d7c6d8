/* confirm.c -- POST /v1/payments/confirm and .../cancel as Toss does them, and as badly as the
 * faults say. */
#include "toss/toss.h"

#include "base/fault.h"
#include "data/json.h"

#define MINIMUM_WON 100
#define CANCEL_GAP_US                                                                              \
    US_PER_S /* two cancels of a payment within a second: only the first is processed */

struct confirm {
    struct str payment_key, order_id;
    int64_t amount;
};
static const struct field confirm_fields[] = {
    F_STR(struct confirm, payment_key, "paymentKey", REQUIRED, 1, 200, "from the window"),
    F_STR(struct confirm, order_id, "orderId", REQUIRED, 1, 64, "the shop's order"),
    F_INT(struct confirm, amount, "amount", REQUIRED, 0, INT64_MAX, "won"),
    F_END(struct confirm),
};

static enum outcome counted(const struct faults *f)
{
    static const enum outcome outcomes[] = {[AS_ERROR] = SERVER_ERROR,
                                            [AS_TIMEOUT_BEFORE] = TIMEOUT_BEFORE,
                                            [AS_TIMEOUT_AFTER] = TIMEOUT_AFTER,
                                            [AS_HANG] = HANG};

    return outcomes[f->fail_as];
}

/* What is counted first, then this payment's own fate, then what the rates make of one that was to
 * be approved. */
static enum err draw_outcome(struct ctx *cx, const struct paid *p, enum outcome *ret)
{
    struct faults f;
    bool fails;

    *ret = (enum outcome)p->outcome;
    TRY(faults_load(cx, &f));
    linger(cx, f.delay_ms);
    TRY(spend_count(cx, "failConfirms", f.fail_confirms, &fails));
    if (fails)
        *ret = counted(&f);
    if (*ret != APPROVE)
        return ERR_OK;
    if (chance(cx, f.timeout_before_rate))
        *ret = TIMEOUT_BEFORE;
    else if (chance(cx, f.error_rate))
        *ret = SERVER_ERROR;
    else if (chance(cx, f.timeout_after_rate))
        *ret = TIMEOUT_AFTER;
    else if (chance(cx, f.decline_rate))
        *ret = DECLINE;
    else if (chance(cx, f.hang_rate))
        *ret = HANG;
    else if (chance(cx, f.late_capture_rate))
        *ret = LATE;
    else if (chance(cx, f.wrong_capture_rate))
        *ret = WRONG_AMOUNT;
    return ERR_OK;
}

/* Trouble on the way happens once: the same request goes through when it comes again. */
static enum err spend_outcome(struct ctx *cx, const struct paid *p, enum outcome outcome)
{
    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "update payments set outcome = 'approve' where payment_id = $1 and outcome = $2",
                ARGS(db_uuid(p->payment_id), db_str(str_from(outcome_names[outcome])))));
    return db_commit(cx);
}

enum err capture(struct ctx *cx, struct paid *p, int64_t more_won)
{
    p->approved_at = ctx_now(cx);
    TRY(db_exec(cx,
                "update payments set status = 'DONE', approved_at = $2, late_at = null,"
                " amount = amount + $3, balance = balance + $3 where payment_id = $1",
                ARGS(db_uuid(p->payment_id), db_int(p->approved_at), db_int(more_won))));
    p->status = STR("DONE");
    p->amount += more_won;
    p->balance += more_won;
    return webhook_send(cx, p);
}

static enum err decline(struct ctx *cx, struct reply *rp, struct paid *p)
{
    TRY(db_exec(cx,
                "update payments set status = 'ABORTED', code = 'REJECT_CARD_PAYMENT' where "
                "payment_id = $1",
                ARGS(db_uuid(p->payment_id))));
    p->status = STR("ABORTED");
    TRY(webhook_send(cx, p));
    return reply_refusal(cx, rp, 403, "REJECT_CARD_PAYMENT",
                         "한도초과 혹은 잔액부족으로 결제에 실패했습니다.");
}

/* The payment as it is when confirming it makes no sense; ERR_OK with *ret_answered false: go on.
 */
static enum err refuse_early(struct ctx *cx, struct reply *rp, const struct confirm *in,
                             const struct paid *p, bool *ret_answered)
{
    *ret_answered = true;
    if (!str_eq(p->order_id, in->order_id))
        return reply_refusal(cx, rp, 400, "INVALID_REQUEST", "잘못된 요청입니다.");
    if (str_eq(p->status, STR("DONE")) || str_eq(p->status, STR("CANCELED")) ||
        str_eq(p->status, STR("PARTIAL_CANCELED")))
        return reply_refusal(cx, rp, 400, "ALREADY_PROCESSED_PAYMENT", "이미 처리된 결제 입니다.");
    if (p->amount != in->amount)
        return reply_refusal(cx, rp, 400, "INVALID_REQUEST", "잘못된 요청입니다.");
    if (str_eq(p->status, STR("ABORTED")))
        return reply_refusal(cx, rp, 403, "REJECT_CARD_PAYMENT",
                             "한도초과 혹은 잔액부족으로 결제에 실패했습니다.");
    if (str_eq(p->status, STR("EXPIRED")) || ctx_now(cx) - p->created_at > SESSION_US)
        return reply_refusal(cx, rp, 404, "NOT_FOUND_PAYMENT_SESSION",
                             "결제 시간이 만료되어 결제 진행 데이터가 존재하지 않습니다.");
    if (p->amount < MINIMUM_WON)
        return reply_refusal(cx, rp, 400, "BELOW_MINIMUM_AMOUNT",
                             "신용카드는 결제금액이 100원 이상이어야 합니다.");
    *ret_answered = false;
    return ERR_OK;
}

/* One transaction: what the key has kept, or the deed and its answer. */
static enum err process(struct ctx *cx, const struct request *rq, struct reply *rp,
                        const struct confirm *in, enum outcome outcome)
{
    struct paid p;
    bool answered;

    TRY(db_begin(cx));
    enum err kept = kept_answer(cx, rq, rp);
    if (kept != ERR_NOT_FOUND)
        return kept == ERR_OK ? db_commit(cx) : kept;
    TRY(paid_load(cx, in->payment_key, &p));
    if (p.late_at)
        return reply_refusal(cx, rp, 409, "IDEMPOTENT_REQUEST_PROCESSING",
                             "이전 멱등 요청이 처리중입니다.");
    TRY(refuse_early(cx, rp, in, &p, &answered));
    if (!answered && outcome == LATE) {
        TRY(capture_later(cx, rq, &p));
        TRY(db_commit(cx));
        return reply_nothing(cx, rp);
    }
    if (!answered && outcome == DECLINE) {
        TRY(decline(cx, rp, &p));
    } else if (!answered) {
        TRY(capture(cx, &p, outcome == WRONG_AMOUNT));
        TRY(reply_paid(cx, rp, &p));
    }
    TRY(keep_answer(cx, rq, rp));
    if (FAULT("simulator.confirm.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: simulator.confirm.commit");
    TRY(db_commit(cx));
    return db_durable(cx);
}

/* What was captured stands; only the answer may speak of another amount. */
static enum err misstate(struct ctx *cx, struct reply *rp, struct str payment_key)
{
    struct faults f;
    struct paid p;

    TRY(faults_load(cx, &f));
    if (!chance(cx, f.wrong_amount_rate))
        return ERR_OK;
    TRY(paid_load(cx, payment_key, &p));
    p.amount++;
    *rp = (struct reply){0};
    return reply_paid(cx, rp, &p);
}

enum err toss_confirm(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    bool may;
    enum outcome outcome;
    struct confirm in = {0};
    struct paid p;

    TRY(check_request(cx, rq, rp, &may));
    if (!may)
        return ERR_OK;
    if (json_decode_lenient(cx, confirm_fields, &in, rq->raw_body) != ERR_OK)
        return reply_refusal(cx, rp, 400, "INVALID_REQUEST", "잘못된 요청입니다.");
    enum err e = paid_load(cx, in.payment_key, &p);
    if (e == ERR_NOT_FOUND)
        return reply_refusal(cx, rp, 404, "NOT_FOUND_PAYMENT", "존재하지 않는 결제 정보 입니다.");
    TRY(e);
    TRY(draw_outcome(cx, &p, &outcome));
    if (outcome == TIMEOUT_BEFORE || outcome == SERVER_ERROR || outcome == HANG) {
        TRY(spend_outcome(cx, &p, outcome));
        if (outcome == HANG)
            return reply_hanging(cx, rp);
        return outcome == TIMEOUT_BEFORE
                   ? reply_nothing(cx, rp)
                   : reply_refusal(cx, rp, 500, "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING",
                                   "결제가 완료되지 않았어요.");
    }
    TRY(process(cx, rq, rp, &in, outcome));
    if (outcome == APPROVE && rp->status == 200)
        return misstate(cx, rp, in.payment_key);
    if (outcome != TIMEOUT_AFTER)
        return ERR_OK;
    TRY(spend_outcome(cx, &p, outcome));
    *rp = (struct reply){0};
    return reply_nothing(cx, rp);
}

struct cancel {
    struct str reason;
    int64_t amount;
    bool has_amount;
};
static const struct field cancel_fields[] = {
    F_STR(struct cancel, reason, "cancelReason", REQUIRED, 1, 200, "why"),
    F_OPT_INT(struct cancel, amount, "cancelAmount", 0, 1, INT64_MAX,
              "all that is left without it"),
    F_END(struct cancel),
};

static bool just_cancelled(struct ctx *cx, const struct paid *p)
{
    if (p->cancels.n == 0)
        return false;
    return ctx_now(cx) - LIST_AT(struct cancelled, p->cancels, p->cancels.n - 1)->canceled_at <
           CANCEL_GAP_US;
}

static enum err give_back(struct ctx *cx, struct reply *rp, struct paid *p, const struct cancel *in,
                          int64_t amount)
{
    struct str key = arena_printf(cx->arena, "txc%s", ctx_uuid_text(cx, ctx_uuid(cx)));
    bool all = p->balance == amount;

    TRY(db_exec(cx,
                "insert into cancels (transaction_key, payment_id, amount, reason, canceled_at) "
                "values ($1, $2, $3, $4, $5)",
                ARGS(db_str(key), db_uuid(p->payment_id), db_int(amount), db_str(in->reason),
                     db_int(ctx_now(cx)))));
    TRY(db_exec(cx, "update payments set balance = balance - $2, status = $3 where payment_id = $1",
                ARGS(db_uuid(p->payment_id), db_int(amount),
                     db_str(all ? STR("CANCELED") : STR("PARTIAL_CANCELED")))));
    TRY(paid_load(cx, p->payment_key, p));
    TRY(webhook_send(cx, p));
    return reply_paid(cx, rp, p);
}

static enum err try_cancel(struct ctx *cx, const struct request *rq, struct reply *rp,
                           const struct cancel *in)
{
    struct paid p;

    TRY(db_begin(cx));
    enum err e = kept_answer(cx, rq, rp);
    if (e != ERR_NOT_FOUND)
        return e == ERR_OK ? db_commit(cx) : e;
    e = paid_load(cx, rq->param[0], &p);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    int64_t amount = in->has_amount ? in->amount : p.balance;
    if (e == ERR_NOT_FOUND)
        TRY(reply_refusal(cx, rp, 404, "NOT_FOUND_PAYMENT", "존재하지 않는 결제 정보 입니다."));
    else if (str_eq(p.status, STR("CANCELED")))
        TRY(reply_refusal(cx, rp, 400, "ALREADY_CANCELED_PAYMENT", "이미 취소된 결제 입니다."));
    else if (!str_eq(p.status, STR("DONE")) && !str_eq(p.status, STR("PARTIAL_CANCELED")))
        TRY(reply_refusal(cx, rp, 403, "NOT_CANCELABLE_PAYMENT", "취소 할 수 없는 결제 입니다."));
    else if (amount > p.balance)
        TRY(reply_refusal(cx, rp, 403, "NOT_CANCELABLE_AMOUNT", "취소 할 수 없는 금액 입니다."));
    else if (just_cancelled(cx, &p))
        return reply_refusal(cx, rp, 409, "IDEMPOTENT_REQUEST_PROCESSING",
                             "이전 멱등 요청이 처리중입니다.");
    else
        TRY(give_back(cx, rp, &p, in, amount));
    TRY(keep_answer(cx, rq, rp));
    if (FAULT("simulator.cancel.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: simulator.cancel.commit");
    TRY(db_commit(cx));
    return db_durable(cx);
}

enum err toss_cancel(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    bool may, fails;
    struct cancel in = {0};
    struct faults f;

    TRY(check_request(cx, rq, rp, &may));
    if (!may)
        return ERR_OK;
    if (json_decode_lenient(cx, cancel_fields, &in, rq->raw_body) != ERR_OK)
        return reply_refusal(cx, rp, 400, "INVALID_REQUEST", "잘못된 요청입니다.");
    TRY(faults_load(cx, &f));
    linger(cx, f.delay_ms);
    TRY(spend_count(cx, "failCancels", f.fail_cancels, &fails));
    if (fails && f.fail_as == AS_HANG)
        return reply_hanging(cx, rp);
    if ((fails && f.fail_as == AS_TIMEOUT_BEFORE) || chance(cx, f.timeout_before_rate))
        return reply_nothing(cx, rp);
    if ((fails && f.fail_as == AS_ERROR) || chance(cx, f.error_rate))
        return reply_refusal(cx, rp, 500, "FAILED_INTERNAL_SYSTEM_PROCESSING",
                             "내부 시스템 처리 작업이 실패했습니다.");
    TRY(try_cancel(cx, rq, rp, &in));
    if (!(fails && f.fail_as == AS_TIMEOUT_AFTER) && !chance(cx, f.timeout_after_rate))
        return ERR_OK;
    *rp = (struct reply){0};
    return reply_nothing(cx, rp);
}
