/*
 * account.c -- the account as other services and operators see it: profile, withdrawal, ban.
 *
 * Name, e-mail and birth date live here only. Events carry ids; the user service reads and changes
 * the profile over the internal routes below.
 */
#include "auth/auth.h"

const char *const account_roles[] = {"customer", "owner", "staff", "admin", NULL};

enum role account_role(int index)
{
    return (enum role)(CUSTOMER << index);
}

const struct field account_row_fields[] = {
    F_UUID(struct account, account_id, "userId", 0, ""),
    F_STR(struct account, username, "username", 0, 0, 64, ""),
    F_STR(struct account, email, "email", 0, 0, 254, ""),
    F_STR(struct account, password_hash, "passwordHash", SECRET, 0, 128, ""),
    F_STR(struct account, name, "name", 0, 0, 30, ""),
    F_STR(struct account, birth_date, "birthDate", 0, 0, 10, ""),
    F_ENUM(struct account, role, "role", 0, account_roles, ""),
    F_INT(struct account, version, "version", 0, 1, INT64_MAX, ""),
    F_TIME(struct account, created_at, "createdAt", 0, ""),
    F_TIME(struct account, banned_at, "bannedAt", 0, ""),
    F_TIME(struct account, withdrawn_at, "withdrawnAt", 0, ""),
    F_STR(struct account, ban_reason, "banReason", 0, 0, 500, ""),
    F_END(struct account),
};

/* What the internal route tells. */
const struct field account_fields[] = {
    F_UUID(struct account, account_id, "userId", REQUIRED, "account id"),
    F_STR(struct account, username, "username", REQUIRED, 1, 64, "login name"),
    F_STR(struct account, name, "name", REQUIRED, 1, 30, "display name"),
    F_STR(struct account, email, "email", REQUIRED, 3, 254, "e-mail address"),
    F_STR(struct account, birth_date, "birthDate", NULLABLE, 10, 10, "day of birth"),
    F_ENUM(struct account, role, "role", REQUIRED, account_roles, "what the user is"),
    F_INT(struct account, version, "version", REQUIRED, 1, INT64_MAX, "rises with every change"),
    F_TIME(struct account, created_at, "createdAt", REQUIRED, "signed up"),
    F_END(struct account),
};

struct account_patch {
    struct str name, email, birth_date;
    int64_t version;
    bool has_version;
};

const struct field account_patch_fields[] = {
    F_STR(struct account_patch, name, "name", ONE_LINE, 1, 30, "display name"),
    F_STR(struct account_patch, email, "email", PATTERN_EMAIL, 3, 254, "e-mail address"),
    F_DATE(struct account_patch, birth_date, "birthDate", 0, "day of birth"),
    F_OPT_INT(struct account_patch, version, "version", 0, 1, INT64_MAX,
              "change this version only"),
    F_END(struct account_patch),
};

struct account_list_query {
    struct page page;
    struct str username;
};

const struct field account_list_query_fields[] = {
    PAGE_FIELDS(struct account_list_query, page),
    F_STR(struct account_list_query, username, "username", PATTERN_SLUG, 1, 20, "exactly this one"),
    F_END(struct account_list_query),
};

const struct field account_list_fields[] = {
    F_UUID(struct account, account_id, "userId", REQUIRED, "account id"),
    F_STR(struct account, username, "username", REQUIRED, 1, 64, "login name"),
    F_STR(struct account, name, "name", REQUIRED, 0, 30, "display name"),
    F_ENUM(struct account, role, "role", REQUIRED, account_roles, "what the user is"),
    F_TIME(struct account, created_at, "createdAt", REQUIRED, "signed up"),
    F_TIME(struct account, banned_at, "bannedAt", NULLABLE, "banned since"),
    F_STR(struct account, ban_reason, "banReason", NULLABLE, 0, 500, "why"),
    F_TIME(struct account, withdrawn_at, "withdrawnAt", NULLABLE, "withdrawn since"),
    F_END(struct account),
};

struct ban {
    struct str reason;
};

const struct field ban_fields[] = {
    F_STR(struct ban, reason, "reason", REQUIRED, 1, 500, "for the audit log"),
    F_END(struct ban),
};

struct account_event {
    struct uuid user_id;
};

static const struct field account_event_fields[] = {
    F_UUID(struct account_event, user_id, "userId", REQUIRED, "the account"),
    F_END(struct account_event),
};

enum err account_get(struct ctx *cx, struct uuid account_id, struct account *ret)
{
    return db_one(cx, account_row_fields, ret,
                  "select " ACCOUNT_COLUMNS " from accounts "
                  "where account_id = $1 and withdrawn_at is null",
                  ARGS(db_uuid(account_id)));
}

enum err account_read(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct account account;

    TRY(account_get(cx, rq->id[0], &account));
    return reply_data(cx, rp, 200, account_fields, &account);
}

enum err account_patch(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct account_patch *in = rq->body;
    struct str email = in->email.p != NULL ? auth_lower(cx, in->email) : STR_NONE;
    struct account account;
    int64_t rows, taken = 0;

    TRY(db_begin(cx));
    TRY(account_get(cx, rq->id[0], &account));
    if (email.p != NULL)
        TRY(db_int_of(cx, &taken,
                      "select count(*) from accounts where email = $1 and account_id <> $2",
                      ARGS(db_str(email), db_uuid(rq->id[0]))));
    if (taken > 0)
        return fail(cx, ERR_EMAIL_TAKEN, "profile change");
    enum err e =
        db_change(cx, &rows,
                  "update accounts set name = coalesce($2, name), "
                  "email = coalesce($3, email), birth_date = coalesce($4, birth_date), "
                  "version = version + 1, updated_at = $5 "
                  "where account_id = $1 and version = coalesce($6, version)",
                  ARGS(db_uuid(rq->id[0]), db_str(in->name), db_str(email), db_str(in->birth_date),
                       db_int(ctx_now(cx)), db_opt_int(in->has_version, in->version)));
    if (e == ERR_DUPLICATE)
        return fail(cx, ERR_EMAIL_TAKEN, "profile change, at the same moment");
    TRY(e);
    if (rows == 0)
        return fail(cx, ERR_PRECONDITION, "version %" PRId64 " is %" PRId64, in->version,
                    account.version);
    TRY(account_get(cx, rq->id[0], &account));
    TRY(db_commit(cx));
    return reply_data(cx, rp, 200, account_fields, &account);
}

/* What identifies the person is overwritten; the row stays so that ids in orders keep meaning
 * somebody. */
enum err account_withdraw(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct account_event event = {rq->id[0]};
    struct list ended = {NULL, 0};
    const char *id = ctx_uuid_text(cx, rq->id[0]);
    int64_t rows;

    TRY(db_begin(cx));
    TRY(db_change(cx, &rows,
                  "update accounts set username = $2, email = $2, password_hash = '', name = '', "
                  "birth_date = null, ban_reason = null, withdrawn_at = $3, updated_at = $3, "
                  "version = version + 1 where account_id = $1 and withdrawn_at is null",
                  ARGS(db_uuid(rq->id[0]), db_str(arena_printf(cx->arena, "withdrawn:%s", id)),
                       db_int(ctx_now(cx)))));
    if (rows > 0) { /* again is fine: the caller may not have heard our answer */
        TRY(sessions_end(cx, rq->id[0], UUID_NIL, &ended));
        TRY(outbox_append(cx, "auth.account.withdrawn", rq->id[0], account_event_fields, &event));
    }
    TRY(db_commit(cx));
    TRY(sessions_forget(cx, ended));
    return reply_none(cx, rp, 204);
}

/* By its name an account is found by the index of names, however many there are. */
#define LIST_SQL(more)                                                                             \
    "select account_id, username, name, role, created_at, banned_at, ban_reason, withdrawn_at"     \
    " from accounts where (created_at, account_id) < ($1, $2)" more                                \
    " order by created_at desc, account_id desc limit $3"

enum err account_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct account_list_query *q = rq->query;
    int64_t before, limit = page_limit(&q->page);
    struct str next = STR_NONE;
    struct list rows;
    struct uuid id;

    TRY(page_after(cx, &q->page, &before, &id));
    const struct db_value v[] = {db_int(before), db_uuid(id), db_int(limit + 1),
                                 db_str(q->username)};
    TRY(db_all(cx, account_row_fields, &rows,
               q->username.p ? LIST_SQL(" and username = $4") : LIST_SQL(""),
               (struct db_args){v, q->username.p ? COUNT_OF(v) : COUNT_OF(v) - 1}));
    if ((int64_t)rows.n > limit) {
        rows.n = (size_t)limit;
        const struct account *last = LIST_AT(struct account, rows, rows.n - 1);
        next = page_cursor(cx, last->created_at, last->account_id);
    }
    return reply_list(cx, rq, rp, account_list_fields, rows, next);
}

static enum err set_ban(struct ctx *cx, const struct request *rq, struct reply *rp, bool banned)
{
    const struct ban *in = rq->body;
    struct account_event event = {rq->id[0]};
    struct list ended = {NULL, 0};
    struct account account;

    TRY(db_begin(cx));
    TRY(account_get(cx, rq->id[0], &account));
    if (account_role(account.role) == ADMIN)
        return fail(cx, ERR_FORBIDDEN, "an operator is not banned here");
    if (banned != (account.banned_at != 0)) {
        TRY(db_exec(cx,
                    "update accounts set banned_at = $2, ban_reason = $3, version = version + 1, "
                    "updated_at = $4 where account_id = $1",
                    ARGS(db_uuid(rq->id[0]), db_opt_int(banned, ctx_now(cx)), db_str(in->reason),
                         db_int(ctx_now(cx)))));
        TRY(outbox_append(cx, banned ? "auth.account.banned" : "auth.account.unbanned", rq->id[0],
                          account_event_fields, &event));
    }
    if (banned)
        TRY(sessions_end(cx, rq->id[0], UUID_NIL, &ended));
    TRY(db_commit(cx));
    TRY(sessions_forget(cx, ended));
    return reply_none(cx, rp, 204);
}

enum err account_ban(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return set_ban(cx, rq, rp, true);
}

enum err account_unban(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return set_ban(cx, rq, rp, false);
}
