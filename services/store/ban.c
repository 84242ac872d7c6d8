/* ban.c -- an operator takes a store out of sight, and lets it back. */
#include "store/menu.h"

#include "obs/log.h"

struct ban_body {
    struct str reason;
};
const struct field store_ban_fields[] = {
    F_STR(struct ban_body, reason, "reason", REQUIRED | ONE_LINE, 1, 200, "shown to the owner"),
    F_END(struct ban_body),
};

/* Its orders go on; who looks for it finds nothing, and nothing can be ordered there. */
static enum err set_ban(struct ctx *cx, const struct request *rq, struct reply *rp, bool banned)
{
    const struct ban_body *in = rq->body;
    struct store s = {0};

    TRY(db_begin(cx));
    TRY(store_load(cx, rq->id[0], &s));
    if (s.deleted)
        return fail(cx, ERR_GONE, "store was deleted");
    TRY(db_exec(cx,
                "update stores set is_banned = $2, ban_reason = $3, version = version + 1"
                " where store_id = $1",
                ARGS(db_uuid(rq->id[0]), db_bool(banned), db_str(banned ? in->reason : STR_NONE))));
    TRY(store_announce(cx, rq->id[0]));
    TRY(menu_commit(cx, NULL, rq->id[0])); /* no cached menu outlives it */
    log_event(cx, LOG_WARN, "store %s %s by operator %s", ctx_uuid_text(cx, rq->id[0]),
              banned ? "banned" : "let in again", ctx_uuid_text(cx, cx->caller.user_id));
    return reply_none(cx, rp, 204);
}

enum err store_ban(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return set_ban(cx, rq, rp, true);
}

enum err store_unban(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return set_ban(cx, rq, rp, false);
}
