/* bus_server_test.c -- what a bus on a server must be and live through: topics as stated; the
 * broker killed, stopped for a while, frozen, while a relay publishes and a consumer reads. */
#include "test.h"

#include "bus/bus.h"

#include <librdkafka/rdkafka.h>
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

struct refusal {
    int asked;
    bool over;
};

static int64_t refused(void *arg, struct str topic, int partition)
{
    struct refusal *f = arg;

    (void)topic, (void)partition;
    f->asked++;
    return f->over ? BUS_FROM_START : BUS_NOT_KNOWN;
}

/* A database that is away and says so at once: its reader waits, and goes on when it is back. */
static void unknown_starts_cost_nothing(void)
{
    struct work w;
    struct bus *bus = NULL;
    struct bus_reader *r = NULL;
    struct refusal f = {0};
    const char *topic = "refused";
    struct event got[4];
    size_t n = 0;
    int polls = 0;

    work_init(&w);
    CHECK_INT(bus_open(&w.cx, url, &bus), ERR_OK);
    struct event e = {.id = ctx_uuid(&w.cx),
                      .type = STR("a.b"),
                      .source = STR("refused"),
                      .key = key_of(1),
                      .sequence = 1,
                      .time_us = 1,
                      .data = STR("{}")};
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    CHECK_INT(bus_subscribe(bus, "refused", &topic, 1, refused, &f, &r), ERR_OK);
    for (int i = 0; i < 300 && f.asked == 0; i++)
        CHECK_INT(bus_poll(r, &w.arena, 100, got, 4, &n), ERR_OK);
    for (int64_t until = clock_monotonic_us() + US_PER_S; clock_monotonic_us() < until; polls++)
        CHECK_INT(bus_poll(r, &w.arena, 1000, got, 4, &n), ERR_OK);
    printf("# %d polls in a second, %d questions\n", polls, f.asked);
    CHECK(f.asked > 0 && polls > 2 && polls <= 12);
    int64_t before = clock_monotonic_us();
    CHECK_INT(bus_poll(r, &w.arena, 0, got, 4, &n), ERR_OK); /* who waits for nothing does not */
    CHECK(clock_monotonic_us() - before < 50 * US_PER_MS);
    f.over = true;
    for (int i = 0; i < 300 && n == 0; i++)
        CHECK_INT(bus_poll(r, &w.arena, 100, got, 4, &n), ERR_OK);
    CHECK(n == 1 && uuid_eq(got[0].id, e.id));
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}

static rd_kafka_t *client_of(rd_kafka_type_t type)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[200];

    CHECK(rd_kafka_conf_set(conf, "bootstrap.servers", address, why, sizeof why) ==
          RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
    if (!rk)
        abort();
    return rk;
}

/* The value of a topic's setting, as the broker has it. */
static struct str setting_of(struct arena *a, rd_kafka_t *rk, const char *topic, const char *name)
{
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    struct str value = STR_NONE;
    size_t n = 0;

    rd_kafka_DescribeConfigs(rk, &asked, 1, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, 10000);
    const rd_kafka_DescribeConfigs_result_t *r =
        answer ? rd_kafka_event_DescribeConfigs_result(answer) : NULL;
    const rd_kafka_ConfigResource_t **each =
        r ? rd_kafka_DescribeConfigs_result_resources(r, &n) : NULL;
    const rd_kafka_ConfigEntry_t **entries =
        n == 1 ? rd_kafka_ConfigResource_configs(each[0], &n) : NULL;
    for (size_t i = 0; entries && i < n; i++)
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), name) == 0)
            value = arena_copy(a, str_from(rd_kafka_ConfigEntry_value(entries[i])));
    if (answer)
        rd_kafka_event_destroy(answer);
    rd_kafka_ConfigResource_destroy(asked);
    rd_kafka_queue_destroy(queue);
    return value;
}

/* Whoever comes first, publisher or reader, makes a topic as the address says. */
static void topics_are_made_as_stated(void)
{
    const int replicas = strchr(address, ',') ? 3 : 1;
    const char *topic = "read", *const names[] = {"made.said", "made.read"};
    const struct rd_kafka_metadata *m = NULL;
    char made[200];
    struct work w;
    struct bus *bus = NULL;
    struct bus_reader *r = NULL;

    work_init(&w);
    snprintf(made, sizeof made, "kafka://%s?partitions=5&replicas=%d&keepHours=7&prefix=made.",
             address, replicas);
    CHECK_INT(bus_open(&w.cx, made, &bus), ERR_OK);
    CHECK_INT(bus_subscribe(bus, "g", &topic, 1, from_start, NULL, &r), ERR_OK);
    struct event e = {.id = ctx_uuid(&w.cx),
                      .type = STR("a.b"),
                      .source = STR("said"),
                      .key = key_of(1),
                      .sequence = 1,
                      .time_us = 1,
                      .data = STR("{}")};
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    rd_kafka_t *rk = client_of(RD_KAFKA_PRODUCER);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        rd_kafka_topic_t *t = rd_kafka_topic_new(rk, names[i], NULL);
        CHECK_INT(rd_kafka_metadata(rk, 0, t, &m, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
        CHECK_INT(m->topics[0].partition_cnt, 5);
        for (int k = 0; k < m->topics[0].partition_cnt; k++)
            CHECK_INT(m->topics[0].partitions[k].replica_cnt, replicas);
        rd_kafka_metadata_destroy(m);
        rd_kafka_topic_destroy(t);
        CHECK_STR(setting_of(&w.arena, rk, names[i], "retention.ms"), "25200000");
        CHECK_STR(setting_of(&w.arena, rk, names[i], "segment.ms"), "86400000");
        CHECK_STR(setting_of(&w.arena, rk, names[i], "cleanup.policy"), "delete");
        CHECK_STR(setting_of(&w.arena, rk, names[i], "min.insync.replicas"),
                  replicas > 2 ? "2" : "1");
    }
    rd_kafka_destroy(rk);
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}

/* A record of a machine whose clock is ahead: doctor says so, and says nothing of right ones. */
static void a_clock_that_is_ahead(void)
{
    static const char *const topics[] = {"clock", NULL};
    char ahead[200], data[] = "{}";
    struct work w;
    struct bus *bus = NULL;
    struct str is = STR_NONE;

    work_init(&w);
    snprintf(ahead, sizeof ahead, "kafka://%s?partitions=1&prefix=ahead.", address);
    CHECK_INT(bus_open(&w.cx, ahead, &bus), ERR_OK);
    struct event e = {.id = ctx_uuid(&w.cx),
                      .type = STR("a.b"),
                      .source = STR("clock"),
                      .key = key_of(1),
                      .sequence = 1,
                      .time_us = 1,
                      .data = STR("{}")};
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    CHECK_INT(bus_probe(&w.cx, ahead, topics, &is), ERR_OK);
    rd_kafka_t *rk = client_of(RD_KAFKA_PRODUCER);
    const rd_kafka_vu_t record[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = "ahead.clock"},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {data, 2}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = clock_now(&clock_system) / 1000 + 600000},
    };
    CHECK(rd_kafka_produceva(rk, record, COUNT_OF(record)) == NULL);
    CHECK_INT(rd_kafka_flush(rk, 10000), RD_KAFKA_RESP_ERR_NO_ERROR);
    CHECK_INT(bus_probe(&w.cx, ahead, topics, &is), ERR_UNAVAILABLE);
    CHECK(str_find(str_from(w.cx.story.detail), STR("ahead.clock has an event of 59")) != SIZE_MAX);
    rd_kafka_destroy(rk);
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
    RUN(topics_are_made_as_stated);
    RUN(a_clock_that_is_ahead);
    RUN(unknown_starts_cost_nothing);
    RUN(harms);
    RUN(late_broker);
    return test_end();
}
