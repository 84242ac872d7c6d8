/* service.c -- starts and stops the discovery service: its listener and the thread that tells
 * peers. */
#include "discovery/discovery.h"
#include "discovery/replicas.h"
#include "discovery/rest.h"
#include "obs/metrics.h"
#include "security/authorization.h"
#include "service/ticker.h"

#define LISTEN_THREADS 4
#define TURN_MS 500
#define STOP_MS 5000
#define CHALLENGE "Basic realm=\"eureka\", charset=\"UTF-8\""

struct discovery {
    struct arena arena; /* itself */
    struct registry *registry;
    struct replicas peers;
    struct server *server;
    struct platform *platform;
    struct svc *svc;
    struct str user, password; /* of whoever may ask; none: anybody */
    struct metric *requests[6], *instances;
    struct ticker ticker;
    int port;
};

/* Both are compared, so that the time tells nothing of either. */
static bool is_welcome(const struct discovery *d, struct exchange *x)
{
    if (!d->user.p)
        return true;
    struct authorization a =
        authorization_parse(exchange_arena(x), http_field(exchange_head(x), STR("Authorization")));
    bool same_user = a.scheme == AUTH_BASIC && str_eq_secret(a.user, d->user);
    bool same_password = a.scheme == AUTH_BASIC && str_eq_secret(a.password, d->password);
    return same_user && same_password;
}

/* Without a body: Netflix's client would read it as an instance. */
static void turn_away(struct http_answer *ret)
{
    static const struct http_field fields[] = {
        {{"WWW-Authenticate", 16}, {CHALLENGE, sizeof CHALLENGE - 1}}};

    *ret = (struct http_answer){.status = 401, .fields = fields, .n_fields = COUNT_OF(fields)};
}

static void handle(void *arg, struct exchange *x)
{
    struct discovery *d = arg;
    struct http_answer answer;
    struct ctx cx;

    platform_ctx(d->platform, d->svc, exchange_arena(x), &cx);
    if (is_welcome(d, x))
        eureka_answer(&cx, d->registry, exchange_head(x), exchange_body(x), &answer);
    else
        turn_away(&answer);
    metric_add(d->requests[answer.status / 100], 1);
    exchange_finish(x, &answer);
}

static size_t body_max(void *arg, const struct http_head *head)
{
    (void)arg;
    return str_find(head->path, STR("/peerreplication/")) != SIZE_MAX ? EUREKA_BATCH_MAX
                                                                      : EUREKA_BODY_MAX;
}

/* Time passes for the registry also when nobody asks it. */
static void turn(void *arg, struct arena *a)
{
    struct discovery *d = arg;
    struct ctx cx;

    platform_ctx(d->platform, d->svc, a, &cx);
    metric_set(d->instances, (int64_t)registry_figures(&cx, d->registry).instances);
    replicas_sync(&cx, &d->peers);
    replicas_turn(&cx, &d->peers);
}

static void make_metrics(struct discovery *d)
{
    static const char *const classes[6] = {"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"};

    for (size_t i = 0; i < COUNT_OF(classes); i++)
        d->requests[i] = metric_get(METRIC_COUNTER, "jumun_discovery_requests_total",
                                    "Requests to the registry.", "status", classes[i], NULL, NULL);
    d->instances = metric_get(METRIC_GAUGE, "jumun_discovery_instances",
                              "Instances in the registry.", NULL, NULL, NULL, NULL);
}

static enum err listen_and_run(struct ctx *cx, struct discovery *d, struct str address)
{
    const struct server_options options = {
        .address = arena_cstr(cx->arena, address),
        .threads = LISTEN_THREADS,
        .name = "discovery",
        .handle = handle,
        .body_max = body_max,
        .arg = d,
    };

    TRY(server_start(cx, &options, &d->server));
    d->port = server_port(d->server);
    return ticker_start(cx, &d->ticker, "discovery", TURN_MS, turn, d);
}

static enum err read_credentials(struct ctx *cx, struct discovery *d, struct str given)
{
    if (!given.n)
        return ERR_OK;
    if (!str_cut(given, ':', &d->user, &d->password) || !d->user.n || !d->password.n)
        return fail(cx, ERR_INVALID, "--discovery-credentials must be USER:PASSWORD");
    return ERR_OK;
}

static enum err start(struct ctx *cx)
{
    static const struct discovery_options none = {.listen = {"127.0.0.1:8761", 14}};
    struct platform *p = svc_platform(cx->svc);
    const struct discovery_options *o = platform_options(p)->discovery;
    struct arena arena;

    o = o ? o : &none;
    arena_init(&arena, 64 * 1024);
    struct discovery *d = ARENA_NEW(&arena, struct discovery);
    d->platform = p;
    d->svc = cx->svc;
    d->arena = arena;
    svc_set_state(cx->svc, d); /* stop() takes down what stands, also after a failure */
    TRY(read_credentials(cx, d, o->credentials));
    TRY(replicas_parse(cx, o->peers, &d->peers));
    const struct registry_options registry = {
        .evict_ms = o->evict_s * 1000,
        .evict_always = o->evict_always,
        .n_peers = d->peers.n,
    };
    TRY(registry_open(cx, &registry, &d->registry));
    d->peers.registry = d->registry;
    make_metrics(d);
    if (platform_options(p)->threads == 0)
        return ERR_OK;
    return listen_and_run(cx, d, o->listen);
}

static void stop(struct svc *svc)
{
    struct discovery *d = svc_state(svc);

    if (!d)
        return;
    if (d->server)
        server_stop(d->server, STOP_MS);
    ticker_stop(&d->ticker);
    registry_close(d->registry);
    struct arena arena = d->arena;
    arena_release(&arena);
}

int discovery_port(struct platform *p)
{
    struct svc *svc = platform_service(p, discovery_service.name);
    const struct discovery *d = svc ? svc_state(svc) : NULL;

    return d ? d->port : 0;
}

const struct service discovery_service = {
    .name = "discovery",
    .start = start,
    .stop = stop,
};
