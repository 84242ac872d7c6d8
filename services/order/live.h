/* live.h -- what those who follow an order or a board are told, and where in their stream. */
#pragma once

#include "order/order.h"

struct status_changed { /* order.status_changed: what the board and the live page follow */
    struct uuid order_id, store_id, customer_id;
    struct str number, from, to, step, reason;
    int64_t n, total_won, eta_at, at;
    int64_t board_n; /* position in the store's stream; 0: not on the board, because it was never
                        paid */
};
extern const struct field status_changed_fields[];

/* Own events to the streams that follow them: watchers. */
enum err show_status(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
enum err show_reminder(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
extern const struct field live_fields[], reminder_fields[];
/* Inside a transaction: the next position of the store's stream, for the order's latest step or a
 * reminder. */
enum err board_note(struct ctx *cx, const struct order *o, const char *kind,
                    int64_t *ret_n) MUST_USE;
/* Inside a transaction: order.waiting_for_owner or order.overdue, which rings at the store's board.
 */
enum err order_remind(struct ctx *cx, const struct order *o, const char *type,
                      const char *kind) MUST_USE;
