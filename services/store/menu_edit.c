/* menu_edit.c -- the owner edits sections and menu items; every edit publishes the whole menu. */
#include "store/stock.h"

struct order_body {
    struct list ids;
};
const struct field section_order_fields[] = {
    F_UUIDS(struct order_body, ids, "ids", REQUIRED, 1, SECTIONS_MAX,
            "all sections, first to last"),
    F_END(struct order_body),
};

/* One row must change: none means that there is no such thing in this store. */
static enum err change_one(struct ctx *cx, const char *sql, struct db_args args)
{
    int64_t changed = 0;

    TRY(db_change(cx, &changed, sql, args));
    return changed == 1 ? ERR_OK : fail(cx, ERR_NOT_FOUND, "nothing matched: %s", sql);
}

static enum err check_room(struct ctx *cx, const char *count_sql, struct uuid of, int64_t max)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n, count_sql, ARGS(db_uuid(of))));
    return n < max ? ERR_OK
                   : fail(cx, ERR_CONSTRAINT, "already %" PRId64 " of at most %" PRId64, n, max);
}

enum err order_expect(struct ctx *cx, size_t named, const char *count_sql, struct uuid of)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n, count_sql, ARGS(db_uuid(of))));
    if (n == (int64_t)named)
        return ERR_OK;
    ctx_field_error(cx, STR("ids"), STR("INCOMPLETE"), "must name all of them");
    return fail(cx, ERR_INVALID, "%zu of %" PRId64 " in order", named, n);
}

struct section_body {
    struct str name;
};
const struct field section_new_fields[] = {
    F_STR(struct section_body, name, "name", REQUIRED | ONE_LINE, 1, 60, "name"),
    F_END(struct section_body),
};
const struct field section_patch_fields[] = {
    F_STR(struct section_body, name, "name", REQUIRED | ONE_LINE, 1, 60, "name"),
    F_END(struct section_body),
};

enum err section_create(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct section_body *in = rq->body;
    struct section s = {.section_id = ctx_uuid(cx), .name = in->name};

    TRY(db_begin(cx));
    TRY(check_room(cx, "select count(*) from sections where store_id = $1 and deleted_at is null",
                   rq->id[0], SECTIONS_MAX));
    TRY(db_exec(
        cx,
        "insert into sections (section_id, store_id, name, position)"
        " select $1, $2, $3, coalesce(max(position), 0) + 1 from sections where store_id = $2",
        ARGS(db_uuid(s.section_id), db_uuid(rq->id[0]), db_str(in->name))));
    TRY(menu_commit(cx, rp, rq->id[0]));
    reply_header(cx, rp, STR("Location"), "/v1/owner/stores/%s/sections/%s",
                 ctx_uuid_text(cx, rq->id[0]), ctx_uuid_text(cx, s.section_id));
    return reply_data(cx, rp, 201, section_fields, &s);
}

enum err section_patch(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct section_body *in = rq->body;
    struct section s = {.section_id = rq->id[1], .name = in->name};

    TRY(db_begin(cx));
    TRY(menu_expect(cx, rq));
    TRY(change_one(cx,
                   "update sections set name = $3"
                   " where store_id = $1 and section_id = $2 and deleted_at is null",
                   ARGS(db_uuid(rq->id[0]), db_uuid(rq->id[1]), db_str(in->name))));
    TRY(menu_commit(cx, rp, rq->id[0]));
    return reply_data(cx, rp, 200, section_fields, &s);
}

/* Only an empty section goes: its items would vanish from the menu unseen. */
enum err section_delete(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    int64_t items = 0;

    TRY(db_begin(cx));
    TRY(menu_expect(cx, rq));
    TRY(db_int_of(cx, &items,
                  "select count(*) from menu_items where section_id = $1 and deleted_at is null",
                  ARGS(db_uuid(rq->id[1]))));
    TRY(change_one(cx,
                   "update sections set deleted_at = $3"
                   " where store_id = $1 and section_id = $2 and deleted_at is null",
                   ARGS(db_uuid(rq->id[0]), db_uuid(rq->id[1]), db_int(ctx_now(cx)))));
    if (items > 0)
        return fail(cx, ERR_CONSTRAINT, "section still has %" PRId64 " items", items);
    TRY(menu_commit(cx, rp, rq->id[0]));
    return reply_none(cx, rp, 204);
}

enum err section_order(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct order_body *in = rq->body;

    TRY(db_begin(cx));
    TRY(menu_expect(cx, rq));
    for (size_t i = 0; i < in->ids.n; i++)
        TRY(change_one(cx,
                       "update sections set position = $3"
                       " where store_id = $1 and section_id = $2 and deleted_at is null",
                       ARGS(db_uuid(rq->id[0]), db_uuid(*LIST_AT(struct uuid, in->ids, i)),
                            db_int((int64_t)i + 1))));
    TRY(order_expect(cx, in->ids.n,
                     "select count(*) from sections where store_id = $1 and deleted_at is null",
                     rq->id[0]));
    TRY(menu_commit(cx, rp, rq->id[0]));
    return reply_none(cx, rp, 204);
}

struct item_body {
    struct uuid section_id;
    struct str name, description, allergens, origin;
    int64_t price_won, stock;
    bool sold_out, has_price_won, has_stock, has_sold_out;
};
/* clang-format off */
#define ITEM_BODY(must)                                                                            \
    F_UUID(struct item_body, section_id, "sectionId", must, "where it stands"),                    \
    F_STR(struct item_body, name, "name", (must) | ONE_LINE, 1, 60, "name"),                       \
    F_STR(struct item_body, description, "description", 0, 0, 500, "description"),                 \
    F_OPT_INT(struct item_body, price_won, "priceWon", must, 0, 10000000, "price"),                \
    F_STR(struct item_body, allergens, "allergens", ONE_LINE, 0, 300, "allergens"),                \
    F_STR(struct item_body, origin, "origin", ONE_LINE, 0, 500, "origin of ingredients"),          \
    F_OPT_BOOL(struct item_body, sold_out, "soldOut", 0, "cannot be ordered")
/* clang-format on */
const struct field item_new_fields[] = {
    ITEM_BODY(REQUIRED),
    F_OPT_INT(struct item_body, stock, "stock", 0, 0, 1000000, "how many; without: not counted"),
    F_END(struct item_body),
};
const struct field item_patch_fields[] = {ITEM_BODY(0), F_END(struct item_body)};

/* The item as it is now; inside the transaction, so that a failure undoes the edit. */
static enum err reply_item(struct ctx *cx, struct reply *rp, int status, struct uuid item_id)
{
    struct menu_item item = {0};

    TRY(db_one(
        cx, menu_item_row_fields, &item,
        "select menu_item_id, section_id, name, description, price_won, photo_url, allergens,"
        " origin, sold_out, position, version from menu_items where menu_item_id = $1",
        ARGS(db_uuid(item_id))));
    TRY(option_groups_load(cx, &item));
    reply_version(cx, rp, item.version);
    return reply_data(cx, rp, status, menu_item_fields, &item);
}

static enum err check_section(struct ctx *cx, struct uuid store_id, struct uuid section_id)
{
    int64_t found = 0;

    if (uuid_is_nil(section_id))
        return ERR_OK;
    TRY(db_int_of(cx, &found,
                  "select count(*) from sections"
                  " where section_id = $1 and store_id = $2 and deleted_at is null",
                  ARGS(db_uuid(section_id), db_uuid(store_id))));
    if (found)
        return ERR_OK;
    ctx_field_error(cx, STR("sectionId"), STR("UNKNOWN"), "is not a section of this store");
    return fail(cx, ERR_INVALID, "sectionId");
}

enum err menu_item_create(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct item_body *in = rq->body;
    struct uuid id = ctx_uuid(cx);

    TRY(db_begin(cx));
    TRY(check_section(cx, rq->id[0], in->section_id));
    TRY(check_room(cx, "select count(*) from menu_items where store_id = $1 and deleted_at is null",
                   rq->id[0], MENU_ITEMS_MAX));
    TRY(db_exec(cx,
                "insert into menu_items (menu_item_id, store_id, section_id, name, description,"
                " price_won, allergens, origin, sold_out, position)"
                " select $1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce(max(position), 0) + 1"
                " from menu_items where section_id = $3",
                ARGS(db_uuid(id), db_uuid(rq->id[0]), db_uuid(in->section_id), db_str(in->name),
                     db_str(in->description.p ? in->description : STR("")), db_int(in->price_won),
                     db_str(in->allergens.p ? in->allergens : STR("")),
                     db_str(in->origin.p ? in->origin : STR("")), db_bool(in->sold_out))));
    TRY(stock_open(cx, rq->id[0], id, !in->has_stock, in->stock));
    TRY(reply_item(cx, rp, 201, id));
    reply_header(cx, rp, STR("Location"), "/v1/stores/%s/menu-items/%s",
                 ctx_uuid_text(cx, rq->id[0]), ctx_uuid_text(cx, id));
    return menu_commit_larger(cx, NULL, rq->id[0]);
}

static enum err expect_item(struct ctx *cx, const struct request *rq)
{
    int64_t version = 0;

    TRY(db_int_of(cx, &version,
                  "select version from menu_items"
                  " where store_id = $1 and menu_item_id = $2 and deleted_at is null",
                  ARGS(db_uuid(rq->id[0]), db_uuid(rq->id[1]))));
    return request_expects(cx, rq, 'v', version);
}

enum err menu_item_patch(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct item_body *in = rq->body;

    TRY(db_begin(cx));
    TRY(expect_item(cx, rq));
    TRY(check_section(cx, rq->id[0], in->section_id));
    TRY(change_one(cx,
                   "update menu_items set position = case when section_id <> $3 then"
                   " (select coalesce(max(position), 0) + 1 from menu_items where section_id = $3)"
                   " else position end, section_id = coalesce($3, section_id),"
                   " name = coalesce($4, name), description = coalesce($5, description),"
                   " price_won = coalesce($6, price_won), allergens = coalesce($7, allergens),"
                   " origin = coalesce($8, origin), sold_out = coalesce($9, sold_out),"
                   " version = version + 1 where store_id = $1 and menu_item_id = $2",
                   ARGS(db_uuid(rq->id[0]), db_uuid(rq->id[1]), db_uuid(in->section_id),
                        db_str(in->name), db_str(in->description),
                        db_opt_int(in->has_price_won, in->price_won), db_str(in->allergens),
                        db_str(in->origin), db_opt_int(in->has_sold_out, in->sold_out))));
    TRY(reply_item(cx, rp, 200, rq->id[1]));
    return menu_commit_larger(cx, NULL, rq->id[0]);
}

/* Soft: held and sold lines still point to it. */
enum err menu_item_delete(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    TRY(db_begin(cx));
    TRY(expect_item(cx, rq));
    TRY(change_one(cx,
                   "update menu_items set deleted_at = $3, version = version + 1"
                   " where store_id = $1 and menu_item_id = $2 and deleted_at is null",
                   ARGS(db_uuid(rq->id[0]), db_uuid(rq->id[1]), db_int(ctx_now(cx)))));
    TRY(menu_commit(cx, NULL, rq->id[0]));
    return reply_none(cx, rp, 204);
}

struct item_order_body {
    struct uuid section_id;
    struct list ids;
};
const struct field item_order_fields[] = {
    F_UUID(struct item_order_body, section_id, "sectionId", REQUIRED, "in which section"),
    F_UUIDS(struct item_order_body, ids, "ids", REQUIRED, 1, MENU_ITEMS_MAX, "first to last"),
    F_END(struct item_order_body),
};

enum err menu_item_order(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct item_order_body *in = rq->body;

    TRY(db_begin(cx));
    TRY(menu_expect(cx, rq));
    for (size_t i = 0; i < in->ids.n; i++)
        TRY(change_one(cx,
                       "update menu_items set position = $4 where store_id = $1 and section_id = $2"
                       " and menu_item_id = $3 and deleted_at is null",
                       ARGS(db_uuid(rq->id[0]), db_uuid(in->section_id),
                            db_uuid(*LIST_AT(struct uuid, in->ids, i)), db_int((int64_t)i + 1))));
    TRY(order_expect(cx, in->ids.n,
                     "select count(*) from menu_items where section_id = $1 and deleted_at is null",
                     in->section_id));
    TRY(menu_commit(cx, rp, rq->id[0]));
    return reply_none(cx, rp, 204);
}

struct sold_out_body {
    bool sold_out;
};
const struct field sold_out_fields[] = {
    F_BOOL(struct sold_out_body, sold_out, "soldOut", REQUIRED, "cannot be ordered"),
    F_END(struct sold_out_body),
};

enum err menu_item_sold_out(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct sold_out_body *in = rq->body;

    TRY(db_begin(cx));
    TRY(expect_item(cx, rq));
    TRY(change_one(cx,
                   "update menu_items set sold_out = $3, version = version + 1"
                   " where store_id = $1 and menu_item_id = $2 and deleted_at is null",
                   ARGS(db_uuid(rq->id[0]), db_uuid(rq->id[1]), db_bool(in->sold_out))));
    TRY(reply_item(cx, rp, 200, rq->id[1]));
    return menu_commit(cx, NULL, rq->id[0]);
}
