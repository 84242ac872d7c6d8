/* distance.h -- how far two points of a city are apart: one reckoning for all services. */
#pragma once

#include "base/attr.h"

/* Flat-earth arithmetic, right to a metre within a city. Whole metres; coordinates in millionths of
 * a degree. A degree east is as long as at lat2. */
int64_t distance_m(int64_t lat1, int64_t lng1, int64_t lat2, int64_t lng2);
/* Thousandths of the cosine of a latitude. */
int64_t distance_cos_milli(int64_t latitude);
