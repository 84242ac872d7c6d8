/* backup.c -- a consistent copy of a data directory, also of a running platform, and the way back.
 */
#include "command/databases.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
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
 * renamed, whole or not at all; a link (systemd's StateDirectory is one) is followed, and stays.
 *
 * Databases on a server are backed up by its own means, at one moment for all services; files are
 * what is left (docs/operations/backup.md). When they have been brought back, the bus knows more
 * than they do, or less: it begins empty, and everything that the outboxes still hold is published
 * again. Consumers know what they have seen.
 */

#define COPY_BYTES 65536
#define LINKS_MAX 40

/* Where a directory is to come, and where it is made first. */
struct place {
    const char *path, *part;
};

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

/* What a power loss must not take: the names in a directory, which its files' own fsync leaves out.
 */
static enum err sync_directory(struct ctx *cx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err e = ERR_OK;

    if (fd < 0 || FAULT("backup.sync") || fsync(fd) != 0)
        e = fail(cx, ERR_UNAVAILABLE, "cannot sync %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
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
    while (dir && e == ERR_OK && (entry = readdir(dir)) != NULL) {
        struct stat st;
        const char *path = join(cx, from, entry->d_name);
        if (entry->d_name[0] != '.' && stat(path, &st) == 0 && S_ISREG(st.st_mode))
            e = copy_file(cx, path, join(cx, to, entry->d_name));
    }
    if (dir)
        closedir(dir);
    return e == ERR_OK ? sync_directory(cx, to) : e;
}

static enum err copy_database(struct ctx *cx, struct str data, const char *name, const char *to,
                              size_t *found)
{
    const struct db_options options = {.readers_max = 1, .clock = cx->clock};
    struct db *db;

    if (access(arena_printf(cx->arena, "%.*s/%s.db", STR_ARG(data), name).p, F_OK) != 0)
        return ERR_OK;
    ++*found;
    TRY(db_open(cx, arena_printf(cx->arena, "sqlite:%.*s", STR_ARG(data)).p, name, &options, &db));
    cx->db = db;
    enum err e = db_backup(cx, join(cx, to, arena_printf(cx->arena, "%s.db", name).p));
    cx->db = NULL;
    db_close(db);
    return e;
}

static enum err copy_databases(struct ctx *cx, struct str data, const char *to)
{
    size_t found = 0;

    for (size_t i = 0; all_services[i]; i++)
        if (all_services[i]->migrations)
            TRY(copy_database(cx, data, all_services[i]->name, to, &found));
    if (!found) /* a copy of nothing is none */
        return fail(cx, ERR_INVALID,
                    "%.*s holds no service's database: name another directory, or give --database "
                    "where they are on a server",
                    STR_ARG(data));
    return copy_database(cx, data, "bus", to, &found);
}

static enum err copy_all(struct ctx *cx, const struct settings *s, struct str data, const char *to)
{
    const char *from = arena_cstr(cx->arena, data);

    if (!s->database.p)
        TRY(copy_databases(cx, data, to));
    TRY(copy_folder(cx, join(cx, from, "keys"), join(cx, to, "keys")));
    return copy_folder(cx, join(cx, from, "photos"), join(cx, to, "photos"));
}

/* What a link points at, seen from where the link is; also when nothing is there. */
static const char *link_target(struct ctx *cx, const char *path, const char *target)
{
    const char *slash = strrchr(path, '/');

    if (target[0] == '/' || !slash)
        return target;
    return arena_printf(cx->arena, "%.*s%s", (int)(slash - path + 1), path, target).p;
}

static struct place place_of(struct ctx *cx, struct str dir)
{
    const char *path = NULL;

    for (int i = 0; i < LINKS_MAX; i++) {
        char *target = arena_zalloc(cx->arena, PATH_MAX);
        while (dir.n > 1 && dir.p[dir.n - 1] == '/')
            dir.n--;
        path = arena_cstr(cx->arena, dir);
        if (readlink(path, target, PATH_MAX - 1) < 0)
            break;
        dir = str_from(link_target(cx, path, target));
    }
    return (struct place){path, arena_printf(cx->arena, "%s.part", path).p};
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* Its last part: the name, which is durable when the parent is. */
static enum err put_in_place(struct ctx *cx, struct place to)
{
    const char *slash = strrchr(to.path, '/');
    size_t n = slash == to.path ? 1 : slash ? (size_t)(slash - to.path) : 0;

    if (FAULT("backup.rename") || rename(to.part, to.path) != 0)
        return fail(cx, ERR_UNAVAILABLE, "cannot rename %s to %s: %s", to.part, to.path,
                    strerror(errno));
    enum err e = sync_directory(cx, n ? arena_cstr(cx->arena, (struct str){to.path, n}) : ".");
    if (e != ERR_OK && rename(to.path, to.part) != 0)
        fprintf(stderr, "jumun: cannot rename %s back: %s\n", to.path, strerror(errno));
    return e;
}

/* Whole, in the place of nothing or of an empty directory; or nothing of it stays. */
static enum err copy_to(struct ctx *cx, const struct settings *s, struct str from, struct place to)
{
    if (mkdir(to.part, 0700) != 0)
        return errno == EEXIST
                   ? fail(cx, ERR_INVALID, "%s is left of a copy that did not end; remove it first",
                          to.part)
                   : fail(cx, ERR_UNAVAILABLE, "cannot make %s: %s", to.part, strerror(errno));
    enum err e = copy_all(cx, s, from, to.part);
    if (e == ERR_OK)
        e = sync_directory(cx, to.part);
    if (e == ERR_OK)
        e = put_in_place(cx, to);
    if (e != ERR_OK && nftw(to.part, remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "jumun: cannot remove %s: %s\n", to.part, strerror(errno));
    return e;
}

/* "databases of auth, user": one that is missing in a copy is to be seen at once. */
static struct str databases_in(struct ctx *cx, const char *dir)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, 1024);
    for (size_t i = 0; all_services[i]; i++) {
        const char *file = arena_printf(cx->arena, "%s.db", all_services[i]->name).p;
        if (access(join(cx, dir, file), F_OK) == 0)
            buf_printf(&b, "%s%s", b.n ? ", " : "databases of ", all_services[i]->name);
    }
    return buf_str(&b);
}

int command_backup(struct ctx *cx, const struct settings *s, struct list words)
{
    if (words.n != 1)
        return command_misused("backup",
                               "it takes the directory to write to, which must not exist yet");
    struct place to = place_of(cx, *LIST_AT(struct str, words, 0));
    if (access(to.path, F_OK) == 0)
        return command_misused("backup", "%s exists already", to.path);
    if (access(arena_cstr(cx->arena, s->data), F_OK) != 0)
        return command_misused("backup", "there is no data directory %.*s", STR_ARG(s->data));
    enum err e = copy_to(cx, s, s->data, to);
    if (e != ERR_OK)
        return command_failed(cx, "backup", e);
    printf("backup of %.*s in %s: ", STR_ARG(s->data), to.path);
    if (s->database.p)
        puts("keys and photos. The databases are on the server: pg_dump");
    else
        printf("%.*s, keys and photos\n", STR_ARG(databases_in(cx, to.path)));
    return EXIT_DONE;
}

static enum err publish_again(struct ctx *cx, int64_t *ret_events)
{
    int64_t offsets;

    TRY(db_begin(cx));
    TRY(db_change(cx, ret_events,
                  "update outbox set published_at = null where published_at is not null", NO_ARGS));
    TRY(db_change(cx, &offsets, "delete from offsets", NO_ARGS));
    return db_commit(cx);
}

/* The databases as they were brought back: ready for a bus that is empty. Again does no harm. */
static enum err restart_bus(struct ctx *cx, const struct settings *s, int64_t *ret_events)
{
    struct databases d;

    *ret_events = 0;
    TRY(databases_open(cx, s, &d));
    enum err e = ERR_OK;
    size_t found = 0;
    for (size_t i = 0; all_services[i] && e == ERR_OK; i++) {
        int64_t events = 0;
        cx->db = d.db[i];
        if (!cx->db)
            continue;
        e = publish_again(cx, &events);
        db_rollback(cx);
        *ret_events += events;
        found++;
    }
    cx->db = NULL;
    databases_close(&d);
    if (e == ERR_OK && !found)
        e = fail(cx, ERR_NOT_FOUND, "there is no service's schema: pg_restore comes first");
    return e;
}

/* Into an empty or missing data directory only: nothing is ever overwritten. */
static enum err may_restore(struct ctx *cx, const char *path)
{
    const struct dirent *entry;
    DIR *dir = opendir(path);
    bool empty = true;

    if (!dir && errno == ENOENT)
        return ERR_OK;
    if (!dir)
        return fail(cx, ERR_INVALID, "cannot restore to %s: %s", path, strerror(errno));
    while ((entry = readdir(dir)) != NULL)
        empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return empty ? ERR_OK
                 : fail(cx, ERR_INVALID, "%s is there and not empty; move it away first", path);
}

int command_restore(struct ctx *cx, const struct settings *s, struct list words)
{
    if (words.n != 1)
        return command_misused("restore", "it takes the directory of a backup");
    struct str from = *LIST_AT(struct str, words, 0);
    struct place to = place_of(cx, s->data);
    int64_t events = 0;
    if (access(join(cx, arena_cstr(cx->arena, from), "keys"), F_OK) != 0)
        return command_misused("restore", "%.*s is not a backup: it has no keys", STR_ARG(from));
    enum err e = may_restore(cx, to.path);
    if (e == ERR_OK && s->database.p)
        e = restart_bus(cx, s, &events);
    if (e == ERR_OK)
        e = copy_to(cx, s, from, to);
    if (e != ERR_OK)
        return command_failed(cx, "restore", e);
    printf("restored %.*s to %s: ", STR_ARG(from), to.path);
    if (!s->database.p)
        printf("%.*s, ", STR_ARG(databases_in(cx, to.path)));
    puts("keys and photos");
    if (s->database.p)
        printf("%lld events are to be published again: give the platform an empty bus\n",
               (long long)events);
    return EXIT_DONE;
}
