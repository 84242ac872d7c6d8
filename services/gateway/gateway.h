/* gateway.h -- the edge: one address in front of all services, each wherever it runs. */
#pragma once

#include "service/platform.h"

struct gateway_options {
    const struct service *const *behind; /* NULL-terminated: whose routes it knows */
    struct str
        routes; /* "/v1/chat=chat,..." path prefixes of back ends that are not ours; or none */
    int64_t requests_max, connect_ms, answer_ms; /* see cluster.h */
};

/* Calls nobody but through the proxy, so it needs no key of its own; auth's public keys it fetches
 * where everybody does. Not one of `up`'s services: in one process requests reach their handlers
 * without it. */
extern const struct service gateway_service;
