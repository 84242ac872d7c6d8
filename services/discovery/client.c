/* client.c -- one process among the clients of a Eureka server. */
#include "discovery/client.h"

#include "discovery/apps.h"
#include "obs/log.h"

#define CALL_TIMEOUT_MS 5000
#define LIST_MAX (16 * 1024 * 1024)
#define CLIENT_ARENA_MAX (256 * 1024)
#define RETRY_MAX_S 5
#define ADDRESSES_MAX 64
#define LEASE_INTERVALS 3 /* two renewals may be lost */

struct registered {
    struct str service;
    struct instance is;
    bool known; /* by the server */
    int64_t due_us;
};

struct client {
    struct arena arena; /* itself */
    struct client_options options;
    struct replicas servers; /* its addresses and its way to call */
    size_t at;               /* of the one that answered last */
    struct registry *copy;
    bool has_all; /* the copy was whole at some time */
    int64_t fetch_due_us;
    struct registered own[CLIENT_SERVICES_MAX];
    uint64_t told[CLIENT_SERVICES_MAX]; /* hash of the addresses told last, by wanted; 0: none */
    int64_t fulls, deltas, failures;
};

static void describe(struct client *c, struct registered *own, int64_t now_ms)
{
    struct arena *a = &c->arena;
    const struct client_options *o = &c->options;
    struct pair *metadata = arena_array(a, 1, sizeof *metadata);
    struct str internal =
        arena_printf(a, "http://%.*s:%" PRId64, STR_ARG(o->host), o->internal_port);

    metadata[0] = (struct pair){STR("internalPort"), arena_printf(a, "%" PRId64, o->internal_port)};
    own->is = (struct instance){
        .id =
            arena_printf(a, "%.*s:%.*s:%" PRId64, STR_ARG(o->host), STR_ARG(own->service), o->port),
        .host = o->host,
        .app = upper_case(a, own->service),
        .ip = o->host,
        .home_url = arena_printf(a, "http://%.*s:%" PRId64 "/", STR_ARG(o->host), o->port),
        .status_url = arena_printf(a, "%.*s/livez", STR_ARG(internal)),
        .health_url = arena_printf(a, "%.*s/readyz", STR_ARG(internal)),
        .vip = own->service,
        .secure_vip = own->service,
        .data_center_class = STR("com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"),
        .data_center = STR("MyOwn"),
        .metadata = {metadata, 1},
        .port = o->port,
        .port_on = true,
        .secure_port = 443,
        .country = 1,
        .renew_s = o->every_s,
        .duration_s = o->every_s * LEASE_INTERVALS,
        .dirty_ms = now_ms,
        .updated_ms = now_ms,
        .status = INSTANCE_UP,
        .overridden = INSTANCE_UNKNOWN,
    };
}

enum err client_open(struct ctx *cx, const struct client_options *options, struct client **ret)
{
    const struct registry_options copy = {0};
    struct arena arena;

    arena_init(&arena, CLIENT_ARENA_MAX);
    struct client *c = ARENA_NEW(&arena, struct client);
    c->options = *options;
    c->servers.call = options->call;
    c->servers.arg = options->call_arg;
    c->options.host = arena_copy(&arena, options->host);
    for (size_t i = 0; i < options->n_wanted; i++)
        c->options.wanted[i] = arena_copy(&arena, options->wanted[i]);
    enum err e = replicas_parse(cx, arena_copy(&arena, options->urls), &c->servers);
    if (e == ERR_OK && c->servers.n == 0)
        e = fail(cx, ERR_INVALID, "no address of a discovery server");
    if (e == ERR_OK)
        e = registry_open(cx, &copy, &c->copy);
    if (e != ERR_OK) {
        arena_release(&arena);
        return e;
    }
    c->arena = arena;
    for (size_t i = 0; i < options->n_services; i++) {
        c->own[i].service = arena_copy(&c->arena, options->services[i]);
        describe(c, &c->own[i], ctx_now(cx) / US_PER_MS);
    }
    *ret = c;
    return ERR_OK;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    registry_close(c->copy);
    struct arena arena = c->arena;
    arena_release(&arena);
}

/* Tries each server once, beginning with the one that answered last. */
static enum err ask(struct ctx *cx, struct client *c, enum http_method method, struct str path,
                    struct str body, struct http_result *ret)
{
    static const char *const headers[] = {"Accept: application/json", NULL};
    enum err e = ERR_UNAVAILABLE;

    for (size_t i = 0; i < c->servers.n; i++) {
        const struct http_call call = {
            .method = method,
            .url =
                arena_printf(cx->arena, "%.*s%.*s", STR_ARG(c->servers.urls[c->at]), STR_ARG(path))
                    .p,
            .body = body,
            .content_type = body.n ? STR("application/json") : STR_NONE,
            .headers = headers,
            .timeout_ms = CALL_TIMEOUT_MS,
            .answer_max = LIST_MAX,
        };
        e = replicas_call(cx, &c->servers, &call, ret);
        if (e == ERR_OK && ret->status < 500 && ret->status != 401)
            return ERR_OK;
        c->failures++;
        if (e == ERR_OK)
            e = fail(cx, ERR_UPSTREAM, "%s answered %d%s", url_shown(cx->arena, str_from(call.url)),
                     ret->status,
                     ret->status == 401 ? ": wrong user or password, --discovery takes "
                                          "http://USER:PASSWORD@HOST:8761/eureka"
                                        : "");
        c->at = (c->at + 1) % c->servers.n;
    }
    return e;
}

static struct str path_of(struct ctx *cx, const struct registered *own)
{
    return arena_printf(cx->arena, "/apps/%.*s/%.*s", STR_ARG(own->is.app), STR_ARG(own->is.id));
}

static enum err introduce(struct ctx *cx, struct client *c, struct registered *own)
{
    struct str path = arena_printf(cx->arena, "/apps/%.*s", STR_ARG(own->is.app));
    struct http_result result;
    struct buf b;
    struct writer w = {.b = &b, .form = FORM_JSON};

    buf_init_arena(&b, cx->arena, INSTANCE_BYTES_MAX);
    write_instance(&w, &own->is);
    TRY(ask(cx, c, HTTP_POST, path, buf_str(&b), &result));
    if (result.status / 100 != 2)
        return fail(cx, ERR_UPSTREAM, "registering was answered %d: %.*s", result.status,
                    STR_ARG(result.body));
    own->known = true;
    return ERR_OK;
}

static enum err renew(struct ctx *cx, struct client *c, struct registered *own)
{
    struct str path = arena_printf(cx->arena, "%.*s?status=UP&lastDirtyTimestamp=%" PRId64,
                                   STR_ARG(path_of(cx, own)), own->is.dirty_ms);
    struct http_result result;

    if (!own->known)
        return introduce(cx, c, own);
    TRY(ask(cx, c, HTTP_PUT, path, STR_NONE, &result));
    if (result.status == 404) { /* it has restarted, or taken us for dead */
        own->known = false;
        return introduce(cx, c, own);
    }
    return result.status == 200
               ? ERR_OK
               : fail(cx, ERR_UPSTREAM, "a renewal was answered %d", result.status);
}

/* HOST:PORT of whoever of this application wants to be called. */
struct gather {
    struct ctx *cx;
    struct str app;
    struct str addresses[ADDRESSES_MAX], open[ADDRESSES_MAX]; /* internal; public */
    size_t n;
    uint64_t hash;
};

static void gather_one(void *arg, const struct instance *is)
{
    struct gather *g = arg;
    struct str port = STR_NONE;

    if (!str_eq(is->app, g->app) || is->status != INSTANCE_UP || g->n == ADDRESSES_MAX)
        return;
    for (size_t i = 0; i < is->metadata.n; i++)
        if (str_eq(LIST_AT(struct pair, is->metadata, i)->key, STR("internalPort")))
            port = LIST_AT(struct pair, is->metadata, i)->value;
    if (!port.n)
        port = arena_printf(g->cx->arena, "%" PRId64, is->port);
    struct str address = arena_printf(g->cx->arena, "%.*s:%.*s", STR_ARG(is->host), STR_ARG(port));
    g->open[g->n] = arena_printf(g->cx->arena, "%.*s:%" PRId64, STR_ARG(is->host), is->port);
    g->addresses[g->n++] = address;
    g->hash = g->hash * 31 + str_hash(address);
}

static void tell(struct ctx *cx, struct client *c)
{
    for (size_t i = 0; c->options.found && i < c->options.n_wanted; i++) {
        struct gather g = {.cx = cx, .app = upper_case(cx->arena, c->options.wanted[i]), .hash = 1};
        registry_each(cx, c->copy, gather_one, &g);
        if (g.n == 0 || g.hash == c->told[i])
            continue;
        c->told[i] = g.hash;
        c->options.found(c->options.found_arg, c->options.wanted[i], g.addresses, g.open, g.n);
    }
}

static enum err fetch_all(struct ctx *cx, struct client *c)
{
    struct http_result result;
    struct apps apps;

    TRY(ask(cx, c, HTTP_GET, STR("/apps/"), STR_NONE, &result));
    if (result.status != 200)
        return fail(cx, ERR_UPSTREAM, "the list was answered %d", result.status);
    TRY(apps_decode(cx, result.body, &apps)); /* before what is known is thrown away */
    registry_clear(cx, c->copy);
    for (size_t i = 0; i < apps.instances.n; i++)
        TRY(registry_put(cx, c->copy, LIST_AT(struct instance, apps.instances, i)));
    c->has_all = true;
    c->fulls++;
    return ERR_OK;
}

/* *ret_whole: with these changes our copy has the same count of each status as the server's. */
static enum err fetch_changes(struct ctx *cx, struct client *c, bool *ret_whole)
{
    struct http_result result;
    struct apps apps;

    *ret_whole = false;
    TRY(ask(cx, c, HTTP_GET, STR("/apps/delta"), STR_NONE, &result));
    if (result.status != 200) /* switched off there */
        return ERR_OK;
    TRY(apps_decode(cx, result.body, &apps));
    for (size_t i = 0; i < apps.instances.n; i++) {
        const struct instance *is = LIST_AT(struct instance, apps.instances, i);
        if (is->action != INSTANCE_DELETED)
            TRY(registry_put(cx, c->copy, is));
        else if (registry_cancel(cx, c->copy, is->app, is->id, FROM_PEER) != ERR_OK)
            continue; /* it came and went between two looks */
    }
    c->deltas++;
    *ret_whole = str_eq(apps.hash, registry_hash(cx, c->copy));
    return ERR_OK;
}

static enum err look(struct ctx *cx, struct client *c)
{
    bool whole = false;

    if (c->has_all)
        TRY(fetch_changes(cx, c, &whole));
    if (!whole)
        TRY(fetch_all(cx, c));
    tell(cx, c);
    return ERR_OK;
}

static int64_t again(const struct client *c, enum err e)
{
    int64_t every_s = c->options.every_s;

    return (e == ERR_OK || every_s < RETRY_MAX_S ? every_s : RETRY_MAX_S) * US_PER_S;
}

/* Nothing waits longer than an interval: a clock that was set back makes all due. */
static bool is_due(const struct client *c, int64_t now_us, int64_t due_us)
{
    return now_us >= due_us || due_us - now_us > c->options.every_s * US_PER_S;
}

void client_turn(struct ctx *cx, struct client *c)
{
    int64_t now_us = ctx_now(cx);

    for (size_t i = 0; i < c->options.n_services; i++) {
        struct registered *own = &c->own[i];
        if (!is_due(c, now_us, own->due_us))
            continue;
        enum err e = renew(cx, c, own);
        own->due_us = now_us + again(c, e);
        if (e != ERR_OK)
            log_event(cx, LOG_WARN, "discovery: %.*s is not registered: %s", STR_ARG(own->service),
                      cx->story.detail);
    }
    if (!is_due(c, now_us, c->fetch_due_us))
        return;
    enum err e = look(cx, c);
    c->fetch_due_us = now_us + again(c, e);
    if (e != ERR_OK)
        log_event(cx, LOG_WARN, "discovery: the last known addresses stay: %s", cx->story.detail);
}

void client_leave(struct ctx *cx, struct client *c)
{
    for (size_t i = 0; i < c->options.n_services; i++) {
        struct http_result result;
        if (!c->own[i].known)
            continue;
        c->own[i].known = false;
        if (ask(cx, c, HTTP_DELETE, path_of(cx, &c->own[i]), STR_NONE, &result) != ERR_OK)
            log_event(cx, LOG_WARN, "discovery: %.*s stays registered until its lease ends: %s",
                      STR_ARG(c->own[i].service), cx->story.detail);
    }
}

struct client_figures client_figures(struct ctx *cx, const struct client *c)
{
    struct client_figures f = {.instances = registry_figures(cx, c->copy).instances,
                               .fulls = c->fulls,
                               .deltas = c->deltas,
                               .failures = c->failures};

    for (size_t i = 0; i < c->options.n_services; i++)
        f.registered += c->own[i].known;
    return f;
}
