/* bus_server_test.c -- what a bus on a server must live through: the broker killed, stopped for a
 * while, frozen, while a relay publishes and a consumer reads. */
#include "test.h"

#include "bus/bus.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define KEYS 20
#define PER_KEY 100

/* Both set by tests/servers/kafka. CTL takes stop, kill, start, freeze and thaw. */
static const char *address, *ctl;
static char url[160];

struct work {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
};

static void work_init(struct work *w)
{
    memset(w, 0, sizeof(*w));
    arena_init(&w->arena, 64u << 20);
    rng_init(&w->rng);
    w->cx = (struct ctx){.arena = &w->arena, .clock = &clock_system, .rng = &w->rng};
}

static void control(const char *verb)
{
    char command[300];
    snprintf(command, sizeof(command), "%s %s >/dev/null 2>&1", ctl, verb);
    CHECK_INT(system(command), 0); /* NOLINT(cert-env33-c): our own wrapper */
}

struct tale {
    struct bus *bus;
    const char *topic;
    atomic_int published, failures; /* rounds; publishes that were sent again */
    atomic_bool over;
};

static struct uuid key_of(int i)
{
    struct uuid u = {{7}};
    u.b[15] = (unsigned char)i;
    return u;
}

/* As the relay does it: a batch again and again until it is acknowledged. */
static void *publish_main(void *arg)
{
    struct tale *s = arg;
    struct work w;
    struct event batch[KEYS];
    const struct timespec pause = {.tv_nsec = 10000000};

    work_init(&w);
    for (int n = 1; n <= PER_KEY; n++) {
        for (int k = 0; k < KEYS; k++)
            batch[k] = (struct event){.id = ctx_uuid(&w.cx),
                                      .type = STR("thing.changed"),
                                      .source = str_from(s->topic),
                                      .key = key_of(k),
                                      .sequence = n,
                                      .time_us = 1700000000000000,
                                      .data = STR("{}")};
        while (bus_publish(&w.cx, s->bus, batch, KEYS) != ERR_OK) {
            s->failures++;
            nanosleep(&pause, NULL);
        }
        s->published++;
        nanosleep(&pause, NULL);
        arena_reset(&w.arena);
    }
    arena_release(&w.arena);
    return NULL;
}

static int64_t from_start(void *arg, struct str topic, int partition)
{
    (void)arg, (void)topic, (void)partition;
    return BUS_FROM_START;
}

static void under_load(const char *topic, void (*harm)(void))
{
    struct tale s = {.topic = topic};
    struct bus_reader *r = NULL;
    struct work w;
    struct event got[64];
    pthread_t thread;
    int last[KEYS] = {0}, done = 0, gaps = 0, again = 0;

    work_init(&w);
    CHECK_INT(bus_open(&w.cx, url, &s.bus), ERR_OK);
    CHECK_INT(bus_subscribe(s.bus, "g", &topic, 1, from_start, NULL, &r), ERR_OK);
    CHECK_INT(pthread_create(&thread, NULL, publish_main, &s), 0);
    while (s.published < PER_KEY / 4)
        usleep(10000);
    harm();
    for (int64_t until = clock_monotonic_us() + 60 * US_PER_S;
         done < KEYS && clock_monotonic_us() < until;) {
        size_t n = 0;
        CHECK_INT(bus_poll(r, &w.arena, 100, got, COUNT_OF(got), &n), ERR_OK);
        for (size_t i = 0; i < n; i++) {
            int *at = &last[got[i].key.b[15]], sequence = (int)got[i].sequence;
            gaps += sequence > *at + 1;
            again += sequence <= *at;
            done += sequence == PER_KEY && *at < PER_KEY;
            *at = sequence > *at ? sequence : *at;
        }
        arena_reset(&w.arena);
    }
    pthread_join(thread, NULL);
    CHECK_INT(done, KEYS);
    CHECK_INT(gaps, 0);
    printf("# %s: %d batches sent again, %d events seen again\n", topic, (int)s.failures, again);
    bus_unsubscribe(r);
    bus_close(s.bus);
    arena_release(&w.arena);
}

static void killed(void)
{
    control("kill");
    control("start");
}

static void away_for_longer_than_a_record_waits(void)
{
    control("stop");
    sleep(11);
    control("start");
}

static void frozen(void)
{
    control("freeze");
    sleep(5);
    control("thaw");
}

static void harms(void)
{
    under_load("killed", killed);
    under_load("frozen", frozen);
    under_load("away", away_for_longer_than_a_record_waits);
}

/* Nobody there: no call waits for ever, and all goes on when the broker comes. */
static void late_broker(void)
{
    struct work w;
    struct bus *bus = NULL;
    struct bus_reader *r = NULL;
    const char *topic = "late";
    struct event e, got[4];
    size_t n = 0;

    control("stop");
    work_init(&w);
    CHECK_INT(bus_open(&w.cx, url, &bus), ERR_OK);
    CHECK_INT(bus_subscribe(bus, "late", &topic, 1, from_start, NULL, &r), ERR_OK);
    CHECK_INT(bus_poll(r, &w.arena, 10, got, 4, &n), ERR_OK);
    CHECK_INT(n, 0);
    e = (struct event){.id = ctx_uuid(&w.cx),
                       .type = STR("a.b"),
                       .source = STR("late"),
                       .key = key_of(1),
                       .sequence = 1,
                       .time_us = 1,
                       .data = STR("{}")};
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_UNAVAILABLE);
    control("start");
    for (int i = 0; i < 100 && bus_publish(&w.cx, bus, &e, 1) != ERR_OK; i++)
        usleep(100000);
    for (int i = 0; i < 200 && n == 0; i++)
        CHECK_INT(bus_poll(r, &w.arena, 100, got, 4, &n), ERR_OK);
    CHECK(n >= 1 && uuid_eq(got[0].id, e.id));
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}

int main(void)
{
    address = getenv("TEST_KAFKA");
    ctl = getenv("TEST_KAFKA_CTL");
    if (!address || !ctl) {
        printf("# no TEST_KAFKA: nothing to do here\n");
        return 0;
    }
    snprintf(url, sizeof(url), "kafka://%s?partitions=3&prefix=harm.", address);
    RUN(harms);
    RUN(late_broker);
    return test_end();
}
