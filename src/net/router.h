/* router.h -- finds the route of a path in time proportional to the path, not to the number of
 * routes. */
#pragma once

#include "net/http.h"

#define ROUTE_PARAMS_MAX 4

struct router;
struct route_match {
    const void *route; /* what was added; NULL: no such path, or not with this method */
    int owner;         /* what was added with it */
    struct str params[ROUTE_PARAMS_MAX]; /* still percent-encoded */
    size_t n_params;
    unsigned methods; /* bit per http_method that the path has: for Allow and 405; 0: 404 */
};

struct router *router_open(void);
void router_close(struct router *r);
/* Pattern segments are literal or "{name}"; literals win. ERR_DUPLICATE for the same pattern and
 * method. */
enum err router_add(struct router *r, enum http_method m, const char *pattern, const void *route,
                    int owner) MUST_USE;
/* Exact segments: empty segments, "." and ".." never match. HEAD falls back to GET. */
void router_find(const struct router *r, enum http_method m, struct str path,
                 struct route_match *ret);
