/* hours.h -- a week of opening hours, as services tell each other and as they are read off a wall
 * in Seoul. */
#pragma once

#include "data/field.h"

#define WEEKDAYS 7
#define DAY_MINUTES 1440

/* One weekday; closes at or before opens means past midnight. A day without a row is a day off. */
struct hours {
    int64_t weekday, opens, closes; /* 0 = Monday; minutes of the day */
    int64_t break_from, break_to;
    bool has_break_from, has_break_to;
};
extern const struct field hours_fields[];

/* Minutes since the opening weekday's midnight, beyond 1440 when it is past the next one: its end,
 * and a minute that lies within it. */
int64_t hours_end(const struct hours *h);
int64_t hours_minute(const struct hours *h, int64_t minute);
/* `hours`: a list of struct hours. */
bool hours_open_at(struct list hours, int64_t us);
