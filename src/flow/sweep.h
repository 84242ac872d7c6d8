/*
 * sweep.h -- what no longer matters is deleted, a bounded number of rows at a time.
 *
 * Each batch is a transaction of its own, so that requests get their turn in between and a crash
 * costs nothing: the next run goes on with what is left. The files of SQLite do not become smaller
 * (auto_vacuum would move pages about in every transaction); their free pages are used again, hence
 * a database stays as large as it was at its busiest.
 */
#pragma once

#include "db/db.h"

/* Rows of a batch; a row may be 256 KiB, and writers wait for all of them. */
#define SWEEP_BATCH 200
#define OUTBOX_KEEP_US US_PER_HOUR      /* after publication; the bus has it for longer */
#define INBOX_KEEP_US (8 * US_PER_DAY)  /* must outlast what the bus may deliver again */
#define INBOX_SPARE_US (1 * US_PER_DAY) /* how much later an event may come a second time */

/* Old rows of one table. */
struct sweep {
    const char *name;        /* in figures; NULL ends the list */
    const char *table, *key; /* key: one column, or several in brackets */
    const char
        *old; /* selects the keys of rows older than the time $1, by an index, oldest first */
    int64_t keep_us;
    const char *doc;
};
extern const struct sweep sweep_inbox, sweep_idempotency;

/* One batch of its own transaction; *ret_rows is what went. SWEEP_BATCH: there is more. */
enum err sweep_rows(struct ctx *cx, const struct sweep *s, int64_t keep_us,
                    int64_t *ret_rows) MUST_USE;
/* The same for events that were published longer ago; one that was not stays, however old. */
enum err sweep_outbox(struct ctx *cx, int64_t keep_us, int64_t *ret_rows) MUST_USE;
