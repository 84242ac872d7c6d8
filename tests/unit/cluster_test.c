/* cluster_test.c -- turns by weight, who is put out, and who may try it again. */
#include "net/cluster.h"

#include <arpa/inet.h>

#include "test.h"

static struct arena arena;
static struct ctx cx = {.arena = &arena};

static struct cluster_target target(int port, int weight)
{
    struct cluster_target t = {.address_size = sizeof(struct sockaddr_in), .weight = weight};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    memcpy(&t.address, &in, sizeof in);
    return t;
}

static int port_of(const struct cluster_turn *turn)
{
    struct sockaddr_in in;

    memcpy(&in, &turn->address, sizeof in);
    return ntohs(in.sin_port);
}

static struct cluster *open_with(const struct cluster_target *targets, size_t n, int max)
{
    const struct cluster_options options = {.name = "test", .requests_max = max};
    struct cluster *c = NULL;

    CHECK_INT(cluster_open(&cx, &options, &c), ERR_OK);
    cluster_set(c, targets, n);
    return c;
}

/* One request that ends like that; its port, or 0 for nobody. */
static int once(struct cluster *c, int64_t now_us, enum cluster_outcome outcome)
{
    struct cluster_turn turn;

    if (cluster_take(c, now_us, 0, &turn) != CLUSTER_TURN)
        return 0;
    cluster_done(c, &turn, now_us, outcome);
    return port_of(&turn);
}

static void turns_follow_weights(void)
{
    const struct cluster_target targets[] = {target(1, 90), target(2, 10), target(3, 0)};
    struct cluster *c = open_with(targets, 3, 10);
    int seen[4] = {0}, in_a_row = 0;

    for (int i = 0; i < 1000; i++) {
        int port = once(c, 1, CLUSTER_GOOD);
        seen[port]++;
        in_a_row = port == 2 ? in_a_row + 1 : 0;
        CHECK(in_a_row < 2);
    }
    CHECK_INT(seen[1], 900);
    CHECK_INT(seen[2], 100);
    CHECK_INT(seen[3], 0);
    cluster_close(c);
}

static void who_fails_is_put_out_and_tried_again(void)
{
    const struct cluster_target targets[] = {target(1, 1), target(2, 1)};
    struct cluster *c = open_with(targets, 2, 10);
    struct cluster_turn probe, other;
    int64_t now = 1000;

    for (int i = 0; i < 10; i++) {
        struct cluster_turn turn;
        CHECK_INT(cluster_take(c, now, 0, &turn), CLUSTER_TURN);
        cluster_done(c, &turn, now, port_of(&turn) == 1 ? CLUSTER_FAILED : CLUSTER_GOOD);
    }
    CHECK_INT(cluster_figures(c, now).out, 1);
    for (int i = 0; i < 10; i++)
        CHECK_INT(once(c, now, CLUSTER_GOOD), 2);
    /* After a second one request, and only one at a time, may try it. */
    now += US_PER_S;
    CHECK_INT(cluster_take(c, now, 1u << 1, &probe), CLUSTER_TURN);
    CHECK(probe.is_probe && port_of(&probe) == 1);
    CHECK_INT(cluster_take(c, now, 1u << 1, &other), CLUSTER_NOBODY);
    cluster_done(c, &probe, now, CLUSTER_FAILED);
    CHECK_INT(cluster_take(c, now + US_PER_S, 1u << 1, &other), CLUSTER_NOBODY); /* longer */
    now += 2 * US_PER_S;
    CHECK_INT(cluster_take(c, now, 1u << 1, &probe), CLUSTER_TURN);
    cluster_done(c, &probe, now, CLUSTER_SPARED); /* says nothing: the next one tries */
    CHECK_INT(cluster_take(c, now, 1u << 1, &probe), CLUSTER_TURN);
    cluster_done(c, &probe, now, CLUSTER_GOOD);
    CHECK_INT(cluster_figures(c, now).out, 0);
    int first = once(c, now, CLUSTER_GOOD), second = once(c, now, CLUSTER_GOOD);
    CHECK_INT(first + second, 3);
    cluster_close(c);
}

static void who_refuses_connections_is_back_soon(void)
{
    const struct cluster_target targets[] = {target(1, 1)};
    struct cluster *c = open_with(targets, 1, 10);
    int64_t now = 1000;

    for (int i = 0; i < 5; i++)
        CHECK_INT(once(c, now, CLUSTER_REFUSED), 1);
    CHECK_INT(once(c, now, CLUSTER_GOOD), 0);
    for (int i = 0; i < 20; i++) { /* however long it takes */
        now += 100 * US_PER_MS;
        CHECK_INT(once(c, now, CLUSTER_REFUSED), 1);
        CHECK_INT(once(c, now, CLUSTER_GOOD), 0);
    }
    now += 100 * US_PER_MS;
    CHECK_INT(once(c, now, CLUSTER_GOOD), 1);
    CHECK_INT(once(c, now, CLUSTER_GOOD), 1);
    cluster_close(c);
}

/* The first request after a restart may take long; the others need not wait for its answer. */
static void who_listens_again_is_back_before_it_has_answered(void)
{
    const struct cluster_target targets[] = {target(1, 1)};
    struct cluster *c = open_with(targets, 1, 10);
    struct cluster_turn probe, other;
    int64_t now = 1000;

    for (int i = 0; i < 5; i++)
        CHECK_INT(once(c, now, CLUSTER_REFUSED), 1);
    now += 100 * US_PER_MS;
    CHECK_INT(cluster_take(c, now, 0, &probe), CLUSTER_TURN);
    CHECK_INT(cluster_take(c, now, 0, &other), CLUSTER_NOBODY);
    cluster_reached(c, &probe);
    CHECK_INT(once(c, now, CLUSTER_FAILED), 1); /* on trial: once is enough */
    CHECK_INT(once(c, now, CLUSTER_GOOD), 0);
    now += US_PER_S;
    CHECK_INT(once(c, now, CLUSTER_GOOD), 1); /* the first request is still under way */
    CHECK_INT(once(c, now, CLUSTER_GOOD), 1);
    cluster_done(c, &probe, now, CLUSTER_FAILED);
    for (int i = 0; i < 4; i++)
        CHECK_INT(once(c, now, CLUSTER_FAILED), 1);
    now += US_PER_S;
    CHECK_INT(cluster_take(c, now, 0, &probe), CLUSTER_TURN);
    cluster_reached(c, &probe); /* it listened all the time */
    CHECK_INT(cluster_take(c, now, 0, &other), CLUSTER_NOBODY);
    cluster_done(c, &probe, now, CLUSTER_GOOD);
    cluster_close(c);
}

static void a_success_in_between_forgives(void)
{
    const struct cluster_target targets[] = {target(1, 1)};
    struct cluster *c = open_with(targets, 1, 10);

    for (int i = 0; i < 40; i++)
        CHECK_INT(once(c, 1, i % 5 == 4 ? CLUSTER_GOOD : CLUSTER_FAILED), 1);
    for (int i = 0; i < 5; i++)
        CHECK_INT(once(c, 1, CLUSTER_FAILED), 1);
    CHECK_INT(once(c, 1, CLUSTER_GOOD), 0);
    cluster_close(c);
}

static void nobody_has_more_than_it_may(void)
{
    const struct cluster_target targets[] = {target(1, 1), target(2, 1)};
    struct cluster *c = open_with(targets, 2, 1);
    struct cluster_turn a, b, none;

    CHECK_INT(cluster_take(c, 1, 0, &a), CLUSTER_TURN);
    CHECK_INT(cluster_take(c, 1, 0, &b), CLUSTER_TURN);
    CHECK(port_of(&a) != port_of(&b));
    CHECK_INT(cluster_take(c, 1, 0, &none), CLUSTER_FULL);
    cluster_done(c, &a, 1, CLUSTER_GOOD);
    CHECK_INT(cluster_take(c, 1, 0, &none), CLUSTER_TURN);
    CHECK_INT(port_of(&none), port_of(&a));
    cluster_done(c, &b, 1, CLUSTER_GOOD);
    cluster_done(c, &none, 1, CLUSTER_GOOD);
    CHECK_INT(cluster_figures(c, 1).in_flight, 0);
    cluster_close(c);
}

static void targets_come_and_go(void)
{
    const struct cluster_target before[] = {target(1, 1), target(2, 1)};
    const struct cluster_target after[] = {target(2, 1), target(3, 1)};
    struct cluster *c = open_with(before, 2, 10);
    struct cluster_turn old;

    CHECK_INT(cluster_take(c, 1, 0, &old), CLUSTER_TURN);
    CHECK(cluster_is_current(c, &old));
    cluster_set(c, after, 2);
    CHECK_INT(cluster_is_current(c, &old), port_of(&old) == 2);
    for (int i = 0; i < 8; i++) {
        int port = once(c, 1, CLUSTER_GOOD);
        CHECK(port == 2 || port == 3);
    }
    cluster_done(c, &old, 1, CLUSTER_FAILED); /* of somebody who may be gone */
    cluster_set(c, NULL, 0);
    CHECK_INT(once(c, 1, CLUSTER_GOOD), 0);
    CHECK_INT(cluster_figures(c, 1).targets, 0);
    /* More than there is room for, again and again: slots are used again. */
    for (int i = 0; i < 100; i++) {
        struct cluster_target many[CLUSTER_TARGETS_MAX + 3];
        for (int k = 0; k < (int)COUNT_OF(many); k++)
            many[k] = target(100 * i + k + 10, 1);
        cluster_set(c, many, COUNT_OF(many));
        CHECK_INT(cluster_figures(c, 1).targets, CLUSTER_TARGETS_MAX);
        CHECK(once(c, 1, CLUSTER_GOOD) >= 100 * i + 10);
    }
    cluster_close(c);
}

int main(void)
{
    arena_init(&arena, 1024 * 1024);
    RUN(turns_follow_weights);
    RUN(who_fails_is_put_out_and_tried_again);
    RUN(who_refuses_connections_is_back_soon);
    RUN(who_listens_again_is_back_before_it_has_answered);
    RUN(a_success_in_between_forgives);
    RUN(nobody_has_more_than_it_may);
    RUN(targets_come_and_go);
    arena_release(&arena);
    return test_end();
}
