/*
 * jwt.h -- access tokens: RS256 JWTs (RFC 7519, RFC 9068), their keys, a cache of verified ones,
 * revocation.
 *
 * One algorithm. The key is found by `kid` in the local table and nowhere else; nothing inside a
 * token chooses an algorithm, a key or an address to fetch one from. What was verified is
 * remembered by SHA-256 until it expires, so a client that keeps calling costs one RSA operation,
 * not one per call; revocations are checked on every call all the same.
 */
#pragma once

#include "base/buf.h"
#include "base/ctx.h"

#define JWT_MAX (8 * 1024) /* longer tokens are refused unseen */
#define JWT_LEEWAY_S 60    /* clocks of two machines may differ by this much */
#define JWT_KEYS_MAX 32
#define JWT_KID_SIZE 129 /* longest kid with NUL; foreign issuers choose their own */
#define JWT_ISSUER_MAX 200

/* What our own issuer puts in and every service expects; the issuer is configured. */
#define JWT_AUDIENCE "jumun"
#define JWT_TYPE "at+jwt"
#define JWT_LIFETIME_S (15 * 60)

struct jwt_keys; /* thread-safe: keys, verified-token cache and revocations of one issuer */

enum err jwt_keys_open(struct ctx *cx, struct jwt_keys **ret) MUST_USE;
void jwt_keys_close(struct jwt_keys *keys); /* NULL is fine */

/*
 * A key signs from signs_from_us and verifies until expires_us (0: for ever). Of the keys that may
 * sign the one with the latest signs_from_us does. When none may yet (the clock was set back, or
 * the platform was away while its keys grew old), the one that may first does, so that people can
 * log in; who does not know it yet asks for it. ERR_DUPLICATE: that kid is there. ERR_BUSY:
 * JWT_KEYS_MAX reached.
 */
struct jwt_key_times {
    int64_t signs_from_us, expires_us;
};
/* RSA of 2048 to 4096 bits; a private key signs as well, a public one only verifies. ERR_INVALID
 * otherwise. */
enum err jwt_keys_add_pem(struct ctx *cx, struct jwt_keys *keys, struct str kid, struct str pem,
                          struct jwt_key_times times) MUST_USE;
/* Modulus and exponent, big endian: what a JWKS holds. */
enum err jwt_keys_add_rsa(struct ctx *cx, struct jwt_keys *keys, struct str kid, struct str modulus,
                          struct str exponent, struct jwt_key_times times) MUST_USE;
/* A fresh 2048-bit key, added; its private PEM into `pem` unless NULL (the caller wipes it). */
enum err jwt_keys_generate(struct ctx *cx, struct jwt_keys *keys, struct str kid,
                           struct jwt_key_times times, struct buf *pem) MUST_USE;
/* Tokens of that key are refused from now on, cached or not. */
void jwt_keys_remove(struct jwt_keys *keys, struct str kid);
void jwt_keys_remove_expired(struct jwt_keys *keys, int64_t now_us);
size_t jwt_keys_count(struct jwt_keys *keys);
/* Copies of the kids, in the arena; how many. */
size_t jwt_keys_kids(struct ctx *cx, struct jwt_keys *keys, struct str kids[JWT_KEYS_MAX]);

struct jwt_claims {
    struct str issuer, audience;
    struct uuid user_id;    /* `sub`; nil for services */
    struct str service;     /* `sub` of service tokens: [a-z0-9-]{1,31}; absent for people */
    struct uuid token_id;   /* `jti`: a UUIDv7, so it knows its birth to the millisecond */
    struct uuid session_id; /* `sid`; nil for services */
    enum role role;         /* CUSTOMER, OWNER, STAFF, ADMIN or SERVICE; exactly one */
    int64_t issued_s, not_before_s, expires_s; /* seconds, as on the wire; not_before_s 0: none */
};

struct jwt_expect {
    struct str issuer, audience; /* exact; the audience may be one of a list */
    struct str type;             /* `typ`, "at+jwt"; compared without case */
    int64_t lifetime_max_s;      /* refuses longer-lived ones; 0: one day */
};

/* Appends the token. ERR_UNAVAILABLE: no key may sign now; ERR_INVALID: claims that no one would
 * accept. */
enum err jwt_sign(struct ctx *cx, struct jwt_keys *keys, const struct jwt_claims *claims,
                  struct buf *out) MUST_USE;
/* ERR_UNAUTHENTICATED with the reason in the story. ret's strings live in the arena. */
enum err jwt_verify(struct ctx *cx, struct jwt_keys *keys, struct str token,
                    const struct jwt_expect *expect, struct jwt_claims *ret) MUST_USE;

/* The kid that a token names, unverified and in the arena: only good for asking whether that key is
 * known. False: it is no token. */
bool jwt_read_kid(struct ctx *cx, struct str token, struct str *ret) MUST_USE;
bool jwt_keys_know(struct jwt_keys *keys, struct str kid);

/* So long after its session's end an access token may still be shown to somebody. */
#define JWT_REVOKED_S (JWT_LIFETIME_S + 2 * JWT_LEEWAY_S)
/*
 * Tokens of that session are refused, for as long as one may live. Saying it again changes nothing.
 * What is remembered is bounded, and fails closed: beyond the bound, tokens that were issued before
 * the ends that are given up are refused, whosesoever they are; never those issued after ended_us.
 */
void jwt_revoke_session(struct jwt_keys *keys, struct uuid session_id, int64_t ended_us,
                        int64_t now_us);
/* Is a token of that session, issued at that moment, refused? Counts nothing, takes the read lock
 * when there is anything to look at. */
bool jwt_is_revoked(struct jwt_keys *keys, struct uuid session_id, int64_t issued_us);

struct jwt_stats {
    uint64_t hits, misses, refused, evicted;
};
struct jwt_stats jwt_stats(struct jwt_keys *keys);
