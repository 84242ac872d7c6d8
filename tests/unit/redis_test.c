/* redis_test.c -- the Redis driver against a server that says what a real one seldom says. */
#include "test.h"

#include "cache/cache.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAKEN "*3\r\n:1\r\n:777\r\n:0\r\n" /* what no count of this process would be */
#define OK "+OK\r\n"

/* The answer to that command of that connection, both from 1: "" is none, and after one that begins
 * with "!" the connection is closed. */
typedef const char *(*script)(int connection, int command);

struct fake {
    int listener;
    script says;
    pthread_t thread;
    atomic_int connections, open;
    char url[128], seen[4096]; /* all that the first connection said */
};

struct talk {
    struct fake *fake;
    int fd, connection;
};

static struct arena arena;
static struct ctx cx;

/* A command is one write of the driver's, and is small. */
static void *talk_main(void *arg)
{
    struct talk t = *(struct talk *)arg;
    char text[4096];
    ssize_t n;

    free(arg);
    for (int command = 1; (n = recv(t.fd, text, sizeof text - 1, 0)) > 0; command++) {
        text[n] = '\0';
        if (t.connection == 1 && strlen(t.fake->seen) + (size_t)n < sizeof t.fake->seen)
            strncat(t.fake->seen, text, (size_t)n);
        const char *answer = t.fake->says(t.connection, command);
        bool last = answer[0] == '!';
        (void)send(t.fd, answer + last, strlen(answer + last), MSG_NOSIGNAL);
        if (last)
            break;
    }
    close(t.fd);
    t.fake->open--;
    return NULL;
}

static void *fake_main(void *arg)
{
    struct fake *f = arg;
    pthread_t thread;

    for (int fd; (fd = accept(f->listener, NULL, NULL)) >= 0;) {
        struct talk *t = malloc(sizeof *t);
        *t = (struct talk){f, fd, ++f->connections};
        f->open++;
        if (pthread_create(&thread, NULL, talk_main, t) != 0)
            abort();
        pthread_detach(thread);
    }
    return NULL;
}

static struct cache *begin(struct fake *f, const char *who, script says)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    struct cache *c = NULL;

    arena_reset(&arena);
    cx = (struct ctx){.arena = &arena, .clock = &clock_system};
    memset(f, 0, sizeof *f);
    f->says = says;
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (f->listener < 0 || bind(f->listener, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(f->listener, 16) != 0 || getsockname(f->listener, (struct sockaddr *)&at, &n) != 0 ||
        pthread_create(&f->thread, NULL, fake_main, f) != 0)
        abort();
    snprintf(f->url, sizeof f->url, "redis://%s127.0.0.1:%d/3", who, ntohs(at.sin_port));
    CHECK_INT(cache_open(&cx, f->url, 1u << 20, &c), ERR_OK);
    return c;
}

static void end(struct fake *f, struct cache *c)
{
    cache_close(c);
    (void)shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    while (f->open)
        usleep(1000);
}

/* What is left of a hundred, as somebody says. */
static int left_of(struct cache *c)
{
    int left = 0;
    int64_t retry_ms;

    CHECK(cache_take(&cx, c, STR("ip"), 100, 60000, &left, &retry_ms));
    return left;
}

static const char *demoted(int connection, int command)
{
    return command == 1      ? OK /* SELECT */
           : connection == 1 ? "-READONLY You can't write against a read only replica.\r\n"
                             : TAKEN;
}

/* After a failover the name leads to another server; the connections lead to the old one. */
static void a_server_that_refuses_is_left(void)
{
    struct fake f;
    struct cache *c = begin(&f, "", demoted);
    int64_t until_us = clock_monotonic_us() + 5 * US_PER_S;

    CHECK_INT(left_of(c), 99); /* by this process */
    CHECK(!cache_answers(c));
    int left = 0;
    while (left != 777 && clock_monotonic_us() < until_us) {
        usleep(50000);
        left = left_of(c);
    }
    CHECK_INT(left, 777);
    CHECK_INT(f.connections, 2);
    end(&f, c);
}

static const char *tired(int connection, int command)
{
    return command == 1 ? OK : connection == 1 ? "!" TAKEN : TAKEN;
}

/* The server closes what nobody uses, or was started again: it is there all the time. */
static void a_connection_that_was_closed_in_the_pool_costs_nothing(void)
{
    struct fake f;
    struct cache *c = begin(&f, "", tired);

    CHECK_INT(left_of(c), 777);
    while (f.open)
        usleep(1000);
    CHECK_INT(left_of(c), 777);
    CHECK_INT(left_of(c), 777);
    CHECK_INT(f.connections, 2);
    end(&f, c);
}

static const char *silent(int connection, int command)
{
    return connection == 1 && command == 1 ? OK : "";
}

static void *take_main(void *arg)
{
    struct ctx own = {.clock = &clock_system};
    struct arena memory;
    int64_t retry_ms;
    int left;

    arena_init(&memory, 1u << 20);
    own.arena = &memory;
    (void)cache_take(&own, arg, STR("ip"), 100, 60000, &left, &retry_ms);
    arena_release(&memory);
    return NULL;
}

static void one_looks_whether_it_is_back(void)
{
    struct fake f;
    struct cache *c = begin(&f, "", silent);
    pthread_t threads[8];

    CHECK_INT(left_of(c), 99);
    usleep(1050000); /* so long nobody asks */
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        if (pthread_create(&threads[i], NULL, take_main, c) != 0)
            abort();
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(f.connections, 2);
    end(&f, c);
}

static const char *friendly(int connection, int command)
{
    (void)connection;
    return command <= 2 ? OK : TAKEN; /* AUTH, SELECT */
}

static void check_sign_in(const char *who, const char *auth)
{
    struct fake f;
    struct cache *c = begin(&f, who, friendly);

    CHECK_INT(left_of(c), 777);
    end(&f, c);
    if (!strstr(f.seen, auth))
        printf("# it said: %.80s\n", f.seen);
    CHECK(strstr(f.seen, auth) == f.seen);
    CHECK(strstr(f.seen, "SELECT\r\n$1\r\n3\r\n") != NULL);
}

static void passwords_may_hold_anything(void)
{
    check_sign_in(":plain@", "*2\r\n$4\r\nAUTH\r\n$5\r\nplain\r\n");
    check_sign_in("jumun:a%40b%2fc%25@", "*3\r\n$4\r\nAUTH\r\n$5\r\njumun\r\n$6\r\na@b/c%\r\n");
    check_sign_in(":a@b:c/d e@", "*2\r\n$4\r\nAUTH\r\n$9\r\na@b:c/d e\r\n");
    check_sign_in(":100%or%2@", "*2\r\n$4\r\nAUTH\r\n$8\r\n100%or%2\r\n");
}

static const char *no_auth(int connection, int command)
{
    (void)connection, (void)command;
    return "-ERR unknown command 'AUTH', with args beginning with: 'geheim' \r\n";
}

static void doctor_tells_no_password(void)
{
    struct fake f;
    struct cache *c = begin(&f, ":geheim@", no_auth);
    struct str is = STR_NONE;

    CHECK_INT(cache_probe(&cx, f.url, &is), ERR_UNAVAILABLE);
    CHECK(strstr(cx.story.detail, "unknown command 'AUTH'") != NULL);
    CHECK(strstr(cx.story.detail, "geheim") == NULL);
    end(&f, c);
}

int main(void)
{
    arena_init(&arena, 16u << 20);
    RUN(a_server_that_refuses_is_left);
    RUN(a_connection_that_was_closed_in_the_pool_costs_nothing);
    RUN(one_looks_whether_it_is_back);
    RUN(passwords_may_hold_anything);
    RUN(doctor_tells_no_password);
    arena_release(&arena);
    return test_end();
}
