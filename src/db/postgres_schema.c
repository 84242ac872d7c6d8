/* postgres_schema.c -- one schema and one role per service, and migrations in PostgreSQL's words.
 */
#include "base/buf.h"
#include "db/postgres.h"

#include <ctype.h>

#define SCRIPT_MAX (4u * 1024 * 1024)

/* Processes that start together make schemas and roles one after another: any fixed number. */
#define SETUP_BEGIN "begin; select pg_advisory_xact_lock(5280113347)"

/*
 * What every session of ours has. Plans are made once per statement and connection, not anew for
 * each of its first values: with one row in ten thousand wanted there is one right plan. Should we
 * be the ones who are gone, the server notices within two seconds, also while it waits for a lock,
 * and no statement outlives statement_timeout; deadlines are kept on our side (postgres_wire.c).
 */
#define SESSION                                                                                    \
    " -c synchronous_commit=on -c jit=off -c plan_cache_mode=force_generic_plan"                   \
    " -c default_transaction_isolation=repeatable\\ read -c client_connection_check_interval=2s"   \
    " -c statement_timeout=330s -c idle_in_transaction_session_timeout=60s"

static enum err ask(struct ctx *cx, struct pg_connection *c, const char *sql, struct db_args args,
                    int64_t *ret)
{
    struct db_query q = {.sql = sql, .args = args, .want = WANT_INT, .out = ret};
    *ret = 0;
    return pg_run_on(cx, c, &q, 1);
}

/*
 * The role owns the schema and nothing else, so that a service cannot reach another's tables. A
 * server that does not let us make roles is used with the URL's own role for all of them.
 */
static enum err make_role(struct ctx *cx, struct pg_connection *c, struct pg_db *p,
                          const char *role)
{
    int64_t exists, may_make, member;
    const struct db_args name = ARGS(db_str(str_from(role)));

    TRY(ask(cx, c, "select count(*) from pg_roles where rolname = $1", name, &exists));
    if (!exists && p->options.must_exist)
        return ERR_OK;
    if (!exists) {
        TRY(ask(cx, c,
                "select count(*) from pg_roles where rolname = current_user and"
                " (rolsuper or rolcreaterole)",
                NO_ARGS, &may_make));
        if (!may_make)
            return ERR_OK;
        TRY(pg_simple(
            cx, c,
            arena_printf(cx->arena, "create role \"%s\" nologin role current_user", role).p));
    }
    TRY(ask(cx, c,
            "select case when pg_has_role(current_user, cast($1 as name), 'member')"
            " then 1 else 0 end",
            name, &member));
    p->has_role = member == 1;
    return ERR_OK;
}

static enum err make_schema(struct ctx *cx, struct pg_connection *c, struct pg_db *p,
                            const char *role)
{
    const char *schema = p->base.name;
    int64_t exists, ours;

    TRY(ask(cx, c, "select count(*) from pg_namespace where nspname = $1",
            ARGS(db_str(str_from(schema))), &exists));
    if (!exists && p->options.must_exist)
        return fail(cx, ERR_NOT_FOUND, "postgres: there is no schema %s", schema);
    if (!exists)
        return pg_simple(cx, c,
                         arena_printf(cx->arena, "create schema \"%s\"%s%s%s", schema,
                                      p->has_role ? " authorization \"" : "",
                                      p->has_role ? role : "", p->has_role ? "\"" : "")
                             .p);
    if (!p->has_role)
        return ERR_OK;
    TRY(ask(cx, c,
            "select count(*) from pg_namespace n join pg_roles r on r.oid = n.nspowner"
            " where n.nspname = $1 and r.rolname = $2",
            ARGS(db_str(str_from(schema)), db_str(str_from(role))), &ours));
    p->has_role = ours == 1; /* made before there was a role: stays with who made it */
    return ERR_OK;
}

/* Nothing is to be made. */
static enum err find_turn(struct ctx *cx, struct pg_connection *c, struct pg_db *p)
{
    int64_t there;

    TRY(ask(cx, c,
            "select count(*) from pg_tables where schemaname = $1 and tablename = 'jumun_turn'",
            ARGS(db_str(str_from(p->base.name))), &there));
    p->has_turn = there > 0;
    return pg_simple(cx, c, "commit");
}

static enum err make_all(struct ctx *cx, struct pg_connection *c, struct pg_db *p)
{
    const char *role = arena_printf(cx->arena, "jumun_%s", p->base.name).p;

    TRY(pg_simple(cx, c, SETUP_BEGIN));
    TRY(make_role(cx, c, p, role));
    TRY(make_schema(cx, c, p, role));
    if (p->options.must_exist)
        return find_turn(cx, c, p);
    if (p->has_role)
        TRY(pg_simple(cx, c, arena_printf(cx->arena, "set local role \"%s\"", role).p));
    p->has_turn = true;
    return pg_simple(cx, c,
                     arena_printf(cx->arena,
                                  "create table if not exists \"%s\".jumun_turn (); commit",
                                  p->base.name)
                         .p);
}

enum err pg_schema_make(struct ctx *cx, struct pg_db *p)
{
    struct pg_connection *c = calloc(1, sizeof(*c));
    struct db *before = cx->db;
    char options[1024];

    if (!c)
        abort();
    cx->db = &p->base;
    enum err e = make_all(cx, c, p);
    cx->db = before;
    pg_disconnect(c);
    pg_statements_drop(c);
    free(c);
    TRY(e);
    /* The URL's own options come last and win. */
    const char *own = "";
    for (int i = 0; i < p->n_words; i++)
        if (strcmp(p->words[i], "options") == 0)
            own = p->values[i];
    int n =
        snprintf(options, sizeof(options), "-c search_path=\"%s\"%s%s" SESSION " %s", p->base.name,
                 p->has_role ? " -c role=jumun_" : "", p->has_role ? p->base.name : "", own);
    if ((size_t)n >= sizeof(options))
        return fail(cx, ERR_INVALID, "the options in the URL are too long");
    pg_url_set(p, "options", options);
    return ERR_OK;
}

struct token {
    struct str
        text; /* a word, a quoted string, or one character; comments and blanks are skipped */
    size_t at;
};

static size_t skip_blank(const char *sql, size_t i)
{
    for (;;) {
        if (isspace((unsigned char)sql[i]))
            i++;
        else if (sql[i] == '-' && sql[i + 1] == '-')
            i += strcspn(sql + i, "\n");
        else
            return i;
    }
}

/* False at the end. */
static bool next_token(const char *sql, size_t *at, struct token *ret)
{
    size_t i = skip_blank(sql, *at), end = i;

    if (!sql[i])
        return false;
    if (sql[i] == '\'' || sql[i] == '"') {
        const char *close = strchr(sql + i + 1, sql[i]);
        end = close ? (size_t)(close - sql) + 1 : strlen(sql);
    } else if (isalpha((unsigned char)sql[i]) || sql[i] == '_') {
        while (isalnum((unsigned char)sql[end]) || sql[end] == '_')
            end++;
    } else {
        end++;
    }
    *ret = (struct token){{sql + i, end - i}, i};
    *at = end;
    return true;
}

static bool is_word(struct token t)
{
    return t.text.n > 0 && (isalpha((unsigned char)t.text.p[0]) || t.text.p[0] == '_');
}

static bool is(struct token t, const char *word)
{
    return str_eq_nocase(t.text, str_from(word));
}

/* A column's type, not its name: "name text," and "text text not null". */
static bool is_text_type(struct token before, struct token t, struct token after)
{
    static const char *const follow[] = {",",       ")",     "not",        "null",   "primary",
                                         "default", "check", "references", "unique", ";"};
    if (!is(t, "text") || !is_word(before) || is(before, "as") || is(before, "column"))
        return false;
    if (after.text.n == 0)
        return true;
    for (size_t i = 0; i < COUNT_OF(follow); i++)
        if (is(after, follow[i]))
            return true;
    return false;
}

/*
 * Numbers that the engine gives (`integer primary key` in SQLite), and text in the order of its
 * bytes, as in SQLite and in this program, whatever the database was made with.
 */
const char *pg_script(struct ctx *cx, const char *sql)
{
    struct token before = {STR(""), 0}, t = before, after = before;
    struct buf out;
    size_t at = 0, copied = 0;

    buf_init_arena(&out, cx->arena, SCRIPT_MAX);
    for (bool more = next_token(sql, &at, &after); more || after.text.n > 0;) {
        before = t;
        t = after;
        after = (struct token){STR(""), 0};
        more = more && next_token(sql, &at, &after);
        buf_add(&out, sql + copied, t.at - copied);
        copied = t.at;
        if (is(t, "integer") && is(after, "primary")) {
            buf_lit(&out, "bigint generated by default as identity");
            copied += t.text.n;
        } else if (is_text_type(before, t, after)) {
            buf_lit(&out, "text collate \"C\"");
            copied += t.text.n;
        }
    }
    buf_str_add(&out, str_from(sql + copied));
    buf_char(&out, '\0');
    return out.overflow ? "" : out.p;
}
