/* targets.c -- where the instances are: addresses that were given or discovered, looked up in DNS.
 */
#include <netdb.h>
#include <netinet/in.h>

#include "gateway/edge.h"
#include "obs/log.h"
#include "service/peers.h"

/* "http://HOST[:PORT]", as peers.c checked it. */
static bool split(struct arena *a, const char *url, const char **ret_host, const char **ret_port)
{
    struct str rest = str_from(url);

    if (!str_starts(rest, STR("http://")))
        return false;
    rest = (struct str){rest.p + 7, rest.n - 7};
    size_t colon = rest.n;
    while (colon > 0 && rest.p[colon - 1] != ':' && rest.p[colon - 1] != ']')
        colon--;
    bool has_port = colon > 0 && rest.p[colon - 1] == ':';
    struct str host = {rest.p, has_port ? colon - 1 : rest.n};
    *ret_port = has_port ? arena_cstr(a, (struct str){rest.p + colon, rest.n - colon}) : "80";
    if (host.n > 2 && host.p[0] == '[')
        host = (struct str){host.p + 1, host.n - 2};
    *ret_host = arena_cstr(a, host);
    return true;
}

/* A name may stand for many, each with the weight that was given. False: DNS does not say. */
static bool look_up(struct arena *a, const struct peer_address *from,
                    struct cluster_target *targets, size_t *n)
{
    const struct addrinfo hints = {
        .ai_flags = AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    const char *host, *port;

    if (!split(a, from->url, &host, &port))
        return false;
    int code = getaddrinfo(host, port, &hints, &found);
    if (code != 0) /* surely nobody there, or nobody who could be asked */
        return code == EAI_NONAME || code == EAI_NODATA;
    for (const struct addrinfo *at = found; at && *n < CLUSTER_TARGETS_MAX; at = at->ai_next) {
        struct cluster_target *t = &targets[*n];
        *t = (struct cluster_target){.address_size = at->ai_addrlen, .weight = from->weight};
        memcpy(&t->address, at->ai_addr, at->ai_addrlen);
        (*n)++;
    }
    freeaddrinfo(found);
    return true;
}

static void refresh(struct gateway *g, struct backend *b, struct arena *a)
{
    struct peer_address addresses[PEER_ADDRESSES_MAX];
    struct cluster_target targets[CLUSTER_TARGETS_MAX];
    size_t n = peers_list(platform_upstreams(g->platform), b->name, addresses, COUNT_OF(addresses)),
           n_targets = 0;
    bool all = true;

    for (size_t i = 0; i < n; i++)
        all = look_up(a, &addresses[i], targets, &n_targets) && all;
    /* A DNS server that is away takes nobody's address. */
    if (all || n_targets > cluster_figures(b->cluster, clock_monotonic_us()).targets)
        cluster_set(b->cluster, targets, n_targets);
    if (!b->is_known && n_targets == 0 && n > 0)
        log_event(NULL, LOG_WARN, "gateway: %s: nothing has the name in %s", b->name,
                  addresses[0].url);
    b->is_known |= n_targets > 0 || n > 0;
}

void targets_refresh(void *gateway, struct arena *a)
{
    struct gateway *g = gateway;

    for (size_t i = 0; i < g->n_backends; i++) {
        struct backend *b = &g->backends[i];
        refresh(g, b, a);
        struct cluster_figures f = cluster_figures(b->cluster, clock_monotonic_us());
        metric_set(b->up, (int64_t)f.targets);
        metric_set(b->out, (int64_t)f.out);
        metric_set(b->in_flight, f.in_flight);
    }
}
