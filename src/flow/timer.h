/* timer.h -- something is to happen at a time: rows that survive a crash, fired once, in their own
 * transaction. */
#pragma once

#include "db/db.h"

struct timer_row {
    const char *kind; /* "order.expire"; NULL ends the table */
    /* Inside a transaction that also removes the timer; may set it again. Failing keeps it, later
     * by back-off. */
    enum err (*fire)(struct ctx *cx, struct uuid subject, int64_t attempt);
    /* True: runs outside a transaction (it calls out) and the timer is removed by timer_clear in
     * its own commit. */
    bool calls_out;
    const char *doc;
};

/* Inside a transaction; one timer per (kind, subject): setting again moves it and zeroes attempt.
 */
enum err timer_set(struct ctx *cx, const char *kind, struct uuid subject, int64_t due_us) MUST_USE;
enum err timer_retry(struct ctx *cx, const char *kind, struct uuid subject, int64_t due_us,
                     int64_t attempt) MUST_USE;
enum err timer_clear(struct ctx *cx, const char *kind, struct uuid subject) MUST_USE;
/* Fires what is due, at most `max`; *ret_next_us is when the next one is due (INT64_MAX: none).
 * Leases keep several processes from firing the same one. */
enum err timers_run(struct ctx *cx, const struct timer_row *table, size_t max, size_t *ret_fired,
                    int64_t *ret_next_us) MUST_USE;

/* Periodic work; one process at a time holds the lease. */
struct job {
    const char *name; /* NULL ends the table */
    int64_t every_us;
    /* Opens its own transactions. ERR_BUSY: some is done and some is left; it runs again soon. */
    enum err (*run)(struct ctx *cx);
    const char *doc;
};
enum err jobs_run(struct ctx *cx, const struct job *table, size_t *ret_ran,
                  int64_t *ret_next_us) MUST_USE;
