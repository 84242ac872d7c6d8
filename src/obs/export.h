/* export.h -- the queue of finished spans; for the files of obs/ only. */
#pragma once

#include "obs/trace.h"

/* Copies what is needed; drops the span when nobody exports or the queue is full. */
void export_span(const struct trace *self, const struct span *s, int64_t end_us, enum err e);
