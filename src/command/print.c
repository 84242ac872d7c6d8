/* print.c -- the commands that only print: help, version, errors, config, migrate's plan. */
#include "command/databases.h"

#include <stdio.h>

#include "data/json.h"
#include "flow/migrate.h"
#include "service/contract.h"

#define HELP_COLUMN 35 /* where the list of commands says what each does */

static void print_flags(struct ctx *cx, const struct command *c)
{
    struct str rest = str_from(c->flags), word;

    while (rest.n) {
        str_cut(rest, ' ', &word, &rest);
        const struct field *f = field_by_name(settings_fields, word);
        printf("  %s%.*s\n        %.*s\n", config_flag(cx->arena, f->name),
               STR_ARG(setting_values(cx, f)), STR_ARG(setting_doc(cx, f)));
    }
}

static int help_on(struct ctx *cx, const struct command *c)
{
    printf("jumun %s%s%s\n\n%s.\n", c->name, c->arguments[0] ? " " : "", c->arguments, c->doc);
    if (c->details[0])
        printf("%s\n", c->details);
    if (c->flags[0]) {
        puts("\nFlags (also as environment variables JUMUN_..., or lines of --config FILE):");
        print_flags(cx, c);
    }
    printf("\nExample:\n  %s\n", c->example);
    return EXIT_DONE;
}

/* A command whose words leave no room for what it does says that on a line of its own. */
static void help_line(const struct command *c)
{
    int n = printf("  %s%s%s", c->name, c->arguments[0] ? " " : "", c->arguments);

    if (n >= HELP_COLUMN) {
        putchar('\n');
        n = 0;
    }
    printf("%*s%s\n", HELP_COLUMN - n, "", c->doc);
}

int command_help(struct ctx *cx, const struct settings *s, struct list words)
{
    (void)s;
    if (words.n == 0) {
        puts("jumun (주문): a food-ordering platform in one binary\n\nCommands:");
        for (const struct command *c = commands; c->name; c++)
            help_line(c);
        puts("\n`jumun help COMMAND` explains one, with an example.");
        return EXIT_DONE;
    }
    struct str word = *LIST_AT(struct str, words, 0);
    for (const struct command *c = commands; c->name; c++)
        if (str_eq(str_from(c->name), word))
            return help_on(cx, c);
    return command_unknown(word);
}

int command_version(struct ctx *cx, const struct settings *s, struct list words)
{
    (void)cx, (void)s, (void)words;
    puts("jumun " JUMUN_VERSION);
    return EXIT_DONE;
}

static const char *retry_text(enum retry r)
{
    return r == RETRY_LATER ? "later" : r == RETRY_ASK ? "ask" : "never";
}

static void print_error_json(struct ctx *cx, enum err e)
{
    const struct err_row *row = err_row(e);
    struct buf b;

    buf_init_arena(&b, cx->arena, 4096);
    buf_printf(&b, "{\"code\":\"%s\",\"status\":%d,\"retry\":\"%s\",\"ko\":", row->code,
               row->status, retry_text(row->retry));
    json_string(&b, str_from(row->ko));
    buf_lit(&b, ",\"en\":");
    json_string(&b, str_from(row->en));
    printf("  %.*s}%s\n", STR_ARG(buf_str(&b)), e + 1 < ERR_COUNT ? "," : "");
}

int command_errors(struct ctx *cx, const struct settings *s, struct list words)
{
    (void)words;
    if (s->json)
        puts("[");
    for (int e = ERR_OK + 1; e < ERR_COUNT; e++) {
        const struct err_row *row = err_row((enum err)e);
        if (s->json)
            print_error_json(cx, (enum err)e);
        else
            printf("%-24s %d  retry: %-5s  %s\n%-40s%s\n", row->code, row->status,
                   retry_text(row->retry), row->en, "", row->ko);
    }
    if (s->json)
        puts("]");
    return EXIT_DONE;
}

int command_config(struct ctx *cx, const struct settings *s, struct list words)
{
    struct buf b;

    if (words.n != 1 || !str_eq(*LIST_AT(struct str, words, 0), STR("print")))
        return command_misused("config", "it takes one word: print");
    buf_init_arena(&b, cx->arena, 64 * 1024);
    config_print(&b, settings_fields, s, &s->result, s->origin);
    fwrite(b.p, 1, b.n, stdout);
    return EXIT_DONE;
}

static int migrate_one(struct ctx *cx, const struct settings *s, const struct service *service)
{
    const struct db_options options = {
        .readers_max = 1, .must_exist = s->dry_run, .clock = cx->clock};
    struct list pending = {NULL, 0};
    struct db *db = NULL;

    enum err e = db_open(cx, settings_database(cx, s), service->name, &options, &db);
    if (e == ERR_NOT_FOUND) { /* all of it is to run */
        if (s->database.n)
            printf("%s: it has no schema on the server yet\n", service->name);
        else
            printf("%s: there is no database yet in %.*s\n", service->name, STR_ARG(s->data));
        e = ERR_OK;
    }
    if (e == ERR_OK) {
        cx->db = db;
        e = migrate(cx, service->migrations, s->dry_run, &pending);
        cx->db = NULL;
        db_close(db);
    }
    if (e != ERR_OK)
        return command_failed(cx, "migrate", e);
    for (size_t i = 0; i < pending.n; i++)
        printf("%s: %.*s %s\n", service->name, STR_ARG(*LIST_AT(struct str, pending, i)),
               s->dry_run ? "is to run" : "done");
    if (pending.n == 0)
        printf("%s: nothing to do\n", service->name);
    return EXIT_DONE;
}

int command_migrate(struct ctx *cx, const struct settings *s, struct list words)
{
    int code = EXIT_DONE;

    for (size_t i = 0; i < words.n; i++)
        if (!service_named(*LIST_AT(struct str, words, i)))
            return command_misused("migrate", "there is no service \"%.*s\"",
                                   STR_ARG(*LIST_AT(struct str, words, i)));
    for (size_t i = 0; all_services[i] && code == EXIT_DONE; i++) {
        bool asked = words.n == 0;
        for (size_t k = 0; k < words.n; k++)
            asked |= service_named(*LIST_AT(struct str, words, k)) == all_services[i];
        if (asked && all_services[i]->migrations)
            code = migrate_one(cx, s, all_services[i]);
    }
    return code;
}

int command_openapi(struct ctx *cx, const struct settings *s, struct list words)
{
    struct buf b;

    (void)s, (void)words;
    buf_init_arena(&b, cx->arena, 16u * 1024 * 1024);
    contract_openapi(&b, all_services, JUMUN_VERSION);
    fwrite(b.p, 1, b.n, stdout);
    putchar('\n');
    return b.overflow ? EXIT_FAILED : EXIT_DONE;
}
