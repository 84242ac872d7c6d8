/*
 * bus_bench.c -- durable events per second through the embedded bus, by how many are published at
 * once.
 */
#include "bus/bus.h"

#include <ftw.h>
#include <unistd.h>

#define ROUND_US (2 * US_PER_S)
#define BATCH_MAX 256

static int64_t from_start(void *arg, struct str topic, int partition)
{
    (void)arg;
    (void)topic;
    (void)partition;
    return BUS_FROM_START;
}

static enum err publish(struct ctx *cx, struct bus *bus, size_t batch)
{
    struct event events[BATCH_MAX];
    int64_t n = 0, start = clock_monotonic_us();

    while (clock_monotonic_us() - start < ROUND_US) {
        for (size_t i = 0; i < batch; i++)
            events[i] = (struct event){
                .id = ctx_uuid(cx),
                .type = STR("order.status_changed"),
                .source = STR("order"),
                .key = ctx_uuid(cx),
                .sequence = 1,
                .time_us = ctx_now(cx),
                .data = STR("{\"orderId\":\"019b76da-a800-7010-8000-000000000001\",\"from\":"
                            "\"CONFIRMING\",\"to\":\"PAID\",\"n\":4}")};
        TRY(bus_publish(cx, bus, events, batch));
        n += (int64_t)batch;
        arena_reset(cx->arena);
    }
    double seconds = (double)(clock_monotonic_us() - start) / (double)US_PER_S;
    printf("publish, %3zu at once: %8.0f events/s, %6.0f us a batch\n", batch, (double)n / seconds,
           seconds * 1e6 * (double)batch / (double)n);
    return ERR_OK;
}

static enum err read_all(struct ctx *cx, struct bus *bus)
{
    static const char *const topics[] = {"order"};
    struct event events[BATCH_MAX];
    struct bus_reader *reader;
    int64_t all = 0, start = clock_monotonic_us();
    size_t n;

    TRY(bus_subscribe(bus, "bench", topics, 1, from_start, NULL, &reader));
    do {
        arena_reset(cx->arena);
        TRY(bus_poll(reader, cx->arena, 0, events, BATCH_MAX, &n));
        all += (int64_t)n;
    } while (n > 0);
    double seconds = (double)(clock_monotonic_us() - start) / (double)US_PER_S;
    printf("read, up to %d at once: %8.0f events/s\n", BATCH_MAX, (double)all / seconds);
    bus_unsubscribe(reader);
    return ERR_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* bus_bench [URL]: without one, the log in a new directory of the working directory. */
int main(int argc, char **argv)
{
    static const size_t batches[] = {1, 16, 256};
    char dir[] = "bus-bench-XXXXXX", url[64];
    struct arena arena;
    struct rng rng;
    struct bus *bus = NULL;

    if (argc < 2 && !mkdtemp(dir))
        return 1;
    snprintf(url, sizeof(url), "log:%s", dir);
    arena_init(&arena, 16u << 20);
    rng_init(&rng);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    enum err e = bus_open(&cx, argc < 2 ? url : argv[1], &bus);
    for (size_t i = 0; e == ERR_OK && i < COUNT_OF(batches); i++)
        e = publish(&cx, bus, batches[i]);
    if (e == ERR_OK)
        e = read_all(&cx, bus);
    if (e != ERR_OK)
        fprintf(stderr, "%s\n", cx.story.detail);
    if (bus)
        bus_close(bus);
    arena_release(&arena);
    if (argc < 2)
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return e != ERR_OK;
}
