/* jwks.c -- prints and reads JSON Web Key Sets. */
#include "security/jwks.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "data/json.h"
#include "security/base64.h"
#include "security/jwt_internal.h"

#define RSA_BYTES_MAX 512

struct jwk {
    struct str kty, use, alg, kid, n, e;
};

static const struct field jwk_fields[] = {
    F_STR(struct jwk, kty, "kty", REQUIRED, 1, 16, "RSA"),
    F_STR(struct jwk, use, "use", 0, 1, 16, "sig"),
    F_STR(struct jwk, alg, "alg", 0, 1, 16, "RS256"),
    F_STR(struct jwk, kid, "kid", 0, 1, 1024, "which key"),
    F_STR(struct jwk, n, "n", 0, 1, 1400, "modulus"),
    F_STR(struct jwk, e, "e", 0, 1, 16, "exponent"),
    F_END(struct jwk),
};

struct jwks {
    struct list keys;
};

static const struct field jwks_fields[] = {
    F_LIST(struct jwks, keys, "keys", REQUIRED, 0, 100, jwk_fields, "the keys"),
    F_END(struct jwks),
};

/* A number of the key as base64url in the arena; STR_NONE when OpenSSL will not tell. */
static struct str number_text(struct ctx *cx, const EVP_PKEY *key, const char *name)
{
    unsigned char bytes[RSA_BYTES_MAX];
    BIGNUM *number = NULL;
    struct str text = STR_NONE;

    if (EVP_PKEY_get_bn_param(key, name, &number) == 1 && BN_num_bytes(number) <= RSA_BYTES_MAX) {
        size_t n = (size_t)BN_bn2bin(number, bytes);
        char *out = arena_alloc(cx->arena, BASE64URL_LENGTH(n) + 1);
        text = (struct str){out, base64url_encode(bytes, n, out)};
    }
    BN_free(number);
    return text;
}

enum err jwks_print(struct ctx *cx, struct jwt_keys *keys, struct buf *out)
{
    struct jwk *rows = arena_array(cx->arena, JWT_KEYS_MAX, sizeof(*rows));
    struct jwks set = {.keys = {rows, 0}};
    int64_t now = ctx_now(cx);
    bool ok = true;

    pthread_rwlock_rdlock(&keys->lock);
    for (size_t i = 0; i < keys->n; i++) {
        const struct jwt_key *key = &keys->keys[i];
        if (key->times.expires_us != 0 && key->times.expires_us <= now)
            continue;
        struct jwk row = {STR("RSA"),
                          STR("sig"),
                          STR("RS256"),
                          arena_copy(cx->arena, str_from(key->kid)),
                          number_text(cx, key->key, OSSL_PKEY_PARAM_RSA_N),
                          number_text(cx, key->key, OSSL_PKEY_PARAM_RSA_E)};
        ok = ok && row.n.p != NULL && row.e.p != NULL;
        rows[set.keys.n++] = row;
    }
    pthread_rwlock_unlock(&keys->lock);
    if (!ok)
        return fail(cx, ERR_INTERNAL, "a public key cannot be printed");
    json_encode(out, jwks_fields, &set);
    return out->overflow ? fail(cx, ERR_TOO_LARGE, "the key set does not fit") : ERR_OK;
}

/* Is it a key that could have signed one of our tokens? */
static bool is_usable(const struct jwk *key)
{
    return str_eq(key->kty, STR("RSA")) && key->kid.p != NULL && key->kid.n < JWT_KID_SIZE &&
           (key->use.p == NULL || str_eq(key->use, STR("sig"))) &&
           (key->alg.p == NULL || str_eq(key->alg, STR("RS256"))) && key->n.p && key->e.p;
}

static enum err add_key(struct ctx *cx, struct jwt_keys *keys, const struct jwk *key)
{
    unsigned char n[RSA_BYTES_MAX], e[8];
    size_t n_size, e_size;

    if (!base64url_decode(key->n, n, sizeof(n), &n_size) ||
        !base64url_decode(key->e, e, sizeof(e), &e_size))
        return fail(cx, ERR_INVALID, "a key set's number is not base64url");
    return jwt_keys_add_rsa(cx, keys, key->kid, (struct str){(char *)n, n_size},
                            (struct str){(char *)e, e_size}, (struct jwt_key_times){0, 0});
}

enum err jwks_read(struct ctx *cx, struct jwt_keys *keys, struct str json)
{
    struct str known[JWT_KEYS_MAX];
    struct jwks set;
    size_t usable = 0;

    TRY(json_decode_lenient(cx, jwks_fields, &set, json));
    size_t n = jwt_keys_kids(cx, keys, known);
    for (size_t i = 0; i < set.keys.n; i++) {
        const struct jwk *key = LIST_AT(struct jwk, set.keys, i);
        if (!is_usable(key))
            continue;
        enum err e = add_key(cx, keys, key);
        if (e == ERR_OK || e == ERR_DUPLICATE)
            usable++;
    }
    if (usable == 0)
        return fail(cx, ERR_INVALID, "no usable key in the set");
    for (size_t i = 0; i < n; i++) {
        bool stays = false;
        for (size_t k = 0; k < set.keys.n && !stays; k++)
            stays = str_eq(LIST_AT(struct jwk, set.keys, k)->kid, known[i]);
        if (!stays)
            jwt_keys_remove(keys, known[i]);
    }
    return ERR_OK;
}
