/*
 * outbox.h -- an event is written in the transaction of the change it tells of; the relay publishes
 * it later.
 *
 * Rows are chosen by "not yet published", never only by "greater than the last", because sequences
 * are not in commit order on every engine. Sequence numbers are contiguous per aggregate.
 */
#pragma once

#include "bus/bus.h"
#include "db/db.h"

/* Inside a transaction. `type` is "<service>.<...>"; the topic is the service's name. */
enum err outbox_append(struct ctx *cx, const char *type, struct uuid aggregate_id,
                       const struct field *fields, const void *payload) MUST_USE;
/*
 * How far a relay has come; all zero at first. Rows that were marked stay in the index of those
 * that wait until the server cleans it, so a look begins behind them: at a number that was reached
 * a moment ago, since lower ones may be committed late. Once a second, and until all that it finds
 * then is published, it begins at the first.
 */
struct relay {
    int64_t begin, next_begin, last; /* numbers of rows: of a look, of later ones, of the newest */
    int64_t moved_us, whole_us;      /* when `begin` moved; when a look found all there was */
};
/*
 * Publishes one batch; *ret_n is how many, *ret_more that there may be others. ERR_UNAVAILABLE: the
 * bus is away, nothing was marked.
 */
enum err outbox_relay(struct ctx *cx, struct relay *r, struct bus *bus, size_t *ret_n,
                      bool *ret_more) MUST_USE;
/* Whether the bus has yet to be told something of this aggregate: no use in saying it again. */
enum err outbox_waits(struct ctx *cx, struct uuid aggregate_id, bool *ret) MUST_USE;
/* Unpublished rows, and the age of the oldest in microseconds. */
enum err outbox_lag(struct ctx *cx, int64_t *ret_rows, int64_t *ret_age_us) MUST_USE;
