/* problem.h -- a failure as application/problem+json (RFC 9457). */
#pragma once

#include "base/buf.h"
#include "base/ctx.h"

/*
 * Appends the document; cx has the story, the trace and the language, b an arena. The story's
 * detail may hold what nobody outside should read: only public_detail and the fields are shown.
 */
void problem_print(struct buf *b, const struct ctx *cx, struct str path, enum err e);
/* Seconds of Retry-After: what the story knows, or one. */
struct str problem_retry_after(struct arena *a, const struct ctx *cx);
