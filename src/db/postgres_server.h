/* postgres_server.h -- what all pools of a process know of one server: whether it lets anybody in.
 */
#pragma once

#include "db/postgres.h"

/* postgres_away.c */
struct pg_server *pg_server_find(const char *name); /* host and port, as the URL says them */
void pg_server_leave(struct pg_server *s);
enum pg_try {
    PG_TRY_NOT,   /* it is away, and waiting would not help: `refusal` is what it said last */
    PG_TRY_ONCE,  /* pg_server_tried follows, */
    PG_TRY_AGAIN, /* and in vain: a further one may, soon */
};
/* Whether a connection may be tried, and until when. */
enum pg_try pg_server_try(struct pg_server *s, int64_t *ret_until_us, char refusal[200]) MUST_USE;
/* NULL: it let us in, or might have; empty: not a word by then. */
void pg_server_tried(struct pg_server *s, int64_t began_us, const char *refusal);
/* It does not answer on a connection that was open: those that idle are of no use either. */
void pg_server_silent(struct pg_server *s);
int64_t pg_server_silent_at(struct pg_server *s); /* 0: never */

/* postgres_cancel.c */
/* False: the server has not heard of it by then; the connection is of no use any more. */
bool pg_cancel(PGconn *pg, int64_t until_us) MUST_USE;
