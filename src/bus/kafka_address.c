/* kafka_address.c -- what a kafka:// address says: brokers, who we are to them, and topics. */
#include "bus/kafka.h"

#include "data/field.h"

#define FORM                                                                                       \
    "kafka://HOST:PORT[,HOST:PORT...][?partitions=1..1000&replicas=1..9"                           \
    "&keepHours=N&prefix=TEXT&security=plaintext|ssl|sasl_plaintext|sasl_ssl"                      \
    "&mechanism=PLAIN|SCRAM-SHA-256|SCRAM-SHA-512&ca=FILE&cert=FILE&key=FILE], USER:PASSWORD@ "    \
    "before HOST"

static const char *const securities[] = {"plaintext", "ssl", "sasl_plaintext", "sasl_ssl", NULL};
static const char *const mechanisms[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", NULL};

static const char *one_of(const char *const *words, struct str value)
{
    for (; *words; words++)
        if (str_eq(str_from(*words), value))
            return *words;
    return NULL;
}

static bool copy(struct str value, char *out, size_t size)
{
    if (value.n == 0 || value.n >= size)
        return false;
    memcpy(out, value.p, value.n);
    out[value.n] = '\0';
    return true;
}

static bool read_word(struct kafka_bus *b, struct str name, struct str value)
{
    if (str_eq(name, STR("prefix")))
        return copy(value, b->prefix, sizeof b->prefix);
    if (str_eq(name, STR("ca")))
        return copy(value, b->ca, sizeof b->ca);
    if (str_eq(name, STR("cert")))
        return copy(value, b->cert, sizeof b->cert);
    if (str_eq(name, STR("key")))
        return copy(value, b->key, sizeof b->key);
    if (str_eq(name, STR("security")))
        return (b->security = one_of(securities, value)) != NULL;
    if (str_eq(name, STR("mechanism")))
        return (b->mechanism = one_of(mechanisms, value)) != NULL;
    return false;
}

static bool read_number(struct kafka_bus *b, struct str name, struct str value)
{
    int64_t n = 0;

    if (!str_i64(value, 1, 100000, &n))
        return false;
    if (str_eq(name, STR("partitions")) && n <= 1000)
        b->partitions = (int)n;
    else if (str_eq(name, STR("replicas")) && n <= 9)
        b->replicas = (int)n;
    else if (str_eq(name, STR("keepHours")))
        b->keep_hours = n;
    else
        return false;
    return true;
}

/* A name or password: %XX is a byte, such as %40 for '@'. */
static bool decode(struct str s, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n && n + 1 < size; i++) {
        int high, low;
        out[n++] = s.p[i];
        if (s.p[i] != '%')
            continue;
        if (s.n - i < 3 || (high = str_hex_digit(s.p[i + 1])) < 0 ||
            (low = str_hex_digit(s.p[i + 2])) < 0 || high + low == 0)
            return false;
        out[n - 1] = (char)(high * 16 + low);
        i += 2;
    }
    out[n] = '\0';
    return n > 0 && n + 1 < size;
}

/* HOST or HOST:PORT, separated by commas. */
static bool are_brokers(struct str brokers)
{
    struct str one, host;
    int64_t port = 0;

    for (bool more = true; more;) {
        more = str_cut(brokers, ',', &one, &brokers);
        one = str_trim(one);
        bool has_port = !str_ends(one, STR("]")) && str_find(one, STR(":")) != SIZE_MAX;
        if (one.n == 0 || (has_port && (!field_parse_listen(one, &host, &port) || port == 0)))
            return false;
    }
    return true;
}

/* Files of TLS. */
static enum err check_files(struct ctx *cx, const struct kafka_bus *b)
{
    const struct {
        const char *name, *file;
    } files[] = {{"ca", b->ca}, {"cert", b->cert}, {"key", b->key}};

    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (files[i].file[0] && !str_ends(str_from(b->security), STR("ssl")))
            return fail(cx, ERR_INVALID, "kafka: %s= is for security=ssl and sasl_ssl, not for %s",
                        files[i].name, b->security);
    if (!b->cert[0] != !b->key[0])
        return fail(cx, ERR_INVALID, "kafka: cert= and key= belong together");
    return ERR_OK;
}

/* Nothing that says who we are: a question to nobody. Otherwise the connection is encrypted unless
 * the address says that it need not be. */
static enum err check_security(struct ctx *cx, struct kafka_bus *b)
{
    if (!b->security)
        b->security = b->user[0] ? "sasl_ssl" : b->cert[0] ? "ssl" : "plaintext";
    bool sasl = strncmp(b->security, "sasl", 4) == 0;
    if (sasl != (b->user[0] != '\0'))
        return fail(cx, ERR_INVALID,
                    sasl ? "kafka: security=%s needs USER:PASSWORD@ before the brokers"
                         : "kafka: a user needs security=sasl_ssl (or sasl_plaintext), not %s",
                    b->security);
    TRY(check_files(cx, b));
    if (b->mechanism && !sasl)
        return fail(cx, ERR_INVALID, "kafka: mechanism= is for security=sasl_..., not for %s",
                    b->security);
    if (!b->mechanism)
        b->mechanism = "PLAIN";
    return ERR_OK;
}

enum err kafka_location_read(struct ctx *cx, struct kafka_bus *b, const char *location)
{
    struct str brokers, options, one, name, value, who, user, password;

    snprintf(b->prefix, sizeof b->prefix, "jumun.");
    b->partitions = 6;
    b->replicas = 1;
    b->keep_hours = 168;
    str_cut(str_from(location), '?', &brokers, &options);
    if (str_find(brokers, STR("@")) != SIZE_MAX) {
        str_cut(brokers, '@', &who, &brokers);
        if (!str_cut(who, ':', &user, &password) || !decode(user, b->user, sizeof b->user) ||
            !decode(password, b->password, sizeof b->password))
            return fail(cx, ERR_INVALID,
                        "kafka: before @ stands USER:PASSWORD, with %%XX for what is special");
    }
    if (!copy(brokers, b->brokers, sizeof b->brokers) || memchr(brokers.p, '/', brokers.n) ||
        memchr(brokers.p, '@', brokers.n) || !are_brokers(brokers))
        return fail(cx, ERR_INVALID,
                    "kafka://HOST:PORT[,HOST:PORT...] names the brokers, ports from 1 to 65535");
    while (options.n) {
        str_cut(options, '&', &one, &options);
        str_cut(one, '=', &name, &value);
        if (!read_word(b, name, value) && !read_number(b, name, value))
            return fail(cx, ERR_INVALID, "not \"%.*s=%.*s\" but " FORM, STR_ARG(name),
                        STR_ARG(value));
    }
    return check_security(cx, b);
}

bool kafka_conf_security(const struct kafka_bus *b, rd_kafka_conf_t *conf, char *why, size_t size)
{
    const char *const pairs[][2] = {
        {"security.protocol", b->security}, {"sasl.mechanism", b->user[0] ? b->mechanism : ""},
        {"sasl.username", b->user},         {"sasl.password", b->password},
        {"ssl.ca.location", b->ca},         {"ssl.certificate.location", b->cert},
        {"ssl.key.location", b->key},
    };

    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        if (pairs[i][1][0] &&
            rd_kafka_conf_set(conf, pairs[i][0], pairs[i][1], why, size) != RD_KAFKA_CONF_OK)
            return false;
    return true;
}
