/* jwks.h -- public keys as a JSON Web Key Set (RFC 7517): ours printed, a foreign issuer's read. */
#pragma once

#include "security/jwt.h"

/* Appends {"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":...,"n":...,"e":...},...]}; live
 * keys only. */
enum err jwks_print(struct ctx *cx, struct jwt_keys *keys, struct buf *out) MUST_USE;
/*
 * Adds the RS256 signing keys of a set that are not there yet and removes those that left it;
 * others in the set are passed over. ERR_INVALID, with nothing changed, when no usable key is in
 * it.
 */
enum err jwks_read(struct ctx *cx, struct jwt_keys *keys, struct str json) MUST_USE;
