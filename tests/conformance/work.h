/* work.h -- one piece of work on a database: its own arena and context. */
#pragma once

#include "db/db.h"

struct work {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
};

static inline void work_init(struct work *w, struct db *db)
{
    memset(w, 0, sizeof(*w));
    arena_init(&w->arena, 64u << 20);
    rng_init(&w->rng);
    w->cx = (struct ctx){.arena = &w->arena, .clock = &clock_system, .rng = &w->rng, .db = db};
}

static inline void work_release(struct work *w)
{
    db_rollback(&w->cx);
    arena_release(&w->arena);
}
