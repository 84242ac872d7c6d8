/*
 * s3.c -- blobs as objects of an S3 bucket, at Amazon or at any server that speaks its protocol.
 *
 * The bucket need not be reachable when it is opened, as start order never matters; but when it
 * answers that keys, region, bucket or clock are wrong, opening fails and says so.
 */
#include "blob/s3.h"

#include "obs/log.h"

#define LOOK_MS 3000
#define PROBE_MS 5000
#define PROBE_NAME STR("jumun-doctor-was-here")
#define LOOK_NAME STR("jumun-is-this-bucket-here") /* never written */

static struct s3_blobs *s3_of(struct blobs *b)
{
    return (struct s3_blobs *)b;
}

static void s3_close(struct blobs *b)
{
    struct s3_blobs *s = s3_of(b);

    s3_handles_close(s);
    pthread_mutex_destroy(&s->mutex);
    arena_release(&s->arena);
    free(s);
}

static bool is_absent(const struct s3_answer *answer)
{
    return answer->status == 404 && !s3_refused_as(answer, STR("NoSuchBucket")) &&
           !s3_is_misconfigured(answer);
}

/* One question, about an object, as keys need not be allowed to ask about the bucket. */
static enum err look_at_bucket(struct ctx *cx, struct s3_blobs *s)
{
    const struct s3_call call = {
        .method = STR("GET"), .name = LOOK_NAME, .answer_max = 16384, .tries = 1};
    struct ctx own = *cx;
    struct s3_answer answer;
    int left_ms = ctx_left_ms(cx, LOOK_MS);

    own.deadline_us = clock_monotonic_us() + left_ms * US_PER_MS;
    enum err e = s3_call(&own, s, &call, &answer);
    if (e == ERR_OK && s3_is_misconfigured(&answer)) {
        e = s3_refusal(&own, s, &answer, "bucket", STR(""));
        e = fail(cx, ERR_INVALID, "blobs: %s", own.story.detail);
    } else if (e != ERR_OK) {
        log_event(cx, LOG_WARN, "blobs: the bucket does not answer, going on without: %s",
                  own.story.detail);
        e = ERR_OK;
    }
    s3_answer_release(&answer);
    return e;
}

/* The URL and the keys, without a word to the server. */
static enum err s3_make(struct ctx *cx, const char *location, const struct blob_keys *keys,
                        struct s3_blobs **ret)
{
    if (!keys || !keys->access_key.n || !keys->secret_key.n)
        return fail(cx, ERR_INVALID,
                    "blobs: s3:// needs an access key and a secret key (--blobs-access-key, "
                    "JUMUN_BLOBS_SECRET_KEY_FILE)");
    struct s3_blobs *s = calloc(1, sizeof(*s));
    if (!s)
        return fail(cx, ERR_UNAVAILABLE, "no memory");
    s->base.driver = &blob_s3;
    arena_init(&s->arena, 65536);
    pthread_mutex_init(&s->mutex, NULL);
    enum err e = s3_url_parse(cx, s, location);
    s->keys.access_key = arena_copy(&s->arena, keys->access_key);
    s->keys.secret_key = arena_copy(&s->arena, keys->secret_key);
    if (e == ERR_OK)
        *ret = s;
    else
        s3_close(&s->base);
    return e;
}

static enum err s3_open(struct ctx *cx, const char *location, const struct blob_keys *keys,
                        struct blobs **ret)
{
    struct s3_blobs *s = NULL;

    TRY(s3_make(cx, location, keys, &s));
    enum err e = look_at_bucket(cx, s);
    if (e == ERR_OK)
        *ret = &s->base;
    else
        s3_close(&s->base);
    return e;
}

static enum err s3_put(struct ctx *cx, struct blobs *b, struct str name, struct str content_type,
                       struct str bytes)
{
    if (bytes.n > S3_PART_SIZE)
        return s3_put_in_parts(cx, s3_of(b), name, content_type, bytes);
    const struct s3_pair headers[] = {{STR("content-type"), content_type}};
    const struct s3_call call = {.method = STR("PUT"),
                                 .name = name,
                                 .headers = headers,
                                 .headers_n = 1,
                                 .body = bytes.p ? bytes : STR(""),
                                 .answer_max = 16384};
    struct s3_answer answer;
    enum err e = s3_call(cx, s3_of(b), &call, &answer);
    if (e == ERR_OK && answer.status != 200)
        e = s3_refusal(cx, s3_of(b), &answer, "put", name);
    s3_answer_release(&answer);
    return e;
}

static enum err s3_get(struct ctx *cx, struct blobs *b, struct str name, size_t max,
                       struct str *ret_bytes, struct str *ret_content_type)
{
    const struct s3_call call = {.method = STR("GET"), .name = name, .answer_max = max};
    struct s3_answer answer;
    enum err e = s3_call(cx, s3_of(b), &call, &answer);

    if (e == ERR_OK && answer.status == 200) {
        struct str body = buf_str(&answer.body);
        *ret_bytes = arena_copy(cx->arena, body.p ? body : STR(""));
        *ret_content_type = arena_copy(cx->arena, str_from(answer.type));
    } else if (e == ERR_OK && is_absent(&answer)) {
        e = fail(cx, ERR_NOT_FOUND, "%.*s", STR_ARG(name));
    } else if (e == ERR_OK) {
        e = s3_refusal(cx, s3_of(b), &answer, "get", name);
    }
    s3_answer_release(&answer);
    return e;
}

static enum err s3_remove(struct ctx *cx, struct blobs *b, struct str name)
{
    const struct s3_call call = {.method = STR("DELETE"), .name = name, .answer_max = 16384};
    struct s3_answer answer;
    enum err e = s3_call(cx, s3_of(b), &call, &answer);

    if (e == ERR_OK && answer.status != 204 && answer.status != 200 && !is_absent(&answer))
        e = s3_refusal(cx, s3_of(b), &answer, "delete", name);
    s3_answer_release(&answer);
    return e;
}

static enum err s3_presign(struct ctx *cx, struct blobs *b, struct str name, int64_t seconds,
                           struct str *ret)
{
    struct s3_blobs *s = s3_of(b);
    const struct s3_to_sign what = {.method = STR("GET"),
                                    .host = s3_host(cx->arena, s),
                                    .path = s3_object_path(cx->arena, s, name),
                                    .time_us = ctx_now(cx)};

    *ret = str_from(
        s3_object_url(cx->arena, s, name, s3_presigned_query(cx->arena, &s->keys, &what, seconds)));
    return ERR_OK;
}

static enum err probe_at(struct ctx *cx, struct s3_blobs *s)
{
    const struct s3_pair headers[] = {{STR("content-type"), STR("text/plain")}};
    const struct s3_call call = {.method = STR("PUT"),
                                 .name = PROBE_NAME,
                                 .headers = headers,
                                 .headers_n = 1,
                                 .body = STR("jumun doctor"),
                                 .answer_max = 16384,
                                 .tries = 1};
    struct s3_answer answer;
    enum err e = s3_call(cx, s, &call, &answer);

    if (e == ERR_OK && answer.status != 200)
        e = s3_refused(cx, s, &answer);
    else if (e != ERR_OK)
        e = fail(cx, e, "nobody answers at %.*s: start the server, or correct --blobs",
                 STR_ARG(s->host));
    s3_answer_release(&answer);
    TRY(e);
    return s3_remove(cx, &s->base, PROBE_NAME);
}

static enum err s3_probe(struct ctx *cx, const char *location, const struct blob_keys *keys,
                         struct str *ret)
{
    struct s3_blobs *s = NULL;
    struct ctx own = *cx;

    TRY(s3_make(cx, location, keys, &s));
    own.deadline_us = clock_monotonic_us() + ctx_left_ms(cx, PROBE_MS) * US_PER_MS;
    enum err e = probe_at(&own, s);
    cx->story = own.story;
    if (e == ERR_OK)
        *ret = arena_printf(cx->arena, "S3 bucket %.*s at %.*s, region %.*s", STR_ARG(s->bucket),
                            STR_ARG(s->host), STR_ARG(s->keys.region));
    s3_close(&s->base);
    return e;
}

const struct blob_driver blob_s3 = {
    .scheme = "s3:",
    .open = s3_open,
    .close = s3_close,
    .put = s3_put,
    .get = s3_get,
    .remove = s3_remove,
    .presign = s3_presign,
    .probe = s3_probe,
};
