/* service.c -- starts and stops the discovery service: its listener and the thread that tells
 * peers. */
#include <pthread.h>

#include "base/thread.h"
#include "discovery/discovery.h"
#include "discovery/peers.h"
#include "discovery/rest.h"
#include "obs/log.h"
#include "obs/metrics.h"

#define LISTEN_THREADS 4
#define TURN_MS 500
#define STOP_MS 5000
#define TURN_ARENA_MAX (128u * 1024 * 1024)

struct discovery {
    struct arena arena; /* itself */
    struct registry *registry;
    struct peers peers;
    struct server *server;
    struct platform *platform;
    struct svc *svc;
    struct metric *requests[6], *instances;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool has_thread, has_lock, stop;
    int port;
};

static void handle(void *arg, struct exchange *x)
{
    struct discovery *d = arg;
    struct http_answer answer;
    struct ctx cx;

    platform_ctx(d->platform, d->svc, exchange_arena(x), &cx);
    eureka_answer(&cx, d->registry, exchange_head(x), exchange_body(x), &answer);
    metric_add(d->requests[answer.status / 100], 1);
    exchange_finish(x, &answer);
}

static size_t body_max(void *arg, const struct http_head *head)
{
    (void)arg;
    return str_find(head->path, STR("/peerreplication/")) != SIZE_MAX ? EUREKA_BATCH_MAX
                                                                      : EUREKA_BODY_MAX;
}

/* False: it is to stop. */
static bool pause_between(struct discovery *d)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TURN_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&d->lock);
    while (!d->stop && pthread_cond_timedwait(&d->wake, &d->lock, &until) == 0) {
    }
    bool goes_on = !d->stop;
    pthread_mutex_unlock(&d->lock);
    return goes_on;
}

/* Time passes for the registry also when nobody asks it. */
static void *run(void *arg)
{
    struct discovery *d = arg;
    struct arena arena;
    struct ctx cx;

    thread_name("peers", "discovery");
    arena_init(&arena, TURN_ARENA_MAX);
    do {
        platform_ctx(d->platform, d->svc, &arena, &cx);
        metric_set(d->instances, (int64_t)registry_figures(&cx, d->registry).instances);
        peers_sync(&cx, &d->peers);
        peers_turn(&cx, &d->peers);
        arena_reset(&arena);
    } while (pause_between(d));
    arena_release(&arena);
    return NULL;
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

static enum err make_lock(struct ctx *cx, struct discovery *d)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    int failed = pthread_cond_init(&d->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    if (failed || pthread_mutex_init(&d->lock, NULL) != 0)
        return fail(cx, ERR_INTERNAL, "no mutex for discovery");
    d->has_lock = true;
    return ERR_OK;
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
    if (pthread_create(&d->thread, NULL, run, d) != 0)
        return fail(cx, ERR_UNAVAILABLE, "no thread for discovery");
    d->has_thread = true;
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
    TRY(peers_parse(cx, o->peers, &d->peers));
    const struct registry_options registry = {
        .evict_ms = o->evict_s * 1000,
        .evict_always = o->evict_always,
        .n_peers = d->peers.n,
    };
    TRY(registry_open(cx, &registry, &d->registry));
    d->peers.registry = d->registry;
    make_metrics(d);
    TRY(make_lock(cx, d));
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
    if (d->has_thread) {
        pthread_mutex_lock(&d->lock);
        d->stop = true;
        pthread_cond_broadcast(&d->wake);
        pthread_mutex_unlock(&d->lock);
        pthread_join(d->thread, NULL);
    }
    if (d->has_lock) {
        pthread_cond_destroy(&d->wake);
        pthread_mutex_destroy(&d->lock);
    }
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
