/* decide.c -- one request at the gateway: who asks, may they, and to whom it goes. */
#include "gateway/edge.h"
#include "obs/log.h"
#include "obs/trace.h"
#include "security/authorization.h"
#include "service/cors.h"
#include "service/forwarded.h"
#include "service/korean.h"
#include "service/problem.h"

#define PROBLEM_MAX 8192
#define LARGE_BODY_MAX (5 * 1024 * 1024)
#define RATE_WINDOW_MS 60000
#define SLOW_SHARE 20 /* of a client's requests one in so many may be for a password */
#define SLOW_LEAST 10
#define SLOW_REQUEST_US US_PER_S
#define FIELDS_MAX (HTTP_FIELDS_MAX + 24)
#define OWN_FIELDS_MAX 7

/* What clients may not tell the services: who they are, and what only services tell each other. */
static const struct str spoofed[] = {
    {"X-Real-IP", 9},         {"Forwarded", 9},           {"X-Forwarded-Host", 16},
    {"X-Forwarded-Port", 16}, {"X-Forwarded-Prefix", 18}, {"Jumun-Deadline-Ms", 17},
    {"X-Original-URL", 14},   {"X-Rewrite-URL", 13},      {"X-HTTP-Method-Override", 22},
};

struct question {
    struct gateway *g;
    const struct proxy_request *rq;
    struct ctx cx;
    struct way way;
    struct cors_fields cors;
    struct str quota, quota_policy; /* RateLimit headers of our own refusals */
    struct http_field fields[FIELDS_MAX];
    size_t n_fields;
};

static void set(struct question *q, struct str name, struct str value)
{
    assert(q->n_fields < FIELDS_MAX);
    q->fields[q->n_fields++] = (struct http_field){name, value};
}

static bool asks_for_contract(const struct http_head *h)
{
    return str_eq(h->path, STR("/openapi.json"));
}

static void make_note(struct question *q, struct proxy_note *note)
{
    const struct http_head *h = q->rq->head;
    size_t n = h->path.n < PROXY_PATH_SIZE ? h->path.n : PROXY_PATH_SIZE - 1;

    *note = (struct proxy_note){.trace = q->cx.trace,
                                .started_us = clock_monotonic_us(),
                                .method = h->method,
                                .korean = q->cx.korean,
                                .added = q->cors.fields,
                                .n_added = q->cors.n};
    memcpy(note->path, h->path.p, n);
    note->path[n] = '\0';
}

static enum err take(struct question *q, const char *what, struct str client, int64_t limit)
{
    struct arena *a = q->cx.arena;
    int64_t retry_ms;
    int left;

    bool taken =
        limits_take(&q->cx, q->g->limits, arena_printf(a, "%s:%.*s", what, STR_ARG(client)),
                    (int)limit, RATE_WINDOW_MS, &left, &retry_ms);
    int64_t reset_ms = taken ? (limit - left) * RATE_WINDOW_MS / limit : retry_ms;
    q->quota_policy =
        arena_printf(a, "\"%s\";q=%" PRId64 ";w=%d", what, limit, RATE_WINDOW_MS / 1000);
    q->quota = arena_printf(a, "\"%s\";r=%d;t=%" PRId64, what, left, (reset_ms + 999) / 1000);
    if (taken)
        return ERR_OK;
    q->cx.story.retry_after_s = (retry_ms + 999) / 1000;
    return fail(&q->cx, ERR_RATE_LIMITED, "over the limit for %" PRId64 " ms", retry_ms);
}

/* Before anything that costs. Guessing passwords is slower still. */
static enum err check_rate(struct question *q)
{
    const struct platform_options *o = platform_options(q->g->platform);
    int64_t limit = o->rate_limit_per_minute, slow = limit / SLOW_SHARE;

    if (limit <= 0)
        return ERR_OK;
    struct str client =
        client_network(q->cx.arena, forwarded_client(q->rq->head, q->rq->peer, o->proxies));
    TRY(take(q, "client", client, limit));
    if (!q->way.route || !(q->way.route->flags & SLOW))
        return ERR_OK;
    return take(q, "password", client, slow > SLOW_LEAST ? slow : SLOW_LEAST);
}

/* For what is not for everybody. What is, the service looks at a token that is there by itself. */
static enum err check_token(struct question *q)
{
    struct ctx *cx = &q->cx;
    const struct route *route = q->way.route;
    struct authorization a =
        authorization_parse(cx->arena, http_field(q->rq->head, STR("Authorization")));

    cx->caller = (struct caller){.role = GUEST};
    if (route && (route->who & GUEST))
        return ERR_OK;
    if (a.scheme == AUTH_ABSENT)
        return route ? fail(cx, ERR_UNAUTHENTICATED, "%s needs a token", route->path) : ERR_OK;
    cx->story.public_detail = STR("The token is not one of ours or has run out.");
    if (a.scheme != AUTH_BEARER)
        return fail(cx, ERR_UNAUTHENTICATED, "not a bearer token");
    enum err e = platform_authenticate(cx, q->g->platform, a.token);
    if (e != ERR_UNAUTHENTICATED)
        cx->story.public_detail = STR_NONE;
    TRY(e);
    if (route && !(route->who & cx->caller.role))
        return fail(cx, ERR_FORBIDDEN, "%s is not for role %d", route->path, cx->caller.role);
    return ERR_OK;
}

static enum err find_way(struct question *q)
{
    const struct http_head *h = q->rq->head;

    q->way = routes_find(q->g, h);
    if (asks_for_contract(h))
        q->way = (struct way){.methods = 1u << HTTP_GET};
    if (q->way.to || (asks_for_contract(h) && (h->method == HTTP_GET || h->method == HTTP_HEAD)))
        return ERR_OK;
    return q->way.methods ? fail(&q->cx, ERR_METHOD, "method not allowed")
                          : fail(&q->cx, ERR_NOT_FOUND, "no such path");
}

static bool starts_nocase(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq_nocase((struct str){s.p, prefix.n}, prefix);
}

/* X-User-* is for back ends that do not check tokens; nobody else may say it. */
static void drop_spoofed(struct question *q)
{
    const struct http_head *h = q->rq->head;

    for (size_t i = 0; i < COUNT_OF(spoofed); i++)
        set(q, spoofed[i], STR_NONE);
    for (size_t i = 0; i < h->n_fields; i++)
        if (starts_nocase(h->fields[i].name, STR("X-User-")) && h->fields[i].name.n > 7)
            set(q, h->fields[i].name, STR_NONE);
}

static const char *role_name(enum role role)
{
    return role == CUSTOMER ? "customer"
           : role == OWNER  ? "owner"
           : role == STAFF  ? "staff"
                            : "admin";
}

static void tell_caller(struct question *q)
{
    const struct caller *caller = &q->cx.caller;

    if (q->way.to->is_ours || caller->role == GUEST)
        return;
    set(q, STR("X-User-Id"), str_from(ctx_uuid_text(&q->cx, caller->user_id)));
    set(q, STR("X-User-Role"), str_from(role_name(caller->role)));
}

/* All fields of the client's chain, then whom we saw ourselves. A chain that nobody vouches for is
 * dropped. */
static void tell_client(struct question *q)
{
    const struct http_head *h = q->rq->head;
    bool trusted = platform_options(q->g->platform)->proxies > 0;
    struct str proto = http_field(h, STR("X-Forwarded-Proto"));
    struct buf b;

    buf_init_arena(&b, q->cx.arena, HTTP_HEAD_MAX);
    for (size_t i = 0; trusted && i < h->n_fields; i++)
        if (str_eq_nocase(h->fields[i].name, STR("X-Forwarded-For")) && h->fields[i].value.n)
            buf_printf(&b, "%.*s, ", STR_ARG(h->fields[i].value));
    buf_str_add(&b, q->rq->peer);
    set(q, STR("X-Forwarded-For"), buf_str(&b));
    set(q, STR("X-Forwarded-Proto"), trusted && proto.n ? proto : STR("http"));
}

/* Whom it came through, and us: RFC 9110, 7.6.3. */
static void tell_via(struct question *q)
{
    const struct http_head *h = q->rq->head;
    struct buf b;

    buf_init_arena(&b, q->cx.arena, HTTP_HEAD_MAX + 16);
    for (size_t i = 0; i < h->n_fields; i++)
        if (str_eq_nocase(h->fields[i].name, STR("Via")) && h->fields[i].value.n)
            buf_printf(&b, "%.*s, ", STR_ARG(h->fields[i].value));
    buf_printf(&b, "%s jumun", h->http_1_0 ? "1.0" : "1.1");
    set(q, STR("Via"), buf_str(&b));
}

static void prepare(struct question *q, struct proxy_verdict *ret)
{
    char traceparent[TRACEPARENT_SIZE];

    drop_spoofed(q);
    if (q->cors.is_allowed) /* the question is answered here: a service knows only its own host */
        set(q, STR("Origin"), STR_NONE);
    tell_caller(q);
    tell_client(q);
    set(q, STR("traceparent"), arena_copy(q->cx.arena, trace_format(&q->cx.trace, traceparent)));
    tell_via(q);
    ret->fields = q->fields;
    ret->n_fields = q->n_fields;
    ret->to = q->way.to->cluster;
    /* Guests are all one to a service: it does not look at their keys. */
    ret->key_counts = q->way.route && !(q->way.route->who & GUEST) &&
                      (q->way.route->flags & (IDEMPOTENT | KEYED));
    if (!q->way.route || (q->way.route->flags & LARGE))
        ret->body_max = LARGE_BODY_MAX;
}

static struct str allowed(struct arena *a, unsigned methods)
{
    struct buf b;

    buf_init_arena(&b, a, 200);
    if (methods & 1u << HTTP_GET)
        methods |= 1u << HTTP_HEAD;
    for (int m = 0; m < HTTP_METHODS; m++)
        if (methods & 1u << m)
            buf_printf(&b, "%s%s", b.n ? ", " : "", http_method_names[m]);
    return buf_str(&b);
}

static void answer(struct ctx *cx, const struct proxy_note *note, enum err e, struct str allow,
                   const struct question *q, struct http_answer *ret)
{
    struct http_field *fields =
        arena_array(cx->arena, OWN_FIELDS_MAX + note->n_added, sizeof *fields);
    const struct err_row *row = err_row(e);
    size_t n = 0;
    struct buf b;

    buf_init_arena(&b, cx->arena, PROBLEM_MAX);
    problem_print(&b, cx, str_from(note->path), e);
    fields[n++] = (struct http_field){STR("X-Content-Type-Options"), STR("nosniff")};
    fields[n++] = (struct http_field){STR("Cache-Control"), STR("no-store")};
    if (row->status == 503 || row->status == 429)
        fields[n++] = (struct http_field){STR("Retry-After"), problem_retry_after(cx->arena, cx)};
    if (row->status == 401)
        fields[n++] = (struct http_field){STR("WWW-Authenticate"), STR("Bearer")};
    if (allow.p)
        fields[n++] = (struct http_field){STR("Allow"), allow};
    if (q && q->quota.p) {
        fields[n++] = (struct http_field){STR("RateLimit-Policy"), q->quota_policy};
        fields[n++] = (struct http_field){STR("RateLimit"), q->quota};
    }
    for (size_t i = 0; i < note->n_added; i++)
        fields[n++] = note->added[i];
    *ret = (struct http_answer){.status = row->status,
                                .content_type = STR("application/problem+json"),
                                .body = buf_str(&b),
                                .fields = fields,
                                .n_fields = n};
}

/* May a page of another origin call this path? Back ends of others are asked for no more. */
static enum err preflight(struct question *q, struct proxy_verdict *ret)
{
    unsigned all =
        1u << HTTP_GET | 1u << HTTP_POST | 1u << HTTP_PUT | 1u << HTTP_PATCH | 1u << HTTP_DELETE;

    if (!q->cors.is_allowed)
        return fail(&q->cx, ERR_ORIGIN, "a preflight of an origin that is not on the list");
    if (!q->way.to && !q->way.methods)
        return fail(&q->cx, ERR_NOT_FOUND, "no such path");
    cors_preflight(platform_cors(q->g->platform), q->cx.arena, q->rq->head,
                   q->way.to ? all : q->way.methods, &ret->answer);
    return ERR_OK;
}

static void show_contract(const struct question *q, struct proxy_verdict *ret)
{
    struct http_field *fields = arena_array(q->cx.arena, 1 + q->cors.n, sizeof *fields);

    fields[0] = (struct http_field){STR("X-Content-Type-Options"), STR("nosniff")};
    for (size_t i = 0; i < q->cors.n; i++)
        fields[1 + i] = q->cors.fields[i];
    ret->answer = (struct http_answer){.status = 200,
                                       .content_type = STR("application/json"),
                                       .body = q->g->contract,
                                       .fields = fields,
                                       .n_fields = 1 + q->cors.n};
    ret->is_static = true;
}

void gateway_decide(void *gateway, const struct proxy_request *rq, struct proxy_note *note,
                    struct proxy_verdict *ret)
{
    struct gateway *g = gateway;
    struct question *q = ARENA_NEW(rq->arena, struct question);
    struct str allow = STR_NONE;

    q->g = g;
    q->rq = rq;
    platform_ctx(g->platform, g->svc, rq->arena, &q->cx);
    trace_continue(&q->cx, http_field(rq->head, STR("traceparent")));
    q->cx.korean = korean_wanted(http_field(rq->head, STR("Accept-Language")));
    q->cors = cors_of(platform_cors(g->platform), rq->head);
    make_note(q, note);
    enum err found = find_way(q);
    enum err e = check_rate(q);
    if (e == ERR_OK && cors_is_preflight(platform_cors(g->platform), rq->head))
        e = preflight(q, ret);
    else if (e == ERR_OK)
        e = found;
    if (ret->answer.status)
        return;
    if (e == ERR_OK && !q->way.to) {
        show_contract(q, ret);
        return;
    }
    if (e == ERR_OK)
        e = check_token(q);
    if (e == ERR_OK) {
        note->tag = q->way.to;
        prepare(q, ret);
        return;
    }
    if (e == ERR_METHOD) {
        allow = allowed(rq->arena, q->way.methods);
        q->cx.story.public_detail = arena_printf(rq->arena, "Allow: %.*s", STR_ARG(allow));
    }
    answer(&q->cx, note, e, allow, q, &ret->answer);
}

void gateway_refuse(void *gateway, struct arena *a, const struct proxy_note *note, enum err e,
                    struct http_answer *ret)
{
    struct gateway *g = gateway;
    struct ctx cx;

    platform_ctx(g->platform, g->svc, a, &cx);
    cx.trace = note->trace;
    cx.korean = note->korean;
    answer(&cx, note, e, STR_NONE, NULL, ret);
}

static void say(const struct gateway *g, const struct proxy_note *note, const struct backend *b,
                int status, int64_t took_us)
{
    struct arena arena;
    struct ctx cx;

    if (!platform_options(g->platform)->log_requests &&
        (took_us < SLOW_REQUEST_US || status == 200 || status == 0))
        return;
    arena_init(&arena, 16384);
    platform_ctx(g->platform, g->svc, &arena, &cx);
    cx.trace = note->trace;
    log_event(&cx, LOG_INFO, "%s %s %d in %" PRId64 " ms, %s", http_method_names[note->method],
              note->path, status, took_us / US_PER_MS, b ? b->name : "gateway");
    arena_release(&arena);
}

void gateway_done(void *gateway, const struct proxy_note *note, int status)
{
    struct gateway *g = gateway;
    const struct backend *b = note->tag;
    int64_t took_us = clock_monotonic_us() - note->started_us;

    metric_add((b ? b->answers : g->own)[status / 100], 1);
    if (b && status)
        metric_observe_us(b->seconds, took_us);
    say(g, note, b, status, took_us);
}
