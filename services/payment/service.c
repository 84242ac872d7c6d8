/* service.c -- the payment service's tables: who may call what, which events it follows, what is
 * due. */
#include "migrations_payment.h"
#include "payment/payment.h"

struct abandon {
    struct uuid order_id;
    struct str code, message;
};
const struct field abandon_fields[] = {
    F_UUID(struct abandon, order_id, "orderId", REQUIRED, "order"),
    F_STR(struct abandon, code, "code", ONE_LINE, 0, 100, "as Toss gave it to the fail page"),
    F_STR(struct abandon, message, "message", ONE_LINE, 0, 300, "as Toss gave it to the fail page"),
    F_END(struct abandon),
};
static const struct field abandoned_fields[] = {
    F_UUID(struct abandon, order_id, "orderId", 0, "order"),
    F_STR(struct abandon, code, "code", 0, 0, 100, "the provider's code"),
    F_END(struct abandon),
};

struct status_only {
    struct str status;
};
static const struct field status_only_fields[] = {
    F_STR(struct status_only, status, "status", REQUIRED, 1, 30, "status of the order"),
    F_END(struct status_only),
};

/* The customer came back from the window without paying: told to whoever cares; the order stays
 * payable. */
enum err payment_abandon(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct abandon *in = rq->body;
    struct status_only order = {0};
    struct str path =
        arena_printf(cx->arena, "/internal/v1/orders/%s/checkout?customerId=%s",
                     ctx_uuid_text(cx, in->order_id), ctx_uuid_text(cx, cx->caller.user_id));

    TRY(call_service(cx, "order", HTTP_GET, path.p, NULL, NULL, status_only_fields, &order));
    TRY(db_begin(cx));
    TRY(outbox_append(cx, "payment.abandoned", in->order_id, abandoned_fields, in));
    TRY(db_commit(cx));
    return reply_none(cx, rp, 204);
}

struct store_changed {
    struct uuid store_id, owner_id;
};
static const struct field store_changed_fields[] = {
    F_UUID(struct store_changed, store_id, "storeId", REQUIRED, "store"),
    F_UUID(struct store_changed, owner_id, "ownerId", REQUIRED, "owner"),
    F_END(struct store_changed),
};

static enum err on_store_changed(struct ctx *cx, const struct event *e, const void *data)
{
    const struct store_changed *in = data;

    (void)e;
    return db_exec(cx,
                   "insert into store_owners (store_id, owner_id) values ($1, $2)"
                   " on conflict (store_id) do update set owner_id = excluded.owner_id",
                   ARGS(db_uuid(in->store_id), db_uuid(in->owner_id)));
}

static enum err guard_owner(struct ctx *cx, const struct request *rq)
{
    int64_t n = 0;

    TRY(db_int_of(cx, &n, "select count(*) from store_owners where store_id = $1 and owner_id = $2",
                  ARGS(db_uuid(rq->id[0]), db_uuid(cx->caller.user_id))));
    return n == 1 ? ERR_OK : fail(cx, ERR_NOT_FOUND, "store of another owner");
}

static enum err start(struct ctx *cx)
{
    reconcile_counts_start();
    return payment_counts_start(cx);
}

static enum err gauges(struct ctx *cx)
{
    TRY(count_frozen(cx));
    return count_reconciled(cx);
}

/* clang-format off */
static const struct route routes[] = {
    {HTTP_GET, "/v1/orders/{orderId}/checkout", CUSTOMER, payment_checkout, NULL, NULL, checkout_fields, CALLS_OUT, 200, NULL, "What the Toss window wants."},
    {HTTP_POST, "/v1/payments/confirm", CUSTOMER, payment_confirm, confirm_fields, NULL, payment_fields, IDEMPOTENT | CALLS_OUT, 200, NULL, "After the window; 202 while the provider is being asked."},
    {HTTP_POST, "/v1/payments/abandon", CUSTOMER, payment_abandon, abandon_fields, NULL, NULL, CALLS_OUT, 204, NULL, "The customer gave up in the window; the order stays payable."},
    {HTTP_GET, "/v1/payments", CUSTOMER, payment_list, NULL, payments_query_fields, payment_fields, LIST, 200, NULL, "One's own payments, newest first."},
    {HTTP_GET, "/v1/payments/{paymentId}", CUSTOMER, payment_get, NULL, NULL, payment_fields, 0, 200, NULL, "One payment with its refunds."},
    {HTTP_GET, "/v1/owner/stores/{storeId}/payments", OWNER, payment_store_list, NULL, payments_query_fields, payment_fields, LIST, 200, guard_owner, "Payments of a store, newest first.", OWNER},
    {HTTP_GET, "/internal/v1/customers/{customerId}/payments", SERVICE, payment_list_internal, NULL, payments_query_fields, payment_fields, INTERNAL | LIST, 200, NULL, "A customer's, newest first; for the export of what we hold."},
    {HTTP_POST, "/v1/webhooks/toss", ANYONE, payment_webhook, NULL, NULL, NULL, RAW_BODY, 200, NULL, "A hint to ask Toss again; believed in nothing."},
    {HTTP_POST, "/v1/admin/payments/{paymentId}/refunds", ADMIN, payment_admin_refund, admin_refund_fields, NULL, payment_fields, IDEMPOTENT, 202, NULL, "Gives money back, all or some."},
    {HTTP_GET, "/v1/admin/reconciliations", ADMIN, reconcile_list, NULL, reconciliations_query_fields, reconciliation_fields, LIST, 200, NULL, "Our books beside the provider's, newest comparison first."},
    {HTTP_POST, "/v1/admin/reconciliations/run", ADMIN, reconcile_run, reconcile_fields, NULL, reconciliation_fields, CALLS_OUT, 200, NULL, "Compares them now; each hour it is done by itself."},
    {0},
};

static const struct job jobs[] = {
    {"payment.reconcile", US_PER_HOUR, reconcile_sweep, "our books beside the provider's: an hour, and that of the day before once more"},
    {0},
};

static const struct sweep sweeps[] = {
    {"reconciliations", "reconciliations", "reconciliation_id", "select reconciliation_id from reconciliations where at < $1 order by at", 400 * US_PER_DAY, "comparisons of books"},
    {0},
};

static const char *const topics[] = {"order", "store", NULL};

static const struct consumer consumers[] = {
    {"order.refund_requested", on_refund_requested, refund_requested_fields, "gives back what was captured"},
    {"order.status_changed", on_order_reviewed, order_reviewed_fields, "a person has decided about a frozen payment", is_order_decided},
    {"store.changed", on_store_changed, store_changed_fields, "whose store it is"},
    {0},
};

static const struct timer_row timers[] = {
    {"payment.resolve", when_unresolved, true, "asks the provider what became of it"},
    {"payment.refund", when_refund_is_due, true, "sends the oldest refund of a payment"},
    {0},
};
/* clang-format on */

const struct service payment_service = {
    .name = "payment",
    .routes = routes,
    .topics = topics,
    .consumers = consumers,
    .start = start,
    .gauges = gauges,
    .timers = timers,
    .jobs = jobs,
    .sweeps = sweeps,
    .migrations = migrations_payment,
};
