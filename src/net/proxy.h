/*
 * proxy.h -- the evented streaming proxy: bodies and event streams go through it in both ways with
 * bounded buffers, and connections to the targets are kept and used again.
 *
 * A few threads, each with its own connections to clients and to targets; nothing is shared on the
 * way of a request but the clusters. Requests are parsed as strictly as the server does and written
 * anew: framing, hop-by-hop fields and fields named in Connection never pass. An answer whose end
 * is not known for sure is a 502; one that breaks off in the middle cuts the client's connection,
 * so that nobody takes a part for the whole.
 *
 * A request is sent again only when that is safe: it surely did not reach a target; or no byte of
 * an answer came, it is still whole in its buffer, and it is of an idempotent method or carries an
 * Idempotency-Key that counts (proxy_verdict).
 *
 * Deadlines as the server's (server.h); of targets see cluster.h; an answer that stays silent for
 * 60 s is cut.
 */
#pragma once

#include "net/cluster.h"
#include "net/http.h"

struct proxy;

#define PROXY_PATH_SIZE 200

/* What is remembered of a request after its head is gone: for refusals, metrics and the log. */
struct proxy_note {
    struct trace trace;
    int64_t started_us; /* monotonic */
    void *tag;          /* the decider's own */
    enum http_method method;
    bool korean;
    /* Put on the answer, in place of the target's of these names (but Vary is a list); outlive the
     * proxy. */
    const struct http_field *added;
    size_t n_added;
    char path[PROXY_PATH_SIZE]; /* cut when longer */
};

/* Lives during the call only. */
struct proxy_request {
    const struct http_head *head;
    struct str peer; /* the connection's other end, without port */
    struct arena *arena;
};

struct proxy_verdict {
    struct cluster *to;        /* NULL: `answer` it */
    struct http_answer answer; /* its body: in the request's arena, or static */
    bool is_static;
    /* Put on the request that goes on; fields of these names from the client are dropped. */
    const struct http_field *fields;
    size_t n_fields;
    size_t body_max;
    bool key_counts; /* an Idempotency-Key makes one of two such requests */
};

struct proxy_options {
    const char *address; /* "0.0.0.0:8080"; port 0 takes a free one */
    int threads;         /* at least 1 */
    int connections_max; /* of clients; 0: see connections_limit */
    /* Called on a proxy thread for each head: must not block. Fills note and verdict. */
    void (*decide)(void *arg, const struct proxy_request *rq, struct proxy_note *note,
                   struct proxy_verdict *ret);
    /* The answer to a request that could not go on: ERR_UNAVAILABLE nobody there, ERR_BUSY all
     * full, ERR_UPSTREAM broken answer, ERR_DEADLINE none in time. */
    void (*refuse)(void *arg, struct arena *a, const struct proxy_note *note, enum err e,
                   struct http_answer *ret);
    /* A request is over; status 0: the client went away first. */
    void (*done)(void *arg, const struct proxy_note *note, int status);
    void *arg;
};

enum err proxy_start(struct ctx *cx, const struct proxy_options *options,
                     struct proxy **ret) MUST_USE;
int proxy_port(const struct proxy *p);
/* When the thread that was silent for longest last came round, monotonic. */
int64_t proxy_turned_us(const struct proxy *p);
/* Stops accepting, finishes what is in flight, closes idle connections and event streams, waits at
 * most timeout_ms, frees. */
void proxy_stop(struct proxy *p, int timeout_ms);
