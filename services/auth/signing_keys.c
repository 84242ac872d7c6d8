/* signing_keys.c -- private keys in the database: read, made in turn, taken over from files. */
#include "auth/signing_keys.h"

#include <sodium.h>

#include "base/fault.h"
#include "db/db.h"
#include "obs/log.h"
#include "security/keys.h"

#define PEM_MAX 8192
#define TURN_TRIES 3
#define THERE_US US_PER_MIN /* who was seen no longer ago runs */

struct key_row {
    struct uuid kid;
    int64_t turn;
    struct str sealed;
};

static const struct field key_row_fields[] = {
    F_UUID(struct key_row, kid, "kid", 0, ""),
    F_INT(struct key_row, turn, "turn", 0, 0, INT64_MAX, ""),
    F_STR(struct key_row, sealed, "sealed", SECRET, 0, INT32_MAX, ""),
    F_END(struct key_row),
};

static struct str name_of(struct ctx *cx, struct uuid kid)
{
    return str_from(ctx_uuid_text(cx, kid));
}

/* Sealed ones that are alive, oldest first: kids sort by birth. */
static enum err read_rows(struct ctx *cx, struct list *ret)
{
    return db_all(cx, key_row_fields, ret,
                  "select kid, turn, sealed from signing_keys "
                  "where sealed is not null and made_at > $1 order by kid limit $2",
                  ARGS(db_int(ctx_now(cx) - KEYS_LIVE_US), db_int(JWT_KEYS_MAX)));
}

static enum err add_row(struct ctx *cx, const struct seal *seal, struct jwt_keys *keys,
                        const struct key_row *row, bool is_oldest)
{
    struct str kid = name_of(cx, row->kid), pem = STR_NONE;

    if (jwt_keys_know(keys, kid))
        return ERR_OK;
    if (seal_open(cx, seal, kid, row->sealed, &pem) != ERR_OK)
        return fail(cx, ERR_INVALID,
                    "auth's database holds signing key %.*s, sealed with another --keys-secret: "
                    "give the one that all processes of auth have",
                    STR_ARG(kid));
    enum err e = jwt_keys_add_pem(cx, keys, kid, pem, keys_times(row->kid, is_oldest));
    sodium_memzero((char *)(uintptr_t)pem.p, pem.n);
    return e == ERR_DUPLICATE ? ERR_OK : e;
}

static bool is_there(struct list rows, struct str kid)
{
    char text[UUID_TEXT_SIZE];

    for (size_t i = 0; i < rows.n; i++)
        if (str_eq(uuid_format(LIST_AT(struct key_row, rows, i)->kid, text), kid))
            return true;
    return false;
}

static enum err take_rows(struct ctx *cx, const struct seal *seal, struct jwt_keys *keys,
                          struct list rows)
{
    struct str known[JWT_KEYS_MAX];
    size_t n = jwt_keys_kids(cx, keys, known);

    for (size_t i = 0; i < rows.n; i++)
        TRY(add_row(cx, seal, keys, LIST_AT(struct key_row, rows, i), i == 0));
    for (size_t i = 0; i < n; i++)
        if (!is_there(rows, known[i]))
            jwt_keys_remove(keys, known[i]);
    return ERR_OK;
}

static int64_t newest_of(struct list rows)
{
    return rows.n ? keys_born_us(LIST_AT(struct key_row, rows, rows.n - 1)->kid) : 0;
}

enum err signing_keys_read(struct ctx *cx, const struct seal *seal, struct jwt_keys *keys,
                           int64_t *ret_newest_us)
{
    struct list rows;

    TRY(read_rows(cx, &rows));
    TRY(take_rows(cx, seal, keys, rows));
    *ret_newest_us = newest_of(rows);
    return ERR_OK;
}

/* Inside a transaction. ERR_DUPLICATE: another process took this turn. */
static enum err insert(struct ctx *cx, const struct seal *seal, struct uuid kid, struct str pem)
{
    struct str sealed = seal_close(cx, seal, name_of(cx, kid), pem);
    int64_t last = 0, rows;

    TRY(db_int_of(cx, &last, "select coalesce(max(turn), 0) from signing_keys", NO_ARGS));
    return db_change(
        cx, &rows,
        "insert into signing_keys (kid, turn, sealed, made_at, seen_at) "
        "values ($1, $2, $3, $4, $4) on conflict (kid) do update set "
        "turn = excluded.turn, sealed = excluded.sealed",
        ARGS(db_uuid(kid), db_int(last + 1), db_str(sealed), db_int(keys_born_us(kid))));
}

/* Signs nothing before it is durable and read back: what nobody can verify must not be signed. */
static enum err make_next(struct ctx *cx, const struct seal *seal, int64_t seen_newest_us)
{
    struct uuid kid = ctx_uuid(cx);
    struct jwt_keys *scratch;
    struct list rows;
    struct buf pem;

    buf_init_arena(&pem, cx->arena, PEM_MAX);
    if (!buf_reserve(&pem, PEM_MAX - 1))
        return fail(cx, ERR_INTERNAL, "no room for a key");
    TRY(jwt_keys_open(cx, &scratch));
    enum err e = jwt_keys_generate(cx, scratch, name_of(cx, kid), keys_times(kid, false), &pem);
    jwt_keys_close(scratch);
    if (e == ERR_OK)
        e = db_begin(cx);
    if (e == ERR_OK)
        e = read_rows(cx, &rows);
    if (e == ERR_OK && newest_of(rows) != seen_newest_us)
        e = ERR_DUPLICATE; /* somebody was quicker */
    if (e == ERR_OK)
        e = insert(cx, seal, kid, buf_str(&pem));
    if (e == ERR_OK)
        e = db_exec(cx, "delete from signing_keys where made_at <= $1",
                    ARGS(db_int(ctx_now(cx) - KEYS_LIVE_US)));
    if (e == ERR_OK)
        e = FAULT("signing_keys.commit") ? fail(cx, ERR_UNAVAILABLE, "fault") : db_commit(cx);
    sodium_memzero(pem.p, pem.n);
    if (e != ERR_OK)
        db_rollback(cx);
    return e == ERR_OK ? db_durable(cx) : e;
}

enum err signing_keys_rotate(struct ctx *cx, const struct seal *seal, struct jwt_keys *keys)
{
    int64_t newest_us = 0;

    TRY(signing_keys_read(cx, seal, keys, &newest_us));
    for (int i = 0; i < TURN_TRIES && newest_us + KEYS_ROTATE_US <= ctx_now(cx); i++) {
        enum err e = make_next(cx, seal, newest_us);
        if (e != ERR_OK && e != ERR_DUPLICATE && e != ERR_CONFLICT)
            return e;
        TRY(signing_keys_read(cx, seal, keys, &newest_us));
    }
    return newest_us ? ERR_OK : fail(cx, ERR_BUSY, "no turn to make a signing key");
}

struct import {
    const struct seal *seal;
    int64_t taken;
};

static enum err import_one(void *arg, struct ctx *cx, struct uuid kid, struct str pem)
{
    struct import *i = arg;

    i->taken++;
    return insert(cx, i->seal, kid, pem);
}

/* A crash before the commit leaves the files, one after it does it again with the same end. */
enum err signing_keys_import(struct ctx *cx, const struct seal *seal, const char *dir)
{
    struct import i = {.seal = seal};
    enum err e = ERR_CONFLICT;

    for (int tries = 0; tries < TURN_TRIES && (e == ERR_CONFLICT || e == ERR_DUPLICATE); tries++) {
        i.taken = 0;
        TRY(db_begin(cx));
        e = keys_each(cx, dir, import_one, &i);
        if (e == ERR_OK)
            e = db_commit(cx);
        if (e != ERR_OK)
            db_rollback(cx);
    }
    TRY(e);
    TRY(db_durable(cx));
    if (FAULT("signing_keys.discard"))
        return fail(cx, ERR_UNAVAILABLE, "fault");
    TRY(keys_discard(cx, dir));
    if (i.taken)
        log_event(cx, LOG_INFO,
                  "%" PRId64 " signing keys were taken from %s/keys into auth's database, sealed; "
                  "the files are deleted",
                  i.taken, dir);
    return ERR_OK;
}

enum err signing_keys_sealed(struct ctx *cx, int64_t *ret)
{
    return db_int_of(cx, ret,
                     "select count(*) from signing_keys where sealed is not null and made_at > $1",
                     ARGS(db_int(ctx_now(cx) - KEYS_LIVE_US)));
}

enum err signing_keys_say_seen(struct ctx *cx, struct jwt_keys *keys)
{
    struct str kids[JWT_KEYS_MAX];
    size_t n = jwt_keys_kids(cx, keys, kids);
    struct uuid kid;

    TRY(db_begin(cx));
    for (size_t i = 0; i < n; i++)
        if (uuid_parse(kids[i], &kid))
            TRY(db_exec(cx,
                        "insert into signing_keys (kid, made_at, seen_at) values ($1, $2, $3) "
                        "on conflict (kid) do update set seen_at = excluded.seen_at",
                        ARGS(db_uuid(kid), db_int(keys_born_us(kid)), db_int(ctx_now(cx)))));
    return db_commit(cx);
}

enum err signing_keys_strangers(struct ctx *cx, struct jwt_keys *keys, int64_t *ret)
{
    struct list rows;

    TRY(db_all(cx, key_row_fields, &rows,
               "select kid from signing_keys where sealed is null and seen_at > $1 order by kid",
               ARGS(db_int(ctx_now(cx) - THERE_US))));
    *ret = 0;
    for (size_t i = 0; i < rows.n; i++)
        if (!jwt_keys_know(keys, name_of(cx, LIST_AT(struct key_row, rows, i)->kid)))
            ++*ret;
    return ERR_OK;
}
