/* log.h -- the embedded bus inside: topics, groups, and who reads which topic. */
#pragma once

#include "bus/driver.h"
#include "db/db.h"

#include <pthread.h>

struct log_topic {
    char *name;
    int64_t head; /* position of the newest durable event; 0: none */
    struct log_topic *next;
};

/*
 * One topic as one group reads it. `wanted` is who should read it, `owner` who does: a topic
 * changes hands only when its owner comes back to poll, so that two members never work on it at
 * once.
 */
struct log_slot {
    struct log_topic *topic;
    struct log_reader *owner, *wanted;
    bool started;        /* the owner knows where to go on */
    int64_t next, acked; /* next to be handed out; next to be acknowledged */
    bool dirty;          /* acked is newer than the table's */
    struct log_slot *following;
};

struct log_group {
    char *name; /* NULL: a lone reader's */
    struct log_slot *slots;
    struct log_reader *readers; /* in order of joining */
    struct log_group *next;
};

struct log_reader {
    struct bus_reader base;
    struct log_group *group;
    struct log_topic **topics;
    size_t n;
    bus_start *start;
    void *arg;
    pthread_cond_t wake;
    bool woken;
    size_t turn; /* which topic comes first, so that a busy one starves nobody */
    struct log_reader *next;
};

struct log_bus {
    struct bus base;
    struct db *db;
    pthread_t keeper, watcher;
    bool keeper_runs, watcher_runs;
    bool shared; /* other processes publish to it as well */

    pthread_mutex_t mutex;      /* over everything below and all of the above's structs */
    pthread_cond_t keeper_wake; /* of keeper and watcher */
    bool stopping;
    struct log_topic *topics;
    struct log_group *groups;
};

static inline struct log_bus *log_bus_of(struct log_reader *r)
{
    return (struct log_bus *)r->base.bus;
}

/* A piece of work on the bus's own database, with its own small arena. */
struct log_work {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
};
void log_work_init(struct log_work *w, struct log_bus *b);
void log_work_release(struct log_work *w);

/* All with the mutex held, except where said. */
struct log_topic *log_topic(struct log_bus *b, struct str name);
void log_join(struct log_bus *b, struct log_reader *r, const char *group);
void log_leave(struct log_bus *b, struct log_reader *r);
void log_give_up(struct log_reader *r);               /* topics that others should read now */
struct log_slot *log_take_over(struct log_reader *r); /* one topic that is free for us, or NULL */
void log_notify(struct log_bus *b, const struct log_topic *t);
void log_condition_init(pthread_cond_t *c);
void *log_must(void *p);

/* log_keeper.c: positions. Without the mutex. */
int64_t log_hint(struct log_bus *b, const char *group,
                 const char *topic); /* stored position, or 0 */
/* False: they could not be stored, what the table says may be out of date. */
bool log_store_hints(struct log_bus *b);
void *log_keeper_main(void *bus);

/* log_watch.c: looks for what other processes published, until the bus is stopping. */
void *log_watcher_main(void *bus);

/* log_sweep.c */
enum err log_sweep(struct ctx *cx, struct bus *bus, const char *topic, const struct bus_keep *keep,
                   struct bus_swept *ret) MUST_USE;
