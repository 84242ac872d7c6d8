/* main.c -- the table of commands, and finding, checking and running the one that was asked for. */
#include "command/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "obs/log.h"
#include "obs/supervisor.h"

extern char **environ;

#define ARENA_MAX (256u * 1024 * 1024)

/* Flags of everything that runs or opens services. */
#define PLATFORM_FLAGS                                                                             \
    "data database databaseConnections databaseReplicas databaseReplicaLag bus cache config "      \
    "listen "                                                                                      \
    "internalListen tossListen issuer "                                                            \
    "tossUrl "                                                                                     \
    "tossSecretKey tossClientKey blobs blobsAccessKey blobsSecretKey otlpEndpoint "                \
    "env log logRequests startWait threads slowThreads rateLimit corsOrigins proxies "             \
    "streamsPerUser "                                                                              \
    "outboxKeepMinutes busKeepHours busMaxMb inboxKeepHours demo peers upstreams "                 \
    "gatewayRoutes gatewayRequests gatewayConnect gatewayAnswer "                                  \
    "serviceKeys keysSecret authSilence discovery discoveryHost discoveryRenew discoveryListen "   \
    "discoveryCredentials discoveryPeers discoveryEvict discoveryEvictAlways"

/* clang-format off */
const struct command commands[] = {
    {"up", "", "runs the whole platform in this process",
     "Prints one line when everything answers; logs go to stderr. SIGTERM or SIGINT stops it without a failed request.",
     "jumun up --demo --data /tmp/jumun --listen 127.0.0.1:0", command_up, PLATFORM_FLAGS},
    {"serve", "NAME...", "runs some services in this process",
     "Names: auth user store order payment toss; discovery (a Eureka server); gateway (the one address of all, alone in its process).",
     "jumun serve order payment --data /var/lib/jumun", command_serve, PLATFORM_FLAGS},
    {"service-keys", "DIR [NAME...]", "makes keys by which services in other processes know each other",
     "DIR/NAME.key is the service's own, DIR/NAME.pub for all the others. What is there already stays.",
     "jumun service-keys /etc/jumun/keys", command_service_keys, "log"},
    {"migrate", "[NAME...]", "brings databases to this version's schema",
     "`up` and `serve` do it by themselves; this one only migrates, or with --dry-run tells what it would do.",
     "jumun migrate order --dry-run", command_migrate, "data database config dryRun log"},
    {"doctor", "", "says what is wrong with the directory, the servers and the keys, and what to do",
     "Tries each: `ok` or `FAIL` and advice on a line. With --audit it checks every invariant of the data; also beside a running platform.",
     "jumun doctor --audit --data /var/lib/jumun", command_doctor,
     "data database databaseReplicas databaseReplicaLag bus cache blobs blobsAccessKey blobsSecretKey peers upstreams discovery serviceKeys keysSecret config audit log"},
    {"dlq", "list | show|retry|discard SERVICE NUMBER", "dead letters of a running platform",
     "Events that a service could not apply. Others of the same key wait behind them.",
     "jumun dlq retry order 7", command_dlq, "data database keysSecret serviceKeys config listen internalListen issuer service log"},
    {"operator", "add|remove USERNAME", "makes an account of a running platform an operator's",
     "Sign up first, as a customer: operators have accounts of their own. Whoever can read the platform's keys may do this.",
     "jumun operator add hana --data /var/lib/jumun --issuer https://order.example", command_operator, "data database keysSecret serviceKeys config listen internalListen issuer log"},
    {"replay", "ORDER", "explains one order's whole story", "And checks that today's rules would tell it the same way.",
     "jumun replay 01a208bc-99b9-748b-9a35-fa4e257ccd15", command_replay, "data database config log"},
    {"backup", "DIR", "copies a data directory", "Also of a running platform; DIR must not exist yet. With --database: keys and photos, beside pg_dump.",
     "jumun backup /var/backups/jumun-monday --data /var/lib/jumun", command_backup, "data database config log"},
    {"restore", "DIR", "makes a data directory of a backup", "Only where there is none: nothing is overwritten. With --database, after pg_restore: readies the databases for an empty bus.",
     "jumun restore /var/backups/jumun-monday --data /var/lib/jumun", command_restore, "data database config log"},
    {"config", "print", "prints the configuration that would be used",
     "Flags win over the environment (JUMUN_LISTEN, secrets also as JUMUN_..._FILE), over --config FILE, over the default."
     " For people to read: secrets are ***, and what is not set has no value, so it is no --config FILE.",
     "JUMUN_THREADS=4 jumun config print --origin", command_config, PLATFORM_FLAGS " origin"},
    {"demo", "", "drives a running platform over HTTP: a lunch rush",
     "Customers order, pay, cancel; owners accept, cook, refuse; the provider declines and loses answers. Ends with a"
     " summary. Needs a platform started with --demo.",
     "jumun demo --orders 500 --rate 50", command_demo, "data database config listen tossListen tossUrl orders rate watch log"},
    {"openapi", "", "prints the HTTP contract (OpenAPI 3.1)", "Made from the same tables that check requests.",
     "jumun openapi > openapi.json", command_openapi, ""},
    {"errors", "", "prints every error code with its status and titles", "",
     "jumun errors --json", command_errors, "json"},
    {"completion", "bash", "prints what makes a shell complete these words", "Of commands, their words and flags.",
     "jumun completion bash | sudo tee /etc/bash_completion.d/jumun", command_completion, ""},
    {"man", "", "prints the manual page", "Commands, all settings, exit codes.",
     "jumun man | man -l -", command_man, ""},
    {"version", "", "prints the version", "", "jumun version", command_version, ""},
    {"help", "[COMMAND]", "explains a command", "", "jumun help up", command_help, ""},
    {0},
};
/* clang-format on */

static const struct command *find(struct str name)
{
    for (const struct command *c = commands; c->name; c++)
        if (str_eq(str_from(c->name), name))
            return c;
    return NULL;
}

static bool takes(const struct command *c, const char *setting)
{
    struct str rest = str_from(c->flags), word;

    while (rest.n) {
        str_cut(rest, ' ', &word, &rest);
        if (str_eq(word, str_from(setting)))
            return true;
    }
    return false;
}

/* A start that fails is an error for the journal too. */
static const char *error_priority(void)
{
    return supervisor_reads(STDERR_FILENO) ? "<3>" : "";
}

int command_misused(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "%sjumun %s: ", error_priority(), command);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nTry `jumun help %s`.\n", command);
    va_end(args);
    return EXIT_USAGE;
}

int command_failed(struct ctx *cx, const char *command, enum err e)
{
    /* The titles are for people behind HTTP: "try again" frees no port. */
    fprintf(stderr, "%sjumun %s: %s\n", error_priority(), command,
            cx->story.detail[0] ? cx->story.detail : err_row(e)->en);
    /* An address, a URL, a file: what was given is wrong, and trying again does not mend it. */
    if (e == ERR_INVALID || e == ERR_DAMAGED)
        return EXIT_USAGE;
    return err_row(e)->retry == RETRY_LATER && e != ERR_INTERNAL ? EXIT_TRY_AGAIN : EXIT_FAILED;
}

int command_unknown(struct str word)
{
    const char *names[32];
    size_t n = 0;

    for (const struct command *c = commands; c->name && n < COUNT_OF(names); c++)
        names[n++] = c->name;
    const char *near = nearest_word(word, names, n);
    fprintf(stderr, "jumun: there is no command \"%.*s\"", STR_ARG(word));
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fprintf(stderr, "\nTry `jumun help`.\n");
    return EXIT_USAGE;
}

static int run(struct ctx *cx, const struct command *c, int argc, char **argv)
{
    static struct settings s; /* outlives main's frame: threads read it */
    struct config_source source = {.argc = argc, .argv = argv, .environ = environ};

    settings_defaults(&s);
    if (config_read(cx->arena, settings_fields, &s, &source, &s.result) != ERR_OK)
        return command_misused(c->name, "%s", s.result.problem);
    for (size_t i = 0; settings_fields[i].type != FIELD_END; i++)
        if (s.result.origins[i] == ORIGIN_FLAG && !takes(c, settings_fields[i].name))
            return command_misused(c->name, "it takes no %s",
                                   config_flag(cx->arena, settings_fields[i].name));
    if (!c->arguments[0] && s.result.positional.n > 0)
        return command_misused(c->name, "unexpected \"%.*s\"",
                               STR_ARG(*LIST_AT(struct str, s.result.positional, 0)));
    bool human = s.log == 1 || (s.log == 0 && isatty(STDERR_FILENO));
    log_configure(LOG_INFO, human ? LOG_HUMAN : LOG_JSON);
    return c->run(cx, &s, s.result.positional);
}

static bool asks_for_help(struct str word)
{
    return str_eq(word, STR("--help")) || str_eq(word, STR("-h"));
}

/* Anywhere behind the command, up to the end of its flags. */
static bool wants_help(int argc, char **argv)
{
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (asks_for_help(str_from(argv[i])))
            return true;
    return false;
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct rng rng;
    struct str word = argc > 1 ? str_from(argv[1]) : STR("help");

    umask(077); /* databases hold people and hashes, whatever the mode of the directory */
    if (asks_for_help(word))
        word = STR("help");
    if (str_eq(word, STR("--version")))
        word = STR("version");
    const struct command *c = find(word);
    if (!c)
        return command_unknown(word);
    arena_init(&arena, ARENA_MAX);
    rng_init(&rng);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    int code = wants_help(argc, argv)
                   ? run(&cx, find(STR("help")), 1, argv + 1) /* of the command before it */
                   : run(&cx, c, argc > 2 ? argc - 2 : 0, argv + 2);
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE) {
        fprintf(stderr, "jumun %s: what it says could not be written\n", c->name);
        code = EXIT_FAILED;
    }
    arena_release(&arena);
    return code;
}
