/* apart.c -- services in other processes: where they are, by which keys we know each other, whose
 * tokens we can check. */
#include "obs/log.h"
#include "security/keys.h"
#include "service/ended.h"
#include "service/key_watch.h"
#include "service/peers.h"
#include "service/running.h"

#define FIRST_US (2 * US_PER_S) /* services that start together find each other in it */

static bool is_front(const struct platform *p)
{
    for (size_t i = 0; i < p->n_services; i++)
        if (p->services[i].service->front)
            return true;
    return false;
}

static bool takes_user_tokens(const struct platform *p)
{
    if (is_front(p))
        return true;
    for (size_t i = 0; i < p->n_services; i++)
        for (const struct route *r = p->services[i].service->routes; r && r->path; r++)
            if (!(r->flags & INTERNAL) && (r->who & ~(unsigned)SERVICE) != GUEST &&
                !p->services[i].service->listener)
                return true;
    return false;
}

static enum err open_service_keys(struct ctx *cx, struct platform *p)
{
    const char *names[SERVICES_MAX];
    size_t n = 0;

    /* The simulator and the registry neither call nor are called; the gateway asks auth. */
    for (size_t i = 0; i < p->n_services; i++) {
        const struct service *s = p->services[i].service;
        if (!s->listener && (s->migrations || is_front(p)))
            names[n++] = s->name;
    }
    return service_keys_open(cx, arena_cstr(cx->arena, p->options.service_keys), names, n,
                             &p->service_keys);
}

/* What will not work is said at start, not found out at the first order. */
static void say_what_is_missing(struct ctx *cx, struct platform *p)
{
    bool has_auth = platform_service(p, "auth") != NULL;

    if (!takes_user_tokens(p) || is_front(p)) /* which speaks for itself */
        return;
    if (!p->options.service_keys.p)
        log_event(cx, LOG_WARN,
                  "no --service-keys: this process can neither call services in other processes "
                  "nor be called by them; `jumun service-keys DIR` makes keys");
    if (!p->options.peers.p)
        log_event(cx, LOG_WARN, "no --peers: this process does not know where other services are");
    else if (!has_auth && !peers_know(p->peers, "auth"))
        log_event(cx, LOG_WARN,
                  "--peers does not say where auth is: users' tokens cannot be checked");
}

enum err apart_open(struct ctx *cx, struct platform *p)
{
    if (!p->options.apart && !platform_service(p, "auth")) /* nobody else would bring them */
        TRY(keys_open(cx, arena_cstr(cx->arena, p->options.data_dir), &p->keys));
    else
        TRY(jwt_keys_open(cx, &p->keys)); /* filled by auth, or by key_watch */
    if (!p->options.apart)
        return ERR_OK;
    TRY(peers_read(cx, p->options.peers, &p->peers));
    TRY(peers_read(cx, p->options.upstreams, &p->upstreams));
    if (p->options.service_keys.p)
        TRY(open_service_keys(cx, p));
    say_what_is_missing(cx, p);
    return ERR_OK;
}

/* Sessions may end in another process. A gateway without a key cannot ask, and what it lets through
 * the services look at once more. */
static bool others_end_sessions(struct platform *p)
{
    const struct svc *auth = platform_service(p, "auth");

    if (p->options.threads == 0)
        return false;
    if (auth)
        return db_is_shared(auth->db);
    return p->options.apart && takes_user_tokens(p) && (p->service_keys || !is_front(p));
}

bool platform_hears_of_ended(const struct platform *p)
{
    return p->ended_watch != NULL;
}

/* A stream is opened by a token and outlives it, but not its session. */
static bool is_over(void *arg, struct uuid session_id, int64_t since_us)
{
    const struct platform *p = arg;

    return jwt_is_revoked(p->keys, session_id, since_us);
}

enum err apart_start(struct ctx *cx, struct platform *p)
{
    bool has_auth = platform_service(p, "auth") != NULL;

    sse_sessions(p->events, is_over, p);
    if (others_end_sessions(p))
        TRY(ended_watch_start(cx, p, &p->ended_watch));
    if (p->options.apart && p->options.threads > 0 && !has_auth && takes_user_tokens(p))
        TRY(key_watch_start(cx, p, &p->key_watch));
    if (p->key_watch && (peers_know(p->peers, "auth") || peers_know(p->upstreams, "auth")))
        key_watch_wait(p->key_watch, FIRST_US);
    if (p->ended_watch && (has_auth || peers_know(p->peers, "auth")))
        ended_watch_wait(p->ended_watch, FIRST_US);
    return ERR_OK;
}

void apart_close(struct platform *p)
{
    key_watch_stop(p->key_watch);
    jwt_keys_close(p->keys);
    service_keys_close(p->service_keys);
    peers_close(p->peers);
    peers_close(p->upstreams);
}
