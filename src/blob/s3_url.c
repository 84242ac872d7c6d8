/* s3_url.c -- reads s3://HOST[:PORT]/BUCKET?region=&style=&scheme= and makes a blob's address. */
#include "blob/s3.h"

#define FORM "s3://HOST[:PORT]/BUCKET[?region=NAME&style=path|host&scheme=https|http]"

static bool made_of(struct str s, size_t least, size_t most, const char *more)
{
    if (s.n < least || s.n > most)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (c == '\0' || !strchr(more, c)))
            return false;
    }
    return true;
}

/* Amazon's hosts end with their region: "s3.ap-northeast-2.amazonaws.com". */
static struct str region_of(struct str host)
{
    const struct str domain = STR(".amazonaws.com");

    if (!str_ends(host, domain))
        return STR("us-east-1");
    size_t end = host.n - domain.n, at = end;
    while (at > 0 && host.p[at - 1] != '.')
        at--;
    return at > 0 ? (struct str){host.p + at, end - at} : STR("us-east-1");
}

static enum err read_option(struct ctx *cx, struct s3_blobs *s, struct str option)
{
    struct str name, value = STR_NONE;

    str_cut(option, '=', &name, &value);
    if (str_eq(name, STR("region")) && made_of(value, 1, 60, "-")) {
        s->keys.region = arena_copy(&s->arena, value);
        return ERR_OK;
    }
    if (str_eq(name, STR("style")) && (str_eq(value, STR("path")) || str_eq(value, STR("host")))) {
        s->in_path = str_eq(value, STR("path"));
        return ERR_OK;
    }
    if (str_eq(name, STR("scheme")) &&
        (str_eq(value, STR("https")) || str_eq(value, STR("http")))) {
        s->scheme = arena_copy(&s->arena, value);
        return ERR_OK;
    }
    return fail(cx, ERR_INVALID, "blobs: \"%.*s\" is not understood, expected " FORM,
                STR_ARG(option));
}

static enum err read_server(struct ctx *cx, struct s3_blobs *s, struct str server)
{
    struct str host, port = STR_NONE;
    int64_t number = 0;

    if (str_find(server, STR("@")) != SIZE_MAX)
        return fail(cx, ERR_INVALID, "blobs: keys do not belong in the URL; there are settings");
    bool has_port = str_cut(server, ':', &host, &port);
    if (!made_of(host, 1, 253, "-."))
        return fail(cx, ERR_INVALID, "blobs: \"%.*s\" is no host, expected " FORM, STR_ARG(host));
    if (has_port && !str_i64(port, 1, 65535, &number))
        return fail(cx, ERR_INVALID, "blobs: \"%.*s\" is no port", STR_ARG(port));
    s->host = arena_copy(&s->arena, host);
    s->keys.region = arena_copy(&s->arena, region_of(host));
    s->in_path = !str_ends(host, STR(".amazonaws.com"));
    s->scheme = STR("https");
    return ERR_OK;
}

/* Curl leaves a default port out of the Host header, which is signed. */
static void add_port(struct s3_blobs *s, struct str server)
{
    struct str host, port;

    if (str_cut(server, ':', &host, &port) &&
        !str_eq(port, str_eq(s->scheme, STR("https")) ? STR("443") : STR("80")))
        s->host = arena_printf(&s->arena, "%.*s:%.*s", STR_ARG(host), STR_ARG(port));
}

enum err s3_url_parse(struct ctx *cx, struct s3_blobs *s, const char *location)
{
    struct str rest = str_from(location), server, path = STR_NONE, options = STR_NONE, option;

    if (!str_starts(rest, STR("//")))
        return fail(cx, ERR_INVALID, "blobs: expected " FORM);
    str_cut((struct str){rest.p + 2, rest.n - 2}, '?', &rest, &options);
    str_cut(rest, '/', &server, &path);
    TRY(read_server(cx, s, server));
    /* 3 is also the least that S3 takes. A dot in a host's name would not fit its certificate. */
    if (!made_of(path, 3, 63, "-."))
        return fail(cx, ERR_INVALID, "blobs: \"%.*s\" is no bucket, expected " FORM, STR_ARG(path));
    s->bucket = arena_copy(&s->arena, path);
    while (options.n) {
        struct str all = options;
        options = STR_NONE;
        str_cut(all, '&', &option, &options);
        TRY(read_option(cx, s, option));
    }
    add_port(s, server);
    if (!s->in_path && str_find(path, STR(".")) != SIZE_MAX && str_eq(s->scheme, STR("https")))
        s->in_path = true;
    return ERR_OK;
}

struct str s3_host(struct arena *a, const struct s3_blobs *s)
{
    return s->in_path ? s->host
                      : arena_printf(a, "%.*s.%.*s", STR_ARG(s->bucket), STR_ARG(s->host));
}

struct str s3_object_path(struct arena *a, const struct s3_blobs *s, struct str name)
{
    if (!s->in_path)
        return arena_printf(a, "/%.*s", STR_ARG(name));
    return arena_printf(a, "/%.*s%s%.*s", STR_ARG(s->bucket), name.n ? "/" : "", STR_ARG(name));
}

const char *s3_object_url(struct arena *a, const struct s3_blobs *s, struct str name,
                          struct str query)
{
    return arena_printf(a, "%.*s://%.*s%.*s%s%.*s", STR_ARG(s->scheme), STR_ARG(s3_host(a, s)),
                        STR_ARG(s3_path(a, s3_object_path(a, s, name))), query.n ? "?" : "",
                        STR_ARG(query))
        .p;
}
