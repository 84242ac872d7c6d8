/* postgres_replica.h -- standbys of the primary that answer reads which may be a little old. */
#pragma once

#include "db/postgres.h"

/* Which cluster a server belongs to; how far the primary has written, how far a replica replayed.
 */
#define PG_CLUSTER_SQL "select system_identifier from pg_control_system()"
#define PG_WRITTEN_SQL "select cast(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as bigint)"
#define PG_REPLAYED_SQL                                                                            \
    "select case when not pg_is_in_recovery() then -1"                                             \
    " when (select system_identifier from pg_control_system()) <> $1 then -2"                      \
    " else cast(coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0) as bigint) end"
enum { PG_NOT_A_STANDBY = -1, PG_OF_ANOTHER_CLUSTER = -2 };

struct pg_replicas;

/*
 * `urls` are separated by commas; the primary is open. A thread watches how far they are. No
 * replica has to be there: the primary answers in its place. ERR_INVALID.
 */
enum err pg_replicas_open(struct ctx *cx, struct pg_db *primary, const char *urls,
                          int64_t lag_max_us, struct pg_replicas **ret) MUST_USE;
void pg_replicas_close(struct pg_replicas *rs); /* NULL is fine */
/* A read outside a transaction. False: none of them could answer, nothing happened. */
bool pg_replicas_run(struct ctx *cx, struct pg_replicas *rs, struct db_query *queries,
                     size_t n) MUST_USE;
