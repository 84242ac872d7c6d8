/* owner.c -- an owner's stores: who may touch them, and creating, changing and closing them. */
#include "store/menu.h"

/*
 * A store that is not the caller's answers 404, as if it did not exist; the owner of a deleted one
 * learns 410. Staff pass when the owner granted `permission`.
 */
static enum err guard(struct ctx *cx, struct uuid store_id, int64_t permission)
{
    struct store s = {0};
    int64_t granted = 0;

    TRY(db_one(cx, store_row_fields, &s,
               "select owner_id, deleted_at from stores where store_id = $1",
               ARGS(db_uuid(store_id))));
    if (cx->caller.role != OWNER || !uuid_eq(s.owner_id, cx->caller.user_id)) {
        enum err e =
            db_int_of(cx, &granted,
                      "select permissions from store_staff where store_id = $1 and user_id = $2",
                      ARGS(db_uuid(store_id), db_uuid(cx->caller.user_id)));
        if (e != ERR_OK && e != ERR_NOT_FOUND)
            return e;
        if (granted == 0)
            return fail(cx, ERR_NOT_FOUND, "store of another owner");
        if (!(granted & permission))
            return fail(cx, ERR_FORBIDDEN, "staff without permission %" PRId64, permission);
    }
    return s.deleted_at ? fail(cx, ERR_GONE, "store was deleted") : ERR_OK;
}

enum err guard_owner(struct ctx *cx, const struct request *rq)
{
    return guard(cx, rq->id[0], 0);
}

enum err guard_menu(struct ctx *cx, const struct request *rq)
{
    return guard(cx, rq->id[0], MAY_MENU);
}

enum err guard_stock(struct ctx *cx, const struct request *rq)
{
    return guard(cx, rq->id[0], MAY_STOCK);
}

enum err reply_store(struct ctx *cx, struct reply *rp, int status, struct uuid store_id)
{
    struct store s = {0};

    TRY(store_load(cx, store_id, &s));
    store_show(cx, &s);
    reply_version(cx, rp, s.version);
    return reply_data(cx, rp, status, store_owner_fields, &s);
}

struct store_body {
    struct str name, category, description, phone, address, zip_code, region_code, business_number;
    struct str notice, origin;
    int64_t latitude, longitude, radius_m, minimum_order_won, delivery_fee_won, cook_minutes;
    bool has_latitude, has_longitude, has_radius_m, has_minimum_order_won, has_delivery_fee_won;
    bool has_cook_minutes;
    struct list hours;
};

/* clang-format off */
#define STORE_BODY(must)                                                                           \
    F_STR(struct store_body, name, "name", (must) | ONE_LINE, 1, 60, "name"),                      \
    F_STR(struct store_body, category, "category", (must) | PATTERN_SLUG, 1, 30, "cuisine"),       \
    F_STR(struct store_body, description, "description", 0, 0, 2000, "description"),               \
    F_STR(struct store_body, phone, "phone", (must) | PATTERN_PHONE, 9, 20, "phone"),              \
    F_STR(struct store_body, address, "address", (must) | ONE_LINE, 1, 200, "address"),            \
    F_STR(struct store_body, zip_code, "zipCode", (must) | PATTERN_ZIP, 5, 5, "postal code"),      \
    F_STR(struct store_body, region_code, "regionCode", ONE_LINE, 0, 10, "region"),                \
    F_STR(struct store_body, business_number, "businessNumber", ONE_LINE, 0, 12, "as registered"), \
    F_STR(struct store_body, notice, "notice", 0, 0, 1000, "notice"),                              \
    F_STR(struct store_body, origin, "origin", 0, 0, 2000, "origin of ingredients"),               \
    F_OPT_DECIMAL(struct store_body, latitude, "latitude", must, 6, -90000000, 90000000, "north"), \
    F_OPT_DECIMAL(struct store_body, longitude, "longitude", must, 6, -180000000, 180000000, "east"), \
    F_OPT_INT(struct store_body, radius_m, "radiusM", 0, 100, RADIUS_MAX_M, "delivers as far; 3000"), \
    F_OPT_INT(struct store_body, minimum_order_won, "minimumOrderWon", 0, 0, 10000000, "minimum"), \
    F_OPT_INT(struct store_body, delivery_fee_won, "deliveryFeeWon", 0, 0, 1000000, "fee"),        \
    F_OPT_INT(struct store_body, cook_minutes, "cookMinutes", 0, 1, 180, "usual cooking time; 20")
/* clang-format on */

const struct field store_new_fields[] = {
    STORE_BODY(REQUIRED),
    F_LIST(struct store_body, hours, "hours", 0, 0, WEEKDAYS, hours_fields, "opening hours"),
    F_END(struct store_body),
};
const struct field store_patch_fields[] = {STORE_BODY(0), F_END(struct store_body)};

static enum err check_category(struct ctx *cx, struct str category)
{
    int64_t found = 0;

    if (!category.p)
        return ERR_OK;
    TRY(db_int_of(cx, &found, "select count(*) from categories where category = $1",
                  ARGS(db_str(category))));
    if (found)
        return ERR_OK;
    ctx_field_error(cx, STR("category"), STR("UNKNOWN"), "is not one of /v1/categories");
    return fail(cx, ERR_INVALID, "unknown category");
}

static struct db_value text(struct str s)
{
    return db_str(s.p ? s : STR(""));
}

static int64_t or_default(bool has, int64_t v, int64_t otherwise)
{
    return has ? v : otherwise;
}

enum err owner_store_create(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct store_body *in = rq->body;
    struct uuid id = ctx_uuid(cx);
    int64_t now = ctx_now(cx);

    TRY(check_category(cx, in->category));
    TRY(db_begin(cx));
    TRY(db_exec(
        cx,
        "insert into stores (store_id, owner_id, name, category, description, phone, address,"
        " zip_code, region_code, business_number, notice, origin, latitude, longitude,"
        " radius_m, minimum_order_won, delivery_fee_won, cook_minutes, search_text,"
        " created_at, created_rank) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
        " $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
        ARGS(db_uuid(id), db_uuid(cx->caller.user_id), db_str(in->name), db_str(in->category),
             text(in->description), db_str(in->phone), db_str(in->address), db_str(in->zip_code),
             text(in->region_code), text(in->business_number), text(in->notice), text(in->origin),
             db_int(in->latitude), db_int(in->longitude),
             db_int(or_default(in->has_radius_m, in->radius_m, 3000)),
             db_int(or_default(in->has_minimum_order_won, in->minimum_order_won, 0)),
             db_int(or_default(in->has_delivery_fee_won, in->delivery_fee_won, 0)),
             db_int(or_default(in->has_cook_minutes, in->cook_minutes, 20)),
             db_str(search_text(cx, in->name)), db_int(now), db_int(-now))));
    TRY(hours_replace(cx, id, in->hours));
    TRY(menu_announce(cx, id));
    TRY(store_commit(cx, rp, id));
    rp->status = 201;
    reply_header(cx, rp, STR("Location"), "/v1/owner/stores/%s", ctx_uuid_text(cx, id));
    return ERR_OK;
}

struct owner_list_query {
    struct page page;
};
const struct field owner_list_query_fields[] = {
    PAGE_FIELDS(struct owner_list_query, page),
    F_END(struct owner_list_query),
};

/* Own stores and those one is staff of, newest first. */
enum err owner_store_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct owner_list_query *q = rq->query;
    struct list rows = {NULL, 0};
    struct str next = STR_NONE;
    int64_t place = INT64_MIN;
    struct uuid after = UUID_NIL;

    if (q->page.cursor.p)
        TRY(page_after(cx, &q->page, &place, &after));
    TRY(db_all(cx, store_row_fields, &rows,
               "select " STORE_COLUMNS ", s.created_rank as place from stores s"
               " where s.deleted_at is null and (s.owner_id = $1 or s.store_id in"
               " (select store_id from store_staff where user_id = $1))"
               " and (s.created_rank, s.store_id) > ($2, $3)"
               " order by s.created_rank, s.store_id limit $4",
               ARGS(db_uuid(cx->caller.user_id), db_int(place), db_uuid(after),
                    db_int(page_limit(&q->page) + 1))));
    if (rows.n > (size_t)page_limit(&q->page)) {
        rows.n = (size_t)page_limit(&q->page);
        const struct store *last = LIST_AT(struct store, rows, rows.n - 1);
        next = page_cursor(cx, last->place, last->store_id);
    }
    for (size_t i = 0; i < rows.n; i++) {
        struct store *s = LIST_AT(struct store, rows, i);
        TRY(store_load(cx, s->store_id, s));
        store_show(cx, s);
    }
    return reply_list(cx, rq, rp, store_owner_fields, rows, next);
}

enum err owner_store_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return reply_store(cx, rp, 200, rq->id[0]);
}

enum err owner_store_patch(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct store_body *in = rq->body;

    TRY(check_category(cx, in->category));
    TRY(db_begin(cx));
    TRY(store_expect(cx, rq));
    TRY(db_exec(cx,
                "update stores set name = coalesce($2, name), category = coalesce($3, category),"
                " description = coalesce($4, description), phone = coalesce($5, phone),"
                " address = coalesce($6, address), zip_code = coalesce($7, zip_code),"
                " region_code = coalesce($8, region_code),"
                " business_number = coalesce($9, business_number),"
                " notice = coalesce($10, notice), origin = coalesce($11, origin),"
                " latitude = coalesce($12, latitude), longitude = coalesce($13, longitude),"
                " radius_m = coalesce($14, radius_m),"
                " minimum_order_won = coalesce($15, minimum_order_won),"
                " delivery_fee_won = coalesce($16, delivery_fee_won),"
                " cook_minutes = coalesce($17, cook_minutes),"
                " search_text = coalesce($18, search_text), version = version + 1"
                " where store_id = $1",
                ARGS(db_uuid(rq->id[0]), db_str(in->name), db_str(in->category),
                     db_str(in->description), db_str(in->phone), db_str(in->address),
                     db_str(in->zip_code), db_str(in->region_code), db_str(in->business_number),
                     db_str(in->notice), db_str(in->origin),
                     db_opt_int(in->has_latitude, in->latitude),
                     db_opt_int(in->has_longitude, in->longitude),
                     db_opt_int(in->has_radius_m, in->radius_m),
                     db_opt_int(in->has_minimum_order_won, in->minimum_order_won),
                     db_opt_int(in->has_delivery_fee_won, in->delivery_fee_won),
                     db_opt_int(in->has_cook_minutes, in->cook_minutes),
                     db_str(in->name.p ? search_text(cx, in->name) : STR_NONE))));
    return store_commit(cx, rp, rq->id[0]);
}

enum err owner_store_delete(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    TRY(db_begin(cx));
    TRY(store_expect(cx, rq));
    TRY(db_exec(cx,
                "update stores set deleted_at = $2, version = version + 1"
                " where store_id = $1",
                ARGS(db_uuid(rq->id[0]), db_int(ctx_now(cx)))));
    TRY(store_announce(cx, rq->id[0]));
    TRY(menu_commit(cx, NULL, rq->id[0])); /* its menu answers 410 from now on */
    return reply_none(cx, rp, 204);
}
