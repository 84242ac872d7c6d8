/* copies.h -- copies of stores and menus, and prices made from them. */
#pragma once

#include "order/order.h"

/* copies.c: this service's own copy of stores and menus, fed by events. */
struct store_copy {
    struct uuid store_id, owner_id;
    struct str name, category, hours; /* hours: JSON list */
    bool is_banned, deleted;
    int64_t paused_until, minimum_order_won, delivery_fee_won, latitude, longitude, radius_m;
};
struct menu_copy {
    struct uuid menu_item_id, store_id;
    struct str name, option_groups; /* option_groups: JSON list */
    int64_t price_won;
    bool sold_out, deleted;
};
#define STORE_COPY_COLUMNS                                                                         \
    "store_id, owner_id, name, category, hours, is_banned, deleted, paused_until,"                 \
    " minimum_order_won, delivery_fee_won, latitude, longitude, radius_m"
#define MENU_COPY_COLUMNS                                                                          \
    "menu_item_id, store_id, name, price_won, sold_out, deleted, option_groups"
extern const struct field store_copy_fields[], menu_copy_fields[];
/* Why the store takes no orders at `us` (ERR_STORE_CLOSED, ERR_GONE), or ERR_OK. */
enum err store_copy_open(struct ctx *cx, const struct store_copy *s, int64_t us) MUST_USE;
int64_t store_copy_distance_m(const struct store_copy *s, int64_t latitude,
                              int64_t longitude); /* millionths */
/* What the items must come to: what the store says, and with its fee what a card can be charged. */
int64_t store_copy_minimum_won(const struct store_copy *s);
enum err on_store_changed(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
enum err on_menu_changed(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
extern const struct field store_changed_fields[], menu_changed_fields[];

/* price.c: from copies to won; pure but for the memory it takes from cx->arena. */
/*
 * One line from a menu item and chosen options (list of struct uuid). ERR_OPTION_INVALID (with the
 * field error), ERR_MENU_SOLD_OUT, ERR_NOT_FOUND (deleted), ERR_AMOUNT_OVERFLOW. Fills name,
 * options, prices.
 */
enum err price_line(struct ctx *cx, const struct menu_copy *item, struct list option_ids,
                    int64_t quantity, struct order_line *ret) MUST_USE;
