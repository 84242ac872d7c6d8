/* lease.h -- leases of timers, jobs and idempotency keys hold work for one process at a time. */
#pragma once

#include "db/db.h"

/*
 * Ends the leases of this instance's earlier life, so that nobody waits for a dead process's lease
 * to run out. `alone`: no other process works on this database, so that every lease is a dead
 * one's.
 */
enum err leases_recall(struct ctx *cx, bool alone) MUST_USE;
