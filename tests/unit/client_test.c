/* client_test.c -- calls out: what surely was not sent, what perhaps was, and what came back. */
#include "peer.h"

#include "base/fault.h"
#include "net/client.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: "

static struct arena arena;
static struct ctx cx;
static struct peer peer;
static char url[64];

static void begin(const char *answer)
{
    arena_reset(&arena);
    cx = (struct ctx){.arena = &arena, .clock = &clock_system};
    peer_start(&peer, answer);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/pay?x=1", peer.port);
}

static void end(void)
{
    http_clients_close();
    peer_stop(&peer);
}

static void answers_of_any_status_are_results(void)
{
    static const char *const headers[] = {"Idempotency-Key: confirm:1",
                                          "Authorization: Basic eA==", NULL};
    struct http_result r = {0};
    struct http_call call = {HTTP_POST, url, STR("{\"a\":1}"), STR("application/json"), headers,
                             2000,      0};

    begin("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nabcde");
    CHECK_INT(http_call(&cx, &call, &r), ERR_OK);
    CHECK_INT(r.status, 404);
    CHECK_STR(r.body, "abcde");
    CHECK(strncmp(peer.seen, "POST /pay?x=1 HTTP/1.1\r\n", 24) == 0);
    CHECK(strstr(peer.seen, "\r\nContent-Type: application/json\r\n") != NULL);
    CHECK(strstr(peer.seen, "\r\nIdempotency-Key: confirm:1\r\n") != NULL);
    CHECK(strstr(peer.seen, "\r\nAuthorization: Basic eA==\r\n") != NULL);
    CHECK(strstr(peer.seen, "Expect:") == NULL);
    CHECK(strcmp(peer.seen + peer.seen_n - 7, "{\"a\":1}") == 0);
    call.method = HTTP_GET;
    call.body = STR_NONE;
    call.headers = NULL;
    CHECK_INT(http_call(&cx, &call, &r), ERR_OK); /* nothing of the call before is left */
    CHECK(strncmp(peer.seen, "GET ", 4) == 0);
    CHECK(strstr(peer.seen, "Idempotency-Key") == NULL);
    CHECK(strstr(peer.seen, "{\"a\":1}") == NULL);
    call.method = HTTP_DELETE;
    CHECK_INT(http_call(&cx, &call, &r), ERR_OK);
    CHECK(strncmp(peer.seen, "DELETE ", 7) == 0);
    CHECK_INT(peer.requests, 3);
    end();
}

static void redirects_are_not_followed(void)
{
    struct http_result r = {0};
    struct http_call call = {.method = HTTP_GET, .url = url, .timeout_ms = 2000};

    begin("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
    CHECK_INT(http_call(&cx, &call, &r), ERR_OK);
    CHECK_INT(r.status, 302);
    CHECK_INT(peer.requests, 1);
    end();
}

static void what_was_not_sent_is_unavailable(void)
{
    struct http_result r = {.status = 7};
    struct http_call call = {.method = HTTP_POST, .url = url, .timeout_ms = 2000};

    begin(NULL);
    end(); /* nobody listens there any more */
    CHECK_INT(http_call(&cx, &call, &r), ERR_UNAVAILABLE);
    call.url = "http://no-such-host.invalid/";
    CHECK_INT(http_call(&cx, &call, &r), ERR_UNAVAILABLE);
    call.url = "file:///etc/hostname";
    CHECK_INT(http_call(&cx, &call, &r), ERR_UNAVAILABLE);
    CHECK_INT(r.status, 7); /* untouched on failure */
    begin(OK_HEAD "0\r\n\r\n");
    call.url = url;
    cx.deadline_us = clock_monotonic_us() - 1;
    CHECK_INT(http_call(&cx, &call, &r), ERR_UNAVAILABLE);
    CHECK_INT(peer.requests, 0);
    end();
}

/* A host that is gone swallows what is sent to it; here it is a queue that is full. */
static void a_connection_that_never_came_is_unavailable(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), queued[4];
    struct http_result r;
    struct http_call call = {.method = HTTP_POST, .url = url, .body = STR("x"), .timeout_ms = 200};

    arena_reset(&arena);
    cx = (struct ctx){.arena = &arena, .clock = &clock_system};
    CHECK(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 0) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(at.sin_port));
    for (size_t i = 0; i < COUNT_OF(queued); i++) {
        queued[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(queued[i], (struct sockaddr *)&at, sizeof at);
    }
    CHECK_INT(http_call(&cx, &call, &r), ERR_UNAVAILABLE);
    http_clients_close();
    for (size_t i = 0; i < COUNT_OF(queued); i++)
        close(queued[i]);
    close(listener);
}

static void an_unknown_answer_is_the_providers(void)
{
    static const char *const broken[] = {
        NULL,                            /* closed without a word */
        "HTTP/1.1 200 OK\r\nContent-Le", /* cut in its head */
        "complete nonsense\r\n\r\n",     /* not HTTP */
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    };
    struct http_result r = {.status = 7};
    struct http_call call = {.method = HTTP_POST, .url = url, .body = STR("x"), .timeout_ms = 400};

    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        begin(broken[i]);
        CHECK_INT(http_call(&cx, &call, &r), ERR_PROVIDER);
        CHECK_INT(peer.requests, 1); /* never sent a second time by ourselves */
        CHECK_INT(r.status, 7);
        end();
    }
}

static void deadlines_cut_the_wait(void)
{
    struct http_result r;
    struct http_call call = {.method = HTTP_POST, .url = url, .body = STR("x"), .timeout_ms = 100};

    begin(OK_HEAD "2\r\n\r\nok");
    peer.delay_ms = 600;
    int64_t from = clock_monotonic_us();
    CHECK_INT(http_call(&cx, &call, &r), ERR_PROVIDER);
    CHECK(clock_monotonic_us() - from < 500 * US_PER_MS);
    call.timeout_ms = 60000;
    from = clock_monotonic_us();
    cx.deadline_us = from + 100 * US_PER_MS; /* the work's own deadline is nearer */
    CHECK_INT(http_call(&cx, &call, &r), ERR_PROVIDER);
    CHECK(clock_monotonic_us() - from < 500 * US_PER_MS);
    end();
}

static void answers_are_bounded(void)
{
    struct http_result r = {0};
    struct http_call call = {.method = HTTP_GET, .url = url, .timeout_ms = 2000, .answer_max = 10};

    begin(OK_HEAD "10\r\n\r\n0123456789");
    CHECK_INT(http_call(&cx, &call, &r), ERR_OK);
    CHECK_STR(r.body, "0123456789");
    end();
    begin(OK_HEAD "11\r\n\r\n0123456789a");
    CHECK_INT(http_call(&cx, &call, &r), ERR_PROVIDER);
    end();
}

#ifdef JUMUN_FAULTS
static bool fail_named(void *arg, const char *name)
{
    return strcmp(arg, name) == 0;
}

static void faults_stand_on_both_sides_of_the_call(void)
{
    static char before[] = "client.before_call", after[] = "client.answer_lost";
    struct http_result r;
    struct http_call call = {.method = HTTP_GET, .url = url, .timeout_ms = 2000};

    begin(OK_HEAD "0\r\n\r\n");
    fault_hook_set(fail_named, before);
    CHECK_INT(http_call(&cx, &call, &r), ERR_UNAVAILABLE);
    CHECK_INT(peer.requests, 0);
    fault_hook_set(fail_named, after);
    CHECK_INT(http_call(&cx, &call, &r), ERR_PROVIDER);
    CHECK_INT(peer.requests, 1);
    fault_hook_set(NULL, NULL);
    end();
}
#endif

int main(void)
{
    arena_init(&arena, 64u << 20);
    RUN(answers_of_any_status_are_results);
    RUN(redirects_are_not_followed);
    RUN(what_was_not_sent_is_unavailable);
    RUN(a_connection_that_never_came_is_unavailable);
    RUN(an_unknown_answer_is_the_providers);
    RUN(deadlines_cut_the_wait);
    RUN(answers_are_bounded);
#ifdef JUMUN_FAULTS
    RUN(faults_stand_on_both_sides_of_the_call);
#endif
    arena_release(&arena);
    return test_end();
}
