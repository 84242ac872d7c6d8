/*
 * ended.c -- which sessions are over: told to the other processes, and remembered at our own start.
 *
 * Each process refuses the access tokens of these by itself (src/service/ended_watch.h), so that no
 * request costs a question. The list is short: after JWT_LIFETIME_S no token of such a session is
 * alive.
 */
#include "auth/auth.h"

struct ended_query {
    int64_t last_s;
    struct str cursor;
};

const struct field ended_query_fields[] = {
    F_INT(struct ended_query, last_s, "lastS", 0, 1, ENDED_LAST_S, "seconds to look back"),
    F_STR(struct ended_query, cursor, "cursor", 0, 1, 200, "where the last page ended"),
    F_END(struct ended_query),
};

/* Oldest first: what ends meanwhile comes on a later page. */
static enum err next_page(struct ctx *cx, int64_t since, struct uuid after, struct list *ret)
{
    return db_all(cx, ended_session_fields, ret,
                  "select session_id, revoked_at from sessions where revoked_at >= $1 "
                  "and (revoked_at > $1 or session_id > $2) "
                  "order by revoked_at, session_id limit $3",
                  ARGS(db_int(since), db_uuid(after), db_int(ENDED_PAGE)));
}

enum err auth_ended(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    static const struct uuid least = {.b = {[15] = 1}}; /* nil would be null */
    const struct ended_query *q = rq->query;
    const struct page page = {.cursor = q->cursor};
    int64_t since = ctx_now(cx) - (q->last_s ? q->last_s : ENDED_LAST_S) * US_PER_S;
    struct uuid after = least;
    struct ended_page out = {0};

    if (q->cursor.p)
        TRY(page_after(cx, &page, &since, &after));
    TRY(next_page(cx, since, after, &out.sessions));
    if (out.sessions.n == ENDED_PAGE) {
        const struct ended_session *last =
            LIST_AT(struct ended_session, out.sessions, out.sessions.n - 1);
        out.next_cursor = page_cursor(cx, last->revoked_at, last->session_id);
    }
    return reply_data(cx, rp, 200, ended_page_fields, &out);
}

enum err sessions_recall(struct ctx *cx)
{
    int64_t since = ctx_now(cx) - ENDED_LAST_S * US_PER_S;
    struct uuid after = {.b = {[15] = 1}};
    struct list rows;

    do {
        TRY(next_page(cx, since, after, &rows));
        for (size_t i = 0; i < rows.n; i++) {
            const struct ended_session *row = LIST_AT(struct ended_session, rows, i);
            ended_forget(cx, row);
            since = row->revoked_at;
            after = row->session_id;
        }
    } while (rows.n == ENDED_PAGE);
    return ERR_OK;
}
