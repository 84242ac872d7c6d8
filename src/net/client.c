/* client.c -- outbound HTTP by libcurl: a bounded pool of handles that keep their connections. */
#include "net/client.h"

#include <curl/curl.h>
#include <pthread.h>

#include "base/fault.h"

#define HANDLES_MAX 32
#define ANSWER_MAX_DEFAULT (1024u * 1024)
#define CONNECT_TIMEOUT_MS 3000

/* Idle handles of the process; one beyond the maximum is simply closed. */
static struct {
    pthread_mutex_t lock;
    CURL *idle[HANDLES_MAX];
    size_t n;
} handles = {.lock = PTHREAD_MUTEX_INITIALIZER};

static CURL *take_handle(void)
{
    CURL *curl = NULL;

    pthread_mutex_lock(&handles.lock);
    if (handles.n > 0)
        curl = handles.idle[--handles.n];
    pthread_mutex_unlock(&handles.lock);
    return curl ? curl : curl_easy_init();
}

static void put_handle(CURL *curl)
{
    curl_easy_reset(curl); /* options go, the connection stays */
    pthread_mutex_lock(&handles.lock);
    if (handles.n < HANDLES_MAX) {
        handles.idle[handles.n++] = curl;
        curl = NULL;
    }
    pthread_mutex_unlock(&handles.lock);
    if (curl)
        curl_easy_cleanup(curl);
}

void http_clients_close(void)
{
    pthread_mutex_lock(&handles.lock);
    while (handles.n > 0)
        curl_easy_cleanup(handles.idle[--handles.n]);
    pthread_mutex_unlock(&handles.lock);
}

static size_t receive(char *p, size_t size, size_t n, void *arg)
{
    struct buf *b = arg;

    buf_add(b, p, size * n);
    return b->overflow ? 0 : size * n;
}

static struct curl_slist *header_list(struct ctx *cx, const struct http_call *call)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    if (call->content_type.p) {
        struct str line =
            arena_printf(cx->arena, "Content-Type: %.*s", STR_ARG(call->content_type));
        list = curl_slist_append(list, line.p);
    }
    for (size_t i = 0; call->headers && call->headers[i]; i++)
        list = curl_slist_append(list, call->headers[i]);
    return list;
}

static void set_up(CURL *curl, const struct http_call *call, struct curl_slist *headers,
                   struct buf *answer, int timeout_ms)
{
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, http_method_names[call->method]);
    if (call->method == HTTP_HEAD)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (call->body.p || call->method == HTTP_POST || call->method == HTTP_PUT ||
        call->method == HTTP_PATCH) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)call->body.n);
        curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, call->body.p ? call->body.p : "");
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, http_method_names[call->method]);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(timeout_ms < CONNECT_TIMEOUT_MS ? timeout_ms : CONNECT_TIMEOUT_MS));
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
}

/* Nothing can have reached the peer. The code does not tell: a timeout may be that of connecting,
 * and an answer that is not HTTP counts as an unsupported protocol. */
static bool surely_not_sent(CURL *curl)
{
    long sent = 0;

    return curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent) == CURLE_OK && sent == 0;
}

const char *url_shown(struct arena *a, struct str url)
{
    size_t scheme = str_find(url, STR("://")), at = 0;

    if (scheme == SIZE_MAX)
        return arena_cstr(a, url);
    struct str rest = {url.p + scheme + 3, url.n - scheme - 3};
    for (size_t i = 0; i < rest.n && rest.p[i] != '/'; i++)
        if (rest.p[i] == '@')
            at = i + 1; /* the last one: a password may hold others */
    return arena_printf(a, "%.*s%.*s", (int)scheme + 3, url.p, (int)(rest.n - at), rest.p + at).p;
}

static enum err perform(struct ctx *cx, const struct http_call *call, CURL *curl,
                        struct http_result *ret)
{
    struct buf answer;
    long status = 0;
    int timeout_ms = ctx_left_ms(cx, call->timeout_ms > 0 ? call->timeout_ms : 10000);

    if (timeout_ms <= 0)
        return fail(cx, ERR_UNAVAILABLE, "no time left to call %s",
                    url_shown(cx->arena, str_from(call->url)));
    struct curl_slist *headers = header_list(cx, call);
    buf_init_arena(&answer, cx->arena, call->answer_max ? call->answer_max : ANSWER_MAX_DEFAULT);
    set_up(curl, call, headers, &answer, timeout_ms);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (FAULT("client.answer_lost"))
        return fail(cx, ERR_PROVIDER, "fault: client.answer_lost");
    if (code == CURLE_OK) {
        *ret = (struct http_result){(int)status, buf_str(&answer)};
        return ERR_OK;
    }
    return fail(cx, surely_not_sent(curl) ? ERR_UNAVAILABLE : ERR_PROVIDER, "%s: %s",
                url_shown(cx->arena, str_from(call->url)), curl_easy_strerror(code));
}

enum err http_call(struct ctx *cx, const struct http_call *call, struct http_result *ret)
{
    if (FAULT("client.before_call"))
        return fail(cx, ERR_UNAVAILABLE, "fault: client.before_call");
    CURL *curl = take_handle();
    if (!curl)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    enum err e = perform(cx, call, curl, ret);
    put_handle(curl);
    return e;
}
