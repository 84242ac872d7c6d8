/* password.c -- argon2id by libsodium. */
#include "security/password.h"

#include <sodium.h>

#define OPS_LIMIT 2
#define MEMORY_LIMIT (19U * 1024 * 1024)

static_assert(PASSWORD_TEXT >= crypto_pwhash_argon2id_STRBYTES, "the hash's text fits");

enum err password_hash(struct ctx *cx, struct str password, char out[PASSWORD_TEXT])
{
    if (password.n == 0 || password.n > PASSWORD_BYTES_MAX)
        return fail(cx, ERR_INVALID, "a password of %zu bytes", password.n);
    if (sodium_init() < 0 ||
        crypto_pwhash_argon2id_str(out, password.p, password.n, OPS_LIMIT, MEMORY_LIMIT) != 0)
        return fail(cx, ERR_BUSY, "no memory to hash a password");
    return ERR_OK;
}

bool password_verify(const char *hash, struct str password)
{
    if (password.n == 0 || password.n > PASSWORD_BYTES_MAX)
        return false;
    return sodium_init() >= 0 &&
           crypto_pwhash_argon2id_str_verify(hash, password.p, password.n) == 0;
}

void password_dummy_verify(struct str password)
{
    static const unsigned char salt[crypto_pwhash_argon2id_SALTBYTES];
    unsigned char out[32];

    if (password.n == 0 || password.n > PASSWORD_BYTES_MAX || sodium_init() < 0)
        return;
    if (crypto_pwhash_argon2id(out, sizeof(out), password.p, password.n, salt, OPS_LIMIT,
                               MEMORY_LIMIT, crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
        return; /* no memory: nothing to hide, the real one fails as well */
    sodium_memzero(out, sizeof(out));
}
