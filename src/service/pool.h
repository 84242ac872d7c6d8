/* pool.h -- the slow pool: a few threads for what may take long, behind a bounded queue. */
#pragma once

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"

struct pool;
struct pool_job {
    void (*run)(void *arg);
    void *arg;
    struct pool_job *next;
    int64_t put_us; /* monotonic */
};

enum err pool_open(const char *name, int threads, int queue_max, struct pool **ret) MUST_USE;
/* False: the queue is full (answer 503). */
bool pool_put(struct pool *p, struct pool_job *job) MUST_USE;
void pool_close(struct pool *p); /* runs what is queued, then joins */
size_t pool_waiting(struct pool *p);
/* How long the job that is next has been waiting: what a new one has to expect. Without a lock. */
int64_t pool_delay_us(struct pool *p);
