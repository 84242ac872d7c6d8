/* contract.c -- prints OpenAPI 3.1 from route tables. */
#include "service/contract.h"

#include "data/json.h"
#include "data/openapi.h"

static const struct {
    unsigned role;
    const char *name;
} roles[] = {{GUEST, "guest"}, {CUSTOMER, "customer"}, {OWNER, "owner"},
             {STAFF, "staff"}, {ADMIN, "admin"},       {SERVICE, "service"}};

static const char *const method_words[HTTP_METHODS] = {"get",   "head",   "post",   "put",
                                                       "patch", "delete", "options"};

static const char *listener_of(const struct service *s, const struct route *r)
{
    return s->listener ? s->listener : r->flags & INTERNAL ? "internal" : "public";
}

static void parameter_head(struct buf *b, bool *any, const char *in, struct str name, bool required)
{
    if (*any)
        buf_char(b, ',');
    *any = true;
    buf_printf(b, "{\"in\":\"%s\",\"name\":", in);
    json_string(b, name);
    buf_printf(b, ",\"required\":%s,\"schema\":", required ? "true" : "false");
}

static void path_parameters(struct buf *b, bool *any, const char *path)
{
    for (const char *open = strchr(path, '{'); open; open = strchr(open + 1, '{')) {
        struct str name = {open + 1, strcspn(open + 1, "}")};
        parameter_head(b, any, "path", name, true);
        buf_str_add(b, str_ends(name, STR("Id")) ? STR("{\"type\":\"string\",\"format\":\"uuid\"}}")
                                                 : STR("{\"type\":\"string\"}}"));
    }
}

static void parameters(struct buf *b, const struct route *r)
{
    bool any = false;

    buf_lit(b, ",\"parameters\":[");
    path_parameters(b, &any, r->path);
    for (const struct field *f = r->query; f && f->type != FIELD_END; f++) {
        parameter_head(b, &any, "query", str_from(f->name), f->flags & REQUIRED);
        openapi_value(b, f, OPENAPI_REQUEST);
        buf_char(b, '}');
    }
    if (r->flags & (IDEMPOTENT | KEYED)) {
        parameter_head(b, &any, "header", STR("Idempotency-Key"), r->flags & IDEMPOTENT);
        buf_lit(b, "{\"type\":\"string\",\"minLength\":1,\"maxLength\":255}}");
    }
    if (r->flags & EVENTS) {
        parameter_head(b, &any, "header", STR("Last-Event-ID"), false);
        buf_lit(b, "{\"type\":\"integer\",\"minimum\":0}}");
    }
    buf_char(b, ']');
}

static void request_body(struct buf *b, const struct route *r)
{
    if (r->body) {
        buf_lit(
            b,
            ",\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":");
        openapi_schema(b, r->body, OPENAPI_REQUEST);
        buf_lit(b, "}}}");
    } else if (r->flags & RAW_BODY) {
        buf_lit(b, ",\"requestBody\":{\"required\":true,\"content\":{\"*/*\":{\"schema\":{}}}}");
    }
}

static void reply_schema(struct buf *b, const struct route *r)
{
    if (!(r->flags & LIST)) {
        openapi_schema(b, r->reply, OPENAPI_REPLY);
        return;
    }
    buf_lit(b, "{\"type\":\"object\",\"required\":[\"items\",\"nextCursor\"],\"properties\":{"
               "\"items\":{\"type\":\"array\",\"items\":");
    openapi_schema(b, r->reply, OPENAPI_REPLY);
    buf_lit(b, "},\"nextCursor\":{\"type\":[\"string\",\"null\"]}}}");
}

static void responses(struct buf *b, const struct route *r)
{
    buf_printf(b, ",\"responses\":{\"%d\":{\"description\":", r->status);
    json_string(b, str_from(http_reason(r->status)));
    if (r->reply && !(r->flags & NOT_JSON)) {
        buf_lit(b, ",\"content\":{\"application/json\":{\"schema\":");
        reply_schema(b, r);
        buf_char(b, '}');
        if (r->flags & EVENTS)
            buf_lit(b, ",\"text/event-stream\":{\"schema\":{\"type\":\"string\"}}");
        buf_char(b, '}');
    }
    buf_lit(b, "},\"default\":{\"$ref\":\"#/components/responses/Problem\"}}");
}

static void callers(struct buf *b, unsigned who)
{
    bool any = false;

    buf_lit(b, ",\"x-who\":[");
    for (size_t i = 0; i < COUNT_OF(roles); i++) {
        if (!(who & roles[i].role))
            continue;
        buf_printf(b, "%s\"%s\"", any ? "," : "", roles[i].name);
        any = true;
    }
    buf_char(b, ']');
    buf_str_add(b, who & GUEST ? STR(",\"security\":[{},{\"token\":[]}]")
                               : STR(",\"security\":[{\"token\":[]}]"));
}

static void operation(struct buf *b, const struct service *s, const struct route *r)
{
    json_string(b, str_from(method_words[r->method]));
    buf_lit(b, ":{\"summary\":");
    json_string(b, str_from(r->doc ? r->doc : ""));
    buf_printf(b, ",\"tags\":[\"%s\"],\"x-listener\":\"%s\"", s->name, listener_of(s, r));
    callers(b, r->who);
    parameters(b, r);
    request_body(b, r);
    responses(b, r);
    buf_char(b, '}');
}

/* Routes of one path stand together: all methods of a path are one object. */
static bool is_first_of_path(const struct service *s, const struct route *r)
{
    for (const struct route *other = s->routes; other < r; other++)
        if (strcmp(other->path, r->path) == 0)
            return false;
    return true;
}

static void paths_of(struct buf *b, const struct service *s, bool *any)
{
    for (const struct route *r = s->routes; r && r->path; r++) {
        if (!is_first_of_path(s, r))
            continue;
        if (*any)
            buf_char(b, ',');
        *any = true;
        json_string(b, str_from(r->path));
        buf_lit(b, ":{");
        for (const struct route *same = r; same->path; same++) {
            if (strcmp(same->path, r->path) != 0)
                continue;
            if (same != r)
                buf_char(b, ',');
            operation(b, s, same);
        }
        buf_char(b, '}');
    }
}

static void problem_component(struct buf *b)
{
    buf_lit(
        b,
        "\"components\":{\"securitySchemes\":{\"token\":{\"type\":\"http\",\"scheme\":\"bearer\","
        "\"bearerFormat\":\"JWT\"}},\"responses\":{\"Problem\":{\"description\":\"RFC 9457 "
        "problem\","
        "\"content\":{\"application/problem+json\":{\"schema\":{\"type\":\"object\",\"required\":"
        "[\"type\",\"title\",\"status\",\"code\"],\"properties\":{\"type\":{\"type\":\"string\"},"
        "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":"
        "\"string\"},"
        "\"instance\":{\"type\":\"string\"},\"traceId\":{\"type\":\"string\"},\"code\":{\"type\":"
        "\"string\","
        "\"enum\":[");
    for (int e = ERR_OK + 1; e < ERR_COUNT; e++)
        buf_printf(b, "%s\"%s\"", e > 1 ? "," : "", err_row((enum err)e)->code);
    buf_lit(b, "]},\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
               "\"field\":"
               "{\"type\":\"string\"},\"code\":{\"type\":\"string\"},\"message\":{\"type\":"
               "\"string\"}}}}}}}}}}}");
}

void contract_openapi(struct buf *b, const struct service *const *services, const char *version)
{
    bool any = false;

    buf_lit(b, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"jumun\",\"version\":");
    json_string(b, str_from(version));
    buf_lit(b, ",\"license\":{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"}},\"paths\":{");
    for (size_t i = 0; services[i]; i++)
        if (!services[i]->listener) /* the simulator's contract is Toss's */
            paths_of(b, services[i], &any);
    buf_lit(b, "},");
    problem_component(b);
    buf_char(b, '}');
}
