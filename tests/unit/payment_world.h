/* payment_world.h -- the order and payment services and the simulated provider under a virtual
 * clock, with a network between them that loses what the test says. */
#pragma once

#include "order/order.h"
#include "test.h"

#include <ftw.h>
#include <unistd.h>

/* Their headers name states as that of the order service does. */
extern const struct service payment_service, toss_service;

enum weather { FAIR, LOST_BEFORE, LOST_AFTER, LOCKED_OUT }; /* the last: our key is refused */

static struct {
    struct clock clock;
    struct arena arena;
    struct platform *p;
    char dir[64];
    enum weather weather;
    int64_t keys, jump_us; /* jump_us: passes while the next confirm is on its way back */
    int confirms, looks, cancels, webhooks;
    struct uuid customer, owner, store_id, admin;
    struct str body; /* of the last answer */
} w;

struct note {
    struct uuid order_id, reservation_id;
};
static const struct field note_fields[] = {
    F_UUID(struct note, order_id, "orderId", 0, ""),
    F_UUID(struct note, reservation_id, "reservationId", 0, ""),
    F_END(struct note),
};

static enum err store_reserves(struct ctx *cx, const struct event *e, const void *data)
{
    struct note n = *(const struct note *)data;

    (void)e;
    n.reservation_id = ctx_uuid(cx);
    return outbox_append(cx, "stock.reserved", n.order_id, note_fields, &n);
}

static enum err store_releases(struct ctx *cx, const struct event *e, const void *data)
{
    const struct note *n = data;

    (void)e;
    return outbox_append(cx, "stock.released", n->order_id, note_fields, n);
}

static const struct migration no_tables[] = {{NULL, NULL}};
static const char *const order_topic[] = {"order", NULL};
static const struct route no_routes[] = {{0}};
static const struct consumer store_side[] = {
    {"order.stock_requested", store_reserves, note_fields, ""},
    {"order.stock_release_requested", store_releases, note_fields, ""},
    {0},
};
static const struct service fake_store = {.name = "store",
                                          .routes = no_routes,
                                          .topics = order_topic,
                                          .consumers = store_side,
                                          .migrations = no_tables};
static const struct service fake_auth = {
    .name = "auth", .routes = no_routes, .migrations = no_tables};
static const struct service *const services[] = {&order_service, &payment_service, &toss_service,
                                                 &fake_store,    &fake_auth,       NULL};
#define SERVICES 5

static struct ctx ctx_of(const char *service)
{
    struct ctx cx;

    platform_ctx(w.p, platform_service(w.p, service), &w.arena, &cx);
    return cx;
}

static const char *id_text(struct uuid id)
{
    struct ctx cx = ctx_of("order");
    return ctx_uuid_text(&cx, id);
}

static bool starts(const char *text, const char *with, struct str *ret_rest)
{
    struct str all = str_from(text), head = str_from(with);

    if (!str_starts(all, head))
        return false;
    *ret_rest = (struct str){all.p + head.n, all.n - head.n};
    return true;
}

static void count(enum http_method method, const char *path)
{
    if (strstr(path, "/webhooks/"))
        w.webhooks++;
    else if (method == HTTP_GET)
        w.looks++;
    else if (strstr(path, "/cancel"))
        w.cancels++;
    else
        w.confirms++;
}

/* The network between us and the provider; webhooks always arrive. */
static enum err outside(void *arg, struct ctx *cx, const struct http_call *call,
                        struct http_result *ret)
{
    const struct caller guest = {.role = GUEST};
    struct http_field fields[8];
    struct local_request rq = {.method = call->method,
                               .path = call->url,
                               .body = call->body,
                               .headers = fields,
                               .as = &guest};
    struct str path;

    (void)arg;
    bool to_us = starts(call->url, "http://jumun.invalid", &path);
    if (!to_us && !starts(call->url, "http://toss.invalid", &path))
        return fail(cx, ERR_INTERNAL, "call to %s", call->url);
    rq.path = arena_cstr(cx->arena, path);
    rq.listener = to_us ? 0 : 2;
    for (size_t i = 0; call->headers && call->headers[i]; i++) {
        struct str name, value;
        str_cut(str_from(call->headers[i]), ':', &name, &value);
        fields[rq.n_headers++] = (struct http_field){name, str_trim(value)};
    }
    count(call->method, rq.path);
    if (!to_us && w.weather == LOST_BEFORE)
        return fail(cx, ERR_PROVIDER, "lost on the way there");
    if (!to_us && w.weather == LOCKED_OUT) {
        *ret = (struct http_result){.status = 400, .body = STR("{\"code\":\"INVALID_API_KEY\"}")};
        return ERR_OK;
    }
    if (platform_request(w.p, cx->arena, &rq, &ret->status, &ret->body) == ERR_UNAVAILABLE)
        ret->status = 503;
    if (!to_us && call->method == HTTP_POST) {
        w.clock.virtual_us += w.jump_us;
        w.jump_us = 0;
    }
    if (!to_us && w.weather == LOST_AFTER)
        return fail(cx, ERR_PROVIDER, "lost on the way back");
    return ERR_OK;
}

/* Until nothing is left to do at this moment. */
static void settle(void)
{
    bool any = true;

    for (int round = 0; any && round < 1000; round++) {
        any = false;
        for (size_t n = 0; n < SERVICES; n++)
            for (int kind = TURN_RELAY; kind <= TURN_TIMERS; kind++) {
                bool did = false;
                CHECK(platform_turn(w.p, n, kind, &did) == ERR_OK);
                any |= did;
            }
    }
    CHECK(!any);
}

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void world_open(void)
{
    struct rng rng;
    struct ctx cx = {.arena = &w.arena, .rng = &rng};

    memset(&w, 0, sizeof w);
    rng_seed(&rng, 7);
    w.clock = (struct clock){true, INT64_C(1763870400) * US_PER_S};
    arena_init(&w.arena, 512u * 1024 * 1024);
    cx.clock = &w.clock;
    snprintf(w.dir, sizeof w.dir, "/tmp/payment_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(w.dir),
                                             .clock = &w.clock,
                                             .seed = 7,
                                             .issuer = STR("http://localhost"),
                                             .toss_url = STR("http://toss.invalid"),
                                             .toss_secret_key = STR("test_sk_jumun"),
                                             .toss_client_key = STR("test_ck_jumun"),
                                             .outside = outside};
    if (platform_start(&cx, &options, &w.p) != ERR_OK) {
        printf("# %s\n", cx.story.detail);
        abort();
    }
    cx = ctx_of("order");
    w.customer = ctx_uuid(&cx), w.owner = ctx_uuid(&cx), w.store_id = ctx_uuid(&cx);
    w.admin = ctx_uuid(&cx);
}
