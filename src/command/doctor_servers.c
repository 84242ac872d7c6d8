/* doctor_servers.c -- tries each server, other process and key file that the settings name. */
#include "command/databases.h"
#include "command/doctor.h"

#include <dirent.h>
#include <sys/stat.h>

#include "auth/signing_keys.h"
#include "bus/bus.h"
#include "cache/cache.h"
#include "net/client.h"
#include "security/service_keys.h"
#include "service/peers.h"

#define REACH_MS 2000
#define NAMES_MAX 32
#define REGISTRY_MAX (16u * 1024 * 1024)

static bool tell(const struct ctx *cx, const char *what, enum err e, struct str is)
{
    if (e == ERR_OK)
        doctor_good(what, is.p);
    else
        doctor_bad(what, cx->story.detail[0] ? cx->story.detail : err_row(e)->en);
    return e == ERR_OK;
}

/* Those that keep data: each has a schema and a topic. */
static void names_of(const char *names[NAMES_MAX])
{
    size_t n = 0;

    for (size_t i = 0; all_services[i] && n + 1 < NAMES_MAX; i++)
        if (all_services[i]->migrations)
            names[n++] = all_services[i]->name;
    names[n] = NULL;
}

static void reach(struct ctx *cx, const char *what, const char *flag, struct str address)
{
    const struct http_call call = {.method = HTTP_GET,
                                   .url =
                                       arena_printf(cx->arena, "%.*s/readyz", STR_ARG(address)).p,
                                   .timeout_ms = REACH_MS};
    struct http_result r = {0};
    const char *name = arena_printf(cx->arena, "%s %.*s", what, STR_ARG(address)).p;

    if (http_call(cx, &call, &r) == ERR_OK)
        doctor_good(name, "reached");
    else
        doctor_bad(name, arena_printf(cx->arena, "nobody answers: start it, or correct %s (%s)",
                                      flag, cx->story.detail)
                             .p);
}

static void reach_service(struct ctx *cx, const char *what, const char *flag, struct peers *peers,
                          const char *service)
{
    struct peer_address addresses[PEER_ADDRESSES_MAX];
    size_t n = peers_list(peers, service, addresses, COUNT_OF(addresses));
    const char *name = arena_printf(cx->arena, "%s %s", what, service).p;

    for (size_t i = 0; i < n; i++)
        reach(cx, name, flag, str_from(addresses[i].url));
}

static bool is_named(struct str spec, const char *service)
{
    struct str one, name, value;

    while (spec.n) {
        str_cut(spec, ',', &one, &spec);
        if (str_cut(one, '=', &name, &value) && str_eq(name, str_from(service)))
            return true;
    }
    return false;
}

/* "order=http://...,*=http://{service}:8081": the star stands for every service not named. */
static void reach_all(struct ctx *cx, const char *what, const char *flag, struct str spec)
{
    struct peers *peers = NULL;
    struct str rest = spec, one, name, value;

    if (!spec.n)
        return;
    if (peers_read(cx, spec, &peers) != ERR_OK) {
        doctor_bad(what, cx->story.detail);
        return;
    }
    while (rest.n) {
        str_cut(rest, ',', &one, &rest);
        str_cut(one, '=', &name, &value);
        if (!str_eq(name, STR("*"))) {
            reach_service(cx, what, flag, peers, arena_cstr(cx->arena, name));
            continue;
        }
        for (size_t i = 0; all_services[i]; i++)
            if (all_services[i]->migrations && !is_named(spec, all_services[i]->name))
                reach_service(cx, what, flag, peers, all_services[i]->name);
    }
    peers_close(peers);
}

static void reach_registry(struct ctx *cx, struct str address)
{
    const char *name = arena_printf(cx->arena, "discovery %s", url_shown(cx->arena, address)).p;
    const char *slash = str_ends(address, STR("/")) ? "" : "/";
    const struct http_call call = {
        .method = HTTP_GET,
        .url = arena_printf(cx->arena, "%.*s%sapps/delta", STR_ARG(address), slash).p,
        .timeout_ms = REACH_MS,
        .answer_max = REGISTRY_MAX};
    struct http_result r = {0};

    if (http_call(cx, &call, &r) != ERR_OK)
        doctor_bad(name,
                   arena_printf(cx->arena, "nobody answers: start it, or correct --discovery (%s)",
                                cx->story.detail)
                       .p);
    else if (r.status == 401)
        doctor_bad(name, "wrong user or password: --discovery takes "
                         "http://USER:PASSWORD@HOST:8761/eureka");
    else if (r.status == 200 || r.status == 403) /* 403: it tells no changes, all only */
        doctor_good(name, "reached");
    else
        doctor_bad(
            name,
            arena_printf(cx->arena, "answers %d: is it a Eureka server's address?", r.status).p);
}

static void reach_discovery(struct ctx *cx, struct str spec)
{
    struct str rest = spec, one;

    while (rest.n) {
        str_cut(rest, ',', &one, &rest);
        reach_registry(cx, str_trim(one));
    }
}

static bool try_database(struct ctx *cx, const struct settings *s)
{
    const char *names[NAMES_MAX];
    struct str is = STR_NONE;

    if (!s->database.n)
        return true;
    names_of(names);
    enum err e = db_probe(cx, settings_database(cx, s), names, &is);
    return tell(cx, "database server", e, is);
}

/* A platform runs without them, so that one that fails does not keep doctor from the databases. */
static void try_replicas(struct ctx *cx, const struct settings *s)
{
    struct str rest = s->database_replicas, url, is = STR_NONE;

    for (int i = 1; db_replica_next(&rest, &url); i++) {
        const char *what = arena_printf(cx->arena, "database replica %d", i).p;
        cx->story = (struct story){.code = ERR_OK};
        enum err e = db_probe_replica(cx, settings_database(cx, s), arena_cstr(cx->arena, url),
                                      s->database_replica_lag * US_PER_S, &is);
        tell(cx, what, e, is);
    }
}

bool doctor_servers(struct ctx *cx, const struct settings *s)
{
    const struct blob_keys keys = {s->blobs_access_key, s->blobs_secret_key};
    const char *names[NAMES_MAX];
    struct str is = STR_NONE;
    bool opens = try_database(cx, s);

    try_replicas(cx, s);
    names_of(names);
    if (s->bus.n)
        tell(cx, "bus", bus_probe(cx, arena_cstr(cx->arena, s->bus), names, &is), is);
    if (s->cache.n && !str_starts(s->cache, STR("memory:")))
        tell(cx, "cache", cache_probe(cx, arena_cstr(cx->arena, s->cache), &is), is);
    if (s->blobs.n)
        tell(cx, "blobs", blobs_probe(cx, arena_cstr(cx->arena, s->blobs), &keys, &is), is);
    reach_all(cx, "peer", "--peers", s->peers);
    reach_all(cx, "upstream", "--upstreams", s->upstreams);
    reach_discovery(cx, s->discovery);
    return opens;
}

/* 0: not there. */
static int look_at_keys(struct ctx *cx, const char *dir, bool only_dot_key)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    struct stat st;
    int seen = 0;

    while (d && (entry = readdir(d))) {
        struct str name = str_from(entry->d_name);
        const char *path = arena_printf(cx->arena, "%s/%s", dir, entry->d_name).p;
        if (name.p[0] == '.' || str_ends(name, STR(".pub")) ||
            (only_dot_key && !str_ends(name, STR(".key"))))
            continue;
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        seen++;
        if (only_dot_key ? !service_key_is_secret(&st) : (st.st_mode & 077) != 0)
            doctor_bad("keys",
                       arena_printf(cx->arena, "others may read %s (mode %03o): chmod 600 %s", path,
                                    (unsigned)(st.st_mode & 0777), path)
                           .p);
        else if (!(st.st_mode & S_IRUSR))
            doctor_bad("keys",
                       arena_printf(cx->arena, "%s cannot be read: chmod 600 %s", path, path).p);
    }
    if (d)
        closedir(d);
    return seen;
}

void doctor_keys(struct ctx *cx, const struct settings *s)
{
    const char *own = arena_printf(cx->arena, "%.*s/keys", STR_ARG(s->data)).p;
    int seen = look_at_keys(cx, own, false);

    if (s->service_keys.n) {
        const char *dir = arena_cstr(cx->arena, s->service_keys);
        int given = look_at_keys(cx, dir, true);
        if (!given)
            doctor_bad(
                "keys",
                arena_printf(cx->arena, "no NAME.key in %s: `jumun service-keys %s`", dir, dir).p);
        seen += given;
    }
    doctor_good("key files", arena_printf(cx->arena, "%d looked at", seen).p);
}

void doctor_signing_keys(struct ctx *cx, const struct settings *s, struct db *auth)
{
    int64_t sealed = 0, newest_us;
    struct jwt_keys *keys;
    struct seal seal;

    cx->db = auth;
    enum err e = signing_keys_sealed(cx, &sealed);
    if (e != ERR_OK || (!s->keys_secret.n && !sealed)) { /* of an older version; or files */
        cx->db = NULL;
        return;
    }
    e = s->keys_secret.n ? seal_init(cx, &seal, s->keys_secret)
                         : fail(cx, ERR_INVALID,
                                "auth's database holds %" PRId64 ", sealed: give "
                                "--keys-secret",
                                sealed);
    if (e == ERR_OK)
        e = jwt_keys_open(cx, &keys);
    if (e == ERR_OK) {
        e = signing_keys_read(cx, &seal, keys, &newest_us);
        jwt_keys_close(keys);
    }
    cx->db = NULL;
    tell(cx, "signing keys", e,
         arena_printf(cx->arena, "%" PRId64 " in auth's database, which --keys-secret opens",
                      sealed));
}
