/* cors.c -- origins by exact comparison, and what is said to them. */
#include "service/cors.h"

#include "data/field.h"

#define PER_ORIGIN CORS_FIELDS_MAX
#define PREFLIGHT_FIELDS 5

/* What our contract puts into requests and answers beyond what every page may use. */
#define REQUEST_FIELDS                                                                             \
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Jumun-Cart, "          \
    "Last-Event-ID, Prefer, traceparent"
#define ANSWER_FIELDS                                                                              \
    "ETag, Idempotent-Replayed, Jumun-Cart, Link, Location, RateLimit, RateLimit-Policy, "         \
    "Retry-After"

struct cors {
    struct str origins[CORS_ORIGINS_MAX];
    struct http_field fields[CORS_ORIGINS_MAX][PER_ORIGIN];
    size_t n;
};

static const struct http_field vary = {{"Vary", 4}, {"Origin", 6}};

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr(".-_:[]", c) != NULL;
}

/* As browsers write it: lower case, nothing behind the port. */
static bool is_origin(struct str s)
{
    size_t scheme = str_starts(s, STR("https://")) ? 8 : str_starts(s, STR("http://")) ? 7 : 0;

    for (size_t i = scheme; i < s.n; i++)
        if (!s.p[i] || !is_host_char(s.p[i]))
            return false;
    return field_is_http_url(s) && s.n < 300;
}

enum err cors_open(struct ctx *cx, struct arena *a, struct str spec, struct cors **ret)
{
    struct cors *c = ARENA_NEW(a, struct cors);
    struct str rest = spec, one;

    for (bool more = str_trim(spec).n > 0; more;) {
        more = str_cut(rest, ',', &one, &rest);
        one = str_trim(one);
        if (!is_origin(one))
            return fail(cx, ERR_INVALID,
                        "--cors-origins: \"%.*s\" is no origin; expected https://HOST[:PORT], in "
                        "lower case, with nothing behind it",
                        STR_ARG(one));
        if (c->n == CORS_ORIGINS_MAX)
            return fail(cx, ERR_INVALID, "--cors-origins: more than %d", CORS_ORIGINS_MAX);
        struct http_field *fields = c->fields[c->n];
        c->origins[c->n] = arena_copy(a, one);
        fields[0] = vary;
        fields[1] = (struct http_field){STR("Access-Control-Allow-Origin"), c->origins[c->n]};
        fields[2] = (struct http_field){STR("Access-Control-Expose-Headers"), STR(ANSWER_FIELDS)};
        c->n++;
    }
    *ret = c;
    return ERR_OK;
}

/* A cache must not show one origin's answer to another: said also to those who named none. */
struct cors_fields cors_of(const struct cors *c, const struct http_head *head)
{
    struct str origin = http_field(head, STR("Origin"));

    for (size_t i = 0; origin.p && i < c->n; i++)
        if (str_eq(c->origins[i], origin))
            return (struct cors_fields){c->fields[i], PER_ORIGIN, true};
    return (struct cors_fields){&vary, c->n > 0, false};
}

bool cors_is_preflight(const struct cors *c, const struct http_head *head)
{
    return c->n > 0 && head->method == HTTP_OPTIONS && http_field(head, STR("Origin")).p &&
           http_field(head, STR("Access-Control-Request-Method")).p;
}

void cors_preflight(const struct cors *c, struct arena *a, const struct http_head *head,
                    unsigned methods, struct http_answer *ret)
{
    struct http_field *fields = arena_array(a, PREFLIGHT_FIELDS, sizeof *fields);
    struct buf b;

    buf_init_arena(&b, a, 200);
    for (int m = 0; m < HTTP_METHODS; m++)
        if (methods & 1u << m)
            buf_printf(&b, "%s%s", b.n ? ", " : "", http_method_names[m]);
    fields[0] = (struct http_field){STR("Vary"), STR("Origin, Access-Control-Request-Method, "
                                                     "Access-Control-Request-Headers")};
    fields[1] = cors_of(c, head).fields[1];
    fields[2] = (struct http_field){STR("Access-Control-Allow-Methods"), buf_str(&b)};
    fields[3] = (struct http_field){STR("Access-Control-Allow-Headers"), STR(REQUEST_FIELDS)};
    fields[4] = (struct http_field){STR("Access-Control-Max-Age"), STR("600")};
    *ret = (struct http_answer){.status = 204, .fields = fields, .n_fields = PREFLIGHT_FIELDS};
}
