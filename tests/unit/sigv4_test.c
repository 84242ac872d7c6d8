/* sigv4_test.c -- the signer against the worked examples in Amazon's documentation of S3. */
#include "test.h"

#include "base/clock.h"
#include "blob/s3_sign.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define CREDENTIAL "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"

static struct arena arena;
static struct s3_keys keys;

static struct s3_to_sign example(struct str method, struct str path)
{
    struct s3_to_sign what = {.method = method,
                              .host = STR("examplebucket.s3.amazonaws.com"),
                              .path = path,
                              .payload_hash = STR(EMPTY_SHA256)};

    CHECK(time_parse(STR("2013-05-24T00:00:00Z"), &what.time_us));
    return what;
}

static void check(const struct s3_to_sign *what, const char *signed_headers, const char *signature)
{
    struct str expected = arena_printf(
        &arena, "AWS4-HMAC-SHA256 Credential=" CREDENTIAL ",SignedHeaders=%s,Signature=%s",
        signed_headers, signature);

    CHECK_STR(s3_authorization(&arena, &keys, what), expected.p);
}

static void get_of_a_range(void)
{
    const struct s3_pair headers[] = {{STR("range"), STR("bytes=0-9")}};
    struct s3_to_sign what = example(STR("GET"), STR("/test.txt"));

    what.headers = headers;
    what.headers_n = 1;
    check(&what, "host;range;x-amz-content-sha256;x-amz-date",
          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void put_with_a_name_to_encode(void)
{
    /* In no order, and with white space around a value. */
    const struct s3_pair headers[] = {
        {STR("x-amz-storage-class"), STR(" REDUCED_REDUNDANCY ")},
        {STR("date"), STR("Fri, 24 May 2013 00:00:00 GMT")},
    };
    struct s3_to_sign what = example(STR("PUT"), STR("/test$file.text"));

    what.headers = headers;
    what.headers_n = 2;
    what.payload_hash = s3_sha256(&arena, STR("Welcome to Amazon S3."));
    CHECK_STR(what.payload_hash,
              "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
    check(&what, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

/* The rule is the specification's; no example of it has a signature to compare with. */
static void several_spaces_sign_like_one(void)
{
    const struct s3_pair one[] = {{STR("content-type"), STR("text/plain; charset=utf-8")}};
    const struct s3_pair several[] = {{STR("content-type"), STR(" text/plain;   charset=utf-8  ")}};
    const struct s3_pair none[] = {{STR("content-type"), STR("text/plain;charset=utf-8")}};
    struct s3_to_sign what = example(STR("PUT"), STR("/a"));

    what.headers_n = 1;
    what.headers = one;
    struct str expected = s3_authorization(&arena, &keys, &what);
    what.headers = several;
    CHECK(str_eq(s3_authorization(&arena, &keys, &what), expected));
    what.headers = none;
    CHECK(!str_eq(s3_authorization(&arena, &keys, &what), expected));
}

static void parameters(void)
{
    const struct s3_pair lifecycle[] = {{STR("lifecycle"), STR("")}};
    const struct s3_pair list[] = {{STR("prefix"), STR("J")}, {STR("max-keys"), STR("2")}};
    struct s3_to_sign what = example(STR("GET"), STR("/"));

    what.query = lifecycle;
    what.query_n = 1;
    check(&what, "host;x-amz-content-sha256;x-amz-date",
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    what.query = list;
    what.query_n = 2;
    check(&what, "host;x-amz-content-sha256;x-amz-date",
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void presigned(void)
{
    struct s3_to_sign what = example(STR("GET"), STR("/test.txt"));

    CHECK_STR(s3_presigned_query(&arena, &keys, &what, 86400),
              "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524"
              "%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400"
              "&X-Amz-SignedHeaders=host&X-Amz-Signature="
              "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void encoding(void)
{
    const struct s3_pair pairs[] = {{STR("b"), STR("2")},
                                    {STR("a"), STR("z y+/&=")},
                                    {STR("a"), STR("~-_.")},
                                    {STR("A"), STR("\xea\xb0\x80")}};
    int64_t leap;

    CHECK_STR(s3_query(&arena, pairs, 4), "A=%EA%B0%80&a=z%20y%2B%2F%26%3D&a=~-_.&b=2");
    CHECK_STR(s3_query(&arena, NULL, 0), "");
    CHECK_STR(s3_path(&arena, STR("/a b/c~d%")), "/a%20b/c~d%25");
    CHECK_STR(s3_sha256(&arena, STR("")), EMPTY_SHA256);
    CHECK_STR(s3_sha256(&arena, STR_NONE), EMPTY_SHA256);
    CHECK(time_parse(STR("2024-02-29T23:59:59.9Z"), &leap));
    CHECK_STR(s3_timestamp(&arena, leap), "20240229T235959Z");
}

/* Whatever is different, the signature is too. */
static void all_of_it_counts(void)
{
    const struct s3_pair pair[] = {{STR("x"), STR("1")}};
    struct s3_to_sign all[6];
    struct str seen[8];
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(all); i++)
        all[i] = example(STR("GET"), STR("/test.txt"));
    all[1].method = STR("PUT");
    all[2].path = STR("/test.txu");
    all[3].host = STR("examplebucket.s3.amazonaws.com:8080");
    all[4].query = pair;
    all[4].query_n = 1;
    all[5].time_us += 1000000;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        seen[n++] = s3_authorization(&arena, &keys, &all[i]);
    struct s3_keys other = keys;
    other.secret_key = STR("x");
    seen[n++] = s3_authorization(&arena, &other, &all[0]);
    other = keys;
    other.region = STR("ap-northeast-2");
    seen[n++] = s3_authorization(&arena, &other, &all[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            CHECK(memcmp(seen[i].p + seen[i].n - 64, seen[k].p + seen[k].n - 64, 64) != 0);
}

int main(void)
{
    arena_init(&arena, 16u << 20);
    /* The documentation's own example keys, not anybody's. */
    keys = (struct s3_keys){STR("AKIAIOSFODNN7EXAMPLE"),
                            STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), STR("us-east-1")};
    RUN(get_of_a_range);
    RUN(put_with_a_name_to_encode);
    RUN(several_spaces_sign_like_one);
    RUN(parameters);
    RUN(presigned);
    RUN(encoding);
    RUN(all_of_it_counts);
    arena_release(&arena);
    return test_end();
}
