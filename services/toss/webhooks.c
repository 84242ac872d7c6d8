/* webhooks.c -- PAYMENT_STATUS_CHANGED, sent with the retry ladder of the real thing. */
#include "toss/toss.h"

#include "base/fault.h"
#include "data/json.h"

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

/* The platform of this very process, when nobody said otherwise. */
static struct str target(struct ctx *cx, const struct faults *f)
{
    int port = platform_port(svc_platform(cx->svc), 0);

    if (f->webhook_to.n)
        return f->webhook_to;
    if (port)
        return arena_printf(cx->arena, "http://127.0.0.1:%d/v1/webhooks/toss", port);
    return STR("http://jumun.invalid/v1/webhooks/toss");
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
    struct http_result answer = {0};
    struct faults f;

    enum err e =
        db_one(cx, webhook_row_fields, &w, "select body from webhooks where webhook_id = $1",
               ARGS(db_uuid(webhook_id)));
    if (e == ERR_NOT_FOUND || attempt > (int64_t)COUNT_OF(minutes))
        return forget(cx, webhook_id);
    TRY(e);
    TRY(faults_load(cx, &f));
    const struct http_call call = {.method = HTTP_POST,
                                   .url = arena_cstr(cx->arena, target(cx, &f)),
                                   .body = w.body,
                                   .content_type = STR("application/json"),
                                   .timeout_ms = SEND_TIMEOUT_MS};
    if (!FAULT("simulator.webhook") && platform_outside(cx, &call, &answer) == ERR_OK &&
        answer.status == 200)
        return forget(cx, webhook_id);
    if (attempt == (int64_t)COUNT_OF(minutes))
        return forget(cx, webhook_id);
    TRY(db_begin(cx));
    TRY(timer_retry(cx, "toss.webhook", webhook_id, ctx_now(cx) + minutes[attempt] * US_PER_MIN,
                    attempt + 1));
    return db_commit(cx);
}
