/* people.c -- customers, owners and an operator who do what people do, impatiently and at the wrong
 * moment. */
#include "sim.h"

#include <stdio.h>

#include "data/json.h"

struct answered {
    struct uuid order_id, payment_id;
    struct str status, payment_key;
    int64_t total_won, captured_won;
    struct list items;
};
static const struct field item_fields[] = {
    F_UUID(struct answered, order_id, "orderId", 0, ""),
    F_UUID(struct answered, payment_id, "paymentId", 0, ""),
    F_STR(struct answered, status, "status", 0, 0, 50, ""),
    F_END(struct answered),
};
static const struct field answered_fields[] = {
    F_UUID(struct answered, order_id, "orderId", 0, ""),
    F_UUID(struct answered, payment_id, "paymentId", 0, ""),
    F_STR(struct answered, status, "status", 0, 0, 50, ""),
    F_STR(struct answered, payment_key, "paymentKey", 0, 0, 200, ""),
    F_INT(struct answered, total_won, "totalWon", 0, 0, INT64_MAX, ""),
    F_LIST(struct answered, items, "items", 0, 0, 1000, item_fields, ""),
    F_END(struct answered),
};

static struct answered read_answer(struct arena *a, struct str body)
{
    struct rng rng;
    struct answered out = {0};

    rng_seed(&rng, 1);
    struct ctx cx = {.arena = a, .clock = &clock_system, .rng = &rng};
    if (json_decode_lenient(&cx, answered_fields, &out, body) != ERR_OK)
        return (struct answered){0};
    return out;
}

static const char *text_of(struct arena *a, struct uuid u)
{
    char *text = arena_alloc(a, UUID_TEXT_SIZE);

    uuid_format(u, text);
    return text;
}

static struct caller customer_caller(const struct customer *c)
{
    return (struct caller){.role = CUSTOMER, .user_id = c->id};
}

static struct str new_key(struct sim *s, struct customer *c)
{
    return arena_printf(&s->arena, "key-%zu-%lld", (size_t)(c - s->customers),
                        (long long)c->keys++);
}

static void add_to_cart(struct sim *s, struct arena *a, struct customer *c)
{
    unsigned store = 1 + pick(s, STORES),
             item = roll(s, 50) ? 5 : 1 + pick(s, 10); /* 5 is counted */
    struct caller as = customer_caller(c);
    struct str body, answer, options = STR("");

    if (item <= 5) /* the first option of the obligatory group */
        options = arena_printf(a, "\"%s\"", text_of(a, demo_id(DEMO_OPTION, store, item, 101)));
    body = arena_printf(
        a, "{\"menuItemId\":\"%s\",\"quantity\":%u,\"replace\":true,\"optionIds\":[%.*s]}",
        text_of(a, demo_id(DEMO_ITEM, store, item, 0)), 1 + pick(s, 12), STR_ARG(options));
    (void)ask(s, a, &as, 0, HTTP_POST, STR("/v1/cart/items"), body, STR_NONE, &answer);
}

static void remember(struct sim *s, struct uuid order_id, struct str key)
{
    for (size_t i = 0; i < s->n_told; i++) {
        if (str_eq(s->told[i].key, key)) {
            if (!uuid_eq(s->told[i].order_id, order_id))
                wrong(s, "I-9: key %.*s made two orders", STR_ARG(key));
            return;
        }
    }
    if (s->n_told < OLD_MAX)
        s->told[s->n_told++] = (struct told){order_id, arena_copy(&s->arena, key), false};
}

static void place(struct sim *s, struct arena *a, struct customer *c)
{
    struct caller as = customer_caller(c);
    struct str answer;

    if (!c->place.is_open) {
        c->place = (struct pending){.is_open = true, .key = new_key(s, c)};
        size_t n = (size_t)(c - s->customers) + 1;
        c->place.body = arena_printf(&s->arena, "{\"addressId\":\"%s\"}",
                                     text_of(a, demo_id(DEMO_ADDRESS, (unsigned)n, 0, 0)));
    }
    struct pending p = c->place;
    int status = ask(s, a, &as, 0, HTTP_POST, STR("/v1/orders"), p.body, p.key, &answer);
    if (status == 201) {
        struct answered in = read_answer(a, answer);
        remember(s, in.order_id, p.key);
        c->order_id = in.order_id;
        c->total_won = in.total_won;
        c->payment_key = STR_NONE;
        c->confirm = (struct pending){0};
    }
    if (status == 201 || (status >= 400 && status < 500 && status != 409))
        c->place.is_open = roll(s, 20); /* some ask again although they were answered */
    else if (status == 409)
        c->place.is_open = false;
}

static void authorize(struct sim *s, struct arena *a, struct customer *c)
{
    static const char *const outcomes[] = {"approve",        "approve",       "approve",
                                           "timeout_before", "timeout_after", "error"};
    const struct caller guest = {.role = GUEST};
    const char *outcome =
        roll(s, s->weather.decline) ? "decline" : outcomes[pick(s, COUNT_OF(outcomes))];
    struct str answer;

    if (uuid_is_nil(c->order_id) || c->total_won == 0)
        return;
    if (!roll(s, 10)) { /* looks before paying; some do not */
        struct caller as = customer_caller(c);
        struct str path = arena_printf(a, "/v1/orders/%s", text_of(a, c->order_id));
        if (ask(s, a, &as, 0, HTTP_GET, path, STR_NONE, STR_NONE, &answer) != 200)
            return;
        struct str status = read_answer(a, answer).status;
        if (!str_eq(status, STR("AWAITING_PAYMENT"))) {
            if (!str_eq(status, STR("STOCK_PENDING")))
                c->order_id = UUID_NIL; /* on to the next one */
            return;
        }
    }
    int64_t amount = roll(s, 4) ? c->total_won + 1 : c->total_won; /* somebody tampers */
    struct str body = arena_printf(a, "{\"orderId\":\"%s\",\"amount\":%lld,\"outcome\":\"%s\"}",
                                   text_of(a, c->order_id), (long long)amount, outcome);
    if (ask(s, a, &guest, 2, HTTP_POST, STR("/simulator/authorize"), body, STR_NONE, &answer) !=
        200)
        return;
    c->payment_key = arena_copy(&s->arena, read_answer(a, answer).payment_key);
    c->confirm = (struct pending){.is_open = true, .key = new_key(s, c), .order_id = c->order_id};
    c->confirm.body =
        arena_printf(&s->arena, "{\"paymentKey\":\"%.*s\",\"orderId\":\"%s\",\"amountWon\":%lld}",
                     STR_ARG(c->payment_key), text_of(a, c->order_id), (long long)c->total_won);
}

static void confirm(struct sim *s, struct arena *a, struct customer *c)
{
    struct caller as = customer_caller(c);
    struct str answer;

    if (!c->confirm.is_open)
        return;
    int status = ask(s, a, &as, 0, HTTP_POST, STR("/v1/payments/confirm"), c->confirm.body,
                     c->confirm.key, &answer);
    if (status == 200) {
        struct answered in = read_answer(a, answer);
        for (size_t i = 0; i < s->n_told; i++)
            if (uuid_eq(s->told[i].order_id, in.order_id) && str_eq(in.status, STR("CAPTURED")))
                s->told[i].captured = true;
    }
    if (status == 200 || status == 202 || (status >= 400 && status < 500))
        c->confirm.is_open = roll(s, 15);
}

static void cancel(struct sim *s, struct arena *a, struct customer *c)
{
    struct caller as = customer_caller(c);
    struct str answer;

    if (uuid_is_nil(c->order_id))
        return;
    struct str path = arena_printf(a, "/v1/orders/%s/cancel", text_of(a, c->order_id));
    (void)ask(s, a, &as, 0, HTTP_POST, path, STR("{\"reason\":\"changed my mind\"}"), new_key(s, c),
              &answer);
}

static void look(struct sim *s, struct arena *a, struct customer *c)
{
    struct caller as = customer_caller(c);
    struct str answer;

    if (uuid_is_nil(c->order_id))
        return;
    struct str path = arena_printf(a, "/v1/orders/%s", text_of(a, c->order_id));
    if (ask(s, a, &as, 0, HTTP_GET, path, STR_NONE, STR_NONE, &answer) == 404)
        wrong(s, "I-16: an order that was answered 201 is gone: %s", text_of(a, c->order_id));
}

static const char *const actions[] = {"accept", "refuse",  "delay",    "cook",
                                      "ready",  "deliver", "complete", "cancel"};

static void owner_does(struct sim *s, struct arena *a, unsigned store, struct uuid order_id,
                       const char *action)
{
    const struct caller as = {.role = OWNER,
                              .user_id = demo_id(DEMO_OWNER, (store - 1) % DEMO_OWNERS + 1, 0, 0)};
    struct str answer, body = STR_NONE;

    if (action == actions[0] || action == actions[2])
        body = STR("{\"minutes\":20}");
    if (action == actions[1] || action == actions[7])
        body = STR("{\"reason\":\"too busy\"}");
    struct str path =
        arena_printf(a, "/v1/owner/stores/%s/orders/%s/%s",
                     text_of(a, demo_id(DEMO_STORE, store, 0, 0)), text_of(a, order_id), action);
    (void)ask(s, a, &as, 0, HTTP_POST, path, body, arena_printf(a, "owner-%d-%s", s->steps, action),
              &answer);
}

static struct list board(struct sim *s, struct arena *a, unsigned store, const char *status)
{
    const struct caller as = {.role = OWNER,
                              .user_id = demo_id(DEMO_OWNER, (store - 1) % DEMO_OWNERS + 1, 0, 0)};
    struct str answer;
    struct str path = arena_printf(a, "/v1/owner/stores/%s/orders?limit=100%s%s",
                                   text_of(a, demo_id(DEMO_STORE, store, 0, 0)),
                                   status ? "&status=" : "", status ? status : "");

    if (ask(s, a, &as, 0, HTTP_GET, path, STR_NONE, STR_NONE, &answer) != 200)
        return (struct list){NULL, 0};
    return read_answer(a, answer).items;
}

/* The shop itself: sold out and back, paused and open, more or fewer portions. */
static void keep_shop(struct sim *s, struct arena *a, unsigned store)
{
    const struct caller as = {.role = OWNER,
                              .user_id = demo_id(DEMO_OWNER, (store - 1) % DEMO_OWNERS + 1, 0, 0)};
    const char *own =
        arena_printf(a, "/v1/owner/stores/%s", text_of(a, demo_id(DEMO_STORE, store, 0, 0))).p;
    const char *item = text_of(a, demo_id(DEMO_ITEM, store, 5, 0));
    struct str answer;

    switch (pick(s, 4)) {
    case 0:
        (void)ask(s, a, &as, 0, HTTP_PUT, arena_printf(a, "%s/menu-items/%s/sold-out", own, item),
                  roll(s, 30) ? STR("{\"soldOut\":true}") : STR("{\"soldOut\":false}"), STR_NONE,
                  &answer);
        break;
    case 1:
        (void)ask(s, a, &as, 0, HTTP_POST,
                  arena_printf(a, "%s/menu-items/%s/stock/adjustments", own, item),
                  arena_printf(a, "{\"delta\":%d,\"reason\":\"counted\"}", (int)pick(s, 30) - 8),
                  arena_printf(a, "count-%lld", (long long)s->counts++), &answer);
        break;
    case 2:
        (void)ask(s, a, &as, 0, HTTP_POST, arena_printf(a, "%s/pause", own),
                  STR("{\"minutes\":10,\"reason\":\"rush\"}"), STR_NONE, &answer);
        break;
    default:
        (void)ask(s, a, &as, 0, HTTP_POST, arena_printf(a, "%s/resume", own), STR_NONE, STR_NONE,
                  &answer);
        break;
    }
}

/* An order that is on no board yet: its owner knows the id, and cannot wait. */
static void owner_is_early(struct sim *s, struct arena *a, unsigned store)
{
    struct uuid id = s->customers[pick(s, CUSTOMERS)].order_id;

    if (!uuid_is_nil(id))
        owner_does(s, a, store, id, actions[pick(s, COUNT_OF(actions))]);
}

/* Mostly the next thing to do; sometimes anything to any order. */
static void owner(struct sim *s, struct arena *a)
{
    static const struct {
        const char *status;
        int action;
    } next[] = {{"PAID", 0},  {"ACCEPTED", 3},   {"COOKING", 4},
                {"READY", 5}, {"DELIVERING", 6}, {"PAID", 1}};
    unsigned store = 1 + pick(s, STORES), n = pick(s, COUNT_OF(next));
    bool anything = roll(s, 15);

    if (roll(s, 15)) {
        owner_is_early(s, a, store);
        return;
    }
    struct list items = board(s, a, store, anything ? NULL : next[n].status);

    if (items.n == 0 || roll(s, 20)) {
        keep_shop(s, a, store);
        return;
    }
    struct uuid id = LIST_AT(struct answered, items, pick(s, (unsigned)items.n))->order_id;
    owner_does(s, a, store, id,
               actions[anything ? pick(s, COUNT_OF(actions)) : (unsigned)next[n].action]);
}

/* An operator gives some of the money of a paid order back. */
static void operator(struct sim *s, struct arena *a)
{
    const struct caller as = {.role = ADMIN, .user_id = demo_id(DEMO_ADMIN, 1, 0, 0)};
    const struct customer *c = &s->customers[pick(s, CUSTOMERS)];
    struct caller customer = customer_caller(c);
    struct str answer;

    if (ask(s, a, &customer, 0, HTTP_GET, STR("/v1/payments"), STR_NONE, STR_NONE, &answer) != 200)
        return;
    struct list items = read_answer(a, answer).items;
    if (items.n == 0)
        return;
    struct uuid id = LIST_AT(struct answered, items, pick(s, (unsigned)items.n))->payment_id;
    struct str path = arena_printf(a, "/v1/admin/payments/%s/refunds", text_of(a, id));
    struct str body =
        arena_printf(a, "{\"amountWon\":%u,\"reason\":\"cold food\",\"payer\":\"platform\"}",
                     1000 + pick(s, 3000));
    (void)ask(s, a, &as, 0, HTTP_POST, path, body, arena_printf(a, "op-%d", s->steps), &answer);
}

/* Whoever runs the shop's account at the provider gives money back there. */
static void dashboard(struct sim *s, struct arena *a, const struct customer *c)
{
    const struct caller guest = {.role = GUEST};
    struct str answer;

    if (!c->payment_key.n)
        return;
    struct str path = arena_printf(a, "/v1/payments/%.*s/cancel", STR_ARG(c->payment_key));
    struct str body =
        roll(s, 30) ? STR("{\"cancelReason\":\"asked\"}")
                    : arena_printf(a, "{\"cancelReason\":\"here you are\",\"cancelAmount\":%u}",
                                   500 + pick(s, 9000));
    (void)ask(s, a, &guest, 2, HTTP_POST, path, body, STR_NONE, &answer);
}

void people_act(struct sim *s)
{
    struct customer *c = &s->customers[pick(s, CUSTOMERS)];
    unsigned what = pick(s, 100);
    struct arena a;

    /* Mostly the next thing that makes sense, otherwise anything. */
    if (what >= 22 && what < 76 && roll(s, 70))
        what = c->confirm.is_open                               ? 60
               : !uuid_is_nil(c->order_id) && !c->payment_key.n ? 50
               : roll(s, 60)                                    ? 30
                                                                : 0;
    arena_init(&a, 64u << 20);
    if (what < 22)
        add_to_cart(s, &a, c);
    else if (what < 44)
        place(s, &a, c);
    else if (what < 58)
        authorize(s, &a, c);
    else if (what < 76)
        confirm(s, &a, c);
    else if (what < 79)
        cancel(s, &a, c);
    else if (what < 81)
        look(s, &a, c);
    else if (what < 92)
        owner(s, &a);
    else if (what < 97)
        operator(s, &a);
    else
        dashboard(s, &a, c);
    arena_release(&a);
}

/* An operator's last word on what only a person may decide. */
static void resolve(struct sim *s, struct arena *a)
{
    const struct caller as = {.role = ADMIN, .user_id = demo_id(DEMO_ADMIN, 1, 0, 0)};
    struct str answer;

    if (ask(s, a, &as, 0, HTTP_GET, STR("/v1/admin/orders?status=MANUAL_REVIEW&limit=100"),
            STR_NONE, STR_NONE, &answer) != 200)
        return;
    struct list items = read_answer(a, answer).items;
    for (size_t i = 0; i < items.n; i++) {
        struct str path = arena_printf(a, "/v1/admin/orders/%s/resolve",
                                       text_of(a, LIST_AT(struct answered, items, i)->order_id));
        (void)ask(s, a, &as, 0, HTTP_POST, path,
                  STR("{\"to\":\"CANCELLED\",\"reason\":\"the provider never answered\"}"),
                  arena_printf(a, "resolve-%d-%zu", s->steps, i), &answer);
    }
}

void people_insist(struct sim *s)
{
    static const struct {
        const char *status;
        int action;
    } next[] = {{"ACCEPTED", 3}, {"COOKING", 4}, {"READY", 5}, {"DELIVERING", 6}};
    struct arena a;

    arena_init(&a, 64u << 20);
    for (size_t i = 0; i < CUSTOMERS; i++) {
        if (s->customers[i].place.is_open)
            place(s, &a, &s->customers[i]);
        if (s->customers[i].confirm.is_open)
            confirm(s, &a, &s->customers[i]);
    }
    for (unsigned store = 1; store <= STORES; store++)
        for (size_t n = 0; n < COUNT_OF(next); n++) {
            struct list items = board(s, &a, store, next[n].status);
            for (size_t i = 0; i < items.n; i++)
                owner_does(s, &a, store, LIST_AT(struct answered, items, i)->order_id,
                           actions[next[n].action]);
        }
    resolve(s, &a);
    arena_release(&a);
}
