/* authorization.h -- the Authorization header: Bearer (RFC 6750) and Basic (RFC 7617). */
#pragma once

#include "base/arena.h"

enum auth_scheme { AUTH_ABSENT, AUTH_BEARER, AUTH_BASIC, AUTH_BAD };

struct authorization {
    enum auth_scheme scheme;
    struct str token;          /* Bearer; borrowed from the header */
    struct str user, password; /* Basic; in the arena */
};

/* header absent (p == NULL): AUTH_ABSENT. Another scheme, a bad token or bad base64: AUTH_BAD. */
struct authorization authorization_parse(struct arena *a, struct str header);
