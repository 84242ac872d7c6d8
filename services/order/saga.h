/* saga.h -- what happens to an order, and the one function that takes a step of it. */
#pragma once

#include "flow/saga.h"
#include "order/order.h"

/* What happens to an order. The order of the names is that of step_names. */
enum step {
    PLACED,
    STOCK_RESERVED,
    STOCK_REFUSED,
    STOCK_SILENT,
    CANCEL_ASKED, /* by the customer, or due since it was asked for earlier */
    HOLD_OVER,
    PINNED,
    CAPTURED,
    DECLINED,
    UNKNOWN_TOO_LONG,
    OWNER_ACCEPTED,
    OWNER_REFUSED,
    OWNER_SILENT,
    OWNER_DELAYED,
    OWNER_COOKS,
    OWNER_READY,
    OWNER_DELIVERS,
    OWNER_COMPLETES,
    OWNER_CANCELLED,
    MONEY_BACK,
    STOCK_BACK,
    LATE_CAPTURED, /* found for a dead order; payment gives it back */
    PAYMENT_OVER,  /* one that never pinned the order, and shall not any more */
    RESOLVED_PAID, /* by an operator, out of MANUAL_REVIEW */
    RESOLVED_CANCEL,
    RESOLVED_FAILED,
    STEP_COUNT
};
extern const char *const step_names[];

/* Facts that decide beside the state. */
enum fact {
    TIME_LEFT = 1, /* the hold has not run out */
    CANCEL_REQUESTED = 2,
    ALL_MONEY_BACK = 4, /* refunded == captured (also when both are 0) */
    ALL_STOCK_BACK = 8,
    FULLY_CAPTURED = 16, /* captured in time == total */
};

struct saga_input {
    enum step step;
    struct str reason; /* shown in the history; may be absent */
    struct uuid by;    /* PINNED, PAYMENT_OVER: the payment; nil: the caller */
    int64_t minutes;   /* OWNER_ACCEPTED, OWNER_DELAYED */
};
/*
 * Inside a transaction: takes the step on a loaded order, by cx->caller (the system when it is a
 * SERVICE or nobody), and with it everything that follows: the row (facts and amounts in *o are
 * written too), history, events, timers, and a cancel that was waiting. *o is updated.
 * ERR_ORDER_STATE, ERR_FORBIDDEN.
 */
enum err order_step(struct ctx *cx, struct order *o, const struct saga_input *in) MUST_USE;
/* Inside a transaction: inserts *o with its lines, born at created_at (0: now); takes PLACED. */
enum err order_insert(struct ctx *cx, struct order *o) MUST_USE;
/* Inside a transaction: order.stock_requested (again). The store answers the same each time. */
enum err order_ask_stock(struct ctx *cx, struct order *o) MUST_USE;
bool status_is_end(enum status s);
extern const struct saga_row order_saga[];
extern const size_t order_saga_rows;
/* Inside a transaction, harmless when repeated: the refund of what is left; the stock's release. */
enum err order_ask_refund(struct ctx *cx, const struct order *o, struct str reason) MUST_USE;
enum err order_ask_release(struct ctx *cx, const struct order *o) MUST_USE;
