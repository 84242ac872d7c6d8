/* openapi.c -- prints JSON Schema from field tables. */
#include "data/openapi.h"

#include "data/json.h"

static void number(struct buf *b, const char *name, int64_t v)
{
    buf_printf(b, ",\"%s\":%lld", name, (long long)v);
}

static void decimal(struct buf *b, const char *name, int64_t v, int scale)
{
    int64_t unit = 1;

    for (int i = 0; i < scale; i++)
        unit *= 10;
    buf_printf(b, ",\"%s\":%s%lld.%0*lld", name, v < 0 ? "-" : "", (long long)llabs(v / unit),
               scale, (long long)llabs(v % unit));
}

static const char *pattern_of(const struct field *f)
{
    if (f->type == FIELD_HHMM)
        return "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$";
    if (f->flags & PATTERN_SLUG)
        return "^[a-z0-9_]+$";
    if (f->flags & PATTERN_PHONE)
        return "^0[0-9-]+$";
    if (f->flags & PATTERN_ZIP)
        return "^[0-9]{5}$";
    return NULL;
}

static const char *format_of(const struct field *f)
{
    switch (f->type) {
    case FIELD_UUID:
        return "uuid";
    case FIELD_TIME:
        return "date-time";
    case FIELD_DATE:
        return "date";
    case FIELD_INT:
        return "int64";
    default:
        return f->flags & PATTERN_EMAIL ? "email" : f->flags & SECRET ? "password" : NULL;
    }
}

static const char *type_of(const struct field *f)
{
    switch (f->type) {
    case FIELD_BOOL:
        return "boolean";
    case FIELD_INT:
        return "integer";
    case FIELD_DECIMAL:
        return "number";
    case FIELD_LIST:
    case FIELD_STRS:
    case FIELD_UUIDS:
        return "array";
    default:
        return "string";
    }
}

static void bounds(struct buf *b, const struct field *f, enum openapi_use use)
{
    switch (f->type) {
    case FIELD_INT:
        number(b, "minimum", f->min);
        if (f->max != INT64_MAX)
            number(b, "maximum", f->max);
        break;
    case FIELD_DECIMAL:
        decimal(b, "minimum", f->min, f->scale);
        decimal(b, "maximum", f->max, f->scale);
        break;
    case FIELD_STR:
        if (use == OPENAPI_REQUEST) { /* a reply may hold what was allowed once */
            number(b, "minLength", f->min);
            number(b, "maxLength", f->max);
        }
        break;
    case FIELD_LIST:
    case FIELD_STRS:
    case FIELD_UUIDS:
        if (use == OPENAPI_REQUEST) {
            number(b, "minItems", f->min);
            number(b, "maxItems", f->max);
        }
        break;
    default:
        break;
    }
}

static void items(struct buf *b, const struct field *f, enum openapi_use use)
{
    buf_lit(b, ",\"items\":");
    if (f->type == FIELD_LIST)
        openapi_schema(b, f->fields, use);
    else if (f->type == FIELD_UUIDS)
        buf_lit(b, "{\"type\":\"string\",\"format\":\"uuid\"},\"uniqueItems\":true");
    else
        buf_printf(b, "{\"type\":\"string\",\"minLength\":1,\"maxLength\":%d}", f->scale);
}

static void names(struct buf *b, const struct field *f)
{
    buf_lit(b, ",\"enum\":[");
    for (size_t i = 0; f->names[i]; i++) {
        if (i > 0)
            buf_char(b, ',');
        json_string(b, str_from(f->names[i]));
    }
    if (f->flags & NULLABLE)
        buf_lit(b, ",null");
    buf_char(b, ']');
}

void openapi_value(struct buf *b, const struct field *f, enum openapi_use use)
{
    const char *format = format_of(f), *pattern = pattern_of(f);

    if (f->type == FIELD_OBJECT || f->type == FIELD_OBJECT_PTR) {
        openapi_schema(b, f->fields, use);
        return;
    }
    if (f->type == FIELD_RAW) {
        buf_lit(b, "{\"description\":");
        json_string(b, str_from(f->doc));
        buf_char(b, '}');
        return;
    }
    if (f->flags & NULLABLE)
        buf_printf(b, "{\"type\":[\"%s\",\"null\"]", type_of(f));
    else
        buf_printf(b, "{\"type\":\"%s\"", type_of(f));
    if (format)
        buf_printf(b, ",\"format\":\"%s\"", format);
    if (pattern) {
        buf_lit(b, ",\"pattern\":");
        json_string(b, str_from(pattern));
    }
    if (f->flags & SECRET)
        buf_lit(b, ",\"writeOnly\":true");
    if (f->type == FIELD_ENUM)
        names(b, f);
    bounds(b, f, use);
    if (f->type == FIELD_LIST || f->type == FIELD_STRS || f->type == FIELD_UUIDS)
        items(b, f, use);
    if (f->doc && f->doc[0]) {
        buf_lit(b, ",\"description\":");
        json_string(b, str_from(f->doc));
    }
    buf_char(b, '}');
}

void openapi_schema(struct buf *b, const struct field *fields, enum openapi_use use)
{
    bool any = false;

    buf_lit(b, "{\"type\":\"object\",\"properties\":{");
    for (const struct field *f = fields; f->type != FIELD_END; f++) {
        if (use == OPENAPI_REQUEST && f->flags & READ_ONLY)
            continue;
        if (any)
            buf_char(b, ',');
        any = true;
        json_string(b, str_from(f->name));
        buf_char(b, ':');
        openapi_value(b, f, use);
    }
    buf_char(b, '}');
    any = false;
    for (const struct field *f = fields; use == OPENAPI_REQUEST && f->type != FIELD_END; f++) {
        if (!(f->flags & REQUIRED))
            continue;
        buf_str_add(b, any ? STR(",") : STR(",\"required\":["));
        any = true;
        json_string(b, str_from(f->name));
    }
    if (any)
        buf_char(b, ']');
    if (use == OPENAPI_REQUEST)
        buf_lit(b, ",\"additionalProperties\":false");
    buf_char(b, '}');
}
