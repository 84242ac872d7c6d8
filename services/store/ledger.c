/* ledger.c -- proves by itself that counts, ledger and reservations of stock tell the same story.
 */
#include "obs/log.h"
#include "store/stock.h"

#define SHOWN 20

struct difference {
    struct uuid menu_item_id;
    int64_t available, reserved, sold;
};
static const struct field difference_fields[] = {
    F_UUID(struct difference, menu_item_id, "menuItemId", 0, "menu item"),
    F_INT(struct difference, available, "available", 0, INT64_MIN, INT64_MAX, "too many by"),
    F_INT(struct difference, reserved, "reserved", 0, INT64_MIN, INT64_MAX, "too many by"),
    F_INT(struct difference, sold, "sold", 0, INT64_MIN, INT64_MAX, "too many by"),
    F_END(struct difference),
};

/* clang-format off */
/* Counts against the sum of all movements. */
static const char *const from_movements =
    "select v.menu_item_id, v.available - coalesce(sum(m.available_delta), 0) as available,"
    " v.reserved - coalesce(sum(m.reserved_delta), 0) as reserved,"
    " v.sold - coalesce(sum(m.sold_delta), 0) as sold"
    " from inventory v left join stock_movements m on m.menu_item_id = v.menu_item_id"
    " group by v.menu_item_id, v.available, v.reserved, v.sold"
    " having v.available <> coalesce(sum(m.available_delta), 0)"
    " or v.reserved <> coalesce(sum(m.reserved_delta), 0)"
    " or v.sold <> coalesce(sum(m.sold_delta), 0) order by v.menu_item_id limit 20";

/* Counts against the lines of live reservations: this is what catches a unit held twice. */
static const char *const from_lines =
    "select v.menu_item_id, 0 as available,"
    " v.reserved - coalesce(sum(case when r.state = 'HELD' then l.quantity else 0 end), 0) as reserved,"
    " v.sold - coalesce(sum(case when r.state = 'SOLD' then l.quantity else 0 end), 0) as sold"
    " from inventory v"
    " left join reservation_lines l on l.menu_item_id = v.menu_item_id and l.is_counted = 1"
    " left join reservations r on r.reservation_id = l.reservation_id"
    " group by v.menu_item_id, v.reserved, v.sold"
    " having v.reserved <> coalesce(sum(case when r.state = 'HELD' then l.quantity else 0 end), 0)"
    " or v.sold <> coalesce(sum(case when r.state = 'SOLD' then l.quantity else 0 end), 0)"
    " order by v.menu_item_id limit 20";
/* clang-format on */

static enum err compare(struct ctx *cx, const char *sql, const char *with)
{
    struct list found = {NULL, 0};

    TRY(db_all(cx, difference_fields, &found, sql, NO_ARGS));
    for (size_t i = 0; i < found.n; i++) {
        const struct difference *d = LIST_AT(struct difference, found, i);
        log_event(cx, LOG_ERROR,
                  "stock of %s differs from %s: available %+" PRId64 ", reserved %+" PRId64
                  ", sold %+" PRId64,
                  ctx_uuid_text(cx, d->menu_item_id), with, d->available, d->reserved, d->sold);
    }
    return found.n ? fail(cx, ERR_CONSTRAINT, "%zu items (at most %d shown) differ from %s",
                          found.n, SHOWN, with)
                   : ERR_OK;
}

/* Each query is one statement, so it sees one moment; nothing is repaired here. */
enum err ledger_check(struct ctx *cx)
{
    TRY(compare(cx, from_movements, "its ledger"));
    return compare(cx, from_lines, "its reservations");
}
