/* operator_call.c -- what an operator's commands ask of a running platform, on its internal
 * listener.
 */
#include "command/operator_call.h"

#include "auth/signing_keys.h"
#include "command/databases.h"
#include "data/json.h"
#include "security/keys.h"
#include "security/service_keys.h"

#define TOKEN_LIFE_S 60

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

/* Of a process that answered 404: has it the service at all? What cannot be known is taken for yes.
 */
static bool has_service(struct ctx *cx, const struct settings *s, const char *service)
{
    struct http_result ready;
    const struct http_call c = {
        .method = HTTP_GET,
        .url = arena_printf(cx->arena, "http://%.*s/readyz", STR_ARG(s->internal_listen)).p,
        .timeout_ms = 10000};

    return http_call(cx, &c, &ready) != ERR_OK ||
           str_find(ready.body, STR("\"services\"")) == SIZE_MAX ||
           str_find(ready.body, arena_printf(cx->arena, "\"%s\":", service)) != SIZE_MAX;
}

enum err operator_call(struct ctx *cx, const struct settings *s, const char *service,
                       enum http_method method, const char *path, struct str body,
                       struct str *ret_body)
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
        .body = body,
        .content_type = body.n ? STR("application/json") : STR_NONE,
        .timeout_ms = 10000,
        .answer_max = 16u * 1024 * 1024};
    enum err e = http_call(cx, &c, &answer);
    if (e == ERR_PROVIDER) /* sent, or perhaps sent */
        return fail(
            cx, ERR_PROVIDER,
            "the platform at %.*s took %s, and has not answered: whether it was done, only it "
            "can say",
            STR_ARG(s->internal_listen), path);
    if (e != ERR_OK)
        return fail(cx, ERR_UNAVAILABLE, "no platform answers at %.*s; give --internal-listen",
                    STR_ARG(s->internal_listen));
    *ret_body = answer.body;
    if (answer.status < 300)
        return ERR_OK;
    if (answer.status == 401)
        return not_believed(cx, s);
    if (answer.status == 404 && !has_service(cx, s, service))
        return fail(cx, ERR_INVALID,
                    "%s does not run in the process at %.*s: give the --internal-listen of one "
                    "that has it",
                    service, STR_ARG(s->internal_listen));
    if (json_decode_lenient(cx, problem_fields, &p, answer.body) != ERR_OK)
        p = (struct problem_body){0};
    return fail(cx,
                answer.status == 404   ? ERR_NOT_FOUND
                : answer.status == 409 ? ERR_CONSTRAINT
                                       : ERR_UPSTREAM,
                "%s answers %d %.*s %.*s", path, answer.status, STR_ARG(p.code), STR_ARG(p.detail));
}
