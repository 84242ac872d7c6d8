/* option_edit.c -- the owner edits the option groups of a menu item; a group comes and changes as a
 * whole. */
#include "store/menu.h"

struct option_body {
    struct uuid option_id; /* of an option that stays; absent: a new one */
    struct str name;
    int64_t price_won;
    bool sold_out, has_sold_out;
};
static const struct field option_body_fields[] = {
    F_UUID(struct option_body, option_id, "optionId", 0, "an option that stays what it is"),
    F_STR(struct option_body, name, "name", REQUIRED | ONE_LINE, 1, 60, "name"),
    F_INT(struct option_body, price_won, "priceWon", REQUIRED, 0, 1000000, "added to the price"),
    F_OPT_BOOL(struct option_body, sold_out, "soldOut", 0, "cannot be chosen"),
    F_END(struct option_body),
};

struct group_body {
    struct uuid menu_item_id;
    struct str name;
    int64_t min, max;
    bool has_min, has_max;
    struct list options;
};
/* clang-format off */
#define GROUP_BODY(must)                                                                           \
    F_STR(struct group_body, name, "name", (must) | ONE_LINE, 1, 60, "name"),                      \
    F_OPT_INT(struct group_body, min, "min", must, 0, OPTIONS_MAX, "at least so many are chosen"), \
    F_OPT_INT(struct group_body, max, "max", must, 1, OPTIONS_MAX, "and at most"),                 \
    F_LIST(struct group_body, options, "options", must, 1, OPTIONS_MAX, option_body_fields, "all options, first to last")
/* clang-format on */
const struct field group_new_fields[] = {
    F_UUID(struct group_body, menu_item_id, "menuItemId", REQUIRED, "of which menu item"),
    GROUP_BODY(REQUIRED),
    F_END(struct group_body),
};
const struct field group_patch_fields[] = {GROUP_BODY(0), F_END(struct group_body)};

struct group_order_body {
    struct uuid menu_item_id;
    struct list ids;
};
const struct field group_order_fields[] = {
    F_UUID(struct group_order_body, menu_item_id, "menuItemId", REQUIRED, "of which menu item"),
    F_UUIDS(struct group_order_body, ids, "ids", REQUIRED, 1, OPTION_GROUPS_MAX, "first to last"),
    F_END(struct group_order_body),
};

static enum err change_one(struct ctx *cx, const char *sql, struct db_args args)
{
    int64_t changed = 0;

    TRY(db_change(cx, &changed, sql, args));
    return changed == 1 ? ERR_OK : fail(cx, ERR_NOT_FOUND, "nothing matched: %s", sql);
}

/* A group nobody could satisfy would make its item impossible to order. */
static enum err check_bounds(struct ctx *cx, int64_t min, int64_t max, int64_t n_options)
{
    if (min > max)
        ctx_field_error(cx, STR("min"), STR("RANGE"), "is more than max");
    else if (max > n_options)
        ctx_field_error(cx, STR("max"), STR("RANGE"), "is more than there are options");
    else
        return ERR_OK;
    return fail(cx, ERR_INVALID, "bounds of an option group");
}

static enum err insert_options(struct ctx *cx, struct uuid store_id, struct uuid group_id,
                               struct list options)
{
    for (size_t i = 0; i < options.n; i++) {
        const struct option_body *o = LIST_AT(struct option_body, options, i);
        struct uuid id = uuid_is_nil(o->option_id) ? ctx_uuid(cx) : o->option_id;
        TRY(db_exec(cx,
                    "insert into options (option_id, store_id, option_group_id, name, price_won, "
                    "sold_out, position)"
                    " values ($1, $2, $3, $4, $5, $6, $7)",
                    ARGS(db_uuid(id), db_uuid(store_id), db_uuid(group_id), db_str(o->name),
                         db_int(o->price_won), db_bool(o->sold_out), db_int((int64_t)i + 1))));
    }
    return ERR_OK;
}

static enum err reply_group(struct ctx *cx, struct reply *rp, int status, struct uuid group_id)
{
    struct option_group g = {0};

    TRY(db_one(cx, option_group_row_fields, &g,
               "select option_group_id, menu_item_id, name, min, max, position from option_groups"
               " where option_group_id = $1",
               ARGS(db_uuid(group_id))));
    TRY(db_all(cx, option_row_fields, &g.options,
               "select option_id, option_group_id, name, price_won, sold_out, position from options"
               " where option_group_id = $1 order by position",
               ARGS(db_uuid(group_id))));
    return reply_data(cx, rp, status, option_group_fields, &g);
}

enum err option_group_create(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct group_body *in = rq->body;
    struct uuid id = ctx_uuid(cx);
    int64_t items = 0, groups = 0, last = 0;

    TRY(check_bounds(cx, in->min, in->max, (int64_t)in->options.n));
    for (size_t i = 0; i < in->options.n; i++) /* ids are ours to give */
        LIST_AT(struct option_body, in->options, i)->option_id = UUID_NIL;
    TRY(db_begin(cx));
    TRY(db_int_of(cx, &items,
                  "select count(*) from menu_items where store_id = $1 and menu_item_id = $2 and "
                  "deleted_at is null",
                  ARGS(db_uuid(rq->id[0]), db_uuid(in->menu_item_id))));
    if (items == 0)
        return fail(cx, ERR_NOT_FOUND, "no such menu item in this store");
    TRY(db_int_of(cx, &groups, "select count(*) from option_groups where menu_item_id = $1",
                  ARGS(db_uuid(in->menu_item_id))));
    if (groups >= OPTION_GROUPS_MAX)
        return fail(cx, ERR_CONSTRAINT, "an item has at most %d option groups", OPTION_GROUPS_MAX);
    TRY(db_int_of(cx, &last,
                  "select coalesce(max(position), 0) from option_groups where menu_item_id = $1",
                  ARGS(db_uuid(in->menu_item_id))));
    TRY(db_exec(cx,
                "insert into option_groups (option_group_id, store_id, menu_item_id, name, min, "
                "max, position)"
                " values ($1, $2, $3, $4, $5, $6, $7)",
                ARGS(db_uuid(id), db_uuid(rq->id[0]), db_uuid(in->menu_item_id), db_str(in->name),
                     db_int(in->min), db_int(in->max), db_int(last + 1))));
    TRY(insert_options(cx, rq->id[0], id, in->options));
    TRY(reply_group(cx, rp, 201, id));
    reply_header(cx, rp, STR("Location"), "/v1/owner/stores/%s/option-groups/%s",
                 ctx_uuid_text(cx, rq->id[0]), ctx_uuid_text(cx, id));
    return menu_commit_larger(cx, rp, rq->id[0]);
}

/* An option keeps its id only within its own group: ids of other groups are refused. */
static enum err check_ids(struct ctx *cx, struct uuid group_id, struct list options)
{
    for (size_t i = 0; i < options.n; i++) {
        struct uuid id = LIST_AT(struct option_body, options, i)->option_id;
        int64_t n = 0;
        if (uuid_is_nil(id))
            continue;
        TRY(db_int_of(cx, &n,
                      "select count(*) from options where option_id = $1 and option_group_id = $2",
                      ARGS(db_uuid(id), db_uuid(group_id))));
        for (size_t k = 0; k < i; k++)
            if (uuid_eq(LIST_AT(struct option_body, options, k)->option_id, id))
                n = 0;
        if (n == 1)
            continue;
        ctx_field_error(cx, arena_printf(cx->arena, "options[%zu].optionId", i), STR("UNKNOWN"),
                        "is not an option of this group, or is there twice");
        return fail(cx, ERR_INVALID, "option of another group");
    }
    return ERR_OK;
}

enum err option_group_patch(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct group_body *in = rq->body;
    struct option_group now = {0};
    int64_t n_options = 0;

    TRY(db_begin(cx));
    TRY(menu_expect(cx, rq));
    TRY(db_one(cx, option_group_row_fields, &now,
               "select option_group_id, menu_item_id, name, min, max, position from option_groups"
               " where option_group_id = $1 and store_id = $2",
               ARGS(db_uuid(rq->id[1]), db_uuid(rq->id[0]))));
    TRY(db_int_of(cx, &n_options, "select count(*) from options where option_group_id = $1",
                  ARGS(db_uuid(rq->id[1]))));
    TRY(check_bounds(cx, in->has_min ? in->min : now.min, in->has_max ? in->max : now.max,
                     in->options.n ? (int64_t)in->options.n : n_options));
    TRY(db_exec(cx,
                "update option_groups set name = coalesce($2, name), min = coalesce($3, min),"
                " max = coalesce($4, max), version = version + 1 where option_group_id = $1",
                ARGS(db_uuid(rq->id[1]), db_str(in->name), db_opt_int(in->has_min, in->min),
                     db_opt_int(in->has_max, in->max))));
    if (in->options.n > 0) {
        TRY(check_ids(cx, rq->id[1], in->options));
        TRY(db_exec(cx, "delete from options where option_group_id = $1",
                    ARGS(db_uuid(rq->id[1]))));
        TRY(insert_options(cx, rq->id[0], rq->id[1], in->options));
    }
    TRY(reply_group(cx, rp, 200, rq->id[1]));
    return menu_commit_larger(cx, rp, rq->id[0]);
}

enum err option_group_delete(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    TRY(db_begin(cx));
    TRY(menu_expect(cx, rq));
    TRY(db_exec(cx, "delete from options where option_group_id = $1 and store_id = $2",
                ARGS(db_uuid(rq->id[1]), db_uuid(rq->id[0]))));
    TRY(change_one(cx, "delete from option_groups where option_group_id = $1 and store_id = $2",
                   ARGS(db_uuid(rq->id[1]), db_uuid(rq->id[0]))));
    TRY(menu_commit(cx, rp, rq->id[0]));
    return reply_none(cx, rp, 204);
}

enum err option_group_order(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct group_order_body *in = rq->body;

    TRY(db_begin(cx));
    TRY(menu_expect(cx, rq));
    for (size_t i = 0; i < in->ids.n; i++)
        TRY(change_one(
            cx,
            "update option_groups set position = $4 where store_id = $1 and menu_item_id = $2"
            " and option_group_id = $3",
            ARGS(db_uuid(rq->id[0]), db_uuid(in->menu_item_id),
                 db_uuid(*LIST_AT(struct uuid, in->ids, i)), db_int((int64_t)i + 1))));
    TRY(order_expect(cx, in->ids.n, "select count(*) from option_groups where menu_item_id = $1",
                     in->menu_item_id));
    TRY(menu_commit(cx, rp, rq->id[0]));
    return reply_none(cx, rp, 204);
}
