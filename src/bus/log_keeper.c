/* log_keeper.c -- the embedded bus's housekeeping: stores positions, deletes what everybody has
 * had. */
#include "bus/log.h"

#define KEEP_EVERY_S 3600
#define DELETE_AT_ONCE 1000 /* short transactions: publishers wait for their turn meanwhile */

struct hint {
    struct str group_name, topic;
    int64_t next_position;
};
static const struct field hint_fields[] = {
    F_STR(struct hint, group_name, "groupName", 0, 0, 200, ""),
    F_STR(struct hint, topic, "topic", 0, 0, 200, ""),
    F_INT(struct hint, next_position, "nextPosition", 0, 0, INT64_MAX, ""),
    F_END(struct hint),
};

void log_work_init(struct log_work *w, struct log_bus *b)
{
    memset(w, 0, sizeof(*w));
    arena_init(&w->arena, 16u << 20);
    rng_init(&w->rng);
    w->cx = (struct ctx){.arena = &w->arena, .clock = &clock_system, .rng = &w->rng, .db = b->db};
}

void log_work_release(struct log_work *w)
{
    db_rollback(&w->cx);
    arena_release(&w->arena);
}

int64_t log_hint(struct log_bus *b, const char *group, const char *topic)
{
    struct log_work w;
    int64_t next = 0;
    log_work_init(&w, b);
    enum err e = db_int_of(
        &w.cx, &next, "select next_position from positions where group_name = $1 and topic = $2",
        ARGS(db_str(str_from(group)), db_str(str_from(topic))));
    log_work_release(&w);
    return e == ERR_OK ? next : 0;
}

static enum err hints_write(struct ctx *cx, const struct hint *hints, size_t n)
{
    TRY(db_begin(cx));
    for (size_t i = 0; i < n; i++)
        TRY(db_exec(cx,
                    "insert into positions (group_name, topic, next_position) values ($1, $2, $3)"
                    " on conflict (group_name, topic) do update set next_position = $3",
                    ARGS(db_str(hints[i].group_name), db_str(hints[i].topic),
                         db_int(hints[i].next_position))));
    return db_commit(cx);
}

void log_store_hints(struct log_bus *b)
{
    struct log_work w;
    size_t n = 0, most = 0;
    log_work_init(&w, b);
    pthread_mutex_lock(&b->mutex);
    for (struct log_group *g = b->groups; g; g = g->next)
        for (struct log_slot *s = g->slots; s && g->name; s = s->following)
            most++;
    struct hint *hints = arena_array(&w.arena, most + 1, sizeof(*hints));
    for (struct log_group *g = b->groups; g; g = g->next) {
        for (struct log_slot *s = g->slots; s && g->name; s = s->following) {
            if (!s->dirty)
                continue;
            s->dirty = false;
            hints[n++] = (struct hint){.group_name = arena_copy(&w.arena, str_from(g->name)),
                                       .topic = arena_copy(&w.arena, str_from(s->topic->name)),
                                       .next_position = s->acked};
        }
    }
    pthread_mutex_unlock(&b->mutex);
    /* Only hints: when this fails, retention deletes a little less until the next round. */
    if (n > 0 && hints_write(&w.cx, hints, n) != ERR_OK)
        db_rollback(&w.cx);
    log_work_release(&w);
}

static enum err delete_some(struct ctx *cx, struct str topic, int64_t before_us,
                            int64_t before_position, int64_t *ret_deleted)
{
    TRY(db_begin(cx));
    TRY(db_change(
        cx, ret_deleted,
        "delete from events where position in (select position from events where topic = $1"
        " and position < $2 and stored_at < $3 order by position limit $4)",
        ARGS(db_str(topic), db_int(before_position), db_int(before_us), db_int(DELETE_AT_ONCE))));
    return db_commit(cx);
}

/* Old events that every known group has acknowledged. A topic that nobody ever read is kept. */
static void retain(struct log_bus *b)
{
    struct log_work w;
    struct list hints = {NULL, 0};
    log_work_init(&w, b);
    int64_t before_us = ctx_now(&w.cx) - b->retain_us;
    enum err e = db_all(
        &w.cx, hint_fields, &hints,
        "select topic, min(next_position) as next_position from positions group by topic", NO_ARGS);
    for (size_t i = 0; i < hints.n && e == ERR_OK; i++) {
        const struct hint *h = LIST_AT(struct hint, hints, i);
        int64_t deleted = DELETE_AT_ONCE;
        while (e == ERR_OK && deleted == DELETE_AT_ONCE) {
            pthread_mutex_lock(&b->mutex);
            bool stop = b->stopping;
            pthread_mutex_unlock(&b->mutex);
            e = stop ? ERR_BUSY
                     : delete_some(&w.cx, h->topic, before_us, h->next_position, &deleted);
        }
    }
    log_work_release(&w);
}

void *log_keeper_main(void *bus)
{
    struct log_bus *b = bus;
    pthread_mutex_lock(&b->mutex);
    while (!b->stopping) {
        pthread_mutex_unlock(&b->mutex);
        log_store_hints(b);
        retain(b);
        int64_t until_us = clock_monotonic_us() + KEEP_EVERY_S * US_PER_S;
        struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S)};
        pthread_mutex_lock(&b->mutex);
        while (!b->stopping && clock_monotonic_us() < until_us - US_PER_S)
            pthread_cond_timedwait(&b->keeper_wake, &b->mutex, &until);
    }
    pthread_mutex_unlock(&b->mutex);
    return NULL;
}
