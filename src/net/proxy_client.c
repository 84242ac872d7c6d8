/* proxy_client.c -- the client's side: reads requests in turn, has them forwarded or answers them
 * itself. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen.h"
#include "net/proxy_inside.h"
#include "obs/metrics.h"

void conn_welcome(struct loop *l, int fd, const struct sockaddr_storage *address)
{
    struct conn *c = calloc(1, sizeof *c);
    int on = 1;

    if (!c) {
        close(fd);
        return;
    }
    c->w = (struct watched){.fd = fd, .can_read = true, .can_write = true};
    c->since_us = l->now_us;
    address_text(address, c->peer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!watched_add(l, &c->w)) {
        close(fd);
        free(c);
        return;
    }
    c->next = l->conns;
    if (c->next)
        c->next->previous = c;
    l->conns = c;
    l->proxy->connections++;
    metric_add(l->proxy->open, 1);
}

static void forget_ready(struct loop *l, const struct conn *c)
{
    struct conn *before = NULL;

    for (struct conn *at = l->ready_first; at && c->is_ready; before = at, at = at->next_ready) {
        if (at != c)
            continue;
        if (before)
            before->next_ready = c->next_ready;
        else
            l->ready_first = c->next_ready;
        if (l->ready_last == c)
            l->ready_last = before;
        return;
    }
}

static void tell_done(struct loop *l, struct conn *c, int status)
{
    if (c->has_note)
        l->proxy->options.done(l->proxy->options.arg, &c->note, status);
    c->has_note = false;
}

static void give_blocks(struct loop *l, struct conn *c)
{
    if (c->in && block_size(c->in) == 0)
        block_give(l, &c->in);
    block_give(l, &c->up);
    block_give(l, &c->down);
}

void conn_close(struct loop *l, struct conn *c)
{
    if (c->w.closed)
        return;
    link_drop(l, c, CLUSTER_SPARED);
    tell_done(l, c, c->is_complete || c->state == CONN_ANSWERING ? c->status : 0);
    forget_ready(l, c);
    if (c->previous)
        c->previous->next = c->next;
    else
        l->conns = c->next;
    if (c->next)
        c->next->previous = c->previous;
    give_blocks(l, c);
    block_give(l, &c->in);
    l->proxy->connections--;
    metric_add(l->proxy->open, -1);
    watched_bury(l, &c->w);
}

/* An answer of our own; what stands in the arena is copied. */
static void answer(struct loop *l, struct conn *c, const struct http_answer *a, bool is_static)
{
    const struct http_head request = {.http_1_0 = c->http_1_0,
                                      .method = c->is_head ? HTTP_HEAD : HTTP_GET};

    if (!c->down)
        c->down = block_take(l);
    struct buf b = {.p = c->down->bytes, .cap = BLOCK_BYTES, .max = BLOCK_BYTES};
    bool has_body = http_answer_head(&b, a, &request, c->close_after);
    if (has_body && is_static)
        c->own = a->body;
    else if (has_body)
        buf_str_add(&b, a->body);
    assert(!b.overflow);
    c->down->from = 0;
    c->down->to = b.n;
    c->status = a->status;
    c->moved_us = l->now_us;
}

/* The bytes cannot be trusted, or there are too many: there is no next request. */
static void refuse_bytes(struct loop *l, struct conn *c, int status)
{
    const struct http_answer a = {.status = status,
                                  .content_type = STR("application/problem+json"),
                                  .body = http_refusal(&l->arena, status, (size_t)c->request.max)};

    link_drop(l, c, CLUSTER_SPARED);
    if (c->is_answered) {
        conn_close(l, c);
        return;
    }
    c->close_after = true;
    c->is_head = c->http_1_0 = false;
    c->own = STR_NONE;
    answer(l, c, &a, false);
    arena_reset(&l->arena);
    c->state = CONN_ANSWERING;
}

void conn_refuse(struct loop *l, struct conn *c, enum err e)
{
    struct http_answer a = {0};

    if (c->is_answered) { /* a part must not look like the whole */
        conn_close(l, c);
        return;
    }
    c->close_after |= !c->request.is_over;
    l->proxy->options.refuse(l->proxy->options.arg, &l->arena, &c->note, e, &a);
    answer(l, c, &a, false);
    arena_reset(&l->arena);
    c->state = CONN_ANSWERING;
}

static void begin_body(struct conn *c, const struct http_head *h, size_t max, int64_t now_us)
{
    enum framing framing = h->chunked              ? BODY_CHUNKED
                           : h->content_length > 0 ? BODY_LENGTH
                                                   : BODY_NONE;

    c->request = (struct body){.in = framing,
                               .out = framing,
                               .is_over = framing == BODY_NONE,
                               .left = (uint64_t)h->content_length,
                               .max = max};
    c->since_us = now_us;
}

static bool is_safe_twice(const struct http_head *h, bool key_counts)
{
    return (h->method != HTTP_POST && h->method != HTTP_PATCH) ||
           (key_counts && http_field(h, STR("Idempotency-Key")).p);
}

/* "100 Continue" goes out at once; nothing else can be on its way to the client. */
static bool invite_body(struct conn *c, const struct http_head *h)
{
    static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!h->expect_continue || c->request.is_over || block_size(c->in) > h->size)
        return true;
    return send(c->w.fd, go, sizeof go - 1, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof go - 1;
}

static void forward(struct loop *l, struct conn *c, const struct proxy_verdict *v)
{
    const struct http_head *h = &l->head;

    c->state = CONN_FORWARDING;
    c->cluster = v->to;
    c->tried = c->tries = 0;
    c->is_safe = is_safe_twice(h, v->key_counts);
    c->is_replayable = true;
    c->wants_fresh = false;
    c->up = block_take(l);
    head_forward(c->up, h, v, c->request.in == BODY_CHUNKED);
}

/* A whole head: decides, and leaves the body behind it in `in`. */
static void take_request(struct loop *l, struct conn *c)
{
    const struct http_head *h = &l->head;
    const struct proxy_request rq = {.head = h, .peer = str_from(c->peer), .arena = &l->arena};
    struct proxy_verdict v = {.body_max = HTTP_BODY_MAX};

    c->http_1_0 = h->http_1_0;
    c->is_head = h->method == HTTP_HEAD;
    c->close_after = !h->keep_alive || l->is_draining;
    c->sent_any = c->is_answered = c->is_complete = c->is_stream = false;
    c->own = STR_NONE;
    l->proxy->options.decide(l->proxy->options.arg, &rq, &c->note, &v);
    c->has_note = true;
    begin_body(c, h, v.body_max, l->now_us);
    if (h->has_length && (uint64_t)h->content_length > v.body_max) {
        arena_reset(&l->arena);
        refuse_bytes(l, c, 413);
        return;
    }
    if (!invite_body(c, h)) {
        conn_close(l, c);
        return;
    }
    if (v.to) {
        forward(l, c, &v);
    } else {
        c->state = CONN_REFUSING;
        answer(l, c, &v.answer, v.is_static);
    }
    c->in->from += h->size;
    arena_reset(&l->arena);
    if (v.to)
        link_begin(l, c, ERR_UNAVAILABLE);
}

static bool step_head(struct loop *l, struct conn *c)
{
    struct block *in = c->in;
    bool over = c->w.hung_up && !c->w.can_read; /* no more comes */
    int skipped = 0;

    /* Empty lines before a request are what some old clients leave behind (RFC 9112, 2.2). */
    while (in && block_size(in) >= 2 && skipped++ < 4 &&
           memcmp(in->bytes + in->from, "\r\n", 2) == 0)
        in->from += 2;
    if (!in || block_size(in) == 0) {
        block_give(l, &c->in); /* an idle connection holds no buffers */
        if (over)
            conn_close(l, c);
        return false;
    }
    if (c->request.seen == 0) { /* the first byte of this head */
        c->request.seen = 1;
        c->since_us = l->now_us;
    }
    int status = http_head_parse((struct str){in->bytes + in->from, block_size(in)}, &l->head);
    if (status == 0 && over)
        conn_close(l, c);
    if (status == 0)
        return false;
    if (status > 1)
        refuse_bytes(l, c, status);
    else
        take_request(l, c);
    return true;
}

/* The body of a request that is answered here: read to its end, so that the next one can be found.
 */
static bool step_refusing(struct loop *l, struct conn *c)
{
    if (!c->request.is_over) {
        if (!c->in)
            return false;
        if (!c->up)
            c->up = block_take(l);
        int status = body_move(&c->request, c->in, c->up);
        c->up->from = c->up->to = 0;
        if (status > 1)
            refuse_bytes(l, c, status);
        if (status != 1)
            return status > 1;
    }
    if (c->request.is_over)
        c->state = CONN_ANSWERING;
    c->moved_us = l->now_us;
    return true;
}

static bool step_forwarding(struct loop *l, struct conn *c)
{
    if (c->request.is_over || !c->in || c->is_complete)
        return false;
    if (c->up->from == c->up->to && block_room(c->up) < BLOCK_BYTES / 4) {
        c->up->from = c->up->to = 0;
        c->is_replayable = false;
    }
    int status = body_move(&c->request, c->in, c->up);
    if (status > 1)
        refuse_bytes(l, c, status);
    return status != 0;
}

static bool step(struct loop *l, struct conn *c)
{
    switch (c->state) {
    case CONN_HEAD:
        return step_head(l, c);
    case CONN_REFUSING:
        return step_refusing(l, c);
    case CONN_FORWARDING:
        return step_forwarding(l, c);
    case CONN_ANSWERING:
    case CONN_LINGERING:
        return false;
    }
    return false;
}

static bool wants_bytes(const struct conn *c)
{
    switch (c->state) {
    case CONN_HEAD:
    case CONN_LINGERING:
        return true;
    case CONN_REFUSING:
    case CONN_FORWARDING:
        return !c->request.is_over && !c->is_complete;
    case CONN_ANSWERING:
        return false;
    }
    return false;
}

/* Half closed is still there to listen; whoever follows a stream is not. A body that ends before
 * its end is no request. */
static bool is_gone(const struct conn *c)
{
    bool has_bytes = c->in && block_size(c->in);
    bool is_cut = c->w.hung_up && !c->w.can_read && !has_bytes && wants_bytes(c) &&
                  (c->state == CONN_REFUSING || c->state == CONN_FORWARDING);

    return c->w.broken || is_cut || (c->w.hung_up && c->is_stream);
}

static bool read_client(struct loop *l, struct conn *c)
{
    if (!c->w.can_read || !wants_bytes(c)) {
        if (is_gone(c))
            conn_close(l, c);
        return false;
    }
    if (!c->in)
        c->in = block_take(l);
    if (c->state == CONN_LINGERING)
        c->in->from = c->in->to = 0;
    int got = watched_read(&c->w, c->in);
    if (c->state == CONN_LINGERING) {
        c->lingered += block_size(c->in);
        if (got < 0 || c->lingered > PROXY_LINGER_BYTES)
            conn_close(l, c);
    } else if (is_gone(c)) {
        conn_close(l, c);
    }
    return got != 0;
}

/* The answer is out: ready for the next request, or the end. */
static void exchange_end(struct loop *l, struct conn *c)
{
    tell_done(l, c, c->status);
    c->close_after |= l->is_draining && !(c->in && block_size(c->in));
    c->request = (struct body){0};
    c->is_stream = c->is_answered = c->is_complete = false;
    c->since_us = l->now_us;
    give_blocks(l, c);
    c->state = CONN_HEAD;
    if (!c->close_after)
        return;
    shutdown(c->w.fd, SHUT_WR);
    c->lingered = 0;
    c->state = CONN_LINGERING;
}

static bool write_client(struct loop *l, struct conn *c)
{
    size_t n = 0;
    int wrote = 0;

    if (c->state != CONN_FORWARDING && c->state != CONN_ANSWERING)
        return false;
    if (c->down && block_size(c->down)) {
        wrote = watched_write(&c->w, c->down->bytes + c->down->from, block_size(c->down), &n);
        c->down->from += n;
        if (c->down->from == c->down->to)
            c->down->from = c->down->to = 0;
    } else if (c->own.n) {
        wrote = watched_write(&c->w, c->own.p, c->own.n, &n);
        c->own.p += n;
        c->own.n -= n;
    }
    if (wrote < 0) {
        conn_close(l, c);
        return true;
    }
    bool all_out = (!c->down || block_size(c->down) == 0) && c->own.n == 0;
    if (n || all_out)
        c->moved_us = l->now_us;
    if (!all_out || (c->state == CONN_FORWARDING && !c->is_complete))
        return n > 0;
    exchange_end(l, c);
    return true;
}

void conn_turn(struct loop *l, struct conn *c)
{
    for (int i = 0; i < STEPS_PER_TURN && !c->w.closed; i++) {
        bool moved = read_client(l, c);
        if (!c->w.closed)
            moved |= step(l, c);
        if (!c->w.closed && c->link)
            moved |= link_turn(l, c);
        if (!c->w.closed)
            moved |= write_client(l, c);
        if (!moved)
            return;
    }
    if (c->w.closed || c->is_ready)
        return;
    c->is_ready = true;
    c->next_ready = NULL;
    if (l->ready_last)
        l->ready_last->next_ready = c;
    else
        l->ready_first = c;
    l->ready_last = c;
}

/* Is it the client's turn to take bytes? */
static bool is_stalled(const struct conn *c, int64_t now_us)
{
    bool has_bytes = (c->down && block_size(c->down)) || c->own.n;

    return has_bytes && c->state != CONN_REFUSING && now_us - c->moved_us > PROXY_STALL_US;
}

static bool is_body_late(const struct conn *c, int64_t now_us)
{
    bool reads = c->state == CONN_REFUSING || c->state == CONN_FORWARDING;
    bool has_room = !c->up || block_room(c->up) >= BLOCK_BYTES / 4;

    return reads && !c->request.is_over && !c->is_complete && has_room &&
           now_us > c->since_us + PROXY_BODY_US +
                        (int64_t)(c->request.seen * US_PER_S / PROXY_BODY_BYTES_PER_S);
}

static void expire(struct loop *l, struct conn *c)
{
    refuse_bytes(l, c, 408);
    conn_turn(l, c);
}

static void sweep_forwarding(struct loop *l, struct conn *c)
{
    const struct link *k = c->link;
    const struct cluster_options *o = cluster_options(c->cluster);
    bool is_waiting = c->down && block_size(c->down); /* for the client to take bytes */
    bool wants_body = !c->request.is_over && block_size(c->up) == 0; /* or to send them */

    if (!k || is_waiting)
        return;
    if (!k->is_connected && l->now_us - k->since_us > o->connect_ms * US_PER_MS) {
        link_failed(l, c, ERR_UNAVAILABLE);
        conn_turn(l, c);
    } else if (k->is_connected && !k->has_head && !wants_body &&
               l->now_us - k->moved_us > o->answer_ms * US_PER_MS) {
        link_drop(l, c, CLUSTER_FAILED);
        conn_refuse(l, c, ERR_DEADLINE);
        conn_turn(l, c);
    } else if (k->has_head && l->now_us - k->moved_us > PROXY_SILENT_US) {
        link_drop(l, c, CLUSTER_FAILED);
        conn_close(l, c);
    }
}

void conn_sweep(struct loop *l, struct conn *c)
{
    int64_t waits_us = l->now_us - c->since_us;

    /* What the target holds back is not the client's delay. */
    if (c->state == CONN_FORWARDING && c->up && block_room(c->up) < BLOCK_BYTES / 4)
        c->since_us += SWEEP_US;
    if (is_stalled(c, l->now_us)) {
        conn_close(l, c);
    } else if (c->state == CONN_LINGERING) {
        if (waits_us > PROXY_LINGER_US)
            conn_close(l, c);
    } else if (c->state == CONN_HEAD) {
        bool has_bytes = c->in && block_size(c->in);
        if (has_bytes && waits_us > PROXY_HEAD_US)
            expire(l, c);
        else if (!has_bytes && waits_us > (c->note.started_us ? PROXY_IDLE_US : PROXY_HEAD_US))
            conn_close(l, c);
    } else if (is_body_late(c, l->now_us)) {
        expire(l, c);
    } else if (c->state == CONN_FORWARDING) {
        sweep_forwarding(l, c);
    }
}

/* Nothing read and nothing sent that we have not read yet: closing it loses no request. */
bool conn_drain(struct loop *l, struct conn *c)
{
    char byte;
    bool fresh = c->note.started_us == 0 && l->now_us - c->since_us < FRESH_US;
    bool idle = c->state == CONN_HEAD && !fresh && !(c->in && block_size(c->in)) &&
                recv(c->w.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;

    if (!idle && !c->is_stream)
        return false;
    conn_close(l, c);
    return true;
}
