/* proxy_head.c -- heads on their way through: what belongs to one connection only stays behind. */
#include "net/proxy_inside.h"

/* RFC 9110 7.6.1, and what older clients and servers take for one of them. Framing is written anew;
 * Expect was answered here. */
static const struct str hop_by_hop[] = {
    {"Connection", 10},
    {"Keep-Alive", 10},
    {"Proxy-Connection", 16},
    {"TE", 2},
    {"Transfer-Encoding", 17},
    {"Upgrade", 7},
    {"Trailer", 7},
    {"Content-Length", 14},
    {"Expect", 6},
    {"Proxy-Authorization", 19},
    {"Proxy-Authenticate", 18},
};

static bool is_hop_by_hop(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(hop_by_hop); i++)
        if (hop_by_hop[i].n == name.n && str_eq_nocase(hop_by_hop[i], name))
            return true;
    return false;
}

/* Is it named in a Connection field? Never Host, and never the key that makes one of two requests:
 * without them it would mean something else. */
static bool is_named(const struct http_field *fields, size_t n, struct str name)
{
    struct str list, token;

    for (size_t i = 0; i < n; i++) {
        if (fields[i].name.n != 10 || !str_eq_nocase(fields[i].name, STR("Connection")))
            continue;
        list = fields[i].value;
        while (http_list_next(&list, &token))
            if (str_eq_nocase(token, name))
                return !str_eq_nocase(name, STR("Host")) &&
                       !str_eq_nocase(name, STR("Idempotency-Key"));
    }
    return false;
}

static void add(struct buf *b, struct str name, struct str value)
{
    buf_str_add(b, name);
    buf_lit(b, ": ");
    buf_str_add(b, value);
    buf_lit(b, "\r\n");
}

static struct buf rest_of(struct block *out)
{
    return (struct buf){.p = out->bytes + out->to, .cap = block_room(out), .max = block_room(out)};
}

static bool is_replaced(const struct proxy_verdict *v, struct str name)
{
    for (size_t i = 0; i < v->n_fields; i++)
        if (v->fields[i].name.n == name.n && str_eq_nocase(v->fields[i].name, name))
            return true;
    return false;
}

static bool is_added(const struct proxy_note *note, struct str name)
{
    for (size_t i = 0; i < note->n_added; i++)
        if (note->added[i].name.n == name.n && str_eq_nocase(note->added[i].name, name))
            return !str_eq_nocase(name, STR("Vary"));
    return false;
}

static bool has_connection(const struct http_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fields[i].name.n == 10 && str_eq_nocase(fields[i].name, STR("Connection")))
            return true;
    return false;
}

void head_forward(struct block *out, const struct http_head *head, const struct proxy_verdict *v,
                  bool is_chunked)
{
    struct buf b = rest_of(out);
    bool names = has_connection(head->fields, head->n_fields);

    buf_str_add(&b, str_from(http_method_names[head->method]));
    buf_char(&b, ' ');
    buf_str_add(&b, head->target);
    buf_lit(&b, " HTTP/1.1\r\n");
    if (!http_field(head, STR("Host")).p) /* HTTP/1.0 */
        buf_lit(&b, "Host: localhost\r\n");
    for (size_t i = 0; i < head->n_fields; i++) {
        const struct http_field *f = &head->fields[i];
        if (!is_hop_by_hop(f->name) && !is_replaced(v, f->name) &&
            !(names && is_named(head->fields, head->n_fields, f->name)))
            add(&b, f->name, f->value);
    }
    for (size_t i = 0; i < v->n_fields; i++)
        if (v->fields[i].value.p) /* absent: only dropped */
            add(&b, v->fields[i].name, v->fields[i].value);
    if (is_chunked)
        buf_lit(&b, "Transfer-Encoding: chunked\r\n");
    else if (head->has_length)
        buf_printf(&b, "Content-Length: %" PRId64 "\r\n", head->content_length);
    buf_lit(&b, "\r\n");
    assert(!b.overflow); /* a head has at most HTTP_HEAD_MAX bytes, and ours fit behind it */
    out->to += b.n;
}

void head_return(struct block *out, const struct http_response *r, enum framing framing,
                 const struct conn *c)
{
    struct buf b = rest_of(out);
    bool names = has_connection(r->fields, r->n_fields);

    buf_printf(&b, "HTTP/1.1 %d %s\r\n", r->status, http_reason(r->status));
    for (size_t i = 0; i < r->n_fields; i++) {
        const struct http_field *f = &r->fields[i];
        if (!is_hop_by_hop(f->name) && !is_added(&c->note, f->name) &&
            !(names && is_named(r->fields, r->n_fields, f->name)))
            add(&b, f->name, f->value);
    }
    for (size_t i = 0; i < c->note.n_added; i++)
        add(&b, c->note.added[i].name, c->note.added[i].value);
    if (framing == BODY_CHUNKED)
        buf_lit(&b, "Transfer-Encoding: chunked\r\n");
    else if (r->has_length && r->status != 204)
        buf_printf(&b, "Content-Length: %" PRId64 "\r\n", r->content_length);
    if (c->close_after)
        buf_lit(&b, "Connection: close\r\n");
    else if (c->http_1_0)
        buf_lit(&b, "Connection: keep-alive\r\n");
    buf_lit(&b, "\r\n");
    assert(!b.overflow);
    out->to += b.n;
}
