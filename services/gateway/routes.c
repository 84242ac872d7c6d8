/* routes.c -- which back end a path belongs to. */
#include "gateway/edge.h"

static struct metric *answers_of(const char *name, size_t class)
{
    static const char *const classes[6] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

    return metric_get(METRIC_COUNTER, "jumun_gateway_requests_total",
                      "Requests by who answered them; none: the client went away first.", "service",
                      name, "status", classes[class]);
}

static void make_metrics(struct backend *b)
{
    b->seconds = metric_get(METRIC_HISTOGRAM, "jumun_gateway_request_seconds",
                            "From the head of a request to the end of its answer.", "service",
                            b->name, NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(b->answers); i++)
        b->answers[i] = answers_of(b->name, i);
    b->up = metric_get(METRIC_GAUGE, "jumun_gateway_targets", "Known instances.", "service",
                       b->name, NULL, NULL);
    b->out = metric_get(METRIC_GAUGE, "jumun_gateway_targets_out",
                        "Instances that get no requests because they failed.", "service", b->name,
                        NULL, NULL);
    b->in_flight = metric_get(METRIC_GAUGE, "jumun_gateway_requests_in_flight",
                              "Requests that wait for an answer.", "service", b->name, NULL, NULL);
}

static enum err add_backend(struct ctx *cx, struct gateway *g, const char *name, bool is_ours,
                            struct backend **ret)
{
    const struct cluster_options options = {.name = name,
                                            .requests_max = (int)g->options->requests_max,
                                            .connect_ms = g->options->connect_ms,
                                            .answer_ms = g->options->answer_ms};

    for (size_t i = 0; i < g->n_backends; i++)
        if (strcmp(g->backends[i].name, name) == 0) {
            *ret = &g->backends[i];
            return ERR_OK;
        }
    if (g->n_backends == BACKENDS_MAX)
        return fail(cx, ERR_INVALID, "more than %d back ends", BACKENDS_MAX);
    struct backend *b = &g->backends[g->n_backends];
    *b = (struct backend){.name = name, .is_ours = is_ours};
    TRY(cluster_open(cx, &options, &b->cluster));
    g->n_backends++;
    make_metrics(b);
    *ret = b;
    return ERR_OK;
}

static enum err add_service(struct ctx *cx, struct gateway *g, const struct service *s)
{
    struct backend *b;

    TRY(add_backend(cx, g, s->name, true, &b));
    for (const struct route *r = s->routes; r && r->path; r++) {
        if (r->flags & INTERNAL)
            continue;
        if (router_add(g->router, r->method, r->path, r, (int)(b - g->backends)) != ERR_OK)
            return fail(cx, ERR_INTERNAL, "route %s %s is there twice",
                        http_method_names[r->method], r->path);
    }
    return ERR_OK;
}

static bool is_prefix(struct str s)
{
    if (s.n < 2 || s.p[0] != '/' || s.p[s.n - 1] == '/')
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= 0x20 || strchr("?#%", s.p[i]))
            return false;
    return true;
}

/* "/v1/chat=chat" */
static enum err add_prefix(struct ctx *cx, struct gateway *g, struct str part)
{
    struct str path, name;
    struct backend *b;

    if (!str_cut(part, '=', &path, &name) || !is_prefix(path) || name.n == 0)
        return fail(cx, ERR_INVALID, "\"%.*s\" is not /PATH=NAME", STR_ARG(part));
    if (g->n_prefixes == PREFIXES_MAX)
        return fail(cx, ERR_INVALID, "more than %d paths", PREFIXES_MAX);
    TRY(add_backend(cx, g, arena_cstr(&g->arena, name), false, &b));
    g->prefixes[g->n_prefixes++] = (struct prefix){.path = arena_copy(&g->arena, path), .to = b};
    return ERR_OK;
}

enum err routes_open(struct ctx *cx, struct gateway *g)
{
    struct str rest = g->options->routes, part;

    g->router = router_open();
    if (!g->router)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < COUNT_OF(g->own); i++)
        g->own[i] = answers_of("gateway", i);
    for (size_t i = 0; g->options->behind[i]; i++)
        if (!g->options->behind[i]->listener) /* the simulator is nobody's public service */
            TRY(add_service(cx, g, g->options->behind[i]));
    for (bool more = str_trim(rest).n > 0; more;) {
        more = str_cut(rest, ',', &part, &rest);
        TRY(add_prefix(cx, g, str_trim(part)));
    }
    return ERR_OK;
}

/* The longest prefix wins; whole segments only. No dots and nothing escaped that could mean another
 * path behind us. */
static struct backend *by_prefix(const struct gateway *g, struct str path)
{
    const struct prefix *best = NULL;

    if (str_find(path, STR("/.")) != SIZE_MAX || str_find(path, STR("//")) != SIZE_MAX ||
        str_find(path, STR("%2")) != SIZE_MAX || str_find(path, STR("%5")) != SIZE_MAX)
        return NULL;
    for (size_t i = 0; i < g->n_prefixes; i++) {
        const struct prefix *p = &g->prefixes[i];
        bool fits = str_starts(path, p->path) && (path.n == p->path.n || path.p[p->path.n] == '/');
        if (fits && (!best || p->path.n > best->path.n))
            best = p;
    }
    return best ? best->to : NULL;
}

struct way routes_find(const struct gateway *g, const struct http_head *head)
{
    struct route_match match;

    router_find(g->router, head->method, head->path, &match);
    if (match.route)
        return (struct way){.to = (struct backend *)(uintptr_t)&g->backends[match.owner],
                            .route = match.route};
    return (struct way){.to = match.methods ? NULL : by_prefix(g, head->path),
                        .methods = match.methods};
}
