/* demo_visit.c -- one visit of the demo: a customer orders and pays, the owner cooks, and things go
 * wrong as they do. */
#include "command/demo.h"

#include <stdio.h>
#include <time.h>

#include "data/json.h"
#include "service/demo.h"

#define ANSWER_MAX (1024 * 1024)
#define SETTLE_US (20 * US_PER_S)
#define LOOK_FIRST_US (10 * US_PER_MS) /* doubled each time */
#define LOOK_LAST_US (400 * US_PER_MS)

struct answer {
    int status;
    struct str access_token, code, order_id, order_status, payment_key;
    struct uuid id;
    int64_t total_won, refunded_won;
};
static const struct field answer_fields[] = {
    F_STR(struct answer, access_token, "accessToken", NULLABLE, 0, 10000, ""),
    F_STR(struct answer, code, "code", NULLABLE, 0, 100, ""),
    F_STR(struct answer, order_id, "orderId", NULLABLE, 0, 64, ""),
    F_STR(struct answer, order_status, "status", NULLABLE, 0, 30, ""),
    F_STR(struct answer, payment_key, "paymentKey", NULLABLE, 0, 200, ""),
    F_INT(struct answer, total_won, "totalWon", 0, 0, INT64_MAX, ""),
    F_INT(struct answer, refunded_won, "refundedWon", 0, 0, INT64_MAX, ""),
    F_END(struct answer),
};
/* A problem's status is a number where an order's is a word. */
static const struct field problem_fields[] = {
    F_STR(struct answer, code, "code", NULLABLE, 0, 100, ""),
    F_END(struct answer),
};

struct request_text {
    enum http_method method;
    struct str base, path, token, body, key;
    bool wait;
};

static struct answer ask(struct ctx *cx, const struct request_text *r)
{
    const char *headers[4] = {NULL};
    struct http_result result = {0};
    struct answer a = {0};
    size_t n = 0;

    if (r->token.n)
        headers[n++] = arena_printf(cx->arena, "Authorization: Bearer %.*s", STR_ARG(r->token)).p;
    if (r->key.n)
        headers[n++] = arena_printf(cx->arena, "Idempotency-Key: %.*s", STR_ARG(r->key)).p;
    if (r->wait)
        headers[n++] = "Prefer: wait=5";
    const struct http_call call = {
        .method = r->method,
        .url = arena_printf(cx->arena, "%.*s%.*s", STR_ARG(r->base), STR_ARG(r->path)).p,
        .body = r->body,
        .content_type = r->body.n ? STR("application/json") : STR_NONE,
        .headers = headers,
        .timeout_ms = 30000,
        .answer_max = ANSWER_MAX};
    if (http_call(cx, &call, &result) != ERR_OK)
        return a;
    if (json_decode_lenient(cx, result.status < 400 ? answer_fields : problem_fields, &a,
                            result.body) != ERR_OK)
        a = (struct answer){0};
    a.status = result.status;
    return a;
}

enum err demo_login(struct ctx *cx, const struct demo *d, const char *username,
                    struct str *ret_token)
{
    const struct request_text r = {
        .method = HTTP_POST,
        .base = d->public_url,
        .path = STR("/v1/auth/login"),
        .body = arena_printf(cx->arena, "{\"username\":\"%s\",\"password\":\"jumun-demo-1\"}",
                             username)};
    struct answer a = ask(cx, &r);

    if (a.status == 0)
        return fail(cx, ERR_UNAVAILABLE,
                    "no platform answers at %.*s; start one with `jumun up --demo`",
                    STR_ARG(d->public_url));
    if (a.status != 200)
        return fail(cx, ERR_CREDENTIALS, "%s cannot sign in: is it a platform with --demo?",
                    username);
    *ret_token = a.access_token;
    return ERR_OK;
}

struct visit {
    struct ctx *cx;
    struct demo *d;
    struct str token, owner, order_id;
    unsigned store, customer;
    int64_t total_won;
    int keys;
};

static struct str new_key(struct visit *v)
{
    return arena_printf(v->cx->arena, "demo-%s-%d", ctx_uuid_text(v->cx, ctx_uuid(v->cx)),
                        v->keys++);
}

static void note_time(struct demo *d, enum demo_step step, int64_t since_us)
{
    int64_t took = clock_monotonic_us() - since_us;

    pthread_mutex_lock(&d->lock);
    if (d->n_times[step] < DEMO_TIMES_MAX)
        d->times_us[step][d->n_times[step]++] = (int32_t)(took < INT32_MAX ? took : INT32_MAX);
    pthread_mutex_unlock(&d->lock);
}

static void note_problem(struct demo *d, const char *what, const struct answer *a)
{
    pthread_mutex_lock(&d->lock);
    if (!d->problem[0])
        snprintf(d->problem, sizeof d->problem, "%s was answered %d %.*s", what, a->status,
                 STR_ARG(a->code));
    pthread_mutex_unlock(&d->lock);
}

static unsigned dice(struct visit *v, unsigned n)
{
    return (unsigned)rng_below(v->cx->rng, n);
}

/* As people think: some hundred milliseconds, shorter when the rate is high. */
static void think(struct visit *v)
{
    int64_t most_ms = 2000 / v->d->settings->rate + 1;
    struct timespec t = {0, (long)(dice(v, (unsigned)most_ms) * US_PER_MS * 1000) % 1000000000L};

    nanosleep(&t, NULL);
}

/* With orders, for as long as something about them is under way. */
static struct answer customer_asks(struct visit *v, enum http_method method, struct str path,
                                   struct str body, bool keyed)
{
    const struct request_text r = {.method = method,
                                   .base = v->d->public_url,
                                   .path = path,
                                   .token = v->token,
                                   .body = body,
                                   .key = keyed ? new_key(v) : STR_NONE,
                                   .wait = str_starts(path, STR("/v1/orders"))};
    return ask(v->cx, &r);
}

static bool fill_cart(struct visit *v)
{
    struct arena *m = v->cx->arena;
    int64_t since = clock_monotonic_us();

    for (unsigned i = 0; i < 2; i++) {
        unsigned item = i == 0 ? 1 + dice(v, 5) : 6 + dice(v, 5);
        struct str option = STR("");
        if (item <= 5)
            option = arena_printf(m, "\"%s\"",
                                  ctx_uuid_text(v->cx, demo_id(DEMO_OPTION, v->store, item, 101)));
        struct str body = arena_printf(
            m, "{\"menuItemId\":\"%s\",\"quantity\":%u,\"replace\":true,\"optionIds\":[%.*s]}",
            ctx_uuid_text(v->cx, demo_id(DEMO_ITEM, v->store, item, 0)), 2 + dice(v, 2),
            STR_ARG(option));
        struct answer a = customer_asks(v, HTTP_POST, STR("/v1/cart/items"), body, false);
        if (a.status != 201 && !str_eq(a.code, STR("MENU_SOLD_OUT"))) {
            note_problem(v->d, "adding to the cart", &a);
            return false;
        }
    }
    note_time(v->d, DEMO_CART, since);
    return true;
}

static struct answer look(struct visit *v)
{
    struct str path = arena_printf(v->cx->arena, "/v1/orders/%.*s", STR_ARG(v->order_id));

    return customer_asks(v, HTTP_GET, path, STR_NONE, false);
}

static bool place(struct visit *v, struct answer *ret)
{
    struct str body = arena_printf(
        v->cx->arena, "{\"addressId\":\"%s\",\"requestMessage\":\"문 앞에 놓아 주세요\"}",
        ctx_uuid_text(v->cx, demo_id(DEMO_ADDRESS, v->customer, 0, 0)));
    int64_t since = clock_monotonic_us();

    *ret = customer_asks(v, HTTP_POST, STR("/v1/orders"), body, true);
    note_time(v->d, DEMO_ORDER, since);
    v->order_id = ret->order_id;
    v->total_won = ret->total_won;
    if (ret->status == 201)
        return true;
    if (!str_eq(ret->code, STR("STOCK_SHORT")) && !str_eq(ret->code, STR("MENU_SOLD_OUT")) &&
        !str_eq(ret->code, STR("CART_EMPTY")))
        note_problem(v->d, "ordering", ret);
    return false;
}

static struct answer pay(struct visit *v, const char *outcome)
{
    struct arena *m = v->cx->arena;
    const struct request_text window = {
        .method = HTTP_POST,
        .base = v->d->toss_url,
        .path = STR("/simulator/authorize"),
        .body = arena_printf(m, "{\"orderId\":\"%.*s\",\"amount\":%lld,\"outcome\":\"%s\"}",
                             STR_ARG(v->order_id), (long long)v->total_won, outcome)};
    struct answer a = ask(v->cx, &window);

    if (a.status != 200)
        return a;
    struct str body =
        arena_printf(m, "{\"paymentKey\":\"%.*s\",\"orderId\":\"%.*s\",\"amountWon\":%lld}",
                     STR_ARG(a.payment_key), STR_ARG(v->order_id), (long long)v->total_won);
    int64_t since = clock_monotonic_us();
    a = customer_asks(v, HTTP_POST, STR("/v1/payments/confirm"), body, true);
    note_time(v->d, DEMO_PAY, since);
    return a;
}

static struct answer cancel(struct visit *v)
{
    struct str path = arena_printf(v->cx->arena, "/v1/orders/%.*s/cancel", STR_ARG(v->order_id));

    return customer_asks(v, HTTP_POST, path, STR("{\"reason\":\"마음이 바뀌었어요\"}"), true);
}

/* Until the order is in one of the states; the last answer. */
static struct answer wait_for(struct visit *v, const char *const *states)
{
    int64_t until = clock_monotonic_us() + SETTLE_US, pause_us = LOOK_FIRST_US;
    struct answer a;

    do {
        a = look(v);
        for (const char *const *s = states; *s; s++)
            if (str_eq(a.order_status, str_from(*s)))
                return a;
        const struct timespec pause = {0, pause_us * 1000};
        nanosleep(&pause, NULL);
        if (pause_us < LOOK_LAST_US)
            pause_us *= 2;
    } while (clock_monotonic_us() < until && !v->d->stop);
    return a;
}

static bool owner_does(struct visit *v, const char *action, const char *body)
{
    const struct request_text r = {
        .method = HTTP_POST,
        .base = v->d->public_url,
        .path = arena_printf(v->cx->arena, "/v1/owner/stores/%s/orders/%.*s/%s",
                             ctx_uuid_text(v->cx, demo_id(DEMO_STORE, v->store, 0, 0)),
                             STR_ARG(v->order_id), action),
        .token = v->owner,
        .body = str_from(body),
        .key = new_key(v)};
    int64_t since = clock_monotonic_us();
    struct answer a = ask(v->cx, &r);

    note_time(v->d, DEMO_BOARD, since);
    if (a.status != 200)
        note_problem(v->d, action, &a);
    return a.status == 200;
}

/* From the window to paid, with declines and lost answers on the way. */
static bool get_paid(struct visit *v)
{
    static const char *const outcomes[] = {"timeout_before", "timeout_after"};
    static const char *const known[] = {"PAID", "AWAITING_PAYMENT", "PAYMENT_FAILED", "CANCELLED",
                                        NULL};
    unsigned luck = dice(v, 100);

    if (luck < 8) {
        struct answer a = pay(v, "decline");
        v->d->declined += a.status == 402;
        wait_for(v, known); /* payable again */
        think(v);
    }
    bool unclear = luck >= 8 && luck < 14;
    struct answer a = pay(v, unclear ? outcomes[dice(v, 2)] : "approve");
    v->d->unknown += a.status == 202;
    if (a.status != 200 && a.status != 202) {
        note_problem(v->d, "paying", &a);
        return false;
    }
    static const char *const paid[] = {"PAID", "CANCELLED", "PAYMENT_FAILED", NULL};
    return str_eq(wait_for(v, paid).order_status, STR("PAID"));
}

static void cook(struct visit *v)
{
    static const char *const steps[] = {"cook", "ready", "deliver", "complete"};
    unsigned luck = dice(v, 100);

    think(v);
    if (luck < 5) {
        v->d->refused += owner_does(v, "refuse", "{\"reason\":\"재료가 떨어졌어요\"}");
        return;
    }
    if (luck < 9) {
        (void)cancel(v);
        return;
    }
    if (!owner_does(v, "accept", "{\"minutes\":25}"))
        return;
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        think(v);
        if (!owner_does(v, steps[i], NULL))
            return;
    }
}

static void account(struct visit *v)
{
    static const char *const ends[] = {"COMPLETED", "CANCELLED",      "REJECTED",
                                       "EXPIRED",   "PAYMENT_FAILED", NULL};
    struct answer a = wait_for(v, ends);
    struct str s = a.order_status;
    bool completed = str_eq(s, STR("COMPLETED"));

    if (completed || a.refunded_won > 0) {
        v->d->won_in += v->total_won;
        v->d->won_back += a.refunded_won;
    }
    v->d->ends[completed                     ? DEMO_COMPLETED
               : str_eq(s, STR("CANCELLED")) ? DEMO_CANCELLED
               : str_eq(s, STR("REJECTED"))  ? DEMO_REJECTED
                                             : DEMO_OTHER]++;
}

void demo_visit(struct ctx *cx, struct demo *d, int n)
{
    struct visit v = {.cx = cx, .d = d, .token = d->customers[n], .customer = (unsigned)n + 1};
    int64_t since = clock_monotonic_us();
    struct answer placed;

    v.store = 1 + dice(&v, 8) * 5 + dice(&v, 2); /* the first two of each kitchen never close */
    v.owner = d->owners[(v.store - 1) % DEMO_OWNERS];
    if (!fill_cart(&v) || !place(&v, &placed)) {
        d->ends[DEMO_FAILED]++;
        return;
    }
    think(&v);
    if (str_eq(placed.order_status, STR("AWAITING_PAYMENT"))) {
        if (dice(&v, 100) < 4)
            (void)cancel(&v);
        else if (get_paid(&v))
            cook(&v);
    }
    account(&v);
    note_time(d, DEMO_WHOLE, since);
}
