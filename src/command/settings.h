/* settings.h -- everything that can be configured, as one field table. */
#pragma once

#include "data/config.h"

enum { ENV_DEVELOPMENT, ENV_PRODUCTION };
#define TOSS_SECRET_KEY_DEFAULT STR("test_sk_jumun") /* what the simulator knows */
#define TOSS_CLIENT_KEY_DEFAULT STR("test_ck_jumun")

struct settings {
    struct str data, config;
    struct str listen, internal_listen, toss_listen, issuer;
    struct str toss_url, toss_secret_key, toss_client_key, database, bus, cache;
    struct str blobs, blobs_access_key, blobs_secret_key;
    struct str otlp_endpoint, keys_secret, cors_origins;
    int env; /* ENV_... */
    struct str peers, upstreams, service_keys, gateway_routes;
    int64_t gateway_requests, gateway_connect, gateway_answer;
    struct str discovery, discovery_listen, discovery_peers, discovery_host, discovery_credentials;
    int64_t discovery_renew, discovery_evict;
    bool discovery_evict_always;
    int log;
    struct str database_replicas;
    int64_t database_connections, database_replica_lag;
    int64_t auth_silence;
    int64_t start_wait, threads, slow_threads, rate_limit, proxies, streams_per_user;
    int64_t outbox_keep_minutes, inbox_keep_hours, bus_keep_hours, bus_max_mb;
    bool demo, log_requests;
    /* of single commands */
    bool audit, dry_run, origin, json, watch;
    int64_t orders, rate;
    struct str service;
    /* test builds read these in base/fault.c; named here so that they are not taken for mistakes */
    struct str fault, fault_report;
    struct config_result result; /* where each value came from */
};

extern const struct field settings_fields[];
/* What runs without being told. */
void settings_defaults(struct settings *s);
/* For help and manual, in the arena: what stands behind the flag (" 1..64", " VALUE", ""), and what
 * it is, with its default unless the words have told it. */
struct str setting_values(struct ctx *cx, const struct field *f);
struct str setting_doc(struct ctx *cx, const struct field *f);
