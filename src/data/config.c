/* config.c -- reads configuration from flags, environment and a file, and remembers where each
 * value came from. */
#include "data/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "JUMUN_"
#define FILE_MAX (64 * 1024)
#define NAME_MAX_LENGTH 64
#define DISTANCE_MAX 3

/* Edit distance of two short words, one row of the table at a time. */
static size_t distance(struct str a, struct str b)
{
    size_t row[NAME_MAX_LENGTH + 1];

    if (a.n > NAME_MAX_LENGTH || b.n > NAME_MAX_LENGTH)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            size_t shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shift ? change : shift;
        }
    }
    return row[b.n];
}

const char *nearest_word(struct str word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t least = DISTANCE_MAX + 1;

    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, str_from(candidates[i]));
        if (d < least && 2 * d <= word.n) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}

enum form { FORM_CAMEL, FORM_KEBAB, FORM_SNAKE };

/* tossListen -> toss-listen or TOSS_LISTEN. */
static void spell(const char *name, enum form form, char out[NAME_MAX_LENGTH * 2])
{
    size_t n = 0;

    for (; *name && n + 2 < NAME_MAX_LENGTH * 2; name++) {
        bool upper = form != FORM_CAMEL && *name >= 'A' && *name <= 'Z';
        if (upper)
            out[n++] = form == FORM_KEBAB ? '-' : '_';
        char low = upper ? (char)(*name - 'A' + 'a') : *name;
        out[n++] = form == FORM_SNAKE && low >= 'a' && low <= 'z' ? (char)(low - 'a' + 'A') : low;
    }
    out[n] = '\0';
}

const char *config_flag(struct arena *a, const char *name)
{
    char flag[NAME_MAX_LENGTH * 2];

    spell(name, FORM_KEBAB, flag);
    return arena_printf(a, "--%s", flag).p;
}

struct reader {
    struct arena *arena;
    const struct field *fields;
    char *values;
    struct config_result *result;
    bool bad;
};

/* Notes one problem beside those before it: reading goes on, so that all are told at once. */
static void problem(struct reader *r, const char *format, ...) PRINTF_LIKE(2, 3);
static void problem(struct reader *r, const char *format, ...)
{
    char *all = r->result->problem;
    size_t max = sizeof r->result->problem, n = strlen(all);
    va_list args;

    if (r->bad)
        n += (size_t)snprintf(all + n, max - n, "; ");
    r->bad = true;
    if (n >= max)
        return;
    va_start(args, format);
    vsnprintf(all + n, max - n, format, args);
    va_end(args);
}

/* Row whose spelling is `word`, or -1. */
static int find(const struct reader *r, struct str word, enum form form)
{
    char name[NAME_MAX_LENGTH * 2];

    for (int i = 0; r->fields[i].type != FIELD_END; i++) {
        spell(r->fields[i].name, form, name);
        if (str_eq(word, str_from(name)))
            return i;
    }
    return -1;
}

static const char *suggest(const struct reader *r, struct str word, enum form form)
{
    size_t n = fields_count(r->fields);
    const char **names = arena_array(r->arena, n, sizeof *names);

    for (size_t i = 0; i < n; i++) {
        char name[NAME_MAX_LENGTH * 2];
        spell(r->fields[i].name, form, name);
        names[i] = arena_cstr(r->arena, str_from(name));
    }
    return nearest_word(word, names, n);
}

static void unknown(struct reader *r, const char *what, struct str word, enum form form,
                    const char *before)
{
    const char *near = suggest(r, word, form);

    if (near)
        problem(r, "%s \"%s%.*s\" is not known, did you mean \"%s%s\"?", what, before,
                STR_ARG(word), before, near);
    else
        problem(r, "%s \"%s%.*s\" is not known", what, before, STR_ARG(word));
}

/* `said` names the place in messages: "--threads", "JUMUN_THREADS", "jumun.conf:3: threads". */
static void set(struct reader *r, int row, struct str text, enum config_origin origin,
                const char *said)
{
    const struct field *f = &r->fields[row];

    if (r->result->origins[row] > origin)
        return;
    const char *wrong = field_from_text(f, r->values, arena_copy(r->arena, text)).message;
    if (wrong)
        problem(r, "%s is \"%.*s\": %s", said, f->flags & SECRET ? 3 : (int)text.n,
                f->flags & SECRET ? "***" : text.p, wrong);
    r->result->origins[row] = origin; /* also when wrong: what it hides was not asked for */
}

/* Up to FILE_MAX bytes of a file. */
static bool slurp(struct reader *r, const char *path, const char *said, struct str *ret)
{
    char *bytes = arena_alloc(r->arena, FILE_MAX + 1);
    FILE *f = fopen(path, "re");

    if (!f) {
        problem(r, "%s: cannot open %s: %s", said, path, strerror(errno));
        return false;
    }
    size_t n = fread(bytes, 1, FILE_MAX + 1, f);
    bool bad = ferror(f) != 0;
    fclose(f);
    if (bad || n > FILE_MAX) {
        problem(r, "%s: cannot read %s, or it is larger than %d bytes", said, path, FILE_MAX);
        return false;
    }
    *ret = (struct str){bytes, n};
    return true;
}

static void read_line(struct reader *r, struct str line, const char *said)
{
    struct str name, value;
    int row = -1;

    if (!str_cut(line, '=', &name, &value)) {
        problem(r, "%s: \"%.*s\" is not of the form name = value", said, STR_ARG(line));
        return;
    }
    name = str_trim(name);
    for (int i = 0; r->fields[i].type != FIELD_END; i++)
        if (str_eq(name, str_from(r->fields[i].name)))
            row = i;
    if (row < 0)
        unknown(r, arena_printf(r->arena, "%s:", said).p, name, FORM_CAMEL, "");
    else
        set(r, row, str_trim(value), ORIGIN_FILE,
            arena_printf(r->arena, "%s: %s", said, r->fields[row].name).p);
}

static void read_file(struct reader *r, const char *path)
{
    struct str rest, line;

    if (!slurp(r, path, "--config", &rest))
        return;
    for (int number = 1; rest.n; number++) {
        str_cut(rest, '\n', &line, &rest); /* the last line may have no end */
        if (str_ends(line, STR("\r")))
            line.n--;
        line = str_trim(line);
        if (line.n && line.p[0] != '#')
            read_line(r, line, arena_printf(r->arena, "%s:%d", path, number).p);
    }
}

/* `name` ends with that word: alone or behind another one. */
static bool cut_word(struct str *name, struct str word)
{
    if (!str_ends(*name, word) || (name->n > word.n && name->p[name->n - word.n - 1] != '_'))
        return false;
    name->n -= name->n > word.n ? word.n + 1 : word.n;
    return true;
}

/* PORT_8080_TCP, and behind it ADDR, PORT or PROTO. */
static bool is_link_port(struct str name)
{
    (void)(cut_word(&name, STR("ADDR")) || cut_word(&name, STR("PORT")) ||
           cut_word(&name, STR("PROTO")));
    if (!cut_word(&name, STR("TCP")) && !cut_word(&name, STR("UDP")) &&
        !cut_word(&name, STR("SCTP")))
        return false;
    size_t end = name.n;
    while (name.n && name.p[name.n - 1] >= '0' && name.p[name.n - 1] <= '9')
        name.n--;
    if (name.n == end || name.n == 0 || name.p[--name.n] != '_')
        return false;
    return cut_word(&name, STR("PORT"));
}

/* A Kubernetes Service named jumun, or jumun-order, leaves these in every pod beside it. */
static bool is_service_link(struct str name, struct str value)
{
    static const char *const protocols[] = {"tcp://", "udp://", "sctp://"};
    size_t at = str_find(name, STR("SERVICE_PORT_"));

    if (is_link_port(name) || cut_word(&name, STR("SERVICE_HOST")) ||
        cut_word(&name, STR("SERVICE_PORT")))
        return true;
    if (at != SIZE_MAX && (at == 0 || name.p[at - 1] == '_') &&
        at + STR("SERVICE_PORT_").n < name.n)
        return true;
    for (size_t i = 0; i < COUNT_OF(protocols); i++)
        if (str_starts(value, str_from(protocols[i])))
            return cut_word(&name, STR("PORT"));
    return false;
}

static void read_environment(struct reader *r, char **environ)
{
    for (; environ && *environ; environ++) {
        struct str name, value, text;
        if (!str_starts(str_from(*environ), STR(PREFIX)) ||
            !str_cut(str_from(*environ), '=', &name, &value))
            continue;
        const char *said = arena_cstr(r->arena, name);
        name.p += sizeof PREFIX - 1;
        name.n -= sizeof PREFIX - 1;
        int row = find(r, name, FORM_SNAKE);
        if (row >= 0) {
            set(r, row, value, ORIGIN_ENVIRONMENT, said);
            continue;
        }
        if (str_ends(name, STR("_FILE")))
            row = find(r, (struct str){name.p, name.n - 5}, FORM_SNAKE);
        if (row < 0) {
            if (!is_service_link(name, value))
                unknown(r, "environment variable", name, FORM_SNAKE, PREFIX);
            continue;
        }
        if (!slurp(r, arena_cstr(r->arena, value), said, &text))
            continue;
        while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
            text.n--;
        set(r, row, text, ORIGIN_ENVIRONMENT, said);
    }
}

static void read_flag(struct reader *r, const struct config_source *s, int *at)
{
    struct str name = str_from(s->argv[*at] + 2), value = STR_NONE, head, tail;
    const char *said = s->argv[*at];

    if (str_cut(name, '=', &head, &tail)) {
        name = head;
        value = tail;
        said = arena_printf(r->arena, "--%.*s", STR_ARG(name)).p;
    }
    int row = find(r, name, FORM_KEBAB);
    if (row < 0) {
        unknown(r, "flag", name, FORM_KEBAB, "--");
        return;
    }
    if (r->fields[row].type == FIELD_BOOL && !value.p) {
        value = STR("true");
    } else if (!value.p) {
        if (*at + 1 >= s->argc) {
            problem(r, "%s needs a value", said);
            return;
        }
        value = str_from(s->argv[++*at]);
    }
    set(r, row, value, ORIGIN_FLAG, said);
}

static void read_flags(struct reader *r, const struct config_source *s)
{
    struct str *words = arena_array(r->arena, (size_t)s->argc + 1, sizeof *words);
    size_t n = 0;
    bool flags = true;

    for (int i = 0; i < s->argc; i++) {
        if (flags && strcmp(s->argv[i], "--") == 0)
            flags = false;
        else if (flags && strncmp(s->argv[i], "--", 2) == 0)
            read_flag(r, s, &i);
        else if (flags && s->argv[i][0] == '-' && s->argv[i][1])
            problem(r, "flag \"%s\" is not known, flags begin with --", s->argv[i]);
        else
            words[n++] = str_from(s->argv[i]);
    }
    r->result->positional = (struct list){words, n};
}

enum err config_read(struct arena *a, const struct field *fields, void *out,
                     const struct config_source *source, struct config_result *ret)
{
    struct reader r = {a, fields, out, ret, false};

    assert(fields_count(fields) <= COUNT_OF(ret->origins));
    *ret = (struct config_result){0};
    read_flags(&r, source);
    read_environment(&r, source->environ);
    const struct field *file = field_by_name(fields, STR("config"));
    if (file) {
        struct str path;
        memcpy(&path, r.values + file->at, sizeof path);
        if (path.n)
            read_file(&r, arena_cstr(a, path));
    }
    return r.bad ? ERR_INVALID : ERR_OK;
}

static void print_value(struct buf *b, const struct field *f, const char *at)
{
    switch (f->type) {
    case FIELD_BOOL:
        buf_str_add(b, *(const bool *)(const void *)at ? STR("true") : STR("false"));
        break;
    case FIELD_INT:
        buf_i64(b, *(const int64_t *)(const void *)at);
        break;
    case FIELD_ENUM:
        buf_str_add(b, str_from(f->names[*(const int *)(const void *)at]));
        break;
    default: {
        const struct str *s = (const struct str *)(const void *)at;
        buf_str_add(b, s->n && f->flags & SECRET ? STR("***") : *s);
        break;
    }
    }
}

void config_print(struct buf *b, const struct field *fields, const void *values,
                  const struct config_result *result, bool with_origin)
{
    static const char *const origins[] = {"default", "file", "environment", "flag"};

    for (size_t i = 0; fields[i].type != FIELD_END; i++) {
        buf_printf(b, "%s = ", fields[i].name);
        print_value(b, &fields[i], (const char *)values + fields[i].at);
        if (with_origin)
            buf_printf(b, "  # %s", origins[result->origins[i]]);
        buf_char(b, '\n');
    }
}
