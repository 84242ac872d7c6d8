/* saga_fuzz.c -- any sequence of steps: the end states are final, money rules hold, and every
 * history replays. */
#include "order/saga.h"

#define STEPS_MAX 64

static bool is_dead(int s)
{
    return s == CANCELLED || s == EXPIRED || s == REJECTED || s == PAYMENT_FAILED;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const enum role roles[] = {CUSTOMER, OWNER, STAFF, ADMIN, SERVICE};
    struct saga_record history[STEPS_MAX];
    size_t n_history = 0, differs;
    int state = STOCK_PENDING;

    for (size_t i = 0; i + 2 < n && n_history < STEPS_MAX; i += 3) {
        struct saga_decision d;
        struct saga_record r = {.from = state,
                                .event = bytes[i] % STEP_COUNT,
                                .facts = bytes[i + 1] & 31u,
                                .by = roles[bytes[i + 2] % COUNT_OF(roles)]};
        if (saga_step(order_saga, order_saga_rows, state, r.event, r.facts, r.by, &d) != ERR_OK)
            continue;
        assert(d.next >= 0 && d.next < STATUS_COUNT);
        assert(!status_is_end((enum status)state) || d.next == state); /* the end is the end */
        assert(!is_dead(state) || d.next != PAID);                     /* a dead order stays dead */
        assert(d.next != PAID || state == PAID ||
               (r.facts & FULLY_CAPTURED));               /* paid in full, or not paid */
        assert(state != CONFIRMING || d.next != EXPIRED); /* the pin holds */
        assert(state != CONFIRMING || d.next != CANCELLED);
        assert(d.next != CANCELLED || state == CANCELLED || state == AWAITING_PAYMENT ||
               (r.facts & (ALL_MONEY_BACK | ALL_STOCK_BACK)) == (ALL_MONEY_BACK | ALL_STOCK_BACK));
        r.to = d.next;
        history[n_history++] = r;
        state = d.next;
    }
    assert(saga_replay(order_saga, order_saga_rows, history, n_history, &differs) == ERR_OK);
    return 0;
}
