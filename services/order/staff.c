/* staff.c -- this service's own copy of who works in a store. */
#include "order/order.h"

#define STAFF_MAX 100

struct staff_member {
    struct uuid user_id;
    int64_t permissions;
};
static const struct field staff_member_fields[] = {
    F_UUID(struct staff_member, user_id, "userId", REQUIRED, "member"),
    F_INT(struct staff_member, permissions, "permissions", REQUIRED, 0, INT64_MAX,
          "1 orders, 2 menu, 4 stock, 8 reviews"),
    F_END(struct staff_member),
};

struct staff_changed {
    struct uuid store_id;
    struct list staff;
};
const struct field staff_changed_fields[] = {
    F_UUID(struct staff_changed, store_id, "storeId", REQUIRED, "store"),
    F_LIST(struct staff_changed, staff, "staff", REQUIRED, 0, STAFF_MAX, staff_member_fields,
           "everybody who works there now"),
    F_END(struct staff_changed),
};

/* The event has all of them; who is not named any more is out. */
enum err on_staff_changed(struct ctx *cx, const struct event *e, const void *data)
{
    const struct staff_changed *in = data;

    (void)e;
    TRY(db_exec(cx, "delete from staff_copies where store_id = $1", ARGS(db_uuid(in->store_id))));
    for (size_t i = 0; i < in->staff.n; i++) {
        const struct staff_member *m = LIST_AT(struct staff_member, in->staff, i);
        TRY(db_exec(cx,
                    "insert into staff_copies (store_id, user_id, permissions) values ($1, $2, $3)",
                    ARGS(db_uuid(in->store_id), db_uuid(m->user_id), db_int(m->permissions))));
    }
    return ERR_OK;
}
