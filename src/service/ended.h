/*
 * ended.h -- sessions that are over: every process hears of them from auth, twice a second.
 *
 * Asked for, not sent: whoever answers has them in its database, so that neither the bus nor the
 * cache can lose one, and a process that starts later hears of them as well. Until a process has
 * heard the first time it believes nobody (503).
 */
#pragma once

#include "security/jwt.h"
#include "service/service.h"

#define ENDED_LAST_S JWT_REVOKED_S /* nobody needs to hear of older ones */
#define ENDED_PAGE 500

struct ended_session {
    struct uuid session_id;
    int64_t revoked_at;
};
extern const struct field ended_session_fields[];
/* What auth answers to GET /internal/v1/ended-sessions?lastS=N&cursor=C. */
struct ended_page {
    struct list sessions; /* struct ended_session, oldest first */
    struct str next_cursor;
};
extern const struct field ended_page_fields[];

/* Access tokens of that session are refused in this process from now on. */
void ended_forget(struct ctx *cx, const struct ended_session *ended);

struct ended_watch;
enum err ended_watch_start(struct ctx *cx, struct platform *p, struct ended_watch **ret) MUST_USE;
/* Until auth has told once, at most wait_us. */
void ended_watch_wait(const struct ended_watch *w, int64_t wait_us);
void ended_watch_stop(struct ended_watch *w); /* NULL is fine */
/* For a token that is good otherwise. ERR_UNAVAILABLE: auth has not told yet, or has been silent
 * for longer than the platform may bear (platform_options.auth_silence_us). */
enum err ended_watch_ask(struct ctx *cx, const struct ended_watch *w) MUST_USE;
