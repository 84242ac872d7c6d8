/* proxy.c -- the proxy's threads: epoll, accepting, buffers, the sweep of deadlines, start and
 * stop.
 */
#include "net/proxy_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"
#include "net/listen.h"
#include "obs/metrics.h"

/*
 * DESIGN
 *
 * Edge-triggered: an event only sets can_read or can_write, and the exchange it belongs to is
 * driven until nothing moves any more (conn_turn). What is still ready then is so because a buffer
 * is full or empty, and whoever changes that is in the same turn: no event is ever waited for
 * twice, and epoll is told about a connection once. Back-pressure is a full buffer: nobody reads
 * into it, and the kernel's window closes.
 */

#define EVENTS_MAX 64
#define ACCEPT_BATCH 1 /* the next one may go to another thread: a connection stays where it is */
#define FREE_BLOCKS_MAX 256
#define ARENA_MAX (8u * 1024 * 1024)
#define JOIN_WAIT_US 2000

struct block *block_take(struct loop *l)
{
    struct block *b = l->free_blocks;

    if (b) {
        l->free_blocks = b->next;
        l->n_free_blocks--;
    } else {
        b = malloc(sizeof *b);
        if (!b)
            abort(); /* bounded by connections_max; nothing could go on */
    }
    b->next = NULL;
    b->from = b->to = 0;
    return b;
}

void block_give(struct loop *l, struct block **b)
{
    struct block *mine = *b;

    *b = NULL;
    if (!mine)
        return;
    if (l->n_free_blocks >= FREE_BLOCKS_MAX) {
        free(mine);
        return;
    }
    mine->next = l->free_blocks;
    l->free_blocks = mine;
    l->n_free_blocks++;
}

static void dig_up(struct loop *l)
{
    while (l->graves) {
        struct watched *w = l->graves;
        l->graves = w->next_grave;
        free(w);
    }
}

void watched_bury(struct loop *l, struct watched *w)
{
    w->closed = true;
    close(w->fd);
    w->next_grave = l->graves;
    l->graves = w;
}

bool watched_add(struct loop *l, struct watched *w)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = w};

    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &event) == 0;
}

int watched_read(struct watched *w, struct block *b)
{
    if (b->from == b->to)
        b->from = b->to = 0;
    else if (b->from && block_room(b) < BLOCK_BYTES / 4) {
        memmove(b->bytes, b->bytes + b->from, block_size(b));
        b->to -= b->from;
        b->from = 0;
    }
    size_t room = block_room(b);
    if (!w->can_read || room == 0)
        return 0;
    ssize_t n = recv(w->fd, b->bytes + b->to, room, MSG_DONTWAIT);
    if (n > 0) {
        b->to += (size_t)n;
        /* Less than there was room for: that was all, and more comes with an event of its own.
         * Not so when the end was announced already. */
        if ((size_t)n < room && !w->hung_up)
            w->can_read = false;
        return 1;
    }
    if (n < 0 && errno == EINTR)
        return 0; /* can_read stays */
    w->can_read = false;
    if (n < 0 && errno == EAGAIN)
        return 0;
    w->hung_up = true;
    w->broken |= n < 0;
    return -1;
}

int watched_write(struct watched *w, const char *p, size_t n, size_t *ret_written)
{
    *ret_written = 0;
    if (!w->can_write || n == 0)
        return 0;
    ssize_t sent = send(w->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR)
        return 0;
    if (sent < 0) {
        w->can_write = false;
        w->broken |= errno != EAGAIN;
        return w->broken ? -1 : 0;
    }
    *ret_written = (size_t)sent;
    if ((size_t)sent < n)
        w->can_write = false;
    return 1;
}

/* Whether there may be more. */
static bool accept_some(struct loop *l)
{
    struct proxy *p = l->proxy;

    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int fd =
            accept4(p->listen_fd, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE)
                usleep(1000); /* those who wait are taken when one closes; no spinning until then */
            return false;
        }
        if (p->connections >= p->connections_max)
            connection_refuse(fd, p->refused);
        else
            conn_welcome(l, fd, &address);
    }
    return true;
}

static void notice(struct loop *l, const struct epoll_event *event)
{
    struct watched *w = event->data.ptr;

    if (w->closed)
        return;
    w->can_read |= (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    w->can_write |= (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    w->hung_up |= (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    w->broken |= (event->events & (EPOLLHUP | EPOLLERR)) != 0;
    if (!w->is_link) {
        conn_turn(l, (struct conn *)(void *)w);
        return;
    }
    struct link *k = (struct link *)(void *)w;
    if (k->conn)
        conn_turn(l, k->conn);
    else
        link_idle_event(l, k);
}

/* Those that were ready at the end of their turn; each that is again goes behind the others. */
static void go_on(struct loop *l)
{
    struct conn *last = l->ready_last;

    while (l->ready_first) {
        struct conn *c = l->ready_first;
        l->ready_first = c->next_ready;
        if (!l->ready_first)
            l->ready_last = NULL;
        c->is_ready = false;
        conn_turn(l, c);
        dig_up(l);
        if (c == last)
            return;
    }
}

static void sweep(struct loop *l)
{
    if (l->now_us - l->swept_us < SWEEP_US)
        return;
    l->swept_us = l->now_us;
    for (struct conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        conn_sweep(l, c);
        dig_up(l);
    }
    link_sweep(l);
}

/* Nobody new comes (proxy_stop saw to that); whom the kernel has welcomed for us is taken. */
static void close_door(struct loop *l)
{
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->proxy->listen_fd, NULL);
    while (accept_some(l))
        ;
    shutdown(l->proxy->listen_fd, SHUT_RDWR);
}

static void drain(struct loop *l)
{
    if (!l->is_draining)
        close_door(l);
    l->is_draining = true;
    for (struct conn *c = l->conns, *next; c; c = next) {
        next = c->next;
        if (l->proxy->cut)
            conn_close(l, c);
        else
            (void)conn_drain(l, c);
        dig_up(l);
    }
}

static void *loop_main(void *arg)
{
    struct loop *l = arg;
    struct proxy *p = l->proxy;
    struct epoll_event events[EVENTS_MAX];

    thread_name("proxy", "");
    while (!(l->is_draining && !l->conns)) {
        int wait_ms = l->ready_first ? 0 : (int)(SWEEP_US / US_PER_MS);
        int n = epoll_wait(l->epoll_fd, events, EVENTS_MAX, wait_ms);
        l->now_us = clock_monotonic_us();
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == p)
                (void)accept_some(l);
            else if (events[i].data.ptr)
                notice(l, &events[i]);
        }
        dig_up(l);
        go_on(l);
        sweep(l);
        if (p->stopping)
            drain(l);
    }
    link_idle_close(l);
    dig_up(l);
    return NULL;
}

static enum err open_loop(struct ctx *cx, struct proxy *p, struct loop *l)
{
    struct epoll_event on_accept = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = p};
    struct epoll_event on_wake = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

    l->proxy = p;
    l->now_us = clock_monotonic_us();
    l->swept_us = l->now_us;
    arena_init(&l->arena, ARENA_MAX);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll_fd < 0 || l->wake_fd < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, p->listen_fd, &on_accept) != 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &on_wake) != 0)
        return fail(cx, ERR_UNAVAILABLE, "cannot set up epoll: %s", strerror(errno));
    return ERR_OK;
}

static void make_metrics(struct proxy *p)
{
    p->open = metric_get(METRIC_GAUGE, "jumun_connections", "Open connections.", "listener",
                         "public", NULL, NULL);
    p->refused = metric_get(METRIC_COUNTER, "jumun_connections_refused_total",
                            "Connections turned away.", "listener", "public", NULL, NULL);
    p->retries = metric_get(METRIC_COUNTER, "jumun_gateway_retries_total",
                            "Requests sent to a second target.", NULL, NULL, NULL, NULL);
    p->opened = metric_get(METRIC_COUNTER, "jumun_gateway_links_total", "Connections to targets.",
                           "link", "opened", NULL, NULL);
    p->reused = metric_get(METRIC_COUNTER, "jumun_gateway_links_total", "Connections to targets.",
                           "link", "reused", NULL, NULL);
}

static enum err start(struct ctx *cx, struct proxy *p)
{
    int wanted = p->options.threads > 0 ? p->options.threads : 1;

    TRY(listen_open(cx, p->options.address, &p->listen_fd, &p->port));
    p->connections_max = connections_limit(p->options.connections_max);
    p->loops = calloc((size_t)wanted, sizeof *p->loops);
    if (!p->loops)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    for (int i = 0; i < wanted; i++) {
        struct loop *l = &p->loops[i];
        l->epoll_fd = l->wake_fd = -1;
        enum err e = open_loop(cx, p, l);
        if (e == ERR_OK && pthread_create(&l->thread, NULL, loop_main, l) != 0)
            e = fail(cx, ERR_UNAVAILABLE, "cannot start thread %d of %d", i + 1, wanted);
        if (e != ERR_OK) {
            close(l->epoll_fd);
            close(l->wake_fd);
            return e;
        }
        p->n_loops++;
    }
    return ERR_OK;
}

enum err proxy_start(struct ctx *cx, const struct proxy_options *options, struct proxy **ret)
{
    struct proxy *p = calloc(1, sizeof *p);

    if (!p)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    p->options = *options;
    p->listen_fd = -1;
    make_metrics(p);
    enum err e = start(cx, p);
    if (e != ERR_OK) {
        proxy_stop(p, 0);
        return e;
    }
    *ret = p;
    return ERR_OK;
}

int proxy_port(const struct proxy *p)
{
    return p->port;
}

int64_t proxy_turned_us(const struct proxy *p)
{
    int64_t oldest_us = INT64_MAX;

    for (int i = 0; i < p->n_loops; i++)
        oldest_us = p->loops[i].swept_us < oldest_us ? p->loops[i].swept_us : oldest_us;
    return oldest_us;
}

static void wake_all(struct proxy *p)
{
    for (int i = 0; i < p->n_loops; i++)
        (void)!write(p->loops[i].wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

void proxy_stop(struct proxy *p, int timeout_ms)
{
    int64_t until = clock_monotonic_us() + timeout_ms * US_PER_MS;

    if (p->listen_fd >= 0)
        listen_hush(p->listen_fd);
    p->stopping = true;
    wake_all(p);
    while (p->connections && clock_monotonic_us() < until)
        usleep(JOIN_WAIT_US);
    p->cut = true;
    wake_all(p);
    for (int i = 0; i < p->n_loops; i++) {
        struct loop *l = &p->loops[i];
        pthread_join(l->thread, NULL);
        close(l->epoll_fd);
        close(l->wake_fd);
        arena_release(&l->arena);
        while (l->free_blocks) {
            struct block *b = l->free_blocks;
            l->free_blocks = b->next;
            free(b);
        }
    }
    if (p->listen_fd >= 0)
        close(p->listen_fd);
    free(p->loops);
    free(p);
}
