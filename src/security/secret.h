/* secret.h -- opaque random tokens, SHA-256 and HMAC. Comparing secrets: str_eq_secret in
 * base/str.h. */
#pragma once

#include "base/rand.h"
#include "base/str.h"

#define SHA256_SIZE 32
#define SHA256_TEXT_SIZE 65  /* lower-case hex and NUL */
#define SECRET_TOKEN_SIZE 44 /* 32 random bytes as base64url, and NUL */
#define SECRET_TOKEN_LENGTH 43

/* A token nobody can guess: 256 bits of r (the context's: the kernel's unless simulating). */
struct str secret_token(struct rng *r, char out[SECRET_TOKEN_SIZE]);
/* Has s the shape of such a token? Asked before anything is looked up. */
bool secret_token_is_shaped(struct str s);

void sha256_raw(struct str s, unsigned char out[SHA256_SIZE]);
struct str sha256_hex(struct str s, char out[SHA256_TEXT_SIZE]);
void hmac_sha256(struct str key, struct str message, unsigned char out[SHA256_SIZE]);
