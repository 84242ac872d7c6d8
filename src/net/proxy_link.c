/* proxy_link.c -- the target's side: connections that are kept, the request on its way out and the
 * answer on its way back. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/proxy_inside.h"
#include "obs/metrics.h"

static struct link_pool *pool_of(struct loop *l, struct cluster *cluster)
{
    for (size_t i = 0; i < l->n_pools; i++)
        if (l->pools[i].cluster == cluster)
            return &l->pools[i];
    if (l->n_pools == CLUSTERS_MAX)
        return NULL;
    l->pools[l->n_pools] = (struct link_pool){.cluster = cluster};
    return &l->pools[l->n_pools++];
}

static void unpool(struct link_pool *pool, struct link *k)
{
    if (k->previous)
        k->previous->next = k->next;
    else
        pool->idle[k->turn.slot] = k->next;
    if (k->next)
        k->next->previous = k->previous;
    k->next = k->previous = NULL;
    pool->n[k->turn.slot]--;
}

static void bury(struct loop *l, struct link *k)
{
    block_give(l, &k->in);
    watched_bury(l, &k->w);
}

/* Is it still open? A target that closes says so at any moment; asking costs a system call, a
 * request that may not be sent twice is worth it. */
static bool is_open(const struct link *k)
{
    char byte;

    return !k->w.hung_up && !k->w.broken && recv(k->w.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           errno == EAGAIN;
}

static struct link *take_idle(struct loop *l, const struct conn *c, const struct cluster_turn *turn)
{
    struct link_pool *pool = pool_of(l, c->cluster);

    while (pool && pool->idle[turn->slot]) {
        struct link *k = pool->idle[turn->slot];
        unpool(pool, k);
        bool is_alive = c->is_safe ? !k->w.hung_up && !k->w.broken : is_open(k);
        if (k->turn.generation == turn->generation && is_alive)
            return k;
        bury(l, k);
    }
    return NULL;
}

/* What this process has run out of is no failure of the target's. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
           error == EADDRNOTAVAIL || error == ENOSPC;
}

/* NULL: *ret_short says whether the reason is here. */
static struct link *open_link(struct loop *l, struct cluster *cluster,
                              const struct cluster_turn *turn, bool *ret_short)
{
    struct link *k = calloc(1, sizeof *k);
    int on = 1;

    *ret_short = true;
    if (!k)
        return NULL;
    k->cluster = cluster;
    k->w.is_link = true;
    k->w.fd = socket(turn->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (k->w.fd >= 0)
        setsockopt(k->w.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bool ok = k->w.fd >= 0 &&
              (connect(k->w.fd, (const struct sockaddr *)&turn->address, turn->address_size) == 0 ||
               errno == EINPROGRESS) &&
              watched_add(l, &k->w);
    if (ok) {
        metric_add(l->proxy->opened, 1);
        return k;
    }
    *ret_short = is_shortage(errno);
    if (k->w.fd >= 0)
        close(k->w.fd);
    free(k);
    return NULL;
}

void link_idle_close(struct loop *l)
{
    for (size_t i = 0; i < l->n_pools; i++)
        for (size_t slot = 0; slot < CLUSTER_TARGETS_MAX; slot++)
            while (l->pools[i].idle[slot]) {
                struct link *k = l->pools[i].idle[slot];
                unpool(&l->pools[i], k);
                bury(l, k);
            }
}

static void attach(struct loop *l, struct conn *c, struct link *k, const struct cluster_turn *turn)
{
    k->turn = *turn;
    k->conn = c;
    k->since_us = k->moved_us = l->now_us;
    k->has_head = k->is_heard = k->is_turn_over = false;
    c->link = k;
    c->tried |= 1u << turn->slot;
    c->up->from = 0;
    c->sent_any = false;
}

void link_begin(struct loop *l, struct conn *c, enum err before)
{
    struct cluster_turn turn;

    while (c->tries < TRIES_MAX) {
        enum cluster_answer answer = cluster_take(c->cluster, l->now_us, c->tried, &turn);
        if (answer != CLUSTER_TURN) {
            conn_refuse(l, c, answer == CLUSTER_FULL ? ERR_BUSY : before);
            return;
        }
        if (c->tries++)
            metric_add(l->proxy->retries, 1);
        bool is_short = false;
        struct link *k = c->wants_fresh ? NULL : take_idle(l, c, &turn);
        if (k)
            metric_add(l->proxy->reused, 1);
        else
            k = open_link(l, c->cluster, &turn, &is_short);
        if (k) {
            attach(l, c, k, &turn);
            return;
        }
        c->tried |= 1u << turn.slot;
        cluster_done(c->cluster, &turn, l->now_us, is_short ? CLUSTER_SPARED : CLUSTER_REFUSED);
        if (is_short) {
            link_idle_close(l);
            before = ERR_BUSY;
        }
    }
    conn_refuse(l, c, before);
}

static void turn_over(struct loop *l, struct link *k, enum cluster_outcome outcome)
{
    if (!k->is_turn_over)
        cluster_done(k->cluster, &k->turn, l->now_us, outcome);
    k->is_turn_over = true;
}

void link_drop(struct loop *l, struct conn *c, enum cluster_outcome outcome)
{
    struct link *k = c->link;

    if (!k)
        return;
    c->link = NULL;
    k->conn = NULL;
    turn_over(l, k, outcome);
    bury(l, k);
}

void link_failed(struct loop *l, struct conn *c, enum err e)
{
    const struct link *k = c->link;
    bool heard = k->has_head || k->is_heard || (k->in && block_size(k->in));
    bool again = !c->is_answered && !heard && c->tries < TRIES_MAX && c->is_replayable &&
                 (!c->sent_any || c->is_safe);

    /* A kept connection that the target closed says nothing about the target: a fresh one may go
     * there. */
    bool was_stale = k->is_used && !heard;
    c->wants_fresh |= was_stale;
    if (was_stale)
        c->tried &= ~(1u << k->turn.slot);
    bool in_time = l->now_us - k->since_us <= cluster_options(k->cluster)->connect_ms * US_PER_MS;
    bool refused = !k->is_connected && in_time;
    link_drop(l, c, was_stale ? CLUSTER_SPARED : refused ? CLUSTER_REFUSED : CLUSTER_FAILED);
    e = c->sent_any ? ERR_UPSTREAM : e;
    if (again)
        link_begin(l, c, e);
    else
        conn_refuse(l, c, e);
}

/* To the idle ones, when nothing of this exchange is left on it. */
static void release(struct loop *l, struct conn *c)
{
    struct link *k = c->link;
    struct link_pool *pool = pool_of(l, k->cluster);
    bool clean = k->keep_alive && c->request.is_over && block_size(c->up) == 0 &&
                 (!k->in || block_size(k->in) == 0) && !k->w.hung_up && !l->is_draining;

    turn_over(l, k, k->is_failure ? CLUSTER_FAILED : CLUSTER_GOOD);
    c->link = NULL;
    k->conn = NULL;
    if (!clean || !pool || pool->n[k->turn.slot] >= LINKS_IDLE_MAX) {
        bury(l, k);
        return;
    }
    block_give(l, &k->in);
    k->is_used = true;
    k->since_us = l->now_us;
    k->previous = NULL;
    k->next = pool->idle[k->turn.slot];
    if (k->next)
        k->next->previous = k;
    pool->idle[k->turn.slot] = k;
    pool->n[k->turn.slot]++;
}

/* False: it failed, and c may have another link or none. */
static bool connected(struct loop *l, struct conn *c, bool *ret_moved)
{
    struct link *k = c->link;
    int error = 0;
    socklen_t size = sizeof error;

    if (k->is_connected)
        return true;
    if (!k->w.can_write && !k->w.broken)
        return false;
    *ret_moved = true;
    if (getsockopt(k->w.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error || k->w.broken) {
        link_failed(l, c, ERR_UNAVAILABLE);
        return false;
    }
    k->is_connected = true;
    k->moved_us = l->now_us;
    cluster_reached(k->cluster, &k->turn);
    return true;
}

/* A target that takes no more may have answered already: what it said is read first. */
static bool send_request(struct loop *l, struct conn *c)
{
    struct link *k = c->link;
    size_t n = 0;

    if (block_size(c->up) == 0)
        return false;
    (void)watched_write(&k->w, c->up->bytes + c->up->from, block_size(c->up), &n);
    c->up->from += n;
    if (n == 0)
        return false;
    c->sent_any = true;
    k->moved_us = l->now_us;
    return true;
}

static enum framing framing_of(const struct http_response *r, bool is_head)
{
    if (is_head || r->status == 204 || r->status == 304)
        return BODY_NONE;
    if (r->chunked)
        return BODY_CHUNKED;
    if (!r->has_length)
        return BODY_TO_END;
    return r->content_length > 0 ? BODY_LENGTH : BODY_NONE;
}

static bool is_event_stream(const struct http_response *r)
{
    for (size_t i = 0; i < r->n_fields; i++)
        if (str_eq_nocase(r->fields[i].name, STR("Content-Type")))
            return str_starts(r->fields[i].value, STR("text/event-stream"));
    return false;
}

/* Who has too much to do says when to come back. A 503 that does not is a broken instance's. */
static bool is_failure(const struct http_response *r)
{
    if (r->status != 503)
        return r->status == 500 || r->status == 502 || r->status == 504;
    for (size_t i = 0; i < r->n_fields; i++)
        if (str_eq_nocase(r->fields[i].name, STR("Retry-After")))
            return false;
    return true;
}

static void take_answer(struct loop *l, struct conn *c)
{
    struct link *k = c->link;
    const struct http_response *r = &l->response;
    enum framing in = framing_of(r, c->is_head), out = in;

    if (in == BODY_CHUNKED || in == BODY_TO_END)
        out = c->http_1_0 ? BODY_TO_END : BODY_CHUNKED;
    if (out == BODY_TO_END || !c->request.is_over || l->is_draining)
        c->close_after = true; /* early: the rest of the request is dropped */
    k->has_head = true;
    k->is_failure = is_failure(r);
    bool is_odd = r->status == 204 && (r->chunked || r->content_length > 0);
    k->keep_alive = r->keep_alive && in != BODY_TO_END && !is_odd;
    k->moved_us = l->now_us;
    k->answer = (struct body){.in = in,
                              .out = out,
                              .is_over = in == BODY_NONE,
                              .left = (uint64_t)r->content_length,
                              .max = INT64_MAX};
    k->in->from += r->size;
    c->status = r->status;
    c->is_answered = true;
    c->is_stream = is_event_stream(r);
    if (c->is_stream)
        turn_over(l, k, CLUSTER_GOOD);
    if (!c->down)
        c->down = block_take(l);
    c->moved_us = l->now_us;
    head_return(c->down, r, out, c);
}

/* `ended`: the target sends no more. */
static bool read_head(struct loop *l, struct conn *c, bool ended)
{
    struct link *k = c->link;
    const struct str bytes = {k->in->bytes + k->in->from, block_size(k->in)};
    int parsed = bytes.n ? http_response_parse(bytes, &l->response) : 0;

    if (parsed == 0 && !ended)
        return false;
    if (parsed == 0) {
        link_failed(l, c, ERR_UPSTREAM);
        return true;
    }
    if (parsed < 0 || l->response.status == 101) {
        link_drop(l, c, CLUSTER_FAILED);
        conn_refuse(l, c, ERR_UPSTREAM);
        return true;
    }
    if (l->response.status >= 200) {
        take_answer(l, c);
    } else { /* 100, 102, 103: not the answer yet */
        k->is_heard = true;
        k->in->from += l->response.size;
    }
    return true;
}

static bool read_body(struct loop *l, struct conn *c, bool ended)
{
    struct link *k = c->link;
    int status = body_move(&k->answer, k->in, c->down);

    if (status == 0 && ended && !k->answer.is_over && block_size(k->in) == 0) {
        if (k->answer.in != BODY_TO_END || k->w.broken)
            status = 502;
        else
            status = body_end(&k->answer, c->down);
    }
    if (status > 1) { /* broken off, or no chunks: nobody may take it for the whole */
        link_drop(l, c, CLUSTER_FAILED);
        conn_close(l, c);
        return true;
    }
    return status == 1;
}

static bool finish(struct loop *l, struct conn *c)
{
    if (!c->link || !c->link->has_head || !c->link->answer.is_over || c->is_complete)
        return false;
    c->is_complete = true;
    release(l, c);
    return true;
}

bool link_turn(struct loop *l, struct conn *c)
{
    struct link *k = c->link;
    bool moved = false;

    if (!connected(l, c, &moved))
        return moved;
    moved |= send_request(l, c);
    if (!k->in)
        k->in = block_take(l);
    int got = watched_read(&k->w, k->in);
    moved |= got > 0;
    if (got > 0 && k->has_head)
        k->moved_us = l->now_us;
    bool ended = k->w.hung_up && !k->w.can_read;
    moved |= !k->has_head && read_head(l, c, ended);
    if (c->w.closed || c->link != k)
        return true;
    /* What came with the head leaves with it. */
    moved |= k->has_head && read_body(l, c, ended);
    if (c->w.closed || c->link != k)
        return true;
    return finish(l, c) || moved;
}

void link_idle_event(struct loop *l, struct link *k)
{
    struct link_pool *pool = pool_of(l, k->cluster);

    /* Whatever it says, nobody asked it. */
    if (!k->w.hung_up && !k->w.can_read)
        return;
    unpool(pool, k);
    bury(l, k);
}

void link_sweep(struct loop *l)
{
    for (size_t i = 0; i < l->n_pools; i++) {
        struct link_pool *pool = &l->pools[i];
        for (size_t slot = 0; slot < CLUSTER_TARGETS_MAX; slot++)
            for (struct link *k = pool->idle[slot], *next; k; k = next) {
                next = k->next;
                if (l->now_us - k->since_us < LINK_IDLE_US &&
                    cluster_is_current(pool->cluster, &k->turn))
                    continue;
                unpool(pool, k);
                bury(l, k);
            }
    }
}
