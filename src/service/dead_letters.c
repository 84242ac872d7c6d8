/* dead_letters.c -- parked events of every service, on the internal listener: look, try again,
 * drop. */
#include "obs/log.h"
#include "service/reply.h"
#include "service/running.h"

struct parked_query {
    int64_t after, limit;
    bool has_after, has_limit;
};
static const struct field parked_query_fields[] = {
    F_OPT_INT(struct parked_query, after, "after", 0, 0, INT64_MAX, "number of the last one seen"),
    F_OPT_INT(struct parked_query, limit, "limit", 0, 1, 100, "at most so many, default 20"),
    F_END(struct parked_query),
};

static enum err list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct parked_query *q = rq->query;
    struct list rows = {NULL, 0};

    TRY(parked_list(cx, q->after, q->has_limit ? q->limit : 20, &rows));
    return reply_list(cx, rq, rp, parked_fields, rows, STR_NONE);
}

static enum err number_of(struct ctx *cx, const struct request *rq, int64_t *ret)
{
    if (str_i64(rq->param[0], 1, INT64_MAX, ret))
        return ERR_OK;
    ctx_field_error(cx, STR("number"), STR("FORMAT"), "is the number of a dead letter");
    return fail(cx, ERR_INVALID, "number of a dead letter");
}

static enum err retry(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    int64_t id;

    TRY(number_of(cx, rq, &id));
    TRY(parked_retry(cx, svc_service(cx->svc)->consumers, id));
    log_event(cx, LOG_WARN, "dead letter %" PRId64 " of %s applied by an operator", id,
              svc_service(cx->svc)->name);
    return reply_none(cx, rp, 204);
}

static enum err discard(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    int64_t id;

    TRY(number_of(cx, rq, &id));
    TRY(parked_discard(cx, svc_service(cx->svc)->consumers, id));
    log_event(cx, LOG_WARN, "dead letter %" PRId64 " of %s dropped by an operator", id,
              svc_service(cx->svc)->name);
    return reply_none(cx, rp, 204);
}

static const struct route rows[] = {
    {HTTP_GET, "", SERVICE, list, NULL, parked_query_fields, parked_fields, LIST | INTERNAL, 200,
     NULL, "Events that could not be applied."},
    {HTTP_POST, "/{number}/retry", SERVICE, retry, NULL, NULL, NULL, INTERNAL, 204, NULL,
     "Applies it again, and those behind it on its key."},
    {HTTP_POST, "/{number}/discard", SERVICE, discard, NULL, NULL, NULL, INTERNAL, 204, NULL,
     "Drops it for good; those behind it flow."},
};

const struct route *dead_letter_routes(struct arena *a, const struct service *s)
{
    struct route *out = arena_array(a, COUNT_OF(rows) + 1, sizeof *out);

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        out[i] = rows[i];
        out[i].path = arena_printf(a, "/internal/v1/%s/dead-letters%s", s->name, rows[i].path).p;
    }
    return out;
}
