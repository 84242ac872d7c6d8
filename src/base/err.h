/* err.h -- the one error enum, its table, and TRY. */
#pragma once

#include "base/attr.h"

enum err {
    ERR_OK = 0,
#define ERROR(name, status, retry, ko, en) ERR_##name,
#include "base/errors.def"
#undef ERROR
    ERR_COUNT
};

/* Whether sending the same request again can help. */
enum retry { RETRY_NEVER, RETRY_LATER, RETRY_ASK };

struct err_row {
    const char *code; /* upper snake, the `code` of problem+json */
    int status;       /* HTTP */
    enum retry retry;
    const char *ko, *en;
};

/* The row of an error; e is in [0, ERR_COUNT). ERR_OK has code "OK" and status 200. */
const struct err_row *err_row(enum err e);

/*
 * Hand a failure to the caller. Only in functions that own nothing: memory is the arena's and the
 * transaction is the dispatcher's, so leaving early leaks nothing.
 */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        enum err try_err_ = (expression);                                                          \
        if (try_err_ != ERR_OK)                                                                    \
            return try_err_;                                                                       \
    } while (0)
