/* lease.c -- ends the leases of a process that is gone. */
#include "flow/lease.h"

enum err leases_recall(struct ctx *cx)
{
    TRY(db_begin(cx));
    TRY(db_exec(cx, "update timers set lease_until = 0 where lease_until > 0", NO_ARGS));
    TRY(db_exec(cx, "update jobs set lease_until = 0 where lease_until > 0", NO_ARGS));
    TRY(db_exec(cx, "delete from idempotency where is_done = 0", NO_ARGS));
    TRY(db_commit(cx));
    return db_durable(cx);
}
