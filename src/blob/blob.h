/* blob.h -- the blob port: files by name, for photos; a directory or an S3 bucket. */
#pragma once

#include "base/ctx.h"

struct blobs;

/* "file:DIR" or "s3://...". Names are ours ([a-z0-9/._-], no ".."), never the user's. */
enum err blobs_open(struct ctx *cx, const char *url, struct blobs **ret) MUST_USE;
void blobs_close(struct blobs *b);
/* Whole or not at all, durable when it returns; replaces. */
enum err blob_put(struct ctx *cx, struct blobs *b, struct str name, struct str content_type,
                  struct str bytes) MUST_USE;
/* Into the arena; ERR_NOT_FOUND; ERR_TOO_LARGE above max. */
enum err blob_get(struct ctx *cx, struct blobs *b, struct str name, size_t max,
                  struct str *ret_bytes, struct str *ret_content_type) MUST_USE;
enum err blob_delete(struct ctx *cx, struct blobs *b,
                     struct str name) MUST_USE; /* absent is fine */
