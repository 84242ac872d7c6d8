/* platform.c -- starts everything a process runs, in order, and stops it in the other one. */
#include "service/platform.h"

#include "flow/lease.h"
#include "flow/outbox.h"
#include "obs/log.h"
#include "service/contract.h"
#include "service/ended.h"
#include "service/key_watch.h"
#include "service/running.h"
#include "service/sweep.h"

#define CACHE_BYTES (16u * 1024 * 1024)
#define SLOW_QUEUE_MAX 512
#define HEARTBEAT_MS 15000
#define HASHING_THREADS 4  /* of CPU and 19 MiB each */
#define TOSS_THREADS 8     /* they wait when the simulator is slow */
#define INTERNAL_THREADS 2 /* health and metrics answer while an operator's request runs */
#define CONTRACT_MAX (16u * 1024 * 1024)
#define ARENA_MAX (64u * 1024 * 1024)
#define LARGE_BODY_MAX (5 * 1024 * 1024)

static const char *const listener_names[LISTENERS] = {"public", "internal", "toss"};
static const char *const listen_flags[LISTENERS] = {"--listen", "--internal-listen",
                                                    "--toss-listen"};

const struct service *svc_service(const struct svc *svc)
{
    return svc->service;
}

struct platform *svc_platform(const struct svc *svc)
{
    return svc->platform;
}

void svc_set_state(struct svc *svc, void *state)
{
    svc->state = state;
}

void *svc_state(const struct svc *svc)
{
    return svc->state;
}

bool svc_is_stopping(const struct svc *svc)
{
    return svc->stop || svc->platform->is_draining;
}

void svc_wake(struct svc *svc)
{
    pump_ring(svc);
}

const struct platform_options *platform_options(const struct platform *p)
{
    return &p->options;
}

int platform_port(const struct platform *p, int listener)
{
    return p->listeners[listener].port;
}

struct svc *platform_service(struct platform *p, const char *name)
{
    for (size_t i = 0; i < p->n_services; i++)
        if (strcmp(p->services[i].service->name, name) == 0)
            return &p->services[i];
    return NULL;
}

struct db *platform_db(struct platform *p, const char *name)
{
    struct svc *s = platform_service(p, name);

    return s ? s->db : NULL;
}

struct jwt_keys *platform_keys(struct platform *p)
{
    return p->keys;
}

const struct cors *platform_cors(const struct platform *p)
{
    return p->cors;
}

struct cache *platform_cache(struct platform *p)
{
    return p->cache;
}

struct bus *platform_bus(struct platform *p)
{
    return p->bus;
}

struct sse_hub *platform_events(struct platform *p)
{
    return p->events;
}

struct peers *platform_peers(struct platform *p)
{
    return p->peers;
}

struct peers *platform_upstreams(struct platform *p)
{
    return p->upstreams;
}

struct blobs *platform_blobs(struct platform *p)
{
    return p->blobs;
}

static const char *url(struct platform *p, const char *scheme, const char *below)
{
    return arena_printf(&p->arena, "%s:%.*s%s", scheme, STR_ARG(p->options.data_dir), below).p;
}

static const char *database_url(struct platform *p)
{
    return p->options.database_url.p ? arena_cstr(&p->arena, p->options.database_url)
                                     : url(p, "sqlite", "");
}

static const char *database_replicas(struct platform *p)
{
    return p->options.database_replicas.p ? arena_cstr(&p->arena, p->options.database_replicas)
                                          : NULL;
}

static const char *bus_url(struct platform *p)
{
    return p->options.bus_url.p ? arena_cstr(&p->arena, p->options.bus_url)
                                : url(p, "log", p->options.apart ? "?shared" : "");
}

static const char *blobs_url(struct platform *p)
{
    return p->options.blobs_url.p ? arena_cstr(&p->arena, p->options.blobs_url)
                                  : url(p, "file", "/photos");
}

/* The gateway and the discovery service keep nothing: they need no directory, and no engine. */
static bool keeps_data(const struct platform *p)
{
    for (size_t i = 0; i < p->n_services; i++)
        if (p->services[i].service->migrations)
            return true;
    return false;
}

static enum err open_stores(struct ctx *cx, struct platform *p)
{
    if (!keeps_data(p)) {
        p->instance = ctx_uuid(cx);
        return ERR_OK;
    }
    TRY(directory_take(cx, p));
    TRY(blobs_open(cx, blobs_url(p), &p->options.blob_keys, &p->blobs));
    return bus_open(cx, bus_url(p), &p->bus);
}

static enum err open_engines(struct ctx *cx, struct platform *p)
{
    const struct str cache = p->options.cache_url.p ? p->options.cache_url : STR("memory:");

    TRY(open_stores(cx, p));
    TRY(apart_open(cx, p));
    TRY(cache_open(cx, arena_cstr(cx->arena, cache), CACHE_BYTES, &p->cache));
    if (cache_is_shared(p->cache))
        p->cache_up = metric_get(METRIC_GAUGE, "jumun_cache_up",
                                 "1 while the cache's server answers.", NULL, NULL, NULL, NULL);
    p->shed =
        metric_get(METRIC_COUNTER, "jumun_http_shed_total",
                   "Requests refused because there is too much to do.", NULL, NULL, NULL, NULL);
    p->bus_syncs = metric_get(METRIC_COUNTER, "jumun_bus_syncs_total", "Syncs of the embedded bus.",
                              NULL, NULL, NULL, NULL);
    p->events = sse_hub_open(p->options.threads > 0 ? HEARTBEAT_MS : 0,
                             (size_t)p->options.streams_per_user);
    if (!p->events)
        return fail(cx, ERR_UNAVAILABLE, "cannot start the event streams");
    return ERR_OK;
}

static void replica_metrics(struct svc *s, const char *name)
{
    s->replicas = metric_get(METRIC_GAUGE, "jumun_db_replicas", "Replicas that may be read.",
                             "service", name, NULL, NULL);
    s->replica_age_us = metric_get(METRIC_GAUGE, "jumun_db_replica_age_microseconds",
                                   "How old reads of the oldest of them were, at most.", "service",
                                   name, NULL, NULL);
    s->replica_reads = metric_get(METRIC_COUNTER, "jumun_db_replica_reads_total",
                                  "Reads answered by replicas.", "service", name, NULL, NULL);
    s->replica_misses =
        metric_get(METRIC_COUNTER, "jumun_db_replica_misses_total",
                   "Reads answered by the primary in their place.", "service", name, NULL, NULL);
}

static enum err open_service(struct ctx *cx, struct platform *p, struct svc *s)
{
    const struct db_options options = {.group_commit = p->options.threads > 0,
                                       .readers_max = 8,
                                       .connections_max = (int)p->options.database_connections,
                                       .replicas = database_replicas(p),
                                       .replica_lag_us = p->options.database_replica_lag_us,
                                       .clock = p->options.clock};
    const char *name = s->service->name;

    s->outbox_rows = metric_get(METRIC_GAUGE, "jumun_outbox_rows", "Events not yet published.",
                                "service", name, NULL, NULL);
    s->outbox_age_us =
        metric_get(METRIC_GAUGE, "jumun_outbox_age_microseconds",
                   "Age of the oldest unpublished event.", "service", name, NULL, NULL);
    for (size_t i = 0; i < TOPICS_MAX && s->service->topics && s->service->topics[i]; i++) {
        s->behind[i] =
            metric_get(METRIC_GAUGE, "jumun_consumer_lag_events", "Events not yet applied.",
                       "service", name, "topic", s->service->topics[i]);
        s->behind_age_us[i] = metric_get(METRIC_GAUGE, "jumun_consumer_age_microseconds",
                                         "Age of the oldest event not yet applied.", "service",
                                         name, "topic", s->service->topics[i]);
    }
    s->consumed = metric_get(METRIC_COUNTER, "jumun_events_applied_total", "Events applied.",
                             "service", name, NULL, NULL);
    s->statements = metric_get(METRIC_COUNTER, "jumun_db_statements_total", "SQL statements run.",
                               "service", name, NULL, NULL);
    s->exchanges = metric_get(METRIC_COUNTER, "jumun_db_exchanges_total",
                              "Round trips to a database server.", "service", name, NULL, NULL);
    s->commits = metric_get(METRIC_COUNTER, "jumun_db_commits_total", "Transactions committed.",
                            "service", name, NULL, NULL);
    s->syncs = metric_get(METRIC_COUNTER, "jumun_db_syncs_total",
                          "Group commits, each one sync of the log.", "service", name, NULL, NULL);
    if (options.replicas && s->service->migrations)
        replica_metrics(s, name);
    if (s->service->migrations) {
        TRY(db_open(cx, database_url(p), name, &options, &s->db));
        platform_ctx(p, s, cx->arena, cx);
        TRY(migrate(cx, s->service->migrations, false, NULL));
        /* In a data directory the lock says that we are alone. */
        TRY(leases_recall(cx, !db_is_shared(s->db)));
    }
    platform_ctx(p, s, cx->arena, cx);
    if (s->service->start)
        TRY(s->service->start(cx));
    return ERR_OK;
}

static void bind_metrics(struct bound_route *b)
{
    static const char *const classes[6] = {"0xx", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const struct route *r = b->route;

    b->seconds =
        metric_get(METRIC_HISTOGRAM, "jumun_http_request_seconds", "Time from request to answer.",
                   "method", http_method_names[r->method], "route", r->path);
    for (size_t i = 1; i < COUNT_OF(classes); i++) {
        const char *label =
            arena_printf(&b->svc->platform->arena, "%s %s", http_method_names[r->method], r->path)
                .p;
        b->answers[i] = metric_get(METRIC_COUNTER, "jumun_http_requests_total",
                                   "Requests answered.", "route", label, "status", classes[i]);
    }
}

static enum listener_kind listener_of(const struct service *s, const struct route *r)
{
    if (s->listener && strcmp(s->listener, "toss") == 0 && !(r->flags & INTERNAL))
        return LISTEN_TOSS;
    return r->flags & INTERNAL ? LISTEN_INTERNAL : LISTEN_PUBLIC;
}

static enum err bind_rows(struct ctx *cx, struct svc *s, const struct route *rows)
{
    struct platform *p = s->platform;

    for (const struct route *r = rows; r && r->path; r++) {
        struct bound_route *b = &p->routes[p->n_routes++];
        *b = (struct bound_route){.route = r, .svc = s};
        assert(r->who != 0); /* a route without a policy is our mistake */
        /* All guests are one principal: one would get the answer to another's key. */
        assert(!(r->flags & IDEMPOTENT) || !(r->who & GUEST));
        assert(!(r->flags & KEYED) || !(r->flags & (IDEMPOTENT | CALLS_OUT)));
        bind_metrics(b);
        struct router *router = p->listeners[listener_of(s->service, r)].router;
        if (router_add(router, r->method, r->path, b, (int)(s - p->services)) != ERR_OK)
            return fail(cx, ERR_INTERNAL, "route %s %s is there twice",
                        http_method_names[r->method], r->path);
    }
    return ERR_OK;
}

static size_t count_rows(const struct route *r)
{
    size_t n = 0;

    while (r && r[n].path)
        n++;
    return n;
}

static enum err bind_routes(struct ctx *cx, struct platform *p)
{
    const struct route *letters[SERVICES_MAX] = {NULL};
    size_t n = 0;

    for (size_t i = 0; i < p->n_services; i++) {
        if (p->services[i].service->consumers)
            letters[i] = dead_letter_routes(&p->arena, p->services[i].service);
        n += count_rows(p->services[i].service->routes) + count_rows(letters[i]);
    }
    p->routes = arena_array(&p->arena, n + 1, sizeof *p->routes);
    for (size_t i = 0; i < p->n_services; i++) {
        TRY(bind_rows(cx, &p->services[i], p->services[i].service->routes));
        TRY(bind_rows(cx, &p->services[i], letters[i]));
    }
    return ERR_OK;
}

/* The largest body any route of this path takes; before the route is known to be allowed. */
static size_t body_max(void *arg, const struct http_head *head)
{
    const struct listener *l = arg;
    struct route_match match;

    if (!l->platform->is_open)
        return HTTP_BODY_MAX;
    router_find(l->router, head->method, head->path, &match);
    if (!match.route)
        return HTTP_BODY_MAX;
    return ((const struct bound_route *)match.route)->route->flags & LARGE ? LARGE_BODY_MAX
                                                                           : HTTP_BODY_MAX;
}

static struct svc *front_of(struct platform *p)
{
    for (size_t i = 0; i < p->n_services; i++)
        if (p->services[i].service->front)
            return &p->services[i];
    return NULL;
}

static enum err open_listener(struct ctx *cx, struct platform *p, enum listener_kind kind,
                              const char *address)
{
    struct listener *l = &p->listeners[kind];
    struct svc *front = kind == LISTEN_PUBLIC ? front_of(p) : NULL;
    const struct server_options options = {
        .address = address,
        .threads = kind == LISTEN_PUBLIC ? (int)p->options.threads
                   : kind == LISTEN_TOSS ? TOSS_THREADS
                                         : INTERNAL_THREADS,
        .name = listener_names[kind],
        .handle = edge_handle,
        .body_max = body_max,
        .arg = l,
    };

    if (front) {
        platform_ctx(p, front, cx->arena, cx);
        return front->service->front->open(cx, address, &l->port);
    }
    TRY(server_start(cx, &options, &l->server));
    l->port = server_port(l->server);
    return ERR_OK;
}

static enum err listen_on(struct ctx *cx, struct platform *p, enum listener_kind kind,
                          struct str address)
{
    if (!address.p || p->options.threads == 0)
        return ERR_OK;
    enum err e = open_listener(cx, p, kind, arena_cstr(cx->arena, address));
    if (e != ERR_OK) {
        struct str why = arena_printf(cx->arena, "%s", cx->story.detail);
        return fail(cx, e, "%.*s; %s takes another address, with port 0 a free one", STR_ARG(why),
                    listen_flags[kind]);
    }
    return ERR_OK;
}

/* What a broker does not say now stays as it was known. */
static void refresh_behind(struct svc *s)
{
    struct bus_behind behind;

    for (size_t i = 0; i < TOPICS_MAX && s->service->topics[i]; i++) {
        if (!bus_behind(s->reader, s->service->topics[i], &behind))
            continue;
        int64_t age_us = clock_now(s->platform->options.clock) - behind.oldest_us;
        metric_set(s->behind[i], behind.events);
        metric_set(s->behind_age_us[i], behind.oldest_us && age_us > 0 ? age_us : 0);
    }
}

static void refresh_metrics(void *arg)
{
    struct platform *p = arg;
    struct arena arena;
    struct ctx cx;

    arena_init(&arena, 1024 * 1024);
    for (size_t i = 0; i < p->n_services; i++) {
        struct svc *s = &p->services[i];
        int64_t rows, age_us;
        if (!s->db)
            continue;
        platform_ctx(p, s, &arena, &cx);
        cx.deadline_us = clock_monotonic_us() + US_PER_S; /* metrics answer also when all hangs */
        if (outbox_lag(&cx, &rows, &age_us) == ERR_OK) {
            metric_set(s->outbox_rows, rows);
            metric_set(s->outbox_age_us, age_us);
        }
        if (s->service->gauges && s->service->gauges(&cx) != ERR_OK)
            db_rollback(&cx); /* they stay as they are */
        if (s->reader)
            refresh_behind(s);
        struct db_stats stats = db_stats(s->db);
        metric_set(s->statements, (int64_t)stats.statements);
        metric_set(s->exchanges, (int64_t)stats.exchanges);
        metric_set(s->commits, (int64_t)stats.commits);
        metric_set(s->syncs, (int64_t)stats.groups);
        if (!s->replicas)
            continue;
        metric_set(s->replicas, (int64_t)stats.replicas);
        metric_set(s->replica_age_us, (int64_t)stats.replica_age_us);
        metric_set(s->replica_reads, (int64_t)stats.replica_reads);
        metric_set(s->replica_misses, (int64_t)stats.replica_misses);
    }
    if (p->cache_up)
        metric_set(p->cache_up, cache_answers(p->cache));
    if (p->bus)
        metric_set(p->bus_syncs, (int64_t)bus_syncs(p->bus));
    arena_release(&arena);
}

/* Without a URL of its own, Toss is the simulator of this process; in simulation its name is never
 * resolved. */
static void find_toss(struct platform *p)
{
    if (p->options.toss_url.p)
        return;
    int port = platform_port(p, LISTEN_TOSS);
    p->options.toss_url =
        port ? arena_printf(&p->arena, "http://127.0.0.1:%d", port) : STR("http://toss.invalid");
}

static void print_contract(struct platform *p)
{
    struct buf b;

    if (p->options.threads == 0)
        return;
    buf_init_arena(&b, &p->arena, CONTRACT_MAX);
    contract_openapi(&b, p->options.services, JUMUN_VERSION);
    p->contract = buf_str(&b);
}

static enum err start_all(struct ctx *cx, struct platform *p)
{
    TRY(cors_open(cx, &p->arena, p->options.cors_origins, &p->cors));
    TRY(open_engines(cx, p));
    TRY(keep_settle(cx, &p->options.keep, p->bus ? bus_keeps_us(p->bus) : 0));
    for (int i = 0; i < LISTENERS; i++) {
        p->listeners[i] = (struct listener){
            .platform = p, .kind = (enum listener_kind)i, .router = router_open()};
        if (!p->listeners[i].router)
            return fail(cx, ERR_UNAVAILABLE, "out of memory");
    }
    /* Whoever watches it sees a process that lives and waits. */
    TRY(listen_on(cx, p, LISTEN_INTERNAL, p->options.internal_listen));
    if (keeps_data(p) && p->options.pause)
        TRY(await_database(cx, p, database_url(p)));
    for (size_t i = 0; i < p->n_services; i++)
        TRY(open_service(cx, p, &p->services[i]));
    TRY(bind_routes(cx, p));
    print_contract(p);
    if (p->options.threads > 0)
        TRY(pool_open("slow", (int)p->options.slow_threads, SLOW_QUEUE_MAX, &p->slow));
    if (p->options.threads > 0)
        TRY(pool_open("waiting", (int)p->options.slow_threads, SLOW_QUEUE_MAX, &p->waiting));
    if (p->options.threads > 0)
        TRY(pool_open("hashing", HASHING_THREADS, SLOW_QUEUE_MAX, &p->hashing));
    for (size_t i = 0; p->options.demo && i < p->n_services; i++) {
        platform_ctx(p, &p->services[i], cx->arena, cx);
        if (p->services[i].service->demo)
            TRY(p->services[i].service->demo(cx));
    }
    TRY(listen_on(cx, p, LISTEN_TOSS, p->options.toss_listen));
    find_toss(p);
    TRY(apart_start(cx, p));
    p->is_open = true;
    TRY(listen_on(cx, p, LISTEN_PUBLIC, p->options.listen));
    for (size_t i = 0; i < p->n_services; i++)
        TRY(pump_start(&p->services[i]));
    metric_on_scrape(refresh_metrics, p);
    p->is_ready = true;
    return ERR_OK;
}

enum err platform_start(struct ctx *cx, const struct platform_options *options,
                        struct platform **ret)
{
    struct platform *p = calloc(1, sizeof *p);

    if (!p)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    p->options = *options;
    p->lock_fd = -1;
    for (size_t i = 0; i < SERVICES_MAX; i++)
        p->service_locks[i] = -1;
    pthread_mutex_init(&p->waits_lock, NULL);
    arena_init(&p->arena, ARENA_MAX);
    rng_seed(&p->seeded, options->seed);
    for (; options->services[p->n_services]; p->n_services++) {
        assert(p->n_services < SERVICES_MAX);
        p->services[p->n_services] =
            (struct svc){.platform = p, .service = options->services[p->n_services]};
    }
    enum err e = start_all(cx, p);
    if (e != ERR_OK) {
        platform_stop(p, 0);
        return e;
    }
    *ret = p;
    return ERR_OK;
}

static void close_engines(struct platform *p)
{
    if (p->events)
        sse_hub_close(p->events);
    if (p->bus)
        bus_close(p->bus);
    for (int i = 0; i < LISTENERS; i++)
        if (p->listeners[i].router)
            router_close(p->listeners[i].router);
    if (p->blobs)
        blobs_close(p->blobs);
    if (p->cache)
        cache_close(p->cache);
    apart_close(p);
    directory_leave(p);
    pthread_mutex_destroy(&p->waits_lock);
    arena_release(&p->arena);
    free(p);
}

void platform_stop(struct platform *p, int timeout_ms)
{
    p->is_ready = false;
    p->is_draining = true;
    metric_on_scrape(NULL, NULL);
    /* Public first: what it has in flight may still need the simulator and the internal listener.
     */
    struct svc *front = front_of(p);
    if (front)
        front->service->front->close(front, timeout_ms);
    for (int i = 0; i < LISTENERS; i++)
        if (p->listeners[i].server)
            server_stop(p->listeners[i].server, timeout_ms);
    key_watch_stop(p->key_watch);
    p->key_watch = NULL;
    ended_watch_stop(p->ended_watch);
    p->ended_watch = NULL;
    pool_close(p->slow);
    pool_close(p->hashing);
    pool_close(p->waiting);
    for (size_t i = 0; i < p->n_services; i++)
        pump_stop(&p->services[i]);
    for (size_t i = 0; i < p->n_services; i++) {
        struct svc *s = &p->services[i];
        if (s->service->stop)
            s->service->stop(s);
        if (s->db)
            db_close(s->db);
    }
    close_engines(p);
}

enum err platform_turn(struct platform *p, size_t n, int kind, bool *ret_did)
{
    return pump_turn(&p->services[n % p->n_services], kind, ret_did);
}

enum err platform_outside(struct ctx *cx, const struct http_call *call, struct http_result *ret)
{
    const struct platform_options *o = &svc_platform(cx->svc)->options;

    assert(!db_in_transaction(cx)); /* no call inside a transaction */
    return o->outside ? o->outside(o->outside_arg, cx, call, ret) : http_call(cx, call, ret);
}
