/* log_sweep.c -- the embedded bus forgets what every reader has had, but never the newest snapshot
 * of a key. */
#include "base/fault.h"
#include "bus/log.h"

/*
 * DESIGN
 *
 * Two cursors go through a topic in order, neither beyond the first event that a group still needs.
 * The first one compacts: it is `snapshot_us` behind and looks at snapshots only. It writes down
 * the one it meets, under its type and key, and deletes the one that was written there before. The
 * second is `keep_us` behind, or at the first while the log is too large, and deletes everything
 * that is not written down. So each event is looked at twice, and a key costs one snapshot for
 * ever.
 *
 * Whoever subscribes later thus finds the newest snapshot of every key, and the events of the last
 * days: enough to begin from.
 *
 * An event's own time counts, not that of its arrival, because the database reads it without its
 * data. One from the future (a clock was wrong) counts as old.
 */

#define SWEEP_BATCH 200

struct cursors {
    int64_t compacted_to, dropped_to; /* positions looked at last */
};
static const struct field cursors_fields[] = {
    F_INT(struct cursors, compacted_to, "compactedTo", 0, 0, INT64_MAX, ""),
    F_INT(struct cursors, dropped_to, "droppedTo", 0, 0, INT64_MAX, ""),
    F_END(struct cursors),
};

struct passed {
    int64_t position, time_us;
    struct str type;
    struct uuid event_key;
};
static const struct field passed_fields[] = {
    F_INT(struct passed, position, "position", 0, 0, INT64_MAX, ""),
    F_INT(struct passed, time_us, "timeUs", 0, 0, INT64_MAX, ""),
    F_STR(struct passed, type, "type", 0, 0, 200, ""),
    F_UUID(struct passed, event_key, "eventKey", 0, ""),
    F_END(struct passed),
};

/* A group that has just subscribed has not said yet where it wants to begin. */
static bool is_undecided(struct log_bus *b, const char *topic)
{
    bool undecided = false;

    pthread_mutex_lock(&b->mutex);
    for (struct log_group *g = b->groups; g; g = g->next)
        for (struct log_slot *s = g->slots; s && g->name; s = s->following)
            undecided |= !s->started && strcmp(s->topic->name, topic) == 0;
    pthread_mutex_unlock(&b->mutex);
    return undecided;
}

/* The first position that somebody still needs: groups of this process, and those of earlier ones.
 */
static enum err first_needed(struct ctx *cx, struct log_bus *b, const char *topic, int64_t *ret)
{
    *ret = 0;
    if (!log_store_hints(b) || is_undecided(b, topic))
        return ERR_OK;
    return db_int_of(cx, ret,
                     "select coalesce(min(next_position), $2) from positions where topic = $1",
                     ARGS(db_str(str_from(topic)), db_int(INT64_MAX)));
}

static bool is_old(const struct ctx *cx, const struct passed *p, int64_t keep_us)
{
    return p->time_us <= ctx_now(cx) - keep_us || p->time_us > ctx_now(cx);
}

static bool is_snapshot(const struct bus_keep *keep, struct str type)
{
    for (size_t i = 0; keep->snapshots && keep->snapshots[i]; i++)
        if (str_eq(str_from(keep->snapshots[i]), type))
            return true;
    return false;
}

static enum err read_after(struct ctx *cx, const char *topic, int64_t after, int64_t before,
                           struct list *ret)
{
    return db_all(
        cx, passed_fields, ret,
        "select position, time_us, type, event_key from events where topic = $1"
        " and position > $2 and position < $3 order by position limit $4",
        ARGS(db_str(str_from(topic)), db_int(after), db_int(before), db_int(SWEEP_BATCH)));
}

static enum err delete_event(struct ctx *cx, int64_t position, int64_t *rows)
{
    int64_t deleted = 0;

    TRY(db_change(cx, &deleted, "delete from events where position = $1", ARGS(db_int(position))));
    *rows += deleted;
    return ERR_OK;
}

/* The one that is known of the key goes, this one takes its place. */
static enum err supersede(struct ctx *cx, const char *topic, const struct passed *p, int64_t *rows)
{
    int64_t before = 0;
    enum err e = db_int_of(
        cx, &before,
        "select position from snapshots where topic = $1 and type = $2 and event_key = $3",
        ARGS(db_str(str_from(topic)), db_str(p->type), db_uuid(p->event_key)));

    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (e == ERR_OK)
        TRY(delete_event(cx, before, rows));
    return db_exec(
        cx,
        "insert into snapshots (topic, type, event_key, position) values ($1, $2, $3, $4)"
        " on conflict (topic, type, event_key) do update set position = excluded.position",
        ARGS(db_str(str_from(topic)), db_str(p->type), db_uuid(p->event_key), db_int(p->position)));
}

static enum err compact(struct ctx *cx, const char *topic, const struct bus_keep *keep,
                        int64_t needed, struct cursors *at, struct bus_swept *ret)
{
    struct list rows = {NULL, 0};
    size_t i = 0;

    TRY(read_after(cx, topic, at->compacted_to, needed, &rows));
    for (; i < rows.n; i++) {
        const struct passed *p = LIST_AT(struct passed, rows, i);
        if (!is_old(cx, p, keep->snapshot_us))
            break;
        if (is_snapshot(keep, p->type))
            TRY(supersede(cx, topic, p, &ret->rows));
        at->compacted_to = p->position;
    }
    ret->more |= i == SWEEP_BATCH;
    return ERR_OK;
}

static enum err is_kept(struct ctx *cx, const char *topic, const struct passed *p, bool *ret)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n,
                  "select count(*) from snapshots where topic = $1 and type = $2 and"
                  " event_key = $3 and position = $4",
                  ARGS(db_str(str_from(topic)), db_str(p->type), db_uuid(p->event_key),
                       db_int(p->position))));
    *ret = n > 0;
    return ERR_OK;
}

static enum err drop(struct ctx *cx, const char *topic, const struct bus_keep *keep, bool too_large,
                     struct cursors *at, struct bus_swept *ret)
{
    struct list rows = {NULL, 0};
    size_t i = 0;

    TRY(read_after(cx, topic, at->dropped_to, at->compacted_to + 1, &rows));
    for (; i < rows.n; i++) {
        const struct passed *p = LIST_AT(struct passed, rows, i);
        bool kept = false;
        if (!too_large && !is_old(cx, p, keep->keep_us))
            break;
        if (is_snapshot(keep, p->type))
            TRY(is_kept(cx, topic, p, &kept));
        if (!kept)
            TRY(delete_event(cx, p->position, &ret->rows));
        at->dropped_to = p->position;
    }
    ret->more |= i == SWEEP_BATCH;
    return ERR_OK;
}

static enum err is_too_large(struct ctx *cx, const struct bus_keep *keep, bool *ret)
{
    int64_t bytes = 0;

    if (keep->max_bytes > 0)
        TRY(db_int_of(cx, &bytes,
                      "select (c.page_count - f.freelist_count) * s.page_size from"
                      " pragma_page_count c, pragma_freelist_count f, pragma_page_size s",
                      NO_ARGS));
    *ret = bytes > keep->max_bytes;
    return ERR_OK;
}

static enum err sweep(struct ctx *cx, struct log_bus *b, const char *topic,
                      const struct bus_keep *keep, struct bus_swept *ret)
{
    struct cursors at = {0, 0}, was;
    int64_t needed = 0;
    bool too_large = false;

    TRY(first_needed(cx, b, topic, &needed));
    TRY(is_too_large(cx, keep, &too_large));
    TRY(db_begin(cx));
    enum err e = db_one(cx, cursors_fields, &at,
                        "select compacted_to, dropped_to from sweeps where topic = $1",
                        ARGS(db_str(str_from(topic))));
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    was = at;
    TRY(compact(cx, topic, keep, needed, &at, ret));
    TRY(drop(cx, topic, keep, too_large, &at, ret));
    if (at.compacted_to == was.compacted_to && at.dropped_to == was.dropped_to) {
        db_rollback(cx); /* nothing to make durable */
        return ERR_OK;
    }
    TRY(db_exec(cx,
                "insert into sweeps (topic, compacted_to, dropped_to) values ($1, $2, $3)"
                " on conflict (topic) do update set compacted_to = excluded.compacted_to,"
                " dropped_to = excluded.dropped_to",
                ARGS(db_str(str_from(topic)), db_int(at.compacted_to), db_int(at.dropped_to))));
    if (FAULT("bus.sweep.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: bus.sweep.commit");
    TRY(db_commit(cx));
    return db_durable(cx);
}

enum err log_sweep(struct ctx *cx, struct bus *bus, const char *topic, const struct bus_keep *keep,
                   struct bus_swept *ret)
{
    struct log_bus *b = (struct log_bus *)bus;
    /* The caller's own transaction and ticket belong to another database. */
    struct ctx own = *cx;

    own.db = b->db;
    own.tx = NULL;
    own.ticket = 0;
    enum err e = sweep(&own, b, topic, keep, ret);
    if (e != ERR_OK) {
        db_rollback(&own);
        return fail(cx, e, "sweep of %s: %s", topic, own.story.detail);
    }
    return ERR_OK;
}
