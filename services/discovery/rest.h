/* rest.h -- Eureka's REST protocol over a registry: one request in, one answer out, no sockets. */
#pragma once

#include "discovery/registry.h"
#include "net/server.h"

#define EUREKA_BODY_MAX (64 * 1024)    /* of a registration */
#define EUREKA_BATCH_MAX (1024 * 1024) /* what another server tells at once */

/* Always answers; everything in it lives in cx's arena. */
void eureka_answer(struct ctx *cx, struct registry *r, const struct http_head *head,
                   struct str body, struct http_answer *ret);

/* What the files of the protocol share: one request being answered. */
struct eureka_call {
    struct registry *registry;
    const struct http_head *head;
    struct str body;
    struct str app, id; /* of the path: app in upper case; id is also a vip */
    enum registry_from from;
    struct writer w; /* in the form that was asked for */
    struct buf out;
    int status; /* on success */
};
/* batch.c: POST /peerreplication/batch/ */
enum err eureka_batch(struct ctx *cx, struct eureka_call *c) MUST_USE;
/* gzip.c: false when it would not become smaller than a quarter (and 8 KiB). */
bool gzip_text(struct arena *a, struct str text, struct str *ret);
