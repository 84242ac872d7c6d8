/* limits.c -- counts clients in a table of bounded size, and tells a shared cache aside. */
#include "gateway/limits.h"

#include <pthread.h>

#include "service/ticker.h"

#define SETS 4096
#define WAYS 4
#define KEY_MAX 64
#define TELL_MS 100

struct count {
    char key[KEY_MAX];
    size_t key_n; /* 0: free */
    int limit, untold;
    int64_t window_ms;
    int64_t tat_us; /* see cache_gcra */
    bool is_listed; /* among those to be told */
};

struct limits {
    pthread_mutex_t lock;
    struct cache *shared; /* NULL: alone */
    struct ticker ticker;
    _Atomic bool stop; /* who is not told yet need not be */
    uint32_t listed[SETS * WAYS];
    size_t n_listed;
    struct count counts[SETS * WAYS];
};

struct limits *limits_open(struct arena *a, struct cache *shared)
{
    struct limits *l = ARENA_NEW(a, struct limits);

    pthread_mutex_init(&l->lock, NULL);
    l->shared = cache_is_shared(shared) ? shared : NULL;
    return l;
}

void limits_close(struct limits *l)
{
    if (!l)
        return;
    l->stop = true;
    ticker_stop(&l->ticker);
    pthread_mutex_destroy(&l->lock);
}

/* The lock is held. Of a full set the one goes that is nearest to having all its tokens again. */
static struct count *find(struct limits *l, struct str key)
{
    struct count *set = &l->counts[str_hash(key) % SETS * WAYS], *victim = set;

    for (size_t i = 0; i < WAYS; i++) {
        if (str_eq((struct str){set[i].key, set[i].key_n}, key))
            return &set[i];
        if (set[i].tat_us < victim->tat_us)
            victim = &set[i];
    }
    *victim = (struct count){.key_n = key.n, .is_listed = victim->is_listed};
    memcpy(victim->key, key.p, key.n);
    return victim;
}

bool limits_take(struct ctx *cx, struct limits *l, struct str key, int limit, int64_t window_ms,
                 int *ret_left, int64_t *ret_retry_ms)
{
    assert(key.n > 0 && key.n <= KEY_MAX); /* an address, and what for */
    pthread_mutex_lock(&l->lock);
    struct count *c = find(l, key);
    bool taken = cache_gcra(&c->tat_us, ctx_now(cx), limit, window_ms, ret_left, ret_retry_ms);
    c->limit = limit;
    c->window_ms = window_ms;
    c->untold += taken;
    if (l->shared && taken && !c->is_listed) {
        c->is_listed = true;
        l->listed[l->n_listed++] = (uint32_t)(c - l->counts);
    }
    pthread_mutex_unlock(&l->lock);
    return taken;
}

/* The next to be told, as it stands; false: there is none. */
static bool next_listed(struct limits *l, struct count *ret, uint32_t *ret_at)
{
    pthread_mutex_lock(&l->lock);
    bool found = l->n_listed > 0;
    if (found) {
        *ret_at = l->listed[--l->n_listed];
        struct count *c = &l->counts[*ret_at];
        *ret = *c;
        c->is_listed = false;
        c->untold = 0;
    }
    pthread_mutex_unlock(&l->lock);
    return found;
}

/* What all have used counts here as well, unless somebody else has the place by now. */
static void learn(struct limits *l, uint32_t at, const struct count *told, int64_t tat_us)
{
    struct count *c = &l->counts[at];

    pthread_mutex_lock(&l->lock);
    bool same = str_eq((struct str){c->key, c->key_n}, (struct str){told->key, told->key_n});
    if (same && tat_us > c->tat_us)
        c->tat_us = tat_us;
    pthread_mutex_unlock(&l->lock);
}

static void tell(void *arg, struct arena *a)
{
    struct limits *l = arg;
    struct ctx cx = {.arena = a, .clock = &clock_system};
    struct count c;
    uint32_t at;

    /* One that is listed again meanwhile waits for the next turn: this one ends. */
    pthread_mutex_lock(&l->lock);
    size_t n = l->n_listed;
    pthread_mutex_unlock(&l->lock);
    while (!l->stop && n-- > 0 && next_listed(l, &c, &at)) {
        int64_t now_us = ctx_now(&cx), ahead_us = c.tat_us > now_us ? c.tat_us - now_us : 0;
        if (cache_merge(&cx, l->shared, (struct str){c.key, c.key_n}, c.limit, c.window_ms,
                        c.untold, &ahead_us))
            learn(l, at, &c, now_us + ahead_us);
        arena_reset(a);
    }
}

enum err limits_share(struct ctx *cx, struct limits *l)
{
    return l->shared ? ticker_start(cx, &l->ticker, "limits", TELL_MS, tell, l) : ERR_OK;
}
