/*
 * s3_multipart.c -- a large body in parts. The object appears with the last request only, and
 * whatever fails before that takes the parts away again.
 */
#include "blob/s3.h"

#include "obs/log.h"

#define ABORT_MS 5000
#define ABORTS_MAX 3
#define ABORT_PAUSE_MS 100
#define LIST_MAX ((size_t)2 << 20) /* 10,000 parts */
#define MARK_SIZE 16

struct upload {
    struct s3_blobs *s;
    struct str name, id;
    struct str mark; /* kept with the object: tells our upload from everybody else's */
    struct buf list; /* of the parts, XML, in the arena */
};

static struct str random_mark(struct ctx *cx)
{
    unsigned char bytes[MARK_SIZE];
    struct buf b;

    rng_bytes(cx->rng, bytes, sizeof bytes);
    buf_init_arena(&b, cx->arena, 2 * MARK_SIZE);
    for (size_t i = 0; i < sizeof bytes; i++)
        buf_printf(&b, "%02x", bytes[i]);
    return buf_str(&b);
}

static enum err begin(struct ctx *cx, struct upload *u, struct str content_type)
{
    const struct s3_pair query[] = {{STR("uploads"), STR("")}};
    const struct s3_pair headers[] = {{STR("content-type"), content_type},
                                      {STR("x-amz-meta-jumun-upload"), u->mark}};
    const struct s3_call call = {.method = STR("POST"),
                                 .name = u->name,
                                 .query = query,
                                 .query_n = 1,
                                 .headers = headers,
                                 .headers_n = 2,
                                 .body = STR(""),
                                 .answer_max = 16384,
                                 /* Twice would leave an upload whose id nobody knows. */
                                 .repeat = S3_REPEAT_REFUSED};
    struct s3_answer answer;
    enum err e = s3_call(cx, u->s, &call, &answer);

    if (e == ERR_OK && answer.status != 200)
        e = s3_refusal(cx, u->s, &answer, "upload", u->name);
    if (e == ERR_OK) {
        u->id = s3_element(buf_str(&answer.body), STR("UploadId"));
        u->id = u->id.n ? arena_copy(cx->arena, u->id) : STR_NONE;
        if (!u->id.p)
            e = fail(cx, ERR_UNAVAILABLE, "S3 gave no id for the upload of %.*s", STR_ARG(u->name));
    }
    s3_answer_release(&answer);
    return e;
}

static enum err send_part(struct ctx *cx, struct upload *u, int number, struct str bytes)
{
    const struct s3_pair query[] = {{STR("partNumber"), arena_printf(cx->arena, "%d", number)},
                                    {STR("uploadId"), u->id}};
    const struct s3_call call = {.method = STR("PUT"),
                                 .name = u->name,
                                 .query = query,
                                 .query_n = 2,
                                 .body = bytes,
                                 .answer_max = 16384};
    struct s3_answer answer;
    enum err e = s3_call(cx, u->s, &call, &answer);

    if (e == ERR_OK && answer.status != 200)
        e = s3_refusal(cx, u->s, &answer, "upload of a part of", u->name);
    if (e == ERR_OK && (!answer.etag[0] || strpbrk(answer.etag, "<>&")))
        e = fail(cx, ERR_UNAVAILABLE, "S3 gave no usable ETag for a part of %.*s",
                 STR_ARG(u->name));
    if (e == ERR_OK)
        buf_printf(&u->list, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", number,
                   answer.etag);
    s3_answer_release(&answer);
    return e;
}

/* The upload is gone: was it ended by an attempt whose answer was lost, ours or libcurl's own? Then
 * the object that is there is this upload. */
static enum err look(struct ctx *cx, struct upload *u)
{
    const struct s3_call call = {.method = STR("HEAD"), .name = u->name, .answer_max = 16384};
    struct s3_answer answer;
    enum err e = s3_call(cx, u->s, &call, &answer);
    bool ours = e == ERR_OK && answer.status == 200 && str_eq(str_from(answer.mark), u->mark);

    s3_answer_release(&answer);
    TRY(e);
    return ours ? ERR_OK
                : fail(cx, ERR_UNAVAILABLE, "the upload of %.*s ended without an object",
                       STR_ARG(u->name));
}

static enum err finish(struct ctx *cx, struct upload *u)
{
    const struct s3_pair query[] = {{STR("uploadId"), u->id}};
    const struct s3_call call = {.method = STR("POST"),
                                 .name = u->name,
                                 .query = query,
                                 .query_n = 1,
                                 .body = buf_str(&u->list),
                                 .answer_max = 16384};
    struct s3_answer answer;
    enum err e = s3_call(cx, u->s, &call, &answer);

    /* S3 sends 200 before it knows; a failure then is in the body. */
    if (e == ERR_OK && s3_refused_as(&answer, STR("NoSuchUpload")))
        e = look(cx, u);
    else if (e == ERR_OK &&
             (answer.status != 200 || s3_element(buf_str(&answer.body), STR("Code")).p))
        e = s3_refusal(cx, u->s, &answer, "end of the upload of", u->name);
    s3_answer_release(&answer);
    return e;
}

/* Status of the answer, 0 without one. */
static int end_upload(struct ctx *cx, struct upload *u)
{
    const struct s3_pair query[] = {{STR("uploadId"), u->id}};
    const struct s3_call call = {.method = STR("DELETE"),
                                 .name = u->name,
                                 .query = query,
                                 .query_n = 1,
                                 .answer_max = 16384};
    struct s3_answer answer;
    int status = s3_call(cx, u->s, &call, &answer) == ERR_OK ? answer.status : 0;

    s3_answer_release(&answer);
    return status;
}

/*
 * Until the server knows nothing of it: a part that is still on its way may come in after the first
 * time. With time of its own, as the passed deadline may be why it is needed. The story stays.
 */
static void take_away(const struct ctx *cx, struct upload *u)
{
    struct ctx own = *cx;
    int status = 0;

    own.deadline_us = clock_monotonic_us() + ABORT_MS * US_PER_MS;
    for (int i = 0; i < ABORTS_MAX && status != 404; i++) {
        if (i > 0)
            nanosleep(&(struct timespec){.tv_nsec = ABORT_PAUSE_MS * US_PER_MS * 1000}, NULL);
        status = end_upload(&own, u);
        if (status != 204 && status != 404)
            break;
    }
    if (status != 204 && status != 404)
        log_event(&own, LOG_WARN, "S3 keeps parts of %.*s, upload %.*s, until its rules end it: %s",
                  STR_ARG(u->name), STR_ARG(u->id), own.story.detail);
}

static enum err send_all(struct ctx *cx, struct upload *u, struct str bytes)
{
    int number = 1;

    buf_lit(&u->list, "<CompleteMultipartUpload>");
    for (size_t at = 0; at < bytes.n; at += S3_PART_SIZE, number++) {
        size_t n = bytes.n - at < S3_PART_SIZE ? bytes.n - at : S3_PART_SIZE;
        TRY(send_part(cx, u, number, (struct str){bytes.p + at, n}));
    }
    buf_lit(&u->list, "</CompleteMultipartUpload>");
    if (u->list.overflow)
        return fail(cx, ERR_TOO_LARGE, "%.*s has too many parts", STR_ARG(u->name));
    return finish(cx, u);
}

enum err s3_put_in_parts(struct ctx *cx, struct s3_blobs *s, struct str name,
                         struct str content_type, struct str bytes)
{
    struct upload u = {.s = s, .name = name, .mark = random_mark(cx)};

    buf_init_arena(&u.list, cx->arena, LIST_MAX);
    TRY(begin(cx, &u, content_type));
    enum err e = send_all(cx, &u, bytes);
    if (e != ERR_OK)
        take_away(cx, &u);
    return e;
}
