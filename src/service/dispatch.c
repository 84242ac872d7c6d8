/* dispatch.c -- runs a matched and admitted request: idempotency, handler, rollback, problem,
 * metrics. */
#include "base/fault.h"
#include "data/json.h"
#include "obs/log.h"
#include "obs/trace.h"
#include "service/reply.h"
#include "service/running.h"

#define SLOW_REQUEST_US US_PER_S

static _Thread_local struct rng thread_rng;

static struct rng *rng_of(struct platform *p)
{
    return p->options.clock->is_virtual ? &p->seeded : &thread_rng;
}

void work_init(struct work *w, struct platform *p, struct listener *l, struct arena *a)
{
    w->platform = p;
    w->listener = l;
    w->started_us = clock_monotonic_us();
    w->cx = (struct ctx){
        .arena = a,
        .clock = p->options.clock,
        .rng = rng_of(p),
        .instance = p->instance,
        .deadline_us = w->started_us + REQUEST_DEADLINE_US,
    };
}

void platform_ctx(struct platform *p, struct svc *svc, struct arena *a, struct ctx *ret)
{
    *ret = (struct ctx){
        .arena = a,
        .clock = p->options.clock,
        .rng = rng_of(p),
        .instance = p->instance,
        .caller = {.role = SERVICE, .service = svc ? str_from(svc->service->name) : STR("jumun")},
        .svc = svc,
        .db = svc ? svc->db : NULL,
    };
    trace_start(ret);
}

static enum err call_handler(struct work *w)
{
    const struct route *route = w->bound->route;

    w->cx.old_ok = route->old_for & w->cx.caller.role;
    enum err e = route->handle(&w->cx, &w->rq, &w->rp);
    w->cx.old_ok = false;

    /* A handler that left its own transaction open did not reach its commit. */
    assert(e != ERR_OK || w->rp.status != 0);
    return e;
}

static struct str header(const struct reply *rp, struct str name)
{
    for (size_t i = 0; i < rp->n_headers; i++)
        if (str_eq_nocase(rp->headers[i].name, name))
            return rp->headers[i].value;
    return STR_NONE;
}

static enum err store_answer(struct work *w)
{
    const struct idempotent_answer a = {.status = w->rp.status,
                                        .content_type = w->rp.content_type,
                                        .location = header(&w->rp, STR("Location")),
                                        .etag = header(&w->rp, STR("ETag")),
                                        .body = buf_str(&w->rp.body)};

    return idempotency_store(&w->cx, &w->key, &a);
}

static enum err replay(struct work *w, const struct idempotent_answer *a)
{
    struct ctx *cx = &w->cx;

    db_rollback(cx);
    w->is_replay = true;
    TRY(reply_bytes(cx, &w->rp, (int)a->status, a->content_type, a->body));
    if (a->location.p)
        reply_header(cx, &w->rp, STR("Location"), "%.*s", STR_ARG(a->location));
    if (a->etag.p)
        reply_header(cx, &w->rp, STR("ETag"), "%.*s", STR_ARG(a->etag));
    reply_header(cx, &w->rp, STR("Idempotent-Replayed"), "true");
    return ERR_OK;
}

/* The key, the effect and the answer are one commit: there is no moment in between. */
static enum err run_in_one_commit(struct work *w)
{
    struct ctx *cx = &w->cx;
    struct idempotent_answer before;

    TRY(db_begin(cx));
    TRY(idempotency_take(cx, &w->key, &before));
    if (before.replayed)
        return replay(w, &before);
    TRY(call_handler(w));
    /* The answer that names a new cart holds its secret, which is kept nowhere. */
    if (header(&w->rp, STR("Jumun-Cart")).p)
        TRY(idempotency_drop(cx, &w->key));
    else
        TRY(store_answer(w));
    return db_commit(cx);
}

static enum err settle_key(struct work *w, bool done)
{
    struct ctx *cx = &w->cx;
    enum err e = FAULT("idempotency.settle") ? ERR_UNAVAILABLE : db_begin(cx);

    if (e == ERR_OK) {
        db_soon(cx);
        e = done ? store_answer(w) : idempotency_drop(cx, &w->key);
    }
    if (e == ERR_OK)
        e = db_commit(cx);
    db_rollback(cx);
    return e;
}

/*
 * The handler calls out and commits by itself: the key is held by a lease around it. Lease and
 * stored answer spare others the work, they are not what makes it happen once: a crash may fall
 * between effect and answer, so the handler knows its own work again. Hence nobody waits for their
 * sync: neither the handler's first read nor the client.
 */
static enum err run_with_lease(struct work *w)
{
    struct ctx *cx = &w->cx;
    struct idempotent_answer before;
    bool is_fresh = false;

    w->key.lease_until = ctx_now(cx) + IDEMPOTENCY_LEASE_US;
    enum err e = idempotency_take_fresh(cx, &w->key, &is_fresh);
    if (e == ERR_OK && !is_fresh) {
        TRY(db_begin(cx));
        TRY(idempotency_take(cx, &w->key, &before));
        if (before.replayed)
            return replay(w, &before);
        e = db_commit(cx);
    }
    if (e != ERR_OK) { /* and perhaps it was made */
        db_rollback(cx);
        unsettled_add(w);
        return e;
    }
    cx->ticket = 0;
    e = call_handler(w);
    db_rollback(cx);
    uint64_t effect = cx->ticket;

    struct story story = cx->story; /* what the client hears is why the handler failed */
    enum err kept = ERR_CONFLICT;
    for (int tries = 0; tries < CONFLICT_TRIES && kept == ERR_CONFLICT; tries++)
        kept = settle_key(w, e == ERR_OK);
    if (kept != ERR_OK) {
        log_seldom(cx, LOG_WARN, w->bound->route->path,
                   "idempotency key not settled: %s; it is freed later", cx->story.detail);
        unsettled_add(w);
    }
    cx->ticket = effect;
    cx->story = story;
    return e;
}

static enum err run_once(struct work *w)
{
    unsigned flags = w->bound->route->flags;

    if (!w->key.key.p)
        return call_handler(w);
    return flags & CALLS_OUT ? run_with_lease(w) : run_in_one_commit(w);
}

/* Randomness is per thread: what was matched on a worker may run on the slow pool. */
static void work_adopt(struct work *w)
{
    w->cx.rng = rng_of(w->platform);
}

void work_run(struct work *w)
{
    work_adopt(w);
    struct span span;
    enum err e = ERR_OK;

    span_begin(&w->cx, &span, "server", str_from(w->bound->route->path));
    for (int tries = 0; tries < CONFLICT_TRIES; tries++) {
        if (w->rp.stream) /* of a try that came into conflict */
            sse_unreserve(w->rp.stream);
        w->rp = (struct reply){0};
        e = run_once(w);
        db_rollback(&w->cx); /* whatever did not reach its commit never happened */
        /* A duplicate that nobody expected is one of work beside this one. Who calls out knows its
         * own work again. */
        if (e != ERR_CONFLICT && e != ERR_DUPLICATE)
            break;
    }
    w->result = e;
    if (e != ERR_OK)
        problem_write(w, e);
    span_end(&w->cx, &span, e);
}

void work_refuse(struct work *w, enum err e)
{
    db_rollback(&w->cx);
    w->result = e;
    problem_write(w, e);
}

void work_count(struct work *w)
{
    int64_t took_us = clock_monotonic_us() - w->started_us;
    int status = w->rp.status;

    if (w->bound) {
        metric_add(w->bound->answers[status / 100], 1);
        metric_observe_us(w->bound->seconds, took_us);
    }
    /* What is shed is counted, not told one by one: that would cost more than the answer. */
    bool is_ours = status >= 500 && !w->is_shed;
    bool each = w->platform->options.log_requests;
    int64_t patience_us = w->bound && work_waits(w) ? w->rq.wait_s * US_PER_S : 0;
    if (is_ours || took_us > SLOW_REQUEST_US + patience_us || each)
        (each ? log_work_each : log_work)(&w->cx, http_method_names[w->rq.head->method],
                                          w->bound ? str_from(w->bound->route->path) : STR("-"),
                                          w->result, status, took_us);
}

/* Builds the head a local request would have had on the wire. */
static struct http_head *local_head(struct arena *a, const struct local_request *rq)
{
    struct http_head *head = ARENA_NEW(a, struct http_head);

    head->method = rq->method;
    head->target = str_from(rq->path);
    str_cut(head->target, '?', &head->path, &head->query);
    for (size_t i = 0; i < rq->n_headers && i + 1 < HTTP_FIELDS_MAX; i++)
        head->fields[head->n_fields++] = rq->headers[i];
    if (rq->body.n)
        head->fields[head->n_fields++] =
            (struct http_field){STR("Content-Type"), STR("application/json")};
    return head;
}

enum err work_local(struct platform *p, struct arena *a, const struct local_request *rq,
                    struct work **ret)
{
    struct work *w = ARENA_NEW(a, struct work);
    enum err e;

    work_init(w, p, &p->listeners[rq->listener], a);
    w->rq.peer = STR("local");
    work_greet(w, local_head(a, rq));
    e = work_match(w);
    if (rq->deadline_us && rq->deadline_us < w->cx.deadline_us)
        w->cx.deadline_us = rq->deadline_us;
    if (e == ERR_OK)
        e = work_admit(w, rq->body, rq->as);
    if (e == ERR_OK)
        work_run(w);
    else
        work_refuse(w, e);
    if (w->result == ERR_OK) {
        e = db_durable(&w->cx);
        if (e != ERR_OK)
            work_refuse(w, e);
    }
    work_count(w);
    *ret = w;
    return w->result;
}

enum err platform_request(struct platform *p, struct arena *a, const struct local_request *rq,
                          int *ret_status, struct str *ret_body)
{
    struct work *w;
    enum err e = work_local(p, a, rq, &w);

    if (w->rp.stream)
        sse_unreserve(w->rp.stream);
    *ret_status = w->rp.status;
    *ret_body = buf_str(&w->rp.body);
    return e;
}
