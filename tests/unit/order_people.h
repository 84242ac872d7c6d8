/* order_people.h -- what customers, owners, operators and the payment service do in the world of
 * order_world.h. */
#pragma once

#include "unit/order_world.h"

#include "invariants.h"
#include "order/saga.h"

/* Whatever the test did: each history replays against the table, and only the dead have nothing
 * due. */
static void check_order(struct ctx *cx, struct uuid id)
{
    struct order o;
    int64_t timers = 0;
    size_t differs = 0;
    CHECK(order_load_shown(cx, id, &o) == ERR_OK);
    struct saga_record *r = arena_array(cx->arena, o.history.n + 1, sizeof *r);
    const struct field *statuses = field_by_column(order_row_fields, STR("status"));
    for (size_t i = 0; i < o.history.n; i++) {
        const struct history_row *h = LIST_AT(struct history_row, o.history, i);
        int event = 0;
        while (event < STEP_COUNT && !str_eq(h->event, str_from(step_names[event])))
            event++;
        r[i] = (struct saga_record){field_enum_index(statuses, h->from_status), event,
                                    field_enum_index(statuses, h->status), (unsigned)h->facts,
                                    (enum role)h->by_role};
        CHECK_INT(h->n, i + 1);
    }
    CHECK(saga_replay(order_saga, order_saga_rows, r, o.history.n, &differs) == ERR_OK);
    CHECK(db_int_of(cx, &timers, "select count(*) from timers where subject = $1",
                    ARGS(db_uuid(id))) == ERR_OK);
    CHECK_INT(timers, status_is_end((enum status)o.status) ? 0 : 1);
    CHECK(o.refunded_won <= o.captured_won);
    if (o.status == CANCELLED)
        CHECK(o.refunded_won == o.captured_won);
}

static struct db *only_orders(void *arg, const char *service)
{
    (void)arg;
    return strcmp(service, "order") == 0 ? platform_db(w.p, service) : NULL;
}

/* What must be so in this service's own data, but that nothing waits for an operator. */
static void check_data(struct ctx *cx)
{
    struct list findings = {NULL, 0};
    size_t checked = 0;

    CHECK(audit_run(cx, invariants, only_orders, NULL, &findings, &checked) == ERR_OK);
    CHECK(checked > 5);
    for (size_t i = 0; i < findings.n; i++) {
        const struct audit_finding *f = LIST_AT(struct audit_finding, findings, i);
        if (strcmp(f->row->doc, "no event is parked") != 0)
            CHECK_STR(audit_text(cx, f), "");
    }
}

static void world_close(void)
{
    struct ctx cx = ctx_of("order");
    struct list orders = {NULL, 0};

    settle();
    CHECK(db_all(&cx, order_row_fields, &orders, "select order_id from orders", NO_ARGS) == ERR_OK);
    for (size_t i = 0; i < orders.n; i++)
        check_order(&cx, LIST_AT(struct order, orders, i)->order_id);
    check_data(&cx);
    platform_stop(w.p, 1000);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    arena_release(&w.arena);
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
                      .total_won = 23000,
                      .lines = {&line, 1}};

    cx.caller = (struct caller){.role = CUSTOMER, .user_id = w.customer};
    o.number = arena_printf(cx.arena, "N%" PRId64, ++w.keys);
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(order_insert(&cx, &o) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    settle();
    return o.order_id;
}

static struct order load(struct uuid id)
{
    struct ctx cx = ctx_of("order");
    struct order o = {0};

    CHECK(order_load(&cx, id, &o) == ERR_OK);
    return o;
}

#define CHECK_STATUS(id, expected) CHECK_STR(str_from(status_names[load(id).status]), #expected)

static struct str last_body;
static int call(enum http_method method, const char *path, const char *body,
                const struct caller *as)
{
    char key[40];
    struct http_field headers[] = {{STR("Idempotency-Key"), STR_NONE}};
    struct local_request rq = {.method = method,
                               .path = path,
                               .body = str_from(body),
                               .headers = headers,
                               .n_headers = 1,
                               .listener = as->role == SERVICE ? 1 : 0,
                               .as = as};
    int status = 0;
    snprintf(key, sizeof key, "key-%" PRId64, ++w.keys);
    headers[0].value = str_from(key);
    enum err e = platform_request(w.p, &w.arena, &rq, &status, &last_body);
    CHECK((e == ERR_OK) == (status < 400));
    return status;
}

static bool said(const char *text)
{
    return str_find(last_body, str_from(text)) != SIZE_MAX;
}

static const char *id_text(struct uuid id)
{
    struct ctx cx = ctx_of("order");
    return ctx_uuid_text(&cx, id);
}

static int customer(struct uuid who, struct uuid id, const char *verb, const char *body)
{
    const struct caller as = {.role = CUSTOMER, .user_id = who};
    char path[120];

    snprintf(path, sizeof path, "/v1/orders/%s%s", id_text(id), verb);
    return call(body ? HTTP_POST : HTTP_GET, path, body, &as);
}

static int shop(struct uuid who, struct uuid id, const char *verb, const char *body)
{
    const struct caller as = {.role = OWNER, .user_id = who};
    char path[160];

    snprintf(path, sizeof path, "/v1/owner/stores/%s/orders/%s%s", id_text(w.store_id), id_text(id),
             verb);
    return call(body ? HTTP_POST : HTTP_GET, path, body, &as);
}

static int pin(struct uuid id, struct uuid payer, struct uuid payment_id, int64_t won)
{
    const struct caller as = {.role = SERVICE, .service = STR("payment")};
    char path[120], body[200];

    snprintf(path, sizeof path, "/internal/v1/orders/%s/pin", id_text(id));
    snprintf(body, sizeof body,
             "{\"customerId\":\"%s\",\"paymentId\":\"%s\",\"amountWon\":%" PRId64 "}",
             id_text(payer), id_text(payment_id), won);
    int status = call(HTTP_POST, path, body, &as);
    settle();
    return status;
}

/* The payment service says something about an order. */
static void payment_says(const char *type, struct uuid id, struct uuid payment_id, int64_t won)
{
    struct ctx cx = ctx_of("payment");
    struct note n = {.order_id = id, .payment_id = payment_id, .amount_won = won};
    if (strcmp(type, "payment.declined") == 0)
        n.code = STR("REJECT_CARD_COMPANY");
    bool fails = w.fails;
    w.fails = false;
    CHECK(db_begin(&cx) == ERR_OK);
    CHECK(outbox_append(&cx, type, id, note_fields, &n) == ERR_OK);
    CHECK(db_commit(&cx) == ERR_OK);
    w.fails = fails;
    settle();
}

static struct uuid new_payment(void)
{
    struct ctx cx = ctx_of("order");
    return ctx_uuid(&cx);
}

static struct uuid place_paid(void)
{
    struct uuid id = place(), payment_id = new_payment();

    CHECK_INT(pin(id, w.customer, payment_id, 23000), 200);
    payment_says("payment.captured", id, payment_id, 23000);
    CHECK_STATUS(id, PAID);
    return id;
}
