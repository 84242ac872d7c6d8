/* field.c -- looking rows up, and reading single values from text. */
#include "data/field.h"

size_t fields_size(const struct field *fields)
{
    while (fields->type != FIELD_END)
        fields++;
    return fields->at;
}

size_t fields_count(const struct field *fields)
{
    size_t n = 0;

    while (fields[n].type != FIELD_END)
        n++;
    return n;
}

const struct field *field_by_column(const struct field *fields, struct str column)
{
    for (const struct field *f = fields; f->type != FIELD_END; f++) {
        const char *dot = strrchr(f->column, '.'); /* "page.limit" is the column "limit" */
        if (str_eq(str_from(dot ? dot + 1 : f->column), column))
            return f;
    }
    return NULL;
}

const struct field *field_by_name(const struct field *fields, struct str json_name)
{
    for (const struct field *f = fields; f->type != FIELD_END; f++)
        if (str_eq(str_from(f->name), json_name))
            return f;
    return NULL;
}

static bool is_slug(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
              s.p[i] == '_'))
            return false;
    return true;
}

/* local@domain.tld, ASCII, no quotes: what every mail system accepts. */
static bool is_email(struct str s)
{
    struct str local, domain;
    bool dot = false;

    if (!str_cut(s, '@', &local, &domain) || local.n == 0 || local.n > 64 || domain.n < 3)
        return false;
    for (size_t i = 0; i < local.n; i++) {
        char c = local.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("._%+-", c)))
            return false;
    }
    for (size_t i = 0; i < domain.n; i++) {
        char c = domain.p[i];
        bool edge = i == 0 || i + 1 == domain.n || domain.p[i - 1] == '.';
        if (c == '.' && edge)
            return false;
        dot = dot || c == '.';
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || (c == '-' && !edge)))
            return false;
    }
    return dot;
}

static bool is_phone(struct str s)
{
    size_t digits = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= '0' && s.p[i] <= '9')
            digits++;
        else if (s.p[i] != '-' || i == 0 || i + 1 == s.n)
            return false;
    }
    return digits >= 9 && digits <= 13 && s.p[0] == '0';
}

static bool is_zip(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n == 5;
}

static bool has_control(struct str s, bool one_line)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < 0x20 && (one_line || (c != '\t' && c != '\n'))) || c == 0x7f)
            return true;
    }
    return false;
}

bool field_parse_listen(struct str s, struct str *ret_host, int64_t *ret_port)
{
    size_t colon = s.n;

    while (colon > 0 && s.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || !str_i64((struct str){s.p + colon, s.n - colon}, 0, UINT16_MAX, ret_port))
        return false;
    *ret_host = (struct str){s.p, colon - 1};
    if (ret_host->n > 2 && s.p[0] == '[' && s.p[colon - 2] == ']')
        *ret_host = (struct str){s.p + 1, colon - 3};
    return true;
}

bool field_is_http_url(struct str s)
{
    struct str user, host;
    int64_t port;
    size_t scheme = str_starts(s, STR("https://")) ? 8 : str_starts(s, STR("http://")) ? 7 : 0;

    str_cut((struct str){s.p + scheme, s.n - scheme}, '/', &host, &s);
    for (struct str rest = host; str_cut(rest, '@', &user, &rest);)
        host = rest;
    bool has_port = host.n && !str_ends(host, STR("]")) && str_find(host, STR(":")) != SIZE_MAX;
    if (has_port && (!field_parse_listen(host, &host, &port) || port == 0))
        return false;
    return scheme > 0 && host.n > 0;
}

static const char *wrong_length(const struct field *f)
{
    static _Thread_local char text[96];

    if (f->min > 1)
        snprintf(text, sizeof text, "must be %" PRId64 " to %" PRId64 " characters long", f->min,
                 f->max);
    else
        snprintf(text, sizeof text, "must be at most %" PRId64 " characters long", f->max);
    return text;
}

const char *field_check_str(const struct field *f, struct str s)
{
    int64_t length = (int64_t)str_utf8_length(s), port;
    struct str host;

    /* A line of nothing but blanks says nothing. */
    if (f->min > 0 && (length == 0 || ((f->flags & ONE_LINE) && str_trim(s).n == 0)))
        return "must not be empty";
    if (length < f->min || length > f->max)
        return wrong_length(f);
    if (has_control(s, f->flags & ONE_LINE))
        return "holds control characters";
    if ((f->flags & PATTERN_SLUG) && !is_slug(s))
        return "may hold only a-z, 0-9 and _";
    if ((f->flags & PATTERN_EMAIL) && !is_email(s))
        return "is not an e-mail address";
    if ((f->flags & PATTERN_PHONE) && !is_phone(s))
        return "is not a Korean phone number";
    if ((f->flags & PATTERN_ZIP) && !is_zip(s))
        return "is not a postal code of five digits";
    if ((f->flags & PATTERN_LISTEN) && !field_parse_listen(s, &host, &port))
        return "expected HOST:PORT with a port from 0 to 65535";
    if ((f->flags & PATTERN_HTTP_URL) && !field_is_http_url(s))
        return "expected http://HOST[:PORT] with a port from 1 to 65535";
    return NULL;
}

bool field_parse_hhmm(struct str s, int64_t *ret)
{
    int64_t hours, minutes;

    if (s.n != 5 || s.p[2] != ':')
        return false;
    for (size_t i = 0; i < 5; i++)
        if (i != 2 && (s.p[i] < '0' || s.p[i] > '9'))
            return false;
    hours = (s.p[0] - '0') * 10 + (s.p[1] - '0');
    minutes = (s.p[3] - '0') * 10 + (s.p[4] - '0');
    if (minutes > 59 || hours * 60 + minutes > 1440)
        return false;
    *ret = hours * 60 + minutes;
    return true;
}

bool field_parse_decimal(struct str s, int scale, int64_t *ret)
{
    struct str whole, fraction;
    int64_t value = 0, part = 0;
    bool has_point = str_cut(s, '.', &whole, &fraction);
    bool negative = s.n > 0 && s.p[0] == '-';

    if (negative)
        whole = (struct str){whole.p + 1, whole.n - 1};
    if (!str_i64(whole, 0, INT64_C(1000000000000), &value) || (has_point && fraction.n == 0))
        return false;
    for (size_t i = 0; i < fraction.n; i++)
        if (fraction.p[i] < '0' || fraction.p[i] > '9')
            return false;
    for (int i = 0; i < scale; i++) {
        part = part * 10 + ((size_t)i < fraction.n ? fraction.p[i] - '0' : 0);
        value *= 10;
    }
    *ret = negative ? -(value + part) : value + part;
    return true;
}

int field_enum_index(const struct field *f, struct str s)
{
    for (int i = 0; f->names[i]; i++)
        if (str_eq(str_from(f->names[i]), s))
            return i;
    return -1;
}

const char *field_enum_expected(const struct field *f)
{
    static _Thread_local char text[256];
    size_t n = (size_t)snprintf(text, sizeof text, "expected one of %s", f->names[0]);

    for (int i = 1; f->names[i] && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, ", %s", f->names[i]);
    return text;
}

/* What str_i64 would read if 64 bits were enough. */
static bool is_whole(struct str s)
{
    size_t i = s.n > 0 && s.p[0] == '-';
    bool ok = i < s.n && s.p[i] != '0';

    for (; ok && i < s.n; i++)
        ok = s.p[i] >= '0' && s.p[i] <= '9';
    return ok;
}

static struct field_wrong out_of_range(const struct field *f)
{
    static _Thread_local char text[96];

    snprintf(text, sizeof text, "expected a number from %" PRId64 " to %" PRId64, f->min, f->max);
    return (struct field_wrong){"RANGE", f->type == FIELD_INT ? text : "is out of range"};
}

struct field_wrong field_number(const struct field *f, struct str text, int64_t *ret)
{
    int64_t v;
    bool ok = f->type == FIELD_INT       ? str_i64(text, INT64_MIN, INT64_MAX, &v)
              : f->type == FIELD_DECIMAL ? field_parse_decimal(text, f->scale, &v)
              : f->type == FIELD_TIME    ? time_parse(text, &v)
                                         : field_parse_hhmm(text, &v);
    if (!ok && f->type == FIELD_INT && is_whole(text))
        return out_of_range(f);
    if (!ok)
        return (struct field_wrong){"FORMAT", f->type == FIELD_INT ? "expected a whole number"
                                              : f->type == FIELD_DECIMAL
                                                  ? "expected a plain decimal number"
                                              : f->type == FIELD_TIME ? "expected an RFC 3339 time"
                                                                      : "expected HH:MM"};
    if (f->type != FIELD_TIME && (v < f->min || v > f->max))
        return out_of_range(f);
    *ret = v;
    return (struct field_wrong){NULL, NULL};
}

static const char *bool_from_text(struct str text, bool *ret)
{
    if (!str_eq(text, STR("true")) && !str_eq(text, STR("false")))
        return "expected true or false";
    *ret = text.p[0] == 't';
    return NULL;
}

static const char *str_from_text(const struct field *f, struct str text, struct str *ret)
{
    int year, month, day;
    const char *reason = !str_is_utf8(text)                      ? "is not UTF-8"
                         : f->type == FIELD_STR                  ? field_check_str(f, text)
                         : date_parse(text, &year, &month, &day) ? NULL
                                                                 : "expected YYYY-MM-DD";

    if (!reason)
        *ret = text;
    return reason;
}

static const char *enum_from_text(const struct field *f, struct str text, int *ret)
{
    int index = field_enum_index(f, text);

    if (index < 0)
        return field_enum_expected(f);
    *ret = index;
    return NULL;
}

/* Of what is no number. */
static const char *word_from_text(const struct field *f, char *at, struct str text)
{
    switch (f->type) {
    case FIELD_BOOL:
        return bool_from_text(text, (bool *)at);
    case FIELD_STR:
    case FIELD_DATE:
        return str_from_text(f, text, (struct str *)(void *)at);
    case FIELD_ENUM:
        return enum_from_text(f, text, (int *)(void *)at);
    case FIELD_UUID:
        return uuid_parse(text, (struct uuid *)(void *)at) ? NULL : "expected a UUID";
    default:
        return "cannot be given as text";
    }
}

struct field_wrong field_from_text(const struct field *f, void *object, struct str text)
{
    char *at = (char *)object + f->at;
    bool is_number = f->type == FIELD_INT || f->type == FIELD_DECIMAL || f->type == FIELD_TIME ||
                     f->type == FIELD_HHMM;
    struct field_wrong wrong = is_number
                                   ? field_number(f, text, (int64_t *)(void *)at)
                                   : (struct field_wrong){"FORMAT", word_from_text(f, at, text)};

    if (!wrong.message && f->has_at)
        *(bool *)((char *)object + f->has_at) = true;
    return wrong;
}
