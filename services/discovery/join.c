/* join.c -- keeps the services of this process registered while it runs. */
#include <unistd.h>

#include "discovery/client.h"
#include "discovery/discovery.h"
#include "obs/log.h"
#include "service/peers.h"
#include "service/ticker.h"

#define TURN_MS 500 /* what is due is decided by the client */
#define LEAVE_US (3 * US_PER_S)

struct discovery_member {
    struct arena arena; /* itself */
    struct client *client;
    struct platform *platform;
    struct ticker ticker;
};

static void turn(void *arg, struct arena *a)
{
    struct discovery_member *m = arg;
    struct ctx cx;

    platform_ctx(m->platform, NULL, a, &cx);
    client_turn(&cx, m->client);
}

/* As URLs. More than there is room for would not spread calls better. */
static void tell(const struct discovery_member *m, struct peers *peers, struct str service,
                 const struct str *addresses, size_t n)
{
    struct str urls[PEER_ADDRESSES_MAX];
    struct arena arena;
    struct ctx cx;

    if (!peers)
        return;
    arena_init(&arena, 256 * 1024);
    platform_ctx(m->platform, NULL, &arena, &cx);
    n = n < PEER_ADDRESSES_MAX ? n : PEER_ADDRESSES_MAX;
    for (size_t i = 0; i < n; i++)
        urls[i] = arena_printf(&arena, "http://%.*s", STR_ARG(addresses[i]));
    if (peers_set(&cx, peers, arena_cstr(&arena, service), urls, n) != ERR_OK)
        log_event(&cx, LOG_WARN, "discovery: the addresses of %.*s are not taken: %s",
                  STR_ARG(service), cx.story.detail);
    arena_release(&arena);
}

static void found(void *arg, struct str service, const struct str *internal, const struct str *open,
                  size_t n)
{
    const struct discovery_member *m = arg;

    log_event(NULL, LOG_INFO, "discovery: %.*s is at %.*s and %zu more", STR_ARG(service),
              STR_ARG(internal[0]), n - 1);
    tell(m, platform_peers(m->platform), service, internal, n);
    tell(m, platform_upstreams(m->platform), service, open, n);
}

/* What others can call: the listener's own host says nothing when it listens on all. */
static struct str own_host(struct ctx *cx, struct platform *p, struct str given)
{
    struct str listen = platform_options(p)->listen, host = listen;
    char name[256] = "";

    if (given.n)
        return given;
    while (host.n && host.p[host.n - 1] != ':')
        host.n--;
    host.n -= host.n > 0;
    bool all = host.n == 0 || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("[::]"));
    if (!all)
        return host;
    if (gethostname(name, sizeof name - 1) != 0 || !name[0])
        return STR("127.0.0.1");
    return arena_copy(cx->arena, str_from(name));
}

static bool is_loopback(struct str host)
{
    return str_starts(host, STR("127.")) || str_starts(host, STR("localhost")) ||
           str_starts(host, STR("[::1]"));
}

/* Whoever finds us by that host would be refused. */
static void say_what_is_not_reached(struct ctx *cx, struct platform *p, struct str host)
{
    const struct platform_options *o = platform_options(p);
    const struct {
        const char *flag;
        struct str at;
    } listeners[] = {{"--listen", o->listen}, {"--internal-listen", o->internal_listen}};

    for (size_t i = 0; i < COUNT_OF(listeners) && !is_loopback(host); i++)
        if (is_loopback(listeners[i].at))
            log_event(cx, LOG_WARN,
                      "discovery: others are told to come to %.*s, and nobody listens there: %s is "
                      "%.*s, which only this machine reaches",
                      STR_ARG(host), listeners[i].flag, STR_ARG(listeners[i].at));
}

/* Public services are those that others have a use for; a simulator is not one of them. */
static void choose(const struct service *const *from, struct str *names, size_t *ret_n)
{
    *ret_n = 0;
    for (size_t i = 0; from && from[i] && *ret_n < CLIENT_SERVICES_MAX; i++)
        if (!from[i]->listener && from[i]->routes)
            names[(*ret_n)++] = str_from(from[i]->name);
}

enum err discovery_join(struct ctx *cx, struct platform *p, const struct discovery_join *options,
                        struct discovery_member **ret)
{
    struct arena arena;
    struct client_options client = {
        .urls = options->urls,
        .host = own_host(cx, p, options->host),
        .port = platform_port(p, 0),
        .internal_port = platform_port(p, 1),
        .every_s = options->renew_s,
        .found = found,
    };

    choose(platform_options(p)->services, client.services, &client.n_services);
    choose(options->wanted, client.wanted, &client.n_wanted);
    if (client.n_services > 0)
        say_what_is_not_reached(cx, p, client.host);
    arena_init(&arena, 16 * 1024);
    struct discovery_member *m = ARENA_NEW(&arena, struct discovery_member);
    m->platform = p;
    m->arena = arena;
    client.found_arg = m;
    enum err e = client_open(cx, &client, &m->client);
    if (e == ERR_OK)
        e = ticker_start(cx, &m->ticker, "discovery", TURN_MS, turn, m);
    if (e != ERR_OK) {
        client_close(m->client);
        arena_release(&arena);
        return e;
    }
    *ret = m;
    return ERR_OK;
}

void discovery_leave(struct discovery_member *m)
{
    struct arena scratch;
    struct ctx cx;

    if (!m)
        return;
    ticker_stop(&m->ticker);
    arena_init(&scratch, 4 * 1024 * 1024);
    platform_ctx(m->platform, NULL, &scratch, &cx);
    cx.deadline_us = clock_monotonic_us() + LEAVE_US;
    client_leave(&cx, m->client);
    client_close(m->client);
    arena_release(&scratch);
    struct arena arena = m->arena;
    arena_release(&arena);
}
