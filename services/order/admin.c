/* admin.c -- what operators see and may do: any order's whole story, the way out of a review, dead
 * letters. */
#include "order/saga.h"

#include "base/fault.h"
#include "net/http.h"

struct admin_query {
    int status;
    bool has_status;
    struct uuid store_id, customer_id;
    struct str number;
    struct page page;
};
const struct field admin_query_fields[] = {
    {FIELD_ENUM, "status", "status", offsetof(struct admin_query, status),
     offsetof(struct admin_query, has_status), 0, 0, 0, 0, status_names, NULL, "only this status"},
    F_UUID(struct admin_query, store_id, "storeId", 0, "only of this store"),
    F_UUID(struct admin_query, customer_id, "customerId", 0, "only of this customer"),
    F_STR(struct admin_query, number, "number", ONE_LINE, 1, 30, "the short number"),
    PAGE_FIELDS(struct admin_query, page),
    F_END(struct admin_query),
};

enum err admin_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct admin_query *q = rq->query;
    struct str next = STR_NONE;
    struct list rows = {NULL, 0};
    struct uuid before;
    int64_t unused;

    /* Ids sort by birth: the newest first without an index of its own. */
    TRY(page_after(cx, &q->page, &unused, &before));
    TRY(db_all(cx, order_row_fields, &rows,
               "select " ORDER_COLUMNS " from orders where order_id < $1"
               " and status = coalesce($2, status) and store_id = coalesce($3, store_id)"
               " and customer_id = coalesce($4, customer_id) and number = coalesce($5, number)"
               " order by order_id desc limit $6",
               ARGS(db_uuid(before),
                    db_str(q->has_status ? str_from(status_names[q->status]) : STR_NONE),
                    db_uuid(q->store_id), db_uuid(q->customer_id), db_str(q->number),
                    db_int(page_limit(&q->page) + 1))));
    if (rows.n > (size_t)page_limit(&q->page)) {
        rows.n = (size_t)page_limit(&q->page);
        const struct order *last = LIST_AT(struct order, rows, rows.n - 1);
        next = page_cursor(cx, last->created_at, last->order_id);
    }
    TRY(order_show_all(cx, rows));
    return reply_list(cx, rq, rp, order_fields, rows, next);
}

struct told {
    struct uuid event_id;
    struct str type, data, traceparent;
    int64_t sequence, at, published_at;
};
static const struct field told_fields[] = {
    F_UUID(struct told, event_id, "eventId", REQUIRED, "event"),
    F_INT(struct told, sequence, "sequence", REQUIRED, 1, INT64_MAX, "order of the order's events"),
    F_STR(struct told, type, "type", REQUIRED, 0, 100, "what was told"),
    F_TIME(struct told, at, "at", REQUIRED, "when"),
    F_TIME(struct told, published_at, "publishedAt", NULLABLE, "on the bus since"),
    F_STR(struct told, traceparent, "traceparent", NULLABLE, 0, 100, "W3C trace context"),
    F_RAW(struct told, data, "data", REQUIRED, "payload"),
    F_END(struct told),
};

struct due {
    struct str kind;
    int64_t due_us, attempt;
};
static const struct field due_fields[] = {
    F_STR(struct due, kind, "kind", REQUIRED, 0, 100, "which timer"),
    F_TIME(struct due, due_us, "dueAt", REQUIRED, "when it fires"),
    F_INT(struct due, attempt, "attempt", REQUIRED, 0, INT64_MAX, "failed tries so far"),
    F_END(struct due),
};

static const struct field story_history_fields[] = {
    F_INT(struct history_row, n, "n", REQUIRED, 1, INT64_MAX, "number of the step"),
    F_STR(struct history_row, event, "event", REQUIRED, 0, 40, "what happened"),
    F_STR(struct history_row, from_status, "from", REQUIRED, 0, 40, "status before"),
    F_STR(struct history_row, status, "status", REQUIRED, 0, 40, "status after"),
    F_INT(struct history_row, facts, "facts", REQUIRED, 0, 1023, "facts that decided, as bits"),
    F_STR(struct history_row, by, "by", REQUIRED, 0, 20, "customer, owner, staff, admin, system"),
    F_UUID(struct history_row, by_id, "byId", NULLABLE, "who; of a pin the payment"),
    F_STR(struct history_row, reason, "reason", NULLABLE, 0, 500, "why"),
    F_STR(struct history_row, trace_id, "traceId", NULLABLE, 0, 40, "trace"),
    F_TIME(struct history_row, at, "at", REQUIRED, "when"),
    F_END(struct history_row),
};

struct story_of {
    struct order *order;
    struct uuid customer_id, payment_id;
    int64_t captured_won;
    bool cancel_requested, stock_back;
    struct list history, events, timers, dead_letters;
};
const struct field story_fields[] = {
    F_OBJECT_PTR(struct story_of, order, "order", REQUIRED, order_fields,
                 "as its customer sees it"),
    F_UUID(struct story_of, customer_id, "customerId", REQUIRED, "customer"),
    F_UUID(struct story_of, payment_id, "paymentId", NULLABLE, "the payment that pinned it last"),
    F_WON(struct story_of, captured_won, "capturedWon", REQUIRED, "paid"),
    F_BOOL(struct story_of, cancel_requested, "cancelRequested", REQUIRED, "a cancel waits"),
    F_BOOL(struct story_of, stock_back, "stockBack", REQUIRED, "nothing is held or sold any more"),
    F_LIST(struct story_of, history, "history", REQUIRED, 0, 1000, story_history_fields, "steps"),
    F_LIST(struct story_of, events, "events", REQUIRED, 0, 1000, told_fields,
           "what it told others in the last days"),
    F_LIST(struct story_of, timers, "timers", REQUIRED, 0, 20, due_fields, "what is due"),
    F_LIST(struct story_of, dead_letters, "deadLetters", REQUIRED, 0, 100, parked_fields,
           "events of it that could not be applied here"),
    F_END(struct story_of),
};

/* By kind and subject, as their key is; kinds are words of ours. */
static enum err load_timers(struct ctx *cx, struct uuid order_id, struct list *ret)
{
    struct buf sql;

    buf_init_arena(&sql, cx->arena, 1024);
    buf_lit(&sql, "select kind, due_us, attempt from timers where kind in (");
    for (const struct timer_row *t = order_timers; t->kind; t++)
        buf_printf(&sql, "%s'%s'", t == order_timers ? "" : ", ", t->kind);
    buf_lit(&sql, ") and subject = $1 order by due_us");
    buf_char(&sql, '\0');
    return db_all(cx, due_fields, ret, sql.p, ARGS(db_uuid(order_id)));
}

/* Events that came in are steps of the history: each step names what happened and carries its
 * trace. */
enum err admin_story(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct order o;
    struct story_of s = {.order = &o};

    TRY(order_load_shown(cx, rq->id[0], &o));
    s.customer_id = o.customer_id;
    s.payment_id = o.payment_id;
    s.captured_won = o.captured_won;
    s.cancel_requested = o.cancel_requested;
    s.stock_back = o.stock_back;
    s.history = o.history;
    TRY(db_all(cx, told_fields, &s.events,
               "select event_id, aggregate_seq as sequence, type, time_us as at, published_at,"
               " traceparent, data from outbox where aggregate_id = $1 order by aggregate_seq"
               " limit 1000",
               ARGS(db_uuid(o.order_id))));
    TRY(load_timers(cx, o.order_id, &s.timers));
    TRY(db_all(cx, parked_fields, &s.dead_letters,
               "select id, event_id, key, type, topic, traceparent, reason, sequence, position,"
               " part, time_us, tries, parked_at, case when length(data) <= 40000 then data else"
               " '\"too large for a list\"' end as data"
               " from parked where key = $1 order by id limit 100",
               ARGS(db_uuid(o.order_id))));
    return reply_data(cx, rp, 200, story_fields, &s);
}

enum resolution { TO_PAID, TO_CANCELLED, TO_PAYMENT_FAILED };
static const char *const resolution_names[] = {"PAID", "CANCELLED", "PAYMENT_FAILED", NULL};
static const enum step resolution_steps[] = {RESOLVED_PAID, RESOLVED_CANCEL, RESOLVED_FAILED};

struct resolve {
    int to;
    struct str reason;
};
const struct field resolve_fields[] = {
    F_ENUM(struct resolve, to, "to", REQUIRED, resolution_names, "where it goes"),
    F_STR(struct resolve, reason, "reason", REQUIRED | ONE_LINE, 1, 200, "kept in the history"),
    F_END(struct resolve),
};

/* What an operator did: kept, and told as an event under the operator's id. */
struct acted {
    struct uuid by_id, order_id;
    struct str what, subject, reason;
};
static const struct field acted_fields[] = {
    F_UUID(struct acted, by_id, "byId", REQUIRED, "operator"),
    F_STR(struct acted, what, "what", REQUIRED, 1, 50, "command"),
    F_UUID(struct acted, order_id, "orderId", 0, "on which order"),
    F_STR(struct acted, subject, "subject", 0, 0, 100, "on what else"),
    F_STR(struct acted, reason, "reason", 0, 0, 200, "why"),
    F_END(struct acted),
};

static enum err audit(struct ctx *cx, struct acted *a)
{
    a->by_id = cx->caller.user_id;
    TRY(db_exec(cx,
                "insert into operator_acts (act_id, by_id, what, order_id, subject, reason, at)"
                " values ($1, $2, $3, $4, $5, $6, $7)",
                ARGS(db_uuid(ctx_uuid(cx)), db_uuid(a->by_id), db_str(a->what),
                     db_uuid(a->order_id), db_str(a->subject), db_str(a->reason),
                     db_int(ctx_now(cx)))));
    return outbox_append(cx, "order.operator_acted", cx->caller.user_id, acted_fields, a);
}

enum err admin_resolve(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct resolve *in = rq->body;
    struct saga_input step = {.step = resolution_steps[in->to], .reason = in->reason};
    struct acted acted = {
        .order_id = rq->id[0], .what = STR("order.resolve"), .reason = in->reason};
    struct order o;

    TRY(db_begin(cx));
    TRY(order_load(cx, rq->id[0], &o));
    TRY(order_step(cx, &o, &step));
    acted.subject = str_from(resolution_names[in->to]);
    TRY(audit(cx, &acted));
    TRY(reply_order(cx, rp, 200, o.order_id));
    if (FAULT("order.resolve.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: order.resolve.commit");
    return db_commit(cx);
}

/*
 * Dead letters of all services of the platform. Each service keeps its own and answers for them on
 * the internal listener; here they get an id that says whose they are: "store-12".
 */
static const char *const keepers[] = {"auth", "user", "store", "order", "payment", "chat"};

struct dead_letter {
    struct str id, service;
    const struct parked *p;
};
const struct field dead_letter_fields[] = {
    F_STR(struct dead_letter, id, "id", REQUIRED, 1, 60, "for retry and discard"),
    F_STR(struct dead_letter, service, "service", REQUIRED, 1, 30, "that could not apply it"),
    F_OBJECT_PTR(struct dead_letter, p, "event", REQUIRED, parked_fields, "the event and why"),
    F_END(struct dead_letter),
};

struct kept {
    struct list items;
};
static const struct field kept_fields[] = {
    F_LIST(struct kept, items, "items", REQUIRED, 0, 100, parked_fields, "one service's"),
    F_END(struct kept),
};

/* The oldest hundred of every service that is there. */
enum err dead_letters_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct dead_letter *out = arena_array(cx->arena, COUNT_OF(keepers) * 100, sizeof *out);
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(keepers); i++) {
        struct str path =
            arena_printf(cx->arena, "/internal/v1/%s/dead-letters?limit=100", keepers[i]);
        struct kept kept = {{NULL, 0}};
        enum err e = call_service(cx, keepers[i], HTTP_GET, path.p, NULL, NULL, kept_fields, &kept);
        if (e == ERR_UNAVAILABLE || e == ERR_NOT_FOUND)
            continue; /* not here, or a service that follows no events */
        TRY(e);
        for (size_t j = 0; j < kept.items.n; j++) {
            const struct parked *p = LIST_AT(struct parked, kept.items, j);
            struct str id = arena_printf(cx->arena, "%s-%" PRId64, keepers[i], p->id);
            out[n++] = (struct dead_letter){id, str_from(keepers[i]), p};
        }
    }
    return reply_list(cx, rq, rp, dead_letter_fields, (struct list){out, n}, STR_NONE);
}

/* The command is written down before it is given: a crash in between leaves a trace of the attempt.
 */
static enum err command(struct ctx *cx, const struct request *rq, struct reply *rp,
                        const char *verb)
{
    struct acted acted = {.what = arena_printf(cx->arena, "dead_letter.%s", verb),
                          .subject = rq->param[0]};
    struct str service, number;
    int64_t n = 0;

    if (!str_cut(rq->param[0], '-', &service, &number) || !str_i64(number, 1, INT64_MAX, &n))
        return fail(cx, ERR_NOT_FOUND, "not the id of a dead letter");
    for (size_t i = 0; i < COUNT_OF(keepers); i++) {
        if (!str_eq(service, str_from(keepers[i])))
            continue;
        TRY(db_begin(cx));
        TRY(audit(cx, &acted));
        if (FAULT("order.dead_letter.commit"))
            return fail(cx, ERR_UNAVAILABLE, "fault: order.dead_letter.commit");
        TRY(db_commit(cx));
        struct str path = arena_printf(cx->arena, "/internal/v1/%s/dead-letters/%" PRId64 "/%s",
                                       keepers[i], n, verb);
        TRY(call_service(cx, keepers[i], HTTP_POST, path.p, NULL, NULL, NULL, NULL));
        return reply_none(cx, rp, 204);
    }
    return fail(cx, ERR_NOT_FOUND, "no such service");
}

enum err dead_letter_retry(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return command(cx, rq, rp, "retry");
}

enum err dead_letter_discard(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return command(cx, rq, rp, "discard");
}
