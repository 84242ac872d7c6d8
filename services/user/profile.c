/*
 * profile.c -- "me": read, change, take along, leave.
 *
 * Name, e-mail and birth date are kept by the auth service; this file is their public face.
 * Withdrawal is decided there too: our own rows follow at once here, and by event if this call
 * should die half way.
 */
#include "service/call.h"
#include "user/user.h"

static const char *const roles[] = {"customer", "owner", "staff", "admin", NULL};

const struct field me_fields[] = {
    F_UUID(struct me, user_id, "userId", REQUIRED, "account id"),
    F_STR(struct me, username, "username", REQUIRED, 1, 64, "login name"),
    F_STR(struct me, name, "name", REQUIRED, 1, 30, "display name"),
    F_STR(struct me, email, "email", REQUIRED, 3, 254, "e-mail address"),
    F_STR(struct me, birth_date, "birthDate", NULLABLE, 10, 10, "day of birth"),
    F_ENUM(struct me, role, "role", REQUIRED, roles, "what the user is"),
    F_INT(struct me, version, "version", REQUIRED, 1, INT64_MAX, "rises with every change"),
    F_TIME(struct me, created_at, "createdAt", REQUIRED, "signed up"),
    F_END(struct me),
};

struct me_patch {
    struct str name, email, birth_date;
    int64_t version;
    bool has_version;
};

const struct field me_patch_fields[] = {
    F_STR(struct me_patch, name, "name", ONE_LINE, 1, 30, "display name"),
    F_STR(struct me_patch, email, "email", PATTERN_EMAIL, 3, 254, "e-mail address"),
    F_DATE(struct me_patch, birth_date, "birthDate", 0, "day of birth"),
    F_END(struct me_patch),
};

/* To the auth service: the same, with the version of If-Match. */
static const struct field account_patch_fields[] = {
    F_STR(struct me_patch, name, "name", 0, 1, 30, "display name"),
    F_STR(struct me_patch, email, "email", 0, 3, 254, "e-mail address"),
    F_DATE(struct me_patch, birth_date, "birthDate", 0, "day of birth"),
    F_OPT_INT(struct me_patch, version, "version", 0, 1, INT64_MAX, "change this version only"),
    F_END(struct me_patch),
};

struct account_gone {
    struct uuid user_id;
};

const struct field account_gone_fields[] = {
    F_UUID(struct account_gone, user_id, "userId", REQUIRED, "who has withdrawn"),
    F_END(struct account_gone),
};

static const char *account_path(struct ctx *cx)
{
    return arena_cstr(cx->arena, arena_printf(cx->arena, "/internal/v1/accounts/%s",
                                              ctx_uuid_text(cx, cx->caller.user_id)));
}

/* A token may outlive its account by seconds: then the caller is nobody any more. */
enum err me_load(struct ctx *cx, struct me *ret)
{
    enum err e = call_service(cx, "auth", HTTP_GET, account_path(cx), NULL, NULL, me_fields, ret);
    return e == ERR_NOT_FOUND ? fail(cx, ERR_UNAUTHENTICATED, "the account is gone") : e;
}

enum err me_read(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct me me;

    (void)rq;
    TRY(me_load(cx, &me));
    reply_version(cx, rp, me.version);
    return reply_data(cx, rp, 200, me_fields, &me);
}

enum err me_patch(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct me_patch patch = *(const struct me_patch *)rq->body;
    struct me me;

    if (patch.birth_date.p && !date_is_birthday(patch.birth_date, ctx_now(cx))) {
        ctx_field_error(cx, STR("birthDate"), STR("RANGE"), "not a day somebody alive was born on");
        return fail(cx, ERR_INVALID, "birth date");
    }
    if (rq->head && http_field(rq->head, STR("If-Match")).p) {
        TRY(me_load(cx, &me));
        TRY(request_expects(cx, rq, 'v', me.version));
        patch.version = me.version; /* auth looks again: it may have changed meanwhile */
        patch.has_version = true;
    }
    TRY(call_service(cx, "auth", HTTP_PATCH, account_path(cx), account_patch_fields, &patch,
                     me_fields, &me));
    reply_version(cx, rp, me.version);
    return reply_data(cx, rp, 200, me_fields, &me);
}

static enum err erase(struct ctx *cx, struct uuid user_id)
{
    TRY(db_exec(cx, "delete from favorites where user_id = $1", ARGS(db_uuid(user_id))));
    TRY(db_exec(cx, "delete from addresses where user_id = $1", ARGS(db_uuid(user_id))));
    return db_exec(cx, "delete from address_books where user_id = $1", ARGS(db_uuid(user_id)));
}

enum err user_on_withdrawn(struct ctx *cx, const struct event *e, const void *data)
{
    const struct account_gone *gone = data;

    (void)e;
    return erase(cx, gone->user_id);
}

enum err me_withdraw(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    (void)rq;
    TRY(call_service(cx, "auth", HTTP_DELETE, account_path(cx), NULL, NULL, NULL, NULL));
    TRY(db_begin(cx));
    TRY(erase(cx, cx->caller.user_id));
    TRY(db_commit(cx));
    return reply_none(cx, rp, 204);
}
