/* cart_items.c -- putting things into a cart, changing how many, taking them out, emptying it. */
#include "order/cart.h"

struct cart_add {
    struct uuid menu_item_id;
    int64_t quantity;
    struct list option_ids;
    bool replace;
};
const struct field cart_add_fields[] = {
    F_UUID(struct cart_add, menu_item_id, "menuItemId", REQUIRED, "what to add"),
    F_INT(struct cart_add, quantity, "quantity", REQUIRED, 1, QUANTITY_MAX, "how many"),
    F_UUIDS(struct cart_add, option_ids, "optionIds", 0, 0, 50, "chosen options"),
    F_BOOL(struct cart_add, replace, "replace", 0, "empty a cart of another store first"),
    F_END(struct cart_add),
};

struct cart_change {
    int64_t quantity;
};
const struct field cart_change_fields[] = {
    F_INT(struct cart_change, quantity, "quantity", REQUIRED, 1, QUANTITY_MAX,
          "how many from now on"),
    F_END(struct cart_change),
};

/* A cart has one store. */
static enum err take_store(struct ctx *cx, struct cart *c, struct uuid store_id, bool replace)
{
    if (c->lines.n == 0 || uuid_eq(c->store_id, store_id))
        return ERR_OK;
    if (!replace)
        return fail(cx, ERR_CART_OTHER_STORE, "cart of store %s", ctx_uuid_text(cx, c->store_id));
    c->lines.n = 0;
    return db_exec(cx, "delete from cart_items where cart_id = $1", ARGS(db_uuid(c->cart_id)));
}

static struct cart_line *same_line(const struct cart *c, struct uuid menu_item_id, struct str key)
{
    for (size_t i = 0; i < c->lines.n; i++) {
        struct cart_line *l = LIST_AT(struct cart_line, c->lines, i);
        if (uuid_eq(l->menu_item_id, menu_item_id) && str_eq(l->option_key, key))
            return l;
    }
    return NULL;
}

/* The cart as it is with one line more. */
static void add_line(struct ctx *cx, struct cart *c, const struct cart_line *l)
{
    struct cart_line *lines = arena_array(cx->arena, c->lines.n + 1, sizeof *lines);

    if (c->lines.n)
        memcpy(lines, c->lines.items, c->lines.n * sizeof *lines);
    lines[c->lines.n] = *l;
    c->lines = (struct list){lines, c->lines.n + 1};
}

static void add_item(struct ctx *cx, struct cart *c, const struct menu_copy *item)
{
    struct menu_copy *items = arena_array(cx->arena, c->items.n + 1, sizeof *items);

    if (cart_item(c, item->menu_item_id))
        return;
    if (c->items.n)
        memcpy(items, c->items.items, c->items.n * sizeof *items);
    items[c->items.n] = *item;
    c->items = (struct list){items, c->items.n + 1};
}

/* The same item with the same options is one line: quantities add up. */
static enum err put_line(struct ctx *cx, struct cart *c, const struct cart_add *in)
{
    struct cart_line line = {.cart_item_id = ctx_uuid(cx),
                             .menu_item_id = in->menu_item_id,
                             .option_key = cart_option_key(cx, in->option_ids),
                             .quantity = in->quantity,
                             .added_at = ctx_now(cx)};
    struct cart_line *same = same_line(c, in->menu_item_id, line.option_key);

    if (same && same->quantity + in->quantity > QUANTITY_MAX)
        return fail(cx, ERR_CART_LIMIT, "%" PRId64 " of one line", same->quantity + in->quantity);
    if (!same && c->lines.n >= CART_LINES_MAX)
        return fail(cx, ERR_CART_LIMIT, "%zu lines", c->lines.n);
    if (same) {
        same->quantity += in->quantity;
        same->added_at = line.added_at;
    } else {
        add_line(cx, c, &line);
    }
    return db_exec(
        cx,
        "insert into cart_items (cart_item_id, cart_id, menu_item_id, option_key, quantity, "
        "added_at)"
        " values ($1, $2, $3, $4, $5, $6) on conflict (cart_id, menu_item_id, option_key)"
        " do update set quantity = cart_items.quantity + excluded.quantity,"
        " added_at = excluded.added_at",
        ARGS(db_uuid(line.cart_item_id), db_uuid(c->cart_id), db_uuid(line.menu_item_id),
             db_str(line.option_key), db_int(line.quantity), db_int(line.added_at)));
}

enum err cart_add(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct cart_add *in = rq->body;
    struct order_line priced;
    struct menu_copy item = {0};
    struct store_copy store = {0};
    struct db_read wanted[] = {
        {.fields = menu_copy_fields,
         .one = &item,
         .sql = "select " MENU_COPY_COLUMNS " from menu_copies where menu_item_id = $1",
         .args = ARGS(db_uuid(in->menu_item_id))},
        {.fields = store_copy_fields,
         .one = &store,
         .sql = "select " STORE_COPY_COLUMNS " from store_copies where store_id ="
                " (select store_id from menu_copies where menu_item_id = $1)",
         .args = ARGS(db_uuid(in->menu_item_id))},
    };
    struct cart c;

    TRY(db_begin(cx));
    enum err found = cart_load(cx, rq, &c, wanted, COUNT_OF(wanted));
    if (found != ERR_OK && found != ERR_NOT_FOUND)
        return found;
    if (wanted[0].rows == 0)
        return fail(cx, ERR_NOT_FOUND, "no such menu item");
    TRY(price_line(cx, &item, in->option_ids, in->quantity,
                   &priced)); /* what cannot be ordered cannot be added */
    TRY(cart_take(cx, found, rp, &c));
    TRY(take_store(cx, &c, item.store_id, in->replace));
    TRY(put_line(cx, &c, in));
    TRY(cart_touch(cx, c.cart_id, item.store_id));
    add_item(cx, &c, &item);
    c.store_id = item.store_id;
    c.store = store;
    c.notice = STR_NONE;
    TRY(reply_cart(cx, rp, 201, &c));
    reply_header(cx, rp, STR("Location"), "/v1/cart");
    return db_commit(cx);
}

static enum err answer(struct ctx *cx, const struct request *rq, struct reply *rp, struct cart *c)
{
    TRY(cart_load(cx, rq, c, NULL, 0));
    if (c->lines.n == 0)
        c->store_id = UUID_NIL;
    TRY(cart_touch(cx, c->cart_id, c->store_id));
    c->notice = STR_NONE;
    TRY(reply_cart(cx, rp, 200, c));
    return db_commit(cx);
}

/* A line of another's cart is not found: the cart is the caller's. */
static enum err change_line(struct ctx *cx, const char *sql, struct db_args args)
{
    int64_t changed = 0;

    TRY(db_change(cx, &changed, sql, args));
    return changed == 1 ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no such line in this cart");
}

enum err cart_change(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct cart_change *in = rq->body;
    struct cart c;

    TRY(db_begin(cx));
    TRY(cart_load(cx, rq, &c, NULL, 0));
    TRY(change_line(
        cx,
        "update cart_items set quantity = $3, added_at = $4 where cart_id = $1"
        " and cart_item_id = $2",
        ARGS(db_uuid(c.cart_id), db_uuid(rq->id[0]), db_int(in->quantity), db_int(ctx_now(cx)))));
    return answer(cx, rq, rp, &c);
}

enum err cart_remove(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct cart c;

    TRY(db_begin(cx));
    TRY(cart_load(cx, rq, &c, NULL, 0));
    TRY(change_line(cx, "delete from cart_items where cart_id = $1 and cart_item_id = $2",
                    ARGS(db_uuid(c.cart_id), db_uuid(rq->id[0]))));
    return answer(cx, rq, rp, &c);
}

/* No cart and an empty cart are the same. */
enum err cart_clear(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct cart c;

    TRY(db_begin(cx));
    enum err e = cart_load(cx, rq, &c, NULL, 0);
    if (e == ERR_OK) {
        TRY(db_exec(cx, "delete from cart_items where cart_id = $1", ARGS(db_uuid(c.cart_id))));
        TRY(cart_touch(cx, c.cart_id, UUID_NIL));
    } else if (e != ERR_NOT_FOUND) {
        return e;
    }
    TRY(db_commit(cx));
    return reply_none(cx, rp, 204);
}
