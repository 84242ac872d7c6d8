/* demo.c -- `jumun demo`: a lunch rush over real HTTP with a progress line, and a summary that
 * accounts for every won. */
#include "command/demo.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "command/databases.h"
#include "invariants.h"

static const char *const step_names[DEMO_STEPS] = {
    "fill the cart", "order (stock held)", "pay (captured)", "owner's action", "whole visit"};
static const char *const end_names[DEMO_ENDS] = {"completed", "cancelled", "rejected", "not over",
                                                 "not placed"};

static struct str url_of(struct ctx *cx, struct str listen)
{
    return arena_printf(cx->arena, "http://%.*s", STR_ARG(listen));
}

static enum err sign_in(struct ctx *cx, struct demo *d)
{
    for (int i = 0; i < DEMO_THREADS; i++)
        TRY(demo_login(cx, d, i == 0 ? "minji" : arena_printf(cx->arena, "customer%d", i + 1).p,
                       &d->customers[i]));
    for (int i = 0; i < 3; i++)
        TRY(demo_login(cx, d, arena_printf(cx->arena, "owner%d", i + 1).p, &d->owners[i]));
    return ERR_OK;
}

/* Order number i begins i / rate seconds after the start. */
static bool wait_for_turn(struct demo *d, int64_t i)
{
    int64_t due = d->began_us + i * US_PER_S / d->settings->rate, left;

    while (!d->stop && (left = due - clock_monotonic_us()) > 0) {
        int64_t step = left < 100 * US_PER_MS ? left : 100 * US_PER_MS;
        struct timespec t = {0, (long)(step * 1000)};
        nanosleep(&t, NULL);
    }
    return !d->stop;
}

struct worker {
    struct demo *d;
    int number;
    pthread_t thread;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct demo *d = w->d;
    struct arena arena;
    struct rng rng;

    arena_init(&arena, 64u << 20);
    rng_init(&rng);
    for (;;) {
        int64_t i = atomic_fetch_add(&d->next, 1);
        if ((!d->settings->watch && i >= d->settings->orders) || !wait_for_turn(d, i))
            break;
        struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
        demo_visit(&cx, d, w->number);
        d->done++;
        arena_reset(&arena);
    }
    arena_release(&arena);
    return NULL;
}

static void progress(struct demo *d)
{
    double seconds = (double)(clock_monotonic_us() - d->began_us) / US_PER_S;
    int64_t done = d->done, all = d->settings->orders;

    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%6.1f s  ", seconds);
    if (!d->settings->watch) {
        char bar[31];
        for (int i = 0; i < 30; i++)
            bar[i] = done * 30 > i * all ? '#' : '.';
        bar[30] = '\0';
        fprintf(stderr, "[%s] %lld/%lld  ", bar, (long long)done, (long long)all);
    }
    fprintf(stderr, "%5.1f/s  completed %lld  cancelled %lld  rejected %lld ",
            seconds > 0 ? (double)done / seconds : 0, (long long)d->ends[DEMO_COMPLETED],
            (long long)d->ends[DEMO_CANCELLED], (long long)d->ends[DEMO_REJECTED]);
    fflush(stderr);
}

static int by_size(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static void print_summary(struct demo *d)
{
    double seconds = (double)(clock_monotonic_us() - d->began_us) / US_PER_S;

    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
    printf("\n%lld visits in %.1f s (%.1f/s)\n\n", (long long)d->done, seconds,
           (double)d->done / seconds);
    for (int i = 0; i < DEMO_ENDS; i++)
        if (d->ends[i])
            printf("  %-20s %8lld\n", end_names[i], (long long)d->ends[i]);
    printf("  %-20s %8lld declined, %lld unknown at first, %lld refused by the owner\n",
           "on the way", (long long)d->declined, (long long)d->unknown, (long long)d->refused);
    printf("\n  %-20s %8s %8s\n", "step", "p50 ms", "p99 ms");
    for (int i = 0; i < DEMO_STEPS; i++) {
        size_t n = d->n_times[i];
        if (n == 0)
            continue;
        qsort(d->times_us[i], n, sizeof *d->times_us[i], by_size);
        int32_t p50_us = d->times_us[i][n / 2], p99_us = d->times_us[i][n * 99 / 100];
        printf("  %-20s %8.1f %8.1f\n", step_names[i], p50_us / 1000.0, p99_us / 1000.0);
    }
    printf("\n  %-20s %12lld won\n  %-20s %12lld won\n", "money in", (long long)d->won_in,
           "money back", (long long)d->won_back);
    if (d->problem[0])
        printf("\n  unexpected: %s\n", d->problem);
}

/* The same checks as `jumun doctor --audit`, when the databases can be reached from here. */
static int print_audit(struct ctx *cx, const struct settings *s)
{
    struct databases db;
    struct list findings = {NULL, 0};
    size_t checked = 0;

    enum err e = databases_open(cx, s, &db);
    if (e != ERR_OK)
        return command_failed(cx, "demo", e);
    if (!databases_get(&db, "order")) {
        databases_close(&db);
        printf("\n  audit: not here; run `jumun doctor --audit` where the data is (--data DIR)\n");
        return EXIT_DONE;
    }
    e = audit_settled(cx, &db, &findings, &checked);
    databases_close(&db);
    if (e != ERR_OK)
        return command_failed(cx, "demo", e);
    printf("\n  audit: %zu checks, %zu findings\n", checked, findings.n);
    for (size_t i = 0; i < findings.n; i++)
        printf("    %.*s\n", STR_ARG(audit_text(cx, LIST_AT(struct audit_finding, findings, i))));
    return findings.n ? EXIT_FAILED : EXIT_DONE;
}

static struct demo *interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted->stop = true;
}

static void run(struct demo *d)
{
    struct worker workers[DEMO_THREADS];
    int n = 0;

    d->began_us = clock_monotonic_us();
    for (; n < DEMO_THREADS; n++) {
        workers[n] = (struct worker){.d = d, .number = n};
        if (pthread_create(&workers[n].thread, NULL, work, &workers[n]) != 0)
            break;
    }
    while (!d->stop && (d->settings->watch || d->done < d->settings->orders)) {
        const struct timespec tick = {0, 200000000L};
        nanosleep(&tick, NULL);
        progress(d);
    }
    for (int i = 0; i < n; i++)
        pthread_join(workers[i].thread, NULL);
}

int command_demo(struct ctx *cx, const struct settings *s, struct list words)
{
    static struct demo d;

    (void)words;
    d = (struct demo){
        .settings = s, .public_url = url_of(cx, s->listen), .toss_url = url_of(cx, s->toss_listen)};
    if (s->toss_url.n)
        d.toss_url = s->toss_url;
    pthread_mutex_init(&d.lock, NULL);
    for (int i = 0; i < DEMO_STEPS; i++)
        d.times_us[i] = arena_array(cx->arena, DEMO_TIMES_MAX, sizeof *d.times_us[i]);
    enum err e = sign_in(cx, &d);
    if (e != ERR_OK)
        return command_failed(cx, "demo", e);
    interrupted = &d;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    run(&d);
    print_summary(&d);
    int code = print_audit(cx, s);
    http_clients_close();
    return d.problem[0] ? EXIT_FAILED : code;
}
