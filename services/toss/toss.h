/* toss.h -- the simulator of Toss Payments: what its files share. */
#pragma once

#include "flow/timer.h"
#include "service/platform.h"
#include "service/reply.h"
#include "service/service.h"

extern const struct service toss_service;

#define SESSION_US (10 * US_PER_MIN)  /* authorised, but not confirmed for so long: expired */
#define KEY_KEEP_US (15 * US_PER_DAY) /* idempotency keys */

/* What is to happen to one payment, chosen when it is authorised. The order is that of
 * outcome_names. */
enum outcome {
    APPROVE,
    DECLINE,        /* the card company says no */
    TIMEOUT_BEFORE, /* no answer, and nothing captured; the next try goes through */
    TIMEOUT_AFTER,  /* captured, but the answer is lost */
    SERVER_ERROR,   /* 500, once */
    LATE,           /* no answer; captured some time later, seen by nobody until then */
    HANG,           /* the connection stays open without an answer, once */
    WRONG_AMOUNT,   /* captured, in the books too, with one won more than was agreed */
    OUTCOMES
};
extern const char *const outcome_names[];

struct paid {
    struct uuid payment_id;
    struct str payment_key, order_id, order_name, status, code, message;
    int64_t amount, balance, approved_at, created_at, late_at;
    int outcome;
    struct list cancels;
};
struct cancelled {
    struct str transaction_key, reason;
    int64_t amount, canceled_at;
};

/* What the requests that are counted get. The order is that of fail_as_names. */
enum fail_as { AS_ERROR, AS_TIMEOUT_BEFORE, AS_TIMEOUT_AFTER, AS_HANG };

/* faults.c: rates in percent, for every payment that was authorised to be approved; counts of the
 * next requests of a kind, whatever the payment. */
struct faults {
    int64_t decline_rate, timeout_before_rate, timeout_after_rate, error_rate, delay_ms,
        duplicate_webhook_rate, lost_webhook_rate, contradictory_webhook_rate, wrong_amount_rate,
        late_capture_rate, late_capture_ms, hang_rate, wrong_capture_rate;
    int64_t fail_confirms, fail_look_ups, fail_cancels;
    int fail_as;
    bool has_decline_rate, has_timeout_before_rate, has_timeout_after_rate, has_error_rate,
        has_delay_ms;
    bool has_duplicate_webhook_rate, has_lost_webhook_rate, has_contradictory_webhook_rate,
        has_wrong_amount_rate, has_late_capture_rate, has_late_capture_ms, has_hang_rate,
        has_wrong_capture_rate;
    bool has_fail_confirms, has_fail_look_ups, has_fail_cancels, has_fail_as;
    struct str webhook_to; /* "" : nowhere; absent: the platform's own public address */
};
extern const struct field faults_fields[];
enum err faults_load(struct ctx *cx, struct faults *ret) MUST_USE;
bool chance(struct ctx *cx, int64_t percent);
/* Whether this request is one of those counted: `name` is the count's field, `left` what
 * faults_load found of it. Its own transaction. */
enum err spend_count(struct ctx *cx, const char *name, int64_t left, bool *ret) MUST_USE;
/* Real time only: waits as the real thing would. */
void linger(struct ctx *cx, int64_t ms);

/* payments.c */
enum err paid_load(struct ctx *cx, struct str payment_key,
                   struct paid *ret) MUST_USE; /* with cancels */
enum err reply_paid(struct ctx *cx, struct reply *rp, const struct paid *p) MUST_USE;
/* Toss's error form. Always ERR_OK: the handler has answered. */
enum err reply_refusal(struct ctx *cx, struct reply *rp, int status, const char *code,
                       const char *message) MUST_USE;
/* As if the answer had been lost on the way. */
enum err reply_nothing(struct ctx *cx, struct reply *rp) MUST_USE;
/* Longer than any client of ours waits, and each holds a thread of the listener meanwhile. */
enum err reply_hanging(struct ctx *cx, struct reply *rp) MUST_USE;
/* The secret and the form of the key. *ret false: the reply says 401 or 400 already. */
enum err check_request(struct ctx *cx, const struct request *rq, struct reply *rp,
                       bool *ret) MUST_USE;
/* The same, then what the faults make of a look-up. */
enum err may_look_up(struct ctx *cx, const struct request *rq, struct reply *rp,
                     bool *ret) MUST_USE;
/* Inside a transaction: the answer kept under this request's Idempotency-Key, if it has one.
 * ERR_NOT_FOUND: none. */
enum err kept_answer(struct ctx *cx, const struct request *rq, struct reply *rp) MUST_USE;
enum err keep_answer(struct ctx *cx, const struct request *rq, const struct reply *rp) MUST_USE;
/* The two halves of it, for an answer that is made later. STR_NONE: the request has no key. */
struct str scope_of(struct ctx *cx, const struct request *rq);
enum err keep_under(struct ctx *cx, struct str scope, const struct reply *rp) MUST_USE;

/* confirm.c; inside a transaction */
enum err capture(struct ctx *cx, struct paid *p, int64_t more_won) MUST_USE;

/* late.c: captures that become visible by themselves; inside a transaction. */
enum err capture_later(struct ctx *cx, const struct request *rq, const struct paid *p) MUST_USE;
enum err when_capture_is_due(struct ctx *cx, struct uuid payment_id, int64_t attempt) MUST_USE;

/* webhooks.c; inside a transaction */
enum err webhook_send(struct ctx *cx, const struct paid *p) MUST_USE;
enum err when_webhook_is_due(struct ctx *cx, struct uuid webhook_id, int64_t attempt) MUST_USE;

typedef enum err toss_handler(struct ctx *cx, const struct request *rq, struct reply *rp);
toss_handler toss_confirm, toss_get, toss_get_by_order, toss_cancel, toss_authorize, toss_window,
    toss_script;
toss_handler toss_faults_get, toss_faults_put, toss_faults_delete, toss_books, toss_transactions;
extern const struct field authorize_fields[], authorized_fields[], window_query_fields[],
    books_fields[], transactions_query_fields[];
enum err toss_sweep(struct ctx *cx) MUST_USE;
