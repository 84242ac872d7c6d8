/* order_events_test.c -- events that come twice, cannot be applied or fail half-way; and what
 * others follow. */
#include "unit/order_people.h"

#include "base/fault.h"

static int board_since(const char *last_id)
{
    const struct caller as = {.role = OWNER, .user_id = w.owner};
    struct http_field headers[] = {{STR("Last-Event-ID"), str_from(last_id)}};
    char path[120];
    struct local_request rq = {
        .path = path, .headers = headers, .n_headers = last_id ? 1 : 0, .as = &as};
    int status = 0;

    snprintf(path, sizeof path, "/v1/owner/stores/%s/orders/events", id_text(w.store_id));
    CHECK(platform_request(w.p, &w.arena, &rq, &status, &last_body) == ERR_OK);
    return status;
}

/* The number of a text in the last answer. */
static int times(const char *text)
{
    struct str rest = last_body, needle = str_from(text);
    int n = 0;

    for (size_t at; (at = str_find(rest, needle)) != SIZE_MAX; n++)
        rest = (struct str){rest.p + at + needle.n, rest.n - at - needle.n};
    return n;
}

static void the_board_has_positions(void)
{
    world_open();
    struct uuid unpaid = place(), id = place_paid();
    CHECK_INT(board_since(NULL), 200);
    CHECK_INT(times("\"orderId\""), 1); /* unpaid ones and steps before payment are not on it */
    CHECK(said("\"status\":\"PAID\""));
    CHECK_INT(shop(w.owner, id, "/accept", "{\"minutes\":30}"), 200);
    struct uuid second = place_paid();
    pass(3 * US_PER_MIN);
    CHECK_INT(board_since("1"), 200); /* accepted, paid, waiting */
    CHECK_INT(times("\"orderId\""), 3);
    CHECK_INT(times("\"event\":\"waiting\""), 1);
    CHECK_INT(board_since("4"), 200);
    CHECK_INT(times("\"orderId\""), 0);
    CHECK_INT(customer(w.customer, id, "/events", NULL), 200);
    CHECK_INT(times("\"orderId\""), 5);
    CHECK_INT(customer(w.customer, unpaid, "/events", NULL), 200);
    CHECK_INT(times("\"orderId\""), 2);
    (void)second;
    world_close();
}

static void what_cannot_be_applied_waits_for_an_operator(void)
{
    const struct caller admin = {.role = ADMIN, .user_id = {{9}}};
    char path[100];

    world_open();
    struct uuid unknown = new_payment(), id = place_paid();
    payment_says("payment.captured", unknown, new_payment(), 1000);
    payment_says("payment.refunded", id, new_payment(), 99000); /* more than was captured */
    CHECK_INT(call(HTTP_GET, "/v1/admin/dead-letters", NULL, &admin), 200);
    CHECK_INT(times("\"id\":\"order-"), 2);
    CHECK_INT(load(id).refunded_won, 0);
    CHECK_INT(call(HTTP_POST, "/v1/admin/dead-letters/order-1/retry", "{}", &admin), 409);
    CHECK_INT(call(HTTP_POST, "/v1/admin/dead-letters/order-1/discard", "{}", &admin), 204);
    CHECK_INT(call(HTTP_POST, "/v1/admin/dead-letters/order-2/discard", "{}", &admin), 204);
    CHECK_INT(call(HTTP_POST, "/v1/admin/dead-letters/order-2/discard", "{}", &admin), 404);
    CHECK_INT(call(HTTP_POST, "/v1/admin/dead-letters/nobody-2/retry", "{}", &admin), 404);
    snprintf(path, sizeof path, "/v1/admin/orders/%s/story", id_text(id));
    CHECK_INT(call(HTTP_GET, path, NULL, &admin), 200);
    CHECK(said("\"order.stock_requested\"") && said("\"order.paid\"") &&
          said("\"kind\":\"order.accept_by\"") && said("\"deadLetters\":[]"));
    CHECK_INT(call(HTTP_GET, "/v1/admin/orders?status=PAID", NULL, &admin), 200);
    CHECK_INT(times("\"orderId\""), 1);
    world_close();
}

struct account_gone {
    struct uuid user_id;
};
static const struct field account_gone_fields[] = {
    F_UUID(struct account_gone, user_id, "userId", REQUIRED, ""),
    F_END(struct account_gone),
};

static bool is_forgotten(struct uuid id)
{
    struct order o = load(id);

    return str_eq(o.address, STR("{}")) && !o.request_message.p;
}

static void withdraw(void)
{
    const struct account_gone gone = {w.customer};
    struct ctx cx = ctx_of("auth");

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(outbox_append(&cx, "auth.account.withdrawn", w.customer, account_gone_fields, &gone) ==
          ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    settle();
}

static void an_hour_passes(void)
{
    bool did;

    CHECK(platform_turn(w.p, 0, TURN_JOBS, &did) == ERR_OK); /* sets the jobs' first time */
    pass(US_PER_HOUR);
    CHECK(platform_turn(w.p, 0, TURN_JOBS, &did) == ERR_OK && did);
}

/* The person goes out of what has ended at once, out of what is under way as soon as it has. */
static void who_withdraws_is_forgotten(void)
{
    world_open();
    struct uuid ended = place(), live = place_paid();
    CHECK_INT(customer(w.customer, ended, "/cancel", "{}"), 200);
    settle();
    CHECK(!is_forgotten(ended));
    withdraw();
    CHECK(is_forgotten(ended) && !is_forgotten(live));
    CHECK_INT(shop(w.owner, live, "/refuse", "{\"reason\":\"x\"}"), 200);
    settle();
    an_hour_passes();
    CHECK_STATUS(live, CANCELLED);
    CHECK(is_forgotten(live));
    CHECK_INT(load(live).refunded_won, 23000);
    world_close();
}

/* The request was on its way when they withdrew, or came from a session that had not heard of it.
 */
static void who_orders_after_withdrawing_is_forgotten(void)
{
    world_open();
    withdraw();
    struct uuid id = place();
    CHECK_INT(customer(w.customer, id, "/cancel", "{}"), 200);
    settle();
    an_hour_passes();
    CHECK(is_forgotten(id));
    an_hour_passes();
    struct ctx cx = ctx_of("order");
    int64_t left = -1;
    CHECK(db_int_of(&cx, &left, "select count(*) from withdrawn", NO_ARGS) == ERR_OK);
    CHECK_INT(left, 0);
    world_close();
}

/* An answer that comes twice, as every event may, is applied once. */
static void doubled_answers(void)
{
    world_open();
    struct uuid id = place();
    struct ctx cx = ctx_of("store");
    struct note n = {.order_id = id, .reason = STR("STOCK_SHORT")};
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(outbox_append(&cx, "stock.reserved", id, note_fields, &n) == ERR_OK);
    CHECK(outbox_append(&cx, "stock.refused", id, note_fields, &n) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    int64_t before = load(id).history_n;
    settle();
    CHECK_STATUS(id, AWAITING_PAYMENT);
    CHECK_INT(load(id).history_n, before);
    world_close();
}

/* Asked twice, since it was slow, a store that was short the first time has some by the second. */
static void refused_and_then_reserved(void)
{
    world_open();
    w.store = SILENCE;
    struct uuid id = place();
    struct ctx cx = ctx_of("store");
    struct note n = {.order_id = id, .reason = STR("STOCK_SHORT")};
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(outbox_append(&cx, "stock.refused", id, note_fields, &n) == ERR_OK);
    CHECK(outbox_append(&cx, "stock.reserved", id, note_fields, &n) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    settle();
    CHECK_STATUS(id, REJECTED);
    CHECK_INT(w.release_asked, 1);
    world_close();
}

static bool now_and_then(void *arg, const char *name)
{
    (void)arg, (void)name;
    w.luck = w.luck * 6364136223846793005u + 1442695040888963407u;
    bool fails = w.fails && (w.luck >> 33) % 3 == 0;
    w.fired += fails;
    return fails;
}

/* How often others were told so. */
static int64_t told(struct uuid id, const char *type)
{
    struct ctx cx = ctx_of("order");
    int64_t n = 0;

    CHECK(db_int_of(&cx, &n, "select count(*) from outbox where aggregate_id = $1 and type = $2",
                    ARGS(db_uuid(id), db_str(str_from(type)))) == ERR_OK);
    return n;
}

/* Until it gets through: a 503 says that nothing happened. */
static int persist(struct uuid id, const char *verb, const char *body)
{
    int status = 503;

    for (int tries = 0; status == 503 && tries < 100; tries++)
        status = shop(w.owner, id, verb, body);
    return status;
}

/* Commits, publications and effects fail again and again: nothing is lost and nothing happens
 * twice. */
static void everything_fails_now_and_then(void)
{
    world_open();
    fault_hook_set(now_and_then, NULL);
    for (int round = 0; round < 10; round++) {
        struct uuid id = place(), payment_id = new_payment();
        int status = 503;
        w.fails = true;
        for (int tries = 0; status == 503 && tries < 100; tries++)
            status = pin(id, w.customer, payment_id, 23000);
        CHECK_INT(status, 200);
        payment_says("payment.captured", id, payment_id, 23000);
        CHECK_INT(persist(id, "/accept", "{\"minutes\":30}"), 200);
        if (round % 2) {
            CHECK_INT(persist(id, "/cancel", "{\"reason\":\"x\"}"), 200);
        } else {
            CHECK_INT(persist(id, "/cook", "{}"), 200);
            CHECK_INT(persist(id, "/ready", "{}"), 200);
        }
        settle();
        w.fails = false;
        settle();
        CHECK_STR(str_from(status_names[load(id).status]), round % 2 ? "CANCELLED" : "READY");
        CHECK_INT(load(id).captured_won, 23000);
        CHECK_INT(load(id).refunded_won, round % 2 ? 23000 : 0);
        CHECK_INT(told(id, "order.refund_requested"), round % 2);
        CHECK_INT(told(id, "order.stock_release_requested"), round % 2);
        CHECK_INT(told(id, "order.paid"), 1);
        CHECK_INT(load(id).history_n, round % 2 ? 8 : 7);
    }
#ifdef JUMUN_FAULTS
    CHECK(w.fired > 100);
#endif
    fault_hook_set(NULL, NULL);
    world_close();
}

int main(void)
{
    RUN(the_board_has_positions);
    RUN(what_cannot_be_applied_waits_for_an_operator);
    RUN(who_withdraws_is_forgotten);
    RUN(who_orders_after_withdrawing_is_forgotten);
    RUN(doubled_answers);
    RUN(refused_and_then_reserved);
    RUN(everything_fails_now_and_then);
    return test_end();
}
