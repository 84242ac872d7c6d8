/*
 * bus.h -- the event bus port: an append-only log, at least once, ordered per key.
 *
 * A topic is the producing service's name. Events of one key (aggregate id) stay in order; others
 * may not. Published by the outbox relay only. Readers keep their own position: the database that
 * holds the effect also holds the next position, so the broker's idea of it is only a hint.
 */
#pragma once

#include "base/ctx.h"

/* CloudEvents 1.0 attributes; `data` is JSON. */
struct event {
    struct uuid id;
    struct str type;   /* "order.paid" */
    struct str source; /* topic: producing service */
    struct uuid key;   /* aggregate id, also the record key */
    int64_t sequence;  /* 1, 2, 3 ... per key */
    int64_t time_us;
    struct str traceparent;
    struct str data;
    /* set by the bus on the way out */
    int partition;
    int64_t position; /* in the partition, rising */
};

struct bus;
struct bus_reader;

#define BUS_EVENT_MAX (256 * 1024) /* bytes of data */

/* "log:DIR" or "kafka://...". */
enum err bus_open(struct ctx *cx, const char *url, struct bus **ret) MUST_USE;
/*
 * For doctor: looks whether these topics (NULL-terminated) are, or can be made, as the URL says;
 * changes nothing. *ret says what is there; on failure the story says what is wrong and what to do.
 */
enum err bus_probe(struct ctx *cx, const char *url, const char *const *topics,
                   struct str *ret) MUST_USE;
void bus_close(struct bus *bus);
/* Members of a group may be in other processes, which then get their part of the events. */
bool bus_is_shared(const struct bus *bus);
/* How old an event may be that a broker still hands out, by what we ask of it; 0: that is up to
 * bus_sweep. */
int64_t bus_keeps_us(const struct bus *bus);

/*
 * Appends events in order; returns when all are durable at the broker. On failure any prefix may be
 * there: the caller sends them all again, and readers drop what they have seen by event id.
 */
enum err bus_publish(struct ctx *cx, struct bus *bus, const struct event *events,
                     size_t n) MUST_USE;

/* Where to begin in a partition when it is given to this reader: the next position not yet applied.
 */
typedef int64_t bus_start(void *arg, struct str topic, int partition);
#define BUS_FROM_START INT64_C(0)
#define BUS_FROM_END INT64_C(-1)
#define BUS_NOT_KNOWN INT64_C(-2) /* not now: it is asked again before anything is read */

/* Joins `group` (members of a group share the partitions; group NULL gets everything). */
enum err bus_subscribe(struct bus *bus, const char *group, const char *const *topics, size_t n,
                       bus_start *start, void *arg, struct bus_reader **ret) MUST_USE;
void bus_unsubscribe(struct bus_reader *r);
/* Up to max events, waiting at most timeout_ms for the first; data lives in the arena. */
enum err bus_poll(struct bus_reader *r, struct arena *a, int timeout_ms, struct event *out,
                  size_t max, size_t *ret_n) MUST_USE;
/* The effect of everything up to and with this event is durable: a hint for lag. */
void bus_ack(struct bus_reader *r, const struct event *e);
/* What was polled last was not applied after all: the next bus_poll begins again where `start`
 * says. */
void bus_rewind(struct bus_reader *r);
/* Makes a waiting bus_poll return now; from any thread. */
void bus_wake(struct bus_reader *r);
/* How far a reader is behind the end of a topic, in the partitions that it was given last. */
struct bus_behind {
    int64_t events; /* at or after the first that was not acknowledged, or not said to be applied */
    /* When the oldest of them was said; where that is not known, when it was said at the earliest.
     * 0: there are none. */
    int64_t oldest_us;
};
/* Asks the broker. False: it does not answer now. `topic`: one of the reader's. */
bool bus_behind(struct bus_reader *r, const char *topic, struct bus_behind *ret) MUST_USE;

/* What of a topic stays. */
struct bus_keep {
    int64_t keep_us;   /* events younger than this */
    int64_t max_bytes; /* while the log is larger, younger ones go as well; 0: any size */
    /* Types that tell all there is about a key: the newest of each key stays for good, for readers
     * that come later, and older ones go after snapshot_us. NULL-terminated, or NULL. */
    const char *const *snapshots;
    int64_t snapshot_us;
};
struct bus_swept {
    int64_t rows;
    bool more; /* there is more to look at */
};
/* One batch. Nothing goes that a known group has not acknowledged. A broker that has a retention of
 * its own is left to it. */
enum err bus_sweep(struct ctx *cx, struct bus *bus, const char *topic, const struct bus_keep *keep,
                   struct bus_swept *ret) MUST_USE;
/* How often publishing had to wait for the disk; 0 when the disk is another machine's. */
uint64_t bus_syncs(struct bus *bus);
