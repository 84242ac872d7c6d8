/* uuid.h -- UUIDs as 16 bytes; new ones are version 7 (RFC 9562), so they sort by birth. */
#pragma once

#include "base/rand.h"
#include "base/str.h"

struct uuid {
    unsigned char b[16];
};

#define UUID_TEXT_SIZE 37
#define UUID_NIL ((struct uuid){{0}})

/* 48 bits of milliseconds, then randomness; monotonic enough to index well, unique by randomness.
 */
struct uuid uuid_v7(int64_t now_us, struct rng *r);
bool uuid_parse(struct str s, struct uuid *ret); /* 8-4-4-4-12 hex, either case */
struct str uuid_format(struct uuid u, char out[UUID_TEXT_SIZE]);
bool uuid_eq(struct uuid a, struct uuid b);
int uuid_cmp(struct uuid a, struct uuid b);
bool uuid_is_nil(struct uuid u);
