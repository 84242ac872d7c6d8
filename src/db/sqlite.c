/* sqlite.c -- the SQLite driver: opening, connections, cached statements, rows, errors, backup. */
#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READERS_DEFAULT 8
#define PROGRESS_STEPS                                                                             \
    4000 /* virtual machine steps between looks at the deadline: well under 1 ms */

enum err sqlite_error(struct ctx *cx, sqlite3 *handle, int rc, const char *what)
{
    enum err e = ERR_INTERNAL;
    const char *text = handle ? sqlite3_errmsg(handle) : sqlite3_errstr(rc);

    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
        e = rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
                    rc == SQLITE_CONSTRAINT_ROWID
                ? ERR_DUPLICATE
                : ERR_CONSTRAINT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        e = ERR_CONFLICT;
        break;
    case SQLITE_INTERRUPT:
        e = ERR_DEADLINE;
        break;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM:
        e = ERR_UNAVAILABLE;
        break;
    case SQLITE_TOOBIG:
        e = ERR_TOO_LARGE;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        e = ERR_DAMAGED;
        break;
    default:
        break;
    }
    if (e != ERR_DAMAGED)
        return fail(cx, e, "%s (%d): %s", text, rc, what);
    const char *file = handle ? sqlite3_db_filename(handle, "main") : NULL;
    return fail(cx, e, "%s is damaged: stop, and `jumun restore` a backup (%s, %d: %.80s)",
                file && *file ? file : "the file", text, rc, what);
}

void sqlite_abort_if_io(const struct sqlite_db *s, int rc)
{
    if ((rc & 0xff) != SQLITE_IOERR)
        return;
    fprintf(stderr, "database %s: %s (%d); stopping, the next start recovers from the log\n",
            s->path, sqlite3_errstr(rc), rc);
    abort();
}

static void statement_free(struct statement *st)
{
    sqlite3_finalize(st->stmt);
    free(st->sql);
    free(st->argument_of);
    free(st->plan);
    free(st);
}

static void connection_close(struct connection *c)
{
    for (size_t i = 0; i < STATEMENT_SLOTS; i++) {
        while (c->slots[i]) {
            struct statement *st = c->slots[i];
            c->slots[i] = st->next;
            statement_free(st);
        }
    }
    sqlite3_close(c->handle);
    c->handle = NULL;
}

static int out_of_time(void *arg)
{
    const struct connection *c = arg;
    return c->deadline_us && clock_monotonic_us() > c->deadline_us;
}

static int note_wal_pages(void *arg, sqlite3 *handle, const char *schema, int pages)
{
    (void)handle;
    (void)schema;
    ((struct sqlite_db *)arg)->wal_pages = pages;
    return SQLITE_OK;
}

static enum err connection_open(struct ctx *cx, struct sqlite_db *s, struct connection *c,
                                bool writer)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
    const char *setup = writer ? "pragma journal_mode=wal; pragma synchronous=full;"
                                 "pragma foreign_keys=on; pragma trusted_schema=off;"
                                 "pragma cache_size=-2048; pragma temp_store=memory;"
                               : "pragma query_only=on; pragma trusted_schema=off;"
                                 "pragma cache_size=-256; pragma temp_store=memory;";
    c->writer = writer;
    int rc = sqlite3_open_v2(s->path, &c->handle, flags, NULL);
    if (rc == SQLITE_OK) {
        /* Only another process (backup, recovery) can be in the way, and only for moments. */
        sqlite3_busy_timeout(c->handle, 200);
        rc = sqlite3_exec(c->handle, setup, NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        enum err e = sqlite_error(cx, c->handle, rc, s->path);
        connection_close(c);
        return e == ERR_INTERNAL ? ERR_UNAVAILABLE : e;
    }
    if (writer)
        sqlite3_wal_hook(c->handle, note_wal_pages, s);
    else
        sqlite3_progress_handler(c->handle, PROGRESS_STEPS, out_of_time, c);
    return ERR_OK;
}

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

/* The parameters by name, once per statement. */
static void statement_arguments(struct statement *st)
{
    st->parameters = sqlite3_bind_parameter_count(st->stmt);
    st->argument_of = must(calloc((size_t)st->parameters + 1, 1));
    for (int i = 0; i < st->parameters; i++) {
        const char *name = sqlite3_bind_parameter_name(st->stmt, i + 1);
        int64_t n = 0;
        bool numbered = name && name[0] == '$' && str_i64(str_from(name + 1), 1, 255, &n);
        assert(numbered && "parameters are $1 to $255");
        (void)numbered;
        st->argument_of[i] = (unsigned char)n;
        if ((size_t)n > st->arguments)
            st->arguments = (size_t)n;
    }
}

static void statement_evict(struct connection *c)
{
    struct statement **oldest = NULL;
    for (size_t i = 0; i < STATEMENT_SLOTS; i++)
        for (struct statement **at = &c->slots[i]; *at; at = &(*at)->next)
            if (!oldest || (*at)->last_used < (*oldest)->last_used)
                oldest = at;
    if (!oldest)
        return;
    struct statement *st = *oldest;
    *oldest = st->next;
    statement_free(st);
    c->cached--;
}

static enum err statement_get(struct ctx *cx, struct connection *c, const char *sql,
                              struct statement **ret)
{
    struct str text = str_from(sql);
    uint64_t hash = str_hash(text);
    struct statement **slot = &c->slots[hash & (STATEMENT_SLOTS - 1)];
    for (struct statement *st = *slot; st; st = st->next) {
        if (st->hash == hash && strcmp(st->sql, sql) == 0) {
            st->last_used = ++c->uses;
            *ret = st;
            return ERR_OK;
        }
    }
    sqlite3_stmt *stmt = NULL;
    const char *rest = NULL;
    int rc = sqlite3_prepare_v3(c->handle, sql, (int)text.n + 1, SQLITE_PREPARE_PERSISTENT, &stmt,
                                &rest);
    if (rc != SQLITE_OK)
        return sqlite_error(cx, c->handle, rc, sql);
    if (!stmt || (rest && str_trim(str_from(rest)).n > 0)) {
        sqlite3_finalize(stmt);
        return fail(cx, ERR_INTERNAL, "not exactly one statement: %s", sql);
    }
    if (c->cached == STATEMENTS_MAX)
        statement_evict(c);
    struct statement *st = must(calloc(1, sizeof(*st)));
    *st = (struct statement){.stmt = stmt, .hash = hash, .last_used = ++c->uses, .next = *slot};
    st->sql = must(strdup(sql));
    statement_arguments(st);
    *slot = st;
    c->cached++;
    *ret = st;
    return ERR_OK;
}

static int statement_bind(struct statement *st, struct db_args args)
{
    assert(st->arguments == args.n && "as many arguments as $n in the statement");
    int rc = SQLITE_OK;
    for (int i = 0; i < st->parameters && rc == SQLITE_OK; i++) {
        const struct db_value *v = &args.v[st->argument_of[i] - 1];
        switch (v->type) {
        case DB_NULL:
            rc = sqlite3_bind_null(st->stmt, i + 1);
            break;
        case DB_INT:
            rc = sqlite3_bind_int64(st->stmt, i + 1, v->i);
            break;
        case DB_STR:
            rc = sqlite3_bind_text64(st->stmt, i + 1, v->s.p, v->s.n, SQLITE_STATIC, SQLITE_UTF8);
            break;
        case DB_UUID:
            rc = sqlite3_bind_blob(st->stmt, i + 1, v->u.b, sizeof(v->u.b), SQLITE_STATIC);
            break;
        }
    }
    return rc;
}

/* Which field each column goes to; made once per statement and table. */
static void statement_plan(struct statement *st, const struct field *fields)
{
    int columns = sqlite3_column_count(st->stmt);
    if (st->plan && st->planned_for == fields && st->columns == columns)
        return;
    free(st->plan);
    st->plan = must(calloc((size_t)columns + 1, sizeof(*st->plan)));
    st->planned_for = fields;
    st->columns = columns;
    for (int i = 0; i < columns; i++) {
        const char *name = sqlite3_column_name(st->stmt, i);
        st->plan[i] = field_by_column(fields, str_from(name));
        if (!st->plan[i] || db_query_type(st->plan[i]) == DB_NULL) {
            fprintf(stderr, "column %s has no field: %s\n", name, st->sql);
            abort();
        }
    }
}

static enum err column_read(struct ctx *cx, struct statement *st, int i, struct db_value *ret)
{
    int type = sqlite3_column_type(st->stmt, i);
    enum db_type want = db_query_type(st->plan[i]);
    *ret = db_null();
    if (type == SQLITE_NULL)
        return ERR_OK;
    if (want == DB_INT && type == SQLITE_INTEGER) {
        *ret = db_int(sqlite3_column_int64(st->stmt, i));
        return ERR_OK;
    }
    if (want == DB_STR && type == SQLITE_TEXT) {
        const char *p = (const char *)sqlite3_column_text(st->stmt, i);
        if (!p)
            return fail(cx, ERR_UNAVAILABLE, "out of memory: %s", st->sql);
        *ret = db_str((struct str){p, (size_t)sqlite3_column_bytes(st->stmt, i)});
        return ERR_OK;
    }
    if (want == DB_UUID && type == SQLITE_BLOB && sqlite3_column_bytes(st->stmt, i) == 16) {
        ret->type = DB_UUID;
        memcpy(ret->u.b, sqlite3_column_blob(st->stmt, i), 16);
        return ERR_OK;
    }
    return fail(cx, ERR_INTERNAL, "column %s does not hold what its field says: %s",
                st->plan[i]->column, st->sql);
}

static enum err row_read(struct ctx *cx, struct statement *st, struct db_query *q)
{
    if (q->want == WANT_INT) {
        int64_t value = sqlite3_column_int64(st->stmt, 0);
        if (q->rows++ == 0)
            memcpy(q->out, &value, sizeof(value));
        return ERR_OK;
    }
    if ((q->want != WANT_ONE && q->want != WANT_ALL) || (q->want == WANT_ONE && q->rows > 0))
        return ERR_OK;
    void *object = NULL;
    statement_plan(st, q->fields);
    TRY(db_query_row(cx, q, &object));
    for (int i = 0; i < st->columns; i++) {
        struct db_value v;
        TRY(column_read(cx, st, i, &v));
        TRY(db_query_set(cx, st->plan[i], object, v));
    }
    return ERR_OK;
}

static enum err note_changed(struct ctx *cx, struct db_query *q, int64_t changed)
{
    if (q->is_expected && changed != q->changed)
        return db_unexpected(cx, q->sql);
    q->changed = changed;
    return ERR_OK;
}

static enum err connection_run(struct ctx *cx, const struct sqlite_db *s, struct connection *c,
                               struct db_query *q)
{
    struct statement *st = NULL;
    TRY(statement_get(cx, c, q->sql, &st));
    bool reads = sqlite3_stmt_readonly(st->stmt);
    if (!reads && !c->writer)
        return fail(cx, ERR_INTERNAL, "a write outside a transaction: %s", q->sql);

    enum err e = ERR_OK;
    int rc = statement_bind(st, q->args);
    while (rc == SQLITE_OK && e == ERR_OK) {
        int stepped = sqlite3_step(st->stmt);
        if (stepped == SQLITE_DONE)
            break;
        if (stepped != SQLITE_ROW) {
            rc = stepped;
            break;
        }
        e = row_read(cx, st, q);
        /* A statement that changes rows must run to its end to have changed all of them. */
        if (reads && q->rows > 0 && q->want != WANT_ALL)
            break;
    }
    if (rc != SQLITE_OK)
        e = sqlite_error(cx, c->handle, rc, q->sql);
    else if (!reads && e == ERR_OK)
        e = note_changed(cx, q, sqlite3_changes64(c->handle));
    sqlite3_reset(st->stmt);
    sqlite3_clear_bindings(st->stmt);
    if (c->writer)
        sqlite_abort_if_io(s, rc);
    return e;
}

static enum err reader_take(struct ctx *cx, struct sqlite_db *s, struct connection **ret)
{
    struct connection *c = NULL;
    bool timely = true, open_one = false;
    pthread_mutex_lock(&s->reader_mutex);
    while (timely && !c && !open_one) {
        if (s->free_readers) {
            c = s->free_readers;
            s->free_readers = c->next;
        } else if (s->readers < s->options.readers_max) {
            s->readers++;
            open_one = true;
        } else {
            void *gift = NULL; /* NULL: no connection, but room to open one */
            timely = line_wait(&s->reader_line, &s->reader_mutex, cx->deadline_us, &gift);
            c = gift;
        }
    }
    pthread_mutex_unlock(&s->reader_mutex);
    if (!timely)
        return fail(cx, ERR_BUSY, "no reader before the deadline");
    if (open_one) {
        c = must(calloc(1, sizeof(*c)));
        enum err e = connection_open(cx, s, c, false);
        if (e != ERR_OK) {
            free(c);
            pthread_mutex_lock(&s->reader_mutex);
            s->readers--;
            line_grant(&s->reader_line, NULL);
            pthread_mutex_unlock(&s->reader_mutex);
            return e;
        }
    }
    *ret = c;
    return ERR_OK;
}

static void reader_give_back(struct sqlite_db *s, struct connection *c)
{
    pthread_mutex_lock(&s->reader_mutex);
    if (!line_grant(&s->reader_line, c)) {
        c->next = s->free_readers;
        s->free_readers = c;
    }
    pthread_mutex_unlock(&s->reader_mutex);
}

static enum err sqlite_run(struct ctx *cx, struct db_query *q)
{
    struct sqlite_db *s = sqlite_of(cx);
    if (cx->tx)
        return connection_run(cx, s, &s->writer, q);
    struct connection *c = NULL;
    TRY(reader_take(cx, s, &c));
    c->deadline_us = cx->deadline_us;
    enum err e = connection_run(cx, s, c, q);
    reader_give_back(s, c);
    return e;
}

static enum err sqlite_script(struct ctx *cx, const char *sql)
{
    struct sqlite_db *s = sqlite_of(cx);
    int rc = sqlite3_exec(s->writer.handle, sql, NULL, NULL, NULL);
    sqlite_abort_if_io(s, rc);
    return rc == SQLITE_OK ? ERR_OK : sqlite_error(cx, s->writer.handle, rc, "script");
}

static enum err sqlite_savepoint(struct ctx *cx, enum db_savepoint_verb verb, const char *name)
{
    struct db_query q = {.want = WANT_NOTHING};
    char sql[64];
    assert(!strchr(name, '"'));
    switch (verb) {
    case SAVEPOINT_SET:
        snprintf(sql, sizeof(sql), "savepoint \"s_%s\"", name);
        break;
    case SAVEPOINT_RELEASE:
        snprintf(sql, sizeof(sql), "release \"s_%s\"", name);
        break;
    case SAVEPOINT_UNDO:
        snprintf(sql, sizeof(sql), "rollback to \"s_%s\"", name);
        break;
    }
    q.sql = sql;
    TRY(sqlite_run(cx, &q));
    return verb == SAVEPOINT_UNDO ? sqlite_savepoint(cx, SAVEPOINT_RELEASE, name) : ERR_OK;
}

static void sqlite_close(struct db *db)
{
    struct sqlite_db *s = (struct sqlite_db *)db;
    group_stop(s);
    while (s->free_readers) {
        struct connection *c = s->free_readers;
        s->free_readers = c->next;
        connection_close(c);
        free(c);
    }
    /* Last, so that it finds itself alone and moves the whole log into the file. */
    connection_close(&s->writer);
    pthread_cond_destroy(&s->committer_wake);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->reader_mutex);
    free(s->path);
    free(s);
}

/* A file that was just made must still be found after a power loss. */
static bool directory_sync(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

/*
 * SQLite gives the journals that it makes as root to the owner of the database. A new database goes
 * to the owner of its directory likewise: the platform could not open what root's `jumun migrate`
 * made.
 */
static bool make_for_owner(const char *path, const char *location)
{
    struct stat dir;

    if (geteuid() != 0 || stat(location, &dir) != 0 || dir.st_uid == 0)
        return true;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST;
    bool ok = fchown(fd, dir.st_uid, dir.st_gid) == 0;
    close(fd);
    return ok;
}

/* Counting its memory costs SQLite a lock that all connections share, at every malloc and free. */
static void configure_once(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static enum err sqlite_open(struct ctx *cx, const char *location, const char *name,
                            const struct db_options *options, struct db **ret)
{
    if (!*location || !*name || strchr(name, '/'))
        return fail(cx, ERR_INVALID, "sqlite:DIR needs a directory and a plain name");
    struct str file = arena_printf(cx->arena, "%s/%s.db", location, name);
    if (options->must_exist && access(file.p, F_OK) != 0)
        return fail(cx, ERR_NOT_FOUND, "there is no %s", file.p);
    if (mkdir(location, 0700) != 0 && errno != EEXIST)
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", location, strerror(errno));
    if (!make_for_owner(file.p, location))
        return fail(cx, ERR_UNAVAILABLE, "%s: %s", file.p, strerror(errno));

    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_once);
    struct sqlite_db *s = must(calloc(1, sizeof(*s)));
    s->rings = DB_RINGS_NONE;
    s->base.driver = &db_sqlite;
    snprintf(s->base.name, sizeof(s->base.name), "%s", name);
    s->options = *options;
    if (s->options.readers_max <= 0)
        s->options.readers_max = READERS_DEFAULT;
    s->path = must(strdup(file.p));
    pthread_mutex_init(&s->mutex, NULL);
    pthread_mutex_init(&s->reader_mutex, NULL);
    line_condition_init(&s->committer_wake);

    enum err e = connection_open(cx, s, &s->writer, true);
    if (e == ERR_OK && !directory_sync(location))
        e = fail(cx, ERR_UNAVAILABLE, "%s: %s", location, strerror(errno));
    if (e == ERR_OK)
        e = group_start(cx, s);
    if (e != ERR_OK) {
        sqlite_close(&s->base);
        return e;
    }
    *ret = &s->base;
    return ERR_OK;
}

/* One read transaction over all pages: writers go on meanwhile. */
static int copy_pages(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b)
        return sqlite3_errcode(to);
    int rc = sqlite3_backup_step(b, -1);
    int finished = sqlite3_backup_finish(b);
    return rc == SQLITE_DONE ? finished : rc;
}

static enum err sqlite_backup(struct ctx *cx, const char *path)
{
    struct sqlite_db *s = sqlite_of(cx);
    struct connection *c = NULL;
    sqlite3 *to = NULL;
    const char *part = arena_printf(cx->arena, "%s.part", path).p;
    struct str whole = str_from(path);
    size_t cut = whole.n;
    while (cut > 0 && path[cut - 1] != '/')
        cut--;
    const char *dir = cut ? arena_cstr(cx->arena, (struct str){path, cut}) : ".";

    TRY(reader_take(cx, s, &c));
    c->deadline_us = 0;
    (void)unlink(part);
    int rc = sqlite3_open_v2(
        part, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(to, "pragma synchronous=full", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = copy_pages(c->handle, to);
    enum err e = rc == SQLITE_OK ? ERR_OK : sqlite_error(cx, to, rc, part);
    sqlite3_close(to);
    reader_give_back(s, c);
    if (e == ERR_OK && (rename(part, path) != 0 || !directory_sync(dir)))
        e = fail(cx, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    if (e != ERR_OK)
        (void)unlink(part);
    return e;
}

const struct db_driver db_sqlite = {
    .engine = "sqlite",
    .scheme = "sqlite:",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .run = sqlite_run,
    .script = sqlite_script,
    .savepoint = sqlite_savepoint,
    .park = sqlite_park,
    .backup = sqlite_backup,
};
