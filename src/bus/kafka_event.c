/* kafka_event.c -- events as records: CloudEvents' Kafka binding in binary mode, read strictly. */
#include "bus/kafka.h"

#include <inttypes.h>

/* The attributes as headers; `sequence` is CloudEvents' own extension, traceparent that of
 * distributed tracing. */
static bool add(rd_kafka_headers_t *h, const char *name, const char *value, size_t n)
{
    return rd_kafka_header_add(h, name, -1, value, (ssize_t)n) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool add_str(rd_kafka_headers_t *h, const char *name, struct str value)
{
    return add(h, name, value.p, value.n);
}

rd_kafka_headers_t *kafka_headers(const struct event *e)
{
    rd_kafka_headers_t *h = rd_kafka_headers_new(8);
    char id[UUID_TEXT_SIZE], at[TIME_TEXT_SIZE], sequence[24];
    int n = snprintf(sequence, sizeof sequence, "%" PRId64, e->sequence);

    if (!h)
        return NULL;
    bool ok = add(h, "ce_specversion", "1.0", 3) && add_str(h, "ce_id", uuid_format(e->id, id)) &&
              add_str(h, "ce_type", e->type) && add_str(h, "ce_source", e->source) &&
              add_str(h, "ce_time", time_format(e->time_us, at)) &&
              add(h, "ce_sequence", sequence, (size_t)n) &&
              add(h, "content-type", "application/json", 16) &&
              (!e->traceparent.n || add_str(h, "ce_traceparent", e->traceparent));
    if (ok)
        return h;
    rd_kafka_headers_destroy(h);
    return NULL;
}

/* The one header of this name; STR_NONE when there is none or more than one. */
static struct str get(const rd_kafka_headers_t *h, const char *name)
{
    const void *value = NULL, *second = NULL;
    size_t n = 0, n_second = 0;

    if (!h || rd_kafka_header_get(h, 0, name, &value, &n) != RD_KAFKA_RESP_ERR_NO_ERROR || !value ||
        rd_kafka_header_get(h, 1, name, &second, &n_second) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STR_NONE;
    return (struct str){value, n};
}

static const char *read_attributes(const rd_kafka_headers_t *h, struct event *e)
{
    if (!str_eq(get(h, "ce_specversion"), STR("1.0")))
        return "ce_specversion is not 1.0";
    if (!uuid_parse(get(h, "ce_id"), &e->id))
        return "ce_id is not a UUID";
    if (!str_i64(get(h, "ce_sequence"), 0, INT64_MAX, &e->sequence))
        return "ce_sequence is not a number";
    if (!time_parse(get(h, "ce_time"), &e->time_us))
        return "ce_time is not a time";
    e->type = get(h, "ce_type");
    e->source = get(h, "ce_source");
    e->traceparent = get(h, "ce_traceparent");
    return e->type.n && e->type.n <= 200 ? NULL : "ce_type is missing or too long";
}

bool kafka_event_read(const struct kafka_bus *b, struct arena *a, const rd_kafka_message_t *m,
                      struct event *ret, const char **ret_why)
{
    rd_kafka_headers_t *h = NULL;
    struct event e = {.partition = m->partition, .position = m->offset};
    struct str topic = kafka_topic_of(b, rd_kafka_topic_name(m->rkt));

    if (rd_kafka_message_headers(m, &h) != RD_KAFKA_RESP_ERR_NO_ERROR)
        h = NULL;
    *ret_why = read_attributes(h, &e);
    if (!*ret_why && !uuid_parse((struct str){m->key, m->key_len}, &e.key))
        *ret_why = "the key is not a UUID";
    if (!*ret_why && !str_eq(e.source, topic))
        *ret_why = "ce_source is not the topic's service";
    if (!*ret_why && (!m->payload || m->len > BUS_EVENT_MAX))
        *ret_why = "no data, or too large";
    if (*ret_why)
        return false;
    e.type = arena_copy(a, e.type);
    e.source = arena_copy(a, e.source);
    if (e.traceparent.p)
        e.traceparent = arena_copy(a, e.traceparent);
    e.data = arena_copy(a, (struct str){m->payload, m->len});
    *ret = e;
    return true;
}
