/* store.h -- what the files of the store service share: rows, their field tables, and helpers. */
#pragma once

#include "base/distance.h"
#include "data/hours.h"
#include "db/db.h"
#include "service/reply.h"
#include "service/service.h"

extern const struct service store_service;

#define RADIUS_MAX_M 20000

/* What staff may do, as the owner granted it. */
enum permission { MAY_ORDERS = 1, MAY_MENU = 2, MAY_STOCK = 4, MAY_REVIEWS = 8 };

struct rating {
    int64_t average; /* hundredths */
    int64_t count;
};

struct category {
    struct str category, name, name_en;
};

#define BUSY_MAX_MINUTES 120

struct store {
    struct uuid store_id, owner_id;
    struct str name, category, description, phone, address, zip_code, region_code, business_number;
    struct str photo_url, notice, origin, pause_reason, ban_reason;
    int64_t latitude, longitude; /* millionths of a degree */
    int64_t radius_m, minimum_order_won, delivery_fee_won, cook_minutes, busy_minutes;
    bool is_banned, deleted;
    int64_t deleted_at, paused_until, rating_sum, rating_count, menu_version, version, created_at;
    struct list hours;
    /* worked out when shown */
    struct rating rating;
    bool is_open, has_distance_m;
    int64_t opens_at, distance_m, eta_minutes;
    int64_t place; /* in a list: the number it is sorted by */
};

/* fields.c */
extern const struct field rating_fields[], store_row_fields[], store_card_fields[];
extern const struct field store_public_fields[], store_owner_fields[], store_event_fields[];

/* stores.c */
#define STORE_COLUMNS                                                                              \
    "s.store_id, s.owner_id, s.name, s.category, s.description, s.phone, s.address, s.zip_code,"   \
    " s.region_code, s.business_number, s.photo_url, s.notice, s.origin, s.pause_reason,"          \
    " s.latitude, s.longitude, s.radius_m, s.minimum_order_won, s.delivery_fee_won,"               \
    " s.cook_minutes, s.busy_minutes, s.is_banned, s.ban_reason, s.deleted_at, s.paused_until, "   \
    "s.rating_sum, "                                                                               \
    "s.rating_count,"                                                                              \
    " s.menu_version, s.version, s.created_at"
/* With hours. ERR_NOT_FOUND; deleted and banned ones are returned too. */
enum err store_load(struct ctx *cx, struct uuid store_id, struct store *ret) MUST_USE;
/* Fills what is worked out at showing: open now, next opening, rating. */
void store_show(struct ctx *cx, struct store *s);
/* Inside a transaction: store.changed with the whole store. */
enum err store_announce(struct ctx *cx, struct uuid store_id) MUST_USE;
enum err categories_get(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err stores_list(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err stores_get(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
extern const struct field category_fields[], stores_query_fields[];

/* search_text.c: lower case, no spaces, and the initial consonants of Korean syllables behind it.
 */
struct str search_text(struct ctx *cx, struct str name);
struct str search_pattern(struct ctx *cx, struct str query); /* for LIKE ... ESCAPE '\' */
/* keyboard.c: what the same keys give in Korean; STR_NONE without a Latin letter. */
struct str keyboard_korean(struct ctx *cx, struct str typed);

/* staff.c: inside a transaction, store.staff.changed with everybody. */
enum err staff_announce(struct ctx *cx, struct uuid store_id) MUST_USE;

/* hours.c */
int64_t hours_next_opening(struct list hours, int64_t us); /* 0: none within a week */
enum err hours_replace(struct ctx *cx, struct uuid store_id, struct list hours) MUST_USE;
enum err hours_put(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err store_pause(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err store_busy(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err store_resume(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
/* Inside a transaction: ERR_NOT_FOUND, or ERR_PRECONDITION when If-Match names other versions. */
enum err store_expect(struct ctx *cx, const struct request *rq) MUST_USE;
/* Inside a transaction: announces the store, fills the reply, commits. */
enum err store_commit(struct ctx *cx, struct reply *rp, struct uuid store_id) MUST_USE;
extern const struct field hours_body_fields[], pause_body_fields[], busy_body_fields[];

/* owner.c */
enum err guard_owner(struct ctx *cx, const struct request *rq) MUST_USE; /* owner only */
enum err guard_menu(struct ctx *cx,
                    const struct request *rq) MUST_USE; /* owner, or staff who may */
enum err guard_stock(struct ctx *cx, const struct request *rq) MUST_USE;
enum err owner_store_create(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err owner_store_list(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err owner_store_get(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err owner_store_patch(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
/* categories.c */
enum err category_create(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err category_patch(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err category_delete(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
extern const struct field category_new_fields[], category_patch_fields[];

/* ban.c */
enum err store_ban(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err store_unban(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
extern const struct field store_ban_fields[];

enum err owner_store_delete(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
extern const struct field store_new_fields[], store_patch_fields[], owner_list_query_fields[];
enum err reply_store(struct ctx *cx, struct reply *rp, int status, struct uuid store_id) MUST_USE;
