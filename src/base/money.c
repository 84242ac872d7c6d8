/* money.c -- won that cannot overflow. */
#include "base/money.h"

static enum err bounded(bool overflow, int64_t v, int64_t *ret)
{
    if (overflow || v > MONEY_MAX || v < -MONEY_MAX)
        return ERR_AMOUNT_OVERFLOW;
    *ret = v;
    return ERR_OK;
}

enum err money_add(int64_t a, int64_t b, int64_t *ret)
{
    int64_t v = 0;
    bool overflow = __builtin_add_overflow(a, b, &v);

    return bounded(overflow, v, ret);
}

enum err money_mul(int64_t amount, int64_t count, int64_t *ret)
{
    int64_t v = 0;
    bool overflow = __builtin_mul_overflow(amount, count, &v);

    return bounded(overflow, v, ret);
}
