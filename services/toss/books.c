/* books.c -- what the simulator captured and gave back, for whoever compares it with our own books.
 */
#include "toss/toss.h"

struct book_row {
    struct str payment_key, order_id, status;
    int64_t amount, balance;
};
static const struct field book_row_fields[] = {
    F_STR(struct book_row, payment_key, "paymentKey", 0, 0, 200, "payment"),
    F_STR(struct book_row, order_id, "orderId", 0, 0, 64, "the shop's order"),
    F_STR(struct book_row, status, "status", 0, 0, 30, "status"),
    F_INT(struct book_row, amount, "amount", 0, 0, INT64_MAX, "captured"),
    F_INT(struct book_row, balance, "balance", 0, 0, INT64_MAX, "not given back"),
    F_END(struct book_row),
};
struct books {
    int64_t captured_won, cancelled_won, payments, cancels;
    struct list rows;
};
const struct field books_fields[] = {
    F_INT(struct books, captured_won, "capturedWon", REQUIRED, 0, INT64_MAX,
          "all that was captured"),
    F_INT(struct books, cancelled_won, "cancelledWon", REQUIRED, 0, INT64_MAX,
          "all that went back"),
    F_INT(struct books, payments, "payments", REQUIRED, 0, INT64_MAX, "captured payments"),
    F_INT(struct books, cancels, "cancels", REQUIRED, 0, INT64_MAX, "cancels"),
    F_LIST(struct books, rows, "captured", REQUIRED, 0, DB_ROWS_MAX, book_row_fields,
           "the latest thousand"),
    F_END(struct books),
};

enum err toss_books(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct books b = {0};

    (void)rq;
    TRY(db_int_of(cx, &b.captured_won,
                  "select sum(amount) from payments where approved_at is not null", NO_ARGS));
    TRY(db_int_of(cx, &b.payments, "select count(*) from payments where approved_at is not null",
                  NO_ARGS));
    TRY(db_int_of(cx, &b.cancelled_won, "select sum(amount) from cancels", NO_ARGS));
    TRY(db_int_of(cx, &b.cancels, "select count(*) from cancels", NO_ARGS));
    TRY(db_all(cx, book_row_fields, &b.rows,
               "select payment_key, order_id, status, amount, balance from payments where "
               "approved_at is not null"
               " order by approved_at desc, payment_id desc limit 1000",
               NO_ARGS));
    return reply_data(cx, rp, 200, books_fields, &b);
}
