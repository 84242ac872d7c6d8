/*
 * operators.c -- who is an operator: said on the internal listener, by the command `jumun
 * operator`.
 *
 * Nobody signs up as one. An account that is to be one is made for it: an owner's stores and a
 * customer's orders stay with people.
 */
#include "auth/auth.h"
#include "obs/log.h"

const struct field operator_change_fields[] = {
    F_STR(struct operator_change, username, "username", REQUIRED, 1, 64, "who has signed up"),
    F_BOOL(struct operator_change, is_operator, "isOperator", REQUIRED, "from now on"),
    F_END(struct operator_change),
};

struct role_changed {
    struct uuid user_id;
    int role;
};
static const struct field role_changed_fields[] = {
    F_UUID(struct role_changed, user_id, "userId", REQUIRED, "the account"),
    F_ENUM(struct role_changed, role, "role", REQUIRED, account_roles, "what it is now"),
    F_END(struct role_changed),
};

/* Places in account_roles. */
enum { AT_CUSTOMER = 0, AT_ADMIN = 3 };

static enum err change_role(struct ctx *cx, const struct account *account, int from, int to,
                            struct list *ended)
{
    const struct role_changed event = {account->account_id, to};

    if (account->role == to)
        return ERR_OK;
    if (account->role != from) {
        cx->story.public_detail =
            arena_printf(cx->arena, "the account is of the role %s", account_roles[account->role]);
        return fail(cx, ERR_CONSTRAINT, "not of the role that becomes one");
    }
    TRY(db_exec(cx,
                "update accounts set role = $2, version = version + 1, updated_at = $3"
                " where account_id = $1",
                ARGS(db_uuid(account->account_id), db_str(str_from(account_roles[to])),
                     db_int(ctx_now(cx)))));
    TRY(outbox_append(cx, "auth.account.role_changed", account->account_id, role_changed_fields,
                      &event));
    return sessions_end(cx, account->account_id, UUID_NIL, ended);
}

/* Only who holds the platform's keys: other services have no business with it. */
enum err operator_change(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct operator_change *in = rq->body;
    struct list ended = {NULL, 0};
    struct account account;

    if (!str_eq(cx->caller.service, STR("operator")))
        return fail(cx, ERR_FORBIDDEN, "asked by %.*s", STR_ARG(cx->caller.service));
    TRY(db_begin(cx));
    TRY(db_one(cx, account_row_fields, &account,
               "select " ACCOUNT_COLUMNS " from accounts where username = $1"
               " and withdrawn_at is null",
               ARGS(db_str(auth_lower(cx, in->username)))));
    TRY(in->is_operator ? change_role(cx, &account, AT_CUSTOMER, AT_ADMIN, &ended)
                        : change_role(cx, &account, AT_ADMIN, AT_CUSTOMER, &ended));
    TRY(db_commit(cx));
    TRY(sessions_forget(cx, ended));
    log_event(cx, LOG_WARN, "%.*s is %s operator", STR_ARG(account.username),
              in->is_operator ? "now an" : "no longer an");
    return reply_none(cx, rp, 204);
}
