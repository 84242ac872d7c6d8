/* clock.h -- time as a value: microseconds UTC from the system or from a test; RFC 3339; Seoul. */
#pragma once

#include "base/str.h"

#define US_PER_MS INT64_C(1000)
#define US_PER_S INT64_C(1000000)
#define US_PER_MIN (60 * US_PER_S)
#define US_PER_HOUR (60 * US_PER_MIN)
#define US_PER_DAY (24 * US_PER_HOUR)

struct clock {
    bool is_virtual;
    int64_t virtual_us; /* the time it is, when virtual; moved by the simulation only */
};

extern const struct clock clock_system;
int64_t clock_now(const struct clock *c); /* UTC microseconds */
int64_t clock_monotonic_us(void);         /* for measuring and for deadlines of I/O */

/* "2026-11-23T10:00:00.123456Z", at most 28 bytes with NUL; fraction only when not zero. */
#define TIME_TEXT_SIZE 28
struct str time_format(int64_t us, char out[TIME_TEXT_SIZE]);
/* RFC 3339 with 'Z' or an offset; years 1970-2199; false on anything else. */
bool time_parse(struct str s, int64_t *ret_us);

/* A moment as read off a wall in Seoul (UTC+9, no daylight saving since 1988). */
struct seoul_time {
    int year, month, day; /* 1-based month and day */
    int weekday;          /* 0 = Monday ... 6 = Sunday */
    int minute_of_day;    /* 0 ... 1439 */
};
struct seoul_time seoul_time(int64_t us);
bool date_parse(struct str s, int *ret_year, int *ret_month,
                int *ret_day); /* strict YYYY-MM-DD, real day */
/* Of a strict date: was somebody alive born on it, seen from Seoul at that moment? */
bool date_is_birthday(struct str date, int64_t now_us);
