/* stores.c -- what guests see of stores: categories, the list with its filters, one store. */
#include "store/store.h"

#include "flow/outbox.h"

/*
 * DESIGN
 *
 * Every order of the list is one ascending integer (best rating, lowest fee, shortest way, newest),
 * so that a page is one index range behind (number, store id). With `near` only stores that deliver
 * there are listed: first a box on the latitude index, then the circle. One degree is 111.195 km,
 * so a radius in metres squared times 81 is the radius in millionths of a degree squared.
 */

#define OTHER_MINUTES 10          /* hand-over and the last steps */
#define RIDER_METRES_A_MINUTE 250 /* a scooter in town */

const struct field category_fields[] = {
    F_STR(struct category, category, "category", 0, 1, 30, "code"),
    F_STR(struct category, name, "name", 0, 1, 60, "Korean name"),
    F_STR(struct category, name_en, "nameEn", 0, 1, 60, "English name"),
    F_END(struct category),
};

enum sort { SORT_RATING, SORT_DISTANCE, SORT_FEE, SORT_NEW };
static const char *const sort_names[] = {"rating", "distance", "fee", "new", NULL};

struct stores_query {
    struct str query, category, near, region;
    bool open;
    bool has_sort;
    int sort;
    struct page page;
};
const struct field stores_query_fields[] = {
    F_STR(struct stores_query, query, "query", ONE_LINE, 1, 50,
          "part of the name, or its initials"),
    F_STR(struct stores_query, category, "category", ONE_LINE, 1, 30, "cuisine"),
    F_STR(struct stores_query, near, "near", ONE_LINE, 3, 40,
          "LAT,LNG: only stores that deliver there"),
    F_STR(struct stores_query, region, "region", ONE_LINE, 2, 10,
          "leading digits of the region code"),
    F_BOOL(struct stores_query, open, "open", 0, "only those that take orders now"),
    {FIELD_ENUM, "sort", "sort", offsetof(struct stores_query, sort),
     offsetof(struct stores_query, has_sort), 0, 0, 0, 0, sort_names, NULL,
     "default: distance with near, else rating"},
    PAGE_FIELDS(struct stores_query, page),
    F_END(struct stores_query),
};

enum err categories_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct list all = {NULL, 0};

    TRY(db_all(cx, category_fields, &all,
               "select category, name, name_en from categories order by position, category",
               NO_ARGS));
    reply_header(cx, rp, STR("Cache-Control"), "public, max-age=300");
    return reply_list(cx, rq, rp, category_fields, all, STR_NONE);
}

static enum err load_hours(struct ctx *cx, struct store *s)
{
    return db_all(cx, hours_fields, &s->hours,
                  "select weekday, opens, closes, break_from, break_to from store_hours"
                  " where store_id = $1 order by weekday",
                  ARGS(db_uuid(s->store_id)));
}

enum err store_load(struct ctx *cx, struct uuid store_id, struct store *ret)
{
    TRY(db_one(cx, store_row_fields, ret,
               "select " STORE_COLUMNS " from stores s where s.store_id = $1",
               ARGS(db_uuid(store_id))));
    ret->deleted = ret->deleted_at != 0;
    return load_hours(cx, ret);
}

void store_show(struct ctx *cx, struct store *s)
{
    int64_t now = ctx_now(cx);
    bool paused = s->paused_until > now;

    s->rating.count = s->rating_count;
    s->rating.average = s->rating_count ? s->rating_sum * 100 / s->rating_count : 0;
    s->is_open = !paused && !s->is_banned && !s->deleted && hours_open_at(s->hours, now);
    if (s->is_open)
        s->opens_at = 0;
    else if (paused && hours_open_at(s->hours, s->paused_until))
        s->opens_at = s->paused_until;
    else
        s->opens_at = hours_next_opening(s->hours, paused ? s->paused_until : now);
    s->eta_minutes = s->cook_minutes + s->busy_minutes + OTHER_MINUTES;
    if (s->has_distance_m)
        s->eta_minutes += s->distance_m / RIDER_METRES_A_MINUTE;
}

enum err store_announce(struct ctx *cx, struct uuid store_id)
{
    struct store s = {0};

    TRY(store_load(cx, store_id, &s));
    return outbox_append(cx, "store.changed", store_id, store_event_fields, &s);
}

/* "37.4979,127.0276" into millionths of a degree. */
static bool parse_near(struct str near, int64_t *ret_latitude, int64_t *ret_longitude)
{
    static const struct field latitude = {FIELD_DECIMAL, "near",   "near", 0,    0,    0,
                                          -90000000,     90000000, 6,      NULL, NULL, ""};
    static const struct field longitude = {FIELD_DECIMAL, "near",    "near", 0,    0,    0,
                                           -180000000,    180000000, 6,      NULL, NULL, ""};
    struct str a, b;

    return str_cut(near, ',', &a, &b) &&
           !field_number(&latitude, str_trim(a), ret_latitude).message &&
           !field_number(&longitude, str_trim(b), ret_longitude).message;
}

/* clang-format off */
#define DISTANCE_2                                                                                 \
    "((s.latitude - $13) * (s.latitude - $13)"                                                     \
    " + (s.longitude - $14) * $15 / 1000 * ((s.longitude - $14) * $15 / 1000))"
#define LIST_WHERE                                                                                 \
    " from stores s where s.deleted_at is null and s.is_banned = 0"                                \
    " and s.category = coalesce($3, s.category)"                                                   \
    " and (s.search_text like coalesce($4, '%') escape '\\'"                                       \
    " or s.search_text like coalesce($12, '') escape '\\')"                                        \
    " and substr(s.region_code, 1, length($5)) = $5"                                               \
    " and ($6 = 0 or (s.paused_until <= $10 and exists (select 1 from store_hours h"               \
    " where h.store_id = s.store_id and ("                                                         \
    "(h.weekday = $7 and $8 >= h.opens and $8 < h.closes_abs"                                      \
    " and not ($8 >= h.break_from_abs and $8 < h.break_to_abs)) or "                               \
    "(h.weekday = $9 and $8 + 1440 < h.closes_abs"                                                 \
    " and not ($8 + 1440 >= h.break_from_abs and $8 + 1440 < h.break_to_abs))))))"
#define NEAR_WHERE                                                                                 \
    " and s.latitude between $13 - $16 and $13 + $16"                                              \
    " and s.longitude between $14 - $17 and $14 + $17"                                             \
    " and " DISTANCE_2 " <= s.radius_m * s.radius_m * 81"
#define LIST(key, more)                                                                            \
    "select " STORE_COLUMNS ", " key " as place" LIST_WHERE more                                   \
    " and (" key ", s.store_id) > ($1, $2) order by " key ", s.store_id limit $11"

static const char *const list_sql[][2] = {
    [SORT_RATING] = {LIST("s.rating_rank", ""), LIST("s.rating_rank", NEAR_WHERE)},
    [SORT_DISTANCE] = {NULL, LIST(DISTANCE_2, NEAR_WHERE)},
    [SORT_FEE] = {LIST("s.delivery_fee_won", ""), LIST("s.delivery_fee_won", NEAR_WHERE)},
    [SORT_NEW] = {LIST("s.created_rank", ""), LIST("s.created_rank", NEAR_WHERE)},
};
/* clang-format on */

/* Half the side of the box that holds every circle of the largest radius. */
static int64_t box_latitude(void)
{
    return (int64_t)RADIUS_MAX_M * 1000000 / 111195 + 1;
}

struct near {
    bool is_set;
    int64_t latitude, longitude, cos_milli;
};

static enum err list_rows(struct ctx *cx, const struct stores_query *q, const struct near *near,
                          enum sort sort, struct list *ret)
{
    struct seoul_time t = seoul_time(ctx_now(cx));
    int64_t place = INT64_MIN;
    struct uuid after = UUID_NIL;
    struct str pattern = q->query.p ? search_pattern(cx, q->query) : STR_NONE;
    struct str slip = q->query.p ? keyboard_korean(cx, q->query) : STR_NONE;
    int64_t cosine = near->cos_milli > 0 ? near->cos_milli : 1;

    if (q->page.cursor.p)
        TRY(page_after(cx, &q->page, &place, &after));
    const struct db_value v[] = {
        db_int(place),
        db_uuid(after),
        db_str(q->category),
        db_str(pattern),
        db_str(q->region.p ? q->region : STR("")),
        db_bool(q->open),
        db_int(t.weekday),
        db_int(t.minute_of_day),
        db_int((t.weekday + WEEKDAYS - 1) % WEEKDAYS),
        db_int(ctx_now(cx)),
        db_int(page_limit(&q->page) + 1),
        db_str(slip.p ? search_pattern(cx, slip) : STR_NONE),
        db_int(near->latitude),
        db_int(near->longitude),
        db_int(near->cos_milli),
        db_int(box_latitude()),
        db_int(box_latitude() * 1000 / cosine),
    };
    struct db_args args = {v, near->is_set ? COUNT_OF(v) : COUNT_OF(v) - 5};
    return db_all(cx, store_row_fields, ret, list_sql[sort][near->is_set], args);
}

static enum err read_near(struct ctx *cx, const struct stores_query *q, struct near *ret)
{
    if (!q->near.p)
        return ERR_OK;
    ret->is_set = true;
    if (!parse_near(q->near, &ret->latitude, &ret->longitude)) {
        ctx_field_error(cx, STR("near"), STR("FORMAT"), "is not LAT,LNG in degrees");
        return fail(cx, ERR_INVALID, "near");
    }
    ret->cos_milli = distance_cos_milli(ret->latitude);
    return ERR_OK;
}

enum err stores_list(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct stores_query *q = rq->query;
    struct near near = {0};
    struct list rows = {NULL, 0};
    struct str next = STR_NONE;

    TRY(read_near(cx, q, &near));
    enum sort sort = q->has_sort ? (enum sort)q->sort : near.is_set ? SORT_DISTANCE : SORT_RATING;
    if (!list_sql[sort][near.is_set]) {
        ctx_field_error(cx, STR("sort"), STR("NEAR_MISSING"), "by distance needs near");
        return fail(cx, ERR_INVALID, "sort by distance without near");
    }
    TRY(list_rows(cx, q, &near, sort, &rows));
    if (rows.n > (size_t)page_limit(&q->page)) {
        rows.n = (size_t)page_limit(&q->page);
        const struct store *last = LIST_AT(struct store, rows, rows.n - 1);
        next = page_cursor(cx, last->place, last->store_id);
    }
    for (size_t i = 0; i < rows.n; i++) {
        struct store *s = LIST_AT(struct store, rows, i);
        TRY(load_hours(cx, s));
        if (near.is_set) {
            s->has_distance_m = true;
            s->distance_m = distance_m(s->latitude, s->longitude, near.latitude, near.longitude);
        }
        store_show(cx, s);
    }
    return reply_list(cx, rq, rp, store_card_fields, rows, next);
}

enum err stores_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct store s = {0};

    TRY(store_load(cx, rq->id[0], &s));
    if (s.deleted)
        return fail(cx, ERR_GONE, "store was deleted");
    if (s.is_banned)
        return fail(cx, ERR_NOT_FOUND, "store is banned");
    store_show(cx, &s);
    return reply_data(cx, rp, 200, store_public_fields, &s);
}
