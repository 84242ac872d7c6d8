/* order.h -- what the files of the order service share: the order, its saga, handlers. */
#pragma once

#include "db/reads.h"
#include "flow/outbox.h"
#include "flow/timer.h"
#include "service/call.h"
#include "service/platform.h"
#include "service/reply.h"
#include "service/service.h"

extern const struct service order_service;

#define HOLD_US (9 * US_PER_MIN)          /* unpaid orders keep their stock this long */
#define ACCEPT_US (10 * US_PER_MIN)       /* the owner answers within, or the money goes back */
#define ACCEPT_ALARM_US (3 * US_PER_MIN)  /* and is reminded at 3 and 6 minutes */
#define STOCK_ASK_AGAIN_US (5 * US_PER_S) /* then after twice the time, and twice that */
#define STOCK_GIVE_UP_US (60 * US_PER_S)
#define UNKNOWN_MAX_US (24 * US_PER_HOUR) /* then a person looks at it */
#define OVERDUE_US (6 * US_PER_HOUR)      /* an order in the kitchen is looked at again and again */
#define REFUND_LOOK_US                                                                             \
    (60 * US_PER_S) /* a cancel is looked at again; after UNKNOWN_MAX_US by a person */

/* The order of the names is that of status_names. */
enum status {
    STOCK_PENDING,
    AWAITING_PAYMENT,
    CONFIRMING,
    PAID,
    ACCEPTED,
    COOKING,
    READY,
    DELIVERING,
    COMPLETED,
    CANCELLING,
    CANCELLED,
    EXPIRED,
    REJECTED,
    PAYMENT_FAILED,
    MANUAL_REVIEW,
    STATUS_COUNT
};
extern const char *const status_names[];

struct order {
    struct uuid order_id, customer_id, store_id, owner_id, payment_id, cart_id;
    struct str number, store_name, address, request_message, request_key;
    int status;
    int payment_status; /* worked out; not a column */
    int64_t items_won, delivery_fee_won, total_won, captured_won, refunded_won;
    int64_t
        late_won; /* part of captured_won that came too late to pay for the order; it goes back */
    bool cancel_requested, stock_back;
    int64_t reserve_by, expires_at, accept_by, eta_at, history_n, created_at, changed_at;
    struct list lines, history;
};

struct chosen_option {
    struct uuid option_id;
    struct str name;
    int64_t price_won;
};
struct order_line {
    struct uuid line_id, menu_item_id;
    struct str name, options; /* options: JSON list of chosen_option */
    int64_t line_no, quantity, unit_price_won, line_total_won;
};
struct history_row {
    int64_t n, facts, by_role, at;
    struct str event, from_status, status, by, reason, trace_id;
    struct uuid by_id;
};

/* order.c */
#define ORDER_COLUMNS                                                                              \
    "order_id, customer_id, store_id, owner_id, payment_id, cart_id, number, store_name, address," \
    " request_message, status, items_won, delivery_fee_won, total_won, captured_won, late_won,"    \
    " refunded_won, cancel_requested, stock_back, reserve_by, expires_at, accept_by, eta_at,"      \
    " history_n, created_at, changed_at"
extern const struct field order_row_fields[], order_fields[], order_line_fields[];
extern const struct field history_row_fields[], history_fields[], chosen_option_fields[];
/* The row only; inside a transaction when it is to be changed. ERR_NOT_FOUND. */
enum err order_load(struct ctx *cx, struct uuid order_id, struct order *ret) MUST_USE;
/* The same among others, into an order that is all zero; it stays so when there is none. */
void order_read_ahead(struct ctx *cx, struct uuid order_id, struct order *o, struct reads *r);
enum err order_load_lines(struct ctx *cx, struct order *o) MUST_USE;
/* Adds lines and history to each struct order, works out what is not stored. */
enum err order_show_all(struct ctx *cx, struct list orders) MUST_USE;
/* The row with all that. ERR_NOT_FOUND. */
enum err order_load_shown(struct ctx *cx, struct uuid order_id, struct order *ret) MUST_USE;
enum err order_load_with_lines(struct ctx *cx, struct uuid order_id, struct order *ret) MUST_USE;
/* An order with its lines, which never change, as it is shown now. */
enum err order_load_again(struct ctx *cx, struct order *o) MUST_USE;
/* With the version as ETag. */
enum err reply_shown(struct ctx *cx, struct reply *rp, int status, const struct order *o) MUST_USE;
/* Loads, shows and answers. */
enum err reply_order(struct ctx *cx, struct reply *rp, int status, struct uuid order_id) MUST_USE;
/* Guards. The caller's own order (id[0]); the order (id[1], if any) of a store (id[0]) that the
 * caller owns or works in. ERR_NOT_FOUND for another's. */
enum err guard_customer(struct ctx *cx, const struct request *rq) MUST_USE;
enum err guard_store(struct ctx *cx, const struct request *rq) MUST_USE;
/* A store (id[0]) that the caller owns: who works there, though an owner elsewhere, does not see
 * what it earns. */
enum err guard_store_owner(struct ctx *cx, const struct request *rq) MUST_USE;

/* pin.c: the history names the payments that have pinned the order or never shall. */
enum err order_knows_payment(struct ctx *cx, const struct order *o, struct uuid payment_id,
                             bool *ret) MUST_USE;

/* cart.c, cart_items.c, cart_merge.c, place.c, read.c, live.c, board.c, pin.c, admin.c: handlers.
 */
typedef enum err order_handler(struct ctx *cx, const struct request *rq, struct reply *rp);
order_handler cart_get, cart_add, cart_change, cart_remove, cart_clear, cart_merge;
order_handler order_place, order_list, order_list_internal, order_get, order_cancel, order_events;
order_handler board_list, board_get, board_events, board_accept, board_refuse, board_delay;
order_handler board_cook, board_ready, board_deliver, board_complete, board_cancel, board_print;
order_handler order_receipt, order_reorder, store_figures;
order_handler order_pin, order_status, order_checkout;
order_handler admin_list, admin_story, admin_resolve, dead_letters_list, dead_letter_retry,
    dead_letter_discard;
extern const struct field cart_fields[], cart_add_fields[], cart_change_fields[],
    cart_merge_fields[];
extern const struct field place_fields[], order_list_query_fields[], cancel_fields[];
extern const struct field board_query_fields[], accept_fields[], reason_fields[];
extern const struct field receipt_fields[], figures_query_fields[], figures_fields[];
extern const struct field pin_fields[], order_status_fields[], checkout_query_fields[],
    order_checkout_fields[];
extern const struct field admin_query_fields[], story_fields[], resolve_fields[],
    dead_letter_fields[];
/* privacy.c: the carts of who has withdrawn, and the person in their orders. */
enum err on_account_withdrawn(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
enum err withdrawn_sweep(struct ctx *cx) MUST_USE;
extern const struct field account_gone_order_fields[];
/* staff.c: who works in a store beside its owner; a copy too. */
enum err on_staff_changed(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
extern const struct field staff_changed_fields[];

/* reactions.c: what other services' events and time do to an order. */
extern const struct consumer order_consumers[], order_watchers[], order_applied[];
extern const struct timer_row order_timers[];
extern const struct job order_jobs[];
