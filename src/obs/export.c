/* export.c -- sends finished spans to an OTLP/HTTP collector as JSON, from one thread and a bounded
 * queue. */
#include "obs/export.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>

#include "data/json.h"
#include "obs/log.h"
#include "obs/metrics.h"

#define QUEUE_MAX 4096
#define BATCH_MAX 256
#define BODY_MAX (1024 * 1024)
#define FLUSH_MS 1000
#define SEND_TIMEOUT_MS 5000

struct finished {
    struct trace self, parent;
    int64_t start_us, end_us;
    enum err result;
    int kind; /* of OTLP: 1 internal, 2 server, 3 client, 5 consumer */
    char name[80];
};

/* The one exporter of the process: spans come from everywhere and carry no handle. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    pthread_t thread;
    struct finished *ring;
    size_t first, n;
    bool runs, stop;
    char url[256], process[64];
    struct metric *sent, *dropped;
} exporter = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static int kind_number(const char *kind)
{
    return strcmp(kind, "server") == 0     ? 2
           : strcmp(kind, "client") == 0   ? 3
           : strcmp(kind, "consumer") == 0 ? 5
                                           : 1;
}

void export_span(const struct trace *self, const struct span *s, int64_t end_us, enum err e)
{
    pthread_mutex_lock(&exporter.lock);
    if (exporter.runs && exporter.n == QUEUE_MAX)
        metric_add(exporter.dropped, 1);
    if (exporter.runs && exporter.n < QUEUE_MAX) {
        struct finished *f = &exporter.ring[(exporter.first + exporter.n++) % QUEUE_MAX];
        *f = (struct finished){.self = *self,
                               .parent = s->parent,
                               .start_us = s->start_us,
                               .end_us = end_us,
                               .result = e,
                               .kind = kind_number(s->kind)};
        snprintf(f->name, sizeof f->name, "%.*s", STR_ARG(s->name));
        if (exporter.n == BATCH_MAX)
            pthread_cond_signal(&exporter.filled);
    }
    pthread_mutex_unlock(&exporter.lock);
}

static void hex(struct buf *b, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%02x", p[i]);
}

static void print_span(struct buf *b, const struct finished *f)
{
    buf_lit(b, "{\"traceId\":\"");
    hex(b, f->self.trace_id, sizeof f->self.trace_id);
    buf_lit(b, "\",\"spanId\":\"");
    hex(b, f->self.span_id, sizeof f->self.span_id);
    buf_lit(b, "\",\"parentSpanId\":\"");
    hex(b, f->parent.span_id, sizeof f->parent.span_id);
    buf_printf(b,
               "\",\"kind\":%d,\"startTimeUnixNano\":\"%lld000\",\"endTimeUnixNano\":\"%lld000\","
               "\"name\":",
               f->kind, (long long)f->start_us, (long long)f->end_us);
    json_string(b, str_from(f->name));
    if (f->result != ERR_OK)
        buf_printf(b, ",\"status\":{\"code\":2,\"message\":\"%s\"}", err_row(f->result)->code);
    buf_char(b, '}');
}

static void print_batch(struct buf *b, const struct finished *spans, size_t n)
{
    buf_lit(
        b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
           "{\"stringValue\":");
    json_string(b, str_from(exporter.process));
    buf_lit(b, "}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"jumun\"},\"spans\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_char(b, ',');
        print_span(b, &spans[i]);
    }
    buf_lit(b, "]}]}]}");
}

static size_t ignore(char *p, size_t size, size_t n, void *arg)
{
    (void)p, (void)arg;
    return size * n;
}

static bool post(CURL *curl, struct buf *body)
{
    long status = 0;

    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->p);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->n);
    if (curl_easy_perform(curl) != CURLE_OK)
        return false;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

/* Up to a batch, waiting a moment for more; 0 when the queue is empty and it is time to stop. */
static size_t take(struct finished *batch, bool *ret_stop)
{
    struct timespec until;

    pthread_mutex_lock(&exporter.lock);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FLUSH_MS / 1000;
    if (!exporter.stop && exporter.n < BATCH_MAX)
        pthread_cond_timedwait(&exporter.filled, &exporter.lock, &until);
    size_t n = exporter.n < BATCH_MAX ? exporter.n : BATCH_MAX;
    for (size_t i = 0; i < n; i++)
        batch[i] = exporter.ring[(exporter.first + i) % QUEUE_MAX];
    exporter.first = (exporter.first + n) % QUEUE_MAX;
    exporter.n -= n;
    *ret_stop = exporter.stop && exporter.n == 0;
    pthread_mutex_unlock(&exporter.lock);
    return n;
}

static void set_up(CURL *curl, struct curl_slist *headers)
{
    curl_easy_setopt(curl, CURLOPT_URL, exporter.url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)SEND_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
}

static void *run(void *arg)
{
    struct finished *batch = arg;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = curl_easy_init();
    struct buf body;
    bool stop = false;

    buf_init(&body, BODY_MAX);
    if (curl)
        set_up(curl, headers);
    while (!stop) {
        size_t n = take(batch, &stop);
        if (n == 0)
            continue;
        buf_clear(&body);
        print_batch(&body, batch, n);
        bool ok = curl && !body.overflow && post(curl, &body);
        metric_add(ok ? exporter.sent : exporter.dropped, (int64_t)n);
    }
    buf_release(&body);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    free(batch);
    return NULL;
}

static struct metric *counter(const char *result)
{
    return metric_get(METRIC_COUNTER, "jumun_spans_total", "Spans, by what became of them.",
                      "result", result, NULL, NULL);
}

enum err trace_export_start(const char *endpoint, const char *process_name)
{
    struct str url = str_from(endpoint);

    if (!endpoint)
        return ERR_OK;
    if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
        return ERR_INVALID;
    if (url.n + sizeof "/v1/traces" > sizeof exporter.url ||
        strlen(process_name) >= sizeof exporter.process)
        return ERR_INVALID;
    snprintf(exporter.url, sizeof exporter.url, "%s/v1/traces", endpoint);
    snprintf(exporter.process, sizeof exporter.process, "%s", process_name);
    struct finished *batch = calloc(BATCH_MAX, sizeof *batch);
    exporter.ring = calloc(QUEUE_MAX, sizeof *exporter.ring);
    exporter.sent = counter("sent");
    exporter.dropped = counter("dropped");
    exporter.first = exporter.n = 0;
    exporter.stop = false;
    exporter.runs = batch && exporter.ring;
    if (!exporter.runs || pthread_create(&exporter.thread, NULL, run, batch) != 0) {
        exporter.runs = false;
        free(batch);
        free(exporter.ring);
        return ERR_UNAVAILABLE;
    }
    return ERR_OK;
}

void trace_export_stop(void)
{
    pthread_mutex_lock(&exporter.lock);
    bool ran = exporter.runs;
    exporter.stop = true;
    pthread_cond_signal(&exporter.filled);
    pthread_mutex_unlock(&exporter.lock);
    if (!ran)
        return;
    pthread_join(exporter.thread, NULL);
    pthread_mutex_lock(&exporter.lock);
    exporter.runs = false;
    free(exporter.ring);
    exporter.ring = NULL;
    pthread_mutex_unlock(&exporter.lock);
}
