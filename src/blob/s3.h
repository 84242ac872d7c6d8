/* s3.h -- what the files of the S3 driver share: the opened bucket, and one request to it. */
#pragma once

#include "blob/driver.h"
#include "blob/s3_sign.h"

#include "base/buf.h"

#include <curl/curl.h>
#include <pthread.h>

#define S3_IDLE_MAX 16
#define S3_PART_SIZE ((size_t)8 << 20) /* S3 wants 5 MiB and more, 10,000 parts and fewer */
#define S3_TAG_MAX 100                 /* of an ETag, an upload mark, a region */

struct s3_blobs {
    struct blobs base;
    struct arena arena; /* of the strings below */
    struct s3_keys keys;
    struct str scheme, host, bucket; /* "https"; host with a port that is not the default */
    bool in_path;                    /* the bucket is in the path, not in the host's name */

    pthread_mutex_t mutex;
    CURL *idle[S3_IDLE_MAX];
    size_t idle_n;
};

enum s3_repeat {
    S3_REPEAT,         /* twice is as good as once */
    S3_REPEAT_REFUSED, /* again only when the server cannot have done it */
};

struct s3_call {
    struct str method, name; /* name of the object; "": the bucket itself */
    const struct s3_pair *query, *headers;
    size_t query_n, headers_n;
    struct str body;
    size_t answer_max; /* of a good answer's body; more is ERR_TOO_LARGE */
    enum s3_repeat repeat;
    int tries; /* 0: as many as the deadline lets, up to 4 */
};

/* s3_answer_release after s3_call, also when it failed. */
struct s3_answer {
    int status;
    struct buf body; /* on the heap: a try that fails must not cost the arena */
    int64_t date_us; /* the server's clock, 0 when it did not say */
    char type[BLOB_TYPE_MAX + 1], etag[S3_TAG_MAX], mark[S3_TAG_MAX], region[S3_TAG_MAX];
};

/* s3_url.c: "//HOST[:PORT]/BUCKET[?...]" into host, bucket, style and region. ERR_INVALID. */
enum err s3_url_parse(struct ctx *cx, struct s3_blobs *s, const char *location) MUST_USE;
/* Host header, path and URL of a blob (or of the bucket, ""), by style. */
struct str s3_host(struct arena *a, const struct s3_blobs *s);
struct str s3_object_path(struct arena *a, const struct s3_blobs *s, struct str name);
const char *s3_object_url(struct arena *a, const struct s3_blobs *s, struct str name,
                          struct str query);

/*
 * s3_http.c: signs and sends, again after failures that pass, within the ctx's deadline. ERR_OK
 * with any status that is not a 5xx or a 429; ERR_UNAVAILABLE, also when the outcome is unknown.
 */
enum err s3_call(struct ctx *cx, struct s3_blobs *s, const struct s3_call *call,
                 struct s3_answer *ret) MUST_USE;
void s3_answer_release(struct s3_answer *answer);
void s3_handles_close(struct s3_blobs *s);

/* s3_refusal.c: <tag>text</tag> of an answer, NONE without. */
struct str s3_element(struct str xml, struct str tag);
bool s3_refused_as(const struct s3_answer *answer, struct str code);
/* Says in the story, in plain words, why the server did not do it; returns ERR_UNAVAILABLE. */
enum err s3_refusal(struct ctx *cx, const struct s3_blobs *s, const struct s3_answer *answer,
                    const char *what, struct str name) MUST_USE;
/* For doctor: the same, with what to do about it. */
enum err s3_refused(struct ctx *cx, const struct s3_blobs *s,
                    const struct s3_answer *answer) MUST_USE;
/* Nothing that time heals: keys, region, bucket or clock. */
bool s3_is_misconfigured(const struct s3_answer *answer);

/* s3_multipart.c: a body in parts of S3_PART_SIZE; whole or not at all. */
enum err s3_put_in_parts(struct ctx *cx, struct s3_blobs *s, struct str name,
                         struct str content_type, struct str bytes) MUST_USE;
