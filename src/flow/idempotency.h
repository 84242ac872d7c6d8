/*
 * idempotency.h -- the same POST with the same key has one effect and one answer, for 24 hours.
 *
 * Used by the dispatcher only. For work that stays in one database the row, the effect and the
 * answer are one commit. For work that calls out, the key is held with a lease first and the answer
 * stored afterwards; a crash in between lets the next try take over when the lease is over.
 */
#pragma once

#include "db/db.h"

#define IDEMPOTENCY_KEEP_US (24 * US_PER_HOUR)
#define IDEMPOTENCY_LEASE_US (60 * US_PER_S)

struct idempotency {
    struct str principal, route, key;
    unsigned char fingerprint[32]; /* SHA-256 of method, target and body */
    int64_t lease_until;           /* 0: a lease from now, and any may be dropped */
};
struct idempotent_answer {
    bool replayed;
    int64_t status;
    struct str content_type, location, etag, body;
};
/*
 * Inside a transaction. Fresh: ERR_OK with replayed false. Done before: replayed true and the
 * answer. ERR_IDEMPOTENCY_KEY_REUSED: other fingerprint. ERR_IDEMPOTENCY_KEY_IN_USE: running
 * elsewhere.
 */
enum err idempotency_take(struct ctx *cx, const struct idempotency *k,
                          struct idempotent_answer *ret) MUST_USE;
/* Outside a transaction: the same for a fresh key, at once and for good; *ret_fresh: it was one. */
enum err idempotency_take_fresh(struct ctx *cx, const struct idempotency *k,
                                bool *ret_fresh) MUST_USE;
enum err idempotency_store(struct ctx *cx, const struct idempotency *k,
                           const struct idempotent_answer *a) MUST_USE;
/* The work failed: the key is free, unless somebody else has taken it since. */
enum err idempotency_drop(struct ctx *cx, const struct idempotency *k) MUST_USE;
