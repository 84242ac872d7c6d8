/* signup.c -- a new account: every cheap check first, then the expensive hash, then one statement
 * that decides. */
#include "auth/auth.h"
#include "cache/cache.h"
#include "security/password.h"

#define SIGNUPS_PER_MINUTE 600 /* per client address; the hashing pool is the real limit */

struct signup {
    struct str username, password, name, email, birth_date;
    int role;
};

static const char *const signup_roles[] = {"customer", "owner", NULL};

const struct field signup_fields[] = {
    F_STR(struct signup, username, "username", REQUIRED | PATTERN_SLUG, 4, 20, "login name"),
    F_STR(struct signup, password, "password", REQUIRED | SECRET, 10, 128, "not a common one"),
    F_STR(struct signup, name, "name", REQUIRED | ONE_LINE, 1, 30, "what to call you"),
    F_STR(struct signup, email, "email", REQUIRED | PATTERN_EMAIL, 3, 254, "e-mail address"),
    F_DATE(struct signup, birth_date, "birthDate", 0, "day of birth"),
    F_ENUM(struct signup, role, "role", REQUIRED, signup_roles, "customer or owner"),
    F_END(struct signup),
};

struct signup_reply {
    struct uuid user_id;
    struct str username;
    int role;
};

const struct field signup_reply_fields[] = {
    F_UUID(struct signup_reply, user_id, "userId", REQUIRED, "the account's id"),
    F_STR(struct signup_reply, username, "username", REQUIRED, 4, 20, "login name"),
    F_ENUM(struct signup_reply, role, "role", REQUIRED, signup_roles, "customer or owner"),
    F_END(struct signup_reply),
};

struct account_created {
    struct uuid user_id;
    int role;
};

static const struct field account_created_fields[] = {
    F_UUID(struct account_created, user_id, "userId", REQUIRED, "the new account"),
    F_ENUM(struct account_created, role, "role", REQUIRED, signup_roles, "customer or owner"),
    F_END(struct account_created),
};

struct str auth_lower(struct ctx *cx, struct str s)
{
    char *out = arena_alloc(cx->arena, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        out[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
    out[s.n] = '\0';
    return (struct str){out, s.n};
}

static enum err check_free(struct ctx *cx, struct str username, struct str email)
{
    int64_t n;

    TRY(db_int_of(cx, &n, "select count(*) from accounts where username = $1",
                  ARGS(db_str(username))));
    if (n > 0)
        return fail(cx, ERR_USERNAME_TAKEN, "signup");
    TRY(db_int_of(cx, &n, "select count(*) from accounts where email = $1", ARGS(db_str(email))));
    return n > 0 ? fail(cx, ERR_EMAIL_TAKEN, "signup") : ERR_OK;
}

static enum err check(struct ctx *cx, const struct request *rq, const struct signup *in)
{
    struct cache *cache = platform_cache(svc_platform(cx->svc));
    struct str key = arena_printf(cx->arena, "signup:%.*s", STR_ARG(rq->peer));
    int64_t retry_ms;
    int left;

    if (in->birth_date.p != NULL && !date_is_birthday(in->birth_date, ctx_now(cx))) {
        ctx_field_error(cx, STR("birthDate"), STR("RANGE"), "not a day somebody alive was born on");
        return fail(cx, ERR_INVALID, "birth date");
    }
    if (password_is_common(in->password, in->username)) {
        ctx_field_error(cx, STR("password"), STR("COMMON"), "too easy to guess");
        return fail(cx, ERR_PASSWORD_COMMON, "signup");
    }
    if (cache_take(cx, cache, key, SIGNUPS_PER_MINUTE, 60 * 1000, &left, &retry_ms))
        return ERR_OK;
    cx->story.retry_after_s = (retry_ms + 999) / 1000;
    return fail(cx, ERR_RATE_LIMITED, "signups of one address");
}

enum err auth_signup(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct signup *in = rq->body;
    struct signup_reply out = {ctx_uuid(cx), in->username, in->role};
    struct account_created event = {out.user_id, in->role};
    struct str email = auth_lower(cx, in->email);
    char hash[PASSWORD_TEXT];
    int64_t rows;

    TRY(check(cx, rq, in));
    TRY(check_free(cx, in->username, email)); /* spares the hash; the insert decides */
    TRY(password_hash(cx, in->password, hash));
    TRY(db_begin(cx));
    TRY(db_change(
        cx, &rows,
        "insert into accounts (account_id, username, email, password_hash, name, birth_date, "
        "role, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
        "on conflict do nothing",
        ARGS(db_uuid(out.user_id), db_str(in->username), db_str(email), db_str(str_from(hash)),
             db_str(in->name), db_str(in->birth_date), db_str(str_from(signup_roles[in->role])),
             db_int(ctx_now(cx)), db_int(ctx_now(cx)))));
    if (rows == 0) {
        TRY(check_free(cx, in->username, email));
        return fail(cx, ERR_USERNAME_TAKEN, "signup, at the same moment");
    }
    TRY(outbox_append(cx, "auth.account.created", out.user_id, account_created_fields, &event));
    TRY(db_commit(cx));
    reply_header(cx, rp, STR("Location"), "/v1/me");
    return reply_data(cx, rp, 201, signup_reply_fields, &out);
}
