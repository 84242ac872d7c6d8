/*
 * cluster.h -- the instances behind one name: whose turn it is, how many requests each may have,
 * and who is out for a while because it failed (outlier ejection with a circuit breaker's half-open
 * probe).
 *
 * Turns are smooth weighted round robin: with weights 90 and 10 every tenth request goes to the
 * second, not ten in a row. Five failures in a row put an instance out for a second, then for twice
 * as long each time, up to 30 s; afterwards one request tries it. One that refuses the connection
 * is tried every tenth of a second, so that it is back at once after a restart, before the next one
 * goes. When all are out, nobody is asked but the probes: the answer is 503 at once.
 */
#pragma once

#include <sys/socket.h>

#include "base/ctx.h"

#define CLUSTER_TARGETS_MAX 16
#define CLUSTER_WEIGHT_MAX 1000

struct cluster; /* thread-safe */

struct cluster_target {
    struct sockaddr_storage address;
    socklen_t address_size;
    int weight; /* 0: no requests, but what is there is finished */
};

struct cluster_options {
    const char *name;   /* for metrics; outlives the cluster */
    int requests_max;   /* at once at one target; beyond it the next one */
    int64_t connect_ms; /* then the next target */
    int64_t answer_ms;  /* until the head of the answer is there; then 504 */
};

enum err cluster_open(struct ctx *cx, const struct cluster_options *options,
                      struct cluster **ret) MUST_USE;
void cluster_close(struct cluster *c); /* NULL is fine; after those who use it */
const struct cluster_options *cluster_options(const struct cluster *c);

/*
 * These are the targets now. One that stays keeps its record; one that is gone gets no more
 * requests. More than CLUSTER_TARGETS_MAX are cut off.
 */
void cluster_set(struct cluster *c, const struct cluster_target *targets, size_t n);

/* Somebody's turn. slot and generation name the target: for keeping idle connections apart. */
struct cluster_turn {
    int slot;
    uint64_t generation; /* another one: another target has the slot now */
    bool is_probe;
    struct sockaddr_storage address;
    socklen_t address_size;
};
enum cluster_answer {
    CLUSTER_TURN,
    CLUSTER_NOBODY, /* no targets, or all are out or were tried */
    CLUSTER_FULL,   /* all have requests_max */
};
/* `tried`: bits of slots that were tried for this request. CLUSTER_TURN must be followed by one
 * cluster_done. */
enum cluster_answer cluster_take(struct cluster *c, int64_t now_us, unsigned tried,
                                 struct cluster_turn *ret) MUST_USE;
enum cluster_outcome {
    CLUSTER_GOOD,    /* it answered */
    CLUSTER_FAILED,  /* not reached, cut off, silent, 500, 502, 504, or 503 without Retry-After */
    CLUSTER_REFUSED, /* nobody listens there */
    CLUSTER_SPARED,  /* the client went away: says nothing about the target */
};
void cluster_done(struct cluster *c, const struct cluster_turn *turn, int64_t now_us,
                  enum cluster_outcome outcome);
/* Somebody listens there. A target where the last time nobody did is back at once, on trial: others
 * need not wait for this request, and the next failure puts it out again. */
void cluster_reached(struct cluster *c, struct cluster_turn *turn);
/* Does the slot still belong to that target? */
bool cluster_is_current(struct cluster *c, const struct cluster_turn *turn);

struct cluster_figures {
    size_t targets, out; /* known now; of those put out */
    int64_t in_flight;
};
struct cluster_figures cluster_figures(struct cluster *c, int64_t now_us);
