/* money.h -- whole won in int64, with products and sums that refuse to overflow. */
#pragma once

#include "base/err.h"

/* No single price, line or order may exceed this (100 billion won); keeps every sum far from 2^63.
 */
#define MONEY_MAX INT64_C(100000000000)

/* *ret = a + b, or ERR_AMOUNT_OVERFLOW when the result leaves [-MONEY_MAX, MONEY_MAX]. */
enum err money_add(int64_t a, int64_t b, int64_t *ret) MUST_USE;
enum err money_mul(int64_t amount, int64_t count, int64_t *ret) MUST_USE;
