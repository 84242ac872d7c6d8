/* jwt_internal.h -- what the files of jwt.h share: the key table, the cache, the revocations. */
#pragma once

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "security/jwt.h"
#include "security/secret.h"

#define JWT_SERVICE_SIZE 32

struct jwt_key {
    char kid[JWT_KID_SIZE];
    EVP_PKEY *key;
    bool can_sign;
    struct jwt_key_times times;
};

/* What a verified token said, without its text. */
struct jwt_seen {
    unsigned char digest[SHA256_SIZE]; /* of expectations and token; all zero: free */
    struct uuid user_id, token_id, session_id;
    int64_t issued_s, not_before_s, expires_s;
    uint64_t generation; /* of the key table when it was verified */
    enum role role;
    char service[JWT_SERVICE_SIZE];
};

#define JWT_SHARDS 32
#define JWT_SHARD_SETS 32
#define JWT_WAYS 4 /* 32 * 32 * 4 = 4096 tokens */

struct jwt_shard {
    pthread_mutex_t lock;
    EVP_MD_CTX *digest;    /* reused: setting one up costs more than hashing a token */
    struct jwt_seen *seen; /* JWT_SHARD_SETS * JWT_WAYS, made at the first use */
    uint64_t hits, misses, evicted;
};

#define JWT_REVOKED_MAX 65536 /* 3 MiB of rows and gaps; a table begins with 6 KiB */

struct jwt_revoked {
    struct uuid id; /* of a session; nil: free */
    int64_t ended_us;
};

struct jwt_revoked_table {
    struct jwt_revoked *rows; /* open addressing; made at the first use */
    size_t slots, n;
};

struct jwt_keys {
    pthread_rwlock_t lock; /* of keys, n and revoked */
    struct jwt_key keys[JWT_KEYS_MAX];
    size_t n;
    _Atomic uint64_t generation; /* rises when a key goes: what it verified is forgotten */
    struct jwt_revoked_table revoked;
    _Atomic int64_t floor_us;   /* everything issued before is refused; 0: nothing */
    _Atomic size_t revocations; /* rows of the table; 0: no need to look */
    _Atomic uint64_t refused;
    EVP_MD *sha256;
    struct jwt_shard shards[JWT_SHARDS];
};

/* When a token was born: to the millisecond by its UUIDv7 id when that agrees with `iat`. */
int64_t jwt_issued_us(struct uuid token_id, int64_t issued_s);

bool jwt_cache_init(struct jwt_keys *keys);
void jwt_cache_release(struct jwt_keys *keys);
void jwt_revoked_release(struct jwt_keys *keys);
/* digest is filled in either case, for jwt_cache_put. */
bool jwt_cache_get(struct jwt_keys *keys, struct str token, const struct jwt_expect *expect,
                   unsigned char digest[SHA256_SIZE], struct jwt_seen *ret);
/* An expired or older-generation way goes first, then the one that expires soonest. */
void jwt_cache_put(struct jwt_keys *keys, struct str token, const struct jwt_seen *seen,
                   int64_t now_s);

/* A counted reference to the key, or NULL; the caller frees it. */
EVP_PKEY *jwt_key_for_verifying(struct jwt_keys *keys, struct str kid, int64_t now_us);
EVP_PKEY *jwt_key_for_signing(struct jwt_keys *keys, int64_t now_us, char kid[JWT_KID_SIZE]);
