/* store_test.c -- distance, opening hours in Seoul, what a store's name is found by. */
#include "test.h"

#include "store/store.h"

static struct arena arena;
static struct ctx cx;

/* Expected metres: the haversine formula on a sphere of 6,371,008.8 m, worked out elsewhere. */
static void distances_agree_with_the_sphere(void)
{
    static const int64_t points[][5] = {
        {37500000, 127036500, 37556300, 126923600, 11761}, /* Gangnam to Hongdae */
        {37497942, 127027621, 37500000, 127036500, 816},   /* a walk */
        {37570300, 126981600, 37512500, 127102500, 12447}, /* Jongno to Jamsil */
        {35179600, 129075600, 35158700, 129160400, 8051},  /* Busan */
        {33499600, 126531200, 33254100, 126560100, 27430}, /* across Jeju */
    };

    for (size_t i = 0; i < COUNT_OF(points); i++) {
        const int64_t *p = points[i];
        int64_t off = distance_m(p[0], p[1], p[2], p[3]) - p[4];
        /* The cosine has three digits: at most half a thousandth of the way east. */
        CHECK(llabs(off) <= 2 + p[4] / 1000);
    }
    CHECK_INT(distance_m(37500000, 127000000, 37500000, 127000000), 0);
    CHECK_INT(distance_m(37500000, 127000000, 37501000, 127000000), 111);
}

static void distance_is_symmetric_and_bounded(void)
{
    int64_t there = distance_m(37500000, 127000000, 37600000, 127100000);
    int64_t back = distance_m(37600000, 127100000, 37500000, 127000000);

    CHECK(llabs(there - back) <= 20);
    CHECK(distance_m(-90000000, -180000000, 90000000, 180000000) > 20000000);
    CHECK_INT(distance_cos_milli(0), 1000);
    CHECK_INT(distance_cos_milli(60000000), 500);
}

static int64_t at(const char *seoul) /* "2026-11-23T10:00", a Monday */
{
    int64_t us = 0;
    char text[40];

    snprintf(text, sizeof text, "%s:00+09:00", seoul);
    CHECK(time_parse(str_from(text), &us));
    return us;
}

static struct list of(struct hours *h, size_t n)
{
    return (struct list){h, n};
}

static void an_ordinary_day(void)
{
    struct hours monday[] = {{.weekday = 0, .opens = 600, .closes = 1320}};
    struct list h = of(monday, 1);

    CHECK(!hours_open_at(h, at("2026-11-23T09:59")));
    CHECK(hours_open_at(h, at("2026-11-23T10:00")));
    CHECK(hours_open_at(h, at("2026-11-23T21:59")));
    CHECK(!hours_open_at(h, at("2026-11-23T22:00")));
    CHECK(!hours_open_at(h, at("2026-11-24T12:00"))); /* no row: a day off */
    CHECK_INT(hours_next_opening(h, at("2026-11-23T22:00")), at("2026-11-30T10:00"));
    CHECK_INT(hours_next_opening(h, at("2026-11-23T09:59")), at("2026-11-23T10:00"));
    CHECK_INT(hours_next_opening(h, at("2026-11-22T23:30")), at("2026-11-23T10:00"));
}

/* The server's own zone must not matter: 23:30 in London is Tuesday morning in Seoul. */
static void the_wall_is_in_seoul(void)
{
    struct hours tuesday[] = {{.weekday = 1, .opens = 480, .closes = 540}};
    int64_t us = 0;

    CHECK(time_parse(STR("2026-11-23T23:30:00Z"), &us));
    CHECK(hours_open_at(of(tuesday, 1), us));
    setenv("TZ", "America/New_York", 1);
    CHECK(hours_open_at(of(tuesday, 1), us));
}

static void past_midnight(void)
{
    struct hours friday[] = {{.weekday = 4, .opens = 1080, .closes = 120}};
    struct hours sunday[] = {{.weekday = 6, .opens = 1200, .closes = 60}};

    CHECK(hours_open_at(of(friday, 1), at("2026-11-27T18:00")));
    CHECK(hours_open_at(of(friday, 1), at("2026-11-28T00:00"))); /* Saturday, still Friday's */
    CHECK(hours_open_at(of(friday, 1), at("2026-11-28T01:59")));
    CHECK(!hours_open_at(of(friday, 1), at("2026-11-28T02:00")));
    CHECK(!hours_open_at(of(friday, 1), at("2026-11-27T01:00"))); /* Thursday had no hours */
    CHECK(hours_open_at(of(sunday, 1), at("2026-11-23T00:30")));  /* the week wraps */
    CHECK(!hours_open_at(of(sunday, 1), at("2026-11-23T01:00")));
}

static void round_the_clock(void)
{
    struct hours all[WEEKDAYS];

    for (int i = 0; i < WEEKDAYS; i++)
        all[i] = (struct hours){.weekday = i, .opens = 0, .closes = 1440};
    int64_t closed = 0;
    for (int minute = 0; minute < 7 * 1440; minute += 7)
        closed += !hours_open_at(of(all, WEEKDAYS), at("2026-11-23T00:00") + minute * US_PER_MIN);
    CHECK_INT(closed, 0);
    CHECK(hours_open_at(of(all, WEEKDAYS), at("2026-11-23T23:59")));
}

static void breaks(void)
{
    struct hours day[] = {{0, 600, 1320, 900, 1020, true, true}};
    struct hours night[] = {{0, 1080, 240, 60, 90, true, true}}; /* the break is on Tuesday */
    struct list h = of(day, 1), n = of(night, 1);

    CHECK(hours_open_at(h, at("2026-11-23T14:59")));
    CHECK(!hours_open_at(h, at("2026-11-23T15:00")));
    CHECK(!hours_open_at(h, at("2026-11-23T16:59")));
    CHECK(hours_open_at(h, at("2026-11-23T17:00")));
    CHECK_INT(hours_next_opening(h, at("2026-11-23T15:30")), at("2026-11-23T17:00"));
    CHECK(hours_open_at(n, at("2026-11-24T00:59")));
    CHECK(!hours_open_at(n, at("2026-11-24T01:00")));
    CHECK(hours_open_at(n, at("2026-11-24T01:30")));
    CHECK(hours_open_at(n, at("2026-11-24T03:59")));
    CHECK(!hours_open_at(n, at("2026-11-24T04:00")));
    CHECK_INT(hours_next_opening(n, at("2026-11-24T01:10")), at("2026-11-24T01:30"));
}

static void breaks_at_the_ends_of_a_day(void)
{
    struct hours first[] = {{0, 600, 1320, 600, 720, true, true}};
    struct hours last[] = {{0, 600, 1320, 1200, 1320, true, true}};

    CHECK(!hours_open_at(of(first, 1), at("2026-11-23T10:00")));
    CHECK_INT(hours_next_opening(of(first, 1), at("2026-11-23T09:00")), at("2026-11-23T12:00"));
    CHECK_INT(hours_next_opening(of(first, 1), at("2026-11-23T22:00")), at("2026-11-30T12:00"));
    CHECK_INT(hours_next_opening(of(last, 1), at("2026-11-23T20:30")), at("2026-11-30T10:00"));
}

static void no_hours_never_open(void)
{
    CHECK(!hours_open_at((struct list){NULL, 0}, at("2026-11-23T12:00")));
    CHECK_INT(hours_next_opening((struct list){NULL, 0}, at("2026-11-23T12:00")), 0);
}

static void names_are_folded(void)
{
    CHECK_STR(search_text(&cx, STR("바삭대장 치킨")), "바삭대장치킨 ㅂㅅㄷㅈㅊㅋ");
    CHECK_STR(search_text(&cx, STR("BHC Chicken")), "bhcchicken ");
    CHECK_STR(search_text(&cx, STR("까치네 떡볶이")), "까치네떡볶이 ㄲㅊㄴㄸㅂㅇ");
    CHECK_STR(search_text(&cx, STR("가힣")), "가힣 ㄱㅎ"); /* first and last syllable */
    CHECK_STR(search_text(&cx, STR("")), " ");
    CHECK_STR(search_text(&cx, STR("ㄳ 커피")), "ㄱㅅ커피 ㅋㅍ");
}

static void patterns_mean_themselves(void)
{
    CHECK_STR(search_pattern(&cx, STR("치 킨")), "%치킨%");
    CHECK_STR(search_pattern(&cx, STR("ㅊㅋ")), "%ㅊㅋ%");
    CHECK_STR(search_pattern(&cx, STR("ㅄㄷㅈ")), "%ㅂㅅㄷㅈ%"); /* as typed: ㅂ, ㅅ, ... */
    CHECK_STR(search_pattern(&cx, STR("ㄳ ㅀ")), "%ㄱㅅㄹㅎ%");
    CHECK_STR(search_pattern(&cx, STR("값")), "%값%");
    CHECK_STR(search_pattern(&cx, STR("100%_\\")), "%100\\%\\_\\\\%");
}

static void keys_give_korean(void)
{
    CHECK_STR(keyboard_korean(&cx, STR("clzls")), "치킨");
    CHECK_STR(keyboard_korean(&cx, STR("EjrqhRdl")), "떡볶이");
    CHECK_STR(keyboard_korean(&cx, STR("ekfrrkfql")), "닭갈비"); /* a double final, then its own */
    CHECK_STR(keyboard_korean(&cx, STR("ekfrdl")), "닭이");
    CHECK_STR(keyboard_korean(&cx, STR("dnfaus")), "울면");
    CHECK_STR(keyboard_korean(&cx, STR("rhkdls qlqlaqkq")), "과인 비빔밥");
    CHECK_STR(keyboard_korean(&cx, STR("dmldnjsgnlwhl")), "의원휘죄");
    CHECK_STR(keyboard_korean(&cx, STR("cz")), "ㅊㅋ");
    CHECK_STR(keyboard_korean(&cx, STR("RKcl")), "까치");
    CHECK_STR(keyboard_korean(&cx, STR("k7ho")), "ㅏ7ㅙ");
    CHECK(keyboard_korean(&cx, STR("치킨 24")).p == NULL);
    CHECK(keyboard_korean(&cx, STR("")).p == NULL);
}

int main(void)
{
    arena_init(&arena, 16 * 1024 * 1024);
    cx = (struct ctx){.arena = &arena, .clock = &clock_system};
    RUN(distances_agree_with_the_sphere);
    RUN(distance_is_symmetric_and_bounded);
    RUN(an_ordinary_day);
    RUN(the_wall_is_in_seoul);
    RUN(past_midnight);
    RUN(round_the_clock);
    RUN(breaks);
    RUN(breaks_at_the_ends_of_a_day);
    RUN(no_hours_never_open);
    RUN(names_are_folded);
    RUN(patterns_mean_themselves);
    RUN(keys_give_korean);
    arena_release(&arena);
    return test_end();
}
