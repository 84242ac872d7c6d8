/*
 * login.c -- name and password against tokens, without telling a stranger anything.
 *
 * An unknown user costs the same hash and gets the same answer as a wrong password. Guessing is
 * slowed per account *and* client address, so that nobody can lock somebody else out by guessing
 * badly. Limits are asked before the hash: a refused guess costs a lookup.
 */
#include "auth/auth.h"
#include "base/fault.h"
#include "cache/cache.h"
#include "obs/log.h"
#include "security/password.h"
#include "security/secret.h"
#include "service/call.h"

#define WRONG_MAX 10
#define WRONG_WINDOW_US (15 * US_PER_MIN)
#define WRONG_DELAY_US (2 * US_PER_MIN)
#define MINUTE_MS (60 * 1000)
#define LOGINS_PER_MINUTE 1000 /* per client address, over all accounts */
/* Of one account, with its password: each beyond SESSIONS_MAX ends a session, of which every
 * process must hear. Far more than its people need, far less than would fill their tables. */
#define BEGINS_PER_MINUTE 60
#define BEGINS_PER_HOUR 200

struct login {
    struct str username, password;
};

const struct field login_fields[] = {
    F_STR(struct login, username, "username", REQUIRED | ONE_LINE, 1, 254, "login name or e-mail"),
    F_STR(struct login, password, "password", REQUIRED | SECRET, 1, 128, "password"),
    F_END(struct login),
};

struct cart_merge {
    struct str cart_token;
    struct uuid customer_id;
};

static const struct field cart_merge_fields[] = {
    F_STR(struct cart_merge, cart_token, "cartToken", REQUIRED, 1, 200, "the guest's cart"),
    F_UUID(struct cart_merge, customer_id, "customerId", REQUIRED, "who it belongs to now"),
    F_END(struct cart_merge),
};

struct str guess_subject(struct ctx *cx, struct str name, struct str peer)
{
    char hex[SHA256_TEXT_SIZE];
    struct str text =
        arena_printf(cx->arena, "%zu:%.*s|%.*s", name.n, STR_ARG(name), STR_ARG(peer));
    return arena_copy(cx->arena, sha256_hex(text, hex));
}

enum err guess_allowed(struct ctx *cx, struct str subject)
{
    int64_t until = 0;
    enum err e = db_int_of(cx, &until, "select locked_until from login_attempts where subject = $1",
                           ARGS(db_str(subject)));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (e == ERR_NOT_FOUND || until <= ctx_now(cx))
        return ERR_OK;
    cx->story.retry_after_s = (until - ctx_now(cx)) / US_PER_S + 1;
    return fail(cx, ERR_LOCKED, "for %" PRId64 " s", cx->story.retry_after_s);
}

enum err guess_wrong(struct ctx *cx, struct str subject)
{
    int64_t now = ctx_now(cx);

    TRY(db_begin(cx));
    TRY(db_exec(
        cx,
        "insert into login_attempts (subject, wrong, since, locked_until) "
        "values ($1, 1, $2, 0) on conflict (subject) do update set "
        "wrong = case when login_attempts.since < $3 then 1 else login_attempts.wrong + 1 end, "
        "locked_until = case when login_attempts.since >= $3 and "
        "login_attempts.wrong + 1 >= $4 then $5 else 0 end, "
        "since = case when login_attempts.since < $3 then excluded.since "
        "else login_attempts.since end",
        ARGS(db_str(subject), db_int(now), db_int(now - WRONG_WINDOW_US), db_int(WRONG_MAX),
             db_int(now + WRONG_DELAY_US))));
    TRY(db_commit(cx));
    TRY(db_durable(cx));
    return fail(cx, ERR_CREDENTIALS, "guess");
}

enum err guess_right(struct ctx *cx, struct str subject)
{
    return db_exec(cx, "delete from login_attempts where subject = $1", ARGS(db_str(subject)));
}

static enum err take(struct ctx *cx, struct str key, int limit, int64_t window_ms,
                     const char *whose)
{
    int64_t retry_ms;
    int left;

    if (cache_take(cx, platform_cache(svc_platform(cx->svc)), key, limit, window_ms, &left,
                   &retry_ms))
        return ERR_OK;
    cx->story.retry_after_s = (retry_ms + 999) / 1000;
    return fail(cx, ERR_RATE_LIMITED, "more than %d logins of one %s in %" PRId64 " s", limit,
                whose, window_ms / 1000);
}

/* All attempts, right ones too: a house full of people behind one address fits easily. */
static enum err check_address(struct ctx *cx, struct str peer)
{
    struct str key = arena_printf(cx->arena, "login:%.*s", STR_ARG(peer));

    return take(cx, key, LOGINS_PER_MINUTE, MINUTE_MS, "address");
}

/* Asked when the password was right: nobody else can use up what an account has. */
static enum err check_account(struct ctx *cx, const struct account *account)
{
    const char *id = ctx_uuid_text(cx, account->account_id);
    struct str minute = arena_printf(cx->arena, "begin:m:%s", id);
    struct str hour = arena_printf(cx->arena, "begin:h:%s", id);

    TRY(take(cx, minute, BEGINS_PER_MINUTE, MINUTE_MS, "account"));
    return take(cx, hour, BEGINS_PER_HOUR, 60 * MINUTE_MS, "account");
}

/* Best effort: a cart that stays behind must not keep anybody from logging in. */
static void merge_cart(struct ctx *cx, const struct request *rq, const struct account *account)
{
    struct cart_merge merge = {rq->cart_token, account->account_id};

    if (rq->cart_token.p == NULL || rq->cart_token.n == 0 || rq->cart_token.n > 200 ||
        account_role(account->role) != CUSTOMER)
        return;
    enum err e = call_service(cx, "order", HTTP_POST, "/internal/v1/carts/merge", cart_merge_fields,
                              &merge, NULL, NULL);
    if (e != ERR_OK)
        log_seldom(cx, LOG_WARN, err_row(e)->code, "the guest's cart was not merged: %s",
                   err_row(e)->code);
}

/* The look at the password took a while: who was banned, or changed it, meanwhile is looked at
 * again. Written, so that neither can happen beside the session that begins. */
static enum err expect_unchanged(struct ctx *cx, const struct account *account)
{
    return db_expect(cx, 1,
                     "update accounts set version = version where account_id = $1 and version = $2"
                     " and password_hash = $3",
                     ARGS(db_uuid(account->account_id), db_int(account->version),
                          db_str(account->password_hash)));
}

enum err auth_login(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct login *in = rq->body;
    struct str name = auth_lower(cx, in->username), subject = guess_subject(cx, name, rq->peer);
    bool by_email = memchr(name.p, '@', name.n) != NULL;
    struct account account;
    struct tokens tokens;
    struct list ended = {NULL, 0};

    TRY(check_address(cx, rq->peer));
    TRY(guess_allowed(cx, subject));
    enum err e = db_one(cx, account_row_fields, &account,
                        by_email ? "select " ACCOUNT_COLUMNS " from accounts where email = $1"
                                 : "select " ACCOUNT_COLUMNS " from accounts where username = $1",
                        ARGS(db_str(name)));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    bool known = e == ERR_OK && account.withdrawn_at == 0;
    struct str hash = known ? account.password_hash : str_from(password_of_nobody);
    e = password_verify(cx, arena_cstr(cx->arena, hash), in->password);
    if (e == ERR_CREDENTIALS)
        return guess_wrong(cx, subject);
    TRY(e);
    if (account.banned_at != 0)
        return fail(cx, ERR_FORBIDDEN, "banned account");
    TRY(check_account(cx, &account));
    if (FAULT("auth.login.verified"))
        return fail(cx, ERR_UNAVAILABLE, "fault: auth.login.verified");

    TRY(db_begin(cx));
    TRY(expect_unchanged(cx, &account));
    TRY(guess_right(cx, subject));
    TRY(session_begin(cx, &account, &tokens, &ended));
    TRY(db_commit(cx));
    TRY(sessions_forget(cx, ended));
    merge_cart(cx, rq, &account);
    return tokens_reply(cx, rp, &tokens);
}
