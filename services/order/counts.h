/* counts.h -- business figures; each is counted by a consumer, once per event but for conflicts. */
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
/* Consumer: what became of orders. */
enum err on_status_changed(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
