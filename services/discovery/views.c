/* views.c -- what a registry shows: lists, changes, single instances, figures, what peers are owed.
 */
#include "discovery/registry_inside.h"

/* Around each instance: its application's name, and what a change of status makes it longer. */
#define AROUND_EACH 1024
#define AROUND 4096

static int64_t enter(struct ctx *cx, struct registry *r)
{
    int64_t now_ms = ctx_now(cx) / US_PER_MS;

    pthread_mutex_lock(&r->lock);
    registry_tick(r, now_ms);
    return now_ms;
}

/* Whether one of the names between the commas is this one; letters count alike. */
static bool answers_to(struct str addresses, struct str name)
{
    struct str rest = addresses, one;

    for (bool more = addresses.n > 0; more;) {
        more = str_cut(rest, ',', &one, &rest);
        if (str_eq_nocase(str_trim(one), name))
            return true;
    }
    return false;
}

static bool belongs(const struct registry *r, const struct lease *l, enum registry_view view,
                    struct str name, struct str id, int64_t now_ms)
{
    if (view == VIEW_CHANGES)
        return l->changed_ms + REGISTRY_DELTA_MS > now_ms;
    if (l->gone)
        return false;
    switch (view) {
    case VIEW_APPLICATION:
        return str_eq(l->is.app, name);
    case VIEW_VIP:
        return answers_to(l->is.vip, name);
    case VIEW_SECURE_VIP:
        return answers_to(l->is.secure_vip, name);
    case VIEW_INSTANCE:
        return str_eq(l->is.id, id) && (!name.p || str_eq(l->is.app, name)) &&
               !(lease_expired(l, now_ms) && registry_evicts(r));
    default:
        return true;
    }
}

/* Of those shown, or of all where clients compare it with what they hold. */
static struct str hash_of(struct ctx *cx, struct instance *const *items, size_t n)
{
    /* By name. */
    static const enum instance_status order[] = {INSTANCE_DOWN, INSTANCE_OUT_OF_SERVICE,
                                                 INSTANCE_STARTING, INSTANCE_UNKNOWN, INSTANCE_UP};
    size_t counts[INSTANCE_STATUSES] = {0};
    struct buf b;

    for (size_t i = 0; i < n; i++)
        counts[items[i]->status]++;
    buf_init_arena(&b, cx->arena, 256);
    for (size_t i = 0; i < COUNT_OF(order); i++)
        if (counts[order[i]])
            buf_printf(&b, "%s_%zu_", instance_status_names[order[i]], counts[order[i]]);
    return b.n ? buf_str(&b) : STR("");
}

static struct str hash_of_all(struct ctx *cx, struct registry *r)
{
    struct instance **items = arena_array(cx->arena, r->n + 1, sizeof *items);
    size_t n = 0;

    for (size_t i = 0; i < r->n; i++)
        if (!r->sorted[i]->gone)
            items[n++] = &r->sorted[i]->is;
    return hash_of(cx, items, n);
}

static enum err not_found(struct ctx *cx, enum registry_view view, struct str name, struct str id)
{
    if (view == VIEW_APPLICATION)
        cx->story.public_detail =
            arena_printf(cx->arena, "There is no application %.*s.", STR_ARG(name));
    else
        cx->story.public_detail = arena_printf(cx->arena, "There is no instance %.*s%s%.*s.",
                                               STR_ARG(id), name.p ? " of " : "", STR_ARG(name));
    return fail(cx, ERR_NOT_FOUND, "nothing to show");
}

static enum err write_view(struct ctx *cx, struct registry *r, enum registry_view view,
                           struct str name, struct str id, int64_t now_ms, struct writer *w)
{
    struct instance **items = arena_array(cx->arena, r->n + 1, sizeof *items);
    struct list found = {items, 0};
    size_t bytes = 0;

    for (size_t i = 0; i < r->n; i++)
        if (belongs(r, r->sorted[i], view, name, id, now_ms)) {
            items[found.n++] = &r->sorted[i]->is;
            bytes += r->sorted[i]->bytes;
        }
    if (found.n == 0 && (view == VIEW_APPLICATION || view == VIEW_INSTANCE))
        return not_found(cx, view, name, id);
    buf_init_arena(w->b, cx->arena, bytes + found.n * AROUND_EACH + AROUND);
    (void)buf_reserve(w->b, bytes + found.n * 64 + AROUND); /* grown once at most */
    struct str version = view == VIEW_ALL       ? STR("1")
                         : view == VIEW_CHANGES ? arena_printf(cx->arena, "%" PRId64, r->version)
                                                : STR("-1");
    if (view == VIEW_INSTANCE)
        write_instance(w, items[0]);
    else if (view == VIEW_APPLICATION)
        write_application(w, name, found);
    else
        write_applications(w, version,
                           view == VIEW_CHANGES ? hash_of_all(cx, r) : hash_of(cx, items, found.n),
                           found);
    if (w->b->overflow)
        return fail(cx, ERR_TOO_LARGE, "view of %zu instances outgrew its buffer", found.n);
    return ERR_OK;
}

enum err registry_write(struct ctx *cx, struct registry *r, enum registry_view view,
                        struct str name, struct str id, struct writer *w)
{
    int64_t now_ms = enter(cx, r);
    enum err e = write_view(cx, r, view, name, id, now_ms, w);

    pthread_mutex_unlock(&r->lock);
    return e;
}

struct str registry_hash(struct ctx *cx, struct registry *r)
{
    (void)enter(cx, r);
    struct str hash = hash_of_all(cx, r);

    pthread_mutex_unlock(&r->lock);
    return hash;
}

void registry_each(struct ctx *cx, struct registry *r,
                   void (*each)(void *arg, const struct instance *is), void *arg)
{
    (void)enter(cx, r);
    for (size_t i = 0; i < r->n; i++)
        if (!r->sorted[i]->gone)
            each(arg, &r->sorted[i]->is);
    pthread_mutex_unlock(&r->lock);
}

struct registry_figures registry_figures(struct ctx *cx, struct registry *r)
{
    (void)enter(cx, r);
    const struct registry_figures figures = {
        .instances = r->live,
        .bytes = r->bytes,
        .renewals_last_minute = r->renewals_last,
        .renewals_expected = renewals_needed(r),
        .evicting = registry_evicts(r),
    };

    pthread_mutex_unlock(&r->lock);
    return figures;
}

/* The first of what is owed, taken off. Registering says all that a status or a renewal would. */
static enum peer_action take_owed(struct lease *l, size_t peer)
{
    for (int a = PEER_REGISTER; a < PEER_CANCEL; a++)
        if (l->owed[peer] & 1u << a) {
            l->owed[peer] = (unsigned char)(l->owed[peer] & ~(1u << a));
            if (a == PEER_REGISTER)
                l->owed[peer] = (unsigned char)(l->owed[peer] & ~(1u << PEER_HEARTBEAT));
            return (enum peer_action)a;
        }
    l->owed[peer] = 0;
    return PEER_CANCEL;
}

struct list registry_pending(struct ctx *cx, struct registry *r, size_t peer, size_t max)
{
    struct peer_item *items = arena_array(cx->arena, max, sizeof *items);
    struct list l = {items, 0};

    (void)enter(cx, r);
    for (size_t i = 0; i < r->n; i++)
        while (r->sorted[i]->owed[peer] && l.n < max) {
            struct peer_item *item = &items[l.n++];
            item->action = take_owed(r->sorted[i], peer);
            instance_copy(cx->arena, &r->sorted[i]->is, &item->is);
        }
    pthread_mutex_unlock(&r->lock);
    return l;
}

void registry_owe(struct registry *r, size_t peer, struct str app, struct str id,
                  enum peer_action action)
{
    bool found;

    pthread_mutex_lock(&r->lock);
    size_t at = lease_at(r, app, id, &found);
    struct lease *l = found ? r->sorted[at] : NULL;
    bool is_newer = l && (l->owed[peer] & owed_instead(action)) != 0; /* that which came since */
    if (l && !is_newer && l->gone == (action == PEER_CANCEL))
        l->owed[peer] = (unsigned char)(l->owed[peer] | 1u << action);
    pthread_mutex_unlock(&r->lock);
}
