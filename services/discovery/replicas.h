/* replicas.h -- tells the other servers of this registry what clients said, and learns from them.
 */
#pragma once

#include "discovery/registry.h"
#include "net/client.h"

/* How a server or client of discovery calls out: http_call, or what a test puts in its place. */
typedef enum err discovery_call(void *arg, struct ctx *cx, const struct http_call *call,
                                struct http_result *ret);

struct replicas {
    struct registry *registry;           /* borrowed */
    struct str urls[REGISTRY_PEERS_MAX]; /* "http://HOST:8761/eureka", without a slash at the end */
    size_t n;
    bool away[REGISTRY_PEERS_MAX]; /* did not answer last time: said once in the log */
    bool synced;                   /* once the registry of one of them was taken over */
    discovery_call *call;          /* NULL: http_call */
    void *arg;
};

/* Cuts "URL,URL" into urls. ERR_INVALID: not http(s), or too many. */
enum err replicas_parse(struct ctx *cx, struct str text, struct replicas *ret) MUST_USE;
enum err replicas_call(struct ctx *cx, struct replicas *p, const struct http_call *c,
                       struct http_result *ret) MUST_USE;
/* Takes over what the first peer that answers knows; again until one does. */
void replicas_sync(struct ctx *cx, struct replicas *p);
/* One batch to each of them that is owed something. A peer that is away is owed it still. */
void replicas_turn(struct ctx *cx, struct replicas *p);
