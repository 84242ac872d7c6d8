/* figures.c -- a store's days in numbers: orders, revenue, refunds, what sold best. */
#include "order/order.h"

#define DAYS_MAX 92
#define TOP 5
#define SEOUL_US (9 * US_PER_HOUR)

struct top_item {
    int64_t day, quantity, revenue_won;
    struct uuid menu_item_id;
    struct str name;
};
static const struct field top_item_fields[] = {
    F_UUID(struct top_item, menu_item_id, "menuItemId", REQUIRED, "menu item"),
    F_STR(struct top_item, name, "name", REQUIRED, 1, 100, "as it was last ordered"),
    F_INT(struct top_item, quantity, "quantity", REQUIRED, 0, INT64_MAX, "how many"),
    F_WON(struct top_item, revenue_won, "revenueWon", REQUIRED, "sum of its lines"),
    F_END(struct top_item),
};
static const struct field top_row_fields[] = {
    F_INT(struct top_item, day, "day", 0, INT64_MIN, INT64_MAX, ""),
    F_UUID(struct top_item, menu_item_id, "menuItemId", 0, ""),
    F_STR(struct top_item, name, "name", 0, 0, 100, ""),
    F_INT(struct top_item, quantity, "quantity", 0, 0, INT64_MAX, ""),
    F_INT(struct top_item, revenue_won, "revenueWon", 0, 0, INT64_MAX, ""),
    F_END(struct top_item),
};

struct figures_day {
    int64_t day; /* since 1970-01-01 in Seoul */
    struct str date;
    int64_t orders, cancelled, revenue_won, refunds_won;
    struct list top_items;
};
const struct field figures_fields[] = {
    F_STR(struct figures_day, date, "date", REQUIRED, 10, 10, "day in Seoul"),
    F_INT(struct figures_day, orders, "orders", REQUIRED, 0, INT64_MAX, "paid orders"),
    F_INT(struct figures_day, cancelled, "cancelled", REQUIRED, 0, INT64_MAX, "of them cancelled"),
    F_WON(struct figures_day, revenue_won, "revenueWon", REQUIRED, "paid"),
    F_WON(struct figures_day, refunds_won, "refundsWon", REQUIRED, "of it given back"),
    F_LIST(struct figures_day, top_items, "topItems", REQUIRED, 0, TOP, top_item_fields, "best"),
    F_END(struct figures_day),
};
static const struct field day_row_fields[] = {
    F_INT(struct figures_day, day, "day", 0, INT64_MIN, INT64_MAX, ""),
    F_INT(struct figures_day, orders, "orders", 0, 0, INT64_MAX, ""),
    F_INT(struct figures_day, cancelled, "cancelled", 0, 0, INT64_MAX, ""),
    F_INT(struct figures_day, revenue_won, "revenueWon", 0, 0, INT64_MAX, ""),
    F_INT(struct figures_day, refunds_won, "refundsWon", 0, 0, INT64_MAX, ""),
    F_END(struct figures_day),
};

struct figures_query {
    struct str from, to;
};
const struct field figures_query_fields[] = {
    F_DATE(struct figures_query, from, "from", 0, "first day; default: six days before `to`"),
    F_DATE(struct figures_query, to, "to", 0, "last day; default: today"),
    F_END(struct figures_query),
};

static int64_t day_of(int64_t us)
{
    return (us + SEOUL_US) / US_PER_DAY;
}

static int64_t parse_day(struct ctx *cx, struct str date)
{
    int64_t us = 0;

    (void)time_parse(arena_printf(cx->arena, "%.*sT00:00:00+09:00", STR_ARG(date)), &us);
    return day_of(us);
}

static struct str day_text(struct ctx *cx, int64_t day)
{
    struct seoul_time t = seoul_time(day * US_PER_DAY - SEOUL_US);

    return arena_printf(cx->arena, "%04d-%02d-%02d", t.year, t.month, t.day);
}

/* Rows come by day, the best of each first. */
static struct list top_of_day(const struct list *all, int64_t day)
{
    size_t first = 0, n = 0;

    while (first < all->n && LIST_AT(struct top_item, *all, first)->day < day)
        first++;
    while (first + n < all->n && n < TOP && LIST_AT(struct top_item, *all, first + n)->day == day)
        n++;
    return (struct list){n ? LIST_AT(struct top_item, *all, first) : NULL, n};
}

enum err store_figures(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct figures_query *q = rq->query;
    int64_t to = q->to.n ? parse_day(cx, q->to) : day_of(ctx_now(cx));
    int64_t from = q->from.n ? parse_day(cx, q->from) : to - 6;
    struct list days = {NULL, 0}, items = {NULL, 0};

    if (from > to || to - from >= DAYS_MAX) {
        ctx_field_error(cx, STR("from"), STR("RANGE"), "1 to %d days up to `to`", DAYS_MAX);
        return fail(cx, ERR_INVALID, "range of days");
    }
    const struct db_value v[] = {
        db_uuid(rq->id[0]),
        db_int(from * US_PER_DAY - SEOUL_US),
        db_int((to + 1) * US_PER_DAY - SEOUL_US),
        db_int(SEOUL_US),
        db_int(US_PER_DAY),
    };
    const struct db_args args = {v, COUNT_OF(v)};
    TRY(db_all(
        cx, day_row_fields, &days,
        "select (created_at + $4) / $5 as day, count(*) as orders,"
        " sum(case when status = 'CANCELLED' then 1 else 0 end) as cancelled,"
        " cast(sum(captured_won - late_won) as bigint) as revenue_won,"
        " cast(sum(case when refunded_won > late_won then refunded_won - late_won else 0 end)"
        " as bigint) as refunds_won from orders where store_id = $1 and created_at >= $2"
        " and created_at < $3 and accept_by is not null group by 1 order by 1",
        args));
    TRY(db_all(cx, top_row_fields, &items,
               "select (o.created_at + $4) / $5 as day, l.menu_item_id, max(l.name) as name,"
               " cast(sum(l.quantity) as bigint) as quantity,"
               " cast(sum(l.line_total_won) as bigint) as revenue_won from orders o"
               " join order_lines l on l.order_id = o.order_id where o.store_id = $1"
               " and o.created_at >= $2 and o.created_at < $3 and o.accept_by is not null"
               " and o.status <> 'CANCELLED' group by 1, 2 order by 1, 4 desc, 5 desc, 2",
               args));
    for (size_t i = 0; i < days.n; i++) {
        struct figures_day *d = LIST_AT(struct figures_day, days, i);
        d->date = day_text(cx, d->day);
        d->top_items = top_of_day(&items, d->day);
    }
    return reply_list(cx, rq, rp, figures_fields, days, STR_NONE);
}
