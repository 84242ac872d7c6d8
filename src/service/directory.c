/* directory.c -- who works in a data directory: one process with everything, or some with a service
 * each. */
#include "service/running.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The lock names its owner, and the kernel drops it with the process. */
static enum err lock_file(struct ctx *cx, const char *path, int how, const char *what, int *ret_fd)
{
    char owner[32] = "";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return fail(cx, ERR_UNAVAILABLE, "cannot open %s: %s; --data takes another directory", path,
                    strerror(errno));
    *ret_fd = fd;
    if (flock(fd, how | LOCK_NB) != 0) {
        ssize_t n = read(fd, owner, sizeof owner - 1);
        owner[n > 0 ? strcspn(owner, "\n") : 0] = '\0';
        return fail(cx, ERR_BUSY,
                    "%s is in use by process %s: stop that one, or take another with --data", what,
                    owner);
    }
    int n = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, owner, (size_t)n, 0) != n)
        return fail(cx, ERR_UNAVAILABLE, "cannot write %s: %s", path, strerror(errno));
    return ERR_OK;
}

/* A process with everything has the directory for itself. Those with a part share it, and each has
 * its services for itself: two with the same one would each write the same file. */
static enum err lock_directory(struct ctx *cx, struct platform *p)
{
    const char *dir = arena_cstr(cx->arena, p->options.data_dir);
    bool apart = p->options.apart;

    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail(cx, ERR_UNAVAILABLE,
                    "cannot make the data directory %s: %s; --data takes another", dir,
                    strerror(errno));
    TRY(lock_file(cx, arena_printf(cx->arena, "%s/lock", dir).p, apart ? LOCK_SH : LOCK_EX,
                  arena_printf(cx->arena, "data directory %s", dir).p, &p->lock_fd));
    for (size_t i = 0; apart && i < p->n_services; i++) {
        const char *name = p->services[i].service->name;
        TRY(lock_file(cx, arena_printf(cx->arena, "%s/lock-%s", dir, name).p, LOCK_EX,
                      arena_printf(cx->arena, "service %s of data directory %s", name, dir).p,
                      &p->service_locks[i]));
    }
    return ERR_OK;
}

/* The same process again is known by a file, and is another one where the file is not whole. */
static enum err know_instance(struct ctx *cx, struct platform *p)
{
    const char *part = p->options.apart ? p->services[0].service->name : "";
    struct str path = arena_printf(cx->arena, "%.*s/instance%s%s", STR_ARG(p->options.data_dir),
                                   *part ? "-" : "", part);
    char text[UUID_TEXT_SIZE] = "";
    enum err e = ERR_OK;

    int fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(cx, ERR_UNAVAILABLE, "cannot open %s: %s", path.p, strerror(errno));
    ssize_t n = read(fd, text, sizeof text - 1);
    if (n != UUID_TEXT_SIZE - 1 || !uuid_parse((struct str){text, (size_t)n}, &p->instance)) {
        p->instance = ctx_uuid(cx);
        uuid_format(p->instance, text);
        if (ftruncate(fd, 0) != 0 || pwrite(fd, text, sizeof text - 1, 0) != sizeof text - 1)
            e = fail(cx, ERR_UNAVAILABLE, "cannot write %s: %s", path.p, strerror(errno));
    }
    close(fd);
    return e;
}

enum err directory_take(struct ctx *cx, struct platform *p)
{
    TRY(lock_directory(cx, p));
    return know_instance(cx, p);
}

void directory_leave(struct platform *p)
{
    for (size_t i = 0; i < p->n_services; i++)
        if (p->service_locks[i] >= 0)
            close(p->service_locks[i]);
    if (p->lock_fd >= 0)
        close(p->lock_fd);
}
