/*
 * file.c -- blobs as files: one file each, whose first line is the content type, so that bytes and
 * type are replaced together by one rename.
 */
#include "blob/driver.h"

#include "base/fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART_PREFIX ".part-" /* never a blob's name: those have no leading dot */
#define PART_OLD_S 3600      /* a put takes less */

struct file_blobs {
    struct blobs base;
    int dir;
};

static enum err system_fail(struct ctx *cx, const char *what, struct str name)
{
    int error = errno;
    enum err e = error == ENOENT                                                ? ERR_NOT_FOUND
                 : error == ENOTDIR || error == EISDIR || error == ENAMETOOLONG ? ERR_INVALID
                                                                                : ERR_UNAVAILABLE;
    return fail(cx, e, "%s %.*s: %s", what, STR_ARG(name), strerror(error));
}

static void file_close(struct blobs *b)
{
    struct file_blobs *f = (struct file_blobs *)b;
    close(f->dir);
    free(f);
}

/* What a crash in the middle of blob_put left behind: by its age, as other processes may have the
 * directory too. */
static void remove_parts(int dir)
{
    int64_t old_s = clock_now(&clock_system) / US_PER_S - PART_OLD_S;
    struct stat st;
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry = readdir(d); entry; entry = readdir(d))
        if (strncmp(entry->d_name, PART_PREFIX, strlen(PART_PREFIX)) == 0 &&
            fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime < old_s)
            (void)unlinkat(dir, entry->d_name, 0);
    closedir(d);
}

static enum err file_open(struct ctx *cx, const char *location, const struct blob_keys *keys,
                          struct blobs **ret)
{
    (void)keys;
    struct str where = str_from(location);
    if (where.n == 0)
        return fail(cx, ERR_INVALID, "file:DIR needs a directory");
    if (mkdir(location, 0700) != 0 && errno != EEXIST)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", location, strerror(errno));
    int dir = open(location, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", location, strerror(errno));
    struct file_blobs *f = calloc(1, sizeof(*f));
    if (!f) {
        close(dir);
        return fail(cx, ERR_UNAVAILABLE, "no memory");
    }
    f->base.driver = &blob_file;
    f->dir = dir;
    remove_parts(dir);
    *ret = &f->base;
    return ERR_OK;
}

static bool write_all(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        s.p += n;
        s.n -= (size_t)n;
    }
    return true;
}

static bool sync_directory(int dir, const char *path)
{
    int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return ok;
}

/* Makes the directories of `name`, each durable in its parent; *ret_parent is where the file goes.
 */
static bool make_parents(struct ctx *cx, int dir, struct str name, const char **ret_parent)
{
    *ret_parent = ".";
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] != '/')
            continue;
        const char *path = arena_cstr(cx->arena, (struct str){name.p, i});
        if (mkdirat(dir, path, 0700) == 0) {
            if (!sync_directory(dir, *ret_parent))
                return false;
        } else if (errno != EEXIST) {
            return false;
        }
        *ret_parent = path;
    }
    return true;
}

static bool write_part(int dir, const char *part, struct str content_type, struct str bytes)
{
    int fd = openat(dir, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool ok = write_all(fd, content_type) && write_all(fd, STR("\n")) && write_all(fd, bytes) &&
              fsync(fd) == 0;
    if (ok && FAULT("blob.sync")) {
        errno = EIO;
        ok = false;
    }
    int error = errno;
    if (close(fd) != 0 && ok)
        return false;
    errno = error;
    return ok;
}

static enum err file_put(struct ctx *cx, struct blobs *b, struct str name, struct str content_type,
                         struct str bytes)
{
    struct file_blobs *f = (struct file_blobs *)b;
    const char *path = arena_cstr(cx->arena, name), *parent = NULL;
    const char *part = arena_printf(cx->arena, PART_PREFIX "%s", ctx_uuid_text(cx, ctx_uuid(cx))).p;
    if (!make_parents(cx, f->dir, name, &parent) ||
        !write_part(f->dir, part, content_type, bytes) ||
        renameat(f->dir, part, f->dir, path) != 0) {
        enum err e = system_fail(cx, "put", name);
        (void)unlinkat(f->dir, part, 0);
        return e == ERR_NOT_FOUND ? ERR_UNAVAILABLE : e;
    }
    return sync_directory(f->dir, parent) ? ERR_OK : system_fail(cx, "sync of", name);
}

/* All of an open file into the arena. */
static enum err read_all(struct ctx *cx, int fd, struct str name, size_t max, struct str *ret)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return system_fail(cx, "stat", name);
    if (!S_ISREG(st.st_mode))
        return fail(cx, ERR_NOT_FOUND, "%.*s is not a file", STR_ARG(name));
    size_t size = (size_t)st.st_size, n = 0;
    if (size > max + BLOB_TYPE_MAX + 1)
        return fail(cx, ERR_TOO_LARGE, "%.*s has %zu bytes", STR_ARG(name), size);
    char *p = arena_alloc(cx->arena, size + 1);
    while (n < size) {
        ssize_t got = read(fd, p + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_fail(cx, "read", name);
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret = (struct str){p, n};
    return ERR_OK;
}

static enum err file_get(struct ctx *cx, struct blobs *b, struct str name, size_t max,
                         struct str *ret_bytes, struct str *ret_content_type)
{
    struct file_blobs *f = (struct file_blobs *)b;
    struct str all = STR_NONE, type, bytes;
    int fd = openat(f->dir, arena_cstr(cx->arena, name), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        /* A file where the name has a directory: there is no such blob either. */
        return errno == ENOTDIR ? fail(cx, ERR_NOT_FOUND, "%.*s", STR_ARG(name))
                                : system_fail(cx, "get", name);
    }
    enum err e = read_all(cx, fd, name, max, &all);
    close(fd);
    TRY(e);
    if (!str_cut(all, '\n', &type, &bytes))
        return fail(cx, ERR_INTERNAL, "%.*s has no content type", STR_ARG(name));
    if (bytes.n > max)
        return fail(cx, ERR_TOO_LARGE, "%.*s has %zu bytes", STR_ARG(name), bytes.n);
    *ret_bytes = bytes;
    *ret_content_type = type;
    return ERR_OK;
}

static enum err file_remove(struct ctx *cx, struct blobs *b, struct str name)
{
    struct file_blobs *f = (struct file_blobs *)b;
    size_t cut = name.n;
    while (cut > 0 && name.p[cut - 1] != '/')
        cut--;
    const char *parent = cut ? arena_cstr(cx->arena, (struct str){name.p, cut}) : ".";
    if (unlinkat(f->dir, arena_cstr(cx->arena, name), 0) != 0)
        return errno == ENOENT || errno == ENOTDIR ? ERR_OK : system_fail(cx, "delete", name);
    return sync_directory(f->dir, parent) ? ERR_OK : system_fail(cx, "sync of", name);
}

const struct blob_driver blob_file = {
    .scheme = "file:",
    .open = file_open,
    .close = file_close,
    .put = file_put,
    .get = file_get,
    .remove = file_remove,
};
