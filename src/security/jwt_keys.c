/* jwt_keys.c -- the table of RSA keys: add, find, expire. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "security/jwt_internal.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096 /* verifying costs grow with it: a foreign JWKS must not slow us down */

enum err jwt_keys_open(struct ctx *cx, struct jwt_keys **ret)
{
    struct jwt_keys *keys = calloc(1, sizeof(*keys));

    if (keys == NULL)
        return fail(cx, ERR_BUSY, "no memory for a key table");
    pthread_rwlock_init(&keys->lock, NULL);
    if (!jwt_cache_init(keys)) {
        jwt_keys_close(keys);
        return fail(cx, ERR_INTERNAL, "OpenSSL has no SHA-256");
    }
    *ret = keys;
    return ERR_OK;
}

void jwt_keys_close(struct jwt_keys *keys)
{
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->n; i++)
        EVP_PKEY_free(keys->keys[i].key);
    jwt_cache_release(keys);
    jwt_revoked_release(keys);
    pthread_rwlock_destroy(&keys->lock);
    free(keys);
}

static bool kid_is_good(struct str kid)
{
    if (kid.n == 0 || kid.n >= JWT_KID_SIZE)
        return false;
    for (size_t i = 0; i < kid.n; i++)
        if (kid.p[i] <= ' ' || kid.p[i] > '~' || kid.p[i] == '"' || kid.p[i] == '\\')
            return false;
    return true;
}

/* Position of the kid, or n. The lock is held. */
static size_t find(const struct jwt_keys *keys, struct str kid)
{
    size_t i = 0;
    while (i < keys->n && !str_eq(str_from(keys->keys[i].kid), kid))
        i++;
    return i;
}

/* Takes the key over, whatever happens. */
static enum err add(struct ctx *cx, struct jwt_keys *keys, struct str kid, EVP_PKEY *key,
                    bool can_sign, struct jwt_key_times times)
{
    enum err e = ERR_OK;
    int bits = key != NULL && EVP_PKEY_is_a(key, "RSA") ? EVP_PKEY_get_bits(key) : 0;

    if (!kid_is_good(kid) || bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
        EVP_PKEY_free(key);
        return fail(cx, ERR_INVALID, "key '%.*s' is not an RSA key of %d to %d bits", STR_ARG(kid),
                    RSA_BITS_MIN, RSA_BITS_MAX);
    }
    pthread_rwlock_wrlock(&keys->lock);
    if (find(keys, kid) < keys->n) {
        e = ERR_DUPLICATE;
    } else if (keys->n == JWT_KEYS_MAX) {
        e = ERR_BUSY;
    } else {
        struct jwt_key *row = &keys->keys[keys->n++];
        *row = (struct jwt_key){.key = key, .can_sign = can_sign, .times = times};
        memcpy(row->kid, kid.p, kid.n);
    }
    pthread_rwlock_unlock(&keys->lock);
    if (e == ERR_OK)
        return ERR_OK;
    EVP_PKEY_free(key);
    return fail(cx, e, "key '%.*s': %s", STR_ARG(kid), e == ERR_BUSY ? "table full" : "known kid");
}

/* A key file is never protected by a passphrase here; without this OpenSSL would ask the terminal.
 */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

enum err jwt_keys_add_pem(struct ctx *cx, struct jwt_keys *keys, struct str kid, struct str pem,
                          struct jwt_key_times times)
{
    bool is_private = str_find(pem, STR("PRIVATE KEY-----")) != SIZE_MAX;
    EVP_PKEY *key = NULL;

    if (pem.n == 0 || pem.n > 64 * 1024)
        return fail(cx, ERR_INVALID, "a PEM text of %zu bytes", pem.n);
    BIO *text = BIO_new_mem_buf(pem.p, (int)pem.n);
    if (text != NULL)
        key = is_private ? PEM_read_bio_PrivateKey(text, NULL, no_passphrase, NULL)
                         : PEM_read_bio_PUBKEY(text, NULL, no_passphrase, NULL);
    BIO_free(text);
    return add(cx, keys, kid, key, is_private, times);
}

enum err jwt_keys_add_rsa(struct ctx *cx, struct jwt_keys *keys, struct str kid, struct str modulus,
                          struct str exponent, struct jwt_key_times times)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = NULL;

    if (modulus.n > RSA_BITS_MAX / 8 || exponent.n == 0 || exponent.n > 8)
        return fail(cx, ERR_INVALID, "key '%.*s' has odd numbers", STR_ARG(kid));
    BIGNUM *n = BN_bin2bn((const unsigned char *)modulus.p, (int)modulus.n, NULL);
    BIGNUM *e = BN_bin2bn((const unsigned char *)exponent.p, (int)exponent.n, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    /* An even or tiny exponent or an even modulus signs nothing anyone should trust. */
    if (n && e && builder && maker && BN_is_odd(n) && BN_is_odd(e) && !BN_is_one(e) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
        (params = OSSL_PARAM_BLD_to_param(builder)) != NULL && EVP_PKEY_fromdata_init(maker) == 1 &&
        EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(maker);
    BN_free(n);
    BN_free(e);
    return add(cx, keys, kid, key, false, times);
}

enum err jwt_keys_generate(struct ctx *cx, struct jwt_keys *keys, struct str kid,
                           struct jwt_key_times times, struct buf *pem)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS_MIN);

    if (key == NULL)
        return fail(cx, ERR_INTERNAL, "no RSA key could be made");
    if (pem != NULL) {
        BIO *text = BIO_new(BIO_s_mem());
        char *p = NULL;
        long n = 0;
        if (text != NULL && PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1)
            n = BIO_get_mem_data(text, &p);
        if (n > 0) {
            buf_add(pem, p, (size_t)n);
            OPENSSL_cleanse(p, (size_t)n);
        }
        BIO_free(text);
        if (n <= 0 || pem->overflow) {
            EVP_PKEY_free(key);
            return fail(cx, ERR_INTERNAL, "the new key cannot be written as PEM");
        }
    }
    return add(cx, keys, kid, key, true, times);
}

/* The write lock is held. */
static void remove_at(struct jwt_keys *keys, size_t i)
{
    EVP_PKEY_free(keys->keys[i].key);
    keys->keys[i] = keys->keys[--keys->n];
    memset(&keys->keys[keys->n], 0, sizeof(keys->keys[0]));
    atomic_fetch_add(&keys->generation, 1);
}

void jwt_keys_remove(struct jwt_keys *keys, struct str kid)
{
    pthread_rwlock_wrlock(&keys->lock);
    size_t i = find(keys, kid);
    if (i < keys->n)
        remove_at(keys, i);
    pthread_rwlock_unlock(&keys->lock);
}

void jwt_keys_remove_expired(struct jwt_keys *keys, int64_t now_us)
{
    pthread_rwlock_wrlock(&keys->lock);
    for (size_t i = keys->n; i-- > 0;)
        if (keys->keys[i].times.expires_us != 0 && keys->keys[i].times.expires_us <= now_us)
            remove_at(keys, i);
    pthread_rwlock_unlock(&keys->lock);
}

size_t jwt_keys_count(struct jwt_keys *keys)
{
    pthread_rwlock_rdlock(&keys->lock);
    size_t n = keys->n;
    pthread_rwlock_unlock(&keys->lock);
    return n;
}

size_t jwt_keys_kids(struct ctx *cx, struct jwt_keys *keys, struct str kids[JWT_KEYS_MAX])
{
    pthread_rwlock_rdlock(&keys->lock);
    size_t n = keys->n;
    for (size_t i = 0; i < n; i++)
        kids[i] = arena_copy(cx->arena, str_from(keys->keys[i].kid));
    pthread_rwlock_unlock(&keys->lock);
    return n;
}

bool jwt_keys_know(struct jwt_keys *keys, struct str kid)
{
    pthread_rwlock_rdlock(&keys->lock);
    bool known = find(keys, kid) < keys->n;
    pthread_rwlock_unlock(&keys->lock);
    return known;
}

static bool is_alive(const struct jwt_key *key, int64_t now_us)
{
    return key->times.expires_us == 0 || now_us < key->times.expires_us;
}

EVP_PKEY *jwt_key_for_verifying(struct jwt_keys *keys, struct str kid, int64_t now_us)
{
    EVP_PKEY *found = NULL;

    pthread_rwlock_rdlock(&keys->lock);
    size_t i = find(keys, kid);
    if (i < keys->n && is_alive(&keys->keys[i], now_us) && EVP_PKEY_up_ref(keys->keys[i].key) == 1)
        found = keys->keys[i].key;
    pthread_rwlock_unlock(&keys->lock);
    return found;
}

/* Of those that may sign already the latest; else the one that may first. */
static bool is_better(const struct jwt_key *a, const struct jwt_key *b, int64_t now_us)
{
    bool may_a = a->times.signs_from_us <= now_us, may_b = b->times.signs_from_us <= now_us;

    if (may_a != may_b)
        return may_a;
    return may_a == (a->times.signs_from_us > b->times.signs_from_us);
}

EVP_PKEY *jwt_key_for_signing(struct jwt_keys *keys, int64_t now_us, char kid[JWT_KID_SIZE])
{
    const struct jwt_key *best = NULL;
    EVP_PKEY *found = NULL;

    pthread_rwlock_rdlock(&keys->lock);
    for (size_t i = 0; i < keys->n; i++) {
        const struct jwt_key *key = &keys->keys[i];
        if (key->can_sign && is_alive(key, now_us) && (!best || is_better(key, best, now_us)))
            best = key;
    }
    if (best != NULL && EVP_PKEY_up_ref(best->key) == 1) {
        found = best->key;
        memcpy(kid, best->kid, JWT_KID_SIZE);
    }
    pthread_rwlock_unlock(&keys->lock);
    return found;
}
