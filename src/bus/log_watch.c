/* log_watch.c -- a shared embedded bus: finds what other processes published. */
#include "bus/log.h"

#include "base/thread.h"

/* SQLite tells nobody of another process's commit. One look is a search in an index. */
#define LOOK_EVERY_US (20 * US_PER_MS)

struct head {
    struct str topic;
    int64_t position;
};
static const struct field head_fields[] = {
    F_STR(struct head, topic, "topic", 0, 0, 200, ""),
    F_INT(struct head, position, "position", 0, 0, INT64_MAX, ""),
    F_END(struct head),
};

/* Positions rise in the order of commits, so nothing appears below what was seen. */
static enum err look(struct log_bus *b, struct ctx *cx, int64_t *seen)
{
    struct list rows = {NULL, 0};
    int64_t newest = 0;

    TRY(db_int_of(cx, &newest, "select coalesce(max(position), 0) from events", NO_ARGS));
    if (newest <= *seen)
        return ERR_OK;
    TRY(db_all(cx, head_fields, &rows,
               "select topic, max(position) as position from events where position > $1"
               " group by topic",
               ARGS(db_int(*seen))));
    pthread_mutex_lock(&b->mutex);
    for (size_t i = 0; i < rows.n; i++) {
        const struct head *row = LIST_AT(struct head, rows, i);
        struct log_topic *t = log_topic(b, row->topic);
        if (row->position > *seen)
            *seen = row->position;
        if (row->position <= t->head)
            continue;
        t->head = row->position;
        log_notify(b, t);
    }
    pthread_mutex_unlock(&b->mutex);
    return ERR_OK;
}

void *log_watcher_main(void *bus)
{
    struct log_bus *b = bus;
    int64_t seen = 0;
    struct log_work w;

    thread_name("watch", "bus");
    for (;;) {
        log_work_init(&w, b);
        (void)look(b, &w.cx, &seen); /* the next look finds the same */
        log_work_release(&w);
        int64_t until_us = clock_monotonic_us() + LOOK_EVERY_US;
        struct timespec until = {.tv_sec = (time_t)(until_us / US_PER_S),
                                 .tv_nsec = (long)(until_us % US_PER_S) * 1000};
        pthread_mutex_lock(&b->mutex);
        if (!b->stopping)
            pthread_cond_timedwait(&b->keeper_wake, &b->mutex, &until);
        bool stopping = b->stopping;
        pthread_mutex_unlock(&b->mutex);
        if (stopping)
            return NULL;
    }
}
