/* service_keys.c -- tokens by which services in different processes know each other. */
#include "security/service_keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <unistd.h>

#include "security/jwt.h"

#define SERVICES_MAX 32
#define NAME_SIZE 32
#define PEM_MAX 8192
#define TOKENS_MAX 64
#define TOKEN_SIZE 1024
#define RENEW_BEFORE_S 20

struct named_keys {
    char name[NAME_SIZE];
    struct jwt_keys *keys;
};

struct kept_token {
    char from[NAME_SIZE], to[NAME_SIZE], text[TOKEN_SIZE];
    int64_t expires_s;
};

struct service_keys {
    struct named_keys own[SERVICES_MAX], believed[SERVICES_MAX];
    size_t n_own, n_believed;
    pthread_mutex_t lock; /* of the tokens */
    struct kept_token tokens[TOKENS_MAX];
    size_t n_tokens;
};

static bool is_name(struct str s)
{
    if (s.n == 0 || s.n >= NAME_SIZE)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
              s.p[i] == '-'))
            return false;
    return true;
}

static struct named_keys *find(struct named_keys *rows, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_from(rows[i].name), name))
            return &rows[i];
    return NULL;
}

/* With an access list the bits of the group are its bound, and root's group is root. */
bool service_key_is_secret(const struct stat *st)
{
    bool of_root = st->st_uid == 0 && st->st_gid == 0;

    return (st->st_mode & (of_root ? 037 : 077)) == 0;
}

/* A private key that others can read is not a secret any more. */
static enum err read_pem(struct ctx *cx, const char *path, bool is_private, struct str *ret)
{
    char *text = arena_alloc(cx->arena, PEM_MAX);
    struct stat st;
    enum err e = ERR_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s; `jumun service-keys DIR` makes keys", path,
                    strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (is_private && !service_key_is_secret(&st)))
        e = fail(cx, ERR_UNAVAILABLE, "%s must be a file of mode 0600", path);
    ssize_t n = e == ERR_OK ? read(fd, text, PEM_MAX) : 0;
    close(fd);
    TRY(e);
    if (n <= 0 || n == PEM_MAX)
        return fail(cx, ERR_INVALID, "%s is no PEM file of a key", path);
    *ret = (struct str){text, (size_t)n};
    if (!is_private && str_find(*ret, STR("PRIVATE KEY")) != SIZE_MAX)
        return fail(cx, ERR_INVALID, "%s holds a private key where a public one belongs", path);
    return ERR_OK;
}

static enum err add(struct ctx *cx, const char *dir, struct str name, bool is_private,
                    struct named_keys *rows, size_t *n)
{
    struct str path =
        arena_printf(cx->arena, "%s/%.*s.%s", dir, STR_ARG(name), is_private ? "key" : "pub");
    struct str pem = STR_NONE;

    if (*n == SERVICES_MAX)
        return fail(cx, ERR_INVALID, "%s holds keys of more than %d services", dir, SERVICES_MAX);
    TRY(read_pem(cx, path.p, is_private, &pem));
    struct named_keys *row = &rows[*n];
    TRY(jwt_keys_open(cx, &row->keys));
    memcpy(row->name, name.p, name.n);
    ++*n; /* from here on it is closed with the others */
    if (jwt_keys_add_pem(cx, row->keys, name, pem, (struct jwt_key_times){0, 0}) != ERR_OK)
        return fail(cx, ERR_INVALID, "%s holds no %s RSA key", path.p,
                    is_private ? "private" : "public");
    return ERR_OK;
}

static enum err add_believed(struct ctx *cx, const char *dir, struct service_keys *keys)
{
    DIR *open_dir = opendir(dir);
    enum err e = ERR_OK;

    if (!open_dir)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", dir, strerror(errno));
    for (struct dirent *d = readdir(open_dir); d && e == ERR_OK; d = readdir(open_dir)) {
        struct str file = str_from(d->d_name);
        if (file.n <= 4 || !str_ends(file, STR(".pub")))
            continue;
        struct str name = {file.p, file.n - 4};
        e = is_name(name)
                ? add(cx, dir, name, false, keys->believed, &keys->n_believed)
                : fail(cx, ERR_INVALID, "%s/%s is not named after a service", dir, d->d_name);
    }
    closedir(open_dir);
    return e;
}

enum err service_keys_open(struct ctx *cx, const char *dir, const char *const *own, size_t n,
                           struct service_keys **ret)
{
    struct service_keys *keys = calloc(1, sizeof *keys);
    enum err e = ERR_OK;

    if (!keys)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    pthread_mutex_init(&keys->lock, NULL);
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = add(cx, dir, str_from(own[i]), true, keys->own, &keys->n_own);
    if (e == ERR_OK)
        e = add_believed(cx, dir, keys);
    if (e != ERR_OK) {
        service_keys_close(keys);
        return e;
    }
    *ret = keys;
    return ERR_OK;
}

void service_keys_close(struct service_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->n_own; i++)
        jwt_keys_close(keys->own[i].keys);
    for (size_t i = 0; i < keys->n_believed; i++)
        jwt_keys_close(keys->believed[i].keys);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

static enum err sign(struct ctx *cx, struct service_keys *keys, const char *from, const char *to,
                     int64_t now_s, struct str *ret)
{
    struct named_keys *own = find(keys->own, keys->n_own, str_from(from));
    struct buf b;

    if (!own)
        return fail(cx, ERR_UNAVAILABLE, "no private key of service %s is here", from);
    const struct jwt_claims claims = {.issuer = str_from(from),
                                      .audience = str_from(to),
                                      .service = str_from(from),
                                      .token_id = ctx_uuid(cx),
                                      .role = SERVICE,
                                      .issued_s = now_s,
                                      .expires_s = now_s + SERVICE_TOKEN_LIFE_S};
    buf_init_arena(&b, cx->arena, JWT_MAX);
    TRY(jwt_sign(cx, own->keys, &claims, &b));
    *ret = buf_str(&b);
    return ERR_OK;
}

/* The kept one of that pair, or the one whose place a new one takes. The lock is held. */
static struct kept_token *kept(struct service_keys *keys, const char *from, const char *to)
{
    struct kept_token *oldest = &keys->tokens[0];

    for (size_t i = 0; i < keys->n_tokens; i++) {
        struct kept_token *t = &keys->tokens[i];
        if (strcmp(t->from, from) == 0 && strcmp(t->to, to) == 0)
            return t;
        if (t->expires_s < oldest->expires_s)
            oldest = t;
    }
    return keys->n_tokens < TOKENS_MAX ? &keys->tokens[keys->n_tokens++] : oldest;
}

enum err service_keys_sign(struct ctx *cx, struct service_keys *keys, const char *from,
                           const char *to, struct str *ret)
{
    int64_t now_s = ctx_now(cx) / US_PER_S;
    enum err e = ERR_OK;

    if (!is_name(str_from(from)) || !is_name(str_from(to)))
        return fail(cx, ERR_INVALID, "no token from \"%s\" to \"%s\"", from, to);
    pthread_mutex_lock(&keys->lock);
    struct kept_token *t = kept(keys, from, to);
    bool same = strcmp(t->from, from) == 0 && strcmp(t->to, to) == 0;
    if (same && t->expires_s - RENEW_BEFORE_S > now_s) {
        *ret = arena_copy(cx->arena, str_from(t->text));
    } else {
        e = sign(cx, keys, from, to, now_s, ret);
        if (e == ERR_OK && ret->n < TOKEN_SIZE) {
            snprintf(t->from, sizeof t->from, "%s", from);
            snprintf(t->to, sizeof t->to, "%s", to);
            memcpy(t->text, ret->p, ret->n);
            t->text[ret->n] = '\0';
            t->expires_s = now_s + SERVICE_TOKEN_LIFE_S;
        }
    }
    pthread_mutex_unlock(&keys->lock);
    return e;
}

enum err service_keys_verify(struct ctx *cx, struct service_keys *keys, struct str token,
                             const char *to, struct str *ret_from)
{
    struct jwt_claims claims;
    struct str kid;

    if (!jwt_read_kid(cx, token, &kid))
        return ERR_NOT_FOUND;
    /* A key is found by its service's name, and it proves that service and no other. */
    struct named_keys *row = find(keys->believed, keys->n_believed, kid);
    if (!row)
        return ERR_NOT_FOUND;
    const struct jwt_expect expect = {.issuer = str_from(row->name),
                                      .audience = str_from(to),
                                      .type = STR(JWT_TYPE),
                                      .lifetime_max_s = SERVICE_TOKEN_LIFE_S};
    TRY(jwt_verify(cx, row->keys, token, &expect, &claims));
    if (claims.role != SERVICE || !str_eq(claims.service, str_from(row->name)))
        return fail(cx, ERR_UNAUTHENTICATED, "the key of %s signed for somebody else", row->name);
    *ret_from = claims.service;
    return ERR_OK;
}
