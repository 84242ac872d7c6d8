/* hours.c -- is a week of opening hours open at a moment? */
#include "data/hours.h"

#include "base/clock.h"

#define F_OPT_HHMM(T, m, json, flags, doc)                                                         \
    {                                                                                              \
        FIELD_HHMM, json, #m, offsetof(T, m), offsetof(T, has_##m), flags, 0, DAY_MINUTES, 0,      \
            NULL, NULL, doc                                                                        \
    }

const struct field hours_fields[] = {
    F_INT(struct hours, weekday, "weekday", REQUIRED, 0, 6, "0 is Monday"),
    F_HHMM(struct hours, opens, "opens", REQUIRED, "first minute, Asia/Seoul"),
    F_HHMM(struct hours, closes, "closes", REQUIRED, "end; at or before `opens`: the next day"),
    F_OPT_HHMM(struct hours, break_from, "breakFrom", 0, "break begins"),
    F_OPT_HHMM(struct hours, break_to, "breakTo", 0, "break ends"),
    F_END(struct hours),
};

int64_t hours_end(const struct hours *h)
{
    return h->closes <= h->opens ? h->closes + DAY_MINUTES : h->closes;
}

int64_t hours_minute(const struct hours *h, int64_t minute)
{
    return minute < h->opens ? minute + DAY_MINUTES : minute;
}

static bool covers(const struct hours *h, int64_t minute)
{
    if (minute < h->opens || minute >= hours_end(h))
        return false;
    if (!h->has_break_from || !h->has_break_to)
        return true;
    return minute < hours_minute(h, h->break_from) || minute >= hours_minute(h, h->break_to);
}

bool hours_open_at(struct list hours, int64_t us)
{
    struct seoul_time t = seoul_time(us);
    int64_t yesterday = (t.weekday + WEEKDAYS - 1) % WEEKDAYS;

    for (size_t i = 0; i < hours.n; i++) {
        const struct hours *h = LIST_AT(struct hours, hours, i);
        if (h->weekday == t.weekday && covers(h, t.minute_of_day))
            return true;
        if (h->weekday == yesterday && covers(h, t.minute_of_day + DAY_MINUTES))
            return true;
    }
    return false;
}
