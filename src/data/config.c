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
        if (d < least && d < word.n) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}

enum form { FORM_KEBAB, FORM_SNAKE };

/* tossListen -> toss-listen or TOSS_LISTEN. */
static void spell(const char *name, enum form form, char out[NAME_MAX_LENGTH * 2])
{
    size_t n = 0;

    for (; *name && n + 2 < NAME_MAX_LENGTH * 2; name++) {
        bool upper = *name >= 'A' && *name <= 'Z';
        if (upper)
            out[n++] = form == FORM_KEBAB ? '-' : '_';
        char low = upper ? (char)(*name - 'A' + 'a') : *name;
        out[n++] = form == FORM_SNAKE && low >= 'a' && low <= 'z' ? (char)(low - 'a' + 'A') : low;
    }
    out[n] = '\0';
}

struct reader {
    struct arena *arena;
    const struct field *fields;
    char *values;
    struct config_result *result;
};

static enum err problem(struct reader *r, const char *format, ...) PRINTF_LIKE(2, 3);
static enum err problem(struct reader *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->result->problem, sizeof r->result->problem, format, args);
    va_end(args);
    return ERR_INVALID;
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

static enum err unknown(struct reader *r, const char *what, struct str word, enum form form,
                        const char *before)
{
    const char *near = suggest(r, word, form);

    if (near)
        return problem(r, "%s \"%s%.*s\" is not known; did you mean \"%s%s\"?", what, before,
                       STR_ARG(word), before, near);
    return problem(r, "%s \"%s%.*s\" is not known", what, before, STR_ARG(word));
}

/* `said` names the place in messages: "--threads", "JUMUN_THREADS", "jumun.conf:3". */
static enum err set(struct reader *r, int row, struct str text, enum config_origin origin,
                    const char *said)
{
    const struct field *f = &r->fields[row];

    if (r->result->origins[row] > origin)
        return ERR_OK;
    const char *wrong = field_from_text(f, r->values, arena_copy(r->arena, text));
    if (wrong)
        return problem(r, "%s is \"%.*s\", which is %s", said, f->flags & SECRET ? 3 : (int)text.n,
                       f->flags & SECRET ? "***" : text.p, wrong);
    r->result->origins[row] = origin;
    return ERR_OK;
}

/* Up to FILE_MAX bytes of a file. */
static enum err slurp(struct reader *r, const char *path, const char *said, struct str *ret)
{
    char *bytes = arena_alloc(r->arena, FILE_MAX + 1);
    FILE *f = fopen(path, "re");

    if (!f)
        return problem(r, "%s: cannot open %s: %s", said, path, strerror(errno));
    size_t n = fread(bytes, 1, FILE_MAX + 1, f);
    bool bad = ferror(f) != 0;
    fclose(f);
    if (bad || n > FILE_MAX)
        return problem(r, "%s: cannot read %s, or it is larger than %d bytes", said, path,
                       FILE_MAX);
    *ret = (struct str){bytes, n};
    return ERR_OK;
}

static enum err read_file(struct reader *r, const char *path)
{
    struct str rest, line;

    TRY(slurp(r, path, "--config", &rest));
    for (int number = 1; rest.n; number++) {
        struct str name, value;
        if (!str_cut(rest, '\n', &line, &rest)) {
            line = rest;
            rest = STR_NONE;
        }
        line = str_trim(line);
        if (str_ends(line, STR("\r")))
            line.n--;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        const char *said = arena_printf(r->arena, "%s:%d", path, number).p;
        if (!str_cut(line, '=', &name, &value))
            return problem(r, "%s: \"%.*s\" is not of the form name = value", said, STR_ARG(line));
        name = str_trim(name);
        int row = -1;
        for (int i = 0; r->fields[i].type != FIELD_END; i++)
            if (str_eq(name, str_from(r->fields[i].name)))
                row = i;
        if (row < 0)
            return unknown(r, said, name, FORM_KEBAB, "");
        TRY(set(r, row, str_trim(value), ORIGIN_FILE, said));
    }
    return ERR_OK;
}

static enum err read_environment(struct reader *r, char **environ)
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
            TRY(set(r, row, value, ORIGIN_ENVIRONMENT, said));
            continue;
        }
        if (str_ends(name, STR("_FILE")))
            row = find(r, (struct str){name.p, name.n - 5}, FORM_SNAKE);
        if (row < 0)
            return unknown(r, "environment variable", name, FORM_SNAKE, PREFIX);
        TRY(slurp(r, arena_cstr(r->arena, value), said, &text));
        while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
            text.n--;
        TRY(set(r, row, text, ORIGIN_ENVIRONMENT, said));
    }
    return ERR_OK;
}

static enum err read_flag(struct reader *r, const struct config_source *s, int *at)
{
    struct str name = str_from(s->argv[*at] + 2), value = STR_NONE, head, tail;
    const char *said = s->argv[*at];

    if (str_cut(name, '=', &head, &tail)) {
        name = head;
        value = tail;
        said = arena_printf(r->arena, "--%.*s", STR_ARG(name)).p;
    }
    int row = find(r, name, FORM_KEBAB);
    if (row < 0)
        return unknown(r, "flag", name, FORM_KEBAB, "--");
    if (r->fields[row].type == FIELD_BOOL && !value.p) {
        value = STR("true");
    } else if (!value.p) {
        if (*at + 1 >= s->argc)
            return problem(r, "%s needs a value", said);
        value = str_from(s->argv[++*at]);
    }
    return set(r, row, value, ORIGIN_FLAG, said);
}

static enum err read_flags(struct reader *r, const struct config_source *s)
{
    struct str *words = arena_array(r->arena, (size_t)s->argc + 1, sizeof *words);
    size_t n = 0;
    bool flags = true;

    for (int i = 0; i < s->argc; i++) {
        if (flags && strcmp(s->argv[i], "--") == 0)
            flags = false;
        else if (flags && strncmp(s->argv[i], "--", 2) == 0)
            TRY(read_flag(r, s, &i));
        else if (flags && s->argv[i][0] == '-' && s->argv[i][1])
            return problem(r, "flag \"%s\" is not known; flags begin with --", s->argv[i]);
        else
            words[n++] = str_from(s->argv[i]);
    }
    r->result->positional = (struct list){words, n};
    return ERR_OK;
}

enum err config_read(struct arena *a, const struct field *fields, void *out,
                     const struct config_source *source, struct config_result *ret)
{
    struct reader r = {a, fields, out, ret};

    assert(fields_count(fields) <= COUNT_OF(ret->origins));
    *ret = (struct config_result){0};
    TRY(read_flags(&r, source));
    TRY(read_environment(&r, source->environ));
    const struct field *file = field_by_name(fields, STR("config"));
    if (!file)
        return ERR_OK;
    struct str path;
    memcpy(&path, r.values + file->at, sizeof path);
    return path.n ? read_file(&r, arena_cstr(a, path)) : ERR_OK;
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
