/* lease.h -- leases of timers, jobs and idempotency keys hold work for one process at a time. */
#pragma once

#include "db/db.h"

/*
 * Ends every lease. Only for a process that knows to be the only one on this database (it holds the
 * lock of the data directory): whoever held them is dead, and nobody should wait for a dead
 * process's lease to run out.
 */
enum err leases_recall(struct ctx *cx) MUST_USE;
