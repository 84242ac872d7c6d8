/*
 * s3_http.c -- one request to S3: signed, sent by a pooled libcurl handle, and sent again after a
 * failure that passes, as long as the deadline and the kind of request allow it.
 */
#include "blob/s3.h"

#include "base/fault.h"

#include <strings.h>

#define CONNECT_TIMEOUT_MS 3000
#define TRY_TIMEOUT_MS 600000 /* a large body on a slow line; who hangs is found sooner: */
#define STUCK_SECONDS 10L     /* with less than STUCK_RATE bytes in each second */
#define STUCK_RATE 1024L
#define ERROR_MAX 16384
#define TRIES_MAX 4
#define BACKOFF_FIRST_MS 50 /* doubled by each try, half of it random */

enum outcome {
    ANSWERED,
    NOT_SENT, /* the server cannot have seen it */
    LOST,     /* it may have been done */
    TOO_LARGE,
};

/* What curl's callbacks work on. */
struct exchange {
    CURL *curl;
    struct s3_answer *answer;
    size_t answer_max;
};

static CURL *take_handle(struct s3_blobs *s)
{
    CURL *curl = NULL;

    pthread_mutex_lock(&s->mutex);
    if (s->idle_n > 0)
        curl = s->idle[--s->idle_n];
    pthread_mutex_unlock(&s->mutex);
    return curl ? curl : curl_easy_init();
}

static void put_handle(struct s3_blobs *s, CURL *curl)
{
    curl_easy_reset(curl); /* options go, the connection stays */
    pthread_mutex_lock(&s->mutex);
    if (s->idle_n < S3_IDLE_MAX) {
        s->idle[s->idle_n++] = curl;
        curl = NULL;
    }
    pthread_mutex_unlock(&s->mutex);
    if (curl)
        curl_easy_cleanup(curl);
}

void s3_handles_close(struct s3_blobs *s)
{
    while (s->idle_n > 0)
        curl_easy_cleanup(s->idle[--s->idle_n]);
}

void s3_answer_release(struct s3_answer *answer)
{
    buf_release(&answer->body);
}

static size_t receive_body(char *p, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    struct buf *b = &x->answer->body;
    long status = 0;

    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    bool good = status >= 200 && status < 300;
    b->max = good ? x->answer_max : ERROR_MAX;
    buf_add(b, p, size * n);
    return b->overflow && good ? 0 : size * n; /* of an error the beginning is enough */
}

static void keep(struct str value, char *out, size_t size)
{
    if (value.n < size)
        snprintf(out, size, "%.*s", STR_ARG(value));
}

static size_t receive_header(char *p, size_t size, size_t n, void *arg)
{
    struct s3_answer *answer = ((struct exchange *)arg)->answer;
    struct str line = {p, size * n}, name, value;
    char date[64];

    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    if (!str_cut(line, ':', &name, &value))
        return size * n;
    value = str_trim(value);
    if (str_eq_nocase(name, STR("Content-Type")))
        keep(value, answer->type, sizeof answer->type);
    else if (str_eq_nocase(name, STR("ETag")))
        keep(value, answer->etag, sizeof answer->etag);
    else if (str_eq_nocase(name, STR("x-amz-meta-jumun-upload")))
        keep(value, answer->mark, sizeof answer->mark);
    else if (str_eq_nocase(name, STR("x-amz-bucket-region")))
        keep(value, answer->region, sizeof answer->region);
    else if (str_eq_nocase(name, STR("Date")) && value.n < sizeof date) {
        keep(value, date, sizeof date);
        time_t at = curl_getdate(date, NULL);
        answer->date_us = at > 0 ? (int64_t)at * US_PER_S : 0;
    }
    return size * n;
}

static struct curl_slist *add(struct curl_slist *list, struct arena *a, const char *name,
                              struct str value)
{
    /* A header without a value is one that curl leaves out, unless it ends with a semicolon. */
    return curl_slist_append(list, arena_printf(a, "%s: %.*s", name, STR_ARG(value)).p);
}

/* Signed at the time of the try: a signature grows old. */
static struct curl_slist *head_of(struct ctx *cx, const struct s3_blobs *s,
                                  const struct s3_call *call, struct str payload_hash)
{
    struct arena *a = cx->arena;
    const struct s3_to_sign what = {
        .method = call->method,
        .host = s3_host(a, s),
        .path = s3_object_path(a, s, call->name),
        .query = call->query,
        .query_n = call->query_n,
        .headers = call->headers,
        .headers_n = call->headers_n,
        .payload_hash = payload_hash,
        .time_us = ctx_now(cx),
    };
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    list = curl_slist_append(list, "Content-Type:"); /* not curl's own guess */
    for (size_t i = 0; i < call->headers_n; i++)
        list = add(list, a, arena_cstr(a, call->headers[i].name), call->headers[i].value);
    list = add(list, a, "x-amz-date", s3_timestamp(a, what.time_us));
    list = add(list, a, "x-amz-content-sha256", payload_hash);
    return add(list, a, "Authorization", s3_authorization(a, &s->keys, &what));
}

static void set_up(struct ctx *cx, struct s3_blobs *s, const struct s3_call *call,
                   struct exchange *x, struct curl_slist *head, int timeout_ms)
{
    CURL *curl = x->curl;
    struct str query = s3_query(cx->arena, call->query, call->query_n);

    curl_easy_setopt(curl, CURLOPT_URL, s3_object_url(cx->arena, s, call->name, query));
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (str_eq(call->method, STR("HEAD")))
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (call->body.p) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body.p);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, arena_cstr(cx->arena, call->method));
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, head);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STUCK_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, STUCK_RATE);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L); /* the signature is for this host */
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, receive_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, x);
}

static enum outcome outcome_of(struct exchange *x, CURLcode code)
{
    long sent = 0, status = 0;

    curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->curl, CURLINFO_REQUEST_SIZE, &sent);
    x->answer->status = (int)status;
    if (code == CURLE_OK)
        return ANSWERED;
    if (code == CURLE_WRITE_ERROR && x->answer->body.overflow)
        return TOO_LARGE;
    return sent == 0 ? NOT_SENT : LOST;
}

/* One try; after LOST and NOT_SENT the story says why. */
static enum outcome send_once(struct ctx *cx, struct s3_blobs *s, const struct s3_call *call,
                              struct str payload_hash, int timeout_ms, struct s3_answer *answer)
{
    struct exchange x = {take_handle(s), answer, call->answer_max};

    buf_clear(&answer->body);
    *answer = (struct s3_answer){.body = answer->body};
    answer->body.overflow = false;
    if (!x.curl || FAULT("s3.before_call")) {
        (void)fail(cx, ERR_UNAVAILABLE, x.curl ? "fault: s3.before_call" : "out of memory");
        if (x.curl)
            put_handle(s, x.curl);
        return NOT_SENT;
    }
    struct curl_slist *head = head_of(cx, s, call, payload_hash);
    set_up(cx, s, call, &x, head, timeout_ms);
    CURLcode code = curl_easy_perform(x.curl);
    enum outcome outcome = outcome_of(&x, code);
    if (outcome == LOST || outcome == NOT_SENT)
        (void)fail(cx, ERR_UNAVAILABLE, "S3 %.*s %.*s/%.*s at %.*s: %s", STR_ARG(call->method),
                   STR_ARG(s->bucket), STR_ARG(call->name), STR_ARG(s->host),
                   curl_easy_strerror(code));
    curl_slist_free_all(head);
    put_handle(s, x.curl);
    if (outcome == ANSWERED && FAULT("s3.answer_lost")) {
        (void)fail(cx, ERR_UNAVAILABLE, "fault: s3.answer_lost");
        return LOST;
    }
    return outcome;
}

/* The server says that it did not do it, and that this will change. */
static bool is_put_off(const struct s3_answer *answer)
{
    return answer->status == 503 || answer->status == 429 ||
           (answer->status == 400 && s3_refused_as(answer, STR("RequestTimeout"))) ||
           (answer->status == 409 && s3_refused_as(answer, STR("OperationAborted")));
}

/* Half fixed and half random, so that clients that failed together do not return together. */
static bool wait_before(struct ctx *cx, int try)
{
    int most = BACKOFF_FIRST_MS << try;
    int ms = most / 2 + (int)rng_below(cx->rng, (uint64_t)most / 2);

    if (ctx_left_ms(cx, ms + 1) <= ms)
        return false;
    nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
    return true;
}

enum err s3_call(struct ctx *cx, struct s3_blobs *s, const struct s3_call *call,
                 struct s3_answer *ret)
{
    struct str payload_hash = s3_sha256(cx->arena, call->body);
    int tries = call->tries ? call->tries : TRIES_MAX;

    memset(ret, 0, sizeof *ret);
    buf_init(&ret->body, ERROR_MAX);
    for (int try = 0;; try++) {
        int left_ms = ctx_left_ms(cx, TRY_TIMEOUT_MS);
        if (left_ms <= 0)
            return fail(cx, ERR_UNAVAILABLE, "no time left to call S3 for %.*s",
                        STR_ARG(call->name));
        enum outcome outcome = send_once(cx, s, call, payload_hash, left_ms, ret);
        bool put_off = outcome == ANSWERED && is_put_off(ret);
        bool failed = outcome == LOST || (outcome == ANSWERED && ret->status >= 500);
        if (outcome == TOO_LARGE)
            return fail(cx, ERR_TOO_LARGE, "%.*s has more than %zu bytes", STR_ARG(call->name),
                        call->answer_max);
        if (outcome == ANSWERED && !put_off && !failed)
            return ERR_OK;
        bool again = outcome == NOT_SENT || put_off || call->repeat == S3_REPEAT;
        if (again && try + 1 < tries && wait_before(cx, try))
            continue;
        if (outcome == ANSWERED)
            return s3_refusal(cx, s, ret, arena_cstr(cx->arena, call->method), call->name);
        return ERR_UNAVAILABLE; /* told by send_once */
    }
}
