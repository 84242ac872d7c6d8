/* json_scan.c -- RFC 8259's grammar, byte by byte, refusing everything else. */
#include "data/json_scan.h"

bool json_problem(struct json_scan *s, const char *what)
{
    if (!s->problem)
        s->problem = what;
    return false;
}

void json_space(struct json_scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

bool json_take(struct json_scan *s, char c)
{
    json_space(s);
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

bool json_take_word(struct json_scan *s, struct str word)
{
    if ((size_t)(s->end - s->p) < word.n || memcmp(s->p, word.p, word.n) != 0)
        return false;
    s->p += word.n;
    return true;
}

static bool is_digit(const struct json_scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool take_digits(struct json_scan *s)
{
    if (!is_digit(s))
        return false;
    while (is_digit(s))
        s->p++;
    return true;
}

bool json_take_number(struct json_scan *s, struct str *ret)
{
    const char *from = s->p;

    if (s->p < s->end && *s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!take_digits(s))
        return json_problem(s, "not a JSON value");
    if (is_digit(s))
        return json_problem(s, "a number with a leading zero");
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!take_digits(s))
            return json_problem(s, "a number without digits after its point");
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        if (!take_digits(s))
            return json_problem(s, "a number without digits in its exponent");
    }
    *ret = (struct str){from, (size_t)(s->p - from)};
    return true;
}

/* Four hex digits; -1 when they are not. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t v = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = str_hex_digit(p[i]);
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

static size_t utf8_put(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[n] | c);
    return n;
}

/* s->p stands behind "\u"; pairs of surrogates become one character, lone ones are refused. */
static bool take_unicode(struct json_scan *s, uint32_t *ret)
{
    int32_t first = hex4(s->p, s->end);

    if (first < 0)
        return json_problem(s, "a \\u escape without four hex digits");
    s->p += 4;
    if (first >= 0xDC00 && first <= 0xDFFF)
        return json_problem(s, "a lone surrogate");
    if (first < 0xD800 || first > 0xDBFF) {
        *ret = (uint32_t)first;
        return first != 0 || json_problem(s, "a NUL character");
    }
    int32_t second =
        s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u' ? hex4(s->p + 2, s->end) : -1;
    if (second < 0xDC00 || second > 0xDFFF)
        return json_problem(s, "a lone surrogate");
    s->p += 6;
    *ret = 0x10000 + (((uint32_t)first & 0x3FF) << 10 | ((uint32_t)second & 0x3FF));
    return true;
}

static bool take_escape(struct json_scan *s, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t c = 0;

    if (s->p == s->end)
        return json_problem(s, "an unfinished string");
    if (*s->p == 'u') {
        s->p++;
        if (!take_unicode(s, &c))
            return false;
    } else {
        const char *at = memchr(from, *s->p, sizeof from - 1);
        if (!at)
            return json_problem(s, "an unknown escape");
        c = (unsigned char)to[at - from];
        s->p++;
    }
    char bytes[4];
    size_t k = utf8_put(c, bytes);
    if (out)
        memcpy(out + *n, bytes, k);
    *n += k;
    return true;
}

/* The bytes up to the next quote, backslash or control character. */
static const char *plain_run(const char *p, const char *end, bool *ascii)
{
    unsigned char high = 0;

    while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
        high |= (unsigned char)*p++;
    *ascii = *ascii && high < 0x80;
    return p;
}

/* A string with escapes: never longer decoded than written, so one allocation of the rest's length
 * fits. */
static bool take_escaped(struct json_scan *s, const char *from, bool ascii, struct str *ret)
{
    const char *close = s->p;
    char *out = NULL;
    size_t n = 0;

    while (close < s->end && *close != '"')
        close += *close == '\\' && close + 1 < s->end ? 2 : 1;
    if (s->arena)
        out = arena_alloc(s->arena, (size_t)(close - from) + 1);
    s->p = from;
    for (;;) {
        const char *run = s->p;
        s->p = plain_run(s->p, s->end, &ascii);
        if (out)
            memcpy(out + n, run, (size_t)(s->p - run));
        if (!ascii && !str_is_utf8((struct str){run, (size_t)(s->p - run)}))
            return json_problem(s, "not UTF-8");
        n += (size_t)(s->p - run);
        if (s->p == s->end)
            return json_problem(s, "an unfinished string");
        char c = *s->p++;
        if (c == '"')
            break;
        if (c != '\\')
            return json_problem(s, "a control character in a string");
        if (!take_escape(s, out, &n))
            return false;
    }
    *ret = (struct str){out ? out : from, n};
    return true;
}

bool json_take_string(struct json_scan *s, struct str *ret)
{
    bool ascii = true;

    if (!json_take(s, '"'))
        return json_problem(s, "a string was expected");
    const char *from = s->p;
    s->p = plain_run(s->p, s->end, &ascii);
    if (s->p < s->end && *s->p == '\\')
        return take_escaped(s, from, ascii, ret);
    if (s->p == s->end)
        return json_problem(s, "an unfinished string");
    if (*s->p != '"')
        return json_problem(s, "a control character in a string");
    *ret = (struct str){from, (size_t)(s->p - from)};
    s->p++;
    return ascii || str_is_utf8(*ret) || json_problem(s, "not UTF-8");
}

static bool skip_object(struct json_scan *s, int depth)
{
    struct str key;

    if (json_take(s, '}'))
        return true;
    do {
        if (!json_take_string(s, &key))
            return false;
        if (!json_take(s, ':'))
            return json_problem(s, "':' was expected");
        if (!json_skip(s, depth))
            return false;
    } while (json_take(s, ','));
    return json_take(s, '}') || json_problem(s, "',' or '}' was expected");
}

static bool skip_array(struct json_scan *s, int depth)
{
    if (json_take(s, ']'))
        return true;
    do {
        if (!json_skip(s, depth))
            return false;
    } while (json_take(s, ','));
    return json_take(s, ']') || json_problem(s, "',' or ']' was expected");
}

bool json_skip(struct json_scan *s, int depth)
{
    struct str ignored;

    json_space(s);
    if (s->p == s->end)
        return json_problem(s, "a value was expected");
    switch (*s->p) {
    case '{':
    case '[':
        if (depth >= JSON_DEPTH_MAX)
            return json_problem(s, "nested too deeply");
        return *s->p++ == '{' ? skip_object(s, depth + 1) : skip_array(s, depth + 1);
    case '"':
        return json_take_string(s, &ignored);
    case 't':
        return json_take_word(s, STR("true")) || json_problem(s, "not a JSON value");
    case 'f':
        return json_take_word(s, STR("false")) || json_problem(s, "not a JSON value");
    case 'n':
        return json_take_word(s, STR("null")) || json_problem(s, "not a JSON value");
    default:
        return json_take_number(s, &ignored);
    }
}

bool json_is_valid(struct str text)
{
    struct json_scan s = {.p = text.p, .end = text.p + text.n, .start = text.p};

    if (!text.p || !json_skip(&s, 0))
        return false;
    json_space(&s);
    return s.p == s.end;
}
