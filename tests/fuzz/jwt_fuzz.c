/* jwt_fuzz.c -- tokens, base64, key sets and Authorization headers from hostile bytes. */
#include "security/authorization.h"
#include "security/base64.h"
#include "security/jwks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct jwt_keys *keys; /* made once: an RSA key per input would be all the time there is */

/* What decodes must encode to the very same text: there is one spelling per value. */
static void check_base64(struct arena *a, struct str s)
{
    unsigned char *bytes = arena_alloc(a, s.n + 1);
    char *text = arena_alloc(a, BASE64_LENGTH(s.n) + 4);
    size_t n;

    if (base64url_decode(s, bytes, s.n, &n))
        assert(base64url_encode(bytes, n, text) == s.n && memcmp(text, s.p, s.n) == 0);
    if (base64_decode(s, bytes, s.n, &n))
        assert(base64_encode(bytes, n, text) == s.n && memcmp(text, s.p, s.n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct jwt_expect expect = {
        {"https://jumun.test", 18}, {"jumun", 5}, {"at+jwt", 6}, 0};
    struct clock clock = {true, INT64_C(1800000000) * US_PER_S};
    struct arena arena;
    struct rng rng;
    struct str input = {size > 0 ? (const char *)data : "", size};
    struct jwt_claims claims;

    arena_init(&arena, 64 << 20);
    rng_seed(&rng, 1);
    struct ctx cx = {.arena = &arena, .clock = &clock, .rng = &rng};
    if (keys == NULL &&
        (jwt_keys_open(&cx, &keys) != ERR_OK ||
         jwt_keys_generate(&cx, keys, STR("k1"), (struct jwt_key_times){0, 0}, NULL) != ERR_OK))
        abort();
    check_base64(&arena, input);
    (void)authorization_parse(&arena, input);
    if (jwt_verify(&cx, keys, input, &expect, &claims) == ERR_OK)
        abort(); /* nobody has the private key */

    /* The same bytes as header and as payload, so that the decoders behind base64 are reached. */
    size_t half = size / 2;
    struct buf token;
    buf_init_arena(&token, &arena, 4 * size + 64);
    char *part = arena_alloc(&arena, BASE64URL_LENGTH(size) + 4);
    buf_add(&token, part, base64url_encode(data, half, part));
    buf_char(&token, '.');
    buf_add(&token, part, base64url_encode(data + half, size - half, part));
    buf_lit(&token, ".AA");
    if (jwt_verify(&cx, keys, buf_str(&token), &expect, &claims) == ERR_OK)
        abort();

    struct jwt_keys *foreign;
    if (jwt_keys_open(&cx, &foreign) == ERR_OK) {
        (void)!jwks_read(&cx, foreign, input);
        jwt_keys_close(foreign);
    }
    arena_release(&arena);
    return 0;
}
