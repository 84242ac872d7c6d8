/* faults.c -- how badly the simulated provider behaves, switchable while it runs. */
#include "toss/toss.h"

#include <time.h>

static const char *const fail_as_names[] = {"error", "timeout_before", "timeout_after", "hang",
                                            NULL};

#define F struct faults
const struct field faults_fields[] = {
    F_OPT_INT(F, decline_rate, "declineRate", 0, 0, 100,
              "percent of confirms the card company refuses"),
    F_OPT_INT(F, timeout_before_rate, "timeoutBeforeRate", 0, 0, 100,
              "percent lost before anything happened"),
    F_OPT_INT(F, timeout_after_rate, "timeoutAfterRate", 0, 0, 100,
              "percent done, with the answer lost"),
    F_OPT_INT(F, error_rate, "errorRate", 0, 0, 100, "percent answered with 500"),
    F_OPT_INT(F, delay_ms, "delayMs", 0, 0, 60000, "before every answer"),
    F_OPT_INT(F, duplicate_webhook_rate, "duplicateWebhookRate", 0, 0, 100,
              "percent of webhooks sent twice"),
    F_OPT_INT(F, lost_webhook_rate, "lostWebhookRate", 0, 0, 100, "percent of webhooks never sent"),
    F_OPT_INT(F, contradictory_webhook_rate, "contradictoryWebhookRate", 0, 0, 100,
              "percent of webhooks followed by one that says ABORTED"),
    F_OPT_INT(F, wrong_amount_rate, "wrongAmountRate", 0, 0, 100,
              "percent captured rightly and answered with one won more"),
    F_OPT_INT(F, late_capture_rate, "lateCaptureRate", 0, 0, 100,
              "percent answered with nothing and captured later, unseen until then"),
    F_OPT_INT(F, late_capture_ms, "lateCaptureMs", 0, 0, 3600000,
              "how much later; 2000 when not set"),
    F_OPT_INT(F, hang_rate, "hangRate", 0, 0, 100, "percent never answered, and nothing happens"),
    F_OPT_INT(F, wrong_capture_rate, "wrongCaptureRate", 0, 0, 100,
              "percent captured, in the books too, with one won more"),
    F_OPT_INT(F, fail_confirms, "failConfirms", 0, 0, 1000, "so many of the next confirms fail"),
    F_OPT_INT(F, fail_look_ups, "failLookUps", 0, 0, 1000, "so many of the next look-ups fail"),
    F_OPT_INT(F, fail_cancels, "failCancels", 0, 0, 1000, "so many of the next cancels fail"),
    {FIELD_ENUM, "failAs", "fail_as", offsetof(F, fail_as), offsetof(F, has_fail_as), 0, 0, 0, 0,
     fail_as_names, NULL, "how the counted ones fail; default error"},
    F_STR(F, webhook_to, "webhookTo", ONE_LINE, 0, 300,
          "URL; empty: none; default: the platform itself"),
    F_END(F),
};

struct fault_row {
    struct str name, text;
    int64_t number;
};
static const struct field fault_row_fields[] = {
    F_STR(struct fault_row, name, "name", 0, 0, 50, ""),
    F_INT(struct fault_row, number, "number", 0, INT64_MIN, INT64_MAX, ""),
    F_STR(struct fault_row, text, "text", 0, 0, 300, ""),
    F_END(struct fault_row),
};

/* One row per fault, by the name of its field. */
static void put(struct faults *f, const struct fault_row *row)
{
    const struct field *field = field_by_name(faults_fields, row->name);

    if (!field)
        return;
    char *at = (char *)f + field->at;
    if (field->type == FIELD_STR) {
        memcpy(at, &row->text, sizeof row->text);
        return;
    }
    if (field->type == FIELD_ENUM)
        *(int *)(void *)at = (int)row->number;
    else
        memcpy(at, &row->number, sizeof row->number);
    *((bool *)f + field->has_at) = true;
}

enum err faults_load(struct ctx *cx, struct faults *ret)
{
    struct list rows = {NULL, 0};

    *ret = (struct faults){0};
    TRY(db_all(cx, fault_row_fields, &rows, "select name, number, text from faults", NO_ARGS));
    for (size_t i = 0; i < rows.n; i++)
        put(ret, LIST_AT(struct fault_row, rows, i));
    return ERR_OK;
}

enum err spend_count(struct ctx *cx, const char *name, int64_t left, bool *ret)
{
    int64_t changed = 0;

    *ret = false;
    if (left == 0)
        return ERR_OK;
    TRY(db_begin(cx));
    TRY(db_change(cx, &changed,
                  "update faults set number = number - 1 where name = $1 and number > 0",
                  ARGS(db_str(str_from(name)))));
    TRY(db_commit(cx));
    *ret = changed == 1;
    return ERR_OK;
}

bool chance(struct ctx *cx, int64_t percent)
{
    return percent > 0 && (int64_t)rng_below(cx->rng, 100) < percent;
}

void linger(struct ctx *cx, int64_t ms)
{
    int left_ms = ctx_left_ms(cx, (int)ms);
    struct timespec t = {left_ms / 1000, left_ms % 1000 * 1000000L};

    if (left_ms > 0 && !cx->clock->is_virtual)
        nanosleep(&t, NULL);
}

enum err toss_faults_get(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    struct faults f;

    (void)rq;
    TRY(faults_load(cx, &f));
    return reply_data(cx, rp, 200, faults_fields, &f);
}

/* What is not sent stays as it is; 0 switches a fault off. */
enum err toss_faults_put(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const char *in = rq->body;
    struct faults f;

    TRY(db_begin(cx));
    for (const struct field *field = faults_fields; field->type != FIELD_END; field++) {
        struct str text = STR_NONE;
        int64_t number = 0;
        if (field->type == FIELD_STR)
            memcpy(&text, in + field->at, sizeof text);
        else if (field->type == FIELD_ENUM)
            number = *(const int *)(const void *)(in + field->at);
        else
            memcpy(&number, in + field->at, sizeof number);
        bool sent =
            field->type == FIELD_STR ? text.p != NULL : *((const bool *)rq->body + field->has_at);
        if (sent)
            TRY(db_exec(
                cx,
                "insert into faults (name, number, text) values ($1, $2, $3) on conflict (name)"
                " do update set number = excluded.number, text = excluded.text",
                ARGS(db_str(str_from(field->name)), db_int(number), db_str(text))));
    }
    TRY(faults_load(cx, &f));
    TRY(db_commit(cx));
    return reply_data(cx, rp, 200, faults_fields, &f);
}

enum err toss_faults_delete(struct ctx *cx, const struct request *rq, struct reply *rp)
{
    const struct faults none = {0};

    (void)rq;
    TRY(db_begin(cx));
    TRY(db_exec(cx, "delete from faults", NO_ARGS));
    TRY(db_commit(cx));
    return reply_data(cx, rp, 200, faults_fields, &none);
}
