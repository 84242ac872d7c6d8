/*
 * keys.h -- our signing keys at rest: DIR/keys/<kid>.pem, mode 0600, rotated every 30 days.
 *
 * A kid is a UUIDv7, so a file's name says when the key was made and nothing else has to be stored.
 * A new key is published for KEYS_PUBLISH_US before it signs (other processes and foreign verifiers
 * refresh their copy of the key set meanwhile) and the old one verifies long after its last token
 * died.
 */
#pragma once

#include "security/jwt.h"

#define KEYS_ROTATE_US (30 * US_PER_DAY)
#define KEYS_PUBLISH_US (2 * US_PER_HOUR)
#define KEYS_LIVE_US (KEYS_ROTATE_US + 7 * US_PER_DAY)

int64_t keys_born_us(struct uuid kid);
/* The oldest of those alive signs from its birth: there is none to sign meanwhile. */
struct jwt_key_times keys_times(struct uuid kid, bool is_oldest);

/*
 * Reads the keys of DIR, which is made when missing, and makes the first one or the next one if it
 * is time. ERR_UNAVAILABLE: the folder or a file cannot be read or written, or a file is open to
 * others.
 */
enum err keys_open(struct ctx *cx, const char *dir, struct jwt_keys **ret) MUST_USE;
/*
 * Called now and then (an hour apart is plenty): picks up files that another process made, makes
 * the next key when the newest is KEYS_ROTATE_US old, forgets and deletes the ones past
 * KEYS_LIVE_US.
 */
enum err keys_rotate(struct ctx *cx, const char *dir, struct jwt_keys *keys) MUST_USE;

/* Adds the keys of DIR to `keys`; nothing is made or deleted. ERR_NOT_FOUND: it has none. */
enum err keys_read(struct ctx *cx, const char *dir, struct jwt_keys *keys) MUST_USE;

/* Each key in DIR that is alive, oldest first; the PEM lives during the call only. No folder: no
 * keys. The first failure of `take` ends it. */
typedef enum err keys_taker(void *arg, struct ctx *cx, struct uuid kid, struct str pem);
enum err keys_each(struct ctx *cx, const char *dir, keys_taker *take, void *arg) MUST_USE;
/* Deletes them all: they are kept elsewhere now. */
enum err keys_discard(struct ctx *cx, const char *dir) MUST_USE;
