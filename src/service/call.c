/* call.c -- one service asks another by its HTTP contract. */
#include "service/call.h"

#include "data/json.h"
#include "obs/trace.h"
#include "service/running.h"

#define CALL_BODY_MAX (1024 * 1024)

/* In one process: the peer's dispatcher runs here, as the calling service, on the internal router.
 */
enum err call_service(struct ctx *cx, const char *service, enum http_method method,
                      const char *path, const struct field *body_fields, const void *body,
                      const struct field *out_fields, void *out)
{
    struct platform *p = svc_platform(cx->svc);
    char traceparent[TRACEPARENT_SIZE];
    struct work *w;
    struct buf text;

    assert(!db_in_transaction(cx)); /* no call inside a transaction */
    if (!platform_service(p, service))
        return fail(cx, ERR_UNAVAILABLE, "service %s is not here", service);
    buf_init_arena(&text, cx->arena, CALL_BODY_MAX);
    if (body_fields)
        json_encode(&text, body_fields, body);
    const struct http_field headers[] = {
        {STR("traceparent"), trace_format(&cx->trace, traceparent)}};
    const struct caller as = {.role = SERVICE, .service = str_from(svc_service(cx->svc)->name)};
    const struct local_request rq = {.method = method,
                                     .path = path,
                                     .body = buf_str(&text),
                                     .headers = headers,
                                     .n_headers = COUNT_OF(headers),
                                     .listener = LISTEN_INTERNAL,
                                     .as = &as,
                                     .deadline_us = cx->deadline_us};
    enum err e = work_local(p, cx->arena, &rq, &w);
    if (e != ERR_OK) {
        cx->story.public_detail = w->cx.story.public_detail;
        cx->story.public_extra = w->cx.story.public_extra;
        return fail(cx, e, "%s %s: %s", service, path, w->cx.story.detail);
    }
    return out_fields ? json_decode_lenient(cx, out_fields, out, buf_str(&w->rp.body)) : ERR_OK;
}
