/* postgres_connect.c -- what the URL says, and one connection: opened, opened again, closed. */
#include "db/postgres_server.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "base/buf.h"

#define PATIENCE_US (30 * US_PER_S) /* without a deadline: for one of the pool's */
#define AGAIN_US (250 * US_PER_MS)
#define RESTART_PAUSE_US (50 * US_PER_MS)

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

void pg_url_set(struct pg_db *p, const char *word, const char *value)
{
    int i = 0;
    while (i < p->n_words && strcmp(p->words[i], word) != 0)
        i++;
    if (i == p->n_words) {
        assert(p->n_words + 1 < PG_URL_OPTIONS_MAX);
        p->words[p->n_words++] = must(strdup(word));
    } else {
        free(p->values[i]);
    }
    p->values[i] = must(strdup(value));
}

void pg_url_free(struct pg_db *p)
{
    for (int i = 0; i < p->n_words; i++) {
        explicit_bzero(p->values[i], strlen(p->values[i]));
        free(p->words[i]);
        free(p->values[i]);
    }
    p->n_words = 0;
    if (p->server)
        pg_server_leave(p->server);
    p->server = NULL;
}

const char *pg_url_get(const struct pg_db *p, const char *word)
{
    for (int i = 0; i < p->n_words; i++)
        if (strcmp(p->words[i], word) == 0)
            return p->values[i];
    return NULL;
}

static void url_default(struct pg_db *p, const char *word, const char *value)
{
    if (!pg_url_get(p, word))
        pg_url_set(p, word, value);
}

static const char *url_server(struct ctx *cx, const struct pg_db *p)
{
    const char *host = pg_url_get(p, "host"), *address = pg_url_get(p, "hostaddr"),
               *port = pg_url_get(p, "port");
    return arena_printf(cx->arena, "%s %s %s", host ? host : "", address ? address : "",
                        port ? port : "")
        .p;
}

/* What libpq would only look at when it connects. */
static const struct {
    const char *word, *allowed[8];
} url_choices[] = {
    {"sslmode", {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
    {"channel_binding", {"disable", "prefer", "require"}},
    {"gssencmode", {"disable", "prefer", "require"}},
    {"target_session_attrs",
     {"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}},
};

static enum err check_choice(struct ctx *cx, const char *word, const char *const *allowed,
                             const char *value)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, 200);
    for (; *allowed; allowed++) {
        if (strcmp(*allowed, value) == 0)
            return ERR_OK;
        buf_printf(&b, "%s%s", b.n ? ", " : "", *allowed);
    }
    return fail(cx, ERR_INVALID, "%s in the PostgreSQL URL: expected one of %.*s", word,
                STR_ARG(buf_str(&b)));
}

/* One for all hosts, or one for each of them. */
static enum err check_ports(struct ctx *cx, const char *ports)
{
    struct str rest = str_from(ports), port;
    int64_t n;

    for (bool more = true; more;) {
        more = str_cut(rest, ',', &port, &rest);
        if (port.n && !str_i64(port, 1, UINT16_MAX, &n))
            return fail(cx, ERR_INVALID,
                        "port in the PostgreSQL URL: expected a number from 1 to 65535");
    }
    return ERR_OK;
}

static enum err url_check(struct ctx *cx, const struct pg_db *p)
{
    const char *ports = pg_url_get(p, "port");

    for (size_t i = 0; i < COUNT_OF(url_choices); i++) {
        const char *value = pg_url_get(p, url_choices[i].word);
        if (value)
            TRY(check_choice(cx, url_choices[i].word, url_choices[i].allowed, value));
    }
    return ports ? check_ports(cx, ports) : ERR_OK;
}

/* The URL may hold a password: no message repeats any of it. */
enum err pg_url_read(struct ctx *cx, struct pg_db *p, const char *url)
{
    char *error = NULL, name[64];
    PQconninfoOption *all = PQconninfoParse(url, &error);

    PQfreemem(error);
    if (!all)
        return fail(cx, ERR_INVALID,
                    "not a PostgreSQL URL (postgres://USER:PASSWORD@HOST:PORT/DATABASE), or one "
                    "with an option that there is not");
    for (PQconninfoOption *o = all; o->keyword; o++)
        if (o->val && *o->val)
            pg_url_set(p, o->keyword, o->val);
    PQconninfoFree(all);
    TRY(url_check(cx, p));
    p->server = pg_server_find(url_server(cx, p));
    snprintf(name, sizeof(name), "jumun-%s", p->base.name);
    url_default(p, "application_name", name);
    url_default(p, "connect_timeout", "5");
    url_default(p, "client_encoding", "UTF8");
    url_default(p, "gssencmode", "disable"); /* or each connection first looks for Kerberos */
    url_default(p, "keepalives_idle", "10");
    url_default(p, "keepalives_interval", "5");
    url_default(p, "keepalives_count", "3");
    url_default(p, "tcp_user_timeout", "10000");
    return ERR_OK;
}

void pg_disconnect(struct pg_connection *c)
{
    int kept = 0;

    PQfinish(c->pg);
    c->pg = NULL;
    c->begun = false;
    for (size_t i = 0; i < PG_STATEMENT_SLOTS; i++)
        for (struct pg_statement *st = c->slots[i]; st; st = st->next)
            st->prepared = false;
    for (int i = 0; i < c->n_ahead; i++) {
        const char *command = c->ahead[i].command;
        bool of_this_one = !c->ahead[i].st && (strncmp(command, "deallocate ", 11) == 0);
        if (!of_this_one && kept++ != i)
            c->ahead[kept - 1] = c->ahead[i];
    }
    c->n_ahead = kept;
}

static void ignore_notice(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

/* False: not connected in time. */
static bool poll_until(PGconn *pg, int64_t deadline_us)
{
    PostgresPollingStatusType s = PGRES_POLLING_WRITING;
    while (s == PGRES_POLLING_WRITING || s == PGRES_POLLING_READING) {
        int64_t left_us = deadline_us - clock_monotonic_us();
        struct pollfd fd = {.fd = PQsocket(pg),
                            .events = s == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (left_us <= 0)
            return false;
        int n = poll(&fd, 1, (int)((left_us + US_PER_MS - 1) / US_PER_MS));
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        s = PQconnectPoll(pg);
    }
    return s == PGRES_POLLING_OK;
}

bool pg_connect_once(const struct pg_db *p, struct pg_connection *c, int64_t deadline_us,
                     char refusal[200])
{
    PGconn *pg =
        PQconnectStartParams((const char *const *)p->words, (const char *const *)p->values, 0);
    if (pg)
        (void)PQsetErrorVerbosity(pg, PQERRORS_VERBOSE); /* for is_full */
    bool ok = pg && PQstatus(pg) != CONNECTION_BAD && poll_until(pg, deadline_us);
    if (!ok) {
        /* A name with several addresses: what a server said, before what was not reached. */
        const char *said = pg ? PQerrorMessage(pg) : "", *fatal = strstr(said, "FATAL:");
        bool silent = pg && clock_monotonic_us() >= deadline_us;
        snprintf(refusal, 200, "%s", fatal ? fatal : silent ? "" : said);
        refusal[strcspn(refusal, "\n")] = '\0';
        PQfinish(pg);
        return false;
    }
    (void)PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
    (void)PQsetnonblocking(pg, 1);
    (void)PQsetNoticeReceiver(pg, ignore_notice, NULL);
    c->pg = pg;
    c->fresh = true;
    c->begun = false;
    return true;
}

/* Starting, stopping or not there: worth waiting for. A wrong password or database is not. */
static bool is_away(const struct pg_db *p, const char *refusal)
{
    if (!refusal[0] || strstr(refusal, " 57P0"))
        return true;
    if (strstr(refusal, "FATAL:"))
        return false;
    PGPing ping = PQpingParams((const char *const *)p->words, (const char *const *)p->values, 0);
    return ping == PQPING_REJECT || ping == PQPING_NO_RESPONSE;
}

/* libpq has no other word for it: the server, this database or this role has no connection left. */
static bool is_full(const char *refusal)
{
    return strstr(refusal, " 53300: ");
}

/* *ret_full: the server is there and has no connection for us. */
static enum err connect_or_full(struct ctx *cx, struct pg_db *p, struct pg_connection *c,
                                bool *ret_full, char refusal[200])
{
    const struct timespec pause = {.tv_nsec = RESTART_PAUSE_US * 1000};
    int64_t until_us = 0;
    enum pg_try may;

    *ret_full = false;
    while ((may = pg_server_try(p->server, &until_us, refusal)) != PG_TRY_NOT) {
        int64_t began_us = clock_monotonic_us();
        if (cx->deadline_us && cx->deadline_us < until_us)
            until_us = cx->deadline_us;
        bool ok = pg_connect_once(p, c, until_us, refusal);
        *ret_full = !ok && is_full(refusal);
        pg_server_tried(p->server, began_us, ok || *ret_full ? NULL : refusal);
        if (ok || *ret_full)
            return ERR_OK;
        if (may == PG_TRY_ONCE || clock_monotonic_us() + RESTART_PAUSE_US >= until_us ||
            !is_away(p, refusal))
            break;
        nanosleep(&pause, NULL);
    }
    return fail(cx, ERR_UNAVAILABLE, "postgres: %s", refusal[0] ? refusal : "it does not answer");
}

enum err pg_connect(struct ctx *cx, struct pg_db *p, struct pg_connection *c)
{
    int64_t began_us = clock_monotonic_us(), now = began_us;
    int64_t deadline_us = cx->deadline_us ? cx->deadline_us : began_us + PATIENCE_US;
    char refusal[200] = "it had no connection to spare";
    bool full = false;

    while (now < deadline_us) {
        if (pg_may_try(p)) {
            TRY(connect_or_full(cx, p, c, &full, refusal));
            pg_full(p, full);
            if (!full)
                return ERR_OK;
        }
        int64_t until_us = clock_monotonic_us() + AGAIN_US;
        if (pg_inherit(p, c, began_us, until_us < deadline_us ? until_us : deadline_us))
            return ERR_OK;
        now = clock_monotonic_us();
    }
    return fail(cx, ERR_UNAVAILABLE, "postgres: %s", refusal);
}
