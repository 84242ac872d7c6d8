/*
 * kafka_reader.c -- reading topics: as a member of a group, or everything.
 *
 * The database that holds the effects says where a partition begins (`start`); what the broker
 * keeps is a hint for its own lag figures. Positions are Kafka's offsets. Partitions come and go
 * inside bus_poll, in the reader's own thread. Some polled records may be of a partition that went
 * away meanwhile: then the whole poll is taken back, since its new owner reads them too.
 */
#include "bus/kafka.h"

#include <unistd.h>

#include "obs/log.h"
#include "obs/metrics.h"

#define ASK_MS 5000            /* one question to the broker */
#define JOIN_AGAIN_US US_PER_S /* topics could not be made: the broker is away */
#define START_AGAIN_MS 100     /* the database refused to say where to go on */
#define BATCH_BYTES (4u * 1024 * 1024)
/* How far behind we are is asked for by whoever looks at metrics, and they wait for it. */
#define END_MS 500
#define END_AGAIN_MS 100 /* it did not answer the last time */

static const struct kafka_setting reader_settings[] = {
    {"enable.auto.offset.store", "false", "only what was applied is told to the broker"},
    {"enable.auto.commit", "true", "and that only now and then: it is a hint"},
    {"auto.offset.reset", "earliest", "a position that retention has passed: the oldest there is"},
    {"partition.assignment.strategy", "roundrobin",
     "cooperative-sticky of librdkafka before 2.3 aborts when its leader leaves too early"},
    {"session.timeout.ms", "10000", "a dead member's partitions go on after that"},
    {"heartbeat.interval.ms", "1000", "members learn of a rebalance within a second"},
    {"fetch.wait.max.ms", "100", "other questions wait behind a fetch that has no news"},
    {"fetch.error.backoff.ms", "5", "a moved leader costs little"},
    {"queued.max.messages.kbytes", "8192", "a process's memory has a maximum"},
    {"fetch.message.max.bytes", "524288", "twice the largest event; more at once is only memory"},
    {"socket.nagle.disable", "true", "small requests go out at once"},
    {"reconnect.backoff.ms", "50", "a restarted broker is found soon"},
    {"reconnect.backoff.max.ms", "500", "and by all within half a second"},
    {"topic.metadata.refresh.interval.ms", "10000", "a moved leader is noticed"},
    {"allow.auto.create.topics", "false", "topics are made with stated partitions only"},
    {"log.connection.close", "false", "brokers close idle connections; that is no news"},
    {NULL, NULL, NULL},
};

/* What is known of the events of a partition that are not applied yet. */
struct place {
    int64_t next_us;      /* when the first of them was said; 0: it has not been read yet */
    int64_t applied_us;   /* when the last one before them was said */
    int64_t caught_up_us; /* when there were none, or the partition became ours */
};

struct kafka_reader {
    struct bus_reader base;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    bool in_group, joined;
    int64_t join_again_us;
    bool moved; /* partitions went away during this poll */
    bool lost;  /* the place in the log: found again by the next poll */
    bus_start *start;
    void *arg;
    struct metric *bad;
    pthread_mutex_t mutex;
    /* What is ours, or was until it is known what is now, and up to where it is applied; each with
     * its struct place. */
    rd_kafka_topic_partition_list_t *applied;
    int end_ms;
    int n_topics;
    char topics[KAFKA_TOPICS_MAX][KAFKA_NAME_SIZE];
};

static struct kafka_reader *reader_of(struct bus_reader *r)
{
    return (struct kafka_reader *)r;
}

static const struct kafka_bus *bus_of(const struct kafka_reader *r)
{
    return (const struct kafka_bus *)r->base.bus;
}

/* Writes into each element where its partition begins; where that is not known now, about there. */
static bool ask_starts(struct kafka_reader *r, rd_kafka_topic_partition_list_t *list)
{
    bool ok = true;

    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *p = &list->elems[i];
        int64_t low = 0, high = 0;
        int64_t at = r->start(r->arg, kafka_topic_of(bus_of(r), p->topic), p->partition);
        if (at == BUS_FROM_END) {
            ok &= rd_kafka_query_watermark_offsets(r->rk, p->topic, p->partition, &low, &high,
                                                   ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
            at = high;
        } else if (at == BUS_NOT_KNOWN) {
            at = RD_KAFKA_OFFSET_STORED;
            ok = false;
        }
        p->offset = at;
    }
    return ok;
}

static void forget_applied(struct kafka_reader *r)
{
    for (int i = 0; i < r->applied->cnt; i++)
        free(r->applied->elems[i].opaque);
    rd_kafka_topic_partition_list_destroy(r->applied);
}

static void note_applied(struct kafka_reader *r, const rd_kafka_topic_partition_list_t *list)
{
    pthread_mutex_lock(&r->mutex);
    forget_applied(r);
    r->applied = rd_kafka_topic_partition_list_copy(list);
    for (int i = 0; i < r->applied->cnt; i++) {
        struct place *place = calloc(1, sizeof *place);
        if (!place)
            abort();
        place->caught_up_us = clock_now(&clock_system);
        r->applied->elems[i].opaque = place;
    }
    pthread_mutex_unlock(&r->mutex);
}

static void note_read(struct kafka_reader *r, const struct event *events, size_t n)
{
    char name[KAFKA_NAME_SIZE];

    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < n; i++) {
        kafka_topic_name(bus_of(r), events[i].source, name);
        const rd_kafka_topic_partition_t *p =
            rd_kafka_topic_partition_list_find(r->applied, name, events[i].partition);
        if (p && p->offset == events[i].position)
            ((struct place *)p->opaque)->next_us = events[i].time_us;
    }
    pthread_mutex_unlock(&r->mutex);
}

/* Everything is taken away before a new share is given. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t e,
                         rd_kafka_topic_partition_list_t *list, void *arg)
{
    struct kafka_reader *r = arg;
    bool given = e == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;

    if (given)
        r->lost |= !ask_starts(r, list);
    else
        r->moved = true;
    if (given) /* else what was ours is behind as before, until we hear what is ours now */
        note_applied(r, list);
    e = rd_kafka_assign(rk, given ? list : NULL);
    if (e)
        log_event(NULL, LOG_WARN, "kafka rebalance: %s", rd_kafka_err2str(e));
}

static bool make_topics(struct kafka_reader *r)
{
    char why[200];

    for (int i = 0; i < r->n_topics; i++)
        if (!kafka_topic_make(kafka_of(r->base.bus), r->rk, r->topics[i], ASK_MS, why)) {
            log_event(NULL, LOG_WARN, "kafka: %s", why);
            return false;
        }
    return true;
}

/* All partitions of all topics, for a reader without a group. NULL: not known now. */
static rd_kafka_topic_partition_list_t *all_partitions(struct kafka_reader *r)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    bool ok = true;

    for (int i = 0; i < r->n_topics && ok; i++) {
        const struct rd_kafka_metadata *m = NULL;
        rd_kafka_topic_t *t = rd_kafka_topic_new(r->rk, r->topics[i], NULL);
        ok = t && rd_kafka_metadata(r->rk, 0, t, &m, ASK_MS) == RD_KAFKA_RESP_ERR_NO_ERROR;
        ok = ok && m->topic_cnt == 1 && m->topics[0].partition_cnt > 0;
        for (int k = 0; ok && k < m->topics[0].partition_cnt; k++)
            rd_kafka_topic_partition_list_add(list, r->topics[i], k);
        if (m)
            rd_kafka_metadata_destroy(m);
        if (t)
            rd_kafka_topic_destroy(t);
    }
    if (ok && ask_starts(r, list))
        return list;
    rd_kafka_topic_partition_list_destroy(list);
    return NULL;
}

/* Topics first: who subscribes to one that is not there hears of it late. */
static bool join(struct kafka_reader *r)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t e;

    if (!make_topics(r))
        return false;
    if (r->in_group) {
        list = rd_kafka_topic_partition_list_new(r->n_topics);
        for (int i = 0; i < r->n_topics; i++)
            rd_kafka_topic_partition_list_add(list, r->topics[i], RD_KAFKA_PARTITION_UA);
        e = rd_kafka_subscribe(r->rk, list);
    } else {
        list = all_partitions(r);
        if (!list)
            return false;
        note_applied(r, list);
        e = rd_kafka_assign(r->rk, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return e == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static enum err client_new(struct ctx *cx, struct kafka_reader *r, const char *group)
{
    const struct kafka_bus *b = bus_of(r);
    rd_kafka_conf_t *conf = NULL;
    char why[200], name[KAFKA_NAME_SIZE];

    TRY(kafka_conf(cx, b, reader_settings, &conf));
    snprintf(name, sizeof name, "%s%s", b->prefix, group ? group : "everything");
    if (rd_kafka_conf_set(conf, "group.id", name, why, sizeof why) != RD_KAFKA_CONF_OK ||
        (!group && rd_kafka_conf_set(conf, "enable.auto.commit", "false", why, sizeof why) !=
                       RD_KAFKA_CONF_OK)) {
        rd_kafka_conf_destroy(conf);
        return fail(cx, ERR_INVALID, "kafka: %s", why);
    }
    rd_kafka_conf_set_opaque(conf, r);
    if (group)
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    r->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!r->rk) {
        rd_kafka_conf_destroy(conf);
        return fail(cx, ERR_INVALID, "kafka: %s", why);
    }
    (void)rd_kafka_poll_set_consumer(r->rk);
    r->queue = rd_kafka_queue_get_consumer(r->rk);
    return ERR_OK;
}

enum err kafka_subscribe(struct bus *bus, const char *group, const char *const *topics, size_t n,
                         bus_start *start, void *arg, struct bus_reader **ret)
{
    struct kafka_reader *r = calloc(1, sizeof(*r));
    struct arena arena;
    struct ctx cx = {.arena = &arena, .clock = &clock_system};

    if (!r)
        abort();
    assert(n <= KAFKA_TOPICS_MAX);
    r->base.bus = bus;
    r->in_group = group != NULL;
    r->start = start;
    r->arg = arg;
    r->bad = metric_get(METRIC_COUNTER, "jumun_bus_bad_records_total",
                        "Records that are no events and were passed over.", NULL, NULL, NULL, NULL);
    for (size_t i = 0; i < n; i++)
        kafka_topic_name(bus_of(r), str_from(topics[i]), r->topics[r->n_topics++]);
    arena_init(&arena, 64 * 1024);
    enum err e = client_new(&cx, r, group);
    arena_release(&arena);
    if (e != ERR_OK) {
        free(r);
        return e;
    }
    pthread_mutex_init(&r->mutex, NULL);
    r->applied = rd_kafka_topic_partition_list_new(0);
    r->end_ms = END_MS;
    r->joined = join(r);
    *ret = &r->base;
    return ERR_OK;
}

void kafka_unsubscribe(struct bus_reader *base)
{
    struct kafka_reader *r = reader_of(base);

    (void)rd_kafka_consumer_close(r->rk); /* leaves the group at once */
    rd_kafka_queue_destroy(r->queue);
    rd_kafka_destroy(r->rk);
    forget_applied(r);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

/* Up to there they are applied. */
static void note_starts(struct kafka_reader *r, const rd_kafka_topic_partition_list_t *list)
{
    pthread_mutex_lock(&r->mutex);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *p = rd_kafka_topic_partition_list_find(
            r->applied, list->elems[i].topic, list->elems[i].partition);
        if (p)
            p->offset = list->elems[i].offset;
    }
    pthread_mutex_unlock(&r->mutex);
}

/* All partitions that are ours, to where their database says. */
static bool seek_to_starts(struct kafka_reader *r)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    bool ok = rd_kafka_assignment(r->rk, &list) == RD_KAFKA_RESP_ERR_NO_ERROR;

    if (ok && list->cnt > 0 && (ok = ask_starts(r, list))) {
        note_starts(r, list);
        rd_kafka_error_t *problem = rd_kafka_seek_partitions(r->rk, list, ASK_MS);
        for (int i = 0; i < list->cnt; i++)
            ok &= list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
        ok &= problem == NULL;
        if (problem)
            rd_kafka_error_destroy(problem);
    }
    if (list)
        rd_kafka_topic_partition_list_destroy(list);
    return ok;
}

void kafka_rewind(struct bus_reader *base)
{
    struct kafka_reader *r = reader_of(base);
    r->lost = !seek_to_starts(r);
}

/* A record becomes an event, or is passed over loudly: one bad record must not stop a partition. */
static bool take(struct kafka_reader *r, struct arena *a, const rd_kafka_message_t *m,
                 struct event *out)
{
    const char *why = NULL;

    if (m->err) {
        if (m->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
            log_event(NULL, LOG_WARN, "kafka: %s", rd_kafka_message_errstr(m));
        return false;
    }
    if (kafka_event_read(bus_of(r), a, m, out, &why))
        return true;
    metric_add(r->bad, 1);
    log_event(NULL, LOG_ERROR, "kafka: record %lld of %s/%d is no event: %s", (long long)m->offset,
              rd_kafka_topic_name(m->rkt), (int)m->partition, why);
    return false;
}

/* Before anything is read: in the group, and at the right place. */
static bool is_ready(struct kafka_reader *r)
{
    if (!r->joined && clock_monotonic_us() >= r->join_again_us) {
        r->joined = join(r);
        r->join_again_us = clock_monotonic_us() + JOIN_AGAIN_US;
    }
    if (r->joined && r->lost)
        r->lost = !seek_to_starts(r);
    return r->joined && !r->lost;
}

enum err kafka_poll(struct bus_reader *base, struct arena *a, int timeout_ms, struct event *out,
                    size_t max, size_t *ret_n)
{
    struct kafka_reader *r = reader_of(base);
    size_t bytes = 0;

    *ret_n = 0;
    r->moved = false;
    if (!is_ready(r) && r->joined) { /* reading on from the wrong place would leave something out */
        usleep(1000u * (unsigned)(timeout_ms < START_AGAIN_MS ? timeout_ms : START_AGAIN_MS));
        return ERR_OK;
    }
    while (*ret_n < max && bytes < BATCH_BYTES) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(r->rk, *ret_n ? 0 : timeout_ms);
        if (!m)
            break;
        if (take(r, a, m, &out[*ret_n]))
            bytes += out[(*ret_n)++].data.n;
        else
            timeout_ms = 0;
        rd_kafka_message_destroy(m);
    }
    if (*ret_n && (r->moved || r->lost)) {
        *ret_n = 0;
        kafka_rewind(base);
    }
    note_read(r, out, *ret_n);
    return ERR_OK;
}

void kafka_ack(struct bus_reader *base, const struct event *e)
{
    struct kafka_reader *r = reader_of(base);
    char name[KAFKA_NAME_SIZE];

    kafka_topic_name(bus_of(r), e->source, name);
    pthread_mutex_lock(&r->mutex);
    rd_kafka_topic_partition_t *p =
        rd_kafka_topic_partition_list_find(r->applied, name, e->partition);
    if (p && p->offset <= e->position) {
        struct place *place = p->opaque;
        p->offset = e->position + 1;
        place->applied_us = e->time_us;
        place->next_us = 0;
    } else {
        p = NULL;
    }
    pthread_mutex_unlock(&r->mutex);
    if (!p || !r->in_group)
        return; /* not ours any more: its new owner will tell */
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, e->partition)->offset = e->position + 1;
    (void)rd_kafka_offsets_store(r->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

void kafka_wake(struct bus_reader *base)
{
    rd_kafka_queue_yield(reader_of(base)->queue);
}

/* The publisher asks: behind a fetch of ours that has no news the question would wait. */
static bool ask_ends(struct kafka_bus *b, rd_kafka_topic_partition_list_t *ends, int timeout_ms)
{
    pthread_rwlock_rdlock(&b->lock);
    bool ok = b->producer && rd_kafka_offsets_for_times(b->producer, ends, timeout_ms) ==
                                 RD_KAFKA_RESP_ERR_NO_ERROR;
    pthread_rwlock_unlock(&b->lock);
    for (int i = 0; i < ends->cnt && ok; i++)
        ok = !ends->elems[i].err && ends->elems[i].offset >= 0;
    return ok;
}

/* The partitions of `topic` that are ours, with their ends. NULL: the brokers do not say. */
static rd_kafka_topic_partition_list_t *ends_of(struct kafka_reader *r, const char *topic)
{
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_new(16);
    char name[KAFKA_NAME_SIZE];
    bool ok = true;

    kafka_topic_name(bus_of(r), str_from(topic), name);
    pthread_mutex_lock(&r->mutex);
    for (int i = 0; i < r->applied->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &r->applied->elems[i];
        if (strcmp(p->topic, name) == 0) /* asked for by "a time": the end */
            rd_kafka_topic_partition_list_add(ends, name, p->partition)->offset =
                RD_KAFKA_OFFSET_END;
    }
    pthread_mutex_unlock(&r->mutex);
    if (ends->cnt > 0)
        ok = ask_ends(kafka_of(r->base.bus), ends, r->end_ms);
    r->end_ms = ok ? END_MS : END_AGAIN_MS;
    if (ok)
        return ends;
    rd_kafka_topic_partition_list_destroy(ends);
    return NULL;
}

static void add_place(const rd_kafka_topic_partition_t *p, int64_t end, struct bus_behind *sum)
{
    struct place *place = p->opaque;

    if (end <= p->offset) {
        place->caught_up_us = clock_now(&clock_system);
        return;
    }
    int64_t since_us =
        place->applied_us > place->caught_up_us ? place->applied_us : place->caught_up_us;
    int64_t oldest_us = place->next_us ? place->next_us : since_us;
    sum->events += end - p->offset;
    if (!sum->oldest_us || oldest_us < sum->oldest_us)
        sum->oldest_us = oldest_us;
}

bool kafka_behind(struct bus_reader *base, const char *topic, struct bus_behind *ret)
{
    struct kafka_reader *r = reader_of(base);
    rd_kafka_topic_partition_list_t *ends = ends_of(r, topic);

    if (!ends)
        return false;
    pthread_mutex_lock(&r->mutex);
    for (int i = 0; i < ends->cnt; i++) {
        const rd_kafka_topic_partition_t *end = &ends->elems[i];
        const rd_kafka_topic_partition_t *p =
            rd_kafka_topic_partition_list_find(r->applied, end->topic, end->partition);
        if (p)
            add_place(p, end->offset, ret);
    }
    pthread_mutex_unlock(&r->mutex);
    rd_kafka_topic_partition_list_destroy(ends);
    return true;
}
