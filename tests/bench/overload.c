/*
 * overload.c -- more orders than the platform can place: overload PUBLIC_PORT TOSS_PORT SECONDS
 *
 * Finds the peak with a closed loop, then sends three times as many by the clock, whether answers
 * come or not, then looks how long one customer alone waits until it is as quick as before. The
 * peak is found again at the end: the mean of both is what the good ones are compared with, since
 * a machine that others use has a different peak every few seconds. A time
 * counts from the moment a request was due, so that a late generator or a full socket is not
 * hidden. Good is 201 after `Prefer: wait=5`, shed is 503 with Retry-After; all else is a failure.
 */
#include "shopper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define CUSTOMERS 20
#define CALLS_MAX 6000
#define ANSWER_MAX 16384
#define SAMPLES_MAX 200000
#define CLOSED_LOOP 64
#define TIMES_PEAK 3
#define DRAIN_US 15000000LL
#define PATIENCE_US 20000000LL
#define LOOKS 20 /* orders of one customer alone whose median is the ordinary wait */
#define QUICK_IN_A_ROW 5

struct call {
    int fd; /* 0: none yet */
    bool busy;
    int64_t due_us;
    size_t n;
    char answer[ANSWER_MAX];
};

struct outcome {
    int64_t sent, good, shed, failed, unsent;
    size_t n_good, n_shed;
    int32_t good_us[SAMPLES_MAX], shed_us[SAMPLES_MAX];
};

static struct person people[CUSTOMERS];
static struct call calls[CALLS_MAX];
static int idle[CALLS_MAX], n_idle, n_calls, epoll_fd;

/* Steps of a paid order are not looked at here. */
static void note(enum step s, int64_t since_us)
{
    (void)s;
    (void)since_us;
}

static int by_size(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double part_ms(int32_t *samples, size_t n, int percent)
{
    if (n == 0)
        return 0;
    qsort(samples, n, sizeof *samples, by_size);
    return samples[n * (size_t)percent / 100] / 1000.0;
}

static void keep(int32_t *samples, size_t *n, int64_t us)
{
    if (*n < SAMPLES_MAX)
        samples[(*n)++] = (int32_t)us;
}

static bool open_call(struct call *c)
{
    struct connection plain = {.port = public_port};
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};

    dial(&plain);
    c->fd = plain.fd;
    return fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0 &&
           epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e) == 0;
}

static void close_call(struct call *c)
{
    close(c->fd);
    c->fd = 0;
}

/* Takes a call that is free, or a new one; false: all are waiting for their answers. */
static bool send_order(int64_t due_us, struct outcome *o)
{
    char request[4096], body[100];

    if (n_idle == 0 && n_calls == CALLS_MAX) {
        o->unsent++;
        return false;
    }
    struct call *c = &calls[n_idle > 0 ? idle[--n_idle] : n_calls++];
    struct person *p = &people[o->sent++ % CUSTOMERS];
    if (c->fd == 0 && !open_call(c)) {
        perror("open");
        exit(1);
    }
    snprintf(body, sizeof body, "{\"addressId\":\"019b76da-a800-7004-8000-%04x00000000\"}",
             p->number);
    int n = snprintf(request, sizeof request,
                     "POST /v1/orders HTTP/1.1\r\nHost: x\r\n%sContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     headers_of(p, true), strlen(body), body);
    c->busy = true;
    c->due_us = due_us;
    c->n = 0;
    if (write(c->fd, request, (size_t)n) != n) {
        o->failed++;
        close_call(c);
        c->busy = false;
        idle[n_idle++] = (int)(c - calls);
    }
    return true;
}

/* The length of a whole answer; 0: more is to come. */
static size_t whole(const struct call *c)
{
    const char *end = strstr(c->answer, "\r\n\r\n"),
               *length = strstr(c->answer, "Content-Length: ");

    if (!end)
        return 0;
    size_t want = (size_t)(end + 4 - c->answer) +
                  (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
    return c->n >= want ? want : 0;
}

static void count(struct call *c, struct outcome *o)
{
    int status = (int)strtol(c->answer + 9, NULL, 10);
    int64_t took = now_us() - c->due_us;

    if (status == 201) {
        o->good++;
        keep(o->good_us, &o->n_good, took);
    } else if (status == 503 && strstr(c->answer, "Retry-After: ")) {
        o->shed++;
        keep(o->shed_us, &o->n_shed, took);
    } else if (++o->failed < 4) {
        fprintf(stderr, "failed: %.500s\n", c->answer);
    }
}

static void receive(struct call *c, struct outcome *o)
{
    ssize_t got = read(c->fd, c->answer + c->n, sizeof c->answer - 1 - c->n);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got > 0) {
        c->n += (size_t)got;
        c->answer[c->n] = '\0';
        if (whole(c) == 0)
            return;
        count(c, o);
        if (strstr(c->answer, "Connection: close"))
            close_call(c);
    } else { /* closed by the platform, answered or not */
        close_call(c);
        if (!c->busy)
            return;
        o->failed++;
    }
    c->busy = false;
    idle[n_idle++] = (int)(c - calls);
}

static void receive_all(struct outcome *o, int wait_ms)
{
    struct epoll_event ready[256];
    int n = epoll_wait(epoll_fd, ready, 256, wait_ms);

    for (int i = 0; i < n; i++)
        receive(ready[i].data.ptr, o);
}

static int waiting(void)
{
    return n_calls - n_idle;
}

static void drain(struct outcome *o)
{
    int64_t until = now_us() + DRAIN_US;

    while (waiting() > 0 && now_us() < until)
        receive_all(o, 100);
    o->failed += waiting();
}

/* Of our own: it is taken from the machine that does the orders. */
static double cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Orders a second that are good with always so many under way: what the platform can do. */
static double peak(int seconds, struct outcome *o)
{
    int64_t began = now_us(), end = began + seconds * 1000000LL, good_before = o->good;

    while (now_us() < end) {
        while (waiting() < CLOSED_LOOP)
            (void)send_order(now_us(), o);
        receive_all(o, 10);
    }
    double per_second = (double)(o->good - good_before) / ((double)(now_us() - began) / 1e6);
    drain(o);
    return per_second;
}

/* By the clock; ret: the good ones a second while it lasted. */
static double flood(int seconds, double per_second, struct outcome *o)
{
    int64_t began = now_us(), end = began + seconds * 1000000LL, n = 0;

    for (int64_t now = began; now < end; now = now_us()) {
        int64_t due = began + (int64_t)((double)n * 1e6 / per_second);
        if (due <= now) {
            (void)send_order(due, o);
            n++;
            if (n % 8 != 0)
                continue;
        }
        receive_all(o, due <= now ? 0 : 1);
    }
    return (double)o->good / ((double)(now_us() - began) / 1e6);
}

/* One order of one customer; -1: it was not placed. */
static int32_t alone_us(void)
{
    struct person *p = &people[0];
    char body[100];
    int64_t since = now_us();

    snprintf(body, sizeof body, "{\"addressId\":\"019b76da-a800-7004-8000-%04x00000000\"}",
             p->number);
    ask(&p->shop, "POST", "/v1/orders", headers_of(p, true), body);
    return p->shop.status == 201 ? (int32_t)(now_us() - since) : -1;
}

static int32_t ordinary_us;
static double recovered_s = -1; /* never */

/* How long until so many orders in a row took at most twice what is ordinary. */
static void *look_on(void *arg)
{
    int64_t began = now_us(), first = began;

    for (int quick = 0; now_us() - began < PATIENCE_US; (void)usleep(10000)) {
        int64_t since = now_us();
        int32_t took = alone_us();
        if (took < 0 || took > 2 * ordinary_us) {
            quick = 0;
            continue;
        }
        if (quick++ == 0)
            first = since;
        if (quick == QUICK_IN_A_ROW) {
            recovered_s = (double)(first - began) / 1e6;
            break;
        }
    }
    return arg;
}

static void everybody_has_a_cart(void)
{
    for (int i = 0; i < CUSTOMERS; i++) {
        struct person *p = &people[i];
        *p = (struct person){.number = i + 1, .shop.port = public_port};
        dial(&p->shop);
        sign_in(p);
        if (!add_to_cart(p)) {
            fprintf(stderr, "no cart: %d %s\n", p->shop.status, p->shop.body);
            exit(1);
        }
    }
}

static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    static struct outcome at_peak, over;
    int32_t looks[LOOKS];

    if (argc != 4) {
        fprintf(stderr, "usage: overload PUBLIC_PORT TOSS_PORT SECONDS\n");
        return 2;
    }
    public_port = (int)strtol(argv[1], NULL, 10);
    toss_port = (int)strtol(argv[2], NULL, 10);
    int seconds = (int)strtol(argv[3], NULL, 10);
    raise_limit();
    epoll_fd = epoll_create1(0);
    everybody_has_a_cart();
    for (int i = 0; i < LOOKS; i++)
        if ((looks[i] = alone_us()) < 0)
            return 1;
    ordinary_us = (int32_t)(part_ms(looks, LOOKS, 50) * 1000);
    double best = peak(seconds, &at_peak);
    if (best < 1)
        return 1;
    double before = cpu_s(), good = flood(seconds, TIMES_PEAK * best, &over);
    double flood_cpu = (cpu_s() - before) * 100 / seconds;
    if (pthread_create(&people[0].thread, NULL, look_on, NULL) != 0)
        return 1;
    drain(&over); /* answers that are late are read meanwhile, or their times would be wrong */
    pthread_join(people[0].thread, NULL);
    double offered = TIMES_PEAK * best;
    before = cpu_s();
    best = (best + peak(seconds, &at_peak)) / 2;
    double peak_cpu = (cpu_s() - before) * 100 / seconds;
    printf("peak %.0f offered %.0f good %.0f part %.0f shed %lld failed %lld unsent %lld "
           "shed_p50 %.1f shed_p99 %.1f recovery_s %.2f "
           "peak_cpu %.0f flood_cpu %.0f\n",
           best, offered, good, good * 100 / best, (long long)over.shed,
           (long long)(over.failed + at_peak.failed), (long long)over.unsent,
           part_ms(over.shed_us, over.n_shed, 50), part_ms(over.shed_us, over.n_shed, 99),
           recovered_s, peak_cpu, flood_cpu);
    printf("%-28s p50 %7.2f ms   p99 %7.2f ms\n", "good ones at the peak",
           part_ms(at_peak.good_us, at_peak.n_good, 50),
           part_ms(at_peak.good_us, at_peak.n_good, 99));
    printf("%-28s p50 %7.2f ms   p99 %7.2f ms\n", "good ones while flooded",
           part_ms(over.good_us, over.n_good, 50), part_ms(over.good_us, over.n_good, 99));
    return 0;
}
