/* service.c -- the simulator's tables. It listens on an address of its own, as the real one would
 * be elsewhere. */
#include "migrations_toss.h"
#include "toss/toss.h"

/* clang-format off */
static const struct route routes[] = {
    {HTTP_POST, "/v1/payments/confirm", ANYONE, toss_confirm, NULL, NULL, NULL, RAW_BODY | CALLS_OUT | NOT_JSON, 200, NULL, "Captures what was authorised."},
    {HTTP_POST, "/v1/payments/{paymentKey}/cancel", ANYONE, toss_cancel, NULL, NULL, NULL, RAW_BODY | CALLS_OUT | NOT_JSON, 200, NULL, "Gives back all or some."},
    {HTTP_GET, "/v1/payments/{paymentKey}", ANYONE, toss_get, NULL, NULL, NULL, CALLS_OUT | NOT_JSON, 200, NULL, "A payment by its key."},
    {HTTP_GET, "/v1/payments/orders/{order}", ANYONE, toss_get_by_order, NULL, NULL, NULL, CALLS_OUT | NOT_JSON, 200, NULL, "The latest payment of an order."},
    {HTTP_GET, "/v1/transactions", ANYONE, toss_transactions, NULL, transactions_query_fields, NULL, CALLS_OUT | NOT_JSON, 200, NULL, "Captures and cancels of a time."},
    {HTTP_GET, "/window", ANYONE, toss_window, NULL, window_query_fields, NULL, NOT_JSON, 200, NULL, "The page that stands in for the Toss window."},
    {HTTP_GET, "/window.js", ANYONE, toss_script, NULL, NULL, NULL, NOT_JSON, 200, NULL, "The script that opens it."},
    {HTTP_POST, "/simulator/authorize", ANYONE, toss_authorize, authorize_fields, NULL, authorized_fields, 0, 200, NULL, "What the customer does in the window, for machines."},
    {HTTP_GET, "/simulator/faults", ANYONE, toss_faults_get, NULL, NULL, faults_fields, 0, 200, NULL, "How it misbehaves."},
    {HTTP_PUT, "/simulator/faults", ANYONE, toss_faults_put, faults_fields, NULL, faults_fields, 0, 200, NULL, "Makes it misbehave."},
    {HTTP_DELETE, "/simulator/faults", ANYONE, toss_faults_delete, NULL, NULL, faults_fields, 0, 200, NULL, "Makes it behave."},
    {HTTP_GET, "/simulator/books", ANYONE, toss_books, NULL, NULL, books_fields, 0, 200, NULL, "What it captured and gave back."},
    {0},
};

static const struct timer_row timers[] = {
    {"toss.capture", when_capture_is_due, false, "captures what was confirmed without an answer"},
    {"toss.webhook", when_webhook_is_due, true, "tells the shop, 1 to 4096 minutes apart"},
    {0},
};

static const struct job jobs[] = {
    {"toss.sweep", US_PER_MIN, toss_sweep, "expired sessions"},
    {0},
};

static const struct sweep sweeps[] = {
    {"keys", "keys", "scope", "select scope from keys where created_at < $1 order by created_at", KEY_KEEP_US, "answers to idempotency keys"},
    {0},
};
/* clang-format on */

const struct service toss_service = {
    .name = "toss",
    .routes = routes,
    .timers = timers,
    .jobs = jobs,
    .sweeps = sweeps,
    .migrations = migrations_toss,
    .listener = "toss",
};
