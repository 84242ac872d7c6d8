/* payment_books_test.c -- our books beside the provider's: what differs is found and named, what we
 * know of is put right, and what agrees is left alone. */
#include "unit/payment_people.h"

static struct uuid paid(struct str *ret_key)
{
    struct uuid id = place();

    *ret_key = authorize(id, "approve");
    CHECK_INT(confirm(id, *ret_key), 200);
    settle();
    CHECK_ORDER(id, PAID);
    return id;
}

static void no_webhooks(void)
{
    CHECK_INT(at_provider(HTTP_PUT, "/simulator/faults", STR("{\"webhookTo\":\"\"}")), 200);
}

/* In the provider's dashboard. */
static void give_back(struct str key, int won)
{
    struct str path = arena_printf(&w.arena, "/v1/payments/%.*s/cancel", STR_ARG(key));
    struct str body =
        arena_printf(&w.arena, "{\"cancelReason\":\"고객 요청\",\"cancelAmount\":%d}", won);

    CHECK_INT(at_provider(HTTP_POST, path.p, body), 200);
}

/* Written into one side's books only. */
static void falsify(const char *service, const char *sql)
{
    struct ctx cx = ctx_of(service);

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx, sql, NO_ARGS) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
}

static int compare(struct str body)
{
    const struct caller admin = {.role = ADMIN, .user_id = w.admin};

    return call(HTTP_POST, 0, "/v1/admin/reconciliations/run", body, &admin);
}

static int64_t differences(void)
{
    w.clock.virtual_us += US_PER_S; /* the second that runs is not looked at yet */
    CHECK_INT(compare(STR("{}")), 200);
    return number("payment", "select difference_count from reconciliations order by at desc,"
                             " reconciliation_id desc limit 1");
}

static void what_agrees_is_left_alone(void)
{
    struct str key;
    world_open();
    struct uuid id = paid(&key), other = paid(&key);
    CHECK_INT(cancel(other), 202);
    pass(5 * US_PER_S);
    CHECK_ORDER(other, CANCELLED);
    CHECK_INT(differences(), 0);
    CHECK(said("\"captures\":2,\"refunds\":1,"));
    CHECK(said("\"differences\":[]"));
    CHECK_ORDER(id, PAID);
    CHECK_INT(number("payment", "select count(*) from timers where kind = 'payment.resolve'"), 0);
    world_close();
}

static void a_refund_that_nobody_told_us_of(void)
{
    struct str key;
    world_open();
    struct uuid id = paid(&key);
    no_webhooks();
    give_back(key, 1000);
    settle();
    CHECK_PAYMENT(id, CAPTURED);
    CHECK_INT(differences(), 1);
    CHECK(said("\"kind\":\"MISSING_HERE\"") && said("\"transactionKey\":\"txc"));
    CHECK(said("\"ourWon\":0,\"theirWon\":1000"));
    settle();
    CHECK_PAYMENT(id, PARTIALLY_REFUNDED);
    CHECK_INT(order_of(id).refunded_won, 1000);
    CHECK_INT(differences(), 0);
    world_close();
}

/* The order was dead when the provider captured, and no webhook says so. */
static struct uuid captured_unseen(void)
{
    struct uuid id = place();
    struct str key = authorize(id, "approve");

    intend(id, key);
    CHECK_INT(cancel(id), 200);
    pass(2 * US_PER_S);
    CHECK_PAYMENT(id, FAILED);
    no_webhooks();
    CHECK_INT(provider_confirms(id, key), 200);
    return id;
}

static void a_capture_that_we_had_given_up(void)
{
    world_open();
    struct uuid id = captured_unseen();
    CHECK_INT(differences(), 0); /* it began a moment ago: perhaps it is on its way */
    pass(11 * US_PER_MIN);
    CHECK_PAYMENT(id, FAILED);
    CHECK_INT(differences(), 1);
    CHECK(said("\"kind\":\"OTHER_STATE\""));
    pass(5 * US_PER_S);
    CHECK_PAYMENT(id, REFUNDED);
    CHECK_INT(differences(), 0);
    world_close();
}

static void what_is_not_ours_or_not_theirs(void)
{
    struct str key;
    world_open();
    struct ctx cx = ctx_of("order");
    struct uuid id = paid(&key), strange = ctx_uuid(&cx);
    CHECK_INT(provider_confirms(strange, authorize(strange, "approve")), 200);
    CHECK_INT(differences(), 1);
    CHECK(said("\"kind\":\"MISSING_HERE\"") && said(id_text(strange)));
    CHECK(said("\"transactionKey\":null"));
    falsify("toss", "update payments set amount = amount + 1, balance = balance + 1");
    CHECK_INT(differences(), 2);
    CHECK(said("\"kind\":\"OTHER_AMOUNT\"") && said("\"ourWon\":23000,\"theirWon\":23001"));
    falsify("toss", "update payments set approved_at = null, status = 'ABORTED'");
    CHECK_INT(differences(), 1);
    CHECK(said("\"kind\":\"MISSING_THERE\"") && said(id_text(id)));
    CHECK_ORDER(id, PAID); /* a person decides */
    world_drop();
}

static void a_provider_that_does_not_answer(void)
{
    struct str key;
    world_open();
    (void)paid(&key);
    w.weather = LOCKED_OUT;
    w.clock.virtual_us += US_PER_S;
    CHECK(compare(STR("{}")) >= 500);
    CHECK_INT(number("payment", "select count(*) from reconciliations"), 0);
    w.weather = FAIR;
    CHECK_INT(differences(), 0);
    world_close();
}

static void a_range_that_is_none(void)
{
    world_open();
    CHECK_INT(compare(STR("{\"from\":\"2026-11-24T00:00:00Z\",\"to\":\"2026-11-24T00:00:00Z\"}")),
              400);
    CHECK_INT(compare(STR("{\"from\":\"2026-11-20T00:00:00Z\",\"to\":\"2026-11-24T00:00:00Z\"}")),
              400);
    CHECK(said("\"from\""));
    world_close();
}

/* More of them than the pages that are looked at together. */
static void a_rush(void)
{
    enum { RUSH = 4100 };

    world_open();
    struct ctx cx = ctx_of("toss"), ours = ctx_of("payment");
    int64_t at = w.clock.virtual_us;
    CHECK(db_begin(&cx) == ERR_OK && db_begin(&ours) == ERR_OK);
    for (int i = 0; i < RUSH; i++, at += i % 7 ? 0 : 10 * US_PER_MS) {
        struct uuid id = ctx_uuid(&cx);
        struct str key = arena_printf(&w.arena, "tviva%s", id_text(id));
        CHECK(db_exec(&cx,
                      "insert into payments (payment_id, payment_key, order_id, order_name, amount,"
                      " balance, status, outcome, approved_at, created_at) values ($1, $2, 'x',"
                      " 'x', 1000, 1000, 'DONE', 'approve', $3, $3)",
                      ARGS(db_uuid(id), db_str(key), db_int(at))) == ERR_OK);
        CHECK(db_exec(&ours,
                      "insert into payments (payment_id, order_id, customer_id, store_id,"
                      " order_name, payment_key, amount_won, status, approved_at, created_at,"
                      " changed_at) values ($1, $1, $1, $1, 'x', $2, 1000, 'CAPTURED', $3, $3, $3)",
                      ARGS(db_uuid(id), db_str(key), db_int(at))) == ERR_OK);
    }
    CHECK(db_commit(&cx) == ERR_OK && db_commit(&ours) == ERR_OK);
    w.clock.virtual_us = at;
    CHECK_INT(differences(), 0);
    CHECK(said("\"captures\":4100,"));
    world_drop();
}

static void run_jobs(void)
{
    for (bool did = true; did;)
        CHECK(platform_turn(w.p, 1, TURN_JOBS, &did) == ERR_OK);
}

/* Each hour, and once more a day later; nobody has to ask. */
static void by_itself(void)
{
    world_open();
    run_jobs(); /* their first time */
    struct uuid id = captured_unseen();
    for (int hour = 0; hour < 26; hour++) {
        w.clock.virtual_us += US_PER_HOUR;
        run_jobs();
        pass(5 * US_PER_S);
    }
    CHECK_PAYMENT(id, REFUNDED);
    CHECK(number("payment", "select count(*) from reconciliations") >= 26);
    CHECK(
        number("payment", "select count(*) from reconciliations where at - to_at > 86400000000") >=
        26); /* the day before once more */
    CHECK(number("payment", "select count(*) from reconciliations where difference_count > 0") >=
          1);
    CHECK_INT(number("payment", "select sum(difference_count) from reconciliations where at >"
                                " (select max(at) from reconciliations) - 20 * 3600000000"),
              0);
    int64_t until_s = gauge("jumun_reconciled_until_seconds");
    CHECK(w.clock.virtual_us / US_PER_S - until_s < 3600 + 600 + 60);
    world_close();
}

/* The process, or the provider, was away for long: hour by hour until it is made up for. */
static void after_a_long_stop(void)
{
    world_open();
    run_jobs();
    w.clock.virtual_us += 2 * US_PER_HOUR;
    run_jobs();
    struct uuid id = captured_unseen();
    w.weather = LOCKED_OUT;
    w.clock.virtual_us += 30 * US_PER_HOUR;
    run_jobs();
    CHECK_PAYMENT(id, FAILED);
    w.weather = FAIR;
    for (int i = 0; i < 120; i++) {
        w.clock.virtual_us += US_PER_MIN;
        run_jobs();
        settle();
    }
    CHECK_PAYMENT(id, REFUNDED);
    CHECK(number("payment", "select max(to_at) from reconciliations") >
          w.clock.virtual_us - US_PER_HOUR - 30 * US_PER_MIN);
    world_close();
}

/* Given back in the dashboard before we knew that it was captured. */
static void given_back_before_we_knew(void)
{
    world_open();
    struct uuid id = place();
    struct str key = authorize(id, "approve");
    w.weather = LOST_AFTER;
    CHECK_INT(confirm(id, key), 202);
    give_back(key, TOTAL_WON);
    w.weather = FAIR;
    pass(10 * US_PER_S);
    CHECK_ORDER(id, CANCELLED);
    CHECK_PAYMENT(id, REFUNDED);
    world_close();
}

/* As much as one of ours wants: each is its own, and the customer gets both. */
static void the_same_amount_there_and_here(void)
{
    const struct caller admin = {.role = ADMIN, .user_id = w.admin};
    struct str key;

    world_open();
    struct uuid id = paid(&key);
    no_webhooks();
    give_back(key, 1000);
    CHECK_INT(
        at_provider(HTTP_PUT, "/simulator/faults", STR("{\"webhookTo\":\"\",\"failCancels\":1}")),
        200);
    struct str path =
        arena_printf(&w.arena, "/v1/admin/payments/%s/refunds", id_text(payment_of(id).payment_id));
    CHECK_INT(call(HTTP_POST, 0, path.p,
                   STR("{\"amountWon\":1000,\"reason\":\"x\",\"payer\":\"store\"}"), &admin),
              202);
    pass(10 * US_PER_S);
    CHECK_INT(number("toss", "select count(*) from cancels"), 2);
    CHECK_INT(differences(), 1);
    settle();
    CHECK_INT(payment_of(id).refunded_won, 2000);
    CHECK_INT(differences(), 0);
    world_close();
}

/* A list of cancels that does not account for what is left decides nothing. */
static void an_answer_that_does_not_add_up(void)
{
    struct str key;
    world_open();
    struct uuid id = paid(&key);
    no_webhooks();
    falsify("toss", "update payments set balance = 1000");
    CHECK_INT(cancel(id), 202);
    pass(10 * US_PER_S);
    CHECK_ORDER(id, CANCELLING);
    CHECK_INT(number("payment", "select sum(amount_won) from refunds where status = 'REQUESTED'"),
              TOTAL_WON);
    falsify("toss", "update payments set balance = amount");
    falsify("toss", "delete from keys"); /* the refusal is kept under our key */
    pass(10 * US_PER_MIN);
    CHECK_ORDER(id, CANCELLED);
    world_close();
}

int main(void)
{
    RUN(what_agrees_is_left_alone);
    RUN(a_refund_that_nobody_told_us_of);
    RUN(a_capture_that_we_had_given_up);
    RUN(what_is_not_ours_or_not_theirs);
    RUN(a_provider_that_does_not_answer);
    RUN(a_range_that_is_none);
    RUN(a_rush);
    RUN(by_itself);
    RUN(after_a_long_stop);
    RUN(given_back_before_we_knew);
    RUN(the_same_amount_there_and_here);
    RUN(an_answer_that_does_not_add_up);
    return test_end();
}
