/* replay.c -- explains one order's whole story and checks that today's rules tell it the same way.
 */
#include "command/databases.h"

#include <stdio.h>

#include "order/saga.h"

static int step_number(const char *const *names, struct str name)
{
    for (int i = 0; names[i]; i++)
        if (str_eq(str_from(names[i]), name))
            return i;
    return -1;
}

static void print_step(struct ctx *cx, const struct history_row *h)
{
    char at[TIME_TEXT_SIZE];

    printf("%3lld  %.*s  %-16.*s", (long long)h->n, STR_ARG(time_format(h->at, at)),
           STR_ARG(h->event));
    if (str_eq(h->from_status, h->status))
        printf("  stays %.*s", STR_ARG(h->status));
    else
        printf("  %.*s -> %.*s", STR_ARG(h->from_status), STR_ARG(h->status));
    printf("  by %.*s", STR_ARG(h->by));
    if (h->reason.n)
        printf(": %.*s", STR_ARG(h->reason));
    if (h->trace_id.n)
        printf("  trace %.*s", STR_ARG(h->trace_id));
    putchar('\n');
    (void)cx;
}

static int check(struct ctx *cx, const struct order *o)
{
    struct saga_record *records = arena_array(cx->arena, o->history.n + 1, sizeof *records);
    size_t differs = 0;

    for (size_t i = 0; i < o->history.n; i++) {
        const struct history_row *h = LIST_AT(struct history_row, o->history, i);
        records[i] = (struct saga_record){.from = step_number(status_names, h->from_status),
                                          .event = step_number(step_names, h->event),
                                          .to = step_number(status_names, h->status),
                                          .facts = (unsigned)h->facts,
                                          .by = (enum role)h->by_role};
    }
    if (saga_replay(order_saga, order_saga_rows, records, o->history.n, &differs) != ERR_OK) {
        printf("\nStep %zu would be another one by today's rules.\n", differs + 1);
        return EXIT_FAILED;
    }
    puts("\nReplayed: today's rules tell it the same way.");
    return EXIT_DONE;
}

/* The order with its history, from the database that the settings name. */
static enum err load(struct ctx *cx, const struct settings *s, struct uuid id, struct order *ret)
{
    if (!cx->db)
        return fail(cx, ERR_INVALID, "there is no order database in %s", databases_where(cx, s));
    enum err e = order_load_shown(cx, id, ret);
    if (e == ERR_NOT_FOUND)
        return fail(cx, e, "no such order: %s", ctx_uuid_text(cx, id));
    return e;
}

int command_replay(struct ctx *cx, const struct settings *s, struct list words)
{
    struct databases d;
    struct order o = {0};
    struct uuid id;
    int code = EXIT_FAILED;

    if (words.n != 1 || !uuid_parse(*LIST_AT(struct str, words, 0), &id))
        return command_misused("replay", "it takes the id of an order");
    enum err e = databases_open(cx, s, &d);
    if (e != ERR_OK)
        return command_failed(cx, "replay", e);
    cx->db = databases_get(&d, "order");
    e = load(cx, s, id, &o);
    if (e == ERR_OK) {
        printf("order %.*s at %.*s: %s, %lld won (captured %lld, given back %lld)\n\n",
               STR_ARG(o.number), STR_ARG(o.store_name), status_names[o.status],
               (long long)o.total_won, (long long)o.captured_won, (long long)o.refunded_won);
        for (size_t i = 0; i < o.history.n; i++)
            print_step(cx, LIST_AT(struct history_row, o.history, i));
        code = check(cx, &o);
    }
    cx->db = NULL;
    databases_close(&d);
    return e == ERR_OK ? code : command_failed(cx, "replay", e);
}
