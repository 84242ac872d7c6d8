/*
 * trackers.c -- many follow one order live: trackers PUBLIC_PORT TOSS_PORT N
 *
 * Buys an order, opens N event streams of it, waits until each has its replay, says "open N", and
 * waits for a line on stdin. Then the owner accepts, and it prints how long it took until the event
 * had reached the first, half of them, and all.
 */
#include "shopper.h"

#include <sys/epoll.h>
#include <sys/resource.h>

#define GIVE_UP_US 30000000LL

static void note(enum step s, int64_t since_us)
{
    (void)s;
    (void)since_us;
}

struct tracker {
    int fd;
    int events; /* "event: " lines so far, split ones included */
    size_t matched;
};

static struct tracker *trackers;
static int epoll_fd, n_trackers;

static int64_t follow(struct tracker *t, const struct person *p)
{
    char request[3000];
    struct connection c = {.port = public_port};

    dial(&c);
    t->fd = c.fd;
    int n = snprintf(request, sizeof request,
                     "GET /v1/orders/%s/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                     "Authorization: Bearer %s\r\n\r\n",
                     p->order, p->token);
    if (write(t->fd, request, (size_t)n) != n)
        exit(1);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = t};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, t->fd, &e);
}

static void count_events(struct tracker *t, const char *p, size_t n)
{
    static const char wanted[] = "event: ";

    for (size_t i = 0; i < n; i++) {
        t->matched = p[i] == wanted[t->matched] ? t->matched + 1 : p[i] == wanted[0];
        if (t->matched == sizeof wanted - 1) {
            t->events++;
            t->matched = 0;
        }
    }
}

/* Reads until `enough` trackers have `least` events; when[]: the moment each of them had. */
static int wait_for(int least, int enough, int64_t *when)
{
    static char buffer[65536];
    struct epoll_event ready[256];
    int have = 0;
    int64_t until = now_us() + GIVE_UP_US;

    for (int i = 0; i < n_trackers; i++)
        have += trackers[i].events >= least;
    while (have < enough && now_us() < until) {
        int n = epoll_wait(epoll_fd, ready, 256, 1000);
        for (int i = 0; i < n; i++) {
            struct tracker *t = ready[i].data.ptr;
            bool had = t->events >= least;
            ssize_t got = read(t->fd, buffer, sizeof buffer);
            if (got <= 0) {
                fprintf(stderr, "a stream was closed\n");
                exit(1);
            }
            count_events(t, buffer, (size_t)got);
            if (!had && t->events >= least && have < n_trackers) {
                if (when)
                    when[have] = now_us();
                have++;
            }
        }
    }
    return have;
}

static void owner_accepts(const struct person *p)
{
    struct person owner = {.shop.port = public_port};
    char name[40], path[200];

    snprintf(name, sizeof name, "owner%d", (p->store - 1) % 3 + 1);
    dial(&owner.shop);
    sign_in_as(&owner, name);
    snprintf(path, sizeof path,
             "/v1/owner/stores/019b76da-a800-7005-8000-%04x00000000/orders/%s/accept", p->store,
             p->order);
    ask(&owner.shop, "POST", path, headers_of(&owner, false), "{\"minutes\":20}");
    if (owner.shop.status != 200) {
        fprintf(stderr, "accept: %d %s\n", owner.shop.status, owner.shop.body);
        exit(1);
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
    static struct person buyer = {.number = 1};
    int replayed = 4; /* PLACED, STOCK_RESERVED, PINNED, CAPTURED */

    if (argc != 4) {
        fprintf(stderr, "usage: trackers PUBLIC_PORT TOSS_PORT N\n");
        return 2;
    }
    buyer.shop.port = public_port = (int)strtol(argv[1], NULL, 10);
    buyer.window.port = toss_port = (int)strtol(argv[2], NULL, 10);
    n_trackers = (int)strtol(argv[3], NULL, 10);
    trackers = calloc((size_t)n_trackers, sizeof *trackers);
    int64_t *when = calloc((size_t)n_trackers, sizeof *when);
    raise_limit();
    epoll_fd = epoll_create1(0);
    dial(&buyer.shop);
    dial(&buyer.window);
    sign_in(&buyer);
    if (!trackers || !when || !add_to_cart(&buyer) || !buy(&buyer)) {
        fprintf(stderr, "no order: %d %s\n", buyer.shop.status, buyer.shop.body);
        return 1;
    }
    for (int i = 0; i < n_trackers; i++) {
        if (follow(&trackers[i], &buyer) != 0)
            return 1;
        if (i % 100 == 99)
            (void)wait_for(replayed, i + 1, NULL);
    }
    int open = wait_for(replayed, n_trackers, NULL);
    printf("open %d\n", open);
    fflush(stdout);
    (void)getchar();
    int64_t began = now_us();
    owner_accepts(&buyer);
    int64_t accepted = now_us();
    int reached = wait_for(replayed + 1, open, when);
    printf("reached %d first_ms %.1f half_ms %.1f all_ms %.1f accept_ms %.1f\n", reached,
           (double)(when[0] - accepted) / 1000, (double)(when[reached / 2] - accepted) / 1000,
           (double)(when[reached - 1] - accepted) / 1000, (double)(accepted - began) / 1000);
    return reached == n_trackers ? 0 : 1;
}
