/* command.h -- the words of the command line: one row each, and what they share. */
#pragma once

#include "command/settings.h"
#include "service/platform.h"

#ifndef JUMUN_VERSION
#define JUMUN_VERSION "0.1.0"
#endif

/* Exit codes. USAGE: words, settings or data are wrong, and somebody has to mend them: supervisors
 * do not start it again. TRY_AGAIN: what it needs was not there. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TRY_AGAIN = 75 };

struct command {
    const char *name, *arguments, *doc, *details, *example;
    /* `words` are the arguments that are not flags (struct str). The arena lives until the process
     * ends. */
    int (*run)(struct ctx *cx, const struct settings *s, struct list words);
    const char *flags; /* names of settings it takes as flags, separated by spaces; "*": those of a
                          platform */
};
extern const struct command commands[]; /* ends with a NULL name */

int command_up(struct ctx *cx, const struct settings *s, struct list words);
int command_serve(struct ctx *cx, const struct settings *s, struct list words);
int command_service_keys(struct ctx *cx, const struct settings *s, struct list words);
int command_migrate(struct ctx *cx, const struct settings *s, struct list words);
int command_config(struct ctx *cx, const struct settings *s, struct list words);
int command_openapi(struct ctx *cx, const struct settings *s, struct list words);
int command_errors(struct ctx *cx, const struct settings *s, struct list words);
int command_version(struct ctx *cx, const struct settings *s, struct list words);
int command_help(struct ctx *cx, const struct settings *s, struct list words);
int command_doctor(struct ctx *cx, const struct settings *s, struct list words);
int command_replay(struct ctx *cx, const struct settings *s, struct list words);
int command_backup(struct ctx *cx, const struct settings *s, struct list words);
int command_restore(struct ctx *cx, const struct settings *s, struct list words);
int command_operator(struct ctx *cx, const struct settings *s, struct list words);
int command_dlq(struct ctx *cx, const struct settings *s, struct list words);
int command_man(struct ctx *cx, const struct settings *s, struct list words);
int command_completion(struct ctx *cx, const struct settings *s, struct list words);
int command_demo(struct ctx *cx, const struct settings *s, struct list words);

/* Every service of this binary; NULL-terminated. */
extern const struct service *const all_services[];
const struct service *service_named(struct str name); /* NULL: none */
/* Of all that `serve` knows, which are two more: how many. */
#define SERVICE_NAMES_MAX 16
size_t service_names(const char *ret[SERVICE_NAMES_MAX]);

/* What a platform of these settings is started with. */
struct platform_options settings_platform(struct ctx *cx, const struct settings *s,
                                          const struct service *const *services);

/* Who signs our tokens, by these settings. */
struct str settings_issuer(struct ctx *cx, const struct settings *s);

/* Prints the story of a failure to stderr and gives the exit code that goes with it. */
int command_failed(struct ctx *cx, const char *command, enum err e);
int command_misused(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same for a word that is no command; it names the nearest one. */
int command_unknown(struct str word);
