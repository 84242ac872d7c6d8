/* up.c -- runs services until a signal: the whole platform, or the part that was named. */
#include "command/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "discovery/discovery.h"
#include "gateway/gateway.h"
#include "obs/log.h"
#include "obs/supervisor.h"
#include "obs/trace.h"
#include "service/watchdog.h"
#include "services.h"

#define DRAIN_MS 10000

const struct service *const all_services[] = {
    &auth_service,    &user_service, &store_service, &order_service,
    &payment_service, &toss_service, NULL,
};

const struct service *service_named(struct str name)
{
    for (size_t i = 0; all_services[i]; i++)
        if (str_eq(str_from(all_services[i]->name), name))
            return all_services[i];
    if (str_eq(str_from(gateway_service.name), name))
        return &gateway_service;
    return str_eq(str_from(discovery_service.name), name) ? &discovery_service : NULL;
}

static int64_t cpus(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 2 ? 2 : n > 64 ? 64 : n;
}

/* Tokens outlive a restart, so the issuer must not be a port that was free by chance. */
struct str settings_issuer(struct ctx *cx, const struct settings *s)
{
    if (s->issuer.p)
        return s->issuer;
    if (str_ends(s->listen, STR(":0")))
        return STR("http://localhost");
    return arena_printf(cx->arena, "http://%.*s", STR_ARG(s->listen));
}

struct platform_options settings_platform(struct ctx *cx, const struct settings *s,
                                          const struct service *const *services)
{
    return (struct platform_options){
        .services = services,
        .peers = s->peers,
        .upstreams = s->upstreams,
        .service_keys = s->service_keys,
        .data_dir = s->data,
        .database_url = s->database,
        .database_connections = s->database_connections,
        .database_replicas = s->database_replicas,
        .database_replica_lag_us = s->database_replica_lag * US_PER_S,
        .bus_url = s->bus,
        .cache_url = s->cache,
        .blobs_url = s->blobs,
        .blob_keys = {s->blobs_access_key, s->blobs_secret_key},
        .listen = s->listen,
        .internal_listen = s->internal_listen,
        .toss_listen = s->toss_listen,
        .threads = s->threads ? s->threads : cpus(),
        .slow_threads = s->slow_threads,
        .clock = &clock_system,
        .issuer = settings_issuer(cx, s),
        .keys_secret = s->keys_secret,
        .cors_origins = s->cors_origins,
        .auth_silence_us = s->auth_silence * US_PER_S,
        .demo = s->demo,
        .production = s->env == ENV_PRODUCTION,
        .log_requests = s->log_requests,
        .rate_limit_per_minute = s->rate_limit,
        .proxies = s->proxies,
        .streams_per_user = s->streams_per_user,
        .keep = {.outbox_us = s->outbox_keep_minutes * US_PER_MIN,
                 .inbox_us = s->inbox_keep_hours * US_PER_HOUR,
                 .bus_us = s->bus_keep_hours * US_PER_HOUR,
                 .bus_bytes = s->bus_max_mb * 1024 * 1024},
        .toss_url = s->toss_url,
        .toss_secret_key = s->toss_secret_key,
        .toss_client_key = s->toss_client_key,
        .start_wait_us = s->start_wait * US_PER_S,
    };
}

static struct str discovery_listen(const struct settings *s)
{
    return s->discovery_listen.p ? s->discovery_listen : STR("127.0.0.1:8761");
}

static struct str host_of(struct str address)
{
    for (size_t i = address.n; i > 0; i--)
        if (address.p[i - 1] == ':')
            return (struct str){address.p, i - 1};
    return address;
}

static void print_address(const char *name, struct str listen, int port)
{
    if (port)
        printf(" %s=http://%.*s:%d", name, STR_ARG(host_of(listen)), port);
}

static void print_ready(struct platform *p, const struct settings *s)
{
    if (s->demo)
        fprintf(stderr,
                "\n  ** DEMO WORLD: known passwords, made-up people, simulated money. **\n"
                "  ** Sign in as minji, owner1, staff1 or admin1 with jumun-demo-1.   **\n\n");
    fputs("ready", stdout);
    print_address("public", s->listen, platform_port(p, 0));
    print_address("internal", s->internal_listen, platform_port(p, 1));
    print_address("toss", s->toss_listen, platform_port(p, 2));
    print_address("discovery", discovery_listen(s), discovery_port(p));
    fputc('\n', stdout);
    fflush(stdout);
}

/* Blocked in every thread, so that only this wait takes them. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

struct signals {
    sigset_t set;
    bool came; /* during the start */
};

static bool pause_start(void *arg, int64_t us)
{
    struct signals *signals = arg;
    const struct timespec t = {us / US_PER_S, us % US_PER_S * 1000};

    signals->came = sigtimedwait(&signals->set, NULL, &t) > 0;
    return !signals->came;
}

static bool has(const struct service *const *services, const struct service *wanted)
{
    while (*services && *services != wanted)
        services++;
    return *services != NULL;
}

/* What is wrong with the settings for these services; NULL: nothing. */
static const char *misfit(const struct settings *s, const struct service *const *services)
{
    bool calls_toss = has(services, &payment_service);

    if (has(services, &gateway_service) && services[1])
        return "the gateway runs in a process of its own";
    if (s->env != ENV_PRODUCTION)
        return NULL;
    if (s->demo)
        return "--demo is refused because JUMUN_ENV is production";
    if (has(services, &toss_service))
        return "the Toss simulator is refused because JUMUN_ENV is production";
    if (calls_toss && !str_starts(s->toss_url, STR("https://")))
        return "JUMUN_ENV is production: --toss-url https://api.tosspayments.com must say where "
               "the money is";
    if (calls_toss && (str_eq(s->toss_secret_key, TOSS_SECRET_KEY_DEFAULT) ||
                       str_eq(s->toss_client_key, TOSS_CLIENT_KEY_DEFAULT)))
        return "JUMUN_ENV is production: --toss-secret-key and --toss-client-key must be those of "
               "your account at Toss";
    return NULL;
}

/* Whether --gateway-routes has a back end of that name. */
static bool is_back_end(struct str routes, struct str name)
{
    struct str part, path, to;

    while (routes.n) {
        str_cut(routes, ',', &part, &routes);
        if (str_cut(part, '=', &path, &to) && str_eq(str_trim(to), name))
            return true;
    }
    return false;
}

/* A name in a list of addresses that nobody has is a slip: whoever is meant would never be found.
 * What is wrong, or NULL. */
static const char *stranger(struct ctx *cx, const char *flag, struct str list, struct str routes)
{
    const char *names[SERVICE_NAMES_MAX];
    size_t n = service_names(names);
    struct str part, name, addresses;

    while (list.n) {
        str_cut(list, ',', &part, &list);
        str_cut(str_trim(part), '=', &name, &addresses);
        name = str_trim(name);
        if (!name.n || str_eq(name, STR("*")) || service_named(name) || is_back_end(routes, name))
            continue;
        const char *near = nearest_word(name, names, n);
        return arena_printf(cx->arena, "%s: there is no service \"%.*s\"%s%s%s", flag,
                            STR_ARG(name), near ? "; did you mean \"" : "", near ? near : "",
                            near ? "\"?" : "")
            .p;
    }
    return NULL;
}

static int run_services(struct ctx *cx, const struct settings *s, const char *command,
                        const struct service *const *services, bool apart)
{
    struct platform_options options = settings_platform(cx, s, services);
    const struct discovery_options discovery = {
        .listen = discovery_listen(s),
        .credentials = s->discovery_credentials,
        .peers = s->discovery_peers,
        .evict_s = s->discovery_evict,
        .evict_always = s->discovery_evict_always,
    };
    struct signals signals = {.came = false};
    struct watchdog watchdog;
    struct platform *p;
    int signal_number;

    const char *problem = misfit(s, services);
    if (!problem)
        problem = stranger(cx, "--peers", s->peers, STR_NONE);
    if (!problem)
        problem = stranger(cx, "--upstreams", s->upstreams, s->gateway_routes);
    if (problem)
        return command_misused(command, "%s", problem);
    const struct gateway_options gateway = {
        .behind = all_services,
        .routes = s->gateway_routes,
        .requests_max = s->gateway_requests,
        .connect_ms = s->gateway_connect,
        .answer_ms = s->gateway_answer,
    };
    options.discovery = &discovery;
    options.gateway = &gateway;
    options.apart = apart;
    options.pause = pause_start;
    options.pause_arg = &signals;
    if (!has(services, &toss_service))
        options.toss_listen = STR_NONE;
    block_signals(&signals.set);
    if (trace_export_start(s->otlp_endpoint.p ? arena_cstr(cx->arena, s->otlp_endpoint) : NULL,
                           "jumun") != ERR_OK)
        return command_misused(command, "--otlp-endpoint must be like http://127.0.0.1:4318");
    enum err e = platform_start(cx, &options, &p);
    if (e != ERR_OK && signals.came) {
        log_event(NULL, LOG_INFO, "%s", cx->story.detail);
        return EXIT_DONE;
    }
    if (e != ERR_OK)
        return command_failed(cx, command, e);
    struct discovery_member *member = NULL;
    const struct discovery_join join = {.urls = s->discovery,
                                        .host = s->discovery_host,
                                        .renew_s = s->discovery_renew,
                                        .wanted = all_services};
    e = s->discovery.p ? discovery_join(cx, p, &join, &member) : ERR_OK;
    if (e != ERR_OK) {
        platform_stop(p, DRAIN_MS);
        return command_failed(cx, command, e);
    }
    print_ready(p, s);
    supervisor_tell("READY=1");
    e = watchdog_start(cx, p, &watchdog);
    if (e != ERR_OK)
        log_event(cx, LOG_ERROR, "%s", cx->story.detail);
    sigwait(&signals.set, &signal_number);
    log_event(NULL, LOG_INFO, "stopping: finishing what is in flight");
    supervisor_tell("STOPPING=1");
    watchdog_stop(&watchdog);
    discovery_leave(member); /* before the doors close: nobody is to be sent here any more */
    platform_stop(p, DRAIN_MS);
    trace_export_stop();
    http_clients_close();
    return EXIT_DONE;
}

int command_up(struct ctx *cx, const struct settings *s, struct list words)
{
    const struct service *chosen[COUNT_OF(all_services) + 1] = {NULL};
    size_t n = 0;

    (void)words;
    for (size_t i = 0; all_services[i]; i++) /* in production Toss is not ours */
        if (s->env != ENV_PRODUCTION || all_services[i] != &toss_service)
            chosen[n++] = all_services[i];
    if (s->discovery_listen.p)
        chosen[n] = &discovery_service;
    return run_services(cx, s, "up", chosen, false);
}

size_t service_names(const char *ret[SERVICE_NAMES_MAX])
{
    size_t n = 0;

    for (; all_services[n]; n++)
        ret[n] = all_services[n]->name;
    ret[n++] = discovery_service.name;
    ret[n++] = gateway_service.name;
    return n;
}

int command_serve(struct ctx *cx, const struct settings *s, struct list words)
{
    const struct service **chosen = arena_array(cx->arena, words.n + 1, sizeof *chosen);
    const char *names[SERVICE_NAMES_MAX];
    size_t n = service_names(names);

    if (words.n == 0)
        return command_misused("serve", "it needs the names of services");
    for (size_t i = 0; i < words.n; i++) {
        struct str word = *LIST_AT(struct str, words, i);
        chosen[i] = service_named(word);
        if (!chosen[i]) {
            const char *near = nearest_word(word, names, n);
            return command_misused("serve", "there is no service \"%.*s\"%s%s%s", STR_ARG(word),
                                   near ? "; did you mean \"" : "", near ? near : "",
                                   near ? "\"?" : "");
        }
        for (size_t k = 0; k < i; k++)
            if (chosen[k] == chosen[i])
                return command_misused("serve", "\"%.*s\" is there twice", STR_ARG(word));
    }
    return run_services(cx, s, "serve", chosen, true);
}
