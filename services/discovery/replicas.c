/* replicas.c -- replication: batches of what is owed, and what their answers tell us. */
#include "discovery/replicas.h"

#include "data/json.h"
#include "discovery/apps.h"
#include "discovery/batch.h"
#include "obs/log.h"

#define CALL_TIMEOUT_MS 5000
#define LIST_MAX (16 * 1024 * 1024)
/* With instances of 16 KiB, and names as long, still within the 1 MiB of a body. */
#define BATCH_SENT 40

enum err replicas_parse(struct ctx *cx, struct str text, struct replicas *ret)
{
    struct str rest = text, url;

    ret->n = 0;
    for (bool more = text.n > 0; more;) {
        more = str_cut(rest, ',', &url, &rest);
        url = str_trim(url);
        while (str_ends(url, STR("/")))
            url.n--;
        if (!field_is_http_url(url))
            return fail(cx, ERR_INVALID, "expected http://HOST:PORT/eureka, not %s",
                        url_shown(cx->arena, url));
        if (ret->n == REGISTRY_PEERS_MAX)
            return fail(cx, ERR_INVALID, "at most %d addresses", REGISTRY_PEERS_MAX);
        ret->urls[ret->n++] = url;
    }
    return ERR_OK;
}

enum err replicas_call(struct ctx *cx, struct replicas *p, const struct http_call *c,
                       struct http_result *ret)
{
    return p->call ? p->call(p->arg, cx, c, ret) : http_call(cx, c, ret);
}

static const char *const peer_headers[] = {"Accept: application/json",
                                           "x-netflix-discovery-replication: true", NULL};

void replicas_sync(struct ctx *cx, struct replicas *p)
{
    for (size_t i = 0; i < p->n && !p->synced; i++) {
        const struct http_call get = {
            .method = HTTP_GET,
            .url = arena_printf(cx->arena, "%.*s/apps/", STR_ARG(p->urls[i])).p,
            .headers = peer_headers,
            .timeout_ms = CALL_TIMEOUT_MS,
            .answer_max = LIST_MAX,
        };
        struct http_result result;
        struct apps apps;
        if (replicas_call(cx, p, &get, &result) != ERR_OK || result.status != 200 ||
            apps_decode(cx, result.body, &apps) != ERR_OK)
            continue;
        for (size_t k = 0; k < apps.instances.n; k++)
            if (registry_register(cx, p->registry, LIST_AT(struct instance, apps.instances, k),
                                  FROM_PEER) != ERR_OK)
                log_event(cx, LOG_WARN, "discovery: an instance of a peer is not taken: %s",
                          cx->story.detail);
        p->synced = true;
        log_event(cx, LOG_INFO, "discovery: %zu instances taken over from %s", apps.instances.n,
                  url_shown(cx->arena, p->urls[i]));
    }
}

static void owe_again(struct replicas *p, size_t peer, struct list items)
{
    for (size_t i = 0; i < items.n; i++) {
        const struct peer_item *item = LIST_AT(struct peer_item, items, i);
        registry_owe(p->registry, peer, item->is.app, item->is.id, item->action);
    }
}

/* 404: it does not know the instance, or has an older one. 409: it knows a newer one. */
static void heard(struct ctx *cx, struct replicas *p, size_t peer, const struct peer_item *item,
                  const struct batch_answer *answer)
{
    struct instance theirs;

    if (answer->status == 404 && item->action != PEER_CANCEL)
        registry_owe(p->registry, peer, item->is.app, item->is.id, PEER_REGISTER);
    if (answer->status == 409 && answer->entity.n &&
        (batch_entity(cx, answer->entity, &theirs) != ERR_OK ||
         registry_register(cx, p->registry, &theirs, FROM_PEER) != ERR_OK))
        log_event(cx, LOG_WARN, "discovery: a peer's newer instance is not taken: %s",
                  cx->story.detail);
}

static enum err tell(struct ctx *cx, struct replicas *p, size_t peer, struct list items)
{
    const struct http_call post = {
        .method = HTTP_POST,
        .url = arena_printf(cx->arena, "%.*s/peerreplication/batch/", STR_ARG(p->urls[peer])).p,
        .body = batch_write(cx, items),
        .content_type = STR("application/json"),
        .headers = peer_headers,
        .timeout_ms = CALL_TIMEOUT_MS,
        .answer_max = LIST_MAX,
    };
    struct http_result result;
    struct batch_answers answers;

    TRY(replicas_call(cx, p, &post, &result));
    if (result.status == 401)
        return fail(cx, ERR_UPSTREAM,
                    "a peer answered 401: wrong user or password, --discovery-peers takes "
                    "http://USER:PASSWORD@HOST:8761/eureka");
    if (result.status != 200)
        return fail(cx, ERR_UPSTREAM, "a peer answered %d", result.status);
    TRY(json_decode_lenient(cx, batch_answers_fields, &answers, result.body));
    for (size_t i = 0; i < answers.items.n && i < items.n; i++)
        heard(cx, p, peer, LIST_AT(struct peer_item, items, i),
              LIST_AT(struct batch_answer, answers.items, i));
    return ERR_OK;
}

void replicas_turn(struct ctx *cx, struct replicas *p)
{
    for (size_t i = 0; i < p->n; i++) {
        struct list items = registry_pending(cx, p->registry, i, BATCH_SENT);
        if (items.n == 0)
            continue;
        bool was_away = p->away[i];
        p->away[i] = tell(cx, p, i, items) != ERR_OK;
        if (p->away[i])
            owe_again(p, i, items);
        if (p->away[i] && !was_away)
            log_event(cx, LOG_WARN, "discovery: %s is not told of changes now: %s",
                      url_shown(cx->arena, p->urls[i]), cx->story.detail);
        if (!p->away[i] && was_away)
            log_event(cx, LOG_INFO, "discovery: %s is told of changes again",
                      url_shown(cx->arena, p->urls[i]));
    }
}
