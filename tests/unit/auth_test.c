/* auth_test.c -- refresh tokens and guesses at passwords on a virtual clock. */
#include "test.h"

#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

#include "auth/auth.h"
#include "base/fault.h"
#include "data/json.h"
#include "service/ended.h"

#define PASSWORD "correct-horse-7"

static const struct service *const services[] = {&auth_service, NULL};

static struct {
    struct arena arena;
    struct clock clock;
    struct rng rng;
    struct ctx cx;
    struct platform *p;
    char dir[64];
} w;

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

struct answer {
    int status;
    struct str body;
};

static struct answer ask(enum http_method method, const char *path, struct str token,
                         const char *format, ...) PRINTF_LIKE(4, 5);
static struct answer ask(enum http_method method, const char *path, struct str token,
                         const char *format, ...)
{
    static const struct caller guest = {.role = GUEST};
    struct http_field header = {STR("Authorization"), STR_NONE};
    char body[1024];
    struct answer a = {0, STR_NONE};
    va_list args;

    va_start(args, format);
    vsnprintf(body, sizeof body, format, args);
    va_end(args);
    if (token.n)
        header.value = arena_printf(&w.arena, "Bearer %.*s", STR_ARG(token));
    const struct local_request rq = {.method = method,
                                     .path = path,
                                     .body = arena_copy(&w.arena, str_from(body)),
                                     .headers = &header,
                                     .n_headers = token.n ? 1 : 0,
                                     .as = token.n ? NULL : &guest};
    enum err e = platform_request(w.p, &w.arena, &rq, &a.status, &a.body);
    CHECK((e == ERR_OK) == (a.status < 400));
    return a;
}

/* The text behind "name":" in a JSON body. */
static struct str text_of(struct answer a, const char *name)
{
    char quoted[64];

    snprintf(quoted, sizeof quoted, "\"%s\":\"", name);
    size_t at = str_find(a.body, str_from(quoted));
    if (at == SIZE_MAX)
        return STR("");
    struct str rest = {a.body.p + at + strlen(quoted), a.body.n - at - strlen(quoted)}, text, tail;
    return str_cut(rest, '"', &text, &tail) ? text : STR("");
}

static struct answer login_of(const char *username, const char *password)
{
    return ask(HTTP_POST, "/v1/auth/login", STR_NONE, "{\"username\":\"%s\",\"password\":\"%s\"}",
               username, password);
}

static struct answer login(const char *password)
{
    return login_of("minsu", password);
}

static struct answer refresh(struct str token)
{
    return ask(HTTP_POST, "/v1/auth/refresh", STR_NONE, "{\"refreshToken\":\"%.*s\"}",
               STR_ARG(token));
}

static void sign_up(const char *username)
{
    CHECK_INT(ask(HTTP_POST, "/v1/auth/signup", STR_NONE,
                  "{\"username\":\"%s\",\"password\":\"%s\",\"name\":\"민수\","
                  "\"email\":\"%s@test.example\",\"role\":\"customer\"}",
                  username, PASSWORD, username)
                  .status,
              201);
}

static void setup(void)
{
    memset(&w, 0, sizeof w);
    w.clock = (struct clock){true, INT64_C(1796000000000000)};
    arena_init(&w.arena, 64u << 20);
    rng_seed(&w.rng, 9);
    w.cx = (struct ctx){.arena = &w.arena, .clock = &w.clock, .rng = &w.rng};
    snprintf(w.dir, sizeof w.dir, "/tmp/auth_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(w.dir),
                                             .clock = &w.clock,
                                             .seed = 7,
                                             .issuer = STR("http://test")};
    if (platform_start(&w.cx, &options, &w.p) != ERR_OK) {
        printf("Bail out! %s\n", w.cx.story.detail);
        exit(1);
    }
    sign_up("minsu");
}

static void teardown(void)
{
    platform_stop(w.p, 0);
    arena_release(&w.arena);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
}

static void two_at_once_get_the_same_token(void)
{
    setup();
    struct str first = text_of(login(PASSWORD), "refreshToken");
    struct answer one = refresh(first);
    w.clock.virtual_us += 9 * US_PER_S;
    struct answer two = refresh(first);
    CHECK_INT(one.status, 200);
    CHECK_INT(two.status, 200);
    struct str second = text_of(one, "refreshToken");
    CHECK(second.n == 43 && !str_eq(second, first));
    CHECK(str_eq(text_of(two, "refreshToken"), second));
    struct answer third = refresh(second); /* the family lives */
    CHECK_INT(third.status, 200);
    CHECK(!str_eq(text_of(third, "refreshToken"), second));
    teardown();
}

static void a_used_token_ends_the_family_after_the_window(void)
{
    setup();
    struct str first = text_of(login(PASSWORD), "refreshToken");
    struct str second = text_of(refresh(first), "refreshToken");
    w.clock.virtual_us += 10 * US_PER_S;
    struct answer late = refresh(first);
    CHECK_INT(late.status, 401);
    CHECK_STR(text_of(late, "code"), "TOKEN_REUSED");
    CHECK_INT(refresh(second).status, 401);
    teardown();
}

/* Within the window, but its successor has been used: two different holders. */
static void a_token_two_steps_back_ends_the_family_at_once(void)
{
    setup();
    struct str first = text_of(login(PASSWORD), "refreshToken");
    struct str second = text_of(refresh(first), "refreshToken");
    struct str third = text_of(refresh(second), "refreshToken");
    CHECK(third.n == 43);
    CHECK_STR(text_of(refresh(first), "code"), "TOKEN_REUSED");
    CHECK_INT(refresh(third).status, 401);
    CHECK_INT(refresh(second).status, 401);
    teardown();
}

static void a_twin_gets_nothing_when_the_session_is_over(void)
{
    setup();
    struct answer session = login(PASSWORD);
    struct str first = text_of(session, "refreshToken");
    CHECK_INT(refresh(first).status, 200);
    CHECK_INT(ask(HTTP_POST, "/v1/auth/logout", text_of(session, "accessToken"), "%s", "").status,
              204);
    struct answer twin = refresh(first);
    CHECK_INT(twin.status, 401);
    CHECK_STR(text_of(twin, "code"), "UNAUTHENTICATED");
    teardown();
}

static struct answer change(struct str token, const char *current)
{
    return ask(HTTP_PUT, "/v1/auth/password", token,
               "{\"currentPassword\":\"%s\",\"newPassword\":\"another-good-1\"}", current);
}

static void guesses_at_the_current_password_are_limited(void)
{
    setup();
    struct str token = text_of(login(PASSWORD), "accessToken");
    for (int i = 0; i < 6; i++)
        CHECK_STR(text_of(change(token, "not-it"), "code"), "CREDENTIALS");
    CHECK_INT(login(PASSWORD).status, 200); /* counted apart: who guesses here locks no login */
    for (int i = 0; i < 4; i++)
        CHECK_STR(text_of(change(token, "not-it"), "code"), "CREDENTIALS");
    struct answer locked = change(token, PASSWORD); /* the right one does not help now */
    CHECK_INT(locked.status, 429);
    CHECK_STR(text_of(locked, "code"), "LOCKED");
    CHECK_INT(login(PASSWORD).status, 200);
    w.clock.virtual_us += 2 * US_PER_MIN;
    CHECK_INT(change(token, PASSWORD).status, 204);
    CHECK_INT(login("another-good-1").status, 200);
    CHECK_INT(change(token, "not-it").status, 401); /* a right one forgets those before it */
    teardown();
}

/* Far more than people need; whoever has the password spends only what is this account's. */
static void logins_of_one_account_are_limited(void)
{
    setup();
    sign_up("jiwoo");
    for (int i = 0; i < 60; i++)
        CHECK_INT(login(PASSWORD).status, 200);
    struct answer refused = login(PASSWORD);
    CHECK_INT(refused.status, 429);
    CHECK_STR(text_of(refused, "code"), "RATE_LIMITED");
    CHECK_STR(text_of(login("wrong-one"), "code"), "CREDENTIALS"); /* guesses are counted apart */
    CHECK_INT(login_of("jiwoo", PASSWORD).status, 200);
    w.clock.virtual_us += US_PER_S; /* one a second */
    CHECK_INT(login(PASSWORD).status, 200);
    CHECK_INT(login(PASSWORD).status, 429);
    teardown();
}

static void logins_of_one_account_are_limited_over_an_hour(void)
{
    int n = 0;

    setup();
    for (int minute = 0; minute < 4; minute++, w.clock.virtual_us += US_PER_MIN)
        for (int k = 0; k < 60 && login(PASSWORD).status == 200; k++)
            n++;
    CHECK(n >= 200 && n <= 212); /* with the three that each minute brings */
    for (int i = 0; i < 3; i++)
        CHECK_INT(login(PASSWORD).status, 200);
    CHECK_INT(login(PASSWORD).status, 429);
    teardown();
}

static int64_t count(const char *sql)
{
    struct ctx cx;
    int64_t n = -1;

    platform_ctx(w.p, platform_service(w.p, "auth"), &w.arena, &cx);
    CHECK_INT(db_int_of(&cx, &n, sql, NO_ARGS), ERR_OK);
    return n;
}

#ifdef JUMUN_FAULTS
/* What happens between the look at a password and what follows from it. */
static struct {
    const char *at;
    struct str token;     /* of a session that changes the password then */
    const char *ban_path; /* or the account is banned */
} meanwhile;

static int64_t live_sessions(void)
{
    return count("select count(*) from sessions where revoked_at is null");
}

static void ban(const char *path)
{
    const struct caller admin = {.role = ADMIN, .user_id = {{[15] = 1}}};
    const struct local_request rq = {
        .method = HTTP_POST, .path = path, .body = STR("{\"reason\":\"x\"}"), .as = &admin};
    struct str body;
    int status = 0;

    CHECK(platform_request(w.p, &w.arena, &rq, &status, &body) == ERR_OK);
    CHECK_INT(status, 204);
}

static bool between(void *arg, const char *name)
{
    (void)arg;
    if (!meanwhile.at || strcmp(name, meanwhile.at) != 0)
        return false;
    meanwhile.at = NULL;
    if (meanwhile.ban_path)
        ban(meanwhile.ban_path);
    else
        CHECK_INT(change(meanwhile.token, PASSWORD).status, 204);
    return false;
}

/* Who begins a session with a password that is just being changed has none when it is. */
static void a_login_meets_a_change(void)
{
    setup();
    fault_hook_set(between, NULL);
    struct answer first = login(PASSWORD);
    struct str id = text_of(first, "userId");
    meanwhile.ban_path = NULL;
    meanwhile.token = text_of(first, "accessToken");
    meanwhile.at = "auth.login.verified";
    struct answer late = login(PASSWORD);
    CHECK(meanwhile.at == NULL);
    CHECK_STR(text_of(late, "code"), "CREDENTIALS");
    CHECK_INT(live_sessions(), 1); /* of who changed it */

    meanwhile.ban_path = arena_printf(&w.arena, "/v1/admin/users/%.*s/ban", STR_ARG(id)).p;
    meanwhile.at = "auth.login.verified";
    CHECK_INT(login("another-good-1").status, 403);
    CHECK(meanwhile.at == NULL);
    CHECK_INT(live_sessions(), 0);
    fault_hook_set(NULL, NULL);
    teardown();
}

/* Of two that know the old one, one changes it. */
static void two_changes_at_once(void)
{
    setup();
    fault_hook_set(between, NULL);
    struct str slow = text_of(login(PASSWORD), "accessToken");
    meanwhile.ban_path = NULL;
    meanwhile.token = text_of(login(PASSWORD), "accessToken");
    meanwhile.at = "auth.password.verified";
    CHECK_STR(text_of(change(slow, PASSWORD), "code"), "CREDENTIALS");
    CHECK(meanwhile.at == NULL);
    CHECK_INT(login("another-good-1").status, 200);
    fault_hook_set(NULL, NULL);
    teardown();
}
#endif
static bool no_memory(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "password.memory") == 0;
}

/* Of a user who exists and of one who does not the answer is the same. */
static void no_memory_is_no_guess(void)
{
    setup();
    struct str token = text_of(login(PASSWORD), "accessToken");
    fault_hook_set(no_memory, NULL);
    for (int i = 0; i < 12; i++) {
        CHECK_INT(login(PASSWORD).status, 503);
        CHECK_INT(login_of("nobody", PASSWORD).status, 503);
        CHECK_INT(change(token, PASSWORD).status, 503);
    }
    fault_hook_set(NULL, NULL);
    CHECK_INT(count("select count(*) from login_attempts"), 0);
    CHECK_INT(login(PASSWORD).status, 200);
    CHECK_INT(change(token, PASSWORD).status, 204);
    CHECK_STR(text_of(login_of("nobody", PASSWORD), "code"), "CREDENTIALS");
    teardown();
}

/* As logins at the same moment leave them on a server, where none sees the others' sessions. */
static void however_many_sessions_all_end(void)
{
    struct uuid account;
    struct ctx cx;

    setup();
    struct answer oldest = login(PASSWORD);
    struct str token = text_of(oldest, "accessToken");
    CHECK(uuid_parse(text_of(oldest, "userId"), &account));
    w.clock.virtual_us += US_PER_S;
    platform_ctx(w.p, platform_service(w.p, "auth"), &w.arena, &cx);
    CHECK_INT(db_begin(&cx), ERR_OK);
    for (int i = 0; i < 100; i++)
        CHECK_INT(db_exec(&cx,
                          "insert into sessions (session_id, account_id, created_at, expires_at) "
                          "values ($1, $2, $3, $4)",
                          ARGS(db_uuid(ctx_uuid(&cx)), db_uuid(account), db_int(ctx_now(&cx)),
                               db_int(ctx_now(&cx) + US_PER_DAY))),
                  ERR_OK);
    CHECK_INT(db_commit(&cx), ERR_OK);
    CHECK_INT(change(token, PASSWORD).status, 204);
    CHECK_INT(count("select count(*) from sessions where revoked_at is null"), 1); /* our own */
    CHECK_INT(refresh(text_of(oldest, "refreshToken")).status, 200);
    CHECK_INT(ask(HTTP_POST, "/v1/auth/logout-all", token, "%s", "").status, 204);
    CHECK_INT(count("select count(*) from sessions where revoked_at is null"), 0);
    CHECK_INT(count("select count(*) from outbox where type = 'auth.session.revoked'"), 101);
    teardown();
}

static void one_more_ends_the_oldest(void)
{
    setup();
    struct str oldest = text_of(login(PASSWORD), "refreshToken");
    w.clock.virtual_us += US_PER_S;
    struct str second = text_of(login(PASSWORD), "refreshToken");
    for (int i = 2; i < SESSIONS_MAX; i++)
        CHECK_INT(login(PASSWORD).status, 200);
    CHECK_INT(count("select count(*) from sessions where revoked_at is null"), SESSIONS_MAX);
    CHECK_INT(login(PASSWORD).status, 200);
    CHECK_INT(count("select count(*) from sessions where revoked_at is null"), SESSIONS_MAX);
    CHECK_STR(text_of(refresh(oldest), "code"), "UNAUTHENTICATED");
    CHECK_INT(refresh(second).status, 200);
    teardown();
}

static void sweep_after(int64_t us)
{
    bool did = true;

    w.clock.virtual_us += us;
    for (int i = 0; did && i < 100; i++)
        CHECK_INT(platform_turn(w.p, 0, TURN_JOBS, &did), ERR_OK);
}

static void sessions_that_are_over_leave_nothing_behind(void)
{
    setup();
    sweep_after(0);
    struct answer ended = login(PASSWORD), lives = login(PASSWORD);
    struct str token = text_of(lives, "refreshToken");
    CHECK_INT(refresh(text_of(ended, "refreshToken")).status, 200);
    CHECK_INT(login("wrong-one").status, 401);
    CHECK_INT(ask(HTTP_POST, "/v1/auth/logout", text_of(ended, "accessToken"), "%s", "").status,
              204);
    sweep_after(US_PER_DAY);
    CHECK_INT(count("select count(*) from refresh_tokens"), 3);
    CHECK_INT(count("select count(*) from login_attempts"), 1);
    sweep_after(US_PER_MIN);
    CHECK_INT(count("select count(*) from refresh_tokens"), 1);
    CHECK_INT(count("select count(*) from sessions"), 1);
    CHECK_INT(count("select count(*) from login_attempts"), 0);
    token = text_of(refresh(token), "refreshToken"); /* the other one goes on */
    CHECK(token.n == 43);
    sweep_after(REFRESH_LIVE_US);
    CHECK_INT(refresh(token).status, 401);
    CHECK_INT(count("select count(*) from refresh_tokens"), 0);
    sweep_after(US_PER_DAY);
    CHECK_INT(count("select count(*) from sessions"), 0);
    teardown();
}

/* n sessions that ended each a millisecond after the other, the first at `from_us`. */
static void end_sessions(int n, int64_t from_us)
{
    struct uuid account;
    struct ctx cx;

    CHECK(uuid_parse(text_of(login(PASSWORD), "userId"), &account));
    platform_ctx(w.p, platform_service(w.p, "auth"), &w.arena, &cx);
    CHECK_INT(db_begin(&cx), ERR_OK);
    for (int i = 0; i < n; i++)
        CHECK_INT(db_exec(&cx,
                          "insert into sessions (session_id, account_id, created_at, expires_at, "
                          "revoked_at) values ($1, $2, 1, 2, $3)",
                          ARGS(db_uuid(ctx_uuid(&cx)), db_uuid(account),
                               db_int(from_us + i * US_PER_MS))),
                  ERR_OK);
    CHECK_INT(db_commit(&cx), ERR_OK);
}

/* How many sessions the pages tell of in all, each with its time and none before another. */
static size_t ended_told(int last_s, int *ret_pages)
{
    const struct caller as = {.role = SERVICE, .service = STR("order")};
    struct ended_page page = {0};
    int64_t last_us = w.clock.virtual_us - last_s * US_PER_S;
    size_t n = 0;

    *ret_pages = 0;
    do {
        struct answer a = {0, STR_NONE};
        const struct local_request rq = {
            .method = HTTP_GET,
            .path = arena_printf(&w.arena, "/internal/v1/ended-sessions?lastS=%d%s%.*s", last_s,
                                 page.next_cursor.p ? "&cursor=" : "", STR_ARG(page.next_cursor))
                        .p,
            .listener = 1,
            .as = &as};
        page = (struct ended_page){0};
        CHECK_INT(platform_request(w.p, &w.arena, &rq, &a.status, &a.body), ERR_OK);
        CHECK_INT(json_decode(&w.cx, ended_page_fields, &page, a.body), ERR_OK);
        for (size_t i = 0; i < page.sessions.n; i++) {
            const struct ended_session *s = LIST_AT(struct ended_session, page.sessions, i);
            CHECK(s->revoked_at >= last_us && !uuid_is_nil(s->session_id));
            last_us = s->revoked_at;
        }
        n += page.sessions.n;
        ++*ret_pages;
    } while (page.next_cursor.p);
    return n;
}

static void ended_sessions_are_told_page_by_page(void)
{
    int pages;

    setup();
    CHECK_INT(ended_told(ENDED_LAST_S, &pages), 0);
    CHECK_INT(pages, 1);
    end_sessions(2 * ENDED_PAGE + 1, w.clock.virtual_us - 10 * US_PER_S);
    CHECK_INT(ended_told(ENDED_LAST_S, &pages), 2 * ENDED_PAGE + 1);
    CHECK_INT(pages, 3);
    w.clock.virtual_us += 50 * US_PER_S;
    CHECK_INT(ended_told(58, &pages), 0);
    CHECK_INT(ended_told(60, &pages), 2 * ENDED_PAGE + 1);
    teardown();
}

int main(void)
{
    RUN(two_at_once_get_the_same_token);
    RUN(a_used_token_ends_the_family_after_the_window);
    RUN(a_token_two_steps_back_ends_the_family_at_once);
    RUN(a_twin_gets_nothing_when_the_session_is_over);
    RUN(guesses_at_the_current_password_are_limited);
#ifdef JUMUN_FAULTS
    RUN(a_login_meets_a_change);
    RUN(two_changes_at_once);
#endif
    RUN(no_memory_is_no_guess);
    RUN(however_many_sessions_all_end);
    RUN(one_more_ends_the_oldest);
    RUN(logins_of_one_account_are_limited);
    RUN(logins_of_one_account_are_limited_over_an_hour);
    RUN(sessions_that_are_over_leave_nothing_behind);
    RUN(ended_sessions_are_told_page_by_page);
    return test_end();
}
