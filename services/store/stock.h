/* stock.h -- counts of menu items: what is there, what orders hold, what was sold, and why. */
#pragma once

#include "store/menu.h"

enum movement_kind { MOVE_RESERVE, MOVE_SELL, MOVE_RELEASE, MOVE_RETURN, MOVE_ADJUST };

struct movement {
    struct uuid movement_id, menu_item_id, reservation_id, actor_id;
    int kind; /* enum movement_kind */
    int64_t available_delta, reserved_delta, sold_delta, moved_at;
    struct str reason;
};

/* stock.c; all inside a transaction */
enum err stock_open(struct ctx *cx, struct uuid store_id, struct uuid menu_item_id, bool infinite,
                    int64_t available) MUST_USE;
/* One row of the ledger; movement_id and moved_at are set here. */
enum err stock_move(struct ctx *cx, const struct movement *m) MUST_USE;

enum err stock_get(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err stock_adjust(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err stock_mode(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err stock_ledger(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
extern const struct field stock_fields[], stock_adjust_fields[], stock_mode_fields[];
extern const struct field movement_fields[], stock_ledger_query_fields[];

/* reserve.c: what the order service asks for, and what auth tells. */
extern const struct consumer store_consumers[];
enum err reservation_release(struct ctx *cx, struct uuid order_id, bool give_back) MUST_USE;

/* withdrawn.c: inside a transaction. */
enum err store_on_withdrawn(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
extern const struct field account_gone_store_fields[];

/* holds.c */
enum err holds_ask(struct ctx *cx) MUST_USE;

/* ledger.c: what changed since it was checked last. ERR_CONSTRAINT when counts and rows differ;
 * each difference is logged. ERR_BUSY: all agree so far, and there are more. */
enum err ledger_check(struct ctx *cx) MUST_USE;

/* demo.c: the demo world; doing it again changes nothing. */
enum err store_demo(struct ctx *cx) MUST_USE;
