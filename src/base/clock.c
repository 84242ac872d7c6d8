/* clock.c -- the system's clock or a test's, RFC 3339, and the wall clock of Seoul. */
#include "base/clock.h"

const struct clock clock_system = {false, 0};

int64_t clock_now(const struct clock *c)
{
    struct timespec t;

    if (c->is_virtual)
        return c->virtual_us;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

int64_t clock_monotonic_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

/* Days since 1970-01-01 to a civil date and back; proleptic Gregorian, eras of 400 years. */
static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void two(char *out, int v)
{
    out[0] = (char)('0' + v / 10);
    out[1] = (char)('0' + v % 10);
}

struct str time_format(int64_t us, char out[TIME_TEXT_SIZE])
{
    int64_t days = us / US_PER_DAY - (us % US_PER_DAY < 0);
    int64_t rest = us - days * US_PER_DAY;
    int year, month, day, second = (int)(rest / US_PER_S);
    int64_t fraction = rest % US_PER_S;
    size_t n = 19;

    civil_from_days(days, &year, &month, &day);
    two(out, year / 100 % 100);
    two(out + 2, year % 100);
    out[4] = out[7] = '-';
    two(out + 5, month);
    two(out + 8, day);
    out[10] = 'T';
    two(out + 11, second / 3600);
    two(out + 14, second / 60 % 60);
    two(out + 17, second % 60);
    out[13] = out[16] = ':';
    if (fraction) {
        out[n++] = '.';
        for (int64_t unit = 100000; unit; unit /= 10)
            out[n++] = (char)('0' + fraction / unit % 10);
    }
    out[n++] = 'Z';
    out[n] = '\0';
    return (struct str){out, n};
}

static bool digits(struct str s, size_t at, size_t n, int *ret)
{
    int v = 0;

    if (at + n > s.n)
        return false;
    for (size_t i = at; i < at + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        v = v * 10 + (s.p[i] - '0');
    }
    *ret = v;
    return true;
}

bool date_parse(struct str s, int *ret_year, int *ret_month, int *ret_day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;

    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !digits(s, 0, 4, &y) ||
        !digits(s, 5, 2, &m) || !digits(s, 8, 2, &d))
        return false;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    if (m < 1 || m > 12 || d < 1 || d > lengths[m - 1] + (m == 2 && leap))
        return false;
    *ret_year = y;
    *ret_month = m;
    *ret_day = d;
    return true;
}

bool date_is_birthday(struct str date, int64_t now_us)
{
    struct seoul_time today = seoul_time(now_us);
    int year, month, day;

    return date_parse(date, &year, &month, &day) && year >= 1900 &&
           (year * 12 + month) * 31 + day <= (today.year * 12 + today.month) * 31 + today.day;
}

/* "Z" or "+09:00" from `at` to the end, in minutes. */
static bool offset_parse(struct str s, size_t at, int *ret_minutes)
{
    int hours, minutes;

    if (at + 1 == s.n && s.p[at] == 'Z') {
        *ret_minutes = 0;
        return true;
    }
    if (at + 6 != s.n || (s.p[at] != '+' && s.p[at] != '-') || s.p[at + 3] != ':' ||
        !digits(s, at + 1, 2, &hours) || !digits(s, at + 4, 2, &minutes) || hours > 23 ||
        minutes > 59)
        return false;
    *ret_minutes = (s.p[at] == '-' ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool time_parse(struct str s, int64_t *ret_us)
{
    int y, mo, d, h, mi, sec, offset;
    int64_t fraction = 0, unit = 100000;
    size_t at = 19;

    if (s.n < 20 || s.p[10] != 'T' || s.p[13] != ':' || s.p[16] != ':' ||
        !date_parse((struct str){s.p, 10}, &y, &mo, &d) || !digits(s, 11, 2, &h) ||
        !digits(s, 14, 2, &mi) || !digits(s, 17, 2, &sec))
        return false;
    if (y < 1970 || y > 2199 || h > 23 || mi > 59 || sec > 59)
        return false;
    if (s.p[at] == '.') {
        size_t first = ++at;
        for (; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++, unit /= 10)
            fraction += unit * (s.p[at] - '0');
        if (at == first || at - first > 9)
            return false;
    }
    if (!offset_parse(s, at, &offset))
        return false;
    int64_t us = days_from_civil(y, mo, d) * US_PER_DAY +
                 ((int64_t)h * 3600 + mi * 60 + sec - (int64_t)offset * 60) * US_PER_S + fraction;
    if (us < 0 || us >= days_from_civil(2200, 1, 1) * US_PER_DAY)
        return false; /* an offset can leave the years that we can print and read again */
    *ret_us = us;
    return true;
}

struct seoul_time seoul_time(int64_t us)
{
    struct seoul_time t;
    int64_t local = us + 9 * US_PER_HOUR;
    int64_t days = local / US_PER_DAY - (local % US_PER_DAY < 0);

    civil_from_days(days, &t.year, &t.month, &t.day);
    t.weekday = (int)(((days + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    t.minute_of_day = (int)((local - days * US_PER_DAY) / US_PER_MIN);
    return t;
}
