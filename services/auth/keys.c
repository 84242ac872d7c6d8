/*
 * keys.c -- what verifiers need to know about us: OIDC discovery, the key set; and the keys
 * themselves: where they are kept, and how the processes of auth come to the same ones.
 */
#include "security/keys.h"
#include "auth/auth.h"
#include "auth/signing_keys.h"
#include "obs/log.h"
#include "security/jwks.h"
#include "service/ticker.h"

#define JWKS_MAX (64 * 1024)
#define LOOK_MS 10000 /* a new key is published for two hours before it signs */

/* Where the keys are. */
struct auth_keys {
    struct arena arena; /* itself */
    struct svc *svc;
    bool is_sealed; /* in the database; else files */
    struct seal seal;
    struct ticker ticker;
};

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

static const char *data_dir(struct ctx *cx)
{
    return arena_cstr(cx->arena, platform_options(svc_platform(cx->svc))->data_dir);
}

enum err auth_rotate_keys(struct ctx *cx)
{
    struct platform *platform = svc_platform(cx->svc);
    const struct auth_keys *a = svc_state(cx->svc);

    if (platform_options(platform)->clock->is_virtual)
        return ERR_OK; /* simulated: keys live in memory and never age */
    return a->is_sealed ? signing_keys_rotate(cx, &a->seal, platform_keys(platform))
                        : keys_rotate(cx, data_dir(cx), platform_keys(platform));
}

/* Two processes with keys of their own would refuse each other's tokens. */
static enum err refuse_strangers(struct ctx *cx, bool is_sealed)
{
    int64_t n = 0;

    TRY(signing_keys_strangers(cx, platform_keys(svc_platform(cx->svc)), &n));
    if (n == 0)
        return ERR_OK;
    return fail(cx, ERR_BUSY,
                "another process of auth on this database signs with keys that are not in %s/keys: "
                "%s the same --keys-secret, and start this one when the other has it or has been "
                "gone for a minute",
                data_dir(cx), is_sealed ? "it needs" : "give all of them");
}

static enum err start_sealed(struct ctx *cx, struct auth_keys *a, struct str secret)
{
    TRY(seal_init(cx, &a->seal, secret));
    a->is_sealed = true;
    TRY(signing_keys_import(cx, &a->seal, data_dir(cx)));
    TRY(signing_keys_rotate(cx, &a->seal, platform_keys(svc_platform(cx->svc))));
    return refuse_strangers(cx, true);
}

static enum err start_with_files(struct ctx *cx)
{
    struct jwt_keys *keys = platform_keys(svc_platform(cx->svc));
    int64_t sealed = 0;

    TRY(signing_keys_sealed(cx, &sealed));
    if (sealed)
        return fail(cx, ERR_INVALID,
                    "auth's database holds the signing keys, sealed: give the --keys-secret that "
                    "they were sealed with");
    TRY(keys_rotate(cx, data_dir(cx), keys));
    if (!db_is_shared(cx->db))
        return ERR_OK;
    TRY(refuse_strangers(cx, false));
    return signing_keys_say_seen(cx, keys);
}

/* What the others did meanwhile. */
static void look(void *arg, struct arena *arena)
{
    struct auth_keys *a = arg;
    struct platform *p = svc_platform(a->svc);
    int64_t newest_us, strangers = 0;
    struct ctx cx;

    platform_ctx(p, a->svc, arena, &cx);
    enum err e = a->is_sealed ? signing_keys_read(&cx, &a->seal, platform_keys(p), &newest_us)
                              : signing_keys_say_seen(&cx, platform_keys(p));
    db_rollback(&cx);
    if (e != ERR_OK && e != ERR_CONFLICT)
        log_seldom(&cx, LOG_WARN, "signing keys", "signing keys are not looked at: %s",
                   cx.story.detail);
    if (e == ERR_OK && !a->is_sealed)
        e = signing_keys_strangers(&cx, platform_keys(p), &strangers);
    if (e == ERR_OK && strangers)
        log_seldom(&cx, LOG_ERROR, "signing keys",
                   "another process signs with keys that this one lacks: its tokens are refused "
                   "here; give all of them the same --keys-secret");
}

enum err auth_keys_start(struct ctx *cx)
{
    const struct platform_options *o = platform_options(svc_platform(cx->svc));
    struct arena arena;

    arena_init(&arena, 64 * 1024);
    struct auth_keys *a = ARENA_NEW(&arena, struct auth_keys);
    a->arena = arena;
    a->svc = cx->svc;
    svc_set_state(cx->svc, a); /* auth_keys_stop() takes it down, also after a failure */
    TRY(o->keys_secret.n ? start_sealed(cx, a, o->keys_secret) : start_with_files(cx));
    if (o->threads == 0 || !db_is_shared(cx->db))
        return ERR_OK; /* nobody else is there */
    return ticker_start(cx, &a->ticker, "keys", LOOK_MS, look, a);
}

void auth_keys_stop(struct svc *svc)
{
    struct auth_keys *a = svc_state(svc);

    if (!a)
        return;
    ticker_stop(&a->ticker);
    seal_wipe(&a->seal);
    struct arena arena = a->arena;
    arena_release(&arena);
}
