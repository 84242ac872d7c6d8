/* keys.c -- what verifiers need to know about us: OIDC discovery, the key set, and key rotation. */
#include "security/keys.h"
#include "auth/auth.h"
#include "security/jwks.h"

#define JWKS_MAX (64 * 1024)

struct openid {
    struct str issuer, jwks_uri;
    struct list subject_types, signing_algs;
};

const struct field openid_fields[] = {
    F_STR(struct openid, issuer, "issuer", REQUIRED, 1, 200, "who signs"),
    F_STR(struct openid, jwks_uri, "jwks_uri", REQUIRED, 1, 300, "with which keys"),
    F_STRS(struct openid, subject_types, "subject_types_supported", REQUIRED, 1, 4, 20, "public"),
    F_STRS(struct openid, signing_algs, "id_token_signing_alg_values_supported", REQUIRED, 1, 4, 20,
           "RS256"),
    F_END(struct openid),
};

static struct list texts(struct ctx *cx, const char *const *from, size_t n)
{
    struct list to = {arena_array(cx->arena, n, sizeof(struct str)), n};
    for (size_t i = 0; i < n; i++)
        *LIST_AT(struct str, to, i) = str_from(from[i]);
    return to;
}

enum err auth_openid(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    static const char *const subjects[] = {"public"};
    static const char *const algs[] = {"RS256"};
    struct str issuer = platform_options(svc_platform(cx->svc))->issuer;
    struct openid out = {
        .issuer = issuer,
        .jwks_uri = arena_printf(cx->arena, "%.*s/.well-known/jwks.json", STR_ARG(issuer)),
        .subject_types = texts(cx, subjects, COUNT_OF(subjects)),
        .signing_algs = texts(cx, algs, COUNT_OF(algs)),
    };

    (void)rq;
    reply_header(cx, rp, STR("Cache-Control"), "public, max-age=3600");
    return reply_data(cx, rp, 200, openid_fields, &out);
}

enum err auth_jwks(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct buf json;

    (void)rq;
    buf_init_arena(&json, cx->arena, JWKS_MAX);
    TRY(jwks_print(cx, platform_keys(svc_platform(cx->svc)), &json));
    /* Half of KEYS_PUBLISH_US at most: a key is known everywhere before it signs. */
    reply_header(cx, rp, STR("Cache-Control"), "public, max-age=900");
    return reply_json(cx, rp, 200, buf_str(&json));
}

enum err auth_rotate_keys(struct ctx *cx)
{
    struct platform *platform = svc_platform(cx->svc);
    const struct platform_options *options = platform_options(platform);

    if (options->clock != NULL && options->clock->is_virtual)
        return ERR_OK; /* simulated: keys live in memory and never age */
    return keys_rotate(cx, arena_cstr(cx->arena, options->data_dir), platform_keys(platform));
}
