/* toss_fuzz.c -- any bytes as the provider's answer: never a crash, and money only for a whole and
 * fitting answer. */
#include "payment/payment.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const char order_id[] = "019b76da-a800-7005-8000-000100000000";
    static const int statuses[] = {0, 200, 201, 400, 401, 403, 404, 409, 429, 500, 503};
    const struct payment p = {.payment_key = STR("tviva1"), .amount_won = 1000};
    struct toss_payment answer;
    struct arena arena;
    struct rng rng;

    if (n == 0)
        return 0;
    arena_init(&arena, 64u << 20);
    rng_seed(&rng, 1);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    int status = statuses[bytes[0] % COUNT_OF(statuses)];
    if (provider_decode(&cx, (struct str){(const char *)bytes + 1, n - 1}, &answer) == ERR_OK) {
        enum answer what = provider_meaning(&p, status, &answer, order_id);
        if (what == ANSWER_CAPTURED)
            assert(status >= 200 && status < 300 && answer.total_won == 1000 &&
                   str_eq(answer.payment_key, p.payment_key));
        if (what == ANSWER_DECLINED)
            assert(status != 0 && status < 500 && status != 429 && status != 409);
    }
    arena_release(&arena);
    return 0;
}
