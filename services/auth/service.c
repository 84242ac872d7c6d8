/* service.c -- the auth service's tables: who may call what, what runs by itself. */
#include "auth/auth.h"
#include "migrations_auth.h"
#include "service/ended.h"

static const struct route routes[] = {
    {HTTP_POST, "/v1/auth/signup", ANYONE, auth_signup, signup_fields, NULL, signup_reply_fields,
     SLOW, 201, NULL, "Opens an account. 409 when the username or the e-mail address is taken."},
    {HTTP_POST, "/v1/auth/login", ANYONE, auth_login, login_fields, NULL, tokens_fields,
     SLOW | CALLS_OUT, 200, NULL, "Gives tokens; merges the guest's cart named by Jumun-Cart."},
    {HTTP_POST, "/v1/auth/refresh", ANYONE, auth_refresh, refresh_fields, NULL, tokens_fields, 0,
     200, NULL,
     "Rotates: the refresh token works once. A second use within seconds gets the same new one, "
     "later "
     "it ends the session."},
    {HTTP_POST, "/v1/auth/logout", SIGNED_IN, auth_logout, NULL, NULL, NULL, 0, 204, NULL,
     "Ends this session."},
    {HTTP_POST, "/v1/auth/logout-all", SIGNED_IN, auth_logout_all, NULL, NULL, NULL, 0, 204, NULL,
     "Ends every session of the account."},
    {HTTP_PUT, "/v1/auth/password", SIGNED_IN, auth_password, password_fields, NULL, NULL, SLOW,
     204, NULL, "Changes the password; all other sessions end."},
    {HTTP_GET, "/.well-known/openid-configuration", ANYONE, auth_openid, NULL, NULL, openid_fields,
     0, 200, NULL, "OpenID Connect discovery."},
    {HTTP_GET, "/.well-known/jwks.json", ANYONE, auth_jwks, NULL, NULL, NULL, NOT_JSON, 200, NULL,
     "The public keys that verify our tokens, as a JSON Web Key Set."},
    {HTTP_GET, "/v1/admin/users", ADMIN, account_list, NULL, account_list_query_fields,
     account_list_fields, LIST, 200, NULL, "Accounts, newest first."},
    {HTTP_POST, "/v1/admin/users/{userId}/ban", ADMIN, account_ban, ban_fields, NULL, NULL, 0, 204,
     NULL, "No login and no refresh any more; access tokens end at once."},
    {HTTP_POST, "/v1/admin/users/{userId}/unban", ADMIN, account_unban, ban_fields, NULL, NULL, 0,
     204, NULL, "Lets the user in again."},
    {HTTP_GET, "/internal/v1/jwks", SERVICE, auth_jwks, NULL, NULL, NULL, INTERNAL | NOT_JSON, 200,
     NULL, "The same keys, for services in other processes."},
    {HTTP_GET, "/internal/v1/ended-sessions", SERVICE, auth_ended, NULL, ended_query_fields,
     ended_page_fields, INTERNAL, 200, NULL,
     "Sessions that ended lately: their access tokens are refused everywhere."},
    {HTTP_GET, "/internal/v1/accounts/{userId}", SERVICE, account_read, NULL, NULL, account_fields,
     INTERNAL, 200, NULL, "The profile, for the user service."},
    {HTTP_PATCH, "/internal/v1/accounts/{userId}", SERVICE, account_patch, account_patch_fields,
     NULL, account_fields, INTERNAL, 200, NULL,
     "Changes the profile; 412 when the version moved on."},
    {HTTP_DELETE, "/internal/v1/accounts/{userId}", SERVICE, account_withdraw, NULL, NULL, NULL,
     INTERNAL, 204, NULL, "Withdrawal: personal data is erased, sessions end. Idempotent."},
    {HTTP_PUT, "/internal/v1/operators", SERVICE, operator_change, operator_change_fields, NULL,
     NULL, INTERNAL, 204, NULL,
     "A customer's account becomes an operator's, or one again; for `jumun operator`. Its sessions "
     "end."},
    {0},
};

/* A session that is over needs no tokens, and then it needs no row; access tokens end long before.
 */
static const struct sweep sweeps[] = {
    {"login_attempts", "login_attempts", "subject",
     "select subject from login_attempts where since < $1 order by since", US_PER_DAY,
     "wrong guesses"},
    {"refresh_tokens", "refresh_tokens", "token_hash",
     "select token_hash from refresh_tokens where expires_at < $1 order by expires_at", 0,
     "refresh tokens that have expired"},
    {"revoked_tokens", "refresh_tokens", "token_hash",
     "select r.token_hash from sessions s join refresh_tokens r on r.session_id = s.session_id"
     " where s.revoked_at < $1 order by s.revoked_at",
     US_PER_DAY, "refresh tokens of sessions that were ended"},
    {"sessions", "sessions", "session_id",
     "select s.session_id from sessions s where s.expires_at < $1 and not exists"
     " (select 1 from refresh_tokens r where r.session_id = s.session_id) order by s.expires_at",
     US_PER_DAY, "sessions that are over"},
    {"revoked_sessions", "sessions", "session_id",
     "select s.session_id from sessions s where s.revoked_at < $1 and not exists"
     " (select 1 from refresh_tokens r where r.session_id = s.session_id) order by s.revoked_at",
     US_PER_DAY, "sessions that were ended"},
    {0},
};

static const struct job jobs[] = {
    {"auth.keys.rotate", US_PER_HOUR, auth_rotate_keys, "the next signing key when it is time"},
    {0},
};

static enum err start(struct ctx *cx)
{
    if (platform_options(svc_platform(cx->svc))->production)
        TRY(auth_refuse_demo(cx));
    TRY(auth_keys_start(cx));
    return sessions_recall(cx);
}

const struct service auth_service = {
    .name = "auth",
    .routes = routes,
    .jobs = jobs,
    .sweeps = sweeps,
    .migrations = migrations_auth,
    .start = start,
    .stop = auth_keys_stop,
    .demo = auth_demo,
};
