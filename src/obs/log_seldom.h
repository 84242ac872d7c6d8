/* log_seldom.h -- which lines of a flood are written; used by log.c. */
#pragma once

#include "base/ctx.h"

/* What makes two lines of the same kind: what was done, and how and where it failed (cx may be
 * NULL). */
uint64_t log_kind(const struct ctx *cx, const char *kind, struct str name, enum err e);
/* At most true once in a second of the clock that now_us is read from; *ret_skipped is then how
 * many were refused since the last one. Thread-safe. */
bool log_is_due(uint64_t key, int64_t now_us, int64_t *ret_skipped);
