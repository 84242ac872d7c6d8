/* client.h -- outbound HTTP(S) by libcurl: keep-alive handles in a bounded pool, deadlines, no
 * redirects. */
#pragma once

#include "base/ctx.h"
#include "net/http.h"

struct http_call {
    enum http_method method;
    const char *url;
    struct str body, content_type;
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    int timeout_ms;             /* cut to the ctx's deadline */
    size_t answer_max;          /* bytes, default 1 MiB */
};
struct http_result {
    int status;
    struct str body; /* in the arena */
};
/*
 * ERR_OK with any status that the peer sent. ERR_UNAVAILABLE: surely not sent (refused, no
 * address, no connection in time); ERR_PROVIDER: sent or perhaps sent, the answer is unknown.
 * The peer may have it twice: libcurl sends anew when a connection that it kept ends without a
 * word.
 */
enum err http_call(struct ctx *cx, const struct http_call *call, struct http_result *ret) MUST_USE;
/* A URL as logs and people may see it: without the user and password that it may hold; in the
 * arena.
 */
const char *url_shown(struct arena *a, struct str url);
void http_clients_close(void); /* at exit: frees pooled handles */
