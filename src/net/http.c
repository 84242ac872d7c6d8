/* http.c -- the strict HTTP/1.1 parser of heads; bodies and escapes are in http_body.c. */
#include "net/http.h"

const char *const http_method_names[HTTP_METHODS + 1] = {"GET",   "HEAD",   "POST",    "PUT",
                                                         "PATCH", "DELETE", "OPTIONS", NULL};

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_reason(int status)
{
    for (size_t i = 0; i < COUNT_OF(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

/* RFC 9110 tchar, less '_': a back end that turns it into '-' would see another name. */
static bool is_name_char(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^`|~", c) != NULL;
}

/* One line ending in CRLF. 0: not all there; 1: in *ret_line; otherwise a status. */
static int take_line(struct str *bytes, struct str *ret_line)
{
    const char *end = memchr(bytes->p, '\n', bytes->n);
    size_t n = end ? (size_t)(end - bytes->p) : bytes->n;

    for (size_t i = 0; i < n; i++) {
        bool cr_at_end = bytes->p[i] == '\r' && (end ? i + 1 == n : i + 1 == bytes->n);
        if (bytes->p[i] == '\0' || (bytes->p[i] == '\r' && !cr_at_end))
            return 400;
    }
    if (!end)
        return 0;
    if (n == 0 || bytes->p[n - 1] != '\r')
        return 400;
    *ret_line = (struct str){bytes->p, n - 1};
    bytes->p += n + 1;
    bytes->n -= n + 1;
    return 1;
}

static int parse_method(struct str word, enum http_method *ret)
{
    if (word.n == 0)
        return 400;
    for (size_t i = 0; i < word.n; i++)
        if (!is_name_char((unsigned char)word.p[i]))
            return 400;
    for (int m = 0; m < HTTP_METHODS; m++) {
        if (str_eq(word, str_from(http_method_names[m]))) {
            *ret = (enum http_method)m;
            return 1;
        }
    }
    return 501;
}

/* Origin form, or "*" for OPTIONS. Bytes above ASCII pass: clients send Korean unescaped; it must
 * be UTF-8. */
static int parse_target(struct str target, struct http_head *h)
{
    if (target.n > HTTP_TARGET_MAX)
        return 414;
    for (size_t i = 0; i < target.n; i++) {
        unsigned char c = (unsigned char)target.p[i];
        if (c <= 0x20 || c == 0x7f || strchr("\"<>\\^`{|}#", c))
            return 400;
    }
    h->target = target;
    if (str_eq(target, STR("*")) && h->method == HTTP_OPTIONS) {
        h->path = target;
        return 1;
    }
    if (target.n == 0 || target.p[0] != '/')
        return 400;
    if (!str_cut(target, '?', &h->path, &h->query)) {
        h->path = target;
        h->query = STR_NONE;
    }
    return 1;
}

static int parse_version(struct str word, struct http_head *h)
{
    if (word.n != 8 || !str_starts(word, STR("HTTP/")) || word.p[6] != '.' || word.p[5] < '0' ||
        word.p[5] > '9' || word.p[7] < '0' || word.p[7] > '9')
        return 400;
    if (word.p[5] != '1' || word.p[7] > '1')
        return 505;
    h->http_1_0 = word.p[7] == '0';
    h->keep_alive = !h->http_1_0;
    return 1;
}

static int parse_request_line(struct str line, struct http_head *h)
{
    struct str method, target, version;

    if (!str_cut(line, ' ', &method, &line) || !str_cut(line, ' ', &target, &version))
        return 400;
    int method_status = parse_method(method, &h->method);
    if (method_status == 400)
        return 400;
    int status = parse_target(target, h);
    if (status != 1)
        return status;
    status = parse_version(version, h);
    return status != 1 ? status : method_status;
}

static int parse_field(struct str line, struct http_field *fields, size_t *n_fields)
{
    struct http_field f;

    if (*n_fields == HTTP_FIELDS_MAX)
        return 431;
    if (!str_cut(line, ':', &f.name, &f.value) || f.name.n == 0)
        return 400;
    for (size_t i = 0; i < f.name.n; i++)
        if (!is_name_char((unsigned char)f.name.p[i])) /* also the space that an obs-fold has */
            return 400;
    for (size_t i = 0; i < f.value.n; i++) {
        unsigned char c = (unsigned char)f.value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return 400;
    }
    f.value = str_trim(f.value);
    fields[(*n_fields)++] = f;
    return 1;
}

struct str http_field(const struct http_head *h, struct str name)
{
    for (size_t i = 0; i < h->n_fields; i++)
        if (str_eq_nocase(h->fields[i].name, name))
            return h->fields[i].value;
    return STR_NONE;
}

static size_t count(const struct http_head *h, struct str name)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_fields; i++)
        n += str_eq_nocase(h->fields[i].name, name);
    return n;
}

/* uri-host [":" port], nothing else: no user, no path, no list. */
static bool is_host(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    strchr("-._~:[]%!$&'()*+;=", c);
        if (c == '\0' || !fine)
            return false;
    }
    return s.n > 0;
}

static int check_host(const struct http_head *h)
{
    size_t n = count(h, STR("Host"));

    if (n > 1 || (n == 0 && !h->http_1_0))
        return 400;
    return n == 0 || is_host(http_field(h, STR("Host"))) ? 1 : 400;
}

/* Fields that say one thing: of two, one reader would take the first and the next one the last. */
static int check_single(const struct http_head *h)
{
    static const char *const single[] = {"Authorization", "Content-Type", "Idempotency-Key"};

    for (size_t i = 0; i < COUNT_OF(single); i++)
        if (count(h, str_from(single[i])) > 1)
            return 400;
    return 1;
}

bool http_list_next(struct str *list, struct str *ret)
{
    while (list->n) {
        struct str token, rest;
        if (!str_cut(*list, ',', &token, &rest)) {
            token = *list;
            rest = STR_NONE;
        }
        *list = rest;
        *ret = str_trim(token);
        if (ret->n)
            return true;
    }
    return false;
}

/* 1: just "chunked". 501: a coding that we do not know. 400: where the body ends is anybody's
 * guess. */
static int check_coding(struct str list)
{
    struct str token;
    int status = 400;
    bool ended = false;

    if (str_eq_nocase(list, STR("chunked")))
        return 1;
    while (http_list_next(&list, &token)) {
        if (ended)
            return 400;
        ended = str_eq_nocase(token, STR("chunked"));
        status = 501;
    }
    return status;
}

/* How long the body is, and only one way of saying so (request smuggling starts here). */
static int check_framing(struct http_head *h)
{
    size_t n_length = count(h, STR("Content-Length")),
           n_coding = count(h, STR("Transfer-Encoding"));
    struct str length = http_field(h, STR("Content-Length"));

    if (n_length > 1 || n_coding > 1 || (n_length && n_coding))
        return 400;
    if (n_coding) {
        if (h->http_1_0)
            return 400;
        int status = check_coding(http_field(h, STR("Transfer-Encoding")));
        if (status != 1)
            return status;
        h->chunked = true;
    }
    if (n_length) {
        for (size_t i = 0; i < length.n; i++)
            if (length.p[i] < '0' || length.p[i] > '9')
                return 400;
        if (!str_i64(length, 0, INT64_MAX, &h->content_length))
            return 400;
        h->has_length = true;
    }
    return 1;
}

static int check_connection(struct http_head *h)
{
    struct str expect = http_field(h, STR("Expect")), token;

    for (size_t i = 0; i < h->n_fields; i++) {
        struct str list = h->fields[i].value;
        if (!str_eq_nocase(h->fields[i].name, STR("Connection")))
            continue;
        while (http_list_next(&list, &token)) {
            if (str_eq_nocase(token, STR("close")))
                h->keep_alive = false;
            else if (h->http_1_0 && str_eq_nocase(token, STR("keep-alive")))
                h->keep_alive = true;
        }
    }
    if (!expect.p)
        return 1;
    if (!str_eq_nocase(expect, STR("100-continue")))
        return 417;
    h->expect_continue = !h->http_1_0 && (h->chunked || h->content_length > 0);
    return 1;
}

static int parse_lines(struct str *rest, struct http_head *h)
{
    struct str line;
    int request_status = 1;

    int status = take_line(rest, &line);
    if (status != 1)
        return status;
    status = parse_request_line(line, h);
    if (status == 501) /* an unknown method is refused after the head is known to be whole */
        request_status = 501;
    else if (status != 1)
        return status;
    for (;;) {
        status = take_line(rest, &line);
        if (status != 1)
            return status;
        if (line.n == 0)
            return request_status;
        status = parse_field(line, h->fields, &h->n_fields);
        if (status != 1)
            return status;
    }
}

int http_head_parse(struct str bytes, struct http_head *ret)
{
    struct str rest = bytes;

    memset(ret, 0, offsetof(struct http_head, fields));
    memset(&ret->n_fields, 0, sizeof *ret - offsetof(struct http_head, n_fields));
    int status = parse_lines(&rest, ret);
    if (status == 0) {
        /* The target's limit first: it says more than "head too large". */
        if (ret->n_fields == 0 && bytes.n > HTTP_TARGET_MAX + 64 && !memchr(bytes.p, '\n', bytes.n))
            return 414;
        return bytes.n > HTTP_HEAD_MAX ? 431 : 0;
    }
    ret->size = bytes.n - rest.n;
    if (status != 1)
        return status;
    if (ret->size > HTTP_HEAD_MAX)
        return 431;
    status = check_host(ret);
    if (status == 1)
        status = check_single(ret);
    if (status == 1)
        status = check_framing(ret);
    return status == 1 ? check_connection(ret) : status;
}

/* "HTTP/1.1 200 OK"; the reason may be missing and says nothing. */
static bool parse_status_line(struct str line, struct http_response *r)
{
    struct str version, rest, code;

    if (!str_cut(line, ' ', &version, &rest) || version.n != 8 ||
        !str_starts(version, STR("HTTP/1.")) || version.p[7] < '0' || version.p[7] > '1')
        return false;
    str_cut(rest, ' ', &code, &rest);
    int64_t status;
    if (code.n != 3 || !str_i64(code, 100, 599, &status))
        return false;
    r->status = (int)status;
    r->http_1_0 = version.p[7] == '0';
    r->keep_alive = !r->http_1_0;
    return true;
}

static bool read_length(struct str text, struct http_response *r)
{
    r->has_length = true;
    return str_i64(text, 0, INT64_MAX, &r->content_length);
}

/* What a field says about where the answer ends, and what comes behind it. False: two say
 * something. */
static bool read_framing_field(const struct http_field *f, struct http_response *r)
{
    struct str list = f->value, token;

    if (str_eq_nocase(f->name, STR("Content-Length")))
        return !r->has_length && !r->chunked && read_length(f->value, r);
    if (str_eq_nocase(f->name, STR("Transfer-Encoding"))) {
        bool first = !r->has_length && !r->chunked;
        r->chunked = true;
        return first && !r->http_1_0 && str_eq_nocase(f->value, STR("chunked"));
    }
    if (!str_eq_nocase(f->name, STR("Connection")))
        return true;
    while (http_list_next(&list, &token))
        if (str_eq_nocase(token, STR("close")))
            r->keep_alive = false;
        else if (r->http_1_0 && str_eq_nocase(token, STR("keep-alive")))
            r->keep_alive = true;
    return true;
}

int http_response_parse(struct str bytes, struct http_response *ret)
{
    struct str rest = bytes, line;

    memset(ret, 0, offsetof(struct http_response, fields));
    memset(&ret->n_fields, 0, sizeof *ret - offsetof(struct http_response, n_fields));
    int status = take_line(&rest, &line);
    if (status == 1 && !parse_status_line(line, ret))
        return -1;
    while (status == 1) {
        status = take_line(&rest, &line);
        if (status == 1 && line.n == 0) {
            ret->size = bytes.n - rest.n;
            return ret->size <= HTTP_HEAD_MAX ? 1 : -1;
        }
        if (status == 1)
            status = parse_field(line, ret->fields, &ret->n_fields);
        if (status == 1 && !read_framing_field(&ret->fields[ret->n_fields - 1], ret))
            return -1;
    }
    return status == 0 && bytes.n <= HTTP_HEAD_MAX ? 0 : -1;
}
