/* audit.c -- runs the rows of an audit against open databases. */
#include "service/audit.h"

#define AUDIT_PAGE 50000
#define PAGE_BYTES_MAX (16u * 1024 * 1024)

struct pair {
    struct uuid key;
    int64_t value;
};
static const struct field pair_fields[] = {
    F_UUID(struct pair, key, "key", 0, "of what"),
    F_INT(struct pair, value, "value", 0, INT64_MIN, INT64_MAX, "how much"),
    F_END(struct pair),
};

/* One side of a row, read a page at a time: there are more orders than fit into memory. */
struct side {
    struct db *db;
    const char *sql;
    struct arena page;
    struct list rows;
    size_t next;
    struct uuid last; /* key of the page before; at first one that is before all */
    bool at_end;
};

/* The row's query, from a key on. */
static void side_init(struct ctx *cx, struct side *s, const struct audit_side *of, struct db *db)
{
    *s = (struct side){.db = db, .last = {.b = {[15] = 1}}}; /* the nil one would be a null */
    s->sql = arena_printf(cx->arena,
                          "select key, value from (%s) side where key > $1 order by key limit %d",
                          of->sql, AUDIT_PAGE)
                 .p;
    arena_init(&s->page, PAGE_BYTES_MAX);
}

static enum err read_page(struct ctx *cx, struct side *s)
{
    struct arena *arena = cx->arena;

    arena_reset(&s->page);
    s->rows = (struct list){NULL, 0};
    s->next = 0;
    cx->arena = &s->page;
    cx->db = s->db;
    enum err e = db_all(cx, pair_fields, &s->rows, s->sql, ARGS(db_uuid(s->last)));
    cx->db = NULL;
    cx->arena = arena;
    if (e == ERR_OK && s->rows.n > 0)
        s->last = LIST_AT(struct pair, s->rows, s->rows.n - 1)->key;
    s->at_end = s->rows.n < AUDIT_PAGE;
    return e;
}

/* *ret: the next pair, NULL at the end. It lives until the next page is read. */
static enum err side_peek(struct ctx *cx, struct side *s, const struct pair **ret)
{
    if (s->next == s->rows.n && !s->at_end)
        TRY(read_page(cx, s));
    *ret = s->next < s->rows.n ? LIST_AT(struct pair, s->rows, s->next) : NULL;
    return ERR_OK;
}

/* The first findings of a row; *n so far. */
static void found(struct ctx *cx, struct list *findings, size_t *n, const struct audit_row *row,
                  const struct pair *left, const struct pair *right)
{
    if (*n == AUDIT_FINDINGS_MAX)
        return;
    if (*n == 0) { /* room for all of the row */
        const void *before = findings->items;
        findings->items =
            arena_array(cx->arena, findings->n + AUDIT_FINDINGS_MAX, sizeof(struct audit_finding));
        if (before)
            memcpy(findings->items, before, findings->n * sizeof(struct audit_finding));
    }
    ++*n;
    *LIST_AT(struct audit_finding, *findings, findings->n++) = (struct audit_finding){
        .row = row,
        .key = left ? left->key : right->key,
        .left = left ? left->value : 0,
        .right = right ? right->value : 0,
        .has_left = left != NULL,
        .has_right = right != NULL,
    };
}

/* Both sides are ordered by key, as the engine orders uuids: bytewise. */
static enum err join(struct ctx *cx, struct list *findings, const struct audit_row *row,
                     struct side *left, struct side *right)
{
    const struct pair *a, *b;
    size_t n = 0;

    for (;;) {
        TRY(side_peek(cx, left, &a));
        TRY(side_peek(cx, right, &b));
        if (!a && !b)
            return ERR_OK;
        int order = !a ? 1 : !b ? -1 : uuid_cmp(a->key, b->key);
        if (order == 0 && a->value != b->value)
            found(cx, findings, &n, row, a, b);
        if (order < 0 && !row->right_may_lack)
            found(cx, findings, &n, row, a, NULL);
        if (order > 0 && !row->left_may_lack)
            found(cx, findings, &n, row, NULL, b);
        left->next += order <= 0;
        right->next += order >= 0;
    }
}

static enum err agree(struct ctx *cx, struct list *findings, const struct audit_row *row,
                      struct db *left_db, struct db *right_db)
{
    struct side left, right;

    side_init(cx, &left, &row->left, left_db);
    side_init(cx, &right, &row->right, right_db);
    enum err e = join(cx, findings, row, &left, &right);
    arena_release(&left.page);
    arena_release(&right.page);
    return e;
}

/* Its keys need not be unique. */
static enum err find_nothing(struct ctx *cx, struct list *findings, const struct audit_row *row,
                             struct db *db)
{
    const char *sql =
        arena_printf(cx->arena, "select key, value from (%s) side order by key, value limit %d",
                     row->left.sql, AUDIT_FINDINGS_MAX)
            .p;
    struct list pairs = {NULL, 0};
    size_t n = 0;

    cx->db = db;
    enum err e = db_all(cx, pair_fields, &pairs, sql, NO_ARGS);
    cx->db = NULL;
    for (size_t i = 0; e == ERR_OK && i < pairs.n; i++)
        found(cx, findings, &n, row, LIST_AT(struct pair, pairs, i), NULL);
    return e;
}

enum err audit_run(struct ctx *cx, const struct audit_row *rows, audit_database *database,
                   void *arg, struct list *ret, size_t *ret_checked)
{
    struct list findings = {NULL, 0};
    size_t checked = 0;

    for (const struct audit_row *row = rows; row->invariant; row++) {
        struct db *left = database(arg, row->left.service);
        struct db *right = row->right.sql ? database(arg, row->right.service) : NULL;
        if (!left || (row->right.sql && !right))
            continue;
        TRY(row->right.sql ? agree(cx, &findings, row, left, right)
                           : find_nothing(cx, &findings, row, left));
        checked++;
    }
    *ret = findings;
    *ret_checked = checked;
    return ERR_OK;
}

struct str audit_text(struct ctx *cx, const struct audit_finding *f)
{
    const char *key = ctx_uuid_text(cx, f->key);

    if (!f->row->right.sql)
        return arena_printf(cx->arena, "%s %s: not so for %s (%lld)", f->row->invariant,
                            f->row->doc, key, (long long)f->left);
    if (!f->has_right)
        return arena_printf(cx->arena, "%s %s: %s is in %s (%lld) but not in %s", f->row->invariant,
                            f->row->doc, key, f->row->left.service, (long long)f->left,
                            f->row->right.service);
    if (!f->has_left)
        return arena_printf(cx->arena, "%s %s: %s is in %s (%lld) but not in %s", f->row->invariant,
                            f->row->doc, key, f->row->right.service, (long long)f->right,
                            f->row->left.service);
    return arena_printf(cx->arena, "%s %s: %s has %lld in %s and %lld in %s", f->row->invariant,
                        f->row->doc, key, (long long)f->left, f->row->left.service,
                        (long long)f->right, f->row->right.service);
}
