/* log.c -- one write(2) per line, so that lines of several threads never mix. */
#include "obs/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "obs/trace.h"

#define LINE_MAX_BYTES 2048

static _Atomic int least_level = LOG_INFO, line_format = LOG_HUMAN;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
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

static void write_line(const struct ctx *cx, enum log_level level, const char *message)
{
    char line[LINE_MAX_BYTES], stamp[TIME_TEXT_SIZE], trace_id[33] = "";
    size_t n;

    time_format(clock_now(cx && cx->clock ? cx->clock : &clock_system), stamp);
    if (cx)
        trace_id_text(&cx->trace, trace_id);
    if (line_format == LOG_JSON) {
        n = (size_t)snprintf(line, sizeof line,
                             "{\"at\":\"%s\",\"level\":\"%s\",\"traceId\":\"%s\",\"message\":\"",
                             stamp, level_names[level], trace_id);
        n += put_escaped(line + n, sizeof line - n - 4, message);
        memcpy(line + n, "\"}\n", 3);
        n += 3;
    } else {
        n = (size_t)snprintf(line, sizeof line - 1, "%.19sZ %-5s %s%s%s%s", stamp,
                             level_names[level], message, *trace_id ? " [" : "", trace_id,
                             *trace_id ? "]" : "");
        if (n > sizeof line - 2)
            n = sizeof line - 2;
        for (size_t i = 0; i < n; i++)
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

void log_work(const struct ctx *cx, const char *kind, struct str name, enum err e, int status,
              int64_t duration_us)
{
    bool ours = e != ERR_OK && (status == 0 || status >= 500);

    if (e == ERR_OK)
        log_event(cx, LOG_INFO, "%s %.*s %d %" PRId64 "us", kind, STR_ARG(name), status,
                  duration_us);
    else
        log_event(cx, ours ? LOG_ERROR : LOG_INFO, "%s %.*s %d %" PRId64 "us %s: %s (%s:%d)", kind,
                  STR_ARG(name), status, duration_us, err_row(e)->code, cx->story.detail,
                  cx->story.file ? cx->story.file : "-", cx->story.line);
}
