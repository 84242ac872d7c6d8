/* service_keys_make.c -- makes the key pairs of services, as files. */
#include "security/service_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

#define KEY_BITS 2048

/* Draft, sync, rename: the file is there whole or not at all. */
static enum err write_file(struct ctx *cx, const char *path, mode_t mode, const char *text,
                           size_t n)
{
    const char *draft = arena_printf(cx->arena, "%s.new", path).p;

    unlink(draft); /* of a run that was cut off */
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool ok = fd >= 0 && write(fd, text, n) == (ssize_t)n && !FAULT("service_keys.sync") &&
              fsync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (ok && rename(draft, path) == 0)
        return ERR_OK;
    if (ok)
        error = errno;
    unlink(draft);
    return fail(cx, ERR_UNAVAILABLE, "%s: %s", path, strerror(error));
}

static enum err write_pem(struct ctx *cx, EVP_PKEY *key, const char *path, bool is_private)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *p = NULL;
    enum err e;

    bool ok = text && (is_private ? PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL)
                                  : PEM_write_bio_PUBKEY(text, key)) == 1;
    long n = ok ? BIO_get_mem_data(text, &p) : 0;
    if (n > 0)
        e = write_file(cx, path, is_private ? 0600 : 0644, p, (size_t)n);
    else
        e = fail(cx, ERR_INTERNAL, "%s cannot be written as PEM", path);
    if (n > 0 && is_private)
        OPENSSL_cleanse(p, (size_t)n);
    BIO_free(text);
    return e;
}

/* Without this OpenSSL would ask the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static EVP_PKEY *read_private(const char *path)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;

    if (file)
        fclose(file);
    return key;
}

enum err service_keys_make(struct ctx *cx, const char *dir, struct str name, bool *ret_made)
{
    const char *path = arena_printf(cx->arena, "%s/%.*s.key", dir, STR_ARG(name)).p;
    const char *public_path = arena_printf(cx->arena, "%s/%.*s.pub", dir, STR_ARG(name)).p;
    EVP_PKEY *key;
    enum err e = ERR_OK;

    *ret_made = false;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", dir, strerror(errno));
    if (access(path, F_OK) == 0) {
        if (access(public_path, F_OK) == 0)
            return ERR_OK;
        key = read_private(path); /* the run that made it was cut off in between */
        if (!key)
            return fail(cx, ERR_INVALID, "%s holds no private RSA key", path);
    } else {
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)KEY_BITS);
        if (!key)
            return fail(cx, ERR_INTERNAL, "no RSA key could be made");
        e = write_pem(cx, key, path, true);
    }
    if (e == ERR_OK)
        e = write_pem(cx, key, public_path, false);
    EVP_PKEY_free(key);
    *ret_made = e == ERR_OK;
    return e;
}
