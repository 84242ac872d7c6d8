/*
 * s3_sign.c -- Signature Version 4: a canonical text of the request, its hash in a second text with
 * time and scope, and an HMAC of that by a key made of the secret, the day and the region.
 */
#include "blob/s3_sign.h"

#include "base/buf.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define HASH_SIZE 32
#define TEXT_MAX 65536 /* of what is signed: short names and a handful of parameters */

struct hash {
    unsigned char bytes[HASH_SIZE];
};

static struct str hex_of(struct arena *a, const struct hash *h)
{
    static const char digits[] = "0123456789abcdef";
    char *p = arena_alloc(a, 2 * HASH_SIZE);

    for (size_t i = 0; i < HASH_SIZE; i++) {
        p[2 * i] = digits[h->bytes[i] >> 4];
        p[2 * i + 1] = digits[h->bytes[i] & 15];
    }
    return (struct str){p, 2 * HASH_SIZE};
}

/* OpenSSL fails here only without memory, and then this process cannot go on. */
struct str s3_sha256(struct arena *a, struct str bytes)
{
    struct hash h;

    if (!EVP_Digest(bytes.p ? bytes.p : "", bytes.n, h.bytes, NULL, EVP_sha256(), NULL))
        abort();
    return hex_of(a, &h);
}

static struct hash hmac(const void *key, size_t key_n, struct str text)
{
    struct hash h;

    if (!HMAC(EVP_sha256(), key, (int)key_n, (const unsigned char *)text.p, text.n, h.bytes, NULL))
        abort();
    return h;
}

struct str s3_timestamp(struct arena *a, int64_t time_us)
{
    time_t seconds = (time_t)(time_us / 1000000);
    char *text = arena_alloc(a, 20);
    struct tm t;

    gmtime_r(&seconds, &t);
    return (struct str){text, strftime(text, 20, "%Y%m%dT%H%M%SZ", &t)};
}

static void encode(struct buf *b, struct str s, bool keep_slash)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
        if (plain)
            buf_char(b, c);
        else
            buf_printf(b, "%%%02X", (unsigned char)c);
    }
}

static struct str encoded(struct arena *a, struct str s, bool keep_slash)
{
    struct buf b;

    buf_init_arena(&b, a, TEXT_MAX);
    encode(&b, s, keep_slash);
    return buf_str(&b);
}

struct str s3_path(struct arena *a, struct str path)
{
    return encoded(a, path, true);
}

/* By name, then by value; few enough for insertion. */
static void sort(struct s3_pair *pairs, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct s3_pair pair = pairs[i];
        size_t at = i;
        for (; at > 0; at--) {
            int order = str_cmp(pairs[at - 1].name, pair.name);
            if (order < 0 || (order == 0 && str_cmp(pairs[at - 1].value, pair.value) <= 0))
                break;
            pairs[at] = pairs[at - 1];
        }
        pairs[at] = pair;
    }
}

struct str s3_query(struct arena *a, const struct s3_pair *pairs, size_t n)
{
    struct s3_pair sorted[S3_PAIRS_MAX];
    struct buf b;

    assert(n <= S3_PAIRS_MAX);
    for (size_t i = 0; i < n; i++)
        sorted[i] =
            (struct s3_pair){encoded(a, pairs[i].name, false), encoded(a, pairs[i].value, false)};
    sort(sorted, n);
    buf_init_arena(&b, a, TEXT_MAX);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_char(&b, '&');
        buf_str_add(&b, sorted[i].name);
        buf_char(&b, '=');
        buf_str_add(&b, sorted[i].value);
    }
    return n ? buf_str(&b) : STR("");
}

/* "a;b;c" of sorted headers. */
static struct str names_of(struct arena *a, const struct s3_pair *headers, size_t n)
{
    struct buf b;

    buf_init_arena(&b, a, TEXT_MAX);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_char(&b, ';');
        buf_str_add(&b, headers[i].name);
    }
    return buf_str(&b);
}

static struct str scope_of(struct arena *a, const struct s3_keys *keys, struct str timestamp)
{
    return arena_printf(a, "%.8s/%.*s/s3/aws4_request", timestamp.p, STR_ARG(keys->region));
}

/* A header's value as it is signed: no space around it, and one where there are several. */
static void add_value(struct buf *b, struct str value)
{
    value = str_trim(value);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != ' ' || value.p[i - 1] != ' ')
            buf_char(b, value.p[i]);
}

static struct str canonical(struct arena *a, const struct s3_to_sign *what, struct str query,
                            const struct s3_pair *headers, size_t n, struct str payload_hash)
{
    struct buf b;

    buf_init_arena(&b, a, TEXT_MAX);
    buf_printf(&b, "%.*s\n", STR_ARG(what->method));
    encode(&b, what->path, true);
    buf_printf(&b, "\n%.*s\n", STR_ARG(query));
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, "%.*s:", STR_ARG(headers[i].name));
        add_value(&b, headers[i].value);
        buf_char(&b, '\n');
    }
    buf_printf(&b, "\n%.*s\n%.*s", STR_ARG(names_of(a, headers, n)), STR_ARG(payload_hash));
    assert(!b.overflow);
    return buf_str(&b);
}

static struct str sign(struct arena *a, const struct s3_keys *keys, struct str timestamp,
                       struct str request)
{
    struct str secret = arena_printf(a, "AWS4%.*s", STR_ARG(keys->secret_key));
    struct str text =
        arena_printf(a, ALGORITHM "\n%.*s\n%.*s\n%.*s", STR_ARG(timestamp),
                     STR_ARG(scope_of(a, keys, timestamp)), STR_ARG(s3_sha256(a, request)));
    struct hash key = hmac(secret.p, secret.n, (struct str){timestamp.p, 8});

    key = hmac(key.bytes, HASH_SIZE, keys->region);
    key = hmac(key.bytes, HASH_SIZE, STR("s3"));
    key = hmac(key.bytes, HASH_SIZE, STR("aws4_request"));
    key = hmac(key.bytes, HASH_SIZE, text);
    return hex_of(a, &key);
}

struct str s3_authorization(struct arena *a, const struct s3_keys *keys,
                            const struct s3_to_sign *what)
{
    struct str timestamp = s3_timestamp(a, what->time_us);
    struct s3_pair headers[S3_PAIRS_MAX] = {
        {STR("host"), what->host},
        {STR("x-amz-date"), timestamp},
        {STR("x-amz-content-sha256"), what->payload_hash},
    };
    size_t n = 3;

    assert(what->headers_n + n <= S3_PAIRS_MAX);
    for (size_t i = 0; i < what->headers_n; i++)
        headers[n++] = what->headers[i];
    sort(headers, n);
    struct str query = s3_query(a, what->query, what->query_n);
    struct str request = canonical(a, what, query, headers, n, what->payload_hash);
    return arena_printf(a, ALGORITHM " Credential=%.*s/%.*s,SignedHeaders=%.*s,Signature=%.*s",
                        STR_ARG(keys->access_key), STR_ARG(scope_of(a, keys, timestamp)),
                        STR_ARG(names_of(a, headers, n)),
                        STR_ARG(sign(a, keys, timestamp, request)));
}

struct str s3_presigned_query(struct arena *a, const struct s3_keys *keys,
                              const struct s3_to_sign *what, int64_t seconds)
{
    struct str timestamp = s3_timestamp(a, what->time_us);
    struct str credential = arena_printf(a, "%.*s/%.*s", STR_ARG(keys->access_key),
                                         STR_ARG(scope_of(a, keys, timestamp)));
    const struct s3_pair host = {STR("host"), what->host};
    struct s3_pair query[S3_PAIRS_MAX] = {
        {STR("X-Amz-Algorithm"), STR(ALGORITHM)},
        {STR("X-Amz-Credential"), credential},
        {STR("X-Amz-Date"), timestamp},
        {STR("X-Amz-Expires"), arena_printf(a, "%" PRId64, seconds)},
        {STR("X-Amz-SignedHeaders"), STR("host")},
    };
    size_t n = 5;

    assert(what->query_n + n <= S3_PAIRS_MAX);
    for (size_t i = 0; i < what->query_n; i++)
        query[n++] = what->query[i];
    struct str text = s3_query(a, query, n);
    struct str request = canonical(a, what, text, &host, 1, STR("UNSIGNED-PAYLOAD"));
    return arena_printf(a, "%.*s&X-Amz-Signature=%.*s", STR_ARG(text),
                        STR_ARG(sign(a, keys, timestamp, request)));
}
