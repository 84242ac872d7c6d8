/* s3_test.c -- addresses of an S3 bucket, and answers that a real server seldom gives. */
#include "test.h"

#include "blob/s3.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static const char url[] = "s3://127.0.0.1:1/photos?scheme=http"; /* nobody listens */
static struct blob_keys keys;

struct work {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
};

static void work_init(struct work *w)
{
    memset(w, 0, sizeof(*w));
    arena_init(&w->arena, 64 * MIB);
    rng_init(&w->rng);
    w->cx = (struct ctx){.arena = &w->arena, .clock = &clock_system, .rng = &w->rng};
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

static void urls_refused(void)
{
    static const struct {
        const char *url, *words;
    } bad[] = {
        {"s3:", "expected s3://HOST"},
        {"s3://", "is no host"},
        {"s3://host", "is no bucket"},
        {"s3://host/", "is no bucket"},
        {"s3://host/ab", "is no bucket"},
        {"s3://host/Photos", "is no bucket"},
        {"s3://host/photos/deeper", "is no bucket"},
        {"s3://host:0/photos", "is no port"},
        {"s3://host:65536/photos", "is no port"},
        {"s3://ho st/photos", "is no host"},
        {"s3://key:secret@host/photos", "keys do not belong in the URL"},
        {"s3://host/photos?region=", "is not understood"},
        {"s3://host/photos?style=virtual", "\"style=virtual\" is not understood"},
        {"s3://host/photos?scheme=ftp", "is not understood"},
        {"s3://host/photos?regoin=x", "\"regoin=x\" is not understood"},
    };
    struct work w;
    struct blobs *b = NULL;

    work_init(&w);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_INT(blobs_open(&w.cx, bad[i].url, &keys, &b), ERR_INVALID);
        CHECK(told(&w, bad[i].words));
    }
    CHECK_INT(blobs_open(&w.cx, url, NULL, &b), ERR_INVALID);
    CHECK(told(&w, "access key"));
    CHECK(b == NULL);
    arena_release(&w.arena);
}

static void check_address(const char *from, const char *host, const char *address,
                          const char *region)
{
    struct work w;
    struct s3_blobs s;

    work_init(&w);
    memset(&s, 0, sizeof s);
    arena_init(&s.arena, 65536);
    CHECK_INT(s3_url_parse(&w.cx, &s, from), ERR_OK);
    CHECK_STR(s3_host(&w.arena, &s), host);
    CHECK_STR(str_from(s3_object_url(&w.arena, &s, STR("menu/a.png"), STR(""))), address);
    CHECK_STR(s.keys.region, region);
    arena_release(&s.arena);
    arena_release(&w.arena);
}

static void addresses(void)
{
    check_address("//s3.ap-northeast-2.amazonaws.com/photos",
                  "photos.s3.ap-northeast-2.amazonaws.com",
                  "https://photos.s3.ap-northeast-2.amazonaws.com/menu/a.png", "ap-northeast-2");
    check_address("//s3.amazonaws.com/photos", "photos.s3.amazonaws.com",
                  "https://photos.s3.amazonaws.com/menu/a.png", "us-east-1");
    check_address("//s3.amazonaws.com/my.photos", "s3.amazonaws.com",
                  "https://s3.amazonaws.com/my.photos/menu/a.png", "us-east-1");
    check_address("//s3.amazonaws.com/photos?style=path&region=eu-west-1", "s3.amazonaws.com",
                  "https://s3.amazonaws.com/photos/menu/a.png", "eu-west-1");
    check_address("//s3.dualstack.ap-northeast-2.amazonaws.com/photos",
                  "photos.s3.dualstack.ap-northeast-2.amazonaws.com",
                  "https://photos.s3.dualstack.ap-northeast-2.amazonaws.com/menu/a.png",
                  "ap-northeast-2");
    check_address("//s3-fips.us-west-2.amazonaws.com/photos?style=path",
                  "s3-fips.us-west-2.amazonaws.com",
                  "https://s3-fips.us-west-2.amazonaws.com/photos/menu/a.png", "us-west-2");
    check_address("//minio:9000/photos?scheme=http", "minio:9000",
                  "http://minio:9000/photos/menu/a.png", "us-east-1");
    check_address("//minio:443/photos?style=host", "photos.minio",
                  "https://photos.minio/menu/a.png", "us-east-1");
    check_address("//minio:80/photos?scheme=http", "minio", "http://minio/photos/menu/a.png",
                  "us-east-1");
    check_address("//minio:443/photos?scheme=http", "minio:443",
                  "http://minio:443/photos/menu/a.png", "us-east-1");
}

/* Nobody listens: soon said, by name of the host. */
static void refused(void)
{
    struct work w;
    struct blobs *b = NULL;
    struct str bytes, type;

    work_init(&w);
    CHECK_INT(blobs_open(&w.cx, "s3://127.0.0.1:1/photos?scheme=http", &keys, &b), ERR_OK);
    int64_t start = clock_monotonic_us();
    CHECK_INT(blob_get(&w.cx, b, STR("a"), 10, &bytes, &type), ERR_UNAVAILABLE);
    CHECK(told(&w, "127.0.0.1:1: "));
    CHECK(clock_monotonic_us() - start < 2 * US_PER_S);
    CHECK(clock_monotonic_us() - start > 150 * US_PER_MS); /* four tries, not one */
    blobs_close(b);
    arena_release(&w.arena);
}

/* What a real server seldom says: each request gets the next text, on a connection of its own
 * unless the text before says keep-alive. MARK in a text becomes that of the upload. */
struct fake {
    const char *const *answers;
    int listener;
    atomic_int served;
    pthread_t thread;
    char url[80];
};

/* Until the whole request is there: closing earlier would reset the connection. */
static void read_request(int fd, char *mark)
{
    static char text[65536]; /* the head is in what comes first */
    size_t n = 0, need = SIZE_MAX;

    while (n < need) {
        size_t at = need == SIZE_MAX ? n : 0;
        ssize_t got = recv(fd, text + at, sizeof text - 1 - at, 0);
        if (got <= 0)
            return;
        n += (size_t)got;
        if (need != SIZE_MAX)
            continue;
        text[n] = '\0';
        const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
        const char *upload = strstr(text, "x-amz-meta-jumun-upload: ");
        if (end && upload)
            (void)sscanf(upload + 25, "%32s", mark);
        if (end)
            need = (size_t)(end + 4 - text) + (length ? strtoul(length + 16, NULL, 10) : 0);
    }
}

static void answer(int fd, const char *text, const char *mark)
{
    const char *at = strstr(text, "MARK");

    (void)send(fd, text, at ? (size_t)(at - text) : strlen(text), MSG_NOSIGNAL);
    if (!at)
        return;
    (void)send(fd, mark, strlen(mark), MSG_NOSIGNAL);
    (void)send(fd, at + 4, strlen(at + 4), MSG_NOSIGNAL);
}

static void *fake_main(void *arg)
{
    struct fake *f = arg;
    char mark[40] = "";
    int fd = -1;

    for (size_t i = 0; f->answers[i]; i++) {
        if (fd < 0)
            fd = accept(f->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        read_request(fd, mark);
        atomic_fetch_add(&f->served, 1);
        answer(fd, f->answers[i], mark);
        if (!strstr(f->answers[i], "keep-alive")) {
            close(fd);
            fd = -1;
        }
    }
    return NULL;
}

/* A listener that nobody accepts from. */
static void silent_start(struct fake *f)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;

    memset(f, 0, sizeof *f);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (f->listener < 0 || bind(f->listener, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(f->listener, 8) != 0 || getsockname(f->listener, (struct sockaddr *)&at, &n) != 0)
        abort();
    snprintf(f->url, sizeof f->url, "s3://127.0.0.1:%d/photos?scheme=http", ntohs(at.sin_port));
}

static void fake_start(struct fake *f, const char *const *answers)
{
    silent_start(f);
    f->answers = answers;
    if (pthread_create(&f->thread, NULL, fake_main, f) != 0)
        abort();
}

static int fake_stop(struct fake *f)
{
    (void)shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    return f->served;
}

/* However little is left when it begins: the server is never waited for without an end. */
static void deadlines(void)
{
    struct fake f;
    struct work w;
    struct blobs *b = NULL;
    struct str bytes, type;

    work_init(&w);
    silent_start(&f);
    w.cx.deadline_us = clock_monotonic_us() + 20 * US_PER_MS;
    CHECK_INT(blobs_open(&w.cx, f.url, &keys, &b), ERR_OK);
    int64_t start = clock_monotonic_us();
    for (int left_us = 1000; left_us < 1400; left_us += 4) {
        w.cx.deadline_us = clock_monotonic_us() + left_us;
        CHECK_INT(blob_get(&w.cx, b, STR("a"), 10, &bytes, &type), ERR_UNAVAILABLE);
        if (clock_monotonic_us() - start > 3 * US_PER_S)
            break;
    }
    CHECK(clock_monotonic_us() - start < 3 * US_PER_S);
    close(f.listener);
    blobs_close(b);
    arena_release(&w.arena);
}

#define HEAD(status) "HTTP/1.1 " status "\r\nConnection: close\r\n"
#define ERROR_OF(status, code)                                                                     \
    HEAD(status) "\r\n<Error><Code>" code "</Code><Message>m</Message></Error>"
#define LOOKED ERROR_OF("404 Not Found", "NoSuchKey")

/* One put, or one get, on a server that gives these answers after the look at the bucket. */
static enum err against(struct work *w, const char *const *answers, size_t put_n, int *ret_served)
{
    struct fake f;
    struct blobs *b = NULL;
    struct str bytes, type;

    work_init(w);
    fake_start(&f, answers);
    CHECK_INT(blobs_open(&w->cx, f.url, &keys, &b), ERR_OK);
    enum err e = put_n ? blob_put(&w->cx, b, STR("a"), STR("text/plain"), large_body(w, put_n))
                       : blob_get(&w->cx, b, STR("a"), 4, &bytes, &type);
    if (e == ERR_OK && !put_n)
        CHECK_STR(bytes, "good");
    *ret_served = fake_stop(&f) - 1;
    blobs_close(b);
    arena_release(&w->arena);
    return e;
}

static void answers_that_pass(void)
{
    static const char good[] = HEAD("200 OK") "Content-Length: 4\r\n\r\ngood";
    static const char *const slow[] = {LOOKED,
                                       ERROR_OF("503 Slow Down", "SlowDown"),
                                       HEAD("429 Too Many Requests") "\r\n",
                                       ERROR_OF("500 Oops", "InternalError"),
                                       good,
                                       NULL};
    static const char *const broken[] = {
        LOOKED, HEAD("200 OK") "Content-Length: 4\r\n\r\ngo", "", "nonsense\r\n\r\n", good, NULL};
    static const char *const down[] = {LOOKED,
                                       ERROR_OF("503 Slow Down", "SlowDown"),
                                       ERROR_OF("503 Slow Down", "SlowDown"),
                                       ERROR_OF("503 Slow Down", "SlowDown"),
                                       ERROR_OF("503 Slow Down", "SlowDown"),
                                       good,
                                       NULL};
    static const char *const denied[] = {LOOKED, ERROR_OF("403 No", "AccessDenied"), good, NULL};
    static const char *const long_one[] = {LOOKED, HEAD("200 OK") "\r\ngoods", good, NULL};
    static const char *const moved[] = {
        LOOKED,
        HEAD("301 Moved") "x-amz-bucket-region: eu-west-1\r\nLocation: http://127.0.0.1:1/"
                          "\r\n\r\n<Error><Code>PermanentRedirect</Code></Error>",
        good, NULL};
    struct work w;
    int n;

    CHECK_INT(against(&w, slow, 0, &n), ERR_OK);
    CHECK_INT(n, 4);
    CHECK_INT(against(&w, broken, 0, &n), ERR_OK);
    CHECK_INT(n, 4);
    CHECK_INT(against(&w, down, 0, &n), ERR_UNAVAILABLE);
    CHECK_INT(n, 4);
    CHECK(told(&w, "SlowDown"));
    CHECK_INT(against(&w, denied, 0, &n), ERR_UNAVAILABLE);
    CHECK_INT(n, 1);
    CHECK(told(&w, "the access key may not do this in the bucket (AccessDenied)"));
    CHECK_INT(against(&w, long_one, 0, &n), ERR_TOO_LARGE);
    CHECK_INT(n, 1);
    CHECK_INT(against(&w, moved, 0, &n), ERR_UNAVAILABLE);
    CHECK_INT(n, 1);
    CHECK(told(&w, "in another region: the server says \"eu-west-1\", the setting \"us-east-1\""));
}

/* S3 may find out only after the 200; and a second "end" finds the upload gone. */
static void ends_of_uploads(void)
{
    static const char begun[] = HEAD("200 OK") "\r\n<R><UploadId>u1</UploadId></R>";
    static const char part[] = HEAD("200 OK") "ETag: \"e\"\r\n\r\n";
    static const char gone[] = ERROR_OF("404 Not Found", "NoSuchUpload");
    static const char *const late_failure[] = {LOOKED,
                                               begun,
                                               part,
                                               part,
                                               ERROR_OF("200 OK", "InternalError"),
                                               HEAD("204 No Content") "\r\n",
                                               gone,
                                               NULL};
    static const char *const no_part[] = {
        LOOKED, begun, ERROR_OF("403 No", "AccessDenied"), HEAD("204 No Content") "\r\n",
        gone,   NULL};
    static const char *const not_ours[] = {LOOKED,
                                           begun,
                                           part,
                                           part,
                                           "",
                                           gone,
                                           HEAD("200 OK") "x-amz-meta-jumun-upload: other\r\n\r\n",
                                           gone,
                                           NULL};
    static const char there[] = HEAD("200 OK") "x-amz-meta-jumun-upload: MARK\r\n\r\n";
    static const char *const done_before[] = {LOOKED, begun, part, part, "", gone, there, NULL};
    /* libcurl itself asks again when a connection that was kept ends without a word. */
    static const char kept_part[] = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n"
                                    "ETag: \"e\"\r\nContent-Length: 0\r\n\r\n";
    static const char *const asked_again[] = {LOOKED, begun, part,  kept_part,
                                              "",     gone,  there, NULL};
    static const char *const never_there[] = {
        LOOKED, begun, part, part, gone, ERROR_OF("404 Not Found", "NoSuchKey"), gone, NULL};
    struct work w;
    int n;

    CHECK_INT(against(&w, late_failure, 9 * MIB, &n), ERR_UNAVAILABLE);
    CHECK(told(&w, "InternalError"));
    CHECK_INT(n, 6);
    CHECK_INT(against(&w, no_part, 9 * MIB, &n), ERR_UNAVAILABLE);
    CHECK(told(&w, "AccessDenied"));
    CHECK_INT(n, 4);
    CHECK_INT(against(&w, not_ours, 9 * MIB, &n), ERR_UNAVAILABLE);
    CHECK(told(&w, "ended without an object"));
    CHECK_INT(n, 7);
    CHECK_INT(against(&w, done_before, 9 * MIB, &n), ERR_OK);
    CHECK_INT(n, 6);
    CHECK_INT(against(&w, asked_again, 9 * MIB, &n), ERR_OK);
    CHECK_INT(n, 6);
    CHECK_INT(against(&w, never_there, 9 * MIB, &n), ERR_UNAVAILABLE);
    CHECK(told(&w, "ended without an object"));
    CHECK_INT(n, 6);
}

int main(void)
{
    keys = (struct blob_keys){STR("key"), STR("secret")};
    RUN(urls_refused);
    RUN(addresses);
    RUN(refused);
    RUN(deadlines);
    RUN(answers_that_pass);
    RUN(ends_of_uploads);
    return test_end();
}
