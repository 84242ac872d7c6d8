/* log_seldom.c -- one line a second of each kind of trouble: a full disk or a broken dependency
 * fails every request, and a line for each would fill the log and slow down the rest. */
#include "obs/log_seldom.h"

#include <pthread.h>

#include "obs/metrics.h"

#define KINDS_MAX 64 /* in one second; what is more is counted under one of them */

struct kind {
    uint64_t key;
    int64_t second, skipped;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kind kinds[KINDS_MAX];

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}

uint64_t log_kind(const struct ctx *cx, const char *kind, struct str name, enum err e)
{
    uint64_t h = UINT64_C(14695981039346656037);

    h = mix(h, kind, strlen(kind) + 1);
    h = mix(h, name.p, name.n);
    h = mix(h, &e, sizeof e);
    if (!cx)
        return h;
    h = mix(h, &cx->story.file, sizeof cx->story.file);
    return mix(h, &cx->story.line, sizeof cx->story.line);
}

/* The kind's own entry, or the one that was quiet for the longest time. */
static struct kind *entry(uint64_t key)
{
    struct kind *oldest = kinds;

    for (struct kind *k = kinds; k < kinds + KINDS_MAX; k++) {
        if (k->key == key)
            return k;
        if (k->second < oldest->second)
            oldest = k;
    }
    return oldest;
}

static struct metric *skipped_lines(void)
{
    static _Atomic(struct metric *) known;
    struct metric *m = known;

    if (!m)
        known = m = metric_get(METRIC_COUNTER, "jumun_log_lines_skipped_total",
                               "Lines not written since one of their kind was, that second.", NULL,
                               NULL, NULL, NULL);
    return m;
}

bool log_is_due(uint64_t key, int64_t now_us, int64_t *ret_skipped)
{
    int64_t second = now_us / US_PER_S;

    pthread_mutex_lock(&lock);
    struct kind *k = entry(key);
    bool is_due = k->second != second;
    if (!is_due)
        k->skipped++;
    else {
        *ret_skipped = k->key == key ? k->skipped : 0;
        *k = (struct kind){.key = key, .second = second};
    }
    pthread_mutex_unlock(&lock);
    if (!is_due)
        metric_add(skipped_lines(), 1);
    return is_due;
}
