/*
 * metrics.h -- counters, gauges and histograms in the Prometheus text format; labels come from
 * tables only, so the number of series is bounded at start.
 */
#pragma once

#include "base/buf.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/*
 * One family: "jumun_http_requests_total" with up to two label names. Families and series are made
 * at start (thread-safe all the same, at most 4096 series) and live until the process ends.
 */
struct metric;
struct metric *metric_get(enum metric_type type, const char *name, const char *help,
                          const char *label_1, const char *value_1, const char *label_2,
                          const char *value_2);
void metric_add(struct metric *m, int64_t n); /* counters and gauges; atomic */
void metric_set(struct metric *m, int64_t v); /* gauges */
void metric_observe_us(struct metric *m,
                       int64_t duration_us); /* histograms, in seconds on the wire */
int64_t metric_value(const struct metric *m);
/* A gauge that is asked when somebody scrapes. */
void metric_on_scrape(void (*refresh)(void *arg), void *arg);
void metrics_print(struct buf *b);
