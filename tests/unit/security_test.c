/* security_test.c -- tokens under attack, keys at rest, passwords, base64, Authorization headers.
 */
#include "test.h"

#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "security/authorization.h"
#include "security/base64.h"
#include "security/jwks.h"
#include "security/keys.h"
#include "security/password.h"
#include "security/secret.h"

#define NOW INT64_C(1800000000)
#define ISS "https://jumun.test"
#define SUB "0192d5a0-0000-7000-8000-000000000001"
#define JTI "0192d5a0-0000-4000-8000-0000000000aa"
#define SID "0192d5a0-0000-7000-8000-0000000000bb"
#define GOOD_HEADER "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}"
#define TIMES "\"exp\":1800000900,\"iat\":1800000000"
#define IDS "\"jti\":\"" JTI "\",\"sid\":\"" SID "\""
#define WHO "\"iss\":\"" ISS "\",\"sub\":\"" SUB "\",\"aud\":\"jumun\""
#define GOOD_PAYLOAD "{" WHO "," TIMES "," IDS ",\"role\":\"customer\"}"

static struct arena arena;
static struct clock now_clock = {true, NOW *US_PER_S};
static struct rng rng;
static struct ctx cx;
static struct jwt_keys *keys;
static EVP_PKEY *private_key, *other_key;
static struct str private_pem, public_pem;
static const struct jwt_expect expect = {{ISS, sizeof(ISS) - 1}, {"jumun", 5}, {"at+jwt", 6}, 0};

static struct str pem_of(EVP_PKEY *key, bool is_private)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *p = NULL;

    if (is_private)
        PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL);
    else
        PEM_write_bio_PUBKEY(text, key);
    long n = BIO_get_mem_data(text, &p);
    struct str copy = {strndup(p, (size_t)n), (size_t)n};
    BIO_free(text);
    return copy;
}

static void setup(void)
{
    arena_init(&arena, 64 * 1024 * 1024);
    rng_init(&rng);
    cx = (struct ctx){.arena = &arena, .clock = &now_clock, .rng = &rng};
    private_key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    other_key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    private_pem = pem_of(private_key, true);
    public_pem = pem_of(private_key, false);
    CHECK_INT(jwt_keys_open(&cx, &keys), ERR_OK);
    CHECK_INT(jwt_keys_add_pem(&cx, keys, STR("k1"), private_pem, (struct jwt_key_times){0, 0}),
              ERR_OK);
}

static void teardown(void)
{
    jwt_keys_close(keys);
    EVP_PKEY_free(private_key);
    EVP_PKEY_free(other_key);
    free((void *)(uintptr_t)private_pem.p);
    free((void *)(uintptr_t)public_pem.p);
    arena_release(&arena);
}

static struct str b64(struct str s)
{
    char *out = arena_alloc(&arena, BASE64URL_LENGTH(s.n) + 1);
    return (struct str){out, base64url_encode(s.p, s.n, out)};
}

static struct str sign_text(struct str text, EVP_PKEY *key, const char *digest)
{
    unsigned char signature[512];
    size_t n = sizeof(signature);
    EVP_MD_CTX *md = EVP_MD_CTX_new();

    EVP_DigestSignInit_ex(md, NULL, digest, NULL, NULL, key, NULL);
    EVP_DigestSign(md, signature, &n, (const unsigned char *)text.p, text.n);
    EVP_MD_CTX_free(md);
    struct str part = b64((struct str){(char *)signature, n});
    return arena_printf(&arena, "%.*s.%.*s", STR_ARG(text), STR_ARG(part));
}

static struct str unsigned_text(struct str header, struct str payload)
{
    struct str h = b64(header), p = b64(payload);
    return arena_printf(&arena, "%.*s.%.*s", STR_ARG(h), STR_ARG(p));
}

static struct str forge(const char *header, const char *payload)
{
    return sign_text(unsigned_text(str_from(header), str_from(payload)), private_key, "SHA256");
}

static enum err verify(struct str token)
{
    struct jwt_claims got;
    return jwt_verify(&cx, keys, token, &expect, &got);
}

/* Each is correctly signed by a trusted key: only the checks of what it says stand in its way. */
static const struct {
    const char *name, *header, *payload;
} signed_attacks[] = {
    {"alg none", "{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg None", "{\"alg\":\"None\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg NONE", "{\"alg\":\"NONE\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg nOnE", "{\"alg\":\"nOnE\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg empty", "{\"alg\":\"\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg null", "{\"alg\":null,\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg number", "{\"alg\":256,\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg list", "{\"alg\":[\"RS256\"],\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg missing", "{\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg lower case", "{\"alg\":\"rs256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg HS256", "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg RS384", "{\"alg\":\"RS384\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg RS512", "{\"alg\":\"RS512\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg PS256", "{\"alg\":\"PS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg ES256", "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg EdDSA", "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg with NUL", "{\"alg\":\"RS256\\u0000\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg with space", "{\"alg\":\"RS256 \",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"alg twice", "{\"alg\":\"RS256\",\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}",
     GOOD_PAYLOAD},
    {"alg twice, good last",
     "{\"alg\":\"none\",\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"typ JWT", "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"typ id token", "{\"alg\":\"RS256\",\"typ\":\"id+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"typ logout token", "{\"alg\":\"RS256\",\"typ\":\"logout+jwt\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"typ missing", "{\"alg\":\"RS256\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"typ empty", "{\"alg\":\"RS256\",\"typ\":\"\",\"kid\":\"k1\"}", GOOD_PAYLOAD},
    {"kid missing", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", GOOD_PAYLOAD},
    {"kid empty", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"\"}", GOOD_PAYLOAD},
    {"kid null", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":null}", GOOD_PAYLOAD},
    {"kid unknown", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k2\"}", GOOD_PAYLOAD},
    {"kid prefix", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k\"}", GOOD_PAYLOAD},
    {"kid other case", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"K1\"}", GOOD_PAYLOAD},
    {"kid NUL behind", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\\u0000\"}",
     GOOD_PAYLOAD},
    {"kid path", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"../../dev/null\"}", GOOD_PAYLOAD},
    {"kid file", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"file:///etc/passwd\"}",
     GOOD_PAYLOAD},
    {"kid SQL", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1' or '1'='1\"}", GOOD_PAYLOAD},
    {"kid command", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1;id\"}", GOOD_PAYLOAD},
    {"kid number", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":1}", GOOD_PAYLOAD},
    {"kid twice", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"kid\":\"k1\"}",
     GOOD_PAYLOAD},
    {"jwk", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"jwk\":{\"kty\":\"RSA\"}}",
     GOOD_PAYLOAD},
    {"jku", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"jku\":\"https://evil.test/k\"}",
     GOOD_PAYLOAD},
    {"x5u", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"x5u\":\"https://evil.test/c\"}",
     GOOD_PAYLOAD},
    {"x5c", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"x5c\":[\"MII\"]}",
     GOOD_PAYLOAD},
    {"crit", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"crit\":[\"exp\"]}",
     GOOD_PAYLOAD},
    {"crit empty", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"crit\":[]}",
     GOOD_PAYLOAD},
    {"crit null", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"crit\":null}",
     GOOD_PAYLOAD},
    {"b64 false", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"b64\":false}",
     GOOD_PAYLOAD},
    {"zip", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"zip\":\"DEF\"}", GOOD_PAYLOAD},
    {"enc", "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"enc\":\"A256GCM\"}",
     GOOD_PAYLOAD},
    {"header list", "[\"RS256\"]", GOOD_PAYLOAD},
    {"header text", "\"RS256\"", GOOD_PAYLOAD},
    {"header garbage", "alg=RS256", GOOD_PAYLOAD},
    {"header trailing", GOOD_HEADER "{}", GOOD_PAYLOAD},
    {"header BOM", "\xEF\xBB\xBF" GOOD_HEADER, GOOD_PAYLOAD},
    {"iss wrong", GOOD_HEADER,
     "{\"iss\":\"https://evil.test\",\"sub\":\"" SUB "\",\"aud\":\"jumun\"," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"iss with slash", GOOD_HEADER,
     "{\"iss\":\"" ISS "/\",\"sub\":\"" SUB "\",\"aud\":\"jumun\"," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"iss missing", GOOD_HEADER,
     "{\"sub\":\"" SUB "\",\"aud\":\"jumun\"," TIMES "," IDS ",\"role\":\"customer\"}"},
    {"iss list", GOOD_HEADER,
     "{\"iss\":[\"" ISS "\"],\"sub\":\"" SUB "\",\"aud\":\"jumun\"," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"iss twice", GOOD_HEADER, "{\"iss\":\"x\"," WHO "," TIMES "," IDS ",\"role\":\"customer\"}"},
    {"aud wrong", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"" SUB "\",\"aud\":\"other\"," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"aud list without us", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"" SUB "\",\"aud\":[\"a\",\"b\"]," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"aud empty list", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"" SUB "\",\"aud\":[]," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"aud injection", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"" SUB "\",\"aud\":\"x\\\",\\\"jumun\"," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"aud object", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"" SUB "\",\"aud\":{\"jumun\":1}," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"aud missing", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"" SUB "\"," TIMES "," IDS ",\"role\":\"customer\"}"},
    {"aud prefix", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"" SUB "\",\"aud\":\"jumun2\"," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"sub missing", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"aud\":\"jumun\"," TIMES "," IDS ",\"role\":\"customer\"}"},
    {"sub no uuid", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"admin\",\"aud\":\"jumun\"," TIMES "," IDS
     ",\"role\":\"customer\"}"},
    {"sub nil", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"00000000-0000-0000-0000-000000000000\","
     "\"aud\":\"jumun\"," TIMES "," IDS ",\"role\":\"customer\"}"},
    {"service with a person's sub... in capitals", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"ORDER\",\"aud\":\"jumun\"," TIMES "," IDS
     ",\"role\":\"service\"}"},
    {"service name with slash", GOOD_HEADER,
     "{\"iss\":\"" ISS "\",\"sub\":\"order/x\",\"aud\":\"jumun\"," TIMES "," IDS
     ",\"role\":\"service\"}"},
    {"role unknown", GOOD_HEADER, "{" WHO "," TIMES "," IDS ",\"role\":\"root\"}"},
    {"role capital", GOOD_HEADER, "{" WHO "," TIMES "," IDS ",\"role\":\"Admin\"}"},
    {"role list", GOOD_HEADER, "{" WHO "," TIMES "," IDS ",\"role\":[\"admin\"]}"},
    {"role missing", GOOD_HEADER, "{" WHO "," TIMES "," IDS "}"},
    {"role twice", GOOD_HEADER,
     "{" WHO "," TIMES "," IDS ",\"role\":\"customer\",\"role\":\"admin\"}"},
    {"role twice by escape", GOOD_HEADER,
     "{" WHO "," TIMES "," IDS ",\"role\":\"customer\",\"r\\u006fle\":\"admin\"}"},
    {"exp missing", GOOD_HEADER, "{" WHO ",\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"exp past", GOOD_HEADER,
     "{" WHO ",\"exp\":1799999900,\"iat\":1799999000," IDS ",\"role\":\"customer\"}"},
    {"exp 60 s ago", GOOD_HEADER,
     "{" WHO ",\"exp\":1799999940,\"iat\":1799999000," IDS ",\"role\":\"customer\"}"},
    {"exp text", GOOD_HEADER,
     "{" WHO ",\"exp\":\"1800000900\",\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"exp fraction", GOOD_HEADER,
     "{" WHO ",\"exp\":1800000900.5,\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"exp huge", GOOD_HEADER,
     "{" WHO ",\"exp\":9223372036854775807,\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"exp beyond 64 bits", GOOD_HEADER,
     "{" WHO ",\"exp\":18446744073709551615,\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"exp negative", GOOD_HEADER,
     "{" WHO ",\"exp\":-1,\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"exp null", GOOD_HEADER,
     "{" WHO ",\"exp\":null,\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"exp true", GOOD_HEADER,
     "{" WHO ",\"exp\":true,\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"exp twice", GOOD_HEADER,
     "{" WHO ",\"exp\":1,\"exp\":1800000900,\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"lives two days", GOOD_HEADER,
     "{" WHO ",\"exp\":1800172800,\"iat\":1800000000," IDS ",\"role\":\"customer\"}"},
    {"dies before birth", GOOD_HEADER,
     "{" WHO ",\"exp\":1800000010,\"iat\":1800000020," IDS ",\"role\":\"customer\"}"},
    {"iat missing", GOOD_HEADER, "{" WHO ",\"exp\":1800000900," IDS ",\"role\":\"customer\"}"},
    {"iat 61 s ahead", GOOD_HEADER,
     "{" WHO ",\"exp\":1800000900,\"iat\":1800000061," IDS ",\"role\":\"customer\"}"},
    {"nbf 61 s ahead", GOOD_HEADER,
     "{" WHO "," TIMES ",\"nbf\":1800000061," IDS ",\"role\":\"customer\"}"},
    {"nbf text", GOOD_HEADER, "{" WHO "," TIMES ",\"nbf\":\"0\"," IDS ",\"role\":\"customer\"}"},
    {"jti missing", GOOD_HEADER, "{" WHO "," TIMES ",\"sid\":\"" SID "\",\"role\":\"customer\"}"},
    {"jti no uuid", GOOD_HEADER, "{" WHO "," TIMES ",\"jti\":\"1\",\"role\":\"customer\"}"},
    {"sid no uuid", GOOD_HEADER,
     "{" WHO "," TIMES ",\"jti\":\"" JTI "\",\"sid\":\"1\",\"role\":\"customer\"}"},
    {"payload list", GOOD_HEADER, "[" GOOD_PAYLOAD "]"},
    {"payload null", GOOD_HEADER, "null"},
    {"payload garbage", GOOD_HEADER, "sub=admin"},
    {"payload trailing", GOOD_HEADER, GOOD_PAYLOAD " x"},
    {"payload two", GOOD_HEADER, GOOD_PAYLOAD GOOD_PAYLOAD},
    {"payload bad UTF-8", GOOD_HEADER,
     "{" WHO "," TIMES "," IDS ",\"role\":\"customer\",\"x\":\"\xC0\xAF\"}"},
    {"payload lone surrogate", GOOD_HEADER,
     "{" WHO "," TIMES "," IDS ",\"role\":\"customer\",\"x\":\"\\ud800\"}"},
};

static void signed_attacks_are_refused(void)
{
    for (size_t i = 0; i < COUNT_OF(signed_attacks); i++) {
        enum err e = verify(forge(signed_attacks[i].header, signed_attacks[i].payload));
        CHECK_INT(e, ERR_UNAUTHENTICATED);
        if (e != ERR_UNAUTHENTICATED)
            printf("# attack: %s\n", signed_attacks[i].name);
        CHECK(strncmp(cx.story.detail, "token: ", 7) == 0);
    }
    CHECK(COUNT_OF(signed_attacks) >= 80);
}

static void good_tokens_are_accepted(void)
{
    static const char *const payloads[] = {
        GOOD_PAYLOAD,
        "{" WHO ",\"exp\":1799999941,\"iat\":1799999000," IDS
        ",\"role\":\"customer\"}", /* 59 s ago */
        "{" WHO "," TIMES ",\"nbf\":1800000060," IDS ",\"role\":\"customer\"}",
        "{" WHO ",\"exp\":1800000900,\"iat\":1800000060," IDS ",\"role\":\"customer\"}",
        "{" WHO ",\"exp\":1800086400,\"iat\":1800000000," IDS ",\"role\":\"owner\"}",
        "{" WHO "," TIMES "," IDS ",\"role\":\"admin\",\"unknown\":{\"a\":[1,2]}}",
        "{\"iss\":\"" ISS "\",\"sub\":\"" SUB "\",\"aud\":[\"x\",\"jumun\"]," TIMES "," IDS
        ",\"role\":\"staff\"}",
        "{\"iss\":\"" ISS "\",\"sub\":\"order\",\"aud\":\"jumun\"," TIMES ",\"jti\":\"" JTI
        "\",\"role\":\"service\"}",
    };
    for (size_t i = 0; i < COUNT_OF(payloads); i++) {
        CHECK_INT(verify(forge(GOOD_HEADER, payloads[i])), ERR_OK);
    }
    CHECK_INT(verify(forge("{\"alg\":\"RS256\",\"typ\":\"AT+JWT\",\"kid\":\"k1\"}", GOOD_PAYLOAD)),
              ERR_OK);

    struct jwt_claims got;
    struct str token = forge(GOOD_HEADER, payloads[COUNT_OF(payloads) - 1]);
    for (int pass = 0; pass < 2; pass++) { /* verified, then remembered: the same claims */
        CHECK_INT(jwt_verify(&cx, keys, token, &expect, &got), ERR_OK);
        CHECK_INT(got.role, SERVICE);
        CHECK_STR(got.service, "order");
        CHECK(uuid_is_nil(got.user_id) && uuid_is_nil(got.session_id));
        CHECK_INT(got.expires_s, NOW + 900);
    }
}

static void refused(struct str token, const char *name)
{
    enum err e = verify(token);
    CHECK_INT(e, ERR_UNAUTHENTICATED);
    if (e != ERR_UNAUTHENTICATED)
        printf("# attack: %s\n", name);
}

static void text_attacks_are_refused(void)
{
    struct str good = forge(GOOD_HEADER, GOOD_PAYLOAD), head, body, tail, rest;
    str_cut(good, '.', &head, &rest);
    str_cut(rest, '.', &body, &tail);

    CHECK_INT(verify(good), ERR_OK);
    refused(STR(""), "empty");
    refused(STR_NONE, "absent");
    refused(STR("."), "dot");
    refused(STR(".."), "two dots");
    refused(STR("..."), "three dots");
    refused(STR("a.b.c"), "letters");
    refused(head, "one part");
    refused(arena_printf(&arena, "%.*s.%.*s", STR_ARG(head), STR_ARG(body)), "two parts");
    refused(arena_printf(&arena, "%.*s.%.*s.", STR_ARG(head), STR_ARG(body)), "empty signature");
    refused(arena_printf(&arena, "%.*s.", STR_ARG(good)), "dot behind");
    refused(arena_printf(&arena, ".%.*s", STR_ARG(good)), "dot in front");
    refused(arena_printf(&arena, "%.*s.%.*s", STR_ARG(good), STR_ARG(tail)), "four parts");
    refused(arena_printf(&arena, "%.*s.a.b", STR_ARG(good)), "five parts (JWE)");
    refused(arena_printf(&arena, ".%.*s.%.*s", STR_ARG(body), STR_ARG(tail)), "no header");
    refused(arena_printf(&arena, "%.*s..%.*s", STR_ARG(head), STR_ARG(tail)), "no payload");
    refused(arena_printf(&arena, "%.*s=", STR_ARG(good)), "padding");
    refused(arena_printf(&arena, "%.*s==", STR_ARG(good)), "more padding");
    refused(arena_printf(&arena, " %.*s", STR_ARG(good)), "space in front");
    refused(arena_printf(&arena, "%.*s\n", STR_ARG(good)), "line feed behind");
    refused(arena_printf(&arena, "%.*s=.%.*s.%.*s", STR_ARG(head), STR_ARG(body), STR_ARG(tail)),
            "padded");
    for (size_t cut = 1; cut < good.n; cut += 17)
        refused((struct str){good.p, good.n - cut}, "truncated");

    /* 256 bytes end in a digit with four spare bits: its 15 other spellings must not pass. */
    char *text = arena_cstr(&arena, good);
    char *last = text + good.n - 1, original = *last;
    int accepted = 0;
    for (int c = 1; c < 256; c++) {
        *last = (char)c;
        accepted += verify((struct str){text, good.n}) == ERR_OK;
    }
    CHECK_INT(accepted, 1);
    *last = original;
    for (size_t i = 0; i < good.n; i += 7) { /* any other character anywhere */
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        refused((struct str){text, good.n}, "one character changed");
        text[i] = kept;
    }
    text[0] = '+';
    refused((struct str){text, good.n}, "standard base64 letter");
}

static void size_attacks_are_refused(void)
{
    char *large = arena_alloc(&arena, 3 * JWT_MAX);
    memset(large, 'A', (size_t)3 * JWT_MAX);
    refused((struct str){large, 3 * JWT_MAX}, "oversize");
    refused((struct str){large, JWT_MAX}, "maximum of nothing");
    refused((struct str){large, JWT_MAX + 1}, "one beyond");

    struct str nest = arena_printf(&arena, "{\"a\":%.*s1%.*s}", 1000,
                                   (char *)memset(arena_alloc(&arena, 1000), '[', 1000), 1000,
                                   (char *)memset(arena_alloc(&arena, 1000), ']', 1000));
    refused(forge(GOOD_HEADER, nest.p), "nested payload");
    refused(forge(nest.p, GOOD_PAYLOAD), "nested header");
    char *spaces = memset(arena_zalloc(&arena, 2000), ' ', 1500);
    refused(forge(arena_printf(&arena, "%s%s", spaces, GOOD_HEADER).p, GOOD_PAYLOAD),
            "long header");
    char *kid = memset(arena_zalloc(&arena, 600), 'k', 500);
    refused(
        forge(arena_printf(&arena, "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid).p,
              GOOD_PAYLOAD),
        "long kid");
    char *fat = memset(arena_zalloc(&arena, JWT_MAX), 'x', JWT_MAX - 1);
    refused(forge(GOOD_HEADER, arena_printf(&arena, "{" WHO ",\"x\":\"%s\"}", fat).p),
            "fat payload");
    char *signature = memset(arena_zalloc(&arena, 4000), 'A', 3000);
    struct str text = unsigned_text(STR(GOOD_HEADER), STR(GOOD_PAYLOAD));
    refused(arena_printf(&arena, "%.*s.%s", STR_ARG(text), signature), "long signature");
}

static void signature_attacks_are_refused(void)
{
    unsigned char mac[32];
    struct str text = unsigned_text(STR(GOOD_HEADER), STR(GOOD_PAYLOAD));
    struct str hs = unsigned_text(STR("{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}"),
                                  STR(GOOD_PAYLOAD));
    struct str zeros = b64((struct str){memset(arena_alloc(&arena, 256), 0, 256), 256});

    hmac_sha256(public_pem, hs, mac);
    struct str part = b64((struct str){(char *)mac, 32});
    refused(arena_printf(&arena, "%.*s.%.*s", STR_ARG(hs), STR_ARG(part)),
            "HS256 with the public key");
    hmac_sha256(public_pem, text, mac);
    part = b64((struct str){(char *)mac, 32});
    refused(arena_printf(&arena, "%.*s.%.*s", STR_ARG(text), STR_ARG(part)), "HMAC under RS256");
    hmac_sha256(STR(""), hs, mac);
    part = b64((struct str){(char *)mac, 32});
    refused(arena_printf(&arena, "%.*s.%.*s", STR_ARG(hs), STR_ARG(part)),
            "HS256 with an empty key");
    refused(arena_printf(&arena, "%.*s.%.*s", STR_ARG(text), STR_ARG(zeros)), "signature of zeros");
    refused(arena_printf(&arena, "%.*s.AA", STR_ARG(text)), "signature of one byte");
    refused(sign_text(text, other_key, "SHA256"), "another key");
    refused(sign_text(text, private_key, "SHA1"), "SHA-1 inside");
    refused(sign_text(text, private_key, "SHA512"), "SHA-512 inside");

    struct str one = forge(GOOD_HEADER, GOOD_PAYLOAD), rest, head, body, tail;
    str_cut(one, '.', &head, &rest);
    str_cut(rest, '.', &body, &tail);
    struct str evil = b64(STR("{" WHO "," TIMES "," IDS ",\"role\":\"admin\"}"));
    refused(arena_printf(&arena, "%.*s.%.*s.%.*s", STR_ARG(head), STR_ARG(evil), STR_ARG(tail)),
            "payload exchanged under a good signature");
    struct str none = b64(STR("{\"alg\":\"none\"}"));
    refused(arena_printf(&arena, "%.*s.%.*s.", STR_ARG(none), STR_ARG(evil)), "none, no signature");
    refused(arena_printf(&arena, "%.*s.%.*s.%.*s", STR_ARG(none), STR_ARG(evil), STR_ARG(tail)),
            "none with a signature");
}

static struct jwt_claims claims_now(void)
{
    return (struct jwt_claims){.issuer = expect.issuer,
                               .audience = expect.audience,
                               .user_id = ctx_uuid(&cx),
                               .token_id = ctx_uuid(&cx),
                               .session_id = ctx_uuid(&cx),
                               .role = CUSTOMER,
                               .issued_s = ctx_now(&cx) / US_PER_S,
                               .expires_s = ctx_now(&cx) / US_PER_S + 900};
}

static struct str issue(struct jwt_keys *with, const struct jwt_claims *claims)
{
    struct buf out;
    buf_init_arena(&out, &arena, JWT_MAX);
    CHECK_INT(jwt_sign(&cx, with, claims, &out), ERR_OK);
    return buf_str(&out);
}

static void signing_and_reading_back(void)
{
    struct jwt_claims claims = claims_now(), got;
    struct buf small;

    struct str token = issue(keys, &claims);
    CHECK_INT(jwt_verify(&cx, keys, token, &expect, &got), ERR_OK);
    CHECK(uuid_eq(got.user_id, claims.user_id) && uuid_eq(got.session_id, claims.session_id));
    CHECK(uuid_eq(got.token_id, claims.token_id));
    CHECK_INT(got.role, CUSTOMER);

    struct jwt_expect elsewhere =
        expect; /* remembered for one audience is not accepted for another */
    elsewhere.audience = STR("jumun-other");
    CHECK_INT(jwt_verify(&cx, keys, token, &elsewhere, &got), ERR_UNAUTHENTICATED);
    elsewhere = expect;
    elsewhere.issuer = STR("https://else.test");
    CHECK_INT(jwt_verify(&cx, keys, token, &elsewhere, &got), ERR_UNAUTHENTICATED);
    elsewhere = expect;
    elsewhere.type = STR("JWT");
    CHECK_INT(jwt_verify(&cx, keys, token, &elsewhere, &got), ERR_UNAUTHENTICATED);
    elsewhere = expect;
    elsewhere.lifetime_max_s = 600;
    CHECK_INT(jwt_verify(&cx, keys, token, &elsewhere, &got), ERR_UNAUTHENTICATED);

    buf_init_arena(&small, &arena, 100);
    CHECK_INT(jwt_sign(&cx, keys, &claims, &small), ERR_TOO_LARGE);
    claims.user_id = UUID_NIL;
    CHECK_INT(jwt_sign(&cx, keys, &claims, &small), ERR_INVALID);
    claims = claims_now();
    claims.role = ANYONE;
    CHECK_INT(jwt_sign(&cx, keys, &claims, &small), ERR_INVALID);
    claims = claims_now();
    claims.expires_s = claims.issued_s;
    CHECK_INT(jwt_sign(&cx, keys, &claims, &small), ERR_INVALID);
    claims = claims_now();
    claims.role = SERVICE;
    claims.service = STR("Not a name");
    CHECK_INT(jwt_sign(&cx, keys, &claims, &small), ERR_INVALID);
}

static void the_cache_forgets_what_it_must(void)
{
    struct jwt_claims claims = claims_now();
    struct str token = issue(keys, &claims);
    struct jwt_stats before = jwt_stats(keys), after;

    CHECK_INT(verify(token), ERR_OK);
    CHECK_INT(verify(token), ERR_OK);
    after = jwt_stats(keys);
    CHECK_INT(after.hits - before.hits, 1);
    now_clock.virtual_us += 959 * US_PER_S;
    CHECK_INT(verify(token), ERR_OK); /* remembered, 59 s over: leeway */
    now_clock.virtual_us += US_PER_S;
    CHECK_INT(verify(token), ERR_UNAUTHENTICATED); /* remembered, yet dead */
    now_clock.virtual_us = NOW * US_PER_S - 61 * US_PER_S;
    CHECK_INT(verify(token), ERR_UNAUTHENTICATED); /* the clock went back: not born */
    now_clock.virtual_us = NOW * US_PER_S;

    /* More tokens than fit: all verify, the table stays bounded. */
    struct str many[6];
    for (int round = 0; round < 1000; round++)
        for (size_t i = 0; i < COUNT_OF(many); i++) {
            if (round == 0) {
                claims = claims_now();
                many[i] = issue(keys, &claims);
            }
            CHECK_INT(verify(many[i]), ERR_OK);
        }
    CHECK_INT(verify(token), ERR_OK);
}

static void removed_keys_take_their_tokens_along(void)
{
    struct jwt_claims claims = claims_now();
    struct jwt_keys *own;

    CHECK_INT(jwt_keys_open(&cx, &own), ERR_OK);
    struct buf none;
    buf_init_arena(&none, &arena, JWT_MAX);
    CHECK_INT(jwt_sign(&cx, own, &claims, &none), ERR_UNAVAILABLE);
    CHECK_INT(jwt_keys_generate(&cx, own, STR("a"), (struct jwt_key_times){0, 0}, NULL), ERR_OK);
    CHECK_INT(jwt_keys_generate(&cx, own, STR("a"), (struct jwt_key_times){0, 0}, NULL),
              ERR_DUPLICATE);
    struct str by_a = issue(own, &claims);
    CHECK_INT(verify(by_a), ERR_UNAUTHENTICATED); /* another table */
    struct jwt_claims got;
    CHECK_INT(jwt_verify(&cx, own, by_a, &expect, &got), ERR_OK);

    /* The next key is known early, signs later, and the old one still verifies. */
    int64_t later = ctx_now(&cx) + US_PER_HOUR;
    CHECK_INT(jwt_keys_generate(&cx, own, STR("b"), (struct jwt_key_times){later, 0}, NULL),
              ERR_OK);
    CHECK(str_starts(issue(own, &claims), (struct str){by_a.p, 40}));
    now_clock.virtual_us = later;
    claims = claims_now();
    struct str by_b = issue(own, &claims);
    CHECK(!str_starts(by_b, (struct str){by_a.p, 80}));
    CHECK_INT(jwt_verify(&cx, own, by_b, &expect, &got), ERR_OK);
    now_clock.virtual_us = NOW * US_PER_S;
    CHECK_INT(jwt_verify(&cx, own, by_a, &expect, &got), ERR_OK);
    jwt_keys_remove(own, STR("a"));
    CHECK_INT(jwt_verify(&cx, own, by_a, &expect, &got), ERR_UNAUTHENTICATED);
    CHECK_INT(jwt_keys_count(own), 1);

    CHECK_INT(jwt_keys_add_pem(&cx, own, STR("p"), public_pem,
                               (struct jwt_key_times){0, NOW * US_PER_S + 1}),
              ERR_OK);
    CHECK_INT(jwt_keys_add_pem(&cx, own, STR("q"), STR("-----BEGIN NONSENSE"),
                               (struct jwt_key_times){0, 0}),
              ERR_INVALID);
    CHECK_INT(jwt_keys_add_pem(&cx, own, STR("bad kid"), public_pem, (struct jwt_key_times){0, 0}),
              ERR_INVALID);
    CHECK_INT(
        jwt_verify(&cx, own,
                   forge("{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"p\"}", GOOD_PAYLOAD),
                   &expect, &got),
        ERR_OK);
    jwt_keys_remove_expired(own, NOW * US_PER_S + 1);
    CHECK_INT(
        jwt_verify(&cx, own,
                   forge("{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"p\"}", GOOD_PAYLOAD),
                   &expect, &got),
        ERR_UNAUTHENTICATED);
    jwt_keys_close(own);
}

/* The clock was set back since they were made: people log in all the same. */
static void when_no_key_may_sign_yet_the_first_one_does(void)
{
    int64_t now = ctx_now(&cx);
    struct jwt_claims claims = claims_now();
    struct jwt_keys *own;

    CHECK_INT(jwt_keys_open(&cx, &own), ERR_OK);
    CHECK_INT(jwt_keys_generate(&cx, own, STR("second"),
                                (struct jwt_key_times){now + 2 * US_PER_HOUR, 0}, NULL),
              ERR_OK);
    CHECK_INT(jwt_keys_generate(&cx, own, STR("first"),
                                (struct jwt_key_times){now + US_PER_HOUR, 0}, NULL),
              ERR_OK);
    CHECK_INT(jwt_keys_generate(&cx, own, STR("third"),
                                (struct jwt_key_times){now + 3 * US_PER_HOUR, 0}, NULL),
              ERR_OK);
    struct str kid;
    CHECK(jwt_read_kid(&cx, issue(own, &claims), &kid));
    CHECK_STR(kid, "first");
    jwt_keys_close(own);
}

static void weak_keys_are_refused(void)
{
    EVP_PKEY *weak = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
    EVP_PKEY *curve = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    struct str weak_pem = pem_of(weak, false), curve_pem = pem_of(curve, false);
    struct jwt_key_times times = {0, 0};

    CHECK_INT(jwt_keys_add_pem(&cx, keys, STR("w"), weak_pem, times), ERR_INVALID);
    CHECK_INT(jwt_keys_add_pem(&cx, keys, STR("w"), curve_pem, times), ERR_INVALID);
    CHECK_INT(jwt_keys_add_rsa(&cx, keys, STR("w"), STR("\x01"), STR("\x03"), times), ERR_INVALID);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(curve);
    free((void *)(uintptr_t)weak_pem.p);
    free((void *)(uintptr_t)curve_pem.p);
}

static void revocation_reaches_remembered_tokens(void)
{
    struct jwt_claims claims = claims_now(), other = claims_now();
    struct str token = issue(keys, &claims);

    CHECK_INT(verify(token), ERR_OK);
    jwt_revoke_session(keys, claims.session_id, ctx_now(&cx), ctx_now(&cx));
    CHECK_INT(verify(token), ERR_UNAUTHENTICATED);
    CHECK_INT(verify(issue(keys, &other)), ERR_OK);
    jwt_revoke_session(keys, UUID_NIL, ctx_now(&cx), ctx_now(&cx));
    CHECK_INT(verify(forge(GOOD_HEADER, GOOD_PAYLOAD)), ERR_OK);
}

static struct jwt_keys *keys_of_own(void)
{
    struct jwt_keys *own;

    CHECK_INT(jwt_keys_open(&cx, &own), ERR_OK);
    CHECK_INT(jwt_keys_add_pem(&cx, own, STR("k1"), private_pem, (struct jwt_key_times){0, 0}),
              ERR_OK);
    return own;
}

static enum err verify_with(struct jwt_keys *own, struct str token)
{
    struct jwt_claims got;

    return jwt_verify(&cx, own, token, &expect, &got);
}

/* One that is issued so many seconds from the start. */
static struct str issue_at(struct jwt_keys *own, int64_t second, struct uuid *ret_session)
{
    now_clock.virtual_us = (NOW + second) * US_PER_S;
    struct jwt_claims claims = claims_now();
    if (ret_session)
        *ret_session = claims.session_id;
    return issue(own, &claims);
}

/* n sessions end, evenly over so many seconds from the start: always the same ones. */
static void end_many(struct jwt_keys *own, int n, int64_t seconds)
{
    struct uuid id = {.b = {1}};

    for (int i = 0; i < n; i++) {
        int64_t at = NOW * US_PER_S + i * seconds * US_PER_S / n;
        memcpy(id.b + 8, &i, sizeof i);
        jwt_revoke_session(own, id, at, at);
    }
}

#define ENDS_MAX 65536 /* that are remembered */

static void a_full_revocation_table_fails_closed(void)
{
    struct jwt_keys *own = keys_of_own();
    struct uuid first, last;
    struct str old = issue_at(own, 1, &first), bystander = issue_at(own, 1, NULL);
    struct str young = issue_at(own, 500, &last), other = issue_at(own, 500, NULL);

    jwt_revoke_session(own, first, (NOW + 2) * US_PER_S, (NOW + 2) * US_PER_S);
    jwt_revoke_session(own, last, (NOW + 501) * US_PER_S, (NOW + 501) * US_PER_S);
    end_many(own, ENDS_MAX - 2, 600);
    CHECK_INT(verify_with(own, bystander), ERR_OK);
    CHECK_INT(verify_with(own, old), ERR_UNAUTHENTICATED);
    /* Then the ends of the older half are forgotten, and all that is as old is refused. */
    jwt_revoke_session(own, ctx_uuid(&cx), ctx_now(&cx), ctx_now(&cx));
    CHECK_INT(verify_with(own, bystander), ERR_UNAUTHENTICATED);
    CHECK_INT(verify_with(own, old), ERR_UNAUTHENTICATED);
    CHECK_INT(verify_with(own, young), ERR_UNAUTHENTICATED);
    CHECK_INT(verify_with(own, other), ERR_OK);
    now_clock.virtual_us = NOW * US_PER_S;
    jwt_keys_close(own);
}

/* Every process hears of an end many times. */
static void an_end_that_is_heard_again_changes_nothing(void)
{
    struct jwt_keys *own = keys_of_own();
    struct str before = issue_at(own, 500, NULL), after = issue_at(own, 602, NULL);

    for (int i = 0; i < 3; i++) {
        end_many(own, ENDS_MAX + 1, 600); /* no room for the last: the older half is given up */
        CHECK_INT(verify_with(own, before), ERR_OK);
        CHECK_INT(verify_with(own, after), ERR_OK);
    }
    now_clock.virtual_us = NOW * US_PER_S;
    jwt_keys_close(own);
}

/* Ends at one moment cannot be told apart: what was issued after it lives all the same. */
static void a_flood_of_ends_spares_what_is_issued_after_it(void)
{
    struct jwt_keys *own = keys_of_own();
    struct str old = issue_at(own, -1, NULL), young = issue_at(own, 1, NULL);

    end_many(own, 4 * ENDS_MAX, 0);
    CHECK_INT(verify_with(own, old), ERR_UNAUTHENTICATED);
    CHECK_INT(verify_with(own, young), ERR_OK);
    now_clock.virtual_us = NOW * US_PER_S;
    jwt_keys_close(own);
}

static void ends_of_long_ago_make_room(void)
{
    struct jwt_keys *own = keys_of_own();
    struct str token = issue_at(own, JWT_REVOKED_S - 61, NULL);

    end_many(own, ENDS_MAX, 1);
    int64_t then_us = (NOW + JWT_REVOKED_S + 1) * US_PER_S;
    jwt_revoke_session(own, ctx_uuid(&cx), then_us, then_us);
    CHECK_INT(verify_with(own, token), ERR_OK);
    now_clock.virtual_us = NOW * US_PER_S;
    jwt_keys_close(own);
}

static void key_sets_round_trip(void)
{
    struct jwt_keys *own;
    struct buf json;

    buf_init_arena(&json, &arena, 65536);
    CHECK_INT(jwks_print(&cx, keys, &json), ERR_OK);
    CHECK(str_find(buf_str(&json), STR("\"kid\":\"k1\"")) != SIZE_MAX);
    CHECK(str_find(buf_str(&json), STR("\"alg\":\"RS256\"")) != SIZE_MAX);
    CHECK(str_find(buf_str(&json), STR("\"d\"")) == SIZE_MAX); /* nothing private */
    CHECK(str_find(buf_str(&json), STR("\"e\":\"AQAB\"")) != SIZE_MAX);

    CHECK_INT(jwt_keys_open(&cx, &own), ERR_OK);
    CHECK_INT(jwks_read(&cx, own, buf_str(&json)), ERR_OK);
    struct jwt_claims got;
    CHECK_INT(jwt_verify(&cx, own, forge(GOOD_HEADER, GOOD_PAYLOAD), &expect, &got), ERR_OK);
    struct buf none;
    buf_init_arena(&none, &arena, JWT_MAX);
    struct jwt_claims claims = claims_now();
    CHECK_INT(jwt_sign(&cx, own, &claims, &none), ERR_UNAVAILABLE); /* public keys do not sign */

    CHECK_INT(jwks_read(&cx, own, STR("{\"keys\":[]}")), ERR_INVALID);
    CHECK(jwks_read(&cx, own, STR("{\"keys\":")) != ERR_OK);
    CHECK_INT(jwks_read(&cx, own, STR("{\"keys\":[{\"kty\":\"EC\",\"kid\":\"x\"}]}")), ERR_INVALID);
    CHECK_INT(
        jwks_read(&cx, own,
                  STR("{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"x\",\"n\":\"AQ\",\"e\":\"AQAB\"}]}")),
        ERR_INVALID);
    CHECK_INT(jwt_verify(&cx, own, forge(GOOD_HEADER, GOOD_PAYLOAD), &expect, &got), ERR_OK);
    /* A set that no longer holds k1 ends k1. */
    struct jwt_keys *next;
    CHECK_INT(jwt_keys_open(&cx, &next), ERR_OK);
    CHECK_INT(jwt_keys_generate(&cx, next, STR("k9"), (struct jwt_key_times){0, 0}, NULL), ERR_OK);
    buf_clear(&json);
    CHECK_INT(jwks_print(&cx, next, &json), ERR_OK);
    CHECK_INT(jwks_read(&cx, own, buf_str(&json)), ERR_OK);
    CHECK_INT(jwt_verify(&cx, own, forge(GOOD_HEADER, GOOD_PAYLOAD), &expect, &got),
              ERR_UNAUTHENTICATED);
    jwt_keys_close(own);
    jwt_keys_close(next);
}

static bool fail_named(void *arg, const char *name)
{
    return strcmp(arg, name) == 0;
}

static void keys_at_rest(void)
{
    char dir[] = "/tmp/jumun-keys-XXXXXX";
    struct jwt_keys *one, *two;
    struct jwt_claims claims = claims_now(), got;
    struct stat st;

    CHECK(mkdtemp(dir) != NULL);
#ifdef JUMUN_FAULTS
    char write_point[] = "keys.write", sync_point[] = "keys.sync", rename_point[] = "keys.rename";
    char *const points[] = {write_point, sync_point, rename_point};
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        fault_hook_set(fail_named, points[i]);
        CHECK_INT(keys_open(&cx, dir, &one), ERR_UNAVAILABLE);
    }
    fault_hook_set(NULL, NULL);
#else
    (void)fail_named;
#endif
    CHECK_INT(keys_open(&cx, dir, &one), ERR_OK);
    struct str token = issue(one, &claims);
    CHECK_INT(keys_open(&cx, dir, &two), ERR_OK);
    CHECK_INT(jwt_verify(&cx, two, token, &expect, &got), ERR_OK);
    CHECK_INT(jwt_keys_count(two), 1);

    now_clock.virtual_us +=
        KEYS_ROTATE_US; /* the other process makes the next key, this one picks it up */
    CHECK_INT(keys_rotate(&cx, dir, two), ERR_OK);
    CHECK_INT(jwt_keys_count(two), 2);
    CHECK_INT(keys_rotate(&cx, dir, one), ERR_OK);
    CHECK_INT(jwt_keys_count(one), 2);
    claims = claims_now();
    struct str by_old = issue(two, &claims);
    now_clock.virtual_us += KEYS_PUBLISH_US;
    claims = claims_now();
    struct str by_new = issue(two, &claims);
    CHECK(!str_starts(by_new, (struct str){by_old.p, 100}));
    CHECK_INT(jwt_verify(&cx, one, by_new, &expect, &got), ERR_OK);
    now_clock.virtual_us = NOW * US_PER_S + KEYS_LIVE_US;
    CHECK_INT(keys_rotate(&cx, dir, two), ERR_OK);
    CHECK_INT(jwt_keys_count(two), 1);
    now_clock.virtual_us = NOW * US_PER_S;
    jwt_keys_close(one);
    jwt_keys_close(two);

    struct str clean = arena_printf(
        &arena, "chmod 644 %s/keys/*.pem && ls %s/keys | wc -l | grep -qx 1", dir, dir);
    struct str names = arena_printf(&arena, "stat -c %%a %s/keys/*.pem | grep -qx 600", dir);
    CHECK_INT(system(names.p), 0);
    CHECK_INT(system(clean.p), 0);
    now_clock.virtual_us = NOW * US_PER_S + KEYS_LIVE_US;
    CHECK_INT(keys_open(&cx, dir, &one), ERR_UNAVAILABLE); /* readable by others */
    now_clock.virtual_us = NOW * US_PER_S;
    CHECK_INT(stat(dir, &st), 0);
    CHECK_INT(system(arena_printf(&arena, "rm -r %s", dir).p), 0);
    CHECK_INT(keys_open(&cx, "/proc/nowhere/at/all", &one), ERR_UNAVAILABLE);
}

static void keys_that_are_only_read(void)
{
    char dir[] = "/tmp/jumun-keys-XXXXXX";
    struct jwt_keys *made, *read;
    struct stat st;

    CHECK(mkdtemp(dir) != NULL);
    const char *folder = arena_printf(&arena, "%s/keys", dir).p;
    CHECK_INT(jwt_keys_open(&cx, &read), ERR_OK);
    CHECK_INT(keys_read(&cx, dir, read), ERR_NOT_FOUND);
    CHECK(stat(folder, &st) != 0); /* and none was made */
    CHECK_INT(keys_open(&cx, dir, &made), ERR_OK);
    CHECK_INT(keys_read(&cx, dir, read), ERR_OK);
    CHECK_INT(jwt_keys_count(read), 1);
    now_clock.virtual_us = NOW * US_PER_S + KEYS_LIVE_US;
    CHECK_INT(keys_read(&cx, dir, read), ERR_NOT_FOUND);
    now_clock.virtual_us = NOW * US_PER_S;
    CHECK_INT(keys_read(&cx, dir, read), ERR_OK); /* it was not deleted for its age */
    jwt_keys_close(made);
    jwt_keys_close(read);
    CHECK_INT(system(arena_printf(&arena, "rm -r %s", dir).p), 0);
}

struct hammer {
    struct str token;
    int bad;
};

static void *hammer_run(void *arg)
{
    struct hammer *h = arg;
    struct arena own;
    struct rng r;
    struct jwt_claims got;

    arena_init(&own, 1 << 20);
    rng_init(&r);
    struct ctx mine = {.arena = &own, .clock = &now_clock, .rng = &r};
    for (int i = 0; i < 3000; i++) {
        h->bad += jwt_verify(&mine, keys, h->token, &expect, &got) != ERR_OK;
        if (i % 50 == 0)
            jwt_revoke_session(keys, ctx_uuid(&mine), NOW * US_PER_S, NOW * US_PER_S);
        arena_reset(&own);
    }
    arena_release(&own);
    return NULL;
}

static void many_threads_at_once(void)
{
    pthread_t threads[4];
    struct hammer work[4];

    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        work[i] = (struct hammer){forge(GOOD_HEADER, GOOD_PAYLOAD), 0};
        CHECK_INT(pthread_create(&threads[i], NULL, hammer_run, &work[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(work[i].bad, 0);
    }
}

static void base64_is_strict(void)
{
    unsigned char bytes[64], back[64];
    char text[100];
    size_t n;

    for (size_t length = 0; length <= sizeof(bytes); length++) {
        rng_bytes(&rng, bytes, length);
        struct str url = {text, base64url_encode(bytes, length, text)};
        CHECK_INT(url.n, BASE64URL_LENGTH(length));
        CHECK(base64url_decode(url, back, sizeof(back), &n) && n == length &&
              memcmp(back, bytes, n) == 0);
        CHECK(length == 0 || !base64url_decode(url, back, length - 1, &n));
        struct str standard = {text, base64_encode(bytes, length, text)};
        CHECK_INT(standard.n, BASE64_LENGTH(length));
        CHECK(base64_decode(standard, back, sizeof(back), &n) && n == length &&
              memcmp(back, bytes, n) == 0);
    }
    static const char *const bad_url[] = {"A",    "AAAAA", "AA==", "AB", "AAB", "A+A",
                                          "A/AA", "A A",   "AA\n", "=",  "A=",  "\xff\xff"};
    for (size_t i = 0; i < COUNT_OF(bad_url); i++)
        CHECK(!base64url_decode(str_from(bad_url[i]), back, sizeof(back), &n));
    static const char *const bad[] = {"A",    "AA",   "AAA",  "A===", "AB==",     "AAB=",
                                      "====", "AA=A", "A-AA", "A_AA", "AA==AA==", " AAA"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!base64_decode(str_from(bad[i]), back, sizeof(back), &n));
    CHECK(!base64url_decode(STR_NONE, back, sizeof(back), &n));
    base64_encode("user:pass", 9, text);
    CHECK(memcmp(text, "dXNlcjpwYXNz", 12) == 0);
}

static void secrets_and_digests(void)
{
    char token[SECRET_TOKEN_SIZE], again[SECRET_TOKEN_SIZE], hex[SHA256_TEXT_SIZE];
    unsigned char mac[32];
    static const unsigned char expected[4] = {0xf7, 0xbc, 0x83, 0xf4};

    struct str t = secret_token(&rng, token);
    CHECK_INT(t.n, SECRET_TOKEN_LENGTH);
    CHECK(secret_token_is_shaped(t));
    CHECK(!str_eq(t, secret_token(&rng, again)));
    CHECK(!secret_token_is_shaped(STR("short")));
    CHECK(!secret_token_is_shaped(STR("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+")));
    CHECK_STR(sha256_hex(STR("abc"), hex),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hmac_sha256(STR("key"), STR("The quick brown fox jumps over the lazy dog"), mac);
    CHECK(memcmp(mac, expected, sizeof(expected)) == 0);
}

static void authorization_headers(void)
{
    struct authorization got = authorization_parse(&arena, STR_NONE);
    CHECK_INT(got.scheme, AUTH_ABSENT);
    got = authorization_parse(&arena, STR("Bearer abc.def-_~+/="));
    CHECK_INT(got.scheme, AUTH_BEARER);
    CHECK_STR(got.token, "abc.def-_~+/=");
    CHECK_INT(authorization_parse(&arena, STR("bearer  x")).scheme, AUTH_BEARER);
    got = authorization_parse(&arena, STR("Basic dXNlcjpwYTpzcw=="));
    CHECK_INT(got.scheme, AUTH_BASIC);
    CHECK_STR(got.user, "user");
    CHECK_STR(got.password, "pa:ss");
    static const char *const bad[] = {"",
                                      "Bearer",
                                      "Bearer ",
                                      "Bearer a b",
                                      "Bearer a,b",
                                      "Bearer \"a\"",
                                      "Basic !!!",
                                      "Basic dXNlcg==",
                                      "Basic dXNl\ncg==",
                                      "Digest x",
                                      "Bearer =",
                                      "Bearerx y",
                                      "Basic AAAAOgA="};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK_INT(authorization_parse(&arena, str_from(bad[i])).scheme, AUTH_BAD);
}

static void passwords(void)
{
    char hash[PASSWORD_TEXT], again[PASSWORD_TEXT];
    char *large = memset(arena_alloc(&arena, 1000), 'x', 1000);

    CHECK_INT(password_hash(&cx, STR("correct horse battery"), hash), ERR_OK);
    CHECK(strncmp(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31) == 0);
    CHECK_INT(password_verify(&cx, hash, STR("correct horse battery")), ERR_OK);
    CHECK_INT(password_verify(&cx, hash, STR("correct horse batterz")), ERR_CREDENTIALS);
    CHECK_INT(password_verify(&cx, hash, STR("")), ERR_CREDENTIALS);
    CHECK_INT(password_verify(&cx, "", STR("correct horse battery")), ERR_CREDENTIALS);
    CHECK_INT(password_verify(&cx, "$argon2id$garbage", STR("correct horse battery")),
              ERR_CREDENTIALS);
    CHECK_INT(password_verify(&cx, hash, (struct str){large, 1000}), ERR_CREDENTIALS);
    CHECK_INT(password_hash(&cx, STR("correct horse battery"), again), ERR_OK);
    CHECK(strcmp(hash, again) != 0);
    CHECK_INT(password_hash(&cx, (struct str){large, 1000}, again), ERR_INVALID);
    CHECK_INT(password_hash(&cx, STR(""), again), ERR_INVALID);
    int64_t t0 = clock_monotonic_us();
    enum err wrong = password_verify(&cx, hash, STR("wrong horse battery"));
    int64_t real = clock_monotonic_us() - t0;
    t0 = clock_monotonic_us();
    enum err nobody = password_verify(&cx, password_of_nobody, STR("wrong horse battery"));
    int64_t dummy = clock_monotonic_us() - t0;
    CHECK(wrong == ERR_CREDENTIALS && nobody == ERR_CREDENTIALS);
    CHECK(dummy > real / 4 && dummy < real * 4);
    printf("# argon2id: %lld us, for nobody %lld us\n", (long long)real, (long long)dummy);
}

/* As a container at its limit: for all but those 19 MiB there is room. */
static void no_memory_is_no_wrong_password(void)
{
    char hash[PASSWORD_TEXT];
    struct rlimit before, limit;
    unsigned long pages = 0;

    CHECK_INT(password_hash(&cx, STR("correct horse battery"), hash), ERR_OK);
    FILE *f = fopen("/proc/self/statm", "r");
    CHECK(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    CHECK_INT(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = pages * (unsigned long)sysconf(_SC_PAGESIZE) + (8u << 20);
    CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
    enum err right = password_verify(&cx, hash, STR("correct horse battery"));
    enum err nobody = password_verify(&cx, password_of_nobody, STR("correct horse battery"));
    CHECK_INT(setrlimit(RLIMIT_AS, &before), 0);
    CHECK_INT(right, ERR_BUSY);
    CHECK_INT(nobody, ERR_BUSY);
    CHECK_INT(password_verify(&cx, hash, STR("correct horse battery")), ERR_OK);
}

static void common_passwords(void)
{
    static const char *const common[] = {
        "password123",   "Password123!",  "P@ssw0rd2024",     "passw0rd!!",   "qwertyuiop",
        "qwerty12345",   "1234567890",    "0987654321",       "1q2w3e4r5t",   "q1w2e3r4t5",
        "1qaz2wsx3edc",  "aaaaaaaaaa",    "abcabcabcabc",     "1212121212",   "abcdefghij",
        "zxcvbnm,./",    "asdfghjkl;",    "iloveyou123",      "letmein1234",  "welcome2024!",
        "admin12345",    "administrator", "dkssudgktpdy",     "tkfkdgo1234",  "qlalfqjsgh1!",
        "11111111111",   "changeme123",   "monkey123456",     "sunshine2023", "baseball1999",
        "!@#$%^&*()",    "poiuytrewq",    "mnbvcxzlkjhgfdsa", "testtest1234", "password-password",
        "samsung2024!!",
    };
    static const char *const fine[] = {
        "jumun-demo-1",       "correct horse battery",
        "vQ7!mzLp2xWr",       "rainy-tuesday-noodles",
        "7Kp2mWq9Zx",         "Gangnam-night-rice-42",
        "비밀스러운김치찌개", "my cat eats at 7",
        "b1ue-h0rse-9x",      "tqx9wlr4vn",
    };
    for (size_t i = 0; i < COUNT_OF(common); i++) {
        bool is = password_is_common(str_from(common[i]), STR("minji"));
        CHECK(is);
        if (!is)
            printf("# passed: %s\n", common[i]);
    }
    for (size_t i = 0; i < COUNT_OF(fine); i++) {
        bool is = password_is_common(str_from(fine[i]), STR("minji"));
        CHECK(!is);
        if (is)
            printf("# refused: %s\n", fine[i]);
    }
    CHECK(password_is_common(STR("xMINJIx8#kfaq"), STR("minji")));
    CHECK(password_is_common(STR(""), STR("minji")));
}

int main(void)
{
    setup();
    RUN(base64_is_strict);
    RUN(secrets_and_digests);
    RUN(authorization_headers);
    RUN(good_tokens_are_accepted);
    RUN(signed_attacks_are_refused);
    RUN(text_attacks_are_refused);
    RUN(size_attacks_are_refused);
    RUN(signature_attacks_are_refused);
    RUN(signing_and_reading_back);
    RUN(the_cache_forgets_what_it_must);
    RUN(removed_keys_take_their_tokens_along);
    RUN(when_no_key_may_sign_yet_the_first_one_does);
    RUN(weak_keys_are_refused);
    RUN(revocation_reaches_remembered_tokens);
    RUN(a_full_revocation_table_fails_closed);
    RUN(an_end_that_is_heard_again_changes_nothing);
    RUN(a_flood_of_ends_spares_what_is_issued_after_it);
    RUN(ends_of_long_ago_make_room);
    RUN(key_sets_round_trip);
    RUN(keys_at_rest);
    RUN(keys_that_are_only_read);
    RUN(many_threads_at_once);
    RUN(passwords);
    RUN(no_memory_is_no_wrong_password);
    RUN(common_passwords);
    teardown();
    return test_end();
}
