/*
 * log_groups.c -- members of a group share its topics.
 *
 * Each topic is one partition. Who should read what is worked out anew whenever somebody joins or
 * leaves; what really changes hands does so when the old owner polls again or leaves.
 */
#include "bus/log.h"

void *log_must(void *p)
{
    if (!p)
        abort();
    return p;
}

void log_condition_init(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

struct log_topic *log_topic(struct log_bus *b, struct str name)
{
    for (struct log_topic *t = b->topics; t; t = t->next)
        if (str_eq(str_from(t->name), name))
            return t;
    struct log_topic *t = log_must(calloc(1, sizeof(*t)));
    t->name = log_must(strndup(name.p, name.n));
    t->next = b->topics;
    b->topics = t;
    return t;
}

static bool reads(const struct log_reader *r, const struct log_topic *t)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->topics[i] == t)
            return true;
    return false;
}

/* The topics go round the members that asked for them. */
static void rebalance(struct log_group *g)
{
    size_t at = 0;
    for (struct log_slot *s = g->slots; s; s = s->following, at++) {
        size_t members = 0;
        for (struct log_reader *r = g->readers; r; r = r->next)
            members += reads(r, s->topic);
        size_t pick = members ? at % members : 0;
        s->wanted = NULL;
        for (struct log_reader *r = g->readers; r && !s->wanted; r = r->next)
            if (reads(r, s->topic) && pick-- == 0)
                s->wanted = r;
    }
    for (struct log_reader *r = g->readers; r; r = r->next)
        pthread_cond_signal(&r->wake);
}

static struct log_group *group_find(struct log_bus *b, const char *name)
{
    for (struct log_group *g = b->groups; g && name; g = g->next)
        if (g->name && strcmp(g->name, name) == 0)
            return g;
    struct log_group *g = log_must(calloc(1, sizeof(*g)));
    g->name = name ? log_must(strdup(name)) : NULL;
    g->next = b->groups;
    b->groups = g;
    return g;
}

void log_join(struct log_bus *b, struct log_reader *r, const char *group)
{
    struct log_group *g = group_find(b, group);
    struct log_reader **last = &g->readers;
    r->group = g;
    while (*last)
        last = &(*last)->next;
    *last = r;
    for (size_t i = 0; i < r->n; i++) {
        struct log_slot **s = &g->slots;
        while (*s && (*s)->topic != r->topics[i])
            s = &(*s)->following;
        if (!*s) {
            *s = log_must(calloc(1, sizeof(**s)));
            (*s)->topic = r->topics[i];
        }
    }
    rebalance(g);
}

void log_leave(struct log_bus *b, struct log_reader *r)
{
    struct log_group *g = r->group;
    struct log_reader **at = &g->readers;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    for (struct log_slot *s = g->slots; s; s = s->following)
        if (s->owner == r)
            s->owner = NULL;
    rebalance(g);
    if (g->name)
        return; /* named groups stay: their positions hold back retention */
    struct log_group **before = &b->groups;
    while (*before != g)
        before = &(*before)->next;
    *before = g->next;
    while (g->slots) {
        struct log_slot *s = g->slots;
        g->slots = s->following;
        free(s);
    }
    free(g);
}

void log_give_up(struct log_reader *r)
{
    for (struct log_slot *s = r->group->slots; s; s = s->following) {
        if (s->owner != r || s->wanted == r)
            continue;
        s->owner = NULL;
        if (s->wanted)
            pthread_cond_signal(&s->wanted->wake);
    }
}

struct log_slot *log_take_over(struct log_reader *r)
{
    for (struct log_slot *s = r->group->slots; s; s = s->following) {
        if (s->wanted == r && !s->owner) {
            s->owner = r;
            s->started = false;
            return s;
        }
    }
    return NULL;
}

void log_notify(struct log_bus *b, const struct log_topic *t)
{
    for (struct log_group *g = b->groups; g; g = g->next)
        for (struct log_slot *s = g->slots; s; s = s->following)
            if (s->topic == t && s->owner)
                pthread_cond_signal(&s->owner->wake);
}
