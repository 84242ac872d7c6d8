/* db.c -- the front of the database port: values, nesting, failed transactions, reads together. */
#include "db/driver.h"

#include <pthread.h>

static const struct db_driver *const drivers[] = {&db_sqlite, &db_postgres};

struct db_value db_null(void)
{
    return (struct db_value){.type = DB_NULL};
}

struct db_value db_int(int64_t v)
{
    return (struct db_value){.type = DB_INT, .i = v};
}

struct db_value db_bool(bool v)
{
    return db_int(v ? 1 : 0);
}

struct db_value db_str(struct str s)
{
    return s.p ? (struct db_value){.type = DB_STR, .s = s} : db_null();
}

struct db_value db_uuid(struct uuid u)
{
    return uuid_is_nil(u) ? db_null() : (struct db_value){.type = DB_UUID, .u = u};
}

struct db_value db_opt_int(bool has, int64_t v)
{
    return has ? db_int(v) : db_null();
}

static const struct db_driver *driver_of(struct ctx *cx, const char *url)
{
    for (size_t i = 0; i < COUNT_OF(drivers); i++)
        if (strncmp(url, drivers[i]->scheme, strlen(drivers[i]->scheme)) == 0)
            return drivers[i];
    (void)fail(cx, ERR_INVALID,
               "no database driver for this URL's scheme (sqlite:DIR, postgres://...)");
    return NULL;
}

enum err db_open(struct ctx *cx, const char *url, const char *name,
                 const struct db_options *options, struct db **ret)
{
    if (strlen(name) >= sizeof(*ret)->name)
        return fail(cx, ERR_INVALID, "the name %s is too long for a database", name);
    const struct db_driver *d = driver_of(cx, url);
    if (d && options->replicas && !d->shared)
        return fail(cx, ERR_INVALID, "a %s database has no replicas", d->engine);
    return d ? d->open(cx, url + strlen(d->scheme), name, options, ret) : ERR_INVALID;
}

bool db_replica_next(struct str *list, struct str *ret_url)
{
    size_t n = str_find(*list, STR(",postgres"));

    if (n == SIZE_MAX)
        n = list->n;
    *ret_url = str_trim((struct str){list->p, n});
    *list = n < list->n ? (struct str){list->p + n + 1, list->n - n - 1} : STR("");
    return ret_url->n > 0;
}

enum err db_probe(struct ctx *cx, const char *url, const char *const *names, struct str *ret)
{
    const struct db_driver *d = driver_of(cx, url);
    *ret = STR("files");
    if (!d)
        return ERR_INVALID;
    return d->probe ? d->probe(cx, url + strlen(d->scheme), names, ret) : ERR_OK;
}

enum err db_probe_replica(struct ctx *cx, const char *url, const char *replica, int64_t lag_max_us,
                          struct str *ret)
{
    const struct db_driver *d = driver_of(cx, url);
    if (!d)
        return ERR_INVALID;
    if (!d->probe_replica)
        return fail(cx, ERR_INVALID, "only a PostgreSQL --database has replicas");
    return d->probe_replica(cx, url + strlen(d->scheme), replica, lag_max_us, ret);
}

void db_close(struct db *db)
{
    if (db)
        db->driver->close(db);
}

bool db_in_transaction(const struct ctx *cx)
{
    return cx->tx != NULL;
}

enum err db_begin(struct ctx *cx)
{
    if (cx->tx) {
        if (cx->tx->failed)
            return fail(cx, ERR_INTERNAL, "the transaction has failed already");
        cx->tx->depth++;
        return ERR_OK;
    }
    cx->old_ok = false;
    TRY(cx->db->driver->begin(cx));
    cx->tx->depth = 1;
    cx->tx->failed = false;
    cx->tx->rings = DB_RINGS_NONE;
    cx->tx->soon = false;
    cx->tx->mended_by = 0;
    cx->tx->savepoints = 0;
    return ERR_OK;
}

enum err db_commit(struct ctx *cx)
{
    assert(cx->tx && "db_commit without db_begin");
    if (cx->tx->failed) {
        db_rollback(cx);
        return fail(cx, ERR_INTERNAL, "commit of a transaction in which a statement failed");
    }
    if (--cx->tx->depth > 0)
        return ERR_OK;
    assert(cx->tx->savepoints == 0 && "a savepoint is still open");
    return cx->db->driver->commit(cx);
}

void db_rollback(struct ctx *cx)
{
    if (!cx->tx)
        return;
    COUNT(cx->db, rollbacks);
    cx->db->driver->rollback(cx);
}

/* What came of a statement inside a transaction: after most failures only a rollback may follow. */
static enum err tx_note(struct ctx *cx, enum err e)
{
    struct db_tx *tx = cx->tx;
    if (tx && e != ERR_OK && !tx->failed) {
        tx->failed = true;
        tx->mended_by = e == ERR_DUPLICATE || e == ERR_CONSTRAINT ? tx->savepoints : 0;
    }
    return e;
}

static enum err check_may_run(struct ctx *cx, const char *sql)
{
    if (cx->tx && cx->tx->failed)
        return fail(cx, ERR_INTERNAL, "the transaction has failed already: %s", sql);
    if (cx->tx)
        return ERR_OK;
    if (!str_starts(str_from(sql), STR("select ")) && !str_starts(str_from(sql), STR("with ")))
        return fail(cx, ERR_INTERNAL, "a write outside a transaction: %s", sql);
    /* Whoever wrote reads what they wrote, and readers see durable groups only. */
    return db_durable(cx);
}

static enum err run(struct ctx *cx, struct db_query *q)
{
    TRY(check_may_run(cx, q->sql));
    COUNT(cx->db, statements);
    return tx_note(cx, cx->db->driver->run(cx, q));
}

enum err db_unexpected(struct ctx *cx, const char *sql)
{
    return fail(cx, ERR_CONFLICT, "it was otherwise meanwhile: %s", sql);
}

enum err db_exec(struct ctx *cx, const char *sql, struct db_args args)
{
    struct db_query q = {.sql = sql, .args = args, .want = WANT_NOTHING};
    return run(cx, &q);
}

enum err db_expect(struct ctx *cx, int64_t rows, const char *sql, struct db_args args)
{
    struct db_query q = {
        .sql = sql, .args = args, .want = WANT_NOTHING, .changed = rows, .is_expected = true};
    assert(cx->tx);
    return run(cx, &q);
}

static enum err once_by_hand(struct ctx *cx, struct db_query *q)
{
    enum err e = db_begin(cx); /* a driver without `once` has nothing to gain from db_soon */

    if (e == ERR_OK)
        e = run(cx, q);
    if (e == ERR_OK)
        e = db_commit(cx);
    db_rollback(cx);
    return e;
}

static enum err once(struct ctx *cx, int64_t *ret_rows, const char *sql, struct db_args args,
                     bool soon)
{
    struct db_query q = {.sql = sql, .args = args, .want = WANT_CHANGES};

    assert(!cx->tx && "a transaction of its own inside another");
    if (cx->db->driver->once) {
        COUNT(cx->db, statements);
        TRY(cx->db->driver->once(cx, &q, soon));
    } else {
        TRY(once_by_hand(cx, &q));
    }
    *ret_rows = q.changed;
    return ERR_OK;
}

enum err db_once(struct ctx *cx, int64_t *ret_rows, const char *sql, struct db_args args)
{
    return once(cx, ret_rows, sql, args, false);
}

enum err db_once_soon(struct ctx *cx, int64_t *ret_rows, const char *sql, struct db_args args)
{
    return once(cx, ret_rows, sql, args, true);
}

enum err db_change(struct ctx *cx, int64_t *ret_rows, const char *sql, struct db_args args)
{
    struct db_query q = {.sql = sql, .args = args, .want = WANT_CHANGES};
    TRY(run(cx, &q));
    *ret_rows = q.changed;
    return ERR_OK;
}

enum err db_one(struct ctx *cx, const struct field *fields, void *out, const char *sql,
                struct db_args args)
{
    struct db_query q = {.sql = sql, .args = args, .want = WANT_ONE, .fields = fields, .out = out};
    TRY(run(cx, &q));
    return q.rows ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no row: %s", sql);
}

enum err db_all(struct ctx *cx, const struct field *fields, struct list *out, const char *sql,
                struct db_args args)
{
    struct list rows = {NULL, 0};
    struct db_query q = {.sql = sql,
                         .args = args,
                         .want = WANT_ALL,
                         .fields = fields,
                         .out = &rows,
                         .used_before = cx->arena->used};
    TRY(run(cx, &q));
    *out = rows;
    return ERR_OK;
}

enum err db_int_of(struct ctx *cx, int64_t *out, const char *sql, struct db_args args)
{
    struct db_query q = {.sql = sql, .args = args, .want = WANT_INT, .out = out};
    TRY(run(cx, &q));
    return q.rows ? ERR_OK : fail(cx, ERR_NOT_FOUND, "no row: %s", sql);
}

enum err db_script(struct ctx *cx, const char *sql)
{
    if (cx->tx && cx->tx->failed)
        return fail(cx, ERR_INTERNAL, "the transaction has failed already");
    if (cx->tx)
        return tx_note(cx, cx->db->driver->script(cx, sql));
    TRY(db_begin(cx));
    enum err e = cx->db->driver->script(cx, sql);
    if (e != ERR_OK) {
        db_rollback(cx);
        return e;
    }
    TRY(db_commit(cx));
    return db_durable(cx);
}

static struct db_query query_of(const struct db_read *r, struct list *rows)
{
    struct db_query q = {.sql = r->sql, .args = r->args, .fields = r->fields};

    *rows = (struct list){NULL, 0};
    q.want = r->one ? WANT_ONE : r->all ? WANT_ALL : WANT_INT;
    q.out = r->one ? r->one : r->all ? (void *)rows : (void *)r->number;
    return q;
}

static enum err run_several(struct ctx *cx, struct db_query *queries, size_t n)
{
    const struct db_driver *d = cx->db->driver;

    if (d->run_several)
        return d->run_several(cx, queries, n);
    for (size_t i = 0; i < n; i++) {
        queries[i].used_before = cx->arena->used;
        TRY(d->run(cx, &queries[i]));
    }
    return ERR_OK;
}

enum err db_read(struct ctx *cx, struct db_read *reads, size_t n)
{
    struct db_query queries[DB_READS_MAX];
    struct list rows[DB_READS_MAX];

    assert(n <= DB_READS_MAX);
    for (size_t i = 0; i < n; i++) {
        TRY(check_may_run(cx, reads[i].sql));
        COUNT(cx->db, statements);
        queries[i] = query_of(&reads[i], &rows[i]);
    }
    TRY(tx_note(cx, run_several(cx, queries, n)));
    for (size_t i = 0; i < n; i++) {
        reads[i].rows = queries[i].rows;
        if (reads[i].all)
            *reads[i].all = rows[i];
    }
    return ERR_OK;
}

enum err db_online(struct ctx *cx, const char *sql)
{
    assert(!cx->tx && "an index that is built online would wait for its own transaction");
    return cx->db->driver->online ? cx->db->driver->online(cx, sql) : db_script(cx, sql);
}

/* 1-based place of the innermost savepoint of that name. */
static int savepoint_find(const struct db_tx *tx, const char *name)
{
    for (int i = tx->savepoints; i > 0; i--)
        if (strcmp(tx->names[i - 1], name) == 0)
            return i;
    return 0;
}

enum err db_savepoint(struct ctx *cx, const char *name)
{
    struct db_tx *tx = cx->tx;
    assert(tx && "db_savepoint outside a transaction");
    assert(tx->savepoints < DB_SAVEPOINTS_MAX && strlen(name) < DB_SAVEPOINT_NAME_SIZE);
    if (tx->failed)
        return fail(cx, ERR_INTERNAL, "the transaction has failed already");
    TRY(tx_note(cx, cx->db->driver->savepoint(cx, SAVEPOINT_SET, name)));
    memcpy(tx->names[tx->savepoints++], name, strlen(name) + 1);
    return ERR_OK;
}

enum err db_savepoint_release(struct ctx *cx, const char *name)
{
    struct db_tx *tx = cx->tx;
    assert(tx && "db_savepoint_release outside a transaction");
    int at = savepoint_find(tx, name);
    assert(at && "no such savepoint");
    if (tx->failed)
        return fail(cx, ERR_INTERNAL, "the transaction has failed already");
    TRY(tx_note(cx, cx->db->driver->savepoint(cx, SAVEPOINT_RELEASE, name)));
    tx->savepoints = at - 1;
    return ERR_OK;
}

void db_savepoint_rollback(struct ctx *cx, const char *name)
{
    struct db_tx *tx = cx->tx;
    if (!tx)
        return;
    int at = savepoint_find(tx, name);
    assert(at && "no such savepoint");
    tx->savepoints = at - 1;
    if (tx->failed && at > tx->mended_by)
        return; /* only the rollback of everything helps */
    enum err e = cx->db->driver->savepoint(cx, SAVEPOINT_UNDO, name);
    tx->failed = e != ERR_OK;
    tx->mended_by = 0;
}

struct durable_wait {
    struct db_waiter waiter; /* first: done() casts back */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool over;
    enum err result;
};

static void durable_done(struct db_waiter *w, enum err e)
{
    struct durable_wait *d = (struct durable_wait *)w;
    pthread_mutex_lock(&d->mutex);
    d->over = true;
    d->result = e;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->mutex);
}

enum err db_durable(struct ctx *cx)
{
    assert(!cx->tx && "waiting for durability inside a transaction would wait for itself");
    if (!cx->ticket)
        return ERR_OK;
    struct durable_wait d = {.waiter = {.done = durable_done, .sleeps = true}};
    pthread_mutex_init(&d.mutex, NULL);
    pthread_cond_init(&d.wake, NULL);
    if (db_park(cx, &d.waiter)) {
        pthread_mutex_lock(&d.mutex);
        while (!d.over)
            pthread_cond_wait(&d.wake, &d.mutex);
        pthread_mutex_unlock(&d.mutex);
    }
    pthread_cond_destroy(&d.wake);
    pthread_mutex_destroy(&d.mutex);
    return d.result == ERR_OK ? ERR_OK : fail(cx, d.result, "the group's commit failed");
}

bool db_park(struct ctx *cx, struct db_waiter *w)
{
    if (!cx->ticket)
        return false;
    w->db = cx->db;
    w->ticket = cx->ticket;
    w->next = NULL;
    return cx->db->driver->park(cx, w);
}

void db_soon(struct ctx *cx)
{
    assert(cx->tx);
    cx->tx->soon = true;
}

void db_ring(struct ctx *cx)
{
    assert(cx->tx);
    cx->tx->rings.now = true;
}

void db_ring_at(struct ctx *cx, int64_t at_us)
{
    assert(cx->tx);
    db_rings_add(&cx->tx->rings, &(struct db_rings){false, at_us});
}

void db_rings_add(struct db_rings *to, const struct db_rings *more)
{
    to->now |= more->now;
    if (more->at_us < to->at_us)
        to->at_us = more->at_us;
}

void db_on_commit(struct db *db, void (*wake)(void *arg, const struct db_rings *rings), void *arg)
{
    atomic_store(&db->wake, (void (*)(void *, const struct db_rings *))NULL);
    atomic_store(&db->wake_arg, arg);
    atomic_store(&db->wake, wake);
}

void db_announce(struct db *db, const struct db_rings *rings)
{
    void (*wake)(void *, const struct db_rings *) = atomic_load(&db->wake);
    if (wake && (rings->now || rings->at_us != INT64_MAX))
        wake(atomic_load(&db->wake_arg), rings);
}

const char *db_name(const struct db *db)
{
    return db->name;
}

bool db_is_shared(const struct db *db)
{
    return db->driver->shared;
}

const char *db_engine(const struct db *db)
{
    return db->driver->engine;
}

enum err db_backup(struct ctx *cx, const char *path)
{
    assert(!cx->tx);
    TRY(db_durable(cx));
    return cx->db->driver->backup(cx, path);
}

struct db_stats db_stats(const struct db *db)
{
    const struct db_counters *c = &db->counters;
    return (struct db_stats){
        .commits = atomic_load_explicit(&c->commits, memory_order_relaxed),
        .groups = atomic_load_explicit(&c->groups, memory_order_relaxed),
        .waits = atomic_load_explicit(&c->waits, memory_order_relaxed),
        .rollbacks = atomic_load_explicit(&c->rollbacks, memory_order_relaxed),
        .statements = atomic_load_explicit(&c->statements, memory_order_relaxed),
        .exchanges = atomic_load_explicit(&c->exchanges, memory_order_relaxed),
        .replica_reads = atomic_load_explicit(&c->replica_reads, memory_order_relaxed),
        .replica_misses = atomic_load_explicit(&c->replica_misses, memory_order_relaxed),
        .replicas = atomic_load_explicit(&c->replicas, memory_order_relaxed),
        .replica_age_us = atomic_load_explicit(&c->replica_age_us, memory_order_relaxed),
    };
}
