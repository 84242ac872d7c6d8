/* greet.c -- what a request's head says about itself: its trace, its language, how long it waits.
 */
#include "obs/trace.h"
#include "service/korean.h"
#include "service/running.h"

#define WAIT_MAX_S 10

/* Seconds of `wait` in Prefer (RFC 7240), which lists preferences with parameters; 0 without. */
static int wait_preferred(struct str prefer)
{
    struct str one, parameters;
    int64_t wait = 0;

    for (bool more = prefer.p != NULL; more;) {
        more = str_cut(prefer, ',', &one, &prefer);
        str_cut(one, ';', &one, &parameters);
        one = str_trim(one);
        if (one.n > 5 && str_eq_nocase((struct str){one.p, 5}, STR("wait=")) &&
            str_i64((struct str){one.p + 5, one.n - 5}, 0, 3600, &wait))
            return (int)(wait < WAIT_MAX_S ? wait : WAIT_MAX_S);
    }
    return 0;
}

static void read_preferences(struct work *w)
{
    const struct http_head *head = w->rq.head;
    struct str language = http_field(head, STR("Accept-Language"));
    struct str last = http_field(head, STR("Last-Event-ID"));

    w->rq.wait_s = wait_preferred(http_field(head, STR("Prefer")));
    w->cx.korean = korean_wanted(language);
    w->rq.cart_token = http_field(head, STR("Jumun-Cart"));
    w->rq.wants_events =
        str_find(http_field(head, STR("Accept")), STR("text/event-stream")) != SIZE_MAX;
    if (!str_i64(last, 0, INT64_MAX, &w->rq.last_event_id))
        w->rq.last_event_id = 0;
}

void work_greet(struct work *w, const struct http_head *head)
{
    w->rq.head = head;
    w->rq.path = head->path;
    trace_continue(&w->cx, http_field(head, STR("traceparent")));
    read_preferences(w);
}
