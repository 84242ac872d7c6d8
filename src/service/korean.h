/* korean.h -- the sentences of problems in Korean. */
#pragma once

#include "base/arena.h"
#include "base/str.h"

/* Of an Accept-Language (none: Korean): unless English is wanted more. Whoever wants neither reads
 * English. */
bool korean_wanted(struct str languages);

/* The sentence in Korean (static or in the arena), or as it is when it is none of ours: a
 * provider's words, a name. */
struct str korean_of(struct arena *a, struct str english);
