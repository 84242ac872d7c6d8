/* dlq.c -- parked events of a running platform: list, show, retry, discard, over its internal
 * listener. */
#include "command/operator_call.h"

#include <stdio.h>

#include "data/json.h"
#include "flow/inbox.h"

#define LISTED 100
#define PAGE_ARENA_MAX (128u * 1024 * 1024)

struct page_of_parked {
    struct list items;
};
static const struct field page_fields[] = {
    F_LIST(struct page_of_parked, items, "items", REQUIRED, 0, LISTED, parked_fields,
           "dead letters"),
    F_END(struct page_of_parked),
};

/* The first of them with a number behind `after`; at most `limit`. */
static enum err read_page(struct ctx *cx, const struct settings *s, const char *service,
                          int64_t after, int limit, struct list *ret)
{
    struct page_of_parked page = {{NULL, 0}};
    struct str body;
    struct str path = arena_printf(cx->arena, "/internal/v1/%s/dead-letters?after=%lld&limit=%d",
                                   service, (long long)after, limit);

    TRY(operator_call(cx, s, service, HTTP_GET, path.p, STR_NONE, &body));
    TRY(json_decode_lenient(cx, page_fields, &page, body));
    *ret = page.items;
    return ERR_OK;
}

static void print_line(const char *service, const struct parked *p)
{
    char at[TIME_TEXT_SIZE], key[UUID_TEXT_SIZE];

    printf("%s %lld  %.*s  %.*s of %.*s  tried %lld times: %.*s\n", service, (long long)p->id,
           STR_ARG(time_format(p->parked_at, at)), STR_ARG(p->type),
           STR_ARG(uuid_format(p->key, key)), (long long)p->tries, STR_ARG(p->reason));
}

/* Page by page, in the memory of one. */
static enum err list_one(struct ctx *cx, const struct settings *s, const char *service,
                         size_t *ret_n)
{
    struct list items = {NULL, 0};
    int64_t after = 0;

    do {
        arena_reset(cx->arena);
        TRY(read_page(cx, s, service, after, LISTED, &items));
        for (size_t i = 0; i < items.n; i++) {
            const struct parked *p = LIST_AT(struct parked, items, i);
            print_line(service, p);
            after = p->id;
        }
        *ret_n += items.n;
    } while (items.n == LISTED);
    return ERR_OK;
}

static enum err list_all(struct ctx *cx, const struct settings *s)
{
    struct arena arena;
    struct ctx own = *cx;
    enum err e = ERR_OK;
    size_t n = 0;

    arena_init(&arena, PAGE_ARENA_MAX);
    own.arena = &arena;
    for (size_t i = 0; all_services[i] && e == ERR_OK; i++)
        if (all_services[i]->consumers &&
            (!s->service.n || str_eq(s->service, str_from(all_services[i]->name))))
            e = list_one(&own, s, all_services[i]->name, &n);
    memcpy(cx->story.detail, own.story.detail, sizeof cx->story.detail);
    arena_release(&arena);
    if (e == ERR_OK && n == 0)
        puts("no dead letters");
    return e;
}

static enum err show(struct ctx *cx, const struct settings *s, const char *service, int64_t id)
{
    struct list items = {NULL, 0};

    TRY(read_page(cx, s, service, id - 1, 1, &items));
    const struct parked *p = items.n ? LIST_AT(struct parked, items, 0) : NULL;
    if (!p || p->id != id)
        return fail(cx, ERR_NOT_FOUND, "%s has no dead letter %lld", service, (long long)id);
    print_line(service, p);
    printf("%.*s\n", STR_ARG(p->data));
    return ERR_OK;
}

static enum err act(struct ctx *cx, const struct settings *s, const char *service, int64_t id,
                    struct str verb)
{
    struct str body;
    struct str path = arena_printf(cx->arena, "/internal/v1/%s/dead-letters/%lld/%.*s", service,
                                   (long long)id, STR_ARG(verb));

    TRY(operator_call(cx, s, service, HTTP_POST, path.p, STR_NONE, &body));
    printf("%s %lld: %s\n", service, (long long)id,
           str_eq(verb, STR("retry")) ? "applied" : "discarded");
    return ERR_OK;
}

int command_dlq(struct ctx *cx, const struct settings *s, struct list words)
{
    struct str verb = words.n ? *LIST_AT(struct str, words, 0) : STR("list");
    int64_t id = 0;
    enum err e;

    if (str_eq(verb, STR("list")) && words.n <= 1) {
        e = list_all(cx, s);
        return e == ERR_OK ? EXIT_DONE : command_failed(cx, "dlq", e);
    }
    bool known =
        str_eq(verb, STR("show")) || str_eq(verb, STR("retry")) || str_eq(verb, STR("discard"));
    if (!known || words.n != 3 || !str_i64(*LIST_AT(struct str, words, 2), 1, INT64_MAX, &id))
        return command_misused("dlq",
                               "it takes: list, or show, retry or discard with SERVICE NUMBER");
    const struct service *service = service_named(*LIST_AT(struct str, words, 1));
    if (!service || !service->consumers)
        return command_misused("dlq", "\"%.*s\" is no service that reads events",
                               STR_ARG(*LIST_AT(struct str, words, 1)));
    e = str_eq(verb, STR("show")) ? show(cx, s, service->name, id)
                                  : act(cx, s, service->name, id, verb);
    return e == ERR_OK ? EXIT_DONE : command_failed(cx, "dlq", e);
}
