/*
 * postgres.c -- the PostgreSQL driver: statements, transactions, opening and closing.
 *
 * A transaction holds a connection from db_begin on, but says nothing to the server before its
 * first statement: begin, savepoints and whatever else has no answer of interest go out with the
 * next statement that has one. One that never had to wait for an answer goes out at its commit, in
 * one exchange, which the server commits as a whole without being told to.
 *
 * Work that came into conflict is run again by its caller, on the same thread; when that goes wrong
 * as well, its next transaction takes the whole database for itself: the lock on jumun_turn. Others
 * hold that in a mode that does not exclude each other, for a while after any conflict in this
 * process; those that began before do not, nor those of processes that saw none, so that it takes a
 * further try now and then. A commit is durable when it returns; there is nothing to wait for
 * afterwards.
 */
#include "db/postgres_replica.h"

#include "base/fault.h"

#define READERS_DEFAULT 8
#define WRITERS 4 /* connections beside those for readers */

#define TURN_SHARED "lock table jumun_turn in row share mode"
#define TURN_ALONE "lock table jumun_turn in exclusive mode"

/* Whoever wants a table alone stands in line, and everybody else behind: not for long. */
#define LOCK_TIMEOUT "1s"

/* This transaction's commit does not wait for the disk. */
#define SOON "select set_config('synchronous_commit', 'off', true)"

#define CONFLICTS_BEFORE_ALONE 2
#define CONTENDED_US US_PER_S /* after a conflict, everybody asks for their turn */

/* How often in a row this thread's transactions came into conflict, and in which database. */
static _Thread_local const struct db *in_conflict;
static _Thread_local int conflicts;

static struct pg_connection *connection_of(const struct ctx *cx)
{
    return (struct pg_connection *)cx->tx;
}

static void note_contended(struct pg_db *p)
{
    atomic_store(&p->contended_until_us, clock_monotonic_us() + CONTENDED_US);
}

void pg_note_conflict(const struct ctx *cx)
{
    if (!cx->tx)
        return;
    conflicts = in_conflict == cx->db ? conflicts + 1 : 1;
    in_conflict = cx->db;
    note_contended(pg_of(cx));
}

void pg_rename(struct pg_connection *c, struct pg_statement *st)
{
    st->prepared = false;
    snprintf(st->name, sizeof(st->name), "s%llu", (unsigned long long)++c->names);
}

static void statement_free(struct pg_statement *st)
{
    free(st->sql);
    free(st->plan);
    free(st);
}

void pg_statements_drop(struct pg_connection *c)
{
    for (size_t i = 0; i < PG_STATEMENT_SLOTS; i++) {
        while (c->slots[i]) {
            struct pg_statement *st = c->slots[i];
            c->slots[i] = st->next;
            statement_free(st);
        }
    }
}

/* The server forgets it too, unless there is no room to say so; then with the connection. */
static void deallocate(struct pg_connection *c, const struct pg_statement *st)
{
    char command[PG_COMMAND_SIZE];
    if (!st->prepared || c->n_ahead > PG_AHEAD_MAX / 2)
        return;
    snprintf(command, sizeof(command), "deallocate %s", st->name);
    pg_ahead(c, command);
}

static void statement_evict(struct pg_connection *c)
{
    struct pg_statement **oldest = NULL;
    for (size_t i = 0; i < PG_STATEMENT_SLOTS; i++)
        for (struct pg_statement **at = &c->slots[i]; *at; at = &(*at)->next)
            if (!oldest || (*at)->last_used < (*oldest)->last_used)
                oldest = at;
    if (!oldest)
        return;
    struct pg_statement *st = *oldest;
    *oldest = st->next;
    deallocate(c, st);
    statement_free(st);
    c->cached--;
}

/*
 * Each parameter has the type of its argument, not what the server would guess from the text (an
 * int4 beside a constant). A parameter that has been null so far gets its type when it has one.
 */
static void statement_types(struct pg_connection *c, struct pg_statement *st, struct db_args args)
{
    bool differs = (size_t)st->parameters != args.n;
    for (size_t i = 0; i < args.n; i++) {
        Oid type = pg_type(args.v[i].type);
        if (type && st->types[i] != type) {
            st->types[i] = type;
            differs = true;
        }
    }
    st->parameters = (int)args.n;
    if (differs && st->prepared) {
        deallocate(c, st);
        pg_rename(c, st);
    }
}

static struct pg_statement *statement_get(struct pg_connection *c, const char *sql,
                                          struct db_args args)
{
    uint64_t hash = str_hash(str_from(sql));
    struct pg_statement **slot = &c->slots[hash & (PG_STATEMENT_SLOTS - 1)], *st = *slot;

    assert(args.n <= PG_PARAMETERS_MAX);
    while (st && (st->hash != hash || strcmp(st->sql, sql) != 0))
        st = st->next;
    if (!st) {
        if (c->cached == PG_STATEMENTS_MAX)
            statement_evict(c);
        st = calloc(1, sizeof(*st));
        if (!st || !(st->sql = strdup(sql)))
            abort();
        st->hash = hash;
        st->next = *slot;
        *slot = st;
        c->cached++;
        pg_rename(c, st);
    }
    st->last_used = ++c->uses;
    statement_types(c, st, args);
    return st;
}

/* The answers, in their order; also when one of them cannot be taken, all are cleared. */
static enum err take_answers(struct ctx *cx, struct pg_asked *asked, struct db_query *queries,
                             size_t n)
{
    enum err e = ERR_OK;

    for (size_t i = 0; i < n; i++) {
        queries[i].used_before = cx->arena->used;
        if (e == ERR_OK)
            e = asked[i].result
                    ? pg_rows(cx, asked[i].st, asked[i].result, &queries[i])
                    : fail(cx, ERR_UNAVAILABLE, "postgres: no answer: %s", queries[i].sql);
        PQclear(asked[i].result);
    }
    return e;
}

enum err pg_run_on(struct ctx *cx, struct pg_connection *c, struct db_query *queries, size_t n)
{
    struct pg_asked asked[DB_READS_MAX];

    assert(n <= DB_READS_MAX);
    for (size_t i = 0; i < n; i++)
        asked[i] = (struct pg_asked){statement_get(c, queries[i].sql, queries[i].args),
                                     queries[i].args, NULL};
    TRY(pg_exchange(cx, c, asked, n));
    return take_answers(cx, asked, queries, n);
}

static enum err postgres_run_several(struct ctx *cx, struct db_query *queries, size_t n)
{
    struct pg_db *p = pg_of(cx);
    struct pg_connection *c = NULL;

    if (cx->tx)
        return pg_run_on(cx, connection_of(cx), queries, n);
    if (cx->old_ok && p->replicas && pg_replicas_run(cx, p->replicas, queries, n))
        return ERR_OK;
    TRY(pg_take(cx, p, &c));
    enum err e = pg_run_on(cx, c, queries, n);
    /* An older plan: nothing happened yet, so that nobody has to hear of it. */
    if (e == ERR_CONFLICT && queries[0].rows == 0)
        e = pg_run_on(cx, c, queries, n);
    pg_give_back(p, c);
    return e;
}

static enum err postgres_run(struct ctx *cx, struct db_query *q)
{
    struct pg_connection *c = connection_of(cx);

    if (cx->tx && q->want == WANT_NOTHING && cx->tx->savepoints == 0)
        return pg_defer(cx, c, statement_get(c, q->sql, q->args), q);
    int64_t expected = q->changed;
    TRY(postgres_run_several(cx, q, 1));
    return q->is_expected && q->changed != expected ? db_unexpected(cx, q->sql) : ERR_OK;
}

static enum err defer_soon(struct ctx *cx, struct pg_connection *c)
{
    const struct db_query q = {.sql = SOON};

    return pg_defer(cx, c, statement_get(c, SOON, NO_ARGS), &q);
}

static enum err postgres_once(struct ctx *cx, struct db_query *q, bool soon)
{
    struct pg_db *p = pg_of(cx);
    struct pg_connection *c = NULL;

    if (FAULT("db.commit.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault db.commit.before");
    TRY(pg_take(cx, p, &c));
    enum err e = soon ? defer_soon(cx, c) : ERR_OK;
    struct pg_asked asked = {statement_get(c, q->sql, q->args), q->args, NULL};
    if (e == ERR_OK)
        e = pg_exchange_once(cx, c, &asked);
    if (e == ERR_OK)
        e = take_answers(cx, &asked, q, 1);
    if (e == ERR_OK && FAULT("db.commit.after"))
        e = fail(cx, ERR_UNAVAILABLE, "fault db.commit.after");
    pg_give_back(p, c);
    TRY(e);
    COUNT(cx->db, commits);
    COUNT(cx->db, groups);
    return ERR_OK;
}

static enum err postgres_begin(struct ctx *cx)
{
    struct pg_db *p = pg_of(cx);
    struct pg_connection *c = NULL;

    if (FAULT("db.begin"))
        return fail(cx, ERR_UNAVAILABLE, "fault db.begin");
    TRY(pg_take(cx, p, &c));
    pg_ahead(c, "begin");
    if (in_conflict == cx->db && conflicts >= CONFLICTS_BEFORE_ALONE) {
        pg_ahead(c, TURN_ALONE);
        note_contended(p);
    } else if (clock_monotonic_us() < atomic_load(&p->contended_until_us)) {
        pg_ahead(c, TURN_SHARED);
    }
    cx->tx = &c->tx;
    return ERR_OK;
}

static void transaction_end(struct ctx *cx, struct pg_connection *c)
{
    cx->tx = NULL;
    c->begun = false;
    c->n_ahead = 0;
    pg_give_back(pg_of(cx), c);
}

static void end_failed(struct ctx *cx, struct pg_connection *c)
{
    struct story story = cx->story; /* why it came to this is what counts */

    c->n_ahead = 0;
    if (pg_rollback(cx, c) != ERR_OK)
        pg_disconnect(c); /* the server rolls back what it cannot talk about */
    cx->story = story;
}

static void postgres_rollback(struct ctx *cx)
{
    struct pg_connection *c = connection_of(cx);

    if (c->begun)
        end_failed(cx, c);
    transaction_end(cx, c);
}

static bool has_work(const struct pg_connection *c)
{
    for (int i = 0; i < c->n_ahead; i++)
        if (c->ahead[i].st)
            return true;
    return false;
}

static enum err postgres_commit(struct ctx *cx)
{
    struct pg_connection *c = connection_of(cx);
    struct db_rings rings = cx->tx->rings;
    enum err e = ERR_OK;

    if (FAULT("db.commit.before")) {
        postgres_rollback(cx);
        return fail(cx, ERR_UNAVAILABLE, "fault db.commit.before");
    }
    bool has_something = c->begun || has_work(c);
    if (has_something && cx->tx->soon)
        e = defer_soon(cx, c);
    if (has_something && e == ERR_OK)
        e = pg_commit(cx, c);
    if (e != ERR_OK && c->pg && PQtransactionStatus(c->pg) != PQTRANS_IDLE)
        end_failed(cx, c);
    if (e == ERR_DEADLINE)
        e = fail(cx, ERR_UNAVAILABLE, "postgres: no answer to a commit");
    if (e == ERR_OK && FAULT("db.commit.after"))
        e = fail(cx, ERR_UNAVAILABLE, "fault db.commit.after");
    transaction_end(cx, c);
    TRY(e);
    in_conflict = NULL;
    cx->ticket = 0;
    COUNT(cx->db, commits);
    COUNT(cx->db, groups);
    db_announce(cx->db, &rings);
    return ERR_OK;
}

static enum err postgres_script(struct ctx *cx, const char *sql)
{
    struct pg_connection *c = connection_of(cx);

    /* Alone, when it comes first: starting processes change a schema one after another. */
    bool alone = c->begun;
    for (int i = 0; i < c->n_ahead && !alone; i++) {
        alone = !c->ahead[i].st && strncmp(c->ahead[i].command, "lock ", 5) == 0;
        if (alone)
            memcpy(c->ahead[i].command, TURN_ALONE, sizeof(TURN_ALONE));
    }
    if (!alone && pg_of(cx)->has_turn)
        pg_ahead(c, TURN_ALONE);
    pg_ahead(c, "set local lock_timeout = '" LOCK_TIMEOUT "'");
    return pg_simple(cx, c, pg_script(cx, sql));
}

static enum err postgres_savepoint(struct ctx *cx, enum db_savepoint_verb verb, const char *name)
{
    static const char *const verbs[] = {"savepoint", "release", "rollback to"};
    struct pg_connection *c = connection_of(cx);
    char command[PG_COMMAND_SIZE];

    assert(!strchr(name, '"'));
    /* A failure of what was before it is not the savepoint's to mend. */
    if (has_work(c) || c->n_ahead >= PG_AHEAD_MAX - 2)
        TRY(pg_exchange(cx, c, NULL, 0));
    /* What is rolled back to stays as an empty savepoint; one of the same name hides it. */
    snprintf(command, sizeof(command), "%s \"s_%s\"", verbs[verb], name);
    pg_ahead(c, command);
    return ERR_OK;
}

static bool postgres_park(struct ctx *cx, struct db_waiter *w)
{
    (void)cx;
    (void)w;
    return false;
}

static enum err postgres_backup(struct ctx *cx, const char *path)
{
    return fail(cx, ERR_INVALID, "%s: a PostgreSQL server is backed up by its own means (pg_dump)",
                path);
}

static void postgres_close(struct db *db)
{
    struct pg_db *p = (struct pg_db *)db;
    pg_replicas_close(p->replicas);
    pg_pool_close(p);
    pg_url_free(p);
    free(p);
}

static bool name_is_plain(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && name[n] == '\0' && strncmp(name, "pg_", 3) != 0;
}

static enum err postgres_open(struct ctx *cx, const char *location, const char *name,
                              const struct db_options *options, struct db **ret)
{
    if (!name_is_plain(name))
        return fail(cx, ERR_INVALID, "%s cannot be the name of a schema", name);
    struct pg_db *p = calloc(1, sizeof(*p));
    if (!p)
        abort();
    p->base.driver = &db_postgres;
    snprintf(p->base.name, sizeof(p->base.name), "%s", name);
    p->options = *options;
    p->connections_max =
        (options->readers_max > 0 ? options->readers_max : READERS_DEFAULT) + WRITERS;
    if (options->connections_max > 0)
        p->connections_max = options->connections_max;
    enum err e = pg_url_read(cx, p, arena_printf(cx->arena, "postgres%s", location).p);
    pg_pool_open(p);
    if (e == ERR_OK)
        e = pg_schema_make(cx, p);
    if (e == ERR_OK && options->replicas)
        e = pg_replicas_open(cx, p, options->replicas, options->replica_lag_us, &p->replicas);
    if (e != ERR_OK) {
        postgres_close(&p->base);
        return e;
    }
    *ret = &p->base;
    return ERR_OK;
}

const struct db_driver db_postgres = {
    .engine = "postgres",
    .shared = true,
    .scheme = "postgres",
    .open = postgres_open,
    .close = postgres_close,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .rollback = postgres_rollback,
    .run = postgres_run,
    .run_several = postgres_run_several,
    .once = postgres_once,
    .script = postgres_script,
    .online = pg_online,
    .savepoint = postgres_savepoint,
    .park = postgres_park,
    .backup = postgres_backup,
    .probe = pg_probe,
    .probe_replica = pg_probe_replica,
};
