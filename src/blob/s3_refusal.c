/* s3_refusal.c -- turns S3's error codes into words that say what to change. */
#include "blob/s3.h"

static const struct {
    const char *code, *words;
    bool setting; /* time does not heal it */
    const char *advice;
} reasons[] = {
    {"SignatureDoesNotMatch", "the secret key is not that of the access key", true,
     "correct --blobs-secret-key"},
    {"InvalidAccessKeyId", "the server does not know the access key", true,
     "correct --blobs-access-key"},
    {"XAdminUserNotFound", "the server does not know the access key", true,
     "correct --blobs-access-key"},
    {"InvalidClientTokenId", "the server does not know the access key", true,
     "correct --blobs-access-key"},
    {"NoSuchBucket", "the bucket does not exist", true, "make it, or correct --blobs"},
    {"InvalidBucketName", "the server takes no bucket of that name", true, "correct --blobs"},
    {"AuthorizationHeaderMalformed", "the region is wrong", true, "set ?region= in --blobs"},
    {"IllegalLocationConstraintException", "the region is wrong", true, "set ?region= in --blobs"},
    {"PermanentRedirect", "the bucket is in another region", true, "set ?region= in --blobs"},
    {"TemporaryRedirect", "the bucket is in another region", false,
     "a new bucket takes hours to be everywhere: wait"},
    {"RequestTimeTooSkewed", "the clock of this machine is wrong", true,
     "let it follow NTP (chrony, timesyncd)"},
    {"AccessDenied", "the access key may not do this in the bucket", false,
     "allow it s3:PutObject, GetObject, DeleteObject"},
    {"AccountProblem", "the account of the access key is suspended", true, "ask the provider"},
    {"QuotaExceeded", "the bucket is full", false, "raise its quota"},
    {"InsufficientCapacity", "the server's disks are full", false, "give them room"},
};

struct str s3_element(struct str xml, struct str tag)
{
    struct str open, close;
    char text[64];
    int n = snprintf(text, sizeof text, "<%.*s>", STR_ARG(tag));

    open = (struct str){text, (size_t)n};
    size_t at = xml.p ? str_find(xml, open) : SIZE_MAX;
    if (at == SIZE_MAX)
        return STR_NONE;
    struct str rest = {xml.p + at + open.n, xml.n - at - open.n};
    n = snprintf(text, sizeof text, "</%.*s>", STR_ARG(tag));
    close = (struct str){text, (size_t)n};
    at = str_find(rest, close);
    return at == SIZE_MAX ? STR_NONE : (struct str){rest.p, at};
}

bool s3_refused_as(const struct s3_answer *answer, struct str code)
{
    return str_eq(s3_element(buf_str(&answer->body), STR("Code")), code);
}

static size_t reason_of(const struct s3_answer *answer)
{
    size_t i = 0;

    while (i < COUNT_OF(reasons) && !s3_refused_as(answer, str_from(reasons[i].code)))
        i++;
    return i;
}

bool s3_is_misconfigured(const struct s3_answer *answer)
{
    size_t i = reason_of(answer);

    return i < COUNT_OF(reasons) && reasons[i].setting;
}

/* What the server said about the right region or the time, if it did. */
static struct str hint(struct ctx *cx, const struct s3_blobs *s, const struct s3_answer *answer)
{
    struct str region = s3_element(buf_str(&answer->body), STR("Region"));
    int64_t ahead_s = (ctx_now(cx) - answer->date_us) / US_PER_S;

    if (s3_refused_as(answer, STR("RequestTimeTooSkewed")) && answer->date_us)
        return arena_printf(cx->arena, ": it is %" PRId64 " s %s the server's",
                            ahead_s < 0 ? -ahead_s : ahead_s, ahead_s < 0 ? "behind" : "ahead of");
    if (!region.n)
        region = str_from(answer->region);
    if (region.n && !str_eq(region, s->keys.region))
        return arena_printf(cx->arena, ": the server says \"%.*s\", the setting \"%.*s\"",
                            STR_ARG(region), STR_ARG(s->keys.region));
    return STR("");
}

enum err s3_refusal(struct ctx *cx, const struct s3_blobs *s, const struct s3_answer *answer,
                    const char *what, struct str name)
{
    struct str xml = buf_str(&answer->body), code = s3_element(xml, STR("Code"));
    struct str message = s3_element(xml, STR("Message"));
    size_t i = reason_of(answer);

    if (i < COUNT_OF(reasons))
        return fail(cx, ERR_UNAVAILABLE, "S3 %s %.*s%s%.*s: %s%.*s (%.*s)", what,
                    STR_ARG(s->bucket), name.n ? "/" : "", STR_ARG(name), reasons[i].words,
                    STR_ARG(hint(cx, s, answer)), STR_ARG(code));
    return fail(cx, ERR_UNAVAILABLE, "S3 %s %.*s/%.*s: status %d %.*s %.*s", what,
                STR_ARG(s->bucket), STR_ARG(name), answer->status, STR_ARG(code), STR_ARG(message));
}

enum err s3_refused(struct ctx *cx, const struct s3_blobs *s, const struct s3_answer *answer)
{
    struct str xml = buf_str(&answer->body), code = s3_element(xml, STR("Code"));
    size_t i = reason_of(answer);

    if (i < COUNT_OF(reasons))
        return fail(cx, ERR_UNAVAILABLE, "%s%.*s: %s (%.*s)", reasons[i].words,
                    STR_ARG(hint(cx, s, answer)), reasons[i].advice, STR_ARG(code));
    return fail(cx, ERR_UNAVAILABLE, "status %d %.*s: is that an S3 server, and does it log why?",
                answer->status, STR_ARG(code));
}
