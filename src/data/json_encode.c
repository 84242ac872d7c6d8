/* json_encode.c -- writes structs as JSON by their field tables. */
#include "data/json.h"

void json_string(struct buf *b, struct str s)
{
    static const char digits[] = "0123456789abcdef";
    size_t from = 0;

    buf_char(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(b, s.p + from, i - from);
        from = i + 1;
        switch (c) {
        case '"':
            buf_lit(b, "\\\"");
            break;
        case '\\':
            buf_lit(b, "\\\\");
            break;
        case '\n':
            buf_lit(b, "\\n");
            break;
        case '\t':
            buf_lit(b, "\\t");
            break;
        case '\r':
            buf_lit(b, "\\r");
            break;
        default: {
            char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
            buf_add(b, escape, sizeof escape);
        }
        }
    }
    buf_add(b, s.p + from, s.n - from);
    buf_char(b, '"');
}

static void quoted(struct buf *b, struct str plain)
{
    buf_char(b, '"');
    buf_str_add(b, plain);
    buf_char(b, '"');
}

static void decimal(struct buf *b, int64_t v, int scale)
{
    int64_t unit = 1;
    char fraction[20] = "";
    int n = scale;

    for (int i = 0; i < scale; i++)
        unit *= 10;
    if (v < 0)
        buf_char(b, '-');
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    buf_i64(b, (int64_t)(u / (uint64_t)unit));
    uint64_t rest = u % (uint64_t)unit;
    for (int i = scale - 1; i >= 0; i--, rest /= 10)
        fraction[i] = (char)('0' + rest % 10);
    while (n > 0 && fraction[n - 1] == '0')
        n--;
    if (n) {
        buf_char(b, '.');
        buf_add(b, fraction, (size_t)n);
    }
}

static void hhmm(struct buf *b, int64_t minutes)
{
    char text[5] = {(char)('0' + minutes / 600), (char)('0' + minutes / 60 % 10), ':',
                    (char)('0' + minutes % 60 / 10), (char)('0' + minutes % 10)};

    quoted(b, (struct str){text, sizeof text});
}

static void list(struct buf *b, const struct field *f, struct list l)
{
    char text[UUID_TEXT_SIZE];

    if (f->type == FIELD_LIST) {
        json_encode_list(b, f->fields, l);
        return;
    }
    buf_char(b, '[');
    for (size_t i = 0; i < l.n; i++) {
        if (i)
            buf_char(b, ',');
        if (f->type == FIELD_STRS)
            json_string(b, *LIST_AT(struct str, l, i));
        else
            quoted(b, uuid_format(*LIST_AT(struct uuid, l, i), text));
    }
    buf_char(b, ']');
}

static bool is_absent(const struct field *f, const char *object)
{
    const void *at = object + f->at;

    if (f->has_at)
        return !*(const bool *)(const void *)(object + f->has_at);
    switch (f->type) {
    case FIELD_STR:
    case FIELD_DATE:
    case FIELD_RAW:
        return !((const struct str *)at)->p;
    case FIELD_UUID:
        return uuid_is_nil(*(const struct uuid *)at);
    case FIELD_TIME:
        return *(const int64_t *)at == 0;
    case FIELD_OBJECT_PTR:
        return !*(void *const *)at;
    default:
        return false;
    }
}

static void value(struct buf *b, const struct field *f, const void *at)
{
    char text[UUID_TEXT_SIZE];

    switch (f->type) {
    case FIELD_BOOL:
        buf_str_add(b, *(const bool *)at ? STR("true") : STR("false"));
        break;
    case FIELD_INT:
        buf_i64(b, *(const int64_t *)at);
        break;
    case FIELD_DECIMAL:
        decimal(b, *(const int64_t *)at, f->scale);
        break;
    case FIELD_STR:
        json_string(b, *(const struct str *)at);
        break;
    case FIELD_DATE:
        quoted(b, *(const struct str *)at);
        break;
    case FIELD_ENUM:
        quoted(b, str_from(f->names[*(const int *)at]));
        break;
    case FIELD_UUID:
        quoted(b, uuid_format(*(const struct uuid *)at, text));
        break;
    case FIELD_TIME:
        quoted(b, time_format(*(const int64_t *)at, text));
        break;
    case FIELD_HHMM:
        hhmm(b, *(const int64_t *)at);
        break;
    case FIELD_OBJECT:
        json_encode(b, f->fields, at);
        break;
    case FIELD_OBJECT_PTR:
        json_encode(b, f->fields, *(void *const *)at);
        break;
    case FIELD_LIST:
    case FIELD_STRS:
    case FIELD_UUIDS:
        list(b, f, *(const struct list *)at);
        break;
    case FIELD_RAW:
        buf_str_add(b, *(const struct str *)at);
        break;
    case FIELD_END:
        break;
    }
}

void json_encode(struct buf *b, const struct field *fields, const void *object)
{
    bool first = true;

    buf_char(b, '{');
    for (const struct field *f = fields; f->type != FIELD_END; f++) {
        bool absent = is_absent(f, object);
        if (absent && !(f->flags & NULLABLE))
            continue;
        if (!first)
            buf_char(b, ',');
        first = false;
        quoted(b, str_from(f->name));
        buf_char(b, ':');
        if (absent)
            buf_lit(b, "null");
        else
            value(b, f, (const char *)object + f->at);
    }
    buf_char(b, '}');
}

void json_encode_list(struct buf *b, const struct field *fields, struct list l)
{
    size_t size = fields_size(fields);

    buf_char(b, '[');
    for (size_t i = 0; i < l.n; i++) {
        if (i)
            buf_char(b, ',');
        json_encode(b, fields, (const char *)l.items + i * size);
    }
    buf_char(b, ']');
}
