/* checks.c -- what must hold after every step, and what must hold once all is quiet. */
#include "sim.h"

#include "invariants.h"

#define ROWS_MAX 80

static struct db *database(void *arg, const char *service)
{
    return platform_db(arg, service);
}

/* Within one service nothing is ever out of step; between services only when all is quiet. */
static bool holds_always(const struct audit_row *row)
{
    if (row->right.sql && strcmp(row->left.service, row->right.service) != 0)
        return false;
    return strcmp(row->invariant, "I-11") != 0 && strcmp(row->invariant, "I-12") != 0 &&
           strcmp(row->doc, "a cancelled order got all its money back") != 0;
}

static const struct audit_row *always(void)
{
    static struct audit_row rows[ROWS_MAX];
    size_t n = 0;

    if (rows[0].invariant)
        return rows;
    rows[n++] = (struct audit_row){
        "I-6",
        "no order is charged twice",
        {"toss",
         "select order_uuid as key, count(*) as value from payments where approved_at is not null"
         " and order_uuid is not null group by order_uuid having count(*) > 1"},
        {NULL, NULL},
        false,
        false};
    /* The reasons that people give in the dashboard (people.c). */
    rows[n++] = (struct audit_row){
        "I-8",
        "no refund of ours is taken for somebody else's",
        {"payment", "select refund_id as key, amount_won as value from refunds"
                    " where cause like 'provider:%' and reason not in ('asked', 'here you are')"},
        {NULL, NULL},
        false,
        false};
    for (const struct audit_row *row = invariants; row->invariant && n + 1 < ROWS_MAX; row++)
        if (holds_always(row))
            rows[n++] = *row;
    return rows;
}

static void audit(struct sim *s, const struct audit_row *rows)
{
    struct list findings = {NULL, 0};
    struct arena a;
    struct rng rng;
    size_t checked;

    arena_init(&a, 64u << 20);
    rng_seed(&rng, 1);
    struct ctx cx = {.arena = &a, .clock = &s->clock, .rng = &rng};
    if (audit_run(&cx, rows, database, s->p, &findings, &checked) != ERR_OK)
        wrong(s, "the audit failed: %s", cx.story.detail);
    if (findings.n > 0)
        wrong(s, "%.*s", STR_ARG(audit_text(&cx, LIST_AT(struct audit_finding, findings, 0))));
    arena_release(&a);
}

void check_always(struct sim *s)
{
    bool allowed = s->crash_allowed;

    s->crash_allowed = false;
    audit(s, always());
    s->crash_allowed = allowed;
}

static int64_t count(struct sim *s, struct arena *a, const char *sql, struct uuid id)
{
    struct rng rng;
    int64_t n = -1;

    rng_seed(&rng, 1);
    struct ctx cx = {.arena = a, .clock = &s->clock, .rng = &rng, .db = platform_db(s->p, "order")};
    if (db_int_of(&cx, &n, sql, ARGS(db_uuid(id))) != ERR_OK)
        wrong(s, "%s: %s", sql, cx.story.detail);
    return n;
}

void check_end(struct sim *s)
{
    struct arena a;

    audit(s, invariants);
    arena_init(&a, 64u << 20);
    if (count(s, &a,
              "select count(*) from orders where $1 is not null and status not in ('COMPLETED', "
              "'CANCELLED',"
              " 'EXPIRED', 'REJECTED', 'PAYMENT_FAILED')",
              demo_id(DEMO_ADMIN, 1, 0, 0)) > 0)
        wrong(s, "I-15: an order never ended");
    s->paid = count(s, &a,
                    "select count(distinct order_id) from order_history where $1 is not null and "
                    "status = 'PAID'",
                    demo_id(DEMO_ADMIN, 1, 0, 0));
    for (size_t i = 0; i < s->n_told; i++) {
        const struct told *t = &s->told[i];
        if (count(s, &a, "select count(*) from orders where order_id = $1", t->order_id) != 1)
            wrong(s, "I-16: an order that was answered 201 is gone");
        if (t->captured &&
            count(s, &a,
                  "select count(*) from order_history where order_id = $1 and status = 'PAID'",
                  t->order_id) == 0)
            wrong(s, "I-6: the customer was told CAPTURED, but the order was never PAID");
    }
    arena_release(&a);
}
