/* staff.c -- who else works in a store, as other services need to know it. */
#include "flow/outbox.h"
#include "store/store.h"

#define STAFF_MAX 100

struct staff_member {
    struct uuid user_id;
    int64_t permissions;
};
static const struct field staff_member_fields[] = {
    F_UUID(struct staff_member, user_id, "userId", REQUIRED, "member"),
    F_INT(struct staff_member, permissions, "permissions", REQUIRED, 0, 15,
          "1 orders, 2 menu, 4 stock, 8 reviews"),
    F_END(struct staff_member),
};

struct staff_changed {
    struct uuid store_id;
    struct list staff;
};
static const struct field staff_changed_fields[] = {
    F_UUID(struct staff_changed, store_id, "storeId", REQUIRED, "store"),
    F_LIST(struct staff_changed, staff, "staff", REQUIRED, 0, STAFF_MAX, staff_member_fields,
           "everybody who works there now"),
    F_END(struct staff_changed),
};

enum err staff_announce(struct ctx *cx, struct uuid store_id)
{
    struct staff_changed s = {.store_id = store_id};

    TRY(db_all(cx, staff_member_fields, &s.staff,
               "select user_id, permissions from store_staff where store_id = $1 order by user_id",
               ARGS(db_uuid(store_id))));
    return outbox_append(cx, "store.staff.changed", store_id, staff_changed_fields, &s);
}
