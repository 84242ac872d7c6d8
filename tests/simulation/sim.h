/* sim.h -- the simulation: the real services on one thread under virtual time, with everything
 * going wrong. */
#pragma once

#include "base/fault.h"
#include "service/audit.h"
#include "service/demo.h"
#include "service/platform.h"

#include <setjmp.h>

#define CUSTOMERS 4
#define STORES 2
#define OLD_MAX 400
#define POINTS_MAX 64
#define FAVOURITES 16
#define CRASHES_MAX 6

/* How hostile a seed is, drawn from the seed itself; percent. */
struct weather {
    unsigned favourite; /* the fault points it likes best to die at */
    unsigned crash, fail, lost_before, lost_after, late, decline, jump;
};

/* A request whose answer the client wants; sent again with the same key until one comes. */
struct pending {
    bool is_open;
    struct str path, body, key; /* in the long arena */
    int status;                 /* of the last answer, 0: none yet */
    struct uuid order_id;       /* of an order that was answered 201 */
};

struct customer {
    struct uuid id, order_id; /* the order they are at; nil: none */
    struct pending place, confirm;
    struct str payment_key;
    int64_t total_won;
    int64_t keys;
};

/* A request to the provider that is still on the way: it arrives later. */
struct late_call {
    bool is_open;
    enum http_method method;
    struct str path, body, key, authorization;
};

/* What the simulated clients were told, to be held against what is there in the end. */
struct told {
    struct uuid order_id;
    struct str key; /* Idempotency-Key of the order */
    bool captured;
};

struct sim {
    uint64_t seed;
    struct rng rng; /* the adversary's own dice: the platform has its own */
    struct weather weather;
    struct clock clock;
    struct platform *p;
    char root[64], dir[96];
    int lives, steps, crashes, fails;
    bool calm; /* no more faults: it must converge */
    bool crash_allowed, starting;
    int fragile; /* so many fault points more it is likelier to die: it is recovering */
    sigjmp_buf crash;
    struct arena arena; /* as long as the seed */
    struct customer customers[CUSTOMERS];
    struct late_call late[4];
    struct told told[OLD_MAX];
    size_t n_told;
    int64_t paid;   /* orders that were PAID at some time */
    int64_t counts; /* how often somebody counted portions, for a key each */
    uint64_t trace; /* hash over everything that was answered */
    bool verbose;
    char problem[600]; /* the first thing that was wrong; empty: nothing */
};

/* How often a fault point was passed and what happened there. */
struct point {
    char name[32];
    int passed, died, failed;
};
extern struct point world_points[POINTS_MAX]; /* of this process; ended by an empty name */

/* world.c */
/* Makes the directory that every seed starts from, once. */
void world_template(const char *root);
void world_start(struct sim *s); /* first life, or the next one after a crash */
void world_crash(struct sim *s); /* what is on disk now is all there is */
void world_end(struct sim *s);
void world_remove(const char *path); /* with all that is in it */
void wrong(struct sim *s, const char *format, ...) PRINTF_LIKE(2, 3);
bool roll(struct sim *s, unsigned percent);
unsigned pick(struct sim *s, unsigned n);
void deliver_late(struct sim *s);
/* An HTTP request as `as`; 0: no answer (it died on the way). The answer's body is in `a`. */
int ask(struct sim *s, struct arena *a, const struct caller *as, int listener,
        enum http_method method, struct str path, struct str body, struct str key,
        struct str *ret_body);

/* people.c */
void people_act(struct sim *s);
void people_insist(
    struct sim *s); /* calm: unanswered requests are sent again; owners finish what they have */

/* checks.c */
void check_always(struct sim *s);
void check_end(struct sim *s);
