/* apps.h -- the document {"applications": ...} read back: by clients and by servers of servers. */
#pragma once

#include "discovery/instance.h"

struct apps {
    struct str hash;
    struct list instances; /* of struct instance, as they stand in the document */
};
/* ERR_MALFORMED or ERR_INVALID; an instance that cannot be read is left out. */
enum err apps_decode(struct ctx *cx, struct str json, struct apps *ret) MUST_USE;
