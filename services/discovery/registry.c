/* registry.c -- the registry's changes: register, renew, cancel, override, metadata. */
#include "discovery/registry_inside.h"

#define LEASE_ARENA_MAX (256u * 1024)
#define REGISTRY_ARENA_MAX (sizeof(struct registry) + 65536)

enum err registry_open(struct ctx *cx, const struct registry_options *options,
                       struct registry **ret)
{
    struct arena arena;

    assert(options->n_peers <= REGISTRY_PEERS_MAX);
    arena_init(&arena, REGISTRY_ARENA_MAX);
    struct registry *r = ARENA_NEW(&arena, struct registry);
    if (pthread_mutex_init(&r->lock, NULL) != 0) {
        arena_release(&arena);
        return fail(cx, ERR_INTERNAL, "no mutex for the registry");
    }
    r->options = *options;
    for (size_t i = 0; i < REGISTRY_INSTANCES_MAX; i++) {
        arena_init(&r->leases[i].arena, LEASE_ARENA_MAX);
        r->unused[r->n_unused++] = &r->leases[REGISTRY_INSTANCES_MAX - 1 - i];
    }
    r->arena = arena;
    *ret = r;
    return ERR_OK;
}

void registry_close(struct registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < REGISTRY_INSTANCES_MAX; i++)
        arena_release(&r->leases[i].arena);
    pthread_mutex_destroy(&r->lock);
    struct arena arena = r->arena;
    arena_release(&arena);
}

static int64_t enter(struct ctx *cx, struct registry *r)
{
    int64_t now_ms = ctx_now(cx) / US_PER_MS;

    pthread_mutex_lock(&r->lock);
    registry_tick(r, now_ms);
    return now_ms;
}

static enum err leave(struct registry *r, enum err e)
{
    pthread_mutex_unlock(&r->lock);
    return e;
}

size_t lease_at(const struct registry *r, struct str app, struct str id, bool *ret_found)
{
    size_t low = 0, high = r->n;

    *ret_found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct instance *is = &r->sorted[middle]->is;
        int order = str_cmp(is->app, app);
        if (order == 0)
            order = str_cmp(is->id, id);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct lease *find(const struct registry *r, struct str app, struct str id)
{
    bool found;
    size_t at = lease_at(r, app, id, &found);

    return found && !r->sorted[at]->gone ? r->sorted[at] : NULL;
}

void lease_changed(struct registry *r, struct lease *l, enum instance_action action, int64_t now_ms)
{
    l->is.action = action;
    l->is.updated_ms = now_ms;
    l->changed_ms = now_ms;
    r->version++;
}

unsigned owed_instead(enum peer_action action)
{
    return action == PEER_STATUS          ? 1u << PEER_DELETE_STATUS
           : action == PEER_DELETE_STATUS ? 1u << PEER_STATUS
                                          : 0;
}

void lease_owe(struct registry *r, struct lease *l, enum peer_action action)
{
    for (size_t i = 0; i < r->options.n_peers; i++)
        l->owed[i] = (unsigned char)((l->owed[i] & ~owed_instead(action)) | 1u << action);
}

void lease_delete(struct registry *r, struct lease *l, int64_t now_ms)
{
    l->gone = true;
    r->live--;
    memset(l->owed, 0, sizeof l->owed);
    lease_changed(r, l, INSTANCE_DELETED, now_ms);
}

/* A peer that was not told of its end need not hear of it any more. */
static void revive(struct registry *r, struct lease *l)
{
    l->gone = false;
    r->live++;
    memset(l->owed, 0, sizeof l->owed);
}

void lease_forget(struct registry *r, size_t at)
{
    struct lease *l = r->sorted[at];

    assert(l->gone);
    r->n--;
    memmove(r->sorted + at, r->sorted + at + 1, (r->n - at) * sizeof(struct lease *));
    r->bytes -= l->bytes;
    arena_release(&l->arena);
    *l = (struct lease){0};
    arena_init(&l->arena, LEASE_ARENA_MAX);
    r->unused[r->n_unused++] = l;
}

/* Makes room by what is deleted and still remembered; whoever misses it fetches all. */
static bool make_room(struct registry *r, const struct lease *keep, size_t bytes)
{
    while (r->bytes + bytes > REGISTRY_BYTES_MAX || (!keep && r->n_unused == 0)) {
        size_t oldest = SIZE_MAX;
        for (size_t i = 0; i < r->n; i++) {
            const struct lease *l = r->sorted[i];
            bool older = oldest == SIZE_MAX || l->changed_ms < r->sorted[oldest]->changed_ms;
            if (l != keep && l->gone && older)
                oldest = i;
        }
        if (oldest == SIZE_MAX)
            return false;
        lease_forget(r, oldest);
    }
    return true;
}

/* In the longer of both forms (XML has six bytes for an apostrophe), so that lists fit in either.
 */
static enum err size_of(struct ctx *cx, const struct instance *is, size_t *ret)
{
    *ret = 0;
    for (enum wire_form form = FORM_JSON; form <= FORM_XML; form++) {
        struct buf b;
        struct writer w = {.b = &b, .form = form};
        buf_init_arena(&b, cx->arena, INSTANCE_BYTES_MAX);
        write_instance(&w, is);
        *ret = b.n > *ret ? b.n : *ret;
        if (!b.overflow)
            continue;
        cx->story.public_detail = STR("The instance is larger than 16384 bytes of JSON or XML.");
        return fail(cx, ERR_TOO_LARGE, "instance over %d bytes", INSTANCE_BYTES_MAX);
    }
    return ERR_OK;
}

/* `is` must not point into the lease's own arena. */
static enum err store(struct ctx *cx, struct registry *r, struct lease *l,
                      const struct instance *is, size_t bytes)
{
    size_t more = bytes > l->bytes ? bytes - l->bytes : 0;

    if (!make_room(r, l, more)) {
        cx->story.public_detail = STR("The registry is full: 4 MiB of instances.");
        return fail(cx, ERR_BUSY, "registry holds %zu bytes", r->bytes);
    }
    r->bytes = r->bytes - l->bytes + bytes;
    l->bytes = bytes;
    arena_reset(&l->arena);
    instance_copy(&l->arena, is, &l->is);
    return ERR_OK;
}

/* A new place for it, empty but for its names. */
static enum err insert(struct ctx *cx, struct registry *r, const struct instance *is, size_t bytes,
                       struct lease **ret)
{
    bool found;

    if (!make_room(r, NULL, bytes)) {
        cx->story.public_detail = STR("The registry is full: 4096 instances or 4 MiB of them.");
        return fail(cx, ERR_BUSY, "registry holds %zu instances, %zu bytes", r->n, r->bytes);
    }
    size_t at = lease_at(r, is->app, is->id, &found);
    assert(!found);
    struct lease *l = r->unused[--r->n_unused];
    memmove(r->sorted + at + 1, r->sorted + at, (r->n - at) * sizeof(struct lease *));
    r->sorted[at] = l;
    r->n++;
    r->live++;
    *ret = l;
    return store(cx, r, l, is, bytes);
}

/* What the instance says of itself wins when it does not want to be called; else the override. */
static enum instance_status shown(enum instance_status said, enum instance_status overridden)
{
    if (said == INSTANCE_DOWN || said == INSTANCE_STARTING || overridden == INSTANCE_UNKNOWN)
        return said;
    return overridden;
}

static enum err register_locked(struct ctx *cx, struct registry *r, const struct instance *given,
                                size_t bytes, int64_t now_ms)
{
    bool found;
    size_t at = lease_at(r, given->app, given->id, &found);
    struct lease *l = found ? r->sorted[at] : NULL;
    bool lives = l && !l->gone;
    struct instance is = *given;

    if (lives) {
        if (l->is.overridden != INSTANCE_UNKNOWN)
            is.overridden = l->is.overridden;
        is.up_ms = l->is.up_ms;
    }
    is.status = shown(given->status, is.overridden);
    if (is.status == INSTANCE_UP && (!lives || is.up_ms == 0))
        is.up_ms = now_ms;
    is.registered_ms = is.renewed_ms = now_ms;
    is.evicted_ms = 0;
    if (!l)
        TRY(insert(cx, r, &is, bytes, &l));
    else if (lives && l->is.dirty_ms > given->dirty_ms) {
        l->is.registered_ms = l->is.renewed_ms = now_ms; /* an older copy: ours stays */
        l->is.evicted_ms = 0;
    } else {
        TRY(store(cx, r, l, &is, bytes));
        if (!lives)
            revive(r, l);
    }
    lease_changed(r, l, INSTANCE_ADDED, now_ms);
    return ERR_OK;
}

enum err registry_register(struct ctx *cx, struct registry *r, const struct instance *is,
                           enum registry_from from)
{
    size_t bytes;
    bool found;

    TRY(size_of(cx, is, &bytes));
    enum err e = register_locked(cx, r, is, bytes, enter(cx, r));
    if (e == ERR_OK && from == FROM_CLIENT)
        lease_owe(r, r->sorted[lease_at(r, is->app, is->id, &found)], PEER_REGISTER);
    return leave(r, e);
}

enum err registry_put(struct ctx *cx, struct registry *r, const struct instance *is)
{
    size_t bytes;
    bool found;

    TRY(size_of(cx, is, &bytes));
    (void)enter(cx, r);
    size_t at = lease_at(r, is->app, is->id, &found);
    struct lease *l = found ? r->sorted[at] : NULL;
    enum err e = l ? store(cx, r, l, is, bytes) : insert(cx, r, is, bytes, &l);
    if (e == ERR_OK && l->gone)
        revive(r, l);
    return leave(r, e);
}

void registry_clear(struct ctx *cx, struct registry *r)
{
    (void)enter(cx, r);
    while (r->n > 0) {
        r->sorted[r->n - 1]->gone = true;
        lease_forget(r, r->n - 1);
    }
    r->live = 0;
    (void)leave(r, ERR_OK);
}

static enum err unknown(struct ctx *cx, struct registry *r, struct str app, struct str id)
{
    cx->story.public_detail =
        arena_printf(cx->arena, "There is no instance %.*s of %.*s.", STR_ARG(id), STR_ARG(app));
    return leave(r, fail(cx, ERR_NOT_FOUND, "no instance %.*s of %.*s", STR_ARG(id), STR_ARG(app)));
}

enum err registry_renew(struct ctx *cx, struct registry *r, struct str app, struct str id,
                        int64_t dirty_ms, enum registry_from from, struct instance *ret_ours)
{
    int64_t now_ms = enter(cx, r);
    struct lease *l = find(r, app, id);

    if (!l || l->is.status == INSTANCE_UNKNOWN)
        return unknown(cx, r, app, id);
    l->is.renewed_ms = now_ms;
    r->renewals++;
    if (dirty_ms > l->is.dirty_ms)
        return unknown(cx, r, app, id);
    if (dirty_ms >= 0 && dirty_ms < l->is.dirty_ms && from == FROM_PEER) {
        instance_copy(cx->arena, &l->is, ret_ours);
        return leave(r, fail(cx, ERR_CONFLICT, "the peer's %.*s is older", STR_ARG(id)));
    }
    if (from == FROM_CLIENT)
        lease_owe(r, l, PEER_HEARTBEAT);
    return leave(r, ERR_OK);
}

enum err registry_cancel(struct ctx *cx, struct registry *r, struct str app, struct str id,
                         enum registry_from from)
{
    int64_t now_ms = enter(cx, r);
    struct lease *l = find(r, app, id);

    if (!l)
        return unknown(cx, r, app, id);
    lease_delete(r, l, now_ms);
    l->is.overridden = INSTANCE_UNKNOWN;
    if (from == FROM_CLIENT)
        lease_owe(r, l, PEER_CANCEL);
    return leave(r, ERR_OK);
}

static void set_status(struct registry *r, struct lease *l, enum instance_status status,
                       enum instance_status overridden, int64_t dirty_ms, int64_t now_ms)
{
    l->is.status = status;
    l->is.overridden = overridden;
    l->is.renewed_ms = now_ms;
    if (status == INSTANCE_UP && l->is.up_ms == 0)
        l->is.up_ms = now_ms;
    if (dirty_ms > l->is.dirty_ms)
        l->is.dirty_ms = dirty_ms;
    lease_changed(r, l, INSTANCE_MODIFIED, now_ms);
}

enum err registry_override(struct ctx *cx, struct registry *r, struct str app, struct str id,
                           enum instance_status status, int64_t dirty_ms, enum registry_from from)
{
    int64_t now_ms = enter(cx, r);
    struct lease *l = find(r, app, id);

    if (!l)
        return unknown(cx, r, app, id);
    set_status(r, l, status, status, dirty_ms, now_ms);
    if (from == FROM_CLIENT)
        lease_owe(r, l, PEER_STATUS);
    return leave(r, ERR_OK);
}

enum err registry_delete_override(struct ctx *cx, struct registry *r, struct str app, struct str id,
                                  enum instance_status status, int64_t dirty_ms,
                                  enum registry_from from)
{
    int64_t now_ms = enter(cx, r);
    struct lease *l = find(r, app, id);

    if (!l)
        return unknown(cx, r, app, id);
    set_status(r, l, status, INSTANCE_UNKNOWN, dirty_ms, now_ms);
    if (from == FROM_CLIENT)
        lease_owe(r, l, PEER_DELETE_STATUS);
    return leave(r, ERR_OK);
}

static enum err merge(struct ctx *cx, struct list pairs, struct instance *is)
{
    struct pair *all = arena_array(cx->arena, is->metadata.n + pairs.n + 1, sizeof *all);
    size_t n = is->metadata.n;

    if (n)
        memcpy(all, is->metadata.items, n * sizeof *all);
    for (size_t i = 0; i < pairs.n; i++) {
        const struct pair *p = LIST_AT(struct pair, pairs, i);
        size_t at = 0;
        while (at < n && !str_eq(all[at].key, p->key))
            at++;
        all[at] = *p;
        n += at == n;
    }
    is->metadata = (struct list){all, n};
    if (n <= METADATA_MAX)
        return ERR_OK;
    cx->story.public_detail = STR("metadata: expected at most 100 keys");
    return fail(cx, ERR_INVALID, "%zu metadata keys", n);
}

enum err registry_add_metadata(struct ctx *cx, struct registry *r, struct str app, struct str id,
                               struct list pairs)
{
    int64_t now_ms = enter(cx, r);
    struct lease *l = find(r, app, id);
    struct instance merged;
    size_t bytes;

    if (!l)
        return unknown(cx, r, app, id);
    instance_copy(cx->arena, &l->is, &merged);
    enum err e = merge(cx, pairs, &merged);
    if (e == ERR_OK)
        e = size_of(cx, &merged, &bytes);
    if (e == ERR_OK)
        e = store(cx, r, l, &merged, bytes);
    if (e == ERR_OK) {
        lease_changed(r, l, INSTANCE_MODIFIED, now_ms);
        lease_owe(r, l, PEER_REGISTER);
    }
    return leave(r, e);
}
