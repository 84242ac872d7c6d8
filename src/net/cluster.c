/* cluster.c -- whose turn it is, and who is out. */
#include "net/cluster.h"

#include <pthread.h>
#include <stdlib.h>

#include "obs/metrics.h"

#define FAILURES_UNTIL_OUT 5
#define OUT_US US_PER_S
#define REFUSED_OUT_US (100 * US_PER_MS)
#define OUT_MAX_US (30 * US_PER_S)

struct target {
    struct cluster_target given;
    uint64_t generation;          /* 0: never used */
    bool is_known;                /* in the present list */
    int in_flight, current;       /* current: of smooth weighted round robin */
    int failures;                 /* in a row */
    int64_t out_until_us, out_us; /* out_us: for how long the last time */
    bool is_probed;               /* after it was out: one request is on its way */
    bool was_refused;             /* the last failure: nobody listened */
};

struct cluster {
    struct cluster_options options;
    pthread_mutex_t lock;
    struct target targets[CLUSTER_TARGETS_MAX];
    uint64_t generations;
    struct metric *put_out;
};

enum err cluster_open(struct ctx *cx, const struct cluster_options *options, struct cluster **ret)
{
    struct cluster *c = calloc(1, sizeof *c);

    if (!c)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    c->options = *options;
    pthread_mutex_init(&c->lock, NULL);
    c->put_out = metric_get(METRIC_COUNTER, "jumun_gateway_targets_put_out_total",
                            "Times that an instance was put out because it failed.", "service",
                            options->name, NULL, NULL);
    *ret = c;
    return ERR_OK;
}

void cluster_close(struct cluster *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c);
}

const struct cluster_options *cluster_options(const struct cluster *c)
{
    return &c->options;
}

static bool is_same(const struct cluster_target *a, const struct cluster_target *b)
{
    return a->address_size == b->address_size &&
           memcmp(&a->address, &b->address, a->address_size) == 0;
}

static struct target *find(struct cluster *c, const struct cluster_target *wanted)
{
    for (size_t i = 0; i < CLUSTER_TARGETS_MAX; i++)
        if (c->targets[i].generation && is_same(&c->targets[i].given, wanted))
            return &c->targets[i];
    return NULL;
}

/* A slot that nobody uses; there is one, since at most CLUSTER_TARGETS_MAX are known. */
static struct target *make(struct cluster *c, const struct cluster_target *wanted)
{
    for (size_t i = 0; i < CLUSTER_TARGETS_MAX; i++) {
        struct target *t = &c->targets[i];
        if (t->is_known || t->in_flight)
            continue;
        *t = (struct target){.given = *wanted, .generation = ++c->generations};
        return t;
    }
    return NULL; /* all that were there are still finishing something: at the next call */
}

void cluster_set(struct cluster *c, const struct cluster_target *targets, size_t n)
{
    struct target *now[CLUSTER_TARGETS_MAX] = {NULL};

    n = n < CLUSTER_TARGETS_MAX ? n : CLUSTER_TARGETS_MAX;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < n; i++)
        now[i] = find(c, &targets[i]);
    for (size_t i = 0; i < CLUSTER_TARGETS_MAX; i++)
        c->targets[i].is_known = false;
    for (size_t i = 0; i < n; i++)
        if (now[i])
            now[i]->is_known = true;
    for (size_t i = 0; i < n; i++) {
        struct target *t = now[i] ? now[i] : make(c, &targets[i]);
        if (!t)
            continue;
        t->is_known = true;
        t->given.weight = targets[i].weight;
    }
    pthread_mutex_unlock(&c->lock);
}

static bool may_take(const struct target *t, int64_t now_us)
{
    if (!t->is_known || t->given.weight == 0)
        return false;
    return t->failures < FAILURES_UNTIL_OUT || (now_us >= t->out_until_us && !t->is_probed);
}

/* The one with the most credit of those that can; all that can earn their weight. */
static struct target *choose(struct cluster *c, int64_t now_us, unsigned tried, bool *ret_full)
{
    struct target *best = NULL;
    int total = 0;

    *ret_full = false;
    for (size_t i = 0; i < CLUSTER_TARGETS_MAX; i++) {
        struct target *t = &c->targets[i];
        if ((tried & 1u << i) || !may_take(t, now_us))
            continue;
        if (t->in_flight >= c->options.requests_max) {
            *ret_full = true;
            continue;
        }
        t->current += t->given.weight;
        total += t->given.weight;
        if (!best || t->current > best->current)
            best = t;
    }
    if (best)
        best->current -= total;
    return best;
}

enum cluster_answer cluster_take(struct cluster *c, int64_t now_us, unsigned tried,
                                 struct cluster_turn *ret)
{
    bool full;

    pthread_mutex_lock(&c->lock);
    struct target *t = choose(c, now_us, tried, &full);
    if (t) {
        t->in_flight++;
        *ret = (struct cluster_turn){.slot = (int)(t - c->targets),
                                     .generation = t->generation,
                                     .is_probe = t->failures >= FAILURES_UNTIL_OUT,
                                     .address = t->given.address,
                                     .address_size = t->given.address_size};
        t->is_probed |= ret->is_probe;
    }
    pthread_mutex_unlock(&c->lock);
    return t ? CLUSTER_TURN : full ? CLUSTER_FULL : CLUSTER_NOBODY;
}

/* True: it goes out now. */
static bool has_failed(struct target *t, bool is_probe, bool refused, int64_t now_us)
{
    t->failures++;
    t->was_refused = refused;
    if (t->failures != FAILURES_UNTIL_OUT && !is_probe)
        return false;
    if (refused) { /* it is being restarted: asked again soon, at next to no cost */
        t->out_until_us = now_us + REFUSED_OUT_US;
        return !is_probe;
    }
    int64_t longer = t->out_us * 2 < OUT_MAX_US ? t->out_us * 2 : OUT_MAX_US;
    t->out_us = t->out_us ? longer : OUT_US;
    t->out_until_us = now_us + t->out_us;
    return true;
}

void cluster_done(struct cluster *c, const struct cluster_turn *turn, int64_t now_us,
                  enum cluster_outcome outcome)
{
    struct target *t = &c->targets[turn->slot];
    bool out = false;

    pthread_mutex_lock(&c->lock);
    t->in_flight--;
    if (turn->is_probe)
        t->is_probed = false;
    if (outcome == CLUSTER_GOOD && (t->failures < FAILURES_UNTIL_OUT || turn->is_probe)) {
        t->failures = 0;
        t->out_us = 0;
    } else if (outcome == CLUSTER_FAILED || outcome == CLUSTER_REFUSED) {
        out = has_failed(t, turn->is_probe, outcome == CLUSTER_REFUSED, now_us);
    }
    pthread_mutex_unlock(&c->lock);
    if (out)
        metric_add(c->put_out, 1);
}

void cluster_reached(struct cluster *c, struct cluster_turn *turn)
{
    struct target *t = &c->targets[turn->slot];

    pthread_mutex_lock(&c->lock);
    if (turn->is_probe && t->was_refused) {
        t->failures = FAILURES_UNTIL_OUT - 1;
        t->is_probed = false;
        turn->is_probe = false;
    }
    pthread_mutex_unlock(&c->lock);
}

bool cluster_is_current(struct cluster *c, const struct cluster_turn *turn)
{
    pthread_mutex_lock(&c->lock);
    const struct target *t = &c->targets[turn->slot];
    bool current = t->generation == turn->generation && t->is_known;
    pthread_mutex_unlock(&c->lock);
    return current;
}

struct cluster_figures cluster_figures(struct cluster *c, int64_t now_us)
{
    struct cluster_figures f = {0};

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < CLUSTER_TARGETS_MAX; i++) {
        const struct target *t = &c->targets[i];
        f.in_flight += t->in_flight;
        f.targets += t->is_known;
        f.out += t->is_known && t->failures >= FAILURES_UNTIL_OUT && now_us < t->out_until_us;
    }
    pthread_mutex_unlock(&c->lock);
    return f;
}
