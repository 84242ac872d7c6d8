/* payment_story_test.c -- payments against the clock: expiry, silence, answers that never come,
 * captures found late. */
#include "unit/payment_people.h"

#include "base/fault.h"

static void the_hold_ends_while_the_window_is_open(void)
{
    world_open();
    struct uuid id = place();
    struct str key = authorize(id, "approve");
    pass(8 * US_PER_MIN + 59 * US_PER_S);
    CHECK_ORDER(id, AWAITING_PAYMENT);
    pass(US_PER_S);
    CHECK_ORDER(id, EXPIRED);
    CHECK_INT(confirm(id, key), 409);
    CHECK(said("\"ORDER_STATE\""));
    CHECK_INT(w.confirms, 0);
    CHECK_INT(number("payment", "select count(*) from payments"), 0);
    world_close();
}

/* A second before the end the customer confirms; the provider takes ten minutes. */
static void the_hold_ends_while_the_provider_thinks(void)
{
    world_open();
    struct uuid paid = place();
    pass(9 * US_PER_MIN - US_PER_S);
    w.jump_us = 10 * US_PER_MIN;
    CHECK_INT(confirm(paid, authorize(paid, "approve")), 200);
    settle();
    CHECK_ORDER(paid, PAID);

    struct uuid declined = place();
    pass(9 * US_PER_MIN - US_PER_S);
    w.jump_us = 10 * US_PER_MIN;
    CHECK_INT(confirm(declined, authorize(declined, "decline")), 402);
    CHECK(said("\"REJECT_CARD_PAYMENT\""));
    settle();
    CHECK_ORDER(declined, PAYMENT_FAILED);
    CHECK_INT(confirm(declined, authorize(declined, "approve")), 409);
    world_close();
}

static void a_declined_card_leaves_the_rest_of_the_time(void)
{
    world_open();
    struct uuid id = place();
    pass(8 * US_PER_MIN);
    CHECK_INT(confirm(id, authorize(id, "decline")), 402);
    settle();
    CHECK_ORDER(id, AWAITING_PAYMENT);
    pass(US_PER_MIN);
    CHECK_ORDER(id, EXPIRED);
    CHECK_PAYMENT(id, FAILED);
    world_close();
}

static void the_owner_is_silent(void)
{
    world_open();
    struct uuid id = place();
    CHECK_INT(confirm(id, authorize(id, "approve")), 200);
    settle();
    pass(10 * US_PER_MIN - US_PER_S);
    CHECK_ORDER(id, PAID);
    pass(5 * US_PER_S);
    CHECK_ORDER(id, CANCELLED);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK_INT(w.cancels, 1);
    world_close();
}

/* The provider is asked again after 2, 5, 10, 30 and 60 seconds. */
static void the_provider_cannot_be_reached(void)
{
    world_open();
    struct uuid id = place();
    w.weather = LOST_BEFORE;
    CHECK_INT(confirm(id, authorize(id, "approve")), 202);
    CHECK(said("\"CONFIRMING\""));
    CHECK_INT(w.looks, 0);
    pass(110 * US_PER_S);
    CHECK(w.looks >= 5 && w.looks <= 7);
    CHECK_ORDER(id, CONFIRMING);
    w.weather = FAIR;
    pass(5 * US_PER_MIN);
    CHECK_ORDER(id, PAID);
    CHECK_INT(w.confirms, 2);
    world_close();
}

static void the_answer_is_lost(void)
{
    world_open();
    struct uuid id = place();
    w.weather = LOST_AFTER;
    CHECK_INT(confirm(id, authorize(id, "approve")), 202);
    settle();
    pass(US_PER_MIN);
    CHECK_ORDER(id, CONFIRMING);
    CHECK_INT(cancel(id), 202);
    w.weather = FAIR;
    pass(5 * US_PER_MIN);
    CHECK_ORDER(id, CANCELLED);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK_INT(w.cancels, 1);
    world_close();
}

/* The card was charged, the answer lost; then somebody configures the wrong key for a while. */
static void our_key_is_refused_meanwhile(void)
{
    world_open();
    struct uuid id = place();
    w.weather = LOST_AFTER;
    CHECK_INT(confirm(id, authorize(id, "approve")), 202);
    w.weather = LOCKED_OUT;
    pass(10 * US_PER_MIN);
    CHECK_ORDER(id, CONFIRMING);
    CHECK_PAYMENT(id, CONFIRMING);
    w.weather = FAIR;
    pass(6 * US_PER_MIN);
    CHECK_ORDER(id, PAID);
    world_close();
}

/* Not reached until the provider has forgotten the window: surely nothing was taken. */
static void the_window_is_forgotten_meanwhile(void)
{
    world_open();
    struct uuid id = place();
    w.weather = LOST_BEFORE;
    CHECK_INT(confirm(id, authorize(id, "approve")), 202);
    pass(30 * US_PER_MIN);
    w.weather = FAIR;
    pass(6 * US_PER_MIN);
    CHECK_PAYMENT(id, FAILED);
    CHECK_ORDER(id, PAYMENT_FAILED);
    world_close();
}

/* After a day a person has to look; what was captured is still found, and counted. */
static void nobody_knows_for_a_day(void)
{
    world_open();
    struct uuid id = place();
    struct str key = authorize(id, "approve");
    w.weather = LOST_AFTER;
    CHECK_INT(confirm(id, key), 202);
    pass(25 * US_PER_HOUR);
    CHECK_ORDER(id, MANUAL_REVIEW);
    CHECK_PAYMENT(id, CONFIRMING);
    w.weather = FAIR;
    pass(2 * US_PER_HOUR);
    CHECK_ORDER(id, MANUAL_REVIEW);
    CHECK_PAYMENT(id, CAPTURED);
    CHECK_INT(order_of(id).captured_won, TOTAL_WON);
    world_close();
}

/* An operator ends it without knowing; what is found to be captured after that goes back. */
static void an_operator_ends_what_nobody_knows(void)
{
    world_open();
    struct uuid id = place();
    w.weather = LOST_AFTER;
    CHECK_INT(confirm(id, authorize(id, "approve")), 202);
    pass(25 * US_PER_HOUR);
    CHECK_ORDER(id, MANUAL_REVIEW);
    CHECK_INT(resolve(id, "CANCELLED"), 200);
    settle();
    w.weather = FAIR;
    pass(2 * US_PER_HOUR);
    CHECK_ORDER(id, CANCELLED);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK_INT(order_of(id).refunded_won, TOTAL_WON);
    world_close();
}

static void a_crash_before_the_pin_is_picked_up(void)
{
    world_open();
    struct uuid id = place();
    intend(id, authorize(id, "approve"));
    pass(2 * US_PER_S);
    CHECK_ORDER(id, PAID);
    world_close();
}

static void a_cancel_comes_before_the_pin(void)
{
    world_open();
    struct uuid id = place();
    struct str key = authorize(id, "approve");
    intend(id, key);
    CHECK_INT(cancel(id), 200);
    pass(2 * US_PER_S);
    CHECK_ORDER(id, CANCELLED);
    CHECK_PAYMENT(id, FAILED);
    CHECK_STR(payment_of(id).provider_code, "ORDER_STATE");
    CHECK_INT(confirm(id, key), 409);
    CHECK(said("\"ORDER_STATE\"") && !said("PAYMENT_DECLINED"));
    CHECK_INT(w.confirms, 0);
    world_close();
}

/* Somebody else's confirm, or one of ours that took very long. */
static void a_capture_is_found_for_a_dead_order(void)
{
    world_open();
    struct uuid id = place();
    struct str key = authorize(id, "approve");
    intend(id, key);
    CHECK_INT(cancel(id), 200);
    pass(2 * US_PER_S);
    CHECK_INT(provider_confirms(id, key), 200);
    w.weather = LOST_AFTER; /* even if the refund is not heard of at first */
    pass(5 * US_PER_S);
    w.weather = FAIR;
    pass(10 * US_PER_MIN);
    CHECK_INT(w.webhooks >= 1, true);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK(payment_of(id).is_late);
    CHECK_ORDER(id, CANCELLED);
    CHECK_INT(number("toss", "select count(*) from cancels"), 1);
    world_close();
}

static void a_refund_is_not_heard_of_for_a_day(void)
{
    world_open();
    struct uuid id = place();
    CHECK_INT(confirm(id, authorize(id, "approve")), 200);
    settle();
    w.weather = LOST_AFTER;
    CHECK_INT(cancel(id), 202);
    pass(20 * US_PER_HOUR);
    CHECK_ORDER(id, CANCELLING);
    CHECK(w.cancels > 5);
    w.weather = FAIR;
    pass(10 * US_PER_MIN);
    CHECK_ORDER(id, CANCELLED);
    CHECK_INT(number("toss", "select count(*) from cancels"), 1);
    world_close();
}

static void ask_for_some(struct uuid payment_id)
{
    const struct caller admin = {.role = ADMIN, .user_id = w.admin};
    struct str path = arena_printf(&w.arena, "/v1/admin/payments/%s/refunds", id_text(payment_id));

    CHECK_INT(call(HTTP_POST, 0, path.p,
                   STR("{\"amountWon\":1000,\"reason\":\"x\",\"payer\":\"store\"}"), &admin),
              202);
}

/* The provider takes one cancel per payment and second: ours are spaced, and none is lost. */
static void refunds_keep_their_distance(void)
{
    world_open();
    struct uuid id = place();
    CHECK_INT(confirm(id, authorize(id, "approve")), 200);
    settle();
    for (int i = 0; i < 3; i++)
        ask_for_some(payment_of(id).payment_id);
    settle();
    CHECK_INT(number("toss", "select count(*) from cancels"), 1);
    pass(4 * US_PER_S);
    CHECK_INT(number("toss", "select count(*) from cancels"), 3);
    CHECK_INT(w.cancels, 3);
    CHECK_PAYMENT(id, PARTIALLY_REFUNDED);
    CHECK_INT(order_of(id).refunded_won, 3000);
    world_close();
}

#ifdef JUMUN_FAULTS
/* Once, when the timer has found that nothing is left to send. */
static bool ask_meanwhile(void *arg, const char *name)
{
    struct uuid *payment_id = arg;

    if (strcmp(name, "payment.refund.none") == 0 && !uuid_is_nil(*payment_id)) {
        struct uuid id = *payment_id;
        *payment_id = UUID_NIL;
        ask_for_some(id);
    }
    return false;
}

static void hint_at(struct str key)
{
    const struct caller guest = {.role = GUEST};
    struct str body = arena_printf(
        &w.arena, "{\"eventType\":\"x\",\"data\":{\"paymentKey\":\"%.*s\"}}", STR_ARG(key));

    CHECK_INT(call(HTTP_POST, 0, "/v1/webhooks/toss", body, &guest), 200);
}

/*
 * Once, while the provider's answer to the confirm is on its way: somebody else, who asked too and
 * was told otherwise, has given the payment up; and the webhook of the capture is there already,
 * the only one.
 */
static bool give_up_meanwhile(void *arg, const char *name)
{
    struct str *key = arg, hint = *key;

    if (strcmp(name, "toss.after_call") != 0 || !hint.n)
        return strcmp(name, "simulator.webhook") == 0;
    struct ctx cx = ctx_of("payment");
    *key = STR_NONE;
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx, "update payments set status = 'FAILED'", NO_ARGS) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    hint_at(hint);
    return false;
}

struct captured_meanwhile {
    struct uuid order_id;
    struct str key;
};

/* Once, while the answer to a look-up is on its way: what it does not say yet happens, and the
 * webhook of it, the only one, is there first. */
static bool capture_meanwhile(void *arg, const char *name)
{
    struct captured_meanwhile *c = arg;
    struct str key = c->key;

    if (strcmp(name, "toss.after_call") != 0 || !key.n)
        return strcmp(name, "simulator.webhook") == 0;
    c->key = STR_NONE;
    w.clock.virtual_us++;
    CHECK_INT(provider_confirms(c->order_id, key), 200);
    hint_at(key);
    return false;
}

static void a_webhook_comes_before_the_answer_to_a_look_up(void)
{
    world_open();
    struct uuid id = place();
    struct captured_meanwhile c = {id, authorize(id, "approve")};
    intend(id, c.key);
    CHECK_INT(cancel(id), 200);
    pass(2 * US_PER_S);
    CHECK_PAYMENT(id, FAILED);
    hint_at(c.key);
    fault_hook_set(capture_meanwhile, &c);
    pass(10 * US_PER_S);
    CHECK_INT(c.key.n, 0);
    fault_hook_set(NULL, NULL);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK(payment_of(id).is_late);
    CHECK_INT(w.cancels, 1);
    world_close();
}

static void two_are_told_differently(void)
{
    world_open();
    struct uuid id = place();
    struct str key = authorize(id, "approve"), confirmed = key;
    fault_hook_set(give_up_meanwhile, &confirmed);
    CHECK_INT(confirm(id, key), 402);
    CHECK_INT(confirmed.n, 0);
    pass(5 * US_PER_S);
    fault_hook_set(NULL, NULL);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK(payment_of(id).is_late);
    CHECK_INT(w.cancels, 1);
    world_close();
}

static void a_refund_is_asked_for_when_the_last_one_is_done(void)
{
    world_open();
    struct uuid id = place();
    CHECK_INT(confirm(id, authorize(id, "approve")), 200);
    settle();
    struct uuid meanwhile = payment_of(id).payment_id;
    ask_for_some(meanwhile);
    fault_hook_set(ask_meanwhile, &meanwhile);
    pass(5 * US_PER_S);
    fault_hook_set(NULL, NULL);
    CHECK(uuid_is_nil(meanwhile));
    CHECK_INT(payment_of(id).refunded_won, 2000);
    CHECK_INT(number("payment", "select count(*) from refunds where status = 'REQUESTED'"), 0);
    pass(5 * US_PER_S);
    CHECK_INT(number("payment", "select count(*) from timers where kind = 'payment.refund'"), 0);
    world_close();
}
#endif

int main(void)
{
    RUN(the_hold_ends_while_the_window_is_open);
    RUN(the_hold_ends_while_the_provider_thinks);
    RUN(a_declined_card_leaves_the_rest_of_the_time);
    RUN(the_owner_is_silent);
    RUN(the_provider_cannot_be_reached);
    RUN(the_answer_is_lost);
    RUN(our_key_is_refused_meanwhile);
    RUN(the_window_is_forgotten_meanwhile);
    RUN(nobody_knows_for_a_day);
    RUN(an_operator_ends_what_nobody_knows);
    RUN(a_crash_before_the_pin_is_picked_up);
    RUN(a_cancel_comes_before_the_pin);
    RUN(a_capture_is_found_for_a_dead_order);
    RUN(a_refund_is_not_heard_of_for_a_day);
    RUN(refunds_keep_their_distance);
#ifdef JUMUN_FAULTS
    RUN(a_refund_is_asked_for_when_the_last_one_is_done);
    RUN(two_are_told_differently);
    RUN(a_webhook_comes_before_the_answer_to_a_look_up);
#endif
    return test_end();
}
