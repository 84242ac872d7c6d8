/* json_fuzz.c -- any bytes into the strict decoder; what it takes must survive being written and
 * read again. */
#include "data/json.h"

struct inner {
    struct str name;
    int64_t won;
};
static const struct field inner_fields[] = {
    F_STR(struct inner, name, "name", REQUIRED, 0, 20, ""),
    F_WON(struct inner, won, "won", 0, ""),
    F_END(struct inner),
};
struct all {
    bool yes, has_maybe, maybe;
    int64_t number, has_number_text, decimal, time, minute;
    struct str text, day, raw;
    int choice;
    struct uuid id;
    struct inner one, *other;
    struct list many, words, ids;
};
static const char *const choices[] = {"A", "B", "가", NULL};
static const struct field all_fields[] = {
    F_BOOL(struct all, yes, "yes", 0, ""),
    F_OPT_BOOL(struct all, maybe, "maybe", NULLABLE, ""),
    F_INT(struct all, number, "number", 0, INT64_MIN, INT64_MAX, ""),
    F_DECIMAL(struct all, decimal, "decimal", 0, 6, -90000000, 90000000, ""),
    F_TIME(struct all, time, "time", NULLABLE, ""),
    F_HHMM(struct all, minute, "minute", 0, ""),
    F_STR(struct all, text, "text", NULLABLE, 0, 1000, ""),
    F_DATE(struct all, day, "day", NULLABLE, ""),
    F_RAW(struct all, raw, "raw", 0, ""),
    F_ENUM(struct all, choice, "choice", 0, choices, ""),
    F_UUID(struct all, id, "id", NULLABLE, ""),
    F_OBJECT(struct all, one, "one", REQUIRED, inner_fields, ""),
    F_OBJECT_PTR(struct all, other, "other", NULLABLE, inner_fields, ""),
    F_LIST(struct all, many, "many", 0, 0, 20, inner_fields, ""),
    F_STRS(struct all, words, "words", 0, 0, 20, 20, ""),
    F_UUIDS(struct all, ids, "ids", 0, 0, 20, ""),
    F_END(struct all),
};

static void write_all(struct buf *b, const struct all *v)
{
    buf_clear(b);
    json_encode(b, all_fields, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = {(const char *)bytes, n};
    struct arena arena;
    struct rng rng;
    struct all first, second;
    struct buf once, twice;

    arena_init(&arena, 64u << 20);
    rng_seed(&rng, 1);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    buf_init(&once, 8u << 20);
    buf_init(&twice, 8u << 20);
    bool valid = json_is_valid(text);
    enum err e = json_decode(&cx, all_fields, &first, text);
    assert(valid || e != ERR_OK); /* nothing is taken that is not JSON */
    if (e == ERR_OK) {
        write_all(&once, &first);
        assert(json_is_valid(buf_str(&once)));
        assert(json_decode_lenient(&cx, all_fields, &second, buf_str(&once)) == ERR_OK);
        write_all(&twice, &second);
        assert(str_eq(buf_str(&once), buf_str(&twice)));
    }
    (void)!json_decode_lenient(&cx, all_fields, &first, text);
    buf_release(&once);
    buf_release(&twice);
    arena_release(&arena);
    return 0;
}
