/* postgres_rows.c -- values on the wire: arguments in binary, rows into structs. */
#include "db/postgres.h"

#include <endian.h>

/* pg_type.dat; these never change. */
enum {
    OID_BOOL = 16,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_UNKNOWN = 705,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_NUMERIC = 1700,
    OID_UUID = 2950
};

Oid pg_type(enum db_type t)
{
    return t == DB_INT ? OID_INT8 : t == DB_STR ? OID_TEXT : t == DB_UUID ? OID_UUID : 0;
}

void pg_bind(struct pg_binary *b, struct db_args args)
{
    for (size_t i = 0; i < args.n; i++) {
        const struct db_value *v = &args.v[i];
        uint64_t big;
        b->formats[i] = 1;
        b->values[i] = (const char *)b->room[i];
        switch (v->type) {
        case DB_NULL:
            b->values[i] = NULL;
            b->lengths[i] = 0;
            break;
        case DB_INT:
            big = htobe64((uint64_t)v->i);
            memcpy(b->room[i], &big, sizeof(big));
            b->lengths[i] = sizeof(big);
            break;
        case DB_STR:
            b->values[i] = v->s.p;
            b->lengths[i] = (int)v->s.n;
            break;
        case DB_UUID:
            memcpy(b->room[i], v->u.b, sizeof(v->u.b));
            b->lengths[i] = sizeof(v->u.b);
            break;
        }
    }
}

static int16_t get16(const char *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return (int16_t)be16toh(v);
}

/* What sum() of bigint gives: digits of base 10000. False: a fraction, or beyond int64. */
static bool numeric_read(const char *p, size_t n, int64_t *ret)
{
    if (n < 8)
        return false;
    int digits = get16(p), weight = get16(p + 2), sign = (uint16_t)get16(p + 4);
    int64_t value = 0;
    if ((size_t)digits * 2 + 8 > n || (sign != 0 && sign != 0x4000) || weight > 4 ||
        digits > weight + 1)
        return false;
    for (int i = 0; i <= weight; i++)
        if (__builtin_mul_overflow(value, 10000, &value) ||
            __builtin_sub_overflow(value, i < digits ? get16(p + 8 + 2 * (ptrdiff_t)i) : 0, &value))
            return false;
    return sign ? (*ret = value, true) : !__builtin_sub_overflow(0, value, ret);
}

static bool int_read(Oid type, const char *p, size_t n, int64_t *ret)
{
    uint64_t v8;
    uint32_t v4;

    if (type == OID_INT8 && n == 8) {
        memcpy(&v8, p, 8);
        *ret = (int64_t)be64toh(v8);
    } else if (type == OID_INT4 && n == 4) {
        memcpy(&v4, p, 4);
        *ret = (int32_t)be32toh(v4);
    } else if (type == OID_INT2 && n == 2) {
        *ret = get16(p);
    } else if (type == OID_BOOL && n == 1) {
        *ret = *p != 0;
    } else {
        return type == OID_NUMERIC && numeric_read(p, n, ret);
    }
    return true;
}

static bool is_text(Oid type)
{
    return type == OID_TEXT || type == OID_VARCHAR || type == OID_BPCHAR || type == OID_NAME ||
           type == OID_UNKNOWN;
}

static bool cell_read(const PGresult *r, int row, int column, enum db_type want,
                      struct db_value *ret)
{
    const char *p = PQgetvalue(r, row, column);
    size_t n = (size_t)PQgetlength(r, row, column);
    Oid type = PQftype(r, column);
    int64_t number = 0;

    *ret = db_null();
    if (PQgetisnull(r, row, column))
        return true;
    switch (want) {
    case DB_INT:
        if (!int_read(type, p, n, &number))
            return false;
        *ret = db_int(number);
        return true;
    case DB_STR:
        *ret = db_str((struct str){p, n});
        return is_text(type);
    case DB_UUID:
        if (type != OID_UUID || n != 16)
            return false;
        ret->type = DB_UUID;
        memcpy(ret->u.b, p, 16);
        return true;
    case DB_NULL:
        break;
    }
    return false;
}

/* Which field each column goes to; made once per statement and table. */
static void plan_make(struct pg_statement *st, const PGresult *r, const struct field *fields)
{
    int columns = PQnfields(r);
    if (st->plan && st->planned_for == fields && st->columns == columns)
        return;
    free(st->plan);
    st->plan = calloc((size_t)columns + 1, sizeof(*st->plan));
    if (!st->plan)
        abort();
    st->planned_for = fields;
    st->columns = columns;
    for (int i = 0; i < columns; i++) {
        st->plan[i] = field_by_column(fields, str_from(PQfname(r, i)));
        if (!st->plan[i] || db_query_type(st->plan[i]) == DB_NULL) {
            fprintf(stderr, "column %s has no field: %s\n", PQfname(r, i), st->sql);
            abort();
        }
    }
}

static enum err row_read(struct ctx *cx, struct pg_statement *st, const PGresult *r, int row,
                         struct db_query *q)
{
    struct db_value v;
    void *object = NULL;

    if (q->want == WANT_INT) {
        if (!cell_read(r, row, 0, DB_INT, &v))
            return fail(cx, ERR_INTERNAL, "not an integer: %s", st->sql);
        memcpy(q->out, &v.i, sizeof(v.i));
        q->rows++;
        return ERR_OK;
    }
    TRY(db_query_row(cx, q, &object));
    for (int i = 0; i < st->columns; i++) {
        if (!cell_read(r, row, i, db_query_type(st->plan[i]), &v))
            return fail(cx, ERR_INTERNAL, "column %s does not hold what its field says: %s",
                        st->plan[i]->column, st->sql);
        TRY(db_query_set(cx, st->plan[i], object, v));
    }
    return ERR_OK;
}

enum err pg_rows(struct ctx *cx, struct pg_statement *st, PGresult *r, struct db_query *q)
{
    struct str changed = str_from(PQcmdTuples(r));
    int rows = q->want == WANT_NOTHING || q->want == WANT_CHANGES ? 0 : PQntuples(r);

    if (changed.n)
        (void)str_i64(changed, 0, INT64_MAX, &q->changed);
    if (q->want != WANT_ALL && rows > 1)
        rows = 1;
    if (rows > 0 && q->want != WANT_INT)
        plan_make(st, r, q->fields);
    for (int i = 0; i < rows; i++)
        TRY(row_read(cx, st, r, i, q));
    return ERR_OK;
}
