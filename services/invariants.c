/* invariants.c -- the rows of the audit, by the numbers of the list of invariants. */
#include "invariants.h"

#define CAPTURED "status in ('CAPTURED', 'REFUNDING', 'REFUNDED', 'PARTIALLY_REFUNDED')"
#define SOLD_STATES "status in ('PAID', 'ACCEPTED', 'COOKING', 'READY', 'DELIVERING', 'COMPLETED')"
#define LIVE_STATES "status not in ('COMPLETED', 'CANCELLED', 'EXPIRED', 'REJECTED', 'PAYMENT_FAILED')"

/* A query that must find nothing. */
#define NONE(number, doc, service, sql)                                                            \
    {                                                                                              \
        number, doc, {service, sql}, {NULL, NULL}, false, false                                    \
    }
/* Every event was published, and none was parked. */
#define EVENTS_OF(service)                                                                         \
    NONE("I-11", "every event is published", service,                                              \
         "select event_id as key, seq as value from outbox where published_at is null"),           \
        NONE("I-12", "no event is parked", service,                                                \
             "select event_id as key, id as value from parked")

const struct audit_row invariants[] = {
    NONE("I-1", "no count of stock is negative", "store",
         "select menu_item_id as key, available as value from inventory"
         " where available < 0 or reserved < 0 or sold < 0"),
    {"I-2", "available + reserved + sold is what was put in",
     {"store", "select menu_item_id as key, available + reserved + sold as value from inventory"
               " where available + reserved + sold <> 0 order by menu_item_id"},
     {"store", "select menu_item_id as key, sum(available_delta + reserved_delta + sold_delta) as value"
               " from stock_movements group by menu_item_id"
               " having sum(available_delta + reserved_delta + sold_delta) <> 0 order by menu_item_id"},
     false, false},
    {"I-3", "reserved is the sum of the held lines",
     {"store", "select menu_item_id as key, reserved as value from inventory where reserved <> 0 order by menu_item_id"},
     {"store", "select l.menu_item_id as key, sum(l.quantity) as value from reservation_lines l"
               " join reservations r on r.reservation_id = l.reservation_id"
               " where r.state = 'HELD' and l.is_counted = 1 group by l.menu_item_id order by l.menu_item_id"},
     false, false},
    {"I-3", "sold is the sum of the sold lines",
     {"store", "select menu_item_id as key, sold as value from inventory where sold <> 0 order by menu_item_id"},
     {"store", "select l.menu_item_id as key, sum(l.quantity) as value from reservation_lines l"
               " join reservations r on r.reservation_id = l.reservation_id"
               " where r.state = 'SOLD' and l.is_counted = 1 group by l.menu_item_id order by l.menu_item_id"},
     false, false},
    {"I-4", "the movements replay to what is available",
     {"store", "select menu_item_id as key, available as value from inventory where available <> 0 order by menu_item_id"},
     {"store", "select menu_item_id as key, sum(available_delta) as value from stock_movements group by menu_item_id"
               " having sum(available_delta) <> 0 order by menu_item_id"},
     false, false},
    {"I-4", "the movements replay to what is reserved",
     {"store", "select menu_item_id as key, reserved as value from inventory where reserved <> 0 order by menu_item_id"},
     {"store", "select menu_item_id as key, sum(reserved_delta) as value from stock_movements group by menu_item_id"
               " having sum(reserved_delta) <> 0 order by menu_item_id"},
     false, false},
    {"I-5", "a hold belongs to an order that is not over",
     {"store", "select order_id as key, 1 as value from reservations where state = 'HELD' order by order_id"},
     {"order", "select order_id as key, 1 as value from orders where status in ('STOCK_PENDING', 'AWAITING_PAYMENT',"
               " 'CONFIRMING', 'MANUAL_REVIEW') order by order_id"},
     true, false},
    {"I-5", "what is sold belongs to an order that was paid",
     {"store", "select order_id as key, 1 as value from reservations where state = 'SOLD' order by order_id"},
     {"order", "select order_id as key, 1 as value from orders where " SOLD_STATES
               " or status in ('CANCELLING', 'MANUAL_REVIEW') order by order_id"},
     true, false},
    {"I-5", "what was paid is sold",
     {"store", "select order_id as key, 1 as value from reservations where state = 'SOLD' order by order_id"},
     {"order", "select order_id as key, 1 as value from orders where " SOLD_STATES " order by order_id"},
     false, true},
    NONE("I-6", "a paid order was captured in full", "order",
         "select order_id as key, captured_won as value from orders where " SOLD_STATES " and captured_won - late_won <> total_won"),
    {"I-6", "what orders know to be captured is what payments captured",
     {"order", "select order_id as key, captured_won as value from orders where captured_won <> 0 order by order_id"},
     {"payment", "select order_id as key, sum(amount_won) as value from payments where " CAPTURED
                 " group by order_id order by order_id"},
     false, false},
    NONE("I-6", "no frozen capture waits for a person", "payment",
         "select order_id as key, amount_won as value from payments where frozen_at is not null and reviewed_at is null"),
    {"I-7", "our captures are the provider's",
     {"payment", "select order_id as key, sum(amount_won) as value from payments where " CAPTURED
                 " group by order_id order by order_id"},
     {"toss", "select order_uuid as key, sum(amount) as value from payments where approved_at is not null"
              " and order_uuid is not null group by order_uuid order by order_uuid"},
     false, false},
    {"I-7", "our refunds are the provider's",
     {"payment", "select order_id as key, sum(refunded_won) as value from payments group by order_id"
                 " having sum(refunded_won) <> 0 order by order_id"},
     {"toss", "select p.order_uuid as key, sum(c.amount) as value from cancels c join payments p"
              " on p.payment_id = c.payment_id where p.order_uuid is not null group by p.order_uuid"
              " order by p.order_uuid"},
     false, false},
    {"I-8", "what orders know to be refunded is what payments gave back",
     {"order", "select order_id as key, refunded_won as value from orders where refunded_won <> 0 order by order_id"},
     {"payment", "select order_id as key, sum(refunded_won) as value from payments group by order_id"
                 " having sum(refunded_won) <> 0 order by order_id"},
     false, false},
    {"I-8", "a payment's refund is the sum of its refunds",
     {"payment", "select payment_id as key, refunded_won as value from payments where refunded_won <> 0"
                 " order by payment_id"},
     {"payment", "select payment_id as key, sum(amount_won) as value from refunds where status = 'DONE'"
                 " group by payment_id order by payment_id"},
     false, false},
    NONE("I-8", "a cancelled order got all its money back", "order",
         "select order_id as key, captured_won - refunded_won as value from orders"
         " where status in ('CANCELLED', 'EXPIRED', 'REJECTED', 'PAYMENT_FAILED') and captured_won <> refunded_won"),
    NONE("I-10", "each step begins where the one before ended", "order",
         "select h.order_id as key, h.n as value from order_history h join order_history p"
         " on p.order_id = h.order_id and p.n = h.n - 1 where p.status <> h.from_status"),
    NONE("I-10", "an order's status is that of its last step", "order",
         "select o.order_id as key, o.history_n as value from orders o left join order_history h"
         " on h.order_id = o.order_id and h.n = o.history_n where h.status is null or h.status <> o.status"),
    NONE("I-10", "no step is missing", "order",
         "select o.order_id as key, o.history_n as value from orders o where o.history_n <>"
         " (select count(*) from order_history h where h.order_id = o.order_id)"),
    EVENTS_OF("auth"),
    EVENTS_OF("user"),
    EVENTS_OF("store"),
    EVENTS_OF("order"),
    EVENTS_OF("payment"),
    NONE("I-13", "amounts recompute", "order",
         "select o.order_id as key, o.total_won as value from orders o where o.total_won <> o.items_won +"
         " o.delivery_fee_won or o.items_won <> (select sum(l.line_total_won) from order_lines l"
         " where l.order_id = o.order_id)"),
    NONE("I-14", "the entries of a transaction sum to zero", "payment",
         "select transaction_id as key, sum(amount_won) as value from ledger group by transaction_id"
         " having sum(amount_won) <> 0"),
    {"I-14", "the ledger is what was captured less what went back",
     {"payment", "select order_id as key, sum(amount_won) as value from ledger where account = 'provider'"
                 " group by order_id having sum(amount_won) <> 0 order by order_id"},
     {"payment", "select order_id as key, sum(amount_won - refunded_won) as value from payments where " CAPTURED
                 " group by order_id having sum(amount_won - refunded_won) <> 0 order by order_id"},
     false, false},
    NONE("I-15", "an order that is not over has something due", "order",
         "select order_id as key, history_n as value from orders where " LIVE_STATES
         " and not exists (select 1 from timers t where t.subject = orders.order_id)"),
    NONE("I-15", "an unresolved payment has something due", "payment",
         "select payment_id as key, amount_won as value from payments where status = 'CONFIRMING'"
         " and not exists (select 1 from timers t where t.subject = payments.payment_id and t.kind = 'payment.resolve')"),
    NONE("I-15", "a refund that is not done has something due", "payment",
         "select r.refund_id as key, r.amount_won as value from refunds r where r.status = 'REQUESTED'"
         " and not exists (select 1 from timers t where t.subject = r.payment_id and t.kind = 'payment.refund')"),
    {NULL, NULL, {NULL, NULL}, {NULL, NULL}, false, false},
};
