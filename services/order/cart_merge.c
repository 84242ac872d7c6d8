/* cart_merge.c -- a guest's cart becomes the customer's at login; carts end when they are ordered
 * or forgotten. */
#include "order/cart.h"

#include "security/secret.h"

#define GUEST_KEEP_US (30 * US_PER_DAY)

struct merge {
    struct str cart_token;
    struct uuid customer_id;
};
const struct field cart_merge_fields[] = {
    F_STR(struct merge, cart_token, "cartToken", REQUIRED | ONE_LINE, 1, 100,
          "what the guest held"),
    F_UUID(struct merge, customer_id, "customerId", REQUIRED, "who signed in"),
    F_END(struct merge),
};

struct cart_row {
    struct uuid cart_id, store_id;
    int64_t changed_at;
};
static const struct field cart_row_fields[] = {
    F_UUID(struct cart_row, cart_id, "cartId", 0, ""),
    F_UUID(struct cart_row, store_id, "storeId", 0, ""),
    F_TIME(struct cart_row, changed_at, "changedAt", 0, ""),
    F_END(struct cart_row),
};

static enum err own(struct ctx *cx, struct uuid customer_id, struct cart_row *ret)
{
    enum err e = db_one(cx, cart_row_fields, ret,
                        "select cart_id, store_id, changed_at from carts where customer_id = $1",
                        ARGS(db_uuid(customer_id)));
    if (e != ERR_NOT_FOUND)
        return e;
    *ret = (struct cart_row){.cart_id = ctx_uuid(cx)};
    return db_exec(cx, "insert into carts (cart_id, customer_id, changed_at) values ($1, $2, 0)",
                   ARGS(db_uuid(ret->cart_id), db_uuid(customer_id)));
}

/* Same store: quantities add up, at most 99 of a line, and the newest lines there is room for. They
 * are added now: an order placed before, and paid later, did not take them. */
static enum err move_lines(struct ctx *cx, struct uuid from, struct uuid to)
{
    int64_t lines = 0;

    TRY(db_exec(
        cx,
        "update cart_items set quantity = least_of.quantity, added_at = $3 from"
        " (select m.cart_item_id,"
        " case when m.quantity + g.quantity > 99 then 99 else m.quantity + g.quantity end as "
        "quantity"
        " from cart_items m join cart_items g on g.menu_item_id = m.menu_item_id"
        " and g.option_key = m.option_key where m.cart_id = $2 and g.cart_id = $1) as least_of"
        " where cart_items.cart_item_id = least_of.cart_item_id",
        ARGS(db_uuid(from), db_uuid(to), db_int(ctx_now(cx)))));
    TRY(db_int_of(cx, &lines, "select count(*) from cart_items where cart_id = $1",
                  ARGS(db_uuid(to))));
    return db_exec(cx,
                   "update cart_items set cart_id = $2, added_at = $4 where cart_item_id in"
                   " (select g.cart_item_id from cart_items g where g.cart_id = $1"
                   " and not exists (select 1 from cart_items m where m.cart_id = $2"
                   " and m.menu_item_id = g.menu_item_id and m.option_key = g.option_key)"
                   " order by g.added_at desc, g.cart_item_id desc limit $3)",
                   ARGS(db_uuid(from), db_uuid(to),
                        db_int(lines < CART_LINES_MAX ? CART_LINES_MAX - lines : 0),
                        db_int(ctx_now(cx))));
}

static enum err merge(struct ctx *cx, const struct cart_row *guest, const struct cart_row *mine)
{
    bool other_store = !uuid_is_nil(mine->store_id) && !uuid_eq(mine->store_id, guest->store_id);
    bool guest_wins = guest->changed_at >= mine->changed_at;
    struct uuid store_id = other_store && !guest_wins ? mine->store_id : guest->store_id;

    if (other_store) /* the newer one wins, and the customer is told */
        TRY(db_exec(cx, "delete from cart_items where cart_id = $1",
                    ARGS(db_uuid(guest_wins ? mine->cart_id : guest->cart_id))));
    TRY(move_lines(cx, guest->cart_id, mine->cart_id));
    return db_exec(
        cx, "update carts set store_id = $2, notice = $3, changed_at = $4 where cart_id = $1",
        ARGS(db_uuid(mine->cart_id), db_uuid(store_id),
             db_str(other_store ? STR("CART_REPLACED") : STR("CART_MERGED")), db_int(ctx_now(cx))));
}

/* Asked again it finds no guest's cart and changes nothing. */
enum err cart_merge(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct merge *in = rq->body;
    char hash[SHA256_TEXT_SIZE];
    struct cart_row guest = {0}, mine = {0};

    TRY(db_begin(cx));
    enum err e = db_one(cx, cart_row_fields, &guest,
                        "select cart_id, store_id, changed_at from carts where token_hash = $1",
                        ARGS(db_str(sha256_hex(in->cart_token, hash))));
    if (e == ERR_NOT_FOUND) {
        TRY(db_commit(cx));
        return reply_none(cx, rp, 204);
    }
    TRY(e);
    TRY(own(cx, in->customer_id, &mine));
    if (!uuid_is_nil(guest.store_id))
        TRY(merge(cx, &guest, &mine));
    TRY(db_exec(cx, "delete from cart_items where cart_id = $1", ARGS(db_uuid(guest.cart_id))));
    TRY(db_exec(cx, "delete from carts where cart_id = $1", ARGS(db_uuid(guest.cart_id))));
    TRY(db_commit(cx));
    return reply_none(cx, rp, 204);
}

/* What was put in after the order stays: it is for the next one. */
enum err cart_empty_after(struct ctx *cx, const struct order *o)
{
    TRY(db_exec(cx, "delete from cart_items where cart_id = $1 and added_at <= $2",
                ARGS(db_uuid(o->cart_id), db_int(o->created_at))));
    return db_exec(cx,
                   "update carts set store_id = null where cart_id = $1 and not exists"
                   " (select 1 from cart_items i where i.cart_id = $1)",
                   ARGS(db_uuid(o->cart_id)));
}

/* Their items go with them. */
const struct sweep order_sweeps[] = {
    {"carts", "carts", "cart_id",
     "select cart_id from carts where customer_id is null and changed_at < $1 order by changed_at",
     GUEST_KEEP_US, "guests' carts that nobody touched for 30 days"},
    {0},
};
