/* schema.c -- outbox, inbox, offsets, parked events, timers, jobs and idempotency keys. */
#include "flow/schema.h"

/* clang-format off */
static const char flow_1[] =
    /* seq is the order of insertion; rows are published by "published_at is null", see outbox.h */
    "create table outbox (seq integer primary key, event_id uuid not null unique, type text not null,"
    " aggregate_id uuid not null, aggregate_seq bigint not null, time_us bigint not null,"
    " traceparent text, data text not null, published_at bigint,"
    " unique (aggregate_id, aggregate_seq));"
    "create index outbox_waiting on outbox (seq) where published_at is null;"
    "create table inbox (event_id uuid primary key, applied_at bigint not null);"
    "create index inbox_age on inbox (applied_at);"
    "create table offsets (topic text not null, part integer not null, next bigint not null,"
    " primary key (topic, part));"
    "create table parked (id integer primary key, event_id uuid not null unique, type text not null,"
    " topic text not null, part integer not null, position bigint not null, key uuid not null,"
    " sequence bigint not null, time_us bigint not null, traceparent text, data text not null,"
    " reason text not null, tries bigint not null, parked_at bigint not null);"
    "create index parked_key on parked (key, id);"
    "create table timers (kind text not null, subject uuid not null, due_us bigint not null,"
    " attempt bigint not null, lease_until bigint not null, primary key (kind, subject));"
    "create index timers_due on timers (due_us);"
    "create table jobs (name text primary key, due_us bigint not null, lease_until bigint not null);"
    "create table idempotency (principal text not null, route text not null, key text not null,"
    " fingerprint text not null, is_done integer not null, lease_until bigint not null, status integer,"
    " content_type text, location text, body text, expires_at bigint not null,"
    " primary key (principal, route, key));"
    "create index idempotency_age on idempotency (expires_at);";

/* The last number of each aggregate whose events left the outbox, see sweep.h */
static const char flow_2[] =
    "create table outbox_swept (aggregate_id uuid primary key, last_seq bigint not null);";

/* Which process holds a lease, so that it can take back its own after a restart. */
static const char flow_3[] =
    "alter table timers add column lease_holder uuid;"
    "alter table jobs add column lease_holder uuid;"
    "alter table idempotency add column lease_holder uuid;";

/* Which process wrote an event, and publishes it. */
static const char flow_4[] = "alter table outbox add column writer uuid;";

/* A stored answer carries the entity tag of the first one. */
static const char flow_5[] = "alter table idempotency add column etag text;";
/* clang-format on */

const struct migration flow_migrations[6] = {{"flow_1", flow_1}, {"flow_2", flow_2},
                                             {"flow_3", flow_3}, {"flow_4", flow_4},
                                             {"flow_5", flow_5}, {NULL, NULL}};
