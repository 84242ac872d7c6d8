/* counts.h -- business figures, counted once but for work that is run again after a conflict. */
#pragma once

#include "order/live.h"

enum money_event {
    MONEY_CAPTURED,
    MONEY_DECLINED,
    MONEY_REFUNDED,
    MONEY_LATE_CAPTURED,
    MONEY_EVENTS
};

/* Makes every series at start. */
enum err order_counts_start(struct ctx *cx) MUST_USE;
/* amount_won is of no meaning for MONEY_DECLINED. */
void count_money(enum money_event what, int64_t amount_won);
void count_refusal(struct str reason);
/* An order came from that status to the one it has. */
void count_status(int from, const struct order *o);
