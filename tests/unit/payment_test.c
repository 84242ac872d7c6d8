/* payment_test.c -- what an answer of the provider means, each kind of it, and how it is read. */
#include "payment/payment.h"
#include "test.h"

#include "data/json.h"

#define ORDER "0199a0de-5e00-7000-8456-9111513212e3"

static struct payment ours(void)
{
    return (struct payment){.payment_key = STR("tviva1"), .amount_won = 20500};
}

static enum answer meaning(int http_status, struct toss_payment answer)
{
    const struct payment p = ours();

    return provider_meaning(&p, http_status, &answer, ORDER);
}

static struct toss_payment shown(const char *status)
{
    return (struct toss_payment){.payment_key = STR("tviva1"),
                                 .order_id = STR(ORDER),
                                 .status = str_from(status),
                                 .total_won = 20500,
                                 .balance_won = 20500};
}

static enum answer refusal(int http_status, const char *code)
{
    return meaning(http_status, (struct toss_payment){.code = str_from(code)});
}

static void a_payment_is_shown(void)
{
    static const char *const moved[] = {"DONE", "CANCELED", "PARTIAL_CANCELED"};
    static const char *const open[] = {"READY", "IN_PROGRESS", "WAITING_FOR_DEPOSIT"};
    static const char *const dead[] = {"ABORTED", "EXPIRED"};

    for (size_t i = 0; i < COUNT_OF(moved); i++)
        CHECK_INT(meaning(200, shown(moved[i])), ANSWER_CAPTURED);
    for (size_t i = 0; i < COUNT_OF(open); i++)
        CHECK_INT(meaning(200, shown(open[i])), ANSWER_OPEN);
    for (size_t i = 0; i < COUNT_OF(dead); i++)
        CHECK_INT(meaning(200, shown(dead[i])), ANSWER_DECLINED);
    CHECK_INT(meaning(200, shown("done")), ANSWER_UNKNOWN);
    CHECK_INT(meaning(200, shown("A_STATUS_OF_NEXT_YEAR")), ANSWER_UNKNOWN);
    CHECK_INT(meaning(200, (struct toss_payment){0}), ANSWER_UNKNOWN);
}

static void a_capture_has_to_be_ours(void)
{
    struct toss_payment a = shown("DONE");

    a.total_won = 20501;
    CHECK_INT(meaning(200, a), ANSWER_WRONG);
    a = shown("DONE");
    a.order_id = STR("0199a0de-5e00-7000-8456-9111513212e4");
    CHECK_INT(meaning(200, a), ANSWER_WRONG);
    a = shown("DONE");
    a.payment_key = STR("tviva2");
    CHECK_INT(meaning(200, a), ANSWER_WRONG);
    a = shown("DONE");
    a.order_id = STR("0199A0DE-5E00-7000-8456-9111513212E3");
    CHECK_INT(meaning(200, a), ANSWER_CAPTURED);
}

static void a_card_is_refused(void)
{
    CHECK_INT(refusal(403, "REJECT_CARD_PAYMENT"), ANSWER_DECLINED);
    CHECK_INT(refusal(400, "INVALID_CARD_EXPIRATION"), ANSWER_DECLINED);
    CHECK_INT(refusal(404, "NOT_FOUND_PAYMENT_SESSION"), ANSWER_DECLINED);
    CHECK_INT(refusal(404, "NOT_FOUND_PAYMENT"), ANSWER_DECLINED);
}

/* A paid order is lost when one of these is taken for a refusal. */
static void what_is_not_known_is_no_refusal(void)
{
    static const int statuses[] = {0, 301, 401, 408, 409, 429, 500, 502, 503, 504};

    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        CHECK_INT(refusal(statuses[i], "REJECT_CARD_PAYMENT"), ANSWER_UNKNOWN);
        CHECK_INT(meaning(statuses[i], shown("DONE")), ANSWER_UNKNOWN);
    }
    CHECK_INT(refusal(400, "ALREADY_PROCESSED_PAYMENT"), ANSWER_UNKNOWN);
    CHECK_INT(refusal(400, "PROVIDER_ERROR"), ANSWER_UNKNOWN);
    CHECK_INT(refusal(403, "A_CODE_OF_NEXT_YEAR"), ANSWER_UNKNOWN);
    CHECK_INT(refusal(400, ""), ANSWER_UNKNOWN);
    CHECK_INT(refusal(400, "REJECT_CARD_PAYMENT "), ANSWER_UNKNOWN);
    /* Our key is wrong now; it was right when the card was charged. */
    CHECK_INT(refusal(400, "INVALID_API_KEY"), ANSWER_UNKNOWN);
    CHECK_INT(refusal(403, "FORBIDDEN_REQUEST"), ANSWER_UNKNOWN);
}

static struct arena arena;
static struct ctx cx;

static enum err decode(const char *text, struct toss_payment *ret)
{
    *ret = (struct toss_payment){0};
    return provider_decode(&cx, str_from(text), ret);
}

static void answers_are_read(void)
{
    struct toss_payment p;

    CHECK(decode("{\"paymentKey\":\"tviva1\",\"orderId\":\"o\",\"status\":\"PARTIAL_CANCELED\","
                 "\"totalAmount\":20500,\"balanceAmount\":20000,\"method\":\"카드\","
                 "\"approvedAt\":\"2026-01-02T12:00:00+09:00\",\"card\":{\"company\":\"현대\","
                 "\"number\":\"4330****123*\",\"new\":1},\"receipt\":{\"url\":\"https://r\"},"
                 "\"cancels\":[{\"transactionKey\":\"t1\",\"cancelReason\":\"x\","
                 "\"cancelAmount\":500}],\"unknown\":{\"deep\":[1,2]}}",
                 &p) == ERR_OK);
    CHECK_STR(p.payment_key, "tviva1");
    CHECK_STR(p.card_company, "현대");
    CHECK_STR(p.card_number, "4330****123*");
    CHECK_STR(p.receipt_url, "https://r");
    CHECK_INT(p.balance_won, 20000);
    CHECK_INT(p.approved_at, INT64_C(1767322800) * US_PER_S);
    CHECK_INT(p.cancels.n, 1);
    CHECK_STR(LIST_AT(struct toss_cancel, p.cancels, 0)->transaction_key, "t1");
    CHECK(decode("{\"card\":null,\"receipt\":null,\"cancels\":null,\"approvedAt\":null}", &p) ==
          ERR_OK);
    CHECK_INT(p.cancels.n, 0);
}

static void what_is_no_answer_is_not_read(void)
{
    static const char *const bad[] = {"",
                                      "the answer was lost",
                                      "<html></html>",
                                      "[]",
                                      "{\"status\":\"DONE\"",
                                      "{\"totalAmount\":-1}",
                                      "{\"totalAmount\":\"20500\"}",
                                      "{\"totalAmount\":99999999999999999999}"};
    struct toss_payment p;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK(decode(bad[i], &p) != ERR_OK);
        CHECK_INT(p.status.n, 0);
    }
}

int main(void)
{
    static const struct clock clock = {true, INT64_C(1763870400) * US_PER_S};

    arena_init(&arena, 1 << 20);
    cx = (struct ctx){.arena = &arena, .clock = &clock};
    RUN(a_payment_is_shown);
    RUN(a_capture_has_to_be_ours);
    RUN(a_card_is_refused);
    RUN(what_is_not_known_is_no_refusal);
    RUN(answers_are_read);
    RUN(what_is_no_answer_is_not_read);
    arena_release(&arena);
    return test_end();
}
