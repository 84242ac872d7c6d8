/*
 * signing_keys.h -- the keys that sign tokens, kept in auth's database for all processes of auth.
 *
 * Private keys are sealed with a secret that is not in the database (security/seal.h). Without one
 * they are files of one process (security/keys.h); then the database only knows who is there, so
 * that two processes with different keys find out at start and not by refused tokens.
 */
#pragma once

#include "security/jwt.h"
#include "security/seal.h"

/*
 * cx->db is auth's. Brings `keys` to what the database holds: what is new there is added, what is
 * gone is removed. *ret_newest_us: when the newest was made; 0: there is none. ERR_INVALID: sealed
 * with another secret.
 */
enum err signing_keys_read(struct ctx *cx, const struct seal *seal, struct jwt_keys *keys,
                           int64_t *ret_newest_us) MUST_USE;
/* The same; and makes the first key, or the next one when it is time. */
enum err signing_keys_rotate(struct ctx *cx, const struct seal *seal,
                             struct jwt_keys *keys) MUST_USE;
/* Takes the key files of DIR into the database and deletes them when that is durable. */
enum err signing_keys_import(struct ctx *cx, const struct seal *seal, const char *dir) MUST_USE;

/* How many of the keys in the database are sealed and alive. */
enum err signing_keys_sealed(struct ctx *cx, int64_t *ret) MUST_USE;
/* Says that the process with these keys, which are files, is there. */
enum err signing_keys_say_seen(struct ctx *cx, struct jwt_keys *keys) MUST_USE;
/* Is somebody there whose keys are files, none of them in `keys`? */
enum err signing_keys_strangers(struct ctx *cx, struct jwt_keys *keys, int64_t *ret) MUST_USE;
