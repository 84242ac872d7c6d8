/* driver.h -- what a blob driver implements; names and content types are checked before. */
#pragma once

#include "blob/blob.h"

#define BLOB_NAME_MAX 200
#define BLOB_TYPE_MAX 100
#define BLOB_PRESIGN_SECONDS_MAX 604800 /* a week, the most that S3 takes */

struct blob_driver {
    const char *scheme;
    enum err (*open)(struct ctx *cx, const char *location, const struct blob_keys *keys,
                     struct blobs **ret);
    void (*close)(struct blobs *b);
    enum err (*put)(struct ctx *cx, struct blobs *b, struct str name, struct str content_type,
                    struct str bytes);
    enum err (*get)(struct ctx *cx, struct blobs *b, struct str name, size_t max,
                    struct str *ret_bytes, struct str *ret_content_type);
    enum err (*remove)(struct ctx *cx, struct blobs *b, struct str name);
    enum err (*presign)(struct ctx *cx, struct blobs *b, struct str name, int64_t seconds,
                        struct str *ret); /* NULL: blobs have no URL */
    enum err (*probe)(struct ctx *cx, const char *location, const struct blob_keys *keys,
                      struct str *ret); /* NULL: nothing to see */
};

/* First member of every driver's own struct. */
struct blobs {
    const struct blob_driver *driver;
};

extern const struct blob_driver blob_file, blob_s3;
