/* eureka_test.c -- a registry of services under a moved clock, two servers, and our client against
 * them. */
#include "data/json.h"
#include "discovery/batch.h"
#include "discovery/client.h"
#include "discovery/rest.h"
#include "discovery/xml.h"
#include "test.h"

#define START_US INT64_C(1795420607947000)

static struct arena arena;
static struct rng rng;
static struct clock moved = {.is_virtual = true, .virtual_us = START_US};
static struct ctx cx;

static void fresh(void)
{
    arena_reset(&arena);
    cx = (struct ctx){.arena = &arena, .clock = &moved, .rng = &rng};
}

static void pass_s(int64_t seconds)
{
    moved.virtual_us += seconds * US_PER_S;
}

static struct registry *open_registry(struct registry_options options)
{
    struct registry *r = NULL;

    fresh();
    CHECK(registry_open(&cx, &options, &r) == ERR_OK);
    return r;
}

/* One request without a socket; *ret_body may be NULL. */
static int ask(struct registry *r, enum http_method method, const char *target, struct str body,
               bool from_peer, struct str *ret_body)
{
    struct http_head head = {.method = method, .target = str_from(target)};
    struct http_answer answer;

    cx.story = (struct story){0};
    str_cut(head.target, '?', &head.path, &head.query);
    head.fields[head.n_fields++] = (struct http_field){STR("Accept"), STR("application/json")};
    head.fields[head.n_fields++] =
        (struct http_field){STR("Content-Type"), STR("application/json")};
    if (from_peer)
        head.fields[head.n_fields++] =
            (struct http_field){STR("x-netflix-discovery-replication"), STR("true")};
    eureka_answer(&cx, r, &head, body, &answer);
    if (ret_body)
        *ret_body = answer.body;
    return answer.status;
}

static struct str instance_text(const char *app, const char *id, const char *status, int64_t dirty)
{
    return arena_printf(
        &arena,
        "{\"instance\":{\"instanceId\":\"%s\",\"app\":\"%s\",\"hostName\":\"h\",\"ipAddr\":\"1.2.3."
        "4\","
        "\"status\":\"%s\",\"port\":{\"$\":80,\"@enabled\":\"true\"},\"lastDirtyTimestamp\":"
        "%" PRId64
        ",\"dataCenterInfo\":{\"name\":\"MyOwn\"},\"metadata\":{\"internalPort\":\"81\"}}}",
        id, app, status, dirty);
}

static void enrol(struct registry *r, const char *app, const char *id)
{
    const char *path = arena_printf(&arena, "/eureka/apps/%s", app).p;

    CHECK_INT(ask(r, HTTP_POST, path, instance_text(app, id, "UP", 1), false, NULL), 204);
}

static int renew(struct registry *r, const char *app, const char *id)
{
    return ask(r, HTTP_PUT, arena_printf(&arena, "/eureka/apps/%s/%s", app, id).p, STR_NONE, false,
               NULL);
}

static int get(struct registry *r, const char *path, struct str *ret_body)
{
    return ask(r, HTTP_GET, path, STR_NONE, false, ret_body);
}

static bool holds(struct str text, const char *part)
{
    return str_find(text, str_from(part)) != SIZE_MAX;
}

/* The example of the wire, byte for byte. */
static void golden(void)
{
    struct registry *r = open_registry((struct registry_options){0});
    struct str body, sent = STR("{\"instance\":{\"instanceId\":\"r1\",\"app\":\"raw\",\"hostName\":"
                                "\"127.0.0.1\",\"ipAddr\":\"127.0.0.1\","
                                "\"port\":{\"$\":\"8080\",\"@enabled\":true},\"securePort\":{\"$\":"
                                "443,\"@enabled\":\"false\"},\"vipAddress\":\"raw,other\","
                                "\"secureVipAddress\":\"raws\",\"dataCenterInfo\":{\"@class\":"
                                "\"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo\","
                                "\"name\":\"MyOwn\"},\"metadata\":{\"zone\":\"a\"},"
                                "\"lastDirtyTimestamp\":1795420607947,\"actionType\":null}}");

    CHECK_INT(ask(r, HTTP_POST, "/eureka/apps/RAW", sent, false, &body), 204);
    CHECK_INT(body.n, 0);
    CHECK_INT(get(r, "/eureka/apps/RAW/r1", &body), 200);
    CHECK_STR(body, "{\"instance\":{\"instanceId\":\"r1\",\"hostName\":\"127.0.0.1\",\"app\":"
                    "\"RAW\",\"ipAddr\":\"127.0.0.1\",\"status\":\"UP\","
                    "\"overriddenStatus\":\"UNKNOWN\",\"port\":{\"$\":8080,\"@enabled\":\"true\"},"
                    "\"securePort\":{\"$\":443,\"@enabled\":\"false\"},"
                    "\"countryId\":1,\"dataCenterInfo\":{\"@class\":\"com.netflix.appinfo."
                    "InstanceInfo$DefaultDataCenterInfo\",\"name\":\"MyOwn\"},"
                    "\"leaseInfo\":{\"renewalIntervalInSecs\":30,\"durationInSecs\":90,"
                    "\"registrationTimestamp\":1795420607947,"
                    "\"lastRenewalTimestamp\":1795420607947,\"evictionTimestamp\":0,"
                    "\"serviceUpTimestamp\":1795420607947},\"metadata\":{\"zone\":\"a\"},"
                    "\"vipAddress\":\"raw,other\",\"secureVipAddress\":\"raws\","
                    "\"isCoordinatingDiscoveryServer\":\"false\","
                    "\"lastUpdatedTimestamp\":\"1795420607947\",\"lastDirtyTimestamp\":"
                    "\"1795420607947\",\"actionType\":\"ADDED\"}}");
    CHECK_INT(get(r, "/eureka/vips/other", &body), 200);
    CHECK(str_starts(body, STR("{\"applications\":{\"versions__delta\":\"-1\",\"apps__hashcode\":"
                               "\"UP_1_\",\"application\":[{\"name\":\"RAW\",\"instance\":[{")));
    CHECK_INT(get(r, "/eureka/svips/other", &body), 200);
    CHECK_STR(body, "{\"applications\":{\"versions__delta\":\"-1\",\"apps__hashcode\":\"\","
                    "\"application\":[]}}");
    registry_close(r);
}

static void hash_code(void)
{
    struct registry *r = open_registry((struct registry_options){0});
    struct str body;

    CHECK_INT(get(r, "/eureka/apps", &body), 200);
    CHECK_STR(body, "{\"applications\":{\"versions__delta\":\"1\",\"apps__hashcode\":\"\","
                    "\"application\":[]}}");
    enrol(r, "A", "1");
    enrol(r, "A", "2");
    enrol(r, "B", "1");
    CHECK_STR(registry_hash(&cx, r), "UP_3_");
    CHECK_INT(
        ask(r, HTTP_PUT, "/eureka/apps/A/2/status?value=OUT_OF_SERVICE", STR_NONE, false, NULL),
        200);
    CHECK_STR(registry_hash(&cx, r), "OUT_OF_SERVICE_1_UP_2_");
    CHECK_INT(
        ask(r, HTTP_POST, "/eureka/apps/C", instance_text("C", "1", "STARTING", 1), false, NULL),
        204);
    CHECK_INT(ask(r, HTTP_POST, "/eureka/apps/D", instance_text("D", "1", "DOWN", 1), false, NULL),
              204);
    CHECK_STR(registry_hash(&cx, r), "DOWN_1_OUT_OF_SERVICE_1_STARTING_1_UP_2_");
    /* The changes carry the hash of all; they are forgotten after three minutes. */
    CHECK_INT(get(r, "/eureka/apps/delta", &body), 200);
    CHECK(holds(body, "\"apps__hashcode\":\"DOWN_1_OUT_OF_SERVICE_1_STARTING_1_UP_2_\""));
    CHECK(holds(body, "\"actionType\":\"MODIFIED\"") && holds(body, "\"name\":\"C\""));
    pass_s(170);
    CHECK_INT(ask(r, HTTP_DELETE, "/eureka/apps/C/1", STR_NONE, false, NULL), 200);
    pass_s(11);
    CHECK_INT(get(r, "/eureka/apps/delta", &body), 200);
    CHECK(holds(body, "\"name\":\"C\"") && holds(body, "\"DELETED\"") &&
          !holds(body, "\"name\":\"A\""));
    registry_close(r);
}

/* Ten renew; then some fall silent. */
static void renew_minutes(struct registry *r, int from, int to, int minutes)
{
    char id[12];

    for (int half = 0; half < 2 * minutes; half++) {
        pass_s(30);
        fresh();
        for (int i = from; i < to; i++) {
            snprintf(id, sizeof id, "%d", i);
            CHECK_INT(renew(r, "APP", id), 200);
        }
    }
}

static void enrol_ten(struct registry *r)
{
    char id[12];

    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "%d", i);
        enrol(r, "APP", id);
    }
}

static void one_dies(void)
{
    struct registry *r = open_registry((struct registry_options){0});
    struct str body;

    enrol_ten(r);
    renew_minutes(r, 0, 10, 2);
    renew_minutes(r, 1, 10, 2);
    CHECK_INT(get(r, "/eureka/apps/APP/0", NULL), 404);
    pass_s(20);
    CHECK_STR(registry_hash(&cx, r), "UP_9_");
    CHECK_INT(get(r, "/eureka/apps/delta", &body), 200);
    CHECK(holds(body, "\"actionType\":\"DELETED\"") && holds(body, "\"apps__hashcode\":\"UP_9_\""));
    CHECK_INT(renew(r, "APP", "0"), 404); /* and so it registers again */
    enrol(r, "APP", "0");
    CHECK_STR(registry_hash(&cx, r), "UP_10_");
    registry_close(r);
}

static void many_fall_silent(void)
{
    struct registry *r = open_registry((struct registry_options){0});

    enrol_ten(r);
    renew_minutes(r, 0, 10, 2);
    renew_minutes(r, 5, 10, 5); /* half of them: more likely the network */
    CHECK_STR(registry_hash(&cx, r), "UP_10_");
    CHECK_INT(get(r, "/eureka/apps/APP/0", NULL), 200);
    CHECK(!registry_figures(&cx, r).evicting);
    registry_close(r);

    r = open_registry((struct registry_options){.evict_always = true});
    enrol_ten(r);
    renew_minutes(r, 0, 10, 2);
    renew_minutes(r, 5, 10, 2);
    CHECK_STR(registry_hash(&cx, r), "UP_8_"); /* a round takes 15 of 100 at most */
    renew_minutes(r, 5, 10, 5);
    CHECK_STR(registry_hash(&cx, r), "UP_5_");
    registry_close(r);
}

static void a_clock_set_back_holds_up_no_end(void)
{
    struct registry *r = open_registry((struct registry_options){0});
    struct str body;

    enrol_ten(r);
    renew_minutes(r, 0, 10, 2);
    pass_s(-600);
    CHECK_STR(registry_hash(&cx, r), "UP_10_"); /* it looks at the clock twice a second */
    renew_minutes(r, 1, 10, 1);
    CHECK_STR(registry_hash(&cx, r), "UP_10_"); /* within its lease, as without the step */
    renew_minutes(r, 1, 10, 1);
    pass_s(20);
    CHECK_STR(registry_hash(&cx, r), "UP_9_");
    CHECK_INT(get(r, "/eureka/apps/APP/0", NULL), 404);
    pass_s(-600);
    renew_minutes(r, 1, 10, 4);
    fresh();
    CHECK_INT(get(r, "/eureka/apps/delta", &body), 200); /* nor what was told long ago */
    CHECK(!holds(body, "\"actionType\":\"DELETED\""));
    registry_close(r);
}

static void renewals(void)
{
    struct registry *r = open_registry((struct registry_options){0});
    struct str body;

    CHECK_INT(ask(r, HTTP_POST, "/eureka/apps/A", instance_text("A", "1", "UP", 50), false, NULL),
              204);
    CHECK_INT(ask(r, HTTP_PUT, "/eureka/apps/A/1?lastDirtyTimestamp=49", STR_NONE, false, NULL),
              200);
    CHECK_INT(ask(r, HTTP_PUT, "/eureka/apps/A/1?lastDirtyTimestamp=51", STR_NONE, false, NULL),
              404);
    CHECK_INT(ask(r, HTTP_PUT, "/eureka/apps/A/1?lastDirtyTimestamp=49", STR_NONE, true, &body),
              409);
    CHECK(holds(body, "\"lastDirtyTimestamp\":\"50\""));
    /* An older copy changes nothing of a newer one. */
    CHECK_INT(ask(r, HTTP_POST, "/eureka/apps/A", instance_text("A", "1", "DOWN", 49), false, NULL),
              204);
    CHECK_STR(registry_hash(&cx, r), "UP_1_");
    registry_close(r);
}

static void bounds(void)
{
    struct registry *r = open_registry((struct registry_options){0});
    struct instance is;
    char id[16];
    int taken = 0;
    enum err e = ERR_OK;

    CHECK(instance_decode(&cx, instance_text("A", "x", "UP", 1), &is) == ERR_OK);
    for (; e == ERR_OK && taken <= REGISTRY_INSTANCES_MAX; taken += e == ERR_OK) {
        arena_reset(&arena);
        CHECK(instance_decode(&cx, instance_text("A", "x", "UP", 1), &is) == ERR_OK);
        snprintf(id, sizeof id, "%d", taken);
        is.id = str_from(id);
        e = registry_register(&cx, r, &is, FROM_CLIENT);
    }
    CHECK(e == ERR_BUSY);
    CHECK_INT(taken, REGISTRY_INSTANCES_MAX);
    /* One that has left makes room, although the changes still tell of it. */
    CHECK(registry_cancel(&cx, r, STR("A"), STR("7"), FROM_CLIENT) == ERR_OK);
    is.id = STR("new");
    CHECK(registry_register(&cx, r, &is, FROM_CLIENT) == ERR_OK);
    CHECK_INT(get(r, "/eureka/apps/", NULL), 200);
    registry_close(r);
}

/* The network between servers and clients: URLs whose host is "a" or "b" reach a registry. */
struct net {
    struct registry *a, *b;
    int calls;
};

static enum err carry(void *arg, struct ctx *from, const struct http_call *call,
                      struct http_result *ret)
{
    struct net *net = arg;
    struct str url = str_from(call->url);
    struct registry *r = str_starts(url, STR("http://a/")) ? net->a : net->b;
    bool peer = call->headers && call->headers[0] && call->headers[1];

    net->calls++;
    if (!r)
        return fail(from, ERR_UNAVAILABLE, "connection refused");
    ret->status = ask(r, call->method, call->url + 8, call->body, peer, &ret->body);
    return ERR_OK;
}

static void two_servers(void)
{
    const struct registry_options one_peer = {.n_peers = 1};
    struct net net = {.a = open_registry(one_peer)};
    struct registry *b = open_registry(one_peer);
    struct replicas to_b = {
        .registry = net.a, .urls = {STR("http://b/eureka")}, .n = 1, .call = carry, .arg = &net};
    struct replicas to_a = {
        .registry = b, .urls = {STR("http://a/eureka")}, .n = 1, .call = carry, .arg = &net};

    enrol(net.a, "APP", "1");
    replicas_turn(&cx, &to_b); /* b is away: a still owes it */
    net.b = b;
    replicas_turn(&cx, &to_b);
    CHECK_STR(registry_hash(&cx, b), "UP_1_");
    net.calls = 0;
    replicas_turn(&cx, &to_a); /* what came from a peer is not told on */
    CHECK_INT(net.calls, 0);
    CHECK_INT(
        ask(b, HTTP_PUT, "/eureka/apps/APP/1/status?value=OUT_OF_SERVICE", STR_NONE, false, NULL),
        200);
    replicas_turn(&cx, &to_a);
    CHECK_STR(registry_hash(&cx, net.a), "OUT_OF_SERVICE_1_");
    CHECK_INT(ask(b, HTTP_DELETE, "/eureka/apps/APP/1/status?value=UP", STR_NONE, false, NULL),
              200);
    replicas_turn(&cx, &to_a);
    CHECK_STR(registry_hash(&cx, net.a), "UP_1_");
    /* b loses everything: a renewal is answered 404 there, and a registers it again. */
    registry_close(b);
    net.b = b = open_registry(one_peer);
    CHECK_INT(renew(net.a, "APP", "1"), 200);
    replicas_turn(&cx, &to_b);
    replicas_turn(&cx, &to_b);
    CHECK_STR(registry_hash(&cx, b), "UP_1_");
    CHECK_INT(ask(net.a, HTTP_DELETE, "/eureka/apps/APP/1", STR_NONE, false, NULL), 200);
    replicas_turn(&cx, &to_b);
    CHECK_STR(registry_hash(&cx, b), "");
    /* A server that starts takes over what the others know. */
    enrol(net.a, "APP", "2");
    struct replicas starting = {
        .registry = b, .urls = {STR("http://a/eureka")}, .n = 1, .call = carry, .arg = &net};
    replicas_sync(&cx, &starting);
    CHECK(starting.synced);
    CHECK_STR(registry_hash(&cx, b), "UP_1_");
    registry_close(net.a);
    registry_close(b);
}

/* What the peer is owed, in order: "REGISTER STATUS ". */
static struct str owed(struct registry *r)
{
    static const char *const names[] = {"REGISTER", "STATUS", "DELETE_STATUS", "HEARTBEAT",
                                        "CANCEL"};
    struct list items = registry_pending(&cx, r, 0, 10);
    struct buf b;

    buf_init_arena(&b, &arena, 256);
    for (size_t i = 0; i < items.n; i++)
        buf_printf(&b, "%s ", names[LIST_AT(struct peer_item, items, i)->action]);
    return b.n ? buf_str(&b) : STR("");
}

static void override(struct registry *r, enum http_method method, const char *value)
{
    const char *path = arena_printf(&arena, "/eureka/apps/A/1/status?value=%s", value).p;

    CHECK_INT(ask(r, method, path, STR_NONE, false, NULL), 200);
}

static void a_peer_is_told_how_it_stands(void)
{
    struct registry *r = open_registry((struct registry_options){.n_peers = 1});

    enrol(r, "A", "1");
    CHECK_STR(owed(r), "REGISTER ");
    CHECK_INT(ask(r, HTTP_DELETE, "/eureka/apps/A/1", STR_NONE, false, NULL), 200);
    enrol(r, "A", "1"); /* it lives: of its end the peer need not hear */
    CHECK_STR(owed(r), "REGISTER ");
    CHECK_INT(ask(r, HTTP_DELETE, "/eureka/apps/A/1", STR_NONE, false, NULL), 200);
    CHECK_STR(owed(r), "CANCEL ");
    enrol(r, "A", "1");
    CHECK_STR(owed(r), "REGISTER ");
    override(r, HTTP_PUT, "OUT_OF_SERVICE");
    override(r, HTTP_DELETE, "UP");
    CHECK_STR(owed(r), "DELETE_STATUS ");
    override(r, HTTP_DELETE, "UP");
    override(r, HTTP_PUT, "OUT_OF_SERVICE");
    CHECK_STR(owed(r), "STATUS ");
    override(r, HTTP_DELETE, "UP"); /* while the peer could not be told of the override */
    registry_owe(r, 0, STR("A"), STR("1"), PEER_STATUS);
    CHECK_STR(owed(r), "DELETE_STATUS ");
    registry_owe(r, 0, STR("A"), STR("1"), PEER_DELETE_STATUS);
    CHECK_STR(owed(r), "DELETE_STATUS ");
    registry_close(r);
}

static struct str heard;

static void on_found(void *arg, struct str service, const struct str *addresses,
                     const struct str *open, size_t n)
{
    *(int *)arg += 1;
    heard = arena_printf(&arena, "%.*s %zu %.*s %.*s", STR_ARG(service), n, STR_ARG(addresses[0]),
                         STR_ARG(open[0]));
}

static void our_client(void)
{
    int told = 0;
    struct net net = {.a = open_registry((struct registry_options){0})};
    struct client *c = NULL;
    const struct client_options options = {
        .urls = STR("http://b/eureka,http://a/eureka/"),
        .host = STR("10.0.0.1"),
        .port = 8080,
        .internal_port = 8081,
        .every_s = 30,
        .services = {STR("order"), STR("payment")},
        .n_services = 2,
        .wanted = {STR("store")},
        .n_wanted = 1,
        .found = on_found,
        .found_arg = &told,
        .call = carry,
        .call_arg = &net,
    };
    struct str body;

    CHECK(client_open(&cx, &options, &c) == ERR_OK);
    client_turn(&cx, c); /* the first server is away, the second one takes it */
    CHECK_INT(client_figures(&cx, c).registered, 2);
    CHECK_INT(get(net.a, "/eureka/apps/ORDER/10.0.0.1:order:8080", &body), 200);
    CHECK(holds(body, "\"port\":{\"$\":8080,\"@enabled\":\"true\"}") &&
          holds(body, "\"metadata\":{\"internalPort\":\"8081\"}"));
    CHECK(holds(body, "\"healthCheckUrl\":\"http://10.0.0.1:8081/readyz\"") &&
          holds(body, "\"durationInSecs\":90"));
    CHECK_INT(client_figures(&cx, c).fulls, 1);
    enrol(net.a, "STORE", "s1");
    pass_s(30);
    client_turn(&cx, c);
    CHECK_INT(told, 1);
    CHECK_STR(heard, "store 1 h:81 h:80");
    CHECK_INT(client_figures(&cx, c).fulls, 1); /* a delta was enough */
    CHECK_INT(client_figures(&cx, c).instances, 3);

    net.b = NULL;
    struct registry *a = net.a;
    net.a = NULL; /* nobody answers: what was known stays */
    pass_s(30);
    client_turn(&cx, c);
    CHECK_INT(client_figures(&cx, c).instances, 3);
    CHECK_INT(told, 1);
    registry_close(a); /* back, but empty: it registers again, and its list does not add up */
    net.a = open_registry((struct registry_options){0});
    pass_s(30);
    client_turn(&cx, c);
    CHECK_INT(client_figures(&cx, c).registered, 2);
    CHECK_STR(registry_hash(&cx, net.a), "UP_2_");
    CHECK_INT(client_figures(&cx, c).fulls, 2);
    CHECK_INT(client_figures(&cx, c).instances, 2);
    CHECK_INT(told, 1); /* an empty list replaces nothing */
    client_leave(&cx, c);
    CHECK_STR(registry_hash(&cx, net.a), "");
    client_close(c);
    registry_close(net.a);
    const struct client_options bad = {.urls = STR("ftp://x")};
    CHECK(client_open(&cx, &bad, &c) == ERR_INVALID);
}

static void our_client_and_a_clock_set_back(void)
{
    struct net net = {.a = open_registry((struct registry_options){0})};
    struct client *c = NULL;
    const struct client_options options = {
        .urls = STR("http://a/eureka"),
        .host = STR("10.0.0.1"),
        .port = 8080,
        .internal_port = 8081,
        .every_s = 30,
        .services = {STR("order")},
        .n_services = 1,
        .call = carry,
        .call_arg = &net,
    };

    CHECK(client_open(&cx, &options, &c) == ERR_OK);
    client_turn(&cx, c);
    CHECK_INT(net.calls, 2); /* it registers, and looks */
    pass_s(-600);
    client_turn(&cx, c);
    CHECK_INT(net.calls, 4);
    pass_s(29);
    client_turn(&cx, c); /* from then on as ever */
    CHECK_INT(net.calls, 4);
    pass_s(1);
    client_turn(&cx, c);
    CHECK_INT(net.calls, 6);
    client_close(c);
    registry_close(net.a);
}

/* A list fits in its buffer in both forms, whatever must be escaped in it. */
static void escapes(void)
{
    struct registry *r = open_registry((struct registry_options){.n_peers = 1});
    struct instance is;
    struct buf b;
    char value[1501], id[513];

    memset(value, '\'', 1500);
    memset(id, '"', 512);
    value[1500] = id[512] = '\0';
    CHECK(instance_decode(&cx, instance_text("A", "x", "UP", 1), &is) == ERR_OK);
    is.id = str_from(id);
    is.app = (struct str){id, 128};
    struct pair one = {STR("k"), str_from(value)};
    is.metadata = (struct list){&one, 1};
    CHECK(registry_register(&cx, r, &is, FROM_CLIENT) == ERR_OK);
    for (enum wire_form form = FORM_JSON; form <= FORM_XML; form++) {
        struct writer w = {.b = &b, .form = form};
        CHECK(registry_write(&cx, r, VIEW_ALL, STR_NONE, STR_NONE, &w) == ERR_OK);
        CHECK(!b.overflow);
    }
    struct list owed = registry_pending(&cx, r, 0, 10);
    CHECK_INT(owed.n, 1);
    CHECK(json_is_valid(batch_write(&cx, owed)));
    const struct pair many[2] = {{STR("a"), str_from(value)}, {STR("b"), str_from(value)}};
    is.metadata = (struct list){(void *)(uintptr_t)many, 2};
    CHECK(registry_register(&cx, r, &is, FROM_CLIENT) == ERR_TOO_LARGE);
    registry_close(r);
}

static void xml_means_json(void)
{
    static const char *const pairs[][2] = {
        {"<a/>", "{\"a\":\"\"}"},
        {"<a><b x='1'>2</b><c>3</c><d/></a>",
         "{\"a\":{\"b\":{\"@x\":\"1\",\"$\":\"2\"},\"c\":\"3\",\"d\":\"\"}}"},
        {"<?xml version='1.0'?>\n<!-- c --><a> <b>&lt;&#65;&#x42;&quot;</b> </a>\n",
         "{\"a\":{\"b\":\"<AB\\\"\"}}"},
        {"<a b=\"&amp;\"/>", "{\"a\":{\"@b\":\"&\"}}"},
    };
    static const char *const wrong[] = {
        "",
        "a",
        "<a",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a>&nbsp;</a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&#xFFFFFFFFF;</a>",
        "<a x=1/>",
        "<a x='<'/>",
        "<!DOCTYPE a><a/>",
        "<a><?php ?></a>",
        "<a><!-- -- --></a>",
        "<a>\x01</a>",
        "<a>\xff</a>",
        "<1/>",
        "<a>t<b/></a>",
    };
    struct str json;

    fresh();
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        CHECK(xml_to_json(&cx, str_from(pairs[i][0]), &json) == ERR_OK);
        CHECK_STR(json, pairs[i][1]);
    }
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        CHECK(xml_to_json(&cx, str_from(wrong[i]), &json) == ERR_MALFORMED);
    CHECK(xml_to_json(&cx, (struct str){"<a>\0</a>", 8}, &json) == ERR_MALFORMED);
}

int main(void)
{
    arena_init(&arena, 256u << 20);
    rng_seed(&rng, 1);
    RUN(golden);
    RUN(hash_code);
    RUN(one_dies);
    RUN(many_fall_silent);
    RUN(a_clock_set_back_holds_up_no_end);
    RUN(renewals);
    RUN(bounds);
    RUN(escapes);
    RUN(two_servers);
    RUN(a_peer_is_told_how_it_stands);
    RUN(our_client);
    RUN(our_client_and_a_clock_set_back);
    RUN(xml_means_json);
    arena_release(&arena);
    return test_end();
}
