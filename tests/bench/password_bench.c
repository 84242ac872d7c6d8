/* password_bench.c -- what checking a password costs, which is what bounds logins per second. */
#include "security/password.h"

int main(void)
{
    enum { ROUNDS = 20 };
    struct arena arena;
    struct rng rng;
    char hash[PASSWORD_TEXT];

    arena_init(&arena, 1u << 20);
    rng_init(&rng);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    if (password_hash(&cx, STR("correct horse battery"), hash) != ERR_OK)
        return 1;
    int64_t start = clock_monotonic_us();
    for (int i = 0; i < ROUNDS; i++)
        if (password_verify(&cx, hash, STR("correct horse battery")) != ERR_OK)
            return 1;
    double right = (double)(clock_monotonic_us() - start) / ROUNDS / 1000;
    start = clock_monotonic_us();
    for (int i = 0; i < ROUNDS; i++)
        if (password_verify(&cx, password_of_nobody, STR("correct horse battery")) == ERR_OK)
            return 1;
    double nobody = (double)(clock_monotonic_us() - start) / ROUNDS / 1000;
    printf("verify %.1f ms, for a user who does not exist %.1f ms\n", right, nobody);
    arena_release(&arena);
    return 0;
}
