/* sse.c -- event streams: parked without a thread, fed by key, cut when their reader is too slow.
 */
#include "base/thread.h"
#include "net/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "obs/metrics.h"

/*
 * DESIGN
 *
 * A slot is reserved before the replay is read, so that an event published meanwhile waits in it;
 * when the stream begins, what waits is sent unless the replay already had it (id <= after_id).
 * From then on the publisher writes to the socket itself. What the socket does not take stays in
 * `out`, up to OUT_MAX. A stream that would miss an id ends instead: its client comes back with the
 * last one it has, and the replay has what came after that.
 *
 * Lock order: hub, connection, slot. A worker that holds a connection does not take the hub's lock:
 * it only marks the slot dead, and whoever walks the hub next removes it.
 */

#define BUCKETS 4096
#define STREAMS_MAX 20000
#define OUT_MAX (64u * 1024)

enum slot_state { RESERVED, LIVE, DEAD };

struct sse_slot {
    struct sse_hub *hub;
    struct sse_slot *next;       /* in the bucket of its key */
    struct sse_slot *next_owned; /* in the bucket of its owner, the newest first */
    struct uuid key, owner, session;
    int64_t since_us;
    _Atomic int state;
    struct exchange *exchange; /* with a reference, once it is live */
    pthread_mutex_t lock;      /* of what follows, and of going live */
    struct buf waiting;        /* reserved: [id][size][bytes] ... */
};

struct sse_hub {
    pthread_mutex_t lock;
    struct sse_slot *buckets[BUCKETS], *owned[BUCKETS];
    size_t n, per_owner;
    int heartbeat_ms;
    sse_is_over *is_over; /* NULL: sessions do not end */
    void *is_over_arg;
    pthread_t thread;
    pthread_mutex_t stop_lock;
    pthread_cond_t stop_bell;
    bool stop;
    struct metric *streams, *cut, *replaced;
};

static size_t place_of(struct uuid key)
{
    uint64_t hash = str_hash((struct str){(const char *)key.b, sizeof key.b});

    return (hash ^ hash >> 29) % BUCKETS;
}

static struct sse_slot **bucket_of(struct sse_hub *h, struct uuid key)
{
    return &h->buckets[place_of(key)];
}

static void free_slot(struct sse_slot *slot)
{
    if (slot->exchange)
        exchange_unref(slot->exchange);
    buf_release(&slot->waiting);
    pthread_mutex_destroy(&slot->lock);
    free(slot);
}

static void disown(struct sse_hub *h, const struct sse_slot *slot)
{
    struct sse_slot **link = &h->owned[place_of(slot->owner)];

    while (*link != slot)
        link = &(*link)->next_owned;
    *link = slot->next_owned;
}

/* Under the hub's lock: removes dead slots of a bucket. */
static void bury(struct sse_hub *h, struct sse_slot **link)
{
    while (*link) {
        struct sse_slot *slot = *link;
        if (slot->state != DEAD) {
            link = &slot->next;
            continue;
        }
        *link = slot->next;
        disown(h, slot);
        h->n--;
        metric_set(h->streams, (int64_t)h->n);
        free_slot(slot);
    }
}

/* Under the hub's lock: ends one of the owner's streams when there are as many as may be. False:
 * none can be ended now, all of them are just beginning. */
static bool make_room(struct sse_hub *h, struct uuid owner)
{
    struct sse_slot *oldest = NULL;
    size_t n = 0;

    if (h->per_owner == 0 || uuid_is_nil(owner))
        return true;
    for (struct sse_slot *slot = h->owned[place_of(owner)]; slot; slot = slot->next_owned) {
        if (slot->state == DEAD || !uuid_eq(slot->owner, owner))
            continue;
        n++;
        if (slot->state == LIVE)
            oldest = slot;
    }
    if (n < h->per_owner || !oldest)
        return n < h->per_owner;
    struct exchange *x = oldest->exchange;
    pthread_mutex_lock(&x->lock);
    if (x->slot == oldest) { /* otherwise it has just ended by itself */
        metric_add(h->replaced, 1);
        stream_detach(x);
        exchange_close(x);
    }
    pthread_mutex_unlock(&x->lock);
    return true;
}

struct sse_slot *sse_reserve(struct sse_hub *h, struct uuid key, struct uuid owner)
{
    struct sse_slot *slot = calloc(1, sizeof *slot);

    if (!slot)
        return NULL;
    slot->hub = h;
    slot->key = key;
    slot->owner = owner;
    buf_init(&slot->waiting, OUT_MAX);
    pthread_mutex_init(&slot->lock, NULL);
    pthread_mutex_lock(&h->lock);
    struct sse_slot **bucket = bucket_of(h, key);
    bury(h, bucket);
    bool room = h->n < STREAMS_MAX && make_room(h, owner);
    if (room) {
        struct sse_slot **owned = &h->owned[place_of(owner)];
        slot->next = *bucket;
        *bucket = slot;
        slot->next_owned = *owned;
        *owned = slot;
        h->n++;
        metric_set(h->streams, (int64_t)h->n);
    }
    pthread_mutex_unlock(&h->lock);
    if (room)
        return slot;
    free_slot(slot);
    return NULL;
}

void sse_unreserve(struct sse_slot *slot)
{
    struct sse_hub *h = slot->hub;

    pthread_mutex_lock(&h->lock);
    slot->state = DEAD;
    bury(h, bucket_of(h, slot->key));
    pthread_mutex_unlock(&h->lock);
}

/* Under the connection's lock: sends what is in x->out; closes the stream when that fails or it is
 * too far behind. */
static void pour(struct exchange *x)
{
    while (x->written < x->out.n) {
        ssize_t sent =
            send(x->fd, x->out.p + x->written, x->out.n - x->written, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            stream_detach(x);
            exchange_close(x);
            return;
        }
        x->written += (size_t)sent;
    }
    buf_drop(&x->out, x->written);
    x->written = 0;
    if (x->out.n == 0 && x->out.cap > 1024)
        buf_release(&x->out);
    if (x->out.n > 0)
        exchange_arm(x, EPOLLIN | EPOLLOUT, clock_monotonic_us() + WRITE_STALL_US);
}

/* Under the hub's and the connection's lock. */
static void cut(struct sse_slot *slot)
{
    struct exchange *x = slot->exchange;

    metric_add(slot->hub->cut, 1);
    stream_detach(x);
    exchange_close(x);
}

/* Under the hub's and the connection's lock. */
static void send_frame(struct sse_slot *slot, struct str frame)
{
    struct exchange *x = slot->exchange;

    if (slot->state != LIVE)
        return;
    if (x->out.n + frame.n > OUT_MAX) {
        cut(slot);
        return;
    }
    bool was_behind = x->out.n > 0;
    buf_str_add(&x->out, frame);
    if (!was_behind) /* otherwise a worker pours as soon as the socket takes more */
        pour(x);
}

void stream_detach(struct exchange *x)
{
    struct sse_slot *slot = x->slot;

    x->slot = NULL;
    if (slot)
        slot->state = DEAD; /* from here on the hub may free it */
}

void stream_ready(struct exchange *x, unsigned events)
{
    char drop[512];
    ssize_t n = 0;

    if (events & EPOLLIN)
        n = recv(x->fd, drop, sizeof drop, MSG_DONTWAIT);
    bool gone = (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) || ((events & EPOLLIN) && n == 0) ||
                (n < 0 && errno != EAGAIN && errno != EINTR);
    if (gone || !x->slot) {
        stream_detach(x);
        exchange_close(x);
        return;
    }
    exchange_arm(x, EPOLLIN, 0);
    pour(x);
}

struct waiting_head {
    int64_t id;
    size_t n;
};

/* Adds what was published since the reservation and is not in the replay. What is lost, or not
 * there yet, the client comes back for. */
static void add_waiting(struct exchange *x, struct sse_slot *slot)
{
    struct str rest = buf_str(&slot->waiting);
    struct waiting_head head;

    x->close_after = slot->waiting.overflow;
    while (rest.n >= sizeof head && !x->close_after) {
        memcpy(&head, rest.p, sizeof head);
        rest.p += sizeof head;
        rest.n -= sizeof head;
        if (head.id == x->after_id + 1) {
            buf_add(&x->out, rest.p, head.n);
            x->after_id = head.id;
        }
        x->close_after = head.id > x->after_id;
        rest.p += head.n;
        rest.n -= head.n;
    }
    buf_release(&slot->waiting);
}

void exchange_stream(struct exchange *x, struct sse_slot *slot, const struct http_field *fields,
                     size_t n_fields, struct str replay, int64_t after_id)
{
    int expected = IN_HANDLER;

    buf_clear(&x->out);
    buf_lit(&x->out,
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
            "X-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n");
    for (size_t i = 0; i < n_fields; i++)
        buf_printf(&x->out, "%.*s: %.*s\r\n", STR_ARG(fields[i].name), STR_ARG(fields[i].value));
    buf_lit(&x->out, "\r\nretry: 2000\n\n");
    buf_str_add(&x->out, replay);
    x->slot = slot;
    x->after_id = after_id;
    x->close_after = false; /* asked for or not, a stream closes at its end and not before */
    if (atomic_compare_exchange_strong(&x->phase, &expected, FINISHED))
        return; /* the worker that is in the handler's call begins it */
    atomic_fetch_add(&x->refs, 1);
    pthread_mutex_lock(&x->lock);
    x->reading = STREAMING;
    stream_begin(x);
    pthread_mutex_unlock(&x->lock);
    exchange_unref(x);
}

void stream_begin(struct exchange *x)
{
    struct sse_slot *slot = x->slot;

    pthread_mutex_lock(&slot->lock);
    add_waiting(x, slot);
    atomic_fetch_add(&x->refs, 1);
    slot->exchange = x;
    slot->state = LIVE;
    pthread_mutex_unlock(&slot->lock);
    arena_release(&x->arena); /* a stream may be here for hours */
    buf_release(&x->in);
    buf_release(&x->body_bytes);
    x->head = NULL;
    x->written = 0;
    exchange_arm(x, EPOLLIN, 0);
    pour(x);
    if (x->slot && (x->close_after || x->server->stopping)) {
        stream_detach(x);
        exchange_close(x);
    }
}

static void deliver(struct sse_slot *slot, int64_t id, struct str frame)
{
    struct waiting_head head = {id, frame.n};

    pthread_mutex_lock(&slot->lock);
    bool waits = slot->state == RESERVED;
    if (waits && buf_reserve(&slot->waiting, sizeof head + frame.n)) {
        buf_add(&slot->waiting, &head, sizeof head);
        buf_str_add(&slot->waiting, frame);
    }
    pthread_mutex_unlock(&slot->lock);
    if (waits || slot->state != LIVE)
        return;
    struct exchange *x = slot->exchange;
    pthread_mutex_lock(&x->lock);
    /* Not again what was published before its work was lost and redone. */
    if (slot->state == LIVE && id > x->after_id + 1) {
        cut(slot);
    } else if (id > x->after_id) {
        x->after_id = id;
        send_frame(slot, frame);
    }
    pthread_mutex_unlock(&x->lock);
}

void sse_publish(struct sse_hub *h, struct uuid key, int64_t id, struct str event, struct str data)
{
    struct buf frame;

    assert(!memchr(data.p ? data.p : "", '\n', data.n)); /* one line: JSON as we print it */
    buf_init(&frame, OUT_MAX);
    buf_printf(&frame, "id: %lld\nevent: %.*s\ndata: ", (long long)id, STR_ARG(event));
    buf_str_add(&frame, data);
    buf_lit(&frame, "\n\n");
    pthread_mutex_lock(&h->lock);
    struct sse_slot **bucket = bucket_of(h, key);
    for (struct sse_slot *slot = *bucket; slot && !frame.overflow; slot = slot->next)
        if (uuid_eq(slot->key, key))
            deliver(slot, id, buf_str(&frame));
    bury(h, bucket);
    pthread_mutex_unlock(&h->lock);
    buf_release(&frame);
}

bool sse_behind(struct sse_hub *h, struct uuid key, int64_t id, int64_t *ret_after)
{
    int64_t lowest = id;

    pthread_mutex_lock(&h->lock);
    for (struct sse_slot *slot = *bucket_of(h, key); slot; slot = slot->next) {
        if (slot->state != LIVE || !uuid_eq(slot->key, key))
            continue;
        pthread_mutex_lock(&slot->exchange->lock);
        if (slot->exchange->after_id < lowest)
            lowest = slot->exchange->after_id;
        pthread_mutex_unlock(&slot->exchange->lock);
    }
    pthread_mutex_unlock(&h->lock);
    *ret_after = lowest;
    return lowest < id - 1;
}

void sse_sessions(struct sse_hub *h, sse_is_over *is_over, void *arg)
{
    pthread_mutex_lock(&h->lock);
    h->is_over = is_over;
    h->is_over_arg = arg;
    pthread_mutex_unlock(&h->lock);
}

void sse_belongs_to(struct sse_slot *slot, struct uuid session, int64_t since_us)
{
    slot->session = session;
    slot->since_us = since_us;
}

/* Under the hub's and the connection's lock. */
static void beat_one(struct sse_slot *slot)
{
    struct sse_hub *h = slot->hub;

    if (slot->state == LIVE && h->is_over &&
        h->is_over(h->is_over_arg, slot->session, slot->since_us)) {
        struct exchange *x = slot->exchange;
        stream_detach(x);
        exchange_close(x);
        return;
    }
    send_frame(slot, STR(": still here\n\n"));
}

/* A comment now and then: proxies keep the connection, and dead peers are noticed. Who may not ask
 * any more is not told any more either. */
static void beat(struct sse_hub *h)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        pthread_mutex_lock(&h->lock);
        for (struct sse_slot *slot = h->buckets[i]; slot; slot = slot->next)
            if (slot->state == LIVE) {
                pthread_mutex_lock(&slot->exchange->lock);
                beat_one(slot);
                pthread_mutex_unlock(&slot->exchange->lock);
            }
        bury(h, &h->buckets[i]);
        pthread_mutex_unlock(&h->lock);
    }
}

static void *heart(void *arg)
{
    struct sse_hub *h = arg;
    struct timespec until;

    thread_name("event", "streams");
    pthread_mutex_lock(&h->stop_lock);
    clock_gettime(CLOCK_MONOTONIC, &until);
    while (!h->stop) {
        until.tv_sec += h->heartbeat_ms / 1000;
        until.tv_nsec += h->heartbeat_ms % 1000 * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000L;
        }
        while (!h->stop &&
               pthread_cond_timedwait(&h->stop_bell, &h->stop_lock, &until) != ETIMEDOUT)
            ;
        if (h->stop)
            break;
        pthread_mutex_unlock(&h->stop_lock);
        beat(h);
        pthread_mutex_lock(&h->stop_lock);
    }
    pthread_mutex_unlock(&h->stop_lock);
    return NULL;
}

struct sse_hub *sse_hub_open(int heartbeat_ms, size_t streams_per_owner)
{
    struct sse_hub *h = calloc(1, sizeof *h);
    pthread_condattr_t attributes;

    if (!h)
        return NULL;
    h->heartbeat_ms = heartbeat_ms;
    h->per_owner = streams_per_owner;
    h->streams = metric_get(METRIC_GAUGE, "jumun_event_streams", "Open event streams.", NULL, NULL,
                            NULL, NULL);
    h->cut = metric_get(METRIC_COUNTER, "jumun_event_streams_cut_total",
                        "Streams cut: their reader was too slow, or "
                        "would have missed something.",
                        NULL, NULL, NULL, NULL);
    h->replaced =
        metric_get(METRIC_COUNTER, "jumun_event_streams_replaced_total",
                   "Streams closed for a newer one of the same user.", NULL, NULL, NULL, NULL);
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_init(&h->stop_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes,
                              CLOCK_MONOTONIC); /* no bursts when somebody sets the clock */
    pthread_cond_init(&h->stop_bell, &attributes);
    pthread_condattr_destroy(&attributes);
    if (heartbeat_ms == 0 || pthread_create(&h->thread, NULL, heart, h) == 0)
        return h;
    free(h);
    return NULL;
}

void sse_hub_close(struct sse_hub *h)
{
    pthread_mutex_lock(&h->stop_lock);
    h->stop = true;
    pthread_cond_signal(&h->stop_bell);
    pthread_mutex_unlock(&h->stop_lock);
    if (h->heartbeat_ms > 0)
        pthread_join(h->thread, NULL);
    for (size_t i = 0; i < BUCKETS; i++)
        while (h->buckets[i]) {
            struct sse_slot *slot = h->buckets[i];
            h->buckets[i] = slot->next;
            free_slot(slot);
        }
    pthread_mutex_destroy(&h->lock);
    pthread_mutex_destroy(&h->stop_lock);
    pthread_cond_destroy(&h->stop_bell);
    free(h);
}

size_t sse_streams(struct sse_hub *h)
{
    pthread_mutex_lock(&h->lock);
    size_t n = h->n;
    pthread_mutex_unlock(&h->lock);
    return n;
}
