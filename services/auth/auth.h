/* auth.h -- what the files of the auth service share. */
#pragma once

#include "flow/outbox.h"
#include "service/ended.h"
#include "service/platform.h"
#include "service/reply.h"
#include "service/service.h"

extern const struct service auth_service;
/* The people of the demo world; doing it again changes nothing. */
enum err auth_demo(struct ctx *cx) MUST_USE;
/* ERR_INVALID where one of them can still sign in, with the password that everybody knows. */
enum err auth_refuse_demo(struct ctx *cx) MUST_USE;

#define REFRESH_LIVE_US (30 * US_PER_DAY)
#define SESSIONS_MAX 20 /* of one account; the oldest ends when one more begins */

/* customer, owner, staff, admin: the order of enum role, without GUEST. */
extern const char *const account_roles[];
enum role account_role(int index);

struct account {
    struct uuid account_id;
    struct str username, email, password_hash, name, birth_date;
    int role;
    int64_t version, created_at, banned_at, withdrawn_at;
    struct str ban_reason;
};
extern const struct field account_row_fields[];
#define ACCOUNT_COLUMNS                                                                            \
    "account_id, username, email, password_hash, name, birth_date, role, version, created_at, "    \
    "banned_at, withdrawn_at, ban_reason"
/* ERR_NOT_FOUND also for one who has withdrawn. */
enum err account_get(struct ctx *cx, struct uuid account_id, struct account *ret) MUST_USE;

/* session.c */
extern const struct field tokens_fields[];
struct session_user {
    struct uuid user_id;
    struct str username, name;
    int role;
};
struct tokens {
    struct str access_token, refresh_token, token_type;
    int64_t expires_in;
    struct session_user user;
};
/*
 * Inside a transaction. `ended` (struct ended_session) is what must be refused after the commit, by
 * sessions_forget: at once in this process; the others ask for them (ended.c).
 */
/* A new session with its first refresh token, and an access token. */
enum err session_begin(struct ctx *cx, const struct account *account, struct tokens *ret,
                       struct list *ended) MUST_USE;
enum err session_end(struct ctx *cx, struct uuid session_id, struct list *ended) MUST_USE;
/* All of an account but one (nil: without exception). */
enum err sessions_end(struct ctx *cx, struct uuid account_id, struct uuid except,
                      struct list *ended) MUST_USE;
/* Waits until the commit is durable first: who is told "logged out" must stay so. */
enum err sessions_forget(struct ctx *cx, struct list ended) MUST_USE;
/* ended.c, at start: what was ended before the restart and could still be shown to us. */
enum err sessions_recall(struct ctx *cx) MUST_USE;
/* Sends tokens with Cache-Control: no-store. */
enum err tokens_reply(struct ctx *cx, struct reply *rp, const struct tokens *tokens) MUST_USE;

/* login.c: guesses at passwords, counted per subject, a digest of whose and from where. */
struct str guess_subject(struct ctx *cx, struct str name, struct str peer);
/* ERR_LOCKED after too many wrong ones. */
enum err guess_allowed(struct ctx *cx, struct str subject) MUST_USE;
/* Counts it, durably, and says no: the same for a wrong name and a wrong password. */
enum err guess_wrong(struct ctx *cx, struct str subject) MUST_USE;
/* Inside a transaction: the wrong ones before it are forgotten. */
enum err guess_right(struct ctx *cx, struct str subject) MUST_USE;

/* operators.c: the body of PUT /internal/v1/operators. */
struct operator_change {
    struct str username;
    bool is_operator;
};

/* Lower-cased ASCII copy. */
struct str auth_lower(struct ctx *cx, struct str s);

/* Handlers, jobs and tables by file. */
typedef enum err auth_handler(struct ctx *cx, const struct request *rq, struct reply *rp);
auth_handler auth_signup, auth_login, auth_refresh, auth_logout, auth_logout_all, auth_password;
auth_handler auth_ended, auth_jwks, auth_openid, account_read, account_patch, account_withdraw,
    account_list;
auth_handler account_ban, account_unban, operator_change;
enum err auth_rotate_keys(struct ctx *cx);
/* keys.c: the signing keys are there when this returns. */
enum err auth_keys_start(struct ctx *cx) MUST_USE;
void auth_keys_stop(struct svc *svc);

extern const struct field signup_fields[], signup_reply_fields[], login_fields[], refresh_fields[];
extern const struct field password_fields[], openid_fields[], account_fields[],
    account_patch_fields[];
extern const struct field account_list_query_fields[], account_list_fields[], ban_fields[],
    ended_query_fields[], operator_change_fields[];
