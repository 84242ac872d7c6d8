/* manual.c -- what a shell and `man` want to know of the command line, made of its tables. */
#include "command/command.h"

#include <stdio.h>

/* ---- the manual page (man 7 man) */

/* Text of a line: a hyphen is one that can be copied, and nothing is taken for a request. */
static void roff(struct str text)
{
    if (text.n && (text.p[0] == '.' || text.p[0] == '\''))
        fputs("\\&", stdout);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '-')
            fputs("\\-", stdout);
        else if (text.p[i] == '\\')
            fputs("\\e", stdout);
        else
            putchar(text.p[i]);
    }
}

static void roff_line(struct str text)
{
    roff(text);
    putchar('\n');
}

/* What a paragraph is about, and the rest of its first line. */
static void tag(struct str name, struct str rest)
{
    fputs(".TP\n\\fB", stdout);
    roff(name);
    fputs("\\fR", stdout);
    if (rest.n) {
        fputs(" \\fI", stdout);
        roff(rest);
        fputs("\\fR", stdout);
    }
    putchar('\n');
}

static void man_command(const struct command *c)
{
    tag(str_from(c->name), str_from(c->arguments));
    roff(str_from(c->doc));
    puts(".");
    if (c->details[0]) {
        puts(".br");
        roff_line(str_from(c->details));
    }
    puts(".RS\n.PP\n.EX");
    roff_line(str_from(c->example));
    puts(".EE\n.RE");
}

/* Of test builds alone. */
static bool is_for_tests(const struct field *f)
{
    return str_starts(str_from(f->doc), STR("test builds"));
}

static void man_setting(struct ctx *cx, const struct field *f)
{
    tag(str_from(config_flag(cx->arena, f->name)), str_trim(setting_values(cx, f)));
    roff_line(setting_doc(cx, f));
}

static const char *const man_end[] = {
    ".SH ENVIRONMENT",
    "Each option is also a variable: JUMUN_ and the name in capitals, JUMUN_TOSS_LISTEN for",
    "\\-\\-toss\\-listen. Options win over variables, those over the file of \\-\\-config,",
    "that over the default. A secret may be in a file that a variable with _FILE at its end names:",
    "JUMUN_DATABASE_FILE.",
    ".SH EXIT STATUS",
    ".TP",
    ".B 0",
    "done",
    ".TP",
    ".B 1",
    "failed",
    ".TP",
    ".B 2",
    "words, settings or data are wrong, and somebody has to mend them",
    ".TP",
    ".B 75",
    "what it needs was not there: try again",
    ".SH SIGNALS",
    "SIGTERM and SIGINT end a platform without a failed request: what is in flight is finished.",
};

int command_man(struct ctx *cx, const struct settings *s, struct list words)
{
    (void)s, (void)words;
    puts(".TH JUMUN 1 \"\" \"jumun " JUMUN_VERSION "\" \"User Commands\"\n"
         ".SH NAME\njumun \\- a food\\-ordering platform in one binary\n"
         ".SH SYNOPSIS\n.B jumun\n.I COMMAND\n[\\fIWORD\\fR...] [\\fIOPTION\\fR...]\n"
         ".SH DESCRIPTION\nThe whole platform in one process (\\fBjumun up\\fR), or each service "
         "in\n"
         "a process of its own (\\fBjumun serve\\fR). \\fBjumun help\\fR \\fICOMMAND\\fR says "
         "which\n"
         "options a command takes.\n.SH COMMANDS");
    for (const struct command *c = commands; c->name; c++)
        man_command(c);
    puts(".SH OPTIONS");
    for (const struct field *f = settings_fields; f->type != FIELD_END; f++)
        if (!is_for_tests(f))
            man_setting(cx, f);
    for (size_t i = 0; i < COUNT_OF(man_end); i++)
        puts(man_end[i]);
    return EXIT_DONE;
}

/* ---- completion for bash */

/* Words that may stand behind a command: those that its `arguments` spell out, and what their
 * capitals stand for. */
static void print_words(const struct command *c)
{
    const char *names[SERVICE_NAMES_MAX];
    struct str rest = str_from(c->arguments);
    size_t n_names = strstr(c->arguments, "USERNAME") || !strstr(c->arguments, "NAME")
                         ? 0
                         : service_names(names);

    while (rest.n) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] >= 'a' && rest.p[n] <= 'z')
            n++;
        if (n)
            printf(" %.*s", (int)n, rest.p);
        n += n < rest.n;
        rest = (struct str){rest.p + n, rest.n - n};
    }
    for (size_t i = 0; i < n_names; i++)
        printf(" %s", names[i]);
    if (strstr(c->arguments, "COMMAND"))
        for (const struct command *each = commands; each->name; each++)
            printf(" %s", each->name);
}

static void print_flags_of(struct ctx *cx, const struct command *c)
{
    struct str rest = str_from(c->flags), word;

    while (rest.n) {
        str_cut(rest, ' ', &word, &rest);
        printf(" %s", config_flag(cx->arena, arena_cstr(cx->arena, word)));
    }
}

/* What stands behind a flag: nothing, one of some words, or what the shell offers by itself (a
 * file). */
static void print_value_case(struct ctx *cx, const struct field *f)
{
    if (f->type == FIELD_BOOL || is_for_tests(f))
        return;
    printf("    %s) ", config_flag(cx->arena, f->name));
    if (f->type == FIELD_ENUM) {
        fputs("words=\"", stdout);
        for (int i = 0; f->names[i]; i++)
            printf("%s%s", i ? " " : "", f->names[i]);
        puts("\" ;;");
    } else {
        puts("return ;;");
    }
}

int command_completion(struct ctx *cx, const struct settings *s, struct list words)
{
    (void)s;
    if (words.n != 1 || !str_eq(*LIST_AT(struct str, words, 0), STR("bash")))
        return command_misused("completion", "it takes one word: bash");
    puts("# bash completion of jumun " JUMUN_VERSION ", made by `jumun completion bash`\n"
         "_jumun() {\n"
         "    local words= cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
         "    # The shell takes --log=json for three words.\n"
         "    [ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
         "    [ \"$cur\" = = ] && cur=\n"
         "    COMPREPLY=()\n"
         "    case ${COMP_WORDS[1]} in");
    for (const struct command *c = commands; c->name; c++) {
        printf("    %s) words=\"", c->name);
        print_words(c);
        print_flags_of(cx, c);
        puts("\" ;;");
    }
    puts("    esac\n    case $prev in");
    for (const struct field *f = settings_fields; f->type != FIELD_END; f++)
        print_value_case(cx, f);
    fputs("    esac\n    [ \"$COMP_CWORD\" = 1 ] && words=\"", stdout);
    for (const struct command *c = commands; c->name; c++)
        printf("%s%s", c == commands ? "" : " ", c->name);
    puts("\"\n    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n}\n"
         "complete -o default -F _jumun jumun");
    return EXIT_DONE;
}
