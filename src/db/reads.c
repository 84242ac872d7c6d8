/* reads.c -- reads that are collected one by one and made together. */
#include "db/reads.h"

#define ROOM_FIRST 8

static void grow(struct ctx *cx, struct reads *r)
{
    size_t room = r->room ? 2 * r->room : ROOM_FIRST;
    struct db_read *of = arena_array(cx->arena, room, sizeof *of);

    if (r->n)
        memcpy(of, r->of, r->n * sizeof *of);
    r->of = of;
    r->room = room;
}

void reads_add(struct ctx *cx, struct reads *r, struct db_read read)
{
    struct db_value *values = arena_array(cx->arena, read.args.n, sizeof *values);

    if (r->n == r->room)
        grow(cx, r);
    if (read.args.n)
        memcpy(values, read.args.v, read.args.n * sizeof *values);
    read.args.v = values;
    r->of[r->n++] = read;
}

enum err reads_make(struct ctx *cx, const struct reads *r)
{
    for (size_t at = 0, some; at < r->n; at += some) {
        some = r->n - at < DB_READS_MAX ? r->n - at : DB_READS_MAX;
        TRY(db_read(cx, r->of + at, some));
    }
    return ERR_OK;
}
