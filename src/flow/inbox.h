/*
 * inbox.h -- consumers: the effect, the inbox row and the next position commit in one transaction.
 *
 * An event seen before is dropped. An event whose key has a parked event, or that fails for good,
 * is parked: the rest of its key waits behind it, other keys flow. Failures that may pass (retry
 * class LATER) are the caller's to try again, with back-off, before anything else of that
 * partition; one that does not pass is parked by inbox_park, or the whole service would stand
 * behind it.
 */
#pragma once

#include "bus/bus.h"
#include "db/reads.h"

struct consumer {
    const char *type; /* "stock.reserved"; NULL ends the table */
    enum err (*handle)(struct ctx *cx, const struct event *e,
                       const void *data); /* inside the transaction */
    const struct field *data;             /* decoded leniently before */
    const char *doc;
    /* False: the event changes nothing here and is passed over. NULL: every event counts. */
    bool (*concerns)(const void *data);
    /*
     * Adds the reads that the effect begins with; what they bring goes into the decoded data. They
     * are made for all events of a batch at once, before the first effect, so they must not read
     * what the effect of an event of another key changes. It is left out where an event of the same
     * key goes before, and where events are applied one by one: the handler then reads by itself.
     * NULL: none.
     */
    void (*ahead)(struct ctx *cx, void *data, struct reads *reads);
};

/* Where this database stands in a partition: the bus_start of its reader. cx is a tool's ctx. */
enum err inbox_position(struct ctx *cx, struct str topic, int partition, int64_t *ret) MUST_USE;
/* An event without a consumer, or that does not concern it, only moves the position. */
bool inbox_wants(struct ctx *cx, const struct consumer *consumers, const struct event *e);
/*
 * Applies events in their order to cx->db, in one committed transaction of its own; each by itself
 * when one fails for good. ERR_OK also for what was dropped or parked. A failure that may pass: the
 * caller tries all of them again, and what was applied is dropped then.
 */
enum err inbox_apply(struct ctx *cx, const struct consumer *consumers, const struct event *events,
                     size_t n) MUST_USE;

/* Gives up on an event for now: parked as one that failed for good, and the position moves. */
enum err inbox_park(struct ctx *cx, const struct event *e, int tries, struct str reason) MUST_USE;

struct parked {
    int64_t id;
    struct uuid event_id, key;
    struct str type, topic, data, traceparent, reason;
    int64_t sequence, position, partition, time_us, tries, parked_at;
};
extern const struct field parked_fields[];
/* Oldest first. In a list of several a large event's data is left out; alone it is whole. */
enum err parked_list(struct ctx *cx, int64_t after_id, int64_t limit, struct list *ret) MUST_USE;
/*
 * Applies the parked event again and then those behind it on its key, in order; stops at the first
 * that fails: ERR_DEAD_LETTER, with the reason as public detail. ERR_NOT_FOUND: no such number.
 */
enum err parked_retry(struct ctx *cx, const struct consumer *consumers, int64_t id) MUST_USE;
/* Drops this one for good (audited by the caller), then the ones behind it flow as far as they can.
 */
enum err parked_discard(struct ctx *cx, const struct consumer *consumers, int64_t id) MUST_USE;
