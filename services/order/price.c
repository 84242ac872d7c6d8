/* price.c -- from a menu item, its options and a quantity to won: what the client says of prices is
 * never used. */
#include "order/copies.h"

#include "base/money.h"
#include "data/json.h"

struct priced_option {
    struct uuid option_id;
    struct str name;
    int64_t price_won;
    bool sold_out;
};
static const struct field priced_option_fields[] = {
    F_UUID(struct priced_option, option_id, "optionId", REQUIRED, "option"),
    F_STR(struct priced_option, name, "name", REQUIRED, 0, 100, "name"),
    F_WON(struct priced_option, price_won, "priceWon", REQUIRED, "price"),
    F_BOOL(struct priced_option, sold_out, "soldOut", 0, "sold out"),
    F_END(struct priced_option),
};
struct option_group {
    struct str name;
    int64_t min, max;
    struct list options;
};
static const struct field option_group_fields[] = {
    F_STR(struct option_group, name, "name", REQUIRED, 0, 100, "name"),
    F_INT(struct option_group, min, "min", REQUIRED, 0, 100, "at least"),
    F_INT(struct option_group, max, "max", REQUIRED, 0, 100, "at most"),
    F_LIST(struct option_group, options, "options", REQUIRED, 0, 100, priced_option_fields,
           "options"),
    F_END(struct option_group),
};
struct groups_box {
    struct list groups;
};
static const struct field groups_box_fields[] = {
    F_LIST(struct groups_box, groups, "groups", REQUIRED, 0, 100, option_group_fields, "groups"),
    F_END(struct groups_box),
};

static enum err wrong_options(struct ctx *cx, const char *code, const char *message,
                              struct str what)
{
    ctx_field_error(cx, STR("optionIds"), str_from(code), "%s: %.*s", message, STR_ARG(what));
    return fail(cx, ERR_OPTION_INVALID, "%s: %.*s", message, STR_ARG(what));
}

static bool contains(struct list ids, struct uuid id)
{
    for (size_t i = 0; i < ids.n; i++)
        if (uuid_eq(*LIST_AT(struct uuid, ids, i), id))
            return true;
    return false;
}

/* Adds what was chosen of one group to the list and the price. */
static enum err choose(struct ctx *cx, const struct option_group *g, struct list wanted,
                       struct list *chosen, int64_t *unit_won)
{
    int64_t n = 0;

    for (size_t i = 0; i < g->options.n; i++) {
        const struct priced_option *o = LIST_AT(struct priced_option, g->options, i);
        if (!contains(wanted, o->option_id))
            continue;
        if (o->sold_out)
            return wrong_options(cx, "SOLD_OUT", "sold out", o->name);
        if (chosen->n == wanted.n)
            return wrong_options(cx, "UNKNOWN", "there twice in the menu", o->name);
        if (money_add(*unit_won, o->price_won, unit_won) != ERR_OK)
            return fail(cx, ERR_AMOUNT_OVERFLOW, "unit price");
        *LIST_AT(struct chosen_option, *chosen, chosen->n++) =
            (struct chosen_option){o->option_id, o->name, o->price_won};
        n++;
    }
    if (n < g->min)
        return wrong_options(cx, "TOO_FEW", "too few chosen", g->name);
    return n > g->max ? wrong_options(cx, "TOO_MANY", "too many chosen", g->name) : ERR_OK;
}

enum err price_line(struct ctx *cx, const struct menu_copy *item, struct list option_ids,
                    int64_t quantity, struct order_line *ret)
{
    struct str text = arena_printf(cx->arena, "{\"groups\":%.*s}", STR_ARG(item->option_groups));
    struct list chosen = {arena_array(cx->arena, option_ids.n + 1, sizeof(struct chosen_option)),
                          0};
    struct groups_box box = {{NULL, 0}};
    int64_t unit_won = item->price_won, total_won = 0;
    struct buf options;

    if (item->deleted)
        return fail(cx, ERR_NOT_FOUND, "menu item is off the menu");
    if (item->sold_out)
        return fail(cx, ERR_MENU_SOLD_OUT, "%.*s", STR_ARG(item->name));
    TRY(json_decode_lenient(cx, groups_box_fields, &box, text));
    for (size_t i = 0; i < box.groups.n; i++)
        TRY(choose(cx, LIST_AT(struct option_group, box.groups, i), option_ids, &chosen,
                   &unit_won));
    if (chosen.n != option_ids.n)
        return wrong_options(cx, "UNKNOWN", "an option that is not of this item", item->name);
    if (money_mul(unit_won, quantity, &total_won) != ERR_OK)
        return fail(cx, ERR_AMOUNT_OVERFLOW, "line total");
    buf_init_arena(&options, cx->arena, 32 * 1024);
    json_encode_list(&options, chosen_option_fields, chosen);
    *ret = (struct order_line){.line_id = ctx_uuid(cx),
                               .menu_item_id = item->menu_item_id,
                               .name = item->name,
                               .options = buf_str(&options),
                               .quantity = quantity,
                               .unit_price_won = unit_won,
                               .line_total_won = total_won};
    return ERR_OK;
}
