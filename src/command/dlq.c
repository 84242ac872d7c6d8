/* dlq.c -- parked events of a running platform: list, show, retry, discard, over its internal
 * listener. */
#include "command/databases.h"

#include <stdio.h>

#include "auth/signing_keys.h"
#include "data/json.h"
#include "flow/inbox.h"
#include "security/keys.h"
#include "security/service_keys.h"

#define TOKEN_LIFE_S 60
#define LISTED 100

struct page_of_parked {
    struct list items;
};
static const struct field page_fields[] = {
    F_LIST(struct page_of_parked, items, "items", REQUIRED, 0, LISTED, parked_fields,
           "dead letters"),
    F_END(struct page_of_parked),
};

struct problem_body {
    struct str code, title, detail;
};
static const struct field problem_fields[] = {
    F_STR(struct problem_body, code, "code", NULLABLE, 0, 100, ""),
    F_STR(struct problem_body, title, "title", NULLABLE, 0, 500, ""),
    F_STR(struct problem_body, detail, "detail", NULLABLE, 0, 2000, ""),
    F_END(struct problem_body),
};

static enum err read_files(struct ctx *cx, const struct settings *s, struct jwt_keys *keys)
{
    enum err e = keys_read(cx, arena_cstr(cx->arena, s->data), keys);

    return e == ERR_NOT_FOUND
               ? fail(cx, ERR_INVALID,
                      "there are no signing keys in %.*s/keys: give the platform's --data, or "
                      "--service-keys or --keys-secret where it has those",
                      STR_ARG(s->data))
               : e;
}

static enum err read_sealed(struct ctx *cx, const struct settings *s, struct jwt_keys *keys)
{
    struct databases d;
    struct seal seal;
    int64_t newest_us;

    TRY(seal_init(cx, &seal, s->keys_secret));
    TRY(databases_open(cx, s, &d));
    cx->db = databases_get(&d, "auth");
    enum err e = cx->db
                     ? signing_keys_read(cx, &seal, keys, &newest_us)
                     : fail(cx, ERR_INVALID, "auth has no database in %s", databases_where(cx, s));
    cx->db = NULL;
    databases_close(&d);
    seal_wipe(&seal);
    return e;
}

/*
 * Whoever may read the signing keys may act as a service. They are where auth has them: in files,
 * or sealed in its database.
 */
static enum err service_token(struct ctx *cx, const struct settings *s, struct buf *out)
{
    int64_t now_s = ctx_now(cx) / US_PER_S;
    struct jwt_keys *keys;

    TRY(jwt_keys_open(cx, &keys));
    enum err e = s->keys_secret.n ? read_sealed(cx, s, keys) : read_files(cx, s, keys);
    const struct jwt_claims claims = {.issuer = settings_issuer(cx, s),
                                      .audience = STR(JWT_AUDIENCE),
                                      .service = STR("operator"),
                                      .token_id = ctx_uuid(cx),
                                      .role = SERVICE,
                                      .issued_s = now_s,
                                      .expires_s = now_s + TOKEN_LIFE_S};
    if (e == ERR_OK)
        e = jwt_sign(cx, keys, &claims, out);
    jwt_keys_close(keys);
    return e;
}

/* Where services know each other by keys, the operator has one as well. */
static enum err operator_token(struct ctx *cx, const struct settings *s, const char *service,
                               struct buf *out)
{
    static const char *const own[] = {"operator"};
    struct service_keys *keys;
    struct str token = STR_NONE;

    if (!s->service_keys.p)
        return service_token(cx, s, out);
    TRY(service_keys_open(cx, arena_cstr(cx->arena, s->service_keys), own, 1, &keys));
    enum err e = service_keys_sign(cx, keys, own[0], service, &token);
    service_keys_close(keys);
    buf_str_add(out, token);
    return e;
}

/* What the token was made of is not what the platform has. */
static enum err not_believed(struct ctx *cx, const struct settings *s)
{
    if (s->service_keys.p)
        return fail(
            cx, ERR_INVALID,
            "the platform at %.*s does not believe us (401): --service-keys (%.*s) has to hold "
            "the operator.key that belongs to its operator.pub",
            STR_ARG(s->internal_listen), STR_ARG(s->service_keys));
    bool in_database = s->keys_secret.n && s->database.p;
    struct str issuer = settings_issuer(cx, s),
               keys = in_database ? STR("--database")
                                  : arena_printf(cx->arena, "--data (%.*s)", STR_ARG(s->data));
    return fail(
        cx, ERR_INVALID,
        "the platform at %.*s does not believe us (401): %.*s and --issuer (%.*s) have to be its "
        "own; if it has --service-keys, give those",
        STR_ARG(s->internal_listen), STR_ARG(keys), STR_ARG(issuer));
}

static enum err call(struct ctx *cx, const struct settings *s, const char *service,
                     enum http_method method, const char *path, struct str *ret_body)
{
    struct http_result answer;
    struct problem_body p = {0};
    struct buf token;

    buf_init_arena(&token, cx->arena, 8192);
    TRY(operator_token(cx, s, service, &token));
    const char *headers[] = {
        arena_printf(cx->arena, "Authorization: Bearer %.*s", STR_ARG(buf_str(&token))).p,
        "Accept-Language: en", NULL};
    const struct http_call c = {
        .method = method,
        .url = arena_printf(cx->arena, "http://%.*s%s", STR_ARG(s->internal_listen), path).p,
        .headers = headers,
        .timeout_ms = 10000,
        .answer_max = 16u * 1024 * 1024};
    enum err e = http_call(cx, &c, &answer);
    if (e != ERR_OK)
        return fail(cx, ERR_UNAVAILABLE, "no platform answers at %.*s; give --internal-listen",
                    STR_ARG(s->internal_listen));
    *ret_body = answer.body;
    if (answer.status < 300)
        return ERR_OK;
    if (answer.status == 401)
        return not_believed(cx, s);
    if (json_decode_lenient(cx, problem_fields, &p, answer.body) != ERR_OK)
        p = (struct problem_body){0};
    return fail(cx, answer.status == 404 ? ERR_NOT_FOUND : ERR_UPSTREAM, "%s answers %d %.*s %.*s",
                path, answer.status, STR_ARG(p.code), STR_ARG(p.detail));
}

static enum err read_page(struct ctx *cx, const struct settings *s, const char *service,
                          struct list *ret)
{
    struct page_of_parked page = {{NULL, 0}};
    struct str body;
    struct str path =
        arena_printf(cx->arena, "/internal/v1/%s/dead-letters?limit=%d", service, LISTED);

    TRY(call(cx, s, service, HTTP_GET, path.p, &body));
    TRY(json_decode_lenient(cx, page_fields, &page, body));
    *ret = page.items;
    return ERR_OK;
}

static void print_line(const char *service, const struct parked *p)
{
    char at[TIME_TEXT_SIZE], key[UUID_TEXT_SIZE];

    printf("%s %lld  %.*s  %.*s of %.*s  tried %lld times: %.*s\n", service, (long long)p->id,
           STR_ARG(time_format(p->parked_at, at)), STR_ARG(p->type),
           STR_ARG(uuid_format(p->key, key)), (long long)p->tries, STR_ARG(p->reason));
}

static enum err list_all(struct ctx *cx, const struct settings *s)
{
    size_t n = 0;

    for (size_t i = 0; all_services[i]; i++) {
        struct list items = {NULL, 0};
        if (!all_services[i]->consumers ||
            (s->service.n && !str_eq(s->service, str_from(all_services[i]->name))))
            continue;
        TRY(read_page(cx, s, all_services[i]->name, &items));
        for (size_t k = 0; k < items.n; k++)
            print_line(all_services[i]->name, LIST_AT(struct parked, items, k));
        n += items.n;
    }
    if (n == 0)
        puts("no dead letters");
    return ERR_OK;
}

static enum err show(struct ctx *cx, const struct settings *s, const char *service, int64_t id)
{
    struct list items = {NULL, 0};

    TRY(read_page(cx, s, service, &items));
    for (size_t i = 0; i < items.n; i++) {
        const struct parked *p = LIST_AT(struct parked, items, i);
        if (p->id != id)
            continue;
        print_line(service, p);
        printf("%.*s\n", STR_ARG(p->data));
        return ERR_OK;
    }
    return fail(cx, ERR_NOT_FOUND, "%s has no dead letter %lld", service, (long long)id);
}

static enum err act(struct ctx *cx, const struct settings *s, const char *service, int64_t id,
                    struct str verb)
{
    struct str body;
    struct str path = arena_printf(cx->arena, "/internal/v1/%s/dead-letters/%lld/%.*s", service,
                                   (long long)id, STR_ARG(verb));

    TRY(call(cx, s, service, HTTP_POST, path.p, &body));
    printf("%s %lld: %s\n", service, (long long)id,
           str_eq(verb, STR("retry")) ? "applied" : "discarded");
    return ERR_OK;
}

int command_dlq(struct ctx *cx, const struct settings *s, struct list words)
{
    struct str verb = words.n ? *LIST_AT(struct str, words, 0) : STR("list");
    int64_t id = 0;
    enum err e;

    if (str_eq(verb, STR("list")) && words.n <= 1) {
        e = list_all(cx, s);
        return e == ERR_OK ? EXIT_DONE : command_failed(cx, "dlq", e);
    }
    bool known =
        str_eq(verb, STR("show")) || str_eq(verb, STR("retry")) || str_eq(verb, STR("discard"));
    if (!known || words.n != 3 || !str_i64(*LIST_AT(struct str, words, 2), 1, INT64_MAX, &id))
        return command_misused("dlq",
                               "it takes: list, or show, retry or discard with SERVICE NUMBER");
    const struct service *service = service_named(*LIST_AT(struct str, words, 1));
    if (!service || !service->consumers)
        return command_misused("dlq", "\"%.*s\" is no service that reads events",
                               STR_ARG(*LIST_AT(struct str, words, 1)));
    e = str_eq(verb, STR("show")) ? show(cx, s, service->name, id)
                                  : act(cx, s, service->name, id, verb);
    return e == ERR_OK ? EXIT_DONE : command_failed(cx, "dlq", e);
}
