/* shed.c -- too much to do: which requests are refused, by how long those before them wait. */
#include "obs/log.h"
#include "service/running.h"

/*
 * A queue that is longer than a moment does not make anything faster: it only makes everybody wait,
 * until who waits first has given up. What is refused at once may come again in a second.
 *
 * Finishing comes before beginning. An order that is not taken costs nobody anything; a payment
 * that is not confirmed is somebody's hold on stock, money in the air and a timer. So what BEGINS
 * is refused when its own pool or the one of the payments falls behind a little, and all else when
 * its own has fallen behind so far that the client is about to give up.
 */
#define BEGIN_DELAY_MAX_US (200 * US_PER_MS)
#define FINISH_DELAY_MAX_US (5 * US_PER_S)
#define PREFER_DELAY_MAX_US (50 * US_PER_MS)
#define SAY_EVERY_US US_PER_S

bool work_waits(const struct work *w)
{
    unsigned flags = w->bound->route->flags;

    return flags & WAITS && (flags & CALLS_OUT || w->rq.wait_s > 0);
}

struct pool *pool_of(const struct work *w)
{
    const struct platform *p = w->platform;
    unsigned flags = w->bound->route->flags;
    bool waits = work_waits(w);

    /* The simulator stands for another company: our pool may be full of requests that wait for it.
     */
    if (!(waits || flags & (SLOW | CALLS_OUT)) || w->listener->kind == LISTEN_TOSS)
        return NULL;
    return flags & SLOW ? p->hashing : waits ? p->waiting : p->slow;
}

static int64_t delay_us(struct pool *pool)
{
    return pool ? pool_delay_us(pool) : 0;
}

static void say(struct work *w, int64_t waits_us)
{
    struct platform *p = w->platform;
    int64_t now = clock_monotonic_us(), said = p->shed_said_us;

    metric_add(p->shed, 1);
    if (now - said < SAY_EVERY_US || !atomic_compare_exchange_strong(&p->shed_said_us, &said, now))
        return;
    log_event(&w->cx, LOG_WARN, "too much to do: refusing %s, others wait for %" PRId64 " ms",
              w->bound->route->path, waits_us / US_PER_MS);
}

enum err shed(struct work *w)
{
    const struct platform *p = w->platform;
    unsigned flags = w->bound->route->flags;
    bool begins = flags & BEGINS;

    /* Who only prefers to wait is not made to, nor refused, because others do. */
    if (work_waits(w) && !(flags & CALLS_OUT) && delay_us(p->waiting) > PREFER_DELAY_MAX_US)
        w->rq.wait_s = 0;
    int64_t waits_us = delay_us(pool_of(w));

    if (begins) {
        int64_t orders_us = delay_us(p->waiting), payments_us = delay_us(p->slow);
        waits_us = orders_us > payments_us ? orders_us : payments_us;
    }
    if (waits_us <= (begins ? BEGIN_DELAY_MAX_US : FINISH_DELAY_MAX_US))
        return ERR_OK;
    w->is_shed = true;
    say(w, waits_us);
    return fail(&w->cx, ERR_BUSY, "others wait for %" PRId64 " ms", waits_us / US_PER_MS);
}
