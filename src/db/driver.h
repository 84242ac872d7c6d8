/* driver.h -- what a database driver implements, and what the front of the port shares with it. */
#pragma once

#include "db/db.h"

#include <stdatomic.h>

enum db_want { WANT_NOTHING, WANT_CHANGES, WANT_ONE, WANT_ALL, WANT_INT };

/* One statement on its way through a driver, and where its rows go. */
struct db_query {
    const char *sql;
    struct db_args args;
    enum db_want want;
    const struct field *fields; /* WANT_ONE, WANT_ALL */
    void *out;                  /* WANT_ONE: struct; WANT_ALL: struct list; WANT_INT: int64_t */
    size_t rows, cap;           /* rows taken so far; room in a WANT_ALL list */
    size_t used_before;         /* of the arena, when a WANT_ALL began */
    int64_t changed;            /* set by the driver for WANT_CHANGES */
    bool is_expected; /* WANT_NOTHING: another number of rows than `changed` is ERR_CONFLICT */
};

#define DB_SAVEPOINTS_MAX 8
#define DB_SAVEPOINT_NAME_SIZE 32

/* An open transaction. The driver owns the memory; the front keeps the members. */
struct db_tx {
    int depth;
    struct db_rings rings; /* when it is durable, db_announce */
    bool soon;             /* its commit does not wait for the disk: db_soon */
    bool failed;           /* a statement failed: nothing but a rollback may follow */
    int mended_by; /* failed, but rolling back to this savepoint (1-based) mends it; 0: nothing does
                    */
    int savepoints; /* open ones, innermost last */
    char names[DB_SAVEPOINTS_MAX][DB_SAVEPOINT_NAME_SIZE];
};

enum db_savepoint_verb { SAVEPOINT_SET, SAVEPOINT_RELEASE, SAVEPOINT_UNDO };

struct db_driver {
    const char *engine, *scheme;
    bool shared; /* see db_is_shared */
    /* Sets base.name before it starts any thread. */
    enum err (*open)(struct ctx *cx, const char *location, const char *name,
                     const struct db_options *options, struct db **ret);
    void (*close)(struct db *db);
    enum err (*begin)(struct ctx *cx);  /* outermost; sets cx->tx */
    enum err (*commit)(struct ctx *cx); /* outermost; clears cx->tx, sets cx->ticket */
    void (*rollback)(struct ctx *cx);   /* clears cx->tx */
    enum err (*run)(struct ctx *cx, struct db_query *q);
    /* Reads; NULL: one after another. */
    enum err (*run_several)(struct ctx *cx, struct db_query *q, size_t n);
    /* WANT_CHANGES outside a transaction, as one of its own; NULL: by begin, run and commit. */
    enum err (*once)(struct ctx *cx, struct db_query *q, bool soon);
    enum err (*script)(struct ctx *cx, const char *sql); /* inside a transaction */
    enum err (*online)(struct ctx *cx, const char *sql); /* outside; NULL: as any script */
    /* UNDO takes everything since the savepoint back and forgets the savepoint. */
    enum err (*savepoint)(struct ctx *cx, enum db_savepoint_verb verb, const char *name);
    bool (*park)(struct ctx *cx, struct db_waiter *w);
    enum err (*backup)(struct ctx *cx, const char *path);
    enum err (*probe)(struct ctx *cx, const char *location, const char *const *names,
                      struct str *ret); /* NULL: opening it tells */
    enum err (*probe_replica)(struct ctx *cx, const char *location, const char *replica,
                              int64_t lag_max_us, struct str *ret); /* NULL: it has none */
};

struct db_counters {
    _Atomic uint64_t commits, groups, waits, rollbacks, statements, exchanges;
    _Atomic uint64_t replica_reads, replica_misses, replicas, replica_age_us;
};

/* First member of every driver's own struct. */
struct db {
    const struct db_driver *driver;
    char name[32];
    struct db_counters counters;
    void (*_Atomic wake)(void *arg, const struct db_rings *rings);
    void *_Atomic wake_arg;
};

#define COUNT(db, what) atomic_fetch_add_explicit(&(db)->counters.what, 1, memory_order_relaxed)

extern const struct db_driver db_sqlite, db_postgres;

/* What is_expected was not so. */
enum err db_unexpected(struct ctx *cx, const char *sql) MUST_USE;

/*
 * Makes room for the next row: *ret_object is the struct to fill. ERR_TOO_LARGE when there are too
 * many. Drivers call it for WANT_ONE and WANT_ALL only.
 */
enum err db_query_row(struct ctx *cx, struct db_query *q, void **ret_object) MUST_USE;
/* Stores one column's value (DB_NULL: the zero value); strings are copied to the arena. */
enum err db_query_set(struct ctx *cx, const struct field *f, void *object,
                      struct db_value v) MUST_USE;
/* The type a column must have to fit the field. */
enum db_type db_query_type(const struct field *f);
#define DB_RINGS_NONE ((struct db_rings){false, INT64_MAX})
void db_rings_add(struct db_rings *to, const struct db_rings *more);
/* Tells whoever asked that something became durable, if it rings. */
void db_announce(struct db *db, const struct db_rings *rings);
