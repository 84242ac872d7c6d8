/* cart.c -- finding, making and showing a cart; prices are worked out each time from our copy of
 * the menu. */
#include "order/cart.h"

#include <stdlib.h>

#include "base/fault.h"
#include "security/secret.h"

/* clang-format off */
static const struct field cart_row_fields[] = {
    F_UUID(struct cart, cart_id, "cartId", 0, ""),
    F_UUID(struct cart, customer_id, "customerId", 0, ""),
    F_UUID(struct cart, store_id, "storeId", 0, ""),
    F_STR(struct cart, notice, "notice", 0, 0, 50, ""),
    F_TIME(struct cart, changed_at, "changedAt", 0, ""),
    F_END(struct cart),
};
static const struct field cart_line_row_fields[] = {
    F_UUID(struct cart_line, cart_item_id, "cartItemId", 0, ""),
    F_UUID(struct cart_line, menu_item_id, "menuItemId", 0, ""),
    F_STR(struct cart_line, option_key, "optionKey", 0, 0, 4000, ""),
    F_INT(struct cart_line, quantity, "quantity", 0, 1, QUANTITY_MAX, ""),
    F_TIME(struct cart_line, added_at, "addedAt", 0, ""),
    F_END(struct cart_line),
};

static const struct field cart_line_fields[] = {
    F_UUID(struct cart_line, cart_item_id, "cartItemId", REQUIRED, "line of the cart"),
    F_UUID(struct cart_line, menu_item_id, "menuItemId", REQUIRED, "menu item"),
    F_STR(struct cart_line, name, "name", REQUIRED, 0, 100, "name"),
    F_RAW(struct cart_line, options, "options", REQUIRED, "list of {optionId, name, priceWon}"),
    F_INT(struct cart_line, quantity, "quantity", REQUIRED, 1, QUANTITY_MAX, "how many"),
    F_WON(struct cart_line, unit_price_won, "unitPriceWon", REQUIRED, "one, with its options, today"),
    F_WON(struct cart_line, line_total_won, "lineTotalWon", REQUIRED, "all of them"),
    F_STR(struct cart_line, problem, "problem", 0, 0, 50, "why it cannot be ordered now"),
    F_END(struct cart_line),
};
const struct field cart_fields[] = {
    F_UUID(struct cart, cart_id, "cartId", NULLABLE, "cart; null when there is none yet"),
    F_UUID(struct cart, store_id, "storeId", NULLABLE, "the one store of its items"),
    F_STR(struct cart, store_name, "storeName", NULLABLE, 0, 100, "name of the store"),
    F_LIST(struct cart, lines, "items", REQUIRED, 0, CART_LINES_MAX, cart_line_fields, "oldest first"),
    F_WON(struct cart, items_won, "itemsWon", REQUIRED, "sum of what can be ordered"),
    F_WON(struct cart, delivery_fee_won, "deliveryFeeWon", REQUIRED, "for the way"),
    F_WON(struct cart, total_won, "totalWon", REQUIRED, "to pay"),
    F_WON(struct cart, minimum_order_won, "minimumOrderWon", REQUIRED, "of the store"),
    F_STRS(struct cart, notices, "notices", REQUIRED, 0, 10, 50, "codes of what to tell the customer"),
    F_END(struct cart),
};
/* clang-format on */

/* Only the hash is stored: whoever reads the database cannot take over a cart. */
static struct str hash_of(struct ctx *cx, struct str token)
{
    return sha256_hex(token, arena_alloc(cx->arena, SHA256_TEXT_SIZE));
}

#define CART_OF(whose)                                                                             \
    "select cart_id, customer_id, store_id, notice, changed_at from carts where " whose " = $1"
#define LINES_OF(whose)                                                                            \
    "select cart_item_id, menu_item_id, option_key, quantity, added_at from cart_items"            \
    " where cart_id = (select cart_id from carts where " whose " = $1)"                            \
    " order by cart_item_id"
#define ITEMS_OF(whose)                                                                            \
    "select " MENU_COPY_COLUMNS " from menu_copies where menu_item_id in"                          \
    " (select i.menu_item_id from cart_items i join carts c on c.cart_id = i.cart_id"              \
    " where c." whose " = $1)"
#define STORE_OF(whose)                                                                            \
    "select " STORE_COPY_COLUMNS " from store_copies"                                              \
    " where store_id = (select store_id from carts where " whose " = $1)"

static const char *const reads_of_customer[CART_READS] = {
    CART_OF("customer_id"), LINES_OF("customer_id"), ITEMS_OF("customer_id"),
    STORE_OF("customer_id")};
static const char *const reads_of_guest[CART_READS] = {
    CART_OF("token_hash"), LINES_OF("token_hash"), ITEMS_OF("token_hash"), STORE_OF("token_hash")};

enum err cart_load(struct ctx *cx, const struct request *rq, struct cart *ret, struct db_read *more,
                   size_t n_more)
{
    bool is_customer = cx->caller.role == CUSTOMER;
    const char *const *sql = is_customer ? reads_of_customer : reads_of_guest;
    /* A token that we did not make is nobody's. */
    bool is_guest = !is_customer && secret_token_is_shaped(rq->cart_token);
    struct db_args whose =
        ARGS(is_customer ? db_uuid(cx->caller.user_id)
                         : db_str(is_guest ? hash_of(cx, rq->cart_token) : STR_NONE));
    struct db_read reads[DB_READS_MAX] = {
        {.fields = cart_row_fields, .one = ret, .sql = sql[0], .args = whose},
        {.fields = cart_line_row_fields, .all = &ret->lines, .sql = sql[1], .args = whose},
        {.fields = menu_copy_fields, .all = &ret->items, .sql = sql[2], .args = whose},
        {.fields = store_copy_fields, .one = &ret->store, .sql = sql[3], .args = whose},
    };

    *ret = (struct cart){0};
    assert(CART_READS + n_more <= DB_READS_MAX);
    if (n_more)
        memcpy(&reads[CART_READS], more, n_more * sizeof *more);
    TRY(db_read(cx, reads, CART_READS + n_more));
    for (size_t i = 0; i < n_more; i++)
        more[i].rows = reads[CART_READS + i].rows;
    return reads[0].rows ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no cart yet");
}

static struct str new_token(struct ctx *cx)
{
    return secret_token(cx->rng, arena_alloc(cx->arena, SECRET_TOKEN_SIZE));
}

/* A token we do not know is not adopted: the guest gets one of ours. */
enum err cart_take(struct ctx *cx, enum err e, struct reply *rp, struct cart *c)
{
    struct str token = STR_NONE;

    if (e != ERR_NOT_FOUND)
        return e;
    if (cx->caller.role != CUSTOMER)
        token = new_token(cx);
    *c = (struct cart){.cart_id = ctx_uuid(cx), .customer_id = cx->caller.user_id};
    if (token.n)
        reply_header(cx, rp, STR("Jumun-Cart"), "%.*s", STR_ARG(token));
    return db_exec(
        cx,
        "insert into carts (cart_id, customer_id, token_hash, changed_at) values ($1, $2, $3, $4)",
        ARGS(db_uuid(c->cart_id), db_uuid(token.n ? UUID_NIL : cx->caller.user_id),
             db_str(token.n ? hash_of(cx, token) : STR_NONE), db_int(ctx_now(cx))));
}

enum err cart_touch(struct ctx *cx, struct uuid cart_id, struct uuid store_id)
{
    if (FAULT("cart.touch"))
        return fail(cx, ERR_UNAVAILABLE, "fault: cart.touch");
    return db_exec(
        cx, "update carts set store_id = $2, notice = null, changed_at = $3 where cart_id = $1",
        ARGS(db_uuid(cart_id), db_uuid(store_id), db_int(ctx_now(cx))));
}

static int by_id(const void *a, const void *b)
{
    return uuid_cmp(*(const struct uuid *)a, *(const struct uuid *)b);
}

struct str cart_option_key(struct ctx *cx, struct list option_ids)
{
    struct uuid *ids = arena_array(cx->arena, option_ids.n + 1, sizeof *ids);
    struct buf b;

    if (option_ids.n)
        memcpy(ids, option_ids.items, option_ids.n * sizeof *ids);
    qsort(ids, option_ids.n, sizeof *ids, by_id);
    buf_init_arena(&b, cx->arena, 4000);
    for (size_t i = 0; i < option_ids.n; i++) {
        if (i > 0)
            buf_char(&b, ',');
        buf_str_add(&b, str_from(ctx_uuid_text(cx, ids[i])));
    }
    return b.n ? buf_str(&b) : STR("");
}

struct list cart_line_options(struct ctx *cx, const struct cart_line *l)
{
    struct list ids = {
        arena_array(cx->arena, l->option_key.n / (UUID_TEXT_SIZE - 1) + 1, sizeof(struct uuid)), 0};
    struct str rest = l->option_key, text;

    while (rest.n) {
        str_cut(rest, ',', &text, &rest);
        if (uuid_parse(text, LIST_AT(struct uuid, ids, ids.n)))
            ids.n++;
    }
    return ids;
}

const struct menu_copy *cart_item(const struct cart *c, struct uuid menu_item_id)
{
    for (size_t i = 0; i < c->items.n; i++)
        if (uuid_eq(LIST_AT(struct menu_copy, c->items, i)->menu_item_id, menu_item_id))
            return LIST_AT(struct menu_copy, c->items, i);
    return NULL;
}

/* A line that cannot be ordered now says why and counts nothing; it is the customer who takes it
 * out. */
static enum err price(struct ctx *cx, const struct cart *c, struct cart_line *l)
{
    const struct menu_copy *item = cart_item(c, l->menu_item_id);
    struct story before = cx->story;
    struct order_line priced = {0};
    enum err e = ERR_NOT_FOUND;

    if (item)
        e = price_line(cx, item, cart_line_options(cx, l), l->quantity, &priced);
    l->name = item ? item->name : STR("");
    l->options = priced.options.n ? priced.options : STR("[]");
    l->unit_price_won = priced.unit_price_won;
    l->line_total_won = priced.line_total_won;
    if (e == ERR_NOT_FOUND || e == ERR_MENU_SOLD_OUT || e == ERR_OPTION_INVALID ||
        e == ERR_AMOUNT_OVERFLOW) {
        l->problem = e == ERR_NOT_FOUND ? STR("MENU_GONE") : str_from(err_row(e)->code);
        cx->story = before;
        return ERR_OK;
    }
    return e;
}

static void add_notice(struct ctx *cx, struct cart *c, struct str code)
{
    if (!c->notices.items)
        c->notices.items = arena_array(cx->arena, 10, sizeof(struct str));
    *LIST_AT(struct str, c->notices, c->notices.n++) = code;
}

static enum err show_store(struct ctx *cx, struct cart *c)
{
    struct story before = cx->story;

    if (uuid_is_nil(c->store.store_id))
        return ERR_OK;
    c->store_name = c->store.name;
    c->delivery_fee_won = c->store.delivery_fee_won;
    c->minimum_order_won = store_copy_minimum_won(&c->store);
    enum err e = store_copy_open(cx, &c->store, ctx_now(cx));
    if (e == ERR_STORE_CLOSED || e == ERR_GONE)
        add_notice(cx, c, STR("STORE_CLOSED"));
    else
        TRY(e);
    cx->story = before;
    return ERR_OK;
}

enum err reply_cart(struct ctx *cx, struct reply *rp, int status, struct cart *c)
{
    for (size_t i = 0; i < c->lines.n; i++) {
        struct cart_line *l = LIST_AT(struct cart_line, c->lines, i);
        TRY(price(cx, c, l));
        c->items_won += l->line_total_won;
    }
    if (c->lines.n > 0)
        TRY(show_store(cx, c));
    else
        c->store_id = UUID_NIL;
    if (c->notice.n)
        add_notice(cx, c, c->notice);
    if (c->lines.n > 0 && c->items_won < c->minimum_order_won)
        add_notice(cx, c, STR("STORE_MINIMUM"));
    c->total_won = c->items_won + (c->items_won > 0 ? c->delivery_fee_won : 0);
    return reply_data(cx, rp, status, cart_fields, c);
}

enum err cart_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct cart c;

    enum err e = cart_load(cx, rq, &c, NULL, 0);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    return reply_cart(cx, rp, 200, &c);
}
