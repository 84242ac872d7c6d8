/* greet.c -- what a request's head says about itself: its trace, its language, how long it waits.
 */
#include "obs/trace.h"
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

/* Thousandths of a q parameter (RFC 9110, 12.4.2); 1000 without, 0 of what is none. */
static int quality(struct str parameters)
{
    struct str q = str_trim(parameters);
    int value = 0, digits = 0;

    if (q.n < 3 || !str_eq_nocase((struct str){q.p, 2}, STR("q=")))
        return 1000;
    if (q.p[2] == '1')
        return 1000;
    for (size_t i = 4; i < q.n && digits < 3 && q.p[i] >= '0' && q.p[i] <= '9'; i++, digits++)
        value = value * 10 + (q.p[i] - '0');
    for (; digits < 3; digits++)
        value *= 10;
    return q.p[2] == '0' ? value : 0;
}

/* Korean unless another language is wanted more; whoever wants neither language reads English. */
static bool prefers_korean(struct str languages)
{
    int korean = -1, english = 0, any = -1;
    struct str one, tag, parameters;

    if (!languages.p)
        return true;
    for (bool more = true; more;) {
        more = str_cut(languages, ',', &one, &languages);
        str_cut(one, ';', &tag, &parameters);
        tag = str_trim(tag);
        int q = quality(parameters);
        if (str_eq(tag, STR("*")))
            any = q;
        else if (tag.n >= 2 && str_eq_nocase((struct str){tag.p, 2}, STR("ko")))
            korean = q > korean ? q : korean;
        else if (tag.n >= 2 && str_eq_nocase((struct str){tag.p, 2}, STR("en")))
            english = q > english ? q : english;
    }
    korean = korean < 0 ? any : korean;
    return korean > 0 && korean >= english;
}

static void read_preferences(struct work *w)
{
    const struct http_head *head = w->rq.head;
    struct str language = http_field(head, STR("Accept-Language"));
    struct str last = http_field(head, STR("Last-Event-ID"));

    w->rq.wait_s = wait_preferred(http_field(head, STR("Prefer")));
    w->cx.korean = prefers_korean(language);
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
