/* seal.c -- XChaCha20-Poly1305 under a key that argon2id makes of the secret, by libsodium. */
#include "security/seal.h"

#include <sodium.h>

#include "security/base64.h"

#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE crypto_aead_xchacha20poly1305_ietf_ABYTES
#define PASSES 2
#define MEMORY_BYTES (19u * 1024 * 1024)

/* Every process must come to the same key, so the salt is the purpose and nothing random. */
static const unsigned char salt[crypto_pwhash_SALTBYTES] = "jumun seal 1";

enum err seal_init(struct ctx *cx, struct seal *seal, struct str secret)
{
    if (secret.n < SEAL_SECRET_MIN)
        return fail(cx, ERR_INVALID,
                    "--keys-secret has %zu characters; at least %d are expected: `openssl rand "
                    "-base64 32` makes a good one",
                    secret.n, SEAL_SECRET_MIN);
    if (sodium_init() < 0 || crypto_pwhash(seal->key, sizeof seal->key, secret.p, secret.n, salt,
                                           PASSES, MEMORY_BYTES, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return fail(cx, ERR_UNAVAILABLE, "no memory for the key of a secret");
    return ERR_OK;
}

void seal_wipe(struct seal *seal)
{
    sodium_memzero(seal->key, sizeof seal->key);
}

struct str seal_close(struct ctx *cx, const struct seal *seal, struct str label, struct str text)
{
    size_t n = NONCE_SIZE + text.n + TAG_SIZE;
    unsigned char *box = arena_alloc(cx->arena, n);
    char *out = arena_alloc(cx->arena, BASE64URL_LENGTH(n) + 1);

    assert(text.n <= SEAL_TEXT_MAX);
    randombytes_buf(box, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        box + NONCE_SIZE, NULL, (const unsigned char *)text.p, text.n,
        (const unsigned char *)label.p, label.n, NULL, box, seal->key);
    return (struct str){out, base64url_encode(box, n, out)};
}

enum err seal_open(struct ctx *cx, const struct seal *seal, struct str label, struct str sealed,
                   struct str *ret)
{
    size_t max = NONCE_SIZE + SEAL_TEXT_MAX + TAG_SIZE, n = 0;
    unsigned char *box = arena_alloc(cx->arena, max);

    if (!base64url_decode(sealed, box, max, &n) || n < NONCE_SIZE + TAG_SIZE)
        return fail(cx, ERR_INVALID, "%.*s is not sealed", STR_ARG(label));
    unsigned char *text = arena_alloc(cx->arena, n);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(text, NULL, NULL, box + NONCE_SIZE,
                                                   n - NONCE_SIZE, (const unsigned char *)label.p,
                                                   label.n, box, seal->key) != 0)
        return fail(cx, ERR_INVALID, "%.*s was sealed with another secret", STR_ARG(label));
    *ret = (struct str){(char *)text, n - NONCE_SIZE - TAG_SIZE};
    return ERR_OK;
}
