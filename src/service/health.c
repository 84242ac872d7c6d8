/* health.c -- liveness, readiness and metrics on the internal listener; they answer even when all
 * else hangs. */
#include "data/json.h"
#include "service/running.h"

#define METRICS_MAX (8u * 1024 * 1024)

static enum err ask(struct platform *p, struct svc *s, struct arena *a)
{
    struct ctx cx;
    int64_t one;

    platform_ctx(p, s, a, &cx);
    cx.deadline_us = clock_monotonic_us() + US_PER_S;
    return db_int_of(&cx, &one, "select 1", NO_ARGS);
}

/* What is to come before it starts: seen by whoever asks why it does not. */
static int startup(struct platform *p, struct arena *a, struct buf *b)
{
    struct str waits_for = await_what(p, a);

    buf_printf(b, "{\"status\":\"%s\"", p->is_ready ? "UP" : "DOWN");
    if (waits_for.n) {
        buf_lit(b, ",\"waitsFor\":");
        json_string(b, waits_for);
    }
    buf_lit(b, "}");
    return p->is_ready ? 200 : 503;
}

/* Ready: started, not draining, and every database answers. */
static int readiness(struct platform *p, struct arena *a, struct buf *b)
{
    bool ready = p->is_ready && !p->is_draining;
    size_t n = p->is_open ? p->n_services : 0; /* before, they are not there yet */

    buf_lit(b, "{\"services\":{");
    for (size_t i = 0; i < n; i++) {
        bool up = !p->services[i].db || ask(p, &p->services[i], a) == ERR_OK;
        ready = ready && up;
        buf_printf(b, "%s\"%s\":\"%s\"", i ? "," : "", p->services[i].service->name,
                   up ? "UP" : "DOWN");
    }
    buf_printf(b, "},\"status\":\"%s\"}", ready ? "UP" : "DOWN");
    return ready ? 200 : 503;
}

bool health_answer(struct platform *p, const struct http_head *head, struct arena *a,
                   struct http_answer *ret)
{
    struct buf b;

    if (head->method != HTTP_GET && head->method != HTTP_HEAD)
        return false;
    buf_init_arena(&b, a, METRICS_MAX);
    *ret = (struct http_answer){.status = 200, .content_type = STR("application/json")};
    if (str_eq(head->path, STR("/livez")))
        buf_lit(&b, "{\"status\":\"UP\"}");
    else if (str_eq(head->path, STR("/startupz")))
        ret->status = startup(p, a, &b);
    else if (str_eq(head->path, STR("/readyz")) || str_eq(head->path, STR("/actuator/health")))
        ret->status = readiness(p, a, &b);
    else if (str_eq(head->path, STR("/metrics"))) {
        ret->content_type = STR("text/plain; version=0.0.4; charset=utf-8");
        metrics_print(&b);
    } else
        return false;
    ret->body = buf_str(&b);
    return true;
}

int64_t platform_turned_us(const struct platform *p)
{
    int64_t oldest_us = INT64_MAX, us;

    for (size_t i = 0; i < p->n_services; i++) {
        const struct front *front = p->services[i].service->front;
        if (front && (us = front->turned_us(&p->services[i])) < oldest_us)
            oldest_us = us;
    }
    for (int i = 0; i < LISTENERS; i++) {
        const struct server *server = p->listeners[i].server;
        if (server && (us = server_turned_us(server)) < oldest_us)
            oldest_us = us;
    }
    return oldest_us;
}
