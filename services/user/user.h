/* user.h -- what the files of the user service share. */
#pragma once

#include "flow/outbox.h"
#include "service/platform.h"
#include "service/reply.h"
#include "service/service.h"

extern const struct service user_service;
/* Addresses of the demo world; doing it again changes nothing. */
enum err user_demo(struct ctx *cx) MUST_USE;

#define ADDRESSES_MAX 20
#define FAVORITES_MAX 500

struct address {
    struct uuid address_id, user_id;
    struct str label, recipient, phone, address1, address2, zip_code, region_code;
    int64_t latitude, longitude; /* degrees * 10^7 */
    bool is_default;
    int64_t version, created_at, updated_at;
};
extern const struct field address_fields[], address_new_fields[], address_patch_fields[];
#define ADDRESS_COLUMNS                                                                            \
    "address_id, user_id, label, recipient, phone, address1, address2, zip_code, latitude, "       \
    "longitude, region_code, is_default, version, created_at, updated_at"
enum err addresses_of(struct ctx *cx, struct uuid user_id, struct list *ret) MUST_USE;

struct favorite {
    struct uuid store_id;
    int64_t created_at;
};
extern const struct field favorite_fields[], favorite_query_fields[];

struct me {
    struct uuid user_id;
    struct str username, name, email, birth_date;
    int role;
    int64_t version, created_at;
};
/* The caller's account, from the auth service. ERR_UNAUTHENTICATED: it is gone. */
enum err me_load(struct ctx *cx, struct me *ret) MUST_USE;

typedef enum err user_handler(struct ctx *cx, const struct request *rq, struct reply *rp);
user_handler me_read, me_patch, me_withdraw, me_export;
user_handler address_list, address_add, address_change, address_remove, address_make_default;
user_handler address_read_internal;
user_handler favorite_list, favorite_put, favorite_remove;

extern const struct field me_fields[], me_patch_fields[], me_export_fields[];
extern const struct field account_gone_fields[];
/* Inside a transaction: addresses and favourites of one who has withdrawn. */
enum err user_on_withdrawn(struct ctx *cx, const struct event *e, const void *data);
