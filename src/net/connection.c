/* connection.c -- one HTTP/1.1 connection: reads requests, hands them over, writes answers, in
 * turn. */
#include "net/connection.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define READ_CHUNK 8192
#define LINGER_BYTES (256 * 1024)

/* What is to be done after a step of a connection. */
enum step {
    AGAIN, /* it is in another state: go on */
    MORE,  /* it needs bytes from the socket */
    STOP,  /* it is armed, parked or closed: hands off */
};

const struct http_head *exchange_head(const struct exchange *x)
{
    return x->head;
}

struct str exchange_body(const struct exchange *x)
{
    return x->body;
}

struct arena *exchange_arena(struct exchange *x)
{
    return &x->arena;
}

struct str exchange_peer(struct exchange *x)
{
    return str_from(x->peer);
}

int64_t exchange_started_us(const struct exchange *x)
{
    return x->started_us;
}

static void write_head(struct exchange *x, const struct http_answer *a)
{
    buf_clear(&x->out);
    bool has_body = http_answer_head(&x->out, a, x->head, x->close_after);
    x->out_body = has_body ? a->body : STR_NONE;
    x->written = 0;
}

/* All of head and body, or as much as the socket takes. -1: the connection is broken; 0: more to
 * write; 1: done. */
static int flush(struct exchange *x)
{
    size_t all = x->out.n + x->out_body.n;

    while (x->written < all) {
        struct iovec parts[2];
        int n = 0;
        if (x->written < x->out.n)
            parts[n++] = (struct iovec){x->out.p + x->written, x->out.n - x->written};
        size_t body_at = x->written > x->out.n ? x->written - x->out.n : 0;
        if (x->out_body.n > body_at)
            parts[n++] =
                (struct iovec){(char *)(uintptr_t)x->out_body.p + body_at, x->out_body.n - body_at};
        const struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(x->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        x->written += (size_t)sent;
    }
    return 1;
}

/* A refusal of the connection itself: the bytes cannot be trusted, so there is no next request. */
static void refuse(struct exchange *x, int status)
{
    const struct http_answer answer = {.status = status,
                                       .content_type = STR("application/problem+json"),
                                       .body = http_refusal(&x->arena, status, x->body_max)};
    x->close_after = x->refused = true;
    x->head = NULL;
    write_head(x, &answer);
    x->reading = WRITING;
}

void connection_expired(struct exchange *x)
{
    bool in_request = x->reading == READ_BODY || (x->reading == READ_HEAD && x->in.n > 0);

    if (in_request) {
        refuse(x, 408);
        (void)flush(x);
    }
    if (x->reading == STREAMING)
        stream_detach(x);
    exchange_close(x);
}

static bool begin_body(struct exchange *x)
{
    struct http_head *h = x->head;

    x->body = STR_NONE;
    x->body_max = x->server->options.body_max
                      ? x->server->options.body_max(x->server->options.arg, h)
                      : HTTP_BODY_MAX;
    if (h->has_length && (uint64_t)h->content_length > x->body_max) {
        refuse(x, 413);
        return false;
    }
    if (!h->chunked && h->content_length == 0) {
        x->consumed = h->size;
        return true;
    }
    if (h->has_length && x->in.n - h->size >= (size_t)h->content_length) {
        x->body = (struct str){x->in.p + h->size, (size_t)h->content_length};
        x->consumed = h->size + (size_t)h->content_length;
        return true;
    }
    if (h->expect_continue && x->in.n == h->size) {
        static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (send(x->fd, go, sizeof go - 1, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof go - 1) {
            refuse(x, 408);
            return false;
        }
    }
    /* The body comes in pieces: the head moves to the arena, `in` holds only what was not read yet.
     */
    struct str copy = arena_copy(&x->arena, (struct str){x->in.p, h->size});
    (void)http_head_parse(copy, h);
    buf_drop(&x->in, h->size);
    x->consumed = 0;
    x->chunked = (struct http_chunked){0};
    x->body_bytes.max = x->body_max;
    buf_clear(&x->body_bytes);
    x->body_us = clock_monotonic_us();
    x->reading = READ_BODY;
    return true;
}

/* More of the body. 1: complete. 0: more is needed. Otherwise a status. */
static int read_body(struct exchange *x)
{
    size_t used = 0;

    if (x->head->chunked) {
        int status =
            http_chunked_read(&x->chunked, buf_str(&x->in), x->body_max, &x->body_bytes, &used);
        buf_drop(&x->in, used);
        if (status > 1)
            return status;
        if (x->body_bytes.overflow)
            return 413;
        x->body = buf_str(&x->body_bytes);
        return status;
    }
    size_t left = (size_t)x->head->content_length - x->body_bytes.n;
    used = x->in.n < left ? x->in.n : left;
    buf_add(&x->body_bytes, x->in.p, used);
    if (x->body_bytes.overflow)
        return 413;
    buf_drop(&x->in, used);
    x->body = buf_str(&x->body_bytes);
    return used == left;
}

/* Parked: the thread that finishes it goes on, as soon as the lock is free. */
static enum step hand_over(struct exchange *x)
{
    int expected = IN_HANDLER;

    x->reading = HANDLING;
    x->deadline_us = 0;
    x->started_us = clock_monotonic_us();
    x->close_after = !x->head->keep_alive || x->server->stopping;
    x->phase = IN_HANDLER;
    /* Without the lock: a handler may take others, and nobody else touches x while it is HANDLING.
     */
    pthread_mutex_unlock(&x->lock);
    x->server->options.handle(x->server->options.arg, x);
    pthread_mutex_lock(&x->lock);
    if (atomic_compare_exchange_strong(&x->phase, &expected, PARKED))
        return STOP;
    x->reading = x->slot ? STREAMING : WRITING;
    if (x->reading == WRITING)
        return AGAIN;
    stream_begin(x);
    return STOP;
}

static enum step step_head(struct exchange *x)
{
    size_t skip = 0;

    /* Empty lines before a request are what some old clients leave behind (RFC 9112, 2.2). */
    while (x->in.n - skip >= 2 && skip < 8 && memcmp(x->in.p + skip, "\r\n", 2) == 0)
        skip += 2;
    buf_drop(&x->in, skip);
    if (x->in.n == 0)
        return MORE;
    if (!x->first_byte_us)
        x->first_byte_us = clock_monotonic_us();
    if (!x->head)
        x->head = ARENA_NEW(&x->arena, struct http_head);
    int status = http_head_parse(buf_str(&x->in), x->head);
    if (status == 0)
        return MORE;
    if (status > 1) {
        refuse(x, status);
        return AGAIN;
    }
    if (!begin_body(x) || x->reading != READ_HEAD)
        return AGAIN;
    return hand_over(x);
}

static enum step step_body(struct exchange *x)
{
    int status = read_body(x);

    if (status == 0)
        return MORE;
    if (status == 1)
        return hand_over(x);
    refuse(x, status);
    return AGAIN;
}

/* The answer is out: ready for the next request, or the end. */
static enum step answered(struct exchange *x)
{
    buf_drop(&x->in, x->consumed);
    x->consumed = 0;
    x->head = NULL;
    x->body = x->out_body = STR_NONE;
    x->first_byte_us = 0;
    buf_clear(&x->out);
    arena_reset(&x->arena);
    if (x->body_bytes.cap > READ_CHUNK)
        buf_release(&x->body_bytes);
    x->reading = READ_HEAD;
    if (!x->close_after && (x->in.n == 0 || ++x->in_turn < REQUESTS_PER_TURN))
        return AGAIN;
    if (!x->close_after) { /* its socket can be written, so the event comes at once, in turn */
        exchange_arm(x, EPOLLIN | EPOLLOUT, clock_monotonic_us() + HEAD_US);
        return STOP;
    }
    shutdown(x->fd, SHUT_WR);
    x->reading = LINGERING;
    x->body_max = LINGER_BYTES;
    return AGAIN;
}

static enum step step_write(struct exchange *x)
{
    int done = flush(x);

    if (done == 1)
        return answered(x);
    if (done == 0)
        exchange_arm(x, EPOLLOUT, clock_monotonic_us() + WRITE_STALL_US);
    else
        exchange_close(x);
    return STOP;
}

/* Until when the bytes that are missing may take. */
static int64_t reading_deadline(const struct exchange *x)
{
    int64_t now = clock_monotonic_us();

    switch (x->reading) {
    case READ_BODY: {
        uint64_t got = x->head->chunked ? x->chunked.total : x->body_bytes.n;
        return x->body_us + BODY_US + (int64_t)(got * US_PER_S / BODY_BYTES_PER_S);
    }
    case LINGERING:
        return now + LINGER_US;
    default:
        return x->first_byte_us ? x->first_byte_us + HEAD_US : now + IDLE_US;
    }
}

/* Reads what is there. AGAIN: got some. */
static enum step receive(struct exchange *x)
{
    for (;;) {
        if (!buf_reserve(&x->in, READ_CHUNK)) {
            exchange_close(x);
            return STOP;
        }
        ssize_t n = recv(x->fd, x->in.p + x->in.n, x->in.cap - x->in.n, MSG_DONTWAIT);
        if (n > 0) {
            x->in.n += (size_t)n;
            return AGAIN;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            if (x->in.n == 0 && x->reading == READ_HEAD)
                buf_release(&x->in); /* an idle connection holds no buffers */
            exchange_arm(x, EPOLLIN, reading_deadline(x));
        } else {
            exchange_close(x);
        }
        return STOP;
    }
}

/* Reads and forgets, so that the kernel has no reason for a reset that would eat our last answer.
 */
static enum step step_linger(struct exchange *x)
{
    if (x->in.n > x->body_max) {
        exchange_close(x);
        return STOP;
    }
    x->body_max -= x->in.n;
    buf_clear(&x->in);
    return MORE;
}

void connection_ready(struct exchange *x)
{
    enum step next = AGAIN;

    while (next != STOP) {
        switch (x->reading) {
        case READ_HEAD:
            next = step_head(x);
            break;
        case READ_BODY:
            next = step_body(x);
            break;
        case WRITING:
            next = step_write(x);
            break;
        case LINGERING:
            next = step_linger(x);
            break;
        case HANDLING:
        case STREAMING:
            return;
        }
        if (next == MORE)
            next = receive(x);
    }
}

void exchange_finish(struct exchange *x, const struct http_answer *answer)
{
    int expected = IN_HANDLER;

    x->close_after |= answer->close || x->server->stopping;
    write_head(x, answer);
    if (atomic_compare_exchange_strong(&x->phase, &expected, FINISHED))
        return; /* the worker is still in the handler's call and goes on with it */
    /* Parked: until `reading` changes, nobody else closes it. */
    atomic_fetch_add(&x->refs, 1);
    pthread_mutex_lock(&x->lock);
    x->reading = WRITING;
    /* Not a worker's thread: it writes, but runs no further handler. */
    int done = flush(x);
    if (done < 0) {
        exchange_close(x);
    } else if (done == 1 && !x->close_after && x->in.n == x->consumed) {
        (void)answered(x);
        buf_release(&x->in);
        exchange_arm(x, EPOLLIN, clock_monotonic_us() + IDLE_US);
    } else {
        exchange_arm(x, EPOLLOUT, clock_monotonic_us() + WRITE_STALL_US);
    }
    pthread_mutex_unlock(&x->lock);
    exchange_unref(x);
}
