/* edge.c -- from a complete HTTP request to its answer: match, admit, run here or on the slow pool,
 * park. */
#include "service/reply.h"
#include "service/running.h"

static const struct http_field edge_fields[] = {
    {{"X-Content-Type-Options", 22}, {"nosniff", 7}},
    {{"Cache-Control", 13}, {"no-store", 8}},
};

#define COMMON_FIELDS_MAX (COUNT_OF(edge_fields) + 2 + CORS_FIELDS_MAX)

static bool has_header(const struct reply *rp, struct str name)
{
    for (size_t i = 0; i < rp->n_headers; i++)
        if (str_eq_nocase(rp->headers[i].name, name))
            return true;
    return false;
}

static size_t put_common(const struct work *w, struct http_field *fields)
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(edge_fields); i++)
        if (!has_header(&w->rp, edge_fields[i].name))
            fields[n++] = edge_fields[i];
    if (w->quota.p) {
        fields[n++] = (struct http_field){STR("RateLimit-Policy"), w->quota_policy};
        fields[n++] = (struct http_field){STR("RateLimit"), w->quota};
    }
    for (size_t i = 0; i < w->cors.n; i++)
        fields[n++] = w->cors.fields[i];
    return n;
}

/* The exchange, and with it w, is gone after this. */
static void send(struct work *w)
{
    struct reply *rp = &w->rp;
    struct http_field *fields =
        arena_array(w->cx.arena, rp->n_headers + COMMON_FIELDS_MAX, sizeof *fields);
    size_t n = put_common(w, fields);

    work_count(w);
    if (rp->stream) {
        sse_belongs_to(rp->stream, w->cx.caller.session_id, ctx_now(&w->cx));
        exchange_stream(w->exchange, rp->stream, w->cors.fields, w->cors.n, buf_str(&rp->body),
                        rp->stream_after);
        return;
    }
    for (size_t i = 0; i < rp->n_headers; i++)
        fields[n++] = rp->headers[i];
    const struct http_answer answer = {.status = rp->status,
                                       .content_type = rp->content_type,
                                       .body = buf_str(&rp->body),
                                       .fields = fields,
                                       .n_fields = n,
                                       .close = w->platform->is_draining};
    exchange_finish(w->exchange, &answer);
}

static void when_durable(struct db_waiter *waiter, enum err e)
{
    struct work *w = (struct work *)(void *)((char *)waiter - offsetof(struct work, waiter));

    if (e != ERR_OK) {
        (void)fail(&w->cx, e, "the group's commit failed; nothing of it happened");
        work_refuse(w, e);
    }
    send(w);
}

/* The reply waits for the commit's fsync, not the thread. */
static void answer(struct work *w)
{
    w->waiter = (struct db_waiter){.done = when_durable};
    if (w->result == ERR_OK && db_park(&w->cx, &w->waiter))
        return;
    send(w);
}

static void run_and_answer(void *arg)
{
    struct work *w = arg;

    if (clock_monotonic_us() > w->cx.deadline_us)
        work_refuse(
            w, fail(&w->cx, ERR_DEADLINE, "waited in the slow pool's queue until its deadline"));
    else
        work_run(w);
    answer(w);
}

static void refuse(struct work *w, enum err e)
{
    work_refuse(w, e);
    send(w);
}

static void run(struct work *w)
{
    struct pool *pool = pool_of(w);

    if (!pool) {
        run_and_answer(w);
        return;
    }
    w->job = (struct pool_job){.run = run_and_answer, .arg = w};
    if (!pool_put(pool, &w->job))
        refuse(w, fail(&w->cx, ERR_BUSY, "the pool's queue is full"));
}

static bool asks_for_contract(const struct http_head *head)
{
    return str_eq(head->path, STR("/openapi.json"));
}

static void send_contract(struct work *w)
{
    const struct http_head *head = w->rq.head;
    enum err e = ERR_OK;

    if (head->method == HTTP_GET || head->method == HTTP_HEAD)
        e = reply_bytes(&w->cx, &w->rp, 200, STR("application/json"), w->platform->contract);
    else {
        w->allow = STR("GET, HEAD");
        e = fail(&w->cx, ERR_METHOD, "the contract is only read");
    }
    if (e != ERR_OK)
        work_refuse(w, e);
    send(w);
}

/* May a page of another origin call this path? */
static void send_preflight(struct work *w)
{
    struct route_match match;
    struct http_answer answer;

    router_find(w->listener->router, HTTP_OPTIONS, w->rq.head->path, &match);
    if (!w->cors.is_allowed)
        refuse(w, fail(&w->cx, ERR_ORIGIN, "a preflight of an origin that is not on the list"));
    else if (!match.methods)
        refuse(w, fail(&w->cx, ERR_NOT_FOUND, "no such path"));
    else {
        cors_preflight(w->platform->cors, w->cx.arena, w->rq.head, match.methods, &answer);
        answer.close = w->platform->is_draining;
        exchange_finish(w->exchange, &answer);
    }
}

void edge_handle(void *arg, struct exchange *x)
{
    struct listener *l = arg;
    struct platform *p = l->platform;
    const struct http_head *head = exchange_head(x);
    struct http_answer health;
    enum err e = ERR_OK;

    if (l->kind == LISTEN_INTERNAL && health_answer(p, head, exchange_arena(x), &health)) {
        exchange_finish(x, &health);
        return;
    }
    struct work *w = ARENA_NEW(exchange_arena(x), struct work);
    work_init(w, p, l, exchange_arena(x));
    w->exchange = x;
    struct str client = l->kind == LISTEN_PUBLIC
                            ? forwarded_client(head, exchange_peer(x), p->options.proxies)
                            : exchange_peer(x);
    w->rq.peer = client_network(w->cx.arena, client);
    work_greet(w, head);
    if (!p->is_open)
        e = fail(&w->cx, ERR_STARTING, "what it needs is not there yet");
    if (e == ERR_OK && l->kind == LISTEN_PUBLIC) {
        w->cors = cors_of(p->cors, head);
        e = admit_edge(w);
    }
    if (e == ERR_OK && l->kind == LISTEN_PUBLIC && cors_is_preflight(p->cors, head)) {
        send_preflight(w);
        return;
    }
    if (e == ERR_OK && l->kind == LISTEN_PUBLIC && asks_for_contract(head)) {
        send_contract(w);
        return;
    }
    if (e == ERR_OK)
        e = work_match(w);
    if (e == ERR_OK)
        e = shed(w);
    if (e == ERR_OK)
        e = work_admit(w, exchange_body(x), NULL);
    if (e == ERR_OK)
        run(w);
    else
        refuse(w, e);
}
