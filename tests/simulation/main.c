/*
 * main.c -- runs seeds: simulation [--seeds N] [--from SEED] [--mutants] [--jobs N] [--verbose]
 *
 * A seed that finds something is printed with its problem; `--from SEED --seeds 1 --verbose` shows
 * its story.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "obs/log.h"

#define STEPS 190
#define SERVICES 6
#define CHUNK 10
#define CALM_ROUNDS 42
#define TRACED 10 /* this many seeds run twice: same seed, same trace */

static const char *const mutant_names[MUTANTS] = {
    "none",       "inbox-first",      "marked-early", "not-held", "refund-key",   "any-status",
    "not-pinned", "unknown-declined", "event-apart",  "no-timer", "applied-twice"};

static struct weather draw_weather(struct rng *r)
{
    return (struct weather){.favourite = (unsigned)rng_below(r, FAVOURITES),
                            .crash = (unsigned)rng_below(r, 6),
                            .fail = (unsigned)rng_below(r, 12),
                            .lost_before = (unsigned)rng_below(r, 35),
                            .lost_after = (unsigned)rng_below(r, 35),
                            .late = (unsigned)rng_below(r, 15),
                            .decline = (unsigned)rng_below(r, 30),
                            .jump = (unsigned)rng_below(r, 6)};
}

/* Mostly seconds; sometimes minutes; sometimes back. */
static void move_clock(struct sim *s)
{
    if (roll(s, s->weather.jump))
        s->clock.virtual_us += (int64_t)pick(s, 16) * US_PER_MIN;
    else if (roll(s, 2))
        s->clock.virtual_us -= (int64_t)pick(s, 40) * US_PER_S;
    else
        s->clock.virtual_us += (int64_t)pick(s, 1500) * US_PER_MS;
}

/* A burst of background work, in any order. */
static void turn(struct sim *s)
{
    for (unsigned i = 1 + pick(s, 12); i > 0; i--) {
        bool did = false;
        enum err e = platform_turn(s->p, pick(s, SERVICES), (int)pick(s, TURN_KINDS), &did);
        s->trace = s->trace * 1099511628211u ^ (uint64_t)e ^ (did ? 2u : 0u);
    }
}

static void step(struct sim *s)
{
    unsigned what = pick(s, 100);

    if (what < 40)
        people_act(s);
    else if (what < 97)
        turn(s);
    else
        deliver_late(s);
}

/* Until nobody has anything to do at this moment. */
static void quiet(struct sim *s)
{
    bool any = true;

    for (int round = 0; any && round < 300; round++) {
        any = false;
        for (size_t n = 0; n < SERVICES; n++)
            for (int kind = 0; kind < TURN_KINDS; kind++) {
                bool did = false;
                if (platform_turn(s->p, n, kind, &did) == ERR_OK)
                    any |= did && kind != TURN_JOBS;
            }
    }
}

static void converge(struct sim *s)
{
    s->calm = true;
    for (int round = 0; round < CALM_ROUNDS && !s->problem[0]; round++) {
        quiet(s);
        people_insist(s);
        quiet(s);
        s->clock.virtual_us += round < 12 ? US_PER_MIN : US_PER_HOUR;
    }
}

static void play(struct sim *s)
{
    world_start(s);
    for (s->steps = 0; s->steps < STEPS && !s->problem[0]; s->steps++) {
        if (sigsetjmp(s->crash, 0) == 0) {
            s->crash_allowed = true;
            step(s);
            s->crash_allowed = false;
        } else {
            world_crash(s);
        }
        move_clock(s);
        check_always(s);
    }
    if (!s->problem[0])
        converge(s);
    if (!s->problem[0])
        check_end(s);
    world_end(s);
}

/* Goes through a pipe at once: smaller than PIPE_BUF. */
struct totals {
    int crashes, fails, orders, captured, problems;
    struct point points[POINTS_MAX];
};
_Static_assert(sizeof(struct totals) <= 4096, "one write to a pipe");

static void add_points(struct totals *all, const struct point *from)
{
    for (; from->name[0]; from++) {
        struct point *to = all->points;
        while (to->name[0] && strcmp(to->name, from->name) != 0)
            to++;
        memcpy(to->name, from->name, sizeof to->name);
        to->passed += from->passed;
        to->died += from->died;
        to->failed += from->failed;
    }
}

static void print_points(const struct totals *t)
{
    printf("%-28s %10s %8s %8s\n", "fault point", "passed", "died", "failed");
    for (const struct point *p = t->points; p->name[0]; p++)
        printf("%-28s %10d %8d %8d\n", p->name, p->passed, p->died, p->failed);
}

static uint64_t run_seed(const char *root, uint64_t seed, bool verbose, struct totals *t)
{
    static struct sim s;

    memset(&s, 0, sizeof s);
    s.seed = seed;
    s.verbose = verbose;
    rng_seed(&s.rng, seed);
    s.weather = draw_weather(&s.rng);
    arena_init(&s.arena, 256u << 20);
    snprintf(s.root, sizeof s.root, "%s", root);
    for (unsigned i = 0; i < CUSTOMERS; i++)
        s.customers[i].id = demo_id(DEMO_CUSTOMER, i + 1, 0, 0);
    play(&s);
    t->crashes += s.crashes;
    t->fails += s.fails;
    t->orders += (int)s.n_told;
    t->captured += (int)s.paid;
    if (s.problem[0]) {
        t->problems++;
        printf("seed %llu: %s\n", (unsigned long long)seed, s.problem);
        fflush(stdout);
    }
    return s.trace;
}

static void run_chunk(const char *root, uint64_t from, uint64_t n, bool verbose, int pipe_fd)
{
    struct totals t = {0};

    for (uint64_t seed = from; seed < from + n; seed++) {
        uint64_t trace = run_seed(root, seed, verbose, &t);
        if (seed < TRACED && fault_mutant == MUTANT_NONE &&
            run_seed(root, seed, false, &t) != trace) {
            printf("seed %llu: two runs had different traces\n", (unsigned long long)seed);
            t.problems++;
        }
        if (t.problems && fault_mutant != MUTANT_NONE)
            break;
    }
    fflush(stdout);
    memcpy(t.points, world_points, sizeof t.points);
    if (write(pipe_fd, &t, sizeof t) != sizeof t)
        _exit(2);
    _exit(0);
}

/* Chunks of seeds in processes of their own: a crash leaves handles behind. */
static struct totals run_seeds(const char *root, uint64_t from, uint64_t n, int jobs, bool verbose)
{
    struct totals all = {0}, t;
    uint64_t next = from;
    int running = 0, status, ends[2];

    if (pipe(ends) != 0)
        exit(2);
    while (next < from + n || running > 0) {
        bool found_mutant = fault_mutant != MUTANT_NONE && all.problems > 0;
        if (next < from + n && running < jobs && !found_mutant) {
            uint64_t size = from + n - next < CHUNK ? from + n - next : CHUNK;
            fflush(stdout);
            if (fork() == 0)
                run_chunk(root, next, size, verbose, ends[1]);
            next += size;
            running++;
            continue;
        }
        if (running == 0)
            break;
        wait(&status);
        running--;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            printf("a run ended with status %d\n", status);
            all.problems++;
        } else if (read(ends[0], &t, sizeof t) == sizeof t) {
            all.crashes += t.crashes;
            all.fails += t.fails;
            all.orders += t.orders;
            all.captured += t.captured;
            all.problems += t.problems;
            add_points(&all, t.points);
        }
    }
    close(ends[0]);
    close(ends[1]);
    return all;
}

static int run_mutants(const char *root, uint64_t n, int jobs)
{
    int missed = 0;

    for (int m = MUTANT_NONE + 1; m < MUTANTS; m++) {
        fault_mutant = (enum mutant)m;
        printf("mutant %s: ", mutant_names[m]);
        struct totals t = run_seeds(root, 1, n, jobs, false);
        if (t.problems == 0) {
            printf("NOT CAUGHT in %llu seeds\n", (unsigned long long)n);
            missed++;
        }
    }
    printf("%d mutants caught, %d missed\n", MUTANTS - 1 - missed, missed);
    return missed ? 1 : 0;
}

int main(int argc, char **argv)
{
    char root[] = "/dev/shm/jumun-sim.XXXXXX";
    uint64_t seeds = 100, from = 0;
    bool verbose = false, mutants = false;
    int jobs = (int)sysconf(_SC_NPROCESSORS_ONLN), code;
    struct timespec began, ended;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc)
            seeds = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc)
            from = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
            jobs = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--mutants") == 0)
            mutants = true;
        else {
            fprintf(
                stderr,
                "usage: simulation [--seeds N] [--from SEED] [--jobs N] [--mutants] [--verbose]\n");
            return 2;
        }
    }
    log_configure(LOG_ERROR + 1, LOG_HUMAN);
    if (!mkdtemp(root))
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &began);
    if (fork() == 0) {
        world_template(root);
        _exit(0);
    }
    if (wait(&code) < 0 || code != 0)
        return 2;
    if (mutants) {
        code = run_mutants(root, seeds, jobs);
    } else {
        struct totals t = run_seeds(root, from, seeds, jobs, verbose);
        clock_gettime(CLOCK_MONOTONIC, &ended);
        printf("%llu seeds: %d orders, %d paid, %d crashes, %d failed calls, %d problems, %ld s\n",
               (unsigned long long)seeds, t.orders, t.captured, t.crashes, t.fails, t.problems,
               (long)(ended.tv_sec - began.tv_sec));
        print_points(&t);
        code = t.problems || t.crashes == 0 || t.captured == 0;
    }
    world_remove(root);
    return code;
}
