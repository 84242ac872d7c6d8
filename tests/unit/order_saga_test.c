/* order_saga_test.c -- every branch of an order's life, with its timers, seen by its customer and
 * its store. */
#include "unit/order_people.h"

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
    CHECK_INT(w.stock_asked, 5); /* at once, and after 5, 10, 20 and 40 s */
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

/* One question waits in the outbox however long the bus is away, and is there for who comes back.
 */
static void the_bus_is_away(void)
{
    world_open();
    w.store = YES;
    w.bus_away = true;
    struct uuid id = place(), late;
    for (int i = 0; i < 11; i++)
        pass(5 * US_PER_S);
    CHECK_STATUS(id, STOCK_PENDING);
    late = place();
    pass(5 * US_PER_S);
    CHECK_STATUS(id, REJECTED);
    CHECK_INT(w.stock_asked, 0);
    w.bus_away = false;
    settle();
    CHECK_STATUS(late, AWAITING_PAYMENT);
    CHECK_INT(w.stock_asked, 2);
    CHECK_INT(w.release_asked, 1);
    CHECK(load(id).stock_back);
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

/* A pin that was long on its way: what it asks for was decided meanwhile. */
static void a_declined_payment_does_not_pin_again(void)
{
    world_open();
    struct uuid id = place(), declined = new_payment(), next = new_payment();
    CHECK_INT(pin(id, w.customer, declined, 23000), 200);
    payment_says("payment.declined", id, declined, 0);
    CHECK_INT(pin(id, w.customer, declined, 23000), 409);
    CHECK(said("ORDER_STATE"));
    CHECK_STATUS(id, AWAITING_PAYMENT);
    CHECK_INT(pin(id, w.customer, next, 23000), 200);
    CHECK_INT(pin(id, w.customer, declined, 23000), 409); /* nor does it take the pin away */
    payment_says("payment.declined", id, next, 0);
    CHECK_STATUS(id, AWAITING_PAYMENT);
    CHECK_INT(pin(id, w.customer, declined, 23000), 409); /* whoever came and went meanwhile */
    CHECK(said("ORDER_STATE"));
    pass(9 * US_PER_MIN);
    CHECK_STATUS(id, EXPIRED);
    world_close();
}

/* The order never heard of it while it lived: it went on, and its pin arrives last. */
static void a_payment_that_is_over_does_not_pin(void)
{
    world_open();
    struct uuid id = place(), over = new_payment(), next = new_payment(), late = new_payment();
    payment_says("payment.declined", id, over, 0);
    CHECK_STATUS(id, AWAITING_PAYMENT);
    CHECK_INT(pin(id, w.customer, over, 23000), 409);
    CHECK(said("ORDER_STATE"));
    CHECK_INT(pin(id, w.customer, next, 23000), 200);
    payment_says("payment.declined", id, late, 0); /* nor while another has the pin */
    CHECK_INT(pin(id, w.customer, late, 23000), 409);
    CHECK_INT(pin(id, w.customer, over, 23000), 409);
    CHECK(uuid_eq(load(id).payment_id, next));
    payment_says("payment.declined", id, next, 0);
    CHECK_STATUS(id, AWAITING_PAYMENT);
    CHECK_INT(pin(id, w.customer, late, 23000), 409);
    pass(9 * US_PER_MIN);
    CHECK_STATUS(id, EXPIRED);
    int64_t n = load(id).history_n;
    payment_says("payment.declined", id, new_payment(), 0); /* an order that takes no pin */
    CHECK_INT(load(id).history_n, n);
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
    struct ctx cx = ctx_of("order");
    check_data(&cx); /* nothing is wrong with it while it lives, either */
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

/* What was cancelled before the printer asked is not cooked. */
static void no_ticket_of_what_was_cancelled(void)
{
    world_open();
    struct uuid kept = place_paid(), id = place_paid();
    w.refund = SILENCE;
    CHECK_INT(customer(w.customer, id, "/cancel", "{}"), 202);
    CHECK_INT(shop(w.owner, id, "/print", "{}"), 409);
    CHECK(said("ORDER_STATE"));
    w.refund = YES;
    pass(US_PER_MIN);
    CHECK_STATUS(id, CANCELLED);
    CHECK_INT(shop(w.owner, id, "/print", "{}"), 409);
    CHECK_INT(shop(w.owner, kept, "/print", "{}"), 200);
    CHECK_INT(shop(w.owner, kept, "/print", "{}"), 409);
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

static int look(struct uuid who, const char *what)
{
    const struct caller as = {.role = OWNER, .user_id = who};
    char path[120];

    snprintf(path, sizeof path, "/v1/owner/stores/%s/%s", id_text(w.store_id), what);
    return call(HTTP_GET, path, NULL, &as);
}

static void who_helps_out_sees_no_figures(void)
{
    world_open();
    struct ctx cx = ctx_of("order");
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx,
                  "insert into staff_copies (store_id, user_id, permissions) values ($1, $2, 1)",
                  ARGS(db_uuid(w.store_id), db_uuid(w.other_owner))) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    CHECK_INT(look(w.other_owner, "orders"), 200);
    CHECK_INT(look(w.other_owner, "figures"), 404);
    CHECK_INT(look(w.owner, "figures"), 200);
    world_close();
}

static int resolve(struct uuid id, const char *to)
{
    const struct caller as = {.role = ADMIN, .user_id = w.admin};
    char path[120], body[100];

    snprintf(path, sizeof path, "/v1/admin/orders/%s/resolve", id_text(id));
    snprintf(body, sizeof body, "{\"to\":\"%s\",\"reason\":\"looked at the books\"}", to);
    int status = call(HTTP_POST, path, body, &as);
    settle();
    return status;
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

/* The payment service gives it back by itself, and has nothing else to give back. */
static void late_money_is_not_asked_for(void)
{
    world_open();
    struct uuid id = place(), payment_id = new_payment();
    CHECK_INT(pin(id, w.customer, payment_id, 23000), 200);
    pass(US_PER_DAY);
    CHECK_STATUS(id, MANUAL_REVIEW);
    payment_says("payment.declined", id, payment_id, 0);
    payment_says("payment.late_captured", id, payment_id, 23000);
    CHECK_INT(resolve(id, "CANCELLED"), 200);
    pass(US_PER_MIN);
    CHECK_STATUS(id, CANCELLING);
    CHECK_INT(w.refund_asked, 0);
    payment_says("payment.refunded", id, payment_id, 23000);
    CHECK_STATUS(id, CANCELLED);
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

static void no_ticket_of_what_an_operator_ended(void)
{
    world_open();
    w.refund = SILENCE;
    struct uuid id = place_paid();
    CHECK_INT(shop(w.owner, id, "/refuse", "{\"reason\":\"x\"}"), 200);
    pass(US_PER_DAY + US_PER_MIN);
    CHECK_STATUS(id, MANUAL_REVIEW);
    payment_says("payment.refunded", id, load(id).payment_id, 23000);
    CHECK_INT(resolve(id, "PAYMENT_FAILED"), 200);
    CHECK_INT(shop(w.owner, id, "/print", "{}"), 409);
    world_close();
}

int main(void)
{
    RUN(from_placing_to_the_door);
    RUN(no_stock);
    RUN(the_store_is_silent);
    RUN(the_bus_is_away);
    RUN(a_cancel_before_the_stock_is_known);
    RUN(unpaid_orders_expire);
    RUN(cancelled_before_payment);
    RUN(the_pin);
    RUN(a_declined_payment_does_not_pin_again);
    RUN(a_payment_that_is_over_does_not_pin);
    RUN(money_that_comes_too_late);
    RUN(a_cancel_while_confirming);
    RUN(cancelled_after_payment);
    RUN(no_ticket_of_what_was_cancelled);
    RUN(the_owner_refuses_or_cancels);
    RUN(the_owner_is_silent);
    RUN(only_what_the_state_allows);
    RUN(others_see_nothing);
    RUN(who_helps_out_sees_no_figures);
    RUN(a_person_decides);
    RUN(late_money_is_not_asked_for);
    RUN(a_refund_that_never_comes);
    RUN(no_ticket_of_what_an_operator_ended);
    return test_end();
}
