/* pool.c -- threads on one mutex and condition; work is long, so the lock is not what costs. */
#include "service/pool.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct pool_job *first, **end;
    int waiting, queue_max, n_threads;
    bool stop;
    _Atomic int64_t oldest_us; /* put_us of the first; 0: nobody waits */
    const char *name;
    pthread_t threads[];
};

static void *worker(void *arg)
{
    struct pool *p = arg;

    thread_name("pool", p->name);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->first && !p->stop)
            pthread_cond_wait(&p->filled, &p->lock);
        struct pool_job *job = p->first;
        if (!job)
            break;
        p->first = job->next;
        if (!p->first)
            p->end = &p->first;
        p->oldest_us = p->first ? p->first->put_us : 0;
        p->waiting--;
        pthread_mutex_unlock(&p->lock);
        job->run(job->arg);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

enum err pool_open(const char *name, int threads, int queue_max, struct pool **ret)
{
    struct pool *p = calloc(1, sizeof *p + (size_t)threads * sizeof(pthread_t));

    if (!p)
        return ERR_UNAVAILABLE;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->filled, NULL);
    p->end = &p->first;
    p->queue_max = queue_max;
    p->name = name;
    for (; p->n_threads < threads; p->n_threads++)
        if (pthread_create(&p->threads[p->n_threads], NULL, worker, p) != 0) {
            pool_close(p);
            return ERR_UNAVAILABLE;
        }
    *ret = p;
    return ERR_OK;
}

bool pool_put(struct pool *p, struct pool_job *job)
{
    pthread_mutex_lock(&p->lock);
    bool taken = !p->stop && p->waiting < p->queue_max;
    if (taken) {
        job->next = NULL;
        job->put_us = clock_monotonic_us();
        if (!p->first)
            p->oldest_us = job->put_us;
        *p->end = job;
        p->end = &job->next;
        p->waiting++;
        pthread_cond_signal(&p->filled);
    }
    pthread_mutex_unlock(&p->lock);
    return taken;
}

void pool_close(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->filled);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->filled);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

size_t pool_waiting(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    size_t n = (size_t)p->waiting;
    pthread_mutex_unlock(&p->lock);
    return n;
}

int64_t pool_delay_us(struct pool *p)
{
    int64_t oldest_us = p->oldest_us;

    return oldest_us ? clock_monotonic_us() - oldest_us : 0;
}
