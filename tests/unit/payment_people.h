/* payment_people.h -- what customers, owners, operators and the provider do in the world of
 * payment_world.h, and how its books are compared. */
#pragma once

#include "obs/metrics.h"
#include "order/saga.h"
#include "unit/payment_world.h"

#define TOTAL_WON 23000

/* Second by second at first, as timers come due; then in larger steps. */
static void pass(int64_t us)
{
    int64_t end = w.clock.virtual_us + us, step = US_PER_S;

    while (w.clock.virtual_us < end) {
        if (end - w.clock.virtual_us > US_PER_HOUR)
            step = 10 * US_PER_MIN;
        w.clock.virtual_us += step < end - w.clock.virtual_us ? step : end - w.clock.virtual_us;
        settle();
        step = US_PER_S;
    }
}

static struct uuid place(void)
{
    struct ctx cx = ctx_of("order");
    struct order_line line = {.line_id = ctx_uuid(&cx),
                              .menu_item_id = ctx_uuid(&cx),
                              .name = STR("후라이드치킨"),
                              .options = STR("[]"),
                              .quantity = 2,
                              .unit_price_won = 10000,
                              .line_total_won = 20000};
    struct order o = {.order_id = ctx_uuid(&cx),
                      .customer_id = w.customer,
                      .store_id = w.store_id,
                      .owner_id = w.owner,
                      .cart_id = ctx_uuid(&cx),
                      .store_name = STR("치킨집"),
                      .address = STR("{\"address1\":\"1\"}"),
                      .request_message = STR("문 앞에"),
                      .items_won = 20000,
                      .delivery_fee_won = 3000,
                      .total_won = TOTAL_WON,
                      .lines = {&line, 1}};

    cx.caller = (struct caller){.role = CUSTOMER, .user_id = w.customer};
    o.number = arena_printf(cx.arena, "N%" PRId64, ++w.keys);
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(order_insert(&cx, &o) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    settle();
    return o.order_id;
}

static int call(enum http_method method, int listener, const char *path, struct str body,
                const struct caller *as)
{
    char key[40];
    struct http_field headers[] = {{STR("Idempotency-Key"), STR_NONE}};
    const struct local_request rq = {.method = method,
                                     .path = path,
                                     .body = body,
                                     .headers = headers,
                                     .n_headers = 1,
                                     .listener = listener,
                                     .as = as};
    int status = 0;

    snprintf(key, sizeof key, "key-%" PRId64, ++w.keys);
    headers[0].value = str_from(key);
    enum err e = platform_request(w.p, &w.arena, &rq, &status, &w.body);
    CHECK((e == ERR_OK) == (status < 400));
    return status;
}

static bool said(const char *text)
{
    return str_find(w.body, str_from(text)) != SIZE_MAX;
}

/* In the provider's window: a key that can be confirmed. */
static struct str authorize(struct uuid order_id, const char *outcome)
{
    const struct caller guest = {.role = GUEST};
    struct str body =
        arena_printf(&w.arena, "{\"orderId\":\"%s\",\"amount\":%d,\"outcome\":\"%s\"}",
                     id_text(order_id), TOTAL_WON, outcome);
    struct str before, after, key;

    CHECK_INT(call(HTTP_POST, 2, "/simulator/authorize", body, &guest), 200);
    str_cut(w.body, ':', &before, &after);
    str_cut(after, ',', &key, &after);
    CHECK(key.n > 2);
    return (struct str){key.p + 1, key.n - 2};
}

static struct str confirm_body(struct uuid order_id, struct str key, const char *amount)
{
    return arena_printf(&w.arena, "{\"paymentKey\":\"%.*s\",\"orderId\":\"%s\",\"%s\":%d}",
                        STR_ARG(key), id_text(order_id), amount, TOTAL_WON);
}

static int confirm(struct uuid order_id, struct str key)
{
    const struct caller as = {.role = CUSTOMER, .user_id = w.customer};

    return call(HTTP_POST, 0, "/v1/payments/confirm", confirm_body(order_id, key, "amountWon"),
                &as);
}

static int cancel(struct uuid order_id)
{
    const struct caller as = {.role = CUSTOMER, .user_id = w.customer};
    struct str path = arena_printf(&w.arena, "/v1/orders/%s/cancel", id_text(order_id));

    return call(HTTP_POST, 0, path.p, STR("{\"reason\":\"아니요\"}"), &as);
}

static struct order order_of(struct uuid order_id)
{
    struct ctx cx = ctx_of("order");
    struct order o = {0};

    CHECK(order_load(&cx, order_id, &o) == ERR_OK);
    return o;
}
#define CHECK_ORDER(id, expected) CHECK_STR(str_from(status_names[order_of(id).status]), #expected)

struct paid_row {
    struct uuid payment_id;
    struct str status, provider_code;
    int64_t refunded_won;
    bool is_late;
};
static const struct field paid_row_fields[] = {
    F_UUID(struct paid_row, payment_id, "paymentId", 0, ""),
    F_STR(struct paid_row, status, "status", 0, 0, 50, ""),
    F_STR(struct paid_row, provider_code, "providerCode", 0, 0, 200, ""),
    F_WON(struct paid_row, refunded_won, "refundedWon", 0, ""),
    F_BOOL(struct paid_row, is_late, "isLate", 0, ""),
    F_END(struct paid_row),
};

/* The newest payment of an order. */
static struct paid_row payment_of(struct uuid order_id)
{
    struct ctx cx = ctx_of("payment");
    struct paid_row p = {0};

    CHECK(db_one(&cx, paid_row_fields, &p,
                 "select payment_id, status, provider_code, refunded_won, is_late from payments"
                 " where order_id = $1 order by created_at desc, payment_id desc limit 1",
                 ARGS(db_uuid(order_id))) == ERR_OK);
    return p;
}
#define CHECK_PAYMENT(id, expected) CHECK_STR(payment_of(id).status, #expected)

static int64_t number(const char *service, const char *sql)
{
    struct ctx cx = ctx_of(service);
    int64_t n = -1;

    CHECK(db_int_of(&cx, &n, sql, NO_ARGS) == ERR_OK);
    return n;
}

/* As somebody who asks for metrics now sees it. */
UNUSED static int64_t gauge(const char *name)
{
    struct buf b;

    buf_init_arena(&b, &w.arena, 4u << 20);
    metrics_print(&b);
    return metric_value(metric_get(METRIC_GAUGE, name, "", NULL, NULL, NULL, NULL));
}

/* Both sets of books agree, and so do the rows of ours. */
static void check_books(void)
{
    int64_t theirs =
        number("toss", "select sum(amount) from payments where approved_at is not null");
    int64_t back = number("toss", "select sum(amount) from cancels");

    CHECK_INT(number("payment", "select sum(amount_won) from payments where status <> 'FAILED'"),
              theirs);
    CHECK_INT(number("payment", "select sum(refunded_won) from payments"), back);
    CHECK_INT(number("payment", "select sum(amount_won) from refunds where status = 'DONE'"), back);
    CHECK_INT(number("payment", "select sum(amount_won) from ledger where account = 'provider'"),
              theirs - back);
    CHECK_INT(number("payment", "select sum(amount_won) from ledger"), 0);
}

/* As it is: money that is none of ours moved. */
static void world_drop(void)
{
    settle();
    platform_stop(w.p, 1000);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    arena_release(&w.arena);
}

static void world_close(void)
{
    settle();
    check_books();
    world_drop();
}

/* Straight to the provider, past us, with our secret. */
static int at_provider(enum http_method method, const char *path, struct str body)
{
    const struct caller guest = {.role = GUEST};
    struct http_field secret = {STR("Authorization"), STR("Basic dGVzdF9za19qdW11bjo=")};
    const struct local_request rq = {.method = method,
                                     .path = path,
                                     .body = body,
                                     .headers = &secret,
                                     .n_headers = 1,
                                     .listener = 2,
                                     .as = &guest};
    int status = 0;

    CHECK(platform_request(w.p, &w.arena, &rq, &status, &w.body) == ERR_OK);
    return status;
}

static int provider_confirms(struct uuid order_id, struct str key)
{
    return at_provider(HTTP_POST, "/v1/payments/confirm", confirm_body(order_id, key, "amount"));
}

UNUSED static int resolve(struct uuid order_id, const char *to)
{
    const struct caller admin = {.role = ADMIN, .user_id = w.admin};
    struct str path = arena_printf(&w.arena, "/v1/admin/orders/%s/resolve", id_text(order_id));
    struct str body = arena_printf(&w.arena, "{\"to\":\"%s\",\"reason\":\"asked\"}", to);

    return call(HTTP_POST, 0, path.p, body, &admin);
}

/* As after a crash between the intent and the pin. */
static void intend(struct uuid order_id, struct str key)
{
    struct ctx cx = ctx_of("payment");
    struct uuid payment_id = ctx_uuid(&cx);

    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(db_exec(&cx,
                  "insert into payments (payment_id, order_id, customer_id, store_id, order_name,"
                  " payment_key, amount_won, status, created_at, changed_at)"
                  " values ($1, $2, $3, $4, 'x', $5, $6, 'CONFIRMING', $7, $7)",
                  ARGS(db_uuid(payment_id), db_uuid(order_id), db_uuid(w.customer),
                       db_uuid(w.store_id), db_str(key), db_int(TOTAL_WON),
                       db_int(w.clock.virtual_us))) == ERR_OK);
    CHECK(timer_set(&cx, "payment.resolve", payment_id, w.clock.virtual_us + US_PER_S) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
}
