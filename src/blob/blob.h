/* blob.h -- the blob port: files by name, for photos; a directory or an S3 bucket. */
#pragma once

#include "base/ctx.h"

struct blobs;

/* Of S3; kept out of the URL, which is shown. Copied. */
struct blob_keys {
    struct str access_key, secret_key;
};

/*
 * "file:DIR" (keys may be NULL) or s3://HOST[:PORT]/BUCKET[?region=NAME&style=path|host&
 * scheme=https|http]. Default region: that of an amazonaws.com host, else us-east-1; default style:
 * host (BUCKET.HOST) at amazonaws.com, else path (HOST/BUCKET). ERR_INVALID: URL, keys, region,
 * bucket or clock are wrong; a server that does not answer yet is fine. Names are ours
 * ([a-z0-9/._-], no ".."), never the user's.
 */
enum err blobs_open(struct ctx *cx, const char *url, const struct blob_keys *keys,
                    struct blobs **ret) MUST_USE;
/*
 * For doctor: writes a blob and removes it again. *ret says what is there; on failure the story
 * says what is wrong and what to do.
 */
enum err blobs_probe(struct ctx *cx, const char *url, const struct blob_keys *keys,
                     struct str *ret) MUST_USE;
void blobs_close(struct blobs *b);
/* Whole or not at all, durable when it returns; replaces. */
enum err blob_put(struct ctx *cx, struct blobs *b, struct str name, struct str content_type,
                  struct str bytes) MUST_USE;
/* Into the arena; ERR_NOT_FOUND; ERR_TOO_LARGE above max. */
enum err blob_get(struct ctx *cx, struct blobs *b, struct str name, size_t max,
                  struct str *ret_bytes, struct str *ret_content_type) MUST_USE;
enum err blob_delete(struct ctx *cx, struct blobs *b,
                     struct str name) MUST_USE; /* absent is fine */
/*
 * A URL that lets whoever holds it read the blob for `seconds` (1 to 604800), in the arena. Nobody
 * looks whether the blob exists. STR_NONE with ERR_OK where blobs have no address of their own
 * ("file:"): then serve what blob_get gives. ERR_INVALID: the name or the seconds.
 */
enum err blob_presign(struct ctx *cx, struct blobs *b, struct str name, int64_t seconds,
                      struct str *ret_url) MUST_USE;
