/* distance.c -- how far two points of a city are apart, in whole metres. */
#include "base/distance.h"

/* By its series: a degree east is that much shorter. */
int64_t distance_cos_milli(int64_t latitude)
{
    double x = (double)latitude / 1e6 * 3.14159265358979323846 / 180.0;
    double x2 = x * x;
    double cosine = 1.0 - x2 / 2.0 + x2 * x2 / 24.0 - x2 * x2 * x2 / 720.0;

    return (int64_t)(cosine * 1000.0 + 0.5);
}

static int64_t root(int64_t v)
{
    int64_t r = v, next = (v + 1) / 2;

    while (next < r) {
        r = next;
        next = (r + v / r) / 2;
    }
    return r;
}

int64_t distance_m(int64_t lat1, int64_t lng1, int64_t lat2, int64_t lng2)
{
    int64_t dy = lat1 - lat2, dx = (lng1 - lng2) * distance_cos_milli(lat2) / 1000;

    /* A millionth of a degree is 111.195 mm; at most 2^57 under the root. */
    return root(dy * dy + dx * dx) * 111195 / 1000000;
}
