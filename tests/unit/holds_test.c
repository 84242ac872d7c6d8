/* holds_test.c -- a store that stops while the order service, in another process, says nothing. */
#include "test.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "security/service_keys.h"
#include "service/platform.h"
#include "store/stock.h"

#define HOLDS 5
#define ONE_CALL_US (3 * US_PER_S)

static const struct service *const services[] = {&store_service, NULL};

static struct {
    struct arena arena;
    struct rng rng;
    struct ctx cx;
    struct platform *p;
    char dir[64], keys[80], peers[64];
    int silent; /* listens: the kernel takes connections and requests, nobody answers */
} w;

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void listen_silently(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;

    w.silent = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(w.silent, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(listen(w.silent, 16) == 0);
    CHECK(getsockname(w.silent, (struct sockaddr *)&at, &size) == 0);
    snprintf(w.peers, sizeof w.peers, "order=http://127.0.0.1:%d", ntohs(at.sin_port));
}

static void start(int threads)
{
    const struct platform_options options = {.services = services,
                                             .apart = true,
                                             .peers = str_from(w.peers),
                                             .service_keys = str_from(w.keys),
                                             .data_dir = str_from(w.dir),
                                             .threads = threads,
                                             .clock = &clock_system,
                                             .issuer = STR("http://test")};

    if (platform_start(&w.cx, &options, &w.p) != ERR_OK) {
        printf("Bail out! %s\n", w.cx.story.detail);
        exit(1);
    }
}

static void setup(void)
{
    bool made;

    arena_init(&w.arena, 64u << 20);
    rng_init(&w.rng);
    w.cx = (struct ctx){.arena = &w.arena, .clock = &clock_system, .rng = &w.rng};
    snprintf(w.dir, sizeof w.dir, "/tmp/holds_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    snprintf(w.keys, sizeof w.keys, "%s/keys", w.dir);
    CHECK_INT(service_keys_make(&w.cx, w.keys, STR("store"), &made), ERR_OK);
    listen_silently();
}

/* Some that are to be asked about, and the job is due. */
static void hold_some(void)
{
    struct ctx cx;

    platform_ctx(w.p, platform_service(w.p, "store"), &w.arena, &cx);
    CHECK_INT(db_begin(&cx), ERR_OK);
    for (int i = 0; i < HOLDS; i++)
        CHECK_INT(db_exec(&cx,
                          "insert into reservations (reservation_id, order_id, store_id, state,"
                          " created_at, changed_at) values ($1, $1, $1, 'HELD', $2, $2)",
                          ARGS(db_uuid(ctx_uuid(&cx)), db_int(ctx_now(&cx) - US_PER_HOUR))),
                  ERR_OK);
    CHECK_INT(db_exec(&cx,
                      "insert into jobs (name, due_us, lease_until) values ('store.holds', 1, 0)",
                      NO_ARGS),
              ERR_OK);
    CHECK_INT(db_commit(&cx), ERR_OK);
    CHECK_INT(db_durable(&cx), ERR_OK);
}

static void a_silent_order_service_holds_up_no_stop(void)
{
    start(0);
    hold_some();
    platform_stop(w.p, 0);
    start(1);
    struct pollfd asked = {.fd = w.silent, .events = POLLIN};
    CHECK_INT(poll(&asked, 1, 10000), 1);
    int64_t begun_us = clock_monotonic_us();
    platform_stop(w.p, 0);
    CHECK(clock_monotonic_us() - begun_us < 2 * ONE_CALL_US);
}

int main(void)
{
    setup();
    RUN(a_silent_order_service_holds_up_no_stop);
    close(w.silent);
    arena_release(&w.arena);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    return test_end();
}
