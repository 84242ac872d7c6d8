/* bus.c -- the front of the event bus port: picks the driver, checks sizes, holds the fault points.
 */
#include "bus/driver.h"

#include "base/fault.h"

static const struct bus_driver *const drivers[] = {&bus_log, &bus_kafka};

static const struct bus_driver *driver_of(struct ctx *cx, const char *url)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (strncmp(url, drivers[i]->scheme, strlen(drivers[i]->scheme)) == 0)
            return drivers[i];
    (void)fail(cx, ERR_INVALID, "no bus driver for this URL's scheme (log:DIR, kafka://HOST:PORT)");
    return NULL;
}

enum err bus_open(struct ctx *cx, const char *url, struct bus **ret)
{
    const struct bus_driver *d = driver_of(cx, url);
    return d ? d->open(cx, url + strlen(d->scheme), ret) : ERR_INVALID;
}

enum err bus_probe(struct ctx *cx, const char *url, const char *const *topics, struct str *ret)
{
    const struct bus_driver *d = driver_of(cx, url);
    *ret = STR("a file");
    if (!d)
        return ERR_INVALID;
    return d->probe ? d->probe(cx, url + strlen(d->scheme), topics, ret) : ERR_OK;
}

void bus_close(struct bus *bus)
{
    if (bus)
        bus->driver->close(bus);
}

bool bus_is_shared(const struct bus *bus)
{
    return bus->driver->shared;
}

int64_t bus_keeps_us(const struct bus *bus)
{
    return bus->driver->keeps_us ? bus->driver->keeps_us(bus) : 0;
}

enum err bus_publish(struct ctx *cx, struct bus *bus, const struct event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert(events[i].type.p && events[i].source.p && events[i].data.p);
        if (events[i].data.n > BUS_EVENT_MAX)
            return fail(cx, ERR_TOO_LARGE, "an event of %zu bytes", events[i].data.n);
    }
    if (n == 0)
        return ERR_OK;
    if (FAULT("bus.publish.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault bus.publish.before");
    TRY(bus->driver->publish(cx, bus, events, n));
    if (FAULT("bus.publish.after"))
        return fail(cx, ERR_UNAVAILABLE, "fault bus.publish.after: the answer is lost");
    return ERR_OK;
}

enum err bus_subscribe(struct bus *bus, const char *group, const char *const *topics, size_t n,
                       bus_start *start, void *arg, struct bus_reader **ret)
{
    return bus->driver->subscribe(bus, group, topics, n, start, arg, ret);
}

void bus_unsubscribe(struct bus_reader *r)
{
    if (r)
        r->bus->driver->unsubscribe(r);
}

enum err bus_poll(struct bus_reader *r, struct arena *a, int timeout_ms, struct event *out,
                  size_t max, size_t *ret_n)
{
    *ret_n = 0;
    return max ? r->bus->driver->poll(r, a, timeout_ms, out, max, ret_n) : ERR_OK;
}

void bus_ack(struct bus_reader *r, const struct event *e)
{
    r->bus->driver->ack(r, e);
}

void bus_rewind(struct bus_reader *r)
{
    r->bus->driver->rewind(r);
}

void bus_wake(struct bus_reader *r)
{
    r->bus->driver->wake(r);
}

bool bus_behind(struct bus_reader *r, const char *topic, struct bus_behind *ret)
{
    *ret = (struct bus_behind){0, 0};
    return r->bus->driver->behind(r, topic, ret);
}

enum err bus_sweep(struct ctx *cx, struct bus *bus, const char *topic, const struct bus_keep *keep,
                   struct bus_swept *ret)
{
    *ret = (struct bus_swept){0, false};
    return bus->driver->sweep ? bus->driver->sweep(cx, bus, topic, keep, ret) : ERR_OK;
}

uint64_t bus_syncs(struct bus *bus)
{
    return bus->driver->syncs ? bus->driver->syncs(bus) : 0;
}
