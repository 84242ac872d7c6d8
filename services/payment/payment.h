/* payment.h -- what the files of the payment service share: payments, refunds, and the provider. */
#pragma once

#include "flow/outbox.h"
#include "flow/timer.h"
#include "service/call.h"
#include "service/platform.h"
#include "service/reply.h"
#include "service/service.h"

extern const struct service payment_service;

#define FIRST_LOOK_US (15 * US_PER_S) /* longer than a confirm may take */
#define UNKNOWN_MAX_US                                                                             \
    (24 * US_PER_HOUR) /* then hourly; the order is in a person's hands by then */
/* Toss confirms within 10 minutes of the window; a confirm it took may run for a while after that.
 * Until then a payment that Toss does not know may yet become known. */
#define CONFIRM_LIMIT_US (11 * US_PER_MIN)
#define CANCEL_GAP_US                                                                              \
    (1200 * US_PER_MS) /* Toss processes only the first of two cancels within a second */

/* The order of the names is that of payment_status_names. */
enum payment_status { CONFIRMING, CAPTURED, FAILED, REFUNDING, REFUNDED, PARTIALLY_REFUNDED };
extern const char *const payment_status_names[];

struct payment {
    struct uuid payment_id, order_id, customer_id, store_id;
    struct str order_name, payment_key, provider_code, provider_message, method, card_company,
        card_last4;
    struct str receipt_url;
    int64_t amount_won, refunded_won, approved_at, created_at, changed_at, frozen_at;
    int status;
    bool is_late;
    struct list refunds;
};
#define PAYMENT_COLUMNS                                                                            \
    "payment_id, order_id, customer_id, store_id, order_name, payment_key, provider_code,"         \
    " provider_message, method, card_company, card_last4, receipt_url, amount_won, refunded_won,"  \
    " approved_at, created_at, changed_at, status, is_late, frozen_at"

enum refund_status { REFUND_REQUESTED, REFUND_DONE };
struct refund {
    struct uuid refund_id, payment_id, order_id;
    int64_t amount_won, created_at, done_at;
    int status, payer;
    struct str reason, transaction_key, provider_code;
};
#define REFUND_COLUMNS                                                                             \
    "refund_id, payment_id, order_id, amount_won, created_at, done_at, status, payer, reason,"     \
    " transaction_key, provider_code"
enum payer { PAYER_STORE, PAYER_PLATFORM };
extern const char *const payer_names[];

/* reads.c */
extern const struct field payment_row_fields[], payment_fields[], refund_fields[],
    refund_row_fields[];
extern const struct field payments_query_fields[];
enum err payment_load(struct ctx *cx, struct uuid payment_id, struct payment *ret) MUST_USE;
/* With its refunds. */
enum err payment_load_shown(struct ctx *cx, struct uuid payment_id, struct payment *ret) MUST_USE;
/* Loads with refunds and answers. */
enum err reply_payment(struct ctx *cx, struct reply *rp, int status,
                       struct uuid payment_id) MUST_USE;

/* toss.c: one call each. What the answer means for us is worked out by a pure function. */
enum answer {
    ANSWER_CAPTURED, /* done, and it is our order and our amount */
    ANSWER_OPEN,     /* authorised by the customer, not confirmed yet */
    ANSWER_DECLINED, /* surely no money moved */
    ANSWER_UNKNOWN,  /* neither: ask again */
    ANSWER_WRONG,    /* captured, but another order or amount than ours */
};
struct toss_cancel {
    struct str transaction_key, reason;
    int64_t amount_won, canceled_at;
};
struct toss_payment {
    struct str payment_key, order_id, status, method, code, message, receipt_url, card_company,
        card_number;
    int64_t total_won, balance_won, approved_at;
    struct list cancels; /* struct toss_cancel */
};
/* http_status 0: no answer at all. */
enum answer provider_meaning(const struct payment *p, int http_status,
                             const struct toss_payment *answer, const char *order_id_text);
/* Of a payment or a transaction: some or all of it went back. */
bool provider_gave_back(struct str status);
enum err provider_decode(struct ctx *cx, struct str body, struct toss_payment *ret) MUST_USE;
enum answer provider_confirm(struct ctx *cx, const struct payment *p, struct toss_payment *ret);
enum answer provider_look_up(struct ctx *cx, const struct payment *p, struct toss_payment *ret);
/* *ret_status: the HTTP status, 0 without an answer. */
void provider_cancel(struct ctx *cx, const struct payment *p, const struct refund *r,
                     int *ret_status, struct toss_payment *ret);

struct toss_transaction { /* a capture or a cancel, as their list has it */
    struct str transaction_key, payment_key, order_id, status;
    int64_t amount_won;
};
/* At most `limit` transactions from <= at < to, behind the one of that key (STR_NONE: the first).
 * ERR_PROVIDER, ERR_UNAVAILABLE. */
enum err provider_transactions(struct ctx *cx, int64_t from, int64_t to, struct str after,
                               int64_t limit, struct list *ret) MUST_USE;

/* settle.c: the ends of a payment; each opens and commits its own transaction and is harmless when
 * repeated. */
/* *p is what was written when nobody interfered; as before when it has to be looked up. */
enum err settle_captured(struct ctx *cx, struct payment *p,
                         const struct toss_payment *answer) MUST_USE;
enum err settle_failed(struct ctx *cx, const struct payment *p, struct str code,
                       struct str message) MUST_USE;
/* A FAILED payment that the provider captured after all, whatever the amount: kept in the books and
 * given back. */
enum err settle_late(struct ctx *cx, const struct payment *p,
                     const struct toss_payment *answer) MUST_USE;
/* A CONFIRMING payment captured as something else: captured_won goes into the books and back, and a
 * person has to look. 0: nothing was captured for this order. */
enum err settle_wrong(struct ctx *cx, const struct payment *p, const struct toss_payment *answer,
                      int64_t captured_won) MUST_USE;
/* Inside a transaction: two entries that sum to zero. amount_won < 0: money went back. */
enum err ledger_write(struct ctx *cx, struct uuid transaction_id, struct uuid order_id,
                      int64_t amount_won) MUST_USE;

/* confirm.c */
enum err payment_counts_start(struct ctx *cx) MUST_USE; /* the series are there from the start */
/* Pin and confirm, as often as needed: the same keys each time. is_repeat: an earlier confirm of
 * this payment may be under way still. ERR_OK: settled, *p as after settle_captured; otherwise it
 * is still unknown. */
enum err payment_pursue(struct ctx *cx, struct payment *p, bool is_repeat) MUST_USE;

/* resolve.c: the worker asks the provider about it now; one that is captured only if the caller
 * says so. */
enum err payment_look_again(struct ctx *cx, struct str payment_key, bool when_captured) MUST_USE;

/* freeze.c */
/* A look-up said ANSWER_WRONG. ERR_OK: it has said so often enough, and is settled as that. */
enum err captured_wrong(struct ctx *cx, const struct payment *p,
                        const struct toss_payment *answer) MUST_USE;
enum err count_frozen(struct ctx *cx) MUST_USE; /* into the gauge */
bool is_order_decided(const void *data);
enum err on_order_reviewed(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
extern const struct field order_reviewed_fields[];
/* Toss does not know it, which is final only when nothing can be under way. */
bool may_be_under_way(const struct ctx *cx, const struct payment *p,
                      const struct toss_payment *answer);

/* refund.c; inside a transaction. What is already given back or asked for is not asked for again.
 */
enum err refund_request(struct ctx *cx, const struct payment *p, int64_t amount_won,
                        struct str reason, enum payer payer, struct str cause,
                        struct uuid *ret_refund_id) MUST_USE;
/* What the answer to a look-up shows as given back and no refund of ours has: into the books, and
 * told. ERR_UNAVAILABLE: one of ours is on its way; ask again. */
enum err refunds_by_provider(struct ctx *cx, const struct payment *p,
                             const struct toss_payment *answer) MUST_USE;
enum err on_refund_requested(struct ctx *cx, const struct event *e, const void *data) MUST_USE;
extern const struct field refund_requested_fields[];

/* reconcile.c */
void reconcile_counts_start(void);
/* reconciliations.c */
enum err
reconcile_sweep(struct ctx *cx) MUST_USE; /* the next hour that is due; ERR_BUSY: more is */
enum err count_reconciled(struct ctx *cx) MUST_USE; /* into the gauge */
extern const struct field reconcile_fields[], reconciliation_fields[],
    reconciliations_query_fields[];

typedef enum err payment_handler(struct ctx *cx, const struct request *rq, struct reply *rp);
payment_handler payment_checkout, payment_confirm, payment_abandon, payment_list,
    payment_list_internal, payment_get, payment_store_list;
payment_handler payment_webhook, payment_admin_refund, reconcile_run, reconcile_list;
extern const struct field checkout_fields[], confirm_fields[], abandon_fields[],
    admin_refund_fields[];
extern const struct field webhook_fields[];
/* Timers; subject is the payment. */
enum err when_unresolved(struct ctx *cx, struct uuid payment_id, int64_t attempt) MUST_USE;
enum err when_refund_is_due(struct ctx *cx, struct uuid payment_id, int64_t attempt) MUST_USE;
