/* batch.h -- the documents that servers exchange, as structs and their tables. */
#pragma once

#include "discovery/instance.h"
#include "discovery/registry.h"

#define BATCH_MAX 250

struct batch_item {
    struct str app, id, status, overridden, action, dirty;
    struct wire_instance *instance;
};
struct batch {
    struct list items; /* of struct batch_item */
};
extern const struct field batch_fields[];

struct batch_answer {
    int64_t status;
    struct str entity; /* raw: what the other one knows, when it is newer */
};
struct batch_answers {
    struct list items; /* of struct batch_answer */
};
extern const struct field batch_answers_fields[];

/* The text of a batch; items are struct peer_item. In the arena. */
struct str batch_write(struct ctx *cx, struct list items);
/* {"instance": {...}} or the instance's fields at once. */
enum err batch_entity(struct ctx *cx, struct str raw, struct instance *ret) MUST_USE;
