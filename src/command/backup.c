/* backup.c -- a consistent copy of a data directory, also of a running platform, and the way back.
 */
#include "command/databases.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

/*
 * DESIGN
 *
 * Each database is copied as it is at one moment. The order matters: a service's database first,
 * the bus last, so that the log holds every event that any copied database has published or not yet
 * applied; consumers go on from the positions in their own databases, and drop what they have seen.
 * Signing keys come along, so that tokens stay valid. The copy is made beside its place and
 * renamed, whole or not at all.
 */

#define COPY_BYTES 65536

static const char *join(struct ctx *cx, const char *dir, const char *name)
{
    return arena_printf(cx->arena, "%s/%s", dir, name).p;
}

static enum err copy_bytes(struct ctx *cx, int from, int to)
{
    char *bytes = arena_alloc(cx->arena, COPY_BYTES);
    ssize_t n;

    while ((n = read(from, bytes, COPY_BYTES)) > 0)
        for (ssize_t done = 0; done < n;) {
            ssize_t wrote = write(to, bytes + done, (size_t)(n - done));
            if (wrote < 0)
                return fail(cx, ERR_UNAVAILABLE, "write: %s", strerror(errno));
            done += wrote;
        }
    if (n < 0 || fsync(to) != 0)
        return fail(cx, ERR_UNAVAILABLE, "copy: %s", strerror(errno));
    return ERR_OK;
}

static enum err copy_file(struct ctx *cx, const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
    enum err e = ERR_OK;

    if (in < 0)
        return fail(cx, ERR_UNAVAILABLE, "cannot read %s: %s", from, strerror(errno));
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        e = fail(cx, ERR_UNAVAILABLE, "cannot write %s: %s", to, strerror(errno));
    else
        e = copy_bytes(cx, in, out);
    close(in);
    if (out >= 0)
        close(out);
    return e;
}

/* The plain files of a folder, one level; of a missing one an empty one is made. */
static enum err copy_folder(struct ctx *cx, const char *from, const char *to)
{
    DIR *dir = opendir(from);
    struct dirent *entry;
    enum err e = ERR_OK;

    if (!dir && errno != ENOENT)
        return fail(cx, ERR_UNAVAILABLE, "cannot read %s: %s", from, strerror(errno));
    if (mkdir(to, 0700) != 0)
        e = fail(cx, ERR_UNAVAILABLE, "cannot make %s: %s", to, strerror(errno));
    if (!dir)
        return e;
    while (e == ERR_OK && (entry = readdir(dir)) != NULL) {
        struct stat st;
        const char *path = join(cx, from, entry->d_name);
        if (entry->d_name[0] != '.' && stat(path, &st) == 0 && S_ISREG(st.st_mode))
            e = copy_file(cx, path, join(cx, to, entry->d_name));
    }
    closedir(dir);
    return e;
}

static enum err copy_database(struct ctx *cx, struct str data, const char *name, const char *to)
{
    const struct db_options options = {.readers_max = 1, .clock = cx->clock};
    struct db *db;

    if (access(arena_printf(cx->arena, "%.*s/%s.db", STR_ARG(data), name).p, F_OK) != 0)
        return ERR_OK;
    TRY(db_open(cx, arena_printf(cx->arena, "sqlite:%.*s", STR_ARG(data)).p, name, &options, &db));
    cx->db = db;
    enum err e = db_backup(cx, join(cx, to, arena_printf(cx->arena, "%s.db", name).p));
    cx->db = NULL;
    db_close(db);
    return e;
}

static enum err copy_all(struct ctx *cx, struct str data, const char *to)
{
    const char *from = arena_cstr(cx->arena, data);

    if (mkdir(to, 0700) != 0)
        return fail(cx, ERR_UNAVAILABLE, "cannot make %s: %s", to, strerror(errno));
    for (size_t i = 0; all_services[i]; i++)
        if (all_services[i]->migrations)
            TRY(copy_database(cx, data, all_services[i]->name, to));
    TRY(copy_database(cx, data, "bus", to));
    TRY(copy_folder(cx, join(cx, from, "keys"), join(cx, to, "keys")));
    return copy_folder(cx, join(cx, from, "photos"), join(cx, to, "photos"));
}

int command_backup(struct ctx *cx, const struct settings *s, struct list words)
{
    if (words.n != 1)
        return command_misused("backup",
                               "it takes the directory to write to, which must not exist yet");
    if (s->database.p)
        return command_misused("backup", "it copies files, and the databases are on a server: take "
                                         "them first (pg_dump), then the rest without --database");
    const char *to = arena_cstr(cx->arena, *LIST_AT(struct str, words, 0));
    const char *part = arena_printf(cx->arena, "%s.part", to).p;
    if (access(to, F_OK) == 0)
        return command_misused("backup", "%s exists already", to);
    if (access(part, F_OK) == 0)
        return command_misused("backup", "a backup that did not end left %s; remove it first",
                               part);
    if (access(arena_cstr(cx->arena, s->data), F_OK) != 0)
        return command_misused("backup", "there is no data directory %.*s", STR_ARG(s->data));
    enum err e = copy_all(cx, s->data, part);
    if (e == ERR_OK && (FAULT("backup.rename") || rename(part, to) != 0))
        e = fail(cx, ERR_UNAVAILABLE, "cannot rename %s: %s", part, strerror(errno));
    if (e != ERR_OK) {
        fprintf(stderr, "jumun backup: what was copied so far is in %s\n", part);
        return command_failed(cx, "backup", e);
    }
    printf("backup of %.*s in %s\n", STR_ARG(s->data), to);
    return EXIT_DONE;
}

/* Into an empty or missing data directory only: nothing is ever overwritten. */
int command_restore(struct ctx *cx, const struct settings *s, struct list words)
{
    if (words.n != 1)
        return command_misused("restore", "it takes the directory of a backup");
    struct str from = *LIST_AT(struct str, words, 0);
    const char *data = arena_cstr(cx->arena, s->data);
    if (access(join(cx, arena_cstr(cx->arena, from), "keys"), F_OK) != 0)
        return command_misused("restore", "%.*s is not a backup: it has no keys", STR_ARG(from));
    if (rmdir(data) != 0 && errno != ENOENT)
        return command_misused("restore", "%s is there and not empty; move it away first", data);
    const char *part = arena_printf(cx->arena, "%s.part", data).p;
    enum err e = copy_all(cx, from, part);
    if (e == ERR_OK && rename(part, data) != 0)
        e = fail(cx, ERR_UNAVAILABLE, "cannot rename %s: %s", part, strerror(errno));
    if (e != ERR_OK)
        return command_failed(cx, "restore", e);
    printf("restored %.*s to %s\n", STR_ARG(from), data);
    return EXIT_DONE;
}
