/* expiry.c -- what time does to a registry: leases end, unless too many clients fall silent at
 * once. */
#include "discovery/registry_inside.h"

#define MINUTE_MS 60000
/* Threads read the clock before they take their turn: less than that is no step back. */
#define STEP_MS 1000
#define EVICT_MS_DEFAULT 60000
#define ROUNDS_MAX 16
/* 85 of 100 renewals must come: with fewer, the network is more likely ill than the clients. */
#define PERCENT 85
#define RENEWALS_A_MINUTE 2

bool lease_expired(const struct lease *l, int64_t now_ms)
{
    return now_ms > l->is.renewed_ms + l->is.duration_s * 1000;
}

int64_t renewals_needed(const struct registry *r)
{
    return (int64_t)r->live * RENEWALS_A_MINUTE * PERCENT / 100;
}

bool registry_evicts(const struct registry *r)
{
    return r->options.evict_always || r->renewals_last > renewals_needed(r);
}

static struct lease *longest_expired(const struct registry *r, int64_t now_ms)
{
    struct lease *found = NULL;
    int64_t latest = now_ms;

    for (size_t i = 0; i < r->n; i++) {
        struct lease *l = r->sorted[i];
        int64_t end = l->is.renewed_ms + l->is.duration_s * 1000;
        if (!l->gone && end < latest) {
            latest = end;
            found = l;
        }
    }
    return found;
}

/* At most 15 of 100 in one round: the others may come back meanwhile. */
static void evict(struct registry *r, int64_t now_ms)
{
    size_t left = r->live - r->live * PERCENT / 100;
    struct lease *l;

    if (!registry_evicts(r))
        return;
    while (left-- > 0 && (l = longest_expired(r, now_ms)) != NULL) {
        l->is.evicted_ms = now_ms;
        lease_delete(r, l, now_ms);
    }
}

static void count_minutes(struct registry *r, int64_t now_ms)
{
    int64_t passed = (now_ms - r->minute_ms) / MINUTE_MS;

    if (passed <= 0)
        return;
    r->renewals_last = passed == 1 ? r->renewals : 0;
    r->renewals = 0;
    r->minute_ms += passed * MINUTE_MS;
}

static void forget_old(struct registry *r, int64_t now_ms)
{
    for (size_t i = r->n; i-- > 0;)
        if (r->sorted[i]->gone && now_ms - r->sorted[i]->changed_ms > REGISTRY_DELTA_MS)
            lease_forget(r, i);
}

/* The clock was set back: so is what happened, and leases end after as long a silence as before. */
static void set_back(struct registry *r, int64_t by_ms)
{
    for (size_t i = 0; i < r->n; i++) {
        r->sorted[i]->is.renewed_ms -= by_ms;
        r->sorted[i]->changed_ms -= by_ms;
    }
    r->minute_ms -= by_ms;
    r->evicted_ms -= by_ms;
}

void registry_tick(struct registry *r, int64_t now_ms)
{
    int64_t every_ms = r->options.evict_ms > 0 ? r->options.evict_ms : EVICT_MS_DEFAULT;

    if (r->minute_ms == 0)
        r->minute_ms = r->evicted_ms = now_ms;
    if (r->ticked_ms - now_ms > STEP_MS)
        set_back(r, r->ticked_ms - now_ms);
    r->ticked_ms = now_ms;
    count_minutes(r, now_ms);
    if (now_ms - r->evicted_ms < every_ms)
        return;
    forget_old(r, now_ms);
    for (int i = 0; i < ROUNDS_MAX && now_ms - r->evicted_ms >= every_ms; i++) {
        evict(r, now_ms);
        r->evicted_ms += every_ms;
    }
    if (now_ms - r->evicted_ms >= every_ms)
        r->evicted_ms = now_ms;
}
