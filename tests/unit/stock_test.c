/* stock_test.c -- reservations as the order service asks for them: all or none, once, and always
 * countable. */
#include "test.h"

#include <ftw.h>
#include <unistd.h>

#include "service/demo.h"
#include "service/platform.h"
#include "service/running.h"
#include "store/stock.h"

static struct {
    struct clock clock;
    struct arena arena;
    struct platform *p;
    char dir[64];
    struct rng rng;
    int64_t position;
    int asked;       /* the order service, about a status */
    bool stop_store; /* while it is asked */
} w;

/* What the order service says of an order: by the first byte of its id. */
enum { LIVES = 0xa1, IS_DEAD = 0xa2, IS_BROKEN = 0xa3, IS_AWAY = 0xa4 };

struct said {
    struct str status;
};
static const struct field said_fields[] = {
    F_STR(struct said, status, "status", REQUIRED, 1, 30, ""),
    F_END(struct said),
};

static enum err say_status(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct said s = {rq->id[0].b[0] == LIVES ? STR("MANUAL_REVIEW") : STR("EXPIRED")};

    w.asked++;
    if (w.stop_store)
        platform_service(w.p, "store")->stop = true;
    if (rq->id[0].b[0] == IS_BROKEN)
        return fail(cx, ERR_INTERNAL, "broken");
    if (rq->id[0].b[0] == IS_AWAY)
        return fail(cx, ERR_UNAVAILABLE, "away");
    return reply_data(cx, rp, 200, said_fields, &s);
}

static const struct route order_routes[] = {
    {HTTP_GET, "/internal/v1/orders/{orderId}/status", SERVICE, say_status, NULL, NULL, said_fields,
     INTERNAL, 200, NULL, "status"},
    {0},
};
static const struct service fake_order = {.name = "order", .routes = order_routes};

static const struct service *const services[] = {&store_service, &fake_order, NULL};

static struct ctx ctx_of_store(void)
{
    struct ctx cx;

    platform_ctx(w.p, platform_service(w.p, "store"), &w.arena, &cx);
    return cx;
}

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void setup(void)
{
    struct ctx cx;

    snprintf(w.dir, sizeof w.dir, "/tmp/stock_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    arena_init(&w.arena, 256 * 1024 * 1024);
    rng_seed(&w.rng, 1);
    CHECK(time_parse(STR("2026-11-23T03:00:00Z"), &w.clock.virtual_us));
    w.clock.is_virtual = true;
    cx = (struct ctx){.arena = &w.arena, .clock = &w.clock, .rng = &w.rng};
    struct platform_options options = {.services = services,
                                       .data_dir = str_from(w.dir),
                                       .clock = &w.clock,
                                       .seed = 7,
                                       .issuer = STR("http://test"),
                                       .demo = true};
    if (platform_start(&cx, &options, &w.p) != ERR_OK) {
        printf("Bail out! %s\n", cx.story.detail);
        exit(1);
    }
}

/* The event with this JSON; the same id again is the same event. */
static struct event event_with(const char *type, struct uuid id, struct uuid order,
                               const char *data)
{
    struct ctx cx = ctx_of_store();
    int64_t position = ++w.position;

    return (struct event){.id = uuid_is_nil(id) ? ctx_uuid(&cx) : id,
                          .type = str_from(type),
                          .source = STR("order"),
                          .key = order,
                          .sequence = position,
                          .time_us = w.clock.virtual_us,
                          .data = str_from(data),
                          .position = position};
}

/* It reaches the store, as if by the bus. */
static struct uuid send(const char *type, struct uuid id, struct uuid order, const char *data)
{
    struct ctx cx = ctx_of_store();
    struct event e = event_with(type, id, order, data);

    CHECK(inbox_apply(&cx, store_consumers, &e, 1) == ERR_OK);
    CHECK(db_durable(&cx) == ERR_OK);
    return e.id;
}

static struct uuid new_order(void)
{
    struct ctx cx = ctx_of_store();
    return ctx_uuid(&cx);
}

static struct uuid item(unsigned number)
{
    return demo_id(DEMO_ITEM, 1, number, 0);
}

/* "[item, quantity] and perhaps another" of store 1. */
static const char *asked(struct uuid order, struct uuid item1, int n1, struct uuid item2, int n2)
{
    struct ctx cx = ctx_of_store();
    const char *second = n2 ? arena_printf(cx.arena, ",{\"menuItemId\":\"%s\",\"quantity\":%d}",
                                           ctx_uuid_text(&cx, item2), n2)
                                  .p
                            : "";

    return arena_printf(cx.arena,
                        "{\"orderId\":\"%s\",\"storeId\":\"%s\",\"lines\":["
                        "{\"menuItemId\":\"%s\",\"quantity\":%d}%s]}",
                        ctx_uuid_text(&cx, order), ctx_uuid_text(&cx, demo_id(DEMO_STORE, 1, 0, 0)),
                        ctx_uuid_text(&cx, item1), n1, second)
        .p;
}

static struct uuid ask(struct uuid id, struct uuid order, struct uuid item1, int n1,
                       struct uuid item2, int n2)
{
    return send("order.stock_requested", id, order, asked(order, item1, n1, item2, n2));
}

static void pay(struct uuid order)
{
    struct ctx cx = ctx_of_store();

    send("order.paid", UUID_NIL, order,
         arena_printf(cx.arena, "{\"orderId\":\"%s\"}", ctx_uuid_text(&cx, order)).p);
}

static void release(struct uuid order, bool returned)
{
    struct ctx cx = ctx_of_store();

    send("order.stock_release_requested", UUID_NIL, order,
         arena_printf(cx.arena, "{\"orderId\":\"%s\",\"returned\":%s}", ctx_uuid_text(&cx, order),
                      returned ? "true" : "false")
             .p);
}

struct told {
    struct str type, data;
};
static const struct field told_fields[] = {
    F_STR(struct told, type, "type", 0, 0, 100, ""),
    F_STR(struct told, data, "data", 0, 0, 10000, ""),
    F_END(struct told),
};

/* The last answer to an order. */
static struct told answer(struct uuid order)
{
    struct ctx cx = ctx_of_store();
    struct told t = {STR("none"), STR("")};
    enum err e = db_one(&cx, told_fields, &t,
                        "select type, data from outbox where aggregate_id = $1"
                        " order by aggregate_seq desc limit 1",
                        ARGS(db_uuid(order)));

    CHECK(e == ERR_OK || e == ERR_NOT_FOUND);
    return t;
}

static bool says(struct told t, const char *part)
{
    return str_find(t.data, str_from(part)) != SIZE_MAX;
}

static int64_t number(const char *sql, struct uuid id)
{
    struct ctx cx = ctx_of_store();
    int64_t n = -1;

    CHECK(db_int_of(&cx, &n, sql, ARGS(db_uuid(id))) == ERR_OK);
    return n;
}

/* available, reserved and sold in one figure that reads like them: 30,0,0 is 300000. */
static int64_t counts(struct uuid id)
{
    return number("select available * 10000 + reserved * 100 + sold from inventory"
                  " where menu_item_id = $1",
                  id);
}

static enum err audit(void)
{
    struct ctx cx = ctx_of_store();
    return ledger_check(&cx);
}

static void held_sold_and_returned(void)
{
    struct uuid order = new_order(), dish = item(5); /* thirty of them */
    int64_t before = counts(dish);

    CHECK_INT(before, 300000);
    ask(UUID_NIL, order, dish, 2, UUID_NIL, 0);
    CHECK_STR(answer(order).type, "stock.reserved");
    CHECK(says(answer(order), "\"reservationId\":\""));
    CHECK_INT(counts(dish), 280200);
    pay(order);
    CHECK_STR(answer(order).type, "stock.sold");
    CHECK_INT(counts(dish), 280002);
    release(order, true);
    CHECK_STR(answer(order).type, "stock.released");
    CHECK_INT(counts(dish), before);
    release(order, true); /* asked again: answered again, moved once */
    CHECK_INT(counts(dish), before);
    CHECK(audit() == ERR_OK);
}

static void cooked_food_does_not_come_back(void)
{
    struct uuid order = new_order(), dish = item(5);

    ask(UUID_NIL, order, dish, 1, UUID_NIL, 0);
    pay(order);
    release(order, false);
    CHECK_STR(answer(order).type, "stock.released");
    CHECK_INT(counts(dish), 290001);
    CHECK(audit() == ERR_OK);
}

static void all_lines_or_none(void)
{
    struct uuid order = new_order(), plenty = item(5), few = item(8);
    int64_t before = counts(plenty), before_few = counts(few);

    ask(UUID_NIL, order, plenty, 3, few, 21);
    CHECK_STR(answer(order).type, "stock.refused");
    CHECK(says(answer(order), "\"reason\":\"STOCK_SHORT\""));
    CHECK_INT(counts(plenty), before);
    CHECK_INT(counts(few), before_few);
    CHECK_INT(number("select count(*) from reservations where order_id = $1", order), 0);
    CHECK(audit() == ERR_OK);
}

static void line(struct buf *b, struct uuid id, int n)
{
    struct ctx cx = ctx_of_store();

    buf_printf(b, "%s{\"menuItemId\":\"%s\",\"quantity\":%d}", b->n ? "," : "",
               ctx_uuid_text(&cx, id), n);
}

/* One dish more, of which there are five. */
static void add_dish(unsigned number)
{
    struct ctx cx = ctx_of_store();

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx,
                  "insert into menu_items (menu_item_id, store_id, section_id, name, description,"
                  " price_won, allergens, origin, position) select $1, store_id, section_id, name,"
                  " description, price_won, allergens, origin, $3 from menu_items"
                  " where menu_item_id = $2",
                  ARGS(db_uuid(item(number)), db_uuid(item(1)), db_int(number))) == ERR_OK);
    CHECK(stock_open(&cx, demo_id(DEMO_STORE, 1, 0, 0), item(number), false, 5) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    CHECK(db_durable(&cx) == ERR_OK);
}

#define FIRST_ADDED 11
#define LAST_ADDED 50 /* with the ten that were there: as many as a cart has lines */

/* One of each, and so many of the last. */
static void ask_for_each(struct uuid order, int n_last)
{
    struct ctx cx = ctx_of_store();
    struct buf lines;

    buf_init_arena(&lines, cx.arena, 10000);
    for (unsigned i = LAST_ADDED; i > 0; i--)
        line(&lines, item(i), i == LAST_ADDED ? n_last : 1);
    send("order.stock_requested", UUID_NIL, order,
         arena_printf(cx.arena, "{\"orderId\":\"%s\",\"storeId\":\"%s\",\"lines\":[%.*s]}",
                      ctx_uuid_text(&cx, order), ctx_uuid_text(&cx, demo_id(DEMO_STORE, 1, 0, 0)),
                      STR_ARG(buf_str(&lines)))
             .p);
}

static void check_added(int64_t each)
{
    for (unsigned i = FIRST_ADDED; i <= LAST_ADDED; i++)
        CHECK_INT(counts(item(i)), each);
}

/* More than one exchange reads. */
static void an_order_of_fifty_dishes(void)
{
    struct uuid order = new_order();
    const char *held = "select count(*) from reservation_lines l join reservations r"
                       " on r.reservation_id = l.reservation_id where r.order_id = $1";

    for (unsigned i = FIRST_ADDED; i <= LAST_ADDED; i++)
        add_dish(i);
    ask_for_each(order, 6); /* the last one is short: nothing is held */
    CHECK_STR(answer(order).type, "stock.refused");
    CHECK(says(answer(order), "\"reason\":\"STOCK_SHORT\""));
    CHECK_INT(number(held, order), 0);
    check_added(50000);
    order = new_order();
    ask_for_each(order, 1);
    CHECK_STR(answer(order).type, "stock.reserved");
    CHECK_INT(number(held, order), 50);
    check_added(40100);
    CHECK_INT(counts(item(5)), 280101);
    pay(order);
    check_added(40001);
    release(order, true);
    check_added(50000);
    CHECK(audit() == ERR_OK);
}

static void the_same_dish_twice_is_one_claim(void)
{
    struct uuid order = new_order(), few = item(8);

    ask(UUID_NIL, order, few, 11, few, 10);
    CHECK_STR(answer(order).type, "stock.refused");
    order = new_order();
    ask(UUID_NIL, order, few, 2, few, 3);
    CHECK_STR(answer(order).type, "stock.reserved");
    CHECK_INT(counts(few), 150500);
    release(order, true);
    CHECK_INT(counts(few), 200000);
}

static void asked_twice_holds_once(void)
{
    struct uuid order = new_order(), dish = item(8), id;

    id = ask(UUID_NIL, order, dish, 4, UUID_NIL, 0);
    struct told first = answer(order);
    ask(id, order, dish, 4, UUID_NIL, 0);       /* the bus delivers again */
    ask(UUID_NIL, order, dish, 4, UUID_NIL, 0); /* the order asks again */
    CHECK_INT(counts(dish), 160400);
    struct told again = answer(order);
    CHECK_STR(again.type, "stock.reserved");
    CHECK(str_eq(first.data, again.data));
    CHECK_INT(number("select count(*) from outbox where aggregate_id = $1", order), 2);
    release(order, true);
}

/* In one batch what there is of a dish is read by each after the others before it took theirs. */
static void asked_for_together_by_several(void)
{
    struct ctx cx = ctx_of_store();
    struct uuid dish = item(8), store = demo_id(DEMO_STORE, 1, 0, 0);
    struct uuid one = new_order(), other = new_order(), late = new_order();
    const char *ten = asked(one, dish, 10, UUID_NIL, 0);
    const char *paid = arena_printf(cx.arena, "{\"orderId\":\"%s\"}", ctx_uuid_text(&cx, one)).p;
    const struct event events[] = {
        event_with("order.stock_requested", UUID_NIL, one, ten),
        event_with("order.stock_requested", UUID_NIL, other, asked(other, dish, 10, UUID_NIL, 0)),
        event_with("order.stock_requested", UUID_NIL, one, ten), /* asks again */
        event_with("order.paid", UUID_NIL, one, paid),
    };
    static const char menus[] =
        "select count(*) from outbox where aggregate_id = $1 and type = 'store.menu.changed'";

    int64_t announced = number(menus, store);
    CHECK(inbox_apply(&cx, store_consumers, events, COUNT_OF(events)) == ERR_OK);
    CHECK(db_durable(&cx) == ERR_OK);
    CHECK_STR(answer(one).type, "stock.sold");
    CHECK_STR(answer(other).type, "stock.reserved");
    CHECK_INT(counts(dish), 1010); /* none left, ten held, ten sold */
    CHECK_INT(number(menus, store), announced + 1);
    ask(UUID_NIL, late, dish, 1, UUID_NIL, 0);
    CHECK_STR(answer(late).type, "stock.refused");
    release(one, true);
    release(other, true);
    CHECK_INT(counts(dish), 200000);
    CHECK(audit() == ERR_OK);
}

static void a_release_that_comes_first_wins(void)
{
    struct uuid order = new_order(), dish = item(8);

    release(order, true);
    CHECK_STR(answer(order).type, "stock.released");
    ask(UUID_NIL, order, dish, 1, UUID_NIL, 0);
    CHECK_STR(answer(order).type, "stock.refused");
    CHECK_INT(counts(dish), 200000);
}

static void paid_after_its_release_is_parked(void)
{
    struct uuid order = new_order(), dish = item(8);

    ask(UUID_NIL, order, dish, 1, UUID_NIL, 0);
    release(order, true);
    pay(order);
    CHECK_INT(number("select count(*) from parked where key = $1", order), 1);
    CHECK_INT(counts(dish), 200000);
}

static void the_last_one_ends_the_sale(void)
{
    struct uuid order = new_order(), dish = item(8), other = new_order();
    struct uuid store = demo_id(DEMO_STORE, 1, 0, 0);
    const char *version = "select menu_version from stores where store_id = $1";
    int64_t menu = number(version, store);

    ask(UUID_NIL, order, dish, 19, UUID_NIL, 0);
    CHECK_INT(number(version, store), menu); /* nothing a guest would see */
    ask(UUID_NIL, other, dish, 1, UUID_NIL, 0);
    CHECK_INT(number(version, store), menu + 1);
    CHECK_STR(answer(store).type, "store.menu.changed");
    release(other, true);
    CHECK_INT(number(version, store), menu + 2);
    release(order, true);
    CHECK_INT(number(version, store), menu + 2);
    CHECK_INT(counts(dish), 200000);
}

static void change(const char *sql, struct uuid id)
{
    struct ctx cx = ctx_of_store();

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx, sql, ARGS(db_uuid(id))) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    CHECK(db_durable(&cx) == ERR_OK);
}

static void refusals_name_their_reason(void)
{
    struct uuid store = demo_id(DEMO_STORE, 1, 0, 0), order = new_order();

    change("update menu_items set sold_out = 1 where menu_item_id = $1", item(1));
    ask(UUID_NIL, order, item(1), 1, UUID_NIL, 0);
    CHECK(says(answer(order), "\"reason\":\"MENU_SOLD_OUT\""));
    change("update menu_items set sold_out = 0 where menu_item_id = $1", item(1));
    order = new_order();
    ask(UUID_NIL, order, demo_id(DEMO_ITEM, 2, 1, 0), 1, UUID_NIL, 0); /* another store's dish */
    CHECK(says(answer(order), "\"reason\":\"MENU_SOLD_OUT\""));
    change("update stores set paused_until = 4102444800000000 where store_id = $1", store);
    order = new_order();
    ask(UUID_NIL, order, item(1), 1, UUID_NIL, 0);
    CHECK(says(answer(order), "\"reason\":\"STORE_CLOSED\""));
    change("update stores set paused_until = 0 where store_id = $1", store);
    order = new_order();
    ask(UUID_NIL, order, item(1), 99, UUID_NIL, 0); /* not counted: any number */
    CHECK_STR(answer(order).type, "stock.reserved");
    pay(order);
    CHECK_STR(answer(order).type, "stock.sold");
    CHECK(audit() == ERR_OK);
}

/* Counted when it was held, not counted when it comes back, and the other way round. */
static void the_mode_may_change_in_between(void)
{
    struct uuid held = new_order(), free_one = new_order(), dish = item(10);
    int64_t before = counts(item(7));

    ask(UUID_NIL, held, item(7), 2, UUID_NIL, 0);
    change("update inventory set infinite = 1 where menu_item_id = $1", item(7));
    release(held, true);
    CHECK_INT(counts(item(7)), before);
    change("update inventory set infinite = 0 where menu_item_id = $1", item(7));
    ask(UUID_NIL, free_one, dish, 2, UUID_NIL, 0);
    change("update inventory set infinite = 0 where menu_item_id = $1", dish);
    pay(free_one);
    CHECK_INT(counts(dish), 0);
    change("update inventory set infinite = 1 where menu_item_id = $1", dish);
    CHECK(audit() == ERR_OK);
}

/* Whatever comes in whatever order: the counts stay explainable and never negative. */
static void any_order_of_events(void)
{
    struct uuid orders[12];

    for (size_t i = 0; i < COUNT_OF(orders); i++)
        orders[i] = new_order();
    for (int step = 0; step < 300; step++) {
        struct uuid order = orders[rng_below(&w.rng, COUNT_OF(orders))];
        switch (rng_below(&w.rng, 4)) {
        case 0:
        case 1:
            ask(UUID_NIL, order, item(8), (int)rng_below(&w.rng, 9) + 1, item(5),
                (int)rng_below(&w.rng, 4));
            break;
        case 2:
            pay(order);
            break;
        default:
            release(order, rng_below(&w.rng, 2) == 0);
        }
        if (step % 20 == 0) {
            CHECK(audit() == ERR_OK);
            arena_reset(&w.arena);
        }
        if (rng_below(&w.rng, 10) == 0)
            orders[rng_below(&w.rng, COUNT_OF(orders))] = new_order();
    }
    CHECK(audit() == ERR_OK);
}

/* The check itself must be able to fail. */
static void a_double_hold_is_noticed(void)
{
    struct uuid order = new_order(), dish = item(5);

    ask(UUID_NIL, order, dish, 1, UUID_NIL, 0);
    change("update inventory set reserved = reserved + 1 where menu_item_id = $1", dish);
    CHECK(audit() == ERR_CONSTRAINT);
    change("update inventory set reserved = reserved - 1 where menu_item_id = $1", dish);
    CHECK(audit() == ERR_OK);
    change("update reservations set state = 'RELEASED' where order_id = $1", order);
    CHECK(audit() == ERR_CONSTRAINT);
    change("update reservations set state = 'HELD' where order_id = $1", order);
    CHECK(audit() == ERR_OK);
}

/* An item that was found right is read again when it changes, and only what moved since. */
static void only_what_changed_is_read(void)
{
    struct uuid order = new_order(), dish = item(5), next = new_order();

    CHECK(audit() == ERR_OK);
    uint64_t commits = db_stats(platform_db(w.p, "store")).commits;
    CHECK(audit() == ERR_OK);
    CHECK_INT(db_stats(platform_db(w.p, "store")).commits, commits); /* and nobody had to wait */
    CHECK_INT(number("select count(*) from inventory v where not exists (select 1 from"
                     " stock_checked c where c.menu_item_id = v.menu_item_id and c.version ="
                     " v.version) and v.store_id <> $1",
                     order),
              0);
    ask(UUID_NIL, order, dish, 2, UUID_NIL, 0);
    pay(order);
    w.clock.virtual_us += US_PER_HOUR;
    CHECK(audit() == ERR_OK);
    CHECK_INT(number("select sold from stock_checked where menu_item_id = $1", dish),
              counts(dish) % 100);
    CHECK_INT(number("select upto from stock_checked where menu_item_id = $1", dish),
              w.clock.virtual_us - 10 * US_PER_MIN);
    /* What is kept may be wrong, too: then everything is counted before anything is said. */
    change("update stock_checked set available = available + 7 where menu_item_id = $1", dish);
    ask(UUID_NIL, next, dish, 1, UUID_NIL, 0);
    CHECK(audit() == ERR_OK);
    CHECK_INT(number("select v.available - c.seen_available + (v.version - c.version) from"
                     " inventory v join stock_checked c on c.menu_item_id = v.menu_item_id"
                     " where v.menu_item_id = $1",
                     dish),
              0);
    w.clock.virtual_us += US_PER_HOUR;
    release(next, false);
    CHECK(audit() == ERR_OK);
}

static void what_does_not_add_up_is_noticed(void)
{
    struct uuid order = new_order(), dish = item(5);

    CHECK(audit() == ERR_OK);
    change("update inventory set available = available + 1 where menu_item_id = $1", dish);
    CHECK(audit() == ERR_CONSTRAINT);
    CHECK(audit() == ERR_CONSTRAINT); /* until it is put right */
    change("update inventory set available = available - 1 where menu_item_id = $1", dish);
    CHECK(audit() == ERR_OK);
    ask(UUID_NIL, order, dish, 2, UUID_NIL, 0);
    change("update stock_movements set available_delta = available_delta - 1 where"
           " reservation_id in (select reservation_id from reservations where order_id = $1)",
           order);
    CHECK(audit() == ERR_CONSTRAINT);
    change("update stock_movements set available_delta = available_delta + 1 where"
           " reservation_id in (select reservation_id from reservations where order_id = $1)",
           order);
    CHECK(audit() == ERR_OK);
    pay(order);
    change("update reservation_lines set quantity = 3 where reservation_id in"
           " (select reservation_id from reservations where order_id = $1)",
           order);
    CHECK(audit() == ERR_CONSTRAINT);
    change("update reservation_lines set quantity = 2 where reservation_id in"
           " (select reservation_id from reservations where order_id = $1)",
           order);
    CHECK(audit() == ERR_OK);
}

/* More than one run reads: the rest comes in the next ones, and a fault among them is found. */
static void a_large_store_is_read_in_parts(void)
{
    struct ctx cx = ctx_of_store();
    struct uuid last = UUID_NIL;
    int runs = 0;
    enum err e;

    CHECK(db_begin(&cx) == ERR_OK);
    for (int i = 0; i < 4500; i++) {
        struct uuid id = ctx_uuid(&cx);
        last = uuid_cmp(id, last) > 0 ? id : last;
        CHECK(db_exec(&cx,
                      "insert into menu_items (menu_item_id, store_id, section_id, name,"
                      " description, price_won, allergens, origin, position, deleted_at)"
                      " select $1, store_id, section_id, name, description, price_won, allergens,"
                      " origin, position, 1 from menu_items where menu_item_id = $2",
                      ARGS(db_uuid(id), db_uuid(item(1)))) == ERR_OK);
        CHECK(stock_open(&cx, demo_id(DEMO_STORE, 1, 0, 0), id, false, 5) == ERR_OK);
    }
    CHECK(db_commit(&cx) == ERR_OK);
    change("update inventory set available = 6 where menu_item_id = $1", last);
    while ((e = audit()) == ERR_BUSY)
        CHECK(++runs < 10);
    CHECK_INT(runs, 2);
    CHECK(e == ERR_CONSTRAINT);
    change("update inventory set available = 5 where menu_item_id = $1", last);
    CHECK(audit() == ERR_OK);
}

/* The n-th hold of those that nothing will come of. */
static void hold(unsigned char kind, int n)
{
    struct ctx cx = ctx_of_store();
    struct uuid order = {{kind, (unsigned char)n, 1}};

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx,
                  "insert into reservations (reservation_id, order_id, store_id, state,"
                  " created_at, changed_at) values ($1, $1, $2, 'HELD', $3, $3)",
                  ARGS(db_uuid(order), db_uuid(demo_id(DEMO_STORE, 1, 0, 0)),
                       db_int(w.clock.virtual_us))) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
}

/* More than are read at once, none of which will ever go, stand in front of the one that must. */
static void an_orphan_behind_many_is_released(void)
{
    struct uuid orphan = {{IS_DEAD}};

    for (int i = 0; i < 60; i++)
        hold(i == 30 ? IS_BROKEN : LIVES, i);
    ask(UUID_NIL, orphan, item(5), 2, UUID_NIL, 0);
    w.clock.virtual_us += US_PER_HOUR;
    struct ctx job = ctx_of_store();
    CHECK_INT(holds_ask(&job), ERR_INTERNAL); /* of the one that could not be asked about */
    CHECK_INT(number("select count(*) from reservations where order_id = $1 and state = 'RELEASED'",
                     orphan),
              1);
    CHECK_INT(number("select count(*) from reservations where state = 'HELD' and reservation_id ="
                     " order_id and store_id = $1",
                     demo_id(DEMO_STORE, 1, 0, 0)),
              60);
}

/* The holds of the test before are still there. */
static void who_is_stopping_asks_no_more(void)
{
    struct ctx job = ctx_of_store();

    w.asked = 0;
    w.stop_store = true;
    CHECK_INT(holds_ask(&job), ERR_OK);
    CHECK_INT(w.asked, 1);
    w.stop_store = false;
    job.svc->stop = false;
}

static void nobody_is_asked_twice_who_is_away(void)
{
    w.clock.virtual_us -= 2 * US_PER_HOUR; /* older than the others */
    hold(IS_AWAY, 0);
    w.clock.virtual_us += 2 * US_PER_HOUR;
    struct ctx job = ctx_of_store();
    w.asked = 0;
    CHECK_INT(holds_ask(&job), ERR_UNAVAILABLE);
    CHECK_INT(w.asked, 1);
}

static void who_withdraws_leaves_their_stores(void)
{
    struct ctx cx = ctx_of_store();
    struct uuid owner = demo_id(DEMO_OWNER, 1, 0, 0), staff = demo_id(DEMO_STAFF, 1, 0, 0);
    const char *open = "select count(*) from stores where owner_id = $1 and deleted_at is null";
    const char *rest = "select count(*) from stores where owner_id <> $1 and deleted_at is null";
    const char *served = "select count(*) from store_staff where user_id = $1";
    int64_t own = number(open, owner), others = number(rest, owner);

    CHECK(own > 0 && others > 0 && number(served, staff) > 0);
    for (int i = 0; i < 2; i++) {
        struct uuid who = i ? staff : owner;
        send("auth.account.withdrawn", UUID_NIL, who,
             arena_printf(cx.arena, "{\"userId\":\"%s\"}", ctx_uuid_text(&cx, who)).p);
    }
    CHECK_INT(number(open, owner), 0);
    CHECK_INT(number(rest, owner), others);
    CHECK_INT(number(served, staff), 0);
    CHECK(says(answer(demo_id(DEMO_STORE, 1, 0, 0)), "\"staff\":[]"));
}

int main(void)
{
    setup();
    RUN(held_sold_and_returned);
    RUN(cooked_food_does_not_come_back);
    RUN(all_lines_or_none);
    RUN(an_order_of_fifty_dishes);
    RUN(the_same_dish_twice_is_one_claim);
    RUN(asked_twice_holds_once);
    RUN(asked_for_together_by_several);
    RUN(a_release_that_comes_first_wins);
    RUN(paid_after_its_release_is_parked);
    RUN(the_last_one_ends_the_sale);
    RUN(refusals_name_their_reason);
    RUN(the_mode_may_change_in_between);
    RUN(any_order_of_events);
    RUN(a_double_hold_is_noticed);
    RUN(only_what_changed_is_read);
    RUN(what_does_not_add_up_is_noticed);
    RUN(a_large_store_is_read_in_parts);
    RUN(an_orphan_behind_many_is_released);
    RUN(who_is_stopping_asks_no_more);
    RUN(nobody_is_asked_twice_who_is_away);
    RUN(who_withdraws_leaves_their_stores);
    platform_stop(w.p, 1000);
    nftw(w.dir, forget_file, 16, FTW_DEPTH | FTW_PHYS);
    arena_release(&w.arena);
    return test_end();
}
