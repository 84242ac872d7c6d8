/* sqlite.h -- what the two halves of the SQLite driver share: connections, and the writer's turn.
 */
#pragma once

#include "db/driver.h"

#include <pthread.h>
#include <sqlite3.h>

#define STATEMENTS_MAX 256
#define STATEMENT_SLOTS 128 /* power of two */
#define FAILED_GROUPS_KEPT 4096
#define GROUP_MAX 256                  /* members after which nobody joins any more */
#define GROUP_AGE_MAX_US INT64_C(2000) /* age at which it is committed, whoever waits */
#define CHECKPOINT_PAGES 4000          /* of the write-ahead log: about 16 MB */

/* Threads in a first-come-first-served line; each sleeps on its own condition. */
struct waiting {
    pthread_cond_t wake;
    bool granted;
    void *gift;
    struct waiting *next;
};
struct line {
    struct waiting *head, *tail;
};

struct statement {
    sqlite3_stmt *stmt;
    char *sql;
    uint64_t hash, last_used;
    int parameters;
    unsigned char *argument_of; /* by bind index - 1: SQLite numbers $n by first appearance */
    size_t arguments;           /* the highest n */
    const struct field *planned_for;
    int columns;
    const struct field **plan; /* by column */
    struct statement *next;    /* in its slot */
};

struct connection {
    sqlite3 *handle;
    bool writer;
    int64_t deadline_us; /* of the statement that runs; readers only */
    uint64_t uses;
    int cached;
    struct statement *slots[STATEMENT_SLOTS];
    struct connection *next; /* in the free list */
};

struct sqlite_db {
    struct db base;
    char *path;
    struct db_options options;

    /* The turn: who holds it may use `writer`, `group_open` and `tx`. */
    struct connection writer;
    sqlite3_stmt *begin, *commit, *rollback, *member, *member_release, *member_undo;
    bool group_open;
    int wal_pages; /* after the last commit */
    struct db_tx tx;

    pthread_mutex_t mutex; /* over everything below */
    struct line line;      /* for the turn */
    bool turn_taken;
    bool commit_due; /* the committer holds the turn */
    bool left_open;  /* a group with members, and nobody who waits or has the turn */
    bool stopping;
    pthread_cond_t committer_wake;
    pthread_t committer;
    bool committer_runs;
    uint64_t group, finished; /* numbers: newest opened, newest decided */
    size_t members;           /* of the open group */
    struct db_rings rings;    /* of all of them */
    int64_t group_began_us;
    struct db_waiter *waiters; /* all wait for the open group */
    uint64_t failed[FAILED_GROUPS_KEPT];
    size_t failed_n;

    pthread_mutex_t reader_mutex;
    struct connection *free_readers;
    int readers;
    struct line reader_line;
};

static inline struct sqlite_db *sqlite_of(const struct ctx *cx)
{
    return (struct sqlite_db *)cx->db;
}

/* sqlite.c */
enum err sqlite_error(struct ctx *cx, sqlite3 *handle, int rc, const char *what) MUST_USE;
/* A failed write or sync leaves the kernel's pages unknown: only a restart from the log is safe. */
void sqlite_abort_if_io(const struct sqlite_db *s, int rc);

/* sqlite_group.c */
void line_condition_init(pthread_cond_t *c);
/* With the mutex held; false: the deadline passed. *ret_gift is what the granter handed over. */
bool line_wait(struct line *l, pthread_mutex_t *m, int64_t deadline_us, void **ret_gift);
bool line_grant(struct line *l, void *gift); /* with the mutex held; false: nobody waits */
enum err group_start(struct ctx *cx, struct sqlite_db *s) MUST_USE;
void group_stop(struct sqlite_db *s); /* commits what is pending; harmless when not started */
enum err sqlite_begin(struct ctx *cx) MUST_USE;
enum err sqlite_commit(struct ctx *cx) MUST_USE;
void sqlite_rollback(struct ctx *cx);
bool sqlite_park(struct ctx *cx, struct db_waiter *w);
