/* sweep.c -- the job that deletes a service's old rows and its old events on the bus. */
#include "service/sweep.h"

#include <time.h>

#include "flow/sweep.h"
#include "service/running.h"

#define BATCHES_MAX 10               /* of one table in one run; timers wait for all of them */
#define PAUSE_US (2 * US_PER_MS)     /* between batches: requests write, too */
#define SNAPSHOT_KEEP_US US_PER_HOUR /* of those that a newer one replaced */

enum err keep_settle(struct ctx *cx, struct platform_keep *keep, int64_t bus_keeps_us)
{
    if (!keep->outbox_us)
        keep->outbox_us = OUTBOX_KEEP_US;
    if (!keep->bus_us)
        keep->bus_us = BUS_KEEP_US;
    if (!keep->bus_bytes)
        keep->bus_bytes = BUS_MAX_BYTES;
    int64_t again_us = bus_keeps_us ? bus_keeps_us : keep->bus_us;
    if (!keep->inbox_us)
        keep->inbox_us = again_us <= BUS_KEEP_US ? INBOX_KEEP_US : again_us + INBOX_SPARE_US;
    if (keep->inbox_us < again_us + INBOX_SPARE_US)
        return fail(cx, ERR_INVALID,
                    "inbox-keep-hours is %lld: events seen must be remembered for %s (%lld) and"
                    " %lld more, or one that comes again would count twice",
                    (long long)(keep->inbox_us / US_PER_HOUR),
                    bus_keeps_us ? "keepHours of --bus and a day" : "bus-keep-hours",
                    (long long)(again_us / US_PER_HOUR), (long long)(INBOX_SPARE_US / US_PER_HOUR));
    return ERR_OK;
}

static void count(struct svc *s, const char *table, int64_t rows)
{
    metric_add(metric_get(METRIC_COUNTER, "jumun_swept_rows_total", "Old rows deleted.", "service",
                          s->service->name, "table", table),
               rows);
}

static void pause_between(const struct ctx *cx)
{
    struct timespec t = {.tv_nsec = PAUSE_US * 1000};

    if (!cx->clock->is_virtual)
        nanosleep(&t, NULL);
}

/* A table, batch by batch; s NULL: the outbox. */
static enum err sweep_table(struct ctx *cx, const struct sweep *s, int64_t keep_us, bool *more)
{
    int64_t rows = SWEEP_BATCH;

    for (int i = 0; i < BATCHES_MAX && rows == SWEEP_BATCH && !cx->svc->stop; i++) {
        if (i > 0)
            pause_between(cx);
        TRY(s ? sweep_rows(cx, s, keep_us, &rows) : sweep_outbox(cx, keep_us, &rows));
        count(cx->svc, s ? s->name : "outbox", rows);
    }
    *more |= rows == SWEEP_BATCH;
    return ERR_OK;
}

/*
 * The bus drops nothing that we have not had, however old. While we are so far behind that the
 * inbox might forget the first of two copies before the second is read, it forgets nothing.
 */
static bool is_far_behind(const struct ctx *cx)
{
    const struct svc *s = cx->svc;

    return s->reader && ctx_now(cx) - s->caught_up_us >= s->platform->options.keep.bus_us;
}

static enum err sweep_bus(struct ctx *cx, bool *more)
{
    const struct platform_keep *keep = &cx->svc->platform->options.keep;
    const struct bus_keep topic = {.keep_us = keep->bus_us,
                                   .max_bytes = keep->bus_bytes,
                                   .snapshots = cx->svc->service->snapshots,
                                   .snapshot_us = SNAPSHOT_KEEP_US < keep->bus_us ? SNAPSHOT_KEEP_US
                                                                                  : keep->bus_us};
    struct bus_swept swept = {0, true};

    for (int i = 0; i < BATCHES_MAX && swept.more && !cx->svc->stop; i++) {
        if (i > 0)
            pause_between(cx);
        TRY(bus_sweep(cx, cx->svc->platform->bus, cx->svc->service->name, &topic, &swept));
        count(cx->svc, "bus", swept.rows);
    }
    *more |= swept.more;
    return ERR_OK;
}

static enum err sweep(struct ctx *cx)
{
    const struct service *service = cx->svc->service;
    const struct platform_keep *keep = &cx->svc->platform->options.keep;
    int64_t outbox_us =
        service->outbox_keep_us > keep->outbox_us ? service->outbox_keep_us : keep->outbox_us;
    bool more = false;

    TRY(sweep_table(cx, NULL, outbox_us, &more));
    if (!is_far_behind(cx))
        TRY(sweep_table(cx, &sweep_inbox, keep->inbox_us, &more));
    TRY(sweep_table(cx, &sweep_idempotency, sweep_idempotency.keep_us, &more));
    for (const struct sweep *s = service->sweeps; s && s->name; s++)
        TRY(sweep_table(cx, s, s->keep_us, &more));
    TRY(sweep_bus(cx, &more));
    return more ? ERR_BUSY : ERR_OK;
}

const struct job common_jobs[] = {
    {"flow.sweep", US_PER_MIN, sweep, "events told and seen, answers given: what is old goes"},
    {0},
};
