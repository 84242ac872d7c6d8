/* rest.c -- Eureka's paths as a table, and what each of them does with the registry. */
#include "discovery/rest.h"

#include "data/json.h"
#include "discovery/xml.h"

#define SEGMENTS_MAX 5

/* Of the query, decoded; STR_NONE when it is not there. */
static enum err query_value(struct ctx *cx, const struct eureka_call *c, struct str name,
                            struct str *ret)
{
    struct str rest = c->head->query, key, value;
    bool bad = false;

    *ret = STR_NONE;
    while (http_query_next(cx->arena, &rest, &key, &value, &bad)) {
        if (!bad && str_eq(key, name) && !ret->p)
            *ret = value;
        if (bad)
            break;
    }
    if (!bad)
        return ERR_OK;
    cx->story.public_detail = STR("The query is not validly percent-encoded.");
    return fail(cx, ERR_INVALID, "query");
}

static enum err dirty_timestamp(struct ctx *cx, const struct eureka_call *c, int64_t *ret)
{
    struct str text;

    *ret = -1;
    TRY(query_value(cx, c, STR("lastDirtyTimestamp"), &text));
    if (text.n == 0 || str_i64(text, 0, INT64_MAX, ret))
        return ERR_OK;
    cx->story.public_detail =
        STR("lastDirtyTimestamp: expected milliseconds since 1970 as a whole number");
    return fail(cx, ERR_INVALID, "lastDirtyTimestamp");
}

static enum err get_all(struct ctx *cx, struct eureka_call *c)
{
    return registry_write(cx, c->registry, VIEW_ALL, STR_NONE, STR_NONE, &c->w);
}

static enum err get_delta(struct ctx *cx, struct eureka_call *c)
{
    return registry_write(cx, c->registry, VIEW_CHANGES, STR_NONE, STR_NONE, &c->w);
}

static enum err get_app(struct ctx *cx, struct eureka_call *c)
{
    return registry_write(cx, c->registry, VIEW_APPLICATION, c->app, STR_NONE, &c->w);
}

/* Also by id alone: then there is no name of an application. */
static enum err get_instance(struct ctx *cx, struct eureka_call *c)
{
    return registry_write(cx, c->registry, VIEW_INSTANCE, c->app, c->id, &c->w);
}

static enum err get_vip(struct ctx *cx, struct eureka_call *c)
{
    return registry_write(cx, c->registry, VIEW_VIP, c->id, STR_NONE, &c->w);
}

static enum err get_secure_vip(struct ctx *cx, struct eureka_call *c)
{
    return registry_write(cx, c->registry, VIEW_SECURE_VIP, c->id, STR_NONE, &c->w);
}

static enum err get_status(struct ctx *cx, struct eureka_call *c)
{
    struct registry_figures f = registry_figures(cx, c->registry);
    struct writer *w = &c->w;

    buf_init_arena(w->b, cx->arena, 2000);
    if (w->form == FORM_JSON)
        buf_char(w->b, '{');
    w->first = true;
    write_open(w, w->form == FORM_JSON ? "generalStats" : "statusInfo");
    write_number(w, "instances", (int64_t)f.instances);
    write_number(w, "bytes", (int64_t)f.bytes);
    write_number(w, "renewalsLastMinute", f.renewals_last_minute);
    write_number(w, "renewalsThreshold", f.renewals_expected);
    write_text(w, "evicting", f.evicting ? STR("true") : STR("false"));
    write_text(w, "appsHashcode", registry_hash(cx, c->registry));
    write_close(w, w->form == FORM_JSON ? "generalStats" : "statusInfo");
    if (w->form == FORM_JSON)
        buf_char(w->b, '}');
    return ERR_OK;
}

static struct str media_type(const struct eureka_call *c)
{
    struct str type, parameters;

    str_cut(http_field(c->head, STR("Content-Type")), ';', &type, &parameters);
    return str_trim(type);
}

static enum err read_instance(struct ctx *cx, struct eureka_call *c, struct instance *ret)
{
    struct str type = media_type(c), json = c->body;
    bool xml = str_eq_nocase(type, STR("application/xml")) || str_eq_nocase(type, STR("text/xml"));
    struct str encoding = http_field(c->head, STR("Content-Encoding"));

    if (!xml && !str_eq_nocase(type, STR("application/json"))) {
        cx->story.public_detail = STR("Content-Type: expected application/json or application/xml");
        return fail(cx, ERR_MEDIA_TYPE, "content type %.*s", STR_ARG(type));
    }
    c->w.form = xml ? FORM_XML : FORM_JSON; /* for the complaint */
    if (encoding.n && !str_eq_nocase(encoding, STR("identity"))) {
        cx->story.public_detail = STR("A compressed body is not taken.");
        return fail(cx, ERR_MALFORMED, "content encoding %.*s", STR_ARG(encoding));
    }
    if (c->body.n > EUREKA_BODY_MAX) {
        cx->story.public_detail = STR("A registration is at most 65536 bytes.");
        return fail(cx, ERR_TOO_LARGE, "%zu bytes", c->body.n);
    }
    if (xml)
        TRY(xml_to_json(cx, c->body, &json));
    return instance_decode(cx, json, ret);
}

static enum err post_instance(struct ctx *cx, struct eureka_call *c)
{
    struct instance is;

    c->status = 204;
    TRY(read_instance(cx, c, &is));
    if (!str_eq(is.app, c->app)) {
        cx->story.public_detail =
            arena_printf(cx->arena, "Mismatched appName, expecting %.*s but was %.*s",
                         STR_ARG(c->app), STR_ARG(is.app));
        return fail(cx, ERR_INVALID, "mismatched name");
    }
    return registry_register(cx, c->registry, &is, c->from);
}

static enum err put_renewal(struct ctx *cx, struct eureka_call *c)
{
    struct instance ours;
    int64_t dirty_ms;

    TRY(dirty_timestamp(cx, c, &dirty_ms));
    enum err e = registry_renew(cx, c->registry, c->app, c->id, dirty_ms, c->from, &ours);
    if (e != ERR_CONFLICT)
        return e;
    c->status = 409;
    buf_init_arena(c->w.b, cx->arena, INSTANCE_BYTES_MAX * 3);
    write_instance(&c->w, &ours);
    return ERR_OK;
}

static enum err delete_instance(struct ctx *cx, struct eureka_call *c)
{
    return registry_cancel(cx, c->registry, c->app, c->id, c->from);
}

/* value=STATUS. *ret stays as it is when it is not there. */
static enum err status_value(struct ctx *cx, const struct eureka_call *c, bool required,
                             enum instance_status *ret)
{
    struct str text;

    TRY(query_value(cx, c, STR("value"), &text));
    if ((text.n == 0 && !required) || status_parse(text, ret))
        return ERR_OK;
    cx->story.public_detail = STR("value: expected UP, DOWN, STARTING, OUT_OF_SERVICE or UNKNOWN");
    return fail(cx, ERR_INVALID, "status %.*s", STR_ARG(text));
}

static enum err put_status(struct ctx *cx, struct eureka_call *c)
{
    enum instance_status status = INSTANCE_UNKNOWN;
    int64_t dirty_ms;

    TRY(status_value(cx, c, true, &status));
    TRY(dirty_timestamp(cx, c, &dirty_ms));
    return registry_override(cx, c->registry, c->app, c->id, status, dirty_ms, c->from);
}

static enum err delete_status(struct ctx *cx, struct eureka_call *c)
{
    enum instance_status status = INSTANCE_UNKNOWN;
    int64_t dirty_ms;

    TRY(status_value(cx, c, false, &status));
    TRY(dirty_timestamp(cx, c, &dirty_ms));
    return registry_delete_override(cx, c->registry, c->app, c->id, status, dirty_ms, c->from);
}

static enum err put_metadata(struct ctx *cx, struct eureka_call *c)
{
    struct pair *pairs = arena_array(cx->arena, METADATA_MAX, sizeof *pairs);
    struct list l = {pairs, 0};
    struct str rest = c->head->query, key, value;
    bool bad = false;

    while (http_query_next(cx->arena, &rest, &key, &value, &bad)) {
        if (bad || key.n == 0 || key.n > 200 || l.n == METADATA_MAX) {
            cx->story.public_detail =
                STR("expected at most 100 pairs key=value, percent-encoded UTF-8");
            return fail(cx, ERR_INVALID, "metadata pairs");
        }
        pairs[l.n++] = (struct pair){key, value.p ? value : STR("")};
    }
    return registry_add_metadata(cx, c->registry, c->app, c->id, l);
}

/* {app} is in upper case, {id} any name; the rest is literal. */
struct eureka_row {
    enum http_method method;
    const char *path;
    enum err (*run)(struct ctx *cx, struct eureka_call *c);
    bool answers; /* with a document */
    bool zipped;  /* when the client takes it */
};
static const struct eureka_row rows[] = {
    {HTTP_GET, "apps", get_all, true, true},
    {HTTP_GET, "apps/delta", get_delta, true, true},
    {HTTP_GET, "apps/{app}", get_app, true, false},
    {HTTP_POST, "apps/{app}", post_instance, false, false},
    {HTTP_GET, "apps/{app}/{id}", get_instance, true, false},
    {HTTP_PUT, "apps/{app}/{id}", put_renewal, false, false},
    {HTTP_DELETE, "apps/{app}/{id}", delete_instance, false, false},
    {HTTP_PUT, "apps/{app}/{id}/status", put_status, false, false},
    {HTTP_DELETE, "apps/{app}/{id}/status", delete_status, false, false},
    {HTTP_PUT, "apps/{app}/{id}/metadata", put_metadata, false, false},
    {HTTP_GET, "instances/{id}", get_instance, true, false},
    {HTTP_GET, "vips/{id}", get_vip, true, false},
    {HTTP_GET, "svips/{id}", get_secure_vip, true, false},
    {HTTP_POST, "peerreplication/batch", eureka_batch, false, false},
    {HTTP_GET, "status", get_status, true, false},
};

/* What stands behind the base, without the slash at the end; false: another base. */
static bool after_base(struct str path, struct str *ret)
{
    if (!str_starts(path, STR("/eureka/")))
        return false;
    *ret = (struct str){path.p + 8, path.n - 8};
    if (str_starts(*ret, STR("v2/")))
        *ret = (struct str){ret->p + 3, ret->n - 3};
    if (str_ends(*ret, STR("/")))
        ret->n--;
    return true;
}

static bool fits(struct ctx *cx, const char *pattern, struct str path, struct eureka_call *c)
{
    struct str p = str_from(pattern), want, have, name;

    c->app = c->id = STR_NONE;
    for (bool more = true; more;) {
        more = str_cut(p, '/', &want, &p);
        if (str_cut(path, '/', &have, &path) != more || have.n == 0)
            return false;
        if (want.p[0] != '{' && !str_eq(want, have))
            return false;
        if (want.p[0] == '{' && !http_percent_decode(cx->arena, have, false, &name))
            return false;
        if (str_eq(want, STR("{app}")))
            c->app = upper_case(cx->arena, name);
        else if (want.p[0] == '{')
            c->id = name;
    }
    return true;
}

static const struct eureka_row *find_row(struct ctx *cx, struct eureka_call *c, struct buf *allow)
{
    enum http_method method = c->head->method == HTTP_HEAD ? HTTP_GET : c->head->method;
    struct str path;

    if (!after_base(c->head->path, &path))
        return NULL;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (!fits(cx, rows[i].path, path, c))
            continue;
        /* "delta" is not an application. */
        if (str_eq(c->app, STR("DELTA")) && !c->id.p)
            continue;
        if (rows[i].method == method)
            return &rows[i];
        buf_str_add(allow, str_from(http_method_names[rows[i].method]));
        buf_char(allow, ',');
    }
    return NULL;
}

/* JSON for whoever names it; XML for who names nothing, anything or XML. */
static bool choose_form(struct eureka_call *c)
{
    struct str accept = http_field(c->head, STR("Accept"));
    bool json = str_find(accept, STR("json")) != SIZE_MAX;
    bool xml = accept.n == 0 || str_find(accept, STR("xml")) != SIZE_MAX ||
               str_find(accept, STR("*/*")) != SIZE_MAX ||
               str_find(accept, STR("application/*")) != SIZE_MAX;

    c->w.form = json ? FORM_JSON : FORM_XML;
    return json || xml;
}

static void header(struct ctx *cx, struct http_answer *a, struct str name, struct str value)
{
    struct http_field *fields = arena_array(cx->arena, a->n_fields + 1, sizeof *fields);

    if (a->n_fields)
        memcpy(fields, a->fields, a->n_fields * sizeof *fields);
    fields[a->n_fields++] = (struct http_field){name, value};
    a->fields = fields;
}

static void document(struct http_answer *a, const struct eureka_call *c)
{
    a->content_type = c->w.form == FORM_JSON ? STR("application/json") : STR("application/xml");
    a->body = buf_str(c->w.b);
}

static void complain(struct ctx *cx, struct eureka_call *c, int status, struct str error,
                     struct str detail, struct http_answer *a)
{
    a->status = status;
    buf_init_arena(c->w.b, cx->arena, 8192);
    write_error(&c->w, error, detail);
    document(a, c);
}

static void refused(struct ctx *cx, struct eureka_call *c, enum err e, struct http_answer *a)
{
    struct str detail = cx->story.public_detail;

    /* Netflix's client reads whatever body a renewal is answered with as an instance, fails over a
     * complaint, and then never registers again. */
    if (e == ERR_NOT_FOUND)
        a->status = 404;
    else if (e == ERR_MALFORMED)
        complain(cx, c, 400, STR("cannot parse request body"), detail, a);
    else
        complain(cx, c, err_row(e)->status, detail.p ? detail : str_from(err_row(e)->en), STR_NONE,
                 a);
}

static void answered(struct ctx *cx, struct eureka_call *c, const struct eureka_row *row,
                     struct http_answer *a)
{
    struct str zipped, encodings = http_field(c->head, STR("Accept-Encoding"));

    a->status = c->status;
    if (c->w.b->n == 0)
        return;
    document(a, c);
    if (row->zipped && str_find(encodings, STR("gzip")) != SIZE_MAX &&
        gzip_text(cx->arena, a->body, &zipped)) {
        a->body = zipped;
        header(cx, a, STR("Content-Encoding"), STR("gzip"));
    }
}

void eureka_answer(struct ctx *cx, struct registry *r, const struct http_head *head,
                   struct str body, struct http_answer *ret)
{
    struct str peer = http_field(head, STR("x-netflix-discovery-replication"));
    struct eureka_call c = {.registry = r, .head = head, .body = body, .status = 200};
    struct buf allow;

    *ret = (struct http_answer){0};
    c.w.b = &c.out;
    c.w.compact = str_eq_nocase(http_field(head, STR("X-Eureka-Accept")), STR("compact"));
    c.from = str_eq_nocase(peer, STR("true")) ? FROM_PEER : FROM_CLIENT;
    buf_init_arena(&allow, cx->arena, 200);
    bool acceptable = choose_form(&c);
    const struct eureka_row *row = find_row(cx, &c, &allow);
    if (!row && allow.n) {
        buf_lit(&allow, "OPTIONS");
        bool asks = head->method == HTTP_OPTIONS;
        complain(cx, &c, asks ? 200 : 405, STR("That method is not allowed here."), STR_NONE, ret);
        header(cx, ret, STR("Allow"), buf_str(&allow));
        return;
    }
    if (!row) {
        complain(cx, &c, 404, STR("There is nothing at this path."), STR_NONE, ret);
        return;
    }
    if (row->answers && !acceptable) {
        c.w.form = FORM_JSON;
        complain(cx, &c, 406, STR("Accept: expected application/json or application/xml"), STR_NONE,
                 ret);
        return;
    }
    buf_init_arena(&c.out, cx->arena, 0);
    enum err e = row->run(cx, &c);
    if (e == ERR_OK)
        answered(cx, &c, row, ret);
    else
        refused(cx, &c, e, ret);
}
