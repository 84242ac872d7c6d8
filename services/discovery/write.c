/* write.c -- writes what Eureka writes, in its order of fields, as JSON or XML. */
#include "discovery/write.h"

#include "data/json.h"
#include "discovery/xml.h"

static void name_of(struct writer *w, struct str name)
{
    if (w->form == FORM_XML) {
        buf_char(w->b, '<');
        buf_str_add(w->b, name);
        buf_char(w->b, '>');
        return;
    }
    if (!w->first)
        buf_char(w->b, ',');
    json_string(w->b, name);
    buf_char(w->b, ':');
    w->first = false;
}

static void end_of(struct writer *w, struct str name)
{
    if (w->form == FORM_JSON)
        return;
    buf_lit(w->b, "</");
    buf_str_add(w->b, name);
    buf_char(w->b, '>');
}

void write_open(struct writer *w, const char *name)
{
    name_of(w, str_from(name));
    if (w->form == FORM_JSON)
        buf_char(w->b, '{');
    w->first = true;
}

void write_close(struct writer *w, const char *name)
{
    if (w->form == FORM_JSON)
        buf_char(w->b, '}');
    end_of(w, str_from(name));
    w->first = false;
}

static void text(struct writer *w, struct str name, struct str value)
{
    name_of(w, name);
    if (w->form == FORM_JSON)
        json_string(w->b, value);
    else
        xml_text(w->b, value);
    end_of(w, name);
}

void write_text(struct writer *w, const char *name, struct str value)
{
    if (value.p)
        text(w, str_from(name), value);
}

void write_number(struct writer *w, const char *name, int64_t value)
{
    name_of(w, str_from(name));
    buf_i64(w->b, value);
    end_of(w, str_from(name));
}

/* A number that Eureka's JSON has as a string. */
static void number_text(struct writer *w, const char *name, int64_t value)
{
    if (w->form == FORM_XML) {
        write_number(w, name, value);
        return;
    }
    name_of(w, str_from(name));
    buf_printf(w->b, "\"%" PRId64 "\"", value);
}

static struct str truth(bool yes)
{
    return yes ? STR("true") : STR("false");
}

static void port(struct writer *w, const char *name, int64_t number, bool on)
{
    if (w->form == FORM_XML) {
        buf_printf(w->b, "<%s enabled=\"%s\">%" PRId64 "</%s>", name, truth(on).p, number, name);
        return;
    }
    name_of(w, str_from(name));
    buf_printf(w->b, "{\"$\":%" PRId64 ",\"@enabled\":\"%s\"}", number, truth(on).p);
}

/* In XML a key is the name of an element: one that cannot be is left out there. */
static void map(struct writer *w, const char *name, struct list pairs)
{
    write_open(w, name);
    for (size_t i = 0; i < pairs.n; i++) {
        const struct pair *p = LIST_AT(struct pair, pairs, i);
        if (w->form == FORM_JSON || xml_is_name(p->key))
            text(w, p->key, p->value);
    }
    write_close(w, name);
}

static void data_center(struct writer *w, const struct instance *is)
{
    if (w->form == FORM_XML && is->data_center_class.p) {
        buf_lit(w->b, "<dataCenterInfo class=\"");
        xml_text(w->b, is->data_center_class);
        buf_lit(w->b, "\">");
        w->first = true;
    } else {
        write_open(w, "dataCenterInfo");
        write_text(w, "@class", is->data_center_class);
    }
    write_text(w, "name", is->data_center);
    if (is->data_center_metadata.n)
        map(w, "metadata", is->data_center_metadata);
    write_close(w, "dataCenterInfo");
}

static void lease(struct writer *w, const struct instance *is)
{
    write_open(w, "leaseInfo");
    write_number(w, "renewalIntervalInSecs", is->renew_s);
    write_number(w, "durationInSecs", is->duration_s);
    write_number(w, "registrationTimestamp", is->registered_ms);
    write_number(w, "lastRenewalTimestamp", is->renewed_ms);
    write_number(w, "evictionTimestamp", is->evicted_ms);
    write_number(w, "serviceUpTimestamp", is->up_ms);
    write_close(w, "leaseInfo");
}

static void compact_fields(struct writer *w, const struct instance *is)
{
    write_text(w, "instanceId", is->id);
    write_text(w, "app", is->app);
    write_text(w, "ipAddr", is->ip);
    write_text(w, "vipAddress", is->vip);
    write_text(w, "secureVipAddress", is->secure_vip);
    data_center(w, is);
    write_text(w, "hostName", is->host);
    write_text(w, "status", str_from(instance_status_names[is->status]));
    write_number(w, "lastUpdatedTimestamp", is->updated_ms);
    write_text(w, "actionType", str_from(instance_action_names[is->action]));
    port(w, "port", is->port, is->port_on);
    port(w, "securePort", is->secure_port, is->secure_port_on);
}

static void all_fields(struct writer *w, const struct instance *is)
{
    write_text(w, "instanceId", is->id);
    write_text(w, "hostName", is->host);
    write_text(w, "app", is->app);
    write_text(w, "appGroupName", is->group);
    write_text(w, "ipAddr", is->ip);
    write_text(w, "status", str_from(instance_status_names[is->status]));
    write_text(w, w->form == FORM_XML ? "overriddenstatus" : "overriddenStatus",
               str_from(instance_status_names[is->overridden]));
    port(w, "port", is->port, is->port_on);
    port(w, "securePort", is->secure_port, is->secure_port_on);
    write_number(w, "countryId", is->country);
    data_center(w, is);
    lease(w, is);
    map(w, "metadata", is->metadata);
    write_text(w, "homePageUrl", is->home_url);
    write_text(w, "statusPageUrl", is->status_url);
    write_text(w, "healthCheckUrl", is->health_url);
    write_text(w, "secureHealthCheckUrl", is->secure_health_url);
    write_text(w, "vipAddress", is->vip);
    write_text(w, "secureVipAddress", is->secure_vip);
    write_text(w, "isCoordinatingDiscoveryServer", truth(is->coordinating));
    number_text(w, "lastUpdatedTimestamp", is->updated_ms);
    number_text(w, "lastDirtyTimestamp", is->dirty_ms);
    write_text(w, "actionType", str_from(instance_action_names[is->action]));
    write_text(w, "asgName", is->asg);
}

static void fields(struct writer *w, const struct instance *is)
{
    if (w->compact)
        compact_fields(w, is);
    else
        all_fields(w, is);
}

static void document_open(struct writer *w, const char *name)
{
    if (w->form == FORM_JSON)
        buf_char(w->b, '{');
    w->first = true;
    write_open(w, name);
}

static void document_close(struct writer *w, const char *name)
{
    write_close(w, name);
    if (w->form == FORM_JSON)
        buf_char(w->b, '}');
}

void write_instance(struct writer *w, const struct instance *is)
{
    document_open(w, "instance");
    fields(w, is);
    document_close(w, "instance");
}

void write_instance_bare(struct writer *w, const struct instance *is)
{
    assert(w->form == FORM_JSON);
    buf_char(w->b, '{');
    w->first = true;
    fields(w, is);
    buf_char(w->b, '}');
    w->first = false;
}

/* A list is an array of objects, or an element many times; an array even of one. */
static void list_open(struct writer *w, const char *name)
{
    if (w->form == FORM_XML)
        return;
    name_of(w, str_from(name));
    buf_char(w->b, '[');
    w->first = true;
}

static void list_close(struct writer *w)
{
    if (w->form == FORM_JSON)
        buf_char(w->b, ']');
    w->first = false;
}

static void item_open(struct writer *w, const char *name)
{
    if (w->form == FORM_XML)
        name_of(w, str_from(name));
    else if (w->first)
        buf_char(w->b, '{');
    else
        buf_lit(w->b, ",{");
    w->first = true;
}

static void application(struct writer *w, struct str name, struct instance *const *items, size_t n)
{
    write_text(w, "name", name);
    list_open(w, "instance");
    for (size_t i = 0; i < n; i++) {
        item_open(w, "instance");
        fields(w, items[i]);
        write_close(w, "instance");
    }
    list_close(w);
}

void write_application(struct writer *w, struct str name, struct list instances)
{
    document_open(w, "application");
    application(w, name, instances.items, instances.n);
    document_close(w, "application");
}

void write_applications(struct writer *w, struct str version, struct str hash,
                        struct list instances)
{
    struct instance *const *items = instances.items;

    document_open(w, "applications");
    write_text(w, "versions__delta", version);
    write_text(w, "apps__hashcode", hash);
    list_open(w, "application");
    for (size_t from = 0, to; from < instances.n; from = to) {
        for (to = from + 1; to < instances.n && str_eq(items[to]->app, items[from]->app); to++) {
        }
        item_open(w, "application");
        application(w, items[from]->app, items + from, to - from);
        write_close(w, "application");
    }
    list_close(w);
    document_close(w, "applications");
}

void write_error(struct writer *w, struct str error, struct str detail)
{
    if (w->form == FORM_XML) {
        write_open(w, "error");
        write_text(w, "message", error);
        write_text(w, "detail", detail);
        write_close(w, "error");
        return;
    }
    buf_char(w->b, '{');
    w->first = true;
    write_text(w, "error", error);
    write_text(w, "detail", detail);
    buf_char(w->b, '}');
}
