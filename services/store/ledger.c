/* ledger.c -- proves by itself that counts, ledger and reservations of stock tell the same story.
 */
#include "obs/log.h"
#include "store/stock.h"

/*
 * DESIGN
 *
 * The ledger only grows, so it is not read again as a whole: per item the sums of its older
 * movements are kept, and an item is looked at when its counts or their version have changed since.
 * Movements younger than SETTLED_US stay outside the sums, because their transactions may still
 * become visible. When the kept sums and the newer movements do not explain the counts, the item is
 * counted from its first movement before anything is said. What was never touched again is read by
 * `jumun doctor --audit`, which reads everything.
 */

#define SHOWN 20
#define BATCH 50       /* items of one transaction; requests write, too */
#define BATCHES_MAX 40 /* of one run */
#define SETTLED_US (10 * US_PER_MIN)

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

/* An item's counts, the kept sums, and the sums of what moved since. */
struct account {
    struct uuid menu_item_id;
    int64_t version, available, reserved, sold, upto;
    int64_t kept_available, kept_reserved, kept_sold, new_available, new_reserved, new_sold;
};
#define COUNT_FIELD(member, json)                                                                  \
    F_INT(struct account, member, json, 0, INT64_MIN, INT64_MAX, "count")
static const struct field account_fields[] = {
    F_UUID(struct account, menu_item_id, "menuItemId", 0, "menu item"),
    COUNT_FIELD(version, "version"),
    COUNT_FIELD(available, "available"),
    COUNT_FIELD(reserved, "reserved"),
    COUNT_FIELD(sold, "sold"),
    COUNT_FIELD(upto, "upto"),
    COUNT_FIELD(kept_available, "keptAvailable"),
    COUNT_FIELD(kept_reserved, "keptReserved"),
    COUNT_FIELD(kept_sold, "keptSold"),
    COUNT_FIELD(new_available, "newAvailable"),
    COUNT_FIELD(new_reserved, "newReserved"),
    COUNT_FIELD(new_sold, "newSold"),
    F_END(struct account),
};

/* clang-format off */
/* Counts against the lines of live holds: this is what catches a unit held twice. Only holds are
 * read, by their own index. */
static const char *const from_holds =
    "select v.menu_item_id, 0 as available, v.reserved - coalesce(h.held, 0) as reserved, 0 as sold"
    " from inventory v left join (select l.menu_item_id, sum(l.quantity) as held from reservations r"
    " join reservation_lines l on l.reservation_id = r.reservation_id and l.is_counted = 1"
    " where r.state = 'HELD' group by l.menu_item_id) h on h.menu_item_id = v.menu_item_id"
    " where v.reserved <> coalesce(h.held, 0) order by v.menu_item_id limit 20";

#define ITEMS " from inventory v left join stock_checked c on c.menu_item_id = v.menu_item_id"
static const char *const changed_items =
    "select v.menu_item_id" ITEMS " where v.menu_item_id > $1 and (c.version is null or c.version <> v.version"
    " or c.seen_available <> v.available or c.seen_reserved <> v.reserved or c.seen_sold <> v.sold)"
    " order by v.menu_item_id limit $2";

static const char *const one_item =
    "select v.menu_item_id, v.version, v.available, v.reserved, v.sold, coalesce(c.upto, 0) as upto,"
    " coalesce(c.available, 0) as kept_available, coalesce(c.reserved, 0) as kept_reserved,"
    " coalesce(c.sold, 0) as kept_sold" ITEMS " where v.menu_item_id = $1";

/* $2 to $3; an item's movements are in order in their index. */
static const char *const movement_sums =
    "select coalesce(sum(available_delta), 0) as new_available,"
    " coalesce(sum(reserved_delta), 0) as new_reserved, coalesce(sum(sold_delta), 0) as new_sold"
    " from stock_movements where menu_item_id = $1 and moved_at >= $2 and moved_at < $3";

/* What was sold since then is on a line of a reservation that is sold, or was. */
static const char *const unfounded_sales =
    "select count(*) from stock_movements m left join reservation_lines l"
    " on l.reservation_id = m.reservation_id and l.menu_item_id = m.menu_item_id and l.is_counted = 1"
    " left join reservations r on r.reservation_id = m.reservation_id"
    " where m.menu_item_id = $1 and m.moved_at >= $2 and m.kind = 'SELL'"
    " and (coalesce(l.quantity, 0) <> m.sold_delta or coalesce(r.state, '') not in ('SOLD', 'RETURNED'))";
/* clang-format on */

static void tell(struct ctx *cx, const struct difference *d, const char *with)
{
    log_event(cx, LOG_ERROR,
              "stock of %s differs from %s: available %+" PRId64 ", reserved %+" PRId64
              ", sold %+" PRId64,
              ctx_uuid_text(cx, d->menu_item_id), with, d->available, d->reserved, d->sold);
}

static enum err check_holds(struct ctx *cx)
{
    struct list found = {NULL, 0};

    TRY(db_all(cx, difference_fields, &found, from_holds, NO_ARGS));
    for (size_t i = 0; i < found.n; i++)
        tell(cx, LIST_AT(struct difference, found, i), "its reservations");
    return found.n
               ? fail(cx, ERR_CONSTRAINT,
                      "%zu items (at most %d shown) differ from their reservations", found.n, SHOWN)
               : ERR_OK;
}

/* Into new_*: what moved from `from` until before `to`. */
static enum err sum_movements(struct ctx *cx, struct account *a, int64_t from, int64_t to)
{
    return db_one(cx, account_fields, a, movement_sums,
                  ARGS(db_uuid(a->menu_item_id), db_int(from), db_int(to)));
}

static struct difference difference_of(const struct account *a)
{
    return (struct difference){a->menu_item_id, a->available - a->kept_available - a->new_available,
                               a->reserved - a->kept_reserved - a->new_reserved,
                               a->sold - a->kept_sold - a->new_sold};
}

static bool is_none(const struct difference *d)
{
    return d->available == 0 && d->reserved == 0 && d->sold == 0;
}

/* The item agrees: it is left alone until it changes, and its settled movements with it. */
static enum err keep_sums(struct ctx *cx, struct account *a)
{
    int64_t upto = ctx_now(cx) - SETTLED_US;

    if (upto > a->upto) {
        TRY(sum_movements(cx, a, a->upto, upto));
        a->kept_available += a->new_available;
        a->kept_reserved += a->new_reserved;
        a->kept_sold += a->new_sold;
        a->upto = upto;
    }
    return db_exec(
        cx,
        "insert into stock_checked (menu_item_id, version, upto, available, reserved, sold,"
        " seen_available, seen_reserved, seen_sold) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        " on conflict (menu_item_id) do update set version = excluded.version,"
        " upto = excluded.upto, available = excluded.available, reserved = excluded.reserved,"
        " sold = excluded.sold, seen_available = excluded.seen_available,"
        " seen_reserved = excluded.seen_reserved, seen_sold = excluded.seen_sold",
        ARGS(db_uuid(a->menu_item_id), db_int(a->version), db_int(a->upto),
             db_int(a->kept_available), db_int(a->kept_reserved), db_int(a->kept_sold),
             db_int(a->available), db_int(a->reserved), db_int(a->sold)));
}

static enum err check_item(struct ctx *cx, struct account *a, int64_t *found)
{
    int64_t unfounded = 0;

    TRY(sum_movements(cx, a, a->upto, INT64_MAX));
    struct difference d = difference_of(a);
    if (!is_none(&d) && a->upto > 0) {
        a->kept_available = a->kept_reserved = a->kept_sold = a->upto = 0;
        TRY(sum_movements(cx, a, 0, INT64_MAX));
        d = difference_of(a);
    }
    TRY(db_int_of(cx, &unfounded, unfounded_sales,
                  ARGS(db_uuid(a->menu_item_id), db_int(a->upto))));
    if (is_none(&d) && unfounded == 0)
        return keep_sums(cx, a);
    if (++*found <= SHOWN)
        tell(cx, &d, is_none(&d) ? "the reservations it was sold by" : "its ledger");
    return ERR_OK;
}

/* The next items after *after that have changed since they were checked. They are looked for among
 * all before the transaction: nobody waits for that. */
static enum err check_batch(struct ctx *cx, struct uuid *after, size_t *ret_n, int64_t *found)
{
    struct list items = {NULL, 0};

    TRY(db_all(cx, account_fields, &items, changed_items, ARGS(db_uuid(*after), db_int(BATCH))));
    *ret_n = items.n;
    if (items.n == 0)
        return ERR_OK;
    TRY(db_begin(cx));
    for (size_t i = 0; i < items.n; i++) {
        struct account *a = LIST_AT(struct account, items, i);
        TRY(db_one(cx, account_fields, a, one_item, ARGS(db_uuid(a->menu_item_id))));
        TRY(check_item(cx, a, found));
        *after = a->menu_item_id;
    }
    TRY(db_commit(cx));
    return db_durable(cx);
}

/* Each transaction sees one moment; nothing is repaired here. */
enum err ledger_check(struct ctx *cx)
{
    struct uuid after = {{[15] = 1}}; /* below every id, and not nil, which is null */
    int64_t found = 0;
    size_t n = BATCH;

    TRY(check_holds(cx));
    for (int i = 0; i < BATCHES_MAX && n == BATCH; i++)
        TRY(check_batch(cx, &after, &n, &found));
    if (found)
        return fail(cx, ERR_CONSTRAINT, "%" PRId64 " items (at most %d shown) differ", found,
                    SHOWN);
    return n == BATCH ? ERR_BUSY : ERR_OK; /* the rest soon, in a run of its own */
}
