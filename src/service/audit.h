/*
 * audit.h -- invariants as rows: queries that must find nothing, and pairs of queries that must
 * agree.
 *
 * Services share no tables, so what must hold between two of them is checked by reading (key,
 * value) lists of both and joining them here, a full outer join as a reconciliation does.
 */
#pragma once

#include "db/db.h"

/* A query of `key` (uuid) and `value` (integer), ordered by key, each key once. */
struct audit_side {
    const char *service,
        *sql; /* sql NULL: the row is a single query on the left that must find nothing */
};

struct audit_row {
    const char *invariant; /* "I-3" of the list of invariants; NULL ends the table */
    const char *doc;       /* what must be so */
    struct audit_side left, right;
    /* Keys that one side alone may have: with `left_may_lack`, a right row without a left one is
     * fine. */
    bool left_may_lack, right_may_lack;
};

struct audit_finding {
    const struct audit_row *row;
    struct uuid key;
    int64_t left, right;
    bool has_left, has_right;
};

/* The open database of a service, or NULL when the service is not here (its rows are skipped). */
typedef struct db *audit_database(void *arg, const char *service);

#define AUDIT_FINDINGS_MAX 100
/* *ret: findings in the order of the table, at most AUDIT_FINDINGS_MAX of a row, so that what is
 * wrong a thousand times hides nothing else; *ret_checked: rows of the table that could be checked.
 */
enum err audit_run(struct ctx *cx, const struct audit_row *rows, audit_database *database,
                   void *arg, struct list *ret, size_t *ret_checked) MUST_USE;
/* "I-3 reserved equals the held lines: 0192... has 3, should have 2". */
struct str audit_text(struct ctx *cx, const struct audit_finding *f);
