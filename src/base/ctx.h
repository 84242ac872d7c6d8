/*
 * ctx.h -- what every piece of work carries: memory, time, randomness, deadline, who asks, and why
 * it failed.
 *
 * One ctx exists per request, event, timer or job, on the stack of the thread that runs it. Nothing
 * in it is shared between threads.
 */
#pragma once

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/uuid.h"

/* Who may call, as bits: a route's policy is a set of them. */
enum role {
    GUEST = 1,
    CUSTOMER = 2,
    OWNER = 4,
    STAFF = 8,
    ADMIN = 16,
    SERVICE = 32,
    ANYONE = GUEST | CUSTOMER | OWNER | STAFF | ADMIN,
    SIGNED_IN = CUSTOMER | OWNER | STAFF | ADMIN,
};

struct caller {
    enum role role;      /* GUEST when there was no token */
    struct uuid user_id; /* nil for guests and services */
    struct uuid session_id;
    struct str service; /* name, when role == SERVICE */
};

/* W3C trace context. */
struct trace {
    unsigned char trace_id[16], span_id[8];
    bool sampled;
};

/* One bad field of an input; field is a JSON pointer-like path ("items[2].quantity"). */
struct field_error {
    struct str field, code, message;
    struct field_error *next;
};

/* Why the last failure happened: for the log and for tests, never for the client except
 * `field_errors`. */
struct story {
    enum err code;
    const char *file;
    int line;
    char detail[256];
    struct field_error *field_errors;
    struct str public_detail; /* may be shown: the `detail` of problem+json */
    struct str
        public_extra; /* raw JSON members added to the problem, e.g. "\"providerCode\":\"X\"" */
    int64_t retry_after_s; /* of a refusal that passes; 0: not known */
};

struct db;
struct db_tx;
struct svc;

struct ctx {
    struct arena *arena;
    const struct clock *clock;
    struct rng *rng;
    int64_t deadline_us; /* clock_monotonic_us scale; 0: none */
    struct trace trace;
    struct uuid
        instance; /* this process, the same again after a restart; nil where none is needed */
    struct caller caller;
    bool korean; /* language of titles and messages */
    struct story story;
    struct svc *svc;  /* the running service this work belongs to */
    struct db *db;    /* its database */
    struct db_tx *tx; /* open transaction, or NULL; owned by db/ */
    bool old_ok;      /* reads may be a little old, see db.h; ends with the first transaction */
    int old_from;     /* who answers them; owned by db/; 0: nobody yet */
    uint64_t ticket;  /* group commit we still depend on; owned by db/; 0: none */
};

/* Records the failure and returns its code; the detail goes to the log only. */
enum err ctx_fail(struct ctx *cx, enum err code, const char *file, int line, const char *format,
                  ...) PRINTF_LIKE(5, 6);
#define fail(cx, code, ...) ctx_fail((cx), (code), __FILE__, __LINE__, __VA_ARGS__)

/* Adds a bad field (strings are copied to the arena); the caller then returns fail(cx, ERR_INVALID,
 * ...). */
void ctx_field_error(struct ctx *cx, struct str field, struct str code, const char *format, ...)
    PRINTF_LIKE(4, 5);

int64_t ctx_now(const struct ctx *cx);                    /* UTC microseconds */
struct uuid ctx_uuid(struct ctx *cx);                     /* a new UUIDv7 */
const char *ctx_uuid_text(struct ctx *cx, struct uuid u); /* in the arena */
/* Milliseconds until the deadline, at most `most`; 0 when it has passed. */
int ctx_left_ms(const struct ctx *cx, int most);
