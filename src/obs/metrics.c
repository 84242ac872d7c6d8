/* metrics.c -- a fixed table of series; adding is one atomic, printing walks the table. */
#include "obs/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define SERIES_MAX 4096

/* Seconds of the histogram's bounds, in microseconds. */
static const int64_t bounds_us[] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
                                    100000, 250000, 500000, 1000000, 2500000, 10000000};

struct metric {
    enum metric_type type;
    const char *name, *help;
    const char *label[2], *value[2];
    _Atomic int64_t total; /* counter, gauge, or the histogram's count */
    _Atomic int64_t sum_us;
    _Atomic int64_t buckets[COUNT_OF(bounds_us)];
};

static struct {
    pthread_mutex_t lock;
    struct metric *series[SERIES_MAX];
    size_t n;
    void (*refresh)(void *arg);
    void *arg;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static struct metric *find(const char *name, const char *value_1, const char *value_2)
{
    for (size_t i = 0; i < table.n; i++) {
        struct metric *m = table.series[i];
        if (same(m->name, name) && same(m->value[0], value_1) && same(m->value[1], value_2))
            return m;
    }
    return NULL;
}

static const char *keep(const char *s)
{
    return s ? strdup(s) : NULL;
}

struct metric *metric_get(enum metric_type type, const char *name, const char *help,
                          const char *label_1, const char *value_1, const char *label_2,
                          const char *value_2)
{
    pthread_mutex_lock(&table.lock);
    struct metric *m = find(name, value_1, value_2);
    if (!m) {
        assert(table.n < SERIES_MAX);
        m = calloc(1, sizeof *m);
        if (!m)
            abort();
        m->type = type;
        m->name = keep(name);
        m->help = keep(help);
        m->label[0] = keep(label_1);
        m->label[1] = keep(label_2);
        m->value[0] = keep(value_1);
        m->value[1] = keep(value_2);
        table.series[table.n++] = m;
    }
    pthread_mutex_unlock(&table.lock);
    return m;
}

void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->total, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t v)
{
    atomic_store_explicit(&m->total, v, memory_order_relaxed);
}

void metric_observe_us(struct metric *m, int64_t duration_us)
{
    metric_add(m, 1);
    atomic_fetch_add_explicit(&m->sum_us, duration_us, memory_order_relaxed);
    for (size_t i = 0; i < COUNT_OF(bounds_us); i++)
        if (duration_us <= bounds_us[i]) {
            atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
            return;
        }
}

int64_t metric_value(const struct metric *m)
{
    return atomic_load_explicit(&m->total, memory_order_relaxed);
}

void metric_on_scrape(void (*refresh)(void *arg), void *arg)
{
    pthread_mutex_lock(&table.lock);
    table.refresh = refresh;
    table.arg = arg;
    pthread_mutex_unlock(&table.lock);
}

static void labels(struct buf *b, const struct metric *m, const char *le)
{
    bool first = true;

    for (int i = 0; i < 2; i++)
        if (m->label[i]) {
            buf_printf(b, "%s%s=\"%s\"", first ? "{" : ",", m->label[i], m->value[i]);
            first = false;
        }
    if (le) {
        buf_printf(b, "%sle=\"%s\"", first ? "{" : ",", le);
        first = false;
    }
    if (!first)
        buf_char(b, '}');
}

static void histogram(struct buf *b, const struct metric *m)
{
    int64_t below = 0;
    char le[24];

    for (size_t i = 0; i <= COUNT_OF(bounds_us); i++) {
        bool last = i == COUNT_OF(bounds_us);
        if (!last)
            below += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        snprintf(le, sizeof le, "%g", last ? 0.0 : (double)bounds_us[i] / 1e6);
        buf_printf(b, "%s_bucket", m->name);
        labels(b, m, last ? "+Inf" : le);
        buf_printf(b, " %" PRId64 "\n", last ? metric_value(m) : below);
    }
    buf_printf(b, "%s_sum", m->name);
    labels(b, m, NULL);
    buf_printf(b, " %.6f\n%s_count", (double)m->sum_us / 1e6, m->name);
    labels(b, m, NULL);
    buf_printf(b, " %" PRId64 "\n", metric_value(m));
}

static void family(struct buf *b, size_t first)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    const struct metric *head = table.series[first];

    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", head->name, head->help, head->name,
               types[head->type]);
    for (size_t i = first; i < table.n; i++) {
        const struct metric *m = table.series[i];
        if (!same(m->name, head->name))
            continue;
        if (m->type == METRIC_HISTOGRAM) {
            if (metric_value(m)) /* an untouched route says nothing */
                histogram(b, m);
            continue;
        }
        buf_printf(b, "%s", m->name);
        labels(b, m, NULL);
        buf_printf(b, " %" PRId64 "\n", metric_value(m));
    }
}

void metrics_print(struct buf *b)
{
    pthread_mutex_lock(&table.lock);
    if (table.refresh) {
        void (*refresh)(void *arg) = table.refresh;
        void *arg = table.arg;
        pthread_mutex_unlock(&table.lock);
        refresh(arg);
        pthread_mutex_lock(&table.lock);
    }
    for (size_t i = 0; i < table.n; i++) {
        size_t j = 0;
        while (j < i && !same(table.series[j]->name, table.series[i]->name))
            j++;
        if (j == i)
            family(b, i);
    }
    pthread_mutex_unlock(&table.lock);
}
