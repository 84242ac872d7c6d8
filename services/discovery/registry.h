/*
 * registry.h -- who is registered: leases that expire, overrides, changes, and when not to believe
 * silence.
 *
 * In memory only: after a restart every client registers again, since its renewal is answered 404.
 * Bounded: instances, bytes of one and of all. Nothing runs by itself: every call first does what
 * was due by its time (evictions, forgetting what was deleted), so that a moved clock is enough for
 * a test. All calls may come from any thread.
 */
#pragma once

#include "discovery/instance.h"
#include "discovery/write.h"

#define REGISTRY_INSTANCES_MAX 4096
#define REGISTRY_BYTES_MAX (4 * 1024 * 1024) /* of all instances */
#define REGISTRY_PEERS_MAX 8
#define REGISTRY_DELTA_MS (180 * 1000) /* a change is told for so long */

struct registry_options {
    int64_t evict_ms;  /* expired leases are looked for so often; 0: every minute */
    bool evict_always; /* also when most clients are silent at once: then it may be the network */
    size_t n_peers;    /* changes are remembered for each */
};

struct registry;
enum err registry_open(struct ctx *cx, const struct registry_options *options,
                       struct registry **ret) MUST_USE;
void registry_close(struct registry *r);

/* Who asks: a client, or another server that tells what a client said to it. */
enum registry_from { FROM_CLIENT, FROM_PEER };

/* ERR_BUSY: full (public_detail says of what). */
enum err registry_register(struct ctx *cx, struct registry *r, const struct instance *is,
                           enum registry_from from) MUST_USE;
/*
 * dirty_ms < 0: not said. ERR_NOT_FOUND: register (again), also when the client's is newer or its
 * status is not known. ERR_CONFLICT: a peer's is older than ours, which is copied to *ret_ours.
 */
enum err registry_renew(struct ctx *cx, struct registry *r, struct str app, struct str id,
                        int64_t dirty_ms, enum registry_from from,
                        struct instance *ret_ours) MUST_USE;
/* ERR_NOT_FOUND, here and below. */
enum err registry_cancel(struct ctx *cx, struct registry *r, struct str app, struct str id,
                         enum registry_from from) MUST_USE;
enum err registry_override(struct ctx *cx, struct registry *r, struct str app, struct str id,
                           enum instance_status status, int64_t dirty_ms,
                           enum registry_from from) MUST_USE;
/* Without the override the instance has this status, UNKNOWN until it registers again. */
enum err registry_delete_override(struct ctx *cx, struct registry *r, struct str app, struct str id,
                                  enum instance_status status, int64_t dirty_ms,
                                  enum registry_from from) MUST_USE;
enum err registry_add_metadata(struct ctx *cx, struct registry *r, struct str app, struct str id,
                               struct list pairs) MUST_USE;

/* For a copy of another registry: as it is there, and nothing at all. ERR_BUSY: full. */
enum err registry_put(struct ctx *cx, struct registry *r, const struct instance *is) MUST_USE;
void registry_clear(struct ctx *cx, struct registry *r);

/* Which instances. */
enum registry_view {
    VIEW_ALL,
    VIEW_CHANGES,
    VIEW_APPLICATION,
    VIEW_VIP,
    VIEW_SECURE_VIP,
    VIEW_INSTANCE, /* by name and id; without a name, of any application */
};
/*
 * Writes the document of a view into w->b, which is prepared here, in cx's arena. ERR_NOT_FOUND: no
 * such application or instance; one whose lease has expired is not found either.
 */
enum err registry_write(struct ctx *cx, struct registry *r, enum registry_view view,
                        struct str name, struct str id, struct writer *w) MUST_USE;
/* "DOWN_1_UP_2_": how many have each status. */
struct str registry_hash(struct ctx *cx, struct registry *r);
/* Calls `each` for every instance, by application, with the registry locked. */
void registry_each(struct ctx *cx, struct registry *r,
                   void (*each)(void *arg, const struct instance *is), void *arg);

struct registry_figures {
    size_t instances, bytes;
    int64_t renewals_last_minute, renewals_expected; /* expected: below it nobody is evicted */
    bool evicting;
};
struct registry_figures registry_figures(struct ctx *cx, struct registry *r);

/* What a peer has not been told yet: the state, not the single steps. */
enum peer_action { PEER_REGISTER, PEER_STATUS, PEER_DELETE_STATUS, PEER_HEARTBEAT, PEER_CANCEL };
struct peer_item {
    enum peer_action action;
    struct instance is; /* in the arena */
};
/* At most `max` items, taken off what is pending. */
struct list registry_pending(struct ctx *cx, struct registry *r, size_t peer, size_t max);
/* Puts one back (it could not be told) or asks for it (the peer does not know the instance). */
void registry_owe(struct registry *r, size_t peer, struct str app, struct str id,
                  enum peer_action action);
