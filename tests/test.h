/* test.h -- the unit tests' whole framework: named checks, TAP on stdout, exit status 1 on any
 * failure. */
#pragma once

#include "base/str.h"

static int test_count, test_failed;

static inline void test_report(bool ok, const char *what, const char *file, int line)
{
    test_count++;
    if (!ok) {
        test_failed++;
        printf("not ok %d - %s\n# at %s:%d\n", test_count, what, file, line);
    }
}
#define CHECK(condition) test_report((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(got, expected)                                                                   \
    do {                                                                                           \
        long long got_ = (long long)(got), expected_ = (long long)(expected);                      \
        test_report(got_ == expected_, #got " == " #expected, __FILE__, __LINE__);                 \
        if (got_ != expected_)                                                                     \
            printf("# got %lld, expected %lld\n", got_, expected_);                                \
    } while (0)
#define CHECK_STR(got, expected)                                                                   \
    do {                                                                                           \
        struct str got_ = (got), expected_ = str_from(expected);                                   \
        test_report(str_eq(got_, expected_), #got " == " #expected, __FILE__, __LINE__);           \
        if (!str_eq(got_, expected_))                                                              \
            printf("# got '%.*s', expected '%.*s'\n", STR_ARG(got_), STR_ARG(expected_));          \
    } while (0)
/* Runs one test function; a line per function keeps the log readable. */
#define RUN(function)                                                                              \
    do {                                                                                           \
        int failed_before_ = test_failed;                                                          \
        function();                                                                                \
        printf("%sok - %s\n", test_failed == failed_before_ ? "" : "not ", #function);             \
        fflush(stdout);                                                                            \
    } while (0)
static inline int test_end(void)
{
    printf("# %d checks, %d failed\n", test_count, test_failed);
    return test_failed ? 1 : 0;
}
