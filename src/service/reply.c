/* reply.c -- fills replies from field tables; cursors for pages. */
#include "service/reply.h"

#include <stdarg.h>

#include "data/json.h"
#include "security/base64.h"

/* With the rows it is made of and what it outgrew it must fit in a request's arena. */
#define REPLY_MAX (8u * 1024 * 1024)
#define LINK_MAX 1000

static void start(struct ctx *cx, struct reply *rp, int status, struct str content_type)
{
    rp->status = status;
    rp->content_type = content_type;
    buf_init_arena(&rp->body, cx->arena, REPLY_MAX);
}

static enum err finished(struct ctx *cx, const struct reply *rp)
{
    if (rp->body.overflow)
        return fail(cx, ERR_TOO_LARGE, "reply larger than %u bytes", REPLY_MAX);
    return ERR_OK;
}

enum err reply_data(struct ctx *cx, struct reply *rp, int status, const struct field *fields,
                    const void *object)
{
    start(cx, rp, status, STR("application/json"));
    json_encode(&rp->body, fields, object);
    return finished(cx, rp);
}

enum err reply_json(struct ctx *cx, struct reply *rp, int status, struct str json)
{
    return reply_bytes(cx, rp, status, STR("application/json"), json);
}

enum err reply_bytes(struct ctx *cx, struct reply *rp, int status, struct str content_type,
                     struct str bytes)
{
    rp->status = status;
    rp->content_type = content_type;
    rp->body = (struct buf){.n = bytes.n, .cap = bytes.n, .max = bytes.n, .arena = cx->arena};
    memcpy(&rp->body.p, &bytes.p,
           sizeof rp->body.p); /* borrowed and never written: max is its length */
    return ERR_OK;
}

enum err reply_none(struct ctx *cx, struct reply *rp, int status)
{
    start(cx, rp, status, STR_NONE);
    return ERR_OK;
}

void reply_header(struct ctx *cx, struct reply *rp, struct str name, const char *format, ...)
{
    char value[1024];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(value, sizeof value, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof value && !strpbrk(value, "\r\n"));
    assert(rp->n_headers < REPLY_HEADERS_MAX);
    rp->headers[rp->n_headers++] =
        (struct http_field){name, arena_copy(cx->arena, str_from(value))};
}

void reply_version(struct ctx *cx, struct reply *rp, int64_t version)
{
    reply_header(cx, rp, STR("ETag"), "\"v%" PRId64 "\"", version);
}

/* Of several lines of the same name the list goes on in the next (RFC 9110 5.3). */
enum err request_expects(struct ctx *cx, const struct request *rq, char kind, int64_t version)
{
    struct str ours = arena_printf(cx->arena, "\"%c%" PRId64 "\"", kind, version), tags, tag;
    bool asked = false;

    for (size_t i = 0; rq->head && i < rq->head->n_fields; i++) {
        if (!str_eq_nocase(rq->head->fields[i].name, STR("If-Match")))
            continue;
        asked = true;
        tags = rq->head->fields[i].value;
        if (str_eq(tags, STR("*")))
            return ERR_OK;
        while (http_list_next(&tags, &tag))
            if (str_eq(tag, ours))
                return ERR_OK;
    }
    return asked ? fail(cx, ERR_PRECONDITION, "it is at %.*s", STR_ARG(ours)) : ERR_OK;
}

/* The next page of what was asked for: the same query, but for its cursor. */
static void link_next(struct ctx *cx, const struct request *rq, struct reply *rp, struct str cursor)
{
    struct str rest = rq->head ? rq->head->query : STR_NONE, pair;
    struct buf b;

    buf_init_arena(&b, cx->arena, LINK_MAX);
    buf_printf(&b, "<%.*s?", STR_ARG(rq->path));
    while (rest.n) {
        (void)str_cut(rest, '&', &pair, &rest);
        if (pair.n && !str_starts(pair, STR("cursor=")))
            buf_printf(&b, "%.*s&", STR_ARG(pair));
    }
    buf_printf(&b, "cursor=%.*s>; rel=\"next\"", STR_ARG(cursor));
    if (!b.overflow) /* otherwise nextCursor alone says it */
        reply_header(cx, rp, STR("Link"), "%.*s", STR_ARG(buf_str(&b)));
}

enum err reply_list(struct ctx *cx, const struct request *rq, struct reply *rp,
                    const struct field *fields, struct list items, struct str next_cursor)
{
    start(cx, rp, 200, STR("application/json"));
    buf_lit(&rp->body, "{\"items\":");
    json_encode_list(&rp->body, fields, items);
    buf_lit(&rp->body, ",\"nextCursor\":");
    if (next_cursor.p)
        json_string(&rp->body, next_cursor);
    else
        buf_lit(&rp->body, "null");
    buf_char(&rp->body, '}');
    if (next_cursor.p)
        link_next(cx, rq, rp, next_cursor);
    return finished(cx, rp);
}

int64_t page_limit(const struct page *p)
{
    return p->limit ? p->limit : 20;
}

#define CURSOR_BYTES 24

enum err page_after(struct ctx *cx, const struct page *p, int64_t *ret_number, struct uuid *ret_id)
{
    unsigned char bytes[CURSOR_BYTES];
    size_t n = 0;
    uint64_t number = 0;

    if (!p->cursor.p) {
        *ret_number = INT64_MAX;
        memset(ret_id->b, 0xff, sizeof ret_id->b);
        return ERR_OK;
    }
    if (!base64url_decode(p->cursor, bytes, sizeof bytes, &n) || n != CURSOR_BYTES) {
        ctx_field_error(cx, STR("cursor"), STR("FORMAT"), "not a cursor that this list gave out");
        return fail(cx, ERR_INVALID, "foreign cursor");
    }
    for (int i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    *ret_number = (int64_t)number;
    memcpy(ret_id->b, bytes + 8, sizeof ret_id->b);
    return ERR_OK;
}

struct str page_cursor(struct ctx *cx, int64_t number, struct uuid id)
{
    unsigned char bytes[CURSOR_BYTES];
    char *text = arena_alloc(cx->arena, BASE64URL_LENGTH(CURSOR_BYTES) + 1);

    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)number >> (56 - 8 * i));
    memcpy(bytes + 8, id.b, sizeof id.b);
    return (struct str){text, base64url_encode(bytes, sizeof bytes, text)};
}
