/* receipt.c -- what a customer does with an order afterwards: its receipt, and the same once more.
 */
#include "data/json.h"
#include "order/cart.h"

struct receipt {
    struct uuid order_id;
    struct str number, store_name;
    struct list lines;
    int64_t items_won, delivery_fee_won, total_won, refunded_won, paid_won, supply_won, vat_won;
    int64_t created_at, paid_at;
};
const struct field receipt_fields[] = {
    F_UUID(struct receipt, order_id, "orderId", REQUIRED, "order"),
    F_STR(struct receipt, number, "number", REQUIRED, 1, 30, "short, for people"),
    F_STR(struct receipt, store_name, "storeName", REQUIRED, 1, 200, "store"),
    F_TIME(struct receipt, created_at, "createdAt", REQUIRED, "ordered"),
    F_TIME(struct receipt, paid_at, "paidAt", REQUIRED, "paid"),
    F_LIST(struct receipt, lines, "items", REQUIRED, 1, 100, order_line_fields, "what was bought"),
    F_WON(struct receipt, items_won, "itemsWon", REQUIRED, "sum of the lines"),
    F_WON(struct receipt, delivery_fee_won, "deliveryFeeWon", REQUIRED, "for the way"),
    F_WON(struct receipt, total_won, "totalWon", REQUIRED, "the order's amount"),
    F_WON(struct receipt, refunded_won, "refundedWon", REQUIRED, "given back since"),
    F_WON(struct receipt, paid_won, "paidWon", REQUIRED, "what was paid in the end"),
    F_WON(struct receipt, supply_won, "supplyWon", REQUIRED, "of it without value added tax"),
    F_WON(struct receipt, vat_won, "vatWon", REQUIRED, "value added tax, 10 percent, included"),
    F_END(struct receipt),
};

/* Prices hold the tax: an eleventh of what was paid, to the nearest won. */
static int64_t vat_of(int64_t won)
{
    return (won * 2 + 11) / 22;
}

enum err order_receipt(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct receipt r = {0};
    struct order o;

    TRY(order_load_shown(cx, rq->id[0], &o));
    if (o.accept_by == 0)
        return fail(cx, ERR_ORDER_STATE, "receipt of an order that was never paid");
    TRY(db_int_of(cx, &r.paid_at,
                  "select min(at) from order_history where order_id = $1 and status = 'PAID'",
                  ARGS(db_uuid(o.order_id))));
    r.order_id = o.order_id;
    r.number = o.number;
    r.store_name = o.store_name;
    r.created_at = o.created_at;
    r.lines = o.lines;
    r.items_won = o.items_won;
    r.delivery_fee_won = o.delivery_fee_won;
    r.total_won = o.total_won;
    r.paid_won = o.captured_won - o.refunded_won;
    if (r.paid_won > o.total_won) /* money that came too late and is still on its way back */
        r.paid_won = o.total_won;
    r.refunded_won = o.total_won - r.paid_won;
    r.vat_won = vat_of(r.paid_won);
    r.supply_won = r.paid_won - r.vat_won;
    return reply_data(cx, rp, 200, receipt_fields, &r);
}

struct options_box { /* the JSON list needs a name to be decoded under */
    struct list options;
};
static const struct field options_box_fields[] = {
    F_LIST(struct options_box, options, "options", REQUIRED, 0, 50, chosen_option_fields, ""),
    F_END(struct options_box),
};

/* The option ids that a line was ordered with. */
static enum err options_of(struct ctx *cx, const struct order_line *l, struct list *ret)
{
    struct str box = arena_printf(cx->arena, "{\"options\":%.*s}", STR_ARG(l->options));
    struct options_box in;

    TRY(json_decode_lenient(cx, options_box_fields, &in, box));
    struct uuid *ids = arena_array(cx->arena, in.options.n + 1, sizeof *ids);
    for (size_t i = 0; i < in.options.n; i++)
        ids[i] = LIST_AT(struct chosen_option, in.options, i)->option_id;
    *ret = (struct list){ids, in.options.n};
    return ERR_OK;
}

static enum err put_again(struct ctx *cx, const struct cart *c, const struct order_line *l)
{
    struct list options;

    TRY(options_of(cx, l, &options));
    return db_exec(
        cx,
        "insert into cart_items (cart_item_id, cart_id, menu_item_id, option_key, quantity,"
        " added_at) values ($1, $2, $3, $4, $5, $6)"
        " on conflict (cart_id, menu_item_id, option_key) do nothing",
        ARGS(db_uuid(ctx_uuid(cx)), db_uuid(c->cart_id), db_uuid(l->menu_item_id),
             db_str(cart_option_key(cx, options)), db_int(l->quantity), db_int(ctx_now(cx))));
}

/*
 * The cart becomes what the order was, at today's prices. What is not to be had any more stands in
 * it with its problem, as in any cart that got old.
 */
enum err order_reorder(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct order o;
    struct cart c;

    TRY(db_begin(cx));
    TRY(order_load_shown(cx, rq->id[0], &o));
    TRY(cart_take(cx, cart_load(cx, rq, &c, NULL, 0), rp, &c));
    TRY(db_exec(cx, "delete from cart_items where cart_id = $1", ARGS(db_uuid(c.cart_id))));
    for (size_t i = 0; i < o.lines.n; i++)
        TRY(put_again(cx, &c, LIST_AT(struct order_line, o.lines, i)));
    TRY(cart_touch(cx, c.cart_id, o.store_id));
    TRY(cart_load(cx, rq, &c, NULL, 0));
    TRY(reply_cart(cx, rp, 200, &c));
    return db_commit(cx);
}
