/*
 * load.c -- a cheap closed-loop load: load PUBLIC_PORT TOSS_PORT MODE SECONDS THREADS PID
 *
 * Modes: cart (durable cart adds), order (cart, order, window, confirm; until the order is PAID),
 * alone (as order, one thread). One blocking keep-alive connection per thread, demo customers, JSON
 * found by searching: the generator shares the cores with what it measures. Prints the CPU that
 * process PID used after everybody had signed in, and one line of figures per step.
 */
#include "shopper.h"

#define THREADS_MAX 20
#define SAMPLES_MAX 200000

static bool only_cart;
static int64_t end_us;
static _Atomic int64_t done, failures;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int32_t samples[STEPS][SAMPLES_MAX];
static size_t n_samples[STEPS];

static void note(enum step s, int64_t since_us)
{
    pthread_mutex_lock(&lock);
    if (n_samples[s] < SAMPLES_MAX)
        samples[s][n_samples[s]++] = (int32_t)(now_us() - since_us);
    pthread_mutex_unlock(&lock);
}

/* User and system time of all its threads so far, in milliseconds (fields 14 and 15 of stat). */
static double cpu_ms(const char *pid)
{
    char path[64], line[2048];
    unsigned long user = 0, system = 0;

    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof line, f) || !strrchr(line, ')') ||
        sscanf(strrchr(line, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
               &user, &system) != 2) {
        fprintf(stderr, "no process %s\n", pid);
        exit(1);
    }
    fclose(f);
    return (double)(user + system) * 1000 / (double)sysconf(_SC_CLK_TCK);
}

static void *live(void *arg)
{
    struct person *p = arg;

    while (now_us() < end_us) {
        bool ok = add_to_cart(p);
        if (ok && !only_cart)
            ok = buy(p);
        if (ok)
            done++;
        else if (++failures < 4)
            fprintf(stderr, "failed: %d %.300s\n", p->shop.status, p->shop.body);
    }
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

int main(int argc, char **argv)
{
    static struct person people[THREADS_MAX];

    if (argc != 7) {
        fprintf(stderr, "usage: load PUBLIC_PORT TOSS_PORT cart|order SECONDS THREADS PID\n");
        return 2;
    }
    public_port = (int)strtol(argv[1], NULL, 10);
    toss_port = (int)strtol(argv[2], NULL, 10);
    only_cart = strcmp(argv[3], "cart") == 0;
    int seconds = (int)strtol(argv[4], NULL, 10), n = (int)strtol(argv[5], NULL, 10);
    n = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
    for (int i = 0; i < n; i++) {
        people[i] =
            (struct person){.number = i + 1, .shop.port = public_port, .window.port = toss_port};
        dial(&people[i].shop);
        dial(&people[i].window);
        sign_in(&people[i]);
    }
    double cpu = cpu_ms(argv[6]);
    int64_t began = now_us();
    end_us = began + seconds * 1000000LL;
    for (int i = 0; i < n; i++)
        pthread_create(&people[i].thread, NULL, live, &people[i]);
    for (int i = 0; i < n; i++)
        pthread_join(people[i].thread, NULL);
    double took = (double)(now_us() - began) / 1e6;
    printf("done %lld failed %lld per_second %.0f cpu_ms_each %.3f\n", (long long)done,
           (long long)failures, (double)done / took,
           (cpu_ms(argv[6]) - cpu) / (double)(done ? done : 1));
    for (int s = 0; s < STEPS; s++) {
        if (n_samples[s] == 0)
            continue;
        qsort(samples[s], n_samples[s], sizeof samples[s][0], by_size);
        printf("%-28s p50 %7.2f ms   p99 %7.2f ms\n", step_names[s],
               samples[s][n_samples[s] / 2] / 1000.0, samples[s][n_samples[s] * 99 / 100] / 1000.0);
    }
    return done == 0;
}
