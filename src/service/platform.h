/*
 * platform.h -- everything one process runs: services with their databases, bus, cache, listeners,
 * pools.
 *
 * With threads == 0 nothing runs by itself: platform_turn does one unit of background work at a
 * time, which is how simulation and crash tests drive the real services under a virtual clock.
 */
#pragma once

#include "blob/blob.h"
#include "net/client.h"
#include "service/service.h"

/* How long what was told and seen is kept; 0: see sweep.h. */
struct platform_keep {
    int64_t outbox_us, inbox_us, bus_us, bus_bytes;
};

struct discovery_options;
struct gateway_options;
struct cors;
struct peers;
struct platform_options {
    const struct service *const *services; /* NULL-terminated */
    bool apart; /* other services run in other processes, perhaps on the same data_dir */
    struct str peers, upstreams, service_keys; /* see peers.h and service_keys.h; apart only */
    struct str data_dir;
    struct str database_url;      /* none: files in data_dir */
    int64_t database_connections; /* of each service, on a server; 0: the driver's default */
    struct str database_replicas; /* none: the primary answers everything */
    int64_t database_replica_lag_us;
    struct str bus_url;   /* none: a file in data_dir */
    struct str cache_url; /* none: in this process */
    struct str blobs_url; /* none: files in data_dir */
    struct blob_keys blob_keys;
    struct str listen, internal_listen, toss_listen; /* STR_NONE: no listener */
    int64_t threads, slow_threads;
    const struct clock *clock;
    uint64_t seed; /* with a virtual clock: randomness of everything */
    struct str issuer;
    struct str keys_secret;  /* seals auth's signing keys in its database; none: files */
    int64_t auth_silence_us; /* then users' tokens wait; 0: they are believed, see ended.h */
    bool demo, log_requests;
    bool production;               /* without the demo world, also without what is left of it */
    struct str cors_origins;       /* see cors.h */
    int64_t rate_limit_per_minute; /* per client at the public listener; 0: none */
    int64_t proxies;               /* in front of it, each of which adds to X-Forwarded-For */
    int64_t streams_per_user;      /* one more event stream closes the oldest; 0: no limit */
    struct platform_keep keep;
    struct str toss_url, toss_secret_key, toss_client_key;
    const struct discovery_options *discovery; /* of the service of that name; NULL: its own */
    const struct gateway_options *gateway;     /* of the service of that name */
    /* Replaces the network for calls to Toss (simulation); NULL: libcurl. */
    enum err (*outside)(void *arg, struct ctx *cx, const struct http_call *call,
                        struct http_result *ret);
    void *outside_arg;
    /* What it cannot start without may come up after it: how long it waits, and what makes the
     * pauses; false: somebody wants it to stop. NULL: it does not wait. */
    int64_t start_wait_us;
    bool (*pause)(void *arg, int64_t us);
    void *pause_arg;
};

enum err platform_start(struct ctx *cx, const struct platform_options *options,
                        struct platform **ret) MUST_USE;
void platform_stop(struct platform *p, int timeout_ms); /* drains; then closes everything */

const struct platform_options *platform_options(const struct platform *p);
int platform_port(const struct platform *p, int listener); /* 0: public, 1: internal, 2: toss */
/* When the listener that was silent for longest last came round, monotonic; each that is not stuck
 * does four times a second. After platform_start, before platform_stop. */
int64_t platform_turned_us(const struct platform *p);
struct svc *platform_service(struct platform *p, const char *name); /* NULL: not here */
struct db *platform_db(struct platform *p, const char *name); /* of a service; NULL: not here */
struct jwt_keys *platform_keys(struct platform *p);
const struct cors *platform_cors(const struct platform *p);
bool platform_hears_of_ended(const struct platform *p); /* see ended.h */
struct cache *platform_cache(struct platform *p);
struct bus *platform_bus(struct platform *p);
struct sse_hub *platform_events(struct platform *p);
struct blobs *platform_blobs(struct platform *p);
struct peers *platform_peers(struct platform *p);     /* other processes; NULL: not apart */
struct peers *platform_upstreams(struct platform *p); /* their public addresses; NULL: not apart */
/* Whose token it is, into cx->caller. ERR_UNAUTHENTICATED; ERR_UNAVAILABLE: auth's keys are not
 * there yet. */
enum err platform_authenticate(struct ctx *cx, struct platform *p, struct str token) MUST_USE;

/* A ctx for work of this service on the calling thread; the arena is the caller's. */
void platform_ctx(struct platform *p, struct svc *svc, struct arena *a, struct ctx *ret);
/* threads == 0: one batch of relay, consumers, timers or jobs of service number n; *ret_did:
 * anything done. */
enum err platform_turn(struct platform *p, size_t n, int kind, bool *ret_did) MUST_USE;
enum turn_kind { TURN_RELAY, TURN_CONSUME, TURN_TIMERS, TURN_JOBS, TURN_KINDS };

/*
 * Runs one request through the dispatcher in place and waits until it is durable: in-process calls
 * and tests. `headers` are extra fields ("Authorization", ...). What the public listener looks at
 * before anything else (rate limit, origin) is left out.
 */
struct local_request {
    enum http_method method;
    const char *path; /* with query */
    struct str body;
    const struct http_field *headers;
    size_t n_headers;
    int listener;            /* 0: public, 1: internal, 2: toss */
    const struct caller *as; /* trusted caller instead of a token; NULL: read the token */
    int64_t deadline_us;     /* the caller's, monotonic; 0: only the route's own */
};
enum err platform_request(struct platform *p, struct arena *a, const struct local_request *rq,
                          int *ret_status, struct str *ret_body) MUST_USE;
/* The outside call of a payment: options.outside or libcurl. */
enum err platform_outside(struct ctx *cx, const struct http_call *call,
                          struct http_result *ret) MUST_USE;
