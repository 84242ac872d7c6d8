/* ended.c -- asks auth, in this process or another, which sessions are over. */
#include "service/ended.h"

#include <stdlib.h>
#include <time.h>

#include "obs/log.h"
#include "service/call.h"
#include "service/running.h"
#include "service/ticker.h"

#define EVERY_MS 500
#define CALL_US (3 * US_PER_S)
/*
 * A session's end is seen when it is committed, but has the time of its statement. We look back
 * further than a request lives and clocks of two auths may differ.
 */
#define LOOK_BACK_S (JWT_LEEWAY_S + 60)
#define CURSOR_MAX 200
#define WAIT_STEP_US (2 * US_PER_MS)

const struct field ended_session_fields[] = {
    F_UUID(struct ended_session, session_id, "sessionId", REQUIRED, "session"),
    F_TIME(struct ended_session, revoked_at, "revokedAt", REQUIRED, "its end"),
    F_END(struct ended_session),
};

const struct field ended_page_fields[] = {
    F_LIST(struct ended_page, sessions, "sessions", REQUIRED, 0, ENDED_PAGE, ended_session_fields,
           "sessions that are over, oldest first"),
    F_STR(struct ended_page, next_cursor, "nextCursor", NULLABLE, 1, CURSOR_MAX, "there is more"),
    F_END(struct ended_page),
};

struct ended_watch {
    struct platform *platform;
    struct ticker ticker;
    _Atomic int64_t heard_us; /* monotonic: when the last question that was answered began */
    int64_t started_us;
    bool is_silent; /* said in the log */
    struct metric *silence_s;
};

void ended_forget(struct ctx *cx, const struct ended_session *ended)
{
    jwt_revoke_session(svc_platform(cx->svc)->keys, ended->session_id, ended->revoked_at,
                       ctx_now(cx));
}

/* An interval, not a moment: our clock need not be auth's. */
static int64_t seconds_back(const struct ended_watch *w, int64_t now_us)
{
    int64_t heard_us = w->heard_us, back_s = (now_us - heard_us) / US_PER_S + LOOK_BACK_S;

    return heard_us && back_s < ENDED_LAST_S ? back_s : ENDED_LAST_S;
}

static enum err ask(const struct ended_watch *w, struct ctx *cx, int64_t now_us)
{
    int64_t last_s = seconds_back(w, now_us);
    char cursor[CURSOR_MAX + 1] = "";
    struct ended_page page;

    do {
        arena_reset(cx->arena); /* however many pages, the memory of one */
        const char *path =
            arena_printf(cx->arena, "/internal/v1/ended-sessions?lastS=%" PRId64 "%s%s", last_s,
                         cursor[0] ? "&cursor=" : "", cursor)
                .p;
        page = (struct ended_page){0};
        cx->deadline_us = clock_monotonic_us() + CALL_US;
        TRY(call_service(cx, "auth", HTTP_GET, path, NULL, NULL, ended_page_fields, &page));
        for (size_t i = 0; i < page.sessions.n; i++)
            ended_forget(cx, LIST_AT(struct ended_session, page.sessions, i));
        snprintf(cursor, sizeof cursor, "%.*s", STR_ARG(page.next_cursor));
    } while (cursor[0]);
    return ERR_OK;
}

static void turn(void *arg, struct arena *a)
{
    struct ended_watch *w = arg;
    int64_t now_us = clock_monotonic_us();
    struct ctx cx;

    platform_ctx(w->platform, &w->platform->services[0], a, &cx);
    cx.trace.sampled = false; /* twice a second of nothing */
    enum err e = ask(w, &cx, now_us);
    if (e == ERR_OK)
        w->heard_us = now_us;
    else if (!w->is_silent)
        log_event(&cx, LOG_WARN, "auth does not say which sessions have ended: %s",
                  cx.story.detail);
    if (e == ERR_OK && w->is_silent)
        log_event(&cx, LOG_INFO, "auth says again which sessions have ended");
    w->is_silent = e != ERR_OK;
    int64_t since_us = w->heard_us ? w->heard_us : w->started_us;
    metric_set(w->silence_s, (clock_monotonic_us() - since_us) / US_PER_S);
}

enum err ended_watch_start(struct ctx *cx, struct platform *p, struct ended_watch **ret)
{
    struct ended_watch *w = calloc(1, sizeof *w);

    if (!w)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    w->platform = p;
    w->started_us = clock_monotonic_us();
    w->silence_s =
        metric_get(METRIC_GAUGE, "jumun_auth_silent_seconds",
                   "Since auth last said which sessions have ended.", NULL, NULL, NULL, NULL);
    enum err e = ticker_start(cx, &w->ticker, "ended", EVERY_MS, turn, w);
    if (e != ERR_OK) {
        free(w);
        return e;
    }
    *ret = w;
    return ERR_OK;
}

void ended_watch_wait(const struct ended_watch *w, int64_t wait_us)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP_US * 1000};
    int64_t until_us = clock_monotonic_us() + wait_us;

    while (!w->heard_us && clock_monotonic_us() < until_us)
        nanosleep(&step, NULL);
}

void ended_watch_stop(struct ended_watch *w)
{
    if (!w)
        return;
    ticker_stop(&w->ticker);
    free(w);
}

enum err ended_watch_ask(struct ctx *cx, const struct ended_watch *w)
{
    int64_t heard_us = w->heard_us, bears_us = w->platform->options.auth_silence_us;

    if (!heard_us)
        return fail(cx, ERR_UNAVAILABLE, "auth has not said yet which sessions have ended");
    if (bears_us && clock_monotonic_us() - heard_us > bears_us)
        return fail(cx, ERR_UNAVAILABLE, "auth has been silent for more than %" PRId64 " s",
                    bears_us / US_PER_S);
    return ERR_OK;
}
