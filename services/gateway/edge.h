/* edge.h -- what the files of the gateway share. */
#pragma once

#include "gateway/gateway.h"
#include "gateway/limits.h"
#include "net/proxy.h"
#include "net/router.h"
#include "obs/metrics.h"
#include "service/ticker.h"

#define BACKENDS_MAX 32
#define PREFIXES_MAX 32

/* A name with the instances behind it. */
struct backend {
    const char *name;
    struct cluster *cluster;
    bool is_ours;                                               /* it checks tokens itself */
    bool is_known;                                              /* it had an address once */
    struct metric *seconds, *answers[6], *up, *out, *in_flight; /* answers[0]: the client left */
};

struct prefix {
    struct str path; /* "/v1/chat": itself and what is below */
    struct backend *to;
};

struct gateway {
    struct arena arena; /* itself */
    struct platform *platform;
    struct svc *svc;
    const struct gateway_options *options;
    struct backend backends[BACKENDS_MAX];
    size_t n_backends;
    struct router *router; /* the route tables of those behind; owner: index of the backend */
    struct prefix prefixes[PREFIXES_MAX];
    size_t n_prefixes;
    struct limits *limits;
    struct str contract; /* OpenAPI of all that is ours */
    struct proxy *proxy;
    struct ticker ticker;
    struct metric *own[6]; /* answers that no backend gave */
};

/* routes.c */
enum err routes_open(struct ctx *cx, struct gateway *g) MUST_USE;
struct way {
    struct backend *to;
    const struct route *route; /* NULL: a back end that is not ours */
    unsigned methods;          /* what the path has, when to is NULL */
};
struct way routes_find(const struct gateway *g, const struct http_head *head);

/* targets.c: looks up where everybody is now. */
void targets_refresh(void *gateway, struct arena *a);

/* decide.c: the proxy's questions. */
void gateway_decide(void *gateway, const struct proxy_request *rq, struct proxy_note *note,
                    struct proxy_verdict *ret);
void gateway_refuse(void *gateway, struct arena *a, const struct proxy_note *note, enum err e,
                    struct http_answer *ret);
void gateway_done(void *gateway, const struct proxy_note *note, int status);
