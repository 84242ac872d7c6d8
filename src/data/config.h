/*
 * config.h -- configuration by field table, with the origin of every value.
 *
 * Flags > environment (JUMUN_ + upper snake of the name; _FILE reads a secret from a file) > the
 * file of
 * --config (lines `name = value`, # comments) > default. Unknown keys, flags and JUMUN_ variables
 * are errors that suggest the nearest name; but for what Kubernetes tells of Services named jumun
 * and jumun-... (JUMUN_PORT, JUMUN_ORDER_SERVICE_HOST), which is passed over.
 */
#pragma once

#include "base/buf.h"
#include "base/ctx.h"
#include "data/field.h"

enum config_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct config_source {
    int argc;
    char **argv;    /* arguments after the command's name */
    char **environ; /* NULL: none */
};

struct config_result {
    enum config_origin origins[128]; /* by row of the table */
    struct list positional;          /* struct str: arguments that are not flags */
    char problem[512];               /* when ERR_INVALID: all problems, one clause each */
};

/*
 * Fills `out` (already holding defaults) from the source. Flag names are the table's names in
 * kebab-case (tossListen -> --toss-listen, JUMUN_TOSS_LISTEN); a bool flag takes no value;
 * --name=value and --name value both work; `--` ends flags. Strings live in the arena. ERR_INVALID
 * with ret->problem set: all that is wrong is told at once.
 */
enum err config_read(struct arena *a, const struct field *fields, void *out,
                     const struct config_source *source, struct config_result *ret) MUST_USE;
/* Prints `name = value  # origin`, secrets as ***; for `jumun config print`. */
void config_print(struct buf *b, const struct field *fields, const void *values,
                  const struct config_result *result, bool with_origin);
/* The flag of a setting: tossListen -> --toss-listen. */
const char *config_flag(struct arena *a, const char *name);
/* The candidate nearest to `word` by edit distance (<= 3, and at most half of its letters), or
 * NULL; for "did you mean". */
const char *nearest_word(struct str word, const char *const *candidates, size_t n);
