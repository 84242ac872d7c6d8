/*
 * watch.c -- a service's own events to its watchers, in every process that runs it: live streams.
 *
 * The bus of one process hands them on as the consumer has applied them. A bus that several
 * processes share gives the consumer only its part, so that each process reads all of the topic
 * beside it, from the end: nothing is kept, and a client that missed something resumes by its last
 * id.
 */
#include "base/thread.h"
#include "bus/bus.h"
#include "data/json.h"
#include "obs/log.h"
#include "service/running.h"

#define WATCH_ARENA_MAX (16u * 1024 * 1024)
#define WATCH_EVENTS 64
#define WATCH_POLL_MS 1000

static const struct consumer *find(const struct consumer *table, struct str type)
{
    for (const struct consumer *c = table; c && c->type; c++)
        if (str_eq(str_from(c->type), type))
            return c;
    return NULL;
}

static void tell(struct svc *s, const struct consumer *c, const struct event *e)
{
    struct arena arena;
    struct ctx cx;

    arena_init(&arena, WATCH_ARENA_MAX);
    platform_ctx(s->platform, s, &arena, &cx);
    void *data = arena_zalloc(&arena, fields_size(c->data));
    enum err result = json_decode_lenient(&cx, c->data, data, e->data);
    if (result == ERR_OK)
        result = c->handle(&cx, e, data);
    if (result != ERR_OK) /* whoever follows hears of the next one */
        log_work(&cx, "watched event", e->type, result, 0, 0);
    arena_release(&arena);
}

void watch_tell(struct svc *s, const struct event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct consumer *c = find(s->service->watchers, events[i].type);
        if (c && str_eq(events[i].source, str_from(s->service->name)))
            tell(s, c, &events[i]);
    }
}

void watch_applied(struct svc *s, const struct event *events, size_t n)
{
    for (size_t i = 0; s->service->applied && i < n; i++) {
        const struct consumer *c = find(s->service->applied, events[i].type);
        if (c)
            tell(s, c, &events[i]);
    }
}

static void *watch_main(void *arg)
{
    struct svc *s = arg;
    struct arena arena;

    thread_name("watch", s->service->name);
    arena_init(&arena, WATCH_ARENA_MAX);
    while (!s->stop) {
        struct event events[WATCH_EVENTS];
        size_t n = 0;
        if (bus_poll(s->watcher, &arena, WATCH_POLL_MS, events, WATCH_EVENTS, &n) == ERR_OK)
            watch_tell(s, events, n);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return NULL;
}

static int64_t from_end(void *arg, struct str topic, int partition)
{
    (void)arg, (void)topic, (void)partition;
    return BUS_FROM_END;
}

bool watch_is_apart(const struct svc *s)
{
    return s->service->watchers && bus_is_shared(s->platform->bus);
}

enum err watch_start(struct svc *s)
{
    if (!watch_is_apart(s) || s->platform->options.threads == 0)
        return ERR_OK;
    TRY(bus_subscribe(s->platform->bus, NULL, &s->service->name, 1, from_end, s, &s->watcher));
    if (pthread_create(&s->watch_thread, NULL, watch_main, s) != 0)
        abort(); /* live streams would stay silent */
    return ERR_OK;
}

void watch_stop(struct svc *s)
{
    if (!s->watcher)
        return;
    bus_wake(s->watcher);
    pthread_join(s->watch_thread, NULL);
    bus_unsubscribe(s->watcher);
    s->watcher = NULL;
}
