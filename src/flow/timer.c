/* timer.c -- durable timers and periodic jobs, each fired by one process at a time. */
#include "flow/timer.h"

#include "base/fault.h"
#include "db/text.h"
#include "obs/log.h"

/* How long a timer that calls out may run before another process may take it. */
#define TIMER_LEASE_US (60 * US_PER_S)
#define JOB_LEASE_US (10 * US_PER_MIN)
#define RUNNING_MAX 32                 /* timers looked at for the next one that nobody runs */
#define JOB_AGAIN_US (200 * US_PER_MS) /* timers, requests and other jobs come in between */

struct due_timer {
    struct str kind;
    struct uuid subject;
    int64_t due_us, attempt;
};

static const struct field due_timer_fields[] = {
    F_STR(struct due_timer, kind, "kind", 0, 0, 100, "what"),
    F_UUID(struct due_timer, subject, "subject", 0, "of whom"),
    F_INT(struct due_timer, due_us, "dueUs", 0, 0, INT64_MAX, "when"),
    F_INT(struct due_timer, attempt, "attempt", 0, 0, INT64_MAX, "tries so far"),
    F_END(struct due_timer),
};

enum err timer_retry(struct ctx *cx, const char *kind, struct uuid subject, int64_t due_us,
                     int64_t attempt)
{
    db_ring_at(cx, due_us);
    return db_exec(cx,
                   "insert into timers (kind, subject, due_us, attempt, lease_until)"
                   " values ($1, $2, $3, $4, 0) on conflict (kind, subject) do update set"
                   " due_us = excluded.due_us, attempt = excluded.attempt, lease_until = 0",
                   ARGS(db_str(str_from(kind)), db_uuid(subject), db_int(due_us), db_int(attempt)));
}

enum err timer_set(struct ctx *cx, const char *kind, struct uuid subject, int64_t due_us)
{
    return timer_retry(cx, kind, subject, due_us, 0);
}

enum err timer_clear(struct ctx *cx, const char *kind, struct uuid subject)
{
    return db_exec(cx, "delete from timers where kind = $1 and subject = $2",
                   ARGS(db_str(str_from(kind)), db_uuid(subject)));
}

static const struct timer_row *find(const struct timer_row *table, struct str kind)
{
    for (const struct timer_row *t = table; t && t->kind; t++)
        if (str_eq(str_from(t->kind), kind))
            return t;
    return NULL;
}

/* Takes the timer away (or leases it) unless somebody moved it since we read it. */
static enum err claim(struct ctx *cx, const struct timer_row *row, const struct due_timer *t,
                      bool *ret_mine)
{
    int64_t changed = 0;

    if (row->calls_out)
        TRY(db_change(cx, &changed,
                      "update timers set lease_until = $4, lease_holder = $6 where kind = $1"
                      " and subject = $2 and due_us = $3 and lease_until <= $5",
                      ARGS(db_str(t->kind), db_uuid(t->subject), db_int(t->due_us),
                           db_int(ctx_now(cx) + TIMER_LEASE_US), db_int(ctx_now(cx)),
                           db_uuid(cx->instance))));
    else
        TRY(db_change(cx, &changed,
                      "delete from timers where kind = $1 and subject = $2 and due_us = $3",
                      ARGS(db_str(t->kind), db_uuid(t->subject), db_int(t->due_us))));
    *ret_mine = changed == 1;
    return ERR_OK;
}

static enum err fire(struct ctx *cx, const struct timer_row *row, const struct due_timer *t,
                     bool *ret_mine)
{
    TRY(db_begin(cx));
    enum err e = claim(cx, row, t, ret_mine);
    if (e == ERR_CONFLICT) { /* somebody took it, or moved it, at the same moment */
        db_rollback(cx);
        return ERR_OK;
    }
    TRY(e);
    if (!*ret_mine || row->calls_out) {
        db_soon(cx);
        TRY(db_commit(cx));
        if (!*ret_mine)
            return ERR_OK;
        /* The lease spares others the work, it is not what makes it happen once: after a crash it
         * fires again anyway. So the first read of the work need not wait for its sync. */
        cx->ticket = 0;
        return row->fire(cx, t->subject, t->attempt);
    }
    if (FAULT("timer.fire"))
        return fail(cx, ERR_UNAVAILABLE, "fault: timer.fire");
    TRY(row->fire(cx, t->subject, t->attempt));
    return db_commit(cx);
}

/* 1, 2, 4 ... 60 s: the timer stays, later; unless somebody has moved it meanwhile, or runs it. */
static void put_off(struct ctx *cx, const struct due_timer *t)
{
    int64_t shift = t->attempt < 6 ? t->attempt : 6;
    int64_t wait_us = (INT64_C(1) << shift) * US_PER_S;

    db_rollback(cx);
    enum err e = db_begin(cx);
    if (e == ERR_OK)
        e = db_exec(cx,
                    "update timers set due_us = $3, attempt = attempt + 1, lease_until = 0"
                    " where kind = $1 and subject = $2 and due_us = $4"
                    " and (lease_until <= $5 or lease_holder = $6)",
                    ARGS(db_str(t->kind), db_uuid(t->subject), db_int(ctx_now(cx) + wait_us),
                         db_int(t->due_us), db_int(ctx_now(cx)), db_uuid(cx->instance)));
    if (e == ERR_OK)
        e = db_commit(cx);
    if (e != ERR_OK)
        db_rollback(cx); /* it is still due: the next round tries again */
}

struct waiting {
    int64_t due_us, lease_until;
};
static const struct field waiting_fields[] = {
    F_INT(struct waiting, due_us, "dueUs", 0, 0, INT64_MAX, "when"),
    F_INT(struct waiting, lease_until, "leaseUntil", 0, 0, INT64_MAX, "running until"),
    F_END(struct waiting),
};

/* The first of their index that nobody runs, or the end of a lease before it: timers are many,
 * those that run just now are few. */
static enum err next_due(struct ctx *cx, int64_t *ret_next_us)
{
    struct list rows = {NULL, 0};
    int64_t next = INT64_MAX;

    TRY(db_all(cx, waiting_fields, &rows,
               "select due_us, lease_until from timers order by due_us limit " DB_TEXT(RUNNING_MAX),
               NO_ARGS));
    for (size_t i = 0; i < rows.n; i++) {
        const struct waiting *w = LIST_AT(struct waiting, rows, i);
        bool runs = w->lease_until > w->due_us;
        int64_t at = runs ? w->lease_until : w->due_us;
        if (at < next)
            next = at;
        if (!runs)
            break;
        if (i + 1 == RUNNING_MAX && next > ctx_now(cx) + US_PER_S)
            next = ctx_now(cx) + US_PER_S; /* there may be others behind them */
    }
    *ret_next_us = next;
    return ERR_OK;
}

enum err timers_run(struct ctx *cx, const struct timer_row *table, size_t max, size_t *ret_fired,
                    int64_t *ret_next_us)
{
    struct list due = {NULL, 0};

    *ret_fired = 0;
    TRY(db_durable(cx));
    TRY(db_all(
        cx, due_timer_fields, &due,
        "select kind, subject, due_us, attempt from timers where due_us <= $1 and lease_until <= $1"
        " order by due_us, kind, subject limit $2",
        ARGS(db_int(ctx_now(cx)), db_int((int64_t)max))));
    for (size_t i = 0; i < due.n; i++) {
        const struct due_timer *t = LIST_AT(struct due_timer, due, i);
        const struct timer_row *row = find(table, t->kind);
        bool mine = false;
        int64_t begun_us = clock_monotonic_us();

        /* One that a later version dropped, or an earlier one does not know yet, waits; others go
         * on. */
        enum err e = row ? fire(cx, row, t, &mine)
                         : fail(cx, ERR_INTERNAL, "no timer of this kind in the table");
        if (e != ERR_OK) {
            log_work(cx, "timer", t->kind, e, 0, clock_monotonic_us() - begun_us);
            put_off(cx, t);
        }
        *ret_fired += mine;
    }
    TRY(db_durable(cx));
    return next_due(cx, ret_next_us);
}

/* If it took longer than its lease, another process may have begun it since. */
static enum err finish_job(struct ctx *cx, const struct job *job, int64_t due_us)
{
    TRY(db_begin(cx));
    TRY(db_exec(
        cx, "update jobs set due_us = $2, lease_until = 0 where name = $1 and lease_holder = $3",
        ARGS(db_str(str_from(job->name)), db_int(due_us), db_uuid(cx->instance))));
    TRY(db_commit(cx));
    return db_durable(cx);
}

/* Of several that ask at the same moment one gets it; for the others that is a conflict, or a row
 * that is not due any more. */
static enum err claim_job(struct ctx *cx, const struct job *job, bool *ret_mine)
{
    int64_t taken = 0, now = ctx_now(cx);

    *ret_mine = false;
    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "insert into jobs (name, due_us, lease_until) values ($1, $2, 0) on conflict "
                "(name) do nothing",
                ARGS(db_str(str_from(job->name)), db_int(now + job->every_us))));
    enum err e = db_change(cx, &taken,
                           "update jobs set lease_until = $2, lease_holder = $4"
                           " where name = $1 and due_us <= $3 and lease_until <= $3",
                           ARGS(db_str(str_from(job->name)), db_int(now + JOB_LEASE_US),
                                db_int(now), db_uuid(cx->instance)));
    if (e == ERR_CONFLICT) {
        db_rollback(cx);
        return ERR_OK;
    }
    TRY(e);
    TRY(db_commit(cx));
    TRY(db_durable(cx));
    *ret_mine = taken == 1;
    return ERR_OK;
}

/* *ret_due_us: when to look again. */
static enum err run_job(struct ctx *cx, const struct job *job, bool *ret_ran, int64_t *ret_due_us)
{
    TRY(claim_job(cx, job, ret_ran));
    *ret_due_us = ctx_now(cx) + job->every_us;
    if (!*ret_ran)
        return db_int_of(cx, ret_due_us,
                         "select case when lease_until > due_us then lease_until else due_us end"
                         " from jobs where name = $1",
                         ARGS(db_str(str_from(job->name))));
    enum err e = job->run(cx);
    if (e != ERR_OK)
        db_rollback(cx);
    if (e == ERR_BUSY)
        *ret_due_us = ctx_now(cx) + JOB_AGAIN_US;
    else if (e != ERR_OK)
        log_work(cx, "job", str_from(job->name), e, 0, 0);
    return finish_job(cx, job, *ret_due_us);
}

/* Only jobs of the table count: the row of a job that a later version dropped is never due. */
enum err jobs_run(struct ctx *cx, const struct job *table, size_t *ret_ran, int64_t *ret_next_us)
{
    *ret_ran = 0;
    *ret_next_us = INT64_MAX;
    for (const struct job *job = table; job && job->name; job++) {
        int64_t due = 0;
        bool ran = false;
        enum err e = db_int_of(cx, &due, "select due_us from jobs where name = $1",
                               ARGS(db_str(str_from(job->name))));

        if (e != ERR_OK && e != ERR_NOT_FOUND)
            return e;
        if (e == ERR_NOT_FOUND || due <= ctx_now(cx)) {
            e = run_job(cx, job, &ran, &due);
            if (e != ERR_OK) {
                db_rollback(cx);
                return e;
            }
        }
        *ret_ran += ran;
        if (due < *ret_next_us)
            *ret_next_us = due;
    }
    return ERR_OK;
}
