/* webhooks.c -- PAYMENT_STATUS_CHANGED, sent with the retry ladder of the real thing. */
#include "toss/toss.h"

#include "base/fault.h"
#include "data/json.h"
#include "service/peers.h"

#define SEND_TIMEOUT_MS 3000
#define FIRST_US (50 * US_PER_MS)

struct webhook_row {
    struct str body;
};
static const struct field webhook_row_fields[] = {
    F_STR(struct webhook_row, body, "body", 0, 0, 100000, ""),
    F_END(struct webhook_row),
};

static enum err queue(struct ctx *cx, const struct paid *p, struct str body)
{
    struct uuid id = ctx_uuid(cx);

    TRY(db_exec(
        cx,
        "insert into webhooks (webhook_id, payment_key, body, created_at) values ($1, $2, $3, $4)",
        ARGS(db_uuid(id), db_str(p->payment_key), db_str(body), db_int(ctx_now(cx)))));
    return timer_set(cx, "toss.webhook", id, ctx_now(cx) + FIRST_US);
}

static struct str body_of(struct ctx *cx, const struct paid *p, struct str status)
{
    char now[TIME_TEXT_SIZE];
    struct buf b;

    buf_init_arena(&b, cx->arena, 4096);
    buf_printf(&b,
               "{\"eventType\":\"PAYMENT_STATUS_CHANGED\",\"createdAt\":\"%.*s\",\"data\":{"
               "\"paymentKey\":",
               STR_ARG(time_format(ctx_now(cx), now)));
    json_string(&b, p->payment_key);
    buf_lit(&b, ",\"orderId\":");
    json_string(&b, p->order_id);
    buf_lit(&b, ",\"status\":");
    json_string(&b, status);
    buf_printf(&b, ",\"totalAmount\":%" PRId64 ",\"balanceAmount\":%" PRId64 "}}", p->amount,
               p->balance);
    return buf_str(&b);
}

enum err webhook_send(struct ctx *cx, const struct paid *p)
{
    struct faults f;

    TRY(faults_load(cx, &f));
    if ((f.webhook_to.p && f.webhook_to.n == 0) || chance(cx, f.lost_webhook_rate))
        return ERR_OK;
    TRY(queue(cx, p, body_of(cx, p, p->status)));
    if (chance(cx, f.duplicate_webhook_rate))
        TRY(queue(cx, p, body_of(cx, p, p->status)));
    if (chance(cx, f.contradictory_webhook_rate))
        TRY(queue(cx, p, body_of(cx, p, STR("ABORTED"))));
    return ERR_OK;
}

/* When nobody said otherwise: payment of this very process, or where --upstreams has it. */
static size_t targets(struct ctx *cx, const struct faults *f, struct str out[PEER_ADDRESSES_MAX])
{
    struct platform *p = svc_platform(cx->svc);
    struct peer_address known[PEER_ADDRESSES_MAX];
    int port = platform_service(p, "payment") ? platform_port(p, 0) : 0;
    size_t n = 0;

    out[0] = f->webhook_to.n ? f->webhook_to
             : port          ? arena_printf(cx->arena, "http://127.0.0.1:%d/v1/webhooks/toss", port)
                             : STR("http://jumun.invalid/v1/webhooks/toss");
    if (!f->webhook_to.n && !port && platform_upstreams(p))
        n = peers_list(platform_upstreams(p), "payment", known, COUNT_OF(known));
    for (size_t i = 0; i < n; i++)
        out[i] = arena_printf(cx->arena, "%s/v1/webhooks/toss", known[i].url);
    return n ? n : 1;
}

/* To the first that takes it: the platform gets the same news twice at worst. */
static bool deliver(struct ctx *cx, const struct faults *f, struct str body)
{
    struct str to[PEER_ADDRESSES_MAX];
    size_t n = targets(cx, f, to);

    if (FAULT("simulator.webhook"))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct http_result answer = {0};
        const struct http_call call = {.method = HTTP_POST,
                                       .url = arena_cstr(cx->arena, to[i]),
                                       .body = body,
                                       .content_type = STR("application/json"),
                                       .timeout_ms = SEND_TIMEOUT_MS};
        if (platform_outside(cx, &call, &answer) == ERR_OK && answer.status == 200)
            return true;
    }
    return false;
}

static enum err forget(struct ctx *cx, struct uuid webhook_id)
{
    TRY(db_begin(cx));
    TRY(db_exec(cx, "delete from webhooks where webhook_id = $1", ARGS(db_uuid(webhook_id))));
    TRY(timer_clear(cx, "toss.webhook", webhook_id));
    return db_commit(cx);
}

enum err when_webhook_is_due(struct ctx *cx, struct uuid webhook_id, int64_t attempt)
{
    static const int minutes[] = {1, 4, 16, 64, 256, 1024, 4096};
    struct webhook_row w = {0};
    struct faults f;

    enum err e =
        db_one(cx, webhook_row_fields, &w, "select body from webhooks where webhook_id = $1",
               ARGS(db_uuid(webhook_id)));
    if (e == ERR_NOT_FOUND || attempt > (int64_t)COUNT_OF(minutes))
        return forget(cx, webhook_id);
    TRY(e);
    TRY(faults_load(cx, &f));
    if (deliver(cx, &f, w.body) || attempt == (int64_t)COUNT_OF(minutes))
        return forget(cx, webhook_id);
    TRY(db_begin(cx));
    TRY(timer_retry(cx, "toss.webhook", webhook_id, ctx_now(cx) + minutes[attempt] * US_PER_MIN,
                    attempt + 1));
    return db_commit(cx);
}
