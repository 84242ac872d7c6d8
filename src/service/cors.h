/*
 * cors.h -- pages of other origins that may call: the list that was given, what answers to them
 * say, and preflights (Fetch standard, CORS protocol).
 *
 * Who calls is told by a token in a header that a page must set itself, never by something that the
 * browser sends along; so no credentials are allowed, and the list only opens what such a page
 * could do through a server of its own.
 */
#pragma once

#include "base/ctx.h"
#include "net/http.h"

#define CORS_ORIGINS_MAX 32
#define CORS_FIELDS_MAX 3

struct cors; /* read-only once it is open */

/*
 * "https://shop.example,http://localhost:5173": scheme, host, and port unless it is the scheme's.
 * None: no page of another origin may, and nothing is said. Lives in the arena. ERR_INVALID names
 * what is no origin.
 */
enum err cors_open(struct ctx *cx, struct arena *a, struct str spec, struct cors **ret) MUST_USE;

/* What every answer to that request says; lives as long as the cors. */
struct cors_fields {
    const struct http_field *fields;
    size_t n;
    bool is_allowed; /* of an origin on the list */
};
struct cors_fields cors_of(const struct cors *c, const struct http_head *head);

/* Does a browser ask whether a page may? Only where origins are given. */
bool cors_is_preflight(const struct cors *c, const struct http_head *head);
/* The answer for a path that has these methods (1 << http_method); head's origin is on the list. */
void cors_preflight(const struct cors *c, struct arena *a, const struct http_head *head,
                    unsigned methods, struct http_answer *ret);
