/*
 * session.c -- sessions: short access tokens, rotating refresh tokens, and their end.
 *
 * A refresh token works once. When a used one comes back, either its thief or its owner is late,
 * and nobody can tell which: the whole family ends and both must log in again.
 *
 * But two tabs of a browser that wake up together, or an answer that was lost, are no thief: for a
 * few seconds, and only while its successor is unused, the old token is answered with the same
 * successor again. A thief gains nothing by it: of two who hold the successor one is late next
 * time.
 */
#include "auth/auth.h"
#include "base/fault.h"
#include "security/base64.h"
#include "security/jwt.h"
#include "security/password.h"
#include "security/secret.h"

static const struct field session_user_fields[] = {
    F_UUID(struct session_user, user_id, "userId", REQUIRED, "account id"),
    F_STR(struct session_user, username, "username", REQUIRED, 1, 20, "login name"),
    F_STR(struct session_user, name, "name", REQUIRED, 1, 30, "display name"),
    F_ENUM(struct session_user, role, "role", REQUIRED, account_roles, "what the user is"),
    F_END(struct session_user),
};

const struct field tokens_fields[] = {
    F_STR(struct tokens, access_token, "accessToken", REQUIRED | SECRET, 1, 8192, "JWT for Bearer"),
    F_STR(struct tokens, refresh_token, "refreshToken", REQUIRED | SECRET, 43, 43, "works once"),
    F_STR(struct tokens, token_type, "tokenType", REQUIRED, 6, 6, "Bearer"),
    F_INT(struct tokens, expires_in, "expiresIn", REQUIRED, 1, 86400, "seconds"),
    F_OBJECT(struct tokens, user, "user", REQUIRED, session_user_fields, "who logged in"),
    F_END(struct tokens),
};

#define REFRESH_GRACE_US (10 * US_PER_S)

struct refresh {
    struct str refresh_token;
};

const struct field refresh_fields[] = {
    F_STR(struct refresh, refresh_token, "refreshToken", REQUIRED | SECRET, 43, 43,
          "the latest one"),
    F_END(struct refresh),
};

struct password_change {
    struct str current_password, new_password;
};

const struct field password_fields[] = {
    F_STR(struct password_change, current_password, "currentPassword", REQUIRED | SECRET, 1, 128,
          "the one that works now"),
    F_STR(struct password_change, new_password, "newPassword", REQUIRED | SECRET, 10, 128,
          "not a common one"),
    F_END(struct password_change),
};

static enum err access_token(struct ctx *cx, const struct account *account, struct uuid session_id,
                             struct tokens *ret)
{
    struct platform *platform = svc_platform(cx->svc);
    int64_t now_s = ctx_now(cx) / US_PER_S;
    struct buf text;
    struct jwt_claims claims = {
        .issuer = platform_options(platform)->issuer,
        .audience = STR(JWT_AUDIENCE),
        .user_id = account->account_id,
        .token_id = ctx_uuid(cx),
        .session_id = session_id,
        .role = account_role(account->role),
        .issued_s = now_s,
        .expires_s = now_s + JWT_LIFETIME_S,
    };

    buf_init_arena(&text, cx->arena, JWT_MAX);
    TRY(jwt_sign(cx, platform_keys(platform), &claims, &text));
    ret->access_token = buf_str(&text);
    ret->token_type = STR("Bearer");
    ret->expires_in = JWT_LIFETIME_S;
    ret->user =
        (struct session_user){account->account_id, account->username, account->name, account->role};
    return ERR_OK;
}

/* Inside a transaction: one more refresh token of the family. */
static enum err keep_refresh_token(struct ctx *cx, struct uuid session_id, int64_t expires_at,
                                   struct str token)
{
    char hash[SHA256_TEXT_SIZE];

    return db_exec(
        cx, "insert into refresh_tokens (token_hash, session_id, expires_at) values ($1, $2, $3)",
        ARGS(db_str(sha256_hex(token, hash)), db_uuid(session_id), db_int(expires_at)));
}

static struct str random_token(struct ctx *cx)
{
    char token[SECRET_TOKEN_SIZE];

    return arena_copy(cx->arena, secret_token(cx->rng, token));
}

/* Known to who has both the token and the salt: not to its holder alone, not to a reader of the
 * table alone. */
static struct str successor_of(struct ctx *cx, struct str token, struct str salt)
{
    unsigned char raw[SHA256_SIZE];
    char *text = arena_alloc(cx->arena, SECRET_TOKEN_SIZE);

    hmac_sha256(salt, token, raw);
    return (struct str){text, base64url_encode(raw, sizeof raw, text)};
}

struct session_row {
    struct uuid session_id, account_id;
    int64_t expires_at, used_at, revoked_at;
    struct str salt;
};

static const struct field session_row_fields[] = {
    F_UUID(struct session_row, session_id, "sessionId", 0, ""),
    F_UUID(struct session_row, account_id, "accountId", 0, ""),
    F_TIME(struct session_row, expires_at, "expiresAt", 0, ""),
    F_TIME(struct session_row, used_at, "usedAt", 0, ""),
    F_TIME(struct session_row, revoked_at, "revokedAt", 0, ""),
    F_STR(struct session_row, salt, "salt", 0, 0, SECRET_TOKEN_LENGTH, ""),
    F_END(struct session_row),
};

/* What the statement ended; by the time it is committed others have been told. */
static enum err tell_ended(struct ctx *cx, const struct list *ended)
{
    for (size_t i = 0; i < ended->n; i++) {
        const struct ended_session *event = LIST_AT(struct ended_session, *ended, i);
        TRY(outbox_append(cx, "auth.session.revoked", event->session_id, ended_session_fields,
                          event));
    }
    return ERR_OK;
}

/* One more is about to begin: the oldest beyond the limit end. */
static enum err make_room(struct ctx *cx, struct uuid account_id, struct list *ended)
{
    TRY(db_all(cx, ended_session_fields, ended,
               "update sessions set revoked_at = $2 where account_id = $1 and revoked_at is null "
               "and expires_at > $2 and session_id not in (select session_id from sessions "
               "where account_id = $1 and revoked_at is null and expires_at > $2 "
               "order by created_at desc, session_id desc limit $3) "
               "returning session_id, revoked_at",
               ARGS(db_uuid(account_id), db_int(ctx_now(cx)), db_int(SESSIONS_MAX - 1))));
    return tell_ended(cx, ended);
}

enum err session_begin(struct ctx *cx, const struct account *account, struct tokens *ret,
                       struct list *ended)
{
    struct uuid session_id = ctx_uuid(cx);
    int64_t now = ctx_now(cx), expires_at = now + REFRESH_LIVE_US;

    TRY(make_room(cx, account->account_id, ended));
    TRY(db_exec(
        cx,
        "insert into sessions (session_id, account_id, created_at, expires_at) "
        "values ($1, $2, $3, $4)",
        ARGS(db_uuid(session_id), db_uuid(account->account_id), db_int(now), db_int(expires_at))));
    ret->refresh_token = random_token(cx);
    TRY(keep_refresh_token(cx, session_id, expires_at, ret->refresh_token));
    return access_token(cx, account, session_id, ret);
}

enum err session_end(struct ctx *cx, struct uuid session_id, struct list *ended)
{
    TRY(db_all(cx, ended_session_fields, ended,
               "update sessions set revoked_at = $2 where session_id = $1 and revoked_at is null "
               "returning session_id, revoked_at",
               ARGS(db_uuid(session_id), db_int(ctx_now(cx)))));
    return tell_ended(cx, ended); /* nothing if it ended before: the event was written then */
}

/* Without a bound: logins at the same moment do not see each other's sessions, so that there may be
 * more than SESSIONS_MAX. No session has the account's id. */
enum err sessions_end(struct ctx *cx, struct uuid account_id, struct uuid except,
                      struct list *ended)
{
    TRY(db_all(cx, ended_session_fields, ended,
               "update sessions set revoked_at = $2 where account_id = $1 and revoked_at is null "
               "and expires_at > $2 and session_id <> coalesce($3, account_id) "
               "returning session_id, revoked_at",
               ARGS(db_uuid(account_id), db_int(ctx_now(cx)), db_uuid(except))));
    return tell_ended(cx, ended);
}

enum err sessions_forget(struct ctx *cx, struct list ended)
{
    TRY(db_durable(cx));
    for (size_t i = 0; i < ended.n; i++)
        ended_forget(cx, LIST_AT(struct ended_session, ended, i));
    return ERR_OK;
}

enum err tokens_reply(struct ctx *cx, struct reply *rp, const struct tokens *tokens)
{
    reply_header(cx, rp, STR("Cache-Control"), "no-store");
    return reply_data(cx, rp, 200, tokens_fields, tokens);
}

/* A token that was used before: the family ends, in a commit of its own, and then the answer is no.
 */
static enum err reused(struct ctx *cx, struct uuid session_id)
{
    struct list ended = {NULL, 0};

    TRY(session_end(cx, session_id, &ended));
    TRY(db_commit(cx));
    TRY(sessions_forget(cx, ended));
    return fail(cx, ERR_TOKEN_REUSED, "session %s", ctx_uuid_text(cx, session_id));
}

/* Used just now, and nobody has used what it was exchanged for. */
static enum err is_twin(struct ctx *cx, const struct session_row *row, struct str successor,
                        bool *ret)
{
    char hash[SHA256_TEXT_SIZE];
    int64_t unused = 0;

    if (row->salt.n > 0 && ctx_now(cx) - row->used_at < REFRESH_GRACE_US)
        TRY(db_int_of(
            cx, &unused,
            "select count(*) from refresh_tokens where token_hash = $1 and used_at is null",
            ARGS(db_str(sha256_hex(successor, hash)))));
    *ret = unused == 1;
    return ERR_OK;
}

/* Takes the token if nobody did before; *ret_taken. */
static enum err take_token(struct ctx *cx, struct str token, struct session_row *ret,
                           bool *ret_taken)
{
    char hash[SHA256_TEXT_SIZE];
    struct str token_hash = sha256_hex(token, hash);
    int64_t taken;

    /* Of two at once only one takes it; the other finds it used. */
    TRY(db_change(
        cx, &taken,
        "update refresh_tokens set used_at = $2, salt = $3 where token_hash = $1 and used_at is"
        " null",
        ARGS(db_str(token_hash), db_int(ctx_now(cx)), db_str(random_token(cx)))));
    enum err e =
        db_one(cx, session_row_fields, ret,
               "select s.session_id, s.account_id, s.expires_at, s.revoked_at, r.used_at, r.salt "
               "from refresh_tokens r join sessions s on s.session_id = r.session_id "
               "where r.token_hash = $1",
               ARGS(db_str(token_hash)));
    *ret_taken = taken == 1;
    return e == ERR_NOT_FOUND ? fail(cx, ERR_UNAUTHENTICATED, "unknown refresh token") : e;
}

enum err auth_refresh(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct refresh *in = rq->body;
    struct session_row row = {0};
    struct account account;
    struct tokens tokens;
    bool taken = false, twin = false;

    if (!secret_token_is_shaped(in->refresh_token))
        return fail(cx, ERR_UNAUTHENTICATED, "not a refresh token");
    TRY(db_begin(cx));
    TRY(take_token(cx, in->refresh_token, &row, &taken));
    tokens.refresh_token = successor_of(cx, in->refresh_token, row.salt);
    if (!taken)
        TRY(is_twin(cx, &row, tokens.refresh_token, &twin));
    if (!taken && !twin)
        return reused(cx, row.session_id);
    if (row.revoked_at != 0 || row.expires_at <= ctx_now(cx))
        return fail(cx, ERR_UNAUTHENTICATED, "the session is over");
    enum err e = account_get(cx, row.account_id, &account);
    if (e == ERR_NOT_FOUND || (e == ERR_OK && account.banned_at != 0))
        return fail(cx, ERR_UNAUTHENTICATED, "the account is gone or banned");
    TRY(e);
    if (taken)
        TRY(keep_refresh_token(cx, row.session_id, row.expires_at, tokens.refresh_token));
    TRY(access_token(cx, &account, row.session_id, &tokens));
    TRY(db_commit(cx));
    return tokens_reply(cx, rp, &tokens);
}

enum err auth_logout(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct list ended = {NULL, 0};

    (void)rq;
    TRY(db_begin(cx));
    TRY(session_end(cx, cx->caller.session_id, &ended));
    TRY(db_commit(cx));
    TRY(sessions_forget(cx, ended));
    return reply_none(cx, rp, 204);
}

enum err auth_logout_all(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct list ended = {NULL, 0};

    (void)rq;
    TRY(db_begin(cx));
    TRY(sessions_end(cx, cx->caller.user_id, UUID_NIL, &ended));
    TRY(db_commit(cx));
    TRY(sessions_forget(cx, ended));
    return reply_none(cx, rp, 204);
}

enum err auth_password(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct password_change *in = rq->body;
    struct list ended = {NULL, 0};
    struct account account;
    char hash[PASSWORD_TEXT];

    TRY(account_get(cx, cx->caller.user_id, &account));
    /* From wherever: who guesses here holds an access token, which strangers to the account do not.
     */
    struct str subject =
        guess_subject(cx, STR("password"), str_from(ctx_uuid_text(cx, account.account_id)));
    TRY(guess_allowed(cx, subject));
    if (password_is_common(in->new_password, account.username)) {
        ctx_field_error(cx, STR("newPassword"), STR("COMMON"), "too easy to guess");
        return fail(cx, ERR_PASSWORD_COMMON, "password change");
    }
    enum err e =
        password_verify(cx, arena_cstr(cx->arena, account.password_hash), in->current_password);
    if (e == ERR_CREDENTIALS)
        return guess_wrong(cx, subject);
    TRY(e);
    TRY(password_hash(cx, in->new_password, hash));
    if (FAULT("auth.password.verified"))
        return fail(cx, ERR_UNAVAILABLE, "fault: auth.password.verified");
    TRY(db_begin(cx));
    TRY(guess_right(cx, subject));
    TRY(db_expect(cx, 1, /* of two that know the old one, one changes it */
                  "update accounts set password_hash = $2, updated_at = $3 where account_id = $1"
                  " and password_hash = $4",
                  ARGS(db_uuid(account.account_id), db_str(str_from(hash)), db_int(ctx_now(cx)),
                       db_str(account.password_hash))));
    TRY(sessions_end(cx, account.account_id, cx->caller.session_id, &ended));
    TRY(db_commit(cx));
    TRY(sessions_forget(cx, ended));
    return reply_none(cx, rp, 204);
}
