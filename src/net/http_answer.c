/* http_answer.c -- writes the head of an answer. */
#include "net/http.h"

#include <stdio.h>
#include <time.h>

/* "Mon, 23 Nov 2026 10:00:00 GMT"; made once a second per thread. */
static void add_date(struct buf *b)
{
    static _Thread_local time_t made_for;
    static _Thread_local char text[64];
    time_t now = time(NULL);
    struct tm tm;

    if (now != made_for && gmtime_r(&now, &tm)) {
        strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
        made_for = now;
    }
    buf_add(b, text, strlen(text));
}

static void add_field(struct buf *b, struct str name, struct str value)
{
    assert(!memchr(value.p ? value.p : "", '\n', value.n) &&
           !memchr(value.p ? value.p : "", '\r', value.n));
    buf_str_add(b, name);
    buf_lit(b, ": ");
    buf_str_add(b, value);
    buf_lit(b, "\r\n");
}

/* 1xx, 204 and 304 have no body and say nothing of its length. */
bool http_answer_head(struct buf *out, const struct http_answer *a, const struct http_head *request,
                      bool close)
{
    bool has_body = a->status >= 200 && a->status != 204 && a->status != 304;

    buf_printf(out, "HTTP/1.1 %d %s\r\n", a->status, http_reason(a->status));
    add_date(out);
    if (has_body && a->content_type.p)
        add_field(out, STR("Content-Type"), a->content_type);
    if (has_body)
        buf_printf(out, "Content-Length: %zu\r\n", a->body.n);
    for (size_t i = 0; i < a->n_fields; i++)
        add_field(out, a->fields[i].name, a->fields[i].value);
    if (close)
        buf_lit(out, "Connection: close\r\n");
    else if (request && request->http_1_0)
        buf_lit(out, "Connection: keep-alive\r\n");
    buf_lit(out, "\r\n");
    return has_body && !(request && request->method == HTTP_HEAD);
}

struct str http_refusal(struct arena *a, int status, size_t body_max)
{
    const char *code = status == 413 || status == 414 || status == 431 ? "TOO_LARGE"
                       : status == 408                                 ? "DEADLINE"
                                                                       : "MALFORMED";

    char detail[80] = "";

    if (status == 413)
        snprintf(detail, sizeof detail, ",\"detail\":\"A body may have at most %zu bytes here.\"",
                 body_max);
    return arena_printf(
        a, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\"%s}",
        http_reason(status), status, code, detail);
}
