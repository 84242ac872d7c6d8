/* peers_test.c -- where services are: the list, the pattern, discovery, and errors that name what
 * is wrong. */
#include "service/peers.h"
#include "test.h"

static struct arena arena;
static struct rng rng;

static struct ctx ctx_new(void)
{
    return (struct ctx){.arena = &arena, .clock = &clock_system, .rng = &rng};
}

static void lists_and_pattern(void)
{
    struct ctx cx = ctx_new();
    struct peer_address at[PEER_ADDRESSES_MAX];
    struct peers *p;

    CHECK_INT(peers_read(&cx,
                         STR("order=http://127.0.0.1:7004/, store=http://a:1|https://[::1]:2"
                             ",*=http://{service}.shop:8081"),
                         &p),
              ERR_OK);
    CHECK_INT(peers_list(p, "order", at, COUNT_OF(at)), 1);
    CHECK_STR(str_from(at[0].url), "http://127.0.0.1:7004");
    CHECK_INT(peers_list(p, "store", at, COUNT_OF(at)), 2);
    struct peer_address first = at[0];
    CHECK_INT(peers_list(p, "store", at, 1), 1);
    CHECK(strcmp(first.url, at[0].url) != 0); /* they take turns */
    CHECK(peers_know(p, "store"));            /* takes no turn */
    CHECK_INT(peers_list(p, "store", at, 1), 1);
    CHECK_STR(str_from(at[0].url), first.url);
    CHECK_INT(peers_list(p, "auth", at, COUNT_OF(at)), 1);
    CHECK_STR(str_from(at[0].url), "http://auth.shop:8081");
    CHECK_INT(peers_list(p, "no/name", at, COUNT_OF(at)), 0);
    peers_close(p);
    CHECK_INT(peers_read(&cx, STR_NONE, &p), ERR_OK);
    CHECK(!peers_know(p, "order"));
    peers_close(p);
}

static void discovery_comes_first(void)
{
    struct ctx cx = ctx_new();
    struct peer_address at[2];
    struct peers *p;
    const struct str found[] = {STR("http://10.0.0.1:1")}, bad[] = {STR("10.0.0.1:1")};

    CHECK_INT(peers_read(&cx, STR("order=http://given:1"), &p), ERR_OK);
    CHECK_INT(peers_set(&cx, p, "order", found, 1), ERR_OK);
    CHECK_INT(peers_set(&cx, p, "user", found, 1), ERR_OK);
    CHECK_INT(peers_list(p, "order", at, 2), 1);
    CHECK_STR(str_from(at[0].url), "http://10.0.0.1:1");
    CHECK(peers_know(p, "user"));
    CHECK_INT(peers_set(&cx, p, "order", bad, 1), ERR_INVALID);
    CHECK_INT(peers_set(&cx, p, "order", NULL, 0), ERR_OK);
    CHECK_INT(peers_set(&cx, p, "user", NULL, 0), ERR_OK);
    CHECK_INT(peers_list(p, "order", at, 2), 1);
    CHECK_STR(str_from(at[0].url), "http://given:1");
    CHECK(!peers_know(p, "user"));
    peers_close(p);
}

/* Each with what the message must name. */
static void errors_name_what_is_wrong(void)
{
    static const char *const specs[][2] = {
        {"order", "order"},
        {"order=", "order"},
        {"Order=http://a:1", "Order"},
        {"order=a:1", "\"a:1\""},
        {"order=http://", "http://"},
        {"order=http://a:0", "http://a:0"},
        {"order=http://a:65536", "65536"},
        {"order=http://a:1/path", "http://a:1/path"},
        {"order=http://a b:1", "http://a b:1"},
        {"order=http://u@a:1", "http://u@a:1"},
        {"order=http://{service}:1", "{service}"},
        {"order=http://a:1|", "order"},
        {"order=http://a:1,order=http://b:1", "twice"},
        {"*=http://a:1,*=http://b:1", "twice"},
        {"order=http://a:1,,", "\"\""},
    };

    for (size_t i = 0; i < COUNT_OF(specs); i++) {
        struct ctx cx = ctx_new();
        struct peers *p = NULL;
        CHECK_INT(peers_read(&cx, str_from(specs[i][0]), &p), ERR_INVALID);
        CHECK(str_find(str_from(cx.story.detail), str_from(specs[i][1])) != SIZE_MAX);
    }
}

int main(void)
{
    arena_init(&arena, 1 << 20);
    rng_init(&rng);
    RUN(lists_and_pattern);
    RUN(discovery_comes_first);
    RUN(errors_name_what_is_wrong);
    arena_release(&arena);
    return test_end();
}
