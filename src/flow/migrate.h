/* migrate.h -- brings a service's database to the schema this binary was built with. */
#pragma once

#include "db/db.h"

/* A script that begins with this holds nothing but `create [unique] index if not exists ...` on
 * tables that may be large; see db_online. */
#define MIGRATION_ONLINE "-- online: "

struct migration {
    const char *name; /* "0001_carts" */
    const char *sql;
};

/*
 * The tables that flow itself needs (outbox, inbox, offsets, parked, timers, jobs, idempotency)
 * come first, then the service's scripts in order; each runs once, in its own transaction, recorded
 * in `migrations` with a checksum. A script that was changed after it ran is refused
 * (ERR_CONSTRAINT, the story names it). With dry_run nothing changes, and cx->db may be NULL: a
 * database that is still to be made. Names of the pending scripts are added to `pending` (struct
 * str list).
 */
enum err migrate(struct ctx *cx, const struct migration *scripts, bool dry_run,
                 struct list *pending) MUST_USE;
