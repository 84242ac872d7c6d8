/* settings.c -- the table of settings: flag, environment variable, line of the file, and
 * documentation. */
#include "command/settings.h"

#define T struct settings

static const char *const log_names[] = {"auto", "human", "json", NULL};
static const char *const env_names[] = {"development", "production", NULL};

/* clang-format off */
const struct field settings_fields[] = {
    F_STR(T, data, "data", 0, 1, 500, "directory of everything that is kept; default ./jumun-data"),
    F_STR(T, config, "config", 0, 1, 500, "file of `name = value` lines"),
    F_STR(T, listen, "listen", PATTERN_LISTEN, 1, 100, "public address; port 0 takes a free one"),
    F_STR(T, internal_listen, "internalListen", PATTERN_LISTEN, 1, 100, "address for operators and other services"),
    F_STR(T, toss_listen, "tossListen", PATTERN_LISTEN, 1, 100, "address of the Toss simulator"),
    F_STR(T, issuer, "issuer", 0, 1, 200, "issuer of tokens; default: the public address"),
    F_INT(T, auth_silence, "authSilence", 0, 0, 86400, "seconds without a word from auth after which users' tokens wait (503); 0: they are believed while auth is away"),
    F_STR(T, keys_secret, "keysSecret", SECRET, 1, 500, "seals the keys that sign tokens in auth's database, for all processes of auth; at least 32 characters; default: files in --data"),
    F_STR(T, toss_url, "tossUrl", PATTERN_HTTP_URL, 1, 200, "Toss Payments; default: the simulator of this process"),
    F_STR(T, toss_secret_key, "tossSecretKey", SECRET, 1, 200, "secret key of the Toss account"),
    F_STR(T, toss_client_key, "tossClientKey", 0, 1, 200, "client key of the Toss account"),
    F_STR(T, database, "database", SECRET, 1, 500, "postgres://USER:PASSWORD@HOST[:PORT]/DATABASE, a schema per service; default: a file per service in --data"),
    F_INT(T, database_connections, "databaseConnections", 0, 2, 1000, "connections to PostgreSQL of each service in a process"),
    F_STR(T, database_replicas, "databaseReplicas", SECRET, 1, 2000, "standbys of --database, postgres://...[,postgres://...]; they answer what may be a little old"),
    F_INT(T, database_replica_lag, "databaseReplicaLag", 0, 1, 3600, "seconds that what a replica answers may be old; one further behind is left out"),
    F_STR(T, bus, "bus", SECRET, 1, 1500, "kafka://HOST:PORT[,HOST:PORT][?partitions=6&replicas=1&keepHours=168&prefix=jumun.&security=sasl_ssl&mechanism=PLAIN&ca=FILE&cert=FILE&key=FILE] (USER:PASSWORD@ before HOST); default: a file in --data"),
    F_STR(T, cache, "cache", SECRET, 1, 300, "memory: or redis://HOST[:PORT][/DATABASE] (USER:PASSWORD@ before HOST), which processes share"),
    F_STR(T, blobs, "blobs", 0, 1, 500, "s3://HOST[:PORT]/BUCKET[?region=NAME&style=path|host&scheme=https|http], where photos go; default: files in --data"),
    F_STR(T, blobs_access_key, "blobsAccessKey", 0, 1, 128, "access key of the S3 account"),
    F_STR(T, blobs_secret_key, "blobsSecretKey", SECRET, 1, 200, "secret key of the S3 account"),
    F_STR(T, otlp_endpoint, "otlpEndpoint", PATTERN_HTTP_URL, 1, 200, "where spans go, e.g. http://127.0.0.1:4318; default: nowhere"),
    F_STR(T, peers, "peers", 0, 1, 4000, "internal addresses of services in other processes: order=http://HOST:PORT[|...],...; *=http://{service}:8081 for those not named"),
    F_STR(T, upstreams, "upstreams", 0, 1, 4000, "public addresses of services, for the gateway; written like peers, an address may have a weight: http://HOST:PORT*10"),
    F_STR(T, gateway_routes, "gatewayRoutes", 0, 1, 2000, "paths of back ends that are not jumun's, /v1/chat=chat,...; where those are say --upstreams"),
    F_INT(T, gateway_requests, "gatewayRequests", 0, 1, 100000, "requests that the gateway has at one instance at once"),
    F_INT(T, gateway_connect, "gatewayConnect", 0, 10, 60000, "milliseconds that an instance may take to be reached; then the next one"),
    F_INT(T, gateway_answer, "gatewayAnswer", 0, 100, 600000, "milliseconds that an instance may take to begin its answer"),
    F_STR(T, service_keys, "serviceKeys", 0, 1, 500, "directory of NAME.key (own) and NAME.pub (believed), by which services in other processes know each other"),
    F_STR(T, discovery, "discovery", SECRET, 1, 500, "Eureka servers to register with and to ask, http://HOST:8761/eureka[,...] (USER:PASSWORD@ before HOST); default: none"),
    F_STR(T, discovery_host, "discoveryHost", 0, 1, 200, "how others reach this process; default: the host of `listen`"),
    F_INT(T, discovery_renew, "discoveryRenew", 0, 1, 3600, "registered services say every so many seconds that they live"),
    F_STR(T, discovery_listen, "discoveryListen", PATTERN_LISTEN, 1, 100, "address of the discovery service; `up` runs it when this is given"),
    F_STR(T, discovery_credentials, "discoveryCredentials", SECRET, 3, 300, "USER:PASSWORD of who may use the discovery service; default: anybody"),
    F_STR(T, discovery_peers, "discoveryPeers", SECRET, 1, 500, "other discovery servers, told of every change, http://HOST:8761/eureka[,...] (USER:PASSWORD@ before HOST)"),
    F_INT(T, discovery_evict, "discoveryEvict", 0, 1, 3600, "the discovery service looks every so many seconds for who fell silent"),
    F_BOOL(T, discovery_evict_always, "discoveryEvictAlways", 0, "the discovery service drops silent instances also when many fall silent at once (no self-preservation)"),
    F_ENUM(T, env, "env", 0, env_names, "production refuses the demo world and its accounts, and wants a real Toss instead of the simulator"),
    F_ENUM(T, log, "log", 0, log_names, "form of the log on stderr"),
    F_BOOL(T, log_requests, "logRequests", 0, "a line for every request, not only slow and failed ones"),
    F_INT(T, start_wait, "startWait", 0, 0, 86400, "seconds that a process waits at its start for a database that is not there yet; then it ends with 75"),
    F_INT(T, threads, "threads", 0, 1, 64, "threads that serve requests; default: the CPUs, at least 2"),
    F_INT(T, slow_threads, "slowThreads", 0, 1, 256, "threads for what may take long: password hashes, Toss"),
    F_INT(T, rate_limit, "rateLimit", 0, 0, 1000000, "requests a minute per client; 0: no limit"),
    F_INT(T, proxies, "proxies", 0, 0, 8, "proxies in front that nobody goes around; clients are told apart by their X-Forwarded-For"),
    F_STR(T, cors_origins, "corsOrigins", 0, 1, 2000, "origins of other pages that may call, https://shop.example[,...]; default: none"),
    F_INT(T, streams_per_user, "streamsPerUser", 0, 0, 20000, "event streams of one user; one more closes the oldest; 0: no limit"),
    F_INT(T, outbox_keep_minutes, "outboxKeepMinutes", 0, 1, 527040, "minutes that published events stay in the outbox; those of orders stay 7 days at least"),
    F_INT(T, bus_keep_hours, "busKeepHours", 0, 1, 8784, "hours that events stay on the bus, once everybody has read them"),
    F_INT(T, bus_max_mb, "busMaxMb", 0, 16, 1048576, "MiB; a larger bus drops read events earlier"),
    F_INT(T, inbox_keep_hours, "inboxKeepHours", 0, 1, 9000, "hours that events seen are known again; at least busKeepHours and 24; default that, and not under 192"),
    F_BOOL(T, demo, "demo", 0, "with the demo world: stores, menus, people (never in production)"),
    F_BOOL(T, audit, "audit", 0, "check every invariant of the data"),
    F_BOOL(T, dry_run, "dryRun", 0, "say what would happen, change nothing"),
    F_BOOL(T, origin, "origin", 0, "say where each value came from"),
    F_BOOL(T, json, "json", 0, "print JSON"),
    F_BOOL(T, watch, "watch", 0, "go on until interrupted"),
    F_INT(T, orders, "orders", 0, 1, 1000000, "how many orders"),
    F_INT(T, rate, "rate", 0, 1, 10000, "orders started per second"),
    F_STR(T, service, "service", 0, 1, 20, "of one service only"),
    F_STR(T, fault, "fault", 0, 0, 1000, "test builds: faults to fire"),
    F_STR(T, fault_report, "faultReport", 0, 0, 500, "test builds: file that lists the faults passed"),
    F_END(T),
};
/* clang-format on */

void settings_defaults(struct settings *s)
{
    *s = (struct settings){
        .data = STR("./jumun-data"),
        .listen = STR("127.0.0.1:8080"),
        .internal_listen = STR("127.0.0.1:8081"),
        .toss_listen = STR("127.0.0.1:8082"),
        .toss_secret_key = TOSS_SECRET_KEY_DEFAULT,
        .cache = STR("memory:"),
        .toss_client_key = TOSS_CLIENT_KEY_DEFAULT,
        .database_connections = 12,
        .start_wait = 300,
        .database_replica_lag = 5,
        .slow_threads = 32,
        .rate_limit = 1200,
        .streams_per_user = 20,
        .outbox_keep_minutes = 60,
        .bus_keep_hours = 7 * 24,
        .bus_max_mb = 2048,
        .gateway_requests = 1024,
        .gateway_connect = 1000,
        .gateway_answer = 60000,
        .discovery_renew = 30,
        .discovery_evict = 60,
        .orders = 200,
        .rate = 20,
    };
}

struct str setting_values(struct ctx *cx, const struct field *f)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, 1024);
    if (f->type == FIELD_INT)
        buf_printf(&b, " %" PRId64 "..%" PRId64, f->min, f->max);
    else if (f->type == FIELD_ENUM)
        for (int i = 0; f->names[i]; i++)
            buf_printf(&b, "%s%s", i ? "|" : " ", f->names[i]);
    else if (f->type != FIELD_BOOL)
        buf_lit(&b, " VALUE");
    return buf_str(&b);
}

struct str setting_doc(struct ctx *cx, const struct field *f)
{
    struct settings defaults;
    struct buf b;

    settings_defaults(&defaults);
    const void *at = (const char *)&defaults + f->at;
    buf_init_arena(&b, cx->arena, 4096);
    buf_printf(&b, "%s", f->doc);
    if (strstr(f->doc, "default") || (f->flags & SECRET))
        return buf_str(&b);
    if (f->type == FIELD_INT && *(const int64_t *)at)
        buf_printf(&b, "; default %" PRId64, *(const int64_t *)at);
    else if (f->type == FIELD_ENUM)
        buf_printf(&b, "; default %s", f->names[*(const int *)at]);
    else if (f->type == FIELD_STR && ((const struct str *)at)->n)
        buf_printf(&b, "; default %.*s", STR_ARG(*(const struct str *)at));
    return buf_str(&b);
}
