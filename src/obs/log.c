/* log.c -- one write(2) per line, so that lines of several threads never mix. */
#include "obs/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "obs/log_seldom.h"
#include "obs/supervisor.h"
#include "obs/trace.h"

#define LINE_MAX_BYTES 2048

static _Atomic int least_level = LOG_INFO, line_format = LOG_HUMAN;
static _Atomic bool to_journal;
static const char *const level_names[] = {"debug", "info", "warn", "error"};
/* syslog's, as the journal takes them off a line's head: sd-daemon(3) */
static const char *const priorities[] = {"<7>", "<6>", "<4>", "<3>"};
#define PRIORITY_SIZE 3

void log_configure(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
    to_journal = supervisor_reads(STDERR_FILENO);
}

static size_t put_escaped(char *out, size_t room, const char *text)
{
    size_t n = 0;

    for (; *text && n + 2 < room; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        out[n++] = c < 0x20 ? ' ' : (char)c;
    }
    return n;
}

static int64_t now_us(const struct ctx *cx)
{
    return clock_now(cx && cx->clock ? cx->clock : &clock_system);
}

static void write_line(const struct ctx *cx, enum log_level level, const char *message)
{
    char line[LINE_MAX_BYTES], stamp[TIME_TEXT_SIZE], trace_id[33] = "";
    size_t head = to_journal ? PRIORITY_SIZE : 0, n = head;

    time_format(now_us(cx), stamp);
    if (cx)
        trace_id_text(&cx->trace, trace_id);
    memcpy(line, priorities[level], head);
    if (line_format == LOG_JSON) {
        n += (size_t)snprintf(line + n, sizeof line - n,
                              "{\"at\":\"%s\",\"level\":\"%s\",\"traceId\":\"%s\",\"message\":\"",
                              stamp, level_names[level], trace_id);
        n += put_escaped(line + n, sizeof line - n - 4, message);
        memcpy(line + n, "\"}\n", 3);
        n += 3;
    } else {
        n += (size_t)snprintf(line + n, sizeof line - n - 1, "%.19sZ %-5s %s%s%s%s", stamp,
                              level_names[level], message, *trace_id ? " [" : "", trace_id,
                              *trace_id ? "]" : "");
        if (n > sizeof line - 2)
            n = sizeof line - 2;
        for (size_t i = head; i < n; i++)
            if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
                line[i] = ' '; /* nobody forges a line or moves the terminal's cursor */
        line[n++] = '\n';
    }
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nobody to tell */
}

void log_event(const struct ctx *cx, enum log_level level, const char *format, ...)
{
    char message[1024];
    va_list args;

    if ((int)level < least_level)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    write_line(cx, level, message);
}

void log_seldom(const struct ctx *cx, enum log_level level, const char *subject, const char *format,
                ...)
{
    char message[1024];
    int64_t skipped = 0;
    va_list args;

    if ((int)level < least_level ||
        !log_is_due(log_kind(NULL, format, str_from(subject), ERR_OK), now_us(cx), &skipped))
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (skipped)
        log_event(cx, level, "%s, and %" PRId64 " like it before", message, skipped);
    else
        write_line(cx, level, message);
}

static void log_finished(const struct ctx *cx, const char *kind, struct str name, enum err e,
                         int status, int64_t duration_us, int64_t skipped)
{
    /* Who asks while we start comes back: no error, and seen at every start of services apart. */
    bool ours = e != ERR_OK && e != ERR_STARTING && (status == 0 || status >= 500);
    char more[48] = "";

    if (skipped)
        snprintf(more, sizeof more, ", and %" PRId64 " like it before", skipped);
    if (e == ERR_OK)
        log_event(cx, LOG_INFO, "%s %.*s %d %" PRId64 "us%s", kind, STR_ARG(name), status,
                  duration_us, more);
    else
        log_event(cx, ours ? LOG_ERROR : LOG_INFO, "%s %.*s %d %" PRId64 "us %s: %s (%s:%d)%s",
                  kind, STR_ARG(name), status, duration_us, err_row(e)->code, cx->story.detail,
                  cx->story.file ? cx->story.file : "-", cx->story.line, more);
}

void log_work_each(const struct ctx *cx, const char *kind, struct str name, enum err e, int status,
                   int64_t duration_us)
{
    log_finished(cx, kind, name, e, status, duration_us, 0);
}

void log_work(const struct ctx *cx, const char *kind, struct str name, enum err e, int status,
              int64_t duration_us)
{
    int64_t skipped = 0;

    if (log_is_due(log_kind(cx, kind, name, e), now_us(cx), &skipped))
        log_finished(cx, kind, name, e, status, duration_us, skipped);
}
