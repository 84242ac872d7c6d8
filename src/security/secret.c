/* secret.c -- opaque random tokens, SHA-256 and HMAC by libsodium. */
#include "security/secret.h"

#include <sodium.h>

#include "security/base64.h"

struct str secret_token(struct rng *r, char out[SECRET_TOKEN_SIZE])
{
    unsigned char bytes[32];

    rng_bytes(r, bytes, sizeof(bytes));
    size_t n = base64url_encode(bytes, sizeof(bytes), out);
    sodium_memzero(bytes, sizeof(bytes));
    out[n] = '\0';
    return (struct str){out, n};
}

bool secret_token_is_shaped(struct str s)
{
    unsigned char bytes[32];
    size_t n;
    return s.n == SECRET_TOKEN_LENGTH && base64url_decode(s, bytes, sizeof(bytes), &n);
}

void sha256_raw(struct str s, unsigned char out[SHA256_SIZE])
{
    crypto_hash_sha256(out, (const unsigned char *)(s.p ? s.p : ""), s.n);
}

struct str sha256_hex(struct str s, char out[SHA256_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[SHA256_SIZE];

    sha256_raw(s, raw);
    for (size_t i = 0; i < sizeof(raw); i++) {
        out[2 * i] = digits[raw[i] >> 4];
        out[2 * i + 1] = digits[raw[i] & 15];
    }
    out[SHA256_TEXT_SIZE - 1] = '\0';
    return (struct str){out, SHA256_TEXT_SIZE - 1};
}

void hmac_sha256(struct str key, struct str message, unsigned char out[SHA256_SIZE])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, (const unsigned char *)(key.p ? key.p : ""), key.n);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)(message.p ? message.p : ""),
                                  message.n);
    crypto_auth_hmacsha256_final(&state, out);
    sodium_memzero(&state, sizeof(state));
}
