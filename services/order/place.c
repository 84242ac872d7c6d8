/* place.c -- POST /v1/orders: from the cart and our own copies to an order, in one transaction. */
#include "order/cart.h"
#include "order/saga.h"
#include "order/waiting.h"

#include "base/fault.h"
#include "base/money.h"
#include "data/json.h"

struct place {
    struct uuid address_id;
    struct str request_message;
    int64_t expected_total_won;
    bool has_expected_total_won;
};
const struct field place_fields[] = {
    F_UUID(struct place, address_id, "addressId", REQUIRED, "where to; one of one's own"),
    F_STR(struct place, request_message, "requestMessage", 0, 0, 500, "to the store"),
    F_OPT_INT(struct place, expected_total_won, "expectedTotalWon", 0, 0, 100000000000,
              "what the customer saw"),
    F_END(struct place),
};

struct address {
    struct uuid address_id;
    struct str label, recipient, phone, address1, address2, zip_code;
    int64_t latitude, longitude; /* degrees * 10^7 */
};
static const struct field address_fields[] = {
    F_UUID(struct address, address_id, "addressId", REQUIRED, "address"),
    F_STR(struct address, label, "label", NULLABLE, 0, 100, "label"),
    F_STR(struct address, recipient, "recipient", NULLABLE, 0, 100, "who takes it"),
    F_STR(struct address, phone, "phone", NULLABLE, 0, 30, "whom to call"),
    F_STR(struct address, address1, "address1", REQUIRED, 0, 300, "street"),
    F_STR(struct address, address2, "address2", NULLABLE, 0, 300, "door"),
    F_STR(struct address, zip_code, "zipCode", REQUIRED, 0, 10, "postal code"),
    F_DECIMAL(struct address, latitude, "latitude", REQUIRED, 7, -900000000, 900000000, "north"),
    F_DECIMAL(struct address, longitude, "longitude", REQUIRED, 7, -1800000000, 1800000000, "east"),
    F_END(struct address),
};

static enum err fetch_address(struct ctx *cx, struct uuid address_id, struct address *ret)
{
    struct str path =
        arena_printf(cx->arena, "/internal/v1/users/%s/addresses/%s",
                     ctx_uuid_text(cx, cx->caller.user_id), ctx_uuid_text(cx, address_id));

    enum err e = call_service(cx, "user", HTTP_GET, path.p, NULL, NULL, address_fields, ret);
    if (e != ERR_NOT_FOUND)
        return e;
    ctx_field_error(cx, STR("addressId"), STR("UNKNOWN"), "is not one of your addresses");
    return fail(cx, ERR_INVALID, "address of nobody or another");
}

static enum err price_lines(struct ctx *cx, const struct cart *c, struct order *o)
{
    o->lines = (struct list){arena_array(cx->arena, c->lines.n, sizeof(struct order_line)), 0};
    for (size_t i = 0; i < c->lines.n; i++) {
        const struct cart_line *l = LIST_AT(struct cart_line, c->lines, i);
        struct order_line *line = LIST_AT(struct order_line, o->lines, o->lines.n++);
        const struct menu_copy *item = cart_item(c, l->menu_item_id);
        enum err e = item ? price_line(cx, item, cart_line_options(cx, l), l->quantity, line)
                          : ERR_NOT_FOUND;
        if (e == ERR_NOT_FOUND)
            return fail(cx, ERR_MENU_SOLD_OUT, "menu item is gone");
        TRY(e);
        if (money_add(o->items_won, line->line_total_won, &o->items_won) != ERR_OK)
            return fail(cx, ERR_AMOUNT_OVERFLOW, "sum of the lines");
    }
    return ERR_OK;
}

static enum err check_store(struct ctx *cx, const struct store_copy *s, const struct address *a,
                            const struct order *o)
{
    TRY(store_copy_open(cx, s, ctx_now(cx)));
    int64_t away_m = store_copy_distance_m(s, a->latitude / 10, a->longitude / 10);
    if (away_m > s->radius_m)
        return fail(cx, ERR_STORE_ZONE, "%" PRId64 " m away, delivers %" PRId64, away_m,
                    s->radius_m);
    int64_t minimum_won = store_copy_minimum_won(s);
    if (o->items_won < minimum_won) {
        cx->story.public_extra =
            arena_printf(cx->arena, "\"minimumOrderWon\":%" PRId64, minimum_won);
        return fail(cx, ERR_STORE_MINIMUM, "%" PRId64 " of %" PRId64, o->items_won, minimum_won);
    }
    return ERR_OK;
}

static enum err check_expected(struct ctx *cx, const struct place *in, const struct order *o)
{
    if (!in->has_expected_total_won || in->expected_total_won == o->total_won)
        return ERR_OK;
    cx->story.public_extra = arena_printf(cx->arena, "\"totalWon\":%" PRId64, o->total_won);
    return fail(cx, ERR_PRICE_CHANGED, "%" PRId64 " now, %" PRId64 " seen", o->total_won,
                in->expected_total_won);
}

/* What the store and the customer see of the address later, whatever becomes of it. */
static struct str address_text(struct ctx *cx, const struct address *a)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, 8192);
    json_encode(&b, address_fields, a);
    return buf_str(&b);
}

static enum err draft(struct ctx *cx, const struct place *in, const struct cart *c,
                      const struct address *a, struct order *ret)
{
    const struct store_copy *store = &c->store;

    if (uuid_is_nil(store->store_id)) /* its menu came, it did not yet */
        return fail(cx, ERR_STORE_CLOSED, "nothing known of the store");
    struct order o = {.order_id = ctx_uuid(cx),
                      .customer_id = cx->caller.user_id,
                      .store_id = store->store_id,
                      .owner_id = store->owner_id,
                      .store_name = store->name,
                      .cart_id = c->cart_id,
                      .delivery_fee_won = store->delivery_fee_won,
                      .request_message = in->request_message};
    TRY(price_lines(cx, c, &o));
    TRY(check_store(cx, store, a, &o));
    if (money_add(o.items_won, o.delivery_fee_won, &o.total_won) != ERR_OK)
        return fail(cx, ERR_AMOUNT_OVERFLOW, "total");
    TRY(check_expected(cx, in, &o));
    o.address = address_text(cx, a);
    *ret = o;
    return ERR_OK;
}

/* "261123-7KQ2M": the day in Seoul and five characters that are not mistaken for each other. */
static struct str new_number(struct ctx *cx)
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    struct seoul_time t = seoul_time(ctx_now(cx));
    char tail[6] = "";

    for (size_t i = 0; i < 5; i++)
        tail[i] = letters[rng_below(cx->rng, 32)];
    return arena_printf(cx->arena, "%02d%02d%02d-%s", t.year % 100, t.month, t.day, tail);
}

/* The number is drawn; the unique index says whether it was free, and all is run again if not. */
static enum err insert(struct ctx *cx, struct order *o)
{
    o->number = new_number(cx);
    return order_insert(cx, o);
}

static enum err answer(struct ctx *cx, struct reply *rp, const struct order *o)
{
    reply_header(cx, rp, STR("Location"), "/v1/orders/%s", ctx_uuid_text(cx, o->order_id));
    return reply_shown(cx, rp, 201, o);
}

/*
 * The answer is stored after the order committed (the address is fetched outside any transaction).
 * After a crash in between, the client asks again with its key: the order itself remembers it.
 */
static enum err find_before(struct ctx *cx, const struct request *rq, struct cart *cart,
                            struct order *ret)
{
    struct str key = http_field(rq->head, STR("Idempotency-Key"));
    struct str mine =
        arena_printf(cx->arena, "%s %.*s", ctx_uuid_text(cx, cx->caller.user_id), STR_ARG(key));
    struct db_read before = {.fields = order_row_fields,
                             .one = ret,
                             .sql = "select " ORDER_COLUMNS " from orders where request_key = $1",
                             .args = ARGS(db_str(mine))};

    *ret = (struct order){0};
    enum err e = cart_load(cx, rq, cart, &before, 1);
    ret->request_key = mine;
    if (before.rows)
        return ERR_OK;
    if (e == ERR_NOT_FOUND || (e == ERR_OK && cart->lines.n == 0))
        return fail(cx, ERR_CART_EMPTY, "nothing to order");
    return e;
}

enum err order_place(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct place *in = rq->body;
    int64_t looked_at = ctx_now(cx);
    struct address address = {0};
    struct order before, o;
    struct cart cart;

    TRY(find_before(cx, rq, &cart, &before));
    if (!uuid_is_nil(before.order_id)) {
        TRY(order_load_shown(cx, before.order_id, &o));
        return answer(cx, rp, &o);
    }
    TRY(fetch_address(cx, in->address_id, &address));
    TRY(draft(cx, in, &cart, &address, &o));
    o.request_key = before.request_key;
    o.created_at = looked_at; /* what comes into the cart later is not part of it */
    uint64_t turn = waiting_turn(o.order_id);
    TRY(db_begin(cx));
    TRY(insert(cx, &o));
    if (FAULT("order.place.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: order.place.commit");
    TRY(db_commit(cx));
    TRY(db_durable(cx));
    TRY(order_wait(cx, turn, rq->wait_s, &o));
    return answer(cx, rp, &o);
}
