/* kafka.h -- what the parts of the Kafka driver share: settings, the bus, records and events. */
#pragma once

#include "bus/driver.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

#define KAFKA_TOPICS_MAX 32
#define KAFKA_NAME_SIZE 100

/* A setting of librdkafka that differs from its default. */
struct kafka_setting {
    const char *name, *value, *why;
};

struct kafka_bus {
    struct bus base;
    char brokers[400];
    char prefix[40]; /* before the service's name: topics of several platforms on a broker */
    int partitions, replicas; /* of topics that we make */
    int64_t keep_hours;
    const char *security, *mechanism; /* Kafka's own words */
    char user[100], password[200];    /* both, or none */
    char ca[300];                     /* file of certificates; "": the system's */
    char cert[300], key[300];         /* files that say who we are; both, or none */

    /* Publishers hold it shared; alone: whoever replaces a producer that has given up. */
    pthread_rwlock_t lock;
    rd_kafka_t *producer;
    pthread_t reports;
    atomic_bool stop;

    pthread_mutex_t topics_mutex;
    char topics[KAFKA_TOPICS_MAX][KAFKA_NAME_SIZE]; /* known to be there */
    int n_topics;
};

static inline struct kafka_bus *kafka_of(struct bus *bus)
{
    return (struct kafka_bus *)bus;
}

/* kafka.c */
/* A configuration with `settings` (up to a NULL name) and the brokers. ERR_INVALID names what
 * librdkafka refuses. */
enum err kafka_conf(struct ctx *cx, const struct kafka_bus *b, const struct kafka_setting *settings,
                    rd_kafka_conf_t **ret) MUST_USE;
/* "jumun.order" for "order". */
void kafka_topic_name(const struct kafka_bus *b, struct str topic, char out[KAFKA_NAME_SIZE]);
/* The service's name in one of ours; STR_NONE for a foreign topic. */
struct str kafka_topic_of(const struct kafka_bus *b, const char *name);
/* Makes the topic unless it is there; `rk` is any client. `why` gets the reason of a failure. */
bool kafka_topic_make(struct kafka_bus *b, rd_kafka_t *rk, const char *name, int timeout_ms,
                      char why[200]);

/* The same without looking whether it is known; `options` may say to validate only. */
bool kafka_topic_create(const struct kafka_bus *b, rd_kafka_t *rk, const char *name,
                        const rd_kafka_AdminOptions_t *options, int timeout_ms, char why[200]);
/* kafka_address.c */
/* Defaults, and what the address says. ERR_INVALID. */
enum err kafka_location_read(struct ctx *cx, struct kafka_bus *b, const char *location) MUST_USE;
/* Who we are and how the connection is protected. False: `why` says what librdkafka refuses. */
bool kafka_conf_security(const struct kafka_bus *b, rd_kafka_conf_t *conf, char *why, size_t size);

/* kafka_probe.c */
enum err kafka_probe(struct ctx *cx, const char *location, const char *const *topics,
                     struct str *ret) MUST_USE;

/* kafka_event.c */
/* CloudEvents 1.0, Kafka binding, binary mode. NULL: out of memory. */
rd_kafka_headers_t *kafka_headers(const struct event *e);
/* False: not a valid event; *ret_why says what is wrong. Everything is copied to the arena. */
bool kafka_event_read(const struct kafka_bus *b, struct arena *a, const rd_kafka_message_t *m,
                      struct event *ret, const char **ret_why);

/* kafka_reader.c */
enum err kafka_subscribe(struct bus *bus, const char *group, const char *const *topics, size_t n,
                         bus_start *start, void *arg, struct bus_reader **ret);
void kafka_unsubscribe(struct bus_reader *r);
enum err kafka_poll(struct bus_reader *r, struct arena *a, int timeout_ms, struct event *out,
                    size_t max, size_t *ret_n);
void kafka_ack(struct bus_reader *r, const struct event *e);
void kafka_rewind(struct bus_reader *r);
void kafka_wake(struct bus_reader *r);
bool kafka_behind(struct bus_reader *r, const char *topic, struct bus_behind *ret);
