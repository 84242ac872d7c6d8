/* reserve.c -- holds, sells and gives back stock as the order service asks: all lines or none. */
#include "store/stock.h"

#include "base/fault.h"
#include "flow/outbox.h"

/*
 * DESIGN
 *
 * A reservation belongs to one order and has one state. Items are taken in id order, so two orders
 * that want the same items never wait for each other in a circle. The statement that takes stock is
 * the one that checks it. A release for an order that is not known yet leaves a RELEASED row
 * behind: a request that comes after it is refused. An item that is not counted gets a line, but
 * moves nothing. Answers are keyed by the order, so that its saga reads them in order.
 */

#define LINES_MAX 200

struct asked_line {
    struct uuid menu_item_id;
    int64_t quantity;
};
static const struct field asked_line_fields[] = {
    F_UUID(struct asked_line, menu_item_id, "menuItemId", REQUIRED, "menu item"),
    F_INT(struct asked_line, quantity, "quantity", REQUIRED, 1, 1000000, "how many"),
    F_END(struct asked_line),
};

struct asked {
    struct uuid order_id, store_id;
    struct list lines;
    struct look *look; /* read ahead; NULL: not yet */
};
static const struct field asked_fields[] = {
    F_UUID(struct asked, order_id, "orderId", REQUIRED, "order"),
    F_UUID(struct asked, store_id, "storeId", REQUIRED, "store"),
    F_LIST(struct asked, lines, "lines", REQUIRED, 1, LINES_MAX, asked_line_fields,
           "what is wanted"),
    F_END(struct asked),
};

struct paid {
    struct uuid order_id;
    struct held *held; /* read ahead; NULL: not yet */
};
static const struct field paid_fields[] = {
    F_UUID(struct paid, order_id, "orderId", REQUIRED, "order"),
    F_END(struct paid),
};

struct release_asked {
    struct uuid order_id;
    bool returned, has_returned;
};
static const struct field release_asked_fields[] = {
    F_UUID(struct release_asked, order_id, "orderId", REQUIRED, "order"),
    F_OPT_BOOL(struct release_asked, returned, "returned", 0, "sold food goes back; default true"),
    F_END(struct release_asked),
};

struct answer {
    struct uuid order_id, reservation_id, menu_item_id;
    struct str reason;
};
static const struct field answer_fields[] = {
    F_UUID(struct answer, order_id, "orderId", 0, "order"),
    F_UUID(struct answer, reservation_id, "reservationId", 0, "reservation"),
    F_STR(struct answer, reason, "reason", 0, 0, 30, "why not"),
    F_UUID(struct answer, menu_item_id, "menuItemId", 0, "which item"),
    F_END(struct answer),
};

enum state { HELD, SOLD, RELEASED, RETURNED };
static const char *const state_names[] = {"HELD", "SOLD", "RELEASED", "RETURNED", NULL};

struct reservation {
    struct uuid reservation_id, store_id;
    int state;
};
static const struct field reservation_fields[] = {
    F_UUID(struct reservation, reservation_id, "reservationId", 0, "reservation"),
    F_UUID(struct reservation, store_id, "storeId", 0, "store"),
    F_ENUM(struct reservation, state, "state", 0, state_names, "state"),
    F_END(struct reservation),
};

struct counted {
    struct uuid menu_item_id;
    int64_t quantity, available, reserved, sold;
    bool infinite, sold_out;
    int64_t deleted_at;
};
static const struct field counted_fields[] = {
    F_UUID(struct counted, menu_item_id, "menuItemId", 0, "menu item"),
    F_INT(struct counted, quantity, "quantity", 0, 1, INT64_MAX, "how many"),
    F_INT(struct counted, available, "available", 0, 0, INT64_MAX, "left"),
    F_INT(struct counted, reserved, "reserved", 0, 0, INT64_MAX, "held"),
    F_INT(struct counted, sold, "sold", 0, 0, INT64_MAX, "sold"),
    F_BOOL(struct counted, infinite, "infinite", 0, "not counted"),
    F_BOOL(struct counted, sold_out, "soldOut", 0, "switched off"),
    F_TIME(struct counted, deleted_at, "deletedAt", 0, "deleted"),
    F_END(struct counted),
};

#define FIND_SQL "select reservation_id, store_id, state from reservations where order_id = $1"
#define LINES_SQL                                                                                  \
    "select l.menu_item_id, l.quantity, v.available from reservations r"                           \
    " join reservation_lines l on l.reservation_id = r.reservation_id"                             \
    " join inventory v on v.menu_item_id = l.menu_item_id"                                         \
    " where r.order_id = $1 and l.is_counted = 1 order by l.menu_item_id"

/* An order's reservation and its counted lines; nil ids when there is none. */
struct held {
    struct reservation of;
    struct list lines;
};

static struct held *read_held(struct ctx *cx, struct uuid order_id, struct reads *r)
{
    struct held *h = arena_zalloc(cx->arena, sizeof *h);
    struct db_args of = ARGS(db_uuid(order_id));

    reads_add(
        cx, r,
        (struct db_read){.fields = reservation_fields, .one = &h->of, .sql = FIND_SQL, .args = of});
    reads_add(
        cx, r,
        (struct db_read){.fields = counted_fields, .all = &h->lines, .sql = LINES_SQL, .args = of});
    return h;
}

static enum err find(struct ctx *cx, struct uuid order_id, struct held **ret)
{
    struct reads reads = {0};

    *ret = read_held(cx, order_id, &reads);
    return reads_make(cx, &reads);
}

static enum err insert(struct ctx *cx, const struct asked *in, const struct reservation *r)
{
    int64_t now = ctx_now(cx);

    return db_exec(
        cx,
        "insert into reservations (reservation_id, order_id, store_id, state, created_at,"
        " changed_at) values ($1, $2, $3, $4, $5, $5)",
        ARGS(db_uuid(r->reservation_id), db_uuid(in->order_id), db_uuid(r->store_id),
             db_str(str_from(state_names[r->state])), db_int(now)));
}

static int by_item(const void *a, const void *b)
{
    return uuid_cmp(((const struct asked_line *)a)->menu_item_id,
                    ((const struct asked_line *)b)->menu_item_id);
}

/* In id order, each item once: the same dish with other options is one claim on its stock. */
static struct list merge_lines(struct ctx *cx, struct list lines)
{
    struct asked_line *out = arena_array(cx->arena, lines.n, sizeof *out);
    size_t n = 0;

    memcpy(out, lines.items, lines.n * sizeof *out);
    qsort(out, lines.n, sizeof *out, by_item);
    for (size_t i = 0; i < lines.n; i++) {
        if (n > 0 && uuid_eq(out[n - 1].menu_item_id, out[i].menu_item_id))
            out[n - 1].quantity += out[i].quantity;
        else
            out[n++] = out[i];
    }
    return (struct list){out, n};
}

/* NULL: it can be had. */
static const char *why_not(const struct asked_line *line, const struct counted *c)
{
    if (uuid_is_nil(c->menu_item_id) || c->sold_out || c->deleted_at)
        return "MENU_SOLD_OUT";
    return c->infinite || c->available >= line->quantity ? NULL : "STOCK_SHORT";
}

/* Takes one line of which there was enough a moment ago; still, the statement that takes it is the
 * one that checks. */
static enum err take(struct ctx *cx, struct uuid reservation_id, const struct asked_line *line,
                     const struct counted *c)
{
    if (!c->infinite && !MUTANT(MUTANT_NOT_HELD)) {
        TRY(db_expect(cx, 1,
                      "update inventory set available = available - $2, reserved = reserved + $2,"
                      " version = version + 1 where menu_item_id = $1 and available >= $2",
                      ARGS(db_uuid(line->menu_item_id), db_int(line->quantity))));
        struct movement m = {.menu_item_id = line->menu_item_id,
                             .reservation_id = reservation_id,
                             .kind = MOVE_RESERVE,
                             .available_delta = -line->quantity,
                             .reserved_delta = line->quantity};
        TRY(stock_move(cx, &m));
    }
    return db_exec(
        cx,
        "insert into reservation_lines (reservation_id, menu_item_id, quantity, is_counted)"
        " values ($1, $2, $3, $4)",
        ARGS(db_uuid(reservation_id), db_uuid(line->menu_item_id), db_int(line->quantity),
             db_bool(!c->infinite)));
}

static enum err refuse(struct ctx *cx, struct answer *a, const char *reason, struct uuid item_id)
{
    a->reservation_id = UUID_NIL;
    a->reason = str_from(reason);
    a->menu_item_id = item_id;
    return outbox_append(cx, "stock.refused", a->order_id, answer_fields, a);
}

/* Does the store take orders at all? Hours were the order service's to check when it was placed. */
#define TAKES_ORDERS_SQL                                                                           \
    "select count(*) from stores where store_id = $1 and deleted_at is null"                       \
    " and is_banned = 0 and paused_until <= $2"

/* What decides about a request. */
struct look {
    struct reservation before; /* nil ids: this is asked for the first time */
    int64_t takes_orders;      /* 1: the store does */
    struct list lines;         /* struct asked_line, in id order, each item once */
    struct counted *counted;   /* what there is of each line; nil ids for what there is not */
};

static void read_items(struct ctx *cx, const struct asked *in, const struct look *l,
                       struct reads *r)
{
    for (size_t i = 0; i < l->lines.n; i++)
        reads_add(cx, r,
                  (struct db_read){
                      .fields = counted_fields,
                      .one = &l->counted[i],
                      .sql =
                          "select i.menu_item_id, i.sold_out, i.deleted_at, v.infinite, v.available"
                          " from menu_items i join inventory v on v.menu_item_id = i.menu_item_id"
                          " where i.menu_item_id = $1 and i.store_id = $2",
                      .args = ARGS(db_uuid(LIST_AT(struct asked_line, l->lines, i)->menu_item_id),
                                   db_uuid(in->store_id))});
}

static struct look *read_look(struct ctx *cx, const struct asked *in, struct reads *r)
{
    struct look *l = ARENA_NEW(cx->arena, struct look);

    l->lines = merge_lines(cx, in->lines);
    l->counted = arena_zalloc(cx->arena, l->lines.n * sizeof *l->counted);
    reads_add(cx, r,
              (struct db_read){.fields = reservation_fields,
                               .one = &l->before,
                               .sql = FIND_SQL,
                               .args = ARGS(db_uuid(in->order_id))});
    reads_add(cx, r,
              (struct db_read){.number = &l->takes_orders,
                               .sql = TAKES_ORDERS_SQL,
                               .args = ARGS(db_uuid(in->store_id), db_int(ctx_now(cx)))});
    read_items(cx, in, l, r);
    return l;
}

static void asked_ahead(struct ctx *cx, void *data, struct reads *r)
{
    struct asked *in = data;

    in->look = read_look(cx, in, r);
}

static bool any_is_counted(const struct look *l)
{
    for (size_t i = 0; i < l->lines.n; i++)
        if (!l->counted[i].infinite)
            return true;
    return false;
}

/* How much there is of what is counted may have changed by the requests before it. */
static enum err look(struct ctx *cx, const struct asked *in, struct look **ret)
{
    struct reads reads = {0};

    *ret = in->look;
    if (!in->look)
        *ret = read_look(cx, in, &reads);
    else if (any_is_counted(in->look))
        read_items(cx, in, in->look, &reads);
    return reads_make(cx, &reads);
}

static enum err reserve_lines(struct ctx *cx, const struct asked *in, const struct look *l,
                              struct answer *a)
{
    struct reservation r = {a->reservation_id, in->store_id, HELD};
    bool ran_out = false;

    for (size_t i = 0; i < l->lines.n; i++) {
        const struct asked_line *line = LIST_AT(struct asked_line, l->lines, i);
        const char *reason = why_not(line, &l->counted[i]);
        if (reason)
            return refuse(cx, a, reason, line->menu_item_id);
    }
    TRY(insert(cx, in, &r));
    for (size_t i = 0; i < l->lines.n; i++) {
        const struct asked_line *line = LIST_AT(struct asked_line, l->lines, i);
        TRY(take(cx, r.reservation_id, line, &l->counted[i]));
        ran_out |= !l->counted[i].infinite && l->counted[i].available == line->quantity;
    }
    if (ran_out)
        TRY(menu_announce(cx, in->store_id));
    return outbox_append(cx, "stock.reserved", a->order_id, answer_fields, a);
}

static enum err on_stock_requested(struct ctx *cx, const struct event *e, const void *data)
{
    const struct asked *in = data;
    struct answer a = {.order_id = in->order_id, .reservation_id = ctx_uuid(cx)};
    struct look *l;

    (void)e;
    TRY(look(cx, in, &l));
    if (!uuid_is_nil(l->before.reservation_id)) {
        /* Asked twice: the same answer. After a release: too late, and it stays so. */
        if (l->before.state != HELD && l->before.state != SOLD)
            return refuse(cx, &a, "STOCK_SHORT", UUID_NIL);
        a.reservation_id = l->before.reservation_id;
        return outbox_append(cx, "stock.reserved", in->order_id, answer_fields, &a);
    }
    if (l->takes_orders != 1)
        return refuse(cx, &a, "STORE_CLOSED", UUID_NIL);
    return reserve_lines(cx, in, l, &a);
}

/* Its transaction has read the row: nobody else changes it meanwhile without a conflict. */
static enum err set_state(struct ctx *cx, const struct reservation *r, enum state to)
{
    return db_exec(
        cx, "update reservations set state = $2, changed_at = $3 where reservation_id = $1",
        ARGS(db_uuid(r->reservation_id), db_str(str_from(state_names[to])), db_int(ctx_now(cx))));
}

/* Moves every counted line; per unit what changes in the three counts. *ret_back: something came
 * back. */
static enum err move_lines(struct ctx *cx, const struct reservation *r, struct list lines,
                           struct movement unit, bool *ret_back)
{
    for (size_t i = 0; i < lines.n; i++) {
        const struct counted *c = LIST_AT(struct counted, lines, i);
        struct movement m = {.menu_item_id = c->menu_item_id,
                             .reservation_id = r->reservation_id,
                             .kind = unit.kind,
                             .available_delta = unit.available_delta * c->quantity,
                             .reserved_delta = unit.reserved_delta * c->quantity,
                             .sold_delta = unit.sold_delta * c->quantity};
        TRY(db_exec(cx,
                    "update inventory set available = available + $2, reserved = reserved + $3,"
                    " sold = sold + $4, version = version + 1 where menu_item_id = $1",
                    ARGS(db_uuid(m.menu_item_id), db_int(m.available_delta),
                         db_int(m.reserved_delta), db_int(m.sold_delta))));
        TRY(stock_move(cx, &m));
        *ret_back |= c->available == 0 && m.available_delta > 0;
    }
    return ERR_OK;
}

static void paid_ahead(struct ctx *cx, void *data, struct reads *r)
{
    struct paid *in = data;

    in->held = read_held(cx, in->order_id, r);
}

static enum err on_paid(struct ctx *cx, const struct event *e, const void *data)
{
    const struct paid *in = data;
    struct answer a = {.order_id = in->order_id};
    struct movement unit = {.kind = MOVE_SELL, .reserved_delta = -1, .sold_delta = 1};
    struct held *held = in->held;
    bool back = false;

    (void)e;
    if (!held)
        TRY(find(cx, in->order_id, &held));
    const struct reservation *r = &held->of;
    if (uuid_is_nil(r->reservation_id))
        return fail(cx, ERR_NOT_FOUND, "no reservation of this order");
    if (r->state == SOLD)
        return ERR_OK;
    if (r->state != HELD) /* a dead order never comes back; an operator must look */
        return fail(cx, ERR_ORDER_STATE, "paid, but its stock was %s", state_names[r->state]);
    TRY(set_state(cx, r, SOLD));
    TRY(move_lines(cx, r, held->lines, unit, &back));
    return outbox_append(cx, "stock.sold", in->order_id, answer_fields, &a);
}

enum err reservation_release(struct ctx *cx, struct uuid order_id, bool give_back)
{
    struct answer a = {.order_id = order_id};
    struct held *held;
    bool back = false;

    TRY(find(cx, order_id, &held));
    struct reservation *r = &held->of;
    if (uuid_is_nil(r->reservation_id)) {
        struct asked in = {.order_id = order_id};
        *r = (struct reservation){ctx_uuid(cx), UUID_NIL, RELEASED};
        TRY(insert(cx, &in, r));
    }
    if (r->state == HELD) {
        struct movement unit = {.kind = MOVE_RELEASE, .available_delta = 1, .reserved_delta = -1};
        TRY(set_state(cx, r, RELEASED));
        TRY(move_lines(cx, r, held->lines, unit, &back));
    } else if (r->state == SOLD && give_back) {
        struct movement unit = {.kind = MOVE_RETURN, .available_delta = 1, .sold_delta = -1};
        TRY(set_state(cx, r, RETURNED));
        TRY(move_lines(cx, r, held->lines, unit, &back));
    }
    if (back)
        TRY(menu_announce(cx, r->store_id));
    return outbox_append(cx, "stock.released", order_id, answer_fields, &a);
}

/* Sold food that was cooked does not go back: it stays sold, and is scrap. */
static enum err on_release_requested(struct ctx *cx, const struct event *e, const void *data)
{
    const struct release_asked *in = data;

    (void)e;
    return reservation_release(cx, in->order_id, !in->has_returned || in->returned);
}

const struct consumer store_consumers[] = {
    {"order.stock_requested", on_stock_requested, asked_fields,
     "holds all lines of an order, or none", .ahead = asked_ahead},
    {"order.paid", on_paid, paid_fields, "what was held is sold", .ahead = paid_ahead},
    {"order.stock_release_requested", on_release_requested, release_asked_fields,
     "what was held or sold comes back"},
    {"auth.account.withdrawn", store_on_withdrawn, account_gone_store_fields,
     "closes their stores"},
    {NULL, NULL, NULL, NULL},
};
