/* trace.h -- W3C trace context, and spans exported by OTLP/HTTP (JSON) from a bounded queue. */
#pragma once

#include "base/buf.h"
#include "base/ctx.h"

#define TRACEPARENT_SIZE 56
void trace_start(struct ctx *cx); /* a new root */
bool trace_continue(struct ctx *cx,
                    struct str traceparent); /* child of it; false: malformed, new root */
struct str trace_format(const struct trace *t, char out[TRACEPARENT_SIZE]);
struct str trace_id_text(const struct trace *t, char out[33]);

struct span {
    struct trace parent;
    int64_t start_us;
    const char *kind; /* "server", "consumer", "client", "internal" */
    struct str name;
};
/* Makes the ctx's trace a child for the span's duration; end restores and queues the export. */
void span_begin(struct ctx *cx, struct span *s, const char *kind, struct str name);
void span_end(struct ctx *cx, struct span *s, enum err e);

/* "http://127.0.0.1:4318" or NULL for none; a full or failing queue drops spans and counts them. */
enum err trace_export_start(const char *endpoint, const char *process_name) MUST_USE;
void trace_export_stop(void);
