/* saga.c -- the life of an order as rows, and the one function that takes a step of it. */
#include "order/saga.h"
#include "order/cart.h"
#include "order/counts.h"

#include <stdlib.h>

#include "base/fault.h"

/*
 * DESIGN
 *
 * order_saga decides, order_step applies: both the row of the order and everything that follows
 * from the step (history, events, timers) are one transaction of the caller. Each live state has
 * exactly one timer, set on entering and cleared on leaving, so that an order that is not at its
 * end always has something due.
 *
 * The pin (CONFIRMING) is what keeps expiry and cancel away from an order whose money may be
 * moving: both have no row there that changes the state. A cancel is remembered and taken as soon
 * as the answer is in.
 */

const char *const status_names[] = {
    "STOCK_PENDING", "AWAITING_PAYMENT", "CONFIRMING",    "PAID",       "ACCEPTED",  "COOKING",
    "READY",         "DELIVERING",       "COMPLETED",     "CANCELLING", "CANCELLED", "EXPIRED",
    "REJECTED",      "PAYMENT_FAILED",   "MANUAL_REVIEW", NULL,
};

const char *const step_names[] = {
    "PLACED",           "STOCK_RESERVED",  "STOCK_REFUSED",
    "STOCK_SILENT",     "CANCEL_ASKED",    "HOLD_OVER",
    "PINNED",           "CAPTURED",        "DECLINED",
    "UNKNOWN_TOO_LONG", "OWNER_ACCEPTED",  "OWNER_REFUSED",
    "OWNER_SILENT",     "OWNER_DELAYED",   "OWNER_COOKS",
    "OWNER_READY",      "OWNER_DELIVERS",  "OWNER_COMPLETES",
    "OWNER_CANCELLED",  "MONEY_BACK",      "STOCK_BACK",
    "LATE_CAPTURED",    "PAYMENT_OVER",    "RESOLVED_PAID",
    "RESOLVED_CANCEL",  "RESOLVED_FAILED", NULL,
};

enum command {
    NOTE = 1,        /* only the history */
    ASK_STOCK,       /* order.stock_requested */
    GIVE_STOCK_BACK, /* order.stock_release_requested */
    TELL_PAID,       /* order.paid: what was held is sold */
    REFUND_ALL,      /* order.refund_requested, when there is something to give back */
    EMPTY_CART,
    REMEMBER_CANCEL,
    SET_ETA,
};

#define SYSTEM SERVICE
#define SHOP (OWNER | STAFF)
#define BOTH_BACK (ALL_MONEY_BACK | ALL_STOCK_BACK)
#define ANY SAGA_ANY_STATE
#define STAYS SAGA_STAYS

/* clang-format off */
const struct saga_row order_saga[] = {
    /* state          what happened     facts there, not there     then            and                           by */
    {STOCK_PENDING,    PLACED,          0, 0,                       STAYS,          {ASK_STOCK},                  CUSTOMER},
    {STOCK_PENDING,    STOCK_RESERVED,  0, 0,                       AWAITING_PAYMENT, {0},                        SYSTEM},
    {STOCK_PENDING,    STOCK_REFUSED,   0, 0,                       REJECTED,       {0},                          SYSTEM},
    {STOCK_PENDING,    STOCK_SILENT,    0, 0,                       REJECTED,       {GIVE_STOCK_BACK},            SYSTEM},
    {STOCK_PENDING,    CANCEL_ASKED,    0, CANCEL_REQUESTED,        STAYS,          {REMEMBER_CANCEL},            CUSTOMER | ADMIN},
    {STOCK_PENDING,    CANCEL_ASKED,    CANCEL_REQUESTED, 0,        STAYS,          {0},                          CUSTOMER | ADMIN},

    {AWAITING_PAYMENT, HOLD_OVER,       0, TIME_LEFT,               EXPIRED,        {GIVE_STOCK_BACK},            SYSTEM},
    {AWAITING_PAYMENT, CANCEL_ASKED,    0, 0,                       CANCELLED,      {GIVE_STOCK_BACK},            CUSTOMER | ADMIN | SYSTEM},
    {AWAITING_PAYMENT, PINNED,          TIME_LEFT, CANCEL_REQUESTED, CONFIRMING,    {0},                          SYSTEM},
    {AWAITING_PAYMENT, CAPTURED,        0, 0,                       STAYS,          {REFUND_ALL},                 SYSTEM},
    {AWAITING_PAYMENT, PAYMENT_OVER,    0, 0,                       STAYS,          {NOTE},                       SYSTEM},

    {CONFIRMING,       PINNED,          TIME_LEFT, CANCEL_REQUESTED, STAYS,         {NOTE},                       SYSTEM},
    {CONFIRMING,       CANCEL_ASKED,    0, CANCEL_REQUESTED,        STAYS,          {REMEMBER_CANCEL},            CUSTOMER | ADMIN},
    {CONFIRMING,       CANCEL_ASKED,    CANCEL_REQUESTED, 0,        STAYS,          {0},                          CUSTOMER | ADMIN},
    {CONFIRMING,       CAPTURED,        FULLY_CAPTURED, 0,          PAID,           {TELL_PAID, EMPTY_CART},      SYSTEM},
    {CONFIRMING,       CAPTURED,        0, FULLY_CAPTURED,          MANUAL_REVIEW,  {0},                          SYSTEM},
    {CONFIRMING,       DECLINED,        TIME_LEFT, CANCEL_REQUESTED, AWAITING_PAYMENT, {0},                       SYSTEM},
    {CONFIRMING,       DECLINED,        0, 0,                       PAYMENT_FAILED, {GIVE_STOCK_BACK},            SYSTEM},
    {CONFIRMING,       UNKNOWN_TOO_LONG, 0, 0,                      MANUAL_REVIEW,  {0},                          SYSTEM},
    {CONFIRMING,       PAYMENT_OVER,    0, 0,                       STAYS,          {NOTE},                       SYSTEM},

    {PAID,             OWNER_ACCEPTED,  0, 0,                       ACCEPTED,       {SET_ETA},                    SHOP},
    {PAID,             OWNER_REFUSED,   0, 0,                       CANCELLING,     {REFUND_ALL, GIVE_STOCK_BACK}, SHOP},
    {PAID,             OWNER_SILENT,    0, 0,                       CANCELLING,     {REFUND_ALL, GIVE_STOCK_BACK}, SYSTEM},
    {PAID,             CANCEL_ASKED,    0, 0,                       CANCELLING,     {REFUND_ALL, GIVE_STOCK_BACK}, CUSTOMER | ADMIN | SYSTEM},
    /* Everything was given back, by an operator or in the provider's dashboard: nobody cooks for nothing. */
    {PAID,             MONEY_BACK,      ALL_MONEY_BACK, 0,          CANCELLING,     {GIVE_STOCK_BACK},            SYSTEM},
    {ACCEPTED,         MONEY_BACK,      ALL_MONEY_BACK, 0,          CANCELLING,     {GIVE_STOCK_BACK},            SYSTEM},
    {ACCEPTED,         OWNER_CANCELLED, 0, 0,                       CANCELLING,     {REFUND_ALL, GIVE_STOCK_BACK}, SHOP},
    {ACCEPTED,         OWNER_DELAYED,   0, 0,                       STAYS,          {SET_ETA},                    SHOP},
    {ACCEPTED,         OWNER_COOKS,     0, 0,                       COOKING,        {0},                          SHOP},
    {COOKING,          OWNER_DELAYED,   0, 0,                       STAYS,          {SET_ETA},                    SHOP},
    {COOKING,          OWNER_READY,     0, 0,                       READY,          {0},                          SHOP},
    {READY,            OWNER_DELIVERS,  0, 0,                       DELIVERING,     {0},                          SHOP},
    {DELIVERING,       OWNER_COMPLETES, 0, 0,                       COMPLETED,      {0},                          SHOP},

    {CANCELLING,       MONEY_BACK,      BOTH_BACK, 0,               CANCELLED,      {0},                          SYSTEM},
    {CANCELLING,       STOCK_BACK,      BOTH_BACK, 0,               CANCELLED,      {0},                          SYSTEM},
    {CANCELLING,       CANCEL_ASKED,    0, 0,                       STAYS,          {0},                          CUSTOMER | ADMIN},
    {CANCELLING,       CAPTURED,        0, 0,                       STAYS,          {REFUND_ALL},                 SYSTEM},
    {CANCELLING,       UNKNOWN_TOO_LONG, 0, 0,                      MANUAL_REVIEW,  {0},                          SYSTEM},

    /* A dead order never comes back: what is captured for it goes back. */
    {CANCELLED,        CAPTURED,        0, 0,                       STAYS,          {REFUND_ALL},                 SYSTEM},
    {EXPIRED,          CAPTURED,        0, 0,                       STAYS,          {REFUND_ALL},                 SYSTEM},
    {REJECTED,         CAPTURED,        0, 0,                       STAYS,          {REFUND_ALL},                 SYSTEM},
    {PAYMENT_FAILED,   CAPTURED,        0, 0,                       STAYS,          {REFUND_ALL},                 SYSTEM},

    {MANUAL_REVIEW,    CAPTURED,        0, 0,                       STAYS,          {NOTE},                       SYSTEM},
    {MANUAL_REVIEW,    DECLINED,        0, 0,                       STAYS,          {NOTE},                       SYSTEM},
    {MANUAL_REVIEW,    RESOLVED_PAID,   FULLY_CAPTURED, ALL_MONEY_BACK | ALL_STOCK_BACK, PAID, {TELL_PAID, EMPTY_CART}, ADMIN},
    {MANUAL_REVIEW,    RESOLVED_CANCEL, 0, 0,                       CANCELLING,     {REFUND_ALL, GIVE_STOCK_BACK}, ADMIN},
    {MANUAL_REVIEW,    RESOLVED_FAILED, ALL_MONEY_BACK, 0,          PAYMENT_FAILED, {GIVE_STOCK_BACK},            ADMIN},

    /* Refused, but asked twice: the second time there was some, and it is held for nobody. */
    {REJECTED,         STOCK_RESERVED,  ALL_STOCK_BACK, 0,          STAYS,          {GIVE_STOCK_BACK},            SYSTEM},

    /* Answers that come twice or late change nothing. */
    {ANY,              STOCK_RESERVED,  0, 0,                       STAYS,          {0},                          SYSTEM},
    {ANY,              STOCK_REFUSED,   0, 0,                       STAYS,          {0},                          SYSTEM},
    {ANY,              DECLINED,        0, 0,                       STAYS,          {0},                          SYSTEM},
    {ANY,              MONEY_BACK,      0, 0,                       STAYS,          {NOTE},                       SYSTEM},
    {ANY,              STOCK_BACK,      0, 0,                       STAYS,          {NOTE},                       SYSTEM},
    {ANY,              LATE_CAPTURED,   0, 0,                       STAYS,          {NOTE},                       SYSTEM},
    {ANY,              PAYMENT_OVER,    0, 0,                       STAYS,          {0},                          SYSTEM},
};
/* clang-format on */
const size_t order_saga_rows = sizeof order_saga / sizeof *order_saga;

bool status_is_end(enum status s)
{
    return s == COMPLETED || s == CANCELLED || s == EXPIRED || s == REJECTED || s == PAYMENT_FAILED;
}

/* What is due while an order is in a state; NULL for the end states. */
static const struct {
    const char *timer;
    int64_t after_us; /* 0: at expires_at */
} due[STATUS_COUNT] = {
    [STOCK_PENDING] = {"order.stock", STOCK_ASK_AGAIN_US},
    [AWAITING_PAYMENT] = {"order.expire", 0},
    [CONFIRMING] = {"order.unknown", UNKNOWN_MAX_US},
    [PAID] = {"order.accept_by", ACCEPT_ALARM_US},
    [ACCEPTED] = {"order.overdue", OVERDUE_US},
    [COOKING] = {"order.overdue", OVERDUE_US},
    [READY] = {"order.overdue", OVERDUE_US},
    [DELIVERING] = {"order.overdue", OVERDUE_US},
    [CANCELLING] = {"order.refund", REFUND_LOOK_US},
    [MANUAL_REVIEW] = {"order.overdue", OVERDUE_US},
};

static enum err move_timer(struct ctx *cx, const struct order *o, int from, int to, bool is_new)
{
    if (from == to && !is_new)
        return ERR_OK;
    if (due[from].timer && (!due[to].timer || strcmp(due[from].timer, due[to].timer) != 0))
        TRY(timer_clear(cx, due[from].timer, o->order_id));
    if (!due[to].timer)
        return ERR_OK;
    if (MUTANT(MUTANT_NO_TIMER) && to == AWAITING_PAYMENT)
        return ERR_OK;
    int64_t at = due[to].after_us ? ctx_now(cx) + due[to].after_us : o->expires_at;
    return timer_set(cx, due[to].timer, o->order_id, at);
}

static unsigned facts_of(const struct ctx *cx, const struct order *o)
{
    unsigned facts = 0;

    if (ctx_now(cx) < o->expires_at)
        facts |= TIME_LEFT;
    if (o->cancel_requested)
        facts |= CANCEL_REQUESTED;
    if (o->refunded_won == o->captured_won)
        facts |= ALL_MONEY_BACK;
    if (o->stock_back)
        facts |= ALL_STOCK_BACK;
    if (o->captured_won - o->late_won == o->total_won)
        facts |= FULLY_CAPTURED;
    return facts;
}

struct stock_line {
    struct uuid menu_item_id;
    int64_t quantity;
};
static const struct field stock_line_fields[] = {
    F_UUID(struct stock_line, menu_item_id, "menuItemId", 0, "menu item"),
    F_INT(struct stock_line, quantity, "quantity", 0, 1, 100000, "how many"),
    F_END(struct stock_line),
};
struct stock_asked {
    struct uuid order_id, store_id;
    struct list lines;
};
static const struct field stock_asked_fields[] = {
    F_UUID(struct stock_asked, order_id, "orderId", 0, "order"),
    F_UUID(struct stock_asked, store_id, "storeId", 0, "store"),
    F_LIST(struct stock_asked, lines, "lines", 0, 1, 200, stock_line_fields, "what is wanted"),
    F_END(struct stock_asked),
};

static int by_item(const void *a, const void *b)
{
    return uuid_cmp(((const struct stock_line *)a)->menu_item_id,
                    ((const struct stock_line *)b)->menu_item_id);
}

/* The same item with other options is one claim on its stock; in id order. */
static struct list stock_lines(struct ctx *cx, const struct order *o)
{
    struct stock_line *out = arena_array(cx->arena, o->lines.n, sizeof *out);
    size_t n = 0;

    for (size_t i = 0; i < o->lines.n; i++) {
        const struct order_line *l = LIST_AT(struct order_line, o->lines, i);
        out[i] = (struct stock_line){l->menu_item_id, l->quantity};
    }
    qsort(out, o->lines.n, sizeof *out, by_item);
    for (size_t i = 0; i < o->lines.n; i++) {
        if (n > 0 && uuid_eq(out[n - 1].menu_item_id, out[i].menu_item_id))
            out[n - 1].quantity += out[i].quantity;
        else
            out[n++] = out[i];
    }
    return (struct list){out, n};
}

enum err order_ask_stock(struct ctx *cx, struct order *o)
{
    struct stock_asked asked = {.order_id = o->order_id, .store_id = o->store_id};

    if (o->lines.n == 0)
        TRY(order_load_lines(cx, o));
    asked.lines = stock_lines(cx, o);
    return outbox_append(cx, "order.stock_requested", o->order_id, stock_asked_fields, &asked);
}

struct release_asked {
    struct uuid order_id;
    bool returned;
};
static const struct field release_asked_fields[] = {
    F_UUID(struct release_asked, order_id, "orderId", 0, "order"),
    F_BOOL(struct release_asked, returned, "returned", 0, "sold food goes back on sale"),
    F_END(struct release_asked),
};

static const struct field paid_fields[] = {
    F_UUID(struct order, order_id, "orderId", 0, "order"),
    F_UUID(struct order, customer_id, "customerId", 0, "customer"),
    F_UUID(struct order, store_id, "storeId", 0, "store"),
    F_WON(struct order, total_won, "totalWon", 0, "paid"),
    F_END(struct order),
};

struct refund_asked {
    struct uuid order_id;
    int64_t amount_won;
    struct str reason;
};
static const struct field refund_asked_fields[] = {
    F_UUID(struct refund_asked, order_id, "orderId", 0, "order"),
    F_WON(struct refund_asked, amount_won, "amountWon", 0, "to give back"),
    F_STR(struct refund_asked, reason, "reason", 0, 0, 200, "why"),
    F_END(struct refund_asked),
};

/* Without what came too late: the payment service gives that back unasked, and parks a question for
 * an order of which it has nothing else. */
enum err order_ask_refund(struct ctx *cx, const struct order *o, struct str reason)
{
    int64_t refunded_won = o->refunded_won > o->late_won ? o->refunded_won - o->late_won : 0;
    struct refund_asked asked = {.order_id = o->order_id,
                                 .amount_won = o->captured_won - o->late_won - refunded_won,
                                 .reason = reason};

    if (asked.amount_won == 0)
        return ERR_OK;
    return outbox_append(cx, "order.refund_requested", o->order_id, refund_asked_fields, &asked);
}

enum err order_ask_release(struct ctx *cx, const struct order *o)
{
    struct release_asked release = {o->order_id, true};

    return outbox_append(cx, "order.stock_release_requested", o->order_id, release_asked_fields,
                         &release);
}

static enum err obey(struct ctx *cx, struct order *o, const struct saga_input *in, enum command c)
{
    switch (c) {
    case NOTE:
        return ERR_OK;
    case ASK_STOCK:
        return order_ask_stock(cx, o);
    case GIVE_STOCK_BACK:
        return order_ask_release(cx, o);
    case TELL_PAID:
        return outbox_append(cx, "order.paid", o->order_id, paid_fields, o);
    case REFUND_ALL:
        return order_ask_refund(cx, o, in->reason.n ? in->reason : str_from(step_names[in->step]));
    case EMPTY_CART:
        return cart_empty_after(cx, o);
    case REMEMBER_CANCEL:
        o->cancel_requested = true;
        return ERR_OK;
    case SET_ETA:
        o->eta_at =
            (in->step == OWNER_DELAYED ? o->eta_at : ctx_now(cx)) + in->minutes * US_PER_MIN;
        return ERR_OK;
    }
    return fail(cx, ERR_INTERNAL, "unknown command %d", (int)c);
}

/*
 * Its transaction has read the row: who changes it after that, or has since, meets this one as a
 * conflict (db.h), so that there is nothing to learn from the number of rows.
 */
static enum err update_row(struct ctx *cx, const struct order *o)
{
    return db_exec(
        cx,
        "update orders set status = $2, captured_won = $3, refunded_won = $4, payment_id = $5,"
        " cancel_requested = $6, stock_back = $7, accept_by = $8, eta_at = $9, history_n = $10,"
        " changed_at = $11, late_won = $12 where order_id = $1",
        ARGS(db_uuid(o->order_id), db_str(str_from(status_names[o->status])),
             db_int(o->captured_won), db_int(o->refunded_won), db_uuid(o->payment_id),
             db_bool(o->cancel_requested), db_bool(o->stock_back),
             db_opt_int(o->accept_by != 0, o->accept_by), db_opt_int(o->eta_at != 0, o->eta_at),
             db_int(o->history_n), db_int(ctx_now(cx)), db_int(o->late_won)));
}

static enum err insert_lines(struct ctx *cx, const struct order *o)
{
    for (size_t i = 0; i < o->lines.n; i++) {
        const struct order_line *l = LIST_AT(struct order_line, o->lines, i);
        TRY(db_exec(
            cx,
            "insert into order_lines (order_id, line_no, line_id, menu_item_id, name, options,"
            " quantity, unit_price_won, line_total_won) values ($1, $2, $3, $4, $5, $6, $7, $8, "
            "$9)",
            ARGS(db_uuid(o->order_id), db_int((int64_t)i + 1), db_uuid(l->line_id),
                 db_uuid(l->menu_item_id), db_str(l->name), db_str(l->options), db_int(l->quantity),
                 db_int(l->unit_price_won), db_int(l->line_total_won))));
    }
    return ERR_OK;
}

static enum err insert_row(struct ctx *cx, const struct order *o)
{
    if (FAULT("order.insert"))
        return fail(cx, ERR_UNAVAILABLE, "fault: order.insert");
    TRY(db_exec(
        cx,
        "insert into orders (order_id, number, customer_id, store_id, owner_id, store_name, status,"
        " items_won, delivery_fee_won, total_won, address, request_message, cart_id, request_key,"
        " reserve_by, expires_at, history_n, created_at, changed_at) values ($1, $2, $3, $4, $5,"
        " $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $18)",
        ARGS(db_uuid(o->order_id), db_str(o->number), db_uuid(o->customer_id), db_uuid(o->store_id),
             db_uuid(o->owner_id), db_str(o->store_name), db_str(str_from(status_names[o->status])),
             db_int(o->items_won), db_int(o->delivery_fee_won), db_int(o->total_won),
             db_str(o->address), db_str(o->request_message.n ? o->request_message : STR_NONE),
             db_uuid(o->cart_id), db_str(o->request_key), db_int(o->reserve_by),
             db_int(o->expires_at), db_int(o->history_n), db_int(o->created_at))));
    return insert_lines(cx, o);
}

static struct str trace_hex(struct ctx *cx)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, 64);
    for (size_t i = 0; i < sizeof cx->trace.trace_id; i++)
        buf_printf(&b, "%02x", cx->trace.trace_id[i]);
    return buf_str(&b);
}

static enum err write_history(struct ctx *cx, const struct order *o, int from,
                              const struct saga_input *in, unsigned facts, enum role by)
{
    return db_exec(
        cx,
        "insert into order_history (order_id, n, event, from_status, status, facts, by_role,"
        " by_id, reason, trace_id, at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        ARGS(db_uuid(o->order_id), db_int(o->history_n), db_str(str_from(step_names[in->step])),
             db_str(str_from(status_names[from])), db_str(str_from(status_names[o->status])),
             db_int(facts), db_int(by), db_uuid(uuid_is_nil(in->by) ? cx->caller.user_id : in->by),
             db_str(in->reason.n ? in->reason : STR_NONE), db_str(trace_hex(cx)),
             db_int(ctx_now(cx))));
}

const struct field status_changed_fields[] = {
    F_UUID(struct status_changed, order_id, "orderId", REQUIRED, "order"),
    F_UUID(struct status_changed, store_id, "storeId", REQUIRED, "store"),
    F_UUID(struct status_changed, customer_id, "customerId", REQUIRED, "customer"),
    F_STR(struct status_changed, number, "number", REQUIRED, 0, 30, "the order's short number"),
    F_STR(struct status_changed, from, "from", REQUIRED, 0, 30, "status before"),
    F_STR(struct status_changed, to, "to", REQUIRED, 0, 30, "status now"),
    F_STR(struct status_changed, step, "step", REQUIRED, 0, 30, "what happened"),
    F_STR(struct status_changed, reason, "reason", 0, 0, 500, "why"),
    F_INT(struct status_changed, n, "n", REQUIRED, 1, INT64_MAX,
          "number of the step in the order's history"),
    F_WON(struct status_changed, total_won, "totalWon", REQUIRED, "amount of the order"),
    F_TIME(struct status_changed, eta_at, "etaAt", 0, "expected at the door"),
    F_TIME(struct status_changed, at, "at", REQUIRED, "when"),
    F_INT(struct status_changed, board_n, "boardN", 0, 0, INT64_MAX,
          "position in the store's stream; 0: not on the board"),
    F_END(struct status_changed),
};

static enum err announce(struct ctx *cx, const struct order *o, int from,
                         const struct saga_input *in)
{
    struct status_changed s = {
        .order_id = o->order_id,
        .store_id = o->store_id,
        .customer_id = o->customer_id,
        .number = o->number,
        .from = str_from(status_names[from]),
        .to = str_from(status_names[o->status]),
        .step = str_from(step_names[in->step]),
        .reason = in->reason.n ? in->reason : STR_NONE,
        .n = o->history_n,
        .total_won = o->total_won,
        .eta_at = o->eta_at,
        .at = ctx_now(cx),
    };

    if (o->accept_by) /* paid, now or before: what was never paid is not on the board */
        TRY(board_note(cx, o, "status", &s.board_n));
    return outbox_append(cx, "order.status_changed", o->order_id, status_changed_fields, &s);
}

static enum err apply(struct ctx *cx, struct order *o, const struct saga_input *in, enum role by)
{
    struct saga_decision d;
    unsigned facts = facts_of(cx, o);
    int from = o->status;

    enum err e = saga_step(order_saga, order_saga_rows, from, (int)in->step, facts, by, &d);
    if (MUTANT(MUTANT_ANY_STATUS) && e == ERR_ORDER_STATE && in->step == OWNER_ACCEPTED) {
        d = (struct saga_decision){.next = ACCEPTED};
        e = ERR_OK;
    }
    if (e != ERR_OK)
        return fail(cx, e, "%s does not fit an order that is %s", step_names[in->step],
                    status_names[from]);
    if (d.next == from && d.n_commands == 0)
        return ERR_OK; /* nothing changes: no history either */
    o->status = d.next;
    o->history_n++;
    if (d.next == PAID && from != PAID)
        o->accept_by = ctx_now(cx) + ACCEPT_US;
    for (size_t i = 0; i < d.n_commands; i++)
        TRY(obey(cx, o, in, (enum command)d.commands[i]));
    TRY(in->step == PLACED ? insert_row(cx, o) : update_row(cx, o));
    TRY(write_history(cx, o, from, in, facts, by));
    TRY(move_timer(cx, o, from, o->status, in->step == PLACED));
    TRY(announce(cx, o, from, in));
    count_status(from, o);
    return ERR_OK;
}

/* Consumers and timers have no caller: they are the system. */
static enum role who(const struct ctx *cx)
{
    return cx->caller.role == 0 || cx->caller.role == GUEST ? SYSTEM : cx->caller.role;
}

enum err order_step(struct ctx *cx, struct order *o, const struct saga_input *in)
{
    struct saga_input due_cancel = {.step = CANCEL_ASKED, .reason = STR("asked for earlier")};

    TRY(apply(cx, o, in, who(cx)));
    if (o->cancel_requested && (o->status == AWAITING_PAYMENT || o->status == PAID))
        return apply(cx, o, &due_cancel, SYSTEM);
    return ERR_OK;
}

enum err order_insert(struct ctx *cx, struct order *o)
{
    struct saga_input placed = {.step = PLACED};

    o->status = STOCK_PENDING;
    if (!o->created_at)
        o->created_at = ctx_now(cx);
    o->reserve_by = o->created_at + STOCK_GIVE_UP_US;
    o->expires_at = o->created_at + HOLD_US;
    return order_step(cx, o, &placed);
}
