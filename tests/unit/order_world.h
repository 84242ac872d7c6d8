/* order_world.h -- the order service alone under a virtual clock, between a store and a payment
 * service that do what the test says. */
#pragma once

#include "order/order.h"
#include "test.h"

#include <ftw.h>
#include <unistd.h>

enum answers { YES, NO, SILENCE };

/* The world around the order service. */
static struct {
    struct clock clock;
    struct arena arena;
    struct platform *p;
    char dir[64];
    enum answers store, release, refund;
    int stock_asked, release_asked, refund_asked, reminders;
    int64_t keys;
    void (*address_asked)(void); /* before the user service answers */
    bool fails;                  /* every third fault point, about, fails */
    bool bus_away;
    uint64_t luck;
    int fired;
    struct uuid customer, other_customer, owner, other_owner, store_id, admin;
} w;

struct note {
    struct uuid order_id, payment_id, refund_id, reservation_id;
    int64_t amount_won;
    struct str reason, code;
};
static const struct field note_fields[] = {
    F_UUID(struct note, order_id, "orderId", 0, ""),
    F_UUID(struct note, payment_id, "paymentId", 0, ""),
    F_UUID(struct note, refund_id, "refundId", 0, ""),
    F_UUID(struct note, reservation_id, "reservationId", 0, ""),
    F_WON(struct note, amount_won, "amountWon", 0, ""),
    F_STR(struct note, reason, "reason", 0, 0, 200, ""),
    F_STR(struct note, code, "code", 0, 0, 200, ""),
    F_END(struct note),
};

static enum err store_on_request(struct ctx *cx, const struct event *e, const void *data)
{
    struct note n = *(const struct note *)data;

    (void)e;
    w.stock_asked++;
    if (w.store == SILENCE)
        return ERR_OK;
    n.reservation_id = ctx_uuid(cx);
    n.reason = STR("STOCK_SHORT");
    return outbox_append(cx, w.store == YES ? "stock.reserved" : "stock.refused", n.order_id,
                         note_fields, &n);
}

static enum err store_on_release(struct ctx *cx, const struct event *e, const void *data)
{
    const struct note *n = data;

    (void)e;
    w.release_asked++;
    return w.release == YES ? outbox_append(cx, "stock.released", n->order_id, note_fields, n)
                            : ERR_OK;
}

static enum err payment_on_refund(struct ctx *cx, const struct event *e, const void *data)
{
    struct note n = *(const struct note *)data;

    (void)e;
    w.refund_asked++;
    n.refund_id = ctx_uuid(cx);
    return w.refund == YES ? outbox_append(cx, "payment.refunded", n.order_id, note_fields, &n)
                           : ERR_OK;
}

static enum err on_reminded(struct ctx *cx, const struct event *e, const void *data)
{
    (void)cx, (void)e, (void)data;
    w.reminders++;
    return ERR_OK;
}

static const struct migration no_tables[] = {{NULL, NULL}};
static const char *const order_topic[] = {"order", NULL};
static const struct route no_routes[] = {{0}};
static const struct consumer store_side[] = {
    {"order.stock_requested", store_on_request, note_fields, ""},
    {"order.stock_release_requested", store_on_release, note_fields, ""},
    {"order.waiting_for_owner", on_reminded, NULL, ""},
    {0},
};
static const struct consumer payment_side[] = {
    {"order.refund_requested", payment_on_refund, note_fields, ""},
    {0},
};
static const struct service fake_store = {.name = "store",
                                          .routes = no_routes,
                                          .topics = order_topic,
                                          .consumers = store_side,
                                          .migrations = no_tables};
static const struct service fake_payment = {.name = "payment",
                                            .routes = no_routes,
                                            .topics = order_topic,
                                            .consumers = payment_side,
                                            .migrations = no_tables};
static const struct service fake_auth = {
    .name = "auth", .routes = no_routes, .migrations = no_tables};

static enum err user_address(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct str body = arena_printf(cx->arena,
                                   "{\"addressId\":\"%s\",\"address1\":\"1\",\"zipCode\":\"06236\","
                                   "\"latitude\":0,\"longitude\":0}",
                                   ctx_uuid_text(cx, rq->id[1]));

    if (w.address_asked)
        w.address_asked();
    return reply_json(cx, rp, 200, body);
}

static const struct route user_routes[] = {
    {HTTP_GET, "/internal/v1/users/{userId}/addresses/{addressId}", SERVICE, user_address, NULL,
     NULL, NULL, INTERNAL, 200, NULL, ""},
    {0},
};
static const struct service fake_user = {
    .name = "user", .routes = user_routes, .migrations = no_tables};
static const struct service *const services[] = {&order_service, &fake_store, &fake_payment,
                                                 &fake_auth,     &fake_user,  NULL};
#define SERVICES 5

static struct ctx ctx_of(const char *service)
{
    struct ctx cx;

    platform_ctx(w.p, platform_service(w.p, service), &w.arena, &cx);
    return cx;
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
                if (w.bus_away && kind == TURN_RELAY)
                    continue;
                enum err e = platform_turn(w.p, n, kind, &did);
                CHECK(e == ERR_OK || w.fails);
                any |= did || e != ERR_OK;
            }
    }
    CHECK(!any);
}

static void pass(int64_t us)
{
    w.clock.virtual_us += us;
    settle();
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
    arena_init(&w.arena, 256u * 1024 * 1024);
    cx.clock = &w.clock;
    snprintf(w.dir, sizeof w.dir, "/tmp/order_saga_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(w.dir),
                                             .clock = &w.clock,
                                             .seed = 7,
                                             .issuer = STR("http://localhost")};
    enum err e = platform_start(&cx, &options, &w.p);
    if (e != ERR_OK) {
        printf("# %s\n", cx.story.detail);
        abort();
    }
    cx = ctx_of("order");
    w.customer = ctx_uuid(&cx), w.other_customer = ctx_uuid(&cx), w.owner = ctx_uuid(&cx);
    w.other_owner = ctx_uuid(&cx), w.store_id = ctx_uuid(&cx), w.admin = ctx_uuid(&cx);
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx,
                  "insert into store_copies (store_id, owner_id, name, category, minimum_order_won,"
                  " delivery_fee_won, latitude, longitude, radius_m, hours)"
                  " values ($1, $2, 'store', 'chicken', 0, 3000, 0, 0, 1000, '[]')",
                  ARGS(db_uuid(w.store_id), db_uuid(w.owner))) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
}
