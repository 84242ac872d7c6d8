/* jwt.c -- signs and verifies access tokens. */
#include "security/jwt.h"

#include <openssl/evp.h>

#include "data/json.h"
#include "security/base64.h"
#include "security/jwt_internal.h"

#define HEADER_MAX 1024
#define SIGNATURE_MAX 512                 /* RSA-4096 */
#define SECONDS_MAX INT64_C(253402300799) /* year 9999 */
#define LIFETIME_MAX_S 86400

/* In bit order of enum role, without GUEST. */
static const char *const role_names[] = {"customer", "owner", "staff", "admin", "service", NULL};

struct header {
    struct str alg, typ, kid;
    struct str crit, jku, jwk, x5u, x5c, x5t, b64, zip, enc;
};

/* What would let a token bring its own key, algorithm or rules is named here so that it can be
 * refused. */
static const struct field header_fields[] = {
    F_STR(struct header, alg, "alg", REQUIRED, 1, 16, "RS256"),
    F_STR(struct header, typ, "typ", REQUIRED, 1, 32, "at+jwt"),
    F_STR(struct header, kid, "kid", REQUIRED, 1, JWT_KID_SIZE - 1, "which of our keys"),
    F_RAW(struct header, crit, "crit", 0, "refused"),
    F_RAW(struct header, jku, "jku", 0, "refused"),
    F_RAW(struct header, jwk, "jwk", 0, "refused"),
    F_RAW(struct header, x5u, "x5u", 0, "refused"),
    F_RAW(struct header, x5c, "x5c", 0, "refused"),
    F_RAW(struct header, b64, "b64", 0, "refused"),
    F_RAW(struct header, zip, "zip", 0, "refused"),
    F_RAW(struct header, enc, "enc", 0, "refused"),
    F_END(struct header),
};

struct payload {
    struct str iss, sub, aud;
    int64_t exp, nbf, iat;
    bool has_nbf;
    struct uuid jti, sid;
    int role;
};

static const struct field payload_fields[] = {
    F_STR(struct payload, iss, "iss", REQUIRED, 1, JWT_ISSUER_MAX, "issuer"),
    F_STR(struct payload, sub, "sub", REQUIRED, 1, 36, "user id, or a service's name"),
    F_RAW(struct payload, aud, "aud", REQUIRED, "audience: text or a list of texts"),
    F_INT(struct payload, exp, "exp", REQUIRED, 0, SECONDS_MAX, "dies at"),
    F_OPT_INT(struct payload, nbf, "nbf", 0, 0, SECONDS_MAX, "lives from"),
    F_INT(struct payload, iat, "iat", REQUIRED, 0, SECONDS_MAX, "born at"),
    F_UUID(struct payload, jti, "jti", REQUIRED, "the token's own id"),
    F_UUID(struct payload, sid, "sid", 0, "session"),
    F_ENUM(struct payload, role, "role", REQUIRED, role_names, "what the caller is"),
    F_END(struct payload),
};

struct audiences {
    struct list names;
};

static const struct field audiences_fields[] = {
    F_STRS(struct audiences, names, "a", REQUIRED, 1, 16, JWT_ISSUER_MAX, "audiences"),
    F_END(struct audiences),
};

#define refuse(cx, ...) fail(cx, ERR_UNAUTHENTICATED, "token: " __VA_ARGS__)

static bool is_service_name(struct str s)
{
    if (s.n == 0 || s.n >= JWT_SERVICE_SIZE)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
              s.p[i] == '-'))
            return false;
    return true;
}

static int role_index(enum role role)
{
    for (int i = 0; role_names[i] != NULL; i++)
        if (role == (enum role)(CUSTOMER << i))
            return i;
    return -1;
}

/* base64url of what was appended to b behind `from`, in place of it. */
static void encode_tail(struct buf *b, const void *p, size_t n)
{
    if (!buf_reserve(b, BASE64URL_LENGTH(n)))
        return;
    b->n += base64url_encode(p, n, b->p + b->n);
}

static enum err sign_bytes(struct ctx *cx, EVP_PKEY *key, struct str text, unsigned char *out,
                           size_t *n)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && EVP_DigestSignInit_ex(md, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestSign(md, out, n, (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(md);
    return ok ? ERR_OK : fail(cx, ERR_INTERNAL, "signing a token failed");
}

enum err jwt_sign(struct ctx *cx, struct jwt_keys *keys, const struct jwt_claims *c,
                  struct buf *out)
{
    char kid[JWT_KID_SIZE], user[UUID_TEXT_SIZE];
    unsigned char signature[SIGNATURE_MAX];
    size_t signature_n = sizeof(signature), start = out->n;
    struct buf json;

    struct payload payload = {.iss = c->issuer,
                              .exp = c->expires_s,
                              .nbf = c->not_before_s,
                              .has_nbf = c->not_before_s != 0,
                              .iat = c->issued_s,
                              .jti = c->token_id,
                              .sid = c->session_id,
                              .role = role_index(c->role)};
    payload.sub = c->role == SERVICE ? c->service : uuid_format(c->user_id, user);
    if (payload.role < 0 || c->issuer.n == 0 || c->audience.n == 0 || uuid_is_nil(c->token_id) ||
        c->expires_s <= c->issued_s ||
        (c->role == SERVICE ? !is_service_name(c->service) : uuid_is_nil(c->user_id)))
        return fail(cx, ERR_INVALID, "claims that make no token");

    buf_init_arena(&json, cx->arena, JWT_MAX);
    json_string(&json, c->audience);
    payload.aud = arena_copy(cx->arena, buf_str(&json));
    buf_clear(&json);

    EVP_PKEY *key = jwt_key_for_signing(keys, ctx_now(cx), kid);
    if (key == NULL)
        return fail(cx, ERR_UNAVAILABLE, "no key may sign now");
    const struct header header = {STR("RS256"), STR("at+jwt"), str_from(kid)};
    json_encode(&json, header_fields, &header);
    encode_tail(out, json.p, json.n);
    buf_char(out, '.');
    buf_clear(&json);
    json_encode(&json, payload_fields, &payload);
    encode_tail(out, json.p, json.n);
    enum err e = ERR_OK;
    if (json.overflow || out->overflow)
        e = fail(cx, ERR_TOO_LARGE, "the token does not fit its buffer");
    else
        e = sign_bytes(cx, key, (struct str){out->p + start, out->n - start}, signature,
                       &signature_n);
    EVP_PKEY_free(key);
    TRY(e);
    buf_char(out, '.');
    encode_tail(out, signature, signature_n);
    if (out->overflow || out->n - start > JWT_MAX)
        return fail(cx, ERR_TOO_LARGE, "the token does not fit its buffer");
    return ERR_OK;
}

/* header '.' payload '.' signature, each non-empty and base64url. */
static enum err split(struct ctx *cx, struct str token, struct str parts[3], struct str *ret_signed)
{
    struct str rest;

    if (token.n == 0 || token.n > JWT_MAX)
        return refuse(cx, "%zu bytes", token.n);
    if (!str_cut(token, '.', &parts[0], &rest) || !str_cut(rest, '.', &parts[1], &parts[2]) ||
        memchr(parts[2].p, '.', parts[2].n) != NULL)
        return refuse(cx, "not three parts");
    if (parts[0].n == 0 || parts[1].n == 0 || parts[2].n == 0)
        return refuse(cx, "an empty part");
    *ret_signed = (struct str){token.p, parts[0].n + 1 + parts[1].n};
    return ERR_OK;
}

static enum err decode_part(struct ctx *cx, struct str part, size_t max, const char *what,
                            struct str *ret)
{
    size_t n = 0;

    if (part.n > BASE64URL_LENGTH(max))
        return refuse(cx, "%s too long", what);
    char *bytes = arena_alloc(cx->arena, max);
    if (!base64url_decode(part, bytes, max, &n))
        return refuse(cx, "%s is not canonical base64url", what);
    *ret = (struct str){bytes, n};
    return ERR_OK;
}

/* The decoder's own errors speak of a bad request; a bad token is something else. */
static enum err decode_json(struct ctx *cx, const struct field *fields, void *out, struct str text,
                            const char *what)
{
    enum err e = json_decode_lenient(cx, fields, out, text);
    cx->story.field_errors = NULL;
    return e == ERR_OK ? ERR_OK : refuse(cx, "%s is not what it must be", what);
}

static enum err check_header(struct ctx *cx, const struct header *h,
                             const struct jwt_expect *expect)
{
    if (!str_eq(h->alg, STR("RS256")))
        return refuse(cx, "alg '%.16s'", arena_cstr(cx->arena, h->alg));
    if (h->crit.p || h->jku.p || h->jwk.p || h->x5u.p || h->x5c.p || h->b64.p || h->zip.p ||
        h->enc.p)
        return refuse(cx, "a header field that we do not honour");
    if (!str_eq_nocase(h->typ, expect->type))
        return refuse(cx, "wrong typ");
    return ERR_OK;
}

static enum err check_signature(struct ctx *cx, struct jwt_keys *keys, struct str kid,
                                struct str text, struct str signature)
{
    EVP_PKEY *key = jwt_key_for_verifying(keys, kid, ctx_now(cx));
    if (key == NULL)
        return refuse(cx, "unknown kid");
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md != NULL && signature.n == (size_t)EVP_PKEY_get_size(key) &&
              EVP_DigestVerifyInit_ex(md, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(md, (const unsigned char *)signature.p, signature.n,
                               (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    return ok ? ERR_OK : refuse(cx, "wrong signature");
}

bool jwt_read_kid(struct ctx *cx, struct str token, struct str *ret)
{
    struct str parts[3], signed_text = STR_NONE, json = STR_NONE;
    struct story story = cx->story; /* that it is no token is no failure yet */
    struct header header;

    bool ok = split(cx, token, parts, &signed_text) == ERR_OK &&
              decode_part(cx, parts[0], HEADER_MAX, "header", &json) == ERR_OK &&
              decode_json(cx, header_fields, &header, json, "header") == ERR_OK;
    cx->story = story;
    if (ok)
        *ret = header.kid;
    return ok;
}

/* aud is one text or a list of them; ours must be there. */
static enum err check_audience(struct ctx *cx, struct str raw, struct str expected)
{
    struct audiences got;
    struct str text = raw.n > 0 && raw.p[0] == '['
                          ? arena_printf(cx->arena, "{\"a\":%.*s}", STR_ARG(raw))
                          : arena_printf(cx->arena, "{\"a\":[%.*s]}", STR_ARG(raw));

    TRY(decode_json(cx, audiences_fields, &got, text, "aud"));
    for (size_t i = 0; i < got.names.n; i++)
        if (str_eq(*LIST_AT(struct str, got.names, i), expected))
            return ERR_OK;
    return refuse(cx, "wrong aud");
}

static enum err check_times(struct ctx *cx, int64_t iat, int64_t nbf, int64_t exp,
                            const struct jwt_expect *expect)
{
    int64_t now = ctx_now(cx) / US_PER_S;
    int64_t most = expect->lifetime_max_s > 0 ? expect->lifetime_max_s : LIFETIME_MAX_S;

    if (exp <= iat || exp - iat > most)
        return refuse(cx, "a lifetime of %" PRId64 " s", exp - iat);
    if (now >= exp + JWT_LEEWAY_S)
        return refuse(cx, "expired %" PRId64 " s ago", now - exp);
    if (iat > now + JWT_LEEWAY_S || nbf > now + JWT_LEEWAY_S)
        return refuse(cx, "not valid yet");
    return ERR_OK;
}

/* Everything that needs the token's text; the result depends on text, expectations and keys only.
 */
static enum err verify_text(struct ctx *cx, struct jwt_keys *keys, struct str token,
                            const struct jwt_expect *expect, struct jwt_seen *seen)
{
    struct str parts[3], signed_text = STR_NONE, header_json = STR_NONE;
    struct str payload_json = STR_NONE, signature = STR_NONE;
    struct header header;
    struct payload p;

    TRY(split(cx, token, parts, &signed_text));
    TRY(decode_part(cx, parts[0], HEADER_MAX, "header", &header_json));
    TRY(decode_json(cx, header_fields, &header, header_json, "header"));
    TRY(check_header(cx, &header, expect));
    TRY(decode_part(cx, parts[2], SIGNATURE_MAX, "signature", &signature));
    TRY(check_signature(cx, keys, header.kid, signed_text, signature));
    TRY(decode_part(cx, parts[1], JWT_MAX, "payload", &payload_json));
    TRY(decode_json(cx, payload_fields, &p, payload_json, "payload"));
    if (!str_eq(p.iss, expect->issuer))
        return refuse(cx, "wrong iss");
    TRY(check_audience(cx, p.aud, expect->audience));

    seen->role = (enum role)(CUSTOMER << p.role);
    if (seen->role == SERVICE) {
        if (!is_service_name(p.sub))
            return refuse(cx, "sub is no service's name");
        memcpy(seen->service, p.sub.p, p.sub.n);
    } else if (!uuid_parse(p.sub, &seen->user_id) || uuid_is_nil(seen->user_id)) {
        return refuse(cx, "sub is no user id");
    }
    seen->token_id = p.jti;
    seen->session_id = p.sid;
    seen->issued_s = p.iat;
    seen->not_before_s = p.has_nbf ? p.nbf : 0;
    seen->expires_s = p.exp;
    return ERR_OK;
}

static enum err verify(struct ctx *cx, struct jwt_keys *keys, struct str token,
                       const struct jwt_expect *expect, struct jwt_seen *seen)
{
    bool cached;

    if (token.n == 0 || token.n > JWT_MAX)
        return refuse(cx, "%zu bytes", token.n);
    seen->generation = atomic_load(&keys->generation); /* before the key is looked up */
    uint64_t generation = seen->generation;
    unsigned char digest[SHA256_SIZE];
    cached = jwt_cache_get(keys, token, expect, digest, seen);
    if (!cached) {
        TRY(verify_text(cx, keys, token, expect, seen));
        memcpy(seen->digest, digest, sizeof(digest));
        seen->generation = generation;
    }
    TRY(check_times(cx, seen->issued_s, seen->not_before_s, seen->expires_s, expect));
    if (jwt_is_revoked(keys, seen->session_id, jwt_issued_us(seen->token_id, seen->issued_s)))
        return refuse(cx, "revoked");
    if (!cached)
        jwt_cache_put(keys, token, seen, ctx_now(cx) / US_PER_S);
    return ERR_OK;
}

enum err jwt_verify(struct ctx *cx, struct jwt_keys *keys, struct str token,
                    const struct jwt_expect *expect, struct jwt_claims *ret)
{
    struct jwt_seen seen = {0};
    enum err e = verify(cx, keys, token, expect, &seen);

    if (e != ERR_OK) {
        atomic_fetch_add(&keys->refused, 1);
        return e;
    }
    *ret = (struct jwt_claims){
        .issuer = expect->issuer,
        .audience = expect->audience,
        .user_id = seen.user_id,
        .token_id = seen.token_id,
        .session_id = seen.session_id,
        .role = seen.role,
        .issued_s = seen.issued_s,
        .not_before_s = seen.not_before_s,
        .expires_s = seen.expires_s,
    };
    if (seen.role == SERVICE)
        ret->service = arena_copy(cx->arena, str_from(seen.service));
    return ERR_OK;
}
