/*
 * kafka.c -- the Kafka driver: topics and publishing.
 *
 * One idempotent producer per process. A batch is published when every record of it is in all
 * replicas' hands; when one is not in time, the producer refuses to go on with a gap (a record of
 * the same key might overtake it), is replaced by a new one, and the relay sends the whole batch
 * again: readers drop what they have seen.
 */
#include "bus/kafka.h"

#include "obs/log.h"

#include <time.h>

#define TOPIC_TIMEOUT_MS 10000
#define REPORTS_MS 100
#define SEGMENT_US US_PER_DAY
#define FULL_PAUSE_NS 5000000 /* the producer's queue is full */
#define CLOSE_MS 2000

static const struct kafka_setting producer_settings[] = {
    {"enable.idempotence", "true", "a retry inside the client neither doubles nor reorders"},
    {"acks", "all", "acknowledged means: in all in-sync replicas"},
    {"enable.gapless.guarantee", "true",
     "a record that timed out must not be overtaken by its key"},
    {"message.timeout.ms", "8000", "the relay's own patience; it sends again"},
    {"linger.ms", "0", "the relay sends whole batches already; waiting adds to every order"},
    {"queue.buffering.max.kbytes", "65536", "a process's memory has a maximum"},
    {"socket.nagle.disable", "true", "small requests go out at once"},
    {"reconnect.backoff.ms", "50", "a restarted broker is found soon"},
    {"reconnect.backoff.max.ms", "500", "and by all within half a second"},
    {"topic.metadata.refresh.interval.ms", "10000", "a moved leader is noticed"},
    {"log.connection.close", "false", "brokers close idle connections; that is no news"},
    {NULL, NULL, NULL},
};

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    log_event(NULL, level <= 3 ? LOG_WARN : LOG_INFO, "kafka %s: %s", facility, text);
}

enum err kafka_conf(struct ctx *cx, const struct kafka_bus *b, const struct kafka_setting *settings,
                    rd_kafka_conf_t **ret)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[200] = "";
    rd_kafka_conf_set_log_cb(conf, on_log); /* or it writes to stderr in a form of its own */
    bool ok = rd_kafka_conf_set(conf, "bootstrap.servers", b->brokers, why, sizeof why) ==
              RD_KAFKA_CONF_OK;

    ok = ok && rd_kafka_conf_set(conf, "client.id", "jumun", why, sizeof why) == RD_KAFKA_CONF_OK;
    ok = ok && kafka_conf_security(b, conf, why, sizeof why);
    for (const struct kafka_setting *s = settings; ok && s->name; s++)
        ok = rd_kafka_conf_set(conf, s->name, s->value, why, sizeof why) == RD_KAFKA_CONF_OK;
    if (!ok) {
        rd_kafka_conf_destroy(conf);
        return fail(cx, ERR_INVALID, "kafka: %s", why);
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    *ret = conf;
    return ERR_OK;
}

void kafka_topic_name(const struct kafka_bus *b, struct str topic, char out[KAFKA_NAME_SIZE])
{
    snprintf(out, KAFKA_NAME_SIZE, "%s%.*s", b->prefix, STR_ARG(topic));
}

struct str kafka_topic_of(const struct kafka_bus *b, const char *name)
{
    size_t n = strlen(b->prefix);

    return strncmp(name, b->prefix, n) == 0 ? str_from(name + n) : STR_NONE;
}

/* Who is told of a batch's records, one by one, by the thread of delivery reports. */
struct delivery {
    pthread_mutex_t mutex;
    pthread_cond_t all_told;
    size_t waiting;
    rd_kafka_resp_err_t failed;
};

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    struct delivery *d = m->_private;

    (void)rk, (void)arg;
    pthread_mutex_lock(&d->mutex);
    if (m->err && !d->failed)
        d->failed = m->err;
    if (--d->waiting == 0)
        pthread_cond_signal(&d->all_told);
    pthread_mutex_unlock(&d->mutex);
}

static enum err producer_new(struct ctx *cx, struct kafka_bus *b, rd_kafka_t **ret)
{
    rd_kafka_conf_t *conf = NULL;
    char why[200];

    TRY(kafka_conf(cx, b, producer_settings, &conf));
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    *ret = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (*ret)
        return ERR_OK;
    rd_kafka_conf_destroy(conf);
    return fail(cx, ERR_INVALID, "kafka: %s", why);
}

static void *reports_main(void *arg)
{
    struct kafka_bus *b = arg;

    while (!b->stop)
        rd_kafka_poll(b->producer, REPORTS_MS);
    return NULL;
}

/* The lock is held alone, or nobody else knows the bus yet. */
static enum err producer_start(struct ctx *cx, struct kafka_bus *b)
{
    TRY(producer_new(cx, b, &b->producer));
    b->stop = false;
    if (pthread_create(&b->reports, NULL, reports_main, b) == 0)
        return ERR_OK;
    rd_kafka_destroy(b->producer);
    b->producer = NULL;
    return fail(cx, ERR_UNAVAILABLE, "kafka: no thread for delivery reports");
}

static void producer_stop(struct kafka_bus *b)
{
    if (!b->producer)
        return;
    b->stop = true;
    pthread_join(b->reports, NULL);
    (void)rd_kafka_flush(b->producer, CLOSE_MS);
    rd_kafka_destroy(b->producer);
    b->producer = NULL;
}

/* Whoever finds the producer broken: nobody may be inside while it is replaced. */
static enum err producer_replace(struct ctx *cx, struct kafka_bus *b)
{
    char why[200];
    enum err e = ERR_OK;

    pthread_rwlock_wrlock(&b->lock);
    if (!b->producer || rd_kafka_fatal_error(b->producer, why, sizeof why)) {
        producer_stop(b);
        e = producer_start(cx, b);
    }
    pthread_rwlock_unlock(&b->lock);
    return e;
}

bool kafka_topic_create(const struct kafka_bus *b, rd_kafka_t *rk, const char *name,
                        const rd_kafka_AdminOptions_t *options, int timeout_ms, char why[200])
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, b->partitions, b->replicas, why, 200);
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR__TIMED_OUT;
    char keep[32];
    size_t n = 0;

    if (!topic) {
        rd_kafka_queue_destroy(queue);
        return false;
    }
    snprintf(keep, sizeof keep, "%lld", (long long)b->keep_hours * 3600 * 1000);
    (void)rd_kafka_NewTopic_set_config(topic, "retention.ms", keep);
    /* What is old goes by whole segments: a new one at least so often. */
    snprintf(keep, sizeof keep, "%lld", (long long)(SEGMENT_US / US_PER_MS));
    (void)rd_kafka_NewTopic_set_config(topic, "segment.ms", keep);
    (void)rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "delete");
    if (b->replicas > 2)
        (void)rd_kafka_NewTopic_set_config(topic, "min.insync.replicas", "2");
    rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, timeout_ms);
    if (answer) {
        e = rd_kafka_event_error(answer);
        const rd_kafka_CreateTopics_result_t *r = rd_kafka_event_CreateTopics_result(answer);
        const rd_kafka_topic_result_t **topics =
            r ? rd_kafka_CreateTopics_result_topics(r, &n) : NULL;
        if (!e && n == 1)
            e = rd_kafka_topic_result_error(topics[0]);
        rd_kafka_event_destroy(answer);
    }
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    snprintf(why, 200, "topic %s: %s", name, rd_kafka_err2str(e));
    return e == RD_KAFKA_RESP_ERR_NO_ERROR || e == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
}

bool kafka_topic_make(struct kafka_bus *b, rd_kafka_t *rk, const char *name, int timeout_ms,
                      char why[200])
{
    bool known = false;

    pthread_mutex_lock(&b->topics_mutex);
    for (int i = 0; i < b->n_topics; i++)
        known |= strcmp(b->topics[i], name) == 0;
    pthread_mutex_unlock(&b->topics_mutex);
    if (known)
        return true;
    if (!kafka_topic_create(b, rk, name, NULL, timeout_ms, why))
        return false;
    pthread_mutex_lock(&b->topics_mutex);
    if (b->n_topics < KAFKA_TOPICS_MAX)
        snprintf(b->topics[b->n_topics++], KAFKA_NAME_SIZE, "%s", name);
    pthread_mutex_unlock(&b->topics_mutex);
    return true;
}

static rd_kafka_resp_err_t produce(struct kafka_bus *b, const struct event *e, struct delivery *d)
{
    const struct timespec pause = {.tv_nsec = FULL_PAUSE_NS};
    char name[KAFKA_NAME_SIZE], key[UUID_TEXT_SIZE];
    rd_kafka_resp_err_t err;

    kafka_topic_name(b, e->source, name);
    struct str k = uuid_format(e->key, key);
    for (;;) {
        rd_kafka_headers_t *headers = kafka_headers(e);
        if (!headers)
            return RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
        /* Copied by the client: the casts take nothing away. */
        const rd_kafka_vu_t record[] = {
            {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = name},
            {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)k.p, k.n}},
            {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)e->data.p, e->data.n}},
            {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
            {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
            {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = d},
        };
        rd_kafka_error_t *problem = rd_kafka_produceva(b->producer, record, COUNT_OF(record));
        err = rd_kafka_error_code(problem); /* none of NULL */
        if (problem) {                      /* else the headers are the record's */
            rd_kafka_headers_destroy(headers);
            rd_kafka_error_destroy(problem);
        }
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return err;
        nanosleep(&pause, NULL);
    }
}

/* Sends all and waits for every report: d lives on our stack. */
static rd_kafka_resp_err_t send_all(struct kafka_bus *b, const struct event *events, size_t n)
{
    struct delivery d = {.waiting = n, .failed = RD_KAFKA_RESP_ERR_NO_ERROR};
    size_t sent = 0;

    pthread_mutex_init(&d.mutex, NULL);
    pthread_cond_init(&d.all_told, NULL);
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (; sent < n && !e; sent += !e)
        e = produce(b, &events[sent], &d);
    pthread_mutex_lock(&d.mutex);
    d.waiting -= n - sent;
    while (d.waiting > 0)
        pthread_cond_wait(&d.all_told, &d.mutex);
    if (!e)
        e = d.failed;
    pthread_mutex_unlock(&d.mutex);
    pthread_cond_destroy(&d.all_told);
    pthread_mutex_destroy(&d.mutex);
    return e;
}

static enum err kafka_publish(struct ctx *cx, struct bus *bus, const struct event *events, size_t n)
{
    struct kafka_bus *b = kafka_of(bus);
    char name[KAFKA_NAME_SIZE], why[200] = "";
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR__FATAL;
    bool broken = true;

    pthread_rwlock_rdlock(&b->lock);
    if (b->producer) {
        bool there = true;
        for (size_t i = 0; i < n && there; i++) {
            if (i > 0 && str_eq(events[i].source, events[i - 1].source))
                continue;
            kafka_topic_name(b, events[i].source, name);
            there = kafka_topic_make(b, b->producer, name, TOPIC_TIMEOUT_MS, why);
        }
        e = there ? send_all(b, events, n) : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
        if (there && e)
            snprintf(why, sizeof why, "%s", rd_kafka_err2str(e));
        broken = rd_kafka_fatal_error(b->producer, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    pthread_rwlock_unlock(&b->lock);
    if (broken)
        TRY(producer_replace(cx, b));
    return e ? fail(cx, ERR_UNAVAILABLE, "kafka: %s", why) : ERR_OK;
}

static void kafka_close(struct bus *bus)
{
    struct kafka_bus *b = kafka_of(bus);

    producer_stop(b);
    pthread_rwlock_destroy(&b->lock);
    pthread_mutex_destroy(&b->topics_mutex);
    free(b);
}

/* The broker need not be there yet: start order never matters. */
static enum err kafka_open(struct ctx *cx, const char *location, struct bus **ret)
{
    struct kafka_bus *b = calloc(1, sizeof(*b));

    if (!b)
        abort();
    b->base.driver = &bus_kafka;
    pthread_rwlock_init(&b->lock, NULL);
    pthread_mutex_init(&b->topics_mutex, NULL);
    enum err e = kafka_location_read(cx, b, location);
    if (e == ERR_OK)
        e = producer_start(cx, b);
    if (e != ERR_OK) {
        kafka_close(&b->base);
        return e;
    }
    *ret = &b->base;
    return ERR_OK;
}

static int64_t kafka_keeps_us(const struct bus *bus)
{
    return ((const struct kafka_bus *)bus)->keep_hours * US_PER_HOUR + SEGMENT_US;
}

const struct bus_driver bus_kafka = {
    .scheme = "kafka://",
    .shared = true,
    .keeps_us = kafka_keeps_us,
    .open = kafka_open,
    .close = kafka_close,
    .publish = kafka_publish,
    .subscribe = kafka_subscribe,
    .unsubscribe = kafka_unsubscribe,
    .poll = kafka_poll,
    .ack = kafka_ack,
    .rewind = kafka_rewind,
    .wake = kafka_wake,
    .behind = kafka_behind,
    .sweep = NULL,
    .syncs = NULL,
    .probe = kafka_probe,
};
