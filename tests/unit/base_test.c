/* base_test.c -- strings, arenas, buffers, time, ids, money and randomness at their edges. */
#include "test.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/money.h"
#include "base/uuid.h"

static void strings(void)
{
    struct str head, tail;

    CHECK(str_from(NULL).p == NULL);
    CHECK(str_eq(STR("a"), STR("a")) && !str_eq(STR("a"), STR("ab")) &&
          !str_eq(STR("a"), STR("A")));
    CHECK(str_eq_nocase(STR("Host"), STR("hOST")) && !str_eq_nocase(STR("a"), STR("ab")));
    CHECK(!str_eq_nocase(STR("["), STR("{"))); /* differ by the same bit as letters do */
    CHECK(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("b"), STR("ab")) > 0);
    CHECK(str_cmp(STR("a"), STR("a")) == 0 && str_cmp(STR(""), STR("a")) < 0);
    CHECK(str_starts(STR("abc"), STR("ab")) && !str_starts(STR("a"), STR("ab")));
    CHECK(str_ends(STR("abc"), STR("bc")) && str_ends(STR("abc"), STR("")) &&
          !str_ends(STR("c"), STR("bc")));
    CHECK_STR(str_trim(STR(" \ta b\t ")), "a b");
    CHECK_INT(str_trim(STR(" \t ")).n, 0);
    CHECK(str_cut(STR("a=b=c"), '=', &head, &tail));
    CHECK_STR(head, "a");
    CHECK_STR(tail, "b=c");
    CHECK(!str_cut(STR("abc"), '=', &head, &tail));
    CHECK_STR(head, "abc");
    CHECK_INT(tail.n, 0);
    CHECK(str_cut(STR("="), '=', &head, &tail) && head.n == 0 && tail.n == 0);
    CHECK_INT(str_find(STR("banana"), STR("nan")), 2);
    CHECK_INT(str_find(STR("banana"), STR("")), 0);
    CHECK(str_find(STR("ban"), STR("banana")) == SIZE_MAX);
    CHECK(str_eq_secret(STR("abc"), STR("abc")) && !str_eq_secret(STR("abc"), STR("abd")) &&
          !str_eq_secret(STR("abc"), STR("ab")) && str_eq_secret(STR(""), STR("")));
    CHECK(str_hash(STR("a")) != str_hash(STR("b")));
}

static void whole_numbers(void)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      "01",
                                      "-0",
                                      "-01",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e",
                                      "0x1",
                                      "--1",
                                      "1_0",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999"};
    int64_t v = 7;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!str_i64(str_from(bad[i]), INT64_MIN, INT64_MAX, &v));
    CHECK_INT(v, 7); /* untouched on failure */
    CHECK(str_i64(STR("9223372036854775807"), INT64_MIN, INT64_MAX, &v) && v == INT64_MAX);
    CHECK(str_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &v) && v == INT64_MIN);
    CHECK(str_i64(STR("0"), 0, 0, &v) && v == 0);
    CHECK(!str_i64(STR("10"), 0, 9, &v) && !str_i64(STR("-1"), 0, 9, &v));
}

static void utf8(void)
{
    const struct str bad[] = {STR("\x80"),
                              STR("\xC0\x80"),
                              STR("\xC1\xBF"),
                              STR("\xE0\x9F\xBF"),
                              STR("\xED\xA0\x80"),
                              STR("\xF0\x8F\xBF\xBF"),
                              STR("\xF4\x90\x80\x80"),
                              STR("\xF5\x80\x80\x80"),
                              STR("\xEA\xB0"),
                              STR("a\xFF"),
                              STR("\xC2"),
                              STR("\xC2\x41"),
                              STR("\xF0\x9F\x98")};
    const struct str good[] = {STR(""),
                               STR("abc"),
                               STR("\xC2\x80"),
                               STR("\xDF\xBF"),
                               STR("\xE0\xA0\x80"),
                               STR("\xED\x9F\xBF"),
                               STR("\xEE\x80\x80"),
                               STR("\xF0\x90\x80\x80"),
                               STR("\xF4\x8F\xBF\xBF"),
                               STR("a\0b")};

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!str_is_utf8(bad[i]));
    for (size_t i = 0; i < COUNT_OF(good); i++)
        CHECK(str_is_utf8(good[i]));
    CHECK_INT(str_utf8_length(STR("a\xC3\xA9\xEA\xB0\x80\xF0\x9F\x98\x80")), 4);
}

static void arenas(void)
{
    struct arena a;
    unsigned char *kept[64];

    arena_init(&a, 8u << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(kept); i++) {
            size_t size = (i * i * 37) % 70000;
            kept[i] = arena_alloc(&a, size);
            CHECK((uintptr_t)kept[i] % 16 == 0);
            memset(kept[i], (int)i, size);
        }
        bool whole = true;
        for (size_t i = 0; i < COUNT_OF(kept); i++)
            for (size_t j = 0; j < (i * i * 37) % 70000; j++)
                whole = whole && kept[i][j] == i;
        CHECK(whole);
        arena_reset(&a);
        CHECK_INT(a.used, 0);
    }
    int64_t *zeroed = arena_array(&a, 1000, sizeof *zeroed), sum = 0;
    for (size_t i = 0; i < 1000; i++)
        sum |= zeroed[i];
    CHECK_INT(sum, 0);
    CHECK(arena_copy(&a, STR_NONE).p == NULL && arena_copy(&a, STR("")).p != NULL);
    CHECK_STR(arena_printf(&a, "%d-%s", 42, "x"), "42-x");
    CHECK_INT(strlen(arena_cstr(&a, (struct str){"abcdef", 3})), 3);
    arena_release(&a);
}

static void buffers(void)
{
    struct arena a;
    struct buf b;

    arena_init(&a, 8u << 20);
    for (int in_arena = 0; in_arena < 2; in_arena++) {
        if (in_arena)
            buf_init_arena(&b, &a, 1000);
        else
            buf_init(&b, 1000);
        buf_i64(&b, INT64_MIN);
        buf_char(&b, ' ');
        buf_i64(&b, 0);
        buf_printf(&b, " %s", "x");
        CHECK_STR(buf_str(&b), "-9223372036854775808 0 x");
        buf_drop(&b, 21);
        CHECK_STR(buf_str(&b), "0 x");
        buf_clear(&b);
        buf_printf(&b, "%999d", 1); /* longer than any short way of printing */
        CHECK(b.n == 999 && !b.overflow);
        buf_char(&b, 'x');
        CHECK(b.n == 1000 && !b.overflow);
        buf_char(&b, 'x');
        CHECK(b.n == 1000 && b.overflow);
        buf_lit(&b, "");
        CHECK(b.overflow); /* once over, always over */
        buf_clear(&b);
        buf_lit(&b, "again");
        CHECK(!b.overflow);
        CHECK_STR(buf_str(&b), "again");
        CHECK(!buf_reserve(&b, SIZE_MAX) && b.overflow);
        if (!in_arena)
            buf_release(&b);
    }
    arena_release(&a);
}

static void times(void)
{
    static const char *const bad[] = {"2026-11-23",
                                      "2026-11-23T10:00:00",
                                      "2026-11-23 10:00:00Z",
                                      "2026-02-29T10:00:00Z",
                                      "2026-11-23T24:00:00Z",
                                      "2026-11-23T10:60:00Z",
                                      "2026-11-23T10:00:60Z",
                                      "2026-11-23T10:00:00.Z",
                                      "2026-11-23T10:00:00+9",
                                      "1969-12-31T23:59:59Z",
                                      "2200-01-01T00:00:00Z",
                                      "2026-11-23T10:00:00Zx",
                                      "2026-11-23T10:00:00.1234567890Z",
                                      "2026-11-23T10:00:00+24:00",
                                      "1970-01-01T00:00:00+09:00",
                                      "2199-12-31T23:59:59-01:00",
                                      "",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-1-01T00:00:00Z"};
    char text[TIME_TEXT_SIZE];
    int64_t us, again;
    int y, m, d;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        bool taken = time_parse(str_from(bad[i]), &us);
        CHECK(!taken);
        if (taken)
            printf("# %s\n", bad[i]);
    }
    CHECK_STR(time_format(0, text), "1970-01-01T00:00:00Z");
    CHECK(time_parse(STR("2026-11-23T10:00:00.000001Z"), &us));
    CHECK_STR(time_format(us, text), "2026-11-23T10:00:00.000001Z");
    CHECK(time_parse(STR("2026-11-23T19:00:00.000001+09:00"), &again) && again == us);
    CHECK(time_parse(STR("2026-11-23T04:30:00.000001-05:30"), &again) && again == us);
    for (int64_t day = 0; day < 84000; day += 13) { /* to 2199, by way of text and back */
        us = day * US_PER_DAY + 12345678;
        if (!time_parse(time_format(us, text), &again) || again != us)
            break;
    }
    CHECK_INT(again, us);
    CHECK(date_parse(STR("2000-02-29"), &y, &m, &d) && y == 2000 && m == 2 && d == 29);
    CHECK(!date_parse(STR("2100-02-29"), &y, &m, &d) && !date_parse(STR("2026-04-31"), &y, &m, &d));
    CHECK(!date_parse(STR("2026-4-30"), &y, &m, &d) && !date_parse(STR("2026-04-00"), &y, &m, &d));
    struct clock stopped = {true, 42};
    CHECK_INT(clock_now(&stopped), 42);
    CHECK(clock_now(&clock_system) > INT64_C(1700000000) * US_PER_S);
}

static void seoul(void)
{
    int64_t us = 0;

    CHECK(time_parse(STR("2026-11-22T15:00:00Z"), &us)); /* Sunday's end is Monday's begin */
    struct seoul_time t = seoul_time(us);
    CHECK(t.year == 2026 && t.month == 11 && t.day == 23);
    CHECK_INT(t.weekday, 0);
    CHECK_INT(t.minute_of_day, 0);
    t = seoul_time(us - 1);
    CHECK_INT(t.weekday, 6);
    CHECK_INT(t.minute_of_day, 1439);
    CHECK(time_parse(STR("2027-12-31T15:30:00Z"), &us));
    t = seoul_time(us);
    CHECK(t.year == 2028 && t.month == 1 && t.day == 1 && t.minute_of_day == 30);
}

static void ids(void)
{
    static const char *const bad[] = {"",
                                      "0190a3f0-0000-7000-8000-00000000000",
                                      "0190a3f0-0000-7000-8000-0000000000011",
                                      "0190a3f00000-7000-8000-000000000001-",
                                      "0190a3f0-0000-7000-8000-00000000000g",
                                      "0190a3f0_0000_7000_8000_000000000001"};
    struct rng r;
    struct uuid u, v, last = UUID_NIL;
    char text[UUID_TEXT_SIZE];

    rng_seed(&r, 9);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!uuid_parse(str_from(bad[i]), &u));
    for (int i = 0; i < 1000; i++) {
        u = uuid_v7(INT64_C(1796000000000000) + i * US_PER_MS, &r);
        CHECK((u.b[6] & 0xF0) == 0x70 && (u.b[8] & 0xC0) == 0x80);
        CHECK(uuid_cmp(last, u) < 0); /* later is greater */
        last = u;
    }
    CHECK(uuid_parse(uuid_format(u, text), &v) && uuid_eq(u, v));
    CHECK(uuid_parse(STR("0190A3F0-0000-7000-8000-00000000000F"), &u));
    CHECK_STR(uuid_format(u, text), "0190a3f0-0000-7000-8000-00000000000f");
    CHECK(uuid_is_nil(UUID_NIL) && !uuid_is_nil(u));
}

static void money(void)
{
    int64_t v = 5;

    CHECK_INT(money_add(MONEY_MAX, 0, &v), ERR_OK);
    CHECK_INT(v, MONEY_MAX);
    CHECK_INT(money_add(MONEY_MAX, 1, &v), ERR_AMOUNT_OVERFLOW);
    CHECK_INT(money_add(-MONEY_MAX, -1, &v), ERR_AMOUNT_OVERFLOW);
    CHECK_INT(money_add(INT64_MAX, INT64_MAX, &v), ERR_AMOUNT_OVERFLOW);
    CHECK_INT(money_mul(INT64_C(1) << 40, INT64_C(1) << 40, &v), ERR_AMOUNT_OVERFLOW);
    CHECK_INT(money_mul(INT64_MIN, -1, &v), ERR_AMOUNT_OVERFLOW);
    CHECK_INT(v, MONEY_MAX); /* untouched on failure */
    CHECK_INT(money_mul(18000, 3, &v), ERR_OK);
    CHECK_INT(v, 54000);
}

static void randomness(void)
{
    struct rng a, b, kernel;
    int seen[6] = {0};
    unsigned char bytes[1000] = {0};
    size_t zeros = 0;

    rng_seed(&a, 1);
    rng_seed(&b, 1);
    for (int i = 0; i < 100; i++)
        CHECK(rng_u64(&a) == rng_u64(&b));
    rng_seed(&b, 2);
    CHECK(rng_u64(&a) != rng_u64(&b));
    for (int i = 0; i < 6000; i++)
        seen[rng_below(&a, 6)]++;
    for (int i = 0; i < 6; i++)
        CHECK(seen[i] > 800 && seen[i] < 1200);
    CHECK_INT(rng_below(&a, 1), 0);
    rng_init(&kernel);
    rng_bytes(&kernel, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        zeros += bytes[i] == 0;
    CHECK(zeros < 30); /* 4 are expected of 1000 */
    CHECK(rng_u64(&kernel) != rng_u64(&kernel));
}

static void every_error_has_its_row(void)
{
    CHECK_STR(str_from(err_row(ERR_OK)->code), "OK");
    for (int e = 0; e < ERR_COUNT; e++) {
        const struct err_row *row = err_row((enum err)e);
        CHECK(row->code && row->ko && row->en && *row->code);
        CHECK(e == 0 ? row->status == 200 : row->status >= 400 && row->status < 600);
        for (int other = 0; other < e; other++)
            CHECK(strcmp(err_row((enum err)other)->code, row->code) != 0);
    }
}

int main(void)
{
    RUN(strings);
    RUN(whole_numbers);
    RUN(utf8);
    RUN(arenas);
    RUN(buffers);
    RUN(times);
    RUN(seoul);
    RUN(ids);
    RUN(money);
    RUN(randomness);
    RUN(every_error_has_its_row);
    return test_end();
}
