/* demo.h -- the visitors of `jumun demo`: what one order's people do over HTTP, and what was
 * measured. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "command/command.h"

enum demo_step { DEMO_CART, DEMO_ORDER, DEMO_PAY, DEMO_BOARD, DEMO_WHOLE, DEMO_STEPS };
enum demo_end { DEMO_COMPLETED, DEMO_CANCELLED, DEMO_REJECTED, DEMO_OTHER, DEMO_FAILED, DEMO_ENDS };

#define DEMO_TIMES_MAX 100000
#define DEMO_THREADS 16

struct demo {
    const struct settings *settings;
    struct str public_url, toss_url;
    struct str customers[DEMO_THREADS], owners[3]; /* access tokens */
    int64_t began_us;
    _Atomic int64_t next, done;
    _Atomic int64_t ends[DEMO_ENDS], won_in, won_back, declined, unknown, refused;
    _Atomic bool stop;
    pthread_mutex_t lock; /* of the times */
    int32_t *times_us[DEMO_STEPS];
    size_t n_times[DEMO_STEPS];
    char problem[300]; /* the first request that should not have failed */
};

/* Signs in as a person of the demo world; *ret lives in cx's arena. */
enum err demo_login(struct ctx *cx, const struct demo *d, const char *username,
                    struct str *ret_token) MUST_USE;
/* One customer's order from cart to end, on thread number `n`. */
void demo_visit(struct ctx *cx, struct demo *d, int n);
