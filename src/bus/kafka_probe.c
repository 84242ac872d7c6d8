/* kafka_probe.c -- what is wrong with a Kafka cluster or its topics, and what to do about it. */
#include "bus/kafka.h"

#define PROBE_MS 5000
#define AHEAD_MAX_US US_PER_S
#define SERVICES_MAX KAFKA_TOPICS_MAX

static const struct kafka_setting probe_settings[] = {
    {"reconnect.backoff.ms", "200", "a broker that comes up meanwhile counts"},
    {"log_level", "0", "what is wrong is said once, by us"},
    {"socket.connection.setup.timeout.ms", "3000", "a silent host is no broker"},
    {"allow.auto.create.topics", "false", "a probe changes nothing"},
    {NULL, NULL, NULL},
};
static const struct kafka_setting look_settings[] = {
    {"log_level", "0", "what is wrong is said once, by us"},
    {"enable.auto.commit", "false", "a probe changes nothing"},
    {"enable.partition.eof", "true", "so that a look ends, also at an empty partition"},
    {"allow.auto.create.topics", "false", "a probe changes nothing"},
    {NULL, NULL, NULL},
};

/* What the client says of its connections. */
struct complaint {
    rd_kafka_resp_err_t code;
    char text[300];
};

/* That the brokers refuse us says more than that nobody is left to ask. */
static void on_error(rd_kafka_t *rk, int code, const char *text, void *arg)
{
    struct complaint *c = arg;

    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && c->text[0])
        return;
    if (c->code == RD_KAFKA_RESP_ERR__AUTHENTICATION || c->code == RD_KAFKA_RESP_ERR__SSL)
        return;
    c->code = code;
    snprintf(c->text, sizeof c->text, "%s", text);
}

static enum err no_answer(struct ctx *cx, const struct kafka_bus *b, const struct complaint *c)
{
    if (c->code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        return fail(cx, ERR_UNAVAILABLE,
                    "the brokers refuse user %s: correct USER:PASSWORD or mechanism= in --bus, or "
                    "make the user (%s)",
                    b->user, c->text);
    if (c->code == RD_KAFKA_RESP_ERR__SSL)
        return fail(cx, ERR_UNAVAILABLE,
                    "no TLS with the brokers: correct ca= or security= in --bus, or renew their "
                    "certificate (%s)",
                    c->text);
    if (strstr(c->text, "alert") && strstr(c->text, "certificate"))
        return fail(cx, ERR_UNAVAILABLE,
                    b->cert[0]
                        ? "the brokers do not take the certificate of cert=: have it signed by "
                          "whom they trust (%s)"
                        : "the brokers want a certificate of ours: write cert= and key= in --bus "
                          "(%s)",
                    c->text);
    return fail(cx, ERR_UNAVAILABLE,
                "nobody answers at %s: start the brokers, or correct --bus, also its security= "
                "(%s); they must also be reached by what they advertise (%s)",
                b->brokers, b->security, c->text[0] ? c->text : "no connection");
}

static const char *user_of(const struct kafka_bus *b)
{
    if (b->user[0])
        return b->user;
    return b->cert[0] ? "the certificate's name (User:CN=...)" : "User:ANONYMOUS";
}

static const rd_kafka_metadata_topic_t *find(const rd_kafka_metadata_t *all, const char *name)
{
    for (int i = 0; i < all->topic_cnt; i++)
        if (strcmp(all->topics[i].topic, name) == 0)
            return &all->topics[i];
    return NULL;
}

/* Asks whether it could be made, without making it. */
static enum err probe_missing(struct ctx *cx, const struct kafka_bus *b, rd_kafka_t *rk,
                              const char *name)
{
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    char why[200] = "";
    bool ok = rd_kafka_AdminOptions_set_validate_only(options, 1, why, sizeof why) ==
                  RD_KAFKA_RESP_ERR_NO_ERROR &&
              kafka_topic_create(b, rk, name, options, PROBE_MS, why);

    rd_kafka_AdminOptions_destroy(options);
    if (ok)
        return ERR_OK;
    return fail(cx, ERR_UNAVAILABLE,
                "the topic is missing and may not be made (%s): allow %s Create, or make it with "
                "kafka-topics --create, %d partitions",
                why, user_of(b), b->partitions);
}

static enum err probe_topic(struct ctx *cx, const struct kafka_bus *b,
                            const rd_kafka_metadata_topic_t *t)
{
    if (t->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        return fail(cx, ERR_UNAVAILABLE,
                    "no rights on topic %s: allow %s Read, Write and Create (kafka-acls)", t->topic,
                    user_of(b));
    if (t->err)
        return fail(cx, ERR_UNAVAILABLE, "topic %s: %s: look into the brokers' logs", t->topic,
                    rd_kafka_err2str(t->err));
    if (t->partition_cnt != b->partitions)
        return fail(cx, ERR_UNAVAILABLE,
                    "topic %s has %d partitions, --bus says %d: write ?partitions=%d there (more "
                    "partitions would move keys)",
                    t->topic, t->partition_cnt, b->partitions, t->partition_cnt);
    for (int i = 0; i < t->partition_cnt; i++) {
        const rd_kafka_metadata_partition_t *p = &t->partitions[i];
        if (p->leader < 0 || p->err)
            return fail(cx, ERR_UNAVAILABLE,
                        "topic %s, partition %d has no leader: start its "
                        "brokers",
                        t->topic, p->id);
        if (p->replica_cnt < b->replicas)
            return fail(cx, ERR_UNAVAILABLE,
                        "topic %s has %d replicas, --bus says %d: reassign it "
                        "(kafka-reassign-partitions), or correct ?replicas=",
                        t->topic, p->replica_cnt, b->replicas);
        if (p->isr_cnt < p->replica_cnt)
            return fail(cx, ERR_UNAVAILABLE,
                        "topic %s, partition %d: %d of %d replicas are in sync: is a broker down?",
                        t->topic, p->id, p->isr_cnt, p->replica_cnt);
    }
    return ERR_OK;
}

/* Who may not even see a topic is not told of it in the list of all; asked by name they are. */
static enum err probe_named(struct ctx *cx, const struct kafka_bus *b, rd_kafka_t *rk,
                            const char *name, bool *ret_there)
{
    const rd_kafka_metadata_t *m = NULL;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    rd_kafka_resp_err_t got =
        topic ? rd_kafka_metadata(rk, 0, topic, &m, PROBE_MS) : rd_kafka_last_error();
    enum err e;

    if (got)
        e = fail(cx, ERR_UNAVAILABLE, "topic %s: %s", name, rd_kafka_err2str(got));
    else if (m->topic_cnt == 0 || m->topics[0].err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        e = probe_missing(cx, b, rk, name);
    else
        e = probe_topic(cx, b, &m->topics[0]);
    *ret_there = !got && m->topic_cnt == 1 && !m->topics[0].err;
    if (m)
        rd_kafka_metadata_destroy(m);
    if (topic)
        rd_kafka_topic_destroy(topic);
    return e;
}

/* Members of the services' groups we will be; who may not read a group may not describe it. */
static enum err probe_groups(struct ctx *cx, const struct kafka_bus *b, rd_kafka_t *rk,
                             const char *const *services)
{
    char names[SERVICES_MAX][KAFKA_NAME_SIZE];
    const char *groups[SERVICES_MAX];
    enum err e = ERR_OK;
    size_t n = 0, answers = 0;

    for (; n < SERVICES_MAX && services[n]; n++) {
        kafka_topic_name(b, str_from(services[n]), names[n]);
        groups[n] = names[n];
    }
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DescribeConsumerGroups(rk, groups, n, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, PROBE_MS);
    const rd_kafka_DescribeConsumerGroups_result_t *r =
        answer ? rd_kafka_event_DescribeConsumerGroups_result(answer) : NULL;
    const rd_kafka_ConsumerGroupDescription_t **each =
        r ? rd_kafka_DescribeConsumerGroups_result_groups(r, &answers) : NULL;
    for (size_t i = 0; i < answers && e == ERR_OK; i++)
        if (rd_kafka_error_code(rd_kafka_ConsumerGroupDescription_error(each[i])) ==
            RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
            e = fail(cx, ERR_UNAVAILABLE, "no rights on group %s: allow %s Read (kafka-acls)",
                     rd_kafka_ConsumerGroupDescription_group_id(each[i]), user_of(b));
    if (answer)
        rd_kafka_event_destroy(answer);
    rd_kafka_queue_destroy(queue);
    return e;
}

/* The end of a partition, or its newest record, or why it cannot be read. */
static enum err look_at(struct ctx *cx, const struct kafka_bus *b, const rd_kafka_message_t *m,
                        rd_kafka_topic_partition_list_t *left)
{
    rd_kafka_timestamp_type_t type;

    if (!m->rkt)
        return ERR_OK; /* of the client, not of a partition */
    const char *name = rd_kafka_topic_name(m->rkt);
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        rd_kafka_topic_partition_list_del(left, name, m->partition);
        return ERR_OK;
    }
    if (m->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        return fail(cx, ERR_UNAVAILABLE, "no right to read topic %s: allow %s Read (kafka-acls)",
                    name, user_of(b));
    if (m->err)
        return ERR_OK; /* it is tried again, or the time is over */
    int64_t ahead_us = rd_kafka_message_timestamp(m, &type) * US_PER_MS - ctx_now(cx);
    if (ahead_us > AHEAD_MAX_US)
        return fail(cx, ERR_UNAVAILABLE,
                    "topic %s has an event of %lld s from now: this machine's clock, or that of "
                    "another process, is wrong: set them by NTP",
                    name, (long long)(ahead_us / US_PER_S));
    return ERR_OK;
}

/* The newest record of each partition: may we read, and do the clocks of who wrote agree? */
static enum err probe_reading(struct ctx *cx, const struct kafka_bus *b,
                              rd_kafka_topic_partition_list_t *left)
{
    rd_kafka_conf_t *conf = NULL;
    char why[200], group[KAFKA_NAME_SIZE];
    int64_t until_us = clock_monotonic_us() + PROBE_MS * US_PER_MS;
    enum err e = ERR_OK;

    TRY(kafka_conf(cx, b, look_settings, &conf));
    kafka_topic_name(b, STR("doctor"), group);
    (void)rd_kafka_conf_set(conf, "group.id", group, why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return fail(cx, ERR_INVALID, "%s", why);
    }
    (void)rd_kafka_poll_set_consumer(rk);
    (void)rd_kafka_assign(rk, left);
    while (e == ERR_OK && left->cnt > 0 && clock_monotonic_us() < until_us) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
        if (!m)
            continue;
        e = look_at(cx, b, m, left);
        rd_kafka_message_destroy(m);
    }
    if (e == ERR_OK && left->cnt > 0)
        e = fail(cx, ERR_UNAVAILABLE,
                 "topic %s, partition %d cannot be read: look into the brokers' logs",
                 left->elems[0].topic, left->elems[0].partition);
    (void)rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return e;
}

static enum err probe_all(struct ctx *cx, const struct kafka_bus *b, rd_kafka_t *rk,
                          const rd_kafka_metadata_t *all, const char *const *topics,
                          rd_kafka_topic_partition_list_t *ret_there)
{
    char name[KAFKA_NAME_SIZE];

    if (all->broker_cnt < b->replicas)
        return fail(cx, ERR_UNAVAILABLE,
                    "there are %d brokers for %d replicas: start more, or correct ?replicas= in "
                    "--bus",
                    all->broker_cnt, b->replicas);
    for (size_t n = 0; topics[n]; n++) {
        bool there = true;
        kafka_topic_name(b, str_from(topics[n]), name);
        const rd_kafka_metadata_topic_t *t = find(all, name);
        TRY(t ? probe_topic(cx, b, t) : probe_named(cx, b, rk, name, &there));
        for (int i = 0; there && i < b->partitions; i++)
            rd_kafka_topic_partition_list_add(ret_there, name, i)->offset = RD_KAFKA_OFFSET_TAIL(1);
    }
    return probe_groups(cx, b, rk, topics);
}

/* Brokers and topics first, then a look inside. */
static enum err probe_cluster(struct ctx *cx, const struct kafka_bus *b, rd_kafka_t *rk,
                              const rd_kafka_metadata_t *all, const char *const *topics,
                              struct str *ret)
{
    rd_kafka_topic_partition_list_t *there = rd_kafka_topic_partition_list_new(16);
    size_t n = 0;
    enum err e = probe_all(cx, b, rk, all, topics, there);
    int n_there = there->cnt / b->partitions;

    if (e == ERR_OK)
        e = probe_reading(cx, b, there);
    rd_kafka_topic_partition_list_destroy(there);
    while (topics[n])
        n++;
    *ret = arena_printf(cx->arena,
                        "Kafka at %s, %d broker%s, %d topics, %d to be made when "
                        "first used",
                        b->brokers, all->broker_cnt, all->broker_cnt == 1 ? "" : "s", n_there,
                        (int)n - n_there);
    return e;
}

static enum err probe_with(struct ctx *cx, const struct kafka_bus *b, const char *const *topics,
                           struct str *ret)
{
    struct complaint complaint = {RD_KAFKA_RESP_ERR_NO_ERROR, ""};
    const rd_kafka_metadata_t *all = NULL;
    rd_kafka_conf_t *conf = NULL;
    char why[200];

    TRY(kafka_conf(cx, b, probe_settings, &conf));
    rd_kafka_conf_set_opaque(conf, &complaint);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return fail(cx, ERR_INVALID, "%s", why);
    }
    rd_kafka_resp_err_t got = rd_kafka_metadata(rk, 1, NULL, &all, PROBE_MS);
    (void)rd_kafka_poll(rk, 0); /* what the client has to complain of */
    enum err e = got ? no_answer(cx, b, &complaint) : probe_cluster(cx, b, rk, all, topics, ret);
    if (!got)
        rd_kafka_metadata_destroy(all);
    rd_kafka_destroy(rk);
    return e;
}

enum err kafka_probe(struct ctx *cx, const char *location, const char *const *topics,
                     struct str *ret)
{
    struct kafka_bus *b = calloc(1, sizeof(*b));

    if (!b)
        abort();
    enum err e = kafka_location_read(cx, b, location);
    if (e == ERR_OK)
        e = probe_with(cx, b, topics, ret);
    free(b);
    return e;
}
