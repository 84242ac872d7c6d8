/* blob.c -- the front of the blob port: picks the driver, checks names, holds the fault points. */
#include "blob/driver.h"

#include "base/fault.h"

static const struct blob_driver *const drivers[] = {&blob_file, &blob_s3};

static const struct blob_driver *driver_of(struct ctx *cx, const char *url)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (strncmp(url, drivers[i]->scheme, strlen(drivers[i]->scheme)) == 0)
            return drivers[i];
    (void)fail(cx, ERR_INVALID, "no blob driver for this URL's scheme (file:DIR, s3://...)");
    return NULL;
}

enum err blobs_open(struct ctx *cx, const char *url, const struct blob_keys *keys,
                    struct blobs **ret)
{
    const struct blob_driver *d = driver_of(cx, url);
    return d ? d->open(cx, url + strlen(d->scheme), keys, ret) : ERR_INVALID;
}

enum err blobs_probe(struct ctx *cx, const char *url, const struct blob_keys *keys, struct str *ret)
{
    const struct blob_driver *d = driver_of(cx, url);
    *ret = STR("files");
    if (!d)
        return ERR_INVALID;
    return d->probe ? d->probe(cx, url + strlen(d->scheme), keys, ret) : ERR_OK;
}

void blobs_close(struct blobs *b)
{
    if (b)
        b->driver->close(b);
}

/* Segments of [a-z0-9._-] that do not begin with a dot, so neither "..", hidden nor empty ones. */
static bool name_is_good(struct str name)
{
    if (!name.p || name.n == 0 || name.n > BLOB_NAME_MAX || name.p[name.n - 1] == '/')
        return false;
    char before = '/';
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
                     ((c == '.' || c == '/') && before != '/');
        if (!plain)
            return false;
        before = c;
    }
    return true;
}

static bool type_is_good(struct str type)
{
    if (!type.p || type.n == 0 || type.n > BLOB_TYPE_MAX)
        return false;
    for (size_t i = 0; i < type.n; i++)
        if (type.p[i] < ' ' || type.p[i] > '~')
            return false;
    return true;
}

enum err blob_put(struct ctx *cx, struct blobs *b, struct str name, struct str content_type,
                  struct str bytes)
{
    if (!name_is_good(name) || !type_is_good(content_type))
        return fail(cx, ERR_INVALID, "blob name '%.*s' or its type", STR_ARG(name));
    if (FAULT("blob.put.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault blob.put.before");
    TRY(b->driver->put(cx, b, name, content_type, bytes));
    if (FAULT("blob.put.after"))
        return fail(cx, ERR_UNAVAILABLE, "fault blob.put.after: the answer is lost");
    return ERR_OK;
}

enum err blob_get(struct ctx *cx, struct blobs *b, struct str name, size_t max,
                  struct str *ret_bytes, struct str *ret_content_type)
{
    if (!name_is_good(name))
        return fail(cx, ERR_NOT_FOUND, "blob name '%.*s'", STR_ARG(name));
    return b->driver->get(cx, b, name, max, ret_bytes, ret_content_type);
}

enum err blob_delete(struct ctx *cx, struct blobs *b, struct str name)
{
    if (!name_is_good(name))
        return fail(cx, ERR_INVALID, "blob name '%.*s'", STR_ARG(name));
    if (FAULT("blob.delete"))
        return fail(cx, ERR_UNAVAILABLE, "fault blob.delete");
    return b->driver->remove(cx, b, name);
}

enum err blob_presign(struct ctx *cx, struct blobs *b, struct str name, int64_t seconds,
                      struct str *ret_url)
{
    *ret_url = STR_NONE;
    if (!name_is_good(name))
        return fail(cx, ERR_INVALID, "blob name '%.*s'", STR_ARG(name));
    if (seconds < 1 || seconds > BLOB_PRESIGN_SECONDS_MAX)
        return fail(cx, ERR_INVALID, "a URL for %" PRId64 " s; from 1 to %d", seconds,
                    BLOB_PRESIGN_SECONDS_MAX);
    return b->driver->presign ? b->driver->presign(cx, b, name, seconds, ret_url) : ERR_OK;
}
