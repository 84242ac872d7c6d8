/* payment_freeze_test.c -- captures that are not what was agreed, and payments that the provider
 * does not know yet: frozen for a person, given back once, declared dead only when nothing can
 * come. */
#include "unit/payment_people.h"

static void faults(const char *json)
{
    const struct caller guest = {.role = GUEST};

    CHECK_INT(call(HTTP_PUT, 2, "/simulator/faults", str_from(json), &guest), 200);
}

static int64_t frozen(void)
{
    return number("payment", "select count(*) from payments where frozen_at is not null and "
                             "reviewed_at is null");
}

static int64_t alarm_level(void)
{
    return gauge("jumun_payments_frozen");
}

static int64_t refunds(void)
{
    return number("payment", "select count(*) from refunds");
}

struct step_row {
    struct str reason;
};
static const struct field step_row_fields[] = {
    F_STR(struct step_row, reason, "reason", 0, 0, 500, ""),
    F_END(struct step_row),
};

/* Why, as the operator reads it in the order's story. */
static struct str reason_of_capture(struct uuid order_id)
{
    struct ctx cx = ctx_of("order");
    struct step_row row = {0};

    CHECK(db_one(&cx, step_row_fields, &row,
                 "select reason from order_history where order_id = $1 and event = 'CAPTURED'",
                 ARGS(db_uuid(order_id))) == ERR_OK);
    return row.reason;
}

static void another_amount_is_captured(void)
{
    world_open();
    struct uuid id = place();
    CHECK_INT(confirm(id, authorize(id, "wrong_amount")), 202);
    pass(2 * US_PER_S);
    CHECK_ORDER(id, CONFIRMING); /* said once may be a mistake */
    CHECK_INT(frozen(), 0);
    pass(30 * US_PER_S);
    CHECK_ORDER(id, MANUAL_REVIEW);
    CHECK_STR(reason_of_capture(id), "CAPTURED_ANOTHER_AMOUNT");
    CHECK_PAYMENT(id, REFUNDED);
    CHECK_INT(payment_of(id).refunded_won, TOTAL_WON + 1);
    CHECK_STR(payment_of(id).provider_code, "CAPTURED_ANOTHER_AMOUNT");
    CHECK_INT(number("payment", "select asked_won from payments"), TOTAL_WON);
    CHECK_INT(order_of(id).captured_won, TOTAL_WON + 1);
    CHECK_INT(order_of(id).refunded_won, TOTAL_WON + 1);
    CHECK_INT(frozen(), 1);
    CHECK_INT(alarm_level(), 1);
    int looks = w.looks;
    pass(26 * US_PER_HOUR);
    CHECK_INT(w.looks, looks); /* not asked about for ever */
    CHECK_INT(w.cancels, 1);
    CHECK_INT(refunds(), 1);
    CHECK_ORDER(id, MANUAL_REVIEW);
    CHECK_INT(resolve(id, "PAID"), 409);
    CHECK_INT(resolve(id, "PAYMENT_FAILED"), 200);
    pass(2 * US_PER_MIN);
    CHECK_ORDER(id, PAYMENT_FAILED);
    CHECK_INT(frozen(), 0);
    CHECK_INT(alarm_level(), 0);
    world_close();
}

/* Whatever gets lost while it goes back: once there, once here. */
static void it_goes_back_once(void)
{
    world_open();
    struct uuid id = place();
    CHECK_INT(confirm(id, authorize(id, "wrong_amount")), 202);
    faults("{\"failCancels\":2,\"failAs\":\"timeout_after\"}");
    pass(12 * US_PER_S);
    w.weather = LOST_AFTER;
    pass(10 * US_PER_MIN);
    w.weather = FAIR;
    pass(6 * US_PER_MIN);
    CHECK_ORDER(id, MANUAL_REVIEW);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK_INT(refunds(), 1);
    CHECK_INT(number("toss", "select count(*) from cancels"), 1);
    CHECK_INT(resolve(id, "CANCELLED"), 200);
    settle();
    CHECK_ORDER(id, CANCELLED);
    CHECK_INT(refunds(), 1);
    CHECK_INT(frozen(), 0);
    world_close();
}

static void provider_says_amount(int64_t amount)
{
    struct ctx cx = ctx_of("toss");

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx, "update payments set amount = $1, balance = $1", ARGS(db_int(amount))) ==
          ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
}

static void a_mistake_that_is_put_right_freezes_nothing(void)
{
    world_open();
    struct uuid id = place();
    faults("{\"webhookTo\":\"\"}");
    w.weather = LOST_AFTER;
    CHECK_INT(confirm(id, authorize(id, "approve")), 202);
    w.weather = FAIR;
    provider_says_amount(TOTAL_WON + 500);
    pass(8 * US_PER_S);
    CHECK_INT(number("payment", "select wrong_looks from payments"), 2);
    provider_says_amount(TOTAL_WON + 900); /* another one: counted anew */
    pass(10 * US_PER_S);
    CHECK_INT(number("payment", "select wrong_looks from payments"), 1);
    CHECK_ORDER(id, CONFIRMING);
    provider_says_amount(TOTAL_WON);
    pass(5 * US_PER_MIN);
    CHECK_ORDER(id, PAID);
    CHECK_PAYMENT(id, CAPTURED);
    CHECK_INT(refunds(), 0);
    world_close();
}

/* That order may be rightly paid: its money is not ours to give back. */
static void the_key_is_that_of_another_order(void)
{
    world_open();
    struct uuid id = place(), other = place();
    struct str key = authorize(other, "approve");
    w.weather = LOST_BEFORE;
    CHECK_INT(confirm(id, key), 202);
    CHECK_ORDER(id, CONFIRMING);
    w.weather = FAIR;
    CHECK_INT(provider_confirms(other, key), 200);
    pass(2 * US_PER_MIN);
    CHECK_ORDER(id, MANUAL_REVIEW);
    CHECK_STR(reason_of_capture(id), "CAPTURED_FOR_ANOTHER_ORDER");
    CHECK_PAYMENT(id, FAILED);
    CHECK_INT(order_of(id).captured_won, 0);
    CHECK_INT(refunds(), 0);
    CHECK_INT(w.cancels, 0);
    CHECK_INT(frozen(), 1);
    CHECK_INT(resolve(id, "PAYMENT_FAILED"), 200);
    settle();
    CHECK_INT(frozen(), 0);
    world_drop();
}

static void a_dead_order_is_captured_with_another_amount(void)
{
    world_open();
    struct uuid id = place();
    struct str key = authorize(id, "wrong_amount");
    intend(id, key);
    CHECK_INT(cancel(id), 200);
    pass(2 * US_PER_S);
    CHECK_PAYMENT(id, FAILED);
    CHECK_INT(provider_confirms(id, key), 200);
    pass(5 * US_PER_MIN);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK(payment_of(id).is_late);
    CHECK_INT(payment_of(id).refunded_won, TOTAL_WON + 1);
    CHECK_ORDER(id, CANCELLED);
    CHECK_INT(w.cancels, 1);
    CHECK_INT(frozen(), 0);
    world_close();
}

/* The confirm is under way for eight minutes; meanwhile the provider knows nothing of it. */
static void what_is_not_known_yet_is_waited_for(void)
{
    world_open();
    struct uuid id = place();
    faults("{\"lateCaptureMs\":480000,\"webhookTo\":\"\"}");
    CHECK_INT(confirm(id, authorize(id, "late")), 202);
    pass(7 * US_PER_MIN + 50 * US_PER_S);
    CHECK(w.looks >= 5);
    CHECK_PAYMENT(id, CONFIRMING);
    CHECK_ORDER(id, CONFIRMING);
    CHECK_INT(cancel(id), 202);
    pass(6 * US_PER_MIN);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK_ORDER(id, CANCELLED);
    world_close();
}

/* Also when the confirm that goes again is told that there is no such payment. */
static void what_never_becomes_known_is_dead_in_the_end(void)
{
    world_open();
    struct uuid id = place(), unknown = place();
    CHECK_INT(confirm(unknown, STR("tviva-nobody")), 402); /* the only one, and answered */
    CHECK(said("NOT_FOUND_PAYMENT"));
    w.weather = LOST_BEFORE;
    CHECK_INT(confirm(id, STR("tviva-nobody-else")), 202);
    w.weather = FAIR;
    pass(10 * US_PER_MIN + 50 * US_PER_S);
    CHECK(w.confirms > 3);
    CHECK_PAYMENT(id, CONFIRMING);
    CHECK_ORDER(id, CONFIRMING);
    pass(6 * US_PER_MIN);
    CHECK_PAYMENT(id, FAILED);
    CHECK_STR(payment_of(id).provider_code, "NOT_FOUND_PAYMENT");
    CHECK_ORDER(id, PAYMENT_FAILED);
    world_close();
}

int main(void)
{
    RUN(another_amount_is_captured);
    RUN(it_goes_back_once);
    RUN(a_mistake_that_is_put_right_freezes_nothing);
    RUN(the_key_is_that_of_another_order);
    RUN(a_dead_order_is_captured_with_another_amount);
    RUN(what_is_not_known_yet_is_waited_for);
    RUN(what_never_becomes_known_is_dead_in_the_end);
    return test_end();
}
