/* menu_cache.c -- encoded menus in this process: bounded, exact for its own edits, fresh within a
 * second. */
#include "store/menu.h"

#include <pthread.h>

/*
 * DESIGN
 *
 * A slot per store by hash; a newcomer evicts whoever was there. An edit of this process forgets
 * the slot once it is durable, and raises its generation, so that a reader who began before the
 * edit cannot put the old menu back. Edits of other processes, and items that run out, are seen
 * because an entry older than FRESH_US is compared with the version in the database before it is
 * served again.
 */
#define SLOTS 512
#define ENTRY_MAX (256 * 1024)
#define ALL_MAX (32 * 1024 * 1024)
#define FRESH_US US_PER_S

struct slot {
    pthread_mutex_t lock;
    struct uuid store_id;
    int64_t version, checked_at;
    uint64_t generation;
    struct buf json; /* empty: nothing here */
};

struct menu_cache {
    struct arena arena; /* holds this struct itself */
    _Atomic int64_t bytes;
    struct slot slots[SLOTS];
};

enum err menu_cache_open(struct ctx *cx, struct menu_cache **ret)
{
    struct arena arena;

    arena_init(&arena, sizeof(struct menu_cache) * 2);
    struct menu_cache *c = ARENA_NEW(&arena, struct menu_cache);
    for (size_t i = 0; i < SLOTS; i++) {
        buf_init(&c->slots[i].json, ENTRY_MAX);
        if (pthread_mutex_init(&c->slots[i].lock, NULL) != 0) {
            arena_release(&arena);
            return fail(cx, ERR_INTERNAL, "no mutex for the menu cache");
        }
    }
    c->arena = arena;
    *ret = c;
    return ERR_OK;
}

void menu_cache_close(struct menu_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SLOTS; i++) {
        buf_release(&c->slots[i].json);
        pthread_mutex_destroy(&c->slots[i].lock);
    }
    struct arena arena = c->arena;
    arena_release(&arena);
}

static struct slot *slot_lock(struct menu_cache *c, struct uuid store_id)
{
    uint64_t hash = str_hash((struct str){(const char *)store_id.b, sizeof store_id.b});
    struct slot *s = &c->slots[(hash ^ hash >> 32) % SLOTS];

    pthread_mutex_lock(&s->lock);
    return s;
}

static void slot_empty(struct menu_cache *c, struct slot *s)
{
    c->bytes -= (int64_t)s->json.cap;
    buf_release(&s->json);
    buf_init(&s->json, ENTRY_MAX);
}

enum menu_cache_state menu_cache_find(struct ctx *cx, struct menu_cache *c, struct uuid store_id,
                                      int64_t known, struct menu_hit *ret, uint64_t *ret_generation)
{
    enum menu_cache_state state = MENU_MISSING;
    int64_t now = ctx_now(cx);
    struct slot *s = slot_lock(c, store_id);

    *ret_generation = s->generation;
    if (s->json.n > 0 && uuid_eq(s->store_id, store_id)) {
        int64_t age = now - s->checked_at;
        state = age >= 0 && age < FRESH_US ? MENU_FRESH : MENU_STALE;
        ret->version = s->version;
        ret->json = s->version == known ? STR_NONE : arena_copy(cx->arena, buf_str(&s->json));
    }
    pthread_mutex_unlock(&s->lock);
    return state;
}

void menu_cache_put(struct ctx *cx, struct menu_cache *c, struct uuid store_id, int64_t version,
                    struct str json, uint64_t generation)
{
    if (json.n > ENTRY_MAX || c->bytes + (int64_t)json.n > ALL_MAX)
        return;
    struct slot *s = slot_lock(c, store_id);
    bool older = uuid_eq(s->store_id, store_id) && s->json.n > 0 && s->version > version;
    if (s->generation == generation && !older) {
        slot_empty(c, s);
        buf_str_add(&s->json, json);
        c->bytes += (int64_t)s->json.cap;
        s->store_id = store_id;
        s->version = version;
        s->checked_at = ctx_now(cx);
    }
    pthread_mutex_unlock(&s->lock);
}

void menu_cache_confirm(struct ctx *cx, struct menu_cache *c, struct uuid store_id, int64_t version)
{
    struct slot *s = slot_lock(c, store_id);

    if (uuid_eq(s->store_id, store_id) && s->version == version)
        s->checked_at = ctx_now(cx);
    pthread_mutex_unlock(&s->lock);
}

void menu_cache_forget(struct menu_cache *c, struct uuid store_id)
{
    struct slot *s = slot_lock(c, store_id);

    s->generation++;
    slot_empty(c, s);
    pthread_mutex_unlock(&s->lock);
}
