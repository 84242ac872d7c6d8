/* stock.c -- the owner's view of stock: counts, adjustments, the ledger of every movement. */
#include "store/stock.h"

#include "base/fault.h"

#define STOCK_MAX 1000000
#define LEDGER_SHOWN 20

static const char *const kind_names[] = {"RESERVE", "SELL", "RELEASE", "RETURN", "ADJUST", NULL};

const struct field movement_fields[] = {
    F_UUID(struct movement, movement_id, "movementId", 0, "movement"),
    F_ENUM(struct movement, kind, "kind", 0, kind_names, "what happened"),
    F_UUID(struct movement, reservation_id, "reservationId", 0,
           "whose order; none for adjustments"),
    F_INT(struct movement, available_delta, "availableDelta", 0, INT64_MIN, INT64_MAX, "change"),
    F_INT(struct movement, reserved_delta, "reservedDelta", 0, INT64_MIN, INT64_MAX, "change"),
    F_INT(struct movement, sold_delta, "soldDelta", 0, INT64_MIN, INT64_MAX, "change"),
    F_STR(struct movement, reason, "reason", 0, 0, 200, "the owner's words"),
    F_UUID(struct movement, actor_id, "actorId", 0, "who adjusted"),
    F_TIME(struct movement, moved_at, "movedAt", 0, "when"),
    F_END(struct movement),
};

struct stock_reply {
    struct uuid menu_item_id;
    bool infinite;
    int64_t available, reserved, sold, version;
    struct list ledger;
};
const struct field stock_fields[] = {
    F_UUID(struct stock_reply, menu_item_id, "menuItemId", 0, "menu item"),
    F_BOOL(struct stock_reply, infinite, "infinite", 0, "not counted"),
    F_INT(struct stock_reply, available, "available", 0, 0, INT64_MAX, "can be ordered"),
    F_INT(struct stock_reply, reserved, "reserved", 0, 0, INT64_MAX, "held by unpaid orders"),
    F_INT(struct stock_reply, sold, "sold", 0, 0, INT64_MAX, "paid for"),
    F_INT(struct stock_reply, version, "version", 0, 0, INT64_MAX, "rises with every change"),
    F_LIST(struct stock_reply, ledger, "ledger", 0, 0, LEDGER_SHOWN, movement_fields,
           "latest first"),
    F_END(struct stock_reply),
};

#define MOVEMENT_COLUMNS                                                                           \
    "movement_id, kind, reservation_id, available_delta, reserved_delta, sold_delta, reason,"      \
    " actor_id, moved_at"

enum err stock_move(struct ctx *cx, const struct movement *m)
{
    return db_exec(cx,
                   "insert into stock_movements (movement_id, menu_item_id, reservation_id, kind,"
                   " available_delta, reserved_delta, sold_delta, reason, actor_id, moved_at)"
                   " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                   ARGS(db_uuid(ctx_uuid(cx)), db_uuid(m->menu_item_id), db_uuid(m->reservation_id),
                        db_str(str_from(kind_names[m->kind])), db_int(m->available_delta),
                        db_int(m->reserved_delta), db_int(m->sold_delta), db_str(m->reason),
                        db_uuid(m->actor_id), db_int(ctx_now(cx))));
}

enum err stock_open(struct ctx *cx, struct uuid store_id, struct uuid menu_item_id, bool infinite,
                    int64_t available)
{
    struct movement first = {.menu_item_id = menu_item_id,
                             .kind = MOVE_ADJUST,
                             .available_delta = available,
                             .reason = STR("first stock"),
                             .actor_id = cx->caller.user_id};

    TRY(db_exec(
        cx,
        "insert into inventory (menu_item_id, store_id, infinite, available, reserved, sold)"
        " values ($1, $2, $3, $4, 0, 0)",
        ARGS(db_uuid(menu_item_id), db_uuid(store_id), db_bool(infinite), db_int(available))));
    return available > 0 ? stock_move(cx, &first) : ERR_OK;
}

/* The item must be this store's: an owner names foreign items in vain. */
static enum err load(struct ctx *cx, const struct request *rq, struct stock_reply *ret)
{
    return db_one(cx, stock_fields, ret,
                  "select menu_item_id, infinite, available, reserved, sold, version from inventory"
                  " where menu_item_id = $1 and store_id = $2",
                  ARGS(db_uuid(rq->id[1]), db_uuid(rq->id[0])));
}

/* The same, and against the version of If-Match: a count that was read may be a count of before. */
static enum err load_expected(struct ctx *cx, const struct request *rq, struct stock_reply *ret)
{
    TRY(load(cx, rq, ret));
    return request_expects(cx, rq, 'v', ret->version);
}

static bool ran_out(const struct stock_reply *s)
{
    return !s->infinite && s->available == 0;
}

/* Commits; the menu only changes when the item ran out or came back. */
static enum err finish(struct ctx *cx, const struct request *rq, struct reply *rp,
                       const struct stock_reply *before)
{
    struct stock_reply now = {0};

    TRY(load(cx, rq, &now));
    TRY(db_all(cx, movement_fields, &now.ledger,
               "select " MOVEMENT_COLUMNS " from stock_movements where menu_item_id = $1"
               " order by moved_at desc, movement_id desc limit $2",
               ARGS(db_uuid(rq->id[1]), db_int(LEDGER_SHOWN))));
    reply_version(cx, rp, now.version);
    TRY(reply_data(cx, rp, 200, stock_fields, &now));
    if (!before)
        return ERR_OK;
    if (ran_out(before) != ran_out(&now))
        return menu_commit(cx, NULL, rq->id[0]);
    if (FAULT("stock.commit.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault: stock.commit.before");
    return db_commit(cx);
}

enum err stock_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return finish(cx, rq, rp, NULL);
}

struct adjust_body {
    int64_t delta, set_to;
    bool has_delta, has_set_to;
    struct str reason;
};
const struct field stock_adjust_fields[] = {
    F_OPT_INT(struct adjust_body, delta, "delta", 0, -STOCK_MAX, STOCK_MAX, "more or fewer"),
    F_OPT_INT(struct adjust_body, set_to, "setTo", 0, 0, STOCK_MAX, "available from now on"),
    F_STR(struct adjust_body, reason, "reason", REQUIRED | ONE_LINE, 1, 200, "for the ledger"),
    F_END(struct adjust_body),
};

enum err stock_adjust(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct adjust_body *in = rq->body;
    struct stock_reply before = {0};
    int64_t changed = 0;

    if (in->has_delta == in->has_set_to) {
        ctx_field_error(cx, STR("delta"), STR("ONE_OF"), "give either delta or setTo");
        return fail(cx, ERR_INVALID, "delta or setTo");
    }
    TRY(db_begin(cx));
    TRY(load_expected(cx, rq, &before));
    int64_t delta = in->has_delta ? in->delta : in->set_to - before.available;
    if (before.available + delta > STOCK_MAX) {
        ctx_field_error(cx, STR("delta"), STR("RANGE"), "at most %d can be available", STOCK_MAX);
        return fail(cx, ERR_INVALID, "stock above the maximum");
    }
    TRY(db_change(cx, &changed,
                  "update inventory set available = available + $2, version = version + 1"
                  " where menu_item_id = $1 and available + $2 >= 0",
                  ARGS(db_uuid(rq->id[1]), db_int(delta))));
    if (changed == 0)
        return fail(cx, ERR_STOCK_SHORT, "only %" PRId64 " available", before.available);
    struct movement m = {.menu_item_id = rq->id[1],
                         .kind = MOVE_ADJUST,
                         .available_delta = delta,
                         .reason = in->reason,
                         .actor_id = cx->caller.user_id};
    TRY(stock_move(cx, &m));
    return finish(cx, rq, rp, &before);
}

struct mode_body {
    bool infinite;
};
const struct field stock_mode_fields[] = {
    F_BOOL(struct mode_body, infinite, "infinite", REQUIRED, "not counted"),
    F_END(struct mode_body),
};

enum err stock_mode(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct mode_body *in = rq->body;
    struct stock_reply before = {0};

    TRY(db_begin(cx));
    TRY(load_expected(cx, rq, &before));
    TRY(db_exec(cx,
                "update inventory set infinite = $2, version = version + 1 where menu_item_id = $1",
                ARGS(db_uuid(rq->id[1]), db_bool(in->infinite))));
    return finish(cx, rq, rp, &before);
}

struct ledger_query {
    struct page page;
};
const struct field stock_ledger_query_fields[] = {
    PAGE_FIELDS(struct ledger_query, page),
    F_END(struct ledger_query),
};

enum err stock_ledger(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct ledger_query *q = rq->query;
    struct stock_reply stock = {0};
    struct list rows = {NULL, 0};
    struct str next = STR_NONE;
    int64_t at = INT64_MAX;
    struct uuid id = UUID_NIL;

    TRY(load(cx, rq, &stock)); /* 404 for other stores' items */
    TRY(page_after(cx, &q->page, &at, &id));
    TRY(db_all(
        cx, movement_fields, &rows,
        "select " MOVEMENT_COLUMNS " from stock_movements"
        " where menu_item_id = $1 and (moved_at, movement_id) < ($2, $3)"
        " order by moved_at desc, movement_id desc limit $4",
        ARGS(db_uuid(rq->id[1]), db_int(at), db_uuid(id), db_int(page_limit(&q->page) + 1))));
    if (rows.n > (size_t)page_limit(&q->page)) {
        rows.n = (size_t)page_limit(&q->page);
        const struct movement *last = LIST_AT(struct movement, rows, rows.n - 1);
        next = page_cursor(cx, last->moved_at, last->movement_id);
    }
    return reply_list(cx, rq, rp, movement_fields, rows, next);
}
