/* watchdog.h -- tells the supervisor that this process still works: WatchdogSec, sd_notify(3). */
#pragma once

#include "service/platform.h"
#include "service/ticker.h"

struct watchdog {
    struct ticker ticker;
    struct platform *platform;
    int64_t bears_us; /* so long a listener may be silent */
};

/*
 * Starts when the supervisor asks for it (WATCHDOG_USEC, for this process by WATCHDOG_PID):
 * WATCHDOG=1 four times in that time, as long as each listener came round in the half of it.
 */
enum err watchdog_start(struct ctx *cx, struct platform *p, struct watchdog *ret) MUST_USE;
void watchdog_stop(struct watchdog *w); /* before platform_stop; one that never ran is fine */
