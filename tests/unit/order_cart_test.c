/* order_cart_test.c -- the copies agree with the events of the store; carts merge once, are swept
 * and survive a failure whole. */
#include "unit/order_world.h"

#include "base/fault.h"
#include "order/cart.h"
#include "security/secret.h"
#include "store/menu.h"
#include "store/store.h"

#define TOKEN "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void world_close(void)
{
    settle();
    platform_stop(w.p, 1000);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    arena_release(&w.arena);
}

/* The store service says something about itself, with its own tables. */
static void store_says(const char *type, const struct field *fields, const void *what)
{
    struct ctx cx = ctx_of("store");

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(outbox_append(&cx, type, w.store_id, fields, what) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    settle();
}

static struct store open_store(struct hours *h, size_t n)
{
    return (struct store){.store_id = w.store_id,
                          .owner_id = w.owner,
                          .name = STR("바삭대장 치킨"),
                          .category = STR("chicken"),
                          .minimum_order_won = 15000,
                          .delivery_fee_won = 2500,
                          .latitude = 37500001,
                          .longitude = -127036500,
                          .radius_m = 2000,
                          .hours = {h, n}};
}

static enum err store_copy_load(struct ctx *cx, struct uuid store_id, struct store_copy *ret)
{
    *ret = (struct store_copy){0};
    return db_one(cx, store_copy_fields, ret,
                  "select " STORE_COPY_COLUMNS " from store_copies where store_id = $1",
                  ARGS(db_uuid(store_id)));
}

static enum err menu_copy_load(struct ctx *cx, struct uuid menu_item_id, struct menu_copy *ret)
{
    *ret = (struct menu_copy){0};
    return db_one(cx, menu_copy_fields, ret,
                  "select " MENU_COPY_COLUMNS " from menu_copies where menu_item_id = $1",
                  ARGS(db_uuid(menu_item_id)));
}

static void a_store_is_copied_whole(void)
{
    struct hours h[] = {
        {.weekday = 0, .opens = 600, .closes = 120},
        {.weekday = 6,
         .opens = 0,
         .closes = 1440,
         .break_from = 900,
         .break_to = 1020,
         .has_break_from = true,
         .has_break_to = true},
    };
    struct store_copy copy;

    world_open();
    struct ctx cx = ctx_of("order");
    struct store s = open_store(h, 2);
    s.is_banned = s.deleted = true;
    s.paused_until = w.clock.virtual_us + US_PER_HOUR;
    store_says("store.changed", store_event_fields, &s);
    CHECK(store_copy_load(&cx, w.store_id, &copy) == ERR_OK);
    CHECK(uuid_eq(copy.owner_id, w.owner));
    CHECK_STR(copy.name, "바삭대장 치킨");
    CHECK_STR(copy.category, "chicken");
    CHECK(copy.is_banned && copy.deleted);
    CHECK_INT(copy.paused_until, s.paused_until);
    CHECK_INT(copy.minimum_order_won, 15000);
    CHECK_INT(copy.delivery_fee_won, 2500);
    CHECK_INT(copy.latitude, 37500001);
    CHECK_INT(copy.longitude, -127036500);
    CHECK_INT(copy.radius_m, 2000);
    CHECK_STR(copy.hours, "{\"hours\":[{\"weekday\":0,\"opens\":\"10:00\",\"closes\":\"02:00\"},"
                          "{\"weekday\":6,\"opens\":\"00:00\",\"closes\":\"24:00\","
                          "\"breakFrom\":\"15:00\",\"breakTo\":\"17:00\"}]}");
    s = open_store(h, 0);
    store_says("store.changed", store_event_fields, &s);
    CHECK(store_copy_load(&cx, w.store_id, &copy) == ERR_OK);
    CHECK(!copy.is_banned && !copy.deleted && copy.paused_until == 0);
    CHECK_STR(copy.hours, "{\"hours\":[]}");
    CHECK(store_copy_load(&cx, w.owner, &copy) == ERR_NOT_FOUND);
    world_close();
}

/* Both services judge every minute of a week alike. */
static void both_services_open_at_the_same_minutes(void)
{
    struct hours h[] = {
        {.weekday = 0, .opens = 600, .closes = 120},
        {.weekday = 2, .opens = 720, .closes = 720},
        {.weekday = 4, .opens = 1080, .closes = 240},
        {.weekday = 6, .opens = 0, .closes = 1440},
    };
    struct store_copy copy;
    int differ = 0, open = 0;

    h[0].has_break_from = h[0].has_break_to = h[2].has_break_from = h[2].has_break_to = true;
    h[0].break_from = 900, h[0].break_to = 1020;
    h[2].break_from = 1410, h[2].break_to = 30;
    world_open();
    struct ctx cx = ctx_of("order");
    struct store s = open_store(h, COUNT_OF(h));
    store_says("store.changed", store_event_fields, &s);
    CHECK(store_copy_load(&cx, w.store_id, &copy) == ERR_OK);
    for (int64_t minute = 0; minute < 7 * 1440; minute += 10) {
        int64_t us = w.clock.virtual_us + minute * US_PER_MIN;
        bool here = store_copy_open(&cx, &copy, us) == ERR_OK;
        differ += here != hours_open_at(s.hours, us);
        open += here;
    }
    CHECK_INT(differ, 0);
    CHECK(open > 0 && open < 7 * 144);
    world_close();
}

#define ITEM(n) ((struct uuid){{0xcc, (n)}})
#define OPTION_ID ((struct uuid){{0xdd}})

static void menu_says(int64_t version, struct menu_item *items, size_t n)
{
    struct menu m = {.store_id = w.store_id, .version = version, .items = {items, n}};

    store_says("store.menu.changed", menu_event_fields, &m);
}

static void a_menu_is_copied_and_what_it_lacks_is_gone(void)
{
    struct option cheese = {.option_id = OPTION_ID, .name = STR("치즈"), .price_won = 1500};
    struct option_group extras = {
        .option_group_id = OPTION_ID, .name = STR("추가"), .max = 1, .options = {&cheese, 1}};
    struct menu_item items[] = {
        {.menu_item_id = ITEM(1),
         .name = STR("후라이드"),
         .price_won = 18000,
         .option_groups = {&extras, 1}},
        {.menu_item_id = ITEM(2), .name = STR("콜라"), .price_won = 2500, .sold_out = true},
    };
    struct uuid wanted[] = {OPTION_ID};
    struct order_line line;
    struct menu_copy copy;

    world_open();
    struct ctx cx = ctx_of("order");
    menu_says(1, items, 2);
    CHECK(menu_copy_load(&cx, ITEM(1), &copy) == ERR_OK);
    CHECK(uuid_eq(copy.store_id, w.store_id) && !copy.sold_out && !copy.deleted);
    CHECK(price_line(&cx, &copy, (struct list){wanted, 1}, 2, &line) == ERR_OK);
    CHECK_INT(line.line_total_won, 39000);
    CHECK(menu_copy_load(&cx, ITEM(2), &copy) == ERR_OK && copy.sold_out);
    items[0].deleted = true;
    menu_says(2, items, 1);
    CHECK(menu_copy_load(&cx, ITEM(1), &copy) == ERR_OK && copy.deleted);
    CHECK(menu_copy_load(&cx, ITEM(2), &copy) == ERR_OK && copy.deleted);
    items[1].sold_out = false;
    menu_says(3, items + 1, 1);
    CHECK(menu_copy_load(&cx, ITEM(2), &copy) == ERR_OK && !copy.deleted && !copy.sold_out);
    CHECK(menu_copy_load(&cx, ITEM(9), &copy) == ERR_NOT_FOUND);
    world_close();
}

/* A cart as it stands in the database; a guest's when nobody owns it. */
static struct uuid add_cart(struct uuid customer_id, struct uuid store_id, int64_t changed_at)
{
    struct ctx cx = ctx_of("order");
    struct uuid id = ctx_uuid(&cx);
    char hash[SHA256_TEXT_SIZE];
    bool is_guest = uuid_is_nil(customer_id);

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx,
                  "insert into carts (cart_id, customer_id, token_hash, store_id, changed_at)"
                  " values ($1, $2, $3, $4, $5)",
                  ARGS(db_uuid(id), db_uuid(customer_id),
                       db_str(is_guest ? sha256_hex(STR(TOKEN), hash) : STR_NONE),
                       db_uuid(store_id), db_int(changed_at))) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    return id;
}

static void add_line(struct uuid cart_id, unsigned char item, int64_t quantity)
{
    struct ctx cx = ctx_of("order");

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx,
                  "insert into cart_items (cart_item_id, cart_id, menu_item_id, option_key,"
                  " quantity, added_at) values ($1, $2, $3, '', $4, $5)",
                  ARGS(db_uuid(ctx_uuid(&cx)), db_uuid(cart_id), db_uuid(ITEM(item)),
                       db_int(quantity), db_int(w.clock.virtual_us))) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
}

static int64_t number(const char *sql)
{
    struct ctx cx = ctx_of("order");
    int64_t n = -1;

    CHECK(db_int_of(&cx, &n, sql, NO_ARGS) == ERR_OK);
    return n;
}
#define CARTS() number("select count(*) from carts")
#define LINES() number("select count(*) from cart_items")
#define PIECES() number("select coalesce(sum(quantity), 0) from cart_items")

static int call(enum http_method method, const char *path, const char *body,
                const struct caller *as)
{
    struct http_field headers[] = {{STR("Idempotency-Key"), STR("one")},
                                   {STR("Jumun-Cart"), STR(TOKEN)}};
    struct local_request rq = {.method = method,
                               .path = path,
                               .body = str_from(body),
                               .headers = headers,
                               .n_headers = as->role == GUEST ? 2 : 1,
                               .listener = as->role == SERVICE ? 1 : 0,
                               .as = as};
    struct str answer;
    int status = 0;

    enum err e = platform_request(w.p, &w.arena, &rq, &status, &answer);
    CHECK((e == ERR_OK) == (status < 400));
    return status;
}

static int merge(void)
{
    const struct caller as = {.role = SERVICE, .service = STR("auth")};
    struct ctx cx = ctx_of("order");
    char body[200];

    snprintf(body, sizeof body, "{\"cartToken\":\"" TOKEN "\",\"customerId\":\"%s\"}",
             ctx_uuid_text(&cx, w.customer));
    return call(HTTP_POST, "/internal/v1/carts/merge", body, &as);
}

static void a_merge_asked_again_does_nothing(void)
{
    world_open();
    CHECK_INT(merge(), 204); /* of no cart at all */
    CHECK_INT(CARTS(), 0);
    struct uuid guest = add_cart(UUID_NIL, w.store_id, w.clock.virtual_us);
    struct uuid mine = add_cart(w.customer, w.store_id, w.clock.virtual_us);
    add_line(guest, 1, 3), add_line(guest, 2, 60), add_line(mine, 2, 50), add_line(mine, 3, 1);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(merge(), 204);
        CHECK_INT(CARTS(), 1);
        CHECK_INT(LINES(), 3);
        CHECK_INT(PIECES(), 3 + 99 + 1);
    }
    /* The same token again, as after a restored backup: an empty cart adds nothing. */
    add_cart(UUID_NIL, UUID_NIL, w.clock.virtual_us);
    CHECK_INT(merge(), 204);
    CHECK_INT(CARTS(), 1);
    CHECK_INT(PIECES(), 103);
    world_close();
}

static void the_newer_cart_of_two_stores_wins(void)
{
    for (int guest_is_newer = 0; guest_is_newer < 2; guest_is_newer++) {
        world_open();
        int64_t now = w.clock.virtual_us;
        struct uuid guest = add_cart(UUID_NIL, w.store_id, now - 1 + guest_is_newer);
        struct uuid mine = add_cart(w.customer, w.owner, now);
        add_line(guest, 1, 5), add_line(mine, 1, 7), add_line(mine, 2, 1);
        CHECK_INT(merge(), 204);
        CHECK_INT(PIECES(), guest_is_newer ? 5 : 8);
        CHECK_INT(number("select count(*) from carts where notice = 'CART_REPLACED'"), 1);
        CHECK_INT(CARTS(), 1);
        world_close();
    }
}

static void forgotten_guests_carts_go(void)
{
    world_open();
    struct uuid guest = add_cart(UUID_NIL, w.store_id, w.clock.virtual_us);
    struct uuid mine = add_cart(w.customer, w.store_id, w.clock.virtual_us);
    struct ctx cx = ctx_of("order");
    int64_t swept = 0;
    add_line(guest, 1, 1), add_line(mine, 1, 1);
    pass(30 * US_PER_DAY);
    CHECK(sweep_rows(&cx, order_sweeps, order_sweeps->keep_us, &swept) == ERR_OK);
    CHECK_INT(CARTS(), 2);
    pass(1);
    CHECK(sweep_rows(&cx, order_sweeps, order_sweeps->keep_us, &swept) == ERR_OK);
    CHECK_INT(CARTS(), 1);
    CHECK_INT(LINES(), 1);
    CHECK_INT(number("select count(*) from carts where customer_id is not null"), 1);
    world_close();
}

static void an_order_empties_what_it_took(void)
{
    struct order o = {0};

    world_open();
    struct ctx cx = ctx_of("order");
    o.cart_id = add_cart(w.customer, w.store_id, w.clock.virtual_us);
    o.created_at = w.clock.virtual_us;
    add_line(o.cart_id, 1, 1);
    pass(1);
    add_line(o.cart_id, 2, 4);
    for (int i = 0; i < 3; i++) {
        CHECK(db_begin(&cx) == ERR_OK);
        CHECK(cart_empty_after(&cx, &o) == ERR_OK);
        CHECK(db_commit(&cx) == ERR_OK);
        CHECK_INT(PIECES(), i < 2 ? 4 : 0);
        CHECK_INT(number("select count(*) from carts where store_id is null"), i < 2 ? 0 : 1);
        if (i == 1)
            o.created_at = w.clock.virtual_us; /* a second order took the rest */
    }
    world_close();
}

/* What a guest chose before the order was not part of it: paid for is only what was ordered. */
static void an_order_leaves_what_was_merged_after_it(void)
{
    struct order o = {0};

    world_open();
    struct ctx cx = ctx_of("order");
    o.cart_id = add_cart(w.customer, w.store_id, w.clock.virtual_us);
    add_line(o.cart_id, 1, 1);
    struct uuid guest = add_cart(UUID_NIL, w.store_id, w.clock.virtual_us);
    add_line(guest, 2, 4);
    o.created_at = w.clock.virtual_us;
    pass(1);
    CHECK_INT(merge(), 204);
    CHECK_INT(PIECES(), 5);
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(cart_empty_after(&cx, &o) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    CHECK_INT(PIECES(), 4);
    world_close();
}

struct id_row {
    struct uuid cart_id, order_id;
};
static const struct field id_fields[] = {
    F_UUID(struct id_row, cart_id, "cartId", 0, ""),
    F_UUID(struct id_row, order_id, "orderId", 0, ""),
    F_END(struct id_row),
};

static struct id_row ids(const char *sql)
{
    struct ctx cx = ctx_of("order");
    struct id_row row = {0};

    CHECK(db_one(&cx, id_fields, &row, sql, NO_ARGS) == ERR_OK);
    return row;
}

static void add_meanwhile(void)
{
    w.clock.virtual_us++;
    add_line(ids("select cart_id from carts").cart_id, 2, 4);
    w.clock.virtual_us++;
}

static void pay_for_the_order(void)
{
    struct ctx cx = ctx_of("order");
    struct order o;

    CHECK(order_load(&cx, ids("select order_id from orders").order_id, &o) == ERR_OK);
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(cart_empty_after(&cx, &o) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
}

/* The address is fetched after the cart was read; what comes in between is not part of the order.
 */
static void an_order_leaves_what_was_added_while_it_was_placed(void)
{
    struct hours h[WEEKDAYS];
    struct menu_item items[] = {
        {.menu_item_id = ITEM(1), .name = STR("후라이드"), .price_won = 18000},
        {.menu_item_id = ITEM(2), .name = STR("콜라"), .price_won = 2500},
    };

    world_open();
    for (int day = 0; day < WEEKDAYS; day++)
        h[day] = (struct hours){.weekday = day};
    struct store s = open_store(h, WEEKDAYS);
    s.latitude = s.longitude = 0;
    store_says("store.changed", store_event_fields, &s);
    menu_says(1, items, 2);
    add_line(add_cart(w.customer, w.store_id, w.clock.virtual_us), 1, 1);
    w.address_asked = add_meanwhile;
    CHECK_INT(call(HTTP_POST, "/v1/orders",
                   "{\"addressId\":\"019b76da-a800-7005-8000-000100000000\"}",
                   &(struct caller){.role = CUSTOMER, .user_id = w.customer}),
              201);
    CHECK_INT(number("select sum(quantity) from order_lines"), 1);
    pay_for_the_order();
    CHECK_INT(PIECES(), 4);
    world_close();
}

static bool touch_fails(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "cart.touch") == 0;
}

/* The line and the cart are one change: when the second half fails, the first never was. */
static void half_a_change_is_none(void)
{
    const struct caller guest = {.role = GUEST};

    world_open();
    struct uuid cart = add_cart(UUID_NIL, w.store_id, w.clock.virtual_us);
    add_line(cart, 1, 2);
    fault_hook_set(touch_fails, NULL);
    int status = call(HTTP_DELETE, "/v1/cart", "", &guest);
    fault_hook_set(NULL, NULL);
#ifdef JUMUN_FAULTS
    CHECK_INT(status, 503);
    CHECK_INT(PIECES(), 2);
#else
    CHECK_INT(status, 204);
#endif
    CHECK_INT(call(HTTP_DELETE, "/v1/cart", "", &guest), 204);
    CHECK_INT(PIECES(), 0);
    world_close();
}

int main(void)
{
    RUN(a_store_is_copied_whole);
    RUN(both_services_open_at_the_same_minutes);
    RUN(a_menu_is_copied_and_what_it_lacks_is_gone);
    RUN(a_merge_asked_again_does_nothing);
    RUN(the_newer_cart_of_two_stores_wins);
    RUN(forgotten_guests_carts_go);
    RUN(an_order_empties_what_it_took);
    RUN(an_order_leaves_what_was_merged_after_it);
    RUN(an_order_leaves_what_was_added_while_it_was_placed);
    RUN(half_a_change_is_none);
    return test_end();
}
