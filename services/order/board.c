/* board.c -- what a store does with an order: every action is one step of the saga. */
#include "order/saga.h"

#include "base/fault.h"

struct accept {
    int64_t minutes;
};
const struct field accept_fields[] = {
    F_INT(struct accept, minutes, "minutes", REQUIRED, 1, 180, "until it is at the door"),
    F_END(struct accept),
};

struct reason {
    struct str reason;
};
const struct field reason_fields[] = {
    F_STR(struct reason, reason, "reason", REQUIRED | ONE_LINE, 1, 200, "told to the customer"),
    F_END(struct reason),
};

/* The step decides whether the state allows it and whether the caller may: nothing is checked here.
 */
static enum err act(struct ctx *cx, const struct request *rq, struct reply *rp,
                    const struct saga_input *in)
{
    struct order o;

    TRY(db_begin(cx));
    TRY(order_load(cx, rq->id[1], &o));
    TRY(order_step(cx, &o, in));
    TRY(reply_order(cx, rp, 200, o.order_id));
    if (FAULT("order.board.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: order.board.commit");
    return db_commit(cx);
}

static enum err act_in(struct ctx *cx, const struct request *rq, struct reply *rp, enum step step)
{
    const struct accept *in = rq->body;

    return act(cx, rq, rp, &(struct saga_input){.step = step, .minutes = in->minutes});
}

static enum err act_for(struct ctx *cx, const struct request *rq, struct reply *rp, enum step step)
{
    const struct reason *in = rq->body;

    return act(cx, rq, rp, &(struct saga_input){.step = step, .reason = in->reason});
}

enum err board_accept(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return act_in(cx, rq, rp, OWNER_ACCEPTED);
}

enum err board_delay(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return act_in(cx, rq, rp, OWNER_DELAYED);
}

enum err board_refuse(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return act_for(cx, rq, rp, OWNER_REFUSED);
}

enum err board_cancel(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return act_for(cx, rq, rp, OWNER_CANCELLED);
}

enum err board_cook(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return act(cx, rq, rp, &(struct saga_input){.step = OWNER_COOKS});
}

enum err board_ready(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return act(cx, rq, rp, &(struct saga_input){.step = OWNER_READY});
}

enum err board_deliver(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return act(cx, rq, rp, &(struct saga_input){.step = OWNER_DELIVERS});
}

enum err board_complete(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    return act(cx, rq, rp, &(struct saga_input){.step = OWNER_COMPLETES});
}

/* Whoever prints first gets the ticket: two printers do not cook the same order twice. Nobody cooks
 * what goes back or waits for an operator. */
enum err board_print(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    int64_t changed = 0;

    TRY(db_begin(cx));
    TRY(db_change(
        cx, &changed,
        "update orders set printed_at = $2 where order_id = $1 and printed_at is null"
        " and status in ('PAID', 'ACCEPTED', 'COOKING', 'READY', 'DELIVERING', 'COMPLETED')",
        ARGS(db_uuid(rq->id[1]), db_int(ctx_now(cx)))));
    if (changed == 0)
        return fail(cx, ERR_ORDER_STATE, "not paid, given up, or its ticket was handed out");
    TRY(reply_order(cx, rp, 200, rq->id[1]));
    if (FAULT("order.print.commit"))
        return fail(cx, ERR_UNAVAILABLE, "fault: order.print.commit");
    return db_commit(cx);
}
