/* counts.c -- the figures of the business at /metrics, counted where it happens. */
#include "order/counts.h"

#include "obs/metrics.h"

static const char *const money_names[] = {"captured", "declined", "refunded", "late_captured"};
static const char *const money_won_names[] = {
    "jumun_captured_won_total", NULL, "jumun_refunded_won_total", "jumun_late_captured_won_total"};
static const char *const refusals[] = {"STOCK_SHORT", "MENU_SOLD_OUT", "OTHER", NULL};

static struct metric *orders(const char *status)
{
    return metric_get(METRIC_COUNTER, "jumun_orders_total", "Orders that came to a status.",
                      "status", status, NULL, NULL);
}

static struct metric *paid_won(void)
{
    return metric_get(METRIC_COUNTER, "jumun_paid_won_total", "Won of paid orders.", NULL, NULL,
                      NULL, NULL);
}

static struct metric *payments(enum money_event what)
{
    return metric_get(METRIC_COUNTER, "jumun_payments_total", "Answers of the payment provider.",
                      "result", money_names[what], NULL, NULL);
}

static struct metric *won(enum money_event what)
{
    return metric_get(METRIC_COUNTER, money_won_names[what], "Won that moved at the provider.",
                      NULL, NULL, NULL, NULL);
}

static struct metric *refused(const char *reason)
{
    return metric_get(METRIC_COUNTER, "jumun_stock_refused_total",
                      "Orders that the store refused for want of stock.", "reason", reason, NULL,
                      NULL);
}

/* What never happened is 0, not absent: otherwise the first of its kind raises no alarm. */
enum err order_counts_start(struct ctx *cx)
{
    (void)cx;
    for (size_t i = 0; status_names[i]; i++)
        metric_add(orders(status_names[i]), 0);
    metric_add(paid_won(), 0);
    for (enum money_event what = MONEY_CAPTURED; what < MONEY_EVENTS; what++) {
        metric_add(payments(what), 0);
        if (money_won_names[what])
            metric_add(won(what), 0);
    }
    for (size_t i = 0; refusals[i]; i++)
        metric_add(refused(refusals[i]), 0);
    return ERR_OK;
}

void count_money(enum money_event what, int64_t amount_won)
{
    metric_add(payments(what), 1);
    if (money_won_names[what])
        metric_add(won(what), amount_won);
}

/* The reason comes from another service: unknown ones share a series. */
void count_refusal(struct str reason)
{
    size_t i = 0;

    while (refusals[i + 1] && !str_eq(reason, str_from(refusals[i])))
        i++;
    metric_add(refused(refusals[i]), 1);
}

void count_status(int from, const struct order *o)
{
    if (o->status == from)
        return;
    metric_add(orders(status_names[o->status]), 1);
    if (o->status == PAID)
        metric_add(paid_won(), o->total_won);
}
