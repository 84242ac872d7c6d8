/* log.h -- one line per event on stderr: human on a terminal, JSON otherwise; for the journal
 * behind its priority ("<4>"). No personal data, no secrets. */
#pragma once

#include "base/ctx.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_HUMAN, LOG_JSON };

void log_configure(enum log_level least, enum log_format format);
/* A sentence. cx may be NULL; its trace id is added otherwise. */
void log_event(const struct ctx *cx, enum log_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The same, once a second for each format and subject; with how many were not written. */
void log_seldom(const struct ctx *cx, enum log_level level, const char *subject, const char *format,
                ...) PRINTF_LIKE(4, 5);
/*
 * The line of a finished request, event or job; story is printed when e is not ERR_OK. Of those
 * that ended in the same way one a second is written, with how many were not; _each writes all.
 */
void log_work(const struct ctx *cx, const char *kind, struct str name, enum err e, int status,
              int64_t duration_us);
void log_work_each(const struct ctx *cx, const char *kind, struct str name, enum err e, int status,
                   int64_t duration_us);
