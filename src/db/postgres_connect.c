/* postgres_connect.c -- what the URL says, and one connection: opened, opened again, closed. */
#include "db/postgres.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#define CONNECT_US (5 * US_PER_S)   /* one try */
#define PATIENCE_US (30 * US_PER_S) /* without a deadline: for one of the pool's */
#define AGAIN_US (250 * US_PER_MS)
#define RESTART_US (3 * US_PER_S) /* how long a server may be away before work fails */
#define RESTART_PAUSE_US (50 * US_PER_MS)
#define REFUSED_FOR_US (100 * US_PER_MS) /* after a refusal others fail at once */

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
}

static const char *url_get(const struct pg_db *p, const char *word)
{
    for (int i = 0; i < p->n_words; i++)
        if (strcmp(p->words[i], word) == 0)
            return p->values[i];
    return NULL;
}

static void url_default(struct pg_db *p, const char *word, const char *value)
{
    if (!url_get(p, word))
        pg_url_set(p, word, value);
}

/* The URL may hold a password: no message repeats any of it. */
enum err pg_url_read(struct ctx *cx, struct pg_db *p, const char *url)
{
    char *error = NULL, name[64];
    PQconninfoOption *all = PQconninfoParse(url, &error);

    PQfreemem(error);
    if (!all)
        return fail(cx, ERR_INVALID,
                    "not a PostgreSQL URL (postgres://USER:PASSWORD@HOST:PORT/DATABASE)");
    for (PQconninfoOption *o = all; o->keyword; o++)
        if (o->val && *o->val)
            pg_url_set(p, o->keyword, o->val);
    PQconninfoFree(all);
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
        snprintf(refusal, 200, "%s", fatal ? fatal : said[0] ? said : "timeout");
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

/* Once the server has been away for longer than a restart takes, one try at a time is enough. */
static bool known_away(struct pg_db *p, int64_t now, int64_t *ret_since_us, char refusal[200])
{
    pthread_mutex_lock(&p->mutex);
    int64_t since_us = p->away_since_us ? p->away_since_us : now;
    bool yes = now - since_us > RESTART_US && now - p->refused_at_us < REFUSED_FOR_US;
    memcpy(refusal, p->refusal, sizeof(p->refusal));
    pthread_mutex_unlock(&p->mutex);
    *ret_since_us = since_us;
    return yes;
}

/* NULL: connected. */
static void note_refusal(struct pg_db *p, const char *refusal)
{
    int64_t now = clock_monotonic_us();
    pthread_mutex_lock(&p->mutex);
    if (!refusal)
        p->away_since_us = 0;
    else if (!p->away_since_us)
        p->away_since_us = now;
    p->refused_at_us = now;
    if (refusal)
        snprintf(p->refusal, sizeof(p->refusal), "%s", refusal);
    pthread_mutex_unlock(&p->mutex);
}

/* Starting, stopping or not there: worth waiting for. A wrong password or database is not. */
static bool is_away(const struct pg_db *p)
{
    PGPing ping = PQpingParams((const char *const *)p->words, (const char *const *)p->values, 0);
    return ping == PQPING_REJECT || ping == PQPING_NO_RESPONSE;
}

/* libpq has no other word for it: the server, this database or this role has no connection left, or
 * the server is starting. */
static bool is_full(const char *refusal)
{
    return strstr(refusal, " 53300: ") || strstr(refusal, " 57P03: ");
}

/* *ret_full: the server is there and has no connection for us. */
static enum err connect_or_full(struct ctx *cx, struct pg_db *p, struct pg_connection *c,
                                bool *ret_full, char refusal[200])
{
    const struct timespec pause = {.tv_nsec = RESTART_PAUSE_US * 1000};
    int64_t now = clock_monotonic_us(), since_us = now;

    *ret_full = false;
    if (known_away(p, now, &since_us, refusal))
        return fail(cx, ERR_UNAVAILABLE, "postgres: %s", refusal);
    int64_t wait_until_us = since_us + RESTART_US, try_until_us = now + CONNECT_US;
    if (cx->deadline_us && cx->deadline_us < try_until_us)
        try_until_us = cx->deadline_us;
    if (try_until_us < wait_until_us)
        wait_until_us = try_until_us;
    while (!pg_connect_once(p, c, try_until_us, refusal)) {
        if (is_full(refusal)) {
            *ret_full = true;
            return ERR_OK;
        }
        note_refusal(p, refusal);
        if (clock_monotonic_us() + RESTART_PAUSE_US >= wait_until_us || !is_away(p))
            return fail(cx, ERR_UNAVAILABLE, "postgres: %s", refusal);
        nanosleep(&pause, NULL);
    }
    note_refusal(p, NULL);
    return ERR_OK;
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
