/* postgres.h -- what the parts of the PostgreSQL driver share: connections, the pool, exchanges. */
#pragma once

#include "db/driver.h"

#include <libpq-fe.h>
#include <pthread.h>

#define PG_STATEMENTS_MAX 256
#define PG_STATEMENT_SLOTS 128 /* power of two */
#define PG_PARAMETERS_MAX 64
#define PG_AHEAD_MAX 40 /* what goes out with the next statement that has an answer */
#define PG_COMMAND_SIZE 128
#define PG_URL_OPTIONS_MAX 64

/* A statement as one connection has it prepared. */
struct pg_statement {
    char *sql;
    uint64_t hash, last_used;
    char name[24];
    bool prepared;
    int parameters;
    Oid types[PG_PARAMETERS_MAX]; /* 0: only nulls so far, the server decides */
    const struct field *planned_for;
    int columns;
    const struct field **plan; /* by column */
    struct pg_statement *next; /* in its slot */
};

/* Something whose answer nobody waits for yet: a command, or a statement with its arguments. */
struct pg_ahead {
    struct pg_statement *st; /* NULL: the command */
    struct db_args args;     /* in the arena of the work */
    bool is_expected;        /* to change so many rows: */
    int64_t expected;
    char command[PG_COMMAND_SIZE];
};

/* A statement whose answer is waited for. */
struct pg_asked {
    struct pg_statement *st;
    struct db_args args;
    PGresult *result; /* set by an exchange that went well: clear with PQclear */
};

struct pg_connection {
    struct db_tx tx; /* first: cx->tx points here while the connection works for a transaction */
    PGconn *pg;      /* NULL: lost; opened again when it is next needed */
    bool fresh;      /* nothing has been answered on it yet: a loss is no matter of age */
    bool begun;      /* the server has a transaction open */
    int64_t idle_since_us;
    struct pg_ahead ahead[PG_AHEAD_MAX];
    int n_ahead;
    uint64_t uses, names;
    int cached;
    struct pg_statement *slots[PG_STATEMENT_SLOTS];
    struct pg_connection *next; /* in the free list */
};

/* In line, oldest first: the work that began first. */
struct pg_waiting {
    int64_t since_us;
    pthread_cond_t wake;
    struct pg_connection *gift;
    struct pg_waiting *next;
};

struct pg_db {
    struct db base;
    struct db_options options;
    char *words[PG_URL_OPTIONS_MAX], *values[PG_URL_OPTIONS_MAX]; /* for libpq; NULL-terminated */
    int n_words;
    struct pg_server *server; /* shared with the pools beside it that work on the same one */
    bool has_role;            /* connections work as the service's own role */
    bool has_turn;            /* jumun_turn is there: not so where nothing may be made */
    _Atomic int64_t contended_until_us;
    struct pg_replicas *replicas; /* NULL: none */

    pthread_mutex_t mutex;
    struct pg_connection *free; /* newest first */
    int connections, connections_max;
    struct pg_waiting *first;
    int hungry;            /* of the connections: wait in pg_inherit */
    int64_t full_until_us; /* the server had no further connection for us; then it is asked again */
    struct pg_db *next;    /* of this process, see pg_pool_open */
};

/* What one exchange with the server brought, beside the results of what was asked. */
struct pg_answer {
    PGresult *result;                    /* of the last command; clear with PQclear */
    PGresult *failure;                   /* the first one, */
    struct pg_statement *fault;          /* and whose it was; NULL: a command's */
    const struct pg_statement *surprise; /* changed other rows than expected */
    bool silent;                         /* no answer in time, and none to a cancel either */
};

static inline struct pg_db *pg_of(const struct ctx *cx)
{
    return (struct pg_db *)cx->db;
}

/* postgres.c */
/* To be prepared anew, under a name that the server does not know. */
void pg_rename(struct pg_connection *c, struct pg_statement *st);
void pg_statements_drop(struct pg_connection *c);
enum err pg_run_on(struct ctx *cx, struct pg_connection *c, struct db_query *queries,
                   size_t n) MUST_USE;
/* Work of this thread came into conflict on the server. */
void pg_note_conflict(const struct ctx *cx);

/* postgres_pool.c */
enum err pg_take(struct ctx *cx, struct pg_db *p, struct pg_connection **ret) MUST_USE;
void pg_give_back(struct pg_db *p, struct pg_connection *c);
/* While the server has no further connection, one at a time asks it, and seldom. */
bool pg_may_try(struct pg_db *p);
void pg_full(struct pg_db *p, bool full);
/*
 * For a connection that the server refused: waits until then for another one's, which takes its
 * place. Where the pool has none, one that idles in a pool beside it is closed instead. False:
 * try again.
 */
bool pg_inherit(struct pg_db *p, struct pg_connection *c, int64_t since_us, int64_t until_us);
void pg_pool_open(struct pg_db *p);
void pg_pool_close(struct pg_db *p);
/* The same without being known to the pools beside it: a replica's. */
void pg_pool_init(struct pg_db *p);
void pg_pool_release(struct pg_db *p);
void pg_connection_release(struct pg_connection *c); /* all but the struct itself */

/* postgres_connect.c */
enum err pg_url_read(struct ctx *cx, struct pg_db *p, const char *url) MUST_USE;
void pg_url_set(struct pg_db *p, const char *word, const char *value);
void pg_url_free(struct pg_db *p);
const char *pg_url_get(const struct pg_db *p, const char *word); /* NULL: not said */
/* Opens the connection, also again; waits a moment for a server that is restarting. */
enum err pg_connect(struct ctx *cx, struct pg_db *p, struct pg_connection *c) MUST_USE;
/* Forgets everything about the server's side. */
void pg_disconnect(struct pg_connection *c);

/* One try. False: `refusal` says why, with the SQLSTATE if the server had one; empty: not by then.
 */
bool pg_connect_once(const struct pg_db *p, struct pg_connection *c, int64_t deadline_us,
                     char refusal[200]);

/* postgres_online.c */
enum err pg_online(struct ctx *cx, const char *sql) MUST_USE;

/* postgres_probe.c */
enum err pg_probe(struct ctx *cx, const char *location, const char *const *names,
                  struct str *ret) MUST_USE;
enum err pg_probe_replica(struct ctx *cx, const char *location, const char *replica,
                          int64_t lag_max_us, struct str *ret) MUST_USE;

/* postgres_wire.c */
void pg_ahead(struct pg_connection *c, const char *command);
/* The server is to forget every prepared statement, before the first of what is ahead. */
void pg_ahead_fresh(struct pg_connection *c);
/* The statement goes out with the next exchange, which also tells when it fails. */
enum err pg_defer(struct ctx *cx, struct pg_connection *c, struct pg_statement *st,
                  const struct db_query *q) MUST_USE;
/* What is ahead, then what is asked, in one round trip. On failure there are no results. */
enum err pg_exchange(struct ctx *cx, struct pg_connection *c, struct pg_asked *asked,
                     size_t n) MUST_USE;
/* The same as a transaction of its own, that nothing has begun: see pg_commit. */
enum err pg_exchange_once(struct ctx *cx, struct pg_connection *c, struct pg_asked *asked) MUST_USE;
/*
 * What is ahead, and the end of the transaction. When no answer comes, ERR_UNAVAILABLE or
 * ERR_DEADLINE: it may have happened.
 */
enum err pg_commit(struct ctx *cx, struct pg_connection *c) MUST_USE;
enum err pg_rollback(struct ctx *cx, struct pg_connection *c) MUST_USE;
/* Several commands without parameters, as text. */
enum err pg_simple(struct ctx *cx, struct pg_connection *c, const char *sql) MUST_USE;

/* postgres_rows.c */
enum err pg_rows(struct ctx *cx, struct pg_statement *st, PGresult *r, struct db_query *q) MUST_USE;
/* Binary forms of the arguments; `room` holds numbers, lengths and pointers. */
struct pg_binary {
    const char *values[PG_PARAMETERS_MAX];
    int lengths[PG_PARAMETERS_MAX], formats[PG_PARAMETERS_MAX];
    unsigned char room[PG_PARAMETERS_MAX][16];
};
void pg_bind(struct pg_binary *b, struct db_args args);
Oid pg_type(enum db_type t); /* 0 for null */

/* postgres_schema.c */
/* The service's schema, its role where the server lets us, and the table that writers lock. */
enum err pg_schema_make(struct ctx *cx, struct pg_db *p) MUST_USE;
/* A migration in PostgreSQL's words. */
const char *pg_script(struct ctx *cx, const char *sql);
