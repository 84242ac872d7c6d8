/* rand.c -- getrandom(2) in production, xoshiro256** from a seed in simulation. */
#include "base/rand.h"

#include <errno.h>
#include <sys/random.h>

void rng_init(struct rng *r)
{
    *r = (struct rng){0};
}

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void rng_seed(struct rng *r, uint64_t seed)
{
    *r = (struct rng){.seeded = true};
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* xoshiro256** 1.0, Blackman and Vigna. */
static uint64_t next(uint64_t s[4])
{
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static void refill(struct rng *r)
{
    size_t got = 0;

    while (got < sizeof r->pool) {
        ssize_t n = getrandom(r->pool + got, sizeof r->pool - got, 0);
        if (n < 0 && errno == EINTR)
            continue; /* only before the kernel's pool is filled, soon after the boot */
        if (n < 0)
            abort(); /* without randomness there are no safe tokens */
        got += (size_t)n;
    }
    r->left = sizeof r->pool;
}

void rng_bytes(struct rng *r, void *p, size_t n)
{
    unsigned char *out = p;

    while (n) {
        if (r->seeded) {
            uint64_t v = next(r->s);
            size_t k = n < sizeof v ? n : sizeof v;
            memcpy(out, &v, k);
            out += k;
            n -= k;
            continue;
        }
        if (r->left == 0)
            refill(r);
        size_t k = n < r->left ? n : r->left;
        unsigned char *from = r->pool + sizeof r->pool - r->left;
        memcpy(out, from, k);
        explicit_bzero(from, k); /* a byte is handed out once and not kept */
        r->left -= k;
        out += k;
        n -= k;
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t v;

    rng_bytes(r, &v, sizeof v);
    return v;
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    assert(bound > 0);
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound, v;

    do
        v = rng_u64(r);
    while (v >= limit);
    return v % bound;
}
