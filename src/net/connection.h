/* connection.h -- what server, connections and event streams know of each other; for the files of
 * net/ only. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "net/server.h"

#define IDLE_US (60 * US_PER_S)
#define FIRST_BYTE_US (10 * US_PER_S)
#define HEAD_US (10 * US_PER_S)
#define BODY_US (10 * US_PER_S)
#define BODY_BYTES_PER_S 500
#define WRITE_STALL_US (30 * US_PER_S)
#define LINGER_US (2 * US_PER_S)
#define REQUESTS_PER_TURN 32 /* then other connections come first, however much is pipelined */

enum reading {
    READ_HEAD,
    READ_BODY,
    HANDLING,  /* the handler, or whoever it gave the exchange to, has it */
    WRITING,   /* the answer is not fully written */
    LINGERING, /* refused: reads and drops, so that the refusal is not lost to a reset */
    STREAMING, /* an event stream: sse.c has it */
};

/* Between a worker that called the handler and the thread that finishes the exchange. */
enum phase { IN_HANDLER, PARKED, FINISHED };

/* A connection and its present request. */
struct exchange {
    struct server *server;
    int fd;
    unsigned index, generation; /* place in the server's table */
    _Atomic int refs;
    _Atomic int phase;
    _Atomic int64_t deadline_us; /* monotonic; 0: none */
    pthread_mutex_t lock;        /* held while a worker works on it, and by the sweep */
    enum reading reading;
    bool closed;      /* its descriptor may be somebody else's by now */
    unsigned in_turn; /* requests answered since a worker was woken for it */
    struct buf in;    /* bytes not yet consumed */
    struct arena arena;
    struct http_head *head; /* in the arena */
    size_t consumed;        /* of `in` by this request when its answer is written */
    struct str body;        /* points into `in` or `body_bytes` */
    struct buf body_bytes;  /* a body that did not come with its head */
    struct http_chunked chunked;
    size_t body_max;
    int64_t first_byte_us, body_us, started_us;
    struct buf out;      /* head of the answer (and the events of a stream) */
    struct str out_body; /* borrowed from the arena or static */
    size_t written;
    bool close_after, refused;
    struct sse_slot *slot;
    int64_t after_id;
    char peer[46];
};

struct place {
    struct exchange *exchange;
    unsigned generation, next_free;
};

struct server {
    struct server_options options;
    int epoll_fd, listen_fd, stop_fd, port;
    pthread_t *threads;
    int n_threads;
    pthread_mutex_t table_lock;
    struct place *places;
    unsigned n_places, first_free, n_open;
    _Atomic bool stopping;
    _Atomic int accepting; /* workers that welcome somebody just now */
    _Atomic int64_t next_sweep_us;
    struct metric *open, *refused;
};

/* server.c */
void exchange_unref(struct exchange *x);
/* Takes it out of the table and closes it; the caller's own reference stays. Under x->lock. */
void exchange_close(struct exchange *x);
/* One-shot: the next event wakes a worker. Deadline first, then events. That the client has closed
 * its half is an event for who reads only: who waits for room to write would hear of it at once,
 * and again and again. */
void exchange_arm(struct exchange *x, unsigned events, int64_t deadline_us);

/* connection.c: a worker was woken for x and holds its lock. Returns with x armed, parked or
 * closed. */
void connection_ready(struct exchange *x);
/* Time is up: answers 408 where that helps. Under x->lock. */
void connection_expired(struct exchange *x);

/* sse.c: under x->lock. */
void stream_begin(struct exchange *x);
void stream_ready(struct exchange *x, unsigned events);
/* Before a streaming exchange is closed: no more events for it. */
void stream_detach(struct exchange *x);
