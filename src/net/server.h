/*
 * server.h -- the HTTP/1.1 server: worker threads on one shared one-shot epoll set run handlers in
 * place.
 *
 * A worker takes a ready connection, parses a request, calls `handle` and writes the answer. A
 * handler may keep the exchange and finish it later from any thread (group commit, slow pool), or
 * turn it into an SSE stream, which is parked without a thread. Limits and deadlines: head 10 s,
 * body 10 s then 500 B/s, idle keep-alive 60 s, write stall 30 s, connections_max; beyond it new
 * connections get 503 and are closed.
 */
#pragma once

#include "base/ctx.h"
#include "net/http.h"

struct server;
struct exchange; /* one request and its answer */

struct server_options {
    const char *address; /* "127.0.0.1:8080"; port 0 takes a free one */
    int threads;         /* workers, at least 1 */
    int connections_max; /* default 20000, bounded by RLIMIT_NOFILE */
    const char *name;    /* "public", "internal", "toss": for logs and metrics */
    /* Called on a worker for each complete request; must end in exactly one of exchange_finish,
     * exchange_stream (now or later, any thread). */
    void (*handle)(void *arg, struct exchange *x);
    /* How much body this request may carry; asked after the head. NULL: HTTP_BODY_MAX. */
    size_t (*body_max)(void *arg, const struct http_head *head);
    void *arg;
};

enum err server_start(struct ctx *cx, const struct server_options *options,
                      struct server **ret) MUST_USE;
int server_port(const struct server *s);
/* When a worker last came round, monotonic: some quarter of a second ago, unless all of them hang.
 */
int64_t server_turned_us(const struct server *s);
/* Stops accepting, answers what is in flight, closes idle and streams, waits at most timeout_ms,
 * frees. */
void server_stop(struct server *s, int timeout_ms);

const struct http_head *exchange_head(const struct exchange *x);
struct str exchange_body(const struct exchange *x);
struct arena *exchange_arena(struct exchange *x);      /* lives until the answer is written */
struct str exchange_peer(struct exchange *x);          /* "127.0.0.1", without port */
int64_t exchange_started_us(const struct exchange *x); /* monotonic */

/* Writes the answer (HEAD: without body), then goes on with the connection. x is gone afterwards.
 */
void exchange_finish(struct exchange *x, const struct http_answer *answer);

/* SSE. A hub fans events out to the streams that listen to a key; buffers per stream are bounded
 * (64 KiB), a reader that is too slow is cut (it resumes by Last-Event-ID). */
struct sse_hub;
/* 0: no heartbeat, no thread; no limit per owner. */
struct sse_hub *sse_hub_open(int heartbeat_ms, size_t streams_per_owner);
void sse_hub_close(struct sse_hub *h);
/*
 * Sends the head of a text/event-stream with `replay` as first bytes and parks the connection under
 * `key`. Live events with an id <= after_id are dropped for this stream, so register-then-read
 * loses nothing: call sse_reserve first, read the replay from the database, then exchange_stream
 * with the reservation. `fields` go into the head.
 */
struct sse_slot;
/*
 * NULL: too many streams (503). One more than the owner may have (nil: nobody counts) closes the
 * owner's oldest: a telephone that changed its network leaves streams behind that look open.
 */
struct sse_slot *sse_reserve(struct sse_hub *h, struct uuid key, struct uuid owner);
void sse_unreserve(struct sse_slot *slot);
/* The session that a stream was opened in at since_us, said before exchange_stream; with each
 * heartbeat it is asked whether that is over, and then the stream ends. It must not block. */
typedef bool sse_is_over(void *arg, struct uuid session, int64_t since_us);
void sse_sessions(struct sse_hub *h, sse_is_over *is_over, void *arg);
void sse_belongs_to(struct sse_slot *slot, struct uuid session, int64_t since_us);
void exchange_stream(struct exchange *x, struct sse_slot *slot, const struct http_field *fields,
                     size_t n_fields, struct str replay, int64_t after_id);
/* To all streams of the key; data is one JSON line. The ids of a key are 1, 2, 3 ...: a stream
 * never sees one again, and one that would miss some ends, so that its client comes back for them.
 */
void sse_publish(struct sse_hub *h, struct uuid key, int64_t id, struct str event, struct str data);
/* Would a stream of the key miss some when `id` is published? *ret_after: all have what is up to
 * it.
 */
bool sse_behind(struct sse_hub *h, struct uuid key, int64_t id, int64_t *ret_after);
size_t sse_streams(struct sse_hub *h);
