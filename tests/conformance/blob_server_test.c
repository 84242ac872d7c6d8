/*
 * blob_server_test.c -- what blobs on S3 must live through: wrong settings, lost answers, a server
 * that stops or hangs, uploads that fail half way. Needs tests/servers/s3.
 */
#include "test.h"

#include "base/fault.h"
#include "blob/s3.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

/* All set by tests/servers/s3. */
static const char *url;
static struct blob_keys keys;
static pid_t server;

struct work {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
};

static void work_init(struct work *w)
{
    memset(w, 0, sizeof(*w));
    arena_init(&w->arena, 256 * MIB);
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

/* The same server with another bucket or other options. */
static const char *url_with(struct work *w, const char *bucket_and_options)
{
    struct str all = str_from(url), host = {all.p + 5, all.n - 5}, rest;

    str_cut(host, '/', &host, &rest);
    return arena_printf(&w->arena, "s3://%.*s/%s", STR_ARG(host), bucket_and_options).p;
}

static bool told(const struct work *w, const char *words)
{
    bool found = strstr(w->cx.story.detail, words) != NULL;

    if (!found)
        printf("# the story is: %s\n", w->cx.story.detail);
    return found;
}

static struct str large_body(struct work *w, size_t n)
{
    char *p = arena_alloc(&w->arena, n);

    for (size_t i = 0; i < n; i += MIB)
        rng_bytes(&w->rng, p + i, n - i < 64 ? n - i : 64);
    return (struct str){p, n};
}

/* What is wrong is said when the platform starts, in words. */
static void wrong_settings(void)
{
    struct work w;
    struct blobs *b = NULL;
    struct blob_keys wrong = {keys.access_key, STR("not the secret")};

    work_init(&w);
    CHECK_INT(blobs_open(&w.cx, url, &wrong, &b), ERR_INVALID);
    CHECK(told(&w, "the secret key is not that of the access key"));
    CHECK(!strstr(w.cx.story.detail, "not the secret"));
    wrong = (struct blob_keys){STR("nobody"), keys.secret_key};
    CHECK_INT(blobs_open(&w.cx, url, &wrong, &b), ERR_INVALID);
    CHECK(told(&w, "does not know the access key"));
    CHECK_INT(blobs_open(&w.cx, url_with(&w, "no-such-bucket?scheme=http"), &keys, &b),
              ERR_INVALID);
    CHECK(told(&w, "the bucket does not exist"));
    CHECK_INT(blobs_open(&w.cx, url_with(&w, "jumun-test?scheme=http&region=eu-west-1"), &keys, &b),
              ERR_INVALID);
    CHECK(
        told(&w, "the region is wrong: the server says \"us-east-1\", the setting \"eu-west-1\""));
    struct clock late = {.is_virtual = true, .virtual_us = clock_now(&clock_system)};
    late.virtual_us -= US_PER_HOUR;
    w.cx.clock = &late;
    CHECK_INT(blobs_open(&w.cx, url, &keys, &b), ERR_INVALID);
    CHECK(told(&w, "the clock of this machine is wrong"));
    CHECK(told(&w, "s behind the server's"));
    CHECK(b == NULL);
    arena_release(&w.arena);
}

/* The same, when it happens after the start: never "there is no such blob". */
static void settings_that_go_wrong(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct s3_blobs *s = (struct s3_blobs *)b;
    struct str bytes, type, bucket = s->bucket, secret = s->keys.secret_key;

    s->bucket = STR("bucket-that-was-deleted");
    CHECK_INT(blob_get(&w.cx, b, STR("a"), 10, &bytes, &type), ERR_UNAVAILABLE);
    CHECK(told(&w, "the bucket does not exist"));
    CHECK_INT(blob_delete(&w.cx, b, STR("a")), ERR_UNAVAILABLE);
    CHECK_INT(blob_put(&w.cx, b, STR("a"), STR("text/plain"), STR("x")), ERR_UNAVAILABLE);
    CHECK(told(&w, "the bucket does not exist"));
    s->bucket = bucket;
    s->keys.secret_key = STR("rotated");
    CHECK_INT(blob_put(&w.cx, b, STR("a"), STR("text/plain"), STR("x")), ERR_UNAVAILABLE);
    CHECK(told(&w, "the secret key is not that of the access key"));
    CHECK_INT(blob_put(&w.cx, b, STR("a"), STR("text/plain"), large_body(&w, 9 * MIB)),
              ERR_UNAVAILABLE);
    s->keys.secret_key = secret;
    CHECK_INT(blob_get(&w.cx, b, STR("a"), 10, &bytes, &type), ERR_NOT_FOUND);
    close_blobs(&w, b);
}

/* Uploads that were begun and neither ended nor taken away. */
static int uploads_left(struct work *w, struct blobs *b)
{
    const struct s3_pair query[] = {{STR("uploads"), STR("")}};
    const struct s3_call call = {
        .method = STR("GET"), .name = STR(""), .query = query, .query_n = 1, .answer_max = 100000};
    struct s3_answer answer;
    int n = 0;

    CHECK_INT(s3_call(&w->cx, (struct s3_blobs *)b, &call, &answer), ERR_OK);
    CHECK_INT(answer.status, 200);
    struct str rest = buf_str(&answer.body);
    CHECK(str_find(rest, STR("ListMultipartUploadsResult")) != SIZE_MAX);
    for (size_t at = str_find(rest, STR("<UploadId>")); at != SIZE_MAX; n++) {
        rest = (struct str){rest.p + at + 1, rest.n - at - 1};
        at = str_find(rest, STR("<UploadId>"));
    }
    s3_answer_release(&answer);
    return n;
}

#ifdef JUMUN_FAULTS
/* Fires at some passes of one point, counted from 1; 0: at each. */
struct arm {
    const char *point;
    int from, to, passes, fired;
};

static bool fire(void *arg, const char *name)
{
    struct arm *arm = arg;

    if (strcmp(name, arm->point) != 0)
        return false;
    arm->passes++;
    bool yes = arm->passes >= arm->from && arm->passes <= arm->to;
    arm->fired += yes;
    return yes;
}

static struct arm armed(const char *point, int from, int to)
{
    return (struct arm){.point = point, .from = from, .to = to};
}

/* Failures that pass are not seen above the port, those that stay are, after four tries. */
static void repeats(void)
{
    static const char *const points[] = {"s3.before_call", "s3.answer_lost"};
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str bytes, type, name = STR("repeats/a");

    for (size_t i = 0; i < COUNT_OF(points); i++) {
        struct arm arm = armed(points[i], 1, 3);
        fault_hook_set(fire, &arm);
        CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("x")), ERR_OK);
        CHECK_INT(arm.fired, 3);
        arm = armed(points[i], 1, 2);
        CHECK_INT(blob_get(&w.cx, b, name, 10, &bytes, &type), ERR_OK);
        CHECK_INT(arm.passes, 3);
        arm = armed(points[i], 1, 100);
        CHECK_INT(blob_get(&w.cx, b, name, 10, &bytes, &type), ERR_UNAVAILABLE);
        CHECK_INT(arm.fired, 4);
        arm = armed(points[i], 1, 2);
        CHECK_INT(blob_delete(&w.cx, b, name), ERR_OK);
        CHECK_INT(blob_get(&w.cx, b, name, 10, &bytes, &type), ERR_NOT_FOUND);
        arm = armed(points[i], 1, 100);
        w.cx.deadline_us = clock_monotonic_us() + 60 * US_PER_MS;
        CHECK_INT(blob_get(&w.cx, b, name, 10, &bytes, &type), ERR_UNAVAILABLE);
        CHECK(arm.fired < 4);
        w.cx.deadline_us = 0;
        fault_hook_set(NULL, NULL);
    }
    close_blobs(&w, b);
}

/*
 * 20 MiB are five requests: begin, three parts, end. Whichever fails for good, the old blob is
 * there and nothing else; whichever fails once, the new one.
 */
static void uploads_that_fail(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str bytes, type, name = STR("uploads/a"), put = large_body(&w, 20 * MIB);

    for (int at = 1; at <= 5; at++) {
        struct arm arm = armed("s3.before_call", at, at + 3);
        CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("old")), ERR_OK);
        fault_hook_set(fire, &arm);
        CHECK_INT(blob_put(&w.cx, b, name, STR("video/mp4"), put), ERR_UNAVAILABLE);
        fault_hook_set(NULL, NULL);
        CHECK_INT(arm.fired, 4);
        CHECK_INT(blob_get(&w.cx, b, name, 100, &bytes, &type), ERR_OK);
        CHECK_STR(bytes, "old");
        CHECK_INT(uploads_left(&w, b), 0);
    }
    for (int at = 2; at <= 5; at++) {
        struct arm arm = armed("s3.answer_lost", at, at);
        CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("old")), ERR_OK);
        fault_hook_set(fire, &arm);
        CHECK_INT(blob_put(&w.cx, b, name, STR("video/mp4"), put), ERR_OK);
        fault_hook_set(NULL, NULL);
        CHECK_INT(arm.fired, 1);
        CHECK_INT(blob_get(&w.cx, b, name, 30 * MIB, &bytes, &type), ERR_OK);
        CHECK(str_eq(bytes, put));
        CHECK_INT(uploads_left(&w, b), 0);
    }
    /* The answer to "begin" was lost: it is not sent again, which would leave two. */
    struct arm arm = armed("s3.answer_lost", 1, 1);
    fault_hook_set(fire, &arm);
    CHECK_INT(blob_put(&w.cx, b, name, STR("video/mp4"), put), ERR_UNAVAILABLE);
    fault_hook_set(NULL, NULL);
    CHECK_INT(arm.passes, 1);
    CHECK_INT(uploads_left(&w, b), 1);
    close_blobs(&w, b);
}
#endif

static bool thread_is_stopped(const char *thread)
{
    char path[300], text[256] = "";

    snprintf(path, sizeof path, "/proc/%d/task/%s/stat", (int)server, thread);
    FILE *f = fopen(path, "r");
    if (!f)
        return true; /* ended since */
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    const char *state = strrchr(text, ')');
    return state && state[1] == ' ' && state[2] == 'T';
}

/* The signal reaches a process with many threads after a moment in which the others still work. */
static void stop_server(void)
{
    char path[64];
    bool stopped = false;

    snprintf(path, sizeof path, "/proc/%d/task", (int)server);
    CHECK(kill(server, SIGSTOP) == 0);
    for (int i = 0; i < 500 && !stopped; i++) {
        DIR *d = opendir(path);
        stopped = d != NULL;
        for (struct dirent *entry = d ? readdir(d) : NULL; entry; entry = readdir(d))
            stopped = stopped && (entry->d_name[0] == '.' || thread_is_stopped(entry->d_name));
        if (d)
            closedir(d);
        if (!stopped)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    CHECK(stopped);
}

/* A server that hangs costs its deadline, not more, and is used again when it is back. */
static void hangs(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str bytes, type, name = STR("hangs/a");

    CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("old")), ERR_OK);
    stop_server();
    int64_t start = clock_monotonic_us();
    w.cx.deadline_us = start + 400 * US_PER_MS;
    CHECK_INT(blob_get(&w.cx, b, name, 10, &bytes, &type), ERR_UNAVAILABLE);
    CHECK(clock_monotonic_us() - start < 1500 * US_PER_MS);
    CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("new")), ERR_UNAVAILABLE);
    CHECK(told(&w, "no time left"));
    struct blobs *other = NULL;
    w.cx.deadline_us = clock_monotonic_us() + 300 * US_PER_MS;
    CHECK_INT(blobs_open(&w.cx, url, &keys, &other), ERR_OK); /* start order never matters */
    w.cx.deadline_us = 0;
    CHECK(kill(server, SIGCONT) == 0);
    CHECK_INT(blob_get(&w.cx, other, name, 10, &bytes, &type), ERR_OK);
    CHECK_STR(bytes, "old");
    CHECK_INT(blob_get(&w.cx, b, name, 10, &bytes, &type), ERR_OK);
    blobs_close(other);
    close_blobs(&w, b);
}

/* As soon as the upload has begun: its parts are on their way then. */
static void *stop_for_a_while(void *arg)
{
    int before = *(const int *)arg;
    struct work w;
    struct blobs *b = open_blobs(&w);

    for (int i = 0; i < 200 && uploads_left(&w, b) == before; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    (void)kill(server, SIGSTOP);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 500000000}, NULL);
    close_blobs(&w, b);
    (void)kill(server, SIGCONT);
    return NULL;
}

/* Stopped in the middle of an upload past its deadline: taken away once the server is back. */
static void stopped_in_an_upload(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str bytes, type, name = STR("stopped/a"), put = large_body(&w, 96 * MIB);
    pthread_t thread;
    int before = uploads_left(&w, b);

    CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("old")), ERR_OK);
    if (pthread_create(&thread, NULL, stop_for_a_while, &before) != 0)
        abort();
    w.cx.deadline_us = clock_monotonic_us() + 1000 * US_PER_MS;
    CHECK_INT(blob_put(&w.cx, b, name, STR("video/mp4"), put), ERR_UNAVAILABLE);
    w.cx.deadline_us = 0;
    pthread_join(thread, NULL);
    CHECK_INT(blob_get(&w.cx, b, name, 100, &bytes, &type), ERR_OK);
    CHECK_STR(bytes, "old");
    CHECK_INT(uploads_left(&w, b), before);
    close_blobs(&w, b);
}

static void *kill_soon(void *arg)
{
    (void)arg;
    nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
    (void)kill(server, SIGKILL);
    return NULL;
}

/* The server dies in the middle of an upload; what its disk has then is the old blob, whole. */
static void killed_in_an_upload(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str bytes, type, put = large_body(&w, 96 * MIB);
    char text[8] = "";
    pthread_t thread;

    CHECK_INT(blob_put(&w.cx, b, STR("killed/a"), STR("text/plain"), STR("old")), ERR_OK);
    if (pthread_create(&thread, NULL, kill_soon, NULL) != 0)
        abort();
    int64_t start = clock_monotonic_us();
    CHECK_INT(blob_put(&w.cx, b, STR("killed/a"), STR("video/mp4"), put), ERR_UNAVAILABLE);
    CHECK(clock_monotonic_us() - start < 10 * US_PER_S);
    pthread_join(thread, NULL);
    CHECK_INT(blob_get(&w.cx, b, STR("killed/a"), 100, &bytes, &type), ERR_UNAVAILABLE);
    const char *path = arena_printf(&w.arena, "%s/jumun-test/killed/a", getenv("TEST_S3_ROOT")).p;
    FILE *f = fopen(path, "r");
    CHECK(f && fread(text, 1, sizeof text - 1, f) == 3 && fclose(f) == 0);
    CHECK_STR(str_from(text), "old");
    close_blobs(&w, b);
}

/* Status and body of a plain GET by Debian's curl, which knows nothing of our keys. */
static int fetch(struct work *w, struct str address, struct str *ret_body)
{
    struct str command = arena_printf(
        &w->arena, "curl -s --max-time 5 -w '\\n%%{http_code}' '%.*s'", STR_ARG(address));
    char *text = arena_alloc(&w->arena, 4096);
    FILE *f = popen(command.p, "r"); /* NOLINT(cert-env33-c): a URL of our own */
    size_t n = f ? fread(text, 1, 4096, f) : 0;

    CHECK(f && pclose(f) == 0 && n >= 4);
    if (n < 4)
        return 0;
    *ret_body = (struct str){text, n - 4};
    return (int)strtol(arena_cstr(&w->arena, (struct str){text + n - 3, 3}), NULL, 10);
}

/* A presigned URL works for anybody, for this blob only, and not for ever. */
/* For doctor. */
static void probed(void)
{
    struct clock late = {.is_virtual = true, .virtual_us = clock_now(&clock_system) - US_PER_HOUR};
    struct str is = STR_NONE;
    struct work w;

    work_init(&w);
    CHECK_INT(blobs_probe(&w.cx, url, &keys, &is), ERR_OK);
    CHECK(str_starts(is, STR("S3 bucket ")));
    w.cx.clock = &late;
    CHECK_INT(blobs_probe(&w.cx, url, &keys, &is), ERR_UNAVAILABLE);
    CHECK(told(&w, "the clock of this machine is wrong: it is 3"));
    CHECK(told(&w, "NTP"));
    arena_release(&w.arena);
}

static void presigned(void)
{
    struct work w;
    struct blobs *b = open_blobs(&w);
    struct str address, body, name = STR("presigned/a.txt");
    struct clock past = {.is_virtual = true, .virtual_us = clock_now(&clock_system)};

    CHECK_INT(blob_put(&w.cx, b, name, STR("text/plain"), STR("for you")), ERR_OK);
    CHECK_INT(blob_put(&w.cx, b, STR("presigned/b.txt"), STR("text/plain"), STR("not")), ERR_OK);
    CHECK_INT(blob_presign(&w.cx, b, name, 60, &address), ERR_OK);
    CHECK_INT(fetch(&w, address, &body), 200);
    CHECK_STR(body, "for you");
    char *changed = arena_cstr(&w.arena, address);
    strstr(changed, "/a.txt")[1] = 'b';
    CHECK_INT(fetch(&w, str_from(changed), &body), 403);
    struct str bare, rest;
    str_cut(address, '?', &bare, &rest);
    CHECK_INT(fetch(&w, bare, &body), 403);
    CHECK_INT(blob_presign(&w.cx, b, name, 3, &address), ERR_OK);
    CHECK_INT(fetch(&w, address, &body), 200);
    sleep(5); /* a second more than the 3, and one that the signature rounds away */
    CHECK_INT(fetch(&w, address, &body), 403);
    past.virtual_us -= US_PER_HOUR;
    w.cx.clock = &past;
    CHECK_INT(blob_presign(&w.cx, b, name, 3599, &address), ERR_OK);
    CHECK_INT(fetch(&w, address, &body), 403);
    CHECK_INT(blob_presign(&w.cx, b, name, 3700, &address), ERR_OK);
    CHECK_INT(fetch(&w, address, &body), 200);
    close_blobs(&w, b);
}

int main(void)
{
    const char *pid = getenv("TEST_S3_PID");

    if (!pid) {
        printf("# nothing to do without a server: tests/servers/s3\n");
        return test_end();
    }
    url = getenv("TEST_S3");
    keys = (struct blob_keys){str_from(getenv("TEST_S3_ACCESS_KEY")),
                              str_from(getenv("TEST_S3_SECRET_KEY"))};
    server = (pid_t)strtol(pid, NULL, 10);
    RUN(wrong_settings);
    RUN(settings_that_go_wrong);
#ifdef JUMUN_FAULTS
    RUN(repeats);
    RUN(uploads_that_fail);
#endif
    RUN(hangs);
    RUN(stopped_in_an_upload);
    RUN(probed);
    RUN(presigned);
    RUN(killed_in_an_upload); /* the last: there is no server afterwards */
    return test_end();
}
