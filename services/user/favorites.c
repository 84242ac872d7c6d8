/* favorites.c -- the stores a customer likes; putting one there twice is the same as once. */
#include "service/call.h"
#include "user/user.h"

const struct field favorite_fields[] = {
    F_UUID(struct favorite, store_id, "storeId", REQUIRED, "which store"),
    F_TIME(struct favorite, created_at, "createdAt", REQUIRED, "since"),
    F_END(struct favorite),
};

struct favorite_query {
    struct page page;
};

const struct field favorite_query_fields[] = {
    PAGE_FIELDS(struct favorite_query, page),
    F_END(struct favorite_query),
};

enum err favorite_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct favorite_query *q = rq->query;
    int64_t before, limit = page_limit(&q->page);
    struct str next = STR_NONE;
    struct list rows;
    struct uuid id;

    TRY(page_after(cx, &q->page, &before, &id));
    TRY(db_all(cx, favorite_fields, &rows,
               "select store_id, created_at from favorites where user_id = $1 and "
               "(created_at < $2 or (created_at = $2 and store_id < $3)) "
               "order by created_at desc, store_id desc limit $4",
               ARGS(db_uuid(cx->caller.user_id), db_int(before), db_uuid(id), db_int(limit + 1))));
    if ((int64_t)rows.n > limit) {
        rows.n = (size_t)limit;
        const struct favorite *last = LIST_AT(struct favorite, rows, rows.n - 1);
        next = page_cursor(cx, last->created_at, last->store_id);
    }
    return reply_list(cx, rq, rp, favorite_fields, rows, next);
}

/* Stores are the store service's: it is asked, before the transaction. ERR_NOT_FOUND. */
static enum err check_store(struct ctx *cx, struct uuid store_id)
{
    struct str path =
        arena_printf(cx->arena, "/internal/v1/stores/%s", ctx_uuid_text(cx, store_id));

    return call_service(cx, "store", HTTP_GET, path.p, NULL, NULL, NULL, NULL);
}

enum err favorite_put(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    int64_t n;

    TRY(check_store(cx, rq->id[0]));
    TRY(db_begin(cx));
    TRY(db_int_of(cx, &n, "select count(*) from favorites where user_id = $1 and store_id <> $2",
                  ARGS(db_uuid(cx->caller.user_id), db_uuid(rq->id[0]))));
    if (n >= FAVORITES_MAX)
        return fail(cx, ERR_CONSTRAINT, "%d favourites", FAVORITES_MAX);
    TRY(db_exec(cx,
                "insert into favorites (user_id, store_id, created_at) values ($1, $2, $3) "
                "on conflict (user_id, store_id) do nothing",
                ARGS(db_uuid(cx->caller.user_id), db_uuid(rq->id[0]), db_int(ctx_now(cx)))));
    TRY(db_commit(cx));
    return reply_none(cx, rp, 204);
}

enum err favorite_remove(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    TRY(db_begin(cx));
    TRY(db_exec(cx, "delete from favorites where user_id = $1 and store_id = $2",
                ARGS(db_uuid(cx->caller.user_id), db_uuid(rq->id[0]))));
    TRY(db_commit(cx));
    return reply_none(cx, rp, 204);
}
