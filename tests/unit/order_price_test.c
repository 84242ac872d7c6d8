/* order_price_test.c -- prices of lines, rules of options, opening hours and zones, all from the
 * order service's copies alone. */
#include "test.h"

#include "base/money.h"
#include "order/cart.h"

static struct arena arena;
static struct rng rng;
static struct ctx cx;

/* An option's id is its number in the first byte. */
static struct uuid id(unsigned char n)
{
    return (struct uuid){{n}};
}

#define OPTION(id, name, won, more)                                                                \
    "{\"optionId\":\"" id "000000-0000-0000-0000-000000000000\",\"name\":\"" name                  \
    "\",\"priceWon\":" #won more "}"
#define GROUP(name, min, max, options)                                                             \
    "{\"optionGroupId\":\"ff000000-0000-0000-0000-000000000000\",\"name\":\"" name                 \
    "\",\"min\":" #min ",\"max\":" #max ",\"options\":[" options "]}"
#define SIZES                                                                                      \
    GROUP("size", 1, 1, OPTION("01", "regular", 0, "") "," OPTION("02", "large", 2000, ""))
#define EXTRAS                                                                                     \
    GROUP("extras", 0, 2,                                                                          \
          OPTION("03", "cheese", 1500, "") "," OPTION("04", "egg", 700, "") "," OPTION(            \
              "05", "bacon", 2500, "") "," OPTION("06", "truffle", 9000, ",\"soldOut\":true"))

static struct menu_copy dish(const char *groups)
{
    return (struct menu_copy){.menu_item_id = id(200),
                              .store_id = id(201),
                              .name = STR("후라이드치킨"),
                              .option_groups = str_from(groups),
                              .price_won = 18000};
}

/* Prices a line with the options of `chosen`, whose ids end at the first 0. */
static enum err price(struct menu_copy item, const char *chosen, int64_t quantity,
                      struct order_line *ret)
{
    struct uuid ids[100];
    size_t n = 0;

    while (chosen[n]) {
        ids[n] = id((unsigned char)chosen[n]);
        n++;
    }
    cx.story = (struct story){0};
    return price_line(&cx, &item, (struct list){ids, n}, quantity, ret);
}

static struct order_line priced(const char *groups, const char *chosen, int64_t quantity)
{
    struct order_line l = {0};

    CHECK(price(dish(groups), chosen, quantity, &l) == ERR_OK);
    CHECK_INT(l.line_total_won, l.unit_price_won * l.quantity);
    return l;
}

/* Refused, with one field error of that code on optionIds, and nothing filled in. */
static bool refused(const char *groups, const char *chosen, const char *code)
{
    struct order_line l = {.quantity = -7};
    enum err e = price(dish(groups), chosen, 1, &l);
    const struct field_error *f = cx.story.field_errors;

    return e == ERR_OPTION_INVALID && l.quantity == -7 && f && !f->next &&
           str_eq(f->field, STR("optionIds")) && str_eq(f->code, str_from(code));
}

static void an_item_alone(void)
{
    struct order_line l = priced("[]", "", 3);

    CHECK_INT(l.unit_price_won, 18000);
    CHECK_INT(l.line_total_won, 54000);
    CHECK_INT(l.quantity, 3);
    CHECK_STR(l.name, "후라이드치킨");
    CHECK_STR(l.options, "[]");
    CHECK(uuid_eq(l.menu_item_id, id(200)));
    CHECK(!uuid_is_nil(l.line_id));
}

static void options_add_to_the_price_of_one(void)
{
    struct order_line l = priced("[" SIZES "," EXTRAS "]", "\x02\x03\x04", 4);

    CHECK_INT(l.unit_price_won, 18000 + 2000 + 1500 + 700);
    CHECK_INT(l.line_total_won, 88800);
    CHECK_STR(l.options, "[" OPTION("02", "large", 2000, "") "," OPTION(
                             "03", "cheese", 1500, "") "," OPTION("04", "egg", 700, "") "]");
    /* In the order of the menu, whatever the order they were chosen in. */
    CHECK(str_eq(priced("[" SIZES "," EXTRAS "]", "\x04\x03\x02", 4).options, l.options));
    CHECK_INT(priced("[" SIZES "]", "\x01", 1).unit_price_won, 18000);
}

static void groups_have_a_least_and_a_most(void)
{
    CHECK(refused("[" SIZES "]", "", "TOO_FEW"));
    CHECK(refused("[" SIZES "," EXTRAS "]", "\x03", "TOO_FEW"));
    CHECK(refused("[" SIZES "]", "\x01\x02", "TOO_MANY"));
    CHECK(refused("[" SIZES "," EXTRAS "]", "\x01\x03\x04\x05", "TOO_MANY"));
    CHECK_INT(priced("[" SIZES "," EXTRAS "]", "\x01\x03\x04", 1).unit_price_won, 20200);
    CHECK_INT(priced("[" SIZES "," EXTRAS "]", "\x01", 1).unit_price_won, 18000);
}

static void options_are_of_this_item(void)
{
    CHECK(refused("[]", "\x01", "UNKNOWN"));
    CHECK(refused("[" SIZES "]", "\x01\x63", "UNKNOWN"));
    CHECK(refused("[" EXTRAS "]", "\x03\x03", "UNKNOWN"));        /* one option twice */
    CHECK(refused("[" EXTRAS "," EXTRAS "]", "\x03", "UNKNOWN")); /* a menu that has it twice */
    CHECK(refused("[" SIZES "," EXTRAS "]", "\x01\x06", "SOLD_OUT"));
}

static void what_cannot_be_had(void)
{
    struct order_line l;
    struct menu_copy sold_out = dish("[]"), gone = dish("[]"), broken = dish("[{\"name\":1}]");

    sold_out.sold_out = gone.deleted = gone.sold_out = true;
    CHECK(price(sold_out, "", 1, &l) == ERR_MENU_SOLD_OUT);
    CHECK(price(gone, "", 1, &l) == ERR_NOT_FOUND);
    CHECK(price(broken, "", 1, &l) != ERR_OK);
}

static void too_much_money_is_refused(void)
{
    struct order_line l;
    struct menu_copy dear = dish("[" GROUP(
        "gold", 0, 2, OPTION("07", "bar", 100000000000, "") "," OPTION("08", "dust", 1, "")) "]");

    dear.price_won = MONEY_MAX;
    CHECK(price(dear, "", 1, &l) == ERR_OK);
    CHECK_INT(l.line_total_won, MONEY_MAX);
    CHECK(price(dear, "", 2, &l) == ERR_AMOUNT_OVERFLOW);
    CHECK(price(dear, "\x08", 1, &l) == ERR_AMOUNT_OVERFLOW);
    CHECK(price(dear, "\x07\x08", 1, &l) == ERR_AMOUNT_OVERFLOW);
    dear.price_won = MONEY_MAX / QUANTITY_MAX;
    CHECK(price(dear, "", QUANTITY_MAX, &l) == ERR_OK);
    dear.price_won++;
    CHECK(price(dear, "", QUANTITY_MAX, &l) == ERR_AMOUNT_OVERFLOW);
    dear.price_won = 0;
    CHECK(price(dear, "", QUANTITY_MAX, &l) == ERR_OK);
    CHECK_INT(l.line_total_won, 0);
}

static void one_key_per_choice(void)
{
    struct uuid forth[] = {id(1), id(2), id(3)}, back[] = {id(3), id(1), id(2)};
    struct str key = cart_option_key(&cx, (struct list){forth, 3});
    const struct cart_line line = {.option_key = key}, plain = {.option_key = STR("")};

    CHECK(str_eq(cart_option_key(&cx, (struct list){back, 3}), key));
    CHECK(!str_eq(cart_option_key(&cx, (struct list){forth, 2}), key));
    CHECK_STR(cart_option_key(&cx, (struct list){NULL, 0}), "");
    struct list ids = cart_line_options(&cx, &line);
    CHECK_INT(ids.n, 3);
    for (size_t i = 0; i < ids.n; i++)
        CHECK(uuid_eq(*LIST_AT(struct uuid, ids, i), forth[i]));
    CHECK_INT(cart_line_options(&cx, &plain).n, 0);
    CHECK(uuid_eq(back[0], id(3))); /* sorted in a copy */
}

static int64_t at(const char *seoul) /* "2026-11-23T10:00", a Monday */
{
    int64_t us = 0;
    char text[40];

    snprintf(text, sizeof text, "%s:00+09:00", seoul);
    CHECK(time_parse(str_from(text), &us));
    return us;
}

static bool open_at(const char *hours, const char *seoul)
{
    const struct store_copy s = {.hours = str_from(hours)};

    cx.story = (struct story){0};
    enum err e = store_copy_open(&cx, &s, at(seoul));
    CHECK(e == ERR_OK || e == ERR_STORE_CLOSED);
    return e == ERR_OK;
}

#define HOURS(weekday, opens, closes, more)                                                        \
    "{\"hours\":[{\"weekday\":" #weekday ",\"opens\":\"" opens "\",\"closes\":\"" closes "\"" more \
    "}]}"
#define BREAK(from, to) ",\"breakFrom\":\"" from "\",\"breakTo\":\"" to "\""

static void hours_are_of_seoul(void)
{
    static const char monday[] = HOURS(0, "10:00", "22:00", "");

    CHECK(!open_at(monday, "2026-11-23T09:59"));
    CHECK(open_at(monday, "2026-11-23T10:00"));
    CHECK(open_at(monday, "2026-11-23T21:59"));
    CHECK(!open_at(monday, "2026-11-23T22:00"));
    CHECK(!open_at(monday, "2026-11-24T12:00"));
    CHECK(!open_at(monday, "2026-11-22T12:00"));
    CHECK(!open_at("{\"hours\":[]}", "2026-11-23T12:00"));
    /* Sunday 23:00 UTC is Monday morning. */
    CHECK(open_at(HOURS(0, "08:00", "09:00", ""), "2026-11-23T08:00"));
}

static void hours_past_midnight(void)
{
    static const char sunday[] = HOURS(6, "17:00", "02:00", "");
    static const char whole[] = HOURS(0, "00:00", "24:00", "");
    static const char noon[] = HOURS(0, "12:00", "12:00", "");

    CHECK(open_at(sunday, "2026-11-22T17:00"));
    CHECK(open_at(sunday, "2026-11-22T23:59"));
    CHECK(open_at(sunday, "2026-11-23T00:00")); /* Monday, over the end of the week */
    CHECK(open_at(sunday, "2026-11-23T01:59"));
    CHECK(!open_at(sunday, "2026-11-23T02:00"));
    CHECK(!open_at(sunday, "2026-11-22T01:00")); /* Saturday's night, which it has not */
    CHECK(open_at(whole, "2026-11-23T00:00"));
    CHECK(open_at(whole, "2026-11-23T23:59"));
    CHECK(!open_at(whole, "2026-11-24T00:00"));
    CHECK(!open_at(noon, "2026-11-23T11:59"));
    CHECK(open_at(noon, "2026-11-24T11:59"));
    CHECK(!open_at(noon, "2026-11-24T12:00"));
}

static void breaks(void)
{
    static const char day[] = HOURS(0, "10:00", "22:00", BREAK("15:00", "17:00"));
    static const char night[] = HOURS(0, "18:00", "04:00", BREAK("00:30", "01:00"));
    static const char across[] = HOURS(0, "18:00", "04:00", BREAK("23:30", "00:30"));

    CHECK(open_at(day, "2026-11-23T14:59"));
    CHECK(!open_at(day, "2026-11-23T15:00"));
    CHECK(!open_at(day, "2026-11-23T16:59"));
    CHECK(open_at(day, "2026-11-23T17:00"));
    CHECK(open_at(night, "2026-11-24T00:29"));
    CHECK(!open_at(night, "2026-11-24T00:30"));
    CHECK(open_at(night, "2026-11-24T01:00"));
    CHECK(open_at(across, "2026-11-23T23:29"));
    CHECK(!open_at(across, "2026-11-23T23:30"));
    CHECK(!open_at(across, "2026-11-24T00:29"));
    CHECK(open_at(across, "2026-11-24T00:30"));
    CHECK(open_at(HOURS(0, "10:00", "22:00", ",\"breakFrom\":\"15:00\""), "2026-11-23T15:30"));
}

static enum err refusal(struct store_copy s)
{
    s.hours = STR("{\"hours\":[{\"weekday\":0,\"opens\":\"00:00\",\"closes\":\"24:00\"}]}");
    cx.story = (struct story){0};
    return store_copy_open(&cx, &s, at("2026-11-23T12:00"));
}

static void ban_pause_and_the_end(void)
{
    int64_t noon = at("2026-11-23T12:00");

    CHECK(refusal((struct store_copy){0}) == ERR_OK);
    CHECK(refusal((struct store_copy){.is_banned = true}) == ERR_STORE_CLOSED);
    CHECK(refusal((struct store_copy){.paused_until = noon + 1}) == ERR_STORE_CLOSED);
    CHECK(refusal((struct store_copy){.paused_until = noon}) == ERR_OK);
    CHECK(refusal((struct store_copy){.deleted = true, .is_banned = true}) == ERR_GONE);
}

/* Expected metres: the haversine formula on a sphere of 6,371,008.8 m, worked out elsewhere. */
static void the_way_to_the_door(void)
{
    static const int64_t points[][5] = {
        {37500000, 127036500, 37556300, 126923600, 11761}, /* Gangnam to Hongdae */
        {37497942, 127027621, 37500000, 127036500, 816},   /* a walk */
        {35179600, 129075600, 35158700, 129160400, 8051},  /* Busan */
        {33499600, 126531200, 33254100, 126560100, 27430}, /* across Jeju */
        {33500000, 126500000, 33500000, 126600000, 9272},  /* along its coast */
    };

    for (size_t i = 0; i < COUNT_OF(points); i++) {
        const int64_t *p = points[i];
        const struct store_copy s = {.latitude = p[0], .longitude = p[1]};
        int64_t off = store_copy_distance_m(&s, p[2], p[3]) - p[4];
        CHECK(off >= -2 - p[4] / 500 && off <= 2 + p[4] / 500);
    }
    const struct store_copy here = {.latitude = 37500000, .longitude = 127000000};
    const struct store_copy pole = {.latitude = -90000000, .longitude = -180000000};
    CHECK_INT(store_copy_distance_m(&here, 37500000, 127000000), 0);
    CHECK_INT(store_copy_distance_m(&here, 37501000, 127000000), 111);
    CHECK(store_copy_distance_m(&pole, 90000000, 180000000) > 10000000);
}

int main(void)
{
    arena_init(&arena, 8u * 1024 * 1024);
    rng_seed(&rng, 7);
    cx = (struct ctx){.arena = &arena, .clock = &clock_system, .rng = &rng};
    RUN(an_item_alone);
    RUN(options_add_to_the_price_of_one);
    RUN(groups_have_a_least_and_a_most);
    RUN(options_are_of_this_item);
    RUN(what_cannot_be_had);
    RUN(too_much_money_is_refused);
    RUN(one_key_per_choice);
    RUN(hours_are_of_seoul);
    RUN(hours_past_midnight);
    RUN(breaks);
    RUN(ban_pause_and_the_end);
    RUN(the_way_to_the_door);
    arena_release(&arena);
    return test_end();
}
