/* world.c -- a platform's lives: starting, dying at any fault point, starting again on what is on
 * disk. */
#include "sim.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "obs/log.h"
#include "services.h"

#define START_US INT64_C(1795400000000000) /* a Monday evening in Seoul */

struct point world_points[POINTS_MAX];

static const struct service *const services[] = {
    &auth_service, &user_service, &store_service, &order_service, &payment_service,
    &toss_service, NULL};

bool roll(struct sim *s, unsigned percent)
{
    return rng_below(&s->rng, 100) < percent;
}

unsigned pick(struct sim *s, unsigned n)
{
    return (unsigned)rng_below(&s->rng, n);
}

void wrong(struct sim *s, const char *format, ...)
{
    va_list args;

    if (s->problem[0])
        return;
    va_start(args, format);
    int n = snprintf(s->problem, sizeof s->problem, "step %d, life %d: ", s->steps, s->lives);
    vsnprintf(s->problem + n, sizeof s->problem - (size_t)n, format, args);
    va_end(args);
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

static void copy_file(const char *from, const char *to)
{
    static char bytes[1 << 16];
    int in = open(from, O_RDONLY | O_CLOEXEC),
        out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t n;

    if (in < 0 || out < 0)
        die(from);
    while ((n = read(in, bytes, sizeof bytes)) > 0)
        if (write(out, bytes, (size_t)n) != n)
            die(to);
    close(in);
    close(out);
}

static void copy_dir(const char *from, const char *to)
{
    DIR *d = opendir(from);
    struct dirent *e;

    if (!d || mkdir(to, 0700) != 0)
        die(to);
    while ((e = readdir(d)) != NULL) {
        char a[300], b[300];
        struct stat st;
        if (e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0)
            continue;
        snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        if (stat(a, &st) != 0)
            die(a);
        size_t n = strlen(a);
        bool is_shared_memory =
            n > 4 && strcmp(a + n - 4, "-shm") == 0; /* a new process makes its own */
        if (S_ISDIR(st.st_mode))
            copy_dir(a, b);
        else if (!is_shared_memory)
            copy_file(a, b);
    }
    closedir(d);
}

void world_remove(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        char a[400];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(a, sizeof a, "%s/%s", path, e->d_name);
        if (unlink(a) != 0)
            world_remove(a);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static struct point *point_of(const char *name)
{
    struct point *p = world_points;

    while (p->name[0] && strcmp(p->name, name) != 0)
        p++;
    if (!p->name[0] && p < world_points + POINTS_MAX - 1)
        snprintf(p->name, sizeof p->name, "%s", name);
    return p;
}

/* The database's points are passed a hundred times as often as the services' own, and those of
 * money least. */
static uint64_t weight_of(struct str name)
{
    if (str_starts(name, STR("db.")) || str_starts(name, STR("consume.")))
        return 1;
    bool is_rare = str_starts(name, STR("payment.")) || str_starts(name, STR("simulator.")) ||
                   str_starts(name, STR("order.board"));
    return is_rare ? 40 : 8;
}

/* The adversary at every fault point: die here, fail here, or go on. Each seed has a kind of point
 * it prefers. */
static bool at_fault(void *arg, const char *name)
{
    struct sim *s = arg;
    struct point *p = point_of(name);

    p->passed++;
    if (s->calm || !s->crash_allowed || s->crashes >= CRASHES_MAX)
        return false;
    uint64_t weight = weight_of(str_from(name));
    uint64_t chance = s->weather.crash * weight, fails = s->weather.fail * (weight == 1 ? 1 : 4);
    if (str_hash(str_from(name)) % FAVOURITES == s->weather.favourite && s->crashes < 12)
        chance *= 10;
    if (s->fragile > 0) { /* dying again while recovering */
        s->fragile--;
        chance *= 5;
    }
    if (rng_below(&s->rng, 1000) < chance) {
        p->died++;
        if (s->verbose)
            fprintf(stderr, "      dies at %s\n", name);
        siglongjmp(s->crash, 1);
    }
    if (!s->starting && rng_below(&s->rng, 1000) < fails) {
        p->failed++;
        s->fails++;
        return true;
    }
    return false;
}

static struct str after(struct str s, const char *prefix)
{
    struct str p = str_from(prefix);

    return str_starts(s, p) ? (struct str){s.p + p.n, s.n - p.n} : STR_NONE;
}

static int send_to(struct sim *s, struct arena *a, int listener, const struct late_call *c,
                   struct str *ret_body)
{
    struct http_field fields[2] = {{STR("Authorization"), c->authorization},
                                   {STR("Idempotency-Key"), c->key}};
    const struct caller guest = {.role = GUEST};
    const struct local_request rq = {.method = c->method,
                                     .path = arena_cstr(a, c->path),
                                     .body = c->body,
                                     .headers = fields,
                                     .n_headers = c->key.n ? 2 : 1,
                                     .listener = listener,
                                     .as = &guest};
    int status = 0;

    if (platform_request(s->p, a, &rq, &status, ret_body) == ERR_UNAVAILABLE)
        return 503;
    return status;
}

static struct str keep(struct sim *s, struct str text)
{
    return text.p ? arena_copy(&s->arena, text) : STR_NONE;
}

/* The network between us and the provider, both ways. */
static enum err outside(void *arg, struct ctx *cx, const struct http_call *call,
                        struct http_result *ret)
{
    struct sim *s = arg;
    struct str url = str_from(call->url), path = after(url, "http://toss.invalid");
    int listener = 2;
    struct late_call c = {.is_open = true, .method = call->method, .body = call->body};

    if (!path.p) {
        path = after(url, "http://jumun.invalid");
        listener = 0;
    }
    c.path = path;
    for (size_t i = 0; call->headers && call->headers[i]; i++) {
        struct str name, value;
        str_cut(str_from(call->headers[i]), ':', &name, &value);
        if (str_eq(name, STR("Authorization")))
            c.authorization = str_trim(value);
        if (str_eq(name, STR("Idempotency-Key")))
            c.key = str_trim(value);
    }
    if (!s->calm && roll(s, s->weather.lost_before))
        return fail(cx, roll(s, 50) ? ERR_UNAVAILABLE : ERR_PROVIDER, "lost on the way");
    if (!s->calm && roll(s, s->weather.late)) {
        struct late_call *l = &s->late[pick(s, COUNT_OF(s->late))];
        *l = (struct late_call){true,
                                c.method,
                                keep(s, c.path),
                                keep(s, c.body),
                                keep(s, c.key),
                                keep(s, c.authorization)};
        if (listener != 2)
            l->is_open = false;
        return fail(cx, ERR_PROVIDER, "slow: it arrives after we stopped waiting");
    }
    ret->status = send_to(s, cx->arena, listener, &c, &ret->body);
    if (!s->calm && roll(s, s->weather.lost_after))
        return fail(cx, ERR_PROVIDER, "the answer was lost");
    return ERR_OK;
}

void deliver_late(struct sim *s)
{
    struct late_call *c = &s->late[pick(s, COUNT_OF(s->late))];
    struct arena a;
    struct str body;

    if (!c->is_open)
        return;
    c->is_open = false;
    arena_init(&a, 16u << 20);
    (void)send_to(s, &a, 2, c, &body);
    arena_release(&a);
}

static struct platform_options options_of(struct sim *s, bool demo)
{
    return (struct platform_options){.services = services,
                                     .data_dir = str_from(s->dir),
                                     .clock = &s->clock,
                                     .seed = s->seed * 1000 + (uint64_t)s->lives,
                                     .issuer = STR("http://simulated"),
                                     /* Lives are hours long: what is old is so within minutes. */
                                     .keep = {.outbox_us = US_PER_MIN, .bus_us = 10 * US_PER_MIN},
                                     .demo = demo,
                                     .toss_secret_key = STR("test_sk_jumun"),
                                     .toss_client_key = STR("test_ck_jumun"),
                                     .outside = outside,
                                     .outside_arg = s};
}

static void start(struct sim *s, bool demo)
{
    const struct platform_options options = options_of(s, demo);
    struct arena a;
    struct rng rng;
    struct ctx cx;

    arena_init(&a, 64u << 20);
    rng_seed(&rng, s->seed);
    cx = (struct ctx){.arena = &a, .clock = &s->clock, .rng = &rng};
    if (platform_start(&cx, &options, &s->p) != ERR_OK) {
        fprintf(stderr, "seed %llu: cannot start: %s\n", (unsigned long long)s->seed,
                cx.story.detail);
        exit(2);
    }
    arena_release(&a);
}

void world_start(struct sim *s)
{
    char from[160];

    s->crash_allowed = false;
    s->lives++;
    if (s->lives == 1) {
        s->clock = (struct clock){true, START_US};
        snprintf(from, sizeof from, "%s/template", s->root);
        snprintf(s->dir, sizeof s->dir, "%s/%llu-1", s->root, (unsigned long long)s->seed);
        world_remove(s->dir);
        copy_dir(from, s->dir);
    }
    /* Recovery may die as well; the first start is the template's business. */
    s->fragile = s->lives > 1 ? 40 : 0;
    s->crash_allowed = s->lives > 1;
    if (s->lives > 1)
        fault_hook_set(at_fault, s);
    s->starting = true; /* a start that fails is tried again by whoever runs it: only deaths are
                           interesting */
    start(s, false);
    s->starting = false;
    s->crash_allowed = false;
    fault_hook_set(at_fault, s);
}

/* The old life is left as it stands, with its handles; its disk as it is now is the next one's. */
void world_crash(struct sim *s)
{
    char old[96];

    s->crashes++;
    fault_hook_set(NULL, NULL);
    memcpy(old, s->dir, sizeof old);
    snprintf(s->dir, sizeof s->dir, "%s/%llu-%d", s->root, (unsigned long long)s->seed,
             s->lives + 1);
    world_remove(s->dir);
    copy_dir(old, s->dir);
    world_remove(old);
    world_start(s);
}

void world_end(struct sim *s)
{
    fault_hook_set(NULL, NULL);
    platform_stop(s->p, 0);
    world_remove(s->dir);
    arena_release(&s->arena);
}

/* Settled: every service has applied what the demo world published. */
static void settle(struct sim *s)
{
    bool any = true;

    while (any) {
        any = false;
        for (size_t n = 0; services[n]; n++)
            for (int kind = TURN_RELAY; kind <= TURN_CONSUME; kind++) {
                bool did = false;
                if (platform_turn(s->p, n, kind, &did) != ERR_OK)
                    die("demo world");
                any |= did;
            }
    }
}

void world_template(const char *root)
{
    static struct sim s;

    log_configure(LOG_ERROR + 1, LOG_HUMAN);
    snprintf(s.root, sizeof s.root, "%s", root);
    snprintf(s.dir, sizeof s.dir, "%s/template", root);
    s.clock = (struct clock){true, START_US};
    s.lives = 1;
    s.calm = true;
    start(&s, true);
    settle(&s);
    platform_stop(s.p, 0);
}

int ask(struct sim *s, struct arena *a, const struct caller *as, int listener,
        enum http_method method, struct str path, struct str body, struct str key,
        struct str *ret_body)
{
    const struct http_field fields[] = {
        {STR("Authorization"),
         STR("Basic dGVzdF9za19qdW11bjo=")}, /* the provider's; others look at `as` */
        {STR("Idempotency-Key"), key}};
    const struct local_request rq = {.method = method,
                                     .path = arena_cstr(a, path),
                                     .body = body,
                                     .headers = fields,
                                     .n_headers = key.n ? 2 : 1,
                                     .listener = listener,
                                     .as = as};
    int status = 0;

    *ret_body = STR_NONE;
    (void)!platform_request(s->p, a, &rq, &status, ret_body);
    s->trace = s->trace * 1099511628211u ^ (uint64_t)status ^ str_hash(*ret_body);
    if (s->verbose)
        fprintf(stderr, "   %4d %s %.*s %.*s\n", status, http_method_names[method], STR_ARG(path),
                status >= 400 ? (int)ret_body->n : 0, ret_body->p ? ret_body->p : "");
    return status;
}
