/* export.c -- all that is held about the caller as one JSON: what is here, and what order and
 * payment keep. */
#include "user/user.h"

#include "data/json.h"
#include "service/call.h"
#include "service/reply.h"

/* Of each list; what is more is read where the export says. */
#define LIST_BYTES_MAX (1024 * 1024)

struct me_export {
    struct me profile;
    struct list addresses, favorites;
    struct str orders, payments, orders_cursor, payments_cursor;
    int64_t exported_at;
};
const struct field me_export_fields[] = {
    F_TIME(struct me_export, exported_at, "exportedAt", REQUIRED, "when this was written"),
    F_OBJECT(struct me_export, profile, "profile", REQUIRED, me_fields, "the account"),
    F_LIST(struct me_export, addresses, "addresses", REQUIRED, 0, ADDRESSES_MAX, address_fields,
           "delivery addresses"),
    F_LIST(struct me_export, favorites, "favorites", REQUIRED, 0, FAVORITES_MAX, favorite_fields,
           "favourite stores"),
    F_RAW(struct me_export, orders, "orders", REQUIRED, "as GET /v1/orders shows them"),
    F_STR(struct me_export, orders_cursor, "ordersNextCursor", NULLABLE, 0, 200,
          "where GET /v1/orders goes on; null: these are all"),
    F_RAW(struct me_export, payments, "payments", REQUIRED, "as GET /v1/payments shows them"),
    F_STR(struct me_export, payments_cursor, "paymentsNextCursor", NULLABLE, 0, 200,
          "where GET /v1/payments goes on; null: these are all"),
    F_END(struct me_export),
};

struct their_page {
    struct str items, next_cursor;
};
static const struct field their_page_fields[] = {
    F_RAW(struct their_page, items, "items", REQUIRED, "rows, as the service shows them"),
    F_STR(struct their_page, next_cursor, "nextCursor", NULLABLE, 0, 200, "where it goes on"),
    F_END(struct their_page),
};

static enum err read_page(struct ctx *cx, const char *service, const char *list, struct str cursor,
                          struct their_page *ret)
{
    struct str path = arena_printf(cx->arena, "/internal/v1/customers/%s/%s%s%.*s",
                                   ctx_uuid_text(cx, cx->caller.user_id), list,
                                   cursor.p ? "?cursor=" : "", STR_ARG(cursor));

    return call_service(cx, service, HTTP_GET, arena_cstr(cx->arena, path), NULL, NULL,
                        their_page_fields, ret);
}

/* Pages until there are no more or there is no room; ret_cursor then says where it goes on. */
static enum err collect(struct ctx *cx, const char *service, const char *list, struct str *ret,
                        struct str *ret_cursor)
{
    struct their_page page = {0};
    struct buf b;

    buf_init_arena(&b, cx->arena, 2 * LIST_BYTES_MAX);
    buf_char(&b, '[');
    do {
        TRY(read_page(cx, service, list, page.next_cursor, &page));
        if (page.items.n <= 2) /* [] */
            continue;
        if (b.n > 1)
            buf_char(&b, ',');
        buf_str_add(&b, (struct str){page.items.p + 1, page.items.n - 2});
    } while (page.next_cursor.p && b.n < LIST_BYTES_MAX);
    buf_char(&b, ']');
    if (b.overflow)
        return fail(cx, ERR_TOO_LARGE, "a page of %s is larger than %d bytes", list,
                    LIST_BYTES_MAX);
    *ret = buf_str(&b);
    *ret_cursor = page.next_cursor;
    return ERR_OK;
}

enum err me_export(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct me_export out = {.exported_at = ctx_now(cx)};

    (void)rq;
    TRY(me_load(cx, &out.profile));
    TRY(addresses_of(cx, cx->caller.user_id, &out.addresses));
    TRY(db_all(cx, favorite_fields, &out.favorites,
               "select store_id, created_at from favorites where user_id = $1 "
               "order by created_at desc limit 501",
               ARGS(db_uuid(cx->caller.user_id))));
    TRY(collect(cx, "order", "orders", &out.orders, &out.orders_cursor));
    TRY(collect(cx, "payment", "payments", &out.payments, &out.payments_cursor));
    reply_header(cx, rp, STR("Cache-Control"), "no-store");
    return reply_data(cx, rp, 200, me_export_fields, &out);
}
