/* s3_sign.h -- AWS Signature Version 4 as S3 wants it: of a request's head, or of a URL. */
#pragma once

#include "base/arena.h"

struct s3_keys {
    struct str access_key, secret_key, region;
};

/* A header (name in lower case) or a query parameter; neither is encoded yet. */
struct s3_pair {
    struct str name, value;
};

struct s3_to_sign {
    struct str method,
        host;        /* host as in the Host header: a port only when it is not the default */
    struct str path; /* from "/", not encoded */
    const struct s3_pair *query;
    size_t query_n;
    const struct s3_pair *headers; /* beside host, x-amz-date and x-amz-content-sha256 */
    size_t headers_n;
    struct str payload_hash; /* s3_sha256 of the body; not read for a URL */
    int64_t time_us;
};

#define S3_PAIRS_MAX 12 /* headers or parameters, with those that signing adds */

/* All of these answer in the arena and cannot fail. */
struct str s3_authorization(struct arena *a, const struct s3_keys *keys,
                            const struct s3_to_sign *what); /* value of the header */
/* The query string of a URL that works for `seconds` from the time signed, signature included. */
struct str s3_presigned_query(struct arena *a, const struct s3_keys *keys,
                              const struct s3_to_sign *what, int64_t seconds);
struct str s3_query(struct arena *a, const struct s3_pair *pairs,
                    size_t n); /* encoded, in the order that is signed; "" for none */
struct str s3_path(struct arena *a, struct str path);      /* encoded but for "/" */
struct str s3_timestamp(struct arena *a, int64_t time_us); /* "20130524T000000Z" */
struct str s3_sha256(struct arena *a, struct str bytes);   /* in lower case hex */
