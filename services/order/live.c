/* live.c -- event streams: a customer follows an order, a store its board; JSON for those who do
 * not stream. */
#include "order/live.h"
#include "order/waiting.h"

#include "data/json.h"
#include "net/server.h"

/*
 * DESIGN
 *
 * Two streams, each with an id that rises in the order of commits and means the same for ever: the
 * number of the step in the order's history, and the position in the store's ring of board_events,
 * written in the transaction of the step itself. Both are read from the database on a reconnect.
 *
 * Nothing is lost or doubled in between: the slot is reserved first, then the replay is read, and
 * what is published meanwhile waits in the slot; what the replay had already is dropped there by
 * its id. An event is published only after the outbox relayed it, that is when it is durable, so a
 * replay that was read after the publication holds it.
 *
 * The orders of a store come through several partitions of the bus, so that its positions come in
 * any order. An event of the board only says that the ring has moved: who is further behind than
 * the one before gets what is between from the ring, where all before it is committed.
 */

#define BOARD_KEPT 500 /* a store that was away for longer reads its board again */
#define BOARD_SWEPT 50 /* and so many more at most */
#define FRAME_MAX (16u * 1024)
#define REPLAY_MAX (1024u * 1024)

struct live {
    struct uuid order_id;
    struct str number, status, from, event, reason, kind;
    int64_t n, total_won, eta_at, at;
    int64_t id;
};

const struct field live_fields[] = {
    F_UUID(struct live, order_id, "orderId", REQUIRED, "order"),
    F_STR(struct live, number, "number", REQUIRED, 0, 30, "the order's short number"),
    F_STR(struct live, status, "status", REQUIRED, 0, 30, "status now"),
    F_STR(struct live, from, "from", REQUIRED, 0, 30, "status before"),
    F_STR(struct live, event, "event", REQUIRED, 0, 40, "what happened"),
    F_STR(struct live, reason, "reason", NULLABLE, 0, 500, "why"),
    F_INT(struct live, n, "n", REQUIRED, 0, INT64_MAX, "number of the step in the order's history"),
    F_WON(struct live, total_won, "totalWon", REQUIRED, "amount of the order"),
    F_TIME(struct live, eta_at, "etaAt", NULLABLE, "expected at the door"),
    F_TIME(struct live, at, "at", REQUIRED, "when"),
    F_END(struct live),
};

static const struct field live_row_fields[] = {
    F_INT(struct live, id, "id", 0, 0, INT64_MAX, ""),
    F_STR(struct live, kind, "kind", 0, 0, 20, ""),
    F_UUID(struct live, order_id, "orderId", 0, ""),
    F_STR(struct live, number, "number", 0, 0, 30, ""),
    F_STR(struct live, status, "status", 0, 0, 30, ""),
    {FIELD_STR, "from", "from_status", offsetof(struct live, from), 0, 0, 0, 30, 0, NULL, NULL, ""},
    F_STR(struct live, event, "event", 0, 0, 40, ""),
    F_STR(struct live, reason, "reason", 0, 0, 500, ""),
    F_INT(struct live, n, "n", 0, 0, INT64_MAX, ""),
    F_INT(struct live, total_won, "totalWon", 0, 0, INT64_MAX, ""),
    F_TIME(struct live, eta_at, "etaAt", 0, ""),
    F_TIME(struct live, at, "at", 0, ""),
    F_END(struct live),
};

enum err board_note(struct ctx *cx, const struct order *o, const char *kind, int64_t *ret_n)
{
    int64_t n = 0;
    enum err e = db_int_of(cx, &n,
                           "insert into board_events (store_id, n, kind, order_id, history_n, at)"
                           " select $1, coalesce(max(n), 0) + 1, $2, $3, $4, $5 from board_events"
                           " where store_id = $1 returning n",
                           ARGS(db_uuid(o->store_id), db_str(str_from(kind)), db_uuid(o->order_id),
                                db_int(o->history_n), db_int(ctx_now(cx))));

    if (e == ERR_DUPLICATE) /* another order of the store took the number: run again behind it */
        return fail(cx, ERR_CONFLICT, "the store's board moved meanwhile");
    TRY(e);
    *ret_n = n;
    if (n % BOARD_SWEPT != 0)
        return ERR_OK;
    return db_exec(cx, "delete from board_events where store_id = $1 and n <= $2",
                   ARGS(db_uuid(o->store_id), db_int(n - BOARD_KEPT)));
}

static struct str live_json(struct ctx *cx, const struct live *l)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, FRAME_MAX);
    json_encode(&b, live_fields, l);
    return buf_str(&b);
}

static void add_frame(struct ctx *cx, struct buf *b, const struct live *l)
{
    buf_printf(b, "id: %" PRId64 "\nevent: %.*s\ndata: ", l->id, STR_ARG(l->kind));
    buf_str_add(b, live_json(cx, l));
    buf_lit(b, "\n\n");
}

/* Takes the place in the hub before anything is read; an error later gives it back (problem.c). */
static enum err reserve(struct ctx *cx, const struct request *rq, struct reply *rp, struct uuid key)
{
    if (!rq->wants_events || rq->head->method != HTTP_GET)
        return ERR_OK;
    rp->stream = sse_reserve(platform_events(svc_platform(cx->svc)), key, cx->caller.user_id);
    return rp->stream ? ERR_OK : fail(cx, ERR_BUSY, "too many event streams");
}

/* `opening` goes before the replayed events; `at` is the newest id that the reader has then. */
static enum err reply_live(struct ctx *cx, const struct request *rq, struct reply *rp,
                           struct str opening, struct list rows, int64_t at)
{
    if (!rp->stream)
        return reply_list(cx, rq, rp, live_fields, rows, STR_NONE);
    rp->status = 200;
    rp->stream_after = at;
    buf_init_arena(&rp->body, cx->arena, REPLAY_MAX);
    buf_str_add(&rp->body, opening);
    for (size_t i = 0; i < rows.n; i++)
        add_frame(cx, &rp->body, LIST_AT(struct live, rows, i));
    return rp->body.overflow ? fail(cx, ERR_TOO_LARGE, "the replay is too large") : ERR_OK;
}

enum err order_events(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct list rows = {NULL, 0};
    struct order o;

    TRY(reserve(cx, rq, rp, rq->id[0]));
    TRY(order_load(cx, rq->id[0], &o));
    int64_t at = rq->last_event_id < o.history_n ? rq->last_event_id : o.history_n;
    TRY(db_all(cx, live_row_fields, &rows,
               "select h.n as id, 'status' as kind, o.order_id, o.number, h.status, h.from_status,"
               " h.event, h.reason, h.n, o.total_won, o.eta_at, h.at from order_history h"
               " join orders o on o.order_id = h.order_id where h.order_id = $1 and h.n > $2"
               " order by h.n",
               ARGS(db_uuid(rq->id[0]), db_int(at))));
    if (rows.n)
        at = LIST_AT(struct live, rows, rows.n - 1)->id;
    return reply_live(cx, rq, rp, STR(""), rows, at);
}

struct ring {
    int64_t first, last;
};
static const struct field ring_fields[] = {
    F_INT(struct ring, first, "first", 0, 0, INT64_MAX, ""),
    F_INT(struct ring, last, "last", 0, 0, INT64_MAX, ""),
    F_END(struct ring),
};

/*
 * Where a board goes on. A new one begins now: it opens the stream first and then reads the list.
 * One that comes back with a position that the ring does not hold any more is told to read the list
 * again.
 */
static enum err board_start(struct ctx *cx, const struct request *rq, int64_t *ret_after,
                            struct str *ret_opening)
{
    bool comes_back = http_field(rq->head, STR("Last-Event-ID")).p != NULL;
    struct ring ring = {0};

    TRY(db_one(cx, ring_fields, &ring,
               "select coalesce(min(n), 0) as first, coalesce(max(n), 0) as last"
               " from board_events where store_id = $1",
               ARGS(db_uuid(rq->id[0]))));
    *ret_after = ring.last;
    *ret_opening = arena_printf(cx->arena, "id: %" PRId64 "\n\n", ring.last);
    if (!rq->wants_events && !comes_back)
        *ret_after = 0; /* as JSON: all that is kept */
    if (!comes_back)
        return ERR_OK;
    if (rq->last_event_id >= ring.first - 1 && rq->last_event_id <= ring.last) {
        *ret_after = rq->last_event_id;
        *ret_opening = STR("");
    } else {
        *ret_opening =
            arena_printf(cx->arena, "id: %" PRId64 "\nevent: reload\ndata: {}\n\n", ring.last);
    }
    return ERR_OK;
}

static enum err board_rows(struct ctx *cx, struct uuid store_id, int64_t after, struct list *ret)
{
    return db_all(
        cx, live_row_fields, ret,
        "select b.n as id, b.kind, o.order_id, o.number, h.status, h.reason, h.n,"
        " case when b.kind = 'status' then h.from_status else h.status end as from_status,"
        " case when b.kind = 'status' then h.event else b.kind end as event, o.total_won, "
        "o.eta_at, b.at from board_events b"
        " join orders o on o.order_id = b.order_id"
        " join order_history h on h.order_id = b.order_id and h.n = b.history_n"
        " where b.store_id = $1 and b.n > $2 order by b.n",
        ARGS(db_uuid(store_id), db_int(after)));
}

enum err board_events(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct list rows = {NULL, 0};
    struct str opening;
    int64_t after;

    TRY(reserve(cx, rq, rp, rq->id[0]));
    TRY(board_start(cx, rq, &after, &opening));
    TRY(board_rows(cx, rq->id[0], after, &rows));
    if (rows.n)
        after = LIST_AT(struct live, rows, rows.n - 1)->id;
    return reply_live(cx, rq, rp, opening, rows, after);
}

/* Should the ring not be read, those who miss something come back for it. */
static enum err board_publish(struct ctx *cx, struct uuid store_id, int64_t n, const struct live *l)
{
    struct sse_hub *hub = platform_events(svc_platform(cx->svc));
    struct list between = {NULL, 0};
    enum err e = ERR_OK;
    int64_t after;

    if (sse_behind(hub, store_id, n, &after))
        e = board_rows(cx, store_id, after, &between);
    for (size_t i = 0; i < between.n; i++) {
        const struct live *row = LIST_AT(struct live, between, i);
        sse_publish(hub, store_id, row->id, row->kind, live_json(cx, row));
    }
    sse_publish(hub, store_id, n, l->kind, live_json(cx, l));
    return e;
}

enum err show_status(struct ctx *cx, const struct event *e, const void *data)
{
    const struct status_changed *s = data;
    struct sse_hub *hub = platform_events(svc_platform(cx->svc));
    struct live l = {.order_id = s->order_id,
                     .number = s->number,
                     .status = s->to,
                     .from = s->from,
                     .kind = STR("status"),
                     .event = s->step,
                     .reason = s->reason,
                     .n = s->n,
                     .total_won = s->total_won,
                     .eta_at = s->eta_at,
                     .at = s->at};

    /* The consumer of the store's answer may be another process's; that it was placed, which leads
     * nowhere yet, nobody waits for. */
    if (str_eq(s->from, str_from(status_names[STOCK_PENDING])) && !str_eq(s->from, s->to))
        TRY(waiting_wake(cx, e, data));
    sse_publish(hub, s->order_id, s->n, l.kind, live_json(cx, &l));
    return s->board_n ? board_publish(cx, s->store_id, s->board_n, &l) : ERR_OK;
}

struct reminder {
    struct live live;
    struct uuid store_id;
    int64_t board_n;
};
const struct field reminder_fields[] = {
    F_UUID(struct reminder, live.order_id, "orderId", REQUIRED, "order"),
    F_UUID(struct reminder, store_id, "storeId", REQUIRED, "store"),
    F_STR(struct reminder, live.number, "number", REQUIRED, 0, 30, "the order's short number"),
    F_STR(struct reminder, live.kind, "kind", REQUIRED, 0, 20, "waiting or overdue"),
    F_STR(struct reminder, live.status, "status", REQUIRED, 0, 30, "status now"),
    F_INT(struct reminder, live.n, "n", REQUIRED, 0, INT64_MAX, "the last step of the order"),
    F_WON(struct reminder, live.total_won, "totalWon", REQUIRED, "amount of the order"),
    F_TIME(struct reminder, live.eta_at, "etaAt", 0, "expected at the door"),
    F_TIME(struct reminder, live.at, "at", REQUIRED, "when"),
    F_INT(struct reminder, board_n, "boardN", REQUIRED, 0, INT64_MAX, "position in the stream"),
    F_END(struct reminder),
};

enum err order_remind(struct ctx *cx, const struct order *o, const char *type, const char *kind)
{
    struct str status = str_from(status_names[o->status]);
    struct reminder r = {.live = {.order_id = o->order_id,
                                  .number = o->number,
                                  .kind = str_from(kind),
                                  .status = status,
                                  .n = o->history_n,
                                  .total_won = o->total_won,
                                  .eta_at = o->eta_at,
                                  .at = ctx_now(cx)},
                         .store_id = o->store_id};

    if (o->accept_by)
        TRY(board_note(cx, o, kind, &r.board_n));
    return outbox_append(cx, type, o->order_id, reminder_fields, &r);
}

/* The order did not move: the step shown with it is its last one. */
enum err show_reminder(struct ctx *cx, const struct event *e, const void *data)
{
    const struct reminder *r = data;
    struct live l = r->live;

    (void)e;
    l.from = l.status;
    l.event = l.kind;
    return r->board_n ? board_publish(cx, r->store_id, r->board_n, &l) : ERR_OK;
}
