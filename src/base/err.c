/* err.c -- the error table. */
#include "base/err.h"

static const struct err_row rows[ERR_COUNT] = {
    [ERR_OK] = {"OK", 200, RETRY_NEVER, "", ""},
#define ERROR(name, status, retry, ko, en) [ERR_##name] = {#name, status, RETRY_##retry, ko, en},
#include "base/errors.def"
#undef ERROR
};

const struct err_row *err_row(enum err e)
{
    assert(e >= ERR_OK && e < ERR_COUNT);
    return &rows[e];
}
