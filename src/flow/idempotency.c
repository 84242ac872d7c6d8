/* idempotency.c -- one key, one effect, one answer. */
#include "flow/idempotency.h"

#include "base/buf.h"

struct key_row {
    struct str fingerprint, content_type, location, etag, body;
    bool is_done;
    int64_t lease_until, status, expires_at;
};

static const struct field key_row_fields[] = {
    F_STR(struct key_row, fingerprint, "fingerprint", 0, 0, 64, "of the request"),
    F_STR(struct key_row, content_type, "contentType", 0, 0, 100, "of the answer"),
    F_STR(struct key_row, location, "location", 0, 0, 1000, "of the answer"),
    F_STR(struct key_row, etag, "etag", 0, 0, 100, "of the answer"),
    F_STR(struct key_row, body, "body", 0, 0, INT32_MAX, "of the answer"),
    F_BOOL(struct key_row, is_done, "isDone", 0, "answered"),
    F_INT(struct key_row, lease_until, "leaseUntil", 0, 0, INT64_MAX, "running until"),
    F_INT(struct key_row, status, "status", 0, 0, 999, "of the answer"),
    F_INT(struct key_row, expires_at, "expiresAt", 0, 0, INT64_MAX, "kept until"),
    F_END(struct key_row),
};

static struct str hex(struct ctx *cx, const unsigned char bytes[32])
{
    static const char digits[] = "0123456789abcdef";
    char *text = arena_alloc(cx->arena, 64);

    for (size_t i = 0; i < 32; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    return (struct str){text, 64};
}

static int64_t lease_of(struct ctx *cx, const struct idempotency *k)
{
    return k->lease_until ? k->lease_until : ctx_now(cx) + IDEMPOTENCY_LEASE_US;
}

/* Takes the key when nobody has it, or when what was kept under it is too old. */
static enum err insert(struct ctx *cx, const struct idempotency *k, int64_t *ret_inserted)
{
    static const char sql[] =
        "insert into idempotency (principal, route, key, fingerprint, is_done, lease_until,"
        " expires_at, lease_holder) values ($1, $2, $3, $4, 0, $5, $6, $8)"
        " on conflict (principal, route, key) do update set fingerprint = excluded.fingerprint,"
        " is_done = 0, lease_until = excluded.lease_until, expires_at = excluded.expires_at,"
        " lease_holder = excluded.lease_holder,"
        " status = null, content_type = null, location = null, etag = null, body = null"
        " where idempotency.expires_at < $7";
    int64_t now = ctx_now(cx);
    struct db_args args =
        ARGS(db_str(k->principal), db_str(k->route), db_str(k->key),
             db_str(hex(cx, k->fingerprint)), db_int(lease_of(cx, k)),
             db_int(now + IDEMPOTENCY_KEEP_US), db_int(now), db_uuid(cx->instance));

    return db_in_transaction(cx) ? db_change(cx, ret_inserted, sql, args)
                                 : db_once_soon(cx, ret_inserted, sql, args);
}

enum err idempotency_take_fresh(struct ctx *cx, const struct idempotency *k, bool *ret_fresh)
{
    int64_t inserted = 0;

    TRY(insert(cx, k, &inserted));
    *ret_fresh = inserted == 1;
    return ERR_OK;
}

enum err idempotency_take(struct ctx *cx, const struct idempotency *k,
                          struct idempotent_answer *ret)
{
    struct key_row row = {0};
    int64_t inserted = 0, now = ctx_now(cx);

    *ret = (struct idempotent_answer){0};
    TRY(insert(cx, k, &inserted));
    if (inserted == 1)
        return ERR_OK;
    TRY(db_one(
        cx, key_row_fields, &row,
        "select fingerprint, content_type, location, etag, body, is_done, lease_until, status,"
        " expires_at from idempotency where principal = $1 and route = $2 and key = $3",
        ARGS(db_str(k->principal), db_str(k->route), db_str(k->key))));
    if (!str_eq(row.fingerprint, hex(cx, k->fingerprint)))
        return fail(cx, ERR_IDEMPOTENCY_KEY_REUSED, "key was used with another body");
    if (row.is_done) {
        *ret = (struct idempotent_answer){true,         row.status, row.content_type,
                                          row.location, row.etag,   row.body};
        return ERR_OK;
    }
    if (row.lease_until > now)
        return fail(cx, ERR_IDEMPOTENCY_KEY_IN_USE, "still running");
    return db_exec(cx,
                   "update idempotency set lease_until = $4, lease_holder = $5"
                   " where principal = $1 and route = $2 and key = $3",
                   ARGS(db_str(k->principal), db_str(k->route), db_str(k->key),
                        db_int(lease_of(cx, k)), db_uuid(cx->instance)));
}

enum err idempotency_store(struct ctx *cx, const struct idempotency *k,
                           const struct idempotent_answer *a)
{
    return db_exec(
        cx,
        "update idempotency set is_done = 1, status = $4, content_type = $5, location = $6,"
        " etag = $7, body = $8 where principal = $1 and route = $2 and key = $3",
        ARGS(db_str(k->principal), db_str(k->route), db_str(k->key), db_int(a->status),
             db_str(a->content_type), db_str(a->location), db_str(a->etag), db_str(a->body)));
}

enum err idempotency_drop(struct ctx *cx, const struct idempotency *k)
{
    return db_exec(
        cx,
        "delete from idempotency where principal = $1 and route = $2 and key = $3 and is_done = 0"
        " and (lease_until = $4 or $4 = 0)",
        ARGS(db_str(k->principal), db_str(k->route), db_str(k->key), db_int(k->lease_until)));
}
