/* copies.c -- this service's own copy of stores and menus: ordering works while the store service
 * is away. */
#include "order/copies.h"

#include "base/distance.h"
#include "data/hours.h"
#include "data/json.h"

/* Toss takes no card for less (BELOW_MINIMUM_AMOUNT): such an order could never be paid. */
#define CARD_MIN_WON 100

#define ITEMS_MAX 3000 /* more than an event has room for */

struct hours_box { /* the JSON list needs a name to be decoded under */
    struct list hours;
};
static const struct field hours_box_fields[] = {
    F_LIST(struct hours_box, hours, "hours", REQUIRED, 0, WEEKDAYS, hours_fields, "hours"),
    F_END(struct hours_box),
};

struct store_changed {
    struct store_copy s;
    struct list hours;
};
#define S struct store_changed
const struct field store_changed_fields[] = {
    F_UUID(S, s.store_id, "storeId", REQUIRED, "store"),
    F_UUID(S, s.owner_id, "ownerId", REQUIRED, "owner"),
    F_STR(S, s.name, "name", REQUIRED, 0, 100, "name"),
    F_STR(S, s.category, "category", REQUIRED, 0, 30, "cuisine"),
    F_BOOL(S, s.is_banned, "isBanned", 0, "banned"),
    F_BOOL(S, s.deleted, "deleted", 0, "gone"),
    F_TIME(S, s.paused_until, "pausedUntil", 0, "takes no orders until then"),
    F_WON(S, s.minimum_order_won, "minimumOrderWon", REQUIRED, "minimum order"),
    F_WON(S, s.delivery_fee_won, "deliveryFeeWon", REQUIRED, "delivery fee"),
    F_DECIMAL(S, s.latitude, "latitude", REQUIRED, 6, -90000000, 90000000, "north"),
    F_DECIMAL(S, s.longitude, "longitude", REQUIRED, 6, -180000000, 180000000, "east"),
    F_INT(S, s.radius_m, "radiusM", REQUIRED, 0, 100000, "delivers as far"),
    F_LIST(S, hours, "hours", REQUIRED, 0, WEEKDAYS, hours_fields, "opening hours"),
    F_END(S),
};

struct menu_changed {
    struct uuid store_id;
    int64_t version;
    struct list items;
};
static const struct field menu_changed_item_fields[] = {
    F_UUID(struct menu_copy, menu_item_id, "menuItemId", REQUIRED, "menu item"),
    F_STR(struct menu_copy, name, "name", REQUIRED, 0, 100, "name"),
    F_WON(struct menu_copy, price_won, "priceWon", REQUIRED, "price"),
    F_BOOL(struct menu_copy, sold_out, "soldOut", 0, "sold out"),
    F_BOOL(struct menu_copy, deleted, "deleted", 0, "off the menu"),
    F_RAW(struct menu_copy, option_groups, "optionGroups", 0, "options"),
    F_END(struct menu_copy),
};
const struct field menu_changed_fields[] = {
    F_UUID(struct menu_changed, store_id, "storeId", REQUIRED, "store"),
    F_INT(struct menu_changed, version, "version", REQUIRED, 0, INT64_MAX,
          "rises with every change"),
    F_LIST(struct menu_changed, items, "items", REQUIRED, 0, ITEMS_MAX, menu_changed_item_fields,
           "all items"),
    F_END(struct menu_changed),
};

enum err on_store_changed(struct ctx *cx, const struct event *e, const void *data)
{
    const struct store_changed *in = data;
    const struct hours_box box = {in->hours};
    struct buf hours;

    (void)e;
    buf_init_arena(&hours, cx->arena, 16 * 1024);
    json_encode(&hours, hours_box_fields, &box);
    return db_exec(
        cx,
        "insert into store_copies (store_id, owner_id, name, category, is_banned, deleted, "
        "paused_until,"
        " minimum_order_won, delivery_fee_won, latitude, longitude, radius_m, hours)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        " on conflict (store_id) do update set owner_id = excluded.owner_id, name = excluded.name,"
        " category = excluded.category, is_banned = excluded.is_banned, deleted = excluded.deleted,"
        " paused_until = excluded.paused_until, minimum_order_won = excluded.minimum_order_won,"
        " delivery_fee_won = excluded.delivery_fee_won, latitude = excluded.latitude,"
        " longitude = excluded.longitude, radius_m = excluded.radius_m, hours = excluded.hours",
        ARGS(db_uuid(in->s.store_id), db_uuid(in->s.owner_id), db_str(in->s.name),
             db_str(in->s.category), db_bool(in->s.is_banned), db_bool(in->s.deleted),
             db_int(in->s.paused_until), db_int(in->s.minimum_order_won),
             db_int(in->s.delivery_fee_won), db_int(in->s.latitude), db_int(in->s.longitude),
             db_int(in->s.radius_m), db_str(buf_str(&hours))));
}

/* The event has the whole menu; what it no longer names is gone. */
enum err on_menu_changed(struct ctx *cx, const struct event *e, const void *data)
{
    const struct menu_changed *in = data;

    (void)e;
    for (size_t i = 0; i < in->items.n; i++) {
        const struct menu_copy *m = LIST_AT(struct menu_copy, in->items, i);
        TRY(db_exec(
            cx,
            "insert into menu_copies (menu_item_id, store_id, name, price_won, sold_out, deleted,"
            " option_groups, version) values ($1, $2, $3, $4, $5, $6, $7, $8)"
            " on conflict (menu_item_id) do update set name = excluded.name, price_won = "
            "excluded.price_won,"
            " sold_out = excluded.sold_out, deleted = excluded.deleted,"
            " option_groups = excluded.option_groups, version = excluded.version",
            ARGS(db_uuid(m->menu_item_id), db_uuid(in->store_id), db_str(m->name),
                 db_int(m->price_won), db_bool(m->sold_out), db_bool(m->deleted),
                 db_str(m->option_groups.n ? m->option_groups : STR("[]")), db_int(in->version))));
    }
    return db_exec(cx, "update menu_copies set deleted = 1 where store_id = $1 and version < $2",
                   ARGS(db_uuid(in->store_id), db_int(in->version)));
}

/* clang-format off */
const struct field store_copy_fields[] = {
    F_UUID(struct store_copy, store_id, "storeId", 0, ""),
    F_UUID(struct store_copy, owner_id, "ownerId", 0, ""),
    F_STR(struct store_copy, name, "name", 0, 0, 100, ""),
    F_STR(struct store_copy, category, "category", 0, 0, 30, ""),
    F_STR(struct store_copy, hours, "hours", 0, 0, 16384, ""),
    F_BOOL(struct store_copy, is_banned, "isBanned", 0, ""),
    F_BOOL(struct store_copy, deleted, "deleted", 0, ""),
    F_TIME(struct store_copy, paused_until, "pausedUntil", 0, ""),
    F_WON(struct store_copy, minimum_order_won, "minimumOrderWon", 0, ""),
    F_WON(struct store_copy, delivery_fee_won, "deliveryFeeWon", 0, ""),
    F_INT(struct store_copy, latitude, "latitude", 0, INT64_MIN, INT64_MAX, ""),
    F_INT(struct store_copy, longitude, "longitude", 0, INT64_MIN, INT64_MAX, ""),
    F_INT(struct store_copy, radius_m, "radiusM", 0, 0, INT64_MAX, ""),
    F_END(struct store_copy),
};
const struct field menu_copy_fields[] = {
    F_UUID(struct menu_copy, menu_item_id, "menuItemId", 0, ""),
    F_UUID(struct menu_copy, store_id, "storeId", 0, ""),
    F_STR(struct menu_copy, name, "name", 0, 0, 100, ""),
    F_WON(struct menu_copy, price_won, "priceWon", 0, ""),
    F_BOOL(struct menu_copy, sold_out, "soldOut", 0, ""),
    F_BOOL(struct menu_copy, deleted, "deleted", 0, ""),
    F_STR(struct menu_copy, option_groups, "optionGroups", 0, 0, 262144, ""),
    F_END(struct menu_copy),
};
/* clang-format on */

enum err store_copy_open(struct ctx *cx, const struct store_copy *s, int64_t us)
{
    struct hours_box box = {{NULL, 0}};

    if (s->deleted)
        return fail(cx, ERR_GONE, "the store is closed for good");
    if (s->is_banned || us < s->paused_until)
        return fail(cx, ERR_STORE_CLOSED, "banned or paused");
    TRY(json_decode(cx, hours_box_fields, &box, s->hours));
    return hours_open_at(box.hours, us) ? ERR_OK : fail(cx, ERR_STORE_CLOSED, "outside its hours");
}

int64_t store_copy_minimum_won(const struct store_copy *s)
{
    int64_t card_won = CARD_MIN_WON - s->delivery_fee_won;

    return s->minimum_order_won > card_won ? s->minimum_order_won : card_won;
}

/* To the customer, as the store service reckons it: the distance on a store's card and its zone
 * agree. */
int64_t store_copy_distance_m(const struct store_copy *s, int64_t latitude, int64_t longitude)
{
    return distance_m(s->latitude, s->longitude, latitude, longitude);
}
