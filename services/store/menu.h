/* menu.h -- sections, menu items and their options: rows, field tables, reading, caching, editing.
 */
#pragma once

#include "store/store.h"

#define SECTIONS_MAX 50
#define MENU_ITEMS_MAX 300
#define OPTION_GROUPS_MAX 15
#define OPTIONS_MAX 40
/* All of these together would be 20 MB, and the event with the whole menu has BUS_EVENT_MAX: owners
 * add up to this many bytes of it. What is left is for switches and for DELETED_SHOWN_MAX items. */
#define MENU_EVENT_BYTES (192 * 1024)
#define DELETED_SHOWN_MAX 50

struct option {
    struct uuid option_id, option_group_id;
    struct str name;
    int64_t price_won, position;
    bool sold_out;
};

struct option_group {
    struct uuid option_group_id, menu_item_id;
    struct str name;
    int64_t min, max, position;
    struct list options;
};

struct menu_item {
    struct uuid menu_item_id, section_id;
    struct str name, description, photo_url, allergens, origin;
    int64_t price_won, position, version, deleted_at;
    bool sold_out; /* by the owner's switch, or because nothing is left */
    bool deleted;
    struct list option_groups;
};

struct section {
    struct uuid section_id;
    struct str name;
    int64_t position;
    struct list items;
};

struct menu {
    struct uuid store_id;
    int64_t version;
    struct list sections, items; /* the event lists items, the reply lists sections */
};

/* fields.c */
extern const struct field option_fields[], option_group_fields[], menu_item_fields[];
extern const struct field section_fields[], menu_fields[], menu_event_fields[];
extern const struct field option_row_fields[], option_group_row_fields[], menu_item_row_fields[];
extern const struct field section_row_fields[];

/* menu.c */
enum err menu_get(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err menu_item_get(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
/* Fills option_groups of one item. */
enum err option_groups_load(struct ctx *cx, struct menu_item *item) MUST_USE;
/* with_deleted: items deleted just now too, without their options. */
enum err menu_load(struct ctx *cx, struct uuid store_id, bool with_deleted,
                   struct menu *ret) MUST_USE;
/* Inside a transaction: the next menu version, and store.menu.changed with the whole menu. */
enum err menu_announce(struct ctx *cx, struct uuid store_id) MUST_USE;
/* Ends an owner's edit: announces, outdates the cached menu, commits. */
enum err menu_commit(struct ctx *cx, struct reply *rp, struct uuid store_id) MUST_USE;
/* The same for an edit that may have made the menu larger. ERR_CONSTRAINT: larger than a menu may
 * be. */
enum err menu_commit_larger(struct ctx *cx, struct reply *rp, struct uuid store_id) MUST_USE;
/* Inside a transaction: ERR_PRECONDITION when If-Match names another version of the menu: what has
 * no version of its own (sections, options, orders of things) is edited against the menu's. */
enum err menu_expect(struct ctx *cx, const struct request *rq) MUST_USE;

/* menu_cache.c: encoded menus, per process, bounded. */
struct menu_cache;
enum err menu_cache_open(struct ctx *cx, struct menu_cache **ret) MUST_USE;
void menu_cache_close(struct menu_cache *c);
struct menu_hit {
    struct str json; /* in the arena; absent when the caller's version is still right */
    int64_t version;
};
enum menu_cache_state { MENU_MISSING, MENU_STALE, MENU_FRESH };
/* known: the version the client holds, or 0. */
enum menu_cache_state menu_cache_find(struct ctx *cx, struct menu_cache *c, struct uuid store_id,
                                      int64_t known, struct menu_hit *ret);
void menu_cache_put(struct ctx *cx, struct menu_cache *c, struct uuid store_id, int64_t version,
                    struct str json);
void menu_cache_confirm(struct ctx *cx, struct menu_cache *c, struct uuid store_id,
                        int64_t version);
/*
 * Inside the edit's transaction: from here on only this version or a newer one is kept. What a
 * failed commit outdated in vain is kept again a little later.
 */
void menu_cache_outdate(struct ctx *cx, struct menu_cache *c, struct uuid store_id,
                        int64_t version);

/* menu_edit.c */
/* Inside a transaction. ERR_INVALID: an order of things names not all of them. The rest would keep
 * their places, among the new ones. */
enum err order_expect(struct ctx *cx, size_t named, const char *count_sql, struct uuid of) MUST_USE;
enum err section_create(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err section_patch(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err section_delete(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err section_order(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err menu_item_create(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err menu_item_patch(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err menu_item_delete(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err menu_item_order(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err menu_item_sold_out(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
extern const struct field section_new_fields[], section_patch_fields[], section_order_fields[];
extern const struct field item_new_fields[], item_patch_fields[], item_order_fields[];
extern const struct field sold_out_fields[];

/* option_edit.c */
enum err option_group_create(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err option_group_patch(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err option_group_delete(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err option_group_order(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
extern const struct field group_new_fields[], group_patch_fields[], group_order_fields[];
