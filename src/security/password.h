/* password.h -- argon2id (m = 19 MiB, t = 2, p = 1; OWASP) and the passwords nobody should use. */
#pragma once

#include "base/ctx.h"

#define PASSWORD_TEXT 128      /* "$argon2id$..." with NUL */
#define PASSWORD_BYTES_MAX 512 /* 128 code points */

/*
 * Both cost tens of milliseconds of CPU and 19 MiB: call them on the slow pool only, after every
 * cheaper check. ERR_BUSY when there is no memory, which is no guess; ERR_INVALID beyond
 * PASSWORD_BYTES_MAX.
 */
enum err password_hash(struct ctx *cx, struct str password, char out[PASSWORD_TEXT]) MUST_USE;
/* ERR_CREDENTIALS: another password, or no hash at all. */
enum err password_verify(struct ctx *cx, const char *hash, struct str password) MUST_USE;
/* For a user who does not exist: the same work, so that the answer's time tells nothing. */
extern const char password_of_nobody[];

/*
 * One of the usual ones, a keyboard walk, a counting row, a short repetition, a well-known word
 * with digits around it (also in l33t and Korean typed on a Latin keyboard), or it holds the
 * username.
 */
bool password_is_common(struct str password, struct str username) MUST_USE;
