/* demo.c -- forty stores around Seoul with menus, options, hours and stock; the ids never change.
 */
#include "service/demo.h"

#include "store/demo_menus.h"
#include "store/stock.h"

#define STORES_PER_KITCHEN 5

static const struct {
    const char *name, *zip_code, *street;
    int64_t latitude, longitude;
} districts[4] = {
    {"서울 강남구", "06236", "테헤란로", 37500000, 127036500},
    {"서울 마포구", "04066", "양화로", 37556300, 126923600},
    {"서울 종로구", "03154", "종로", 37570300, 126981600},
    {"서울 송파구", "05551", "올림픽로", 37512500, 127102500},
};

static enum err add_option(struct ctx *cx, struct uuid store_id, struct uuid group_id,
                           struct uuid id, const struct demo_option *o, int position)
{
    return db_exec(
        cx,
        "insert into options (option_id, store_id, option_group_id, name, price_won, position)"
        " values ($1, $2, $3, $4, $5, $6)",
        ARGS(db_uuid(id), db_uuid(store_id), db_uuid(group_id), db_str(str_from(o->name)),
             db_int(o->price_won), db_int(position)));
}

static enum err add_groups(struct ctx *cx, const struct demo_kitchen *k, unsigned store,
                           unsigned item)
{
    struct uuid store_id = demo_id(DEMO_STORE, store, 0, 0);

    for (unsigned g = 0; g < COUNT_OF(k->groups); g++) {
        const struct demo_group *group = &k->groups[g];
        struct uuid id = demo_id(DEMO_GROUP, store, item, g + 1);
        TRY(db_exec(cx,
                    "insert into option_groups (option_group_id, store_id, menu_item_id, name, "
                    "min, max, position)"
                    " values ($1, $2, $3, $4, $5, $6, $7)",
                    ARGS(db_uuid(id), db_uuid(store_id),
                         db_uuid(demo_id(DEMO_ITEM, store, item, 0)), db_str(str_from(group->name)),
                         db_int(group->min), db_int(group->max), db_int(g + 1))));
        for (unsigned o = 0; o < COUNT_OF(group->options) && group->options[o].name; o++)
            TRY(add_option(cx, store_id, id,
                           demo_id(DEMO_OPTION, store, item, (g + 1) * 100 + o + 1),
                           &group->options[o], (int)o + 1));
    }
    return ERR_OK;
}

/* Prices differ a little from store to store, as they do. */
static int64_t price_here(const struct demo_item *i, unsigned store)
{
    return i->price_won >= 5000 ? i->price_won + (int64_t)(store * 7 % 4 * 500) : i->price_won;
}

static enum err add_item(struct ctx *cx, const struct demo_kitchen *k, unsigned store,
                         unsigned section, unsigned place)
{
    const struct demo_item *i = &k->items[section][place];
    unsigned number = section * 5 + place + 1;
    struct uuid id = demo_id(DEMO_ITEM, store, number, 0),
                store_id = demo_id(DEMO_STORE, store, 0, 0);

    TRY(db_exec(cx,
                "insert into menu_items (menu_item_id, store_id, section_id, name, description, "
                "price_won, allergens,"
                " origin, position) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                ARGS(db_uuid(id), db_uuid(store_id),
                     db_uuid(demo_id(DEMO_SECTION, store, section + 1, 0)),
                     db_str(str_from(i->name)), db_str(str_from(i->description)),
                     db_int(price_here(i, store)), db_str(str_from(i->allergens)),
                     db_str(str_from(k->origin)), db_int(place + 1))));
    TRY(stock_open(cx, store_id, id, i->stock == 0, i->stock));
    return i->group ? add_groups(cx, k, store, number) : ERR_OK;
}

/* Most days 10:00 to 23:00 with a break; every fifth store never closes, cafes open early. */
static struct list hours_of(struct ctx *cx, unsigned store, bool is_cafe)
{
    struct hours *h = arena_array(cx->arena, WEEKDAYS, sizeof *h);

    for (int day = 0; day < WEEKDAYS; day++) {
        h[day] = (struct hours){.weekday = day, .opens = is_cafe ? 480 : 600, .closes = 23 * 60};
        if (store % 5 == 1 || store % 5 == 2) {
            h[day].opens = 0;
            h[day].closes = 1440;
        } else if (store % 5 == 3) {
            h[day].closes = 120; /* past midnight */
        } else if (!is_cafe) {
            h[day].has_break_from = h[day].has_break_to = true;
            h[day].break_from = 15 * 60;
            h[day].break_to = 17 * 60;
        }
    }
    return (struct list){h, WEEKDAYS};
}

static enum err add_row(struct ctx *cx, const struct demo_kitchen *k, unsigned store)
{
    unsigned n = (store - 1) % STORES_PER_KITCHEN, d = (store - 1) % COUNT_OF(districts);
    struct str name = str_from(k->names[n]);
    int64_t now = ctx_now(cx);

    return db_exec(
        cx,
        "insert into stores (store_id, owner_id, name, category, description, phone, address, "
        "zip_code, region_code,"
        " business_number, notice, origin, latitude, longitude, radius_m, minimum_order_won, "
        "delivery_fee_won,"
        " cook_minutes, search_text, created_at, created_rank) values ($1, $2, $3, $4, $5, $6, $7, "
        "$8, '', $9, $10,"
        " $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
        ARGS(db_uuid(demo_id(DEMO_STORE, store, 0, 0)),
             db_uuid(demo_id(DEMO_OWNER, (store - 1) % DEMO_OWNERS + 1, 0, 0)), db_str(name),
             db_str(str_from(k->category)),
             db_str(arena_printf(cx->arena, "%s의 %.*s입니다.", districts[d].name, STR_ARG(name))),
             db_str(arena_printf(cx->arena, "02-555-%04u", store)),
             db_str(arena_printf(cx->arena, "%s %s %u", districts[d].name, districts[d].street,
                                 10 + store * 3)),
             db_str(str_from(districts[d].zip_code)),
             db_str(arena_printf(cx->arena, "220-81-%05u", 10000 + store)),
             db_str(STR("주문 전에 옵션을 꼭 확인해 주세요.")), db_str(str_from(k->origin)),
             db_int(districts[d].latitude + store * 131 % 9000 - 4500),
             db_int(districts[d].longitude + store * 197 % 9000 - 4500), db_int(20000),
             db_int(8000 + store % 4 * 1000), db_int(store % 5 * 1000), db_int(15 + store % 3 * 5),
             db_str(search_text(cx, name)), db_int(now), db_int(-now)));
}

static enum err add_store(struct ctx *cx, unsigned store)
{
    const struct demo_kitchen *k = &demo_kitchens[(store - 1) / STORES_PER_KITCHEN];
    struct uuid id = demo_id(DEMO_STORE, store, 0, 0);

    TRY(add_row(cx, k, store));
    TRY(hours_replace(cx, id, hours_of(cx, store, strcmp(k->category, "cafe") == 0)));
    for (unsigned s = 0; s < COUNT_OF(k->sections); s++) {
        TRY(db_exec(
            cx,
            "insert into sections (section_id, store_id, name, position) values ($1, $2, $3, $4)",
            ARGS(db_uuid(demo_id(DEMO_SECTION, store, s + 1, 0)), db_uuid(id),
                 db_str(str_from(k->sections[s])), db_int(s + 1))));
        for (unsigned i = 0; i < COUNT_OF(k->items[s]); i++)
            TRY(add_item(cx, k, store, s, i));
    }
    TRY(menu_announce(cx, id));
    return store_announce(cx, id);
}

enum err store_demo(struct ctx *cx)
{
    int64_t there = 0;

    TRY(db_int_of(cx, &there, "select count(*) from stores where store_id = $1",
                  ARGS(db_uuid(demo_id(DEMO_STORE, 1, 0, 0)))));
    if (there)
        return ERR_OK;
    TRY(db_begin(cx));
    for (unsigned store = 1; store <= DEMO_STORES; store++)
        TRY(add_store(cx, store));
    for (unsigned store = 1; store <= 3;
         store++) { /* staff1 helps in three of them, with everything */
        TRY(db_exec(
            cx, "insert into store_staff (store_id, user_id, permissions) values ($1, $2, $3)",
            ARGS(db_uuid(demo_id(DEMO_STORE, store, 0, 0)), db_uuid(demo_id(DEMO_STAFF, 1, 0, 0)),
                 db_int(MAY_ORDERS | MAY_MENU | MAY_STOCK | MAY_REVIEWS))));
        TRY(staff_announce(cx, demo_id(DEMO_STORE, store, 0, 0)));
    }
    TRY(db_commit(cx));
    return db_durable(cx);
}
