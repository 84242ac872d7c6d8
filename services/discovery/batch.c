/* batch.c -- changes that one server tells another, many at once. */
#include "discovery/batch.h"

#include "data/json.h"
#include "discovery/rest.h"

#define ITEM_AROUND 8192 /* the longest names, escaped */

static const char *const action_names[] = {"Register",  "StatusUpdate", "DeleteStatusOverride",
                                           "Heartbeat", "Cancel",       NULL};

/* clang-format off */
static const struct field batch_item_fields[] = {
    F_STR(struct batch_item, app, "appName", ONE_LINE, 0, 128, "application"),
    F_STR(struct batch_item, id, "id", ONE_LINE, 0, 512, "instance"),
    F_RAW(struct batch_item, dirty, "lastDirtyTimestamp", 0, "changed in the instance"),
    F_STR(struct batch_item, overridden, "overriddenStatus", ONE_LINE, 0, 32, "by an operator"),
    F_STR(struct batch_item, status, "status", ONE_LINE, 0, 32, "its status, or the new one"),
    F_OBJECT_PTR(struct batch_item, instance, "instanceInfo", 0, wire_instance_fields, "all of it"),
    F_STR(struct batch_item, action, "action", ONE_LINE, 0, 32, "what happened"),
    F_END(struct batch_item),
};
const struct field batch_fields[] = {
    F_LIST(struct batch, items, "replicationList", 0, 0, BATCH_MAX, batch_item_fields, "changes"),
    F_END(struct batch),
};
static const struct field batch_answer_fields[] = {
    F_INT(struct batch_answer, status, "statusCode", 0, 100, 599, "as of a request of its own"),
    F_RAW(struct batch_answer, entity, "responseEntity", 0, "the newer instance"),
    F_END(struct batch_answer),
};
const struct field batch_answers_fields[] = {
    F_LIST(struct batch_answers, items, "responseList", 0, 0, BATCH_MAX, batch_answer_fields, "by place"),
    F_END(struct batch_answers),
};
/* clang-format on */

static void write_item(struct buf *b, const struct peer_item *item)
{
    const struct instance *is = &item->is;
    struct writer w = {.b = b, .form = FORM_JSON, .first = true};

    buf_char(b, '{');
    write_text(&w, "appName", is->app);
    write_text(&w, "id", is->id);
    write_number(&w, "lastDirtyTimestamp", is->dirty_ms);
    write_text(&w, "overriddenStatus", str_from(instance_status_names[is->overridden]));
    write_text(&w, "status", str_from(instance_status_names[is->status]));
    if (item->action == PEER_REGISTER) {
        struct writer whole = {.b = b, .form = FORM_JSON};
        buf_lit(b, ",\"instanceInfo\":");
        write_instance_bare(&whole, is);
    }
    write_text(&w, "action", str_from(action_names[item->action]));
    buf_char(b, '}');
}

struct str batch_write(struct ctx *cx, struct list items)
{
    struct buf b;

    buf_init_arena(&b, cx->arena, items.n * (INSTANCE_BYTES_MAX + ITEM_AROUND) + 64);
    buf_lit(&b, "{\"replicationList\":[");
    for (size_t i = 0; i < items.n; i++) {
        if (i)
            buf_char(&b, ',');
        write_item(&b, LIST_AT(struct peer_item, items, i));
    }
    buf_lit(&b, "]}");
    assert(!b.overflow);
    return buf_str(&b);
}

static enum err dirty_of(struct ctx *cx, const struct batch_item *item, int64_t *ret)
{
    struct str text = STR_NONE;

    *ret = -1;
    if (item->dirty.p && !json_scalar_text(cx->arena, item->dirty, &text))
        return fail(cx, ERR_INVALID, "lastDirtyTimestamp");
    if (text.n && !str_i64(text, 0, INT64_MAX, ret))
        return fail(cx, ERR_INVALID, "lastDirtyTimestamp");
    return ERR_OK;
}

static enum err apply(struct ctx *cx, struct eureka_call *c, const struct batch_item *item,
                      struct instance *ret_ours)
{
    struct registry *r = c->registry;
    struct str app = upper_case(cx->arena, item->app), id = item->id;
    enum instance_status status = INSTANCE_UNKNOWN;
    struct instance is;
    int64_t dirty_ms;

    TRY(dirty_of(cx, item, &dirty_ms));
    if (item->status.n && !status_parse(item->status, &status))
        return fail(cx, ERR_INVALID, "status %.*s", STR_ARG(item->status));
    if (str_eq(item->action, STR("Heartbeat")))
        return registry_renew(cx, r, app, id, dirty_ms, FROM_PEER, ret_ours);
    if (str_eq(item->action, STR("Cancel")))
        return registry_cancel(cx, r, app, id, FROM_PEER);
    if (str_eq(item->action, STR("StatusUpdate")))
        return registry_override(cx, r, app, id, status, dirty_ms, FROM_PEER);
    if (str_eq(item->action, STR("DeleteStatusOverride")))
        return registry_delete_override(cx, r, app, id, status, dirty_ms, FROM_PEER);
    if (!str_eq(item->action, STR("Register")) || !item->instance)
        return fail(cx, ERR_INVALID, "action %.*s", STR_ARG(item->action));
    TRY(instance_read(cx, item->instance, &is));
    return registry_register(cx, r, &is, FROM_PEER);
}

enum err eureka_batch(struct ctx *cx, struct eureka_call *c)
{
    struct batch batch;
    struct buf *b = c->w.b;
    struct instance ours;

    c->w.form = FORM_JSON;
    enum err e = json_decode_lenient(cx, batch_fields, &batch, c->body);
    if (e == ERR_INVALID)
        return fail(cx, ERR_MALFORMED, "not a batch");
    TRY(e);
    buf_init_arena(b, cx->arena, batch.items.n * (INSTANCE_BYTES_MAX + 256) + 64);
    buf_lit(b, "{\"responseList\":[");
    for (size_t i = 0; i < batch.items.n; i++) {
        e = apply(cx, c, LIST_AT(struct batch_item, batch.items, i), &ours);
        buf_printf(b, "%s{\"statusCode\":%d", i ? "," : "",
                   e == ERR_OK         ? 200
                   : e == ERR_CONFLICT ? 409
                                       : err_row(e)->status);
        if (e == ERR_CONFLICT) {
            struct writer w = {.b = b, .form = FORM_JSON};
            buf_lit(b, ",\"responseEntity\":");
            write_instance_bare(&w, &ours);
        }
        buf_char(b, '}');
    }
    buf_lit(b, "]}");
    return b->overflow ? fail(cx, ERR_TOO_LARGE, "answer to a batch") : ERR_OK;
}

enum err batch_entity(struct ctx *cx, struct str raw, struct instance *ret)
{
    struct wire_instance w;

    if (str_starts(raw, STR("{\"instance\"")))
        return instance_decode(cx, raw, ret);
    TRY(json_decode_lenient(cx, wire_instance_fields, &w, raw));
    return instance_read(cx, &w, ret);
}
