/* service.c -- the order service's tables: who may call what, which events it follows. */
#include "migrations_order.h"
#include "order/cart.h"
#include "order/counts.h"

#define BUYER (GUEST | CUSTOMER)
#define SHOP (OWNER | STAFF)
#define BOARD "/v1/owner/stores/{storeId}/orders"

/* clang-format off */
static const struct route routes[] = {
    {HTTP_GET, "/v1/cart", BUYER, cart_get, NULL, NULL, cart_fields, 0, 200, NULL, "The cart, priced now; a guest's is named by Jumun-Cart."},
    {HTTP_POST, "/v1/cart/items", BUYER, cart_add, cart_add_fields, NULL, cart_fields, BEGINS | KEYED, 201, NULL, "Adds; the same item with the same options adds up."},
    {HTTP_PATCH, "/v1/cart/items/{cartItemId}", BUYER, cart_change, cart_change_fields, NULL, cart_fields, 0, 200, NULL, "Another quantity."},
    {HTTP_DELETE, "/v1/cart/items/{cartItemId}", BUYER, cart_remove, NULL, NULL, cart_fields, 0, 200, NULL, "Takes it out."},
    {HTTP_DELETE, "/v1/cart", BUYER, cart_clear, NULL, NULL, NULL, 0, 204, NULL, "Empties it."},
    {HTTP_POST, "/internal/v1/carts/merge", SERVICE, cart_merge, cart_merge_fields, NULL, NULL, INTERNAL, 204, NULL, "A guest's cart becomes the customer's, at login."},

    {HTTP_POST, "/v1/orders", CUSTOMER, order_place, place_fields, NULL, order_fields, IDEMPOTENT | CALLS_OUT | WAITS | BEGINS, 201, NULL, "Orders the cart. Prefer: wait=N waits for the stock's answer."},
    {HTTP_GET, "/v1/orders", CUSTOMER, order_list, NULL, order_list_query_fields, order_fields, LIST, 200, NULL, "One's own, newest first."},
    {HTTP_GET, "/v1/orders/{orderId}", CUSTOMER, order_get, NULL, NULL, order_fields, WAITS, 200, NULL, "One of one's own. Prefer: wait=N waits while an answer of the stock or the payment is on its way."},
    {HTTP_POST, "/v1/orders/{orderId}/cancel", CUSTOMER, order_cancel, cancel_fields, NULL, order_fields, IDEMPOTENT, 200, guard_customer, "200: cancelled. 202: money or stock still moves. 409: too late."},
    {HTTP_GET, "/v1/orders/{orderId}/events", CUSTOMER, order_events, NULL, NULL, live_fields, EVENTS | LIST, 200, guard_customer, "Server-sent events named `status`; the id is the step's number, Last-Event-ID goes on behind it."},
    {HTTP_GET, "/v1/orders/{orderId}/receipt", CUSTOMER, order_receipt, NULL, NULL, receipt_fields, 0, 200, guard_customer, "Of an order that was paid, with its value added tax."},
    {HTTP_POST, "/v1/orders/{orderId}/reorder", CUSTOMER, order_reorder, NULL, NULL, cart_fields, 0, 200, guard_customer, "The cart becomes what this order was, at today's prices."},

    {HTTP_GET, BOARD, SHOP, board_list, NULL, board_query_fields, order_fields, LIST, 200, guard_store, "Paid orders, newest first; active=true: those that wait for the store."},
    {HTTP_GET, BOARD "/events", SHOP, board_events, NULL, NULL, live_fields, EVENTS | LIST, 200, guard_store, "Server-sent events of all orders: `status`, `waiting`, `overdue`; `reload` when too much was missed. Open it, then read the list."},
    {HTTP_GET, BOARD "/{orderId}", SHOP, board_get, NULL, NULL, order_fields, 0, 200, guard_store, "One order of the store."},
    {HTTP_POST, BOARD "/{orderId}/accept", SHOP, board_accept, accept_fields, NULL, order_fields, KEYED, 200, guard_store, "Takes it on, with the minutes until it is there."},
    {HTTP_POST, BOARD "/{orderId}/refuse", SHOP, board_refuse, reason_fields, NULL, order_fields, IDEMPOTENT, 200, guard_store, "The money goes back."},
    {HTTP_POST, BOARD "/{orderId}/delay", SHOP, board_delay, accept_fields, NULL, order_fields, IDEMPOTENT, 200, guard_store, "So many minutes later than told."},
    {HTTP_POST, BOARD "/{orderId}/cook", SHOP, board_cook, NULL, NULL, order_fields, KEYED, 200, guard_store, "The kitchen has begun: no cancel any more."},
    {HTTP_POST, BOARD "/{orderId}/ready", SHOP, board_ready, NULL, NULL, order_fields, KEYED, 200, guard_store, "Waits for the rider."},
    {HTTP_POST, BOARD "/{orderId}/deliver", SHOP, board_deliver, NULL, NULL, order_fields, KEYED, 200, guard_store, "On its way."},
    {HTTP_POST, BOARD "/{orderId}/complete", SHOP, board_complete, NULL, NULL, order_fields, KEYED, 200, guard_store, "Handed over."},
    {HTTP_POST, BOARD "/{orderId}/print", SHOP, board_print, NULL, NULL, order_fields, IDEMPOTENT, 200, guard_store, "Hands the kitchen's ticket out, once; whose answer was lost asks with the same key."},
    {HTTP_GET, "/v1/owner/stores/{storeId}/figures", OWNER, store_figures, NULL, figures_query_fields, figures_fields, LIST, 200, guard_store_owner, "Orders, revenue, refunds and best items by day in Seoul.", OWNER},
    {HTTP_POST, BOARD "/{orderId}/cancel", SHOP, board_cancel, reason_fields, NULL, order_fields, IDEMPOTENT, 200, guard_store, "After accepting, before cooking; the money goes back."},

    {HTTP_POST, "/internal/v1/orders/{orderId}/pin", SERVICE, order_pin, pin_fields, NULL, order_status_fields, INTERNAL, 200, NULL, "Holds the order still while its money may move. Idempotent per payment."},
    {HTTP_GET, "/internal/v1/customers/{customerId}/orders", SERVICE, order_list_internal, NULL, order_list_query_fields, order_fields, INTERNAL | LIST, 200, NULL, "A customer's, newest first; for the export of what we hold."},
    {HTTP_GET, "/internal/v1/orders/{orderId}/status", SERVICE, order_status, NULL, NULL, order_status_fields, INTERNAL, 200, NULL, "Where it stands."},
    {HTTP_GET, "/internal/v1/orders/{orderId}/checkout", SERVICE, order_checkout, NULL, checkout_query_fields, order_checkout_fields, INTERNAL, 200, NULL, "What the payment window shows."},

    {HTTP_GET, "/v1/admin/orders", ADMIN, admin_list, NULL, admin_query_fields, order_fields, LIST, 200, NULL, "All orders, newest first."},
    {HTTP_GET, "/v1/admin/orders/{orderId}/story", ADMIN, admin_story, NULL, NULL, story_fields, 0, 200, NULL, "Every step, event, timer and dead letter of one order."},
    {HTTP_POST, "/v1/admin/orders/{orderId}/resolve", ADMIN, admin_resolve, resolve_fields, NULL, order_fields, IDEMPOTENT, 200, NULL, "The way out of MANUAL_REVIEW; kept in the history."},
    {HTTP_GET, "/v1/admin/dead-letters", ADMIN, dead_letters_list, NULL, NULL, dead_letter_fields, LIST | CALLS_OUT, 200, NULL, "Events that some service could not apply."},
    {HTTP_POST, "/v1/admin/dead-letters/{letter}/retry", ADMIN, dead_letter_retry, NULL, NULL, NULL, CALLS_OUT, 204, NULL, "Applies it again, and those behind it on its key."},
    {HTTP_POST, "/v1/admin/dead-letters/{letter}/discard", ADMIN, dead_letter_discard, NULL, NULL, NULL, CALLS_OUT, 204, NULL, "Drops it for good; those behind it flow."},
    {0},
};
/* clang-format on */

static const char *const topics[] = {"auth", "store", "payment", NULL};

const struct service order_service = {
    .name = "order",
    .routes = routes,
    .topics = topics,
    .consumers = order_consumers,
    .start = order_counts_start,
    .watchers = order_watchers,
    .applied = order_applied,
    .timers = order_timers,
    .jobs = order_jobs,
    .sweeps = order_sweeps,
    .outbox_keep_us = 7 * US_PER_DAY, /* operators read them in an order's story */
    .migrations = migrations_order,
};
