/* reactions.c -- what other services' events and time itself do to an order. */
#include "order/copies.h"
#include "order/counts.h"
#include "order/saga.h"
#include "order/waiting.h"

#include "base/fault.h"
#include "obs/log.h"

/* clang-format off */
struct stock_answer {
    struct uuid order_id, menu_item_id;
    struct str reason;
    struct order order; /* read ahead */
};
static const struct field stock_answer_fields[] = {
    F_UUID(struct stock_answer, order_id, "orderId", REQUIRED, "order"),
    F_UUID(struct stock_answer, menu_item_id, "menuItemId", 0, "what is missing"),
    F_STR(struct stock_answer, reason, "reason", 0, 0, 50, "why not"),
    F_END(struct stock_answer),
};

struct money_moved {
    struct uuid order_id, payment_id;
    int64_t amount_won;
    struct str code;
    struct order order; /* read ahead */
};
static const struct field money_moved_fields[] = {
    F_UUID(struct money_moved, order_id, "orderId", REQUIRED, "order"),
    F_UUID(struct money_moved, payment_id, "paymentId", 0, "payment"),
    F_WON(struct money_moved, amount_won, "amountWon", 0, "how much"),
    F_STR(struct money_moved, code, "code", 0, 0, 100, "the provider's code"),
    F_END(struct money_moved),
};
/* clang-format on */

static enum err step(struct ctx *cx, struct order *o, enum step what, struct str reason)
{
    const struct saga_input in = {.step = what, .reason = reason};

    if (FAULT("order.reaction"))
        return fail(cx, ERR_UNAVAILABLE, "fault: order.reaction");
    return order_step(cx, o, &in);
}

static void stock_ahead(struct ctx *cx, void *data, struct reads *r)
{
    struct stock_answer *in = data;

    order_read_ahead(cx, in->order_id, &in->order, r);
}

static void money_ahead(struct ctx *cx, void *data, struct reads *r)
{
    struct money_moved *in = data;

    order_read_ahead(cx, in->order_id, &in->order, r);
}

/* As it was read ahead, or else as it is. */
static enum err load(struct ctx *cx, struct uuid order_id, const struct order *ahead,
                     struct order *ret)
{
    if (uuid_is_nil(ahead->order_id))
        return order_load(cx, order_id, ret);
    *ret = *ahead;
    return ERR_OK;
}

static enum err on_stock_reserved(struct ctx *cx, const struct event *e, const void *data)
{
    const struct stock_answer *in = data;
    struct order o;

    (void)e;
    TRY(load(cx, in->order_id, &in->order, &o));
    return step(cx, &o, STOCK_RESERVED, STR_NONE);
}

static enum err on_stock_refused(struct ctx *cx, const struct event *e, const void *data)
{
    const struct stock_answer *in = data;
    struct order o;

    (void)e;
    TRY(load(cx, in->order_id, &in->order, &o));
    if (o.status == STOCK_PENDING)
        o.stock_back = true; /* nothing was taken */
    TRY(step(cx, &o, STOCK_REFUSED, in->reason));
    count_refusal(in->reason);
    return ERR_OK;
}

static enum err on_stock_released(struct ctx *cx, const struct event *e, const void *data)
{
    const struct stock_answer *in = data;
    struct order o;

    (void)e;
    TRY(load(cx, in->order_id, &in->order, &o));
    o.stock_back = true;
    return step(cx, &o, STOCK_BACK, STR_NONE);
}

static enum err on_captured(struct ctx *cx, const struct event *e, const void *data)
{
    const struct money_moved *in = data;
    struct order o;

    (void)e;
    TRY(load(cx, in->order_id, &in->order, &o));
    o.captured_won += in->amount_won;
    o.payment_id = in->payment_id;
    TRY(step(cx, &o, CAPTURED, in->code)); /* code: why it is not what was agreed */
    count_money(MONEY_CAPTURED, in->amount_won);
    return ERR_OK;
}

/*
 * Not the one that has the pin. If it never had it, its pin may still be on its way, and nothing
 * would tell again that it is over: noted, so that the order does not take it (pin.c).
 */
static enum err other_payment_over(struct ctx *cx, struct order *o, const struct money_moved *in)
{
    const struct saga_input over = {.step = PAYMENT_OVER, .reason = in->code, .by = in->payment_id};
    bool is_known = false;

    TRY(order_knows_payment(cx, o, in->payment_id, &is_known));
    if (is_known)
        return ERR_OK;
    if (o->status == AWAITING_PAYMENT)
        o->payment_id = in->payment_id;
    return order_step(cx, o, &over);
}

static enum err on_declined(struct ctx *cx, const struct event *e, const void *data)
{
    const struct money_moved *in = data;
    struct order o;

    (void)e;
    count_money(MONEY_DECLINED, 0);
    TRY(load(cx, in->order_id, &in->order, &o));
    if (!uuid_eq(o.payment_id, in->payment_id))
        return other_payment_over(cx, &o, in);
    return step(cx, &o, DECLINED, in->code);
}

static enum err on_refunded(struct ctx *cx, const struct event *e, const void *data)
{
    const struct money_moved *in = data;
    struct order o;

    (void)e;
    TRY(load(cx, in->order_id, &in->order, &o));
    o.refunded_won += in->amount_won;
    TRY(step(cx, &o, MONEY_BACK, STR_NONE));
    count_money(MONEY_REFUNDED, in->amount_won);
    return ERR_OK;
}

/* The payment service gives it back by itself; the order only keeps the books complete. */
static enum err on_late_captured(struct ctx *cx, const struct event *e, const void *data)
{
    const struct money_moved *in = data;
    struct order o;

    (void)e;
    TRY(load(cx, in->order_id, &in->order, &o));
    o.captured_won += in->amount_won;
    o.late_won += in->amount_won;
    TRY(step(cx, &o, LATE_CAPTURED, STR_NONE));
    count_money(MONEY_LATE_CAPTURED, in->amount_won);
    return ERR_OK;
}

/* clang-format off */
const struct consumer order_consumers[] = {
    {"auth.account.withdrawn", on_account_withdrawn, account_gone_order_fields, "forgets the person"},
    {"store.changed", on_store_changed, store_changed_fields, "our copy of a store"},
    {"store.menu.changed", on_menu_changed, menu_changed_fields, "our copy of a menu"},
    {"store.staff.changed", on_staff_changed, staff_changed_fields, "our copy of who works there"},
    {"stock.reserved", on_stock_reserved, stock_answer_fields, "everything is held: it can be paid", .ahead = stock_ahead},
    {"stock.refused", on_stock_refused, stock_answer_fields, "not to be had: rejected", .ahead = stock_ahead},
    {"stock.released", on_stock_released, stock_answer_fields, "nothing is held any more", .ahead = stock_ahead},
    {"payment.captured", on_captured, money_moved_fields, "paid", .ahead = money_ahead},
    {"payment.declined", on_declined, money_moved_fields, "not paid", .ahead = money_ahead},
    {"payment.refunded", on_refunded, money_moved_fields, "money went back", .ahead = money_ahead},
    {"payment.late_captured", on_late_captured, money_moved_fields, "captured for a dead order; goes back", .ahead = money_ahead},
    {0},
};

const struct consumer order_applied[] = {
    {"stock.reserved", waiting_wake, stock_answer_fields, "to who waits for it"},
    {"stock.refused", waiting_wake, stock_answer_fields, "to who waits for it"},
    {"stock.released", waiting_wake, stock_answer_fields, "to who waits for it"},
    {"payment.captured", waiting_wake, money_moved_fields, "to who waits for it"},
    {"payment.declined", waiting_wake, money_moved_fields, "to who waits for it"},
    {"payment.refunded", waiting_wake, money_moved_fields, "to who waits for it"},
    {0},
};

const struct consumer order_watchers[] = {
    {"order.status_changed", show_status, status_changed_fields, "to those who follow it live"},
    {"order.waiting_for_owner", show_reminder, reminder_fields, "rings at the store's board"},
    {"order.overdue", show_reminder, reminder_fields, "rings at the store's board"},
    {0},
};
/* clang-format on */

static enum err when_stock_is_late(struct ctx *cx, struct uuid order_id, int64_t attempt)
{
    struct order o;
    bool waits = false;

    (void)attempt;
    TRY(order_load(cx, order_id, &o));
    if (o.status != STOCK_PENDING)
        return ERR_OK;
    if (ctx_now(cx) >= o.reserve_by)
        return step(cx, &o, STOCK_SILENT, STR("STOCK_UNKNOWN"));
    /* While the bus is away, or far behind, more questions only make it later. */
    TRY(outbox_waits(cx, order_id, &waits));
    if (!waits)
        TRY(order_ask_stock(cx, &o));
    int64_t waited_us = ctx_now(cx) - (o.reserve_by - STOCK_GIVE_UP_US);
    int64_t next = ctx_now(cx) + (waited_us > STOCK_ASK_AGAIN_US ? waited_us : STOCK_ASK_AGAIN_US);
    return timer_set(cx, "order.stock", order_id, next < o.reserve_by ? next : o.reserve_by);
}

static enum err when_hold_is_over(struct ctx *cx, struct uuid order_id, int64_t attempt)
{
    struct order o;

    (void)attempt;
    TRY(order_load(cx, order_id, &o));
    if (o.status != AWAITING_PAYMENT)
        return ERR_OK;
    if (ctx_now(cx) < o.expires_at) /* the clock went back: not yet */
        return timer_set(cx, "order.expire", order_id, o.expires_at);
    return step(cx, &o, HOLD_OVER, STR_NONE);
}

static enum err when_payment_is_unknown(struct ctx *cx, struct uuid order_id, int64_t attempt)
{
    struct order o;

    (void)attempt;
    TRY(order_load(cx, order_id, &o));
    return o.status == CONFIRMING ? step(cx, &o, UNKNOWN_TOO_LONG, STR("PAYMENT_UNKNOWN")) : ERR_OK;
}

/* Somebody should look at it: rings at the store's board and in the log, changes nothing. */
static enum err ring(struct ctx *cx, const struct order *o, const char *event, const char *kind)
{
    log_event(cx, LOG_WARN, "%s: order %s is %s", event, ctx_uuid_text(cx, o->order_id),
              status_names[o->status]);
    return order_remind(cx, o, event, kind);
}

/* Reminded at 3 and 6 minutes; at 10 the money goes back. */
static enum err when_owner_is_silent(struct ctx *cx, struct uuid order_id, int64_t attempt)
{
    struct order o;

    (void)attempt;
    TRY(order_load(cx, order_id, &o));
    if (o.status != PAID)
        return ERR_OK;
    if (ctx_now(cx) >= o.accept_by)
        return step(cx, &o, OWNER_SILENT, STR("OWNER_SILENT"));
    TRY(ring(cx, &o, "order.waiting_for_owner", "waiting"));
    int64_t next = ctx_now(cx) + ACCEPT_ALARM_US;
    if (o.accept_by - next < ACCEPT_ALARM_US / 2) /* 3, 6, then 10: no alarm just before the end */
        next = o.accept_by;
    return timer_set(cx, "order.accept_by", order_id, next);
}

static enum err when_overdue(struct ctx *cx, struct uuid order_id, int64_t attempt)
{
    struct order o;

    (void)attempt;
    TRY(order_load(cx, order_id, &o));
    if (status_is_end((enum status)o.status))
        return ERR_OK;
    TRY(ring(cx, &o, "order.overdue", "overdue"));
    return timer_set(cx, "order.overdue", order_id, ctx_now(cx) + OVERDUE_US);
}

static enum err when_cancel_takes_long(struct ctx *cx, struct uuid order_id, int64_t attempt)
{
    struct order o;
    int64_t since = 0;

    (void)attempt;
    TRY(order_load(cx, order_id, &o));
    if (o.status != CANCELLING)
        return ERR_OK;
    TRY(db_int_of(cx, &since,
                  "select max(at) from order_history where order_id = $1 and status = 'CANCELLING'"
                  " and from_status <> 'CANCELLING'",
                  ARGS(db_uuid(order_id))));
    if (ctx_now(cx) - since >= UNKNOWN_MAX_US)
        return step(cx, &o, UNKNOWN_TOO_LONG, STR("REFUND_UNKNOWN"));
    if (!o.stock_back)
        TRY(order_ask_release(cx, &o));
    TRY(order_ask_refund(cx, &o, STR("ASKED_AGAIN")));
    return timer_set(cx, "order.refund", order_id, ctx_now(cx) + REFUND_LOOK_US);
}

/* clang-format off */
const struct timer_row order_timers[] = {
    {"order.stock", when_stock_is_late, false, "asks the store again after 5, 10, 20 and 40 s, gives up after 60 s"},
    {"order.expire", when_hold_is_over, false, "unpaid for 9 minutes"},
    {"order.unknown", when_payment_is_unknown, false, "no answer of the provider for 24 hours"},
    {"order.accept_by", when_owner_is_silent, false, "reminds the owner at 3 and 6 minutes, gives up at 10"},
    {"order.overdue", when_overdue, false, "rings for an order that stands still for 6 hours"},
    {"order.refund", when_cancel_takes_long, false, "a cancel that is not done in 24 hours goes to a person"},
    {0},
};

const struct job order_jobs[] = {
    {"order.withdrawn", US_PER_HOUR, withdrawn_sweep, "orders that have ended forget who has withdrawn"},
    {0},
};
/* clang-format on */
