/* server.c -- listening, the table of connections, the workers and the sweep of deadlines. */
#include "base/thread.h"
#include "net/connection.h"
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "obs/metrics.h"

/*
 * DESIGN
 *
 * A connection belongs to exactly one of: epoll (armed, one-shot), a worker, whoever finishes its
 * exchange, or an event stream. An epoll event carries index and generation of a place in the
 * table, never a pointer: a worker looks it up and takes a reference, so that a connection closed
 * in between is noticed instead of touched. Lock order: hub (sse.c), then connection, then table.
 */

#define FRESH_US (500 * US_PER_MS) /* a stop waits for the first request of a new connection */
#define SWEEP_US (250 * US_PER_MS)
#define STOP_KEY UINT64_MAX
#define LISTEN_KEY (UINT64_MAX - 1)
#define ACCEPT_BATCH 32
#define NO_PLACE UINT32_MAX
#define ARENA_MAX (32u * 1024 * 1024)

void exchange_unref(struct exchange *x)
{
    if (atomic_fetch_sub(&x->refs, 1) != 1)
        return;
    buf_release(&x->in);
    buf_release(&x->body_bytes);
    buf_release(&x->out);
    arena_release(&x->arena);
    pthread_mutex_destroy(&x->lock);
    free(x);
}

void exchange_close(struct exchange *x)
{
    struct server *s = x->server;

    if (x->closed)
        return;
    x->closed = true;
    x->deadline_us = 0;
    pthread_mutex_lock(&s->table_lock);
    struct place *p = &s->places[x->index];
    bool mine = p->exchange == x;
    if (mine) {
        p->exchange = NULL;
        p->generation++;
        p->next_free = s->first_free;
        s->first_free = x->index;
        s->n_open--;
        metric_set(s->open, s->n_open);
        close(x->fd);
    }
    pthread_mutex_unlock(&s->table_lock);
    if (mine)
        exchange_unref(x);
}

void exchange_arm(struct exchange *x, unsigned events, int64_t deadline_us)
{
    unsigned hang_up = events & EPOLLIN ? EPOLLRDHUP : 0;
    struct epoll_event event = {.events = events | hang_up | EPOLLONESHOT,
                                .data.u64 = (uint64_t)x->generation << 32 | x->index};

    x->deadline_us = deadline_us;
    if (epoll_ctl(x->server->epoll_fd, EPOLL_CTL_MOD, x->fd, &event) != 0)
        shutdown(x->fd, SHUT_RDWR); /* out of memory: the sweep finds it at its deadline */
}

/* With a reference; NULL when it is gone. */
static struct exchange *look_up(struct server *s, uint64_t key)
{
    unsigned index = (unsigned)key, generation = (unsigned)(key >> 32);
    struct exchange *x = NULL;

    pthread_mutex_lock(&s->table_lock);
    if (index < s->n_places && s->places[index].generation == generation)
        x = s->places[index].exchange;
    if (x)
        atomic_fetch_add(&x->refs, 1);
    pthread_mutex_unlock(&s->table_lock);
    return x;
}

static bool put_in_table(struct server *s, struct exchange *x)
{
    pthread_mutex_lock(&s->table_lock);
    bool room = s->first_free != NO_PLACE;
    if (room) {
        x->index = s->first_free;
        struct place *p = &s->places[x->index];
        s->first_free = p->next_free;
        x->generation = p->generation;
        p->exchange = x;
        s->n_open++;
        metric_set(s->open, s->n_open);
    }
    pthread_mutex_unlock(&s->table_lock);
    return room;
}

/* For the first time; under x->lock. */
static void watch(struct exchange *x)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                                .data.u64 = (uint64_t)x->generation << 32 | x->index};

    x->deadline_us = clock_monotonic_us() + FIRST_BYTE_US;
    if (epoll_ctl(x->server->epoll_fd, EPOLL_CTL_ADD, x->fd, &event) != 0)
        shutdown(x->fd, SHUT_RDWR); /* the sweep closes it */
}

static void welcome(struct server *s, int fd, const struct sockaddr_storage *address)
{
    struct exchange *x = calloc(1, sizeof *x);
    int on = 1;

    if (!x) {
        connection_refuse(fd, s->refused);
        return;
    }
    x->server = s;
    x->fd = fd;
    x->refs =
        2; /* the table's and ours: once it is in there, a stop may close it under our hands */
    pthread_mutex_init(&x->lock, NULL);
    buf_init(&x->in, HTTP_HEAD_MAX + HTTP_BODY_MAX);
    buf_init(&x->body_bytes, HTTP_BODY_MAX);
    buf_init(&x->out, SIZE_MAX / 2);
    arena_init(&x->arena, ARENA_MAX);
    address_text(address, x->peer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pthread_mutex_lock(&x->lock);
    if (put_in_table(s, x)) {
        watch(x);
    } else {
        connection_refuse(fd, s->refused);
        atomic_fetch_sub(&x->refs, 1);
    }
    pthread_mutex_unlock(&x->lock);
    exchange_unref(x);
}

/* Whether there may be more. */
static bool accept_some(struct server *s)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int fd =
            accept4(s->listen_fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                usleep(1000); /* those who wait are taken when one closes; no spinning until then */
            return false;
        }
        welcome(s, fd, &address);
    }
    return true;
}

/* Every connection whose time is up. Places are few enough to look at all of them four times a
 * second. */
static void sweep(struct server *s)
{
    int64_t now = clock_monotonic_us(), next = s->next_sweep_us;

    if (now < next || !atomic_compare_exchange_strong(&s->next_sweep_us, &next, now + SWEEP_US))
        return;
    for (unsigned i = 0; i < s->n_places; i++) {
        struct exchange *x = NULL;
        pthread_mutex_lock(&s->table_lock);
        if (s->n_open == 0)
            i = s->n_places - 1;
        if (s->places[i].exchange) {
            int64_t deadline = s->places[i].exchange->deadline_us;
            if (deadline && deadline <= now) {
                x = s->places[i].exchange;
                atomic_fetch_add(&x->refs, 1);
            }
        }
        pthread_mutex_unlock(&s->table_lock);
        if (!x)
            continue;
        if (pthread_mutex_trylock(&x->lock) == 0) {
            int64_t deadline = x->deadline_us;
            if (deadline && deadline <= now)
                connection_expired(x);
            pthread_mutex_unlock(&x->lock);
        }
        exchange_unref(x);
    }
}

static void serve(struct server *s, const struct epoll_event *event)
{
    struct exchange *x = look_up(s, event->data.u64);

    if (!x)
        return;
    pthread_mutex_lock(&x->lock);
    x->in_turn = 0;
    if (x->closed)
        ; /* by the sweep or an event stream's publisher, while we waited for the lock */
    else if (x->reading == STREAMING)
        stream_ready(x, event->events);
    else if (x->reading != HANDLING)
        connection_ready(x);
    pthread_mutex_unlock(&x->lock);
    exchange_unref(x);
}

static void *work(void *arg)
{
    struct server *s = arg;
    struct epoll_event event;

    thread_name("http", s->options.name);
    for (;;) {
        int n = epoll_wait(s->epoll_fd, &event, 1, (int)(SWEEP_US / US_PER_MS));
        if (n == 1 && event.data.u64 == STOP_KEY)
            return NULL;
        if (n == 1 && event.data.u64 == LISTEN_KEY) {
            s->accepting++;
            (void)accept_some(s);
            s->accepting--;
        } else if (n == 1) {
            serve(s, &event);
        }
        sweep(s);
    }
}

static enum err open_epoll(struct ctx *cx, struct server *s)
{
    struct epoll_event on_accept = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.u64 = LISTEN_KEY};
    struct epoll_event on_stop = {.events = EPOLLIN, .data.u64 = STOP_KEY};

    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->epoll_fd < 0 || s->stop_fd < 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &on_accept) != 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->stop_fd, &on_stop) != 0)
        return fail(cx, ERR_UNAVAILABLE, "cannot set up epoll: %s", strerror(errno));
    return ERR_OK;
}

static enum err open_table(struct ctx *cx, struct server *s)
{
    unsigned n = connections_limit(s->options.connections_max);

    s->places = calloc(n, sizeof *s->places);
    if (!s->places)
        return fail(cx, ERR_UNAVAILABLE, "out of memory for %u connections", n);
    s->n_places = n;
    for (unsigned i = 0; i < s->n_places; i++)
        s->places[i].next_free = i + 1 < s->n_places ? i + 1 : NO_PLACE;
    s->first_free = s->n_places ? 0 : NO_PLACE;
    return ERR_OK;
}

static enum err start_threads(struct ctx *cx, struct server *s)
{
    int wanted = s->options.threads > 0 ? s->options.threads : 1;

    s->threads = calloc((size_t)wanted, sizeof *s->threads);
    if (!s->threads)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    for (; s->n_threads < wanted; s->n_threads++)
        if (pthread_create(&s->threads[s->n_threads], NULL, work, s) != 0)
            return fail(cx, ERR_UNAVAILABLE, "cannot start thread %d of %d", s->n_threads + 1,
                        wanted);
    return ERR_OK;
}

static enum err start(struct ctx *cx, struct server *s)
{
    TRY(listen_open(cx, s->options.address, &s->listen_fd, &s->port));
    TRY(open_epoll(cx, s));
    TRY(open_table(cx, s));
    return start_threads(cx, s);
}

enum err server_start(struct ctx *cx, const struct server_options *options, struct server **ret)
{
    struct server *s = calloc(1, sizeof *s);

    if (!s)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    s->options = *options;
    s->listen_fd = s->epoll_fd = s->stop_fd = -1;
    s->next_sweep_us = clock_monotonic_us();
    pthread_mutex_init(&s->table_lock, NULL);
    s->open = metric_get(METRIC_GAUGE, "jumun_connections", "Open connections.", "listener",
                         options->name, NULL, NULL);
    s->refused = metric_get(METRIC_COUNTER, "jumun_connections_refused_total",
                            "Connections turned away.", "listener", options->name, NULL, NULL);
    enum err e = start(cx, s);
    if (e != ERR_OK) {
        server_stop(s, 0);
        return e;
    }
    *ret = s;
    return ERR_OK;
}

int server_port(const struct server *s)
{
    return s->port;
}

int64_t server_turned_us(const struct server *s)
{
    return s->next_sweep_us - SWEEP_US;
}

/* Nothing read and nothing sent that we have not read yet: closing it loses no request. */
static bool is_idle(const struct exchange *x)
{
    char byte;

    return x->reading == READ_HEAD && x->in.n == 0 &&
           recv(x->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* It came a moment ago and its first request is on the way. */
static bool is_fresh(const struct exchange *x)
{
    return x->reading == READ_HEAD && !x->started_us && !x->first_byte_us &&
           x->deadline_us > clock_monotonic_us() + FIRST_BYTE_US - FRESH_US;
}

/* Closes whoever has nothing in flight. The number of those that have something is returned. */
static unsigned close_idle(struct server *s, bool force)
{
    unsigned busy = 0;

    for (unsigned i = 0; i < s->n_places; i++) {
        pthread_mutex_lock(&s->table_lock);
        struct exchange *x = s->places[i].exchange;
        if (x)
            atomic_fetch_add(&x->refs, 1);
        pthread_mutex_unlock(&s->table_lock);
        if (!x)
            continue;
        pthread_mutex_lock(&x->lock);
        if (!x->closed && x->reading == STREAMING)
            stream_detach(x);
        bool idle = is_idle(x) && !is_fresh(x);
        if (x->closed || x->reading == STREAMING || idle || (force && x->reading != HANDLING))
            exchange_close(x);
        else
            busy++;
        pthread_mutex_unlock(&x->lock);
        exchange_unref(x);
    }
    return busy;
}

static void join_threads(struct server *s)
{
    if (s->stop_fd >= 0)
        (void)!write(s->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    for (int i = 0; i < s->n_threads; i++)
        pthread_join(s->threads[i], NULL);
}

/*
 * Whoever comes later is refused, and goes elsewhere. Whoever the kernel has welcomed for us is
 * taken: to those a closed door would be a request that was lost.
 */
static void close_doors(struct server *s)
{
    if (s->listen_fd >= 0) {
        if (s->epoll_fd >= 0)
            (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->listen_fd, NULL);
        listen_hush(s->listen_fd);
        while (s->epoll_fd >= 0 && accept_some(s))
            ;
        shutdown(s->listen_fd, SHUT_RDWR); /* a worker may still hold it */
    }
    while (s->accepting > 0)
        usleep(100);
    s->stopping = true;
}

void server_stop(struct server *s, int timeout_ms)
{
    int64_t until = clock_monotonic_us() + timeout_ms * US_PER_MS;
    unsigned busy = 0;

    close_doors(s);
    while ((busy = close_idle(s, false)) > 0 && clock_monotonic_us() < until)
        usleep(5000);
    join_threads(s);
    busy = close_idle(s, true);
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    if (s->epoll_fd >= 0)
        close(s->epoll_fd);
    s->listen_fd = s->epoll_fd = -1; /* what is finished later must not arm somebody else's set */
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    free(s->threads);
    if (busy > 0)
        return; /* somebody still holds exchanges beyond every deadline: their memory must stay */
    free(s->places);
    pthread_mutex_destroy(&s->table_lock);
    free(s);
}
