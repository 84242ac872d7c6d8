/* sweep.h -- the job that keeps a service's storage bounded, and the settings it goes by. */
#pragma once

#include "service/platform.h"

#define BUS_KEEP_US (7 * US_PER_DAY)
#define BUS_MAX_BYTES (INT64_C(2048) * 1024 * 1024)

/* Defaults for what is 0. ERR_INVALID when an inbox would forget what the bus may bring again: what
 * it keeps by itself (bus_keeps_us), or as long as we let it. */
enum err keep_settle(struct ctx *cx, struct platform_keep *keep, int64_t bus_keeps_us) MUST_USE;

/* Jobs that every service with a database has beside its own. */
extern const struct job common_jobs[];
