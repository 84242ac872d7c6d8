/* bus_test.c -- what every event bus driver must do, written against bus/bus.h only. */
#include "test.h"

#include "base/fault.h"
#include "bus/bus.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The drivers under test. TEST_KAFKA: address of a broker of its own (tests/servers/kafka). */
static const char *urls[3];
static const char *url;
static int topic_number; /* each test has its own topic */

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

static struct bus *open_bus(void)
{
    struct work w;
    struct bus *bus = NULL;
    work_init(&w);
    if (bus_open(&w.cx, url, &bus) != ERR_OK) {
        printf("Bail out! cannot open %s: %s\n", url, w.cx.story.detail);
        exit(1);
    }
    arena_release(&w.arena);
    return bus;
}

static const char *new_topic(char name[32])
{
    snprintf(name, 32, "topic%d", topic_number++);
    return name;
}

static struct event event_of(struct ctx *cx, const char *topic, struct uuid key, int64_t sequence)
{
    return (struct event){.id = ctx_uuid(cx),
                          .type = STR("thing.changed"),
                          .source = str_from(topic),
                          .key = key,
                          .sequence = sequence,
                          .time_us = 1700000000123456 + sequence,
                          .data = arena_printf(cx->arena, "{\"n\":%lld}", (long long)sequence)};
}

static struct uuid key_of(int i)
{
    struct uuid u = {{1}};
    memcpy(u.b + 8, &i, sizeof(i));
    return u;
}

static int64_t from_start(void *arg, struct str topic, int partition)
{
    (void)arg;
    (void)topic;
    (void)partition;
    return BUS_FROM_START;
}

static int64_t from_end(void *arg, struct str topic, int partition)
{
    (void)arg;
    (void)topic;
    (void)partition;
    return BUS_FROM_END;
}

static struct bus_reader *join(struct bus *bus, const char *group, const char *topic,
                               bus_start *start, void *arg)
{
    struct bus_reader *r = NULL;
    CHECK_INT(bus_subscribe(bus, group, &topic, 1, start, arg, &r), ERR_OK);
    return r;
}

/* Polls until `want` events came or half a minute passed. */
static size_t drain(struct bus_reader *r, struct arena *a, struct event *out, size_t want)
{
    size_t total = 0;
    for (int i = 0; i < 300 && total < want; i++) {
        size_t n = 0;
        if (bus_poll(r, a, 100, out + total, want - total, &n) != ERR_OK)
            break;
        total += n;
    }
    return total;
}

static void open_refuses(void)
{
    struct work w;
    struct bus *bus = NULL;
    work_init(&w);
    CHECK_INT(bus_open(&w.cx, "smoke://signals", &bus), ERR_INVALID);
    CHECK_INT(bus_open(&w.cx, "log:/tmp/x?colour=red", &bus), ERR_INVALID);
    CHECK_INT(bus_open(&w.cx, "log:/nonexistent/deep/dir", &bus), ERR_UNAVAILABLE);
    CHECK_INT(bus_open(&w.cx, "kafka://h:1?colour=red", &bus), ERR_INVALID);
    CHECK_INT(bus_open(&w.cx, "kafka://h:1?partitions=0", &bus), ERR_INVALID);
    CHECK_INT(bus_open(&w.cx, "kafka://?partitions=1", &bus), ERR_INVALID);
    CHECK_INT(bus_open(&w.cx, "kafka://h:1?security=sasl_ssl", &bus), ERR_INVALID);
    CHECK_INT(bus_open(&w.cx, "kafka://u:%4@h:1", &bus), ERR_INVALID);
    CHECK(bus == NULL);
    arena_release(&w.arena);
}

static void round_trip(void)
{
    struct work w;
    char topic[32];
    struct bus *bus = open_bus();
    work_init(&w);
    new_topic(topic);
    struct bus_reader *r = join(bus, "g", topic, from_start, NULL);
    struct event sent = event_of(&w.cx, topic, ctx_uuid(&w.cx), 1), got[4];
    sent.traceparent = STR("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    sent.data = STR("{\"name\":\"김밥\"}");
    size_t n = 9;

    CHECK_INT(bus_poll(r, &w.arena, 0, got, 4, &n), ERR_OK);
    CHECK_INT(n, 0);
    CHECK_INT(bus_publish(&w.cx, bus, &sent, 0), ERR_OK);
    CHECK_INT(bus_publish(&w.cx, bus, &sent, 1), ERR_OK);
    CHECK_INT(drain(r, &w.arena, got, 1), 1);
    CHECK(uuid_eq(got[0].id, sent.id) && uuid_eq(got[0].key, sent.key));
    CHECK_STR(got[0].type, "thing.changed");
    CHECK_STR(got[0].source, topic);
    CHECK_INT(got[0].sequence, 1);
    CHECK_INT(got[0].time_us, sent.time_us);
    CHECK(str_eq(got[0].traceparent, sent.traceparent));
    CHECK(str_eq(got[0].data, sent.data));
    CHECK(got[0].position >= 0);
    bus_ack(r, &got[0]);

    struct event none = event_of(&w.cx, topic, sent.key, 2);
    CHECK_INT(bus_publish(&w.cx, bus, &none, 1), ERR_OK);
    CHECK_INT(drain(r, &w.arena, got, 1), 1);
    CHECK(got[0].traceparent.n == 0);

    char *big = arena_alloc(&w.arena, BUS_EVENT_MAX + 1);
    memset(big, '1', BUS_EVENT_MAX + 1);
    none.data = (struct str){big, BUS_EVENT_MAX + 1};
    CHECK_INT(bus_publish(&w.cx, bus, &none, 1), ERR_TOO_LARGE);
    none.data.n--;
    CHECK_INT(bus_publish(&w.cx, bus, &none, 1), ERR_OK);
    CHECK_INT(drain(r, &w.arena, got, 1), 1);
    CHECK_INT(got[0].data.n, BUS_EVENT_MAX);
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}

/* The key's events from 1 to n, one after another. */
static void publish_run(struct work *w, struct bus *bus, const char *topic, struct uuid key, int n)
{
    for (int i = 1; i <= n; i++) {
        struct event e = event_of(&w->cx, topic, key, i);
        CHECK_INT(bus_publish(&w->cx, bus, &e, 1), ERR_OK);
    }
}

static void starting_points(void)
{
    struct work w;
    char topic[32];
    struct bus *bus = open_bus();
    struct event got[8];
    work_init(&w);
    new_topic(topic);
    struct uuid key = ctx_uuid(&w.cx);
    publish_run(&w, bus, topic, key, 3);
    struct bus_reader *all = join(bus, NULL, topic, from_start, NULL);
    struct bus_reader *end = join(bus, NULL, topic, from_end, NULL);
    size_t n = 9;
    CHECK_INT(bus_poll(end, &w.arena, 0, got, 8, &n), ERR_OK);
    CHECK_INT(n, 0);
    CHECK_INT(drain(all, &w.arena, got, 3), 3);
    CHECK(got[0].position < got[1].position && got[1].position < got[2].position);
    struct event e = event_of(&w.cx, topic, key, 4);
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    CHECK_INT(drain(end, &w.arena, got, 1), 1);
    CHECK_INT(got[0].sequence, 4);
    CHECK_INT(drain(all, &w.arena, got, 1), 1); /* without a group everybody gets everything */
    CHECK_INT(got[0].sequence, 4);
    bus_rewind(all); /* as after work that was lost: asks again where to begin */
    CHECK_INT(drain(all, &w.arena, got, 4), 4);
    CHECK_INT(got[0].sequence, 1);
    bus_rewind(end);
    CHECK_INT(bus_poll(end, &w.arena, 0, got, 8, &n), ERR_OK);
    CHECK_INT(n, 0);
    bus_unsubscribe(all);
    bus_unsubscribe(end);
    bus_close(bus);
    arena_release(&w.arena);
}

static struct bus_behind behind(struct bus_reader *r, const char *topic)
{
    struct bus_behind b = {-1, -1};
    CHECK(bus_behind(r, topic, &b));
    return b;
}

/* A database that does not say for a while how far it is. */
struct forgetful {
    int unknown; /* so many questions are not answered */
    struct event first;
};

static int64_t when_it_knows(void *arg, struct str topic, int partition)
{
    struct forgetful *f = arg;

    (void)topic;
    if (f->unknown > 0) {
        f->unknown--;
        return BUS_NOT_KNOWN;
    }
    return partition == f->first.partition ? f->first.position : BUS_FROM_START;
}

/* Nothing is read before it is known where to begin, at first and after lost work. */
static void unknown_starting_points(void)
{
    struct work w;
    char topic[32];
    struct bus *bus = open_bus();
    struct event got[8];
    struct forgetful f = {.unknown = 7};

    work_init(&w);
    new_topic(topic);
    struct uuid key = ctx_uuid(&w.cx);
    publish_run(&w, bus, topic, key, 5);
    struct bus_reader *all = join(bus, NULL, topic, from_start, NULL);
    CHECK_INT(drain(all, &w.arena, got, 5), 5);
    f.first = got[2];
    struct bus_reader *r = join(bus, "forgetful", topic, when_it_knows, &f);
    for (int round = 0; round < 2; round++) {
        CHECK_INT(drain(r, &w.arena, got, 3), 3);
        CHECK_INT(got[0].sequence, 3);
        CHECK_INT(f.unknown, 0);
        CHECK_INT(behind(r, topic).events, 3);
        f.unknown = 2;
        bus_rewind(r);
    }
    bus_unsubscribe(r);
    bus_unsubscribe(all);
    bus_close(bus);
    arena_release(&w.arena);
}

/* Exact at every moment: also of what nobody has fetched yet, and topic by topic. */
static void how_far_behind(void)
{
    struct work w;
    char names[2][32];
    const char *topics[2] = {new_topic(names[0]), new_topic(names[1])};
    struct bus *bus = open_bus();
    struct bus_reader *r = NULL;
    struct event sent[6], got[8];
    work_init(&w);
    CHECK_INT(bus_subscribe(bus, "behind", topics, 2, from_start, NULL, &r), ERR_OK);
    for (int i = 0; i < 6; i++) {
        sent[i] = event_of(&w.cx, topics[0], key_of(1), i + 1);
        sent[i].time_us = clock_now(&clock_system) + i;
    }
    CHECK_INT(bus_publish(&w.cx, bus, sent, 1), ERR_OK);
    CHECK_INT(drain(r, &w.arena, got, 1), 1);
    CHECK_INT(behind(r, topics[0]).events, 1);
    CHECK_INT(behind(r, topics[0]).oldest_us, sent[0].time_us);
    bus_ack(r, &got[0]);
    CHECK_INT(behind(r, topics[0]).events, 0);
    CHECK_INT(behind(r, topics[0]).oldest_us, 0);

    int64_t caught_up_us = clock_now(&clock_system);
    for (int i = 1; i < 6; i++)
        sent[i].time_us = clock_now(&clock_system) + i;
    CHECK_INT(bus_publish(&w.cx, bus, sent + 1, 5), ERR_OK);
    CHECK_INT(behind(r, topics[0]).events, 5);
    CHECK_INT(behind(r, topics[1]).events, 0);
    CHECK(behind(r, topics[0]).oldest_us > caught_up_us - US_PER_S);
    CHECK(behind(r, topics[0]).oldest_us <= sent[1].time_us);
    CHECK_INT(drain(r, &w.arena, got, 5), 5);
    CHECK_INT(behind(r, topics[0]).events, 5);
    CHECK_INT(behind(r, topics[0]).oldest_us, sent[1].time_us);
    bus_ack(r, &got[2]);
    CHECK_INT(behind(r, topics[0]).events, 2);
    CHECK(behind(r, topics[0]).oldest_us >= sent[3].time_us);
    CHECK(behind(r, topics[0]).oldest_us <= sent[4].time_us);
    bus_ack(r, &got[4]);
    CHECK_INT(behind(r, topics[0]).events, 0);
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}

static void *wake_later(void *arg)
{
    usleep(50000);
    bus_wake(arg);
    return NULL;
}

struct publisher {
    struct bus *bus;
    const char *topic;
};

static void *publish_later(void *arg)
{
    const struct publisher *p = arg;
    struct work w;
    work_init(&w);
    usleep(50000);
    struct event e = event_of(&w.cx, p->topic, ctx_uuid(&w.cx), 1);
    enum err failed = bus_publish(&w.cx, p->bus, &e, 1);
    arena_release(&w.arena);
    return failed ? arg : NULL;
}

static void waking(void)
{
    struct work w;
    char topic[32];
    struct bus *bus = open_bus();
    struct event got[2];
    pthread_t thread;
    size_t n = 0;
    void *failed = NULL;
    work_init(&w);
    new_topic(topic);
    struct bus_reader *r = join(bus, "g", topic, from_start, NULL);
    struct publisher p = {bus, topic};

    int64_t t0 = clock_monotonic_us();
    CHECK_INT(bus_poll(r, &w.arena, 60, got, 2, &n), ERR_OK);
    CHECK_INT(n, 0);
    CHECK(clock_monotonic_us() - t0 >= 50 * US_PER_MS);

    t0 = clock_monotonic_us();
    CHECK_INT(pthread_create(&thread, NULL, wake_later, r), 0);
    CHECK_INT(bus_poll(r, &w.arena, 20000, got, 2, &n), ERR_OK);
    CHECK_INT(n, 0);
    pthread_join(thread, NULL);
    CHECK_INT(pthread_create(&thread, NULL, publish_later, &p), 0);
    CHECK_INT(bus_poll(r, &w.arena, 20000, got, 2, &n), ERR_OK);
    CHECK_INT(n, 1);
    pthread_join(thread, &failed);
    CHECK(!failed);
    CHECK(clock_monotonic_us() - t0 < 15 * US_PER_S);
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}

/*
 * The whole life of a consumer group: 10,000 events of 1,000 keys over several topics, published by
 * four threads, applied by readers that come, go, and forget what they polled before they applied
 * it.
 */
#define KEYS 1000
#define PER_KEY 10
#define TOPICS 4
#define PARTITIONS_MAX 8
#define PUBLISHERS 4
#define READERS 4

static char story_topics[TOPICS][32];

/* What a consumer's database would hold: effect and next position change together. */
struct store {
    pthread_mutex_t mutex;
    int64_t sequence[KEYS];
    int64_t next[TOPICS][PARTITIONS_MAX];
    int applied, repeated, gaps;
};
static struct store store = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static int topic_index(struct str topic)
{
    for (int i = 0; i < TOPICS; i++)
        if (str_eq(topic, str_from(story_topics[i])))
            return i;
    return -1;
}

static int64_t from_store(void *arg, struct str topic, int partition)
{
    struct store *s = arg;
    pthread_mutex_lock(&s->mutex);
    int64_t next = s->next[topic_index(topic)][partition];
    pthread_mutex_unlock(&s->mutex);
    return next;
}

static void apply(struct store *s, const struct event *e)
{
    int key = 0;
    memcpy(&key, e->key.b + 8, sizeof(key));
    pthread_mutex_lock(&s->mutex);
    if (e->sequence <= s->sequence[key]) {
        s->repeated++; /* at least once */
    } else {
        s->gaps += e->sequence != s->sequence[key] + 1;
        s->sequence[key] = e->sequence;
        s->applied++;
    }
    int64_t *next = &s->next[topic_index(e->source)][e->partition];
    if (e->position + 1 > *next)
        *next = e->position + 1;
    pthread_mutex_unlock(&s->mutex);
}

struct story_thread {
    struct bus *bus;
    int number;
    atomic_int *failures;
    const atomic_bool *stop;
};

static void *story_publish(void *arg)
{
    const struct story_thread *t = arg;
    struct work w;
    struct event batch[25];
    work_init(&w);
    for (int sequence = 1; sequence <= PER_KEY; sequence++) {
        size_t n = 0;
        for (int key = t->number; key < KEYS; key += PUBLISHERS) {
            batch[n++] = event_of(&w.cx, story_topics[key % TOPICS], key_of(key), sequence);
            if (n < COUNT_OF(batch) && key + PUBLISHERS < KEYS)
                continue;
            if (bus_publish(&w.cx, t->bus, batch, n) != ERR_OK)
                atomic_fetch_add(t->failures, 1);
            n = 0;
            arena_reset(&w.arena);
        }
    }
    arena_release(&w.arena);
    return NULL;
}

static void *story_read(void *arg)
{
    const struct story_thread *t = arg;
    const char *topics[TOPICS];
    struct event got[64];
    struct work w;
    work_init(&w);
    for (int i = 0; i < TOPICS; i++)
        topics[i] = story_topics[i];
    while (!atomic_load(t->stop)) {
        struct bus_reader *r = NULL;
        if (bus_subscribe(t->bus, "story", topics, TOPICS, from_store, &store, &r) != ERR_OK)
            break;
        int rounds = 5 + (int)rng_below(&w.rng, 20);
        for (int i = 0; i < rounds && !atomic_load(t->stop); i++) {
            size_t n = 0;
            arena_reset(&w.arena);
            if (bus_poll(r, &w.arena, 20, got, COUNT_OF(got), &n) != ERR_OK)
                atomic_fetch_add(t->failures, 1);
            /* "Crashes" in the last round: what was polled is forgotten half way, and no ack. */
            size_t done = i + 1 == rounds ? n / 2 : n;
            for (size_t k = 0; k < done; k++)
                apply(&store, &got[k]);
            if (i + 1 < rounds && n > 0)
                bus_ack(r, &got[n - 1]);
        }
        bus_unsubscribe(r);
    }
    arena_release(&w.arena);
    return NULL;
}

static void order_and_completeness(void)
{
    struct bus *bus = open_bus();
    pthread_t publishers[PUBLISHERS], readers[READERS];
    struct story_thread parts[PUBLISHERS + READERS];
    atomic_int failures = 0;
    atomic_bool stop = false;
    bool complete = false;

    memset(store.sequence, 0, sizeof(store.sequence));
    memset(store.next, 0, sizeof(store.next));
    store.applied = store.repeated = store.gaps = 0;
    for (int i = 0; i < TOPICS; i++)
        new_topic(story_topics[i]);
    for (int i = 0; i < PUBLISHERS + READERS; i++) {
        parts[i] = (struct story_thread){bus, i, &failures, &stop};
        pthread_t *thread = i < PUBLISHERS ? &publishers[i] : &readers[i - PUBLISHERS];
        if (pthread_create(thread, NULL, i < PUBLISHERS ? story_publish : story_read, &parts[i]) !=
            0)
            abort();
    }
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(publishers[i], NULL);
    for (int i = 0; i < 6000 && !complete; i++) {
        usleep(10000);
        pthread_mutex_lock(&store.mutex);
        complete = store.applied >= KEYS * PER_KEY;
        pthread_mutex_unlock(&store.mutex);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    CHECK_INT(failures, 0);
    CHECK_INT(store.applied, KEYS * PER_KEY);
    CHECK_INT(store.gaps, 0);
    bus_close(bus);
}

static void members_share(void)
{
    struct work w;
    char names[2][32];
    const char *topics[2] = {new_topic(names[0]), new_topic(names[1])};
    struct bus *bus = open_bus();
    struct bus_reader *a = NULL, *b = NULL;
    struct event got[64];
    size_t from_a = 0, from_b = 0, n = 0;
    work_init(&w);
    CHECK_INT(bus_subscribe(bus, "share", topics, 2, from_start, NULL, &a), ERR_OK);
    CHECK_INT(bus_subscribe(bus, "share", topics, 2, from_start, NULL, &b), ERR_OK);
    /* Everybody polls before anything is there, until the topics have found their readers. */
    int rounds = strncmp(url, "log:", 4) == 0 ? 4 : 250;
    for (int i = 0; i < rounds; i++) {
        CHECK_INT(bus_poll(a, &w.arena, 10, got, 64, &n), ERR_OK);
        CHECK_INT(bus_poll(b, &w.arena, 10, got, 64, &n), ERR_OK);
    }
    for (int i = 0; i < 20; i++) {
        struct event e = event_of(&w.cx, topics[i % 2], ctx_uuid(&w.cx), 1);
        CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    }
    for (int i = 0; i < 200 && from_a + from_b < 20; i++) {
        CHECK_INT(bus_poll(a, &w.arena, 10, got, 64, &n), ERR_OK);
        from_a += n;
        CHECK_INT(bus_poll(b, &w.arena, 10, got, 64, &n), ERR_OK);
        from_b += n;
    }
    CHECK_INT(from_a + from_b, 20); /* each event went to one member only */
    CHECK(from_a > 0 && from_b > 0);
    bus_unsubscribe(a);
    for (int i = 0; i < 20; i++) {
        struct event e = event_of(&w.cx, topics[i % 2], ctx_uuid(&w.cx), 1);
        CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    }
    /* Who stays takes the other topic over, from where its start callback says: from its beginning.
     */
    CHECK_INT(drain(b, &w.arena, got, 30), 30);
    bus_unsubscribe(b);
    bus_close(bus);
    arena_release(&w.arena);
}

#ifdef JUMUN_FAULTS
static bool fail_named(void *arg, const char *name)
{
    return strcmp(name, arg) == 0;
}

static void failed_publishing(void)
{
    static char before[] = "bus.publish.before", after[] = "bus.publish.after",
                commit[] = "db.commit.before";
    struct work w;
    char topic[32];
    struct bus *bus = open_bus();
    struct event got[8];
    work_init(&w);
    new_topic(topic);
    struct bus_reader *r = join(bus, "g", topic, from_start, NULL);
    struct event e = event_of(&w.cx, topic, ctx_uuid(&w.cx), 1);

    fault_hook_set(fail_named, before);
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_UNAVAILABLE);
    fault_hook_set(fail_named, commit);
    if (strncmp(url, "log:", 4) == 0)
        CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_UNAVAILABLE);
    fault_hook_set(fail_named, after);
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_UNAVAILABLE); /* there, but nobody knows */
    fault_hook_set(NULL, NULL);
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    CHECK_INT(drain(r, &w.arena, got, 2), 2);
    CHECK(uuid_eq(got[0].id, got[1].id)); /* how readers notice */
    size_t n = 9;
    CHECK_INT(bus_poll(r, &w.arena, 20, got, 8, &n), ERR_OK);
    CHECK_INT(n, 0);
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}
#endif

/* Publishes until it is killed and says so each time it is told that the event is there. */
static int child(const char *child_url, const char *topic)
{
    struct work w;
    url = child_url;
    struct bus *bus = open_bus();
    work_init(&w);
    for (int i = 1;; i++) {
        struct event e = event_of(&w.cx, topic, key_of(1), i);
        if (bus_publish(&w.cx, bus, &e, 1) != ERR_OK || write(STDOUT_FILENO, ".", 1) != 1)
            return 1;
        arena_reset(&w.arena);
    }
}

static void kill_and_reopen(void)
{
    struct work w;
    char topic[32], self[] = "/proc/self/exe", flag[] = "--child", url_copy[128];
    struct event *got;
    int pipes[2];
    pid_t pid = 0;
    size_t acknowledged = 0;
    posix_spawn_file_actions_t actions;
    char c = 0;
    work_init(&w);
    new_topic(topic);
    snprintf(url_copy, sizeof(url_copy), "%s", url);
    char *argv[] = {self, flag, url_copy, topic, NULL};
    if (pipe(pipes) != 0)
        abort();
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    CHECK_INT(posix_spawn(&pid, self, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    while (acknowledged < 100 && read(pipes[0], &c, 1) == 1)
        acknowledged++;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (read(pipes[0], &c, 1) == 1)
        acknowledged++;
    close(pipes[0]);
    CHECK(acknowledged >= 100);

    struct bus *bus = open_bus();
    struct bus_reader *r = join(bus, "after", topic, from_start, NULL);
    got = arena_array(&w.arena, acknowledged + 1, sizeof(*got));
    CHECK_INT(drain(r, &w.arena, got, acknowledged), acknowledged);
    for (size_t i = 0; i < acknowledged; i++)
        CHECK(got[i].sequence == (int64_t)i + 1);
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}

/* Old events go once every known group has them; those that a group has not acknowledged stay. */
static void retention(void)
{
    if (strncmp(url, "log:", 4) != 0)
        return;
    struct work w;
    char topic[32];
    struct event got[16];
    struct bus *bus = open_bus();
    const struct bus_keep keep = {.keep_us = US_PER_HOUR};
    struct bus_swept swept;
    work_init(&w);
    new_topic(topic);
    struct bus_reader *r = join(bus, "slow", topic, from_start, NULL);
    for (int i = 1; i <= 10; i++) {
        struct event e = event_of(&w.cx, topic, key_of(1), i);
        CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    }
    CHECK_INT(drain(r, &w.arena, got, 10), 10);
    bus_ack(r, &got[6]);
    bus_unsubscribe(r);
    bus_close(bus);

    bus = open_bus();
    CHECK_INT(bus_sweep(&w.cx, bus, topic, &keep, &swept), ERR_OK);
    CHECK_INT(swept.rows, 7);
    CHECK_INT(bus_sweep(&w.cx, bus, topic, &keep, &swept), ERR_OK);
    CHECK_INT(swept.rows, 0); /* a restart is no acknowledgement */
    CHECK(!swept.more);
    r = join(bus, NULL, topic, from_start, NULL);
    CHECK_INT(drain(r, &w.arena, got, 3), 3);
    bus_unsubscribe(r);
    CHECK_INT(got[0].sequence, 8);
    /* Positions go on where they were, also when nothing of a topic is left. */
    int64_t last = got[2].position;
    struct event e = event_of(&w.cx, topic, key_of(1), 11);
    CHECK_INT(bus_publish(&w.cx, bus, &e, 1), ERR_OK);
    r = join(bus, "slow", topic, NULL, NULL); /* no callback: from the stored position */
    CHECK_INT(drain(r, &w.arena, got, 4), 4);
    CHECK_INT(got[0].sequence, 8);
    CHECK(got[3].position > last);
    bus_unsubscribe(r);
    bus_close(bus);
    arena_release(&w.arena);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        return child(argv[2], argv[3]);
    static char dir[] = "/tmp/jumun-bus-test-XXXXXX", log_url[64], kafka_url[128];
    if (!mkdtemp(dir))
        return 1;
    snprintf(log_url, sizeof(log_url), "log:%s", dir);
    urls[0] = log_url;
    if (getenv("TEST_KAFKA")) {
        snprintf(kafka_url, sizeof(kafka_url), "kafka://%s?partitions=4&prefix=test%d.",
                 getenv("TEST_KAFKA"), (int)getpid());
        urls[1] = kafka_url;
    } else {
        printf("# no TEST_KAFKA: the Kafka driver is not tested here\n");
    }
    for (size_t i = 0; urls[i]; i++) {
        url = urls[i];
        RUN(open_refuses);
        RUN(round_trip);
        RUN(starting_points);
        RUN(unknown_starting_points);
        RUN(how_far_behind);
        RUN(waking);
        RUN(members_share);
        RUN(order_and_completeness);
#ifdef JUMUN_FAULTS
        RUN(failed_publishing);
#endif
        RUN(kill_and_reopen);
        RUN(retention);
    }
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return test_end();
}
