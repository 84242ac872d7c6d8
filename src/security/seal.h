/*
 * seal.h -- secrets in a database, sealed with a key that is not in it: who has the one without the
 * other has nothing.
 */
#pragma once

#include "base/ctx.h"

#define SEAL_SECRET_MIN 32
#define SEAL_TEXT_MAX (16 * 1024)

struct seal {
    unsigned char key[32];
};

/* The key that a secret stands for. ERR_INVALID: shorter than SEAL_SECRET_MIN. Some 30 ms and 19
 * MiB, so that a secret somebody thought of is slow to guess. */
enum err seal_init(struct ctx *cx, struct seal *seal, struct str secret) MUST_USE;
void seal_wipe(struct seal *seal);
/* `label` says what it is; sealed under one label it opens under no other. base64url, in the arena.
 */
struct str seal_close(struct ctx *cx, const struct seal *seal, struct str label, struct str text);
/* In the arena; the caller wipes it. ERR_INVALID: another secret, another label, or changed. */
enum err seal_open(struct ctx *cx, const struct seal *seal, struct str label, struct str sealed,
                   struct str *ret) MUST_USE;
