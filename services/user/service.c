/* service.c -- the user service's tables: who may call what, which events it follows. */
#include "migrations_user.h"
#include "user/user.h"

static const struct route routes[] = {
    {HTTP_GET, "/v1/me", SIGNED_IN, me_read, NULL, NULL, me_fields, 0, 200, NULL,
     "One's own profile."},
    {HTTP_PATCH, "/v1/me", SIGNED_IN, me_patch, me_patch_fields, NULL, me_fields, CALLS_OUT, 200,
     NULL, "Changes what is sent; takes If-Match."},
    {HTTP_DELETE, "/v1/me", SIGNED_IN, me_withdraw, NULL, NULL, NULL, CALLS_OUT, 204, NULL,
     "Withdrawal: personal data is erased, orders and money stay without it; own stores close."},
    {HTTP_GET, "/v1/me/export", SIGNED_IN, me_export, NULL, NULL, me_export_fields, CALLS_OUT, 200,
     NULL, "All that is held about the caller as one JSON."},
    {HTTP_GET, "/v1/me/addresses", CUSTOMER, address_list, NULL, NULL, address_fields, LIST, 200,
     NULL, "The default first, then the newest."},
    {HTTP_POST, "/v1/me/addresses", CUSTOMER, address_add, address_new_fields, NULL, address_fields,
     IDEMPOTENT, 201, NULL, "Adds one, at most 20; the first one is the default."},
    {HTTP_PATCH, "/v1/me/addresses/{addressId}", CUSTOMER, address_change, address_patch_fields,
     NULL, address_fields, 0, 200, NULL, "Changes what is sent; takes If-Match."},
    {HTTP_DELETE, "/v1/me/addresses/{addressId}", CUSTOMER, address_remove, NULL, NULL, NULL, 0,
     204, NULL, "Removes it; if it was the default, the newest other one becomes it."},
    {HTTP_PUT, "/v1/me/addresses/{addressId}/default", CUSTOMER, address_make_default, NULL, NULL,
     address_fields, 0, 200, NULL, "Makes it the default."},
    {HTTP_GET, "/v1/me/favorites", CUSTOMER, favorite_list, NULL, favorite_query_fields,
     favorite_fields, LIST, 200, NULL, "Newest first."},
    {HTTP_PUT, "/v1/me/favorites/{storeId}", CUSTOMER, favorite_put, NULL, NULL, NULL, CALLS_OUT,
     204, NULL, "Remembers a store."},
    {HTTP_DELETE, "/v1/me/favorites/{storeId}", CUSTOMER, favorite_remove, NULL, NULL, NULL, 0, 204,
     NULL, "Forgets a store."},
    {HTTP_GET, "/internal/v1/users/{userId}/addresses/{addressId}", SERVICE, address_read_internal,
     NULL, NULL, address_fields, INTERNAL, 200, NULL, "An address, for the order that goes there."},
    {0},
};

static const char *const topics[] = {"auth", NULL};

static const struct consumer consumers[] = {
    {"auth.account.withdrawn", user_on_withdrawn, account_gone_fields, "erases what is left here"},
    {0},
};

const struct service user_service = {
    .name = "user",
    .routes = routes,
    .topics = topics,
    .consumers = consumers,
    .migrations = migrations_user,
    .demo = user_demo,
};
