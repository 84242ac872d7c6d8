/* service.c -- starts and stops the gateway: its back ends, its proxy, and the thread that knows
 * where everybody is. */
#include "gateway/edge.h"
#include "obs/log.h"
#include "service/contract.h"
#include "service/peers.h"

#define GATEWAY_ARENA_MAX (32u * 1024 * 1024)
#define CONTRACT_MAX (16u * 1024 * 1024)
#define TURN_MS 1000

static enum err start(struct ctx *cx)
{
    struct platform *p = svc_platform(cx->svc);
    struct arena arena;
    struct buf b;

    arena_init(&arena, GATEWAY_ARENA_MAX);
    struct gateway *g = ARENA_NEW(&arena, struct gateway);
    g->platform = p;
    g->svc = cx->svc;
    g->options = platform_options(p)->gateway;
    g->arena = arena;
    svc_set_state(cx->svc, g); /* stop() takes down what stands, also after a failure */
    g->limits = limits_open(&g->arena, platform_cache(p));
    TRY(routes_open(cx, g));
    buf_init_arena(&b, &g->arena, CONTRACT_MAX);
    contract_openapi(&b, g->options->behind, JUMUN_VERSION);
    g->contract = buf_str(&b);
    return ERR_OK;
}

static void say_what_is_missing(struct ctx *cx, const struct gateway *g)
{
    for (size_t i = 0; i < g->n_backends; i++)
        if (!peers_know(platform_upstreams(g->platform), g->backends[i].name))
            log_event(cx, LOG_WARN,
                      "gateway: nobody says where %s is (--upstreams, --discovery); it is answered "
                      "503 until somebody does",
                      g->backends[i].name);
    if (g->n_prefixes && !platform_hears_of_ended(g->platform))
        log_event(cx, LOG_WARN,
                  "gateway: back ends of --gateway-routes are told of a user whose session has "
                  "ended until the token expires, 15 minutes at most; --service-keys (with "
                  "gateway.key) and --peers auth=http://... end that within a second");
}

static enum err open_front(struct ctx *cx, const char *address, int *ret_port)
{
    struct gateway *g = svc_state(cx->svc);
    const struct proxy_options options = {
        .address = address,
        .threads = (int)platform_options(g->platform)->threads,
        .decide = gateway_decide,
        .refuse = gateway_refuse,
        .done = gateway_done,
        .arg = g,
    };

    say_what_is_missing(cx, g);
    targets_refresh(g, cx->arena);
    TRY(ticker_start(cx, &g->ticker, "targets", TURN_MS, targets_refresh, g));
    TRY(limits_share(cx, g->limits));
    TRY(proxy_start(cx, &options, &g->proxy));
    *ret_port = proxy_port(g->proxy);
    return ERR_OK;
}

static int64_t front_turned_us(const struct svc *svc)
{
    const struct gateway *g = svc_state(svc);

    return proxy_turned_us(g->proxy);
}

static void close_front(struct svc *svc, int timeout_ms)
{
    struct gateway *g = svc_state(svc);

    if (!g)
        return;
    if (g->proxy)
        proxy_stop(g->proxy, timeout_ms);
    g->proxy = NULL;
}

static void stop(struct svc *svc)
{
    struct gateway *g = svc_state(svc);

    if (!g)
        return;
    ticker_stop(&g->ticker);
    for (size_t i = 0; i < g->n_backends; i++)
        cluster_close(g->backends[i].cluster);
    if (g->router)
        router_close(g->router);
    limits_close(g->limits);
    struct arena arena = g->arena;
    arena_release(&arena);
}

static const struct front front = {
    .open = open_front, .turned_us = front_turned_us, .close = close_front};

const struct service gateway_service = {
    .name = "gateway",
    .front = &front,
    .start = start,
    .stop = stop,
};
