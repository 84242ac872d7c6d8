/* migrate.c -- each schema script once, in order, in its own transaction, with its checksum on
 * record. */
#include "flow/migrate.h"

#include "flow/schema.h"

#define TRIES 20 /* processes that start together; tables that somebody else holds */
#define BUSY_PAUSE_MS 500

#define RECORD_SQL                                                                                 \
    "insert into migrations (name, checksum, applied_at) values ($1, $2, $3)"                      \
    " on conflict (name) do nothing"

struct migration_row {
    struct str name;
    int64_t checksum;
};

static const struct field migration_row_fields[] = {
    F_STR(struct migration_row, name, "name", 0, 0, 200, "script"),
    F_INT(struct migration_row, checksum, "checksum", 0, INT64_MIN, INT64_MAX, "of its text"),
    F_END(struct migration_row),
};

/* A fingerprint against accidental edits, not against an attacker: whoever can write here owns the
 * data. */
static int64_t checksum(const char *sql)
{
    return (int64_t)(str_hash(str_from(sql)) >> 1);
}

/* Outside a transaction, so that nothing stands still for it: first the work, which may be done
 * twice, then the row. */
static enum err run_online(struct ctx *cx, const struct migration *m)
{
    TRY(db_online(cx, m->sql));
    TRY(db_begin(cx));
    TRY(db_exec(cx, RECORD_SQL,
                ARGS(db_str(str_from(m->name)), db_int(checksum(m->sql)), db_int(ctx_now(cx)))));
    return db_commit(cx);
}

/* The row first: of several processes that start together one gets it, and the others find it. */
static enum err run_script(struct ctx *cx, const struct migration *m)
{
    int64_t ours;

    if (str_starts(str_from(m->sql), STR(MIGRATION_ONLINE)))
        return run_online(cx, m);
    TRY(db_begin(cx));
    TRY(db_change(cx, &ours, RECORD_SQL,
                  ARGS(db_str(str_from(m->name)), db_int(checksum(m->sql)), db_int(ctx_now(cx)))));
    if (ours)
        TRY(db_script(cx, m->sql));
    return db_commit(cx);
}

static bool was_applied(const struct list *applied, const struct migration *m,
                        int64_t *ret_checksum)
{
    for (size_t i = 0; i < applied->n; i++) {
        const struct migration_row *row = LIST_AT(struct migration_row, *applied, i);
        if (str_eq(row->name, str_from(m->name))) {
            *ret_checksum = row->checksum;
            return true;
        }
    }
    return false;
}

static enum err run_pending(struct ctx *cx, const struct migration *scripts, bool dry_run,
                            const struct list *applied, struct list *pending, size_t pending_max)
{
    for (const struct migration *m = scripts; m && m->name; m++) {
        int64_t sum;

        if (was_applied(applied, m, &sum)) {
            if (sum != checksum(m->sql))
                return fail(cx, ERR_CONSTRAINT, "migration %s was changed after it ran", m->name);
            continue;
        }
        if (pending && pending->n < pending_max)
            *LIST_AT(struct str, *pending, pending->n++) = str_from(m->name);
        if (dry_run)
            continue;
        enum err e = run_script(cx, m);
        if (e != ERR_OK) {
            db_rollback(cx);
            return e;
        }
    }
    return ERR_OK;
}

/* A dry run makes the table as well, so that it can be read on every engine, and takes it back. */
static enum err find_applied(struct ctx *cx, bool dry_run, struct list *ret)
{
    TRY(db_begin(cx));
    TRY(db_script(cx, "create table if not exists migrations (name text primary key,"
                      " checksum bigint not null, applied_at bigint not null)"));
    TRY(db_all(cx, migration_row_fields, ret, "select name, checksum from migrations", NO_ARGS));
    if (dry_run) {
        db_rollback(cx);
        return ERR_OK;
    }
    TRY(db_commit(cx));
    return db_durable(cx);
}

static enum err migrate_once(struct ctx *cx, const struct migration *scripts, bool dry_run,
                             struct list *pending)
{
    struct list applied = {NULL, 0};
    size_t count = COUNT_OF(flow_migrations);

    for (const struct migration *m = scripts; m && m->name; m++)
        count++;
    if (pending)
        *pending = (struct list){arena_array(cx->arena, count, sizeof(struct str)), 0};
    assert(cx->db || dry_run);
    if (cx->db)
        TRY(find_applied(cx, dry_run, &applied));
    TRY(run_pending(cx, flow_migrations, dry_run, &applied, pending, count));
    TRY(run_pending(cx, scripts, dry_run, &applied, pending, count));
    return dry_run ? ERR_OK : db_durable(cx);
}

enum err migrate(struct ctx *cx, const struct migration *scripts, bool dry_run,
                 struct list *pending)
{
    const struct timespec pause = {.tv_nsec = BUSY_PAUSE_MS * 1000000L};
    enum err e = ERR_CONFLICT;

    for (int tries = 0; tries < TRIES && (e == ERR_CONFLICT || e == ERR_DUPLICATE || e == ERR_BUSY);
         tries++) {
        if (e == ERR_BUSY) /* who waited behind us goes first */
            nanosleep(&pause, NULL);
        e = migrate_once(cx, scripts, dry_run, pending);
        if (e != ERR_OK)
            db_rollback(cx);
    }
    return e;
}
