/* menu.c -- a store's menu: the hot read, one item, and the event with the whole menu. */
#include "store/menu.h"

#include "base/fault.h"
#include "data/json.h"
#include "flow/outbox.h"

#define MENU_JSON_MAX (4 * 1024 * 1024)
/* Who reads the event takes what it does not name for deleted: a deletion is told once, by the
 * event of its own commit, and need not be repeated. */
#define DELETED_SHOWN_US US_PER_MIN

/* The run of children whose parent id (at `at`) is `parent`; children are sorted by it. */
static struct list children_of(struct list all, size_t size, size_t at, struct uuid parent)
{
    struct list run = {NULL, 0};

    for (size_t i = 0; i < all.n; i++) {
        char *child = (char *)all.items + i * size;
        struct uuid of;
        memcpy(&of, child + at, sizeof of);
        if (uuid_eq(of, parent)) {
            if (run.n++ == 0)
                run.items = child;
        } else if (run.n > 0) {
            break;
        }
    }
    return run;
}

#define CHILDREN(type, all, member, parent)                                                        \
    children_of(all, sizeof(type), offsetof(type, member), parent)

/* An item with nothing left is sold out too, until stock comes back. */
#define ITEM_COLUMNS                                                                               \
    "i.menu_item_id, i.section_id, i.name, i.description, i.price_won, i.photo_url, i.allergens,"  \
    " i.origin, i.position, i.version, i.deleted_at, case when i.sold_out = 1 or"                  \
    " (v.infinite = 0 and v.available = 0) then 1 else 0 end as sold_out"
#define ITEM_TABLES " from menu_items i join inventory v on v.menu_item_id = i.menu_item_id"

/* Of what is on the menu: a store may have taken any number of items off it. */
static enum err load_options(struct ctx *cx, struct uuid store_id, struct list items)
{
    struct list groups = {NULL, 0}, options = {NULL, 0};

    TRY(db_all(cx, option_group_row_fields, &groups,
               "select g.option_group_id, g.menu_item_id, g.name, g.min, g.max, g.position"
               " from option_groups g join menu_items i on i.menu_item_id = g.menu_item_id"
               " where g.store_id = $1 and i.deleted_at is null"
               " order by g.menu_item_id, g.position, g.option_group_id",
               ARGS(db_uuid(store_id))));
    TRY(db_all(cx, option_row_fields, &options,
               "select o.option_id, o.option_group_id, o.name, o.price_won, o.sold_out, o.position"
               " from options o join option_groups g on g.option_group_id = o.option_group_id"
               " join menu_items i on i.menu_item_id = g.menu_item_id"
               " where o.store_id = $1 and i.deleted_at is null"
               " order by o.option_group_id, o.position, o.option_id",
               ARGS(db_uuid(store_id))));
    for (size_t i = 0; i < groups.n; i++) {
        struct option_group *g = LIST_AT(struct option_group, groups, i);
        g->options = CHILDREN(struct option, options, option_group_id, g->option_group_id);
    }
    for (size_t i = 0; i < items.n; i++) {
        struct menu_item *item = LIST_AT(struct menu_item, items, i);
        item->deleted = item->deleted_at != 0;
        item->option_groups =
            CHILDREN(struct option_group, groups, menu_item_id, item->menu_item_id);
    }
    return ERR_OK;
}

/* By item, not by store: an owner's edit need not read the other items' options. */
enum err option_groups_load(struct ctx *cx, struct menu_item *item)
{
    TRY(db_all(cx, option_group_row_fields, &item->option_groups,
               "select option_group_id, menu_item_id, name, min, max, position from option_groups"
               " where menu_item_id = $1 order by position, option_group_id",
               ARGS(db_uuid(item->menu_item_id))));
    for (size_t i = 0; i < item->option_groups.n; i++) {
        struct option_group *g = LIST_AT(struct option_group, item->option_groups, i);
        TRY(db_all(cx, option_row_fields, &g->options,
                   "select option_id, option_group_id, name, price_won, sold_out, position"
                   " from options where option_group_id = $1 order by position, option_id",
                   ARGS(db_uuid(g->option_group_id))));
    }
    return ERR_OK;
}

enum err menu_load(struct ctx *cx, struct uuid store_id, bool with_deleted, struct menu *ret)
{
    int64_t since = with_deleted ? ctx_now(cx) - DELETED_SHOWN_US : INT64_MAX;

    ret->store_id = store_id;
    TRY(db_int_of(cx, &ret->version, "select menu_version from stores where store_id = $1",
                  ARGS(db_uuid(store_id))));
    TRY(db_all(cx, section_row_fields, &ret->sections,
               "select section_id, name, position from sections"
               " where store_id = $1 and deleted_at is null order by position, section_id",
               ARGS(db_uuid(store_id))));
    TRY(db_all(cx, menu_item_row_fields, &ret->items,
               "select " ITEM_COLUMNS ITEM_TABLES
               " where i.store_id = $1 and (i.deleted_at is null or i.menu_item_id in"
               " (select menu_item_id from menu_items where store_id = $1 and deleted_at >= $2"
               " order by deleted_at desc limit $3))"
               " order by i.section_id, i.position, i.menu_item_id",
               ARGS(db_uuid(store_id), db_int(since), db_int(DELETED_SHOWN_MAX))));
    TRY(load_options(cx, store_id, ret->items));
    for (size_t i = 0; i < ret->sections.n; i++) {
        struct section *s = LIST_AT(struct section, ret->sections, i);
        s->items = CHILDREN(struct menu_item, ret->items, section_id, s->section_id);
    }
    return ERR_OK;
}

static enum err announce(struct ctx *cx, struct uuid store_id, int64_t *ret_version)
{
    struct menu menu = {0};

    TRY(db_exec(cx, "update stores set menu_version = menu_version + 1 where store_id = $1",
                ARGS(db_uuid(store_id))));
    TRY(menu_load(cx, store_id, true, &menu));
    *ret_version = menu.version;
    return outbox_append(cx, "store.menu.changed", store_id, menu_event_fields, &menu);
}

static enum err check_size(struct ctx *cx, struct uuid store_id)
{
    struct menu menu = {0};
    struct buf b;

    TRY(menu_load(cx, store_id, false, &menu));
    buf_init_arena(&b, cx->arena, MENU_EVENT_BYTES);
    json_encode(&b, menu_event_fields, &menu);
    if (!b.overflow)
        return ERR_OK;
    cx->story.public_detail = arena_printf(
        cx->arena, "a menu has at most %d KiB of names and options", MENU_EVENT_BYTES / 1024);
    return fail(cx, ERR_CONSTRAINT, "menu of more than %d bytes", MENU_EVENT_BYTES);
}

enum err menu_commit_larger(struct ctx *cx, struct reply *rp, struct uuid store_id)
{
    TRY(check_size(cx, store_id));
    return menu_commit(cx, rp, store_id);
}

enum err menu_announce(struct ctx *cx, struct uuid store_id)
{
    int64_t version;

    return announce(cx, store_id, &version);
}

static void tag_menu(struct ctx *cx, struct reply *rp, int64_t version)
{
    reply_header(cx, rp, STR("ETag"), "\"m%" PRId64 "\"", version);
}

enum err menu_commit(struct ctx *cx, struct reply *rp, struct uuid store_id)
{
    int64_t version = 0;

    TRY(announce(cx, store_id, &version));
    if (rp)
        tag_menu(cx, rp, version);
    if (FAULT("menu.commit.before"))
        return fail(cx, ERR_UNAVAILABLE, "fault: menu.commit.before");
    menu_cache_outdate(cx, svc_state(cx->svc), store_id, version);
    return db_commit(cx);
}

/* The version of a menu's entity tag; 0: none of ours. */
static int64_t tag_version(struct str tag)
{
    int64_t version = 0;

    if (!tag.p || tag.n < 4 || !str_starts(tag, STR("\"m")) || !str_ends(tag, STR("\"")))
        return 0;
    return str_i64((struct str){tag.p + 2, tag.n - 3}, 1, INT64_MAX, &version) ? version : 0;
}

/* The newest version a client holds, from the list of If-None-Match; 0: none of ours. */
static int64_t held_version(const struct request *rq)
{
    struct str tags = rq->head ? http_field(rq->head, STR("If-None-Match")) : STR_NONE, tag;
    int64_t newest = 0;

    for (bool more = tags.p != NULL; more;) {
        more = str_cut(tags, ',', &tag, &tags);
        tag = str_trim(tag);
        if (str_starts(tag, STR("W/")))
            tag = (struct str){tag.p + 2, tag.n - 2};
        int64_t version = tag_version(tag);
        newest = version > newest ? version : newest;
    }
    return newest;
}

enum err menu_expect(struct ctx *cx, const struct request *rq)
{
    int64_t version = 0;

    TRY(db_int_of(cx, &version, "select menu_version from stores where store_id = $1",
                  ARGS(db_uuid(rq->id[0]))));
    return request_expects(cx, rq, 'm', version);
}

static enum err reply_menu(struct ctx *cx, struct reply *rp, const struct menu_hit *hit)
{
    tag_menu(cx, rp, hit->version);
    reply_header(cx, rp, STR("Cache-Control"), "no-cache");
    if (!hit->json.p)
        return reply_none(cx, rp, 304);
    return reply_json(cx, rp, 200, hit->json);
}

/* Is the store shown at all? Its menu version on the way. */
static enum err check_shown(struct ctx *cx, struct uuid store_id, int64_t *ret_version)
{
    struct store s = {0};

    TRY(db_one(cx, store_row_fields, &s,
               "select is_banned, deleted_at, menu_version from stores where store_id = $1",
               ARGS(db_uuid(store_id))));
    if (s.deleted_at)
        return fail(cx, ERR_GONE, "store was deleted");
    if (s.is_banned)
        return fail(cx, ERR_NOT_FOUND, "store is banned");
    *ret_version = s.menu_version;
    return ERR_OK;
}

enum err menu_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct menu_cache *cache = svc_state(cx->svc);
    struct menu_hit hit = {{NULL, 0}, 0};
    struct menu menu = {0};
    struct buf json;
    int64_t version = 0, known = held_version(rq);

    enum menu_cache_state state = menu_cache_find(cx, cache, rq->id[0], known, &hit);
    if (state == MENU_FRESH)
        return reply_menu(cx, rp, &hit);
    TRY(check_shown(cx, rq->id[0], &version));
    if (state == MENU_STALE && hit.version >= version) { /* a replica may know less than we do */
        menu_cache_confirm(cx, cache, rq->id[0], version);
        return reply_menu(cx, rp, &hit);
    }
    TRY(menu_load(cx, rq->id[0], false, &menu));
    buf_init_arena(&json, cx->arena, MENU_JSON_MAX);
    json_encode(&json, menu_fields, &menu);
    if (json.overflow)
        return fail(cx, ERR_INTERNAL, "menu is larger than %d bytes", MENU_JSON_MAX);
    /* The version was read first: a menu changed in between is newer than its tag, and is asked for
     * again. */
    hit = (struct menu_hit){buf_str(&json), menu.version};
    menu_cache_put(cx, cache, rq->id[0], hit.version, hit.json);
    if (known == hit.version)
        hit.json = STR_NONE;
    return reply_menu(cx, rp, &hit);
}

enum err menu_item_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct menu_item item = {0};
    int64_t version = 0;

    TRY(check_shown(cx, rq->id[0], &version));
    TRY(db_one(cx, menu_item_row_fields, &item,
               "select " ITEM_COLUMNS ITEM_TABLES
               " where i.menu_item_id = $1 and i.store_id = $2 and i.deleted_at is null",
               ARGS(db_uuid(rq->id[1]), db_uuid(rq->id[0]))));
    TRY(option_groups_load(cx, &item));
    reply_version(cx, rp, item.version);
    return reply_data(cx, rp, 200, menu_item_fields, &item);
}
