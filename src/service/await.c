/*
 * await.c -- a process that is there before its database waits for it, in the open: the log says
 * so, /startupz shows it, and systemd is told.
 *
 * Only a database that may come is waited for. What somebody has to correct (a password, a name)
 * ends the start at once, with words about it.
 */
#include "obs/log.h"
#include "obs/supervisor.h"
#include "service/running.h"

#define AWAIT_ARENA_MAX (1024u * 1024)
#define AGAIN_US (500 * US_PER_MS)
#define SAY_EVERY_US (15 * US_PER_S)
/* Longer than the time between two of our words, and than one try. */
#define SUPERVISOR_PATIENCE_US (30 * US_PER_S)

static void note(struct platform *p, const char *what)
{
    pthread_mutex_lock(&p->waits_lock);
    snprintf(p->waits_for, sizeof p->waits_for, "%s", what);
    pthread_mutex_unlock(&p->waits_lock);
}

struct str await_what(struct platform *p, struct arena *a)
{
    pthread_mutex_lock(&p->waits_lock);
    struct str what = p->waits_for[0] ? arena_copy(a, str_from(p->waits_for)) : STR_NONE;
    pthread_mutex_unlock(&p->waits_lock);
    return what;
}

static void say(struct ctx *cx)
{
    log_event(cx, LOG_WARN, "waiting for the database: %s", cx->story.detail);
    supervisor_tell(arena_printf(cx->arena,
                                 "STATUS=waiting for the database: %s\nEXTEND_TIMEOUT_USEC=%lld",
                                 cx->story.detail, (long long)SUPERVISOR_PATIENCE_US)
                        .p);
}

static enum err give_up(struct ctx *cx, const char *why)
{
    struct str last = arena_printf(cx->arena, "%s", cx->story.detail);

    return fail(cx, ERR_UNAVAILABLE, "%s: %.*s", why, STR_ARG(last));
}

static enum err await(struct ctx *cx, struct platform *p, const char *url)
{
    int64_t began_us = clock_monotonic_us(), said_us = 0;
    struct str is;
    enum err e;

    while ((e = db_probe(cx, url, NULL, &is)) == ERR_UNAVAILABLE) {
        int64_t now = clock_monotonic_us();
        if (now - began_us >= p->options.start_wait_us)
            return give_up(cx, "the database did not come");
        if (!said_us || now - said_us >= SAY_EVERY_US) {
            say(cx);
            said_us = now;
        }
        note(p, cx->story.detail);
        if (!p->options.pause(p->options.pause_arg, AGAIN_US))
            return give_up(cx, "stopped while it waited for the database");
        arena_reset(cx->arena);
    }
    note(p, "");
    if (e == ERR_OK && said_us) {
        log_event(cx, LOG_INFO, "the database is there, after %.1f s",
                  (double)(clock_monotonic_us() - began_us) / US_PER_S);
        supervisor_tell("STATUS=starting");
    }
    return e;
}

enum err await_database(struct ctx *cx, struct platform *p, const char *url)
{
    struct arena arena;
    struct ctx own = *cx;

    arena_init(&arena, AWAIT_ARENA_MAX);
    own.arena = &arena; /* a day of waiting costs no more than a moment of it */
    enum err e = await(&own, p, url);
    cx->story = own.story;
    arena_release(&arena);
    return e;
}
