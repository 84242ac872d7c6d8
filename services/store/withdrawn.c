/* withdrawn.c -- who has withdrawn: their stores close for good, and no store counts them as staff.
 */
#include "store/stock.h"

struct account_gone {
    struct uuid user_id;
};
const struct field account_gone_store_fields[] = {
    F_UUID(struct account_gone, user_id, "userId", REQUIRED, "who has withdrawn"),
    F_END(struct account_gone),
};

struct place {
    struct uuid store_id;
};
static const struct field place_fields[] = {
    F_UUID(struct place, store_id, "storeId", 0, "where they were"),
    F_END(struct place),
};

/* Nobody could accept what is ordered there, nor close it: nobody can sign in as its owner. */
enum err store_on_withdrawn(struct ctx *cx, const struct event *e, const void *data)
{
    const struct account_gone *gone = data;
    struct list owned = {NULL, 0}, served = {NULL, 0};

    (void)e;
    TRY(db_all(cx, place_fields, &owned,
               "update stores set deleted_at = $2, version = version + 1"
               " where owner_id = $1 and deleted_at is null returning store_id",
               ARGS(db_uuid(gone->user_id), db_int(ctx_now(cx)))));
    for (size_t i = 0; i < owned.n; i++)
        TRY(store_announce(cx, LIST_AT(struct place, owned, i)->store_id));
    TRY(db_all(cx, place_fields, &served,
               "delete from store_staff where user_id = $1 returning store_id",
               ARGS(db_uuid(gone->user_id))));
    for (size_t i = 0; i < served.n; i++)
        TRY(staff_announce(cx, LIST_AT(struct place, served, i)->store_id));
    return ERR_OK;
}
