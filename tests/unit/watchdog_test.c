/* watchdog_test.c -- the supervisor hears from a process as long as its listeners are answered. */
#include "test.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "service/watchdog.h"

#define WATCHDOG_MS 2000

static sem_t entered, released;

static enum err hang(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    (void)rq, (void)cx;
    sem_post(&entered);
    while (sem_wait(&released) != 0)
        ;
    rp->status = 204;
    return ERR_OK;
}

static const struct route routes[] = {
    {HTTP_GET, "/v1/hang", ANYONE, hang, NULL, NULL, NULL, 0, 204, NULL, "", 0},
    {0},
};
static const struct service probe = {.name = "probe", .routes = routes};
static const struct service *const services[] = {&probe, NULL};

/* Where this process tells how it is. */
static int open_supervisor(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const struct timeval wait = {.tv_sec = WATCHDOG_MS / 1000};
    char name[64];
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    snprintf(name, sizeof name, "@watchdog_test.%d", (int)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    memcpy(at.sun_path + 1, name + 1, strlen(name) - 1);
    CHECK_INT(bind(fd, (const struct sockaddr *)&at,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
              0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

/* In the time that the supervisor gives. */
static bool is_heard(int fd)
{
    char got[64] = "";

    return recv(fd, got, sizeof got - 1, 0) > 0 && strcmp(got, "WATCHDOG=1") == 0;
}

static void forget_heard(int fd)
{
    char got[64];

    while (recv(fd, got, sizeof got, MSG_DONTWAIT) > 0)
        ;
}

static int request(int port)
{
    static const char text[] = "GET /v1/hang HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    CHECK_INT(send(fd, text, sizeof text - 1, 0), sizeof text - 1);
    return fd;
}

/* One of two workers that hangs is no silence; both are. */
static void a_listener_that_is_stuck(struct platform *p, int supervisor)
{
    int first = request(platform_port(p, 0));
    CHECK_INT(sem_wait(&entered), 0);
    usleep(WATCHDOG_MS * 1000);
    forget_heard(supervisor);
    CHECK(is_heard(supervisor));
    int second = request(platform_port(p, 0));
    CHECK_INT(sem_wait(&entered), 0);
    usleep(WATCHDOG_MS * 1000);
    forget_heard(supervisor);
    CHECK(!is_heard(supervisor));
    sem_post(&released);
    sem_post(&released);
    CHECK(is_heard(supervisor));
    close(first);
    close(second);
}

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void watched(void)
{
    char dir[] = "/tmp/watchdog_test.XXXXXX", number[32];
    struct platform *p;
    struct arena a;
    struct rng rng;
    struct ctx cx = {.arena = &a, .clock = &clock_system, .rng = &rng};
    struct watchdog w = {0};
    int supervisor = open_supervisor();

    arena_init(&a, 64u * 1024 * 1024);
    rng_init(&rng);
    CHECK(mkdtemp(dir) != NULL);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(dir),
                                             .listen = STR("127.0.0.1:0"),
                                             .threads = 2,
                                             .slow_threads = 1,
                                             .clock = &clock_system,
                                             .issuer = STR("http://localhost")};
    if (platform_start(&cx, &options, &p) != ERR_OK) {
        printf("Bail out! %s\n", cx.story.detail);
        exit(1);
    }
    static const char *const not_us[][2] = {{NULL, NULL}, {"2000000", "1"}, {"no", NULL}};
    for (size_t i = 0; i < COUNT_OF(not_us); i++) {
        if (not_us[i][0])
            setenv("WATCHDOG_USEC", not_us[i][0], 1);
        if (not_us[i][1])
            setenv("WATCHDOG_PID", not_us[i][1], 1);
        CHECK_INT(watchdog_start(&cx, p, &w), ERR_OK);
        CHECK(!w.ticker.runs);
        watchdog_stop(&w);
        unsetenv("WATCHDOG_PID");
    }
    snprintf(number, sizeof number, "%d", WATCHDOG_MS * 1000);
    setenv("WATCHDOG_USEC", number, 1);
    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("WATCHDOG_PID", number, 1);
    CHECK_INT(watchdog_start(&cx, p, &w), ERR_OK);
    CHECK(is_heard(supervisor));
    a_listener_that_is_stuck(p, supervisor);
    watchdog_stop(&w);
    platform_stop(p, 2000);
    close(supervisor);
    nftw(dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    arena_release(&a);
}

int main(void)
{
    sem_init(&entered, 0, 0);
    sem_init(&released, 0, 0);
    RUN(watched);
    return test_end();
}
