/* password.c -- argon2id by libsodium. */
#include "security/password.h"

#include <sodium.h>

#include "base/fault.h"

#define OPS_LIMIT 2
#define MEMORY_LIMIT (19U * 1024 * 1024)
#define KEY_SIZE 32

static_assert(PASSWORD_TEXT >= crypto_pwhash_argon2id_STRBYTES, "the hash's text fits");

const char password_of_nobody[] = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
                                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

enum err password_hash(struct ctx *cx, struct str password, char out[PASSWORD_TEXT])
{
    if (password.n == 0 || password.n > PASSWORD_BYTES_MAX)
        return fail(cx, ERR_INVALID, "a password of %zu bytes", password.n);
    if (sodium_init() < 0 ||
        crypto_pwhash_argon2id_str(out, password.p, password.n, OPS_LIMIT, MEMORY_LIMIT) != 0)
        return fail(cx, ERR_BUSY, "no memory to hash a password");
    return ERR_OK;
}

struct parts {
    unsigned memory_kib, ops;
    unsigned char salt[crypto_pwhash_argon2id_SALTBYTES], key[KEY_SIZE];
};

/* Exactly n bytes; *text is behind them then. */
static bool read_base64(const char **text, unsigned char *out, size_t n)
{
    size_t read = 0;

    return sodium_base642bin(out, n, *text, strlen(*text), NULL, &read, text,
                             sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
           read == n;
}

static bool read_hash(const char *text, struct parts *ret)
{
    int used = 0;

    if (sscanf(text, "$argon2id$v=19$m=%9u,t=%9u,p=1$%n", &ret->memory_kib, &ret->ops, &used) !=
            2 ||
        !used || ret->ops < crypto_pwhash_argon2id_OPSLIMIT_MIN ||
        ret->memory_kib < crypto_pwhash_argon2id_MEMLIMIT_MIN / 1024)
        return false;
    text += used;
    return read_base64(&text, ret->salt, sizeof ret->salt) && *text++ == '$' &&
           read_base64(&text, ret->key, sizeof ret->key) && !*text;
}

/* Not by crypto_pwhash_argon2id_str_verify: to it no memory is a wrong password. */
enum err password_verify(struct ctx *cx, const char *hash, struct str password)
{
    unsigned char key[KEY_SIZE];
    struct parts parts;

    if (password.n == 0 || password.n > PASSWORD_BYTES_MAX || !read_hash(hash, &parts))
        return ERR_CREDENTIALS;
    if (FAULT("password.memory") || sodium_init() < 0 ||
        crypto_pwhash_argon2id(key, sizeof key, password.p, password.n, parts.salt, parts.ops,
                               (size_t)parts.memory_kib * 1024,
                               crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
        return fail(cx, ERR_BUSY, "no memory to check a password");
    bool same = sodium_memcmp(key, parts.key, sizeof key) == 0;
    sodium_memzero(key, sizeof key);
    return same ? ERR_OK : ERR_CREDENTIALS;
}
