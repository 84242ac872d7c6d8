/*
 * blob_test.c -- what every blob driver must do, written against blob/blob.h only; on S3 too where
 * TEST_S3 names a bucket (tests/servers/s3).
 */
#include "test.h"

#include "base/fault.h"
#include "blob/blob.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *urls[4]; /* the drivers under test */
static const char *url;
static struct blob_keys keys;
static char dir[] = "/tmp/jumun-blob-test-XXXXXX";

struct work {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
};

static void work_init(struct work *w)
{
    memset(w, 0, sizeof(*w));
    arena_init(&w->arena, 64u << 20);
    rng_init(&w->rng);
    w->cx = (struct ctx){.arena = &w->arena, .clock = &clock_system, .rng = &w->rng};
}

static struct blobs *open_blobs(struct work *w)
{
    struct blobs *b = NULL;
    work_init(w);
    if (blobs_open(&w->cx, url, &keys, &b) != ERR_OK) {
        printf("Bail out! cannot open %s: %s\n", url, w->cx.story.detail);
        exit(1);
    }
    return b;
}

static void close_blobs(struct work *w, struct blobs *b)
{
    blobs_close(b);
    arena_release(&w->arena);
}

static void open_refuses(void)
{
    struct work w;
    struct blobs *b = NULL;
    work_init(&w);
    CHECK_INT(blobs_open(&w.cx, "attic:", &keys, &b), ERR_INVALID);
    CHECK_INT(blobs_open(&w.cx, "file:", NULL, &b), ERR_INVALID);
    CHECK_INT(blobs_open(&w.cx, "file:/nonexistent/deep/dir", NULL, &b), ERR_UNAVAILABLE);
    CHECK(b == NULL);
    arena_release(&w.arena);
}

static void round_trips(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    static const size_t sizes[] = {0, 1, 10, 4096, 1000000};
    struct str bytes, type;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *p = arena_alloc(&w.arena, sizes[i] + 1);
        rng_bytes(&w.rng, p, sizes[i]);
        struct str put = {p, sizes[i]};
        struct str name = arena_printf(&w.arena, "menu/%zu/photo-1_a.png", i);
        CHECK_INT(blob_get(&w.cx, b, name, 2000000, &bytes, &type), ERR_NOT_FOUND);
        CHECK_INT(blob_put(&w.cx, b, name, STR("image/png"), put), ERR_OK);
        CHECK_INT(blob_get(&w.cx, b, name, 2000000, &bytes, &type), ERR_OK);
        CHECK(bytes.n == put.n && memcmp(bytes.p, put.p, put.n) == 0);
        CHECK_STR(type, "image/png");
        CHECK_INT(blob_get(&w.cx, b, name, sizes[i], &bytes, &type), ERR_OK);
        if (sizes[i] > 0)
            CHECK_INT(blob_get(&w.cx, b, name, sizes[i] - 1, &bytes, &type), ERR_TOO_LARGE);
    }
    struct str name = STR("menu/0/photo-1_a.png");
    CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain; charset=utf-8"), STR("a\nb\n")), ERR_OK);
    CHECK_INT(blob_get(&w.cx, b, name, 100, &bytes, &type), ERR_OK);
    CHECK_STR(bytes, "a\nb\n");
    CHECK_STR(type, "text/plain; charset=utf-8");
    CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain;  charset=utf-8"), STR("a\nb\n")), ERR_OK);
    CHECK_INT(blob_get(&w.cx, b, name, 100, &bytes, &type), ERR_OK);
    CHECK_STR(type, "text/plain;  charset=utf-8");
    close_blobs(&w, b);

    b = open_blobs(&w); /* still there for the next process */
    CHECK_INT(blob_get(&w.cx, b, name, 100, &bytes, &type), ERR_OK);
    CHECK_STR(bytes, "a\nb\n");
    CHECK_INT(blob_delete(&w.cx, b, name), ERR_OK);
    CHECK_INT(blob_delete(&w.cx, b, name), ERR_OK);
    CHECK_INT(blob_delete(&w.cx, b, STR("never/was")), ERR_OK);
    CHECK_INT(blob_get(&w.cx, b, name, 100, &bytes, &type), ERR_NOT_FOUND);
    close_blobs(&w, b);
}

/*
 * Around the size from which S3 takes parts, and far above it. A put makes no copy of what it is
 * given, a get one.
 */
static void large(void)
{
    static const size_t mib = 1 << 20;
    static const size_t sizes[] = {8 * mib - 1, 8 * mib, 8 * mib + 1, 16 * mib, 100 * mib};
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str bytes, type, name = STR("large/one");
    char *all = malloc(100 * mib);

    CHECK(all != NULL);
    rng_bytes(&w.rng, all, mib);
    for (size_t i = 1; i < 100; i++) {
        memcpy(all + i * mib, all, mib);
        memcpy(all + i * mib, &i, sizeof i); /* no two parts alike */
    }
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct arena arena;
        arena_init(&arena, 4 * mib);
        w.cx.arena = &arena;
        struct str put = {all, sizes[i]};
        CHECK_INT(blob_put(&w.cx, b, name, STR("video/mp4"), put), ERR_OK);
        arena_release(&arena);
        arena_init(&arena, sizes[i] + 4 * mib);
        CHECK_INT(blob_get(&w.cx, b, name, sizes[i] - 1, &bytes, &type), ERR_TOO_LARGE);
        arena_reset(&arena);
        CHECK_INT(blob_get(&w.cx, b, name, 100 * mib, &bytes, &type), ERR_OK);
        CHECK(bytes.n == put.n && memcmp(bytes.p, put.p, put.n) == 0);
        CHECK_STR(type, "video/mp4");
        arena_release(&arena);
        w.cx.arena = &w.arena;
    }
    CHECK_INT(blob_delete(&w.cx, b, name), ERR_OK);
    CHECK_INT(blob_get(&w.cx, b, name, 10, &bytes, &type), ERR_NOT_FOUND);
    free(all);
    close_blobs(&w, b);
}

static void presigned(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str address, again;

    CHECK_INT(blob_presign(&w.cx, b, STR("a/b"), 60, &address), ERR_OK);
    CHECK((address.p != NULL) == (strncmp(url, "s3:", 3) == 0));
    CHECK_INT(blob_presign(&w.cx, b, STR("a/c"), 604800, &again), ERR_OK);
    CHECK(!address.p || !str_eq(address, again));
    CHECK_INT(blob_presign(&w.cx, b, STR("a/b"), 0, &address), ERR_INVALID);
    CHECK_INT(blob_presign(&w.cx, b, STR("a/b"), 604801, &address), ERR_INVALID);
    CHECK_INT(blob_presign(&w.cx, b, STR("../b"), 60, &address), ERR_INVALID);
    CHECK(address.p == NULL);
    close_blobs(&w, b);
}

static void names(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    static const char *const bad[] = {
        "",    "/a",   "a/",   "a//b",  "..",   "a/../b", "a/..", "../a", ".hidden", "a/.b", "A",
        "a b", "a\\b", "a\nb", "a%2fb", "김밥", "a?b=c",  "a:b",  ".",    "./a",     "a/./b"};
    struct str bytes, type;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct str name = str_from(bad[i]);
        CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("x")), ERR_INVALID);
        CHECK_INT(blob_get(&w.cx, b, name, 10, &bytes, &type), ERR_NOT_FOUND);
        CHECK_INT(blob_delete(&w.cx, b, name), ERR_INVALID);
    }
    CHECK_INT(blob_put(&w.cx, b, (struct str){"a\0b", 3}, STR("text/plain"), STR("x")),
              ERR_INVALID);
    char *longest = arena_alloc(&w.arena, 5000);
    memset(longest, 'a', 5000);
    CHECK_INT(blob_put(&w.cx, b, (struct str){longest, 5000}, STR("text/plain"), STR("x")),
              ERR_INVALID);
    CHECK_INT(blob_put(&w.cx, b, (struct str){longest, 200}, STR("text/plain"), STR("x")), ERR_OK);
    CHECK_INT(blob_put(&w.cx, b, STR("ok"), STR("text/plain\nx"), STR("x")), ERR_INVALID);
    CHECK_INT(blob_put(&w.cx, b, STR("ok"), STR_NONE, STR("x")), ERR_INVALID);
    CHECK_INT(blob_put(&w.cx, b, STR("a.b-c_d/0..1"), STR("text/plain"), STR("x")), ERR_OK);
    close_blobs(&w, b);
}

#ifdef JUMUN_FAULTS
static bool fail_named(void *arg, const char *name)
{
    return strcmp(name, arg) == 0;
}

static void failures(void)
{
    static char points[][16] = {"blob.put.before", "blob.sync", "blob.put.after"};
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str bytes, type, name = STR("f/1");
    bool local = strncmp(url, "file:", 5) == 0;
    CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("old")), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(points); i++) {
        if (!local && strcmp(points[i], "blob.sync") == 0)
            continue;
        fault_hook_set(fail_named, points[i]);
        CHECK_INT(blob_put(&w.cx, b, name, STR("text/html"), STR("new, longer")), ERR_UNAVAILABLE);
        fault_hook_set(NULL, NULL);
        CHECK_INT(blob_get(&w.cx, b, name, 100, &bytes, &type), ERR_OK);
        bool lost_answer = i == 2; /* done, only unheard of */
        CHECK_STR(bytes, lost_answer ? "new, longer" : "old");
        CHECK_STR(type, lost_answer ? "text/html" : "text/plain");
    }
    static char point[] = "blob.delete";
    fault_hook_set(fail_named, point);
    CHECK_INT(blob_delete(&w.cx, b, name), ERR_UNAVAILABLE);
    fault_hook_set(NULL, NULL);
    CHECK_INT(blob_get(&w.cx, b, name, 100, &bytes, &type), ERR_OK);
    close_blobs(&w, b);
}

/* Another process with the same directory starts and writes, while a put here is half done. */
static bool start_another(void *arg, const char *name)
{
    bool *started = arg;
    struct work w;

    if (*started || strcmp(name, "blob.sync") != 0)
        return false;
    *started = true;
    struct blobs *b = open_blobs(&w);
    CHECK_INT(blob_put(&w.cx, b, STR("of/another"), STR("text/html"), STR("theirs")), ERR_OK);
    close_blobs(&w, b);
    return false;
}

static void two_processes(void)
{
    struct work w;
    struct str bytes, type;
    bool started = false;

    if (strncmp(url, "file:", 5) != 0)
        return;
    struct blobs *b = open_blobs(&w);
    fault_hook_set(start_another, &started);
    CHECK_INT(blob_put(&w.cx, b, STR("of/one"), STR("text/plain"), STR("ours")), ERR_OK);
    fault_hook_set(NULL, NULL);
    CHECK(started);
    CHECK_INT(blob_get(&w.cx, b, STR("of/one"), 100, &bytes, &type), ERR_OK);
    CHECK_STR(bytes, "ours");
    CHECK_INT(blob_get(&w.cx, b, STR("of/another"), 100, &bytes, &type), ERR_OK);
    CHECK_STR(bytes, "theirs");
    close_blobs(&w, b);
}
#endif

struct crowd {
    struct blobs *blobs;
    atomic_int wrong;
};

/* Everybody replaces the same blob; whoever reads sees one version, whole. */
static void *crowd_main(void *arg)
{
    struct crowd *crowd = arg;
    struct work w;
    char text[5000];
    work_init(&w);
    for (int i = 0; i < 30; i++) {
        struct str bytes, type;
        memset(text, 'a' + (int)rng_below(&w.rng, 26), sizeof(text));
        struct str put = {text, 1 + (size_t)rng_below(&w.rng, sizeof(text))};
        if (blob_put(&w.cx, crowd->blobs, STR("same/name"), STR("text/plain"), put) != ERR_OK ||
            blob_get(&w.cx, crowd->blobs, STR("same/name"), sizeof(text), &bytes, &type) !=
                ERR_OK ||
            bytes.n == 0 || bytes.p[0] != bytes.p[bytes.n - 1])
            atomic_fetch_add(&crowd->wrong, 1);
    }
    arena_release(&w.arena);
    return NULL;
}

static void many_threads(void)
{
    struct work w;
    struct crowd crowd = {.blobs = open_blobs(&w)};
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        if (pthread_create(&threads[i], NULL, crowd_main, &crowd) != 0)
            abort();
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(crowd.wrong, 0);
    close_blobs(&w, crowd.blobs);
}

/* What a crash left half written goes with a later start, and was never a blob. */
static void leftovers(void)
{
    const struct timespec two_hours_ago[2] = {{.tv_sec = time(NULL) - 7200},
                                              {.tv_sec = time(NULL) - 7200}};
    if (strncmp(url, "file:", 5) != 0)
        return;
    struct work w;
    char path[64];
    snprintf(path, sizeof(path), "%s/.part-1-1", dir);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs("text/plain\nhal", f) >= 0 && fclose(f) == 0);
    struct blobs *b = open_blobs(&w);
    CHECK(access(path, F_OK) == 0); /* perhaps another process is writing it */
    close_blobs(&w, b);
    CHECK(utimensat(AT_FDCWD, path, two_hours_ago, 0) == 0);
    b = open_blobs(&w);
    CHECK(access(path, F_OK) != 0);
    close_blobs(&w, b);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int main(void)
{
    static char file_url[64];
    if (!mkdtemp(dir))
        return 1;
    snprintf(file_url, sizeof(file_url), "file:%s", dir);
    urls[0] = file_url;
    urls[1] = getenv("TEST_S3");
    urls[2] = getenv("TEST_S3_BY_HOST");
    if (urls[1]) {
        keys.access_key = str_from(getenv("TEST_S3_ACCESS_KEY"));
        keys.secret_key = str_from(getenv("TEST_S3_SECRET_KEY"));
    }
    for (size_t i = 0; urls[i]; i++) {
        url = urls[i];
        printf("# %s\n", url);
        RUN(open_refuses);
        RUN(round_trips);
        RUN(large);
        RUN(presigned);
        RUN(names);
#ifdef JUMUN_FAULTS
        RUN(failures);
        RUN(two_processes);
#endif
        RUN(many_threads);
        RUN(leftovers);
    }
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return test_end();
}
