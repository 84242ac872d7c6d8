/* postgres_probe.c -- what is wrong with a server, database or role, and what to do about it. */
#include "db/postgres_replica.h"

#define PROBE_US (5 * US_PER_S)
#define VERSION_LEAST 150000
#define SKEW_MAX_US US_PER_S

/*
 * By the server's SQLSTATE, or by a part of what libpq says of itself. What passes by itself is
 * ERR_UNAVAILABLE, what somebody has to correct ERR_INVALID.
 */
static const struct {
    const char *sign;
    enum err e;
    const char *advice;
    bool in_setting; /* what is to be corrected */
} refusals[] = {
    {" 28P01: ", ERR_INVALID, "the password is wrong: `alter role ... password`, or correct it",
     true},
    {"no password supplied", ERR_INVALID,
     "it wants a password, postgres://USER:PASSWORD@HOST:PORT/DATABASE", true},
    {" 28000: ", ERR_INVALID,
     "it lets nobody in like this: create the role, or add a line to its pg_hba.conf", false},
    {" 3D000: ", ERR_INVALID, "there is no such database: `create database`, or correct it", true},
    {" 42501: ", ERR_INVALID, "the role may not connect: `grant connect on database`", false},
    {" 53300: ", ERR_UNAVAILABLE,
     "it has no connection left: raise max_connections, or lower --database-connections", false},
    {" 57P03: ", ERR_UNAVAILABLE,
     "it is starting, or will be: wait, and read its log if that lasts", false},
    {"could not translate host name", ERR_UNAVAILABLE,
     "DNS does not know the host: mend that, or correct it", true},
    {"SSL", ERR_INVALID, "TLS is not agreed about: correct certificates, or sslmode", true},
    {"certificate", ERR_INVALID,
     "its certificate is not believed: correct sslrootcert, or the host's name", true},
    /* libpq's own word for an option, before it has asked anybody. */
    {"invalid ", ERR_INVALID, "an option has a value that there is not: correct it", true},
    {"could not match ", ERR_INVALID, "name one port, or as many as hosts,", true},
    {"", ERR_UNAVAILABLE, "nobody answers there: start the server, or correct host and port", true},
};

static enum err probe_refused(struct ctx *cx, const char *setting, const char *refusal)
{
    size_t i = 0;
    while (!strstr(refusal, refusals[i].sign))
        i++;
    bool in = refusals[i].in_setting;
    return fail(cx, refusals[i].e, "%s%s%s (%.120s)", refusals[i].advice, in ? " in " : "",
                in ? setting : "", refusal[0] ? refusal : "no answer");
}

static enum err one(struct ctx *cx, struct pg_connection *c, const char *sql, struct db_args args,
                    int64_t *ret)
{
    struct db_query q = {.sql = sql, .args = args, .want = WANT_INT, .out = ret};
    *ret = 0;
    return pg_run_on(cx, c, &q, 1);
}

static enum err probe_server(struct ctx *cx, struct pg_connection *c)
{
    int64_t standby = 0, foreign = 0, theirs_us = 0;
    int version = PQserverVersion(c->pg);

    if (version < VERSION_LEAST)
        return fail(cx, ERR_UNAVAILABLE, "it is PostgreSQL %d, too old: jumun needs %d or later",
                    version / 10000, VERSION_LEAST / 10000);
    TRY(one(cx, c, "select case when pg_is_in_recovery() then 1 else 0 end", NO_ARGS, &standby));
    if (standby)
        return fail(cx, ERR_UNAVAILABLE, "it is a standby that takes no writes: name the primary");
    TRY(one(cx, c, "select case when current_setting('server_encoding') = 'UTF8' then 0 else 1 end",
            NO_ARGS, &foreign));
    if (foreign)
        return fail(cx, ERR_UNAVAILABLE,
                    "the database's encoding is not UTF8: make another, `create database ... "
                    "encoding 'UTF8' template template0`");
    int64_t asked_us = ctx_now(cx), began_us = clock_monotonic_us();
    TRY(one(cx, c, "select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
            NO_ARGS, &theirs_us));
    int64_t ahead_us = theirs_us - asked_us - (clock_monotonic_us() - began_us) / 2;
    if (ahead_us > SKEW_MAX_US || ahead_us < -SKEW_MAX_US)
        return fail(cx, ERR_UNAVAILABLE,
                    "its clock is %.1f s %s this machine's: let both follow NTP (chrony, "
                    "timesyncd)",
                    (double)(ahead_us < 0 ? -ahead_us : ahead_us) / US_PER_S,
                    ahead_us < 0 ? "behind" : "ahead of");
    return ERR_OK;
}

static enum err probe_schema(struct ctx *cx, struct pg_connection *c, const char *name,
                             bool may_create)
{
    const struct db_args schema = ARGS(db_str(str_from(name)));
    int64_t there = 0, ours = 0;

    TRY(one(cx, c, "select count(*) from pg_namespace where nspname = $1", schema, &there));
    if (!there && !may_create)
        return fail(cx, ERR_UNAVAILABLE,
                    "there is no schema \"%s\" and the role may not make it: `grant create on "
                    "database ... to ...`, or make it beforehand",
                    name);
    if (!there)
        return ERR_OK;
    TRY(one(cx, c,
            "select count(*) from pg_namespace where nspname = $1 and"
            " (pg_has_role(current_user, nspowner, 'member') or"
            " (has_schema_privilege(oid, 'create') and has_schema_privilege(oid, 'usage')))",
            schema, &ours));
    if (!ours)
        return fail(cx, ERR_UNAVAILABLE,
                    "the role has no rights on schema \"%s\": `grant jumun_%s to ...`, or `grant "
                    "all on schema`",
                    name, name);
    return ERR_OK;
}

static enum err probe_all(struct ctx *cx, struct pg_connection *c, const char *const *names)
{
    int64_t may_create = 0;

    TRY(probe_server(cx, c));
    TRY(one(cx, c,
            "select case when has_database_privilege(current_database(), 'create') then 1 else 0"
            " end",
            NO_ARGS, &may_create));
    for (size_t i = 0; names[i]; i++)
        TRY(probe_schema(cx, c, names[i], may_create));
    return ERR_OK;
}

/* One connection that is opened to look, and nothing else. */
struct look {
    struct pg_db p;
    struct pg_connection *c;
};

static enum err look_open(struct ctx *cx, struct look *l, const char *setting, const char *url)
{
    char refusal[200] = "";

    *l = (struct look){.p = {.base = {.driver = &db_postgres, .name = "doctor"}}};
    l->c = calloc(1, sizeof(*l->c));
    if (!l->c)
        abort();
    pg_pool_init(&l->p);
    cx->db = &l->p.base;
    TRY(pg_url_read(cx, &l->p, url));
    return pg_connect_once(&l->p, l->c, clock_monotonic_us() + PROBE_US, refusal)
               ? ERR_OK
               : probe_refused(cx, setting, refusal);
}

static void look_close(struct look *l)
{
    pg_connection_release(l->c);
    free(l->c);
    pg_pool_release(&l->p);
    pg_url_free(&l->p);
}

enum err pg_probe(struct ctx *cx, const char *location, const char *const *names, struct str *ret)
{
    struct db *before = cx->db;
    struct look l;

    enum err e = look_open(cx, &l, "--database", arena_printf(cx->arena, "postgres%s", location).p);
    if (e == ERR_OK && names)
        e = probe_all(cx, l.c, names);
    if (e == ERR_OK)
        *ret = arena_printf(cx->arena, "PostgreSQL %d at %s:%s, database %s as %s",
                            PQserverVersion(l.c->pg) / 10000, PQhost(l.c->pg), PQport(l.c->pg),
                            PQdb(l.c->pg), PQuser(l.c->pg));
    cx->db = before;
    look_close(&l);
    return e;
}

static enum err replica_behind(struct ctx *cx, struct look *l, int64_t lag_max_us)
{
    int64_t paused = 0, last_us = 0;

    cx->db = &l->p.base;
    TRY(one(cx, l->c, "select case when pg_is_wal_replay_paused() then 1 else 0 end", NO_ARGS,
            &paused));
    if (paused)
        return fail(cx, ERR_UNAVAILABLE,
                    "its replay is paused: `select pg_wal_replay_resume()` there");
    TRY(one(cx, l->c,
            "select cast(extract(epoch from clock_timestamp() -"
            " pg_last_xact_replay_timestamp()) * 1000000 as bigint)",
            NO_ARGS, &last_us));
    return fail(cx, ERR_UNAVAILABLE,
                "it is too far behind: not within %.0f s where the primary was, its last "
                "transaction is %.0f s old: look at pg_stat_wal_receiver there, or raise "
                "--database-replica-lag",
                (double)(lag_max_us < PROBE_US ? lag_max_us : PROBE_US) / US_PER_S,
                (double)last_us / US_PER_S);
}

/* It has to come where the primary is now, in time. */
static enum err probe_replica(struct ctx *cx, struct look *primary, struct look *l,
                              int64_t lag_max_us)
{
    const struct timespec pause = {.tv_nsec = 50000000};
    int64_t cluster = 0, wanted = 0, lsn = 0;
    int64_t until_us = clock_monotonic_us() + (lag_max_us < PROBE_US ? lag_max_us : PROBE_US);

    cx->db = &primary->p.base;
    TRY(one(cx, primary->c, PG_CLUSTER_SQL, NO_ARGS, &cluster));
    TRY(one(cx, primary->c, PG_WRITTEN_SQL, NO_ARGS, &wanted));
    cx->db = &l->p.base;
    for (;;) {
        TRY(one(cx, l->c, PG_REPLAYED_SQL, ARGS(db_int(cluster)), &lsn));
        if (lsn == PG_NOT_A_STANDBY)
            return fail(cx, ERR_UNAVAILABLE,
                        "it is not a standby but takes writes of its own: name a standby of "
                        "--database");
        if (lsn == PG_OF_ANOTHER_CLUSTER)
            return fail(cx, ERR_UNAVAILABLE,
                        "it is a standby of another server than --database: correct one of them");
        if (lsn >= wanted)
            return ERR_OK;
        if (clock_monotonic_us() > until_us)
            return replica_behind(cx, l, lag_max_us);
        nanosleep(&pause, NULL);
    }
}

enum err pg_probe_replica(struct ctx *cx, const char *location, const char *replica,
                          int64_t lag_max_us, struct str *ret)
{
    struct db *before = cx->db;
    struct look primary, l;

    enum err e =
        look_open(cx, &primary, "--database", arena_printf(cx->arena, "postgres%s", location).p);
    if (e == ERR_OK) {
        e = look_open(cx, &l, "--database-replicas", replica);
        if (e == ERR_OK)
            e = probe_replica(cx, &primary, &l, lag_max_us);
        if (e == ERR_OK)
            *ret = arena_printf(cx->arena, "standby at %s:%s, as new as the primary",
                                PQhost(l.c->pg), PQport(l.c->pg));
        look_close(&l);
    }
    cx->db = before;
    look_close(&primary);
    return e;
}
