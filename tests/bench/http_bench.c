/*
 * http_bench.c -- the cost of parsing a head, then a server with a fixed answer for a load
 * generator.
 *
 * http_bench [SECONDS [THREADS]]: with seconds it serves 100 bytes of JSON on a free port, prints
 * "port N", and at the end what a request cost in CPU time. tools/bench-parts drives it with wrk.
 */
#include "net/server.h"

#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#define ROUNDS 1000000

static const char head[] =
    "GET /v1/stores/019b76da-a800-7005-8000-000100000000/menu?limit=20 HTTP/1.1\r\n"
    "Host: jumun.example\r\nUser-Agent: Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36\r\n"
    "Accept: application/json\r\nAccept-Language: ko-KR,ko;q=0.9\r\nAccept-Encoding: gzip, br\r\n"
    "Authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    "Connection: keep-alive\r\n\r\n";

static atomic_llong answered;

static double cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec * 1e6 + (double)u.ru_utime.tv_usec +
           (double)u.ru_stime.tv_sec * 1e6 + (double)u.ru_stime.tv_usec;
}

static void parse(void)
{
    struct str bytes = {head, sizeof(head) - 1};
    static struct http_head h;

    double start = cpu_us();
    for (int i = 0; i < ROUNDS; i++)
        if (http_head_parse(bytes, &h) != 1)
            abort();
    double each = (cpu_us() - start) / ROUNDS;
    printf("head of %zu bytes, %zu fields: %.2f us, %.0f MB/s\n", bytes.n, h.n_fields, each,
           (double)bytes.n / each);
}

static void handle(void *arg, struct exchange *x)
{
    static const struct http_answer answer = {
        .status = 200,
        .content_type = {"application/json", 16},
        .body = {"{\"orderId\":\"019b76da-a800-7010-8000-000000000001\",\"status\":\"PAID\","
                 "\"totalWon\":108000,\"waitMs\":123456}",
                 100},
    };

    (void)arg;
    atomic_fetch_add_explicit(&answered, 1, memory_order_relaxed);
    exchange_finish(x, &answer);
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct rng rng;
    struct server *server;
    int seconds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    struct server_options options = {.address = "127.0.0.1:0",
                                     .threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 4,
                                     .name = "bench",
                                     .handle = handle};

    if (seconds <= 0) {
        parse();
        return 0;
    }
    arena_init(&arena, 1u << 20);
    rng_init(&rng);
    struct ctx cx = {.arena = &arena, .clock = &clock_system, .rng = &rng};
    if (server_start(&cx, &options, &server) != ERR_OK) {
        fprintf(stderr, "%s\n", cx.story.detail);
        return 1;
    }
    printf("port %d\n", server_port(server));
    fflush(stdout);
    double start = cpu_us();
    sleep((unsigned)seconds);
    printf("%lld requests, %.1f us CPU each\n", (long long)answered,
           (cpu_us() - start) / (double)(answered ? answered : 1));
    server_stop(server, 1000);
    arena_release(&arena);
    return 0;
}
