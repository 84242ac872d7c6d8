/* proxy_inside.h -- what the parts of the proxy know of each other; for the files of net/ only. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "net/proxy.h"

#define PROXY_IDLE_US (60 * US_PER_S)
#define PROXY_HEAD_US (10 * US_PER_S)
#define PROXY_BODY_US (10 * US_PER_S)
#define PROXY_BODY_BYTES_PER_S 500
#define PROXY_STALL_US (30 * US_PER_S)  /* a client that does not take its answer */
#define PROXY_SILENT_US (60 * US_PER_S) /* a target in the middle of its answer */
#define PROXY_LINGER_US (2 * US_PER_S)
#define PROXY_LINGER_BYTES (256 * 1024)
#define LINK_IDLE_US (30 * US_PER_S) /* less than any server of ours keeps an idle connection */
#define LINKS_IDLE_MAX 64            /* kept per target and thread */
#define SWEEP_US (250 * US_PER_MS)
#define FRESH_US (500 * US_PER_MS) /* its first request may be on the way */
#define STEPS_PER_TURN 64          /* then other connections come first */
#define TRIES_MAX 3

/* A buffer of one direction: bytes [from, to). A head of the largest size with what we add to it
 * fits, so that parsing and rewriting never need two. */
#define BLOCK_BYTES 20480
struct block {
    struct block *next; /* of the free ones */
    size_t from, to;
    char bytes[BLOCK_BYTES];
};

/* How a body's end is told. */
enum framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_TO_END };
struct body {
    enum framing in, out; /* as it comes, as it goes on */
    bool is_over;
    uint64_t left, max; /* of BODY_LENGTH; of BODY_CHUNKED at most */
    uint64_t seen;      /* bytes that came */
    struct http_chunked chunked;
};

enum conn_state {
    CONN_HEAD,     /* reads a head */
    CONN_REFUSING, /* reads the body of a request that it answers itself */
    CONN_FORWARDING,
    CONN_ANSWERING, /* its own answer is being written */
    CONN_LINGERING, /* the last answer is out: reads and drops, so that no reset overtakes it */
};

/* Something that epoll tells about. */
struct watched {
    bool is_link;
    bool can_read, can_write; /* edges seen and not used up */
    bool hung_up;             /* the other side sends nothing more */
    bool broken, closed;
    int fd;
    struct watched *next_grave;
};

/* A client. */
struct conn {
    struct watched w;
    struct conn *next, *previous; /* of the loop's */
    struct conn *next_ready;
    bool is_ready;
    enum conn_state state;
    bool http_1_0, is_head, close_after;
    bool is_safe;       /* to be done twice */
    bool is_replayable; /* `up` still has all of it from its first byte */
    bool sent_any;      /* bytes of this request, to some target */
    bool is_answered;   /* the head of the answer is in `down` */
    bool is_complete;   /* and all the rest, and the link is given back */
    bool is_stream;     /* text/event-stream */
    bool wants_fresh;   /* a kept connection turned out to be stale */
    bool has_note;
    int status;       /* of the answer */
    int64_t since_us; /* idle since; or the first byte of the head; or of the body; or lingering */
    int64_t moved_us; /* when the client last took bytes of `down`, or it was empty */
    struct block *in, *up, *down;
    struct str own; /* static body of an own answer, what is left of it */
    struct body request;
    struct link *link;
    struct cluster *cluster;
    unsigned tried, tries;
    size_t lingered;
    struct proxy_note note;
    char peer[46];
};

/* A connection to a target. */
struct link {
    struct watched w;
    struct conn *conn;            /* NULL: idle */
    struct link *next, *previous; /* among the idle of its slot */
    struct cluster *cluster;
    struct cluster_turn turn;
    bool is_connected, is_heard, has_head, keep_alive; /* heard: an interim answer */
    bool is_used;                                      /* not its first request */
    bool is_failure;                                   /* what it answered: see cluster.h */
    bool is_turn_over; /* an event stream: the cluster need not wait for its end */
    int64_t since_us;  /* connecting since; idle since */
    int64_t moved_us;  /* when bytes last went to or came from it */
    struct block *in;
    struct body answer;
};

/* Idle connections to one cluster's targets. */
struct link_pool {
    struct cluster *cluster;
    struct link *idle[CLUSTER_TARGETS_MAX];
    unsigned n[CLUSTER_TARGETS_MAX];
};
#define CLUSTERS_MAX 32

/* A thread with all that is its own. */
struct loop {
    struct proxy *proxy;
    pthread_t thread;
    int epoll_fd, wake_fd;
    struct conn *conns, *ready_first, *ready_last;
    struct watched *graves; /* closed in this turn: an event of the same batch may name them */
    struct block *free_blocks;
    size_t n_free_blocks;
    struct link_pool pools[CLUSTERS_MAX];
    size_t n_pools;
    struct arena arena;
    union {
        struct http_head head;
        struct http_response response;
    };
    int64_t now_us;
    _Atomic int64_t swept_us;
    bool is_draining;
};

struct proxy {
    struct proxy_options options;
    struct loop *loops;
    int n_loops, listen_fd, port;
    _Atomic unsigned connections;
    unsigned connections_max;
    _Atomic bool stopping, cut; /* finish; then: at once */
    struct metric *open, *refused, *retries, *reused, *opened;
};

/* proxy.c */
struct block *block_take(struct loop *l);
void block_give(struct loop *l, struct block **b);    /* and sets it NULL */
void watched_bury(struct loop *l, struct watched *w); /* closed; freed after this turn's events */
bool watched_add(struct loop *l, struct watched *w);  /* to epoll */
/* Reads into the block. 1: bytes; 0: none now; -1: the end or an error, see w. */
int watched_read(struct watched *w, struct block *b);
/* Writes the block's bytes from `from`. 1: some; 0: none now; -1: broken. */
int watched_write(struct watched *w, const char *p, size_t n, size_t *ret_written);
static inline size_t block_room(const struct block *b)
{
    return BLOCK_BYTES - b->to;
}
static inline size_t block_size(const struct block *b)
{
    return b->to - b->from;
}

/* proxy_client.c */
void conn_welcome(struct loop *l, int fd, const struct sockaddr_storage *address);
void conn_turn(struct loop *l, struct conn *c); /* until nothing moves; may bury it */
void conn_sweep(struct loop *l, struct conn *c);
void conn_close(struct loop *l, struct conn *c);
/* The request cannot go on: answers, or cuts when the answer has begun. */
void conn_refuse(struct loop *l, struct conn *c, enum err e);
bool conn_drain(struct loop *l, struct conn *c); /* true: it was idle and is closed */

/* proxy_link.c */
/* Gives the request to a target, or tells the client that nobody could be asked, or what went wrong
 * `before`. */
void link_begin(struct loop *l, struct conn *c, enum err before);
bool link_turn(struct loop *l, struct conn *c); /* true: something moved */
/* The request's target failed; goes to the next one where that is safe. */
void link_failed(struct loop *l, struct conn *c, enum err e);
/* The client went away, or the answer was broken: closes it. */
void link_drop(struct loop *l, struct conn *c, enum cluster_outcome outcome);
void link_sweep(struct loop *l); /* idle ones that are too old, or whose target is gone */
void link_idle_event(struct loop *l, struct link *k);
void link_idle_close(struct loop *l); /* all of them */

/* proxy_head.c */
/* The request as the target gets it. */
void head_forward(struct block *out, const struct http_head *head, const struct proxy_verdict *v,
                  bool is_chunked);
/* The answer as the client gets it. */
void head_return(struct block *out, const struct http_response *r, enum framing framing,
                 const struct conn *c);

/* proxy_body.c */
/* Moves what it can from `in` to `out`. 1: something moved; 0: nothing; otherwise a status. */
int body_move(struct body *b, struct block *in, struct block *out);
bool body_end(struct body *b,
              struct block *out); /* of BODY_TO_END: no more comes; false: no room */
