/* holds.c -- the store never ends a hold by itself; old ones it asks the order service about. */
#include "flow/outbox.h"
#include "obs/log.h"
#include "service/call.h"
#include "store/stock.h"

#define HOLD_OLD_US (30 * US_PER_MIN)
#define ASKED_AT_ONCE 50
#define ASKED_MAX 2000 /* in one run */
#define CALL_US (3 * US_PER_S)

struct hold {
    struct uuid order_id;
    int64_t created_at;
};
static const struct field hold_fields[] = {
    F_UUID(struct hold, order_id, "orderId", 0, "order"),
    F_TIME(struct hold, created_at, "createdAt", 0, "since when"),
    F_END(struct hold),
};

struct order_state {
    struct str status;
};
static const struct field order_state_fields[] = {
    F_STR(struct order_state, status, "status", REQUIRED, 1, 30, "status of the order"),
    F_END(struct order_state),
};

static bool is_dead(struct str status)
{
    static const char *const dead[] = {"CANCELLED", "EXPIRED", "REJECTED", "PAYMENT_FAILED"};

    for (size_t i = 0; i < COUNT_OF(dead); i++)
        if (str_eq(status, str_from(dead[i])))
            return true;
    return false;
}

static enum err release(struct ctx *cx, struct uuid order_id)
{
    TRY(db_begin(cx));
    TRY(reservation_release(cx, order_id, true));
    return db_commit(cx);
}

/* An order that does not exist never committed: its hold is an orphan too. */
static enum err ask(struct ctx *cx, struct uuid order_id)
{
    struct order_state state = {0};
    struct str path =
        arena_printf(cx->arena, "/internal/v1/orders/%s/status", ctx_uuid_text(cx, order_id));

    cx->deadline_us = clock_monotonic_us() + CALL_US;
    enum err e =
        call_service(cx, "order", HTTP_GET, path.p, NULL, NULL, order_state_fields, &state);
    cx->deadline_us = 0;
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        return e;
    if (e == ERR_OK && !is_dead(state.status))
        return ERR_OK;
    log_event(cx, LOG_WARN, "hold of order %s is an orphan; released", ctx_uuid_text(cx, order_id));
    return release(cx, order_id);
}

/* It says nothing of the order: the next question would wait as long, and timers wait for us. */
static bool is_away(enum err e)
{
    return e == ERR_UNAVAILABLE || e == ERR_STARTING || e == ERR_BUSY || e == ERR_DEADLINE ||
           e == ERR_UPSTREAM;
}

/* Those of one page, until somebody is away. */
static enum err ask_each(struct ctx *cx, struct list holds, enum err *first_failed)
{
    for (size_t i = 0; i < holds.n && !svc_is_stopping(cx->svc); i++) {
        enum err e = ask(cx, LIST_AT(struct hold, holds, i)->order_id);
        if (e == ERR_OK)
            continue;
        db_rollback(cx);
        if (is_away(e))
            return e;
        *first_failed = *first_failed == ERR_OK ? e : *first_failed;
    }
    return ERR_OK;
}

/* Old ones that live on, or of which no sense can be made, stand in front of nobody. */
enum err holds_ask(struct ctx *cx)
{
    struct hold last = {.created_at = INT64_MIN};
    struct list holds = {NULL, ASKED_AT_ONCE};
    enum err first_failed = ERR_OK;

    for (size_t asked = 0;
         holds.n == ASKED_AT_ONCE && asked < ASKED_MAX && !svc_is_stopping(cx->svc);
         asked += holds.n) {
        TRY(db_all(
            cx, hold_fields, &holds,
            "select order_id, created_at from reservations where state = 'HELD'"
            " and created_at < $1 and (created_at > $2 or (created_at = $2 and order_id > $3))"
            " order by created_at, order_id limit $4",
            ARGS(db_int(ctx_now(cx) - HOLD_OLD_US), db_int(last.created_at), db_uuid(last.order_id),
                 db_int(ASKED_AT_ONCE))));
        TRY(ask_each(cx, holds, &first_failed));
        if (holds.n > 0)
            last = *LIST_AT(struct hold, holds, holds.n - 1);
    }
    return first_failed;
}
