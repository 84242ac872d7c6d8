/* reconcile.h -- our books beside the provider's: what the files of the comparison share. */
#pragma once

#include "payment/payment.h"

/* Of their list or of our tables: a capture (transaction key "") or a refund. */
struct book_entry {
    struct str payment_key, transaction_key, order_id;
    struct uuid order_uuid; /* of ours */
    int64_t amount_won;
};

/* What began lately may be on its way still, at either side. */
#define SETTLED_US (10 * US_PER_MIN)

struct reconciliation {
    struct uuid reconciliation_id, by_id; /* by_id nil: by itself */
    int64_t from_at, to_at, at, captures, refunds, difference_count, asked, unasked;
    struct buf shown;       /* JSON of the first differences */
    struct str differences; /* the same, whole */
};

/* books.c: lists of struct book_entry, of from <= at < to, both of whole seconds, in cx->arena. */
/* ERR_TOO_LARGE: more than are looked at together. */
enum err books_theirs(struct ctx *cx, int64_t from, int64_t to, struct list *ret) MUST_USE;
enum err books_ours(struct ctx *cx, int64_t from, int64_t to, struct list *ret) MUST_USE;

/* reconcile.c: compares; *ret is what was found, not kept yet. */
enum err reconcile(struct ctx *cx, int64_t from, int64_t to, struct reconciliation *ret) MUST_USE;
