/* call.c -- one service asks another by its HTTP contract. */
#include "service/call.h"

#include "data/json.h"
#include "obs/trace.h"
#include "service/peers.h"
#include "service/running.h"

#define CALL_BODY_MAX (1024 * 1024)
#define GET_TRIES 2
#define CALL_TIMEOUT_MS 10000

/* What of a peer's problem+json means something here. */
struct peer_problem {
    struct str code, detail;
};
static const struct field peer_problem_fields[] = {
    F_STR(struct peer_problem, code, "code", REQUIRED, 1, 60, "the error's name"),
    F_STR(struct peer_problem, detail, "detail", 0, 0, 4000, "for the client"),
    F_END(struct peer_problem),
};

/* In one process: the peer's dispatcher runs here, on the internal router. */
static enum err call_here(struct ctx *cx, const char *service, enum http_method method,
                          const char *path, struct str body, struct str *ret)
{
    struct platform *p = svc_platform(cx->svc);
    char traceparent[TRACEPARENT_SIZE];
    struct work *w;

    const struct http_field headers[] = {
        {STR("traceparent"), trace_format(&cx->trace, traceparent)}};
    const struct caller as = {.role = SERVICE, .service = str_from(svc_service(cx->svc)->name)};
    const struct local_request rq = {.method = method,
                                     .path = path,
                                     .body = body,
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
    *ret = buf_str(&w->rp.body);
    return ERR_OK;
}

static enum err err_named(struct str code)
{
    for (int e = 0; e < ERR_COUNT; e++)
        if (str_eq(str_from(err_row((enum err)e)->code), code))
            return (enum err)e;
    return ERR_UPSTREAM;
}

/* A problem of the peer's becomes ours. That it does not believe us is not the client's fault. */
static enum err read_problem(struct ctx *cx, const char *service, const char *path,
                             const struct http_result *result)
{
    struct peer_problem problem = {0};
    struct story story = cx->story;
    enum err e = json_decode_lenient(cx, peer_problem_fields, &problem, result->body);

    cx->story = story;
    if (e != ERR_OK)
        return fail(cx, ERR_UPSTREAM, "%s %s answered %d without a problem", service, path,
                    result->status);
    e = err_named(problem.code);
    if (e == ERR_OK || e == ERR_UNAUTHENTICATED)
        e = ERR_UPSTREAM;
    cx->story.public_detail = problem.detail;
    return fail(cx, e, "%s %s: %d %.*s", service, path, result->status, STR_ARG(problem.code));
}

/* It has not even looked at the request: as good as not reached. */
static bool is_starting(struct ctx *cx, const struct http_result *result)
{
    struct peer_problem problem = {0};
    struct story story = cx->story;
    bool yes = result->status == err_row(ERR_STARTING)->status &&
               json_decode_lenient(cx, peer_problem_fields, &problem, result->body) == ERR_OK &&
               str_eq(problem.code, str_from(err_row(ERR_STARTING)->code));

    cx->story = story;
    return yes;
}

/* Trace, deadline and who we are. */
static enum err call_headers(struct ctx *cx, const char *service, const char *headers[5])
{
    struct platform *p = svc_platform(cx->svc);
    char traceparent[TRACEPARENT_SIZE];
    struct str token = STR_NONE;

    TRY(service_keys_sign(cx, p->service_keys, svc_service(cx->svc)->name, service, &token));
    headers[0] = arena_printf(cx->arena, "Authorization: Bearer %.*s", STR_ARG(token)).p;
    headers[1] =
        arena_printf(cx->arena, "traceparent: %.*s", STR_ARG(trace_format(&cx->trace, traceparent)))
            .p;
    headers[2] =
        arena_printf(cx->arena, DEADLINE_HEADER ": %d", ctx_left_ms(cx, CALL_TIMEOUT_MS)).p;
    headers[3] = "Accept-Language: en"; /* what a problem says is translated at our own edge */
    headers[4] = NULL;
    return ERR_OK;
}

static enum err call_elsewhere(struct ctx *cx, const char *service, enum http_method method,
                               const char *path, struct str body, struct str *ret)
{
    struct platform *p = svc_platform(cx->svc);
    struct peer_address at[PEER_ADDRESSES_MAX];
    size_t n = p->peers ? peers_list(p->peers, service, at, COUNT_OF(at)) : 0;
    struct http_result result = {0};
    enum err e = ERR_UNAVAILABLE;
    const char *headers[5];

    if (n == 0 || !p->service_keys)
        return fail(cx, ERR_UNAVAILABLE, "service %s is not here, and there is no --%s", service,
                    n == 0 ? "peers address of it" : "service-keys to call it with");
    size_t tries = method == HTTP_GET && n < GET_TRIES ? GET_TRIES : n;
    for (size_t i = 0; i < tries; i++) {
        TRY(call_headers(cx, service, headers));
        const struct http_call call = {.method = method,
                                       .url =
                                           arena_printf(cx->arena, "%s%s", at[i % n].url, path).p,
                                       .body = body,
                                       .content_type = body.p ? STR("application/json") : STR_NONE,
                                       .headers = headers,
                                       .timeout_ms = CALL_TIMEOUT_MS};
        e = http_call(cx, &call, &result);
        if (e == ERR_OK && is_starting(cx, &result))
            continue;
        if (e == ERR_OK || (e != ERR_UNAVAILABLE && method != HTTP_GET) ||
            ctx_left_ms(cx, CALL_TIMEOUT_MS) == 0)
            break;
    }
    if (e != ERR_OK) {
        if (e == ERR_PROVIDER)
            e = ctx_left_ms(cx, CALL_TIMEOUT_MS) == 0 ? ERR_DEADLINE : ERR_UPSTREAM;
        return e;
    }
    if (result.status < 200 || result.status > 299)
        return read_problem(cx, service, path, &result);
    *ret = result.body;
    return ERR_OK;
}

enum err call_service_bytes(struct ctx *cx, const char *service, enum http_method method,
                            const char *path, struct str body, struct str *ret)
{
    assert(!db_in_transaction(cx)); /* no call inside a transaction */
    return platform_service(svc_platform(cx->svc), service)
               ? call_here(cx, service, method, path, body, ret)
               : call_elsewhere(cx, service, method, path, body, ret);
}

enum err call_service(struct ctx *cx, const char *service, enum http_method method,
                      const char *path, const struct field *body_fields, const void *body,
                      const struct field *out_fields, void *out)
{
    struct str answer = STR_NONE;
    struct buf text;

    buf_init_arena(&text, cx->arena, CALL_BODY_MAX);
    if (body_fields)
        json_encode(&text, body_fields, body);
    TRY(call_service_bytes(cx, service, method, path, body_fields ? buf_str(&text) : STR_NONE,
                           &answer));
    return out_fields ? json_decode_lenient(cx, out_fields, out, answer) : ERR_OK;
}
