/*
 * sqlite_group.c -- writers take turns on one connection and share one transaction and one fsync.
 *
 * Whoever holds the turn may touch the writing connection. The first writer opens the group's
 * transaction; each writer works inside a savepoint. The group is committed when somebody waits for
 * it and nobody for the turn, or when it is full or old; newcomers queue up meanwhile for the next.
 * A thread that sleeps until then anyway commits by itself; for parked replies the committer thread
 * does. So a lone writer pays one fsync per answer, however many commits that took, and a busy
 * system shares it.
 */
#include "base/fault.h"
#include "base/thread.h"
#include "db/sqlite.h"
#include "obs/log.h"

#include <errno.h>

void line_condition_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

static void line_leave(struct line *l, const struct waiting *w)
{
    struct waiting *before = NULL;
    for (struct waiting *at = l->head; at; before = at, at = at->next) {
        if (at != w)
            continue;
        if (before)
            before->next = at->next;
        else
            l->head = at->next;
        if (l->tail == at)
            l->tail = before;
        return;
    }
}

bool line_wait(struct line *l, pthread_mutex_t *m, int64_t deadline_us, void **ret_gift)
{
    struct waiting w = {.granted = false};
    struct timespec until = {.tv_sec = (time_t)(deadline_us / US_PER_S),
                             .tv_nsec = (long)(deadline_us % US_PER_S) * 1000};
    line_condition_init(&w.wake);
    if (l->tail)
        l->tail->next = &w;
    else
        l->head = &w; /* cppcheck-suppress autoVariables */
    l->tail = &w;     /* cppcheck-suppress autoVariables */
    while (!w.granted) {
        int rc = deadline_us ? pthread_cond_timedwait(&w.wake, m, &until)
                             : pthread_cond_wait(&w.wake, m);
        if (rc == ETIMEDOUT && !w.granted) {
            line_leave(l, &w);
            break;
        }
    }
    pthread_cond_destroy(&w.wake);
    if (ret_gift)
        *ret_gift = w.gift;
    return w.granted;
}

bool line_grant(struct line *l, void *gift)
{
    struct waiting *w = l->head;
    if (!w)
        return false;
    l->head = w->next;
    if (!l->head)
        l->tail = NULL;
    w->gift = gift;
    w->granted = true;
    pthread_cond_signal(&w->wake);
    return true;
}

static bool turn_take(struct sqlite_db *s, int64_t deadline_us)
{
    bool mine = true;
    pthread_mutex_lock(&s->mutex);
    if (!s->turn_taken) {
        s->turn_taken = true;
    } else {
        COUNT(&s->base, waits);
        mine = line_wait(&s->line, &s->mutex, deadline_us, NULL);
    }
    pthread_mutex_unlock(&s->mutex);
    return mine;
}

static bool group_is_old(const struct sqlite_db *s)
{
    return s->members >= GROUP_MAX ||
           clock_monotonic_us() - s->group_began_us >= GROUP_AGE_MAX_US || s->stopping;
}

/* With the mutex held: to the committer when the group should end, else to the next in line. */
static void turn_pass(struct sqlite_db *s)
{
    bool wanted = s->waiters && !s->line.head;
    if (s->members > 0 && (wanted || group_is_old(s))) {
        s->commit_due = true;
        pthread_cond_signal(&s->committer_wake);
    } else if (!line_grant(&s->line, NULL)) {
        s->turn_taken = false;
        if (s->members > 0 && !s->left_open) {
            s->left_open = true; /* nobody waits yet: the committer sees to it when it is old */
            pthread_cond_signal(&s->committer_wake);
        }
    }
}

static void turn_give_back(struct sqlite_db *s)
{
    pthread_mutex_lock(&s->mutex);
    turn_pass(s);
    pthread_mutex_unlock(&s->mutex);
}

static int step(const struct sqlite_db *s, sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    sqlite3_reset(stmt);
    if (rc == SQLITE_DONE || rc == SQLITE_ROW)
        return SQLITE_OK;
    sqlite_abort_if_io(s, rc);
    return rc;
}

static bool group_failed(const struct sqlite_db *s, uint64_t ticket)
{
    size_t n = s->failed_n < FAILED_GROUPS_KEPT ? s->failed_n : FAILED_GROUPS_KEPT;
    for (size_t i = 0; i < n; i++)
        if (s->failed[i] == ticket)
            return true;
    return false;
}

/* Moves the log into the database file after the answers are out. The caller holds the turn. */
static void checkpoint(struct sqlite_db *s)
{
    s->wal_pages = 0;
    int rc =
        sqlite3_wal_checkpoint_v2(s->writer.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    /* An unnoticed failed sync here would lose pages that the log no longer holds. */
    sqlite_abort_if_io(s, rc);
}

/*
 * The open group is decided: tells everyone and passes the turn on. The caller holds the turn. The
 * next writers start while the answers go out, unless the log has to be moved first.
 */
static void group_finish(struct sqlite_db *s, enum err e)
{
    bool long_log = e == ERR_OK && s->wal_pages >= CHECKPOINT_PAGES;
    s->group_open = false;
    pthread_mutex_lock(&s->mutex);
    struct db_rings rings = e == ERR_OK ? s->rings : DB_RINGS_NONE;
    s->rings = DB_RINGS_NONE;
    s->members = 0;
    s->left_open = false;
    s->finished = s->group;
    if (e != ERR_OK)
        s->failed[s->failed_n++ % FAILED_GROUPS_KEPT] = s->group;
    struct db_waiter *w = s->waiters;
    s->waiters = NULL;
    if (!long_log)
        turn_pass(s);
    pthread_mutex_unlock(&s->mutex);

    while (w) {
        struct db_waiter *next = w->next; /* done() may free it */
        w->done(w, e);
        w = next;
    }
    db_announce(&s->base, &rings);
    if (long_log) {
        checkpoint(s);
        turn_give_back(s);
    }
}

/* The group's COMMIT, by whoever holds the turn. */
static enum err group_commit(struct sqlite_db *s)
{
    if (FAULT("db.commit.before")) {
        step(s, s->rollback);
        return ERR_UNAVAILABLE;
    }
    int rc = step(s, s->commit);
    if (rc != SQLITE_OK) {
        log_seldom(NULL, LOG_ERROR, s->path, "database %s: commit failed: %s", s->path,
                   sqlite3_errstr(rc));
        if (!sqlite3_get_autocommit(s->writer.handle))
            step(s, s->rollback);
        return ERR_UNAVAILABLE;
    }
    /* A lost answer cannot happen inside one process; dying here can. */
    (void)FAULT("db.commit.after");
    COUNT(&s->base, groups);
    return ERR_OK;
}

/* With the mutex held: until the turn is given to the committer, which also takes it when a group
 * that was left open has become old. */
static void committer_wait(struct sqlite_db *s)
{
    while (!s->commit_due && !s->stopping) {
        bool old = s->left_open && group_is_old(s);
        int64_t until_us = s->group_began_us + GROUP_AGE_MAX_US;
        struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S),
                                 .tv_nsec = (long)(until_us % US_PER_S) * 1000};
        if (old && !s->turn_taken) {
            s->turn_taken = true;
            s->commit_due = true;
        } else if (s->left_open && !old) {
            pthread_cond_timedwait(&s->committer_wake, &s->mutex, &until);
        } else { /* whoever has the turn looks at the group's age before letting go of it */
            pthread_cond_wait(&s->committer_wake, &s->mutex);
        }
    }
}

static void *committer_main(void *arg)
{
    struct sqlite_db *s = arg;
    thread_name("commits", s->base.name);
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        committer_wait(s);
        if (!s->commit_due)
            break;
        s->commit_due = false;
        pthread_mutex_unlock(&s->mutex);

        group_finish(s, group_commit(s));
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

enum err group_start(struct ctx *cx, struct sqlite_db *s)
{
    static const char *const sql[] = {"begin immediate",
                                      "commit",
                                      "rollback",
                                      "savepoint jumun_member",
                                      "release jumun_member",
                                      "rollback to jumun_member"};
    sqlite3_stmt **const stmts[] = {&s->begin,  &s->commit,         &s->rollback,
                                    &s->member, &s->member_release, &s->member_undo};
    for (size_t i = 0; i < COUNT_OF(sql); i++) {
        int rc = sqlite3_prepare_v3(s->writer.handle, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    stmts[i], NULL);
        if (rc != SQLITE_OK)
            return sqlite_error(cx, s->writer.handle, rc, sql[i]);
    }
    if (!s->options.group_commit)
        return ERR_OK;
    if (pthread_create(&s->committer, NULL, committer_main, s) != 0)
        return fail(cx, ERR_UNAVAILABLE, "no thread for the group commits of %s", s->path);
    s->committer_runs = true;
    return ERR_OK;
}

void group_stop(struct sqlite_db *s)
{
    if (s->committer_runs) {
        /* Whoever has the turn after everybody else finds a group with members or none at all. */
        if (turn_take(s, 0)) {
            pthread_mutex_lock(&s->mutex);
            s->stopping = true;
            turn_pass(s);
            pthread_cond_signal(&s->committer_wake);
            pthread_mutex_unlock(&s->mutex);
        }
        pthread_join(s->committer, NULL);
    }
    sqlite3_stmt *const all[] = {s->begin,  s->commit,         s->rollback,
                                 s->member, s->member_release, s->member_undo};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        sqlite3_finalize(all[i]);
}

enum err sqlite_begin(struct ctx *cx)
{
    struct sqlite_db *s = sqlite_of(cx);
    if (FAULT("db.begin"))
        return fail(cx, ERR_UNAVAILABLE, "fault db.begin");
    if (!turn_take(s, cx->deadline_us))
        return fail(cx, ERR_BUSY, "no turn to write before the deadline");
    /* What this work committed before may be gone; then nothing may be built on it. */
    if (cx->ticket) {
        pthread_mutex_lock(&s->mutex);
        bool gone = group_failed(s, cx->ticket);
        pthread_mutex_unlock(&s->mutex);
        if (gone) {
            turn_give_back(s);
            return fail(cx, ERR_UNAVAILABLE, "an earlier commit of this work was lost");
        }
    }
    int rc = SQLITE_OK;
    bool opened = !s->group_open;
    if (opened) {
        rc = step(s, s->begin);
        if (rc == SQLITE_OK) {
            s->group_open = true;
            pthread_mutex_lock(&s->mutex);
            s->group++;
            s->group_began_us = clock_monotonic_us();
            pthread_mutex_unlock(&s->mutex);
        }
    }
    if (rc == SQLITE_OK)
        rc = step(s, s->member);
    if (rc != SQLITE_OK) {
        enum err e = sqlite_error(cx, s->writer.handle, rc, "begin");
        if (opened && s->group_open) {
            step(s, s->rollback);
            group_finish(s, ERR_UNAVAILABLE);
        } else {
            turn_give_back(s);
        }
        return e;
    }
    cx->tx = &s->tx;
    return ERR_OK;
}

enum err sqlite_commit(struct ctx *cx)
{
    struct sqlite_db *s = sqlite_of(cx);
    int rc = step(s, s->member_release);
    if (rc != SQLITE_OK) {
        enum err e = sqlite_error(cx, s->writer.handle, rc, "release");
        db_rollback(cx);
        return e;
    }
    struct db_rings rings = cx->tx->rings;
    cx->tx = NULL;
    cx->ticket = s->group;
    if (s->options.group_commit) {
        COUNT(&s->base, commits);
        pthread_mutex_lock(&s->mutex);
        s->members++;
        db_rings_add(&s->rings, &rings);
        turn_pass(s);
        pthread_mutex_unlock(&s->mutex);
        return ERR_OK;
    }
    db_rings_add(&s->rings, &rings);
    enum err e = group_commit(s);
    if (e == ERR_OK)
        COUNT(&s->base, commits);
    else
        cx->ticket = 0; /* told right here */
    group_finish(s, e);
    return e == ERR_OK ? ERR_OK : fail(cx, e, "the commit failed");
}

void sqlite_rollback(struct ctx *cx)
{
    struct sqlite_db *s = sqlite_of(cx);
    cx->tx = NULL;
    /* A full disk or exhausted memory makes SQLite give up the whole transaction: the group is
     * lost. */
    if (sqlite3_get_autocommit(s->writer.handle)) {
        group_finish(s, ERR_UNAVAILABLE);
        return;
    }
    /* Members change only while the turn is held, so this read is ours. */
    if (s->members > 0 && step(s, s->member_undo) == SQLITE_OK &&
        step(s, s->member_release) == SQLITE_OK) {
        turn_give_back(s);
        return;
    }
    bool others = s->members > 0;
    if (!sqlite3_get_autocommit(s->writer.handle))
        step(s, s->rollback);
    if (others) {
        group_finish(s, ERR_UNAVAILABLE);
        return;
    }
    s->group_open = false;
    pthread_mutex_lock(&s->mutex);
    s->finished = s->group;
    turn_pass(s);
    pthread_mutex_unlock(&s->mutex);
}

bool sqlite_park(struct ctx *cx, struct db_waiter *w)
{
    struct sqlite_db *s = sqlite_of(cx);
    pthread_mutex_lock(&s->mutex);
    bool pending = w->ticket > s->finished;
    bool gone = !pending && group_failed(s, w->ticket);
    bool commit = false;
    if (pending) {
        w->next = s->waiters;
        s->waiters = w;
    }
    if (pending && !s->turn_taken) { /* the group was left open, and now somebody wants it */
        s->turn_taken = true;
        commit = w->sleeps;
        s->commit_due = !commit;
        if (s->commit_due)
            pthread_cond_signal(&s->committer_wake);
    }
    pthread_mutex_unlock(&s->mutex);
    if (commit)
        group_finish(s, group_commit(s));
    if (gone)
        w->done(w, ERR_UNAVAILABLE);
    return pending || gone;
}
