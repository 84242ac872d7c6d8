/* json_test.c -- what is JSON and what is not, rule by rule of RFC 8259, and what field tables make
 * of it. */
#include "test.h"

#include "data/json.h"

static struct arena arena;
static struct ctx cx;

static void fresh(void)
{
    arena_reset(&arena);
    cx = (struct ctx){.arena = &arena, .clock = &clock_system};
}

/* A text with its length, so that NUL bytes may stand in it. */
#define TEXT(literal)                                                                              \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

static void check_texts(const struct str *texts, size_t n, bool valid)
{
    for (size_t i = 0; i < n; i++) {
        /* an exact copy on the heap: a read behind its end is found by the sanitizers */
        char *copy = malloc(texts[i].n + !texts[i].n);
        memcpy(copy, texts[i].p, texts[i].n);
        bool got = json_is_valid((struct str){copy, texts[i].n});
        CHECK_INT(got, valid);
        if (got != valid)
            printf("# %zu: %.*s\n", i, STR_ARG(texts[i]));
        free(copy);
    }
}

static void valid_texts_are_taken(void)
{
    /* clang-format off */
    static const struct str texts[] = {
        TEXT("[[]   ]"), TEXT("[\"\"]"), TEXT("[]"), TEXT("[\"a\"]"), TEXT("[false]"),
        TEXT("[null, 1, \"1\", {}]"), TEXT("[null]"), TEXT("[1\n]"), TEXT(" [1]"),
        TEXT("[1,null,null,null,2]"), TEXT("[2] "), TEXT("[]\n"), TEXT("\t\r\n []"),
        /* numbers */
        TEXT("[123e65]"), TEXT("[0e+1]"), TEXT("[0e1]"), TEXT("[ 4]"), TEXT("[-0]"),
        TEXT("[-123]"),
        TEXT("[-1]"), TEXT("[1E22]"), TEXT("[1E-2]"), TEXT("[1E+2]"), TEXT("[123e45]"),
        TEXT("[123.456e78]"), TEXT("[1e-2]"), TEXT("[1e+2]"), TEXT("[123]"), TEXT("[123.456789]"),
        TEXT("[-0.000000000000000000000000000000000000000000000000000000000000000000000000001]"),
        TEXT("[1e9999]"), TEXT("[-123123123123123123123123123123]"), TEXT("[0.4e00669999999999]"),
        /* objects */
        TEXT("{\"asd\":\"sdf\", \"dfg\":\"fgh\"}"), TEXT("{\"asd\":\"sdf\"}"),
        TEXT("{\"a\":\"b\",\"a\":\"c\"}"), TEXT("{}"), TEXT("{\"\":0}"),
        TEXT("{\"min\":-1.0e+28,\"max\":1.0e+28}"), TEXT("{\"a\":[]}"),
        TEXT("{\n\"a\": \"b\"\n}"),
        TEXT("{\"\\u0041\\uAC00\":1}"),
        /* strings */
        TEXT("[\"\\u0060\\u012a\\u12AB\"]"), TEXT("[\"\\uD801\\udc37\"]"),
        TEXT("[\"\\ud83d\\ude39\\ud83d\\udc8d\"]"), TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]"),
        TEXT("[\"\\\\u0000\"]"), TEXT("[\"\\\"\"]"), TEXT("[\"a/*b*/c/*d//e\"]"),
        TEXT("[\"\\\\a\"]"), TEXT("[\"\\\\n\"]"), TEXT("[\"\\uFFFF\"]"),
        TEXT("[\"\xF4\x8F\xBF\xBF\"]"),
        TEXT("[\"\xEF\xBF\xBF\"]"), TEXT("[\"\x7F\"]"), TEXT("[\"\\uDBFF\\uDFFF\"]"),
        TEXT("[\"\xE2\x80\xA8\"]"), TEXT("[\"\xEA\xB0\x80\"]"), TEXT("[\"\xC2\x80\"]"),
        TEXT("[\"new\\u000Aline\"]"), TEXT("\"asd\""), TEXT("\"\""), TEXT("\" \""),
        /* lonely values */
        TEXT("false"), TEXT("42"), TEXT("-0.1"), TEXT("null"), TEXT("true"), TEXT(" 1 "),
    };
    /* clang-format on */

    check_texts(texts, COUNT_OF(texts), true);
}

static void bad_numbers_are_refused(void)
{
    /* clang-format off */
    static const struct str texts[] = {
        TEXT("[++1234]"), TEXT("[+1]"), TEXT("[+Inf]"), TEXT("[-01]"), TEXT("[-1.0.]"),
        TEXT("[-2.]"),
        TEXT("[-NaN]"), TEXT("[.-1]"), TEXT("[.2e-3]"), TEXT("[0.1.2]"), TEXT("[0.3e+]"),
        TEXT("[0.3e]"), TEXT("[0.e1]"), TEXT("[0E+]"), TEXT("[0E]"), TEXT("[0e+]"), TEXT("[0e]"),
        TEXT("[1.0e+]"), TEXT("[1.0e-]"), TEXT("[1.0e]"), TEXT("[1 000.0]"), TEXT("[1eE2]"),
        TEXT("[2.e+3]"), TEXT("[2.e-3]"), TEXT("[2.e3]"), TEXT("[9.e+]"), TEXT("[Inf]"),
        TEXT("[NaN]"),
        TEXT("[\xEF\xBC\x91]"), TEXT("[1+2]"), TEXT("[0x1]"), TEXT("[0x42]"), TEXT("[Infinity]"),
        TEXT("[0e+-1]"), TEXT("[-123.123foo]"), TEXT("[123\xE5]"), TEXT("[1e1\xE5]"), TEXT("[-]"),
        TEXT("[-Infinity]"), TEXT("[-foo]"), TEXT("[- 1]"), TEXT("[-012]"), TEXT("[-.123]"),
        TEXT("[-1x]"), TEXT("[1ea]"), TEXT("[1.]"), TEXT("[.123]"), TEXT("[1.2a-3]"),
        TEXT("[1.8011670033376514H-308]"), TEXT("[012]"), TEXT("[00]"), TEXT("-"),
        TEXT("01"), TEXT("1."),
        TEXT("1e"), TEXT("1_000"), TEXT("0,5"),
    };
    /* clang-format on */

    check_texts(texts, COUNT_OF(texts), false);
}

static void bad_strings_are_refused(void)
{
    /* clang-format off */
    static const struct str texts[] = {
        TEXT("[\"\\uD800\\\"]"), TEXT("[\"\\uD800\\u\"]"), TEXT("[\"\\uD800\\u1\"]"),
        TEXT("[\"\\uD800\\u1x\"]"), TEXT("[\xC3\xA9]"), TEXT("[\"\\\0\"]"), TEXT("[\"\\\\\\\"]"),
        TEXT("[\"\\x00\"]"), TEXT("[\"\\\xF0\x9F\x8C\x80\"]"), TEXT("[\"\\\t\"]"),
        TEXT("[\"\\\"]"),
        TEXT("[\"\\u00A\"]"), TEXT("[\"\\uD834\\uDd\"]"), TEXT("[\"\\uD800\\uD800\\x\"]"),
        TEXT("[\"\\u\xE5\"]"), TEXT("[\"\\a\"]"), TEXT("[\"\\uqqqq\"]"), TEXT("[\"\\\xE5\"]"),
        TEXT("[\\u0020\"asd\"]"), TEXT("[\\n]"), TEXT("\""), TEXT("['single quote']"),
        TEXT("abc"),
        TEXT("[\"\\"), TEXT("[\"a\0a\"]"), TEXT("[\"new\nline\"]"), TEXT("[\"\t\"]"),
        TEXT("\"\\UA66D\""),
        TEXT("\"\"x"), TEXT("\"\x1F\""), TEXT("[\"\\'\"]"),
        /* lone and swapped surrogates */
        TEXT("[\"\\uDADA\"]"), TEXT("[\"\\uD888\\u1234\"]"), TEXT("[\"\\uD800\\n\"]"),
        TEXT("[\"\\uDd1ea\"]"), TEXT("[\"\\uD800\\uD800\\n\"]"), TEXT("[\"\\ud800\"]"),
        TEXT("[\"\\ud800abc\"]"), TEXT("[\"\\uDd1e\\uD834\"]"), TEXT("[\"\\uDFAA\"]"),
        /* a NUL would end the string in C libraries behind us */
        TEXT("[\"\\u0000\"]"),
        /* not UTF-8: overlong, surrogate, beyond the last, cut short, Latin-1, bytes alone */
        TEXT("[\"\xC0\xAF\"]"), TEXT("[\"\xE0\x80\xAF\"]"), TEXT("[\"\xF0\x80\x80\xAF\"]"),
        TEXT("[\"\xFC\x83\xBF\xBF\xBF\xBF\"]"), TEXT("[\"\xED\xA0\x80\"]"),
        TEXT("[\"\xF4\xBF\xBF\xBF\"]"), TEXT("[\"\xE0\xFF\"]"), TEXT("[\"\xE9\"]"),
        TEXT("[\"\x81\"]"),
        TEXT("[\"\xFF\"]"), TEXT("[\"\xE6\x97\xA5\xD1\x88\xFA\"]"), TEXT("[\"a\\n\xE9\"]"),
        TEXT("[\"\xEA\xB0\"]"), TEXT("[\"\xEA\\n\xB0\x80\"]"),
    };
    /* clang-format on */

    check_texts(texts, COUNT_OF(texts), false);
}

static void bad_structures_are_refused(void)
{
    /* clang-format off */
    static const struct str texts[] = {
        /* arrays */
        TEXT("[1 true]"), TEXT("[a\xE5]"), TEXT("[\"\": 1]"), TEXT("[\"\"],"), TEXT("[,1]"),
        TEXT("[1,,2]"), TEXT("[\"x\",,]"), TEXT("[\"x\"]]"), TEXT("[\"\",]"),
        TEXT("[\"x\""), TEXT("[x"),
        TEXT("[3[4]]"), TEXT("[1:2]"), TEXT("[,]"), TEXT("[-,]"), TEXT("[   , \"\"]"),
        TEXT("[\"a\",\n4\n,1,"), TEXT("[1,]"), TEXT("[1,,]"), TEXT("[\"\va\"\\f]"), TEXT("[*]"),
        TEXT("[\"\""), TEXT("[1,"), TEXT("[1,\n1\n,1"), TEXT("[{}"), TEXT("[fals]"),
        TEXT("[nul]"),
        TEXT("[tru]"), TEXT("[True]"), TEXT("[nullx]"),
        /* objects */
        TEXT("[\"x\", truth]"), TEXT("{[: \"x\"}\n"), TEXT("{\"x\", null}"),
        TEXT("{\"x\"::\"b\"}"),
        TEXT("{\xF0\x9F\x87\xA8\xF0\x9F\x87\xAD}"), TEXT("{\"a\":\"a\" 123}"),
        TEXT("{key: 'value'}"),
        TEXT("{\"\xB9\":\"0\",}"), TEXT("{\"a\" b}"), TEXT("{:\"b\"}"), TEXT("{\"a\" \"b\"}"),
        TEXT("{\"a\":"), TEXT("{\"a\""), TEXT("{1:1}"), TEXT("{9999E9999:1}"),
        TEXT("{null:null,null:null}"),
        TEXT("{\"id\":0,,,,,}"), TEXT("{'a':0}"), TEXT("{\"id\":0,}"), TEXT("{\"a\":\"b\"}/**/"),
        TEXT("{\"a\":\"b\"}/**//"), TEXT("{\"a\":\"b\"}//"), TEXT("{\"a\":\"b\"}/"),
        TEXT("{\"a\":\"b\",,\"c\":\"d\"}"),
        TEXT("{a: \"b\"}"), TEXT("{\"a\":\"a"), TEXT("{ \"foo\" : \"bar\", \"a\" }"),
        TEXT("{\"a\":\"b\"}#"),
        /* the rest */
        TEXT(""), TEXT(" "), TEXT("<.>"), TEXT("[<null>]"), TEXT("[1]x"), TEXT("[1]]"),
        TEXT("[\"asd]"),
        TEXT("a\xC3\xA5"), TEXT("[True]"), TEXT("1]"), TEXT("{\"x\": true,"), TEXT("[][]"),
        TEXT("]"),
        TEXT("\xEF\xBB\xBF{}"), TEXT("\xEF\xBB\xBF"), TEXT("\xE5"), TEXT("["), TEXT("2@"),
        TEXT("{}}"),
        TEXT("{\"\":"), TEXT("{\"a\":/*comment*/\"b\"}"), TEXT("{\"a\": true} \"x\""),
        TEXT("['"), TEXT("[,"),
        TEXT("[{"), TEXT("[\"a"), TEXT("[\"a\""), TEXT("{"), TEXT("{]"), TEXT("{,"),
        TEXT("{["), TEXT("{\"a"),
        TEXT("{'a'"), TEXT("[\"\\{[\"\\{[\"\\{[\"\\{"), TEXT("*"), TEXT("{\"a\":\"b\"}#{}"),
        TEXT("[\\u000A\"\"]"),
        TEXT("[1"), TEXT("[ false, nul"), TEXT("[ true, fals"), TEXT("[ false, tru"),
        TEXT("{\"asd\":\"asd\""),
        TEXT("\xC3\xA5"), TEXT("[\xE2\x81\xA0]"), TEXT("[\f]"), TEXT("[\v]"), TEXT("[1]\0"),
        TEXT("\0"),
        TEXT("[\xC2\xA0]"), TEXT("{\"a\":1}\0"), TEXT("\xFF\xFE[\0]\0"),
    };
    /* clang-format on */

    check_texts(texts, COUNT_OF(texts), false);
    CHECK(!json_is_valid(STR_NONE));
}

static void depth_ends_at_64(void)
{
    char text[4 * JSON_DEPTH_MAX + 32];

    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 2; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CHECK_INT(json_is_valid((struct str){text, 2 * depth}), depth <= JSON_DEPTH_MAX);
    }
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 100000; i++) /* the stack is safe */
        buf_lit(&b, "{\"\":[");
    CHECK(!json_is_valid(buf_str(&b)));
    buf_release(&b);
}

static const char *const colors[] = {"red", "green", NULL};

struct inner {
    int64_t quantity;
    struct str label;
};
static const struct field inner_fields[] = {
    F_INT(struct inner, quantity, "quantity", REQUIRED, 1, 9, "how many"),
    F_STR(struct inner, label, "label", 0, 1, 3, "a label"),
    F_END(struct inner),
};

struct all {
    bool flag, has_limit;
    int64_t number, limit, degrees, at, minute;
    struct str text, day, raw;
    int color;
    struct uuid id;
    struct inner one, *maybe;
    struct list many, words, ids;
};
static const struct field all_fields[] = {
    F_BOOL(struct all, flag, "flag", 0, "a flag"),
    F_INT(struct all, number, "number", 0, INT64_MIN, INT64_MAX, "any number"),
    F_OPT_INT(struct all, limit, "limit", NULLABLE, 0, 10, "may be absent"),
    F_DECIMAL(struct all, degrees, "degrees", 0, 6, -180000000, 180000000, "degrees"),
    F_STR(struct all, text, "text", NULLABLE, 0, 5, "text"),
    F_ENUM(struct all, color, "color", 0, colors, "a color"),
    F_UUID(struct all, id, "id", 0, "an id"),
    F_TIME(struct all, at, "at", 0, "a moment"),
    F_DATE(struct all, day, "day", 0, "a day"),
    F_HHMM(struct all, minute, "minute", 0, "a time of day"),
    F_OBJECT(struct all, one, "one", 0, inner_fields, "embedded"),
    F_OBJECT_PTR(struct all, maybe, "maybe", NULLABLE, inner_fields, "perhaps"),
    F_LIST(struct all, many, "many", 0, 1, 3, inner_fields, "some"),
    F_STRS(struct all, words, "words", 0, 0, 20, 4, "words"),
    F_UUIDS(struct all, ids, "ids", 0, 0, 3, "ids"),
    F_RAW(struct all, raw, "raw", 0, "as it came"),
    F_END(struct all),
};

#define ID_1 "0190a3f0-0000-7000-8000-000000000001"
#define ID_2 "0190a3f0-0000-7000-8000-000000000002"

static enum err decode(struct all *out, const char *text)
{
    fresh();
    return json_decode(&cx, all_fields, out, str_from(text));
}

static void every_type_goes_in_and_out(void)
{
    static const char text[] =
        "{\"flag\":true,\"number\":-9223372036854775808,\"limit\":0,\"degrees\":127.5,"
        "\"text\":\"\xEA\xB0\x80\\n\\\"\",\"color\":\"green\",\"id\":\"" ID_1 "\","
        "\"at\":\"2026-11-23T10:00:00.5Z\",\"day\":\"2028-02-29\",\"minute\":\"24:00\","
        "\"one\":{\"quantity\":1,\"label\":\"a\"},\"maybe\":{\"quantity\":2},"
        "\"many\":[{\"quantity\":3},{\"quantity\":4}],\"words\":[\"a\",\"bcde\"],"
        "\"ids\":[\"" ID_1 "\",\"" ID_2 "\"],\"raw\":[1, {\"x\":null}]}";
    struct all v, again;
    struct buf b;
    char id[UUID_TEXT_SIZE];

    CHECK_INT(decode(&v, text), ERR_OK);
    CHECK(v.flag && v.has_limit);
    CHECK_INT(v.number, INT64_MIN);
    CHECK_INT(v.degrees, 127500000);
    CHECK_STR(v.text, "\xEA\xB0\x80\n\"");
    CHECK_INT(v.color, 1);
    CHECK_STR(uuid_format(v.id, id), ID_1);
    CHECK_INT(v.at % US_PER_S, 500000);
    CHECK_INT(v.minute, 1440);
    CHECK(v.maybe && v.maybe->quantity == 2 && !v.maybe->label.p);
    CHECK_INT(v.many.n, 2);
    CHECK_INT(LIST_AT(struct inner, v.many, 1)->quantity, 4);
    CHECK_STR(*LIST_AT(struct str, v.words, 1), "bcde");
    CHECK_INT(v.ids.n, 2);
    CHECK_STR(v.raw, "[1, {\"x\":null}]");

    buf_init_arena(&b, &arena, 1 << 20);
    json_encode(&b, all_fields, &v);
    CHECK(json_is_valid(buf_str(&b)));
    CHECK_INT(json_decode(&cx, all_fields, &again, buf_str(&b)), ERR_OK);
    struct buf second;
    buf_init_arena(&second, &arena, 1 << 20);
    json_encode(&second, all_fields, &again);
    CHECK(str_eq(buf_str(&b), buf_str(&second)));
    CHECK_INT(again.degrees, v.degrees);
    CHECK_INT(again.at, v.at);
}

/* Is there this bad field with this code? */
static bool reported(const char *path, const char *code)
{
    for (const struct field_error *e = cx.story.field_errors; e; e = e->next)
        if (str_eq(e->field, str_from(path)) && str_eq(e->code, str_from(code)))
            return e->message.n > 0;
    return false;
}

static size_t errors(void)
{
    size_t n = 0;

    for (const struct field_error *e = cx.story.field_errors; e; e = e->next)
        n++;
    return n;
}

static void all_bad_fields_are_reported_at_once(void)
{
    struct all v;

    CHECK_INT(decode(&v, "{\"flag\":1,\"number\":1.5,\"limit\":11,\"degrees\":1.12e0,"
                         "\"text\":\"sixsix\",\"color\":\"blue\",\"id\":\"x\",\"at\":\"now\","
                         "\"day\":\"2026-02-29\",\"minute\":\"24:01\",\"one\":{\"label\":\"\"},"
                         "\"maybe\":[],\"many\":[{\"quantity\":0},7,{\"quantity\":1,\"no\":2}],"
                         "\"words\":[\"\",\"abcde\"],\"ids\":[\"" ID_1 "\",\"" ID_1 "\"],"
                         "\"stranger\":{\"deep\":[1]}}"),
              ERR_INVALID);
    CHECK_INT(errors(), 20);
    CHECK(reported("flag", "TYPE"));
    CHECK(reported("number", "TYPE"));
    CHECK(reported("limit", "RANGE"));
    CHECK(reported("degrees", "TYPE"));
    CHECK(reported("text", "LENGTH_OR_FORMAT"));
    CHECK(reported("color", "FORMAT"));
    CHECK(reported("id", "FORMAT"));
    CHECK(reported("at", "FORMAT"));
    CHECK(reported("day", "FORMAT"));
    CHECK(reported("minute", "FORMAT"));
    CHECK(reported("one.quantity", "REQUIRED"));
    CHECK(reported("one.label", "LENGTH_OR_FORMAT"));
    CHECK(reported("maybe", "TYPE"));
    CHECK(reported("many[0].quantity", "RANGE"));
    CHECK(reported("many[1]", "TYPE"));
    CHECK(reported("many[2].no", "UNKNOWN"));
    CHECK(reported("words[0]", "LENGTH_OR_FORMAT"));
    CHECK(reported("words[1]", "LENGTH_OR_FORMAT"));
    CHECK(reported("ids[1]", "DUPLICATE"));
    CHECK(reported("stranger", "UNKNOWN"));
}

/* How a query parameter or a setting reads it: the same rule as in a body, but for types. */
static const char *code_of(enum field_type type, const char *text)
{
    static const char *const words[] = {"red", "green", NULL};
    const struct field f = {.type = type, .min = 1, .max = 99, .names = words, .scale = 2};
    struct all v;
    struct field_wrong wrong = field_from_text(&f, &v, str_from(text));

    return wrong.message ? wrong.code : "fits";
}

static void what_is_out_of_range_and_what_is_no_number(void)
{
    struct all v;

    CHECK_STR(str_from(code_of(FIELD_INT, "99")), "fits");
    static const char *const out[] = {"0", "100", "-5", "99999999999999999999"};
    for (size_t i = 0; i < COUNT_OF(out); i++)
        CHECK_STR(str_from(code_of(FIELD_INT, out[i])), "RANGE");
    static const char *const none[] = {"", "ten", "1.5", "007", "-0", "-", "1e2"};
    for (size_t i = 0; i < COUNT_OF(none); i++)
        CHECK_STR(str_from(code_of(FIELD_INT, none[i])), "FORMAT");
    CHECK_STR(str_from(code_of(FIELD_DECIMAL, "1.00")), "RANGE");
    CHECK_STR(str_from(code_of(FIELD_DECIMAL, "0.9999999999")), "fits");
    CHECK_STR(str_from(code_of(FIELD_DECIMAL, "0.99.")), "FORMAT");
    CHECK_STR(str_from(code_of(FIELD_DECIMAL, "0.990000x")), "FORMAT");
    CHECK_STR(str_from(code_of(FIELD_ENUM, "green")), "fits");
    CHECK_STR(str_from(code_of(FIELD_ENUM, "blue")), "FORMAT");
    CHECK_INT(decode(&v, "{\"limit\":99999999999999999999,\"color\":\"blue\"}"), ERR_INVALID);
    CHECK(reported("limit", "RANGE"));
    const struct field_error *e = cx.story.field_errors;
    while (e && !str_eq(e->field, STR("color")))
        e = e->next;
    CHECK(e && str_starts(e->message, STR("expected one of ")));
}

static void keys_nulls_and_numbers(void)
{
    static const char *const not_integers[] = {"1.0",
                                               "1e2",
                                               "9223372036854775808",
                                               "-9223372036854775809",
                                               "-0",
                                               "\"1\"",
                                               "true",
                                               "99999999999999999999999999999999999999",
                                               "[]",
                                               "{}"};
    static const char *const not_degrees[] = {"180.000001", "-180.000001", "1e1", "\"1\"", "null"};
    struct all v;
    char text[128];

    CHECK_INT(decode(&v, "{\"number\":1,\"number\":2}"), ERR_INVALID);
    CHECK(reported("number", "DUPLICATE"));
    CHECK_INT(decode(&v, "{\"number\":1,\"num\\u0062er\":2}"), ERR_INVALID);
    CHECK(reported("number", "DUPLICATE"));
    CHECK_INT(decode(&v, "{\"number\":null,\"text\":null,\"limit\":null,\"maybe\":null}"),
              ERR_INVALID);
    CHECK_INT(errors(), 1);
    CHECK(reported("number", "NULL_NOT_ALLOWED"));
    CHECK(!v.text.p && !v.maybe && !v.has_limit);
    for (size_t i = 0; i < COUNT_OF(not_integers); i++) {
        snprintf(text, sizeof text, "{\"number\":%s}", not_integers[i]);
        CHECK_INT(decode(&v, text), ERR_INVALID);
    }
    for (size_t i = 0; i < COUNT_OF(not_degrees); i++) {
        snprintf(text, sizeof text, "{\"degrees\":%s}", not_degrees[i]);
        CHECK_INT(decode(&v, text), ERR_INVALID);
    }
    CHECK_INT(decode(&v, "{\"number\":9223372036854775807,\"degrees\":-0.000001}"), ERR_OK);
    CHECK_INT(v.number, INT64_MAX);
    CHECK_INT(v.degrees, -1);
    CHECK_INT(decode(&v, "{}"), ERR_OK);
    CHECK(!v.has_limit && !v.text.p && v.many.n == 0);
    CHECK_INT(decode(&v, "{\"many\":[]}"), ERR_INVALID);
    CHECK(reported("many", "LENGTH"));
    CHECK_INT(decode(&v, "{\"ids\":[\"" ID_1 "\",\"" ID_2 "\",\"" ID_1 "\",5]}"), ERR_INVALID);
    CHECK(reported("ids", "LENGTH"));
}

static void text_that_is_not_json_stops_at_once(void)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "1",
                                        "null",
                                        "{\"number\":01}",
                                        "{\"number\":1,}",
                                        "{\"stranger\":[1,]}",
                                        "{\"text\":\"\\ud800\"}",
                                        "{\"raw\":tru}",
                                        "{\"raw\":}",
                                        "{\"text\":nul}",
                                        "{\"number\":1}{}",
                                        "{\"many\":[{\"quantity\":1}",
                                        "{\"one\":{\"quantity\":1",
                                        "{\"flag\":tru}",
                                        "{\"words\":[\"a\""};
    struct all v;
    char deep[2 * JSON_DEPTH_MAX + 32];

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        enum err e = decode(&v, texts[i]);
        /* `tru` for a flag is a wrong type first and no JSON after all */
        CHECK_INT(e, ERR_MALFORMED);
        CHECK(cx.story.public_detail.n > 0);
    }
    CHECK_INT(decode(&v, "{\"number\":1 2}"), ERR_MALFORMED);
    CHECK_STR(cx.story.public_detail, "Not valid JSON at byte 12: ',' or '}' was expected.");
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX; depth++) {
        struct buf b;
        fresh();
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        buf_init_arena(&b, &arena, 4096);
        buf_lit(&b, "{\"raw\":");
        buf_add(&b, deep, 2 * depth);
        buf_lit(&b, "}");
        CHECK_INT(json_decode(&cx, all_fields, &v, buf_str(&b)),
                  depth < JSON_DEPTH_MAX ? ERR_OK : ERR_MALFORMED);
    }
}

static void errors_are_bounded_and_lenient_passes_strangers(void)
{
    struct all v;
    struct buf b;

    fresh();
    buf_init_arena(&b, &arena, 1 << 20);
    buf_lit(&b, "{");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%s\"stranger%d\":1", i ? "," : "", i);
    buf_lit(&b, "}");
    CHECK_INT(json_decode(&cx, all_fields, &v, buf_str(&b)), ERR_INVALID);
    CHECK_INT(errors(), JSON_FIELD_ERRORS_MAX);
    fresh();
    CHECK_INT(json_decode_lenient(&cx, all_fields, &v,
                                  STR("{\"new\":{\"a\":[1]},\"number\":5,\"flag\":null}")),
              ERR_OK);
    CHECK_INT(v.number, 5);
    fresh();
    CHECK_INT(json_decode_lenient(&cx, all_fields, &v, STR("{\"number\":\"5\"}")), ERR_INVALID);
    fresh();
    CHECK_INT(json_decode_lenient(&cx, all_fields, &v, STR("{\"new\":[1,]}")), ERR_MALFORMED);
}

/* Handlers follow the pointer of what is required. */
static void a_required_object_is_never_null(void)
{
    struct box {
        struct inner *needed;
    } v;
    static const struct field box_fields[] = {
        F_OBJECT_PTR(struct box, needed, "needed", REQUIRED, inner_fields, "always there"),
        F_END(struct box),
    };

    fresh();
    CHECK_INT(json_decode_lenient(&cx, box_fields, &v, STR("{\"needed\":null}")), ERR_INVALID);
    fresh();
    CHECK_INT(json_decode_lenient(&cx, box_fields, &v, STR("{}")), ERR_INVALID);
}

static void strings_are_written_so_that_they_can_be_read(void)
{
    struct inner in = {.quantity = 1}, out;
    struct buf b;
    char all_bytes[127];

    fresh();
    buf_init_arena(&b, &arena, 4096);
    json_string(&b, STR("\"\\/\b\f\n\r\t\x01\x1F\x7F\xEA\xB0\x80"));
    CHECK(json_is_valid(buf_str(&b)));
    CHECK(!memchr(b.p, '\n', b.n) && !memchr(b.p, 1, b.n));
    for (size_t i = 0; i < sizeof all_bytes; i++)
        all_bytes[i] = (char)(i + 1);
    const struct field any[] = {
        F_INT(struct inner, quantity, "quantity", 0, 0, 9, ""),
        {.type = FIELD_RAW, .name = "label", .at = offsetof(struct inner, label)},
        F_END(struct inner),
    };
    buf_clear(&b);
    json_string(&b, (struct str){all_bytes, sizeof all_bytes});
    in.label = arena_copy(&arena, buf_str(&b));
    buf_clear(&b);
    json_encode(&b, any, &in);
    CHECK_INT(json_decode(&cx, any, &out, buf_str(&b)), ERR_OK);
    CHECK(str_eq(in.label, out.label));
}

int main(void)
{
    arena_init(&arena, 64u << 20);
    fresh();
    RUN(valid_texts_are_taken);
    RUN(bad_numbers_are_refused);
    RUN(bad_strings_are_refused);
    RUN(bad_structures_are_refused);
    RUN(depth_ends_at_64);
    RUN(every_type_goes_in_and_out);
    RUN(all_bad_fields_are_reported_at_once);
    RUN(what_is_out_of_range_and_what_is_no_number);
    RUN(keys_nulls_and_numbers);
    RUN(text_that_is_not_json_stops_at_once);
    RUN(errors_are_bounded_and_lenient_passes_strangers);
    RUN(a_required_object_is_never_null);
    RUN(strings_are_written_so_that_they_can_be_read);
    arena_release(&arena);
    return test_end();
}
