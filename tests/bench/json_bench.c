/* json_bench.c -- what decoding and encoding an order's JSON costs, beside cJSON where it is
 * installed. */
#include "data/json.h"

#include <sys/resource.h>

#ifdef HAVE_CJSON
#include <cjson/cJSON.h>
#endif
#define ROUNDS 100000

struct line {
    struct uuid menu_item_id;
    struct str name, note;
    int64_t unit_won, quantity;
    struct list option_ids;
};
static const struct field line_fields[] = {
    F_UUID(struct line, menu_item_id, "menuItemId", REQUIRED, "what"),
    F_STR(struct line, name, "name", REQUIRED, 1, 60, "as ordered"),
    F_STR(struct line, note, "note", 0, 0, 100, "to the kitchen"),
    F_WON(struct line, unit_won, "unitWon", REQUIRED, "price of one"),
    F_INT(struct line, quantity, "quantity", REQUIRED, 1, 99, "how many"),
    F_UUIDS(struct line, option_ids, "optionIds", 0, 0, 50, "chosen options"),
    F_END(struct line),
};

struct order {
    struct uuid order_id;
    struct str address;
    int64_t total_won, placed_at;
    struct list lines;
};
static const struct field order_fields[] = {
    F_UUID(struct order, order_id, "orderId", REQUIRED, "the order"),
    F_STR(struct order, address, "address", REQUIRED, 1, 200, "where to"),
    F_WON(struct order, total_won, "totalWon", REQUIRED, "to pay"),
    F_TIME(struct order, placed_at, "placedAt", REQUIRED, "when"),
    F_LIST(struct order, lines, "lines", REQUIRED, 1, 50, line_fields, "what"),
    F_END(struct order),
};

#define LINE(id)                                                                                      \
    "{\"menuItemId\":\"019b76da-a800-7007-8000-00010007000" id "\",\"name\":\"후라이드 치킨\"," \
    "\"note\":\"less salt, please\",\"unitWon\":18000,\"quantity\":2,"                                \
    "\"optionIds\":[\"019b76da-a800-7009-8000-000100070001\"]}"
static const char text[] =
    "{\"orderId\":\"019b76da-a800-7010-8000-000000000001\",\"address\":\"서울특별시 강남구 "
    "테헤란로 1\",\"totalWon\":108000,\"placedAt\":\"2026-01-01T09:30:00.123456Z\",\"lines\":"
    "[" LINE("1") "," LINE("2") "," LINE("3") "]}";

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec * 1e6 + (double)u.ru_utime.tv_usec +
           (double)u.ru_stime.tv_sec * 1e6 + (double)u.ru_stime.tv_usec;
}

static void report(const char *what, double since)
{
    double each = (cpu_us() - since) / ROUNDS;
    printf("%-28s %7.2f us %8.0f MB/s\n", what, each, (double)(sizeof(text) - 1) / each);
}

static void ours(struct ctx *cx)
{
    struct str in = {text, sizeof(text) - 1};
    struct order order;
    struct buf out;

    double start = cpu_us();
    for (int i = 0; i < ROUNDS; i++) {
        arena_reset(cx->arena);
        if (json_decode(cx, order_fields, &order, in) != ERR_OK)
            abort();
    }
    report("jumun: checked, into structs", start);
    start = cpu_us();
    for (int i = 0; i < ROUNDS; i++) {
        arena_reset(cx->arena);
        if (json_decode(cx, order_fields, &order, in) != ERR_OK)
            abort();
        buf_init_arena(&out, cx->arena, 1u << 16);
        json_encode(&out, order_fields, &order);
        if (buf_str(&out).n != in.n)
            abort();
    }
    report("jumun: and written again", start);
}

#ifdef HAVE_CJSON
static void cjson(void)
{
    double start = cpu_us();
    for (int i = 0; i < ROUNDS; i++)
        cJSON_Delete(cJSON_Parse(text));
    report("cJSON: a tree, unchecked", start);
    start = cpu_us();
    for (int i = 0; i < ROUNDS; i++) {
        cJSON *tree = cJSON_Parse(text);
        free(cJSON_PrintUnformatted(tree));
        cJSON_Delete(tree);
    }
    report("cJSON: and written again", start);
}
#endif

int main(void)
{
    struct arena arena;
    struct rng rng;

    arena_init(&arena, 1u << 20);
    rng_init(&rng);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    printf("an order of %zu bytes, CPU time of one thread\n", sizeof(text) - 1);
    ours(&cx);
#ifdef HAVE_CJSON
    cjson();
#endif
    arena_release(&arena);
    return 0;
}
