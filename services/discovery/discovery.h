/* discovery.h -- the discovery service: a registry that speaks Eureka's protocol on a port of its
 * own. */
#pragma once

#include "service/platform.h"

struct registry;

struct discovery_options {
    struct str listen;      /* "127.0.0.1:8761" */
    struct str credentials; /* "USER:PASSWORD" of whoever may ask; none: anybody */
    struct str peers;  /* "http://HOST:8761/eureka,..." of others (USER:PASSWORD@ before HOST); may
                          be none */
    int64_t evict_s;   /* expired leases are looked for so often */
    bool evict_always; /* no self-preservation */
};

/* Not one of the platform's own services: it has no database, and its protocol is another's. */
extern const struct service discovery_service;
/* The port it listens on; 0: it does not run here. */
int discovery_port(struct platform *p);

/* This process as a client: registers its services with a server, and hears of the others'. */
struct discovery_join {
    struct str urls; /* "http://HOST:8761/eureka,...", with USER:PASSWORD@ before HOST */
    struct str host; /* by which others reach us; none: that of the public listener */
    int64_t renew_s;
    const struct service *const *wanted; /* NULL-terminated: whose addresses the platform is told */
};
struct discovery_member;
/* The platform runs already and outlives the member. ERR_INVALID: the URLs. */
enum err discovery_join(struct ctx *cx, struct platform *p, const struct discovery_join *options,
                        struct discovery_member **ret) MUST_USE;
void discovery_leave(struct discovery_member *m); /* takes our services out; NULL is fine */
