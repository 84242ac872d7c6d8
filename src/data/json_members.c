/* json_members.c -- walks an object whose names no table knows: other people's maps of strings. */
#include "data/json_scan.h"

static struct json_scan scan_of(struct arena *a, struct str text)
{
    return (struct json_scan){.p = text.p, .end = text.p + text.n, .start = text.p, .arena = a};
}

bool json_member_next(struct arena *a, struct str *rest, struct str *ret_name, struct str *ret_raw)
{
    struct json_scan s = scan_of(a, *rest);

    if (!json_take(&s, '{') && !json_take(&s, ','))
        return false;
    if (!json_take_string(&s, ret_name) || !json_take(&s, ':'))
        return false;
    json_space(&s);
    const char *from = s.p;
    if (!json_skip(&s, 1))
        return false;
    *ret_raw = (struct str){from, (size_t)(s.p - from)};
    *rest = (struct str){s.p, (size_t)(s.end - s.p)};
    return true;
}

bool json_scalar_text(struct arena *a, struct str raw, struct str *ret)
{
    struct json_scan s = scan_of(a, raw);
    struct str text = raw;

    if (raw.n == 0 || raw.p[0] == '{' || raw.p[0] == '[')
        return false;
    if (raw.p[0] == '"' && !json_take_string(&s, &text))
        return false;
    *ret = str_eq(raw, STR("null")) ? STR_NONE : text;
    return true;
}
