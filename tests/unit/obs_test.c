/* obs_test.c -- trace context by the letter of the standard, spans that arrive, logs and metrics.
 */
#include "peer.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "data/json.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "obs/trace.h"

static struct arena arena;
static struct clock now = {true, INT64_C(1796000000000000)};
static struct rng rng;
static struct ctx cx;

static void fresh(void)
{
    arena_reset(&arena);
    rng_seed(&rng, 5);
    cx = (struct ctx){.arena = &arena, .clock = &now, .rng = &rng};
}

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID "00f067aa0ba902b7"

static void a_traceparent_is_continued(void)
{
    char text[TRACEPARENT_SIZE], id[33];

    fresh();
    CHECK(trace_continue(&cx, STR("00-" TRACE_ID "-" SPAN_ID "-01")));
    CHECK_STR(trace_id_text(&cx.trace, id), TRACE_ID);
    CHECK(cx.trace.sampled);
    struct str out = trace_format(&cx.trace, text);
    CHECK_INT(out.n, 55);
    CHECK(str_starts(out, STR("00-" TRACE_ID "-")) && str_ends(out, STR("-01")));
    CHECK(str_find(out, STR(SPAN_ID)) == SIZE_MAX); /* a child, not the parent itself */
    CHECK(trace_continue(&cx, STR("00-" TRACE_ID "-" SPAN_ID "-00")) && !cx.trace.sampled);
    CHECK(trace_continue(&cx, STR("00-" TRACE_ID "-" SPAN_ID "-03")) && cx.trace.sampled);
    CHECK(trace_continue(&cx, STR("cc-" TRACE_ID "-" SPAN_ID "-01-what-comes-later")));
    CHECK(trace_continue(&cx, STR("cc-" TRACE_ID "-" SPAN_ID "-01")));
}

static void a_malformed_traceparent_starts_anew(void)
{
    const struct str bad[] = {
        STR_NONE,
        STR(""),
        STR("00"),
        STR("00-" TRACE_ID "-" SPAN_ID),
        STR("00-" TRACE_ID "-" SPAN_ID "-1"),
        STR("00-" TRACE_ID "-" SPAN_ID "-01-more"),
        STR("00-" TRACE_ID "-" SPAN_ID "-01 "),
        STR(" 00-" TRACE_ID "-" SPAN_ID "-01"),
        STR("ff-" TRACE_ID "-" SPAN_ID "-01"),
        STR("cc-" TRACE_ID "-" SPAN_ID "-01.more"),
        STR("0g-" TRACE_ID "-" SPAN_ID "-01"),
        STR("00-00000000000000000000000000000000-" SPAN_ID "-01"),
        STR("00-" TRACE_ID "-0000000000000000-01"),
        STR("00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01"),
        STR("00-" TRACE_ID "-00F067AA0BA902B7-01"),
        STR("00_" TRACE_ID "-" SPAN_ID "-01"),
        STR("00-" TRACE_ID "_" SPAN_ID "-01"),
        STR("00-" TRACE_ID "-" SPAN_ID "_01"),
        STR("00-" TRACE_ID "-" SPAN_ID "-0x"),
    };
    struct trace last = {0};

    fresh();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(!trace_continue(&cx, bad[i]));
        CHECK(memcmp(&cx.trace.trace_id, &last.trace_id, sizeof last.trace_id) != 0);
        last = cx.trace;
    }
}

static void spans_nest_and_restore(void)
{
    struct span outer, inner;

    fresh();
    trace_start(&cx);
    struct trace root = cx.trace;
    span_begin(&cx, &outer, "server", STR("GET /"));
    CHECK(memcmp(cx.trace.span_id, root.span_id, sizeof root.span_id) != 0);
    CHECK(memcmp(cx.trace.trace_id, root.trace_id, sizeof root.trace_id) == 0);
    struct trace child = cx.trace;
    span_begin(&cx, &inner, "internal", STR("sql"));
    CHECK(memcmp(inner.parent.span_id, child.span_id, sizeof child.span_id) == 0);
    span_end(&cx, &inner, ERR_OK);
    CHECK(memcmp(&cx.trace, &child, sizeof child) == 0);
    span_end(&cx, &outer, ERR_OK); /* without an exporter nothing is kept */
    CHECK(memcmp(&cx.trace, &root, sizeof root) == 0);
}

static int64_t spans(const char *result)
{
    return metric_value(metric_get(METRIC_COUNTER, "jumun_spans_total",
                                   "Spans, by what became of them.", "result", result, NULL, NULL));
}

static void spans_arrive_as_otlp(void)
{
    struct peer peer;
    struct span s;
    char endpoint[64];

    fresh();
    CHECK_INT(trace_export_start(NULL, "jumun"), ERR_OK); /* nowhere: nothing runs */
    trace_export_stop();
    CHECK_INT(trace_export_start("ftp://127.0.0.1", "jumun"), ERR_INVALID);
    peer_start(&peer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", peer.port);
    CHECK_INT(trace_export_start(endpoint, "jumun \"test\""), ERR_OK);
    trace_continue(&cx, STR("00-" TRACE_ID "-" SPAN_ID "-01"));
    span_begin(&cx, &s, "server", STR("POST /v1/orders \"x\""));
    now.virtual_us += 1500;
    span_end(&cx, &s, ERR_STOCK_SHORT);
    trace_continue(&cx, STR("00-" TRACE_ID "-" SPAN_ID "-00"));
    span_begin(&cx, &s, "consumer", STR("unsampled"));
    span_end(&cx, &s, ERR_OK);
    trace_export_stop(); /* sends what waits */
    CHECK_INT(peer.requests, 1);
    CHECK(strncmp(peer.seen, "POST /v1/traces HTTP/1.1\r\n", 26) == 0);
    const char *body = strstr(peer.seen, "\r\n\r\n");
    CHECK(body && json_is_valid(str_from(body + 4)));
    CHECK(strstr(peer.seen, "\"traceId\":\"" TRACE_ID "\"") != NULL);
    CHECK(strstr(peer.seen, "\"startTimeUnixNano\":\"1796000000000000000\"") != NULL);
    CHECK(strstr(peer.seen, "\"endTimeUnixNano\":\"1796000000001500000\"") != NULL);
    CHECK(strstr(peer.seen, "\"kind\":2") != NULL);
    CHECK(strstr(peer.seen, "\"status\":{\"code\":2,\"message\":\"STOCK_SHORT\"}") != NULL);
    CHECK(strstr(peer.seen, "\"name\":\"POST /v1/orders \\\"x\\\"\"") != NULL);
    CHECK(strstr(peer.seen, "unsampled") == NULL);
    CHECK_INT(spans("sent"), 1);
    peer_stop(&peer);
}

static void spans_that_cannot_be_sent_are_counted(void)
{
    struct peer peer;
    struct span s;
    char endpoint[64];
    int64_t dropped = spans("dropped"), sent = spans("sent");

    fresh();
    peer_start(&peer, NULL);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", peer.port);
    peer_stop(&peer); /* a collector that is away */
    CHECK_INT(trace_export_start(endpoint, "jumun"), ERR_OK);
    trace_start(&cx);
    int64_t from = clock_monotonic_us();
    for (int i = 0; i < 20000; i++) { /* far more than the queue holds: nobody waits for it */
        span_begin(&cx, &s, "internal", STR("busy"));
        span_end(&cx, &s, ERR_OK);
    }
    CHECK(clock_monotonic_us() - from < 5 * US_PER_S);
    trace_export_stop();
    CHECK_INT(spans("dropped") - dropped, 20000);
    CHECK_INT(spans("sent"), sent);
}

/* What `write` leaves on stderr; the text lives until the next call. */
static struct str logged(void (*write_lines)(void))
{
    static char text[16384];
    int pipe_fds[2], saved = dup(STDERR_FILENO);

    CHECK(pipe(pipe_fds) == 0 && dup2(pipe_fds[1], STDERR_FILENO) >= 0);
    close(pipe_fds[1]);
    write_lines();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t n = read(pipe_fds[0], text, sizeof text - 1);
    close(pipe_fds[0]);
    text[n > 0 ? n : 0] = '\0';
    return (struct str){text, n > 0 ? (size_t)n : 0};
}

static void write_hostile(void)
{
    log_event(&cx, LOG_DEBUG, "never seen");
    log_event(&cx, LOG_WARN, "a \"quoted\" \\ name\nwith \x01 controls");
}

static void write_long(void)
{
    char text[5000];

    memset(text, '"', sizeof text);
    text[sizeof text - 1] = '\0';
    log_event(NULL, LOG_ERROR, "%s", text);
}

static void write_works(void)
{
    log_work(&cx, "request", STR("GET /"), ERR_OK, 200, 12);
    enum err e = fail(&cx, ERR_STOCK_SHORT, "menu %d", 7);
    log_work(&cx, "request", STR("POST /v1/orders"), e, 409, 34);
    log_work(&cx, "event", STR("order.paid"), ERR_INTERNAL, 0, 56);
    log_work(&cx, "GET", STR("-"), ERR_STARTING, 503, 78);
}

static void write_a_flood(void)
{
    int64_t until = now.virtual_us + 2 * US_PER_S;

    for (; now.virtual_us < until; now.virtual_us += US_PER_MS) {
        enum err full = fail(&cx, ERR_UNAVAILABLE, "disk is full");
        log_work(&cx, "POST", STR("/v1/orders"), full, 503, 9);
        log_work(&cx, "GET", STR("/v1/orders"), full, 503, 9);
    }
}

static void write_many_kinds(void)
{
    char name[20];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "kind %d", i);
        log_work(&cx, "event", str_from(name), ERR_INTERNAL, 0, 1);
    }
}

static void write_seldom(void)
{
    for (int i = 0; i < 100; i++) {
        log_seldom(&cx, LOG_ERROR, "order.db", "database %s: commit %d failed", "order.db", i);
        log_seldom(&cx, LOG_ERROR, "auth.db", "database %s: commit %d failed", "auth.db", i);
        log_seldom(&cx, LOG_DEBUG, "x", "never seen");
    }
}

static void write_each(void)
{
    for (int i = 0; i < 5; i++)
        log_work_each(&cx, "POST", STR("/v1/orders"), ERR_OK, 201, 9);
}

static size_t lines(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '\n';
    return n;
}

static void a_flood_is_a_line_a_second(void)
{
    fresh();
    log_configure(LOG_INFO, LOG_HUMAN);
    now.virtual_us = INT64_C(1796000900000000);
    struct str text = logged(write_a_flood);
    CHECK_INT(lines(text), 4); /* two kinds, two seconds */
    CHECK(strstr(text.p, "disk is full") && strstr(text.p, ", and 999 like it before"));
    now.virtual_us += US_PER_S;
    CHECK(lines(logged(write_many_kinds)) <= 64); /* bounded whatever comes */
    CHECK_INT(lines(logged(write_each)), 5);
    now.virtual_us += US_PER_S;
    CHECK_INT(lines(logged(write_seldom)), 2);
}

static void write_to_journal(void)
{
    char stream[64];
    struct stat st;

    CHECK_INT(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_configure(LOG_DEBUG, LOG_JSON);
    log_event(&cx, LOG_ERROR, "bad");
    log_event(&cx, LOG_WARN, "odd");
    log_configure(LOG_DEBUG, LOG_HUMAN);
    log_event(&cx, LOG_INFO, "done");
    log_event(&cx, LOG_DEBUG, "seen");
    write_long();
}

static void the_journal_hears_how_bad_it_is(void)
{
    static const char *const begins[] = {"<3>{\"at\":\"", "<4>{\"at\":\"", "<6>20", "<7>20",
                                         "<3>20"};

    fresh();
    struct str text = logged(write_to_journal), line;
    CHECK_INT(lines(text), COUNT_OF(begins));
    for (size_t i = 0; i < COUNT_OF(begins); i++) {
        (void)str_cut(text, '\n', &line, &text);
        CHECK(str_starts(line, str_from(begins[i])));
    }
    log_configure(LOG_INFO, LOG_HUMAN); /* of another stream now, whatever the variable says */
    CHECK(logged(write_works).p[0] == '2');
    unsetenv("JOURNAL_STREAM");
}

static void a_log_line_is_one_line(void)
{
    fresh();
    trace_continue(&cx, STR("00-" TRACE_ID "-" SPAN_ID "-01"));
    log_configure(LOG_INFO, LOG_JSON);
    struct str text = logged(write_hostile);
    CHECK_INT(lines(text), 1);
    CHECK(json_is_valid(text));
    CHECK(strstr(text.p, "\"level\":\"warn\"") && strstr(text.p, "\"traceId\":\"" TRACE_ID "\""));
    CHECK(strstr(text.p, "a \\\"quoted\\\" \\\\ name with") != NULL);
    text = logged(write_long);
    CHECK(lines(text) == 1 && json_is_valid(text));
    log_configure(LOG_DEBUG, LOG_HUMAN);
    text = logged(write_hostile);
    CHECK_INT(lines(text), 2);
    CHECK(strstr(text.p, "never seen") && strstr(text.p, "[" TRACE_ID "]"));
    text = logged(write_long);
    CHECK_INT(lines(text), 1);
    log_configure(LOG_INFO, LOG_HUMAN);
    text = logged(write_works);
    CHECK_INT(lines(text), 4);
    CHECK(strstr(text.p, "info  request GET / 200 12us") != NULL);
    CHECK(strstr(text.p, "STOCK_SHORT: menu 7 (") != NULL);
    CHECK(strstr(text.p, "error event order.paid") != NULL); /* ours, so an error */
    CHECK(strstr(text.p, "error request") == NULL);          /* theirs */
    CHECK(strstr(text.p, "info  GET - 503 78us STARTING") != NULL);
    log_configure(LOG_ERROR, LOG_HUMAN);
    now.virtual_us += US_PER_S; /* of the same kind, but not in the same second */
    CHECK_INT(lines(logged(write_works)), 1);
    log_configure(LOG_INFO, LOG_HUMAN);
}

static struct metric *depth;
static void refresh(void *arg)
{
    metric_set(depth, *(int *)arg);
}

static void *add_many(void *arg)
{
    for (int i = 0; i < 100000; i++)
        metric_add(arg, 1);
    return NULL;
}

static void metrics_add_up_and_print(void)
{
    struct metric *a = metric_get(METRIC_COUNTER, "test_total", "Tests.", "route", "a", "to", "x");
    struct metric *b = metric_get(METRIC_COUNTER, "test_total", "Tests.", "route", "b", "to", "x");
    struct metric *h =
        metric_get(METRIC_HISTOGRAM, "test_seconds", "Time.", NULL, NULL, NULL, NULL);
    pthread_t threads[4];
    int deep = 42;
    struct buf out;

    fresh();
    CHECK(a != b &&
          a == metric_get(METRIC_COUNTER, "test_total", "Tests.", "route", "a", "to", "x"));
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, add_many, a) == 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(metric_value(a), 400000);
    metric_add(b, 1);
    metric_observe_us(h, 500); /* a bound belongs to its own bucket */
    metric_observe_us(h, 501);
    metric_observe_us(h, 60 * US_PER_S);
    depth = metric_get(METRIC_GAUGE, "test_depth", "Depth.", NULL, NULL, NULL, NULL);
    metric_on_scrape(refresh, &deep);
    buf_init_arena(&out, &arena, 1 << 20);
    metrics_print(&out);
    metric_on_scrape(NULL, NULL);
    struct str text = buf_str(&out);
    static const char *const expected[] = {
        "# HELP test_total Tests.\n# TYPE test_total counter\n",
        "test_total{route=\"a\",to=\"x\"} 400000\n",
        "test_total{route=\"b\",to=\"x\"} 1\n",
        "# TYPE test_seconds histogram\n",
        "test_seconds_bucket{le=\"0.0005\"} 1\n",
        "test_seconds_bucket{le=\"0.001\"} 2\n",
        "test_seconds_bucket{le=\"10\"} 2\n",
        "test_seconds_bucket{le=\"+Inf\"} 3\n",
        "test_seconds_sum 60.001001\n",
        "test_seconds_count 3\n",
        "# TYPE test_depth gauge\ntest_depth 42\n",
    };
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        CHECK(str_find(text, str_from(expected[i])) != SIZE_MAX);
}

int main(void)
{
    arena_init(&arena, 64u << 20);
    RUN(a_traceparent_is_continued);
    RUN(a_malformed_traceparent_starts_anew);
    RUN(spans_nest_and_restore);
    RUN(spans_arrive_as_otlp);
    RUN(spans_that_cannot_be_sent_are_counted);
    RUN(a_log_line_is_one_line);
    RUN(the_journal_hears_how_bad_it_is);
    RUN(a_flood_is_a_line_a_second);
    RUN(metrics_add_up_and_print);
    arena_release(&arena);
    return test_end();
}
