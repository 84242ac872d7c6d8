/* signing_keys_test.c -- signing keys in the database: two processes come to the same ones,
 * whatever fails in between. */
#include "test.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "auth/auth.h"
#include "auth/signing_keys.h"
#include "base/fault.h"
#include "security/keys.h"

#define START INT64_C(1796000000000000)
#define SECRET_TEXT STR("a secret of more than 32 characters")

static const struct service *const services[] = {&auth_service, NULL};
static const struct jwt_expect expect = {
    .issuer = {"http://test", 11}, .audience = {JWT_AUDIENCE, 5}, .type = {JWT_TYPE, 6}};

static struct {
    struct arena arena;
    struct clock clock;
    struct rng rng;
    struct ctx cx;
    struct platform *p;
    char dir[64], files[64]; /* of the platform; of another process that has key files */
    struct seal seal;
    struct jwt_keys *one, *two; /* of two processes */
} w;

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void setup(void)
{
    memset(&w, 0, sizeof w);
    w.clock = (struct clock){true, START};
    arena_init(&w.arena, 64u << 20);
    rng_seed(&w.rng, 9);
    w.cx = (struct ctx){.arena = &w.arena, .clock = &w.clock, .rng = &w.rng};
    snprintf(w.dir, sizeof w.dir, "/tmp/signing_test.XXXXXX");
    snprintf(w.files, sizeof w.files, "/tmp/signing_files.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL && mkdtemp(w.files) != NULL);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(w.dir),
                                             .clock = &w.clock,
                                             .seed = 7,
                                             .issuer = STR("http://test")};
    if (platform_start(&w.cx, &options, &w.p) != ERR_OK) {
        printf("Bail out! %s\n", w.cx.story.detail);
        exit(1);
    }
    platform_ctx(w.p, platform_service(w.p, "auth"), &w.arena, &w.cx);
    CHECK_INT(seal_init(&w.cx, &w.seal, SECRET_TEXT), ERR_OK);
    CHECK_INT(jwt_keys_open(&w.cx, &w.one), ERR_OK);
    CHECK_INT(jwt_keys_open(&w.cx, &w.two), ERR_OK);
}

static void teardown(void)
{
    jwt_keys_close(w.one);
    jwt_keys_close(w.two);
    platform_stop(w.p, 0);
    arena_release(&w.arena);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    nftw(w.files, forget_file, 8, FTW_DEPTH | FTW_PHYS);
}

static struct str issue(struct jwt_keys *keys)
{
    int64_t now_s = w.clock.virtual_us / US_PER_S;
    const struct jwt_claims claims = {.issuer = expect.issuer,
                                      .audience = expect.audience,
                                      .user_id = ctx_uuid(&w.cx),
                                      .token_id = ctx_uuid(&w.cx),
                                      .session_id = ctx_uuid(&w.cx),
                                      .role = CUSTOMER,
                                      .issued_s = now_s,
                                      .expires_s = now_s + JWT_LIFETIME_S};
    struct buf text;

    buf_init_arena(&text, &w.arena, JWT_MAX);
    return jwt_sign(&w.cx, keys, &claims, &text) == ERR_OK ? buf_str(&text) : STR("");
}

static bool takes(struct jwt_keys *keys, struct str token)
{
    struct jwt_claims got;

    return jwt_verify(&w.cx, keys, token, &expect, &got) == ERR_OK;
}

static struct str kid_of(struct str token)
{
    struct str kid = STR("");

    CHECK(jwt_read_kid(&w.cx, token, &kid));
    return kid;
}

static int64_t count(const char *sql)
{
    int64_t n = -1;

    CHECK_INT(db_int_of(&w.cx, &n, sql, NO_ARGS), ERR_OK);
    return n;
}

static void change(const char *sql)
{
    CHECK_INT(db_begin(&w.cx), ERR_OK);
    CHECK_INT(db_exec(&w.cx, sql, NO_ARGS), ERR_OK);
    CHECK_INT(db_commit(&w.cx), ERR_OK);
}

static void two_processes_sign_with_the_same_key(void)
{
    setup();
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.two), ERR_OK);
    CHECK_INT(jwt_keys_count(w.two), 1);
    CHECK(takes(w.two, issue(w.one)) && takes(w.one, issue(w.two)));
    CHECK_INT(count("select count(*) from signing_keys"), 1);
    teardown();
}

static void the_others_know_the_next_key_before_it_signs(void)
{
    int64_t newest_us;

    setup();
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.two), ERR_OK);
    struct str first = kid_of(issue(w.one));
    w.clock.virtual_us += KEYS_ROTATE_US - US_PER_S;
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(jwt_keys_count(w.one), 1); /* not yet */
    w.clock.virtual_us += US_PER_S;
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(jwt_keys_count(w.one), 2);
    CHECK(str_eq(kid_of(issue(w.one)), first));
    CHECK_INT(signing_keys_read(&w.cx, &w.seal, w.two, &newest_us), ERR_OK);
    CHECK_INT(jwt_keys_count(w.two), 2);
    w.clock.virtual_us += KEYS_PUBLISH_US;
    struct str token = issue(w.one);
    CHECK(!str_eq(kid_of(token), first));
    CHECK(takes(w.two, token));
    CHECK(str_eq(kid_of(issue(w.two)), kid_of(token)));
    w.clock.virtual_us = START + KEYS_LIVE_US;
    jwt_keys_remove_expired(w.two, w.clock.virtual_us);
    CHECK_INT(signing_keys_read(&w.cx, &w.seal, w.two, &newest_us), ERR_OK);
    CHECK_INT(jwt_keys_count(w.two), 1); /* the old one has gone */
    teardown();
}

static void a_key_that_was_taken_out_is_believed_by_nobody(void)
{
    int64_t newest_us;

    setup();
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(signing_keys_read(&w.cx, &w.seal, w.two, &newest_us), ERR_OK);
    struct str token = issue(w.one);
    CHECK(takes(w.two, token));
    change("delete from signing_keys");
    CHECK_INT(signing_keys_read(&w.cx, &w.seal, w.two, &newest_us), ERR_OK);
    CHECK_INT(newest_us, 0);
    CHECK(!takes(w.two, token));
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK(!takes(w.one, token) && takes(w.one, issue(w.one)));
    teardown();
}

static void the_database_alone_gives_no_key_away(void)
{
    struct jwt_keys *thief;
    int64_t newest_us;
    struct seal other;

    setup();
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(count("select count(*) from signing_keys where sealed like '%PRIVATE%' or sealed "
                    "like '%LS0tLS1CRUdJTi%' or length(sealed) < 1000"),
              0);
    CHECK_INT(jwt_keys_open(&w.cx, &thief), ERR_OK);
    CHECK_INT(seal_init(&w.cx, &other, STR("another secret of 32 or more characters")), ERR_OK);
    CHECK_INT(signing_keys_read(&w.cx, &other, thief, &newest_us), ERR_INVALID);
    CHECK_INT(jwt_keys_count(thief), 0);
    CHECK_INT(seal_init(&w.cx, &other, STR("only thirty-one characters long")), ERR_INVALID);
    /* What was sealed as one key is not another one. */
    w.clock.virtual_us += KEYS_ROTATE_US;
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(signing_keys_read(&w.cx, &w.seal, thief, &newest_us), ERR_OK);
    jwt_keys_close(thief);
    CHECK_INT(jwt_keys_open(&w.cx, &thief), ERR_OK);
    change("update signing_keys set sealed = (select sealed from signing_keys where turn = 1)");
    CHECK_INT(signing_keys_read(&w.cx, &w.seal, thief, &newest_us), ERR_INVALID);
    jwt_keys_close(thief);
    teardown();
}

static size_t files(void)
{
    struct jwt_keys *keys;
    size_t n = 0;
    char command[160];

    snprintf(command, sizeof command, "ls %s/keys/*.pem >/dev/null 2>&1", w.files);
    if (system(command) == 0) {
        CHECK_INT(keys_open(&w.cx, w.files, &keys), ERR_OK);
        n = jwt_keys_count(keys);
        jwt_keys_close(keys);
    }
    return n;
}

static bool fail_named(void *arg, const char *point)
{
    return strcmp(arg, point) == 0;
}

static void key_files_move_into_the_database(void)
{
    struct jwt_keys *old;

    setup();
    CHECK_INT(signing_keys_import(&w.cx, &w.seal, w.files), ERR_OK); /* none yet */
    CHECK_INT(keys_open(&w.cx, w.files, &old), ERR_OK);
    struct str token = issue(old);
    jwt_keys_close(old);
#ifdef JUMUN_FAULTS
    char discard[] = "signing_keys.discard"; /* dies between the commit and the files */
    fault_hook_set(fail_named, discard);
    CHECK_INT(signing_keys_import(&w.cx, &w.seal, w.files), ERR_UNAVAILABLE);
    fault_hook_set(NULL, NULL);
    CHECK_INT(files(), 1);
#else
    (void)fail_named;
#endif
    CHECK_INT(signing_keys_import(&w.cx, &w.seal, w.files), ERR_OK);
    CHECK_INT(files(), 0);
    CHECK_INT(count("select count(*) from signing_keys where sealed is not null"), 1);
    CHECK_INT(signing_keys_import(&w.cx, &w.seal, w.files), ERR_OK);
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(jwt_keys_count(w.one), 1);
    CHECK(takes(w.one, token));
    CHECK(str_eq(kid_of(issue(w.one)), kid_of(token)));
    teardown();
}

static void what_is_not_committed_signs_nothing(void)
{
#ifdef JUMUN_FAULTS
    char commit[] = "signing_keys.commit";

    setup();
    fault_hook_set(fail_named, commit);
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_UNAVAILABLE);
    fault_hook_set(NULL, NULL);
    CHECK_INT(jwt_keys_count(w.one), 0);
    CHECK_INT(count("select count(*) from signing_keys"), 0);
    CHECK_INT(signing_keys_rotate(&w.cx, &w.seal, w.one), ERR_OK);
    CHECK_INT(jwt_keys_count(w.one), 1);
    teardown();
#endif
}

static void a_process_with_other_files_is_noticed(void)
{
    struct jwt_keys *other;
    int64_t n = -1;

    setup();
    CHECK_INT(keys_open(&w.cx, w.files, &other), ERR_OK);
    CHECK_INT(signing_keys_strangers(&w.cx, w.one, &n), ERR_OK);
    CHECK_INT(n, 0);
    CHECK_INT(signing_keys_say_seen(&w.cx, other), ERR_OK);
    CHECK_INT(signing_keys_say_seen(&w.cx, other), ERR_OK); /* again and again */
    CHECK_INT(signing_keys_strangers(&w.cx, w.one, &n), ERR_OK);
    CHECK_INT(n, 1);
    CHECK_INT(signing_keys_strangers(&w.cx, other, &n), ERR_OK);
    CHECK_INT(n, 0); /* itself, and who has the same files */
    w.clock.virtual_us += US_PER_MIN + 1;
    CHECK_INT(signing_keys_strangers(&w.cx, w.one, &n), ERR_OK);
    CHECK_INT(n, 0); /* it is gone */
    jwt_keys_close(other);
    teardown();
}

int main(void)
{
    RUN(two_processes_sign_with_the_same_key);
    RUN(the_others_know_the_next_key_before_it_signs);
    RUN(a_key_that_was_taken_out_is_believed_by_nobody);
    RUN(the_database_alone_gives_no_key_away);
    RUN(key_files_move_into_the_database);
    RUN(what_is_not_committed_signs_nothing);
    RUN(a_process_with_other_files_is_noticed);
    return test_end();
}
