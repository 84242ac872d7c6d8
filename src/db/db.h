/*
 * db.h -- the database port: SQL once, for SQLite (one file per service) and PostgreSQL.
 *
 * SQL is the subset both engines speak: $n parameters, `insert ... on conflict ... returning`,
 * integers, text and UUIDs; times are int64 microseconds UTC, booleans are integers 0/1, money
 * int64 won. UUID columns are declared `uuid` (16-byte blobs in SQLite).
 *
 * Transactions. db_begin nests: an inner begin/commit pair only counts, and the outermost commit is
 * the real one (the dispatcher opens one around idempotent handlers). A failed statement leaves the
 * whole transaction unusable (as in PostgreSQL): only db_rollback may follow, except ERR_DUPLICATE
 * and ERR_CONSTRAINT inside db_savepoint. Isolation: repeatable read. A transaction sees one
 * moment; whoever writes a row that somebody else has written since gets ERR_CONFLICT (PostgreSQL;
 * in SQLite writers go one after another), and the work is run again from its begin. A row that a
 * decision rests on without being changed by it may change meanwhile: write it as well
 * (`update ... set version = version`). Reads outside a transaction see the last durable commit.
 *
 * Replicas. Where cx->old_ok is set, a read outside a transaction may come from a replica, and what
 * it sees is up to options.replica_lag_us old; within one ctx such reads never go back in time. A
 * replica that cannot answer, or cannot prove how old it is, is passed over for the primary. From
 * its first db_begin on a ctx reads what it wrote.
 *
 * Durability. db_commit makes the work atomic and visible; the fsync is shared with other writers
 * (group commit) and may come a little later. Whoever answers the outside waits for it: db_park
 * hands the answer over until the group is durable, db_durable waits in place. If the group's
 * commit fails, every waiter learns ERR_UNAVAILABLE and none of the group's work exists.
 */
#pragma once

#include "base/ctx.h"
#include "data/field.h"

enum db_type { DB_NULL, DB_INT, DB_STR, DB_UUID };

struct db_value {
    enum db_type type;
    union {
        int64_t i;
        struct str s;
        struct uuid u;
    };
};

struct db_args {
    const struct db_value *v;
    size_t n;
};
#define ARGS(...)                                                                                  \
    ((struct db_args){(const struct db_value[]){__VA_ARGS__},                                      \
                      sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value)})
#define NO_ARGS ((struct db_args){NULL, 0})

struct db_value db_int(int64_t v);
struct db_value db_bool(bool v);
struct db_value db_str(struct str s);   /* STR_NONE is null */
struct db_value db_uuid(struct uuid u); /* nil is null */
struct db_value db_null(void);
struct db_value db_opt_int(bool has,
                           int64_t v); /* null unless has: `coalesce($1, column)` in PATCH */

struct db_options {
    bool group_commit;      /* false: db_commit is durable when it returns (simulation, tools) */
    int readers_max;        /* read-only connections, default 8 */
    int connections_max;    /* on a server, of this process; default readers_max + 4 */
    bool must_exist;        /* ERR_NOT_FOUND instead of making it */
    const char *replicas;   /* on a server: URLs of its standbys, separated by commas; NULL: none */
    int64_t replica_lag_us; /* as old as what they answer may be */
    const struct clock *clock;
};

/* "sqlite:DIR" opens DIR/<name>.db; "postgres://..." opens schema <name>. ERR_UNAVAILABLE,
 * ERR_INVALID, ERR_NOT_FOUND. */
enum err db_open(struct ctx *cx, const char *url, const char *name,
                 const struct db_options *options, struct db **ret) MUST_USE;
/* The first URL of a list; those may have commas themselves ("postgres://a,b/x,postgres://c/x").
 * False: it was empty. */
bool db_replica_next(struct str *list, struct str *ret_url);
void db_close(struct db *db); /* commits what is pending, wakes all waiters */

/* All of these work on cx->db. */
enum err db_begin(struct ctx *cx) MUST_USE;
enum err db_commit(struct ctx *cx) MUST_USE;
void db_rollback(struct ctx *cx); /* all levels; harmless without a transaction */
bool db_in_transaction(const struct ctx *cx);

/*
 * Runs one statement; rows, if any, are ignored. ERR_DUPLICATE, ERR_CONSTRAINT, ERR_CONFLICT, ...
 * Nothing waits for its answer: outside a savepoint a failure may be told by the next call that has
 * one, at the latest by db_commit. Who decides by it uses db_change.
 */
enum err db_exec(struct ctx *cx, const char *sql, struct db_args args) MUST_USE;
/* The same; *ret_rows is the number of rows inserted, updated or deleted. */
enum err db_change(struct ctx *cx, int64_t *ret_rows, const char *sql,
                   struct db_args args) MUST_USE;
/* First row into `out` (columns matched by name; unmatched ones are our mistake and assert; fields
 * without a column keep their value). ERR_NOT_FOUND when there is none. */
enum err db_one(struct ctx *cx, const struct field *fields, void *out, const char *sql,
                struct db_args args) MUST_USE;
/* All rows into an arena array. ERR_TOO_LARGE beyond DB_ROWS_MAX rows, beyond DB_BYTES_MAX of the
 * arena, or when the arena has no room left: then *out is not touched. */
#define DB_ROWS_MAX 100000
#define DB_BYTES_MAX (16u * 1024 * 1024)
enum err db_all(struct ctx *cx, const struct field *fields, struct list *out, const char *sql,
                struct db_args args) MUST_USE;
/* One integer, e.g. count(*); null reads as 0. ERR_NOT_FOUND without a row. */
enum err db_int_of(struct ctx *cx, int64_t *out, const char *sql, struct db_args args) MUST_USE;
/* Some reads whose answers come together, in one exchange with a server. */
struct db_read {
    const struct field *fields; /* of `one` and `all` */
    void *one;                  /* the first row; untouched when there is none */
    struct list *all;           /* or all rows, as db_all */
    int64_t *number;            /* or the first column of the first row */
    const char *sql;
    struct db_args args;
    size_t rows; /* set: how many it brought; of `one` and `number` 0 or 1 */
};
#define DB_READS_MAX 16
enum err db_read(struct ctx *cx, struct db_read *reads, size_t n) MUST_USE;
/*
 * Runs one statement that is to change so many rows, without waiting for its answer: if it changes
 * another number, the next call that has an answer, at the latest db_commit, says ERR_CONFLICT. For
 * what was read before and is hardly ever otherwise by now.
 */
enum err db_expect(struct ctx *cx, int64_t rows, const char *sql, struct db_args args) MUST_USE;
/* A transaction of this one statement. */
enum err db_once(struct ctx *cx, int64_t *ret_rows, const char *sql, struct db_args args) MUST_USE;
/* The same for what only spares others work, see db_soon. */
enum err db_once_soon(struct ctx *cx, int64_t *ret_rows, const char *sql,
                      struct db_args args) MUST_USE;
/* Several statements separated by ';' without parameters: migrations only. */
enum err db_script(struct ctx *cx, const char *sql) MUST_USE;

/*
 * `create [unique] index if not exists` on tables that may be large, separated by ';': outside a
 * transaction, and on a server without holding up who writes there. When it fails some of it may
 * have happened; it is said again then. ERR_BUSY from db_script: somebody holds a table for long.
 */
enum err db_online(struct ctx *cx, const char *sql) MUST_USE;

/* A part of the transaction that may fail alone: after db_savepoint_rollback the rest goes on. */
enum err db_savepoint(struct ctx *cx, const char *name) MUST_USE;
enum err db_savepoint_release(struct ctx *cx, const char *name) MUST_USE;
void db_savepoint_rollback(struct ctx *cx, const char *name);

/* Waits until all that this ctx has committed is durable. ERR_UNAVAILABLE: it never happened. */
enum err db_durable(struct ctx *cx) MUST_USE;

/*
 * Inside a transaction: it only spares others work (a lease, a mark, an answer that could be made
 * again). Its commit is visible at once and durable within a second: until then a server that dies
 * takes it back, and nobody is told. Not for what is read with cx->old_ok: how old a replica is, is
 * told by what the log has on its disk.
 */
void db_soon(struct ctx *cx);

/* Called once, from any thread, when the group is durable (ERR_OK) or lost (ERR_UNAVAILABLE). */
struct db_waiter {
    void (*done)(struct db_waiter *w, enum err e);
    struct db_waiter *next;
    struct db *db;
    uint64_t ticket;
    bool sleeps; /* the caller does nothing else until then: the driver may commit in its thread */
};
/* True: w->done will be called. False: nothing to wait for, answer now. */
bool db_park(struct ctx *cx, struct db_waiter *w);

/*
 * Called after a durable commit of work that rang, from the committing thread; must not block.
 * Wakes the relay, and the timers when one is due before they would look by themselves.
 */
struct db_rings {
    bool now;      /* something is to be done at once */
    int64_t at_us; /* or from then on, of the service's clock; INT64_MAX: nothing */
};
void db_ring(struct ctx *cx);                   /* inside a transaction */
void db_ring_at(struct ctx *cx, int64_t at_us); /* the same */
void db_on_commit(struct db *db, void (*wake)(void *arg, const struct db_rings *rings), void *arg);

/*
 * Looks whether these schemas (NULL-terminated; NULL: only whether it lets us in) can be worked
 * with, and changes nothing. *ret says what is there; on failure the story says what is wrong and
 * what to do. ERR_INVALID from the door: waiting will not help.
 */
enum err db_probe(struct ctx *cx, const char *url, const char *const *names,
                  struct str *ret) MUST_USE;

/* The same for one replica of it: whether it is one, and may be read. */
enum err db_probe_replica(struct ctx *cx, const char *url, const char *replica, int64_t lag_max_us,
                          struct str *ret) MUST_USE;

/* For doctor, backup and metrics. */
const char *db_engine(const struct db *db); /* "sqlite" or "postgres" */
bool db_is_shared(const struct db *db);     /* other machines' processes may work on it too */
const char *db_name(const struct db *db);   /* the service, which is also its topic */
enum err db_backup(struct ctx *cx, const char *path) MUST_USE; /* a consistent copy of cx->db */
struct db_stats {
    uint64_t commits, groups /* fsyncs */, waits, rollbacks, statements, exchanges /* awaited */;
    /* Reads of replicas, and of the primary in their place; how many there are, and their age. */
    uint64_t replica_reads, replica_misses, replicas, replica_age_us;
};
struct db_stats db_stats(const struct db *db);
