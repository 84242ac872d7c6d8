/* categories.c -- an operator adds, renames, moves and removes cuisines. */
#include "service/reply.h"
#include "store/store.h"

#define CATEGORIES_MAX 100

struct category_body {
    struct str category, name, name_en;
    int64_t position;
    bool has_position;
};
#define NAMES(must)                                                                                \
    F_STR(struct category_body, name, "name", (must) | ONE_LINE, 1, 60, "Korean name"),            \
        F_STR(struct category_body, name_en, "nameEn", (must) | ONE_LINE, 1, 60, "English name"),  \
        F_OPT_INT(struct category_body, position, "position", 0, 1, 1000, "small ones first")
const struct field category_new_fields[] = {
    F_STR(struct category_body, category, "category", REQUIRED | PATTERN_SLUG, 1, 30, "code"),
    NAMES(REQUIRED),
    F_END(struct category_body),
};
const struct field category_patch_fields[] = {NAMES(0), F_END(struct category_body)};

static enum err reply_category(struct ctx *cx, struct reply *rp, int status, struct str category)
{
    struct category c = {0};

    TRY(db_one(cx, category_fields, &c,
               "select category, name, name_en from categories where category = $1",
               ARGS(db_str(category))));
    return reply_data(cx, rp, status, category_fields, &c);
}

enum err category_create(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct category_body *in = rq->body;
    int64_t n = 0, added = 0;

    TRY(db_begin(cx));
    TRY(db_int_of(cx, &n, "select count(*) from categories", NO_ARGS));
    if (n >= CATEGORIES_MAX)
        return fail(cx, ERR_CONSTRAINT, "at most %d categories", CATEGORIES_MAX);
    TRY(db_change(cx, &added,
                  "insert into categories (category, name, name_en, position)"
                  " select $1, $2, $3, coalesce($4, coalesce(max(position), 0) + 1)"
                  " from categories where true on conflict (category) do nothing",
                  ARGS(db_str(in->category), db_str(in->name), db_str(in->name_en),
                       db_opt_int(in->has_position, in->position))));
    if (added == 0) {
        cx->story.public_detail = STR("There is a category of that code.");
        return fail(cx, ERR_CONSTRAINT, "category %.*s is there", STR_ARG(in->category));
    }
    TRY(reply_category(cx, rp, 201, in->category));
    reply_header(cx, rp, STR("Location"), "/v1/admin/categories/%.*s", STR_ARG(in->category));
    return db_commit(cx);
}

enum err category_patch(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct category_body *in = rq->body;
    int64_t changed = 0;

    TRY(db_begin(cx));
    TRY(db_change(cx, &changed,
                  "update categories set name = coalesce($2, name),"
                  " name_en = coalesce($3, name_en), position = coalesce($4, position)"
                  " where category = $1",
                  ARGS(db_str(rq->param[0]), db_str(in->name), db_str(in->name_en),
                       db_opt_int(in->has_position, in->position))));
    if (changed == 0)
        return fail(cx, ERR_NOT_FOUND, "no category %.*s", STR_ARG(rq->param[0]));
    TRY(reply_category(cx, rp, 200, rq->param[0]));
    return db_commit(cx);
}

/* Only one that no store has, not even one that was deleted: its row still names it. */
enum err category_delete(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    int64_t stores = 0, changed = 0;

    TRY(db_begin(cx));
    TRY(db_int_of(cx, &stores, "select count(*) from stores where category = $1",
                  ARGS(db_str(rq->param[0]))));
    if (stores > 0) {
        cx->story.public_detail =
            arena_printf(cx->arena, "%" PRId64 " stores are of that category.", stores);
        return fail(cx, ERR_CONSTRAINT, "%" PRId64 " stores have it", stores);
    }
    TRY(db_change(cx, &changed, "delete from categories where category = $1",
                  ARGS(db_str(rq->param[0]))));
    if (changed == 0)
        return fail(cx, ERR_NOT_FOUND, "no category %.*s", STR_ARG(rq->param[0]));
    TRY(db_commit(cx));
    return reply_none(cx, rp, 204);
}
