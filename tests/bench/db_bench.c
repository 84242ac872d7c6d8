/* db_bench.c -- durable commits per second of the database port: N threads, one insert per
 * transaction. */
#include "db/db.h"

#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define THREADS_MAX 256
#define ROUND_US (2 * US_PER_S)

struct bench {
    struct db *db;
    int64_t until_us;
    atomic_llong commits, waited_us;
    atomic_int failures;
};

static enum err insert(struct ctx *cx)
{
    TRY(db_begin(cx));
    TRY(db_exec(
        cx, "insert into rows (row_id, body) values ($1, $2)",
        ARGS(db_uuid(ctx_uuid(cx)), db_str(STR("about as much as an order's line holds")))));
    TRY(db_commit(cx));
    return db_durable(cx);
}

static void *bench_main(void *arg)
{
    struct bench *b = arg;
    struct arena arena;
    struct rng rng;
    arena_init(&arena, 1u << 20);
    rng_init(&rng);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng, .db = b->db};
    for (int64_t t0 = clock_monotonic_us(); t0 < b->until_us;) {
        if (insert(&cx) != ERR_OK) {
            db_rollback(&cx);
            atomic_fetch_add(&b->failures, 1);
        }
        int64_t t1 = clock_monotonic_us();
        atomic_fetch_add(&b->commits, 1);
        atomic_fetch_add(&b->waited_us, t1 - t0);
        t0 = t1;
        arena_reset(&arena);
    }
    arena_release(&arena);
    return NULL;
}

static void round_of(struct db *db, int threads)
{
    pthread_t ids[THREADS_MAX];
    struct db_stats before = db_stats(db);
    int64_t t0 = clock_monotonic_us();
    struct bench b = {.db = db, .until_us = t0 + ROUND_US};
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, bench_main, &b) != 0)
            abort();
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    struct db_stats after = db_stats(db);
    double seconds = (double)(clock_monotonic_us() - t0) / (double)US_PER_S;
    printf("%3d threads: %8.0f commits/s %8.0f groups/s %6.1f commits/group %8.0f us mean, %d "
           "failed\n",
           threads, (double)b.commits / seconds, (double)(after.groups - before.groups) / seconds,
           (double)b.commits / (double)(after.groups - before.groups),
           (double)b.waited_us / (double)b.commits, b.failures);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* db_bench [URL]: without one, SQLite in a new directory of the working directory. */
int main(int argc, char **argv)
{
    static const int threads[] = {1, 2, 4, 16, 64};
    char dir[] = "db-bench-XXXXXX", url[64];
    struct arena arena;
    struct rng rng;
    struct db *db = NULL;
    struct db_options options = {.group_commit = true, .clock = &clock_system};
    if (argc < 2 && !mkdtemp(dir))
        return 1;
    snprintf(url, sizeof(url), "sqlite:%s", dir);
    arena_init(&arena, 1u << 20);
    rng_init(&rng);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    enum err e = db_open(&cx, argc < 2 ? url : argv[1], "bench", &options, &db);
    cx.db = db;
    if (e == ERR_OK)
        e = db_script(&cx, "drop table if exists rows;"
                           "create table rows (row_id uuid primary key, body text not null)");
    if (e != ERR_OK) {
        fprintf(stderr, "%s\n", cx.story.detail);
        return 1;
    }
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        round_of(db, threads[i]);
    db_close(db);
    arena_release(&arena);
    if (argc < 2)
        nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
