/*
 * client.h -- registers services with a Eureka server, keeps them registered, and knows the others.
 *
 * Nothing runs by itself: client_turn does what is due at the time of its ctx. When no server
 * answers, what was known stays known; a list that became empty does not replace one that was not,
 * since an address that may be gone is worth more than none.
 */
#pragma once

#include "discovery/replicas.h"

#define CLIENT_SERVICES_MAX 16

struct client_options {
    struct str urls; /* "http://HOST:8761/eureka,..."; the next one when one does not answer */
    struct str host; /* by which others reach this process */
    int64_t port, internal_port;
    int64_t every_s; /* between renewals, and between looks at the registry */
    struct str services[CLIENT_SERVICES_MAX]; /* to register */
    size_t n_services;
    struct str wanted[CLIENT_SERVICES_MAX]; /* whose addresses are told to `found` */
    size_t n_wanted;
    /* Addresses "HOST:PORT" of internal and of public listeners, when they changed; they live until
     * it returns. */
    void (*found)(void *arg, struct str service, const struct str *internal, const struct str *open,
                  size_t n);
    void *found_arg;
    discovery_call *call; /* NULL: http_call */
    void *call_arg;
};

struct client;
/* ERR_INVALID: the URLs. The options' strings are copied. */
enum err client_open(struct ctx *cx, const struct client_options *options,
                     struct client **ret) MUST_USE;
void client_turn(struct ctx *cx, struct client *c);
/* Takes every service out; what cannot be reached forgets them when their leases end. */
void client_leave(struct ctx *cx, struct client *c);
void client_close(struct client *c);

struct client_figures {
    size_t registered;     /* services that the server knows of */
    size_t instances;      /* in our copy */
    int64_t fulls, deltas; /* lists fetched; a full one also when a delta did not add up */
    int64_t failures;      /* calls without an answer */
};
struct client_figures client_figures(struct ctx *cx, const struct client *c);
