/* menu_cache.c -- encoded menus in this process: bounded, exact for its own edits, fresh within a
 * second. */
#include "store/menu.h"

#include <pthread.h>

/*
 * DESIGN
 *
 * A slot per store by hash; a newcomer evicts whoever was there. An edit of this process empties
 * the slot before it commits, and for longer than any request takes the slot accepts nothing but
 * that store's new version, so that readers of the old menu, who may go on until the commit is
 * durable, cannot put it back. Edits of other processes, and items that run out, are seen because
 * an entry older than FRESH_US is compared with the version in the database before it is served
 * again.
 */
#define SLOTS 512
#define ENTRY_MAX (256 * 1024)
#define ALL_MAX (32 * 1024 * 1024)
#define FRESH_US US_PER_S
#define EDIT_US (30 * US_PER_S)

struct slot {
    pthread_mutex_t lock;
    struct uuid store_id;
    int64_t version, checked_at;
    bool is_old;            /* checked by somebody whose reads may be old */
    struct buf json;        /* empty: nothing here */
    struct uuid edited;     /* the store last edited here, */
    int64_t edited_version; /* what the edit made of it */
    int64_t edited_at;      /* and when; 0: none */
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
                                      int64_t known, struct menu_hit *ret)
{
    enum menu_cache_state state = MENU_MISSING;
    int64_t now = ctx_now(cx);
    struct slot *s = slot_lock(c, store_id);

    if (s->json.n > 0 && uuid_eq(s->store_id, store_id)) {
        int64_t age = now - s->checked_at;
        bool good_enough = !s->is_old || cx->old_ok;
        state = age >= 0 && age < FRESH_US && good_enough ? MENU_FRESH : MENU_STALE;
        ret->version = s->version;
        ret->json = s->version == known ? STR_NONE : arena_copy(cx->arena, buf_str(&s->json));
    }
    pthread_mutex_unlock(&s->lock);
    return state;
}

/* An edit may not be durable yet: who reads beside it reads the menu before it. */
static bool may_be_outdated(struct ctx *cx, const struct slot *s, struct uuid store_id,
                            int64_t version)
{
    int64_t age = ctx_now(cx) - s->edited_at;

    if (s->edited_at == 0 || age < 0 || age >= EDIT_US)
        return false;
    return !uuid_eq(s->edited, store_id) || version < s->edited_version;
}

void menu_cache_put(struct ctx *cx, struct menu_cache *c, struct uuid store_id, int64_t version,
                    struct str json)
{
    if (json.n > ENTRY_MAX || c->bytes + (int64_t)json.n > ALL_MAX)
        return;
    struct slot *s = slot_lock(c, store_id);
    bool older = uuid_eq(s->store_id, store_id) && s->json.n > 0 && s->version > version;
    if (!older && !may_be_outdated(cx, s, store_id, version)) {
        slot_empty(c, s);
        buf_str_add(&s->json, json);
        c->bytes += (int64_t)s->json.cap;
        s->store_id = store_id;
        s->version = version;
        s->checked_at = ctx_now(cx);
        s->is_old = cx->old_ok;
    }
    pthread_mutex_unlock(&s->lock);
}

void menu_cache_confirm(struct ctx *cx, struct menu_cache *c, struct uuid store_id, int64_t version)
{
    struct slot *s = slot_lock(c, store_id);

    if (uuid_eq(s->store_id, store_id) && s->version == version) {
        s->checked_at = ctx_now(cx);
        s->is_old = cx->old_ok;
    }
    pthread_mutex_unlock(&s->lock);
}

void menu_cache_outdate(struct ctx *cx, struct menu_cache *c, struct uuid store_id, int64_t version)
{
    struct slot *s = slot_lock(c, store_id);

    slot_empty(c, s);
    s->edited = store_id;
    s->edited_version = version;
    s->edited_at = ctx_now(cx);
    pthread_mutex_unlock(&s->lock);
}
