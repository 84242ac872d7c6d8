/* instance.c -- reads an instance from a document by tables, checks it, copies it. */
#include "discovery/instance.h"

#include "data/json.h"

#define TEXT_MAX 1024
#define KEY_MAX 200
#define VALUE_MAX 4096
#define TIME_MAX_MS INT64_C(253402300800000) /* the year 10000 */

const char *const instance_status_names[] = {"UP",      "DOWN", "STARTING", "OUT_OF_SERVICE",
                                             "UNKNOWN", NULL};
const char *const instance_action_names[] = {"ADDED", "MODIFIED", "DELETED", NULL};

/* clang-format off */
static const struct field wire_port_fields[] = {
    F_RAW(struct wire_port, number, "$", 0, "the port"),
    F_RAW(struct wire_port, enabled, "@enabled", 0, "whether it is open"),
    F_END(struct wire_port),
};
static const struct field wire_lease_fields[] = {
    F_RAW(struct wire_lease, renew_s, "renewalIntervalInSecs", 0, "renewed so often"),
    F_RAW(struct wire_lease, duration_s, "durationInSecs", 0, "gone when silent for so long"),
    F_RAW(struct wire_lease, registered, "registrationTimestamp", 0, "first seen"),
    F_RAW(struct wire_lease, renewed, "lastRenewalTimestamp", 0, "last seen"),
    F_RAW(struct wire_lease, evicted, "evictionTimestamp", 0, "taken out"),
    F_RAW(struct wire_lease, up, "serviceUpTimestamp", 0, "first UP"),
    F_END(struct wire_lease),
};
static const struct field wire_data_center_fields[] = {
    F_STR(struct wire_data_center, type, "@class", ONE_LINE, 0, 200, "class of the client's library"),
    F_STR(struct wire_data_center, name, "name", ONE_LINE, 0, 100, "MyOwn, Netflix or Amazon"),
    F_RAW(struct wire_data_center, metadata, "metadata", 0, "of Amazon"),
    F_END(struct wire_data_center),
};
#define W struct wire_instance
const struct field wire_instance_fields[] = {
    F_STR(W, id, "instanceId", ONE_LINE, 0, 512, "name of the instance within the application"),
    F_STR(W, host, "hostName", ONE_LINE, 0, 256, "name or address to call it by"),
    F_STR(W, app, "app", ONE_LINE, 0, 128, "application"),
    F_STR(W, group, "appGroupName", ONE_LINE, 0, 128, "group of applications"),
    F_STR(W, ip, "ipAddr", ONE_LINE, 0, 128, "address"),
    F_STR(W, status, "status", ONE_LINE, 0, 32, "what the instance says of itself"),
    F_STR(W, overridden, "overriddenStatus", ONE_LINE, 0, 32, "what an operator says of it"),
    F_STR(W, overridden_old, "overriddenstatus", ONE_LINE, 0, 32, "the same, of old clients"),
    F_OBJECT(W, port, "port", 0, wire_port_fields, "port"),
    F_OBJECT(W, secure_port, "securePort", 0, wire_port_fields, "port with TLS"),
    F_RAW(W, country, "countryId", 0, "number of a country"),
    F_OBJECT_PTR(W, data_center, "dataCenterInfo", 0, wire_data_center_fields, "where it runs"),
    F_OBJECT(W, lease, "leaseInfo", 0, wire_lease_fields, "how long it is known"),
    F_RAW(W, metadata, "metadata", 0, "map of strings"),
    F_STR(W, home_url, "homePageUrl", ONE_LINE, 0, TEXT_MAX, "a page"),
    F_STR(W, status_url, "statusPageUrl", ONE_LINE, 0, TEXT_MAX, "a page"),
    F_STR(W, health_url, "healthCheckUrl", ONE_LINE, 0, TEXT_MAX, "a page"),
    F_STR(W, secure_health_url, "secureHealthCheckUrl", ONE_LINE, 0, TEXT_MAX, "a page"),
    F_STR(W, vip, "vipAddress", ONE_LINE, 0, TEXT_MAX, "names it is found by, with commas"),
    F_STR(W, secure_vip, "secureVipAddress", ONE_LINE, 0, TEXT_MAX, "the same for TLS"),
    F_RAW(W, coordinating, "isCoordinatingDiscoveryServer", 0, "whether it is the registry itself"),
    F_RAW(W, updated, "lastUpdatedTimestamp", 0, "changed in the registry"),
    F_RAW(W, dirty, "lastDirtyTimestamp", 0, "changed in the instance"),
    F_STR(W, action, "actionType", ONE_LINE, 0, 32, "what happened to it last"),
    F_STR(W, asg, "asgName", ONE_LINE, 0, 256, "scaling group"),
    F_END(W),
};
#undef W
/* clang-format on */

struct document {
    struct wire_instance *instance;
};
static const struct field document_fields[] = {
    F_OBJECT_PTR(struct document, instance, "instance", REQUIRED, wire_instance_fields, "it"),
    F_END(struct document),
};

static enum err invalid(struct ctx *cx, const char *name, const char *expected)
{
    cx->story.public_detail = arena_printf(cx->arena, "%s: expected %s", name, expected);
    return fail(cx, ERR_INVALID, "%s: expected %s", name, expected);
}

/* A number or a string that holds one; nothing, null and the empty string leave *ret as it is. */
static enum err number(struct ctx *cx, struct str raw, const char *name, int64_t max, int64_t *ret)
{
    struct str text = STR_NONE;

    if (raw.p && !json_scalar_text(cx->arena, raw, &text))
        return invalid(cx, name, "a number");
    if (text.n == 0 || str_i64(text, 0, max, ret))
        return ERR_OK;
    return invalid(cx, name, arena_printf(cx->arena, "a number from 0 to %" PRId64, max).p);
}

static enum err boolean(struct ctx *cx, struct str raw, const char *name, bool *ret)
{
    struct str text = STR_NONE;

    if (raw.p && !json_scalar_text(cx->arena, raw, &text))
        return invalid(cx, name, "true or false");
    if (str_eq_nocase(text, STR("true")))
        *ret = true;
    else if (str_eq_nocase(text, STR("false")))
        *ret = false;
    else if (text.n)
        return invalid(cx, name, "true or false");
    return ERR_OK;
}

bool status_parse(struct str s, enum instance_status *ret)
{
    for (int i = 0; i < INSTANCE_STATUSES; i++)
        if (str_eq_nocase(s, str_from(instance_status_names[i]))) {
            *ret = (enum instance_status)i;
            return true;
        }
    return false;
}

static enum err status(struct ctx *cx, struct str text, const char *name, enum instance_status *ret)
{
    if (text.n == 0 || status_parse(text, ret))
        return ERR_OK;
    return invalid(cx, name, "UP, DOWN, STARTING, OUT_OF_SERVICE or UNKNOWN");
}

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t' && s.p[i] != '\n')
            return false;
    return true;
}

/* Keys that begin with '@' are notes of the client's library (the class of an empty map). */
static enum err read_map(struct ctx *cx, struct str raw, const char *name, struct list *ret)
{
    struct str rest = raw, key, value, text = STR_NONE;

    *ret = (struct list){NULL, 0};
    if (!raw.p)
        return ERR_OK;
    if (raw.p[0] != '{') {
        bool nothing = json_scalar_text(cx->arena, raw, &text) && text.n == 0;
        return nothing ? ERR_OK : invalid(cx, name, "a map of strings");
    }
    struct pair *pairs = arena_array(cx->arena, METADATA_MAX, sizeof *pairs);
    ret->items = pairs;
    while (rest.n && json_member_next(cx->arena, &rest, &key, &value)) {
        if (key.n && key.p[0] == '@')
            continue;
        if (ret->n == METADATA_MAX)
            return invalid(cx, name, "at most 100 keys");
        if (key.n == 0 || key.n > KEY_MAX || !is_plain(key))
            return invalid(cx, name, "keys of 1 to 200 bytes without control characters");
        if (!json_scalar_text(cx->arena, value, &text) || text.n > VALUE_MAX || !is_plain(text))
            return invalid(cx, name, "values that are strings of at most 4096 bytes");
        pairs[ret->n++] = (struct pair){key, text.p ? text : STR("")};
    }
    return ERR_OK;
}

static enum err missing(struct ctx *cx, const char *what)
{
    cx->story.public_detail = arena_printf(cx->arena, "Missing %s", what);
    return fail(cx, ERR_INVALID, "missing %s", what);
}

/* In the order in which Eureka complains. A name with a slash could never be renewed: it stands in
 * the path. */
static enum err check_names(struct ctx *cx, const struct wire_instance *w, struct instance *is)
{
    if (is->host.n == 0)
        return missing(cx, "hostname");
    if (w->ip.n == 0)
        return missing(cx, "ip address");
    if (w->app.n == 0)
        return missing(cx, "appName");
    if (!w->data_center)
        return missing(cx, "dataCenterInfo");
    if (w->data_center->name.n == 0)
        return missing(cx, "dataCenterInfo Name");
    if (memchr(is->id.p, '/', is->id.n) || memchr(is->id.p, '\\', is->id.n))
        return invalid(cx, "instanceId", "no slash");
    if (memchr(w->app.p, '/', w->app.n) || memchr(w->app.p, '\\', w->app.n))
        return invalid(cx, "app", "no slash");
    return ERR_OK;
}

static enum err read_lease(struct ctx *cx, const struct wire_lease *w, struct instance *is)
{
    const int64_t long_s = 10 * 365 * 86400;

    TRY(number(cx, w->renew_s, "renewalIntervalInSecs", long_s, &is->renew_s));
    TRY(number(cx, w->duration_s, "durationInSecs", long_s, &is->duration_s));
    TRY(number(cx, w->registered, "registrationTimestamp", TIME_MAX_MS, &is->registered_ms));
    TRY(number(cx, w->renewed, "lastRenewalTimestamp", TIME_MAX_MS, &is->renewed_ms));
    TRY(number(cx, w->evicted, "evictionTimestamp", TIME_MAX_MS, &is->evicted_ms));
    TRY(number(cx, w->up, "serviceUpTimestamp", TIME_MAX_MS, &is->up_ms));
    if (is->renew_s == 0)
        is->renew_s = 30;
    if (is->duration_s == 0)
        is->duration_s = 90;
    return ERR_OK;
}

enum err instance_read(struct ctx *cx, const struct wire_instance *w, struct instance *ret)
{
    struct instance is = {
        .id = w->id.n ? w->id : w->host,
        .host = w->host,
        .app = upper_case(cx->arena, w->app),
        .group = w->group,
        .ip = w->ip,
        .home_url = w->home_url,
        .status_url = w->status_url,
        .health_url = w->health_url,
        .secure_health_url = w->secure_health_url,
        .vip = w->vip,
        .secure_vip = w->secure_vip,
        .asg = w->asg,
        .port = 7001,
        .port_on = true,
        .secure_port = 7002,
        .country = 1,
        .status = INSTANCE_UP,
        .overridden = INSTANCE_UNKNOWN,
    };

    TRY(check_names(cx, w, &is));
    is.data_center_class = w->data_center->type;
    is.data_center = w->data_center->name;
    TRY(status(cx, w->status, "status", &is.status));
    TRY(status(cx, w->overridden_old, "overriddenstatus", &is.overridden));
    TRY(status(cx, w->overridden, "overriddenStatus", &is.overridden));
    TRY(number(cx, w->port.number, "port", 65535, &is.port));
    TRY(boolean(cx, w->port.enabled, "port.@enabled", &is.port_on));
    TRY(number(cx, w->secure_port.number, "securePort", 65535, &is.secure_port));
    TRY(boolean(cx, w->secure_port.enabled, "securePort.@enabled", &is.secure_port_on));
    TRY(number(cx, w->country, "countryId", INT32_MAX, &is.country));
    TRY(boolean(cx, w->coordinating, "isCoordinatingDiscoveryServer", &is.coordinating));
    TRY(number(cx, w->updated, "lastUpdatedTimestamp", TIME_MAX_MS, &is.updated_ms));
    TRY(number(cx, w->dirty, "lastDirtyTimestamp", TIME_MAX_MS, &is.dirty_ms));
    TRY(read_lease(cx, &w->lease, &is));
    TRY(read_map(cx, w->metadata, "metadata", &is.metadata));
    TRY(read_map(cx, w->data_center->metadata, "dataCenterInfo.metadata",
                 &is.data_center_metadata));
    for (int i = 0; instance_action_names[i]; i++)
        if (str_eq(w->action, str_from(instance_action_names[i])))
            is.action = (enum instance_action)i;
    *ret = is;
    return ERR_OK;
}

enum err instance_decode(struct ctx *cx, struct str json, struct instance *ret)
{
    struct document d;
    enum err e = json_decode_lenient(cx, document_fields, &d, json);

    if (e == ERR_INVALID && cx->story.field_errors) {
        const struct field_error *first = cx->story.field_errors;
        cx->story.public_detail =
            arena_printf(cx->arena, "%.*s: %.*s", STR_ARG(first->field), STR_ARG(first->message));
    }
    if (e != ERR_OK)
        return fail(cx, ERR_MALFORMED, "%.*s", STR_ARG(cx->story.public_detail));
    if (d.instance->app.n == 0) {
        cx->story.public_detail = STR("instance.app: is required");
        return fail(cx, ERR_MALFORMED, "no app");
    }
    return instance_read(cx, d.instance, ret);
}

static struct list copy_map(struct arena *a, struct list from)
{
    struct list to = {arena_array(a, from.n ? from.n : 1, sizeof(struct pair)), from.n};

    for (size_t i = 0; i < from.n; i++) {
        const struct pair *p = LIST_AT(struct pair, from, i);
        *LIST_AT(struct pair, to, i) =
            (struct pair){arena_copy(a, p->key), arena_copy(a, p->value)};
    }
    return to;
}

void instance_copy(struct arena *a, const struct instance *from, struct instance *ret)
{
    static const size_t texts[] = {
        offsetof(struct instance, id),          offsetof(struct instance, host),
        offsetof(struct instance, app),         offsetof(struct instance, group),
        offsetof(struct instance, ip),          offsetof(struct instance, home_url),
        offsetof(struct instance, status_url),  offsetof(struct instance, health_url),
        offsetof(struct instance, vip),         offsetof(struct instance, secure_health_url),
        offsetof(struct instance, secure_vip),  offsetof(struct instance, data_center_class),
        offsetof(struct instance, data_center), offsetof(struct instance, asg),
    };

    *ret = *from;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct str *s = (struct str *)(void *)((char *)ret + texts[i]);
        if (s->p)
            *s = arena_copy(a, *s);
    }
    ret->metadata = copy_map(a, from->metadata);
    ret->data_center_metadata = copy_map(a, from->data_center_metadata);
}

struct str upper_case(struct arena *a, struct str s)
{
    char *to = arena_alloc(a, s.n + 1);

    for (size_t i = 0; i < s.n; i++)
        to[i] = (char)(s.p[i] >= 'a' && s.p[i] <= 'z' ? s.p[i] - 'a' + 'A' : s.p[i]);
    to[s.n] = '\0';
    return (struct str){to, s.n};
}
