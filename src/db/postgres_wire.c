/*
 * postgres_wire.c -- one exchange with the server: commands and a statement in one round trip,
 * until an answer, the deadline, or the loss of the connection.
 *
 * libpq never blocks here: we wait in poll() with the deadline of the work. When that passes, the
 * server is asked to cancel (PQcancel) and given a moment to say so; after that the connection is
 * given up.
 */
#include "db/postgres_server.h"

#include <errno.h>
#include <poll.h>

#define CANCEL_US (500 * US_PER_MS)     /* for the server to say that it cancelled */
#define NO_DEADLINE_US (5 * US_PER_MIN) /* of a statement without one */
#define LAST_WORDS_MAX 8                /* reads of what an idle connection was told */
#define COMMAND_US (10 * US_PER_S)      /* of commit and rollback, whatever the work's deadline */

static bool starts(const char *code, const char *with)
{
    return strncmp(code, with, strlen(with)) == 0;
}

static enum err error_of(const char *code)
{
    static const struct {
        const char *code;
        enum err e;
    } table[] = {
        {"23505", ERR_DUPLICATE},
        {"23", ERR_CONSTRAINT},
        {"40001", ERR_CONFLICT},
        {"40P01", ERR_CONFLICT},
        {"57014", ERR_DEADLINE},
        {"55P03", ERR_BUSY},
        {"53300", ERR_BUSY},
        {"57P", ERR_UNAVAILABLE},
        {"08", ERR_UNAVAILABLE},
        {"53", ERR_UNAVAILABLE},
        {"58", ERR_UNAVAILABLE},
        {"25P03", ERR_UNAVAILABLE},
        {"40003", ERR_UNAVAILABLE},
        {"22021", ERR_INVALID},
        {"22P05", ERR_INVALID},
        {"22001", ERR_TOO_LARGE},
        {"54", ERR_TOO_LARGE},
        {"25006", ERR_UNAVAILABLE}, /* the server is no longer the primary */
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (starts(code, table[i].code))
            return table[i].e;
    return ERR_INTERNAL;
}

/* Prepared under an older schema, or lost by a pooler in between: the next try prepares it anew. */
static bool plan_is_old(const PGresult *r)
{
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *where = PQresultErrorField(r, PG_DIAG_SOURCE_FUNCTION);
    return code && (strcmp(code, "26000") == 0 || (strcmp(code, "0A000") == 0 && where &&
                                                   strcmp(where, "RevalidateCachedQuery") == 0));
}

static enum err server_error(struct ctx *cx, const PGresult *r, const char *what)
{
    const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

    if (!code) /* libpq's own: the connection is gone */
        return fail(cx, ERR_UNAVAILABLE, "postgres: connection lost: %s", what);
    enum err e = plan_is_old(r) ? ERR_CONFLICT : error_of(code);
    return fail(cx, e, "postgres: %s (%s): %s", message ? message : "", code, what);
}

void pg_ahead(struct pg_connection *c, const char *command)
{
    struct pg_ahead *a = &c->ahead[c->n_ahead++];

    assert(c->n_ahead <= PG_AHEAD_MAX && strlen(command) < PG_COMMAND_SIZE);
    a->st = NULL;
    a->is_expected = false;
    snprintf(a->command, sizeof(a->command), "%s", command);
}

/* It would take the transaction's snapshot: not before the isolation level is set, nor before the
 * lock that whoever wants to be alone waits for. */
void pg_ahead_fresh(struct pg_connection *c)
{
    int at = 0;
    while (at < c->n_ahead && !c->ahead[at].st &&
           (starts(c->ahead[at].command, "begin") || starts(c->ahead[at].command, "lock ")))
        at++;
    assert(c->n_ahead < PG_AHEAD_MAX);
    memmove(&c->ahead[at + 1], &c->ahead[at], (size_t)(c->n_ahead - at) * sizeof(c->ahead[0]));
    c->ahead[at] = (struct pg_ahead){.command = "deallocate all"};
    c->n_ahead++;
}

/* False: the deadline passed. A lost connection counts as ready; the next call of libpq says so. */
static bool wait_ready(PGconn *pg, short events, int64_t deadline_us)
{
    struct pollfd fd = {.fd = PQsocket(pg), .events = events};
    for (;;) {
        int64_t left_us = deadline_us - clock_monotonic_us();
        if (left_us <= 0)
            return false;
        int64_t ms = (left_us + US_PER_MS - 1) / US_PER_MS;
        int n = poll(&fd, 1, ms > 60000 ? 60000 : (int)ms);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true;
    }
}

static enum err flush(PGconn *pg, int64_t deadline_us)
{
    int rc;
    while ((rc = PQflush(pg)) == 1) {
        if (!wait_ready(pg, POLLIN | POLLOUT, deadline_us))
            return ERR_DEADLINE;
        if (!PQconsumeInput(pg))
            return ERR_UNAVAILABLE;
    }
    return rc == 0 ? ERR_OK : ERR_UNAVAILABLE;
}

/* Until a result (or the end of one query's results, NULL) is there. */
static enum err next_result(PGconn *pg, int64_t deadline_us, PGresult **ret)
{
    while (PQisBusy(pg)) {
        if (!wait_ready(pg, POLLIN, deadline_us))
            return ERR_DEADLINE;
        if (!PQconsumeInput(pg))
            return ERR_UNAVAILABLE;
    }
    *ret = PQgetResult(pg);
    return ERR_OK;
}

struct exchange_terms {
    int64_t deadline_us;
    bool commits; /* afterwards nobody can say whether it happened, when no answer came */
};

/* One message to the server whose answer is to come. */
struct sent {
    struct pg_statement *st; /* NULL: a command */
    bool is_prepare;
    const struct pg_ahead *ahead; /* what it was, */
    struct pg_asked *asked;       /* or this */
};
struct batch {
    struct sent sent[2 * (PG_AHEAD_MAX + DB_READS_MAX)];
    int n, syncs;
    int place;   /* of the message whose results come now; a cancel goes on from there */
    bool inside; /* some of its results have come */
};

static bool send_statement(PGconn *pg, const struct sent *s, struct db_args args, struct batch *b)
{
    struct pg_statement *st = s->st;
    struct pg_binary bound;

    if (!st->prepared) {
        if (!PQsendPrepare(pg, st->name, st->sql, st->parameters, st->types))
            return false;
        st->prepared = true; /* for what follows; see undo_prepares */
        b->sent[b->n++] = (struct sent){.st = st, .is_prepare = true};
    }
    pg_bind(&bound, args);
    b->sent[b->n++] = *s;
    return PQsendQueryPrepared(pg, st->name, st->parameters, bound.values, bound.lengths,
                               bound.formats, 1) == 1;
}

static bool send_ahead(PGconn *pg, const struct pg_ahead *a, struct batch *b)
{
    if (a->st)
        return send_statement(pg, &(struct sent){.st = a->st, .ahead = a}, a->args, b);
    b->sent[b->n++] = (struct sent){.ahead = a};
    return PQsendQueryParams(pg, a->command, 0, NULL, NULL, NULL, NULL, 1) == 1;
}

static bool sends(struct pg_connection *c, struct pg_asked *asked, size_t n, struct batch *b)
{
    bool ok = PQenterPipelineMode(c->pg) == 1;

    for (int i = 0; i < c->n_ahead && ok; i++)
        ok = send_ahead(c->pg, &c->ahead[i], b);
    for (size_t i = 0; i < n && ok; i++) {
        const struct sent s = {.st = asked[i].st, .asked = &asked[i]};
        ok = send_statement(c->pg, &s, asked[i].args, b);
    }
    b->syncs++;
    return ok && PQpipelineSync(c->pg);
}

/* What comes after a failure was not done, prepares among it. */
static void undo_prepares(const struct batch *b, int from)
{
    for (int i = from; i < b->n; i++)
        if (b->sent[i].is_prepare)
            b->sent[i].st->prepared = false;
}

static bool is_as_expected(const struct pg_ahead *a, PGresult *r)
{
    int64_t changed = -1;

    return !a || !a->is_expected ||
           (str_i64(str_from(PQcmdTuples(r)), 0, INT64_MAX, &changed) && changed == a->expected);
}

/* Takes a result into the answer; the first failure is the one that counts. */
static void take_result(PGresult *r, const struct batch *b, int place, struct pg_answer *a)
{
    ExecStatusType status = PQresultStatus(r);
    bool failed = status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
    struct sent sent = place < b->n ? b->sent[place] : (struct sent){.st = NULL};
    PGresult **to = sent.asked && !sent.is_prepare ? &sent.asked->result : &a->result;

    if (failed && !a->failure) {
        a->failure = r;
        a->fault = sent.st;
        undo_prepares(b, place);
    } else if (failed || status == PGRES_PIPELINE_ABORTED) {
        PQclear(r);
    } else {
        if (!a->surprise && !is_as_expected(sent.ahead, r))
            a->surprise = sent.st;
        PQclear(*to);
        *to = r;
    }
}

/* Reads everything up to the last synchronisation point; after a deadline what is left of it. */
static enum err receive(const struct pg_connection *c, int64_t deadline_us, struct batch *b,
                        struct pg_answer *a)
{
    int ends = 0;

    while (b->syncs > 0) {
        PGresult *r = NULL;
        TRY(next_result(c->pg, deadline_us, &r));
        if (!r) {
            b->place += b->inside;
            b->inside = false;
            if (PQstatus(c->pg) == CONNECTION_BAD || ++ends > 2 * (b->n + 2))
                return ERR_UNAVAILABLE;
        } else if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            b->syncs--;
        } else {
            b->inside = true;
            take_result(r, b, b->place, a);
        }
    }
    return ERR_OK;
}

/* A second thread of the server's ends ours; false: it did not say so in time. */
static bool cancel_and_drain(struct pg_connection *c, struct batch *b, struct pg_answer *a)
{
    return pg_cancel(c->pg, clock_monotonic_us() + CANCEL_US) &&
           receive(c, clock_monotonic_us() + CANCEL_US, b, a) == ERR_OK;
}

/* One try on the connection as it is. ERR_OK: the server answered, if with a failure. */
static enum err exchange_once(struct pg_connection *c, struct pg_asked *asked, size_t n,
                              int64_t deadline_us, struct pg_answer *a)
{
    struct batch b = {.n = 0};
    bool late = false;

    if (!sends(c, asked, n, &b))
        return ERR_UNAVAILABLE;
    enum err e = flush(c->pg, deadline_us);
    if (e == ERR_OK)
        e = receive(c, deadline_us, &b, a);
    if (e == ERR_DEADLINE) {
        late = true;
        e = cancel_and_drain(c, &b, a) ? ERR_OK : ERR_UNAVAILABLE;
        a->silent = e != ERR_OK && PQstatus(c->pg) != CONNECTION_BAD;
    }
    if (e == ERR_OK && PQexitPipelineMode(c->pg) && PQstatus(c->pg) != CONNECTION_BAD)
        return ERR_OK; /* also when it answered before the server heard of the cancel */
    return late ? ERR_DEADLINE : ERR_UNAVAILABLE;
}

static void forget(struct pg_answer *a, struct pg_asked *asked, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        PQclear(asked[i].result);
        asked[i].result = NULL;
    }
    PQclear(a->result);
    PQclear(a->failure);
    *a = (struct pg_answer){.result = NULL};
}

/* Whether the server has said good-bye, or is gone, as far as this side has heard. */
static bool is_dead(PGconn *pg)
{
    struct pollfd fd = {.fd = PQsocket(pg), .events = POLLIN};

    /* Its last words come first, the end after them. */
    for (int i = 0; i < LAST_WORDS_MAX && poll(&fd, 1, 0) > 0; i++)
        if (!PQconsumeInput(pg) || PQstatus(pg) == CONNECTION_BAD)
            return true;
    return false;
}

/*
 * A connection that was idle may have died with the server's last restart: as long as the server
 * has nothing of ours, the same is said again on a new one, once. What commits is not: it may be
 * done. So that is said on a connection only that has been looked at.
 */
static enum err exchange_or_reconnect(struct ctx *cx, struct pg_connection *c,
                                      struct pg_asked *asked, size_t n,
                                      const struct exchange_terms *x, struct pg_answer *a)
{
    for (;;) {
        if (x->commits && c->pg && !c->begun && is_dead(c->pg))
            pg_disconnect(c);
        if (!c->pg)
            TRY(pg_connect(cx, pg_of(cx), c));
        bool may_repeat = !c->begun && !c->fresh && !x->commits;
        c->fresh = false;
        COUNT(cx->db, exchanges);
        enum err e = exchange_once(c, asked, n, x->deadline_us, a);
        if (e == ERR_OK)
            return ERR_OK;
        if (a->silent)
            pg_server_silent(pg_of(cx)->server);
        forget(a, asked, n);
        pg_disconnect(c);
        if (e == ERR_DEADLINE)
            return fail(cx, e, "postgres: no answer before the deadline");
        if (!may_repeat)
            return fail(cx, e, "postgres: the connection was lost");
    }
}

static bool begins(const struct pg_connection *c)
{
    for (int i = 0; i < c->n_ahead; i++)
        if (!c->ahead[i].st && starts(c->ahead[i].command, "begin"))
            return true;
    return false;
}

static bool is_asked(const struct pg_statement *st, const struct pg_asked *asked, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (asked[i].st == st)
            return true;
    return false;
}

static enum err failure_of(struct ctx *cx, struct pg_connection *c, const struct pg_answer *a,
                           bool was_asked)
{
    const char *what = a->fault ? a->fault->sql : "transaction";
    enum err e = server_error(cx, a->failure, what);

    if (a->fault && e == ERR_CONFLICT && plan_is_old(a->failure))
        pg_rename(c, a->fault);
    /* A duplicate that nobody waited for is one of work beside this one, which was faster. */
    if (e == ERR_CONFLICT || (e == ERR_DUPLICATE && !was_asked))
        pg_note_conflict(cx);
    return e;
}

/* *ret, if wanted, is the result of the last command. */
static enum err exchange(struct ctx *cx, struct pg_connection *c, struct pg_asked *asked, size_t n,
                         const struct exchange_terms *x, PGresult **ret)
{
    struct pg_answer a = {.result = NULL};

    enum err e = exchange_or_reconnect(cx, c, asked, n, x, &a);
    if (e != ERR_OK) {
        c->n_ahead = 0;
        return e;
    }
    if (begins(c) && PQtransactionStatus(c->pg) != PQTRANS_IDLE)
        c->begun = true;
    c->n_ahead = 0;
    if (a.failure)
        e = failure_of(cx, c, &a, is_asked(a.fault, asked, n));
    /* Answers come in order: what was not as expected came first, and the failure may follow from
     * it. */
    if (a.surprise && (!a.failure || e == ERR_DUPLICATE || e == ERR_CONSTRAINT))
        e = db_unexpected(cx, a.surprise->sql);
    if (e == ERR_OK && ret) {
        *ret = a.result;
        a.result = NULL;
    }
    forget(&a, asked, e == ERR_OK ? 0 : n);
    return e;
}

enum err pg_exchange(struct ctx *cx, struct pg_connection *c, struct pg_asked *asked, size_t n)
{
    int64_t now = clock_monotonic_us();
    if (cx->deadline_us && cx->deadline_us <= now)
        return fail(cx, ERR_DEADLINE, "postgres: the deadline has passed");
    const struct exchange_terms x = {cx->deadline_us ? cx->deadline_us : now + NO_DEADLINE_US,
                                     false};
    return exchange(cx, c, asked, n, &x, NULL);
}

enum err pg_exchange_once(struct ctx *cx, struct pg_connection *c, struct pg_asked *asked)
{
    const struct exchange_terms x = {clock_monotonic_us() + COMMAND_US, true};

    return exchange(cx, c, asked, 1, &x, NULL);
}

enum err pg_defer(struct ctx *cx, struct pg_connection *c, struct pg_statement *st,
                  const struct db_query *q)
{
    struct db_value *v = arena_array(cx->arena, q->args.n, sizeof(*v));

    /* A command of each kind still has room beside it. */
    if (c->n_ahead >= PG_AHEAD_MAX - 4)
        TRY(pg_exchange(cx, c, NULL, 0));
    if (q->args.n)
        memcpy(v, q->args.v, q->args.n * sizeof(*v));
    for (size_t i = 0; i < q->args.n; i++)
        if (v[i].type == DB_STR)
            v[i].s = arena_copy(cx->arena, v[i].s);
    c->ahead[c->n_ahead++] = (struct pg_ahead){
        .st = st, .args = {v, q->args.n}, .is_expected = q->is_expected, .expected = q->changed};
    return ERR_OK;
}

enum err pg_rollback(struct ctx *cx, struct pg_connection *c)
{
    const struct exchange_terms x = {clock_monotonic_us() + COMMAND_US, false};

    pg_ahead(c, "rollback");
    return exchange(cx, c, NULL, 0, &x, NULL);
}

/* Nothing but statements: what the server gets in one exchange it does as a whole or not at all. */
static bool needs_no_begin(struct pg_connection *c)
{
    int begin = -1;

    for (int i = 0; i < c->n_ahead; i++) {
        if (c->ahead[i].st || starts(c->ahead[i].command, "deallocate"))
            continue;
        if (begin >= 0 || !starts(c->ahead[i].command, "begin"))
            return false;
        begin = i;
    }
    if (c->begun || begin < 0)
        return false;
    c->n_ahead--;
    memmove(&c->ahead[begin], &c->ahead[begin + 1],
            (size_t)(c->n_ahead - begin) * sizeof(c->ahead[0]));
    return true;
}

static bool expects(const struct pg_connection *c)
{
    for (int i = 0; i < c->n_ahead; i++)
        if (c->ahead[i].is_expected)
            return true;
    return false;
}

enum err pg_commit(struct ctx *cx, struct pg_connection *c)
{
    const struct exchange_terms x = {clock_monotonic_us() + COMMAND_US, true};
    PGresult *r = NULL;

    if (expects(c)) /* before anything is for good */
        TRY(pg_exchange(cx, c, NULL, 0));
    if (needs_no_begin(c))
        return exchange(cx, c, NULL, 0, &x, NULL);
    pg_ahead(c, "commit");
    enum err e = exchange(cx, c, NULL, 0, &x, &r);
    /* The commit of a transaction that had failed is answered with ROLLBACK, not with an error. */
    if (e == ERR_OK && strcmp(r ? PQcmdStatus(r) : "", "COMMIT") != 0)
        e = fail(cx, ERR_INTERNAL, "postgres: a failed transaction was committed");
    PQclear(r);
    return e;
}

enum err pg_simple(struct ctx *cx, struct pg_connection *c, const char *sql)
{
    const struct batch alone = {.n = 0};
    int64_t deadline_us = cx->deadline_us ? cx->deadline_us : clock_monotonic_us() + NO_DEADLINE_US;
    struct pg_answer a = {.result = NULL};
    PGresult *r = NULL;
    enum err e = ERR_OK;

    if (!c->pg || c->n_ahead > 0)
        TRY(pg_exchange(cx, c, NULL, 0));
    if (!PQsendQuery(c->pg, sql))
        e = ERR_UNAVAILABLE;
    if (e == ERR_OK)
        e = flush(c->pg, deadline_us);
    while (e == ERR_OK && (e = next_result(c->pg, deadline_us, &r)) == ERR_OK && r)
        take_result(r, &alone, 0, &a);
    if (a.failure)
        e = server_error(cx, a.failure, "script");
    else if (e != ERR_OK)
        e = fail(cx, e, "postgres: a script did not end");
    if (e == ERR_CONFLICT)
        pg_note_conflict(cx);
    forget(&a, NULL, 0);
    if (e == ERR_DEADLINE || PQstatus(c->pg) == CONNECTION_BAD)
        pg_disconnect(c);
    return e;
}
