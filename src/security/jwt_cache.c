/*
 * jwt_cache.c -- remembers verified tokens.
 *
 * The cache is 4-way set associative in shards with a lock each. The key is a SHA-256 over what was
 * expected and the token's text, so that a token accepted for one audience is never taken for
 * another, and no token's text stays in memory. Shard and set come from the token's last characters
 * (its signature): an attacker who aims at one shard slows down the others on that shard by hash
 * time only.
 */
#include "security/jwt_internal.h"

bool jwt_cache_init(struct jwt_keys *keys)
{
    keys->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    for (size_t i = 0; i < JWT_SHARDS; i++) {
        pthread_mutex_init(&keys->shards[i].lock, NULL);
        keys->shards[i].digest = EVP_MD_CTX_new();
        if (keys->sha256 == NULL || keys->shards[i].digest == NULL)
            return false;
    }
    return true;
}

void jwt_cache_release(struct jwt_keys *keys)
{
    for (size_t i = 0; i < JWT_SHARDS; i++) {
        EVP_MD_CTX_free(keys->shards[i].digest);
        free(keys->shards[i].seen);
        pthread_mutex_destroy(&keys->shards[i].lock);
    }
    EVP_MD_free(keys->sha256);
}

static struct jwt_shard *shard_of(struct jwt_keys *keys, struct str token)
{
    size_t tail = token.n < 12 ? token.n : 12;
    return &keys->shards[str_hash((struct str){token.p + token.n - tail, tail}) % JWT_SHARDS];
}

/* Lengths go in front: no two (issuer, audience, type, token) run together into the same bytes. */
static bool digest_of(struct jwt_keys *keys, EVP_MD_CTX *md, struct str token,
                      const struct jwt_expect *expect, unsigned char digest[SHA256_SIZE])
{
    uint64_t head[4] = {expect->issuer.n, expect->audience.n, expect->type.n,
                        (uint64_t)expect->lifetime_max_s};
    return EVP_DigestInit_ex2(md, keys->sha256, NULL) == 1 &&
           EVP_DigestUpdate(md, head, sizeof(head)) == 1 &&
           EVP_DigestUpdate(md, expect->issuer.p, expect->issuer.n) == 1 &&
           EVP_DigestUpdate(md, expect->audience.p, expect->audience.n) == 1 &&
           EVP_DigestUpdate(md, expect->type.p, expect->type.n) == 1 &&
           EVP_DigestUpdate(md, token.p, token.n) == 1 && EVP_DigestFinal_ex(md, digest, NULL) == 1;
}

static struct jwt_seen *set_of(struct jwt_shard *shard, const unsigned char digest[SHA256_SIZE])
{
    return &shard->seen[(size_t)(digest[0] % JWT_SHARD_SETS) * JWT_WAYS];
}

bool jwt_cache_get(struct jwt_keys *keys, struct str token, const struct jwt_expect *expect,
                   unsigned char digest[SHA256_SIZE], struct jwt_seen *ret)
{
    struct jwt_shard *shard = shard_of(keys, token);
    uint64_t generation = atomic_load(&keys->generation);
    bool found = false;

    pthread_mutex_lock(&shard->lock);
    if (!digest_of(keys, shard->digest, token, expect, digest))
        memset(digest, 0, SHA256_SIZE);
    else if (shard->seen != NULL) {
        const struct jwt_seen *set = set_of(shard, digest);
        for (size_t i = 0; i < JWT_WAYS && !found; i++)
            if (memcmp(set[i].digest, digest, SHA256_SIZE) == 0 &&
                set[i].generation == generation) {
                *ret = set[i];
                found = true;
            }
    }
    found ? shard->hits++ : shard->misses++;
    pthread_mutex_unlock(&shard->lock);
    return found;
}

void jwt_cache_put(struct jwt_keys *keys, struct str token, const struct jwt_seen *seen,
                   int64_t now_s)
{
    static const unsigned char no_digest[SHA256_SIZE];
    struct jwt_shard *shard = shard_of(keys, token);
    uint64_t generation = atomic_load(&keys->generation);

    if (memcmp(seen->digest, no_digest, SHA256_SIZE) == 0)
        return;
    pthread_mutex_lock(&shard->lock);
    if (shard->seen == NULL)
        shard->seen = calloc((size_t)JWT_SHARD_SETS * JWT_WAYS, sizeof(*shard->seen));
    if (shard->seen != NULL) { /* without memory we verify every time */
        struct jwt_seen *set = set_of(shard, seen->digest), *victim = &set[0];
        for (size_t i = 0; i < JWT_WAYS; i++) {
            if (memcmp(set[i].digest, seen->digest, SHA256_SIZE) == 0 ||
                set[i].expires_s + JWT_LEEWAY_S <= now_s || set[i].generation != generation) {
                victim = &set[i];
                break;
            }
            if (set[i].expires_s < victim->expires_s)
                victim = &set[i];
        }
        if (victim->expires_s + JWT_LEEWAY_S > now_s && victim->generation == generation &&
            memcmp(victim->digest, seen->digest, SHA256_SIZE) != 0)
            shard->evicted++;
        *victim = *seen;
    }
    pthread_mutex_unlock(&shard->lock);
}

struct jwt_stats jwt_stats(struct jwt_keys *keys)
{
    struct jwt_stats sum = {.refused = atomic_load(&keys->refused)};

    for (size_t i = 0; i < JWT_SHARDS; i++) {
        struct jwt_shard *shard = &keys->shards[i];
        pthread_mutex_lock(&shard->lock);
        sum.hits += shard->hits;
        sum.misses += shard->misses;
        sum.evicted += shard->evicted;
        pthread_mutex_unlock(&shard->lock);
    }
    return sum;
}
