/* order_saga_test.c -- every branch of an order's life, with its timers, seen by its customer and
 * its store. */
#include "unit/order_people.h"

#include "base/fault.h"

static void from_placing_to_the_door(void)
{
    world_open();
    struct uuid id = place();
    CHECK_STATUS(id, AWAITING_PAYMENT);
    CHECK_INT(w.stock_asked, 1);
    struct uuid payment_id = new_payment();
    CHECK_INT(pin(id, w.customer, payment_id, 23000), 200);
    CHECK_STATUS(id, CONFIRMING);
    payment_says("payment.captured", id, payment_id, 23000);
    CHECK_STATUS(id, PAID);
    CHECK_INT(shop(w.owner, id, "/accept", "{\"minutes\":40}"), 200);
    CHECK(said("\"status\":\"ACCEPTED\"") && said("\"paymentStatus\":\"CAPTURED\""));
    CHECK_INT(load(id).eta_at - w.clock.virtual_us, 40 * US_PER_MIN);
    pass(US_PER_MIN);
    CHECK_INT(shop(w.owner, id, "/delay", "{\"minutes\":10}"), 200);
    CHECK_INT(load(id).eta_at - w.clock.virtual_us, 49 * US_PER_MIN);
    CHECK_INT(shop(w.owner, id, "/cook", "{}"), 200);
    CHECK_INT(shop(w.owner, id, "/ready", "{}"), 200);
    CHECK_INT(shop(w.owner, id, "/deliver", "{}"), 200);
    CHECK_INT(shop(w.owner, id, "/complete", "{}"), 200);
    CHECK_STATUS(id, COMPLETED);
    CHECK_INT(customer(w.customer, id, "", NULL), 200);
    CHECK(said("\"by\":\"owner\"") && said("\"by\":\"system\"") && said("\"by\":\"customer\""));
    pass(US_PER_DAY);
    CHECK_STATUS(id, COMPLETED);
    CHECK_INT(w.release_asked + w.refund_asked, 0);
    world_close();
}

static void no_stock(void)
{
    world_open();
    w.store = NO;
    struct uuid id = place();
    CHECK_STATUS(id, REJECTED);
    CHECK(load(id).stock_back);
    CHECK_INT(customer(w.customer, id, "/cancel", "{}"), 409);
    CHECK(said("ORDER_STATE"));
    world_close();
}

static void the_store_is_silent(void)
{
    world_open();
    w.store = SILENCE;
    struct uuid id = place(), late;
    for (int i = 0; i < 11; i++)
        pass(5 * US_PER_S);
    CHECK_STATUS(id, STOCK_PENDING);
    CHECK_INT(w.stock_asked, 12);
    pass(5 * US_PER_S);
    CHECK_STATUS(id, REJECTED);
    CHECK_INT(w.release_asked, 1);
    CHECK(load(id).stock_back);
    late = place();
    pass(5 * US_PER_S);
    w.store = YES;
    pass(5 * US_PER_S);
    CHECK_STATUS(late, AWAITING_PAYMENT);
    world_close();
}

static void a_cancel_before_the_stock_is_known(void)
{
    world_open();
    w.store = SILENCE;
    struct uuid id = place();
    CHECK_INT(customer(w.customer, id, "/cancel", "{\"reason\":\"마음이 바뀌었어요\"}"), 202);
    CHECK_STATUS(id, STOCK_PENDING);
    CHECK_INT(customer(w.customer, id, "/cancel", "{}"), 202);
    w.store = YES;
    pass(5 * US_PER_S);
    CHECK_STATUS(id, CANCELLED);
    CHECK_INT(w.release_asked, 1);
    CHECK_INT(w.refund_asked, 0);
    world_close();
}

static void unpaid_orders_expire(void)
{
    world_open();
    struct uuid id = place();
    pass(9 * US_PER_MIN - US_PER_S);
    CHECK_STATUS(id, AWAITING_PAYMENT);
    pass(US_PER_S);
    CHECK_STATUS(id, EXPIRED);
    CHECK_INT(w.release_asked, 1);
    CHECK_INT(pin(id, w.customer, new_payment(), 23000), 409);
    CHECK(said("ORDER_STATE"));
    /* Captured all the same: the money goes back, the order does not come back. */
    struct uuid payment_id = new_payment();
    payment_says("payment.late_captured", id, payment_id, 23000);
    CHECK_INT(load(id).captured_won, 23000);
    CHECK_STATUS(id, EXPIRED);
    payment_says("payment.refunded", id, payment_id, 23000);
    CHECK_INT(load(id).refunded_won, 23000);
    CHECK_STATUS(id, EXPIRED);
    world_close();
}

static void cancelled_before_payment(void)
{
    world_open();
    struct uuid id = place();
    CHECK_INT(customer(w.other_customer, id, "/cancel", "{}"), 404);
    CHECK_INT(customer(w.customer, id, "/cancel", "{\"reason\":\"x\"}"), 200);
    CHECK(said("\"status\":\"CANCELLED\"") && said("\"paymentStatus\":\"READY\""));
    settle();
    CHECK_INT(w.release_asked, 1);
    CHECK_INT(pin(id, w.customer, new_payment(), 23000), 409);
    world_close();
}

static void the_pin(void)
{
    world_open();
    struct uuid id = place();
    struct uuid first = new_payment(), second = new_payment(), third = new_payment();
    CHECK_INT(pin(id, w.other_customer, first, 23000), 404);
    CHECK_INT(pin(id, w.customer, first, 22999), 409);
    CHECK(said("PAYMENT_AMOUNT"));
    CHECK_STATUS(id, AWAITING_PAYMENT);
    pass(8 * US_PER_MIN);
    CHECK_INT(pin(id, w.customer, first, 23000), 200);
    int64_t n = load(id).history_n;
    CHECK_INT(pin(id, w.customer, first, 23000), 200);
    CHECK_INT(load(id).history_n, n);
    pass(30 * US_PER_S);
    /* The first was declined and the customer was quicker than the event. */
    CHECK_INT(pin(id, w.customer, second, 23000), 200);
    payment_says("payment.declined", id, first, 0);
    CHECK_STATUS(id, CONFIRMING);
    payment_says("payment.declined", id, second, 0);
    CHECK_STATUS(id, AWAITING_PAYMENT);
    CHECK_INT(pin(id, w.customer, third, 23000), 200);
    pass(US_PER_HOUR); /* pinned: nothing expires */
    CHECK_STATUS(id, CONFIRMING);
    CHECK_INT(pin(id, w.customer, second, 23000), 409); /* too late for another try */
    payment_says("payment.declined", id, third, 0);
    CHECK_STATUS(id, PAYMENT_FAILED);
    CHECK_INT(w.release_asked, 1);
    world_close();
}

/* A payment that was given up is captured after all, while the next one pays: one pays, one goes
 * back. */
static void money_that_comes_too_late(void)
{
    world_open();
    struct uuid id = place(), first = new_payment(), second = new_payment();
    CHECK_INT(pin(id, w.customer, first, 23000), 200);
    payment_says("payment.declined", id, first, 0);
    CHECK_INT(pin(id, w.customer, second, 23000), 200);
    payment_says("payment.late_captured", id, first, 23000);
    payment_says("payment.captured", id, second, 23000);
    CHECK_STATUS(id, PAID);
    payment_says("payment.refunded", id, first, 23000);
    CHECK_STATUS(id, PAID);
    CHECK_INT(load(id).captured_won, 46000);
    CHECK_INT(load(id).refunded_won, 23000);
    CHECK_INT(customer(w.customer, id, "", NULL), 200);
    CHECK(said("\"paymentStatus\":\"CAPTURED\""));
    CHECK_INT(customer(w.customer, id, "/cancel", "{}"), 202);
    settle();
    CHECK_STATUS(id, CANCELLED);
    CHECK_INT(load(id).refunded_won, 46000);
    world_close();
}

static void a_cancel_while_confirming(void)
{
    world_open();
    struct uuid id = place(), payment_id = new_payment();
    CHECK_INT(pin(id, w.customer, payment_id, 23000), 200);
    CHECK_INT(customer(w.customer, id, "/cancel", "{\"reason\":\"x\"}"), 202);
    CHECK_STATUS(id, CONFIRMING);
    CHECK_INT(w.release_asked, 0);
    payment_says("payment.captured", id, payment_id, 23000);
    CHECK_STATUS(id, CANCELLED);
    CHECK_INT(load(id).refunded_won, 23000);
    CHECK_INT(w.refund_asked, 1);

    struct uuid declined = place();
    payment_id = new_payment();
    CHECK_INT(pin(declined, w.customer, payment_id, 23000), 200);
    CHECK_INT(customer(w.customer, declined, "/cancel", "{}"), 202);
    payment_says("payment.declined", declined, payment_id, 0);
    CHECK_STATUS(declined, PAYMENT_FAILED);
    world_close();
}

static void cancelled_after_payment(void)
{
    world_open();
    w.refund = SILENCE;
    struct uuid id = place_paid();
    CHECK_INT(customer(w.customer, id, "/cancel", "{\"reason\":\"x\"}"), 202);
    CHECK(said("\"status\":\"CANCELLING\"") && said("\"paymentStatus\":\"REFUNDING\""));
    settle();
    CHECK_STATUS(id, CANCELLING);
    CHECK(load(id).stock_back);
    CHECK_INT(w.refund_asked, 1);
    pass(US_PER_MIN);
    CHECK_INT(w.refund_asked, 2);
    CHECK_INT(w.release_asked, 1); /* that is done: not asked again */
    CHECK_INT(customer(w.customer, id, "/cancel", "{}"), 202);
    w.refund = YES;
    pass(US_PER_MIN);
    CHECK_STATUS(id, CANCELLED);
    CHECK_INT(load(id).refunded_won, 23000);
    world_close();
}

static void the_owner_refuses_or_cancels(void)
{
    world_open();
    struct uuid refused = place_paid(), cancelled = place_paid();
    CHECK_INT(shop(w.owner, refused, "/refuse", "{\"reason\":\"재료 소진\"}"), 200);
    CHECK(said("\"status\":\"CANCELLING\""));
    settle();
    CHECK_STATUS(refused, CANCELLED);
    CHECK_INT(load(refused).refunded_won, 23000);
    CHECK_INT(shop(w.owner, cancelled, "/accept", "{\"minutes\":30}"), 200);
    CHECK_INT(customer(w.customer, cancelled, "/cancel", "{}"), 409);
    CHECK_INT(shop(w.owner, cancelled, "/cancel", "{\"reason\":\"오토바이 고장\"}"), 200);
    settle();
    CHECK_STATUS(cancelled, CANCELLED);
    CHECK_INT(w.release_asked, 2);
    CHECK_INT(w.refund_asked, 2);
    CHECK_INT(customer(w.customer, cancelled, "", NULL), 200);
    CHECK(said("오토바이 고장") && said("\"paymentStatus\":\"REFUNDED\""));
    world_close();
}

static void the_owner_is_silent(void)
{
    world_open();
    struct uuid id = place_paid();
    pass(3 * US_PER_MIN - US_PER_S);
    CHECK_INT(w.reminders, 0);
    pass(US_PER_S);
    CHECK_INT(w.reminders, 1);
    pass(3 * US_PER_MIN);
    CHECK_INT(w.reminders, 2);
    pass(4 * US_PER_MIN - US_PER_S);
    CHECK_INT(w.reminders, 2);
    CHECK_STATUS(id, PAID);
    pass(US_PER_S);
    CHECK_STATUS(id, CANCELLED);
    CHECK_INT(load(id).refunded_won, 23000);
    CHECK_INT(shop(w.owner, id, "/accept", "{\"minutes\":30}"), 409);
    world_close();
}

/* Which action is legal in which of the states that an order passes through on its way. */
static void only_what_the_state_allows(void)
{
    static const struct {
        const char *verb, *body;
    } actions[] = {{"/accept", "{\"minutes\":30}"},
                   {"/refuse", "{\"reason\":\"x\"}"},
                   {"/cook", "{}"},
                   {"/ready", "{}"},
                   {"/deliver", "{}"},
                   {"/complete", "{}"},
                   {"/delay", "{\"minutes\":5}"},
                   {"/cancel", "{\"reason\":\"x\"}"}};
    static const struct {
        const char *status, *legal; /* legal: the verb that goes on to the next row */
        const char *also;
    } way[] = {{"AWAITING_PAYMENT", NULL, NULL},
               {"PAID", "/accept", "/refuse"},
               {"ACCEPTED", "/cook", "/delay/cancel"},
               {"COOKING", "/ready", "/delay"},
               {"READY", "/deliver", NULL},
               {"DELIVERING", "/complete", NULL},
               {"COMPLETED", NULL, NULL}};
    world_open();
    struct uuid id = place();
    for (size_t i = 0; i < COUNT_OF(way); i++) {
        CHECK_STR(str_from(status_names[load(id).status]), way[i].status);
        int64_t n = load(id).history_n;
        for (size_t a = 0; a < COUNT_OF(actions); a++) {
            const char *verb = actions[a].verb;
            if ((way[i].legal && strcmp(verb, way[i].legal) == 0) ||
                (way[i].also && strstr(way[i].also, verb)))
                continue;
            CHECK_INT(shop(w.owner, id, verb, actions[a].body), 409);
            CHECK(said("ORDER_STATE"));
        }
        CHECK_INT(load(id).history_n, n);
        if (i == 0) {
            struct uuid payment_id = new_payment();
            CHECK_INT(pin(id, w.customer, payment_id, 23000), 200);
            payment_says("payment.captured", id, payment_id, 23000);
        } else if (way[i].legal) {
            CHECK_INT(shop(w.owner, id, way[i].legal, i == 1 ? "{\"minutes\":30}" : "{}"), 200);
        }
    }
    CHECK_INT(customer(w.customer, id, "/cancel", "{}"), 409);
    world_close();
}

static void others_see_nothing(void)
{
    world_open();
    struct uuid id = place_paid();
    CHECK_INT(customer(w.customer, id, "", NULL), 200);
    CHECK_INT(customer(w.other_customer, id, "", NULL), 404);
    CHECK_INT(customer(w.other_customer, id, "/events", NULL), 404);
    CHECK_INT(customer(w.other_customer, id, "/cancel", "{}"), 404);
    CHECK_INT(shop(w.owner, id, "", NULL), 200);
    CHECK_INT(shop(w.other_owner, id, "", NULL), 404);
    CHECK_INT(shop(w.other_owner, id, "/accept", "{\"minutes\":30}"), 404);
    CHECK_INT(shop(w.owner, new_payment(), "", NULL), 404);
    const struct caller other = {.role = CUSTOMER, .user_id = w.other_customer};
    CHECK_INT(call(HTTP_GET, "/v1/orders", NULL, &other), 200);
    CHECK_STR(last_body, "{\"items\":[],\"nextCursor\":null}");
    CHECK_STATUS(id, PAID);
    world_close();
}

static void a_person_decides(void)
{
    world_open();
    struct uuid id = place(), payment_id = new_payment();
    CHECK_INT(resolve(id, "CANCELLED"), 409);
    CHECK_INT(pin(id, w.customer, payment_id, 23000), 200);
    pass(US_PER_DAY - US_PER_S);
    CHECK_STATUS(id, CONFIRMING);
    pass(US_PER_S);
    CHECK_STATUS(id, MANUAL_REVIEW);
    CHECK_INT(resolve(id, "PAID"), 409); /* nothing was captured */
    payment_says("payment.captured", id, payment_id, 23000);
    CHECK_STATUS(id, MANUAL_REVIEW);
    CHECK_INT(resolve(id, "PAYMENT_FAILED"), 409); /* we hold the money */
    CHECK_INT(resolve(id, "PAID"), 200);
    CHECK_STATUS(id, PAID);
    CHECK(said("looked at the books") && said("\"by\":\"admin\""));

    struct uuid wrong = place();
    payment_id = new_payment();
    CHECK_INT(pin(wrong, w.customer, payment_id, 23000), 200);
    payment_says("payment.captured", wrong, payment_id, 100);
    CHECK_STATUS(wrong, MANUAL_REVIEW);
    CHECK_INT(resolve(wrong, "CANCELLED"), 200);
    CHECK_STATUS(wrong, CANCELLED);
    CHECK_INT(load(wrong).refunded_won, 100);

    struct uuid never = place();
    CHECK_INT(pin(never, w.customer, new_payment(), 23000), 200);
    pass(US_PER_DAY);
    CHECK_INT(resolve(never, "PAYMENT_FAILED"), 200);
    CHECK_STATUS(never, PAYMENT_FAILED);
    world_close();
}

static void a_refund_that_never_comes(void)
{
    world_open();
    w.refund = SILENCE;
    struct uuid id = place_paid();
    CHECK_INT(shop(w.owner, id, "/refuse", "{\"reason\":\"x\"}"), 200);
    pass(US_PER_MIN);
    CHECK_STATUS(id, CANCELLING);
    pass(US_PER_DAY);
    CHECK_STATUS(id, MANUAL_REVIEW);
    CHECK_INT(resolve(id, "PAID"), 409); /* its stock was sold to others */
    w.refund = YES;
    CHECK_INT(resolve(id, "CANCELLED"), 200);
    CHECK_STATUS(id, CANCELLED);
    world_close();
}

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
    CHECK_INT(call(HTTP_POST, "/v1/admin/dead-letters/order-1/retry", "{}", &admin), 404);
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
    RUN(from_placing_to_the_door);
    RUN(no_stock);
    RUN(the_store_is_silent);
    RUN(a_cancel_before_the_stock_is_known);
    RUN(unpaid_orders_expire);
    RUN(cancelled_before_payment);
    RUN(the_pin);
    RUN(money_that_comes_too_late);
    RUN(a_cancel_while_confirming);
    RUN(cancelled_after_payment);
    RUN(the_owner_refuses_or_cancels);
    RUN(the_owner_is_silent);
    RUN(only_what_the_state_allows);
    RUN(others_see_nothing);
    RUN(a_person_decides);
    RUN(a_refund_that_never_comes);
    RUN(the_board_has_positions);
    RUN(what_cannot_be_applied_waits_for_an_operator);
    RUN(doubled_answers);
    RUN(everything_fails_now_and_then);
    return test_end();
}
