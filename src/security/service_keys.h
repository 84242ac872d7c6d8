/*
 * service_keys.h -- services in different processes know each other by key pairs: each signs with
 * its own, and believes those whose public key it was given.
 *
 * DIR/NAME.key is a service's private key (PEM, mode 0600), DIR/NAME.pub the public one. A token
 * says from whom (its key must be of that name) and for whom, and lives a minute: whoever steals
 * one can use it against one service for that long.
 */
#pragma once

#include "base/ctx.h"

#include <sys/stat.h>

#define SERVICE_TOKEN_LIFE_S 60

struct service_keys; /* thread-safe */

/* Reads the private keys of `own` and every NAME.pub of DIR. ERR_INVALID or ERR_UNAVAILABLE names
 * the file and what is wrong. */
enum err service_keys_open(struct ctx *cx, const char *dir, const char *const *own, size_t n,
                           struct service_keys **ret) MUST_USE;
void service_keys_close(struct service_keys *keys); /* NULL is fine */

/*
 * Whether nobody but its owner may read the file. A credential of systemd may be root's, with an
 * access list for the unit's user; from systemd 254 on it shows as mode 0440 (systemd.exec(5)).
 */
bool service_key_is_secret(const struct stat *st);

/* A token of `from` for `to` in the arena; the same one again while it lives long enough. */
enum err service_keys_sign(struct ctx *cx, struct service_keys *keys, const char *from,
                           const char *to, struct str *ret) MUST_USE;
/* ERR_NOT_FOUND: not a token of any service that we believe; ERR_UNAUTHENTICATED: it claims to be
 * one and is not good. */
enum err service_keys_verify(struct ctx *cx, struct service_keys *keys, struct str token,
                             const char *to, struct str *ret_from) MUST_USE;

/* Makes NAME.key and NAME.pub in DIR, which is made when missing; what is there stays. *ret_made:
 * whether it made any. */
enum err service_keys_make(struct ctx *cx, const char *dir, struct str name,
                           bool *ret_made) MUST_USE;
