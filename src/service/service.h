/*
 * service.h -- a service is a struct of tables: routes, consumers, timers, jobs, migrations.
 *
 * To add an endpoint: write the field tables of body and reply, the handler, and one row in the
 * service's routes. Policy, decoding, idempotency, transactions' rollback, errors, logs, metrics,
 * OpenAPI and the authorisation tests follow from the row.
 */
#pragma once

#include "base/ctx.h"
#include "data/field.h"
#include "flow/inbox.h"
#include "flow/migrate.h"
#include "flow/sweep.h"
#include "flow/timer.h"
#include "net/http.h"

struct request {
    const struct http_head *head;
    struct str path;
    const void *body;    /* decoded by route->body; NULL without */
    const void *query;   /* decoded by route->query; NULL without */
    struct uuid id[4];   /* path parameters named {...Id}, in order */
    struct str param[4]; /* all path parameters, decoded */
    struct str raw_body;
    struct str peer;       /* client: its IPv4 address, or its IPv6 network "2001:db8::/64" */
    struct str cart_token; /* Jumun-Cart header or none */
    int wait_s;            /* Prefer: wait=N, 0..10 */
    bool wants_events;     /* Accept: text/event-stream */
    int64_t last_event_id; /* Last-Event-ID, 0 without */
};

#define REPLY_HEADERS_MAX 12
struct reply {
    int status;
    struct buf body; /* in the arena */
    struct str content_type;
    struct http_field headers[REPLY_HEADERS_MAX];
    size_t n_headers;
    struct sse_slot *stream; /* set: body is the replay, the connection becomes an event stream */
    int64_t stream_after;
};

enum route_flag {
    IDEMPOTENT = 1, /* Idempotency-Key required; handler and stored answer are one commit */
    CALLS_OUT = 2,  /* runs on the slow pool; with IDEMPOTENT: key held by a lease instead, and the
                       handler itself finds what an earlier try with the key has done */
    SLOW = 4,       /* runs on the hashing pool (passwords) */
    EVENTS = 8,     /* may answer text/event-stream */
    LIST = 16,      /* answers {"items":[reply...],"nextCursor"} */
    INTERNAL = 32,  /* internal listener and in-process calls only */
    RAW_BODY = 64,  /* body is not JSON: the handler reads raw_body */
    LARGE = 128,    /* body up to 5 MiB */
    NOT_JSON = 256, /* the reply is not described by the table (text, image) */
    WAITS = 512,   /* may wait for another service, with Prefer: wait or CALLS_OUT: on a pool of its
                      own then */
    BEGINS = 1024, /* more work follows from it: refused first when there is too much */
    KEYED = 2048,  /* as IDEMPOTENT when an Idempotency-Key is sent; without one, once each time */
};

struct route {
    enum http_method method;
    const char *path; /* "/v1/orders/{orderId}"; NULL ends the table */
    unsigned who;     /* set of enum role; never 0 */
    enum err (*handle)(struct ctx *cx, const struct request *rq, struct reply *rp);
    const struct field *body, *query, *reply;
    unsigned flags;
    int status; /* on success, for OpenAPI */
    /* Runs after the policy and before the body is decoded: "is this store mine?" NULL: none. */
    enum err (*guard)(struct ctx *cx, const struct request *rq);
    const char *doc;
    /* Set of enum role: for these callers what the handler reads outside a transaction may be a
     * little old, a replica's. Nobody belongs here who changes what the route shows. */
    unsigned old_for;
};

/* What stands at the public address instead of the server: the gateway's proxy. */
struct front {
    /* When all else is there. *ret_port: where it listens. */
    enum err (*open)(struct ctx *cx, const char *address, int *ret_port);
    /* When the thread that was silent for longest last came round, monotonic. */
    int64_t (*turned_us)(const struct svc *svc);
    /* Finishes what is in flight, at most timeout_ms; also when it was never opened. */
    void (*close)(struct svc *svc, int timeout_ms);
};

struct service {
    const char *name;
    const struct route *routes;
    const char *const *topics; /* services whose events it reads; NULL-terminated */
    const struct consumer *consumers;
    /* Hear this service's own events in every process that runs it, outside any transaction and
     * without a trace: live streams. May be NULL. */
    const struct consumer *watchers;
    /* Hear, in the process whose consumer applied them, of events of any service once that is
     * durable: to wake who waits there. May be NULL. */
    const struct consumer *applied;
    const struct timer_row *timers;
    const struct job *jobs;
    const struct migration *migrations; /* NULL: no database */
    const struct sweep *sweeps;         /* its own rows that go when they are old; may be NULL */
    /* Its events that tell all there is about their key: the bus keeps the newest. May be NULL. */
    const char *const *snapshots;
    int64_t outbox_keep_us; /* published events are shown for so long at least; 0: not shown */
    /* Takes the place of the public listener; NULL: the server has it. */
    const struct front *front;
    const char *listener; /* NULL: public and internal; "toss": a listener of its own */
    /* After the database is there and before anything runs; state goes to svc_set_state. May be
     * NULL. */
    enum err (*start)(struct ctx *cx);
    void (*stop)(struct svc *svc);
    /* When somebody asks for metrics, within a second: sets the gauges that its database knows. May
     * be NULL. */
    enum err (*gauges)(struct ctx *cx);
    /* Fills the demo world; runs again harmlessly. May be NULL. */
    enum err (*demo)(struct ctx *cx);
};

/* What a handler may ask of the service it runs in. */
struct platform;
const struct service *svc_service(const struct svc *svc);
struct platform *svc_platform(const struct svc *svc);
void svc_set_state(struct svc *svc, void *state); /* the service's own long-lived things */
void *svc_state(const struct svc *svc);
bool svc_is_stopping(const struct svc *svc); /* what takes long leaves off where it is */
/* Wakes the relay and the timers of this service (a commit does so by itself). */
void svc_wake(struct svc *svc);
