/* jwt_bench.c -- prints what signing and verifying a token costs, remembered or not. */
#include "security/jwt.h"

#include <sys/resource.h>

static int64_t cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (int64_t)u.ru_utime.tv_sec * US_PER_S + u.ru_utime.tv_usec +
           (int64_t)u.ru_stime.tv_sec * US_PER_S + u.ru_stime.tv_usec;
}

static void print_rate(const char *what, int64_t n, int64_t cpu)
{
    printf("%-22s %10.0f /s CPU, %8.3f us each\n", what, (double)n * 1e6 / (double)(cpu ? cpu : 1),
           (double)cpu / (double)n);
}

int main(void)
{
    static const struct jwt_expect expect = {
        {"https://jumun.test", 18}, {"jumun", 5}, {"at+jwt", 6}, 0};
    struct arena arena;
    struct rng rng;
    struct jwt_keys *keys;
    struct jwt_claims got;
    enum { TOKENS = 512, CACHED = 1000000 };
    static struct buf tokens[TOKENS];

    arena_init(&arena, 256 << 20);
    rng_init(&rng);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    if (jwt_keys_open(&cx, &keys) != ERR_OK ||
        jwt_keys_generate(&cx, keys, STR("k"), (struct jwt_key_times){0, 0}, NULL) != ERR_OK)
        return 1;
    int64_t start = cpu_us();
    for (int i = 0; i < TOKENS; i++) {
        struct jwt_claims claims = {.issuer = expect.issuer,
                                    .audience = expect.audience,
                                    .user_id = ctx_uuid(&cx),
                                    .token_id = ctx_uuid(&cx),
                                    .session_id = ctx_uuid(&cx),
                                    .role = CUSTOMER,
                                    .issued_s = ctx_now(&cx) / US_PER_S,
                                    .expires_s = ctx_now(&cx) / US_PER_S + 900};
        buf_init(&tokens[i], JWT_MAX);
        if (jwt_sign(&cx, keys, &claims, &tokens[i]) != ERR_OK)
            return 1;
    }
    print_rate("sign", TOKENS, cpu_us() - start);
    start = cpu_us();
    for (int i = 0; i < TOKENS; i++)
        if (jwt_verify(&cx, keys, buf_str(&tokens[i]), &expect, &got) != ERR_OK)
            return 1;
    print_rate("verify", TOKENS, cpu_us() - start);
    arena_reset(&arena);
    start = cpu_us();
    for (int i = 0; i < CACHED; i++)
        if (jwt_verify(&cx, keys, buf_str(&tokens[i % TOKENS]), &expect, &got) != ERR_OK)
            return 1;
    print_rate("verify, remembered", CACHED, cpu_us() - start);
    printf("token of %zu bytes\n", tokens[0].n);
    for (int i = 0; i < TOKENS; i++)
        buf_release(&tokens[i]);
    jwt_keys_close(keys);
    arena_release(&arena);
    return 0;
}
