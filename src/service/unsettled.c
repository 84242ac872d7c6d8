/* unsettled.c -- keys of requests that ended while the database was away: freed when it is back,
 * long before their lease runs out. */
#include <stdlib.h>
#include <string.h>

#include "obs/log.h"
#include "service/running.h"

/* More than that wait for their lease, as they would if we had died. */
#define UNSETTLED_MAX 4096

struct unsettled {
    struct unsettled *next;
    struct idempotency key;
    char text[]; /* what the strings of the key point at */
};

static struct str keep(char **at, struct str text)
{
    struct str kept = {*at, text.n};

    if (text.n)
        memcpy(*at, text.p, text.n);
    *at += text.n;
    return kept;
}

static void put(struct svc *s, struct unsettled *u)
{
    u->next = atomic_load(&s->unsettled);
    while (!atomic_compare_exchange_weak(&s->unsettled, &u->next, u))
        ;
}

void unsettled_add(struct work *w)
{
    const struct idempotency *k = &w->key;
    struct svc *s = w->bound->svc;
    struct unsettled *u = NULL;

    if (atomic_fetch_add(&s->n_unsettled, 1) < UNSETTLED_MAX)
        u = malloc(sizeof *u + k->principal.n + k->route.n + k->key.n);
    if (!u) {
        atomic_fetch_sub(&s->n_unsettled, 1);
        return;
    }
    char *at = u->text;
    u->key = *k;
    u->key.principal = keep(&at, k->principal);
    u->key.route = keep(&at, k->route);
    u->key.key = keep(&at, k->key);
    put(s, u);
}

static enum err free_key(struct svc *s, struct arena *arena, const struct idempotency *k)
{
    struct ctx cx;

    platform_ctx(s->platform, s, arena, &cx);
    if (ctx_now(&cx) >= k->lease_until)
        return ERR_OK;
    enum err e = db_begin(&cx);
    if (e == ERR_OK)
        e = idempotency_drop(&cx, k);
    if (e == ERR_OK)
        e = db_commit(&cx);
    db_rollback(&cx);
    return e;
}

static void forget(struct svc *s, struct unsettled *u)
{
    atomic_fetch_sub(&s->n_unsettled, 1);
    free(u);
}

/* Those that were not freed wait for the next time; after a failure nothing more is tried. */
void unsettled_free(struct svc *s, struct arena *arena)
{
    struct unsettled *all = atomic_exchange(&s->unsettled, NULL);
    enum err e = ERR_OK;

    while (all) {
        struct unsettled *u = all;
        all = u->next;
        if (e == ERR_OK)
            e = free_key(s, arena, &u->key);
        if (e == ERR_OK)
            forget(s, u);
        else
            put(s, u);
    }
}

void unsettled_close(struct svc *s)
{
    for (struct unsettled *u = atomic_exchange(&s->unsettled, NULL), *next; u; u = next) {
        next = u->next;
        forget(s, u);
    }
}
