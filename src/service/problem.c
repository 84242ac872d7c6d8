/* problem.c -- turns a failure into application/problem+json (RFC 9457). */
#include "service/problem.h"
#include "data/json.h"
#include "obs/trace.h"
#include "service/korean.h"
#include "service/reply.h"
#include "service/running.h"

#define PROBLEM_MAX (64 * 1024)
#define RETRY_AFTER_S INT64_C(1) /* when nothing better is known */

/* A cut name or message may end inside a character, and a path may hold any byte: JSON may not. */
static void text(struct buf *b, struct str s)
{
    size_t whole = s.n;

    while (whole > 0 && s.n - whole < 4 && !str_is_utf8((struct str){s.p, whole}))
        whole--;
    if (str_is_utf8((struct str){s.p, whole})) {
        json_string(b, (struct str){s.p, whole});
        return;
    }
    char *ascii = arena_cstr(b->arena, s);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)ascii[i] >= 0x80)
            ascii[i] = '?';
    json_string(b, (struct str){ascii, s.n});
}

static void member(struct buf *b, const char *name, struct str value)
{
    buf_printf(b, ",\"%s\":", name);
    text(b, value);
}

static void sentence(struct buf *b, bool korean, const char *name, struct str english)
{
    member(b, name, korean ? korean_of(b->arena, english) : english);
}

static void field_errors(struct buf *b, bool korean, const struct field_error *first)
{
    buf_lit(b, ",\"errors\":[");
    for (const struct field_error *f = first; f; f = f->next) {
        buf_str_add(b, f == first ? STR("{\"field\":") : STR(",{\"field\":"));
        text(b, f->field);
        member(b, "code", f->code);
        sentence(b, korean, "message", f->message);
        buf_char(b, '}');
    }
    buf_char(b, ']');
}

void problem_print(struct buf *b, const struct ctx *cx, struct str path, enum err e)
{
    const struct err_row *row = err_row(e);
    const struct story *story = &cx->story;
    char trace_id[33];

    buf_printf(b, "{\"type\":\"/errors/%s\",\"title\":", row->code);
    json_string(b, str_from(cx->korean ? row->ko : row->en));
    buf_printf(b, ",\"status\":%d,\"code\":\"%s\"", row->status, row->code);
    if (story->public_detail.p)
        sentence(b, cx->korean, "detail", story->public_detail);
    member(b, "instance", path);
    member(b, "traceId", trace_id_text(&cx->trace, trace_id));
    if (story->public_extra.p) {
        buf_char(b, ',');
        buf_str_add(b, story->public_extra);
    }
    field_errors(b, cx->korean, story->field_errors);
    buf_char(b, '}');
}

struct str problem_retry_after(struct arena *a, const struct ctx *cx)
{
    int64_t after_s = cx->story.retry_after_s;

    return arena_printf(a, "%" PRId64, after_s ? after_s : RETRY_AFTER_S);
}

void problem_write(struct work *w, enum err e)
{
    const struct err_row *row = err_row(e);
    struct reply *rp = &w->rp;

    if (rp->stream)
        sse_unreserve(rp->stream);
    rp->stream = NULL;
    rp->n_headers = 0;
    rp->status = row->status;
    rp->content_type = STR("application/problem+json");
    buf_init_arena(&rp->body, w->cx.arena, PROBLEM_MAX);
    problem_print(&rp->body, &w->cx, w->rq.path, e);
    if (row->status == 503 || row->status == 429)
        reply_header(&w->cx, rp, STR("Retry-After"), "%.*s",
                     STR_ARG(problem_retry_after(w->cx.arena, &w->cx)));
    if (w->allow.p)
        reply_header(&w->cx, rp, STR("Allow"), "%.*s", STR_ARG(w->allow));
    if (row->status == 401)
        reply_header(&w->cx, rp, STR("WWW-Authenticate"), "Bearer");
}
