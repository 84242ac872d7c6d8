/*
 * saga.h -- a saga as data: (state, event) -> (state, commands, timers), a pure step and its stored history.
 *
 * The step does no I/O and reads no clock. What it decided is applied by saga_apply in one transaction:
 * state row by compare-and-set on its version, history row, commands (outbox or local function) and timers.
 */
#pragma once

#include "db/db.h"

#define SAGA_COMMANDS_MAX 6
#define SAGA_ANY (-1)

struct saga_row {
    int state, event;
    /* Extra condition on the facts of this saga, a pure function; NULL: always. Rows are tried in order. */
    bool (*when)(const void *facts);
    int next;                           /* SAGA_ANY: stays as it is */
    int commands[SAGA_COMMANDS_MAX];    /* 1-based command numbers; 0 ends */
    unsigned may_cause;                 /* set of enum role (SERVICE: the system itself) */
};

struct saga_decision {
    int next;
    int commands[SAGA_COMMANDS_MAX];
    size_t n_commands;
    const struct saga_row *row;
};

/* ERR_ORDER_STATE: no row for it; ERR_FORBIDDEN: a row, but not for this role. */
enum err saga_step(const struct saga_row *rows, size_t n, int state, int event, const void *facts,
                   enum role by, struct saga_decision *ret) MUST_USE;
