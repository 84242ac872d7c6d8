/*
 * addresses.c -- where to deliver: at most 20 per user, exactly one of them the default.
 *
 * The caller is the token's user, never a field of the body. Events say that an address changed,
 * not what it is: who needs it (the order service, when an order is placed) asks for it.
 */
#include "user/user.h"

const struct field address_fields[] = {
    F_UUID(struct address, address_id, "addressId", REQUIRED, "address id"),
    F_STR(struct address, label, "label", REQUIRED, 0, 20, "home, office"),
    F_STR(struct address, recipient, "recipient", NULLABLE, 0, 30, "who receives"),
    F_STR(struct address, phone, "phone", NULLABLE, 0, 20, "for the courier"),
    F_STR(struct address, address1, "address1", REQUIRED, 1, 200, "street address"),
    F_STR(struct address, address2, "address2", NULLABLE, 0, 200, "flat, floor"),
    F_STR(struct address, zip_code, "zipCode", REQUIRED, 5, 5, "postal code"),
    F_DECIMAL(struct address, latitude, "latitude", REQUIRED, 7, -900000000, 900000000,
              "degrees north"),
    F_DECIMAL(struct address, longitude, "longitude", REQUIRED, 7, -1800000000, 1800000000,
              "degrees east"),
    F_STR(struct address, region_code, "regionCode", NULLABLE, 0, 20, "administrative region"),
    F_BOOL(struct address, is_default, "isDefault", REQUIRED, "used unless another is named"),
    F_INT(struct address, version, "version", 0, 0, INT64_MAX, "of its ETag, \"v1\""),
    F_TIME(struct address, created_at, "createdAt", REQUIRED, "added"),
    F_TIME(struct address, updated_at, "updatedAt", REQUIRED, "last change"),
    F_END(struct address),
};

/* As read from the database: with what the reply does not show. */
static const struct field address_row_fields[] = {
    F_UUID(struct address, address_id, "addressId", 0, ""),
    F_UUID(struct address, user_id, "userId", 0, ""),
    F_STR(struct address, label, "label", 0, 0, 20, ""),
    F_STR(struct address, recipient, "recipient", 0, 0, 30, ""),
    F_STR(struct address, phone, "phone", 0, 0, 20, ""),
    F_STR(struct address, address1, "address1", 0, 0, 200, ""),
    F_STR(struct address, address2, "address2", 0, 0, 200, ""),
    F_STR(struct address, zip_code, "zipCode", 0, 0, 5, ""),
    F_INT(struct address, latitude, "latitude", 0, INT64_MIN, INT64_MAX, ""),
    F_INT(struct address, longitude, "longitude", 0, INT64_MIN, INT64_MAX, ""),
    F_STR(struct address, region_code, "regionCode", 0, 0, 20, ""),
    F_BOOL(struct address, is_default, "isDefault", 0, ""),
    F_INT(struct address, version, "version", 0, 0, INT64_MAX, ""),
    F_TIME(struct address, created_at, "createdAt", 0, ""),
    F_TIME(struct address, updated_at, "updatedAt", 0, ""),
    F_END(struct address),
};

struct address_in {
    struct str label, recipient, phone, address1, address2, zip_code, region_code;
    int64_t latitude, longitude;
    bool has_latitude, has_longitude, is_default, has_is_default;
};

/* clang-format off */
#define ADDRESS_IN_FIELDS(needed)                                                                              \
    F_STR(struct address_in, label, "label", ONE_LINE, 0, 20, "home, office"),                                 \
    F_STR(struct address_in, recipient, "recipient", ONE_LINE, 1, 30, "who receives"),                         \
    F_STR(struct address_in, phone, "phone", PATTERN_PHONE, 9, 20, "for the courier"),                         \
    F_STR(struct address_in, address1, "address1", (needed) | ONE_LINE, 1, 200, "street address"),             \
    F_STR(struct address_in, address2, "address2", ONE_LINE, 0, 200, "flat, floor"),                           \
    F_STR(struct address_in, zip_code, "zipCode", (needed) | PATTERN_ZIP, 5, 5, "postal code"),                \
    F_OPT_DECIMAL(struct address_in, latitude, "latitude", (needed), 7, -900000000, 900000000, "degrees"),     \
    F_OPT_DECIMAL(struct address_in, longitude, "longitude", (needed), 7, -1800000000, 1800000000, "degrees"), \
    F_STR(struct address_in, region_code, "regionCode", ONE_LINE, 1, 20, "administrative region"),             \
    F_OPT_BOOL(struct address_in, is_default, "isDefault", 0, "make it the default"),                          \
    F_END(struct address_in)
/* clang-format on */

const struct field address_new_fields[] = {ADDRESS_IN_FIELDS(REQUIRED)};
const struct field address_patch_fields[] = {ADDRESS_IN_FIELDS(0)};

struct address_changed {
    struct uuid user_id, address_id;
    bool removed;
};

static const struct field address_changed_fields[] = {
    F_UUID(struct address_changed, user_id, "userId", REQUIRED, "whose"),
    F_UUID(struct address_changed, address_id, "addressId", REQUIRED, "which"),
    F_BOOL(struct address_changed, removed, "removed", REQUIRED, "it is gone"),
    F_END(struct address_changed),
};

static enum err announce(struct ctx *cx, struct uuid address_id, bool removed)
{
    struct address_changed event = {cx->caller.user_id, address_id, removed};
    return outbox_append(cx, "user.address.changed", address_id, address_changed_fields, &event);
}

enum err addresses_of(struct ctx *cx, struct uuid user_id, struct list *ret)
{
    return db_all(cx, address_row_fields, ret,
                  "select " ADDRESS_COLUMNS " from addresses where user_id = $1 "
                  "order by is_default desc, created_at desc, address_id desc limit 20",
                  ARGS(db_uuid(user_id)));
}

/* Somebody else's address is as unknown as one that never was. */
static enum err address_of(struct ctx *cx, struct uuid user_id, struct uuid id, struct address *ret)
{
    return db_one(cx, address_row_fields, ret,
                  "select " ADDRESS_COLUMNS
                  " from addresses where address_id = $1 and user_id = $2",
                  ARGS(db_uuid(id), db_uuid(user_id)));
}

/* The caller's book row is locked until the commit: changes of one user's addresses go one by one.
 */
static enum err lock_book(struct ctx *cx)
{
    int64_t rows;

    TRY(db_change(cx, &rows, "update address_books set addresses = addresses where user_id = $1",
                  ARGS(db_uuid(cx->caller.user_id))));
    return rows == 0 ? fail(cx, ERR_NOT_FOUND, "no addresses at all") : ERR_OK;
}

/* The old default steps back first: the index allows one at any moment. */
static enum err set_default(struct ctx *cx, struct uuid address_id)
{
    TRY(db_exec(cx,
                "update addresses set is_default = 0, version = version + 1, updated_at = $2 "
                "where user_id = $1 and is_default = 1",
                ARGS(db_uuid(cx->caller.user_id), db_int(ctx_now(cx)))));
    return db_exec(cx,
                   "update addresses set is_default = 1, version = version + 1, updated_at = $2 "
                   "where address_id = $1",
                   ARGS(db_uuid(address_id), db_int(ctx_now(cx))));
}

enum err address_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct list rows;

    TRY(addresses_of(cx, cx->caller.user_id, &rows));
    return reply_list(cx, rq, rp, address_fields, rows, STR_NONE);
}

enum err address_add(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct address_in *in = rq->body;
    struct uuid id = ctx_uuid(cx);
    struct address out;
    int64_t n = 0, now = ctx_now(cx);

    TRY(db_begin(cx));
    enum err e = db_int_of(cx, &n,
                           "insert into address_books (user_id, addresses) values ($1, 1) "
                           "on conflict (user_id) do update set addresses = "
                           "address_books.addresses + 1 where address_books.addresses < $2 "
                           "returning addresses",
                           ARGS(db_uuid(cx->caller.user_id), db_int(ADDRESSES_MAX)));
    if (e == ERR_NOT_FOUND)
        return fail(cx, ERR_ADDRESS_LIMIT, "%d addresses", ADDRESSES_MAX);
    TRY(e);
    TRY(db_exec(cx,
                "insert into addresses (address_id, user_id, label, recipient, phone, address1, "
                "address2, zip_code, latitude, longitude, region_code, is_default, created_at, "
                "updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12, $13)",
                ARGS(db_uuid(id), db_uuid(cx->caller.user_id),
                     db_str(in->label.p != NULL ? in->label : STR("")), db_str(in->recipient),
                     db_str(in->phone), db_str(in->address1), db_str(in->address2),
                     db_str(in->zip_code), db_int(in->latitude), db_int(in->longitude),
                     db_str(in->region_code), db_int(now), db_int(now))));
    if (n == 1 || (in->has_is_default && in->is_default))
        TRY(set_default(cx, id));
    TRY(announce(cx, id, false));
    TRY(address_of(cx, cx->caller.user_id, id, &out));
    TRY(db_commit(cx));
    reply_version(cx, rp, out.version);
    reply_header(cx, rp, STR("Location"), "/v1/me/addresses/%s", ctx_uuid_text(cx, id));
    return reply_data(cx, rp, 201, address_fields, &out);
}

enum err address_change(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct address_in *in = rq->body;
    struct address now, out;

    TRY(db_begin(cx));
    TRY(lock_book(cx));
    TRY(address_of(cx, cx->caller.user_id, rq->id[0], &now));
    TRY(request_expects(cx, rq, 'v', now.version));
    if (in->has_is_default && !in->is_default && now.is_default) {
        ctx_field_error(cx, STR("isDefault"), STR("LAST"), "make another one the default instead");
        return fail(cx, ERR_INVALID, "the default cannot just stop being it");
    }
    TRY(db_exec(cx,
                "update addresses set label = coalesce($2, label), "
                "recipient = coalesce($3, recipient), phone = coalesce($4, phone), "
                "address1 = coalesce($5, address1), address2 = coalesce($6, address2), "
                "zip_code = coalesce($7, zip_code), latitude = coalesce($8, latitude), "
                "longitude = coalesce($9, longitude), region_code = coalesce($10, region_code), "
                "version = version + 1, updated_at = $11 where address_id = $1",
                ARGS(db_uuid(rq->id[0]), db_str(in->label), db_str(in->recipient),
                     db_str(in->phone), db_str(in->address1), db_str(in->address2),
                     db_str(in->zip_code), db_opt_int(in->has_latitude, in->latitude),
                     db_opt_int(in->has_longitude, in->longitude), db_str(in->region_code),
                     db_int(ctx_now(cx)))));
    if (in->has_is_default && in->is_default && !now.is_default)
        TRY(set_default(cx, rq->id[0]));
    TRY(announce(cx, rq->id[0], false));
    TRY(address_of(cx, cx->caller.user_id, rq->id[0], &out));
    TRY(db_commit(cx));
    reply_version(cx, rp, out.version);
    return reply_data(cx, rp, 200, address_fields, &out);
}

enum err address_make_default(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct address now, out;

    TRY(db_begin(cx));
    TRY(lock_book(cx));
    TRY(address_of(cx, cx->caller.user_id, rq->id[0], &now));
    if (!now.is_default) {
        TRY(set_default(cx, rq->id[0]));
        TRY(announce(cx, rq->id[0], false));
    }
    TRY(address_of(cx, cx->caller.user_id, rq->id[0], &out));
    TRY(db_commit(cx));
    reply_version(cx, rp, out.version);
    return reply_data(cx, rp, 200, address_fields, &out);
}

/* The next default is the one added last. */
enum err address_remove(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct address gone;
    struct list left;

    TRY(db_begin(cx));
    TRY(lock_book(cx));
    TRY(address_of(cx, cx->caller.user_id, rq->id[0], &gone));
    TRY(request_expects(cx, rq, 'v', gone.version));
    TRY(db_exec(cx, "delete from addresses where address_id = $1", ARGS(db_uuid(rq->id[0]))));
    TRY(db_exec(cx, "update address_books set addresses = addresses - 1 where user_id = $1",
                ARGS(db_uuid(cx->caller.user_id))));
    TRY(addresses_of(cx, cx->caller.user_id, &left));
    if (gone.is_default && left.n > 0)
        TRY(set_default(cx, LIST_AT(struct address, left, 0)->address_id));
    TRY(announce(cx, rq->id[0], true));
    TRY(db_commit(cx));
    return reply_none(cx, rp, 204);
}

enum err address_read_internal(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct address out;

    TRY(address_of(cx, rq->id[0], rq->id[1], &out));
    return reply_data(cx, rp, 200, address_fields, &out);
}
