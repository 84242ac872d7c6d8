/* json_decode.c -- reads JSON straight into structs by their field tables, collecting every bad
 * field. */
#include "data/json_scan.h"

/*
 * DESIGN
 *
 * One pass, no tree. Two kinds of trouble are kept apart: text that is not JSON stops at once
 * (ERR_MALFORMED); a value that does not fit its row is noted with its path, passed over, and
 * decoding goes on, so that the client hears of all bad fields in one answer. Rows are tried in
 * declaration order first, which is the order our own writers use.
 */

#define PATH_MAX_BYTES 160
#define SEEN_WORDS 4 /* 256 rows a table */

struct decode {
    struct json_scan s;
    struct ctx *cx;
    bool lenient;
    size_t n_errors;
    int depth;
    char path[PATH_MAX_BYTES];
    size_t path_n;
};

static void bad(struct decode *d, const char *code, const char *message)
{
    if (d->n_errors++ < JSON_FIELD_ERRORS_MAX)
        ctx_field_error(d->cx, (struct str){d->path, d->path_n}, str_from(code), "%s", message);
}

static size_t path_push(struct decode *d, const char *separator, struct str name)
{
    size_t before = d->path_n;
    int n = snprintf(d->path + before, sizeof d->path - before, "%s%.*s", before ? separator : "",
                     STR_ARG(name));

    d->path_n =
        n < 0 || before + (size_t)n >= sizeof d->path ? sizeof d->path - 1 : before + (size_t)n;
    return before;
}

static size_t path_push_index(struct decode *d, size_t i)
{
    size_t before = d->path_n;
    int n = snprintf(d->path + before, sizeof d->path - before, "[%zu]", i);

    d->path_n =
        n < 0 || before + (size_t)n >= sizeof d->path ? sizeof d->path - 1 : before + (size_t)n;
    return before;
}

/* A value of the wrong type: noted and passed over. */
static bool wrong(struct decode *d, const char *expected)
{
    bad(d, "TYPE", expected);
    return json_skip(&d->s, d->depth);
}

static char peek(struct decode *d)
{
    json_space(&d->s);
    return d->s.p < d->s.end ? *d->s.p : '\0';
}

static bool object(struct decode *d, const struct field *fields, char *out);

static bool take_bool(struct decode *d, bool *out)
{
    if (json_take_word(&d->s, STR("true")))
        *out = true;
    else if (json_take_word(&d->s, STR("false")))
        *out = false;
    else
        return wrong(d, "expected true or false");
    return true;
}

static bool take_number(struct decode *d, const struct field *f, int64_t *out)
{
    struct str text;
    char c = peek(d);

    if (c != '-' && (c < '0' || c > '9'))
        return wrong(d, "expected a number");
    if (!json_take_number(&d->s, &text))
        return false;
    struct field_wrong wrong = field_number(f, text, out);
    if (wrong.message) /* JSON has types: what is not of the number's form is of another one */
        bad(d, strcmp(wrong.code, "RANGE") == 0 ? wrong.code : "TYPE", wrong.message);
    return true;
}

static const char *check_text(const struct field *f, struct str text, char *at)
{
    int year, month, day, index;

    switch (f->type) {
    case FIELD_STR:
        *(struct str *)(void *)at = text;
        return field_check_str(f, text);
    case FIELD_DATE:
        *(struct str *)(void *)at = text;
        return date_parse(text, &year, &month, &day) ? NULL : "expected a day as YYYY-MM-DD";
    case FIELD_UUID:
        return uuid_parse(text, (struct uuid *)(void *)at) ? NULL : "expected a UUID";
    case FIELD_TIME:
        return time_parse(text, (int64_t *)(void *)at) ? NULL : "expected an RFC 3339 time";
    case FIELD_HHMM:
        return field_parse_hhmm(text, (int64_t *)(void *)at) ? NULL
                                                             : "expected a time of day as HH:MM";
    default:
        index = field_enum_index(f, text);
        *(int *)(void *)at = index < 0 ? 0 : index;
        return index < 0 ? field_enum_expected(f) : NULL;
    }
}

static bool take_text(struct decode *d, const struct field *f, char *at)
{
    struct str text;

    if (peek(d) != '"')
        return wrong(d, "expected a string");
    if (!json_take_string(&d->s, &text))
        return false;
    const char *reason = check_text(f, text, at);
    if (reason)
        bad(d, f->type == FIELD_STR ? "LENGTH_OR_FORMAT" : "FORMAT", reason);
    return true;
}

static void wrong_count(struct decode *d, const char *bound, int64_t n)
{
    char text[64];

    snprintf(text, sizeof text, "must hold at %s %" PRId64 " items", bound, n);
    bad(d, "LENGTH", text);
}

static size_t item_size(const struct field *f)
{
    return f->type == FIELD_STRS    ? sizeof(struct str)
           : f->type == FIELD_UUIDS ? sizeof(struct uuid)
                                    : fields_size(f->fields);
}

static bool take_item(struct decode *d, const struct field *f, char *at)
{
    const struct field text = {.type = FIELD_STR, .min = 1, .max = f->scale, .flags = f->flags};
    const struct field id = {.type = FIELD_UUID};

    if (f->type == FIELD_LIST)
        return peek(d) == '{' ? object(d, f->fields, at) : wrong(d, "expected an object");
    return take_text(d, f->type == FIELD_STRS ? &text : &id, at);
}

static bool has_twice(const struct field *f, struct list l)
{
    const struct uuid *last =
        f->type == FIELD_UUIDS && l.n ? LIST_AT(struct uuid, l, l.n - 1) : NULL;

    for (size_t i = 0; last && i + 1 < l.n; i++)
        if (uuid_eq(*LIST_AT(struct uuid, l, i), *last))
            return true;
    return false;
}

/* Room doubles up to the row's maximum; items beyond it are checked as JSON only and reported once.
 */
static bool take_items(struct decode *d, const struct field *f, struct list *out)
{
    size_t size = item_size(f), room = 0, n = 0;

    if (json_take(&d->s, ']'))
        return true;
    do {
        if (n >= (size_t)f->max) {
            if (!json_skip(&d->s, d->depth))
                return false;
            n++;
            continue;
        }
        if (n == room) {
            room = room ? room * 2 : 8;
            void *grown = arena_array(d->cx->arena, room, size);
            if (n)
                memcpy(grown, out->items, n * size);
            out->items = grown;
        }
        size_t before = path_push_index(d, n);
        bool ok = take_item(d, f, (char *)out->items + n * size);
        out->n = ++n;
        if (ok && has_twice(f, *out))
            bad(d, "DUPLICATE", "is given twice");
        d->path_n = before;
        if (!ok)
            return false;
    } while (json_take(&d->s, ','));
    if (n > (size_t)f->max)
        wrong_count(d, "most", f->max);
    return json_take(&d->s, ']') || json_problem(&d->s, "',' or ']' was expected");
}

static bool take_list(struct decode *d, const struct field *f, struct list *out)
{
    if (peek(d) != '[')
        return wrong(d, "expected an array");
    if (d->depth >= JSON_DEPTH_MAX)
        return json_problem(&d->s, "nested too deeply");
    d->s.p++;
    d->depth++;
    bool ok = take_items(d, f, out);
    d->depth--;
    if (ok && (int64_t)out->n < f->min)
        wrong_count(d, "least", f->min);
    return ok;
}

static bool take_raw(struct decode *d, struct str *out)
{
    peek(d);
    const char *from = d->s.p;
    if (!json_skip(&d->s, d->depth))
        return false;
    *out = (struct str){from, (size_t)(d->s.p - from)};
    return true;
}

static bool take_value(struct decode *d, const struct field *f, char *out)
{
    char *at = out + f->at;

    if (peek(d) == 'n' && f->type != FIELD_RAW) {
        if (!json_take_word(&d->s, STR("null")))
            return json_problem(&d->s, "not a JSON value");
        /* Whoever asked for an object follows its pointer: leniency must not leave it NULL. */
        bool needed = f->type == FIELD_OBJECT_PTR && (f->flags & REQUIRED);
        if (!(f->flags & NULLABLE) && (!d->lenient || needed))
            bad(d, "NULL_NOT_ALLOWED", "may not be null");
        return true;
    }
    if (f->has_at)
        *(bool *)(void *)(out + f->has_at) = true;
    switch (f->type) {
    case FIELD_BOOL:
        return take_bool(d, (bool *)(void *)at);
    case FIELD_INT:
    case FIELD_DECIMAL:
        return take_number(d, f, (int64_t *)(void *)at);
    case FIELD_LIST:
    case FIELD_STRS:
    case FIELD_UUIDS:
        return take_list(d, f, (struct list *)(void *)at);
    case FIELD_RAW:
        return take_raw(d, (struct str *)(void *)at);
    case FIELD_OBJECT:
        return peek(d) == '{' ? object(d, f->fields, at) : wrong(d, "expected an object");
    case FIELD_OBJECT_PTR:
        if (peek(d) != '{')
            return wrong(d, "expected an object");
        *(void **)(void *)at = arena_zalloc(d->cx->arena, fields_size(f->fields));
        return object(d, f->fields, *(char **)(void *)at);
    default:
        return take_text(d, f, at);
    }
}

/* The row of a key: the one after the last match first, then all of them. */
static const struct field *find_row(const struct field *fields, const struct field *next,
                                    struct str key)
{
    if (next->type != FIELD_END && str_eq(str_from(next->name), key))
        return next;
    return field_by_name(fields, key);
}

static bool member(struct decode *d, const struct field *fields, const struct field **next,
                   uint64_t *seen, char *out)
{
    struct str key;

    if (!json_take_string(&d->s, &key))
        return false;
    if (!json_take(&d->s, ':'))
        return json_problem(&d->s, "':' was expected");
    const struct field *f = find_row(fields, *next, key);
    size_t before = path_push(d, ".", key), row = f ? (size_t)(f - fields) : 0;
    bool twice = f && (seen[row / 64] & UINT64_C(1) << row % 64);
    bool ok;

    if (f)
        seen[row / 64] |= UINT64_C(1) << row % 64;
    if (!f || twice || ((f->flags & READ_ONLY) && !d->lenient)) {
        if (twice)
            bad(d, "DUPLICATE", "is given twice");
        else if (!d->lenient)
            bad(d, f ? "READ_ONLY" : "UNKNOWN",
                f ? "is set by the server" : "is not a known field");
        ok = json_skip(&d->s, d->depth);
    } else {
        ok = take_value(d, f, out);
        *next = f + 1;
    }
    d->path_n = before;
    return ok;
}

static void check_required(struct decode *d, const struct field *fields, const uint64_t *seen)
{
    for (const struct field *f = fields; f->type != FIELD_END; f++) {
        size_t row = (size_t)(f - fields);
        if (!(f->flags & REQUIRED) || (seen[row / 64] & UINT64_C(1) << row % 64))
            continue;
        size_t before = path_push(d, ".", str_from(f->name));
        bad(d, "REQUIRED", "is required");
        d->path_n = before;
    }
}

static bool object(struct decode *d, const struct field *fields, char *out)
{
    uint64_t seen[SEEN_WORDS] = {0};
    const struct field *next = fields;

    if (d->depth >= JSON_DEPTH_MAX)
        return json_problem(&d->s, "nested too deeply");
    d->s.p++;
    d->depth++;
    if (!json_take(&d->s, '}')) {
        do {
            if (!member(d, fields, &next, seen, out))
                return false;
        } while (json_take(&d->s, ','));
        if (!json_take(&d->s, '}'))
            return json_problem(&d->s, "',' or '}' was expected");
    }
    d->depth--;
    check_required(d, fields, seen);
    return true;
}

static enum err decode(struct ctx *cx, const struct field *fields, void *out, struct str text,
                       bool lenient)
{
    struct decode d = {
        .s = {.p = text.p, .end = text.p + text.n, .start = text.p, .arena = cx->arena},
        .cx = cx,
        .lenient = lenient};
    bool ok = false;

    memset(out, 0, fields_size(fields));
    if (peek(&d) != '{')
        json_problem(&d.s, "an object was expected");
    else
        ok = object(&d, fields, out);
    json_space(&d.s);
    if (ok && d.s.p != d.s.end)
        ok = json_problem(&d.s, "more bytes after the value");
    if (!ok) {
        size_t at = (size_t)(d.s.p - d.s.start);
        cx->story.public_detail =
            arena_printf(cx->arena, "Not valid JSON at byte %zu: %s.", at, d.s.problem);
        return fail(cx, ERR_MALFORMED, "JSON at byte %zu: %s", at, d.s.problem);
    }
    if (d.n_errors)
        return fail(cx, ERR_INVALID, "%zu bad fields", d.n_errors);
    return ERR_OK;
}

enum err json_decode(struct ctx *cx, const struct field *fields, void *out, struct str text)
{
    return decode(cx, fields, out, text, false);
}

enum err json_decode_lenient(struct ctx *cx, const struct field *fields, void *out, struct str text)
{
    return decode(cx, fields, out, text, true);
}
