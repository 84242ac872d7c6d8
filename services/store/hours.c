/* hours.c -- the next opening, what an owner may set as hours, and the pause switch. */
#include "store/store.h"

#include "base/fault.h"

/* The next of one minute of the week after now (both counted from Monday 00:00), in minutes. */
static int64_t minutes_until(int64_t at, int64_t now)
{
    int64_t week = (int64_t)WEEKDAYS * DAY_MINUTES;
    int64_t wait = (at - now) % week;

    return wait <= 0 ? wait + week : wait;
}

int64_t hours_next_opening(struct list hours, int64_t us)
{
    struct seoul_time t = seoul_time(us);
    int64_t now = (int64_t)t.weekday * DAY_MINUTES + t.minute_of_day, best = 0;

    for (size_t i = 0; i < hours.n; i++) {
        const struct hours *h = LIST_AT(struct hours, hours, i);
        const int64_t begins[] = {h->opens, hours_minute(h, h->break_to)};
        for (size_t k = 0; k < (h->has_break_to ? 2 : 1); k++) {
            int64_t wait = minutes_until(h->weekday * DAY_MINUTES + begins[k], now);
            int64_t at = us - us % US_PER_MIN + wait * US_PER_MIN;
            /* A break may begin with the day, or end with it. */
            if ((best == 0 || at < best) && hours_open_at(hours, at))
                best = at;
        }
    }
    return best;
}

struct hours_body {
    struct list hours;
};
const struct field hours_body_fields[] = {
    F_LIST(struct hours_body, hours, "hours", REQUIRED, 0, WEEKDAYS, hours_fields,
           "one entry per weekday that is open"),
    F_END(struct hours_body),
};

static enum err hours_bad(struct ctx *cx, size_t i, const char *field, const char *why)
{
    ctx_field_error(cx, arena_printf(cx->arena, "hours[%zu].%s", i, field), STR("RANGE"), "%s",
                    why);
    return fail(cx, ERR_INVALID, "hours[%zu].%s %s", i, field, why);
}

static enum err hours_check(struct ctx *cx, struct list hours)
{
    unsigned seen = 0;

    for (size_t i = 0; i < hours.n; i++) {
        const struct hours *h = LIST_AT(struct hours, hours, i);
        if (seen & 1u << h->weekday)
            return hours_bad(cx, i, "weekday", "is there twice");
        seen |= 1u << h->weekday;
        if (h->opens >= DAY_MINUTES)
            return hours_bad(cx, i, "opens", "must be before 24:00");
        if (h->opens == h->closes)
            return hours_bad(cx, i, "closes", "must differ from opens; all day is 00:00 to 24:00");
        if (h->has_break_from != h->has_break_to)
            return hours_bad(cx, i, "breakTo", "needs both ends of the break");
        if (h->has_break_from && (hours_minute(h, h->break_from) >= hours_minute(h, h->break_to) ||
                                  hours_minute(h, h->break_to) > hours_end(h)))
            return hours_bad(cx, i, "breakFrom", "the break must lie within the opening hours");
    }
    return ERR_OK;
}

enum err hours_replace(struct ctx *cx, struct uuid store_id, struct list hours)
{
    TRY(hours_check(cx, hours));
    TRY(db_exec(cx, "delete from store_hours where store_id = $1", ARGS(db_uuid(store_id))));
    for (size_t i = 0; i < hours.n; i++) {
        const struct hours *h = LIST_AT(struct hours, hours, i);
        TRY(db_exec(
            cx,
            "insert into store_hours (store_id, weekday, opens, closes, break_from, break_to,"
            " closes_abs, break_from_abs, break_to_abs)"
            " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            ARGS(db_uuid(store_id), db_int(h->weekday), db_int(h->opens), db_int(h->closes),
                 db_opt_int(h->has_break_from, h->break_from),
                 db_opt_int(h->has_break_to, h->break_to), db_int(hours_end(h)),
                 db_int(h->has_break_from ? hours_minute(h, h->break_from) : -1),
                 db_int(h->has_break_to ? hours_minute(h, h->break_to) : -1))));
    }
    return ERR_OK;
}

/* The store row changed: its version, its event, the commit, and the store as the owner sees it. */
enum err store_commit(struct ctx *cx, struct reply *rp, struct uuid store_id)
{
    TRY(store_announce(cx, store_id));
    if (FAULT("store.commit.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault: store.commit.before");
    TRY(reply_store(cx, rp, 200, store_id));
    return db_commit(cx);
}

/* A store that is there, at the version of If-Match. */
enum err store_expect(struct ctx *cx, const struct request *rq)
{
    int64_t version = 0;

    TRY(db_int_of(cx, &version,
                  "select version from stores where store_id = $1 and deleted_at is null",
                  ARGS(db_uuid(rq->id[0]))));
    return request_expects(cx, rq, 'v', version);
}

enum err hours_put(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct hours_body *in = rq->body;

    TRY(db_begin(cx));
    TRY(store_expect(cx, rq));
    TRY(db_exec(cx, "update stores set version = version + 1 where store_id = $1",
                ARGS(db_uuid(rq->id[0]))));
    TRY(hours_replace(cx, rq->id[0], in->hours));
    return store_commit(cx, rp, rq->id[0]);
}

struct pause_body {
    int64_t minutes;
    struct str reason;
};
const struct field pause_body_fields[] = {
    F_INT(struct pause_body, minutes, "minutes", REQUIRED, 1, 1440, "how long"),
    F_STR(struct pause_body, reason, "reason", REQUIRED | ONE_LINE, 1, 200, "shown to the staff"),
    F_END(struct pause_body),
};

enum err store_pause(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct pause_body *in = rq->body;

    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "update stores set paused_until = $2, pause_reason = $3, version = version + 1"
                " where store_id = $1",
                ARGS(db_uuid(rq->id[0]), db_int(ctx_now(cx) + in->minutes * US_PER_MIN),
                     db_str(in->reason))));
    return store_commit(cx, rp, rq->id[0]);
}

struct busy_body {
    int64_t add_minutes;
};
const struct field busy_body_fields[] = {
    F_INT(struct busy_body, add_minutes, "addMinutes", REQUIRED, 0, BUSY_MAX_MINUTES,
          "longer than usual; 0: as usual again"),
    F_END(struct busy_body),
};

/* What the customer is told before ordering; each order's own time is told when it is accepted. */
enum err store_busy(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct busy_body *in = rq->body;

    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "update stores set busy_minutes = $2, version = version + 1 where store_id = $1",
                ARGS(db_uuid(rq->id[0]), db_int(in->add_minutes))));
    return store_commit(cx, rp, rq->id[0]);
}

enum err store_resume(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    TRY(db_begin(cx));
    TRY(db_exec(cx,
                "update stores set paused_until = 0, pause_reason = null, version = version + 1"
                " where store_id = $1",
                ARGS(db_uuid(rq->id[0]))));
    return store_commit(cx, rp, rq->id[0]);
}
