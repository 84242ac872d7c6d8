/* config_test.c -- who wins, where a value came from, and what is refused. */
#include "test.h"

#include <unistd.h>

#include "data/config.h"

static const char *const forms[] = {"human", "json", NULL};

struct sample {
    struct str config, listen, secret;
    int64_t threads;
    bool demo, dry_run;
    int form;
};
static const struct field fields[] = {
    F_STR(struct sample, config, "config", 0, 1, 200, "file"),
    F_STR(struct sample, listen, "tossListen", PATTERN_LISTEN, 1, 30, "address"),
    F_STR(struct sample, secret, "secretKey", SECRET, 8, 30, "secret"),
    F_INT(struct sample, threads, "threads", 0, 1, 64, "threads"),
    F_BOOL(struct sample, demo, "demo", 0, "demo"),
    F_BOOL(struct sample, dry_run, "dryRun", 0, "dry"),
    F_ENUM(struct sample, form, "form", 0, forms, "form"),
    F_END(struct sample),
};
enum { ROW_CONFIG, ROW_LISTEN, ROW_SECRET, ROW_THREADS, ROW_DEMO };

static struct arena arena;
static struct sample v;
static struct config_result result;
static char dir[64];

/* Arguments and environment as strings separated by spaces; NULL: none. */
static enum err read_words(const char *arguments, const char *variables)
{
    char *argv[16], *environment[16];
    size_t argc = 0, n = 0;
    struct str rest = str_from(arguments), word;

    arena_reset(&arena);
    for (bool more = rest.n > 0; more; argc++) {
        more = str_cut(rest, ' ', &word, &rest);
        argv[argc] = arena_cstr(&arena, word);
    }
    rest = str_from(variables);
    for (bool more = rest.n > 0; more; n++) {
        more = str_cut(rest, ' ', &word, &rest);
        environment[n] = arena_cstr(&arena, word);
    }
    environment[n] = NULL;
    v = (struct sample){.listen = STR("default:1"), .threads = 4};
    struct config_source source = {(int)argc, argv, variables ? environment : NULL};
    return config_read(&arena, fields, &v, &source, &result);
}

static bool says(const char *text)
{
    bool found = strstr(result.problem, text) != NULL;

    if (!found)
        printf("# said: %s\n", result.problem);
    return found;
}

static const char *file_of(const char *name, const char *text)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
    return path;
}

static void the_nearer_source_wins(void)
{
    char arguments[256];

    CHECK_INT(read_words("", NULL), ERR_OK);
    CHECK_STR(v.listen, "default:1");
    CHECK_INT(result.origins[ROW_LISTEN], ORIGIN_DEFAULT);
    const char *path = file_of("jumun.conf", "# a comment\n\n  tossListen = file:1 \r\n"
                                             "threads=7\ndemo = true");
    snprintf(arguments, sizeof arguments, "--config %s", path);
    CHECK_INT(read_words(arguments, NULL), ERR_OK);
    CHECK_STR(v.listen, "file:1");
    CHECK_INT(v.threads, 7);
    CHECK(v.demo);
    CHECK_INT(result.origins[ROW_LISTEN], ORIGIN_FILE);
    CHECK_INT(read_words(arguments, "HOME=/x JUMUN_TOSS_LISTEN=env:1 PATH=/bin"), ERR_OK);
    CHECK_STR(v.listen, "env:1");
    CHECK_INT(v.threads, 7);
    CHECK_INT(result.origins[ROW_LISTEN], ORIGIN_ENVIRONMENT);
    snprintf(arguments, sizeof arguments, "--toss-listen=flag:1 --config=%s --threads 9", path);
    CHECK_INT(read_words(arguments, "JUMUN_TOSS_LISTEN=env:1 JUMUN_DEMO=false"), ERR_OK);
    CHECK_STR(v.listen, "flag:1");
    CHECK_INT(v.threads, 9);
    CHECK(!v.demo);
    CHECK_INT(result.origins[ROW_LISTEN], ORIGIN_FLAG);
    CHECK_INT(result.origins[ROW_DEMO], ORIGIN_ENVIRONMENT);
    snprintf(arguments, sizeof arguments, "JUMUN_CONFIG=%s", path);
    CHECK_INT(read_words("", arguments), ERR_OK); /* the file may be named by the environment */
    CHECK_INT(v.threads, 7);
}

static void flags_have_their_forms(void)
{
    CHECK_INT(read_words("up --demo extra --dry-run=false --form json - -- --threads", NULL),
              ERR_OK);
    CHECK(v.demo && !v.dry_run);
    CHECK_INT(v.form, 1);
    CHECK_INT(result.positional.n, 4);
    CHECK_STR(*LIST_AT(struct str, result.positional, 0), "up");
    CHECK_STR(*LIST_AT(struct str, result.positional, 3), "--threads");
    CHECK_INT(read_words("--threads", NULL), ERR_INVALID);
    CHECK(says("--threads needs a value"));
    CHECK_INT(read_words("-t", NULL), ERR_INVALID);
    CHECK(says("\"-t\" is not known"));
    CHECK_INT(read_words("--tossListen x", NULL), ERR_INVALID);
    CHECK(says("did you mean \"--toss-listen\""));
}

static void values_are_checked(void)
{
    static const char *const bad[] = {"--threads=0",    "--threads=65",  "--threads=1x",
                                      "--threads=",     "--form=xml",    "--demo=yes",
                                      "--toss-listen=", "--threads=1.5", "--secret-key=short"};

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK_INT(read_words(bad[i], NULL), ERR_INVALID);
    CHECK_INT(read_words("--threads=64 --form=human --toss-listen=x:1", NULL), ERR_OK);
}

static void the_unknown_is_refused_with_the_nearest_name(void)
{
    char arguments[160];

    CHECK_INT(read_words("--thread 3", NULL), ERR_INVALID);
    CHECK(says("flag \"--thread\" is not known, did you mean \"--threads\"?"));
    CHECK_INT(read_words("--entirely-different 3", NULL), ERR_INVALID);
    CHECK(says("is not known") && !strstr(result.problem, "did you mean"));
    CHECK_INT(read_words("", "JUMUN_TREADS=3"), ERR_INVALID);
    CHECK(says("\"JUMUN_TREADS\" is not known, did you mean \"JUMUN_THREADS\"?"));
    snprintf(arguments, sizeof arguments, "--config %s",
             file_of("bad.conf", "threads = 3\ntosListen = x\nnonsense\nform = yaml\n"));
    CHECK_INT(read_words(arguments, NULL), ERR_INVALID);
    CHECK(says("bad.conf:2: \"tosListen\" is not known, did you mean \"tossListen\"?"));
    CHECK(says("bad.conf:3: \"nonsense\" is not of the form name = value"));
    CHECK(says("bad.conf:4: form is \"yaml\""));
    CHECK_INT(read_words("--config /dev/null/jumun.conf", NULL), ERR_INVALID);
    CHECK(says("cannot open /dev/null/jumun.conf"));
}

static void all_problems_are_told_at_once(void)
{
    CHECK_INT(read_words("--thread 3 --demo=maybe --form=xml", "JUMUN_SECRETKEY=x JUMUN_THREADS=x"),
              ERR_INVALID);
    CHECK(says("\"--thread\""));
    CHECK(says("--demo is \"maybe\""));
    CHECK(says("--form is \"xml\""));
    CHECK(says("JUMUN_SECRET_KEY"));
    CHECK(says("JUMUN_THREADS is \"x\""));
    char many[2048] = "";
    for (int i = 0; i < 12; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%s--%s%d=1", i ? " " : "",
                 "a-very-long-name-that-nobody-knows-and-that-fills-the-room-for-problems-", i);
    CHECK_INT(read_words(many, NULL), ERR_INVALID);
    CHECK(strlen(result.problem) < sizeof result.problem);
}

static void secrets_come_from_files_and_are_never_shown(void)
{
    char variables[160];
    struct buf b;

    snprintf(variables, sizeof variables, "JUMUN_SECRET_KEY_FILE=%s",
             file_of("secret", "s3cret-value\n"));
    CHECK_INT(read_words("", variables), ERR_OK);
    CHECK_STR(v.secret, "s3cret-value");
    CHECK_INT(result.origins[ROW_SECRET], ORIGIN_ENVIRONMENT);
    buf_init_arena(&b, &arena, 4096);
    config_print(&b, fields, &v, &result, true);
    CHECK(str_find(buf_str(&b), STR("s3cret")) == SIZE_MAX);
    CHECK(str_find(buf_str(&b), STR("secretKey = ***  # environment\n")) != SIZE_MAX);
    CHECK(str_find(buf_str(&b), STR("threads = 4  # default\n")) != SIZE_MAX);
    CHECK(str_find(buf_str(&b), STR("form = human  # default\n")) != SIZE_MAX);
    CHECK_INT(read_words("", "JUMUN_SECRET_KEY_FILE=/dev/null/secret"), ERR_INVALID);
    CHECK(says("JUMUN_SECRET_KEY_FILE: cannot open /dev/null/secret"));
    CHECK_INT(read_words("--secret-key hush", NULL), ERR_INVALID);
    CHECK(says("--secret-key is \"***\""));
    CHECK(!strstr(result.problem, "hush"));
}

static void what_kubernetes_tells_of_services_is_passed_over(void)
{
    CHECK_INT(
        read_words("", "JUMUN_SERVICE_HOST=10.0.0.1 JUMUN_SERVICE_PORT=8080"
                       " JUMUN_SERVICE_PORT_HTTP=8080 JUMUN_PORT=tcp://10.0.0.1:8080"
                       " JUMUN_PORT_8080_TCP=tcp://10.0.0.1:8080 JUMUN_PORT_8080_TCP_ADDR=10.0.0.1"
                       " JUMUN_PORT_8080_TCP_PORT=8080 JUMUN_PORT_8080_TCP_PROTO=tcp"),
        ERR_OK);
    CHECK_INT(read_words("",
                         "JUMUN_ORDER_SERVICE_HOST=10.0.0.1 JUMUN_ORDER_SERVICE_PORT=1"
                         " JUMUN_ORDER_SERVICE_PORT_WEB_2=1 JUMUN_ORDER_PORT=udp://10.0.0.1:1"
                         " JUMUN_ORDER_PORT_1_UDP=udp://10.0.0.1:1 JUMUN_ORDER_PORT_1_SCTP_PORT=1"
                         " JUMUN_THREADS=8"),
              ERR_OK);
    CHECK_INT(v.threads, 8);
    static const char *const mistakes[] = {
        "JUMUN_PORT=8080",        "JUMUN_ORDER_PORT=8080", "JUMUN_SERVICE_HOSTS=x",
        "JUMUN_SERVICE_PORT_=1",  "JUMUN_PORT_TCP=x",      "JUMUN_PORT_8080_TCP_NAME=x",
        "JUMUN_REPORT_80_TCP=x",  "JUMUN_PORT_x_TCP=x",    "JUMUN_SERVICE=x",
        "JUMUN_MYSERVICE_HOST=x", "JUMUN_PORT_80_ICMP=x",  "JUMUN_TREADS=tcp://10.0.0.1:1",
    };
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        CHECK_INT(read_words("", mistakes[i]), ERR_INVALID);
        CHECK(says("is not known"));
    }
}

static void an_address_has_a_port(void)
{
    static const char *const good[] = {"127.0.0.1:0", "localhost:65535", "[::1]:80", "::1:80"};
    static const char *const bad[] = {"127.0.0.1:65536",
                                      "127.0.0.1:99999",
                                      "127.0.0.1",
                                      ":80",
                                      "127.0.0.1:",
                                      "x:-1",
                                      "x:08",
                                      "x:+1"};
    struct str host;
    int64_t port;
    char flag[64];

    for (size_t i = 0; i < COUNT_OF(good); i++) {
        snprintf(flag, sizeof flag, "--toss-listen=%s", good[i]);
        CHECK_INT(read_words(flag, NULL), ERR_OK);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(flag, sizeof flag, "--toss-listen=%s", bad[i]);
        CHECK_INT(read_words(flag, NULL), ERR_INVALID);
        CHECK(says("--toss-listen"));
        CHECK(says("expected HOST:PORT with a port from 0 to 65535"));
    }
    CHECK(field_parse_listen(STR("[::1]:80"), &host, &port));
    CHECK_STR(host, "::1");
    CHECK_INT(port, 80);
}

static void a_url_has_a_host_and_perhaps_a_port(void)
{
    static const char *const good[] = {"http://h", "https://h:1", "http://u:p@h:65535/x:y@z",
                                       "http://[::1]", "http://[::1]:80/"};
    static const char *const bad[] = {
        "",           "h:80",           "ftp://h",   "http://",     "http://:80",
        "http://h:0", "http://h:65536", "http://h:", "http://h:x/", "http://u:p@h:99999/x"};

    for (size_t i = 0; i < COUNT_OF(good); i++)
        CHECK(field_is_http_url(str_from(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        CHECK(!field_is_http_url(str_from(bad[i])));
}

static void the_nearest_word(void)
{
    static const char *const words[] = {"serve", "migrate", "doctor"};

    CHECK_STR(str_from(nearest_word(STR("srve"), words, 3)), "serve");
    CHECK_STR(str_from(nearest_word(STR("migarte"), words, 3)), "migrate");
    CHECK(nearest_word(STR("backup"), words, 3) == NULL);
    CHECK(nearest_word(STR("soda"), words, 3) == NULL);
    CHECK(nearest_word(STR(""), words, 3) == NULL);
    CHECK(nearest_word(STR("doctor"), words, 0) == NULL);
}

int main(void)
{
    char path[128];

    snprintf(dir, sizeof dir, "/tmp/config_test.XXXXXX");
    CHECK(mkdtemp(dir) != NULL);
    arena_init(&arena, 64u << 20);
    RUN(the_nearer_source_wins);
    RUN(flags_have_their_forms);
    RUN(values_are_checked);
    RUN(the_unknown_is_refused_with_the_nearest_name);
    RUN(all_problems_are_told_at_once);
    RUN(secrets_come_from_files_and_are_never_shown);
    RUN(what_kubernetes_tells_of_services_is_passed_over);
    RUN(an_address_has_a_port);
    RUN(a_url_has_a_host_and_perhaps_a_port);
    RUN(the_nearest_word);
    arena_release(&arena);
    static const char *const names[] = {"jumun.conf", "bad.conf", "secret"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
    return test_end();
}
