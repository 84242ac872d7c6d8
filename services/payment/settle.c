/* settle.c -- the ends of a payment, each one transaction: state, ledger, event, timer. */
#include "payment/payment.h"

#include "base/fault.h"
#include "obs/log.h"

struct money_moved { /* payment.captured, payment.declined, payment.refunded, payment.late_captured
                      */
    struct uuid order_id, payment_id, refund_id;
    int64_t amount_won;
    struct str code;
};
static const struct field money_moved_fields[] = {
    F_UUID(struct money_moved, order_id, "orderId", 0, "order"),
    F_UUID(struct money_moved, payment_id, "paymentId", 0, "payment"),
    F_UUID(struct money_moved, refund_id, "refundId", 0, "refund"),
    F_WON(struct money_moved, amount_won, "amountWon", 0, "how much"),
    F_STR(struct money_moved, code, "code", 0, 0, 100, "the provider's code"),
    F_END(struct money_moved),
};

/* Both sides of it in one statement. */
enum err ledger_write(struct ctx *cx, struct uuid transaction_id, struct uuid order_id,
                      int64_t amount_won)
{
    return db_exec(cx,
                   "insert into ledger (entry_id, transaction_id, account, amount_won, order_id,"
                   " at) values ($1, $3, 'provider', $4, $6, $7), ($2, $3, 'customer', $5, $6, $7)",
                   ARGS(db_uuid(ctx_uuid(cx)), db_uuid(ctx_uuid(cx)), db_uuid(transaction_id),
                        db_int(amount_won), db_int(-amount_won), db_uuid(order_id),
                        db_int(ctx_now(cx))));
}

/* Toss shows "4330123412341234" as "43301234****123*"; we keep the last four. */
static struct str last_four(struct str number)
{
    return number.n >= 4 ? (struct str){number.p + number.n - 4, 4} : number;
}

static struct str or_none(struct str s)
{
    return s.n ? s : STR_NONE;
}

static struct db_value or_null(struct str s)
{
    return db_str(or_none(s));
}

/* With the amount that was captured, which is the one agreed, or another. ret_changed NULL: it is
 * to change the one row, see db_expect. */
static enum err write_captured(struct ctx *cx, const struct payment *p,
                               const struct toss_payment *a, bool is_late, int64_t *ret_changed)
{
    static const char sql[] =
        "update payments set status = 'CAPTURED', is_late = $2, method = $3, card_company = $4,"
        " card_last4 = $5, receipt_url = $6, approved_at = $7, changed_at = $8,"
        " asked_won = case when amount_won <> $10 then amount_won end, amount_won = $10"
        " where payment_id = $1 and status = $9";
    struct db_args args =
        ARGS(db_uuid(p->payment_id), db_bool(is_late), or_null(a->method), or_null(a->card_company),
             or_null(last_four(a->card_number)), or_null(a->receipt_url),
             db_opt_int(a->approved_at != 0, a->approved_at), db_int(ctx_now(cx)),
             db_str(str_from(payment_status_names[is_late ? FAILED : CONFIRMING])),
             db_int(a->total_won));

    return ret_changed ? db_change(cx, ret_changed, sql, args) : db_expect(cx, 1, sql, args);
}

/* surely: it is still CONFIRMING, as far as anybody knows; otherwise ERR_CONFLICT. */
static enum err record_captured(struct ctx *cx, const struct payment *p,
                                const struct toss_payment *answer, bool surely)
{
    const struct money_moved moved = {
        .order_id = p->order_id, .payment_id = p->payment_id, .amount_won = p->amount_won};
    int64_t changed = 1;

    TRY(db_begin(cx));
    TRY(write_captured(cx, p, answer, false, surely ? NULL : &changed));
    if (changed == 1) {
        TRY(ledger_write(cx, p->payment_id, p->order_id, p->amount_won));
        if (MUTANT(MUTANT_EVENT_APART)) {
            TRY(db_commit(cx));
            if (FAULT("payment.captured.apart"))
                return fail(cx, ERR_UNAVAILABLE, "fault: payment.captured.apart");
            TRY(db_begin(cx));
        }
        TRY(outbox_append(cx, "payment.captured", p->order_id, money_moved_fields, &moved));
    }
    /* Who else pursued it was first: should that one have given it up, this capture is a late one.
     * Or some of it was given back already. The next look finds out. */
    TRY(changed == 1 && answer->cancels.n == 0
            ? timer_clear(cx, "payment.resolve", p->payment_id)
            : timer_set(cx, "payment.resolve", p->payment_id, ctx_now(cx)));
    if (FAULT("payment.captured.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.captured.commit");
    return db_commit(cx);
}

/* Nearly always it is still open, and nothing has to wait for the answer to that. */
enum err settle_captured(struct ctx *cx, struct payment *p, const struct toss_payment *a)
{
    enum err e = record_captured(cx, p, a, true);

    if (e == ERR_CONFLICT) { /* somebody else ended it, or was about to */
        db_rollback(cx);
        return record_captured(cx, p, a, false);
    }
    TRY(e);
    p->status = CAPTURED;
    p->method = or_none(a->method);
    p->card_company = or_none(a->card_company);
    p->card_last4 = or_none(last_four(a->card_number));
    p->receipt_url = or_none(a->receipt_url);
    p->approved_at = a->approved_at;
    return ERR_OK;
}

enum err settle_failed(struct ctx *cx, const struct payment *p, struct str code, struct str message)
{
    const struct money_moved moved = {
        .order_id = p->order_id, .payment_id = p->payment_id, .code = code};
    int64_t changed = 0;

    TRY(db_begin(cx));
    TRY(db_change(
        cx, &changed,
        "update payments set status = 'FAILED', provider_code = $2, provider_message = $3, "
        "changed_at = $4"
        " where payment_id = $1 and status = 'CONFIRMING'",
        ARGS(db_uuid(p->payment_id), or_null(code), or_null(message), db_int(ctx_now(cx)))));
    if (changed == 1)
        TRY(outbox_append(cx, "payment.declined", p->order_id, money_moved_fields, &moved));
    TRY(timer_clear(cx, "payment.resolve", p->payment_id));
    if (FAULT("payment.failed.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.failed.commit");
    return db_commit(cx);
}

enum err settle_late(struct ctx *cx, const struct payment *p, const struct toss_payment *answer)
{
    const struct money_moved moved = {
        .order_id = p->order_id, .payment_id = p->payment_id, .amount_won = answer->total_won};
    struct str cause = arena_printf(cx->arena, "late:%s", ctx_uuid_text(cx, p->payment_id));
    struct payment captured = *p;
    struct uuid refund_id;
    int64_t changed = 0;

    log_event(cx, LOG_ERROR, "payment %s was captured after it had failed; it goes back",
              ctx_uuid_text(cx, p->payment_id));
    captured.status = CAPTURED;
    captured.amount_won = answer->total_won;
    TRY(db_begin(cx));
    TRY(write_captured(cx, p, answer, true, &changed));
    if (changed == 1) {
        TRY(ledger_write(cx, p->payment_id, p->order_id, moved.amount_won));
        TRY(outbox_append(cx, "payment.late_captured", p->order_id, money_moved_fields, &moved));
        TRY(refund_request(cx, &captured, moved.amount_won, STR("captured too late"),
                           PAYER_PLATFORM, cause, &refund_id));
    }
    TRY(timer_clear(cx, "payment.resolve", p->payment_id));
    if (FAULT("payment.late.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.late.commit");
    return db_commit(cx);
}

/* The books say what happened, so that they stay the provider's: captured, then given back. */
static enum err give_wrong_back(struct ctx *cx, const struct payment *p,
                                const struct toss_payment *answer, int64_t *ret_changed)
{
    struct str cause = arena_printf(cx->arena, "wrong:%s", ctx_uuid_text(cx, p->payment_id));
    struct payment captured = *p;
    struct uuid refund_id;

    captured.status = CAPTURED;
    captured.amount_won = answer->total_won;
    TRY(write_captured(cx, p, answer, false, ret_changed));
    if (*ret_changed == 0)
        return ERR_OK;
    TRY(ledger_write(cx, p->payment_id, p->order_id, answer->total_won));
    return refund_request(cx, &captured, answer->total_won, STR("captured another amount"),
                          PAYER_PLATFORM, cause, &refund_id);
}

enum err settle_wrong(struct ctx *cx, const struct payment *p, const struct toss_payment *answer,
                      int64_t captured_won)
{
    /* The order gets less or more than its total, so it goes to a person, who is told why. */
    const struct money_moved moved = {.order_id = p->order_id,
                                      .payment_id = p->payment_id,
                                      .amount_won = captured_won,
                                      .code = captured_won ? STR("CAPTURED_ANOTHER_AMOUNT")
                                                           : STR("CAPTURED_FOR_ANOTHER_ORDER")};
    int64_t changed = 0;

    TRY(db_begin(cx));
    if (captured_won)
        TRY(give_wrong_back(cx, p, answer, &changed));
    else
        TRY(db_change(cx, &changed,
                      "update payments set status = 'FAILED' where payment_id = $1 and status ="
                      " 'CONFIRMING'",
                      ARGS(db_uuid(p->payment_id))));
    if (changed == 1) {
        TRY(db_exec(cx,
                    "update payments set frozen_at = $2, changed_at = $2, provider_code = $3"
                    " where payment_id = $1",
                    ARGS(db_uuid(p->payment_id), db_int(ctx_now(cx)), db_str(moved.code))));
        TRY(outbox_append(cx, "payment.captured", p->order_id, money_moved_fields, &moved));
    }
    TRY(timer_clear(cx, "payment.resolve", p->payment_id));
    if (FAULT("payment.wrong.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: payment.wrong.commit");
    TRY(db_commit(cx));
    if (changed == 1)
        log_event(cx, LOG_ERROR,
                  "payment %s is frozen: %.*s, %" PRId64 " won agreed, %" PRId64 " captured",
                  ctx_uuid_text(cx, p->payment_id), STR_ARG(moved.code), p->amount_won,
                  answer->total_won);
    return ERR_OK;
}
