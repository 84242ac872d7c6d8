/* kafka_probe.c -- what is wrong with a Kafka cluster or its topics, and what to do about it. */
#include "bus/kafka.h"

#define PROBE_MS 5000

static const struct kafka_setting probe_settings[] = {
    {"reconnect.backoff.ms", "200", "a broker that comes up meanwhile counts"},
    {"log_level", "0", "what is wrong is said once, by us"},
    {"socket.connection.setup.timeout.ms", "3000", "a silent host is no broker"},
    {NULL, NULL, NULL},
};

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
                "the topic is missing and may not be made (%s): allow it, or make it with "
                "kafka-topics --create, %d partitions",
                why, b->partitions);
}

static enum err probe_topic(struct ctx *cx, const struct kafka_bus *b,
                            const rd_kafka_metadata_topic_t *t)
{
    if (t->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        return fail(cx, ERR_UNAVAILABLE,
                    "no rights on topic %s: allow this user Describe, Read, Write (kafka-acls)",
                    t->topic);
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

static enum err probe_all(struct ctx *cx, const struct kafka_bus *b, rd_kafka_t *rk,
                          const rd_kafka_metadata_t *all, const char *const *topics,
                          struct str *ret)
{
    char name[KAFKA_NAME_SIZE];
    size_t missing = 0, n = 0;

    if (all->broker_cnt < b->replicas)
        return fail(cx, ERR_UNAVAILABLE,
                    "there are %d brokers for %d replicas: start more, or correct ?replicas= in "
                    "--bus",
                    all->broker_cnt, b->replicas);
    for (; topics[n]; n++) {
        kafka_topic_name(b, str_from(topics[n]), name);
        const rd_kafka_metadata_topic_t *t = find(all, name);
        if (!t)
            missing++;
        TRY(t ? probe_topic(cx, b, t) : probe_missing(cx, b, rk, name));
    }
    *ret = arena_printf(cx->arena,
                        "Kafka at %s, %d broker%s, %zu topics, %zu to be made when "
                        "first used",
                        b->brokers, all->broker_cnt, all->broker_cnt == 1 ? "" : "s", n - missing,
                        missing);
    return ERR_OK;
}

static enum err probe_with(struct ctx *cx, const struct kafka_bus *b, const char *const *topics,
                           struct str *ret)
{
    const rd_kafka_metadata_t *all = NULL;
    rd_kafka_conf_t *conf = NULL;
    char why[200];

    TRY(kafka_conf(cx, b, probe_settings, &conf));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return fail(cx, ERR_INVALID, "%s", why);
    }
    rd_kafka_resp_err_t got = rd_kafka_metadata(rk, 1, NULL, &all, PROBE_MS);
    enum err e = got ? fail(cx, ERR_UNAVAILABLE,
                            "nobody answers at %s (%s): start the brokers, or correct --bus; they "
                            "must also be reached by what they advertise",
                            b->brokers, rd_kafka_err2str(got))
                     : probe_all(cx, b, rk, all, topics, ret);
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
