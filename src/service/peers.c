/* peers.c -- where services are that run in other processes. */
#include "service/peers.h"

#include <pthread.h>

#define SERVICE_MARK STR("{service}")

struct addresses {
    struct peer_address at[PEER_ADDRESSES_MAX];
    size_t n;
};

struct peer {
    char name[PEER_NAME_SIZE];
    struct addresses given, found; /* by the setting; by a discovery source */
};

struct peers {
    pthread_mutex_t lock;
    struct peer peers[PEERS_MAX];
    size_t n;
    struct addresses pattern;
    size_t turn;
};

static bool is_name(struct str s)
{
    if (s.n == 0 || s.n >= PEER_NAME_SIZE)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
              s.p[i] == '-'))
            return false;
    return true;
}

static bool is_port(struct str text)
{
    int64_t port;

    return str_i64(text, 1, 65535, &port);
}

static bool is_host_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

/* NAME, an IPv4 address, or an IPv6 one in brackets. */
static bool is_host(struct str s)
{
    bool v6 = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';

    for (size_t i = v6; i < s.n - v6; i++)
        if (!is_host_char(s.p[i]) && !(v6 && s.p[i] == ':'))
            return false;
    return s.n > 0;
}

/* "http://HOST[:PORT]" or https; nothing behind it but one slash, which is dropped. */
static bool read_address(struct str text, bool with_mark, struct peer_address *ret)
{
    struct str whole = str_ends(text, STR("/")) ? (struct str){text.p, text.n - 1} : text;
    size_t scheme_n = str_starts(whole, STR("http://"))    ? 7
                      : str_starts(whole, STR("https://")) ? 8
                                                           : 0;
    struct str host = {whole.p + scheme_n, whole.n - scheme_n};

    if (scheme_n == 0 || whole.n >= PEER_ADDRESS_SIZE)
        return false;
    size_t colon = host.n;
    while (colon > 0 && host.p[colon - 1] != ':' && host.p[colon - 1] != ']')
        colon--;
    if (colon > 0 && host.p[colon - 1] == ':') {
        if (!is_port((struct str){host.p + colon, host.n - colon}))
            return false;
        host.n = colon - 1;
    }
    size_t mark = with_mark ? str_find(host, SERVICE_MARK) : SIZE_MAX;
    if (mark != SIZE_MAX) {
        struct str before = {host.p, mark},
                   after = {host.p + mark + SERVICE_MARK.n, host.n - mark - SERVICE_MARK.n};
        if ((before.n && !is_host(before)) || (after.n && !is_host(after)))
            return false;
    } else if (!is_host(host)) {
        return false;
    }
    memcpy(ret->url, whole.p, whole.n);
    ret->url[whole.n] = '\0';
    ret->weight = 1;
    return true;
}

/* An address with or without its weight. */
static bool read_weighted(struct str text, bool with_mark, struct peer_address *ret)
{
    struct str address, weight;
    int64_t n = 1;

    if (str_cut(text, '*', &address, &weight) && !str_i64(weight, 0, PEER_WEIGHT_MAX, &n))
        return false;
    if (!read_address(address, with_mark, ret))
        return false;
    ret->weight = (int)n;
    return true;
}

/* The row of that service, made when missing; NULL: the table is full. The lock is held, or nobody
 * else knows the table yet. */
static struct peer *row_of(struct peers *p, struct str name, bool make)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(str_from(p->peers[i].name), name))
            return &p->peers[i];
    if (!make || p->n == PEERS_MAX)
        return NULL;
    struct peer *row = &p->peers[p->n++];
    memcpy(row->name, name.p, name.n);
    return row;
}

static enum err read_addresses(struct ctx *cx, struct str name, struct str rest, bool with_mark,
                               struct addresses *ret)
{
    struct str text;

    for (bool more = true; more;) {
        more = str_cut(rest, '|', &text, &rest);
        text = str_trim(text);
        if (ret->n == PEER_ADDRESSES_MAX)
            return fail(cx, ERR_INVALID, "%.*s has more than %d addresses", STR_ARG(name),
                        PEER_ADDRESSES_MAX);
        if (!read_weighted(text, with_mark, &ret->at[ret->n++]))
            return fail(cx, ERR_INVALID,
                        "\"%.*s\" of %.*s is no address; expected http://HOST:PORT[*WEIGHT]%s",
                        STR_ARG(text), STR_ARG(name), with_mark ? " or http://{service}:PORT" : "");
    }
    return ERR_OK;
}

static enum err read_part(struct ctx *cx, struct peers *p, struct str part)
{
    struct str name, value;
    struct addresses *into = &p->pattern;

    if (!str_cut(part, '=', &name, &value))
        return fail(cx, ERR_INVALID, "\"%.*s\" is not SERVICE=http://HOST:PORT[|...]",
                    STR_ARG(part));
    name = str_trim(name);
    if (!str_eq(name, STR("*"))) {
        if (!is_name(name))
            return fail(cx, ERR_INVALID, "\"%.*s\" is no name of a service", STR_ARG(name));
        struct peer *row = row_of(p, name, true);
        if (!row)
            return fail(cx, ERR_INVALID, "more than %d services", PEERS_MAX);
        into = &row->given;
    }
    if (into->n)
        return fail(cx, ERR_INVALID, "%.*s is there twice; several addresses are divided by |",
                    STR_ARG(name));
    return read_addresses(cx, name, value, into == &p->pattern, into);
}

enum err peers_read(struct ctx *cx, struct str spec, struct peers **ret)
{
    struct peers *p = calloc(1, sizeof *p);
    struct str part;
    enum err e = ERR_OK;

    if (!p)
        return fail(cx, ERR_UNAVAILABLE, "out of memory");
    pthread_mutex_init(&p->lock, NULL);
    for (bool more = str_trim(spec).n > 0; more && e == ERR_OK;) {
        more = str_cut(spec, ',', &part, &spec);
        e = read_part(cx, p, str_trim(part));
    }
    if (e != ERR_OK) {
        peers_close(p);
        return e;
    }
    *ret = p;
    return ERR_OK;
}

void peers_close(struct peers *p)
{
    if (!p)
        return;
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* The pattern with the name in place of its mark; false: it does not fit. */
static bool from_pattern(const char *pattern, const char *service, struct peer_address *ret)
{
    struct str text = str_from(pattern);
    size_t at = str_find(text, SERVICE_MARK);
    int n;

    if (at == SIZE_MAX)
        n = snprintf(ret->url, sizeof ret->url, "%s", pattern);
    else
        n = snprintf(ret->url, sizeof ret->url, "%.*s%s%s", (int)at, pattern, service,
                     pattern + at + SERVICE_MARK.n);
    return n > 0 && (size_t)n < sizeof ret->url;
}

/* The lock is held. */
static const struct addresses *addresses_of(struct peers *p, const char *service)
{
    const struct peer *row = row_of(p, str_from(service), false);

    return row && row->found.n ? &row->found : row && row->given.n ? &row->given : &p->pattern;
}

size_t peers_list(struct peers *p, const char *service, struct peer_address *out, size_t max)
{
    size_t n = 0;

    if (!is_name(str_from(service)))
        return 0;
    pthread_mutex_lock(&p->lock);
    const struct addresses *from = addresses_of(p, service);
    size_t first = from->n ? p->turn++ % from->n : 0;
    for (size_t i = 0; i < from->n && n < max; i++) {
        const char *url = from->at[(first + i) % from->n].url;
        out[n].weight = from->at[(first + i) % from->n].weight;
        if (from != &p->pattern)
            out[n++] = from->at[(first + i) % from->n];
        else if (from_pattern(url, service, &out[n]))
            n++;
    }
    pthread_mutex_unlock(&p->lock);
    return n;
}

bool peers_know(struct peers *p, const char *service)
{
    if (!is_name(str_from(service)))
        return false;
    pthread_mutex_lock(&p->lock);
    bool known = addresses_of(p, service)->n > 0;
    pthread_mutex_unlock(&p->lock);
    return known;
}

enum err peers_set(struct ctx *cx, struct peers *p, const char *service,
                   const struct str *addresses, size_t n)
{
    struct addresses found = {.n = n};
    struct str name = str_from(service);

    if (!is_name(name))
        return fail(cx, ERR_INVALID, "\"%s\" is no name of a service", service);
    if (n > PEER_ADDRESSES_MAX)
        return fail(cx, ERR_INVALID, "%s has more than %d addresses", service, PEER_ADDRESSES_MAX);
    for (size_t i = 0; i < n; i++)
        if (!read_address(addresses[i], false, &found.at[i]))
            return fail(cx, ERR_INVALID, "\"%.*s\" of %s is no address; expected http://HOST:PORT",
                        STR_ARG(addresses[i]), service);
    pthread_mutex_lock(&p->lock);
    struct peer *row = row_of(p, name, true);
    if (row)
        row->found = found;
    pthread_mutex_unlock(&p->lock);
    return row ? ERR_OK : fail(cx, ERR_INVALID, "more than %d services", PEERS_MAX);
}
