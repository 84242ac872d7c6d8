/* lease.c -- ends the leases of a process that is gone. */
#include "flow/lease.h"

enum err leases_recall(struct ctx *cx, bool alone)
{
    const struct db_args whose = ARGS(db_bool(alone), db_uuid(cx->instance));

    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "update timers set lease_until = 0"
                " where lease_until > 0 and ($1 = 1 or lease_holder = $2)",
                whose));
    TRY(db_exec(cx,
                "update jobs set lease_until = 0"
                " where lease_until > 0 and ($1 = 1 or lease_holder = $2)",
                whose));
    TRY(db_exec(cx, "delete from idempotency where is_done = 0 and ($1 = 1 or lease_holder = $2)",
                whose));
    TRY(db_commit(cx));
    return db_durable(cx);
}
