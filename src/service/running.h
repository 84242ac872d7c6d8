/* running.h -- what a running platform is made of; for the files of service/ only. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "blob/blob.h"
#include "bus/bus.h"
#include "cache/cache.h"
#include "flow/idempotency.h"
#include "flow/outbox.h"
#include "net/router.h"
#include "net/server.h"
#include "obs/metrics.h"
#include "security/jwt.h"
#include "security/service_keys.h"
#include "service/cors.h"
#include "service/forwarded.h"
#include "service/platform.h"
#include "service/pool.h"
#include "service/service.h"

#define SERVICES_MAX 12
#define TOPICS_MAX 16 /* that a service reads */
#define REQUEST_DEADLINE_US (10 * US_PER_S)
#define SLOW_DEADLINE_US (40 * US_PER_S)
#define CONFLICT_TRIES 8 /* the third has the database for itself, unless others were quick */
#define DEADLINE_HEADER "Jumun-Deadline-Ms" /* of the calling service: what it has left */

enum listener_kind { LISTEN_PUBLIC, LISTEN_INTERNAL, LISTEN_TOSS, LISTENERS };

/* A route with what dispatching it needs at hand. */
struct bound_route {
    const struct route *route;
    struct svc *svc;
    struct metric *seconds, *answers[6]; /* answers by status class 1xx..5xx */
};

struct listener {
    struct platform *platform;
    enum listener_kind kind;
    struct router *router;
    struct server *server;
    int port; /* of the server; stays when it has stopped, for timers that still run */
};

/* A thread of background work and the bell that wakes it. */
struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    bool ringing, stop;
};

struct svc {
    struct platform *platform;
    const struct service *service;
    struct db *db;
    void *state;
    struct bus_reader *reader, *watcher;
    int passed; /* events of no interest since the position was stored */
    struct bell relay_bell, timer_bell;
    struct relay relay;
    pthread_t relay_thread, consume_thread, timer_thread, watch_thread;
    bool has_threads, has_consumer_thread;
    _Atomic bool stop;
    _Atomic int64_t timer_next_us;         /* when the timers will look again by themselves */
    _Atomic(struct unsettled *) unsettled; /* keys to free when the database is back */
    _Atomic int n_unsettled;
    _Atomic int64_t caught_up_us; /* when there was nothing more to read; 0: not yet */
    struct metric *behind[TOPICS_MAX], *behind_age_us[TOPICS_MAX]; /* of service->topics */
    struct metric *outbox_rows, *outbox_age_us, *consumed, *statements;
    struct metric *exchanges, *commits, *syncs;
    struct metric *replicas, *replica_age_us, *replica_reads, *replica_misses; /* NULL: none */
};

struct platform {
    struct platform_options options;
    struct svc services[SERVICES_MAX];
    size_t n_services;
    struct bound_route *routes;
    size_t n_routes;
    struct listener listeners[LISTENERS];
    struct bus *bus;
    struct metric *bus_syncs;
    struct cache *cache;
    struct metric *cache_up; /* NULL: nobody else has it */
    struct blobs *blobs;
    struct jwt_keys *keys; /* of auth: put in by it, or a copy that key_watch keeps */
    struct cors *cors;
    struct key_watch *key_watch;
    struct ended_watch *ended_watch; /* NULL: nobody but us ends sessions */
    struct peers *peers, *upstreams; /* NULL: not apart */
    struct service_keys *service_keys;
    struct sse_hub *events;
    /* Apart: neither logins nor who waits for a store's answer may hold up who pays. */
    struct pool *slow, *hashing, *waiting;
    struct metric *shed;
    _Atomic int64_t shed_said_us; /* when the log last heard of it */
    struct arena arena;           /* lives as long as the platform */
    struct rng seeded;
    struct str contract;                      /* OpenAPI of what runs here */
    int lock_fd, service_locks[SERVICES_MAX]; /* -1: not held */
    struct uuid instance;
    _Atomic bool
        is_open; /* its routes are there; before, the internal listener knows health only */
    _Atomic bool is_ready, is_draining;
    char waits_for[256]; /* at start; "": for nothing. Under waits_lock. */
    pthread_mutex_t waits_lock;
};

/* One request on its way through the dispatcher; lives in its exchange's arena. */
struct work {
    struct platform *platform;
    struct listener *listener;
    const struct bound_route *bound;
    struct exchange *exchange; /* NULL: a local request */
    struct ctx cx;
    struct request rq;
    struct reply rp;
    enum err result;
    int64_t started_us;
    struct idempotency key;
    bool is_replay, is_shed;
    struct str allow;               /* of a path that has other methods only */
    struct cors_fields cors;        /* of the public listener */
    struct str quota, quota_policy; /* RateLimit headers; none where there is no limit */
    struct db_waiter waiter;
    struct pool_job job;
};

/* greet.c: first of all trace, language and what else the head says, so that a refusal can be told.
 */
void work_greet(struct work *w, const struct http_head *head);
/* dispatch.c: match and admit in place; then run; then the reply (or problem) stands in w->rp. */
enum err work_match(struct work *w) MUST_USE;
enum err work_admit(struct work *w, struct str body, const struct caller *as) MUST_USE;
void work_run(struct work *w); /* sets w->result; on failure turns w->rp into a problem */
void work_refuse(struct work *w, enum err e);
void work_init(struct work *w, struct platform *p, struct listener *l, struct arena *a);
void work_count(struct work *w); /* metrics and the log line */
enum err work_local(struct platform *p, struct arena *a, const struct local_request *rq,
                    struct work **ret) MUST_USE;
/* edge.c */
void edge_handle(void *arg, struct exchange *x);
/* admit.c */
enum err admit_edge(struct work *w) MUST_USE;
/* shed.c: whether it may wait for another service, on behalf of this client. */
bool work_waits(const struct work *w);
/* The pool that runs it; NULL: the thread that read the request. */
struct pool *pool_of(const struct work *w);
/* ERR_BUSY for what would wait too long, at next to no cost: before token and body are looked at.
 * Who begins an order is refused long before who pays for one. */
enum err shed(struct work *w) MUST_USE;
/* pump.c */
enum err pump_start(struct svc *s) MUST_USE;
void pump_ring(struct svc *s);
void pump_stop(struct svc *s);

/* watch.c */
/* Events that the consumer has applied, to the watchers among them. */
void watch_tell(struct svc *s, const struct event *events, size_t n);
void watch_applied(struct svc *s, const struct event *events, size_t n); /* to service->applied */
bool watch_is_apart(const struct svc *s); /* a reader of its own tells them */
enum err watch_start(struct svc *s) MUST_USE;
void watch_stop(struct svc *s); /* after s->stop */

enum err pump_turn(struct svc *s, int kind, bool *ret_did) MUST_USE;
/* unsettled.c */
/* The key of this work could be neither settled nor freed, or nobody knows whether it was taken. */
void unsettled_add(struct work *w);
void unsettled_free(struct svc *s, struct arena *arena);
void unsettled_close(struct svc *s);
/* health.c: the answer to /livez, /readyz, /startupz, /metrics, or false when it is another path.
 */
bool health_answer(struct platform *p, const struct http_head *head, struct arena *a,
                   struct http_answer *ret);
/* dead_letters.c: the rows of one service, ended by a row without path. */
const struct route *dead_letter_routes(struct arena *a, const struct service *s);
/* directory.c: locks the data directory, or our services in it; and which process this is. */
enum err directory_take(struct ctx *cx, struct platform *p) MUST_USE;
void directory_leave(struct platform *p);
/* await.c: until the database lets us in. ERR_INVALID: it never will; ERR_UNAVAILABLE: not in time,
 * or somebody wants us to stop. */
enum err await_database(struct ctx *cx, struct platform *p, const char *url) MUST_USE;
/* What a starting process waits for, in the arena; STR_NONE: nothing. */
struct str await_what(struct platform *p, struct arena *a);
/* apart.c: what services in other processes need: peers, keys, and words about what is missing. */
enum err apart_open(struct ctx *cx, struct platform *p) MUST_USE;
enum err apart_start(struct ctx *cx, struct platform *p) MUST_USE;
void apart_close(struct platform *p);
/* problem.c */
void problem_write(struct work *w, enum err e);
