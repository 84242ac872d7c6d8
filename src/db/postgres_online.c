/*
 * postgres_online.c -- indexes on tables that are large and in use, built beside those who write.
 *
 * `create index concurrently` runs outside a transaction and may leave an invalid index behind when
 * it fails or the process dies. So one process at a time does it, takes such remains away first,
 * and says every statement again. Others wait without a snapshot (they ask, and sleep): the server
 * waits for every snapshot older than its index.
 */
#include "db/postgres.h"

#define ALONE_SQL                                                                                  \
    "select case when pg_try_advisory_lock(528011334, hashtext(current_schema()))"                 \
    " then 1 else 0 end"
#define REMAINS_SQL                                                                                \
    "select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid"             \
    " where not i.indisvalid and c.relnamespace = cast(current_schema() as regnamespace) limit 1"
#define ASK_AGAIN_MS 100
#define ONLINE_US (6 * US_PER_HOUR) /* a large table takes its time */

struct remains {
    struct str name;
};
static const struct field remains_fields[] = {
    F_STR(struct remains, name, "name", 0, 0, 63, "of an index"),
    F_END(struct remains),
};

/* The lock is the session's and ends with it. */
static enum err be_alone(struct ctx *cx, struct pg_connection *c)
{
    const struct timespec pause = {.tv_nsec = ASK_AGAIN_MS * 1000000L};
    int64_t alone = 0;

    for (;;) {
        struct db_query q = {.sql = ALONE_SQL, .want = WANT_INT, .out = &alone};
        TRY(pg_run_on(cx, c, &q, 1));
        if (alone)
            return ERR_OK;
        nanosleep(&pause, NULL);
    }
}

static enum err drop_remains(struct ctx *cx, struct pg_connection *c)
{
    for (;;) {
        struct remains r = {.name = STR_NONE};
        struct db_query q = {
            .sql = REMAINS_SQL, .want = WANT_ONE, .fields = remains_fields, .out = &r};
        TRY(pg_run_on(cx, c, &q, 1));
        if (!q.rows)
            return ERR_OK;
        TRY(pg_simple(
            cx, c,
            arena_printf(cx->arena, "drop index concurrently if exists \"%.*s\"", STR_ARG(r.name))
                .p));
    }
}

/* "create [unique] index if not exists ...", which does no harm when it is said again. */
static enum err build(struct ctx *cx, struct pg_connection *c, struct str statement)
{
    static const struct {
        struct str begins;
        const char *online;
    } forms[] = {
        {{"create index if not exists ", 27}, "create index concurrently if not exists"},
        {{"create unique index if not exists ", 34},
         "create unique index concurrently if not exists"},
    };

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        size_t n = forms[i].begins.n;
        if (str_starts(statement, forms[i].begins))
            return pg_simple(cx, c,
                             arena_printf(cx->arena, "%s %.*s", forms[i].online,
                                          (int)(statement.n - n), statement.p + n)
                                 .p);
    }
    return fail(cx, ERR_INVALID, "not a `create index if not exists`: %.60s", statement.p);
}

static struct str skip_comments(struct str s)
{
    struct str line;

    for (s = str_trim(s); s.n && (s.p[0] == '\n' || str_starts(s, STR("--"))); s = str_trim(s))
        str_cut(s, '\n', &line, &s);
    return s;
}

static enum err build_all(struct ctx *cx, struct pg_connection *c, const char *sql)
{
    struct str rest = str_from(sql), statement;

    TRY(be_alone(cx, c));
    TRY(pg_simple(cx, c, "set statement_timeout = 0"));
    TRY(drop_remains(cx, c));
    for (rest = skip_comments(rest); rest.n; rest = skip_comments(rest)) {
        str_cut(rest, ';', &statement, &rest);
        TRY(build(cx, c, statement));
    }
    return ERR_OK;
}

enum err pg_online(struct ctx *cx, const char *sql)
{
    int64_t before_us = cx->deadline_us;
    struct pg_connection *c = NULL;

    TRY(pg_take(cx, pg_of(cx), &c));
    cx->deadline_us = clock_monotonic_us() + ONLINE_US;
    enum err e = build_all(cx, c, sql);
    cx->deadline_us = before_us;
    pg_disconnect(c);
    pg_give_back(pg_of(cx), c);
    return e;
}
