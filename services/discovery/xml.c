/* xml.c -- a strict recursive parser of a small XML, writing JSON as it goes. */
#include "discovery/xml.h"

#include "data/json.h"

struct xml {
    const char *p, *end, *start;
    struct arena *arena;
    struct buf *out;
    size_t elements;
    const char *problem;
};

static bool problem(struct xml *x, const char *what)
{
    if (!x->problem)
        x->problem = what;
    return false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool skip_space(struct xml *x)
{
    const char *from = x->p;

    while (x->p < x->end && is_space(*x->p))
        x->p++;
    return x->p > from;
}

static bool looking_at(const struct xml *x, struct str s)
{
    return (size_t)(x->end - x->p) >= s.n && memcmp(x->p, s.p, s.n) == 0;
}

static bool take(struct xml *x, struct str s)
{
    if (!looking_at(x, s))
        return false;
    x->p += s.n;
    return true;
}

static bool is_name_char(char c, bool first)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);

    return letter || (!first && ((c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':'));
}

bool xml_is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_name_char(s.p[i], i == 0))
            return false;
    return s.n > 0;
}

static bool take_name(struct xml *x, struct str *ret)
{
    const char *from = x->p;

    while (x->p < x->end && is_name_char(*x->p, x->p == from))
        x->p++;
    *ret = (struct str){from, (size_t)(x->p - from)};
    return ret->n > 0 || problem(x, "a name was expected");
}

static void add_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_char(b, (char)c);
    } else if (c < 0x800) {
        buf_char(b, (char)(0xc0 | c >> 6));
        buf_char(b, (char)(0x80 | (c & 0x3f)));
    } else {
        if (c < 0x10000) {
            buf_char(b, (char)(0xe0 | c >> 12));
        } else {
            buf_char(b, (char)(0xf0 | c >> 18));
            buf_char(b, (char)(0x80 | (c >> 12 & 0x3f)));
        }
        buf_char(b, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_char(b, (char)(0x80 | (c & 0x3f)));
    }
}

static int digit_of(char c, bool hex)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (hex && c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (hex && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* After "&#". */
static bool take_reference(struct xml *x, struct buf *b)
{
    bool hex = take(x, STR("x"));
    uint32_t c = 0;
    int digits = 0, d;

    for (; x->p < x->end && (d = digit_of(*x->p, hex)) >= 0; x->p++, digits++) {
        if (digits == 8)
            return problem(x, "a character's number is too long");
        c = c * (hex ? 16 : 10) + (uint32_t)d;
    }
    bool allowed =
        c == 9 || c == 10 || c == 13 || (c >= 0x20 && c < 0xd800) || (c >= 0xe000 && c <= 0x10ffff);
    if (digits == 0 || !allowed || !take(x, STR(";")))
        return problem(x, "that is no number of a character");
    add_utf8(b, c);
    return true;
}

static bool take_entity(struct xml *x, struct buf *b)
{
    static const struct {
        struct str name;
        char c;
    } entities[] = {
        {{"&lt;", 4}, '<'},   {{"&gt;", 4}, '>'},    {{"&amp;", 5}, '&'},
        {{"&quot;", 6}, '"'}, {{"&apos;", 6}, '\''},
    };

    if (take(x, STR("&#")))
        return take_reference(x, b);
    for (size_t i = 0; i < COUNT_OF(entities); i++)
        if (take(x, entities[i].name)) {
            buf_char(b, entities[i].c);
            return true;
        }
    return problem(x, "only &lt; &gt; &amp; &quot; &apos; and numbers are known entities");
}

/* Characters up to one of `stops`, with their entities. */
static bool take_text(struct xml *x, const char *stops, struct buf *b)
{
    while (x->p < x->end && (*x->p == '\0' || !strchr(stops, *x->p))) {
        unsigned char c = (unsigned char)*x->p;
        if (c == '&') {
            if (!take_entity(x, b))
                return false;
            continue;
        }
        if (c < 0x20 && !is_space((char)c))
            return problem(x, "a control character");
        buf_char(b, (char)c);
        x->p++;
    }
    return x->p < x->end || problem(x, "it ends too early");
}

static void member(struct xml *x, const char *mark, struct str name, bool *first)
{
    if (!*first)
        buf_char(x->out, ',');
    *first = false;
    json_string(x->out, arena_printf(x->arena, "%s%.*s", mark, STR_ARG(name)));
    buf_char(x->out, ':');
}

static void new_text(struct xml *x, struct buf *b)
{
    buf_init_arena(b, x->arena, (size_t)(x->end - x->start) + 1);
}

/* The attributes of a tag, each one a member. */
static bool take_attributes(struct xml *x, bool *first)
{
    struct str name;
    struct buf value;

    while (skip_space(x) && x->p < x->end && *x->p != '>' && *x->p != '/') {
        if (!take_name(x, &name))
            return false;
        skip_space(x);
        if (!take(x, STR("=")))
            return problem(x, "'=' was expected after the name of an attribute");
        skip_space(x);
        bool single = looking_at(x, STR("'"));
        if (!take(x, single ? STR("'") : STR("\"")))
            return problem(x, "a quote was expected before an attribute's value");
        new_text(x, &value);
        if (!take_text(x, single ? "'<" : "\"<", &value))
            return false;
        if (!take(x, single ? STR("'") : STR("\"")))
            return problem(x, "'<' in an attribute");
        if (*first)
            buf_char(x->out, '{');
        member(x, "@", name, first);
        json_string(x->out, buf_str(&value));
    }
    return true;
}

static bool skip_comment(struct xml *x)
{
    struct str rest = {x->p, (size_t)(x->end - x->p)};
    size_t at = str_find(rest, STR("--"));

    if (at == SIZE_MAX)
        return problem(x, "a comment does not end");
    x->p += at + 2;
    return take(x, STR(">")) || problem(x, "'--' within a comment");
}

static bool element(struct xml *x, int depth, struct str *ret_name);

/* What stands between the tags: text is kept, elements become members. */
static bool take_content(struct xml *x, int depth, struct buf *text, bool *first, bool *ret_nested)
{
    struct str name;

    for (;;) {
        if (!take_text(x, "<", text))
            return false;
        if (looking_at(x, STR("</")))
            return true;
        if (take(x, STR("<!--"))) {
            if (!skip_comment(x))
                return false;
            continue;
        }
        if (looking_at(x, STR("<!")) || looking_at(x, STR("<?")))
            return problem(x, "neither DTD, CDATA nor processing instructions are taken");
        x->p++;
        const char *at = x->p;
        if (!take_name(x, &name))
            return false;
        x->p = at;
        if (*first)
            buf_char(x->out, '{');
        member(x, "", name, first);
        *ret_nested = true;
        if (!element(x, depth + 1, &name))
            return false;
    }
}

static bool is_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_space(s.p[i]))
            return false;
    return true;
}

static bool finish(struct xml *x, struct str text, bool first, bool nested)
{
    if (nested && !is_blank(text))
        return problem(x, "text beside elements");
    if (first) {
        json_string(x->out, text);
        return true;
    }
    if (!nested && text.n) {
        member(x, "", STR("$"), &first);
        json_string(x->out, text);
    }
    buf_char(x->out, '}');
    return true;
}

/* After its '<': the element as a JSON value. */
static bool element(struct xml *x, int depth, struct str *ret_name)
{
    bool first = true, nested = false;
    struct str closing;
    struct buf text;

    if (depth > XML_DEPTH_MAX)
        return problem(x, "elements are nested too deeply");
    if (x->elements++ == XML_ELEMENTS_MAX)
        return problem(x, "too many elements");
    new_text(x, &text);
    if (!take_name(x, ret_name) || !take_attributes(x, &first))
        return false;
    if (take(x, STR("/>")))
        return finish(x, STR(""), first, false);
    if (!take(x, STR(">")))
        return problem(x, "'>' was expected");
    if (!take_content(x, depth, &text, &first, &nested))
        return false;
    x->p += 2;
    if (!take_name(x, &closing))
        return false;
    skip_space(x);
    if (!str_eq(closing, *ret_name) || !take(x, STR(">")))
        return problem(x, "the closing tag of another element");
    return finish(x, text.n ? buf_str(&text) : STR(""), first, nested);
}

/* White space and comments, outside the one element. */
static bool skip_misc(struct xml *x)
{
    skip_space(x);
    while (take(x, STR("<!--"))) {
        if (!skip_comment(x))
            return false;
        skip_space(x);
    }
    return true;
}

static bool skip_declaration(struct xml *x)
{
    struct str rest = {x->p, (size_t)(x->end - x->p)};

    if (!str_starts(rest, STR("<?xml ")))
        return true;
    size_t at = str_find(rest, STR("?>"));
    if (at == SIZE_MAX)
        return problem(x, "the XML declaration does not end");
    const struct str declaration = {rest.p, at};
    bool utf8 = str_find(declaration, STR("encoding")) == SIZE_MAX ||
                str_find(declaration, STR("UTF-8")) != SIZE_MAX ||
                str_find(declaration, STR("utf-8")) != SIZE_MAX;
    x->p += at + 2;
    return utf8 || problem(x, "another encoding than UTF-8");
}

static bool document(struct xml *x)
{
    struct str name;
    bool first = true;

    if (!str_is_utf8((struct str){x->start, (size_t)(x->end - x->start)}))
        return problem(x, "not UTF-8");
    if (!skip_declaration(x) || !skip_misc(x))
        return false;
    if (looking_at(x, STR("<!")) || looking_at(x, STR("<?")))
        return problem(x, "neither DTD, CDATA nor processing instructions are taken");
    if (!take(x, STR("<")))
        return problem(x, "an element was expected");
    const char *at = x->p;
    if (!take_name(x, &name))
        return false;
    x->p = at;
    buf_char(x->out, '{');
    member(x, "", name, &first);
    if (!element(x, 1, &name))
        return false;
    buf_char(x->out, '}');
    return skip_misc(x) && (x->p == x->end || problem(x, "more after the element"));
}

enum err xml_to_json(struct ctx *cx, struct str xml, struct str *ret_json)
{
    struct buf out;
    struct xml x = {
        .p = xml.p, .end = xml.p + xml.n, .start = xml.p, .arena = cx->arena, .out = &out};

    /* A name of one byte may come twice, a byte of text becomes at most six. */
    buf_init_arena(&out, cx->arena, 6 * xml.n + 64);
    if (document(&x) && !out.overflow) {
        *ret_json = buf_str(&out);
        return ERR_OK;
    }
    const char *what = x.problem ? x.problem : "too long";
    size_t at = (size_t)(x.p - x.start);
    cx->story.public_detail = arena_printf(cx->arena, "Not valid XML at byte %zu: %s.", at, what);
    return fail(cx, ERR_MALFORMED, "XML at byte %zu: %s", at, what);
}

void xml_text(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        switch (s.p[i]) {
        case '&':
            buf_lit(b, "&amp;");
            break;
        case '<':
            buf_lit(b, "&lt;");
            break;
        case '>':
            buf_lit(b, "&gt;");
            break;
        case '"':
            buf_lit(b, "&quot;");
            break;
        case '\'':
            buf_lit(b, "&apos;");
            break;
        default:
            buf_char(b, s.p[i]);
        }
    }
}
