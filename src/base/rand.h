/* rand.h -- randomness as a value: the kernel's in production, a seed's in simulation. */
#pragma once

#include "base/attr.h"

/* With seeded == false bytes come from getrandom(2), buffered; never use a seeded one for secrets.
 */
struct rng {
    bool seeded;
    uint64_t s[4];
    unsigned char pool[256];
    size_t left;
};

void rng_init(struct rng *r);
void rng_seed(struct rng *r, uint64_t seed);
void rng_bytes(struct rng *r, void *p, size_t n);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* uniform in [0, bound); bound > 0 */
