/* driver.h -- what a bus driver implements. */
#pragma once

#include "bus/bus.h"

struct bus_driver {
    const char *scheme;
    bool shared;                                /* see bus_is_shared */
    int64_t (*keeps_us)(const struct bus *bus); /* NULL: 0 */
    enum err (*open)(struct ctx *cx, const char *location, struct bus **ret);
    void (*close)(struct bus *bus);
    /* Every event's data is within BUS_EVENT_MAX; n > 0. */
    enum err (*publish)(struct ctx *cx, struct bus *bus, const struct event *events, size_t n);
    enum err (*subscribe)(struct bus *bus, const char *group, const char *const *topics, size_t n,
                          bus_start *start, void *arg, struct bus_reader **ret);
    void (*unsubscribe)(struct bus_reader *r);
    enum err (*poll)(struct bus_reader *r, struct arena *a, int timeout_ms, struct event *out,
                     size_t max, size_t *ret_n);
    void (*ack)(struct bus_reader *r, const struct event *e);
    void (*rewind)(struct bus_reader *r);
    void (*wake)(struct bus_reader *r);
    bool (*behind)(struct bus_reader *r, const char *topic, struct bus_behind *ret);
    /* NULL: the broker does it. */
    enum err (*sweep)(struct ctx *cx, struct bus *bus, const char *topic,
                      const struct bus_keep *keep, struct bus_swept *ret);
    uint64_t (*syncs)(struct bus *bus); /* NULL: none of ours */
    enum err (*probe)(struct ctx *cx, const char *location, const char *const *topics,
                      struct str *ret); /* NULL: nothing to see */
};

/* First members of every driver's own structs. */
struct bus {
    const struct bus_driver *driver;
};
struct bus_reader {
    struct bus *bus;
};

extern const struct bus_driver bus_log, bus_kafka;
