/*
 * saga.h -- a saga as data: (state, event, facts) -> (state, commands), a pure step over a table of
 * rows.
 *
 * The step does no I/O and reads no clock. What is not in the state but decides (money back? time
 * left?) comes as a set of facts, worked out by the caller and kept in the history beside the
 * event, so that any history can be replayed against today's table and every difference is found.
 */
#pragma once

#include "base/ctx.h"

#define SAGA_COMMANDS_MAX 6
#define SAGA_STAYS (-1)     /* next: the state does not change */
#define SAGA_ANY_STATE (-1) /* state: every one; such rows come last */

struct saga_row {
    int state, event;
    unsigned facts_set, facts_clear; /* must be there, must not be there; rows are tried in order */
    int next;
    int commands[SAGA_COMMANDS_MAX]; /* command numbers from 1; 0 ends */
    unsigned may_cause;              /* set of enum role; SERVICE is the system itself */
};

struct saga_decision {
    int next; /* never SAGA_STAYS: the state itself */
    int commands[SAGA_COMMANDS_MAX];
    size_t n_commands;
};

/* ERR_ORDER_STATE: no row for it; ERR_FORBIDDEN: a row, but not for this role. */
enum err saga_step(const struct saga_row *rows, size_t n, int state, int event, unsigned facts,
                   enum role by, struct saga_decision *ret) MUST_USE;

/* One step as the history keeps it. */
struct saga_record {
    int from, event, to;
    unsigned facts;
    enum role by;
};

/*
 * Runs a history again. ERR_OK: today's table decides the same at every step. ERR_ORDER_STATE: it
 * does not; *ret_step is the first record that differs (also when its `from` is not the `to` before
 * it).
 */
enum err saga_replay(const struct saga_row *rows, size_t n, const struct saga_record *history,
                     size_t n_records, size_t *ret_step) MUST_USE;
