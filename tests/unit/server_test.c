/* server_test.c -- the HTTP server and event streams over real sockets on a free port. */
#include "net/server.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "test.h"

#define BIG (8u * 1024 * 1024)

static struct server *server;
static struct sse_hub *hub;
static char *big;
static _Atomic int handled;

static void answer_text(struct exchange *x, int status, struct str text)
{
    const struct http_answer a = {
        .status = status, .content_type = STR("text/plain"), .body = text};

    exchange_finish(x, &a);
}

static void echo(struct exchange *x)
{
    const struct http_head *h = exchange_head(x);
    struct buf b;

    buf_init_arena(&b, exchange_arena(x), 2 << 20);
    buf_printf(&b, "%s %.*s [", http_method_names[h->method], STR_ARG(h->target));
    buf_str_add(&b, exchange_body(x));
    buf_char(&b, ']');
    answer_text(x, 200, buf_str(&b));
}

static void *finish_later(void *arg)
{
    usleep(20000);
    echo(arg);
    return NULL;
}

/* Finishes while the handler's call may or may not have returned. */
static void *finish_now(void *arg)
{
    echo(arg);
    return NULL;
}

static void hand_to_thread(struct exchange *x, void *(*finish)(void *))
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, finish, x) != 0)
        abort();
    pthread_detach(thread);
}

static struct uuid key_of(int n)
{
    struct uuid u = {{0}};

    u.b[0] = (unsigned char)n;
    return u;
}

static struct uuid stream_owner; /* nil: nobody counts */
static struct uuid stream_session;
static _Atomic int session_over; /* the first byte of the session that is over; 0: none */

static bool is_over(void *arg, struct uuid session, int64_t since_us)
{
    return arg == &session_over && since_us == 77 && session.b[0] != 0 &&
           session.b[0] == session_over;
}

static _Atomic int64_t replayed = 5;

/* Event 6 is published between reservation and stream; the replay ends with 5. */
static void stream(struct exchange *x)
{
    struct sse_slot *slot = sse_reserve(hub, key_of(1), stream_owner);

    if (!slot) {
        answer_text(x, 503, STR("full"));
        return;
    }
    sse_publish(hub, key_of(1), 5, STR("e"), STR("in the replay"));
    sse_publish(hub, key_of(1), 6, STR("e"), STR("meanwhile"));
    sse_publish(hub, key_of(2), 7, STR("e"), STR("another key"));
    sse_belongs_to(slot, stream_session, 77);
    exchange_stream(x, slot, NULL, 0, STR("id: 5\ndata: replay\n\n"), replayed);
}

static void handle(void *arg, struct exchange *x)
{
    struct str path = exchange_head(x)->path;

    (void)arg;
    handled++;
    if (str_eq(path, STR("/later")))
        hand_to_thread(x, finish_later);
    else if (str_eq(path, STR("/now")))
        hand_to_thread(x, finish_now);
    else if (str_eq(path, STR("/big")))
        answer_text(x, 200, (struct str){big, BIG});
    else if (str_eq(path, STR("/stream")))
        stream(x);
    else if (str_eq(path, STR("/nothing")))
        exchange_finish(x, &(struct http_answer){.status = 204});
    else
        echo(x);
}

static size_t body_max(void *arg, const struct http_head *head)
{
    (void)arg;
    return str_eq(head->path, STR("/small")) ? 10 : HTTP_BODY_MAX;
}

static void begin(int connections_max)
{
    static const struct clock clock;
    struct arena arena;
    const struct server_options options = {.address = "127.0.0.1:0",
                                           .threads = 2,
                                           .connections_max = connections_max,
                                           .name = "test",
                                           .handle = handle,
                                           .body_max = body_max};

    arena_init(&arena, 1 << 20);
    struct ctx cx = {.arena = &arena, .clock = &clock};
    hub = sse_hub_open(200, 3);
    if (!hub || server_start(&cx, &options, &server) != ERR_OK)
        abort();
    sse_sessions(hub, is_over, &session_over);
    arena_release(&arena);
}

static void end(void)
{
    server_stop(server, 5000);
    sse_hub_close(hub);
}

static int dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)server_port(server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {15, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void say(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes += sent;
        n -= (size_t)sent;
    }
}

static void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

/* Reads until `count` times `mark` is there, or the end. True: it was there. */
static bool hear_until(int fd, struct buf *b, const char *mark, int count)
{
    for (;;) {
        const char *at = b->p;
        int found = 0;
        while (b->n && (at = memmem(at, b->n - (size_t)(at - b->p), mark, strlen(mark)))) {
            found++;
            at++;
        }
        if (found >= count)
            return true;
        char chunk[4096];
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0)
            return false;
        buf_add(b, chunk, (size_t)n);
    }
}

/* Everything until the server closes; -1 when it did not. Status of the first answer. */
static int hear_all(int fd, struct buf *b)
{
    char chunk[65536];
    ssize_t n;

    while ((n = recv(fd, chunk, sizeof chunk, 0)) > 0)
        buf_add(b, chunk, (size_t)n);
    if (n < 0 || b->n < 12)
        return -1;
    return (b->p[9] - '0') * 100 + (b->p[10] - '0') * 10 + (b->p[11] - '0');
}

static int times(const struct buf *b, const char *what)
{
    int n = 0;
    size_t size = strlen(what);

    for (size_t i = 0; i + size <= b->n; i++)
        n += memcmp(b->p + i, what, size) == 0;
    return n;
}

static bool contains(const struct buf *b, const char *what)
{
    return times(b, what) > 0;
}

/* One connection, these bytes, until it closes. */
static int whole(const char *bytes, struct buf *b)
{
    int fd = dial();

    buf_clear(b);
    say_text(fd, bytes);
    int status = hear_all(fd, b);
    close(fd);
    return status;
}

static struct buf heard;

static void test_answers(void)
{
    CHECK_INT(whole("GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", &heard), 200);
    CHECK(contains(&heard, "\r\nContent-Length: 11\r\n"));
    CHECK(contains(&heard, "\r\nConnection: close\r\n"));
    CHECK(contains(&heard, "\r\nDate: "));
    CHECK(contains(&heard, "\r\n\r\nGET /a?b []"));
    CHECK_INT(whole("HEAD /a HTTP/1.0\r\n\r\n", &heard), 200);
    CHECK(contains(&heard, "\r\nContent-Length: 10\r\n"));
    CHECK(!contains(&heard, "HEAD /a"));
    CHECK_INT(whole("GET /nothing HTTP/1.0\r\n\r\n", &heard), 204);
    CHECK(!contains(&heard, "Content-Length"));
    CHECK_INT(whole("\r\n\r\nGET / HTTP/1.0\r\n\r\n", &heard), 200);
}

static void test_keep_alive(void)
{
    int fd = dial();

    for (int i = 0; i < 3; i++) {
        buf_clear(&heard);
        say_text(fd, "POST /k HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        CHECK(hear_until(fd, &heard, "POST /k [hi]", 1));
        CHECK(!contains(&heard, "Connection: close"));
    }
    close(fd);
    fd = dial();
    buf_clear(&heard);
    say_text(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(hear_until(fd, &heard, "GET / []", 1));
    CHECK(contains(&heard, "Connection: keep-alive"));
    close(fd);
}

/* More than one turn's worth, of every kind, in order. */
static void test_pipelining(void)
{
    static const char *const paths[] = {"/a", "/later", "/b", "/now", "/c"};
    struct buf out, expected;

    buf_init(&out, 1 << 20);
    buf_init(&expected, 1 << 20);
    for (int i = 0; i < 150; i++) {
        const char *path = paths[i % 5];
        if (i % 3)
            buf_printf(&out, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%03d", path,
                       i);
        else
            buf_printf(&out,
                       "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "1\r\n%d\r\n2\r\n%02d\r\n0\r\n\r\n",
                       path, i / 100, i % 100);
        buf_printf(&expected, "POST %s [%03d]", path, i);
    }
    buf_lit(&out, "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    buf_lit(&expected, "GET /end []");
    int fd = dial();
    buf_clear(&heard);
    say(fd, out.p, out.n);
    CHECK_INT(hear_all(fd, &heard), 200);
    close(fd);
    /* Bodies one after the other, without the heads between them. */
    struct str rest = buf_str(&heard);
    struct buf bodies;
    buf_init(&bodies, 1 << 20);
    const char *head_end;
    while ((head_end = memmem(rest.p, rest.n, "\r\n\r\n", 4))) {
        const char *body = head_end + 4;
        const char *stop = memchr(body, ']', rest.n - (size_t)(body - rest.p));
        if (!stop)
            break;
        buf_add(&bodies, body, (size_t)(stop + 1 - body));
        rest.n -= (size_t)(stop + 1 - rest.p);
        rest.p = stop + 1;
    }
    CHECK_INT(rest.n, 0);
    CHECK(str_eq(buf_str(&bodies), buf_str(&expected)));
    buf_release(&out);
    buf_release(&expected);
    buf_release(&bodies);
}

static void test_split_at_every_byte(void)
{
    static const char *const requests[] = {
        "POST /s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "POST /s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nhe\r\n3;x\r\nllo\r\n0\r\nT: u\r\n\r\n",
    };
    for (size_t r = 0; r < COUNT_OF(requests); r++) {
        size_t n = strlen(requests[r]);
        bool same = true;
        for (size_t cut = 1; cut < n; cut++) {
            int fd = dial();
            buf_clear(&heard);
            say(fd, requests[r], cut);
            usleep(300);
            say(fd, requests[r] + cut, n - cut);
            same &= hear_all(fd, &heard) == 200 && contains(&heard, "POST /s [hello]") &&
                    times(&heard, "HTTP/1.1 ") == 1;
            close(fd);
        }
        CHECK(same);
    }
}

static void test_refusals_close(void)
{
    static const struct {
        int status;
        const char *bytes;
    } cases[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400,
         "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"},
        {413, "POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"},
        {413, "POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n"},
        {417, "POST / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n"},
        {501, "BREW / HTTP/1.1\r\nHost: x\r\n\r\n"},
        {505, "GET / HTTP/3.0\r\nHost: x\r\n\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf bytes;
        int before = handled;
        buf_init(&bytes, 10000);
        buf_printf(&bytes, "%sGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n", cases[i].bytes);
        buf_char(&bytes, '\0');
        CHECK_INT(whole(bytes.p, &heard), cases[i].status);
        CHECK_INT(times(&heard, "HTTP/1.1 "), 1);
        CHECK(contains(&heard, "Connection: close"));
        CHECK(contains(&heard, "A body may have at most 10 bytes here.") ==
              (cases[i].status == 413));
        CHECK_INT(handled, before);
        buf_release(&bytes);
    }
}

static void test_expect_continue(void)
{
    int fd = dial();

    buf_clear(&heard);
    say_text(fd, "POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n"
                 "Expect: 100-continue\r\n\r\n");
    CHECK(hear_until(fd, &heard, "HTTP/1.1 100 Continue\r\n\r\n", 1));
    say_text(fd, "ok");
    CHECK(hear_until(fd, &heard, "POST /e [ok]", 1));
    close(fd);
    /* Too large: no invitation. */
    CHECK_INT(whole("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n"
                    "Expect: 100-continue\r\n\r\n",
                    &heard),
              413);
}

static void test_large_bodies(void)
{
    struct buf out;

    buf_init(&out, 2 << 20);
    buf_printf(&out,
               "POST /l HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
               HTTP_BODY_MAX);
    for (size_t i = 0; i < HTTP_BODY_MAX; i++)
        buf_char(&out, 'z');
    int fd = dial();
    buf_clear(&heard);
    say(fd, out.p, out.n);
    CHECK_INT(hear_all(fd, &heard), 200);
    CHECK(heard.n > HTTP_BODY_MAX && contains(&heard, "zz]"));
    close(fd);
    buf_release(&out);
    /* An answer that the socket does not take at once. */
    fd = dial();
    buf_clear(&heard);
    say_text(fd, "GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    usleep(100000);
    CHECK_INT(hear_all(fd, &heard), 200);
    CHECK(heard.n > BIG && heard.n < BIG + 400);
    CHECK(heard.p[heard.n - 1] == 'B');
    close(fd);
}

static int64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

/* Who has said that nothing more comes, and does not read, is waited for as anybody else is. */
static void test_half_closed_reader(void)
{
    int fd = dial();

    buf_clear(&heard);
    say_text(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    shutdown(fd, SHUT_WR);
    usleep(100000);
    int64_t before_us = cpu_us();
    usleep(500000);
    CHECK(cpu_us() - before_us < 100 * US_PER_MS);
    CHECK_INT(hear_all(fd, &heard), 200);
    CHECK(heard.n > BIG && heard.p[heard.n - 1] == 'B');
    close(fd);
}

static void test_too_many_connections(void)
{
    int fds[4];

    for (int i = 0; i < 4; i++)
        fds[i] = dial();
    for (int i = 0; i < 4; i++) {
        buf_clear(&heard);
        say_text(fds[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        CHECK(hear_until(fds[i], &heard, "GET / []", 1));
    }
    int fd = dial();
    buf_clear(&heard);
    CHECK_INT(hear_all(fd, &heard), 503);
    CHECK(contains(&heard, "Retry-After: 1"));
    close(fd);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    usleep(50000);
    CHECK_INT(whole("GET / HTTP/1.0\r\n\r\n", &heard), 200);
}

static bool wait_for_streams(size_t n)
{
    for (int i = 0; i < 500 && sse_streams(hub) != n; i++) {
        sse_publish(hub, key_of(1), 1, STR("e"), STR("old"));
        usleep(10000);
    }
    return sse_streams(hub) == n;
}

static int open_stream(void)
{
    int fd = dial();

    buf_clear(&heard);
    say_text(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(hear_until(fd, &heard, "meanwhile\n\n", 1));
    return fd;
}

static void test_stream(void)
{
    int fd = open_stream();

    CHECK(contains(&heard, "\r\nContent-Type: text/event-stream\r\n"));
    CHECK(!contains(&heard, "in the replay") && !contains(&heard, "another key"));
    sse_publish(hub, key_of(1), 6, STR("e"), STR("meanwhile once more"));
    sse_publish(hub, key_of(2), 8, STR("e"), STR("not ours"));
    sse_publish(hub, key_of(1), 7, STR("status"), STR("{\"a\":1}"));
    CHECK(hear_until(fd, &heard, "id: 7\nevent: status\ndata: {\"a\":1}\n\n", 1));
    CHECK(contains(&heard, "id: 5\ndata: replay\n\nid: 6\nevent: e\ndata: meanwhile\n\n"));
    CHECK(!contains(&heard, "not ours") && !contains(&heard, "once more"));
    CHECK(hear_until(fd, &heard, ": still here\n\n", 2));
    CHECK_INT(sse_streams(hub), 1);
    close(fd);
    CHECK(wait_for_streams(0));
}

static void test_stream_of_a_session(void)
{
    int fds[3];

    for (int i = 0; i < 3; i++) {
        stream_session = key_of(i); /* the first: of none */
        fds[i] = open_stream();
    }
    stream_session = key_of(0);
    CHECK(hear_until(fds[2], &heard, ": still here\n\n", 1));
    session_over = 2;
    CHECK(!hear_until(fds[2], &heard, "never said", 1)); /* until it is closed */
    CHECK_INT(sse_streams(hub), 2);
    buf_clear(&heard);
    CHECK(hear_until(fds[0], &heard, ": still here\n\n", 2));
    buf_clear(&heard);
    CHECK(hear_until(fds[1], &heard, ": still here\n\n", 2));
    session_over = 0;
    close(fds[2]);
    close(fds[1]);
    close(fds[0]);
    CHECK(wait_for_streams(0));
}

/* A number is missing: the one that has all before it goes on, the other comes back for it. */
static void test_stream_that_would_miss_something(void)
{
    int all = open_stream(), behind;
    int64_t after = 0;

    CHECK(!sse_behind(hub, key_of(1), 7, &after));
    sse_publish(hub, key_of(1), 7, STR("e"), STR("seven"));
    CHECK(hear_until(all, &heard, "seven\n\n", 1));
    behind = open_stream(); /* its replay was read before seven was there */
    CHECK(sse_behind(hub, key_of(1), 8, &after));
    CHECK_INT(after, 6);
    CHECK(!sse_behind(hub, key_of(2), 8, &after));
    sse_publish(hub, key_of(1), 8, STR("e"), STR("eight"));
    buf_clear(&heard);
    CHECK_INT(hear_all(behind, &heard), -1); /* closed */
    CHECK(!contains(&heard, "eight"));
    CHECK(hear_until(all, &heard, "eight\n\n", 1));
    replayed = 4; /* what came meanwhile follows it */
    buf_clear(&heard);
    behind = dial();
    say_text(behind, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(hear_until(behind, &heard, "in the replay\n\n", 1));
    replayed = 3;
    int early = dial();
    buf_clear(&heard);
    say_text(early, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(hear_all(early, &heard), 200); /* four is missing: closed as it begins */
    CHECK(contains(&heard, "replay") && !contains(&heard, "meanwhile"));
    replayed = 5;
    close(early);
    close(behind);
    close(all);
    CHECK(wait_for_streams(0));
}

/* 64 KiB behind, beyond what the sockets hold: cut, and the others go on. */
static void test_slow_reader(void)
{
    int slow = open_stream(), fast = open_stream();
    static char filler[4097];

    memset(filler, 'f', 4096);
    int64_t id = 6;
    while (id < 5000 && sse_streams(hub) == 2) {
        sse_publish(hub, key_of(1), ++id, STR("e"), (struct str){filler, 4096});
        buf_clear(&heard);
        if (!hear_until(fast, &heard, "\n\n", 1))
            break;
    }
    CHECK_INT(sse_streams(hub), 1);
    sse_publish(hub, key_of(1), id + 1, STR("e"), STR("the fast one lives"));
    CHECK(hear_until(fast, &heard, "the fast one lives", 1));
    close(fast);
    close(slow);
    CHECK(wait_for_streams(0));
}

/* The fourth of one owner closes the first; others have their own three. */
static void test_streams_of_one_owner(void)
{
    int fds[4], other;

    stream_owner = key_of(8);
    other = open_stream();
    stream_owner = key_of(9);
    for (int i = 0; i < 3; i++)
        fds[i] = open_stream();
    CHECK_INT(sse_streams(hub), 4);
    fds[3] = open_stream();
    buf_clear(&heard);
    CHECK_INT(hear_all(fds[0], &heard), -1);
    sse_publish(hub, key_of(1), 7, STR("e"), STR("to the rest"));
    for (int i = 1; i < 4; i++) {
        buf_clear(&heard);
        CHECK(hear_until(fds[i], &heard, "to the rest\n\n", 1));
    }
    buf_clear(&heard);
    CHECK(hear_until(other, &heard, "to the rest\n\n", 1));
    close(fds[2]); /* who leaves makes room */
    for (int i = 0; i < 500 && sse_streams(hub) != 3; i++) {
        sse_publish(hub, key_of(1), 1, STR("e"), STR("old"));
        usleep(10000);
    }
    close(fds[0]);
    fds[0] = open_stream();
    CHECK_INT(sse_streams(hub), 4);
    sse_publish(hub, key_of(1), 7, STR("e"), STR("to the newest"));
    sse_publish(hub, key_of(1), 8, STR("e"), STR("nobody was closed"));
    buf_clear(&heard);
    CHECK(hear_until(fds[1], &heard, "nobody was closed\n\n", 1));
    close(other);
    for (int i = 0; i < 4; i++)
        if (i != 2)
            close(fds[i]);
    stream_owner = (struct uuid){{0}};
    CHECK(wait_for_streams(0));
}

static void *publish_much(void *arg)
{
    (void)arg;
    for (int64_t id = 7; id < 20000; id++) {
        replayed = id; /* committed, then published */
        sse_publish(hub, key_of(1), id, STR("e"), STR("x"));
    }
    replayed = 5;
    return NULL;
}

/* Streams begin, end and are fed at the same time. */
static void test_streams_come_and_go(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, publish_much, NULL) != 0)
        abort();
    for (int i = 0; i < 100; i++) {
        int fd = dial();
        say_text(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        if (i % 3) {
            buf_clear(&heard);
            hear_until(fd, &heard, "replay", 1);
        }
        close(fd);
    }
    pthread_join(thread, NULL);
    CHECK(wait_for_streams(0));
}

static void *stop_server(void *arg)
{
    (void)arg;
    server_stop(server, 5000);
    return NULL;
}

static void test_drain(void)
{
    int streaming = open_stream(), idle = dial(), busy = dial(), fresh;
    pthread_t thread;

    buf_clear(&heard);
    say_text(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(hear_until(idle, &heard, "GET / []", 1));
    int before = handled;
    say_text(busy, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    while (handled == before)
        usleep(100);
    fresh = dial(); /* its request is on the way */
    if (pthread_create(&thread, NULL, stop_server, NULL) != 0)
        abort();
    usleep(20000);
    say_text(fresh, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    buf_clear(&heard);
    CHECK_INT(hear_all(fresh, &heard), 200);
    CHECK(contains(&heard, "Connection: close") && contains(&heard, "GET /late []"));
    close(fresh);
    buf_clear(&heard);
    CHECK_INT(hear_all(busy, &heard), 200);
    CHECK(contains(&heard, "Connection: close") && contains(&heard, "GET /later []"));
    buf_clear(&heard);
    CHECK_INT(hear_all(idle, &heard), -1); /* closed without a word */
    CHECK_INT(heard.n, 0);
    CHECK_INT(hear_all(streaming, &heard), -1);
    close(streaming);
    close(idle);
    close(busy);
    pthread_join(thread, NULL);
    sse_hub_close(hub);
}

/* These wait for deadlines of seconds, so they run beside the other tests. */
static int slow_head, slow_body, silent;

static void begin_slow_clients(void)
{
    slow_head = dial();
    say_text(slow_head, "GET / HTTP/1.1\r\nHost");
    slow_body = dial();
    say_text(slow_body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nfour");
    silent = dial();
}

static void test_slow_clients(void)
{
    buf_clear(&heard);
    CHECK_INT(hear_all(slow_head, &heard), 408);
    buf_clear(&heard);
    CHECK_INT(hear_all(slow_body, &heard), 408);
    buf_clear(&heard);
    CHECK_INT(hear_all(silent, &heard), -1);
    CHECK_INT(heard.n, 0);
    close(slow_head);
    close(slow_body);
    close(silent);
}

int main(void)
{
    buf_init(&heard, 64 << 20);
    big = malloc(BIG);
    memset(big, 'B', BIG);
    begin(0);
    begin_slow_clients();
    RUN(test_answers);
    RUN(test_keep_alive);
    RUN(test_pipelining);
    RUN(test_split_at_every_byte);
    RUN(test_refusals_close);
    RUN(test_expect_continue);
    RUN(test_large_bodies);
    RUN(test_half_closed_reader);
    RUN(test_stream);
    RUN(test_stream_of_a_session);
    RUN(test_stream_that_would_miss_something);
    RUN(test_slow_reader);
    RUN(test_streams_of_one_owner);
    RUN(test_streams_come_and_go);
    RUN(test_slow_clients);
    end();
    begin(4);
    RUN(test_too_many_connections);
    end();
    begin(0);
    RUN(test_drain);
    buf_release(&heard);
    free(big);
    return test_end();
}
