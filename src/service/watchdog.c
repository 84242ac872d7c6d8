/*
 * watchdog.c -- the supervisor hears from us only while every listener is answered.
 *
 * A worker that serves a request for long is no hang: that ends with the request's deadline, and
 * another worker comes round meanwhile. When none of a listener does, nobody is served there.
 */
#include "service/watchdog.h"

#include <stdlib.h>
#include <unistd.h>

#include "obs/log.h"
#include "obs/supervisor.h"

#define TIMES 4 /* in the supervisor's time */

static void turn(void *arg, struct arena *a)
{
    const struct watchdog *w = arg;
    int64_t silent_us = clock_monotonic_us() - platform_turned_us(w->platform);

    (void)a;
    if (silent_us < w->bears_us)
        supervisor_tell("WATCHDOG=1");
    else
        log_event(NULL, LOG_ERROR, "a listener has been stuck for %" PRId64 " s",
                  silent_us / US_PER_S);
}

/* 0: nobody watches, or not us but who started us. */
static int64_t asked_us(void)
{
    const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t ret = 0, who = getpid();

    if (!us || (pid && !str_i64(str_from(pid), 1, INT64_MAX, &who)) || who != getpid() ||
        !str_i64(str_from(us), 1, US_PER_DAY, &ret))
        return 0;
    return ret;
}

enum err watchdog_start(struct ctx *cx, struct platform *p, struct watchdog *ret)
{
    int64_t us = asked_us();

    *ret = (struct watchdog){.platform = p, .bears_us = us / 2};
    if (!us)
        return ERR_OK;
    return ticker_start(cx, &ret->ticker, "watchdog", (int)(us / TIMES / US_PER_MS) + 1, turn, ret);
}

void watchdog_stop(struct watchdog *w)
{
    ticker_stop(&w->ticker);
}
