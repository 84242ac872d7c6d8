/* admit.c -- who asks, and may they: token, policy, limits at the edge, path, query and body by
 * table. */
#include "data/json.h"
#include "security/authorization.h"
#include "security/secret.h"
#include "service/ended.h"
#include "service/key_watch.h"
#include "service/reply.h"
#include "service/running.h"

#define KEY_MAX 255
#define RATE_WINDOW_MS INT64_C(60000)
#define QUERY_PAIRS_MAX 64

/* A browser page of another origin must not act with what the browser holds. */
static enum err check_origin(struct work *w)
{
    const struct http_head *head = w->rq.head;
    struct str origin = http_field(head, STR("Origin")), host = http_field(head, STR("Host")),
               scheme, rest;

    if (!origin.p || w->cors.is_allowed || head->method == HTTP_GET || head->method == HTTP_HEAD)
        return ERR_OK;
    size_t at = str_find(origin, STR("://"));
    if (at == SIZE_MAX)
        return fail(&w->cx, ERR_ORIGIN, "origin is not a URL");
    scheme = (struct str){origin.p, at};
    rest = (struct str){origin.p + at + 3, origin.n - at - 3};
    if ((!str_eq(scheme, STR("https")) && !str_eq(scheme, STR("http"))) ||
        !str_eq_nocase(rest, host))
        return fail(&w->cx, ERR_ORIGIN, "origin is not this host");
    return ERR_OK;
}

static int64_t seconds_up(int64_t ms)
{
    return (ms + 999) / 1000;
}

/* Per client, before anything that costs: tokens, bodies, databases. */
static enum err check_rate(struct work *w)
{
    struct platform *p = w->platform;
    int64_t limit = p->options.rate_limit_per_minute, retry_ms;
    int left;

    if (limit <= 0)
        return ERR_OK;
    struct str key = arena_printf(w->cx.arena, "rate:%.*s", STR_ARG(w->rq.peer));
    bool taken = cache_take(&w->cx, p->cache, key, (int)limit, RATE_WINDOW_MS, &left, &retry_ms);
    /* Refills evenly: whole again after what is missing. */
    int64_t reset_ms = taken ? (limit - left) * RATE_WINDOW_MS / limit : retry_ms;
    w->quota_policy = arena_printf(w->cx.arena, "\"client\";q=%" PRId64 ";w=%" PRId64, limit,
                                   RATE_WINDOW_MS / 1000);
    w->quota = arena_printf(w->cx.arena, "\"client\";r=%d;t=%" PRId64, taken ? left : 0,
                            seconds_up(reset_ms));
    if (taken)
        return ERR_OK;
    w->cx.story.retry_after_s = seconds_up(retry_ms);
    return fail(&w->cx, ERR_RATE_LIMITED, "client is over its limit for %" PRId64 " ms", retry_ms);
}

enum err admit_edge(struct work *w)
{
    TRY(check_rate(w));
    return check_origin(w);
}

/* A service of another process brings the deadline of its own caller. */
static void take_deadline(struct work *w)
{
    int64_t left_ms;

    if (!str_i64(http_field(w->rq.head, STR(DEADLINE_HEADER)), 0, INT32_MAX, &left_ms))
        return;
    int64_t deadline_us = clock_monotonic_us() + left_ms * US_PER_MS;
    if (deadline_us < w->cx.deadline_us)
        w->cx.deadline_us = deadline_us;
}

/* ERR_NOT_FOUND: no service's token; then it may be a user's. */
static enum err authenticate_service(struct work *w, struct str token)
{
    struct platform *p = w->platform;
    struct str from = STR_NONE;

    if (!p->service_keys || w->listener->kind != LISTEN_INTERNAL)
        return ERR_NOT_FOUND;
    TRY(service_keys_verify(&w->cx, p->service_keys, token, w->bound->svc->service->name, &from));
    w->cx.caller = (struct caller){.role = SERVICE, .service = from};
    take_deadline(w);
    return ERR_OK;
}

enum err platform_authenticate(struct ctx *cx, struct platform *p, struct str token)
{
    struct jwt_claims claims;
    struct str kid;

    const struct jwt_expect expect = {
        .issuer = p->options.issuer, .audience = STR(JWT_AUDIENCE), .type = STR(JWT_TYPE)};
    if (p->key_watch && jwt_read_kid(cx, token, &kid) && !jwt_keys_know(p->keys, kid))
        TRY(key_watch_ask(cx, p->key_watch));
    TRY(jwt_verify(cx, p->keys, token, &expect, &claims));
    if (p->ended_watch)
        TRY(ended_watch_ask(cx, p->ended_watch));
    /* Where services have keys, auth's key says who a user is and nothing about services. */
    if (claims.role == SERVICE && p->service_keys)
        return fail(cx, ERR_UNAUTHENTICATED, "a service without its own key");
    cx->caller = (struct caller){claims.role, claims.user_id, claims.session_id, claims.service};
    return ERR_OK;
}

static enum err authenticate(struct work *w)
{
    struct ctx *cx = &w->cx;
    struct authorization a =
        authorization_parse(cx->arena, http_field(w->rq.head, STR("Authorization")));

    cx->caller = (struct caller){.role = GUEST};
    /* The simulator has its own keys: its handlers read Basic credentials themselves. */
    if (a.scheme == AUTH_ABSENT || w->listener->kind == LISTEN_TOSS)
        return ERR_OK;
    cx->story.public_detail = STR("The token is not one of ours or has run out.");
    if (a.scheme != AUTH_BEARER)
        return fail(cx, ERR_UNAUTHENTICATED, "not a bearer token");
    enum err e = authenticate_service(w, a.token);
    if (e == ERR_NOT_FOUND)
        e = platform_authenticate(cx, w->platform, a.token);
    if (e != ERR_UNAUTHENTICATED)
        cx->story.public_detail = STR_NONE;
    return e;
}

static enum err check_policy(struct work *w)
{
    const struct route *route = w->bound->route;
    enum role role = w->cx.caller.role;

    if (route->who & role)
        return ERR_OK;
    if (role == GUEST)
        return fail(&w->cx, ERR_UNAUTHENTICATED, "%s needs a token", route->path);
    return fail(&w->cx, ERR_FORBIDDEN, "%s is not for role %d", route->path, role);
}

/* Name of the n-th "{name}" of a pattern. */
static struct str param_name(const char *pattern, size_t n)
{
    struct str rest = str_from(pattern), segment;

    for (bool more = true; more;) {
        more = str_cut(rest, '/', &segment, &rest);
        if (segment.n > 2 && segment.p[0] == '{' && n-- == 0)
            return (struct str){segment.p + 1, segment.n - 2};
    }
    return STR("?");
}

static enum err read_path(struct work *w, const struct route_match *match)
{
    struct request *rq = &w->rq;
    size_t ids = 0;

    for (size_t i = 0; i < match->n_params; i++) {
        struct str name = param_name(w->bound->route->path, i);
        if (!http_percent_decode(w->cx.arena, match->params[i], false, &rq->param[i])) {
            ctx_field_error(&w->cx, name, STR("FORMAT"), "not validly percent-encoded");
            return fail(&w->cx, ERR_INVALID, "path parameter %zu", i);
        }
        if (!str_ends(name, STR("Id")))
            continue;
        if (!uuid_parse(rq->param[i], &rq->id[ids++])) {
            ctx_field_error(&w->cx, name, STR("FORMAT"), "expected a UUID");
            return fail(&w->cx, ERR_INVALID, "path parameter %zu", i);
        }
    }
    return ERR_OK;
}

static void bad_query(struct ctx *cx, struct str name, const char *code, const char *reason)
{
    ctx_field_error(cx, name, str_from(code), "%s", reason);
}

/* Each query parameter by its row; unknown and repeated ones are refused by name. */
static enum err read_query(struct work *w)
{
    struct ctx *cx = &w->cx;
    const struct field *fields = w->bound->route->query;
    struct str rest = w->rq.head->query, name = STR_NONE, value = STR_NONE;
    void *out = fields ? arena_zalloc(cx->arena, fields_size(fields)) : NULL;
    uint64_t seen = 0;
    size_t pairs = 0;
    bool bad = false;

    /* More pairs than any table has rows: something is wrong with the first of them already. */
    while (pairs++ < QUERY_PAIRS_MAX && http_query_next(cx->arena, &rest, &name, &value, &bad)) {
        if (bad) { /* name and value are then the last pair's */
            bad_query(cx, STR("query"), "FORMAT", "not validly percent-encoded");
            continue;
        }
        const struct field *f = fields ? field_by_name(fields, name) : NULL;
        struct field_wrong wrong;
        if (!f)
            bad_query(cx, name, "UNKNOWN", "no such query parameter");
        else if (seen & UINT64_C(1) << (f - fields))
            bad_query(cx, name, "DUPLICATE", "given more than once");
        else if ((wrong = field_from_text(f, out, value)).message)
            bad_query(cx, name, wrong.code, wrong.message);
        if (f)
            seen |= UINT64_C(1) << (f - fields);
    }
    for (const struct field *f = fields; f && f->type != FIELD_END; f++)
        if ((f->flags & REQUIRED) && !(seen & UINT64_C(1) << (f - fields)))
            bad_query(cx, str_from(f->name), "REQUIRED", "is required");
    w->rq.query = out;
    return cx->story.field_errors ? fail(cx, ERR_INVALID, "query") : ERR_OK;
}

static bool is_json(struct str content_type)
{
    struct str type, parameters;

    str_cut(content_type, ';', &type, &parameters);
    return str_eq_nocase(str_trim(type), STR("application/json"));
}

static bool is_coded(const struct http_head *head)
{
    struct str coding = http_field(head, STR("Content-Encoding"));

    return coding.n && !str_eq_nocase(coding, STR("identity"));
}

static enum err read_body(struct work *w, struct str body)
{
    const struct route *route = w->bound->route;
    struct str content_type = http_field(w->rq.head, STR("Content-Type"));

    w->rq.raw_body = body;
    if (route->flags & RAW_BODY)
        return ERR_OK;
    if (!route->body) {
        bool says_nothing =
            body.n == 0 || (w->rq.head->method == HTTP_POST && str_eq(str_trim(body), STR("{}")));
        if (says_nothing)
            return ERR_OK;
        w->cx.story.public_detail = STR("No body is expected here.");
        return fail(&w->cx, ERR_MALFORMED, "a body where none belongs");
    }
    if (body.n == 0) {
        w->cx.story.public_detail = STR("A JSON body is expected.");
        return fail(&w->cx, ERR_MALFORMED, "no body");
    }
    if (is_coded(w->rq.head)) {
        w->cx.story.public_detail = STR("A body without Content-Encoding is expected.");
        return fail(&w->cx, ERR_MEDIA_TYPE, "a content coding");
    }
    if (!is_json(content_type)) {
        w->cx.story.public_detail = STR("Content-Type: application/json is expected.");
        return fail(&w->cx, ERR_MEDIA_TYPE, "content type %.*s", STR_ARG(content_type));
    }
    void *out = arena_alloc(w->cx.arena, fields_size(route->body));
    w->rq.body = out;
    return json_decode(&w->cx, route->body, out, body);
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e)
            return false;
    return true;
}

/* Whose key it is; none for a guest without a cart, who is like all others. */
static struct str principal_of(const struct work *w)
{
    const struct caller *caller = &w->cx.caller;
    char id[UUID_TEXT_SIZE], hash[SHA256_TEXT_SIZE];

    if (caller->role == SERVICE)
        return caller->service;
    if (caller->role != GUEST)
        return arena_copy(w->cx.arena, uuid_format(caller->user_id, id));
    if (!w->rq.cart_token.n)
        return STR_NONE;
    return arena_copy(w->cx.arena, sha256_hex(w->rq.cart_token, hash));
}

static enum err read_idempotency_key(struct work *w, struct str body)
{
    const struct http_head *head = w->rq.head;
    struct str key = http_field(head, STR("Idempotency-Key")), principal = principal_of(w);
    unsigned flags = w->bound->route->flags;
    struct buf b;

    if (!(flags & (IDEMPOTENT | KEYED)) || !principal.p || ((flags & KEYED) && !key.p))
        return ERR_OK;
    if (!key.p)
        return fail(&w->cx, ERR_IDEMPOTENCY_KEY_MISSING, "no Idempotency-Key");
    if (key.n < 1 || key.n > KEY_MAX || !is_printable(key)) {
        ctx_field_error(&w->cx, STR("Idempotency-Key"), STR("FORMAT"),
                        "expected 1 to %d printable ASCII characters", KEY_MAX);
        return fail(&w->cx, ERR_INVALID, "Idempotency-Key");
    }
    buf_init_arena(&b, w->cx.arena, body.n + 2 * HTTP_TARGET_MAX);
    buf_printf(&b, "%d %.*s\n", head->method, STR_ARG(head->target));
    buf_str_add(&b, body);
    w->key.key = key;
    w->key.route = str_from(w->bound->route->path);
    w->key.principal = principal;
    sha256_raw(buf_str(&b), w->key.fingerprint);
    return ERR_OK;
}

static struct str methods_text(struct ctx *cx, unsigned methods)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, 200);
    if (methods & 1u << HTTP_GET)
        methods |= 1u << HTTP_HEAD;
    for (int m = 0; m < HTTP_METHODS; m++)
        if (methods & 1u << m) {
            if (b.n)
                buf_lit(&b, ", ");
            buf_str_add(&b, str_from(http_method_names[m]));
        }
    return buf_str(&b);
}

enum err work_match(struct work *w)
{
    const struct http_head *head = w->rq.head;
    struct route_match match;

    router_find(w->listener->router, head->method, head->path, &match);
    if (!match.route) {
        if (!match.methods)
            return fail(&w->cx, ERR_NOT_FOUND, "no such path");
        w->allow = methods_text(&w->cx, match.methods);
        w->cx.story.public_detail = arena_printf(w->cx.arena, "Allow: %.*s", STR_ARG(w->allow));
        return fail(&w->cx, ERR_METHOD, "method not allowed");
    }
    w->bound = match.route;
    w->cx.svc = w->bound->svc;
    w->cx.db = w->bound->svc->db;
    if (w->bound->route->flags & (SLOW | CALLS_OUT) || work_waits(w))
        w->cx.deadline_us += SLOW_DEADLINE_US - REQUEST_DEADLINE_US;
    return read_path(w, &match);
}

enum err work_admit(struct work *w, struct str body, const struct caller *as)
{
    const struct route *route = w->bound->route;

    if (as)
        w->cx.caller = *as;
    else
        TRY(authenticate(w));
    TRY(check_policy(w));
    TRY(read_query(w));
    if (route->guard)
        TRY(route->guard(&w->cx, &w->rq));
    TRY(read_body(w, body));
    return read_idempotency_key(w, body);
}
