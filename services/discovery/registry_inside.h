/* registry_inside.h -- what a registry is made of; for the files of the registry only. */
#pragma once

#include <pthread.h>

#include "discovery/registry.h"

struct lease {
    struct arena arena; /* what `is` points to */
    struct instance is;
    size_t bytes;
    int64_t changed_ms; /* told in deltas since */
    bool gone;          /* deleted: kept for the deltas, and for peers that do not know yet */
    unsigned char owed[REGISTRY_PEERS_MAX]; /* bits of enum peer_action */
};

struct registry {
    struct arena arena; /* itself */
    struct registry_options options;
    pthread_mutex_t lock;
    struct lease leases[REGISTRY_INSTANCES_MAX];
    struct lease *unused[REGISTRY_INSTANCES_MAX];
    struct lease *sorted[REGISTRY_INSTANCES_MAX]; /* by application, then id; with the gone */
    size_t n_unused, n, live, bytes;
    int64_t version;    /* of changes */
    int64_t evicted_ms; /* the last round */
    int64_t ticked_ms;  /* the clock at the last call */
    /* Renewals, counted by whole minutes. */
    int64_t minute_ms, renewals, renewals_last;
};

/* All of them with the lock held. */
void lease_changed(struct registry *r, struct lease *l, enum instance_action action,
                   int64_t now_ms);
void lease_owe(struct registry *r, struct lease *l, enum peer_action action);
/* The bits of what that action takes the place of: an override is there, or it is not. */
unsigned owed_instead(enum peer_action action);
void lease_delete(struct registry *r, struct lease *l, int64_t now_ms);
/* Forgets a deleted one; its place in `sorted` is given. */
void lease_forget(struct registry *r, size_t at);
bool lease_expired(const struct lease *l, int64_t now_ms);
int64_t renewals_needed(const struct registry *r);
bool registry_evicts(const struct registry *r);
/* What was due until now. */
void registry_tick(struct registry *r, int64_t now_ms);
/* Where it is or would be. */
size_t lease_at(const struct registry *r, struct str app, struct str id, bool *ret_found);
