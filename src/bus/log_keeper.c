/* log_keeper.c -- the embedded bus's housekeeping: stores how far each group is. */
#include "bus/log.h"

#define KEEP_EVERY_S 3600
/* Another process sweeps by the table; it must soon know of every group. */
#define KEEP_EVERY_SHARED_S 60

struct hint {
    struct str group_name, topic;
    int64_t next_position;
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
    TRY(db_commit(cx));
    return db_durable(cx); /* who asks for them reads what is durable */
}

/* After a failure they are as new to the table as before. */
static void mark_dirty(struct log_bus *b)
{
    pthread_mutex_lock(&b->mutex);
    for (struct log_group *g = b->groups; g; g = g->next)
        for (struct log_slot *s = g->slots; s && g->name; s = s->following)
            s->dirty |= s->started;
    pthread_mutex_unlock(&b->mutex);
}

bool log_store_hints(struct log_bus *b)
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
    bool ok = n == 0 || hints_write(&w.cx, hints, n) == ERR_OK;
    if (!ok) {
        db_rollback(&w.cx);
        mark_dirty(b);
    }
    log_work_release(&w);
    return ok;
}

void *log_keeper_main(void *bus)
{
    struct log_bus *b = bus;
    int64_t every_us = (b->shared ? KEEP_EVERY_SHARED_S : KEEP_EVERY_S) * US_PER_S;
    pthread_mutex_lock(&b->mutex);
    while (!b->stopping) {
        pthread_mutex_unlock(&b->mutex);
        log_store_hints(b);
        int64_t until_us = clock_monotonic_us() + every_us;
        struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S)};
        pthread_mutex_lock(&b->mutex);
        while (!b->stopping && clock_monotonic_us() < until_us - US_PER_S)
            pthread_cond_timedwait(&b->keeper_wake, &b->mutex, &until);
    }
    pthread_mutex_unlock(&b->mutex);
    return NULL;
}
