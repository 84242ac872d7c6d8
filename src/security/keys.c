/* keys.c -- signing keys as files. */
#include "security/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

#define PEM_MAX 8192
#define KID_LENGTH (UUID_TEXT_SIZE - 1)

int64_t keys_born_us(struct uuid kid)
{
    int64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | kid.b[i];
    return ms * US_PER_MS;
}

struct jwt_key_times keys_times(struct uuid kid, bool is_oldest)
{
    int64_t born = keys_born_us(kid);

    return (struct jwt_key_times){is_oldest ? born : born + KEYS_PUBLISH_US, born + KEYS_LIVE_US};
}

static enum err write_all(struct ctx *cx, int fd, struct str text)
{
    while (text.n > 0) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(cx, ERR_UNAVAILABLE, "writing a key: %s", strerror(errno));
        text = (struct str){text.p + n, text.n - (size_t)n};
    }
    return ERR_OK;
}

/* tmp + fsync + rename + fsync of the folder: after a crash the key is there whole, or not at all.
 */
static enum err write_file(struct ctx *cx, const char *folder, const char *path, struct str pem)
{
    char *draft = arena_cstr(cx->arena, arena_printf(cx->arena, "%s.new", path));
    int folder_fd = -1,
        fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    enum err e;

    if (fd < 0)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", draft, strerror(errno));
    e = FAULT("keys.write") ? fail(cx, ERR_UNAVAILABLE, "fault") : write_all(cx, fd, pem);
    if (e == ERR_OK && (FAULT("keys.sync") || fsync(fd) != 0))
        e = fail(cx, ERR_UNAVAILABLE, "syncing %s: %s", draft, strerror(errno));
    close(fd);
    if (e != ERR_OK)
        goto out;
    if (FAULT("keys.rename") || rename(draft, path) != 0) {
        e = fail(cx, ERR_UNAVAILABLE, "renaming %s: %s", draft, strerror(errno));
        goto out;
    }
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0 || fsync(folder_fd) != 0)
        e = fail(cx, ERR_UNAVAILABLE, "syncing %s: %s", folder, strerror(errno));
    if (folder_fd >= 0)
        close(folder_fd);
out:
    if (e != ERR_OK)
        unlink(draft);
    return e;
}

/* A key that others can read is not a secret any more: say so instead of signing with it. */
static enum err read_file(struct ctx *cx, const char *path, char text[PEM_MAX], size_t *ret_n)
{
    struct stat st;
    enum err e = ERR_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)
        e = fail(cx, ERR_UNAVAILABLE, "%s must be a file of mode 0600", path);
    ssize_t n = e == ERR_OK ? read(fd, text, PEM_MAX) : 0;
    close(fd);
    TRY(e);
    if (n <= 0 || n == PEM_MAX)
        return fail(cx, ERR_UNAVAILABLE, "%s: unreadable or too large", path);
    *ret_n = (size_t)n;
    return ERR_OK;
}

static enum err make_key(struct ctx *cx, const char *folder, struct jwt_keys *keys)
{
    struct uuid kid = ctx_uuid(cx);
    const char *name = ctx_uuid_text(cx, kid);
    struct str path = arena_printf(cx->arena, "%s/%s.pem", folder, name);
    struct jwt_key_times times = keys_times(kid, jwt_keys_count(keys) == 0);
    struct buf pem;

    buf_init_arena(&pem, cx->arena, PEM_MAX);
    if (!buf_reserve(&pem, PEM_MAX - 1))
        return fail(cx, ERR_INTERNAL, "no room for a key");
    TRY(jwt_keys_generate(cx, keys, str_from(name), times, &pem));
    enum err e = write_file(cx, folder, arena_cstr(cx->arena, path), buf_str(&pem));
    sodium_memzero(pem.p, pem.n);
    if (e != ERR_OK)
        jwt_keys_remove(keys,
                        str_from(name)); /* what it signs could not be verified after a restart */
    return e;
}

/* The kids in the folder, oldest first (names sort by birth), and how many. */
static enum err list_kids(struct ctx *cx, const char *folder, struct uuid kids[JWT_KEYS_MAX],
                          size_t *ret_n)
{
    DIR *open_dir = opendir(folder);
    size_t n = 0;

    if (open_dir == NULL)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", folder, strerror(errno));
    for (struct dirent *entry = readdir(open_dir); entry != NULL; entry = readdir(open_dir)) {
        struct str name = str_from(entry->d_name);
        struct uuid kid;
        if (name.n != KID_LENGTH + 4 || !str_ends(name, STR(".pem")) ||
            !uuid_parse((struct str){name.p, KID_LENGTH}, &kid) || n == JWT_KEYS_MAX)
            continue;
        size_t at = n++;
        for (; at > 0 && uuid_cmp(kids[at - 1], kid) > 0; at--)
            kids[at] = kids[at - 1];
        kids[at] = kid;
    }
    closedir(open_dir);
    *ret_n = n;
    return ERR_OK;
}

static const char *path_of(struct ctx *cx, const char *folder, struct uuid kid)
{
    return arena_printf(cx->arena, "%s/%s.pem", folder, ctx_uuid_text(cx, kid)).p;
}

static const char *folder_of(struct ctx *cx, const char *dir)
{
    return arena_printf(cx->arena, "%s/keys", dir).p;
}

static bool is_past(const struct ctx *cx, struct uuid kid)
{
    return keys_born_us(kid) + KEYS_LIVE_US <= ctx_now(cx);
}

/* A failure leaves a file that the next round deletes. */
static enum err delete_past(struct ctx *cx, const char *folder)
{
    struct uuid kids[JWT_KEYS_MAX];
    size_t n = 0;

    TRY(list_kids(cx, folder, kids, &n));
    for (size_t i = 0; i < n; i++)
        if (is_past(cx, kids[i]))
            (void)unlink(path_of(cx, folder, kids[i]));
    return ERR_OK;
}

enum err keys_each(struct ctx *cx, const char *dir, keys_taker *take, void *arg)
{
    const char *folder = folder_of(cx, dir);
    struct uuid kids[JWT_KEYS_MAX];
    char text[PEM_MAX];
    size_t n = 0, text_n = 0;

    if (access(folder, F_OK) != 0 && errno == ENOENT)
        return ERR_OK;
    TRY(list_kids(cx, folder, kids, &n));
    for (size_t i = 0; i < n; i++) {
        if (is_past(cx, kids[i]))
            continue;
        TRY(read_file(cx, path_of(cx, folder, kids[i]), text, &text_n));
        enum err e = take(arg, cx, kids[i], (struct str){text, text_n});
        sodium_memzero(text, sizeof(text));
        TRY(e);
    }
    return ERR_OK;
}

enum err keys_discard(struct ctx *cx, const char *dir)
{
    const char *folder = folder_of(cx, dir);
    struct uuid kids[JWT_KEYS_MAX];
    size_t n = 0;

    if (access(folder, F_OK) != 0 && errno == ENOENT)
        return ERR_OK;
    TRY(list_kids(cx, folder, kids, &n));
    for (size_t i = 0; i < n; i++)
        if (unlink(path_of(cx, folder, kids[i])) != 0 && errno != ENOENT)
            return fail(cx, ERR_UNAVAILABLE, "cannot delete %s: %s", path_of(cx, folder, kids[i]),
                        strerror(errno));
    return ERR_OK;
}

struct loading {
    struct jwt_keys *keys;
    int64_t newest_us; /* 0: there was none */
};

static enum err load_one(void *arg, struct ctx *cx, struct uuid kid, struct str pem)
{
    struct loading *l = arg;
    enum err e = jwt_keys_add_pem(cx, l->keys, str_from(ctx_uuid_text(cx, kid)), pem,
                                  keys_times(kid, l->newest_us == 0));

    l->newest_us = keys_born_us(kid);
    return e == ERR_DUPLICATE ? ERR_OK : e;
}

enum err keys_rotate(struct ctx *cx, const char *dir, struct jwt_keys *keys)
{
    const char *folder = folder_of(cx, dir);
    struct loading l = {.keys = keys};

    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", folder, strerror(errno));
    jwt_keys_remove_expired(keys, ctx_now(cx));
    TRY(delete_past(cx, folder));
    TRY(keys_each(cx, dir, load_one, &l));
    if (l.newest_us == 0 || l.newest_us + KEYS_ROTATE_US <= ctx_now(cx))
        TRY(make_key(cx, folder, keys));
    return ERR_OK;
}

enum err keys_read(struct ctx *cx, const char *dir, struct jwt_keys *keys)
{
    struct loading l = {.keys = keys};

    TRY(keys_each(cx, dir, load_one, &l));
    return l.newest_us ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no signing keys in %s/keys", dir);
}

enum err keys_open(struct ctx *cx, const char *dir, struct jwt_keys **ret)
{
    struct jwt_keys *keys;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", dir, strerror(errno));
    TRY(jwt_keys_open(cx, &keys));
    enum err e = keys_rotate(cx, dir, keys);
    if (e != ERR_OK) {
        jwt_keys_close(keys);
        return e;
    }
    *ret = keys;
    return ERR_OK;
}
