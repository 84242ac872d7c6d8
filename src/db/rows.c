/* rows.c -- rows into structs by field tables, bounded by what the arena holds. */
#include "db/driver.h"

#define ROOM_KEPT (16u * 1024) /* of an arena, for the answer that says so */

/* An arena that runs over ends the process, so what a table makes large is refused before. */
static enum err check_room(struct ctx *cx, size_t n, const char *what)
{
    size_t left = cx->arena->max - cx->arena->used;

    if (n <= DB_BYTES_MAX && n + ROOM_KEPT <= left)
        return ERR_OK;
    return fail(cx, ERR_TOO_LARGE, "%zu bytes in one go, %zu of memory left: %s", n, left, what);
}

/* The list so far, and its array when that has to grow for the next row. */
static enum err check_list(struct ctx *cx, const struct db_query *q, size_t size)
{
    size_t taken = cx->arena->used - q->used_before;
    size_t grows = q->rows < q->cap ? 0 : (q->cap ? q->cap * 2 : 16) * size;

    if (q->rows == DB_ROWS_MAX)
        return fail(cx, ERR_TOO_LARGE, "more than %d rows: %s", DB_ROWS_MAX, q->sql);
    if (taken + grows > DB_BYTES_MAX)
        return fail(cx, ERR_TOO_LARGE, "more than %u MiB in %zu rows: %s", DB_BYTES_MAX >> 20,
                    q->rows, q->sql);
    return check_room(cx, grows, q->sql);
}

enum err db_query_row(struct ctx *cx, struct db_query *q, void **ret_object)
{
    if (q->want == WANT_ONE) {
        q->rows++;
        *ret_object = q->out;
        return ERR_OK;
    }
    struct list *l = q->out;
    size_t size = fields_size(q->fields);

    TRY(check_list(cx, q, size));
    if (q->rows == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 16;
        void *items = arena_array(cx->arena, q->cap, size);
        if (l->n)
            memcpy(items, l->items, l->n * size);
        l->items = items;
    }
    *ret_object = (char *)l->items + q->rows * size;
    l->n = ++q->rows;
    return ERR_OK;
}

enum db_type db_query_type(const struct field *f)
{
    switch (f->type) {
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_DECIMAL:
    case FIELD_TIME:
    case FIELD_HHMM:
        return DB_INT;
    case FIELD_STR:
    case FIELD_ENUM:
    case FIELD_DATE:
    case FIELD_RAW:
        return DB_STR;
    case FIELD_UUID:
        return DB_UUID;
    default:
        return DB_NULL; /* lists and objects have no column */
    }
}

static enum err set_enum(struct ctx *cx, const struct field *f, void *at, struct str text)
{
    for (int i = 0; f->names[i]; i++) {
        if (str_eq(str_from(f->names[i]), text)) {
            memcpy(at, &i, sizeof(i));
            return ERR_OK;
        }
    }
    return fail(cx, ERR_INTERNAL, "column %s holds '%.*s'", f->column, STR_ARG(text));
}

enum err db_query_set(struct ctx *cx, const struct field *f, void *object, struct db_value v)
{
    char *at = (char *)object + f->at;
    bool has = v.type != DB_NULL, yes = has && v.type == DB_INT && v.i != 0;
    int zero = 0;
    struct str text = STR_NONE;
    struct uuid id = UUID_NIL;
    int64_t number = 0;

    if (f->has_at)
        memcpy((char *)object + f->has_at, &has, sizeof(has));
    switch (f->type) {
    case FIELD_BOOL:
        memcpy(at, &yes, sizeof(yes));
        break;
    case FIELD_ENUM:
        if (has)
            return set_enum(cx, f, at, v.s);
        memcpy(at, &zero, sizeof(zero));
        break;
    case FIELD_UUID:
        if (has)
            id = v.u;
        memcpy(at, &id, sizeof(id));
        break;
    case FIELD_STR:
    case FIELD_DATE:
    case FIELD_RAW:
        if (has) {
            TRY(check_room(cx, v.s.n, f->column));
            text = arena_copy(cx->arena, v.s);
        }
        memcpy(at, &text, sizeof(text));
        break;
    default:
        if (has)
            number = v.i;
        memcpy(at, &number, sizeof(number));
    }
    return ERR_OK;
}
