/* cart.h -- carts: of a customer, or of a guest who holds its token; for the cart's files and
 * place.c. */
#pragma once

#include "order/copies.h"

#define CART_LINES_MAX 50
#define QUANTITY_MAX 99

struct cart_line {
    struct uuid cart_item_id, menu_item_id;
    struct str option_key; /* chosen option ids, sorted, joined by ',' */
    int64_t quantity, added_at;
    /* worked out when shown */
    struct str name, options, problem;
    int64_t unit_price_won, line_total_won;
};

struct cart {
    struct uuid cart_id, customer_id, store_id;
    struct str notice;
    int64_t changed_at;
    struct list lines;
    /* what is known here of its store (nil id: nothing) and of the menu items of its lines */
    struct store_copy store;
    struct list items; /* struct menu_copy */
    /* worked out when shown */
    struct str store_name;
    int64_t items_won, delivery_fee_won, total_won, minimum_order_won;
    struct list notices; /* struct str */
};

/* cart.c */
#define CART_READS 4
/*
 * The caller's cart with its lines and what is known of them, and whatever else is read in the same
 * exchange. ERR_NOT_FOUND when there is none yet; `more` was read all the same.
 */
enum err cart_load(struct ctx *cx, const struct request *rq, struct cart *ret, struct db_read *more,
                   size_t n_more) MUST_USE;
/* Inside a transaction, after cart_load said `e`: makes one when there is none; a new guest's token
 * goes out with the reply. */
enum err cart_take(struct ctx *cx, enum err e, struct reply *rp, struct cart *c) MUST_USE;
/* NULL: not known here. */
const struct menu_copy *cart_item(const struct cart *c, struct uuid menu_item_id);
/* Prices every line from our copies and answers. */
enum err reply_cart(struct ctx *cx, struct reply *rp, int status, struct cart *c) MUST_USE;
/* Inside a transaction: the cart changed. */
enum err cart_touch(struct ctx *cx, struct uuid cart_id, struct uuid store_id) MUST_USE;
/* The option ids of a line (struct uuid). */
struct list cart_line_options(struct ctx *cx, const struct cart_line *l);
struct str cart_option_key(struct ctx *cx, struct list option_ids);
/* Inside a transaction: the paid order's cart is emptied unless it was changed since. */
enum err cart_empty_after(struct ctx *cx, const struct order *o) MUST_USE;
/* Guests' carts that nobody touched for 30 days. */
extern const struct sweep order_sweeps[];
