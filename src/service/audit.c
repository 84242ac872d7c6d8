/* audit.c -- runs the rows of an audit against open databases. */
#include "service/audit.h"

struct pair {
    struct uuid key;
    int64_t value;
};
static const struct field pair_fields[] = {
    F_UUID(struct pair, key, "key", 0, "of what"),
    F_INT(struct pair, value, "value", 0, INT64_MIN, INT64_MAX, "how much"),
    F_END(struct pair),
};

static enum err read_side(struct ctx *cx, const struct audit_side *side, audit_database *database,
                          void *arg, struct list *ret)
{
    cx->db = database(arg, side->service);
    enum err e = db_all(cx, pair_fields, ret, side->sql, NO_ARGS);
    cx->db = NULL;
    return e;
}

static void found(struct list *findings, const struct audit_row *row, const struct pair *left,
                  const struct pair *right)
{
    if (findings->n == AUDIT_FINDINGS_MAX)
        return;
    *LIST_AT(struct audit_finding, *findings, findings->n++) = (struct audit_finding){
        .row = row,
        .key = left ? left->key : right->key,
        .left = left ? left->value : 0,
        .right = right ? right->value : 0,
        .has_left = left != NULL,
        .has_right = right != NULL,
    };
}

/* Both lists are ordered by key, as the engine orders uuids: bytewise. */
static void join(struct list *findings, const struct audit_row *row, struct list left,
                 struct list right)
{
    size_t l = 0, r = 0;

    while (l < left.n || r < right.n) {
        const struct pair *a = l < left.n ? LIST_AT(struct pair, left, l) : NULL;
        const struct pair *b = r < right.n ? LIST_AT(struct pair, right, r) : NULL;
        int order = !a ? 1 : !b ? -1 : uuid_cmp(a->key, b->key);
        if (order == 0 && a->value != b->value)
            found(findings, row, a, b);
        if (order < 0 && !row->right_may_lack)
            found(findings, row, a, NULL);
        if (order > 0 && !row->left_may_lack)
            found(findings, row, NULL, b);
        l += order <= 0;
        r += order >= 0;
    }
}

enum err audit_run(struct ctx *cx, const struct audit_row *rows, audit_database *database,
                   void *arg, struct list *ret, size_t *ret_checked)
{
    struct list findings = {
        arena_array(cx->arena, AUDIT_FINDINGS_MAX, sizeof(struct audit_finding)), 0};
    size_t checked = 0;

    for (const struct audit_row *row = rows; row->invariant; row++) {
        struct list left = {NULL, 0}, right = {NULL, 0};
        if (!database(arg, row->left.service) ||
            (row->right.sql && !database(arg, row->right.service)))
            continue;
        TRY(read_side(cx, &row->left, database, arg, &left));
        if (row->right.sql)
            TRY(read_side(cx, &row->right, database, arg, &right));
        join(&findings, row, left, right);
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
