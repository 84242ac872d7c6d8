/*
 * http.h -- HTTP/1.1 messages as bounded views, and the strict parser (RFC 9112).
 *
 * Refused with 400 and a closed connection: CL with TE, more than one CL, TE other than a single
 * "chunked", obs-fold, bare CR, LF or NUL, space before the colon, '_' or other non-token bytes in
 * names, missing or double Host in 1.1, bad chunk sizes, absolute or asterisk targets other than
 * "OPTIONS *". 431 for too much head, 414 for a too long target, 505 for another version, 501 for
 * an unknown transfer coding.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define HTTP_HEAD_MAX 16384
#define HTTP_FIELDS_MAX 100
#define HTTP_TARGET_MAX 8192
#define HTTP_BODY_MAX (1024 * 1024)

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHODS
};
extern const char *const http_method_names[HTTP_METHODS + 1];

struct http_field {
    struct str name, value; /* value trimmed */
};

struct http_head {
    enum http_method method;
    struct str target, path, query; /* path is still percent-encoded; query without '?' */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t n_fields;
    bool http_1_0, keep_alive, chunked, expect_continue, has_length;
    int64_t content_length;
    size_t size; /* bytes of the head, with the empty line */
};

/* 0: more bytes needed; 1: complete; otherwise the HTTP status to refuse with (and close). */
int http_head_parse(struct str bytes, struct http_head *ret);
/* First field of that name (ASCII case ignored) or STR_NONE. */
struct str http_field(const struct http_head *h, struct str name);

/* Incremental chunked decoding; state starts zeroed. */
struct http_chunked {
    int state;
    uint64_t left, total;
    size_t extension_bytes, trailer_bytes;
};
/*
 * Consumes from `in` (sets *ret_used) and appends payload to `out` (NULL: only checks). 0: more
 * needed, 1: the last chunk and its trailers are read (trailers dropped), otherwise the status to
 * refuse with.
 */
int http_chunked_read(struct http_chunked *c, struct str in, size_t max_body, struct buf *out,
                      size_t *ret_used);

/* Decodes %XX once into the arena; false on bad escapes, encoded NUL, in a path also '/' and '\\',
 * or bytes that are not UTF-8. */
bool http_percent_decode(struct arena *a, struct str s, bool plus_is_space, struct str *ret);
/* Cuts the next "name=value" off a query; decoded. False at the end; *ret_bad when it cannot be
 * decoded. */
bool http_query_next(struct arena *a, struct str *query, struct str *ret_name,
                     struct str *ret_value, bool *ret_bad);
const char *http_reason(int status);

/* Our answer to a request. */
struct http_answer {
    int status;
    struct str content_type; /* STR_NONE: no body */
    struct str body;         /* borrowed from the exchange's arena or static */
    const struct http_field
        *fields; /* further headers; Date, Content-Length, Connection are the server's */
    size_t n_fields;
    bool close;
};
/* Appends the head; `request` may be NULL, when what came was none. True: the body follows. */
bool http_answer_head(struct buf *out, const struct http_answer *a, const struct http_head *request,
                      bool close) MUST_USE;
/* The body of a refusal of bytes that cannot be trusted to be a request (4xx); `body_max` is told
 * with 413. */
struct str http_refusal(struct arena *a, int status, size_t body_max);

/* Somebody else's answer: status line and fields. */
struct http_response {
    int status; /* 100 to 599 */
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t n_fields;
    bool http_1_0, keep_alive, chunked, has_length;
    int64_t content_length;
    size_t size; /* bytes of the head, with the empty line */
};
/* 0: more bytes needed; 1: complete; -1: not an answer whose end could be known for sure. */
int http_response_parse(struct str bytes, struct http_response *ret);
/* Cuts the next element off a comma-separated list; false at its end. */
bool http_list_next(struct str *list, struct str *ret);
